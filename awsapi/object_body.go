package awsapi

import (
	"bytes"
	"context"
	"crypto/md5" //nolint:gosec // Content-MD5 is a checksum
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"miniaws/awsapi/sigv4"
	"miniaws/backend/checksum"
)

// streams tells of an input type that its body is read by the handler.
func streams(in reflect.Type) bool {
	for i := range in.NumField() {
		if in.Field(i).Type == readerType {
			return true
		}
	}
	return false
}

// receive takes the body of what may be S3's, now that it is known who sends it. One that streams is only prepared, so
// that a handler may refuse it before the client was asked to send it; any other is read and verified.
func (c *call) receive(ctx context.Context) error {
	c.request.Header = c.http.Header
	if !c.streamed || c.operation == nil || !s3Family(c.route.service.meta) {
		return nil
	}
	if c.form != nil {
		return c.receiveFile()
	}
	c.unhoist()
	if c.http.ContentLength == 0 && !c.operation.streams {
		return c.checkDocument()
	}
	if hash := c.http.Header.Get("X-Amz-Content-Sha256"); !c.operation.streams && strings.HasPrefix(hash, "STREAMING-") {
		// AWS: the words as versitygw's tests found them at S3 (UnsignedStreamingPayloadTrailer_not_allowed).
		return invalidRequest("The value of x-amz-content-sha256 header is invalid.")
	}
	body, err := c.verifiedBody()
	if err != nil {
		return c.refusal(err)
	}
	if coded := c.http.Header.Get("Content-Encoding"); coded != "" {
		if rest := sigv4.WithoutAWSChunked(coded); rest != "" {
			c.http.Header.Set("Content-Encoding", rest)
		} else {
			c.http.Header.Del("Content-Encoding")
		}
	}
	c.upload = &upload{call: c, from: body, trailer: body.Trailer}
	c.request.trailer = body.Trailer
	if c.operation.streams {
		if body.Length() < 0 {
			// AWS: "Error responses": NotImplemented; the words as clients report them.
			return &Error{
				Code: "NotImplemented", Message: "A header you provided implies functionality that is not implemented", Status: http.StatusNotImplemented,
				Fields: map[string]string{"Header": "Transfer-Encoding", "AdditionalMessage": "A header you provided implies functionality that is not implemented"},
			}
		}
		if c.http.ContentLength == 0 && c.http.Header.Get("Content-Length") == "" {
			return &Error{Code: "MissingContentLength", Message: "You must provide the Content-Length HTTP header.", Status: http.StatusLengthRequired}
		}
		c.http.Header["Content-Length"] = []string{strconv.FormatInt(body.Length(), 10)}
		return nil
	}
	limit := int64(MaxBody)
	if c.signature == nil {
		limit = maxUnsigned
	}
	if body.Length() > limit {
		return tooLarge()
	}
	if err := c.takeRoom(ctx, limit); err != nil {
		return err
	}
	if c.plain, err = io.ReadAll(io.LimitReader(c.upload, limit+1)); err != nil {
		return err
	}
	if int64(len(c.plain)) > limit {
		return tooLarge()
	}
	_ = c.control.SetReadDeadline(time.Time{})
	return c.checkDocument()
}

// verifiedBody is the body that the signature, or for anonymous callers its own framing, vouches for.
func (c *call) verifiedBody() (*sigv4.Body, error) {
	// The request keeps its body: net/http must know it again, or it waits for a body that nobody asked the client for.
	timed := *c.http
	timed.Body = &patientBody{ReadCloser: c.http.Body, call: c}
	if c.signature == nil {
		return sigv4.AnonymousBody(&timed)
	}
	return c.signature.Body(&timed)
}

// unhoist puts headers back that the SDKs move into the query of a presigned URL.
func (c *call) unhoist() {
	if c.signature == nil || c.signature.Carrier != sigv4.InQuery {
		return
	}
	for name, values := range c.route.query {
		lowered := strings.ToLower(name)
		// botocore's URLs of version 2 have what was signed of the content, too.
		ofContent := c.signature.Version == sigv4.V2 && (lowered == "content-type" || lowered == "content-md5")
		if !ofContent && !strings.HasPrefix(lowered, "x-amz-") {
			continue
		}
		switch lowered {
		case "x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-expires", "x-amz-signedheaders", "x-amz-signature", "x-amz-security-token", "x-amz-content-sha256":
			continue
		}
		key := http.CanonicalHeaderKey(name)
		if key == "X-Amz-Sdk-Checksum-Algorithm" || slices.ContainsFunc(checksum.All, func(a checksum.Algorithm) bool { return a.Header() == key }) {
			continue // not in the query: the JavaScript SDK signs that of no bytes into its URLs, and S3 takes other ones
		}
		if c.http.Header[key] == nil {
			c.http.Header[key] = values
		}
	}
}

