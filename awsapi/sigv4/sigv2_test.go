package sigv4

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

// botocoreV2 are URLs that botocore's generate_presigned_url made with signature_version "s3" for
// bucket "bucket" at 2026-03-14T12:00:00Z, good for a minute.
var botocoreV2 = []struct {
	method, target string
	virtual, token bool
}{
	{"GET", "/bucket/dir/a%20b%2Bc%3Dd%26%C3%A9%2A.txt?AWSAccessKeyId=AKIDEXAMPLE&Signature=NhXyvpvfveUAUayzJFN0KdDHbXU%3D&Expires=1773489660", false, false},
	{"GET", "/bucket/k?versionId=v1%2F2%2B3&response-content-disposition=attachment%3B%20filename%3D%22a%20b.txt%22&response-content-type=text%2Fx&AWSAccessKeyId=AKIDEXAMPLE&Signature=kaDsjLduT7%2FQ0MufYPGEocC76Vw%3D&Expires=1773489660", false, false},
	{"PUT", "/bucket/k?AWSAccessKeyId=AKIDEXAMPLE&Signature=g7jRAkeLdFzWJ1PeF465bl7zq7A%3D&content-type=text%2Fplain&x-amz-acl=public-read&x-amz-meta-note=hello&Expires=1773489660", false, false},
	{"PUT", "/bucket/k?partNumber=2&uploadId=u%2F1%3D&AWSAccessKeyId=AKIDEXAMPLE&Signature=MjrkwC%2FpIstXl5VELrlU3bPDSX8%3D&Expires=1773489660", false, false},
	{"GET", "/bucket?acl&AWSAccessKeyId=AKIDEXAMPLE&Signature=yI9amFDKomqEfgMdP2A9AtX1hBA%3D&Expires=1773489660", false, false},
	{"GET", "/bucket?list-type=2&prefix=a%2Fb&encoding-type=url&AWSAccessKeyId=AKIDEXAMPLE&Signature=%2FaUBXi7BR9RZFE6IbNspcrrrGic%3D&Expires=1773489660", false, false},
	{"HEAD", "/bucket/k?AWSAccessKeyId=AKIDEXAMPLE&Signature=ifW4Eq2Ksz41LznkE53Q6MzYFk4%3D&Expires=1773489660", false, false},
	{"GET", "/bucket/dir/a%20b%2Bc%3Dd%26%C3%A9%2A.txt?AWSAccessKeyId=AKIDEXAMPLE&Signature=hIm6yknQ8PhoD0X0LZnwKSmZ%2FEM%3D&x-amz-security-token=tok%2Fen%2Bwith%3Dsigns&Expires=1773489660", false, true},
	{"GET", "/bucket/k?versionId=v1%2F2%2B3&response-content-disposition=attachment%3B%20filename%3D%22a%20b.txt%22&response-content-type=text%2Fx&AWSAccessKeyId=AKIDEXAMPLE&Signature=Ko2xTmsJgjUWbPBK0eLekGXKlMc%3D&x-amz-security-token=tok%2Fen%2Bwith%3Dsigns&Expires=1773489660", false, true},
	{"PUT", "/bucket/k?AWSAccessKeyId=AKIDEXAMPLE&Signature=e%2FEzxWcq3y3mG0Um%2BWcd4AT5OlY%3D&content-type=text%2Fplain&x-amz-acl=public-read&x-amz-meta-note=hello&x-amz-security-token=tok%2Fen%2Bwith%3Dsigns&Expires=1773489660", false, true},
	{"PUT", "/bucket/k?partNumber=2&uploadId=u%2F1%3D&AWSAccessKeyId=AKIDEXAMPLE&Signature=MObJOzaT%2Fj9c7mhVGsUZPSECWbM%3D&x-amz-security-token=tok%2Fen%2Bwith%3Dsigns&Expires=1773489660", false, true},
	{"GET", "/bucket?acl&AWSAccessKeyId=AKIDEXAMPLE&Signature=J5yKz8P1blKmKzE17Rvgr1sHqWk%3D&x-amz-security-token=tok%2Fen%2Bwith%3Dsigns&Expires=1773489660", false, true},
	{"GET", "/bucket?list-type=2&prefix=a%2Fb&encoding-type=url&AWSAccessKeyId=AKIDEXAMPLE&Signature=13Qs1sCV4FGKtoEgjfuKs4GN93w%3D&x-amz-security-token=tok%2Fen%2Bwith%3Dsigns&Expires=1773489660", false, true},
	{"HEAD", "/bucket/k?AWSAccessKeyId=AKIDEXAMPLE&Signature=Fhi3apP9wAI%2BQTy24hMx6Z%2BGKvE%3D&x-amz-security-token=tok%2Fen%2Bwith%3Dsigns&Expires=1773489660", false, true},
	{"GET", "/dir/a%20b%2Bc%3Dd%26%C3%A9%2A.txt?AWSAccessKeyId=AKIDEXAMPLE&Signature=NhXyvpvfveUAUayzJFN0KdDHbXU%3D&Expires=1773489660", true, false},
	{"GET", "/k?versionId=v1%2F2%2B3&response-content-disposition=attachment%3B%20filename%3D%22a%20b.txt%22&response-content-type=text%2Fx&AWSAccessKeyId=AKIDEXAMPLE&Signature=kaDsjLduT7%2FQ0MufYPGEocC76Vw%3D&Expires=1773489660", true, false},
	{"PUT", "/k?AWSAccessKeyId=AKIDEXAMPLE&Signature=g7jRAkeLdFzWJ1PeF465bl7zq7A%3D&content-type=text%2Fplain&x-amz-acl=public-read&x-amz-meta-note=hello&Expires=1773489660", true, false},
	{"PUT", "/k?partNumber=2&uploadId=u%2F1%3D&AWSAccessKeyId=AKIDEXAMPLE&Signature=MjrkwC%2FpIstXl5VELrlU3bPDSX8%3D&Expires=1773489660", true, false},
	{"GET", "/?acl&AWSAccessKeyId=AKIDEXAMPLE&Signature=yI9amFDKomqEfgMdP2A9AtX1hBA%3D&Expires=1773489660", true, false},
	{"GET", "/?list-type=2&prefix=a%2Fb&encoding-type=url&AWSAccessKeyId=AKIDEXAMPLE&Signature=%2FaUBXi7BR9RZFE6IbNspcrrrGic%3D&Expires=1773489660", true, false},
	{"HEAD", "/k?AWSAccessKeyId=AKIDEXAMPLE&Signature=ifW4Eq2Ksz41LznkE53Q6MzYFk4%3D&Expires=1773489660", true, false},
	{"GET", "/dir/a%20b%2Bc%3Dd%26%C3%A9%2A.txt?AWSAccessKeyId=AKIDEXAMPLE&Signature=hIm6yknQ8PhoD0X0LZnwKSmZ%2FEM%3D&x-amz-security-token=tok%2Fen%2Bwith%3Dsigns&Expires=1773489660", true, true},
	{"GET", "/k?versionId=v1%2F2%2B3&response-content-disposition=attachment%3B%20filename%3D%22a%20b.txt%22&response-content-type=text%2Fx&AWSAccessKeyId=AKIDEXAMPLE&Signature=Ko2xTmsJgjUWbPBK0eLekGXKlMc%3D&x-amz-security-token=tok%2Fen%2Bwith%3Dsigns&Expires=1773489660", true, true},
	{"PUT", "/k?AWSAccessKeyId=AKIDEXAMPLE&Signature=e%2FEzxWcq3y3mG0Um%2BWcd4AT5OlY%3D&content-type=text%2Fplain&x-amz-acl=public-read&x-amz-meta-note=hello&x-amz-security-token=tok%2Fen%2Bwith%3Dsigns&Expires=1773489660", true, true},
	{"PUT", "/k?partNumber=2&uploadId=u%2F1%3D&AWSAccessKeyId=AKIDEXAMPLE&Signature=MObJOzaT%2Fj9c7mhVGsUZPSECWbM%3D&x-amz-security-token=tok%2Fen%2Bwith%3Dsigns&Expires=1773489660", true, true},
	{"GET", "/?acl&AWSAccessKeyId=AKIDEXAMPLE&Signature=J5yKz8P1blKmKzE17Rvgr1sHqWk%3D&x-amz-security-token=tok%2Fen%2Bwith%3Dsigns&Expires=1773489660", true, true},
	{"GET", "/?list-type=2&prefix=a%2Fb&encoding-type=url&AWSAccessKeyId=AKIDEXAMPLE&Signature=13Qs1sCV4FGKtoEgjfuKs4GN93w%3D&x-amz-security-token=tok%2Fen%2Bwith%3Dsigns&Expires=1773489660", true, true},
	{"HEAD", "/k?AWSAccessKeyId=AKIDEXAMPLE&Signature=Fhi3apP9wAI%2BQTy24hMx6Z%2BGKvE%3D&x-amz-security-token=tok%2Fen%2Bwith%3Dsigns&Expires=1773489660", true, true},
}

