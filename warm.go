package main

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"miniaws/backend"
	"miniaws/backend/docker"
	"miniaws/backend/node/initbinary"
	"miniaws/backend/sim"
	"miniaws/ec2"
)

// warmPause is how long after the ready line the first thing is made that the first instance would wait for: calls that
// come with the start do not wait behind it.
const warmPause = time.Second

// removalPatience is how long a server that stops waits for an engine. What is left then is known by its label: the next
// server that stops unused, or destroy, removes it.
const removalPatience = 20 * time.Second

// warmth is what the first instance of a server's life needs and does not make for itself: the node agent with its bridge,
// and the volume with the instances' init.
type warmth struct {
	engine   *docker.Engine
	network  backend.VPCNetwork
	machines *ec2.Service
	// forget removes what a removed agent leaves in the data folder.
	forget func() error
	// begun tells that something may have been made.
	begun bool
	// patience is how long a server that stops waits for the engine to remove it.
	patience time.Duration
}

// newWarmth answers nil where instances or networks are simulated: nothing is made for those.
func (w *worker) newWarmth(made *world) *warmth {
	engine, ok := w.engine.(*docker.Engine)
	if _, simulated := made.network.(*sim.Network); simulated || !ok {
		return nil
	}
	return &warmth{engine: engine, network: made.network, machines: made.cloud.machines, forget: w.forgetAgent, patience: removalPatience}
}

// make makes it, some time after ready, if the engine answers then. A launch that comes meanwhile waits for the same, and
// no longer than it would have. What fails here fails again, and is said, at the launch that needs it.
func (h *warmth) make(ctx context.Context, ready <-chan struct{}) {
	if h == nil {
		return
	}
	select {
	case <-ctx.Done():
		return
	case <-ready:
	}
	select {
	case <-ctx.Done():
		return
	case <-time.After(warmPause):
	}
	if _, err := h.engine.Info(ctx); err != nil {
		return
	}
	h.begun = true
	began := time.Now()
	if _, err := h.network.NetworkInfo(ctx); err != nil || ctx.Err() != nil {
		return
	}
	binary, err := initbinary.Load()
	if err == nil && h.engine.EnsureFiles(ctx, binary.ID, binary.Files) == nil {
		slog.Info("the engine is ready for the first instance", "after", time.Since(began).Round(time.Millisecond))
	}
}

// unused tells whether it was made, and nothing has come that uses it. The store must be open.
func (h *warmth) unused(ctx context.Context) (bool, error) {
	if h == nil || !h.begun {
		return false, nil
	}
	used, err := h.machines.UsesEngine(ctx)
	return !used, err
}

// remove takes it away again, after the network was closed, which would bring an agent back: a server that was not used for
// instances leaves nothing on the engine.
func (h *warmth) remove(ctx context.Context) error {
	ctx, enough := context.WithTimeout(ctx, h.patience)
	defer enough()
	err := errors.Join(h.engine.RemoveAgent(ctx), h.engine.RemovePublicBridge(ctx))
	if binary, unknown := initbinary.Load(); unknown == nil {
		err = errors.Join(err, h.engine.RemoveFiles(ctx, binary.ID))
	}
	return errors.Join(err, h.forget())
}
