// Package sim is the engine for machines without one: it keeps records and runs nothing. Control planes can be tried
// on it; everything that it answers says Simulated, and what would need a real process (logs, statistics) is
// KindUnsupported, never made up.
//
// Records live in memory. The loop that wants a container to be there makes it again after a restart.
package sim

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"runtime"
	"slices"
	"sync"
	"time"

	"miniaws/backend"
)

// Engine holds the records of one installation.
type Engine struct {
	now func() time.Time
	// knows tells whether a reference names an image that is there from the beginning.
	knows func(reference string) bool

	mu         sync.Mutex
	containers map[string]backend.Observed
	// images are those that Commit made.
	images   map[string]bool
	networks map[string]backend.Network
	// files holds the ids of files, and on maps a container to what it uses.
	files map[string]bool
	on    map[string]backend.Spec
	// feeds are the readers of Changes.
	feeds map[chan string]bool
}

var (
	_ backend.Engine    = (*Engine)(nil)
	_ backend.Inventory = (*Engine)(nil)
)

// Open makes an engine that has the images that knows tells of; any other is KindImageNotFound. now is its clock.
func Open(now func() time.Time, knows func(reference string) bool) *Engine {
	return &Engine{
		now:        now,
		knows:      knows,
		containers: map[string]backend.Observed{},
		images:     map[string]bool{},
		networks:   map[string]backend.Network{},
		files:      map[string]bool{},
		on:         map[string]backend.Spec{},
		feeds:      map[chan string]bool{},
	}
}

// begin takes the lock unless the context has ended. The caller unlocks on success.
func (e *Engine) begin(ctx context.Context, op, object string) error {
	if err := ctx.Err(); err != nil {
		return &backend.Error{Kind: backend.KindUnavailable, Op: op, Object: object, Err: err}
	}
	e.mu.Lock()
	return nil
}

// Ensure makes the record unless it exists.
func (e *Engine) Ensure(ctx context.Context, spec backend.Spec) (backend.Observed, error) {
	if err := e.begin(ctx, "ensure", spec.ID); err != nil {
		return backend.Observed{}, err
	}
	defer e.mu.Unlock()
	if observed, ok := e.containers[spec.ID]; ok {
		return observed, nil
	}
	if !e.has(spec.Image) {
		return backend.Observed{}, &backend.Error{Kind: backend.KindImageNotFound, Op: "ensure", Object: spec.ID, Err: fmt.Errorf("the simulated engine has no image %s", spec.Image)}
	}
	for _, id := range spec.Files {
		if !e.files[id] {
			return backend.Observed{}, &backend.Error{Kind: backend.KindNotFound, Op: "ensure", Object: id}
		}
	}
	observed := backend.Observed{
		ID: spec.ID, Account: spec.Account, Region: spec.Region,
		EngineID: "simulated-" + spec.ID, State: backend.StateCreated, Simulated: true,
	}
	if spec.Network != "" {
		address, err := e.address(spec)
		if err != nil {
			return backend.Observed{}, err
		}
		observed.Address = address
	}
	e.containers[spec.ID], e.on[spec.ID] = observed, spec
	return observed, nil
}

// Start marks the record as running.
func (e *Engine) Start(ctx context.Context, id string) (backend.Observed, error) {
	return e.change(ctx, "start", id, func(o *backend.Observed) {
		if o.State != backend.StateRunning {
			o.State, o.Started, o.ExitCode = backend.StateRunning, e.now(), 0
		}
	})
}

// Stop marks the record as exited.
func (e *Engine) Stop(ctx context.Context, id string, _ time.Duration) (backend.Observed, error) {
	return e.change(ctx, "stop", id, func(o *backend.Observed) {
		if o.State == backend.StateRunning {
			o.State, o.Ended = backend.StateExited, e.now()
		}
	})
}

// Inspect answers the record.
func (e *Engine) Inspect(ctx context.Context, id string) (backend.Observed, error) {
	return e.change(ctx, "inspect", id, func(*backend.Observed) {})
}

