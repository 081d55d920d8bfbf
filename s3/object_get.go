package s3

import (
	"context"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"miniaws/awsapi"
	"miniaws/backend/store"
)

// reading is a GetObject or a HeadObject.
type reading struct {
	in  *s3.GetObjectInput
	b   *bucket
	o   *object
	key customerKey

	customer   []byte
	piece      span
	partial    bool
	partsCount *int32
	partSum    string  // of the asked part
	expires    *string // when a lifecycle removes it
}

// read finds the version, checks everything that may refuse, and says which piece of it is wanted.
func (s *Service) read(ctx context.Context, tx store.Tx, in *s3.GetObjectInput) (*reading, error) {
	b, err := s.sharedBucketOf(ctx, tx, in.Bucket, in.ExpectedBucketOwner)
	if err != nil {
		return nil, err
	}
	if in.PartNumber != nil {
		if err := checkPartNumber(in.PartNumber); err != nil {
			return nil, err
		}
	}
	r := &reading{in: in, b: b, key: customerKey{algorithm: in.SSECustomerAlgorithm, key: in.SSECustomerKey, md5: in.SSECustomerKeyMD5}}
	if r.o, err = sharedOf(tx, b, in.Key, in.VersionId); err != nil {
		return nil, err
	}
	err = preconditions{match: in.IfMatch, noneMatch: in.IfNoneMatch, modifiedSince: in.IfModifiedSince, unmodifiedSince: in.IfUnmodifiedSince}.check(r.o)
	if err != nil {
		return nil, err
	}
	if r.customer, err = r.o.Sealing.unlock(r.key); err != nil {
		return nil, err
	}
	if in.VersionId == nil {
		if r.expires, err = expiration(tx, b, r.o); err != nil {
			return nil, err
		}
	}
	if in.PartNumber != nil {
		if in.Range != nil {
			return nil, errInvalidRequest("Cannot specify both Range header and partNumber query parameter")
		}
		return r, r.part(tx, *in.PartNumber)
	}
	r.piece, r.partial, err = rangeOf(in.Range, r.o.Size)
	return r, err
}

// part finds the piece that was uploaded as a part.
func (r *reading) part(tx store.Tx, number int32) error {
	r.partial = true
	if r.o.Parts == nil {
		r.piece = span{0, r.o.Size}
		if number > 1 {
			return errInvalidPartNumber(number, 1)
		}
		r.partial = r.o.Size > 0
		return nil
	}
	r.partsCount = aws.Int32(r.o.Parts.Count)
	var offset int64
	position := int32(0)
	for p, err := range partsOf(tx, r.o.Parts.ID) {
		if err != nil {
			return err
		}
		if position++; position == number {
			r.piece, r.partSum = span{offset, p.Size}, p.Sum
			return nil
		}
		offset += p.Size
	}
	return errInvalidPartNumber(number, r.o.Parts.Count)
}

// undeclared refuses headers that only uploads have.
// AWS: API reference of GetObject, "Encryption": 400 where x-amz-server-side-encryption is sent.
func undeclared(ctx context.Context) error {
	if named := awsapi.FromContext(ctx).Header.Get("X-Amz-Server-Side-Encryption"); named != "" {
		return errInvalidArgument("x-amz-server-side-encryption header is not supported for this operation.", "x-amz-server-side-encryption", named)
	}
	return nil
}

// overridden checks what a request may not say: response headers, unless it is signed, and headers of uploads.
func overridden(ctx context.Context, in *s3.GetObjectInput) error {
	if err := undeclared(ctx); err != nil {
		return err
	}
	asked := in.ResponseCacheControl != nil || in.ResponseContentDisposition != nil || in.ResponseContentEncoding != nil ||
		in.ResponseContentLanguage != nil || in.ResponseContentType != nil || in.ResponseExpires != nil
	if asked && awsapi.FromContext(ctx).Principal.Anonymous() {
		return errInvalidRequest("Request specific response headers cannot be used for anonymous GET requests.")
	}
	return nil
}

