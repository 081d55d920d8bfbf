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

// group is one record. Who belongs to it is in the users' records.
type group struct{ identity }

var groupTable = store.NewTable(store.Spec[group]{
	Service: "iam",
	Name:    "groups",
	ID:      func(g *group) store.ID { return g.rowID() },
	Indexes: []store.Index[group]{
		{Name: "id", Unique: true, Values: func(g *group) []store.ID { return []store.ID{{g.ID}} }},
		{Name: "policy", Values: func(g *group) []store.ID { return g.attachedValues() }},
	},
})

var groups = &kind[group]{
	table: groupTable, word: "group", of: func(g *group) *identity { return &g.identity },
	maxInline: 5120, maxAttached: 10, quotaAttached: "PoliciesPerGroup",
}

func groupRows(tx store.Tx, account string) store.Rows[group] {
	return groupTable.In(tx, store.Scope{Account: account})
}

// listIdentities is ListUsers, ListGroups and ListRoles.
func listIdentities[T any](tx store.Tx, account string, k *kind[T], pathPrefix, marker *string, maxItems *int32) (page[*T], error) {
	keep := func(record *T) bool { return strings.HasPrefix(k.of(record).Path, aws.ToString(pathPrefix)) }
	id := func(record *T) store.ID { return k.of(record).rowID() }
	return pageOf(k.table.In(tx, store.Scope{Account: account}).Scan, store.Query{}, marker, maxItems, keep, id)
}

// CreateGroup makes an empty group.
func (s *Service) CreateGroup(ctx context.Context, in *iam.CreateGroupInput) (*iam.CreateGroupOutput, error) {
	out := &iam.CreateGroupOutput{}
	err := s.update(ctx, func(tx store.Tx, account string) error {
		base, err := newIdentity(tx, account, prefixGroup, "groupName", in.GroupName, in.Path, nil, nil)
		if err != nil {
			return err
		}
		g, rows := &group{base}, groupRows(tx, account)
		if old, err := rows.Find(folded(g.Name)); err != nil {
			return err
		} else if old != nil {
			return errEntityAlreadyExists("Group with name %s already exists.", g.Name)
		}
		out.Group = g.toAPI(account)
		return rows.Put(g)
	})
	return out, err
}

// GetGroup answers a group and, in pages, its users.
func (s *Service) GetGroup(ctx context.Context, in *iam.GetGroupInput) (*iam.GetGroupOutput, error) {
	out := &iam.GetGroupOutput{Users: []types.User{}}
	err := look(ctx, s, groups, in.GroupName, func(tx store.Tx, account string, g *group) error {
		out.Group = g.toAPI(account)
		var members []*user
		for u, err := range s.userRows(tx, account).Index("group").Scan(store.Query{Parts: store.ID{g.ID}}) {
			if err != nil {
				return err
			}
			members = append(members, u)
		}
		p, err := pageOfList(members, func(u *user) string { return u.ID }, in.Marker, in.MaxItems)
		for _, u := range p.list {
			listed := u.toAPI(account)
			listed.Tags, listed.PermissionsBoundary = nil, nil
			out.Users = append(out.Users, *listed)
		}
		out.IsTruncated, out.Marker = p.truncated(), p.marker
		return err
	})
	return out, err
}

// ListGroups answers groups by path.
func (s *Service) ListGroups(ctx context.Context, in *iam.ListGroupsInput) (*iam.ListGroupsOutput, error) {
	out := &iam.ListGroupsOutput{Groups: []types.Group{}}
	err := s.view(ctx, func(tx store.Tx, account string) error {
		p, err := listIdentities(tx, account, groups, in.PathPrefix, in.Marker, in.MaxItems)
		for _, g := range p.list {
			out.Groups = append(out.Groups, *g.toAPI(account))
		}
		out.IsTruncated, out.Marker = p.truncated(), p.marker
		return err
	})
	return out, err
}

// UpdateGroup changes name or path.
func (s *Service) UpdateGroup(ctx context.Context, in *iam.UpdateGroupInput) (*iam.UpdateGroupOutput, error) {
	return &iam.UpdateGroupOutput{}, rename(ctx, s, groups, "newGroupName", in.GroupName, in.NewGroupName, in.NewPath)
}

