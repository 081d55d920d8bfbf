package ec2

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"miniaws/backend/reconcile"
)

// large is the target of a fleet of which one transaction can neither launch nor end all instances.
const large = 6 * maxLaunch

// maintained makes a large fleet of type maintain.
func (t *spotFleetTest) maintained(change func(*ec2.CreateFleetInput)) string {
	t.Helper()
	in := t.fleetOf(large, nil)
	in.Type = types.FleetTypeMaintain
	if change != nil {
		change(in)
	}
	id := *t.create(in).FleetId
	t.reconcile(id)
	if f := t.fleet(id); *f.FulfilledCapacity != large {
		t.Fatalf("%v of %d instances", *f.FulfilledCapacity, large)
	}
	return id
}

func (t *spotFleetTest) fleet(id string) types.FleetData {
	t.Helper()
	return must[*ec2.DescribeFleetsOutput](t.T)(t.client.DescribeFleets(t.Context(), &ec2.DescribeFleetsInput{FleetIds: []string{id}})).Fleets[0]
}

// noneAlive makes the instances of a fleet terminated, as an engine would those that its fleet ended, and looks at it again.
func (t *spotFleetTest) noneAlive(id string) {
	t.Helper()
	var ids []string
	err := t.service.viewIn(t.Context(), testScope, func(x tx) error {
		f, err := fleetsOf(id).get(x, id)
		if err != nil {
			return err
		}
		all, err := f.members(x)
		for _, m := range all {
			i, failure := instances.read(x, m.Instance)
			if failure != nil {
				return failure
			}
			if i.State != stateShuttingDown || i.ReasonCode != endedByFleet {
				t.Fatalf("%s is %s", i.ID, i.State)
			}
			ids = append(ids, i.ID)
		}
		return err
	})
	if err != nil || len(ids) != large {
		t.Fatalf("%d members, %v", len(ids), err)
	}
	for len(ids) > 0 {
		n := min(fleetPart, len(ids))
		t.gone(ids[:n]...)
		ids = ids[n:]
	}
	t.reconcile(id)
}

// TestLargeFleetsOfOneType: more than one transaction has room for is launched of one type, also after what is asked for at least.
func TestLargeFleetsOfOneType(tt *testing.T) {
	t := newSpotFleetTest(tt)
	for _, least := range []int32{0, maxLaunch} {
		out := t.create(t.fleetOf(large, &types.OnDemandOptionsRequest{SingleInstanceType: aws.Bool(true), MinTargetCapacity: aws.Int32(least)}))
		if n := launchedBy(out)[t.guest.InstanceType]; n != large || len(out.Errors) > 0 {
			t.Errorf("%d instances where at least %d are asked for, %+v", n, least, out.Errors)
		}
		deleted := must[*ec2.DeleteFleetsOutput](tt)(t.client.DeleteFleets(t.Context(), &ec2.DeleteFleetsInput{FleetIds: []string{*out.FleetId}, TerminateInstances: aws.Bool(true)}))
		if len(deleted.SuccessfulFleetDeletions) != 1 {
			t.Fatalf("%+v", deleted)
		}
		t.reconcile(*out.FleetId)
		t.noneAlive(*out.FleetId)
		if f := t.fleet(*out.FleetId); f.FleetState != types.FleetStateCodeDeleted {
			t.Errorf("%s", f.FleetState)
		}
		gone := reconcile.Item{Kind: goneKind, Account: testScope.Account, Region: testScope.Region, ID: *out.FleetId}
		if again, err := t.service.forget(t.Context(), gone); again != 0 || err != nil {
			t.Error(again, err)
		}
		_, err := t.client.DescribeFleets(t.Context(), &ec2.DescribeFleetsInput{FleetIds: []string{*out.FleetId}})
		wantCode(tt, err, "InvalidFleetId.NotFound")
	}
	light := t.fleetOf(1, &types.OnDemandOptionsRequest{SingleInstanceType: aws.Bool(true), MinTargetCapacity: aws.Int32(60)}, types.FleetLaunchTemplateOverridesRequest{InstanceType: t.guest.InstanceType, WeightedCapacity: aws.Float64(0.5)})
	_, err := t.client.CreateFleet(t.Context(), light)
	wantCode(tt, err, "NotImplemented")
}

