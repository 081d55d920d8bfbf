package kernel

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"miniaws/backend/node/plan"
)

// Router is the network namespace of one VPC. Its methods are not safe for concurrent use.
type Router struct {
	path      string
	namespace netns.NsHandle
	link      *netlink.Handle
	// table is the text of the one that the kernel holds, as long as its generation stays.
	table      string
	generation uint32
	// ipv6 tells whether IPv6 is switched on, as far as this agent did it.
	ipv6 bool
}

// OpenRouter answers the router whose namespace is mounted at the path, made unless it is there.
func OpenRouter(path string) (*Router, error) {
	namespace, _, err := openNamespace(path)
	if err != nil {
		return nil, err
	}
	link, err := netlink.NewHandleAt(namespace)
	if err != nil {
		return nil, errors.Join(err, namespace.Close())
	}
	r := &Router{path: path, namespace: namespace, link: link}
	if err := r.basics(); err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

// basics makes the devices that every router has.
func (r *Router) basics() error {
	loopback, err := r.link.LinkByName("lo")
	if err != nil {
		return err
	}
	if err := r.link.LinkSetUp(loopback); err != nil {
		return err
	}
	if _, err := r.link.LinkByName(plan.PublicDevice); err == nil {
		return nil
	}
	// A pair whose other end nobody uses: all that routes to it need is a device that is up.
	attributes := netlink.NewLinkAttrs()
	attributes.Name = plan.PublicDevice
	if err := r.link.LinkAdd(&netlink.Veth{LinkAttrs: attributes, PeerName: plan.PublicDevice + "end"}); err != nil {
		return fmt.Errorf("device %s: %w", plan.PublicDevice, err)
	}
	for _, name := range []string{plan.PublicDevice, plan.PublicDevice + "end"} {
		device, err := r.link.LinkByName(name)
		if err != nil {
			return err
		}
		if err := r.link.LinkSetUp(device); err != nil {
			return err
		}
	}
	return nil
}

// Close lets go of the namespace, which goes on.
func (r *Router) Close() {
	r.link.Close()
	_ = r.namespace.Close()
}

// Remove ends the namespace with all that is in it.
func (r *Router) Remove() error {
	// A socket in it, of a listener or a connection, would keep it and its devices until it is closed.
	links, err := r.link.LinkList()
	for _, device := range links {
		if device.Type() == "veth" {
			_ = r.link.LinkDel(device) // its other end may have taken it along
		}
	}
	r.Close()
	return errors.Join(err, removeNamespace(r.path))
}

// Alive tells whether the namespace is still mounted where it was.
func (r *Router) Alive() bool {
	var mounted, held unix.Stat_t
	return isNamespace(r.path) && unix.Stat(r.path, &mounted) == nil && unix.Fstat(int(r.namespace), &held) == nil && mounted.Ino == held.Ino
}

// Name is the kernel's name of the namespace.
func (r *Router) Name() string {
	var held unix.Stat_t
	if unix.Fstat(int(r.namespace), &held) != nil {
		return ""
	}
	return fmt.Sprintf("net:[%d]", held.Ino)
}

// Run runs f on a thread inside the namespace: sockets that it opens are there.
func (r *Router) Run(f func() error) error { return inNamespace(r.namespace, f) }

// Apply makes the plan real; changed tells whether anything was. New ways are there before the rules change in one step, old ones go after.
func (r *Router) Apply(p plan.Plan) (changed bool, err error) {
	var errs []error
	do := func(step func(plan.Plan) (bool, error)) {
		did, err := step(p)
		changed = changed || did
		errs = append(errs, err)
	}
	do(r.applyAddresses)
	do(r.applyRoutes)
	do(r.applyRules)
	do(r.applyTable)
	do(r.applyPublic)
	return changed, errors.Join(errs...)
}

func (r *Router) applyTable(p plan.Plan) (bool, error) {
	tables := []plan.Table{p.Table, {Name: p.Table.Name, IPv6: true}}
	if p.Table6 != nil {
		tables[1] = *p.Table6
	}
	text := tables[0].String() + tables[1].String()
	if text == r.table {
		if now, err := generation(int(r.namespace)); err == nil && now == r.generation {
			return false, nil
		}
	}
	r.table = ""
	if err := replaceTables(int(r.namespace), tables...); err != nil {
		return true, fmt.Errorf("the table of rules: %w", err)
	}
	now, err := generation(int(r.namespace))
	if err != nil {
		return true, err
	}
	r.table, r.generation = text, now
	return true, nil
}

func hostNet(address netip.Addr) *net.IPNet {
	return &net.IPNet{IP: address.AsSlice(), Mask: net.CIDRMask(address.BitLen(), address.BitLen())}
}

func ipNet(prefix netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: prefix.Addr().AsSlice(), Mask: net.CIDRMask(prefix.Bits(), prefix.Addr().BitLen())}
}

