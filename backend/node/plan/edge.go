package plan

import (
	"net/netip"
	"slices"
	"strings"

	"miniaws/backend"
)

// The route table of an internet gateway steers what the gateway brings in to an interface inside the VPC.
// AWS: "Gateway route tables".

// EdgeTable holds those routes. What comes back to a NAT gateway is for the gateway, whose translation is known, and asks
// LocalTable before.
const EdgeTable = 60

// WorldZone is the zone of connection tracking of what comes from the public bridge and goes there, where instances forward: the
// same packet is in two connections then, once before and once behind such an instance.
const WorldZone = 1

// edgeSteps are the gateway's routes of a family beside the local ones, the longest destination first.
func (m *model) edgeSteps(ipv6 bool) []step {
	var all []step
	for _, route := range m.tables[m.InternetTable].Routes {
		for _, destination := range route.Destinations {
			if destination.Addr().Is6() != ipv6 || !strings.HasPrefix(route.Target, "eni-") {
				continue
			}
			s := m.follow(route.Target, "", destination)
			// AWS: for traffic through an internet gateway the interface must have a public address.
			// Where the internet is blocked for its subnet, nothing of it comes there.
			if eni := m.enis[route.Target]; !ipv6 && len(eni.Public) == 0 || m.subnets[eni.Subnet].Internet != backend.InternetOpen {
				s = step{way: blackhole}
			}
			s.destination, s.route, s.toInterface = destination, destination, true
			all = append(all, s)
		}
	}
	slices.SortStableFunc(all, longestFirst)
	return all
}

// edgeRules send what the gateway brings to its table.
func (m *model) edgeRules() []RoutingRule {
	if len(m.edgeSteps(false))+len(m.edgeSteps(true)) == 0 {
		return nil
	}
	var rules []RoutingRule
	for _, id := range m.subnetIDs {
		if slices.ContainsFunc(m.NATGateways, func(n backend.WantedNATGateway) bool { return n.Subnet == id && n.Public.IsValid() }) {
			rules = append(rules, RoutingRule{Priority: 290, Mark: m.place.Subnets[id], Device: InternetDevice, Table: LocalTable})
		}
	}
	return append(rules, RoutingRule{Priority: 300, Device: InternetDevice, Table: EdgeTable})
}

func (m *model) edgeRoutes(ipv6 bool) (all []Route) {
	for _, s := range m.edgeSteps(ipv6) {
		all = append(all, Route{Table: EdgeTable, Destination: s.destination, Via: s.via, Device: s.device})
	}
	return all
}

// zoned tells whether an instance may stand between an interface with a public address and the internet gateway. It asks what
// is wanted, not what is attached: while such an instance is stopped all connections stay in their zones.
func (m *model) zoned() bool {
	if !m.hasInternet() {
		return false
	}
	if len(m.edgeSteps(false)) > 0 {
		return true
	}
	return slices.ContainsFunc(m.subnetIDs, func(id string) bool {
		return slices.ContainsFunc(m.tables[m.subnets[id].RouteTable].Routes, m.leadsOutByInterface)
	})
}

// leadsOutByInterface tells whether a route leads to an interface, and out of the VPC.
func (m *model) leadsOutByInterface(route backend.WantedRoute) bool {
	return strings.HasPrefix(route.Target, "eni-") && slices.ContainsFunc(route.Destinations, func(destination netip.Prefix) bool {
		return destination.Addr().Is4() && !slices.ContainsFunc(m.CIDRs, func(c netip.Prefix) bool { return covers(c, destination) })
	})
}

// zones says in which of the two connections a packet is.
func (f *filter) zones() {
	if f.ipv6 || !f.zoned() {
		return // with IPv6 nothing is translated, and one connection is enough
	}
	chain := Chain{Name: "zones", Type: "filter", Hook: "prerouting", Priority: "raw", Rules: []Rule{
		{Device{Side: From, Name: InternetDevice}, Zone{WorldZone}, accept},
		{SetMark{Map: mapSubnets}},
		{Address{Side: To, Range: linkLocal}, accept},
	}}
	for _, cidr := range f.CIDRs {
		if f.of(cidr.Addr()) {
			chain.Rules = append(chain.Rules, Rule{Address{Side: To, Range: cidr}, accept})
		}
	}
	f.eachWorldStep(func(mark Mark, s step) {
		rule := append(Rule{mark}, address(To, s.destination)...)
		if s.way == internet || s.way == translate {
			rule = append(rule, Zone{WorldZone})
		}
		chain.Rules = append(chain.Rules, append(rule, accept))
	})
	f.chain(chain)
}

// edge tells whether the gateway's table steers a packet to an interface, where its way ends for those who ask about it.
func (t *tracer) edge(m *model, p Packet) bool {
	for _, s := range m.edgeSteps(p.Destination.Is6()) {
		if !s.destination.Contains(p.Destination) {
			continue
		}
		table := m.tables[m.InternetTable]
		at := Hop{ID: table.ID, VPC: m.ID, Packet: p}
		for i := range table.Routes {
			if slices.Contains(table.Routes[i].Destinations, s.destination) {
				at.Route = &table.Routes[i]
			}
		}
		if s.way == blackhole {
			t.block(CodeBlackhole, at)
			return true
		}
		t.hop(at)
		t.block(CodeNowhere, Hop{ID: at.Route.Target, VPC: m.ID, Packet: p})
		return true
	}
	return false
}
