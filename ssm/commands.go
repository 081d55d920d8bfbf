package ssm

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"miniaws/backend/guestlink"
	"miniaws/backend/reconcile"
	"miniaws/backend/store"
)

// command is one SendCommand.
type command struct {
	ID, Document, Comment string
	Parameters            map[string][]string
	// Owner is the account that has the document, "Amazon" for AWS's; Version is the document's, Wanted how it was asked for.
	Owner   string `json:",omitempty"`
	Version int64  `json:",omitempty"`
	Wanted  string `json:",omitempty"`
	// Steps are the names of the document's.
	Steps []string `json:",omitempty"`
	// Instances are those that it went to, in order; Asked and Targets how they were named.
	Instances []string
	Asked     []string       `json:",omitempty"`
	Targets   []types.Target `json:",omitempty"`
	Requested time.Time
	// Timeout is how long the delivery may take, in seconds.
	Timeout int32
	// MaxConcurrency is in how many instances it runs at once, MaxErrors after how many failures it begins in no others: numbers, or
	// percentages of the instances.
	MaxConcurrency, MaxErrors string `json:",omitempty"`
	// Association is the one that it is a run of; "" for those of SendCommand, which alone are listed.
	Association string `json:",omitempty"`
	// Output is where in S3 its output goes; nil for nowhere.
	Output *commandOutput `json:",omitempty"`
}

// AWS: "SendCommand": the defaults of MaxConcurrency and MaxErrors.
const defaultConcurrency, defaultErrors = "50", "0"

// share is a number, or a percentage of all, rounded down, and at least the least.
func share(text, otherwise string, all, least int) int {
	number, percent := strings.CutSuffix(cmp.Or(text, otherwise), "%")
	n, _ := strconv.Atoi(number) // the pattern of the parameter was checked
	if percent {
		n = n * all / 100
	}
	return max(least, n)
}

// mayBegin tells whether the command may begin in one more instance, or else whether it never will: too many failed.
func (c *command) mayBegin(t store.Tx, scope store.Scope) (begin, never bool, err error) {
	all, _, err := invocations.In(t, scope).List(store.Query{Parts: store.ID{c.ID}})
	running, failed := 0, 0
	for _, one := range all {
		switch {
		case !one.over() && one.Status != types.CommandInvocationStatusPending:
			running++
		case one.over() && one.Status != types.CommandInvocationStatusSuccess && one.Status != types.CommandInvocationStatusCancelled:
			failed++
		}
	}
	never = failed > share(c.MaxErrors, defaultErrors, len(c.Instances), 0)
	// Those of a single wave all begin, as AWS says that what is under way goes on: errors count for those that wait.
	return !never && running < share(c.MaxConcurrency, defaultConcurrency, len(c.Instances), 1), never, err
}

// invocation is a command in one instance.
//
//	Pending --connected--> InProgress --> Success, Failed, TimedOut
//	Pending, InProgress --CancelCommand--> Cancelling --> Cancelled
type invocation struct {
	Command, Instance, Name string
	Status                  types.CommandInvocationStatus
	Details                 string
	Started, Ended          time.Time `json:",omitzero"`
	// Steps are those that began, in order. Next tells that the last of them ended and another one follows.
	Steps []stepResult `json:",omitempty"`
	Next  bool         `json:",omitempty"`
}

// stepResult is what became of one step of the document.
type stepResult struct {
	Status         types.CommandPluginStatus
	Details        string
	Code           int32
	Output, Errors string    `json:",omitempty"`
	Started, Ended time.Time `json:",omitzero"`
}

func (i *invocation) over() bool { return !i.Ended.IsZero() }

// ready tells that a step may begin.
func (i *invocation) ready() bool {
	return i.Status == types.CommandInvocationStatusPending || i.Status == types.CommandInvocationStatusInProgress && i.Next
}

var commands = store.NewTable(store.Spec[command]{
	Service: "ssm", Name: "commands", ID: func(c *command) store.ID { return store.ID{c.ID} },
})

