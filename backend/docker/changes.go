package docker

import (
	"context"
	"iter"
	"strings"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/events"
	"github.com/docker/docker/api/types/filters"

	"miniaws/backend"
)

// Resize changes the limits of a container.
func (e *Engine) Resize(ctx context.Context, id string, cpus float64, memoryBytes int64) error {
	if _, err := e.Inspect(ctx, id); err != nil {
		return err
	}
	found, err := e.client.ContainerInspect(ctx, e.name(id))
	if err != nil {
		return e.failure("resize", id, err)
	}
	limits := container.Resources{NanoCPUs: int64(cpus * 1e9), Memory: memoryBytes, MemorySwap: memoryBytes}
	if have := found.HostConfig; have != nil && have.NanoCPUs == limits.NanoCPUs && have.Memory == limits.Memory {
		return nil
	}
	if _, err := e.client.ContainerUpdate(ctx, e.name(id), container.UpdateConfig{Resources: limits}); err != nil {
		return e.failure("resize", id, err)
	}
	return nil
}

// Changes follows the engine's events.
func (e *Engine) Changes(ctx context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		// The engine subscribes before it answers the first byte, and the client waits for that byte.
		messages, failed := e.client.Events(ctx, events.ListOptions{Filters: filters.NewArgs(
			filters.Arg("type", string(events.ContainerEventType)), e.ours(),
		)})
		if _, err := e.client.Ping(ctx); err != nil {
			yield("", e.failure("changes", "containers", err))
			return
		}
		if !yield("", nil) {
			return
		}
		for {
			select {
			case message := <-messages:
				switch message.Action {
				case events.ActionDie, events.ActionDestroy, events.ActionOOM, events.ActionStart, events.ActionPause, events.ActionUnPause:
					id := message.Actor.Attributes[backend.LabelID]
					if id != "" && !strings.Contains(id, ".") && !yield(id, nil) {
						return
					}
				}
			case err := <-failed:
				if ctx.Err() == nil {
					yield("", e.failure("changes", "containers", err))
				}
				return
			case <-ctx.Done():
				return
			}
		}
	}
}
