package plan

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"miniaws/backend"
)

// Place is what a plan depends on besides the VPC itself.
type Place struct {
	// Gateway is the public bridge's own address, Own the VPC's router's on it; zero where there is no public bridge.
	Gateway, Own netip.Addr
	// Host are the engine host's own addresses, where no instance may go: AWS's internet does not lead to its machines.
	Host []netip.Addr
	// Gateway6 is the public bridge's link-local address; the zero Addr where IPv6 does not get there.
	Gateway6 netip.Addr
	// World are the IPv6 ranges of other VPCs on the public bridge.
	World []Reach
	// Subnets holds the number of every subnet, from 1: they stay as long as the subnet, see [Number].
	Subnets map[string]int
	// Attached are the interfaces whose devices are there.
	Attached map[string]bool
	// Peers are the peered VPCs that are there, Transits the transit gateways.
	Peers, Transits map[string]bool
}

// Reach is an IPv6 range on the public bridge, and the link-local address of the router that it is behind.
type Reach struct {
	Range netip.Prefix
	Via   netip.Addr
}

// Number gives every subnet of the VPC a number that no other has, keeping those that it had.
func Number(had map[string]int, wanted backend.WantedVPC) map[string]int {
	ids := make([]string, len(wanted.Subnets))
	for i, subnet := range wanted.Subnets {
		ids[i] = subnet.ID
	}
	return numbered(had, ids)
}

func numbered(had map[string]int, ids []string) map[string]int {
	numbers, taken := map[string]int{}, map[int]bool{}
	for _, id := range ids {
		if n := had[id]; n > 0 {
			numbers[id], taken[n] = n, true
		}
	}
	next := 1
	for _, id := range slices.Sorted(slices.Values(ids)) {
		if numbers[id] > 0 {
			continue
		}
		for taken[next] {
			next++
		}
		numbers[id], taken[next] = next, true
	}
	return numbers
}

// Names of devices that every VPC has, and of what is fixed in its routing.
const (
	// InternetDevice is the VPC's end of the link to the public bridge.
	InternetDevice = "igw0"
	// PublicDevice is where public addresses point before they are translated, so that the router answers for them.
	PublicDevice = "public0"
	// LocalTable holds the routes to the VPC's own interfaces; a subnet's table is SubnetTables plus its number, far from
	// 253 to 255, which are the kernel's own. What a subnet's table has that is more special than the VPC's own ranges is
	// asked for before, in DetourTables plus its number.
	LocalTable   = 50
	SubnetTables = 1000
	DetourTables = 100000
	// TableName is the netfilter table's.
	TableName = "vpc"
)

// PeerHop6 is PeerHop for IPv6, and RouterHop6 the router's address on every interface's link, where instances send IPv6.
var (
	PeerHop6   = netip.MustParseAddr("fe80::c8:1")
	RouterHop6 = netip.MustParseAddr("fe80::1")
)

// LinkLocal is the address of a VPC's router on the public bridge for IPv6.
func LinkLocal(owner, vpc string) netip.Addr {
	sum := sha256.Sum256([]byte(owner + " " + vpc))
	address := [16]byte{0xfe, 0x80}
	copy(address[8:], sum[:8])
	return netip.AddrFrom16(address)
}

// PeerHop is the next hop of every peering device: nobody's address, its neighbor entry is fixed.
var PeerHop = netip.MustParseAddr("169.254.200.1")

// DeviceName is the name, on the VPC's side, of what has the id: unique within a VPC and short enough for the kernel, with
// the end of the id in it for people who look.
func DeviceName(id string) string {
	kind, rest, _ := strings.Cut(id, "-")
	const longest = 15 // IFNAMSIZ without its zero
	if short := kind + rest; len(short) <= longest {
		return short
	}
	return kind + rest[len(rest)-(longest-len(kind)):]
}

// HostDevice is the name of the public bridge's end of a VPC's link, unique on the engine's host.
func HostDevice(owner, vpc string) string {
	sum := sha256.Sum256([]byte(owner + " " + vpc))
	return "maw" + hex.EncodeToString(sum[:6])
}

