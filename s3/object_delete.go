package s3

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"

	"miniaws/awsapi"
	"miniaws/backend/store"
)

// deletion is one key of a DeleteObject or DeleteObjects.
type deletion struct {
	key, version *string
	bypass       bool
	// confirmed: with a code of the root user's device, which a version in a bucket with MFA delete needs.
	confirmed bool
	match     *string
	matchSize *int64
	matchTime *time.Time
}

// deleted is what became of it.
type deleted struct {
	// marker tells that a delete marker was made, or that one was removed; version is its id, or that of the version.
	marker  bool
	version *string
}

// delete removes a version, or puts a delete marker in front of them all. It is not an error if there is nothing.
func (s *Service) delete(tx store.Tx, b *bucket, now time.Time, d deletion) (done deleted, err error) {
	if err := checkKey(*d.key); err != nil {
		return done, err
	}
	if d.version != nil {
		return s.deleteVersion(tx, b, now, d)
	}
	current, err := currentOf(tx, b, *d.key)
	if err != nil {
		return done, err
	}
	if err := d.check(current); err != nil {
		return done, err
	}
	if !b.versioned() {
		if current == nil {
			return done, nil
		}
		if err := current.removable(now, d.bypass); err != nil {
			return done, err
		}
		if err := s.dropBytes(tx, current); err != nil {
			return done, err
		}
		return done, objects.In(tx, global).Delete(b.ID, *d.key)
	}
	marker := &object{Key: *d.key, Marker: true, Owner: b.Account}
	if err := s.insert(tx, b, marker); err != nil {
		return done, err
	}
	return deleted{marker: true, version: aws.String(marker.versionID())}, nil
}

func (s *Service) deleteVersion(tx store.Tx, b *bucket, now time.Time, d deletion) (done deleted, err error) {
	if b.MFADelete == types.MFADeleteStatusEnabled && !d.confirmed {
		return done, errMFARequired()
	}
	version, current, err := versionOf(tx, b, *d.key, *d.version)
	switch {
	case err != nil:
		return done, err
	case version == nil && *d.version != "null" && !plausibleVersion(*d.version):
		return done, errInvalidArgument("Invalid version id specified", "versionId", *d.version)
	case version == nil:
		return deleted{version: d.version}, d.check(nil)
	}
	if err := d.check(version); err != nil {
		return done, err
	}
	if !version.Marker {
		if err := version.removable(now, d.bypass); err != nil {
			return done, err
		}
	}
	return deleted{marker: version.Marker, version: d.version}, s.remove(tx, version, current)
}

// check is what a conditional delete expects.
// AWS: API reference of DeleteObject, If-Match; "How to perform conditional deletes".
func (d deletion) check(o *object) error {
	if d.match == nil && d.matchSize == nil && d.matchTime == nil {
		return nil
	}
	missing := o == nil || o.Marker
	switch {
	case missing && (d.match == nil || strings.TrimSpace(*d.match) != "*"):
		return errNoSuchKey(*d.key)
	case missing:
		return errNoSuchKey(*d.key)
	case d.match != nil && !etagMatches(*d.match, o.ETag):
		return errPreconditionFailed("If-Match")
	case d.matchSize != nil && *d.matchSize != o.Size:
		return errPreconditionFailed("x-amz-if-match-size")
	case d.matchTime != nil && !d.matchTime.Truncate(time.Second).Equal(o.Modified):
		return errPreconditionFailed("x-amz-if-match-last-modified-time")
	}
	return nil
}

// DeleteObject removes a version, or the object. It succeeds when there is none.
func (s *Service) DeleteObject(ctx context.Context, in *s3.DeleteObjectInput) (*s3.DeleteObjectOutput, error) {
	confirmed, err := s.confirms(ctx, in.Bucket, in.ExpectedBucketOwner, in.MFA)
	if err != nil {
		return nil, err
	}
	var done deleted
	err = s.db.Update(ctx, func(tx store.Tx) error {
		b, err := s.sharedBucketOf(ctx, tx, in.Bucket, in.ExpectedBucketOwner)
		if err != nil {
			return err
		}
		if in.BypassGovernanceRetention != nil && !b.Locked {
			return errInvalidArgument("x-amz-bypass-governance-retention is only applicable to Object Lock enabled buckets.", "x-amz-bypass-governance-retention", "")
		}
		done, err = s.delete(tx, b, awsapi.FromContext(ctx).Time, deletion{
			key: in.Key, version: in.VersionId, bypass: aws.ToBool(in.BypassGovernanceRetention), confirmed: confirmed,
			match: in.IfMatch, matchSize: in.IfMatchSize, matchTime: in.IfMatchLastModifiedTime,
		})
		return err
	})
	if err != nil {
		return nil, writeError(err)
	}
	out := &s3.DeleteObjectOutput{VersionId: done.version}
	if done.marker {
		out.DeleteMarker = aws.Bool(true)
	}
	return out, nil
}

