package ec2

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// pool is where a fleet may launch: a launch template, with what is overridden of it, or a launch specification of a Spot Fleet.
type pool struct {
	config   types.FleetLaunchTemplateConfigRequest
	override *types.FleetLaunchTemplateOverridesRequest
	spec     *types.SpotFleetLaunchSpecification
	// typ is the pool's instance type, or one that has what it requires; "" for the template's.
	typ types.InstanceType
	// subnet and zone are one of those that are listed; nil for none.
	subnet, zone *string
	// room is how many instances it takes at most, 0 for any number.
	room int32
	// units is what an instance counts where the target is not of instances.
	units float64
}

// maxPoolTypes is how many types of those that have what is required are tried.
const maxPoolTypes = 5

// pools are all of them, in the order of the call. Those of a call that was not checked yet, and that say too little, are none.
func (f *fleet) pools(region string) []pool {
	var all []pool
	for _, config := range f.Configs {
		if config.LaunchTemplateSpecification == nil {
			continue
		}
		if len(config.Overrides) == 0 {
			all = append(all, pool{config: config})
		}
		for i := range config.Overrides {
			o := &config.Overrides[i]
			p := pool{config: config, override: o, typ: o.InstanceType}
			all = append(all, p.variants(region, o.InstanceRequirements, o.SubnetId, o.AvailabilityZone)...)
		}
	}
	if f.SpotFleet != nil {
		all = append(all, f.SpotFleet.pools(region)...)
	}
	for i := range all {
		all[i].units = unitsOf(f.Target.TargetCapacityUnitType, all[i].typ)
	}
	return all
}

// variants are the pool with each of the types that have what is required, in each of the subnets and zones that are listed.
func (p pool) variants(region string, required *types.InstanceRequirementsRequest, subnets, zones *string) []pool {
	names := []types.InstanceType{p.typ}
	if required != nil {
		names = typesHaving(region, required)
	}
	var all []pool
	for _, p.typ = range names {
		for _, p.subnet = range listed(subnets) {
			for _, p.zone = range listed(zones) {
				all = append(all, p)
			}
		}
	}
	return all
}

// typesHaving are some types that have what is required, the cheapest first; none where that is wrong.
func typesHaving(region string, required *types.InstanceRequirementsRequest) (found []types.InstanceType) {
	if checkRequirements(required) != nil {
		return nil
	}
	names := typesFor(region, required, func(i *typeInfo) bool {
		return slices.Contains(i.ProcessorInfo.SupportedArchitectures, types.ArchitectureTypeX8664)
	})
	slices.SortStableFunc(names, func(a, b string) int { return cmp.Compare(cheapness(a), cheapness(b)) })
	for _, name := range names[:min(len(names), maxPoolTypes)] {
		found = append(found, types.InstanceType(name))
	}
	return found
}

// listed are the members of a list that is separated by commas; a nil one for no list.
func listed(text *string) []*string {
	if aws.ToString(text) == "" {
		return []*string{nil}
	}
	var all []*string
	for one := range strings.SplitSeq(*text, ",") {
		all = append(all, aws.String(strings.TrimSpace(one)))
	}
	return all
}

// cheapness orders types as prices would: there are none here, so the smaller one is taken for the cheaper one.
func cheapness(name string) int64 {
	info, ok := instanceTypes().findCached(name)
	if !ok {
		return math.MaxInt64
	}
	return int64(aws.ToInt32(info.VCpuInfo.DefaultVCpus))<<40 + aws.ToInt64(info.MemoryInfo.SizeInMiB)
}

// ordered are the pools of a market, the preferred one first.
// AWS: "Use allocation strategies to determine how EC2 Fleet or Spot Fleet fulfills Spot and On-Demand capacity".
func (f *fleet) ordered(all []pool, lifecycle types.InstanceLifecycle) []pool {
	all = slices.Clone(all)
	prioritized := lifecycle == types.InstanceLifecycleOnDemand && f.Demand != nil && f.Demand.AllocationStrategy == types.FleetOnDemandAllocationStrategyPrioritized ||
		lifecycle == types.InstanceLifecycleSpot && f.Spot != nil && f.Spot.AllocationStrategy == types.SpotAllocationStrategyCapacityOptimizedPrioritized
	if prioritized {
		slices.SortStableFunc(all, func(a, b pool) int { return cmp.Compare(a.priority(), b.priority()) })
		return all
	}
	slices.SortStableFunc(all, func(a, b pool) int {
		return cmp.Compare(float64(cheapness(string(a.typ)))/a.weight(), float64(cheapness(string(b.typ)))/b.weight())
	})
	return all
}

// spread is in how many pools the fleet wants its instances.
func (f *fleet) spread(lifecycle types.InstanceLifecycle) int {
	switch {
	case lifecycle != types.InstanceLifecycleSpot || f.Spot == nil:
	case f.Spot.AllocationStrategy == types.SpotAllocationStrategyDiversified:
		return math.MaxInt
	case f.Spot.AllocationStrategy == "" || f.Spot.AllocationStrategy == types.SpotAllocationStrategyLowestPrice:
		return max(1, int(aws.ToInt32(f.Spot.InstancePoolsToUseCount)))
	}
	return 1
}

