package ec2

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"miniaws/backend/store"
)

// securityRule allows one protocol from or to one peer.
type securityRule struct {
	ID     string
	Tags   map[string]string `json:",omitempty"`
	Egress bool              `json:",omitempty"`
	// Protocol is tcp, udp, icmp, icmpv6, a number, or -1 for all.
	Protocol string
	// From and To are ports, or type and code of ICMP; -1 is any.
	From, To int32
	// One of these is set. GroupVPC is set where the group is another VPC's.
	CIDR       string `json:",omitempty"`
	PrefixList string `json:",omitempty"`
	Group      string `json:",omitempty"`
	GroupOwner string `json:",omitempty"`
	GroupVPC   string `json:",omitempty"`
	Peering    string `json:",omitempty"`

	Description string `json:",omitempty"`
}

// AWS: "Amazon VPC quotas": inbound or outbound rules per security group.
const maxRulesPerDirection = 60

func (r securityRule) isIPv6() bool { return strings.Contains(r.CIDR, ":") }

// CIDR4 is the IPv4 range, or "".
func (r securityRule) CIDR4() string {
	if r.isIPv6() {
		return ""
	}
	return r.CIDR
}

// CIDR6 is the IPv6 range, or "".
func (r securityRule) CIDR6() string {
	if r.isIPv6() {
		return r.CIDR
	}
	return ""
}

func (r securityRule) fromPort() string { return strconv.Itoa(int(r.From)) }
func (r securityRule) toPort() string   { return strconv.Itoa(int(r.To)) }

// peerKind is what a rule's peer is, as AWS's errors name it.
type peerKind string

const (
	peerIPv4       peerKind = "IPv4 CIDR"
	peerIPv6       peerKind = "IPv6 CIDR"
	peerPrefixList peerKind = "prefix list"
	peerGroup      peerKind = "referenced group id"
)

func (k peerKind) withArticle() string {
	if strings.HasPrefix(string(k), "IP") {
		return "an " + string(k)
	}
	return "a " + string(k)
}

func (r securityRule) peerKind() peerKind {
	switch {
	case r.PrefixList != "":
		return peerPrefixList
	case r.Group != "":
		return peerGroup
	case r.isIPv6():
		return peerIPv6
	}
	return peerIPv4
}

func kindOfPeer(wanted *types.SecurityGroupRuleRequest) peerKind {
	switch {
	case aws.ToString(wanted.PrefixListId) != "":
		return peerPrefixList
	case aws.ToString(wanted.ReferencedGroupId) != "":
		return peerGroup
	case aws.ToString(wanted.CidrIpv6) != "":
		return peerIPv6
	}
	return peerIPv4
}

// same tells whether two rules allow the same.
func (r securityRule) same(o securityRule) bool {
	return r.Egress == o.Egress && r.Protocol == o.Protocol && r.From == o.From && r.To == o.To &&
		r.CIDR == o.CIDR && r.PrefixList == o.PrefixList && r.Group == o.Group
}

// String is how AWS's errors word a rule.
func (r securityRule) String() string {
	peer := r.CIDR + r.PrefixList + r.Group
	switch r.Protocol {
	case "-1":
		return fmt.Sprintf("peer: %s, ALL, ALLOW", peer)
	case "tcp", "udp":
		return fmt.Sprintf("peer: %s, %s, from port: %d, to port: %d, ALLOW", peer, strings.ToUpper(r.Protocol), r.From, r.To)
	case "icmp", "icmpv6":
		any := func(n int32) string {
			if n < 0 {
				return "ALL"
			}
			return strconv.Itoa(int(n))
		}
		return fmt.Sprintf("peer: %s, %s, type: %s, code: %s, ALLOW", peer, strings.ToUpper(r.Protocol), any(r.From), any(r.To))
	default:
		return fmt.Sprintf("peer: %s, protocol: %s, ALLOW", peer, r.Protocol)
	}
}

var protocolNames = map[string]string{"1": "icmp", "6": "tcp", "17": "udp", "58": "icmpv6", "all": "-1"}

