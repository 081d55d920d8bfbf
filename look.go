package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"miniaws/backend"
	"miniaws/backend/reconcile"
	"miniaws/backend/store"
)

// looker is a service that can say what one of its resources really is.
type looker interface {
	// Look answers what there is about the id, in whatever account and region: none if it is not one of this service's
	// resources. It asks for the state of now, and says so where it cannot be had.
	Look(ctx context.Context, id string) ([]backend.Fact, error)
}

type lookCommand struct {
	ID string
	administratorFlags
}

func (c *lookCommand) command() *cobra.Command {
	command := onOne("look ID", "Print what a resource really is, now.",
		"ID is that of a resource, such as i-0123456789abcdef0.", &c.ID, c.Run)
	c.addAdministratorFlags(command.Flags())
	return command
}

// Run prints what a resource really is, now.
func (c *lookCommand) Run(ctx context.Context) error {
	var facts []backend.Fact
	if err := c.ask(ctx, http.MethodGet, "/_mini/look?id="+url.QueryEscape(c.ID), nil, &facts); err != nil {
		return err
	}
	for _, f := range facts {
		fmt.Printf("%-12s %s\n", f.Name, strings.ReplaceAll(strings.TrimRight(f.Value, "\n"), "\n", "\n             "))
	}
	return nil
}

// look answers GET /_mini/look?id=ID: the records of that id, what the engine has, what the services add, and what is
// still to be done about it.
func (a *administration) look(r *http.Request) (any, error) {
	id := r.URL.Query().Get("id")
	if id == "" {
		return nil, &refused{http.StatusBadRequest, "id is missing"}
	}
	now := a.worker.world.Load()
	records, err := store.Records(r.Context(), now.db, id)
	if err != nil {
		return nil, err
	}
	written, err := positions(r.Context(), now.db, records)
	if err != nil {
		return nil, err
	}
	var facts []backend.Fact
	for _, record := range records {
		if strings.HasPrefix(record.Place, "/0/_/_/reconcile/") {
			continue // said below
		}
		value := record.Place + "\n" + indented(record.JSON)
		if at, ok := written[record.Place]; ok {
			value += "\n" + at
		}
		facts = append(facts, backend.Fact{Name: "record", Value: value})
	}
	for _, s := range now.cloud.services {
		if l, ok := s.(looker); ok {
			more, err := l.Look(r.Context(), id)
			if err != nil {
				more = append(more, backend.Fact{Name: "failure", Value: err.Error()})
			}
			facts = append(facts, more...)
		}
	}
	facts = append(facts, a.onEngine(r.Context(), id)...)
	if len(facts) == 0 {
		return nil, &refused{http.StatusNotFound, "nothing here has the id " + id}
	}
	pending, err := reconcile.Pending(r.Context(), now.db, id)
	if err != nil {
		return nil, err
	}
	for _, p := range pending {
		text := fmt.Sprintf("%s, due %s, %d attempts", p.Kind, p.Due.Format(time.RFC3339), p.Attempts)
		if p.Failure != "" {
			text += "\n" + p.Failure
		}
		facts = append(facts, backend.Fact{Name: "to do", Value: text})
	}
	return facts, nil
}

// positions tells of records where in the log their last write is.
func positions(ctx context.Context, db store.DB, records []store.Record) (map[string]string, error) {
	places := make([]string, 0, len(records))
	for _, record := range records {
		places = append(places, record.Place)
	}
	revisions, from, err := store.Written(ctx, db, places)
	if err != nil {
		return nil, err
	}
	at := map[string]string{}
	for _, place := range places {
		if revision, ok := revisions[place]; ok {
			at[place] = fmt.Sprintf("written in revision %d of the log", revision)
		} else {
			at[place] = fmt.Sprintf("written before revision %d: it is in the checkpoint, and its place in the log is used again", from)
		}
	}
	return at, nil
}

// indented is JSON as people read it.
func indented(raw []byte) string {
	var out bytes.Buffer
	if json.Indent(&out, raw, "", "  ") != nil {
		return string(raw)
	}
	return out.String()
}

// logTail is how much of a container's output is shown.
const logTail = 2 << 10

// onEngine answers the engine's objects that carry the id.
func (a *administration) onEngine(ctx context.Context, id string) []backend.Fact {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	engine := a.worker.engine
	inventory, ok := engine.(backend.Inventory)
	if !ok {
		return nil
	}
	all, err := inventory.Everything(ctx)
	if err != nil {
		return []backend.Fact{{Name: "engine", Value: err.Error()}}
	}
	var facts []backend.Fact
	for _, o := range all {
		if o.ID != id {
			continue
		}
		facts = append(facts, backend.Fact{Name: o.Kind, Value: o.Name + "\n" + o.EngineID})
		if o.Kind != "container" {
			continue
		}
		facts = append(facts, containerFacts(ctx, engine, id)...)
	}
	return facts
}

func containerFacts(ctx context.Context, engine backend.Engine, id string) []backend.Fact {
	observed, err := engine.Inspect(ctx, id)
	if err != nil {
		return []backend.Fact{{Name: "state", Value: err.Error()}}
	}
	state := string(observed.State)
	switch {
	case observed.Simulated:
		state += ", simulated: no process runs"
	case observed.State == backend.StateRunning:
		state += fmt.Sprintf(", process %d of the engine's host, since %s", observed.PID, observed.Started.Format(time.RFC3339))
	case observed.State == backend.StateExited:
		state += fmt.Sprintf(" with status %d at %s", observed.ExitCode, observed.Ended.Format(time.RFC3339))
	}
	if observed.OutOfMemory {
		state += ", killed at its memory limit"
	}
	if observed.Reason != "" {
		state += "\n" + observed.Reason
	}
	facts := []backend.Fact{{Name: "state", Value: state}}
	if observed.Address.IsValid() {
		facts = append(facts, backend.Fact{Name: "address", Value: observed.Address.String()})
	}
	if stats, err := engine.Stats(ctx, id); err == nil {
		facts = append(facts, backend.Fact{Name: "use", Value: fmt.Sprintf("%.1f MiB of memory, %s of CPU", float64(stats.MemoryBytes)/(1<<20), stats.CPU.Round(time.Millisecond))})
	}
	if looker, ok := engine.(backend.Looker); ok {
		made, err := looker.Look(ctx, id)
		if err != nil {
			made = []backend.Fact{{Name: "container", Value: err.Error()}}
		}
		facts = append(facts, made...)
	}
	var log bytes.Buffer
	if err := engine.Logs(ctx, id, &log, logTail); err == nil && log.Len() > 0 {
		facts = append(facts, backend.Fact{Name: "log", Value: log.String()})
	}
	return facts
}
