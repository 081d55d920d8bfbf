package s3

import (
	"context"
	"encoding/hex"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"miniaws/awsapi"
	"miniaws/backend/blob"
	"miniaws/backend/checksum"
	"miniaws/backend/store"
)

// AWS: "Amazon S3 multipart upload limits"; "Working with object metadata".
const (
	maxPut      = 5 << 30
	maxMetadata = 2 << 10
)

// attributeWish is what an upload states about its object: PutObject, CreateMultipartUpload, CopyObject.
type attributeWish struct {
	contentType *string
	headers     map[string]*string // by canonical name
	meta        map[string]string
	tagging     *string
	class       types.StorageClass
	redirect    *string
	acl         aclWish
	lockMode    types.ObjectLockMode
	lockUntil   *time.Time
	hold        types.ObjectLockLegalHoldStatus
	eventHold   types.ObjectLockEventHold
}

// attributesOf checks a wish and makes an object's attributes and owner of it. It runs before the body is read, and
// again in the transaction that writes.
func (s *Service) attributesOf(ctx context.Context, b *bucket, w attributeWish) (a Attributes, owner string, err error) {
	r := awsapi.FromContext(ctx)
	a.Type = "binary/octet-stream"
	if aws.ToString(w.contentType) != "" {
		a.Type = *w.contentType
	}
	for name, value := range w.headers {
		if value != nil && *value != "" {
			if a.Headers == nil {
				a.Headers = map[string]string{}
			}
			a.Headers[name] = *value
		}
	}
	size := 0
	for name, value := range w.meta {
		size += len(name) + len(value)
	}
	if size > maxMetadata {
		return a, "", errMetadataTooLarge(size)
	}
	a.Meta = w.meta
	if a.Tags, err = headerTags(w.tagging); err != nil {
		return a, "", err
	}
	if w.class != "" && w.class != types.StorageClassStandard {
		if !slices.Contains(storageClasses, w.class) {
			return a, "", errInvalidStorageClass(string(w.class))
		}
		a.Class = string(w.class)
	}
	if redirect := aws.ToString(w.redirect); redirect != "" {
		if !strings.HasPrefix(redirect, "/") && !strings.HasPrefix(redirect, "http://") && !strings.HasPrefix(redirect, "https://") || len(redirect) > 2048 {
			return a, "", refusal(http.StatusBadRequest, "InvalidRedirectLocation", "The website redirect location must have a prefix of 'http://' or 'https://' or '/'.")
		}
		a.Redirect = redirect
	}
	if w.eventHold != "" {
		return a, "", errNotImplementedHere("x-amz-object-lock-event-hold", "")
	}
	if err := a.lock(b, r.Time, w.lockMode, w.lockUntil, w.hold); err != nil {
		return a, "", err
	}
	owner = r.Principal.Account
	if owner == "" || !b.acls() || b.Ownership == types.ObjectOwnershipBucketOwnerPreferred && w.acl.canned == "bucket-owner-full-control" {
		owner = b.Account
	}
	if err := w.acl.check(forObject); err != nil {
		return a, "", err
	}
	// AWS: "Controlling ownership of objects and disabling ACLs": full control of the bucket's owner is taken. That is private
	// too where the owner uploads, and Terraform's aws_s3_bucket_object always says it.
	if !b.acls() && w.acl.canned != "" && w.acl.canned != "bucket-owner-full-control" && (w.acl.canned != "private" || r.Principal.Account != b.Account) {
		return a, "", errACLNotSupported()
	}
	a.ACL, err = s.aclOf(ctx, w.acl, owner, b.Account, forObject)
	return a, owner, err
}

// storageClasses are those that an upload may name.
// AWS: "Understanding and managing Amazon S3 storage classes".
var storageClasses = []types.StorageClass{
	types.StorageClassStandard, types.StorageClassReducedRedundancy, types.StorageClassStandardIa, types.StorageClassOnezoneIa,
	types.StorageClassIntelligentTiering, types.StorageClassGlacier, types.StorageClassDeepArchive, types.StorageClassGlacierIr,
}