// applyAddresses gives the router its own addresses and takes others away.
func (r *Router) applyAddresses(p plan.Plan) (changed bool, err error) {
	loopback, err := r.link.LinkByName("lo")
	if err != nil {
		return false, err
	}
	stale := map[string]netlink.Addr{}
	for _, family := range r.families() {
		had, err := r.link.AddrList(loopback, family)
		if err != nil {
			return false, err
		}
		for _, address := range had {
			if !address.IP.IsLoopback() {
				stale[address.IP.String()] = address
			}
		}
	}
	for _, address := range p.Router {
		if address.Is6() && !r.ipv6 {
			continue
		}
		if _, there := stale[address.String()]; there {
			delete(stale, address.String())
			continue
		}
		changed = true
		own := &netlink.Addr{IPNet: hostNet(address)}
		if address.Is6() {
			own.Flags = unix.IFA_F_NODAD
		}
		if err := r.link.AddrAdd(loopback, own); err != nil && !errors.Is(err, unix.EEXIST) {
			return changed, fmt.Errorf("address %s: %w", address, err)
		}
	}
	for _, address := range stale {
		changed = true
		if err := r.link.AddrDel(loopback, &address); err != nil && !errors.Is(err, unix.EADDRNOTAVAIL) {
			return changed, fmt.Errorf("address %s: %w", address.IP, err)
		}
	}
	return changed, nil
}

// applyRules makes the routing rules between the kernel's own first and last ones.
func (r *Router) applyRules(p plan.Plan) (changed bool, err error) {
	changed, err = r.applyRulesOf(unix.AF_INET, p.Rules)
	if err != nil || !r.ipv6 {
		return changed, err
	}
	var wanted []plan.RoutingRule
	if p.Table6 != nil {
		wanted = p.Rules
	}
	changed6, err := r.applyRulesOf(unix.AF_INET6, wanted)
	return changed || changed6, err
}

func (r *Router) applyRulesOf(family int, rules []plan.RoutingRule) (changed bool, err error) {
	had, err := r.link.RuleList(family)
	if err != nil {
		return false, err
	}
	stale := map[plan.RoutingRule]netlink.Rule{}
	for _, rule := range had {
		// -1 is how the library has priority 0, the local table's; the main and default tables' are the kernel's last.
		if rule.Priority > 0 && rule.Priority < 32766 {
			stale[plan.RoutingRule{Priority: rule.Priority, Mark: int(rule.Mark), Table: rule.Table, Device: rule.IifName}] = rule
		}
	}
	for _, wanted := range rules {
		if _, there := stale[wanted]; there {
			delete(stale, wanted)
			continue
		}
		changed = true
		rule := netlink.NewRule()
		rule.Family, rule.Priority, rule.Table, rule.IifName = family, wanted.Priority, wanted.Table, wanted.Device
		if wanted.Mark != 0 {
			mask := uint32(0xffff)
			rule.Mark, rule.Mask = uint32(wanted.Mark), &mask
		}
		if err := r.link.RuleAdd(rule); err != nil && !errors.Is(err, unix.EEXIST) {
			return changed, fmt.Errorf("routing rule %d: %w", wanted.Priority, err)
		}
	}
	for _, rule := range stale {
		changed, rule.Family = true, family
		if err := r.link.RuleDel(&rule); err != nil && !errors.Is(err, unix.ENOENT) {
			return changed, fmt.Errorf("routing rule %d: %w", rule.Priority, err)
		}
	}
	return changed, nil
}

// routeKey is what the kernel tells routes apart by.
type routeKey struct {
	table       int
	destination netip.Prefix
}

