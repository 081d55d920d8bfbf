package ssm

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"miniaws/backend/reconcile"
	"miniaws/backend/store"
)

// association is a document that is to be applied to instances: when it is made or changed, to those that come later, and by
// its schedule.
type association struct {
	ID      string
	Version int64
	Created time.Time
	Tags    map[string]string `json:",omitempty"`
	// Instance is that of an association with one instance, which its document and instance name; "" for others.
	Instance string `json:",omitempty"`
	associationSettings

	// Applied are the instances to which this version was applied, with the execution that did it last.
	Applied map[string]string `json:",omitempty"`
	// Looked is until when its schedule was followed, Once that it is to run at the next look whatever the schedule says.
	Looked time.Time
	Once   bool `json:",omitempty"`
	// Executed is when it was run last.
	Executed time.Time `json:",omitzero"`
}

// associationSettings are what UpdateAssociation changes.
type associationSettings struct {
	Document, DocumentVersion string
	Name                      string              `json:",omitempty"`
	Parameters                map[string][]string `json:",omitempty"`
	Targets                   []types.Target      `json:",omitempty"`
	Schedule                  string              `json:",omitempty"`
	Offset                    int32               `json:",omitempty"` // days
	// OnSchedule tells that it runs at the times of its schedule only.
	OnSchedule                bool                                `json:",omitempty"`
	Severity                  types.AssociationComplianceSeverity `json:",omitempty"`
	MaxConcurrency, MaxErrors string                              `json:",omitempty"`
	// Compliance says who tells of it: nobody here does, so it is kept as it was given.
	Compliance types.AssociationSyncCompliance `json:",omitempty"`
	Updated    time.Time
}

// associationVersion is what an association was.
type associationVersion struct {
	Association string
	Number      int64
	associationSettings
}

var associations = store.NewTable(store.Spec[association]{
	Service: "ssm", Name: "associations", ID: func(a *association) store.ID { return store.ID{a.ID} },
})

var associationVersions = store.NewTable(store.Spec[associationVersion]{
	Service: "ssm", Name: "association-versions", ID: func(v *associationVersion) store.ID {
		return store.ID{v.Association, strconv.FormatInt(1e6+v.Number, 10)}
	},
})

const (
	// associationKind is the kind of work of the reconcile loop: what an association is to run.
	associationKind = "ssm.association"
	// AWS: "CreateAssociation" and "UpdateAssociation", Errors.
	maxAssociations, maxAssociationVersions = 2000, 1000
	// shortestRate is how often a rate may let an association run. AWS: "Reference: Cron and rate expressions for Systems Manager".
	shortestRate = 30 * time.Minute
)

func associationItem(scope store.Scope, id string) reconcile.Item {
	return reconcile.Item{Kind: associationKind, Account: scope.Account, Region: scope.Region, ID: id}
}

func (a *association) version() string { return strconv.FormatInt(a.Version, 10) }

// checkAssociation checks what can be checked without records.
func checkAssociation(set associationSettings) error {
	if set.Schedule == "" {
		if set.OnSchedule {
			return errInvalidSchedule()
		}
		if set.Offset != 0 {
			return errInvalidSchedule()
		}
	} else {
		s := parseSchedule(set.Schedule)
		// AWS: "CreateAssociation": ApplyOnlyAtCronInterval is not for rates, an offset needs it.
		if s == nil || s.every > 0 && (s.every < shortestRate || set.OnSchedule) || set.Offset != 0 && (s.cron == nil || !set.OnSchedule) {
			return errInvalidSchedule()
		}
	}
	if text, err := json.Marshal(set.Parameters); err != nil || len(text) > maxParameters {
		return errMaxDocumentSize()
	}
	if len(set.Targets) == 0 {
		return errValidation("The request does not name any targets: specify InstanceId or Targets.")
	}
	for _, t := range set.Targets {
		key := aws.ToString(t.Key)
		switch {
		case key == "InstanceIds":
			if slices.Contains(t.Values, "*") && len(t.Values) > 1 {
				return errInvalidTarget(key)
			}
		case strings.HasPrefix(key, "resource-groups:"), key == "ParameterValues":
			return errNotImplemented("associations with the targets " + key)
		case !strings.HasPrefix(key, "tag:") && key != "tag-key" || len(set.Targets) > 5:
			return errInvalidTarget(key)
		}
	}
	return nil
}

