package s3

import (
	"context"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"miniaws/awsapi"
	"miniaws/backend/store"
)

// retention keeps a version from being removed before a time.
type retention struct {
	Mode  types.ObjectLockRetentionMode `json:"m"`
	Until time.Time                     `json:"u"`
}

// weakenedBy tells whether a version would be kept less with another retention, nil for none, than with this one.
func (r *retention) weakenedBy(next *retention, now time.Time) bool {
	if r == nil || !r.Until.After(now) {
		return false
	}
	return next == nil || next.Until.Before(r.Until) || r.Mode == types.ObjectLockRetentionModeCompliance && next.Mode != types.ObjectLockRetentionModeCompliance
}

// lock is what an upload states, or what the bucket gives to new objects.
// AWS: "Locking objects with Object Lock"; API reference of PutObject.
func (a *Attributes) lock(b *bucket, now time.Time, mode types.ObjectLockMode, until *time.Time, hold types.ObjectLockLegalHoldStatus) error {
	if mode == "" && until == nil && hold == "" {
		if b.Retention != nil && b.Locked {
			a.Retention = &retention{Mode: b.Retention.Mode, Until: defaultUntil(b.Retention, now)}
		}
		return nil
	}
	const both = "x-amz-object-lock-retain-until-date and x-amz-object-lock-mode must both be supplied"
	switch {
	case mode == "" && until != nil:
		return errInvalidArgument(both, "x-amz-object-lock-mode", "")
	case mode != "" && until == nil:
		return errInvalidArgument(both, "x-amz-object-lock-retain-until-date", "")
	case mode != "" && !slices.Contains(mode.Values(), mode):
		return errInvalidArgument("Unknown wormMode directive.", "x-amz-object-lock-mode", string(mode))
	case until != nil && !until.After(now):
		return errInvalidArgument("The retain until date must be in the future!", "x-amz-object-lock-retain-until-date", until.Format(time.RFC3339))
	case hold != "" && !slices.Contains(hold.Values(), hold):
		return errInvalidArgument("Legal Hold must be either of 'ON' or 'OFF'", "x-amz-object-lock-legal-hold", string(hold))
	case !b.Locked:
		return errInvalidRequest("Bucket is missing Object Lock Configuration")
	}
	if mode != "" {
		a.Retention = &retention{Mode: types.ObjectLockRetentionMode(mode), Until: until.UTC()}
	} else if b.Retention != nil {
		a.Retention = &retention{Mode: b.Retention.Mode, Until: defaultUntil(b.Retention, now)}
	}
	a.hold(hold)
	return nil
}

// hold sets the legal hold, if one is stated.
func (a *Attributes) hold(status types.ObjectLockLegalHoldStatus) {
	if status != "" {
		a.Hold = status == types.ObjectLockLegalHoldStatusOn
		a.HoldOff = !a.Hold
	}
}

// holdStatus is empty for what never had a legal hold.
func (a *Attributes) holdStatus() types.ObjectLockLegalHoldStatus {
	switch {
	case a.Hold:
		return types.ObjectLockLegalHoldStatusOn
	case a.HoldOff:
		return types.ObjectLockLegalHoldStatusOff
	}
	return ""
}

func defaultUntil(r *types.DefaultRetention, now time.Time) time.Time {
	if r.Years != nil {
		return now.UTC().AddDate(int(*r.Years), 0, 0).Truncate(time.Millisecond)
	}
	return now.UTC().AddDate(0, 0, int(aws.ToInt32(r.Days))).Truncate(time.Millisecond)
}

// removable refuses to remove a version that is locked. Bypass needs s3:BypassGovernanceRetention, which the access
// function asks for.
func (o *object) removable(now time.Time, bypass bool) error {
	switch {
	case o.Hold:
		return errLocked()
	case o.Retention == nil || !o.Retention.Until.After(now):
		return nil
	case o.Retention.Mode == types.ObjectLockRetentionModeGovernance && bypass:
		return nil
	}
	return errLocked()
}

