package plan

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"

	"miniaws/backend"
)

// Names of the table's sets and chains.
const (
	setOwn       = "own"        // device, MAC and address of every interface that checks its source
	setRouters   = "routers"    // device and MAC of those that do not
	mapSubnets   = "subnet_of"  // device -> subnet's number
	mapPublicIn  = "public_in"  // public address -> private one
	mapPublicOut = "public_out" // and back
	setPublic    = "has_public" // private addresses that have a public one
	mapEndpoints = "endpoints"  // private address of an endpoint's interface -> the API's
	setAPI       = "api_way"    // devices that have a way to the API
	setPrefixed  = "prefixed"   // device and MAC of those that check it and have prefixes
	mapEgress    = "egress"     // device -> its groups' chain
	mapIngress   = "ingress"
	mapACLOut    = "acl_out"  // subnet's number -> its network ACL's chain
	mapACLIn     = "acl_in"   // device -> its subnet's network ACL's chain
	setHost      = "host"     // the engine host's own addresses
	setTransits  = "transits" // devices to transit gateways
	mapNATWay    = "nat_way"  // NAT gateway's public address -> its subnet's number, for what comes back
	chainOutOK   = "out_ok"   // what the sender's side allows goes on here
	chainWorld   = "world"    // from here to the internet
)

func (m *model) filter(ipv6 bool) Table {
	f := filter{model: m, ipv6: ipv6, logs: m.logsRejected()}
	f.members()
	f.devices()
	f.transitDevices()
	f.zones()
	f.arrive()
	if !ipv6 {
		f.translations()
	}
	f.networkACLs()
	f.translatedACLs()
	f.securityGroups()
	f.outOK()
	f.pass()
	f.local()
	return f.table
}

type filter struct {
	*model
	// ipv6 tells which of the two families' table it is.
	ipv6 bool
	// logs tells that dropped packets are recorded.
	logs  bool
	table Table
}

func (f *filter) set(s Set)     { f.table.Sets = append(f.table.Sets, s) }
func (f *filter) chain(c Chain) { f.table.Chains = append(f.table.Chains, c) }

// reject is how rules end that drop a packet; where says at whose side, for flow logs: "" is at nobody's.
func (f *filter) reject(where string) Rule {
	if f.logs && where != "" {
		return Rule{Log{Prefix: where}, Count{}, drop}
	}
	return Rule{Count{}, drop}
}

// The sides that flow logs tell apart, as prefixes of logged packets, and whether it was the block of public access.
const (
	RejectedOut = "out"
	RejectedIn  = "in"
	BarredOut   = "out-bpa"
	BarredIn    = "in-bpa"
)

// members makes a set of addresses for every group that a rule refers to.
func (f *filter) members() {
	f.table.Name, f.table.IPv6 = TableName, f.ipv6
	members := map[string][]netip.Addr{}
	for _, id := range f.usedGroups() {
		for _, rule := range append(slices.Clone(f.groups[id].Ingress), f.groups[id].Egress...) {
			for _, referred := range rule.Groups {
				members[referred] = f.ForeignGroups[referred]
			}
		}
	}
	for _, id := range f.eniIDs {
		for _, group := range f.enis[id].Groups {
			if _, referred := members[group]; referred {
				members[group] = append(slices.Clip(members[group]), f.enis[id].Addresses...)
			}
		}
	}
	for _, group := range slices.Sorted(maps.Keys(members)) {
		set := Set{Name: group, Key: []string{f.addressType()}}
		for _, address := range f.addresses(members[group]) {
			set.Elements = append(set.Elements, Element{Key: []any{address}})
		}
		f.set(set)
	}
}

// sortedAddresses answers the IPv4 addresses, each once.
func sortedAddresses(all []netip.Addr) []netip.Addr {
	sorted := slices.SortedFunc(slices.Values(all), netip.Addr.Compare)
	sorted = slices.Compact(sorted)
	return slices.DeleteFunc(sorted, func(a netip.Addr) bool { return !a.Is4() })
}

// of tells whether an address is of the table's family.
func (f *filter) of(address netip.Addr) bool { return address.Is6() == f.ipv6 }

