package ec2

import (
	"context"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"miniaws/backend/lazyregexp"
)

// securityGroup is a stateful filter of the interfaces that have it.
type securityGroup struct {
	resource
	VPC, Name, Description string
	Rules                  []securityRule `json:",omitempty"`
}

// defaultGroup is the name of the group that comes with a VPC.
const defaultGroup = "default"

func (g *securityGroup) vpc() string { return g.VPC }

func (g *securityGroup) isDefault() bool { return g.Name == defaultGroup }

func securityGroupBase(g *securityGroup) *resource { return &g.resource }

// rulesWith makes a filter's function: the values of a group's rules of one direction.
func rulesWith(egress bool, values func(securityRule) string) func(tx, *securityGroup) []string {
	return func(_ tx, g *securityGroup) []string {
		var list []string
		for _, r := range g.Rules {
			if r.Egress == egress {
				list = append(list, one(values(r))...)
			}
		}
		return list
	}
}

var securityGroups = &kind[securityGroup]{
	prefix: "sg-", typ: types.ResourceTypeSecurityGroup, base: securityGroupBase,
	notFound: errGroupNotFound, malformed: errGroupMalformed,
	table: tableOf("security-groups", securityGroupBase, map[string]func(*securityGroup) []string{
		"vpc":  func(g *securityGroup) []string { return one(g.VPC) },
		"name": func(g *securityGroup) []string { return one(g.Name) },
		"rule": func(g *securityGroup) []string {
			var ids []string
			for _, r := range g.Rules {
				ids = append(ids, r.ID)
			}
			return ids
		},
		"peer": func(g *securityGroup) []string {
			var ids []string
			for _, r := range g.Rules {
				ids = append(ids, r.Group, r.PrefixList)
			}
			slices.Sort(ids)
			return slices.Compact(ids)
		},
	}),
	narrow: map[string]string{
		"vpc-id": "vpc", "group-name": "name", "ip-permission.group-id": "peer", "egress.ip-permission.group-id": "peer",
		"ip-permission.prefix-list-id": "peer", "egress.ip-permission.prefix-list-id": "peer",
	},
	filters: filters[securityGroup]{
		"description": func(_ tx, g *securityGroup) []string { return one(g.Description) },
		"group-id":    func(_ tx, g *securityGroup) []string { return one(g.ID) },
		"group-name":  func(_ tx, g *securityGroup) []string { return one(g.Name) },
		"owner-id":    func(t tx, _ *securityGroup) []string { return one(t.scope.Account) },
		"vpc-id":      func(_ tx, g *securityGroup) []string { return one(g.VPC) },

		"ip-permission.cidr":           rulesWith(false, func(r securityRule) string { return r.CIDR4() }),
		"ip-permission.from-port":      rulesWith(false, func(r securityRule) string { return r.fromPort() }),
		"ip-permission.group-id":       rulesWith(false, func(r securityRule) string { return r.Group }),
		"ip-permission.ipv6-cidr":      rulesWith(false, func(r securityRule) string { return r.CIDR6() }),
		"ip-permission.prefix-list-id": rulesWith(false, func(r securityRule) string { return r.PrefixList }),
		"ip-permission.protocol":       rulesWith(false, func(r securityRule) string { return r.Protocol }),
		"ip-permission.to-port":        rulesWith(false, func(r securityRule) string { return r.toPort() }),
		"ip-permission.user-id":        rulesWith(false, func(r securityRule) string { return r.GroupOwner }),

		"egress.ip-permission.cidr":           rulesWith(true, func(r securityRule) string { return r.CIDR4() }),
		"egress.ip-permission.from-port":      rulesWith(true, func(r securityRule) string { return r.fromPort() }),
		"egress.ip-permission.group-id":       rulesWith(true, func(r securityRule) string { return r.Group }),
		"egress.ip-permission.ipv6-cidr":      rulesWith(true, func(r securityRule) string { return r.CIDR6() }),
		"egress.ip-permission.prefix-list-id": rulesWith(true, func(r securityRule) string { return r.PrefixList }),
		"egress.ip-permission.protocol":       rulesWith(true, func(r securityRule) string { return r.Protocol }),
		"egress.ip-permission.to-port":        rulesWith(true, func(r securityRule) string { return r.toPort() }),
		"egress.ip-permission.user-id":        rulesWith(true, func(r securityRule) string { return r.GroupOwner }),
	},
}

