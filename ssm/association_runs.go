package ssm

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"miniaws/awsapi"
	"miniaws/backend/reconcile"
	"miniaws/backend/store"
)

// associationExecution is one run of an association. A command of the same id, which lists of commands do not show, has what
// became of it.
//
//	made, changed, a new instance, the schedule, StartAssociationsOnce --> reconcileAssociation --> command --> invocations
type associationExecution struct {
	Association, ID, Version string
	Created                  time.Time
	Instances                []string
}

var associationExecutions = store.NewTable(store.Spec[associationExecution]{
	Service: "ssm", Name: "association-executions", ID: func(e *associationExecution) store.ID { return store.ID{e.Association, e.ID} },
})

// The statuses of associations. AWS: "AssociationOverview", "AssociationExecution".
const (
	statusPending = "Pending"
	statusRunning = "InProgress"
	statusFailed  = "Failed"
	statusSuccess = "Success"
)

// executionStatus is what became of an execution in an instance, and the words of the invocation.
func executionStatus(t store.Tx, scope store.Scope, execution, instance string) (status, details string, err error) {
	one, err := invocations.In(t, scope).Find(execution, instance)
	switch {
	case err != nil:
		return "", "", err
	case one == nil: // of before the last one of an instance was kept
		return statusPending, statusPending, nil
	case !one.over() && one.Status == types.CommandInvocationStatusPending:
		status = statusPending
	case !one.over():
		status = statusRunning
	case one.Status == types.CommandInvocationStatusSuccess:
		status = statusSuccess
	default:
		status = statusFailed
	}
	return status, one.Details, nil
}

// sumOfStatuses is that of all of them: what goes on before what failed, what failed before what did not.
func sumOfStatuses(all iter.Seq[string]) string {
	have := slices.Collect(all)
	for _, status := range []string{statusRunning, statusPending, statusFailed, statusSuccess} {
		if slices.Contains(have, status) {
			return status
		}
	}
	return statusPending // it ran nowhere yet
}

// everywhere is the default of associations. AWS: "CreateAssociation": all targets at the same time; no number of errors is named.
const everywhere = "100%"

// targetsPause is how often an association that names instances by tags looks whether there are others.
const targetsPause = time.Minute

// longestPause is after how long an association is looked at again at the latest: a schedule may be for a time that the loop
// cannot order.
const longestPause = 24 * time.Hour

// targeted are those of the instances that an association is for.
func (a *association) targeted(all []Machine) []Machine {
	return slices.DeleteFunc(slices.Clone(all), func(m Machine) bool {
		for _, t := range a.Targets {
			key := aws.ToString(t.Key)
			tag, isTag := strings.CutPrefix(key, "tag:")
			value, has := m.Tags[tag]
			switch {
			case key == "InstanceIds" && (slices.Contains(t.Values, m.ID) || slices.Contains(t.Values, "*")):
			case key == "tag-key" && slices.ContainsFunc(t.Values, func(k string) bool { _, has := m.Tags[k]; return has }):
			case isTag && has && slices.Contains(t.Values, value):
			default:
				return true
			}
		}
		return false
	})
}

// due answers those of the targets for which it is to run now, and when to look again at the latest; zero for when something
// changes. It runs in those that are connected, and writes down that it looked. What it was applied to it forgets of an
// instance that is no target any more; one that is stopped, or whose link is not back after a start of Mini AWS, still is.
func (a *association) due(now time.Time, targets []Machine, connected func(Machine) bool) (run []Machine, next time.Time) {
	s := parseSchedule(a.Schedule)
	after := func(at time.Time) time.Time {
		if s == nil {
			return time.Time{}
		}
		days := time.Duration(a.Offset) * 24 * time.Hour
		if at = s.next(at.Add(-days), a.Updated); at.IsZero() {
			return at
		}
		return at.Add(days)
	}
	there := slices.DeleteFunc(slices.Clone(targets), func(m Machine) bool { return !connected(m) })
	wanted := after(a.Looked)
	switch {
	case a.Once || !wanted.IsZero() && !wanted.After(now):
		run = there
	case !a.OnSchedule:
		run = slices.DeleteFunc(there, func(m Machine) bool { return a.Applied[m.ID] != "" })
	}
	a.Once, a.Looked = false, now
	maps.DeleteFunc(a.Applied, func(id, _ string) bool {
		return !slices.ContainsFunc(targets, func(m Machine) bool { return m.ID == id })
	})
	next = after(now)
	if poll := now.Add(targetsPause); !a.OnSchedule && a.Instance == "" && (next.IsZero() || next.After(poll)) {
		next = poll
	}
	return run, next
}

