package ec2

import (
	"errors"

	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"miniaws/backend/lazyregexp"
	"miniaws/backend/store"
)

// resource is what every record begins with.
type resource struct {
	ID   string
	Tags map[string]string `json:",omitempty"`
}

// kind is a type of resource: where its records are, what its errors are called, and how Describe filters them.
type kind[T any] struct {
	// prefix is that of ids, with the dash: "vpc-".
	prefix string
	// pattern is that of ids behind the prefix; nil is idPattern.
	pattern *lazyregexp.Regexp
	// typ is the name in tags, ARNs and TagSpecifications: "vpc".
	typ   types.ResourceType
	table *store.Table[T]
	base  func(*T) *resource

	notFound func(id string) error
	// malformed is nil where AWS words a malformed id as one that is not found.
	malformed func(id string) error

	filters filters[T]
	// narrow names the indexes that answer a filter's exact values: filter name -> index name.
	narrow map[string]string
	// reach answers records among which are all that a filter with exact values selects, where other records lead to them;
	// ok is false where none do. nil is for kinds that nothing leads to.
	reach func(t tx, filter string, values []string) (found []*T, ok bool, err error)
	// pages bounds MaxResults; the zero value is 5 to 1000.
	pages pageBounds
}

// taggable is a kind as the operations on tags and ARNs see it.
type taggable interface {
	idPrefix() string
	resourceType() types.ResourceType
	missing(id string) error
	// load answers the record's tags and a function that writes it back with them; notFound where there is none.
	load(t tx, id string) (*resource, func() error, error)
	// each calls fn for every record that the account owns.
	each(t tx, fn func(*resource) error) error
	// vpcOf is the VPC of a record, or "".
	vpcOf(t tx, id string) string
	// record answers the record, to be read only; nil where there is none.
	record(t tx, id string) (any, error)
}

func (k *kind[T]) idPrefix() string                 { return k.prefix }
func (k *kind[T]) resourceType() types.ResourceType { return k.typ }
func (k *kind[T]) missing(id string) error          { return k.notFound(id) }

func (k *kind[T]) load(t tx, id string) (*resource, func() error, error) {
	rec, err := k.get(t, id)
	if err != nil {
		return nil, nil, err
	}
	return k.base(rec), func() error { return k.put(t, rec) }, nil
}

func (k *kind[T]) each(t tx, fn func(*resource) error) error {
	for rec, err := range k.in(t).Scan(store.Query{}) {
		if err != nil {
			return err
		}
		if err := fn(k.base(rec)); err != nil {
			return err
		}
	}
	return nil
}

// inVPC is a record that belongs to a VPC.
type inVPC interface{ vpc() string }

func (k *kind[T]) vpcOf(t tx, id string) string {
	rec, err := k.in(t).Find(id)
	if rec == nil || err != nil {
		return ""
	}
	if within, ok := any(rec).(inVPC); ok {
		return within.vpc()
	}
	return ""
}

func (k *kind[T]) record(t tx, id string) (any, error) {
	if !k.wellFormed(id) {
		return nil, nil
	}
	rec, err := k.in(t).Find(id)
	if rec == nil {
		return nil, err
	}
	return rec, err
}

func (k *kind[T]) in(t tx) store.Rows[T] { return k.table.In(t.Tx, t.scope) }

var idPattern = lazyregexp.New(`^[0-9a-f]{8}([0-9a-f]{9})?$`)

// wellFormed tells whether the id looks like one of this kind.
func (k *kind[T]) wellFormed(id string) bool {
	pattern := k.pattern
	if pattern == nil {
		pattern = idPattern
	}
	return len(id) > len(k.prefix) && id[:len(k.prefix)] == k.prefix && pattern.MatchString(id[len(k.prefix):])
}

// get answers the record, or AWS's error: Malformed for what cannot be an id of this kind, else NotFound.
func (k *kind[T]) get(t tx, id string) (*T, error) {
	if k.malformed != nil && !k.wellFormed(id) {
		return nil, k.malformed(id)
	}
	rec, err := k.in(t).Get(id)
	if errors.Is(err, store.ErrNotFound) {
		return nil, k.notFound(id)
	}
	return rec, err
}

