package plan

import "slices"

// What a NAT gateway sends on, to the internet or inside, meets the network ACL of the gateway's own subnet, too: inbound when it
// comes from another subnet, outbound when it leaves, and the other way round for what comes back.
// AWS: "NAT gateways", troubleshooting: the network ACL that is associated with the public subnet. Nobody in that subnet sends
// through the gateway: they ask the same route table as it does.

const (
	mapNATOut  = "nat_back" // mark of what comes back to a NAT gateway -> the chains of its subnet's network ACL
	chainToNAT = "acl_to_nat"
)

// guardedNATs are the subnets, of those with NAT gateways, whose network ACL does not let everything pass.
func (f *filter) guardedNATs() []string {
	var all []string
	for _, nat := range f.NATGateways {
		acl := f.acls[f.subnets[nat.Subnet].NetworkACL]
		if !f.allows(acl.Ingress) || !f.allows(acl.Egress) {
			all = append(all, nat.Subnet)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// guardedRelays are the devices to which NAT gateways of such subnets send on inside.
func (f *filter) guardedRelays() []string {
	guarded := f.guardedNATs()
	var all []string
	for _, id := range f.subnetIDs {
		for _, s := range f.steps(id) {
			if s.way == relay && slices.Contains(guarded, f.subnetOfNAT(s)) {
				all = append(all, s.device)
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// subnetOfNAT is that of the NAT gateway by which a step leads; "" for none.
func (f *filter) subnetOfNAT(s step) string {
	for _, nat := range f.NATGateways {
		if s.way == relay && nat.Private == s.nat || s.way == translate && nat.Public == s.nat {
			return nat.Subnet
		}
	}
	return ""
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
	ask := func(rule Rule, s step) {
		if subnet := f.subnetOfNAT(s); slices.Contains(guarded, subnet) {
			chain.Rules = append(chain.Rules, append(rule, goTo("acl_nat_"+subnet)))
			return
		}
		chain.Rules = append(chain.Rules, append(rule, leave))
	}
	f.eachWorldStep(func(mark Mark, s step) { ask(append(Rule{mark}, address(To, s.destination)...), s) })
	f.chain(chain)
	for _, device := range f.guardedRelays() {
		chain = Chain{Name: chainToNAT + "_" + device}
		for _, id := range f.subnetIDs {
			for _, s := range f.steps(id) {
				if s.device == device {
					ask(append(Rule{Mark{Number: uint32(f.place.Subnets[id])}}, address(To, s.destination)...), s)
				}
			}
		}
		f.chain(chain)
		if back := f.answersByTransit(device); len(back.Elements) > 0 {
			f.set(back)
		}
	}
}

// answersByTransit lets what a transit gateway brings back to a NAT gateway meet the network ACL of the attachment's subnet, too,
// whose mark such packets do not have.
func (f *filter) answersByTransit(device string) Set {
	back := Set{Name: "back_" + device, Key: []string{"mark"}, Value: "verdict"}
	for _, attachment := range f.transits {
		entry := attachment.Subnets[0]
		if DeviceName(attachment.ID) != device || f.allows(f.acls[f.subnets[entry].NetworkACL].Egress) {
			continue
		}
		for _, id := range f.guardedNATs() {
			if id != entry {
				back.Elements = append(back.Elements, Element{Key: []any{uint32(natWay | f.place.Subnets[id])}, Value: jump("acl_out_" + entry)})
			}
		}
	}
	return back
}

// throughGateways are the rules that ask those chains.
func (f *filter) throughGateways() []Rule {
	if f.ipv6 || len(f.guardedNATs()) == 0 {
		return nil
	}
	rules := []Rule{
		{Device{Side: To, Name: InternetDevice}, jump(chainToNAT)},
		{Device{Side: From, Name: InternetDevice}, DispatchMark{Map: mapNATOut}},
	}
	for _, device := range f.guardedRelays() {
		rules = append(rules, Rule{Device{Side: To, Name: device}, jump(chainToNAT + "_" + device)}, Rule{Device{Side: From, Name: device}, DispatchMark{Map: mapNATOut}})
		if back := f.answersByTransit(device); len(back.Elements) > 0 {
			rules = append(rules, Rule{Device{Side: From, Name: device}, DispatchMark{Map: back.Name}})
		}
	}
	return rules
}

// arriveRelayed marks what comes back to NAT gateways from inside, which is known by the gateway's private address.
func (f *filter) arriveRelayed() []Rule {
	var rules []Rule
	for _, device := range f.guardedRelays() {
		rules = append(rules, Rule{Device{Side: From, Name: device}, SetMark{Map: mapNATWay, Destination: true}}, Rule{Device{Side: From, Name: device}, accept})
	}
	return rules
}
