package s3

import (
	"context"
	"encoding/hex"
	"errors"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"miniaws/awsapi"
	"miniaws/backend/blob"
	"miniaws/backend/checksum"
	"miniaws/backend/store"
)

// copySource is where a copy comes from.
type copySource struct {
	bucket, key   string
	version       *string
	expectedOwner *string
	conditions    preconditions
	customerKey   customerKey
}

// sourceOf reads x-amz-copy-source: bucket/key, escaped, and maybe ?versionId=…. The bucket may be an access point's alias.
// AWS: API reference of CopyObject: through an access point's ARN it is ARN/object/key. The words of the refusals, an empty
// header's among them, are S3's as versitygw's issues 1388 and 1389 quote them.
func sourceOf(text *string) (source copySource, err error) {
	path, query, versioned := strings.Cut(aws.ToString(text), "?versionId=")
	if versioned {
		source.version = &query
	}
	// AWS: a + is a space, as in a query; SDKs and Terraform send one, and who means a plus must write %2B.
	if path, err = url.QueryUnescape(path); err != nil {
		return source, errInvalidArgument("Invalid copy source encoding", "x-amz-copy-source", aws.ToString(text))
	}
	separator := "/"
	if path = strings.TrimPrefix(path, "/"); strings.HasPrefix(path, "arn:") {
		separator = "/object/"
	}
	source.bucket, source.key, _ = strings.Cut(path, separator)
	if source.bucket == "" || separator == "/" && !validForLookup(source.bucket) {
		return source, errInvalidArgument("Invalid copy source bucket name", "x-amz-copy-source", aws.ToString(text))
	}
	if source.key == "" {
		return source, errInvalidArgument("Invalid copy source object key", "x-amz-copy-source", aws.ToString(text))
	}
	return source, checkKey(source.key)
}

// bucketOf finds the source's bucket, which may be in another region and belong to somebody else.
func (c copySource) bucketOf(tx store.Tx) (*bucket, error) {
	b, err := sharedBucket(tx, c.bucket)
	switch {
	case err != nil:
		return nil, err
	case b == nil && strings.Contains(c.bucket, ":accesspoint/"):
		_, point, _ := strings.Cut(c.bucket, ":accesspoint/")
		return nil, errNoSuchAccessPoint(point)
	case b == nil:
		return nil, errNoSuchBucket(c.bucket)
	case c.expectedOwner != nil && *c.expectedOwner != b.Account:
		return nil, errWrongOwner()
	}
	return b, nil
}

// find finds the source's version and checks everything that may refuse to read it.
func (c copySource) find(ctx context.Context, tx store.Tx) (*bucket, *object, []byte, error) {
	b, err := c.bucketOf(tx)
	if err != nil {
		return nil, nil, nil, err
	}
	o, _, err := find(tx, b, &c.key, c.version)
	var refused *awsapi.Error
	if errors.As(err, &refused) && refused.Code == "MethodNotAllowed" {
		// AWS: API reference of UploadPartCopy, "x-amz-copy-source": 400 for a version that is a delete marker.
		err = errInvalidRequest("The source of a copy request may not specifically refer to a delete marker by version id.")
	}
	if err != nil {
		return nil, nil, nil, err
	}
	if err := c.conditions.check(o); err != nil {
		return nil, nil, nil, err
	}
	if o.archived() && o.readable(awsapi.FromContext(ctx).Time) != nil {
		return nil, nil, nil, errInvalidObjectState(o.Class)
	}
	customer, err := o.Sealing.unlock(c.customerKey)
	return b, o, customer, err
}

