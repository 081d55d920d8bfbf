package ec2

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"miniaws/backend"
)

// wantedNetwork turns a VPC's records into the one value that says how its network should be.
func wantedNetwork(t tx, v *vpc, domain string) (*backend.WantedVPC, error) {
	b := &networkBuilder{t: t, vpc: v, wanted: &backend.WantedVPC{
		ID: v.ID, Account: t.scope.Account, Region: t.scope.Region, CIDRs: append(v.ranges(), v.ipv6Ranges()...),
	}}
	b.wanted.DNS.Enabled = v.DNSSupport
	if domain != "" {
		b.wanted.DNS.Delegated = []string{domain + "."}
	}
	for _, part := range []func() error{b.subnets, b.routeTables, b.networkACLs, b.securityGroups, b.interfaces, b.gateways, b.peerings, b.transits, b.endpoints, b.flowLogs, b.names} {
		if err := part(); err != nil {
			return nil, err
		}
	}
	return b.wanted, nil
}

type networkBuilder struct {
	t      tx
	vpc    *vpc
	wanted *backend.WantedVPC
	enis   []*networkInterface
	ends   []*endpoint
}

func (b *networkBuilder) subnets() error {
	access, err := publicAccessOf(b.t)
	if err != nil {
		return err
	}
	list, err := subnets.by(b.t, "vpc", b.vpc.ID)
	if err != nil {
		return err
	}
	for _, n := range list {
		w := backend.WantedSubnet{ID: n.ID, CIDR: n.prefix()}
		if w.Internet, err = internetAccess(b.t, access.Mode, n); err != nil {
			return err
		}
		if len(n.IPv6) > 0 {
			w.IPv6 = netip.MustParsePrefix(n.IPv6[0].CIDR)
		}
		b.wanted.Subnets = append(b.wanted.Subnets, w)
	}
	return nil
}

// eachSubnet lets change look at the subnets with an id, or at all of them for "".
func (b *networkBuilder) eachSubnet(id string, change func(*backend.WantedSubnet)) {
	for i := range b.wanted.Subnets {
		if id == "" || b.wanted.Subnets[i].ID == id {
			change(&b.wanted.Subnets[i])
		}
	}
}

func (b *networkBuilder) routeTables() error {
	list, err := routeTables.by(b.t, "vpc", b.vpc.ID)
	if err != nil {
		return err
	}
	for _, r := range list {
		w := backend.WantedRouteTable{ID: r.ID}
		for _, x := range r.Routes {
			destinations, err := b.prefixes(x.Destination)
			if err != nil {
				return err
			}
			if len(destinations) > 0 {
				w.Routes = append(w.Routes, backend.WantedRoute{Destinations: destinations, Target: x.Target})
			}
		}
		b.wanted.RouteTables = append(b.wanted.RouteTables, w)
		for _, a := range r.Associations {
			if a.Gateway != "" {
				b.wanted.InternetTable = r.ID
				continue
			}
			b.eachSubnet(a.Subnet, func(n *backend.WantedSubnet) {
				if !a.Main || n.RouteTable == "" {
					n.RouteTable = r.ID
				}
			})
		}
	}
	return nil
}

// prefixes are a range, or the entries of a prefix list.
func (b *networkBuilder) prefixes(text string) ([]netip.Prefix, error) {
	if !strings.HasPrefix(text, "pl-") {
		return []netip.Prefix{netip.MustParsePrefix(text)}, nil
	}
	list, err := prefixLists.find(b.t, text)
	if list == nil || err != nil {
		return nil, err
	}
	return list.prefixes(), nil
}

