package docker

import (
	"cmp"
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"

	"miniaws/backend"
)

// name is the container's name on the engine.
func (e *Engine) name(id string) string { return "mini-aws-" + e.owner[:12] + "-" + id }

// labels are what every object of ours carries.
func (e *Engine) labels(id, account, region string) map[string]string {
	return map[string]string{
		backend.LabelOwner:   e.owner,
		backend.LabelAccount: account,
		backend.LabelRegion:  region,
		backend.LabelID:      id,
	}
}

// ours is the filter for everything of the installation.
func (e *Engine) ours() filters.KeyValuePair {
	return filters.Arg("label", backend.LabelOwner+"="+e.owner)
}

// Ensure makes the container unless it exists.
func (e *Engine) Ensure(ctx context.Context, spec backend.Spec) (backend.Observed, error) {
	observed, err := e.Inspect(ctx, spec.ID)
	if backend.KindOf(err) != backend.KindNotFound {
		return observed, err
	}
	networkMode, networking, err := e.networkOf(ctx, spec)
	if err != nil {
		return backend.Observed{}, err
	}
	// The engine itself would make a missing volume.
	for _, id := range spec.Files {
		if err := e.inspectFiles(ctx, "ensure", id); err != nil {
			return backend.Observed{}, err
		}
	}
	config := &container.Config{
		Image:       spec.Image,
		Hostname:    spec.Hostname,
		Entrypoint:  spec.Entrypoint,
		Cmd:         spec.Command,
		Env:         spec.Env,
		Healthcheck: &container.HealthConfig{Test: []string{"NONE"}},
		Labels:      e.labels(spec.ID, spec.Account, spec.Region),
	}
	// The engine's own seccomp and AppArmor profiles, and none of its capabilities more. no-new-privileges stays off: sudo
	// needs it so. A hierarchy of control groups of its own keeps the host's out of sight.
	host := &container.HostConfig{
		CgroupnsMode:  container.CgroupnsModePrivate,
		NetworkMode:   networkMode,
		Mounts:        e.mountsOf(spec),
		RestartPolicy: container.RestartPolicy{Name: container.RestartPolicyDisabled},
		LogConfig:     container.LogConfig{Type: "json-file", Config: map[string]string{"max-size": "4m", "max-file": "2"}},
		Resources: container.Resources{
			NanoCPUs: int64(spec.CPUs * 1e9),
			Memory:   spec.MemoryBytes,
			// Without this the engine adds as much swap again as the limit.
			MemorySwap: spec.MemoryBytes,
		},
		DNSSearch: spec.Search,
	}
	if spec.PIDs > 0 {
		host.PidsLimit = &spec.PIDs
	}
	for _, resolver := range spec.DNS {
		host.DNS = append(host.DNS, resolver.String())
	}
	whole, cancel := toItsEnd(ctx)
	defer cancel()
	_, err = e.client.ContainerCreate(whole, config, host, networking, nil, e.name(spec.ID))
	switch {
	case err == nil:
		return e.Inspect(ctx, spec.ID)
	case cerrdefs.IsConflict(err):
		return e.awaitNamesake(ctx, spec.ID, err)
	case cerrdefs.IsNotFound(err):
		return backend.Observed{}, &backend.Error{Kind: backend.KindImageNotFound, Op: "ensure", Object: spec.ID, Err: err}
	default:
		return backend.Observed{}, e.failure("ensure", spec.ID, err)
	}
}

// awaitNamesake answers the container that took the name first: made by another Ensure of the same id, perhaps of a
// gateway that died since. The engine takes the name some time before it shows the container.
func (e *Engine) awaitNamesake(ctx context.Context, id string, conflict error) (backend.Observed, error) {
	const attempts, pause = 100, 50 * time.Millisecond
	for range attempts {
		observed, err := e.Inspect(ctx, id)
		if backend.KindOf(err) != backend.KindNotFound {
			return observed, err
		}
		select {
		case <-ctx.Done():
			return backend.Observed{}, e.failure("ensure", id, ctx.Err())
		case <-time.After(pause):
		}
	}
	// A container of that name without our labels, or a creation that hangs.
	return backend.Observed{}, e.failure("ensure", id, conflict)
}

