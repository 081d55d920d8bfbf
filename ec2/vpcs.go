package ec2

import (
	"context"
	"crypto/rand"
	"maps"
	"net/netip"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"miniaws/backend/reconcile"
	"miniaws/backend/store"
)

// vpc is a virtual private cloud. Its state is pending until its network was confirmed.
type vpc struct {
	resource
	State types.VpcState
	// CIDRs are the IPv4 ranges, the primary first. IPv6 likewise.
	CIDRs       []rangeAssociation
	IPv6        []rangeAssociation `json:",omitempty"`
	DHCPOptions string             // "default" for none at all
	Tenancy     types.Tenancy
	Default     bool `json:",omitempty"`
	DNSSupport  bool
	DNSNames    bool `json:",omitempty"`
	Metrics     bool `json:",omitempty"` // enableNetworkAddressUsageMetrics
	// ClassicLink and ClassicLinkDNS are kept for those who ask: there is no EC2-Classic.
	ClassicLink    bool `json:",omitempty"`
	ClassicLinkDNS bool `json:",omitempty"`
}

// rangeAssociation is a range of a VPC or an IPv6 range of a subnet.
type rangeAssociation struct{ ID, CIDR string }

func (v *vpc) vpc() string { return v.ID }

// ranges are the IPv4 ranges.
func (v *vpc) ranges() []netip.Prefix { return prefixesOf(v.CIDRs) }

func (v *vpc) ipv6Ranges() []netip.Prefix { return prefixesOf(v.IPv6) }

func prefixesOf(list []rangeAssociation) []netip.Prefix {
	prefixes := make([]netip.Prefix, len(list))
	for i, a := range list {
		prefixes[i] = netip.MustParsePrefix(a.CIDR)
	}
	return prefixes
}

func cidrsOf(list []rangeAssociation) []string {
	var texts []string
	for _, a := range list {
		texts = append(texts, a.CIDR)
	}
	return texts
}

func associationIDs(list []rangeAssociation) []string {
	var ids []string
	for _, a := range list {
		ids = append(ids, a.ID)
	}
	return ids
}

func vpcBase(v *vpc) *resource { return &v.resource }

var vpcs = &kind[vpc]{
	prefix: "vpc-", typ: types.ResourceTypeVpc, base: vpcBase,
	notFound: errVPCNotFound, malformed: nil,
	table: tableOf("vpcs", vpcBase, map[string]func(*vpc) []string{
		"association":  func(v *vpc) []string { return append(associationIDs(v.CIDRs), associationIDs(v.IPv6)...) },
		"dhcp-options": func(v *vpc) []string { return []string{v.DHCPOptions} },
	}),
	filters: filters[vpc]{
		"cidr":            func(_ tx, v *vpc) []string { return one(v.CIDRs[0].CIDR) },
		"cidr-block":      func(_ tx, v *vpc) []string { return one(v.CIDRs[0].CIDR) },
		"cidrBlock":       func(_ tx, v *vpc) []string { return one(v.CIDRs[0].CIDR) },
		"dhcp-options-id": func(_ tx, v *vpc) []string { return one(v.DHCPOptions) },
		"dhcpOptionsId":   func(_ tx, v *vpc) []string { return one(v.DHCPOptions) },
		"is-default":      func(_ tx, v *vpc) []string { return yesNo(v.Default) },
		"isDefault":       func(_ tx, v *vpc) []string { return yesNo(v.Default) },
		"owner-id":        func(t tx, _ *vpc) []string { return one(t.scope.Account) },
		"state":           func(_ tx, v *vpc) []string { return one(string(v.State)) },
		"vpc-id":          func(_ tx, v *vpc) []string { return one(v.ID) },

		"cidr-block-association.association-id": func(_ tx, v *vpc) []string { return associationIDs(v.CIDRs) },
		"cidr-block-association.cidr-block":     func(_ tx, v *vpc) []string { return cidrsOf(v.CIDRs) },
		"cidr-block-association.state":          func(tx, *vpc) []string { return one("associated") },

		"ipv6-cidr-block-association.association-id":  func(_ tx, v *vpc) []string { return associationIDs(v.IPv6) },
		"ipv6-cidr-block-association.ipv6-cidr-block": func(_ tx, v *vpc) []string { return cidrsOf(v.IPv6) },
		"ipv6-cidr-block-association.ipv6-pool": func(_ tx, v *vpc) []string {
			return slices.Repeat([]string{"Amazon"}, min(1, len(v.IPv6)))
		},
		"ipv6-cidr-block-association.state": func(_ tx, v *vpc) []string {
			return slices.Repeat([]string{"associated"}, min(1, len(v.IPv6)))
		},
	},
}