func (b *networkBuilder) networkACLs() error {
	list, err := networkACLs.by(b.t, "vpc", b.vpc.ID)
	for _, a := range list {
		w := backend.WantedNetworkACL{ID: a.ID}
		for _, e := range a.Entries {
			entry := backend.WantedACLEntry{
				Number: int(e.Number), Allow: e.Allow, Protocol: e.Protocol, FromPort: int(e.From), ToPort: int(e.To), CIDR: netip.MustParsePrefix(e.CIDR),
			}
			if e.Egress {
				w.Egress = append(w.Egress, entry)
			} else {
				w.Ingress = append(w.Ingress, entry)
			}
		}
		b.wanted.NetworkACLs = append(b.wanted.NetworkACLs, w)
		for _, x := range a.Associations {
			b.eachSubnet(x.Subnet, func(n *backend.WantedSubnet) { n.NetworkACL = a.ID })
		}
	}
	return err
}

// protocolNumber is the number of a security group rule's protocol.
func protocolNumber(name string) int {
	if n, ok := protocolNumbers[name]; ok {
		return n
	}
	n, _ := strconv.Atoi(name) // checked when the rule was made
	return n
}

func (b *networkBuilder) securityGroups() error {
	list, err := groupsIn(b.t, b.vpc.ID)
	if err != nil {
		return err
	}
	for _, g := range list {
		w := backend.WantedSecurityGroup{ID: g.ID}
		for _, r := range g.Rules {
			into := &w.Ingress
			if r.Egress {
				into = &w.Egress
			}
			if err := b.rule(into, r); err != nil {
				return err
			}
		}
		b.wanted.SecurityGroups = append(b.wanted.SecurityGroups, w)
	}
	return nil
}

// rule adds a rule to those with the same protocol and ports, or as a new one.
func (b *networkBuilder) rule(into *[]backend.WantedSecurityRule, r securityRule) error {
	protocol, from, to := protocolNumber(r.Protocol), int(r.From), int(r.To)
	i := slices.IndexFunc(*into, func(w backend.WantedSecurityRule) bool {
		return w.Protocol == protocol && w.FromPort == from && w.ToPort == to
	})
	if i < 0 {
		i = len(*into)
		*into = append(*into, backend.WantedSecurityRule{Protocol: protocol, FromPort: from, ToPort: to})
	}
	w := &(*into)[i]
	if r.Group == "" {
		prefixes, err := b.prefixes(r.CIDR + r.PrefixList)
		w.CIDRs = append(w.CIDRs, prefixes...)
		return err
	}
	w.Groups = append(w.Groups, r.Group)
	if r.GroupVPC == "" {
		return nil
	}
	return b.foreignGroup(r)
}

// foreignGroup notes the members of a group behind a peering connection. One that cannot be reached is left out.
func (b *networkBuilder) foreignGroup(r securityRule) error {
	p, err := peeringBetween(b.t, b.vpc.ID, r.GroupVPC)
	if err != nil || p == nil {
		return err
	}
	there := b.t
	there.scope = p.Requester.scope()
	if p.Accepter.VPC == r.GroupVPC {
		there.scope = p.Accepter.scope()
	}
	g, err := securityGroups.find(there, r.Group)
	if err != nil || g == nil {
		return err
	}
	members, err := interfaces.by(there, "group", r.Group)
	if err != nil {
		return err
	}
	addresses := []netip.Addr{}
	var prefixes []netip.Prefix
	for _, e := range members {
		addresses, prefixes = append(addresses, e.addresses()...), append(prefixes, e.prefixes()...)
	}
	if b.wanted.ForeignGroups == nil {
		b.wanted.ForeignGroups = map[string][]netip.Addr{}
	}
	b.wanted.ForeignGroups[r.Group] = addresses
	if len(prefixes) > 0 {
		if b.wanted.ForeignPrefixes == nil {
			b.wanted.ForeignPrefixes = map[string][]netip.Prefix{}
		}
		b.wanted.ForeignPrefixes[r.Group] = prefixes
	}
	return nil
}

