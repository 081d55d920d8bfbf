package s3

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"miniaws/backend/store"
)

// GetObjectAttributes answers what is asked for: ETag, checksum, parts, class, size.
func (s *Service) GetObjectAttributes(ctx context.Context, in *s3.GetObjectAttributesInput) (out *s3.GetObjectAttributesOutput, err error) {
	if len(in.ObjectAttributes) == 0 {
		return nil, errInvalidArgument("Invalid attribute name specified.", "x-amz-object-attributes", "")
	}
	for _, name := range in.ObjectAttributes {
		if !slices.Contains(name.Values(), name) {
			return nil, errInvalidArgument("Invalid attribute name specified.", "x-amz-object-attributes", string(name))
		}
	}
	limit := int32(1000)
	if in.MaxParts != nil {
		if limit = *in.MaxParts; limit < 0 {
			return nil, errInvalidArgument("Argument max-parts must be an integer between 0 and 2147483647", "x-amz-max-parts", strconv.Itoa(int(limit)))
		}
		limit = min(limit, 1000)
	}
	after := 0
	if in.PartNumberMarker != nil {
		if after, err = strconv.Atoi(*in.PartNumberMarker); err != nil || after < 0 {
			return nil, errInvalidArgument("Argument part-number-marker must be an integer between 0 and 2147483647", "x-amz-part-number-marker", *in.PartNumberMarker)
		}
	}
	wants := func(name types.ObjectAttributes) bool { return slices.Contains(in.ObjectAttributes, name) }
	err = s.viewBucket(ctx, in.Bucket, in.ExpectedBucketOwner, func(tx store.Tx, b *bucket) error {
		o, err := sharedOf(tx, b, in.Key, in.VersionId)
		if err != nil {
			return ofMarker(ctx, err)
		}
		if _, err := o.Sealing.unlock(customerKey{algorithm: in.SSECustomerAlgorithm, key: in.SSECustomerKey, md5: in.SSECustomerKeyMD5}); err != nil {
			return err
		}
		out = &s3.GetObjectAttributesOutput{LastModified: &o.Modified, VersionId: b.shownVersion(o)}
		if wants(types.ObjectAttributesEtag) {
			out.ETag = &o.ETag // without quotation marks, other than everywhere
		}
		if wants(types.ObjectAttributesStorageClass) {
			out.StorageClass = types.StorageClass(o.class())
		}
		if wants(types.ObjectAttributesObjectSize) {
			out.ObjectSize = &o.Size
		}
		if wants(types.ObjectAttributesChecksum) && o.Sum.Value != "" {
			out.Checksum = &types.Checksum{ChecksumType: o.Sum.kind()}
			value, _, _ := strings.Cut(o.Sum.Value, "-") // AWS: without the number of parts
			setSum(out.Checksum, o.Sum.Algorithm, value)
		}
		if !wants(types.ObjectAttributesObjectParts) || o.Parts == nil {
			return nil
		}
		parts := &types.GetObjectAttributesParts{TotalPartsCount: &o.Parts.Count}
		out.ObjectParts = parts
		// AWS: the list itself is there for objects with a composite checksum.
		if !o.Sum.Composite {
			return nil
		}
		parts.MaxParts, parts.IsTruncated, parts.PartNumberMarker = &limit, aws.Bool(false), aws.String(strconv.Itoa(after))
		parts.NextPartNumberMarker = parts.PartNumberMarker
		for p, err := range partsOf(tx, o.Parts.ID) {
			if err != nil {
				return err
			}
			if int(p.Number) <= after {
				continue
			}
			if int32(len(parts.Parts)) == limit {
				parts.IsTruncated = aws.Bool(true)
				break
			}
			shown := types.ObjectPart{PartNumber: &p.Number, Size: &p.Size}
			setSum(&shown, o.Sum.Algorithm, p.Sum)
			parts.Parts = append(parts.Parts, shown)
			parts.NextPartNumberMarker = aws.String(strconv.Itoa(int(p.Number)))
		}
		return nil
	})
	return out, err
}
