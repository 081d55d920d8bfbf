package node_test

import (
	"fmt"
	"net/netip"
	"os/exec"
	"testing"

	"miniaws/backend"
)

// TestEngineMiddlebox steers what goes from one subnet to another through an instance that routes. Each router on the way takes
// one from a packet's time to live, so who pinged knows how many there were.
func TestEngineMiddlebox(t *testing.T) {
	c := openCloud(t)
	v := c.vpc("vpc-1")
	v.Subnets = append(v.Subnets, backend.WantedSubnet{ID: v.ID + "-middle", CIDR: prefix("10.0.3.0/24"), RouteTable: v.ID + "-rtb-middle", NetworkACL: v.ID + "-acl"})
	v.RouteTables = append(v.RouteTables, backend.WantedRouteTable{ID: v.ID + "-rtb-middle"})
	client, neighbor, server := c.eni(v, "public", "10.0.1.4", "sg-open").ID, c.eni(v, "public", "10.0.1.5", "sg-open").ID, c.eni(v, "private", "10.0.2.5", "sg-open").ID
	middle := c.eni(v, "middle", "10.0.3.4", "sg-open")
	middle.SourceDestCheck = false
	box := middle.ID
	c.apply(v)
	from, to, m := c.launch(v, client), c.launch(v, server), c.launch(v, box)
	c.launch(v, neighbor)
	const direct, around = "ttl=63", "ttl=61"
	ping := func(address string) string { return "ping -c1 -W2 " + address }
	steer := func(table int, destination, target string) {
		v.RouteTables[table].Routes = []backend.WantedRoute{{Destinations: []netip.Prefix{prefix(destination)}, Target: target}}
	}
	c.want(from, ping("10.0.2.5"), direct)

	forward := func(value string) {
		t.Helper()
		if out, err := exec.CommandContext(t.Context(), "nsenter", "-t", fmt.Sprint(c.pids[m]), "-n", "sysctl", "-w", "net.ipv4.ip_forward="+value).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}

	t.Log("both subnets by the instance between them")
	forward("0")
	steer(0, "10.0.2.0/24", box)
	steer(1, "10.0.1.0/24", box)
	c.apply(v)
	c.reachesNot(from, "10.0.2.5") // it does not route yet
	forward("1")
	c.want(from, ping("10.0.2.5"), around)
	c.want(to, ping("10.0.1.4"), around)
	c.want(m, ping("10.0.2.5"), direct)

	t.Log("all of the VPC by it, but for the sender's own subnet")
	steer(0, "10.0.0.0/16", box)
	c.apply(v)
	c.want(from, ping("10.0.2.5"), around)
	c.want(from, ping("10.0.1.5"), direct)
	c.want(from, "getent hosts nothing.example || python3 -c 'import socket;socket.create_connection((\"10.0.0.2\",53),2);print(\"the resolver answers\")'", "the resolver answers")

	t.Log("an instance that checks what is for itself takes nothing on")
	v.ENIs[3].SourceDestCheck = true
	c.apply(v)
	c.reachesNot(from, "10.0.2.5")
	v.ENIs[3].SourceDestCheck = false
	c.apply(v)
	c.want(from, ping("10.0.2.5"), around)

	t.Log("and directly again")
	v.RouteTables[0].Routes, v.RouteTables[1].Routes = nil, nil
	c.apply(v)
	c.want(from, ping("10.0.2.5"), direct)
}

// TestEngineManySubnets gives a VPC as many subnets as AWS's quota lets it have: one of them has the number from which the
// kernel's own routing tables once followed.
func TestEngineManySubnets(t *testing.T) {
	c := openCloud(t)
	v := c.vpc("vpc-1")
	for i := range 198 {
		v.Subnets = append(v.Subnets, backend.WantedSubnet{
			ID: fmt.Sprintf("%s-z%03d", v.ID, i), CIDR: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, byte(i + 3), 0}), 24), RouteTable: v.ID + "-rtb-private", NetworkACL: v.ID + "-acl",
		})
	}
	// Numbers follow the ids: private, public, z000.
	const special = 155 - 3
	first, odd := c.eni(v, "public", "10.0.1.4", "sg-open").ID, c.eni(v, fmt.Sprintf("z%03d", special), fmt.Sprintf("10.0.%d.4", special+3), "sg-open").ID
	c.apply(v)
	a, b := c.launch(v, first), c.launch(v, odd)
	c.reaches(a, fmt.Sprintf("10.0.%d.4", special+3))
	c.reaches(b, "10.0.1.4")
	v.RouteTables[1].Routes = []backend.WantedRoute{{Destinations: anywhere, Target: "nat-gone"}}
	c.apply(v)
	c.reaches(a, fmt.Sprintf("10.0.%d.4", special+3))
	c.reaches(b, "10.0.1.4")
}
