package s3

import (
	"context"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// PutBucketIntelligentTieringConfiguration keeps a configuration.
// AWS: API reference of Tiering: 90 to 730 days for archive access, 180 to 730 for deep archive access.
func (s *Service) PutBucketIntelligentTieringConfiguration(ctx context.Context, in *s3.PutBucketIntelligentTieringConfigurationInput) (*s3.PutBucketIntelligentTieringConfigurationOutput, error) {
	c := in.IntelligentTieringConfiguration
	if c == nil || len(c.Tierings) == 0 || !slices.Contains(c.Status.Values(), c.Status) {
		return nil, errMalformedXML()
	}
	for _, t := range c.Tierings {
		least := int32(90)
		if t.AccessTier == types.IntelligentTieringAccessTierDeepArchiveAccess {
			least = 180
		}
		switch {
		case !slices.Contains(t.AccessTier.Values(), t.AccessTier) || t.Days == nil:
			return nil, errMalformedXML()
		case *t.Days < least || *t.Days > 730:
			return nil, errInvalidArgument("The number of days is not valid for the access tier", "Days", "")
		}
	}
	return &s3.PutBucketIntelligentTieringConfigurationOutput{}, s.putConfiguration(ctx, in.Bucket, in.ExpectedBucketOwner, kindTiering, in.Id, c.Id, c)
}

// GetBucketIntelligentTieringConfiguration answers one configuration.
func (s *Service) GetBucketIntelligentTieringConfiguration(ctx context.Context, in *s3.GetBucketIntelligentTieringConfigurationInput) (*s3.GetBucketIntelligentTieringConfigurationOutput, error) {
	c, err := getConfiguration[types.IntelligentTieringConfiguration](ctx, s, in.Bucket, in.ExpectedBucketOwner, kindTiering, in.Id)
	return &s3.GetBucketIntelligentTieringConfigurationOutput{IntelligentTieringConfiguration: c}, err
}

// DeleteBucketIntelligentTieringConfiguration answers NoSuchConfiguration when there is none.
func (s *Service) DeleteBucketIntelligentTieringConfiguration(ctx context.Context, in *s3.DeleteBucketIntelligentTieringConfigurationInput) (*s3.DeleteBucketIntelligentTieringConfigurationOutput, error) {
	return &s3.DeleteBucketIntelligentTieringConfigurationOutput{}, s.deleteConfiguration(ctx, in.Bucket, in.ExpectedBucketOwner, kindTiering, in.Id)
}

// ListBucketIntelligentTieringConfigurations lists 100 at a time.
func (s *Service) ListBucketIntelligentTieringConfigurations(ctx context.Context, in *s3.ListBucketIntelligentTieringConfigurationsInput) (*s3.ListBucketIntelligentTieringConfigurationsOutput, error) {
	page, next, err := listConfigurations[types.IntelligentTieringConfiguration](ctx, s, in.Bucket, in.ExpectedBucketOwner, kindTiering, in.ContinuationToken)
	return &s3.ListBucketIntelligentTieringConfigurationsOutput{IntelligentTieringConfigurationList: page, IsTruncated: aws.Bool(next != nil), ContinuationToken: in.ContinuationToken, NextContinuationToken: next}, err
}
