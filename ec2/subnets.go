package ec2

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// subnet is a part of a VPC's range in one Availability Zone.
type subnet struct {
	resource
	VPC, Zone, ZoneID string
	CIDR              string
	IPv6              []rangeAssociation `json:",omitempty"` // at most one
	Default           bool               `json:",omitempty"` // of its zone
	// What new interfaces get.
	MapPublic    bool               `json:",omitempty"`
	AssignIPv6   bool               `json:",omitempty"`
	DNS64        bool               `json:",omitempty"`
	HostnameType types.HostnameType // of instances' private names
	NameDNSA     bool               `json:",omitempty"` // resource name has an A record
	NameDNSAAAA  bool               `json:",omitempty"`
}

func (n *subnet) vpc() string { return n.VPC }

func (n *subnet) prefix() netip.Prefix { return netip.MustParsePrefix(n.CIDR) }

func subnetBase(n *subnet) *resource { return &n.resource }

var subnets = &kind[subnet]{
	prefix: "subnet-", typ: types.ResourceTypeSubnet, base: subnetBase, notFound: errSubnetNotFound,
	table: tableOf("subnets", subnetBase, map[string]func(*subnet) []string{
		"vpc":         func(n *subnet) []string { return one(n.VPC) },
		"association": func(n *subnet) []string { return associationIDs(n.IPv6) },
	}),
	narrow: map[string]string{"vpc-id": "vpc"},
	filters: filters[subnet]{
		"availability-zone":       func(_ tx, n *subnet) []string { return one(n.Zone) },
		"availabilityZone":        func(_ tx, n *subnet) []string { return one(n.Zone) },
		"availability-zone-id":    func(_ tx, n *subnet) []string { return one(n.ZoneID) },
		"availabilityZoneId":      func(_ tx, n *subnet) []string { return one(n.ZoneID) },
		"cidr":                    func(_ tx, n *subnet) []string { return one(n.CIDR) },
		"cidr-block":              func(_ tx, n *subnet) []string { return one(n.CIDR) },
		"cidrBlock":               func(_ tx, n *subnet) []string { return one(n.CIDR) },
		"default-for-az":          func(_ tx, n *subnet) []string { return yesNo(n.Default) },
		"defaultForAz":            func(_ tx, n *subnet) []string { return yesNo(n.Default) },
		"enable-dns64":            func(_ tx, n *subnet) []string { return yesNo(n.DNS64) },
		"ipv6-native":             func(tx, *subnet) []string { return yesNo(false) },
		"map-public-ip-on-launch": func(_ tx, n *subnet) []string { return yesNo(n.MapPublic) },
		"outpost-arn":             func(tx, *subnet) []string { return nil },

		"customer-owned-ipv4-pool":        func(tx, *subnet) []string { return nil },
		"enable-lni-at-device-index":      func(tx, *subnet) []string { return nil },
		"map-customer-owned-ip-on-launch": func(tx, *subnet) []string { return yesNo(false) },

		"owner-id":   func(t tx, _ *subnet) []string { return one(t.scope.Account) },
		"state":      func(tx, *subnet) []string { return one("available") },
		"subnet-arn": func(t tx, n *subnet) []string { return one(arn(t.scope, types.ResourceTypeSubnet, n.ID)) },
		"subnet-id":  func(_ tx, n *subnet) []string { return one(n.ID) },
		"vpc-id":     func(_ tx, n *subnet) []string { return one(n.VPC) },
		"available-ip-address-count": func(t tx, n *subnet) []string {
			free, err := freeAddresses(t, n)
			t.fail(err)
			return one(strconv.Itoa(free))
		},
		"ipv6-cidr-block-association.association-id":  func(_ tx, n *subnet) []string { return associationIDs(n.IPv6) },
		"ipv6-cidr-block-association.ipv6-cidr-block": func(_ tx, n *subnet) []string { return cidrsOf(n.IPv6) },
		"ipv6-cidr-block-association.state": func(_ tx, n *subnet) []string {
			return slices.Repeat([]string{"associated"}, len(n.IPv6))
		},
		"private-dns-name-options-on-launch.hostname-type": func(_ tx, n *subnet) []string { return one(string(n.HostnameType)) },
		"private-dns-name-options-on-launch.enable-resource-name-dns-a-record": func(_ tx, n *subnet) []string {
			return yesNo(n.NameDNSA)
		},
		"private-dns-name-options-on-launch.enable-resource-name-dns-aaaa-record": func(_ tx, n *subnet) []string {
			return yesNo(n.NameDNSAAAA)
		},
	},
}

