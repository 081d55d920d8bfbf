package iam

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"

	"miniaws/backend/store"
	"miniaws/iam/policy"
)

// An inline policy has no name outside of its user, group or role, and goes with it.

func putInline[T any](ctx context.Context, s *Service, k *kind[T], holder, name, text *string) error {
	if err := checkName("policyName", aws.ToString(name)); err != nil {
		return err
	}
	d := document(aws.ToString(text))
	if err := checkPolicy(d, policy.Identity); err != nil {
		return err
	}
	return alter(ctx, s, k, holder, func(_ store.Tx, _ string, record *T) error {
		if err := k.guarded(record); err != nil {
			return err
		}
		i := k.of(record)
		if i.Inline == nil {
			i.Inline = map[string]document{}
		}
		i.Inline[*name] = d
		size := 0
		for _, d := range i.Inline {
			size += d.size()
		}
		if size > k.maxInline {
			return errLimitExceeded("Maximum policy size of %d bytes exceeded for %s %s", k.maxInline, k.word, i.Name)
		}
		return nil
	})
}

// getInline answers the holder's name as it is written and the document.
func getInline[T any](ctx context.Context, s *Service, k *kind[T], holder, name *string) (exact string, d document, err error) {
	err = look(ctx, s, k, holder, func(_ store.Tx, _ string, record *T) error {
		var ok bool
		if d, ok = k.of(record).Inline[aws.ToString(name)]; !ok {
			return errNotFound(k.word+" policy", aws.ToString(name))
		}
		exact = k.of(record).Name
		return nil
	})
	return exact, d, err
}

func deleteInline[T any](ctx context.Context, s *Service, k *kind[T], holder, name *string) error {
	return alter(ctx, s, k, holder, func(_ store.Tx, _ string, record *T) error {
		if err := k.guarded(record); err != nil {
			return err
		}
		i := k.of(record)
		if _, ok := i.Inline[aws.ToString(name)]; !ok {
			return errNotFound(k.word+" policy", aws.ToString(name))
		}
		delete(i.Inline, *name)
		return nil
	})
}

func listInline[T any](ctx context.Context, s *Service, k *kind[T], holder, marker *string, maxItems *int32) (p page[string], err error) {
	err = look(ctx, s, k, holder, func(_ store.Tx, _ string, record *T) (err error) {
		p, err = pageOfList(k.of(record).inlineNames(), func(name string) string { return name }, marker, maxItems)
		return err
	})
	return p, err
}

// PutUserPolicy adds or replaces an inline policy of a user.
func (s *Service) PutUserPolicy(ctx context.Context, in *iam.PutUserPolicyInput) (*iam.PutUserPolicyOutput, error) {
	return &iam.PutUserPolicyOutput{}, putInline(ctx, s, users, in.UserName, in.PolicyName, in.PolicyDocument)
}

// PutGroupPolicy adds or replaces an inline policy of a group.
func (s *Service) PutGroupPolicy(ctx context.Context, in *iam.PutGroupPolicyInput) (*iam.PutGroupPolicyOutput, error) {
	return &iam.PutGroupPolicyOutput{}, putInline(ctx, s, groups, in.GroupName, in.PolicyName, in.PolicyDocument)
}

// PutRolePolicy adds or replaces an inline policy of a role.
func (s *Service) PutRolePolicy(ctx context.Context, in *iam.PutRolePolicyInput) (*iam.PutRolePolicyOutput, error) {
	return &iam.PutRolePolicyOutput{}, putInline(ctx, s, roles, in.RoleName, in.PolicyName, in.PolicyDocument)
}

// GetUserPolicy answers an inline policy of a user.
func (s *Service) GetUserPolicy(ctx context.Context, in *iam.GetUserPolicyInput) (*iam.GetUserPolicyOutput, error) {
	holder, d, err := getInline(ctx, s, users, in.UserName, in.PolicyName)
	return &iam.GetUserPolicyOutput{UserName: &holder, PolicyName: in.PolicyName, PolicyDocument: d.escaped()}, err
}

// GetGroupPolicy answers an inline policy of a group.
func (s *Service) GetGroupPolicy(ctx context.Context, in *iam.GetGroupPolicyInput) (*iam.GetGroupPolicyOutput, error) {
	holder, d, err := getInline(ctx, s, groups, in.GroupName, in.PolicyName)
	return &iam.GetGroupPolicyOutput{GroupName: &holder, PolicyName: in.PolicyName, PolicyDocument: d.escaped()}, err
}

// GetRolePolicy answers an inline policy of a role.
func (s *Service) GetRolePolicy(ctx context.Context, in *iam.GetRolePolicyInput) (*iam.GetRolePolicyOutput, error) {
	holder, d, err := getInline(ctx, s, roles, in.RoleName, in.PolicyName)
	return &iam.GetRolePolicyOutput{RoleName: &holder, PolicyName: in.PolicyName, PolicyDocument: d.escaped()}, err
}

// DeleteUserPolicy removes an inline policy of a user.
func (s *Service) DeleteUserPolicy(ctx context.Context, in *iam.DeleteUserPolicyInput) (*iam.DeleteUserPolicyOutput, error) {
	return &iam.DeleteUserPolicyOutput{}, deleteInline(ctx, s, users, in.UserName, in.PolicyName)
}

// DeleteGroupPolicy removes an inline policy of a group.
func (s *Service) DeleteGroupPolicy(ctx context.Context, in *iam.DeleteGroupPolicyInput) (*iam.DeleteGroupPolicyOutput, error) {
	return &iam.DeleteGroupPolicyOutput{}, deleteInline(ctx, s, groups, in.GroupName, in.PolicyName)
}

// DeleteRolePolicy removes an inline policy of a role.
func (s *Service) DeleteRolePolicy(ctx context.Context, in *iam.DeleteRolePolicyInput) (*iam.DeleteRolePolicyOutput, error) {
	return &iam.DeleteRolePolicyOutput{}, deleteInline(ctx, s, roles, in.RoleName, in.PolicyName)
}

// ListUserPolicies answers the names of a user's inline policies.
func (s *Service) ListUserPolicies(ctx context.Context, in *iam.ListUserPoliciesInput) (*iam.ListUserPoliciesOutput, error) {
	p, err := listInline(ctx, s, users, in.UserName, in.Marker, in.MaxItems)
	return &iam.ListUserPoliciesOutput{PolicyNames: p.list, IsTruncated: p.truncated(), Marker: p.marker}, err
}

// ListGroupPolicies answers the names of a group's inline policies.
func (s *Service) ListGroupPolicies(ctx context.Context, in *iam.ListGroupPoliciesInput) (*iam.ListGroupPoliciesOutput, error) {
	p, err := listInline(ctx, s, groups, in.GroupName, in.Marker, in.MaxItems)
	return &iam.ListGroupPoliciesOutput{PolicyNames: p.list, IsTruncated: p.truncated(), Marker: p.marker}, err
}

// ListRolePolicies answers the names of a role's inline policies.
func (s *Service) ListRolePolicies(ctx context.Context, in *iam.ListRolePoliciesInput) (*iam.ListRolePoliciesOutput, error) {
	p, err := listInline(ctx, s, roles, in.RoleName, in.Marker, in.MaxItems)
	return &iam.ListRolePoliciesOutput{PolicyNames: p.list, IsTruncated: p.truncated(), Marker: p.marker}, err
}