// wantNetwork asks for a look at a VPC's network, in the transaction that changed what it should be. Peered VPCs are
// looked at too: their rules may name the groups of this one.
func wantNetwork(t tx, vpcID string) error {
	list, err := peerings.by(t, "vpc", vpcID)
	if err != nil {
		return err
	}
	for _, p := range list {
		for _, side := range []peeringSide{p.Requester, p.Accepter} {
			if side.VPC == vpcID || !p.active() {
				continue
			}
			there := t
			there.scope = side.scope()
			if err := reconcile.Want(t, networkItem(there, side.VPC)); err != nil {
				return err
			}
		}
	}
	return reconcile.Want(t, networkItem(t, vpcID))
}

// AWS: "VPC CIDR blocks": between /16 and /28, at most five ranges; "Amazon VPC quotas": five VPCs a Region, which is
// raised on request; here there is no such bound.
const (
	largestRange  = 16
	smallestRange = 28
	maxVPCRanges  = 5
)

// CreateVpc makes a VPC with its main route table, default security group and default network ACL.
func (s *Service) CreateVpc(ctx context.Context, in *ec2.CreateVpcInput) (*ec2.CreateVpcOutput, error) {
	if in.Ipv4IpamPoolId != nil || in.Ipv6IpamPoolId != nil || in.Ipv6Pool != nil || in.Ipv6CidrBlock != nil {
		return nil, errNotImplemented("An address pool of CreateVpc")
	}
	if in.CidrBlock == nil {
		return nil, errMissingRange()
	}
	prefix, err := checkVPCRange(*in.CidrBlock)
	if err != nil {
		return nil, err
	}
	tags, err := tagsOnCreate(in.TagSpecifications, types.ResourceTypeVpc)
	if err != nil {
		return nil, err
	}
	tenancy := in.InstanceTenancy
	if tenancy == "" {
		tenancy = types.TenancyDefault
	}
	if tenancy == types.TenancyHost {
		return nil, errInvalidParameterValue("The tenancy value host is not supported.")
	}
	out := &ec2.CreateVpcOutput{}
	return out, s.update(ctx, func(t tx) error {
		v := &vpc{resource: resource{Tags: tags}, Tenancy: tenancy, DNSSupport: true}
		if aws.ToBool(in.AmazonProvidedIpv6CidrBlock) {
			v.IPv6 = []rangeAssociation{{ID: t.NewID("vpc-cidr-assoc-"), CIDR: newIPv6Range().String()}}
		}
		if err := createVPC(t, v, prefix); err != nil {
			return err
		}
		shown, err := vpcToAPI(t, v)
		out.Vpc = &shown
		return err
	})
}

// checkVPCRange parses an IPv4 range of a VPC.
func checkVPCRange(text string) (netip.Prefix, error) {
	prefix, ok := parseIPv4CIDR(text)
	if !ok {
		return prefix, errInvalidCIDR(text, "cidrBlock")
	}
	if prefix.Bits() < largestRange || prefix.Bits() > smallestRange || slices.ContainsFunc(noHosts, prefix.Overlaps) {
		return prefix, errInvalidVPCRange(text)
	}
	return prefix, nil
}

// noHosts are ranges of which no host may have an address: this network, loopback, link-local, multicast and what is reserved
// above. amazonRange is AWS's own.
// AWS: "IPv4 CIDR block association restrictions" in the VPC user guide.
var (
	noHosts = []netip.Prefix{
		netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("127.0.0.0/8"), linkLocalRange, netip.MustParsePrefix("224.0.0.0/3"),
	}
	amazonRange = netip.MustParsePrefix("198.19.0.0/16")
)

