package ssm

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"miniaws/backend/guestlink"
	"miniaws/backend/store"
)

// TestKeptFitsItsRecord: whatever a command prints, its invocation can be written down.
func TestKeptFitsItsRecord(t *testing.T) {
	for name, output := range map[string]string{
		"text":       strings.Repeat("a line of it\n", 4000),
		"lines":      strings.Repeat("\n", 50_000),
		"controls":   strings.Repeat("\x01", 50_000),
		"not UTF-8":  strings.Repeat("\xff ", 25_000),
		"markup":     strings.Repeat("<&>", 20_000),
		"separators": strings.Repeat("\u2028", 20_000),
		"wide":       "x" + strings.Repeat("é", 30_000),
	} {
		var one stepResult
		one.take(guestlink.Result{Output: []byte(output), Errors: []byte(output)}, recordRoom)
		record, err := json.Marshal(invocation{Steps: []stepResult{one}})
		if err != nil || len(record) > store.MaxValue-2000 {
			t.Errorf("%s: the record has %d bytes: %v", name, len(record), err)
		}
		if !utf8.ValidString(one.Output) || len(one.Output) > maxCommandOutput || len(one.Output) < 4000 {
			t.Errorf("%s: %d bytes are kept", name, len(one.Output))
		}
	}
	if text, _ := kept([]byte("short <b>"), recordRoom); text != "short <b>" {
		t.Errorf("%q", text)
	}
	if text, _ := kept([]byte(strings.Repeat("y\n", 20_000)), recordRoom); len(text) != maxCommandOutput {
		t.Errorf("%d bytes are kept of short lines, want %d", len(text), maxCommandOutput)
	}
}

// TestExits: a step that says so ends the run, but for a last step that is finally.
func TestExits(t *testing.T) {
	const shell = `{"action":"aws:runShellScript","name":"%d","inputs":{"runCommand":"true"%s}}`
	plan := func(inputs ...string) ([]step, error) {
		var all []string
		for i, more := range inputs {
			all = append(all, fmt.Sprintf(shell, i, more))
		}
		parsed, err := parse(types.DocumentFormatJson, `{"schemaVersion":"2.2","mainSteps":[`+strings.Join(all, ",")+`]}`)
		if err != nil {
			t.Fatal(err)
		}
		return parsed.plan(nil)
	}
	const onFailure, onSuccess, finally = `,"onFailure":"exit"`, `,"onSuccess":"exit"`, `,"finallyStep":true`
	failed, done := stepResult{Status: types.CommandPluginStatusFailed, Code: 1}, stepResult{Status: types.CommandPluginStatusSuccess}
	coded := stepResult{Status: types.CommandPluginStatusFailed, Code: exitWithFailure}
	for _, c := range []struct {
		inputs []string
		began  []stepResult
		at     int
		exited bool
	}{
		{[]string{"", "", ""}, []stepResult{failed}, 1, false},
		{[]string{onFailure, "", ""}, []stepResult{done}, 1, false},
		{[]string{onFailure, "", ""}, []stepResult{failed}, 3, true},
		{[]string{onSuccess, "", ""}, []stepResult{failed}, 1, false},
		{[]string{onSuccess, "", ""}, []stepResult{done}, 3, true},
		{[]string{onFailure, "", finally}, []stepResult{failed}, 2, true},
		{[]string{onFailure, finally, ""}, []stepResult{failed}, 3, true},
		{[]string{"", "", finally}, []stepResult{coded}, 2, true},
		{[]string{onFailure, "", finally}, []stepResult{failed, done, done}, 3, true},
	} {
		steps, err := plan(c.inputs...)
		if err != nil {
			t.Fatal(err)
		}
		if at, exited := nextStep(steps, c.began); at != c.at || exited != c.exited {
			t.Errorf("%q after %+v: step %d, %v", c.inputs, c.began, at, exited)
		}
	}
	for _, wrong := range []string{`,"onFailure":"retry"`, `,"onSuccess":"successAndExit"`, `,"maxAttempts":3`} {
		if _, err := plan(wrong); codeOf(err) != "NotImplemented" {
			t.Errorf("%s: %v", wrong, err)
		}
	}
}

// TestSuccessAndExit: a failure that is to count as a success does, and is the end.
func TestSuccessAndExit(t *testing.T) {
	db := store.OpenMemory(store.Options{})
	t.Cleanup(func() { _ = db.Close() })
	s, scope, ctx := New(Config{DB: db}), store.Scope{Account: "111122223333", Region: "us-east-1"}, t.Context()
	of := step{name: "one", onFailure: succeedAndExit}
	for code, want := range map[int]types.CommandInvocationStatus{0: "Success", 1: "Success", exitWithSuccess: "Success"} {
		sent := &command{ID: fmt.Sprint(code), Steps: []string{"one"}, Instances: []string{"i-1"}}
		var after *invocation
		err := db.Update(ctx, func(tx store.Tx) error {
			return invocations.In(tx, scope).Put(&invocation{Command: sent.ID, Instance: "i-1", Status: types.CommandInvocationStatusInProgress, Steps: []stepResult{{Status: types.CommandPluginStatusInProgress}}})
		})
		if err != nil {
			t.Fatal(err)
		}
		s.noteResult(scope, sent, "i-1", 0, of, guestlink.Result{ExitCode: code})
		if err = db.View(ctx, func(tx store.Tx) (err error) {
			after, err = invocations.In(tx, scope).Find(sent.ID, "i-1")
			return err
		}); err != nil || after.Status != want || code != 0 && after.Steps[0].Code != exitWithSuccess {
			t.Errorf("exit status %d: %+v, %v", code, after, err)
		}
	}
}

