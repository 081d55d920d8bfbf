package ec2

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"miniaws/backend"
	"miniaws/backend/node/guest"
	"miniaws/backend/reconcile"
	"miniaws/backend/store"
)

const (
	// stopGrace is how long the processes of an instance have to end; init's own patience is a little less.
	stopGrace = 10 * time.Second
	// remembered is how long an instance that ended is shown. AWS: "Terminate Amazon EC2 instances": about an hour.
	remembered = time.Hour
	// instancesNetwork is the id of the network on which instances sit while no node agent wires them.
	instancesNetwork = "net-instances"
	// initPath is where an instance sees its init.
	initPath = "/mini-aws"
)

// reconcileInstances registers what makes instances and images true.
func (s *Service) reconcileInstances(loop *reconcile.Loop) {
	if s.config.Engine == nil {
		return
	}
	loop.Handle(instanceKind, s.reconcileInstance)
	loop.Handle(imageKind, s.reconcileImage)
	loop.Handle(layersKind, s.reconcileLayers)
	loop.Handle(fleetKind, s.reconcileFleet)
	loop.Handle(spotKind, s.reconcileSpot)
	loop.Sweep("containers of instances", 5*time.Minute, s.sweepContainers)
	loop.Follow("changes of containers", time.Second, s.followEngine)
}

// reconcileInstance brings one instance a step on.
func (s *Service) reconcileInstance(ctx context.Context, item reconcile.Item) (time.Duration, error) {
	scope := store.Scope{Account: item.Account, Region: item.Region}
	var inst *instance
	err := s.viewIn(ctx, scope, func(t tx) (err error) {
		inst, err = instances.find(t, item.ID)
		return err
	})
	if inst == nil || err != nil {
		return 0, err
	}
	switch inst.State {
	case statePending:
		err := s.bringUp(ctx, scope, inst)
		if errors.Is(err, errNotYetWanted) {
			return plugAgain, nil
		}
		return 0, err
	case stateRunning:
		next, err := s.comeTrue(ctx, scope, inst)
		if err == nil {
			err = s.lookAfter(ctx, scope, inst)
		}
		return next, err
	case stateStopping:
		return 0, s.bringDown(ctx, scope, inst)
	case stateStopped:
		return 0, s.lookAfterStopped(ctx, scope, inst)
	case stateShuttingDown:
		return 0, s.end(ctx, scope, inst)
	case stateTerminated:
		return s.forgetInstance(ctx, scope, inst)
	}
	return 0, nil
}

// confirmInstance writes what was found out about an instance, unless somebody asked for something else meanwhile: then the loop
// comes again for that.
func (s *Service) confirmInstance(ctx context.Context, scope store.Scope, seen *instance, change func(tx, *instance) error) error {
	return s.updateIn(ctx, scope, func(t tx) error {
		inst, err := instances.find(t, seen.ID)
		if inst == nil || err != nil || inst.State != seen.State {
			return err
		}
		if err := change(t, inst); err != nil {
			return err
		}
		return instances.put(t, inst)
	})
}

// bringUp makes the container and starts it. What can never succeed ends the instance.
func (s *Service) bringUp(ctx context.Context, scope store.Scope, inst *instance) error {
	observed, spec, err := s.boot(ctx, scope, inst)
	switch kind := backend.KindOf(err); {
	case err == nil:
	case errors.Is(err, errRootGone):
		return s.lose(ctx, scope, inst)
	case inst.EngineID != "" && (kind == backend.KindPermanent || kind == backend.KindUnsupported || kind == backend.KindImageNotFound):
		// It ran before: what it has is not given up because a start failed.
		return s.stopFor(ctx, scope, inst, err.Error())
	case kind == backend.KindImageNotFound:
		return s.fail(ctx, scope, inst, fmt.Sprintf("The image of %s cannot be had: %v", inst.ImageID, err))
	case kind == backend.KindPermanent, kind == backend.KindUnsupported:
		return s.fail(ctx, scope, inst, err.Error())
	default:
		// It may yet come up: say what it waits for.
		reason := "pending: " + err.Error()
		if inst.Reason == reason {
			return err
		}
		said := s.confirmInstance(ctx, scope, inst, func(_ tx, i *instance) error {
			i.Reason = reason
			return nil
		})
		return errors.Join(err, said)
	}
	return s.confirmInstance(ctx, scope, inst, func(t tx, i *instance) error {
		i.State, i.ReasonCode, i.Reason, i.Created = stateRunning, "", "", true
		i.EngineID, i.Reference = observed.EngineID, spec.Image
		i.CPUs, i.MemoryBytes, i.Clamped = spec.CPUs, spec.MemoryBytes, inst.Clamped
		return s.confirmAddress(t, i, observed)
	})
}