// createVPC writes a VPC and what comes with one. The caller has set what the user asked for.
func createVPC(t tx, v *vpc, prefix netip.Prefix) error {
	v.ID = t.NewID("vpc-")
	v.State = types.VpcStatePending
	v.CIDRs = []rangeAssociation{{ID: t.NewID("vpc-cidr-assoc-"), CIDR: prefix.String()}}
	options, err := defaultDHCPOptions(t)
	if err != nil {
		return err
	}
	v.DHCPOptions = options
	if err := vpcs.insert(t, v); err != nil {
		return err
	}
	if err := knownNetworks.In(t, store.Scope{}).Put(&knownNetwork{v.ID, t.scope.Account, t.scope.Region}); err != nil {
		return err
	}
	if err := createMainRouteTable(t, v.ID); err != nil {
		return err
	}
	if err := createDefaultNetworkACL(t, v.ID); err != nil {
		return err
	}
	if err := createDefaultSecurityGroup(t, v); err != nil {
		return err
	}
	if len(v.IPv6) > 0 {
		if err := allowIPv6(t, v); err != nil {
			return err
		}
	}
	return wantNetwork(t, v.ID)
}

// newIPv6Range is a random /56 of the documentation range, which nobody routes.
func newIPv6Range() netip.Prefix {
	raw := netip.MustParseAddr("2001:db8::").As16()
	_, _ = rand.Read(raw[4:7]) // never fails
	return netip.PrefixFrom(netip.AddrFrom16(raw), 56)
}

// DescribeVpcs lists VPCs.
func (s *Service) DescribeVpcs(ctx context.Context, in *ec2.DescribeVpcsInput) (*ec2.DescribeVpcsOutput, error) {
	list, next, err := describe(ctx, s, vpcs, query{in.VpcIds, "vpcIds", in.Filters, in.MaxResults, in.NextToken},
		vpcToAPI)
	return &ec2.DescribeVpcsOutput{Vpcs: list, NextToken: next}, err
}

// DescribeVpcAttribute answers one attribute.
func (s *Service) DescribeVpcAttribute(ctx context.Context, in *ec2.DescribeVpcAttributeInput) (*ec2.DescribeVpcAttributeOutput, error) {
	out := &ec2.DescribeVpcAttributeOutput{VpcId: in.VpcId}
	return out, s.view(ctx, func(t tx) error {
		v, err := vpcs.get(t, aws.ToString(in.VpcId))
		if err != nil {
			return err
		}
		boolean := func(value bool) *types.AttributeBooleanValue {
			return &types.AttributeBooleanValue{Value: aws.Bool(value)}
		}
		switch in.Attribute {
		case types.VpcAttributeNameEnableDnsSupport:
			out.EnableDnsSupport = boolean(v.DNSSupport)
		case types.VpcAttributeNameEnableDnsHostnames:
			out.EnableDnsHostnames = boolean(v.DNSNames)
		case types.VpcAttributeNameEnableNetworkAddressUsageMetrics:
			out.EnableNetworkAddressUsageMetrics = boolean(v.Metrics)
		}
		return nil
	})
}

// ModifyVpcAttribute changes one attribute.
func (s *Service) ModifyVpcAttribute(ctx context.Context, in *ec2.ModifyVpcAttributeInput) (*ec2.ModifyVpcAttributeOutput, error) {
	err := oneAttribute(map[string]bool{
		"enableDnsSupport": in.EnableDnsSupport != nil, "enableDnsHostnames": in.EnableDnsHostnames != nil,
		"enableNetworkAddressUsageMetrics": in.EnableNetworkAddressUsageMetrics != nil,
	})
	if err != nil {
		return nil, err
	}
	return &ec2.ModifyVpcAttributeOutput{}, s.update(ctx, func(t tx) error {
		return vpcs.changeNetwork(t, aws.ToString(in.VpcId), func(v *vpc) error {
			set := func(field *bool, value *types.AttributeBooleanValue) {
				if value != nil {
					*field = aws.ToBool(value.Value)
				}
			}
			set(&v.DNSSupport, in.EnableDnsSupport)
			set(&v.DNSNames, in.EnableDnsHostnames)
			set(&v.Metrics, in.EnableNetworkAddressUsageMetrics)
			return nil
		})
	})
}