// live is get for kinds whose records stay for a while after their end: one that is gone is not found either.
func (k *kind[T]) live(t tx, id string) (*T, error) {
	rec, err := k.get(t, id)
	if ended, ok := any(rec).(interface{ gone() bool }); ok && err == nil && ended.gone() {
		return nil, k.notFound(id)
	}
	return rec, err
}

// read is get for those who do not change the record, or anything in it: it is shared.
func (k *kind[T]) read(t tx, id string) (*T, error) {
	if k.malformed != nil && !k.wellFormed(id) {
		return nil, k.malformed(id)
	}
	rec, err := k.in(t).GetShared(id)
	if errors.Is(err, store.ErrNotFound) {
		return nil, k.notFound(id)
	}
	return rec, err
}

// find answers nil for absence.
func (k *kind[T]) find(t tx, id string) (*T, error) {
	if id == "" {
		return nil, nil
	}
	return k.in(t).Find(id)
}

// see is find for those who only read, as read is get.
func (k *kind[T]) see(t tx, id string) (*T, error) {
	if id == "" {
		return nil, nil
	}
	rec, err := k.in(t).GetShared(id)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	return rec, err
}

func (k *kind[T]) put(t tx, rec *T) error    { return k.in(t).Put(rec) }
func (k *kind[T]) insert(t tx, rec *T) error { return k.in(t).Insert(rec) }

func (k *kind[T]) delete(t tx, id string) error { return k.in(t).Delete(id) }

// all answers every record, in the order of ids.
func (k *kind[T]) all(t tx) ([]*T, error) {
	list, _, err := k.in(t).List(store.Query{})
	return list, err
}

// by answers the records with a value in an index.
func (k *kind[T]) by(t tx, index string, value ...string) ([]*T, error) {
	list, _, err := k.in(t).Index(index).List(store.Query{Parts: value})
	return list, err
}

// seen is by for those who only read.
func (k *kind[T]) seen(t tx, index string, value ...string) ([]*T, error) {
	var list []*T
	for rec, err := range k.in(t).Index(index).Shared(store.Query{Parts: value}) {
		if err != nil {
			return nil, err
		}
		list = append(list, rec)
	}
	return list, nil
}

// any tells whether an index has a record with the value.
func (k *kind[T]) any(t tx, index string, value ...string) (bool, error) {
	rec, err := k.in(t).Index(index).Find(value...)
	return rec != nil, err
}

// edit changes one record.
func (k *kind[T]) edit(t tx, id string, change func(*T) error) error {
	rec, err := k.get(t, id)
	if err != nil {
		return err
	}
	if err := change(rec); err != nil {
		return err
	}
	return k.put(t, rec)
}

// deleteBy removes the records that an index has under a value.
func (k *kind[T]) deleteBy(t tx, index, value string) error {
	list, err := k.by(t, index, value)
	if err != nil {
		return err
	}
	for _, rec := range list {
		if err := k.delete(t, k.base(rec).ID); err != nil {
			return err
		}
	}
	return nil
}

// tagIndex is every kind's index of its tags, by key and value.
const tagIndex = "tag"

// tableOf declares a kind's table: records by id, with indexes of single values and of tags. Empty values are left out.
func tableOf[T any](name string, base func(*T) *resource, indexes map[string]func(*T) []string) *store.Table[T] {
	spec := store.Spec[T]{Service: "ec2", Name: name, ID: func(rec *T) store.ID { return store.ID{base(rec).ID} }}
	spec.Indexes = append(spec.Indexes, store.Index[T]{Name: tagIndex, Values: func(rec *T) []store.ID {
		var ids []store.ID
		for key, value := range base(rec).Tags {
			ids = append(ids, store.ID{key, value})
		}
		return ids
	}})
	for index, values := range indexes {
		spec.Indexes = append(spec.Indexes, store.Index[T]{Name: index, Values: func(rec *T) []store.ID {
			var ids []store.ID
			for _, value := range values(rec) {
				if value != "" {
					ids = append(ids, store.ID{value})
				}
			}
			return ids
		}})
	}
	return store.NewTable(spec)
}
