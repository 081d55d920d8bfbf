package node_test

import (
	"bufio"
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"miniaws/backend"
)

// serveEcho is a process that sends back what one connection brings, by IPv4 or IPv6.
func (c *cloud) serveEcho(instance string, port int) {
	c.Helper()
	script := fmt.Sprintf(`import socket
s=socket.create_server(("",%d),family=socket.AF_INET6,dualstack_ipv6=True); open("/tmp/echoes%d","w").close(); a=s.accept()[0]
while d:=a.recv(99): a.sendall(d)`, port, port)
	container := "mini-aws-" + c.owner[:12] + "-" + instance
	if out, err := exec.CommandContext(c.Context(), "docker", "exec", "-d", container, "python3", "-c", script).CombinedOutput(); err != nil {
		c.Fatalf("%v: %s", err, out)
	}
	for deadline := time.Now().Add(10 * time.Second); exec.CommandContext(c.Context(), "docker", "exec", container, "test", "-e", fmt.Sprintf("/tmp/echoes%d", port)).Run() != nil; {
		if time.Now().After(deadline) {
			c.Fatal(container + " does not listen")
		}
	}
}

// hostStream opens a TCP connection from the host; what it answers tells whether something comes back of a word.
func (c *cloud) hostStream(address string, port int) func(word string) bool {
	c.Helper()
	connection, err := (&net.Dialer{Timeout: 5 * time.Second}).DialContext(c.Context(), "tcp", net.JoinHostPort(address, strconv.Itoa(port)))
	must(c, err)
	c.Cleanup(func() { _ = connection.Close() })
	return func(word string) bool {
		must(c, connection.SetDeadline(time.Now().Add(2*time.Second)))
		_, _ = connection.Write([]byte(word))
		n, _ := connection.Read(make([]byte, 99))
		return n > 0
	}
}

// stream is hostStream from inside an instance.
func (c *cloud) stream(instance, address string, port int) func(word string) bool {
	c.Helper()
	script := fmt.Sprintf(`import socket,sys
s=socket.create_connection(("%s",%d),5); s.settimeout(2)
for word in sys.stdin:
    try: s.sendall(word.encode()); print("yes" if s.recv(99) else "no",flush=True)
    except OSError: print("no",flush=True)`, address, port)
	command := exec.CommandContext(c.Context(), "docker", "exec", "-i", "mini-aws-"+c.owner[:12]+"-"+instance, "python3", "-c", script)
	in, err := command.StdinPipe()
	must(c, err)
	out, err := command.StdoutPipe()
	must(c, err)
	must(c, command.Start())
	c.Cleanup(func() {
		_ = in.Close()
		_ = command.Wait()
	})
	answers := bufio.NewScanner(out)
	return func(word string) bool {
		_, _ = fmt.Fprintln(in, word)
		return answers.Scan() && answers.Text() == "yes"
	}
}

// opened sets what is left of the way to the internet for all subnets of a VPC.
func (c *cloud) opened(v *backend.WantedVPC, access backend.InternetAccess) {
	c.Helper()
	for n := range v.Subnets {
		v.Subnets[n].Internet = access
	}
	c.apply(v)
}

