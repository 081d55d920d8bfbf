package enginetest

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing/fstest"
	"time"

	"miniaws/backend"
)

func networks(b *bench) {
	first, err := b.engine.EnsureNetwork(b.ctx, backend.NetworkSpec{ID: "net-1", Account: "000000000000", Region: "us-east-1"})
	b.must(err)
	if first.Range.Bits() != 16 || first.ID != "net-1" || first.Account != "000000000000" || first.EngineID == "" {
		b.Errorf("network is %+v", first)
	}
	again, err := b.engine.EnsureNetwork(b.ctx, backend.NetworkSpec{ID: "net-1"})
	b.must(err)
	if again != first {
		b.Errorf("second ensure answered %+v, first %+v", again, first)
	}
	second, err := b.engine.EnsureNetwork(b.ctx, backend.NetworkSpec{ID: "net-2"})
	b.must(err)
	if second.Range.Overlaps(first.Range) {
		b.Errorf("ranges %v and %v overlap", first.Range, second.Range)
	}
	_, err = b.engine.EnsureNetwork(b.ctx, backend.NetworkSpec{ID: "net-3", Range: first.Range})
	b.wantKind(err, backend.KindInUse)

	found, err := b.engine.ListNetworks(b.ctx)
	b.must(err)
	if len(found) != 2 || found[0] != first || found[1] != second {
		b.Errorf("list has %+v", found)
	}
	for range 2 {
		b.must(b.engine.RemoveNetwork(b.ctx, "net-2"))
	}

	spec := b.spec("i-1")
	spec.Network = "net-2"
	_, err = b.engine.Ensure(b.ctx, spec)
	b.wantKind(err, backend.KindNotFound)
}

func addresses(b *bench) {
	network, err := b.engine.EnsureNetwork(b.ctx, backend.NetworkSpec{ID: "net-1"})
	b.must(err)
	wanted := network.Range.Addr().As4()
	wanted[3] = 77
	fixed := b.spec("i-1")
	fixed.Network, fixed.Address = "net-1", netip.AddrFrom4(wanted)
	if got := b.start(fixed).Address; got != fixed.Address {
		b.Errorf("address %v, wanted %v", got, fixed.Address)
	}
	free := b.spec("i-2")
	free.Network = "net-1"
	if got := b.start(free).Address; !network.Range.Contains(got) || got == fixed.Address {
		b.Errorf("address %v of range %v", got, network.Range)
	}
	stopped, err := b.engine.Stop(b.ctx, "i-1", 0)
	b.must(err)
	if stopped.Address != fixed.Address {
		b.Errorf("address of the stopped container %v, wanted %v", stopped.Address, fixed.Address)
	}
	if got := b.start(fixed).Address; got != fixed.Address {
		b.Errorf("address after stop and start %v, wanted %v", got, fixed.Address)
	}
	b.wantKind(b.engine.RemoveNetwork(b.ctx, "net-1"), backend.KindInUse)
}

// reachable: what listens in a container answers on its address, from this machine.
func reachable(b *bench) {
	_, err := b.engine.EnsureNetwork(b.ctx, backend.NetworkSpec{ID: "net-1"})
	b.must(err)
	spec := b.spec("i-1", `perl -MIO::Socket::INET -e '$s = IO::Socket::INET->new(LocalPort => 7, Listen => 5, ReuseAddr => 1) or die; while ($c = $s->accept) { print $c "here\n"; close $c }'`)
	spec.Network = "net-1"
	target := net.JoinHostPort(b.start(spec).Address.String(), "7")
	answer := ""
	for deadline := time.Now().Add(patience); answer == "" && time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		connection, err := net.DialTimeout("tcp", target, time.Second)
		if err != nil {
			continue
		}
		said, err := io.ReadAll(connection)
		b.must(err)
		b.must(connection.Close())
		answer = string(said)
	}
	if answer != "here\n" {
		b.Errorf("%s answered %q", target, answer)
	}
}

