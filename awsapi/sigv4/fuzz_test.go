package sigv4

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
)

// wire reads a request as net/http would, or nil.
func wire(head []byte) *http.Request {
	r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(head)))
	if err != nil {
		return nil
	}
	return r
}

// fuzzParsed seeds f and calls check with every request that net/http reads, and with what Parse makes of it.
func fuzzParsed(f *testing.F, check func(*testing.T, *http.Request, *Signature, error)) {
	const scope = "AK/20260314/us-east-1/s3/aws4_request"
	for _, head := range []string{
		"GET / HTTP/1.1\r\nHost: a\r\nX-Amz-Date: 20260314T120000Z\r\nX-Amz-Content-Sha256: UNSIGNED-PAYLOAD\r\nAuthorization: AWS4-HMAC-SHA256 Credential=" + scope + ", SignedHeaders=host;x-amz-date, Signature=00\r\n\r\n",
		"GET /a%20b?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=" + strings.ReplaceAll(scope, "/", "%2F") + "&X-Amz-Date=20260314T120000Z&X-Amz-Expires=60&X-Amz-SignedHeaders=host&X-Amz-Signature=00 HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET /b/k?AWSAccessKeyId=AK&Expires=1773489660&Signature=x&acl HTTP/1.1\r\nHost: a\r\n\r\n",
		"POST //x/../%zz?a=%&=&;&%2=+ HTTP/1.1\r\nHost: a\r\nDate: Sat, 14 Mar 2026 12:00:00 GMT\r\nAuthorization: AWS4-HMAC-SHA256 Credential=" + strings.Replace(scope, "s3", "iam", 1) + ",SignedHeaders=date;host;content-length;,Signature=ff\r\nContent-Length: 3\r\n\r\nabc",
		"GET http://other/abs?x HTTP/1.1\r\nHost: a\r\nAuthorization: AWS4-ECDSA-P256-SHA256 x\r\n\r\n",
	} {
		f.Add([]byte(head))
	}
	f.Fuzz(func(t *testing.T, head []byte) {
		if r := wire(head); r != nil {
			s, err := Parse(r)
			check(t, r, s, err)
		}
	})
}

// FuzzParse: no input panics, every error is typed, and what is accepted is bounded and plain.
func FuzzParse(f *testing.F) {
	fuzzParsed(f, func(t *testing.T, _ *http.Request, s *Signature, err error) {
		if err != nil {
			var e *Error
			if s != nil || !errors.As(err, &e) || e.Answer(S3).Code == "" || e.Answer(Query).Status < 400 {
				t.Fatalf("%v, %T", s, err)
			}
			return
		}
		for _, field := range []string{s.Date, s.Region, s.Service, s.SignedHeaders, s.PayloadHash, s.amzDate} {
			if strings.ContainsAny(field, "\r\n/ ") {
				t.Fatalf("%q can forge a line of the string to sign", field)
			}
		}
	})
}

// FuzzVerify: a request signed by us verifies, and no other secret verifies it.
func FuzzVerify(f *testing.F) {
	fuzzParsed(f, func(t *testing.T, r *http.Request, s *Signature, err error) {
		if err != nil {
			return
		}
		now := s.Time
		if s.Version == V2 {
			now = s.Expires
		}
		body, _ := io.ReadAll(r.Body)
		for _, opts := range []Options{{Now: now, Body: body}, {Now: now, Streamed: true, VirtualBucket: "b"}, {Now: now, Body: body, AllowUnsignedPayload: true}} {
			err := s.Verify(r, "guess", opts)
			if err == nil {
				t.Fatal("nobody signed this")
			}
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("%T", err)
			}
			if e.Kind != SignatureMismatch || s.Version == V2 {
				continue
			}
			// Sign what the verifier says it expected: then it must agree.
			key := derive("guess", s.Date, s.Region, s.Service)
			sum := key.sum(append(make([]byte, 64), e.StringToSign...))
			was := s.signature
			s.signature = hexOf(sum)
			if err := s.Verify(r, "guess", opts); err != nil && KindOf(err) != PayloadMismatch {
				t.Fatalf("own signature: %v", err)
			}
			if err := s.Verify(r, "guesS", opts); err == nil {
				t.Fatal("another secret")
			}
			s.signature = was
		}
	})
}

func hexOf(sum [32]byte) string {
	return strings.ReplaceAll(spacedHex(string(sum[:])), " ", "")
}

// FuzzChunked: signed modes give out nothing but prefixes of what was signed, and where they end with an error perhaps a
// part of the chunk that was not, but never all of it; no mode gives out more than was announced or an untyped error.
func FuzzChunked(f *testing.F) {
	a, b := strings.Repeat("a", 8192), "the end"
	for _, u := range modes() {
		trailer := ""
		if u.declared != "" {
			trailer = crc
		}
		f.Add([]byte(strings.Join(u.chunks(trailer, a, b), "")), uint16(len(a+b)))
		f.Add([]byte(strings.Join(u.chunks(trailer), "")), uint16(0))
		f.Add([]byte(strings.Join(u.chunks(trailer, b), "")), uint16(len(b)))
	}
	f.Fuzz(func(t *testing.T, wire []byte, length uint16) {
		for name, u := range modes() {
			got, _, err := u.read(bytes.NewReader(wire), int(length))
			if err != nil && KindOf(err) == 0 {
				t.Fatalf("%s: untyped %v", name, err)
			}
			if len(got) > int(length) || err == nil && len(got) != int(length) {
				t.Fatalf("%s: %d bytes of %d, %v", name, len(got), length, err)
			}
			if u.s.Payload == PayloadUnsignedTrailer {
				continue
			}
			checked := string(got)
			if err != nil {
				size, _, _ := strings.Cut(string(wire), ";")
				first, err := strconv.ParseUint(size, 16, 16)
				if err != nil || len(got) < int(first) {
					continue // not all of the first chunk was given out
				}
				checked = checked[:first]
			}
			if !strings.HasPrefix(a+b, checked) && !strings.HasPrefix(b, checked) {
				t.Fatalf("%s: gave out %q", name, checked)
			}
		}
	})
}

// FuzzPolicy: no document panics, and a policy without a bucket never lets a form in.
func FuzzPolicy(f *testing.F) {
	f.Add(`{"expiration": "2026-03-14T12:01:00Z", "conditions": [{"bucket": "b"}, ["starts-with", "$key", ""], ["content-length-range", "1", 5]]}`)
	f.Fuzz(func(t *testing.T, text string) {
		p, err := parsePolicy(base64.StdEncoding.EncodeToString([]byte(text)))
		if err != nil {
			if KindOf(err) != InvalidPolicy {
				t.Fatal(err)
			}
			return
		}
		if p.Check(Form{"key": "x"}, "b") == nil && !strings.Contains(strings.ToLower(text), "bucket") && !strings.Contains(text, `\u`) {
			t.Fatal("no bucket")
		}
		_ = p.CheckSize(1)
	})
}
