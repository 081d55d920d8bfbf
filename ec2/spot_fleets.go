package ec2

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"miniaws/awsapi"
	"miniaws/awsapi/meta"
	"miniaws/backend/reconcile"
)

// spotFleet is what a fleet has besides that RequestSpotFleet made. It launches as others do; its states have other names,
// it begins and expires at times of its own, and it remembers what happened.
//
//	RequestSpotFleet -> submitted -> active <-> modifying
//	                                   |--(CancelSpotFleetRequests, ValidUntil)--> cancelled_running or cancelled_terminating --(its instances ended)--> cancelled
type spotFleet struct {
	// Config is as it was asked for, with the defaults.
	Config types.SpotFleetRequestConfigData
	// Started tells that its time has begun, Modifying that a new target is not reached for yet.
	Started   bool `json:",omitempty"`
	Modifying bool `json:",omitempty"`
	// Ended is when a canceled one had no instances any more.
	Ended time.Time `json:",omitzero"`
}

var spotFleets = &kind[fleet]{
	prefix: "sfr-", pattern: uuidPattern, typ: types.ResourceTypeSpotFleetRequest, base: fleetBase, notFound: errSpotFleetNotFound, malformed: errSpotFleetMalformed,
	table: tableOf("spot-fleets", fleetBase, map[string]func(*fleet) []string{}),
	pages: pageBounds{1, 1000},
}

// spotFleetLifetime is how long a canceled Spot Fleet whose instances ended is still shown.
// AWS: "DescribeSpotFleetRequests": 48 hours.
const spotFleetLifetime = 48 * time.Hour

// spotFleetService is who launches for a Spot Fleet. AWS: "Service-linked role for Spot Fleet", "spotfleet.amazonaws.com".
const spotFleetService = "spotfleet.amazonaws.com"

func (s *Service) registerSpotFleets(server *awsapi.Server) {
	server.AlsoTakes(meta.EC2, "ExcessCapacityTerminationPolicy", capitalDefault, capitalNoTermination)
	server.Register(meta.EC2,
		awsapi.Op(s.RequestSpotFleet, s.spotFleetAccess),
		awsapi.Op(s.DescribeSpotFleetRequests, inRegion[ec2.DescribeSpotFleetRequestsInput]("DescribeSpotFleetRequests")),
		awsapi.Op(s.DescribeSpotFleetInstances, on(s, "DescribeSpotFleetInstances", func(in *ec2.DescribeSpotFleetInstancesInput) []string { return strs(in.SpotFleetRequestId) })),
		awsapi.Op(s.DescribeSpotFleetRequestHistory, on(s, "DescribeSpotFleetRequestHistory", func(in *ec2.DescribeSpotFleetRequestHistoryInput) []string {
			return strs(in.SpotFleetRequestId)
		})),
		awsapi.Op(s.ModifySpotFleetRequest, on(s, "ModifySpotFleetRequest", func(in *ec2.ModifySpotFleetRequestInput) []string { return strs(in.SpotFleetRequestId) })),
		awsapi.Op(s.CancelSpotFleetRequests, on(s, "CancelSpotFleetRequests", func(in *ec2.CancelSpotFleetRequestsInput) []string { return in.SpotFleetRequestIds })),
	)
}

// spotFleetAccess is what RequestSpotFleet needs: the request, the role that is handed over, and every launch that it may
// make. AWS: "Spot Fleet permissions": ec2:RunInstances and iam:PassRole.
func (s *Service) spotFleetAccess(ctx context.Context, in *ec2.RequestSpotFleetInput) ([]awsapi.Access, error) {
	scope, c := scopeOf(ctx), in.SpotFleetRequestConfig
	if c == nil {
		c = &types.SpotFleetRequestConfigData{}
	}
	made := awsapi.Access{Action: "ec2:RequestSpotFleet", Resources: []string{arn(scope, types.ResourceTypeSpotFleetRequest, "*")}, Conditions: requestTags(c.TagSpecifications)}
	conditionsOf(&made, scope, types.ResourceTypeSpotFleetRequest)
	all := append([]awsapi.Access{made}, tagOnCreate(ctx, "RequestSpotFleet", c.TagSpecifications)...)
	if role := aws.ToString(c.IamFleetRole); isRole(role) {
		all = append(all, awsapi.PassRole(role, spotFleetService))
	}
	configs, err := templateConfigs(c.LaunchTemplateConfigs)
	if err != nil {
		return nil, err
	}
	launches, err := s.launchesAccess(ctx, &fleet{Configs: configs, SpotFleet: &spotFleet{Config: *c}}, types.InstanceLifecycleSpot)
	return append(all, launches...), err
}