func files(b *bench) {
	content := fstest.MapFS{
		"bin/tool":  {Data: []byte("#!/bin/sh\necho \"tool $1\"\n"), Mode: 0o755},
		"read/only": {Data: []byte(strings.Repeat("x", 1<<20)), Mode: 0o600},
	}
	for range 2 {
		b.must(b.engine.EnsureFiles(b.ctx, "files-1", content))
	}
	b.must(b.engine.EnsureFiles(b.ctx, "files-2", fstest.MapFS{"a": {Data: []byte("a")}}))
	if ids, err := b.engine.ListFiles(b.ctx); err != nil || !slices.Equal(ids, []string{"files-1", "files-2"}) {
		b.Errorf("list has %q, %v", ids, err)
	}
	if found, err := b.engine.List(b.ctx); err != nil || len(found) != 0 {
		b.Errorf("containers left by bringing files: %+v, %v", found, err)
	}

	spec := b.spec("i-1")
	spec.Files = map[string]string{"/opt/files": "files-1"}
	b.start(spec)
	b.wantKind(b.engine.RemoveFiles(b.ctx, "files-1"), backend.KindInUse)
	b.must(b.engine.Remove(b.ctx, "i-1"))
	for range 2 {
		b.must(b.engine.RemoveFiles(b.ctx, "files-1"))
	}
	spec = b.spec("i-2")
	spec.Files = map[string]string{"/opt/files": "files-1"}
	_, err := b.engine.Ensure(b.ctx, spec)
	b.wantKind(err, backend.KindNotFound)
}

// concurrentSurroundings: many callers of the same id make one network and one volume.
// everything is what carries the installation's label, and nothing that carries another's.
func everything(b *bench) {
	inventory, ok := b.engine.(backend.Inventory)
	if !ok {
		b.Skip("this engine keeps no inventory")
	}
	other := open(b.T, b.setup)
	other.ensure(other.spec("i-2"))
	none, err := inventory.Everything(b.ctx)
	b.must(err)
	if len(none) != 0 {
		b.Errorf("a new installation has %+v", none)
	}
	_, err = b.engine.EnsureNetwork(b.ctx, backend.NetworkSpec{ID: "net-1", Account: "000000000000", Region: "us-east-1"})
	b.must(err)
	b.must(b.engine.EnsureFiles(b.ctx, "files-1", fstest.MapFS{"a": {Data: []byte("a"), Mode: 0o644}}))
	spec := b.spec("i-1")
	spec.Network, spec.Files = "net-1", map[string]string{"/wanted": "files-1"}
	b.start(spec)
	b.must(b.engine.Commit(b.ctx, "i-1", "mini-aws-test/everything:latest"))
	all, err := inventory.Everything(b.ctx)
	b.must(err)
	kinds := map[string]int{}
	for _, o := range all {
		kinds[o.Kind]++
		if o.EngineID == "" || o.Name == "" {
			b.Errorf("an object without a name: %+v", o)
		}
		if o.Kind == "container" && (o.ID != "i-1" || o.Account != spec.Account || o.Region != spec.Region) {
			b.Errorf("the container is %+v", o)
		}
	}
	if want := map[string]int{"container": 1, "network": 1, "volume": 1, "image": 1}; !maps.Equal(kinds, want) {
		b.Errorf("everything is %v, want %v: %+v", kinds, want, all)
	}
	var removed []backend.Object
	b.must(inventory.RemoveEverything(b.ctx, func(o backend.Object) { removed = append(removed, o) }))
	if len(removed) != len(all) {
		b.Errorf("removed %+v of %+v", removed, all)
	}
	left, err := inventory.Everything(b.ctx)
	b.must(err)
	if len(left) != 0 {
		b.Errorf("left: %+v", left)
	}
	if _, err := other.engine.Inspect(b.ctx, "i-2"); err != nil {
		b.Errorf("another installation's container: %v", err)
	}
}

