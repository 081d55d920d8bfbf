package node_test

import (
	"fmt"
	"net/netip"
	"os/exec"
	"strings"
	"testing"

	"miniaws/backend"
)

// TestEngineAtomicChanges: while rules, groups, network ACLs, interfaces and routes change, nothing that is allowed the whole time
// is dropped, and nothing that is not gets through.
func TestEngineAtomicChanges(t *testing.T) {
	c := openCloud(t)
	v := c.vpc("vpc-1")
	v.SecurityGroups = append(v.SecurityGroups, backend.WantedSecurityGroup{
		ID: "sg-web", Egress: v.SecurityGroups[0].Egress, Ingress: []backend.WantedSecurityRule{{Protocol: backend.ProtocolTCP, FromPort: 80, ToPort: 80, Groups: []string{"sg-open"}}},
	})
	a, b := c.eni(v, "public", "10.0.1.4", "sg-open").ID, c.eni(v, "private", "10.0.2.4", "sg-web").ID
	c.apply(v)
	i, j := c.launch(v, a), c.launch(v, b)
	for _, port := range []int{80, 81} { // with a queue that no burst fills
		script := fmt.Sprintf("import socket\ns=socket.create_server((\"\",%d),backlog=1000)\nwhile True: s.accept()[0].close()", port)
		if out, err := exec.CommandContext(t.Context(), "docker", "exec", "-d", "mini-aws-"+c.owner[:12]+"-"+j, "python3", "-c", script).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	c.awaitOutput(i, connectOnly(netip.MustParseAddrPort("10.0.2.4:80")), "connected")
	// A lost packet of a connection's beginning is sent again after a second.
	const script = `import select,socket,sys
made=failed=slipped=0
while not select.select([sys.stdin],[],[],0)[0]:
    try: socket.create_connection(("10.0.2.4",80),0.9).close(); made+=1
    except OSError: failed+=1
    s=socket.socket(); s.settimeout(0.01)
    try: s.connect(("10.0.2.4",81)); slipped+=1
    except OSError: pass
    s.close()
print("made",made,"failed",failed,"slipped",slipped)`
	client := exec.CommandContext(t.Context(), "docker", "exec", "-i", "mini-aws-"+c.owner[:12]+"-"+i, "python3", "-c", script)
	in, err := client.StdinPipe()
	must(t, err)
	var said strings.Builder
	client.Stdout, client.Stderr = &said, &said
	must(t, client.Start())
	const changes = 60
	for n := range changes {
		web := &v.SecurityGroups[1]
		web.Ingress = append(web.Ingress[:1:1], backend.WantedSecurityRule{Protocol: backend.ProtocolTCP, FromPort: 9000 + n, ToPort: 9000 + n, CIDRs: anywhere})
		v.NetworkACLs[0].Ingress = append(v.NetworkACLs[0].Ingress[:1:1], backend.WantedACLEntry{Number: 1 + n, Protocol: backend.ProtocolTCP, FromPort: 7, ToPort: 7, CIDR: anywhere[0]})
		v.RouteTables[0].Routes = append(v.RouteTables[0].Routes[:1:1], backend.WantedRoute{Destinations: []netip.Prefix{prefix(fmt.Sprintf("192.168.%d.0/24", n))}, Target: "eni-gone"})
		v.ENIs = v.ENIs[:2:2]
		c.eni(v, "private", fmt.Sprintf("10.0.2.%d", 100+n), "sg-web")
		c.apply(v)
	}
	must(t, in.Close())
	must(t, client.Wait())
	var made, failed, slipped int
	_, last, _ := strings.Cut(said.String(), "made ")
	last = "made " + last
	if _, err := fmt.Sscanf(last, "made %d failed %d slipped %d", &made, &failed, &slipped); err != nil || made < 10 || failed > 0 || slipped > 0 {
		t.Errorf("%v: %s", err, said.String())
	}
	t.Logf("%d changes: %s", changes, last)
}