func (e *Engine) change(ctx context.Context, op, id string, change func(*backend.Observed)) (backend.Observed, error) {
	if err := e.begin(ctx, op, id); err != nil {
		return backend.Observed{}, err
	}
	defer e.mu.Unlock()
	observed, ok := e.containers[id]
	if !ok {
		return backend.Observed{}, &backend.Error{Kind: backend.KindNotFound, Op: op, Object: id}
	}
	before := observed.State
	change(&observed)
	e.containers[id] = observed
	if observed.State != before {
		e.tell(id)
	}
	return observed, nil
}

// Remove drops the record.
func (e *Engine) Remove(ctx context.Context, id string) error {
	if err := e.begin(ctx, "remove", id); err != nil {
		return err
	}
	defer e.mu.Unlock()
	if _, ok := e.containers[id]; ok {
		e.tell(id)
	}
	delete(e.containers, id)
	delete(e.on, id)
	return nil
}

// List answers all records in the order of their ids.
func (e *Engine) List(ctx context.Context) ([]backend.Observed, error) {
	if err := e.begin(ctx, "list", "containers"); err != nil {
		return nil, err
	}
	defer e.mu.Unlock()
	byID := func(a, b backend.Observed) int { return cmp.Compare(a.ID, b.ID) }
	return slices.SortedFunc(maps.Values(e.containers), byID), nil
}

// Logs is KindUnsupported: nothing runs that could print.
func (e *Engine) Logs(ctx context.Context, id string, _ io.Writer, _ int64) error {
	return e.unsupported(ctx, "logs", id)
}

// Stats is KindUnsupported: nothing runs that could use anything.
func (e *Engine) Stats(ctx context.Context, id string) (backend.Stats, error) {
	return backend.Stats{}, e.unsupported(ctx, "stats", id)
}

func (e *Engine) unsupported(ctx context.Context, op, id string) error {
	if _, err := e.Inspect(ctx, id); err != nil {
		return err
	}
	return &backend.Error{Kind: backend.KindUnsupported, Op: op, Object: id, Err: fmt.Errorf("the resource is simulated: no process runs behind it")}
}

// Commit records an image.
func (e *Engine) Commit(ctx context.Context, id, ref string) error {
	if _, err := e.Inspect(ctx, id); err != nil {
		return err
	}
	if err := e.begin(ctx, "commit", id); err != nil {
		return err
	}
	defer e.mu.Unlock()
	e.images[ref] = true
	return nil
}

// HasImage answers whether the reference is known.
func (e *Engine) HasImage(ctx context.Context, ref string) (bool, error) {
	if err := e.begin(ctx, "has image", ref); err != nil {
		return false, err
	}
	defer e.mu.Unlock()
	return e.has(ref), nil
}

func (e *Engine) has(ref string) bool { return e.images[ref] || e.knows(ref) }

// EnsureImage succeeds for a known image; there is no registry to ask.
func (e *Engine) EnsureImage(ctx context.Context, ref string) error {
	has, err := e.HasImage(ctx, ref)
	if err == nil && !has {
		err = &backend.Error{Kind: backend.KindImageNotFound, Op: "ensure image", Object: ref, Err: fmt.Errorf("the simulated engine has no such image and no registry")}
	}
	return err
}

// RemoveImage forgets an image that Commit made.
func (e *Engine) RemoveImage(ctx context.Context, ref string) error {
	if err := e.begin(ctx, "remove image", ref); err != nil {
		return err
	}
	defer e.mu.Unlock()
	delete(e.images, ref)
	return nil
}

// Info says that nothing here is real.
func (e *Engine) Info(context.Context) (backend.Info, error) {
	return backend.Info{Name: "sim", CPUs: runtime.NumCPU(), Simulated: true}, nil
}

// Close does nothing.
func (e *Engine) Close() error { return nil }
