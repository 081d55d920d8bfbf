package node_test

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"miniaws/backend"
)

// dual makes a VPC with IPv6 of the n-th range beside [cloud.vpc], whose group lets in TCP port 80 and pings.
func (c *cloud) dual(id string, n int) *backend.WantedVPC {
	v := c.vpc(id)
	v.CIDRs = []netip.Prefix{prefix(fmt.Sprintf("10.%d.0.0/16", n)), prefix(fmt.Sprintf("2001:db8:%d::/56", n))}
	for i := range v.Subnets {
		v.Subnets[i].CIDR, v.Subnets[i].IPv6 = prefix(fmt.Sprintf("10.%d.%d.0/24", n, i+1)), prefix(fmt.Sprintf("2001:db8:%d:%d::/64", n, i+1))
	}
	six := []netip.Prefix{prefix("::/0")}
	v.SecurityGroups = append(v.SecurityGroups, backend.WantedSecurityGroup{ID: "sg-six",
		Ingress: []backend.WantedSecurityRule{{Protocol: backend.ProtocolTCP, FromPort: 80, ToPort: 80, CIDRs: six}, {Protocol: backend.ProtocolICMPv6, FromPort: 128, ToPort: -1, CIDRs: six}},
		Egress:  []backend.WantedSecurityRule{{Protocol: backend.ProtocolAll, CIDRs: six}},
	})
	entry := backend.WantedACLEntry{Number: 101, Allow: true, Protocol: backend.ProtocolAll, CIDR: six[0]}
	acl := &v.NetworkACLs[0]
	acl.Ingress, acl.Egress = append(acl.Ingress, entry), append(acl.Egress[:1:1], entry)
	return v
}

// eni6 adds an interface with an IPv6 address too.
func (c *cloud) eni6(v *backend.WantedVPC, subnet, address, six string) string {
	e := c.eni(v, subnet, address, "sg-six")
	e.Addresses = append(e.Addresses, addr(six))
	return e.ID
}

// serve6 is serve for IPv6.
func (c *cloud) serve6(name string, ports ...int) {
	c.Helper()
	for _, port := range ports {
		script := fmt.Sprintf(`import socketserver,socket
class H(socketserver.BaseRequestHandler):
    def handle(self): self.request.sendall(("you are "+self.client_address[0]).encode())
class S(socketserver.ThreadingTCPServer):
    allow_reuse_address=True; address_family=socket.AF_INET6
S(("::",%d),H).serve_forever()`, port)
		if out, err := exec.CommandContext(c.Context(), "docker", "exec", "-d", "mini-aws-"+c.owner[:12]+"-"+name, "python3", "-c", script).CombinedOutput(); err != nil {
			c.Fatalf("%v: %s", err, out)
		}
		c.awaitOutput(name, fmt.Sprintf("ss -6 -ltn sport = :%d 2>/dev/null || cat /proc/net/tcp6", port), "")
	}
}

