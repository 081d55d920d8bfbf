package ec2

import (
	"slices"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"miniaws/backend/reconcile"
	"miniaws/backend/sim"
	"miniaws/backend/store"
)

// timedFleets are fleets on an engine of which a test says whether it has images, and what time it is.
type timedFleets struct {
	*testing.T
	client   *ec2.Client
	db       store.DB
	began    time.Time
	passed   atomic.Int64
	pullable atomic.Bool
}

func (w *timedFleets) now() time.Time { return w.began.Add(time.Duration(w.passed.Load())) }

func newTimedFleets(t *testing.T) *timedFleets {
	w := &timedFleets{T: t, began: time.Now().UTC().Truncate(time.Second)}
	w.db = store.OpenMemory(store.Options{Clock: w.now})
	_, w.client = serveCloud(t, Config{
		DB: w.db, Network: sim.OpenNetwork(w.now), Simulated: true, Domain: "mini-aws.internal",
		Engine: sim.Open(w.now, func(string) bool { return w.pullable.Load() }), EngineSimulated: true,
		Init: func() (InitBinary, error) {
			return InitBinary{ID: "0123", Files: fstest.MapFS{"init": {Mode: 0o755}}, Name: "init"}, nil
		},
	}, reconcile.Options{Interval: 5 * time.Millisecond})
	must[*ec2.CreateLaunchTemplateOutput](t)(w.client.CreateLaunchTemplate(t.Context(), &ec2.CreateLaunchTemplateInput{
		LaunchTemplateName: aws.String("web"), LaunchTemplateData: &types.RequestLaunchTemplateData{ImageId: &publicImagesIn("us-east-1").sorted[0].ID, InstanceType: types.InstanceType(nanoType())},
	}))
	return w
}

// maintain makes a fleet of one instance.
func (w *timedFleets) maintain(change func(*ec2.CreateFleetInput)) string {
	in := oneInstance(&types.FleetLaunchTemplateSpecificationRequest{LaunchTemplateName: aws.String("web"), Version: aws.String("1")})
	in.Type = types.FleetTypeMaintain
	if change != nil {
		change(in)
	}
	return *must[*ec2.CreateFleetOutput](w.T)(w.client.CreateFleet(w.Context(), in)).FleetId
}

// count is the number of instances in a state.
func (w *timedFleets) count(state types.InstanceStateName) (n int) {
	shown := must[*ec2.DescribeInstancesOutput](w.T)(w.client.DescribeInstances(w.Context(), &ec2.DescribeInstancesInput{Filters: []types.Filter{{Name: aws.String("instance-state-name"), Values: []string{string(state)}}}}))
	for _, r := range shown.Reservations {
		n += len(r.Instances)
	}
	return n
}

// TestFleetsHaveTheirTimes: nothing is launched before a fleet's time, nor after it; its instances end with it if they are to.
func TestFleetsHaveTheirTimes(t *testing.T) {
	w := newTimedFleets(t)
	w.pullable.Store(true)
	from, until := w.now().Add(time.Hour), w.now().Add(2*time.Hour)
	ends := w.maintain(func(in *ec2.CreateFleetInput) {
		in.ValidFrom, in.ValidUntil, in.TerminateInstancesWithExpiration = &from, &until, aws.Bool(true)
	})
	stays := w.maintain(func(in *ec2.CreateFleetInput) { in.ValidUntil = &until })
	state := func(id string) types.FleetData {
		return must[*ec2.DescribeFleetsOutput](t)(w.client.DescribeFleets(t.Context(), &ec2.DescribeFleetsInput{FleetIds: []string{id}})).Fleets[0]
	}
	waitFor(t, func() bool {
		return w.count(types.InstanceStateNameRunning) == 1 && *state(stays).FulfilledCapacity == 1
	})
	if f := state(ends); f.FleetState != types.FleetStateCodeSubmitted || !f.ValidFrom.Equal(from) || !f.ValidUntil.Equal(until) || !*f.TerminateInstancesWithExpiration {
		t.Errorf("%+v", f)
	}
	w.passed.Add(int64(time.Hour))
	waitFor(t, func() bool {
		return w.count(types.InstanceStateNameRunning) == 2 && state(ends).FleetState == types.FleetStateCodeActive
	})
	w.passed.Add(int64(time.Hour))
	waitFor(t, func() bool {
		return *state(ends).FulfilledCapacity == 0 && *state(stays).FulfilledCapacity == 1 && w.count(types.InstanceStateNameRunning) == 1
	})
	if one, other := state(ends).FleetState, state(stays).FleetState; one != types.FleetStateCodeActive || other != types.FleetStateCodeActive {
		t.Errorf("%s and %s, though nobody deleted them", one, other)
	}
	waitFor(t, func() bool { // its end is noted after it was seen
		var happened []string
		for _, e := range must[*ec2.DescribeFleetHistoryOutput](t)(w.client.DescribeFleetHistory(t.Context(), &ec2.DescribeFleetHistoryInput{FleetId: &ends, StartTime: &w.began, EventType: types.FleetEventTypeFleetChange})).HistoryRecords {
			happened = append(happened, *e.EventInformation.EventSubType)
		}
		return slices.Equal(happened, []string{"submitted", "active", "expired"})
	})
	wrong := oneInstance(&types.FleetLaunchTemplateSpecificationRequest{LaunchTemplateName: aws.String("web"), Version: aws.String("1")})
	wrong.ValidUntil = &until
	_, err := w.client.CreateFleet(t.Context(), wrong)
	wantCode(t, err, "InvalidParameterCombination")
	wrong.Type, wrong.ValidFrom = types.FleetTypeMaintain, &until
	_, err = w.client.CreateFleet(t.Context(), wrong)
	wantCode(t, err, "InvalidParameterValue")
}

// TestFleetPausesAfterWhatCannotRun: an instance whose image cannot be had ends, and its fleet launches another one a minute
// later, not at once; one that a user ended is replaced at once.
func TestFleetPausesAfterWhatCannotRun(t *testing.T) {
	w := newTimedFleets(t)
	client, clock, db, count := w.client, w.now, w.db, w.count
	fleet := w.maintain(nil)
	due := func() time.Time {
		work, err := reconcile.Pending(t.Context(), db, fleet)
		if err != nil || len(work) > 1 {
			t.Fatal(work, err)
		}
		if len(work) == 0 {
			return time.Time{}
		}
		return work[0].Due
	}
	for failed := 1; failed < 3; failed++ {
		waitFor(t, func() bool {
			return count(types.InstanceStateNameTerminated) == failed && due().Equal(clock().Add(refill))
		})
		w.passed.Add(int64(refill - time.Second))
		if wait := due().Sub(clock()); wait != time.Second {
			t.Errorf("a second before the pause is over it is %v", wait)
		}
		if failed == 2 {
			w.pullable.Store(true)
		}
		w.passed.Add(int64(time.Second))
	}
	waitFor(t, func() bool { return count(types.InstanceStateNameRunning) == 1 })
	running := must[*ec2.DescribeFleetInstancesOutput](t)(client.DescribeFleetInstances(t.Context(), &ec2.DescribeFleetInstancesInput{FleetId: &fleet})).ActiveInstances
	if len(running) != 1 {
		t.Fatalf("%+v", running)
	}
	// Time stands still now.
	must[*ec2.TerminateInstancesOutput](t)(client.TerminateInstances(t.Context(), &ec2.TerminateInstancesInput{InstanceIds: []string{*running[0].InstanceId}}))
	waitFor(t, func() bool {
		return count(types.InstanceStateNameTerminated) == 3 && count(types.InstanceStateNameRunning) == 1
	})
}
