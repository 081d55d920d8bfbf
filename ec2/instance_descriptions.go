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
		slices.SortFunc(list, positions)
		wired, err := seenInterfacesOfAll(t, list)
		if err != nil {
			return err
		}
		for len(list) > 0 {
			n := slices.IndexFunc(list, func(i *instance) bool { return i.Reservation != list[0].Reservation })
			if n < 0 {
				n = len(list)
			}
			shown := make([]types.Instance, n)
			for i := range n {
				if shown[i], err = s.instanceWith(t, list[i], wired[list[i].ID]); err != nil {
					return err
				}
			}
			out.Reservations = append(out.Reservations, types.Reservation{
				ReservationId: t.text(list[0].Reservation), OwnerId: t.text(t.scope.Account), Groups: []types.GroupIdentifier{}, Instances: shown,
			})
			list = list[n:]
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

// instanceParts are what an answered instance points to, allocated together.
type instanceParts struct {
	monitoring  types.Monitoring
	placement   types.Placement
	hibernation types.HibernationOptions
	enclave     types.EnclaveOptions
	maintenance types.InstanceMaintenanceOptions
	performance types.InstanceNetworkPerformanceOptions
	operator    types.OperatorResponse
	root        types.EbsInstanceBlockDevice
}

// instanceWith is the instance with its interfaces, in their order.
func (s *Service) instanceWith(t tx, i *instance, wired []*networkInterface) (types.Instance, error) {
	no := t.flag(false)
	parts := &instanceParts{
		monitoring: types.Monitoring{State: types.MonitoringStateDisabled},
		placement: types.Placement{
			AvailabilityZone: t.text(i.Zone), AvailabilityZoneId: t.text(i.ZoneID), GroupName: t.text(""), Tenancy: types.Tenancy(i.Tenancy),
			HostId: t.optional(i.Host), Affinity: t.optional(i.affinity()),
		},
		hibernation: types.HibernationOptions{Configured: no}, enclave: types.EnclaveOptions{Enabled: no}, operator: types.OperatorResponse{Managed: no},
		maintenance: types.InstanceMaintenanceOptions{AutoRecovery: types.InstanceAutoRecoveryStateDefault, RebootMigration: types.InstanceRebootMigrationStateDefault},
		performance: types.InstanceNetworkPerformanceOptions{BandwidthWeighting: types.InstanceBandwidthWeightingDefault},
	}
	if i.Monitoring {
		parts.monitoring.State = types.MonitoringStateEnabled
	}
	if i.NoAutoRecovery {
		parts.maintenance.AutoRecovery = types.InstanceAutoRecoveryStateDisabled
	}
	out := types.Instance{
		InstanceId: t.text(i.ID), ImageId: t.text(i.ImageID), AmiLaunchIndex: t.number(i.Index), State: stateToAPI(i.State),
		Architecture: types.ArchitectureValues(i.Architecture), InstanceType: i.Type, LaunchTime: t.time(i.Launched.Truncate(time.Second)),
		StateTransitionReason: t.text(i.Transition), ClientToken: t.text(i.Token), KeyName: t.optional(i.KeyName),
		Monitoring: &parts.monitoring, Placement: &parts.placement, EbsOptimized: t.flag(i.EBSOptimized), EnaSupport: t.flag(true), Hypervisor: types.HypervisorTypeXen,
		VirtualizationType: types.VirtualizationTypeHvm, RootDeviceName: t.text(i.RootDevice), RootDeviceType: types.DeviceTypeEbs,
		CpuOptions: cpuOptionsOf(i), MetadataOptions: i.Metadata.toAPI(i.State), InstanceLifecycle: types.InstanceLifecycleType(i.Lifecycle),
		SpotInstanceRequestId: t.optional(i.SpotRequest), PlatformDetails: t.text("Linux/UNIX"), UsageOperation: t.text("RunInstances"),
		UsageOperationUpdateTime: t.time(i.RootVolume.At.Truncate(time.Second)), CurrentInstanceBootMode: types.InstanceBootModeValuesLegacyBios,
		HibernationOptions: &parts.hibernation, EnclaveOptions: &parts.enclave, CapacityReservationSpecification: i.CapacityOptions.toAPI(),
		MaintenanceOptions: &parts.maintenance, NetworkPerformanceOptions: &parts.performance, Operator: &parts.operator,
		Tags: s.shownInstanceTags(t, i), ProductCodes: []types.ProductCode{}, SecurityGroups: []types.GroupIdentifier{},
		NetworkInterfaces: []types.InstanceNetworkInterface{}, BlockDeviceMappings: []types.InstanceBlockDeviceMapping{},
		PrivateDnsName: t.text(""), PublicDnsName: t.text(""),
	}
	if t.hosts != nil {
		out.Tags = withHostEndpoints(t, out.Tags, publicOf(wired)...)
	}
	if i.ReasonCode != "" {
		out.StateReason = &types.StateReason{Code: t.text(i.ReasonCode), Message: t.text(i.Reason)}
	}
	if i.Profile != nil {
		out.IamInstanceProfile = &types.IamInstanceProfile{Arn: t.text(i.Profile.ARN), Id: t.text(i.Profile.ID)}
	}
	if group, err := placementGroups.see(t, i.PlacementGroup); err != nil {
		return out, err
	} else if group != nil {
		out.Placement.GroupName, out.Placement.GroupId = t.text(group.Name), t.text(group.ID)
		if i.Partition > 0 {
			out.Placement.PartitionNumber = t.number(i.Partition)
		}
	}
	reservation, err := reservationOf(t, i)
	if err != nil {
		return out, err
	}
	out.CapacityReservationId = t.optional(reservation)
	if i.State == stateTerminated {
		return out, nil
	}
	parts.root = types.EbsInstanceBlockDevice{
		VolumeId: t.text(i.RootVolume.ID), Status: types.AttachmentStatusAttached, AttachTime: out.UsageOperationUpdateTime,
		DeleteOnTermination: t.flag(i.RootVolume.DeleteOnEnd), Operator: &parts.operator,
	}
	out.BlockDeviceMappings = []types.InstanceBlockDeviceMapping{{DeviceName: out.RootDeviceName, Ebs: &parts.root}}
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
	out.VpcId, out.SubnetId, out.PrivateIpAddress = t.optional(i.VPC), t.optional(i.Subnet), t.optional(i.PrivateIP)
	out.PrivateDnsName = t.text(instancePrivateName(t, i))
	out.PrivateDnsNameOptions = i.Names.toAPI()
	out.NetworkInterfaces = make([]types.InstanceNetworkInterface, 0, len(wired))
	for _, e := range wired {
		shown, err := instanceInterface(t, e)
		if err != nil {
			return err
		}
		out.NetworkInterfaces = append(out.NetworkInterfaces, shown)
		if e.Attachment.DeviceIndex != 0 {
			continue
		}
		out.SecurityGroups, out.SourceDestCheck = shown.Groups, shown.SourceDestCheck
		if a := shown.Association; a != nil {
			out.PublicIpAddress, out.PublicDnsName = a.PublicIp, a.PublicDnsName
		}
		if len(e.IPv6) > 0 {
			out.Ipv6Address = t.text(e.IPv6[0])
		}
	}
	return nil
}

// instanceInterface is an interface as DescribeInstances shows it.
func instanceInterface(t tx, e *networkInterface) (types.InstanceNetworkInterface, error) {
	groups, err := groupsToAPI(t, e.Groups)
	out := types.InstanceNetworkInterface{
		NetworkInterfaceId: t.text(e.ID), Description: t.text(e.Description), Groups: groups, MacAddress: t.text(e.MAC), OwnerId: t.text(t.scope.Account),
		InterfaceType: t.text(string(e.Type)), PrivateDnsName: t.text(privateName(t, e.private())), PrivateIpAddress: t.text(e.private()),
		SourceDestCheck: t.flag(e.SourceDestCheck), Status: e.status(), SubnetId: t.text(e.Subnet), VpcId: t.text(e.VPC),
		Operator:      &types.OperatorResponse{Managed: t.flag(false)},
		Ipv6Addresses: []types.InstanceIpv6Address{}, PrivateIpAddresses: make([]types.InstancePrivateIpAddress, 0, len(e.Addresses)),
	}
	for i, a := range e.Addresses {
		shown := types.InstancePrivateIpAddress{PrivateIpAddress: t.text(a.Private), PrivateDnsName: out.PrivateDnsName, Primary: t.flag(i == 0)}
		if a.Public != "" {
			shown.Association = &types.InstanceNetworkInterfaceAssociation{
				IpOwnerId: t.text(a.owner(t)), PublicDnsName: t.text(publicName(t, e.VPC, a.Public)), PublicIp: t.text(a.Public),
			}
		}
		if i == 0 {
			out.Association = shown.Association
		} else {
			shown.PrivateDnsName = t.text(privateName(t, a.Private))
		}
		out.PrivateIpAddresses = append(out.PrivateIpAddresses, shown)
	}
	for i, address := range e.IPv6 {
		out.Ipv6Addresses = append(out.Ipv6Addresses, types.InstanceIpv6Address{Ipv6Address: t.text(address), IsPrimaryIpv6: t.flag(i == 0 && e.PrimaryIPv6)})
	}
	for _, prefix := range e.Prefixes {
		out.Ipv4Prefixes = append(out.Ipv4Prefixes, types.InstanceIpv4Prefix{Ipv4Prefix: t.text(prefix)})
	}
	for _, prefix := range e.IPv6Prefixes {
		out.Ipv6Prefixes = append(out.Ipv6Prefixes, types.InstanceIpv6Prefix{Ipv6Prefix: t.text(prefix)})
	}
	if a := e.Attachment; a != nil {
		out.Attachment = &types.InstanceNetworkInterfaceAttachment{
			AttachmentId: t.text(a.ID), AttachTime: t.time(a.AttachTime), DeleteOnTermination: t.flag(a.DeleteOnTermination),
			DeviceIndex: t.number(a.DeviceIndex), Status: a.Status, NetworkCardIndex: t.number(0),
		}
	}
	return out, err
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
