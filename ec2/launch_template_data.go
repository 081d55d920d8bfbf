package ec2

import (
	"context"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// GetLaunchTemplateData answers an instance's configuration as a launch template's data, so that more of its kind can be
// launched.
func (s *Service) GetLaunchTemplateData(ctx context.Context, in *ec2.GetLaunchTemplateDataInput) (*ec2.GetLaunchTemplateDataOutput, error) {
	out := &ec2.GetLaunchTemplateDataOutput{}
	return out, s.view(ctx, func(t tx) error {
		i, err := instances.read(t, *in.InstanceId)
		if err != nil {
			return err
		}
		if i.State == stateTerminated || i.State == stateShuttingDown {
			return errIncorrectInstanceState(i)
		}
		shown, err := s.instanceToAPI(t, i)
		if err != nil {
			return err
		}
		data := templateDataOf(i, &shown)
		stored, err := userDatas.In(t, t.scope).Find(i.ID)
		if stored != nil {
			data.UserData = aws.String(encodeBase64(string(stored.Data)))
		}
		out.LaunchTemplateData = data
		return err
	})
}

func templateDataOf(i *instance, shown *types.Instance) *types.ResponseLaunchTemplateData {
	capacity := i.CapacityOptions.toAPI()
	data := &types.ResponseLaunchTemplateData{
		ImageId: shown.ImageId, InstanceType: i.Type, KeyName: shown.KeyName, EbsOptimized: shown.EbsOptimized,
		Monitoring:            &types.LaunchTemplatesMonitoring{Enabled: aws.Bool(i.Monitoring)},
		DisableApiStop:        aws.Bool(i.KeepFromStop),
		DisableApiTermination: aws.Bool(i.KeepFromEnd),
		Placement: &types.LaunchTemplatePlacement{
			AvailabilityZone: shown.Placement.AvailabilityZone, AvailabilityZoneId: shown.Placement.AvailabilityZoneId, GroupName: shown.Placement.GroupName, GroupId: shown.Placement.GroupId,
			Tenancy: shown.Placement.Tenancy, HostId: shown.Placement.HostId, Affinity: shown.Placement.Affinity, PartitionNumber: shown.Placement.PartitionNumber,
		},
		InstanceInitiatedShutdownBehavior: i.Shutdown,
		HibernationOptions:                &types.LaunchTemplateHibernationOptions{Configured: aws.Bool(false)},
		EnclaveOptions:                    &types.LaunchTemplateEnclaveOptions{Enabled: aws.Bool(false)},
		CapacityReservationSpecification: &types.LaunchTemplateCapacityReservationSpecificationResponse{
			CapacityReservationPreference: capacity.CapacityReservationPreference, CapacityReservationTarget: capacity.CapacityReservationTarget,
		},
		MetadataOptions: &types.LaunchTemplateInstanceMetadataOptions{
			HttpEndpoint: types.LaunchTemplateInstanceMetadataEndpointState(i.Metadata.Endpoint), HttpPutResponseHopLimit: aws.Int32(i.Metadata.HopLimit),
			HttpTokens: types.LaunchTemplateHttpTokensState(i.Metadata.Tokens), HttpProtocolIpv6: types.LaunchTemplateInstanceMetadataProtocolIpv6(i.Metadata.IPv6),
			InstanceMetadataTags: types.LaunchTemplateInstanceMetadataTagsState(i.Metadata.Tags), State: types.LaunchTemplateInstanceMetadataOptionsStateApplied,
		},
		MaintenanceOptions: &types.LaunchTemplateInstanceMaintenanceOptions{
			AutoRecovery: types.LaunchTemplateAutoRecoveryState(named(i.NoAutoRecovery, "disabled", "default")[0]),
		},
		PrivateDnsNameOptions: &types.LaunchTemplatePrivateDnsNameOptions{
			HostnameType: i.Names.toAPI().HostnameType, EnableResourceNameDnsARecord: aws.Bool(i.Names.A), EnableResourceNameDnsAAAARecord: aws.Bool(i.Names.AAAA),
		},
	}
	if o := shown.CpuOptions; o != nil {
		data.CpuOptions = &types.LaunchTemplateCpuOptions{CoreCount: o.CoreCount, ThreadsPerCore: o.ThreadsPerCore}
	}
	if p := i.Profile; p != nil {
		data.IamInstanceProfile = &types.LaunchTemplateIamInstanceProfileSpecification{Arn: aws.String(p.ARN)}
	}
	if i.Credit != "" {
		data.CreditSpecification = &types.CreditSpecification{CpuCredits: aws.String(i.Credit)}
	}
	for _, m := range shown.BlockDeviceMappings {
		ebs := &types.LaunchTemplateEbsBlockDevice{DeleteOnTermination: m.Ebs.DeleteOnTermination, VolumeSize: aws.Int32(i.RootVolume.GiB), VolumeType: i.RootVolume.Type}
		if iops := i.RootVolume.IOPS; iops > 0 {
			ebs.Iops = aws.Int32(iops)
		}
		if throughput := i.RootVolume.Throughput; throughput > 0 {
			ebs.Throughput = aws.Int32(throughput)
		}
		data.BlockDeviceMappings = append(data.BlockDeviceMappings, types.LaunchTemplateBlockDeviceMapping{DeviceName: m.DeviceName, Ebs: ebs})
	}
	for _, e := range shown.NetworkInterfaces {
		data.NetworkInterfaces = append(data.NetworkInterfaces, templateInterface(e))
	}
	var tags []types.Tag
	for _, tag := range shown.Tags {
		if !strings.HasPrefix(aws.ToString(tag.Key), systemPrefix) {
			tags = append(tags, tag)
		}
	}
	if len(tags) > 0 {
		data.TagSpecifications = []types.LaunchTemplateTagSpecification{{ResourceType: types.ResourceTypeInstance, Tags: tags}}
	}
	return data
}

func templateInterface(e types.InstanceNetworkInterface) types.LaunchTemplateInstanceNetworkInterfaceSpecification {
	out := types.LaunchTemplateInstanceNetworkInterfaceSpecification{
		Description: e.Description, NetworkInterfaceId: e.NetworkInterfaceId, SubnetId: e.SubnetId, PrivateIpAddress: e.PrivateIpAddress, InterfaceType: e.InterfaceType,
		PrivateIpAddresses: []types.PrivateIpAddressSpecification{}, Ipv6Addresses: e.Ipv6Addresses, Groups: []string{},
	}
	if a := e.Attachment; a != nil {
		out.DeleteOnTermination, out.DeviceIndex, out.NetworkCardIndex = a.DeleteOnTermination, a.DeviceIndex, a.NetworkCardIndex
	}
	if e.Association != nil {
		out.AssociatePublicIpAddress = aws.Bool(true)
	}
	if len(e.Ipv6Addresses) > 0 && aws.ToBool(e.Ipv6Addresses[0].IsPrimaryIpv6) {
		out.PrimaryIpv6 = aws.Bool(true)
	}
	for _, p := range e.Ipv4Prefixes {
		out.Ipv4Prefixes = append(out.Ipv4Prefixes, types.Ipv4PrefixSpecificationResponse{Ipv4Prefix: p.Ipv4Prefix})
	}
	for _, p := range e.Ipv6Prefixes {
		out.Ipv6Prefixes = append(out.Ipv6Prefixes, types.Ipv6PrefixSpecificationResponse{Ipv6Prefix: p.Ipv6Prefix})
	}
	for _, g := range e.Groups {
		out.Groups = append(out.Groups, aws.ToString(g.GroupId))
	}
	for _, a := range e.PrivateIpAddresses {
		out.PrivateIpAddresses = append(out.PrivateIpAddresses, types.PrivateIpAddressSpecification{Primary: a.Primary, PrivateIpAddress: a.PrivateIpAddress})
	}
	return out
}
