package node_test

import (
	"net/netip"
	"strings"
	"testing"

	"miniaws/backend"
)

// TestEnginePrivateNAT is AWS's way between networks with the same range: each VPC has a second one that is nobody else's, and a
// private NAT gateway in it.
func TestEnginePrivateNAT(t *testing.T) {
	c := openCloud(t)
	near, far, third := c.vpc("vpc-near"), c.vpc("vpc-far"), c.vpc("vpc-third")
	near.CIDRs = append(near.CIDRs, prefix("100.64.0.0/16"))
	near.Subnets[1].CIDR = prefix("100.64.1.0/24") // the private subnet is the one with the gateway
	near.NATGateways = []backend.WantedNATGateway{{ID: "nat-1", Subnet: "vpc-near-private", Private: addr("100.64.1.9")}}
	far.CIDRs = append(far.CIDRs, prefix("100.65.0.0/16"))
	far.Subnets[1].CIDR = prefix("100.65.1.0/24")
	third.CIDRs = []netip.Prefix{prefix("10.3.0.0/16")}
	third.Subnets[0].CIDR, third.Subnets[1].CIDR = prefix("10.3.1.0/24"), prefix("10.3.2.0/24")
	gateway := &backend.WantedTransitGateway{ID: "tgw-1", RouteTables: []backend.WantedTransitRouteTable{{ID: "tgw-rtb-1"}}}
	for i, v := range []*backend.WantedVPC{near, far} {
		id := []string{"tgw-attach-near", "tgw-attach-far"}[i]
		v.TransitAttachments = []backend.WantedTransitAttachment{{ID: id, Gateway: "tgw-1", Subnets: []string{v.ID + "-private"}, Ways: map[string]string{v.ID + "-private": v.ID + "-private"}}}
		gateway.Attachments = append(gateway.Attachments, backend.WantedTransitLink{ID: id, VPC: v.ID, RouteTable: "tgw-rtb-1"})
		gateway.RouteTables[0].Routes = append(gateway.RouteTables[0].Routes, backend.WantedTransitRoute{Destination: v.CIDRs[1], Attachment: id})
	}
	c.transits = []*backend.WantedTransitGateway{gateway}
	second, routable := []netip.Prefix{prefix("100.65.0.0/16")}, []netip.Prefix{prefix("100.64.0.0/16")}
	const pcx = "pcx-0123456789abcdef0"
	near.Peerings, third.Peerings = []backend.WantedPeering{{ID: pcx, VPC: third.ID}}, []backend.WantedPeering{{ID: pcx, VPC: near.ID}}
	near.RouteTables[0].Routes = []backend.WantedRoute{{Destinations: anywhere, Target: "nat-1"}}
	near.RouteTables[1].Routes = []backend.WantedRoute{{Destinations: second, Target: "tgw-1"}}
	far.RouteTables[1].Routes = []backend.WantedRoute{{Destinations: routable, Target: "tgw-1"}}
	client := c.eni(near, "public", "10.0.1.4", "sg-open").ID
	server := c.eni(far, "private", "100.65.1.4", "sg-open").ID
	same := c.eni(far, "public", "10.0.1.4", "sg-open").ID
	peered := c.eni(third, "public", "10.3.1.4", "sg-open").ID
	for _, v := range []*backend.WantedVPC{near, far, third} {
		c.apply(v)
	}
	c.applyTransit(gateway, "tgw-attach-far", "tgw-attach-near")
	i, j, k, l := c.launch(near, client), c.launch(far, server), c.launch(far, same), c.launch(third, peered)
	for _, name := range []string{i, j, k, l} {
		c.serve(name, 80)
	}

	t.Log("the other side sees the gateway, not the sender, whose address is somebody else's there")
	c.awaitOutput(i, connectTo("100.65.1.4", 80), "you are 100.64.1.9")
	c.connects(near, i, client, far, server, "100.65.1.4", 80, true)
	c.reaches(i, "100.65.1.4")
	c.want(k, connectTo("100.65.1.4", 80), "you are 10.0.1.4")

	t.Log("nobody gets in by it, and where its subnet has no route nothing goes out")
	c.refused(j, "100.64.1.9", 80)
	c.refused(j, "10.0.1.4", 8080)
	c.connects(near, i, client, third, peered, "10.3.1.4", 80, false)

	t.Log("a peered VPC sees it too, if both sides have the routes; a longer route past it is not translated")
	near.RouteTables[1].Routes = append(near.RouteTables[1].Routes, backend.WantedRoute{Destinations: third.CIDRs, Target: pcx})
	third.RouteTables[0].Routes = []backend.WantedRoute{{Destinations: []netip.Prefix{prefix("10.0.0.0/16"), routable[0]}, Target: pcx}}
	c.apply(near)
	c.apply(third)
	c.want(i, connectTo("10.3.1.4", 80), "you are 100.64.1.9")
	c.connects(near, i, client, third, peered, "10.3.1.4", 80, true)
	near.RouteTables[0].Routes = append(near.RouteTables[0].Routes, backend.WantedRoute{Destinations: []netip.Prefix{prefix("10.3.1.4/32")}, Target: pcx})
	c.apply(near)
	c.want(i, connectTo("10.3.1.4", 80), "you are 10.0.1.4")

	t.Log("connections are shared among its addresses")
	near.NATGateways[0].More = []netip.Addr{addr("100.64.1.10"), addr("100.64.1.11")}
	c.apply(near)
	seen := map[string]bool{}
	for tries := 0; len(seen) < 3 && tries < 60; tries++ {
		out, err := c.in(i, connectTo("100.65.1.4", 80))
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		seen[strings.TrimPrefix(out, "you are ")] = true
	}
	if !seen["100.64.1.9"] || !seen["100.64.1.10"] || !seen["100.64.1.11"] || len(seen) != 3 {
		t.Errorf("seen: %v", seen)
	}

	t.Log("an internet gateway is nothing to it; a public one sends inside with its private address")
	near.RouteTables[1].Routes = append(near.RouteTables[1].Routes, backend.WantedRoute{Destinations: anywhere, Target: near.InternetGateway})
	far.RouteTables[0].Routes = []backend.WantedRoute{{Destinations: anywhere, Target: far.InternetGateway}}
	far.ENIs[1].Public = []backend.WantedPublicAddress{{Private: addr("10.0.1.4"), Public: c.public(1)}}
	c.apply(near)
	c.apply(far)
	c.refused(i, c.public(1).String(), 80)
	near.NATGateways[0].Public, near.NATGateways[0].More = c.public(2), nil
	c.apply(near)
	c.awaitOutput(i, connectTo(c.public(1).String(), 80), "you are "+c.public(2).String())
	c.want(i, connectTo("100.65.1.4", 80), "you are 100.64.1.9")
}
