package iam

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"miniaws/backend/store"
)

// named is a sort of record that callers name, by its name or its ARN, and that has tags.
type named[T any] struct {
	table *store.Table[T]
	// get answers a record of the account, or AWS's error.
	get  func(tx store.Tx, account, name string) (*T, error)
	tags func(*T) *tagList
}

var (
	namedOIDC         = &named[oidcProvider]{oidcTable, getOIDC, func(p *oidcProvider) *tagList { return &p.Tags }}
	namedSAML         = &named[samlProvider]{samlTable, getSAML, func(p *samlProvider) *tagList { return &p.Tags }}
	namedDevices      = &named[mfaDevice]{deviceTable, getDevice, func(d *mfaDevice) *tagList { return &d.Tags }}
	namedProfiles     = &named[instanceProfile]{profileTable, getProfile, func(p *instanceProfile) *tagList { return &p.Tags }}
	namedCertificates = &named[serverCertificate]{certificateTable, getCertificate, func(c *serverCertificate) *tagList { return &c.Tags }}
)

// alter changes one record of the caller's account.
func (k *named[T]) alter(ctx context.Context, s *Service, name *string, fn func(tx store.Tx, account string, record *T) error) error {
	return s.update(ctx, func(tx store.Tx, account string) error {
		record, err := k.get(tx, account, aws.ToString(name))
		if err != nil {
			return err
		}
		if err := fn(tx, account, record); err != nil {
			return err
		}
		return k.table.In(tx, store.Scope{Account: account}).Put(record)
	})
}

// tag adds or replaces tags, untag removes them; absent ones are no error.
func (k *named[T]) tag(ctx context.Context, s *Service, name *string, tags []types.Tag) error {
	return k.alter(ctx, s, name, func(_ store.Tx, _ string, record *T) error {
		list, err := k.tags(record).with(tags)
		*k.tags(record) = list
		return err
	})
}

func (k *named[T]) untag(ctx context.Context, s *Service, name *string, keys []string) error {
	return k.alter(ctx, s, name, func(_ store.Tx, _ string, record *T) (err error) {
		*k.tags(record), err = k.tags(record).without(keys)
		return err
	})
}

// listTags answers a page of the tags.
func (k *named[T]) listTags(ctx context.Context, s *Service, name, marker *string, maxItems *int32) (p page[types.Tag], err error) {
	err = s.view(ctx, func(tx store.Tx, account string) error {
		record, err := k.get(tx, account, aws.ToString(name))
		if err != nil {
			return err
		}
		p, err = pageOfTags(*k.tags(record), marker, maxItems)
		return err
	})
	return p, err
}

// alterOwned changes one of a user's own records: a certificate, a credential. missing is AWS's error for none.
func alterOwned[T any](ctx context.Context, s *Service, table *store.Table[T], userName, id *string, missing func(id string) error, fn func(rows store.Rows[T], userName string, record *T) error) error {
	return s.update(ctx, func(tx store.Tx, account string) error {
		owner, name, err := keyOwner(ctx, tx, account, userName)
		if err != nil {
			return err
		}
		rows := table.In(tx, store.Scope{Account: account})
		record, err := rows.Find(owner, aws.ToString(id))
		if err != nil {
			return err
		}
		if record == nil {
			return missing(aws.ToString(id))
		}
		return fn(rows, name, record)
	})
}
