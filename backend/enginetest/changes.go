package enginetest

import (
	"context"
	"strings"
	"time"

	"miniaws/backend"
)

// changes: the feed says that it stands, and then which container changed.
func changes(b *bench) {
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	seen := make(chan string, 100)
	ended := make(chan error, 1)
	go func() {
		var last error
		for id, err := range b.engine.Changes(ctx) {
			if err != nil {
				last = err
				break
			}
			seen <- id
		}
		ended <- last
	}()
	wait := func(want string) {
		b.Helper()
		for {
			select {
			case id := <-seen:
				if id == want {
					return
				}
			case err := <-ended:
				b.Fatalf("the feed ended: %v", err)
			case <-ctx.Done():
				b.Fatalf("nothing was said of %q", want)
			}
		}
	}
	wait("")
	b.start(b.spec("i-1", "exec sleep 600"))
	wait("i-1")
	_, err := b.engine.Stop(b.ctx, "i-1", time.Second)
	b.must(err)
	wait("i-1")
	b.must(b.engine.Remove(b.ctx, "i-1"))
	wait("i-1")
	cancel()
	if err := <-ended; err != nil {
		b.Errorf("the feed of an ended context: %v", err)
	}
}

// changedLimits: limits change while the container is there, and it sees the new ones.
func changedLimits(b *bench) {
	if err := b.engine.Resize(b.ctx, "i-none", 1, 64<<20); backend.KindOf(err) != backend.KindNotFound {
		b.Errorf("resize of nothing: %v", err)
	}
	spec := b.spec("i-1", "cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null; echo said; exec sleep 600")
	spec.CPUs, spec.MemoryBytes = 1, 128<<20
	b.start(spec)
	b.printed("i-1", "said")
	_, err := b.engine.Stop(b.ctx, "i-1", 0)
	b.must(err)
	for range 2 { // as often as one likes
		b.must(b.engine.Resize(b.ctx, "i-1", 0.5, 256<<20))
	}
	_, err = b.engine.Start(b.ctx, "i-1")
	b.must(err)
	b.printed("i-1", "268435456")
	if out := b.output("i-1", 1<<16); !strings.Contains(out, "134217728") {
		b.Errorf("the first limit did not show: %q", out)
	}
}
