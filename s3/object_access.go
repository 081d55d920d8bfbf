package s3

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"

	"miniaws/awsapi"
	"miniaws/awsapi/meta"
	"miniaws/backend/store"
)

// Permissions is asked for what an answer depends on beyond the call itself: each key of DeleteObjects, and whether a
// caller may know that an object is not there.
type Permissions interface {
	// Allows answers whether the caller of the request in ctx may do all of it.
	Allows(ctx context.Context, wanted ...awsapi.Access) (bool, error)
	// Unlimited tells whether only policies of resources may deny anything to the caller of the request in ctx: a root user.
	Unlimited(ctx context.Context) (bool, error)
}

// undeniable tells whether no policy may deny the caller anything in the bucket, which the request calls by name.
func (s *Service) undeniable(ctx context.Context, b *bucket, name string) (bool, error) {
	if awsapi.FromContext(ctx).Principal.Account != b.Account || b.Has[kindPolicy] || name != b.Name { // an access point has a policy too
		return false, nil
	}
	return s.permissions.Unlimited(ctx)
}

// AWS: "Actions, resources, and condition keys for Amazon S3", service authorization reference.

func (s *Service) registerObjects(server *awsapi.Server) {
	open := awsapi.Unsigned()
	server.Register(meta.S3,
		awsapi.Op(s.PutObject, s.putAccess, open),
		awsapi.Op(s.GetObject, tagged(s, onObject[s3.GetObjectInput](s, "s3:GetObject", "s3:GetObjectVersion")), open),
		awsapi.Op(s.HeadObject, tagged(s, onObject[s3.HeadObjectInput](s, "s3:GetObject", "s3:GetObjectVersion")), open),
		awsapi.Op(s.DeleteObject, s.deleteAccess, open),
		awsapi.Op(s.DeleteObjects, s.deleteManyAccess, open, awsapi.Checksummed()),
		awsapi.Op(s.CopyObject, s.copyAccess, open),
		awsapi.Op(s.GetObjectAttributes, s.attributesAccess, open),
		awsapi.Op(s.GetObjectTagging, tagged(s, onObject[s3.GetObjectTaggingInput](s, "s3:GetObjectTagging", "s3:GetObjectVersionTagging")), open),
		awsapi.Op(s.PutObjectTagging, tagged(s, onObject(s, "s3:PutObjectTagging", "s3:PutObjectVersionTagging", func(in *s3.PutObjectTaggingInput, keys conditions) {
			if in.Tagging != nil {
				for _, t := range in.Tagging.TagSet {
					keys.tag("s3:RequestObjectTag", aws.ToString(t.Key), aws.ToString(t.Value))
				}
			}
		})), open, awsapi.Checksummed()),
		awsapi.Op(s.DeleteObjectTagging, tagged(s, onObject[s3.DeleteObjectTaggingInput](s, "s3:DeleteObjectTagging", "s3:DeleteObjectVersionTagging")), open),
		awsapi.Op(s.GetObjectRetention, onObject[s3.GetObjectRetentionInput](s, "s3:GetObjectRetention", ""), open),
		awsapi.Op(s.PutObjectRetention, s.retentionAccess, open, awsapi.Checksummed()),
		awsapi.Op(s.GetObjectLegalHold, onObject[s3.GetObjectLegalHoldInput](s, "s3:GetObjectLegalHold", ""), open),
		awsapi.Op(s.PutObjectLegalHold, onObject(s, "s3:PutObjectLegalHold", "", func(in *s3.PutObjectLegalHoldInput, keys conditions) {
			if in.LegalHold != nil {
				keys.set("s3:object-lock-legal-hold", (*string)(&in.LegalHold.Status))
			}
		}), open, awsapi.Checksummed()),
		awsapi.Op(s.RestoreObject, tagged(s, onObject[s3.RestoreObjectInput](s, "s3:RestoreObject", "")), open),

		awsapi.Op(s.CreateMultipartUpload, s.createUploadAccess, open),
		awsapi.Op(s.UploadPart, onObject(s, "s3:PutObject", "", func(_ *s3.UploadPartInput, keys conditions) { keys.creates(false) }), open),
		awsapi.Op(s.UploadPartCopy, s.partCopyAccess, open),
		awsapi.Op(s.CompleteMultipartUpload, onObject(s, "s3:PutObject", "", func(in *s3.CompleteMultipartUploadInput, keys conditions) {
			keys.creates(true)
			keys.condition(in.IfMatch, in.IfNoneMatch)
		}), open),
		awsapi.Op(s.AbortMultipartUpload, onObject[s3.AbortMultipartUploadInput](s, "s3:AbortMultipartUpload", ""), open),
		awsapi.Op(s.ListParts, onObject[s3.ListPartsInput](s, "s3:ListMultipartUploadParts", ""), open),

		awsapi.Op(s.ListObjects, onBucket(s, "s3:ListBucket", func(in *s3.ListObjectsInput, keys conditions) {
			keys.list(in.Prefix, in.Delimiter, in.MaxKeys)
		}), open),
		awsapi.Op(s.ListObjectsV2, onBucket(s, "s3:ListBucket", func(in *s3.ListObjectsV2Input, keys conditions) {
			keys.list(in.Prefix, in.Delimiter, in.MaxKeys)
		}), open),
		awsapi.Op(s.ListObjectVersions, onBucket(s, "s3:ListBucketVersions", func(in *s3.ListObjectVersionsInput, keys conditions) {
			keys.list(in.Prefix, in.Delimiter, in.MaxKeys)
		}), open),
		awsapi.Op(s.ListMultipartUploads, onBucket[s3.ListMultipartUploadsInput](s, "s3:ListBucketMultipartUploads"), open),
	)
}

