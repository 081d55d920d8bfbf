package s3

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"

	"miniaws/backend/checksum"
)

// refused tells whether a call was refused with a code and words.
func refused(err error, code, words string) bool {
	var known smithy.APIError
	return errors.As(err, &known) && known.ErrorCode() == code && strings.Contains(known.ErrorMessage(), words)
}

func sumOf(a checksum.Algorithm, body []byte) []byte {
	h := a.New()
	h.Write(body)
	return h.Sum(nil)
}

// Every algorithm of AWS's model, through an object's life: given, wrong, read back, copied, in parts.
func TestEveryChecksum(t *testing.T) {
	s := newSite(t)
	bucket, body := aws.String("bucket"), noise(5<<20)
	whole := checksum.Encode(sumOf(checksum.SHA256, body)) // in place of those that are wrong
	for _, algorithm := range types.ChecksumAlgorithm("").Values() {
		t.Run(string(algorithm), func(t *testing.T) {
			a, ctx := checksum.Algorithm(algorithm), t.Context()
			want := checksum.Encode(sumOf(a, body))
			put := &s3.PutObjectInput{Bucket: bucket, Key: aws.String("whole"), Body: bytes.NewReader(body)}
			setSum(put, a, want)
			out, err := s.client.PutObject(ctx, put)
			if err != nil || sumIn(out, a) != want || out.ChecksumType != types.ChecksumTypeFullObject {
				t.Fatalf("put: %+v, %v", out, err)
			}
			head, err := s.client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: bucket, Key: put.Key, ChecksumMode: types.ChecksumModeEnabled})
			if err != nil || sumIn(head, a) != want {
				t.Errorf("head: %+v, %v", head, err)
			}
			got, err := s.client.GetObject(ctx, &s3.GetObjectInput{Bucket: bucket, Key: put.Key, ChecksumMode: types.ChecksumModeEnabled})
			if err != nil || sumIn(got, a) != want || got.ChecksumType != types.ChecksumTypeFullObject {
				t.Fatalf("get: %+v, %v", got, err)
			}
			if err := got.Body.Close(); err != nil {
				t.Error(err)
			}
			wrong := &s3.PutObjectInput{Bucket: bucket, Key: aws.String("wrong"), Body: bytes.NewReader(body)}
			setSum(wrong, a, checksum.Encode(sumOf(a, []byte(whole))))
			if _, err := s.client.PutObject(ctx, wrong); !refused(err, "BadDigest", "The "+string(a)+" you specified did not match the calculated checksum.") {
				t.Errorf("wrong: %v", err)
			}
			setSum(wrong, a, "AAA=")
			if _, err := s.client.PutObject(ctx, wrong); !refused(err, "InvalidRequest", "Value for x-amz-checksum-"+strings.ToLower(string(a))+" header is invalid.") {
				t.Errorf("none: %v", err)
			}
			list, err := s.client.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: bucket})
			if err != nil || len(list.Contents) == 0 || !reflect.DeepEqual(list.Contents[len(list.Contents)-1].ChecksumAlgorithm, []types.ChecksumAlgorithm{algorithm}) {
				t.Errorf("list: %+v, %v", list, err)
			}
			copied, err := s.client.CopyObject(ctx, &s3.CopyObjectInput{Bucket: bucket, Key: aws.String("copy"), CopySource: aws.String("bucket/whole")})
			if err != nil || sumIn(copied.CopyObjectResult, a) != want {
				t.Errorf("copy: %+v, %v", copied, err)
			}
			_, err = s.client.PutObject(ctx, &s3.PutObjectInput{Bucket: bucket, Key: aws.String("bare"), Body: bytes.NewReader(body)})
			if err != nil {
				t.Fatal(err)
			}
			copied, err = s.client.CopyObject(ctx, &s3.CopyObjectInput{Bucket: bucket, Key: aws.String("copy"), CopySource: aws.String("bucket/bare"), ChecksumAlgorithm: algorithm})
			if err != nil || sumIn(copied.CopyObjectResult, a) != want {
				t.Errorf("copy with another: %+v, %v", copied, err)
			}

			up, err := s.client.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: bucket, Key: aws.String("parts"), ChecksumAlgorithm: algorithm})
			if err != nil || up.ChecksumAlgorithm != algorithm {
				t.Fatalf("create: %+v, %v", up, err)
			}
			bodies, done, sums := [][]byte{body, []byte("end")}, []types.CompletedPart{}, []byte{}
			for i, content := range bodies {
				in := &s3.UploadPartInput{Bucket: bucket, Key: up.Key, UploadId: up.UploadId, PartNumber: aws.Int32(int32(i + 1)), Body: bytes.NewReader(content)}
				part := sumOf(a, content)
				setSum(in, a, checksum.Encode(part))
				out, err := s.client.UploadPart(ctx, in)
				if err != nil || sumIn(out, a) != checksum.Encode(part) {
					t.Fatalf("part: %+v, %v", out, err)
				}
				p := types.CompletedPart{ETag: out.ETag, PartNumber: in.PartNumber}
				setSum(&p, a, checksum.Encode(part))
				done, sums = append(done, p), append(sums, part...)
			}
			complete, err := s.client.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{Bucket: bucket, Key: up.Key, UploadId: up.UploadId, MultipartUpload: &types.CompletedMultipartUpload{Parts: done}})
			if err != nil {
				t.Fatal(err)
			}
			composite := checksum.Encode(sumOf(a, sums)) + "-2"
			if a == checksum.CRC64NVME { // of the whole object, always
				composite = checksum.Encode(sumOf(a, append(append([]byte{}, body...), "end"...)))
			}
			if sumIn(complete, a) != composite {
				t.Errorf("complete: %+v, want %s", complete, composite)
			}
			about, err := s.client.GetObjectAttributes(ctx, &s3.GetObjectAttributesInput{Bucket: bucket, Key: up.Key, ObjectAttributes: []types.ObjectAttributes{"Checksum", "ObjectParts"}})
			value, _, _ := strings.Cut(composite, "-")
			if err != nil || sumIn(about.Checksum, a) != value || a != checksum.CRC64NVME && sumIn(about.ObjectParts.Parts[1], a) != checksum.Encode(sumOf(a, []byte("end"))) {
				t.Errorf("attributes: %+v, %v", about, err)
			}
			listed, err := s.client.ListMultipartUploads(ctx, &s3.ListMultipartUploadsInput{Bucket: bucket})
			if err != nil || len(listed.Uploads) != 0 {
				t.Errorf("uploads: %+v, %v", listed, err)
			}
		})
	}
}

