package plan

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"

	"miniaws/backend"
)

// TransitPlace is what a transit gateway's plan depends on besides the gateway itself.
type TransitPlace struct {
	// Tables holds the number of every route table, from 1: see [NumberTransit].
	Tables map[string]int
	// Joined are the attachments whose devices are there.
	Joined map[string]bool
}

// NumberTransit is [Number] for the route tables of a transit gateway.
func NumberTransit(had map[string]int, wanted backend.WantedTransitGateway) map[string]int {
	ids := make([]string, len(wanted.RouteTables))
	for i, table := range wanted.RouteTables {
		ids[i] = table.ID
	}
	return numbered(had, ids)
}

// TransitMTU is that of devices between VPCs and transit gateways.
// AWS: "Quotas for your transit gateways", maximum transmission unit.
const TransitMTU = 8500

// LinkDevice is the name of the device of an attachment, on both of its sides.
func LinkDevice(link backend.WantedTransitLink) string {
	return DeviceName(cmp.Or(link.Pair, link.ID))
}

// OfTransit makes a transit gateway's plan: a namespace with a device to every attached VPC, in which each route table is
// one of the kernel's. A packet asks the table that the attachment by which it came is associated with.
func OfTransit(wanted backend.WantedTransitGateway, place TransitPlace) Plan {
	var p Plan
	links := byID(wanted.Attachments, func(l backend.WantedTransitLink) string { return l.ID })
	pass := Chain{Name: "pass", Type: "filter", Hook: "forward", Priority: "filter", Drop: true}
	for i, link := range sortedBy(wanted.Attachments, func(l backend.WantedTransitLink) string { return l.ID }) {
		if !place.Joined[link.ID] {
			continue
		}
		device := LinkDevice(link)
		if number := place.Tables[link.RouteTable]; number > 0 {
			p.Rules = append(p.Rules, RoutingRule{Priority: 1000 + i, Device: device, Table: SubnetTables + number})
		}
		pass.Rules = append(pass.Rules, Rule{Device{Side: From, Name: device}, Count{}, accept})
	}
	for _, table := range sortedBy(wanted.RouteTables, func(t backend.WantedTransitRouteTable) string { return t.ID }) {
		number := SubnetTables + place.Tables[table.ID]
		rest := []netip.Prefix{unspecified4, unspecified6}
		for _, route := range slices.SortedFunc(slices.Values(table.Routes), func(a, b backend.WantedTransitRoute) int { return b.Destination.Compare(a.Destination) }) {
			made := Route{Table: number, Destination: route.Destination}
			if place.Joined[route.Attachment] {
				made.Via, made.Device = PeerHop, LinkDevice(links[route.Attachment])
				if route.Destination.Addr().Is6() {
					made.Via = PeerHop6
				}
			}
			p.Routes = append(p.Routes, made)
			rest = slices.DeleteFunc(rest, func(d netip.Prefix) bool { return d == route.Destination })
		}
		for _, destination := range rest {
			p.Routes = append(p.Routes, Route{Table: number, Destination: destination})
		}
	}
	// An attachment without a table.
	p.Routes = append(p.Routes, Route{Table: mainTable, Destination: unspecified4}, Route{Table: mainTable, Destination: unspecified6})
	chains := []Chain{pass, {Name: "arrive_router", Type: "filter", Hook: "input", Priority: "filter", Drop: true}}
	p.Table, p.Table6 = Table{Name: TableName, Chains: chains}, &Table{Name: TableName, IPv6: true, Chains: chains}
	return p
}

// transitGateways are the ids of those that are there, in order.
func (m *model) transitGateways() []string { return slices.Sorted(maps.Keys(m.transits)) }

// transitDevices makes the set of devices to transit gateways, and the map by which answers to a NAT gateway find the way
// of its subnet.
func (f *filter) transitDevices() {
	devices, ways := Set{Name: setTransits, Key: []string{"ifname"}}, Set{Name: mapNATWay, Key: []string{"ipv4_addr"}, Value: "mark"}
	for _, gateway := range f.transitGateways() {
		devices.Elements = append(devices.Elements, Element{Key: []any{DeviceName(f.transits[gateway].ID)}})
	}
	for _, nat := range f.NATGateways {
		for _, public := range publicOf(nat) {
			ways.Elements = append(ways.Elements, Element{Key: []any{public}, Value: uint32(natWay | f.place.Subnets[nat.Subnet])})
		}
		if len(f.guardedRelays()) > 0 {
			for _, private := range privateOf(nat) {
				ways.Elements = append(ways.Elements, Element{Key: []any{private}, Value: uint32(natWay | f.place.Subnets[nat.Subnet])})
			}
		}
	}
	if len(f.transits) > 0 {
		f.set(devices)
	}
	if !f.ipv6 && f.marksAnswers() {
		f.set(ways)
	}
}

// natWay makes a mark with which a packet asks a subnet's routes and not its network ACL.
const natWay = 1 << 16

// transitACLs makes a chain for every network ACL in front of a transit gateway that does not let everything pass, and for
// every gateway the map that leads to it from the sender's subnet.
// AWS: "Network ACLs for transit gateways": inbound rules of the attachment's subnet are asked about what instances send
// to the gateway, those in the same subnet too; what comes from the gateway is not new in that subnet.
func (f *filter) transitACLs() {
	made := map[string]bool{}
	for _, gateway := range f.transitGateways() {
		attachment := f.transits[gateway]
		ways := Set{Name: "into_" + DeviceName(attachment.ID), Key: []string{"mark"}, Value: "verdict"}
		for _, from := range slices.Sorted(maps.Keys(attachment.Ways)) {
			entry := attachment.Ways[from]
			acl := f.acls[f.subnets[entry].NetworkACL]
			if f.allows(acl.Ingress) {
				continue
			}
			chain := Chain{Name: "acl_transit_" + entry, Rules: f.entries(acl.Ingress, From, RejectedOut)}
			if !made[chain.Name] {
				made[chain.Name] = true
				f.chain(chain)
			}
			ways.Elements = append(ways.Elements, Element{Key: []any{uint32(f.place.Subnets[from])}, Value: jump(chain.Name)})
		}
		f.set(ways)
	}
}

// intoTransits are the rules that ask those chains.
func (f *filter) intoTransits() []Rule {
	var rules []Rule
	for _, gateway := range f.transitGateways() {
		device := DeviceName(f.transits[gateway].ID)
		rules = append(rules, Rule{Device{Side: To, Name: device}, DispatchMark{Map: "into_" + device}})
	}
	return rules
}
