package docker

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"slices"
	"strings"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/api/types/mount"
	"github.com/docker/docker/api/types/network"

	"miniaws/backend"
)

// The node agent's container and the public bridge serve the installation itself: they carry its labels and a role.

// nodeID is the agent's id on labels and in names; publicID the public bridge's.
const (
	nodeID   = "node"
	publicID = "public"
)

// agentCapabilities are what the agent needs, and all that it gets: namespaces and mounts (SYS_ADMIN), devices, routes
// and rules (NET_ADMIN), a log socket (NET_RAW), ports below 1024, other processes' namespaces (SYS_PTRACE), and the
// socket in a folder that may be another user's.
var agentCapabilities = []string{"SYS_ADMIN", "NET_ADMIN", "NET_RAW", "NET_BIND_SERVICE", "SYS_PTRACE", "DAC_OVERRIDE", "CHOWN", "FOWNER"}

// OnThisMachine tells whether the engine listens on a socket of this machine. Docker Desktop's does too, for an engine in
// a virtual machine: there the agent's folder is not seen, which [Engine.EnsureAgent]'s caller finds out.
func (e *Engine) OnThisMachine() bool { return strings.HasPrefix(e.client.DaemonHost(), "unix://") }

// EnsureAgent makes the node agent's container run. One that runs already stays, whatever binary it was made of: the
// agent in it is replaced without it. created tells that it is a new one, which knows nothing.
// Kinds: KindUnavailable, KindPermanent (the engine refuses it).
func (e *Engine) EnsureAgent(ctx context.Context, spec backend.AgentSpec) (created bool, err error) {
	done, err := e.makeAlone(ctx, "ensure agent", nodeID)
	if err != nil {
		return false, err
	}
	defer done()
	print := agentPrint(spec)
	found, err := e.client.ContainerInspect(ctx, e.name(nodeID))
	switch {
	case cerrdefs.IsNotFound(err):
	case err != nil:
		return false, e.failure("ensure agent", nodeID, err)
	case found.Config.Labels[backend.LabelOwner] != e.owner:
		return false, &backend.Error{Kind: backend.KindInUse, Op: "ensure agent", Object: nodeID, Err: errors.New("a container of its name is not of this installation")}
	case found.Config.Labels[printLabel] == print && found.State.Running:
		return false, nil
	case found.Config.Labels[printLabel] == print:
		// What it holds survived with its file system; what the kernel held did not.
		if err := e.client.ContainerStart(ctx, found.ID, container.StartOptions{}); err != nil {
			return false, e.failure("ensure agent", nodeID, err)
		}
		return false, nil
	default:
		if err := e.RemoveAgent(ctx); err != nil {
			return false, err
		}
	}
	ref := "mini-aws/node-" + e.owner[:12] + ":" + spec.Digest[:min(12, len(spec.Digest))]
	if err := e.importBinary(ctx, ref, spec.Binary); err != nil {
		return false, err
	}
	labels := e.labels(nodeID, "", "")
	labels[backend.LabelRole], labels[printLabel] = nodeID, print
	config := &container.Config{
		Image: ref, Entrypoint: []string{"/mini-aws"}, Cmd: spec.Arguments, Labels: labels,
		Healthcheck: &container.HealthConfig{Test: []string{"NONE"}},
	}
	host := &container.HostConfig{
		NetworkMode: "host", PidMode: "host",
		CapDrop: []string{"ALL"}, CapAdd: agentCapabilities,
		SecurityOpt: []string{"seccomp=unconfined", "apparmor=unconfined"},
		// Without these /proc/sys, where each namespace has its settings, is read-only. Empty is not the same as none.
		MaskedPaths: []string{}, ReadonlyPaths: []string{},
		Mounts:        []mount.Mount{{Type: mount.TypeBind, Source: spec.Folder, Target: spec.Target}},
		RestartPolicy: container.RestartPolicy{Name: container.RestartPolicyUnlessStopped},
		LogConfig:     container.LogConfig{Type: "json-file", Config: map[string]string{"max-size": "4m", "max-file": "2"}},
	}
	whole, cancel := toItsEnd(ctx)
	defer cancel()
	made, err := e.client.ContainerCreate(whole, config, host, nil, nil, e.name(nodeID))
	if err == nil {
		err = e.client.ContainerStart(ctx, made.ID, container.StartOptions{})
	}
	if err != nil {
		return false, e.failure("ensure agent", nodeID, err)
	}
	return true, nil
}

// printLabel holds a digest of how the agent's container was made.
const printLabel = "mini-aws.print"

func agentPrint(spec backend.AgentSpec) string {
	sum := sha256.Sum256([]byte(strings.Join(slices.Concat([]string{spec.Folder, spec.Target}, spec.Arguments, agentCapabilities), "\x00")))
	return hex.EncodeToString(sum[:8])
}

