package ec2

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"miniaws/awsapi"
	"miniaws/awsapi/meta"
	"miniaws/backend/lazyregexp"
	"miniaws/backend/reconcile"
)

// fleet is a group of instances that are launched together, of several launch templates, types and zones.
//
//	CreateFleet -> submitted -> active --(DeleteFleets)--> deleted_terminating or deleted_running --(its instances ended)--> deleted
//
// A fleet of type instant launches once, in the call; one of type request once, soon; one of type maintain whenever it has
// less than it should.
type fleet struct {
	resource
	Created time.Time
	Token   string `json:",omitempty"`
	Type    types.FleetType
	Target  types.TargetCapacitySpecificationRequest
	Configs []types.FleetLaunchTemplateConfigRequest
	Spot    *types.SpotOptionsRequest     `json:",omitempty"`
	Demand  *types.OnDemandOptionsRequest `json:",omitempty"`
	Excess  types.FleetExcessCapacityTerminationPolicy
	Context string                   `json:",omitempty"`
	Launch  []types.TagSpecification `json:",omitempty"` // tags of what it launches

	// Filled tells that it has launched what it could, at least once.
	Filled bool `json:",omitempty"`
	// Members are what was launched before members were rows, Launched is how many rows there were.
	Members  []fleetMember            `json:",omitempty"`
	Launched int64                    `json:",omitempty"`
	Errors   []types.CreateFleetError `json:",omitempty"`
	// Pause is until when it launches nothing, as what it launched last could not run.
	Pause time.Time `json:",omitzero"`
	// Deleted is when it was; Ends tells that its instances end with it.
	Deleted time.Time `json:",omitzero"`
	Ends    bool      `json:",omitempty"`
	// From and Until are its times, zero for none; EndsInTime tells that its instances end with its time.
	From       time.Time `json:",omitzero"`
	Until      time.Time `json:",omitzero"`
	EndsInTime bool      `json:",omitempty"`
	// Expired tells that its time is over: nothing is launched any more. Heals tells that what fails its status checks is replaced.
	Expired bool `json:",omitempty"`
	Heals   bool `json:",omitempty"`
	// Modifying tells that another target or other templates are still to be looked at, Over that its last instance ended after its
	// deletion.
	Modifying, Over bool `json:",omitempty"`
	// Noted is how many events there were.
	Noted int64 `json:",omitempty"`
	// SpotFleet is what a Spot Fleet has besides; nil for others.
	SpotFleet *spotFleet `json:",omitempty"`
}

func fleetBase(f *fleet) *resource { return &f.resource }

var fleets = &kind[fleet]{
	prefix: "fleet-", pattern: uuidPattern, typ: types.ResourceTypeFleet, base: fleetBase, notFound: errFleetNotFound,
	table: tableOf("fleets", fleetBase, map[string]func(*fleet) []string{}),
	pages: pageBounds{1, 1000},
	filters: filters[fleet]{
		"activity-status": func(t tx, f *fleet) []string {
			shown, err := f.toAPI(t)
			t.fail(err)
			return one(string(shown.ActivityStatus))
		},
		"excess-capacity-termination-policy": func(_ tx, f *fleet) []string {
			return named(f.Excess == types.FleetExcessCapacityTerminationPolicyTermination, "true", "false")
		},
		"fleet-state": func(t tx, f *fleet) []string {
			shown, err := f.toAPI(t)
			t.fail(err)
			return one(string(shown.FleetState))
		},
		"replace-unhealthy-instances": func(_ tx, f *fleet) []string { return yesNo(f.Heals) },
		"type":                        func(_ tx, f *fleet) []string { return one(string(f.Type)) },
	},
}

