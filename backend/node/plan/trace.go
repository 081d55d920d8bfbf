package plan

import (
	"net/netip"
	"slices"

	"miniaws/backend"
)

// World is the VPCs and transit gateways through which a packet may go, by their ids, with what is real of them.
type World struct {
	vpcs     map[string]situated
	transits map[string]backend.WantedTransitGateway
	// off are the interfaces of what does not run.
	off map[string]bool
}

// Plug is what an interface is plugged into.
type Plug int

const (
	// Unplugged is an interface by itself. At the ends of a question it is one as any other: what is configured is asked about.
	// A route to it is a blackhole.
	// AWS: the provider's TestAccVPCNetworkInsightsAnalysis_basic finds a path between two that are attached to nothing.
	Unplugged Plug = iota
	// Running is one in something that runs.
	Running
	// Off is one in something that does not.
	Off
)

// situated is a VPC in its place.
type situated struct {
	wanted backend.WantedVPC
	place  Place
}

// NewWorld situates VPCs as they are when all of them are real: each has its way to the internet, to those that it is
// peered with, and to those of the transit gateways that it is attached to. plugs holds what is plugged in; an interface that it
// does not have is [Unplugged].
func NewWorld(vpcs []backend.WantedVPC, transits []backend.WantedTransitGateway, plugs map[string]Plug) World {
	w := World{vpcs: map[string]situated{}, transits: byID(transits, func(g backend.WantedTransitGateway) string { return g.ID }), off: map[string]bool{}}
	for _, v := range vpcs {
		place := Place{Gateway: somewhere, Own: somewhere, Gateway6: RouterHop6, Subnets: Number(nil, v), Attached: map[string]bool{}, Peers: map[string]bool{}, Transits: map[string]bool{}}
		for _, eni := range v.ENIs {
			place.Attached[eni.ID], w.off[eni.ID] = plugs[eni.ID] == Running, plugs[eni.ID] == Off
		}
		for _, peering := range v.Peerings {
			place.Peers[peering.VPC] = slices.ContainsFunc(vpcs, func(o backend.WantedVPC) bool {
				return o.ID == peering.VPC && slices.ContainsFunc(o.Peerings, func(p backend.WantedPeering) bool { return p.ID == peering.ID })
			})
		}
		for _, attachment := range v.TransitAttachments {
			place.Transits[attachment.Gateway] = slices.ContainsFunc(w.transits[attachment.Gateway].Attachments, func(l backend.WantedTransitLink) bool { return l.ID == attachment.ID })
		}
		w.vpcs[v.ID] = situated{v, place}
	}
	return w
}

// Question asks whether a packet gets from one end to the other, and its answer back. It is answered from the value that
// makes the kernel's rules: one reading of routes, groups and ACLs for both.
type Question struct {
	// FromENI and ToENI are interfaces; empty for the internet, by the VPC's internet gateway, which leads to interfaces of
	// that VPC alone. The VPCs are theirs.
	FromVPC, FromENI string
	ToVPC, ToENI     string
	// Protocol is TCP or UDP. Source and Destination are addresses; an interface's invalid one is its primary. Of the
	// internet any address will do where it is invalid.
	Protocol             int
	Source, Destination  netip.Addr
	SourcePort, DestPort int // 0 is any
}

// Hop is one thing that a packet meets.
type Hop struct {
	// ID is a resource's: an interface, a security group, a network ACL, a route table, a gateway, a peering connection, a transit gateway's
	// attachment or route table.
	ID, VPC, Subnet string
	// Rule is the group's rule that let the packet pass, Entry the ACL's, Route the table's.
	Rule  *backend.WantedSecurityRule
	Entry *backend.WantedACLEntry
	Route *backend.WantedRoute
	// Transit is a transit gateway's route.
	Transit *backend.WantedTransitRoute
	// Local tells of a route table that it was the VPC's own route.
	Local bool
	// Egress is the direction of a group or an ACL.
	Egress bool
	// Packet is what goes on from here.
	Packet Packet
}

// Packet is a header.
type Packet struct {
	Protocol             int
	Source, Destination  netip.Addr
	SourcePort, DestPort int
}