// oneAttribute refuses a change of none or several of the attributes.
func oneAttribute(given map[string]bool) error {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if given[name] {
			names = append(names, name)
		}
	}
	switch len(names) {
	case 0:
		return errNoAttribute()
	case 1:
		return nil
	}
	return errSeveralAttributes(names)
}

// changeNetwork is edit of a record whose VPC is to be looked at then.
func (k *kind[T]) changeNetwork(t tx, id string, change func(*T) error) error {
	return k.edit(t, id, func(rec *T) error {
		if err := change(rec); err != nil {
			return err
		}
		if within := any(rec).(inVPC).vpc(); within != "" {
			return wantNetwork(t, within)
		}
		return nil
	})
}

// ModifyVpcTenancy makes a VPC's tenancy default; AWS knows no other change.
func (s *Service) ModifyVpcTenancy(ctx context.Context, in *ec2.ModifyVpcTenancyInput) (*ec2.ModifyVpcTenancyOutput, error) {
	return &ec2.ModifyVpcTenancyOutput{ReturnValue: aws.Bool(true)}, s.update(ctx, func(t tx) error {
		return vpcs.edit(t, aws.ToString(in.VpcId), func(v *vpc) error {
			v.Tenancy = types.TenancyDefault
			return nil
		})
	})
}

// AssociateVpcCidrBlock adds an IPv4 or IPv6 range.
func (s *Service) AssociateVpcCidrBlock(ctx context.Context, in *ec2.AssociateVpcCidrBlockInput) (*ec2.AssociateVpcCidrBlockOutput, error) {
	if in.Ipv4IpamPoolId != nil || in.Ipv6IpamPoolId != nil || in.Ipv6Pool != nil || in.Ipv6CidrBlock != nil {
		return nil, errNotImplemented("An address pool of AssociateVpcCidrBlock")
	}
	if (in.CidrBlock != nil) == aws.ToBool(in.AmazonProvidedIpv6CidrBlock) {
		return nil, errInvalidParameterCombination("Exactly one of cidrBlock and amazonProvidedIpv6CidrBlock must be specified.")
	}
	out := &ec2.AssociateVpcCidrBlockOutput{VpcId: in.VpcId}
	return out, s.update(ctx, func(t tx) error {
		err := vpcs.changeNetwork(t, aws.ToString(in.VpcId), func(v *vpc) error {
			added := rangeAssociation{ID: t.NewID("vpc-cidr-assoc-")}
			if in.CidrBlock == nil {
				if len(v.IPv6) == maxVPCRanges {
					return errVPCRangeLimitExceeded(v.ID)
				}
				added.CIDR = newIPv6Range().String()
				v.IPv6 = append(v.IPv6, added)
				if len(v.IPv6) == 1 {
					if err := allowIPv6(t, v); err != nil {
						return err
					}
				}
				shown := ipv6AssociationToAPI(t, added)
				shown.Ipv6CidrBlockState.State = types.VpcCidrBlockStateCodeAssociating
				out.Ipv6CidrBlockAssociation = &shown
				return nil
			}
			prefix, err := checkVPCRange(*in.CidrBlock)
			if err != nil {
				return err
			}
			if len(v.CIDRs) == maxVPCRanges {
				return errVPCRangeLimitExceeded(v.ID)
			}
			if prefix.Overlaps(amazonRange) {
				return errVPCRangeRestricted(prefix.String())
			}
			for _, other := range v.ranges() {
				if other.Overlaps(prefix) {
					return errVPCRangeConflict(prefix.String())
				}
				if a, b := privateRange(other), privateRange(prefix); a >= 0 && b >= 0 && a != b {
					return errVPCRangeRestricted(prefix.String())
				}
			}
			added.CIDR = prefix.String()
			v.CIDRs = append(v.CIDRs, added)
			shown := associationToAPI(added)
			shown.CidrBlockState.State = types.VpcCidrBlockStateCodeAssociating
			out.CidrBlockAssociation = &shown
			return nil
		})
		if err != nil {
			return err
		}
		return wantTransitsOf(t, aws.ToString(in.VpcId))
	})
}

