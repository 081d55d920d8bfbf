package sim

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"maps"
	"net/netip"
	"slices"

	"miniaws/backend"
)

// EnsureNetwork records a network with a range that no other record overlaps.
func (e *Engine) EnsureNetwork(ctx context.Context, spec backend.NetworkSpec) (backend.Network, error) {
	if err := e.begin(ctx, "ensure network", spec.ID); err != nil {
		return backend.Network{}, err
	}
	defer e.mu.Unlock()
	if found, ok := e.networks[spec.ID]; ok {
		return found, nil
	}
	ranges := []netip.Prefix{spec.Range}
	if !spec.Range.IsValid() {
		ranges = backend.FreeRanges()
	}
	for _, candidate := range ranges {
		if !e.overlaps(candidate) {
			made := backend.Network{
				ID: spec.ID, Account: spec.Account, Region: spec.Region,
				EngineID: "simulated-" + spec.ID, Range: candidate.Masked(),
			}
			e.networks[spec.ID] = made
			return made, nil
		}
	}
	return backend.Network{}, &backend.Error{Kind: backend.KindInUse, Op: "ensure network", Object: spec.ID, Err: fmt.Errorf("the range overlaps another network's")}
}

func (e *Engine) overlaps(candidate netip.Prefix) bool {
	for _, network := range e.networks {
		if network.Range.Overlaps(candidate) {
			return true
		}
	}
	return false
}

// address answers the wanted address, or the first free one of the network; the range's first address is the gateway's
// on a real engine.
func (e *Engine) address(spec backend.Spec) (netip.Addr, error) {
	network, ok := e.networks[spec.Network]
	if !ok {
		return netip.Addr{}, &backend.Error{Kind: backend.KindNotFound, Op: "ensure", Object: spec.Network}
	}
	taken := map[netip.Addr]bool{network.Range.Addr(): true, network.Range.Addr().Next(): true}
	for _, other := range e.containers {
		taken[other.Address] = true
	}
	address := spec.Address
	if !address.IsValid() {
		for address = network.Range.Addr(); taken[address]; {
			address = address.Next()
		}
	}
	if !network.Range.Contains(address) || taken[address] {
		return netip.Addr{}, &backend.Error{Kind: backend.KindInUse, Op: "ensure", Object: spec.ID, Err: fmt.Errorf("address %v is taken or outside %v", address, network.Range)}
	}
	return address, nil
}

// RemoveNetwork drops the record unless a container is on the network.
func (e *Engine) RemoveNetwork(ctx context.Context, id string) error {
	return e.forget(ctx, "remove network", id, func(spec backend.Spec) bool { return spec.Network == id }, func() { delete(e.networks, id) })
}

// ListNetworks answers all records in the order of their ids.
func (e *Engine) ListNetworks(ctx context.Context) ([]backend.Network, error) {
	if err := e.begin(ctx, "list networks", "networks"); err != nil {
		return nil, err
	}
	defer e.mu.Unlock()
	return slices.SortedFunc(maps.Values(e.networks), func(a, b backend.Network) int { return cmp.Compare(a.ID, b.ID) }), nil
}

// EnsureFiles records the id.
func (e *Engine) EnsureFiles(ctx context.Context, id string, _ fs.FS) error {
	if err := e.begin(ctx, "ensure files", id); err != nil {
		return err
	}
	defer e.mu.Unlock()
	e.files[id] = true
	return nil
}

// RemoveFiles drops the record unless a container has the files.
func (e *Engine) RemoveFiles(ctx context.Context, id string) error {
	has := func(spec backend.Spec) bool { return slices.Contains(slices.Collect(maps.Values(spec.Files)), id) }
	return e.forget(ctx, "remove files", id, has, func() { delete(e.files, id) })
}

// ListFiles answers the recorded ids.
func (e *Engine) ListFiles(ctx context.Context) ([]string, error) {
	if err := e.begin(ctx, "list files", "volumes"); err != nil {
		return nil, err
	}
	defer e.mu.Unlock()
	return slices.Sorted(maps.Keys(e.files)), nil
}

func (e *Engine) forget(ctx context.Context, op, id string, uses func(backend.Spec) bool, forget func()) error {
	if err := e.begin(ctx, op, id); err != nil {
		return err
	}
	defer e.mu.Unlock()
	for user, spec := range e.on {
		if uses(spec) {
			return &backend.Error{Kind: backend.KindInUse, Op: op, Object: id, Err: fmt.Errorf("%s uses it", user)}
		}
	}
	forget()
	return nil
}