// Plan is what the kernel is to hold for one VPC.
type Plan struct {
	// Router are the addresses of the VPC's router itself.
	Router []netip.Addr
	// Rules say which table is asked for packets of which mark, in order.
	Rules []RoutingRule
	// Routes are all of them, by table.
	Routes []Route
	// Public are the public addresses for which the router answers on the public bridge.
	Public []netip.Addr
	Table  Table
	// Table6 is IPv6's; nil where the VPC has no such range. Rules are for both then.
	Table6 *Table
}

// RoutingRule sends packets of a mark to a table, or those that came in by a device; Mark 0 and Device "" are all.
type RoutingRule struct {
	Priority, Mark, Table int
	Device                string
}

func (r RoutingRule) String() string {
	which := "all"
	if r.Mark != 0 {
		which += fmt.Sprintf(" fwmark %d/0xffff", r.Mark)
	}
	if r.Device != "" {
		which += " iif " + r.Device
	}
	return fmt.Sprintf("rule %d: from %s lookup %d", r.Priority, which, r.Table)
}

// Route is one route. Device is empty for a blackhole; Via is zero for what is on the link. With Next the tables of the
// following rules are asked.
type Route struct {
	Table       int
	Destination netip.Prefix
	Via         netip.Addr
	Device      string
	Next        bool
}

// Of makes the plan. The value must have passed its Check.
func Of(wanted backend.WantedVPC, place Place) Plan {
	m := newModel(wanted, place)
	p := Plan{
		Router: m.router(),
		Rules:  m.routingRules(),
		Routes: m.routes(),
		Public: m.publicAddresses(),
		Table:  m.filter(false),
	}
	if m.hasIPv6() {
		p.Routes = append(p.Routes, m.routes6()...)
		table := m.filter(true)
		p.Table6 = &table
	}
	return p
}

// String prints the plan as ip and nft would.
func (p Plan) String() string {
	var b strings.Builder
	for _, address := range p.Router {
		fmt.Fprintf(&b, "address %s dev lo\n", netip.PrefixFrom(address, address.BitLen()))
	}
	for _, rule := range p.Rules {
		fmt.Fprintf(&b, "%s\n", rule)
	}
	for _, route := range p.Routes {
		switch {
		case route.Next:
			fmt.Fprintf(&b, "route throw %s table %d\n", route.Destination, route.Table)
		case route.Device == "":
			fmt.Fprintf(&b, "route blackhole %s table %d\n", route.Destination, route.Table)
		case route.Via.Is6():
			fmt.Fprintf(&b, "route %s via %s dev %s table %d\n", route.Destination, route.Via, route.Device, route.Table)
		case route.Via.IsValid():
			fmt.Fprintf(&b, "route %s via %s dev %s onlink table %d\n", route.Destination, route.Via, route.Device, route.Table)
		default:
			fmt.Fprintf(&b, "route %s dev %s table %d\n", route.Destination, route.Device, route.Table)
		}
	}
	for _, address := range p.Public {
		fmt.Fprintf(&b, "neighbor proxy %s dev %s\n", address, InternetDevice)
	}
	b.WriteString(p.Table.String())
	if p.Table6 != nil {
		b.WriteString(p.Table6.String())
	}
	return b.String()
}

// model is the wanted VPC with its lists as maps.
type model struct {
	backend.WantedVPC
	place    Place
	subnets  map[string]backend.WantedSubnet
	tables   map[string]backend.WantedRouteTable
	groups   map[string]backend.WantedSecurityGroup
	acls     map[string]backend.WantedNetworkACL
	enis     map[string]backend.WantedENI
	nats     map[string]backend.WantedNATGateway
	peerings map[string]backend.WantedPeering
	// transits are the attachments by the gateways that are there.
	transits map[string]backend.WantedTransitAttachment
	// subnetIDs and eniIDs are in order.
	subnetIDs, eniIDs []string
}