// CreateSubnet makes a subnet of a range that lies in the VPC's and overlaps no other.
func (s *Service) CreateSubnet(ctx context.Context, in *ec2.CreateSubnetInput) (*ec2.CreateSubnetOutput, error) {
	if err := unsupported("CreateSubnet", "Ipv4IpamPoolId", in.Ipv4IpamPoolId, "Ipv6IpamPoolId", in.Ipv6IpamPoolId, "Ipv6Native", in.Ipv6Native,
		"OutpostArn", in.OutpostArn, "Ipv4NetmaskLength", in.Ipv4NetmaskLength, "Ipv6NetmaskLength", in.Ipv6NetmaskLength); err != nil {
		return nil, err
	}
	if in.CidrBlock == nil {
		return nil, errMissingRange()
	}
	if in.AvailabilityZone != nil && in.AvailabilityZoneId != nil {
		return nil, errParametersExclude("availabilityZone", "availabilityZoneId")
	}
	prefix, ok := parseIPv4CIDR(*in.CidrBlock)
	if !ok {
		return nil, errInvalidCIDR(*in.CidrBlock, "cidrBlock")
	}
	tags, err := tagsOnCreate(in.TagSpecifications, types.ResourceTypeSubnet)
	if err != nil {
		return nil, err
	}
	out := &ec2.CreateSubnetOutput{}
	return out, s.update(ctx, func(t tx) error {
		v, err := vpcs.get(t, aws.ToString(in.VpcId))
		if err != nil {
			return err
		}
		name := aws.ToString(in.AvailabilityZone) + aws.ToString(in.AvailabilityZoneId)
		if name == "" {
			if name, err = leastUsedZone(t, v.ID); err != nil {
				return err
			}
		}
		z, err := findZone(t.scope.Region, name)
		if err != nil {
			return err
		}
		n := &subnet{resource: resource{Tags: tags}, VPC: v.ID, Zone: z.name, ZoneID: z.id}
		if in.Ipv6CidrBlock != nil {
			association, err := subnetIPv6(t, v, *in.Ipv6CidrBlock)
			if err != nil {
				return err
			}
			n.IPv6 = []rangeAssociation{association}
		}
		if err := createSubnet(t, v, n, prefix, *in.CidrBlock); err != nil {
			return err
		}
		shown, err := subnetToAPI(t, n)
		out.Subnet = &shown
		return err
	})
}

// createSubnet writes a subnet with its range; asked is the range as the user wrote it.
func createSubnet(t tx, v *vpc, n *subnet, prefix netip.Prefix, asked string) error {
	inside := slices.ContainsFunc(v.ranges(), func(outer netip.Prefix) bool { return covers(outer, prefix) })
	if prefix.Bits() < largestRange || prefix.Bits() > smallestRange || !inside {
		return errInvalidSubnetRange(asked)
	}
	list, err := subnets.by(t, "vpc", v.ID)
	if err != nil {
		return err
	}
	for _, other := range list {
		if other.prefix().Overlaps(prefix) {
			return errSubnetConflict(asked)
		}
	}
	n.ID = t.NewID("subnet-")
	n.CIDR = prefix.String()
	n.HostnameType = types.HostnameTypeIpName
	if err := subnets.insert(t, n); err != nil {
		return err
	}
	if err := joinDefaultACL(t, n); err != nil {
		return err
	}
	return wantNetwork(t, v.ID)
}

