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
	internet  way = "internet" // the internet gateway: with IPv4 it needs a public address of the sender's own
	egress    way = "egress"   // an egress-only internet gateway
	translate way = "nat"      // a NAT gateway
	neighbor  way = "eni"      // an instance that routes
	peer      way = "peer"
	transit   way = "transit"
)

// step is one route of a subnet's table, made out.
type step struct {
	destination netip.Prefix
	way         way
	// nat and more, further ones, are set for translate, device and via where there is a device.
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
			if destination.Addr().Is6() == ipv6 {
				made := m.follow(route.Target, subnet, destination)
				made.destination = destination
				all = append(all, made)
			}
		}
	}
	slices.SortFunc(all, func(a, b step) int {
		return cmp.Or(cmp.Compare(b.destination.Bits(), a.destination.Bits()), a.destination.Addr().Compare(b.destination.Addr()))
	})
	// A range that is there twice, from a prefix list and by itself: the first route of the table wins.
	return slices.CompactFunc(all, func(a, b step) bool { return a.destination == b.destination })
}

// follow answers where a route's target leads from the subnet.
func (m *model) follow(target, subnet string, destination netip.Prefix) step {
	kind, _, _ := strings.Cut(target, "-")
	if destination.Addr().Is6() {
		return m.follow6(kind, target, subnet)
	}
	switch kind {
	case "igw":
		if target == m.InternetGateway && m.hasInternet() && m.subnets[subnet].Internet == backend.InternetOpen {
			return step{way: internet, via: m.place.Gateway, device: InternetDevice}
		}
	case "nat":
		// The gateway sends on by the table of the subnet it stands in.
		nat, ok := m.nats[target]
		if ok && m.subnets[subnet].Internet != backend.InternetBlocked && nat.Public.IsValid() && m.leadsToInternet(nat.Subnet, destination) {
			return step{way: translate, nat: nat.Public, more: nat.More, via: m.place.Gateway, device: InternetDevice}
		}
	case "eni":
		// With the check of source and destination an interface takes nothing that is not for itself.
		eni, ok := m.enis[target]
		if ok && !eni.SourceDestCheck && m.place.Attached[target] {
			return step{way: neighbor, via: eni.Addresses[0], device: DeviceName(target)}
		}
	case "pcx":
		peering, ok := m.peerings[target]
		if ok && m.place.Peers[peering.VPC] {
			return step{way: peer, via: PeerHop, device: DeviceName(target)}
		}
	case "tgw":
		// A transit gateway is reached from the zones in which the attachment has a subnet.
		attachment, ok := m.transits[target]
		if _, zone := attachment.Ways[subnet]; ok && zone {
			return step{way: transit, via: PeerHop, device: DeviceName(attachment.ID)}
		}
	}
	return step{way: blackhole}
}

// leadsToInternet tells whether the subnet's own table sends the destination to the internet gateway.
func (m *model) leadsToInternet(subnet string, destination netip.Prefix) bool {
	if !m.hasInternet() || m.subnets[subnet].Internet == backend.InternetBlocked {
		return false
	}
	best, target := -1, ""
	for _, route := range m.tables[m.subnets[subnet].RouteTable].Routes {
		for _, range4 := range route.Destinations {
			if range4.Addr().Is4() && range4.Bits() <= destination.Bits() && range4.Contains(destination.Addr()) && range4.Bits() > best {
				best, target = range4.Bits(), route.Target
			}
		}
	}
	return target == m.InternetGateway
}

func (m *model) routingRules() []RoutingRule {
	rules := []RoutingRule{{Priority: 500, Table: LocalTable}}
	for _, id := range m.subnetIDs {
		n := m.place.Subnets[id]
		rules = append(rules, RoutingRule{Priority: 1000 + n, Mark: n, Table: SubnetTables + n})
	}
	return rules
}

func (m *model) routes() []Route {
	var all []Route
	for _, cidr := range m.CIDRs {
		if cidr.Addr().Is4() {
			all = append(all, Route{Table: LocalTable, Destination: cidr})
		}
	}
	for _, id := range m.eniIDs {
		if !m.place.Attached[id] {
			continue
		}
		for _, address := range m.enis[id].Addresses {
			if address.Is4() {
				all = append(all, Route{Table: LocalTable, Destination: netip.PrefixFrom(address, 32), Device: DeviceName(id)})
			}
		}
	}
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
		if !slices.Contains(m.enis[id].Addresses, source) {
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
		if slices.Contains(endpoint.RouteTables, m.subnets[eni.Subnet].RouteTable) || m.admits(endpoint, eni) {
			origin.Endpoints = append(origin.Endpoints, endpoint.ID)
		}
	}
	slices.Sort(origin.Endpoints)
	return origin, origin.Public.IsValid() || len(origin.Endpoints) > 0
}

// admits tells whether the groups of one of the endpoint's interfaces let the sender's HTTPS in.
func (m *model) admits(endpoint backend.WantedVPCEndpoint, sender backend.WantedENI) bool {
	const port = 443
	for _, id := range endpoint.ENIs {
		for _, group := range m.enis[id].Groups {
			for _, rule := range m.groups[group].Ingress {
				protocolMatches := rule.Protocol == backend.ProtocolAll || rule.Protocol == backend.ProtocolTCP && rule.FromPort <= port && port <= rule.ToPort
				senderMatches := slices.ContainsFunc(rule.CIDRs, func(c netip.Prefix) bool { return c.Contains(sender.Addresses[0]) }) ||
					slices.ContainsFunc(rule.Groups, func(g string) bool { return slices.Contains(sender.Groups, g) })
				if protocolMatches && senderMatches {
					return true
				}
			}
		}
	}
	return false
}
