package awsapi_test

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime/multipart"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"

	"miniaws/awsapi"
	"miniaws/awsapi/meta"
)

// shelf is an S3 with one object, enough to drive the wire.
type shelf struct {
	client  *s3.Client
	address string
	put     *s3.PutObjectInput
	body    []byte
	trailer http.Header
	deleted []string
}

func newShelf(t *testing.T) *shelf {
	sh := &shelf{}
	server := awsapi.NewServer(awsapi.Options{
		Identities: gate{}, Authorizer: gate{refuse: "s3:Refused"}, Region: "us-east-1", Domain: "mini-aws.internal",
		BodyPatience: 300 * time.Millisecond, Log: slog.New(slog.DiscardHandler),
	})
	server.Register(meta.S3,
		awsapi.Op(func(ctx context.Context, in *s3.PutObjectInput) (*s3.PutObjectOutput, error) {
			body, err := io.ReadAll(in.Body)
			if err != nil {
				return nil, err
			}
			sh.put, sh.body, sh.trailer = in, body, awsapi.FromContext(ctx).Trailer()
			return &s3.PutObjectOutput{ETag: aws.String(`"e"`)}, nil
		}, func(_ context.Context, in *s3.PutObjectInput) ([]awsapi.Access, error) {
			if *in.Key == "refused" {
				return []awsapi.Access{{Action: "s3:Refused"}}, nil
			}
			return nil, nil
		}, awsapi.Unsigned()),
		awsapi.Op(func(_ context.Context, in *s3.GetObjectInput) (*s3.GetObjectOutput, error) {
			switch {
			case aws.ToString(in.IfNoneMatch) == `"e"`:
				return nil, &awsapi.Error{Code: "NotModified", Status: 304, Header: http.Header{"Etag": {`"e"`}}}
			case sh.put == nil || *in.Key != *sh.put.Key:
				return nil, &awsapi.Error{Code: "NoSuchKey", Message: "The specified key does not exist.", Status: 404, Fields: map[string]string{"Key": *in.Key}}
			}
			out := &s3.GetObjectOutput{Body: io.NopCloser(bytes.NewReader(sh.body)), ContentLength: aws.Int64(int64(len(sh.body))), Metadata: sh.put.Metadata}
			if in.Range != nil {
				out.Body, out.ContentLength = io.NopCloser(bytes.NewReader(sh.body[:2])), aws.Int64(2)
				out.ContentRange = aws.String(fmt.Sprintf("bytes 0-1/%d", len(sh.body)))
			}
			return out, nil
		}, awsapi.Action[s3.GetObjectInput]("s3:GetObject"), awsapi.Unsigned()),
		awsapi.Op(func(_ context.Context, in *s3.HeadObjectInput) (*s3.HeadObjectOutput, error) {
			if sh.put == nil || *in.Key != *sh.put.Key {
				return nil, &awsapi.Error{Code: "NoSuchKey", Status: 404}
			}
			return &s3.HeadObjectOutput{ContentLength: aws.Int64(int64(len(sh.body)))}, nil
		}, awsapi.Action[s3.HeadObjectInput]("s3:GetObject")),
		awsapi.Op(func(_ context.Context, in *s3.DeleteObjectsInput) (*s3.DeleteObjectsOutput, error) {
			sh.deleted = nil
			for _, object := range in.Delete.Objects {
				sh.deleted = append(sh.deleted, *object.Key)
			}
			return &s3.DeleteObjectsOutput{}, nil
		}, awsapi.Action[s3.DeleteObjectsInput]("s3:DeleteObject"), awsapi.Checksummed()),
		awsapi.Op(func(context.Context, *s3.CreateBucketInput) (*s3.CreateBucketOutput, error) {
			return &s3.CreateBucketOutput{}, nil
		}, awsapi.Action[s3.CreateBucketInput]("s3:CreateBucket")),
		awsapi.Op(func(_ context.Context, in *s3.ListObjectsInput) (*s3.ListObjectsOutput, error) {
			return &s3.ListObjectsOutput{Name: in.Bucket}, nil
		}, awsapi.Action[s3.ListObjectsInput]("s3:ListBucket"), awsapi.Unsigned()),
	)
	site := httptest.NewServer(server)
	t.Cleanup(site.Close)
	sh.address = site.Listener.Addr().String()
	sh.client = s3.New(s3.Options{
		Region: "us-east-1", BaseEndpoint: aws.String(site.URL), UsePathStyle: true,
		Credentials: credentials.NewStaticCredentialsProvider(keyID, secret, ""), RetryMaxAttempts: 1,
	})
	return sh
}