// CopyObject makes an object of another one's bytes. Bytes that are kept under our own keys are not copied: both
// objects refer to them.
func (s *Service) CopyObject(ctx context.Context, in *s3.CopyObjectInput) (*s3.CopyObjectOutput, error) {
	r := awsapi.FromContext(ctx)
	if err := checkKey(aws.ToString(in.Key)); err != nil {
		return nil, err
	}
	source, err := sourceOf(in.CopySource)
	if err != nil {
		return nil, err
	}
	source.expectedOwner = in.ExpectedSourceBucketOwner
	source.customerKey = customerKey{algorithm: in.CopySourceSSECustomerAlgorithm, key: in.CopySourceSSECustomerKey, md5: in.CopySourceSSECustomerKeyMD5}
	source.conditions = preconditions{
		prefix: "x-amz-copy-source-", match: in.CopySourceIfMatch, noneMatch: in.CopySourceIfNoneMatch,
		modifiedSince: in.CopySourceIfModifiedSince, unmodifiedSince: in.CopySourceIfUnmodifiedSince,
	}
	if in.MetadataDirective != "" && !slices.Contains(in.MetadataDirective.Values(), in.MetadataDirective) {
		return nil, errInvalidArgument("Unknown metadata directive.", "x-amz-metadata-directive", string(in.MetadataDirective))
	}
	if in.TaggingDirective != "" && !slices.Contains(in.TaggingDirective.Values(), in.TaggingDirective) {
		return nil, errInvalidArgument("Unknown tagging directive.", "x-amz-tagging-directive", string(in.TaggingDirective))
	}
	algorithm, _, err := algorithmOf(in.ChecksumAlgorithm, "")
	if err != nil {
		return nil, err
	}
	condition := writeCondition{in.IfMatch, in.IfNoneMatch}
	if err := condition.valid(); err != nil {
		return nil, err
	}
	secrecy := encryptionWish{
		customerKey: customerKey{algorithm: in.SSECustomerAlgorithm, key: in.SSECustomerKey, md5: in.SSECustomerKeyMD5},
		algorithm:   in.ServerSideEncryption, keyID: in.SSEKMSKeyId, context: in.SSEKMSEncryptionContext, bucketKey: in.BucketKeyEnabled,
	}
	job := &copying{s: s, r: r, in: in, source: source, algorithm: algorithm, condition: condition, secrecy: secrecy}
	for {
		err := s.db.Update(ctx, func(tx store.Tx) error { return job.run(ctx, tx) })
		s.blobs.Discard(job.written)
		job.written = nil
		if !errors.Is(err, errNeedsBytes) {
			if err != nil {
				return nil, writeError(err)
			}
			break
		}
		if err := job.copyBytes(ctx); err != nil {
			return nil, writeError(err)
		}
	}
	return job.output(), nil
}

// errNeedsBytes ends an attempt to copy by reference: the bytes have to be read.
var errNeedsBytes = errors.New("the bytes have to be copied")

// copying is one CopyObject.
type copying struct {
	s         *Service
	r         *awsapi.Request
	in        *s3.CopyObjectInput
	source    copySource
	algorithm checksum.Algorithm // "" keeps the source's
	condition writeCondition
	secrecy   encryptionWish

	// written are the source's bytes, copied, with the sums of written's algorithm; from is which version they are of.
	written    *blob.Written
	from       string
	customer   []byte
	sealed     *sealing
	decided    bool
	b, sourceB *bucket
	old, made  *object
}

// run makes the copy in one transaction.
func (c *copying) run(ctx context.Context, tx store.Tx) (err error) {
	in := c.in
	if c.b, err = c.s.sharedBucketOf(ctx, tx, in.Bucket, in.ExpectedBucketOwner); err != nil {
		return err
	}
	if c.sourceB, c.old, _, err = c.source.find(ctx, tx); err != nil {
		return err
	}
	old := c.old
	if old.Size > maxPut {
		return errInvalidRequest("The specified copy source is larger than the maximum allowable size for a copy source: 5368709120")
	}
	if !c.decided {
		if c.sealed, c.customer, err = c.s.sealingOf(c.r, c.b, c.secrecy); err != nil {
			return err
		}
		c.decided = true
	}
	replaces := in.MetadataDirective == types.MetadataDirectiveReplace
	if c.sourceB.ID == c.b.ID && old.Key == *in.Key && c.source.version == nil && !replaces && in.StorageClass == "" && in.WebsiteRedirectLocation == nil &&
		in.ServerSideEncryption == "" && c.customer == nil && old.Sealing == nil && c.sealed == nil && in.TaggingDirective != types.TaggingDirectiveReplace && c.algorithm == "" {
		return errInvalidRequest("This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes.")
	}
	wish := attributeWish{
		contentType: in.ContentType,
		headers: map[string]*string{
			"Cache-Control": in.CacheControl, "Content-Disposition": in.ContentDisposition, "Content-Encoding": in.ContentEncoding,
			"Content-Language": in.ContentLanguage, "Expires": expires(c.r),
		},
		meta: in.Metadata, tagging: in.Tagging, class: in.StorageClass, redirect: in.WebsiteRedirectLocation,
		acl:      aclWish{canned: string(in.ACL), full: in.GrantFullControl, read: in.GrantRead, readACP: in.GrantReadACP, writeACP: in.GrantWriteACP},
		lockMode: in.ObjectLockMode, lockUntil: in.ObjectLockRetainUntilDate, hold: in.ObjectLockLegalHoldStatus, eventHold: in.ObjectLockEventHold,
	}
	o := &object{Key: *in.Key, Size: old.Size}
	if o.Attributes, o.Owner, err = c.s.attributesOf(ctx, c.b, wish); err != nil {
		return err
	}
	if err := checkObjectACL(tx, c.b, o.ACL); err != nil {
		return err
	}
	if !replaces {
		o.Type, o.Headers, o.Meta = old.Type, old.Headers, old.Meta
	}
	if in.TaggingDirective != types.TaggingDirectiveReplace {
		o.Tags = old.Tags
	}
	o.Sealing = c.sealed
	current, err := currentOf(tx, c.b, o.Key)
	if err != nil {
		return err
	}
	if err := c.condition.check(o.Key, current); err != nil {
		return err
	}
	if err := c.bytes(tx, o); err != nil {
		return err
	}
	c.made = o
	return c.s.insert(tx, c.b, o)
}

