package ec2

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"miniaws/backend/screen"
)

// DescribeInstances lists instances by their reservations. Those that ended are shown for an hour.
func (s *Service) DescribeInstances(ctx context.Context, in *ec2.DescribeInstancesInput) (*ec2.DescribeInstancesOutput, error) {
	out := &ec2.DescribeInstancesOutput{}
	return out, s.view(ctx, func(t tx) error {
		out.Reservations = []types.Reservation{}
		list, next, err := s.selectInstances(t, query{in.InstanceIds, "instanceIds", in.Filters, in.MaxResults, in.NextToken})
		if err != nil {
			return err
		}
		out.NextToken = next
		list = slices.Clone(list)
		slices.SortStableFunc(list, positions)
		wired, err := seenInterfacesOfAll(t, list)
		if err != nil {
			return err
		}
		for _, inst := range list {
			shown, err := s.instanceWith(t, inst, wired[inst.ID])
			if err != nil {
				return err
			}
			if n := len(out.Reservations); n == 0 || *out.Reservations[n-1].ReservationId != inst.Reservation {
				out.Reservations = append(out.Reservations, types.Reservation{
					ReservationId: aws.String(inst.Reservation), OwnerId: aws.String(t.scope.Account), Groups: []types.GroupIdentifier{},
				})
			}
			last := &out.Reservations[len(out.Reservations)-1]
			last.Instances = append(last.Instances, shown)
		}
		return nil
	})
}

// selectInstances answers the instances that a query is about, in the order of their ids.
func (s *Service) selectInstances(t tx, q query) ([]*instance, *string, error) {
	if len(q.ids) > 0 {
		if _, err := namedInstances(t, q.ids); err != nil {
			return nil, nil, err
		}
	}
	return instances.list(t, q)
}

func (s *Service) instanceToAPI(t tx, i *instance) (types.Instance, error) {
	list, err := seenInterfacesOf(t, i.ID)
	if err != nil {
		return types.Instance{}, err
	}
	return s.instanceWith(t, i, list)
}

