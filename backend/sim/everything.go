package sim

import (
	"context"
	"maps"
	"slices"

	"miniaws/backend"
)

// Everything answers all records.
func (e *Engine) Everything(ctx context.Context) ([]backend.Object, error) {
	containers, err := e.List(ctx)
	if err != nil {
		return nil, err
	}
	var all []backend.Object
	for _, c := range containers {
		all = append(all, backend.Object{Kind: "container", EngineID: c.EngineID, Name: c.ID, ID: c.ID, Account: c.Account, Region: c.Region})
	}
	networks, err := e.ListNetworks(ctx)
	if err != nil {
		return nil, err
	}
	for _, n := range networks {
		all = append(all, backend.Object{Kind: "network", EngineID: n.EngineID, Name: n.ID, ID: n.ID, Account: n.Account, Region: n.Region})
	}
	files, err := e.ListFiles(ctx)
	if err != nil {
		return nil, err
	}
	for _, id := range files {
		all = append(all, backend.Object{Kind: "volume", EngineID: id, Name: id, ID: id})
	}
	if err := e.begin(ctx, "list everything", "images"); err != nil {
		return nil, err
	}
	defer e.mu.Unlock()
	for _, ref := range slices.Sorted(maps.Keys(e.images)) {
		all = append(all, backend.Object{Kind: "image", EngineID: ref, Name: ref})
	}
	return all, nil
}

// RemoveEverything forgets all records.
func (e *Engine) RemoveEverything(ctx context.Context, removed func(backend.Object)) error {
	all, err := e.Everything(ctx)
	if err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, o := range all {
		switch o.Kind {
		case "container":
			delete(e.containers, o.ID)
			delete(e.on, o.ID)
		case "network":
			delete(e.networks, o.ID)
		case "volume":
			delete(e.files, o.ID)
		case "image":
			delete(e.images, o.Name)
		}
		removed(o)
	}
	return nil
}
