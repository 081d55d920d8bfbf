package node_test

import (
	"net/netip"
	"testing"

	"miniaws/backend"
)

// TestEngineNATGatewaysACL: the network ACL of the subnet in which a NAT gateway stands is asked about what the gateway passes,
// in each of its four places.
func TestEngineNATGatewaysACL(t *testing.T) {
	c := openCloud(t)
	v, outside := c.vpc("vpc-1"), c.vpc("vpc-2")
	server := c.eni(outside, "public", "10.0.1.4", "sg-open").ID
	public, nat := c.public(0), c.public(1)
	outside.ENIs[0].Public = []backend.WantedPublicAddress{{Private: addr("10.0.1.4"), Public: public}}
	client := c.eni(v, "private", "10.0.2.4", "sg-open").ID
	v.NATGateways = []backend.WantedNATGateway{{ID: "nat-1", Subnet: "vpc-1-public", Private: addr("10.0.1.9"), Public: nat}}
	v.RouteTables[1].Routes = []backend.WantedRoute{{Destinations: anywhere, Target: "nat-1"}}
	all := v.NetworkACLs[0].Ingress
	v.NetworkACLs = append(v.NetworkACLs, backend.WantedNetworkACL{ID: "acl-nat", Ingress: all, Egress: all})
	v.Subnets[0].NetworkACL = "acl-nat"
	acl := &v.NetworkACLs[1]
	c.apply(v)
	c.apply(outside)
	i, s := c.launch(v, client), c.launch(outside, server)
	c.serve(s, 8080)
	entry := func(number int, allow bool, from, to int, cidr string) backend.WantedACLEntry {
		return backend.WantedACLEntry{Number: number, Allow: allow, Protocol: backend.ProtocolTCP, FromPort: from, ToPort: to, CIDR: prefix(cidr)}
	}
	check := func(what string, ingress, egress []backend.WantedACLEntry, want bool) {
		t.Helper()
		t.Log(what)
		acl.Ingress, acl.Egress = ingress, egress
		c.apply(v)
		c.connects(v, i, client, v, "", public.String(), 8080, want)
	}
	deny := func(e backend.WantedACLEntry) []backend.WantedACLEntry {
		return append([]backend.WantedACLEntry{e}, all...)
	}
	check("everything passes", all, all, true)
	check("not in from the instance's subnet", deny(entry(1, false, 8080, 8080, "10.0.2.0/24")), all, false)
	check("not out to that port", all, deny(entry(1, false, 8080, 8080, "0.0.0.0/0")), false)
	check("answers do not come in", deny(entry(1, false, 1024, 65535, public.String()+"/32")), all, false)
	check("answers do not get to the instance's subnet", all, deny(entry(1, false, 1024, 65535, "10.0.2.0/24")), false)
	check("just what is needed", []backend.WantedACLEntry{entry(1, true, 8080, 8080, "10.0.2.0/24"), entry(2, true, 1024, 65535, public.String()+"/32")},
		[]backend.WantedACLEntry{entry(1, true, 8080, 8080, "0.0.0.0/0"), entry(2, true, 1024, 65535, "10.0.2.0/24")}, true)
}

