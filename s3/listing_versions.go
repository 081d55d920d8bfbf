package s3

import (
	"context"
	"iter"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"miniaws/backend/store"
)

// allVersions yields versions and delete markers by key, the newest first, from a cursor of keys on: both tables are
// walked together. latest tells the current ones.
func allVersions(tx store.Tx, b *bucket, prefix string, cursor store.Cursor) iter.Seq2[versionRow, error] {
	return func(yield func(versionRow, error) bool) {
		query := store.Query{Parts: store.ID{b.ID}, Prefix: prefix, After: cursor}
		older, stop := iter.Pull2(versions.In(tx, global).Scan(query))
		defer stop()
		next, err, more := older()
		for o, broke := range objects.In(tx, global).Scan(query) {
			if broke == nil && more {
				broke = err
			}
			if broke != nil {
				yield(versionRow{}, broke)
				return
			}
			if !yield(versionRow{o, true}, nil) {
				return
			}
			for more && next.Key <= o.Key {
				if next.Key == o.Key && !yield(versionRow{next, false}, nil) {
					return
				}
				if next, err, more = older(); more && err != nil {
					yield(versionRow{}, err)
					return
				}
			}
		}
	}
}

type versionRow struct {
	*object
	latest bool
}

// ListObjectVersions lists all versions and delete markers.
func (s *Service) ListObjectVersions(ctx context.Context, in *s3.ListObjectVersionsInput) (*s3.ListObjectVersionsOutput, error) {
	if in.MaxKeys != nil && *in.MaxKeys < 0 { // in words of its own
		return nil, errInvalidArgument("max-keys cannot be negative", "maxKeys", strconv.Itoa(int(*in.MaxKeys)))
	}
	limit, err := limitOf(in.MaxKeys, "max-keys")
	if err != nil {
		return nil, err
	}
	l := listing{prefix: aws.ToString(in.Prefix), delimiter: aws.ToString(in.Delimiter), after: aws.ToString(in.KeyMarker), limit: limit}
	if l.encode, err = encodes(in.EncodingType); err != nil {
		return nil, err
	}
	if in.VersionIdMarker != nil && l.after == "" {
		return nil, errInvalidArgument("A version-id marker cannot be specified without a key marker.", "version-id-marker", *in.VersionIdMarker)
	}
	if in.VersionIdMarker != nil && *in.VersionIdMarker == "" {
		return nil, errInvalidArgument("A version-id marker cannot be empty.", "version-id-marker", "")
	}
	if in.VersionIdMarker != nil && *in.VersionIdMarker != "null" && !plausibleVersion(*in.VersionIdMarker) {
		return nil, errInvalidArgument("Invalid version id specified", "version-id-marker", *in.VersionIdMarker)
	}
	out := &s3.ListObjectVersionsOutput{
		Name: in.Bucket, Prefix: l.name(l.prefix), KeyMarker: l.name(l.after), VersionIdMarker: aws.String(aws.ToString(in.VersionIdMarker)),
		MaxKeys: aws.Int32(int32(limit)), Delimiter: l.optional(l.delimiter), EncodingType: in.EncodingType, IsTruncated: aws.Bool(false),
	}
	var prefixes []string
	var last *object // the last one listed; nil after a common prefix
	lastKey := ""
	err = s.viewBucket(ctx, in.Bucket, in.ExpectedBucketOwner, func(tx store.Tx, b *bucket) error {
		if limit == 0 {
			return nil
		}
		var cursor store.Cursor
		within := "" // the version that the page before ended with
		if l.after != "" {
			cursor = store.After(b.ID, l.after)
			if in.VersionIdMarker != nil {
				marked, _, err := versionOf(tx, b, l.after, *in.VersionIdMarker)
				if err != nil {
					return err
				}
				within = *in.VersionIdMarker
				if marked != nil {
					within = marked.Order
				}
				// From the key itself on: the beginning of what sorts behind everything before it.
				cursor = beforeKey(b.ID, l.after)
			}
		}
		for {
			again := false
			for o, err := range allVersions(tx, b, l.prefix, cursor) {
				if err != nil {
					return err
				}
				if within != "" && o.Key == l.after && o.Order <= within {
					continue
				}
				group := l.group(o.Key)
				if group != "" && group <= l.after {
					cursor, again = store.AfterPrefix(b.ID, group), true
					break
				}
				if len(out.Versions)+len(out.DeleteMarkers)+len(prefixes) == limit {
					out.IsTruncated = aws.Bool(true)
					out.NextKeyMarker = l.name(lastKey)
					if last != nil {
						out.NextVersionIdMarker = aws.String(last.versionID())
					}
					return nil
				}
				lastKey, last = o.Key, o.object
				if group != "" {
					prefixes, lastKey, last = append(prefixes, group), group, nil
					cursor, again = store.AfterPrefix(b.ID, group), true
					break
				}
				if o.Marker {
					out.DeleteMarkers = append(out.DeleteMarkers, types.DeleteMarkerEntry{
						Key: l.name(o.Key), VersionId: aws.String(o.versionID()), IsLatest: aws.Bool(o.latest), LastModified: &o.Modified, Owner: ownerOf(o.Owner),
					})
					continue
				}
				entry := types.ObjectVersion{
					Key: l.name(o.Key), VersionId: aws.String(o.versionID()), IsLatest: aws.Bool(o.latest), LastModified: &o.Modified,
					ETag: o.quoted(), Size: &o.Size, StorageClass: types.ObjectVersionStorageClass(o.class()), Owner: ownerOf(o.Owner),
				}
				if o.Sum.Value != "" {
					entry.ChecksumAlgorithm, entry.ChecksumType = []types.ChecksumAlgorithm{types.ChecksumAlgorithm(o.Sum.Algorithm)}, o.Sum.kind()
				}
				if wantsRestores(in.OptionalObjectAttributes) {
					entry.RestoreStatus = o.restoreStatus()
				}
				out.Versions = append(out.Versions, entry)
			}
			if !again {
				return nil
			}
		}
	})
	out.CommonPrefixes = l.shownPrefixes(prefixes)
	return out, err
}

// beforeKey is the place before everything of a key.
func beforeKey(bucket, key string) store.Cursor {
	after := store.After(bucket, key)
	return after[:len(after)-1]
}
