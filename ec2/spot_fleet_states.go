package ec2

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"miniaws/backend/reconcile"
	"miniaws/backend/store"
)

// batchState is the state of a Spot Fleet.
func (f *fleet) batchState() types.BatchState {
	switch x := f.SpotFleet; {
	case !x.Ended.IsZero():
		return types.BatchStateCancelled
	case !f.Deleted.IsZero() && f.Ends:
		return types.BatchStateCancelledTerminatingInstances
	case !f.Deleted.IsZero():
		return types.BatchStateCancelledRunning
	case x.Modifying:
		return types.BatchStateModifying
	case x.Started:
		return types.BatchStateActive
	}
	return types.BatchStateSubmitted
}

// activity is how far a Spot Fleet is, of which so much lives; "" where it does nothing any more.
func (f *fleet) activity(t tx, fulfilled float64) (types.ActivityStatus, error) {
	switch f.batchState() {
	case types.BatchStateCancelledTerminatingInstances:
		return types.ActivityStatusPendingTermination, nil
	case types.BatchStateCancelledRunning, types.BatchStateCancelled:
		return "", nil
	}
	switch {
	case f.Filled && fulfilled >= float64(aws.ToInt32(f.Target.TotalTargetCapacity)):
		all, err := f.members(t)
		if err != nil {
			return "", err
		}
		for _, m := range all {
			i, err := instances.see(t, m.Instance)
			if err != nil {
				return "", err
			}
			if i != nil && i.State == stateShuttingDown && i.ReasonCode == endedByFleet {
				return types.ActivityStatusPendingTermination, nil
			}
		}
		return types.ActivityStatusFulfilled, nil
	case f.Filled && len(f.Errors) > 0:
		return types.ActivityStatusError, nil
	}
	return types.ActivityStatusPendingFulfillment, nil
}

// DescribeSpotFleetRequests lists Spot Fleets.
func (s *Service) DescribeSpotFleetRequests(ctx context.Context, in *ec2.DescribeSpotFleetRequestsInput) (*ec2.DescribeSpotFleetRequestsOutput, error) {
	q := query{ids: in.SpotFleetRequestIds, idsName: "spotFleetRequestIds", max: in.MaxResults, token: in.NextToken}
	list, next, err := describe(ctx, s, spotFleets, q, func(t tx, f *fleet) (types.SpotFleetRequestConfig, error) {
		config := f.SpotFleet.Config
		alive, err := f.alive(t)
		if err != nil {
			return types.SpotFleetRequestConfig{}, err
		}
		fulfilled, demand := capacityOf(alive)
		config.FulfilledCapacity, config.OnDemandFulfilledCapacity = aws.Float64(fulfilled), aws.Float64(demand)
		status, err := f.activity(t, fulfilled)
		return types.SpotFleetRequestConfig{
			SpotFleetRequestId: aws.String(f.ID), SpotFleetRequestState: f.batchState(), ActivityStatus: status, CreateTime: aws.Time(f.Created),
			SpotFleetRequestConfig: &config, Tags: tagsToAPI(tx{}, f.Tags),
		}, err
	})
	return &ec2.DescribeSpotFleetRequestsOutput{SpotFleetRequestConfigs: list, NextToken: next}, err
}

// DescribeSpotFleetInstances lists the running instances of a Spot Fleet.
func (s *Service) DescribeSpotFleetInstances(ctx context.Context, in *ec2.DescribeSpotFleetInstancesInput) (*ec2.DescribeSpotFleetInstancesOutput, error) {
	out := &ec2.DescribeSpotFleetInstancesOutput{SpotFleetRequestId: in.SpotFleetRequestId}
	return out, s.view(ctx, func(t tx) error {
		f, err := spotFleets.get(t, *in.SpotFleetRequestId)
		if err != nil {
			return err
		}
		out.ActiveInstances, out.NextToken, err = f.active(t, query{max: in.MaxResults, token: in.NextToken}, func(*instance) bool { return true })
		return err
	})
}

