package agent

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"miniaws/backend"
	"miniaws/backend/node/kernel"
	"miniaws/backend/node/plan"
)

// transit is one transit gateway: a namespace of its own, with a device to every attached VPC. What is saved is exported.
type transit struct {
	Wanted   backend.WantedTransitGateway `json:"wanted"`
	Tables   map[string]int               `json:"tables,omitempty"`
	Applied  time.Time                    `json:"applied"`
	router   *kernel.Router
	place    plan.TransitPlace
	problems []string
}

// transitOf is the gateway to which an attachment of the VPC leads, if it is there and wants that too; or nil.
func (a *Agent) transitOf(v *vpc, attachment backend.WantedTransitAttachment) *transit {
	t := a.transits[attachment.Gateway]
	if t == nil || t.router == nil || !slices.ContainsFunc(t.Wanted.Attachments, func(l backend.WantedTransitLink) bool {
		return l.ID == attachment.ID && l.VPC == v.Wanted.ID
	}) {
		return nil
	}
	return t
}

// join connects the VPC's router with its transit gateways.
func (a *Agent) join(v *vpc) error {
	var errs []error
	for _, attachment := range v.Wanted.TransitAttachments {
		if t := a.transitOf(v, attachment); t != nil {
			errs = append(errs, kernel.Peer(t.router, v.router, plan.DeviceName(attachment.ID), plan.TransitMTU))
		}
	}
	return errors.Join(errs...)
}

func (a *Agent) sortedTransits() []*transit {
	all := make([]*transit, 0, len(a.transits))
	for _, t := range a.transits {
		all = append(all, t)
	}
	slices.SortFunc(all, func(x, y *transit) int { return cmp.Compare(x.Wanted.ID, y.Wanted.ID) })
	return all
}

func (a *Agent) convergeTransits() {
	made := map[*transit]bool{}
	look := func(t *transit) {
		alive := t.router != nil && t.router.Alive()
		if err := a.convergeTransit(t); err != nil {
			slog.Error("a transit gateway is not as wanted", "gateway", t.Wanted.ID, "error", err)
		}
		made[t] = !alive
	}
	for _, t := range a.sortedTransits() {
		look(t)
	}
	// A gateway whose peer was made after it has its way to that one now.
	for _, t := range a.sortedTransits() {
		if slices.ContainsFunc(t.Wanted.Attachments, func(l backend.WantedTransitLink) bool { return made[a.transits[l.Peer]] }) {
			look(t)
		}
	}
}

// convergeTransitsOf looks at the gateways with which a VPC has, or had, something to do.
func (a *Agent) convergeTransitsOf(before, after backend.WantedVPC) error {
	var errs []error
	for _, attachment := range slices.Concat(before.TransitAttachments, after.TransitAttachments) {
		if t := a.transits[attachment.Gateway]; t != nil {
			errs = append(errs, a.convergeTransit(t))
		}
	}
	return errors.Join(errs...)
}

// convergeTransit makes the gateway as wanted, with the devices to VPCs that are there and want it too. The agent's lock
// is held.
func (a *Agent) convergeTransit(t *transit) (err error) {
	t.problems = nil
	defer func() {
		if err != nil {
			t.problems = append(t.problems, err.Error())
		}
	}()
	if t.router == nil || !t.router.Alive() {
		if t.router != nil {
			t.router.Close()
			t.router = nil
		}
		if t.router, err = kernel.OpenRouter(namespacePath(t.Wanted.ID)); err != nil {
			return fmt.Errorf("the transit gateway's namespace: %w", err)
		}
		// VPCs that were applied before it have a way to it from now on.
		for _, link := range t.Wanted.Attachments {
			if v := a.vpcs[link.VPC]; v != nil && v.router != nil {
				err = errors.Join(err, a.join(v), a.program(v))
			}
		}
	}
	if kernel.HasIPv6() {
		if err := t.router.IPv6(); err != nil {
			return err
		}
	}
	place := plan.TransitPlace{Tables: t.Tables, Joined: map[string]bool{}}
	devices := map[string]bool{}
	var errs []error
	for _, link := range t.Wanted.Attachments {
		if link.Peer != "" {
			if err := a.peerTransits(t, link); err != nil {
				errs = append(errs, err)
			} else if a.peerOf(t, link) != nil {
				place.Joined[link.ID], devices[plan.LinkDevice(link)] = true, true
			}
			continue
		}
		v := a.vpcs[link.VPC]
		if v == nil || v.router == nil || !slices.ContainsFunc(v.Wanted.TransitAttachments, func(x backend.WantedTransitAttachment) bool {
			return x.ID == link.ID && x.Gateway == t.Wanted.ID
		}) {
			continue
		}
		device := plan.DeviceName(link.ID)
		if err := kernel.Peer(t.router, v.router, device, plan.TransitMTU); err != nil {
			errs = append(errs, err)
			continue
		}
		place.Joined[link.ID], devices[device] = true, true
	}
	there, err := t.router.Devices()
	errs = append(errs, err)
	for device := range there {
		if strings.HasPrefix(device, "tgw") && !devices[device] {
			errs = append(errs, t.router.Detach(device))
		}
	}
	t.place = place
	p := plan.OfTransit(t.Wanted, place)
	if !kernel.HasIPv6() {
		p.Table6 = nil
	}
	changed, err := t.router.Apply(p)
	if changed {
		t.Applied = time.Now()
	}
	return errors.Join(append(errs, err)...)
}

