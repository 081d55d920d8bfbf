package backend

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
)

// Check answers how the value contradicts itself, or nil. Engines call it before they change anything.
func (w WantedVPC) Check() error {
	c := checker{vpc: w, subnets: map[string]WantedSubnet{}, seen: map[string]bool{}, addresses: map[netip.Addr]string{}}
	c.ranges()
	c.tables()
	c.interfaces()
	c.gateways()
	return errors.Join(c.errs...)
}

type checker struct {
	vpc       WantedVPC
	subnets   map[string]WantedSubnet
	seen      map[string]bool
	addresses map[netip.Addr]string
	prefixes  []netip.Prefix
	errs      []error
}

func (c *checker) fail(format string, args ...any) {
	c.errs = append(c.errs, fmt.Errorf(format, args...))
}

// once fails where the id is empty or was there before.
func (c *checker) once(id string) {
	if id == "" || c.seen[id] {
		c.fail("id %q is empty or there twice", id)
	}
	c.seen[id] = true
}

func (c *checker) ranges() {
	c.once(c.vpc.ID)
	if len(c.vpc.CIDRs) == 0 || !c.vpc.CIDRs[0].IsValid() || !c.vpc.CIDRs[0].Addr().Is4() {
		c.fail("the VPC has no primary IPv4 range")
	}
	for i, a := range c.vpc.CIDRs {
		if !a.IsValid() || a.Masked() != a {
			c.fail("range %v is not one", a)
		}
		for _, b := range c.vpc.CIDRs[:i] {
			if a.Overlaps(b) {
				c.fail("ranges %v and %v overlap", a, b)
			}
		}
	}
	for _, subnet := range c.vpc.Subnets {
		c.once(subnet.ID)
		if !c.inside(subnet.CIDR) || !subnet.CIDR.Addr().Is4() {
			c.fail("%s: %v is not in the VPC's ranges", subnet.ID, subnet.CIDR)
		}
		if subnet.IPv6.IsValid() && !c.inside(subnet.IPv6) {
			c.fail("%s: %v is not in the VPC's ranges", subnet.ID, subnet.IPv6)
		}
		for _, other := range c.subnets {
			if other.CIDR.Overlaps(subnet.CIDR) {
				c.fail("%s and %s overlap", subnet.ID, other.ID)
			}
		}
		c.subnets[subnet.ID] = subnet
	}
}

func (c *checker) inside(prefix netip.Prefix) bool {
	for _, cidr := range c.vpc.CIDRs {
		if prefix.IsValid() && cidr.Contains(prefix.Addr()) && cidr.Bits() <= prefix.Bits() && prefix.Masked() == prefix {
			return true
		}
	}
	return false
}

func (c *checker) tables() {
	tables, acls := map[string]bool{}, map[string]bool{}
	for _, table := range c.vpc.RouteTables {
		c.once(table.ID)
		tables[table.ID] = true
		for _, route := range table.Routes {
			for _, destination := range route.Destinations {
				c.prefix(table.ID, destination)
			}
		}
	}
	for _, acl := range c.vpc.NetworkACLs {
		c.once(acl.ID)
		acls[acl.ID] = true
		for _, entry := range append(append([]WantedACLEntry{}, acl.Ingress...), acl.Egress...) {
			c.prefix(acl.ID, entry.CIDR)
			c.ports(acl.ID, entry.Protocol, entry.FromPort, entry.ToPort)
		}
	}
	for _, group := range c.vpc.SecurityGroups {
		c.once(group.ID)
		for _, rule := range append(append([]WantedSecurityRule{}, group.Ingress...), group.Egress...) {
			for _, cidr := range rule.CIDRs {
				c.prefix(group.ID, cidr)
			}
			c.ports(group.ID, rule.Protocol, rule.FromPort, rule.ToPort)
		}
	}
	if table := c.vpc.InternetTable; table != "" && !tables[table] {
		c.fail("route table %q of the internet gateway is not there", table)
	}
	for _, subnet := range c.vpc.Subnets {
		if !tables[subnet.RouteTable] || !acls[subnet.NetworkACL] {
			c.fail("%s: route table %q or network ACL %q is not there", subnet.ID, subnet.RouteTable, subnet.NetworkACL)
		}
	}
}

func (c *checker) prefix(id string, prefix netip.Prefix) {
	if !prefix.IsValid() || prefix.Masked() != prefix {
		c.fail("%s: %v is not a range", id, prefix)
	}
}

func (c *checker) ports(id string, protocol, from, to int) {
	switch protocol {
	case ProtocolTCP, ProtocolUDP:
		if from < 0 || to > 65535 || from > to {
			c.fail("%s: ports %d to %d", id, from, to)
		}
	case ProtocolICMP, ProtocolICMPv6:
		if from < -1 || from > 255 || to < -1 || to > 255 {
			c.fail("%s: ICMP type %d code %d", id, from, to)
		}
	default:
		if protocol < ProtocolAll || protocol > 255 {
			c.fail("%s: protocol %d", id, protocol)
		}
	}
}

