package ec2

import (
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// healthPause is how often a fleet looks at the status checks of its instances, if it replaces those that fail.
const healthPause = 30 * time.Second

// care is what a transaction does for the members of a fleet: how many more it may change, when to look at the fleet again, 0 for
// never, whether something is missing, and whether there was more to do than it may.
type care struct {
	room        int
	after       time.Duration
	lacks, more bool
}

// may takes the room for the change of a member.
func (c *care) may() bool {
	c.more = c.more || c.room == 0
	c.room = max(0, c.room-1)
	return !c.more
}

// tend ends what the fleet has too much of, and what fails its status checks, if it wants that.
func (s *Service) tend(t tx, f *fleet) (*care, error) {
	c := &care{room: fleetPart}
	if err := f.trim(t, c); !f.Heals || err != nil {
		return c, err
	}
	c.after = sooner(c.after, healthPause)
	alive, err := f.alive(t)
	if err != nil {
		return nil, err
	}
	for _, m := range alive {
		i, err := instances.see(t, m.Instance)
		if err != nil {
			return nil, err
		}
		if i == nil || s.instanceCheck(i).status != types.SummaryStatusImpaired || s.systemCheck(i).status != types.SummaryStatusOk {
			continue // no engine could run another one either
		}
		// AWS: "Health checks for EC2 Fleet": an unhealthy instance is terminated and another one launched.
		if !c.may() {
			break
		}
		if err := f.dismiss(t, m); err != nil {
			return nil, err
		}
		c.after, c.lacks = time.Second, true
	}
	return c, nil
}

// trim is tend for what is too much.
func (f *fleet) trim(t tx, c *care) error {
	alive, err := f.alive(t)
	if err != nil {
		return err
	}
	for _, lifecycle := range []types.InstanceLifecycle{types.InstanceLifecycleOnDemand, types.InstanceLifecycleSpot} {
		missing, err := f.missing(t, lifecycle)
		if err != nil {
			return err
		}
		if missing > 0 {
			c.after, c.lacks = refill, true
		}
		for _, m := range slices.Backward(alive) {
			if m.Lifecycle != lifecycle {
				continue
			}
			atRisk, err := f.atRisk(t, m)
			if err != nil {
				return err
			}
			if atRisk {
				if err := f.replace(t, m, missing <= 0, c); err != nil {
					return err
				}
			} else if f.Excess == types.FleetExcessCapacityTerminationPolicyTermination && missing+m.Weight <= 0 && c.may() {
				missing += m.Weight
				if err := f.dismiss(t, m); err != nil {
					return err
				}
			}
		}
	}
	return nil
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

// replace ends a member at risk once another one has taken its place, and the delay is over. With the strategy launch it stays until
// its user, or an interruption, ends it.
func (f *fleet) replace(t tx, m fleetMember, replaced bool, c *care) error {
	r := f.rebalance()
	if r.ReplacementStrategy != types.FleetReplacementStrategyLaunchBeforeTerminate || !replaced {
		return nil
	}
	if m.Ends.IsZero() {
		if !c.may() {
			return nil
		}
		m.Ends = t.Now().Add(time.Duration(aws.ToInt32(r.TerminationDelay)) * time.Second)
		if err := f.keep(t, m); err != nil {
			return err
		}
	}
	if left := m.Ends.Sub(t.Now()); left > 0 {
		c.after = sooner(c.after, left)
		return nil
	}
	if !c.may() {
		return nil
	}
	return f.dismiss(t, m)
}
