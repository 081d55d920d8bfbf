package sigv4

import (
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"net/http"
	"strconv"
	"strings"

	"miniaws/backend/sha"
)

// Payload says how a body is bound to the signature.
type Payload uint8

// The ways to bind a body.
const (
	PayloadImplied         Payload = iota // no header: the hash of the body is in the canonical request
	PayloadHashed                         // x-amz-content-sha256 names the hash
	PayloadUnsigned                       // UNSIGNED-PAYLOAD
	PayloadChunked                        // signed chunks
	PayloadChunkedTrailer                 // signed chunks and a signed trailer
	PayloadUnsignedTrailer                // plain chunks and a trailer
)

const (
	unsignedPayload = "UNSIGNED-PAYLOAD"
	emptyHash       = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
)

// setPayload reads x-amz-content-sha256 ("" when there is none).
func (s *Signature) setPayload(value string) error {
	s.PayloadHash = value
	switch value {
	case "":
		s.Payload = PayloadImplied
		if isS3(s.Service) {
			return s.fail(MissingPayloadHash, "", "")
		}
	case unsignedPayload:
		s.Payload = PayloadUnsigned
	case "STREAMING-AWS4-HMAC-SHA256-PAYLOAD":
		s.Payload = PayloadChunked
	case "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER":
		s.Payload = PayloadChunkedTrailer
	case "STREAMING-UNSIGNED-PAYLOAD-TRAILER":
		s.Payload = PayloadUnsignedTrailer
	default:
		if _, ok := unhex(value); !ok {
			return s.invalidHash()
		}
		s.Payload = PayloadHashed
	}
	return nil
}

func (s *Signature) invalidHash() *Error {
	err := s.fail(InvalidPayloadHash, s.PayloadHash, "")
	err.Fields = []Field{{"ArgumentName", "x-amz-content-sha256"}, {"ArgumentValue", clip(s.PayloadHash)}}
	return err
}

// payloadLine is the last line of the canonical request.
func (s *Signature) payloadLine(opts Options) (string, error) {
	switch s.Payload {
	case PayloadImplied:
		if opts.Streamed && s.bodyLength != 0 {
			return "", s.fail(MissingPayloadHash, "", "")
		}
		if len(opts.Body) == 0 {
			return emptyHash, nil
		}
		sum := sha.Sum256(opts.Body)
		return hex.EncodeToString(sum[:]), nil
	case PayloadUnsigned:
		if !isS3(s.Service) && !opts.AllowUnsignedPayload {
			return "", s.invalidHash()
		}
	case PayloadChunked, PayloadChunkedTrailer, PayloadUnsignedTrailer:
		if !isS3(s.Service) || !opts.Streamed {
			return "", s.invalidHash()
		}
	}
	return s.PayloadHash, nil
}

// CheckBody compares a buffered body with the hash that the request names. It
// is for callers that pass Streamed to Verify and read the body later by
// themselves; an implied hash was already checked there.
func (s *Signature) CheckBody(body []byte) error {
	if s.Payload != PayloadHashed {
		return nil
	}
	sum := sha.Sum256(body)
	return s.checkSum(sum)
}

func (s *Signature) checkSum(sum [sha.Size]byte) error {
	if equalHex(sum, s.PayloadHash) {
		return nil
	}
	computed := hex.EncodeToString(sum[:])
	err := s.fail(PayloadMismatch, s.PayloadHash, computed)
	err.Fields = []Field{{"ClientComputedContentSHA256", s.PayloadHash}, {"S3ComputedContentSHA256", computed}}
	return err
}

// Body is a request body that refuses bytes nobody signed. Whoever has read
// Length bytes, or met io.EOF, holds the body that was signed: the last byte
// is kept back until hash, last chunk and trailer are verified. What came out
// before may be changed all the same, so nothing counts before the end.
// An error stays.
type Body struct {
	reader io.Reader
	closer io.Closer
	chunks *chunkReader // nil unless chunked
	length int64
	err    error
}