// ModifySpotFleetRequest gives a Spot Fleet of type maintain another target; the loop launches what is missing, and ends what
// is too much if the policy says so.
func (s *Service) ModifySpotFleetRequest(ctx context.Context, in *ec2.ModifySpotFleetRequestInput) (*ec2.ModifySpotFleetRequestOutput, error) {
	if err := unsupported("ModifySpotFleetRequest", "LaunchTemplateConfigs", in.LaunchTemplateConfigs); err != nil {
		return nil, err
	}
	return &ec2.ModifySpotFleetRequestOutput{Return: aws.Bool(true)}, s.update(ctx, func(t tx) error {
		return spotFleets.edit(t, *in.SpotFleetRequestId, func(f *fleet) error {
			c := &f.SpotFleet.Config
			c.ExcessCapacityTerminationPolicy = cmp.Or(in.ExcessCapacityTerminationPolicy, c.ExcessCapacityTerminationPolicy)
			c.Context = cmp.Or(in.Context, c.Context)
			c.TargetCapacity, c.OnDemandTargetCapacity = cmp.Or(in.TargetCapacity, c.TargetCapacity), cmp.Or(in.OnDemandTargetCapacity, c.OnDemandTargetCapacity)
			switch {
			case f.Type != types.FleetTypeMaintain:
				return errUnsupported("Only Spot Fleet requests of type maintain can be modified.")
			case !f.Deleted.IsZero():
				return errInvalidParameterValue("The spot fleet request '%s' is in the state '%s'.", f.ID, f.batchState())
			case excessPolicies[c.ExcessCapacityTerminationPolicy] == "":
				return errSpotFleetParameter("ExcessCapacityTerminationPolicy")
			}
			if err := f.aim(); err != nil {
				return err
			}
			f.Pause = time.Time{}
			f.Excess, f.SpotFleet.Modifying = excessPolicies[c.ExcessCapacityTerminationPolicy], f.SpotFleet.Started
			f.note(t, types.EventTypeBatchChange, "modify_in_progress", "", "")
			return reconcile.Want(t, t.item(fleetKind, f.ID))
		})
	})
}

// maxCanceledFleets is how many Spot Fleets one call cancels. AWS: "CancelSpotFleetRequests".
const maxCanceledFleets = 100

// CancelSpotFleetRequests ends Spot Fleets: nothing is launched for them any more. What cannot be canceled is said, one by one.
func (s *Service) CancelSpotFleetRequests(ctx context.Context, in *ec2.CancelSpotFleetRequestsInput) (*ec2.CancelSpotFleetRequestsOutput, error) {
	if n := len(in.SpotFleetRequestIds); n > maxCanceledFleets {
		return nil, errInvalidParameterValue("The number of Spot Fleet requests (%d) exceeds the limit of %d.", n, maxCanceledFleets)
	}
	out := &ec2.CancelSpotFleetRequestsOutput{}
	return out, s.update(ctx, func(t tx) error {
		out.SuccessfulFleetRequests, out.UnsuccessfulFleetRequests = []types.CancelSpotFleetRequestsSuccessItem{}, []types.CancelSpotFleetRequestsErrorItem{}
		for _, id := range in.SpotFleetRequestIds {
			fail := func(code types.CancelBatchErrorCode, why string) {
				out.UnsuccessfulFleetRequests = append(out.UnsuccessfulFleetRequests, types.CancelSpotFleetRequestsErrorItem{
					SpotFleetRequestId: aws.String(id), Error: &types.CancelSpotFleetRequestsError{Code: code, Message: aws.String("The spot fleet request ID '" + id + "' " + why)},
				})
			}
			if !spotFleets.wellFormed(id) {
				fail(types.CancelBatchErrorCodeFleetRequestIdMalformed, "is malformed")
				continue
			}
			f, err := spotFleets.find(t, id)
			switch {
			case err != nil:
				return err
			case f == nil:
				fail(types.CancelBatchErrorCodeFleetRequestIdDoesNotExist, "does not exist")
				continue
			case !f.Deleted.IsZero():
				fail(types.CancelBatchErrorCodeFleetRequestNotInCancellableState, "is in the state '"+string(f.batchState())+"'")
				continue
			}
			before := f.batchState()
			f.cancel(t, aws.ToBool(in.TerminateInstances))
			out.SuccessfulFleetRequests = append(out.SuccessfulFleetRequests, types.CancelSpotFleetRequestsSuccessItem{
				SpotFleetRequestId: aws.String(id), PreviousSpotFleetRequestState: before, CurrentSpotFleetRequestState: f.batchState(),
			})
			if err := errors.Join(spotFleets.put(t, f), reconcile.Want(t, t.item(fleetKind, id))); err != nil {
				return err
			}
		}
		return nil
	})
}

