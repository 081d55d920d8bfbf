package iam

import (
	"context"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"miniaws/backend/store"
)

// instanceProfile carries at most one role to instances.
type instanceProfile struct {
	identity
	// Role is the id of its role, "" for none.
	Role string `json:",omitempty"`
}

var profileTable = store.NewTable(store.Spec[instanceProfile]{
	Service: "iam",
	Name:    "instance-profiles",
	ID:      func(p *instanceProfile) store.ID { return p.rowID() },
	Indexes: []store.Index[instanceProfile]{
		{Name: "role", Values: func(p *instanceProfile) []store.ID {
			if p.Role == "" {
				return nil
			}
			return []store.ID{{p.Role}}
		}},
	},
})

var profiles = &kind[instanceProfile]{
	table: profileTable, word: "instance profile", of: func(p *instanceProfile) *identity { return &p.identity },
}

func profileARN(account string, p *instanceProfile) string {
	return arn(account, "instance-profile"+p.Path+p.Name)
}

func getProfile(tx store.Tx, account, name string) (*instanceProfile, error) {
	p, err := profileTable.In(tx, store.Scope{Account: account}).Find(folded(name))
	if err == nil && p == nil {
		err = errNoSuchEntity("Instance Profile %s cannot be found.", name)
	}
	return p, err
}

// CreateInstanceProfile makes a profile without a role.
func (s *Service) CreateInstanceProfile(ctx context.Context, in *iam.CreateInstanceProfileInput) (*iam.CreateInstanceProfileOutput, error) {
	out := &iam.CreateInstanceProfileOutput{}
	err := s.update(ctx, func(tx store.Tx, account string) error {
		base, err := newIdentity(tx, account, prefixInstanceProfile, "instanceProfileName", in.InstanceProfileName, in.Path, nil, in.Tags)
		if err != nil {
			return err
		}
		p, rows := &instanceProfile{identity: base}, profileTable.In(tx, store.Scope{Account: account})
		if old, err := rows.Find(folded(p.Name)); err != nil {
			return err
		} else if old != nil {
			return errEntityAlreadyExists("Instance Profile %s already exists.", p.Name)
		}
		if err := rows.Put(p); err != nil {
			return err
		}
		out.InstanceProfile, err = p.toAPI(tx, account)
		return err
	})
	return out, err
}

// GetInstanceProfile answers a profile with its role.
func (s *Service) GetInstanceProfile(ctx context.Context, in *iam.GetInstanceProfileInput) (*iam.GetInstanceProfileOutput, error) {
	out := &iam.GetInstanceProfileOutput{}
	err := s.view(ctx, func(tx store.Tx, account string) error {
		p, err := getProfile(tx, account, aws.ToString(in.InstanceProfileName))
		if err != nil {
			return err
		}
		out.InstanceProfile, err = p.toAPI(tx, account)
		return err
	})
	return out, err
}

// ListInstanceProfiles answers profiles by path.
func (s *Service) ListInstanceProfiles(ctx context.Context, in *iam.ListInstanceProfilesInput) (*iam.ListInstanceProfilesOutput, error) {
	out := &iam.ListInstanceProfilesOutput{InstanceProfiles: []types.InstanceProfile{}}
	err := s.view(ctx, func(tx store.Tx, account string) error {
		p, err := listIdentities(tx, account, profiles, in.PathPrefix, in.Marker, in.MaxItems)
		if err != nil {
			return err
		}
		out.IsTruncated, out.Marker = p.truncated(), p.marker
		out.InstanceProfiles, err = profilesToAPI(tx, account, p.list)
		return err
	})
	return out, err
}

// ListInstanceProfilesForRole answers the profiles that carry a role.
func (s *Service) ListInstanceProfilesForRole(ctx context.Context, in *iam.ListInstanceProfilesForRoleInput) (*iam.ListInstanceProfilesForRoleOutput, error) {
	out := &iam.ListInstanceProfilesForRoleOutput{InstanceProfiles: []types.InstanceProfile{}}
	err := look(ctx, s, roles, in.RoleName, func(tx store.Tx, account string, r *role) error {
		list, err := profilesOf(tx, account, r)
		if err != nil {
			return err
		}
		p, err := pageOfList(list, func(p *instanceProfile) string { return p.ID }, in.Marker, in.MaxItems)
		if err != nil {
			return err
		}
		out.IsTruncated, out.Marker = p.truncated(), p.marker
		out.InstanceProfiles, err = profilesToAPI(tx, account, p.list)
		return err
	})
	return out, err
}

func profilesOf(tx store.Tx, account string, r *role) (list []*instanceProfile, err error) {
	for p, err := range profileTable.In(tx, store.Scope{Account: account}).Index("role").Scan(store.Query{Parts: store.ID{r.ID}}) {
		if err != nil {
			return nil, err
		}
		list = append(list, p)
	}
	return list, nil
}

func profilesToAPI(tx store.Tx, account string, list []*instanceProfile) ([]types.InstanceProfile, error) {
	answers := []types.InstanceProfile{}
	for _, p := range list {
		answer, err := p.toAPI(tx, account)
		if err != nil {
			return nil, err
		}
		answers = append(answers, *answer)
	}
	return answers, nil
}