// list sets the condition keys of listings.
func (c conditions) list(prefix, delimiter *string, limit *int32) {
	// An absent prefix is the empty one: policies compare with it.
	c["s3:prefix"] = []string{aws.ToString(prefix)}
	c.set("s3:delimiter", delimiter)
	if limit != nil {
		c["s3:max-keys"] = []string{strconv.Itoa(int(*limit))}
	}
}

func (c conditions) tag(name, key, value string) {
	c[name+"/"+key] = []string{value}
	if name == "s3:RequestObjectTag" {
		c["s3:RequestObjectTagKeys"] = append(c["s3:RequestObjectTagKeys"], key)
	}
}

// tagged adds s3:ExistingObjectTag to what an access function answers, for callers on whom policies have a say.
func tagged[In any](s *Service, access func(context.Context, *In) ([]awsapi.Access, error)) func(context.Context, *In) ([]awsapi.Access, error) {
	names := membersOf[In]()
	return func(ctx context.Context, in *In) ([]awsapi.Access, error) {
		wanted, err := access(ctx, in)
		if err != nil {
			return nil, err
		}
		name, key, version := member(in, names.bucket), member(in, names.key), member(in, names.version)
		missing, err := s.existingTags(ctx, wanted, name, key, version)
		if missing == nil || err != nil || !isRead(ctx) {
			return wanted, err
		}
		// Nothing that is there says who may read what is not: who may list the bucket may know.
		may, err := s.mayKnow(ctx, name, key)
		if may && err == nil {
			err = missing
		}
		return wanted, err
	}
}

func isRead(ctx context.Context) bool {
	operation := awsapi.FromContext(ctx).Operation
	return operation == "GetObject" || operation == "HeadObject"
}

// existingTags adds the tags of the object, and answers the error that it is missing, which ends nothing yet.
func (s *Service) existingTags(ctx context.Context, wanted []awsapi.Access, name, key, version string) (missing, err error) {
	var b *bucket
	err = s.db.View(ctx, func(tx store.Tx) error {
		b, err = sharedBucket(tx, name)
		return err
	})
	if err != nil || b == nil {
		return nil, err
	}
	// Not in a transaction: the question has its own.
	if free, err := s.undeniable(ctx, b, name); free || err != nil {
		return nil, err
	}
	err = s.db.View(ctx, func(tx store.Tx) error {
		var id *string
		if version != "" {
			id = &version
		}
		o, err := sharedOf(tx, b, &key, id)
		var known *awsapi.Error
		if errors.As(err, &known) {
			if known.Code == "NoSuchKey" {
				missing = err
			}
			return nil
		}
		if err != nil {
			return err
		}
		for _, access := range wanted {
			for _, t := range o.Tags {
				conditions(access.Conditions).tag("s3:ExistingObjectTag", t.Key, t.Value)
			}
		}
		return nil
	})
	return missing, err
}

