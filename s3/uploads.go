package s3

import (
	"context"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"miniaws/awsapi"
	"miniaws/backend/blob"
	"miniaws/backend/checksum"
	"miniaws/backend/reconcile"
	"miniaws/backend/store"
)

// upload is a multipart upload under way.
//
//	CreateMultipartUpload ─▶ under way ─▶ CompleteMultipartUpload: an object, whose parts stay where they are
//	                           │    ▲
//	                           │    └ UploadPart, UploadPartCopy
//	                           └▶ AbortMultipartUpload: the parts are removed by the reconcile loop
type upload struct {
	Bucket    string    `json:"b"` // ID
	Key       string    `json:"k"`
	ID        string    `json:"i"` // in the order of time
	Initiated time.Time `json:"t"`
	Owner     string    `json:"w"`
	// Initiator is the ARN of who began it.
	Initiator string             `json:"n"`
	Algorithm checksum.Algorithm `json:"ca,omitempty"`
	Composite bool               `json:"cc,omitempty"`

	Attributes
}

var uploads = store.NewTable(store.Spec[upload]{
	Service: "s3", Name: "uploads",
	ID: func(u *upload) store.ID { return store.ID{u.Bucket, u.Key, u.ID} },
})

// done remembers for a while what a completed upload became: clients that did not hear the answer ask again.
type done struct {
	Upload string
	Parts  string // fingerprint of the list
	Order  string // of the object
}

var completed = store.NewTable(store.Spec[done]{
	Service: "s3", Name: "completed",
	ID: func(d *done) store.ID { return store.ID{d.Upload} },
})

// newUploadID sorts after those made before.
func newUploadID(now time.Time) string {
	order := []byte(newOrder(time.Unix(0, int64(^uint64(now.UnixNano()))), ""))
	return string(order) + "mpu"
}

// uploadOf finds an upload under way. Error: NoSuchUpload.
func uploadOf(tx store.Tx, b *bucket, key, id *string) (*upload, error) {
	if err := checkKey(aws.ToString(key)); err != nil {
		return nil, err
	}
	if len(aws.ToString(id)) > 64 {
		return nil, errNoSuchUpload(aws.ToString(id)[:64])
	}
	u, err := uploads.In(tx, global).Find(b.ID, aws.ToString(key), aws.ToString(id))
	if err == nil && u == nil {
		err = errNoSuchUpload(aws.ToString(id))
	}
	return u, err
}

// algorithmOf reads the checksum algorithm and type of an upload.
// Neither minds the case.
//
// AWS: "Checking object integrity": CRC64NVME is of the whole object always, SHA, MD5 and xxHash of the parts.
func algorithmOf(algorithm types.ChecksumAlgorithm, kind types.ChecksumType) (a checksum.Algorithm, composite bool, err error) {
	kind = types.ChecksumType(strings.ToUpper(string(kind)))
	if kind != "" && !slices.Contains(kind.Values(), kind) {
		return "", false, errInvalidRequest("Value for x-amz-checksum-type header is invalid.")
	}
	if algorithm == "" {
		if kind != "" {
			return "", false, errInvalidRequest("The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header.")
		}
		return "", false, nil
	}
	a = checksum.Algorithm(strings.ToUpper(string(algorithm)))
	if a.New() == nil {
		return "", false, errInvalidRequest("Checksum algorithm provided is unsupported. Please try again with any of the valid types: [CRC32, CRC32C, CRC64NVME, MD5, SHA1, SHA256, SHA512, XXHASH128, XXHASH3, XXHASH64]")
	}
	switch {
	case kind == "":
		return a, a != checksum.CRC64NVME, nil
	case kind == types.ChecksumTypeComposite && a == checksum.CRC64NVME, kind == types.ChecksumTypeFullObject && !a.Linear():
		return "", false, errInvalidRequest("The " + string(kind) + " checksum type cannot be used with the " + strings.ToLower(string(a)) + " checksum algorithm.")
	}
	return a, kind == types.ChecksumTypeComposite, nil
}

