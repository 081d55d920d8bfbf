package s3

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// PutBucketInventoryConfiguration keeps an inventory's configuration.
func (s *Service) PutBucketInventoryConfiguration(ctx context.Context, in *s3.PutBucketInventoryConfigurationInput) (*s3.PutBucketInventoryConfigurationOutput, error) {
	c := in.InventoryConfiguration
	if c == nil || c.Destination == nil || c.Destination.S3BucketDestination == nil || c.Schedule == nil || c.IsEnabled == nil ||
		!slices.Contains(c.IncludedObjectVersions.Values(), c.IncludedObjectVersions) || !slices.Contains(c.Schedule.Frequency.Values(), c.Schedule.Frequency) {
		return nil, errMalformedXML()
	}
	to := c.Destination.S3BucketDestination
	if !slices.Contains(to.Format.Values(), to.Format) {
		return nil, errMalformedXML()
	}
	if err := checkReportBucket(to.Bucket); err != nil {
		return nil, err
	}
	for _, field := range c.OptionalFields {
		if !slices.Contains(field.Values(), field) {
			return nil, errMalformedXML()
		}
	}
	return &s3.PutBucketInventoryConfigurationOutput{}, s.putConfiguration(ctx, in.Bucket, in.ExpectedBucketOwner, kindInventory, in.Id, c.Id, c)
}

// checkReportBucket refuses what is no bucket's ARN.
// AWS: API reference of PutBucketInventoryConfiguration.
func checkReportBucket(arn *string) error {
	name, ok := strings.CutPrefix(aws.ToString(arn), "arn:aws:s3:::")
	if !ok || !validForLookup(name) {
		return refusal(http.StatusBadRequest, "InvalidS3DestinationBucket", "Invalid bucket ARN.")
	}
	return nil
}

// inventoryFields sets the key of the fields that an inventory asks for.
func inventoryFields(in *s3.PutBucketInventoryConfigurationInput, keys conditions) {
	if in.InventoryConfiguration == nil {
		return
	}
	for _, field := range in.InventoryConfiguration.OptionalFields {
		keys["s3:InventoryAccessibleOptionalFields"] = append(keys["s3:InventoryAccessibleOptionalFields"], string(field))
	}
}

// GetBucketInventoryConfiguration answers one configuration.
func (s *Service) GetBucketInventoryConfiguration(ctx context.Context, in *s3.GetBucketInventoryConfigurationInput) (*s3.GetBucketInventoryConfigurationOutput, error) {
	c, err := getConfiguration[types.InventoryConfiguration](ctx, s, in.Bucket, in.ExpectedBucketOwner, kindInventory, in.Id)
	return &s3.GetBucketInventoryConfigurationOutput{InventoryConfiguration: c}, err
}

// DeleteBucketInventoryConfiguration answers NoSuchConfiguration when there is none.
func (s *Service) DeleteBucketInventoryConfiguration(ctx context.Context, in *s3.DeleteBucketInventoryConfigurationInput) (*s3.DeleteBucketInventoryConfigurationOutput, error) {
	return &s3.DeleteBucketInventoryConfigurationOutput{}, s.deleteConfiguration(ctx, in.Bucket, in.ExpectedBucketOwner, kindInventory, in.Id)
}

// ListBucketInventoryConfigurations lists 100 at a time.
func (s *Service) ListBucketInventoryConfigurations(ctx context.Context, in *s3.ListBucketInventoryConfigurationsInput) (*s3.ListBucketInventoryConfigurationsOutput, error) {
	page, next, err := listConfigurations[types.InventoryConfiguration](ctx, s, in.Bucket, in.ExpectedBucketOwner, kindInventory, in.ContinuationToken)
	return &s3.ListBucketInventoryConfigurationsOutput{InventoryConfigurationList: page, IsTruncated: aws.Bool(next != nil), ContinuationToken: in.ContinuationToken, NextContinuationToken: next}, err
}
