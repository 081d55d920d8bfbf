package ec2

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// ruleRow is a rule as Describe lists it.
type ruleRow struct {
	resource
	rule  securityRule
	group *securityGroup
}

var ruleFilters = filters[ruleRow]{
	"group-id":               func(_ tx, r *ruleRow) []string { return one(r.group.ID) },
	"security-group-rule-id": func(_ tx, r *ruleRow) []string { return one(r.rule.ID) },
}

// DescribeSecurityGroupRules lists the rules of groups.
func (s *Service) DescribeSecurityGroupRules(ctx context.Context, in *ec2.DescribeSecurityGroupRulesInput) (*ec2.DescribeSecurityGroupRulesOutput, error) {
	match, err := ruleFilters.compile(func(r *ruleRow) *resource { return &r.resource }, in.Filters)
	if err != nil {
		return nil, err
	}
	out := &ec2.DescribeSecurityGroupRulesOutput{}
	return out, s.view(ctx, func(t tx) error {
		groups, err := groupsOfRules(t, in)
		if err != nil {
			return err
		}
		var rows []*ruleRow
		for _, g := range groups {
			for _, r := range g.Rules {
				row := &ruleRow{resource{r.ID, r.Tags}, r, g}
				if (len(in.SecurityGroupRuleIds) == 0 || slices.Contains(in.SecurityGroupRuleIds, r.ID)) && match.matches(t, row) {
					rows = append(rows, row)
				}
			}
		}
		slices.SortFunc(rows, func(a, b *ruleRow) int { return strings.Compare(a.ID, b.ID) })
		rows = slices.CompactFunc(rows, func(a, b *ruleRow) bool { return a.ID == b.ID })
		rows, next, err := cut(rows, func(r *ruleRow) string { return r.ID }, "rules", pageBounds{5, 1000},
			query{ids: in.SecurityGroupRuleIds, idsName: "securityGroupRuleIds", max: in.MaxResults, token: in.NextToken})
		if err != nil {
			return err
		}
		out.NextToken = next
		out.SecurityGroupRules = []types.SecurityGroupRule{}
		for _, row := range rows {
			out.SecurityGroupRules = append(out.SecurityGroupRules, ruleToAPI(t, row.group, row.rule))
		}
		return nil
	})
}

// groupsOfRules are the groups among whose rules to look.
func groupsOfRules(t tx, in *ec2.DescribeSecurityGroupRulesInput) ([]*securityGroup, error) {
	var groups []*securityGroup
	for _, id := range in.SecurityGroupRuleIds {
		g, err := groupOfRule(t, id)
		if err != nil {
			return nil, err
		}
		groups = append(groups, g)
	}
	if groups != nil {
		return groups, nil
	}
	for _, f := range in.Filters {
		exact := !slices.ContainsFunc(f.Values, func(value string) bool { return !compilePattern(value).exact() })
		if aws.ToString(f.Name) == "group-id" && exact {
			for _, id := range f.Values {
				g, err := securityGroups.find(t, id)
				if err != nil {
					return nil, err
				}
				if g != nil {
					groups = append(groups, g)
				}
			}
			return groups, nil
		}
	}
	return securityGroups.all(t)
}

func groupOfRule(t tx, id string) (*securityGroup, error) {
	if !securityGroupRules.wellFormed(id) {
		return nil, errSecurityGroupRuleMalformed(id)
	}
	g, err := securityGroups.in(t).Index("rule").Find(id)
	if err == nil && g == nil {
		err = errSecurityGroupRuleNotFound(id)
	}
	return g, err
}

// ruleKind lets rules be tagged although they live in their groups.
type ruleKind struct{}

var securityGroupRules = ruleKind{}

func (ruleKind) idPrefix() string                 { return "sgr-" }
func (ruleKind) resourceType() types.ResourceType { return types.ResourceTypeSecurityGroupRule }
func (ruleKind) missing(id string) error          { return errSecurityGroupRuleNotFound(id) }

func (ruleKind) wellFormed(id string) bool {
	text, ok := strings.CutPrefix(id, "sgr-")
	return ok && idPattern.MatchString(text)
}

func (ruleKind) load(t tx, id string) (*resource, func() error, error) {
	g, err := groupOfRule(t, id)
	if err != nil {
		return nil, nil, err
	}
	r := &g.Rules[slices.IndexFunc(g.Rules, func(r securityRule) bool { return r.ID == id })]
	rec := &resource{r.ID, r.Tags}
	return rec, func() error {
		r.Tags = rec.Tags
		return securityGroups.put(t, g)
	}, nil
}

func (ruleKind) each(t tx, fn func(*resource) error) error {
	groups, err := securityGroups.all(t)
	if err != nil {
		return err
	}
	for _, g := range groups {
		for _, r := range g.Rules {
			if err := fn(&resource{r.ID, r.Tags}); err != nil {
				return err
			}
		}
	}
	return nil
}

