package ec2

import (
	"errors"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"miniaws/backend/reconcile"
)

// TestSpotValidUntil: a one-time request ends by itself with its instance, so only RequestSpotInstances gives it a time; after
// the time of a persistent one no other instance follows, whether its instance ends then, or ended before.
func TestSpotValidUntil(t *testing.T) {
	s, client, _ := newCloud(t)
	until := aws.Time(time.Now().Add(time.Hour).Truncate(time.Second))
	spot := func(typ types.SpotInstanceType) *ec2.RunInstancesInput {
		in := inZoneA(nil)
		in.InstanceMarketOptions = &types.InstanceMarketOptionsRequest{MarketType: types.MarketTypeSpot, SpotOptions: &types.SpotMarketOptions{
			SpotInstanceType: typ, ValidUntil: until, MaxPrice: aws.String(""),
		}}
		return in
	}
	made, _ := launchGuest(t, s, client, spot(types.SpotInstanceTypePersistent))
	id := *made.SpotInstanceRequestId
	shown := func() types.SpotInstanceRequest {
		t.Helper()
		return must[*ec2.DescribeSpotInstanceRequestsOutput](t)(client.DescribeSpotInstanceRequests(t.Context(), &ec2.DescribeSpotInstanceRequestsInput{SpotInstanceRequestIds: []string{id}})).SpotInstanceRequests[0]
	}
	if r := shown(); r.State != types.SpotInstanceStateActive || r.ValidUntil == nil || !r.ValidUntil.Equal(*until) {
		t.Fatalf("%s until %v", r.State, r.ValidUntil)
	}
	once := spot(types.SpotInstanceTypeOneTime)
	once.ImageId, once.InstanceType, once.MinCount, once.MaxCount = made.ImageId, made.InstanceType, aws.Int32(1), aws.Int32(1)
	_, err := client.RunInstances(t.Context(), once)
	wantCode(t, err, "InvalidParameterCombination")
	asked := must[*ec2.RequestSpotInstancesOutput](t)(client.RequestSpotInstances(t.Context(), &ec2.RequestSpotInstancesInput{
		SpotPrice: aws.String(""), LaunchSpecification: &types.RequestSpotLaunchSpecification{ImageId: made.ImageId, InstanceType: made.InstanceType},
	})).SpotInstanceRequests[0]
	if ends := aws.ToTime(asked.ValidUntil); ends.Sub(aws.ToTime(asked.CreateTime)).Round(time.Minute) != 7*24*time.Hour {
		t.Errorf("a one-time request ends at %v", asked.ValidUntil)
	}

	over := func(change func(*spotRequest)) {
		t.Helper()
		err := s.updateIn(t.Context(), testScope, func(x tx) error {
			return spotRequests.edit(x, id, func(r *spotRequest) error {
				r.Until = x.Now().Add(-time.Second)
				change(r)
				return nil
			})
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	over(func(*spotRequest) {})
	err = s.updateIn(t.Context(), testScope, func(x tx) error {
		i, err := instances.get(x, *made.InstanceId)
		return errors.Join(err, s.endSpot(x, i))
	})
	if err != nil {
		t.Fatal(err)
	}
	if r := shown(); r.State != types.SpotInstanceStateClosed {
		t.Errorf("its instance ended later: %s, %s", r.State, *r.Status.Code)
	}

	made, _ = launchGuest(t, s, client, spot(types.SpotInstanceTypePersistent))
	id = *made.SpotInstanceRequestId
	over(func(r *spotRequest) { r.State, r.Instance = types.SpotInstanceStateOpen, "" })
	again, err := s.reconcileSpot(t.Context(), reconcile.Item{Kind: spotKind, Account: testScope.Account, Region: testScope.Region, ID: id})
	if r := shown(); again != 0 || err != nil || r.State != types.SpotInstanceStateClosed || *r.Status.Code != "schedule-expired" {
		t.Errorf("its instance ended before: %s, %s, %v, %v", r.State, *r.Status.Code, again, err)
	}
}