// leastUsedZone is the zone with the fewest of a VPC's subnets, the first of equals.
func leastUsedZone(t tx, vpcID string) (string, error) {
	zones, err := zonesOf(t.scope.Region)
	if err != nil {
		return "", err
	}
	list, err := subnets.by(t, "vpc", vpcID)
	if err != nil {
		return "", err
	}
	used := map[string]int{}
	for _, n := range list {
		used[n.Zone]++
	}
	best := slices.MinFunc(zones, func(a, b zone) int { return used[a.name] - used[b.name] })
	return best.name, nil
}

// subnetIPv6 checks an IPv6 range of a subnet of v.
// AWS: "Subnet CIDR blocks": between /44 and /64 in steps of /4.
func subnetIPv6(t tx, v *vpc, text string) (rangeAssociation, error) {
	prefix, ok := parseIPv6CIDR(text)
	if !ok {
		return rangeAssociation{}, errInvalidCIDR(text, "ipv6CidrBlock")
	}
	inside := slices.ContainsFunc(v.ipv6Ranges(), func(outer netip.Prefix) bool { return covers(outer, prefix) })
	if !inside || prefix.Bits() < 44 || prefix.Bits() > 64 || prefix.Bits()%4 != 0 {
		return rangeAssociation{}, errInvalidSubnetRange(text)
	}
	list, err := subnets.by(t, "vpc", v.ID)
	if err != nil {
		return rangeAssociation{}, err
	}
	for _, other := range list {
		for _, theirs := range prefixesOf(other.IPv6) {
			if theirs.Overlaps(prefix) {
				return rangeAssociation{}, errSubnetConflict(text)
			}
		}
	}
	return rangeAssociation{ID: t.NewID("subnet-cidr-assoc-"), CIDR: prefix.String()}, nil
}

// DescribeSubnets lists subnets.
func (s *Service) DescribeSubnets(ctx context.Context, in *ec2.DescribeSubnetsInput) (*ec2.DescribeSubnetsOutput, error) {
	list, next, err := describe(ctx, s, subnets, query{in.SubnetIds, "subnetIds", in.Filters, in.MaxResults, in.NextToken}, subnetToAPI)
	return &ec2.DescribeSubnetsOutput{Subnets: list, NextToken: next}, err
}

// ModifySubnetAttribute changes one attribute.
func (s *Service) ModifySubnetAttribute(ctx context.Context, in *ec2.ModifySubnetAttributeInput) (*ec2.ModifySubnetAttributeOutput, error) {
	if err := unsupported("ModifySubnetAttribute", "CustomerOwnedIpv4Pool", in.CustomerOwnedIpv4Pool, "MapCustomerOwnedIpOnLaunch", in.MapCustomerOwnedIpOnLaunch,
		"EnableLniAtDeviceIndex", in.EnableLniAtDeviceIndex, "DisableLniAtDeviceIndex", in.DisableLniAtDeviceIndex); err != nil {
		return nil, err
	}
	err := oneAttribute(map[string]bool{
		"mapPublicIpOnLaunch": in.MapPublicIpOnLaunch != nil, "enableDns64": in.EnableDns64 != nil, "assignIpv6AddressOnCreation": in.AssignIpv6AddressOnCreation != nil,
		"enableResourceNameDnsARecordOnLaunch": in.EnableResourceNameDnsARecordOnLaunch != nil, "enableResourceNameDnsAAAARecordOnLaunch": in.EnableResourceNameDnsAAAARecordOnLaunch != nil,
		"privateDnsHostnameTypeOnLaunch": in.PrivateDnsHostnameTypeOnLaunch != "",
	})
	if err != nil {
		return nil, err
	}
	return &ec2.ModifySubnetAttributeOutput{}, s.update(ctx, func(t tx) error {
		return subnets.edit(t, aws.ToString(in.SubnetId), func(n *subnet) error {
			set := func(field *bool, value *types.AttributeBooleanValue) {
				if value != nil {
					*field = aws.ToBool(value.Value)
				}
			}
			set(&n.MapPublic, in.MapPublicIpOnLaunch)
			set(&n.DNS64, in.EnableDns64)
			set(&n.NameDNSA, in.EnableResourceNameDnsARecordOnLaunch)
			set(&n.NameDNSAAAA, in.EnableResourceNameDnsAAAARecordOnLaunch)
			if in.PrivateDnsHostnameTypeOnLaunch != "" {
				n.HostnameType = in.PrivateDnsHostnameTypeOnLaunch
			}
			if set(&n.AssignIPv6, in.AssignIpv6AddressOnCreation); n.AssignIPv6 && len(n.IPv6) == 0 {
				return errInvalidParameterValue("Invalid value 'true' for assignIpv6AddressOnCreation. Subnet must have an associated IPv6 CIDR block.")
			}
			return nil
		})
	})
}