// TestChecksumsOfParts: a composite checksum needs one of each part, and nobody may give two, or one of another algorithm.
func TestChecksumsOfParts(t *testing.T) {
	s, ctx := newSite(t), t.Context()
	bucket, key, one := aws.String("bucket"), aws.String("parts"), aws.Int32(1)
	plainly := func(o *s3.Options) { o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired }
	crc := checksum.Encode(sumOf(checksum.CRC32, []byte("part")))
	for name, c := range map[string]struct {
		kind     types.ChecksumType
		part     s3.UploadPartInput
		complete types.CompletedPart
		whole    s3.CompleteMultipartUploadInput
		code     string
		words    string
	}{
		"none, composite":     {types.ChecksumTypeComposite, s3.UploadPartInput{}, types.CompletedPart{}, s3.CompleteMultipartUploadInput{}, "InvalidRequest", "Checksum Type mismatch occurred, expected checksum Type: crc32, actual checksum Type: null"},
		"none, full":          {types.ChecksumTypeFullObject, s3.UploadPartInput{}, types.CompletedPart{}, s3.CompleteMultipartUploadInput{}, "", ""},
		"another":             {types.ChecksumTypeFullObject, s3.UploadPartInput{ChecksumSHA1: aws.String(checksum.Encode(sumOf(checksum.SHA1, []byte("part"))))}, types.CompletedPart{}, s3.CompleteMultipartUploadInput{}, "InvalidRequest", "actual checksum Type: sha1"},
		"empty":               {types.ChecksumTypeFullObject, s3.UploadPartInput{ChecksumCRC32: aws.String("")}, types.CompletedPart{}, s3.CompleteMultipartUploadInput{}, "InvalidRequest", "Value for x-amz-checksum-crc32 header is invalid."},
		"two":                 {types.ChecksumTypeFullObject, s3.UploadPartInput{ChecksumCRC32: &crc, ChecksumSHA1: aws.String("")}, types.CompletedPart{}, s3.CompleteMultipartUploadInput{}, "InvalidRequest", "Expecting a single x-amz-checksum- header."},
		"listed twice":        {types.ChecksumTypeComposite, s3.UploadPartInput{ChecksumCRC32: &crc}, types.CompletedPart{ChecksumCRC32: &crc, ChecksumSHA1: aws.String("x")}, s3.CompleteMultipartUploadInput{}, "InvalidArgument", "Invalid Base64 or multiple checksums present in request"},
		"listed as none":      {types.ChecksumTypeComposite, s3.UploadPartInput{ChecksumCRC32: &crc}, types.CompletedPart{ChecksumCRC32: aws.String("x")}, s3.CompleteMultipartUploadInput{}, "InvalidArgument", "Invalid Base64 or multiple checksums present in request"},
		"listed as another":   {types.ChecksumTypeFullObject, s3.UploadPartInput{ChecksumCRC32: &crc}, types.CompletedPart{ChecksumSHA256: aws.String("n2alat9FhKiZXkZO18V2LLcZFM3IT8R7DjSMvK//7WU=")}, s3.CompleteMultipartUploadInput{}, "BadDigest", "The sha256 you specified for part 1 did not match what we received."},
		"not listed":          {types.ChecksumTypeComposite, s3.UploadPartInput{ChecksumCRC32: &crc}, types.CompletedPart{}, s3.CompleteMultipartUploadInput{}, "InvalidRequest", "It was missing for part 1 in the request."},
		"wholes":              {types.ChecksumTypeFullObject, s3.UploadPartInput{ChecksumCRC32: &crc}, types.CompletedPart{}, s3.CompleteMultipartUploadInput{ChecksumCRC32: &crc, ChecksumCRC32C: &crc}, "InvalidRequest", "Expecting a single x-amz-checksum- header."},
		"no whole":            {types.ChecksumTypeFullObject, s3.UploadPartInput{ChecksumCRC32: &crc}, types.CompletedPart{}, s3.CompleteMultipartUploadInput{ChecksumCRC32: aws.String("x")}, "InvalidRequest", "Value for x-amz-checksum-crc32 header is invalid."},
		"wrong whole":         {types.ChecksumTypeFullObject, s3.UploadPartInput{ChecksumCRC32: &crc}, types.CompletedPart{}, s3.CompleteMultipartUploadInput{ChecksumCRC32: aws.String("AAAAAA==")}, "BadDigest", ""},
		"another whole":       {types.ChecksumTypeFullObject, s3.UploadPartInput{ChecksumCRC32: &crc}, types.CompletedPart{}, s3.CompleteMultipartUploadInput{ChecksumCRC32C: aws.String("AAAAAA==")}, "BadDigest", ""},
		"right whole":         {types.ChecksumTypeFullObject, s3.UploadPartInput{ChecksumCRC32: &crc}, types.CompletedPart{ChecksumCRC32: &crc}, s3.CompleteMultipartUploadInput{ChecksumCRC32: &crc}, "", ""},
		"another number":      {types.ChecksumTypeComposite, s3.UploadPartInput{ChecksumCRC32: &crc}, types.CompletedPart{ChecksumCRC32: &crc}, s3.CompleteMultipartUploadInput{ChecksumCRC32: aws.String("AAAAAA==-2")}, "InvalidRequest", "Value for x-amz-checksum-crc32 header is invalid."},
		"negative size":       {types.ChecksumTypeFullObject, s3.UploadPartInput{ChecksumCRC32: &crc}, types.CompletedPart{}, s3.CompleteMultipartUploadInput{MpuObjectSize: aws.Int64(-1)}, "InvalidRequest", "Value for x-amz-mp-object-size header is less than zero: '-1'"},
		"a type that is none": {types.ChecksumTypeFullObject, s3.UploadPartInput{ChecksumCRC32: &crc}, types.CompletedPart{}, s3.CompleteMultipartUploadInput{ChecksumType: "x"}, "InvalidRequest", "Value for x-amz-checksum-type header is invalid."},
	} {
		t.Run(name, func(t *testing.T) {
			up, err := s.client.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: bucket, Key: key, ChecksumAlgorithm: types.ChecksumAlgorithmCrc32, ChecksumType: c.kind})
			if err != nil {
				t.Fatal(err)
			}
			c.part.Bucket, c.part.Key, c.part.UploadId, c.part.PartNumber, c.part.Body = bucket, key, up.UploadId, one, strings.NewReader("part")
			out, err := s.client.UploadPart(ctx, &c.part, plainly)
			if err == nil {
				c.complete.PartNumber, c.complete.ETag = one, out.ETag
				c.whole.Bucket, c.whole.Key, c.whole.UploadId = bucket, key, up.UploadId
				c.whole.MultipartUpload = &types.CompletedMultipartUpload{Parts: []types.CompletedPart{c.complete}}
				_, err = s.client.CompleteMultipartUpload(ctx, &c.whole, plainly)
			}
			if c.code == "" && err != nil || c.code != "" && !refused(err, c.code, c.words) {
				t.Error(err)
			}
		})
	}
}
