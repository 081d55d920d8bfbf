package node_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"miniaws/backend"
	"miniaws/backend/docker"
	"miniaws/backend/enginetest"
	"miniaws/backend/node"
)

const instanceImage = "mini-aws/instance:debian-12"

var agentBinary struct {
	once sync.Once
	path string
	err  error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if agentBinary.path != "" {
		_ = os.RemoveAll(filepath.Dir(agentBinary.path))
	}
	os.Exit(code)
}

func buildAgent() (string, error) {
	agentBinary.once.Do(func() {
		folder, err := os.MkdirTemp("", "mini-aws-agent")
		if err != nil {
			agentBinary.err = err
			return
		}
		agentBinary.path = filepath.Join(folder, "mini-aws")
		build := exec.Command("go", "build", "-o", agentBinary.path, "./testdata/agent")
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			agentBinary.err = fmt.Errorf("%w: %s", err, out)
		}
	})
	return agentBinary.path, agentBinary.err
}

// cloud is an installation of its own with an agent.
type cloud struct {
	testing.TB
	owner   string
	folder  string
	engine  *docker.Engine
	network *node.Network
	vpcs    map[string]*backend.WantedVPC
	// transits are those that explanations are to know.
	transits []*backend.WantedTransitGateway
	pids     map[string]int
	next     int
}

func openCloud(t testing.TB) *cloud {
	t.Helper()
	if os.Getenv("MINI_AWS_TEST_ENGINE") != "docker" {
		t.Skip("needs a Docker engine: run by make test, which sets MINI_AWS_TEST_ENGINE=docker")
	}
	if _, err := buildAgent(); err != nil {
		t.Fatal(err)
	}
	c := &cloud{TB: t, owner: strings.ToLower(rand.Text()), folder: t.TempDir(), vpcs: map[string]*backend.WantedVPC{}, pids: map[string]int{}}
	var err error
	if c.engine, err = docker.Open(t.Context(), c.owner); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.sweep)
	c.connect()
	return c
}

func (c *cloud) connect() {
	c.Helper()
	network, err := node.Open(c.Context(), node.Options{Host: c.engine, Owner: c.owner, Folder: c.folder, Binary: agentBinary.path})
	if err != nil {
		c.Fatalf("%v\n%s", err, c.agentLog())
	}
	c.network = network
}

func (c *cloud) agentName() string { return "mini-aws-" + c.owner[:12] + "-node" }

func (c *cloud) agentLog() string {
	out, _ := exec.Command("docker", "logs", "--tail", "40", c.agentName()).CombinedOutput()
	return string(out)
}

