package node_test

import (
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/nftables"

	"miniaws/backend"
	"miniaws/backend/node/plan"
)

func TestEngineGroupsAndACLs(t *testing.T) {
	c := openCloud(t)
	v := c.vpc("vpc-1")
	everything := []backend.WantedSecurityRule{{Protocol: backend.ProtocolAll, CIDRs: anywhere}}
	v.SecurityGroups = append(v.SecurityGroups,
		backend.WantedSecurityGroup{ID: "sg-web", Egress: everything},
		backend.WantedSecurityGroup{ID: "sg-db", Egress: everything, Ingress: []backend.WantedSecurityRule{{Protocol: 6, FromPort: 5432, ToPort: 5432, Groups: []string{"sg-web"}}}})
	web, other, db := c.eni(v, "public", "10.0.1.4", "sg-web").ID, c.eni(v, "public", "10.0.1.5", "sg-open").ID, c.eni(v, "private", "10.0.2.4", "sg-db").ID
	c.apply(v)
	i, o, d := c.launch(v, web), c.launch(v, other), c.launch(v, db)
	c.serve(d, 5432)
	c.serve(d, 80)

	t.Log("a group is let in by its members alone, on its port alone")
	connects := func(from, eni string, port int, want bool) {
		t.Helper()
		c.connects(v, from, eni, v, db, "10.0.2.4", port, want)
	}
	c.want(i, connectTo("10.0.2.4", 5432), "you are 10.0.1.4")
	connects(i, web, 5432, true)
	connects(i, web, 80, false)
	connects(o, other, 5432, false)
	c.reachesNot(i, "10.0.2.4")

	t.Log("ICMP by type; members join and leave; egress")
	v.SecurityGroups[2].Ingress = append(v.SecurityGroups[2].Ingress, backend.WantedSecurityRule{Protocol: 1, FromPort: 8, ToPort: -1, CIDRs: anywhere})
	v.ENIs[1].Groups = []string{"sg-open", "sg-web"}
	c.apply(v)
	c.reaches(i, "10.0.2.4")
	c.want(o, connectTo("10.0.2.4", 5432), "you are 10.0.1.5")
	v.SecurityGroups[1].Egress = nil
	v.ENIs[1].Groups = []string{"sg-open"}
	c.apply(v)
	connects(i, web, 5432, false)
	connects(o, other, 5432, false)
	v.SecurityGroups[1].Egress = everything

	t.Log("a network ACL denies what a group allows, and is stateless")
	v.NetworkACLs = append(v.NetworkACLs, backend.WantedNetworkACL{
		ID: "acl-db",
		Ingress: []backend.WantedACLEntry{
			{Number: 90, Protocol: 6, FromPort: 5432, ToPort: 5432, CIDR: prefix("10.0.1.4/32")},
			{Number: 100, Allow: true, Protocol: -1, CIDR: anywhere[0]},
		},
		Egress: []backend.WantedACLEntry{{Number: 100, Allow: true, Protocol: -1, CIDR: anywhere[0]}},
	})
	v.Subnets[1].NetworkACL = "acl-db"
	v.ENIs[1].Groups = []string{"sg-web"}
	c.apply(v)
	connects(i, web, 5432, false)
	connects(o, other, 5432, true)
	v.NetworkACLs[1].Egress = []backend.WantedACLEntry{{Number: 100, Allow: true, Protocol: 6, FromPort: 1, ToPort: 1023, CIDR: anywhere[0]}}
	c.apply(v)
	connects(o, other, 5432, false)
	v.NetworkACLs[1].Egress[0].ToPort = 65535
	c.apply(v)
	connects(o, other, 5432, true)

	t.Log("stop and start keep every rule")
	_, err := c.engine.Stop(t.Context(), d, 0)
	must(t, err)
	c.start(v, db, d)
	c.serve(d, 5432)
	c.serve(d, 80)
	c.want(o, connectTo("10.0.2.4", 5432), "you are 10.0.1.5")
	c.refused(i, "10.0.2.4", 5432)
	c.refused(o, "10.0.2.4", 80)

	t.Log("flow logs have the ping that was accepted, and the answer and the connections that a group or an ACL rejected, at both ends")
	v.FlowLogs = []backend.WantedFlowLog{{ID: "fl-1", Resource: v.ID, Accepted: true, Rejected: true}}
	c.apply(v)
	c.reachesNot(o, "10.0.2.4") // AWS's own example: the answer is what the ACL rejects
	c.refused(o, "10.0.2.4", 80)
	c.refused(i, "10.0.2.4", 5432)
	c.want(o, connectTo("10.0.2.4", 5432), "you are 10.0.1.5")
	type seen struct {
		eni, from, to     string
		port, protocol    int
		accepted, ingress bool
	}
	wanted := map[seen]string{
		{other, "10.0.1.5", "10.0.2.4", 0, 1, true, false}:    "the ping leaves",
		{db, "10.0.1.5", "10.0.2.4", 0, 1, true, true}:        "the ping arrives",
		{db, "10.0.2.4", "10.0.1.5", 0, 1, false, false}:      "its answer does not leave",
		{other, "10.0.1.5", "10.0.2.4", 80, 6, true, false}:   "what the group drops leaves",
		{db, "10.0.1.5", "10.0.2.4", 80, 6, false, true}:      "and is rejected at the other end",
		{db, "10.0.1.4", "10.0.2.4", 5432, 6, false, true}:    "what the ACL drops is rejected too",
		{db, "10.0.1.5", "10.0.2.4", 5432, 6, true, true}:     "what the group allows arrives",
		{other, "10.0.1.5", "10.0.2.4", 5432, 6, true, false}: "after it left",
	}
	for deadline := time.Now().Add(15 * time.Second); len(wanted) > 0; time.Sleep(100 * time.Millisecond) {
		records, err := c.network.Flows(t.Context())
		must(t, err)
		for _, r := range records {
			if r.VPC != v.ID || r.Packets == 0 || r.Bytes == 0 || r.End.Before(r.Start) || r.Subnet == "" {
				t.Errorf("%+v", r)
			}
			if answer := r.Source == addr("10.0.2.4"); r.Protocol == 1 && (r.Packets != 1 || r.Bytes != 84 || r.Accepted == answer) {
				t.Errorf("one ping and the answer that was dropped: %+v", r)
			}
			delete(wanted, seen{r.ENI, r.Source.String(), r.Destination.String(), int(r.DestPort), r.Protocol, r.Accepted, r.Ingress})
		}
		if time.Now().After(deadline) {
			t.Fatalf("not recorded: %v", wanted)
		}
	}
}