func (p Packet) reversed() Packet {
	return Packet{p.Protocol, p.Destination, p.Source, p.DestPort, p.SourcePort}
}

// Why a packet does not get on: AWS's codes.
// AWS: "Reachability Analyzer explanation codes".
const (
	CodeNoRoute         = "NO_ROUTE_TO_DESTINATION"
	CodeBlackhole       = "BAD_STATE_ROUTE"
	CodeGroups          = "ENI_SG_RULES_MISMATCH"
	CodeACL             = "SUBNET_ACL_RESTRICTION"
	CodeNoPublicEgress  = "IGW_PUBLIC_IP_ASSOCIATION_FOR_EGRESS"
	CodeNoPublicIngress = "IGW_PRIVATE_IP_ASSOCIATION_FOR_INGRESS"
	CodeUnattached      = "UNASSOCIATED_COMPONENT"
	CodeBadState        = "BAD_STATE"
	CodeNowhere         = "NO_POSSIBLE_DESTINATION"
	CodeSourceCheck     = "ENI_SOURCE_DEST_CHECK_RESTRICTION"
	CodePublicAccess    = "VPC_BLOCK_PUBLIC_ACCESS_ENABLED"
)

// Block is one reason why a packet does not get through.
type Block struct {
	Code string
	// Hop is where; ID is the interface of a group's mismatch, the ACL, the route table, or what is in the wrong state.
	Hop
	// Groups are those that do not allow it.
	Groups []string
	// Returning tells that it is the answer that is blocked.
	Returning bool
}

// Trace is an answer: the way there and back, and what is in the way of it.
type Trace struct {
	Forward, Return []Hop
	Blocks          []Block
}

// Reaches tells whether the packet gets through.
func (t Trace) Reaches() bool { return len(t.Blocks) == 0 }

// tracer follows one packet.
type tracer struct {
	world     map[string]*model
	transits  map[string]backend.WantedTransitGateway
	off       map[string]bool
	hops      []Hop
	blocks    []Block
	returning bool
	// passed counts the transit gateways on the way.
	passed int
}

// Answer answers the question. Of ports and of the internet's addresses that are open it tries those at which something
// changes, and answers a way if there is one.
func (w World) Answer(q Question) Trace {
	models := map[string]*model{}
	for id, s := range w.vpcs {
		models[id] = newModel(s.wanted, s.place)
	}
	var first *Trace
	for _, packet := range candidates(models, q) {
		t := w.answer(models, q, packet)
		if t.Reaches() {
			return t
		}
		if first == nil || len(t.Blocks) < len(first.Blocks) {
			first = &t
		}
	}
	return *first
}

func (w World) answer(models map[string]*model, q Question, packet Packet) Trace {
	there := &tracer{world: models, transits: w.transits, off: w.off}
	arrived, ok := there.walk(q.FromVPC, q.FromENI, q.ToVPC, q.ToENI, packet)
	trace := Trace{Forward: there.hops, Blocks: there.blocks}
	if !ok {
		return trace
	}
	back := &tracer{world: models, transits: w.transits, off: w.off, returning: true}
	back.walk(q.ToVPC, q.ToENI, q.FromVPC, q.FromENI, arrived.reversed())
	trace.Return, trace.Blocks = back.hops, append(trace.Blocks, back.blocks...)
	return trace
}

// somewhere stands for the internet where nobody says which address is meant.
var somewhere = netip.MustParseAddr("203.0.113.1")

// ephemeral are ports from which a system connects: the first of what AWS and of what Linux uses, and the last ones.
var ephemeral = []int{49152, 32768, 60999, 1024, 65535}

