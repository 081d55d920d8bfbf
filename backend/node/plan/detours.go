package plan

import (
	"net/netip"
	"slices"
)

// detours are the subnet's routes to interfaces that lead into the VPC's own ranges, the longest destination first: they win
// against the local ones. Inside the subnet nobody asks a router, so routes into it mean nothing.
// AWS: "Routing for a middlebox appliance".
func (m *model) detours(subnet string, ipv6 bool) []step {
	own := m.own(subnet, ipv6)
	return slices.DeleteFunc(m.stepsOf(subnet, ipv6), func(s step) bool {
		return !s.toInterface || covers(own, s.destination) || !slices.ContainsFunc(m.CIDRs, func(c netip.Prefix) bool { return covers(c, s.destination) })
	})
}

// own is the subnet's range of a family, the zero Prefix for none.
func (m *model) own(subnet string, ipv6 bool) netip.Prefix {
	if ipv6 {
		return m.subnets[subnet].IPv6
	}
	return m.subnets[subnet].CIDR
}

// covers tells whether all of the inner range is in the outer one.
func covers(outer, inner netip.Prefix) bool {
	return outer.IsValid() && inner.IsValid() && outer.Bits() <= inner.Bits() && outer.Contains(inner.Addr())
}

// detourRoutes are the detours of all subnets in the kernel's tables.
func (m *model) detourRoutes(ipv6 bool) (all []Route) {
	for _, id := range m.subnetIDs {
		table, own, around := DetourTables+m.place.Subnets[id], m.own(id, ipv6), false
		for _, s := range m.detours(id, ipv6) {
			all = append(all, Route{Table: table, Destination: s.destination, Via: s.via, Device: s.device})
			around = around || covers(s.destination, own)
		}
		if around {
			all = append(all, Route{Table: table, Destination: own, Next: true})
		}
	}
	return all
}

// detour tells whether the subnet's table steers a packet for the VPC itself to an interface. What is behind that decides by
// itself where the packet goes on, so the way ends here.
func (t *tracer) detour(m *model, subnet string, p Packet) bool {
	ways := m.detours(subnet, p.Destination.Is6())
	i := slices.IndexFunc(ways, func(s step) bool { return s.destination.Contains(p.Destination) })
	if i < 0 || m.own(subnet, p.Destination.Is6()).Contains(p.Destination) {
		return false
	}
	table := m.tables[m.subnets[subnet].RouteTable]
	_, route := m.lookup(table, subnet, p.Destination)
	at := Hop{ID: table.ID, VPC: m.ID, Subnet: subnet, Route: route, Packet: p}
	t.acl(m, subnet, p, true)
	if ways[i].way == blackhole {
		t.block(CodeBlackhole, at)
		return true
	}
	t.hop(at)
	t.block(CodeNowhere, Hop{ID: route.Target, VPC: m.ID, Packet: p})
	return true
}
