package kernel

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"miniaws/backend/node/plan"
)

// ErrNoProcess tells that the process, or its network, is gone.
var ErrNoProcess = errors.New("no such process, or no network of its own")

// ErrNameTaken tells that the container has a device of that name already.
var ErrNameTaken = errors.New("the device's name is taken inside")

// Interface is one end that an instance sees.
type Interface struct {
	// Device is the name on the router's side, Inside in the container.
	Device, Inside string
	// Alias says whose it is, for people who look.
	Alias string
	MAC   net.HardwareAddr
	// Addresses with the subnet's prefix length; Router is the subnet's first address. The default route leads there if
	// Default is set.
	Addresses []netip.Prefix
	Router    netip.Addr
	// IPv6 are the interface's own addresses; the router must have IPv6.
	IPv6    []netip.Addr
	Default bool
	MTU     int
	PID     int
}

// Attach wires the interface into the namespace of the process. A device of the name that leads elsewhere is replaced.
func (r *Router) Attach(wanted Interface) error {
	inside, err := netns.GetFromPid(wanted.PID)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNoProcess, err)
	}
	defer func() { _ = inside.Close() }()
	if home, err := netns.Get(); err == nil {
		own := home.Equal(inside)
		_ = home.Close()
		if own {
			return fmt.Errorf("%w: process %d shares the engine host's", ErrNoProcess, wanted.PID)
		}
	}
	link, err := netlink.NewHandleAt(inside)
	if err != nil {
		return err
	}
	defer link.Close()
	if r.leadsTo(wanted, link, inside) {
		return errors.Join(r.finish(wanted, link), r.finish6(wanted, link, inside))
	}
	if err := r.Detach(wanted.Device); err != nil {
		return err
	}
	attributes := netlink.NewLinkAttrs()
	attributes.Name, attributes.MTU, attributes.Alias = wanted.Device, wanted.MTU, wanted.Alias
	pair := &netlink.Veth{LinkAttrs: attributes, PeerName: wanted.Inside, PeerHardwareAddr: wanted.MAC, PeerNamespace: netlink.NsFd(int(inside)), PeerMTU: uint32(wanted.MTU)}
	if err := r.link.LinkAdd(pair); err != nil {
		if errors.Is(err, unix.EEXIST) {
			return fmt.Errorf("%w: %s", ErrNameTaken, wanted.Inside)
		}
		return fmt.Errorf("device %s: %w", wanted.Device, err)
	}
	if err := errors.Join(r.finish(wanted, link), r.finish6(wanted, link, inside)); err != nil {
		return errors.Join(err, r.Detach(wanted.Device))
	}
	return nil
}

// finish6 gives both ends their IPv6 addresses, each alone on the link: whoever else is in the subnet is behind the router.
// Those that the interface does not have any more are taken away.
func (r *Router) finish6(wanted Interface, link *netlink.Handle, inside netns.NsHandle) error {
	inner, err := link.LinkByName(wanted.Inside)
	if err != nil {
		return fmt.Errorf("device %s inside: %w", wanted.Inside, err)
	}
	had, err := link.AddrList(inner, unix.AF_INET6)
	if err != nil {
		return err
	}
	for _, address := range had {
		own := addressOf(address.IP)
		if bits, _ := address.Mask.Size(); bits == own.BitLen() && !own.IsLinkLocalUnicast() && !slices.Contains(wanted.IPv6, own) {
			if err := link.AddrDel(inner, &address); err != nil {
				return err
			}
		}
	}
	if len(wanted.IPv6) == 0 {
		return nil
	}
	err = inNamespace(inside, func() error {
		return errors.Join(sysctl("net/ipv6/conf/"+wanted.Inside+"/accept_ra", "0"), sysctl("net/ipv6/conf/"+wanted.Inside+"/accept_dad", "0"), sysctl("net/ipv6/conf/"+wanted.Inside+"/disable_ipv6", "0"))
	})
	if err != nil {
		return err
	}
	outer, err := r.link.LinkByName(wanted.Device)
	if err != nil {
		return err
	}
	router := &netlink.Addr{IPNet: ipNet(netip.PrefixFrom(plan.RouterHop6, 64)), Flags: unix.IFA_F_NODAD}
	if err := r.link.AddrReplace(outer, router); err != nil {
		return fmt.Errorf("address %s: %w", plan.RouterHop6, err)
	}
	for _, address := range wanted.IPv6 {
		if err := link.AddrReplace(inner, &netlink.Addr{IPNet: hostNet(address), Flags: unix.IFA_F_NODAD}); err != nil {
			return fmt.Errorf("address %s: %w", address, err)
		}
		if err := r.neighbor(outer, address, wanted.MAC); err != nil {
			return err
		}
	}
	if err := setNeighbor(link, inner, plan.RouterHop6, outer.Attrs().HardwareAddr); err != nil {
		return err
	}
	if !wanted.Default {
		return nil
	}
	route := &netlink.Route{Dst: ipNet(netip.PrefixFrom(netip.IPv6Unspecified(), 0)), Gw: plan.RouterHop6.AsSlice(), LinkIndex: inner.Attrs().Index}
	if err := link.RouteReplace(route); err != nil {
		return fmt.Errorf("default route inside: %w", err)
	}
	return nil
}

