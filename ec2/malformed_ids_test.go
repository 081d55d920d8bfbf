package ec2

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// TestIDsOfInstancesAndTheirKin: every operation that takes an id says of what cannot be one that it is malformed, and of one that
// could be that there is none. Where AWS documents no code for malformed ids, both are not found.
func TestIDsOfInstancesAndTheirKin(t *testing.T) {
	_, client, _ := newCloud(t)
	ctx := t.Context()
	is := func(code string) [2]string { return [2]string{code + ".Malformed", code + ".NotFound"} }
	one := func(id *string) []string { return []string{*id} }
	day := aws.Time(time.Now().Add(24 * time.Hour))
	instance, host, reservation := is("InvalidInstanceID"), is("InvalidHostID"), is("InvalidCapacityReservationId")
	image, template, spot := is("InvalidAMIID"), is("InvalidLaunchTemplateId"), is("InvalidSpotInstanceRequestID")
	spotFleet, fleet := is("InvalidSpotFleetRequestId"), [2]string{"InvalidFleetId.NotFound", "InvalidFleetId.NotFound"}
	window := [2]string{"InvalidInstanceEventWindowID.NotFound", "InvalidInstanceEventWindowID.NotFound"}
	key := [2]string{"InvalidKeyPair.NotFound", "InvalidKeyPair.NotFound"}
	group := [2]string{"InvalidPlacementGroupId.Malformed", "InvalidPlacementGroup.Unknown"}
	const hex, uuid = "0123456789abcdef0", "01234567-89ab-cdef-0123-456789abcdef"
	for _, c := range []struct {
		name, id string
		want     [2]string
		call     func(id *string) error
	}{
		{"DescribeInstances", "i-" + hex, instance, func(id *string) error {
			_, err := client.DescribeInstances(ctx, &ec2.DescribeInstancesInput{InstanceIds: one(id)})
			return err
		}},
		{"DescribeInstanceStatus", "i-" + hex, instance, func(id *string) error {
			_, err := client.DescribeInstanceStatus(ctx, &ec2.DescribeInstanceStatusInput{InstanceIds: one(id)})
			return err
		}},
		{"DescribeInstanceAttribute", "i-" + hex, instance, func(id *string) error {
			_, err := client.DescribeInstanceAttribute(ctx, &ec2.DescribeInstanceAttributeInput{InstanceId: id, Attribute: types.InstanceAttributeNameInstanceType})
			return err
		}},
		{"DescribeInstanceImageMetadata", "i-" + hex, instance, func(id *string) error {
			_, err := client.DescribeInstanceImageMetadata(ctx, &ec2.DescribeInstanceImageMetadataInput{InstanceIds: one(id)})
			return err
		}},
		{"DescribeInstanceTopology", "i-" + hex, instance, func(id *string) error {
			_, err := client.DescribeInstanceTopology(ctx, &ec2.DescribeInstanceTopologyInput{InstanceIds: one(id)})
			return err
		}},
		{"DescribeInstanceCreditSpecifications", "i-" + hex, instance, func(id *string) error {
			_, err := client.DescribeInstanceCreditSpecifications(ctx, &ec2.DescribeInstanceCreditSpecificationsInput{InstanceIds: one(id)})
			return err
		}},
		{"StartInstances", "i-" + hex, instance, func(id *string) error {
			_, err := client.StartInstances(ctx, &ec2.StartInstancesInput{InstanceIds: one(id)})
			return err
		}},
		{"StopInstances", "i-" + hex, instance, func(id *string) error {
			_, err := client.StopInstances(ctx, &ec2.StopInstancesInput{InstanceIds: one(id)})
			return err
		}},
		{"RebootInstances", "i-" + hex, instance, func(id *string) error {
			_, err := client.RebootInstances(ctx, &ec2.RebootInstancesInput{InstanceIds: one(id)})
			return err
		}},
		{"TerminateInstances", "i-" + hex, instance, func(id *string) error {
			_, err := client.TerminateInstances(ctx, &ec2.TerminateInstancesInput{InstanceIds: one(id)})
			return err
		}},
		{"MonitorInstances", "i-" + hex, instance, func(id *string) error {
			_, err := client.MonitorInstances(ctx, &ec2.MonitorInstancesInput{InstanceIds: one(id)})
			return err
		}},
		{"UnmonitorInstances", "i-" + hex, instance, func(id *string) error {
			_, err := client.UnmonitorInstances(ctx, &ec2.UnmonitorInstancesInput{InstanceIds: one(id)})
			return err
		}},
		{"ReportInstanceStatus", "i-" + hex, instance, func(id *string) error {
			_, err := client.ReportInstanceStatus(ctx, &ec2.ReportInstanceStatusInput{Instances: one(id), Status: types.ReportStatusTypeOk, ReasonCodes: []types.ReportInstanceReasonCodes{types.ReportInstanceReasonCodesOther}})
			return err
		}},
		{"GetConsoleOutput", "i-" + hex, instance, func(id *string) error {
			_, err := client.GetConsoleOutput(ctx, &ec2.GetConsoleOutputInput{InstanceId: id})
			return err
		}},
		{"GetConsoleScreenshot", "i-" + hex, instance, func(id *string) error {
			_, err := client.GetConsoleScreenshot(ctx, &ec2.GetConsoleScreenshotInput{InstanceId: id})
			return err
		}},
		{"GetPasswordData", "i-" + hex, instance, func(id *string) error {
			_, err := client.GetPasswordData(ctx, &ec2.GetPasswordDataInput{InstanceId: id})
			return err
		}},
		{"GetLaunchTemplateData", "i-" + hex, instance, func(id *string) error {
			_, err := client.GetLaunchTemplateData(ctx, &ec2.GetLaunchTemplateDataInput{InstanceId: id})
			return err
		}},
		{"ModifyInstanceAttribute", "i-" + hex, instance, func(id *string) error {
			_, err := client.ModifyInstanceAttribute(ctx, &ec2.ModifyInstanceAttributeInput{InstanceId: id, EbsOptimized: &types.AttributeBooleanValue{Value: aws.Bool(false)}})
			return err
		}},
		{"ResetInstanceAttribute", "i-" + hex, instance, func(id *string) error {
			_, err := client.ResetInstanceAttribute(ctx, &ec2.ResetInstanceAttributeInput{InstanceId: id, Attribute: types.InstanceAttributeNameSourceDestCheck})
			return err
		}},
		{"ModifyInstanceMetadataOptions", "i-" + hex, instance, func(id *string) error {
			_, err := client.ModifyInstanceMetadataOptions(ctx, &ec2.ModifyInstanceMetadataOptionsInput{InstanceId: id, HttpTokens: types.HttpTokensStateRequired})
			return err
		}},
		{"ModifyInstanceMaintenanceOptions", "i-" + hex, instance, func(id *string) error {
			_, err := client.ModifyInstanceMaintenanceOptions(ctx, &ec2.ModifyInstanceMaintenanceOptionsInput{InstanceId: id, AutoRecovery: types.InstanceAutoRecoveryStateDefault})
			return err
		}},
		{"ModifyInstancePlacement", "i-" + hex, instance, func(id *string) error {
			_, err := client.ModifyInstancePlacement(ctx, &ec2.ModifyInstancePlacementInput{InstanceId: id, Tenancy: types.HostTenancyDedicated})
			return err
		}},
		{"ModifyInstanceCpuOptions", "i-" + hex, instance, func(id *string) error {
			_, err := client.ModifyInstanceCpuOptions(ctx, &ec2.ModifyInstanceCpuOptionsInput{InstanceId: id, CoreCount: aws.Int32(1), ThreadsPerCore: aws.Int32(1)})
			return err
		}},
		{"ModifyInstanceEventStartTime", "i-" + hex, instance, func(id *string) error {
			_, err := client.ModifyInstanceEventStartTime(ctx, &ec2.ModifyInstanceEventStartTimeInput{InstanceId: id, InstanceEventId: aws.String("instance-event-" + hex), NotBefore: day})
			return err
		}},
		{"ModifyPrivateDnsNameOptions", "i-" + hex, instance, func(id *string) error {
			_, err := client.ModifyPrivateDnsNameOptions(ctx, &ec2.ModifyPrivateDnsNameOptionsInput{InstanceId: id, EnableResourceNameDnsARecord: aws.Bool(true)})
			return err
		}},
		{"CreateImage", "i-" + hex, instance, func(id *string) error {
			_, err := client.CreateImage(ctx, &ec2.CreateImageInput{InstanceId: id, Name: aws.String("image")})
			return err
		}},
		{"RunInstances", "ami-" + hex, image, func(id *string) error {
			_, err := client.RunInstances(ctx, &ec2.RunInstancesInput{ImageId: id, MinCount: aws.Int32(1), MaxCount: aws.Int32(1)})
			return err
		}},
		{"DescribeImages", "ami-" + hex, image, func(id *string) error {
			_, err := client.DescribeImages(ctx, &ec2.DescribeImagesInput{ImageIds: one(id)})
			return err
		}},
		{"DescribeImageAttribute", "ami-" + hex, image, func(id *string) error {
			_, err := client.DescribeImageAttribute(ctx, &ec2.DescribeImageAttributeInput{ImageId: id, Attribute: types.ImageAttributeNameDescription})
			return err
		}},
		{"ModifyImageAttribute", "ami-" + hex, image, func(id *string) error {
			_, err := client.ModifyImageAttribute(ctx, &ec2.ModifyImageAttributeInput{ImageId: id, Description: &types.AttributeValue{Value: aws.String("d")}})
			return err
		}},
		{"ResetImageAttribute", "ami-" + hex, image, func(id *string) error {
			_, err := client.ResetImageAttribute(ctx, &ec2.ResetImageAttributeInput{ImageId: id, Attribute: types.ResetImageAttributeNameLaunchPermission})
			return err
		}},
		{"DeregisterImage", "ami-" + hex, image, func(id *string) error {
			_, err := client.DeregisterImage(ctx, &ec2.DeregisterImageInput{ImageId: id})
			return err
		}},
		{"CopyImage", "ami-" + hex, image, func(id *string) error {
			_, err := client.CopyImage(ctx, &ec2.CopyImageInput{SourceImageId: id, SourceRegion: aws.String("us-east-1"), Name: aws.String("copy")})
			return err
		}},
		{"GetImageAncestry", "ami-" + hex, image, func(id *string) error {
			_, err := client.GetImageAncestry(ctx, &ec2.GetImageAncestryInput{ImageId: id})
			return err
		}},
		{"CancelImageLaunchPermission", "ami-" + hex, image, func(id *string) error {
			_, err := client.CancelImageLaunchPermission(ctx, &ec2.CancelImageLaunchPermissionInput{ImageId: id})
			return err
		}},
		{"EnableImage", "ami-" + hex, image, func(id *string) error {
			_, err := client.EnableImage(ctx, &ec2.EnableImageInput{ImageId: id})
			return err
		}},
		{"DisableImage", "ami-" + hex, image, func(id *string) error {
			_, err := client.DisableImage(ctx, &ec2.DisableImageInput{ImageId: id})
			return err
		}},
		{"EnableImageDeprecation", "ami-" + hex, image, func(id *string) error {
			_, err := client.EnableImageDeprecation(ctx, &ec2.EnableImageDeprecationInput{ImageId: id, DeprecateAt: day})
			return err
		}},
		{"DisableImageDeregistrationProtection", "ami-" + hex, image, func(id *string) error {
			_, err := client.DisableImageDeregistrationProtection(ctx, &ec2.DisableImageDeregistrationProtectionInput{ImageId: id})
			return err
		}},
		{"DescribeLaunchTemplates", "lt-" + hex, template, func(id *string) error {
			_, err := client.DescribeLaunchTemplates(ctx, &ec2.DescribeLaunchTemplatesInput{LaunchTemplateIds: one(id)})
			return err
		}},
		{"DescribeLaunchTemplateVersions", "lt-" + hex, template, func(id *string) error {
			_, err := client.DescribeLaunchTemplateVersions(ctx, &ec2.DescribeLaunchTemplateVersionsInput{LaunchTemplateId: id})
			return err
		}},
		{"CreateLaunchTemplateVersion", "lt-" + hex, template, func(id *string) error {
			_, err := client.CreateLaunchTemplateVersion(ctx, &ec2.CreateLaunchTemplateVersionInput{LaunchTemplateId: id, LaunchTemplateData: &types.RequestLaunchTemplateData{KeyName: aws.String("k")}})
			return err
		}},
		{"ModifyLaunchTemplate", "lt-" + hex, template, func(id *string) error {
			_, err := client.ModifyLaunchTemplate(ctx, &ec2.ModifyLaunchTemplateInput{LaunchTemplateId: id, DefaultVersion: aws.String("1")})
			return err
		}},
		{"DeleteLaunchTemplate", "lt-" + hex, template, func(id *string) error {
			_, err := client.DeleteLaunchTemplate(ctx, &ec2.DeleteLaunchTemplateInput{LaunchTemplateId: id})
			return err
		}},
		{"DeleteLaunchTemplateVersions", "lt-" + hex, template, func(id *string) error {
			_, err := client.DeleteLaunchTemplateVersions(ctx, &ec2.DeleteLaunchTemplateVersionsInput{LaunchTemplateId: id, Versions: []string{"1"}})
			return err
		}},
		{"RunInstances of a template", "lt-" + hex, template, func(id *string) error {
			_, err := client.RunInstances(ctx, &ec2.RunInstancesInput{LaunchTemplate: &types.LaunchTemplateSpecification{LaunchTemplateId: id}, MinCount: aws.Int32(1), MaxCount: aws.Int32(1)})
			return err
		}},
		{"DescribeHosts", "h-" + hex, host, func(id *string) error {
			_, err := client.DescribeHosts(ctx, &ec2.DescribeHostsInput{HostIds: one(id)})
			return err
		}},
		{"DescribeCapacityReservations", "cr-" + hex, reservation, func(id *string) error {
			_, err := client.DescribeCapacityReservations(ctx, &ec2.DescribeCapacityReservationsInput{CapacityReservationIds: one(id)})
			return err
		}},
		{"ModifyCapacityReservation", "cr-" + hex, reservation, func(id *string) error {
			_, err := client.ModifyCapacityReservation(ctx, &ec2.ModifyCapacityReservationInput{CapacityReservationId: id, InstanceCount: aws.Int32(2)})
			return err
		}},
		{"CancelCapacityReservation", "cr-" + hex, reservation, func(id *string) error {
			_, err := client.CancelCapacityReservation(ctx, &ec2.CancelCapacityReservationInput{CapacityReservationId: id})
			return err
		}},
		{"GetCapacityReservationUsage", "cr-" + hex, reservation, func(id *string) error {
			_, err := client.GetCapacityReservationUsage(ctx, &ec2.GetCapacityReservationUsageInput{CapacityReservationId: id})
			return err
		}},
		{"DescribeSpotInstanceRequests", "sir-" + hex, spot, func(id *string) error {
			_, err := client.DescribeSpotInstanceRequests(ctx, &ec2.DescribeSpotInstanceRequestsInput{SpotInstanceRequestIds: one(id)})
			return err
		}},
		{"CancelSpotInstanceRequests", "sir-" + hex, spot, func(id *string) error {
			_, err := client.CancelSpotInstanceRequests(ctx, &ec2.CancelSpotInstanceRequestsInput{SpotInstanceRequestIds: one(id)})
			return err
		}},
		{"DescribeSpotFleetRequests", "sfr-" + uuid, spotFleet, func(id *string) error {
			_, err := client.DescribeSpotFleetRequests(ctx, &ec2.DescribeSpotFleetRequestsInput{SpotFleetRequestIds: one(id)})
			return err
		}},
		{"DescribeSpotFleetInstances", "sfr-" + uuid, spotFleet, func(id *string) error {
			_, err := client.DescribeSpotFleetInstances(ctx, &ec2.DescribeSpotFleetInstancesInput{SpotFleetRequestId: id})
			return err
		}},
		{"DescribeSpotFleetRequestHistory", "sfr-" + uuid, spotFleet, func(id *string) error {
			_, err := client.DescribeSpotFleetRequestHistory(ctx, &ec2.DescribeSpotFleetRequestHistoryInput{SpotFleetRequestId: id, StartTime: day})
			return err
		}},
		{"ModifySpotFleetRequest", "sfr-" + uuid, spotFleet, func(id *string) error {
			_, err := client.ModifySpotFleetRequest(ctx, &ec2.ModifySpotFleetRequestInput{SpotFleetRequestId: id, TargetCapacity: aws.Int32(1)})
			return err
		}},
		{"DescribeFleets", "fleet-" + uuid, fleet, func(id *string) error {
			_, err := client.DescribeFleets(ctx, &ec2.DescribeFleetsInput{FleetIds: one(id)})
			return err
		}},
		{"DescribeFleetInstances", "fleet-" + uuid, fleet, func(id *string) error {
			_, err := client.DescribeFleetInstances(ctx, &ec2.DescribeFleetInstancesInput{FleetId: id})
			return err
		}},
		{"DescribeFleetHistory", "fleet-" + uuid, fleet, func(id *string) error {
			_, err := client.DescribeFleetHistory(ctx, &ec2.DescribeFleetHistoryInput{FleetId: id, StartTime: day})
			return err
		}},
		{"ModifyFleet", "fleet-" + uuid, fleet, func(id *string) error {
			_, err := client.ModifyFleet(ctx, &ec2.ModifyFleetInput{FleetId: id, TargetCapacitySpecification: &types.TargetCapacitySpecificationRequest{TotalTargetCapacity: aws.Int32(1)}})
			return err
		}},
		{"DescribeInstanceEventWindows", "iew-" + hex, window, func(id *string) error {
			_, err := client.DescribeInstanceEventWindows(ctx, &ec2.DescribeInstanceEventWindowsInput{InstanceEventWindowIds: one(id)})
			return err
		}},
		{"DeleteInstanceEventWindow", "iew-" + hex, window, func(id *string) error {
			_, err := client.DeleteInstanceEventWindow(ctx, &ec2.DeleteInstanceEventWindowInput{InstanceEventWindowId: id})
			return err
		}},
		{"DescribeKeyPairs", "key-" + hex, key, func(id *string) error {
			_, err := client.DescribeKeyPairs(ctx, &ec2.DescribeKeyPairsInput{KeyPairIds: one(id)})
			return err
		}},
		{"DescribePlacementGroups", "pg-" + hex, group, func(id *string) error {
			_, err := client.DescribePlacementGroups(ctx, &ec2.DescribePlacementGroupsInput{GroupIds: one(id)})
			return err
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			wantCode(t, c.call(aws.String(c.id[:len(c.id)-8]+"no")), c.want[0])
			wantCode(t, c.call(aws.String("x"+c.id)), c.want[0])
			wantCode(t, c.call(&c.id), c.want[1])
		})
	}
}

