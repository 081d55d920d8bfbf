package sigv4

import (
	"context"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"miniaws/backend/sha"
)

func TestPayloadRules(t *testing.T) {
	unsigned := func(r *http.Request) { r.Header.Set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD") }
	r := signed(t, creds, "PUT", "https://example.com/x", "data", "ebs", unsigned)
	_, err := verify(r, creds.SecretAccessKey, Options{Body: []byte("data")})
	wantKind(t, err, InvalidPayloadHash)
	_, err = verify(r, creds.SecretAccessKey, Options{Body: []byte("data"), AllowUnsignedPayload: true})
	wantKind(t, err, 0)

	r = signed(t, creds, "PUT", "https://example.com/x", "data", "s3", nil)
	_, err = verify(r, creds.SecretAccessKey, Options{Body: []byte("dat")})
	if e := wantKind(t, err, PayloadMismatch); e.Answer(S3).Code != "XAmzContentSHA256Mismatch" || len(e.Answer(S3).Fields) != 2 {
		t.Errorf("answer %+v", e.Answer(S3))
	}
	// An empty body is compared even when nobody will read it.
	r.ContentLength = 0
	delete(r.Header, "Content-Length")
	s, err := Parse(r)
	if err != nil {
		t.Fatal(err)
	}
	s.SignedHeaders = strings.Replace(s.SignedHeaders, "content-length;", "", 1)
	if err := s.Verify(r, creds.SecretAccessKey, Options{Now: noon, Streamed: true}); err == nil {
		t.Error("an empty body passes for another")
	}
	if _, err := s.Body(r); err == nil {
		t.Error("Body works without Verify")
	}
}

// The streamed body of a wrong hash never comes whole, even for callers that stop at its length.
func TestHashedBody(t *testing.T) {
	data := strings.Repeat("0123456789", 10_000)
	for _, known := range []bool{true, false} {
		for _, sent := range []string{data, data[:len(data)-1] + "x", data[:len(data)-1]} {
			r := signed(t, creds, "PUT", "https://example.com/b/k", data, "s3", nil)
			s, err := verify(r, creds.SecretAccessKey, Options{Streamed: true})
			if err != nil {
				t.Fatal(err)
			}
			r.Body = io.NopCloser(strings.NewReader(sent))
			if !known {
				r.ContentLength = -1
			}
			body, err := s.Body(r)
			if err != nil {
				t.Fatal(err)
			}
			if known {
				got := make([]byte, len(data))
				_, err = io.ReadFull(body, got)
			} else {
				_, err = io.ReadAll(body)
			}
			if (err == nil) != (sent == data) {
				t.Errorf("known %v, %d bytes: %v", known, len(sent), err)
			}
			body.Close()
			if _, err := body.Read(make([]byte, 1)); err == nil {
				t.Error("read after close")
			}
		}
	}
}

// Over a real connection: net/http moves Host, Content-Length and
// Transfer-Encoding out of the header map, and a known or unknown length differ.
func TestOverTheWire(t *testing.T) {
	var got error
	var read string
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		s, err := verify(r, creds.SecretAccessKey, Options{Service: "s3", Streamed: true})
		if got = err; err != nil {
			return
		}
		body, err := s.Body(r)
		if got = err; err != nil {
			return
		}
		var b []byte
		b, got = io.ReadAll(body)
		read = string(b)
		body.Close()
	}))
	defer server.Close()
	for _, known := range []bool{true, false} {
		for _, sent := range []string{"some bytes", "Some bytes", ""} {
			r, err := http.NewRequest("PUT", server.URL+"/b/a%2Fb//c?x=1&partNumber=2", strings.NewReader(sent))
			if err != nil {
				t.Fatal(err)
			}
			if !known {
				r.ContentLength = -1
			}
			sum := sha.Sum256([]byte("some bytes"))
			r.Header.Set("X-Amz-Content-Sha256", hex.EncodeToString(sum[:]))
			signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })
			if err := signer.SignHTTP(context.Background(), creds, r, hex.EncodeToString(sum[:]), "s3", "us-east-1", noon); err != nil {
				t.Fatal(err)
			}
			response, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			response.Body.Close()
			if sent == "some bytes" && (got != nil || read != sent) {
				t.Errorf("known %v: %q, %v", known, read, got)
			}
			if sent != "some bytes" {
				wantKind(t, got, PayloadMismatch)
			}
		}
	}
}
