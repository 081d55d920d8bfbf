package blob

import (
	"context"
	"crypto/cipher"
	"crypto/md5" //nolint:gosec // the ETag
	"errors"
	"hash"
	"io"
	"sync/atomic"

	"miniaws/backend/checksum"
)

// WriteOptions says how a body is written.
type WriteOptions struct {
	// Size is how long the body says that it is, -1 if it does not.
	Size int64
	// Limit is how long it may be; 0 is no limit.
	Limit int64
	// Sums are computed beside MD5, which always is.
	Sums []checksum.Algorithm
	// Customer is a key of 32 bytes to encrypt with instead of ours; nil for ours.
	Customer []byte
	// Sealed encrypts with ours also where bytes lie plain: somebody asked for it.
	Sealed bool
}

// pieceSize is what is read at once, and pieces how many of them a large body has in memory: with the encrypted one
// and the pipes around it less than 1 MiB a stream.
const (
	pieceSize = 2 * chunkSize
	pieces    = 4
)

// Write reads the body to its end. An error of the body is returned as it is, and nothing is left of what was written.
// Errors: ErrTooLarge, ErrFull.
func (s *Store) Write(ctx context.Context, body io.Reader, o WriteOptions) (*Written, error) {
	w := &Written{Sums: map[checksum.Algorithm][]byte{}}
	w.Foreign, w.Plain = o.Customer != nil, s.plain && o.Customer == nil && !o.Sealed
	sums := map[checksum.Algorithm]hash.Hash{checksum.MD5: md5.New()}
	for _, a := range o.Sums {
		if sums[a] == nil {
			sums[a] = a.New()
		}
	}
	if o.Limit > 0 && o.Size > o.Limit {
		return nil, ErrTooLarge
	}
	var first []byte
	if o.Size <= MaxInline {
		room := int64(MaxInline)
		if o.Size >= 0 {
			room = o.Size
		}
		// One byte more tells a body that ends here from one that goes on, and lets its reader verify the end.
		buffer := make([]byte, room+1)
		n, err := readFull(body, buffer)
		first = buffer[:n]
		if err == nil && o.Size >= 0 {
			return nil, ErrTooLarge
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		if err != nil {
			if o.Limit > 0 && int64(n) > o.Limit {
				return nil, ErrTooLarge
			}
			s.writeInline(w, first, sums, o.Customer)
			return w, nil
		}
	}
	if err := s.writeFile(ctx, w, first, body, sums, o); err != nil {
		return nil, err
	}
	return w, nil
}

func (s *Store) writeInline(w *Written, body []byte, sums map[checksum.Algorithm]hash.Hash, customer []byte) {
	w.Size = int64(len(body))
	for a, h := range sums {
		h.Write(body)
		w.Sums[a] = h.Sum(nil)
	}
	if len(body) == 0 {
		return // a Ref without an id is of no bytes
	}
	w.ID = newID()
	w.inline = body
	if !w.Plain {
		w.inline = sealed(s.keyOf(w.ID, customer), body)
	}
}

// readFull fills the buffer or meets the end, which it answers as io.EOF.
func readFull(r io.Reader, buffer []byte) (n int, err error) {
	for n < len(buffer) && err == nil {
		var m int
		m, err = r.Read(buffer[n:])
		n += m
	}
	if n == len(buffer) && !errors.Is(err, io.EOF) {
		return n, nil
	}
	return n, err
}

// shared is a piece that several read; the last one gives it back.
type shared struct {
	bytes []byte
	users atomic.Int32
}

// writeFile is the parallel way: this goroutine reads, one writes (and encrypts), and one for each checksum sums up.
func (s *Store) writeFile(ctx context.Context, w *Written, first []byte, body io.Reader, sums map[checksum.Algorithm]hash.Hash, o WriteOptions) (err error) {
	w.ID, w.File = newID(), true
	s.mu.Lock()
	s.writing[w.ID] = true
	s.mu.Unlock()
	size := o.Size
	if size >= 0 {
		size = atRest(Ref{Size: size, Plain: w.Plain})
	}
	sink, err := s.files.Create(w.ID, size)
	if err != nil {
		s.settled(w.ID)
		return err
	}

	free := make(chan *shared, pieces)
	for range pieces {
		free <- &shared{bytes: make([]byte, pieceSize)}
	}
	release := func(p *shared) {
		if p.users.Add(-1) == 0 {
			free <- p
		}
	}
	stop := make(chan struct{}) // closed when writing failed
	var failure error
	sinkPieces := make(chan *shared, pieces)
	written := make(chan struct{})
	go func() {
		defer close(written)
		var aead cipher.AEAD
		if !w.Plain {
			aead = newAEAD(s.keyOf(w.ID, o.Customer))
		}
		var number int64
		rest := make([]byte, 0, pieceSize/chunkSize*restSize)
		for p := range sinkPieces {
			if failure == nil {
				out := p.bytes
				if aead != nil {
					rest = rest[:0]
					for b := p.bytes; len(b) > 0; number++ {
						n := min(len(b), chunkSize)
						rest = aead.Seal(rest, nonce(number), b[:n], nil)
						b = b[n:]
					}
					out = rest
				}
				var n int
				n, failure = sink.Write(out)
				w.atRest += int64(n)
				if failure != nil {
					close(stop)
				}
			}
			release(p)
		}
	}()
	summing := make([]chan *shared, 0, len(sums))
	summed := make(chan struct{}, len(sums))
	for _, h := range sums {
		pipe := make(chan *shared, pieces)
		summing = append(summing, pipe)
		go func() {
			for p := range pipe {
				h.Write(p.bytes)
				release(p)
			}
			summed <- struct{}{}
		}()
	}

	err = func() error {
		source := body
		if len(first) > 0 {
			source = io.MultiReader(&prefix{first}, body)
		}
		for {
			var p *shared
			select {
			case p = <-free:
			case <-stop:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
			n, err := readFull(source, p.bytes[:pieceSize])
			p.bytes = p.bytes[:n]
			if w.Size += int64(n); o.Limit > 0 && w.Size > o.Limit {
				return ErrTooLarge
			}
			if err != nil && !errors.Is(err, io.EOF) {
				return err
			}
			if n > 0 {
				p.users.Store(int32(1 + len(summing)))
				sinkPieces <- p
				for _, pipe := range summing {
					pipe <- p
				}
			}
			if err != nil {
				return nil
			}
		}
	}()
	close(sinkPieces)
	for _, pipe := range summing {
		close(pipe)
	}
	<-written
	for range summing {
		<-summed
	}
	if err = errors.Join(err, failure); err != nil {
		sink.Abort()
		s.settled(w.ID)
		return err
	}
	if err := sink.Commit(); err != nil {
		_ = s.files.Remove(w.ID) // or the sweep
		s.settled(w.ID)
		return err
	}
	for a, h := range sums {
		w.Sums[a] = h.Sum(nil)
	}
	return nil
}

// prefix reads bytes that were taken already.
type prefix struct{ bytes []byte }

func (p *prefix) Read(b []byte) (int, error) {
	if len(p.bytes) == 0 {
		return 0, io.EOF
	}
	n := copy(b, p.bytes)
	p.bytes = p.bytes[n:]
	return n, nil
}
