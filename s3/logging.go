package s3

import (
	"context"
	"net/http"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"miniaws/backend/store"
)

// PutBucketLogging turns server access logs on, and off with an empty status.
//
// AWS: "Enabling Amazon S3 server access logging": the target is in the same account and region.
func (s *Service) PutBucketLogging(ctx context.Context, in *s3.PutBucketLoggingInput) (*s3.PutBucketLoggingOutput, error) {
	if in.BucketLoggingStatus == nil {
		return nil, errMalformedXML()
	}
	l := in.BucketLoggingStatus.LoggingEnabled
	if l == nil {
		return &s3.PutBucketLoggingOutput{}, s.dropConfig(ctx, in.Bucket, in.ExpectedBucketOwner, kindLogging)
	}
	if l.TargetPrefix == nil || l.TargetBucket == nil {
		return nil, errMalformedXML()
	}
	for _, g := range l.TargetGrants {
		if g.Grantee == nil || !slices.Contains(g.Permission.Values(), g.Permission) {
			return nil, errMalformedXML()
		}
	}
	if f := l.TargetObjectKeyFormat; f != nil && (f.SimplePrefix == nil) == (f.PartitionedPrefix == nil) {
		return nil, errMalformedXML()
	}
	return &s3.PutBucketLoggingOutput{}, s.putConfig(ctx, in.Bucket, in.ExpectedBucketOwner, kindLogging, l, func(tx store.Tx, b *bucket) error {
		target, err := findBucket(tx, aws.ToString(l.TargetBucket))
		switch {
		case err != nil:
			return err
		case target == nil:
			return errInvalidLogTarget("The target bucket for logging does not exist", *l.TargetBucket)
		case target.Account != b.Account:
			return errInvalidLogTarget("The owner for the bucket to be logged and the target bucket must be the same.", target.Name)
		case target.Region != b.Region:
			return refusal(http.StatusForbidden, "CrossLocationLoggingProhibitted", "Cross S3 location logging not allowed. ", "TargetBucketLocation", target.Region, "SourceBucketLocation", b.Region)
		case target.RequesterPays:
			return errInvalidLogTarget("The target bucket for logging cannot have requester pays enabled.", target.Name)
		case target.Retention != nil:
			return errInvalidLogTarget("The target bucket for logging cannot have a default retention period.", target.Name)
		case len(l.TargetGrants) > 0 && !target.acls():
			return errInvalidArgument("Target grants are not supported for buckets with bucket owner enforced setting for Object Ownership", "TargetGrants", "")
		}
		return nil
	})
}

func errInvalidLogTarget(message, target string) error {
	return refusal(http.StatusBadRequest, "InvalidTargetBucketForLogging", message, "TargetBucket", target)
}

// GetBucketLogging answers an empty status where nothing is logged.
func (s *Service) GetBucketLogging(ctx context.Context, in *s3.GetBucketLoggingInput) (*s3.GetBucketLoggingOutput, error) {
	l, _, err := getConfig[types.LoggingEnabled](ctx, s, in.Bucket, in.ExpectedBucketOwner, kindLogging)
	return &s3.GetBucketLoggingOutput{LoggingEnabled: l}, err
}
