package node_test

import (
	"fmt"
	"net/netip"
	"os/exec"
	"strings"
	"testing"

	"miniaws/backend"
)

// TestEngineEdgeTable steers what the internet gateway brings through an instance that routes, and what goes out too. Each router
// takes one from a packet's time to live: outside one counts them.
func TestEngineEdgeTable(t *testing.T) {
	c := openCloud(t)
	v, outside := c.vpc("vpc-1"), c.vpc("vpc-2")
	box, server := c.eni(v, "public", "10.0.1.4", "sg-box").ID, c.eni(v, "private", "10.0.2.5", "sg-open").ID
	plain := c.eni(v, "plain", "10.0.3.6", "sg-open").ID
	stranger := c.eni(outside, "public", "10.0.1.4", "sg-open").ID
	v.SecurityGroups = append(v.SecurityGroups, v.SecurityGroups[0])
	v.SecurityGroups[1].ID = "sg-box"
	middle := &v.ENIs[0]
	middle.SourceDestCheck = false
	middle.Public = []backend.WantedPublicAddress{{Private: addr("10.0.1.4"), Public: c.public(1)}}
	v.ENIs[1].Public = []backend.WantedPublicAddress{{Private: addr("10.0.2.5"), Public: c.public(2)}}
	outside.ENIs[0].Public = []backend.WantedPublicAddress{{Private: addr("10.0.1.4"), Public: c.public(3)}}
	const internet, back, edge = 0, 1, 2
	v.RouteTables[back].Routes = v.RouteTables[internet].Routes // directly at first
	v.RouteTables = append(v.RouteTables, backend.WantedRouteTable{ID: "rtb-edge"}, backend.WantedRouteTable{ID: "rtb-nat", Routes: []backend.WantedRoute{{Destinations: anywhere, Target: "nat-1"}}})
	v.Subnets = append(v.Subnets, backend.WantedSubnet{ID: v.ID + "-plain", CIDR: prefix("10.0.3.0/24"), RouteTable: "rtb-nat", NetworkACL: v.ID + "-acl"})
	v.NATGateways = []backend.WantedNATGateway{{ID: "nat-1", Subnet: "vpc-1-public", Private: addr("10.0.1.9"), Public: c.public(4)}}
	c.apply(v)
	c.apply(outside)
	m, s, p, o := c.launch(v, box), c.launch(v, server), c.launch(v, plain), c.launch(outside, stranger)
	c.serve(s, 8080)
	c.serve(o, 8080)
	public, far := c.public(2).String(), c.public(3).String()
	forward := func(value string) {
		t.Helper()
		if out, err := exec.CommandContext(t.Context(), "nsenter", "-t", fmt.Sprint(c.pids[m]), "-n", "sysctl", "-w", "net.ipv4.ip_forward="+value).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	const direct, around = "ttl=61", "ttl=59" // the stranger's router is one, too, and the engine's host
	both := func(want string) {
		t.Helper()
		c.want(o, "ping -c1 -W2 "+public, want)
		c.want(s, "ping -c1 -W2 "+far, want)
		c.want(o, connectTo(public, 8080), "you are "+far)
		c.want(s, connectTo(far, 8080), "you are "+public)
		c.want(p, connectTo(far, 8080), "you are "+c.public(4).String()) // what comes back to a NAT gateway is the gateway's
	}
	both(direct)

	steer := func(destination string) {
		v.InternetTable = "rtb-edge"
		v.RouteTables[edge].Routes = []backend.WantedRoute{{Destinations: []netip.Prefix{prefix(destination)}, Target: box}}
		v.RouteTables[back].Routes = []backend.WantedRoute{{Destinations: anywhere, Target: box}}
		c.apply(v)
	}
	t.Log("in and out by the instance, once it routes")
	forward("0")
	steer("10.0.2.0/24")
	c.reachesNot(o, public)
	forward("1")
	both(around)
	t.Log("the whole VPC by it")
	steer("10.0.0.0/16")
	both(around)

	t.Log("its groups are asked, and so are the receiver's")
	for i := range v.SecurityGroups {
		had := v.SecurityGroups[i].Ingress
		v.SecurityGroups[i].Ingress = nil
		c.apply(v)
		c.refused(o, public, 8080)
		v.SecurityGroups[i].Ingress = had
	}
	c.apply(v)
	both(around)

	t.Log("an interface without a public address takes nothing from outside")
	had := middle.Public
	middle.Public = nil
	c.apply(v)
	c.reachesNot(o, public)
	middle.Public = had

	t.Log("an instance that translates needs no table of the gateway: outside one sees its own address")
	masquerade := func(action string) {
		t.Helper()
		if out, err := exec.CommandContext(t.Context(), "nsenter", "-t", fmt.Sprint(c.pids[m]), "-n", "iptables", "-t", "nat", action, "POSTROUTING", "-s", "10.0.2.0/24", "-j", "MASQUERADE").CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	v.InternetTable = ""
	c.apply(v)
	masquerade("-A")
	c.want(s, connectTo(far, 8080), "you are "+c.public(1).String())
	masquerade("-D")

	t.Log("and directly again")
	v.RouteTables[back].Routes = v.RouteTables[internet].Routes
	c.apply(v)
	both(direct)
	if out := strings.Join(c.apply(v).Problems, " "); out != "" {
		t.Error(out)
	}
}

// TestEngineEdgeTable6 steers what the internet gateway brings by IPv6, where nothing is translated and no address is public by
// itself.
func TestEngineEdgeTable6(t *testing.T) {
	c := openCloud(t)
	if info, err := c.network.NetworkInfo(t.Context()); err != nil || !info.IPv6 {
		t.Skipf("the kernel of the engine carries no IPv6: %v", err)
	}
	v, outside := c.dual("vpc-1", 1), c.dual("vpc-2", 2)
	box, server := c.eni6(v, "public", "10.1.1.4", "2001:db8:1:1::4"), c.eni6(v, "private", "10.1.2.4", "2001:db8:1:2::4")
	stranger := c.eni6(outside, "public", "10.2.1.4", "2001:db8:2:1::4")
	v.ENIs[0].SourceDestCheck = false
	six := []netip.Prefix{prefix("::/0")}
	v.RouteTables[0].Routes = append(v.RouteTables[0].Routes, backend.WantedRoute{Destinations: six, Target: "igw-vpc-1"})
	outside.RouteTables[0].Routes = append(outside.RouteTables[0].Routes, backend.WantedRoute{Destinations: six, Target: "igw-vpc-2"})
	v.RouteTables[1].Routes = []backend.WantedRoute{{Destinations: six, Target: "igw-vpc-1"}} // directly at first
	v.RouteTables = append(v.RouteTables, backend.WantedRouteTable{ID: "rtb-edge"})
	c.apply(v)
	c.apply(outside)
	m, s, o := c.launch(v, box), c.launch(v, server), c.launch(outside, stranger)
	c.serve6(s, 80)
	c.serve6(o, 80)
	forward := func(value string) {
		t.Helper()
		if out, err := exec.CommandContext(t.Context(), "nsenter", "-t", fmt.Sprint(c.pids[m]), "-n", "sysctl", "-w", "net.ipv6.conf.all.forwarding="+value).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	const near, far, direct, around = "2001:db8:1:2::4", "2001:db8:2:1::4", "ttl=62", "ttl=60" // two routers, and by the instance two more
	both := func(want string) {
		t.Helper()
		c.want(o, "ping -c1 -W2 "+near, want)
		c.want(s, "ping -c1 -W2 "+far, want)
		c.want(o, connectTo(near, 80), "you are "+far)
		c.want(s, connectTo(far, 80), "you are "+near)
	}
	c.awaitOutput(o, "ping -c1 -W2 "+near, direct)
	both(direct)

	t.Log("in and out by the instance, once it routes")
	forward("0")
	v.InternetTable = "rtb-edge"
	v.RouteTables[2].Routes = []backend.WantedRoute{{Destinations: []netip.Prefix{prefix("2001:db8:1:2::/64")}, Target: box}}
	v.RouteTables[1].Routes = []backend.WantedRoute{{Destinations: six, Target: box}}
	c.apply(v)
	c.reachesNot(o, near)
	forward("1")
	both(around)
	t.Log("the instance itself is reached directly")
	c.want(o, "ping -c1 -W2 2001:db8:1:1::4", direct)

	t.Log("where the block of public access closes the instance's subnet nothing comes to it")
	v.Subnets[0].Internet = backend.InternetOutward
	c.apply(v)
	c.reachesNot(o, near)
	v.Subnets[0].Internet = backend.InternetOpen
	c.apply(v)
	both(around)

	t.Log("and directly again")
	v.InternetTable = ""
	v.RouteTables[1].Routes = []backend.WantedRoute{{Destinations: six, Target: "igw-vpc-1"}}
	c.apply(v)
	both(direct)
	if out := strings.Join(c.apply(v).Problems, " "); out != "" {
		t.Error(out)
	}
}