// errNotYetWanted: the container runs, and the network has not been told of its interfaces yet. That happens at the same
// time.
var errNotYetWanted = errors.New("its network does not have its interfaces yet")

// plugAgain is how soon to look again then.
const plugAgain = 100 * time.Millisecond

// errRootGone: an instance that ran before has no container any more.
var errRootGone = errors.New("the container is gone")

// boot brings the container of an instance to run, whatever is there of it already.
func (s *Service) boot(ctx context.Context, scope store.Scope, inst *instance) (backend.Observed, backend.Spec, error) {
	engine := s.config.Engine
	if inst.PublicIndex > 0 {
		err := s.learnPublicRange(ctx)
		if err == nil {
			err = s.confirmInstance(ctx, scope, inst, assignPublicOf)
		}
		if err != nil {
			return backend.Observed{}, backend.Spec{}, err
		}
	}
	limits, err := s.limit(ctx, inst)
	if err != nil {
		return backend.Observed{}, backend.Spec{}, err
	}
	spec := backend.Spec{
		ID: inst.ID, Account: scope.Account, Region: scope.Region, Image: inst.Reference, Hostname: inst.Hostname,
		CPUs: limits.CPUs, MemoryBytes: limits.MemoryBytes, PIDs: maxProcesses,
	}
	observed, err := engine.Inspect(ctx, inst.ID)
	switch {
	case backend.KindOf(err) == backend.KindNotFound && inst.Created && !s.config.EngineSimulated:
		return observed, spec, errRootGone
	case backend.KindOf(err) == backend.KindNotFound:
		if spec, err = s.furnish(ctx, scope, inst, spec); err != nil {
			return observed, spec, err
		}
		if _, err := engine.Ensure(ctx, spec); err != nil {
			return observed, spec, err
		}
	case err != nil:
		return observed, spec, err
	case observed.State != backend.StateRunning:
		if err := engine.Resize(ctx, inst.ID, spec.CPUs, spec.MemoryBytes); err != nil {
			return observed, spec, err
		}
	}
	if observed, err = engine.Start(ctx, inst.ID); err == nil {
		err = s.plug(ctx, scope, inst, observed)
	}
	return observed, spec, err
}

// maxProcesses bounds what an instance can start, so that none of them exhausts the machine.
const maxProcesses = 8192

// furnish completes the spec of a container that is to be made: image, init, configuration and network.
func (s *Service) furnish(ctx context.Context, scope store.Scope, inst *instance, spec backend.Spec) (backend.Spec, error) {
	engine := s.config.Engine
	var err error
	if spec.Image, err = s.chooseImage(ctx, inst); err != nil {
		return spec, err
	}
	if !s.config.EngineSimulated {
		binary, err := s.config.Init()
		if err != nil {
			return spec, &backend.Error{Kind: backend.KindPermanent, Op: "boot", Object: inst.ID, Err: err}
		}
		if err := engine.EnsureFiles(ctx, binary.ID, binary.Files); err != nil {
			return spec, err
		}
		spec.Files = map[string]string{initPath: binary.ID}
		spec.Entrypoint, spec.Command = []string{initPath + "/" + binary.Name}, binary.Args
	}
	variable, err := s.guestConfig(ctx, scope, inst)
	if err != nil {
		return spec, err
	}
	spec.Env = []string{variable}
	return spec, s.placeOnNetwork(ctx, scope, inst, &spec)
}

// chooseImage answers the container image to boot: the first that the engine holds, else the first that can be had.
func (s *Service) chooseImage(ctx context.Context, inst *instance) (string, error) {
	if have := s.architecture(); inst.Architecture != have && !s.config.EngineSimulated {
		return "", &backend.Error{Kind: backend.KindImageNotFound, Op: "boot", Object: strings.Join(inst.References, ", "),
			Err: fmt.Errorf("it is for %s, this machine is %s", inst.Architecture, have)}
	}
	for _, reference := range inst.References {
		has, err := s.config.Engine.HasImage(ctx, reference)
		if has || err != nil {
			return reference, err
		}
	}
	var failures error
	for _, reference := range slices.Backward(inst.References) {
		err := s.config.Engine.EnsureImage(ctx, reference)
		if err == nil {
			return reference, nil
		}
		failures = errors.Join(failures, err)
	}
	return "", failures
}