// These filters look at other groups, so they cannot be part of the declaration.
func init() {
	securityGroups.filters["ip-permission.group-name"] = groupNames(false)
	securityGroups.filters["egress.ip-permission.group-name"] = groupNames(true)
}

func groupNames(egress bool) func(tx, *securityGroup) []string {
	return func(t tx, g *securityGroup) []string {
		var names []string
		for _, r := range g.Rules {
			if r.Group == "" || r.Egress != egress {
				continue
			}
			peer, err := securityGroups.find(t, r.Group)
			if t.fail(err); peer != nil {
				names = append(names, peer.Name)
			}
		}
		return names
	}
}

// AWS: "CreateSecurityGroup" in the API reference: the characters of names and descriptions, and 255 of them at most.
var groupText = lazyregexp.New(`^[a-zA-Z0-9 ._\-:/()#,@\[\]+=&;{}!$*]*$`)

const maxGroupText = 255

// CreateSecurityGroup makes a group that lets everything out and nothing in.
func (s *Service) CreateSecurityGroup(ctx context.Context, in *ec2.CreateSecurityGroupInput) (*ec2.CreateSecurityGroupOutput, error) {
	tags, err := tagsOnCreate(in.TagSpecifications, types.ResourceTypeSecurityGroup)
	if err != nil {
		return nil, err
	}
	name, description := aws.ToString(in.GroupName), aws.ToString(in.Description)
	switch {
	case name == "":
		return nil, errMissingParameter("groupName")
	case description == "":
		return nil, errMissingParameter("groupDescription")
	case strings.HasPrefix(strings.ToLower(name), "sg-"):
		return nil, errInvalidParameterValue("Value (%s) for parameter groupName is invalid. Group names may not be in the format sg-*.", name)
	case name == defaultGroup:
		return nil, errInvalidParameterValue("Cannot use reserved security group name: %s", name)
	case len(name) > maxGroupText || !groupText.MatchString(name):
		return nil, errInvalidParameterValue("Value (%s) for parameter GroupName is invalid. Character sets beyond ASCII are not supported.", name)
	case len(description) > maxGroupText || !groupText.MatchString(description):
		return nil, errInvalidParameterValue("Value (%s) for parameter GroupDescription is invalid. Character sets beyond ASCII are not supported.", description)
	}
	out := &ec2.CreateSecurityGroupOutput{}
	return out, s.update(ctx, func(t tx) error {
		v, err := vpcOrDefault(t, aws.ToString(in.VpcId))
		if err != nil {
			return err
		}
		list, err := securityGroups.by(t, "vpc", v.ID)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(list, func(g *securityGroup) bool { return g.Name == name }) {
			return errGroupDuplicate(name, v.ID)
		}
		g := &securityGroup{resource: resource{ID: t.NewID("sg-"), Tags: tags}, VPC: v.ID, Name: name, Description: description}
		g.Rules = allowAllOut(t, v)
		out.GroupId, out.Tags = aws.String(g.ID), tagsToAPI(t, tags)
		out.SecurityGroupArn = aws.String(arn(t.scope, types.ResourceTypeSecurityGroup, g.ID))
		if err := securityGroups.insert(t, g); err != nil {
			return err
		}
		return wantNetwork(t, v.ID)
	})
}

// vpcOrDefault answers the VPC, or the account's default one for "".
func vpcOrDefault(t tx, id string) (*vpc, error) {
	if id != "" {
		return vpcs.get(t, id)
	}
	v, err := defaultVPC(t)
	if err == nil && v == nil {
		return nil, errVPCIDNotSpecified()
	}
	return v, err
}

// allowAllOut are the rules with which every group begins.
func allowAllOut(t tx, v *vpc) []securityRule {
	rules := []securityRule{{ID: t.NewID("sgr-"), Egress: true, Protocol: "-1", From: -1, To: -1, CIDR: "0.0.0.0/0"}}
	if len(v.IPv6) > 0 {
		rules = append(rules, securityRule{ID: t.NewID("sgr-"), Egress: true, Protocol: "-1", From: -1, To: -1, CIDR: "::/0"})
	}
	return rules
}