// AssociateSubnetCidrBlock gives a subnet an IPv6 range.
func (s *Service) AssociateSubnetCidrBlock(ctx context.Context, in *ec2.AssociateSubnetCidrBlockInput) (*ec2.AssociateSubnetCidrBlockOutput, error) {
	switch {
	case in.Ipv6IpamPoolId != nil || in.Ipv6NetmaskLength != nil:
		return nil, errNotImplemented("An address pool of AssociateSubnetCidrBlock")
	case in.Ipv6CidrBlock == nil:
		return nil, errMissingParameter("ipv6CidrBlock")
	}
	out := &ec2.AssociateSubnetCidrBlockOutput{SubnetId: in.SubnetId}
	return out, s.update(ctx, func(t tx) error {
		return subnets.changeNetwork(t, aws.ToString(in.SubnetId), func(n *subnet) error {
			if len(n.IPv6) > 0 {
				return errSubnetRangeLimitExceeded(n.ID)
			}
			v, err := vpcs.get(t, n.VPC)
			if err != nil {
				return err
			}
			association, err := subnetIPv6(t, v, *in.Ipv6CidrBlock)
			if err != nil {
				return err
			}
			n.IPv6 = []rangeAssociation{association}
			shown := subnetAssociationToAPI(association, types.SubnetCidrBlockStateCodeAssociating)
			out.Ipv6CidrBlockAssociation = &shown
			return nil
		})
	})
}

// DisassociateSubnetCidrBlock takes the IPv6 range away, unless an interface has an address of it.
func (s *Service) DisassociateSubnetCidrBlock(ctx context.Context, in *ec2.DisassociateSubnetCidrBlockInput) (*ec2.DisassociateSubnetCidrBlockOutput, error) {
	id := aws.ToString(in.AssociationId)
	out := &ec2.DisassociateSubnetCidrBlockOutput{}
	return out, s.update(ctx, func(t tx) error {
		n, err := subnets.in(t).Index("association").Find(id)
		if err != nil {
			return err
		}
		if n == nil {
			return errSubnetRangeAssociationNotFound(id)
		}
		list, err := interfaces.by(t, "subnet", n.ID)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(list, func(e *networkInterface) bool { return len(e.IPv6)+len(e.IPv6Prefixes) > 0 }) {
			return errDependencyViolation("The subnet '%s' has dependencies in the CIDR block '%s' and it cannot be disassociated.", n.ID, n.IPv6[0].CIDR)
		}
		shown := subnetAssociationToAPI(n.IPv6[0], types.SubnetCidrBlockStateCodeDisassociating)
		out.SubnetId, out.Ipv6CidrBlockAssociation = aws.String(n.ID), &shown
		n.IPv6, n.AssignIPv6 = nil, false
		if err := subnets.put(t, n); err != nil {
			return err
		}
		return wantNetwork(t, n.VPC)
	})
}

