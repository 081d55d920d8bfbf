package s3

import (
	"context"
	"crypto/md5" //nolint:gosec // the ETag
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"miniaws/awsapi"
	"miniaws/backend/checksum"
	"miniaws/backend/reconcile"
	"miniaws/backend/store"
)

// CompleteMultipartUpload makes an object of an upload's parts. The parts stay where they are, so it takes as long for
// a terabyte as for ten megabytes.
func (s *Service) CompleteMultipartUpload(ctx context.Context, in *s3.CompleteMultipartUploadInput) (*s3.CompleteMultipartUploadOutput, error) {
	if in.MultipartUpload == nil || len(in.MultipartUpload.Parts) == 0 {
		return nil, errMalformedXML()
	}
	if len(in.MultipartUpload.Parts) > maxParts {
		return nil, errMalformedXML()
	}
	condition := writeCondition{in.IfMatch, in.IfNoneMatch}
	if err := condition.valid(); err != nil {
		return nil, err
	}
	key := customerKey{algorithm: in.SSECustomerAlgorithm, key: in.SSECustomerKey, md5: in.SSECustomerKeyMD5}
	wanted := in.MultipartUpload.Parts
	last := int32(0)
	for _, p := range wanted {
		if p.PartNumber == nil || p.ETag == nil {
			return nil, errMalformedXML()
		}
		if *p.PartNumber < 1 || *p.PartNumber > maxParts {
			return nil, errInvalidArgument("PartNumber must be >= 1", "PartNumber", strconv.Itoa(int(*p.PartNumber)))
		}
		if *p.PartNumber <= last {
			return nil, errInvalidPartOrder(aws.ToString(in.UploadId))
		}
		last = *p.PartNumber
	}
	print := fingerprint(wanted)
	var o *object
	var b *bucket
	var unused []int32
	for round := 0; ; round++ {
		leftover := false
		err := s.db.Update(ctx, func(tx store.Tx) error {
			var err error
			leftover = false
			if b, err = s.bucketOf(ctx, tx, in.Bucket, in.ExpectedBucketOwner); err != nil {
				return err
			}
			u, err := uploadOf(tx, b, in.Key, in.UploadId)
			if err != nil {
				again, found := s.repeated(tx, b, in, print)
				if found != nil || again == nil {
					return firstError(found, err)
				}
				o = again
				return nil
			}
			// AWS: API reference of CompleteMultipartUpload: the key is required where the upload has a checksum algorithm.
			if key.key != nil || u.Algorithm != "" {
				if _, err := u.unlock(key); err != nil {
					return err
				}
			}
			if o, unused, err = s.assemble(tx, u, in); err != nil {
				return err
			}
			current, err := currentOf(tx, b, o.Key)
			if err != nil {
				return err
			}
			if err := condition.check(o.Key, current); err != nil {
				return err
			}
			// Parts that the list leaves out go, some at a time where there are many.
			if leftover = len(unused) > partsTogether; leftover {
				unused = unused[:partsTogether]
			}
			for _, number := range unused {
				p, err := parts.In(tx, global).Get(partID(u.ID, number)...)
				if err == nil {
					err = s.removePart(tx, p)
				}
				if err != nil {
					return err
				}
			}
			if leftover {
				return nil
			}
			if err := uploads.In(tx, global).Delete(u.Bucket, u.Key, u.ID); err != nil {
				return err
			}
			if err := manifests.In(tx, global).Put(&shares{ID: u.ID, Objects: 1}); err != nil {
				return err
			}
			if err := s.insert(tx, b, o); err != nil {
				return err
			}
			if err := completed.In(tx, global).Put(&done{Upload: u.ID, Parts: print, Order: o.Order}); err != nil {
				return err
			}
			return reconcile.WantAfter(tx, reconcile.Item{Kind: kindCompleted, ID: u.ID}, rememberCompleted)
		})
		if err != nil {
			return nil, writeError(err)
		}
		if !leftover {
			break
		}
	}
	e := o.Sealing.shown(!s.blobs.Encrypts(), key)
	out := &s3.CompleteMultipartUploadOutput{
		Bucket: in.Bucket, Key: in.Key, ETag: o.quoted(), VersionId: b.madeVersion(o), Location: aws.String(s.location(ctx, b, o.Key)),
		ServerSideEncryption: e.algorithm, SSEKMSKeyId: e.keyID, BucketKeyEnabled: e.bucketKey,
	}
	if o.Sum.Value != "" {
		out.ChecksumType = o.Sum.kind()
		setSum(out, o.Sum.Algorithm, o.Sum.Value)
	}
	return out, nil
}