// reconcileAssociation runs an association where it is to run now.
func (s *Service) reconcileAssociation(ctx context.Context, item reconcile.Item) (time.Duration, error) {
	scope := store.Scope{Account: item.Account, Region: item.Region}
	all, err := s.machines(ctx, call{scope: scope})
	if err != nil {
		return 0, err
	}
	var again time.Duration
	err = s.config.DB.Update(ctx, func(t store.Tx) error {
		again = 0
		a, err := associations.In(t, scope).Find(item.ID)
		if a == nil || err != nil {
			return err
		}
		run, next := a.due(t.Now().UTC(), a.targeted(all), s.connected)
		if !next.IsZero() {
			again = min(longestPause, max(time.Millisecond, next.Sub(t.Now())))
		}
		if len(run) > 0 {
			if err := a.run(t, scope, run); err != nil {
				slog.Warn("an association does not run", "association", a.ID, "error", err)
			}
		}
		return errors.Join(associations.In(t, scope).Put(a), forgetExecutions(t, scope, a.ID))
	})
	return again, err
}

// run begins an execution in instances. One whose document cannot be run any more is an execution that failed.
func (a *association) run(t store.Tx, scope store.Scope, machines []Machine) error {
	sent := &command{
		ID: newUUID(), Association: a.ID, Document: a.Document, Wanted: a.DocumentVersion, Parameters: a.Parameters, Targets: a.Targets,
		Requested: t.Now().UTC(), Timeout: defaultTimeout, MaxConcurrency: cmp.Or(a.MaxConcurrency, everywhere), MaxErrors: cmp.Or(a.MaxErrors, everywhere),
	}
	steps, err := a.prepare(t, scope, sent)
	var refused *awsapi.Error
	if err != nil && !errors.As(err, &refused) {
		return err
	}
	all, err := sent.send(t, scope, steps, machines)
	if err != nil {
		return err
	}
	for _, one := range all {
		if refused == nil {
			break
		}
		one.Started = sent.Requested
		one.Steps = []stepResult{{Code: -1, Errors: refused.Error(), Started: sent.Requested}}
		one.end("Failed", types.CommandInvocationStatusFailed)
		if err := invocations.In(t, scope).Put(one); err != nil {
			return err
		}
	}
	e := &associationExecution{Association: a.ID, ID: sent.ID, Version: a.version(), Created: sent.Requested, Instances: sent.Instances}
	if a.Applied == nil {
		a.Applied = map[string]string{}
	}
	for _, m := range machines {
		a.Applied[m.ID] = sent.ID
	}
	a.Executed = sent.Requested
	return associationExecutions.In(t, scope).Insert(e)
}

// prepare answers the steps of the association's document, and says in the command which version of it they are of.
func (a *association) prepare(t store.Tx, scope store.Scope, sent *command) ([]step, error) {
	d, at, err := usable(t, scope, a.Document)
	if err != nil {
		return nil, err
	}
	v, err := d.version(t, at, a.DocumentVersion, "")
	if err != nil {
		return nil, err
	}
	sent.Owner, sent.Version = d.owner, v.Number
	return v.parsed.plan(a.Parameters)
}

// lastOfAssociation tells whether an association says of an instance what became of a command, as it is the last one that it ran
// there: that is remembered as long as the association is.
func (s *Service) lastOfAssociation(ctx context.Context, scope store.Scope, sent *command, instance string) (last bool, err error) {
	if sent.Association == "" {
		return false, nil
	}
	err = s.config.DB.View(ctx, func(t store.Tx) error {
		a, err := associations.In(t, scope).Find(sent.Association)
		last = a != nil && a.Applied[instance] == sent.ID
		return err
	})
	return last, err
}

