package s3

import (
	"context"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"miniaws/backend/store"
)

// PutBucketAccelerateConfiguration is kept: there is no edge that would be nearer.
// AWS: API reference of PutBucketAccelerateConfiguration: not for names with dots.
func (s *Service) PutBucketAccelerateConfiguration(ctx context.Context, in *s3.PutBucketAccelerateConfigurationInput) (*s3.PutBucketAccelerateConfigurationOutput, error) {
	if in.AccelerateConfiguration == nil || !slices.Contains(in.AccelerateConfiguration.Status.Values(), in.AccelerateConfiguration.Status) {
		return nil, errMalformedXML()
	}
	return &s3.PutBucketAccelerateConfigurationOutput{}, s.updateBucket(ctx, in.Bucket, in.ExpectedBucketOwner, func(_ store.Tx, b *bucket) error {
		if strings.Contains(b.Name, ".") {
			return errInvalidRequest("S3 Transfer Acceleration is not supported for buckets with periods (.) in their names")
		}
		b.Accelerate = in.AccelerateConfiguration.Status
		return nil
	})
}

// GetBucketAccelerateConfiguration answers nothing until it is set.
func (s *Service) GetBucketAccelerateConfiguration(ctx context.Context, in *s3.GetBucketAccelerateConfigurationInput) (out *s3.GetBucketAccelerateConfigurationOutput, err error) {
	err = s.viewBucket(ctx, in.Bucket, in.ExpectedBucketOwner, func(_ store.Tx, b *bucket) error {
		out = &s3.GetBucketAccelerateConfigurationOutput{Status: b.Accelerate}
		return nil
	})
	return out, err
}
