package s3

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"miniaws/awsapi"
	"miniaws/awsapi/sdktest"
	"miniaws/backend/blob"
	"miniaws/backend/seal"
	"miniaws/backend/store"
)

const (
	testKey    = "AKIAIOSFODNN7EXAMPLE"
	testSecret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
)

// owner is the only user there is, and may do everything.
type owner struct{}

func (owner) Find(_ context.Context, id, _ string) (string, awsapi.Principal, error) {
	if id != testKey {
		return "", awsapi.Principal{}, awsapi.ErrUnknownAccessKey
	}
	return testSecret, awsapi.Principal{Account: "123456789012", ARN: "arn:aws:iam::123456789012:root", ID: "123456789012", AccessKeyID: id, Root: true}, nil
}

func (owner) Authorize(_ context.Context, r *awsapi.Request, _ []awsapi.Access) error {
	if r.Principal.Anonymous() {
		return &awsapi.Denied{Message: "Access Denied"}
	}
	return nil
}

func (owner) Allows(ctx context.Context, _ ...awsapi.Access) (bool, error) {
	return !awsapi.FromContext(ctx).Principal.Anonymous(), nil
}

func (owner) Unlimited(ctx context.Context) (bool, error) {
	return awsapi.FromContext(ctx).Principal.Root, nil
}

// site is the service over a store in memory, on the real wire.
type site struct {
	*Service
	server *awsapi.Server
	client *s3.Client
	files  blob.Files
}

func newSite(t testing.TB) *site {
	return newSiteOver(t, store.OpenMemory(store.Options{}), blob.NewMemory())
}

func newSiteOver(t testing.TB, db store.DB, files blob.Files) *site {
	t.Cleanup(func() {
		if changed, err := store.ChangedShared(context.Background(), db); err != nil || len(changed) > 0 {
			t.Errorf("a reader changed what is shared: %v, %v", changed, err)
		}
		db.Close()
	})
	s := &site{files: files}
	s.Service = New(Config{DB: db, Permissions: owner{}, Blobs: blob.New(blob.Config{DB: db, Files: files, Key: seal.NewKey()})})
	s.server = awsapi.NewServer(awsapi.Options{Identities: owner{}, Authorizer: owner{}, Region: "us-east-1", Log: slog.New(slog.DiscardHandler)})
	s.Register(s.server)
	web := httptest.NewServer(s.server)
	t.Cleanup(web.Close)
	s.client = s3.New(s3.Options{
		Region: "us-east-1", BaseEndpoint: aws.String(web.URL), UsePathStyle: true, RetryMaxAttempts: 1, HTTPClient: sdktest.HTTPClient(),
		Credentials: credentials.NewStaticCredentialsProvider(testKey, testSecret, ""),
	})
	if _, err := s.client.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: aws.String("bucket")}); err != nil {
		t.Fatal(err)
	}
	return s
}

// call sends one signed request past the network.
func (s *site) call(t testing.TB, method, path string, body []byte, header map[string]string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "http://localhost"+path, bytes.NewReader(body))
	sum := sha256.Sum256(body)
	hash := hex.EncodeToString(sum[:])
	r.Header.Set("X-Amz-Content-Sha256", hash)
	for name, value := range header {
		r.Header.Set(name, value)
	}
	if len(body) > 0 {
		r.Header.Set("Content-Length", fmt.Sprint(len(body)))
	}
	err := v4.NewSigner().SignHTTP(context.Background(), aws.Credentials{AccessKeyID: testKey, SecretAccessKey: testSecret}, r, hash, "s3", "us-east-1", time.Now(), func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	s.server.ServeHTTP(w, r)
	return w
}

// nobody is an answer that nobody reads.
type nobody struct{ header http.Header }

func (d *nobody) Header() http.Header         { return d.header }
func (d *nobody) Write(p []byte) (int, error) { return len(p), nil }
func (d *nobody) WriteHeader(int)             {}

func BenchmarkObject(b *testing.B) {
	s := newSite(b)
	body := bytes.Repeat([]byte("x"), 4096)
	if w := s.call(b, http.MethodPut, "/bucket/k", body, nil); w.Code != 200 {
		b.Fatal(w.Body)
	}
	for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPut} {
		b.Run(method, func(b *testing.B) {
			content := body
			if method != http.MethodPut {
				content = nil
			}
			r := httptest.NewRequest(method, "http://localhost/bucket/k", bytes.NewReader(content))
			sum := sha256.Sum256(content)
			hash := hex.EncodeToString(sum[:])
			r.Header.Set("X-Amz-Content-Sha256", hash)
			if content != nil {
				r.Header.Set("Content-Length", "4096")
			}
			if err := v4.NewSigner().SignHTTP(b.Context(), aws.Credentials{AccessKeyID: testKey, SecretAccessKey: testSecret}, r, hash, "s3", "us-east-1", time.Now()); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				r.Body = io.NopCloser(bytes.NewReader(content))
				s.server.ServeHTTP(&nobody{http.Header{}}, r)
			}
		})
	}
}