// addresses are those of the table's family, sorted, each once.
func (f *filter) addresses(all []netip.Addr) []netip.Addr {
	sorted := slices.SortedFunc(slices.Values(all), netip.Addr.Compare)
	return slices.DeleteFunc(slices.Compact(sorted), func(a netip.Addr) bool { return !f.of(a) })
}

// addressType is how nft calls addresses of the family.
func (f *filter) addressType() string {
	if f.ipv6 {
		return "ipv6_addr"
	}
	return "ipv4_addr"
}

// usedGroups answers the groups that an interface is in, sorted.
func (f *filter) usedGroups() []string {
	var used []string
	for _, id := range f.eniIDs {
		used = append(used, f.enis[id].Groups...)
	}
	slices.Sort(used)
	return slices.Compact(used)
}

// devices makes the sets and maps that know interfaces by their devices.
func (f *filter) devices() {
	own := Set{Name: setOwn, Key: []string{"ifname", "ether_addr", f.addressType()}}
	routers := Set{Name: setRouters, Key: []string{"ifname", "ether_addr"}}
	prefixed := Set{Name: setPrefixed, Key: []string{"ifname", "ether_addr"}}
	subnets := Set{Name: mapSubnets, Key: []string{"ifname"}, Value: "mark"}
	api := Set{Name: setAPI, Key: []string{"ifname"}}
	in := Set{Name: mapPublicIn, Key: []string{"ipv4_addr"}, Value: "ipv4_addr"}
	out := Set{Name: mapPublicOut, Key: []string{"ipv4_addr"}, Value: "ipv4_addr"}
	public := Set{Name: setPublic, Key: []string{"ipv4_addr"}}
	for _, id := range f.eniIDs {
		eni := f.enis[id]
		device, mac := DeviceName(id), Hardware(eni.MAC)
		subnets.Elements = append(subnets.Elements, Element{Key: []any{device}, Value: uint32(f.place.Subnets[eni.Subnet])})
		if eni.SourceDestCheck {
			for _, address := range f.addresses(eni.Addresses) {
				own.Elements = append(own.Elements, Element{Key: []any{device, mac, address}})
			}
			if len(f.prefixes(eni)) > 0 {
				prefixed.Elements = append(prefixed.Elements, Element{Key: []any{device, mac}})
			}
		} else {
			routers.Elements = append(routers.Elements, Element{Key: []any{device, mac}})
		}
		if _, ok := f.origin(id, eni.Addresses[0]); ok {
			api.Elements = append(api.Elements, Element{Key: []any{device}})
		}
		for _, pair := range eni.Public {
			if f.subnets[eni.Subnet].Internet != backend.InternetOpen {
				continue // nobody outside knows it
			}
			in.Elements = append(in.Elements, Element{Key: []any{pair.Public}, Value: pair.Private})
			out.Elements = append(out.Elements, Element{Key: []any{pair.Private}, Value: pair.Public})
			public.Elements = append(public.Elements, Element{Key: []any{pair.Private}})
		}
	}
	for _, attachment := range f.transits {
		subnets.Elements = append(subnets.Elements, Element{Key: []any{DeviceName(attachment.ID)}, Value: uint32(f.place.Subnets[attachment.Subnets[0]])})
	}
	endpoints := Set{Name: mapEndpoints, Key: []string{"ipv4_addr"}, Value: "ipv4_addr"}
	for _, address := range f.endpointAddresses() {
		endpoints.Elements = append(endpoints.Elements, Element{Key: []any{address}, Value: backend.APIAddress})
	}
	if f.ipv6 {
		api, in, out, public, endpoints = Set{}, Set{}, Set{}, Set{}, Set{}
	}
	if len(prefixed.Elements) == 0 {
		prefixed = Set{}
	}
	for _, set := range []Set{own, routers, prefixed, subnets, api, in, out, public, endpoints} {
		if set.Name != "" {
			f.set(set)
		}
	}
}

// Hardware parses what Check found to be a MAC address.
func Hardware(text string) net.HardwareAddr {
	mac, _ := net.ParseMAC(text)
	return mac
}

