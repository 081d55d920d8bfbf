package s3

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"miniaws/awsapi"
	"miniaws/backend/blob"
	"miniaws/backend/checksum"
)

// claim is what an upload says its bytes sum up to.
type claim struct {
	// algorithm is the one to compute and keep.
	algorithm checksum.Algorithm
	// value is the checksum in a header; empty if it comes in the trailer, or not at all.
	value   string
	trailer bool
	md5     []byte
}

// claimOf reads the checksum headers of an upload.
//
// AWS: "Checking object integrity for data uploads"; the words as S3 answers them.
func claimOf(r *awsapi.Request, fallback checksum.Algorithm) (claim, error) {
	c := claim{}
	header := r.Header
	if text := header.Get("Content-Md5"); header["Content-Md5"] != nil { // an empty one is wrong too
		var err error
		if c.md5, err = base64.StdEncoding.DecodeString(text); err != nil || len(c.md5) != 16 {
			return c, errInvalidDigest(text)
		}
	}
	announced := header.Get("X-Amz-Trailer")
	if err := unknownChecksum(header, announced); err != nil {
		return c, err
	}
	inHeader := false
	for _, a := range checksum.All {
		there := header[a.Header()] != nil // an empty one is wrong too
		inTrailer := announced != "" && strings.EqualFold(announced, a.Header())
		if !there && !inTrailer {
			continue
		}
		if c.algorithm != "" || there && inTrailer {
			return c, errInvalidRequest("Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.")
		}
		c.algorithm, c.value, c.trailer, inHeader = a, header.Get(a.Header()), inTrailer, there
	}
	if _, ok := c.algorithm.Decode(c.value); inHeader && !ok {
		return c, errChecksumHeader(c.algorithm)
	}
	wanted := header.Get("X-Amz-Sdk-Checksum-Algorithm")
	switch {
	case wanted != "" && checksum.Algorithm(strings.ToUpper(wanted)).New() == nil:
		return c, errInvalidRequest("Value for x-amz-sdk-checksum-algorithm header is invalid.")
	case wanted != "" && c.algorithm == "" && r.HTTP != nil && strings.HasPrefix(header.Get("X-Amz-Content-Sha256"), "STREAMING-"):
		return c, errInvalidRequest("x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer headers were found.")
	case wanted != "" && c.algorithm == "":
		c.algorithm = checksum.Algorithm(strings.ToUpper(wanted))
	case wanted != "" && !strings.EqualFold(wanted, string(c.algorithm)):
		return c, errInvalidRequest("Value for x-amz-sdk-checksum-algorithm header is invalid.")
	case c.algorithm == "":
		c.algorithm = fallback
	}
	return c, nil
}

// errChecksumHeader is the answer to a header that is no checksum of its algorithm.
func errChecksumHeader(a checksum.Algorithm) error {
	return errInvalidRequest("Value for " + strings.ToLower(a.Header()) + " header is invalid.")
}

// claimedPart is the checksum of a part in the list that completes an upload: of one algorithm at most.
//
// AWS: "Checking object integrity for data uploads"; the words as versitygw's tests found them at S3
// (CompleteMultipartUpload_multiple_checksum_part, _invalid_checksum_part).
func claimedPart(part *types.CompletedPart) (a checksum.Algorithm, value string, err error) {
	var all strings.Builder
	for _, one := range checksum.All {
		text := sumIn(part, one)
		if text == "" {
			continue
		}
		fmt.Fprintf(&all, "%s:%s;", one, text)
		if a != "" {
			err = errInvalidArgument("Invalid Base64 or multiple checksums present in request", "Checksum", all.String())
			continue
		}
		a, value = one, text
		if _, ok := one.Decode(text); !ok {
			err = errInvalidArgument("Invalid Base64 or multiple checksums present in request", "Checksum", text)
		}
	}
	return a, value, err
}

// claimedWhole is the checksum of a whole object among the headers that complete an upload, without the number of parts
// behind a composite one.
func claimedWhole(in *s3.CompleteMultipartUploadInput, composite bool) (a checksum.Algorithm, value string, err error) {
	for _, one := range checksum.All {
		text := sumIn(in, one)
		if text == "" {
			continue
		}
		if a != "" {
			return "", "", errInvalidRequest("Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.")
		}
		a, value = one, text
		if composite {
			value = strings.TrimSuffix(value, "-"+strconv.Itoa(len(in.MultipartUpload.Parts)))
		}
		if _, ok := one.Decode(value); !ok {
			err = errChecksumHeader(one)
		}
	}
	return a, value, err
}

// unknownChecksum refuses headers and trailers that look like a checksum and are none.
//
// AWS: the words as S3 sends them (versitygw issues 1104 and 1161).
func unknownChecksum(header http.Header, announced string) error {
	known := func(name string) bool {
		return slices.ContainsFunc(checksum.All, func(a checksum.Algorithm) bool { return strings.EqualFold(a.Header(), name) })
	}
	if announced != "" && !known(announced) {
		return errInvalidRequest("The value specified in the x-amz-trailer header is not supported")
	}
	for name := range header {
		if what, ok := strings.CutPrefix(name, "X-Amz-Checksum-"); ok && !known(name) && what != "Algorithm" && what != "Type" && what != "Mode" {
			return errInvalidRequest("The algorithm type you specified in x-amz-checksum- header is invalid.")
		}
	}
	return nil
}

// sums are the algorithms to compute beside MD5.
func (c claim) sums() []checksum.Algorithm {
	if c.algorithm == "" {
		return nil
	}
	return []checksum.Algorithm{c.algorithm}
}

// check compares what was claimed with what came. The trailer is nil if there was none.
func (c claim) check(w *blob.Written, trailer http.Header) error {
	if c.md5 != nil && !bytes.Equal(c.md5, w.Sums[checksum.MD5]) {
		return errBadMD5(c.md5, w.Sums[checksum.MD5])
	}
	value := c.value
	if c.trailer {
		value = trailer.Get(c.algorithm.Header())
		if _, ok := c.algorithm.Decode(value); !ok {
			return errInvalidRequest("Value for " + strings.ToLower(c.algorithm.Header()) + " trailing header is invalid.")
		}
	}
	if value != "" && value != checksum.Encode(w.Sums[c.algorithm]) {
		return errBadDigest(string(c.algorithm))
	}
	return nil
}

// fullSum is the checksum of a whole body.
func (c claim) fullSum(w *blob.Written) sum {
	if c.algorithm == "" {
		return sum{}
	}
	return sum{Algorithm: c.algorithm, Value: checksum.Encode(w.Sums[c.algorithm])}
}

// setSum puts a checksum into the member of an output that is for it.
func setSum(out any, a checksum.Algorithm, value string) {
	if a == "" || value == "" {
		return
	}
	field := reflect.ValueOf(out).Elem().FieldByName("Checksum" + string(a))
	if field.IsValid() {
		field.Set(reflect.ValueOf(aws.String(value)))
	}
}

// sumIn is the checksum in a member of an input; empty if there is none.
func sumIn(in any, a checksum.Algorithm) string {
	field := reflect.Indirect(reflect.ValueOf(in)).FieldByName("Checksum" + string(a))
	if !field.IsValid() {
		return ""
	}
	text, _ := field.Interface().(*string)
	return aws.ToString(text)
}
