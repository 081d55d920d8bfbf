package node_test

import (
	"fmt"
	"net/http"
	"net/netip"
	"os/exec"
	"testing"
	"time"

	"miniaws/backend"
)

// TestEnginePrefixes gives an interface parts of its subnet's ranges: addresses of them that something behind it has are reached, and
// may send, as its own are; others may not, nor may another interface. What it gives back is nobody's.
func TestEnginePrefixes(t *testing.T) {
	c := openCloud(t)
	v, outside := c.dual("vpc-1", 1), c.vpc("vpc-2")
	six := "2001:db8:1:1:5::"
	host, neighbor, far := c.eni6(v, "public", "10.1.1.4", "2001:db8:1:1::4"), c.eni6(v, "public", "10.1.1.5", "2001:db8:1:1::5"), c.eni6(v, "private", "10.1.2.4", "2001:db8:1:2::4")
	v.ENIs[0].Prefixes = []netip.Prefix{prefix("10.1.1.16/28"), prefix(six + "/80")}
	v.ENIs[0].Groups = []string{"sg-pods", "sg-six"}
	v.ENIs[1].Groups, v.ENIs[2].Groups = []string{"sg-open", "sg-six"}, []string{"sg-friends", "sg-six"}
	v.SecurityGroups = append(v.SecurityGroups,
		backend.WantedSecurityGroup{ID: "sg-pods", Ingress: v.SecurityGroups[0].Ingress, Egress: v.SecurityGroups[0].Egress},
		backend.WantedSecurityGroup{ID: "sg-friends", Egress: v.SecurityGroups[0].Egress, Ingress: []backend.WantedSecurityRule{{Protocol: backend.ProtocolTCP, FromPort: 8080, ToPort: 8080, Groups: []string{"sg-pods"}}}})
	v.NATGateways = []backend.WantedNATGateway{{ID: "nat-1", Subnet: "vpc-1-private", Private: addr("10.1.2.9"), Public: c.public(1)}}
	v.RouteTables[0].Routes, v.RouteTables[1].Routes = []backend.WantedRoute{{Destinations: anywhere, Target: "nat-1"}}, []backend.WantedRoute{{Destinations: anywhere, Target: "igw-vpc-1"}}
	stranger := c.eni(outside, "public", "10.0.1.4", "sg-open").ID
	outside.ENIs[0].Public = []backend.WantedPublicAddress{{Private: addr("10.0.1.4"), Public: c.public(2)}}
	v.FlowLogs = []backend.WantedFlowLog{{ID: "fl-1", Resource: "vpc-1", Accepted: true}}
	c.apply(v)
	c.apply(outside)
	h, n, f, o := c.launch(v, host), c.launch(v, neighbor), c.launch(v, far), c.launch(outside, stranger)
	root := func(name, command string) {
		t.Helper()
		if out, err := exec.CommandContext(t.Context(), "nsenter", "-t", fmt.Sprint(c.pids[name]), "-n", "sh", "-c", command).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", command, err, out)
		}
	}
	// Behind the interface: here on a device of its own, as a pod's address would be.
	root(h, "ip link set lo up; ip addr add 10.1.1.17/32 dev lo; ip addr add 10.1.1.33/32 dev lo")
	for _, name := range []string{h, f, o} {
		c.serve(name, 8080)
	}
	with := func(source, address string) string {
		return fmt.Sprintf(`python3 -c 'import socket;print(socket.create_connection(("%s",8080),1.5,("%s",0)).recv(99).decode())'`, address, source)
	}

	t.Log("reached from the same subnet and from another, and sends; a rule that names its group lets it in")
	c.want(n, connectTo("10.1.1.17", 8080), "you are 10.1.1.5")
	c.want(f, connectTo("10.1.1.17", 8080), "you are 10.1.2.4")
	c.want(h, with("10.1.1.17", "10.1.2.4"), "you are 10.1.1.17")
	c.want(h, with("10.1.1.4", "10.1.2.4"), "you are 10.1.1.4")
	c.refused(n, "10.1.2.4", 8080)
	c.want(h, with("10.1.1.17", c.public(2).String()), "you are "+c.public(1).String())

	t.Log("an address beside the prefix is a stolen one")
	c.refused(n, "10.1.1.33", 8080)
	if out, err := c.in(h, with("10.1.1.33", "10.1.2.4")); err == nil {
		t.Errorf("a stranger's address: %s", out)
	}

	t.Log("the metadata service and flow logs know whose it is")
	c.network.Answer(backend.Answers{Metadata: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		origin, _ := backend.OriginFrom(r.Context())
		_, _ = fmt.Fprintf(w, "%s asks as %s", origin.ENI, origin.Source)
	})})
	c.want(h, "curl -sS -m2 --interface 10.1.1.17 http://169.254.169.254/", host+" asks as 10.1.1.17")
	for deadline, recorded := time.Now().Add(15*time.Second), false; !recorded; time.Sleep(100 * time.Millisecond) {
		records, err := c.network.Flows(t.Context())
		must(t, err)
		for _, r := range records {
			recorded = recorded || r.ENI == host && r.Accepted && r.Ingress && r.Destination == addr("10.1.1.17")
		}
		if time.Now().After(deadline) {
			t.Fatal("no record of the prefix")
		}
	}

	if info, err := c.network.NetworkInfo(t.Context()); err == nil && info.IPv6 {
		t.Log("IPv6")
		root(h, "ip -6 addr add "+six+"17/128 dev eth0 nodad; ip -6 addr add 2001:db8:1:1:6::17/128 dev eth0 nodad")
		for _, name := range []string{h, f} {
			c.serve6(name, 80)
		}
		c.awaitOutput(f, connectTo(six+"17", 80), "you are 2001:db8:1:2::4")
		by6 := func(source string) string {
			return fmt.Sprintf(`python3 -c 'import socket;print(socket.create_connection(("2001:db8:1:2::4",80),1.5,("%s",0)).recv(99).decode())'`, source)
		}
		c.want(h, by6(six+"17"), "you are "+six+"17")
		c.refused(f, "2001:db8:1:1:6::17", 80)
		if out, err := c.in(h, by6("2001:db8:1:1:6::17")); err == nil {
			t.Errorf("a stranger's address: %s", out)
		}
	}

	t.Log("what is given back is nobody's, and what another gets is its")
	v.ENIs[0].Prefixes = nil
	c.apply(v)
	c.refused(n, "10.1.1.17", 8080)
	if out, err := c.in(h, with("10.1.1.17", "10.1.2.4")); err == nil {
		t.Errorf("with an address that was given back: %s", out)
	}
	v.ENIs[1].Prefixes = []netip.Prefix{prefix("10.1.1.16/28")}
	c.apply(v)
	root(n, "ip link set lo up; ip addr add 10.1.1.17/32 dev lo")
	c.serve(n, 8080)
	c.want(f, connectTo("10.1.1.17", 8080), "you are 10.1.2.4")
	if out, err := c.in(h, with("10.1.1.17", "10.1.2.4")); err == nil {
		t.Errorf("with another's: %s", out)
	}
}