// forgetExecutions removes those whose commands are forgotten.
func forgetExecutions(t store.Tx, scope store.Scope, association string) error {
	rows := associationExecutions.In(t, scope)
	all, _, err := rows.List(store.Query{Parts: store.ID{association}})
	for _, e := range all {
		if t.Now().Sub(e.Created) > historyKept {
			err = errors.Join(err, rows.Delete(e.Association, e.ID))
		}
	}
	return err
}

// associateLater has the associations of an instance's account looked at: it came up.
func (s *Service) associateLater(ctx context.Context, instance string) error {
	account, region, ok, err := s.config.Home(ctx, instance)
	if !ok || err != nil {
		return err
	}
	scope := store.Scope{Account: account, Region: region}
	return s.config.DB.Update(ctx, func(t store.Tx) error {
		for a, err := range associations.In(t, scope).Scan(store.Query{}) {
			if err != nil {
				return err
			}
			if err := reconcile.Want(t, associationItem(scope, a.ID)); err != nil {
				return err
			}
		}
		return nil
	})
}

// StartAssociationsOnce runs associations now, in all of their targets.
func (s *Service) StartAssociationsOnce(ctx context.Context, in *api.StartAssociationsOnceInput) (*api.StartAssociationsOnceOutput, error) {
	c := callOf(ctx)
	return &api.StartAssociationsOnceOutput{}, s.config.DB.Update(ctx, func(t store.Tx) error {
		for _, id := range in.AssociationIds {
			a, err := namedAssociation(t, c.scope, &id, nil, nil)
			if codeOf(err) != "" {
				return errInvalidAssociation()
			}
			if err != nil {
				return err
			}
			a.Once = true
			if err := errors.Join(associations.In(t, c.scope).Put(a), reconcile.Want(t, associationItem(c.scope, id))); err != nil {
				return err
			}
		}
		return nil
	})
}

// executionsOf are the executions of an association, the newest first, as answers show them.
func executionsOf(t store.Tx, scope store.Scope, a *association) ([]types.AssociationExecution, error) {
	all, _, err := associationExecutions.In(t, scope).List(store.Query{Parts: store.ID{a.ID}})
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(all, func(a, b *associationExecution) int { return b.Created.Compare(a.Created) })
	var shown []types.AssociationExecution
	for _, e := range all {
		counts := map[string]int{}
		for _, instance := range e.Instances {
			status, _, err := executionStatus(t, scope, e.ID, instance)
			if err != nil {
				return nil, err
			}
			counts[status]++
		}
		status := sumOfStatuses(maps.Keys(counts))
		var parts []string
		for _, name := range slices.Sorted(maps.Keys(counts)) {
			parts = append(parts, fmt.Sprintf("%s=%d", name, counts[name]))
		}
		shown = append(shown, types.AssociationExecution{
			AssociationId: aws.String(a.ID), AssociationVersion: aws.String(e.Version), CreatedTime: aws.Time(e.Created), ExecutionId: aws.String(e.ID), LastExecutionDate: aws.Time(e.Created),
			Status: aws.String(status), DetailedStatus: aws.String(status), ResourceCountByStatus: aws.String("{" + strings.Join(parts, ", ") + "}"),
		})
	}
	return shown, nil
}

// DescribeAssociationExecutions lists the runs of an association, the newest first.
func (s *Service) DescribeAssociationExecutions(ctx context.Context, in *api.DescribeAssociationExecutionsInput) (*api.DescribeAssociationExecutionsOutput, error) {
	c := callOf(ctx)
	after, limit, err := page(in.NextToken, in.MaxResults, 50)
	if err != nil {
		return nil, err
	}
	out := &api.DescribeAssociationExecutionsOutput{}
	return out, s.config.DB.View(ctx, func(t store.Tx) error {
		a, err := namedAssociation(t, c.scope, in.AssociationId, nil, nil)
		if err != nil {
			return err
		}
		all, err := executionsOf(t, c.scope, a)
		if err != nil {
			return err
		}
		all, err = filterExecutions(all, in.Filters)
		out.AssociationExecutions, out.NextToken = cutAfter(all, after, limit, func(e types.AssociationExecution) string { return *e.ExecutionId })
		return err
	})
}