// writeKeys sets the condition keys of an upload's headers.
func (c conditions) write(w attributeWish, e encryptionWish) {
	c.acl(w.acl.canned, w.acl.full, w.acl.read, w.acl.readACP, w.acl.write, w.acl.writeACP)
	c.set("s3:x-amz-storage-class", (*string)(&w.class))
	c.set("s3:x-amz-website-redirect-location", w.redirect)
	c.set("s3:x-amz-server-side-encryption", (*string)(&e.algorithm))
	c.set("s3:x-amz-server-side-encryption-aws-kms-key-id", e.keyID)
	c.set("s3:x-amz-server-side-encryption-customer-algorithm", e.customerKey.algorithm)
	c.set("s3:object-lock-mode", (*string)(&w.lockMode))
	c.set("s3:object-lock-legal-hold", (*string)(&w.hold))
	if w.lockUntil != nil {
		c["s3:object-lock-retain-until-date"] = []string{w.lockUntil.UTC().Format(time.RFC3339)}
		c["s3:object-lock-remaining-retention-days"] = []string{strconv.Itoa(int(time.Until(*w.lockUntil).Hours() / 24))}
	}
	if tags, err := headerTags(w.tagging); err == nil {
		for _, t := range tags {
			c.tag("s3:RequestObjectTag", t.Key, t.Value)
		}
	}
}

// writeActions are what an upload needs. A service that delivers logs gives the bucket's owner everything, for which AWS's
// own policies of such buckets need nothing more.
// AWS: "Amazon S3 bucket permissions for flow logs", "Amazon S3 bucket policy for CloudTrail".
func (w attributeWish) writeActions(ctx context.Context) []string {
	actions := []string{"s3:PutObject"}
	delivers := w.acl.canned == "bucket-owner-full-control" && awsapi.FromContext(ctx).Principal.Type == awsapi.ServicePrincipal
	if (w.acl.canned != "" && w.acl.canned != "private" && !delivers) || w.acl.headers() {
		actions = append(actions, "s3:PutObjectAcl")
	}
	if aws.ToString(w.tagging) != "" {
		actions = append(actions, "s3:PutObjectTagging")
	}
	if w.lockMode != "" || w.lockUntil != nil {
		actions = append(actions, "s3:PutObjectRetention")
	}
	if w.hold != "" {
		actions = append(actions, "s3:PutObjectLegalHold")
	}
	return actions
}

// accesses are the actions on an object of the bucket, which the request calls by name.
func (s *Service) accesses(ctx context.Context, b *bucket, name, key string, actions []string, keys conditions) ([]awsapi.Access, error) {
	wanted := make([]awsapi.Access, 0, len(actions))
	for _, action := range actions {
		wanted = append(wanted, awsapi.Access{Action: action, Resources: []string{b.objectARN(key)}, Conditions: keys.of(action)})
	}
	return s.through(ctx, name, key, wanted...)
}

// notOf are the condition keys of an upload that the actions which it needs besides do not have.
// AWS: "Actions, resources, and condition keys for Amazon S3", service authorization reference.
var notOf = map[string][]string{
	"s3:PutObjectAcl": {"s3:x-amz-server-side-encryption", "s3:x-amz-website-redirect-location", "s3:RequestObjectTag", "s3:x-amz-copy-source",
		"s3:x-amz-metadata-directive", "s3:object-lock-", "s3:if-", "s3:ObjectCreation"},
	"s3:PutObjectTagging": {"s3:x-amz-server-side-encryption", "s3:x-amz-website-redirect-location", "s3:x-amz-grant-", "s3:x-amz-acl", "s3:x-amz-storage-class",
		"s3:x-amz-copy-source", "s3:x-amz-metadata-directive", "s3:object-lock-", "s3:if-", "s3:ObjectCreation"},
	"s3:PutObjectRetention": {"s3:x-amz-server-side-encryption", "s3:x-amz-website-redirect-location", "s3:x-amz-grant-", "s3:x-amz-acl", "s3:x-amz-storage-class",
		"s3:RequestObjectTag", "s3:x-amz-copy-source", "s3:x-amz-metadata-directive", "s3:object-lock-legal-hold", "s3:if-", "s3:ObjectCreation"},
	"s3:PutObjectLegalHold": {"s3:x-amz-server-side-encryption", "s3:x-amz-website-redirect-location", "s3:x-amz-grant-", "s3:x-amz-acl", "s3:x-amz-storage-class",
		"s3:RequestObjectTag", "s3:x-amz-copy-source", "s3:x-amz-metadata-directive", "s3:object-lock-mode", "s3:object-lock-re", "s3:if-", "s3:ObjectCreation"},
}