// headerTags reads x-amz-tagging: a query string.
func headerTags(text *string) ([]tag, error) {
	if aws.ToString(text) == "" {
		return nil, nil
	}
	values, err := url.ParseQuery(*text)
	if err != nil {
		return nil, errInvalidArgument("The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters without tag name duplicates.", "x-amz-tagging", *text)
	}
	var all []types.Tag
	for key, list := range values {
		if len(list) > 1 {
			return nil, errInvalidArgument("The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters without tag name duplicates.", "x-amz-tagging", *text)
		}
		if key == "" {
			return nil, errInvalidArgument("The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters without tag name duplicates.", "x-amz-tagging", *text)
		}
		all = append(all, types.Tag{Key: aws.String(key), Value: aws.String(list[0])})
	}
	return keptTags(all)
}

// keptTags checks an object's tags.
func keptTags(all []types.Tag) ([]tag, error) {
	if err := checkTags(all, maxObjectTags); err != nil {
		return nil, err
	}
	var kept []tag
	for _, t := range all {
		kept = append(kept, tag{*t.Key, *t.Value})
	}
	slices.SortFunc(kept, func(a, b tag) int { return strings.Compare(a.Key, b.Key) })
	return kept, nil
}

// expires is the header Expires as it was sent: any text, not only dates.
func expires(r *awsapi.Request) *string {
	if text := r.Header.Get("Expires"); text != "" && utf8.ValidString(text) {
		return &text
	}
	return nil
}

func putWish(r *awsapi.Request, in *s3.PutObjectInput) attributeWish {
	return attributeWish{
		contentType: in.ContentType,
		headers: map[string]*string{
			"Cache-Control": in.CacheControl, "Content-Disposition": in.ContentDisposition, "Content-Encoding": in.ContentEncoding,
			"Content-Language": in.ContentLanguage, "Expires": expires(r),
		},
		meta: in.Metadata, tagging: in.Tagging, class: in.StorageClass, redirect: in.WebsiteRedirectLocation,
		acl:      aclWish{canned: string(in.ACL), full: in.GrantFullControl, read: in.GrantRead, readACP: in.GrantReadACP, writeACP: in.GrantWriteACP},
		lockMode: in.ObjectLockMode, lockUntil: in.ObjectLockRetainUntilDate, hold: in.ObjectLockLegalHoldStatus, eventHold: in.ObjectLockEventHold,
	}
}

