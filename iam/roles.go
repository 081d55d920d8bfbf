package iam

import (
	"context"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"miniaws/backend/store"
)

// role is one record.
type role struct {
	identity
	// Trust says who may assume the role.
	Trust document
	// Trusted are the unique ids that users and roles in Trust had when it was written, by their ARNs.
	Trusted     map[string]string `json:",omitempty"`
	Description string            `json:",omitempty"`
	// MaxSession is in seconds.
	MaxSession int32
	LastUsed   use `json:",omitzero"`
}

var roleTable = store.NewTable(store.Spec[role]{
	Service: "iam",
	Name:    "roles",
	ID:      func(r *role) store.ID { return r.rowID() },
	Indexes: []store.Index[role]{
		{Name: "id", Unique: true, Values: func(r *role) []store.ID { return []store.ID{{r.ID}} }},
		{Name: "policy", Values: func(r *role) []store.ID { return r.attachedValues() }},
		{Name: "boundary", Values: func(r *role) []store.ID { return r.boundaryValues() }},
	},
})

var roles = &kind[role]{
	table: roleTable, word: "role", of: func(r *role) *identity { return &r.identity },
	guard:     (*role).guard,
	maxInline: 10240, maxAttached: 20, quotaAttached: "PoliciesPerRole",
}

// serviceRolePath is that of roles that belong to services of AWS.
const serviceRolePath = "/aws-service-role/"

// AWS: "IAM and STS quotas" and "CreateRole" in the IAM API reference.
const (
	maxTrust       = 2048
	defaultSession = 3600
)

func roleRows(tx store.Tx, account string) store.Rows[role] {
	return roleTable.In(tx, store.Scope{Account: account})
}

func (r *role) linked() bool { return strings.HasPrefix(r.Path, serviceRolePath) }

func (r *role) guard() error {
	if r.linked() {
		return errUnmodifiable(r.Name)
	}
	return nil
}

// CreateRole makes a role that those whom its trust policy names may assume.
func (s *Service) CreateRole(ctx context.Context, in *iam.CreateRoleInput) (*iam.CreateRoleOutput, error) {
	out := &iam.CreateRoleOutput{}
	err := s.update(ctx, func(tx store.Tx, account string) error {
		base, err := newIdentity(tx, account, prefixRole, "roleName", in.RoleName, in.Path, in.PermissionsBoundary, in.Tags)
		if err != nil {
			return err
		}
		r := &role{identity: base, Description: aws.ToString(in.Description), MaxSession: defaultSession}
		if in.MaxSessionDuration != nil {
			r.MaxSession = *in.MaxSessionDuration
		}
		if r.linked() {
			return errValidation("The specified value for path is invalid. The path /aws-service-role/ is reserved for service-linked roles.")
		}
		if err := s.setTrust(tx, r, aws.ToString(in.AssumeRolePolicyDocument)); err != nil {
			return err
		}
		out.Role = r.toAPI(account)
		return insertRole(tx, account, r)
	})
	return out, err
}

func insertRole(tx store.Tx, account string, r *role) error {
	rows := roleRows(tx, account)
	if old, err := rows.Find(folded(r.Name)); err != nil {
		return err
	} else if old != nil {
		return errEntityAlreadyExists("Role with name %s already exists.", r.Name)
	}
	return rows.Put(r)
}

// GetRole answers a role with its trust policy.
func (s *Service) GetRole(ctx context.Context, in *iam.GetRoleInput) (*iam.GetRoleOutput, error) {
	out := &iam.GetRoleOutput{}
	err := look(ctx, s, roles, in.RoleName, func(tx store.Tx, account string, r *role) error {
		trust, err := s.trustText(tx, r)
		out.Role = r.toAPI(account)
		out.Role.AssumeRolePolicyDocument, out.Role.RoleLastUsed = trust.escaped(), s.lastUseToAPI(r)
		return err
	})
	return out, err
}

// ListRoles answers roles without tags, boundaries and last use.
func (s *Service) ListRoles(ctx context.Context, in *iam.ListRolesInput) (*iam.ListRolesOutput, error) {
	out := &iam.ListRolesOutput{Roles: []types.Role{}}
	err := s.view(ctx, func(tx store.Tx, account string) error {
		p, err := listIdentities(tx, account, roles, in.PathPrefix, in.Marker, in.MaxItems)
		for _, r := range p.list {
			listed := r.toAPI(account)
			trust, err := s.trustText(tx, r)
			if err != nil {
				return err
			}
			listed.AssumeRolePolicyDocument = trust.escaped()
			listed.Tags, listed.PermissionsBoundary = nil, nil
			out.Roles = append(out.Roles, *listed)
		}
		out.IsTruncated, out.Marker = p.truncated(), p.marker
		return err
	})
	return out, err
}