// maxDeletes is how many keys one request removes.
// AWS: API reference of DeleteObjects.
const maxDeletes = 1000

// deletesTogether is how many keys are removed in one commit, so that a transaction stays small.
const deletesTogether = 100

// DeleteObjects removes many; each key succeeds or fails alone.
func (s *Service) DeleteObjects(ctx context.Context, in *s3.DeleteObjectsInput) (*s3.DeleteObjectsOutput, error) {
	if in.Delete == nil || len(in.Delete.Objects) == 0 || len(in.Delete.Objects) > maxDeletes {
		return nil, errMalformedXML()
	}
	for _, one := range in.Delete.Objects {
		if one.Key == nil || *one.Key == "" {
			return nil, errMalformedXML()
		}
	}
	out := &s3.DeleteObjectsOutput{}
	allowed, err := s.allowedDeletions(ctx, in, out)
	if err != nil {
		return nil, err
	}
	confirmed, err := s.confirms(ctx, in.Bucket, in.ExpectedBucketOwner, in.MFA)
	if err != nil {
		return nil, err
	}
	now := awsapi.FromContext(ctx).Time
	for from := 0; from < len(allowed); from += deletesTogether {
		batch := allowed[from:min(from+deletesTogether, len(allowed))]
		var done []types.DeletedObject
		var failed []types.Error
		err := s.db.Update(ctx, func(tx store.Tx) error {
			done, failed = nil, nil
			b, err := s.sharedBucketOf(ctx, tx, in.Bucket, in.ExpectedBucketOwner)
			if err != nil {
				return err
			}
			for _, one := range batch {
				d, err := s.delete(tx, b, now, deletion{
					key: one.Key, version: one.VersionId, bypass: aws.ToBool(in.BypassGovernanceRetention), confirmed: confirmed,
					match: one.ETag, matchSize: one.Size, matchTime: one.LastModifiedTime,
				})
				var known smithy.APIError
				switch {
				case errors.As(err, &known):
					failed = append(failed, types.Error{Key: one.Key, VersionId: one.VersionId, Code: aws.String(known.ErrorCode()), Message: aws.String(known.ErrorMessage())})
				case err != nil:
					return err
				default:
					done = append(done, shownDeletion(one, d))
				}
			}
			return nil
		})
		if err != nil {
			return nil, writeError(err)
		}
		out.Deleted, out.Errors = append(out.Deleted, done...), append(out.Errors, failed...)
	}
	if aws.ToBool(in.Delete.Quiet) {
		out.Deleted = nil
	}
	return out, nil
}

// allowedDeletions answers the keys that the caller may delete; the others are in out's errors.
func (s *Service) allowedDeletions(ctx context.Context, in *s3.DeleteObjectsInput, out *s3.DeleteObjectsOutput) ([]types.ObjectIdentifier, error) {
	b, err := s.locate(ctx, aws.ToString(in.Bucket), aws.ToString(in.ExpectedBucketOwner))
	if err != nil {
		return nil, err
	}
	var allowed []types.ObjectIdentifier
	for _, one := range in.Delete.Objects {
		may, err := s.mayDelete(ctx, b, aws.ToString(in.Bucket), *one.Key, one.VersionId, aws.ToBool(in.BypassGovernanceRetention))
		switch {
		case err != nil:
			return nil, err
		case may:
			allowed = append(allowed, one)
		default:
			out.Errors = append(out.Errors, types.Error{Key: one.Key, VersionId: one.VersionId, Code: aws.String("AccessDenied"), Message: aws.String("Access Denied")})
		}
	}
	return allowed, nil
}

func shownDeletion(one types.ObjectIdentifier, d deleted) types.DeletedObject {
	shown := types.DeletedObject{Key: one.Key, VersionId: one.VersionId}
	if d.marker {
		shown.DeleteMarker, shown.DeleteMarkerVersionId = aws.Bool(true), d.version
	}
	return shown
}
