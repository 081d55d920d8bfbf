package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"miniaws/awsapi"
	"miniaws/cloudtrail"
)

type explainCommand struct {
	RequestID string
	JSON      bool
	administratorFlags
}

func (c *explainCommand) command() *cobra.Command {
	command := onOne("explain REQUEST-ID", "Print why a recorded call was allowed or denied.",
		"Clients show the request id with every error, and --debug with every answer.", &c.RequestID, c.Run)
	command.Flags().BoolVar(&c.JSON, "json", false, "Print the event and the decisions as JSON.")
	c.addAdministratorFlags(command.Flags())
	return command
}

// Run prints the decision of a recorded call.
func (c *explainCommand) Run(ctx context.Context) error {
	var call cloudtrail.Call
	if err := c.ask(ctx, http.MethodGet, "/_mini/explain/"+url.PathEscape(c.RequestID), nil, &call); err != nil {
		return err
	}
	if c.JSON {
		text, err := json.MarshalIndent(call, "", "  ")
		if err == nil {
			_, err = fmt.Printf("%s\n", text)
		}
		return err
	}
	text, err := explained(call)
	if err == nil {
		_, err = fmt.Print(text)
	}
	return err
}

// explain answers GET /_mini/explain/REQUEST-ID.
func (a *administration) explain(r *http.Request) (any, error) {
	call, err := a.worker.world.Load().cloud.audit.Find(r.Context(), r.PathValue("id"))
	if errors.Is(err, cloudtrail.ErrNoCall) {
		return nil, &refused{http.StatusNotFound, err.Error()}
	}
	return call, err
}

// explained is a call as people read it.
func explained(call cloudtrail.Call) (string, error) {
	var event struct {
		EventSource, EventName, EventTime, AWSRegion, SourceIPAddress, ErrorCode, ErrorMessage string

		UserIdentity struct{ Type, ARN, InvokedBy string }
	}
	if err := json.Unmarshal(call.Record, &event); err != nil {
		return "", err
	}
	var out strings.Builder
	line := func(name, format string, a ...any) { fmt.Fprintf(&out, "%-10s %s\n", name, fmt.Sprintf(format, a...)) }
	service, _, _ := strings.Cut(event.EventSource, ".")
	line("call", "%s:%s in %s at %s from %s", service, event.EventName, event.AWSRegion, event.EventTime, event.SourceIPAddress)
	line("caller", "%s %s%s", event.UserIdentity.Type, event.UserIdentity.ARN, event.UserIdentity.InvokedBy)
	if event.ErrorCode == "" {
		line("outcome", "succeeded")
	} else {
		line("outcome", "%s: %s", event.ErrorCode, event.ErrorMessage)
	}
	if len(call.Decisions) == 0 {
		line("decision", "no policy was asked: %s", withoutDecision(event.UserIdentity.Type))
	}
	for _, d := range call.Decisions {
		explainDecision(line, d)
	}
	return out.String(), nil
}

// withoutDecision says why nothing had to be decided.
func withoutDecision(caller string) string {
	if caller == "Root" {
		return "no policy of its own account limits the root user"
	}
	return "the operation needs no permission, or the call did not come that far"
}

func explainDecision(line func(name, format string, a ...any), d awsapi.Explanation) {
	verdict := "denied: no statement allows it"
	switch {
	case d.Allowed:
		verdict = "allowed"
	case d.Explicit:
		verdict = "denied by a statement"
	}
	resource := d.Resource
	if resource == "" {
		resource = "*"
	}
	line("decision", "%s on %s: %s", d.Action, resource, verdict)
	if d.Reason != "" {
		line("", "%s", d.Reason)
	}
	for _, layer := range slices.Sorted(maps.Keys(d.Layers)) {
		line("layer", "%s: %s", layer, d.Layers[layer])
	}
	for _, p := range d.Policies {
		line("policy", "%s (%s)", p.Name, p.Layer)
	}
	for i, s := range d.Statements {
		name := "matches"
		if i == 0 {
			name = "decides"
		}
		sid := ""
		if s.Sid != "" {
			sid = " " + s.Sid
		}
		line(name, "%s: statement %d%s at line %d, column %d of %s (%s)", s.Effect, s.Index+1, sid, s.Line, s.Column, s.Policy, s.Layer)
	}
	for _, key := range slices.Sorted(maps.Keys(d.Context)) {
		line("context", "%s = %s", key, strings.Join(d.Context[key], ", "))
	}
	for _, key := range d.Missing {
		line("context", "%s is not in this call", key)
	}
}