// isRole tells whether a text is the ARN of a role.
func isRole(text string) bool {
	parts := strings.SplitN(text, ":", 6)
	return len(parts) == 6 && parts[0] == "arn" && parts[2] == "iam" && len(parts[4]) == 12 && strings.HasPrefix(parts[5], "role/") && len(parts[5]) > len("role/")
}

// templateConfigs are the launch templates of a Spot Fleet as those of other fleets.
func templateConfigs(given []types.LaunchTemplateConfig) ([]types.FleetLaunchTemplateConfigRequest, error) {
	var all []types.FleetLaunchTemplateConfigRequest
	if err := reshape(given, &all); err != nil {
		return nil, err
	}
	for i, config := range given {
		for k, o := range config.Overrides {
			all[i].Overrides[k].MaxPrice = o.SpotPrice
		}
	}
	return all, nil
}

// pools are where the launch specifications of the Spot Fleet say.
func (x *spotFleet) pools(region string) []pool {
	var all []pool
	for i := range x.Config.LaunchSpecifications {
		spec := &x.Config.LaunchSpecifications[i]
		var required *types.InstanceRequirementsRequest
		if spec.InstanceRequirements != nil {
			required = new(types.InstanceRequirementsRequest)
			_ = reshape(spec.InstanceRequirements, required) // of the same fields
		}
		var zones *string
		if spec.Placement != nil {
			zones = spec.Placement.AvailabilityZone
		}
		all = append(all, pool{spec: spec, typ: spec.InstanceType}.variants(region, required, spec.SubnetId, zones)...)
	}
	return all
}

// specifiedLaunch is the launch of a launch specification.
func specifiedLaunch(spec *types.SpotFleetLaunchSpecification, to *ec2.RunInstancesInput) error {
	plain := *spec
	plain.SecurityGroups = nil
	if err := reshape(&plain, to); err != nil {
		return err
	}
	to.SecurityGroups = nil
	for _, g := range spec.SecurityGroups {
		if aws.ToString(g.GroupId) != "" {
			to.SecurityGroupIds = append(to.SecurityGroupIds, *g.GroupId)
		} else if aws.ToString(g.GroupName) != "" {
			to.SecurityGroups = append(to.SecurityGroups, *g.GroupName)
		}
	}
	return nil
}

