package node_test

import (
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