// kindCompleted is the reconcile loop's kind of a completed upload that is to be forgotten.
const (
	kindCompleted     = "s3.completed"
	rememberCompleted = 24 * time.Hour
)

func (s *Service) forgetCompleted(ctx context.Context, item reconcile.Item) (time.Duration, error) {
	return 0, s.db.Update(ctx, func(tx store.Tx) error { return completed.In(tx, global).Delete(item.ID) })
}

func firstError(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

// location is where an object is, as a URL.
func (s *Service) location(ctx context.Context, b *bucket, key string) string {
	r := awsapi.FromContext(ctx)
	if r.HTTP == nil {
		return "http://" + b.Name + ".s3." + s.domain + "/" + key
	}
	scheme := "http://"
	if r.Secure {
		scheme = "https://"
	}
	path := strings.ReplaceAll(urlEncoded(key), "+", "%20")
	if strings.HasPrefix(r.HTTP.Host, b.Name+".") {
		return scheme + r.HTTP.Host + "/" + path
	}
	return scheme + r.HTTP.Host + "/" + b.Name + "/" + path
}

// fingerprint recognizes a list of parts.
func fingerprint(list []types.CompletedPart) string {
	h := md5.New()
	for _, p := range list {
		h.Write([]byte(strconv.Itoa(int(*p.PartNumber)) + " " + strings.Trim(*p.ETag, `"`) + "\n"))
	}
	return hex.EncodeToString(h.Sum(nil))
}

// repeated finds the object that the same request made before; nil if there was none.
// AWS: API reference of CompleteMultipartUpload: it is idempotent, as clients that lost the answer ask again.
func (s *Service) repeated(tx store.Tx, b *bucket, in *s3.CompleteMultipartUploadInput, print string) (*object, error) {
	if id := aws.ToString(in.UploadId); id == "" || len(id) > 64 {
		return nil, nil
	}
	d, err := completed.In(tx, global).Find(aws.ToString(in.UploadId))
	if err != nil || d == nil || d.Parts != print {
		return nil, err
	}
	current, err := currentOf(tx, b, *in.Key)
	if err != nil || current == nil {
		return nil, err
	}
	if current.Order == d.Order {
		return current, nil
	}
	return versions.In(tx, global).Find(b.ID, *in.Key, d.Order)
}

// assemble checks the list against the parts, and makes the object of them. It answers the parts that the list leaves
// out too.
func (s *Service) assemble(tx store.Tx, u *upload, in *s3.CompleteMultipartUploadInput) (o *object, unused []int32, err error) {
	algorithm, composite := u.Algorithm, u.Composite
	if in.ChecksumType != "" && !slices.Contains(in.ChecksumType.Values(), in.ChecksumType) {
		return nil, nil, errInvalidRequest("Value for x-amz-checksum-type header is invalid.")
	}
	if in.ChecksumType != "" && algorithm != "" && in.ChecksumType != kindOf(composite) {
		return nil, nil, errInvalidRequest("The upload was created using the " + string(kindOf(composite)) + " checksum mode. The complete request must use the same checksum mode.")
	}
	if algorithm == "" {
		algorithm, composite = checksum.CRC64NVME, false
	}
	wanted := in.MultipartUpload.Parts
	kind, claimed, err := claimedWhole(in, composite)
	if err != nil {
		return nil, nil, err
	}
	if in.MpuObjectSize != nil && *in.MpuObjectSize < 0 {
		return nil, nil, errInvalidRequest(fmt.Sprintf("Value for x-amz-mp-object-size header is less than zero: '%d'", *in.MpuObjectSize))
	}
	o = &object{Key: u.Key, Owner: u.Owner, Attributes: u.Attributes}
	digest := md5.New()
	sums := algorithm.New()
	var full []byte
	var small error // of the first part that is too small: parts that are not there are told first
	next := 0
	for p, err := range partsOf(tx, u.ID) {
		if err != nil {
			return nil, nil, err
		}
		if next == len(wanted) || *wanted[next].PartNumber != p.Number {
			if next < len(wanted) && *wanted[next].PartNumber < p.Number {
				break // it is not there
			}
			unused = append(unused, p.Number)
			continue
		}
		want := wanted[next]
		next++
		if strings.Trim(*want.ETag, `"`) != p.etag() {
			return nil, nil, errInvalidPart(p.Number, *want.ETag, u.ID)
		}
		kind, claimed, err := claimedPart(&want)
		switch {
		case err != nil:
			return nil, nil, err
		case kind != "" && u.Algorithm != "" && kind != algorithm:
			return nil, nil, refusal(http.StatusBadRequest, "BadDigest", "The "+strings.ToLower(string(kind))+" you specified for part "+strconv.Itoa(int(p.Number))+" did not match what we received.")
		case kind != "" && u.Algorithm != "" && claimed != p.Sum:
			return nil, nil, errInvalidPart(p.Number, *want.ETag, u.ID)
		case kind == "" && u.Algorithm != "" && u.Composite:
			return nil, nil, errInvalidRequest("The upload was created using a " + strings.ToLower(string(u.Algorithm)) + " checksum. The complete request must include the checksum for each part. It was missing for part " + strconv.Itoa(int(p.Number)) + " in the request.")
		}
		if p.Size < minPart && next < len(wanted) && small == nil {
			small = errEntityTooSmall(p.Size, p.Number, p.etag())
		}
		raw, _ := hex.DecodeString(p.MD5)
		digest.Write(raw)
		if one, ok := algorithm.Decode(p.Sum); ok {
			switch {
			case composite:
				sums.Write(one)
			case full == nil:
				full = one
			default:
				full = algorithm.Combine(full, one, p.Size)
			}
		}
		o.Size += p.Size
	}
	if next < len(wanted) {
		return nil, nil, errInvalidPart(*wanted[next].PartNumber, *wanted[next].ETag, u.ID)
	}
	if small != nil {
		return nil, nil, small
	}
	if in.MpuObjectSize != nil && *in.MpuObjectSize != o.Size {
		return nil, nil, errInvalidRequest(fmt.Sprintf("The provided 'x-amz-mp-object-size' header value %d does not match what was computed: %d", *in.MpuObjectSize, o.Size))
	}
	o.Parts = &manifest{ID: u.ID, Count: int32(len(wanted))}
	o.ETag = hex.EncodeToString(digest.Sum(nil)) + "-" + strconv.Itoa(len(wanted))
	o.Sum = sum{Algorithm: algorithm, Composite: composite, Value: checksum.Encode(full)}
	if composite {
		o.Sum.Value = checksum.Encode(sums.Sum(nil)) + "-" + strconv.Itoa(len(wanted))
	}
	// An upload that named no algorithm has CRC64NVME, and nothing to compare another one with.
	if value, _, _ := strings.Cut(o.Sum.Value, "-"); kind == algorithm && claimed != value || kind != "" && kind != algorithm && u.Algorithm != "" {
		return nil, nil, errBadDigest(string(kind))
	}
	return o, unused, nil
}