// ruleOf checks protocol and ports of a rule, and answers it without a peer.
// AWS: "IpPermission" and "SecurityGroupRuleRequest" in the API reference.
func ruleOf(protocol *string, from, to *int32) (securityRule, error) {
	name := strings.ToLower(aws.ToString(protocol))
	if other, ok := protocolNames[name]; ok {
		name = other
	}
	r := securityRule{Protocol: name, From: -1, To: -1}
	switch name {
	case "":
		return r, errMissingParameter("ipProtocol")
	case "-1":
		return r, nil
	case "tcp", "udp":
		if from == nil || to == nil {
			return r, errInvalidParameterValue("Invalid value 'Must specify both from and to ports with TCP/UDP.' for portRange.")
		}
		if *from == -1 && *to == -1 {
			r.From, r.To = 0, 65535
			return r, nil
		}
		for _, port := range []int32{*from, *to} {
			if port < 0 || port > 65535 {
				return r, errInvalidParameterValue("Invalid value '%d' for portRange. Must specify both from and to ports with TCP/UDP. Port range is from 0 to 65535.", port)
			}
		}
		if *from > *to {
			return r, errInvalidParameterValue("Invalid TCP/UDP port range (%d:%d)", *from, *to)
		}
		r.From, r.To = *from, *to
	case "icmp", "icmpv6":
		if from != nil {
			r.From = *from
		}
		if to != nil {
			r.To = *to
		}
		if r.From < -1 || r.From > 255 || r.To < -1 || r.To > 255 || r.From == -1 && r.To != -1 {
			return r, errInvalidParameterValue("Invalid ICMP type/code (%d:%d)", r.From, r.To)
		}
	default:
		if n, err := strconv.Atoi(name); err != nil || n < 0 || n > 255 {
			return r, errInvalidParameterValue("Invalid value '%s' for IP protocol. Unknown protocol.", name)
		}
	}
	return r, nil
}

// rulePeer is a peer of a rule as the API has it, with its description.
type rulePeer struct {
	cidr, ipv6, prefixList *string
	group, groupName, user *string
	description            *string
}

// peersOf are the peers of one permission.
func peersOf(p types.IpPermission) []rulePeer {
	var list []rulePeer
	for _, x := range p.IpRanges {
		list = append(list, rulePeer{cidr: x.CidrIp, description: x.Description})
	}
	for _, x := range p.Ipv6Ranges {
		list = append(list, rulePeer{ipv6: x.CidrIpv6, description: x.Description})
	}
	for _, x := range p.PrefixListIds {
		list = append(list, rulePeer{prefixList: x.PrefixListId, description: x.Description})
	}
	for _, x := range p.UserIdGroupPairs {
		list = append(list, rulePeer{group: x.GroupId, groupName: x.GroupName, user: x.UserId, description: x.Description})
	}
	return list
}

// setPeer checks a peer and puts it into a rule of g.
func setPeer(t tx, g *securityGroup, r *securityRule, p rulePeer) error {
	switch {
	case p.cidr != nil:
		prefix, ok := parseIPv4CIDR(*p.cidr)
		if !ok {
			return errInvalidParameterValue("CIDR block %s is malformed", *p.cidr)
		}
		r.CIDR = prefix.String()
	case p.ipv6 != nil:
		prefix, ok := parseIPv6CIDR(*p.ipv6)
		if !ok {
			return errInvalidParameterValue("CIDR block %s is malformed", *p.ipv6)
		}
		r.CIDR = prefix.String()
	case p.prefixList != nil:
		if _, err := prefixLists.get(t, *p.prefixList); err != nil {
			return err
		}
		r.PrefixList = *p.prefixList
	case p.group != nil || p.groupName != nil:
		if err := setGroup(t, g, r, p); err != nil {
			return err
		}
	default:
		return errMissingParameter("cidrIp")
	}
	if p.description != nil {
		if len(*p.description) > maxGroupText || !groupText.MatchString(*p.description) {
			return errInvalidParameterValue("Invalid rule description. Valid descriptions are strings less than 256 characters from the following set:  a-zA-Z0-9. _-:/()#,@[]+=&;{}!$*")
		}
		r.Description = *p.description
	}
	return nil
}

// setGroup puts a group into a rule: one of the same VPC, or of a peered one.
func setGroup(t tx, g *securityGroup, r *securityRule, p rulePeer) error {
	id := aws.ToString(p.group)
	if id == "" {
		other, err := groupByName(t, g.VPC, *p.groupName)
		if err != nil {
			return err
		}
		id = other.ID
	}
	if !securityGroups.wellFormed(id) {
		return errGroupMalformed(id)
	}
	r.Group, r.GroupOwner = id, t.scope.Account
	theirs := t
	if user := aws.ToString(p.user); user != "" && user != t.scope.Account {
		theirs.scope = store.Scope{Account: user, Region: t.scope.Region}
		r.GroupOwner = user
	}
	other, err := securityGroups.find(theirs, id)
	if err != nil {
		return err
	}
	if other == nil {
		return errGroupNotFound(id)
	}
	if other.VPC == g.VPC {
		return nil
	}
	peer, err := peeringBetween(t, g.VPC, other.VPC)
	if err != nil {
		return err
	}
	if peer == nil {
		return errGroupOfOtherNetwork()
	}
	r.GroupVPC, r.Peering = other.VPC, peer.ID
	return nil
}

