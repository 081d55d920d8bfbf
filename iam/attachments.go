package iam

import (
	"context"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"miniaws/backend/store"
)

// attachable refuses ARNs of policies that do not exist for the account.
func attachable(tx store.Tx, account, policyARN string) error {
	if err := checkPolicyARN(policyARN); err != nil {
		return err
	}
	p, err := findPolicy(tx, account, policyARN)
	if err == nil && p == nil {
		err = errPolicyNotAttachable(policyARN)
	}
	return err
}

func checkBoundary(tx store.Tx, account, policyARN string) error {
	err := attachable(tx, account, policyARN)
	if isCode(err, "NoSuchEntity") {
		// AWS: mjgriffin1113/vf-vanity-numbers and reports of openshift/rosa have the words.
		err = errNoSuchEntity("Scope ARN: %s does not exist or is not attachable.", policyARN)
	}
	return err
}

// attach adds a managed policy; one that is there already stays.
func attach[T any](ctx context.Context, s *Service, k *kind[T], holder, policyARN *string) error {
	return alter(ctx, s, k, holder, func(tx store.Tx, account string, record *T) error {
		if err := k.guarded(record); err != nil {
			return err
		}
		if err := attachable(tx, account, aws.ToString(policyARN)); err != nil {
			return err
		}
		i := k.of(record)
		if slices.Contains(i.Attached, *policyARN) {
			return nil
		}
		if len(i.Attached) >= k.maxAttached {
			return errQuota(k.quotaAttached, k.maxAttached)
		}
		i.Attached = append(i.Attached, *policyARN)
		return nil
	})
}

func detach[T any](ctx context.Context, s *Service, k *kind[T], holder, policyARN *string) error {
	return alter(ctx, s, k, holder, func(_ store.Tx, _ string, record *T) error {
		if err := k.guarded(record); err != nil {
			return err
		}
		if err := checkPolicyARN(aws.ToString(policyARN)); err != nil {
			return err
		}
		i := k.of(record)
		at := slices.Index(i.Attached, *policyARN)
		if at < 0 {
			return errPolicyNotFound(*policyARN)
		}
		i.Attached = slices.Delete(i.Attached, at, at+1)
		return nil
	})
}

func listAttached[T any](ctx context.Context, s *Service, k *kind[T], holder, pathPrefix, marker *string, maxItems *int32) (p page[types.AttachedPolicy], err error) {
	err = look(ctx, s, k, holder, func(_ store.Tx, _ string, record *T) (err error) {
		list := attachedToAPI(k.of(record).Attached, aws.ToString(pathPrefix))
		p, err = pageOfList(list, func(a types.AttachedPolicy) string { return *a.PolicyArn }, marker, maxItems)
		return err
	})
	return p, err
}

func attachedToAPI(arns []string, pathPrefix string) []types.AttachedPolicy {
	list := []types.AttachedPolicy{}
	for _, text := range arns {
		if _, _, rest, _ := arnParts(text); strings.HasPrefix(rest, pathPrefix) {
			list = append(list, types.AttachedPolicy{PolicyArn: aws.String(text), PolicyName: aws.String(lastName(rest))})
		}
	}
	return list
}

// AttachUserPolicy attaches a managed policy to a user.
func (s *Service) AttachUserPolicy(ctx context.Context, in *iam.AttachUserPolicyInput) (*iam.AttachUserPolicyOutput, error) {
	return &iam.AttachUserPolicyOutput{}, attach(ctx, s, users, in.UserName, in.PolicyArn)
}

// AttachGroupPolicy attaches a managed policy to a group.
func (s *Service) AttachGroupPolicy(ctx context.Context, in *iam.AttachGroupPolicyInput) (*iam.AttachGroupPolicyOutput, error) {
	return &iam.AttachGroupPolicyOutput{}, attach(ctx, s, groups, in.GroupName, in.PolicyArn)
}

// AttachRolePolicy attaches a managed policy to a role.
func (s *Service) AttachRolePolicy(ctx context.Context, in *iam.AttachRolePolicyInput) (*iam.AttachRolePolicyOutput, error) {
	return &iam.AttachRolePolicyOutput{}, attach(ctx, s, roles, in.RoleName, in.PolicyArn)
}

// DetachUserPolicy takes a managed policy from a user.
func (s *Service) DetachUserPolicy(ctx context.Context, in *iam.DetachUserPolicyInput) (*iam.DetachUserPolicyOutput, error) {
	return &iam.DetachUserPolicyOutput{}, detach(ctx, s, users, in.UserName, in.PolicyArn)
}

