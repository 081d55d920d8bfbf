package ec2

import (
	"errors"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/smithy-go"

	"miniaws/backend/reconcile"
)

// roomFor is a call that reserves room for one t3.nano in the zone of the first default subnet.
func roomFor(count int32, match types.InstanceMatchCriteria) *ec2.CreateCapacityReservationInput {
	return &ec2.CreateCapacityReservationInput{
		InstanceType: aws.String(nanoType()), InstancePlatform: types.CapacityReservationInstancePlatformLinuxUnix, InstanceCount: aws.Int32(count),
		AvailabilityZone: aws.String("us-east-1a"), InstanceMatchCriteria: match,
	}
}

// nanoType is what launchGuest launches.
func nanoType() string {
	if publicImagesIn("us-east-1").sorted[0].Architecture == "arm64" {
		return "t4g.nano"
	}
	return "t3.nano"
}

// inZoneA is a launch in the zone of roomFor.
func inZoneA(spec *types.CapacityReservationSpecification) *ec2.RunInstancesInput {
	return &ec2.RunInstancesInput{Placement: &types.Placement{AvailabilityZone: aws.String("us-east-1a")}, CapacityReservationSpecification: spec}
}

func shownReservation(t *testing.T, client *ec2.Client, id *string) types.CapacityReservation {
	t.Helper()
	return must[*ec2.DescribeCapacityReservationsOutput](t)(client.DescribeCapacityReservations(t.Context(), &ec2.DescribeCapacityReservationsInput{CapacityReservationIds: []string{*id}})).CapacityReservations[0]
}

// TestCapacityIsTaken: room is given out once, to those who may have it, and comes back.
func TestCapacityIsTaken(t *testing.T) {
	s, client, _ := newCloud(t)
	first, _ := launchGuest(t, s, client, inZoneA(nil)) // runs already
	alone, _ := launchGuest(t, s, client, inZoneA(&types.CapacityReservationSpecification{CapacityReservationPreference: types.CapacityReservationPreferenceNone}))
	made := must[*ec2.CreateCapacityReservationOutput](t)(client.CreateCapacityReservation(t.Context(), roomFor(2, ""))).CapacityReservation
	if *made.AvailableInstanceCount != 1 || made.State != types.CapacityReservationStateActive || len(made.CapacityAllocations) != 1 {
		t.Errorf("%+v", made)
	}
	if of := func(id *string) string {
		return aws.ToString(must[*ec2.DescribeInstancesOutput](t)(client.DescribeInstances(t.Context(), &ec2.DescribeInstancesInput{InstanceIds: []string{*id}})).Reservations[0].Instances[0].CapacityReservationId)
	}; of(first.InstanceId) != *made.CapacityReservationId || of(alone.InstanceId) != "" {
		t.Errorf("in %q and %q", of(first.InstanceId), of(alone.InstanceId))
	}
	second, _ := launchGuest(t, s, client, inZoneA(nil))
	third, _ := launchGuest(t, s, client, inZoneA(nil))
	if aws.ToString(second.CapacityReservationId) != *made.CapacityReservationId || third.CapacityReservationId != nil {
		t.Errorf("%v, %v", second.CapacityReservationId, third.CapacityReservationId)
	}
	only := inZoneA(&types.CapacityReservationSpecification{CapacityReservationPreference: types.CapacityReservationPreferenceCapacityReservationsOnly})
	only.ImageId, only.InstanceType, only.MinCount, only.MaxCount = first.ImageId, first.InstanceType, aws.Int32(1), aws.Int32(5)
	_, err := client.RunInstances(t.Context(), only)
	wantCode(t, err, "ReservationCapacityExceeded")
	must[*ec2.ModifyCapacityReservationOutput](t)(client.ModifyCapacityReservation(t.Context(), &ec2.ModifyCapacityReservationInput{CapacityReservationId: made.CapacityReservationId, InstanceCount: aws.Int32(5)}))
	// It adopted the third; two are left, of five that are asked for.
	if got := must[*ec2.RunInstancesOutput](t)(client.RunInstances(t.Context(), only)); len(got.Instances) != 2 {
		t.Errorf("%d instances in two places", len(got.Instances))
	}
	_, err = client.ModifyCapacityReservation(t.Context(), &ec2.ModifyCapacityReservationInput{CapacityReservationId: made.CapacityReservationId, InstanceCount: aws.Int32(4)})
	wantCode(t, err, "InvalidParameterValue")
	_, err = client.ModifyCapacityReservation(t.Context(), &ec2.ModifyCapacityReservationInput{CapacityReservationId: made.CapacityReservationId, InstanceMatchCriteria: types.InstanceMatchCriteriaTargeted})
	wantCode(t, err, "InvalidParameterValue")
	must[*ec2.ModifyCapacityReservationOutput](t)(client.ModifyCapacityReservation(t.Context(), &ec2.ModifyCapacityReservationInput{CapacityReservationId: made.CapacityReservationId, InstanceMatchCriteria: types.InstanceMatchCriteriaOpen}))
	usage := must[*ec2.GetCapacityReservationUsageOutput](t)(client.GetCapacityReservationUsage(t.Context(), &ec2.GetCapacityReservationUsageInput{CapacityReservationId: made.CapacityReservationId}))
	if *usage.AvailableInstanceCount != 0 || len(usage.InstanceUsages) != 1 || *usage.InstanceUsages[0].UsedInstanceCount != 5 || *usage.InstanceUsages[0].AccountId != testAccount {
		t.Errorf("%+v", usage)
	}
	must[*ec2.CancelCapacityReservationOutput](t)(client.CancelCapacityReservation(t.Context(), &ec2.CancelCapacityReservationInput{CapacityReservationId: made.CapacityReservationId}))
	if after := shownReservation(t, client, made.CapacityReservationId); after.State != types.CapacityReservationStateCancelled || *after.AvailableInstanceCount != 0 || *after.TotalInstanceCount != 5 {
		t.Errorf("%+v", after)
	}
	_, err = client.CancelCapacityReservation(t.Context(), &ec2.CancelCapacityReservationInput{CapacityReservationId: made.CapacityReservationId})
	wantCode(t, err, "IncorrectState")
	only.ClientToken = nil // the SDK has given it one
	_, err = client.RunInstances(t.Context(), only)
	wantCode(t, err, "ReservationCapacityExceeded")
}

