package ec2

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"miniaws/backend/reconcile"
	"miniaws/backend/store"
)

// fleetMember is an instance that a fleet launched: a row of its own, as a fleet's record has no room for thousands.
type fleetMember struct {
	Fleet string
	// Number is where it stands among those of its fleet; 0 for one of before members were rows.
	Number    int64
	Instance  string
	Type      types.InstanceType
	Lifecycle types.InstanceLifecycle
	Weight    float64
	From      *types.LaunchTemplateAndOverridesResponse
	// Ends is when it is ended, as another one has taken its place; zero for never.
	Ends time.Time `json:",omitzero"`
}

var fleetMembers = store.NewTable(store.Spec[fleetMember]{
	Service: "ec2", Name: "fleet-members", ID: func(m *fleetMember) store.ID { return store.ID{m.Fleet, m.place()} },
})

// place is where a member stands among those of its fleet.
func (m *fleetMember) place() string { return fmt.Sprintf("%019d", m.Number) }

// add makes an instance a member. The caller writes the fleet, which counts them.
func (f *fleet) add(t tx, m fleetMember) error {
	f.Launched++
	m.Fleet, m.Number = f.ID, f.Launched
	return fleetMembers.In(t, t.scope).Insert(&m)
}

// keep writes a member that changed. The caller writes the fleet.
func (f *fleet) keep(t tx, m fleetMember) error {
	if m.Number > 0 {
		return fleetMembers.In(t, t.scope).Put(&m)
	}
	for i, have := range f.Members {
		if have.Instance == m.Instance {
			f.Members = slices.Clone(f.Members)
			f.Members[i] = m
		}
	}
	return nil
}

// drop forgets a member. The caller writes the fleet.
func (f *fleet) drop(t tx, m fleetMember) error {
	if m.Number > 0 {
		return fleetMembers.In(t, t.scope).Delete(f.ID, m.place())
	}
	f.Members = slices.DeleteFunc(slices.Clone(f.Members), func(have fleetMember) bool { return have.Instance == m.Instance })
	return nil
}

// members are all that the fleet launched and did not forget, in the order of their launch.
func (f *fleet) members(t tx) ([]fleetMember, error) {
	all := slices.Clone(f.Members)
	rows, _, err := fleetMembers.In(t, t.scope).List(store.Query{Parts: store.ID{f.ID}})
	for _, m := range rows {
		all = append(all, *m)
	}
	return all, err
}

// alive are the members that did not end.
func (f *fleet) alive(t tx) ([]fleetMember, error) {
	all, err := f.members(t)
	if err != nil {
		return nil, err
	}
	var alive []fleetMember
	for _, m := range all {
		i, err := instances.see(t, m.Instance)
		if err != nil {
			return nil, err
		}
		if i != nil && i.State != stateTerminated && i.State != stateShuttingDown {
			alive = append(alive, m)
		}
	}
	return alive, nil
}

// left tells whether some member did not end for good.
func (f *fleet) left(t tx) (bool, error) {
	all, err := f.members(t)
	if err != nil {
		return false, err
	}
	for _, m := range all {
		if i, err := instances.see(t, m.Instance); err != nil || i != nil && i.State != stateTerminated {
			return err == nil, err
		}
	}
	return false, nil
}

// dropEnded forgets members that ended, so many at most as one transaction may change, and answers how many. A fleet of type
// instant shows for ever what it launched. The caller writes the fleet.
// AWS: "FleetData", Instances.
func (f *fleet) dropEnded(t tx) (dropped int, err error) {
	if f.Type == types.FleetTypeInstant {
		return 0, nil
	}
	all, err := f.members(t)
	if err != nil {
		return 0, err
	}
	for _, m := range all {
		if dropped == fleetPart {
			break
		}
		i, err := instances.see(t, m.Instance)
		if err != nil {
			return 0, err
		}
		if i != nil && i.State != stateTerminated {
			continue
		}
		if err := errors.Join(f.noteMember(t, "terminated", m), f.drop(t, m)); err != nil {
			return 0, err
		}
		dropped++
	}
	return dropped, nil
}

// wantFleet lets the fleet of an instance be looked at, if it is of one.
func wantFleet(t tx, i *instance) error {
	if i.Fleet == "" {
		return nil
	}
	return reconcile.Want(t, t.item(fleetKind, i.Fleet))
}

// maxForgotten is how many rows of a fleet one transaction removes: of a member or an event only the key is written.
const maxForgotten = maxFleetEvents

// forgetFleet removes members of a fleet, and with the last of them its events and itself; again is when to go on, 0 for never.
func forgetFleet(t tx, id string) (again time.Duration, err error) {
	rows := fleetMembers.In(t, t.scope)
	all, _, err := rows.List(store.Query{Parts: store.ID{id}, Limit: maxForgotten + 1})
	if err != nil {
		return 0, err
	}
	for i, m := range all {
		if i == maxForgotten {
			return time.Millisecond, nil
		}
		if err := rows.Delete(id, m.place()); err != nil {
			return 0, err
		}
	}
	return 0, errors.Join(forgetEvents(t, id), fleetsOf(id).delete(t, id))
}

// capacityOf is what members count for the target, and those of them that are On-Demand.
func capacityOf(members []fleetMember) (all, demand float64) {
	for _, m := range members {
		all += m.Weight
		if m.Lifecycle == types.InstanceLifecycleOnDemand {
			demand += m.Weight
		}
	}
	return all, demand
}
