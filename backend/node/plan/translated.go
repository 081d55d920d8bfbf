package plan

import (
	"slices"

	"miniaws/backend"
)

// What a NAT gateway sends to the internet meets the network ACL of the gateway's own subnet, too: inbound when it comes from
// another subnet, outbound when it leaves, and the other way round for what comes back.
// AWS: "NAT gateways", troubleshooting: the network ACL that is associated with the public subnet. Nobody in that subnet sends
// through the gateway: they ask the same route table as it does.

const (
	mapNATOut  = "nat_back" // mark of what comes back to a NAT gateway -> the chains of its subnet's network ACL
	chainToNAT = "acl_to_nat"
)

// guardedNATs are the subnets, of those with public NAT gateways, whose network ACL does not let everything pass.
func (f *filter) guardedNATs() []string {
	var all []string
	for _, nat := range f.NATGateways {
		acl := f.acls[f.subnets[nat.Subnet].NetworkACL]
		if nat.Public.IsValid() && (!f.allows(acl.Ingress) || !f.allows(acl.Egress)) {
			all = append(all, nat.Subnet)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// marksAnswers tells whether what comes back to NAT gateways has to be known from other packets.
func (m *model) marksAnswers() bool {
	f := filter{model: m}
	return len(m.transits) > 0 || len(m.edgeSteps(false)) > 0 || len(f.guardedNATs()) > 0
}

// translatedACLs makes for every such subnet a chain for what passes its NAT gateways, and two that say which packets these are.
func (f *filter) translatedACLs() {
	guarded := f.guardedNATs()
	if f.ipv6 || len(guarded) == 0 {
		return
	}
	back := Set{Name: mapNATOut, Key: []string{"mark"}, Value: "verdict"}
	for _, id := range guarded {
		acl := f.acls[f.subnets[id].NetworkACL]
		f.chain(Chain{Name: "acl_nat_in_" + id, Rules: f.entries(acl.Ingress, From, "")})
		f.chain(Chain{Name: "acl_nat_out_" + id, Rules: f.entries(acl.Egress, To, "")})
		f.chain(Chain{Name: "acl_nat_" + id, Rules: []Rule{{jump("acl_nat_in_" + id)}, {jump("acl_nat_out_" + id)}}})
		back.Elements = append(back.Elements, Element{Key: []any{uint32(natWay | f.place.Subnets[id])}, Value: jump("acl_nat_" + id)})
	}
	f.set(back)
	chain := Chain{Name: chainToNAT}
	f.eachWorldStep(func(mark Mark, s step) {
		rule := append(Rule{mark}, address(To, s.destination)...)
		i := slices.IndexFunc(f.NATGateways, func(n backend.WantedNATGateway) bool { return s.way == translate && n.Public == s.nat })
		if i >= 0 && slices.Contains(guarded, f.NATGateways[i].Subnet) {
			chain.Rules = append(chain.Rules, append(rule, goTo("acl_nat_"+f.NATGateways[i].Subnet)))
			return
		}
		chain.Rules = append(chain.Rules, append(rule, leave))
	})
	f.chain(chain)
}

// throughGateways are the rules that ask those chains.
func (f *filter) throughGateways() []Rule {
	if f.ipv6 || len(f.guardedNATs()) == 0 {
		return nil
	}
	return []Rule{
		{Device{Side: To, Name: InternetDevice}, jump(chainToNAT)},
		{Device{Side: From, Name: InternetDevice}, DispatchMark{Map: mapNATOut}},
	}
}
