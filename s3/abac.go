package s3

import (
	"context"
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"miniaws/backend/store"
)

// PutBucketAbac says whether the bucket's tags count as aws:ResourceTag.
func (s *Service) PutBucketAbac(ctx context.Context, in *s3.PutBucketAbacInput) (*s3.PutBucketAbacOutput, error) {
	if in.AbacStatus == nil || !slices.Contains(in.AbacStatus.Status.Values(), in.AbacStatus.Status) {
		return nil, errMalformedXML()
	}
	return &s3.PutBucketAbacOutput{}, s.updateBucket(ctx, in.Bucket, in.ExpectedBucketOwner, func(_ store.Tx, b *bucket) error {
		b.ABAC = in.AbacStatus.Status
		return nil
	})
}

// GetBucketAbac answers Disabled until it is enabled.
func (s *Service) GetBucketAbac(ctx context.Context, in *s3.GetBucketAbacInput) (out *s3.GetBucketAbacOutput, err error) {
	err = s.viewBucket(ctx, in.Bucket, in.ExpectedBucketOwner, func(_ store.Tx, b *bucket) error {
		out = &s3.GetBucketAbacOutput{AbacStatus: &types.AbacStatus{Status: types.BucketAbacStatusDisabled}}
		if b.ABAC != "" {
			out.AbacStatus.Status = b.ABAC
		}
		return nil
	})
	return out, err
}
