package ec2

import (
	"context"
	"encoding/base64"
	"iter"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"miniaws/backend/store"
)

// pageBounds are the least and the most that MaxResults may be; zero is 5 and 1000.
type pageBounds struct{ least, most int32 }

// query is what Describe operations have in common.
type query struct {
	ids []string
	// idsName is the name of the parameter of ids, such as "vpcIds", for errors.
	idsName string
	filters []types.Filter
	max     *int32
	token   *string
}

// nextToken hides where a listing continues: behind an id.
func nextToken(k string, id string) *string {
	return aws.String(base64.RawURLEncoding.EncodeToString([]byte("1 " + k + " " + id)))
}

func readToken(k string, token *string) (string, error) {
	if aws.ToString(token) == "" {
		return "", nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(*token)
	id, ok := strings.CutPrefix(string(raw), "1 "+k+" ")
	if err != nil || !ok || id == "" {
		return "", errInvalidNextToken()
	}
	return id, nil
}

// checkMax checks MaxResults and answers how many to list; 0 is all.
func (b pageBounds) checkMax(q query) (int, error) {
	if q.max == nil {
		return 0, nil
	}
	if b == (pageBounds{}) {
		b = pageBounds{5, 1000}
	}
	switch n := *q.max; {
	case len(q.ids) > 0 && q.idsName != "":
		return 0, errParametersExclude(q.idsName, "maxResults")
	case n < b.least:
		return 0, errMaxResultsTooSmall(n, b.least)
	case n > b.most && b.most > 0:
		return 0, errMaxResultsTooLarge(n, b.most)
	default:
		return int(n), nil
	}
}

// cut answers a page of what is listed in the order of ids, and the token of the next one.
func cut[A any](items []A, id func(A) string, name string, b pageBounds, q query) ([]A, *string, error) {
	limit, err := b.checkMax(q)
	if err != nil {
		return nil, nil, err
	}
	after, err := readToken(name, q.token)
	if err != nil {
		return nil, nil, err
	}
	if after != "" {
		at, _ := slices.BinarySearchFunc(items, after, func(item A, after string) int {
			if id(item) <= after {
				return -1
			}
			return 1
		})
		items = items[at:]
	}
	if limit == 0 || len(items) <= limit {
		return items, nil, nil
	}
	return items[:limit], nextToken(name, id(items[limit-1])), nil
}

// describe answers the records that a query selects, in the order of their ids.
func describe[T, A any](ctx context.Context, s *Service, k *kind[T], q query, toAPI func(tx, *T) (A, error)) (list []A, next *string, err error) {
	err = s.view(ctx, func(t tx) error {
		records, token, err := k.list(t, q)
		if err != nil {
			return err
		}
		next = token
		list = make([]A, 0, len(records))
		for _, rec := range records {
			item, err := toAPI(t, rec)
			if err != nil {
				return err
			}
			list = append(list, item)
		}
		return nil
	})
	return list, next, err
}

// shared collects records that are only read.
func shared[T any](records iter.Seq2[*T, error]) (list []*T, err error) {
	for rec, err := range records {
		if err != nil {
			return nil, err
		}
		list = append(list, rec)
	}
	return list, nil
}

// list answers the records that a query selects, in the order of their ids, and the token of the next page. They are
// shared with other readers: nobody may change them, or anything in them.
func (k *kind[T]) list(t tx, q query) ([]*T, *string, error) {
	match, err := k.filters.compile(k.base, q.filters)
	if err != nil {
		return nil, nil, err
	}
	candidates, err := k.candidates(t, q)
	if err != nil {
		return nil, nil, err
	}
	candidates = slices.DeleteFunc(candidates, func(rec *T) bool { return !match.matches(t, rec) })
	return cut(candidates, func(rec *T) string { return k.base(rec).ID }, string(k.typ), k.pages, q)
}

// candidates answers the records among which to look: those with the ids, those of an index, or all.
func (k *kind[T]) candidates(t tx, q query) ([]*T, error) {
	var found []*T
	switch index, keys := k.narrowest(q.filters); {
	case len(q.ids) > 0:
		for _, id := range q.ids {
			rec, err := k.read(t, id)
			if err != nil {
				return nil, err
			}
			found = append(found, rec)
		}
	case index != "":
		for _, key := range keys {
			list, err := shared(k.in(t).Index(index).Shared(store.Query{Parts: key}))
			if err != nil {
				return nil, err
			}
			found = append(found, list...)
		}
	default:
		reached, ok, err := k.reached(t, q.filters)
		if err != nil {
			return nil, err
		}
		if !ok {
			return shared(k.in(t).Shared(store.Query{}))
		}
		found = reached
	}
	slices.SortFunc(found, func(a, b *T) int { return strings.Compare(k.base(a).ID, k.base(b).ID) })
	return slices.CompactFunc(found, func(a, b *T) bool { return k.base(a).ID == k.base(b).ID }), nil
}

// reached are the records to which a filter leads by way of other records; ok is false where none does.
func (k *kind[T]) reached(t tx, wanted []types.Filter) (found []*T, ok bool, err error) {
	if k.reach == nil {
		return nil, false, nil
	}
	for _, w := range wanted {
		if slices.ContainsFunc(w.Values, func(value string) bool { return !compilePattern(value).exact() }) {
			continue
		}
		if found, ok, err = k.reach(t, aws.ToString(w.Name), w.Values); ok || err != nil {
			return found, ok, err
		}
	}
	return nil, false, nil
}

// narrowest is the index that answers one of the filters, and the values to look for in it.
func (k *kind[T]) narrowest(wanted []types.Filter) (index string, keys [][]string) {
	for _, w := range wanted {
		if slices.ContainsFunc(w.Values, func(value string) bool { return !compilePattern(value).exact() }) {
			continue
		}
		name := aws.ToString(w.Name)
		tag, isTag := strings.CutPrefix(name, "tag:")
		switch index = k.narrow[name]; {
		case isTag && tag != simulatedTag:
			index = tagIndex
		case index == "":
			continue
		}
		for _, value := range w.Values {
			switch {
			case isTag:
				keys = append(keys, []string{tag, value})
			case value != "":
				keys = append(keys, []string{value})
			}
		}
		return index, keys
	}
	return "", nil
}