// addresses are all private addresses, the primary first, then IPv4, then IPv6.
func (e *networkInterface) addresses() []netip.Addr {
	var list []netip.Addr
	for _, a := range e.Addresses {
		list = append(list, netip.MustParseAddr(a.Private))
	}
	for _, a := range e.IPv6 {
		list = append(list, netip.MustParseAddr(a))
	}
	return list
}

// prefixes are all parts of the subnet's ranges that are the interface's.
func (e *networkInterface) prefixes() (all []netip.Prefix) {
	for _, text := range slices.Concat(e.Prefixes, e.IPv6Prefixes) {
		all = append(all, netip.MustParsePrefix(text))
	}
	return all
}

func (b *networkBuilder) interfaces() error {
	list, err := interfaces.by(b.t, "vpc", b.vpc.ID)
	for _, e := range list {
		if e.ofGateway() {
			continue // what it does is the gateway's
		}
		if a := e.Attachment; a != nil && a.Status == types.AttachmentStatusDetaching && a.Instance == "" {
			continue
		}
		w := backend.WantedENI{
			ID: e.ID, Subnet: e.Subnet, MAC: e.MAC, Addresses: e.addresses(), Groups: slices.Clone(e.Groups), SourceDestCheck: e.SourceDestCheck,
			Prefixes: e.prefixes(),
		}
		if e.Attachment != nil {
			w.MetadataHopLimit, w.MetadataIPv6 = int(e.Attachment.HopLimit), e.Attachment.MetadataIPv6
		}
		for _, a := range e.Addresses {
			if a.Public != "" {
				w.Public = append(w.Public, backend.WantedPublicAddress{Private: netip.MustParseAddr(a.Private), Public: netip.MustParseAddr(a.Public)})
			}
		}
		b.wanted.ENIs = append(b.wanted.ENIs, w)
		b.enis = append(b.enis, e)
	}
	return err
}

func (b *networkBuilder) gateways() error {
	attached, err := internetGateways.in(b.t).Index("vpc").Find(b.vpc.ID)
	if err != nil {
		return err
	}
	if attached != nil {
		b.wanted.InternetGateway = attached.ID
	}
	outs, err := egressOnlyGateways.by(b.t, "vpc", b.vpc.ID)
	if err != nil {
		return err
	}
	for _, g := range outs {
		b.wanted.EgressGateways = append(b.wanted.EgressGateways, g.ID)
	}
	nats, err := natGateways.by(b.t, "vpc", b.vpc.ID)
	for _, g := range nats {
		if g.gone() {
			continue
		}
		w := backend.WantedNATGateway{ID: g.ID, Subnet: g.Subnet, Private: netip.MustParseAddr(g.PrivateIP)}
		w.More = g.more()
		if g.Public != "" {
			w.Public = netip.MustParseAddr(g.Public)
		}
		b.wanted.NATGateways = append(b.wanted.NATGateways, w)
	}
	return err
}

func (b *networkBuilder) peerings() error {
	list, err := peerings.by(b.t, "vpc", b.vpc.ID)
	for _, p := range list {
		if !p.usesVPC() {
			continue
		}
		other := p.Accepter.VPC
		if other == b.vpc.ID {
			other = p.Requester.VPC
		}
		b.wanted.Peerings = append(b.wanted.Peerings, backend.WantedPeering{ID: p.ID, VPC: other})
	}
	return err
}

func (b *networkBuilder) endpoints() error {
	list, err := endpoints.by(b.t, "vpc", b.vpc.ID)
	for _, e := range list {
		if e.State == types.StateDeleting {
			continue
		}
		b.wanted.Endpoints = append(b.wanted.Endpoints, backend.WantedVPCEndpoint{ID: e.ID, RouteTables: slices.Clone(e.Tables), ENIs: slices.Clone(e.Interfaces)})
		b.ends = append(b.ends, e)
	}
	return err
}