func TestEnginePeering(t *testing.T) {
	c := openCloud(t)
	first, second := c.vpc("vpc-1"), c.vpc("vpc-2")
	second.CIDRs = []netip.Prefix{prefix("10.1.0.0/16")}
	second.Subnets[0].CIDR, second.Subnets[1].CIDR = prefix("10.1.1.0/24"), prefix("10.1.2.0/24")
	second.SecurityGroups = append(second.SecurityGroups, backend.WantedSecurityGroup{
		ID: "sg-far", Ingress: []backend.WantedSecurityRule{{Protocol: -1, Groups: []string{"sg-open-of-1"}}},
	})
	second.ForeignGroups = map[string][]netip.Addr{"sg-open-of-1": {addr("10.0.1.4")}}
	a, b := c.eni(first, "public", "10.0.1.4", "sg-open").ID, c.eni(second, "public", "10.1.1.4", "sg-far").ID
	a2 := c.eni(first, "public", "10.0.1.5", "sg-open").ID
	pcx := "pcx-0123456789abcdef0"
	first.Peerings = []backend.WantedPeering{{ID: pcx, VPC: "vpc-2"}}
	second.Peerings = []backend.WantedPeering{{ID: pcx, VPC: "vpc-1"}}
	first.RouteTables[0].Routes = append(first.RouteTables[0].Routes, backend.WantedRoute{Destinations: second.CIDRs, Target: pcx})
	c.apply(first)
	c.apply(second)
	i, j, i2 := c.launch(first, a), c.launch(second, b), c.launch(first, a2)
	t.Log("one side's route is not enough")
	c.reachesNot(i, "10.1.1.4")
	second.RouteTables[0].Routes = append(second.RouteTables[0].Routes, backend.WantedRoute{Destinations: first.CIDRs, Target: pcx})
	c.apply(second)
	c.reaches(i, "10.1.1.4")
	c.serve(j, 80)
	c.want(i, connectTo("10.1.1.4", 80), "you are 10.0.1.4")
	c.connects(first, i, a, second, b, "10.1.1.4", 80, true)
	t.Log("a group of the other side lets in its members alone")
	c.reachesNot(i2, "10.1.1.4")
	c.connects(first, i2, a2, second, b, "10.1.1.4", 80, false)
	route := second.RouteTables[0].Routes
	second.RouteTables[0].Routes = route[:1]
	c.apply(second)
	c.connects(first, i, a, second, b, "10.1.1.4", 80, false)
	second.RouteTables[0].Routes = route
	c.apply(second)
	second.Peerings, second.RouteTables[0].Routes = nil, nil
	c.apply(second)
	c.reachesNot(i, "10.1.1.4")

	t.Log("a route to an interface leads to an instance that routes, once nobody checks its source and destination")
	must(t, exec.CommandContext(t.Context(), "nsenter", "-t", fmt.Sprint(c.pids[i2]), "-n", "ip", "addr", "add", "192.168.7.1/32", "dev", "lo").Run())
	first.RouteTables[0].Routes = append(first.RouteTables[0].Routes, backend.WantedRoute{Destinations: []netip.Prefix{prefix("192.168.0.0/16")}, Target: a2})
	c.apply(first)
	c.reachesNot(i, "192.168.7.1")
	first.ENIs[1].SourceDestCheck = false
	c.apply(first)
	c.reaches(i, "192.168.7.1")
	must(t, exec.CommandContext(t.Context(), "docker", "kill", "mini-aws-"+c.owner[:12]+"-"+i2).Run())
	t.Log("and is a blackhole when that is gone")
	c.reachesNot(i, "192.168.7.1")
}