// checkDocument finds the document and looks whether the parameters fit it.
func (set *associationSettings) checkDocument(t store.Tx, scope store.Scope) error {
	d, at, err := usable(t, scope, set.Document)
	if err != nil {
		return err
	}
	switch d.Type {
	case types.DocumentTypeCommand:
	case types.DocumentTypeAutomation:
		return errNotImplemented("associations of Automation runbooks")
	default:
		return errInvalidDocument(set.Document)
	}
	v, err := d.version(t, at, set.DocumentVersion, "")
	if err != nil {
		return err
	}
	_, err = v.parsed.plan(set.Parameters)
	return err
}

// CreateAssociation makes an association, which runs at once unless its schedule alone is to count.
func (s *Service) CreateAssociation(ctx context.Context, in *api.CreateAssociationInput) (*api.CreateAssociationOutput, error) {
	if in.AlarmConfiguration != nil || in.AssociationDispatchAssumeRole != nil || in.AutomationTargetParameterName != nil || len(in.CalendarNames) > 0 || in.Duration != nil ||
		in.OutputLocation != nil || len(in.TargetLocations) > 0 || len(in.TargetMaps) > 0 {
		return nil, errNotImplemented("associations with alarms, a role, a runbook's parameter, calendars, a duration, output to S3, target locations or maps")
	}
	c := callOf(ctx)
	a := &association{
		ID: newUUID(), Version: 1, Created: c.now.UTC(), Instance: aws.ToString(in.InstanceId), associationSettings: associationSettings{
			Document: aws.ToString(in.Name), DocumentVersion: cmp.Or(aws.ToString(in.DocumentVersion), "$DEFAULT"), Name: aws.ToString(in.AssociationName), Parameters: in.Parameters, Targets: in.Targets,
			Schedule: aws.ToString(in.ScheduleExpression), Offset: aws.ToInt32(in.ScheduleOffset), OnSchedule: in.ApplyOnlyAtCronInterval, Severity: in.ComplianceSeverity,
			MaxConcurrency: aws.ToString(in.MaxConcurrency), MaxErrors: aws.ToString(in.MaxErrors), Compliance: in.SyncCompliance, Updated: c.now.UTC(),
		},
	}
	a.Looked = a.Created
	if a.Instance != "" {
		// AWS: "CreateAssociation", InstanceId: what cannot be with it.
		if len(in.Targets) > 0 || a.Name != "" || in.DocumentVersion != nil || a.MaxErrors != "" || a.MaxConcurrency != "" || a.Schedule != "" {
			return nil, errValidation("InstanceId cannot be used with Targets, AssociationName, DocumentVersion, MaxErrors, MaxConcurrency or ScheduleExpression.")
		}
		if _, ok, err := s.machine(ctx, c, a.Instance); !ok || err != nil {
			return nil, cmp.Or(err, errInvalidInstance(a.Instance, c.scope.Account))
		}
		a.Targets = []types.Target{{Key: aws.String("InstanceIds"), Values: []string{a.Instance}}}
	}
	if err := checkAssociation(a.associationSettings); err != nil {
		return nil, err
	}
	var err error
	if a.Tags, err = mergeTags(nil, in.Tags); err != nil {
		return nil, err
	}
	out := &api.CreateAssociationOutput{}
	return out, s.config.DB.Update(ctx, func(t store.Tx) error {
		if err := a.checkDocument(t, c.scope); err != nil {
			return err
		}
		all, _, err := associations.In(t, c.scope).List(store.Query{})
		switch {
		case err != nil:
			return err
		case len(all) >= maxAssociations:
			return errTooManyAssociations()
		case slices.ContainsFunc(all, a.clashes):
			return errAssociationExists()
		}
		out.AssociationDescription, err = a.toAPI(t, c.scope)
		return errors.Join(err, associations.In(t, c.scope).Insert(a), a.keepVersion(t, c.scope), reconcile.Want(t, associationItem(c.scope, a.ID)))
	})
}

// clashes tells whether another association has the document and the instance that name this one.
func (a *association) clashes(other *association) bool {
	return a.Instance != "" && other.ID != a.ID && other.Instance == a.Instance && other.Document == a.Document
}

// isInstance tells whether targets are one instance, by its id.
func isInstance(targets []types.Target, id string) bool {
	return len(targets) == 1 && aws.ToString(targets[0].Key) == "InstanceIds" && slices.Equal(targets[0].Values, []string{id})
}

