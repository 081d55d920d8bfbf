package s3

import (
	"context"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"miniaws/backend/store"
)

// initiator is who began an upload, as listings have it.
func (u *upload) initiator() *types.Initiator {
	owner := ownerOf(u.Owner)
	if u.Initiator == "" || strings.HasSuffix(u.Initiator, ":root") {
		return &types.Initiator{ID: owner.ID, DisplayName: owner.DisplayName}
	}
	return &types.Initiator{ID: &u.Initiator, DisplayName: owner.DisplayName}
}

func (u *upload) class() types.StorageClass {
	if u.Class == "" {
		return types.StorageClassStandard
	}
	return types.StorageClass(u.Class)
}

// ListMultipartUploads lists uploads under way by key, the oldest first.
func (s *Service) ListMultipartUploads(ctx context.Context, in *s3.ListMultipartUploadsInput) (*s3.ListMultipartUploadsOutput, error) {
	limit, err := limitOf(in.MaxUploads, "max-uploads")
	if err != nil {
		return nil, err
	}
	l := listing{prefix: aws.ToString(in.Prefix), delimiter: aws.ToString(in.Delimiter), after: aws.ToString(in.KeyMarker), limit: limit}
	if l.encode, err = encodes(in.EncodingType); err != nil {
		return nil, err
	}
	// AWS: API reference of ListMultipartUploads: without a key marker the upload id marker is ignored.
	marker := ""
	if l.after != "" {
		marker = aws.ToString(in.UploadIdMarker)
	}
	out := &s3.ListMultipartUploadsOutput{
		Bucket: in.Bucket, Prefix: l.name(l.prefix), KeyMarker: l.name(l.after), UploadIdMarker: aws.String(marker), MaxUploads: aws.Int32(int32(limit)),
		Delimiter: l.optional(l.delimiter), EncodingType: in.EncodingType, IsTruncated: aws.Bool(false),
	}
	var prefixes []string
	lastKey, lastID := "", ""
	err = s.viewBucket(ctx, in.Bucket, in.ExpectedBucketOwner, func(tx store.Tx, b *bucket) error {
		if limit == 0 {
			return nil
		}
		var cursor store.Cursor
		switch {
		case marker != "":
			cursor = store.After(b.ID, l.after, marker)
		case l.after != "":
			cursor = store.AfterPrefix(b.ID, l.after, "")
		}
		for {
			again := false
			for u, err := range uploads.In(tx, global).Scan(store.Query{Parts: store.ID{b.ID}, Prefix: l.prefix, After: cursor}) {
				if err != nil {
					return err
				}
				group := l.group(u.Key)
				if group != "" && group <= l.after {
					cursor, again = store.AfterPrefix(b.ID, group), true
					break
				}
				if len(out.Uploads)+len(prefixes) == limit {
					out.IsTruncated = aws.Bool(true)
					out.NextKeyMarker, out.NextUploadIdMarker = l.name(lastKey), aws.String(lastID)
					return nil
				}
				if group != "" {
					prefixes, lastKey, lastID = append(prefixes, group), group, ""
					cursor, again = store.AfterPrefix(b.ID, group), true
					break
				}
				lastKey, lastID = u.Key, u.ID
				entry := types.MultipartUpload{
					Key: l.name(u.Key), UploadId: &u.ID, Initiated: &u.Initiated, Owner: ownerOf(u.Owner), Initiator: u.initiator(), StorageClass: u.class(),
				}
				if u.Algorithm != "" {
					entry.ChecksumAlgorithm, entry.ChecksumType = types.ChecksumAlgorithm(u.Algorithm), kindOf(u.Composite)
				}
				out.Uploads = append(out.Uploads, entry)
			}
			if !again {
				return nil
			}
		}
	})
	out.CommonPrefixes = l.shownPrefixes(prefixes)
	return out, err
}

// ListParts lists the parts of an upload under way.
func (s *Service) ListParts(ctx context.Context, in *s3.ListPartsInput) (*s3.ListPartsOutput, error) {
	limit, err := limitOf(in.MaxParts, "max-parts")
	if err != nil {
		return nil, err
	}
	after := 0
	if text := aws.ToString(in.PartNumberMarker); text != "" {
		if after, err = strconv.Atoi(text); err != nil || after < 0 {
			return nil, errInvalidArgument("Argument part-number-marker must be an integer between 0 and 2147483647", "part-number-marker", text)
		}
	}
	out := &s3.ListPartsOutput{
		Bucket: in.Bucket, Key: in.Key, UploadId: in.UploadId, PartNumberMarker: aws.String(strconv.Itoa(after)), NextPartNumberMarker: aws.String("0"),
		MaxParts: aws.Int32(int32(limit)), IsTruncated: aws.Bool(false),
	}
	err = s.viewBucket(ctx, in.Bucket, in.ExpectedBucketOwner, func(tx store.Tx, b *bucket) error {
		u, err := uploadOf(tx, b, in.Key, in.UploadId)
		if err != nil {
			return err
		}
		out.Owner, out.Initiator, out.StorageClass = ownerOf(u.Owner), u.initiator(), u.class()
		if u.Algorithm != "" {
			out.ChecksumAlgorithm, out.ChecksumType = types.ChecksumAlgorithm(u.Algorithm), kindOf(u.Composite)
		}
		query := store.Query{Parts: store.ID{u.ID}}
		if after > 0 {
			query.After = store.After(partID(u.ID, int32(min(after, maxParts)))...)
		}
		for p, err := range parts.In(tx, global).Scan(query) {
			if err != nil {
				return err
			}
			if len(out.Parts) == limit {
				out.IsTruncated = aws.Bool(true)
				return nil
			}
			entry := types.Part{PartNumber: &p.Number, Size: &p.Size, ETag: aws.String(`"` + p.etag() + `"`), LastModified: &p.Modified}
			if u.Algorithm != "" {
				setSum(&entry, u.Algorithm, p.Sum)
			}
			out.Parts = append(out.Parts, entry)
			out.NextPartNumberMarker = aws.String(strconv.Itoa(int(p.Number)))
		}
		return nil
	})
	return out, err
}
