package ec2

import (
	"context"
	"errors"
	"log/slog"

	"miniaws/backend/reconcile"
	"miniaws/backend/store"
)

// cannotRun is the reason of an instance that ended because it never could run.
const cannotRun = "Client.InternalError"

// fail ends an instance that cannot run, and says why.
func (s *Service) fail(ctx context.Context, scope store.Scope, inst *instance, message string) error {
	slog.Warn("ec2: an instance cannot run", "instance", inst.ID, "reason", message)
	return s.confirmInstance(ctx, scope, inst, func(t tx, i *instance) error {
		terminate(t, i, cannotRun, message)
		return reconcile.Want(t, t.item(instanceKind, i.ID))
	})
}

// lose writes down that somebody removed the container, and with it what the root volume held. The instance is stopped:
// its id, addresses and interfaces are still its own, and the next start makes a root volume of its image.
func (s *Service) lose(ctx context.Context, scope store.Scope, inst *instance) error {
	slog.Warn("ec2: the container of an instance is gone, and with it its root volume", "instance", inst.ID)
	inst.Created = false
	return s.stopFor(ctx, scope, inst, "The instance's container, which held its root volume, was removed from the engine. The next start makes the root volume anew from the image")
}

// stopFor stops an instance that nobody told to, and says why. Created is taken from inst.
func (s *Service) stopFor(ctx context.Context, scope store.Scope, inst *instance, message string) error {
	return s.confirmInstance(ctx, scope, inst, func(t tx, i *instance) error {
		if i.Fleet != "" && i.SpotRequest != "" && !i.Persistent { // nobody could start it again, and its fleet has to replace it
			terminate(t, i, "Server.InternalError", message)
			return reconcile.Want(t, t.item(instanceKind, i.ID))
		}
		i.State, i.ReasonCode, i.Reason, i.Transition = stateStopped, "Server.InternalError", "Server.InternalError: "+message, ""
		i.Created, i.Reboot, i.Force = inst.Created, false, false
		return errors.Join(s.noteSpotStopped(t, i), releasePublicOf(t, i))
	})
}
