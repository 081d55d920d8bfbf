package blob

import (
	"bytes"
	"crypto/cipher"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"

	"miniaws/backend/store"
)

// Body is a blob that is read. What it holds stays readable when the blob is removed meanwhile. Close it.
type Body struct {
	ref    Ref
	bytes  []byte // of a small blob
	source Source
	aead   cipher.AEAD // nil for plain bytes
}

// Open opens a blob in the transaction that read its record. The customer's key is nil for blobs that are not Foreign.
// Errors: ErrGone, ErrDamaged.
func (s *Store) Open(tx store.Tx, ref Ref, customer []byte) (*Body, error) {
	b := &Body{ref: ref}
	if ref.ID == "" {
		return b, nil
	}
	if !ref.File {
		rest, err := bytesTable.In(tx, global).Get(ref.ID)
		if errors.Is(err, store.ErrNotFound) {
			return nil, ErrGone
		}
		if err == nil && !ref.Plain {
			rest, err = open(s.keyOf(ref.sealed(), customer), rest)
		}
		if err == nil && int64(len(rest)) != ref.Size {
			err = fmt.Errorf("%w: it has %d bytes instead of %d", ErrDamaged, len(rest), ref.Size)
		}
		b.bytes = rest
		return b, err
	}
	source, err := s.files.Open(ref.ID)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrGone
	}
	if err != nil {
		return nil, err
	}
	b.source = source
	if !ref.Plain {
		b.aead = newAEAD(s.keyOf(ref.sealed(), customer))
	}
	return b, nil
}

// Size is how many bytes there are.
func (b *Body) Size() int64 { return b.ref.Size }

// Close gives the file back.
func (b *Body) Close() error {
	if b.source == nil {
		return nil
	}
	return b.source.Close()
}

// Range reads length bytes from offset on; they must be there. Closing it closes the body. It is an io.WriterTo that
// lets the kernel send plain bytes from a file to a socket.
func (b *Body) Range(offset, length int64) io.ReadCloser {
	switch {
	case b.source == nil:
		return inlineRange{bytes.NewReader(b.bytes[offset : offset+length])}
	case b.aead == nil:
		section := io.NewSectionReader(b.source, offset, length)
		return &plainRange{body: b, section: section, offset: offset, length: length}
	}
	return &sealedRange{body: b, offset: offset, left: length}
}

type inlineRange struct{ *bytes.Reader }

func (inlineRange) Close() error { return nil }

// plainRange reads bytes as they lie in the file.
type plainRange struct {
	body           *Body
	section        *io.SectionReader
	offset, length int64
}

func (r *plainRange) Read(p []byte) (int, error) { return r.section.Read(p) }
func (r *plainRange) Close() error               { return r.body.Close() }

// WriteTo hands the file itself to the writer, who may know a shorter way than through memory.
func (r *plainRange) WriteTo(w io.Writer) (int64, error) {
	if f, ok := r.body.source.(*os.File); ok {
		if _, err := f.Seek(r.offset, io.SeekStart); err != nil {
			return 0, err
		}
		return io.Copy(w, &io.LimitedReader{R: f, N: r.length})
	}
	return io.Copy(w, struct{ io.Reader }{r.section})
}

// sealedRange decrypts some chunks at a time.
type sealedRange struct {
	body   *Body
	offset int64 // of the next byte, as the user counts
	left   int64
	buffer *[]byte
	ready  []byte // decrypted, inside of buffer
}

// readChunks is how many chunks are read from a file at once.
const readChunks = 4

var readBuffers = sync.Pool{New: func() any { b := make([]byte, readChunks*restSize); return &b }}

func (r *sealedRange) fill() error {
	if r.buffer == nil {
		r.buffer = readBuffers.Get().(*[]byte)
	}
	number := r.offset / chunkSize
	skip := r.offset % chunkSize
	at := number * restSize
	wanted := min((skip+r.left+chunkSize-1)/chunkSize, readChunks) * restSize
	rest := (*r.buffer)[:min(wanted, atRest(r.body.ref)-at)]
	if n, err := r.body.source.ReadAt(rest, at); n < len(rest) {
		if err == nil || errors.Is(err, io.EOF) {
			err = fmt.Errorf("%w: its file is too short", ErrDamaged)
		}
		return err
	}
	var plain []byte
	for out := (*r.buffer)[:0]; len(rest) > 0; number++ {
		n := min(len(rest), restSize)
		// Decrypted in place, then moved down over the tags of the chunks before.
		chunk, err := r.body.aead.Open(rest[:0], nonce(number), rest[:n], nil)
		if err != nil {
			return fmt.Errorf("%w: chunk %d does not fit its key", ErrDamaged, number)
		}
		out = append(out, chunk...)
		plain, rest = out, rest[n:]
	}
	r.ready = plain[skip:]
	r.ready = r.ready[:min(int64(len(r.ready)), r.left)]
	r.offset += int64(len(r.ready))
	r.left -= int64(len(r.ready))
	return nil
}

func (r *sealedRange) Read(p []byte) (int, error) {
	if len(r.ready) == 0 {
		if r.left == 0 {
			return 0, io.EOF
		}
		if err := r.fill(); err != nil {
			return 0, err
		}
	}
	n := copy(p, r.ready)
	r.ready = r.ready[n:]
	return n, nil
}

// WriteTo writes whole chunks.
func (r *sealedRange) WriteTo(w io.Writer) (total int64, err error) {
	for len(r.ready) > 0 || r.left > 0 {
		if len(r.ready) == 0 {
			if err := r.fill(); err != nil {
				return total, err
			}
		}
		n, err := w.Write(r.ready)
		total += int64(n)
		r.ready = r.ready[n:]
		if err != nil {
			return total, err
		}
	}
	return total, nil
}

func (r *sealedRange) Close() error {
	if r.buffer != nil {
		readBuffers.Put(r.buffer)
		r.buffer, r.ready, r.left = nil, nil, 0
	}
	return r.body.Close()
}
