package sigv4

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"miniaws/backend/sha"
)

var (
	creds   = aws.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"}
	session = aws.Credentials{AccessKeyID: "ASIDEXAMPLE", SecretAccessKey: creds.SecretAccessKey, SessionToken: "tok/en+with=signs&more"}
	noon    = time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC)
)

const listBody = "Action=DescribeInstances&Version=2016-11-15&Filter.1.Name=instance-state-name&Filter.1.Value.1=running&MaxResults=100"

// arrive turns a client's request into the one a server would see.
func arrive(r *http.Request, body string) *http.Request {
	target := r.URL.RequestURI()
	in := httptest.NewRequest(r.Method, target, strings.NewReader(body))
	in.Host = r.URL.Host
	if r.Host != "" {
		in.Host = r.Host
	}
	in.Header = r.Header.Clone()
	in.Header.Del("Content-Length")
	return in
}

// signed is a request of the real SDK's signer, as it arrives.
func signed(t testing.TB, c aws.Credentials, method, target, body, service string, edit func(*http.Request)) *http.Request {
	t.Helper()
	r, err := http.NewRequest(method, target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if method == "POST" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	sum := sha.Sum256([]byte(body))
	hash := hex.EncodeToString(sum[:])
	if service == "s3" {
		r.Header.Set("X-Amz-Content-Sha256", hash)
	}
	if edit != nil {
		edit(r)
	}
	if given := r.Header.Get("X-Amz-Content-Sha256"); given != "" {
		hash = given
	}
	signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = service == "s3" })
	if err := signer.SignHTTP(context.Background(), c, r, hash, service, "us-east-1", noon); err != nil {
		t.Fatal(err)
	}
	return arrive(r, body)
}

func presigned(t testing.TB, c aws.Credentials, method, target, hash, service string, seconds int, edit func(*http.Request)) *http.Request {
	t.Helper()
	r, err := http.NewRequest(method, target, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	if seconds >= 0 {
		q := r.URL.Query()
		q.Set("X-Amz-Expires", strconv.Itoa(seconds))
		r.URL.RawQuery = q.Encode()
	}
	if edit != nil {
		edit(r)
	}
	signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = service == "s3" })
	u, headers, err := signer.PresignHTTP(context.Background(), c, r, hash, service, "us-east-1", noon)
	if err != nil {
		t.Fatal(err)
	}
	out, err := http.NewRequest(method, u, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	for name := range headers {
		if name != "Host" {
			out.Header[http.CanonicalHeaderKey(name)] = headers[name]
		}
	}
	return arrive(out, "")
}

func verify(r *http.Request, secret string, opts Options) (*Signature, error) {
	s, err := Parse(r)
	if err != nil {
		return nil, err
	}
	if opts.Now.IsZero() {
		opts.Now = noon
	}
	return s, s.Verify(r, secret, opts)
}

func wantKind(t *testing.T, err error, want Kind) *Error {
	t.Helper()
	if KindOf(err) != want {
		t.Fatalf("got kind %d (%v), want %d", KindOf(err), err, want)
	}
	var e *Error
	errors.As(err, &e)
	return e
}

func TestSDKHeaderSignatures(t *testing.T) {
	for _, target := range []string{
		"http://localhost:4566/",
		"https://example.com/2013-04-01/hostedzone/Z1/rrset?type=A&name=a%2Bb+c&x",
		"https://example.com/a/b%20c/%C3%A9%2A?Filter.1.Name=x&Filter.10.Name=y&Filter.1=z&a.b=1&a=2&a-b=3",
		"https://example.com/functions/arn%3Aaws%3Alambda%3Aus-east-1/invoke",
	} {
		for _, c := range []aws.Credentials{creds, session} {
			r := signed(t, c, "POST", target, listBody, "ec2", func(r *http.Request) { r.Header.Set("X-Amz-Target", "a.b") })
			s, err := verify(r, c.SecretAccessKey, Options{Service: "ec2", Region: "us-east-1", Body: []byte(listBody)})
			if err != nil {
				t.Fatalf("%s: %v\n%s", target, err, err.(*Error).CanonicalRequest)
			}
			if s.SessionToken != c.SessionToken || s.AccessKeyID != c.AccessKeyID || s.Payload != PayloadImplied || !s.Time.Equal(noon) {
				t.Errorf("claims %+v", s)
			}
		}
	}
}

