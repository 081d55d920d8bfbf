package s3

import (
	"bytes"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"miniaws/backend/store"
)

// send sends a request whose length and hash are what the headers claim, whatever its body is.
func (s *site) send(t testing.TB, method, path, body string, header map[string]string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(method, "http://localhost"+path, io.NopCloser(strings.NewReader(body)))
	r.ContentLength = int64(len(body))
	sum := sha256.Sum256([]byte(body))
	r.Header.Set("X-Amz-Content-Sha256", hex.EncodeToString(sum[:]))
	if strings.HasPrefix(body, "<") { // documents need a checksum
		r.Header.Set("Content-MD5", contentMD5(body))
	}
	for name, value := range header {
		r.Header.Set(name, value)
	}
	if length := r.Header.Get("Content-Length"); length != "" {
		fmt.Sscan(length, &r.ContentLength)
	} else {
		r.Header.Set("Content-Length", fmt.Sprint(len(body)))
	}
	err := v4.NewSigner().SignHTTP(t.Context(), aws.Credentials{AccessKeyID: testKey, SecretAccessKey: testSecret}, r, r.Header.Get("X-Amz-Content-Sha256"),
		"s3", "us-east-1", time.Now(), func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	s.server.ServeHTTP(w, r)
	return w
}

func contentMD5(body string) string {
	sum := md5.Sum([]byte(body))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// nothing checks that the bucket holds nothing and the disk no bytes.
func (s *site) nothing(t *testing.T) {
	t.Helper()
	list, err := s.client.ListObjectVersions(t.Context(), &s3.ListObjectVersionsInput{Bucket: aws.String("bucket")})
	if err != nil || len(list.Versions)+len(list.DeleteMarkers) != 0 {
		t.Errorf("the bucket holds %v, %v", list, err)
	}
	s.files.List(func(id string, size int64) bool {
		t.Errorf("%d bytes are left in %s", size, id)
		return true
	})
	err = s.db.View(t.Context(), func(tx store.Tx) error {
		for p, err := range parts.In(tx, global).Scan(store.Query{}) {
			t.Errorf("part %v is left, %v", p, err)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// AWS: "Error responses" of the S3 API reference; "Amazon S3 multipart upload limits"; "Naming Amazon S3 objects".
func TestBadInput(t *testing.T) {
	s := newSite(t)
	made, err := s.client.CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{Bucket: aws.String("bucket"), Key: aws.String("k")})
	if err != nil {
		t.Fatal(err)
	}
	upload := "&uploadId=" + *made.UploadId
	const bomb = `<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">]>`
	deep := strings.Repeat("<a>", 50_000) + strings.Repeat("</a>", 50_000)
	large := strings.Repeat("x", 100_000) // goes to a file
	trailer := func(length string) map[string]string {
		return map[string]string{"X-Amz-Content-Sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "X-Amz-Decoded-Content-Length": length, "X-Amz-Trailer": "x-amz-checksum-crc32"}
	}
	chunked := fmt.Sprintf("%x\r\n%s\r\n0\r\n", len(large), large)
	const zero = "x-amz-checksum-crc32:AAAAAA==\r\n\r\n"
	with := func(header map[string]string, name, value string) map[string]string {
		header[name] = value
		return header
	}
	for name, c := range map[string]struct {
		method, path, body string
		header             map[string]string
		code               string
		status             int
	}{
		"5 GiB and a byte":           {"PUT", "/bucket/k", "", map[string]string{"Content-Length": "5368709121", "X-Amz-Content-Sha256": "UNSIGNED-PAYLOAD"}, "EntityTooLarge", 400},
		"5 GiB and a byte as a part": {"PUT", "/bucket/k?partNumber=1" + upload, "", map[string]string{"Content-Length": "5368709121", "X-Amz-Content-Sha256": "UNSIGNED-PAYLOAD"}, "EntityTooLarge", 400},
		"5 GiB and a byte in chunks": {"PUT", "/bucket/k", chunked + zero, trailer("5368709121"), "EntityTooLarge", 400},
		"another body":               {"PUT", "/bucket/k", large, map[string]string{"X-Amz-Content-Sha256": strings.Repeat("0", 64)}, "XAmzContentSHA256Mismatch", 400},
		"chunks of less":             {"PUT", "/bucket/k", "5\r\nhello\r\n0\r\n" + zero, trailer("8"), "IncompleteBody", 400},
		"checksum before and after":  {"PUT", "/bucket/k", "5\r\nhello\r\n0\r\n" + zero, with(trailer("5"), "X-Amz-Checksum-Crc32", "AAAAAA=="), "InvalidRequest", 400},
		"a document in chunks":       {"PUT", "/bucket?versioning", chunked + zero, trailer("100000"), "InvalidRequest", 400},
		"header of CORS":             {"PUT", "/bucket?cors", "<CORSConfiguration><CORSRule><AllowedMethod>GET</AllowedMethod><AllowedOrigin>*</AllowedOrigin><AllowedHeader>x(b)</AllowedHeader></CORSRule></CORSConfiguration>", nil, "InvalidRequest", 400},
		"website of 129 KiB":         {"PUT", "/bucket?website", "<WebsiteConfiguration><IndexDocument><Suffix>i</Suffix></IndexDocument>" + strings.Repeat(" ", 129<<10) + "</WebsiteConfiguration>", nil, "MaxMessageLengthExceeded", 400},
		"part of no number":          {"GET", "/bucket/none?partNumber=0", "", nil, "InvalidArgument", 400},
		"hash that is none":          {"PUT", "/bucket/k", large, map[string]string{"X-Amz-Content-Sha256": "sha"}, "InvalidArgument", 400},
		"MD5 of something else":      {"PUT", "/bucket/k", large, map[string]string{"Content-MD5": "AAAAAAAAAAAAAAAAAAAAAA=="}, "BadDigest", 400},
		"MD5 that is none":           {"PUT", "/bucket/k", large, map[string]string{"Content-MD5": "AAAA"}, "InvalidDigest", 400},
		"empty MD5":                  {"PUT", "/bucket/k", large, map[string]string{"Content-MD5": ""}, "InvalidDigest", 400},
		"checksum of something else": {"PUT", "/bucket/k", large, map[string]string{"X-Amz-Checksum-Crc32": "AAAAAA=="}, "BadDigest", 400},
		"checksum that is none":      {"PUT", "/bucket/k", large, map[string]string{"X-Amz-Checksum-Crc32": "bad"}, "InvalidRequest", 400},
		"two checksums":              {"PUT", "/bucket/k", large, map[string]string{"X-Amz-Checksum-Crc32": "AAAAAA==", "X-Amz-Checksum-Crc32c": "AAAAAA=="}, "InvalidRequest", 400},
		"wrong trailer":              {"PUT", "/bucket/k", chunked + zero, trailer("100000"), "BadDigest", 400},
		"wrong trailer of a part":    {"PUT", "/bucket/k?partNumber=1" + upload, chunked + zero, trailer("100000"), "BadDigest", 400},
		"trailer that is none":       {"PUT", "/bucket/k", chunked + "x-amz-checksum-crc32:bad\r\n\r\n", trailer("100000"), "InvalidRequest", 400},
		"no trailer":                 {"PUT", "/bucket/k", chunked + "\r\n", trailer("100000"), "MalformedTrailerError", 400},
		"another trailer":            {"PUT", "/bucket/k", chunked + "x-amz-checksum-sha1:AAAAAA==\r\n\r\n", trailer("100000"), "MalformedTrailerError", 400},
		"chunks end early":           {"PUT", "/bucket/k", chunked[:90_000], trailer("100000"), "IncompleteBody", 400},
		"last chunk missing":         {"PUT", "/bucket/k", strings.TrimSuffix(chunked, "0\r\n"), trailer("100000"), "IncompleteBody", 400},
		"more than announced":        {"PUT", "/bucket/k", chunked + zero, trailer("99999"), "IncompleteBody", 400},
		"part 0":                     {"PUT", "/bucket/k?partNumber=0" + upload, large, nil, "InvalidArgument", 400},
		"part 10001":                 {"PUT", "/bucket/k?partNumber=10001" + upload, large, nil, "InvalidArgument", 400},
		"part -1":                    {"PUT", "/bucket/k?partNumber=-1" + upload, large, nil, "InvalidArgument", 400},
		"part x":                     {"PUT", "/bucket/k?partNumber=x" + upload, large, nil, "InvalidArgument", 400},
		"no such upload":             {"PUT", "/bucket/k?partNumber=1&uploadId=x", large, nil, "NoSuchUpload", 404},
		"part of another key":        {"PUT", "/bucket/other?partNumber=1" + upload, large, nil, "NoSuchUpload", 404},
		"no parts":                   {"POST", "/bucket/k?x=1" + upload, "<CompleteMultipartUpload/>", nil, "MalformedXML", 400},
		"parts that are not there":   {"POST", "/bucket/k?x=1" + upload, "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>x</ETag></Part></CompleteMultipartUpload>", nil, "InvalidPart", 400},
		"parts out of order":         {"POST", "/bucket/k?x=1" + upload, "<CompleteMultipartUpload><Part><PartNumber>2</PartNumber><ETag>x</ETag></Part><Part><PartNumber>1</PartNumber><ETag>x</ETag></Part></CompleteMultipartUpload>", nil, "InvalidPartOrder", 400},
		"the same part twice":        {"POST", "/bucket/k?x=1" + upload, "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>x</ETag></Part><Part><PartNumber>1</PartNumber><ETag>x</ETag></Part></CompleteMultipartUpload>", nil, "InvalidPartOrder", 400},
		"completed part 10001":       {"POST", "/bucket/k?x=1" + upload, "<CompleteMultipartUpload><Part><PartNumber>10001</PartNumber><ETag>x</ETag></Part></CompleteMultipartUpload>", nil, "InvalidArgument", 400},
		"bomb: parts":                {"POST", "/bucket/k?x=1" + upload, bomb + "<CompleteMultipartUpload><Part><ETag>&c;</ETag></Part></CompleteMultipartUpload>", nil, "MalformedXML", 400},
		"bomb: tags":                 {"PUT", "/bucket/k?tagging", bomb + "<Tagging><TagSet><Tag><Key>&c;</Key><Value/></Tag></TagSet></Tagging>", nil, "MalformedXML", 400},
		"bomb: deletions":            {"POST", "/bucket?delete", bomb + "<Delete><Object><Key>&c;</Key></Object></Delete>", nil, "MalformedXML", 400},
		"bomb: ACL":                  {"PUT", "/bucket?acl", bomb + "<AccessControlPolicy><Owner><ID>&c;</ID></Owner></AccessControlPolicy>", nil, "MalformedXML", 400},
		"depth: lifecycle":           {"PUT", "/bucket?lifecycle", "<LifecycleConfiguration>" + deep + "</LifecycleConfiguration>", nil, "MalformedXML", 400},
		"depth: deletions":           {"POST", "/bucket?delete", "<Delete>" + deep + "</Delete>", nil, "MalformedXML", 400},
		"key of 1,025 bytes":         {"PUT", "/bucket/" + strings.Repeat("k", 1025), large, nil, "KeyTooLongError", 400},
		"1,025 bytes in UTF-8":       {"PUT", "/bucket/" + strings.Repeat("%E2%82%AC", 341) + "kk", large, nil, "KeyTooLongError", 400},
		"long key, to read":          {"GET", "/bucket/" + strings.Repeat("k", 1025), "", nil, "KeyTooLongError", 400},
		"long key, to delete":        {"DELETE", "/bucket/" + strings.Repeat("k", 1025), "", nil, "KeyTooLongError", 400},
		"long key, of an upload":     {"POST", "/bucket/" + strings.Repeat("k", 1025) + "?uploads", "", nil, "KeyTooLongError", 400},
		"key that is not UTF-8":      {"PUT", "/bucket/%ff%fe", large, nil, "InvalidURI", 400},
		"bucket ..":                  {"PUT", "/..", "", nil, "InvalidBucketName", 400},
		"bucket with a slash":        {"PUT", "/a%2Fb", "", nil, "InvalidBucketName", 400},
		"bucket with NUL":            {"PUT", "/abc%00", "", nil, "InvalidBucketName", 400},
		"bucket in capitals":         {"PUT", "/Bucket", "", nil, "InvalidBucketName", 400},
		"bucket like an address":     {"PUT", "/192.168.0.1", "", nil, "InvalidBucketName", 400},
		"bucket of two letters":      {"PUT", "/ab", "", nil, "InvalidBucketName", 400},
		"bucket of 64 letters":       {"PUT", "/" + strings.Repeat("a", 64), "", nil, "InvalidBucketName", 400},
		"bucket like an alias":       {"PUT", "/abc-s3alias", "", nil, "InvalidBucketName", 400},
		"SSE on a read":              {"GET", "/bucket/k", "", map[string]string{"X-Amz-Server-Side-Encryption": "AES256"}, "InvalidArgument", 400},
		"SSE on a read of a head":    {"HEAD", "/bucket/k", "", map[string]string{"X-Amz-Server-Side-Encryption": "AES256"}, "", 400},
		"ACL where there are none":   {"PUT", "/bucket/k", large, map[string]string{"X-Amz-Acl": "bucket-owner-read"}, "AccessControlListNotSupported", 400},
		"owner that is no account":   {"GET", "/bucket/k", "", map[string]string{"X-Amz-Expected-Bucket-Owner": "12"}, "InvalidBucketOwnerAWSAccountID", 400},
		"owner that is nobody":       {"GET", "/bucket?acl", "", map[string]string{"X-Amz-Expected-Bucket-Owner": ""}, "InvalidBucketOwnerAWSAccountID", 400},
		"empty source":               {"PUT", "/bucket/k", "", map[string]string{"X-Amz-Copy-Source": ""}, "InvalidArgument", 400},
		"empty source of a part":     {"PUT", "/bucket/k?partNumber=1" + upload, "", map[string]string{"X-Amz-Copy-Source": ""}, "InvalidArgument", 400},
		"source without a key":       {"PUT", "/bucket/k", "", map[string]string{"X-Amz-Copy-Source": "bucket"}, "InvalidArgument", 400},
		"source of no account":       {"PUT", "/bucket/k", "", map[string]string{"X-Amz-Copy-Source": "bucket/x", "X-Amz-Source-Expected-Bucket-Owner": "12"}, "InvalidBucketOwnerAWSAccountID", 400},
		"matches anything":           {"PUT", "/bucket/k", large, map[string]string{"If-Match": "*"}, "NotImplemented", 501},
		"marker that is no version":  {"GET", "/bucket?versions&key-marker=k&version-id-marker=x", "", nil, "InvalidArgument", 400},
		"another configuration's id": {"PUT", "/bucket?metrics&id=a", "<MetricsConfiguration><Id>b</Id></MetricsConfiguration>", nil, "InvalidArgument", 400},
		"redirects and an index":     {"PUT", "/bucket?website", "<WebsiteConfiguration><IndexDocument><Suffix>i</Suffix></IndexDocument><RedirectAllRequestsTo><HostName>h</HostName></RedirectAllRequestsTo></WebsiteConfiguration>", nil, "InvalidArgument", 400},
		"queue that is none":         {"PUT", "/bucket?notification", "<NotificationConfiguration><QueueConfiguration><Queue>q</Queue><Event>s3:ObjectCreated:*</Event></QueueConfiguration></NotificationConfiguration>", nil, "InvalidArgument", 400},
		"event that is none":         {"PUT", "/bucket?notification", "<NotificationConfiguration><QueueConfiguration><Queue>arn:aws:sqs:us-east-1:000000000000:q</Queue><Event>x</Event></QueueConfiguration></NotificationConfiguration>", nil, "InvalidArgument", 400},
		"S3 Select":                  {"POST", "/bucket/k?select&select-type=2", "<SelectObjectContentRequest/>", nil, "NotImplemented", 501},
		"renamed":                    {"PUT", "/bucket/k?renameObject", "", map[string]string{"X-Amz-Rename-Source": "/bucket/x"}, "NotImplemented", 501},
	} {
		t.Run(name, func(t *testing.T) {
			w := s.send(t, c.method, c.path, c.body, c.header)
			if w.Code != c.status || c.code != "" && !strings.Contains(w.Body.String(), "<Code>"+c.code+"</Code>") {
				t.Errorf("want %d %s, got %d %s", c.status, c.code, w.Code, w.Body)
			}
		})
	}
	s.nothing(t)
}

// Parts but the last have 5 MiB.
func TestSmallParts(t *testing.T) {
	s := newSite(t)
	made, err := s.client.CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{Bucket: aws.String("bucket"), Key: aws.String("k")})
	if err != nil {
		t.Fatal(err)
	}
	var list []types.CompletedPart
	for number := range int32(2) {
		p, err := s.client.UploadPart(t.Context(), &s3.UploadPartInput{
			Bucket: aws.String("bucket"), Key: aws.String("k"), UploadId: made.UploadId, PartNumber: aws.Int32(number + 1), Body: bytes.NewReader(make([]byte, minPart-1)),
		})
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, types.CompletedPart{PartNumber: aws.Int32(number + 1), ETag: p.ETag})
	}
	_, err = s.client.CompleteMultipartUpload(t.Context(), &s3.CompleteMultipartUploadInput{
		Bucket: aws.String("bucket"), Key: aws.String("k"), UploadId: made.UploadId, MultipartUpload: &types.CompletedMultipartUpload{Parts: list},
	})
	if err == nil || !strings.Contains(err.Error(), "EntityTooSmall") {
		t.Errorf("got %v", err)
	}
	if w := s.call(t, http.MethodHead, "/bucket/k", nil, nil); w.Code != http.StatusNotFound {
		t.Errorf("the object has status %d", w.Code)
	}
}

// TestBadSignatures: what S3 says about headers and forms that cannot be signatures, in its own words.
func TestBadSignatures(t *testing.T) {
	s := newSite(t)
	const malformed = "The authorization header is malformed; "
	for name, c := range map[string]struct {
		method, query string
		header        map[string]string
		status        int
		want          []string
	}{
		"no space":       {"GET", "", map[string]string{"Authorization": "x"}, 400, []string{"<Code>InvalidArgument</Code>", "one and only one ' ' (space) required", "<ArgumentName>Authorization</ArgumentName>", "<ArgumentValue>x</ArgumentValue>"}},
		"only two":       {"GET", "", map[string]string{"Authorization": "AWS4-HMAC-SHA256 Credential=a,SignedHeaders=host"}, 400, []string{malformed + "the authorization header requires three components: Credential, SignedHeaders, and Signature."}},
		"preflight":      {"OPTIONS", "", map[string]string{"Origin": "http://a", "Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "x-a, x(b)"}, 400, []string{"Access-Control-Request-Headers &quot;x(b)&quot; contains invalid character."}},
		"another scheme": {"GET", "", map[string]string{"Authorization": "Basic x"}, 400, []string{"<Code>InvalidArgument</Code>", "Unsupported Authorization Type"}},
		"no component":   {"GET", "", map[string]string{"Authorization": "AWS4-HMAC-SHA256 x"}, 400, []string{"<Code>AuthorizationHeaderMalformed</Code>", malformed + "the authorization component &quot;x&quot; is malformed."}},
		"one is missing": {"GET", "", map[string]string{"Authorization": "AWS4-HMAC-SHA256 Credential=a,SignedHeaders=host,Sign=b"}, 400, []string{malformed + "missing Signature."}},
		"all missing":    {"GET", "", map[string]string{"Authorization": "AWS4-HMAC-SHA256 X=a"}, 400, []string{malformed + "the authorization header requires three components: Credential, SignedHeaders, and Signature."}},
		"no form":        {"POST", "", map[string]string{"Content-Type": "application/json"}, 412, []string{"<Code>PreconditionFailed</Code>", "<Condition>Bucket POST must be of the enclosure-type multipart/form-data</Condition>"}},
		"no boundary":    {"POST", "", map[string]string{"Content-Type": "multipart/form-data"}, 400, []string{"<Code>MalformedPOSTRequest</Code>"}},
		"presigned":      {"GET", "?X-Amz-Algorithm=x&X-Amz-Credential=a&X-Amz-Signature=b&X-Amz-Date=c&X-Amz-SignedHeaders=host&X-Amz-Expires=1", nil, 400, []string{"<Code>AuthorizationQueryParametersError</Code>", "X-Amz-Algorithm only supports &quot;AWS4-HMAC-SHA256 and AWS4-ECDSA-P256-SHA256&quot;"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest(c.method, "http://localhost/bucket"+c.query, strings.NewReader("body"))
			for name, value := range c.header {
				r.Header.Set(name, value)
			}
			w := httptest.NewRecorder()
			s.server.ServeHTTP(w, r)
			for _, want := range c.want {
				if w.Code != c.status || !strings.Contains(w.Body.String(), want) {
					t.Errorf("%d %s, want %s", w.Code, w.Body, want)
				}
			}
		})
	}
}

// What is larger than 5 GiB is copied in parts; each of them has at most 5 GiB.
// AWS: API reference of CopyObject and UploadPartCopy.
func TestCopyOfTooMuch(t *testing.T) {
	s := newSite(t)
	if w := s.send(t, http.MethodPut, "/bucket/large", "x", nil); w.Code != http.StatusOK {
		t.Fatal(w.Body)
	}
	err := s.db.Update(t.Context(), func(tx store.Tx) error {
		b, err := findBucket(tx, "bucket")
		if err != nil {
			return err
		}
		o, err := currentOf(tx, b, "large")
		if err != nil {
			return err
		}
		o.Size = maxPut + 1
		return objects.In(tx, global).Put(o)
	})
	if err != nil {
		t.Fatal(err)
	}
	made, err := s.client.CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{Bucket: aws.String("bucket"), Key: aws.String("k")})
	if err != nil {
		t.Fatal(err)
	}
	part := "/bucket/k?partNumber=1&uploadId=" + *made.UploadId
	for name, c := range map[string]struct{ path, span string }{
		"whole":         {"/bucket/k", ""},
		"whole, a part": {part, ""},
		"range, a part": {part, fmt.Sprintf("bytes=0-%d", int64(maxPut))},
	} {
		header := map[string]string{"X-Amz-Copy-Source": "bucket/large"}
		if c.span != "" {
			header["X-Amz-Copy-Source-Range"] = c.span
		}
		w := s.send(t, http.MethodPut, c.path, "", header)
		if w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), "<Code>InvalidRequest</Code>") || !strings.Contains(w.Body.String(), "larger than the maximum allowable size for a copy source: 5368709120") {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
}