func (ruleKind) vpcOf(t tx, id string) string {
	g, err := groupOfRule(t, id)
	if err != nil {
		return ""
	}
	return g.VPC
}

func (ruleKind) record(tx, string) (any, error) { return nil, nil }

// portsToAPI are nil where the protocol has none.
func (r securityRule) portsToAPI() (from, to *int32) {
	switch r.Protocol {
	case "tcp", "udp", "icmp", "icmpv6":
		return aws.Int32(r.From), aws.Int32(r.To)
	default:
		return nil, nil
	}
}

func (r securityRule) pairToAPI() types.UserIdGroupPair {
	pair := types.UserIdGroupPair{GroupId: aws.String(r.Group), UserId: aws.String(r.GroupOwner), Description: optional(r.Description)}
	if r.GroupVPC != "" {
		pair.VpcId, pair.VpcPeeringConnectionId, pair.PeeringStatus = aws.String(r.GroupVPC), optional(r.Peering), aws.String("active")
	}
	return pair
}

// optional is nil for "".
func optional(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

// permissionsToAPI puts the rules of one direction together by protocol and ports.
func permissionsToAPI(rules []securityRule, egress bool) []types.IpPermission {
	list := []types.IpPermission{}
	at := map[string]int{}
	for _, r := range rules {
		if r.Egress != egress {
			continue
		}
		key := fmt.Sprint(r.Protocol, " ", r.From, " ", r.To)
		i, ok := at[key]
		if !ok {
			i = len(list)
			at[key] = i
			p := types.IpPermission{
				IpProtocol: aws.String(r.Protocol), IpRanges: []types.IpRange{}, Ipv6Ranges: []types.Ipv6Range{},
				PrefixListIds: []types.PrefixListId{}, UserIdGroupPairs: []types.UserIdGroupPair{},
			}
			p.FromPort, p.ToPort = r.portsToAPI()
			list = append(list, p)
		}
		p := &list[i]
		switch {
		case r.Group != "":
			p.UserIdGroupPairs = append(p.UserIdGroupPairs, r.pairToAPI())
		case r.PrefixList != "":
			p.PrefixListIds = append(p.PrefixListIds, types.PrefixListId{PrefixListId: aws.String(r.PrefixList), Description: optional(r.Description)})
		case r.isIPv6():
			p.Ipv6Ranges = append(p.Ipv6Ranges, types.Ipv6Range{CidrIpv6: aws.String(r.CIDR), Description: optional(r.Description)})
		default:
			p.IpRanges = append(p.IpRanges, types.IpRange{CidrIp: aws.String(r.CIDR), Description: optional(r.Description)})
		}
	}
	return list
}

func ruleToAPI(t tx, g *securityGroup, r securityRule) types.SecurityGroupRule {
	shown := types.SecurityGroupRule{
		SecurityGroupRuleId: aws.String(r.ID), GroupId: aws.String(g.ID), GroupOwnerId: aws.String(t.scope.Account), IsEgress: aws.Bool(r.Egress),
		IpProtocol: aws.String(r.Protocol), FromPort: aws.Int32(r.From), ToPort: aws.Int32(r.To), Description: optional(r.Description),
		CidrIpv4: optional(r.CIDR4()), CidrIpv6: optional(r.CIDR6()), PrefixListId: optional(r.PrefixList), Tags: tagsToAPI(t, r.Tags),
		SecurityGroupRuleArn: aws.String(arn(t.scope, types.ResourceTypeSecurityGroupRule, r.ID)),
	}
	if r.Group != "" {
		shown.ReferencedGroupInfo = &types.ReferencedSecurityGroup{
			GroupId: aws.String(r.Group), UserId: aws.String(r.GroupOwner), VpcId: optional(r.GroupVPC), VpcPeeringConnectionId: optional(r.Peering),
		}
		if r.GroupVPC != "" {
			shown.ReferencedGroupInfo.PeeringStatus = aws.String("active")
		}
	}
	return shown
}

func revokedToAPI(g *securityGroup, r securityRule) types.RevokedSecurityGroupRule {
	return types.RevokedSecurityGroupRule{
		SecurityGroupRuleId: aws.String(r.ID), GroupId: aws.String(g.ID), IsEgress: aws.Bool(r.Egress), IpProtocol: aws.String(r.Protocol),
		FromPort: aws.Int32(r.From), ToPort: aws.Int32(r.To), Description: optional(r.Description), CidrIpv4: optional(r.CIDR4()), CidrIpv6: optional(r.CIDR6()),
		PrefixListId: optional(r.PrefixList), ReferencedGroupId: optional(r.Group),
	}
}
