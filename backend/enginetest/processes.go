package enginetest

import (
	"bytes"
	"net/netip"
	"strings"
	"time"

	"miniaws/backend"
)

// output answers what the container printed so far.
func (b *bench) output(id string, limit int64) string {
	b.Helper()
	var out bytes.Buffer
	b.must(b.engine.Logs(b.ctx, id, &out, limit))
	return out.String()
}

// printed waits until the container has printed the text.
func (b *bench) printed(id, text string) {
	b.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		out := b.output(id, 1<<20)
		if strings.Contains(out, text) {
			return
		}
		if time.Now().After(deadline) {
			b.Fatalf("%s did not print %q in %v: %q", id, text, patience, out)
		}
	}
}

func endsByItself(b *bench) {
	b.start(b.spec("i-1", "exit 7"))
	if ended := b.ended("i-1"); ended.ExitCode != 7 || ended.Ended.Before(ended.Started) {
		b.Errorf("ended as %+v", ended)
	}
}

func politeStop(b *bench) {
	b.start(b.spec("i-1", `trap "echo told; exit 3" TERM; echo ready; while :; do sleep 0.05; done`))
	b.printed("i-1", "ready")
	stopped, err := b.engine.Stop(b.ctx, "i-1", patience)
	b.must(err)
	if stopped.ExitCode != 3 {
		b.Errorf("stopped as %+v, printed %q", stopped, b.output("i-1", 1000))
	}

	b.start(b.spec("i-2", `trap "" TERM; echo ready; while :; do sleep 0.05; done`))
	b.printed("i-2", "ready")
	stopped, err = b.engine.Stop(b.ctx, "i-2", time.Second)
	b.must(err)
	if stopped.ExitCode != 137 {
		b.Errorf("killed as %+v", stopped)
	}
}

func layerSurvives(b *bench) {
	spec := b.spec("i-1", `echo boot >>/boots; wc -l </boots; exec sleep 600`)
	b.start(spec)
	b.printed("i-1", "1\n")
	_, err := b.engine.Stop(b.ctx, "i-1", time.Second)
	b.must(err)
	b.start(spec)
	b.printed("i-1", "1\n2\n")
}

func logs(b *bench) {
	b.start(b.spec("i-1", `i=0; while [ $i -lt 2000 ]; do echo "line $i"; i=$((i+1)); done; echo last >&2; exit 0`))
	b.ended("i-1")
	// The engine's log driver may lag behind the end of the process.
	b.printed("i-1", "last\n")
	if out := b.output("i-1", 1<<20); strings.Count(out, "line ") != 2000 {
		b.Errorf("whole log has %d bytes and %d lines", len(out), strings.Count(out, "\n"))
	}
	if out := b.output("i-1", 100); len(out) != 100 || !strings.Contains(out, "line 1999\n") {
		b.Errorf("end of log is %q", out)
	}
}

func stats(b *bench) {
	b.start(b.spec("i-1", `head -c 16777216 /dev/zero | tail -c 16777216 >/dev/null; echo worked; exec sleep 600`))
	b.printed("i-1", "worked")
	reading, err := b.engine.Stats(b.ctx, "i-1")
	b.must(err)
	if reading.CPU <= 0 || reading.MemoryBytes <= 0 || reading.Read.IsZero() {
		b.Errorf("reading is %+v", reading)
	}
	_, err = b.engine.Stop(b.ctx, "i-1", 0)
	b.must(err)
	_, err = b.engine.Stats(b.ctx, "i-1")
	b.wantKind(err, backend.KindNotFound)
}

func limits(b *bench) {
	// tail holds its whole input in memory, which is more than the limit.
	spec := b.spec("i-1", `head -c 300000000 /dev/zero | tail -c 300000000 >/dev/null; echo "tail left with $?"`)
	spec.MemoryBytes = 64 << 20
	spec.CPUs = 1
	b.start(spec)
	b.ended("i-1")
	b.printed("i-1", "tail left with 137")
}

func badCommand(b *bench) {
	spec := b.spec("i-1")
	spec.Entrypoint, spec.Command = []string{"/no/such/program"}, nil
	b.ensure(spec)
	_, err := b.engine.Start(b.ctx, "i-1")
	b.wantKind(err, backend.KindPermanent)
	if err == nil || !strings.Contains(err.Error(), "/no/such/program") {
		b.Errorf("error does not name the program: %v", err)
	}
}

// laterStart: what stands in the way of a start may go, so only a command that cannot be executed is permanent.
func laterStart(b *bench) {
	network, err := b.engine.EnsureNetwork(b.ctx, backend.NetworkSpec{ID: "net-1"})
	b.must(err)
	taken := network.Range.Addr().As4()
	taken[3] = 77
	for _, id := range []string{"i-1", "i-2"} {
		spec := b.spec(id)
		spec.Network, spec.Address = "net-1", netip.AddrFrom4(taken)
		b.ensure(spec)
	}
	_, err = b.engine.Start(b.ctx, "i-1")
	b.must(err)
	if _, err := b.engine.Start(b.ctx, "i-2"); err == nil || backend.KindOf(err) == backend.KindPermanent {
		b.Errorf("start on an address that another has: %v", err)
	}
	b.must(b.engine.Remove(b.ctx, "i-1"))
	started, err := b.engine.Start(b.ctx, "i-2")
	b.must(err)
	b.wantState(started, backend.StateRunning)
}

func committedImage(b *bench) {
	const ref = "mini-aws-test/committed:boot"
	first := b.spec("i-1", `echo kept >/kept; echo ready; exec sleep 600`)
	first.Env = []string{"SECRET=of the first"}
	b.start(first)
	b.printed("i-1", "ready")
	b.must(b.engine.Commit(b.ctx, "i-1", ref))
	b.must(b.engine.Remove(b.ctx, "i-1"))

	spec := b.spec("i-2", `cat /kept; echo "secret: [$SECRET]"`)
	spec.Image = ref
	b.start(spec)
	b.ended("i-2")
	b.printed("i-2", "kept\nsecret: []\n")
	b.must(b.engine.Remove(b.ctx, "i-2"))
	b.must(b.engine.RemoveImage(b.ctx, ref))
}

func noNetwork(b *bench) {
	b.start(b.spec("i-1", `ls /sys/class/net; echo listed`))
	b.printed("i-1", "listed")
	if out := b.output("i-1", 1000); out != "lo\nlisted\n" {
		b.Errorf("interfaces: %q", out)
	}
}

func removedByHand(b *bench) {
	if b.setup.RemoveByHand == nil {
		b.Skip("the engine cannot be gone behind")
	}
	spec := b.spec("i-1")
	first := b.start(spec)
	b.setup.RemoveByHand(b.T, first.EngineID)
	_, err := b.engine.Inspect(b.ctx, "i-1")
	b.wantKind(err, backend.KindNotFound)
	second := b.start(spec)
	b.wantState(second, backend.StateRunning)
	if second.EngineID == first.EngineID {
		b.Error("the same container came back")
	}
}
