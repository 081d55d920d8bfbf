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