// architecture is the machine's, as AWS names it.
func (s *Service) architecture() string {
	if runtime.GOARCH == "arm64" {
		return "arm64"
	}
	return "x86_64"
}

// guestConfig is what init is told, as the variable of its environment.
func (s *Service) guestConfig(ctx context.Context, scope store.Scope, inst *instance) (string, error) {
	config := guest.Config{
		InstanceID: inst.ID, Hostname: inst.Hostname, AwaitNetwork: s.wired(),
		Environment: map[string]string{"AWS_REGION": scope.Region, "AWS_DEFAULT_REGION": scope.Region},
	}
	if s.config.GuestEndpoint != "" {
		config.Environment["AWS_ENDPOINT_URL"] = s.config.GuestEndpoint
	}
	if s.config.LinkToken != nil && s.wired() {
		config.LinkToken = s.config.LinkToken(inst.ID)
	}
	login := guest.User{Name: inst.Login, Sudo: true, Groups: []string{"adm", "wheel", "sudo", "systemd-journal"}}
	if inst.PublicKey != "" {
		login.AuthorizedKeys = []string{inst.PublicKey}
	}
	config.Users = []guest.User{login}
	err := s.viewIn(ctx, scope, func(t tx) error {
		data, err := userDatas.In(t, scope).Find(inst.ID)
		if data != nil {
			config.UserData = data.Data
		}
		return err
	})
	if err != nil {
		return "", err
	}
	variable, err := config.Variable()
	if err != nil {
		err = &backend.Error{Kind: backend.KindPermanent, Op: "boot", Object: inst.ID, Err: err}
	}
	return variable, err
}

// limit sets what the container may use: what its type promises, as far as the engine has it.
func (s *Service) limit(ctx context.Context, inst *instance) (*instance, error) {
	info, err := s.config.Engine.Info(ctx)
	if err != nil {
		return nil, err
	}
	typ, ok := instanceTypes().find(string(inst.Type))
	if !ok {
		return nil, &backend.Error{Kind: backend.KindPermanent, Op: "boot", Object: inst.ID, Err: fmt.Errorf("the type %s is not known", inst.Type)}
	}
	cpus := float64(aws.ToInt32(typ.VCpuInfo.DefaultVCpus))
	if inst.Cores > 0 {
		cpus = float64(inst.Cores * inst.Threads)
	}
	memory := aws.ToInt64(typ.MemoryInfo.SizeInMiB) << 20
	var clamped []string
	if have := float64(info.CPUs); have > 0 && cpus > have {
		clamped = append(clamped, fmt.Sprintf("%g of %g CPUs", have, cpus))
		cpus = have
	}
	if have := info.MemoryBytes; have > 0 && memory > have {
		clamped = append(clamped, fmt.Sprintf("%d of %d MiB", have>>20, memory>>20))
		memory = have
	}
	inst.Clamped = strings.Join(clamped, ", ")
	limited := *inst
	limited.CPUs, limited.MemoryBytes = cpus, memory
	return &limited, nil
}

// lookAfter compares a running instance with its container.
func (s *Service) lookAfter(ctx context.Context, scope store.Scope, inst *instance) error {
	observed, err := s.config.Engine.Inspect(ctx, inst.ID)
	switch {
	case backend.KindOf(err) == backend.KindNotFound && s.config.EngineSimulated:
		_, _, err = s.boot(ctx, scope, inst) // its records live in memory
		return err
	case backend.KindOf(err) == backend.KindNotFound:
		return s.lose(ctx, scope, inst)
	case err != nil:
		return err
	case observed.State == backend.StateRunning && !inst.Reboot:
		return nil
	case observed.State == backend.StateRunning:
		if _, err := s.config.Engine.Stop(ctx, inst.ID, stopGrace); err != nil {
			return err
		}
	case observed.ExitCode != guest.StatusReboot && !inst.Reboot:
		return s.ended(ctx, scope, inst, observed)
	}
	if observed, err = s.config.Engine.Start(ctx, inst.ID); err != nil {
		return err
	}
	if err := s.plug(ctx, scope, inst, observed); err != nil {
		return err
	}
	return s.confirmInstance(ctx, scope, inst, func(t tx, i *instance) error {
		i.Reboot = false
		return s.confirmAddress(t, i, observed)
	})
}