// cutAfter is the page of a list, in any order, behind the one with an id.
func cutAfter[T any](all []T, after string, limit int, id func(T) string) ([]T, *string) {
	if after != "" {
		all = all[slices.IndexFunc(all, func(one T) bool { return id(one) == after })+1:]
	}
	if len(all) <= limit {
		return append([]T{}, all...), nil
	}
	return all[:limit], token(id(all[limit-1]))
}

func filterExecutions(all []types.AssociationExecution, wanted []types.AssociationExecutionFilter) ([]types.AssociationExecution, error) {
	for _, f := range wanted {
		value := aws.ToString(f.Value)
		var keep func(types.AssociationExecution) bool
		switch f.Key {
		case types.AssociationExecutionFilterKeyExecutionId:
			keep = func(e types.AssociationExecution) bool { return *e.ExecutionId == value }
		case types.AssociationExecutionFilterKeyStatus:
			keep = func(e types.AssociationExecution) bool { return *e.Status == value }
		case types.AssociationExecutionFilterKeyCreatedTime:
			at, err := time.Parse(time.RFC3339, value)
			if err != nil {
				return nil, errInvalidFilterValue("The filter value isn't valid. Verify the value and try again.")
			}
			order := map[types.AssociationFilterOperatorType]int{types.AssociationFilterOperatorTypeLessThan: -1, types.AssociationFilterOperatorTypeGreaterThan: 1}[f.Type]
			keep = func(e types.AssociationExecution) bool { return e.CreatedTime.Compare(at) == order }
		default:
			return nil, errListFilterKey(string(f.Key))
		}
		all = slices.DeleteFunc(all, func(e types.AssociationExecution) bool { return !keep(e) })
	}
	return all, nil
}

// DescribeAssociationExecutionTargets lists the instances of a run.
func (s *Service) DescribeAssociationExecutionTargets(ctx context.Context, in *api.DescribeAssociationExecutionTargetsInput) (*api.DescribeAssociationExecutionTargetsOutput, error) {
	c := callOf(ctx)
	after, limit, err := page(in.NextToken, in.MaxResults, 50)
	if err != nil {
		return nil, err
	}
	out := &api.DescribeAssociationExecutionTargetsOutput{}
	return out, s.config.DB.View(ctx, func(t store.Tx) error {
		a, err := namedAssociation(t, c.scope, in.AssociationId, nil, nil)
		if err != nil {
			return err
		}
		e, err := associationExecutions.In(t, c.scope).Find(a.ID, *in.ExecutionId)
		if err != nil {
			return err
		}
		if e == nil {
			return errNoAssociationExecution()
		}
		const kind = "ManagedInstance"
		var all []types.AssociationExecutionTarget
		for _, instance := range e.Instances {
			status, details, err := executionStatus(t, c.scope, e.ID, instance)
			if err != nil {
				return err
			}
			matches := true
			for _, f := range in.Filters {
				have, known := map[types.AssociationExecutionTargetsFilterKey]string{
					types.AssociationExecutionTargetsFilterKeyStatus: status, types.AssociationExecutionTargetsFilterKeyResourceId: instance, types.AssociationExecutionTargetsFilterKeyResourceType: kind,
				}[f.Key]
				if !known {
					return errListFilterKey(string(f.Key))
				}
				matches = matches && have == aws.ToString(f.Value)
			}
			if matches {
				all = append(all, types.AssociationExecutionTarget{
					AssociationId: aws.String(a.ID), AssociationVersion: aws.String(e.Version), ExecutionId: aws.String(e.ID), LastExecutionDate: aws.Time(e.Created),
					ResourceId: aws.String(instance), ResourceType: aws.String(kind), Status: aws.String(status), DetailedStatus: aws.String(details),
					OutputSource: &types.OutputSource{OutputSourceId: aws.String(e.ID), OutputSourceType: aws.String("RunCommand")},
				})
			}
		}
		out.AssociationExecutionTargets, out.NextToken = cutAfter(all, after, limit, func(one types.AssociationExecutionTarget) string { return *one.ResourceId })
		return nil
	})
}

