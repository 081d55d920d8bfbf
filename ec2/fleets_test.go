package ec2

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/smithy-go"

	"miniaws/awsapi"
	"miniaws/awsapi/meta"
	"miniaws/backend"
	"miniaws/backend/reconcile"
	"miniaws/backend/sim"
	"miniaws/backend/store"
)

var testScope = store.Scope{Account: testAccount, Region: "us-east-1"}

// oneInstance is a fleet of type instant for one instance of what overrides say.
func oneInstance(template *types.FleetLaunchTemplateSpecificationRequest, overrides ...types.FleetLaunchTemplateOverridesRequest) *ec2.CreateFleetInput {
	return &ec2.CreateFleetInput{
		Type: types.FleetTypeInstant, TargetCapacitySpecification: &types.TargetCapacitySpecificationRequest{TotalTargetCapacity: aws.Int32(1), DefaultTargetCapacityType: types.DefaultTargetCapacityTypeOnDemand},
		LaunchTemplateConfigs: []types.FleetLaunchTemplateConfigRequest{{LaunchTemplateSpecification: template, Overrides: overrides}},
	}
}

// TestFleetsThatSayTooLittle: what is missing is said, though permissions are asked for before it is looked at.
func TestFleetsThatSayTooLittle(t *testing.T) {
	s, client, _ := newCloud(t)
	_, err := client.CreateFleet(t.Context(), oneInstance(nil, types.FleetLaunchTemplateOverridesRequest{InstanceType: types.InstanceTypeT3Micro}))
	var known smithy.APIError
	if !errors.As(err, &known) || known.ErrorCode() != "MissingParameter" {
		t.Errorf("no template: %v", err)
	}
	// The SDK does not send this one.
	web := &types.FleetLaunchTemplateSpecificationRequest{LaunchTemplateName: aws.String("web"), Version: aws.String("1")}
	if _, err := s.fleetAccess(asRoot(t), oneInstance(web, types.FleetLaunchTemplateOverridesRequest{InstanceRequirements: &types.InstanceRequirementsRequest{}})); err != nil {
		t.Errorf("no processors: %v", err)
	}
}

// asRoot is the context of a call of the root user.
func asRoot(t *testing.T) context.Context {
	return awsapi.InContext(t.Context(), &awsapi.Request{Time: time.Now(), Service: meta.EC2, Operation: "CreateFleet", Region: testScope.Region, Principal: awsapi.Principal{Account: testAccount}})
}

// TestFleetOfAbsentTemplateNeedsALaunch: who may make fleets and launch nothing has no fleet launch for him later.
func TestFleetOfAbsentTemplateNeedsALaunch(t *testing.T) {
	s, _, _ := newCloud(t)
	asked, err := s.fleetAccess(asRoot(t), oneInstance(&types.FleetLaunchTemplateSpecificationRequest{LaunchTemplateName: aws.String("later"), Version: aws.String("2")}))
	if err != nil || !slices.ContainsFunc(asked, func(a awsapi.Access) bool { return a.Action == "ec2:RunInstances" }) {
		t.Errorf("%v, %v", asked, err)
	}
}