func (c *checker) interfaces() {
	groups := map[string]bool{}
	for _, group := range c.vpc.SecurityGroups {
		groups[group.ID] = true
	}
	public := map[netip.Addr]bool{}
	for _, eni := range c.vpc.ENIs {
		c.once(eni.ID)
		subnet, ok := c.subnets[eni.Subnet]
		if !ok {
			c.fail("%s: subnet %q is not there", eni.ID, eni.Subnet)
		}
		if mac, err := net.ParseMAC(eni.MAC); err != nil || len(mac) != 6 {
			c.fail("%s: %q is not a MAC address", eni.ID, eni.MAC)
		}
		if len(eni.Addresses) == 0 || !eni.Addresses[0].Is4() {
			c.fail("%s has no IPv4 address", eni.ID)
		}
		own := map[netip.Addr]bool{}
		for _, address := range eni.Addresses {
			c.address(eni.ID, subnet, address)
			own[address] = true
		}
		for _, prefix := range eni.Prefixes {
			c.delegated(eni.ID, subnet, prefix)
		}
		for _, pair := range eni.Public {
			if !own[pair.Private] || !pair.Public.Is4() || public[pair.Public] {
				c.fail("%s: public address %v of %v", eni.ID, pair.Public, pair.Private)
			}
			public[pair.Public] = true
		}
		for _, group := range eni.Groups {
			if !groups[group] {
				c.fail("%s: group %q is not there", eni.ID, group)
			}
		}
		if eni.MTU != 0 && (eni.MTU < 576 || eni.MTU > 9216) {
			c.fail("%s: MTU %d", eni.ID, eni.MTU)
		}
	}
}

// delegated fails unless the prefix is the subnet's, and no other interface's.
func (c *checker) delegated(id string, subnet WantedSubnet, prefix netip.Prefix) {
	if !prefix.IsValid() || prefix.Masked() != prefix || !subnet.CIDR.Contains(prefix.Addr()) && (!subnet.IPv6.IsValid() || !subnet.IPv6.Contains(prefix.Addr())) {
		c.fail("%s: %v is not a part of %s", id, prefix, subnet.ID)
	}
	for _, other := range c.prefixes {
		if other.Overlaps(prefix) {
			c.fail("%s: %v is another's, too", id, prefix)
		}
	}
	c.prefixes = append(c.prefixes, prefix)
}

// address fails unless it is the subnet's and free.
func (c *checker) address(id string, subnet WantedSubnet, address netip.Addr) {
	if !subnet.CIDR.Contains(address) && (!subnet.IPv6.IsValid() || !subnet.IPv6.Contains(address)) {
		c.fail("%s: %v is not in %s", id, address, subnet.ID)
	}
	if other, taken := c.addresses[address]; taken {
		c.fail("%s: %v is %s's", id, address, other)
	}
	c.addresses[address] = id
}

func (c *checker) gateways() {
	for _, nat := range c.vpc.NATGateways {
		c.once(nat.ID)
		subnet, ok := c.subnets[nat.Subnet]
		if !ok {
			c.fail("%s: subnet %q is not there", nat.ID, nat.Subnet)
		} else if !subnet.CIDR.Contains(nat.Private) {
			c.fail("%s: %v is not in %s", nat.ID, nat.Private, subnet.ID)
		}
		if nat.Public.IsValid() && !nat.Public.Is4() {
			c.fail("%s: public address %v", nat.ID, nat.Public)
		}
		for _, more := range nat.More {
			if !more.Is4() || !nat.Public.IsValid() && !subnet.CIDR.Contains(more) {
				c.fail("%s: further address %v", nat.ID, more)
			}
		}
	}
	for _, peering := range c.vpc.Peerings {
		c.once(peering.ID)
		if peering.VPC == "" || peering.VPC == c.vpc.ID {
			c.fail("%s: peer %q", peering.ID, peering.VPC)
		}
	}
	for _, endpoint := range c.vpc.Endpoints {
		c.once(endpoint.ID)
	}
	c.transits()
}

func (c *checker) transits() {
	gateways := map[string]bool{}
	for _, attachment := range c.vpc.TransitAttachments {
		c.once(attachment.ID)
		if attachment.Gateway == "" || gateways[attachment.Gateway] || len(attachment.Subnets) == 0 {
			c.fail("%s: gateway %q is none or there twice, or has no subnet", attachment.ID, attachment.Gateway)
		}
		gateways[attachment.Gateway] = true
		for _, id := range attachment.Subnets {
			if _, ok := c.subnets[id]; !ok {
				c.fail("%s: subnet %q is not there", attachment.ID, id)
			}
		}
		for from, entry := range attachment.Ways {
			if _, ok := c.subnets[from]; !ok || !slices.Contains(attachment.Subnets, entry) {
				c.fail("%s: no way from %q by %q", attachment.ID, from, entry)
			}
		}
	}
}