// PutObject stores an object whose bytes arrive as the request's body. Nothing shows before all of it is durable.
func (s *Service) PutObject(ctx context.Context, in *s3.PutObjectInput) (*s3.PutObjectOutput, error) {
	r := awsapi.FromContext(ctx)
	if err := checkKey(aws.ToString(in.Key)); err != nil {
		return nil, err
	}
	if in.WriteOffsetBytes != nil {
		return nil, errNotImplementedHere("x-amz-write-offset-bytes", "")
	}
	c, err := claimOf(r, checksum.CRC64NVME)
	if err != nil {
		return nil, err
	}
	if in.ContentLength != nil && *in.ContentLength > maxPut {
		return nil, errEntityTooLarge(*in.ContentLength)
	}
	condition := writeCondition{in.IfMatch, in.IfNoneMatch}
	if err := condition.valid(); err != nil {
		return nil, err
	}
	wish := putWish(r, in)
	secrecy := encryptionWish{
		customerKey: customerKey{algorithm: in.SSECustomerAlgorithm, key: in.SSECustomerKey, md5: in.SSECustomerKeyMD5},
		algorithm:   in.ServerSideEncryption, keyID: in.SSEKMSKeyId, context: in.SSEKMSEncryptionContext, bucketKey: in.BucketKeyEnabled,
	}
	o := &object{Key: *in.Key}
	var customer []byte
	// What is wrong anyway is refused before the body is sent.
	prepare := func(tx store.Tx) (*bucket, error) {
		b, err := s.sharedBucketOf(ctx, tx, in.Bucket, in.ExpectedBucketOwner)
		if err != nil {
			return nil, err
		}
		if o.Attributes, o.Owner, err = s.attributesOf(ctx, b, wish); err != nil {
			return nil, err
		}
		if o.ACL != nil {
			block, err := blockOf(tx, b)
			if err == nil {
				err = checkACL(b, block, o.ACL)
			}
			if err != nil {
				return nil, err
			}
		}
		if c.md5 == nil && c.value == "" && !c.trailer && (o.Retention != nil || o.Hold) && (in.ObjectLockMode != "" || in.ObjectLockLegalHoldStatus != "") {
			return nil, errInvalidRequest("Content-MD5 OR x-amz-checksum- HTTP header is required for Put Object requests with Object Lock parameters")
		}
		if condition.match != nil || condition.noneMatch != nil {
			current, err := currentOf(tx, b, o.Key)
			if err == nil {
				err = condition.check(o.Key, current)
			}
			return b, err
		}
		return b, nil
	}
	var b *bucket
	err = s.db.View(ctx, func(tx store.Tx) (err error) {
		b, err = prepare(tx)
		return err
	})
	if err != nil {
		return nil, err
	}
	sealed, customer, err := s.sealingOf(r, b, secrecy)
	if err != nil {
		return nil, err
	}
	size := int64(-1)
	if in.ContentLength != nil {
		size = *in.ContentLength
	}
	w, err := s.blobs.Write(ctx, in.Body, blob.WriteOptions{Size: size, Limit: maxPut, Sums: c.sums(), Customer: customer, Sealed: sealed != nil})
	if err != nil {
		if errors.Is(err, blob.ErrTooLarge) {
			return nil, errEntityTooLarge(size)
		}
		return nil, writeError(err)
	}
	defer s.blobs.Discard(w)
	if err := c.check(w, r.Trailer()); err != nil {
		return nil, err
	}
	o.Size, o.Blob, o.ETag, o.Sum = w.Size, w.Ref, etagOf(w, sealed), c.fullSum(w)
	var expires *string
	err = s.db.Update(ctx, func(tx store.Tx) (err error) {
		if b, err = prepare(tx); err != nil {
			return err
		}
		o.Sealing = sealed
		if err := s.blobs.Keep(tx, w); err != nil {
			return err
		}
		if err := s.insert(tx, b, o); err != nil {
			return err
		}
		expires, err = expiration(tx, b, o)
		return err
	})
	if err != nil {
		return nil, writeError(err)
	}
	e := sealed.shown(s.plain(o.Blob), secrecy.customerKey)
	out := &s3.PutObjectOutput{
		ETag: o.quoted(), VersionId: b.madeVersion(o), Expiration: expires, ChecksumType: o.Sum.kind(),
		ServerSideEncryption: e.algorithm, SSEKMSKeyId: e.keyID, SSEKMSEncryptionContext: e.context, BucketKeyEnabled: e.bucketKey,
		SSECustomerAlgorithm: e.customerAlgorithm, SSECustomerKeyMD5: e.customerMD5,
	}
	setSum(out, o.Sum.Algorithm, o.Sum.Value)
	return out, nil
}

// madeVersion is the version id in the answer to a write: only where versioning is on.
func (b *bucket) madeVersion(o *object) *string {
	if b.Versioning != types.BucketVersioningStatusEnabled {
		return nil
	}
	return aws.String(o.Order)
}

// etagOf is MD5 of the bytes, except where they are encrypted under other keys than S3's.
// AWS: "Object", ETag: not an MD5 for SSE-C and SSE-KMS.
func etagOf(w *blob.Written, x *sealing) string {
	sum := w.Sums[checksum.MD5]
	if x == nil {
		return hex.EncodeToString(sum)
	}
	return hex.EncodeToString(proof(sum, x.Salt)[:16])
}