// DeleteGroup removes a group without users and policies.
func (s *Service) DeleteGroup(ctx context.Context, in *iam.DeleteGroupInput) (*iam.DeleteGroupOutput, error) {
	return &iam.DeleteGroupOutput{}, s.update(ctx, func(tx store.Tx, account string) error {
		g, err := groups.get(tx, account, aws.ToString(in.GroupName))
		if err != nil {
			return err
		}
		member, err := s.userRows(tx, account).Index("group").Find(g.ID)
		switch {
		case err != nil:
			return err
		case member != nil:
			return errDeleteConflict("Cannot delete entity, must remove users from group first.")
		case len(g.Inline) > 0:
			return errDeleteConflict("Cannot delete entity, must delete policies first.")
		case len(g.Attached) > 0:
			return errDeleteConflict("Cannot delete entity, must detach all policies first.")
		}
		return groupRows(tx, account).Delete(folded(g.Name))
	})
}

// AddUserToGroup makes a user a member; one who is already stays it.
func (s *Service) AddUserToGroup(ctx context.Context, in *iam.AddUserToGroupInput) (*iam.AddUserToGroupOutput, error) {
	return &iam.AddUserToGroupOutput{}, s.alterMembership(ctx, in.GroupName, in.UserName, func(u *user, g *group) error {
		if u.inGroup(g.ID) {
			return nil
		}
		if len(u.Groups) >= maxGroupsPerUser {
			return errQuota("GroupsPerUser", maxGroupsPerUser)
		}
		u.Groups = append(u.Groups, g.ID)
		return nil
	})
}

// RemoveUserFromGroup ends a membership; one that is not there is no error.
func (s *Service) RemoveUserFromGroup(ctx context.Context, in *iam.RemoveUserFromGroupInput) (*iam.RemoveUserFromGroupOutput, error) {
	return &iam.RemoveUserFromGroupOutput{}, s.alterMembership(ctx, in.GroupName, in.UserName, func(u *user, g *group) error {
		u.Groups = slices.DeleteFunc(u.Groups, func(id string) bool { return id == g.ID })
		return nil
	})
}

func (s *Service) alterMembership(ctx context.Context, groupName, userName *string, fn func(*user, *group) error) error {
	return s.update(ctx, func(tx store.Tx, account string) error {
		g, err := groups.get(tx, account, aws.ToString(groupName))
		if err != nil {
			return err
		}
		u, err := users.get(tx, account, aws.ToString(userName))
		if err != nil {
			return err
		}
		if err := fn(u, g); err != nil {
			return err
		}
		return users.put(tx, account, u)
	})
}

// ListGroupsForUser answers the groups of a user.
func (s *Service) ListGroupsForUser(ctx context.Context, in *iam.ListGroupsForUserInput) (*iam.ListGroupsForUserOutput, error) {
	out := &iam.ListGroupsForUserOutput{Groups: []types.Group{}}
	err := look(ctx, s, users, in.UserName, func(tx store.Tx, account string, u *user) error {
		list, err := groupsOf(tx, account, u)
		if err != nil {
			return err
		}
		p, err := pageOfList(list, func(g *group) string { return g.ID }, in.Marker, in.MaxItems)
		for _, g := range p.list {
			out.Groups = append(out.Groups, *g.toAPI(account))
		}
		out.IsTruncated, out.Marker = p.truncated(), p.marker
		return err
	})
	return out, err
}

func groupsOf(tx store.Tx, account string, u *user) ([]*group, error) {
	var list []*group
	byID := groupRows(tx, account).Index("id")
	for _, id := range u.Groups {
		g, err := byID.Get(id)
		if err != nil {
			return nil, err
		}
		list = append(list, g)
	}
	return list, nil
}

func (g *group) toAPI(account string) *types.Group {
	return &types.Group{
		Arn:        aws.String(groups.arn(account, g)),
		CreateDate: aws.Time(g.Created),
		GroupId:    aws.String(g.ID),
		GroupName:  aws.String(g.Name),
		Path:       aws.String(g.Path),
	}
}