// DisassociateVpcCidrBlock removes a range that no subnet lies in. The primary range stays.
func (s *Service) DisassociateVpcCidrBlock(ctx context.Context, in *ec2.DisassociateVpcCidrBlockInput) (*ec2.DisassociateVpcCidrBlockOutput, error) {
	id := aws.ToString(in.AssociationId)
	out := &ec2.DisassociateVpcCidrBlockOutput{}
	return out, s.update(ctx, func(t tx) error {
		v, err := vpcs.in(t).Index("association").Find(id)
		if err != nil {
			return err
		}
		if v == nil {
			return errVPCRangeAssociationNotFound(id)
		}
		out.VpcId = aws.String(v.ID)
		if v.CIDRs[0].ID == id {
			return errOperationNotPermitted("The vpc CIDR block with association ID %s may not be disassociated. It is the primary IPv4 CIDR block of the VPC", id)
		}
		has := func(a rangeAssociation) bool { return a.ID == id }
		inside := append(slices.Clone(v.CIDRs), v.IPv6...)
		gone := inside[slices.IndexFunc(inside, has)]
		list, err := subnets.by(t, "vpc", v.ID)
		if err != nil {
			return err
		}
		for _, sub := range list {
			for _, text := range append(cidrsOf(sub.IPv6), sub.CIDR) {
				if covers(netip.MustParsePrefix(gone.CIDR), netip.MustParsePrefix(text)) {
					return errDependencyViolation("The vpc '%s' has dependencies in the CIDR block '%s' and it cannot be disassociated.", v.ID, gone.CIDR)
				}
			}
		}
		if slices.ContainsFunc(v.IPv6, has) {
			shown := ipv6AssociationToAPI(t, gone)
			shown.Ipv6CidrBlockState.State = types.VpcCidrBlockStateCodeDisassociating
			out.Ipv6CidrBlockAssociation = &shown
		} else {
			shown := associationToAPI(gone)
			shown.CidrBlockState.State = types.VpcCidrBlockStateCodeDisassociating
			out.CidrBlockAssociation = &shown
		}
		v.CIDRs, v.IPv6 = slices.DeleteFunc(v.CIDRs, has), slices.DeleteFunc(v.IPv6, has)
		if err := vpcs.put(t, v); err != nil {
			return err
		}
		if err := wantTransitsOf(t, v.ID); err != nil {
			return err
		}
		return wantNetwork(t, v.ID)
	})
}

// DeleteVpc removes a VPC in which nothing is left but what came with it.
func (s *Service) DeleteVpc(ctx context.Context, in *ec2.DeleteVpcInput) (*ec2.DeleteVpcOutput, error) {
	id := aws.ToString(in.VpcId)
	return &ec2.DeleteVpcOutput{}, s.update(ctx, func(t tx) error {
		if _, err := vpcs.get(t, id); err != nil {
			return err
		}
		inUse, err := vpcInUse(t, id)
		if err != nil {
			return err
		}
		if inUse {
			return errDependencyViolation("The vpc '%s' has dependencies and cannot be deleted.", id)
		}
		if err := deleteAll(t, routeTables, id); err != nil {
			return err
		}
		if err := deleteAll(t, networkACLs, id); err != nil {
			return err
		}
		if err := deleteAll(t, securityGroups, id); err != nil {
			return err
		}
		logs, err := flowLogs.by(t, "vpc", id)
		if err != nil {
			return err
		}
		for _, f := range logs {
			if err := removeFlowLog(t, f.ID); err != nil {
				return err
			}
		}
		if err := leaveAccess(t, id); err != nil {
			return err
		}
		if err := vpcs.delete(t, id); err != nil {
			return err
		}
		return wantNetwork(t, id)
	})
}