func TestEngineIPv6(t *testing.T) {
	c := openCloud(t)
	if info, err := c.network.NetworkInfo(t.Context()); err != nil || !info.IPv6 {
		t.Skipf("the kernel of the engine carries no IPv6: %v", err)
	}
	first, second := c.dual("vpc-1", 1), c.dual("vpc-2", 2)
	a, b := c.eni6(first, "public", "10.1.1.4", "2001:db8:1:1::4"), c.eni6(first, "private", "10.1.2.4", "2001:db8:1:2::4")
	far := c.eni6(second, "public", "10.2.1.4", "2001:db8:2:1::4")
	c.apply(first)
	c.apply(second)
	i, j, k := c.launch(first, a), c.launch(first, b), c.launch(second, far)
	for _, name := range []string{i, j, k} {
		c.serve6(name, 80, 81)
	}

	t.Log("inside the VPC, as groups and network ACLs let pass; not IPv4, which no rule allows")
	c.awaitOutput(i, connectTo("2001:db8:1:2::4", 80), "you are 2001:db8:1:1::4")
	c.reaches(i, "2001:db8:1:2::4")
	c.refused(i, "2001:db8:1:2::4", 81)
	c.refused(i, "10.1.2.4", 80)
	c.reachesNot(i, "2001:db8:2:1::4")
	first.NetworkACLs[0].Ingress = append(first.NetworkACLs[0].Ingress, backend.WantedACLEntry{Number: 1, Protocol: backend.ProtocolTCP, FromPort: 80, ToPort: 80, CIDR: prefix("2001:db8:1:1::/64")})
	c.apply(first)
	c.refused(i, "2001:db8:1:2::4", 80)
	c.reaches(i, "2001:db8:1:2::4")
	first.NetworkACLs[0].Ingress = first.NetworkACLs[0].Ingress[:2]
	first.SecurityGroups[1].Ingress = append(first.SecurityGroups[1].Ingress, backend.WantedSecurityRule{Protocol: backend.ProtocolTCP, FromPort: 81, ToPort: 81, Groups: []string{"sg-six"}})
	c.apply(first)
	c.want(i, connectTo("2001:db8:1:2::4", 81), "you are 2001:db8:1:1::4")

	t.Log("the world: the host and other VPCs, by the internet gateway; out alone by an egress-only one")
	host := func(address string) (string, error) {
		out, err := exec.CommandContext(t.Context(), "sh", "-c", connectTo(address, 80)).CombinedOutput()
		return string(out), err
	}
	if out, err := host("2001:db8:1:1::4"); err == nil {
		t.Errorf("without a route: %s", out)
	}
	six := []netip.Prefix{prefix("::/0")}
	first.RouteTables[0].Routes = append(first.RouteTables[0].Routes, backend.WantedRoute{Destinations: six, Target: "igw-vpc-1"})
	second.RouteTables[0].Routes = append(second.RouteTables[0].Routes, backend.WantedRoute{Destinations: six, Target: "igw-vpc-2"})
	first.EgressGateways = []string{"eigw-1"}
	first.RouteTables[1].Routes = []backend.WantedRoute{{Destinations: six, Target: "eigw-1"}}
	c.apply(first)
	c.apply(second)
	c.want(i, connectTo("2001:db8:2:1::4", 80), "you are 2001:db8:1:1::4")
	c.want(k, connectTo("2001:db8:1:1::4", 80), "you are 2001:db8:2:1::4")
	c.want(j, connectTo("2001:db8:2:1::4", 80), "you are 2001:db8:1:2::4")
	c.refused(k, "2001:db8:1:2::4", 80)
	c.reachesNot(k, "2001:db8:1:2::4")
	if out, err := host("2001:db8:1:1::4"); err != nil {
		t.Errorf("from the host: %v: %s", err, out)
	}
	if out, err := host("2001:db8:1:2::4"); err == nil {
		t.Errorf("from the host by the egress-only gateway: %s", out)
	}

	t.Log("nobody sends as somebody else, by a link-local address, or to the router and the host")
	root := func(name, command string) {
		t.Helper()
		if out, err := exec.CommandContext(t.Context(), "nsenter", "-t", fmt.Sprint(c.pids[name]), "-n", "sh", "-c", command).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", command, err, out)
		}
	}
	root(j, "ip -6 addr add 2001:db8:1:2::66/128 dev eth0 nodad")
	if out, err := c.in(j, "ping -c1 -W1 -I 2001:db8:1:2::66 2001:db8:1:1::4"); err == nil {
		t.Errorf("a stranger's address: %s", out)
	}
	root(j, "ip -6 addr del 2001:db8:1:2::66/128 dev eth0")
	c.reachesNot(i, "fe80::1%eth0")
	c.reachesNot(j, "fe80::1%eth0")
	root(j, "ip -6 neigh flush dev eth0 nud permanent; ip -6 neigh del fe80::1 dev eth0 2>/dev/null || true")
	c.reaches(j, "2001:db8:1:1::4") // the router says where it is

	t.Log("the host's own services are not the internet, though its addresses are on the way there")
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp6", "[::]:0")
	must(t, err)
	defer listener.Close()
	port := uint16(listener.Addr().(*net.TCPAddr).Port)
	addresses, err := net.InterfaceAddrs()
	must(t, err)
	asked := 0
	for _, address := range addresses {
		own, err := netip.ParsePrefix(address.String())
		if err != nil || !own.Addr().Is6() || own.Addr().IsLoopback() || own.Addr().IsLinkLocalUnicast() {
			continue
		}
		asked++
		to := netip.AddrPortFrom(own.Addr(), port)
		if out, err := exec.CommandContext(t.Context(), "sh", "-c", connectOnly(to)).CombinedOutput(); err != nil {
			t.Errorf("the host reaches itself: %v: %s", err, out)
		}
		if out, err := c.in(i, connectOnly(to)); err == nil {
			t.Errorf("%s answers: %s", to, out)
		}
	}
	if asked == 0 {
		t.Log("the host has no address of IPv6 that could be asked")
	}

	t.Log("names and metadata by IPv6, those whose interface wants it, and with whose address it asks")
	c.network.Answer(backend.Answers{Metadata: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		origin, _ := backend.OriginFrom(r.Context())
		_, _ = fmt.Fprintf(w, "%s asks as %s", origin.ENI, origin.Source)
	})})
	const metadata = "curl -gsS -m2 http://[fd00:ec2::254]/"
	if out, err := c.in(i, metadata); err == nil {
		t.Errorf("metadata by IPv6 is not wanted: %s", out)
	}
	first.ENIs[0].MetadataIPv6 = true
	first.DNS = backend.WantedDNS{Enabled: true, Zones: []backend.WantedZone{{Name: "inside.", Records: []string{"six.inside. 60 IN AAAA 2001:db8:1:2::4"}}}}
	c.apply(first)
	c.want(i, metadata, a+" asks as 2001:db8:1:1::4")
	c.want(i, "curl -sS -m2 http://169.254.169.254/", a+" asks as 10.1.1.4")
	if out, err := c.in(j, metadata); err == nil {
		t.Errorf("metadata for another: %s", out)
	}
	if out, err := c.in(i, "curl -gsS -m2 http://[fd00:ec2::253]/"); err == nil {
		t.Errorf("the router's other ports: %s", out)
	}
	const name = `python3 -c '
import socket
question=b"\7\7\1\0\0\1\0\0\0\0\0\0\3six\6inside\0\0\34\0\1"
for kind in socket.SOCK_DGRAM, socket.SOCK_STREAM:
    s=socket.socket(socket.AF_INET6,kind); s.settimeout(2); s.connect(("fd00:ec2::253",53))
    length=b"" if kind==socket.SOCK_DGRAM else b"\0"+bytes([len(question)])
    s.send(length+question); print(socket.inet_ntop(socket.AF_INET6,s.recv(512)[-16:]))'`
	c.want(j, name, "2001:db8:1:2::4\n2001:db8:1:2::4")
	first.DNS.Enabled = false
	c.apply(first)
	if out, err := c.in(j, name); err == nil {
		t.Errorf("names where there are none: %s", out)
	}

	t.Log("flow logs")
	first.FlowLogs = []backend.WantedFlowLog{{ID: "fl-1", Resource: "vpc-1", Accepted: true, Rejected: true}}
	c.apply(first)
	c.want(i, connectTo("2001:db8:1:2::4", 80), "you are")
	c.refused(k, "2001:db8:1:1::4", 82)
	type seen struct {
		eni, from, to     string
		port              int
		accepted, ingress bool
	}
	wanted := map[seen]bool{
		{a, "2001:db8:1:1::4", "2001:db8:1:2::4", 80, true, false}: true, {b, "2001:db8:1:1::4", "2001:db8:1:2::4", 80, true, true}: true,
		{a, "2001:db8:2:1::4", "2001:db8:1:1::4", 82, false, true}: true,
	}
	for deadline := time.Now().Add(15 * time.Second); len(wanted) > 0; time.Sleep(100 * time.Millisecond) {
		records, err := c.network.Flows(t.Context())
		must(t, err)
		for _, r := range records {
			if r.Packets == 0 || r.Bytes < 40*r.Packets {
				t.Errorf("%+v", r)
			}
			if r.Destination == backend.MetadataAddress6 || r.Source.IsLinkLocalUnicast() {
				t.Errorf("what is not recorded: %+v", r)
			}
			delete(wanted, seen{r.ENI, r.Source.String(), r.Destination.String(), int(r.DestPort), r.Accepted, r.Ingress})
		}
		if time.Now().After(deadline) {
			t.Fatalf("not recorded: %v", wanted)
		}
	}

	t.Log("an address that is assigned while the instance runs is there, and one that is taken away is not")
	first.ENIs[1].Addresses = append(first.ENIs[1].Addresses, addr("2001:db8:1:2::5"))
	c.apply(first)
	c.want(i, connectTo("2001:db8:1:2::5", 80), "you are")
	first.ENIs[1].Addresses = first.ENIs[1].Addresses[:2]
	c.apply(first)
	c.refused(i, "2001:db8:1:2::5", 80)

	t.Log("peering and transit gateways")
	second.InternetGateway, second.RouteTables[0].Routes = "", nil
	pcx := "pcx-0123456789abcdef0"
	first.Peerings, second.Peerings = []backend.WantedPeering{{ID: pcx, VPC: "vpc-2"}}, []backend.WantedPeering{{ID: pcx, VPC: "vpc-1"}}
	first.RouteTables[0].Routes = append(first.RouteTables[0].Routes, backend.WantedRoute{Destinations: second.CIDRs[1:], Target: pcx})
	c.apply(first)
	c.apply(second)
	c.refused(i, "2001:db8:2:1::4", 80)
	second.RouteTables[0].Routes = []backend.WantedRoute{{Destinations: first.CIDRs[1:], Target: pcx}}
	c.apply(second)
	c.want(i, connectTo("2001:db8:2:1::4", 80), "you are 2001:db8:1:1::4")
	first.Peerings, second.Peerings = nil, nil
	gateway := &backend.WantedTransitGateway{ID: "tgw-1", RouteTables: []backend.WantedTransitRouteTable{{ID: "tgw-rtb-1"}}}
	for n, v := range []*backend.WantedVPC{first, second} {
		id := fmt.Sprintf("tgw-attach-%d", n)
		v.TransitAttachments = []backend.WantedTransitAttachment{{ID: id, Gateway: "tgw-1", Subnets: []string{v.ID + "-public"}, Ways: map[string]string{v.ID + "-public": v.ID + "-public"}}}
		gateway.Attachments = append(gateway.Attachments, backend.WantedTransitLink{ID: id, VPC: v.ID, RouteTable: "tgw-rtb-1"})
		gateway.RouteTables[0].Routes = append(gateway.RouteTables[0].Routes, backend.WantedTransitRoute{Destination: v.CIDRs[1], Attachment: id})
		for r, route := range v.RouteTables[0].Routes {
			if route.Target == pcx {
				v.RouteTables[0].Routes[r].Target = "tgw-1"
			}
		}
		c.apply(v)
	}
	c.applyTransit(gateway, "tgw-attach-0", "tgw-attach-1")
	c.want(i, connectTo("2001:db8:2:1::4", 80), "you are 2001:db8:1:1::4")

	t.Log("kill -9 of the agent, and a new container of it")
	must(t, syscall.Kill(c.agentPID(), syscall.SIGKILL))
	c.awaitOutput(i, connectTo("2001:db8:1:2::4", 80), "you are")
	if out, err := exec.CommandContext(t.Context(), "docker", "rm", "-f", c.agentName()).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	c.awaitOutput(i, connectTo("2001:db8:1:2::4", 80), "you are")
	if out, err := c.in(i, "ip -6 addr show dev eth0; ip -6 route"); err != nil || !strings.Contains(out, "2001:db8:1:1::4/128") || !strings.Contains(out, "default via fe80::1 dev eth0") {
		t.Errorf("%v: %s", err, out)
	}
}
