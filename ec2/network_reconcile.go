package ec2

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"miniaws/backend"
	"miniaws/backend/reconcile"
	"miniaws/backend/store"
)

// Network makes VPCs real. [backend.VPCNetwork] has it.
type Network interface {
	NetworkInfo(ctx context.Context) (backend.NetworkInfo, error)
	ApplyVPC(ctx context.Context, wanted backend.WantedVPC) (backend.ObservedVPC, error)
	RemoveVPC(ctx context.Context, id string) error
	ListVPCs(ctx context.Context) ([]backend.ObservedVPC, error)
	Flows(ctx context.Context) ([]backend.FlowRecord, error)
	AttachENI(ctx context.Context, attachment backend.Attachment) (backend.ObservedENI, error)
	DetachENI(ctx context.Context, vpc, eni string) error
	ApplyTransitGateway(ctx context.Context, wanted backend.WantedTransitGateway) (backend.ObservedTransitGateway, error)
	RemoveTransitGateway(ctx context.Context, id string) error
	ListTransitGateways(ctx context.Context) ([]backend.ObservedTransitGateway, error)
}

// Kinds of things to make true.
const (
	networkKind = "ec2.network" // a VPC, by its id
	settleKind  = "ec2.settle"  // something whose state needs nobody but us, by its id
	goneKind    = "ec2.gone"    // something that is shown for a while after it ended, by its id
)

func networkItem(t tx, vpcID string) reconcile.Item {
	return reconcile.Item{Kind: networkKind, Account: t.scope.Account, Region: t.scope.Region, ID: vpcID}
}

// wantSettled asks for the next state of a resource that stands for itself.
func wantSettled(t tx, id string) error {
	return reconcile.Want(t, reconcile.Item{Kind: settleKind, Account: t.scope.Account, Region: t.scope.Region, ID: id})
}

// wantGone asks for the removal of an ended resource's record after a while.
func wantGone(t tx, id string) error {
	return reconcile.WantAfter(t, reconcile.Item{Kind: goneKind, Account: t.scope.Account, Region: t.scope.Region, ID: id}, goneLifetime)
}

func (s *Service) reconcileVPC(loop *reconcile.Loop) {
	loop.Handle(networkKind, s.reconcileNetwork)
	loop.Handle(transitKind, s.reconcileTransit)
	loop.Handle(settleKind, s.settle)
	loop.Handle(goneKind, s.forget)
	loop.Handle(insightsKind, s.analyze)
	loop.Sweep("ec2.networks", time.Minute, s.sweepNetworks)
	loop.Sweep("ec2.flow-logs", s.flowLogPause(), s.collectFlows)
}

func scopeOfItem(item reconcile.Item) store.Scope {
	return store.Scope{Account: item.Account, Region: item.Region}
}

// reconcileNetwork makes one VPC as its records want it, and confirms what that made true.
func (s *Service) reconcileNetwork(ctx context.Context, item reconcile.Item) (time.Duration, error) {
	scope := scopeOfItem(item)
	var wanted *backend.WantedVPC
	var detach []string
	err := s.viewIn(ctx, scope, func(t tx) error {
		v, err := vpcs.find(t, item.ID)
		wanted, detach = nil, nil
		if err != nil || v == nil {
			return err
		}
		if wanted, err = wantedNetwork(t, v, s.config.Domain); err != nil {
			return err
		}
		list, err := interfaces.by(t, "vpc", v.ID)
		for _, e := range list {
			if e.Attachment != nil && e.Attachment.Status == types.AttachmentStatusDetaching {
				detach = append(detach, e.ID)
			}
		}
		return err
	})
	if err != nil {
		return 0, err
	}
	if s.config.Network == nil {
		if wanted == nil {
			return 0, s.forgetNetwork(ctx, item.ID)
		}
		return 0, s.confirm(ctx, scope, wanted, backend.ObservedVPC{Simulated: true})
	}
	if wanted == nil {
		if err := s.config.Network.RemoveVPC(ctx, item.ID); err != nil {
			return 0, err
		}
		return 0, s.forgetNetwork(ctx, item.ID)
	}
	for _, eni := range detach {
		if err := s.config.Network.DetachENI(ctx, item.ID, eni); err != nil {
			return 0, err
		}
	}
	observed, err := s.config.Network.ApplyVPC(ctx, *wanted)
	if err != nil {
		return 0, err
	}
	if err := s.confirm(ctx, scope, wanted, observed); err != nil {
		return 0, err
	}
	return s.wireInterfaces(ctx, scope, item.ID, observed)
}

