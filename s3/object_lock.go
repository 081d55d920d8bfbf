package s3

import (
	"context"
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"miniaws/backend/store"
)

// PutObjectLockConfiguration turns Object Lock on, for good, and sets or removes what new objects get.
//
// AWS: API reference of PutObjectLockConfiguration: an existing bucket may get it too, once versioning is on.
func (s *Service) PutObjectLockConfiguration(ctx context.Context, in *s3.PutObjectLockConfigurationInput) (*s3.PutObjectLockConfigurationOutput, error) {
	c := in.ObjectLockConfiguration
	if c == nil || c.ObjectLockEnabled != types.ObjectLockEnabledEnabled {
		return nil, errMalformedXML()
	}
	var retention *types.DefaultRetention
	if c.Rule != nil {
		if retention = c.Rule.DefaultRetention; retention == nil {
			return nil, errMalformedXML()
		}
		if err := checkRetention(retention); err != nil {
			return nil, err
		}
	}
	return &s3.PutObjectLockConfigurationOutput{}, s.updateBucket(ctx, in.Bucket, in.ExpectedBucketOwner, func(_ store.Tx, b *bucket) error {
		if b.Versioning != types.BucketVersioningStatusEnabled {
			return errInvalidBucketState("Versioning must be 'Enabled' on the bucket to apply a Object Lock configuration")
		}
		b.Locked, b.Retention = true, retention
		return nil
	})
}

// The longest retention, which is 100 years.
// AWS: "Object Lock considerations".
const (
	maxRetentionDays  = 36_500
	maxRetentionYears = 100
)

func checkRetention(r *types.DefaultRetention) error {
	if !slices.Contains(r.Mode.Values(), r.Mode) || (r.Days == nil) == (r.Years == nil) {
		return errMalformedXML()
	}
	if r.DefaultEventHold != nil {
		return errNotImplementedHere("DefaultEventHold", "")
	}
	for _, period := range []struct {
		value *int32
		most  int32
	}{{r.Days, maxRetentionDays}, {r.Years, maxRetentionYears}} {
		switch {
		case period.value == nil:
		case *period.value <= 0:
			return errInvalidArgument("Default retention period must be a positive integer value.", "Retention period", "")
		case *period.value > period.most:
			return errInvalidArgument("Default retention period too large.", "Retention period", "")
		}
	}
	return nil
}

// GetObjectLockConfiguration answers ObjectLockConfigurationNotFoundError for a bucket without Object Lock.
func (s *Service) GetObjectLockConfiguration(ctx context.Context, in *s3.GetObjectLockConfigurationInput) (out *s3.GetObjectLockConfigurationOutput, err error) {
	err = s.viewBucket(ctx, in.Bucket, in.ExpectedBucketOwner, func(_ store.Tx, b *bucket) error {
		if !b.Locked {
			return errNotSet("ObjectLockConfigurationNotFoundError", "Object Lock configuration does not exist for this bucket", b.Name)
		}
		c := &types.ObjectLockConfiguration{ObjectLockEnabled: types.ObjectLockEnabledEnabled}
		if b.Retention != nil {
			c.Rule = &types.ObjectLockRule{DefaultRetention: b.Retention}
		}
		out = &s3.GetObjectLockConfigurationOutput{ObjectLockConfiguration: c}
		return nil
	})
	return out, err
}
