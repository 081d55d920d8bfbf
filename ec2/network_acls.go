package ec2

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// networkACL is a stateless filter between subnets. What no entry matches is denied.
type networkACL struct {
	resource
	VPC     string
	Default bool `json:",omitempty"`
	// Entries are in the order of direction and number; those that deny the rest are not stored.
	Entries      []aclEntry       `json:",omitempty"`
	Associations []aclAssociation `json:",omitempty"`
}

type aclAssociation struct{ ID, Subnet string }

// aclEntry is one numbered rule.
type aclEntry struct {
	Number int32
	Egress bool `json:",omitempty"`
	Allow  bool `json:",omitempty"`
	// Protocol is a number, -1 for all.
	Protocol int
	// From and To are ports of TCP and UDP, or type and code of ICMP; -1 is any.
	From, To int32
	CIDR     string
}

func (e aclEntry) isIPv6() bool { return strings.Contains(e.CIDR, ":") }

func (a *networkACL) vpc() string { return a.VPC }

func networkACLBase(a *networkACL) *resource { return &a.resource }

func aclSubnets(a *networkACL) []string {
	var ids []string
	for _, x := range a.Associations {
		ids = append(ids, x.Subnet)
	}
	return ids
}

func aclAssociationIDs(a *networkACL) []string {
	var ids []string
	for _, x := range a.Associations {
		ids = append(ids, x.ID)
	}
	return ids
}

// entriesWith makes a filter's function of one that answers an entry's value.
func entriesWith(value func(types.NetworkAclEntry) string) func(tx, *networkACL) []string {
	return func(_ tx, a *networkACL) []string {
		var values []string
		for _, e := range entriesToAPI(a) {
			values = append(values, one(value(e))...)
		}
		return values
	}
}

var networkACLs = &kind[networkACL]{
	prefix: "acl-", typ: types.ResourceTypeNetworkAcl, base: networkACLBase, notFound: errNetworkACLNotFound,
	table: tableOf("network-acls", networkACLBase, map[string]func(*networkACL) []string{
		"vpc": func(a *networkACL) []string { return one(a.VPC) }, "subnet": aclSubnets, "association": aclAssociationIDs,
	}),
	narrow: map[string]string{"vpc-id": "vpc", "association.subnet-id": "subnet", "association.association-id": "association"},
	filters: filters[networkACL]{
		"association.association-id": func(_ tx, a *networkACL) []string { return aclAssociationIDs(a) },
		"association.network-acl-id": func(_ tx, a *networkACL) []string {
			if len(a.Associations) == 0 {
				return nil
			}
			return one(a.ID)
		},
		"association.subnet-id": func(_ tx, a *networkACL) []string { return aclSubnets(a) },
		"default":               func(_ tx, a *networkACL) []string { return yesNo(a.Default) },
		"network-acl-id":        func(_ tx, a *networkACL) []string { return one(a.ID) },
		"owner-id":              func(t tx, _ *networkACL) []string { return one(t.scope.Account) },
		"vpc-id":                func(_ tx, a *networkACL) []string { return one(a.VPC) },
		"entry.cidr":            entriesWith(func(e types.NetworkAclEntry) string { return aws.ToString(e.CidrBlock) }),
		"entry.ipv6-cidr":       entriesWith(func(e types.NetworkAclEntry) string { return aws.ToString(e.Ipv6CidrBlock) }),
		"entry.egress":          entriesWith(func(e types.NetworkAclEntry) string { return strconv.FormatBool(*e.Egress) }),
		"entry.protocol":        entriesWith(func(e types.NetworkAclEntry) string { return *e.Protocol }),
		"entry.rule-action":     entriesWith(func(e types.NetworkAclEntry) string { return string(e.RuleAction) }),
		"entry.rule-number":     entriesWith(func(e types.NetworkAclEntry) string { return strconv.Itoa(int(*e.RuleNumber)) }),
		"entry.port-range.from": entriesWith(func(e types.NetworkAclEntry) string {
			if e.PortRange == nil {
				return ""
			}
			return strconv.Itoa(int(*e.PortRange.From))
		}),
		"entry.port-range.to": entriesWith(func(e types.NetworkAclEntry) string {
			if e.PortRange == nil {
				return ""
			}
			return strconv.Itoa(int(*e.PortRange.To))
		}),
		"entry.icmp.type": entriesWith(func(e types.NetworkAclEntry) string {
			if e.IcmpTypeCode == nil {
				return ""
			}
			return strconv.Itoa(int(*e.IcmpTypeCode.Type))
		}),
		"entry.icmp.code": entriesWith(func(e types.NetworkAclEntry) string {
			if e.IcmpTypeCode == nil {
				return ""
			}
			return strconv.Itoa(int(*e.IcmpTypeCode.Code))
		}),
	},
}