// PutObjectRetention sets how long a version stays. A stronger lock may always be set, a weaker one only over
// GOVERNANCE, by those who may bypass it.
func (s *Service) PutObjectRetention(ctx context.Context, in *s3.PutObjectRetentionInput) (*s3.PutObjectRetentionOutput, error) {
	now := awsapi.FromContext(ctx).Time
	wanted := in.Retention
	if wanted == nil || (wanted.Mode == "") != (wanted.RetainUntilDate == nil) || wanted.Mode != "" && !slices.Contains(wanted.Mode.Values(), wanted.Mode) {
		return nil, errMalformedXML()
	}
	if wanted.EventHold != "" || wanted.EventHoldDuration != nil {
		return nil, errNotImplementedHere("EventHold", "")
	}
	if wanted.RetainUntilDate != nil && !wanted.RetainUntilDate.After(now) {
		return nil, errInvalidArgument("The retain until date must be in the future!", "RetainUntilDate", wanted.RetainUntilDate.Format(time.RFC3339))
	}
	return &s3.PutObjectRetentionOutput{}, s.changeMetadata(ctx, in.Bucket, in.ExpectedBucketOwner, in.Key, in.VersionId, changedRetention, func(_ store.Tx, b *bucket, o *object) error {
		if !b.Locked {
			return errInvalidRequest("Bucket is missing Object Lock Configuration")
		}
		var next *retention
		if wanted.Mode != "" {
			next = &retention{Mode: wanted.Mode, Until: wanted.RetainUntilDate.UTC()}
		}
		if had := o.Retention; had != nil && had.Until.After(now) {
			weaker := had.weakenedBy(next, now)
			changes := weaker || had.Mode != wanted.Mode
			if had.Mode == types.ObjectLockRetentionModeCompliance && weaker || changes && !aws.ToBool(in.BypassGovernanceRetention) && had.Mode == types.ObjectLockRetentionModeGovernance {
				return errLocked()
			}
		}
		o.Retention = next
		return nil
	})
}

// GetObjectRetention answers NoSuchObjectLockConfiguration for a version without one.
func (s *Service) GetObjectRetention(ctx context.Context, in *s3.GetObjectRetentionInput) (out *s3.GetObjectRetentionOutput, err error) {
	err = s.viewObject(ctx, in.Bucket, in.ExpectedBucketOwner, in.Key, in.VersionId, func(b *bucket, o *object) error {
		if !b.Locked {
			return errInvalidRequest("Bucket is missing Object Lock Configuration")
		}
		if o.Retention == nil {
			return errNoObjectLock(o.Key)
		}
		out = &s3.GetObjectRetentionOutput{Retention: &types.ObjectLockRetention{Mode: o.Retention.Mode, RetainUntilDate: &o.Retention.Until}}
		return nil
	})
	return out, err
}

// PutObjectLegalHold holds a version until the hold is taken off.
func (s *Service) PutObjectLegalHold(ctx context.Context, in *s3.PutObjectLegalHoldInput) (*s3.PutObjectLegalHoldOutput, error) {
	if in.LegalHold == nil || !slices.Contains(in.LegalHold.Status.Values(), in.LegalHold.Status) {
		return nil, errMalformedXML()
	}
	return &s3.PutObjectLegalHoldOutput{}, s.changeMetadata(ctx, in.Bucket, in.ExpectedBucketOwner, in.Key, in.VersionId, changedHold, func(_ store.Tx, b *bucket, o *object) error {
		if !b.Locked {
			return errInvalidRequest("Bucket is missing Object Lock Configuration")
		}
		o.hold(in.LegalHold.Status)
		return nil
	})
}

// GetObjectLegalHold answers NoSuchObjectLockConfiguration for a version that never had one.
func (s *Service) GetObjectLegalHold(ctx context.Context, in *s3.GetObjectLegalHoldInput) (out *s3.GetObjectLegalHoldOutput, err error) {
	err = s.viewObject(ctx, in.Bucket, in.ExpectedBucketOwner, in.Key, in.VersionId, func(b *bucket, o *object) error {
		if !b.Locked {
			return errInvalidRequest("Bucket is missing Object Lock Configuration")
		}
		status := o.holdStatus()
		if status == "" {
			return errNoObjectLock(o.Key)
		}
		out = &s3.GetObjectLegalHoldOutput{LegalHold: &types.ObjectLockLegalHold{Status: status}}
		return nil
	})
	return out, err
}

// viewObject reads a version.
func (s *Service) viewObject(ctx context.Context, name, expectedOwner, key, version *string, read func(*bucket, *object) error) error {
	return s.viewBucket(ctx, name, expectedOwner, func(tx store.Tx, b *bucket) error {
		o, _, err := find(tx, b, key, version)
		if err != nil {
			return ofMarker(ctx, err)
		}
		return read(b, o)
	})
}

// changeMetadata changes what replicas have, too: tags, ACLs, locks.
func (s *Service) changeMetadata(ctx context.Context, name, expectedOwner, key, version *string, what changes, change func(store.Tx, *bucket, *object) error) error {
	return s.changeObject(ctx, name, expectedOwner, key, version, func(tx store.Tx, b *bucket, o *object) error {
		if err := change(tx, b, o); err != nil {
			return err
		}
		return replicateChange(tx, b, o, what)
	})
}

// changeObject changes a version's record in one transaction.
func (s *Service) changeObject(ctx context.Context, name, expectedOwner, key, version *string, change func(store.Tx, *bucket, *object) error) error {
	err := s.db.Update(ctx, func(tx store.Tx) error {
		b, err := s.bucketOf(ctx, tx, name, expectedOwner)
		if err != nil {
			return err
		}
		o, current, err := find(tx, b, key, version)
		if err != nil {
			return ofMarker(ctx, err)
		}
		if err := change(tx, b, o); err != nil {
			return err
		}
		return o.update(tx, current)
	})
	return writeError(err)
}
