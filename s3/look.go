package s3

import (
	"context"
	"fmt"
	"strings"

	"miniaws/backend"
	"miniaws/backend/store"
)

// lookedAt is how many versions or parts are shown one by one.
const lookedAt = 20

// Look answers where the bytes are of an object, "bucket/key", or what a bucket holds. Both may be ARNs.
func (s *Service) Look(ctx context.Context, id string) ([]backend.Fact, error) {
	if rest, isARN := strings.CutPrefix(id, "arn:aws:s3:::"); isARN {
		id = rest
	}
	name, key, isObject := strings.Cut(id, "/")
	var facts []backend.Fact
	var rows []string
	add := func(name, format string, args ...any) {
		facts = append(facts, backend.Fact{Name: name, Value: fmt.Sprintf(format, args...)})
	}
	err := s.db.View(ctx, func(tx store.Tx) error {
		facts, rows = nil, nil
		b, err := buckets.In(tx, global).Find(name)
		if err != nil || b == nil {
			return err
		}
		if !isObject {
			return lookBucket(tx, b, add)
		}
		current, err := currentOf(tx, b, key)
		if err != nil || current == nil {
			return err
		}
		rows = append(rows, fmt.Sprintf("/0/_/_/s3/objects/%s,%s", b.ID, key))
		if err := s.lookVersion(tx, current, rows[0], add); err != nil {
			return err
		}
		shown := 1
		for old, err := range versions.In(tx, global).Scan(store.Query{Parts: store.ID{b.ID, key}}) {
			if err != nil {
				return err
			}
			if shown++; shown > lookedAt {
				add("version", "and older ones")
				return nil
			}
			rows = append(rows, fmt.Sprintf("/0/_/_/s3/versions/%s,%s,%s", b.ID, key, old.Order))
			if err := s.lookVersion(tx, old, rows[len(rows)-1], add); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	written, from, err := store.Written(ctx, s.db, rows)
	for _, row := range rows {
		if revision, ok := written[row]; ok {
			add("log", "%s was written in revision %d", row, revision)
		} else if err == nil {
			add("log", "%s was written before revision %d: it is in the checkpoint", row, from)
		}
	}
	return facts, err
}

// lookBucket counts what a bucket holds.
func lookBucket(tx store.Tx, b *bucket, add func(name, format string, args ...any)) error {
	const most = 100_000
	var current, older, markers int
	var size int64
	for i, table := range []*store.Table[object]{objects, versions} {
		for o, err := range table.In(tx, global).Scan(store.Query{Parts: store.ID{b.ID}}) {
			if err != nil {
				return err
			}
			switch {
			case o.Marker:
				markers++
			case i == 0:
				current++
			default:
				older++
			}
			if size += o.Size; current+older+markers >= most {
				add("objects", "more than %d", most)
				return nil
			}
		}
	}
	add("objects", "%d objects, %d older versions and %d delete markers, %d bytes in all\nrows /0/_/_/s3/objects/%s,KEY and /0/_/_/s3/versions/%s,KEY,VERSION", current, older, markers, size, b.ID, b.ID)
	return nil
}

// lookVersion tells where the bytes of a version are, whose record is that row.
func (s *Service) lookVersion(tx store.Tx, o *object, row string, add func(name, format string, args ...any)) error {
	at := o.Modified.Format("2006-01-02T15:04:05Z")
	if o.Marker {
		add("version", "%s is a delete marker of %s\nrow %s", o.versionID(), at, row)
		return nil
	}
	add("version", "%s of %s, %d bytes, ETag %s\nrow %s", o.versionID(), at, o.Size, o.ETag, row)
	if o.Parts == nil {
		text, err := s.blobs.Look(tx, o.Blob)
		add("bytes", "%s", text)
		return err
	}
	add("parts", "%d, rows /0/_/_/s3/parts/%s,NUMBER", o.Parts.Count, o.Parts.ID)
	shown := 0
	for p, err := range partsOf(tx, o.Parts.ID) {
		if err != nil {
			return err
		}
		if shown++; shown > lookedAt {
			add("bytes", "and further parts")
			return nil
		}
		text, err := s.blobs.Look(tx, p.Blob)
		if err != nil {
			return err
		}
		add("bytes", "part %d: %s", p.Number, text)
	}
	return nil
}