var uuidPattern = lazyregexp.New(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// fleetsOf is the kind of fleets that an id is of.
func fleetsOf(id string) *kind[fleet] {
	if strings.HasPrefix(id, spotFleets.prefix) {
		return spotFleets
	}
	return fleets
}

// newFleetID makes the id of a fleet: unlike others it is a UUID.
func newFleetID(t tx, of *kind[fleet]) string {
	digits := t.NewID("") + t.NewID("")
	return of.prefix + strings.Join([]string{digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:32]}, "-")
}

// fleetKind is the kind of work of the reconcile loop.
const fleetKind = "ec2.fleet"

// fleetTag is on what a fleet launched, by the fleet's id. AWS: "Tag your EC2 Fleet", "Tag your Spot Fleet".
func fleetTag(id string) string {
	if fleetsOf(id) == spotFleets {
		return "aws:ec2spot:fleet-request-id"
	}
	return "aws:ec2:fleet-id"
}

func (s *Service) registerFleets(server *awsapi.Server) {
	server.AlsoTakes(meta.EC2, "SpotAllocationStrategy", shownLowestPrice)
	server.AlsoTakes(meta.EC2, "FleetOnDemandAllocationStrategy", shownLowestPrice)
	server.Register(meta.EC2,
		awsapi.Op(s.CreateFleet, s.fleetAccess),
		awsapi.Op(s.DescribeFleets, inRegion[ec2.DescribeFleetsInput]("DescribeFleets")),
		awsapi.Op(s.DescribeFleetInstances, on(s, "DescribeFleetInstances", func(in *ec2.DescribeFleetInstancesInput) []string { return strs(in.FleetId) })),
		awsapi.Op(s.DescribeFleetHistory, on(s, "DescribeFleetHistory", func(in *ec2.DescribeFleetHistoryInput) []string { return strs(in.FleetId) })),
		awsapi.Op(s.ModifyFleet, s.modifyFleetAccess),
		awsapi.Op(s.DeleteFleets, on(s, "DeleteFleets", func(in *ec2.DeleteFleetsInput) []string { return in.FleetIds })),
	)
}

// fleetAccess is what CreateFleet needs: the fleet, and every launch that it may make.
func (s *Service) fleetAccess(ctx context.Context, in *ec2.CreateFleetInput) ([]awsapi.Access, error) {
	scope := scopeOf(ctx)
	var own, launched []types.TagSpecification
	for _, spec := range in.TagSpecifications {
		if spec.ResourceType == types.ResourceTypeFleet {
			own = append(own, spec)
		} else {
			launched = append(launched, spec)
		}
	}
	made := awsapi.Access{Action: "ec2:CreateFleet", Resources: []string{arn(scope, types.ResourceTypeFleet, "*")}, Conditions: requestTags(own)}
	conditionsOf(&made, scope, types.ResourceTypeFleet)
	launches, err := s.launchesAccess(ctx, &fleet{Configs: in.LaunchTemplateConfigs, Launch: launched}, types.InstanceLifecycleOnDemand)
	return slices.Concat([]awsapi.Access{made}, tagOnCreate(ctx, "CreateFleet", own), launches), err
}

// launchesAccess is what the launches that a fleet may make need.
func (s *Service) launchesAccess(ctx context.Context, f *fleet, lifecycle types.InstanceLifecycle) ([]awsapi.Access, error) {
	scope := scopeOf(ctx)
	var all []awsapi.Access
	for _, p := range f.pools(scope.Region) {
		launch, err := p.input(f, 1, lifecycle)
		if err != nil {
			return nil, err
		}
		access, err := s.runAccess(ctx, launch)
		var known *awsapi.Error
		switch {
		case errors.As(err, &known):
			// The answer, or the fleet's history, says it of this one of its launches. A template or a version may come later, and
			// is then launched without asking again: who may not launch anything may not leave that to a fleet.
			access = []awsapi.Access{{Action: "ec2:RunInstances", Resources: []string{arn(scope, types.ResourceTypeInstance, "*")}}}
		case err != nil:
			return nil, err
		}
		all = append(all, access...)
	}
	return all, nil
}

