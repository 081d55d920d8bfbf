package sim

import (
	"cmp"
	"context"
	"slices"

	"miniaws/backend"
)

// ApplyTransitGateway keeps the value if it is sound.
func (n *Network) ApplyTransitGateway(ctx context.Context, wanted backend.WantedTransitGateway) (backend.ObservedTransitGateway, error) {
	if err := ctx.Err(); err != nil {
		return backend.ObservedTransitGateway{}, &backend.Error{Kind: backend.KindUnavailable, Op: "apply transit gateway", Object: wanted.ID, Err: err}
	}
	if err := wanted.Check(); err != nil {
		return backend.ObservedTransitGateway{}, &backend.Error{Kind: backend.KindPermanent, Op: "apply transit gateway", Object: wanted.ID, Err: err}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.transits[wanted.ID], n.applied[wanted.ID] = wanted, n.now()
	return n.observeTransit(wanted), nil
}

// RemoveTransitGateway drops the record.
func (n *Network) RemoveTransitGateway(_ context.Context, id string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.transits, id)
	delete(n.applied, id)
	return nil
}

// ListTransitGateways answers the records.
func (n *Network) ListTransitGateways(context.Context) ([]backend.ObservedTransitGateway, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	var all []backend.ObservedTransitGateway
	for _, wanted := range n.transits {
		all = append(all, n.observeTransit(wanted))
	}
	slices.SortFunc(all, func(a, b backend.ObservedTransitGateway) int { return cmp.Compare(a.ID, b.ID) })
	return all, nil
}

// observeTransit is called with the lock held.
func (n *Network) observeTransit(wanted backend.WantedTransitGateway) backend.ObservedTransitGateway {
	observed := backend.ObservedTransitGateway{ID: wanted.ID, Applied: n.applied[wanted.ID], Simulated: true}
	for _, link := range wanted.Attachments {
		if link.Peer != "" {
			if slices.ContainsFunc(n.transits[link.Peer].Attachments, func(l backend.WantedTransitLink) bool { return l.Pair == link.Pair }) {
				observed.Joined = append(observed.Joined, link.ID)
			}
			continue
		}
		if slices.ContainsFunc(n.wanted[link.VPC].TransitAttachments, func(a backend.WantedTransitAttachment) bool { return a.ID == link.ID && a.Gateway == wanted.ID }) {
			observed.Joined = append(observed.Joined, link.ID)
		}
	}
	slices.Sort(observed.Joined)
	return observed
}