// RequestSpotFleet makes a Spot Fleet; the loop launches for it.
func (s *Service) RequestSpotFleet(ctx context.Context, in *ec2.RequestSpotFleetInput) (*ec2.RequestSpotFleetOutput, error) {
	f, err := checkSpotFleet(in.SpotFleetRequestConfig)
	if err != nil {
		return nil, err
	}
	for _, p := range f.pools(scopeOf(ctx).Region) {
		if p.spec == nil {
			continue // the template may change, and its history says what is wrong with it
		}
		launch, err := p.input(f, 1, types.InstanceLifecycleSpot)
		if err != nil {
			return nil, err
		}
		var refused *awsapi.Error
		if _, err := checkLaunch(launch); errors.As(err, &refused) && refused.Status != http.StatusNotImplemented {
			return nil, errSpotFleetConfig("Parameter: SpotFleetRequestConfig.LaunchSpecifications is invalid. %s", refused.Message)
		} else if err != nil {
			return nil, err
		}
	}
	var made *fleet
	err = s.update(ctx, func(t tx) (err error) {
		made, err = spotFleets.makeOnce(t, "RequestSpotFleet", f.SpotFleet.Config.ClientToken, in, func() (string, error) {
			if until := f.SpotFleet.Config.ValidUntil; until != nil && !until.After(t.Now()) {
				return "", errSpotFleetParameter("ValidUntil")
			}
			fresh, special := *f, *f.SpotFleet
			fresh.ID, fresh.Created, fresh.SpotFleet = newFleetID(t, spotFleets), t.Now().UTC().Truncate(time.Millisecond), &special
			fresh.note(t, types.EventTypeBatchChange, "submitted", "", "")
			return fresh.ID, errors.Join(spotFleets.insert(t, &fresh), reconcile.Want(t, t.item(fleetKind, fresh.ID)))
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	return &ec2.RequestSpotFleetOutput{SpotFleetRequestId: aws.String(made.ID)}, nil
}

// EC2 takes the policies with capitals, too, and answers them as they were given: Terraform's provider for AWS sends these.
const capitalDefault, capitalNoTermination = "Default", "NoTermination"

// The names that EC2 Fleet has for the strategies of Spot Fleet.
var (
	spotStrategies = map[types.AllocationStrategy]types.SpotAllocationStrategy{
		types.AllocationStrategyLowestPrice: types.SpotAllocationStrategyLowestPrice, types.AllocationStrategyDiversified: types.SpotAllocationStrategyDiversified,
		types.AllocationStrategyCapacityOptimized: types.SpotAllocationStrategyCapacityOptimized, types.AllocationStrategyPriceCapacityOptimized: types.SpotAllocationStrategyPriceCapacityOptimized,
		types.AllocationStrategyCapacityOptimizedPrioritized: types.SpotAllocationStrategyCapacityOptimizedPrioritized,
	}
	demandStrategies = map[types.OnDemandAllocationStrategy]types.FleetOnDemandAllocationStrategy{
		types.OnDemandAllocationStrategyLowestPrice: types.FleetOnDemandAllocationStrategyLowestPrice,
		types.OnDemandAllocationStrategyPrioritized: types.FleetOnDemandAllocationStrategyPrioritized,
	}
	excessPolicies = map[types.ExcessCapacityTerminationPolicy]types.FleetExcessCapacityTerminationPolicy{
		types.ExcessCapacityTerminationPolicyDefault:       types.FleetExcessCapacityTerminationPolicyTermination,
		types.ExcessCapacityTerminationPolicyNoTermination: types.FleetExcessCapacityTerminationPolicyNoTermination,
		capitalDefault: types.FleetExcessCapacityTerminationPolicyTermination, capitalNoTermination: types.FleetExcessCapacityTerminationPolicyNoTermination,
	}
)

// checkSpotFleet checks what can be checked without records.
// AWS: "SpotFleetRequestConfigData".
func checkSpotFleet(in *types.SpotFleetRequestConfigData) (*fleet, error) {
	if err := unsupported("RequestSpotFleet", "LoadBalancersConfig", in.LoadBalancersConfig); err != nil {
		return nil, err
	}
	c := *in
	c.Type = cmp.Or(c.Type, types.FleetTypeMaintain)
	c.AllocationStrategy = cmp.Or(c.AllocationStrategy, types.AllocationStrategyLowestPrice)
	c.OnDemandAllocationStrategy = cmp.Or(c.OnDemandAllocationStrategy, types.OnDemandAllocationStrategyLowestPrice)
	c.ExcessCapacityTerminationPolicy = cmp.Or(c.ExcessCapacityTerminationPolicy, types.ExcessCapacityTerminationPolicyDefault)
	c.InstanceInterruptionBehavior = cmp.Or(c.InstanceInterruptionBehavior, types.InstanceInterruptionBehaviorTerminate)
	c.TerminateInstancesWithExpiration, c.ReplaceUnhealthyInstances = aws.Bool(aws.ToBool(c.TerminateInstancesWithExpiration)), aws.Bool(aws.ToBool(c.ReplaceUnhealthyInstances))
	c.OnDemandTargetCapacity = aws.Int32(aws.ToInt32(c.OnDemandTargetCapacity))
	if err := checkSpotFleetOptions(&c); err != nil {
		return nil, err
	}
	if err := checkSpotFleetLaunches(&c); err != nil {
		return nil, err
	}
	configs, err := templateConfigs(c.LaunchTemplateConfigs)
	if err != nil {
		return nil, err
	}
	f := &fleet{
		Token: aws.ToString(c.ClientToken), Type: c.Type, Excess: excessPolicies[c.ExcessCapacityTerminationPolicy], Context: aws.ToString(c.Context), Configs: configs,
		Spot: &types.SpotOptionsRequest{
			AllocationStrategy: spotStrategies[c.AllocationStrategy], InstancePoolsToUseCount: c.InstancePoolsToUseCount, InstanceInterruptionBehavior: types.SpotInstanceInterruptionBehavior(c.InstanceInterruptionBehavior),
		},
		Heals:  *c.ReplaceUnhealthyInstances,
		Demand: &types.OnDemandOptionsRequest{AllocationStrategy: demandStrategies[c.OnDemandAllocationStrategy]}, SpotFleet: &spotFleet{Config: c},
	}
	specified := slices.ContainsFunc(c.LaunchSpecifications, func(l types.SpotFleetLaunchSpecification) bool { return l.InstanceRequirements == nil })
	if err := checkUnits(c.TargetCapacityUnitType, !specified && require(configs)); err != nil {
		return nil, err
	}
	if c.SpotMaintenanceStrategies != nil {
		f.Spot.MaintenanceStrategies = new(types.FleetSpotMaintenanceStrategiesRequest)
		if err := reshape(c.SpotMaintenanceStrategies, f.Spot.MaintenanceStrategies); err != nil {
			return nil, err
		}
		if err := f.checkRebalance(f.Spot.MaintenanceStrategies); err != nil {
			return nil, err
		}
	}
	// AWS: "SpotFleetRequestConfigData", TagSpecifications: the request's alone.
	if f.Tags, err = tagsOnCreate(c.TagSpecifications, types.ResourceTypeSpotFleetRequest); err != nil {
		return nil, err
	}
	return f, f.aim()
}

// aim takes the target over from the request's configuration.
func (f *fleet) aim() error {
	c := &f.SpotFleet.Config
	total, demand := aws.ToInt32(c.TargetCapacity), aws.ToInt32(c.OnDemandTargetCapacity)
	switch {
	case c.TargetCapacity == nil, total < 0, total == 0 && f.Type != types.FleetTypeMaintain:
		return errSpotFleetParameter("TargetCapacity")
	case demand < 0, demand > total, demand > 0 && len(c.LaunchTemplateConfigs) == 0:
		return errSpotFleetParameter("OnDemandTargetCapacity")
	}
	f.Target = types.TargetCapacitySpecificationRequest{
		TotalTargetCapacity: aws.Int32(total), OnDemandTargetCapacity: aws.Int32(demand), SpotTargetCapacity: aws.Int32(total - demand), DefaultTargetCapacityType: types.DefaultTargetCapacityTypeSpot,
		TargetCapacityUnitType: c.TargetCapacityUnitType,
	}
	return nil
}

func checkSpotFleetOptions(c *types.SpotFleetRequestConfigData) error {
	switch {
	case !isRole(aws.ToString(c.IamFleetRole)):
		return errSpotFleetParameter("IamFleetRole")
	case c.Type != types.FleetTypeMaintain && c.Type != types.FleetTypeRequest:
		return errSpotFleetParameter("Type")
	case spotStrategies[c.AllocationStrategy] == "":
		return errSpotFleetParameter("AllocationStrategy")
	case demandStrategies[c.OnDemandAllocationStrategy] == "":
		return errSpotFleetParameter("OnDemandAllocationStrategy")
	case excessPolicies[c.ExcessCapacityTerminationPolicy] == "":
		return errSpotFleetParameter("ExcessCapacityTerminationPolicy")
	case !slices.Contains(c.InstanceInterruptionBehavior.Values(), c.InstanceInterruptionBehavior):
		return errSpotFleetParameter("InstanceInterruptionBehavior")
	case c.InstanceInterruptionBehavior == types.InstanceInterruptionBehaviorHibernate:
		return errNotImplemented("The interruption behavior hibernate")
	case c.InstanceInterruptionBehavior == types.InstanceInterruptionBehaviorStop && c.Type != types.FleetTypeMaintain:
		return errSpotFleetParameter("InstanceInterruptionBehavior")
	case c.InstancePoolsToUseCount != nil && (*c.InstancePoolsToUseCount < 1 || c.AllocationStrategy != types.AllocationStrategyLowestPrice):
		return errSpotFleetParameter("InstancePoolsToUseCount")
	case aws.ToBool(c.ReplaceUnhealthyInstances) && c.Type != types.FleetTypeMaintain:
		return errSpotFleetParameter("ReplaceUnhealthyInstances")
	case !isPrice(c.SpotPrice):
		return errSpotFleetParameter("SpotPrice")
	case !isPrice(c.SpotMaxTotalPrice):
		return errSpotFleetParameter("SpotMaxTotalPrice")
	case !isPrice(c.OnDemandMaxTotalPrice):
		return errSpotFleetParameter("OnDemandMaxTotalPrice")
	case c.ValidFrom != nil && c.ValidUntil != nil && !c.ValidFrom.Before(*c.ValidUntil):
		return errSpotFleetParameter("ValidUntil")
	case c.AllocationStrategy == types.AllocationStrategyCapacityOptimizedPrioritized && len(c.LaunchTemplateConfigs) == 0:
		return errSpotFleetParameter("AllocationStrategy")
	}
	return nil
}

// isPrice tells whether a text is a price, or absent, as an empty one is.
func isPrice(text *string) bool {
	if aws.ToString(text) == "" {
		return true
	}
	value, err := strconv.ParseFloat(*text, 64)
	return err == nil && value > 0 && !math.IsInf(value, 0)
}

// checkSpotFleetLaunches checks what is to be launched, and completes it for what is shown.
func checkSpotFleetLaunches(c *types.SpotFleetRequestConfigData) error {
	if (len(c.LaunchSpecifications) > 0) == (len(c.LaunchTemplateConfigs) > 0) {
		// AWS: "If you specify LaunchSpecifications, you can't specify LaunchTemplateConfigs"; one of them has to be there.
		return errSpotFleetConfig("Exactly one of LaunchSpecifications and LaunchTemplateConfigs must be specified.")
	}
	c.LaunchSpecifications = slices.Clone(c.LaunchSpecifications)
	for i := range c.LaunchSpecifications {
		spec, name := &c.LaunchSpecifications[i], fmt.Sprintf("LaunchSpecifications[%d]", i)
		if err := unsupported("RequestSpotFleet", "AddressingType", spec.AddressingType); err != nil {
			return err
		}
		if err := checkSpotFleetPool(name, spec.InstanceType, spec.InstanceRequirements, spec.SpotPrice, spec.WeightedCapacity); err != nil {
			return err
		}
		if aws.ToString(spec.ImageId) == "" {
			return errSpotFleetParameter(name + ".ImageId")
		}
		for _, tags := range spec.TagSpecifications {
			if tags.ResourceType != types.ResourceTypeInstance {
				return errSpotFleetParameter(name + ".TagSpecifications")
			}
			if _, err := tagMap(tags.Tags); err != nil {
				return err
			}
		}
		spec.EbsOptimized = aws.Bool(aws.ToBool(spec.EbsOptimized))
	}
	for i, config := range c.LaunchTemplateConfigs {
		l, name := config.LaunchTemplateSpecification, fmt.Sprintf("LaunchTemplateConfigs[%d]", i)
		if l == nil || (aws.ToString(l.LaunchTemplateId) == "") == (aws.ToString(l.LaunchTemplateName) == "") || aws.ToString(l.Version) == "" {
			return errSpotFleetParameter(name + ".LaunchTemplateSpecification")
		}
		for k, o := range config.Overrides {
			if err := checkSpotFleetPool(fmt.Sprintf("%s.Overrides[%d]", name, k), o.InstanceType, o.InstanceRequirements, o.SpotPrice, o.WeightedCapacity); err != nil {
				return err
			}
		}
	}
	return nil
}

func checkSpotFleetPool(name string, typ types.InstanceType, required *types.InstanceRequirements, price *string, weight *float64) error {
	switch {
	case typ != "" && required != nil:
		return errInvalidParameterCombination("InstanceType and InstanceRequirements may not be specified together.")
	case !isPrice(price):
		return errSpotFleetParameter(name + ".SpotPrice")
	case weight != nil && !(*weight > 0 && !math.IsInf(*weight, 0)):
		return errSpotFleetParameter(name + ".WeightedCapacity")
	case required == nil:
		return nil
	}
	var asked types.InstanceRequirementsRequest
	if err := reshape(required, &asked); err != nil {
		return err
	}
	return checkRequirements(&asked)
}
