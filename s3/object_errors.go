package s3

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/aws/smithy-go"

	"miniaws/awsapi"
	"miniaws/backend/lazyregexp"
	"miniaws/backend/store"
)

// AWS: "Error responses" of the S3 API reference; words as the service answers them.

// withHeader adds headers to the answer that an error of ours becomes.
func withHeader(err error, header http.Header) error {
	var e *awsapi.Error
	if errors.As(err, &e) {
		e.Header = header
	}
	return err
}

// errBadMD5 says which MD5 was claimed, in hexadecimal, and which one came, in base64: so does S3 for objects (versitygw
// issue 2034).
func errBadMD5(claimed, computed []byte) error {
	return refusal(http.StatusBadRequest, "BadDigest", "The Content-MD5 you specified did not match what we received.",
		"ExpectedDigest", hex.EncodeToString(claimed), "CalculatedDigest", base64.StdEncoding.EncodeToString(computed))
}

func errBadDigest(algorithm string) error {
	return refusal(http.StatusBadRequest, "BadDigest", "The "+algorithm+" you specified did not match the calculated checksum.")
}

// errDeleted is the answer to a key whose current version is a delete marker.
func errDeleted(key, version string) error {
	return withHeader(errNoSuchKey(key), http.Header{"X-Amz-Delete-Marker": {"true"}, "X-Amz-Version-Id": {version}})
}

func errEntityTooLarge(size int64) error {
	return refusal(http.StatusBadRequest, "EntityTooLarge", "Your proposed upload exceeds the maximum allowed size",
		"ProposedSize", strconv.FormatInt(size, 10), "MaxSizeAllowed", strconv.FormatInt(maxPut, 10))
}

func errEntityTooSmall(size int64, part int32, etag string) error {
	return refusal(http.StatusBadRequest, "EntityTooSmall", "Your proposed upload is smaller than the minimum allowed size",
		"ProposedSize", strconv.FormatInt(size, 10), "MinSizeAllowed", strconv.FormatInt(minPart, 10), "PartNumber", strconv.Itoa(int(part)), "ETag", etag)
}

func errInvalidDigest(claimed string) error {
	return refusal(http.StatusBadRequest, "InvalidDigest", "The Content-MD5 you specified was invalid.", "Content-MD5", claimed)
}

func errInvalidObjectState(class string) error {
	return refusal(http.StatusForbidden, "InvalidObjectState", "The operation is not valid for the object's storage class", "StorageClass", class)
}

func errInvalidPart(part int32, etag, upload string) error {
	return refusal(http.StatusBadRequest, "InvalidPart", "One or more of the specified parts could not be found.  The part may not have been uploaded, or the specified entity tag may not match the part's entity tag.",
		"PartNumber", strconv.Itoa(int(part)), "ETag", strings.Trim(etag, `"`), "UploadId", upload)
}

func errInvalidPartNumber(part int32, count int32) error {
	return refusal(http.StatusRequestedRangeNotSatisfiable, "InvalidPartNumber", "The requested partnumber is not satisfiable",
		"PartNumberRequested", strconv.Itoa(int(part)), "ActualPartCount", strconv.Itoa(int(count)))
}

func errInvalidPartOrder(upload string) error {
	return refusal(http.StatusBadRequest, "InvalidPartOrder", "The list of parts was not in ascending order. Parts must be ordered by part number.", "UploadId", upload)
}

func errInvalidRange(asked string, size int64) error {
	e := refusal(http.StatusRequestedRangeNotSatisfiable, "InvalidRange", "The requested range is not satisfiable",
		"RangeRequested", asked, "ActualObjectSize", strconv.FormatInt(size, 10))
	return withHeader(e, http.Header{"Content-Range": {"bytes */" + strconv.FormatInt(size, 10)}})
}

func errInvalidStorageClass(class string) error {
	return refusal(http.StatusBadRequest, "InvalidStorageClass", "The storage class you specified is not valid", "StorageClassRequested", class)
}

func errInvalidURI() error {
	return refusal(http.StatusBadRequest, "InvalidURI", "Couldn't parse the specified URI.")
}