// Start runs the container.
func (e *Engine) Start(ctx context.Context, id string) (backend.Observed, error) {
	if _, err := e.Inspect(ctx, id); err != nil {
		return backend.Observed{}, err
	}
	if err := e.client.ContainerStart(ctx, e.name(id), container.StartOptions{}); err != nil {
		// The engine answers 400 or 500 for a command that it cannot execute, with a shell's exit status for that. Other
		// starts that failed, whatever the engine calls them, may succeed later: an address that is taken is a 403.
		observed, inspectErr := e.Inspect(ctx, id)
		if inspectErr == nil && observed.Reason != "" && (observed.ExitCode == 126 || observed.ExitCode == 127) {
			return observed, &backend.Error{Kind: backend.KindPermanent, Op: "start", Object: id, Err: errors.New(observed.Reason)}
		}
		failure := &backend.Error{Kind: kindOf(err), Op: "start", Object: id, Err: err}
		if failure.Kind == backend.KindPermanent || failure.Kind == backend.KindInUse {
			failure.Kind = backend.KindUnavailable
		}
		return backend.Observed{}, failure
	}
	return e.Inspect(ctx, id)
}

// Stop ends the container's processes.
func (e *Engine) Stop(ctx context.Context, id string, grace time.Duration) (backend.Observed, error) {
	if _, err := e.Inspect(ctx, id); err != nil {
		return backend.Observed{}, err
	}
	seconds := int(math.Ceil(grace.Seconds()))
	if err := e.client.ContainerStop(ctx, e.name(id), container.StopOptions{Timeout: &seconds}); err != nil {
		return backend.Observed{}, e.failure("stop", id, err)
	}
	return e.Inspect(ctx, id)
}

// Remove removes the container, running or not, and the anonymous volumes that came with its image.
func (e *Engine) Remove(ctx context.Context, id string) error {
	if _, err := e.Inspect(ctx, id); err != nil {
		if backend.KindOf(err) == backend.KindNotFound {
			return nil
		}
		return err
	}
	err := e.client.ContainerRemove(ctx, e.name(id), container.RemoveOptions{Force: true, RemoveVolumes: true})
	switch {
	case err == nil || cerrdefs.IsNotFound(err):
		return nil
	case cerrdefs.IsConflict(err):
		// Another removal of it is under way: wait for the end of it, which is what the caller asked for.
		return e.waitGone(ctx, id)
	default:
		return e.failure("remove", id, err)
	}
}

func (e *Engine) waitGone(ctx context.Context, id string) error {
	done, failed := e.client.ContainerWait(ctx, e.name(id), container.WaitConditionRemoved)
	select {
	case <-done:
		return nil
	case err := <-failed:
		if err == nil || cerrdefs.IsNotFound(err) {
			return nil
		}
		return e.failure("remove", id, err)
	}
}

