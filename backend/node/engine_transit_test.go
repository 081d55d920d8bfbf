package node_test

import (
	"fmt"
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"

	"miniaws/backend"
)

// applyTransit applies the gateway, which must then have joined these attachments.
func (c *cloud) applyTransit(g *backend.WantedTransitGateway, joined ...string) {
	c.Helper()
	observed, err := c.network.ApplyTransitGateway(c.Context(), *g)
	if err != nil || len(observed.Problems) > 0 || !slices.Equal(observed.Joined, joined) {
		c.Fatalf("%v: %+v, want %v", err, observed, joined)
	}
}

// cutTransit removes every device between a transit gateway and what is attached to it; it fails where there is none.
const cutTransit = `set -e; d=$(ip -o link | sed -n 's/^[0-9]*: \(tgw[^@:]*\).*/\1/p'); test -n "$d"; for i in $d; do ip link del $i; done`

func TestEngineTransitGateway(t *testing.T) {
	const tgw, table = "tgw-0123456789abcdef0", "tgw-rtb-0123456789abcdef0"
	c := openCloud(t)
	var vpcs []*backend.WantedVPC
	var enis, names []string
	gateway := &backend.WantedTransitGateway{ID: tgw, RouteTables: []backend.WantedTransitRouteTable{{ID: table}}}
	for i := range 3 {
		v := c.vpc(fmt.Sprintf("vpc-%d", i))
		v.CIDRs = []netip.Prefix{prefix(fmt.Sprintf("10.%d.0.0/16", i))}
		v.Subnets[0].CIDR, v.Subnets[1].CIDR = prefix(fmt.Sprintf("10.%d.1.0/24", i)), prefix(fmt.Sprintf("10.%d.2.0/24", i))
		attachment := backend.WantedTransitAttachment{ID: fmt.Sprintf("tgw-attach-0123456789abcde%02d", i), Gateway: tgw, Subnets: []string{v.ID + "-private"}, Ways: map[string]string{}}
		for _, subnet := range v.Subnets {
			attachment.Ways[subnet.ID] = v.ID + "-private"
		}
		v.TransitAttachments = []backend.WantedTransitAttachment{attachment}
		enis = append(enis, c.eni(v, "public", fmt.Sprintf("10.%d.1.4", i), "sg-open").ID)
		c.apply(v)
		names = append(names, c.launch(v, enis[i]))
		c.serve(names[i], 80)
		vpcs = append(vpcs, v)
		gateway.Attachments = append(gateway.Attachments, backend.WantedTransitLink{ID: attachment.ID, VPC: v.ID, RouteTable: table})
		gateway.RouteTables[0].Routes = append(gateway.RouteTables[0].Routes, backend.WantedTransitRoute{Destination: v.CIDRs[0], Attachment: attachment.ID})
	}
	ids := []string{gateway.Attachments[0].ID, gateway.Attachments[1].ID, gateway.Attachments[2].ID}
	c.transits = []*backend.WantedTransitGateway{gateway}
	apply := func(from ...*backend.WantedVPC) {
		t.Helper()
		for _, v := range from {
			c.apply(v)
		}
		c.applyTransit(gateway, ids...)
	}
	between := func(i, j int, want bool) {
		t.Helper()
		c.connects(vpcs[i], names[i], enis[i], vpcs[j], enis[j], fmt.Sprintf("10.%d.1.4", j), 80, want)
	}
	all := []netip.Prefix{prefix("10.0.0.0/8")}
	apply()

	t.Log("the gateway's table is not enough, nor is one VPC's route")
	between(0, 1, false)
	vpcs[0].RouteTables[0].Routes = append(vpcs[0].RouteTables[0].Routes, backend.WantedRoute{Destinations: all, Target: tgw})
	apply(vpcs[0])
	between(0, 1, false)
	for _, v := range vpcs[1:] {
		v.RouteTables[0].Routes = append(v.RouteTables[0].Routes, backend.WantedRoute{Destinations: all, Target: tgw})
	}
	apply(vpcs...)
	between(0, 1, true)
	between(1, 2, true)
	c.want(names[2], connectTo("10.0.1.4", 80), "you are 10.2.1.4")
	c.want(names[0], "ping -M do -s 8000 -c1 -W2 10.1.1.4", " 0% packet loss")

	t.Log("a VPC's routes without the gateway's are nothing; a blackhole and a longer range win")
	routes := slices.Clone(gateway.RouteTables[0].Routes)
	gateway.RouteTables[0].Routes = routes[:2]
	apply()
	between(0, 2, false)
	between(0, 1, true)
	gateway.RouteTables[0].Routes = append(slices.Clone(routes), backend.WantedTransitRoute{Destination: prefix("10.1.1.0/24")})
	apply()
	between(0, 1, false)
	between(0, 2, true)

	t.Log("each attachment asks its own table: spokes see the hub and not each other")
	gateway.RouteTables = []backend.WantedTransitRouteTable{{ID: table, Routes: routes}, {ID: "tgw-rtb-spokes", Routes: routes[:1]}}
	gateway.Attachments[1].RouteTable, gateway.Attachments[2].RouteTable = "tgw-rtb-spokes", "tgw-rtb-spokes"
	apply()
	between(0, 1, true)
	between(0, 2, true)
	between(1, 0, true)
	between(1, 2, false)
	gateway.Attachments[2].RouteTable = ""
	apply()
	between(2, 0, false)
	gateway.Attachments[2].RouteTable = "tgw-rtb-spokes"

	t.Log("no way from a zone without the attachment's subnet")
	ways := vpcs[1].TransitAttachments[0].Ways
	vpcs[1].TransitAttachments[0].Ways = map[string]string{"vpc-1-private": "vpc-1-private"}
	apply(vpcs[1])
	between(1, 0, false)
	vpcs[1].TransitAttachments[0].Ways = ways

	t.Log("the network ACL of the attachment's subnet is asked too")
	everything := vpcs[1].NetworkACLs[0].Egress
	vpcs[1].NetworkACLs = append(vpcs[1].NetworkACLs, backend.WantedNetworkACL{ID: "acl-tight", Ingress: []backend.WantedACLEntry{{Number: 1, Allow: true, Protocol: backend.ProtocolTCP, FromPort: 81, ToPort: 81, CIDR: anywhere[0]}}, Egress: everything})
	vpcs[1].Subnets[1].NetworkACL = "acl-tight"
	apply(vpcs[1])
	between(1, 0, false)
	vpcs[1].Subnets[1].NetworkACL = "vpc-1-acl"
	apply(vpcs[1])
	between(1, 0, true)

	t.Log("what the entry's subnet sends to a NAT gateway goes out, and its answers find back")
	hub := vpcs[0]
	out := c.public(20)
	hub.NATGateways = []backend.WantedNATGateway{{ID: "nat-1", Subnet: "vpc-0-public", Private: addr("10.0.1.9"), Public: out}}
	hub.RouteTables[1].Routes = []backend.WantedRoute{{Destinations: anywhere, Target: "nat-1"}}
	vpcs[1].RouteTables[0].Routes = []backend.WantedRoute{{Destinations: anywhere, Target: tgw}}
	gateway.RouteTables[1].Routes = append(slices.Clone(routes[:1]), backend.WantedTransitRoute{Destination: anywhere[0], Attachment: ids[0]})
	apply(vpcs...)
	target := c.public(21)
	vpcs[2].ENIs[0].Public = []backend.WantedPublicAddress{{Private: addr("10.2.1.4"), Public: target}}
	apply(vpcs[2])
	c.want(names[1], connectTo(target.String(), 80), "you are "+out.String())

	t.Log("kill -9 of the agent, a device removed by hand, and a new container of the agent")
	must(t, syscall.Kill(c.agentPID(), syscall.SIGKILL))
	c.awaitOutput(names[1], "ping -c1 -W1 10.0.1.4", " 0% packet loss")
	listed, err := c.network.ListTransitGateways(t.Context())
	if err != nil || len(listed) != 1 || !slices.Equal(listed[0].Joined, ids) {
		t.Errorf("%+v, %v", listed, err)
	}
	namespaces := fmt.Sprintf("/proc/%d/root/run/mini-aws-vpcs/", c.agentPID())
	if out, err := exec.CommandContext(t.Context(), "nsenter", "--net="+namespaces+tgw, "sh", "-c", cutTransit+"; ip rule flush").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	c.awaitOutput(names[1], "ping -c1 -W1 10.0.1.4", " 0% packet loss")
	if out, err := exec.CommandContext(t.Context(), "docker", "rm", "-f", c.agentName()).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	c.awaitOutput(names[1], "ping -c1 -W1 10.0.1.4", " 0% packet loss")

	facts, err := c.network.LookVPC(t.Context(), tgw, tgw)
	if err != nil || !strings.Contains(fmt.Sprint(facts), "packets that came in by "+"tgw") {
		t.Errorf("%v, %v", facts, err)
	}

	t.Log("and nothing passes once the gateway is gone")
	c.transits = nil
	must(t, c.network.RemoveTransitGateway(t.Context(), tgw))
	must(t, c.network.RemoveTransitGateway(t.Context(), tgw))
	between(0, 2, false)
	if listed, err = c.network.ListTransitGateways(t.Context()); err != nil || len(listed) > 0 {
		t.Errorf("%+v, %v", listed, err)
	}
}