// forgetNetwork ends the bookkeeping of a network that was removed.
func (s *Service) forgetNetwork(ctx context.Context, vpcID string) error {
	return s.config.DB.Update(ctx, func(t store.Tx) error { return knownNetworks.In(t, store.Scope{}).Delete(vpcID) })
}

// confirm moves records out of their transitional states, as far as the applied network had them.
func (s *Service) confirm(ctx context.Context, scope store.Scope, applied *backend.WantedVPC, observed backend.ObservedVPC) error {
	wired := map[string]bool{}
	for _, e := range observed.ENIs {
		wired[e.ID] = true
	}
	has := map[string]bool{}
	for _, e := range applied.ENIs {
		has[e.ID] = true
	}
	for more := true; more; {
		err := s.updateIn(ctx, scope, func(t tx) error {
			more = false
			v, err := vpcs.find(t, applied.ID)
			if err != nil || v == nil {
				return err
			}
			if v.State == types.VpcStatePending {
				v.State = types.VpcStateAvailable
				if err := vpcs.put(t, v); err != nil {
					return err
				}
			}
			for _, confirm := range []func(tx, *backend.WantedVPC) error{confirmNATGateways, confirmPeerings, confirmEndpoints, confirmGroupAssociations, confirmAccess, confirmPTRs} {
				if err := confirm(t, applied); err != nil {
					return err
				}
			}
			more, err = confirmInterfaces(t, applied.ID, has, func(id string) bool { return observed.Simulated || wired[id] })
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func confirmNATGateways(t tx, applied *backend.WantedVPC) error {
	list, err := natGateways.by(t, "vpc", applied.ID)
	if err != nil {
		return err
	}
	for _, g := range list {
		i := slices.IndexFunc(applied.NATGateways, func(w backend.WantedNATGateway) bool { return w.ID == g.ID })
		has, changed := i >= 0, false
		if has {
			if changed, err = g.confirmNATAddresses(t, applied.NATGateways[i]); err != nil {
				return err
			}
		}
		switch {
		case has && (g.State == types.NatGatewayStatePending || changed):
			if g.State == types.NatGatewayStatePending {
				g.State = types.NatGatewayStateAvailable
			}
			err = natGateways.put(t, g)
		case g.State == types.NatGatewayStateDeleting && !has:
			err = finishNATGateway(t, g)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func confirmPeerings(t tx, applied *backend.WantedVPC) error {
	list, err := peerings.by(t, "vpc", applied.ID)
	if err != nil {
		return err
	}
	for _, p := range list {
		has := slices.ContainsFunc(applied.Peerings, func(w backend.WantedPeering) bool { return w.ID == p.ID })
		if p.Status == types.VpcPeeringConnectionStateReasonCodeProvisioning && has {
			p.Status, p.Message = types.VpcPeeringConnectionStateReasonCodeActive, "Active"
			if err := bothSides(t, p); err != nil {
				return err
			}
		}
	}
	return nil
}

func confirmEndpoints(t tx, applied *backend.WantedVPC) error {
	list, err := endpoints.by(t, "vpc", applied.ID)
	if err != nil {
		return err
	}
	for _, e := range list {
		has := slices.ContainsFunc(applied.Endpoints, func(w backend.WantedVPCEndpoint) bool { return w.ID == e.ID })
		switch {
		case e.State == types.StatePending && has:
			e.State = types.StateAvailable
			err = endpoints.put(t, e)
		case e.State == types.StateDeleting && !has:
			err = endpoints.delete(t, e.ID)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// confirmedAtOnce is how many interfaces one transaction confirms: as many as surely fit.
const confirmedAtOnce = 200

// confirmInterfaces moves the interfaces of a VPC out of their transitional states; more tells that there are others.
func confirmInterfaces(t tx, vpcID string, has map[string]bool, wired func(id string) bool) (more bool, err error) {
	list, err := shared(interfaces.in(t).Index("vpc").Shared(store.Query{Parts: []string{vpcID}}))
	if err != nil {
		return false, err
	}
	confirmed := 0
	for _, seen := range list {
		if a := seen.Attachment; !seen.Pending && (a == nil || a.Instance == "" || a.Status == types.AttachmentStatusAttached) {
			continue
		}
		if confirmed == confirmedAtOnce {
			return true, nil
		}
		e, err := interfaces.get(t, seen.ID) // one of our own, to be changed
		if err != nil {
			return false, err
		}
		changed := false
		if e.Pending && (has[e.ID] || e.ofGateway()) {
			e.Pending, changed = false, true
		}
		if a := e.Attachment; a != nil && a.Instance != "" {
			switch {
			case a.Status == types.AttachmentStatusAttaching && wired(e.ID):
				a.Status, changed = types.AttachmentStatusAttached, true
			case a.Status == types.AttachmentStatusDetaching:
				e.Attachment, e.PrimaryIPv6, changed = nil, false, true
			}
		}
		if changed {
			confirmed++
			if err := interfaces.put(t, e); err != nil {
				return false, err
			}
		}
	}
	return false, nil
}

// hotWiring is how often to look for an instance that is to run before its new interface can be wired.
const hotWiring = 2 * time.Second

// wireInterfaces plugs interfaces into instances that run already. An instance that starts later gets them as it starts.
func (s *Service) wireInterfaces(ctx context.Context, scope store.Scope, vpcID string, observed backend.ObservedVPC) (time.Duration, error) {
	var wires []backend.Attachment
	waiting := 0
	err := s.viewIn(ctx, scope, func(t tx) error {
		list, err := interfaces.by(t, "vpc", vpcID)
		wires, waiting = nil, 0
		for _, e := range list {
			a := e.Attachment
			if a == nil || a.Instance == "" || a.Status != types.AttachmentStatusAttaching {
				continue
			}
			if slices.ContainsFunc(observed.ENIs, func(o backend.ObservedENI) bool { return o.ID == e.ID }) {
				continue
			}
			waiting++
			wires = append(wires, backend.Attachment{VPC: vpcID, ENI: e.ID, Container: a.Instance, Index: int(a.DeviceIndex)})
		}
		return err
	})
	if err != nil {
		return 0, err
	}
	for _, w := range wires {
		pid, stopped, err := s.instanceProcess(ctx, scope, w.Container)
		if err != nil {
			return 0, err
		}
		if stopped {
			if err := s.attachUnwired(ctx, scope, w.ENI); err != nil {
				return 0, err
			}
			waiting--
			continue
		}
		if pid == 0 {
			continue
		}
		w.PID = pid
		if _, err := s.config.Network.AttachENI(ctx, w); err != nil {
			return 0, err
		}
	}
	if waiting > 0 {
		return hotWiring, nil
	}
	return 0, nil
}

// attachUnwired confirms an interface of a stopped instance, which gets its wire when it starts.
func (s *Service) attachUnwired(ctx context.Context, scope store.Scope, eni string) error {
	return s.updateIn(ctx, scope, func(t tx) error {
		e, err := interfaces.find(t, eni)
		if err != nil || e == nil || e.Attachment == nil || e.Attachment.Status != types.AttachmentStatusAttaching {
			return err
		}
		e.Attachment.Status = types.AttachmentStatusAttached
		return interfaces.put(t, e)
	})
}

// settle moves a resource that stands for itself to its next state.
func (s *Service) settle(ctx context.Context, item reconcile.Item) (time.Duration, error) {
	return 0, s.updateIn(ctx, scopeOfItem(item), func(t tx) error {
		if p, err := prefixLists.find(t, item.ID); p != nil || err != nil {
			if err != nil {
				return err
			}
			next := map[types.PrefixListState]types.PrefixListState{
				types.PrefixListStateCreateInProgress:  types.PrefixListStateCreateComplete,
				types.PrefixListStateModifyInProgress:  types.PrefixListStateModifyComplete,
				types.PrefixListStateRestoreInProgress: types.PrefixListStateRestoreComplete,
			}[p.State]
			if next == "" {
				return nil
			}
			p.State = next
			return prefixLists.put(t, p)
		}
		if known, err := settleAccess(t, item.ID); known || err != nil {
			return err
		}
		if known, err := settleTransitPeering(t, item.ID); known || err != nil {
			return err
		}
		if a, err := elasticIPs.find(t, item.ID); a != nil || err != nil {
			if err != nil {
				return err
			}
			return settlePTR(t, a)
		}
		p, err := peerings.find(t, item.ID)
		if err != nil || p == nil || p.Status != types.VpcPeeringConnectionStateReasonCodeInitiatingRequest {
			return err
		}
		p.Status, p.Message = types.VpcPeeringConnectionStateReasonCodePendingAcceptance, "Pending Acceptance by "+p.Accepter.Account
		if err := reconcile.WantAfter(t, reconcile.Item{Kind: goneKind, Account: item.Account, Region: item.Region, ID: p.ID}, requestLifetime); err != nil {
			return err
		}
		return bothSides(t, p)
	})
}

// forget removes the record of something that ended a while ago, and ends requests that nobody accepted.
func (s *Service) forget(ctx context.Context, item reconcile.Item) (time.Duration, error) {
	var again time.Duration
	err := s.updateIn(ctx, scopeOfItem(item), func(t tx) error {
		if known, err := forgetTransit(t, item.ID); known || err != nil {
			return err
		}
		r, err := capacityReservations.find(t, item.ID)
		if r != nil && err == nil {
			again, err = forgetReservation(t, r)
		}
		if r != nil || err != nil {
			return err
		}
		x, err := addressTransfers.In(t, t.scope).Find(item.ID)
		if err != nil {
			return err
		}
		if x != nil {
			return forgetTransfer(t, x)
		}
		excluded, err := accessExclusions.find(t, item.ID)
		if err != nil {
			return err
		}
		if excluded != nil && excluded.gone() {
			return accessExclusions.delete(t, excluded.ID)
		}
		if f, err := fleetsOf(item.ID).find(t, item.ID); f != nil || err != nil {
			if err == nil && !f.Deleted.IsZero() {
				again, err = forgetFleet(t, f.ID)
			}
			return err
		}
		h, err := dedicatedHosts.find(t, item.ID)
		if err != nil {
			return err
		}
		if h != nil && !h.Released.IsZero() {
			return dedicatedHosts.delete(t, h.ID)
		}
		g, err := natGateways.find(t, item.ID)
		if err != nil {
			return err
		}
		if g != nil && g.gone() {
			return natGateways.delete(t, g.ID)
		}
		p, err := peerings.find(t, item.ID)
		if err != nil || p == nil {
			return err
		}
		switch {
		case p.Status == types.VpcPeeringConnectionStateReasonCodePendingAcceptance && !t.Now().Before(p.Expires):
			p.Status, p.Message = types.VpcPeeringConnectionStateReasonCodeExpired, "Expired"
			if err := wantGone(t, p.ID); err != nil {
				return err
			}
			return bothSides(t, p)
		case !p.alive():
			return peerings.delete(t, p.ID)
		}
		return nil
	})
	return again, err
}

// sweepNetworks removes networks that no record knows, and applies those again that are not there.
func (s *Service) sweepNetworks(ctx context.Context) error {
	if s.config.Network == nil {
		return nil
	}
	// Listing brings the node agent up, which nobody needs while there is no network.
	if used, err := s.UsesEngine(ctx); !used || err != nil {
		return err
	}
	if err := s.openHostPorts(ctx); err != nil {
		return err
	}
	vpcs, err := s.config.Network.ListVPCs(ctx)
	if err != nil {
		return err
	}
	gateways, err := s.config.Network.ListTransitGateways(ctx)
	if err != nil {
		return err
	}
	var there []string
	for _, o := range vpcs {
		there = append(there, o.ID)
	}
	for _, o := range gateways {
		there = append(there, o.ID)
	}
	known := map[string]store.Scope{}
	return s.config.DB.Update(ctx, func(raw store.Tx) error {
		clear(known)
		for row, err := range knownNetworks.In(raw, store.Scope{}).Scan(store.Query{}) {
			if err != nil {
				return err
			}
			known[row.VPC] = store.Scope{Account: row.Account, Region: row.Region}
		}
		for _, id := range there {
			scope, ok := known[id]
			delete(known, id)
			if !ok {
				if err := reconcile.Want(raw, reconcile.Item{Kind: kindOfNetwork(id), Account: scope.Account, Region: scope.Region, ID: id}); err != nil {
					return err
				}
			}
		}
		for id, scope := range known {
			if err := reconcile.Want(raw, reconcile.Item{Kind: kindOfNetwork(id), Account: scope.Account, Region: scope.Region, ID: id}); err != nil {
				return err
			}
		}
		return nil
	})
}

// kindOfNetwork is the kind of thing to make true behind the id of a VPC or a transit gateway.
func kindOfNetwork(id string) string {
	if strings.HasPrefix(id, transitGateways.prefix) {
		return transitKind
	}
	return networkKind
}

// knownNetwork remembers in one place which VPCs and transit gateways there are in all accounts and regions.
type knownNetwork struct{ VPC, Account, Region string }

var knownNetworks = store.NewTable(store.Spec[knownNetwork]{
	Service: "ec2",
	Name:    "known-networks",
	ID:      func(k *knownNetwork) store.ID { return store.ID{k.VPC} },
})

// UsesEngine tells whether any account has a network or an instance, which has something on the engine.
func (s *Service) UsesEngine(ctx context.Context) (used bool, err error) {
	err = s.config.DB.View(ctx, func(t store.Tx) error {
		used = false
		for _, err := range knownNetworks.In(t, store.Scope{}).Scan(store.Query{}) {
			used = true
			return err
		}
		for _, err := range homes.In(t, store.Scope{}).Scan(store.Query{}) {
			used = true
			return err
		}
		return nil
	})
	return used, err
}