func TestObjectsStream(t *testing.T) {
	sh := newShelf(t)
	ctx := t.Context()
	body := bytes.Repeat([]byte("0123456789abcdef"), 100_000)
	for name, key := range map[string]string{"plain": "a", "odd": "a b/../ü//+&=%", "slash": "/x/"} {
		t.Run(name, func(t *testing.T) {
			_, err := sh.client.PutObject(ctx, &s3.PutObjectInput{
				Bucket: aws.String("b"), Key: aws.String(key), Body: bytes.NewReader(body), Metadata: map[string]string{"name": "näme"},
				ContentEncoding: aws.String("gzip"),
			})
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(sh.body, body) || *sh.put.Key != key || *sh.put.ContentLength != int64(len(body)) || *sh.put.ContentEncoding != "gzip" {
				t.Errorf("stored %d bytes at %q, length %d, coding %q", len(sh.body), *sh.put.Key, *sh.put.ContentLength, *sh.put.ContentEncoding)
			}
			out, err := sh.client.GetObject(ctx, &s3.GetObjectInput{Bucket: aws.String("b"), Key: aws.String(key)})
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(out.Body)
			if err != nil || !bytes.Equal(got, body) {
				t.Errorf("read %d bytes, %v", len(got), err)
			}
			if sh.put.Metadata["name"] != "näme" || out.Metadata["name"] != "=?UTF-8?b?bsOkbWU=?=" {
				t.Errorf("metadata %q kept, %q returned", sh.put.Metadata, out.Metadata)
			}
		})
	}
}

func TestObjectAnswers(t *testing.T) {
	sh := newShelf(t)
	ctx := t.Context()
	if _, err := sh.client.PutObject(ctx, &s3.PutObjectInput{Bucket: aws.String("b"), Key: aws.String("k"), Body: strings.NewReader("hello")}); err != nil {
		t.Fatal(err)
	}
	type answered struct {
		StatusCode    int
		ContentLength int64
		Header        http.Header
		Body          io.Reader
	}
	get := func(change func(*http.Request)) answered {
		t.Helper()
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+sh.address+"/b/k", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		change(r)
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		return answered{answer.StatusCode, answer.ContentLength, answer.Header, bytes.NewReader(body)}
	}
	if a := get(func(r *http.Request) { r.Header.Set("Range", "bytes=0-1") }); a.StatusCode != 206 || a.ContentLength != 2 {
		t.Errorf("range: %d, %d bytes", a.StatusCode, a.ContentLength)
	}
	if a := get(func(r *http.Request) { r.Header.Set("If-None-Match", `"e"`) }); a.StatusCode != 304 || a.ContentLength > 0 || a.Header.Get("ETag") != `"e"` {
		t.Errorf("not modified: %d, %d bytes, %v", a.StatusCode, a.ContentLength, a.Header)
	}
	if a := get(func(r *http.Request) { r.URL.Path, r.Host = "/k", "b.s3.mini-aws.internal:4566" }); a.StatusCode != 200 {
		t.Errorf("virtual host: %d", a.StatusCode)
	}
	if a := get(func(r *http.Request) { r.URL.Path, r.Host = "/", "my.bucket.s3.eu-west-1.mini-aws.internal" }); a.StatusCode != 200 {
		t.Errorf("bucket in a region's host: %d", a.StatusCode)
	} else if text, _ := io.ReadAll(a.Body); !strings.Contains(string(text), "<Name>my.bucket</Name>") {
		t.Errorf("listed %s", text)
	}
	if a := get(func(r *http.Request) { r.Method = http.MethodOptions; r.Header.Set("Origin", "http://x") }); a.StatusCode != 400 {
		t.Errorf("preflight without a method: %d", a.StatusCode)
	}
	if a := get(func(r *http.Request) { r.Method, r.URL.Path = http.MethodHead, "/b/none" }); a.StatusCode != 403 { // HEAD is not for everybody here
		t.Errorf("anonymous head: %d", a.StatusCode)
	}
	_, err := sh.client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: aws.String("b"), Key: aws.String("none")})
	var missing *types.NotFound
	if !errors.As(err, &missing) {
		t.Errorf("head of nothing: %v", err)
	}
	head, err := sh.client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: aws.String("b"), Key: aws.String("k")})
	if err != nil || *head.ContentLength != 5 {
		t.Errorf("head: %v, %v", head, err)
	}
	_, err = sh.client.GetObject(ctx, &s3.GetObjectInput{Bucket: aws.String("b"), Key: aws.String("none")})
	var noKey *types.NoSuchKey
	if !errors.As(err, &noKey) {
		t.Errorf("get of nothing: %v", err)
	}
}