// sweep removes everything and fails if something stays.
func (c *cloud) sweep() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if c.Failed() {
		c.Log(c.agentLog())
	}
	if c.network != nil {
		if err := c.network.Close(); err != nil {
			c.Error(err)
		}
	}
	for name := range c.pids {
		if err := c.engine.Remove(ctx, name); err != nil {
			c.Error(err)
		}
	}
	if err := errors.Join(c.engine.RemoveAgent(ctx), c.engine.RemovePublicBridge(ctx), c.engine.Close()); err != nil {
		c.Error(err)
	}
	for _, kind := range [][]string{{"ps", "-aq"}, {"network", "ls", "-q"}, {"volume", "ls", "-q"}, {"images", "-q"}} {
		out, err := exec.Command("docker", append(kind, "--filter", "label="+backend.LabelOwner+"="+c.owner)...).CombinedOutput()
		if err != nil || len(out) > 0 {
			c.Errorf("docker %v: left behind: %s %v", kind, out, err)
		}
	}
	deadline := time.Now().Add(10 * time.Second)
	for {
		links, err := os.ReadDir("/sys/class/net")
		left := ""
		for _, link := range links {
			alias, _ := os.ReadFile("/sys/class/net/" + link.Name() + "/ifalias")
			if strings.Contains(string(alias), c.owner) {
				left += link.Name() + " "
			}
		}
		if left == "" && err == nil {
			return
		}
		if time.Now().After(deadline) {
			c.Errorf("devices left on the host: %s %v", left, err)
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func prefix(text string) netip.Prefix { return netip.MustParsePrefix(text) }
func addr(text string) netip.Addr     { return netip.MustParseAddr(text) }

var anywhere = []netip.Prefix{prefix("0.0.0.0/0")}

// vpc makes a VPC of 10.0.0.0/16 with a public subnet (10.0.1.0/24), a private one (10.0.2.0/24), and a group that
// allows everything.
func (c *cloud) vpc(id string) *backend.WantedVPC {
	everything := []backend.WantedSecurityRule{{Protocol: backend.ProtocolAll, CIDRs: anywhere}}
	all := []backend.WantedACLEntry{{Number: 100, Allow: true, Protocol: backend.ProtocolAll, CIDR: anywhere[0]}}
	v := &backend.WantedVPC{
		ID: id, CIDRs: []netip.Prefix{prefix("10.0.0.0/16")},
		Subnets: []backend.WantedSubnet{
			{ID: id + "-public", CIDR: prefix("10.0.1.0/24"), RouteTable: id + "-rtb-public", NetworkACL: id + "-acl"},
			{ID: id + "-private", CIDR: prefix("10.0.2.0/24"), RouteTable: id + "-rtb-private", NetworkACL: id + "-acl"},
		},
		RouteTables: []backend.WantedRouteTable{
			{ID: id + "-rtb-public", Routes: []backend.WantedRoute{{Destinations: anywhere, Target: "igw-" + id}}},
			{ID: id + "-rtb-private"},
		},
		SecurityGroups:  []backend.WantedSecurityGroup{{ID: "sg-open", Ingress: everything, Egress: everything}},
		NetworkACLs:     []backend.WantedNetworkACL{{ID: id + "-acl", Ingress: all, Egress: all}},
		InternetGateway: "igw-" + id,
		DNS:             backend.WantedDNS{Enabled: true},
	}
	c.vpcs[id] = v
	return v
}

// public answers one of the public addresses that may be given out.
func (c *cloud) public(n int) netip.Addr {
	c.Helper()
	info, err := c.network.NetworkInfo(c.Context())
	must(c, err)
	address := info.Public.Addr()
	for range n {
		address = address.Next()
	}
	return address
}

func (c *cloud) apply(v *backend.WantedVPC) backend.ObservedVPC {
	c.Helper()
	observed, err := c.network.ApplyVPC(c.Context(), *v)
	if err != nil || len(observed.Problems) > 0 {
		c.Fatalf("%v, problems %q", err, observed.Problems)
	}
	return observed
}

// eni adds an interface; the subnet is public or private.
func (c *cloud) eni(v *backend.WantedVPC, subnet, address string, groups ...string) *backend.WantedENI {
	c.next++
	v.ENIs = append(v.ENIs, backend.WantedENI{
		ID: fmt.Sprintf("eni-%017x", c.next), Subnet: v.ID + "-" + subnet, MAC: fmt.Sprintf("0a:00:00:00:%02x:%02x", c.next>>8, c.next&255),
		Addresses: []netip.Addr{addr(address)}, Groups: groups, SourceDestCheck: true,
	})
	return &v.ENIs[len(v.ENIs)-1]
}

// launch starts a container with the interface and nothing else. The VPC must be applied.
func (c *cloud) launch(v *backend.WantedVPC, eni string) string {
	c.Helper()
	name := "i-" + strings.TrimLeft(strings.TrimPrefix(eni, "eni-"), "0")
	if _, err := c.engine.Ensure(c.Context(), backend.Spec{ID: name, Image: instanceImage, Entrypoint: []string{"/bin/sleep", "infinity"}}); err != nil {
		c.Fatal(err)
	}
	c.pids[name] = 0
	c.start(v, eni, name)
	return name
}

func (c *cloud) start(v *backend.WantedVPC, eni, name string) {
	c.Helper()
	observed, err := c.engine.Start(c.Context(), name)
	must(c, err)
	c.pids[name] = observed.PID
	if _, err := c.network.AttachENI(c.Context(), backend.Attachment{VPC: v.ID, ENI: eni, Container: name, PID: observed.PID}); err != nil {
		c.Fatal(err)
	}
}

// in runs a command inside the container's network, with the image's tools.
func (c *cloud) in(name string, command string) (string, error) {
	out, err := exec.CommandContext(c.Context(), "docker", "exec", "mini-aws-"+c.owner[:12]+"-"+name, "sh", "-c", command).CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

func (c *cloud) want(name, command, want string) {
	c.Helper()
	out, err := c.in(name, command)
	if err != nil || !strings.Contains(out, want) {
		c.Errorf("%s: %s: %v: %q, want %q", name, command, err, out, want)
	}
}

func (c *cloud) reaches(name, address string) {
	c.Helper()
	if out, err := c.in(name, "ping -c1 -W2 "+address); err != nil {
		c.Errorf("%s does not reach %s: %v: %s", name, address, err, out)
	}
}

func (c *cloud) reachesNot(name, address string) {
	c.Helper()
	if out, err := c.in(name, "ping -c1 -W1 "+address); err == nil {
		c.Errorf("%s reaches %s: %s", name, address, out)
	}
}

// serve answers TCP connections on the port with the address of who connects.
func (c *cloud) serve(name string, port int) {
	c.Helper()
	script := fmt.Sprintf(`import socketserver
class H(socketserver.BaseRequestHandler):
    def handle(self): self.request.sendall(("you are "+self.client_address[0]).encode())
socketserver.ThreadingTCPServer.allow_reuse_address=True
socketserver.ThreadingTCPServer(("",%d),H).serve_forever()`, port)
	out, err := exec.CommandContext(c.Context(), "docker", "exec", "-d", "mini-aws-"+c.owner[:12]+"-"+name, "python3", "-c", script).CombinedOutput()
	if err != nil {
		c.Fatalf("%v: %s", err, out)
	}
	deadline := time.Now().Add(10 * time.Second)
	for {
		if out, err := c.in(name, fmt.Sprintf("python3 -c 'import socket;print(socket.create_connection((\"127.0.0.1\",%d),1).recv(99))'", port)); err == nil && strings.Contains(out, "you are") {
			return
		}
		if time.Now().After(deadline) {
			c.Fatalf("nothing listens on %d of %s", port, name)
		}
	}
}

func connectTo(address string, port int) string {
	return fmt.Sprintf(`python3 -c 'import socket;print(socket.create_connection(("%s",%d),1.5).recv(99).decode())'`, address, port)
}

func (c *cloud) refused(name, address string, port int) {
	c.Helper()
	if out, err := c.in(name, connectTo(address, port)); err == nil {
		c.Errorf("%s connects to %s:%d: %s", name, address, port, out)
	}
}

func TestEngineNetworkConforms(t *testing.T) {
	c := openCloud(t)
	enginetest.RunNetwork(t, enginetest.NetworkSetup{
		Network: c.network,
		Container: func(t *testing.T) (string, int) {
			if _, err := c.engine.Ensure(t.Context(), backend.Spec{ID: "i-c", Image: instanceImage, Entrypoint: []string{"/bin/sleep", "infinity"}}); err != nil {
				t.Fatal(err)
			}
			observed, err := c.engine.Start(t.Context(), "i-c")
			must(t, err)
			c.pids["i-c"] = observed.PID
			return "i-c", observed.PID
		},
		Restart: func(t *testing.T, name string) int {
			_, err := c.engine.Stop(t.Context(), name, 0)
			must(t, err)
			observed, err := c.engine.Start(t.Context(), name)
			must(t, err)
			return observed.PID
		},
	})
}

func TestEngineTwoVPCs(t *testing.T) {
	c := openCloud(t)
	info, err := c.network.NetworkInfo(t.Context())
	if err != nil || !info.Usable || !info.Public.IsValid() {
		t.Fatalf("%+v, %v", info, err)
	}
	public := info.Public.Addr()
	first, second := c.vpc("vpc-1"), c.vpc("vpc-2")
	web := c.eni(first, "public", "10.0.1.4", "sg-open").ID
	first.ENIs[0].Public = []backend.WantedPublicAddress{{Private: addr("10.0.1.4"), Public: public}}
	db := c.eni(first, "private", "10.0.2.4", "sg-open").ID
	twin := c.eni(second, "public", "10.0.1.4", "sg-open").ID
	c.apply(first)
	c.apply(second)
	i1, i2, j1 := c.launch(first, web), c.launch(first, db), c.launch(second, twin)

	t.Log("inside one VPC, and not into the other")
	c.reaches(i1, "10.0.2.4")
	c.reaches(i2, "10.0.1.4")
	c.reachesNot(j1, "10.0.2.4")
	c.want(i1, "ip -4 -o addr show eth0; ip route", "10.0.1.4/24")

	t.Log("the host reaches the public address, and the instance the host's side")
	c.serve(i1, 8080)
	if out, err := exec.CommandContext(t.Context(), "ping", "-c1", "-W2", public.String()).CombinedOutput(); err != nil {
		t.Logf("ping from the host: %v: %s", err, out)
	}
	if out, err := exec.CommandContext(t.Context(), "sh", "-c", connectTo(public.String(), 8080)).CombinedOutput(); err != nil || !strings.Contains(string(out), "you are") {
		t.Errorf("the host does not reach the public address: %v: %s", err, out)
	}

	t.Log("a private subnet has no way out until it has a NAT gateway, whose address is seen outside")
	c.refused(i2, public.String(), 8080)
	nat := public.Next()
	first.NATGateways = []backend.WantedNATGateway{{ID: "nat-1", Subnet: "vpc-1-public", Private: addr("10.0.1.9"), Public: nat}}
	first.RouteTables[1].Routes = []backend.WantedRoute{{Destinations: anywhere, Target: "nat-1"}}
	c.apply(first)
	c.want(i2, connectTo(public.String(), 8080), "you are "+nat.String())
	if out, err := exec.CommandContext(t.Context(), "sh", "-c", connectTo(nat.String(), 8080)).CombinedOutput(); err == nil {
		t.Errorf("a NAT gateway lets somebody in: %s", out)
	}

	t.Log("the other VPC has no public address: no way out, and none in")
	c.refused(j1, public.String(), 8080)
	second.ENIs[0].Public = []backend.WantedPublicAddress{{Private: addr("10.0.1.4"), Public: nat.Next()}}
	c.apply(second)
	c.want(j1, connectTo(public.String(), 8080), "you are "+nat.Next().String())
	c.want(i1, connectTo(public.String(), 8080), "you are "+public.String())

	t.Log("a public address moves live")
	second.ENIs[0].Public = nil
	first.ENIs[0].Public = nil
	c.apply(first)
	second.ENIs[0].Public = []backend.WantedPublicAddress{{Private: addr("10.0.1.4"), Public: public}}
	c.apply(second)
	c.serve(j1, 8081)
	if out, err := exec.CommandContext(t.Context(), "sh", "-c", connectTo(public.String(), 8081)).CombinedOutput(); err != nil {
		t.Errorf("the moved address: %v: %s", err, out)
	}

	t.Log("stop and start keep address and rules")
	if _, err := c.engine.Stop(t.Context(), i2, time.Second); err != nil {
		t.Fatal(err)
	}
	c.reachesNot(i1, "10.0.2.4")
	c.start(first, db, i2)
	c.reaches(i1, "10.0.2.4")

	t.Log("removing a VPC cuts its instances off, and the other goes on")
	must(t, c.network.RemoveVPC(t.Context(), "vpc-2"))
	c.reachesNot(j1, "10.0.1.1")
	c.reaches(i1, "10.0.2.4")
	all, err := c.network.ListVPCs(t.Context())
	if err != nil || len(all) != 1 || len(all[0].ENIs) != 2 {
		t.Errorf("%+v, %v", all, err)
	}
}