// TestTargetedCapacity: only who names it gets it, and a stopped instance can be told another one.
func TestTargetedCapacity(t *testing.T) {
	s, client, _ := newCloud(t)
	in := roomFor(1, types.InstanceMatchCriteriaTargeted)
	in.ClientToken = aws.String("once")
	made := must[*ec2.CreateCapacityReservationOutput](t)(client.CreateCapacityReservation(t.Context(), in)).CapacityReservation
	if again := must[*ec2.CreateCapacityReservationOutput](t)(client.CreateCapacityReservation(t.Context(), in)); *again.CapacityReservation.CapacityReservationId != *made.CapacityReservationId {
		t.Errorf("%s again as %s", *made.CapacityReservationId, *again.CapacityReservation.CapacityReservationId)
	}
	target := func(id *string) *types.CapacityReservationSpecification {
		return &types.CapacityReservationSpecification{CapacityReservationTarget: &types.CapacityReservationTarget{CapacityReservationId: id}}
	}
	open, _ := launchGuest(t, s, client, inZoneA(nil))
	inside, _ := launchGuest(t, s, client, inZoneA(target(made.CapacityReservationId)))
	if open.CapacityReservationId != nil || aws.ToString(inside.CapacityReservationId) != *made.CapacityReservationId ||
		aws.ToString(inside.CapacityReservationSpecification.CapacityReservationTarget.CapacityReservationId) != *made.CapacityReservationId {
		t.Errorf("%v, %+v", open.CapacityReservationId, inside)
	}
	for code, spec := range map[string]*types.CapacityReservationSpecification{
		"ReservationCapacityExceeded":            target(made.CapacityReservationId),
		"InvalidCapacityReservationId.NotFound":  target(aws.String("cr-0123456789abcdef0")),
		"InvalidCapacityReservationId.Malformed": target(aws.String("reservation")),
		"InvalidParameterCombination": {
			CapacityReservationPreference: types.CapacityReservationPreferenceOpen, CapacityReservationTarget: &types.CapacityReservationTarget{CapacityReservationId: made.CapacityReservationId},
		},
	} {
		run := inZoneA(spec)
		run.ImageId, run.InstanceType, run.MinCount, run.MaxCount = open.ImageId, open.InstanceType, aws.Int32(1), aws.Int32(1)
		_, err := client.RunInstances(t.Context(), run)
		wantCode(t, err, code)
	}
	_, err := client.ModifyInstanceCapacityReservationAttributes(t.Context(), &ec2.ModifyInstanceCapacityReservationAttributesInput{InstanceId: inside.InstanceId, CapacityReservationSpecification: target(made.CapacityReservationId)})
	wantCode(t, err, "IncorrectInstanceState")
	groups := must[*ec2.GetGroupsForCapacityReservationOutput](t)(client.GetGroupsForCapacityReservation(t.Context(), &ec2.GetGroupsForCapacityReservationInput{CapacityReservationId: made.CapacityReservationId}))
	if len(groups.CapacityReservationGroups) != 0 {
		t.Errorf("%+v", groups)
	}
}