func kindOf(composite bool) types.ChecksumType { return sum{Composite: composite}.kind() }

// CreateMultipartUpload begins one. It states what the object will have.
func (s *Service) CreateMultipartUpload(ctx context.Context, in *s3.CreateMultipartUploadInput) (*s3.CreateMultipartUploadOutput, error) {
	r := awsapi.FromContext(ctx)
	if err := checkKey(aws.ToString(in.Key)); err != nil {
		return nil, err
	}
	algorithm, composite, err := algorithmOf(in.ChecksumAlgorithm, in.ChecksumType)
	if err != nil {
		return nil, err
	}
	if in.ChecksumAlgorithm == "" {
		// Clients of before January 2025 name it so.
		algorithm, composite, err = algorithmOf(types.ChecksumAlgorithm(r.Header.Get("X-Amz-Sdk-Checksum-Algorithm")), in.ChecksumType)
		if err != nil {
			return nil, err
		}
	}
	wish := attributeWish{
		contentType: in.ContentType,
		headers: map[string]*string{
			"Cache-Control": in.CacheControl, "Content-Disposition": in.ContentDisposition, "Content-Encoding": in.ContentEncoding,
			"Content-Language": in.ContentLanguage, "Expires": expires(r),
		},
		meta: in.Metadata, tagging: in.Tagging, class: in.StorageClass, redirect: in.WebsiteRedirectLocation,
		acl:      aclWish{canned: string(in.ACL), full: in.GrantFullControl, read: in.GrantRead, readACP: in.GrantReadACP, writeACP: in.GrantWriteACP},
		lockMode: in.ObjectLockMode, lockUntil: in.ObjectLockRetainUntilDate, hold: in.ObjectLockLegalHoldStatus, eventHold: in.ObjectLockEventHold,
	}
	secrecy := encryptionWish{
		customerKey: customerKey{algorithm: in.SSECustomerAlgorithm, key: in.SSECustomerKey, md5: in.SSECustomerKeyMD5},
		algorithm:   in.ServerSideEncryption, keyID: in.SSEKMSKeyId, context: in.SSEKMSEncryptionContext, bucketKey: in.BucketKeyEnabled,
	}
	var u *upload
	err = s.db.Update(ctx, func(tx store.Tx) error {
		b, err := s.bucketOf(ctx, tx, in.Bucket, in.ExpectedBucketOwner)
		if err != nil {
			return err
		}
		u = &upload{
			Bucket: b.ID, Key: *in.Key, ID: newUploadID(tx.Now()), Initiated: tx.Now().UTC().Truncate(time.Second),
			Initiator: r.Principal.ARN, Algorithm: algorithm, Composite: composite,
		}
		if u.Attributes, u.Owner, err = s.attributesOf(ctx, b, wish); err != nil {
			return err
		}
		if err := checkObjectACL(tx, b, u.ACL); err != nil {
			return err
		}
		if u.Sealing, _, err = s.sealingOf(r, b, secrecy); err != nil {
			return err
		}
		return uploads.In(tx, global).Put(u)
	})
	if err != nil {
		return nil, writeError(err)
	}
	e := u.Sealing.shown(!s.blobs.Encrypts(), secrecy.customerKey)
	out := &s3.CreateMultipartUploadOutput{
		Bucket: in.Bucket, Key: in.Key, UploadId: &u.ID, ChecksumAlgorithm: types.ChecksumAlgorithm(algorithm),
		ServerSideEncryption: e.algorithm, SSEKMSKeyId: e.keyID, SSEKMSEncryptionContext: e.context, BucketKeyEnabled: e.bucketKey,
		SSECustomerAlgorithm: e.customerAlgorithm, SSECustomerKeyMD5: e.customerMD5,
	}
	if algorithm != "" {
		out.ChecksumType = kindOf(composite)
	}
	return out, nil
}

// checkObjectACL refuses an ACL that the bucket does not allow for its objects.
func checkObjectACL(tx store.Tx, b *bucket, acl []grant) error {
	if acl == nil {
		return nil
	}
	block, err := blockOf(tx, b)
	if err != nil {
		return err
	}
	return checkACL(b, block, acl)
}