func concurrentSurroundings(b *bench) {
	const callers = 6
	content := fstest.MapFS{"a": {Data: []byte(strings.Repeat("a", 1<<20)), Mode: 0o644}}
	made := make([]backend.Network, callers)
	var errs [2 * callers]error
	var all sync.WaitGroup
	for i := range callers {
		all.Go(func() { made[i], errs[i] = b.engine.EnsureNetwork(b.ctx, backend.NetworkSpec{ID: "net-1"}) })
		all.Go(func() { errs[callers+i] = b.engine.EnsureFiles(b.ctx, "files-1", content) })
	}
	all.Wait()
	b.must(errors.Join(errs[:]...))
	for i := range callers {
		if made[i] != made[0] {
			b.Errorf("caller %d has %+v, caller 0 %+v", i, made[i], made[0])
		}
	}
}

// filesCannotBeChanged: root in the container can run the files, and do nothing to them.
func filesCannotBeChanged(b *bench) {
	content := fstest.MapFS{"tool": {Data: []byte("#!/bin/sh\necho \"tool $1\"\n"), Mode: 0o755}}
	b.must(b.engine.EnsureFiles(b.ctx, "files-1", content))
	attacks := map[string]string{
		"write":   `echo evil >>/opt/files/tool`,
		"replace": `cp /bin/true /opt/files/tool`,
		"remove":  `rm /opt/files/tool`,
		"move":    `mv /opt/files/tool /tmp/tool`,
		"mode":    `chmod 0777 /opt/files/tool`,
		"remount": `mount -o remount,rw /opt/files`,
		"unmount": `umount /opt/files`,
	}
	var script strings.Builder
	for _, name := range slices.Sorted(maps.Keys(attacks)) {
		fmt.Fprintf(&script, "if %s 2>/dev/null; then echo %s done; else echo %s refused; fi; ", attacks[name], name, name)
	}
	script.WriteString("/opt/files/tool works; stat -c '%U %a' /opt/files/tool")
	spec := b.spec("i-1", script.String())
	spec.Files = map[string]string{"/opt/files": "files-1"}
	b.start(spec)
	b.ended("i-1")
	b.printed("i-1", "root 755\n")
	out := b.output("i-1", 1<<16)
	if strings.Contains(out, "done") || strings.Count(out, "refused") != len(attacks) || !strings.Contains(out, "tool works\n") {
		b.Errorf("as root in the container:\n%s", out)
	}
}

// filesAreMended: a volume that a crash left half filled, or that changed since, is filled again.
func filesAreMended(b *bench) {
	b.must(b.engine.EnsureFiles(b.ctx, "files-1", fstest.MapFS{"a": {Data: []byte("half"), Mode: 0o644}}))
	b.must(b.engine.EnsureFiles(b.ctx, "files-1", fstest.MapFS{"a": {Data: []byte("whole"), Mode: 0o644}, "b": {Data: []byte("b"), Mode: 0o644}}))
	spec := b.spec("i-1", "cat /opt/files/a /opt/files/b; ls /opt/files | wc -l")
	spec.Files = map[string]string{"/opt/files": "files-1"}
	b.start(spec)
	b.ended("i-1")
	b.printed("i-1", "wholeb2\n")
}

// filesSpareContainers: no id of a container is the name of what brings files.
func filesSpareContainers(b *bench) {
	for _, id := range []string{"copy-files-1", "files-1"} {
		spec := b.spec(id)
		first := b.start(spec)
		b.must(b.engine.EnsureFiles(b.ctx, "files-1", fstest.MapFS{"a": {Data: []byte("a"), Mode: 0o644}}))
		if now, err := b.engine.Inspect(b.ctx, id); err != nil || now != first {
			b.Errorf("%s is %+v, %v; it was %+v", id, now, err, first)
		}
	}
}