// applyRoutes makes the routes, changing each in one step, and takes away those that are not planned. Routes whose
// device is not there are left for later: [Router] makes them when it gets the device.
func (r *Router) applyRoutes(p plan.Plan) (changed bool, err error) {
	var had []netlink.Route
	for _, family := range r.families() {
		list, err := r.link.RouteListFiltered(family, &netlink.Route{Table: unix.RT_TABLE_UNSPEC}, netlink.RT_FILTER_TABLE)
		if err != nil {
			return false, err
		}
		had = append(had, list...)
	}
	links, err := r.link.LinkList()
	if err != nil {
		return false, err
	}
	indexes, names := map[string]int{}, map[int]string{}
	for _, device := range links {
		indexes[device.Attrs().Name], names[device.Attrs().Index] = device.Attrs().Index, device.Attrs().Name
	}
	stale := map[routeKey]netlink.Route{}
	for _, route := range had {
		if planned(route) {
			stale[routeKey{route.Table, destinationOf(route)}] = route
		}
	}
	var errs []error
	for _, wanted := range p.Routes {
		if wanted.Destination.Addr().Is6() && !r.ipv6 {
			continue
		}
		key := routeKey{wanted.Table, wanted.Destination}
		found, there := stale[key]
		delete(stale, key)
		if there && routeOf(found, names) == wanted {
			continue
		}
		index, hasDevice := indexes[wanted.Device]
		if wanted.Device != "" && !hasDevice {
			if there {
				stale[key] = found
			}
			continue
		}
		changed = true
		if err := r.link.RouteReplace(kernelRoute(wanted, index)); err != nil {
			errs = append(errs, fmt.Errorf("route %s in table %d: %w", wanted.Destination, wanted.Table, err))
		}
	}
	for _, route := range stale {
		changed = true
		if err := r.link.RouteDel(&route); err != nil && !errors.Is(err, unix.ESRCH) {
			errs = append(errs, fmt.Errorf("route %s in table %d: %w", route.Dst, route.Table, err))
		}
	}
	return changed, errors.Join(errs...)
}

// planned tells whether a route is of a plan, and not the kernel's own. The kernel's table of local addresses has its own routes
// only; those that are there by a plan are of an agent whose tables had such numbers.
func planned(route netlink.Route) bool {
	if route.Table == unix.RT_TABLE_LOCAL {
		return route.Protocol == unix.RTPROT_STATIC
	}
	return route.Protocol != unix.RTPROT_KERNEL
}

func destinationOf(route netlink.Route) netip.Prefix {
	if route.Dst == nil && route.Family == unix.AF_INET6 {
		return netip.PrefixFrom(netip.IPv6Unspecified(), 0)
	}
	if route.Dst == nil {
		return netip.PrefixFrom(netip.IPv4Unspecified(), 0)
	}
	bits, _ := route.Dst.Mask.Size()
	return netip.PrefixFrom(addressOf(route.Dst.IP), bits)
}

// addressOf is the library's address as ours: IPv4 wherever it can be.
func addressOf(ip net.IP) netip.Addr {
	address, _ := netip.AddrFromSlice(ip)
	return address.Unmap()
}

// families are those of which the router has routes.
func (r *Router) families() []int {
	if r.ipv6 {
		return []int{unix.AF_INET, unix.AF_INET6}
	}
	return []int{unix.AF_INET}
}

// settings6 are those of a namespace with IPv6, in this order. Addresses are given, not found, and nobody else's.
var settings6 = []struct{ name, value string }{
	{"net/ipv6/conf/default/accept_dad", "0"},
	{"net/ipv6/conf/default/accept_ra", "0"},
	{"net/ipv6/conf/all/accept_ra", "0"},
	{"net/ipv6/conf/all/accept_redirects", "0"},
	{"net/ipv6/conf/default/accept_redirects", "0"},
	{"net/ipv6/conf/all/disable_ipv6", "0"},
	{"net/ipv6/conf/default/disable_ipv6", "0"},
	{"net/ipv6/conf/all/forwarding", "1"},
}

// IPv6 switches IPv6 on: nothing passes before the table of rules is there.
func (r *Router) IPv6() error {
	if r.ipv6 {
		return nil
	}
	err := r.Run(func() error {
		for _, setting := range settings6 {
			if err := sysctl(setting.name, setting.value); err != nil {
				return err
			}
		}
		return nil
	})
	r.ipv6 = err == nil
	return err
}