func TestEngineHostileGuest(t *testing.T) {
	c := openCloud(t)
	v, twin := c.vpc("vpc-1"), c.vpc("vpc-2")
	v.SecurityGroups = append(v.SecurityGroups, backend.WantedSecurityGroup{ID: "sg-mute"})
	evil, victim, mute := c.eni(v, "public", "10.0.1.4", "sg-open").ID, c.eni(v, "public", "10.0.1.5", "sg-open").ID, c.eni(v, "public", "10.0.1.6", "sg-mute").ID
	same := c.eni(twin, "public", "10.0.1.4", "sg-open").ID
	c.apply(v)
	c.apply(twin)
	e, s, m, w := c.launch(v, evil), c.launch(v, victim), c.launch(v, mute), c.launch(twin, same)
	answer := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		origin, _ := backend.OriginFrom(r.Context())
		_, _ = fmt.Fprintf(w, "%s %s %s", origin.VPC, origin.ENI, origin.Source)
	})
	c.network.Answer(backend.Answers{Metadata: answer, API: answer, Resolve: nil})

	t.Log("metadata is each interface's own, also for the same address in two VPCs")
	curl := "curl -sS -m3 http://169.254.169.254/latest/meta-data/"
	c.awaitOutput(e, curl, "vpc-1 "+evil+" 10.0.1.4")
	c.want(s, curl, "vpc-1 "+victim+" 10.0.1.5")
	c.want(m, curl, "vpc-1 "+mute+" 10.0.1.6")
	c.want(w, curl, "vpc-2 "+same+" 10.0.1.4")
	t.Log("no way out, no API; and none to the host's and the router's other ports")
	for _, command := range []string{"curl -sS -m2 http://169.254.169.250/", connectTo("169.254.169.254", 22), connectTo("198.18.0.1", 22), connectTo("172.17.0.1", 22), "ping -c1 -W1 10.0.1.1"} {
		if out, err := c.in(e, command); err == nil {
			t.Errorf("%s: %s", command, out)
		}
	}

	t.Log("as root with NET_ADMIN over its own namespace: rules and routes of its own, other addresses, another MAC")
	c.reachesNot(e, "10.0.1.6")
	root := func(command string) (string, error) {
		out, err := exec.CommandContext(t.Context(), "nsenter", "-t", fmt.Sprint(c.pids[e]), "-n", "sh", "-c", command).CombinedOutput()
		return string(out), err
	}
	if out, err := root("iptables -F; ip route flush table main; ip addr flush dev eth0; ip addr add 10.0.1.5/24 dev eth0; ip route add default via 10.0.1.1"); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	c.reachesNot(e, "10.0.1.6") // as the victim
	if out, err := c.in(e, curl); err == nil {
		t.Errorf("the victim's metadata: %s", out)
	}
	if out, err := root("ip addr flush dev eth0; ip addr add 10.0.1.4/24 dev eth0; ip route add default via 10.0.1.1"); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	c.reaches(e, "10.0.1.5")
	c.reachesNot(e, "10.0.1.6")
	c.harmlessFloods(e, s, m)
	if out, err := root("ip link set eth0 down; ip link set eth0 address 0a:00:00:00:00:02; ip link set eth0 up; ip route add default via 10.0.1.1"); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	c.reachesNot(e, "10.0.1.5")
	c.reaches(s, "10.0.1.5")
}