// Inspect answers what the engine knows of the container. One of the same name that does not carry our labels is
// somebody else's and answers as absent.
func (e *Engine) Inspect(ctx context.Context, id string) (backend.Observed, error) {
	found, err := e.client.ContainerInspect(ctx, e.name(id))
	if err != nil {
		return backend.Observed{}, e.failure("inspect", id, err)
	}
	if found.Config == nil || found.State == nil || found.Config.Labels[backend.LabelOwner] != e.owner {
		return backend.Observed{}, &backend.Error{Kind: backend.KindNotFound, Op: "inspect", Object: id}
	}
	observed := backend.Observed{
		ID:          found.Config.Labels[backend.LabelID],
		Account:     found.Config.Labels[backend.LabelAccount],
		Region:      found.Config.Labels[backend.LabelRegion],
		EngineID:    found.ID,
		State:       stateOf(found.State.Status),
		ExitCode:    found.State.ExitCode,
		OutOfMemory: found.State.OOMKilled,
		Reason:      found.State.Error,
		Started:     timeOf(found.State.StartedAt),
		Ended:       timeOf(found.State.FinishedAt),
	}
	if observed.State == backend.StateRunning {
		observed.PID = found.State.Pid
	}
	observed.Address = addressOf(found)
	// The engine notes the end of a very short process before it notes its start.
	if observed.State == backend.StateExited && observed.Ended.Before(observed.Started) {
		observed.Ended = observed.Started
	}
	return observed, nil
}

// stateOf folds the engine's states into the contract's: a paused container has its processes, a restarting, dead or
// half-removed one has none.
func stateOf(status string) backend.State {
	switch status {
	case container.StateCreated:
		return backend.StateCreated
	case container.StateRunning, container.StatePaused:
		return backend.StateRunning
	default:
		return backend.StateExited
	}
}

// timeOf reads the engine's time stamps, in which year 1 stands for never.
func timeOf(stamp string) time.Time {
	at, err := time.Parse(time.RFC3339Nano, stamp)
	if err != nil || at.Year() <= 1 {
		return time.Time{}
	}
	return at
}

// List inspects every container that carries the installation's label.
func (e *Engine) List(ctx context.Context) ([]backend.Observed, error) {
	found, err := e.client.ContainerList(ctx, container.ListOptions{
		All:     true,
		Filters: filters.NewArgs(e.ours()),
	})
	if err != nil {
		return nil, e.failure("list", "containers", err)
	}
	all := make([]backend.Observed, 0, len(found))
	for _, summary := range found {
		id := summary.Labels[backend.LabelID]
		if summary.Labels[backend.LabelRole] != "" {
			continue // the installation's own
		}
		if !slices.Contains(summary.Names, "/"+e.name(id)) {
			continue // labeled as ours, but not by us: an image of ours that somebody ran by hand
		}
		observed, err := e.Inspect(ctx, id)
		if backend.KindOf(err) == backend.KindNotFound {
			continue // removed since the list was made
		}
		if err != nil {
			return nil, err
		}
		all = append(all, observed)
	}
	slices.SortFunc(all, func(a, b backend.Observed) int { return cmp.Compare(a.ID, b.ID) })
	return all, nil
}

// Commit makes an image of the container's file system. The image keeps the container's labels, so that the
// installation can tell its own images from others.
func (e *Engine) Commit(ctx context.Context, id, ref string) error {
	if _, err := e.Inspect(ctx, id); err != nil {
		return err
	}
	changes, err := e.withoutOwnEnv(ctx, id)
	if err == nil {
		_, err = e.client.ContainerCommit(ctx, e.name(id), container.CommitOptions{
			Reference: ref, Pause: true, Comment: "Mini AWS " + id, Changes: changes,
		})
	}
	if err != nil {
		return e.failure("commit", id, err)
	}
	return nil
}

// withoutOwnEnv answers the changes that keep the container's own environment out of an image of it: an instance's
// holds its user data and keys. A variable cannot be taken away from an image, so it becomes empty.
func (e *Engine) withoutOwnEnv(ctx context.Context, id string) ([]string, error) {
	own, err := e.client.ContainerInspect(ctx, e.name(id))
	if err != nil {
		return nil, err
	}
	from, err := e.client.ImageInspect(ctx, own.Image)
	if err != nil {
		return nil, err
	}
	var changes []string
	for _, variable := range own.Config.Env {
		if from.Config != nil && slices.Contains(from.Config.Env, variable) {
			continue
		}
		name, _, _ := strings.Cut(variable, "=")
		changes = append(changes, "ENV "+name+"=")
	}
	return changes, nil
}