// TestUnfilledFleetIsFilledByTheNextCall: a call of the same token fills the fleet that an earlier one could not.
func TestUnfilledFleetIsFilledByTheNextCall(t *testing.T) {
	s, client, _ := newCloud(t)
	made, _ := launchGuest(t, s, client, &ec2.RunInstancesInput{})
	must[*ec2.CreateLaunchTemplateOutput](t)(client.CreateLaunchTemplate(t.Context(), &ec2.CreateLaunchTemplateInput{
		LaunchTemplateName: aws.String("web"), LaunchTemplateData: &types.RequestLaunchTemplateData{ImageId: made.ImageId, InstanceType: made.InstanceType},
	}))
	in := oneInstance(&types.FleetLaunchTemplateSpecificationRequest{LaunchTemplateName: aws.String("web"), Version: aws.String("1")})
	in.ClientToken = aws.String("again")
	first := must[*ec2.CreateFleetOutput](t)(client.CreateFleet(t.Context(), in))
	if len(first.Instances) != 1 {
		t.Fatalf("%+v", first)
	}
	err := s.updateIn(t.Context(), testScope, func(x tx) error {
		return fleets.edit(x, *first.FleetId, func(f *fleet) error {
			f.Filled = false
			all, err := f.members(x)
			for _, m := range all {
				err = errors.Join(err, f.drop(x, m))
			}
			return err
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if again := must[*ec2.CreateFleetOutput](t)(client.CreateFleet(t.Context(), in)); *again.FleetId != *first.FleetId || len(again.Instances) != 1 || len(again.Instances[0].InstanceIds) != 1 {
			t.Errorf("%+v", again)
		}
	}
}

// TestCanceledSpotRequestStaysCanceled: a launch that was under way when its request was canceled does not happen.
func TestCanceledSpotRequestStaysCanceled(t *testing.T) {
	s, _, _ := newCloud(t)
	spot := &launch{in: &ec2.RunInstancesInput{InstanceMarketOptions: &types.InstanceMarketOptionsRequest{MarketType: types.MarketTypeSpot}}, request: "sir-12345678"}
	for state, want := range map[types.SpotInstanceState]error{types.SpotInstanceStateOpen: nil, types.SpotInstanceStateCancelled: errNoLongerOpen} {
		err := s.updateIn(t.Context(), testScope, func(x tx) error {
			if err := spotRequests.put(x, &spotRequest{resource: resource{ID: "sir-12345678"}, State: state}); err != nil {
				return err
			}
			return s.requestSpot(x, &instance{}, spot)
		})
		if !errors.Is(err, want) {
			t.Errorf("%s: %v", state, err)
		}
	}
}

// keptNetwork tells what a VPC was made as last.
type keptNetwork struct {
	*sim.Network
	applied sync.Map // JSON by the VPC's id
}

func (n *keptNetwork) ApplyVPC(ctx context.Context, wanted backend.WantedVPC) (backend.ObservedVPC, error) {
	text, err := json.Marshal(wanted)
	if err != nil {
		return backend.ObservedVPC{}, err
	}
	n.applied.Store(wanted.ID, string(text))
	return n.Network.ApplyVPC(ctx, wanted)
}

func (n *keptNetwork) of(vpc string) string {
	text, _ := n.applied.Load(vpc)
	return fmt.Sprint(text)
}

// TestPrefixListReachesAssociatedVPCs: a change of a prefix list is applied in every VPC where a group with it counts.
func TestPrefixListReachesAssociatedVPCs(t *testing.T) {
	network := &keptNetwork{Network: sim.OpenNetwork(time.Now)}
	_, client := newCloudOn(t, network)
	vpc := func(cidr string) *string {
		return must[*ec2.CreateVpcOutput](t)(client.CreateVpc(t.Context(), &ec2.CreateVpcInput{CidrBlock: aws.String(cidr)})).Vpc.VpcId
	}
	home, other := vpc("10.1.0.0/16"), vpc("10.2.0.0/16")
	list := must[*ec2.CreateManagedPrefixListOutput](t)(client.CreateManagedPrefixList(t.Context(), &ec2.CreateManagedPrefixListInput{
		PrefixListName: aws.String("offices"), AddressFamily: aws.String("IPv4"), MaxEntries: aws.Int32(5), Entries: []types.AddPrefixListEntry{{Cidr: aws.String("192.0.2.0/24")}},
	})).PrefixList
	group := must[*ec2.CreateSecurityGroupOutput](t)(client.CreateSecurityGroup(t.Context(), &ec2.CreateSecurityGroupInput{VpcId: home, GroupName: aws.String("g"), Description: aws.String("d")})).GroupId
	must[*ec2.AuthorizeSecurityGroupIngressOutput](t)(client.AuthorizeSecurityGroupIngress(t.Context(), &ec2.AuthorizeSecurityGroupIngressInput{GroupId: group, IpPermissions: []types.IpPermission{
		{IpProtocol: aws.String("tcp"), FromPort: aws.Int32(22), ToPort: aws.Int32(22), PrefixListIds: []types.PrefixListId{{PrefixListId: list.PrefixListId}}},
	}}))
	must[*ec2.AssociateSecurityGroupVpcOutput](t)(client.AssociateSecurityGroupVpc(t.Context(), &ec2.AssociateSecurityGroupVpcInput{GroupId: group, VpcId: other}))
	waitFor(t, func() bool {
		all := must[*ec2.DescribeSecurityGroupVpcAssociationsOutput](t)(client.DescribeSecurityGroupVpcAssociations(t.Context(), &ec2.DescribeSecurityGroupVpcAssociationsInput{}))
		return len(all.SecurityGroupVpcAssociations) == 1 && all.SecurityGroupVpcAssociations[0].State == types.SecurityGroupVpcAssociationStateAssociated
	})
	lets := func() bool { return strings.Contains(network.of(*other), "192.0.2.0/24") }
	waitFor(t, lets)
	must[*ec2.ModifyManagedPrefixListOutput](t)(client.ModifyManagedPrefixList(t.Context(), &ec2.ModifyManagedPrefixListInput{
		PrefixListId: list.PrefixListId, CurrentVersion: aws.Int64(1), RemoveEntries: []types.RemovePrefixListEntry{{Cidr: aws.String("192.0.2.0/24")}},
	}))
	waitFor(t, func() bool { return !lets() })
}

// TestMaintainedFleets: the loop launches what is missing, a new target is reached, and what a deletion takes along ends.
func TestMaintainedFleets(t *testing.T) {
	s, client, _ := newCloud(t)
	guest, _ := launchGuest(t, s, client, &ec2.RunInstancesInput{})
	must[*ec2.CreateLaunchTemplateOutput](t)(client.CreateLaunchTemplate(t.Context(), &ec2.CreateLaunchTemplateInput{
		LaunchTemplateName: aws.String("web"), LaunchTemplateData: &types.RequestLaunchTemplateData{ImageId: guest.ImageId, InstanceType: guest.InstanceType},
	}))
	in := oneInstance(&types.FleetLaunchTemplateSpecificationRequest{LaunchTemplateName: aws.String("web"), Version: aws.String("$Latest")})
	in.Type = types.FleetTypeMaintain
	id := must[*ec2.CreateFleetOutput](t)(client.CreateFleet(t.Context(), in)).FleetId
	// There is no engine here, so no loop looks at fleets.
	members := func() []types.ActiveInstance {
		if _, err := s.reconcileFleet(t.Context(), reconcile.Item{Kind: fleetKind, Account: testScope.Account, Region: testScope.Region, ID: *id}); err != nil {
			t.Fatal(err)
		}
		return must[*ec2.DescribeFleetInstancesOutput](t)(client.DescribeFleetInstances(t.Context(), &ec2.DescribeFleetInstancesInput{FleetId: id})).ActiveInstances
	}
	if got := members(); len(got) != 1 {
		t.Errorf("%+v", got)
	}
	_, err := client.ModifyFleet(t.Context(), &ec2.ModifyFleetInput{FleetId: id, TargetCapacitySpecification: &types.TargetCapacitySpecificationRequest{TotalTargetCapacity: aws.Int32(1), OnDemandTargetCapacity: aws.Int32(2)}})
	wantCode(t, err, "InvalidParameterCombination")
	must[*ec2.ModifyFleetOutput](t)(client.ModifyFleet(t.Context(), &ec2.ModifyFleetInput{FleetId: id, TargetCapacitySpecification: &types.TargetCapacitySpecificationRequest{TotalTargetCapacity: aws.Int32(2)}}))
	if got := members(); len(got) != 2 {
		t.Errorf("%+v", got)
	}
	state := func() types.FleetData {
		return must[*ec2.DescribeFleetsOutput](t)(client.DescribeFleets(t.Context(), &ec2.DescribeFleetsInput{FleetIds: []string{*id}})).Fleets[0]
	}
	if f := state(); f.FleetState != types.FleetStateCodeActive || *f.FulfilledCapacity != 2 || *f.TargetCapacitySpecification.TotalTargetCapacity != 2 {
		t.Errorf("%+v", f)
	}
	// What is the default's is so still, though the change does not name it.
	other := *in
	other.ClientToken, other.TargetCapacitySpecification = nil, &types.TargetCapacitySpecificationRequest{TotalTargetCapacity: aws.Int32(0), DefaultTargetCapacityType: types.DefaultTargetCapacityTypeSpot}
	spot := must[*ec2.CreateFleetOutput](t)(client.CreateFleet(t.Context(), &other)).FleetId
	must[*ec2.ModifyFleetOutput](t)(client.ModifyFleet(t.Context(), &ec2.ModifyFleetInput{FleetId: spot, TargetCapacitySpecification: &types.TargetCapacitySpecificationRequest{TotalTargetCapacity: aws.Int32(3)}}))
	shown := must[*ec2.DescribeFleetsOutput](t)(client.DescribeFleets(t.Context(), &ec2.DescribeFleetsInput{FleetIds: []string{*spot}})).Fleets[0].TargetCapacitySpecification
	if shown.DefaultTargetCapacityType != types.DefaultTargetCapacityTypeSpot || *shown.SpotTargetCapacity != 3 || *shown.OnDemandTargetCapacity != 0 {
		t.Errorf("%+v", shown)
	}
	deleted := must[*ec2.DeleteFleetsOutput](t)(client.DeleteFleets(t.Context(), &ec2.DeleteFleetsInput{FleetIds: []string{*id, "fleet-11111111-1111-1111-1111-111111111111"}, TerminateInstances: aws.Bool(true)}))
	if len(deleted.SuccessfulFleetDeletions) != 1 || len(deleted.UnsuccessfulFleetDeletions) != 1 || deleted.UnsuccessfulFleetDeletions[0].Error.Code != types.DeleteFleetErrorCodeFleetIdDoesNotExist {
		t.Errorf("%+v", deleted)
	}
	if got := shownInstance(t, client, guest.InstanceId).State.Name; got != types.InstanceStateNamePending {
		t.Errorf("another's instance is %s", got)
	}
	if got := members(); len(got) != 0 {
		t.Errorf("%+v", got)
	}
	history := func(typ types.FleetEventType) (all []string) {
		in := &ec2.DescribeFleetHistoryInput{FleetId: id, StartTime: aws.Time(time.Now().Add(-time.Hour)), EventType: typ, MaxResults: aws.Int32(3)}
		for more := true; more; more = in.NextToken != nil {
			out := must[*ec2.DescribeFleetHistoryOutput](t)(client.DescribeFleetHistory(t.Context(), in))
			for _, e := range out.HistoryRecords {
				all = append(all, *e.EventInformation.EventSubType)
			}
			in.NextToken = out.NextToken
		}
		return all
	}
	if got, want := history(types.FleetEventTypeInstanceChange), []string{"launched", "launched"}; !slices.Equal(got, want) {
		t.Errorf("%q of instances that are shutting down, not %q", got, want)
	}
	err = s.updateIn(t.Context(), testScope, func(x tx) error {
		all, err := instances.all(x)
		for _, i := range all {
			if i.Fleet == *id {
				i.State = stateTerminated
				err = errors.Join(err, instances.put(x, i))
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	members()
	if got, want := history(types.FleetEventTypeFleetChange), []string{"submitted", "active", "modify_in_progress", "modify_succeeded", "deleted_terminating", "deleted"}; !slices.Equal(got, want) {
		t.Errorf("%q, not %q", got, want)
	}
	if got, want := history(types.FleetEventTypeInstanceChange), []string{"launched", "launched", "terminated", "terminated"}; !slices.Equal(got, want) {
		t.Errorf("%q, not %q", got, want)
	}
	if got := history(""); len(got) != 10 {
		t.Errorf("%q", got)
	}
}

// TestLargeFleets: a fleet has more members than a record has room for, and those that it launched before they were rows.
func TestLargeFleets(t *testing.T) {
	s, client, _ := newCloud(t)
	id := "fleet-11111111-1111-1111-1111-111111111111"
	err := s.updateIn(t.Context(), testScope, func(x tx) error {
		from := &types.LaunchTemplateAndOverridesResponse{Overrides: &types.FleetLaunchTemplateOverrides{ImageId: aws.String(strings.Repeat("x", 200))}}
		f := &fleet{resource: resource{ID: id}, Type: types.FleetTypeInstant, Filled: true, Members: []fleetMember{{Instance: "i-before", Weight: 1, From: from}}}
		for i := range 1000 {
			if err := f.add(x, fleetMember{Instance: fmt.Sprintf("i-%08x", i), Weight: 1, From: from}); err != nil {
				return err
			}
		}
		return errors.Join(ensureNetwork(x), fleets.insert(x, f))
	})
	if err != nil {
		t.Fatal(err)
	}
	shown := must[*ec2.DescribeFleetsOutput](t)(client.DescribeFleets(t.Context(), &ec2.DescribeFleetsInput{FleetIds: []string{id}})).Fleets[0]
	if len(shown.Instances) != 1 || len(shown.Instances[0].InstanceIds) != 1001 || shown.Instances[0].InstanceIds[0] != "i-before" || shown.Instances[0].InstanceIds[1000] != "i-000003e7" {
		t.Errorf("%d groups", len(shown.Instances))
	}
	err = s.updateIn(t.Context(), testScope, func(x tx) error {
		f, err := fleets.get(x, id)
		if err != nil {
			return err
		}
		f.Type = types.FleetTypeMaintain
		return fleets.put(x, f)
	})
	err = errors.Join(err, s.forgetEnded(t.Context(), testScope, id), s.viewIn(t.Context(), testScope, func(x tx) error {
		f, err := fleets.get(x, id)
		if err != nil {
			return err
		}
		rows, err := f.members(x)
		if len(rows) > 0 || len(f.Members) > 0 {
			t.Errorf("%d members are left", len(rows))
		}
		return err
	}))
	if err != nil {
		t.Error(err)
	}
}

// TestFleetsOfManyEvents: a fleet to which more happened than a record has room for can be written; the oldest events go.
func TestFleetsOfManyEvents(t *testing.T) {
	s, client, _ := newCloud(t)
	id := "fleet-11111111-1111-1111-1111-111111111111"
	err := s.updateIn(t.Context(), testScope, func(x tx) error {
		f := &fleet{resource: resource{ID: id}, Type: types.FleetTypeMaintain}
		for i := range maxFleetEvents + 50 {
			f.note(x, types.EventTypeInstanceChange, "launched", fmt.Sprintf("i-%08x", i), strings.Repeat("x", 500))
		}
		return errors.Join(ensureNetwork(x), fleets.insert(x, f))
	})
	if err != nil {
		t.Fatal(err)
	}
	shown := must[*ec2.DescribeFleetHistoryOutput](t)(client.DescribeFleetHistory(t.Context(), &ec2.DescribeFleetHistoryInput{FleetId: &id, StartTime: aws.Time(time.Now().Add(-time.Hour))}))
	if n := len(shown.HistoryRecords); n != maxFleetEvents || *shown.HistoryRecords[0].EventInformation.InstanceId != "i-00000032" || *shown.HistoryRecords[n-1].EventInformation.InstanceId != "i-00000419" {
		t.Errorf("%d events", n)
	}
	err = s.updateIn(t.Context(), testScope, func(x tx) error { return forgetEvents(x, id) })
	if left := must[*ec2.DescribeFleetHistoryOutput](t)(client.DescribeFleetHistory(t.Context(), &ec2.DescribeFleetHistoryInput{FleetId: &id, StartTime: aws.Time(time.Now().Add(-time.Hour))})); err != nil || len(left.HistoryRecords) != 0 {
		t.Errorf("%d events are left: %v", len(left.HistoryRecords), err)
	}
}