// of are the keys that an action has. An action without keys of an upload to leave out has them all, shared.
func (c conditions) of(action string) conditions {
	without := notOf[action]
	if without == nil {
		return c
	}
	left := conditions{}
	for key, values := range c {
		if !slices.ContainsFunc(without, func(prefix string) bool { return strings.HasPrefix(key, prefix) }) {
			left[key] = values
		}
	}
	return left
}

// onWrite is what an upload needs, with the condition keys of s3:PutObject itself.
func (s *Service) onWrite(ctx context.Context, name, key, expectedOwner *string, w attributeWish, e encryptionWish) (conditions, []awsapi.Access, error) {
	b, err := s.locate(ctx, aws.ToString(name), aws.ToString(expectedOwner))
	if err != nil {
		return nil, nil, err
	}
	keys := b.keys(awsapi.FromContext(ctx))
	keys.write(w, e)
	wanted, err := s.accesses(ctx, b, aws.ToString(name), aws.ToString(key), w.writeActions(ctx), keys)
	return keys, wanted, err
}

func (s *Service) putAccess(ctx context.Context, in *s3.PutObjectInput) ([]awsapi.Access, error) {
	r := awsapi.FromContext(ctx)
	keys, wanted, err := s.onWrite(ctx, in.Bucket, in.Key, in.ExpectedBucketOwner, putWish(r, in), encryptionWish{
		customerKey: customerKey{algorithm: in.SSECustomerAlgorithm}, algorithm: in.ServerSideEncryption, keyID: in.SSEKMSKeyId,
	})
	keys.condition(in.IfMatch, in.IfNoneMatch)
	keys.creates(true)
	return wanted, err
}

// creates sets the key by which policies tell what makes an object from what only begins or continues an upload in parts.
// AWS: "Enforce conditional writes on Amazon S3 buckets".
func (c conditions) creates(object bool) {
	if c != nil {
		c["s3:ObjectCreationOperation"] = []string{strconv.FormatBool(object)}
	}
}

// condition sets the keys of conditional writes.
func (c conditions) condition(match, noneMatch *string) {
	if c == nil {
		return
	}
	c.set("s3:if-match", match)
	c.set("s3:if-none-match", noneMatch)
}

func (s *Service) createUploadAccess(ctx context.Context, in *s3.CreateMultipartUploadInput) ([]awsapi.Access, error) {
	keys, wanted, err := s.onWrite(ctx, in.Bucket, in.Key, in.ExpectedBucketOwner, attributeWish{
		tagging: in.Tagging, class: in.StorageClass, redirect: in.WebsiteRedirectLocation, lockMode: in.ObjectLockMode, lockUntil: in.ObjectLockRetainUntilDate,
		hold: in.ObjectLockLegalHoldStatus,
		acl:  aclWish{canned: string(in.ACL), full: in.GrantFullControl, read: in.GrantRead, readACP: in.GrantReadACP, writeACP: in.GrantWriteACP},
	}, encryptionWish{customerKey: customerKey{algorithm: in.SSECustomerAlgorithm}, algorithm: in.ServerSideEncryption, keyID: in.SSEKMSKeyId})
	keys.creates(false)
	return wanted, err
}