// arrive lets in what an interface may send, and marks it with the subnet's number. Other devices of the VPC have no
// mark.
func (f *filter) arrive() {
	chain := Chain{Name: "arrive", Type: "filter", Hook: "prerouting", Priority: "mangle", Rules: []Rule{
		{SetMark{Map: mapSubnets}},
		{Mark{}, accept},
		{Origin{Set: setOwn, Full: true, IPv6: f.ipv6}, accept},
		{Origin{Set: setRouters}, accept},
	}}
	chain.Rules = append(append(chain.Rules, f.arrivePrefixed()...), Rule{Count{}, drop})
	if f.ipv6 {
		// Who is where on a link: such packets end here.
		chain.Rules = slices.Insert(chain.Rules, 2, f.neighborly()...)
	}
	if f.ipv6 && len(f.transits) > 0 {
		chain.Rules = slices.Insert(chain.Rules, 1, Rule{DeviceIn{Side: From, Set: setTransits}, accept})
	} else {
		if len(f.transits) > 0 {
			chain.Rules = slices.Insert(chain.Rules, 1, Rule{DeviceIn{Side: From, Set: setTransits}, accept})
		}
		if f.marksAnswers() {
			chain.Rules = slices.Insert(chain.Rules, 1, Rule{Device{Side: From, Name: InternetDevice}, SetMark{Map: mapNATWay, Destination: true}},
				Rule{Device{Side: From, Name: InternetDevice}, accept})
		}
		if !f.ipv6 {
			chain.Rules = slices.Insert(chain.Rules, 1, f.arriveRelayed()...)
		}
	}
	f.chain(chain)
}

// translations changes public addresses into private ones at arrival, and back when packets leave.
func (f *filter) translations() {
	f.chain(Chain{Name: "arrive_public", Type: "nat", Hook: "prerouting", Priority: "dstnat", Rules: []Rule{
		{Device{Side: From, Name: InternetDevice}, Translate{Side: To, Map: mapPublicIn}},
		{Translate{Side: To, Map: mapEndpoints}},
	}})
	chain := Chain{Name: "leave_public", Type: "nat", Hook: "postrouting", Priority: "srcnat", Rules: append(f.relays(), Rule{Device{Side: To, Name: InternetDevice, Not: true}, accept})}
	f.eachWorldStep(func(mark Mark, s step) {
		rule := Rule{mark, Address{Side: To, Range: s.destination}}
		switch s.way {
		case internet:
			rule = append(rule, Translate{Side: From, Map: mapPublicOut})
		case translate:
			chain.Rules = append(chain.Rules, s.translations(rule)...)
			return
		default:
			rule = append(rule, accept)
		}
		chain.Rules = append(chain.Rules, rule)
	})
	f.chain(chain)
}

// translations are the rules that give what the rule matches the addresses of a NAT gateway.
func (s step) translations(rule Rule) []Rule {
	var rules []Rule
	// Of the connections, each further address takes its part.
	for i, address := range s.more {
		rules = append(rules, append(slices.Clone(rule), Share{Of: len(s.more) + 1 - i}, Translate{Side: From, To: address}))
	}
	return append(rules, append(slices.Clone(rule), Translate{Side: From, To: s.nat}))
}

// relays are the rules about what NAT gateways send on inside: of each subnet with such routes, all that lead to a device
// that one of them leads to, the longest destination first.
func (f *filter) relays() []Rule {
	var rules []Rule
	for _, id := range f.subnetIDs {
		steps, devices := f.steps(id), map[string]bool{}
		for _, s := range steps {
			if s.way == relay {
				devices[s.device] = true
			}
		}
		for _, s := range steps {
			if !devices[s.device] {
				continue
			}
			rule := Rule{Mark{Number: uint32(f.place.Subnets[id])}, Device{Side: To, Name: s.device}, Address{Side: To, Range: s.destination}}
			if s.way == relay {
				rules = append(rules, s.translations(rule)...)
			} else {
				rules = append(rules, append(rule, accept))
			}
		}
	}
	return rules
}

// eachWorldStep visits the routes that matter to packets on their way to the public bridge: those of subnets that have
// a route to it, the longest destination first.
func (f *filter) eachWorldStep(visit func(Mark, step)) {
	for _, id := range f.subnetIDs {
		steps := f.steps(id)
		toWorld := func(s step) bool { return s.way == internet || s.way == translate || s.way == barred }
		if !slices.ContainsFunc(steps, toWorld) {
			continue
		}
		for _, s := range steps {
			visit(Mark{Number: uint32(f.place.Subnets[id])}, s)
		}
	}
}

