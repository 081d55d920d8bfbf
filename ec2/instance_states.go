package ec2

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"miniaws/backend/reconcile"
)

// eachInstance lets change look at every instance of a call: all or nothing. change answers whether it changed it.
func (s *Service) eachInstance(ctx context.Context, ids []string, change func(tx, *instance) (bool, error)) ([]types.InstanceStateChange, error) {
	var changes []types.InstanceStateChange
	if len(ids) == 0 {
		return nil, errMissingParameter("InstanceId")
	}
	err := s.update(ctx, func(t tx) error {
		changes = changes[:0]
		found, err := namedInstances(t, ids)
		if err != nil {
			return err
		}
		for _, inst := range found {
			before := inst.State
			changed, err := change(t, inst)
			if err != nil {
				return err
			}
			changes = append(changes, moved(inst, before))
			if !changed {
				continue
			}
			if err := instances.put(t, inst); err != nil {
				return err
			}
			if err := reconcile.Want(t, t.item(instanceKind, inst.ID)); err != nil {
				return err
			}
		}
		return nil
	})
	return changes, err
}

// namedInstances answers instances by their ids, or names all that are not there.
func namedInstances(t tx, ids []string) ([]*instance, error) {
	var found []*instance
	var missing []string
	for _, id := range ids {
		if !instances.wellFormed(id) {
			return nil, errInstanceMalformed(id)
		}
		inst, err := instances.find(t, id)
		switch {
		case err != nil:
			return nil, err
		case inst == nil:
			missing = append(missing, id)
		default:
			found = append(found, inst)
		}
	}
	if len(missing) > 0 {
		return nil, errInstancesNotFound(missing)
	}
	return found, nil
}

// StartInstances starts stopped instances. It answers at once; they are pending until the engine confirms.
func (s *Service) StartInstances(ctx context.Context, in *ec2.StartInstancesInput) (*ec2.StartInstancesOutput, error) {
	changes, err := s.eachInstance(ctx, in.InstanceIds, func(t tx, inst *instance) (bool, error) {
		switch inst.State {
		case statePending, stateRunning:
			return false, nil
		case stateStopped:
		default:
			return false, errNotFromThisState(inst, "started")
		}
		if inst.Lifecycle == "spot" {
			r, err := spotRequests.find(t, inst.SpotRequest)
			if err != nil {
				return false, err
			}
			// AWS: "Start a Spot Instance": one that was stopped by its user.
			if r == nil || r.State != types.SpotInstanceStateDisabled {
				return false, errUnsupportedOperation("You can't start the Spot Instance '%s'.", inst.ID)
			}
			if err := moveSpot(t, r, types.SpotInstanceStateActive, "fulfilled", "Your spot request is fulfilled."); err != nil {
				return false, err
			}
		}
		return true, start(t, inst)
	})
	return &ec2.StartInstancesOutput{StartingInstances: changes}, err
}

// start has a stopped instance come up again, with another public address.
func start(t tx, i *instance) error {
	if i.Tenancy == string(types.TenancyHost) {
		// Unbound, it may come up on another host than the one where it was.
		if err := placeOnHost(t, i, i.Bound); err != nil {
			return err
		}
	}
	if err := reserve(t, i); err != nil {
		return err
	}
	i.State, i.ReasonCode, i.Reason, i.Transition = statePending, "pending", "pending", ""
	i.Launched, i.Force, i.Reboot = t.Now(), false, false
	return assignPublicOf(t, i)
}

// StopInstances stops instances: their processes are asked to end, or killed at once with Force. The root file system
// stays.
func (s *Service) StopInstances(ctx context.Context, in *ec2.StopInstancesInput) (*ec2.StopInstancesOutput, error) {
	if aws.ToBool(in.Hibernate) {
		return nil, errUnsupportedHibernation(in.InstanceIds)
	}
	changes, err := s.eachInstance(ctx, in.InstanceIds, func(t tx, inst *instance) (bool, error) {
		force := aws.ToBool(in.Force) || aws.ToBool(in.SkipOsShutdown)
		switch inst.State {
		case stateStopped:
			return false, nil
		case stateStopping:
			again := force && !inst.Force
			inst.Force = inst.Force || force
			return again, nil
		case stateRunning:
		case statePending:
			if !inst.Created {
				return false, errNeverRan(inst)
			}
			return false, errNotFromThisState(inst, "stopped")
		default:
			return false, errNotFromThisState(inst, "stopped")
		}
		switch {
		case inst.KeepFromStop:
			return false, errOperationNotPermitted("The instance '%s' may not be stopped. Modify its 'disableApiStop' instance attribute and try again.", inst.ID)
		case inst.Lifecycle == "spot" && !inst.Persistent:
			return false, errUnsupportedOperation("You can't stop the Spot Instance '%s' because it is associated with a one-time Spot Instance request. You can only stop Spot Instances associated with persistent Spot Instance requests.", inst.ID)
		}
		if err := s.noteSpotStopped(t, inst); err != nil {
			return false, err
		}
		inst.State, inst.Force, inst.Reboot = stateStopping, force, false
		inst.ReasonCode, inst.Reason = "Client.UserInitiatedShutdown", "Client.UserInitiatedShutdown: User initiated shutdown"
		inst.Transition = userInitiated(t.Now())
		return true, nil
	})
	return &ec2.StopInstancesOutput{StoppingInstances: changes}, err
}

// RebootInstances ends all processes of running instances and boots them again, with the same root file system. The
// instances stay running for those who ask.
func (s *Service) RebootInstances(ctx context.Context, in *ec2.RebootInstancesInput) (*ec2.RebootInstancesOutput, error) {
	_, err := s.eachInstance(ctx, in.InstanceIds, func(_ tx, inst *instance) (bool, error) {
		if inst.State != stateRunning {
			return false, errNotFromThisState(inst, "rebooted")
		}
		inst.Reboot = true
		return true, nil
	})
	return &ec2.RebootInstancesOutput{}, err
}

// TerminateInstances ends instances for good. Terminating one that ended is no error.
func (s *Service) TerminateInstances(ctx context.Context, in *ec2.TerminateInstancesInput) (*ec2.TerminateInstancesOutput, error) {
	changes, err := s.eachInstance(ctx, in.InstanceIds, func(t tx, inst *instance) (bool, error) {
		switch {
		case inst.State == stateTerminated || inst.State == stateShuttingDown:
			return false, nil
		case inst.KeepFromEnd:
			return false, errOperationNotPermitted("The instance '%s' may not be terminated. Modify its 'disableApiTermination' instance attribute and try again.", inst.ID)
		}
		terminate(t, inst, "Client.UserInitiatedShutdown", "User initiated shutdown")
		inst.Transition = userInitiated(t.Now())
		inst.Force = inst.Force || aws.ToBool(in.Force) || aws.ToBool(in.SkipOsShutdown)
		return true, nil
	})
	return &ec2.TerminateInstancesOutput{TerminatingInstances: changes}, err
}

// terminate moves an instance towards its end; the caller writes it.
func terminate(t tx, inst *instance, code, message string) {
	inst.State, inst.Reboot = stateShuttingDown, false
	inst.ReasonCode, inst.Reason = code, code+": "+message
	inst.Ended = t.Now()
}