func (s *Service) copyAccess(ctx context.Context, in *s3.CopyObjectInput) ([]awsapi.Access, error) {
	source, err := sourceOf(in.CopySource)
	if err != nil {
		return nil, err
	}
	keys, wanted, err := s.onWrite(ctx, in.Bucket, in.Key, in.ExpectedBucketOwner, attributeWish{
		tagging: in.Tagging, class: in.StorageClass, redirect: in.WebsiteRedirectLocation, lockMode: in.ObjectLockMode, lockUntil: in.ObjectLockRetainUntilDate,
		hold: in.ObjectLockLegalHoldStatus,
		acl:  aclWish{canned: string(in.ACL), full: in.GrantFullControl, read: in.GrantRead, readACP: in.GrantReadACP, writeACP: in.GrantWriteACP},
	}, encryptionWish{customerKey: customerKey{algorithm: in.SSECustomerAlgorithm}, algorithm: in.ServerSideEncryption, keyID: in.SSEKMSKeyId})
	if err != nil {
		return nil, err
	}
	keys.set("s3:x-amz-copy-source", in.CopySource)
	keys.set("s3:x-amz-metadata-directive", (*string)(&in.MetadataDirective))
	keys.condition(in.IfMatch, in.IfNoneMatch)
	keys.creates(true)
	return s.sourceAccess(ctx, source, in.TaggingDirective != "REPLACE", wanted)
}

func (s *Service) partCopyAccess(ctx context.Context, in *s3.UploadPartCopyInput) ([]awsapi.Access, error) {
	source, err := sourceOf(in.CopySource)
	if err != nil {
		return nil, err
	}
	keys, wanted, err := s.onWrite(ctx, in.Bucket, in.Key, in.ExpectedBucketOwner, attributeWish{}, encryptionWish{})
	if err != nil {
		return nil, err
	}
	keys.set("s3:x-amz-copy-source", in.CopySource)
	keys.creates(false)
	return s.sourceAccess(ctx, source, false, wanted)
}

// sourceAccess adds what reading a copy's source needs: its bytes, and its tags if there are some to copy.
func (s *Service) sourceAccess(ctx context.Context, source copySource, copiesTags bool, wanted []awsapi.Access) ([]awsapi.Access, error) {
	var b *bucket
	hasTags := false
	err := s.db.View(ctx, func(tx store.Tx) (err error) {
		if b, err = source.bucketOf(tx); err != nil {
			return err
		}
		if b, err = b.withTags(tx); err != nil || !copiesTags {
			return err
		}
		o, _, err := find(tx, b, &source.key, source.version)
		var missing smithy.APIError
		if errors.As(err, &missing) {
			return nil
		}
		hasTags = err == nil && len(o.Tags) > 0
		return err
	})
	if err != nil {
		return nil, err
	}
	keys := b.keys(awsapi.FromContext(ctx))
	actions := []string{"s3:GetObject"}
	if source.version != nil {
		actions[0] = "s3:GetObjectVersion"
		keys["s3:VersionId"] = []string{*source.version}
	}
	if hasTags {
		actions = append(actions, map[bool]string{false: "s3:GetObjectTagging", true: "s3:GetObjectVersionTagging"}[source.version != nil])
	}
	read, err := s.accesses(ctx, b, source.bucket, source.key, actions, keys)
	if err != nil {
		return nil, err
	}
	version := aws.ToString(source.version)
	_, err = s.existingTags(ctx, read, source.bucket, source.key, version)
	return append(wanted, read...), err
}

func (s *Service) attributesAccess(ctx context.Context, in *s3.GetObjectAttributesInput) ([]awsapi.Access, error) {
	b, err := s.locate(ctx, aws.ToString(in.Bucket), aws.ToString(in.ExpectedBucketOwner))
	if err != nil {
		return nil, err
	}
	keys := b.keys(awsapi.FromContext(ctx))
	actions := []string{"s3:GetObject", "s3:GetObjectAttributes"}
	if in.VersionId != nil {
		keys["s3:VersionId"] = []string{*in.VersionId}
		actions = []string{"s3:GetObjectVersion", "s3:GetObjectVersionAttributes"}
	}
	wanted, err := s.accesses(ctx, b, aws.ToString(in.Bucket), aws.ToString(in.Key), actions, keys)
	if err != nil {
		return nil, err
	}
	_, err = s.existingTags(ctx, wanted, aws.ToString(in.Bucket), aws.ToString(in.Key), aws.ToString(in.VersionId))
	return wanted, err
}

