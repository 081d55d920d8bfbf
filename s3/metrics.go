package s3

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// metrics is types.MetricsConfiguration as it is stored: its filter is an interface, which JSON cannot read back.
type metrics struct {
	ID          *string
	Prefix      *string                   `json:",omitempty"`
	AccessPoint *string                   `json:",omitempty"`
	Tag         *types.Tag                `json:",omitempty"`
	And         *types.MetricsAndOperator `json:",omitempty"`
}

func (m *metrics) toAPI() *types.MetricsConfiguration {
	c := &types.MetricsConfiguration{Id: m.ID}
	switch {
	case m.And != nil:
		c.Filter = &types.MetricsFilterMemberAnd{Value: *m.And}
	case m.Tag != nil:
		c.Filter = &types.MetricsFilterMemberTag{Value: *m.Tag}
	case m.AccessPoint != nil:
		c.Filter = &types.MetricsFilterMemberAccessPointArn{Value: *m.AccessPoint}
	case m.Prefix != nil:
		c.Filter = &types.MetricsFilterMemberPrefix{Value: *m.Prefix}
	}
	return c
}

// PutBucketMetricsConfiguration keeps a configuration.
func (s *Service) PutBucketMetricsConfiguration(ctx context.Context, in *s3.PutBucketMetricsConfigurationInput) (*s3.PutBucketMetricsConfigurationOutput, error) {
	c := in.MetricsConfiguration
	if c == nil {
		return nil, errMalformedXML()
	}
	kept := &metrics{ID: c.Id}
	switch f := c.Filter.(type) {
	case nil:
	case *types.MetricsFilterMemberAnd:
		kept.And = &f.Value
	case *types.MetricsFilterMemberTag:
		kept.Tag = &f.Value
	case *types.MetricsFilterMemberAccessPointArn:
		kept.AccessPoint = &f.Value
	case *types.MetricsFilterMemberPrefix:
		kept.Prefix = &f.Value
	default:
		return nil, errMalformedXML()
	}
	return &s3.PutBucketMetricsConfigurationOutput{}, s.putConfiguration(ctx, in.Bucket, in.ExpectedBucketOwner, kindMetrics, in.Id, c.Id, kept)
}

// GetBucketMetricsConfiguration answers one configuration.
func (s *Service) GetBucketMetricsConfiguration(ctx context.Context, in *s3.GetBucketMetricsConfigurationInput) (*s3.GetBucketMetricsConfigurationOutput, error) {
	c, err := getConfiguration[metrics](ctx, s, in.Bucket, in.ExpectedBucketOwner, kindMetrics, in.Id)
	if err != nil {
		return nil, err
	}
	return &s3.GetBucketMetricsConfigurationOutput{MetricsConfiguration: c.toAPI()}, nil
}

// DeleteBucketMetricsConfiguration answers NoSuchConfiguration when there is none.
func (s *Service) DeleteBucketMetricsConfiguration(ctx context.Context, in *s3.DeleteBucketMetricsConfigurationInput) (*s3.DeleteBucketMetricsConfigurationOutput, error) {
	return &s3.DeleteBucketMetricsConfigurationOutput{}, s.deleteConfiguration(ctx, in.Bucket, in.ExpectedBucketOwner, kindMetrics, in.Id)
}

// ListBucketMetricsConfigurations lists 100 at a time.
func (s *Service) ListBucketMetricsConfigurations(ctx context.Context, in *s3.ListBucketMetricsConfigurationsInput) (*s3.ListBucketMetricsConfigurationsOutput, error) {
	page, next, err := listConfigurations[metrics](ctx, s, in.Bucket, in.ExpectedBucketOwner, kindMetrics, in.ContinuationToken)
	out := &s3.ListBucketMetricsConfigurationsOutput{IsTruncated: aws.Bool(next != nil), ContinuationToken: in.ContinuationToken, NextContinuationToken: next}
	for i := range page {
		out.MetricsConfigurationList = append(out.MetricsConfigurationList, *page[i].toAPI())
	}
	return out, err
}