// AddRoleToInstanceProfile gives a profile its one role.
func (s *Service) AddRoleToInstanceProfile(ctx context.Context, in *iam.AddRoleToInstanceProfileInput) (*iam.AddRoleToInstanceProfileOutput, error) {
	return &iam.AddRoleToInstanceProfileOutput{}, namedProfiles.alter(ctx, s, in.InstanceProfileName, func(tx store.Tx, account string, p *instanceProfile) error {
		r, err := roles.get(tx, account, aws.ToString(in.RoleName))
		if err != nil {
			return err
		}
		if err := r.guard(); err != nil {
			return err
		}
		if p.Role != "" {
			return errQuota("InstanceSessionsPerInstanceProfile", 1)
		}
		p.Role = r.ID
		return nil
	})
}

// RemoveRoleFromInstanceProfile takes the role out of a profile.
func (s *Service) RemoveRoleFromInstanceProfile(ctx context.Context, in *iam.RemoveRoleFromInstanceProfileInput) (*iam.RemoveRoleFromInstanceProfileOutput, error) {
	return &iam.RemoveRoleFromInstanceProfileOutput{}, namedProfiles.alter(ctx, s, in.InstanceProfileName, func(tx store.Tx, account string, p *instanceProfile) error {
		r, err := roles.get(tx, account, aws.ToString(in.RoleName))
		if err != nil {
			return err
		}
		if p.Role != r.ID {
			return errNotFound("role", r.Name)
		}
		p.Role = ""
		return nil
	})
}

// DeleteInstanceProfile removes a profile without a role.
func (s *Service) DeleteInstanceProfile(ctx context.Context, in *iam.DeleteInstanceProfileInput) (*iam.DeleteInstanceProfileOutput, error) {
	return &iam.DeleteInstanceProfileOutput{}, s.update(ctx, func(tx store.Tx, account string) error {
		p, err := getProfile(tx, account, aws.ToString(in.InstanceProfileName))
		if err != nil {
			return err
		}
		if p.Role != "" {
			return errDeleteConflict("Cannot delete entity, must remove roles from instance profile first.")
		}
		return profileTable.In(tx, store.Scope{Account: account}).Delete(folded(p.Name))
	})
}

// TagInstanceProfile adds or replaces tags.
func (s *Service) TagInstanceProfile(ctx context.Context, in *iam.TagInstanceProfileInput) (*iam.TagInstanceProfileOutput, error) {
	return &iam.TagInstanceProfileOutput{}, namedProfiles.tag(ctx, s, in.InstanceProfileName, in.Tags)
}

// UntagInstanceProfile removes tags; absent ones are no error.
func (s *Service) UntagInstanceProfile(ctx context.Context, in *iam.UntagInstanceProfileInput) (*iam.UntagInstanceProfileOutput, error) {
	return &iam.UntagInstanceProfileOutput{}, namedProfiles.untag(ctx, s, in.InstanceProfileName, in.TagKeys)
}

// ListInstanceProfileTags answers a profile's tags.
func (s *Service) ListInstanceProfileTags(ctx context.Context, in *iam.ListInstanceProfileTagsInput) (*iam.ListInstanceProfileTagsOutput, error) {
	p, err := namedProfiles.listTags(ctx, s, in.InstanceProfileName, in.Marker, in.MaxItems)
	return &iam.ListInstanceProfileTagsOutput{Tags: p.list, IsTruncated: p.truncated(), Marker: p.marker}, err
}

// Profile is what a service that starts machines needs to know of an instance profile.
type Profile struct {
	ARN, ID, Name string
	// RoleARN is "" where the profile has no role.
	RoleARN string
}

// InstanceProfile finds a profile by its name or ARN in an account, and ok is false where there is none.
func (s *Service) InstanceProfile(ctx context.Context, account, nameOrARN string) (found Profile, ok bool, err error) {
	name := nameOrARN
	if owner, kind, rest, isARN := arnParts(nameOrARN); isARN {
		if owner != account || kind != "instance-profile" {
			return Profile{}, false, nil
		}
		name = lastName(rest)
	}
	err = s.config.DB.View(ctx, func(tx store.Tx) error {
		p, err := profileTable.In(tx, store.Scope{Account: account}).Find(folded(name))
		if err != nil || p == nil || strings.HasPrefix(nameOrARN, "arn:") && profileARN(account, p) != nameOrARN {
			return err
		}
		found, ok = Profile{ARN: profileARN(account, p), ID: p.ID, Name: p.Name}, true
		if p.Role != "" {
			r, err := roleRows(tx, account).Index("id").Get(p.Role)
			if err != nil {
				return err
			}
			found.RoleARN = roles.arn(account, r)
		}
		return nil
	})
	return found, ok, err
}

func (p *instanceProfile) toAPI(tx store.Tx, account string) (*types.InstanceProfile, error) {
	out := &types.InstanceProfile{
		Arn:                 aws.String(profileARN(account, p)),
		CreateDate:          aws.Time(p.Created),
		InstanceProfileId:   aws.String(p.ID),
		InstanceProfileName: aws.String(p.Name),
		Path:                aws.String(p.Path),
		Roles:               []types.Role{},
		Tags:                p.Tags.toAPI(),
	}
	if p.Role != "" {
		r, err := roleRows(tx, account).Index("id").Get(p.Role)
		if err != nil {
			return nil, err
		}
		listed := r.toAPI(account)
		listed.Tags, listed.PermissionsBoundary, listed.MaxSessionDuration = nil, nil, nil
		out.Roles = append(out.Roles, *listed)
	}
	return out, nil
}
