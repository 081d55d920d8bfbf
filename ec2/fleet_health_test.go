package ec2

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// TestUnhealthyInstancesAreReplaced: what fails its status checks ends, and another instance takes its place.
func TestUnhealthyInstancesAreReplaced(tt *testing.T) {
	t := newSpotFleetTest(tt)
	in := t.fleetOf(2, nil)
	in.ReplaceUnhealthyInstances = aws.Bool(true)
	_, err := t.client.CreateFleet(t.Context(), in)
	wantCode(tt, err, "InvalidParameterCombination") // an instant one is not looked after
	in.Type = types.FleetTypeMaintain
	id := *t.create(in).FleetId
	t.reconcile(id)
	members := func() (all []string) {
		for _, i := range must[*ec2.DescribeFleetInstancesOutput](tt)(t.client.DescribeFleetInstances(t.Context(), &ec2.DescribeFleetInstancesInput{FleetId: &id})).ActiveInstances {
			all = append(all, *i.InstanceId)
		}
		return all
	}
	before := members()
	if len(before) != 2 {
		t.Fatalf("%q", before)
	}
	for _, m := range before {
		become(tt, t.service, &m, stateRunning)
	}
	c := &t.service.config
	simulated, engine, reachable := c.Simulated, c.EngineSimulated, c.Reachable
	defer func() { c.Simulated, c.EngineSimulated, c.Reachable = simulated, engine, reachable }()
	c.Simulated, c.EngineSimulated = false, false
	c.Reachable = func(instance string) (bool, time.Time) {
		return instance != before[0], time.Now().Add(time.Hour) // whatever it is, it was heard of
	}
	if again := t.reconcile(id); again <= 0 || again > healthPause || len(members()) != 2 {
		t.Errorf("%q before it is silent for long, again in %s", members(), again)
	}
	c.Now = func() time.Time { return time.Now().Add(2 * time.Hour) }
	t.reconcile(id)
	if left := members(); len(left) != 1 || left[0] != before[1] {
		t.Errorf("%q of %q are left", left, before)
	}
	t.reconcile(id)
	if now := members(); len(now) != 2 {
		t.Errorf("%q", now)
	}
	if f := must[*ec2.DescribeFleetsOutput](tt)(t.client.DescribeFleets(t.Context(), &ec2.DescribeFleetsInput{FleetIds: []string{id}})).Fleets[0]; !*f.ReplaceUnhealthyInstances {
		t.Errorf("%+v", f)
	}
}

// TestFleetsThatStop: an interruption stops the instance, which the fleet keeps; what a user ended the fleet replaces, and its
// request is over.
func TestFleetsThatStop(tt *testing.T) {
	t := newSpotFleetTest(tt)
	in := t.of(1, func(c *types.SpotFleetRequestConfigData) {
		c.InstanceInterruptionBehavior = types.InstanceInterruptionBehaviorStop
	})
	id := t.request(in)
	t.reconcile(id)
	first := t.active(id)
	if len(first) != 1 {
		t.Fatalf("%+v", first)
	}
	request := func(of *string) types.SpotInstanceRequest {
		return must[*ec2.DescribeSpotInstanceRequestsOutput](tt)(t.client.DescribeSpotInstanceRequests(t.Context(), &ec2.DescribeSpotInstanceRequestsInput{SpotInstanceRequestIds: []string{*of}})).SpotInstanceRequests[0]
	}
	if r := request(first[0].SpotInstanceRequestId); r.Type != types.SpotInstanceTypePersistent || r.InstanceInterruptionBehavior != types.InstanceInterruptionBehaviorStop || r.State != types.SpotInstanceStateActive {
		t.Errorf("%+v", r)
	}
	become(tt, t.service, first[0].InstanceId, stateRunning)
	if err := t.service.Announce(t.Context(), *first[0].InstanceId, Notice{Kind: "spot-interruption"}); err != nil {
		t.Fatal(err)
	}
	if r := request(first[0].SpotInstanceRequestId); *r.Status.Code != "marked-for-stop" {
		t.Errorf("%+v", r.Status)
	}
	become(tt, t.service, first[0].InstanceId, stateStopped)
	t.reconcile(id)
	if now := t.active(id); len(now) != 1 || *now[0].InstanceId != *first[0].InstanceId {
		t.Errorf("%+v", now)
	}
	// Its user ends it.
	err := t.service.updateIn(t.Context(), testScope, func(x tx) error {
		i, err := instances.get(x, *first[0].InstanceId)
		if err != nil {
			return err
		}
		i.State = stateTerminated
		if err := t.service.endSpot(x, i); err != nil {
			return err
		}
		return instances.put(x, i)
	})
	if err != nil {
		t.Fatal(err)
	}
	if r := request(first[0].SpotInstanceRequestId); r.State != types.SpotInstanceStateClosed {
		t.Errorf("the request is %s", r.State)
	}
	t.reconcile(id)
	if now := t.active(id); len(now) != 1 || *now[0].InstanceId == *first[0].InstanceId {
		t.Errorf("%+v", now)
	}
}

// TestFleetsOfProcessors: a target of processors, or of memory, is reached by what the types have of it.
func TestFleetsOfProcessors(tt *testing.T) {
	t := newSpotFleetTest(tt)
	two := types.FleetLaunchTemplateOverridesRequest{InstanceRequirements: &types.InstanceRequirementsRequest{
		VCpuCount: &types.VCpuCountRangeRequest{Min: aws.Int32(2), Max: aws.Int32(2)}, MemoryMiB: &types.MemoryMiBRequest{Min: aws.Int32(4096), Max: aws.Int32(4096)},
	}}
	images := must[*ec2.DescribeImagesOutput](tt)(t.client.DescribeImages(t.Context(), &ec2.DescribeImagesInput{Filters: []types.Filter{{Name: aws.String("architecture"), Values: []string{"x86_64"}}}})).Images
	must[*ec2.CreateLaunchTemplateOutput](tt)(t.client.CreateLaunchTemplate(t.Context(), &ec2.CreateLaunchTemplateInput{
		LaunchTemplateName: aws.String("intel"), LaunchTemplateData: &types.RequestLaunchTemplateData{ImageId: images[0].ImageId},
	}))
	for unit, c := range map[types.TargetCapacityUnitType]struct {
		target int32
		want   int
	}{types.TargetCapacityUnitTypeVcpu: {6, 3}, types.TargetCapacityUnitTypeMemoryMib: {8192, 2}, types.TargetCapacityUnitTypeUnits: {2, 2}} {
		in := t.fleetOf(c.target, nil, two)
		in.LaunchTemplateConfigs[0].LaunchTemplateSpecification.LaunchTemplateName = aws.String("intel")
		in.TargetCapacitySpecification.TargetCapacityUnitType = unit
		out, n := t.create(in), 0
		for _, count := range launchedBy(out) {
			n += count
		}
		if n != c.want {
			t.Errorf("%d instances of %d %s, want %d: %+v", n, c.target, unit, c.want, out.Errors)
		}
		in.LaunchTemplateConfigs[0].Overrides = nil
		if unit == types.TargetCapacityUnitTypeUnits {
			continue
		}
		_, err := t.client.CreateFleet(t.Context(), in)
		wantCode(tt, err, "InvalidParameterCombination")
	}
}