func checkPartNumber(number *int32) error {
	if n := aws.ToInt32(number); n < 1 || n > maxParts {
		return errInvalidArgument("Part number must be an integer between 1 and 10000, inclusive", "partNumber", strconv.Itoa(int(n)))
	}
	return nil
}

// partClaim is what a part's checksum must be of: the upload's algorithm.
func (u *upload) partClaim(r *awsapi.Request) (claim, error) {
	fallback := u.Algorithm
	if fallback == "" {
		fallback = checksum.CRC64NVME // AWS: computed for every upload, of the whole object
	}
	c, err := claimOf(r, fallback)
	if err != nil {
		return c, err
	}
	actual := strings.ToLower(string(c.algorithm))
	if u.Composite && c.value == "" && !c.trailer && r.Header.Get("X-Amz-Sdk-Checksum-Algorithm") == "" {
		actual = "null" // AWS: the parts of a composite checksum have one each (versitygw issue 1342)
	}
	if expected := strings.ToLower(string(u.Algorithm)); u.Algorithm != "" && actual != expected {
		return c, errInvalidRequest("Checksum Type mismatch occurred, expected checksum Type: " + expected + ", actual checksum Type: " + actual)
	}
	return c, nil
}

// UploadPart stores a part, instead of one with the same number.
func (s *Service) UploadPart(ctx context.Context, in *s3.UploadPartInput) (*s3.UploadPartOutput, error) {
	r := awsapi.FromContext(ctx)
	if err := checkPartNumber(in.PartNumber); err != nil {
		return nil, err
	}
	if in.ContentLength != nil && *in.ContentLength > maxPut {
		return nil, errEntityTooLarge(*in.ContentLength)
	}
	key := customerKey{algorithm: in.SSECustomerAlgorithm, key: in.SSECustomerKey, md5: in.SSECustomerKeyMD5}
	var u *upload
	var c claim
	var customer []byte
	err := s.viewBucket(ctx, in.Bucket, in.ExpectedBucketOwner, func(tx store.Tx, b *bucket) (err error) {
		if u, err = uploadOf(tx, b, in.Key, in.UploadId); err != nil {
			return err
		}
		if customer, err = u.unlock(key); err != nil {
			return err
		}
		c, err = u.partClaim(r)
		return err
	})
	if err != nil {
		return nil, err
	}
	size := int64(-1)
	if in.ContentLength != nil {
		size = *in.ContentLength
	}
	sums := c.sums()
	if u.Algorithm == "" {
		sums = append(sums, checksum.CRC64NVME)
	}
	w, err := s.blobs.Write(ctx, in.Body, blob.WriteOptions{Size: size, Limit: maxPut, Sums: sums, Customer: customer, Sealed: u.Sealing != nil})
	if errors.Is(err, blob.ErrTooLarge) {
		return nil, errEntityTooLarge(size)
	}
	if err != nil {
		return nil, writeError(err)
	}
	defer s.blobs.Discard(w)
	if err := c.check(w, r.Trailer()); err != nil {
		return nil, err
	}
	p, err := s.putPart(ctx, in.Bucket, in.ExpectedBucketOwner, u, *in.PartNumber, w, u.sumOf(w))
	if err != nil {
		return nil, err
	}
	e := u.Sealing.shown(s.plain(p.Blob), key)
	out := &s3.UploadPartOutput{
		ETag: aws.String(`"` + p.etag() + `"`), ServerSideEncryption: e.algorithm, SSEKMSKeyId: e.keyID, BucketKeyEnabled: e.bucketKey,
		SSECustomerAlgorithm: e.customerAlgorithm, SSECustomerKeyMD5: e.customerMD5,
	}
	if u.Algorithm != "" {
		setSum(out, u.Algorithm, p.Sum)
	} else {
		setSum(out, c.algorithm, checksum.Encode(w.Sums[c.algorithm]))
	}
	return out, nil
}