// bytes gives o the bytes: those that were copied for it, or the source's own.
func (c *copying) bytes(tx store.Tx, o *object) (err error) {
	old := c.old
	if c.written != nil && c.from == old.Order {
		w := c.written
		o.Blob, o.ETag = w.Ref, etagOf(w, c.sealed)
		o.Sum = claim{algorithm: c.sumAlgorithm()}.fullSum(w)
		return c.s.blobs.Keep(tx, w)
	}
	same := c.algorithm == "" || c.algorithm == old.Sum.Algorithm
	if old.Parts != nil || old.Sealing != nil || c.customer != nil || c.sealed != nil && c.s.plain(old.Blob) || !same || old.Sum.Composite {
		return errNeedsBytes
	}
	o.Sum, o.ETag = old.Sum, old.ETag
	if c.sealed != nil {
		raw, err := hex.DecodeString(old.ETag)
		if err != nil {
			return errNeedsBytes
		}
		o.ETag = etagOf(&blob.Written{Sums: map[checksum.Algorithm][]byte{checksum.MD5: raw}}, c.sealed)
	}
	o.Blob, err = c.s.blobs.Share(tx, old.Blob)
	return err
}

func (c *copying) sumAlgorithm() checksum.Algorithm {
	switch {
	case c.algorithm != "":
		return c.algorithm
	case c.old.Sum.Algorithm != "":
		return c.old.Sum.Algorithm
	}
	return checksum.CRC64NVME
}

// copyBytes reads the source and writes its bytes anew, outside of a transaction.
func (c *copying) copyBytes(ctx context.Context) error {
	var body content
	err := c.s.readOpened(ctx, func(tx store.Tx) error {
		_, old, customer, err := c.source.find(ctx, tx)
		if err != nil {
			return err
		}
		c.old, c.from = old, old.Order
		body, err = c.s.open(tx, old, customer)
		return err
	})
	if err != nil {
		return err
	}
	reader := body.Range(0, c.old.Size)
	defer func() { _ = reader.Close() }()
	c.written, err = c.s.blobs.Write(ctx, reader, blob.WriteOptions{Size: c.old.Size, Sums: []checksum.Algorithm{c.sumAlgorithm()}, Customer: c.customer, Sealed: c.sealed != nil})
	return err
}

func (c *copying) output() *s3.CopyObjectOutput {
	o := c.made
	e := o.Sealing.shown(c.s.plain(o.Blob), c.secrecy.customerKey)
	out := &s3.CopyObjectOutput{
		CopyObjectResult:     &types.CopyObjectResult{ETag: o.quoted(), LastModified: &o.Modified, ChecksumType: o.Sum.kind()},
		VersionId:            c.b.madeVersion(o),
		CopySourceVersionId:  c.sourceB.shownVersion(c.old),
		ServerSideEncryption: e.algorithm, SSEKMSKeyId: e.keyID, SSEKMSEncryptionContext: e.context, BucketKeyEnabled: e.bucketKey,
		SSECustomerAlgorithm: e.customerAlgorithm, SSECustomerKeyMD5: e.customerMD5,
	}
	setSum(out.CopyObjectResult, o.Sum.Algorithm, o.Sum.Value)
	return out
}

