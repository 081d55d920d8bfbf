package docker

import (
	"context"
	"errors"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/api/types/volume"

	"miniaws/backend"
)

// Everything answers every object of the installation.
func (e *Engine) Everything(ctx context.Context) ([]backend.Object, error) {
	var all []backend.Object
	ours := filters.NewArgs(e.ours())
	containers, err := e.client.ContainerList(ctx, container.ListOptions{All: true, Filters: ours})
	if err != nil {
		return nil, e.failure("list everything", "containers", err)
	}
	for _, c := range containers {
		name := c.ID
		if len(c.Names) > 0 {
			name = c.Names[0][1:] // they begin with a slash
		}
		all = append(all, object("container", c.ID, name, c.Labels))
	}
	networks, err := e.client.NetworkList(ctx, network.ListOptions{Filters: ours})
	if err != nil {
		return nil, e.failure("list everything", "networks", err)
	}
	for _, n := range networks {
		all = append(all, object("network", n.ID, n.Name, n.Labels))
	}
	volumes, err := e.client.VolumeList(ctx, volume.ListOptions{Filters: ours})
	if err != nil {
		return nil, e.failure("list everything", "volumes", err)
	}
	for _, v := range volumes.Volumes {
		all = append(all, object("volume", v.Name, v.Name, v.Labels))
	}
	images, err := e.client.ImageList(ctx, image.ListOptions{Filters: ours})
	if err != nil {
		return nil, e.failure("list everything", "images", err)
	}
	for _, i := range images {
		name := i.ID
		if len(i.RepoTags) > 0 {
			name = i.RepoTags[0]
		}
		all = append(all, object("image", i.ID, name, i.Labels))
	}
	return all, nil
}

func object(kind, engineID, name string, labels map[string]string) backend.Object {
	return backend.Object{
		Kind: kind, EngineID: engineID, Name: name,
		ID: labels[backend.LabelID], Account: labels[backend.LabelAccount], Region: labels[backend.LabelRegion],
	}
}

// settle is how long the engine may still be making what a gateway asked for that was killed: a network takes it 0.1 s.
const settle = 300 * time.Millisecond

// RemoveEverything removes every object of the installation, in the order in which they hold each other, and calls
// removed after each. It goes on after an error, so that as little as possible is left. It looks until nothing is left.
func (e *Engine) RemoveEverything(ctx context.Context, removed func(backend.Object)) error {
	for {
		all, err := e.Everything(ctx)
		if err != nil {
			return err
		}
		if err := e.removeAll(ctx, all, removed); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return e.failure("remove everything", "all", ctx.Err())
		case <-time.After(settle):
		}
		if all, err = e.Everything(ctx); err != nil || len(all) == 0 {
			return err
		}
	}
}

func (e *Engine) removeAll(ctx context.Context, all []backend.Object, removed func(backend.Object)) (err error) {
	for _, o := range all {
		var failure error
		switch o.Kind {
		case "container":
			failure = e.client.ContainerRemove(ctx, o.EngineID, container.RemoveOptions{Force: true, RemoveVolumes: true})
		case "network":
			failure = e.client.NetworkRemove(ctx, o.EngineID)
		case "volume":
			failure = e.client.VolumeRemove(ctx, o.EngineID, true)
		case "image":
			_, failure = e.client.ImageRemove(ctx, o.EngineID, image.RemoveOptions{Force: true})
		}
		if failure == nil || cerrdefs.IsNotFound(failure) {
			removed(o)
			continue
		}
		err = errors.Join(err, e.failure("remove everything", o.Name, failure))
	}
	return err
}