// UpdateRole changes description and longest session; an absent one stays.
func (s *Service) UpdateRole(ctx context.Context, in *iam.UpdateRoleInput) (*iam.UpdateRoleOutput, error) {
	return &iam.UpdateRoleOutput{}, alter(ctx, s, roles, in.RoleName, func(_ store.Tx, _ string, r *role) error {
		if in.MaxSessionDuration != nil {
			if err := r.guard(); err != nil {
				return err
			}
			r.MaxSession = *in.MaxSessionDuration
		}
		if in.Description != nil {
			r.Description = *in.Description
		}
		return nil
	})
}

// UpdateRoleDescription changes the description, of service-linked roles too.
func (s *Service) UpdateRoleDescription(ctx context.Context, in *iam.UpdateRoleDescriptionInput) (*iam.UpdateRoleDescriptionOutput, error) {
	out := &iam.UpdateRoleDescriptionOutput{}
	err := alter(ctx, s, roles, in.RoleName, func(_ store.Tx, account string, r *role) error {
		r.Description = aws.ToString(in.Description)
		out.Role = r.toAPI(account)
		return nil
	})
	return out, err
}

// UpdateAssumeRolePolicy replaces the trust policy. Sessions that were begun go on.
func (s *Service) UpdateAssumeRolePolicy(ctx context.Context, in *iam.UpdateAssumeRolePolicyInput) (*iam.UpdateAssumeRolePolicyOutput, error) {
	return &iam.UpdateAssumeRolePolicyOutput{}, alter(ctx, s, roles, in.RoleName, func(tx store.Tx, _ string, r *role) error {
		if err := r.guard(); err != nil {
			return err
		}
		return s.setTrust(tx, r, aws.ToString(in.PolicyDocument))
	})
}

// DeleteRole removes a role that nothing is attached to. Its sessions end.
func (s *Service) DeleteRole(ctx context.Context, in *iam.DeleteRoleInput) (*iam.DeleteRoleOutput, error) {
	return &iam.DeleteRoleOutput{}, s.update(ctx, func(tx store.Tx, account string) error {
		r, err := roles.get(tx, account, aws.ToString(in.RoleName))
		if err != nil {
			return err
		}
		if err := r.guard(); err != nil {
			return err
		}
		profile, err := profileTable.In(tx, store.Scope{Account: account}).Index("role").Find(r.ID)
		switch {
		case err != nil:
			return err
		case profile != nil:
			return errDeleteConflict("Cannot delete entity, must remove roles from instance profile first.")
		case len(r.Inline) > 0:
			return errDeleteConflict("Cannot delete entity, must delete policies first.")
		case len(r.Attached) > 0:
			return errDeleteConflict("Cannot delete entity, must detach all policies first.")
		}
		return roleRows(tx, account).Delete(folded(r.Name))
	})
}

// TagRole adds or replaces tags.
func (s *Service) TagRole(ctx context.Context, in *iam.TagRoleInput) (*iam.TagRoleOutput, error) {
	return &iam.TagRoleOutput{}, tagIdentity(ctx, s, roles, in.RoleName, in.Tags)
}

// UntagRole removes tags; absent ones are no error.
func (s *Service) UntagRole(ctx context.Context, in *iam.UntagRoleInput) (*iam.UntagRoleOutput, error) {
	return &iam.UntagRoleOutput{}, untagIdentity(ctx, s, roles, in.RoleName, in.TagKeys)
}

// ListRoleTags answers a role's tags.
func (s *Service) ListRoleTags(ctx context.Context, in *iam.ListRoleTagsInput) (*iam.ListRoleTagsOutput, error) {
	p, err := identityTags(ctx, s, roles, in.RoleName, in.Marker, in.MaxItems)
	return &iam.ListRoleTagsOutput{Tags: p.list, IsTruncated: p.truncated(), Marker: p.marker}, err
}

func (r *role) toAPI(account string) *types.Role {
	out := &types.Role{
		Arn:                      aws.String(roles.arn(account, r)),
		CreateDate:               aws.Time(r.Created),
		Path:                     aws.String(r.Path),
		RoleId:                   aws.String(r.ID),
		RoleName:                 aws.String(r.Name),
		AssumeRolePolicyDocument: r.Trust.escaped(),
		MaxSessionDuration:       aws.Int32(r.MaxSession),
		PermissionsBoundary:      r.boundaryToAPI(),
		Tags:                     r.Tags.toAPI(),
	}
	if r.Description != "" {
		out.Description = aws.String(r.Description)
	}
	return out
}

// lastUseToAPI is empty for a role that was never used.
func (s *Service) lastUseToAPI(r *role) *types.RoleLastUsed {
	used := s.uses.role(r)
	if used.At.IsZero() {
		return &types.RoleLastUsed{}
	}
	return &types.RoleLastUsed{LastUsedDate: aws.Time(used.At), Region: aws.String(used.Region)}
}