// UploadPartCopy makes a part of another object's bytes, or of a range of them.
func (s *Service) UploadPartCopy(ctx context.Context, in *s3.UploadPartCopyInput) (*s3.UploadPartCopyOutput, error) {
	if err := checkPartNumber(in.PartNumber); err != nil {
		return nil, err
	}
	source, err := sourceOf(in.CopySource)
	if err != nil {
		return nil, err
	}
	source.expectedOwner = in.ExpectedSourceBucketOwner
	source.customerKey = customerKey{algorithm: in.CopySourceSSECustomerAlgorithm, key: in.CopySourceSSECustomerKey, md5: in.CopySourceSSECustomerKeyMD5}
	source.conditions = preconditions{
		prefix: "x-amz-copy-source-", match: in.CopySourceIfMatch, noneMatch: in.CopySourceIfNoneMatch,
		modifiedSince: in.CopySourceIfModifiedSince, unmodifiedSince: in.CopySourceIfUnmodifiedSince,
	}
	key := customerKey{algorithm: in.SSECustomerAlgorithm, key: in.SSECustomerKey, md5: in.SSECustomerKeyMD5}
	var u *upload
	var customer []byte
	var body content
	var old *object
	var sourceB *bucket
	var piece span
	err = s.readOpened(ctx, func(tx store.Tx) error {
		b, err := s.bucketOf(ctx, tx, in.Bucket, in.ExpectedBucketOwner)
		if err != nil {
			return err
		}
		if u, err = uploadOf(tx, b, in.Key, in.UploadId); err != nil {
			return err
		}
		if customer, err = u.unlock(key); err != nil {
			return err
		}
		var unlocked []byte
		if sourceB, old, unlocked, err = source.find(ctx, tx); err != nil {
			return err
		}
		if piece, err = copiedRange(in.CopySourceRange, old.Size); err != nil {
			return err
		}
		body, err = s.open(tx, old, unlocked)
		return err
	})
	if err != nil {
		return nil, err
	}
	reader := body.Range(piece.offset, piece.length)
	defer func() { _ = reader.Close() }()
	algorithm := u.Algorithm
	if algorithm == "" {
		algorithm = checksum.CRC64NVME
	}
	w, err := s.blobs.Write(ctx, reader, blob.WriteOptions{Size: piece.length, Sums: []checksum.Algorithm{algorithm}, Customer: customer, Sealed: u.Sealing != nil})
	if err != nil {
		return nil, writeError(err)
	}
	defer s.blobs.Discard(w)
	p, err := s.putPart(ctx, in.Bucket, in.ExpectedBucketOwner, u, *in.PartNumber, w, u.sumOf(w))
	if err != nil {
		return nil, err
	}
	e := u.Sealing.shown(s.plain(p.Blob), key)
	out := &s3.UploadPartCopyOutput{
		CopyPartResult:      &types.CopyPartResult{ETag: aws.String(`"` + p.etag() + `"`), LastModified: &p.Modified},
		CopySourceVersionId: sourceB.shownVersion(old), ServerSideEncryption: e.algorithm, SSEKMSKeyId: e.keyID, BucketKeyEnabled: e.bucketKey,
		SSECustomerAlgorithm: e.customerAlgorithm, SSECustomerKeyMD5: e.customerMD5,
	}
	if u.Algorithm != "" {
		setSum(out.CopyPartResult, u.Algorithm, p.Sum)
	}
	return out, nil
}

// copiedRange reads x-amz-copy-source-range, which is stricter than Range.
// AWS: API reference of UploadPartCopy: bytes=first-last, inside the source.
func copiedRange(text *string, size int64) (span, error) {
	if text == nil {
		if size > maxPut {
			return span{}, errInvalidRequest("The specified copy source is larger than the maximum allowable size for a copy source: 5368709120")
		}
		return span{0, size}, nil
	}
	first, last, ok := readRange(*text)
	if !ok || first < 0 || last < 0 {
		return span{}, errInvalidArgument("The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the zero-based offsets of the first and last bytes to copy", "x-amz-copy-source-range", *text)
	}
	if first >= size || last >= size {
		return span{}, errInvalidArgument("Range specified is not valid for source object of size: "+strconv.FormatInt(size, 10), "x-amz-copy-source-range", *text)
	}
	if last-first+1 > maxPut {
		return span{}, errInvalidRequest("The specified copy range is larger than the maximum allowable size for a copy source: 5368709120")
	}
	return span{first, last - first + 1}, nil
}