func TestSDKSignaturesForS3(t *testing.T) {
	for _, key := range []string{"plain.txt", "a b+c=d&é*.txt", "dir//../x", "sp%20", "(1)!'", "~_-.", "日本"} {
		r := signed(t, session, "PUT", "https://bucket.s3.example.com/"+pathEscape(key)+"?x-id=PutObject", "hello", "s3", func(r *http.Request) {
			r.Header.Set("X-Amz-Meta-Note", "  two   spaces ")
			r.Header.Set("Content-Md5", "XUFAKrxLKna5cZ2REBfFkg==")
		})
		s, err := verify(r, session.SecretAccessKey, Options{Service: "s3", Streamed: true})
		if err != nil {
			t.Fatalf("%s: %v", key, err)
		}
		body, err := s.Body(r)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(body)
		if err != nil || string(got) != "hello" || body.Length() != 5 {
			t.Errorf("%s: body %q, %v", key, got, err)
		}
		get := presigned(t, session, "GET", "https://bucket.s3.example.com/"+pathEscape(key), "UNSIGNED-PAYLOAD", "s3", 60, nil)
		if s, err = verify(get, session.SecretAccessKey, Options{Service: "s3", Streamed: true}); err != nil {
			t.Fatalf("presigned %s: %v", key, err)
		}
		if s.SessionToken != session.SessionToken || s.Payload != PayloadUnsigned || !s.Expires.Equal(noon.Add(time.Minute)) {
			t.Errorf("claims %+v", s)
		}
	}
}

func TestPresignedSTS(t *testing.T) {
	sum := sha256.Sum256(nil)
	r := presigned(t, creds, "GET", "https://sts.example.com/?Action=GetCallerIdentity&Version=2011-06-15", hex.EncodeToString(sum[:]), "sts", -1, func(r *http.Request) {
		r.Header.Set("X-K8s-Aws-Id", "cluster")
	})
	for _, c := range []struct {
		after time.Duration
		kind  Kind
	}{{0, 0}, {-15 * time.Minute, 0}, {-15*time.Minute - time.Second, NotYetValid}, {900 * time.Second, 0}, {901 * time.Second, Expired}} {
		_, err := verify(r, creds.SecretAccessKey, Options{Now: noon.Add(c.after), Service: "sts"})
		wantKind(t, err, c.kind)
	}
	post := r.Clone(context.Background())
	post.Method = "POST"
	_, err := verify(post, creds.SecretAccessKey, Options{})
	wantKind(t, err, SignatureMismatch)
	_, err = verify(r, creds.SecretAccessKey, Options{Body: []byte("Action=AssumeRole")})
	wantKind(t, err, SignatureMismatch)
}

func TestClock(t *testing.T) {
	r := signed(t, creds, "POST", "http://localhost/", listBody, "iam", nil)
	for after, want := range map[time.Duration]Kind{
		900 * time.Second: 0, -900 * time.Second: 0, 901 * time.Second: Skewed, -901 * time.Second: Skewed,
	} {
		_, err := verify(r, creds.SecretAccessKey, Options{Now: noon.Add(after), Body: []byte(listBody)})
		wantKind(t, err, want)
	}
	_, err := verify(r, creds.SecretAccessKey, Options{Now: noon.Add(20 * time.Minute), Body: []byte(listBody)})
	want := "Signature expired: 20260314T120000Z is now earlier than 20260314T120500Z (20260314T122000Z - 15 min.)"
	if got := err.(*Error).Answer(Query); got.Message != want || got.Code != "SignatureDoesNotMatch" || got.Status != 403 {
		t.Errorf("answer %+v", got)
	}
	if got := err.(*Error).Answer(EC2); got.Code != "RequestExpired" {
		t.Errorf("answer %+v", got)
	}
}

// A URL of botocore's generate_presigned_url with signature_version "s3v4".
func TestBotocorePresigned(t *testing.T) {
	r := httptest.NewRequest("GET", "/bucket/dir/a%20b%2Bc%3Dd%26%C3%A9%2A.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIDEXAMPLE%2F20260314%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20260314T120000Z&X-Amz-Expires=3600&X-Amz-SignedHeaders=host&X-Amz-Signature=93217f00a8e9228728df32b42d22f73f0f0e472f3b6ce66b978ccb43c0d95fca", nil)
	r.Host = "s3.mini-aws.internal:4566"
	if _, err := verify(r, creds.SecretAccessKey, Options{Service: "s3", Region: "us-east-1", Streamed: true}); err != nil {
		t.Error(err)
	}
}