func v2Request(method, target string) *http.Request {
	r := httptest.NewRequest(method, target, nil)
	r.Host = "s3.mini-aws.internal:4566"
	return r
}

func v2Options(virtual bool) Options {
	opts := Options{Now: noon, Service: "s3", Streamed: true}
	if virtual {
		opts.VirtualBucket = "bucket"
	}
	return opts
}

func TestBotocoreSigV2(t *testing.T) {
	for _, c := range botocoreV2 {
		s, err := verify(v2Request(c.method, c.target), creds.SecretAccessKey, v2Options(c.virtual))
		if err != nil {
			t.Errorf("%s %s: %v\n%q", c.method, c.target, err, err.(*Error).StringToSign)
			continue
		}
		if s.Version != V2 || s.AccessKeyID != "AKIDEXAMPLE" || (s.SessionToken == "tok/en+with=signs") != c.token || !s.Expires.Equal(noon.Add(time.Minute)) {
			t.Errorf("claims %+v", s)
		}
	}
}

// Who is given a URL with headers in its query sends them, too: that is how boto3's URLs for uploads are used.
func TestSigV2HeadersSentToo(t *testing.T) {
	for contentType, want := range map[string]Kind{"text/plain": 0, "text/html": SignatureMismatch} {
		r := v2Request(botocoreV2[2].method, botocoreV2[2].target)
		r.Header.Set("Content-Type", contentType)
		r.Header.Set("X-Amz-Meta-Note", "hello")
		_, err := verify(r, creds.SecretAccessKey, v2Options(false))
		if KindOf(err) != want {
			t.Errorf("%s: %v", contentType, err)
		}
		r.Header.Add("X-Amz-Meta-Note", "hello")
		if _, err = verify(r, creds.SecretAccessKey, v2Options(false)); KindOf(err) != SignatureMismatch {
			t.Errorf("%s and a header twice: %v", contentType, err)
		}
	}
}