// ruleChange is what the operations that authorize and revoke have in common.
type ruleChange struct {
	group, name          *string
	egress               bool
	permissions          []types.IpPermission
	cidr, protocol       *string
	from, to             *int32
	sourceName, sourceID *string // source group, by name; its owner
}

// rules are the wanted ones, in the form of records without ids.
func (c ruleChange) rules(t tx, g *securityGroup) ([]securityRule, error) {
	permissions := c.permissions
	flat := c.cidr != nil || c.protocol != nil || c.from != nil || c.to != nil || c.sourceName != nil
	switch {
	case flat && len(permissions) > 0:
		return nil, errInvalidParameterCombination("The parameter 'ipPermissions' may not be used in combination with 'ipProtocol'")
	case flat:
		p := types.IpPermission{IpProtocol: c.protocol, FromPort: c.from, ToPort: c.to}
		if c.cidr != nil {
			p.IpRanges = []types.IpRange{{CidrIp: c.cidr}}
		}
		if c.sourceName != nil {
			p.UserIdGroupPairs = []types.UserIdGroupPair{{GroupName: c.sourceName, UserId: c.sourceID}}
			if c.protocol == nil {
				p.IpProtocol = aws.String("-1")
			}
		}
		permissions = []types.IpPermission{p}
	case len(permissions) == 0:
		return nil, errMissingParameter("ipPermissions")
	}
	var list []securityRule
	for _, p := range permissions {
		base, err := ruleOf(p.IpProtocol, p.FromPort, p.ToPort)
		if err != nil {
			return nil, err
		}
		base.Egress = c.egress
		peers := peersOf(p)
		if len(peers) == 0 {
			return nil, errMissingParameter("cidrIp")
		}
		for _, peer := range peers {
			r := base
			if err := setPeer(t, g, &r, peer); err != nil {
				return nil, err
			}
			if slices.ContainsFunc(list, r.same) {
				return nil, errInvalidParameterValue("The same permission must not appear multiple times")
			}
			list = append(list, r)
		}
	}
	return list, nil
}

func (s *Service) authorize(ctx context.Context, c ruleChange, specs []types.TagSpecification) (added []types.SecurityGroupRule, err error) {
	tags, err := tagsOnCreate(specs, types.ResourceTypeSecurityGroupRule)
	if err != nil {
		return nil, err
	}
	err = s.update(ctx, func(t tx) error {
		added = nil
		g, err := findGroup(t, c.group, c.name)
		if err != nil {
			return err
		}
		wanted, err := c.rules(t, g)
		if err != nil {
			return err
		}
		for _, r := range wanted {
			if slices.ContainsFunc(g.Rules, r.same) {
				return errPermissionDuplicate(r.String())
			}
			r.ID, r.Tags = t.NewID("sgr-"), tags
			g.Rules = append(g.Rules, r)
			added = append(added, ruleToAPI(t, g, r))
		}
		if err := checkRuleCount(g); err != nil {
			return err
		}
		if err := securityGroups.put(t, g); err != nil {
			return err
		}
		return wantNetworksOf(t, g)
	})
	return added, err
}

func checkRuleCount(g *securityGroup) error {
	count := map[bool]int{}
	for _, r := range g.Rules {
		if count[r.Egress]++; count[r.Egress] > maxRulesPerDirection {
			return errRulesPerGroupLimitExceeded()
		}
	}
	return nil
}

// AuthorizeSecurityGroupIngress lets more in.
func (s *Service) AuthorizeSecurityGroupIngress(ctx context.Context, in *ec2.AuthorizeSecurityGroupIngressInput) (*ec2.AuthorizeSecurityGroupIngressOutput, error) {
	added, err := s.authorize(ctx, ruleChange{
		group: in.GroupId, name: in.GroupName, permissions: in.IpPermissions, cidr: in.CidrIp, protocol: in.IpProtocol, from: in.FromPort, to: in.ToPort,
		sourceName: in.SourceSecurityGroupName, sourceID: in.SourceSecurityGroupOwnerId,
	}, in.TagSpecifications)
	return &ec2.AuthorizeSecurityGroupIngressOutput{Return: aws.Bool(true), SecurityGroupRules: added}, err
}