// importBinary makes an image of the one file, unless it is there.
func (e *Engine) importBinary(ctx context.Context, ref, binary string) error {
	if has, err := e.HasImage(ctx, ref); has || err != nil {
		return err
	}
	archive, feed := io.Pipe()
	go func() { feed.CloseWithError(archiveBinary(feed, binary)) }()
	var changes []string
	labels := e.labels(nodeID, "", "")
	labels[backend.LabelRole] = nodeID
	for name, value := range labels {
		changes = append(changes, fmt.Sprintf("LABEL %s=%q", name, value))
	}
	progress, err := e.client.ImageImport(ctx, image.ImportSource{Source: archive, SourceName: "-"}, ref, image.ImportOptions{Changes: changes})
	if err == nil {
		err = errors.Join(pullResult(progress), progress.Close())
	}
	if err = errors.Join(err, archive.Close()); err != nil {
		return e.failure("ensure agent", ref, err)
	}
	return nil
}

func archiveBinary(out io.Writer, binary string) error {
	file, err := os.Open(binary)
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	archive := tar.NewWriter(out)
	for _, folder := range []string{"tmp/", "run/", "var/", "var/lib/"} {
		if err := archive.WriteHeader(&tar.Header{Name: folder, Typeflag: tar.TypeDir, Mode: 0o755}); err != nil {
			return err
		}
	}
	if err := archive.WriteHeader(&tar.Header{Name: "mini-aws", Mode: 0o755, Size: info.Size()}); err != nil {
		return err
	}
	if _, err := io.Copy(archive, file); err != nil {
		return err
	}
	return archive.Close()
}

// RemoveAgent removes the agent's container, and with it every namespace that it holds, and its images. Absent is no
// error. Kinds: KindUnavailable.
func (e *Engine) RemoveAgent(ctx context.Context) error {
	found, err := e.client.ContainerList(ctx, container.ListOptions{All: true, Filters: filters.NewArgs(e.ours(), filters.Arg("label", backend.LabelRole+"="+nodeID))})
	if err != nil {
		return e.failure("remove agent", nodeID, err)
	}
	for _, item := range found {
		err := e.client.ContainerRemove(ctx, item.ID, container.RemoveOptions{Force: true, RemoveVolumes: true})
		if err != nil && !cerrdefs.IsNotFound(err) {
			return e.failure("remove agent", nodeID, err)
		}
	}
	images, err := e.client.ImageList(ctx, image.ListOptions{Filters: filters.NewArgs(e.ours(), filters.Arg("label", backend.LabelRole+"="+nodeID))})
	if err != nil {
		return e.failure("remove agent", nodeID, err)
	}
	for _, item := range images {
		_, err := e.client.ImageRemove(ctx, item.ID, image.RemoveOptions{})
		if err != nil && !cerrdefs.IsNotFound(err) && !cerrdefs.IsConflict(err) {
			return e.failure("remove agent", nodeID, err)
		}
	}
	return nil
}

// publicRanges are tried in this order for the public bridge: set aside for benchmarks of networks (RFC 2544), so that
// nobody's machines have them.
func publicRanges() []netip.Prefix {
	var all []netip.Prefix
	for second := byte(18); second <= 19; second++ {
		for third := 0; third < 256; third += 16 {
			all = append(all, netip.PrefixFrom(netip.AddrFrom4([4]byte{198, second, byte(third), 0}), 20))
		}
	}
	return all
}

// EnsurePublicBridge makes the network that stands for the internet's side of VPCs: the engine routes and translates
// between it and the world, and the host reaches it. It keeps its range for the installation's life.
// Kinds: KindInUse (every range to choose from is taken), KindUnavailable.
func (e *Engine) EnsurePublicBridge(ctx context.Context) (backend.PublicBridge, error) {
	done, err := e.makeAlone(ctx, "ensure public bridge", publicID)
	if err != nil {
		return backend.PublicBridge{}, err
	}
	defer done()
	device := "mawpub" + e.owner[:8] // at most 15 characters
	labels := e.labels(publicID, "", "")
	labels[backend.LabelRole] = publicID
	whole, cancel := toItsEnd(ctx)
	defer cancel()
	for _, candidate := range publicRanges() {
		found, err := e.inspectNetwork(ctx, publicID)
		if err == nil {
			return backend.PublicBridge{Device: device, Range: found.Range, Gateway: found.Gateway}, nil
		}
		if backend.KindOf(err) != backend.KindNotFound {
			return backend.PublicBridge{}, err
		}
		if onThisHost(candidate) {
			continue
		}
		// Containers that somebody puts on it get addresses from its first 16; none of ours is ever on it.
		engines := netip.PrefixFrom(candidate.Addr(), 28)
		_, err = e.client.NetworkCreate(whole, e.name(publicID), network.CreateOptions{
			Driver:  "bridge",
			IPAM:    &network.IPAM{Config: []network.IPAMConfig{{Subnet: candidate.String(), IPRange: engines.String(), Gateway: candidate.Addr().Next().String()}}},
			Options: map[string]string{"com.docker.network.bridge.name": device},
			Labels:  labels,
		})
		if err != nil && !cerrdefs.IsPermissionDenied(err) && !cerrdefs.IsInvalidArgument(err) {
			return backend.PublicBridge{}, e.failure("ensure public bridge", publicID, err)
		}
	}
	return backend.PublicBridge{}, &backend.Error{Kind: backend.KindInUse, Op: "ensure public bridge", Object: publicID, Err: errors.New("every range to choose from is in use on this machine")}
}

// RemovePublicBridge removes it. Absent is no error. Kinds: KindInUse, KindUnavailable.
func (e *Engine) RemovePublicBridge(ctx context.Context) error { return e.RemoveNetwork(ctx, publicID) }