func (a *association) keepVersion(t store.Tx, scope store.Scope) error {
	return associationVersions.In(t, scope).Put(&associationVersion{a.ID, a.Version, a.associationSettings})
}

// named answers the association that an id, or a document and an instance name.
func namedAssociation(t store.Tx, scope store.Scope, id, document, instance *string) (*association, error) {
	if aws.ToString(id) != "" {
		a, err := associations.In(t, scope).Find(*id)
		if a == nil && err == nil {
			err = errNoAssociation()
		}
		return a, err
	}
	if aws.ToString(document) == "" || aws.ToString(instance) == "" {
		return nil, errValidation("Specify either AssociationId, or Name and InstanceId.")
	}
	for a, err := range associations.In(t, scope).Scan(store.Query{}) {
		if err != nil {
			return nil, err
		}
		if a.Instance == *instance && a.Document == *document {
			return a, nil
		}
	}
	return nil, errNoAssociation()
}

// UpdateAssociation makes another version of it; what the call leaves out is taken away, but for document and targets.
// AWS: "UpdateAssociation".
func (s *Service) UpdateAssociation(ctx context.Context, in *api.UpdateAssociationInput) (*api.UpdateAssociationOutput, error) {
	if in.AlarmConfiguration != nil || in.AssociationDispatchAssumeRole != nil || in.AutomationTargetParameterName != nil || len(in.CalendarNames) > 0 || in.Duration != nil ||
		in.OutputLocation != nil || len(in.TargetLocations) > 0 || len(in.TargetMaps) > 0 {
		return nil, errNotImplemented("associations with alarms, a role, a runbook's parameter, calendars, a duration, output to S3, target locations or maps")
	}
	c, out := callOf(ctx), &api.UpdateAssociationOutput{}
	return out, s.config.DB.Update(ctx, func(t store.Tx) error {
		a, err := namedAssociation(t, c.scope, in.AssociationId, nil, nil)
		if err != nil {
			return err
		}
		if which := aws.ToString(in.AssociationVersion); which != "" && which != "$LATEST" && which != a.version() {
			return errAssociationVersion()
		}
		if a.Version >= maxAssociationVersions {
			return errTooManyAssociationVersions()
		}
		next := associationSettings{
			Document: cmp.Or(aws.ToString(in.Name), a.Document), DocumentVersion: cmp.Or(aws.ToString(in.DocumentVersion), "$DEFAULT"), Name: aws.ToString(in.AssociationName), Parameters: in.Parameters, Targets: in.Targets,
			Schedule: aws.ToString(in.ScheduleExpression), Offset: aws.ToInt32(in.ScheduleOffset), OnSchedule: in.ApplyOnlyAtCronInterval, Severity: in.ComplianceSeverity,
			MaxConcurrency: aws.ToString(in.MaxConcurrency), MaxErrors: aws.ToString(in.MaxErrors), Compliance: in.SyncCompliance, Updated: t.Now().UTC(),
		}
		if len(next.Targets) == 0 {
			next.Targets = a.Targets
		}
		if err := checkAssociation(next); err != nil {
			return err
		}
		if err := next.checkDocument(t, c.scope); err != nil {
			return err
		}
		a.associationSettings, a.Version, a.Applied, a.Looked = next, a.Version+1, nil, next.Updated
		if !isInstance(a.Targets, a.Instance) {
			a.Instance = "" // document and instance do not name it any more
		}
		all, _, err := associations.In(t, c.scope).List(store.Query{})
		if err != nil {
			return err
		}
		if slices.ContainsFunc(all, a.clashes) {
			return errInvalidUpdate()
		}
		out.AssociationDescription, err = a.toAPI(t, c.scope)
		return errors.Join(err, associations.In(t, c.scope).Put(a), a.keepVersion(t, c.scope), reconcile.Want(t, associationItem(c.scope, a.ID)))
	})
}

