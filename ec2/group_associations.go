package ec2

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"miniaws/backend"
	"miniaws/backend/store"
)

// groupAssociation lets interfaces of another VPC have a security group.
//
//	associating ──applied──▶ associated ──▶ disassociating ──applied──▶ gone
//
// AWS: "Associate security groups with multiple VPCs" in the VPC user guide.
type groupAssociation struct {
	Group, VPC string
	State      types.SecurityGroupVpcAssociationState
}

// works tells whether interfaces of the VPC may have the group.
func (a *groupAssociation) works() bool {
	return a != nil && (a.State == types.SecurityGroupVpcAssociationStateAssociating || a.State == types.SecurityGroupVpcAssociationStateAssociated)
}

var groupAssociations = store.NewTable(store.Spec[groupAssociation]{
	Service: "ec2", Name: "security-group-vpc-associations", ID: func(a *groupAssociation) store.ID { return store.ID{a.Group, a.VPC} },
	Indexes: []store.Index[groupAssociation]{{Name: "vpc", Values: func(a *groupAssociation) []store.ID { return []store.ID{{a.VPC}} }}},
})

// groupsIn answers the groups that interfaces of a VPC may have: its own, and those that are associated with it.
func groupsIn(t tx, vpcID string) ([]*securityGroup, error) {
	list, err := securityGroups.by(t, "vpc", vpcID)
	if err != nil {
		return nil, err
	}
	associated, _, err := groupAssociations.In(t, t.scope).Index("vpc").List(store.Query{Parts: store.ID{vpcID}})
	if err != nil {
		return nil, err
	}
	for _, a := range associated {
		if !a.works() {
			continue
		}
		g, err := securityGroups.find(t, a.Group)
		if err != nil {
			return nil, err
		}
		if g != nil {
			list = append(list, g)
		}
	}
	return list, nil
}

// associationsOf are those of a group.
func associationsOf(t tx, group string) ([]*groupAssociation, error) {
	list, _, err := groupAssociations.In(t, t.scope).List(store.Query{Parts: store.ID{group}})
	return list, err
}

// wantNetworksOf asks for a look at every VPC in which the group is.
func wantNetworksOf(t tx, g *securityGroup) error {
	list, err := associationsOf(t, g.ID)
	if err != nil {
		return err
	}
	for _, a := range list {
		if err := wantNetwork(t, a.VPC); err != nil {
			return err
		}
	}
	return wantNetwork(t, g.VPC)
}

// AssociateSecurityGroupVpc lets interfaces of another VPC of the region have the group.
func (s *Service) AssociateSecurityGroupVpc(ctx context.Context, in *ec2.AssociateSecurityGroupVpcInput) (*ec2.AssociateSecurityGroupVpcOutput, error) {
	out := &ec2.AssociateSecurityGroupVpcOutput{State: types.SecurityGroupVpcAssociationStateAssociating}
	return out, s.update(ctx, func(t tx) error {
		g, err := securityGroups.get(t, aws.ToString(in.GroupId))
		if err != nil {
			return err
		}
		v, err := vpcs.get(t, aws.ToString(in.VpcId))
		if err != nil {
			return err
		}
		rows := groupAssociations.In(t, t.scope)
		had, err := rows.Find(g.ID, v.ID)
		switch {
		case err != nil:
			return err
		case g.VPC == v.ID:
			return errInvalidParameterValue("The security group %s already belongs to the VPC %s.", g.ID, v.ID)
		case g.isDefault():
			return errInvalidParameterValue("The default security group %s cannot be associated with a VPC.", g.ID)
		case v.Default:
			return errInvalidParameterValue("A security group cannot be associated with the default VPC %s.", v.ID)
		case had.works():
			out.State = had.State
			return nil
		case had != nil:
			return errIncorrectState("The security group %s is being disassociated from the VPC %s.", g.ID, v.ID)
		}
		if err := rows.Insert(&groupAssociation{g.ID, v.ID, types.SecurityGroupVpcAssociationStateAssociating}); err != nil {
			return err
		}
		return wantNetwork(t, v.ID)
	})
}

// DisassociateSecurityGroupVpc ends it. No interface of the VPC may have the group.
func (s *Service) DisassociateSecurityGroupVpc(ctx context.Context, in *ec2.DisassociateSecurityGroupVpcInput) (*ec2.DisassociateSecurityGroupVpcOutput, error) {
	out := &ec2.DisassociateSecurityGroupVpcOutput{State: types.SecurityGroupVpcAssociationStateDisassociating}
	return out, s.update(ctx, func(t tx) error {
		g, err := securityGroups.get(t, aws.ToString(in.GroupId))
		if err != nil {
			return err
		}
		if !vpcs.wellFormed(aws.ToString(in.VpcId)) {
			return errVPCNotFound(aws.ToString(in.VpcId))
		}
		rows := groupAssociations.In(t, t.scope)
		a, err := rows.Find(g.ID, *in.VpcId)
		if err != nil {
			return err
		}
		if a == nil {
			return errGroupAssociationNotFound(g.ID, *in.VpcId)
		}
		members, err := interfaces.seen(t, "group", g.ID)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(members, func(e *networkInterface) bool { return e.VPC == a.VPC }) {
			return errDependencyViolation("resource %s has a dependent object", g.ID)
		}
		a.State = types.SecurityGroupVpcAssociationStateDisassociating
		return errors.Join(rows.Put(a), wantNetwork(t, a.VPC))
	})
}

