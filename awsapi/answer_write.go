package awsapi

import (
	"context"
	"io"
	mathrand "math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"miniaws/awsapi/meta"
)

// write sends the answer. The client may be gone, which nobody needs to know.
func (c *call) write(w http.ResponseWriter, reply *Reply) {
	if reply.Stream != nil {
		defer func() { _ = reply.Stream.Close() }()
	}
	header := w.Header()
	for name, values := range reply.Header {
		header[name] = values
	}
	c.allowOrigin(header)
	switch {
	case reply.Status == http.StatusNoContent, reply.Status == http.StatusNotModified:
		reply.Body = nil
		delete(header, "Content-Length")
	case c.http.Method == http.MethodHead && c.route.service.meta == meta.S3:
		// AWS: "HeadObject": errors have no body either; the length is the object's.
		reply.Body = nil
		if reply.Status >= http.StatusBadRequest {
			delete(header, "Content-Length")
		}
	case reply.Stream == nil:
		header["Content-Length"] = []string{strconv.Itoa(len(reply.Body))}
	}
	w.WriteHeader(reply.Status)
	if reply.Stream == nil || c.http.Method == http.MethodHead {
		_, _ = w.Write(reply.Body)
		return
	}
	if atOnce := c.server.options.AtOnce; atOnce != nil && smallAnswer(header) {
		atOnce(c.http.Context())
	}
	to := &patientWriter{ResponseWriter: w, call: c}
	if self, ok := reply.Stream.(io.WriterTo); ok {
		_, _ = self.WriteTo(to)
	} else {
		_, _ = io.Copy(to, reply.Stream)
	}
	_ = c.control.SetWriteDeadline(time.Time{})
}

// smallAnswer tells whether an answer has a length, and at most that of a small object.
func smallAnswer(header http.Header) bool {
	length, err := strconv.Atoi(header.Get("Content-Length"))
	return err == nil && length <= 16<<10
}

// patience of one piece of an answer: a client that takes none of it for so long is cut off.
const piece = 4 << 20

// patientWriter gives every piece of a streamed answer the time that it may take. It keeps the kernel's way from file
// to socket open: a limited file stays one.
type patientWriter struct {
	http.ResponseWriter
	call *call
	set  time.Time
}

func (w *patientWriter) wait() {
	if now := time.Now(); now.Sub(w.set) > w.call.server.options.BodyPatience/8 {
		w.set = now
		_ = w.call.control.SetWriteDeadline(now.Add(w.call.server.options.BodyPatience))
	}
}

func (w *patientWriter) Write(p []byte) (int, error) {
	w.wait()
	return w.ResponseWriter.Write(p)
}

// ReadFrom copies in pieces, each with its own time.
func (w *patientWriter) ReadFrom(src io.Reader) (total int64, err error) {
	limited, ok := src.(*io.LimitedReader)
	if !ok {
		limited = &io.LimitedReader{R: src, N: 1<<63 - 1}
	}
	for limited.N > 0 {
		w.wait()
		part := &io.LimitedReader{R: limited.R, N: min(limited.N, piece)}
		n, err := io.Copy(w.ResponseWriter, part)
		total += n
		limited.N -= n
		if err != nil || n == 0 || part.N > 0 {
			return total, err
		}
	}
	return total, nil
}

// Unwrap lets http.ResponseController through.
func (w *patientWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// allowOrigin adds what a browser wants to know of a cross-origin request.
func (c *call) allowOrigin(header http.Header) {
	bucket := c.route.labels["Bucket"]
	if c.server.browsers == nil || bucket == "" || c.route.service.meta != meta.S3 || c.http.Header["Origin"] == nil || c.http.Method == http.MethodOptions {
		return
	}
	allowed, err := c.server.browsers.CORS(c.http.Context(), bucket, c.http)
	if err != nil {
		return // the answer stands; the browser does not show it
	}
	for name, values := range allowed {
		header[name] = values
	}
}

// preflight answers a browser's question whether it may send a request. It is not signed and not authorized: nobody
// learns more than the bucket's CORS rules.
//
// AWS: "OPTIONS object" and "Error responses" of the S3 API reference.
func (c *call) preflight(ctx context.Context) error {
	if c.http.Method != http.MethodOptions || c.route.service.meta != meta.S3 {
		return nil
	}
	if c.http.Header.Get("Origin") == "" {
		return &Error{Code: "BadRequest", Message: "Insufficient information. Origin request header needed.", Status: http.StatusBadRequest}
	}
	method := c.http.Header.Get("Access-Control-Request-Method")
	if method == "" {
		return &Error{Code: "BadRequest", Message: "Invalid Access-Control-Request-Method: null", Status: http.StatusBadRequest}
	}
	if bucket := c.route.labels["Bucket"]; bucket != "" && c.server.browsers != nil {
		header, err := c.server.browsers.CORS(ctx, bucket, c.http)
		if err != nil {
			return err
		}
		if header != nil {
			c.reply = &Reply{Status: http.StatusOK, Header: header}
			setRequestID(header, meta.S3, c.request.ID)
			return nil
		}
	}
	return &Error{
		Code: "AccessForbidden", Message: "CORSResponse: CORS is not enabled for this bucket.", Status: http.StatusForbidden,
		Fields: map[string]string{"Method": shorten(method), "ResourceType": "BUCKET"},
	}
}

// StampS3 gives an answer of S3 that no operation makes, as a website's redirect, the headers of one, and answers the ids
// in them.
func StampS3(header http.Header) (request, host string) {
	request = newS3RequestID(time.Now())
	setRequestID(header, meta.S3, request)
	return request, hostID(request)
}

// newS3RequestID answers sixteen digits, as S3 shows: eleven for the time in milliseconds, five at random.
func newS3RequestID(at time.Time) string {
	const digits = "0123456789ABCDEF"
	var text [16]byte
	number := uint64(at.UnixMilli())<<20 | mathrand.N[uint64](1<<20)
	for i := range text {
		text[i] = digits[number>>(60-4*i)&15]
	}
	return string(text[:])
}