func TestEngineInternetAccess(t *testing.T) {
	c := openCloud(t)
	v, other := c.vpc("vpc-1"), c.vpc("vpc-2")
	web, db := c.eni(v, "public", "10.0.1.4", "sg-open").ID, c.eni(v, "private", "10.0.2.4", "sg-open").ID
	far := c.eni(other, "public", "10.0.1.4", "sg-open").ID
	v.ENIs[0].Public = []backend.WantedPublicAddress{{Private: addr("10.0.1.4"), Public: c.public(1)}}
	other.ENIs[0].Public = []backend.WantedPublicAddress{{Private: addr("10.0.1.4"), Public: c.public(2)}}
	v.NATGateways = []backend.WantedNATGateway{{ID: "nat-1", Subnet: "vpc-1-public", Private: addr("10.0.1.9"), Public: c.public(3), More: []netip.Addr{c.public(4), c.public(5)}}}
	v.RouteTables[1].Routes = []backend.WantedRoute{{Destinations: anywhere, Target: "nat-1"}}
	c.apply(v)
	c.apply(other)
	i, j, k := c.launch(v, web), c.launch(v, db), c.launch(other, far)
	c.serve(k, 80)
	c.serve(i, 80)
	host := func() error {
		return exec.CommandContext(t.Context(), "sh", "-c", connectTo(c.public(1).String(), 80)).Run()
	}

	t.Log("a NAT gateway with several addresses shares connections out among them")
	seen := map[string]bool{}
	for tries := 0; len(seen) < 3 && tries < 60; tries++ {
		out, err := c.in(j, connectTo(c.public(2).String(), 80))
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		seen[strings.TrimPrefix(out, "you are ")] = true
	}
	for n := 3; n <= 5; n++ {
		if !seen[c.public(n).String()] || len(seen) != 3 {
			t.Errorf("%s is not among %v", c.public(n), seen)
		}
	}
	v.NATGateways[0].More = v.NATGateways[0].More[:1]
	c.apply(v)
	for range 20 {
		c.want(j, connectTo(c.public(2).String(), 80), "you are ")
		if out, _ := c.in(j, connectTo(c.public(2).String(), 80)); strings.Contains(out, c.public(5).String()) {
			t.Errorf("an address that was taken away: %s", out)
		}
	}

	t.Log("connections from before the block end with it, whether a flow log wants to know or not; with what is blocked inward alone a NAT gateway's go on")
	c.serveEcho(i, 7)
	c.serveEcho(k, 7)
	direct, byNAT := c.hostStream(c.public(1).String(), 7), c.stream(j, c.public(2).String(), 7)
	if !direct("before") || !byNAT("before") {
		t.Fatal("nothing comes back before the block")
	}
	logs := []backend.WantedFlowLog{{ID: "fl-0", Resource: v.ID, Rejected: true}}
	for _, v.FlowLogs = range [][]backend.WantedFlowLog{logs, nil} {
		c.opened(v, backend.InternetOutward)
		if !byNAT("outward") || direct("outward") {
			t.Errorf("blocked inward, with the flow logs %v: a NAT gateway's connection ended, or another goes on", v.FlowLogs)
		}
	}
	for _, v.FlowLogs = range [][]backend.WantedFlowLog{logs, nil} {
		c.opened(v, backend.InternetBlocked)
		if byNAT("blocked") || direct("blocked") {
			t.Errorf("a connection goes on with the flow logs %v", v.FlowLogs)
		}
	}
	c.opened(v, backend.InternetOpen)

	t.Log("public access that is blocked inward leaves NAT gateways, and that is blocked at all leaves nothing")
	c.want(i, connectTo(c.public(2).String(), 80), "you are "+c.public(1).String())
	must(t, host())
	c.opened(v, backend.InternetOutward)
	c.refused(i, c.public(2).String(), 80)
	if host() == nil {
		t.Error("the host reaches a public address that is blocked")
	}
	c.want(j, connectTo(c.public(2).String(), 80), "you are ")
	c.reaches(i, "10.0.2.4")
	c.opened(v, backend.InternetBlocked)
	c.refused(j, c.public(2).String(), 80)
	c.refused(i, c.public(2).String(), 80)
	c.reaches(i, "10.0.2.4")

	t.Log("flow logs have what is blocked, with the reason, and know it from what a group drops")
	v.FlowLogs = []backend.WantedFlowLog{{ID: "fl-1", Resource: v.ID, Accepted: true, Rejected: true}}
	c.apply(v)
	c.refused(i, c.public(2).String(), 80)
	if host() == nil {
		t.Error("the host reaches a public address that is blocked")
	}
	c.refused(j, c.public(2).String(), 80)
	c.refused(i, "10.0.2.4", 81)
	type dropped struct {
		eni, to  string
		port     uint16
		accepted bool
		ingress  bool
		reason   string
	}
	wanted := map[dropped]string{
		{web, c.public(2).String(), 80, false, false, "BPA"}: "what would leave",
		{web, "10.0.1.4", 80, false, true, "BPA"}:            "what would come in",
		{db, c.public(2).String(), 80, false, false, "BPA"}:  "what a NAT gateway would send",
	}
	for deadline := time.Now().Add(15 * time.Second); len(wanted) > 0; time.Sleep(100 * time.Millisecond) {
		records, err := c.network.Flows(t.Context())
		must(t, err)
		for _, r := range records {
			if r.Reason != "" && r.Accepted || r.Reason != "" && r.Destination == addr("10.0.2.4") {
				t.Errorf("%+v", r)
			}
			delete(wanted, dropped{r.ENI, r.Destination.String(), r.DestPort, r.Accepted, r.Ingress, r.Reason})
		}
		if time.Now().After(deadline) {
			t.Fatalf("not recorded: %v", wanted)
		}
	}

	t.Log("a subnet that is excluded is open, and its neighbor is not")
	v.Subnets[0].Internet = backend.InternetOpen
	c.apply(v)
	c.want(i, connectTo(c.public(2).String(), 80), "you are "+c.public(1).String())
	must(t, host())
	c.refused(j, c.public(2).String(), 80)
}