// AWS: "Signing and authenticating REST requests (AWS signature version 2)", query string example.
func TestPublishedSigV2Example(t *testing.T) {
	r := v2Request("GET", "/photos/puppy.jpg?AWSAccessKeyId=AKIAIOSFODNN7EXAMPLE&Expires=1175139620&Signature=NpgCjnDzrM%2BWFzoENXmpNDUsSn8%3D")
	opts := Options{Now: time.Unix(1175139620, 0), Service: "s3", Streamed: true, VirtualBucket: "johnsmith"}
	if _, err := verify(r, docSecret, opts); err != nil {
		t.Errorf("%v\n%q", err, err.(*Error).StringToSign)
	}
}

func TestSigV2Tampering(t *testing.T) {
	const target = "/bucket/k?versionId=v1&response-content-type=text%2Fx"
	base := func() *http.Request {
		r := v2Request("GET", target+"&AWSAccessKeyId=AKIDEXAMPLE&Expires=1773489660&Signature=x")
		s, err := Parse(r)
		if err != nil {
			t.Fatal(err)
		}
		r.URL.RawQuery = strings.Replace(r.URL.RawQuery, "Signature=x", "Signature="+url.QueryEscape(signV2(s.stringToSignV2(r, "/bucket/k"))), 1)
		return r
	}
	if _, err := verify(base(), creds.SecretAccessKey, v2Options(false)); err != nil {
		t.Fatal(err)
	}
	query := func(add string) func(*http.Request) {
		return func(r *http.Request) { r.URL.RawQuery += add }
	}
	for name, c := range map[string]struct {
		edit func(*http.Request)
		kind Kind
	}{
		"method":              {func(r *http.Request) { r.Method = "DELETE" }, SignatureMismatch},
		"path":                {func(r *http.Request) { r.RequestURI = strings.Replace(r.RequestURI, "/k", "/j", 1) }, SignatureMismatch},
		"version":             {func(r *http.Request) { r.URL.RawQuery = strings.Replace(r.URL.RawQuery, "v1", "v2", 1) }, SignatureMismatch},
		"sub-resource":        {query("&acl"), SignatureMismatch},
		"newer sub-resource":  {query("&encryption"), SignatureMismatch},
		"header in the query": {query("&x-amz-acl=public-read"), SignatureMismatch},
		"header and query": {func(r *http.Request) {
			r.URL.RawQuery += "&x-amz-acl=private"
			r.Header.Set("X-Amz-Acl", "public-read")
		}, SignatureMismatch},
		"header":               {func(r *http.Request) { r.Header.Set("X-Amz-Copy-Source", "/b/k") }, SignatureMismatch},
		"content type":         {func(r *http.Request) { r.Header.Set("Content-Type", "text/html") }, SignatureMismatch},
		"content md5":          {func(r *http.Request) { r.Header.Set("Content-Md5", "x") }, SignatureMismatch},
		"page of a list":       {query("&prefix=x"), 0},
		"later end":            {func(r *http.Request) { r.URL.RawQuery = strings.Replace(r.URL.RawQuery, "1773489660", "1773489661", 1) }, SignatureMismatch},
		"second end":           {query("&Expires=1773489661"), MalformedV2},
		"second key":           {query("&AWSAccessKeyId=x"), MalformedV2},
		"second signature":     {query("&Signature=x"), MalformedV2},
		"buffered body":        {func(r *http.Request) { r.ContentLength = 5 }, 0},
		"end beyond all times": {func(r *http.Request) { r.URL.RawQuery = strings.Replace(r.URL.RawQuery, "1773489660", "9999999999", 1) }, MalformedV2},
	} {
		r := base()
		c.edit(r)
		_, err := verify(r, creds.SecretAccessKey, v2Options(false))
		if KindOf(err) != c.kind {
			t.Errorf("%s: %v", name, err)
		}
	}
	opts := v2Options(false)
	opts.Now = noon.Add(61 * time.Second)
	_, err := verify(base(), creds.SecretAccessKey, opts)
	if a := wantKind(t, err, Expired).Answer(S3); a.Code != "AccessDenied" || a.Message != "Request has expired" || a.Fields[0] != (Field{"Expires", "2026-03-14T12:01:00Z"}) {
		t.Errorf("answer %+v", a)
	}
	opts = v2Options(false)
	opts.Service = "iam"
	_, err = verify(base(), creds.SecretAccessKey, opts)
	wantKind(t, err, UnsupportedAlgorithm)
	opts = v2Options(false)
	opts.Streamed, opts.Body = false, []byte("x")
	_, err = verify(base(), creds.SecretAccessKey, opts)
	wantKind(t, err, UnsupportedAlgorithm)
	_, err = verify(base().Clone(context.Background()), "", v2Options(false))
	wantKind(t, err, SignatureMismatch)
}