func errKeyTooLong(size int) error {
	return refusal(http.StatusBadRequest, "KeyTooLongError", "Your key is too long", "Size", strconv.Itoa(size), "MaxSizeAllowed", strconv.Itoa(maxKey))
}

// keyUUID is the form of a key's id; what has another, and is no ARN or alias, is no id.
var keyUUID = lazyregexp.New(`^(mrk-[0-9a-f]{32}|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})$`)

// errKMSNotFound has the words of KMS.
// AWS: "Encrypt" in the KMS API reference, NotFoundException.
func errKMSNotFound(account, region, id string) error {
	prefix := "arn:aws:kms:" + region + ":" + account + ":"
	message := "Invalid keyId '" + id + "'"
	switch {
	case strings.HasPrefix(id, "alias/"):
		message = "Alias " + prefix + id + " is not found."
	case strings.Contains(id, ":alias/"):
		message = "Alias " + id + " is not found."
	case keyUUID.MatchString(id):
		message = "Key '" + prefix + "key/" + id + "' does not exist"
	case strings.HasPrefix(id, "arn:"):
		message = "Key '" + id + "' does not exist"
	}
	return refusal(http.StatusBadRequest, "KMS.NotFoundException", message)
}

func errLocked() error {
	return refusal(http.StatusForbidden, "AccessDenied", "Access Denied because object protected by object lock.")
}

// errMarkerNamed is the answer to a read of a version that is a delete marker; see [ofMarker] for other calls.
func errMarkerNamed(version string, modified time.Time) error {
	e := refusal(http.StatusMethodNotAllowed, "MethodNotAllowed", "The specified method is not allowed against this resource.", "Method", "GET", "ResourceType", "DeleteMarker")
	return withHeader(e, http.Header{
		"X-Amz-Delete-Marker": {"true"}, "X-Amz-Version-Id": {version}, "Allow": {"DELETE"},
		"Last-Modified": {modified.UTC().Format(http.TimeFormat)},
	})
}

// ofMarker says of a refused delete marker what holds for other calls than GetObject and HeadObject.
// AWS: "Working with delete markers": only those two answer Last-Modified.
func ofMarker(ctx context.Context, err error) error {
	var e *awsapi.Error
	if errors.As(err, &e) && e.Fields["ResourceType"] == "DeleteMarker" {
		e.Header.Del("Last-Modified")
		if r := awsapi.FromContext(ctx); r.HTTP != nil {
			e.Fields["Method"] = r.HTTP.Method
		}
	}
	return err
}

func errMetadataTooLarge(size int) error {
	return refusal(http.StatusBadRequest, "MetadataTooLarge", "Your metadata headers exceed the maximum allowed metadata size",
		"Size", strconv.Itoa(size), "MaxSizeAllowed", strconv.Itoa(maxMetadata))
}

func errNoSuchKey(key string) error {
	return refusal(http.StatusNotFound, "NoSuchKey", "The specified key does not exist.", "Key", key)
}

func errNoSuchUpload(id string) error {
	return refusal(http.StatusNotFound, "NoSuchUpload", "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed.", "UploadId", id)
}

func errNoSuchVersion(key, version string) error {
	return refusal(http.StatusNotFound, "NoSuchVersion", "The specified version does not exist.", "Key", key, "VersionId", version)
}

func errNotModified(o *object) error {
	return withHeader(refusal(http.StatusNotModified, "NotModified", "Not Modified"), http.Header{
		"Etag": {`"` + o.ETag + `"`}, "Last-Modified": {o.Modified.UTC().Format(http.TimeFormat)},
	})
}

func errPreconditionFailed(condition string) error {
	return refusal(http.StatusPreconditionFailed, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold", "Condition", condition)
}

func errSlowDown() error {
	return &awsapi.Error{Code: "SlowDown", Message: "Please reduce your request rate.", Status: http.StatusServiceUnavailable, Fault: smithy.FaultServer}
}

// writeError words what a write met below. That the disk is full the server words, and its log tells.
func writeError(err error) error {
	if errors.Is(err, store.ErrConflict) {
		return errSlowDown()
	}
	return err
}

func errNoObjectLock(key string) error {
	return refusal(http.StatusNotFound, "NoSuchObjectLockConfiguration", "The specified object does not have a ObjectLock configuration", "Key", key)
}
