package ec2

import (
	"context"
	"net/netip"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// EC2-Classic has been retired. What is left of it are switches of VPCs, which are kept for those who ask, and operations
// on instances and addresses outside of VPCs, of which there are none.

// classicRange is EC2-Classic's own; classicFree are the VPC ranges in it that may be linked all the same.
// AWS: "EnableVpcClassicLink" in the API reference.
var (
	classicRange = netip.MustParsePrefix("10.0.0.0/8")
	classicFree  = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/16"), netip.MustParsePrefix("10.1.0.0/16")}
)

// classicConflict tells whether the VPC, or a route of it, is in EC2-Classic's range.
func classicConflict(t tx, v *vpc) (bool, error) {
	conflicts := func(prefix netip.Prefix) bool {
		return prefix.Addr().Is4() && prefix.Bits() > 0 && prefix.Overlaps(classicRange) && !covers(classicFree[0], prefix) && !covers(classicFree[1], prefix)
	}
	for _, own := range v.ranges() {
		if conflicts(own) {
			return true, nil
		}
	}
	tables, err := routeTables.by(t, "vpc", v.ID)
	for _, table := range tables {
		for _, r := range table.Routes {
			if prefix, err := netip.ParsePrefix(r.Destination); err == nil && prefix.Bits() > 0 && prefix.Addr().Is4() && prefix.Overlaps(classicRange) {
				return true, nil
			}
		}
	}
	return false, err
}

// EnableVpcClassicLink switches ClassicLink on for a VPC whose ranges and routes leave EC2-Classic's own free.
func (s *Service) EnableVpcClassicLink(ctx context.Context, in *ec2.EnableVpcClassicLinkInput) (*ec2.EnableVpcClassicLinkOutput, error) {
	out := &ec2.EnableVpcClassicLinkOutput{}
	return out, s.update(ctx, func(t tx) error {
		return vpcs.edit(t, aws.ToString(in.VpcId), func(v *vpc) error {
			conflict, err := classicConflict(t, v)
			out.Return = aws.Bool(!conflict)
			v.ClassicLink = v.ClassicLink || !conflict
			return err
		})
	})
}

// DisableVpcClassicLink switches it off.
func (s *Service) DisableVpcClassicLink(ctx context.Context, in *ec2.DisableVpcClassicLinkInput) (*ec2.DisableVpcClassicLinkOutput, error) {
	return &ec2.DisableVpcClassicLinkOutput{Return: aws.Bool(true)}, s.editVPC(ctx, in.VpcId, func(v *vpc) { v.ClassicLink = false })
}

// EnableVpcClassicLinkDnsSupport switches names of linked instances on.
func (s *Service) EnableVpcClassicLinkDnsSupport(ctx context.Context, in *ec2.EnableVpcClassicLinkDnsSupportInput) (*ec2.EnableVpcClassicLinkDnsSupportOutput, error) {
	return &ec2.EnableVpcClassicLinkDnsSupportOutput{Return: aws.Bool(true)}, s.editVPC(ctx, in.VpcId, func(v *vpc) { v.ClassicLinkDNS = true })
}

// DisableVpcClassicLinkDnsSupport switches them off.
func (s *Service) DisableVpcClassicLinkDnsSupport(ctx context.Context, in *ec2.DisableVpcClassicLinkDnsSupportInput) (*ec2.DisableVpcClassicLinkDnsSupportOutput, error) {
	return &ec2.DisableVpcClassicLinkDnsSupportOutput{Return: aws.Bool(true)}, s.editVPC(ctx, in.VpcId, func(v *vpc) { v.ClassicLinkDNS = false })
}

func (s *Service) editVPC(ctx context.Context, id *string, change func(*vpc)) error {
	if aws.ToString(id) == "" {
		return errMissingParameter("VpcId")
	}
	return s.update(ctx, func(t tx) error {
		return vpcs.edit(t, *id, func(v *vpc) error {
			change(v)
			return nil
		})
	})
}

// DescribeVpcClassicLink lists VPCs with their switch.
func (s *Service) DescribeVpcClassicLink(ctx context.Context, in *ec2.DescribeVpcClassicLinkInput) (*ec2.DescribeVpcClassicLinkOutput, error) {
	linked := *vpcs
	linked.filters = filters[vpc]{"is-classic-link-enabled": func(_ tx, v *vpc) []string { return yesNo(v.ClassicLink) }}
	list, _, err := describe(ctx, s, &linked, query{ids: in.VpcIds, filters: in.Filters}, func(t tx, v *vpc) (types.VpcClassicLink, error) {
		return types.VpcClassicLink{VpcId: aws.String(v.ID), ClassicLinkEnabled: aws.Bool(v.ClassicLink), Tags: tagsToAPI(t, v.Tags)}, nil
	})
	return &ec2.DescribeVpcClassicLinkOutput{Vpcs: list}, err
}

// DescribeVpcClassicLinkDnsSupport lists VPCs with their switch of names.
func (s *Service) DescribeVpcClassicLinkDnsSupport(ctx context.Context, in *ec2.DescribeVpcClassicLinkDnsSupportInput) (*ec2.DescribeVpcClassicLinkDnsSupportOutput, error) {
	switched := *vpcs
	switched.pages = pageBounds{5, 255}
	list, next, err := describe(ctx, s, &switched, query{in.VpcIds, "vpcIds", nil, in.MaxResults, in.NextToken}, func(_ tx, v *vpc) (types.ClassicLinkDnsSupport, error) {
		return types.ClassicLinkDnsSupport{VpcId: aws.String(v.ID), ClassicLinkDnsSupported: aws.Bool(v.ClassicLinkDNS)}, nil
	})
	return &ec2.DescribeVpcClassicLinkDnsSupportOutput{Vpcs: list, NextToken: next}, err
}

// noneListed refuses what a list without entries is not to be asked for.
func noneListed(wanted []types.Filter, most *int32, token *string, known ...string) error {
	none := filters[resource]{}
	for _, name := range known {
		none[name] = func(tx, *resource) []string { return nil }
	}
	if _, err := none.compile(func(r *resource) *resource { return r }, wanted); err != nil {
		return err
	}
	_, _, err := cut([]resource{}, func(r resource) string { return r.ID }, "classic", pageBounds{5, 1000}, query{max: most, token: token})
	return err
}

// DescribeClassicLinkInstances lists linked instances: an instance of a VPC is none.
func (s *Service) DescribeClassicLinkInstances(ctx context.Context, in *ec2.DescribeClassicLinkInstancesInput) (*ec2.DescribeClassicLinkInstancesOutput, error) {
	if err := noneListed(in.Filters, in.MaxResults, in.NextToken, "group-id", "instance-id", "vpc-id"); err != nil {
		return nil, err
	}
	out := &ec2.DescribeClassicLinkInstancesOutput{Instances: []types.ClassicLinkInstance{}}
	return out, s.view(ctx, func(t tx) error {
		for _, id := range in.InstanceIds {
			if _, err := instances.get(t, id); err != nil {
				return err
			}
		}
		return nil
	})
}

// AttachClassicLinkVpc refuses: an instance of a VPC cannot be linked to one.
func (s *Service) AttachClassicLinkVpc(ctx context.Context, in *ec2.AttachClassicLinkVpcInput) (*ec2.AttachClassicLinkVpcOutput, error) {
	return nil, s.refuseClassic(ctx, in.InstanceId, in.VpcId)
}

// DetachClassicLinkVpc refuses likewise.
func (s *Service) DetachClassicLinkVpc(ctx context.Context, in *ec2.DetachClassicLinkVpcInput) (*ec2.DetachClassicLinkVpcOutput, error) {
	return nil, s.refuseClassic(ctx, in.InstanceId, in.VpcId)
}

func (s *Service) refuseClassic(ctx context.Context, instance, vpcID *string) error {
	return s.view(ctx, func(t tx) error {
		if _, err := vpcs.get(t, aws.ToString(vpcID)); err != nil {
			return err
		}
		i, err := instances.get(t, aws.ToString(instance))
		if err != nil {
			return err
		}
		return errInstanceNotLinkable(i.ID)
	})
}

// DescribeMovingAddresses lists addresses on their way between EC2-Classic and VPCs: there is no way any more.
func (s *Service) DescribeMovingAddresses(ctx context.Context, in *ec2.DescribeMovingAddressesInput) (*ec2.DescribeMovingAddressesOutput, error) {
	if err := noneListed(in.Filters, in.MaxResults, in.NextToken, "moving-status"); err != nil {
		return nil, err
	}
	out := &ec2.DescribeMovingAddressesOutput{MovingAddressStatuses: []types.MovingAddressStatus{}}
	return out, s.view(ctx, func(t tx) error {
		for _, public := range in.PublicIps {
			if _, err := elasticByPublic(t, public); err != nil {
				return err
			}
		}
		return nil
	})
}

// MoveAddressToVpc refuses: every address is a VPC's.
func (s *Service) MoveAddressToVpc(ctx context.Context, in *ec2.MoveAddressToVpcInput) (*ec2.MoveAddressToVpcOutput, error) {
	return nil, s.refuseMove(ctx, in.PublicIp)
}

// RestoreAddressToClassic refuses: there is no EC2-Classic.
func (s *Service) RestoreAddressToClassic(ctx context.Context, in *ec2.RestoreAddressToClassicInput) (*ec2.RestoreAddressToClassicOutput, error) {
	return nil, s.refuseMove(ctx, in.PublicIp)
}

func (s *Service) refuseMove(ctx context.Context, public *string) error {
	return s.view(ctx, func(t tx) error {
		if _, err := elasticByPublic(t, aws.ToString(public)); err != nil {
			return err
		}
		return errNoClassic()
	})
}