// instanceWith is the instance with its interfaces, in their order.
func (s *Service) instanceWith(t tx, i *instance, wired []*networkInterface) (types.Instance, error) {
	out := types.Instance{
		InstanceId: aws.String(i.ID), ImageId: aws.String(i.ImageID), AmiLaunchIndex: aws.Int32(i.Index), State: stateToAPI(i.State),
		Architecture: types.ArchitectureValues(i.Architecture), InstanceType: i.Type, LaunchTime: aws.Time(i.Launched.Truncate(time.Second)),
		StateTransitionReason: aws.String(i.Transition), ClientToken: aws.String(i.Token), KeyName: optional(i.KeyName),
		Monitoring: &types.Monitoring{State: types.MonitoringState(named(i.Monitoring, "enabled", "disabled")[0])},
		Placement: &types.Placement{
			AvailabilityZone: aws.String(i.Zone), AvailabilityZoneId: aws.String(i.ZoneID), GroupName: aws.String(""), Tenancy: types.Tenancy(i.Tenancy),
		},
		EbsOptimized: aws.Bool(i.EBSOptimized), EnaSupport: aws.Bool(true), Hypervisor: types.HypervisorTypeXen,
		VirtualizationType: types.VirtualizationTypeHvm, RootDeviceName: aws.String(i.RootDevice), RootDeviceType: types.DeviceTypeEbs,
		CpuOptions: cpuOptionsOf(i), MetadataOptions: i.Metadata.toAPI(i.State), InstanceLifecycle: types.InstanceLifecycleType(i.Lifecycle),
		SpotInstanceRequestId: optional(i.SpotRequest), PlatformDetails: aws.String("Linux/UNIX"), UsageOperation: aws.String("RunInstances"),
		UsageOperationUpdateTime: aws.Time(i.RootVolume.At.Truncate(time.Second)), CurrentInstanceBootMode: types.InstanceBootModeValuesLegacyBios,
		HibernationOptions:               &types.HibernationOptions{Configured: aws.Bool(false)},
		EnclaveOptions:                   &types.EnclaveOptions{Enabled: aws.Bool(false)},
		CapacityReservationSpecification: i.CapacityOptions.toAPI(),
		MaintenanceOptions: &types.InstanceMaintenanceOptions{
			AutoRecovery:    types.InstanceAutoRecoveryState(named(i.NoAutoRecovery, "disabled", "default")[0]),
			RebootMigration: types.InstanceRebootMigrationStateDefault,
		},
		NetworkPerformanceOptions: &types.InstanceNetworkPerformanceOptions{BandwidthWeighting: types.InstanceBandwidthWeightingDefault},
		Operator:                  &types.OperatorResponse{Managed: aws.Bool(false)},
		Tags:                      withHostEndpoints(t, s.shownInstanceTags(i), publicOf(wired)...), ProductCodes: []types.ProductCode{}, SecurityGroups: []types.GroupIdentifier{},
		NetworkInterfaces: []types.InstanceNetworkInterface{}, BlockDeviceMappings: []types.InstanceBlockDeviceMapping{},
		PrivateDnsName: aws.String(""), PublicDnsName: aws.String(""),
	}
	if i.ReasonCode != "" {
		out.StateReason = &types.StateReason{Code: aws.String(i.ReasonCode), Message: aws.String(i.Reason)}
	}
	out.Placement.HostId, out.Placement.Affinity = optional(i.Host), optional(i.affinity())
	if i.Profile != nil {
		out.IamInstanceProfile = &types.IamInstanceProfile{Arn: aws.String(i.Profile.ARN), Id: aws.String(i.Profile.ID)}
	}
	if group, err := placementGroups.see(t, i.PlacementGroup); err != nil {
		return out, err
	} else if group != nil {
		out.Placement.GroupName, out.Placement.GroupId = aws.String(group.Name), aws.String(group.ID)
		if i.Partition > 0 {
			out.Placement.PartitionNumber = aws.Int32(i.Partition)
		}
	}
	reservation, err := reservationOf(t, i)
	if err != nil {
		return out, err
	}
	out.CapacityReservationId = optional(reservation)
	if i.State == stateTerminated {
		return out, nil
	}
	out.BlockDeviceMappings = append(out.BlockDeviceMappings, types.InstanceBlockDeviceMapping{
		DeviceName: aws.String(i.RootDevice),
		Ebs: &types.EbsInstanceBlockDevice{
			VolumeId: aws.String(i.RootVolume.ID), Status: types.AttachmentStatusAttached,
			AttachTime: aws.Time(i.RootVolume.At.Truncate(time.Second)), DeleteOnTermination: aws.Bool(i.RootVolume.DeleteOnEnd), Operator: &types.OperatorResponse{Managed: aws.Bool(false)},
		},
	})
	return out, showNetwork(t, i, wired, &out)
}

func cpuOptionsOf(i *instance) *types.CpuOptions {
	typ, ok := instanceTypes().findCached(string(i.Type))
	if !ok {
		return nil
	}
	if i.Cores > 0 {
		return &types.CpuOptions{CoreCount: aws.Int32(i.Cores), ThreadsPerCore: aws.Int32(i.Threads)}
	}
	return &types.CpuOptions{CoreCount: typ.VCpuInfo.DefaultCores, ThreadsPerCore: typ.VCpuInfo.DefaultThreadsPerCore}
}

// showNetwork fills in what the interfaces say.
func showNetwork(t tx, i *instance, wired []*networkInterface, out *types.Instance) error {
	out.VpcId, out.SubnetId, out.PrivateIpAddress = optional(i.VPC), optional(i.Subnet), optional(i.PrivateIP)
	out.PrivateDnsName = aws.String(instancePrivateName(t, i))
	out.PrivateDnsNameOptions = i.Names.toAPI()
	for _, e := range wired {
		shown, err := interfaceToAPI(t, e)
		if err != nil {
			return err
		}
		out.NetworkInterfaces = append(out.NetworkInterfaces, instanceInterface(shown))
		if e.Attachment.DeviceIndex != 0 {
			continue
		}
		out.SecurityGroups, out.SourceDestCheck = shown.Groups, aws.Bool(e.SourceDestCheck)
		if a := shown.Association; a != nil {
			out.PublicIpAddress, out.PublicDnsName = a.PublicIp, a.PublicDnsName
		}
		if len(e.IPv6) > 0 {
			out.Ipv6Address = aws.String(e.IPv6[0])
		}
	}
	return nil
}

