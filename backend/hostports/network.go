package hostports

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"sync/atomic"

	"miniaws/backend"
)

// Inner is a network whose agent reaches public addresses.
type Inner interface {
	backend.VPCNetwork
	backend.NetworkLooker
	backend.PublicDialer
}

// Network is a network with ports that lead into it.
type Network struct {
	Inner
	ports *ports
	// always opens them although the machine reaches the addresses itself.
	always bool
	// reaches is set once it is known that it does, and nobody has to be asked any more.
	reaches atomic.Bool
}

// Wrap answers the network with ports; always opens them in any case, else only where the machine needs them.
func Wrap(inner Inner, always bool) *Network {
	return &Network{Inner: inner, ports: newPorts(inner), always: always}
}

// Active tells whether ports are opened. Kinds: KindUnavailable.
func (n *Network) Active(ctx context.Context) (bool, error) {
	if n.always {
		return true, nil
	}
	_, active, err := n.source(ctx)
	return active, err
}

// source answers from which address this machine comes to public ones, where ports are opened for them.
func (n *Network) source(ctx context.Context) (source netip.Addr, active bool, err error) {
	if n.reaches.Load() {
		return netip.Addr{}, false, nil
	}
	info, err := n.NetworkInfo(ctx)
	if err != nil {
		return netip.Addr{}, false, err
	}
	if info.HostReaches && !n.always {
		n.reaches.Store(true)
		return netip.Addr{}, false, nil
	}
	return info.HostSource, true, nil
}

// Endpoints answers the open ports of a public address, as PORT=ADDRESS:PORT, in the order of the first, which is the public
// address's own.
func (n *Network) Endpoints(public netip.Addr) []string {
	var all []string
	for _, e := range n.ports.of(public) {
		all = append(all, fmt.Sprintf("%d=%s", e.target, e.listen))
	}
	return all
}

// ApplyVPC makes the VPC as wanted, and then its ports.
func (n *Network) ApplyVPC(ctx context.Context, wanted backend.WantedVPC) (backend.ObservedVPC, error) {
	observed, err := n.Inner.ApplyVPC(ctx, wanted)
	if err != nil {
		return observed, err
	}
	source, active, err := n.source(ctx)
	if err == nil && active {
		n.ports.set(wanted.ID, targets(wanted, source))
	}
	return observed, err
}

// RemoveVPC closes the VPC's ports and ends it.
func (n *Network) RemoveVPC(ctx context.Context, id string) error {
	n.ports.set(id, nil)
	return n.Inner.RemoveVPC(ctx, id)
}

// Close ends every port and connection.
func (n *Network) Close() error {
	n.ports.close()
	return n.Inner.Close()
}

const (
	// listed is how many ports a rule may name to have each of them opened: with more it means a range.
	listed = 16
	// perAddress bounds the ports of an address, so that they fit into a tag.
	perAddress = 12
)

// usual are those ports of a range that are opened: SSH and the web.
var usual = []uint16{22, 80, 443}

// targets are the addresses and ports that are of use from outside: those at which a group lets in whoever comes from the
// engine's host, which is the source there.
func targets(wanted backend.WantedVPC, source netip.Addr) []netip.AddrPort {
	groups := map[string]backend.WantedSecurityGroup{}
	for _, g := range wanted.SecurityGroups {
		groups[g.ID] = g
	}
	var all []netip.AddrPort
	for _, eni := range wanted.ENIs {
		if len(eni.Public) == 0 {
			continue
		}
		var open []uint16
		for _, id := range eni.Groups {
			for _, rule := range groups[id].Ingress {
				open = append(open, portsOf(rule, source)...)
			}
		}
		slices.Sort(open)
		open = slices.Compact(open)
		for _, public := range eni.Public {
			for _, port := range open[:min(len(open), perAddress)] {
				all = append(all, netip.AddrPortFrom(public.Public, port))
			}
		}
	}
	return all
}

func portsOf(rule backend.WantedSecurityRule, source netip.Addr) []uint16 {
	if !slices.ContainsFunc(rule.CIDRs, func(p netip.Prefix) bool { return p.Contains(source) }) {
		return nil
	}
	from, to := rule.FromPort, rule.ToPort
	switch {
	case rule.Protocol == backend.ProtocolAll:
		from, to = 0, 65535
	case rule.Protocol != backend.ProtocolTCP:
		return nil
	}
	var open []uint16
	if to-from >= listed {
		for _, port := range usual {
			if from <= int(port) && int(port) <= to {
				open = append(open, port)
			}
		}
		return open
	}
	for port := max(from, 1); port <= to; port++ {
		open = append(open, uint16(port))
	}
	return open
}
