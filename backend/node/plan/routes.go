package plan

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	"miniaws/backend"
)

// Way is what becomes of packets to a destination.
type way string

const (
	blackhole way = "blackhole"
	barred    way = "barred"   // to the internet, which is blocked: as far as the rule by which flow logs know of it
	internet  way = "internet" // the internet gateway: with IPv4 it needs a public address of the sender's own
	egress    way = "egress"   // an egress-only internet gateway
	translate way = "nat"      // a NAT gateway, and on by the internet gateway
	relay     way = "relay"    // a NAT gateway, and on by a transit gateway or a peering connection
	neighbor  way = "eni"      // an instance that routes
	peer      way = "peer"
	transit   way = "transit"
)

// step is one route of a subnet's table, made out.
type step struct {
	destination netip.Prefix
	// route is the destination that the subnet's own table has.
	route netip.Prefix
	way   way
	// toInterface tells that it is an interface to which the table sends.
	toInterface bool
	// nat and more, further ones, are set for translate and relay, device and via where there is a device.
	nat    netip.Addr
	more   []netip.Addr
	via    netip.Addr
	device string
}

// steps answers the subnet's IPv4 routes beside the local ones, the longest destination first.
func (m *model) steps(subnet string) []step { return m.stepsOf(subnet, false) }

func (m *model) stepsOf(subnet string, ipv6 bool) []step {
	var all []step
	for _, route := range m.tables[m.subnets[subnet].RouteTable].Routes {
		for _, destination := range route.Destinations {
			if destination.Addr().Is6() != ipv6 {
				continue
			}
			made := []step{{destination: destination}}
			if nat, ok := m.nats[route.Target]; ok && !ipv6 {
				made = m.throughNAT(nat, subnet, destination)
			} else {
				made[0] = m.follow(route.Target, subnet, destination)
				made[0].destination = destination
			}
			for _, s := range made {
				s.route, s.toInterface = destination, strings.HasPrefix(route.Target, "eni-")
				all = append(all, s)
			}
		}
	}
	slices.SortStableFunc(all, longestFirst)
	// A range that is there twice, from a prefix list and by itself: the first route of the table wins.
	return slices.CompactFunc(all, func(a, b step) bool { return a.destination == b.destination })
}

func longestFirst(a, b step) int {
	return cmp.Or(cmp.Compare(b.destination.Bits(), a.destination.Bits()), a.destination.Addr().Compare(b.destination.Addr()))
}

// follow answers where a route's target leads from the subnet.
func (m *model) follow(target, subnet string, destination netip.Prefix) step {
	kind, _, _ := strings.Cut(target, "-")
	six := destination.Addr().Is6()
	world, hop := m.place.Gateway, PeerHop
	if six {
		world, hop = m.place.Gateway6, PeerHop6
	}
	access := m.subnets[subnet].Internet
	switch kind {
	case "igw":
		if target == m.InternetGateway && world.IsValid() {
			if access == backend.InternetOpen {
				return step{way: internet, via: world, device: InternetDevice}
			}
			return m.closed(world)
		}
	case "eigw":
		if six && slices.Contains(m.EgressGateways, target) && world.IsValid() {
			if access != backend.InternetBlocked {
				return step{way: egress, via: world, device: InternetDevice}
			}
			return m.closed(world)
		}
	case "eni":
		// With the check of source and destination an interface takes nothing that is not for itself.
		eni, ok := m.enis[target]
		if own := eni.Own(six); ok && own.IsValid() && !eni.SourceDestCheck && m.place.Attached[target] {
			return step{way: neighbor, via: own, device: DeviceName(target)}
		}
	case "pcx":
		peering, ok := m.peerings[target]
		if ok && m.place.Peers[peering.VPC] {
			return step{way: peer, via: hop, device: DeviceName(target)}
		}
	case "tgw":
		// A transit gateway is reached from the zones in which the attachment has a subnet.
		attachment, ok := m.transits[target]
		if _, zone := attachment.Ways[subnet]; ok && zone {
			return step{way: transit, via: hop, device: DeviceName(attachment.ID)}
		}
	}
	return step{way: blackhole}
}

