package ec2

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"miniaws/awsapi"
	"miniaws/backend/reconcile"
	"miniaws/backend/store"
)

// fillFleet launches what the fleet has too little of: in each pool as much as it takes, until all are tried.
func (s *Service) fillFleet(ctx context.Context, scope store.Scope, id string) error {
	for _, lifecycle := range []types.InstanceLifecycle{types.InstanceLifecycleOnDemand, types.InstanceLifecycleSpot} {
		var f *fleet
		var missing float64
		var groups [][]pool
		err := s.viewIn(ctx, scope, func(t tx) (err error) {
			if f, err = fleetsOf(id).find(t, id); f == nil || err != nil {
				return err
			}
			if missing, err = f.missing(t, lifecycle); missing <= 0 || err != nil {
				return err
			}
			pools := f.ordered(f.pools(scope.Region), lifecycle)
			if m := f.market(lifecycle); m.oneType || m.oneZone {
				groups, err = m.together(t, pools)
				return err
			}
			groups = [][]pool{pools}
			if f.reservedFirst(lifecycle) {
				first, failed := withReserved(t, pools)
				groups, err = [][]pool{first, pools}, failed
			}
			return err
		})
		switch {
		case f == nil || err != nil || !f.Deleted.IsZero():
			return err
		case missing <= 0:
			continue
		}
		m := f.market(lifecycle)
		for _, pools := range groups {
			var done bool
			switch {
			case m.oneType || m.oneZone:
				done, err = s.launchTogether(ctx, scope, f, pools, lifecycle)
			case len(pools) == 0:
			case pools[0].room > 0:
				done, _, err = s.launchAmong(ctx, scope, f, pools, lifecycle)
			default:
				err = s.launchUntilEnough(ctx, scope, f, pools, lifecycle)
			}
			if err != nil {
				return err
			}
			if done {
				break
			}
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

// launchUntilEnough launches until nothing is missing, or no pool takes more: what one refuses, the others take.
func (s *Service) launchUntilEnough(ctx context.Context, scope store.Scope, f *fleet, pools []pool, lifecycle types.InstanceLifecycle) error {
	for {
		enough, good, err := s.launchAmong(ctx, scope, f, pools, lifecycle)
		if enough || len(good) == 0 || err != nil {
			return err
		}
		if len(good) < len(pools) {
			slices.Reverse(good[:min(f.spread(lifecycle), len(good))]) // the last one's part was the smallest
		}
		pools = good // of which each launched something, though no more than one launch may
	}
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

// missing is how much of a market the fleet has too little of, or, negative, too much. A Spot Instance at risk does not count where
// another one is to take its place.
func (f *fleet) missing(t tx, lifecycle types.InstanceLifecycle) (float64, error) {
	target := aws.ToInt32(f.Target.OnDemandTargetCapacity)
	if lifecycle == types.InstanceLifecycleSpot {
		target = aws.ToInt32(f.Target.SpotTargetCapacity)
	}
	missing := float64(target)
	alive, err := f.alive(t)
	if err != nil {
		return 0, err
	}
	for _, m := range alive {
		if m.Lifecycle != lifecycle {
			continue
		}
		atRisk, err := f.atRisk(t, m)
		if err != nil {
			return 0, err
		}
		if !atRisk {
			missing -= m.Weight
		}
	}
	return missing, nil
}

// launchFor launches in a pool one part of what is missing, of so many. It answers enough once nothing is missing, and
// refusal where something is wrong with the pool, which is written into the fleet.
func (s *Service) launchFor(ctx context.Context, scope store.Scope, id string, p pool, lifecycle types.InstanceLifecycle, parts int) (enough, refusal bool, err error) {
	l, err := s.prepare(ctx, scope, id, p, lifecycle, parts)
	if err == nil && l == nil {
		return true, false, nil
	}
	if err == nil {
		err = s.updateIn(ctx, scope, func(t tx) (err error) {
			_, enough, err = s.admit(t, id, p, lifecycle, l)
			return err
		})
	}
	var refused *awsapi.Error
	if errors.As(err, &refused) {
		return false, true, s.noteFleetError(ctx, scope, id, p, lifecycle, refused)
	}
	return enough, false, err
}

// prepare is the launch in a pool of one part of what is missing, of so many; nil where nothing is missing.
func (s *Service) prepare(ctx context.Context, scope store.Scope, id string, p pool, lifecycle types.InstanceLifecycle, parts int) (l *launch, err error) {
	err = s.viewIn(ctx, scope, func(t tx) error {
		f, err := fleetsOf(id).get(t, id)
		if err != nil {
			return err
		}
		missing, err := f.missing(t, lifecycle)
		count := p.needed(missing / float64(parts))
		if count <= 0 || err != nil {
			return err
		}
		in, err := p.input(f, count, lifecycle)
		if err != nil {
			return err
		}
		template, number := "", int64(0)
		if in.LaunchTemplate != nil {
			if in, template, number, err = templated(t, in); err != nil {
				return err
			}
		}
		if l, err = checkLaunch(in); err != nil {
			return err
		}
		l.template, l.templateNumber, l.fleet = template, number, id
		if f.SpotFleet != nil {
			l.spotTags = maps.Clone(l.spotTags)
			if l.spotTags == nil {
				l.spotTags = map[string]string{}
			}
			l.spotTags[fleetTag(id)] = id
		}
		return nil
	})
	if l == nil || err != nil {
		return nil, err
	}
	if l.in, err = s.withImage(ctx, scope, l.in); err != nil {
		return nil, err
	}
	l.profile, err = s.profileIn(ctx, scope.Account, l.in.IamInstanceProfile)
	return l, err
}

// admit launches what is prepared, and answers how many instances that is, and enough where nothing is missing after it.
func (s *Service) admit(t tx, id string, p pool, lifecycle types.InstanceLifecycle, prepared *launch) (count int32, enough bool, err error) {
	if err := ensureNetwork(t); err != nil {
		return 0, false, err
	}
	f, err := fleetsOf(id).get(t, id)
	if err != nil || !f.Deleted.IsZero() {
		return 0, true, err
	}
	// Somebody else may have filled it since, or wants less: the loop, or the same call made again.
	missing, err := f.missing(t, lifecycle)
	if missing <= 0 || err != nil {
		return 0, true, err
	}
	l := *prepared
	l.max = min(l.max, p.needed(missing))
	reservation, err := s.launch(t, &l)
	if err != nil {
		return 0, false, err
	}
	made, err := instances.by(t, "reservation", reservation)
	if err != nil {
		return 0, false, err
	}
	slices.SortFunc(made, positions)
	for _, i := range made {
		if err := f.add(t, fleetMember{Instance: i.ID, Type: i.Type, Lifecycle: lifecycle, Weight: p.weight(), From: p.from(l.template, l.versionText())}); err != nil {
			return 0, false, err
		}
		count++
		f.noteInstance(t, "launched", i)
	}
	missing, err = f.missing(t, lifecycle)
	return count, missing <= 0, errors.Join(err, fleetsOf(id).put(t, f))
}

// errTooLittle takes back the launches of a transaction.
var errTooLittle = errors.New("ec2: less capacity than the fleet asks for at least")

// launchTogether launches in pools of which all instances may come: at least what the fleet asks for, or nothing. It answers whether
// there is anything.
func (s *Service) launchTogether(ctx context.Context, scope store.Scope, f *fleet, pools []pool, lifecycle types.InstanceLifecycle) (done bool, err error) {
	if f.market(lifecycle).least > 0 {
		if done, err = s.launchLeast(ctx, scope, f, pools, lifecycle); !done || err != nil {
			return done, err
		}
	}
	if err := s.launchUntilEnough(ctx, scope, f, pools, lifecycle); err != nil {
		return false, err
	}
	err = s.viewIn(ctx, scope, func(t tx) error { return f.atLeast(t, lifecycle) })
	if errors.Is(err, errTooLittle) {
		return false, nil
	}
	return err == nil, err
}

// launchLeast launches in one transaction what the fleet asks for at least, or nothing. It answers whether it did.
// AWS: "SpotOptionsRequest", MinTargetCapacity: "If this minimum capacity isn't reached, no instances are launched".
func (s *Service) launchLeast(ctx context.Context, scope store.Scope, f *fleet, pools []pool, lifecycle types.InstanceLifecycle) (done bool, err error) {
	ready := make([]*launch, len(pools))
	for i, p := range pools {
		l, err := s.prepare(ctx, scope, f.ID, p, lifecycle, 1)
		if err == nil && l == nil {
			return true, nil
		}
		var refused *awsapi.Error
		if errors.As(err, &refused) {
			err = s.noteFleetError(ctx, scope, f.ID, p, lifecycle, refused)
		}
		if err != nil {
			return false, err
		}
		ready[i] = l
	}
	// How often each pool takes a launch: one that refuses takes what it took before that, when all is tried again.
	limits := map[int]int{}
	for {
		at, taken := -1, 0
		err := s.updateIn(ctx, scope, func(t tx) error {
			rounds, room := make([]int, len(pools)), int32(fleetPart)
			for more := true; more; {
				more = false
				for i, l := range ready {
					if limit, limited := limits[i]; l == nil || limited && rounds[i] >= limit {
						continue
					}
					part := *l
					part.max = min(part.max, room)
					count, enough, err := s.admit(t, f.ID, pools[i], lifecycle, &part)
					if at, taken = i, rounds[i]; enough || err != nil {
						return err
					}
					if room -= count; room == 0 || f.atLeast(t, lifecycle) == nil {
						return f.atLeast(t, lifecycle)
					}
					rounds[i]++
					more = true
				}
			}
			at = -1
			return f.atLeast(t, lifecycle)
		})
		var refused *awsapi.Error
		switch {
		case errors.Is(err, errTooLittle):
			return false, nil
		case err == nil || at < 0 || !errors.As(err, &refused):
			return err == nil, err
		}
		limits[at] = taken
		if err := s.noteFleetError(ctx, scope, f.ID, pools[at], lifecycle, refused); err != nil {
			return false, err
		}
	}
}

// atLeast fails unless the fleet has something of a market, and what it asks for at least.
func (f *fleet) atLeast(t tx, lifecycle types.InstanceLifecycle) error {
	alive, err := f.alive(t)
	all, demand := capacityOf(alive)
	have := demand
	if lifecycle == types.InstanceLifecycleSpot {
		have = all - demand
	}
	if err == nil && (have == 0 || have < float64(f.market(lifecycle).least)) {
		err = errTooLittle
	}
	return err
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
		if f.Until.IsZero() || !f.Deleted.IsZero() || f.Expired {
			return nil
		}
		if ends = f.Until.Sub(t.Now()); ends > 0 {
			return nil
		}
		return f.expire(t)
	})
	switch {
	case f == nil || err != nil:
		return 0, err
	case !f.Deleted.IsZero() && f.Ends || f.Expired && f.EndsInTime:
		err = s.endFleet(ctx, scope, item.ID)
	}
	if err == nil {
		err = s.forgetEnded(ctx, scope, item.ID)
	}
	switch {
	case err != nil:
		return 0, err
	case !f.Deleted.IsZero():
		return 0, s.updateIn(ctx, scope, func(t tx) error { return concludeFleet(t, item.ID) })
	case f.Expired || f.Filled && f.Type != types.FleetTypeMaintain:
		return max(0, ends), nil
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
	err = s.inParts(ctx, scope, func(t tx) (more bool, err error) {
		again = 0
		f, err := fleets.find(t, item.ID)
		if f == nil || err != nil || !f.Deleted.IsZero() || f.Expired {
			return false, err // a deletion while it was filled wants another look
		}
		c, err := s.tend(t, f)
		if err != nil {
			return false, err
		}
		if f.Modifying && !c.lacks && !c.more {
			f.Modifying = false
			f.note(t, types.EventTypeBatchChange, "modify_succeeded", "", "")
		}
		again = c.after
		return c.more, fleets.put(t, f)
	})
	return sooner(again, ends), err
}

// sooner is the shorter one of two times to wait, of which those that are not positive do not count.
func sooner(one, other time.Duration) time.Duration {
	if one <= 0 || other > 0 && other < one {
		return max(0, other)
	}
	return one
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
