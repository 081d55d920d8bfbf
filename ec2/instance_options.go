package ec2

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// editStopped changes an instance that is stopped.
func (s *Service) editStopped(ctx context.Context, id string, change func(tx, *instance) error) error {
	return s.editInstance(ctx, id, func(t tx, i *instance) error {
		if i.State != stateStopped {
			return errNotStopped(i)
		}
		return change(t, i)
	})
}

// ModifyInstancePlacement moves a stopped instance to another placement group, Dedicated Host or tenancy.
// AWS: "ModifyInstancePlacement": at least one of affinity, group, host and tenancy.
func (s *Service) ModifyInstancePlacement(ctx context.Context, in *ec2.ModifyInstancePlacementInput) (*ec2.ModifyInstancePlacementOutput, error) {
	if err := unsupported("ModifyInstancePlacement", "HostResourceGroupArn", in.HostResourceGroupArn); err != nil {
		return nil, err
	}
	switch {
	case in.Affinity == "" && in.GroupName == nil && in.GroupId == nil && in.HostId == nil && in.Tenancy == "" && in.PartitionNumber == nil:
		return nil, errMissingParameter("affinity, groupName, hostId or tenancy")
	case in.Tenancy != "" && !slices.Contains(in.Tenancy.Values(), in.Tenancy):
		return nil, errInvalidParameterValue("Value (%s) for parameter tenancy is invalid.", in.Tenancy)
	case in.Affinity != "" && !slices.Contains(in.Affinity.Values(), in.Affinity):
		return nil, errInvalidParameterValue("Value (%s) for parameter affinity is invalid.", in.Affinity)
	case in.HostId != nil && in.Tenancy != "" && in.Tenancy != types.HostTenancyHost:
		return nil, errInvalidParameterCombination("The parameter HostId requires the tenancy host.")
	}
	return &ec2.ModifyInstancePlacementOutput{Return: aws.Bool(true)}, s.editStopped(ctx, *in.InstanceId, func(t tx, i *instance) error {
		if in.GroupName != nil || in.GroupId != nil || in.PartitionNumber != nil {
			if err := regroup(t, i, in); err != nil {
				return err
			}
		}
		return rehost(t, i, in)
	})
}

// regroup gives an instance another placement group, or with an empty name none.
func regroup(t tx, i *instance, in *ec2.ModifyInstancePlacementInput) error {
	wanted := &types.Placement{GroupName: in.GroupName, GroupId: in.GroupId, PartitionNumber: in.PartitionNumber}
	if in.GroupName == nil && in.GroupId == nil {
		wanted.GroupId = aws.String(i.PlacementGroup) // another partition of its group
	}
	had := i.PlacementGroup
	i.PlacementGroup, i.Partition = "", 0
	if err := instances.put(t, i); err != nil { // it takes no room in the group that it leaves
		return err
	}
	group, partition, err := placementOf(t, wanted, 1)
	if err != nil {
		return err
	}
	i.PlacementGroup, i.Partition = group, partition
	if had != "" && group == had && in.PartitionNumber == nil {
		return errInvalidParameterValue("The instance '%s' is in this placement group already.", i.ID)
	}
	return nil
}

// rehost gives an instance another tenancy, or another Dedicated Host for its next start.
func rehost(t tx, i *instance, in *ec2.ModifyInstancePlacementInput) error {
	tenancy := string(in.Tenancy)
	if in.HostId != nil {
		tenancy = string(types.TenancyHost)
	}
	if tenancy == "" {
		tenancy = i.Tenancy
	}
	if tenancy != string(types.TenancyHost) {
		if in.Affinity != "" && in.Affinity != types.AffinityDefault {
			return errInvalidParameterCombination("The parameter affinity requires the tenancy host.")
		}
		i.Tenancy, i.Host, i.Bound = tenancy, "", ""
		return nil
	}
	i.Tenancy = tenancy
	if in.HostId != nil {
		if err := placeOnHost(t, i, *in.HostId); err != nil {
			return err
		}
		i.Bound = i.Host
	}
	switch in.Affinity {
	case types.AffinityHost:
		if i.Host == "" {
			return errMissingParameter("hostId")
		}
		i.Bound = i.Host
	case types.AffinityDefault:
		i.Bound = ""
	}
	return nil
}

