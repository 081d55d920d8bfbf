package node_test

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"miniaws/backend/node"
)

// TestEngineUpgrade: a gateway of another version replaces the agent by its own, in the same container; packets between instances do
// not notice, and rules are what they were.
func TestEngineUpgrade(t *testing.T) {
	c := openCloud(t)
	v := c.vpc("vpc-1")
	a, b := c.eni(v, "public", "10.0.1.4", "sg-open").ID, c.eni(v, "private", "10.0.2.4", "sg-open").ID
	c.apply(v)
	i, j := c.launch(v, a), c.launch(v, b)
	c.serve(j, 80)
	id := func() string {
		out, err := exec.CommandContext(t.Context(), "docker", "inspect", "-f", "{{.Id}} {{.State.StartedAt}}", c.agentName()).Output()
		must(t, err)
		return string(out)
	}
	container, pid := id(), c.agentPID()
	// The same program with one byte more is another version.
	other := filepath.Join(t.TempDir(), "mini-aws")
	from, err := os.Open(agentBinary.path)
	must(t, err)
	defer func() { _ = from.Close() }()
	to, err := os.OpenFile(other, os.O_CREATE|os.O_WRONLY, 0o755)
	must(t, err)
	_, err = io.Copy(to, io.MultiReader(from, strings.NewReader("+")))
	must(t, err)
	must(t, to.Close())

	traffic := exec.CommandContext(t.Context(), "docker", "exec", "mini-aws-"+c.owner[:12]+"-"+i, "ping", "-q", "-i", "0.02", "-c", "300", "-W1", "10.0.2.4")
	var report strings.Builder
	traffic.Stdout, traffic.Stderr = &report, &report
	must(t, traffic.Start())
	must(t, c.network.Close())
	c.network, err = node.Open(t.Context(), node.Options{Host: c.engine, Owner: c.owner, Folder: c.folder, Binary: other})
	must(t, err)
	if now := c.agentPID(); now == pid || id() != container {
		t.Errorf("agent %d was %d, container %s was %s", now, pid, id(), container)
	}
	if err := traffic.Wait(); err != nil || !strings.Contains(report.String(), " 0% packet loss") {
		t.Errorf("%v: %s", err, report.String())
	}
	all, err := c.network.ListVPCs(t.Context())
	if err != nil || len(all) != 1 || len(all[0].ENIs) != 2 {
		t.Errorf("the new agent knows %+v, %v", all, err)
	}
	c.want(i, connectTo("10.0.2.4", 80), "you are 10.0.1.4")
	v.SecurityGroups[0].Ingress = nil
	c.apply(v)
	c.refused(i, "10.0.2.4", 80)
}