func header(o *object, name string, override *string) *string {
	if override != nil {
		return override
	}
	if value, ok := o.Headers[name]; ok {
		return &value
	}
	return nil
}

// GetObject sends an object, or a piece of it.
func (s *Service) GetObject(ctx context.Context, in *s3.GetObjectInput) (*s3.GetObjectOutput, error) {
	if err := overridden(ctx, in); err != nil {
		return nil, err
	}
	var r *reading
	var body content
	err := s.readOpened(ctx, func(tx store.Tx) (err error) {
		if r, err = s.read(ctx, tx, in); err != nil {
			return err
		}
		if err := r.o.readable(awsapi.FromContext(ctx).Time); err != nil {
			return err
		}
		body, err = s.open(tx, r.o, r.customer)
		return err
	})
	if err != nil {
		return nil, s.hidden(ctx, in.Bucket, in.Key, err)
	}
	h := s.head(r)
	out := &s3.GetObjectOutput{
		Body:         body.Range(r.piece.offset, r.piece.length),
		AcceptRanges: h.AcceptRanges, ContentLength: h.ContentLength, ETag: h.ETag, LastModified: h.LastModified,
		Metadata: h.Metadata, VersionId: h.VersionId, PartsCount: h.PartsCount, ContentType: h.ContentType,
		CacheControl: h.CacheControl, ContentDisposition: h.ContentDisposition, ContentEncoding: h.ContentEncoding,
		ContentLanguage: h.ContentLanguage, ExpiresString: h.ExpiresString, StorageClass: h.StorageClass,
		Restore: h.Restore, ServerSideEncryption: h.ServerSideEncryption, SSEKMSKeyId: h.SSEKMSKeyId,
		BucketKeyEnabled: h.BucketKeyEnabled, SSECustomerAlgorithm: h.SSECustomerAlgorithm,
		SSECustomerKeyMD5: h.SSECustomerKeyMD5, ReplicationStatus: h.ReplicationStatus, Expiration: h.Expiration,
		WebsiteRedirectLocation: h.WebsiteRedirectLocation, TagCount: h.TagCount, ContentRange: h.ContentRange,
		ObjectLockMode: h.ObjectLockMode, ObjectLockRetainUntilDate: h.ObjectLockRetainUntilDate,
		ObjectLockLegalHoldStatus: h.ObjectLockLegalHoldStatus,
	}
	if in.ChecksumMode == types.ChecksumModeEnabled {
		out.ChecksumType = r.sum(out)
	}
	return out, nil
}

// sum puts the checksum of what is read into an answer: not of a range.
func (r *reading) sum(out any) types.ChecksumType {
	value := r.o.Sum.Value
	switch {
	case r.in.PartNumber != nil && r.o.Parts != nil:
		value = r.partSum
	case r.partial && r.in.PartNumber == nil && r.piece.length != r.o.Size:
		return ""
	}
	if value == "" {
		return ""
	}
	setSum(out, r.o.Sum.Algorithm, value)
	return r.o.Sum.kind()
}

// HeadObject is GetObject without the bytes. Archived objects have a head all the same.
func (s *Service) HeadObject(ctx context.Context, in *s3.HeadObjectInput) (*s3.HeadObjectOutput, error) {
	get := &s3.GetObjectInput{
		Bucket: in.Bucket, Key: in.Key, ChecksumMode: in.ChecksumMode, ExpectedBucketOwner: in.ExpectedBucketOwner,
		IfMatch: in.IfMatch, IfModifiedSince: in.IfModifiedSince, IfNoneMatch: in.IfNoneMatch, IfUnmodifiedSince: in.IfUnmodifiedSince,
		PartNumber: in.PartNumber, Range: in.Range, ResponseCacheControl: in.ResponseCacheControl,
		ResponseContentDisposition: in.ResponseContentDisposition, ResponseContentEncoding: in.ResponseContentEncoding,
		ResponseContentLanguage: in.ResponseContentLanguage, ResponseContentType: in.ResponseContentType, ResponseExpires: in.ResponseExpires,
		SSECustomerAlgorithm: in.SSECustomerAlgorithm, SSECustomerKey: in.SSECustomerKey, SSECustomerKeyMD5: in.SSECustomerKeyMD5, VersionId: in.VersionId,
	}
	if err := overridden(ctx, get); err != nil {
		return nil, err
	}
	var r *reading
	err := s.db.View(ctx, func(tx store.Tx) (err error) {
		r, err = s.read(ctx, tx, get)
		return err
	})
	if err != nil {
		return nil, s.hidden(ctx, in.Bucket, in.Key, err)
	}
	return s.head(r), nil
}

