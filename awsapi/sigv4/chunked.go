package sigv4

import (
	"bufio"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"miniaws/backend/sha"
)

const (
	// AWS: "Signature calculations: transferring payload in multiple chunks": all but the last chunk have 8 KiB or more.
	minChunk = 8 << 10

	maxChunkHeader = 256
	maxTrailerLine = 4 << 10
	maxTrailers    = 16
	maxBlankLines  = 4 // in and after the trailer
)

// chunkReader undoes S3's aws-chunked coding:
//
//	10000;chunk-signature=<hex>CRLF  65536 bytes  CRLF
//	0;chunk-signature=<hex>CRLF
//	x-amz-checksum-crc32:<base64>CRLF
//	x-amz-trailer-signature:<hex>CRLF
//	CRLF
//
// A line of the trailer ends with LF, CRLF or, in clients as old as minio-go, LF CRLF: a blank line behind each.
//
// Each signature covers the one before it, so that chunks cannot be dropped,
// repeated or reordered. A chunk streams, however long it is: its signature is
// compared before its last bytes are given out.
type chunkReader struct {
	src *bufio.Reader
	s   *Signature

	signed   bool
	trailers bool
	declared []string // names of x-amz-trailer, lower case

	left      int64 // decoded bytes still to come
	chunk     int64 // bytes left in this chunk
	signature string
	hash      hash.Hash // of this chunk; nil where chunks are not signed
	work      []byte    // strings to sign
	prev      []byte    // hex signature of the chunk before
	last      int64     // size of the chunk before, -1 before the first
	number    int

	trailer http.Header
	done    bool
}

var readers = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, 32<<10) }}

func newChunkReader(src io.Reader, s *Signature, length int64, declared []string) *chunkReader {
	c := &chunkReader{
		s: s, left: length, last: -1,
		signed:   s.Payload != PayloadUnsignedTrailer,
		trailers: s.Payload != PayloadChunked,
		prev:     []byte(strings.ToLower(s.signature)),
	}
	for _, list := range declared {
		for name := range strings.SplitSeq(list, ",") {
			if name = strings.ToLower(strings.TrimSpace(name)); name != "" && len(c.declared) <= maxTrailers {
				c.declared = append(c.declared, name)
			}
		}
	}
	c.src = readers.Get().(*bufio.Reader)
	c.src.Reset(src)
	if c.signed {
		c.hash = sha.New()
	}
	return c
}

// release gives the buffers back; the reader must not be read any more.
func (c *chunkReader) release() {
	if c.src == nil {
		return
	}
	c.src.Reset(nil)
	readers.Put(c.src)
	c.src = nil
}

func (c *chunkReader) Read(p []byte) (int, error) {
	switch {
	case c.src == nil:
		return 0, http.ErrBodyReadAfterClose
	case c.done:
		return 0, io.EOF
	case c.left == 0:
		if err := c.finish(); err != nil {
			return 0, err
		}
		return 0, io.EOF
	case c.chunk == 0:
		size, signature, err := c.header()
		if err != nil {
			return 0, err
		}
		if size == 0 || size > c.left { // ends early, or is longer than announced
			return 0, errOtherLength()
		}
		c.chunk, c.signature = size, signature
	}
	if int64(len(p)) > c.chunk {
		p = p[:c.chunk]
	}
	n, err := c.src.Read(p)
	c.chunk -= int64(n)
	c.left -= int64(n)
	if c.signed {
		c.hash.Write(p[:n])
	}
	switch {
	case c.chunk > 0 && err != nil:
		return 0, bodyError(err)
	case c.chunk > 0:
		return n, nil
	}
	if err := c.endChunk(); err != nil {
		return 0, err
	}
	if c.left > 0 {
		return n, nil
	}
	if err := c.finish(); err != nil { // the last bytes are kept back until the end is verified
		return 0, err
	}
	return n, io.EOF
}

// endChunk verifies the chunk whose bytes were all read.
func (c *chunkReader) endChunk() error {
	if err := c.crlf(); err != nil || !c.signed {
		return err
	}
	sum := [sha.Size]byte(c.hash.Sum(nil))
	c.hash.Reset()
	return c.verify(c.signature, sum)
}

// header reads "size;chunk-signature=hex".
func (c *chunkReader) header() (size int64, signature string, err error) {
	line, err := c.line(maxChunkHeader)
	if err != nil {
		return 0, "", err
	}
	text, strict := strings.CutSuffix(line, "\r")
	digits, extension, extended := strings.Cut(text, ";")
	signature, named := strings.CutPrefix(extension, "chunk-signature=")
	if !strict || extended != c.signed || named != c.signed || len(digits) > 15 {
		return 0, "", &Error{Kind: MalformedChunk}
	}
	size, err = strconv.ParseInt(digits, 16, 64)
	if err != nil || hexDigit(digits[0]) > 15 {
		return 0, "", &Error{Kind: MalformedChunk}
	}
	c.number++
	if size > 0 && c.last >= 0 && c.last < minChunk {
		return 0, "", &Error{Kind: ChunkTooSmall, Fields: []Field{
			{"Chunk", strconv.Itoa(c.number)}, {"BadChunkSize", strconv.FormatInt(c.last, 10)},
		}}
	}
	c.last = size
	return size, signature, nil
}