// harmlessFloods are what root does to its own rules, and to its neighbors' minds: nothing comes of either.
func (c *cloud) harmlessFloods(evil, victim, mute string) {
	c.Helper()
	c.Log("no rule is inside: there is nothing to flush")
	lie := `python3 -c '
import socket,struct
s=socket.socket(socket.AF_PACKET,socket.SOCK_RAW); s.bind(("eth0",0))
mac=bytes.fromhex(open("/sys/class/net/eth0/address").read().strip().replace(":","")); ip=socket.inet_aton("10.0.1.5")
for _ in range(20): s.send(b"\xff"*6+mac+struct.pack(">HHHBBH",0x0806,1,0x0800,6,4,2)+mac+ip+b"\xff"*6+ip)'`
	attacks := 0
	for _, command := range []string{"iptables -F", "iptables -P FORWARD ACCEPT", "ip rule flush; ! ip rule | grep -q 'lookup main'", lie} {
		out, err := exec.CommandContext(c.Context(), "nsenter", "-t", fmt.Sprint(c.pids[evil]), "-n", "sh", "-c", command).CombinedOutput()
		if err != nil {
			c.Fatalf("%s: %v: %s", command, err, out)
		}
		attacks++
	}
	c.flushRuleset(c.pids[evil])
	if attacks++; attacks != 5 {
		c.Fatalf("%d attacks were made", attacks)
	}
	must(c, exec.CommandContext(c.Context(), "nsenter", "-t", fmt.Sprint(c.pids[evil]), "-n", "sh", "-c", "ip rule add lookup main; ip rule add lookup default prio 32767").Run())
	c.reachesNot(evil, "10.0.1.6")
	c.serve(victim, 80)
	c.want(evil, connectTo("10.0.1.5", 80), "you are 10.0.1.4")
}

// flushRuleset is "nft flush ruleset" in the network of a process, by the kernel's own interface: a table that is put there
// first must be gone.
func (c *cloud) flushRuleset(pid int) {
	c.Helper()
	namespace, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", pid))
	must(c, err)
	defer func() { _ = namespace.Close() }()
	connection, err := nftables.New(nftables.WithNetNSFd(int(namespace.Fd())))
	must(c, err)
	connection.AddTable(&nftables.Table{Family: nftables.TableFamilyINet, Name: "guest"})
	must(c, connection.Flush())
	if tables, err := connection.ListTables(); err != nil || len(tables) == 0 {
		c.Fatalf("no rules to flush: %v", err)
	}
	connection.FlushRuleset()
	must(c, connection.Flush())
	if tables, err := connection.ListTables(); err != nil || len(tables) > 0 {
		c.Fatalf("%d tables are left: %v", len(tables), err)
	}
}

// connects checks that a TCP connection is made or not, as the one value says who makes kernel rules of it and who explains
// them: what packets do and what the explanation says are the same.
func (c *cloud) connects(fromVPC *backend.WantedVPC, from, fromENI string, toVPC *backend.WantedVPC, toENI, address string, port int, want bool) {
	c.Helper()
	var all []backend.WantedVPC
	plugs := map[string]plan.Plug{}
	for _, v := range c.vpcs {
		all = append(all, *v)
		for _, eni := range v.ENIs {
			plugs[eni.ID] = plan.Running
		}
	}
	var transits []backend.WantedTransitGateway
	for _, g := range c.transits {
		transits = append(transits, *g)
	}
	trace := plan.NewWorld(all, transits, plugs).Answer(plan.Question{
		FromVPC: fromVPC.ID, FromENI: fromENI, ToVPC: toVPC.ID, ToENI: toENI, Protocol: backend.ProtocolTCP, Destination: addr(address), DestPort: port,
	})
	out, err := c.in(from, connectTo(address, port))
	if (err == nil) != want || trace.Reaches() != want {
		c.Errorf("%s to %s:%d: packets %v (%s), explained %v (%+v), want %v", from, address, port, err == nil, out, trace.Reaches(), trace.Blocks, want)
	}
}