// DeleteSubnet removes a subnet in which no interface is left.
func (s *Service) DeleteSubnet(ctx context.Context, in *ec2.DeleteSubnetInput) (*ec2.DeleteSubnetOutput, error) {
	id := aws.ToString(in.SubnetId)
	return &ec2.DeleteSubnetOutput{}, s.update(ctx, func(t tx) error {
		n, err := subnets.get(t, id)
		if err != nil {
			return err
		}
		used, err := interfaces.any(t, "subnet", id)
		if err == nil && !used {
			used, err = anyRecord(t, natGateways, n.VPC, func(g *natGateway) bool { return g.Subnet == id && !g.gone() })
		}
		if err != nil {
			return err
		}
		if used {
			return errDependencyViolation("The subnet '%s' has dependencies and cannot be deleted.", id)
		}
		if err := leaveRouteTables(t, id); err != nil {
			return err
		}
		if err := leaveACL(t, id); err != nil {
			return err
		}
		if err := errors.Join(subnetReservations.deleteBy(t, "subnet", id), leaveAccess(t, id)); err != nil {
			return err
		}
		if err := removeFlowLogsOf(t, id); err != nil {
			return err
		}
		if err := subnets.delete(t, id); err != nil {
			return err
		}
		return wantNetwork(t, n.VPC)
	})
}

func subnetAssociationToAPI(a rangeAssociation, state types.SubnetCidrBlockStateCode) types.SubnetIpv6CidrBlockAssociation {
	return types.SubnetIpv6CidrBlockAssociation{
		AssociationId: aws.String(a.ID), Ipv6CidrBlock: aws.String(a.CIDR), Ipv6CidrBlockState: &types.SubnetCidrBlockState{State: state},
		IpSource: types.IpSourceAmazon, Ipv6AddressAttribute: types.Ipv6AddressAttributePublic,
	}
}

func subnetToAPI(t tx, n *subnet) (types.Subnet, error) {
	free, err := freeAddresses(t, n)
	shown := types.Subnet{
		SubnetId: aws.String(n.ID), SubnetArn: aws.String(arn(t.scope, types.ResourceTypeSubnet, n.ID)), VpcId: aws.String(n.VPC),
		OwnerId: aws.String(t.scope.Account), State: types.SubnetStateAvailable, CidrBlock: aws.String(n.CIDR),
		AvailabilityZone: aws.String(n.Zone), AvailabilityZoneId: aws.String(n.ZoneID), AvailableIpAddressCount: aws.Int32(int32(free)),
		DefaultForAz: aws.Bool(n.Default), MapPublicIpOnLaunch: aws.Bool(n.MapPublic), AssignIpv6AddressOnCreation: aws.Bool(n.AssignIPv6),
		EnableDns64: aws.Bool(n.DNS64), Ipv6Native: aws.Bool(false), MapCustomerOwnedIpOnLaunch: aws.Bool(false), Tags: tagsToAPI(t, n.Tags),
		PrivateDnsNameOptionsOnLaunch: &types.PrivateDnsNameOptionsOnLaunch{
			HostnameType: n.HostnameType, EnableResourceNameDnsARecord: aws.Bool(n.NameDNSA), EnableResourceNameDnsAAAARecord: aws.Bool(n.NameDNSAAAA),
		},
	}
	shown.Ipv6CidrBlockAssociationSet = []types.SubnetIpv6CidrBlockAssociation{}
	for _, a := range n.IPv6 {
		shown.Ipv6CidrBlockAssociationSet = append(shown.Ipv6CidrBlockAssociationSet, subnetAssociationToAPI(a, types.SubnetCidrBlockStateCodeAssociated))
	}
	if err == nil {
		shown.BlockPublicAccessStates, err = accessStates(t, n.VPC, n.ID)
	}
	return shown, err
}