// peerOf is the gateway at the other end of a link, if it is there and wants the link too; or nil.
func (a *Agent) peerOf(t *transit, link backend.WantedTransitLink) *transit {
	other := a.transits[link.Peer]
	if other == nil || other.router == nil || !slices.ContainsFunc(other.Wanted.Attachments, func(l backend.WantedTransitLink) bool {
		return l.Pair == link.Pair && l.Peer == t.Wanted.ID
	}) {
		return nil
	}
	return other
}

// peerTransits connects two gateways: always in the same order, so that each end keeps its MAC.
func (a *Agent) peerTransits(t *transit, link backend.WantedTransitLink) error {
	other := a.peerOf(t, link)
	if other == nil {
		return nil
	}
	first, second := t.router, other.router
	if other.Wanted.ID < t.Wanted.ID {
		first, second = second, first
	}
	return kernel.Peer(first, second, plan.LinkDevice(link), plan.TransitMTU)
}

// convergePeers looks at the gateways with which this one has, or had, something to do.
func (a *Agent) convergePeers(id string, links ...backend.WantedTransitLink) error {
	var errs []error
	for _, link := range links {
		if other := a.transits[link.Peer]; link.Peer != "" && link.Peer != id && other != nil {
			errs = append(errs, a.convergeTransit(other))
		}
	}
	return errors.Join(errs...)
}

// applyTransit makes the gateway as wanted, and what VPCs have with it.
func (a *Agent) applyTransit(wanted backend.WantedTransitGateway) (backend.ObservedTransitGateway, error) {
	if err := wanted.Check(); err != nil {
		return backend.ObservedTransitGateway{}, &backend.Error{Kind: backend.KindPermanent, Op: "apply transit gateway", Object: wanted.ID, Err: err}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	t := a.transits[wanted.ID]
	if t == nil {
		t = &transit{}
		a.transits[wanted.ID] = t
	}
	before := t.Wanted
	t.Wanted, t.Tables = wanted, plan.NumberTransit(t.Tables, wanted)
	err := errors.Join(a.convergeTransit(t), a.convergePeers(wanted.ID, slices.Concat(before.Attachments, wanted.Attachments)...))
	for _, link := range slices.Concat(before.Attachments, wanted.Attachments) {
		if v := a.vpcs[link.VPC]; v != nil && v.router != nil {
			err = errors.Join(err, a.converge(v))
		}
	}
	err = errors.Join(err, a.transitState.save(wanted.ID, t))
	if err != nil {
		return backend.ObservedTransitGateway{}, &backend.Error{Kind: backend.KindUnavailable, Op: "apply transit gateway", Object: wanted.ID, Err: err}
	}
	return t.observe(), nil
}

// removeTransit ends the gateway's namespace.
func (a *Agent) removeTransit(id string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	t := a.transits[id]
	if t == nil {
		return nil
	}
	delete(a.transits, id)
	var err error
	if t.router != nil {
		err = t.router.Remove()
	}
	err = errors.Join(err, a.transitState.remove(id), a.convergePeers(id, t.Wanted.Attachments...))
	for _, v := range a.sorted() {
		if slices.ContainsFunc(v.Wanted.TransitAttachments, func(x backend.WantedTransitAttachment) bool { return x.Gateway == id }) {
			err = errors.Join(err, a.converge(v))
		}
	}
	if err != nil {
		return &backend.Error{Kind: backend.KindUnavailable, Op: "remove transit gateway", Object: id, Err: err}
	}
	return nil
}

func (a *Agent) listTransits() []backend.ObservedTransitGateway {
	a.mu.Lock()
	defer a.mu.Unlock()
	all := []backend.ObservedTransitGateway{}
	for _, t := range a.sortedTransits() {
		all = append(all, t.observe())
	}
	return all
}

func (t *transit) observe() backend.ObservedTransitGateway {
	observed := backend.ObservedTransitGateway{ID: t.Wanted.ID, Applied: t.Applied, Problems: t.problems}
	if t.router != nil {
		observed.Namespace = t.router.Name()
	}
	for id := range t.place.Joined {
		observed.Joined = append(observed.Joined, id)
	}
	slices.Sort(observed.Joined)
	return observed
}

// look answers what the kernel holds for the gateway, or for one of its route tables.
func (t *transit) look(id string) ([]backend.Fact, error) {
	live, err := t.router.Inspect()
	if err != nil {
		return nil, &backend.Error{Kind: backend.KindUnavailable, Op: "look", Object: id, Err: err}
	}
	s := &sight{live: live, plan: plan.OfTransit(t.Wanted, t.place)}
	s.add("namespace", live.Namespace, namespacePath(t.Wanted.ID)+" in the node agent's container")
	for _, table := range t.Wanted.RouteTables {
		if id != table.ID && id != t.Wanted.ID {
			continue
		}
		number := plan.SubnetTables + t.Tables[table.ID]
		lines := []string{fmt.Sprintf("%s is table %d", table.ID, number)}
		for _, rule := range live.Rules {
			if rule.Table == number {
				lines = append(lines, fmt.Sprintf("%d: packets that came in by %s ask it", rule.Priority, rule.Device))
			}
		}
		s.add("routes", append(lines, s.routesBy(func(r plan.Route) bool { return r.Table == number })...)...)
	}
	if id == t.Wanted.ID {
		for _, device := range live.Devices {
			if strings.HasPrefix(device.Name, "tgw") {
				s.add("device", device.String())
			}
		}
		s.chain("pass")
	}
	for _, problem := range t.problems {
		s.add("problem", problem)
	}
	return s.facts, nil
}
