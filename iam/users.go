package iam

import (
	"context"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"miniaws/awsapi"
	"miniaws/backend/store"
)

// user is one record. Its keys, devices and certificates are in tables of their own, by its id.
type user struct {
	identity
	// Groups are the ids of the user's groups, in the order in which it joined.
	Groups []string `json:",omitempty"`
	// Login is nil for users who cannot use the console.
	Login            *loginProfile `json:",omitempty"`
	PasswordLastUsed time.Time     `json:",omitzero"`
}

var userTable = store.NewTable(store.Spec[user]{
	Service: "iam",
	Name:    "users",
	ID:      func(u *user) store.ID { return u.rowID() },
	Indexes: []store.Index[user]{
		{Name: "id", Unique: true, Values: func(u *user) []store.ID { return []store.ID{{u.ID}} }},
		{Name: "group", Values: func(u *user) []store.ID {
			var values []store.ID
			for _, group := range u.Groups {
				values = append(values, store.ID{group})
			}
			return values
		}},
		{Name: "policy", Values: func(u *user) []store.ID { return u.attachedValues() }},
		{Name: "boundary", Values: func(u *user) []store.ID { return u.boundaryValues() }},
	},
})

var users = &kind[user]{
	table: userTable, word: "user", of: func(u *user) *identity { return &u.identity },
	maxInline: 2048, maxAttached: 10, quotaAttached: "PoliciesPerUser",
}

// AWS: "IAM and STS quotas".
const (
	maxUsers         = 5000
	maxGroupsPerUser = 10
)

func (s *Service) userRows(tx store.Tx, account string) store.Rows[user] {
	return userTable.In(tx, store.Scope{Account: account})
}

// ownName answers the name that an operation means: the caller's own where none is given, "" for the root user and for
// sessions of roles.
func ownName(ctx context.Context, name *string) string {
	if name != nil {
		return *name
	}
	return awsapi.FromContext(ctx).Principal.UserName
}

// CreateUser makes a user, who may do nothing and has no credentials.
func (s *Service) CreateUser(ctx context.Context, in *iam.CreateUserInput) (*iam.CreateUserOutput, error) {
	out := &iam.CreateUserOutput{}
	err := s.update(ctx, func(tx store.Tx, account string) error {
		base, err := newIdentity(tx, account, prefixUser, "userName", in.UserName, in.Path, in.PermissionsBoundary, in.Tags)
		if err != nil {
			return err
		}
		u := &user{identity: base}
		rows := s.userRows(tx, account)
		if old, err := rows.Find(folded(u.Name)); err != nil {
			return err
		} else if old != nil {
			return errEntityAlreadyExists("User with name %s already exists.", u.Name)
		}
		out.User = u.toAPI(account)
		return rows.Put(u)
	})
	return out, err
}

// newIdentity checks what every new identity is given.
func newIdentity(tx store.Tx, account, prefix, member string, name, path, boundary *string, tags []types.Tag) (identity, error) {
	i := identity{Name: aws.ToString(name), ID: newUniqueID(prefix), Created: tx.Now().UTC().Truncate(time.Second)}
	err := checkName(member, i.Name)
	if err != nil {
		return i, err
	}
	if i.Path, err = pathOr(path); err != nil {
		return i, err
	}
	if i.Tags, err = i.Tags.with(tags); err != nil {
		return i, err
	}
	if boundary != nil {
		if err := checkBoundary(tx, account, *boundary); err != nil {
			return i, err
		}
		i.Boundary = *boundary
	}
	return i, nil
}

// GetUser answers a user, or the caller, who may be the root user.
func (s *Service) GetUser(ctx context.Context, in *iam.GetUserInput) (*iam.GetUserOutput, error) {
	out := &iam.GetUserOutput{}
	caller := awsapi.FromContext(ctx).Principal
	err := s.view(ctx, func(tx store.Tx, account string) error {
		name := ownName(ctx, in.UserName)
		if name == "" {
			if !caller.Root {
				return errNoOwnName()
			}
			root, err := s.account(tx, account)
			if err != nil {
				return err
			}
			out.User = root.rootToAPI()
			return nil
		}
		u, err := users.get(tx, account, name)
		if err != nil {
			return err
		}
		out.User = u.toAPI(account)
		return nil
	})
	return out, err
}

// ListUsers answers users without their tags and boundaries.
func (s *Service) ListUsers(ctx context.Context, in *iam.ListUsersInput) (*iam.ListUsersOutput, error) {
	out := &iam.ListUsersOutput{Users: []types.User{}}
	err := s.view(ctx, func(tx store.Tx, account string) error {
		p, err := listIdentities(tx, account, users, in.PathPrefix, in.Marker, in.MaxItems)
		if err != nil {
			return err
		}
		for _, u := range p.list {
			listed := u.toAPI(account)
			listed.Tags, listed.PermissionsBoundary = nil, nil
			out.Users = append(out.Users, *listed)
		}
		out.IsTruncated, out.Marker = p.truncated(), p.marker
		return nil
	})
	return out, err
}