// AuthorizeSecurityGroupEgress lets more out.
func (s *Service) AuthorizeSecurityGroupEgress(ctx context.Context, in *ec2.AuthorizeSecurityGroupEgressInput) (*ec2.AuthorizeSecurityGroupEgressOutput, error) {
	added, err := s.authorize(ctx, ruleChange{
		group: in.GroupId, egress: true, permissions: in.IpPermissions, cidr: in.CidrIp, protocol: in.IpProtocol, from: in.FromPort, to: in.ToPort,
		sourceName: in.SourceSecurityGroupName, sourceID: in.SourceSecurityGroupOwnerId,
	}, in.TagSpecifications)
	return &ec2.AuthorizeSecurityGroupEgressOutput{Return: aws.Bool(true), SecurityGroupRules: added}, err
}

// revoke removes rules, by their ids or by what they allow.
// AWS: "RevokeSecurityGroupIngress" in the API reference: for the default VPC what does not match is answered as unknown,
// elsewhere it is an error and nothing is revoked.
func (s *Service) revoke(ctx context.Context, c ruleChange, ids []string) (gone []types.RevokedSecurityGroupRule, unknown []types.IpPermission, err error) {
	err = s.update(ctx, func(t tx) error {
		gone, unknown = nil, nil
		g, err := findGroup(t, c.group, c.name)
		if err != nil {
			return err
		}
		remove := func(match func(securityRule) bool) bool {
			i := slices.IndexFunc(g.Rules, match)
			if i < 0 {
				return false
			}
			gone = append(gone, revokedToAPI(g, g.Rules[i]))
			g.Rules = slices.Delete(g.Rules, i, i+1)
			return true
		}
		for _, id := range ids {
			if !securityGroupRules.wellFormed(id) {
				return errSecurityGroupRuleMalformed(id)
			}
			if !remove(func(r securityRule) bool { return r.ID == id && r.Egress == c.egress }) {
				return errSecurityGroupRuleNotFound(id)
			}
		}
		if len(ids) == 0 {
			v, err := vpcs.get(t, g.VPC)
			if err != nil {
				return err
			}
			wanted, err := c.rules(t, g)
			if err != nil {
				return err
			}
			var missed []securityRule
			for _, r := range wanted {
				if !remove(r.same) {
					missed = append(missed, r)
				}
			}
			if len(missed) > 0 && !v.Default {
				return errPermissionNotFound()
			}
			unknown = permissionsToAPI(missed, c.egress)
		}
		if err := securityGroups.put(t, g); err != nil {
			return err
		}
		return wantNetworksOf(t, g)
	})
	return gone, unknown, err
}

// RevokeSecurityGroupIngress lets less in. Connections that are established go on.
func (s *Service) RevokeSecurityGroupIngress(ctx context.Context, in *ec2.RevokeSecurityGroupIngressInput) (*ec2.RevokeSecurityGroupIngressOutput, error) {
	gone, unknown, err := s.revoke(ctx, ruleChange{
		group: in.GroupId, name: in.GroupName, permissions: in.IpPermissions, cidr: in.CidrIp, protocol: in.IpProtocol, from: in.FromPort, to: in.ToPort,
		sourceName: in.SourceSecurityGroupName, sourceID: in.SourceSecurityGroupOwnerId,
	}, in.SecurityGroupRuleIds)
	return &ec2.RevokeSecurityGroupIngressOutput{Return: aws.Bool(true), RevokedSecurityGroupRules: gone, UnknownIpPermissions: unknown}, err
}

// RevokeSecurityGroupEgress lets less out.
func (s *Service) RevokeSecurityGroupEgress(ctx context.Context, in *ec2.RevokeSecurityGroupEgressInput) (*ec2.RevokeSecurityGroupEgressOutput, error) {
	gone, unknown, err := s.revoke(ctx, ruleChange{
		group: in.GroupId, egress: true, permissions: in.IpPermissions, cidr: in.CidrIp, protocol: in.IpProtocol, from: in.FromPort, to: in.ToPort,
		sourceName: in.SourceSecurityGroupName, sourceID: in.SourceSecurityGroupOwnerId,
	}, in.SecurityGroupRuleIds)
	return &ec2.RevokeSecurityGroupEgressOutput{Return: aws.Bool(true), RevokedSecurityGroupRules: gone, UnknownIpPermissions: unknown}, err
}

