package ec2

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"miniaws/awsapi"
	"miniaws/backend/reconcile"
	"miniaws/backend/store"
)

// pool is where a fleet may launch: a launch template, with what is overridden of it.
type pool struct {
	config   types.FleetLaunchTemplateConfigRequest
	override *types.FleetLaunchTemplateOverridesRequest
	// typ is the override's instance type, or one that has what it requires; "" for the template's.
	typ types.InstanceType
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
			if o.InstanceRequirements == nil {
				all = append(all, pool{config, o, o.InstanceType})
				continue
			}
			if checkRequirements(o.InstanceRequirements) != nil {
				continue
			}
			names := typesFor(region, o.InstanceRequirements, func(i *typeInfo) bool {
				return slices.Contains(i.ProcessorInfo.SupportedArchitectures, types.ArchitectureTypeX8664)
			})
			slices.SortStableFunc(names, func(a, b string) int { return cmp.Compare(cheapness(a), cheapness(b)) })
			for _, name := range names[:min(len(names), maxPoolTypes)] {
				all = append(all, pool{config, o, types.InstanceType(name)})
			}
		}
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

// spread tells whether the fleet wants its instances in several pools.
func (f *fleet) spread(lifecycle types.InstanceLifecycle) bool {
	return lifecycle == types.InstanceLifecycleSpot && f.Spot != nil && f.Spot.AllocationStrategy == types.SpotAllocationStrategyDiversified
}

// priority is the override's, the highest being 0; those without one come last.
func (p pool) priority() float64 {
	if p.override == nil || p.override.Priority == nil {
		return math.MaxFloat64
	}
	return *p.override.Priority
}

// weight is what an instance counts for the target.
func (p pool) weight() float64 {
	if p.override == nil || aws.ToFloat64(p.override.WeightedCapacity) <= 0 {
		return 1
	}
	return *p.override.WeightedCapacity
}

// input is the launch of count instances.
func (p pool) input(f *fleet, count int32, lifecycle types.InstanceLifecycle) (*ec2.RunInstancesInput, error) {
	in := &ec2.RunInstancesInput{
		MinCount: aws.Int32(1), MaxCount: aws.Int32(count), InstanceType: p.typ, TagSpecifications: slices.Clone(f.Launch),
		LaunchTemplate: &types.LaunchTemplateSpecification{
			LaunchTemplateId: p.config.LaunchTemplateSpecification.LaunchTemplateId, LaunchTemplateName: p.config.LaunchTemplateSpecification.LaunchTemplateName,
			Version: p.config.LaunchTemplateSpecification.Version,
		},
	}
	if o := p.override; o != nil {
		in.SubnetId, in.ImageId, in.Placement = o.SubnetId, o.ImageId, o.Placement
		if o.AvailabilityZone != nil || o.AvailabilityZoneId != nil {
			place := types.Placement{}
			if in.Placement != nil {
				place = *in.Placement
			}
			place.AvailabilityZone, place.AvailabilityZoneId = o.AvailabilityZone, o.AvailabilityZoneId
			in.Placement = &place
		}
		for _, m := range o.BlockDeviceMappings {
			var made types.BlockDeviceMapping
			if err := reshape(&m, &made); err != nil {
				return nil, err
			}
			in.BlockDeviceMappings = append(in.BlockDeviceMappings, made)
		}
	}
	if lifecycle == types.InstanceLifecycleSpot {
		in.InstanceMarketOptions = &types.InstanceMarketOptionsRequest{MarketType: types.MarketTypeSpot}
		if p.override != nil && p.override.MaxPrice != nil {
			in.InstanceMarketOptions.SpotOptions = &types.SpotMarketOptions{MaxPrice: p.override.MaxPrice}
		}
	}
	return in, nil
}

// from is the pool as answers show it.
func (p pool) from(template string, number string) *types.LaunchTemplateAndOverridesResponse {
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
		shown.InstanceRequirements, shown.BlockDeviceMappings = nil, nil
		_ = reshape(&shown, out.Overrides) // of the same fields
		out.Overrides.InstanceType = p.typ
	}
	return out
}