// associationsOf answers the associations that are for an instance, in the order of their ids.
func (s *Service) associationsOf(ctx context.Context, c call, instance string) ([]*association, error) {
	m, ok, err := s.machine(ctx, c, instance)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, errInvalidInstance(instance, c.scope.Account)
	}
	var all []*association
	err = s.config.DB.View(ctx, func(t store.Tx) error {
		all = nil
		for a, err := range associations.In(t, c.scope).Scan(store.Query{}) {
			if err != nil {
				return err
			}
			if len(a.targeted([]Machine{m})) > 0 {
				all = append(all, a)
			}
		}
		return nil
	})
	return all, err
}

// DescribeInstanceAssociationsStatus lists what became of an instance's associations.
func (s *Service) DescribeInstanceAssociationsStatus(ctx context.Context, in *api.DescribeInstanceAssociationsStatusInput) (*api.DescribeInstanceAssociationsStatusOutput, error) {
	c := callOf(ctx)
	after, limit, err := page(in.NextToken, in.MaxResults, 50)
	if err != nil {
		return nil, err
	}
	found, err := s.associationsOf(ctx, c, *in.InstanceId)
	if err != nil {
		return nil, err
	}
	out := &api.DescribeInstanceAssociationsStatusOutput{}
	return out, s.config.DB.View(ctx, func(t store.Tx) error {
		var all []types.InstanceAssociationStatusInfo
		for _, a := range found {
			one := types.InstanceAssociationStatusInfo{
				AssociationId: aws.String(a.ID), AssociationName: optional(a.Name), AssociationVersion: aws.String(a.version()), DocumentVersion: aws.String(a.DocumentVersion), InstanceId: in.InstanceId,
				Name: aws.String(a.Document), Status: aws.String(statusPending), DetailedStatus: aws.String(statusPending),
			}
			if execution := a.Applied[*in.InstanceId]; execution != "" {
				status, details, err := executionStatus(t, c.scope, execution, *in.InstanceId)
				if err != nil {
					return err
				}
				one.Status, one.DetailedStatus, one.ExecutionDate = aws.String(status), aws.String(details), aws.Time(a.Executed)
			}
			all = append(all, one)
		}
		out.InstanceAssociationStatusInfos, out.NextToken = cutAfter(all, after, limit, func(one types.InstanceAssociationStatusInfo) string { return *one.AssociationId })
		return nil
	})
}

// DescribeEffectiveInstanceAssociations lists an instance's associations with their documents.
func (s *Service) DescribeEffectiveInstanceAssociations(ctx context.Context, in *api.DescribeEffectiveInstanceAssociationsInput) (*api.DescribeEffectiveInstanceAssociationsOutput, error) {
	c := callOf(ctx)
	after, limit, err := page(in.NextToken, in.MaxResults, 5)
	if err != nil {
		return nil, err
	}
	found, err := s.associationsOf(ctx, c, *in.InstanceId)
	if err != nil {
		return nil, err
	}
	found, next := cutAfter(found, after, limit, func(a *association) string { return a.ID })
	out := &api.DescribeEffectiveInstanceAssociationsOutput{Associations: []types.InstanceAssociation{}, NextToken: next}
	return out, s.config.DB.View(ctx, func(t store.Tx) error {
		out.Associations = []types.InstanceAssociation{}
		for _, a := range found {
			d, at, err := usable(t, c.scope, a.Document)
			var v *documentVersion
			if err == nil {
				v, err = d.version(t, at, a.DocumentVersion, "")
			}
			if codeOf(err) != "" {
				continue // the document went, and the association has no effect any more
			}
			if err != nil {
				return err
			}
			out.Associations = append(out.Associations, types.InstanceAssociation{
				AssociationId: aws.String(a.ID), AssociationVersion: aws.String(a.version()), Content: aws.String(v.Content), InstanceId: in.InstanceId,
			})
		}
		return nil
	})
}
