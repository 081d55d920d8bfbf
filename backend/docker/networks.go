package docker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/network"

	"miniaws/backend"
)

// EnsureNetwork makes a bridge network with a range of its own.
func (e *Engine) EnsureNetwork(ctx context.Context, spec backend.NetworkSpec) (backend.Network, error) {
	done, err := e.makeAlone(ctx, "ensure network", spec.ID)
	if err != nil {
		return backend.Network{}, err
	}
	defer done()
	found, err := e.inspectNetwork(ctx, spec.ID)
	if backend.KindOf(err) != backend.KindNotFound {
		return found, err
	}
	ranges := []netip.Prefix{spec.Range}
	if !spec.Range.IsValid() {
		ranges = slices.DeleteFunc(backend.FreeRanges(), onThisHost)
	}
	whole, cancel := toItsEnd(ctx)
	defer cancel()
	for _, candidate := range ranges {
		_, err = e.client.NetworkCreate(whole, e.name(spec.ID), network.CreateOptions{
			Driver: "bridge",
			IPAM:   &network.IPAM{Config: []network.IPAMConfig{{Subnet: candidate.String()}}},
			Labels: e.labels(spec.ID, spec.Account, spec.Region),
		})
		switch {
		case err == nil:
			return e.inspectNetwork(ctx, spec.ID)
		case !cerrdefs.IsPermissionDenied(err) && !cerrdefs.IsInvalidArgument(err):
			return backend.Network{}, e.failure("ensure network", spec.ID, err)
		}
		// The engine answers 403, newer ones 400, for a range that overlaps another network's: on to the next.
	}
	if len(ranges) == 0 {
		err = errors.New("every range to choose from is in use on this machine")
	}
	return backend.Network{}, &backend.Error{Kind: backend.KindInUse, Op: "ensure network", Object: spec.ID, Err: err}
}

// onThisHost tells whether an interface of this machine has an address in the range: the engine looks at its own
// networks only, and a VPN or another engine may be there. Where the engine is another machine this is one range less
// to choose from.
func onThisHost(candidate netip.Prefix) bool {
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return false
	}
	for _, address := range addresses {
		if prefix, err := netip.ParsePrefix(address.String()); err == nil && prefix.Overlaps(candidate) {
			return true
		}
	}
	return false
}

func (e *Engine) inspectNetwork(ctx context.Context, id string) (backend.Network, error) {
	found, err := e.namesakes(ctx, id)
	if err != nil {
		return backend.Network{}, e.failure("inspect network", id, err)
	}
	if len(found) == 0 {
		return backend.Network{}, &backend.Error{Kind: backend.KindNotFound, Op: "inspect network", Object: id}
	}
	return networkFrom(found[0])
}

// namesakes answers the installation's networks of this id, the oldest first. There is one, unless a creation that
// somebody gave up waiting for came to its end beside the next: engines do not keep the names of networks apart.
func (e *Engine) namesakes(ctx context.Context, id string) ([]network.Inspect, error) {
	found, err := e.client.NetworkList(ctx, network.ListOptions{Filters: filters.NewArgs(e.ours(), filters.Arg("label", backend.LabelID+"="+id))})
	slices.SortFunc(found, func(a, b network.Inspect) int {
		return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID))
	})
	return found, err
}

func networkFrom(found network.Inspect) (backend.Network, error) {
	answer := backend.Network{
		ID:       found.Labels[backend.LabelID],
		Account:  found.Labels[backend.LabelAccount],
		Region:   found.Labels[backend.LabelRegion],
		EngineID: found.ID,
	}
	if len(found.IPAM.Config) == 0 {
		return answer, nil
	}
	var err, gatewayErr error
	answer.Range, err = netip.ParsePrefix(found.IPAM.Config[0].Subnet)
	if gateway := found.IPAM.Config[0].Gateway; gateway != "" {
		answer.Gateway, gatewayErr = netip.ParseAddr(gateway)
	}
	if err := errors.Join(err, gatewayErr); err != nil {
		return answer, &backend.Error{Kind: backend.KindPermanent, Op: "inspect network", Object: answer.ID, Err: fmt.Errorf("the engine's answer: %w", err)}
	}
	return answer, nil
}

// RemoveNetwork removes the network, with all of its namesakes.
func (e *Engine) RemoveNetwork(ctx context.Context, id string) error {
	found, err := e.namesakes(ctx, id)
	if err != nil {
		return e.failure("remove network", id, err)
	}
	for _, item := range found {
		err := e.client.NetworkRemove(ctx, item.ID)
		switch {
		case err == nil || cerrdefs.IsNotFound(err):
		case cerrdefs.IsPermissionDenied(err):
			// "has active endpoints" is a 403.
			return &backend.Error{Kind: backend.KindInUse, Op: "remove network", Object: id, Err: err}
		default:
			return e.failure("remove network", id, err)
		}
	}
	return nil
}

// ListNetworks answers the installation's networks.
func (e *Engine) ListNetworks(ctx context.Context) ([]backend.Network, error) {
	found, err := e.client.NetworkList(ctx, network.ListOptions{Filters: filters.NewArgs(e.ours())})
	if err != nil {
		return nil, e.failure("list networks", "networks", err)
	}
	all := make([]backend.Network, 0, len(found))
	for _, item := range found {
		if item.Labels[backend.LabelRole] != "" {
			continue // the installation's own
		}
		answer, err := networkFrom(item)
		if err != nil {
			return nil, err
		}
		all = append(all, answer)
	}
	slices.SortFunc(all, func(a, b backend.Network) int { return cmp.Compare(a.ID, b.ID) })
	return all, nil
}

// networkOf answers how the container joins its network. The engine itself would take a missing one until the start.
func (e *Engine) networkOf(ctx context.Context, spec backend.Spec) (container.NetworkMode, *network.NetworkingConfig, error) {
	if spec.Network == "" {
		return "none", nil, nil
	}
	found, err := e.inspectNetwork(ctx, spec.Network)
	if err != nil {
		return "", nil, err
	}
	endpoint := &network.EndpointSettings{}
	if spec.Address.IsValid() {
		endpoint.IPAMConfig = &network.EndpointIPAMConfig{IPv4Address: spec.Address.String()}
	}
	endpoints := map[string]*network.EndpointSettings{found.EngineID: endpoint}
	return container.NetworkMode(found.EngineID), &network.NetworkingConfig{EndpointsConfig: endpoints}, nil
}

// addressOf answers the container's address: the wanted one where there is a wish, since the engine shows its own
// choice only while the container runs.
func addressOf(found container.InspectResponse) netip.Addr {
	if found.NetworkSettings == nil {
		return netip.Addr{}
	}
	for _, endpoint := range found.NetworkSettings.Networks {
		if address, err := netip.ParseAddr(endpoint.IPAddress); err == nil {
			return address
		}
		if endpoint.IPAMConfig == nil {
			continue
		}
		if address, err := netip.ParseAddr(endpoint.IPAMConfig.IPv4Address); err == nil {
			return address
		}
	}
	return netip.Addr{}
}
