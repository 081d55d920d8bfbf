package s3

import (
	"context"
	"net/http"
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"miniaws/backend/store"
)

// PutBucketVersioning turns versioning on, or suspends it. It is never off again.
//
// AWS: API reference of PutBucketVersioning; "Configuring MFA delete": only the root user of the owner's account
// changes MFA delete, with a device. This installation has no devices, so turning it on is refused.
func (s *Service) PutBucketVersioning(ctx context.Context, in *s3.PutBucketVersioningInput) (*s3.PutBucketVersioningOutput, error) {
	c := in.VersioningConfiguration
	if c == nil || c.Status != "" && !slices.Contains(c.Status.Values(), c.Status) || c.MFADelete != "" && !slices.Contains(c.MFADelete.Values(), c.MFADelete) {
		return nil, errMalformedXML()
	}
	if c.Status == "" {
		return nil, errIllegalVersioning("The Versioning element must be specified")
	}
	return &s3.PutBucketVersioningOutput{}, s.updateBucket(ctx, in.Bucket, in.ExpectedBucketOwner, func(tx store.Tx, b *bucket) error {
		if err := checkMFA(c.MFADelete); err != nil {
			return err
		}
		if b.Locked && c.Status == types.BucketVersioningStatusSuspended {
			return errInvalidBucketState("An Object Lock configuration is present on this bucket, so the versioning state cannot be changed.")
		}
		if c.Status == types.BucketVersioningStatusSuspended && b.Has[kindReplication] {
			return errInvalidBucketState("A replication configuration is present on this bucket, so the versioning state cannot be changed.")
		}
		b.Versioning = c.Status
		return nil
	})
}

// checkMFA refuses to turn MFA delete on: what it protects could not be deleted by anybody.
func checkMFA(wanted types.MFADelete) error {
	if wanted == "" || wanted == types.MFADeleteDisabled {
		return nil // it is never on
	}
	// Only root may, with a device; and no device has the serial number, so its code is wrong.
	// AWS: "Error responses", AccessDenied.
	return refusal(http.StatusForbidden, "AccessDenied", "Mfa Authentication must be used for this request")
}

// GetBucketVersioning answers nothing for a bucket that never had versions.
func (s *Service) GetBucketVersioning(ctx context.Context, in *s3.GetBucketVersioningInput) (out *s3.GetBucketVersioningOutput, err error) {
	err = s.viewBucket(ctx, in.Bucket, in.ExpectedBucketOwner, func(_ store.Tx, b *bucket) error {
		out = &s3.GetBucketVersioningOutput{Status: b.Versioning}
		return nil
	})
	return out, err
}