// DeleteAssociation ends an association; what it did in instances stays.
func (s *Service) DeleteAssociation(ctx context.Context, in *api.DeleteAssociationInput) (*api.DeleteAssociationOutput, error) {
	c := callOf(ctx)
	return &api.DeleteAssociationOutput{}, s.config.DB.Update(ctx, func(t store.Tx) error {
		a, err := namedAssociation(t, c.scope, in.AssociationId, in.Name, in.InstanceId)
		if err != nil {
			return err
		}
		olds, _, err := associationVersions.In(t, c.scope).List(store.Query{Parts: store.ID{a.ID}})
		for _, v := range olds {
			err = errors.Join(err, associationVersions.In(t, c.scope).Delete(v.Association, strconv.FormatInt(1e6+v.Number, 10)))
		}
		runs, _, failure := associationExecutions.In(t, c.scope).List(store.Query{Parts: store.ID{a.ID}})
		for _, e := range runs {
			failure = errors.Join(failure, associationExecutions.In(t, c.scope).Delete(e.Association, e.ID))
		}
		return errors.Join(err, failure, associations.In(t, c.scope).Delete(a.ID))
	})
}

// DescribeAssociation answers one, in its newest version or in an older one.
func (s *Service) DescribeAssociation(ctx context.Context, in *api.DescribeAssociationInput) (*api.DescribeAssociationOutput, error) {
	c, out := callOf(ctx), &api.DescribeAssociationOutput{}
	return out, s.config.DB.View(ctx, func(t store.Tx) error {
		a, err := namedAssociation(t, c.scope, in.AssociationId, in.Name, in.InstanceId)
		if err != nil {
			return err
		}
		if which := aws.ToString(in.AssociationVersion); which != "" && which != "$LATEST" && which != a.version() {
			n, err := strconv.ParseInt(which, 10, 64)
			if err != nil {
				return errAssociationVersion()
			}
			v, err := associationVersions.In(t, c.scope).Find(a.ID, strconv.FormatInt(1e6+n, 10))
			if v == nil {
				return cmp.Or(err, errAssociationVersion())
			}
			a.associationSettings, a.Version = v.associationSettings, v.Number
		}
		out.AssociationDescription, err = a.toAPI(t, c.scope)
		return err
	})
}

// ListAssociations lists them in the order of their ids.
func (s *Service) ListAssociations(ctx context.Context, in *api.ListAssociationsInput) (*api.ListAssociationsOutput, error) {
	c := callOf(ctx)
	after, limit, err := page(in.NextToken, in.MaxResults, 50)
	if err != nil {
		return nil, err
	}
	out := &api.ListAssociationsOutput{Associations: []types.Association{}}
	return out, s.config.DB.View(ctx, func(t store.Tx) error {
		out.Associations, out.NextToken = []types.Association{}, nil
		for a, err := range associations.In(t, c.scope).Scan(store.Query{}) {
			if err != nil {
				return err
			}
			full, err := a.toAPI(t, c.scope)
			if err != nil {
				return err
			}
			matches, err := a.matches(in.AssociationFilterList, full)
			if err != nil {
				return err
			}
			if !matches || a.ID <= after {
				continue
			}
			if len(out.Associations) == limit {
				out.NextToken = token(*out.Associations[limit-1].AssociationId)
				return nil
			}
			out.Associations = append(out.Associations, types.Association{
				AssociationId: full.AssociationId, AssociationName: full.AssociationName, AssociationVersion: full.AssociationVersion, DocumentVersion: full.DocumentVersion, InstanceId: full.InstanceId,
				LastExecutionDate: full.LastExecutionDate, Name: full.Name, Overview: full.Overview, ScheduleExpression: full.ScheduleExpression, ScheduleOffset: full.ScheduleOffset, Targets: full.Targets,
			})
		}
		return nil
	})
}

// matches tells whether an association has what filters ask for.
func (a *association) matches(wanted []types.AssociationFilter, full *types.AssociationDescription) (bool, error) {
	for _, f := range wanted {
		value, ok := aws.ToString(f.Value), false
		switch f.Key {
		case types.AssociationFilterKeyInstanceId:
			ok = a.Instance == value || slices.ContainsFunc(a.Targets, func(t types.Target) bool {
				return aws.ToString(t.Key) == "InstanceIds" && slices.Contains(t.Values, value)
			})
		case types.AssociationFilterKeyName:
			ok = a.Document == value
		case types.AssociationFilterKeyAssociationId:
			ok = a.ID == value
		case types.AssociationFilterKeyAssociationName:
			ok = a.Name == value
		case types.AssociationFilterKeyStatus:
			ok = aws.ToString(full.Overview.Status) == value
		case types.AssociationFilterKeyLastExecutedBefore, types.AssociationFilterKeyLastExecutedAfter:
			at, err := time.Parse(time.RFC3339, value)
			if err != nil {
				return false, errInvalidFilterValue("The filter value isn't valid. Verify the value and try again.")
			}
			ok = !a.Executed.IsZero() && a.Executed.Before(at) == (f.Key == types.AssociationFilterKeyLastExecutedBefore)
		case types.AssociationFilterKeyResourceGroupName: // none targets a group
		default:
			return false, errListFilterKey(string(f.Key))
		}
		if !ok {
			return false, nil
		}
	}
	return true, nil
}