func TestDocuments(t *testing.T) {
	sh := newShelf(t)
	ctx := t.Context()
	_, err := sh.client.DeleteObjects(ctx, &s3.DeleteObjectsInput{Bucket: aws.String("b"), Delete: &types.Delete{Objects: []types.ObjectIdentifier{{Key: aws.String("x")}}}})
	if err != nil || fmt.Sprint(sh.deleted) != "[x]" {
		t.Errorf("%v, %v", sh.deleted, err)
	}
	document := `<Delete><Object><Key>y</Key></Object></Delete>`
	sum := md5.Sum([]byte(document))
	for name, c := range map[string]struct{ header, value, want string }{
		"good":         {"Content-Md5", base64.StdEncoding.EncodeToString(sum[:]), ""},
		"wrong":        {"Content-Md5", base64.StdEncoding.EncodeToString(make([]byte, 16)), "BadDigest"},
		"not a sum":    {"Content-Md5", "bad", "InvalidDigest"},
		"none":         {"X-Other", "", "InvalidRequest"},
		"wrong crc":    {"X-Amz-Checksum-Crc32", "AAAAAA==", "BadDigest"},
		"not a crc":    {"X-Amz-Checksum-Crc32", "AAAA", "InvalidRequest"},
		"another hash": {"X-Amz-Content-Sha256", strings.Repeat("0", 64), "XAmzContentSHA256Mismatch"},
	} {
		t.Run(name, func(t *testing.T) {
			r, _ := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+sh.address+"/b?delete", strings.NewReader(document))
			r.Header.Set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD")
			r.Header.Set(c.header, c.value)
			sign(t, r)
			answer, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer answer.Body.Close()
			text, _ := io.ReadAll(answer.Body)
			if c.want == "" && answer.StatusCode != 200 || !strings.Contains(string(text), c.want) {
				t.Errorf("%d %s", answer.StatusCode, text)
			}
		})
	}
}

// sign signs a request whose payload hash is set.
func sign(t *testing.T, r *http.Request) {
	t.Helper()
	err := v4.NewSigner().SignHTTP(t.Context(), aws.Credentials{AccessKeyID: keyID, SecretAccessKey: secret}, r, r.Header.Get("X-Amz-Content-Sha256"), "s3", "us-east-1", time.Now(), func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })
	if err != nil {
		t.Fatal(err)
	}
}

// A refused upload is refused before it is sent.
func TestRefusedBeforeTheBody(t *testing.T) {
	sh := newShelf(t)
	for key, want := range map[string]string{"refused": "403", "taken": "100"} {
		connection, err := net.Dial("tcp", sh.address)
		if err != nil {
			t.Fatal(err)
		}
		defer connection.Close()
		fmt.Fprintf(connection, "PUT /b/%s HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n", key)
		answer := make([]byte, 12)
		if _, err := io.ReadFull(connection, answer); err != nil || string(answer[9:]) != want {
			t.Errorf("%s: %s, %v", key, answer, err)
		}
	}
}

func TestBadBodies(t *testing.T) {
	sh := newShelf(t)
	for name, c := range map[string]struct{ head, want string }{
		"truncated":      {"Content-Length: 100\r\n\r\nabc", "IncompleteBody"},
		"no length":      {"\r\n", "MissingContentLength"},
		"chunked":        {"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", "NotImplemented"},
		"trailer":        {"X-Amz-Content-Sha256: STREAMING-UNSIGNED-PAYLOAD-TRAILER\r\nX-Amz-Decoded-Content-Length: 3\r\nX-Amz-Trailer: x-amz-checksum-crc32\r\nContent-Length: 13\r\n\r\n3\r\nabc\r\n0\r\n\r\n", "MalformedTrailerError"},
		"decoded length": {"X-Amz-Content-Sha256: STREAMING-UNSIGNED-PAYLOAD-TRAILER\r\nX-Amz-Trailer: x-amz-checksum-crc32\r\nContent-Length: 13\r\n\r\n3\r\nabc\r\n0\r\n\r\n", "MissingContentLength"},
		"signed chunks":  {"X-Amz-Content-Sha256: STREAMING-AWS4-HMAC-SHA256-PAYLOAD\r\nX-Amz-Decoded-Content-Length: 3\r\nContent-Length: 13\r\n\r\n3\r\nabc\r\n0\r\n\r\n", "InvalidArgument"},
	} {
		t.Run(name, func(t *testing.T) {
			sh.put = nil
			connection, err := net.Dial("tcp", sh.address)
			if err != nil {
				t.Fatal(err)
			}
			defer connection.Close()
			io.WriteString(connection, "PUT /b/k HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"+c.head)
			if name == "truncated" {
				connection.(*net.TCPConn).CloseWrite()
			}
			answer, _ := io.ReadAll(connection)
			if !strings.Contains(string(answer), "<Code>"+c.want+"</Code>") || sh.put != nil {
				t.Errorf("want %s: %s", c.want, answer)
			}
		})
	}
	t.Run("stuck", func(t *testing.T) {
		connection, err := net.Dial("tcp", sh.address)
		if err != nil {
			t.Fatal(err)
		}
		defer connection.Close()
		io.WriteString(connection, "PUT /b/k HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab")
		answer, _ := io.ReadAll(connection)
		if !strings.Contains(string(answer), "RequestTimeout") {
			t.Errorf("%s", answer)
		}
	})
}