// TestEngineTransitPeering is about two transit gateways with a way between them.
func TestEngineTransitPeering(t *testing.T) {
	const pair = "tgw-attach-0123456789abcde99"
	c := openCloud(t)
	var vpcs []*backend.WantedVPC
	var gateways []*backend.WantedTransitGateway
	var enis, names []string
	for i := range 2 {
		v := c.vpc(fmt.Sprintf("vpc-%d", i))
		v.CIDRs = []netip.Prefix{prefix(fmt.Sprintf("10.%d.0.0/16", i))}
		v.Subnets[0].CIDR, v.Subnets[1].CIDR = prefix(fmt.Sprintf("10.%d.1.0/24", i)), prefix(fmt.Sprintf("10.%d.2.0/24", i))
		tgw, attachment := fmt.Sprintf("tgw-0123456789abcdef%d", i), fmt.Sprintf("tgw-attach-0123456789abcde%02d", i)
		subnet := v.Subnets[0].ID
		v.TransitAttachments = []backend.WantedTransitAttachment{{ID: attachment, Gateway: tgw, Subnets: []string{subnet}, Ways: map[string]string{subnet: subnet}}}
		v.RouteTables[0].Routes = append(v.RouteTables[0].Routes, backend.WantedRoute{Destinations: []netip.Prefix{prefix("10.0.0.0/8")}, Target: tgw})
		enis = append(enis, c.eni(v, "public", fmt.Sprintf("10.%d.1.4", i), "sg-open").ID)
		c.apply(v)
		names = append(names, c.launch(v, enis[i]))
		c.serve(names[i], 80)
		vpcs = append(vpcs, v)
		table := fmt.Sprintf("tgw-rtb-%d", i)
		gateways = append(gateways, &backend.WantedTransitGateway{
			ID: tgw,
			Attachments: []backend.WantedTransitLink{
				{ID: attachment, VPC: v.ID, RouteTable: table}, {ID: fmt.Sprintf("tgw-attach-0123456789abcdf%02d", i), Pair: pair, Peer: fmt.Sprintf("tgw-0123456789abcdef%d", 1-i), RouteTable: table},
			},
			RouteTables: []backend.WantedTransitRouteTable{{ID: table, Routes: []backend.WantedTransitRoute{
				{Destination: v.CIDRs[0], Attachment: attachment}, {Destination: prefix(fmt.Sprintf("10.%d.0.0/16", 1-i)), Attachment: fmt.Sprintf("tgw-attach-0123456789abcdf%02d", i)},
			}}},
		})
	}
	c.transits = gateways
	both := func(want bool) {
		t.Helper()
		c.connects(vpcs[0], names[0], enis[0], vpcs[1], enis[1], "10.1.1.4", 80, want)
		c.connects(vpcs[1], names[1], enis[1], vpcs[0], enis[0], "10.0.1.4", 80, want)
	}
	t.Log("one side's wish is not enough")
	c.applyTransit(gateways[0], gateways[0].Attachments[0].ID)
	if out, err := c.in(names[0], connectTo("10.1.1.4", 80)); err == nil {
		t.Errorf("with one gateway: %s", out)
	}
	c.applyTransit(gateways[1], gateways[1].Attachments[0].ID, gateways[1].Attachments[1].ID)
	c.applyTransit(gateways[0], gateways[0].Attachments[0].ID, gateways[0].Attachments[1].ID)
	both(true)
	c.want(names[0], connectTo("10.1.1.4", 80), "you are 10.0.1.4")

	t.Log("routes are static, and both sides' are needed")
	routes := gateways[1].RouteTables[0].Routes
	gateways[1].RouteTables[0].Routes = routes[:1]
	c.applyTransit(gateways[1], gateways[1].Attachments[0].ID, gateways[1].Attachments[1].ID)
	both(false)
	gateways[1].RouteTables[0].Routes = routes
	c.applyTransit(gateways[1], gateways[1].Attachments[0].ID, gateways[1].Attachments[1].ID)
	both(true)

	t.Log("kill -9 of the agent, the way removed by hand, and a new container of the agent")
	must(t, syscall.Kill(c.agentPID(), syscall.SIGKILL))
	c.awaitOutput(names[1], "ping -c1 -W1 10.0.1.4", " 0% packet loss")
	namespaces := fmt.Sprintf("/proc/%d/root/run/mini-aws-vpcs/", c.agentPID())
	if out, err := exec.CommandContext(t.Context(), "nsenter", "--net="+namespaces+gateways[1].ID, "sh", "-c", cutTransit).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	c.awaitOutput(names[1], "ping -c1 -W1 10.0.1.4", " 0% packet loss")
	if out, err := exec.CommandContext(t.Context(), "docker", "rm", "-f", c.agentName()).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	c.awaitOutput(names[0], "ping -c1 -W1 10.1.1.4", " 0% packet loss")

	t.Log("nothing passes once a side does not want it any more")
	gateways[0].Attachments, gateways[0].RouteTables[0].Routes = gateways[0].Attachments[:1], gateways[0].RouteTables[0].Routes[:1]
	c.applyTransit(gateways[0], gateways[0].Attachments[0].ID)
	if out, err := c.in(names[1], connectTo("10.0.1.4", 80)); err == nil {
		t.Errorf("a way that one side gave up: %s", out)
	}
	c.transits = nil
	must(t, c.network.RemoveTransitGateway(t.Context(), gateways[0].ID))
	must(t, c.network.RemoveTransitGateway(t.Context(), gateways[1].ID))
}