// denyTheRest is the number of the entry that ends every list, denyTheRestIPv6 that of IPv6.
// AWS: "Custom network ACLs": the asterisk rules.
const (
	denyTheRest     = 32767
	denyTheRestIPv6 = 32768
	lastEntry       = 32766
	// maxEntries is per direction. AWS: "Amazon VPC quotas": rules per network ACL.
	maxEntries = 20
)

// createDefaultNetworkACL makes the one that comes with a VPC and lets everything through.
func createDefaultNetworkACL(t tx, vpcID string) error {
	return networkACLs.insert(t, &networkACL{
		resource: resource{ID: t.NewID("acl-")}, VPC: vpcID, Default: true,
		Entries: []aclEntry{
			{Number: 100, Allow: true, Protocol: -1, From: -1, To: -1, CIDR: "0.0.0.0/0"},
			{Number: 100, Egress: true, Allow: true, Protocol: -1, From: -1, To: -1, CIDR: "0.0.0.0/0"},
		},
	})
}

func defaultNetworkACL(t tx, vpcID string) (*networkACL, error) {
	list, err := networkACLs.by(t, "vpc", vpcID)
	if err != nil {
		return nil, err
	}
	for _, a := range list {
		if a.Default {
			return a, nil
		}
	}
	return nil, errVPCNotFound(vpcID)
}

// joinDefaultACL puts a new subnet under the VPC's default ACL.
func joinDefaultACL(t tx, n *subnet) error {
	a, err := defaultNetworkACL(t, n.VPC)
	if err != nil {
		return err
	}
	a.Associations = append(a.Associations, aclAssociation{t.NewID("aclassoc-"), n.ID})
	return networkACLs.put(t, a)
}

// leaveACL ends a subnet's association, when the subnet is deleted.
func leaveACL(t tx, subnetID string) error {
	list, err := networkACLs.by(t, "subnet", subnetID)
	if err != nil {
		return err
	}
	for _, a := range list {
		a.Associations = slices.DeleteFunc(a.Associations, func(x aclAssociation) bool { return x.Subnet == subnetID })
		if err := networkACLs.put(t, a); err != nil {
			return err
		}
	}
	return nil
}

// CreateNetworkAcl makes an ACL that denies everything.
func (s *Service) CreateNetworkAcl(ctx context.Context, in *ec2.CreateNetworkAclInput) (*ec2.CreateNetworkAclOutput, error) {
	tags, err := tagsOnCreate(in.TagSpecifications, types.ResourceTypeNetworkAcl)
	if err != nil {
		return nil, err
	}
	out := &ec2.CreateNetworkAclOutput{ClientToken: in.ClientToken}
	return out, s.update(ctx, func(t tx) error {
		a, err := networkACLs.makeOnce(t, "CreateNetworkAcl", in.ClientToken, in, func() (string, error) {
			v, err := vpcs.get(t, aws.ToString(in.VpcId))
			if err != nil {
				return "", err
			}
			a := &networkACL{resource: resource{ID: t.NewID("acl-"), Tags: tags}, VPC: v.ID}
			return a.ID, networkACLs.insert(t, a)
		})
		if err != nil {
			return err
		}
		shown, err := networkACLToAPI(t, a)
		out.NetworkAcl = &shown
		return err
	})
}

