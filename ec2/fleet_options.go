package ec2

import (
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// The delays, in seconds, after which an instance ends whose place another one has taken. AWS: "FleetSpotCapacityRebalanceRequest".
const minRebalanceDelay, maxRebalanceDelay = 120, 7200

// checkOptions checks and completes what a fleet says of its two markets.
// AWS: "SpotOptionsRequest" and "OnDemandOptionsRequest"; the codes are not documented.
func (f *fleet) checkOptions() error {
	if o := f.Spot; o != nil {
		fixed := *o
		if f.Spot = &fixed; fixed.AllocationStrategy == shownLowestPrice {
			fixed.AllocationStrategy = types.SpotAllocationStrategyLowestPrice
		}
		switch o.InstanceInterruptionBehavior {
		case "", types.SpotInstanceInterruptionBehaviorTerminate:
		case types.SpotInstanceInterruptionBehaviorStop:
			// AWS: "Behavior of Spot Instance interruptions": instances of a fleet are stopped if its type is maintain.
			if f.Type != types.FleetTypeMaintain {
				return errInvalidParameterCombination("The interruption behavior 'stop' is supported only for fleets of type maintain.")
			}
		case types.SpotInstanceInterruptionBehaviorHibernate:
			return errNotImplemented("The interruption behavior hibernate")
		default:
			return errInvalidParameterValue("Value (%s) for parameter InstanceInterruptionBehavior is invalid.", o.InstanceInterruptionBehavior)
		}
		if err := f.checkRebalance(o.MaintenanceStrategies); err != nil {
			return err
		}
	}
	if o := f.Demand; o != nil {
		fixed := *o
		if f.Demand = &fixed; fixed.AllocationStrategy == shownLowestPrice {
			fixed.AllocationStrategy = types.FleetOnDemandAllocationStrategyLowestPrice
		}
		if c := o.CapacityReservationOptions; c != nil && c.UsageStrategy != "" {
			switch {
			case c.UsageStrategy != types.FleetCapacityReservationUsageStrategyUseCapacityReservationsFirst:
				return errInvalidParameterValue("Value (%s) for parameter UsageStrategy is invalid.", c.UsageStrategy)
			case f.Type != types.FleetTypeInstant:
				return errInvalidParameterCombination("CapacityReservationOptions is supported only for fleets of type instant.")
			}
		}
	}
	for _, lifecycle := range []types.InstanceLifecycle{types.InstanceLifecycleSpot, types.InstanceLifecycleOnDemand} {
		m := f.market(lifecycle)
		switch {
		case m.least < 0 || m.least > 1000:
			return errInvalidParameterValue("Value (%d) for parameter MinTargetCapacity is invalid.", m.least)
		case float64(m.least) > fleetPart*f.lightest():
			return errNotImplemented("A MinTargetCapacity of more than 100 instances") // one transaction has no room for more
		case (m.least > 0 || m.oneType || m.oneZone) && f.Type != types.FleetTypeInstant:
			return errInvalidParameterCombination("MinTargetCapacity, SingleInstanceType and SingleAvailabilityZone are supported only for fleets of type instant.")
		case m.least > 0 && !m.oneType && !m.oneZone:
			return errInvalidParameterCombination("MinTargetCapacity requires SingleInstanceType or SingleAvailabilityZone.")
		case !isPrice(m.price):
			return errInvalidParameterValue("Value (%s) for parameter MaxTotalPrice is invalid.", aws.ToString(m.price))
		}
	}
	return nil
}

// lightest is the least that an instance counts where the target is of instances, 1 at most.
func (f *fleet) lightest() float64 {
	least := 1.0
	for _, config := range f.Configs {
		for i := range config.Overrides {
			least = min(least, pool{override: &config.Overrides[i]}.weight())
		}
	}
	return least
}

// checkRebalance checks what becomes of Spot Instances that are at risk.
// AWS: "Capacity Rebalancing in EC2 Fleet and Spot Fleet".
func (f *fleet) checkRebalance(m *types.FleetSpotMaintenanceStrategiesRequest) error {
	if m == nil || m.CapacityRebalance == nil {
		return nil
	}
	r := m.CapacityRebalance
	switch delay := aws.ToInt32(r.TerminationDelay); {
	case f.Type != types.FleetTypeMaintain:
		return errInvalidParameterCombination("CapacityRebalance is supported only for fleets of type maintain.")
	case r.ReplacementStrategy == types.FleetReplacementStrategyLaunch && delay == 0: // Terraform's provider for AWS sends 0 for none
		return nil
	case r.ReplacementStrategy == types.FleetReplacementStrategyLaunch:
		return errInvalidParameterCombination("TerminationDelay is not valid when ReplacementStrategy is set to launch.")
	case r.ReplacementStrategy != types.FleetReplacementStrategyLaunchBeforeTerminate:
		return errInvalidParameterValue("Value (%s) for parameter ReplacementStrategy is invalid.", r.ReplacementStrategy)
	case delay < minRebalanceDelay || delay > maxRebalanceDelay:
		return errInvalidParameterValue("Value (%d) for parameter TerminationDelay is invalid. Valid values: %d to %d.", delay, minRebalanceDelay, maxRebalanceDelay)
	}
	return nil
}

// stops tells that Spot Instances of the fleet are stopped where others are terminated: they have requests that last.
func (f *fleet) stops() bool {
	return f.Spot != nil && f.Spot.InstanceInterruptionBehavior == types.SpotInstanceInterruptionBehaviorStop
}

// rebalance is what a fleet does about Spot Instances at risk; nil for nothing.
func (f *fleet) rebalance() *types.FleetSpotCapacityRebalanceRequest {
	if f.Spot == nil || f.Spot.MaintenanceStrategies == nil {
		return nil
	}
	return f.Spot.MaintenanceStrategies.CapacityRebalance
}

// marketOptions are what both markets have.
type marketOptions struct {
	// least is the capacity below which nothing is launched.
	least            int32
	oneType, oneZone bool
	price            *string
}

func (f *fleet) market(lifecycle types.InstanceLifecycle) (m marketOptions) {
	switch o, d := f.Spot, f.Demand; {
	case lifecycle == types.InstanceLifecycleSpot && o != nil:
		m = marketOptions{aws.ToInt32(o.MinTargetCapacity), aws.ToBool(o.SingleInstanceType), aws.ToBool(o.SingleAvailabilityZone), o.MaxTotalPrice}
	case lifecycle == types.InstanceLifecycleOnDemand && d != nil:
		m = marketOptions{aws.ToInt32(d.MinTargetCapacity), aws.ToBool(d.SingleInstanceType), aws.ToBool(d.SingleAvailabilityZone), d.MaxTotalPrice}
	}
	return m
}

// checkUnits checks what the target capacity counts.
// AWS: "TargetCapacitySpecificationRequest", TargetCapacityUnitType: "can only be specified when InstanceRequirements is specified".
func checkUnits(unit types.TargetCapacityUnitType, allRequire bool) error {
	switch {
	case unit == "" || unit == types.TargetCapacityUnitTypeUnits:
	case !slices.Contains(unit.Values(), unit):
		return errInvalidParameterValue("Value (%s) for parameter TargetCapacityUnitType is invalid.", unit)
	case !allRequire:
		return errInvalidParameterCombination("TargetCapacityUnitType can be specified only with InstanceRequirements.")
	}
	return nil
}

// require tells whether all overrides say what types have to have.
func require(configs []types.FleetLaunchTemplateConfigRequest) bool {
	return !slices.ContainsFunc(configs, func(c types.FleetLaunchTemplateConfigRequest) bool {
		return len(c.Overrides) == 0 || slices.ContainsFunc(c.Overrides, func(o types.FleetLaunchTemplateOverridesRequest) bool { return o.InstanceRequirements == nil })
	})
}

// unitsOf is what an instance of a type counts where the target is of processors or of memory; 0 where it is of instances.
func unitsOf(unit types.TargetCapacityUnitType, typ types.InstanceType) float64 {
	info, ok := instanceTypes().findCached(string(typ))
	switch {
	case ok && unit == types.TargetCapacityUnitTypeVcpu:
		return float64(aws.ToInt32(info.VCpuInfo.DefaultVCpus))
	case ok && unit == types.TargetCapacityUnitTypeMemoryMib:
		return float64(aws.ToInt64(info.MemoryInfo.SizeInMiB))
	}
	return 0
}

// reservedFirst tells whether room of Capacity Reservations is taken before other.
func (f *fleet) reservedFirst(lifecycle types.InstanceLifecycle) bool {
	return lifecycle == types.InstanceLifecycleOnDemand && f.Demand != nil && f.Demand.CapacityReservationOptions != nil && f.Demand.CapacityReservationOptions.UsageStrategy != ""
}

// zoneOf is the zone of a pool, "" where the launch chooses one.
func (p pool) zoneOf(t tx) (string, error) {
	if p.zone != nil || p.subnet == nil {
		return aws.ToString(p.zone), nil
	}
	n, err := subnets.see(t, *p.subnet)
	if n == nil || err != nil {
		return "", err
	}
	return n.Zone, nil
}

// typeOf is the type of a pool, or a name for that of its template.
func (p pool) typeOf() string {
	if l := p.config.LaunchTemplateSpecification; p.typ == "" && l != nil {
		return aws.ToString(l.LaunchTemplateId) + aws.ToString(l.LaunchTemplateName) + ":" + aws.ToString(l.Version)
	}
	return string(p.typ)
}

// together splits pools, in their order, into those from which all instances may come.
func (m marketOptions) together(t tx, pools []pool) ([][]pool, error) {
	type key struct{ typ, zone string }
	groups, at := [][]pool{}, map[key]int{}
	for _, p := range pools {
		zone, err := p.zoneOf(t)
		if err != nil {
			return nil, err
		}
		var k key
		if m.oneType {
			k.typ = p.typeOf()
		}
		if m.oneZone {
			k.zone = zone
		}
		if _, known := at[k]; !known {
			at[k] = len(groups)
			groups = append(groups, nil)
		}
		groups[at[k]] = append(groups[at[k]], p)
	}
	return groups, nil
}

// withReserved are the pools for which open Capacity Reservations have room, each with how much.
// AWS: "Use Capacity Reservations to reserve On-Demand capacity in EC2 Fleet".
func withReserved(t tx, pools []pool) (all []pool, err error) {
	for _, p := range pools {
		zone, err := p.zoneOf(t)
		if err != nil {
			return nil, err
		}
		found, err := capacityReservations.seen(t, "type", string(p.typ))
		if err != nil {
			return nil, err
		}
		for _, r := range found {
			used, err := r.used(t)
			if err != nil {
				return nil, err
			}
			if r.Match == types.InstanceMatchCriteriaOpen && r.Tenancy == types.CapacityReservationTenancyDefault && r.active(t.Now()) && (zone == "" || zone == r.Zone) {
				p.room += max(0, r.Total-used)
			}
		}
		if p.room > 0 {
			all = append(all, p)
		}
	}
	return all, nil
}