func newModel(wanted backend.WantedVPC, place Place) *model {
	m := &model{
		WantedVPC: wanted,
		place:     place,
		subnets:   byID(wanted.Subnets, func(s backend.WantedSubnet) string { return s.ID }),
		tables:    byID(wanted.RouteTables, func(t backend.WantedRouteTable) string { return t.ID }),
		groups:    byID(wanted.SecurityGroups, func(g backend.WantedSecurityGroup) string { return g.ID }),
		acls:      byID(wanted.NetworkACLs, func(a backend.WantedNetworkACL) string { return a.ID }),
		enis:      byID(wanted.ENIs, func(e backend.WantedENI) string { return e.ID }),
		nats:      byID(wanted.NATGateways, func(n backend.WantedNATGateway) string { return n.ID }),
		peerings:  byID(wanted.Peerings, func(p backend.WantedPeering) string { return p.ID }),
		transits:  byID(wanted.TransitAttachments, func(a backend.WantedTransitAttachment) string { return a.Gateway }),
	}
	maps.DeleteFunc(m.transits, func(gateway string, _ backend.WantedTransitAttachment) bool { return !place.Transits[gateway] })
	m.subnetIDs = slices.SortedFunc(maps.Keys(m.subnets), func(a, b string) int {
		return cmp.Compare(place.Subnets[a], place.Subnets[b])
	})
	m.eniIDs = slices.Sorted(maps.Keys(m.enis))
	return m
}

func byID[T any](all []T, id func(T) string) map[string]T {
	indexed := make(map[string]T, len(all))
	for _, item := range all {
		indexed[id(item)] = item
	}
	return indexed
}

func sortedBy[T any](all []T, id func(T) string) []T {
	return slices.SortedFunc(slices.Values(all), func(a, b T) int { return cmp.Compare(id(a), id(b)) })
}

// Resolver is the VPC's first resolver: the base of its primary range + 2.
func Resolver(wanted backend.WantedVPC) netip.Addr { return wanted.CIDRs[0].Addr().Next().Next() }

// router answers the addresses that the VPC's router has itself.
func (m *model) router() []netip.Addr {
	all := []netip.Addr{backend.MetadataAddress, backend.ResolverAddress, backend.APIAddress, Resolver(m.WantedVPC)}
	if m.hasIPv6() {
		all = append(all, backend.MetadataAddress6, backend.ResolverAddress6)
	}
	all = append(all, m.endpointAddresses()...)
	for _, id := range m.subnetIDs {
		all = append(all, m.subnets[id].CIDR.Addr().Next())
	}
	slices.SortFunc(all, netip.Addr.Compare)
	return slices.Compact(all)
}

// endpointAddresses answers the private addresses of interface endpoints, where the router stands for the API.
func (m *model) endpointAddresses() []netip.Addr {
	var all []netip.Addr
	for _, endpoint := range m.Endpoints {
		for _, id := range endpoint.ENIs {
			all = append(all, m.enis[id].Addresses...)
		}
	}
	return sortedAddresses(all)
}

// publicAddresses answers every public address of interfaces and NAT gateways, if there is an internet gateway.
func (m *model) publicAddresses() []netip.Addr {
	if !m.hasInternet() {
		return nil
	}
	var all []netip.Addr
	for _, eni := range m.ENIs {
		for _, pair := range eni.Public {
			all = append(all, pair.Public)
		}
	}
	for _, nat := range m.NATGateways {
		all = append(all, publicOf(nat)...)
	}
	slices.SortFunc(all, netip.Addr.Compare)
	return slices.Compact(all)
}

// publicOf are the public addresses of a NAT gateway, the first one first; none of a private one.
func publicOf(nat backend.WantedNATGateway) []netip.Addr {
	if !nat.Public.IsValid() {
		return nil
	}
	return append([]netip.Addr{nat.Public}, nat.More...)
}

// privateOf are the addresses with which a NAT gateway sends inside.
func privateOf(nat backend.WantedNATGateway) []netip.Addr {
	if nat.Public.IsValid() {
		return []netip.Addr{nat.Private}
	}
	return append([]netip.Addr{nat.Private}, nat.More...)
}

func (m *model) hasInternet() bool { return m.InternetGateway != "" && m.place.Gateway.IsValid() }