// DescribeNetworkAcls lists ACLs.
func (s *Service) DescribeNetworkAcls(ctx context.Context, in *ec2.DescribeNetworkAclsInput) (*ec2.DescribeNetworkAclsOutput, error) {
	list, next, err := describe(ctx, s, networkACLs, query{in.NetworkAclIds, "networkAclIds", in.Filters, in.MaxResults, in.NextToken}, networkACLToAPI)
	return &ec2.DescribeNetworkAclsOutput{NetworkAcls: list, NextToken: next}, err
}

// DeleteNetworkAcl removes an ACL that no subnet uses.
func (s *Service) DeleteNetworkAcl(ctx context.Context, in *ec2.DeleteNetworkAclInput) (*ec2.DeleteNetworkAclOutput, error) {
	id := aws.ToString(in.NetworkAclId)
	return &ec2.DeleteNetworkAclOutput{}, s.update(ctx, func(t tx) error {
		a, err := networkACLs.get(t, id)
		if err != nil {
			return err
		}
		if a.Default {
			return errInvalidParameterValue("default network acl %s cannot be deleted", id)
		}
		if len(a.Associations) > 0 {
			return errDependencyViolation("The networkAcl '%s' has dependencies and cannot be deleted.", id)
		}
		if err := networkACLs.delete(t, id); err != nil {
			return err
		}
		return wantNetwork(t, a.VPC)
	})
}

// entryRequest is what CreateNetworkAclEntry and ReplaceNetworkAclEntry have in common.
type entryRequest struct {
	number, egress any
	protocol       *string
	action         types.RuleAction
	cidr, ipv6     *string
	icmp           *types.IcmpTypeCode
	ports          *types.PortRange
}

var protocolNumbers = map[string]int{"-1": -1, "all": -1, "icmp": 1, "tcp": 6, "udp": 17, "icmpv6": 58}

func (r entryRequest) entry() (aclEntry, error) {
	e := aclEntry{Number: aws.ToInt32(r.number.(*int32)), Egress: aws.ToBool(r.egress.(*bool)), Allow: strings.EqualFold(string(r.action), string(types.RuleActionAllow)), From: -1, To: -1}
	if e.Number < 1 || e.Number > lastEntry {
		return e, errInvalidParameterValue("Invalid value '%d' for rule number. Must specify a rule number between 1 and %d", e.Number, lastEntry)
	}
	name := strings.ToLower(aws.ToString(r.protocol))
	n, known := protocolNumbers[name]
	if !known {
		var err error
		if n, err = strconv.Atoi(name); err != nil || n < 0 || n > 255 {
			return e, errInvalidParameterValue("Invalid value '%s' for IP protocol. Unknown protocol.", name)
		}
	}
	e.Protocol = n
	switch given := strs(r.cidr, r.ipv6); {
	case len(given) != 1:
		return e, errMissingParameter("cidrBlock")
	default:
		prefix, ok := parseCIDR(given[0])
		if !ok || prefix.Addr().Is4() != (aws.ToString(r.cidr) != "") {
			return e, errInvalidCIDR(given[0], "cidrBlock")
		}
		e.CIDR = prefix.String()
	}
	switch n {
	case 6, 17:
		if r.ports == nil || r.ports.From == nil || r.ports.To == nil {
			return e, errMissingParameter("portRange")
		}
		e.From, e.To = *r.ports.From, *r.ports.To
		if e.From == -1 && e.To == -1 {
			e.From, e.To = 0, 65535
		}
		if e.From < 0 || e.To > 65535 || e.From > e.To {
			return e, errInvalidParameterValue("Invalid value '%d-%d' for portRange. Must specify both from and to ports with TCP/UDP.", e.From, e.To)
		}
	case 1, 58:
		if r.icmp == nil {
			return e, errMissingParameter("icmpTypeCode")
		}
		e.From, e.To = aws.ToInt32(r.icmp.Type), aws.ToInt32(r.icmp.Code)
	}
	return e, nil
}

