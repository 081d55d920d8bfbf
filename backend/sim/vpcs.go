package sim

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"miniaws/backend"
)

// Network holds the records of VPCs. It confirms what it is told and says Simulated; nothing carries a packet, so what
// would need one (a connection into a VPC, flow records) is KindUnsupported.
type Network struct {
	now func() time.Time

	mu       sync.Mutex
	wanted   map[string]backend.WantedVPC
	applied  map[string]time.Time // of VPCs and transit gateways
	transits map[string]backend.WantedTransitGateway
	attached map[string]backend.Attachment // by the interface's id
}

var _ backend.VPCNetwork = (*Network)(nil)

// OpenNetwork makes a network without VPCs. now is its clock.
func OpenNetwork(now func() time.Time) *Network {
	return &Network{now: now, wanted: map[string]backend.WantedVPC{}, applied: map[string]time.Time{}, transits: map[string]backend.WantedTransitGateway{}, attached: map[string]backend.Attachment{}}
}

// NetworkInfo says that nothing here is real.
func (n *Network) NetworkInfo(context.Context) (backend.NetworkInfo, error) {
	return backend.NetworkInfo{
		Name: "sim", Usable: true, IPv6: true, Simulated: true,
		// Set aside for benchmarks of networks (RFC 2544): nobody's, and on no machine's network.
		Public: netip.MustParsePrefix("198.18.8.0/21"),
	}, nil
}

// ApplyVPC keeps the value if it is sound.
func (n *Network) ApplyVPC(ctx context.Context, wanted backend.WantedVPC) (backend.ObservedVPC, error) {
	if err := ctx.Err(); err != nil {
		return backend.ObservedVPC{}, &backend.Error{Kind: backend.KindUnavailable, Op: "apply vpc", Object: wanted.ID, Err: err}
	}
	if err := wanted.Check(); err != nil {
		return backend.ObservedVPC{}, &backend.Error{Kind: backend.KindPermanent, Op: "apply vpc", Object: wanted.ID, Err: err}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.wanted[wanted.ID], n.applied[wanted.ID] = wanted, n.now()
	for id, attachment := range n.attached {
		if attachment.VPC == wanted.ID && !hasENI(wanted, id) {
			delete(n.attached, id)
		}
	}
	return n.observe(wanted.ID), nil
}

func hasENI(wanted backend.WantedVPC, id string) bool {
	return slices.ContainsFunc(wanted.ENIs, func(e backend.WantedENI) bool { return e.ID == id })
}

// observe is called with the lock held.
func (n *Network) observe(id string) backend.ObservedVPC {
	observed := backend.ObservedVPC{ID: id, Applied: n.applied[id], Simulated: true}
	for _, eni := range slices.Sorted(maps.Keys(n.attached)) {
		if attachment := n.attached[eni]; attachment.VPC == id {
			observed.ENIs = append(observed.ENIs, observedENI(attachment))
		}
	}
	return observed
}

func observedENI(a backend.Attachment) backend.ObservedENI {
	return backend.ObservedENI{ID: a.ENI, VPC: a.VPC, Container: a.Container, PID: a.PID, Index: a.Index, Simulated: true}
}

// RemoveVPC drops the record.
func (n *Network) RemoveVPC(_ context.Context, id string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.wanted, id)
	delete(n.applied, id)
	maps.DeleteFunc(n.attached, func(_ string, a backend.Attachment) bool { return a.VPC == id })
	return nil
}

// ListVPCs answers the records.
func (n *Network) ListVPCs(context.Context) ([]backend.ObservedVPC, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	var all []backend.ObservedVPC
	for id := range n.wanted {
		all = append(all, n.observe(id))
	}
	slices.SortFunc(all, func(a, b backend.ObservedVPC) int { return cmp.Compare(a.ID, b.ID) })
	return all, nil
}

// AttachENI records the attachment. It does not wait for an interface that the VPC lacks.
func (n *Network) AttachENI(_ context.Context, attachment backend.Attachment) (backend.ObservedENI, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !hasENI(n.wanted[attachment.VPC], attachment.ENI) {
		return backend.ObservedENI{}, &backend.Error{Kind: backend.KindNotFound, Op: "attach eni", Object: attachment.ENI}
	}
	n.attached[attachment.ENI] = attachment
	return observedENI(attachment), nil
}

// DetachENI drops the attachment.
func (n *Network) DetachENI(_ context.Context, _, eni string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.attached, eni)
	return nil
}

// DialVPC is KindUnsupported: nothing is there to connect to.
func (n *Network) DialVPC(_ context.Context, vpc, _ string, _ netip.AddrPort) (net.Conn, error) {
	return nil, &backend.Error{Kind: backend.KindUnsupported, Op: "dial vpc", Object: vpc, Err: fmt.Errorf("the VPC is simulated: nothing runs in it")}
}

// Answer does nothing: nobody asks.
func (n *Network) Answer(backend.Answers) {}

// Flows answers nothing: no packet flows.
func (n *Network) Flows(context.Context) ([]backend.FlowRecord, error) { return nil, nil }

// Close does nothing.
func (n *Network) Close() error { return nil }