// candidates are the packets to try for a question.
func candidates(models map[string]*model, q Question) []Packet {
	rules := slices.Concat(rulesOf(models[q.FromVPC], q.FromENI), rulesOf(models[q.ToVPC], q.ToENI))
	sources, destinations := []netip.Addr{q.Source}, []netip.Addr{q.Destination}
	ports, fromPorts := []int{q.DestPort}, []int{q.SourcePort}
	addressOf := func(vpc, eni string, had []netip.Addr) []netip.Addr {
		switch {
		case had[0].IsValid():
			return had
		case eni != "":
			if m := models[vpc]; m != nil && len(m.enis[eni].Addresses) > 0 {
				return []netip.Addr{m.enis[eni].Addresses[0]}
			}
		}
		return append([]netip.Addr{somewhere}, edges(rules)...)
	}
	sources, destinations = addressOf(q.FromVPC, q.FromENI, sources), addressOf(q.ToVPC, q.ToENI, destinations)
	if q.DestPort == 0 {
		ports = append([]int{80, 443, 22}, portEdges(rules)...)
	}
	if q.SourcePort == 0 {
		fromPorts = ephemeral
	}
	var all []Packet
	for _, port := range ports {
		for _, source := range sources {
			for _, destination := range destinations {
				for _, from := range fromPorts {
					all = append(all, Packet{q.Protocol, source, destination, from, port})
				}
			}
		}
	}
	return all
}

// rulesOf are the rules of an interface's groups: no others decide about its packets.
func rulesOf(m *model, eni string) (all []backend.WantedSecurityRule) {
	if m == nil {
		return nil
	}
	for _, id := range m.enis[eni].Groups {
		all = slices.Concat(all, m.groups[id].Ingress, m.groups[id].Egress)
	}
	return all
}

// edges are the first addresses of what rules allow outside of the VPCs.
func edges(rules []backend.WantedSecurityRule) []netip.Addr {
	var all []netip.Addr
	for _, rule := range rules {
		for _, cidr := range rule.CIDRs {
			if cidr.Addr().Is4() && !cidr.Addr().IsPrivate() && cidr.Bits() > 0 {
				all = append(all, cidr.Addr())
			}
		}
	}
	slices.SortFunc(all, netip.Addr.Compare)
	return slices.Compact(all)
}

