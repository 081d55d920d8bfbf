package integration

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// bad is a request that must be refused, and how.
type bad struct {
	what           string
	method, target string
	service        string // signing name; empty for none
	header         map[string]string
	body           string
	// change makes the signed request wrong.
	change func(*http.Request)
	at     time.Time
	secret string

	status int
	code   string
}

const formType, jsonType = "application/x-www-form-urlencoded; charset=utf-8", "application/x-amz-json-1.1"

// ask sends the request and answers status and body.
func (x bad) ask(t *testing.T, address string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), x.method, "http://"+address, strings.NewReader(x.body))
	if err != nil {
		t.Fatal(err)
	}
	path, query, _ := strings.Cut(x.target, "?")
	request.URL.Opaque = "//" + address + path // as it is, whatever it is
	request.URL.RawQuery = query
	for name, value := range x.header {
		request.Header.Set(name, value)
	}
	if x.service != "" {
		if x.service == "s3" && request.Header.Get("X-Amz-Content-Sha256") == "" {
			request.Header.Set("X-Amz-Content-Sha256", hashOf([]byte(x.body)))
		}
		hash := request.Header.Get("X-Amz-Content-Sha256")
		if hash == "" {
			hash = hashOf([]byte(x.body))
		}
		if x.at.IsZero() {
			x.at = time.Now()
		}
		if x.secret == "" {
			x.secret = benchSecret
		}
		err := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = x.service == "s3" }).SignHTTP(t.Context(),
			aws.Credentials{AccessKeyID: benchKeyID, SecretAccessKey: x.secret}, request, hash, x.service, "us-east-1", x.at)
		if err != nil {
			t.Fatal(err)
		}
	}
	if x.change != nil {
		x.change(request)
	}
	response, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		t.Fatalf("%s: no answer: %v", x.what, err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatalf("%s: %v", x.what, err)
	}
	return response.StatusCode, string(body)
}

// chunked makes the body of a signed upload in chunks, each under a signature that follows from the one before.
func chunked(request *http.Request, at time.Time, chunks ...string) []byte {
	mac := func(key []byte, text string) []byte {
		h := hmac.New(sha256.New, key)
		h.Write([]byte(text))
		return h.Sum(nil)
	}
	day, stamp := at.UTC().Format("20060102"), at.UTC().Format("20060102T150405Z")
	key := []byte("AWS4" + benchSecret)
	for _, part := range []string{day, "us-east-1", "s3", "aws4_request"} {
		key = mac(key, part)
	}
	_, before, _ := strings.Cut(request.Header.Get("Authorization"), "Signature=")
	var body bytes.Buffer
	for _, chunk := range append(chunks, "") {
		text := strings.Join([]string{"AWS4-HMAC-SHA256-PAYLOAD", stamp, day + "/us-east-1/s3/aws4_request", before, hashOf(nil), hashOf([]byte(chunk))}, "\n")
		before = hex.EncodeToString(mac(key, text))
		fmt.Fprintf(&body, "%x;chunk-signature=%s\r\n%s\r\n", len(chunk), before, chunk)
	}
	return body.Bytes()
}

