package iam

import (
	"context"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"miniaws/backend/store"
)

// detail is one element of GetAccountAuthorizationDetails: it adds itself to the answer.
type detail struct {
	id  string
	add func(*iam.GetAccountAuthorizationDetailsOutput) error
}

// GetAccountAuthorizationDetails answers identities and policies with all texts: users, groups, roles, then policies.
// Of AWS's own policies it has those that somebody uses.
func (s *Service) GetAccountAuthorizationDetails(ctx context.Context, in *iam.GetAccountAuthorizationDetailsInput) (*iam.GetAccountAuthorizationDetailsOutput, error) {
	out := &iam.GetAccountAuthorizationDetailsOutput{
		UserDetailList: []types.UserDetail{}, GroupDetailList: []types.GroupDetail{}, RoleDetailList: []types.RoleDetail{}, Policies: []types.ManagedPolicyDetail{},
	}
	wants := func(kind types.EntityType) bool { return len(in.Filter) == 0 || slices.Contains(in.Filter, kind) }
	return out, s.view(ctx, func(tx store.Tx, account string) error {
		uses, err := usages(tx, account)
		if err != nil {
			return err
		}
		var all []detail
		if wants(types.EntityTypeUser) {
			for u, err := range s.userRows(tx, account).Scan(store.Query{}) {
				if err != nil {
					return err
				}
				all = append(all, detail{u.ID, func(out *iam.GetAccountAuthorizationDetailsOutput) error { return addUserDetail(tx, account, u, out) }})
			}
		}
		if wants(types.EntityTypeGroup) {
			for g, err := range groupRows(tx, account).Scan(store.Query{}) {
				if err != nil {
					return err
				}
				all = append(all, detail{g.ID, func(out *iam.GetAccountAuthorizationDetailsOutput) error {
					api := g.toAPI(account)
					out.GroupDetailList = append(out.GroupDetailList, types.GroupDetail{
						Arn: api.Arn, CreateDate: api.CreateDate, GroupId: api.GroupId, GroupName: api.GroupName, Path: api.Path,
						AttachedManagedPolicies: attachedToAPI(g.Attached, ""), GroupPolicyList: g.inlineToAPI(),
					})
					return nil
				}})
			}
		}
		if wants(types.EntityTypeRole) {
			for r, err := range roleRows(tx, account).Scan(store.Query{}) {
				if err != nil {
					return err
				}
				all = append(all, detail{r.ID, func(out *iam.GetAccountAuthorizationDetailsOutput) error { return s.addRoleDetail(tx, account, r, out) }})
			}
		}
		policies, err := detailedPolicies(tx, account, wants, uses)
		if err != nil {
			return err
		}
		for _, p := range policies {
			all = append(all, detail{p.ID, func(out *iam.GetAccountAuthorizationDetailsOutput) error {
				return addPolicyDetail(tx, account, p, uses, out)
			}})
		}
		p, err := pageOfList(all, func(d detail) string { return d.id }, in.Marker, in.MaxItems)
		if err != nil {
			return err
		}
		for _, d := range p.list {
			if err := d.add(out); err != nil {
				return err
			}
		}
		out.IsTruncated, out.Marker = p.truncated(), p.marker
		return nil
	})
}

func detailedPolicies(tx store.Tx, account string, wants func(types.EntityType) bool, uses map[string]usage) ([]*managedPolicy, error) {
	var list []*managedPolicy
	if wants(types.EntityTypeLocalManagedPolicy) {
		for p, err := range policyRows(tx, account).Scan(store.Query{}) {
			if err != nil {
				return nil, err
			}
			list = append(list, p)
		}
	}
	if wants(types.EntityTypeAWSManagedPolicy) {
		for _, p := range awsPolicies() {
			if _, used := uses[p.arn(account)]; used {
				list = append(list, p)
			}
		}
	}
	return list, nil
}

func (i *identity) inlineToAPI() []types.PolicyDetail {
	list := []types.PolicyDetail{}
	for _, name := range i.inlineNames() {
		list = append(list, types.PolicyDetail{PolicyName: aws.String(name), PolicyDocument: i.Inline[name].escaped()})
	}
	return list
}

func addUserDetail(tx store.Tx, account string, u *user, out *iam.GetAccountAuthorizationDetailsOutput) error {
	api := u.toAPI(account)
	d := types.UserDetail{
		Arn: api.Arn, CreateDate: api.CreateDate, Path: api.Path, UserId: api.UserId, UserName: api.UserName, Tags: api.Tags,
		PermissionsBoundary: api.PermissionsBoundary, AttachedManagedPolicies: attachedToAPI(u.Attached, ""), UserPolicyList: u.inlineToAPI(),
		GroupList: []string{},
	}
	memberships, err := groupsOf(tx, account, u)
	for _, g := range memberships {
		d.GroupList = append(d.GroupList, g.Name)
	}
	out.UserDetailList = append(out.UserDetailList, d)
	return err
}

func (s *Service) addRoleDetail(tx store.Tx, account string, r *role, out *iam.GetAccountAuthorizationDetailsOutput) error {
	held, err := profilesOf(tx, account, r)
	if err != nil {
		return err
	}
	profileList, err := profilesToAPI(tx, account, held)
	if err != nil {
		return err
	}
	api := r.toAPI(account)
	out.RoleDetailList = append(out.RoleDetailList, types.RoleDetail{
		Arn: api.Arn, AssumeRolePolicyDocument: api.AssumeRolePolicyDocument, CreateDate: api.CreateDate, Path: api.Path, RoleId: api.RoleId,
		RoleName: api.RoleName, Tags: api.Tags, PermissionsBoundary: api.PermissionsBoundary, InstanceProfileList: profileList,
		AttachedManagedPolicies: attachedToAPI(r.Attached, ""), RolePolicyList: r.inlineToAPI(), RoleLastUsed: s.lastUseToAPI(r),
	})
	return nil
}

func addPolicyDetail(tx store.Tx, account string, p *managedPolicy, uses map[string]usage, out *iam.GetAccountAuthorizationDetailsOutput) error {
	api := p.listed(account, uses[p.arn(account)])
	d := types.ManagedPolicyDetail{
		Arn: api.Arn, AttachmentCount: api.AttachmentCount, CreateDate: api.CreateDate, DefaultVersionId: api.DefaultVersionId, IsAttachable: true,
		Path: api.Path, PermissionsBoundaryUsageCount: api.PermissionsBoundaryUsageCount, PolicyId: api.PolicyId, PolicyName: api.PolicyName,
		UpdateDate: api.UpdateDate, PolicyVersionList: []types.PolicyVersion{},
	}
	if p.Description != "" {
		d.Description = aws.String(p.Description)
	}
	versions, err := versionsOf(tx, account, p)
	for _, v := range slices.Backward(versions) {
		listed := v.toAPI(p)
		listed.Document = v.Text.escaped()
		d.PolicyVersionList = append(d.PolicyVersionList, listed)
	}
	out.Policies = append(out.Policies, d)
	return err
}
