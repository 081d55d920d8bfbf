package s3

import (
	"bytes"
	"crypto/md5"
	"encoding/base64"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/s3/manager"
	"github.com/aws/aws-sdk-go-v2/feature/s3/transfermanager"
	transfer "github.com/aws/aws-sdk-go-v2/feature/s3/transfermanager/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

func noise(size int) []byte {
	body := make([]byte, size)
	rand.NewChaCha8([32]byte{1}).Read(body)
	return body
}

// The SDK's older transfer manager: parts at the same time, from a body of unknown length, back in ranges, with and
// without a customer's key; and a body that breaks leaves nothing.
func TestManager(t *testing.T) {
	s := newSite(t)
	body := noise(13<<20 + 7)
	bucket := aws.String("bucket")
	secret := []byte(strings.Repeat("k", 32))
	sum := md5.Sum(secret)
	for name, customer := range map[string]*string{"plain": nil, "customer": aws.String(base64.StdEncoding.EncodeToString(secret))} {
		key := aws.String(name)
		in := &s3.PutObjectInput{Bucket: bucket, Key: key, Body: io.MultiReader(bytes.NewReader(body)), Metadata: map[string]string{"a": "b"}}
		get := &s3.GetObjectInput{Bucket: bucket, Key: key}
		if customer != nil {
			in.SSECustomerAlgorithm, in.SSECustomerKey, in.SSECustomerKeyMD5 = aws.String("AES256"), customer, aws.String(base64.StdEncoding.EncodeToString(sum[:]))
			get.SSECustomerAlgorithm, get.SSECustomerKey, get.SSECustomerKeyMD5 = in.SSECustomerAlgorithm, customer, in.SSECustomerKeyMD5
		}
		out, err := manager.NewUploader(s.client).Upload(t.Context(), in) //nolint:staticcheck // deprecated, and what most programs use
		if err != nil || len(out.CompletedParts) != 3 || !strings.HasSuffix(*out.ETag, `-3"`) {
			t.Fatalf("%s: %+v, %v", name, out, err)
		}
		back := manager.NewWriteAtBuffer(nil)
		n, err := manager.NewDownloader(s.client, func(d *manager.Downloader) { d.PartSize = 1 << 20 }).Download(t.Context(), back, get) //nolint:staticcheck // as above
		if err != nil || n != int64(len(body)) || !bytes.Equal(back.Bytes(), body) {
			t.Errorf("%s: %d bytes, %v", name, n, err)
		}
	}
	broken := io.MultiReader(bytes.NewReader(body), brokenReader{})
	_, err := manager.NewUploader(s.client).Upload(t.Context(), &s3.PutObjectInput{Bucket: bucket, Key: aws.String("broken"), Body: broken}) //nolint:staticcheck // as above
	if err == nil {
		t.Error("a broken body was taken")
	}
	list, err := s.client.ListMultipartUploads(t.Context(), &s3.ListMultipartUploadsInput{Bucket: bucket})
	if err != nil || len(list.Uploads) != 0 {
		t.Errorf("%d uploads are left, %v", len(list.Uploads), err)
	}
	region, err := manager.GetBucketRegion(t.Context(), s.client, "bucket")
	if err != nil || region != "us-east-1" {
		t.Errorf("region %s, %v", region, err)
	}
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, os.ErrClosed }

// The SDK's newer transfer manager: with checksums of parts and of the whole, back by parts and by ranges, and folders.
func TestTransferManager(t *testing.T) {
	s := newSite(t)
	body := noise(17 << 20)
	bucket := aws.String("bucket")
	for _, algorithm := range []transfer.ChecksumAlgorithm{transfer.ChecksumAlgorithmCrc32, transfer.ChecksumAlgorithmSha256} {
		key := aws.String(string(algorithm))
		m := transfermanager.New(s.client, func(o *transfermanager.Options) { o.PartSizeBytes, o.MultipartUploadThreshold = 5<<20, 8<<20 })
		if _, err := m.UploadObject(t.Context(), &transfermanager.UploadObjectInput{Bucket: bucket, Key: key, Body: bytes.NewReader(body), ChecksumAlgorithm: algorithm}); err != nil {
			t.Fatal(algorithm, err)
		}
		head, err := s.client.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: bucket, Key: key, ChecksumMode: types.ChecksumModeEnabled})
		if err != nil || head.ChecksumCRC32 == nil && head.ChecksumSHA256 == nil || !strings.HasSuffix(*head.ETag, `-4"`) {
			t.Errorf("%s: %+v, %v", algorithm, head, err)
		}
		for _, by := range []transfer.GetObjectType{transfer.GetObjectParts, transfer.GetObjectRanges} {
			m := transfermanager.New(s.client, func(o *transfermanager.Options) { o.PartSizeBytes, o.GetObjectType = 5<<20, by })
			back := transfer.NewWriteAtBuffer(nil)
			if _, err := m.DownloadObject(t.Context(), &transfermanager.DownloadObjectInput{Bucket: bucket, Key: key, WriterAt: back}); err != nil || !bytes.Equal(back.Bytes(), body) {
				t.Errorf("%s by %s: %d bytes, %v", algorithm, by, len(back.Bytes()), err)
			}
			out, err := m.GetObject(t.Context(), &transfermanager.GetObjectInput{Bucket: bucket, Key: key})
			if err != nil {
				t.Fatal(err)
			}
			if got, err := io.ReadAll(out.Body); err != nil || !bytes.Equal(got, body) {
				t.Errorf("%s by %s, as a stream: %d bytes, %v", algorithm, by, len(got), err)
			}
		}
	}

	from, to := t.TempDir(), t.TempDir()
	for _, name := range []string{"one", "sub/two", "sub/deep/three"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(from, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(from, name), []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	m := transfermanager.New(s.client)
	up, err := m.UploadDirectory(t.Context(), &transfermanager.UploadDirectoryInput{Bucket: bucket, Source: &from, Recursive: aws.Bool(true), KeyPrefix: aws.String("tree")})
	if err != nil || up.ObjectsUploaded != 3 {
		t.Fatalf("%+v, %v", up, err)
	}
	down, err := m.DownloadDirectory(t.Context(), &transfermanager.DownloadDirectoryInput{Bucket: bucket, Destination: &to, KeyPrefix: aws.String("tree")})
	if err != nil || down.ObjectsDownloaded != 3 {
		t.Fatalf("%+v, %v", down, err)
	}
	if got, err := os.ReadFile(filepath.Join(to, "sub/deep/three")); err != nil || string(got) != "sub/deep/three" {
		t.Errorf("%s, %v", got, err)
	}
}