func (s *Service) retentionAccess(ctx context.Context, in *s3.PutObjectRetentionInput) ([]awsapi.Access, error) {
	b, err := s.locate(ctx, aws.ToString(in.Bucket), aws.ToString(in.ExpectedBucketOwner))
	if err != nil {
		return nil, err
	}
	keys := b.keys(awsapi.FromContext(ctx))
	if in.Retention != nil {
		keys.set("s3:object-lock-mode", (*string)(&in.Retention.Mode))
		if until := in.Retention.RetainUntilDate; until != nil {
			keys["s3:object-lock-retain-until-date"] = []string{until.UTC().Format(time.RFC3339)}
			keys["s3:object-lock-remaining-retention-days"] = []string{strconv.Itoa(int(time.Until(*until).Hours() / 24))}
		}
	}
	actions := []string{"s3:PutObjectRetention"}
	if aws.ToBool(in.BypassGovernanceRetention) {
		actions = append(actions, "s3:BypassGovernanceRetention")
	}
	return s.accesses(ctx, b, aws.ToString(in.Bucket), aws.ToString(in.Key), actions, keys)
}

// deleteActions are what the deletion of a key needs.
func deleteActions(versioned, bypass bool) []string {
	actions := []string{"s3:DeleteObject"}
	if versioned {
		actions[0] = "s3:DeleteObjectVersion"
	}
	if bypass {
		actions = append(actions, "s3:BypassGovernanceRetention")
	}
	return actions
}

func (s *Service) deleteAccess(ctx context.Context, in *s3.DeleteObjectInput) ([]awsapi.Access, error) {
	b, err := s.locate(ctx, aws.ToString(in.Bucket), aws.ToString(in.ExpectedBucketOwner))
	if err != nil {
		return nil, err
	}
	keys := b.keys(awsapi.FromContext(ctx))
	keys.set("s3:VersionId", in.VersionId)
	keys.condition(in.IfMatch, nil)
	return s.accesses(ctx, b, aws.ToString(in.Bucket), aws.ToString(in.Key), deleteActions(in.VersionId != nil, aws.ToBool(in.BypassGovernanceRetention)), keys)
}

// deleteManyAccess asks for nothing but that the bucket is there: each key is allowed or refused alone, in the answer.
func (s *Service) deleteManyAccess(ctx context.Context, in *s3.DeleteObjectsInput) ([]awsapi.Access, error) {
	_, err := s.locate(ctx, aws.ToString(in.Bucket), aws.ToString(in.ExpectedBucketOwner))
	return nil, err
}

// mayDelete asks for one key of DeleteObjects.
func (s *Service) mayDelete(ctx context.Context, b *bucket, name, key string, version *string, bypass bool) (bool, error) {
	keys := b.keys(awsapi.FromContext(ctx))
	keys.set("s3:VersionId", version)
	wanted, err := s.accesses(ctx, b, name, key, deleteActions(version != nil, bypass), keys)
	if err != nil {
		return false, err
	}
	return s.permissions.Allows(ctx, wanted...)
}

// hidden turns the news that an object is not there into AccessDenied for those who may not list the bucket.
// AWS: API reference of GetObject, "Permissions".
func (s *Service) hidden(ctx context.Context, name, key *string, err error) error {
	var missing *awsapi.Error
	if !errors.As(err, &missing) || missing.Code != "NoSuchKey" {
		return err
	}
	may, broke := s.mayKnow(ctx, aws.ToString(name), aws.ToString(key))
	switch {
	case broke != nil:
		return broke
	case !may:
		return errAccessDenied()
	}
	return err
}

// mayKnow asks whether the caller may list the key, and so learn that it is not there. The name may be an access point's.
func (s *Service) mayKnow(ctx context.Context, name, key string) (bool, error) {
	b, err := s.locate(ctx, name, "")
	if err != nil {
		return false, err
	}
	if free, err := s.undeniable(ctx, b, name); free || err != nil {
		return free, err
	}
	keys := b.keys(awsapi.FromContext(ctx))
	keys.list(&key, nil, nil)
	wanted, err := s.through(ctx, name, "", awsapi.Access{Action: "s3:ListBucket", Resources: []string{b.arn()}, Conditions: keys})
	if err != nil {
		return false, err
	}
	return s.permissions.Allows(ctx, wanted...)
}