// TestMalformedIDsOfLists: operations that say of each id what is wrong say which kind of wrong it is.
func TestMalformedIDsOfLists(t *testing.T) {
	_, client, _ := newCloud(t)
	ctx := t.Context()
	fleets := must[*ec2.DeleteFleetsOutput](t)(client.DeleteFleets(ctx, &ec2.DeleteFleetsInput{FleetIds: []string{"fleet-1"}, TerminateInstances: aws.Bool(true)}))
	if len(fleets.UnsuccessfulFleetDeletions) != 1 || fleets.UnsuccessfulFleetDeletions[0].Error.Code != types.DeleteFleetErrorCodeFleetIdMalformed {
		t.Errorf("%+v", fleets)
	}
	credits := must[*ec2.ModifyInstanceCreditSpecificationOutput](t)(client.ModifyInstanceCreditSpecification(ctx, &ec2.ModifyInstanceCreditSpecificationInput{
		InstanceCreditSpecifications: []types.InstanceCreditSpecificationRequest{{InstanceId: aws.String("i-1"), CpuCredits: aws.String("standard")}},
	}))
	if len(credits.UnsuccessfulInstanceCreditSpecifications) != 1 || credits.UnsuccessfulInstanceCreditSpecifications[0].Error.Code != types.UnsuccessfulInstanceCreditSpecificationErrorCodeInvalidInstanceId {
		t.Errorf("%+v", credits)
	}
	hosts := must[*ec2.ReleaseHostsOutput](t)(client.ReleaseHosts(ctx, &ec2.ReleaseHostsInput{HostIds: []string{"h-1", "h-0123456789abcdef0"}}))
	if len(hosts.Unsuccessful) != 2 || *hosts.Unsuccessful[0].Error.Code != "InvalidHostID.Malformed" || *hosts.Unsuccessful[1].Error.Code != "InvalidHostID.NotFound" {
		t.Errorf("%+v", hosts)
	}
}