var invocations = store.NewTable(store.Spec[invocation]{
	Service: "ssm", Name: "command-invocations", ID: func(i *invocation) store.ID { return store.ID{i.Command, i.Instance} },
	Migrations: []func([]byte) ([]byte, error){withSteps},
})

// withSteps gives a record of before documents had steps the one step that there was.
func withSteps(old []byte) ([]byte, error) {
	var was struct {
		invocation
		Code           int32
		Output, Errors string
	}
	if err := json.Unmarshal(old, &was); err != nil {
		return nil, err
	}
	if len(was.Steps) == 0 && !was.Started.IsZero() {
		was.Steps = []stepResult{{
			Status: types.CommandPluginStatus(was.Status), Details: was.Details, Code: was.Code, Output: was.Output, Errors: was.Errors, Started: was.Started, Ended: was.Ended,
		}}
	}
	return json.Marshal(was.invocation)
}

const (
	// invocationKind is the kind of work of the reconcile loop; its id is COMMAND:INSTANCE.
	invocationKind = "ssm.invocation"
	shellScript    = "AWS-RunShellScript"
	scriptPlugin   = "aws:runShellScript"
	// maxCommandOutput is what is kept of each output. AWS: "GetCommandInvocation": the first 24,000 characters.
	maxCommandOutput = 24000
	// maxListedOutput is what a list shows of it. AWS: "ListCommandInvocations": 2,500 characters.
	maxListedOutput = 2500
	// maxParameters bounds a command's parameters as JSON, in bytes: its record holds them.
	// AWS: "SendCommand", MaxDocumentSizeExceeded: document and parameters are 64 KB at most.
	maxParameters  = 48 << 10
	defaultTimeout = 3600
	// With these a script ends the run: no further step runs.
	// AWS: "Command document plugin reference".
	exitWithSuccess = 168
	exitWithFailure = 169
)