func deleteAll[T any](t tx, k *kind[T], vpcID string) error {
	list, err := k.by(t, "vpc", vpcID)
	if err != nil {
		return err
	}
	for _, rec := range list {
		if err := k.delete(t, k.base(rec).ID); err != nil {
			return err
		}
	}
	return nil
}

// vpcInUse tells whether something keeps a VPC from being deleted.
func vpcInUse(t tx, id string) (bool, error) {
	for _, holds := range []func() (bool, error){
		func() (bool, error) { return subnets.any(t, "vpc", id) },
		func() (bool, error) { return internetGateways.any(t, "vpc", id) },
		func() (bool, error) { return egressOnlyGateways.any(t, "vpc", id) },
		func() (bool, error) { return endpoints.any(t, "vpc", id) },
		func() (bool, error) {
			return anyRecord(t, routeTables, id, func(r *routeTable) bool { return !r.main() })
		},
		func() (bool, error) {
			return anyRecord(t, networkACLs, id, func(a *networkACL) bool { return !a.Default })
		},
		func() (bool, error) {
			return anyRecord(t, securityGroups, id, func(g *securityGroup) bool { return !g.isDefault() })
		},
		func() (bool, error) {
			a, err := groupAssociations.In(t, t.scope).Index("vpc").Find(id)
			return a != nil, err
		},
		func() (bool, error) { return anyRecord(t, peerings, id, func(p *peering) bool { return p.usesVPC() }) },
	} {
		if found, err := holds(); found || err != nil {
			return found, err
		}
	}
	return false, nil
}

// anyRecord tells whether a VPC has a record of a kind that counts.
func anyRecord[T any](t tx, k *kind[T], vpcID string, counts func(*T) bool) (bool, error) {
	list, err := k.by(t, "vpc", vpcID)
	return slices.ContainsFunc(list, counts), err
}

func associationToAPI(a rangeAssociation) types.VpcCidrBlockAssociation {
	return types.VpcCidrBlockAssociation{
		AssociationId: aws.String(a.ID), CidrBlock: aws.String(a.CIDR),
		CidrBlockState: &types.VpcCidrBlockState{State: types.VpcCidrBlockStateCodeAssociated},
	}
}

func ipv6AssociationToAPI(t tx, a rangeAssociation) types.VpcIpv6CidrBlockAssociation {
	return types.VpcIpv6CidrBlockAssociation{
		AssociationId: aws.String(a.ID), Ipv6CidrBlock: aws.String(a.CIDR), Ipv6Pool: aws.String("Amazon"),
		Ipv6CidrBlockState: &types.VpcCidrBlockState{State: types.VpcCidrBlockStateCodeAssociated},
		NetworkBorderGroup: aws.String(t.scope.Region), IpSource: types.IpSourceAmazon,
		Ipv6AddressAttribute: types.Ipv6AddressAttributePublic,
	}
}

func vpcToAPI(t tx, v *vpc) (types.Vpc, error) {
	shown := types.Vpc{
		VpcId: aws.String(v.ID), State: v.State, CidrBlock: aws.String(v.CIDRs[0].CIDR), DhcpOptionsId: aws.String(v.DHCPOptions),
		InstanceTenancy: v.Tenancy, IsDefault: aws.Bool(v.Default), OwnerId: aws.String(t.scope.Account), Tags: tagsToAPI(t, v.Tags),
	}
	for _, a := range v.CIDRs {
		shown.CidrBlockAssociationSet = append(shown.CidrBlockAssociationSet, associationToAPI(a))
	}
	for _, a := range v.IPv6 {
		shown.Ipv6CidrBlockAssociationSet = append(shown.Ipv6CidrBlockAssociationSet, ipv6AssociationToAPI(t, a))
	}
	var err error
	shown.BlockPublicAccessStates, err = accessStates(t, v.ID)
	return shown, err
}