// leadsTo tells whether the device is there and its other end is the wanted one inside.
func (r *Router) leadsTo(wanted Interface, link *netlink.Handle, _ netns.NsHandle) bool {
	outer, err := r.link.LinkByName(wanted.Device)
	if err != nil {
		return false
	}
	inner, err := link.LinkByName(wanted.Inside)
	return err == nil && inner.Attrs().ParentIndex == outer.Attrs().Index && outer.Attrs().ParentIndex == inner.Attrs().Index
}

// finish configures both ends; what is there already stays.
func (r *Router) finish(wanted Interface, link *netlink.Handle) error {
	inner, err := link.LinkByName(wanted.Inside)
	if err != nil {
		return fmt.Errorf("device %s inside: %w", wanted.Inside, err)
	}
	for _, address := range wanted.Addresses {
		if err := link.AddrReplace(inner, &netlink.Addr{IPNet: ipNet(address)}); err != nil {
			return fmt.Errorf("address %s: %w", address, err)
		}
	}
	if err := link.LinkSetUp(inner); err != nil {
		return err
	}
	outer, err := r.link.LinkByName(wanted.Device)
	if err != nil {
		return err
	}
	if err := r.link.LinkSetUp(outer); err != nil {
		return err
	}
	for _, address := range wanted.Addresses {
		if err := r.neighbor(outer, address.Addr(), wanted.MAC); err != nil {
			return err
		}
	}
	if err := r.Run(func() error { return answerForOthers(wanted.Device) }); err != nil {
		return err
	}
	if wanted.Default {
		_, all, _ := net.ParseCIDR("0.0.0.0/0")
		route := &netlink.Route{Dst: all, Gw: wanted.Router.AsSlice(), LinkIndex: inner.Attrs().Index}
		if err := link.RouteReplace(route); err != nil {
			return fmt.Errorf("default route inside: %w", err)
		}
	}
	return nil
}

// answerForOthers makes the router answer, on the device, for every address that it has a way to. It runs in the
// namespace.
func answerForOthers(device string) error {
	// The kernel's default waits up to 0.8 s with each answer.
	return errors.Join(sysctl("net/ipv4/neigh/"+device+"/proxy_delay", "0"), sysctl("net/ipv4/conf/"+device+"/proxy_arp", "1"))
}

// neighbor says once and for all which MAC an address has.
func (r *Router) neighbor(device netlink.Link, address netip.Addr, mac net.HardwareAddr) error {
	return setNeighbor(r.link, device, address, mac)
}

func setNeighbor(link *netlink.Handle, device netlink.Link, address netip.Addr, mac net.HardwareAddr) error {
	entry := &netlink.Neigh{LinkIndex: device.Attrs().Index, Family: unix.AF_INET, State: netlink.NUD_PERMANENT, IP: address.AsSlice(), HardwareAddr: mac}
	if address.Is6() {
		entry.Family = unix.AF_INET6
	}
	if err := link.NeighSet(entry); err != nil {
		return fmt.Errorf("neighbor %s: %w", address, err)
	}
	return nil
}

// Detach removes the device with its other end. Absent is no error.
func (r *Router) Detach(device string) error {
	found, err := r.link.LinkByName(device)
	if err != nil {
		var missing netlink.LinkNotFoundError
		if errors.As(err, &missing) {
			return nil
		}
		return err
	}
	if err := r.link.LinkDel(found); err != nil && !errors.Is(err, unix.ENODEV) {
		return fmt.Errorf("device %s: %w", device, err)
	}
	return nil
}

