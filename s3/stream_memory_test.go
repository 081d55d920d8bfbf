package s3

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"miniaws/backend/blob"
	"miniaws/backend/store"
)

// heldBody sends the same piece again and again, stops in the middle until it is told, and breaks then.
type heldBody struct {
	piece  string
	at     int // in piece
	left   int
	middle chan<- bool
	goOn   <-chan struct{}
}

func (b *heldBody) Read(p []byte) (int, error) {
	if b.left == 0 {
		b.middle <- true
		<-b.goOn
		return 0, io.ErrUnexpectedEOF
	}
	n := min(copy(p, b.piece[b.at:]), b.left)
	b.at = (b.at + n) % len(b.piece)
	b.left -= n
	return n, nil
}

// TestStreamMemory stops many bodies in their middle, both ways, and looks at the heap: less than 1 MiB a stream, with what
// the clients in this process have of it. The answers' bodies are longer than what sockets hold.
func TestStreamMemory(t *testing.T) {
	s := newSiteOver(t, store.OpenMemory(store.Options{}), blob.OpenFolder(filepath.Join(t.TempDir(), "blobs")))
	const streams, sent, size = 20, 6 << 20, 64 << 20
	if _, err := s.client.PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String("bucket"), Key: aws.String("large"), Body: bytes.NewReader(make([]byte, size))}); err != nil {
		t.Fatal(err)
	}
	made, err := s.client.CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{Bucket: aws.String("bucket"), Key: aws.String("parts")})
	if err != nil {
		t.Fatal(err)
	}
	const chunk = 64 << 10
	framed := fmt.Sprintf("%x\r\n%s\r\n", chunk, strings.Repeat("x", chunk))
	trailer := map[string]string{"X-Amz-Content-Sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "X-Amz-Decoded-Content-Length": fmt.Sprint(size), "X-Amz-Trailer": "x-amz-checksum-crc64nvme"}
	before := heap() // of all: what an earlier one leaves behind counts too
	for name, c := range map[string]struct {
		method, path, piece string
		header              map[string]string
	}{
		"PUT":            {http.MethodPut, "/bucket/new", strings.Repeat("x", chunk), nil},
		"PUT in chunks":  {http.MethodPut, "/bucket/new", framed, trailer},
		"PUT of a part":  {http.MethodPut, "/bucket/parts?partNumber=1&uploadId=" + *made.UploadId, strings.Repeat("x", chunk), nil},
		"GET":            {http.MethodGet, "/bucket/large", "", nil},
		"GET of a range": {http.MethodGet, "/bucket/large", "", map[string]string{"Range": "bytes=1000000-60000000"}},
		"GET with a sum": {http.MethodGet, "/bucket/large", "", map[string]string{"X-Amz-Checksum-Mode": "ENABLED"}},
	} {
		t.Run(name, func(t *testing.T) {
			middle, goOn := make(chan bool, streams), make(chan struct{})
			release := sync.OnceFunc(func() { close(goOn) })
			defer release()
			ended := make(chan error, streams)
			for range streams {
				r, err := http.NewRequestWithContext(t.Context(), c.method, *s.client.Options().BaseEndpoint+c.path, nil)
				if err != nil {
					t.Fatal(err)
				}
				r.Header.Set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD")
				for name, value := range c.header {
					r.Header.Set(name, value)
				}
				err = v4.NewSigner().SignHTTP(t.Context(), aws.Credentials{AccessKeyID: testKey, SecretAccessKey: testSecret}, r, r.Header.Get("X-Amz-Content-Sha256"),
					"s3", "us-east-1", time.Now(), func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })
				if err != nil {
					t.Fatal(err)
				}
				if c.piece != "" {
					r.Body, r.ContentLength = io.NopCloser(&heldBody{c.piece, 0, sent, middle, goOn}), size
				}
				go func() {
					response, err := http.DefaultTransport.RoundTrip(r)
					if err == nil && response.StatusCode >= 300 && c.method == http.MethodGet {
						err = errors.New(response.Status)
					}
					if err == nil && c.method == http.MethodGet {
						_, _ = io.CopyN(io.Discard, response.Body, 1<<20)
						middle <- true
						<-goOn
					}
					if response != nil {
						response.Body.Close()
					}
					ended <- err
				}()
			}
			for range streams {
				select {
				case <-middle:
				case err := <-ended:
					t.Fatalf("a stream ended before its middle: %v", err)
				}
			}
			during := heap()
			release()
			for range streams {
				if err := <-ended; err != nil && c.method == http.MethodGet { // bodies that go up are cut in their middle
					t.Error(err)
				}
			}
			each := (int64(during) - int64(before)) / streams
			t.Logf("%d KiB a stream", each>>10)
			if each > 1<<20 {
				t.Errorf("%d streams take %d KiB each", streams, each>>10)
			}
		})
	}
}

func heap() uint64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}