// instanceInterface is an interface as DescribeInstances shows it.
func instanceInterface(e types.NetworkInterface) types.InstanceNetworkInterface {
	out := types.InstanceNetworkInterface{
		NetworkInterfaceId: e.NetworkInterfaceId, Description: e.Description, Groups: e.Groups, MacAddress: e.MacAddress, OwnerId: e.OwnerId,
		InterfaceType: aws.String(string(e.InterfaceType)), PrivateDnsName: e.PrivateDnsName, PrivateIpAddress: e.PrivateIpAddress,
		SourceDestCheck: e.SourceDestCheck, Status: e.Status, SubnetId: e.SubnetId, VpcId: e.VpcId,
		Operator: &types.OperatorResponse{Managed: aws.Bool(false)}, Ipv6Addresses: []types.InstanceIpv6Address{}, PrivateIpAddresses: []types.InstancePrivateIpAddress{},
	}
	association := func(a *types.NetworkInterfaceAssociation) *types.InstanceNetworkInterfaceAssociation {
		if a == nil {
			return nil
		}
		return &types.InstanceNetworkInterfaceAssociation{IpOwnerId: a.IpOwnerId, PublicDnsName: a.PublicDnsName, PublicIp: a.PublicIp}
	}
	out.Association = association(e.Association)
	for _, a := range e.PrivateIpAddresses {
		out.PrivateIpAddresses = append(out.PrivateIpAddresses, types.InstancePrivateIpAddress{
			PrivateIpAddress: a.PrivateIpAddress, PrivateDnsName: a.PrivateDnsName, Primary: a.Primary, Association: association(a.Association),
		})
	}
	for _, a := range e.Ipv6Addresses {
		out.Ipv6Addresses = append(out.Ipv6Addresses, types.InstanceIpv6Address{Ipv6Address: a.Ipv6Address})
	}
	if a := e.Attachment; a != nil {
		out.Attachment = &types.InstanceNetworkInterfaceAttachment{
			AttachmentId: a.AttachmentId, AttachTime: a.AttachTime, DeleteOnTermination: a.DeleteOnTermination,
			DeviceIndex: a.DeviceIndex, Status: a.Status, NetworkCardIndex: aws.Int32(0),
		}
	}
	return out
}

// consoleLimit is how much of the console is shown. AWS: "GetConsoleOutput": the most recent 64 KB.
const consoleLimit = 64 << 10

// GetConsoleOutput answers what the instance printed: init, user data and what they started.
func (s *Service) GetConsoleOutput(ctx context.Context, in *ec2.GetConsoleOutputInput) (*ec2.GetConsoleOutputOutput, error) {
	out := &ec2.GetConsoleOutputOutput{InstanceId: in.InstanceId, Timestamp: aws.Time(time.Now().UTC().Truncate(time.Second))}
	err := s.view(ctx, func(t tx) error {
		_, err := instances.get(t, *in.InstanceId)
		return err
	})
	if err != nil {
		return nil, err
	}
	var console strings.Builder
	if err := s.readConsole(ctx, *in.InstanceId, &console); err != nil {
		return nil, err
	}
	out.Output = aws.String(encodeBase64(console.String()))
	return out, nil
}

// GetConsoleScreenshot answers a picture of what the console shows now. WakeUp presses a key for screens that went dark;
// here none does. AWS: "GetConsoleScreenshot": of a running instance; the page names no error for others, the code is that
// of "Error codes for the Amazon EC2 API".
func (s *Service) GetConsoleScreenshot(ctx context.Context, in *ec2.GetConsoleScreenshotInput) (*ec2.GetConsoleScreenshotOutput, error) {
	err := s.view(ctx, func(t tx) error {
		inst, err := instances.get(t, *in.InstanceId)
		if err == nil && inst.State != stateRunning {
			err = errIncorrectInstanceState(inst)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if s.config.EngineSimulated {
		return nil, errUnsupportedOperation("Screenshots are not supported for the instance '%s': it is simulated and shows nothing.", *in.InstanceId)
	}
	var printed bytes.Buffer
	if err := s.readConsole(ctx, *in.InstanceId, &printed); err != nil {
		return nil, err
	}
	var picture bytes.Buffer
	if err := screen.Draw(&picture, printed.Bytes()); err != nil {
		return nil, err
	}
	return &ec2.GetConsoleScreenshotOutput{InstanceId: in.InstanceId, ImageData: aws.String(encodeBase64(picture.String()))}, nil
}