// ModifyInstanceCpuOptions gives a stopped instance other CPU options; its limits change when it starts.
func (s *Service) ModifyInstanceCpuOptions(ctx context.Context, in *ec2.ModifyInstanceCpuOptionsInput) (*ec2.ModifyInstanceCpuOptionsOutput, error) {
	if in.NestedVirtualization == types.NestedVirtualizationSpecificationEnabled {
		return nil, errUnsupported("Nested virtualization is not supported.")
	}
	if in.CoreCount == nil && in.ThreadsPerCore == nil {
		return nil, errMissingParameter("coreCount")
	}
	out := &ec2.ModifyInstanceCpuOptionsOutput{InstanceId: in.InstanceId}
	return out, s.editInstance(ctx, *in.InstanceId, func(_ tx, i *instance) error {
		if i.State != stateStopped {
			return errNotAllowedState(i)
		}
		typ, ok := instanceTypes().findCached(string(i.Type))
		if !ok {
			return errInvalidParameterValue("Invalid value '%s' for InstanceType.", i.Type)
		}
		cores, threads, err := checkCPUOptions(typ, &types.CpuOptionsRequest{CoreCount: in.CoreCount, ThreadsPerCore: in.ThreadsPerCore})
		if err != nil {
			return err
		}
		i.Cores, i.Threads = cores, threads
		out.CoreCount, out.ThreadsPerCore = aws.Int32(cores), aws.Int32(threads)
		return nil
	})
}

// nameOptions are those of an instance's private names.
// AWS: "Amazon EC2 instance hostname types".
type nameOptions struct {
	// Type is "" for ip-name, or "resource-name".
	Type types.HostnameType `json:",omitempty"`
	// A and AAAA tell that the name made of the instance's id answers with its addresses.
	A    bool `json:",omitempty"`
	AAAA bool `json:",omitempty"`
}

// namesOf are the options of a launch: the call's, and where that says nothing the subnet's.
func namesOf(in *types.PrivateDnsNameOptionsRequest, n *subnet) nameOptions {
	o := nameOptions{Type: n.HostnameType, A: n.NameDNSA, AAAA: n.NameDNSAAAA}
	if in != nil {
		o.Type = cmp.Or(in.HostnameType, o.Type)
		if in.EnableResourceNameDnsARecord != nil {
			o.A = *in.EnableResourceNameDnsARecord
		}
		if in.EnableResourceNameDnsAAAARecord != nil {
			o.AAAA = *in.EnableResourceNameDnsAAAARecord
		}
	}
	if o.Type == types.HostnameTypeIpName {
		o.Type = ""
	}
	return o
}

func (o nameOptions) toAPI() *types.PrivateDnsNameOptionsResponse {
	return &types.PrivateDnsNameOptionsResponse{
		HostnameType:                 cmp.Or(o.Type, types.HostnameTypeIpName),
		EnableResourceNameDnsARecord: aws.Bool(o.A), EnableResourceNameDnsAAAARecord: aws.Bool(o.AAAA),
	}
}