// ended writes down why a container ended that nobody told to.
func (s *Service) ended(ctx context.Context, scope store.Scope, inst *instance, observed backend.Observed) error {
	return s.confirmInstance(ctx, scope, inst, func(t tx, i *instance) error {
		code, message := "Server.InternalError", fmt.Sprintf("The first process of the instance ended with status %d", observed.ExitCode)
		inside := observed.ExitCode == guest.StatusPoweredOff
		switch {
		case inside:
			code, message = "Client.InstanceInitiatedShutdown", "Instance initiated shutdown"
		case observed.OutOfMemory:
			message = "The instance ran out of memory"
		case observed.ExitCode == guest.StatusStopped:
			message = "The instance's container was stopped outside of Mini AWS"
		}
		if inside && i.Shutdown == "terminate" {
			terminate(t, i, code, message)
			return reconcile.Want(t, t.item(instanceKind, i.ID))
		}
		i.State, i.ReasonCode, i.Reason, i.Transition = stateStopped, code, code+": "+message, ""
		// A container that is removed by force ends first, and is gone a moment later.
		return errors.Join(s.noteSpotStopped(t, i), releasePublicOf(t, i), reconcile.Want(t, t.item(instanceKind, i.ID)))
	})
}

// lookAfterStopped compares a stopped instance with its container: one that somebody removed took the root volume along,
// and one that somebody started is stopped again.
func (s *Service) lookAfterStopped(ctx context.Context, scope store.Scope, inst *instance) error {
	if s.config.EngineSimulated || !inst.Created {
		return nil
	}
	observed, err := s.config.Engine.Inspect(ctx, inst.ID)
	switch {
	case backend.KindOf(err) == backend.KindNotFound:
		return s.lose(ctx, scope, inst)
	case err == nil && observed.State == backend.StateRunning:
		return s.halt(ctx, inst)
	}
	return err
}

// bringDown stops the container.
func (s *Service) bringDown(ctx context.Context, scope store.Scope, inst *instance) error {
	if err := s.halt(ctx, inst); err != nil && backend.KindOf(err) != backend.KindNotFound {
		return err
	}
	return s.confirmInstance(ctx, scope, inst, func(t tx, i *instance) error {
		i.State, i.Force = stateStopped, false
		return releasePublicOf(t, i)
	})
}

func (s *Service) halt(ctx context.Context, inst *instance) error {
	grace := stopGrace
	if inst.Force {
		grace = 0
	}
	_, err := s.config.Engine.Stop(ctx, inst.ID, grace)
	return err
}

// end removes the container and everything that belongs to the instance.
func (s *Service) end(ctx context.Context, scope store.Scope, inst *instance) error {
	if err := s.halt(ctx, inst); err != nil && backend.KindOf(err) != backend.KindNotFound {
		return err
	}
	if err := s.config.Engine.Remove(ctx, inst.ID); err != nil {
		return err
	}
	return s.confirmInstance(ctx, scope, inst, func(t tx, i *instance) error {
		i.State = stateTerminated
		if i.Fleet != "" {
			// What could not run would not run at once either.
			if i.ReasonCode == cannotRun {
				if err := pauseFleet(t, i.Fleet); err != nil {
					return err
				}
			}
			if err := wantFleet(t, i); err != nil {
				return err
			}
		}
		return errors.Join(s.release(t, i), reconcile.WantAfter(t, t.item(instanceKind, i.ID), remembered))
	})
}

// release gives back what an instance holds.
func (s *Service) release(t tx, i *instance) error {
	err := errors.Join(
		releaseInterfaces(t, i.ID), removeRootVolume(t, i), s.endSpot(t, i),
		userDatas.In(t, t.scope).Delete(i.ID), forgetConnectKeys(t, i.ID, t.Now().Add(connectLifetime)), leaveWindows(t, i.ID),
	)
	s.remembered.forget(i.ID)
	i.PrivateIP, i.Subnet, i.VPC, i.Profile = "", "", "", nil
	return err
}

// forgetInstance removes the record of an instance that ended an hour ago.
func (s *Service) forgetInstance(ctx context.Context, scope store.Scope, inst *instance) (time.Duration, error) {
	var left time.Duration
	err := s.updateIn(ctx, scope, func(t tx) error {
		if left = remembered - t.Now().Sub(inst.Ended); left > 0 {
			return nil
		}
		left = 0
		return errors.Join(instances.delete(t, inst.ID), homes.In(t, store.Scope{}).Delete(inst.ID))
	})
	return left, err
}