// Devices answers the names of the router's devices, with what they counted: received is what the other end sent.
func (r *Router) Devices() (map[string]netlink.LinkStatistics, error) {
	links, err := r.link.LinkList()
	if err != nil {
		return nil, err
	}
	all := map[string]netlink.LinkStatistics{}
	for _, device := range links {
		statistics := netlink.LinkStatistics{}
		if counted := device.Attrs().Statistics; counted != nil {
			statistics = *counted
		}
		all[device.Attrs().Name] = statistics
	}
	return all, nil
}

// Uplink connects the router with the public bridge.
type Uplink struct {
	// Bridge is the bridge's name on the engine's host; HostDevice the name of the link's end there.
	Bridge, HostDevice string
	Alias              string
	// Own is the router's address on the bridge.
	Own netip.Addr
	// Own6 is its link-local one; the zero Addr for none.
	Own6 netip.Addr
}

// Connect makes the link to the public bridge unless it is there. It runs in the engine host's network namespace.
func (r *Router) Connect(wanted Uplink) error {
	bridge, err := netlink.LinkByName(wanted.Bridge)
	if err != nil {
		return fmt.Errorf("public bridge %s: %w", wanted.Bridge, err)
	}
	outer, outerErr := netlink.LinkByName(wanted.HostDevice)
	inner, innerErr := r.link.LinkByName(plan.InternetDevice)
	if outerErr == nil && innerErr == nil && outer.Attrs().MasterIndex == bridge.Attrs().Index && outer.Attrs().ParentIndex == inner.Attrs().Index {
		return r.finishUplink(wanted, inner)
	}
	if outerErr == nil {
		if err := netlink.LinkDel(outer); err != nil {
			return err
		}
	}
	if err := r.Detach(plan.InternetDevice); err != nil {
		return err
	}
	attributes := netlink.NewLinkAttrs()
	attributes.Name, attributes.MTU, attributes.Alias, attributes.MasterIndex = wanted.HostDevice, bridge.Attrs().MTU, wanted.Alias, bridge.Attrs().Index
	pair := &netlink.Veth{LinkAttrs: attributes, PeerName: plan.InternetDevice, PeerNamespace: netlink.NsFd(int(r.namespace)), PeerMTU: uint32(bridge.Attrs().MTU)}
	if err := netlink.LinkAdd(pair); err != nil {
		return fmt.Errorf("link to the public bridge: %w", err)
	}
	if outer, err = netlink.LinkByName(wanted.HostDevice); err != nil {
		return err
	}
	if err := errors.Join(netlink.LinkSetMaster(outer, bridge), netlink.LinkSetUp(outer)); err != nil {
		return err
	}
	if inner, err = r.link.LinkByName(plan.InternetDevice); err != nil {
		return err
	}
	return r.finishUplink(wanted, inner)
}

func (r *Router) finishUplink(wanted Uplink, inner netlink.Link) error {
	had, err := r.link.AddrList(inner, unix.AF_INET)
	if err != nil {
		return err
	}
	there := false
	for _, address := range had {
		if address.IP.Equal(wanted.Own.AsSlice()) {
			there = true
		} else if err := r.link.AddrDel(inner, &address); err != nil {
			return err
		}
	}
	if !there {
		if err := r.link.AddrReplace(inner, &netlink.Addr{IPNet: hostNet(wanted.Own)}); err != nil {
			return err
		}
	}
	if err := r.link.LinkSetUp(inner); err != nil {
		return err
	}
	if wanted.Own6.IsValid() {
		if err := r.link.AddrReplace(inner, &netlink.Addr{IPNet: ipNet(netip.PrefixFrom(wanted.Own6, 64)), Flags: unix.IFA_F_NODAD}); err != nil {
			return fmt.Errorf("address %s: %w", wanted.Own6, err)
		}
	}
	return r.Run(func() error { return sysctl("net/ipv4/neigh/"+plan.InternetDevice+"/proxy_delay", "0") })
}

// HostAddresses are the engine host's own addresses, without those of its loopback, by which no router is reached, and of
// its links alone.
func HostAddresses() ([]netip.Addr, error) {
	list, err := netlink.AddrList(nil, netlink.FAMILY_ALL)
	var all []netip.Addr
	for _, address := range list {
		if own := addressOf(address.IP); own.IsValid() && !own.IsLoopback() && !own.IsLinkLocalUnicast() {
			all = append(all, own)
		}
	}
	return all, err
}