func TestAnonymousTrailer(t *testing.T) {
	sh := newShelf(t)
	r, _ := http.NewRequestWithContext(t.Context(), http.MethodPut, "http://"+sh.address+"/b/k", strings.NewReader("3\r\nabc\r\n0\r\nx-amz-checksum-crc32:NSRBwg==\r\n\r\n"))
	r.Header.Set("X-Amz-Content-Sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER")
	r.Header.Set("X-Amz-Decoded-Content-Length", "3")
	r.Header.Set("X-Amz-Trailer", "x-amz-checksum-crc32")
	r.Header.Set("Content-Encoding", "aws-chunked")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != 200 || string(sh.body) != "abc" || sh.trailer.Get("X-Amz-Checksum-Crc32") != "NSRBwg==" || sh.put.ContentEncoding != nil {
		t.Errorf("%d, %q, %v, %v", answer.StatusCode, sh.body, sh.trailer, sh.put.ContentEncoding)
	}
}

func TestPostForm(t *testing.T) {
	sh := newShelf(t)
	signed, err := s3.NewPresignClient(sh.client).PresignPostObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String("b"), Key: aws.String("folder/photo.txt")}, func(o *s3.PresignPostOptions) {
		o.Conditions = []any{[]any{"content-length-range", 2, 5}, []any{"starts-with", "$success_action_status", ""}, []any{"starts-with", "$x-amz-meta-a", ""}}
	})
	if err != nil {
		t.Fatal(err)
	}
	send := func(content string, change map[string]string) (status int, body string) {
		var b bytes.Buffer
		form := multipart.NewWriter(&b)
		fields := map[string]string{"success_action_status": "201", "x-amz-meta-a": "1"}
		for name, value := range signed.Values {
			fields[name] = value
		}
		for name, value := range change {
			fields[name] = value
		}
		for name, value := range fields {
			form.WriteField(name, value)
		}
		file, _ := form.CreateFormFile("file", "photo.txt")
		io.WriteString(file, content)
		form.Close()
		answer, err := http.Post("http://"+sh.address+"/b", form.FormDataContentType(), &b)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		text, _ := io.ReadAll(answer.Body)
		return answer.StatusCode, string(text)
	}
	if status, text := send("abcd", nil); status != 201 || !strings.Contains(text, "<Key>folder/photo.txt</Key>") || string(sh.body) != "abcd" || sh.put.Metadata["a"] != "1" {
		t.Errorf("%d %s: %q", status, text, sh.body)
	}
	for name, c := range map[string]struct {
		content string
		change  map[string]string
		want    string
	}{
		"too long":    {"abcdefg", nil, "EntityTooLarge"},
		"too short":   {"a", nil, "EntityTooSmall"},
		"other key":   {"abc", map[string]string{"key": "elsewhere"}, "AccessDenied"},
		"extra field": {"abc", map[string]string{"acl": "public-read"}, "AccessDenied"},
		"signature":   {"abc", map[string]string{"X-Amz-Signature": strings.Repeat("0", 64)}, "SignatureDoesNotMatch"},
		"no key":      {"abc", map[string]string{"key": ""}, "InvalidArgument"},
	} {
		if _, text := send(c.content, c.change); !strings.Contains(text, "<Code>"+c.want+"</Code>") {
			t.Errorf("%s: %s", name, text)
		}
	}
}

// A sub-resource that a method does not have must not become another operation.
func TestSubresources(t *testing.T) {
	sh := newShelf(t)
	for target, want := range map[string]string{
		"PUT /b":                           "",
		"PUT /b?policy":                    "NotImplemented",
		"PUT /b?policyStatus":              "MethodNotAllowed",
		"DELETE /b?uploads":                "MethodNotAllowed",
		"DELETE /b?tagging":                "NotImplemented",
		"POST /b":                          "MethodNotAllowed",
		"PUT /b/k?partNumber=1":            "InvalidArgument",
		"PUT /b/k?uploadId=u&partNumber=1": "NotImplemented",
	} {
		method, path, _ := strings.Cut(target, " ")
		r, _ := http.NewRequestWithContext(t.Context(), method, "http://"+sh.address+path, strings.NewReader("x"))
		r.Header.Set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD")
		sign(t, r)
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(answer.Body)
		answer.Body.Close()
		if want == "" && answer.StatusCode != 200 && !strings.Contains(string(text), "MalformedXML") || !strings.Contains(string(text), want) {
			t.Errorf("%s: %d %s", target, answer.StatusCode, text)
		}
	}
}

var _ smithy.APIError = (*awsapi.Error)(nil)