// fillFleet launches what the fleet has too little of: in each pool as much as it takes, until all are tried.
func (s *Service) fillFleet(ctx context.Context, scope store.Scope, id string) error {
	for _, lifecycle := range []types.InstanceLifecycle{types.InstanceLifecycleOnDemand, types.InstanceLifecycleSpot} {
		var f *fleet
		var missing float64
		err := s.viewIn(ctx, scope, func(t tx) (err error) {
			if f, err = fleets.find(t, id); f != nil && err == nil {
				missing, err = f.missing(t, lifecycle)
			}
			return err
		})
		switch {
		case f == nil || err != nil || !f.Deleted.IsZero():
			return err
		case missing <= 0:
			continue
		}
		pools := f.ordered(f.pools(scope.Region), lifecycle)
		for i, p := range pools {
			share := 1
			if f.spread(lifecycle) {
				share = len(pools) - i
			}
			enough, err := s.launchFor(ctx, scope, id, p, lifecycle, share)
			if err != nil {
				return err
			}
			if enough {
				break
			}
		}
	}
	return s.updateIn(ctx, scope, func(t tx) error {
		f, err := fleets.find(t, id)
		if f == nil || err != nil {
			return err
		}
		f.Filled = true
		return fleets.put(t, f)
	})
}

// missing is how much of a market the fleet has too little of, or, negative, too much.
func (f *fleet) missing(t tx, lifecycle types.InstanceLifecycle) (float64, error) {
	target := aws.ToInt32(f.Target.OnDemandTargetCapacity)
	if lifecycle == types.InstanceLifecycleSpot {
		target = aws.ToInt32(f.Target.SpotTargetCapacity)
	}
	missing := float64(target)
	alive, err := f.alive(t)
	for _, m := range alive {
		if m.Lifecycle == lifecycle {
			missing -= m.Weight
		}
	}
	return missing, err
}

// launchFor launches in a pool one part of what is missing, of so many. It answers true once nothing is missing. What is
// wrong with the pool is written into the fleet.
func (s *Service) launchFor(ctx context.Context, scope store.Scope, id string, p pool, lifecycle types.InstanceLifecycle, parts int) (enough bool, err error) {
	var count int32
	var l *launch
	var refused *awsapi.Error
	err = s.viewIn(ctx, scope, func(t tx) error {
		f, err := fleets.get(t, id)
		if err != nil {
			return err
		}
		missing, err := f.missing(t, lifecycle)
		count = min(int32(math.Ceil(missing/p.weight()/float64(parts))), maxLaunch)
		if enough = count <= 0; enough || err != nil {
			return err
		}
		in, err := p.input(f, count, lifecycle)
		if err != nil {
			return err
		}
		merged, template, number, err := templated(t, in)
		if err == nil {
			l, err = checkLaunch(merged)
		}
		if err == nil {
			l.template, l.templateNumber, l.fleet = template, number, id
		}
		if errors.As(err, &refused) {
			return nil
		}
		return err
	})
	if enough || err != nil {
		return enough, err
	}
	if refused == nil {
		l.in, err = s.withImage(ctx, scope, l.in)
	}
	if refused == nil && err == nil {
		l.profile, err = s.profileIn(ctx, scope.Account, l.in.IamInstanceProfile)
	}
	if refused == nil && err == nil {
		err = s.updateIn(ctx, scope, func(t tx) error {
			if err := ensureNetwork(t); err != nil {
				return err
			}
			f, err := fleets.get(t, id)
			if err != nil || !f.Deleted.IsZero() {
				return err
			}
			// Somebody else may have filled it since: the loop, or the same call made again.
			if missing, err := f.missing(t, lifecycle); err != nil || missing <= 0 {
				enough = missing <= 0
				return err
			}
			reservation, err := s.launch(t, l)
			if err != nil {
				return err
			}
			made, err := instances.by(t, "reservation", reservation)
			if err != nil {
				return err
			}
			slices.SortFunc(made, positions)
			for _, i := range made {
				f.Members = append(f.Members, fleetMember{i.ID, i.Type, lifecycle, p.weight(), p.from(l.template, l.versionText())})
			}
			missing, err := f.missing(t, lifecycle)
			enough = missing <= 0
			return errors.Join(err, fleets.put(t, f))
		})
	}
	if refused != nil || errors.As(err, &refused) {
		return false, s.noteFleetError(ctx, scope, id, p, lifecycle, refused)
	}
	return enough, err
}