// UpdateUser changes name or path. The id stays, so keys, groups and policies do too.
func (s *Service) UpdateUser(ctx context.Context, in *iam.UpdateUserInput) (*iam.UpdateUserOutput, error) {
	return &iam.UpdateUserOutput{}, rename(ctx, s, users, "newUserName", in.UserName, in.NewUserName, in.NewPath)
}

// rename is UpdateUser and UpdateGroup.
func rename[T any](ctx context.Context, s *Service, k *kind[T], member string, name, newName, newPath *string) error {
	return s.update(ctx, func(tx store.Tx, account string) error {
		record, err := k.get(tx, account, aws.ToString(name))
		if err != nil {
			return err
		}
		i, rows := k.of(record), k.table.In(tx, store.Scope{Account: account})
		if newPath != nil {
			if i.Path, err = pathOr(newPath); err != nil {
				return err
			}
		}
		if newName != nil {
			if err := checkName(member, *newName); err != nil {
				return err
			}
			if folded(*newName) != folded(i.Name) {
				if other, err := rows.Find(folded(*newName)); err != nil {
					return err
				} else if other != nil {
					return errEntityAlreadyExists("%s with name %s already exists.", capital(k.word), *newName)
				}
				if err := rows.Delete(folded(i.Name)); err != nil {
					return err
				}
			}
			i.Name = *newName
		}
		return rows.Put(record)
	})
}

// DeleteUser removes a user of whom nothing is left.
func (s *Service) DeleteUser(ctx context.Context, in *iam.DeleteUserInput) (*iam.DeleteUserOutput, error) {
	return &iam.DeleteUserOutput{}, s.update(ctx, func(tx store.Tx, account string) error {
		u, err := users.get(tx, account, aws.ToString(in.UserName))
		if err != nil {
			return err
		}
		switch {
		case len(u.Inline) > 0:
			return errDeleteConflict("Cannot delete entity, must delete policies first.")
		case len(u.Attached) > 0:
			return errDeleteConflict("Cannot delete entity, must detach all policies first.")
		case len(u.Groups) > 0:
			return errDeleteConflict("Cannot delete entity, must remove users from group first.")
		case u.Login != nil:
			return errDeleteConflict("Cannot delete entity, must delete login profile first.")
		}
		for _, holds := range []struct {
			what string
			any  func(tx store.Tx, account, userID string) (bool, error)
		}{
			{"access keys", anyAccessKey},
			{"MFA device", anyDevice},
			{"signing certificates", anyUserRecord(signingTable)},
			{"SSH public keys", anyUserRecord(sshKeyTable)},
			{"service specific credentials", anyUserRecord(specificTable)},
		} {
			if found, err := holds.any(tx, account, u.ID); err != nil {
				return err
			} else if found {
				return errDeleteConflict("Cannot delete entity, must delete " + holds.what + " first.")
			}
		}
		return s.userRows(tx, account).Delete(folded(u.Name))
	})
}

// TagUser adds or replaces tags.
func (s *Service) TagUser(ctx context.Context, in *iam.TagUserInput) (*iam.TagUserOutput, error) {
	return &iam.TagUserOutput{}, tagIdentity(ctx, s, users, in.UserName, in.Tags)
}

// UntagUser removes tags; absent ones are no error.
func (s *Service) UntagUser(ctx context.Context, in *iam.UntagUserInput) (*iam.UntagUserOutput, error) {
	return &iam.UntagUserOutput{}, untagIdentity(ctx, s, users, in.UserName, in.TagKeys)
}

// ListUserTags answers a user's tags.
func (s *Service) ListUserTags(ctx context.Context, in *iam.ListUserTagsInput) (*iam.ListUserTagsOutput, error) {
	p, err := identityTags(ctx, s, users, in.UserName, in.Marker, in.MaxItems)
	return &iam.ListUserTagsOutput{Tags: p.list, IsTruncated: p.truncated(), Marker: p.marker}, err
}

func (u *user) toAPI(account string) *types.User {
	out := &types.User{
		Arn:                 aws.String(users.arn(account, u)),
		CreateDate:          aws.Time(u.Created),
		Path:                aws.String(u.Path),
		UserId:              aws.String(u.ID),
		UserName:            aws.String(u.Name),
		PermissionsBoundary: u.boundaryToAPI(),
		Tags:                u.Tags.toAPI(),
	}
	if !u.PasswordLastUsed.IsZero() {
		out.PasswordLastUsed = aws.Time(u.PasswordLastUsed)
	}
	return out
}

func (u *user) inGroup(id string) bool { return slices.Contains(u.Groups, id) }