func (a *networkACL) find(number int32, egress bool) int {
	return slices.IndexFunc(a.Entries, func(e aclEntry) bool { return e.Number == number && e.Egress == egress })
}

// CreateNetworkAclEntry adds an entry. Its number must be free.
func (s *Service) CreateNetworkAclEntry(ctx context.Context, in *ec2.CreateNetworkAclEntryInput) (*ec2.CreateNetworkAclEntryOutput, error) {
	e, err := entryRequest{in.RuleNumber, in.Egress, in.Protocol, in.RuleAction, in.CidrBlock, in.Ipv6CidrBlock, in.IcmpTypeCode, in.PortRange}.entry()
	if err != nil {
		return nil, err
	}
	return &ec2.CreateNetworkAclEntryOutput{}, s.update(ctx, func(t tx) error {
		return networkACLs.changeNetwork(t, aws.ToString(in.NetworkAclId), func(a *networkACL) error {
			if a.find(e.Number, e.Egress) >= 0 {
				return errNetworkACLEntryExists(e.Number)
			}
			count := 0
			for _, other := range a.Entries {
				if other.Egress == e.Egress {
					count++
				}
			}
			if count >= maxEntries {
				return errNetworkACLEntryLimitExceeded()
			}
			a.Entries = append(a.Entries, e)
			sortEntries(a)
			return nil
		})
	})
}

func sortEntries(a *networkACL) {
	slices.SortFunc(a.Entries, func(x, y aclEntry) int {
		if x.Egress != y.Egress {
			if x.Egress {
				return -1
			}
			return 1
		}
		return int(x.Number - y.Number)
	})
}

// ReplaceNetworkAclEntry changes an entry that is there.
func (s *Service) ReplaceNetworkAclEntry(ctx context.Context, in *ec2.ReplaceNetworkAclEntryInput) (*ec2.ReplaceNetworkAclEntryOutput, error) {
	e, err := entryRequest{in.RuleNumber, in.Egress, in.Protocol, in.RuleAction, in.CidrBlock, in.Ipv6CidrBlock, in.IcmpTypeCode, in.PortRange}.entry()
	if err != nil {
		return nil, err
	}
	return &ec2.ReplaceNetworkAclEntryOutput{}, s.update(ctx, func(t tx) error {
		return networkACLs.changeNetwork(t, aws.ToString(in.NetworkAclId), func(a *networkACL) error {
			i := a.find(e.Number, e.Egress)
			if i < 0 {
				return errNetworkACLEntryNotFound(e.Egress, e.Number, a.ID)
			}
			a.Entries[i] = e
			return nil
		})
	})
}

// DeleteNetworkAclEntry removes an entry.
func (s *Service) DeleteNetworkAclEntry(ctx context.Context, in *ec2.DeleteNetworkAclEntryInput) (*ec2.DeleteNetworkAclEntryOutput, error) {
	return &ec2.DeleteNetworkAclEntryOutput{}, s.update(ctx, func(t tx) error {
		return networkACLs.changeNetwork(t, aws.ToString(in.NetworkAclId), func(a *networkACL) error {
			i := a.find(aws.ToInt32(in.RuleNumber), aws.ToBool(in.Egress))
			if i < 0 {
				return errNetworkACLEntryNotFound(aws.ToBool(in.Egress), aws.ToInt32(in.RuleNumber), a.ID)
			}
			a.Entries = slices.Delete(a.Entries, i, i+1)
			return nil
		})
	})
}

