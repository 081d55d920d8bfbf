package plan

import (
	"net/netip"
	"slices"

	"miniaws/backend"
)

// What the block of public access drops is recorded by flow logs with the reason. Without such a log it does not get as far
// as the rules: there is no route, and no translation.
// AWS: "Flow log records", reject-reason: BPA.

const (
	setBarred  = "barred"  // public addresses that are blocked
	setBarred6 = "barred6" // devices of subnets whose route to the internet gateway is blocked
	setCutOff  = "cut_off" // devices of subnets that are blocked and have no way out that is left to them
	chainCut   = "cut_out" // what connections from before the block may not send
)

// BarredAddresses are the public addresses to which the block of public access lets nobody, and the private ones that have them.
func BarredAddresses(wanted backend.WantedVPC) map[netip.Addr]netip.Addr {
	all := map[netip.Addr]netip.Addr{}
	for _, eni := range wanted.ENIs {
		i := slices.IndexFunc(wanted.Subnets, func(s backend.WantedSubnet) bool { return s.ID == eni.Subnet })
		if i < 0 || wanted.Subnets[i].Internet == backend.InternetOpen {
			continue
		}
		for _, pair := range eni.Public {
			all[pair.Public] = pair.Private
		}
	}
	return all
}

// barredIn is the rule about what comes in to such addresses.
func (f *filter) barredIn() []Rule {
	if f.ipv6 || !f.logs {
		return nil
	}
	set := Set{Name: setBarred, Key: []string{"ipv4_addr"}}
	barred := BarredAddresses(f.WantedVPC)
	for _, address := range f.publicAddresses() {
		if barred[address].IsValid() {
			set.Elements = append(set.Elements, Element{Key: []any{address}})
		}
	}
	if len(set.Elements) == 0 {
		return nil
	}
	f.set(set)
	return []Rule{append(Rule{Device{Side: From, Name: InternetDevice}, AddressIn{Side: To, Set: setBarred}}, f.reject(BarredIn)...)}
}

// barredIn6 is the same with IPv6, where an address is its interface's own.
func (f *filter) barredIn6() []Rule {
	set := Set{Name: setBarred6, Key: []string{"ifname"}}
	for _, id := range f.eniIDs {
		subnet := f.subnets[f.enis[id].Subnet]
		leads := slices.ContainsFunc(f.tables[subnet.RouteTable].Routes, func(r backend.WantedRoute) bool {
			return r.Target == f.InternetGateway && slices.ContainsFunc(r.Destinations, func(d netip.Prefix) bool { return d.Addr().Is6() })
		})
		if f.logs && leads && subnet.Internet != backend.InternetOpen {
			set.Elements = append(set.Elements, Element{Key: []any{DeviceName(id)}})
		}
	}
	if len(set.Elements) == 0 {
		return nil
	}
	f.set(set)
	return []Rule{append(Rule{DeviceIn{Side: To, Set: setBarred6}}, f.reject(BarredIn)...)}
}

// cutStanding are the rules that end connections from before the block: they come before the one that lets known connections
// pass. Where a NAT gateway or an egress-only gateway is left to a subnet, answers still come in.
func (f *filter) cutStanding() []Rule {
	known := State{Names: []string{"established", "related"}}
	var rules []Rule
	out, blocked := f.cutOut()
	if blocked {
		f.chain(out)
		rules = append(rules, Rule{known, Device{Side: To, Name: InternetDevice}, jump(chainCut)})
	}
	set := Set{Name: setCutOff, Key: []string{"ifname"}}
	for _, id := range f.eniIDs {
		subnet := f.subnets[f.enis[id].Subnet]
		open := slices.ContainsFunc(f.stepsOf(subnet.ID, f.ipv6), func(s step) bool {
			return s.way == internet || s.way == translate || s.way == egress
		})
		if subnet.Internet != backend.InternetOpen && !open {
			set.Elements = append(set.Elements, Element{Key: []any{DeviceName(id)}})
		}
	}
	if len(set.Elements) > 0 {
		f.set(set)
		rules = append(rules, append(Rule{known, Device{Side: From, Name: InternetDevice}, DeviceIn{Side: To, Set: setCutOff}}, f.reject(BarredIn)...))
	}
	return rules
}

// cutOut is the chain of what subnets may not send, by their routes, and whether there is such a thing.
func (f *filter) cutOut() (chain Chain, blocked bool) {
	chain.Name = chainCut
	for _, id := range f.subnetIDs {
		steps := f.stepsOf(id, f.ipv6)
		if !slices.ContainsFunc(steps, func(s step) bool { return s.way == barred }) {
			continue
		}
		blocked = true
		for _, s := range steps {
			rule := append(Rule{Mark{Number: uint32(f.place.Subnets[id])}}, address(To, s.destination)...)
			if s.way == barred {
				chain.Rules = append(chain.Rules, append(rule, f.reject(BarredOut)...))
			} else {
				chain.Rules = append(chain.Rules, append(rule, leave))
			}
		}
	}
	return chain, blocked
}
