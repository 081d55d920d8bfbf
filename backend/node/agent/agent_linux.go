package agent

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"miniaws/backend"
	"miniaws/backend/node/kernel"
	"miniaws/backend/node/plan"
)

// Options are an agent's.
type Options struct {
	// Owner is the installation id.
	Owner string
	// Folder holds the socket; the gateway sees it too. Owner of the socket are UID and GID.
	Folder   string
	UID, GID int
	// Bridge is the public bridge's name, Range its addresses, Gateway its own; all zero for none.
	Bridge  string
	Range   netip.Prefix
	Gateway netip.Addr
}

// Folders of the container's own.
const (
	namespaceFolder = "/run/mini-aws-vpcs"
	stateFolder     = "/var/lib/mini-aws-node"
)

// resyncInterval is how long something that was changed by hand stays that way.
const resyncInterval = 5 * time.Second

// Agent holds the VPCs of one installation on one engine.
type Agent struct {
	options Options
	state   state
	back    back
	// transitState is the state of transit gateways.
	transitState state

	// mu guards what is below; it is held while the kernel is told, so that calls come one after the other.
	mu       sync.Mutex
	vpcs     map[string]*vpc
	transits map[string]*transit
	// applied is closed and made anew whenever a VPC was applied.
	applied chan struct{}
}

// vpc is one VPC. What is saved is exported.
type vpc struct {
	Wanted      backend.WantedVPC     `json:"wanted"`
	Attachments map[string]attachment `json:"attachments,omitempty"`
	Subnets     map[string]int        `json:"subnets,omitempty"`
	Own         netip.Addr            `json:"own,omitzero"`
	Applied     time.Time             `json:"applied"`
	router      *kernel.Router
	services    *services
	flows       *flows
	problems    []string
	place       plan.Place
	// wired are the IPv6 addresses that interfaces were given inside, by the interface.
	wired map[string][]netip.Addr
}

// attachment is an interface in a container, as long as the process lives.
type attachment struct {
	backend.Attachment
	// StartTime tells the process from a later one of the same number.
	StartTime string
}