// SendCommand runs a script in instances. It answers at once; the reconcile loop delivers it.
func (s *Service) SendCommand(ctx context.Context, in *api.SendCommandInput) (*api.SendCommandOutput, error) {
	c := callOf(ctx)
	if in.NotificationConfig != nil || in.CloudWatchOutputConfig != nil && in.CloudWatchOutputConfig.CloudWatchOutputEnabled ||
		in.AlarmConfiguration != nil || in.ServiceRoleArn != nil || in.DocumentHash != nil {
		return nil, errNotImplemented("SendCommand with output to CloudWatch, notifications, alarms or a document hash")
	}
	if text, err := json.Marshal(in.Parameters); err != nil || len(text) > maxParameters {
		return nil, errMaxDocumentSize()
	}
	var d *document
	var v *documentVersion
	err := s.config.DB.View(ctx, func(t store.Tx) (err error) {
		var at store.Scope
		if d, at, err = usable(t, c.scope, aws.ToString(in.DocumentName)); err == nil {
			v, err = d.version(t, at, aws.ToString(in.DocumentVersion), "")
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if d.Type != types.DocumentTypeCommand {
		return nil, errInvalidDocumentType(d.Type)
	}
	steps, err := v.parsed.plan(in.Parameters)
	if err != nil {
		return nil, err
	}
	found, err := s.targets(ctx, c, in.InstanceIds, in.Targets)
	if err != nil {
		return nil, err
	}
	made := &command{
		ID: newUUID(), Document: aws.ToString(in.DocumentName), Owner: d.owner, Version: v.Number, Wanted: cmp.Or(aws.ToString(in.DocumentVersion), "$DEFAULT"), Comment: aws.ToString(in.Comment), Parameters: in.Parameters, Asked: in.InstanceIds, Targets: in.Targets,
		Requested: c.now, Timeout: defaultTimeout, MaxConcurrency: aws.ToString(in.MaxConcurrency), MaxErrors: aws.ToString(in.MaxErrors),
	}
	if in.TimeoutSeconds != nil {
		made.Timeout = *in.TimeoutSeconds
	}
	if bucket := aws.ToString(in.OutputS3BucketName); bucket != "" {
		if made.Output, err = s.outputTo(ctx, c.scope, bucket, aws.ToString(in.OutputS3KeyPrefix)); err != nil {
			return nil, err
		}
	}
	out := &api.SendCommandOutput{}
	return out, s.config.DB.Update(ctx, func(t store.Tx) error {
		sent := *made
		all, err := sent.send(t, c.scope, steps, found)
		out.Command = sent.toAPI(all)
		return err
	})
}

// send writes the command down, and has it delivered.
func (c *command) send(t store.Tx, scope store.Scope, steps []step, to []Machine) (all []*invocation, err error) {
	for _, one := range steps {
		c.Steps = append(c.Steps, one.name)
	}
	for _, m := range to {
		c.Instances = append(c.Instances, m.ID)
	}
	if err := commands.In(t, scope).Insert(c); err != nil {
		return nil, err
	}
	for _, m := range to {
		one := &invocation{Command: c.ID, Instance: m.ID, Name: m.Name, Status: types.CommandInvocationStatusPending, Details: "Pending"}
		if err := errors.Join(invocations.In(t, scope).Insert(one), reconcile.Want(t, invocationItem(scope, one))); err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, nil
}

func invocationItem(scope store.Scope, i *invocation) reconcile.Item {
	return reconcile.Item{Kind: invocationKind, Account: scope.Account, Region: scope.Region, ID: i.Command + ":" + i.Instance}
}

func newUUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// line is what the shell of the instance runs: the script comes as its input, and is a file when it runs, so that a first
// line with another interpreter counts.
func (s step) line(instance, region string) string {
	folder := ""
	if s.folder != "" {
		folder = "cd " + quoted(s.folder) + " && "
	}
	return "export AWS_SSM_INSTANCE_ID=" + instance + " AWS_SSM_REGION_NAME=" + region + `; d=$(mktemp -d) && cat >"$d/_script.sh" && chmod 700 "$d/_script.sh" && ` +
		folder + `{ sh -c "$d/_script.sh" </dev/null; code=$?; rm -rf "$d"; exit $code; }`
}

// quoted makes one word of a text for a shell.
func quoted(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

// reconcileInvocation delivers a command, and looks after what became of it.
func (s *Service) reconcileInvocation(ctx context.Context, item reconcile.Item) (time.Duration, error) {
	scope := store.Scope{Account: item.Account, Region: item.Region}
	id, instance, _ := strings.Cut(item.ID, ":")
	var sent *command
	var one *invocation
	err := s.config.DB.View(ctx, func(t store.Tx) (err error) {
		if sent, err = commands.In(t, scope).Find(id); err == nil {
			one, err = invocations.In(t, scope).Find(id, instance)
		}
		return err
	})
	if sent == nil || one == nil || err != nil {
		return 0, err
	}
	if one.over() {
		if left := historyKept - time.Since(one.Ended); left > 0 {
			return left, nil
		}
		if shown, err := s.lastOfAssociation(ctx, scope, sent, instance); shown || err != nil {
			return longestPause, err
		}
		return 0, s.forgetInvocation(ctx, scope, id, instance)
	}
	name := runName(item.ID, len(one.Steps)-1)
	running := s.runs.Running(name)
	switch one.Status {
	case types.CommandInvocationStatusCancelling:
		if running {
			s.runs.Cancel(name)
			return time.Second, nil
		}
		return time.Minute, s.settle(ctx, scope, id, instance, func(i *invocation) { i.end("Cancelled", types.CommandInvocationStatusCancelled) })
	case types.CommandInvocationStatusInProgress:
		if one.Next {
			return s.runStep(ctx, scope, sent, one)
		}
		if running {
			return time.Minute, nil
		}
		// It ran under an earlier process of the gateway, and ended with it.
		return time.Minute, s.settle(ctx, scope, id, instance, func(i *invocation) { i.end("Terminated", types.CommandInvocationStatusFailed) })
	}
	if _, ok := s.config.Links.Linked(instance); !ok {
		if time.Since(sent.Requested) > time.Duration(sent.Timeout)*time.Second {
			return time.Minute, s.settle(ctx, scope, id, instance, func(i *invocation) { i.end("DeliveryTimedOut", types.CommandInvocationStatusTimedOut) })
		}
		return time.Second, nil
	}
	return s.runStep(ctx, scope, sent, one)
}

// runName is the name of a step's run.
func runName(item string, step int) string { return item + "#" + strconv.Itoa(step) }

// stepsOf answers the steps of a command, as its document's version has them now.
func (s *Service) stepsOf(ctx context.Context, scope store.Scope, sent *command) (steps []step, err error) {
	err = s.config.DB.View(ctx, func(t store.Tx) error {
		n, err := parseDocumentName(scope, cmp.Or(sent.Document, shellScript))
		if err != nil {
			return err
		}
		d, at := amazonDocument(n.name), scope
		if n.account != "" {
			at.Account = n.account
			d, err = ownDocument(t, at, n.name)
		} else if d == nil {
			err = errInvalidDocument(n.name)
		}
		if err != nil {
			return err
		}
		v, err := d.version(t, at, strconv.FormatInt(max(1, sent.Version), 10), "")
		if err != nil {
			return err
		}
		steps, err = v.parsed.plan(sent.Parameters)
		return err
	})
	return steps, err
}

// runStep starts the next step in the instance, past those that are not for it.
func (s *Service) runStep(ctx context.Context, scope store.Scope, sent *command, one *invocation) (time.Duration, error) {
	steps, err := s.stepsOf(ctx, scope, sent)
	if codeOf(err) != "" { // the document went meanwhile
		return time.Minute, s.settle(ctx, scope, sent.ID, one.Instance, func(i *invocation) { i.end("Undeliverable", types.CommandInvocationStatusFailed) })
	}
	if err != nil {
		return 0, err
	}
	at, exited := nextStep(steps, one.Steps)
	begun, taken, never := len(one.Steps), false, false
	begin := func(i *invocation) {
		now := time.Now().UTC()
		if i.Started.IsZero() {
			i.Started = now
		}
		i.Status, i.Details, i.Next = types.CommandInvocationStatusInProgress, "InProgress", false
		for len(i.Steps) < at {
			why := "Step execution skipped due to unsatisfied preconditions."
			if exited {
				why = "Step execution skipped due to prior step with an exit condition."
			}
			i.Steps = append(i.Steps, stepResult{Status: types.CommandPluginStatusSuccess, Details: "Success", Output: why, Started: now, Ended: now})
		}
		if at < len(steps) {
			i.Steps = append(i.Steps, stepResult{Status: types.CommandPluginStatusInProgress, Details: "InProgress", Code: -1, Started: now})
			return
		}
		i.sumUp()
	}
	err = s.config.DB.Update(ctx, func(t store.Tx) error {
		taken, never = false, false
		if begun == 0 {
			may, no, err := sent.mayBegin(t, scope)
			if never = no; !may || err != nil {
				return err
			}
		}
		return settleRow(t, scope, sent.ID, one.Instance, func(i *invocation) error {
			// Since it was read it may have been cancelled.
			if taken = i.ready() && len(i.Steps) == begun; taken {
				begin(i)
			}
			return nil
		})
	})
	switch {
	case never:
		// AWS: "Understanding command statuses", Terminated: the command exceeded its MaxErrors before it came here.
		return time.Minute, s.settle(ctx, scope, sent.ID, one.Instance, func(i *invocation) { i.end("Terminated", types.CommandInvocationStatusCancelled) })
	case err != nil:
		return time.Minute, err
	case !taken:
		return time.Second, nil
	case at == len(steps):
		return time.Minute, nil
	}
	wanted, item := steps[at], invocationItem(scope, one)
	s.runs.Start(s.config.Links, runName(item.ID, at), guestlink.Command{
		Instance: one.Instance, User: "root", Line: wanted.line(one.Instance, scope.Region), Input: []byte(wanted.text), Timeout: wanted.timeout, MaxOutput: sent.Output.most(),
	}, func(r guestlink.Result) { s.noteResult(scope, sent, one.Instance, at, wanted, r) })
	return time.Minute, nil
}

// nextStep answers which step is to run after those that began, len(steps) for none, and whether one of them said that the
// run is over: then only a last step that is finally runs.
func nextStep(steps []step, began []stepResult) (at int, exited bool) {
	for i, one := range began {
		failed, done := one.Status == types.CommandPluginStatusFailed, one.Status == types.CommandPluginStatusSuccess
		of := steps[min(i, len(steps)-1)]
		if !of.skipped && (one.Code == exitWithSuccess || one.Code == exitWithFailure || failed && of.onFailure == exitRun || done && of.onSuccess == exitRun) {
			exited = true
		}
	}
	at = len(began)
	for at < len(steps) && (steps[at].skipped || exited && (!steps[at].finally || at < len(steps)-1)) {
		at++
	}
	return at, exited
}

// forgetInvocation removes an invocation, and the command with its last one.
func (s *Service) forgetInvocation(ctx context.Context, scope store.Scope, id, instance string) error {
	return s.config.DB.Update(ctx, func(t store.Tx) error {
		rows := invocations.In(t, scope)
		if err := rows.Delete(id, instance); err != nil {
			return err
		}
		left, _, err := rows.List(store.Query{Parts: store.ID{id}, Limit: 1})
		if err != nil || len(left) > 0 {
			return err
		}
		return commands.In(t, scope).Delete(id)
	})
}

// settle changes an invocation that is not over.
func (s *Service) settle(ctx context.Context, scope store.Scope, id, instance string, change func(*invocation)) error {
	return s.settleIn(ctx, scope, id, instance, func(_ store.Tx, i *invocation) error {
		change(i)
		return nil
	})
}

func (s *Service) settleIn(ctx context.Context, scope store.Scope, id, instance string, change func(store.Tx, *invocation) error) error {
	return s.config.DB.Update(ctx, func(t store.Tx) error {
		return settleRow(t, scope, id, instance, func(i *invocation) error { return change(t, i) })
	})
}

// settleRow is settle in a transaction.
func settleRow(t store.Tx, scope store.Scope, id, instance string, change func(*invocation) error) error {
	rows := invocations.In(t, scope)
	one, err := rows.Find(id, instance)
	if one == nil || err != nil || one.over() {
		return err
	}
	if err := change(one); err != nil {
		return err
	}
	return rows.Put(one)
}

func (i *invocation) end(details string, status types.CommandInvocationStatus) {
	i.Status, i.Details, i.Ended = status, details, time.Now().UTC()
	for k := range i.Steps {
		if one := &i.Steps[k]; one.Ended.IsZero() {
			one.Status, one.Details, one.Ended = types.CommandPluginStatus(status), details, i.Ended
		}
	}
}

// sumUp ends an invocation whose steps have ended: it is as its worst step.
func (i *invocation) sumUp() {
	worst := stepResult{Status: types.CommandPluginStatusSuccess, Details: "Success"}
	for _, one := range i.Steps {
		if one.Status != types.CommandPluginStatusSuccess && worst.Status == types.CommandPluginStatusSuccess {
			worst = one
		}
	}
	i.end(worst.Details, types.CommandInvocationStatus(worst.Status))
}

// noteResult writes down what became of a step, and asks for the next one.
func (s *Service) noteResult(scope store.Scope, sent *command, instance string, at int, of step, r guestlink.Result) {
	// Whoever finds the command ended finds its output.
	s.deliver(scope, sent, instance, of.name, r)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	err := s.settleIn(ctx, scope, sent.ID, instance, func(t store.Tx, i *invocation) error {
		if at >= len(i.Steps) {
			return nil
		}
		one := &i.Steps[at]
		one.take(r, recordRoom/max(1, len(sent.Steps)))
		if one.Code == exitWithSuccess {
			one.Errors = "" // as AWS's agent
		}
		if one.Code == exitWithSuccess || one.Status == types.CommandPluginStatusFailed && of.onFailure == succeedAndExit && r.Err == nil {
			one.Code, one.Status, one.Details = exitWithSuccess, types.CommandPluginStatusSuccess, "Success"
		}
		switch {
		case r.Cancelled:
			i.end("Cancelled", types.CommandInvocationStatusCancelled)
		case at+1 < len(sent.Steps) && r.Err == nil:
			i.Next = true
			return reconcile.Want(t, invocationItem(scope, i))
		default:
			i.sumUp()
		}
		return nil
	})
	if err != nil && !errors.Is(err, store.ErrClosed) { // else the next process finds it
		slog.Error("ssm: the result of a command", "command", sent.ID, "instance", instance, "error", err)
	}
}

// take notes a result, in that much room.
func (one *stepResult) take(r guestlink.Result, room int) {
	var left int
	one.Errors, left = kept(r.Errors, room/2)
	one.Output, _ = kept(r.Output, left+room/2)
	one.Code, one.Started, one.Ended = int32(r.ExitCode), r.Started.UTC(), time.Now().UTC()
	switch {
	case r.Cancelled:
		one.Code, one.Status, one.Details = -1, types.CommandPluginStatusCancelled, "Cancelled"
	case r.TimedOut:
		one.Code, one.Status, one.Details = -1, types.CommandPluginStatusTimedOut, "ExecutionTimedOut"
	case r.Err != nil:
		one.Code, one.Status, one.Details = -1, types.CommandPluginStatusFailed, "Undeliverable"
		one.Errors += "\n" + r.Err.Error()
	case r.ExitCode != 0:
		one.Status, one.Details = types.CommandPluginStatusFailed, "Failed"
		one.Errors += fmt.Sprintf("failed to run commands: exit status %d", r.ExitCode)
	default:
		one.Status, one.Details = types.CommandPluginStatusSuccess, "Success"
	}
}

// recordRoom is what both outputs of an invocation may take in its record, as JSON.
const recordRoom = 60_000

// kept is what a record holds of an output: valid UTF-8, and no more of it than there is room for as JSON. It answers the
// room that is left, too.
func kept(output []byte, room int) (text string, left int) {
	text = strings.ToValidUTF8(string(output), "\uFFFD")
	for i, r := range text {
		size := utf8.RuneLen(r)
		switch {
		case strings.ContainsRune("\n\r\t\b\f\"\\", r):
			size = 2
		case r < ' ' || strings.ContainsRune("<>&\u2028\u2029", r):
			size = 6
		}
		if size > room || i+utf8.RuneLen(r) > maxCommandOutput {
			return text[:i], room
		}
		room -= size
	}
	return text, room
}

// CancelCommand ends a command where it has not ended.
func (s *Service) CancelCommand(ctx context.Context, in *api.CancelCommandInput) (*api.CancelCommandOutput, error) {
	c := callOf(ctx)
	return &api.CancelCommandOutput{}, s.config.DB.Update(ctx, func(t store.Tx) error {
		sent, err := commands.In(t, c.scope).Find(*in.CommandId)
		if err != nil {
			return err
		}
		if sent == nil {
			return errInvalidCommandID()
		}
		rows := invocations.In(t, c.scope)
		for _, instance := range sent.Instances {
			if len(in.InstanceIds) > 0 && !slices.Contains(in.InstanceIds, instance) {
				continue
			}
			one, err := rows.Find(sent.ID, instance)
			if err != nil {
				return err
			}
			if one == nil || one.over() {
				continue
			}
			one.Status, one.Details = types.CommandInvocationStatusCancelling, "Cancelling"
			if err := rows.Put(one); err != nil {
				return err
			}
			if err := reconcile.Want(t, invocationItem(c.scope, one)); err != nil {
				return err
			}
		}
		return nil
	})
}