// priority is the override's, the highest being 0; those without one come last.
func (p pool) priority() float64 {
	if p.override == nil || p.override.Priority == nil {
		return math.MaxFloat64
	}
	return *p.override.Priority
}

// needed is how many instances of the pool make up for what is missing, as far as one launch goes.
func (p pool) needed(missing float64) int32 {
	count := int32(min(math.Ceil(missing/p.weight()), maxLaunch))
	if p.room > 0 {
		count = min(count, p.room)
	}
	return count
}

// weight is what an instance counts for the target.
func (p pool) weight() float64 {
	var weight *float64
	switch {
	case p.units > 0:
		return p.units
	case p.override != nil:
		weight = p.override.WeightedCapacity
	case p.spec != nil:
		weight = p.spec.WeightedCapacity
	}
	if aws.ToFloat64(weight) <= 0 {
		return 1
	}
	return *weight
}

// price is the most that a Spot Instance may cost an hour, nil for any.
func (p pool) price(f *fleet) *string {
	switch {
	case p.override != nil && aws.ToString(p.override.MaxPrice) != "":
		return p.override.MaxPrice
	case p.spec != nil && aws.ToString(p.spec.SpotPrice) != "":
		return p.spec.SpotPrice
	case f.SpotFleet != nil:
		return f.SpotFleet.Config.SpotPrice
	}
	return nil
}

// input is the launch of count instances.
func (p pool) input(f *fleet, count int32, lifecycle types.InstanceLifecycle) (*ec2.RunInstancesInput, error) {
	in := &ec2.RunInstancesInput{TagSpecifications: slices.Clone(f.Launch)}
	if p.spec != nil {
		if err := specifiedLaunch(p.spec, in); err != nil {
			return nil, err
		}
	} else {
		in.LaunchTemplate = &types.LaunchTemplateSpecification{
			LaunchTemplateId: p.config.LaunchTemplateSpecification.LaunchTemplateId, LaunchTemplateName: p.config.LaunchTemplateSpecification.LaunchTemplateName,
			Version: p.config.LaunchTemplateSpecification.Version,
		}
	}
	in.MinCount, in.MaxCount, in.InstanceType, in.SubnetId = aws.Int32(1), aws.Int32(count), p.typ, p.subnet
	var zoneID *string
	if o := p.override; o != nil {
		in.ImageId, in.Placement, zoneID = o.ImageId, o.Placement, o.AvailabilityZoneId
		for _, m := range o.BlockDeviceMappings {
			var made types.BlockDeviceMapping
			if err := reshape(&m, &made); err != nil {
				return nil, err
			}
			in.BlockDeviceMappings = append(in.BlockDeviceMappings, made)
		}
	}
	if p.zone != nil || zoneID != nil {
		place := types.Placement{}
		if in.Placement != nil {
			place = *in.Placement
		}
		place.AvailabilityZone, place.AvailabilityZoneId = p.zone, cmp.Or(zoneID, place.AvailabilityZoneId)
		in.Placement = &place
	}
	if lifecycle == types.InstanceLifecycleSpot {
		in.InstanceMarketOptions = &types.InstanceMarketOptionsRequest{MarketType: types.MarketTypeSpot}
		in.InstanceMarketOptions.SpotOptions = &types.SpotMarketOptions{MaxPrice: p.price(f)}
		if f.stops() {
			in.InstanceMarketOptions.SpotOptions.SpotInstanceType, in.InstanceMarketOptions.SpotOptions.InstanceInterruptionBehavior = types.SpotInstanceTypePersistent, types.InstanceInterruptionBehaviorStop
		}
	}
	return in, nil
}

// from is the pool as answers show it; nil for a launch specification.
func (p pool) from(template string, number string) *types.LaunchTemplateAndOverridesResponse {
	if p.spec != nil {
		return nil
	}
	out := &types.LaunchTemplateAndOverridesResponse{
		LaunchTemplateSpecification: &types.FleetLaunchTemplateSpecification{
			LaunchTemplateId: optional(template), LaunchTemplateName: p.config.LaunchTemplateSpecification.LaunchTemplateName, Version: aws.String(number),
		},
		Overrides: &types.FleetLaunchTemplateOverrides{},
	}
	if template == "" {
		out.LaunchTemplateSpecification.LaunchTemplateId = p.config.LaunchTemplateSpecification.LaunchTemplateId
	} else {
		out.LaunchTemplateSpecification.LaunchTemplateName = nil
	}
	if p.override != nil {
		shown := *p.override
		shown.InstanceRequirements, shown.BlockDeviceMappings, shown.SubnetId, shown.AvailabilityZone = nil, nil, p.subnet, p.zone
		_ = reshape(&shown, out.Overrides) // of the same fields
		out.Overrides.InstanceType = p.typ
	}
	return out
}
