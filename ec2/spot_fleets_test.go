package ec2

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"miniaws/backend/reconcile"
)

const fleetRole = "arn:aws:iam::" + testAccount + ":role/aws-ec2-spot-fleet-tagging-role"

// spotFleetTest looks at Spot Fleets over the wire. There is no engine here, so no loop looks at them by itself.
type spotFleetTest struct {
	*testing.T
	service *Service
	client  *ec2.Client
	guest   types.Instance
}

func newSpotFleetTest(t *testing.T) *spotFleetTest {
	s, client, _ := newCloud(t)
	guest, _ := launchGuest(t, s, client, &ec2.RunInstancesInput{})
	must[*ec2.CreateLaunchTemplateOutput](t)(client.CreateLaunchTemplate(t.Context(), &ec2.CreateLaunchTemplateInput{
		LaunchTemplateName: aws.String("web"), LaunchTemplateData: &types.RequestLaunchTemplateData{ImageId: guest.ImageId, InstanceType: guest.InstanceType},
	}))
	return &spotFleetTest{t, s, client, guest}
}

// of is a request of so many units of instances as the guest is.
func (t *spotFleetTest) of(target int32, change func(*types.SpotFleetRequestConfigData)) *ec2.RequestSpotFleetInput {
	c := &types.SpotFleetRequestConfigData{
		IamFleetRole: aws.String(fleetRole), TargetCapacity: aws.Int32(target),
		LaunchSpecifications: []types.SpotFleetLaunchSpecification{{ImageId: t.guest.ImageId, InstanceType: t.guest.InstanceType}},
	}
	if change != nil {
		change(c)
	}
	return &ec2.RequestSpotFleetInput{SpotFleetRequestConfig: c}
}

func (t *spotFleetTest) request(in *ec2.RequestSpotFleetInput) string {
	t.Helper()
	return *must[*ec2.RequestSpotFleetOutput](t.T)(t.client.RequestSpotFleet(t.Context(), in)).SpotFleetRequestId
}

func (t *spotFleetTest) reconcile(id string) time.Duration {
	t.Helper()
	again, err := t.service.reconcileFleet(t.Context(), reconcile.Item{Kind: fleetKind, Account: testScope.Account, Region: testScope.Region, ID: id})
	if err != nil {
		t.Fatal(err)
	}
	return again
}

func (t *spotFleetTest) show(id string) types.SpotFleetRequestConfig {
	t.Helper()
	return must[*ec2.DescribeSpotFleetRequestsOutput](t.T)(t.client.DescribeSpotFleetRequests(t.Context(), &ec2.DescribeSpotFleetRequestsInput{SpotFleetRequestIds: []string{id}})).SpotFleetRequestConfigs[0]
}

func (t *spotFleetTest) is(id string, state types.BatchState, status types.ActivityStatus, fulfilled float64) {
	t.Helper()
	if f := t.show(id); f.SpotFleetRequestState != state || f.ActivityStatus != status || *f.SpotFleetRequestConfig.FulfilledCapacity != fulfilled {
		t.Errorf("%s: %s, %s, %v instead of %s, %s, %v", id, f.SpotFleetRequestState, f.ActivityStatus, *f.SpotFleetRequestConfig.FulfilledCapacity, state, status, fulfilled)
	}
}

func (t *spotFleetTest) active(id string) []types.ActiveInstance {
	t.Helper()
	return must[*ec2.DescribeSpotFleetInstancesOutput](t.T)(t.client.DescribeSpotFleetInstances(t.Context(), &ec2.DescribeSpotFleetInstancesInput{SpotFleetRequestId: &id})).ActiveInstances
}

