package ec2

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"miniaws/awsapi"
	"miniaws/backend/reconcile"
	"miniaws/backend/store"
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
	if text == nil {
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

// weight is what an instance counts for the target.
// needed is how many instances of the pool make up for what is missing, as far as one launch goes.
func (p pool) needed(missing float64) int32 {
	return int32(min(math.Ceil(missing/p.weight()), maxLaunch))
}

func (p pool) weight() float64 {
	var weight *float64
	switch {
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
		if price := p.price(f); price != nil {
			in.InstanceMarketOptions.SpotOptions = &types.SpotMarketOptions{MaxPrice: price}
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

// fillFleet launches what the fleet has too little of: in each pool as much as it takes, until all are tried.
func (s *Service) fillFleet(ctx context.Context, scope store.Scope, id string) error {
	for _, lifecycle := range []types.InstanceLifecycle{types.InstanceLifecycleOnDemand, types.InstanceLifecycleSpot} {
		var f *fleet
		var missing float64
		err := s.viewIn(ctx, scope, func(t tx) (err error) {
			if f, err = fleetsOf(id).find(t, id); f != nil && err == nil {
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
		// What a pool refuses, the others take.
		for pools := f.ordered(f.pools(scope.Region), lifecycle); ; {
			enough, good, err := s.launchAmong(ctx, scope, f, pools, lifecycle)
			if err != nil {
				return err
			}
			if enough || len(good) == 0 {
				break
			}
			if len(good) < len(pools) {
				slices.Reverse(good[:min(f.spread(lifecycle), len(good))]) // the last one's part was the smallest
			}
			pools = good // of which each launched something, though no more than one launch may
		}
	}
	return s.updateIn(ctx, scope, func(t tx) error {
		f, err := fleetsOf(id).find(t, id)
		if f == nil || err != nil {
			return err
		}
		f.Filled = true
		return fleetsOf(id).put(t, f)
	})
}

// launchAmong launches in each of the pools its part of what is missing; good are those that did not refuse.
func (s *Service) launchAmong(ctx context.Context, scope store.Scope, f *fleet, pools []pool, lifecycle types.InstanceLifecycle) (enough bool, good []pool, err error) {
	for i, p := range pools {
		parts := max(1, min(f.spread(lifecycle), len(pools))-i)
		enough, refused, err := s.launchFor(ctx, scope, f.ID, p, lifecycle, parts)
		if enough || err != nil {
			return enough, nil, err
		}
		if !refused {
			good = append(good, p)
		}
	}
	return false, good, nil
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

// launchFor launches in a pool one part of what is missing, of so many. It answers enough once nothing is missing, and
// refusal where something is wrong with the pool, which is written into the fleet.
func (s *Service) launchFor(ctx context.Context, scope store.Scope, id string, p pool, lifecycle types.InstanceLifecycle, parts int) (enough, refusal bool, err error) {
	var count int32
	var l *launch
	var refused *awsapi.Error
	err = s.viewIn(ctx, scope, func(t tx) error {
		f, err := fleetsOf(id).get(t, id)
		if err != nil {
			return err
		}
		missing, err := f.missing(t, lifecycle)
		count = p.needed(missing / float64(parts))
		if enough = count <= 0; enough || err != nil {
			return err
		}
		in, err := p.input(f, count, lifecycle)
		if err != nil {
			return err
		}
		template, number := "", int64(0)
		if in.LaunchTemplate != nil {
			in, template, number, err = templated(t, in)
		}
		if err == nil {
			l, err = checkLaunch(in)
		}
		if err == nil {
			l.template, l.templateNumber, l.fleet = template, number, id
			if f.SpotFleet != nil {
				l.spotTags = maps.Clone(l.spotTags)
				if l.spotTags == nil {
					l.spotTags = map[string]string{}
				}
				l.spotTags[fleetTag(id)] = id
			}
		}
		if errors.As(err, &refused) {
			return nil
		}
		return err
	})
	if enough || err != nil {
		return enough, false, err
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
			f, err := fleetsOf(id).get(t, id)
			if enough = err == nil && !f.Deleted.IsZero(); enough || err != nil {
				return err
			}
			// Somebody else may have filled it since, or wants less: the loop, or the same call made again.
			missing, err := f.missing(t, lifecycle)
			if enough = missing <= 0; enough || err != nil {
				return err
			}
			l.max = min(l.max, p.needed(missing))
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
				f.noteInstance(t, "launched", i)
			}
			missing, err = f.missing(t, lifecycle)
			enough = missing <= 0
			return errors.Join(err, fleetsOf(id).put(t, f))
		})
	}
	if refused != nil || errors.As(err, &refused) {
		return false, true, s.noteFleetError(ctx, scope, id, p, lifecycle, refused)
	}
	return enough, false, err
}

// maxFleetErrors bounds a fleet's record.
const maxFleetErrors = 50

func (s *Service) noteFleetError(ctx context.Context, scope store.Scope, id string, p pool, lifecycle types.InstanceLifecycle, refused *awsapi.Error) error {
	return s.updateIn(ctx, scope, func(t tx) error {
		f, err := fleetsOf(id).find(t, id)
		if f == nil || err != nil {
			return err
		}
		made := types.CreateFleetError{ErrorCode: aws.String(refused.Code), ErrorMessage: aws.String(refused.Message), Lifecycle: lifecycle}
		if l := p.config.LaunchTemplateSpecification; l != nil {
			made.LaunchTemplateAndOverrides = p.from("", aws.ToString(l.Version))
		}
		if slices.ContainsFunc(f.Errors, func(have types.CreateFleetError) bool { return sameJSON(have, made) }) || len(f.Errors) >= maxFleetErrors {
			return nil
		}
		f.Errors = append(f.Errors, made)
		f.noteRefusal(t, p, refused)
		return fleetsOf(id).put(t, f)
	})
}

// refill is how often a fleet of type maintain that lacks something tries again.
const refill = time.Minute

// pauseFleet lets a fleet launch nothing for a while.
func pauseFleet(t tx, id string) error {
	f, err := fleetsOf(id).find(t, id)
	if f == nil || err != nil {
		return err
	}
	f.Pause = t.Now().Add(refill)
	return fleetsOf(id).put(t, f)
}

// reconcileFleet launches what a fleet has too little of, and ends what it has too much of.
func (s *Service) reconcileFleet(ctx context.Context, item reconcile.Item) (time.Duration, error) {
	scope := scopeOfItem(item)
	if fleetsOf(item.ID) == spotFleets {
		return s.reconcileSpotFleet(ctx, scope, item.ID)
	}
	var f *fleet
	var left, ends time.Duration
	err := s.updateIn(ctx, scope, func(t tx) (err error) {
		left, ends = 0, 0
		if f, err = fleets.find(t, item.ID); f == nil || err != nil {
			return err
		}
		left = max(f.Pause.Sub(t.Now()), f.From.Sub(t.Now()))
		if f.Until.IsZero() || !f.Deleted.IsZero() {
			return nil
		}
		if ends = f.Until.Sub(t.Now()); ends > 0 {
			return nil
		}
		// AWS: "CreateFleet", ValidUntil: nothing is launched any more.
		f.note(t, types.EventTypeBatchChange, "expired", "", "")
		return f.delete(t, f.EndsInTime)
	})
	switch {
	case f == nil || err != nil:
		return 0, err
	case !f.Deleted.IsZero():
		return 0, s.updateIn(ctx, scope, func(t tx) error { return concludeFleet(t, item.ID) })
	case f.Filled && f.Type != types.FleetTypeMaintain:
		return max(0, ends), s.updateIn(ctx, scope, func(t tx) error { return fleets.edit(t, item.ID, func(f *fleet) error { return f.noteEnded(t) }) })
	case left > 0:
		return sooner(left, ends), nil
	}
	if !f.Filled {
		err := s.updateIn(ctx, scope, func(t tx) error {
			return fleets.edit(t, item.ID, func(f *fleet) error {
				if f.Noted == 1 {
					f.note(t, types.EventTypeBatchChange, "active", "", "")
				}
				return nil
			})
		})
		if err != nil {
			return 0, err
		}
	}
	if err := s.fillFleet(ctx, scope, f.ID); err != nil || f.Type != types.FleetTypeMaintain {
		return max(0, ends), err
	}
	var again time.Duration
	err = s.updateIn(ctx, scope, func(t tx) error {
		f, err := fleets.find(t, item.ID)
		if f == nil || err != nil {
			return err
		}
		if err := f.noteEnded(t); err != nil {
			return err
		}
		if again, err = f.trim(t); f.Modifying {
			f.Modifying = false
			f.note(t, types.EventTypeBatchChange, "modify_succeeded", "", "")
		}
		again = sooner(again, ends)
		return errors.Join(err, fleets.put(t, f))
	})
	return again, err
}

// sooner is the shorter one of two times to wait, of which those that are not positive do not count.
func sooner(one, other time.Duration) time.Duration {
	if one <= 0 || other > 0 && other < one {
		return max(0, other)
	}
	return one
}

// trim ends what the fleet has too much of, if it wants that; after is when to try again, 0 where nothing is missing.
func (f *fleet) trim(t tx) (after time.Duration, err error) {
	alive, err := f.alive(t)
	if err != nil {
		return 0, err
	}
	for _, lifecycle := range []types.InstanceLifecycle{types.InstanceLifecycleOnDemand, types.InstanceLifecycleSpot} {
		missing, err := f.missing(t, lifecycle)
		if err != nil {
			return 0, err
		}
		if missing > 0 {
			after = refill
		}
		for _, m := range slices.Backward(alive) {
			if f.Excess == types.FleetExcessCapacityTerminationPolicyTermination && m.Lifecycle == lifecycle && missing+m.Weight <= 0 {
				missing += m.Weight
				if err := f.endMembers(t, []fleetMember{m}); err != nil {
					return 0, err
				}
				if err := f.noteMember(t, "termination_notified", m); err != nil {
					return 0, err
				}
			}
		}
	}
	return after, nil
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
