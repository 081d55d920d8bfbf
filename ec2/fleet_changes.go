package ec2

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"miniaws/awsapi"
	"miniaws/backend/reconcile"
	"miniaws/backend/store"
)

// modifyFleetAccess is what ModifyFleet needs: the fleet, and every launch that it may make from now on.
func (s *Service) modifyFleetAccess(ctx context.Context, in *ec2.ModifyFleetInput) ([]awsapi.Access, error) {
	wanted, err := on(s, "ModifyFleet", func(in *ec2.ModifyFleetInput) []string { return strs(in.FleetId) })(ctx, in)
	if err != nil || len(in.LaunchTemplateConfigs) == 0 {
		return wanted, err
	}
	launches, err := s.launchesAccess(ctx, &fleet{Configs: in.LaunchTemplateConfigs}, types.InstanceLifecycleOnDemand)
	return append(wanted, launches...), err
}

// ModifyFleet gives a fleet of type maintain another target, or other templates for the launches to come; the loop launches what
// is missing, and ends what is too much if the policy says so.
func (s *Service) ModifyFleet(ctx context.Context, in *ec2.ModifyFleetInput) (*ec2.ModifyFleetOutput, error) {
	if err := checkConfigs(in.LaunchTemplateConfigs); err != nil {
		return nil, err
	}
	return &ec2.ModifyFleetOutput{Return: aws.Bool(true)}, s.update(ctx, func(t tx) error {
		return fleets.edit(t, *in.FleetId, func(f *fleet) error {
			switch {
			case f.Type != types.FleetTypeMaintain:
				return errUnsupported("Only fleets of type maintain can be modified.")
			case !f.Deleted.IsZero():
				return errInvalidParameterValue("The fleet '%s' is deleted.", f.ID)
			case f.Expired:
				return errInvalidParameterValue("The fleet '%s' is expired.", f.ID)
			}
			if unit := in.TargetCapacitySpecification; len(in.LaunchTemplateConfigs) > 0 || unit != nil && unit.TargetCapacityUnitType != "" {
				have, configs := f.Target.TargetCapacityUnitType, f.Configs
				if unit != nil {
					have = cmp.Or(unit.TargetCapacityUnitType, have)
				}
				if len(in.LaunchTemplateConfigs) > 0 {
					configs = in.LaunchTemplateConfigs
				}
				if err := checkUnits(have, require(configs)); err != nil {
					return err
				}
			}
			f.Excess, f.Pause = cmp.Or(in.ExcessCapacityTerminationPolicy, f.Excess), time.Time{}
			f.Context = cmp.Or(aws.ToString(in.Context), f.Context)
			if len(in.LaunchTemplateConfigs) > 0 {
				f.Configs, f.Errors = in.LaunchTemplateConfigs, nil
			}
			if in.TargetCapacitySpecification != nil {
				had := f.Target
				f.Target = *in.TargetCapacitySpecification
				f.Target.DefaultTargetCapacityType = cmp.Or(f.Target.DefaultTargetCapacityType, had.DefaultTargetCapacityType)
				f.Target.TargetCapacityUnitType = cmp.Or(f.Target.TargetCapacityUnitType, had.TargetCapacityUnitType)
				if err := f.checkTarget(); err != nil {
					return err
				}
			}
			f.note(t, types.EventTypeBatchChange, "modify_in_progress", "", "")
			f.Modifying = true
			return reconcile.Want(t, t.item(fleetKind, f.ID))
		})
	})
}

