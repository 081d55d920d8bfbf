package s3

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// analytics is types.AnalyticsConfiguration as it is stored: its filter is an interface, which JSON cannot read back.
type analytics struct {
	ID       *string
	Analysis *types.StorageClassAnalysis
	Prefix   *string                     `json:",omitempty"`
	Tag      *types.Tag                  `json:",omitempty"`
	And      *types.AnalyticsAndOperator `json:",omitempty"`
}

func (a *analytics) toAPI() *types.AnalyticsConfiguration {
	c := &types.AnalyticsConfiguration{Id: a.ID, StorageClassAnalysis: a.Analysis}
	switch {
	case a.And != nil:
		c.Filter = &types.AnalyticsFilterMemberAnd{Value: *a.And}
	case a.Tag != nil:
		c.Filter = &types.AnalyticsFilterMemberTag{Value: *a.Tag}
	case a.Prefix != nil:
		c.Filter = &types.AnalyticsFilterMemberPrefix{Value: *a.Prefix}
	}
	return c
}

// PutBucketAnalyticsConfiguration keeps a configuration.
func (s *Service) PutBucketAnalyticsConfiguration(ctx context.Context, in *s3.PutBucketAnalyticsConfigurationInput) (*s3.PutBucketAnalyticsConfigurationOutput, error) {
	c := in.AnalyticsConfiguration
	if c == nil || c.StorageClassAnalysis == nil {
		return nil, errMalformedXML()
	}
	if export := c.StorageClassAnalysis.DataExport; export != nil {
		if export.Destination == nil || export.Destination.S3BucketDestination == nil || export.OutputSchemaVersion != types.StorageClassAnalysisSchemaVersionV1 {
			return nil, errMalformedXML()
		}
		if err := checkReportBucket(export.Destination.S3BucketDestination.Bucket); err != nil {
			return nil, err
		}
	}
	kept := &analytics{ID: c.Id, Analysis: c.StorageClassAnalysis}
	switch f := c.Filter.(type) {
	case nil:
	case *types.AnalyticsFilterMemberAnd:
		kept.And = &f.Value
	case *types.AnalyticsFilterMemberTag:
		kept.Tag = &f.Value
	case *types.AnalyticsFilterMemberPrefix:
		kept.Prefix = &f.Value
	default:
		return nil, errMalformedXML()
	}
	return &s3.PutBucketAnalyticsConfigurationOutput{}, s.putConfiguration(ctx, in.Bucket, in.ExpectedBucketOwner, kindAnalytics, in.Id, c.Id, kept)
}

// GetBucketAnalyticsConfiguration answers one configuration.
func (s *Service) GetBucketAnalyticsConfiguration(ctx context.Context, in *s3.GetBucketAnalyticsConfigurationInput) (*s3.GetBucketAnalyticsConfigurationOutput, error) {
	c, err := getConfiguration[analytics](ctx, s, in.Bucket, in.ExpectedBucketOwner, kindAnalytics, in.Id)
	if err != nil {
		return nil, err
	}
	return &s3.GetBucketAnalyticsConfigurationOutput{AnalyticsConfiguration: c.toAPI()}, nil
}

// DeleteBucketAnalyticsConfiguration answers NoSuchConfiguration when there is none.
func (s *Service) DeleteBucketAnalyticsConfiguration(ctx context.Context, in *s3.DeleteBucketAnalyticsConfigurationInput) (*s3.DeleteBucketAnalyticsConfigurationOutput, error) {
	return &s3.DeleteBucketAnalyticsConfigurationOutput{}, s.deleteConfiguration(ctx, in.Bucket, in.ExpectedBucketOwner, kindAnalytics, in.Id)
}

// ListBucketAnalyticsConfigurations lists 100 at a time.
func (s *Service) ListBucketAnalyticsConfigurations(ctx context.Context, in *s3.ListBucketAnalyticsConfigurationsInput) (*s3.ListBucketAnalyticsConfigurationsOutput, error) {
	page, next, err := listConfigurations[analytics](ctx, s, in.Bucket, in.ExpectedBucketOwner, kindAnalytics, in.ContinuationToken)
	out := &s3.ListBucketAnalyticsConfigurationsOutput{IsTruncated: aws.Bool(next != nil), ContinuationToken: in.ContinuationToken, NextContinuationToken: next}
	for i := range page {
		out.AnalyticsConfigurationList = append(out.AnalyticsConfigurationList, *page[i].toAPI())
	}
	return out, err
}