// A request without X-Amz-Date is dated by Date, as botocore does; the string
// to sign has the ISO form.
func TestDateHeader(t *testing.T) {
	r := httptest.NewRequest("GET", "/", nil)
	r.Host = "example.com"
	r.Header.Set("Date", noon.Format(http.TimeFormat))
	text := "AWS4-HMAC-SHA256\n20260314T120000Z\n20260314/us-east-1/iam/aws4_request\n"
	canonical := "GET\n/\n\ndate:" + noon.Format(http.TimeFormat) + "\nhost:example.com\n\ndate;host\n" + emptyHash
	sum := sha256.Sum256([]byte(canonical))
	key := derive(creds.SecretAccessKey, "20260314", "us-east-1", "iam")
	mac := key.sum(append(make([]byte, sha.BlockSize), text+hex.EncodeToString(sum[:])...))
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260314/us-east-1/iam/aws4_request,SignedHeaders=date;host,Signature="+hex.EncodeToString(mac[:]))
	if _, err := verify(r, creds.SecretAccessKey, Options{}); err != nil {
		t.Fatal(err)
	}
}

func TestTampering(t *testing.T) {
	base := func() *http.Request {
		return signed(t, session, "POST", "https://example.com/path?a=1&b=2", listBody, "ec2", func(r *http.Request) {
			r.Header.Set("X-Amz-Target", "t.Op")
		})
	}
	header := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	auth := func(old, with string) func(*http.Request) {
		return func(r *http.Request) {
			was := r.Header.Get("Authorization")
			now := strings.Replace(was, old, with, 1)
			if was == now {
				t.Fatalf("%q is not in %q", old, was)
			}
			r.Header.Set("Authorization", now)
		}
	}
	for name, c := range map[string]struct {
		edit func(*http.Request)
		kind Kind
	}{
		"nothing":             {func(*http.Request) {}, 0},
		"unsigned user agent": {header("User-Agent", "x"), 0},
		"method":              {func(r *http.Request) { r.Method = "GET" }, SignatureMismatch},
		"path":                {func(r *http.Request) { r.RequestURI = "/other?a=1&b=2" }, SignatureMismatch},
		"query value":         {func(r *http.Request) { r.URL.RawQuery = "a=1&b=3" }, SignatureMismatch},
		"query added":         {func(r *http.Request) { r.URL.RawQuery += "&c" }, SignatureMismatch},
		"query reordered":     {func(r *http.Request) { r.URL.RawQuery = "b=2&a=1" }, 0},
		"query removed":       {func(r *http.Request) { r.URL.RawQuery = "a=1" }, SignatureMismatch},
		"host":                {func(r *http.Request) { r.Host = "evil.com" }, SignatureMismatch},
		"content type":        {header("Content-Type", "application/json"), SignatureMismatch},
		"content length":      {func(r *http.Request) { r.ContentLength++ }, SignatureMismatch},
		"target":              {header("X-Amz-Target", "t.Other"), SignatureMismatch},
		"target removed":      {func(r *http.Request) { r.Header.Del("X-Amz-Target") }, SignatureMismatch},
		"target twice":        {func(r *http.Request) { r.Header.Add("X-Amz-Target", "t.Other") }, SignatureMismatch},
		"token":               {header("X-Amz-Security-Token", "other"), SignatureMismatch},
		"time":                {header("X-Amz-Date", "20260314T120001Z"), SignatureMismatch},
		"amz header added":    {header("X-Amz-Copy-Source", "/b/k"), UnsignedHeaders},
		"access key":          {auth("ASIDEXAMPLE", "AKIDOTHER"), 0}, // the caller looks up another secret for it
		"scope date":          {auth("/20260314/", "/20260315/"), WrongScopeDate},
		"scope region":        {auth("/us-east-1/", "/eu-west-1/"), SignatureMismatch},
		"scope service":       {auth("/ec2/", "/iam/"), WrongService},
		"scope terminator":    {auth("aws4_request", "aws4_reques"), WrongTerminator},
		"signed header list":  {auth(";x-amz-date", ""), SignatureMismatch},
		"host not signed":     {auth(";host", ""), UnsignedHeaders},
		"signature":           {auth("Signature=", "Signature=0"), SignatureMismatch},
		"second signature":    {func(r *http.Request) { r.Header.Add("Authorization", r.Header.Get("Authorization")) }, MultipleAuth},
		"second date":         {func(r *http.Request) { r.Header.Add("X-Amz-Date", "20260314T120000Z") }, MalformedComponent},
	} {
		t.Run(name, func(t *testing.T) {
			r := base()
			c.edit(r)
			_, err := verify(r, session.SecretAccessKey, Options{Service: "ec2", Body: []byte(listBody)})
			wantKind(t, err, c.kind)
		})
	}
	_, err := verify(base(), session.SecretAccessKey, Options{Body: []byte(listBody + "&x")})
	wantKind(t, err, SignatureMismatch)
	_, err = verify(base(), "other", Options{Body: []byte(listBody)})
	if e := wantKind(t, err, SignatureMismatch); !strings.HasPrefix(e.StringToSign, "AWS4-HMAC-SHA256\n20260314T120000Z\n") || !strings.HasPrefix(e.CanonicalRequest, "POST\n/path\na=1&b=2\n") {
		t.Errorf("details %q %q", e.StringToSign, e.CanonicalRequest)
	}
	_, err = verify(base(), "", Options{Body: []byte(listBody)})
	wantKind(t, err, SignatureMismatch)
}

