package ssm

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"miniaws/backend/store"
)

// commandTime is how times of invocations are written.
const commandTime = "2006-01-02T15:04:05.000Z"

// GetCommandInvocation answers what became of a command in one instance.
func (s *Service) GetCommandInvocation(ctx context.Context, in *api.GetCommandInvocationInput) (*api.GetCommandInvocationOutput, error) {
	c := callOf(ctx)
	var sent *command
	var one *invocation
	err := s.config.DB.View(ctx, func(t store.Tx) (err error) {
		if sent, err = commands.In(t, c.scope).Find(*in.CommandId); err == nil {
			one, err = invocations.In(t, c.scope).Find(*in.CommandId, *in.InstanceId)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if sent == nil || one == nil {
		return nil, errNoInvocation()
	}
	at, names := 0, sent.stepNames()
	switch name := aws.ToString(in.PluginName); {
	case name != "":
		if at = slices.Index(names, name); at < 0 {
			return nil, errInvalidPluginName()
		}
	case len(names) > 1:
		// AWS: "GetCommandInvocation", PluginName: of a document with several steps one must be named.
		return nil, errInvalidPluginName()
	}
	step := one.step(at)
	out := &api.GetCommandInvocationOutput{
		CommandId: in.CommandId, InstanceId: in.InstanceId, Comment: aws.String(sent.Comment), DocumentName: aws.String(sent.Document), DocumentVersion: aws.String(sent.wanted()),
		PluginName: aws.String(names[at]), ResponseCode: step.Code, Status: types.CommandInvocationStatus(step.Status), StatusDetails: aws.String(step.Details),
		StandardOutputContent: aws.String(step.Output), StandardErrorContent: aws.String(step.Errors),
		StandardOutputUrl: aws.String(sent.Output.url(sent.ID, one.Instance, names[at], "stdout")), StandardErrorUrl: aws.String(sent.Output.url(sent.ID, one.Instance, names[at], "stderr")),
		ExecutionStartDateTime: aws.String(""), ExecutionEndDateTime: aws.String(""), ExecutionElapsedTime: aws.String(""),
		CloudWatchOutputConfig: &types.CloudWatchOutputConfig{CloudWatchLogGroupName: aws.String("")},
	}
	if !step.Started.IsZero() {
		out.ExecutionStartDateTime = aws.String(step.Started.Format(commandTime))
		if !step.Ended.IsZero() {
			out.ExecutionEndDateTime = aws.String(step.Ended.Format(commandTime))
			out.ExecutionElapsedTime = aws.String(fmt.Sprintf("PT%gS", step.Ended.Sub(step.Started).Round(time.Millisecond).Seconds()))
		}
	}
	return out, nil
}

// stepNames are those of the document's steps.
func (c *command) stepNames() []string {
	if len(c.Steps) == 0 {
		return []string{scriptPlugin}
	}
	return c.Steps
}

// wanted is the version that was asked for.
func (c *command) wanted() string { return cmp.Or(c.Wanted, "$DEFAULT") }

// step answers what became of a step; one that has not begun is as the invocation.
func (i *invocation) step(at int) stepResult {
	if at < len(i.Steps) {
		one := i.Steps[at]
		if i.Status == types.CommandInvocationStatusCancelling && one.Ended.IsZero() {
			one.Status, one.Details = types.CommandPluginStatus(i.Status), i.Details
		}
		return one
	}
	one := stepResult{Status: types.CommandPluginStatusPending, Details: "Pending", Code: -1}
	if i.over() || i.Status == types.CommandInvocationStatusCancelling {
		one.Status, one.Details, one.Ended = types.CommandPluginStatus(i.Status), i.Details, i.Ended
	}
	return one
}

// commandsWith answers commands with their invocations, the youngest first.
func (s *Service) commandsWith(ctx context.Context, c call, id string) (all []*command, of map[string][]*invocation, err error) {
	err = s.config.DB.View(ctx, func(t store.Tx) error {
		all, of = nil, map[string][]*invocation{}
		if id != "" {
			sent, err := commands.In(t, c.scope).Find(id)
			if err != nil {
				return err
			}
			if sent == nil {
				return errInvalidCommandID()
			}
			all = []*command{sent}
		} else if all, _, err = commands.In(t, c.scope).List(store.Query{}); err != nil {
			return err
		}
		all = slices.DeleteFunc(slices.Clone(all), func(c *command) bool { return id == "" && c.Association != "" })
		for _, sent := range all {
			if of[sent.ID], _, err = invocations.In(t, c.scope).List(store.Query{Parts: store.ID{sent.ID}}); err != nil {
				return err
			}
		}
		return nil
	})
	slices.SortFunc(all, func(a, b *command) int { return strings.Compare(b.place(), a.place()) })
	return all, of, err
}

// place is where a command stands in lists.
func (c *command) place() string { return c.Requested.UTC().Format(time.RFC3339Nano) + " " + c.ID }

// commandFilter compiles the filters of both lists.
func commandFilter(filters []types.CommandFilter) (func(*command, string) bool, error) {
	var all []func(*command, string) bool
	for _, f := range filters {
		value := aws.ToString(f.Value)
		switch f.Key {
		case types.CommandFilterKeyInvokedAfter, types.CommandFilterKeyInvokedBefore:
			at, err := time.Parse(time.RFC3339, value)
			if err != nil {
				return nil, errValidation("The filter value " + value + " is not a date in the format 2018-08-29T00:00:00Z.")
			}
			wantAfter := f.Key == types.CommandFilterKeyInvokedAfter
			all = append(all, func(c *command, _ string) bool { return c.Requested.After(at) == wantAfter })
		case types.CommandFilterKeyStatus:
			all = append(all, func(_ *command, status string) bool { return status == value })
		case types.CommandFilterKeyDocumentName:
			all = append(all, func(c *command, _ string) bool { return c.Document == value })
		default:
			return nil, errListFilterKey(string(f.Key))
		}
	}
	return func(c *command, status string) bool {
		for _, keep := range all {
			if !keep(c, status) {
				return false
			}
		}
		return true
	}, nil
}

// commandPage is what a listing of commands goes through, and where it begins.
type commandPage struct {
	after string
	limit int
	keep  func(*command, string) bool
	all   []*command
	of    map[string][]*invocation
}

func (s *Service) pageOfCommands(ctx context.Context, token *string, most *int32, filters []types.CommandFilter, id *string) (q commandPage, err error) {
	if q.after, q.limit, err = page(token, most, 50); err != nil {
		return q, err
	}
	if q.keep, err = commandFilter(filters); err != nil {
		return q, err
	}
	q.all, q.of, err = s.commandsWith(ctx, callOf(ctx), aws.ToString(id))
	return q, err
}

// ListCommands lists commands, the youngest first.
func (s *Service) ListCommands(ctx context.Context, in *api.ListCommandsInput) (*api.ListCommandsOutput, error) {
	q, err := s.pageOfCommands(ctx, in.NextToken, in.MaxResults, in.Filters, in.CommandId)
	if err != nil {
		return nil, err
	}
	out := &api.ListCommandsOutput{Commands: []types.Command{}}
	last := ""
	for _, sent := range q.all {
		shown := sent.toAPI(q.of[sent.ID])
		if !q.keep(sent, string(shown.Status)) || in.InstanceId != nil && !slices.Contains(sent.Instances, *in.InstanceId) || q.after != "" && sent.place() >= q.after {
			continue
		}
		if len(out.Commands) == q.limit {
			out.NextToken = token(last)
			break
		}
		last = sent.place()
		out.Commands = append(out.Commands, *shown)
	}
	return out, nil
}

// ListCommandInvocations lists what became of commands in each instance.
func (s *Service) ListCommandInvocations(ctx context.Context, in *api.ListCommandInvocationsInput) (*api.ListCommandInvocationsOutput, error) {
	q, err := s.pageOfCommands(ctx, in.NextToken, in.MaxResults, in.Filters, in.CommandId)
	if err != nil {
		return nil, err
	}
	out := &api.ListCommandInvocationsOutput{CommandInvocations: []types.CommandInvocation{}}
	last := ""
	for _, sent := range q.all {
		for _, one := range slices.Backward(q.of[sent.ID]) {
			place := sent.place() + " " + one.Instance
			if !q.keep(sent, string(one.Status)) || in.InstanceId != nil && one.Instance != *in.InstanceId || q.after != "" && place >= q.after {
				continue
			}
			if len(out.CommandInvocations) == q.limit {
				out.NextToken = token(last)
				return out, nil
			}
			last = place
			out.CommandInvocations = append(out.CommandInvocations, sent.invocationToAPI(one, in.Details))
		}
	}
	return out, nil
}

func (c *command) invocationToAPI(one *invocation, details bool) types.CommandInvocation {
	out := types.CommandInvocation{
		CommandId: aws.String(c.ID), InstanceId: aws.String(one.Instance), InstanceName: aws.String(one.Name), Comment: aws.String(c.Comment),
		DocumentName: aws.String(c.Document), DocumentVersion: aws.String(c.wanted()), RequestedDateTime: aws.Time(c.Requested), Status: one.Status,
		StatusDetails: aws.String(one.Details), StandardOutputUrl: aws.String(""), StandardErrorUrl: aws.String(""), ServiceRole: aws.String(""),
		CommandPlugins: []types.CommandPlugin{}, NotificationConfig: &types.NotificationConfig{},
	}
	names := c.stepNames()
	if len(names) == 1 { // AWS: "CommandInvocation", StandardOutputUrl
		out.StandardOutputUrl, out.StandardErrorUrl = aws.String(c.Output.url(c.ID, one.Instance, names[0], "stdout")), aws.String(c.Output.url(c.ID, one.Instance, names[0], "stderr"))
	}
	if !details {
		return out
	}
	for at, name := range names {
		step := one.step(at)
		text := step.Output
		if step.Errors != "" {
			text += "\n----------ERROR-------\n" + step.Errors
		}
		plugin := types.CommandPlugin{
			Name: aws.String(name), Output: aws.String(strings.ToValidUTF8(text[:min(len(text), maxListedOutput)], "")), ResponseCode: step.Code, Status: step.Status,
			StatusDetails: aws.String(step.Details), StandardOutputUrl: aws.String(c.Output.url(c.ID, one.Instance, name, "stdout")), StandardErrorUrl: aws.String(c.Output.url(c.ID, one.Instance, name, "stderr")),
		}
		if c.Output != nil {
			plugin.OutputS3BucketName, plugin.OutputS3KeyPrefix, plugin.OutputS3Region = aws.String(c.Output.Bucket), aws.String(c.Output.Prefix), aws.String(c.Output.Region)
		}
		if !step.Started.IsZero() {
			plugin.ResponseStartDateTime = aws.Time(step.Started)
		}
		if !step.Ended.IsZero() {
			plugin.ResponseFinishDateTime = aws.Time(step.Ended)
		}
		out.CommandPlugins = append(out.CommandPlugins, plugin)
	}
	return out
}

// toAPI sums the invocations up. AWS: "Understanding command statuses".
func (c *command) toAPI(all []*invocation) *types.Command {
	out := &types.Command{
		CommandId: aws.String(c.ID), DocumentName: aws.String(c.Document), DocumentVersion: aws.String(c.wanted()), Comment: aws.String(c.Comment), Parameters: c.Parameters,
		InstanceIds: c.Asked, Targets: c.Targets, RequestedDateTime: aws.Time(c.Requested), ExpiresAfter: aws.Time(c.Requested.Add(time.Duration(c.Timeout) * time.Second)),
		TargetCount: int32(len(all)), TimeoutSeconds: aws.Int32(c.Timeout), MaxConcurrency: aws.String(cmp.Or(c.MaxConcurrency, defaultConcurrency)), MaxErrors: aws.String(cmp.Or(c.MaxErrors, defaultErrors)),
		OutputS3BucketName: aws.String(""), OutputS3KeyPrefix: aws.String(""), ServiceRole: aws.String(""), NotificationConfig: &types.NotificationConfig{},
		CloudWatchOutputConfig: &types.CloudWatchOutputConfig{CloudWatchLogGroupName: aws.String("")},
	}
	if o := c.Output; o != nil {
		out.OutputS3BucketName, out.OutputS3KeyPrefix, out.OutputS3Region = aws.String(o.Bucket), aws.String(o.Prefix), aws.String(o.Region)
	}
	if out.InstanceIds == nil {
		out.InstanceIds = []string{}
	}
	if out.Targets == nil {
		out.Targets = []types.Target{}
	}
	var status types.CommandStatus
	worse := func(s types.CommandStatus) {
		order := []types.CommandStatus{"", types.CommandStatusSuccess, types.CommandStatusCancelled, types.CommandStatusTimedOut, types.CommandStatusFailed, types.CommandStatusPending, types.CommandStatusCancelling, types.CommandStatusInProgress}
		if slices.Index(order, s) > slices.Index(order, status) {
			status = s
		}
	}
	for _, one := range all {
		worse(types.CommandStatus(one.Status))
		if one.over() {
			out.CompletedCount++
		}
		switch {
		case one.Details == "DeliveryTimedOut":
			out.DeliveryTimedOutCount++
		case one.over() && one.Status != types.CommandInvocationStatusSuccess && one.Status != types.CommandInvocationStatusCancelled:
			out.ErrorCount++
		}
	}
	if len(all) == 0 {
		status = types.CommandStatusSuccess // AWS: NoInstancesInTag, a success
	}
	out.Status, out.StatusDetails = status, aws.String(string(status))
	if len(all) == 0 {
		out.StatusDetails = aws.String("NoInstancesInTag")
	}
	return out
}
