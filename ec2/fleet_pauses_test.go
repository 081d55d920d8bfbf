package ec2

import (
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

// TestFleetPausesAfterWhatCannotRun: an instance whose image cannot be had ends, and its fleet launches another one a minute
// later, not at once; one that a user ended is replaced at once.
func TestFleetPausesAfterWhatCannotRun(t *testing.T) {
	began := time.Now().UTC()
	var passed atomic.Int64
	clock := func() time.Time { return began.Add(time.Duration(passed.Load())) }
	var pullable atomic.Bool
	db := store.OpenMemory(store.Options{Clock: clock})
	_, client := serveCloud(t, Config{
		DB: db, Network: sim.OpenNetwork(clock), Simulated: true, Domain: "mini-aws.internal",
		Engine: sim.Open(clock, func(string) bool { return pullable.Load() }), EngineSimulated: true,
		Init: func() (InitBinary, error) {
			return InitBinary{ID: "0123", Files: fstest.MapFS{"init": {Mode: 0o755}}, Name: "init"}, nil
		},
	}, reconcile.Options{Interval: 5 * time.Millisecond})
	must[*ec2.CreateLaunchTemplateOutput](t)(client.CreateLaunchTemplate(t.Context(), &ec2.CreateLaunchTemplateInput{
		LaunchTemplateName: aws.String("web"), LaunchTemplateData: &types.RequestLaunchTemplateData{ImageId: &publicImagesIn("us-east-1").sorted[0].ID, InstanceType: types.InstanceType(nanoType())},
	}))
	in := oneInstance(&types.FleetLaunchTemplateSpecificationRequest{LaunchTemplateName: aws.String("web"), Version: aws.String("1")})
	in.Type = types.FleetTypeMaintain
	fleet := *must[*ec2.CreateFleetOutput](t)(client.CreateFleet(t.Context(), in)).FleetId
	count := func(state types.InstanceStateName) (n int) {
		shown := must[*ec2.DescribeInstancesOutput](t)(client.DescribeInstances(t.Context(), &ec2.DescribeInstancesInput{Filters: []types.Filter{{Name: aws.String("instance-state-name"), Values: []string{string(state)}}}}))
		for _, r := range shown.Reservations {
			n += len(r.Instances)
		}
		return n
	}
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
		passed.Add(int64(refill - time.Second))
		if wait := due().Sub(clock()); wait != time.Second {
			t.Errorf("a second before the pause is over it is %v", wait)
		}
		if failed == 2 {
			pullable.Store(true)
		}
		passed.Add(int64(time.Second))
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