// DeleteFleets ends fleets: nothing is launched for them any more. What cannot be deleted is said, one by one.
func (s *Service) DeleteFleets(ctx context.Context, in *ec2.DeleteFleetsInput) (*ec2.DeleteFleetsOutput, error) {
	out := &ec2.DeleteFleetsOutput{}
	return out, s.update(ctx, func(t tx) error {
		out.SuccessfulFleetDeletions, out.UnsuccessfulFleetDeletions = []types.DeleteFleetSuccessItem{}, []types.DeleteFleetErrorItem{}
		for _, id := range in.FleetIds {
			fail := func(code types.DeleteFleetErrorCode, message string) {
				out.UnsuccessfulFleetDeletions = append(out.UnsuccessfulFleetDeletions, types.DeleteFleetErrorItem{FleetId: aws.String(id), Error: &types.DeleteFleetError{Code: code, Message: aws.String(message)}})
			}
			if !fleets.wellFormed(id) {
				fail(types.DeleteFleetErrorCodeFleetIdMalformed, "The fleet ID '"+id+"' is malformed")
				continue
			}
			f, err := fleets.find(t, id)
			switch {
			case err != nil:
				return err
			case f == nil:
				fail(types.DeleteFleetErrorCodeFleetIdDoesNotExist, "The fleet ID '"+id+"' does not exist")
				continue
			case !f.Deleted.IsZero():
				fail(types.DeleteFleetErrorCodeFleetNotInDeletableState, "The fleet '"+id+"' is deleted already")
				continue
			case f.Type == types.FleetTypeInstant && !aws.ToBool(in.TerminateInstances):
				// AWS: "DeleteFleets": an instant fleet is deleted with its instances only.
				fail(types.DeleteFleetErrorCodeFleetNotInDeletableState, "A fleet of type instant can be deleted only with its instances")
				continue
			}
			before, err := f.toAPI(t)
			if err != nil {
				return err
			}
			if err := f.delete(t, aws.ToBool(in.TerminateInstances)); err != nil {
				return err
			}
			out.SuccessfulFleetDeletions = append(out.SuccessfulFleetDeletions, types.DeleteFleetSuccessItem{FleetId: aws.String(id), PreviousFleetState: before.FleetState, CurrentFleetState: f.deletion()})
		}
		return nil
	})
}

// delete ends a fleet. The loop ends its instances if they are to end with it.
func (f *fleet) delete(t tx, ends bool) error {
	f.Deleted, f.Ends = t.Now(), ends
	f.note(t, types.EventTypeBatchChange, string(f.deletion()), "", "")
	return errors.Join(fleets.put(t, f), reconcile.Want(t, t.item(fleetKind, f.ID)))
}

// expire ends the time of a fleet, which is there until somebody deletes it. The loop ends its instances if they are to end with it.
// AWS: "CreateFleet", ValidUntil: "no new EC2 Fleet requests are placed or able to fulfill the request".
func (f *fleet) expire(t tx) error {
	f.Expired, f.Filled = true, true
	f.note(t, types.EventTypeBatchChange, "expired", "", "")
	return fleets.put(t, f)
}

// deletion is the state of a deleted fleet that has instances.
func (f *fleet) deletion() types.FleetStateCode {
	if f.Ends {
		return types.FleetStateCodeDeletedTerminatingInstances
	}
	return types.FleetStateCodeDeletedRunning
}

// endedByFleet is the reason of instances that their fleet ended.
const endedByFleet = "Server.FleetTermination"

// fleetPart is how many members one transaction changes: as many as one launches.
const fleetPart = maxLaunch

// inParts makes one transaction after the other until nothing is left to do: a fleet has more members than one has room for.
func (s *Service) inParts(ctx context.Context, scope store.Scope, part func(t tx) (more bool, err error)) error {
	for more := true; more; {
		err := s.updateIn(ctx, scope, func(t tx) (err error) {
			more, err = part(t)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// endFleet ends the instances of a fleet.
func (s *Service) endFleet(ctx context.Context, scope store.Scope, id string) error {
	return s.inParts(ctx, scope, func(t tx) (more bool, err error) {
		f, err := fleetsOf(id).find(t, id)
		if f == nil || err != nil {
			return false, err
		}
		alive, err := f.alive(t)
		if err != nil {
			return false, err
		}
		part := alive[:min(fleetPart, len(alive))]
		return len(part) < len(alive), f.endMembers(t, part)
	})
}

// forgetEnded forgets the members of a fleet that ended.
func (s *Service) forgetEnded(ctx context.Context, scope store.Scope, id string) error {
	return s.inParts(ctx, scope, func(t tx) (more bool, err error) {
		f, err := fleetsOf(id).find(t, id)
		if f == nil || err != nil {
			return false, err
		}
		dropped, err := f.dropEnded(t)
		if dropped == 0 || err != nil {
			return false, err
		}
		return dropped == fleetPart, fleetsOf(id).put(t, f)
	})
}

// endMembers ends instances of the fleet.
func (f *fleet) endMembers(t tx, members []fleetMember) error {
	for _, m := range members {
		i, err := instances.find(t, m.Instance)
		if err != nil {
			return err
		}
		if i == nil || i.State == stateTerminated || i.State == stateShuttingDown {
			continue
		}
		terminate(t, i, endedByFleet, "The fleet that launched the instance ended it")
		if err := errors.Join(instances.put(t, i), reconcile.Want(t, t.item(instanceKind, i.ID))); err != nil {
			return err
		}
	}
	return nil
}