// BridgeLinkLocal is the bridge's own link-local address for IPv6; the zero Addr where it has none.
func BridgeLinkLocal(name string) netip.Addr {
	bridge, err := netlink.LinkByName(name)
	if err != nil {
		return netip.Addr{}
	}
	list, err := netlink.AddrList(bridge, unix.AF_INET6)
	if err != nil {
		return netip.Addr{}
	}
	for _, address := range list {
		if own := addressOf(address.IP); own.IsLinkLocalUnicast() {
			return own
		}
	}
	return netip.Addr{}
}

// SetBridgeRoutes makes the engine host reach IPv6 ranges behind routers on the bridge, and no others there.
func SetBridgeRoutes(name string, ways []plan.Reach) error {
	bridge, err := netlink.LinkByName(name)
	if err != nil {
		return err
	}
	had, err := netlink.RouteList(bridge, unix.AF_INET6)
	if err != nil {
		return err
	}
	wanted := map[netip.Prefix]netip.Addr{}
	for _, way := range ways {
		wanted[way.Range] = way.Via
	}
	var errs []error
	for _, route := range had {
		if route.Protocol != unix.RTPROT_STATIC {
			continue
		}
		destination := destinationOf(route)
		if via, ok := wanted[destination]; ok && via == addressOf(route.Gw) {
			delete(wanted, destination)
		} else if !ok {
			errs = append(errs, netlink.RouteDel(&route))
		}
	}
	for destination, via := range wanted {
		errs = append(errs, netlink.RouteReplace(&netlink.Route{LinkIndex: bridge.Attrs().Index, Dst: ipNet(destination), Gw: via.AsSlice(), Protocol: unix.RTPROT_STATIC}))
	}
	return errors.Join(errs...)
}

// Disconnect takes the link to the public bridge away.
func (r *Router) Disconnect() error { return r.Detach(plan.InternetDevice) }

// UplinkAddress answers the router's address on the public bridge, the zero Addr for none.
func (r *Router) UplinkAddress() netip.Addr {
	device, err := r.link.LinkByName(plan.InternetDevice)
	if err != nil {
		return netip.Addr{}
	}
	addresses, err := r.link.AddrList(device, unix.AF_INET)
	if err != nil || len(addresses) == 0 {
		return netip.Addr{}
	}
	address, _ := netip.AddrFromSlice(addresses[0].IP.To4())
	return address
}

// Peer connects two routers by a device of the same name on both sides, unless it is there. mtu is in bytes.
func Peer(a, b *Router, device string, mtu int) error {
	macs := [2]net.HardwareAddr{peerMAC(device, 0), peerMAC(device, 1)}
	first, firstErr := a.link.LinkByName(device)
	second, secondErr := b.link.LinkByName(device)
	if firstErr != nil || secondErr != nil || first.Attrs().ParentIndex != second.Attrs().Index {
		if err := errors.Join(a.Detach(device), b.Detach(device)); err != nil {
			return err
		}
		attributes := netlink.NewLinkAttrs()
		attributes.Name, attributes.MTU, attributes.HardwareAddr = device, mtu, macs[0]
		pair := &netlink.Veth{LinkAttrs: attributes, PeerName: device, PeerHardwareAddr: macs[1], PeerNamespace: netlink.NsFd(int(b.namespace)), PeerMTU: uint32(mtu)}
		if err := a.link.LinkAdd(pair); err != nil {
			return fmt.Errorf("device %s: %w", device, err)
		}
	}
	for i, side := range []*Router{a, b} {
		found, err := side.link.LinkByName(device)
		if err != nil {
			return err
		}
		if err := side.link.LinkSetUp(found); err != nil {
			return err
		}
		if err := side.neighbor(found, plan.PeerHop, macs[1-i]); err != nil {
			return err
		}
		if side.ipv6 {
			if err := side.neighbor(found, plan.PeerHop6, macs[1-i]); err != nil {
				return err
			}
		}
	}
	return nil
}

// peerMAC is a locally administered address, the same whenever it is asked for.
func peerMAC(device string, side byte) net.HardwareAddr {
	sum := sha256.Sum256([]byte(device))
	return net.HardwareAddr{0x02, sum[0], sum[1], sum[2], sum[3], sum[4]&^1 | side}
}

// StartTime answers when the process began, in the kernel's ticks: together with the PID it names a process for good.
func StartTime(pid int) (string, error) {
	content, err := readProc(pid, "stat")
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrNoProcess, err)
	}
	// The second field, in parentheses, may hold anything.
	fields := strings.Fields(content[strings.LastIndex(content, ")")+1:])
	const startTime = 19 // the 22nd of all
	if len(fields) <= startTime {
		return "", ErrNoProcess
	}
	return fields[startTime], nil
}