// Body wraps the body of a request that Verify let pass; the caller reads and
// closes the result instead of r.Body. Unsigned payloads come back as they are.
func (s *Signature) Body(r *http.Request) (*Body, error) {
	if !s.verified {
		return nil, s.fail(SignatureMismatch, "", "")
	}
	src := r.Body
	if src == nil {
		src = http.NoBody
	}
	b := &Body{closer: src, length: r.ContentLength}
	if s.Payload < PayloadChunked {
		if r.Header.Get("X-Amz-Trailer") != "" { // a trailer was announced, but none can come
			return nil, s.fail(MalformedTrailer, "", "")
		}
		if s.Payload == PayloadHashed {
			b.reader = &hashReader{src: src, hash: sha.New(), left: r.ContentLength, s: s}
		} else {
			b.reader = src
		}
		return b, nil
	}
	length, err := s.single(r, "X-Amz-Decoded-Content-Length")
	if err != nil {
		return nil, err
	}
	b.length, err = strconv.ParseInt(length, 10, 64)
	if err != nil || b.length < 0 {
		return nil, s.fail(MissingDecodedLength, length, "")
	}
	b.chunks = newChunkReader(src, s, b.length, r.Header["X-Amz-Trailer"])
	b.reader = b.chunks
	return b, nil
}

// Read returns verified bytes, or an *Error for a body that is not the signed one.
func (b *Body) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	if len(p) == 0 {
		return 0, nil
	}
	n, err := b.reader.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = bodyError(err)
	}
	b.err = err
	return n, err
}

// Close closes the request's body and gives buffers back; the rest is not verified.
func (b *Body) Close() error {
	if b.chunks != nil {
		b.chunks.release()
	}
	if b.err == nil || errors.Is(b.err, io.EOF) {
		b.err = http.ErrBodyReadAfterClose
	}
	return b.closer.Close()
}

// Length is the number of bytes that Read yields in all, or -1 when the request does not say.
func (b *Body) Length() int64 { return b.length }

// Trailer has the verified trailer of a chunked body, in canonical header
// names; nil until the whole body was read.
func (b *Body) Trailer() http.Header {
	if b.chunks == nil || !b.chunks.done {
		return nil
	}
	return b.chunks.trailer
}

// hashReader compares the hash of a streamed body with the signed one.
type hashReader struct {
	src  io.Reader
	hash hash.Hash
	left int64 // -1: until EOF
	s    *Signature
	done bool
}

func (h *hashReader) Read(p []byte) (int, error) {
	if h.done {
		return 0, io.EOF
	}
	if h.left > 0 && int64(len(p)) > h.left {
		p = p[:h.left]
	}
	n, err := 0, io.EOF
	if h.left != 0 {
		n, err = h.src.Read(p)
		h.hash.Write(p[:n])
	}
	if h.left > 0 {
		h.left -= int64(n)
		if err == io.EOF && h.left > 0 {
			return 0, io.ErrUnexpectedEOF
		}
	}
	if h.left != 0 && err != io.EOF {
		return n, err
	}
	h.done = true
	if bad := h.s.checkSum([sha.Size]byte(h.hash.Sum(nil))); bad != nil {
		return 0, bad
	}
	return n, io.EOF
}

// WithoutAWSChunked removes the coding that Body undoes from a Content-Encoding,
// because S3 stores the rest with the object.
func WithoutAWSChunked(encoding string) string {
	if !strings.Contains(strings.ToLower(encoding), "aws-chunked") {
		return encoding
	}
	var kept []string
	for one := range strings.SplitSeq(encoding, ",") {
		if one = strings.TrimSpace(one); one != "" && !strings.EqualFold(one, "aws-chunked") {
			kept = append(kept, one)
		}
	}
	return strings.Join(kept, ", ")
}

// AnonymousBody wraps the body of a request without a signature, whose claims about it hold all the same: a hash in
// x-amz-content-sha256, or the framing and the trailer of an unsigned chunked body.
func AnonymousBody(r *http.Request) (*Body, error) {
	s := &Signature{Version: V4, Service: "s3", Payload: PayloadUnsigned, verified: true}
	if hash := r.Header.Get("X-Amz-Content-Sha256"); hash != "" {
		if err := s.setPayload(hash); err != nil {
			return nil, err
		}
	}
	if s.Payload == PayloadChunked || s.Payload == PayloadChunkedTrailer {
		return nil, s.invalidHash() // signed chunks of nobody
	}
	return s.Body(r)
}