// createDefaultSecurityGroup makes the group that comes with a VPC: its members reach each other.
func createDefaultSecurityGroup(t tx, v *vpc) error {
	g := &securityGroup{resource: resource{ID: t.NewID("sg-")}, VPC: v.ID, Name: defaultGroup, Description: "default VPC security group"}
	g.Rules = append(allowAllOut(t, v), securityRule{
		ID: t.NewID("sgr-"), Protocol: "-1", From: -1, To: -1, Group: g.ID, GroupOwner: t.scope.Account,
	})
	return securityGroups.insert(t, g)
}

// defaultSecurityGroup answers the one of a VPC.
func defaultSecurityGroup(t tx, vpcID string) (*securityGroup, error) {
	return groupByName(t, vpcID, defaultGroup)
}

func groupByName(t tx, vpcID, name string) (*securityGroup, error) {
	list, err := securityGroups.by(t, "name", name)
	if err != nil {
		return nil, err
	}
	for _, g := range list {
		if g.VPC == vpcID {
			return g, nil
		}
	}
	return nil, errGroupNotFoundInVPC(name, vpcID)
}

// DescribeSecurityGroups lists groups. Names, where given, are those of the default VPC.
func (s *Service) DescribeSecurityGroups(ctx context.Context, in *ec2.DescribeSecurityGroupsInput) (*ec2.DescribeSecurityGroupsOutput, error) {
	ids := slices.Clone(in.GroupIds)
	if len(in.GroupNames) > 0 {
		err := s.view(ctx, func(t tx) error {
			ids = slices.Clone(in.GroupIds)
			v, err := vpcOrDefault(t, "")
			if err != nil {
				return err
			}
			for _, name := range in.GroupNames {
				g, err := groupByName(t, v.ID, name)
				if err != nil {
					return err
				}
				ids = append(ids, g.ID)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	list, next, err := describe(ctx, s, securityGroups, query{ids, "groupIds", in.Filters, in.MaxResults, in.NextToken}, securityGroupToAPI)
	return &ec2.DescribeSecurityGroupsOutput{SecurityGroups: list, NextToken: next}, err
}

// DeleteSecurityGroup removes a group that nobody has and no other group names.
func (s *Service) DeleteSecurityGroup(ctx context.Context, in *ec2.DeleteSecurityGroupInput) (*ec2.DeleteSecurityGroupOutput, error) {
	out := &ec2.DeleteSecurityGroupOutput{Return: aws.Bool(true)}
	return out, s.update(ctx, func(t tx) error {
		g, err := findGroup(t, in.GroupId, in.GroupName)
		if err != nil {
			return err
		}
		if g.isDefault() {
			return errCannotDeleteGroup(g.ID, g.Name)
		}
		used, err := interfaces.any(t, "group", g.ID)
		if err != nil {
			return err
		}
		peers, err := securityGroups.by(t, "peer", g.ID)
		if err != nil {
			return err
		}
		associated, err := associationsOf(t, g.ID)
		if err != nil {
			return err
		}
		if used || len(associated) > 0 || slices.ContainsFunc(peers, func(other *securityGroup) bool { return other.ID != g.ID && other.VPC == g.VPC }) {
			return errDependencyViolation("resource %s has a dependent object", g.ID)
		}
		out.GroupId = aws.String(g.ID)
		if err := securityGroups.delete(t, g.ID); err != nil {
			return err
		}
		for _, other := range peers { // across peerings: their references are stale now
			if err := wantNetwork(t, other.VPC); err != nil {
				return err
			}
		}
		return wantNetwork(t, g.VPC)
	})
}

// findGroup answers the group with the id, or with the name in the default VPC.
func findGroup(t tx, id, name *string) (*securityGroup, error) {
	switch {
	case aws.ToString(id) != "":
		return securityGroups.get(t, *id)
	case aws.ToString(name) != "":
		v, err := vpcOrDefault(t, "")
		if err != nil {
			return nil, err
		}
		return groupByName(t, v.ID, *name)
	default:
		return nil, errGroupNotNamed()
	}
}

// DescribeSecurityGroupReferences lists the peered VPCs whose groups name the given ones.
func (s *Service) DescribeSecurityGroupReferences(ctx context.Context, in *ec2.DescribeSecurityGroupReferencesInput) (*ec2.DescribeSecurityGroupReferencesOutput, error) {
	out := &ec2.DescribeSecurityGroupReferencesOutput{}
	return out, s.view(ctx, func(t tx) error {
		out.SecurityGroupReferenceSet = []types.SecurityGroupReference{}
		for _, id := range in.GroupId {
			g, err := securityGroups.get(t, id)
			if err != nil {
				return err
			}
			peers, err := securityGroups.by(t, "peer", id)
			if err != nil {
				return err
			}
			seen := map[string]bool{g.VPC: true}
			for _, other := range peers {
				if seen[other.VPC] {
					continue
				}
				seen[other.VPC] = true
				reference := types.SecurityGroupReference{GroupId: aws.String(id), ReferencingVpcId: aws.String(other.VPC)}
				p, err := peeringBetween(t, g.VPC, other.VPC)
				if err != nil {
					return err
				}
				if p != nil {
					reference.VpcPeeringConnectionId = aws.String(p.ID)
				}
				out.SecurityGroupReferenceSet = append(out.SecurityGroupReferenceSet, reference)
			}
		}
		return nil
	})
}

// DescribeStaleSecurityGroups lists the rules of a VPC's groups that name groups which are gone, or are behind a
// peering connection that is.
func (s *Service) DescribeStaleSecurityGroups(ctx context.Context, in *ec2.DescribeStaleSecurityGroupsInput) (*ec2.DescribeStaleSecurityGroupsOutput, error) {
	out := &ec2.DescribeStaleSecurityGroupsOutput{}
	return out, s.view(ctx, func(t tx) error {
		v, err := vpcs.get(t, aws.ToString(in.VpcId))
		if err != nil {
			return err
		}
		list, err := securityGroups.by(t, "vpc", v.ID)
		if err != nil {
			return err
		}
		stale := []types.StaleSecurityGroup{}
		for _, g := range list {
			shown := types.StaleSecurityGroup{GroupId: aws.String(g.ID), GroupName: aws.String(g.Name), Description: aws.String(g.Description), VpcId: aws.String(g.VPC)}
			for _, r := range g.Rules {
				is, err := isStale(t, g, r)
				if err != nil {
					return err
				}
				if !is {
					continue
				}
				permission := types.StaleIpPermission{IpProtocol: aws.String(r.Protocol), UserIdGroupPairs: []types.UserIdGroupPair{r.pairToAPI()}}
				permission.FromPort, permission.ToPort = r.portsToAPI()
				if r.Egress {
					shown.StaleIpPermissionsEgress = append(shown.StaleIpPermissionsEgress, permission)
				} else {
					shown.StaleIpPermissions = append(shown.StaleIpPermissions, permission)
				}
			}
			if shown.StaleIpPermissions != nil || shown.StaleIpPermissionsEgress != nil {
				stale = append(stale, shown)
			}
		}
		out.StaleSecurityGroupSet, out.NextToken, err = cut(stale, func(g types.StaleSecurityGroup) string { return *g.GroupId }, "stale-groups",
			pageBounds{5, 255}, query{max: in.MaxResults, token: in.NextToken})
		return err
	})
}

// isStale tells whether a rule names a group of another VPC that cannot be reached any more.
func isStale(t tx, g *securityGroup, r securityRule) (bool, error) {
	if r.Group == "" || r.GroupVPC == "" || r.GroupVPC == g.VPC {
		return false, nil
	}
	p, err := peeringBetween(t, g.VPC, r.GroupVPC)
	if err != nil || p == nil {
		return true, err
	}
	if r.GroupOwner != t.scope.Account {
		return false, nil
	}
	other, err := securityGroups.find(t, r.Group)
	return other == nil, err
}

func securityGroupToAPI(t tx, g *securityGroup) (types.SecurityGroup, error) {
	return types.SecurityGroup{
		GroupId: aws.String(g.ID), GroupName: aws.String(g.Name), Description: aws.String(g.Description), VpcId: aws.String(g.VPC),
		OwnerId: aws.String(t.scope.Account), SecurityGroupArn: aws.String(arn(t.scope, types.ResourceTypeSecurityGroup, g.ID)),
		Tags: tagsToAPI(t, g.Tags), IpPermissions: permissionsToAPI(g.Rules, false), IpPermissionsEgress: permissionsToAPI(g.Rules, true),
	}, nil
}