// cancel ends a Spot Fleet. The loop ends its instances if they are to end with it.
func (f *fleet) cancel(t tx, ends bool) {
	f.Deleted, f.Ends, f.SpotFleet.Modifying = t.Now(), ends, false
	f.note(t, types.EventTypeBatchChange, string(f.batchState()), "", "")
}

// reconcileSpotFleet begins and ends a Spot Fleet at its times, launches what it has too little of, and ends what it has too
// much of.
func (s *Service) reconcileSpotFleet(ctx context.Context, scope store.Scope, id string) (time.Duration, error) {
	if err := s.forgetEnded(ctx, scope, id); err != nil {
		return 0, err
	}
	var fill, ends bool
	var again time.Duration
	err := s.updateIn(ctx, scope, func(t tx) error {
		fill, ends, again = false, false, 0
		f, err := spotFleets.find(t, id)
		if f == nil || err != nil {
			return err
		}
		fill, again, err = f.advance(t)
		ends = !f.Deleted.IsZero() && f.Ends
		return errors.Join(err, spotFleets.put(t, f))
	})
	if ends && err == nil {
		err = s.endFleet(ctx, scope, id)
	}
	if !fill || err != nil {
		return again, err
	}
	if err := s.fillFleet(ctx, scope, id); err != nil {
		return 0, err
	}
	after := time.Duration(0)
	err = s.inParts(ctx, scope, func(t tx) (more bool, err error) {
		after = 0
		f, err := spotFleets.find(t, id)
		if f == nil || err != nil || !f.Deleted.IsZero() {
			return false, err
		}
		c := &care{}
		if f.Type == types.FleetTypeMaintain {
			if c, err = s.tend(t, f); err != nil {
				return false, err
			}
			after = c.after
		}
		if f.SpotFleet.Modifying && !c.lacks && !c.more {
			f.SpotFleet.Modifying = false
			f.note(t, types.EventTypeBatchChange, "modify_succeeded", "", "")
		}
		return c.more, spotFleets.put(t, f)
	})
	return sooner(again, after), err
}

// advance brings a Spot Fleet to the state that its instances and the time ask for. fill tells that it is to launch what is
// missing, again when it is to be looked at next, 0 for never.
func (f *fleet) advance(t tx) (fill bool, again time.Duration, err error) {
	left, err := f.left(t)
	if err != nil {
		return false, 0, err
	}
	x, now := f.SpotFleet, t.Now()
	from, until := aws.ToTime(x.Config.ValidFrom), aws.ToTime(x.Config.ValidUntil)
	if f.Deleted.IsZero() && !until.IsZero() && !now.Before(until) {
		f.note(t, types.EventTypeBatchChange, "expired", "", "")
		f.cancel(t, aws.ToBool(x.Config.TerminateInstancesWithExpiration))
	}
	switch {
	case !f.Deleted.IsZero() && !left && x.Ended.IsZero():
		x.Ended = now
		f.note(t, types.EventTypeBatchChange, string(f.batchState()), "", "")
		return false, 0, reconcile.WantAfter(t, t.item(goneKind, f.ID), spotFleetLifetime)
	case !f.Deleted.IsZero():
		return false, 0, nil
	case now.Before(from):
		return false, from.Sub(now), nil
	}
	if !x.Started {
		x.Started = true
		f.note(t, types.EventTypeBatchChange, "active", "", "")
	}
	if !until.IsZero() {
		again = until.Sub(now)
	}
	fill = f.Type == types.FleetTypeMaintain || !f.Filled
	if left := f.Pause.Sub(now); fill && left > 0 {
		fill = false
		if again == 0 || left < again {
			again = left
		}
	}
	if fill {
		f.Errors = nil // those of the last time
	}
	return fill, again, nil
}