// DetachGroupPolicy takes a managed policy from a group.
func (s *Service) DetachGroupPolicy(ctx context.Context, in *iam.DetachGroupPolicyInput) (*iam.DetachGroupPolicyOutput, error) {
	return &iam.DetachGroupPolicyOutput{}, detach(ctx, s, groups, in.GroupName, in.PolicyArn)
}

// DetachRolePolicy takes a managed policy from a role.
func (s *Service) DetachRolePolicy(ctx context.Context, in *iam.DetachRolePolicyInput) (*iam.DetachRolePolicyOutput, error) {
	return &iam.DetachRolePolicyOutput{}, detach(ctx, s, roles, in.RoleName, in.PolicyArn)
}

// ListAttachedUserPolicies answers the managed policies of a user.
func (s *Service) ListAttachedUserPolicies(ctx context.Context, in *iam.ListAttachedUserPoliciesInput) (*iam.ListAttachedUserPoliciesOutput, error) {
	p, err := listAttached(ctx, s, users, in.UserName, in.PathPrefix, in.Marker, in.MaxItems)
	return &iam.ListAttachedUserPoliciesOutput{AttachedPolicies: p.list, IsTruncated: p.truncated(), Marker: p.marker}, err
}

// ListAttachedGroupPolicies answers the managed policies of a group.
func (s *Service) ListAttachedGroupPolicies(ctx context.Context, in *iam.ListAttachedGroupPoliciesInput) (*iam.ListAttachedGroupPoliciesOutput, error) {
	p, err := listAttached(ctx, s, groups, in.GroupName, in.PathPrefix, in.Marker, in.MaxItems)
	return &iam.ListAttachedGroupPoliciesOutput{AttachedPolicies: p.list, IsTruncated: p.truncated(), Marker: p.marker}, err
}

// ListAttachedRolePolicies answers the managed policies of a role.
func (s *Service) ListAttachedRolePolicies(ctx context.Context, in *iam.ListAttachedRolePoliciesInput) (*iam.ListAttachedRolePoliciesOutput, error) {
	p, err := listAttached(ctx, s, roles, in.RoleName, in.PathPrefix, in.Marker, in.MaxItems)
	return &iam.ListAttachedRolePoliciesOutput{AttachedPolicies: p.list, IsTruncated: p.truncated(), Marker: p.marker}, err
}

func putBoundary[T any](ctx context.Context, s *Service, k *kind[T], holder, policyARN *string) error {
	return alter(ctx, s, k, holder, func(tx store.Tx, account string, record *T) error {
		if err := k.guarded(record); err != nil {
			return err
		}
		if policyARN != nil {
			if err := checkBoundary(tx, account, *policyARN); err != nil {
				return err
			}
		}
		k.of(record).Boundary = aws.ToString(policyARN)
		return nil
	})
}

// PutUserPermissionsBoundary sets the most that a user may ever do.
func (s *Service) PutUserPermissionsBoundary(ctx context.Context, in *iam.PutUserPermissionsBoundaryInput) (*iam.PutUserPermissionsBoundaryOutput, error) {
	return &iam.PutUserPermissionsBoundaryOutput{}, putBoundary(ctx, s, users, in.UserName, aws.String(aws.ToString(in.PermissionsBoundary)))
}

// PutRolePermissionsBoundary sets the most that a role may ever do.
func (s *Service) PutRolePermissionsBoundary(ctx context.Context, in *iam.PutRolePermissionsBoundaryInput) (*iam.PutRolePermissionsBoundaryOutput, error) {
	return &iam.PutRolePermissionsBoundaryOutput{}, putBoundary(ctx, s, roles, in.RoleName, aws.String(aws.ToString(in.PermissionsBoundary)))
}

// DeleteUserPermissionsBoundary takes the boundary away; an absent one is no error.
func (s *Service) DeleteUserPermissionsBoundary(ctx context.Context, in *iam.DeleteUserPermissionsBoundaryInput) (*iam.DeleteUserPermissionsBoundaryOutput, error) {
	return &iam.DeleteUserPermissionsBoundaryOutput{}, putBoundary(ctx, s, users, in.UserName, nil)
}

// DeleteRolePermissionsBoundary takes the boundary away; an absent one is no error.
func (s *Service) DeleteRolePermissionsBoundary(ctx context.Context, in *iam.DeleteRolePermissionsBoundaryInput) (*iam.DeleteRolePermissionsBoundaryOutput, error) {
	return &iam.DeleteRolePermissionsBoundaryOutput{}, putBoundary(ctx, s, roles, in.RoleName, nil)
}

// usage counts the identities of an account that use a managed policy.
type usage struct{ attached, boundary int32 }

// usageOf counts for one policy, by the indexes.
func usageOf(tx store.Tx, account, policyARN string) (used usage, err error) {
	holders, err := holdersOf(tx, account, policyARN)
	for _, h := range holders {
		if h.boundary {
			used.boundary++
		} else {
			used.attached++
		}
	}
	return used, err
}

