package ec2

import (
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
		if o.InstanceInterruptionBehavior != "" && o.InstanceInterruptionBehavior != types.SpotInstanceInterruptionBehaviorTerminate {
			return errNotImplemented("An interruption behavior of a fleet other than terminate")
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
		case m.least > maxLaunch:
			return errNotImplemented("A MinTargetCapacity of more than 100") // one transaction has no room for more
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