// crlf reads the line break after a chunk's bytes.
func (c *chunkReader) crlf() error {
	line, err := c.line(2)
	if err == nil && line != "\r" {
		err = &Error{Kind: MalformedChunk}
	}
	return err
}

// errOtherLength is the answer to chunks that together are not as long as announced.
// AWS: "Error responses", IncompleteBody.
func errOtherLength() error {
	return &Error{Kind: IncompleteBody, S3Detail: "You did not provide the number of bytes specified by the Content-Length HTTP header."}
}

// finish verifies the empty chunk, the trailer, and that nothing follows.
func (c *chunkReader) finish() error {
	size, signature, err := c.header()
	if err != nil {
		return err
	}
	if size != 0 {
		return errOtherLength()
	}
	if c.signed {
		if err := c.verify(signature, sha.Sum256(nil)); err != nil {
			return err
		}
	}
	trailer, err := c.readTrailer()
	if err != nil {
		return err
	}
	c.trailer, c.done = trailer, true
	return nil
}

// readTrailer reads lines up to the end. Clients put none, one or two blank ones behind them, and some also one before the
// signature; AWS takes them all. The signature comes last.
func (c *chunkReader) readTrailer() (http.Header, error) {
	trailer := http.Header{}
	var text []byte
	signature, blank := "", 0
	for {
		line, err := c.line(maxTrailerLine)
		line = strings.TrimSuffix(line, "\r")
		if KindOf(err) == IncompleteBody && line == "" {
			// The end, unless the connection broke before all that was announced had come.
			if _, err := c.src.ReadByte(); !errors.Is(err, io.EOF) {
				return nil, bodyError(err)
			}
			break
		}
		if err != nil {
			if KindOf(err) != 0 {
				err = &Error{Kind: MalformedTrailer}
			}
			return nil, err
		}
		if line == "" {
			if blank++; blank > maxBlankLines {
				return nil, &Error{Kind: MalformedChunk}
			}
			continue
		}
		name, value, ok := strings.Cut(line, ":")
		name, value = strings.ToLower(strings.TrimSpace(name)), strings.TrimSpace(value)
		switch {
		case !ok || name == "" || !c.trailers || len(trailer) >= maxTrailers || signature != "":
			return nil, &Error{Kind: MalformedTrailer}
		case name == "x-amz-trailer-signature" && c.signed:
			signature = value
			continue
		}
		key := http.CanonicalHeaderKey(name)
		if trailer[key] != nil || !c.declares(name) {
			return nil, &Error{Kind: MalformedTrailer}
		}
		trailer[key] = []string{value}
		text = append(text, name...)
		text = append(text, ':')
		text = append(text, value...)
		text = append(text, '\n')
	}
	if len(trailer) != len(c.declared) && c.trailers {
		return nil, &Error{Kind: MalformedTrailer}
	}
	if !c.signed || !c.trailers {
		return trailer, nil
	}
	// AWS: "Signature calculations for trailing headers".
	sum := sha.Sum256(text)
	b := append(c.work[:0], make([]byte, sha.BlockSize)...)
	b = c.s.appendPrefix(b, "AWS4-HMAC-SHA256-TRAILER")
	b = append(b, c.prev...)
	b = append(b, '\n')
	b = hex.AppendEncode(b, sum[:])
	return trailer, c.compare(b, signature)
}

func (c *chunkReader) declares(name string) bool {
	for _, declared := range c.declared {
		if declared == name {
			return true
		}
	}
	return false
}

// verify checks the signature of a chunk with that hash and makes it the one that the next is chained to.
func (c *chunkReader) verify(signature string, sum [sha.Size]byte) error {
	b := append(c.work[:0], make([]byte, sha.BlockSize)...)
	b = c.s.appendPrefix(b, "AWS4-HMAC-SHA256-PAYLOAD")
	b = append(b, c.prev...)
	b = append(b, "\n"+emptyHash+"\n"...)
	b = hex.AppendEncode(b, sum[:])
	if err := c.compare(b, signature); err != nil {
		return err
	}
	c.prev = append(c.prev[:0], strings.ToLower(signature)...)
	return nil
}

// compare signs the text behind room for HMAC's pad.
func (c *chunkReader) compare(b []byte, signature string) error {
	c.work = b
	if equalHex(c.s.key.sum(b), signature) {
		return nil
	}
	err := c.s.fail(SignatureMismatch, "", "")
	err.StringToSign, err.SignatureProvided = string(b[sha.BlockSize:]), signature
	return err
}

// line reads up to a line feed, which it removes; the carriage return stays.
func (c *chunkReader) line(limit int) (string, error) {
	line, err := c.src.ReadSlice('\n')
	switch {
	case errors.Is(err, bufio.ErrBufferFull), len(line) > limit:
		return "", &Error{Kind: MalformedChunk}
	case err != nil:
		return string(line), bodyError(err)
	}
	return string(line[:len(line)-1]), nil
}
