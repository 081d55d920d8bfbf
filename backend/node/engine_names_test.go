package node_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"miniaws/backend"
)

// askFor is a question to a resolver, whose answers it prints.
func askFor(name, resolver string) string {
	return fmt.Sprintf(`python3 -c 'import socket,struct
q=struct.pack(">6H",1,0x100,1,0,0,0)+b"".join(bytes([len(l)])+l.encode() for l in "%s".split("."))+b"\0"+struct.pack(">HH",1,1)
s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); s.settimeout(3); s.sendto(q,("%s",53)); a=s.recv(999)
print("code",a[3]&15,"answers",struct.unpack(">H",a[6:8])[0],socket.inet_ntoa(a[-4:]))'`, name, resolver)
}

// TestEngineNames asks the two resolvers of a VPC about its own names, about those that the gateway answers, and about the rest,
// which others are asked for.
func TestEngineNames(t *testing.T) {
	c := openCloud(t)
	packets, err := net.ListenPacket("udp", "127.0.0.1:0")
	must(t, err)
	elsewhere := &dns.Server{PacketConn: packets, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, question *dns.Msg) {
		reply := new(dns.Msg).SetReply(question)
		if question.Question[0].Name == "far.example." {
			reply.Answer = []dns.RR{&dns.A{Hdr: dns.RR_Header{Name: "far.example.", Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 1}, A: net.IPv4(192, 0, 2, 7)}}
		} else {
			reply.Rcode = dns.RcodeNameError
		}
		_ = w.WriteMsg(reply)
	})}
	go func() { _ = elsewhere.ActivateAndServe() }() // ends with the test
	t.Cleanup(func() { _ = elsewhere.Shutdown() })
	c.network.Answer(backend.Answers{Resolve: func(_ context.Context, vpc, name, qtype string) ([]string, bool, error) {
		if name != "api.x.internal." || qtype != "A" {
			return nil, false, nil
		}
		return []string{name + " 60 IN A 169.254.169.250"}, vpc == "vpc-1", nil
	}})
	v := c.vpc("vpc-1")
	one := c.eni(v, "public", "10.0.1.4", "sg-open").ID
	v.DNS = backend.WantedDNS{
		Enabled: true, Delegated: []string{"x.internal."}, Forwarders: []netip.AddrPort{netip.MustParseAddrPort(packets.LocalAddr().String())},
		Zones: []backend.WantedZone{{Name: "ec2.internal.", Records: []string{"ip-10-0-1-5.ec2.internal. 60 IN A 10.0.1.5"}}},
	}
	c.apply(v)
	i := c.launch(v, one)
	for _, resolver := range []string{"10.0.0.2", "169.254.169.253"} {
		c.want(i, askFor("ip-10-0-1-5.ec2.internal", resolver), "code 0 answers 1 10.0.1.5")
		c.want(i, askFor("ip-10-0-1-6.ec2.internal", resolver), "code 3 answers 0")
		c.want(i, askFor("api.x.internal", resolver), "code 0 answers 1 169.254.169.250")
		c.want(i, askFor("other.x.internal", resolver), "code 3 answers 0")
		c.want(i, askFor("far.example", resolver), "code 0 answers 1 192.0.2.7")
		c.want(i, askFor("nobody.example", resolver), "code 3 answers 0")
	}
	t.Log("a VPC whose names are off has no resolver")
	v.DNS.Enabled = false
	c.apply(v)
	if out, err := c.in(i, askFor("far.example", "10.0.0.2")); err == nil && strings.Contains(out, "answers 1") {
		t.Errorf("a name: %s", out)
	}
}

// TestEngineSecondaryAddress gives an interface a second private address with a public one of its own: both are reached inside
// and from outside, and each is what others see of what is sent with it. One that it gives back is nobody's.
func TestEngineSecondaryAddress(t *testing.T) {
	c := openCloud(t)
	v, outside := c.vpc("vpc-1"), c.vpc("vpc-2")
	two, neighbor := c.eni(v, "public", "10.0.1.4", "sg-open").ID, c.eni(v, "private", "10.0.2.5", "sg-open").ID
	stranger := c.eni(outside, "public", "10.0.1.4", "sg-open").ID
	v.ENIs[0].Addresses = append(v.ENIs[0].Addresses, addr("10.0.1.44"))
	v.ENIs[0].Public = []backend.WantedPublicAddress{{Private: addr("10.0.1.4"), Public: c.public(1)}, {Private: addr("10.0.1.44"), Public: c.public(2)}}
	outside.ENIs[0].Public = []backend.WantedPublicAddress{{Private: addr("10.0.1.4"), Public: c.public(3)}}
	c.apply(v)
	c.apply(outside)
	i, n, o := c.launch(v, two), c.launch(v, neighbor), c.launch(outside, stranger)
	if out, err := exec.CommandContext(t.Context(), "nsenter", "-t", fmt.Sprint(c.pids[i]), "-n", "sh", "-c", "ip addr show dev eth0 | grep -q 10.0.1.44 || ip addr add 10.0.1.44/32 dev eth0").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	c.serve(i, 8080)
	c.serve(n, 8080)
	c.serve(o, 8080)
	with := func(source, address string) string {
		return fmt.Sprintf(`python3 -c 'import socket;print(socket.create_connection(("%s",8080),1.5,("%s",0)).recv(99).decode())'`, address, source)
	}
	for private, public := range map[string]string{"10.0.1.4": c.public(1).String(), "10.0.1.44": c.public(2).String()} {
		c.want(n, connectTo(private, 8080), "you are 10.0.2.5")
		c.want(o, connectTo(public, 8080), "you are "+c.public(3).String())
		c.want(i, with(private, "10.0.2.5"), "you are "+private)
		c.want(i, with(private, c.public(3).String()), "you are "+public)
	}
	v.ENIs[0].Addresses, v.ENIs[0].Public = v.ENIs[0].Addresses[:1], v.ENIs[0].Public[:1]
	c.apply(v)
	c.refused(n, "10.0.1.44", 8080)
	c.refused(o, c.public(2).String(), 8080)
	if out, err := c.in(i, with("10.0.1.44", "10.0.2.5")); err == nil {
		t.Errorf("sent with an address that is not its own any more: %s", out)
	}
	c.want(n, connectTo("10.0.1.4", 8080), "you are 10.0.2.5")
}
