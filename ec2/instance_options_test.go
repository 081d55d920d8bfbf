package ec2

import (
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// become gives an instance a state, as the engine's confirmation would.
func become(t *testing.T, s *Service, id *string, state instanceState) {
	t.Helper()
	err := s.updateIn(t.Context(), testScope, func(x tx) error {
		return instances.edit(x, *id, func(i *instance) error {
			i.State = state
			return nil
		})
	})
	if err != nil {
		t.Fatal(err)
	}
}

func shownInstance(t *testing.T, client *ec2.Client, id *string) types.Instance {
	t.Helper()
	return must[*ec2.DescribeInstancesOutput](t)(client.DescribeInstances(t.Context(), &ec2.DescribeInstancesInput{InstanceIds: []string{*id}})).Reservations[0].Instances[0]
}

// TestOptionsOfStoppedInstances: what is chosen at launch can be chosen again while the instance is stopped, and only then.
func TestOptionsOfStoppedInstances(t *testing.T) {
	s, client, _ := newCloud(t)
	made, _ := launchGuest(t, s, client, &ec2.RunInstancesInput{})
	id := made.InstanceId
	group := must[*ec2.CreatePlacementGroupOutput](t)(client.CreatePlacementGroup(t.Context(), &ec2.CreatePlacementGroupInput{GroupName: aws.String("parts"), Strategy: types.PlacementStrategyPartition, PartitionCount: aws.Int32(3)})).PlacementGroup
	place := &ec2.ModifyInstancePlacementInput{InstanceId: id, GroupName: group.GroupName, PartitionNumber: aws.Int32(2)}
	names := &ec2.ModifyPrivateDnsNameOptionsInput{InstanceId: id, PrivateDnsHostnameType: types.HostnameTypeResourceName, EnableResourceNameDnsARecord: aws.Bool(true)}
	_, err := client.ModifyInstancePlacement(t.Context(), place)
	wantCode(t, err, "IncorrectInstanceState")
	_, err = client.ModifyPrivateDnsNameOptions(t.Context(), names)
	wantCode(t, err, "InvalidParameterValue")
	_, err = client.ModifyInstanceAttribute(t.Context(), &ec2.ModifyInstanceAttributeInput{InstanceId: id, InstanceType: &types.AttributeValue{Value: aws.String("t3.small")}})
	wantCode(t, err, "IncorrectInstanceState")
	become(t, s, id, stateStopped)
	must[*ec2.ModifyInstancePlacementOutput](t)(client.ModifyInstancePlacement(t.Context(), place))
	must[*ec2.ModifyPrivateDnsNameOptionsOutput](t)(client.ModifyPrivateDnsNameOptions(t.Context(), names))
	if shown := shownInstance(t, client, id); *shown.Placement.GroupName != "parts" || *shown.Placement.GroupId != *group.GroupId || *shown.Placement.PartitionNumber != 2 ||
		shown.PrivateDnsNameOptions.HostnameType != types.HostnameTypeResourceName || !*shown.PrivateDnsNameOptions.EnableResourceNameDnsARecord {
		t.Errorf("%+v, %+v", shown.Placement, shown.PrivateDnsNameOptions)
	}
	_, err = client.ModifyInstanceCpuOptions(t.Context(), &ec2.ModifyInstanceCpuOptionsInput{InstanceId: id, CoreCount: aws.Int32(7), ThreadsPerCore: aws.Int32(2)})
	wantCode(t, err, "InvalidParameterValue")
	cores := must[*ec2.ModifyInstanceCpuOptionsOutput](t)(client.ModifyInstanceCpuOptions(t.Context(), &ec2.ModifyInstanceCpuOptionsInput{
		InstanceId: id, CoreCount: shownInstance(t, client, id).CpuOptions.CoreCount, ThreadsPerCore: aws.Int32(1),
	}))
	if *cores.ThreadsPerCore != 1 || *shownInstance(t, client, id).CpuOptions.ThreadsPerCore != 1 {
		t.Errorf("%+v", cores)
	}
	_, err = client.DeletePlacementGroup(t.Context(), &ec2.DeletePlacementGroupInput{GroupName: group.GroupName})
	wantCode(t, err, "InvalidPlacementGroup.InUse")
}

// TestTokensOfLaunches: the same call again is the same launch, another call is refused, and so is one whose instances ended.
func TestTokensOfLaunches(t *testing.T) {
	s, client, _ := newCloud(t)
	in := &ec2.RunInstancesInput{ClientToken: aws.String("once")}
	made, _ := launchGuest(t, s, client, in)
	if again, _ := launchGuest(t, s, client, in); *again.InstanceId != *made.InstanceId {
		t.Errorf("%s again as %s", *made.InstanceId, *again.InstanceId)
	}
	other := *in
	other.MaxCount = aws.Int32(2)
	_, err := client.RunInstances(t.Context(), &other)
	wantCode(t, err, "IdempotentParameterMismatch")
	become(t, s, made.InstanceId, stateTerminated)
	_, err = client.RunInstances(t.Context(), in)
	wantCode(t, err, "IdempotentInstanceTerminated")
}

func TestPendingInstancesDoNotStop(t *testing.T) {
	s, client, _ := newCloud(t)
	made, _ := launchGuest(t, s, client, &ec2.RunInstancesInput{})
	_, err := client.StopInstances(t.Context(), &ec2.StopInstancesInput{InstanceIds: []string{*made.InstanceId}})
	wantCode(t, err, "IncorrectInstanceState")
	if want := "cannot be stopped as it has never reached the 'running' state."; !strings.Contains(fmt.Sprint(err), want) {
		t.Errorf("%v, without %q", err, want)
	}
	spot := &ec2.RunInstancesInput{
		ImageId: made.ImageId, InstanceType: made.InstanceType, MinCount: aws.Int32(1), MaxCount: aws.Int32(1),
		InstanceMarketOptions: &types.InstanceMarketOptionsRequest{MarketType: types.MarketTypeSpot, SpotOptions: &types.SpotMarketOptions{MaxPrice: aws.String("cheap")}},
	}
	_, err = client.RunInstances(t.Context(), spot)
	wantCode(t, err, "InvalidParameterValue")
}

// TestEventWindows: a window has a time and targets, and is deleted with them by force alone.
func TestEventWindows(t *testing.T) {
	s, client, _ := newCloud(t)
	guest, _ := launchGuest(t, s, client, &ec2.RunInstancesInput{})
	made := must[*ec2.CreateInstanceEventWindowOutput](t)(client.CreateInstanceEventWindow(t.Context(), &ec2.CreateInstanceEventWindowInput{Name: aws.String("night"), CronExpression: aws.String("* 21-23 * * 2,3")})).InstanceEventWindow
	id := made.InstanceEventWindowId
	if made.State != types.InstanceEventWindowStateCreating || made.AssociationTarget != nil {
		t.Errorf("%+v", made)
	}
	_, err := client.CreateInstanceEventWindow(t.Context(), &ec2.CreateInstanceEventWindowInput{CronExpression: aws.String("* 21-22 * * 2")})
	wantCode(t, err, "InvalidParameterValue")
	targets := &types.InstanceEventWindowAssociationRequest{InstanceIds: []string{*guest.InstanceId}}
	must[*ec2.AssociateInstanceEventWindowOutput](t)(client.AssociateInstanceEventWindow(t.Context(), &ec2.AssociateInstanceEventWindowInput{InstanceEventWindowId: id, AssociationTarget: targets}))
	listed := func() []types.InstanceEventWindow {
		return must[*ec2.DescribeInstanceEventWindowsOutput](t)(client.DescribeInstanceEventWindows(t.Context(), &ec2.DescribeInstanceEventWindowsInput{
			Filters: []types.Filter{{Name: aws.String("instance-id"), Values: []string{*guest.InstanceId}}},
		})).InstanceEventWindows
	}
	if all := listed(); len(all) != 1 || *all[0].InstanceEventWindowId != *id || all[0].State != types.InstanceEventWindowStateActive || all[0].AssociationTarget.InstanceIds[0] != *guest.InstanceId {
		t.Errorf("%+v", all)
	}
	changed := must[*ec2.ModifyInstanceEventWindowOutput](t)(client.ModifyInstanceEventWindow(t.Context(), &ec2.ModifyInstanceEventWindowInput{
		InstanceEventWindowId: id, TimeRanges: []types.InstanceEventWindowTimeRangeRequest{{StartWeekDay: types.WeekDayMonday, StartHour: aws.Int32(2), EndWeekDay: types.WeekDayMonday, EndHour: aws.Int32(8)}},
	})).InstanceEventWindow
	if changed.CronExpression != nil || len(changed.TimeRanges) != 1 || *changed.TimeRanges[0].EndHour != 8 || *changed.Name != "night" {
		t.Errorf("%+v", changed)
	}
	_, err = client.DeleteInstanceEventWindow(t.Context(), &ec2.DeleteInstanceEventWindowInput{InstanceEventWindowId: id})
	wantCode(t, err, "InvalidParameterValue")
	must[*ec2.DisassociateInstanceEventWindowOutput](t)(client.DisassociateInstanceEventWindow(t.Context(), &ec2.DisassociateInstanceEventWindowInput{
		InstanceEventWindowId: id, AssociationTarget: &types.InstanceEventWindowDisassociationRequest{InstanceIds: []string{*guest.InstanceId}},
	}))
	if all := listed(); len(all) != 0 {
		t.Errorf("%+v", all)
	}
	must[*ec2.DeleteInstanceEventWindowOutput](t)(client.DeleteInstanceEventWindow(t.Context(), &ec2.DeleteInstanceEventWindowInput{InstanceEventWindowId: id}))
	_, err = client.DescribeInstanceEventWindows(t.Context(), &ec2.DescribeInstanceEventWindowsInput{InstanceEventWindowIds: []string{*id}})
	wantCode(t, err, "InvalidInstanceEventWindowID.NotFound")
}

// TestTemplatesThatNoLaunchTakes: they can be made, and a launch says what is wrong with them.
func TestTemplatesThatNoLaunchTakes(t *testing.T) {
	_, client, _ := newCloud(t)
	must[*ec2.CreateLaunchTemplateOutput](t)(client.CreateLaunchTemplate(t.Context(), &ec2.CreateLaunchTemplateInput{LaunchTemplateName: aws.String("odd"), LaunchTemplateData: &types.RequestLaunchTemplateData{
		ImageId: &publicImagesIn("us-east-1").sorted[0].ID, InstanceType: types.InstanceType(nanoType()), SecurityGroupIds: []string{"sg-12345678"},
		NetworkInterfaces: []types.LaunchTemplateInstanceNetworkInterfaceSpecificationRequest{{NetworkInterfaceId: aws.String("eni-12345678")}},
	}}))
	_, err := client.RunInstances(t.Context(), &ec2.RunInstancesInput{LaunchTemplate: &types.LaunchTemplateSpecification{LaunchTemplateName: aws.String("odd")}, MinCount: aws.Int32(1), MaxCount: aws.Int32(1)})
	wantCode(t, err, "InvalidParameterCombination")
}
