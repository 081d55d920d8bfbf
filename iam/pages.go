package iam

import (
	"encoding/base64"
	"iter"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"

	"miniaws/backend/store"
)

// AWS: "MaxItems" in the IAM API reference.
const defaultPage = 100

// page is the part of a listing that a call asked for.
type page[T any] struct {
	list []T
	// marker continues; nil at the end.
	marker *string
}

func (p page[T]) truncated() bool { return p.marker != nil }

func pageSize(maxItems *int32) int {
	if maxItems == nil {
		return defaultPage
	}
	return int(*maxItems)
}

// markerCursor reads a marker that an earlier page ended with.
func markerCursor(marker *string) (store.Cursor, error) {
	if marker == nil {
		return "", nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(*marker)
	at, ours := strings.CutPrefix(string(raw), markerSign)
	if err != nil || !ours || at == "" {
		return "", errValidation("Invalid Marker.")
	}
	return store.Cursor(at), nil
}

// markerSign tells our markers from any other text that decodes.
const markerSign = "after:"

func markerOf(at store.Cursor) *string {
	return aws.String(base64.RawURLEncoding.EncodeToString([]byte(markerSign + string(at))))
}

// pageOf collects a page of records; keep selects, and id is the table's.
func pageOf[T any](scan func(store.Query) iter.Seq2[*T, error], q store.Query, marker *string, maxItems *int32, keep func(*T) bool, id func(*T) store.ID) (page[*T], error) {
	var p page[*T]
	after, err := markerCursor(marker)
	if err != nil {
		return p, err
	}
	q.After = max(q.After, after)
	size := pageSize(maxItems)
	for record, err := range scan(q) {
		if err != nil {
			return p, err
		}
		if keep != nil && !keep(record) {
			continue
		}
		if len(p.list) == size {
			p.marker = markerOf(store.After(id(p.list[size-1])...))
			return p, nil
		}
		p.list = append(p.list, record)
	}
	return p, nil
}

// pageOfList cuts a page out of a list in which key names each element once.
func pageOfList[T any](list []T, key func(T) string, marker *string, maxItems *int32) (page[T], error) {
	after, err := markerCursor(marker)
	if err != nil {
		return page[T]{}, err
	}
	start := 0
	if after != "" {
		start = -1
		for i, element := range list {
			if key(element) == string(after) {
				start = i + 1
			}
		}
		if start < 0 {
			return page[T]{}, errValidation("Invalid Marker.")
		}
	}
	p := page[T]{list: append([]T{}, list[start:]...)}
	if size := pageSize(maxItems); len(p.list) > size {
		p.list = p.list[:size]
		p.marker = markerOf(store.Cursor(key(p.list[size-1])))
	}
	return p, nil
}