// networkACLs makes two chains for every subnet whose ACL is not one that lets everything pass.
func (f *filter) networkACLs() {
	out := Set{Name: mapACLOut, Key: []string{"mark"}, Value: "verdict"}
	in := Set{Name: mapACLIn, Key: []string{"ifname"}, Value: "verdict"}
	for _, id := range f.subnetIDs {
		acl := f.acls[f.subnets[id].NetworkACL]
		number := uint32(f.place.Subnets[id])
		devices := Set{Name: "devices_" + id, Key: []string{"ifname"}}
		for _, eni := range f.eniIDs {
			if f.enis[eni].Subnet == id {
				devices.Elements = append(devices.Elements, Element{Key: []any{DeviceName(eni)}})
			}
		}
		filtersOut, filtersIn := !f.allows(acl.Egress), !f.allows(acl.Ingress)
		if filtersOut {
			f.set(devices)
			chain := Chain{Name: "acl_out_" + id, Rules: []Rule{{DeviceIn{Side: To, Set: devices.Name}, leave}}}
			chain.Rules = append(chain.Rules, f.entries(acl.Egress, To, RejectedOut)...)
			f.chain(chain)
			out.Elements = append(out.Elements, Element{Key: []any{number}, Value: jump(chain.Name)})
		}
		if filtersIn {
			chain := Chain{Name: "acl_in_" + id, Rules: []Rule{{Mark{Number: number}, leave}}}
			chain.Rules = append(chain.Rules, f.entries(acl.Ingress, From, RejectedIn)...)
			f.chain(chain)
			for _, device := range devices.Elements {
				in.Elements = append(in.Elements, Element{Key: device.Key, Value: jump(chain.Name)})
			}
		}
	}
	f.set(out)
	f.set(in)
	f.transitACLs()
}

// allows tells whether the entries let all of the family pass, whatever comes behind.
func (f *filter) allows(entries []backend.WantedACLEntry) bool {
	for _, entry := range byNumber(entries) {
		if !f.of(entry.CIDR.Addr()) {
			continue
		}
		return entry.Allow && entry.Protocol == backend.ProtocolAll && entry.CIDR.Bits() == 0
	}
	return false
}

func byNumber(entries []backend.WantedACLEntry) []backend.WantedACLEntry {
	return slices.SortedStableFunc(slices.Values(entries), func(a, b backend.WantedACLEntry) int { return cmp.Compare(a.Number, b.Number) })
}

func (f *filter) entries(entries []backend.WantedACLEntry, far Side, where string) []Rule {
	var rules []Rule
	for _, entry := range byNumber(entries) {
		match, ok := f.match(entry.Protocol, entry.FromPort, entry.ToPort)
		if !ok || !f.of(entry.CIDR.Addr()) {
			continue
		}
		rule := append(address(far, entry.CIDR), match...)
		if entry.Allow {
			rules = append(rules, append(rule, Count{}, leave))
		} else {
			rules = append(rules, append(rule, f.reject(where)...))
		}
	}
	return append(rules, f.reject(where))
}

// address is the condition that an address is in the range: none for all addresses.
func address(side Side, cidr netip.Prefix) Rule {
	if cidr.Bits() == 0 {
		return nil
	}
	return Rule{Address{Side: side, Range: cidr}}
}

// match is the condition on protocol and ports; ok is false for what is not the family's.
func (f *filter) match(protocol, from, to int) (rule Rule, ok bool) {
	switch protocol {
	case backend.ProtocolAll:
		return nil, true
	case backend.ProtocolTCP, backend.ProtocolUDP:
		rule = Rule{Protocol{Number: protocol}}
		if from > 0 || to < 65535 {
			rule = append(rule, Ports{Protocol: protocol, From: from, To: to})
		}
	case backend.ProtocolICMP, backend.ProtocolICMPv6:
		if f.ipv6 != (protocol == backend.ProtocolICMPv6) {
			return nil, false
		}
		rule = Rule{Protocol{Number: protocol}}
		if from >= 0 || to >= 0 {
			rule = append(rule, ICMP{Type: from, Code: to, IPv6: f.ipv6})
		}
	default:
		rule = Rule{Protocol{Number: protocol}}
	}
	return rule, true
}

