//go:build linux

package node_test

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"miniaws/backend"
)

// TestEngineSurroundings is about what is near an instance, and not its own: the host's services, the agent, the engine.
func TestEngineSurroundings(t *testing.T) {
	c := openCloud(t)
	info, err := c.network.NetworkInfo(t.Context())
	must(t, err)
	v := c.vpc("vpc-1")
	eni := c.eni(v, "public", "10.0.1.4", "sg-open").ID
	v.ENIs[0].Public = []backend.WantedPublicAddress{{Private: addr("10.0.1.4"), Public: info.Public.Addr()}}
	c.apply(v)
	i := c.launch(v, eni)

	t.Log("no service of the host is reached, though the way to the internet is open and the host hears everywhere")
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp4", "0.0.0.0:0")
	must(t, err)
	defer listener.Close()
	go func() {
		for connection, err := listener.Accept(); err == nil; connection, err = listener.Accept() {
			_ = connection.Close()
		}
	}()
	addresses, err := net.InterfaceAddrs()
	must(t, err)
	var hosts []string
	for _, address := range addresses {
		if network, ok := address.(*net.IPNet); ok && network.IP.To4() != nil && !network.IP.IsLoopback() {
			hosts = append(hosts, fmt.Sprintf("%q", network.IP.String()))
		}
	}
	port := listener.Addr().(*net.TCPAddr).Port
	c.want(i, fmt.Sprintf(`python3 -c '
import socket,concurrent.futures as f
def ask(a):
    try: socket.create_connection((a,%d),1.5); return a
    except OSError: return None
hosts=[%s]
print("asked",len(hosts)>1,"reached",[a for a in f.ThreadPoolExecutor(64).map(ask,hosts) if a])'`, port, strings.Join(hosts, ",")), "asked True reached []")

	t.Log("and none of the engine's or the agent's sockets is inside, nor does the agent listen anywhere on the host")
	c.want(i, "ls /run/mini-aws /var/run/docker.sock /run/docker.sock /run/mini-aws-vpcs 2>&1 | grep -vc 'No such file'; wc -l </proc/net/unix", "0\n1")
	if listening := listeningSockets(t, c.agentPID()); len(listening) > 0 {
		t.Errorf("the agent listens on the host: %q", listening)
	}

	t.Log("an interface endpoint answers at its own address those whom its groups let in, and says which it is")
	c.network.Answer(backend.Answers{API: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		origin, _ := backend.OriginFrom(r.Context())
		_, _ = fmt.Fprintf(w, "%s from %s by %q", origin.ENI, origin.Source, origin.Addressed)
	})})
	v.SecurityGroups = append(v.SecurityGroups, backend.WantedSecurityGroup{ID: "sg-endpoint"})
	door := c.eni(v, "private", "10.0.2.99", "sg-endpoint").ID
	v.Endpoints = []backend.WantedVPCEndpoint{{ID: "vpce-1", ENIs: []string{door}}}
	c.apply(v)
	c.want(i, "curl -sS -m3 http://169.254.169.250/", eni+` from 10.0.1.4 by ""`)
	if out, err := c.in(i, "curl -sS -m2 http://10.0.2.99/"); err == nil {
		t.Errorf("its group lets nobody in: %s", out)
	}
	v.SecurityGroups[1].Ingress = []backend.WantedSecurityRule{{Protocol: 6, FromPort: 443, ToPort: 443, CIDRs: []netip.Prefix{prefix("10.0.0.0/16")}}}
	c.apply(v)
	c.want(i, "curl -sS -m3 http://10.0.2.99/", eni+` from 10.0.1.4 by "vpce-1"`)

	t.Log("a namespace that somebody removed by hand is made anew with all that was in it")
	before, err := c.network.ListVPCs(t.Context())
	must(t, err)
	must(t, unmountIn(c.agentPID(), "/run/mini-aws-vpcs/vpc-1"))
	for deadline := time.Now().Add(15 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		all, err := c.network.ListVPCs(t.Context())
		must(t, err)
		if len(all) == 1 && len(all[0].ENIs) == 1 && all[0].Namespace != before[0].Namespace {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%+v", all)
		}
	}
	c.serve(i, 80)
	if out, err := exec.CommandContext(t.Context(), "sh", "-c", connectTo(info.Public.Addr().String(), 80)).CombinedOutput(); err != nil {
		t.Errorf("the public address: %v: %s", err, out)
	}
}

// unmountIn takes a mount away where the process sees it.
func unmountIn(pid int, path string) error {
	result := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		result <- func() error {
			namespace, err := os.Open(fmt.Sprintf("/proc/%d/ns/mnt", pid))
			if err != nil {
				return err
			}
			defer namespace.Close()
			return errors.Join(unix.Unshare(unix.CLONE_FS), unix.Setns(int(namespace.Fd()), unix.CLONE_NEWNS), unix.Unmount(path, unix.MNT_DETACH))
		}()
	}()
	return <-result
}

// listeningSockets answers the TCP sockets of the host's network on which the process listens.
func listeningSockets(t *testing.T, pid int) (found []string) {
	table, err := os.ReadFile("/proc/self/net/tcp")
	must(t, err)
	inodes := map[string]string{}
	for line := range strings.Lines(string(table)) {
		const state, listens, inode = 3, "0A", 9
		if fields := strings.Fields(line); len(fields) > inode && fields[state] == listens {
			inodes["socket:["+fields[inode]+"]"] = fields[1]
		}
	}
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	must(t, err)
	for _, file := range files {
		if target, err := os.Readlink(file); err == nil && inodes[target] != "" {
			found = append(found, inodes[target])
		}
	}
	return found
}