// TestLargeFleetsEnd: a fleet of many instances is modified to none, deleted, and expires.
func TestLargeFleetsEnd(tt *testing.T) {
	t := newSpotFleetTest(tt)
	id := t.maintained(nil)
	must[*ec2.ModifyFleetOutput](tt)(t.client.ModifyFleet(t.Context(), &ec2.ModifyFleetInput{FleetId: &id, TargetCapacitySpecification: &types.TargetCapacitySpecificationRequest{TotalTargetCapacity: aws.Int32(0)}}))
	t.reconcile(id)
	t.noneAlive(id)
	if f := t.fleet(id); f.FleetState != types.FleetStateCodeActive || *f.FulfilledCapacity != 0 {
		t.Errorf("%s, %v", f.FleetState, *f.FulfilledCapacity)
	}

	id = t.maintained(nil)
	deleted := must[*ec2.DeleteFleetsOutput](tt)(t.client.DeleteFleets(t.Context(), &ec2.DeleteFleetsInput{FleetIds: []string{id}, TerminateInstances: aws.Bool(true)}))
	if len(deleted.SuccessfulFleetDeletions) != 1 || t.fleet(id).FleetState != types.FleetStateCodeDeletedTerminatingInstances {
		t.Errorf("%+v", deleted)
	}
	t.reconcile(id)
	t.noneAlive(id)
	if f := t.fleet(id); f.FleetState != types.FleetStateCodeDeleted {
		t.Errorf("%s", f.FleetState)
	}

	until := time.Now().Add(time.Hour)
	id = t.maintained(func(in *ec2.CreateFleetInput) {
		in.ValidUntil, in.TerminateInstancesWithExpiration = &until, aws.Bool(true)
	})
	err := t.service.updateIn(t.Context(), testScope, func(x tx) error {
		return fleets.edit(x, id, func(f *fleet) error { f.Until = x.Now(); return nil })
	})
	if err != nil {
		t.Fatal(err)
	}
	t.reconcile(id)
	t.noneAlive(id)
	if f := t.fleet(id); f.FleetState != types.FleetStateCodeActive || *f.FulfilledCapacity != 0 {
		t.Errorf("%s, %v", f.FleetState, *f.FulfilledCapacity)
	}
}

// TestLargeSpotFleetsEnd: a Spot Fleet of many instances is modified to none, and canceled.
func TestLargeSpotFleetsEnd(tt *testing.T) {
	t := newSpotFleetTest(tt)
	for _, end := range []func(id string){
		func(id string) {
			must[*ec2.ModifySpotFleetRequestOutput](tt)(t.client.ModifySpotFleetRequest(t.Context(), &ec2.ModifySpotFleetRequestInput{SpotFleetRequestId: &id, TargetCapacity: aws.Int32(0)}))
		},
		func(id string) {
			must[*ec2.CancelSpotFleetRequestsOutput](tt)(t.client.CancelSpotFleetRequests(t.Context(), &ec2.CancelSpotFleetRequestsInput{SpotFleetRequestIds: []string{id}, TerminateInstances: aws.Bool(true)}))
		},
	} {
		id := t.request(t.of(large, nil))
		t.reconcile(id)
		t.is(id, types.BatchStateActive, types.ActivityStatusFulfilled, large)
		end(id)
		t.reconcile(id)
		t.noneAlive(id)
		if f := t.show(id); *f.SpotFleetRequestConfig.FulfilledCapacity != 0 || f.SpotFleetRequestState != types.BatchStateActive && f.SpotFleetRequestState != types.BatchStateCancelled {
			t.Errorf("%s, %v", f.SpotFleetRequestState, *f.SpotFleetRequestConfig.FulfilledCapacity)
		}
	}
}