// closed is where the block of public access leaves a route to the internet.
func (m *model) closed(world netip.Addr) step {
	if m.logsRejected() {
		return step{way: barred, via: world, device: InternetDevice}
	}
	return step{way: blackhole}
}

// logsRejected tells whether a flow log wants dropped packets.
func (m *model) logsRejected() bool {
	return slices.ContainsFunc(m.FlowLogs, func(l backend.WantedFlowLog) bool { return l.Rejected })
}

// throughNAT answers what becomes of a destination that the subnet's table sends to a NAT gateway. The gateway sends on by the
// table of the subnet it stands in, whose longer routes count as far as the first table has none that are as long.
func (m *model) throughNAT(nat backend.WantedNATGateway, subnet string, destination netip.Prefix) []step {
	made := []step{{way: blackhole, destination: destination}}
	whole := -1 // how long the gateway's best route for all of the destination is
	for _, route := range m.tables[m.subnets[nat.Subnet].RouteTable].Routes {
		for _, next := range route.Destinations {
			switch {
			case next.Addr().Is6() || !next.Overlaps(destination):
			case next.Bits() <= destination.Bits() && next.Bits() > whole:
				whole = next.Bits()
				made[0] = m.beyondNAT(nat, subnet, route.Target, destination)
			case next.Bits() > destination.Bits() && !m.hasLonger(subnet, destination, next):
				made = append(made, m.beyondNAT(nat, subnet, route.Target, next))
			}
		}
	}
	return made
}

// hasLonger tells whether the subnet's table has a route within the destination that holds all of next.
func (m *model) hasLonger(subnet string, destination, next netip.Prefix) bool {
	for _, route := range m.tables[m.subnets[subnet].RouteTable].Routes {
		for _, own := range route.Destinations {
			if own.Bits() > destination.Bits() && own.Bits() <= next.Bits() && own.Contains(next.Addr()) {
				return true
			}
		}
	}
	return false
}

// beyondNAT answers where a NAT gateway sends a destination of the subnet by its own subnet's route to the target.
func (m *model) beyondNAT(nat backend.WantedNATGateway, subnet, target string, destination netip.Prefix) step {
	if target == m.InternetGateway {
		open := m.subnets[subnet].Internet != backend.InternetBlocked && m.subnets[nat.Subnet].Internet != backend.InternetBlocked
		if !nat.Public.IsValid() || !m.hasInternet() {
			return step{destination: destination, way: blackhole}
		}
		if !open {
			s := m.closed(m.place.Gateway)
			s.destination = destination
			return s
		}
		return step{destination: destination, way: translate, nat: nat.Public, more: nat.More, via: m.place.Gateway, device: InternetDevice}
	}
	on := m.follow(target, nat.Subnet, destination)
	if on.way != peer && on.way != transit {
		return step{destination: destination, way: blackhole}
	}
	relayed := step{destination: destination, way: relay, nat: nat.Private, via: on.via, device: on.device}
	if !nat.Public.IsValid() {
		relayed.more = nat.More
	}
	return relayed
}

func (m *model) routingRules() []RoutingRule {
	rules := m.edgeRules()
	for _, id := range m.subnetIDs {
		if n := m.place.Subnets[id]; len(m.detours(id, false))+len(m.detours(id, true)) > 0 {
			rules = append(rules, RoutingRule{Priority: 400, Mark: n, Table: DetourTables + n})
		}
	}
	rules = append(rules, RoutingRule{Priority: 500, Table: LocalTable})
	for _, id := range m.subnetIDs {
		n := m.place.Subnets[id]
		rules = append(rules, RoutingRule{Priority: 1000 + n, Mark: n, Table: SubnetTables + n})
	}
	return rules
}

// localRoutes are those of one family to the VPC's own interfaces, and what of its ranges nobody has.
func (m *model) localRoutes(six bool) []Route {
	var all []Route
	for _, cidr := range m.CIDRs {
		if cidr.Addr().Is6() == six {
			all = append(all, Route{Table: LocalTable, Destination: cidr})
		}
	}
	for _, id := range m.eniIDs {
		for _, address := range m.enis[id].Addresses {
			if address.Is6() == six && m.place.Attached[id] {
				all = append(all, Route{Table: LocalTable, Destination: netip.PrefixFrom(address, address.BitLen()), Device: DeviceName(id)})
			}
		}
		if m.place.Attached[id] {
			all = append(all, prefixRoutes(m.enis[id], six)...)
		}
	}
	return all
}