// ReplaceNetworkAclAssociation puts a subnet under another ACL.
func (s *Service) ReplaceNetworkAclAssociation(ctx context.Context, in *ec2.ReplaceNetworkAclAssociationInput) (*ec2.ReplaceNetworkAclAssociationOutput, error) {
	id := aws.ToString(in.AssociationId)
	out := &ec2.ReplaceNetworkAclAssociationOutput{}
	return out, s.update(ctx, func(t tx) error {
		old, err := networkACLs.in(t).Index("association").Find(id)
		if err != nil {
			return err
		}
		if old == nil {
			return errAssociationNotFound(id)
		}
		a, err := networkACLs.get(t, aws.ToString(in.NetworkAclId))
		if err != nil {
			return err
		}
		if a.VPC != old.VPC {
			return errInvalidParameterValue("Network acl %s and network acl %s belong to different networks", a.ID, old.ID)
		}
		if a.ID == old.ID {
			a = old
		}
		i := slices.IndexFunc(old.Associations, func(x aclAssociation) bool { return x.ID == id })
		moved := aclAssociation{t.NewID("aclassoc-"), old.Associations[i].Subnet}
		old.Associations = slices.Delete(old.Associations, i, i+1)
		a.Associations = append(a.Associations, moved)
		out.NewAssociationId = aws.String(moved.ID)
		if err := networkACLs.put(t, old); err != nil {
			return err
		}
		if err := networkACLs.put(t, a); err != nil {
			return err
		}
		return wantNetwork(t, a.VPC)
	})
}

// entriesToAPI are an ACL's entries with those that deny the rest.
func entriesToAPI(a *networkACL) []types.NetworkAclEntry {
	var list []types.NetworkAclEntry
	for _, egress := range []bool{true, false} {
		ipv6 := false
		for _, e := range a.Entries {
			if e.Egress != egress {
				continue
			}
			ipv6 = ipv6 || e.isIPv6()
			list = append(list, entryToAPI(e))
		}
		list = append(list, entryToAPI(aclEntry{Number: denyTheRest, Egress: egress, Protocol: -1, From: -1, To: -1, CIDR: "0.0.0.0/0"}))
		if ipv6 {
			list = append(list, entryToAPI(aclEntry{Number: denyTheRestIPv6, Egress: egress, Protocol: -1, From: -1, To: -1, CIDR: "::/0"}))
		}
	}
	return list
}

func entryToAPI(e aclEntry) types.NetworkAclEntry {
	shown := types.NetworkAclEntry{
		RuleNumber: aws.Int32(e.Number), Egress: aws.Bool(e.Egress), Protocol: aws.String(strconv.Itoa(e.Protocol)), RuleAction: types.RuleActionDeny,
	}
	if e.Allow {
		shown.RuleAction = types.RuleActionAllow
	}
	if e.isIPv6() {
		shown.Ipv6CidrBlock = aws.String(e.CIDR)
	} else {
		shown.CidrBlock = aws.String(e.CIDR)
	}
	switch e.Protocol {
	case 6, 17:
		shown.PortRange = &types.PortRange{From: aws.Int32(e.From), To: aws.Int32(e.To)}
	case 1, 58:
		shown.IcmpTypeCode = &types.IcmpTypeCode{Type: aws.Int32(e.From), Code: aws.Int32(e.To)}
	}
	return shown
}

func networkACLToAPI(t tx, a *networkACL) (types.NetworkAcl, error) {
	shown := types.NetworkAcl{
		NetworkAclId: aws.String(a.ID), VpcId: aws.String(a.VPC), IsDefault: aws.Bool(a.Default), OwnerId: aws.String(t.scope.Account),
		Tags: tagSet(t, a.Tags), Entries: entriesToAPI(a),
		Associations: []types.NetworkAclAssociation{},
	}
	for _, x := range a.Associations {
		shown.Associations = append(shown.Associations, types.NetworkAclAssociation{
			NetworkAclAssociationId: aws.String(x.ID), NetworkAclId: aws.String(a.ID), SubnetId: aws.String(x.Subnet),
		})
	}
	return shown, nil
}
