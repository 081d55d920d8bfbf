package ec2

import (
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// healthPause is how often a fleet looks at the status checks of its instances, if it replaces those that fail.
const healthPause = 30 * time.Second

// tend ends what the fleet has too much of, and what fails its status checks, if it wants that; after is when to look again, 0 for
// never, and lacks tells that something is missing.
func (s *Service) tend(t tx, f *fleet) (after time.Duration, lacks bool, err error) {
	if after, lacks, err = f.trim(t); !f.Heals || err != nil {
		return after, lacks, err
	}
	after = sooner(after, healthPause)
	alive, err := f.alive(t)
	if err != nil {
		return 0, false, err
	}
	for _, m := range alive {
		i, err := instances.see(t, m.Instance)
		if err != nil {
			return 0, false, err
		}
		if i == nil || s.instanceCheck(i).status != types.SummaryStatusImpaired || s.systemCheck(i).status != types.SummaryStatusOk {
			continue // no engine could run another one either
		}
		// AWS: "Health checks for EC2 Fleet": an unhealthy instance is terminated and another one launched.
		if err := f.dismiss(t, m); err != nil {
			return 0, false, err
		}
		after, lacks = time.Second, true
	}
	return after, lacks, nil
}

// trim is tend for what is too much.
func (f *fleet) trim(t tx) (after time.Duration, lacks bool, err error) {
	alive, err := f.alive(t)
	if err != nil {
		return 0, false, err
	}
	for _, lifecycle := range []types.InstanceLifecycle{types.InstanceLifecycleOnDemand, types.InstanceLifecycleSpot} {
		missing, err := f.missing(t, lifecycle)
		if err != nil {
			return 0, false, err
		}
		if missing > 0 {
			after, lacks = refill, true
		}
		for _, m := range slices.Backward(alive) {
			if m.Lifecycle != lifecycle {
				continue
			}
			atRisk, err := f.atRisk(t, m)
			if err != nil {
				return 0, false, err
			}
			if atRisk {
				left, err := f.replace(t, m, missing <= 0)
				if err != nil {
					return 0, false, err
				}
				after = sooner(after, left)
			} else if f.Excess == types.FleetExcessCapacityTerminationPolicyTermination && missing+m.Weight <= 0 {
				missing += m.Weight
				if err := f.dismiss(t, m); err != nil {
					return 0, false, err
				}
			}
		}
	}
	return after, lacks, nil
}

// dismiss ends a member.
func (f *fleet) dismiss(t tx, m fleetMember) error {
	if err := f.endMembers(t, []fleetMember{m}); err != nil {
		return err
	}
	return f.noteMember(t, "termination_notified", m)
}

// atRisk tells whether another instance is to take the place of a member, as AWS recommended that.
func (f *fleet) atRisk(t tx, m fleetMember) (bool, error) {
	if f.rebalance() == nil || m.Lifecycle != types.InstanceLifecycleSpot {
		return false, nil
	}
	i, err := instances.see(t, m.Instance)
	return i != nil && !i.Notices.Rebalance.IsZero(), err
}

// replace ends a member at risk once another one has taken its place, and the delay is over; left is what there is of it. With the
// strategy launch it stays until its user, or an interruption, ends it.
func (f *fleet) replace(t tx, m fleetMember, replaced bool) (left time.Duration, err error) {
	r := f.rebalance()
	if r.ReplacementStrategy != types.FleetReplacementStrategyLaunchBeforeTerminate || !replaced {
		return 0, nil
	}
	if m.Ends.IsZero() {
		m.Ends = t.Now().Add(time.Duration(aws.ToInt32(r.TerminationDelay)) * time.Second)
		err = f.keep(t, m)
	}
	if left = m.Ends.Sub(t.Now()); left > 0 || err != nil {
		return left, err
	}
	return 0, f.dismiss(t, m)
}