func (m *model) routes() []Route {
	all := slices.Concat(m.localRoutes(false), m.edgeRoutes(false), m.detourRoutes(false))
	for _, address := range m.publicAddresses() {
		all = append(all, Route{Table: mainTable, Destination: netip.PrefixFrom(address, 32), Device: PublicDevice})
	}
	for _, id := range m.subnetIDs {
		table := SubnetTables + m.place.Subnets[id]
		steps := m.steps(id)
		for _, s := range steps {
			all = append(all, Route{Table: table, Destination: s.destination, Via: s.via, Device: s.device})
		}
		// Without it the main table would be asked.
		if rest := netip.PrefixFrom(netip.IPv4Unspecified(), 0); !slices.ContainsFunc(steps, func(s step) bool { return s.destination == rest }) {
			all = append(all, Route{Table: table, Destination: rest})
		}
	}
	return all
}

// mainTable is the kernel's table for what no rule of ours is about.
const mainTable = 254

// OriginOf answers how the API sees requests from the source to the target, the API's own address or an endpoint's, and
// whether it may be reached from there at all.
func OriginOf(wanted backend.WantedVPC, place Place, source, target netip.Addr) (backend.Origin, bool) {
	m := newModel(wanted, place)
	for _, id := range m.eniIDs {
		if !m.enis[id].Has(source) {
			continue
		}
		origin, ok := m.origin(id, source)
		for _, endpoint := range m.Endpoints {
			if slices.ContainsFunc(endpoint.ENIs, func(eni string) bool { return slices.Contains(m.enis[eni].Addresses, target) }) {
				origin.Addressed = endpoint.ID
				ok = slices.Contains(origin.Endpoints, endpoint.ID)
			}
		}
		return origin, ok
	}
	return backend.Origin{}, false
}

// probe stands for AWS's public endpoints when routes are followed: no range of a VPC, nothing's more special route.
var probe = netip.MustParsePrefix("0.0.0.0/0")

func (m *model) origin(id string, source netip.Addr) (backend.Origin, bool) {
	eni := m.enis[id]
	origin := backend.Origin{VPC: m.ID, ENI: id, Source: source}
	for _, s := range m.steps(eni.Subnet) {
		if s.destination != probe {
			continue
		}
		switch s.way {
		case internet:
			for _, pair := range eni.Public {
				if pair.Private == source {
					origin.Public = pair.Public
				}
			}
		case translate:
			origin.Public = s.nat
		}
	}
	for _, endpoint := range m.Endpoints {
		if slices.Contains(endpoint.RouteTables, m.subnets[eni.Subnet].RouteTable) || m.admits(endpoint, eni, source) {
			origin.Endpoints = append(origin.Endpoints, endpoint.ID)
		}
	}
	slices.Sort(origin.Endpoints)
	return origin, origin.Public.IsValid() || len(origin.Endpoints) > 0
}

// admits tells whether the groups of one of the endpoint's interfaces let the HTTPS of the sender's address in.
func (m *model) admits(endpoint backend.WantedVPCEndpoint, sender backend.WantedENI, source netip.Addr) bool {
	const port = 443
	for _, id := range endpoint.ENIs {
		for _, group := range m.enis[id].Groups {
			for _, rule := range m.groups[group].Ingress {
				protocolMatches := rule.Protocol == backend.ProtocolAll || rule.Protocol == backend.ProtocolTCP && rule.FromPort <= port && port <= rule.ToPort
				senderMatches := slices.ContainsFunc(rule.CIDRs, func(c netip.Prefix) bool { return c.Contains(source) }) ||
					slices.ContainsFunc(rule.Groups, func(g string) bool { return slices.Contains(sender.Groups, g) })
				if protocolMatches && senderMatches {
					return true
				}
			}
		}
	}
	return false
}
