package enginetest

import (
	"context"
	"slices"
	"sync"
	"time"

	"miniaws/backend"
)

func life(b *bench) {
	spec := b.spec("i-0123456789abcdef0")
	made := b.ensure(spec)
	b.wantState(made, backend.StateCreated)
	if made.ID != spec.ID || made.Account != spec.Account || made.Region != spec.Region || made.EngineID == "" {
		b.Errorf("ensure answered %+v", made)
	}
	if again := b.ensure(spec); again != made {
		b.Errorf("second ensure answered %+v, first %+v", again, made)
	}

	started := b.start(spec)
	b.wantState(started, backend.StateRunning)
	if b.setup.Real == (started.PID == 0) {
		b.Errorf("running with process id %d", started.PID)
	}
	if started.Started.IsZero() {
		b.Error("running since never")
	}
	again := b.start(spec)
	if again != started {
		b.Errorf("second start answered %+v, first %+v", again, started)
	}

	for range 2 {
		stopped, err := b.engine.Stop(b.ctx, spec.ID, time.Second)
		b.must(err)
		b.wantState(stopped, backend.StateExited)
		if stopped.PID != 0 || stopped.Ended.IsZero() {
			b.Errorf("stopped is %+v", stopped)
		}
	}
	b.wantState(b.start(spec), backend.StateRunning)

	for range 2 {
		b.must(b.engine.Remove(b.ctx, spec.ID))
	}
	_, err := b.engine.Inspect(b.ctx, spec.ID)
	b.wantKind(err, backend.KindNotFound)
}

func absent(b *bench) {
	const id = "i-00000000000000000"
	_, err := b.engine.Inspect(b.ctx, id)
	b.wantKind(err, backend.KindNotFound)
	_, err = b.engine.Start(b.ctx, id)
	b.wantKind(err, backend.KindNotFound)
	_, err = b.engine.Stop(b.ctx, id, time.Second)
	b.wantKind(err, backend.KindNotFound)
	_, err = b.engine.Stats(b.ctx, id)
	b.wantKind(err, backend.KindNotFound)
	b.wantKind(b.engine.Logs(b.ctx, id, nil, 1), backend.KindNotFound)
	b.wantKind(b.engine.Commit(b.ctx, id, "mini-aws-test/none:latest"), backend.KindNotFound)
}

func missingImage(b *bench) {
	const ref = "mini-aws-test/no-such-image:latest"
	spec := b.spec("i-1")
	spec.Image = ref
	_, err := b.engine.Ensure(b.ctx, spec)
	b.wantKind(err, backend.KindImageNotFound)
	b.wantKind(b.engine.EnsureImage(b.ctx, ref), backend.KindImageNotFound)
	if left, err := b.engine.List(b.ctx); err != nil || len(left) != 0 {
		b.Errorf("a container without its image: %v, %v", left, err)
	}
}

func endedContext(b *bench) {
	ctx, cancel := context.WithCancel(b.ctx)
	cancel()
	_, err := b.engine.Ensure(ctx, b.spec("i-1"))
	b.wantKind(err, backend.KindUnavailable)
	_, err = b.engine.List(ctx)
	b.wantKind(err, backend.KindUnavailable)
}

func concurrentEnsure(b *bench) {
	const callers = 8
	answers := make([]backend.Observed, callers)
	errs := make([]error, callers)
	var all sync.WaitGroup
	for i := range callers {
		all.Go(func() { answers[i], errs[i] = b.engine.Ensure(b.ctx, b.spec("i-1")) })
	}
	all.Wait()
	for i := range callers {
		if errs[i] != nil || answers[i].EngineID != answers[0].EngineID {
			b.Errorf("caller %d: %+v, %v; caller 0: %+v", i, answers[i], errs[i], answers[0])
		}
	}
}

func listing(b *bench) {
	for _, id := range []string{"i-3", "i-1", "i-2"} {
		b.ensure(b.spec(id))
	}
	other := open(b.T, b.setup)
	other.ensure(other.spec("i-1"))

	found, err := b.engine.List(b.ctx)
	b.must(err)
	var ids []string
	for _, o := range found {
		ids = append(ids, o.ID)
	}
	if !slices.Equal(ids, []string{"i-1", "i-2", "i-3"}) {
		b.Errorf("list has %q", ids)
	}
	b.must(b.engine.Remove(b.ctx, "i-1"))
	if _, err := other.engine.Inspect(other.ctx, "i-1"); err != nil {
		b.Errorf("another installation's i-1 after ours was removed: %v", err)
	}
}

func images(b *bench) {
	has, err := b.engine.HasImage(b.ctx, b.setup.Image)
	b.must(err)
	if !has {
		b.Fatalf("the engine lacks %s", b.setup.Image)
	}
	b.must(b.engine.EnsureImage(b.ctx, b.setup.Image))
	b.must(b.engine.RemoveImage(b.ctx, b.setup.Image))
	if has, err = b.engine.HasImage(b.ctx, b.setup.Image); err != nil || !has {
		b.Fatalf("an image that is not ours was removed: %v, %v", has, err)
	}

	const ref = "mini-aws-test/committed:life"
	b.ensure(b.spec("i-1"))
	b.must(b.engine.Commit(b.ctx, "i-1", ref))
	if has, err = b.engine.HasImage(b.ctx, ref); err != nil || !has {
		b.Errorf("committed image: %v, %v", has, err)
	}
	b.must(b.engine.Remove(b.ctx, "i-1"))
	for range 2 {
		b.must(b.engine.RemoveImage(b.ctx, ref))
	}
	if has, err = b.engine.HasImage(b.ctx, ref); err != nil || has {
		b.Errorf("removed image: %v, %v", has, err)
	}
}

func info(b *bench) {
	info, err := b.engine.Info(b.ctx)
	b.must(err)
	if info.Name == "" || info.CPUs == 0 || info.Simulated == b.setup.Real {
		b.Errorf("info is %+v", info)
	}
}