// TestReservationsEnd: at its time one is expired, and later forgotten.
func TestReservationsEnd(t *testing.T) {
	s, client, _ := newCloud(t)
	in := roomFor(1, "")
	in.EndDate = aws.Time(time.Now().Add(time.Hour))
	in.EndDateType = types.EndDateTypeLimited
	made := must[*ec2.CreateCapacityReservationOutput](t)(client.CreateCapacityReservation(t.Context(), in)).CapacityReservation
	inside, _ := launchGuest(t, s, client, inZoneA(nil))
	if aws.ToString(inside.CapacityReservationId) != *made.CapacityReservationId {
		t.Errorf("%+v", inside)
	}
	back := func(by time.Duration) {
		err := s.updateIn(t.Context(), testScope, func(x tx) error {
			return capacityReservations.edit(x, *made.CapacityReservationId, func(r *capacityReservation) error {
				r.Ends = r.Ends.Add(-by)
				return nil
			})
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	back(61 * time.Minute)
	if after := shownReservation(t, client, made.CapacityReservationId); after.State != types.CapacityReservationStateExpired || *after.AvailableInstanceCount != 0 || after.EndDateType != types.EndDateTypeLimited {
		t.Errorf("%+v", after)
	}
	_, err := client.ModifyCapacityReservation(t.Context(), &ec2.ModifyCapacityReservationInput{CapacityReservationId: made.CapacityReservationId, EndDateType: types.EndDateTypeUnlimited})
	wantCode(t, err, "IncorrectState")
	forget := func() time.Duration {
		left, err := s.forget(t.Context(), reconcile.Item{Kind: goneKind, Account: testScope.Account, Region: testScope.Region, ID: *made.CapacityReservationId})
		if err != nil {
			t.Fatal(err)
		}
		return left
	}
	if left := forget(); left <= goneLifetime-2*time.Minute || left >= goneLifetime {
		t.Errorf("it is looked at again in %s", left)
	}
	shownReservation(t, client, made.CapacityReservationId)
	back(time.Hour)
	if left := forget(); left != 0 {
		t.Errorf("what is gone is looked at again in %s", left)
	}
	_, err = client.DescribeCapacityReservations(t.Context(), &ec2.DescribeCapacityReservationsInput{CapacityReservationIds: []string{*made.CapacityReservationId}})
	wantCode(t, err, "InvalidCapacityReservationId.NotFound")
}

// TestReservationsChange: a change is bounded, the size is not, and whom an idle one takes may change.
func TestReservationsChange(t *testing.T) {
	_, client, _ := newCloud(t)
	id := must[*ec2.CreateCapacityReservationOutput](t)(client.CreateCapacityReservation(t.Context(), roomFor(1000, ""))).CapacityReservation.CapacityReservationId
	for _, c := range []struct {
		count int32
		code  string
	}{{2001, "InvalidParameterValue"}, {0, "InvalidParameterValue"}, {2000, ""}, {999, "InvalidParameterValue"}, {1000, ""}, {1, ""}} {
		_, err := client.ModifyCapacityReservation(t.Context(), &ec2.ModifyCapacityReservationInput{CapacityReservationId: id, InstanceCount: aws.Int32(c.count)})
		switch {
		case c.code != "":
			wantCode(t, err, c.code)
		case err != nil || *shownReservation(t, client, id).TotalInstanceCount != c.count:
			t.Errorf("%d: %v", c.count, err)
		}
	}
	must[*ec2.ModifyCapacityReservationOutput](t)(client.ModifyCapacityReservation(t.Context(), &ec2.ModifyCapacityReservationInput{CapacityReservationId: id, InstanceMatchCriteria: types.InstanceMatchCriteriaTargeted}))
	if got := shownReservation(t, client, id).InstanceMatchCriteria; got != types.InstanceMatchCriteriaTargeted {
		t.Errorf("it takes %s", got)
	}
}

// TestSpotOutsideOfReservations: a Spot Instance is in none, at no time. One whose start is refused is tried again later, and
// its request says why it waits.
func TestSpotOutsideOfReservations(t *testing.T) {
	s, client, _ := newCloud(t)
	in := inZoneA(nil)
	in.InstanceMarketOptions = &types.InstanceMarketOptionsRequest{MarketType: types.MarketTypeSpot, SpotOptions: &types.SpotMarketOptions{
		SpotInstanceType: types.SpotInstanceTypePersistent, InstanceInterruptionBehavior: types.InstanceInterruptionBehaviorStop,
	}}
	made, _ := launchGuest(t, s, client, in)
	become(t, s, made.InstanceId, stateStopped)
	room := must[*ec2.CreateCapacityReservationOutput](t)(client.CreateCapacityReservation(t.Context(), roomFor(1, ""))).CapacityReservation.CapacityReservationId
	choose := func(id *string, spec *types.CapacityReservationSpecification) error {
		_, err := client.ModifyInstanceCapacityReservationAttributes(t.Context(), &ec2.ModifyInstanceCapacityReservationAttributesInput{InstanceId: id, CapacityReservationSpecification: spec})
		return err
	}
	only := &types.CapacityReservationSpecification{CapacityReservationPreference: types.CapacityReservationPreferenceCapacityReservationsOnly}
	target := &types.CapacityReservationSpecification{CapacityReservationTarget: &types.CapacityReservationTarget{CapacityReservationId: room}}
	for _, spec := range []*types.CapacityReservationSpecification{only, target} {
		wantCode(t, choose(made.InstanceId, spec), "InvalidParameterCombination")
		run := *in
		run.ClientToken, run.CapacityReservationSpecification = nil, spec
		_, err := client.RunInstances(t.Context(), &run)
		wantCode(t, err, "InvalidParameterCombination")
	}
	if err := choose(made.InstanceId, &types.CapacityReservationSpecification{CapacityReservationPreference: types.CapacityReservationPreferenceNone}); err != nil {
		t.Error(err)
	}
	// Market options without a market are those of an On-Demand Instance.
	plain := inZoneA(target)
	plain.InstanceMarketOptions = &types.InstanceMarketOptionsRequest{SpotOptions: &types.SpotMarketOptions{MaxPrice: aws.String("1")}}
	if one, _ := launchGuest(t, s, client, plain); aws.ToString(one.CapacityReservationId) != *room {
		t.Errorf("in %v, not in %s", one.CapacityReservationId, *room)
	}
	err := s.updateIn(t.Context(), testScope, func(x tx) error {
		err := instances.edit(x, *made.InstanceId, func(i *instance) error {
			i.CapacityOptions = capacityOptions{Target: *room}
			return nil
		})
		return errors.Join(err, spotRequests.edit(x, *made.SpotInstanceRequestId, func(r *spotRequest) error {
			r.State = types.SpotInstanceStateOpen
			return nil
		}))
	})
	if err != nil {
		t.Fatal(err)
	}
	again, err := s.reconcileSpot(t.Context(), reconcile.Item{Kind: spotKind, Account: testScope.Account, Region: testScope.Region, ID: *made.SpotInstanceRequestId})
	if again != capacityBack || err != nil {
		t.Errorf("a refused start: %s, %v", again, err)
	}
	shown := must[*ec2.DescribeSpotInstanceRequestsOutput](t)(client.DescribeSpotInstanceRequests(t.Context(), &ec2.DescribeSpotInstanceRequestsInput{SpotInstanceRequestIds: []string{*made.SpotInstanceRequestId}})).SpotInstanceRequests[0]
	if shown.State != types.SpotInstanceStateOpen || *shown.Status.Code != "constraint-not-fulfillable" {
		t.Errorf("%s: %s", shown.State, *shown.Status.Code)
	}
}

func TestReservationsRefused(t *testing.T) {
	_, client, _ := newCloud(t)
	for _, c := range []struct {
		code   string
		change func(*ec2.CreateCapacityReservationInput)
	}{
		{"InvalidParameterValue", func(in *ec2.CreateCapacityReservationInput) { in.InstanceCount = aws.Int32(1001) }},
		{"InvalidParameterValue", func(in *ec2.CreateCapacityReservationInput) { in.InstanceCount = aws.Int32(0) }},
		{"InvalidParameterValue", func(in *ec2.CreateCapacityReservationInput) { in.InstanceType = aws.String("t3.gigantic") }},
		{"InvalidParameterValue", func(in *ec2.CreateCapacityReservationInput) { in.Tenancy = "dedicate" }},
		{"InvalidParameterValue", func(in *ec2.CreateCapacityReservationInput) { in.InstancePlatform = "Plan 9" }},
		{"InvalidParameterValue", func(in *ec2.CreateCapacityReservationInput) { in.EndDateType = "late" }},
		{"InvalidParameterValue", func(in *ec2.CreateCapacityReservationInput) { in.InstanceMatchCriteria = "closed" }},
		{"MissingParameter", func(in *ec2.CreateCapacityReservationInput) { in.AvailabilityZone = nil }},
		{"InvalidParameterCombination", func(in *ec2.CreateCapacityReservationInput) { in.EndDateType = types.EndDateTypeLimited }},
		{"InvalidParameterCombination", func(in *ec2.CreateCapacityReservationInput) {
			in.EndDateType, in.EndDate = types.EndDateTypeUnlimited, aws.Time(time.Now().Add(time.Hour))
		}},
		{"InvalidParameterValue", func(in *ec2.CreateCapacityReservationInput) {
			in.EndDateType, in.EndDate = types.EndDateTypeLimited, aws.Time(time.Now().Add(-time.Hour))
		}},
		{"NotImplemented", func(in *ec2.CreateCapacityReservationInput) {
			in.InstancePlatform = types.CapacityReservationInstancePlatformWindows
		}},
		{"NotImplemented", func(in *ec2.CreateCapacityReservationInput) { in.StartDate = aws.Time(time.Now().Add(240 * time.Hour)) }},
	} {
		in := roomFor(1, "")
		c.change(in)
		_, err := client.CreateCapacityReservation(t.Context(), in)
		wantCode(t, err, c.code)
	}
}

// wantCode expects AWS's error code.
// TestTargetSaysWhere: an instance whose reservation is named and whose zone is not runs in the reservation's.
func TestTargetSaysWhere(t *testing.T) {
	s, client, _ := newCloud(t)
	in := roomFor(1, types.InstanceMatchCriteriaTargeted)
	in.AvailabilityZone = aws.String("us-east-1b")
	made := must[*ec2.CreateCapacityReservationOutput](t)(client.CreateCapacityReservation(t.Context(), in)).CapacityReservation
	target := func(id string) *ec2.RunInstancesInput {
		return &ec2.RunInstancesInput{CapacityReservationSpecification: &types.CapacityReservationSpecification{CapacityReservationTarget: &types.CapacityReservationTarget{CapacityReservationId: &id}}}
	}
	if one, _ := launchGuest(t, s, client, target(*made.CapacityReservationId)); *one.Placement.AvailabilityZone != "us-east-1b" || aws.ToString(one.CapacityReservationId) != *made.CapacityReservationId {
		t.Errorf("%s, %v", *one.Placement.AvailabilityZone, one.CapacityReservationId)
	}
	absent := target("cr-0123456789abcdef0")
	absent.ImageId, absent.InstanceType, absent.MinCount, absent.MaxCount = &publicImagesIn("us-east-1").sorted[0].ID, types.InstanceType(nanoType()), aws.Int32(1), aws.Int32(1)
	_, err := client.RunInstances(t.Context(), absent)
	wantCode(t, err, "InvalidCapacityReservationId.NotFound")
}

func wantCode(t *testing.T, err error, code string) {
	t.Helper()
	var known smithy.APIError
	if !errors.As(err, &known) || known.ErrorCode() != code {
		t.Errorf("%v instead of %s", err, code)
	}
}