// maxFleetErrors bounds a fleet's record.
const maxFleetErrors = 50

func (s *Service) noteFleetError(ctx context.Context, scope store.Scope, id string, p pool, lifecycle types.InstanceLifecycle, refused *awsapi.Error) error {
	return s.updateIn(ctx, scope, func(t tx) error {
		f, err := fleets.find(t, id)
		if f == nil || err != nil {
			return err
		}
		made := types.CreateFleetError{
			ErrorCode: aws.String(refused.Code), ErrorMessage: aws.String(refused.Message), Lifecycle: lifecycle,
			LaunchTemplateAndOverrides: p.from("", aws.ToString(p.config.LaunchTemplateSpecification.Version)),
		}
		if slices.ContainsFunc(f.Errors, func(have types.CreateFleetError) bool { return sameJSON(have, made) }) || len(f.Errors) >= maxFleetErrors {
			return nil
		}
		f.Errors = append(f.Errors, made)
		return fleets.put(t, f)
	})
}

// refill is how often a fleet of type maintain that lacks something tries again.
const refill = time.Minute

// reconcileFleet launches what a fleet has too little of, and ends what it has too much of.
func (s *Service) reconcileFleet(ctx context.Context, item reconcile.Item) (time.Duration, error) {
	scope := scopeOfItem(item)
	var f *fleet
	err := s.viewIn(ctx, scope, func(t tx) (err error) {
		f, err = fleets.find(t, item.ID)
		return err
	})
	if f == nil || err != nil || !f.Deleted.IsZero() || f.Filled && f.Type != types.FleetTypeMaintain {
		return 0, err
	}
	if err := s.fillFleet(ctx, scope, f.ID); err != nil || f.Type != types.FleetTypeMaintain {
		return 0, err
	}
	var again time.Duration
	err = s.updateIn(ctx, scope, func(t tx) error {
		f, err := fleets.find(t, item.ID)
		if f == nil || err != nil {
			return err
		}
		// Those that ended long ago are of no interest any more.
		alive, err := f.alive(t)
		if err != nil {
			return err
		}
		f.Members, again = alive, 0
		for _, lifecycle := range []types.InstanceLifecycle{types.InstanceLifecycleOnDemand, types.InstanceLifecycleSpot} {
			missing, err := f.missing(t, lifecycle)
			if err != nil {
				return err
			}
			if missing > 0 {
				again = refill
			}
			for _, m := range slices.Backward(alive) {
				if f.Excess == types.FleetExcessCapacityTerminationPolicyTermination && m.Lifecycle == lifecycle && missing+m.Weight <= 0 {
					missing += m.Weight
					if err := f.endMembers(t, []fleetMember{m}); err != nil {
						return err
					}
				}
			}
		}
		return fleets.put(t, f)
	})
	return again, err
}

// sameJSON tells whether two of the API's values say the same.
func sameJSON(a, b any) bool {
	one, err := json.Marshal(a)
	two, failure := json.Marshal(b)
	return err == nil && failure == nil && string(one) == string(two)
}

// reshapeSet is reshape for what is set of from.
func reshapeSet(from, to any) error {
	document, err := json.Marshal(from)
	if err != nil {
		return err
	}
	var set map[string]any
	if err := json.Unmarshal(document, &set); err != nil {
		return err
	}
	maps.DeleteFunc(set, func(_ string, value any) bool { return value == nil || value == "" })
	return reshape(set, to)
}