// routeOf is the kernel's route as a plan has it.
func routeOf(route netlink.Route, names map[int]string) plan.Route {
	found := plan.Route{Table: route.Table, Destination: destinationOf(route)}
	switch route.Type {
	case unix.RTN_THROW:
		found.Next = true
	case unix.RTN_BLACKHOLE:
	default:
		found.Device = names[route.LinkIndex]
		if len(route.Gw) > 0 {
			found.Via = addressOf(route.Gw)
		}
	}
	return found
}

func kernelRoute(wanted plan.Route, index int) *netlink.Route {
	route := &netlink.Route{Table: wanted.Table, Dst: ipNet(wanted.Destination), Protocol: unix.RTPROT_STATIC}
	switch {
	case wanted.Next:
		route.Type = unix.RTN_THROW
	case wanted.Device == "":
		route.Type = unix.RTN_BLACKHOLE
	case wanted.Via.Is6():
		route.LinkIndex, route.Gw = index, wanted.Via.AsSlice()
	case wanted.Via.IsValid():
		route.LinkIndex, route.Gw, route.Flags = index, wanted.Via.AsSlice(), int(netlink.FLAG_ONLINK)
	default:
		route.LinkIndex, route.Scope = index, netlink.SCOPE_LINK
	}
	return route
}

// applyPublic makes the router answer for public addresses on the public bridge.
func (r *Router) applyPublic(p plan.Plan) (changed bool, err error) {
	device, err := r.link.LinkByName(plan.InternetDevice)
	if err != nil {
		var missing netlink.LinkNotFoundError
		if errors.As(err, &missing) {
			return false, nil
		}
		return false, err
	}
	index := device.Attrs().Index
	had, err := r.link.NeighProxyList(index, unix.AF_INET)
	if err != nil {
		return false, err
	}
	stale := map[string]netlink.Neigh{}
	for _, neighbor := range had {
		stale[neighbor.IP.String()] = neighbor
	}
	for _, address := range p.Public {
		if _, there := stale[address.String()]; there {
			delete(stale, address.String())
			continue
		}
		changed = true
		entry := &netlink.Neigh{LinkIndex: index, Family: unix.AF_INET, Flags: netlink.NTF_PROXY, IP: address.AsSlice()}
		if err := r.link.NeighAdd(entry); err != nil && !errors.Is(err, unix.EEXIST) {
			return changed, fmt.Errorf("public address %s: %w", address, err)
		}
		link := &net.Interface{Index: index, HardwareAddr: device.Attrs().HardwareAddr}
		if err := r.Run(func() error { return announce(link, address) }); err != nil {
			return changed, err
		}
	}
	for _, neighbor := range stale {
		changed = true
		if err := r.link.NeighDel(&neighbor); err != nil && !errors.Is(err, os.ErrNotExist) {
			return changed, fmt.Errorf("public address %s: %w", neighbor.IP, err)
		}
	}
	return changed, nil
}

// Forget ends the connections of these ranges that the kernel knows: whoever has an address next must not inherit what was
// allowed before.
func (r *Router) Forget(ranges []netip.Prefix) error {
	if len(ranges) == 0 {
		return nil
	}
	wanted := connectionsOf{single: map[netip.Addr]bool{}}
	for _, gone := range ranges {
		if gone.IsSingleIP() {
			wanted.single[gone.Addr()] = true
		} else {
			wanted.ranges = append(wanted.ranges, gone)
		}
	}
	var errs []error
	for _, family := range r.families() {
		_, err := r.link.ConntrackDeleteFilters(netlink.ConntrackTable, netlink.InetFamily(family), wanted)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// connectionsOf are those with an address at one of their ends.
type connectionsOf struct {
	single map[netip.Addr]bool
	ranges []netip.Prefix
}

// MatchConntrackFlow implements the library's filter.
func (c connectionsOf) MatchConntrackFlow(flow *netlink.ConntrackFlow) bool {
	for _, ip := range []net.IP{flow.Forward.SrcIP, flow.Forward.DstIP, flow.Reverse.SrcIP, flow.Reverse.DstIP} {
		address, ok := netip.AddrFromSlice(ip)
		if address = address.Unmap(); ok && (c.single[address] || slices.ContainsFunc(c.ranges, func(r netip.Prefix) bool { return r.Contains(address) })) {
			return true
		}
	}
	return false
}