// head is what an answer says about the object: all but its bytes.
func (s *Service) head(r *reading) *s3.HeadObjectOutput {
	o, in := r.o, r.in
	e := o.Sealing.shown(s.plain(o.Blob), r.key)
	out := &s3.HeadObjectOutput{
		AcceptRanges: aws.String("bytes"), ContentLength: &r.piece.length,
		ETag: o.quoted(), LastModified: &o.Modified, Metadata: o.Meta, VersionId: r.b.shownVersion(o), PartsCount: r.partsCount,
		ContentType: header(o, "", in.ResponseContentType), CacheControl: header(o, "Cache-Control", in.ResponseCacheControl),
		ContentDisposition: header(o, "Content-Disposition", in.ResponseContentDisposition),
		ContentEncoding:    header(o, "Content-Encoding", in.ResponseContentEncoding),
		ContentLanguage:    header(o, "Content-Language", in.ResponseContentLanguage),
		ExpiresString:      header(o, "Expires", nil), StorageClass: types.StorageClass(o.Class), Restore: o.restore(),
		ServerSideEncryption: e.algorithm, SSEKMSKeyId: e.keyID, BucketKeyEnabled: e.bucketKey,
		SSECustomerAlgorithm: e.customerAlgorithm, SSECustomerKeyMD5: e.customerMD5, ReplicationStatus: types.ReplicationStatus(o.Replication), Expiration: r.expires,
	}
	if out.ContentType == nil {
		out.ContentType = &o.Type
	}
	if in.ResponseExpires != nil {
		out.ExpiresString = aws.String(in.ResponseExpires.UTC().Format(http.TimeFormat))
	}
	if o.Redirect != "" {
		out.WebsiteRedirectLocation = &o.Redirect
	}
	if len(o.Tags) > 0 {
		out.TagCount = aws.Int32(int32(len(o.Tags)))
	}
	if r.partial {
		out.ContentRange = aws.String(r.piece.header(o.Size))
	}
	if o.Retention != nil {
		out.ObjectLockMode, out.ObjectLockRetainUntilDate = types.ObjectLockMode(o.Retention.Mode), &o.Retention.Until
	}
	out.ObjectLockLegalHoldStatus = o.holdStatus()
	if in.ChecksumMode == types.ChecksumModeEnabled {
		out.ChecksumType = r.sum(out)
	}
	return out
}

// archived tells whether the class keeps objects where they cannot be read at once.
func (o *object) archived() bool {
	return o.Class == string(types.StorageClassGlacier) || o.Class == string(types.StorageClassDeepArchive)
}

// readable refuses archived objects that were not restored.
// AWS: "Error responses", InvalidObjectState.
func (o *object) readable(now time.Time) error {
	if o.archived() && (o.Restored == nil || now.After(*o.Restored)) {
		return errInvalidObjectState(o.Class)
	}
	return nil
}

// restore is the header x-amz-restore.
func (o *object) restore() *string {
	if o.Restored == nil {
		return nil
	}
	return aws.String(`ongoing-request="false", expiry-date="` + o.Restored.UTC().Format(http.TimeFormat) + `"`)
}