// ListAssociationVersions lists what an association was and is, the newest first.
func (s *Service) ListAssociationVersions(ctx context.Context, in *api.ListAssociationVersionsInput) (*api.ListAssociationVersionsOutput, error) {
	c := callOf(ctx)
	after, limit, err := page(in.NextToken, in.MaxResults, 50)
	if err != nil {
		return nil, err
	}
	out := &api.ListAssociationVersionsOutput{AssociationVersions: []types.AssociationVersionInfo{}}
	return out, s.config.DB.View(ctx, func(t store.Tx) error {
		a, err := namedAssociation(t, c.scope, in.AssociationId, nil, nil)
		if err != nil {
			return err
		}
		all, _, err := associationVersions.In(t, c.scope).List(store.Query{Parts: store.ID{a.ID}})
		for _, v := range slices.Backward(all) {
			number := strconv.FormatInt(v.Number, 10)
			if before, err := strconv.ParseInt(after, 10, 64); err == nil && v.Number >= before {
				continue
			}
			if len(out.AssociationVersions) == limit {
				out.NextToken = token(*out.AssociationVersions[limit-1].AssociationVersion)
				break
			}
			old := association{ID: a.ID, Version: v.Number, associationSettings: v.associationSettings}
			shown := old.describe()
			out.AssociationVersions = append(out.AssociationVersions, types.AssociationVersionInfo{
				AssociationId: shown.AssociationId, AssociationName: shown.AssociationName, AssociationVersion: aws.String(number), ApplyOnlyAtCronInterval: v.OnSchedule, ComplianceSeverity: v.Severity,
				CreatedDate: aws.Time(v.Updated), DocumentVersion: shown.DocumentVersion, MaxConcurrency: shown.MaxConcurrency, MaxErrors: shown.MaxErrors, Name: shown.Name, Parameters: v.Parameters,
				ScheduleExpression: shown.ScheduleExpression, ScheduleOffset: shown.ScheduleOffset, SyncCompliance: shown.SyncCompliance, Targets: v.Targets,
			})
		}
		return err
	})
}

// describe is what an association is, without what became of it.
func (a *association) describe() *types.AssociationDescription {
	out := &types.AssociationDescription{
		AssociationId: aws.String(a.ID), AssociationName: optional(a.Name), AssociationVersion: aws.String(a.version()), Date: aws.Time(a.Created), LastUpdateAssociationDate: aws.Time(a.Updated),
		Name: aws.String(a.Document), DocumentVersion: aws.String(a.DocumentVersion), Parameters: a.Parameters, Targets: a.Targets, ScheduleExpression: optional(a.Schedule), ApplyOnlyAtCronInterval: a.OnSchedule,
		ComplianceSeverity: a.Severity, MaxConcurrency: optional(a.MaxConcurrency), MaxErrors: optional(a.MaxErrors), SyncCompliance: a.Compliance, InstanceId: optional(a.Instance),
	}
	if a.Offset != 0 {
		out.ScheduleOffset = aws.Int32(a.Offset)
	}
	return out
}

// toAPI is describe with what became of it in its instances.
func (a *association) toAPI(t store.Tx, scope store.Scope) (*types.AssociationDescription, error) {
	out := a.describe()
	counts := map[string]int32{}
	for instance, execution := range a.Applied {
		status, _, err := executionStatus(t, scope, execution, instance)
		if err != nil {
			return nil, err
		}
		counts[status]++
	}
	status := sumOfStatuses(maps.Keys(counts))
	out.Overview = &types.AssociationOverview{Status: aws.String(status), DetailedStatus: aws.String(status)}
	if len(counts) > 0 {
		out.Overview.AssociationStatusAggregatedCount = counts
	}
	if !a.Executed.IsZero() {
		out.LastExecutionDate = aws.Time(a.Executed)
		if status == statusSuccess {
			out.LastSuccessfulExecutionDate = out.LastExecutionDate
		}
	}
	return out, nil
}