func portEdges(rules []backend.WantedSecurityRule) []int {
	var all []int
	for _, rule := range rules {
		if rule.Protocol == backend.ProtocolTCP || rule.Protocol == backend.ProtocolUDP {
			all = append(all, max(rule.FromPort, 1))
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func (t *tracer) hop(h Hop) { t.hops = append(t.hops, h) }

func (t *tracer) block(code string, h Hop, groups ...string) {
	t.blocks = append(t.blocks, Block{Code: code, Hop: h, Groups: groups, Returning: t.returning})
}

// walk follows the packet as far as it gets; arrived is the packet as the other end sees it. It goes on behind filters
// that would not let it, so that all of them are told, and stops where there is no way. An answer passes by security
// groups, which know its connection.
func (t *tracer) walk(fromVPC, fromENI, toVPC, toENI string, p Packet) (arrived Packet, ok bool) {
	m := t.world[fromVPC]
	switch {
	case m == nil:
		t.block(CodeNowhere, Hop{ID: fromENI, VPC: fromVPC, Packet: p})
		return p, false
	case fromVPC != toVPC && fromENI == "" && !t.returning:
		t.block(CodeNowhere, Hop{ID: m.InternetGateway, VPC: m.ID, Packet: p})
		return p, false
	case fromENI == "":
		return t.fromInternet(m, toVPC, toENI, p)
	}
	sender, known := m.enis[fromENI]
	if !known {
		t.block(CodeUnattached, Hop{ID: fromENI, VPC: m.ID, Packet: p})
		return p, false
	}
	at := Hop{ID: fromENI, VPC: m.ID, Subnet: sender.Subnet, Packet: p}
	t.hop(at)
	if t.off[fromENI] && !t.returning {
		t.block(CodeBadState, at)
	}
	if sender.SourceDestCheck && !sender.Has(p.Source) {
		t.block(CodeSourceCheck, at)
	}
	t.groups(m, sender, p, true)
	if toENI != "" && toVPC == m.ID && m.inside(p.Destination) {
		if t.detour(m, sender.Subnet, p) {
			return p, false
		}
		return t.deliver(m, sender.Subnet, toENI, p)
	}
	return t.route(m, sender, toVPC, toENI, p)
}

// inside tells whether the address is in the VPC's ranges.
func (m *model) inside(address netip.Addr) bool {
	return slices.ContainsFunc(m.CIDRs, func(c netip.Prefix) bool { return c.Contains(address) })
}

// deliver brings a packet that is in the VPC to its interface; subnet is the one that it comes from, "" for outside.
func (t *tracer) deliver(m *model, subnet, toENI string, p Packet) (Packet, bool) {
	receiver, known := m.enis[toENI]
	if !known {
		t.block(CodeUnattached, Hop{ID: toENI, VPC: m.ID, Packet: p})
		return p, false
	}
	// An answer to what a NAT gateway sent is for whom it was sent for.
	if i := slices.IndexFunc(m.NATGateways, func(n backend.WantedNATGateway) bool { return n.Private == p.Destination }); i >= 0 && t.returning {
		nat := m.NATGateways[i]
		if subnet != "" && subnet != nat.Subnet {
			t.acl(m, subnet, p, true)
		}
		t.acl(m, nat.Subnet, p, false)
		p.Destination = receiver.Addresses[0]
		t.hop(Hop{ID: nat.ID, VPC: m.ID, Subnet: nat.Subnet, Packet: p})
		subnet = nat.Subnet
	}
	if subnet != "" && subnet != receiver.Subnet {
		t.acl(m, subnet, p, true)
		t.hop(Hop{ID: m.subnets[subnet].RouteTable, VPC: m.ID, Subnet: subnet, Local: true, Packet: p})
	}
	if subnet != receiver.Subnet {
		t.acl(m, receiver.Subnet, p, false)
	}
	t.groups(m, receiver, p, false)
	at := Hop{ID: toENI, VPC: m.ID, Subnet: receiver.Subnet, Packet: p}
	if !receiver.Has(p.Destination) && receiver.SourceDestCheck {
		t.block(CodeSourceCheck, at)
	}
	if t.off[toENI] && !t.returning {
		t.block(CodeBadState, at)
	}
	t.hop(at)
	return p, true
}

// groups asks the interface's groups. What they allowed once they let come back.
func (t *tracer) groups(m *model, eni backend.WantedENI, p Packet, egress bool) {
	if t.returning {
		return
	}
	at := Hop{VPC: m.ID, Subnet: eni.Subnet, Egress: egress, Packet: p}
	for _, id := range eni.Groups {
		rules := m.groups[id].Ingress
		far := p.Source
		if egress {
			rules, far = m.groups[id].Egress, p.Destination
		}
		for i := range rules {
			if m.allowsRule(rules[i], far, p) {
				at.ID, at.Rule = id, &rules[i]
				t.hop(at)
				return
			}
		}
	}
	at.ID = eni.ID
	t.block(CodeGroups, at, eni.Groups...)
}

func (m *model) allowsRule(rule backend.WantedSecurityRule, far netip.Addr, p Packet) bool {
	if !matches(rule.Protocol, rule.FromPort, rule.ToPort, p) {
		return false
	}
	if slices.ContainsFunc(rule.CIDRs, func(c netip.Prefix) bool { return c.Contains(far) }) {
		return true
	}
	return slices.ContainsFunc(rule.Groups, func(group string) bool {
		if slices.Contains(m.ForeignGroups[group], far) || slices.ContainsFunc(m.ForeignPrefixes[group], func(p netip.Prefix) bool { return p.Contains(far) }) {
			return true
		}
		for _, eni := range m.enis {
			if slices.Contains(eni.Groups, group) && eni.Has(far) {
				return true
			}
		}
		return false
	})
}

func matches(protocol, from, to int, p Packet) bool {
	switch protocol {
	case backend.ProtocolAll:
		return true
	case backend.ProtocolTCP, backend.ProtocolUDP:
		return protocol == p.Protocol && from <= p.DestPort && p.DestPort <= to
	}
	return protocol == p.Protocol
}

// acl asks the subnet's network ACL, which remembers nothing.
func (t *tracer) acl(m *model, subnet string, p Packet, egress bool) {
	acl := m.acls[m.subnets[subnet].NetworkACL]
	entries, far := acl.Ingress, p.Source
	if egress {
		entries, far = acl.Egress, p.Destination
	}
	at := Hop{ID: acl.ID, VPC: m.ID, Subnet: subnet, Egress: egress, Packet: p}
	for _, entry := range byNumber(entries) {
		if entry.CIDR.Contains(far) && matches(entry.Protocol, entry.FromPort, entry.ToPort, p) {
			at.Entry = &entry
			break
		}
	}
	if at.Entry == nil || !at.Entry.Allow {
		t.block(CodeACL, at)
		return
	}
	t.hop(at)
}

// route sends a packet out of the VPC by the table of the sender's subnet.
func (t *tracer) route(m *model, sender backend.WantedENI, toVPC, toENI string, p Packet) (Packet, bool) {
	t.acl(m, sender.Subnet, p, true)
	return t.follow(m, sender, toVPC, toENI, p)
}

// follow is route past the network ACL.
func (t *tracer) follow(m *model, sender backend.WantedENI, toVPC, toENI string, p Packet) (Packet, bool) {
	table := m.tables[m.subnets[sender.Subnet].RouteTable]
	at := Hop{ID: table.ID, VPC: m.ID, Subnet: sender.Subnet, Packet: p}
	step, route := m.lookup(table, sender.Subnet, p.Destination)
	switch {
	case route == nil || m.inside(p.Destination):
		t.block(CodeNoRoute, at)
		return p, false
	case step.way == blackhole, step.way == barred:
		at.Route = route
		if _, attached := m.transits[route.Target]; attached {
			t.block(CodeTransitZone, at)
			return p, false
		}
		if m.publicAccessBlocked(sender.Subnet, route.Target) {
			t.hop(at)
			t.block(CodePublicAccess, Hop{ID: m.InternetGateway, VPC: m.ID, Subnet: sender.Subnet, Packet: p})
			return p, false
		}
		t.block(CodeBlackhole, at)
		return p, false
	}
	at.Route = route
	t.hop(at)
	switch step.way {
	case internet, translate, egress:
		return t.toInternet(m, sender, step, route.Target, toVPC, toENI, p)
	case peer:
		other := t.world[m.peerings[route.Target].VPC]
		t.hop(Hop{ID: route.Target, VPC: m.ID, Packet: p})
		if other == nil || toENI == "" || other.ID != toVPC || !other.inside(p.Destination) {
			t.block(CodeNowhere, Hop{ID: route.Target, VPC: m.ID, Packet: p})
			return p, false
		}
		return t.deliver(other, "", toENI, p)
	case transit:
		return t.byTransit(m, sender.Subnet, route.Target, toVPC, toENI, p)
	case relay:
		nat := m.nats[route.Target]
		if t.passed > 0 { // what a transit gateway has brought goes on to the internet alone
			t.block(CodeNowhere, Hop{ID: nat.ID, VPC: m.ID, Subnet: nat.Subnet, Packet: p})
			return p, false
		}
		private := p
		p.Source = nat.Private
		t.passNAT(m, nat, private, p)
		return t.follow(m, backend.WantedENI{Subnet: nat.Subnet}, toVPC, toENI, p)
	}
	// An instance that routes decides by itself where the packet goes on.
	t.block(CodeNowhere, Hop{ID: route.Target, VPC: m.ID, Packet: p})
	return p, false
}

// lookup answers the route of the longest destination that matches.
func (m *model) lookup(table backend.WantedRouteTable, subnet string, destination netip.Addr) (step, *backend.WantedRoute) {
	for _, s := range m.stepsOf(subnet, destination.Is6()) {
		if !s.destination.Contains(destination) {
			continue
		}
		for i := range table.Routes {
			if slices.Contains(table.Routes[i].Destinations, s.route) {
				return s, &table.Routes[i]
			}
		}
	}
	return step{}, nil
}

// publicAccessBlocked tells whether it is the block of public access alone that makes a way of the subnet to the internet a
// blackhole.
func (m *model) publicAccessBlocked(subnet, target string) bool {
	access := m.subnets[subnet].Internet
	switch {
	case target == m.InternetGateway:
		return m.hasInternet() && access != backend.InternetOpen
	case m.nats[target].Public.IsValid():
		return m.hasInternet() && (access == backend.InternetBlocked || m.subnets[m.nats[target].Subnet].Internet == backend.InternetBlocked)
	}
	return slices.Contains(m.EgressGateways, target) && access == backend.InternetBlocked
}