// confirmGroupAssociations moves the associations of a VPC on, as far as the applied network has their groups.
func confirmGroupAssociations(t tx, applied *backend.WantedVPC) error {
	rows := groupAssociations.In(t, t.scope)
	list, _, err := rows.Index("vpc").List(store.Query{Parts: store.ID{applied.ID}})
	if err != nil {
		return err
	}
	for _, a := range list {
		has := slices.ContainsFunc(applied.SecurityGroups, func(g backend.WantedSecurityGroup) bool { return g.ID == a.Group })
		switch {
		case a.State == types.SecurityGroupVpcAssociationStateAssociating && has:
			a.State = types.SecurityGroupVpcAssociationStateAssociated
			err = rows.Put(a)
		case a.State == types.SecurityGroupVpcAssociationStateDisassociating && !has:
			err = rows.Delete(a.Group, a.VPC)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

var groupAssociationFilters = filters[groupAssociation]{
	"group-id":       func(_ tx, a *groupAssociation) []string { return one(a.Group) },
	"group-owner-id": func(t tx, _ *groupAssociation) []string { return one(t.scope.Account) },
	"state":          func(_ tx, a *groupAssociation) []string { return one(string(a.State)) },
	"vpc-id":         func(_ tx, a *groupAssociation) []string { return one(a.VPC) },
	"vpc-owner-id":   func(t tx, _ *groupAssociation) []string { return one(t.scope.Account) },
}

// DescribeSecurityGroupVpcAssociations lists associations.
func (s *Service) DescribeSecurityGroupVpcAssociations(ctx context.Context, in *ec2.DescribeSecurityGroupVpcAssociationsInput) (*ec2.DescribeSecurityGroupVpcAssociationsOutput, error) {
	out := &ec2.DescribeSecurityGroupVpcAssociationsOutput{}
	match, err := groupAssociationFilters.compile(func(*groupAssociation) *resource { return &resource{} }, in.Filters)
	if err != nil {
		return nil, err
	}
	return out, s.view(ctx, func(t tx) error {
		list, _, err := groupAssociations.In(t, t.scope).List(store.Query{})
		if err != nil {
			return err
		}
		list = slices.DeleteFunc(list, func(a *groupAssociation) bool { return !match.matches(t, a) })
		list, next, err := cut(list, func(a *groupAssociation) string { return a.Group + " " + a.VPC }, "security-group-vpc-associations", pageBounds{}, query{max: in.MaxResults, token: in.NextToken})
		if err != nil {
			return err
		}
		out.NextToken, out.SecurityGroupVpcAssociations = next, []types.SecurityGroupVpcAssociation{}
		for _, a := range list {
			out.SecurityGroupVpcAssociations = append(out.SecurityGroupVpcAssociations, types.SecurityGroupVpcAssociation{
				GroupId: aws.String(a.Group), VpcId: aws.String(a.VPC), State: a.State, GroupOwnerId: aws.String(t.scope.Account), VpcOwnerId: aws.String(t.scope.Account),
			})
		}
		return nil
	})
}

// forVPCFilters are those of GetSecurityGroupsForVpc.
var forVPCFilters = filters[securityGroup]{
	"description":    func(_ tx, g *securityGroup) []string { return one(g.Description) },
	"group-id":       func(_ tx, g *securityGroup) []string { return one(g.ID) },
	"group-name":     func(_ tx, g *securityGroup) []string { return one(g.Name) },
	"owner-id":       func(t tx, _ *securityGroup) []string { return one(t.scope.Account) },
	"primary-vpc-id": func(_ tx, g *securityGroup) []string { return one(g.VPC) },
}

// GetSecurityGroupsForVpc lists the groups that interfaces of a VPC may have.
func (s *Service) GetSecurityGroupsForVpc(ctx context.Context, in *ec2.GetSecurityGroupsForVpcInput) (*ec2.GetSecurityGroupsForVpcOutput, error) {
	match, err := forVPCFilters.compile(securityGroupBase, in.Filters)
	if err != nil {
		return nil, err
	}
	out := &ec2.GetSecurityGroupsForVpcOutput{}
	return out, s.view(ctx, func(t tx) error {
		v, err := vpcs.read(t, aws.ToString(in.VpcId))
		if err != nil {
			return err
		}
		list, err := groupsIn(t, v.ID)
		if err != nil {
			return err
		}
		list = slices.DeleteFunc(list, func(g *securityGroup) bool { return !match.matches(t, g) })
		slices.SortFunc(list, func(a, b *securityGroup) int { return strings.Compare(a.ID, b.ID) })
		list, next, err := cut(list, func(g *securityGroup) string { return g.ID }, "security-groups-for-vpc", pageBounds{}, query{max: in.MaxResults, token: in.NextToken})
		if err != nil {
			return err
		}
		out.NextToken, out.SecurityGroupForVpcs = next, []types.SecurityGroupForVpc{}
		for _, g := range list {
			out.SecurityGroupForVpcs = append(out.SecurityGroupForVpcs, types.SecurityGroupForVpc{
				GroupId: aws.String(g.ID), GroupName: aws.String(g.Name), Description: aws.String(g.Description), OwnerId: aws.String(t.scope.Account),
				PrimaryVpcId: aws.String(g.VPC), Tags: tagsToAPI(t, g.Tags),
			})
		}
		return nil
	})
}