// awaitOutput is want with patience.
func (c *cloud) awaitOutput(name, command, want string) {
	c.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for {
		out, err := c.in(name, command)
		if err == nil && strings.Contains(out, want) {
			return
		}
		if time.Now().After(deadline) {
			c.Fatalf("%s: %s: %v: %q, want %q", name, command, err, out, want)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// agentPID answers the agent's process: the supervisor's only child.
func (c *cloud) agentPID() int {
	c.Helper()
	out, err := exec.CommandContext(c.Context(), "docker", "inspect", "-f", "{{.State.Pid}}", c.agentName()).Output()
	must(c, err)
	supervisor := strings.TrimSpace(string(out))
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		children, err := os.ReadFile("/proc/" + supervisor + "/task/" + supervisor + "/children")
		var pid int
		if _, scanErr := fmt.Sscan(string(children), &pid); err == nil && scanErr == nil {
			return pid
		}
		// Which thread started it is the scheduler's choice.
		tasks, _ := filepath.Glob("/proc/" + supervisor + "/task/*/children")
		for _, task := range tasks {
			children, _ := os.ReadFile(task)
			if _, err := fmt.Sscan(string(children), &pid); err == nil {
				return pid
			}
		}
	}
	c.Fatal("the supervisor has no agent")
	return 0
}

func TestEngineFaults(t *testing.T) {
	c := openCloud(t)
	v := c.vpc("vpc-1")
	v.DNS.Zones = []backend.WantedZone{{Name: "ec2.internal.", Records: []string{"ip-10-0-1-5.ec2.internal. 60 IN A 10.0.1.5"}}}
	a, b := c.eni(v, "public", "10.0.1.4", "sg-open").ID, c.eni(v, "public", "10.0.1.5", "sg-open").ID
	c.apply(v)
	i, j := c.launch(v, a), c.launch(v, b)
	c.serve(j, 80)
	resolve := `python3 -c '
import socket,struct
s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); s.settimeout(2)
q=b"".join(bytes([len(l)])+l for l in b"ip-10-0-1-5.ec2.internal".split(b"."))+b"\0"
s.sendto(struct.pack(">6H",1,256,1,0,0,0)+q+struct.pack(">2H",1,1),("10.0.0.2",53))
print(socket.inet_ntoa(s.recv(512)[-4:]))'`
	c.want(i, resolve, "10.0.1.5")

	t.Log("kill -9 of the agent under traffic drops nothing")
	traffic := exec.CommandContext(t.Context(), "docker", "exec", "mini-aws-"+c.owner[:12]+"-"+i, "ping", "-q", "-i", "0.02", "-c", "200", "-W1", "10.0.1.5")
	var report strings.Builder
	traffic.Stdout, traffic.Stderr = &report, &report
	must(t, traffic.Start())
	for range 3 {
		must(t, syscall.Kill(c.agentPID(), syscall.SIGKILL))
		if _, err := c.network.ListVPCs(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if err := traffic.Wait(); err != nil || !strings.Contains(report.String(), " 0% packet loss") {
		t.Errorf("%v: %s", err, report.String())
	}
	c.awaitOutput(i, resolve, "10.0.1.5")

	t.Log("a device that somebody removed by hand comes back")
	if out, err := exec.CommandContext(t.Context(), "nsenter", "-t", fmt.Sprint(c.pids[i]), "-n", "ip", "link", "del", "eth0").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	// It may be back before anybody can see that it was gone.
	c.awaitOutput(i, "ping -c1 -W1 10.0.1.5", " 0% packet loss")

	t.Log("a restart of the agent's container loses every namespace, and all is made anew")
	if out, err := exec.CommandContext(t.Context(), "docker", "restart", "-t", "1", c.agentName()).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	c.awaitOutput(i, "ping -c1 -W1 10.0.1.5", " 0% packet loss")
	c.awaitOutput(i, resolve, "10.0.1.5")

	t.Log("so is a container that somebody removed")
	if out, err := exec.CommandContext(t.Context(), "docker", "rm", "-f", c.agentName()).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	c.awaitOutput(i, "ping -c1 -W1 10.0.1.5", " 0% packet loss")

	t.Log("the gateway starts again and finds what is there")
	must(t, c.network.Close())
	c.connect()
	all, err := c.network.ListVPCs(t.Context())
	if err != nil || len(all) != 1 || len(all[0].ENIs) != 2 {
		t.Errorf("%+v, %v", all, err)
	}
	connection, err := c.network.DialVPC(t.Context(), "vpc-1", "tcp", netip.MustParseAddrPort("10.0.1.5:80"))
	must(t, err)
	said, err := io.ReadAll(connection)
	if err != nil || !strings.HasPrefix(string(said), "you are 10.0.0.2") {
		t.Errorf("%q, %v", said, err)
	}
	must(t, connection.Close())
}