// Every parameter is signed, and none may come twice.
func TestPresignedTampering(t *testing.T) {
	r := presigned(t, session, "GET", "https://b.s3.example.com/key?versionId=1", "UNSIGNED-PAYLOAD", "s3", 60, nil)
	query, _ := url.ParseQuery(r.URL.RawQuery)
	for name := range query {
		changed := r.Clone(context.Background())
		q, _ := url.ParseQuery(r.URL.RawQuery)
		value := []byte(q.Get(name))
		value[len(value)/2] ^= 1
		q.Set(name, string(value))
		changed.URL.RawQuery = q.Encode()
		if _, err := verify(changed, session.SecretAccessKey, Options{Service: "s3", Streamed: true}); err == nil {
			t.Errorf("%s changed to %q is taken", name, value)
		}
		double := r.Clone(context.Background())
		double.URL.RawQuery += "&" + name + "=" + url.QueryEscape(query.Get(name))
		if _, err := verify(double, session.SecretAccessKey, Options{Service: "s3", Streamed: true}); err == nil {
			t.Errorf("%s twice is taken", name)
		}
	}
	added := r.Clone(context.Background())
	added.Header.Set("X-Amz-Copy-Source", "/other/secret")
	_, err := verify(added, session.SecretAccessKey, Options{Service: "s3", Streamed: true})
	if e := wantKind(t, err, UnsignedHeaders); e.Answer(S3).Fields[0] != (Field{"HeadersNotSigned", "x-amz-copy-source"}) {
		t.Errorf("fields %v", e.Fields)
	}
}

// Newlines in decoded parameters must not forge lines of the canonical request.
func TestNoLineInjection(t *testing.T) {
	for name, value := range map[string]string{
		"X-Amz-SignedHeaders": "host\nx", "X-Amz-Credential": "AK/20260314/us\neast/s3/aws4_request",
		"X-Amz-Content-Sha256": "UNSIGNED-PAYLOAD\n", "X-Amz-Date": "20260314T120000Z\n",
	} {
		r := presigned(t, creds, "GET", "https://b.s3.example.com/key", "UNSIGNED-PAYLOAD", "s3", 60, nil)
		q := r.URL.Query()
		q.Set(name, value)
		r.URL.RawQuery = q.Encode()
		if _, err := Parse(r); err == nil {
			t.Errorf("%s=%q is parsed", name, value)
		}
	}
}