// TestBadInput sends what nobody should send to the whole server: the answer is AWS's error, nothing is changed, nobody
// panics, and the same process goes on.
func TestBadInput(t *testing.T) {
	data := t.TempDir()
	s := startServing(t, data, "--root-access-key-id", benchKeyID, "--root-secret-access-key", benchSecret)
	worker := s.worker()
	put := func(key, body string) (int, string) {
		return bad{method: http.MethodPut, target: key, service: "s3", body: body}.ask(t, s.address)
	}
	if status, said := put("/bad-input", ""); status != http.StatusOK {
		t.Fatal(status, said)
	}
	if status, said := put("/bad-input/kept", "what was there"); status != http.StatusOK {
		t.Fatal(status, said)
	}

	iam := map[string]string{"Content-Type": formType}
	who := "Action=GetCallerIdentity&Version=2011-06-15"
	user := "Action=CreateUser&UserName=nobody&Version=2010-05-08"
	jsonHeader := func(target string) map[string]string {
		return map[string]string{"Content-Type": jsonType, "X-Amz-Target": target}
	}
	tamper := func(body string) func(*http.Request) {
		return func(r *http.Request) {
			r.Body = io.NopCloser(strings.NewReader(body))
			r.ContentLength = int64(len(body))
		}
	}
	skewed := time.Now().Add(-16 * time.Minute)
	post, object := http.MethodPost, http.MethodPut
	var many strings.Builder
	many.WriteString("Action=DescribeInstances&Version=2016-11-15")
	for i := range 150_000 {
		fmt.Fprintf(&many, "&InstanceId.%d=i", i+1)
	}
	for _, x := range []bad{
		{what: "a wrong secret, query", method: post, target: "/", service: "sts", header: iam, body: who, secret: "wrong", status: 403, code: "SignatureDoesNotMatch"},
		{what: "a wrong secret, EC2", method: post, target: "/", service: "ec2", header: iam, body: "Action=DescribeVpcs&Version=2016-11-15", secret: "wrong", status: 401, code: "AuthFailure"},
		{what: "a wrong secret, JSON", method: post, target: "/", service: "ssm", header: jsonHeader("AmazonSSM.GetParameter"), body: `{"Name":"a"}`, secret: "wrong", status: 400, code: "InvalidSignatureException"},
		{what: "a wrong secret, S3", method: object, target: "/bad-input/new", service: "s3", body: "x", secret: "wrong", status: 403, code: "SignatureDoesNotMatch"},
		{what: "a clock 16 minutes late, query", method: post, target: "/", service: "sts", header: iam, body: who, at: skewed, status: 403, code: "SignatureDoesNotMatch"},
		{what: "a clock 16 minutes late, S3", method: object, target: "/bad-input/new", service: "s3", body: "x", at: skewed, status: 403, code: "RequestTimeTooSkewed"},
		{what: "another body, query", method: post, target: "/", service: "iam", header: iam, body: user, change: tamper(strings.Replace(user, "nobody", "nobodi", 1)), status: 403, code: "SignatureDoesNotMatch"},
		{what: "another body, S3", method: object, target: "/bad-input/new", service: "s3", body: "one body", change: tamper("another!"), status: 400, code: "XAmzContentSHA256Mismatch"},
		{what: "another key", method: object, target: "/bad-input/new", service: "s3", body: "x", change: func(r *http.Request) { r.URL.Opaque += "er" }, status: 403, code: "SignatureDoesNotMatch"},
		{what: "nobody's, query", method: post, target: "/", header: iam, body: user, status: 403, code: "MissingAuthenticationToken"},
		{what: "nobody's, S3", method: object, target: "/bad-input/new", body: "x", status: 403, code: "AccessDenied"},
		{what: "nobody's key", method: post, target: "/", service: "sts", header: iam, body: who, change: func(r *http.Request) {
			r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), benchKeyID, "AKIANOBODYSKEY000000", 1))
		}, status: 403, code: "InvalidClientTokenId"},
		{what: "half an Authorization header", method: post, target: "/", service: "sts", header: iam, body: who, change: func(r *http.Request) {
			r.Header.Set("Authorization", r.Header.Get("Authorization")[:60])
		}, status: 400, code: "IncompleteSignature"},

		{what: "a malformed query", method: post, target: "/", service: "iam", header: iam, body: "Action=ListUsers&MaxItems=many&Version=2010-05-08", status: 400, code: "MalformedInput"},
		{what: "malformed JSON", method: post, target: "/", service: "ssm", header: jsonHeader("AmazonSSM.PutParameter"), body: `{"Name":"a","Value":`, status: 400, code: "SerializationException"},
		{what: "JSON of another type", method: post, target: "/", service: "ssm", header: jsonHeader("AmazonSSM.PutParameter"), body: `{"Name":{"a":1}}`, status: 400, code: "SerializationException"},
		{what: "JSON that goes very deep", method: post, target: "/", service: "ssm", header: jsonHeader("AmazonSSM.PutParameter"), body: strings.Repeat(`{"Name":`, 200_000), status: 400, code: "SerializationException"},
		{what: "malformed XML", method: object, target: "/bad-input?versioning=", service: "s3", body: "<VersioningConfiguration><Status>Enabled</Sta", status: 400, code: "MalformedXML"},
		{what: "XML with entities", method: object, target: "/bad-input?versioning=", service: "s3", body: `<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><VersioningConfiguration><Status>&b;</Status></VersioningConfiguration>`, status: 400, code: "MalformedXML"},
		{what: "150,000 parameters", method: post, target: "/", service: "ec2", header: iam, body: many.String(), status: 400, code: "MalformedInput"},
		{what: "a number of a list's member that is huge", method: post, target: "/", service: "ec2", header: iam, body: "Action=DescribeInstances&Version=2016-11-15&InstanceId.999999999=i-1", status: 400, code: "InvalidInstanceID.Malformed"},
		{what: "a body that is too large", method: post, target: "/", service: "iam", header: iam, body: user + "&Path=" + strings.Repeat("a", 5<<20), status: 413, code: "MaxMessageLengthExceeded"},

		{what: "an unknown action", method: post, target: "/", service: "iam", header: iam, body: "Action=CreateNobody&Version=2010-05-08", status: 400, code: "InvalidAction"},
		{what: "an unknown version", method: post, target: "/", service: "iam", header: iam, body: "Action=CreateUser&UserName=nobody&Version=1999-01-01", status: 400, code: "InvalidAction"},
		{what: "an unknown target", method: post, target: "/", service: "ssm", header: jsonHeader("AmazonSSM.GetNobody"), body: "{}", status: 400, code: "UnknownOperationException"},
		{what: "an unknown service", method: post, target: "/", service: "nobody", header: iam, body: "Action=Nobody&Version=2020-01-01", status: 501, code: "NotImplemented"},
		{what: "an operation that is not done", method: post, target: "/", service: "ec2", header: iam, body: "Action=DescribeVpnGateways&Version=2016-11-15", status: 501, code: "NotImplemented"},

		{what: "a key of 1,025 bytes", method: object, target: "/bad-input/" + strings.Repeat("k", 1025), service: "s3", body: "x", status: 400, code: "KeyTooLongError"},
		{what: "a bucket that is a path", method: object, target: "/..%2F..%2Fetc", service: "s3", status: 400, code: "InvalidBucketName"},
		{what: "a Content-MD5 that does not fit", method: object, target: "/bad-input/new", service: "s3", header: map[string]string{"Content-Md5": "rL0Y20zC+Fzt72VPzMSk2A=="}, body: "x", status: 400, code: "BadDigest"},
		{what: "a checksum that does not fit", method: object, target: "/bad-input/new", service: "s3", header: map[string]string{"X-Amz-Checksum-Crc32": "AAAAAA=="}, body: "x", status: 400, code: "BadDigest"},
	} {
		status, said := x.ask(t, s.address)
		if status != x.status || !strings.Contains(said, x.code) {
			t.Errorf("%s: answered %d %.400s; wanted %d %s", x.what, status, said, x.status, x.code)
		}
	}

	// Chunks but the last are at least 8 KiB.
	one, two := strings.Repeat("1", 9000), strings.Repeat("2", 9000)
	// A chunk that is sent twice, and one whose place another takes: their signatures do not follow from what is before them.
	for what, change := range map[string]func([]byte) []byte{
		"a chunk sent twice": func(body []byte) []byte {
			end := bytes.Index(body, []byte("1\r\n")) + len("1\r\n")
			return append(append([]byte{}, body[:end]...), body...)
		},
		"a chunk left out":  func(body []byte) []byte { return body[bytes.Index(body, []byte("1\r\n"))+len("1\r\n"):] },
		"another byte":      func(body []byte) []byte { return bytes.Replace(body, []byte("222222"), []byte("223222"), 1) },
		"the last one lost": func(body []byte) []byte { return body[:bytes.LastIndex(body, []byte("0;chunk"))] },
		"as they are":       func(body []byte) []byte { return body },
	} {
		at := time.Now()
		x := bad{method: object, target: "/bad-input/chunks", service: "s3", at: at, header: map[string]string{
			"X-Amz-Content-Sha256": "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "X-Amz-Decoded-Content-Length": "18000", "Content-Encoding": "aws-chunked",
		}, change: func(r *http.Request) { tamper(string(change(chunked(r, at, one, two))))(r) }}
		status, said := x.ask(t, s.address)
		if what == "as they are" {
			if status != http.StatusOK {
				t.Errorf("chunks %s: answered %d %.300s", what, status, said)
			}
			continue
		}
		if status < 400 || status >= 500 || !strings.Contains(said, "<Code>") {
			t.Errorf("%s: answered %d %.300s", what, status, said)
		} else {
			t.Logf("%s: %d %s", what, status, said[strings.Index(said, "<Code>"):strings.Index(said, "</Code>")])
		}
	}

	// Keys are names and no paths: each is its own object, and no file anywhere.
	for _, key := range []string{"../../escaped", "%2e%2e/%2e%2e/escaped", "a/../../b", "//double", "a//b", "./c", "%00zero", "new%0Aline", "..", "%F0%9F%92%A9", "a?b"} {
		name := "/bad-input/" + strings.ReplaceAll(key, "?", "%3F")
		if status, said := put(name, "of "+key); status != http.StatusOK {
			t.Errorf("key %q: %d %.200s", key, status, said)
			continue
		}
		if status, said := (bad{method: http.MethodGet, target: name, service: "s3"}).ask(t, s.address); status != http.StatusOK || said != "of "+key {
			t.Errorf("key %q reads as %d %.200s", key, status, said)
		}
		if status, said := (bad{method: http.MethodDelete, target: name, service: "s3"}).ask(t, s.address); status != http.StatusNoContent {
			t.Errorf("key %q: deleting answers %d %.200s", key, status, said)
		}
	}
	for _, place := range []string{filepath.Dir(data), filepath.Dir(filepath.Dir(data))} {
		if found, _ := filepath.Glob(filepath.Join(place, "*escaped*")); len(found) > 0 {
			t.Error("a key became a file: ", found)
		}
	}

	// Nothing is changed, and it is the same process.
	if _, said := (bad{method: http.MethodGet, target: "/bad-input?list-type=2", service: "s3"}).ask(t, s.address); strings.Count(said, "<Key>") != 2 || !strings.Contains(said, "<Key>chunks</Key>") || !strings.Contains(said, "<Key>kept</Key>") {
		t.Errorf("the bucket holds %s", said)
	}
	if _, said := (bad{method: post, target: "/", service: "iam", header: iam, body: "Action=ListUsers&Version=2010-05-08"}).ask(t, s.address); strings.Contains(said, "<member>") {
		t.Errorf("users: %s", said)
	}
	if now := s.worker(); now != worker {
		t.Errorf("process %d serves instead of %d", now, worker)
	}
	if said := s.said.String(); strings.Contains(said, "panic") || strings.Contains(said, "internal failure") {
		t.Errorf("it says %s", lastLines(said, 30))
	}
	if _, err := os.Stat(data); err != nil {
		t.Error(err)
	}
}