func newAgent(options Options) (*Agent, error) {
	a := &Agent{options: options, state: state{folder: stateFolder}, transitState: state{folder: filepath.Join(stateFolder, "transit-gateways")}, applied: make(chan struct{})}
	var err error
	if a.vpcs, err = load(a.state, func(v *vpc) string { return v.Wanted.ID }); err != nil {
		return nil, err
	}
	if a.transits, err = load(a.transitState, func(t *transit) string { return t.Wanted.ID }); err != nil {
		return nil, err
	}
	for _, v := range a.vpcs {
		if v.Attachments == nil {
			v.Attachments = map[string]attachment{}
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.convergeAll()
	return a, nil
}

// convergeAll mends every VPC; what fails is noted as its problem.
func (a *Agent) convergeAll() {
	for _, v := range a.sorted() {
		if err := a.converge(v); err != nil {
			slog.Error("a VPC is not as wanted", "vpc", v.Wanted.ID, "error", err)
		}
	}
	a.convergeTransits()
}

func (a *Agent) sorted() []*vpc {
	all := make([]*vpc, 0, len(a.vpcs))
	for _, v := range a.vpcs {
		all = append(all, v)
	}
	slices.SortFunc(all, func(x, y *vpc) int { return cmp.Compare(x.Wanted.ID, y.Wanted.ID) })
	return all
}

// resync mends what was changed by hand, until the context ends.
func (a *Agent) resync(ctx context.Context) {
	ticker := time.NewTicker(resyncInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			a.mu.Lock()
			a.convergeAll()
			a.mu.Unlock()
		}
	}
}

// applyVPC makes the VPC as wanted, and what other VPCs have with it.
func (a *Agent) applyVPC(wanted backend.WantedVPC) (backend.ObservedVPC, error) {
	if err := wanted.Check(); err != nil {
		return backend.ObservedVPC{}, &backend.Error{Kind: backend.KindPermanent, Op: "apply vpc", Object: wanted.ID, Err: err}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	v, existed := a.vpcs[wanted.ID]
	if !existed {
		v = &vpc{Attachments: map[string]attachment{}}
		a.vpcs[wanted.ID] = v
	}
	before := v.Wanted
	v.Wanted = wanted
	v.Subnets = plan.Number(v.Subnets, wanted)
	v.dropAttachments()
	err := a.converge(v)
	if v.router != nil {
		err = errors.Join(err, v.router.Forget(lostRanges(before, wanted)))
	}
	// The other sides of peerings have a way to this one now, or none any more.
	for _, other := range a.sorted() {
		if other != v && (peers(other.Wanted, wanted.ID) || peers(before, other.Wanted.ID)) {
			err = errors.Join(err, a.converge(other))
		}
	}
	err = errors.Join(err, a.convergeTransitsOf(before, wanted), a.tellWorld(v, before))
	if saveErr := a.state.save(v.Wanted.ID, v); saveErr != nil {
		err = errors.Join(err, saveErr)
	}
	close(a.applied)
	a.applied = make(chan struct{})
	if err != nil {
		return backend.ObservedVPC{}, &backend.Error{Kind: backend.KindUnavailable, Op: "apply vpc", Object: wanted.ID, Err: err}
	}
	return a.observe(v), nil
}

func peers(wanted backend.WantedVPC, id string) bool {
	return slices.ContainsFunc(wanted.Peerings, func(p backend.WantedPeering) bool { return p.VPC == id })
}

// dropAttachments forgets interfaces that are not wanted any more: their devices go with converge.
func (v *vpc) dropAttachments() {
	for id := range v.Attachments {
		if _, wanted := eniOf(v.Wanted, id); !wanted {
			delete(v.Attachments, id)
		}
	}
}

func eniOf(wanted backend.WantedVPC, id string) (backend.WantedENI, bool) {
	i := slices.IndexFunc(wanted.ENIs, func(e backend.WantedENI) bool { return e.ID == id })
	if i < 0 {
		return backend.WantedENI{}, false
	}
	return wanted.ENIs[i], true
}

// rangesOf are the interface's addresses and prefixes.
func rangesOf(eni backend.WantedENI) []netip.Prefix {
	all := slices.Clone(eni.Prefixes)
	for _, address := range eni.Addresses {
		all = append(all, single(address))
	}
	return all
}

func single(address netip.Addr) netip.Prefix { return netip.PrefixFrom(address, address.BitLen()) }

// lostRanges answers the addresses and prefixes that belong to nobody, or to somebody else, after the change.
func lostRanges(before, after backend.WantedVPC) []netip.Prefix {
	owners := func(w backend.WantedVPC) map[netip.Prefix]string {
		all := map[netip.Prefix]string{}
		for _, eni := range w.ENIs {
			for _, own := range rangesOf(eni) {
				all[own] = eni.ID
			}
			for _, pair := range eni.Public {
				all[single(pair.Public)] = eni.ID + pair.Private.String()
			}
		}
		for _, nat := range w.NATGateways {
			for _, address := range append([]netip.Addr{nat.Private, nat.Public}, nat.More...) {
				if address.IsValid() { // a private gateway has no public one
					all[single(address)] = nat.ID
				}
			}
		}
		return all
	}
	had, has := owners(before), owners(after)
	var lost []netip.Prefix
	for own, owner := range had {
		if has[own] != owner {
			lost = append(lost, own)
		}
	}
	return lost
}

// removeVPC ends the VPC's namespace.
func (a *Agent) removeVPC(id string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	v, ok := a.vpcs[id]
	if !ok {
		return nil
	}
	if v.services != nil {
		v.services.close()
	}
	if v.flows != nil {
		v.flows.close()
	}
	var err error
	if v.router != nil {
		err = v.router.Remove()
		v.router = nil
	}
	delete(a.vpcs, id)
	err = errors.Join(err, a.state.remove(id), a.tellWorld(v, v.Wanted))
	for _, other := range a.sorted() {
		if peers(other.Wanted, id) {
			err = errors.Join(err, a.converge(other))
		}
	}
	if err != nil {
		return &backend.Error{Kind: backend.KindUnavailable, Op: "remove vpc", Object: id, Err: err}
	}
	return nil
}

// listVPCs answers all of them.
func (a *Agent) listVPCs() []backend.ObservedVPC {
	a.mu.Lock()
	defer a.mu.Unlock()
	all := []backend.ObservedVPC{}
	for _, v := range a.sorted() {
		all = append(all, a.observe(v))
	}
	return all
}

func (a *Agent) observe(v *vpc) backend.ObservedVPC {
	observed := backend.ObservedVPC{ID: v.Wanted.ID, Applied: v.Applied, Problems: v.problems}
	if v.router == nil {
		return observed
	}
	observed.Namespace = v.router.Name()
	devices, err := v.router.Devices()
	if err != nil {
		observed.Problems = append(slices.Clip(observed.Problems), err.Error())
	}
	for id, attached := range v.Attachments {
		device := plan.DeviceName(id)
		counted, there := devices[device]
		if !there {
			continue
		}
		observed.ENIs = append(observed.ENIs, backend.ObservedENI{
			ID: id, VPC: v.Wanted.ID, Container: attached.Container, PID: attached.PID, Index: attached.Index, Device: device,
			// The router receives what the instance sends.
			RxBytes: counted.TxBytes, TxBytes: counted.RxBytes, RxPackets: counted.TxPackets, TxPackets: counted.RxPackets,
		})
	}
	slices.SortFunc(observed.ENIs, func(x, y backend.ObservedENI) int {
		if x.ID < y.ID {
			return -1
		}
		return 1
	})
	return observed
}

// attachPatience is how long an attachment waits for the VPC to have the interface.
const attachPatience = 5 * time.Second

// attachENI wires an interface into a container.
func (a *Agent) attachENI(ctx context.Context, wanted backend.Attachment) (backend.ObservedENI, error) {
	fail := func(kind backend.Kind, err error) (backend.ObservedENI, error) {
		return backend.ObservedENI{}, &backend.Error{Kind: kind, Op: "attach eni", Object: wanted.ENI, Err: err}
	}
	if wanted.PID <= 1 || wanted.Index < 0 || wanted.Index > 99 {
		return fail(backend.KindNotFound, fmt.Errorf("process %d, device index %d", wanted.PID, wanted.Index))
	}
	ctx, cancel := context.WithTimeout(ctx, attachPatience)
	defer cancel()
	for {
		a.mu.Lock()
		v := a.vpcs[wanted.VPC]
		if v != nil {
			if _, ok := eniOf(v.Wanted, wanted.ENI); ok {
				break
			}
		}
		applied := a.applied
		a.mu.Unlock()
		select {
		case <-applied:
		case <-ctx.Done():
			return fail(backend.KindNotFound, fmt.Errorf("no such interface is wanted in %s", wanted.VPC))
		}
	}
	defer a.mu.Unlock()
	v := a.vpcs[wanted.VPC]
	started, err := kernel.StartTime(wanted.PID)
	if err != nil {
		return fail(backend.KindNotFound, err)
	}
	if v.router == nil || !v.router.Alive() {
		if err := a.converge(v); err != nil {
			return fail(backend.KindUnavailable, err)
		}
	}
	made := attachment{Attachment: wanted, StartTime: started}
	switch err := a.wire(v, made); {
	case errors.Is(err, kernel.ErrNoProcess):
		return fail(backend.KindNotFound, err)
	case errors.Is(err, kernel.ErrNameTaken):
		return fail(backend.KindInUse, err)
	case err != nil:
		return fail(backend.KindUnavailable, err)
	}
	v.Attachments[wanted.ENI] = made
	if err := errors.Join(a.program(v), a.state.save(v.Wanted.ID, v)); err != nil {
		return fail(backend.KindUnavailable, err)
	}
	return backend.ObservedENI{
		ID: wanted.ENI, VPC: wanted.VPC, Container: wanted.Container, PID: wanted.PID, Index: wanted.Index, Device: plan.DeviceName(wanted.ENI),
	}, nil
}

// detachENI takes the interface out of its container.
func (a *Agent) detachENI(vpcID, eni string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	v := a.vpcs[vpcID]
	if v == nil {
		return nil
	}
	delete(v.Attachments, eni)
	var err error
	if v.router != nil {
		err = v.router.Detach(plan.DeviceName(eni))
		if wanted, ok := eniOf(v.Wanted, eni); ok {
			err = errors.Join(err, v.router.Forget(rangesOf(wanted)))
		}
		err = errors.Join(err, a.program(v))
	}
	if err = errors.Join(err, a.state.save(v.Wanted.ID, v)); err != nil {
		return &backend.Error{Kind: backend.KindUnavailable, Op: "detach eni", Object: eni, Err: err}
	}
	return nil
}

// info answers what the network can do here.
func (a *Agent) info() backend.NetworkInfo {
	info := backend.NetworkInfo{Name: "node", Kernel: kernel.Release(), Missing: kernel.Missing()}
	info.Usable = len(info.Missing) == 0
	info.IPv6 = info.Usable && kernel.HasIPv6()
	if a.options.Bridge != "" {
		info.Public, info.HostSource = givenOut(a.options.Range), a.options.Gateway
	}
	return info
}

// givenOut is the upper half of the public bridge's range; the lower is the engine's and the routers' own.
func givenOut(all netip.Prefix) netip.Prefix {
	first := all.Addr().As4()
	half := uint32(1) << (31 - all.Bits())
	number := uint32(first[0])<<24 | uint32(first[1])<<16 | uint32(first[2])<<8 | uint32(first[3])
	number += half
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{byte(number >> 24), byte(number >> 16), byte(number >> 8), byte(number)}), all.Bits()+1)
}