// securityGroups makes two chains for every group that an interface is in, and two for every distinct set of groups:
// however many interfaces share a set, they share its chains.
func (f *filter) securityGroups() {
	for _, id := range f.usedGroups() {
		f.chain(Chain{Name: id + "_out", Rules: f.groupRules(f.groups[id].Egress, To, goTo(chainOutOK))})
		f.chain(Chain{Name: id + "_in", Rules: f.groupRules(f.groups[id].Ingress, From, accept)})
	}
	egress := Set{Name: mapEgress, Key: []string{"ifname"}, Value: "verdict"}
	ingress := Set{Name: mapIngress, Key: []string{"ifname"}, Value: "verdict"}
	made := map[string]bool{}
	for _, id := range f.eniIDs {
		groups := slices.Sorted(slices.Values(f.enis[id].Groups))
		name := setName(groups)
		if !made[name] {
			made[name] = true
			out, in := Chain{Name: name + "_out"}, Chain{Name: name + "_in"}
			for _, group := range groups {
				out.Rules = append(out.Rules, Rule{jump(group + "_out")})
				in.Rules = append(in.Rules, Rule{jump(group + "_in")})
			}
			out.Rules = append(out.Rules, f.reject(RejectedOut))
			in.Rules = append(in.Rules, f.reject(RejectedIn))
			f.chain(out)
			f.chain(in)
		}
		egress.Elements = append(egress.Elements, Element{Key: []any{DeviceName(id)}, Value: goTo(name + "_out")})
		ingress.Elements = append(ingress.Elements, Element{Key: []any{DeviceName(id)}, Value: goTo(name + "_in")})
	}
	f.set(egress)
	f.set(ingress)
}

// setName names a set of groups; the chains of one group alone are beside the group's own.
func setName(groups []string) string {
	if len(groups) == 1 {
		return "only_" + groups[0]
	}
	sum := sha256.Sum256([]byte(strings.Join(groups, " ")))
	return "groups_" + hex.EncodeToString(sum[:6])
}

func (f *filter) groupRules(rules []backend.WantedSecurityRule, far Side, allowed Verdict) []Rule {
	var all []Rule
	for _, rule := range rules {
		match, ok := f.match(rule.Protocol, rule.FromPort, rule.ToPort)
		if !ok {
			continue
		}
		for _, cidr := range rule.CIDRs {
			if f.of(cidr.Addr()) {
				all = append(all, slices.Concat(address(far, cidr), match, Rule{Count{}, allowed}))
			}
		}
		for _, group := range rule.Groups {
			all = append(all, slices.Concat(Rule{AddressIn{Side: far, Set: group, IPv6: f.ipv6}}, match, Rule{Count{}, allowed}))
			for _, prefix := range f.prefixesOf(group) {
				all = append(all, slices.Concat(Rule{Address{Side: far, Range: prefix}}, match, Rule{Count{}, allowed}))
			}
		}
	}
	return all
}

// linkLocal are the addresses that no router passes on.
var linkLocal = netip.MustParsePrefix("169.254.0.0/16")