// usages counts for all policies, in one walk.
func usages(tx store.Tx, account string) (map[string]usage, error) {
	uses := map[string]usage{}
	err := errFirst(
		countUses(tx, account, users, uses),
		countUses(tx, account, groups, uses),
		countUses(tx, account, roles, uses),
	)
	return uses, err
}

func countUses[T any](tx store.Tx, account string, k *kind[T], uses map[string]usage) error {
	for record, err := range k.table.In(tx, store.Scope{Account: account}).Scan(store.Query{}) {
		if err != nil {
			return err
		}
		i := k.of(record)
		for _, policyARN := range i.Attached {
			used := uses[policyARN]
			used.attached++
			uses[policyARN] = used
		}
		if i.Boundary != "" {
			used := uses[i.Boundary]
			used.boundary++
			uses[i.Boundary] = used
		}
	}
	return nil
}

// holder is an identity that uses a policy.
type holder struct {
	word     string
	of       *identity
	boundary bool
}

func holdersOf(tx store.Tx, account, policyARN string) (list []holder, err error) {
	collect := func(h []holder, failed error) {
		list = append(list, h...)
		if err == nil {
			err = failed
		}
	}
	collect(holdersIn(tx, account, groups, "policy", policyARN))
	collect(holdersIn(tx, account, users, "policy", policyARN))
	collect(holdersIn(tx, account, roles, "policy", policyARN))
	collect(holdersIn(tx, account, users, "boundary", policyARN))
	collect(holdersIn(tx, account, roles, "boundary", policyARN))
	return list, err
}

func holdersIn[T any](tx store.Tx, account string, k *kind[T], index, policyARN string) (list []holder, err error) {
	for record, err := range k.table.In(tx, store.Scope{Account: account}).Index(index).Scan(store.Query{Parts: store.ID{policyARN}}) {
		if err != nil {
			return nil, err
		}
		list = append(list, holder{word: k.word, of: k.of(record), boundary: index == "boundary"})
	}
	return list, nil
}

// ListEntitiesForPolicy answers who uses a policy: groups, then users, then roles.
func (s *Service) ListEntitiesForPolicy(ctx context.Context, in *iam.ListEntitiesForPolicyInput) (*iam.ListEntitiesForPolicyOutput, error) {
	out := &iam.ListEntitiesForPolicyOutput{PolicyGroups: []types.PolicyGroup{}, PolicyUsers: []types.PolicyUser{}, PolicyRoles: []types.PolicyRole{}}
	err := s.view(ctx, func(tx store.Tx, account string) error {
		if _, err := getPolicy(tx, account, in.PolicyArn); err != nil {
			return err
		}
		holders, err := holdersOf(tx, account, *in.PolicyArn)
		if err != nil {
			return err
		}
		holders = slices.DeleteFunc(holders, func(h holder) bool { return !wantsHolder(in, h) })
		p, err := pageOfList(holders, func(h holder) string { return h.of.ID }, in.Marker, in.MaxItems)
		for _, h := range p.list {
			switch h.word {
			case groups.word:
				out.PolicyGroups = append(out.PolicyGroups, types.PolicyGroup{GroupId: aws.String(h.of.ID), GroupName: aws.String(h.of.Name)})
			case users.word:
				out.PolicyUsers = append(out.PolicyUsers, types.PolicyUser{UserId: aws.String(h.of.ID), UserName: aws.String(h.of.Name)})
			case roles.word:
				out.PolicyRoles = append(out.PolicyRoles, types.PolicyRole{RoleId: aws.String(h.of.ID), RoleName: aws.String(h.of.Name)})
			}
		}
		out.IsTruncated, out.Marker = p.truncated(), p.marker
		return err
	})
	return out, err
}

func wantsHolder(in *iam.ListEntitiesForPolicyInput, h holder) bool {
	switch in.PolicyUsageFilter {
	case types.PolicyUsageTypePermissionsBoundary:
		if !h.boundary {
			return false
		}
	default: // AWS: without a filter, permissions policies and boundaries alike
		if h.boundary && in.PolicyUsageFilter == types.PolicyUsageTypePermissionsPolicy {
			return false
		}
	}
	switch in.EntityFilter {
	case types.EntityTypeUser, types.EntityTypeGroup, types.EntityTypeRole:
		if !strings.EqualFold(string(in.EntityFilter), h.word) {
			return false
		}
	case types.EntityTypeAWSManagedPolicy, types.EntityTypeLocalManagedPolicy:
		return false
	}
	return strings.HasPrefix(h.of.Path, aws.ToString(in.PathPrefix))
}

// errFirst answers the first error.
func errFirst(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
