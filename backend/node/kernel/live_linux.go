package kernel

import (
	"cmp"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"miniaws/backend/node/plan"
)

// Live is what the kernel holds of a router at this moment, read from it and not from what was planned.
type Live struct {
	// Namespace is the kernel's name of it.
	Namespace string
	Devices   []LiveDevice
	// Rules and Routes are all but the kernel's own.
	Rules  []plan.RoutingRule
	Routes []plan.Route
	// Public are the public addresses for which it answers.
	Public []string
	Chains []LiveChain
	// Sets maps a set's or map's name to its elements, as text.
	Sets map[string][]string
}

// LiveDevice is a device of a namespace.
type LiveDevice struct {
	Name, Type, Alias string
	Index, Peer, MTU  int
	MAC               string
	Up                bool
	Addresses         []string
	// Bytes and packets as the namespace counts them.
	RxBytes, TxBytes, RxPackets, TxPackets uint64
}

// String is one line of text.
func (d LiveDevice) String() string {
	state := "down"
	if d.Up {
		state = "up"
	}
	text := fmt.Sprintf("%s, %s %d, %s, mtu %d, %s", d.Name, d.Type, d.Index, state, d.MTU, d.MAC)
	if d.Peer != 0 {
		text += fmt.Sprintf(", its other end is device %d", d.Peer)
	}
	if len(d.Addresses) > 0 {
		text += ", " + strings.Join(d.Addresses, " ")
	}
	return text + fmt.Sprintf("; received %d packets (%d bytes), sent %d (%d)", d.RxPackets, d.RxBytes, d.TxPackets, d.TxBytes)
}

// LiveChain is a chain of the router's table. Counters has one entry a rule; nil for a rule that does not count.
type LiveChain struct {
	Name     string
	Counters []*LiveCounter
}

// LiveCounter is what a rule counted since it was made.
type LiveCounter struct{ Packets, Bytes uint64 }

// Inspect reads what there is.
func (r *Router) Inspect() (live Live, err error) {
	live.Namespace = r.Name()
	if live.Devices, err = devicesOf(r.link); err != nil {
		return live, err
	}
	names := map[int]string{}
	for _, device := range live.Devices {
		names[device.Index] = device.Name
		if device.Name != plan.InternetDevice {
			continue
		}
		proxied, err := r.link.NeighProxyList(device.Index, unix.AF_INET)
		if err != nil {
			return live, err
		}
		for _, neighbor := range proxied {
			live.Public = append(live.Public, neighbor.IP.String())
		}
	}
	rules, err := r.link.RuleList(unix.AF_INET)
	if err != nil {
		return live, err
	}
	for _, rule := range rules {
		if rule.Priority > 0 && rule.Priority < 32766 {
			live.Rules = append(live.Rules, plan.RoutingRule{Priority: rule.Priority, Mark: int(rule.Mark), Table: rule.Table, Device: rule.IifName})
		}
	}
	for _, family := range r.families() {
		routes, err := r.link.RouteListFiltered(family, &netlink.Route{Table: unix.RT_TABLE_UNSPEC}, netlink.RT_FILTER_TABLE)
		if err != nil {
			return live, err
		}
		for _, route := range routes {
			if route.Table != unix.RT_TABLE_LOCAL && route.Protocol != unix.RTPROT_KERNEL {
				live.Routes = append(live.Routes, routeOf(route, names))
			}
		}
	}
	slices.SortStableFunc(live.Routes, func(a, b plan.Route) int { return cmp.Compare(a.Table, b.Table) })
	return live, r.inspectTable(&live)
}

func devicesOf(link *netlink.Handle) ([]LiveDevice, error) {
	links, err := link.LinkList()
	if err != nil {
		return nil, err
	}
	var all []LiveDevice
	for _, device := range links {
		a := device.Attrs()
		found := LiveDevice{
			Name: a.Name, Type: device.Type(), Alias: a.Alias, Index: a.Index, Peer: a.ParentIndex, MTU: a.MTU, MAC: a.HardwareAddr.String(),
			Up: a.Flags&net.FlagUp != 0,
		}
		if s := a.Statistics; s != nil {
			found.RxBytes, found.TxBytes, found.RxPackets, found.TxPackets = s.RxBytes, s.TxBytes, s.RxPackets, s.TxPackets
		}
		addresses, err := link.AddrList(device, unix.AF_INET)
		if err != nil {
			return nil, err
		}
		for _, address := range addresses {
			found.Addresses = append(found.Addresses, address.IPNet.String())
		}
		all = append(all, found)
	}
	return all, nil
}

// inspectTable reads the chains and sets of the router's table.
func (r *Router) inspectTable(live *Live) error {
	connection, err := nftables.New(nftables.WithNetNSFd(int(r.namespace)))
	if err != nil {
		return err
	}
	chains, err := connection.ListChainsOfTableFamily(nftables.TableFamilyIPv4)
	if err != nil {
		return err
	}
	var table *nftables.Table
	for _, chain := range chains {
		if chain.Table.Name != plan.TableName {
			continue
		}
		table = chain.Table
		rules, err := connection.GetRules(chain.Table, chain)
		if err != nil {
			return fmt.Errorf("chain %s: %w", chain.Name, err)
		}
		found := LiveChain{Name: chain.Name}
		for _, rule := range rules {
			var counted *LiveCounter
			for _, e := range rule.Exprs {
				if c, ok := e.(*expr.Counter); ok {
					counted = &LiveCounter{Packets: c.Packets, Bytes: c.Bytes}
				}
			}
			found.Counters = append(found.Counters, counted)
		}
		live.Chains = append(live.Chains, found)
	}
	if table == nil {
		return nil
	}
	sets, err := connection.GetSets(table)
	if err != nil {
		return err
	}
	live.Sets = map[string][]string{}
	for _, set := range sets {
		elements, err := connection.GetSetElements(set)
		if err != nil {
			return fmt.Errorf("set %s: %w", set.Name, err)
		}
		texts := []string{}
		for _, element := range elements {
			if set.KeyType.GetNFTMagic() == nftables.TypeIPAddr.GetNFTMagic() && len(element.Key) == net.IPv4len {
				texts = append(texts, net.IP(element.Key).String())
			}
		}
		slices.Sort(texts)
		live.Sets[set.Name] = texts
	}
	return nil
}

// Inside reads the device of that name in the namespace of the process, and that namespace's name.
func Inside(pid int, name string) (device LiveDevice, namespace string, err error) {
	inside, err := netns.GetFromPid(pid)
	if err != nil {
		return device, "", fmt.Errorf("%w: %w", ErrNoProcess, err)
	}
	defer func() { _ = inside.Close() }()
	var held unix.Stat_t
	if err := unix.Fstat(int(inside), &held); err != nil {
		return device, "", err
	}
	namespace = fmt.Sprintf("net:[%d]", held.Ino)
	link, err := netlink.NewHandleAt(inside)
	if err != nil {
		return device, namespace, err
	}
	defer link.Close()
	all, err := devicesOf(link)
	if err != nil {
		return device, namespace, err
	}
	i := slices.IndexFunc(all, func(d LiveDevice) bool { return d.Name == name })
	if i < 0 {
		return device, namespace, fmt.Errorf("there is no device %s inside", name)
	}
	return all[i], namespace, nil
}