// enginesOwn is how many addresses at the start of the public range are the engine's.
const enginesOwn = 16

// ownAddress answers the router's address on the public bridge: the one that it had, or the first that no router has.
func (a *Agent) ownAddress(v *vpc) (netip.Addr, error) {
	taken := map[netip.Addr]bool{}
	for _, other := range a.vpcs {
		if other != v {
			taken[other.Own] = true
		}
	}
	limit := givenOut(a.options.Range).Addr()
	if v.Own.IsValid() && a.options.Range.Contains(v.Own) && v.Own.Less(limit) && !taken[v.Own] {
		return v.Own, nil
	}
	address := a.options.Range.Addr()
	for range enginesOwn {
		address = address.Next()
	}
	for ; address.Less(limit); address = address.Next() {
		if !taken[address] {
			return address, nil
		}
	}
	return netip.Addr{}, errors.New("the public range has no address left for another VPC's router")
}

func namespacePath(id string) string { return filepath.Join(namespaceFolder, filepath.Base(id)) }

// cleanNamespaces removes namespaces of VPCs that nobody wants: left by an agent that died while it removed one.
func (a *Agent) cleanNamespaces() {
	entries, err := os.ReadDir(namespaceFolder)
	if err != nil {
		return
	}
	for _, entry := range entries {
		if a.vpcs[entry.Name()] != nil || a.transits[entry.Name()] != nil {
			continue
		}
		router, err := kernel.OpenRouter(namespacePath(entry.Name()))
		if err == nil {
			err = router.Remove()
		}
		slog.Info("a namespace that no VPC has", "vpc", entry.Name(), "error", err)
	}
}