// ModifySecurityGroupRules replaces rules, which keep their ids and tags, and the kind of their peer.
// AWS: "SecurityGroupRuleRequest": when you modify a rule, you cannot change the rule type.
func (s *Service) ModifySecurityGroupRules(ctx context.Context, in *ec2.ModifySecurityGroupRulesInput) (*ec2.ModifySecurityGroupRulesOutput, error) {
	return &ec2.ModifySecurityGroupRulesOutput{Return: aws.Bool(true)}, s.update(ctx, func(t tx) error {
		return securityGroups.edit(t, aws.ToString(in.GroupId), func(g *securityGroup) error {
			for _, change := range in.SecurityGroupRules {
				id, to := aws.ToString(change.SecurityGroupRuleId), change.SecurityGroupRule
				i := slices.IndexFunc(g.Rules, func(r securityRule) bool { return r.ID == id })
				if i < 0 {
					return errSecurityGroupRuleNotFound(id)
				}
				if to == nil {
					return errMissingParameter("SecurityGroupRule")
				}
				if given := strs(to.CidrIpv4, to.CidrIpv6, to.PrefixListId, to.ReferencedGroupId); len(given) != 1 {
					return errInvalidParameterCombination("Exactly one of cidrIpv4, cidrIpv6, prefixListId and referencedGroupId must be specified.")
				}
				r, err := ruleOf(to.IpProtocol, to.FromPort, to.ToPort)
				if err != nil {
					return err
				}
				if had, wanted := g.Rules[i].peerKind(), kindOfPeer(to); had != wanted {
					return errInvalidParameterValue("You may not specify %s for an existing %s rule.", wanted.withArticle(), had)
				}
				r.ID, r.Tags, r.Egress = id, g.Rules[i].Tags, g.Rules[i].Egress
				if err := setPeer(t, g, &r, rulePeer{cidr: to.CidrIpv4, ipv6: to.CidrIpv6, prefixList: to.PrefixListId, group: to.ReferencedGroupId, description: to.Description}); err != nil {
					return err
				}
				for j, other := range g.Rules {
					if j != i && other.same(r) {
						return errPermissionDuplicate(r.String())
					}
				}
				g.Rules[i] = r
			}
			return wantNetworksOf(t, g)
		})
	})
}

func (s *Service) describeRules(ctx context.Context, c ruleChange, byID []types.SecurityGroupRuleDescription) error {
	return s.update(ctx, func(t tx) error {
		g, err := findGroup(t, c.group, c.name)
		if err != nil {
			return err
		}
		for _, d := range byID {
			i := slices.IndexFunc(g.Rules, func(r securityRule) bool { return r.ID == aws.ToString(d.SecurityGroupRuleId) && r.Egress == c.egress })
			if i < 0 {
				return errSecurityGroupRuleNotFound(aws.ToString(d.SecurityGroupRuleId))
			}
			g.Rules[i].Description = aws.ToString(d.Description)
		}
		if len(byID) == 0 {
			wanted, err := c.rules(t, g)
			if err != nil {
				return err
			}
			for _, r := range wanted {
				i := slices.IndexFunc(g.Rules, r.same)
				if i < 0 {
					return errPermissionNotFound()
				}
				g.Rules[i].Description = r.Description
			}
		}
		return securityGroups.put(t, g)
	})
}

// UpdateSecurityGroupRuleDescriptionsIngress changes descriptions only.
func (s *Service) UpdateSecurityGroupRuleDescriptionsIngress(ctx context.Context, in *ec2.UpdateSecurityGroupRuleDescriptionsIngressInput) (*ec2.UpdateSecurityGroupRuleDescriptionsIngressOutput, error) {
	return &ec2.UpdateSecurityGroupRuleDescriptionsIngressOutput{Return: aws.Bool(true)},
		s.describeRules(ctx, ruleChange{group: in.GroupId, name: in.GroupName, permissions: in.IpPermissions}, in.SecurityGroupRuleDescriptions)
}

// UpdateSecurityGroupRuleDescriptionsEgress changes descriptions only.
func (s *Service) UpdateSecurityGroupRuleDescriptionsEgress(ctx context.Context, in *ec2.UpdateSecurityGroupRuleDescriptionsEgressInput) (*ec2.UpdateSecurityGroupRuleDescriptionsEgressOutput, error) {
	return &ec2.UpdateSecurityGroupRuleDescriptionsEgressOutput{Return: aws.Bool(true)},
		s.describeRules(ctx, ruleChange{group: in.GroupId, name: in.GroupName, egress: true, permissions: in.IpPermissions}, in.SecurityGroupRuleDescriptions)
}