// unlock answers the customer's key of an upload.
func (u *upload) unlock(key customerKey) ([]byte, error) {
	if u.Sealing != nil && u.Sealing.Proof != nil && key.key == nil {
		return nil, errInvalidRequest("The multipart upload initiate requested encryption. Subsequent part requests must include the appropriate encryption parameters.")
	}
	if (u.Sealing == nil || u.Sealing.Proof == nil) && key.key != nil {
		return nil, errInvalidRequest("The encryption parameters are not applicable to this upload.")
	}
	customer, err := u.Sealing.unlock(key)
	if err != nil && customer == nil && key.key != nil {
		if valid, broken := key.customer(); broken == nil && valid != nil {
			return nil, errInvalidRequest("The provided encryption parameters did not match the ones used originally.")
		}
	}
	return customer, err
}

// sumOf is the checksum of a part that is kept.
func (u *upload) sumOf(w *blob.Written) string {
	if u.Algorithm == "" {
		return checksum.Encode(w.Sums[checksum.CRC64NVME])
	}
	return checksum.Encode(w.Sums[u.Algorithm])
}

// putPart makes a part count.
func (s *Service) putPart(ctx context.Context, name, expectedOwner *string, u *upload, number int32, w *blob.Written, sum string) (*part, error) {
	p := &part{Upload: u.ID, Number: number, Size: w.Size, MD5: etagOf(w, nil), Sum: sum, Blob: w.Ref}
	if u.Sealing != nil {
		p.ETag = etagOf(w, u.Sealing)
	}
	err := s.db.Update(ctx, func(tx store.Tx) error {
		b, err := s.bucketOf(ctx, tx, name, expectedOwner)
		if err != nil {
			return err
		}
		if _, err := uploadOf(tx, b, &u.Key, &u.ID); err != nil {
			return err
		}
		p.Modified = tx.Now().UTC().Truncate(time.Second)
		if err := s.blobs.Keep(tx, w); err != nil {
			return err
		}
		return s.replacePart(tx, p)
	})
	return p, writeError(err)
}

func (s *Service) replacePart(tx store.Tx, p *part) error {
	rows := parts.In(tx, global)
	old, err := rows.Find(partID(p.Upload, p.Number)...)
	if err != nil {
		return err
	}
	if old != nil {
		if err := s.blobs.Drop(tx, old.Blob); err != nil {
			return err
		}
	}
	return rows.Put(p)
}

// AbortMultipartUpload ends an upload; its parts are removed after the answer.
func (s *Service) AbortMultipartUpload(ctx context.Context, in *s3.AbortMultipartUploadInput) (*s3.AbortMultipartUploadOutput, error) {
	err := s.db.Update(ctx, func(tx store.Tx) error {
		b, err := s.bucketOf(ctx, tx, in.Bucket, in.ExpectedBucketOwner)
		if err != nil {
			return err
		}
		u, err := uploadOf(tx, b, in.Key, in.UploadId)
		if err != nil {
			return err
		}
		if in.IfMatchInitiatedTime != nil && !in.IfMatchInitiatedTime.Equal(u.Initiated) {
			return errPreconditionFailed("x-amz-if-match-initiated-time")
		}
		return abort(tx, u)
	})
	return &s3.AbortMultipartUploadOutput{}, writeError(err)
}

// abort ends an upload in a transaction.
func abort(tx store.Tx, u *upload) error {
	if err := uploads.In(tx, global).Delete(u.Bucket, u.Key, u.ID); err != nil {
		return err
	}
	return reconcile.Want(tx, reconcile.Item{Kind: kindParts, ID: u.ID})
}

// endUploads is what DeleteBucket does first. AWS: uploads under way do not keep a bucket; they end with it.
func endUploads(tx store.Tx, b *bucket) error {
	for u, err := range uploads.In(tx, global).Scan(store.Query{Parts: store.ID{b.ID}}) {
		if err != nil {
			return err
		}
		if err := abort(tx, u); err != nil {
			return err
		}
	}
	return nil
}

var _ io.Reader = (*acrossParts)(nil)