// followEngine wants a look at every instance whose container changed, until the engine cannot tell any more.
func (s *Service) followEngine(ctx context.Context) error {
	for id, err := range s.config.Engine.Changes(ctx) {
		if err != nil {
			if ctx.Err() == nil {
				s.engineLost()
			}
			return err
		}
		s.engineFound()
		if id == "" { // the feed stands: what happened before is not in it
			if err := s.sweepContainers(ctx); err != nil {
				return err
			}
			continue
		}
		if err := s.wantInstance(ctx, id); err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) wantInstance(ctx context.Context, id string) error {
	h, err := s.homeOf(ctx, id)
	if h == nil || err != nil {
		return err
	}
	return s.updateIn(ctx, store.Scope{Account: h.Account, Region: h.Region}, func(t tx) error {
		inst, err := instances.find(t, id)
		if inst == nil || err != nil || inst.State != stateRunning && inst.State != stateStopped {
			return err // whoever brings it up or down sees to it
		}
		return reconcile.Want(t, t.item(instanceKind, id))
	})
}

// sweepContainers removes the containers of instances that nobody knows, and looks at the records whose container is not
// as they say.
func (s *Service) sweepContainers(ctx context.Context) error {
	// Containers first: whatever has one had a record before.
	found, err := s.config.Engine.List(ctx)
	if err != nil {
		return err
	}
	containers := map[string]backend.Observed{}
	for _, c := range found {
		if strings.HasPrefix(c.ID, instances.prefix) {
			containers[c.ID] = c
		}
	}
	var all []*home
	err = s.config.DB.View(ctx, func(t store.Tx) (err error) {
		all, _, err = homes.In(t, store.Scope{}).List(store.Query{})
		return err
	})
	if err != nil {
		return err
	}
	known := map[string]bool{}
	for _, h := range all {
		known[h.ID] = true
		if c, ok := containers[h.ID]; !ok || c.State != backend.StateRunning {
			if err := s.wantInstance(ctx, h.ID); err != nil {
				return err
			}
		}
	}
	for _, id := range slices.Sorted(maps.Keys(containers)) {
		if known[id] {
			continue
		}
		slog.Warn("ec2: removing a container that no record knows", "instance", id, "container", containers[id].EngineID)
		if err := s.config.Engine.Remove(ctx, id); err != nil {
			return err
		}
	}
	return nil
}

// reconcileImage makes the bytes of an image that CreateImage wrote down.
func (s *Service) reconcileImage(ctx context.Context, item reconcile.Item) (time.Duration, error) {
	scope := store.Scope{Account: item.Account, Region: item.Region}
	var im *image
	err := s.viewIn(ctx, scope, func(t tx) (err error) {
		im, err = images.find(t, item.ID)
		return err
	})
	if im == nil || err != nil || im.State != imagePending {
		return 0, err
	}
	err = s.config.Engine.Commit(ctx, im.SourceInstance, im.References[0])
	state, reason := imageAvailable, ""
	switch backend.KindOf(err) {
	case backend.KindNotFound, backend.KindPermanent, backend.KindUnsupported:
		state, reason = imageFailed, err.Error()
	default:
		if err != nil {
			return 0, err
		}
	}
	return 0, s.updateIn(ctx, scope, func(t tx) error {
		now, err := images.find(t, im.ID)
		if now == nil || err != nil || now.State != imagePending {
			return err
		}
		now.State, now.StateReason = state, reason
		return images.put(t, now)
	})
}

// reconcileLayers removes a container image that no AMI and no instance to be needs any more.
func (s *Service) reconcileLayers(ctx context.Context, item reconcile.Item) (time.Duration, error) {
	used := true
	err := s.config.DB.View(ctx, func(t store.Tx) error {
		l, err := imageLayers.In(t, store.Scope{}).Find(item.ID)
		used = l == nil || len(l.Users) > 0
		return err
	})
	if used || err != nil {
		return 0, err
	}
	err = s.config.Engine.RemoveImage(ctx, item.ID)
	if backend.KindOf(err) == backend.KindInUse {
		return time.Minute, nil // a container stands on it: when that has gone
	}
	if err != nil {
		return 0, err
	}
	return 0, s.config.DB.Update(ctx, func(t store.Tx) error { return imageLayers.In(t, store.Scope{}).Delete(item.ID) })
}