// TestEnginePrivateNATGatewaysACL: the same for a private NAT gateway, by a peering connection and by a transit gateway.
func TestEnginePrivateNATGatewaysACL(t *testing.T) {
	c := openCloud(t)
	v, other := c.vpc("vpc-1"), c.vpc("vpc-2")
	other.CIDRs = []netip.Prefix{prefix("10.3.0.0/16")}
	other.Subnets[0].CIDR, other.Subnets[1].CIDR = prefix("10.3.1.0/24"), prefix("10.3.2.0/24")
	server, client := c.eni(other, "public", "10.3.1.4", "sg-open").ID, c.eni(v, "public", "10.0.1.4", "sg-open").ID
	const pcx = "pcx-0123456789abcdef0"
	v.Peerings, other.Peerings = []backend.WantedPeering{{ID: pcx, VPC: other.ID}}, []backend.WantedPeering{{ID: pcx, VPC: v.ID}}
	v.NATGateways = []backend.WantedNATGateway{{ID: "nat-1", Subnet: "vpc-1-private", Private: addr("10.0.2.9")}}
	v.RouteTables[0].Routes = []backend.WantedRoute{{Destinations: anywhere, Target: "nat-1"}}
	all := v.NetworkACLs[0].Ingress
	v.NetworkACLs = append(v.NetworkACLs, backend.WantedNetworkACL{ID: "acl-nat", Ingress: all, Egress: all})
	v.Subnets[1].NetworkACL = "acl-nat"
	acl := &v.NetworkACLs[1]
	by := func(target string) {
		v.RouteTables[1].Routes = []backend.WantedRoute{{Destinations: other.CIDRs, Target: target}}
		other.RouteTables[0].Routes = []backend.WantedRoute{{Destinations: v.CIDRs, Target: target}}
		c.apply(v)
		c.apply(other)
	}
	by(pcx)
	i, s := c.launch(v, client), c.launch(other, server)
	c.serve(s, 8080)
	entry := func(number int, allow bool, from, to int, cidr string) backend.WantedACLEntry {
		return backend.WantedACLEntry{Number: number, Allow: allow, Protocol: backend.ProtocolTCP, FromPort: from, ToPort: to, CIDR: prefix(cidr)}
	}
	check := func(what string, ingress, egress []backend.WantedACLEntry, want bool) {
		t.Helper()
		t.Log(what)
		acl.Ingress, acl.Egress = ingress, egress
		c.apply(v)
		c.connects(v, i, client, other, server, "10.3.1.4", 8080, want)
		if want {
			c.want(i, connectTo("10.3.1.4", 8080), "you are 10.0.2.9")
		}
	}
	deny := func(e backend.WantedACLEntry) []backend.WantedACLEntry {
		return append([]backend.WantedACLEntry{e}, all...)
	}
	checks := func() {
		t.Helper()
		check("everything passes", all, all, true)
		check("not in from the instance's subnet", deny(entry(1, false, 8080, 8080, "10.0.1.0/24")), all, false)
		check("not out to that port", all, deny(entry(1, false, 8080, 8080, "10.3.0.0/16")), false)
		check("answers do not come in", deny(entry(1, false, 1024, 65535, "10.3.1.4/32")), all, false)
		check("answers do not get to the instance's subnet", all, deny(entry(1, false, 1024, 65535, "10.0.1.0/24")), false)
		check("just what is needed", []backend.WantedACLEntry{entry(1, true, 8080, 8080, "10.0.1.0/24"), entry(2, true, 1024, 65535, "10.3.1.4/32")},
			[]backend.WantedACLEntry{entry(1, true, 8080, 8080, "10.3.0.0/16"), entry(2, true, 1024, 65535, "10.0.1.0/24")}, true)
	}
	checks()

	v.Peerings, other.Peerings = nil, nil
	gateway := &backend.WantedTransitGateway{ID: "tgw-1", RouteTables: []backend.WantedTransitRouteTable{{ID: "tgw-rtb-1"}}}
	for n, each := range []*backend.WantedVPC{v, other} {
		id, public, private := []string{"tgw-attach-1", "tgw-attach-2"}[n], each.ID+"-public", each.ID+"-private"
		each.TransitAttachments = []backend.WantedTransitAttachment{{ID: id, Gateway: "tgw-1", Subnets: []string{public}, Ways: map[string]string{public: public, private: public}}}
		gateway.Attachments = append(gateway.Attachments, backend.WantedTransitLink{ID: id, VPC: each.ID, RouteTable: "tgw-rtb-1"})
		gateway.RouteTables[0].Routes = append(gateway.RouteTables[0].Routes, backend.WantedTransitRoute{Destination: each.CIDRs[0], Attachment: id})
	}
	c.transits = []*backend.WantedTransitGateway{gateway}
	acl.Ingress, acl.Egress = all, all
	by("tgw-1")
	c.applyTransit(gateway, "tgw-attach-1", "tgw-attach-2")
	c.awaitOutput(i, connectTo("10.3.1.4", 8080), "you are 10.0.2.9")
	checks()

	t.Log("the attachment's subnet is asked about the answer, too")
	v.NetworkACLs = append(v.NetworkACLs, backend.WantedNetworkACL{ID: "acl-entry", Ingress: all, Egress: deny(entry(1, false, 1024, 65535, "0.0.0.0/0"))})
	v.Subnets = append(v.Subnets, backend.WantedSubnet{ID: "vpc-1-entry", CIDR: prefix("10.0.9.0/28"), RouteTable: v.RouteTables[1].ID, NetworkACL: "acl-entry"})
	v.TransitAttachments[0].Subnets = []string{"vpc-1-entry"}
	v.TransitAttachments[0].Ways = map[string]string{"vpc-1-public": "vpc-1-entry", "vpc-1-private": "vpc-1-entry", "vpc-1-entry": "vpc-1-entry"}
	acl = &v.NetworkACLs[1]
	check("its rules out", all, deny(entry(1, false, 9, 9, "10.0.1.0/24")), false)
}