func (b *networkBuilder) flowLogs() error {
	list, err := flowLogs.by(b.t, "vpc", b.vpc.ID)
	for _, f := range list {
		b.wanted.FlowLogs = append(b.wanted.FlowLogs, backend.WantedFlowLog{
			ID: f.ID, Resource: f.Resource, Accepted: f.Traffic != types.TrafficTypeReject, Rejected: f.Traffic != types.TrafficTypeAccept,
		})
	}
	return err
}

// nameLifetime is how long resolvers may keep a name, in seconds.
const nameLifetime = 60

// names are what the VPC's resolver knows of itself: addresses by their private names, public names as private
// addresses, and the names of endpoints.
// AWS: "DNS attributes for your VPC".
func (b *networkBuilder) names() error {
	region := b.t.scope.Region
	internal := backend.WantedZone{Name: internalDomain(region) + "."}
	for _, e := range b.enis {
		for _, a := range e.Addresses {
			name := privateName(b.t, a.Private) + "."
			internal.Records = append(internal.Records, fmt.Sprintf("%s %d IN A %s", name, nameLifetime, a.Private))
			reverse := reverseName(a.Private)
			b.wanted.DNS.Zones = append(b.wanted.DNS.Zones, backend.WantedZone{Name: reverse, Records: []string{fmt.Sprintf("%s %d IN PTR %s", reverse, nameLifetime, name)}})
			if a.Public != "" && b.vpc.DNSNames {
				public := publicNameOf(region, a.Public) + "."
				b.wanted.DNS.Zones = append(b.wanted.DNS.Zones, backend.WantedZone{Name: public, Records: []string{fmt.Sprintf("%s %d IN A %s", public, nameLifetime, a.Private)}})
			}
			if a.Public == "" {
				continue
			}
			eip, err := elasticIPs.see(b.t, a.Allocation)
			if err != nil {
				return err
			}
			b.wanted.DNS.Zones = append(b.wanted.DNS.Zones, reverseZone(region, a.Public, eip))
		}
	}
	if err := b.resourceNames(&internal); err != nil {
		return err
	}
	for _, x := range b.ends {
		for _, name := range x.dnsNames(region) {
			zone := backend.WantedZone{Name: name + "."}
			for _, id := range x.Interfaces {
				i := slices.IndexFunc(b.enis, func(e *networkInterface) bool { return e.ID == id })
				if i >= 0 {
					zone.Records = append(zone.Records, fmt.Sprintf("%s. %d IN A %s", name, nameLifetime, b.enis[i].private()))
				}
			}
			b.wanted.DNS.Zones = append(b.wanted.DNS.Zones, zone)
		}
	}
	slices.Sort(internal.Records)
	b.wanted.DNS.Zones = append(b.wanted.DNS.Zones, internal)
	slices.SortStableFunc(b.wanted.DNS.Zones, func(x, y backend.WantedZone) int { return cmp.Compare(x.Name, y.Name) })
	return nil
}

// resourceNames are those that are made of instances' ids, for instances that have them.
func (b *networkBuilder) resourceNames(internal *backend.WantedZone) error {
	for _, e := range b.enis {
		if e.Attachment == nil || e.Attachment.DeviceIndex != 0 {
			continue
		}
		i, err := instances.see(b.t, e.Attachment.Instance)
		if err != nil {
			return err
		}
		if i == nil {
			continue
		}
		name := resourceName(b.t, i.ID) + "."
		if i.Names.A {
			internal.Records = append(internal.Records, fmt.Sprintf("%s %d IN A %s", name, nameLifetime, e.private()))
		}
		if i.Names.AAAA && len(e.IPv6) > 0 {
			internal.Records = append(internal.Records, fmt.Sprintf("%s %d IN AAAA %s", name, nameLifetime, e.IPv6[0]))
		}
	}
	return nil
}

// reverseName is where the name of an IPv4 address is found.
func reverseName(address string) string {
	parts := strings.Split(address, ".")
	slices.Reverse(parts)
	return strings.Join(parts, ".") + ".in-addr.arpa."
}