// ModifyPrivateDnsNameOptions changes the private names of an instance: what they are made of while it is stopped, what they
// answer at any time. The host name inside is that of the first boot.
func (s *Service) ModifyPrivateDnsNameOptions(ctx context.Context, in *ec2.ModifyPrivateDnsNameOptionsInput) (*ec2.ModifyPrivateDnsNameOptionsOutput, error) {
	if in.PrivateDnsHostnameType != "" && !slices.Contains(in.PrivateDnsHostnameType.Values(), in.PrivateDnsHostnameType) {
		return nil, errInvalidParameterValue("Value (%s) for parameter privateDnsHostnameType is invalid.", in.PrivateDnsHostnameType)
	}
	return &ec2.ModifyPrivateDnsNameOptionsOutput{Return: aws.Bool(true)}, s.editInstance(ctx, *in.InstanceId, func(t tx, i *instance) error {
		had := i.Names
		i.Names = namesOf(&types.PrivateDnsNameOptionsRequest{
			HostnameType: in.PrivateDnsHostnameType, EnableResourceNameDnsARecord: in.EnableResourceNameDnsARecord, EnableResourceNameDnsAAAARecord: in.EnableResourceNameDnsAAAARecord,
		}, &subnet{HostnameType: had.Type, NameDNSA: had.A, NameDNSAAAA: had.AAAA})
		if i.Names.Type != had.Type && i.State != stateStopped {
			// The words are those that Terraform's provider for AWS quotes beside its test.
			return errInvalidParameterValue("Cannot modify hostname-type for running instances")
		}
		return wantNetwork(t, i.VPC)
	})
}

// GetPasswordData answers no password: instances of Linux have none. AWS: "GetPasswordData": it is for Windows.
func (s *Service) GetPasswordData(ctx context.Context, in *ec2.GetPasswordDataInput) (*ec2.GetPasswordDataOutput, error) {
	err := s.view(ctx, func(t tx) error {
		_, err := instances.read(t, *in.InstanceId)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &ec2.GetPasswordDataOutput{InstanceId: in.InstanceId, PasswordData: aws.String(""), Timestamp: aws.Time(time.Now().UTC().Truncate(time.Second))}, nil
}

// statusReport is what somebody said of an instance's status.
type statusReport struct {
	At          time.Time
	Status      types.ReportStatusType
	Reasons     []types.ReportInstanceReasonCodes
	Description string    `json:",omitempty"`
	From        time.Time `json:",omitzero"`
	To          time.Time `json:",omitzero"`
}

// maxReports bounds an instance's record.
const maxReports = 10

// ReportInstanceStatus writes down what the caller says of running instances; "mini-aws look" shows it. As in AWS it does not
// change what DescribeInstanceStatus answers.
func (s *Service) ReportInstanceStatus(ctx context.Context, in *ec2.ReportInstanceStatusInput) (*ec2.ReportInstanceStatusOutput, error) {
	if !slices.Contains(in.Status.Values(), in.Status) {
		return nil, errInvalidParameterValue("Value (%s) for parameter status is invalid.", in.Status)
	}
	for _, reason := range in.ReasonCodes {
		if !slices.Contains(reason.Values(), reason) {
			return nil, errInvalidParameterValue("Value (%s) for parameter reasonCode is invalid.", reason)
		}
	}
	if in.StartTime != nil && in.EndTime != nil && in.EndTime.Before(*in.StartTime) {
		return nil, errInvalidParameterValue("The end time is before the start time.")
	}
	return &ec2.ReportInstanceStatusOutput{}, s.update(ctx, func(t tx) error {
		found, err := namedInstances(t, in.Instances)
		if err != nil {
			return err
		}
		for _, i := range found {
			if i.State != stateRunning {
				return errIncorrectInstanceState(i)
			}
			made := statusReport{At: t.Now(), Status: in.Status, Reasons: in.ReasonCodes, From: aws.ToTime(in.StartTime), To: aws.ToTime(in.EndTime)}
			made.Description = clip(aws.ToString(in.Description), maxDescription) //nolint:staticcheck // deprecated, and still taken
			i.Reports = append(i.Reports, made)
			i.Reports = i.Reports[max(0, len(i.Reports)-maxReports):]
			if err := instances.put(t, i); err != nil {
				return err
			}
		}
		return nil
	})
}

func clip(text string, most int) string { return text[:min(len(text), most)] }
