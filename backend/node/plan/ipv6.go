package plan

import (
	"maps"
	"net/netip"
	"slices"

	"miniaws/backend"
)

// IPv6 has no translation: an interface's address is the one that the world sees. The world are the engine's host and the
// other VPCs on the public bridge: the ranges are nobody's outside, so no packet is sent further.

var (
	unspecified4 = netip.PrefixFrom(netip.IPv4Unspecified(), 0)
	unspecified6 = netip.PrefixFrom(netip.IPv6Unspecified(), 0)
	linkLocal6   = netip.MustParsePrefix("fe80::/10")
	linkGroups6  = netip.MustParsePrefix("ff02::/16")
)

const (
	// setPublic6 are the devices of subnets with a route to the internet gateway, which packets from the internet reach.
	setPublic6 = "public6"
	// setMetadata6 are the devices that may ask for metadata.
	setMetadata6 = "metadata6"
)

// HasIPv6 tells whether one of the VPC's ranges is IPv6.
func HasIPv6(wanted backend.WantedVPC) bool {
	return slices.ContainsFunc(wanted.CIDRs, func(c netip.Prefix) bool { return c.Addr().Is6() })
}

func (m *model) hasIPv6() bool { return HasIPv6(m.WantedVPC) }

// LeadsOut tells whether the VPC has to do with the public bridge.
func LeadsOut(wanted backend.WantedVPC) bool {
	return wanted.InternetGateway != "" || len(wanted.EgressGateways) > 0
}

// routes6 are the routes of IPv6: local ones, and each subnet's.
func (m *model) routes6() []Route {
	all := slices.Concat(m.localRoutes(true), m.edgeRoutes(true), m.detourRoutes(true))
	for _, id := range m.subnetIDs {
		table := SubnetTables + m.place.Subnets[id]
		steps := m.stepsOf(id, true)
		had := map[netip.Prefix]bool{}
		add := func(route Route) {
			if !had[route.Destination] {
				had[route.Destination] = true
				all = append(all, route)
			}
		}
		for _, s := range steps {
			add(Route{Table: table, Destination: s.destination, Via: s.via, Device: s.device})
		}
		for _, reach := range m.place.World {
			if leadsTo(steps, reach.Range) != "" {
				add(Route{Table: table, Destination: reach.Range, Via: reach.Via, Device: InternetDevice})
			}
		}
		add(Route{Table: table, Destination: unspecified6})
	}
	return all
}

// leadsTo answers by which way the steps, the longest first, send a range of the world out; "" where they do not.
func leadsTo(steps []step, world netip.Prefix) way {
	i := slices.IndexFunc(steps, func(s step) bool {
		return s.destination.Bits() <= world.Bits() && s.destination.Contains(world.Addr())
	})
	if i >= 0 && slices.Contains([]way{internet, egress, barred}, steps[i].way) {
		return steps[i].way
	}
	return ""
}

// neighborly lets in what finds out who is where on a link. Such addresses are never passed on.
func (f *filter) neighborly() []Rule {
	icmp := Protocol{Number: backend.ProtocolICMPv6}
	return []Rule{{Address{Side: To, Range: linkLocal6}, icmp, accept}, {Address{Side: To, Range: linkGroups6}, icmp, accept}}
}

// fromInternet decides about what comes in from the public bridge.
func (f *filter) fromInternet() Rule {
	if f.ipv6 {
		return Rule{Device{Side: From, Name: InternetDevice}, goTo("from_world")}
	}
	return Rule{Device{Side: From, Name: InternetDevice}, NotTranslated{}, Count{}, drop}
}

