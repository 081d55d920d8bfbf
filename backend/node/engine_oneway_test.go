package node_test

import (
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"strings"
	"testing"
	"time"

	"miniaws/backend"
)

// hears is a process that notes which datagrams reach a port, where no answer is needed: a packet with a stolen address does
// its harm on the way there.
func (c *cloud) hears(container string, port int) {
	c.Helper()
	script := fmt.Sprintf(`import socket
s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); s.bind(("",%d)); open("/tmp/ready","w").close()
while True:
    data,who=s.recvfrom(99)
    with open("/tmp/heard","a") as f: f.write(data.decode()+" from "+who[0]+"\n")`, port)
	if out, err := exec.CommandContext(c.Context(), "docker", "exec", "-d", container, "python3", "-c", script).CombinedOutput(); err != nil {
		c.Fatalf("%v: %s", err, out)
	}
	for deadline := time.Now().Add(10 * time.Second); exec.CommandContext(c.Context(), "docker", "exec", container, "test", "-e", "/tmp/ready").Run() != nil; {
		if time.Now().After(deadline) {
			c.Fatal(container + " does not listen")
		}
	}
}

// heard answers what a container heard once the word came, which is sent again and again.
func (c *cloud) heard(container, word string, send func(word string)) string {
	c.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		send(word)
		out, _ := exec.CommandContext(c.Context(), "docker", "exec", container, "cat", "/tmp/heard").CombinedOutput()
		if strings.Contains(string(out), word) {
			return string(out)
		}
	}
	c.Fatalf("%s never heard %q", container, word)
	return ""
}

// say sends a datagram; from is a source address, "" for the sender's own choice.
func say(word, from, to string) string {
	return fmt.Sprintf(`python3 -c 'import socket
s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM)
if "%[2]s": s.bind(("%[2]s",0))
s.sendto(b"%[1]s",("%[3]s",9))'`, word, from, to)
}

// TestEngineOneWay sends what nobody may send to those who only have to hear it. Each kind of packet that must not arrive is
// followed by one of the same kind that does.
func TestEngineOneWay(t *testing.T) {
	c := openCloud(t)
	v := c.vpc("vpc-1")
	evil, victim := c.eni(v, "public", "10.0.1.4", "sg-open").ID, c.eni(v, "private", "10.0.2.5", "sg-open").ID
	v.ENIs[1].Public = []backend.WantedPublicAddress{{Private: addr("10.0.2.5"), Public: c.public(3)}}
	v.Subnets[1].RouteTable = v.Subnets[0].RouteTable
	c.apply(v)
	e, s := c.launch(v, evil), c.launch(v, victim)
	name := func(instance string) string { return "mini-aws-" + c.owner[:12] + "-" + instance }
	root := func(instance, command string) {
		t.Helper()
		if out, err := exec.CommandContext(t.Context(), "nsenter", "-t", fmt.Sprint(c.pids[instance]), "-n", "sh", "-c", command).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", command, err, out)
		}
	}
	c.hears(name(s), 9)

	t.Log("as somebody else")
	root(e, "ip addr add 10.0.1.6/32 dev eth0; ip addr add 198.51.100.7/32 dev eth0")
	for _, from := range []string{"10.0.1.6", "198.51.100.7"} {
		root(e, say("stolen-address", from, "10.0.2.5"))
	}
	root(e, "ip addr del 10.0.1.6/32 dev eth0; ip addr del 198.51.100.7/32 dev eth0")
	root(e, "ip link set eth0 down; ip link set eth0 address 0a:00:00:00:00:02; ip link set eth0 up; ip route add default via 10.0.1.1")
	root(e, say("stolen-mac", "", "10.0.2.5"))
	root(e, "ip link set eth0 down; ip link set eth0 address "+v.ENIs[0].MAC+"; ip link set eth0 up; ip route add default via 10.0.1.1")
	if heard := c.heard(name(s), "honest", func(word string) { root(e, say(word, "", "10.0.2.5")) }); strings.Contains(heard, "stolen") {
		t.Errorf("heard what nobody may send:\n%s", heard)
	}

	t.Log("out to the world without a public address, and in from it to a private one")
	network, err := c.engine.EnsurePublicBridge(t.Context())
	must(t, err)
	stranger := name("stranger")
	out, err := exec.CommandContext(t.Context(), "docker", "run", "-d", "--name", stranger, "--label", backend.LabelOwner+"="+c.owner, "--network", name("public"), instanceImage, "sleep", "infinity").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	defer func() { _ = exec.Command("docker", "rm", "-f", stranger).Run() }()
	out, err = exec.CommandContext(t.Context(), "docker", "inspect", "-f", "{{.State.Pid}} {{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", stranger).Output()
	must(t, err)
	var pid int
	var address string
	if _, err := fmt.Sscan(string(out), &pid, &address); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	c.pids["stranger"] = pid
	defer delete(c.pids, "stranger")
	c.hears(stranger, 9)
	root(e, say("private-address", "", address))
	if heard := c.heard(stranger, "public-address", func(word string) { root(s, say(word, "", address)) }); strings.Contains(heard, "private-address") || !strings.Contains(heard, c.public(3).String()) {
		t.Errorf("outside one heard:\n%s", heard)
	}
	public := c.public(3).String()
	root("stranger", "ip route add 10.0.0.0/16 via "+public+" dev eth0; ip route add 169.254.0.0/16 via "+public+" dev eth0")
	root("stranger", say("in-by-private-address", "", "10.0.2.5"))
	if heard := c.heard(name(s), "in-by-public-address", func(word string) { root("stranger", say(word, "", public)) }); strings.Contains(heard, "in-by-private") {
		t.Errorf("heard from outside:\n%s", heard)
	}

	t.Log("nobody outside asks the router for metadata or names")
	for _, where := range []netip.AddrPort{netip.MustParseAddrPort("169.254.169.254:80"), netip.MustParseAddrPort("10.0.0.2:53")} {
		if out, err := exec.CommandContext(t.Context(), "nsenter", "-t", fmt.Sprint(pid), "-n", "sh", "-c", connectOnly(where)).CombinedOutput(); err == nil {
			t.Errorf("%s answers a stranger: %s", where, out)
		}
		c.want(s, connectOnly(where), "connected")
	}

	t.Log("nor is an address of the host's links reached that is no router's to pass on")
	const link = "169.254.77.1"
	if out, err := exec.CommandContext(t.Context(), "ip", "addr", "add", link+"/32", "dev", network.Device).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp4", link+":0")
	must(t, err)
	defer listener.Close()
	port := uint16(listener.Addr().(*net.TCPAddr).Port)
	root("stranger", "ip route replace 169.254.0.0/16 dev eth0; "+connectOnly(netip.AddrPortFrom(addr(link), port)))
	if out, err := c.in(s, connectOnly(netip.AddrPortFrom(addr(link), port))); err == nil {
		t.Errorf("the host's link: %s", out)
	}
}

// connectOnly makes a TCP connection, and nothing else.
func connectOnly(to netip.AddrPort) string {
	return fmt.Sprintf(`python3 -c 'import socket; socket.create_connection(("%s",%d),1.5); print("connected")'`, to.Addr(), to.Port())
}