// fillPatience is how long the loop leaves a fleet of type instant to the call that makes it.
const fillPatience = time.Minute

// CreateFleet makes a fleet. One of type instant answers with what was launched, and with what could not be.
func (s *Service) CreateFleet(ctx context.Context, in *ec2.CreateFleetInput) (*ec2.CreateFleetOutput, error) {
	f, err := checkFleet(in)
	if err != nil {
		return nil, err
	}
	scope := scopeOf(ctx)
	var made *fleet
	err = s.update(ctx, func(t tx) (err error) {
		made, err = fleets.makeOnce(t, "CreateFleet", in.ClientToken, in, func() (string, error) {
			fresh := *f
			fresh.ID, fresh.Created = newFleetID(t, fleets), t.Now().UTC().Truncate(time.Second)
			// One of type instant is filled by this very call, and by the loop if the call does not come to its end.
			var patience time.Duration
			if fresh.Type == types.FleetTypeInstant {
				patience = fillPatience
			}
			fresh.note(t, types.EventTypeBatchChange, "submitted", "", "")
			return fresh.ID, errors.Join(fleets.insert(t, &fresh), reconcile.WantAfter(t, t.item(fleetKind, fresh.ID), patience))
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	if made.Type == types.FleetTypeInstant && !made.Filled {
		if err := s.fillFleet(ctx, scope, made.ID); err != nil {
			return nil, err
		}
	}
	out := &ec2.CreateFleetOutput{}
	return out, s.view(ctx, func(t tx) error {
		have, err := fleets.get(t, made.ID)
		if err != nil {
			return err
		}
		out.FleetId = aws.String(have.ID)
		if have.Type != types.FleetTypeInstant {
			return nil
		}
		out.Errors, out.Instances = append([]types.CreateFleetError{}, have.Errors...), []types.CreateFleetInstance{}
		groups, err := have.groups(t)
		for _, group := range groups {
			out.Instances = append(out.Instances, types.CreateFleetInstance{
				InstanceIds: group.InstanceIds, InstanceType: group.InstanceType, LaunchTemplateAndOverrides: group.LaunchTemplateAndOverrides, Lifecycle: group.Lifecycle,
			})
		}
		return err
	})
}

// shownLowestPrice is how EC2 shows, and takes, the strategy that its API calls lowest-price. Terraform's provider for AWS counts
// on it: its tests against AWS demand this word.
const shownLowestPrice = "lowestPrice"

// checkFleet checks what can be checked without records.
func checkFleet(in *ec2.CreateFleetInput) (*fleet, error) {
	f := &fleet{
		Token: aws.ToString(in.ClientToken), Type: cmp.Or(in.Type, types.FleetTypeMaintain), Configs: in.LaunchTemplateConfigs, Spot: in.SpotOptions, Demand: in.OnDemandOptions,
		Excess: cmp.Or(in.ExcessCapacityTerminationPolicy, types.FleetExcessCapacityTerminationPolicyTermination), Context: aws.ToString(in.Context), Target: *in.TargetCapacitySpecification,
		From: aws.ToTime(in.ValidFrom).UTC(), Until: aws.ToTime(in.ValidUntil).UTC(), EndsInTime: aws.ToBool(in.TerminateInstancesWithExpiration), Heals: aws.ToBool(in.ReplaceUnhealthyInstances),
	}
	if err := unsupported("CreateFleet", "ReservedCapacityOptions", in.ReservedCapacityOptions); err != nil {
		return nil, err
	}
	switch {
	case !slices.Contains(f.Type.Values(), f.Type):
		return nil, errInvalidParameterValue("Value (%s) for parameter type is invalid.", f.Type)
	case len(f.Configs) == 0:
		return nil, errMissingParameter("LaunchTemplateConfigs")
	case f.Heals && f.Type != types.FleetTypeMaintain:
		// AWS: "CreateFleet", ReplaceUnhealthyInstances: "Supported only for fleets of type maintain".
		return nil, errInvalidParameterCombination("ReplaceUnhealthyInstances is supported only for fleets of type maintain.")
	case f.Type == types.FleetTypeInstant && (in.ValidFrom != nil || in.ValidUntil != nil || f.EndsInTime):
		return nil, errInvalidParameterCombination("A fleet of type instant has no times of validity.")
	case in.ValidUntil != nil && !f.Until.After(f.From):
		return nil, errInvalidParameterValue("The value for parameter validUntil is invalid: it must be after validFrom.")
	}
	if err := f.checkTarget(); err != nil {
		return nil, err
	}
	if err := f.checkOptions(); err != nil {
		return nil, err
	}
	if err := checkUnits(f.Target.TargetCapacityUnitType, require(f.Configs)); err != nil {
		return nil, err
	}
	if err := checkConfigs(f.Configs); err != nil {
		return nil, err
	}
	var err error
	kinds := []types.ResourceType{types.ResourceTypeInstance, types.ResourceTypeVolume, types.ResourceTypeNetworkInterface, types.ResourceTypeSpotInstancesRequest}
	if f.Tags, err = tagsOnCreate(in.TagSpecifications, types.ResourceTypeFleet, kinds...); err != nil {
		return nil, err
	}
	for _, spec := range in.TagSpecifications {
		if spec.ResourceType == types.ResourceTypeFleet {
			continue
		}
		// AWS: "CreateFleet", TagSpecifications: instances of other types are tagged by the launch template.
		if f.Type != types.FleetTypeInstant {
			return nil, errInvalidParameterValue("'%s' is not a valid taggable resource type for this operation.", spec.ResourceType)
		}
		f.Launch = append(f.Launch, spec)
	}
	return f, nil
}

// checkConfigs checks where a fleet may launch.
func checkConfigs(configs []types.FleetLaunchTemplateConfigRequest) error {
	for _, config := range configs {
		l := config.LaunchTemplateSpecification
		switch {
		case l == nil || aws.ToString(l.LaunchTemplateId) == "" && aws.ToString(l.LaunchTemplateName) == "":
			return errMissingParameter("LaunchTemplateConfigs.LaunchTemplateSpecification")
		case aws.ToString(l.Version) == "":
			return errMissingParameter("LaunchTemplateConfigs.LaunchTemplateSpecification.Version")
		}
		for _, o := range config.Overrides {
			if o.InstanceType != "" && o.InstanceRequirements != nil {
				return errInvalidParameterCombination("InstanceType and InstanceRequirements may not be specified together.")
			}
			if r := o.InstanceRequirements; r != nil {
				if err := checkRequirements(r); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// checkTarget checks and completes the target capacity: what neither market is named for is the default's.
func (f *fleet) checkTarget() error {
	t := &f.Target
	total, demand, spot := aws.ToInt32(t.TotalTargetCapacity), aws.ToInt32(t.OnDemandTargetCapacity), aws.ToInt32(t.SpotTargetCapacity)
	switch {
	case total < 0 || demand < 0 || spot < 0:
		return errInvalidParameterValue("The target capacity must not be negative.")
	case demand+spot > total:
		return errInvalidParameterCombination("TotalTargetCapacity must be equal to or greater than the sum of OnDemandTargetCapacity and SpotTargetCapacity.")
	}
	switch t.DefaultTargetCapacityType {
	case types.DefaultTargetCapacityTypeSpot:
		spot = total - demand
	case "", types.DefaultTargetCapacityTypeOnDemand:
		t.DefaultTargetCapacityType = types.DefaultTargetCapacityTypeOnDemand
		demand = total - spot
	default:
		return errNotImplemented("The target capacity type " + string(t.DefaultTargetCapacityType))
	}
	t.TotalTargetCapacity, t.OnDemandTargetCapacity, t.SpotTargetCapacity = aws.Int32(total), aws.Int32(demand), aws.Int32(spot)
	return nil
}

// groups are the members by where they come from, as AWS lists them.
func (f *fleet) groups(t tx) (all []types.DescribeFleetsInstances, err error) {
	members, err := f.members(t)
	for _, m := range members {
		at := slices.IndexFunc(all, func(g types.DescribeFleetsInstances) bool {
			return g.InstanceType == m.Type && g.Lifecycle == m.Lifecycle && sameJSON(g.LaunchTemplateAndOverrides, m.From)
		})
		if at < 0 {
			at = len(all)
			all = append(all, types.DescribeFleetsInstances{InstanceType: m.Type, Lifecycle: m.Lifecycle, LaunchTemplateAndOverrides: m.From})
		}
		all[at].InstanceIds = append(all[at].InstanceIds, m.Instance)
	}
	return all, err
}

func (f *fleet) toAPI(t tx) (types.FleetData, error) {
	out := types.FleetData{
		FleetId: aws.String(f.ID), CreateTime: aws.Time(f.Created), ClientToken: optional(f.Token), Type: f.Type, ExcessCapacityTerminationPolicy: f.Excess, Context: optional(f.Context),
		TerminateInstancesWithExpiration: aws.Bool(f.EndsInTime), ReplaceUnhealthyInstances: aws.Bool(f.Heals), Tags: tagsToAPI(tx{}, f.Tags),
		TargetCapacitySpecification: new(types.TargetCapacitySpecification), LaunchTemplateConfigs: []types.FleetLaunchTemplateConfig{},
		FleetState: types.FleetStateCodeSubmitted, ActivityStatus: types.FleetActivityStatusPendingFulfillment,
		SpotOptions:     &types.SpotOptions{AllocationStrategy: types.SpotAllocationStrategyLowestPrice, InstanceInterruptionBehavior: types.SpotInstanceInterruptionBehaviorTerminate, InstancePoolsToUseCount: aws.Int32(1)},
		OnDemandOptions: &types.OnDemandOptions{AllocationStrategy: types.FleetOnDemandAllocationStrategyLowestPrice},
	}
	err := errors.Join(reshape(&f.Target, out.TargetCapacitySpecification), reshape(f.Configs, &out.LaunchTemplateConfigs))
	if f.Spot != nil {
		err = errors.Join(err, reshapeSet(f.Spot, out.SpotOptions))
	}
	if f.Demand != nil {
		err = errors.Join(err, reshapeSet(f.Demand, out.OnDemandOptions))
	}
	if !f.From.IsZero() {
		out.ValidFrom = aws.Time(f.From)
	}
	if !f.Until.IsZero() {
		out.ValidUntil = aws.Time(f.Until)
	}
	if out.SpotOptions.AllocationStrategy == types.SpotAllocationStrategyLowestPrice {
		out.SpotOptions.AllocationStrategy = shownLowestPrice
	} else {
		out.SpotOptions.InstancePoolsToUseCount = nil // AWS: "SpotOptions": supported with the lowest price alone
	}
	if out.OnDemandOptions.AllocationStrategy == types.FleetOnDemandAllocationStrategyLowestPrice {
		out.OnDemandOptions.AllocationStrategy = shownLowestPrice
	}
	alive, failure := f.alive(t)
	if err = errors.Join(err, failure); err != nil {
		return out, err
	}
	fulfilled, demand := capacityOf(alive)
	out.FulfilledCapacity, out.FulfilledOnDemandCapacity = aws.Float64(fulfilled), aws.Float64(demand)
	if f.Filled {
		out.FleetState = types.FleetStateCodeActive
		switch {
		case f.Modifying && len(f.Errors) == 0:
			out.FleetState = types.FleetStateCodeModifying
		case fulfilled >= float64(aws.ToInt32(f.Target.TotalTargetCapacity)):
			out.ActivityStatus = types.FleetActivityStatusFulfilled
		case len(f.Errors) > 0:
			out.ActivityStatus = types.FleetActivityStatusError
		}
	}
	if !f.Deleted.IsZero() {
		out.ActivityStatus = ""
		switch {
		case len(alive) == 0:
			out.FleetState = types.FleetStateCodeDeleted
		case f.Ends:
			out.FleetState, out.ActivityStatus = types.FleetStateCodeDeletedTerminatingInstances, types.FleetActivityStatusPendingTermination
		default:
			out.FleetState = types.FleetStateCodeDeletedRunning
		}
	}
	if f.Type == types.FleetTypeInstant {
		if out.Instances, err = f.groups(t); err != nil {
			return out, err
		}
		for _, e := range f.Errors {
			out.Errors = append(out.Errors, types.DescribeFleetError(e))
		}
	}
	return out, nil
}

// DescribeFleets lists fleets; those of type instant only by their ids.
// AWS: "DescribeFleets", FleetIds.
func (s *Service) DescribeFleets(ctx context.Context, in *ec2.DescribeFleetsInput) (*ec2.DescribeFleetsOutput, error) {
	out := &ec2.DescribeFleetsOutput{}
	return out, s.view(ctx, func(t tx) error {
		out.Fleets = []types.FleetData{}
		list, next, err := fleets.list(t, query{ids: in.FleetIds, filters: in.Filters, max: in.MaxResults, token: in.NextToken})
		if err != nil {
			return err
		}
		out.NextToken = next
		for _, f := range list {
			if f.Type == types.FleetTypeInstant && len(in.FleetIds) == 0 {
				continue
			}
			shown, err := f.toAPI(t)
			if err != nil {
				return err
			}
			out.Fleets = append(out.Fleets, shown)
		}
		return nil
	})
}

// DescribeFleetInstances lists the running instances of a fleet that is not of type instant.
func (s *Service) DescribeFleetInstances(ctx context.Context, in *ec2.DescribeFleetInstancesInput) (*ec2.DescribeFleetInstancesOutput, error) {
	match, err := filters[instance]{"instance-type": instanceFilters["instance-type"]}.compile(instanceBase, in.Filters)
	if err != nil {
		return nil, err
	}
	out := &ec2.DescribeFleetInstancesOutput{FleetId: in.FleetId}
	return out, s.view(ctx, func(t tx) error {
		out.ActiveInstances = []types.ActiveInstance{}
		f, err := fleets.get(t, *in.FleetId)
		if err != nil {
			return err
		}
		if f.Type == types.FleetTypeInstant {
			return errUnsupported("DescribeFleetInstances does not support fleets of type instant.")
		}
		out.ActiveInstances, out.NextToken, err = f.active(t, query{max: in.MaxResults, token: in.NextToken}, func(i *instance) bool { return match.matches(t, i) })
		return err
	})
}

// active answers a page of the instances that run for the fleet, those of them that are asked for.
func (f *fleet) active(t tx, q query, wanted func(*instance) bool) (list []types.ActiveInstance, next *string, err error) {
	alive, err := f.alive(t)
	if err != nil {
		return nil, nil, err
	}
	slices.SortFunc(alive, func(a, b fleetMember) int { return cmp.Compare(a.Instance, b.Instance) })
	list = []types.ActiveInstance{}
	page, next, err := cut(alive, func(m fleetMember) string { return m.Instance }, "fleet-instances", pageBounds{1, 1000}, q)
	for _, m := range page {
		i, failure := instances.read(t, m.Instance)
		if failure != nil {
			return nil, nil, failure
		}
		if wanted(i) {
			list = append(list, types.ActiveInstance{
				InstanceId: aws.String(i.ID), InstanceType: aws.String(string(i.Type)), SpotInstanceRequestId: optional(i.SpotRequest), InstanceHealth: types.InstanceHealthStatusHealthyStatus,
			})
		}
	}
	return list, next, err
}