// checkDocument compares a document with the checksums that came along.
//
// AWS: "Error responses": InvalidDigest, BadDigest; the words for checksum headers as S3 sends them.
func (c *call) checkDocument() error {
	h := c.http.Header
	sent := h["Content-Md5"]
	if sent != nil {
		claimed := sent[0]
		sum, err := base64.StdEncoding.DecodeString(claimed)
		if err != nil || len(sum) != md5.Size {
			return &Error{Code: "InvalidDigest", Message: "The Content-MD5 you specified was invalid.", Status: http.StatusBadRequest, Fields: map[string]string{"Content-MD5": shorten(claimed)}}
		}
		if computed := md5.Sum(c.plain); !bytes.Equal(sum, computed[:]) {
			return &Error{Code: "BadDigest", Message: "The Content-MD5 you specified did not match what we received.", Status: http.StatusBadRequest, Fields: map[string]string{
				"ExpectedDigest": shorten(claimed), "CalculatedDigest": base64.StdEncoding.EncodeToString(computed[:]),
			}}
		}
	}
	if !c.operation.documents() {
		return nil
	}
	checked := sent != nil && sent[0] != ""
	for _, a := range checksum.All {
		claimed := ""
		if sent := h[a.Header()]; sent != nil {
			claimed = sent[0]
		}
		if claimed == "" && c.request.trailer != nil {
			claimed = c.request.Trailer().Get(a.Header())
		}
		if claimed == "" {
			continue
		}
		sum, ok := a.Decode(claimed)
		if !ok {
			return &Error{Code: "InvalidRequest", Message: "Value for " + strings.ToLower(a.Header()) + " header is invalid.", Status: http.StatusBadRequest}
		}
		computed := a.New()
		computed.Write(c.plain)
		if !bytes.Equal(computed.Sum(nil), sum) {
			return &Error{Code: "BadDigest", Message: "The " + string(a) + " you specified did not match the calculated checksum.", Status: http.StatusBadRequest}
		}
		checked = true
	}
	if !checked && c.operation.checksummed {
		// AWS: "Checking object integrity": these operations insist on one.
		return &Error{Code: "InvalidRequest", Message: "Missing required header for this request: Content-MD5 OR x-amz-checksum-*", Status: http.StatusBadRequest}
	}
	return nil
}

// documents tells whether a body of this operation is one as a whole: CompleteMultipartUpload's checksum headers are of
// the object that it makes, not of its document.
func (o *Operation) documents() bool { return o.name != "CompleteMultipartUpload" }

// upload is the body that a handler reads. Its errors are S3's already.
type upload struct {
	call    *call
	from    io.ReadCloser
	trailer func() http.Header
}

func (u *upload) Read(p []byte) (int, error) {
	n, err := u.from.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = u.call.bodyError(err)
	}
	return n, err
}

func (u *upload) Close() error { return u.from.Close() }

// bodyError words what went wrong while a body was read.
func (c *call) bodyError(err error) error {
	var known *Error
	switch {
	case errors.As(err, &known):
		return err
	case errors.Is(err, os.ErrDeadlineExceeded):
		// AWS: "Error responses": RequestTimeout.
		return &Error{Code: "RequestTimeout", Message: "Your socket connection to the server was not read from or written to within the timeout period.", Status: http.StatusBadRequest, cause: err}
	case sigv4.KindOf(err) != 0:
		return c.refusal(err)
	}
	return &Error{Code: "IncompleteBody", Message: "The request body terminated unexpectedly", Status: http.StatusBadRequest, cause: err}
}

// patientBody gives every read the time that one may take, so that a slow upload goes on and a stuck one ends.
type patientBody struct {
	io.ReadCloser
	call *call
	set  time.Time
}

func (b *patientBody) Read(p []byte) (int, error) {
	if now := time.Now(); now.Sub(b.set) > b.call.server.options.BodyPatience/8 {
		b.set = now
		_ = b.call.control.SetReadDeadline(now.Add(b.call.server.options.BodyPatience))
	}
	return b.ReadCloser.Read(p)
}