// gone makes an instance terminated, as an engine would.
func (t *spotFleetTest) gone(ids ...string) {
	t.Helper()
	err := t.service.updateIn(t.Context(), testScope, func(x tx) error {
		for _, id := range ids {
			if err := instances.edit(x, id, func(i *instance) error { i.State = stateTerminated; return nil }); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// happened are the events of a Spot Fleet, "SUBTYPE" or "SUBTYPE INSTANCE".
func (t *spotFleetTest) happened(id string) []string {
	t.Helper()
	var all []string
	in := &ec2.DescribeSpotFleetRequestHistoryInput{SpotFleetRequestId: &id, StartTime: aws.Time(time.Now().Add(-time.Hour)), MaxResults: aws.Int32(2)}
	for {
		out := must[*ec2.DescribeSpotFleetRequestHistoryOutput](t.T)(t.client.DescribeSpotFleetRequestHistory(t.Context(), in))
		for _, e := range out.HistoryRecords {
			all = append(all, strings.TrimSpace(*e.EventInformation.EventSubType+" "+aws.ToString(e.EventInformation.InstanceId)))
		}
		if (out.NextToken == nil) == (out.LastEvaluatedTime == nil) {
			t.Errorf("a page with the token %v was evaluated until %v", out.NextToken, out.LastEvaluatedTime)
		}
		if in.NextToken = out.NextToken; in.NextToken == nil {
			return all
		}
	}
}

// TestSpotFleetIsMaintained: what is lost is replaced, a target is reached up and down, and the cancellation takes all along.
func TestSpotFleetIsMaintained(test *testing.T) {
	t := newSpotFleetTest(test)
	in := t.of(3, func(c *types.SpotFleetRequestConfigData) {
		c.ClientToken = aws.String("once")
		c.SpotPrice = aws.String("0.04")
		c.ExcessCapacityTerminationPolicy = "Default" // as Terraform's provider for AWS sends it
		c.LaunchSpecifications[0].WeightedCapacity = aws.Float64(2)
		c.LaunchSpecifications[0].TagSpecifications = []types.SpotFleetTagSpecification{{ResourceType: types.ResourceTypeInstance, Tags: []types.Tag{{Key: aws.String("Name"), Value: aws.String("one of many")}}}}
		c.TagSpecifications = []types.TagSpecification{{ResourceType: types.ResourceTypeSpotFleetRequest, Tags: []types.Tag{{Key: aws.String("f"), Value: aws.String("g")}}}}
	})
	id := t.request(in)
	if again := t.request(in); again != id {
		t.Errorf("%s made again as %s", id, again)
	}
	t.is(id, types.BatchStateSubmitted, types.ActivityStatusPendingFulfillment, 0)
	t.reconcile(id)
	t.is(id, types.BatchStateActive, types.ActivityStatusFulfilled, 4)
	shown := t.show(id)
	if c := shown.SpotFleetRequestConfig; c.Type != types.FleetTypeMaintain || c.AllocationStrategy != types.AllocationStrategyLowestPrice || *c.TargetCapacity != 3 || *c.OnDemandTargetCapacity != 0 ||
		c.ExcessCapacityTerminationPolicy != capitalDefault || *c.IamFleetRole != fleetRole || len(c.LaunchSpecifications) != 1 || len(shown.Tags) != 1 {
		t.Errorf("%+v", shown)
	}
	first := t.active(id)
	if len(first) != 2 {
		t.Fatalf("%+v", first)
	}
	one := shownInstance(t.T, t.client, first[0].InstanceId)
	if one.InstanceLifecycle != types.InstanceLifecycleTypeSpot || !slices.ContainsFunc(one.Tags, func(tag types.Tag) bool { return *tag.Key == "aws:ec2spot:fleet-request-id" && *tag.Value == id }) ||
		!slices.ContainsFunc(one.Tags, func(tag types.Tag) bool { return *tag.Key == "Name" }) {
		t.Errorf("%+v", one)
	}
	spot := must[*ec2.DescribeSpotInstanceRequestsOutput](t.T)(t.client.DescribeSpotInstanceRequests(t.Context(), &ec2.DescribeSpotInstanceRequestsInput{SpotInstanceRequestIds: []string{*first[0].SpotInstanceRequestId}})).SpotInstanceRequests[0]
	if *spot.InstanceId != *first[0].InstanceId || *spot.SpotPrice != "0.04" || spot.Type != types.SpotInstanceTypeOneTime || len(spot.Tags) == 0 || *spot.Tags[0].Value != id {
		t.Errorf("%+v", spot)
	}

	t.gone(*first[0].InstanceId)
	t.reconcile(id)
	t.is(id, types.BatchStateActive, types.ActivityStatusFulfilled, 4)
	if now := t.active(id); len(now) != 2 || slices.ContainsFunc(now, func(i types.ActiveInstance) bool { return *i.InstanceId == *first[0].InstanceId }) {
		t.Errorf("%+v", now)
	}

	modify := func(target int32, policy types.ExcessCapacityTerminationPolicy) {
		must[*ec2.ModifySpotFleetRequestOutput](t.T)(t.client.ModifySpotFleetRequest(t.Context(), &ec2.ModifySpotFleetRequestInput{SpotFleetRequestId: &id, TargetCapacity: &target, ExcessCapacityTerminationPolicy: policy}))
	}
	modify(6, "")
	t.is(id, types.BatchStateModifying, types.ActivityStatusPendingFulfillment, 4)
	t.reconcile(id)
	t.is(id, types.BatchStateActive, types.ActivityStatusFulfilled, 6)
	modify(2, types.ExcessCapacityTerminationPolicyNoTermination)
	t.reconcile(id)
	t.is(id, types.BatchStateActive, types.ActivityStatusFulfilled, 6)
	modify(2, types.ExcessCapacityTerminationPolicyDefault)
	t.reconcile(id)
	t.is(id, types.BatchStateActive, types.ActivityStatusPendingTermination, 2)
	_, err := t.client.ModifySpotFleetRequest(t.Context(), &ec2.ModifySpotFleetRequestInput{SpotFleetRequestId: &id, OnDemandTargetCapacity: aws.Int32(1)})
	wantCode(t.T, err, "InvalidSpotFleetRequestConfig")

	last := t.active(id)
	canceled := must[*ec2.CancelSpotFleetRequestsOutput](t.T)(t.client.CancelSpotFleetRequests(t.Context(), &ec2.CancelSpotFleetRequestsInput{
		SpotFleetRequestIds: []string{id, "sfr-11111111-1111-1111-1111-111111111111", "sfr-1"}, TerminateInstances: aws.Bool(true),
	}))
	var codes []types.CancelBatchErrorCode
	for _, u := range canceled.UnsuccessfulFleetRequests {
		codes = append(codes, u.Error.Code)
	}
	if done := canceled.SuccessfulFleetRequests; len(done) != 1 || done[0].PreviousSpotFleetRequestState != types.BatchStateActive || done[0].CurrentSpotFleetRequestState != types.BatchStateCancelledTerminatingInstances ||
		!slices.Equal(codes, []types.CancelBatchErrorCode{types.CancelBatchErrorCodeFleetRequestIdDoesNotExist, types.CancelBatchErrorCodeFleetRequestIdMalformed}) {
		t.Errorf("%+v, %v", done, codes)
	}
	t.reconcile(id)
	t.is(id, types.BatchStateCancelledTerminatingInstances, types.ActivityStatusPendingTermination, 0)
	err = t.service.viewIn(t.Context(), testScope, func(x tx) error {
		f, err := spotFleets.get(x, id)
		if err != nil {
			return err
		}
		all, err := f.members(x)
		for _, m := range all {
			last = append(last, types.ActiveInstance{InstanceId: aws.String(m.Instance)})
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range last {
		t.gone(*i.InstanceId)
	}
	t.reconcile(id)
	t.is(id, types.BatchStateCancelled, "", 0)
	refused := must[*ec2.CancelSpotFleetRequestsOutput](t.T)(t.client.CancelSpotFleetRequests(t.Context(), &ec2.CancelSpotFleetRequestsInput{SpotFleetRequestIds: []string{id}, TerminateInstances: aws.Bool(true)}))
	if len(refused.UnsuccessfulFleetRequests) != 1 || refused.UnsuccessfulFleetRequests[0].Error.Code != types.CancelBatchErrorCodeFleetRequestNotInCancellableState {
		t.Errorf("%+v", refused)
	}
	got := t.happened(id)
	if len(got) < 14 || !slices.Equal(got[:4], []string{"submitted", "active", "launched " + *first[0].InstanceId, "launched " + *first[1].InstanceId}) && !slices.Equal(got[:4], []string{"submitted", "active", "launched " + *first[1].InstanceId, "launched " + *first[0].InstanceId}) ||
		got[4] != "terminated "+*first[0].InstanceId || got[len(got)-1] != "cancelled" || !slices.Contains(got, "modify_succeeded") || !slices.Contains(got, "cancelled_terminating") {
		t.Errorf("%q", got)
	}
}

// TestSpotFleetOfTemplates: On-Demand and Spot capacity of launch templates, spread over what they are overridden with.
func TestSpotFleetOfTemplates(test *testing.T) {
	t := newSpotFleetTest(test)
	subnets := map[string]string{}
	for _, sub := range must[*ec2.DescribeSubnetsOutput](t.T)(t.client.DescribeSubnets(t.Context(), &ec2.DescribeSubnetsInput{})).Subnets {
		subnets[*sub.AvailabilityZone] = *sub.SubnetId
	}
	one, other, lacking := subnets["us-east-1a"], subnets["us-east-1b"], subnets["us-east-1e"] // where a t4g.nano is not to be had
	of := func(subnets string) *ec2.RequestSpotFleetInput {
		return t.of(5, func(c *types.SpotFleetRequestConfigData) {
			c.LaunchSpecifications, c.Type, c.OnDemandTargetCapacity, c.AllocationStrategy = nil, types.FleetTypeRequest, aws.Int32(1), types.AllocationStrategyDiversified
			c.LaunchTemplateConfigs = []types.LaunchTemplateConfig{{
				LaunchTemplateSpecification: &types.FleetLaunchTemplateSpecification{LaunchTemplateName: aws.String("web"), Version: aws.String("$Latest")},
				Overrides:                   []types.LaunchTemplateOverrides{{SubnetId: aws.String(subnets), SpotPrice: aws.String("0.5")}},
			}}
		})
	}
	spread := func(id string) map[string]int {
		spots := map[string]int{}
		for _, i := range t.active(id) {
			if i.SpotInstanceRequestId != nil {
				spots[*shownInstance(t.T, t.client, i.InstanceId).SubnetId]++
			}
		}
		return spots
	}
	id := t.request(of(one + ", " + other))
	t.reconcile(id)
	t.is(id, types.BatchStateActive, types.ActivityStatusFulfilled, 5)
	if got := *t.show(id).SpotFleetRequestConfig.OnDemandFulfilledCapacity; got != 1 {
		t.Errorf("%v On-Demand", got)
	}
	even := map[string]int{one: 2, other: 2}
	if spots := spread(id); !maps.Equal(spots, even) {
		t.Errorf("%v", spots)
	}
	// What a pool refuses, the others take.
	around := t.request(of(one + "," + lacking + "," + other))
	t.reconcile(around)
	t.is(around, types.BatchStateActive, types.ActivityStatusFulfilled, 5)
	if spots, got := spread(around), t.happened(around); !maps.Equal(spots, even) || !slices.Contains(got, "spotFleetRequestConfigurationInvalid") {
		t.Errorf("%v, %q", spots, got)
	}
	// One of type request is not filled again, and its instances may outlive it.
	lost := t.active(id)[0]
	t.gone(*lost.InstanceId)
	t.reconcile(id)
	t.is(id, types.BatchStateActive, types.ActivityStatusPendingFulfillment, 4)
	_, err := t.client.ModifySpotFleetRequest(t.Context(), &ec2.ModifySpotFleetRequestInput{SpotFleetRequestId: &id, TargetCapacity: aws.Int32(1)})
	wantCode(t.T, err, "Unsupported")
	must[*ec2.CancelSpotFleetRequestsOutput](t.T)(t.client.CancelSpotFleetRequests(t.Context(), &ec2.CancelSpotFleetRequestsInput{SpotFleetRequestIds: []string{id}, TerminateInstances: aws.Bool(false)}))
	t.reconcile(id)
	t.is(id, types.BatchStateCancelledRunning, "", 4)
}

// TestSpotFleetTimes: nothing is launched before its time, and what expires ends.
func TestSpotFleetTimes(test *testing.T) {
	t := newSpotFleetTest(test)
	soon := time.Now().Add(time.Hour)
	early := t.request(t.of(1, func(c *types.SpotFleetRequestConfigData) { c.ValidFrom = &soon }))
	if again := t.reconcile(early); again < 59*time.Minute || again > time.Hour {
		t.Errorf("again after %v", again)
	}
	t.is(early, types.BatchStateSubmitted, types.ActivityStatusPendingFulfillment, 0)
	for _, ends := range []bool{true, false} {
		id := t.request(t.of(1, func(c *types.SpotFleetRequestConfigData) {
			c.ValidUntil, c.TerminateInstancesWithExpiration = &soon, &ends
		}))
		if again := t.reconcile(id); again < 59*time.Minute || again > time.Hour {
			t.Errorf("again after %v", again)
		}
		t.is(id, types.BatchStateActive, types.ActivityStatusFulfilled, 1)
		err := t.service.updateIn(t.Context(), testScope, func(x tx) error {
			return spotFleets.edit(x, id, func(f *fleet) error {
				f.SpotFleet.Config.ValidUntil = aws.Time(time.Now().Add(-time.Second))
				return nil
			})
		})
		if err != nil {
			t.Fatal(err)
		}
		t.reconcile(id)
		if ends {
			t.is(id, types.BatchStateCancelledTerminatingInstances, types.ActivityStatusPendingTermination, 0)
		} else {
			t.is(id, types.BatchStateCancelledRunning, "", 1)
		}
		if got := t.happened(id); !slices.Contains(got, "expired") {
			t.Errorf("%q", got)
		}
	}
}

// TestSpotFleetRefusals: what cannot be is refused, with EC2's code or loudly, or said in the history.
func TestSpotFleetRefusals(test *testing.T) {
	t := newSpotFleetTest(test)
	type config = types.SpotFleetRequestConfigData
	const invalid = "InvalidSpotFleetRequestConfig"
	past := time.Now().Add(-time.Hour)
	template := []types.LaunchTemplateConfig{{LaunchTemplateSpecification: &types.FleetLaunchTemplateSpecification{LaunchTemplateName: aws.String("web"), Version: aws.String("1")}}}
	for name, c := range map[string]struct {
		code   string
		change func(*config)
	}{
		"no role":            {invalid, func(c *config) { c.IamFleetRole = aws.String("fleet") }},
		"no target":          {invalid, func(c *config) { c.TargetCapacity, c.Type = aws.Int32(0), types.FleetTypeRequest }},
		"an instant one":     {invalid, func(c *config) { c.Type = types.FleetTypeInstant }},
		"both":               {invalid, func(c *config) { c.LaunchTemplateConfigs = template }},
		"neither":            {invalid, func(c *config) { c.LaunchSpecifications = nil }},
		"On-Demand":          {invalid, func(c *config) { c.OnDemandTargetCapacity = aws.Int32(1) }},
		"no image":           {invalid, func(c *config) { c.LaunchSpecifications[0].ImageId = nil }},
		"an unknown type":    {"InvalidParameterValue", func(c *config) { c.LaunchSpecifications[0].InstanceType = "t9.huge" }},
		"no strategy":        {"InvalidParameterValue", func(c *config) { c.AllocationStrategy = "lowest-price" }},
		"no price":           {invalid, func(c *config) { c.SpotPrice = aws.String("NaN") }},
		"an end in the past": {invalid, func(c *config) { c.ValidUntil = &past }},
		"a template's lack": {invalid, func(c *config) {
			c.LaunchSpecifications, c.LaunchTemplateConfigs = nil, []types.LaunchTemplateConfig{{}}
		}},
		"tags of instances": {"InvalidParameterValue", func(c *config) {
			c.TagSpecifications = []types.TagSpecification{{ResourceType: types.ResourceTypeInstance, Tags: []types.Tag{{Key: aws.String("a"), Value: aws.String("b")}}}}
		}},
		"hibernation": {"NotImplemented", func(c *config) { c.InstanceInterruptionBehavior = types.InstanceInterruptionBehaviorHibernate }},
		"a stop of what is requested once": {invalid, func(c *config) {
			c.InstanceInterruptionBehavior, c.Type = types.InstanceInterruptionBehaviorStop, types.FleetTypeRequest
		}},
		"processors of no requirements": {"InvalidParameterCombination", func(c *config) { c.TargetCapacityUnitType = types.TargetCapacityUnitTypeVcpu }},
		"balancers": {"NotImplemented", func(c *config) {
			c.LoadBalancersConfig = &types.LoadBalancersConfig{TargetGroupsConfig: &types.TargetGroupsConfig{TargetGroups: []types.TargetGroup{{Arn: aws.String("arn:aws:elasticloadbalancing:us-east-1:000000000000:targetgroup/a/1")}}}}
		}},
		"health of what is requested once": {invalid, func(c *config) {
			c.ReplaceUnhealthyInstances, c.Type = aws.Bool(true), types.FleetTypeRequest
		}},
	} {
		if _, err := t.client.RequestSpotFleet(t.Context(), t.of(1, c.change)); err == nil {
			t.Errorf("%s: not refused", name)
		} else {
			wantCode(t.T, err, c.code)
		}
	}
	for id, code := range map[string]string{"sfr-11111111-1111-1111-1111-111111111111": "InvalidSpotFleetRequestId.NotFound", "sfr-1": "InvalidSpotFleetRequestId.Malformed"} {
		_, err := t.client.DescribeSpotFleetRequests(t.Context(), &ec2.DescribeSpotFleetRequestsInput{SpotFleetRequestIds: []string{id}})
		wantCode(t.T, err, code)
		_, err = t.client.DescribeSpotFleetInstances(t.Context(), &ec2.DescribeSpotFleetInstancesInput{SpotFleetRequestId: &id})
		wantCode(t.T, err, code)
		_, err = t.client.DescribeSpotFleetRequestHistory(t.Context(), &ec2.DescribeSpotFleetRequestHistoryInput{SpotFleetRequestId: &id, StartTime: &past})
		wantCode(t.T, err, code)
	}
	id := t.request(t.of(1, func(c *config) { c.LaunchSpecifications[0].SubnetId = aws.String("subnet-0123456789abcdef0") }))
	if again := t.reconcile(id); again != refill {
		t.Errorf("again after %v", again)
	}
	t.is(id, types.BatchStateActive, types.ActivityStatusError, 0)
	errorsOnly := must[*ec2.DescribeSpotFleetRequestHistoryOutput](t.T)(t.client.DescribeSpotFleetRequestHistory(t.Context(), &ec2.DescribeSpotFleetRequestHistoryInput{SpotFleetRequestId: &id, StartTime: &past, EventType: types.EventTypeError}))
	if r := errorsOnly.HistoryRecords; len(r) != 1 || *r[0].EventInformation.EventSubType != "spotFleetRequestConfigurationInvalid" || !strings.Contains(*r[0].EventInformation.EventDescription, "subnet-0123456789abcdef0") {
		t.Errorf("%+v", r)
	}
}

// TestSpotFleetNeedsItsLaunches: who may request Spot Fleets needs its launches too, and may hand over its role.
func TestSpotFleetNeedsItsLaunches(test *testing.T) {
	t := newSpotFleetTest(test)
	asked, err := t.service.spotFleetAccess(asRoot(t.T), t.of(1, nil))
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for _, a := range asked {
		found[a.Action] = a.Resources[0]
	}
	if found["iam:PassRole"] != fleetRole || found["ec2:RequestSpotFleet"] != "arn:aws:ec2:us-east-1:"+testAccount+":spot-fleet-request/*" || found["ec2:RunInstances"] == "" {
		t.Errorf("%v", found)
	}
}

// TestLargeSpotFleet: one pool is launched from again and again where one launch is not enough, and not beyond the target.
func TestLargeSpotFleet(test *testing.T) {
	t := newSpotFleetTest(test)
	const target = maxLaunch + 20
	id := t.request(t.of(target, func(c *types.SpotFleetRequestConfigData) {
		c.Type, c.SpotPrice = types.FleetTypeRequest, aws.String("")
		c.LaunchSpecifications[0].SpotPrice = aws.String("")
	}))
	t.reconcile(id)
	t.is(id, types.BatchStateActive, types.ActivityStatusFulfilled, target)
}

// TestFleetOfLostInstances: an instance that Spot cannot start again ends, so that its fleet replaces it.
func TestFleetOfLostInstances(test *testing.T) {
	t := newSpotFleetTest(test)
	id := t.request(t.of(1, nil))
	t.reconcile(id)
	lost := *t.active(id)[0].InstanceId
	var inst *instance
	err := t.service.viewIn(t.Context(), testScope, func(x tx) (err error) {
		inst, err = instances.find(x, lost)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := t.service.stopFor(t.Context(), testScope, inst, "it is gone"); err != nil {
		t.Fatal(err)
	}
	shown := must[*ec2.DescribeInstancesOutput](t.T)(t.client.DescribeInstances(t.Context(), &ec2.DescribeInstancesInput{InstanceIds: []string{lost}})).Reservations[0].Instances[0]
	if shown.State.Name != types.InstanceStateNameShuttingDown || *shown.StateReason.Code != "Server.InternalError" {
		t.Errorf("%s, %+v", shown.State.Name, shown.StateReason)
	}
	t.reconcile(id)
	if now := t.active(id); len(now) != 1 || *now[0].InstanceId == lost {
		t.Errorf("%+v", now)
	}
}
