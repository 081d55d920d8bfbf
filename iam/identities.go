package iam

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"miniaws/awsapi"
	"miniaws/backend/store"
)

// identity is what users, groups and roles have in common.
type identity struct {
	Name string
	Path string
	// ID is unique forever: another user of the same name has another one.
	ID      string
	Created time.Time
	Tags    tagList `json:",omitempty"`
	// Boundary is the ARN of a managed policy; groups have none.
	Boundary string `json:",omitempty"`
	// Attached are ARNs of managed policies, in the order in which they came.
	Attached []string `json:",omitempty"`
	// Inline are documents by the policies' names.
	Inline map[string]document `json:",omitempty"`
	// Revoked ends the sessions of a role, or of a user, that began before it.
	Revoked time.Time `json:",omitzero"`
}

func (i *identity) rowID() store.ID { return store.ID{folded(i.Name)} }

func (i *identity) attachedValues() []store.ID {
	var values []store.ID
	for _, arn := range i.Attached {
		values = append(values, store.ID{arn})
	}
	return values
}

func (i *identity) boundaryValues() []store.ID {
	if i.Boundary == "" {
		return nil
	}
	return []store.ID{{i.Boundary}}
}

func (i *identity) inlineNames() []string {
	var names []string
	for name := range i.Inline {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func (i *identity) boundaryToAPI() *types.AttachedPermissionsBoundary {
	if i.Boundary == "" {
		return nil
	}
	return &types.AttachedPermissionsBoundary{
		PermissionsBoundaryArn:  aws.String(i.Boundary),
		PermissionsBoundaryType: types.PermissionsBoundaryAttachmentTypePolicy,
	}
}

// kind is one of the three sorts of identity: how its records are found, named and bounded.
type kind[T any] struct {
	table *store.Table[T]
	// word is "user", "group" or "role".
	word string
	of   func(*T) *identity
	// guard refuses changes by anybody but AWS itself; nil guards nothing.
	guard func(*T) error
	// AWS: "IAM and STS quotas": characters of all inline policies, and managed policies.
	maxInline, maxAttached int
	quotaAttached          string
}

func (k *kind[T]) get(tx store.Tx, account, name string) (*T, error) {
	record, err := k.table.In(tx, store.Scope{Account: account}).Find(folded(name))
	if err == nil && record == nil {
		err = errNotFound(k.word, name)
	}
	return record, err
}

func (k *kind[T]) put(tx store.Tx, account string, record *T) error {
	return k.table.In(tx, store.Scope{Account: account}).Put(record)
}

func (k *kind[T]) arn(account string, record *T) string {
	i := k.of(record)
	return arn(account, strings.ReplaceAll(k.word, " ", "-")+i.Path+i.Name)
}

// view runs fn on a snapshot, for the caller's account.
func (s *Service) view(ctx context.Context, fn func(tx store.Tx, account string) error) error {
	account := awsapi.FromContext(ctx).Principal.Account
	return s.config.DB.View(ctx, func(tx store.Tx) error { return fn(tx, account) })
}

// update runs fn and commits, for the caller's account. What the account's credentials mean is looked up anew from then
// on.
func (s *Service) update(ctx context.Context, fn func(tx store.Tx, account string) error) error {
	return s.updateIn(ctx, awsapi.FromContext(ctx).Principal.Account, fn)
}

func (s *Service) updateIn(ctx context.Context, account string, fn func(tx store.Tx, account string) error) error {
	return s.config.DB.Update(ctx, func(tx store.Tx) error {
		if err := fn(tx, account); err != nil {
			return err
		}
		return putStamp(tx, account)
	})
}

// alter changes one identity of the caller's account.
func alter[T any](ctx context.Context, s *Service, k *kind[T], name *string, fn func(tx store.Tx, account string, record *T) error) error {
	return s.update(ctx, func(tx store.Tx, account string) error {
		record, err := k.get(tx, account, aws.ToString(name))
		if err != nil {
			return err
		}
		if err := fn(tx, account, record); err != nil {
			return err
		}
		return k.put(tx, account, record)
	})
}

// look reads one identity of the caller's account.
func look[T any](ctx context.Context, s *Service, k *kind[T], name *string, fn func(tx store.Tx, account string, record *T) error) error {
	return s.view(ctx, func(tx store.Tx, account string) error {
		record, err := k.get(tx, account, aws.ToString(name))
		if err != nil {
			return err
		}
		return fn(tx, account, record)
	})
}

// guarded refuses to change what is only AWS's to change.
func (k *kind[T]) guarded(record *T) error {
	if k.guard == nil {
		return nil
	}
	return k.guard(record)
}

// tagIdentity and untagIdentity are TagUser, TagRole and their opposites.
func tagIdentity[T any](ctx context.Context, s *Service, k *kind[T], name *string, tags []types.Tag) error {
	return alter(ctx, s, k, name, func(_ store.Tx, _ string, record *T) (err error) {
		i := k.of(record)
		i.Tags, err = i.Tags.with(tags)
		return err
	})
}

func untagIdentity[T any](ctx context.Context, s *Service, k *kind[T], name *string, keys []string) error {
	return alter(ctx, s, k, name, func(_ store.Tx, _ string, record *T) (err error) {
		i := k.of(record)
		i.Tags, err = i.Tags.without(keys)
		return err
	})
}

// identityTags is ListUserTags and ListRoleTags.
func identityTags[T any](ctx context.Context, s *Service, k *kind[T], name, marker *string, maxItems *int32) (p page[types.Tag], err error) {
	err = look(ctx, s, k, name, func(_ store.Tx, _ string, record *T) (err error) {
		p, err = pageOfTags(k.of(record).Tags, marker, maxItems)
		return err
	})
	return p, err
}

func pageOfTags(tags tagList, marker *string, maxItems *int32) (page[types.Tag], error) {
	return pageOfList(tags.toAPI(), func(t types.Tag) string { return *t.Key }, marker, maxItems)
}