// outOK decides about what the sender's side allows: the way out of the VPC, or the receiver's side.
func (f *filter) outOK() {
	host := Set{Name: setHost, Key: []string{f.addressType()}}
	for _, address := range f.addresses(f.place.Host) {
		host.Elements = append(host.Elements, Element{Key: []any{address}})
	}
	f.set(host)
	if f.ipv6 {
		f.outOK6()
		return
	}
	// The host's own services, and what is on its links alone, such as the metadata of a cloud that it is a machine of.
	world := Chain{Name: chainWorld, Rules: []Rule{
		{AddressIn{Side: To, Set: setHost}, Count{}, drop},
		{Address{Side: To, Range: linkLocal}, Count{}, drop},
	}}
	f.eachWorldStep(func(mark Mark, s step) {
		rule := append(Rule{mark}, address(To, s.destination)...)
		switch s.way {
		case internet:
			world.Rules = append(world.Rules, append(slices.Clone(rule), AddressIn{Side: From, Set: setPublic}, Count{}, accept), append(rule, Count{}, drop))
		case translate:
			world.Rules = append(world.Rules, append(rule, Count{}, accept))
		case barred:
			world.Rules = append(world.Rules, append(rule, f.reject(BarredOut)...))
		default:
			world.Rules = append(world.Rules, append(rule, Count{}, drop))
		}
	})
	world.Rules = append(world.Rules, Rule{Count{}, drop})
	f.chain(world)
	chain := Chain{Name: chainOutOK, Rules: []Rule{
		{Address{Side: To, Range: netip.PrefixFrom(backend.APIAddress, 32)}, accept},
		{Device{Side: To, Name: InternetDevice}, goTo(chainWorld)},
	}}
	for _, id := range slices.Sorted(maps.Keys(f.peerings)) {
		chain.Rules = append(chain.Rules, Rule{Device{Side: To, Name: DeviceName(id)}, Count{}, accept})
	}
	if len(f.transits) > 0 {
		chain.Rules = append(chain.Rules, Rule{DeviceIn{Side: To, Set: setTransits}, Count{}, accept})
	}
	chain.Rules = append(chain.Rules, Rule{Dispatch{Side: To, Map: mapIngress}}, Rule{Count{}, drop})
	f.chain(chain)
}

// pass is what every packet from one device to another goes through.
func (f *filter) pass() {
	chain := Chain{Name: "pass", Type: "filter", Hook: "forward", Priority: "filter", Drop: true, Rules: []Rule{
		{DispatchMark{Map: mapACLOut}},
		{Dispatch{Side: To, Map: mapACLIn}},
	}}
	chain.Rules = append(append(chain.Rules, f.intoTransits()...), f.throughGateways()...)
	chain.Rules = append(chain.Rules, f.cutStanding()...)
	chain.Rules = append(chain.Rules,
		Rule{State{Names: []string{"established", "related"}}, accept},
		Rule{State{Names: []string{"invalid"}}, Count{}, drop},
		Rule{Dispatch{Side: From, Map: mapEgress}},
	)
	// From here on packets came from the public bridge or from another VPC: they end at an interface here, nowhere else.
	chain.Rules = append(append(chain.Rules, f.barredIn()...), f.fromInternet())
	if len(f.transits) > 0 {
		// But for those that a transit gateway brings and the entry's subnet sends to a NAT gateway.
		chain.Rules = append(chain.Rules, Rule{DeviceIn{Side: From, Set: setTransits}, Device{Side: To, Name: InternetDevice}, goTo(chainWorld)})
	}
	chain.Rules = append(chain.Rules, Rule{Dispatch{Side: To, Map: mapIngress}})
	f.chain(chain)
}

// local is what may reach the router itself: metadata, names and, where there is a way to it, the API.
func (f *filter) local() {
	if f.ipv6 {
		f.local6()
		return
	}
	chain := Chain{Name: "arrive_router", Type: "filter", Hook: "input", Priority: "filter", Drop: true, Rules: []Rule{
		{State{Names: []string{"established", "related"}}, accept},
		{Device{Side: From, Name: "lo"}, accept},
		{Mark{}, Count{}, drop},
		service(backend.MetadataAddress, backend.ProtocolTCP, 80),
	}}
	if f.DNS.Enabled {
		for _, address := range []netip.Addr{backend.ResolverAddress, Resolver(f.WantedVPC)} {
			chain.Rules = append(chain.Rules, service(address, backend.ProtocolUDP, 53), service(address, backend.ProtocolTCP, 53))
		}
	}
	for _, port := range APIPorts {
		chain.Rules = append(chain.Rules, Rule{
			Address{Side: To, Range: netip.PrefixFrom(backend.APIAddress, 32)}, Protocol{Number: backend.ProtocolTCP}, Ports{Protocol: backend.ProtocolTCP, From: port, To: port},
			DeviceIn{Side: From, Set: setAPI}, Dispatch{Side: From, Map: mapEgress},
		})
	}
	chain.Rules = append(chain.Rules, Rule{Count{}, drop})
	f.chain(chain)
}

// APIPorts are where the API answers at its address inside a VPC.
var APIPorts = []int{80, 4566}