func TestParseErrors(t *testing.T) {
	const good = "AWS4-HMAC-SHA256 Credential=AK/20260314/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=00"
	for name, c := range map[string]struct {
		auth, query string
		kind        Kind
	}{
		"none":              {"", "", MissingAuth},
		"plain query":       {"", "a=%41&Signature=x", MissingAuth},
		"basic":             {"Basic abc", "", UnsupportedScheme},
		"sigv4a":            {"AWS4-ECDSA-P256-SHA256 Credential=a", "", UnsupportedAlgorithm},
		"sigv4a query":      {"", "X-Amz-Algorithm=AWS4-ECDSA-P256-SHA256&X-Amz-Credential=a&X-Amz-Signature=b&X-Amz-Date=c&X-Amz-SignedHeaders=d", UnsupportedAlgorithm},
		"sigv2 header":      {"AWS AK:sig", "", UnsupportedAlgorithm},
		"both":              {good, "X-Amz-Signature=x", MultipleAuth},
		"both escaped":      {good, "X%2DAmz-Signature=x", MultipleAuth},
		"v2 and header":     {good, "AWSAccessKeyId=a&Signature=b", MultipleAuth},
		"v2 and v4":         {"", "AWSAccessKeyId=a&Signature=b&X-Amz-Signature=c", MultipleAuth},
		"no signature":      {"AWS4-HMAC-SHA256 Credential=a, SignedHeaders=b", "", MissingComponents},
		"space in key":      {"AWS4-HMAC-SHA256 Credential=A, /x/y, SignedHeaders=b, Signature=c", "", MalformedComponent},
		"two signatures":    {good + ", Signature=11", "", MalformedComponent},
		"four parts":        {strings.Replace(good, "/s3", "", 1), "", MalformedCredential},
		"six parts":         {strings.Replace(good, "/s3", "/s3/s3", 1), "", MalformedCredential},
		"scope date":        {strings.Replace(good, "20260314", "2026031", 1), "", MalformedScopeDate},
		"other scope date":  {strings.Replace(good, "20260314", "20260313", 1), "", WrongScopeDate},
		"terminator":        {strings.Replace(good, "aws4_request", "aws4", 1), "", WrongTerminator},
		"upper-case header": {strings.Replace(good, "=host", "=Host", 1), "", MalformedComponent},
		"huge":              {good + strings.Repeat(" ", 1<<15), "", TooLarge},
		"huge query":        {"", strings.Repeat("a", 1<<17), TooLarge},
		"v2 incomplete":     {"", "AWSAccessKeyId=a&Signature=b", MalformedV2},
		"v2 without a key":  {"", "Signature=b&Expires=1&Key-Pair-Id=k", MalformedV2},
		"v2 bad time":       {"", "AWSAccessKeyId=a&Signature=b&Expires=x", MalformedV2},
		"no payload hash":   {good, "", MissingPayloadHash},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest("GET", "/?"+c.query, nil)
			if c.auth != "" {
				r.Header.Set("Authorization", c.auth)
			}
			r.Header.Set("X-Amz-Date", "20260314T120000Z")
			_, err := Parse(r)
			wantKind(t, err, c.kind)
		})
	}
	for stamp, want := range map[string]Kind{
		"": MissingDate, "2026-03-14T12:00:00Z": MalformedDate, "20260314T120000.5Z": MalformedDate, "20260314T120000": MalformedDate,
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Authorization", good)
		if stamp != "" {
			r.Header.Set("X-Amz-Date", stamp)
		}
		_, err := Parse(r)
		wantKind(t, err, want)
	}
}

func TestPresignedParameters(t *testing.T) {
	for value, want := range map[string]Kind{
		"0": 0, "604800": 0, "604801": ExpiresTooLong, "-1": NegativeExpires, "1h": MalformedExpires, "": MalformedExpires, "none": MissingComponents,
	} {
		q := url.Values{
			"X-Amz-Algorithm": {"AWS4-HMAC-SHA256"}, "X-Amz-Credential": {"AK/20260314/us-east-1/s3/aws4_request"},
			"X-Amz-Signature": {"0"}, "X-Amz-Date": {"20260314T120000Z"}, "X-Amz-SignedHeaders": {"host"}, "X-Amz-Expires": {value},
		}
		if value == "none" {
			q.Del("X-Amz-Expires")
		}
		_, err := Parse(httptest.NewRequest("GET", "/?"+q.Encode(), nil))
		wantKind(t, err, want)
	}
}

func TestScope(t *testing.T) {
	r := signed(t, creds, "GET", "https://example.com/", "", "s3", nil)
	_, err := verify(r, creds.SecretAccessKey, Options{Region: "eu-west-1"})
	e := wantKind(t, err, WrongRegion)
	if got := e.Answer(S3); got.Message != "The authorization header is malformed; the region 'us-east-1' is wrong; expecting 'eu-west-1'" || got.Fields[0] != (Field{"Region", "eu-west-1"}) {
		t.Errorf("S3 answer %+v", got)
	}
	if got := e.Answer(Query).Message; got != "Credential should be scoped to a valid region, not 'us-east-1'. " {
		t.Errorf("query answer %q", got)
	}
	_, err = verify(r, creds.SecretAccessKey, Options{Service: "iam"})
	if got := wantKind(t, err, WrongService).Answer(RESTJSON); got.Message != "Credential should be scoped to correct service: 'iam'. " || got.Status != 403 {
		t.Errorf("answer %+v", got)
	}
}

func BenchmarkVerifyHeader(b *testing.B) {
	r := signed(b, creds, "POST", "http://localhost:4566/", listBody, "ec2", nil)
	benchmarkVerify(b, r, Options{Service: "ec2", Body: []byte(listBody), Keys: new(KeyCache)})
}

func BenchmarkVerifyPresigned(b *testing.B) {
	r := presigned(b, creds, "GET", "https://b.s3.example.com/some/key", "UNSIGNED-PAYLOAD", "s3", 60, nil)
	benchmarkVerify(b, r, Options{Service: "s3", Streamed: true, Keys: new(KeyCache)})
}

func benchmarkVerify(b *testing.B, r *http.Request, opts Options) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := verify(r, creds.SecretAccessKey, opts); err != nil {
			b.Fatal(err)
		}
	}
}
