package s3

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"miniaws/backend/store"
)

// PutObjectTagging replaces a version's tags.
func (s *Service) PutObjectTagging(ctx context.Context, in *s3.PutObjectTaggingInput) (*s3.PutObjectTaggingOutput, error) {
	if in.Tagging == nil {
		return nil, errMalformedXML()
	}
	tags, err := keptTags(in.Tagging.TagSet)
	if err != nil {
		return nil, err
	}
	out := &s3.PutObjectTaggingOutput{}
	return out, s.changeMetadata(ctx, in.Bucket, in.ExpectedBucketOwner, in.Key, in.VersionId, changedTags, func(_ store.Tx, b *bucket, o *object) error {
		o.Tags, out.VersionId = tags, b.shownVersion(o)
		return nil
	})
}

// GetObjectTagging answers an empty set for a version without tags.
func (s *Service) GetObjectTagging(ctx context.Context, in *s3.GetObjectTaggingInput) (out *s3.GetObjectTaggingOutput, err error) {
	err = s.viewObject(ctx, in.Bucket, in.ExpectedBucketOwner, in.Key, in.VersionId, func(b *bucket, o *object) error {
		out = &s3.GetObjectTaggingOutput{TagSet: []types.Tag{}, VersionId: b.shownVersion(o)}
		for _, t := range o.Tags {
			out.TagSet = append(out.TagSet, types.Tag{Key: aws.String(t.Key), Value: aws.String(t.Value)})
		}
		return nil
	})
	return out, err
}

// DeleteObjectTagging removes a version's tags.
func (s *Service) DeleteObjectTagging(ctx context.Context, in *s3.DeleteObjectTaggingInput) (*s3.DeleteObjectTaggingOutput, error) {
	out := &s3.DeleteObjectTaggingOutput{}
	return out, s.changeMetadata(ctx, in.Bucket, in.ExpectedBucketOwner, in.Key, in.VersionId, changedTags, func(_ store.Tx, b *bucket, o *object) error {
		o.Tags, out.VersionId = nil, b.shownVersion(o)
		return nil
	})
}