// TestCancelBetweenSteps: a cancel that comes after the decision to go on counts, and nothing is started.
func TestCancelBetweenSteps(t *testing.T) {
	db := store.OpenMemory(store.Options{})
	t.Cleanup(func() { _ = db.Close() })
	s, scope, ctx := New(Config{DB: db}), store.Scope{Account: "111122223333", Region: "us-east-1"}, t.Context()
	sent := &command{ID: "c", Document: shellScript, Owner: amazon, Version: 1, Parameters: map[string][]string{"commands": {"true"}}, Instances: []string{"i-1"}}
	write := func(i *invocation) {
		t.Helper()
		if err := db.Update(ctx, func(tx store.Tx) error { return invocations.In(tx, scope).Put(i) }); err != nil {
			t.Fatal(err)
		}
	}
	ended := time.Now().UTC()
	for name, now := range map[string]invocation{
		"cancelled":     {Status: types.CommandInvocationStatusCancelling},
		"over":          {Status: types.CommandInvocationStatusCancelled, Ended: ended},
		"begun already": {Status: types.CommandInvocationStatusInProgress, Steps: []stepResult{{Status: types.CommandPluginStatusInProgress}}},
		"going on":      {Status: types.CommandInvocationStatusInProgress, Next: true, Steps: []stepResult{{Ended: ended}}},
	} {
		now.Command, now.Instance = "c", "i-1"
		write(&now)
		read := invocation{Command: "c", Instance: "i-1", Status: types.CommandInvocationStatusPending}
		if _, err := s.runStep(ctx, scope, sent, &read); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if s.runs.Running(runName("c:i-1", 0)) {
			t.Errorf("%s: a step was started", name)
		}
		var after *invocation
		if err := db.View(ctx, func(tx store.Tx) (err error) {
			after, err = invocations.In(tx, scope).Find("c", "i-1")
			return err
		}); err != nil || after.Status != now.Status || len(after.Steps) != len(now.Steps) || after.Next != now.Next {
			t.Errorf("%s: it is %+v now: %v", name, after, err)
		}
	}
}

// TestOldInvocations: what was written before documents had steps is read as what it was.
func TestOldInvocations(t *testing.T) {
	type invocationOfBefore struct {
		Command, Instance, Name, Status, Details string
		Code                                     int32
		Output, Errors                           string    `json:",omitempty"`
		Started, Ended                           time.Time `json:",omitzero"`
		Steps                                    []stepResult
	}
	before := store.NewTable(store.Spec[invocationOfBefore]{
		Service: "ssm", Name: "command-invocations", ID: func(i *invocationOfBefore) store.ID { return store.ID{i.Command, i.Instance} },
	})
	db := store.OpenMemory(store.Options{})
	t.Cleanup(func() { _ = db.Close() })
	began := time.Date(2026, 11, 25, 8, 0, 0, 0, time.UTC)
	ended := began.Add(time.Minute)
	steps := []stepResult{{Status: types.CommandPluginStatusSuccess, Details: "Success", Output: "one"}, {Status: types.CommandPluginStatusFailed, Details: "Failed", Code: 2}}
	scope := store.Scope{Account: "111122223333", Region: "us-east-1"}
	err := db.Update(t.Context(), func(tx store.Tx) error {
		for _, one := range []invocationOfBefore{
			{Instance: "i-failed", Status: "Failed", Details: "Failed", Code: 3, Output: "out", Errors: "err", Started: began, Ended: ended},
			{Instance: "i-runs", Status: "InProgress", Details: "InProgress", Started: began},
			{Instance: "i-waits", Status: "Pending", Details: "Pending"},
			{Instance: "i-steps", Status: "Failed", Details: "Failed", Started: began, Ended: ended, Steps: steps},
		} {
			one.Command = "c"
			if err := before.In(tx, scope).Insert(&one); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Migrate(t.Context(), db, invocations); err != nil {
		t.Fatal(err)
	}
	for instance, want := range map[string][]stepResult{
		"i-failed": {{Status: types.CommandPluginStatusFailed, Details: "Failed", Code: 3, Output: "out", Errors: "err", Started: began, Ended: ended}},
		"i-runs":   {{Status: types.CommandPluginStatusInProgress, Details: "InProgress", Started: began}},
		"i-waits":  nil,
		"i-steps":  steps,
	} {
		err := db.View(t.Context(), func(tx store.Tx) error {
			one, err := invocations.In(tx, scope).Get("c", instance)
			if err == nil && !slices.Equal(one.Steps, want) {
				t.Errorf("%s: %+v, want %+v", instance, one.Steps, want)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
}
