package s3

import (
	"context"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"miniaws/awsapi"
	"miniaws/backend/store"
)

// PutBucketVersioning turns versioning on, or suspends it. It is never off again.
//
// AWS: API reference of PutBucketVersioning; "Configuring MFA delete": only the root user of the owner's account changes
// MFA delete, or versioning while it is on, with a code of its device; a bucket with a lifecycle has none.
func (s *Service) PutBucketVersioning(ctx context.Context, in *s3.PutBucketVersioningInput) (*s3.PutBucketVersioningOutput, error) {
	c := in.VersioningConfiguration
	if c == nil || c.Status != "" && !slices.Contains(c.Status.Values(), c.Status) || c.MFADelete != "" && !slices.Contains(c.MFADelete.Values(), c.MFADelete) {
		return nil, errMalformedXML()
	}
	if c.Status == "" {
		return nil, errIllegalVersioning("The Versioning element must be specified")
	}
	confirmed, err := s.confirms(ctx, in.Bucket, in.ExpectedBucketOwner, in.MFA)
	if err != nil {
		return nil, err
	}
	return &s3.PutBucketVersioningOutput{}, s.updateBucket(ctx, in.Bucket, in.ExpectedBucketOwner, func(tx store.Tx, b *bucket) error {
		protect := c.MFADelete == types.MFADeleteEnabled
		if !confirmed && (protect || b.MFADelete == types.MFADeleteStatusEnabled) {
			return errMFARequired()
		}
		if protect && b.Has[kindLifecycle] {
			// AWS: as cloudposse/terraform-aws-codebuild's issue 76 quotes it.
			return errInvalidBucketState("Mfa Authentication is not supported on a bucket with lifecycle configuration. Delete lifecycle configuration before enabling Mfa Authentication.")
		}
		if b.Locked && c.Status == types.BucketVersioningStatusSuspended {
			return errInvalidBucketState("An Object Lock configuration is present on this bucket, so the versioning state cannot be changed.")
		}
		if c.Status == types.BucketVersioningStatusSuspended && b.Has[kindReplication] {
			return errInvalidBucketState("A replication configuration is present on this bucket, so the versioning state cannot be changed.")
		}
		b.Versioning = c.Status
		if c.MFADelete != "" {
			b.MFADelete = types.MFADeleteStatus(c.MFADelete)
		}
		return nil
	})
}

// Devices knows the devices of root users.
type Devices interface {
	// TakeRootCode tells whether the code is one that the account's root user's device shows now, and uses it up.
	TakeRootCode(ctx context.Context, account, serial, code string) (bool, error)
}

// confirms tells whether the caller is the root user of the bucket's owner and proved with a device that it is. The header
// has the device's serial number, a space, and the code.
// AWS: "Deleting an object from an MFA delete-enabled bucket".
func (s *Service) confirms(ctx context.Context, name, expectedOwner, header *string) (bool, error) {
	caller := awsapi.FromContext(ctx).Principal
	serial, code, ok := strings.Cut(aws.ToString(header), " ")
	if !ok || !caller.Root || s.devices == nil {
		return false, nil
	}
	b, err := s.locate(ctx, aws.ToString(name), aws.ToString(expectedOwner))
	if err != nil || b.Account != caller.Account {
		return false, err
	}
	return s.devices.TakeRootCode(ctx, caller.Account, serial, code)
}

// GetBucketVersioning answers nothing for a bucket that never had versions.
func (s *Service) GetBucketVersioning(ctx context.Context, in *s3.GetBucketVersioningInput) (out *s3.GetBucketVersioningOutput, err error) {
	err = s.viewBucket(ctx, in.Bucket, in.ExpectedBucketOwner, func(_ store.Tx, b *bucket) error {
		out = &s3.GetBucketVersioningOutput{Status: b.Versioning, MFADelete: b.MFADelete}
		return nil
	})
	return out, err
}