// TestEngineInternetAccess6: with IPv6 connections from before a block of public access end with it, those by the internet gateway
// when it is blocked inward, those by an egress-only gateway when it is blocked at all.
func TestEngineInternetAccess6(t *testing.T) {
	c := openCloud(t)
	if info, err := c.network.NetworkInfo(t.Context()); err != nil || !info.IPv6 {
		t.Skipf("the kernel of the engine carries no IPv6: %v", err)
	}
	v, other := c.dual("vpc-1", 1), c.dual("vpc-2", 2)
	for _, one := range []*backend.WantedVPC{v, other} {
		one.SecurityGroups[1].Ingress = append(one.SecurityGroups[1].Ingress, backend.WantedSecurityRule{Protocol: backend.ProtocolTCP, FromPort: 7, ToPort: 7, CIDRs: []netip.Prefix{prefix("::/0")}})
		one.RouteTables[0].Routes = append(one.RouteTables[0].Routes, backend.WantedRoute{Destinations: []netip.Prefix{prefix("::/0")}, Target: one.InternetGateway})
	}
	v.EgressGateways = []string{"eigw-1"}
	v.RouteTables[1].Routes = []backend.WantedRoute{{Destinations: []netip.Prefix{prefix("::/0")}, Target: "eigw-1"}}
	web, inner := c.eni6(v, "public", "10.1.1.4", "2001:db8:1:1::4"), c.eni6(v, "private", "10.1.2.4", "2001:db8:1:2::4")
	far := c.eni6(other, "public", "10.2.1.4", "2001:db8:2:1::4")
	c.apply(v)
	c.apply(other)
	i, j, k := c.launch(v, web), c.launch(v, inner), c.launch(other, far)
	c.serveEcho(i, 7)
	c.serveEcho(k, 7)
	c.awaitOutput(j, "ping -c1 -W2 2001:db8:2:1::4 && echo there", "there")
	direct, byEgress := c.hostStream("2001:db8:1:1::4", 7), c.stream(j, "2001:db8:2:1::4", 7)
	if !direct("before") || !byEgress("before") {
		t.Fatal("nothing comes back before the block")
	}
	logs := []backend.WantedFlowLog{{ID: "fl-0", Resource: v.ID, Rejected: true}}
	for _, v.FlowLogs = range [][]backend.WantedFlowLog{logs, nil} {
		c.opened(v, backend.InternetOutward)
		if !byEgress("outward") || direct("outward") {
			t.Errorf("blocked inward, with the flow logs %v: an egress-only gateway's connection ended, or another goes on", v.FlowLogs)
		}
	}
	for _, v.FlowLogs = range [][]backend.WantedFlowLog{logs, nil} {
		c.opened(v, backend.InternetBlocked)
		if byEgress("blocked") || direct("blocked") {
			t.Errorf("a connection goes on with the flow logs %v", v.FlowLogs)
		}
	}
	t.Log("what is blocked is recorded with the reason")
	v.FlowLogs = logs
	c.apply(v)
	for deadline := time.Now().Add(15 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		if byEgress("recorded") {
			t.Fatal("the connection goes on")
		}
		records, err := c.network.Flows(t.Context())
		must(t, err)
		if slices.ContainsFunc(records, func(r backend.FlowRecord) bool {
			return r.ENI == inner && !r.Accepted && !r.Ingress && r.Reason == "BPA"
		}) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("not recorded")
		}
	}
}