// outOK6 decides about what the sender's side allows, and about what comes from the internet.
func (f *filter) outOK6() {
	world := Chain{Name: chainWorld, Rules: []Rule{
		{AddressIn{Side: To, Set: setHost, IPv6: true}, Count{}, drop},
		{Address{Side: To, Range: linkLocal6}, Count{}, drop},
	}}
	public := Set{Name: setPublic6, Key: []string{"ifname"}}
	for _, id := range f.subnetIDs {
		steps := f.stepsOf(id, true)
		for _, reach := range f.place.World {
			rule := Rule{Mark{Number: uint32(f.place.Subnets[id])}, Address{Side: To, Range: reach.Range}}
			switch leadsTo(steps, reach.Range) {
			case internet, egress:
				world.Rules = append(world.Rules, append(rule, Count{}, accept))
			case barred:
				world.Rules = append(world.Rules, append(rule, f.reject(BarredOut)...))
			}
		}
		if !slices.ContainsFunc(steps, func(s step) bool { return s.way == internet }) {
			continue
		}
		for _, eni := range f.eniIDs {
			if f.enis[eni].Subnet == id {
				public.Elements = append(public.Elements, Element{Key: []any{DeviceName(eni)}})
			}
		}
	}
	world.Rules = append(world.Rules, Rule{Count{}, drop})
	f.set(public)
	f.chain(world)
	f.chain(Chain{Name: "from_world", Rules: append(append(f.barredIn6(),
		// An egress-only internet gateway lets nothing in that was not asked for.
		Rule{DeviceIn{Side: To, Set: setPublic6}, Dispatch{Side: To, Map: mapIngress}}),
		Rule{Count{}, drop},
	)})
	chain := Chain{Name: chainOutOK, Rules: []Rule{{Device{Side: To, Name: InternetDevice}, goTo(chainWorld)}}}
	for _, id := range slices.Sorted(maps.Keys(f.peerings)) {
		chain.Rules = append(chain.Rules, Rule{Device{Side: To, Name: DeviceName(id)}, Count{}, accept})
	}
	if len(f.transits) > 0 {
		chain.Rules = append(chain.Rules, Rule{DeviceIn{Side: To, Set: setTransits}, Count{}, accept})
	}
	chain.Rules = append(chain.Rules, Rule{Dispatch{Side: To, Map: mapIngress}}, Rule{Count{}, drop})
	f.chain(chain)
}

// local6 is what the router itself answers to IPv6: who is where on a link, names, and metadata those who want it.
func (f *filter) local6() {
	metadata := Set{Name: setMetadata6, Key: []string{"ifname"}}
	for _, id := range f.eniIDs {
		if f.enis[id].MetadataIPv6 {
			metadata.Elements = append(metadata.Elements, Element{Key: []any{DeviceName(id)}})
		}
	}
	f.set(metadata)
	icmp := Protocol{Number: backend.ProtocolICMPv6}
	const solicitation, advertisement = 135, 136
	chain := Chain{Name: "arrive_router", Type: "filter", Hook: "input", Priority: "filter", Drop: true, Rules: []Rule{
		{icmp, ICMP{Type: solicitation, Code: -1, IPv6: true}, accept},
		{icmp, ICMP{Type: advertisement, Code: -1, IPv6: true}, accept},
		{State{Names: []string{"established", "related"}}, accept},
		{Mark{}, Count{}, drop},
		append(Rule{DeviceIn{Side: From, Set: setMetadata6}}, service(backend.MetadataAddress6, backend.ProtocolTCP, 80)...),
	}}
	if f.DNS.Enabled {
		chain.Rules = append(chain.Rules, service(backend.ResolverAddress6, backend.ProtocolUDP, 53), service(backend.ResolverAddress6, backend.ProtocolTCP, 53))
	}
	chain.Rules = append(chain.Rules, Rule{Count{}, drop})
	f.chain(chain)
}

// service lets packets to one of the router's own ports in.
func service(address netip.Addr, protocol, port int) Rule {
	return Rule{
		Address{Side: To, Range: netip.PrefixFrom(address, address.BitLen())}, Protocol{Number: protocol}, Ports{Protocol: protocol, From: port, To: port}, accept,
	}
}
