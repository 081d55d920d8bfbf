package enginetest

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"testing"
	"time"

	"miniaws/backend"
)

// Setup tells the suite about the engine under test.
type Setup struct {
	// Open connects to the engine as the installation of that id.
	Open func(t *testing.T, owner string) backend.Engine
	// Image is one that the engine holds; where Real, it has /bin/sh and coreutils.
	Image string
	// Real is true where containers have processes.
	Real bool
	// RemoveByHand removes the engine's object behind the engine's back, as "docker rm -f" does; nil skips the case.
	RemoveByHand func(t *testing.T, engineID string)
}

// patience bounds every wait of the suite; a busy machine is slow, a hung engine is an error.
const patience = 60 * time.Second

// bench is one case's place to work: an engine of its own installation, swept at the end.
type bench struct {
	*testing.T
	ctx    context.Context
	engine backend.Engine
	setup  Setup
}

// Run runs the suite.
func Run(t *testing.T, setup Setup) {
	cases := []struct {
		name string
		real bool
		run  func(b *bench)
	}{
		{"life", false, life},
		{"absent", false, absent},
		{"missing image", false, missingImage},
		{"ended context", false, endedContext},
		{"concurrent ensure", false, concurrentEnsure},
		{"list is sorted and ours only", false, listing},
		{"images", false, images},
		{"info", false, info},
		{"changes", false, changes},
		{"networks", false, networks},
		{"addresses", false, addresses},
		{"files", false, files},
		{"everything", false, everything},
		{"concurrent networks and files", false, concurrentSurroundings},
		{"process ends by itself", true, endsByItself},
		{"stop is polite first", true, politeStop},
		{"layer survives stop and start", true, layerSurvives},
		{"logs", true, logs},
		{"stats", true, stats},
		{"limits", true, limits},
		{"limits that change", true, changedLimits},
		{"command that cannot run", true, badCommand},
		{"start that may work later", true, laterStart},
		{"committed image boots", true, committedImage},
		{"no network of its own making", true, noNetwork},
		{"removed by hand", true, removedByHand},
		{"address answers", true, reachable},
		{"files cannot be changed", true, filesCannotBeChanged},
		{"files are mended", true, filesAreMended},
		{"files spare a container", true, filesSpareContainers},
	}
	for _, c := range cases {
		if c.real && !setup.Real {
			continue
		}
		t.Run(c.name, func(t *testing.T) { c.run(open(t, setup)) })
	}
}

// open makes a bench whose cleanup removes what the case left and fails if something stays.
func open(t *testing.T, setup Setup) *bench {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	b := &bench{T: t, ctx: ctx, engine: setup.Open(t, newOwner()), setup: setup}
	t.Cleanup(func() {
		defer cancel()
		b.sweep()
	})
	return b
}

// sweep removes everything of the bench's installation and fails if something stays.
func (b *bench) sweep() {
	// The test's own context has ended by now.
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	attempt := func(err error) {
		if err != nil {
			b.Errorf("sweep: %v", err)
		}
	}
	containers, err := b.engine.List(ctx)
	attempt(err)
	for _, o := range containers {
		attempt(b.engine.Remove(ctx, o.ID))
	}
	networks, err := b.engine.ListNetworks(ctx)
	attempt(err)
	for _, n := range networks {
		attempt(b.engine.RemoveNetwork(ctx, n.ID))
	}
	volumes, err := b.engine.ListFiles(ctx)
	attempt(err)
	for _, id := range volumes {
		attempt(b.engine.RemoveFiles(ctx, id))
	}
	containers, err = b.engine.List(ctx)
	attempt(err)
	networks, err = b.engine.ListNetworks(ctx)
	attempt(err)
	volumes, err = b.engine.ListFiles(ctx)
	attempt(err)
	if len(containers)+len(networks)+len(volumes) > 0 {
		b.Errorf("left behind: %v, %v, %v", containers, networks, volumes)
	}
	attempt(b.engine.Close())
}

func newOwner() string {
	var raw [16]byte
	_, _ = rand.Read(raw[:]) // never fails
	return hex.EncodeToString(raw[:])
}

func (b *bench) spec(id string, shell ...string) backend.Spec {
	spec := backend.Spec{ID: id, Account: "000000000000", Region: "us-east-1", Image: b.setup.Image}
	if len(shell) == 0 {
		shell = []string{"exec sleep 600"}
	}
	spec.Entrypoint, spec.Command = []string{"/bin/sh", "-c"}, shell
	return spec
}

func (b *bench) ensure(spec backend.Spec) backend.Observed {
	b.Helper()
	observed, err := b.engine.Ensure(b.ctx, spec)
	b.must(err)
	return observed
}

func (b *bench) start(spec backend.Spec) backend.Observed {
	b.Helper()
	b.ensure(spec)
	observed, err := b.engine.Start(b.ctx, spec.ID)
	b.must(err)
	return observed
}

func (b *bench) must(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

func (b *bench) wantKind(err error, want backend.Kind) {
	b.Helper()
	if backend.KindOf(err) != want {
		b.Errorf("error %v: kind %v, want %v", err, backend.KindOf(err), want)
	}
}

func (b *bench) wantState(observed backend.Observed, want backend.State) {
	b.Helper()
	if observed.State != want {
		b.Errorf("state %s, want %s (%+v)", observed.State, want, observed)
	}
}

// ended waits for the container's process to end.
func (b *bench) ended(id string) backend.Observed {
	b.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		observed, err := b.engine.Inspect(b.ctx, id)
		b.must(err)
		if observed.State == backend.StateExited {
			return observed
		}
		if time.Now().After(deadline) {
			b.Fatalf("%s still %s after %v", id, observed.State, patience)
		}
	}
}
