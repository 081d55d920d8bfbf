package store

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
)

// A segment is a file whose length never changes, all of its blocks written beforehand so that a sync needs no file system
// journal:
//
//	"MAWSLOG1" | u64 number | u64 salt | u64 first revision | u32 CRC32C | padding to 64 bytes | records … | leftovers
//
// Leftovers of its former life cannot be taken for records: every use draws a new salt.
const (
	segmentMagic  = "MAWSLOG1"
	segmentHeader = 64
	minSegment    = 2 << 20 // holds the largest record
)

type segment struct {
	path   string
	number uint64
	salt   uint64
	base   uint64 // revision of its first record
}

func (s segment) header() []byte {
	b := make([]byte, segmentHeader)
	copy(b, segmentMagic)
	binary.LittleEndian.PutUint64(b[8:], s.number)
	binary.LittleEndian.PutUint64(b[16:], s.salt)
	binary.LittleEndian.PutUint64(b[24:], s.base)
	binary.LittleEndian.PutUint32(b[32:], crc32.Checksum(b[:32], castagnoli))
	return b
}

func readSegment(path string) (segment, error) {
	f, err := os.Open(path)
	if err != nil {
		return segment{}, err
	}
	defer f.Close()
	b := make([]byte, segmentHeader)
	if _, err := io.ReadFull(f, b); err != nil {
		return segment{}, fmt.Errorf("%w: log segment %s: %w", ErrDamaged, path, err)
	}
	if string(b[:8]) != segmentMagic || binary.LittleEndian.Uint32(b[32:]) != crc32.Checksum(b[:32], castagnoli) {
		return segment{}, fmt.Errorf("%w: log segment %s has no valid header", ErrDamaged, path)
	}
	return segment{
		path: path, number: binary.LittleEndian.Uint64(b[8:]),
		salt: binary.LittleEndian.Uint64(b[16:]), base: binary.LittleEndian.Uint64(b[24:]),
	}, nil
}

func newSalt() uint64 {
	var b [8]byte
	rand.Read(b[:])
	return binary.LittleEndian.Uint64(b[:])
}

// segmentReader walks over the records of a segment. Groups alias its buffer until the next call.
type segmentReader struct {
	segment
	file   *os.File
	size   int64
	offset int64
	next   uint64 // revision that the next record must begin with
	buf    []byte
}

func openSegment(s segment) (*segmentReader, error) {
	f, err := os.Open(s.path)
	if err != nil {
		return nil, err
	}
	fi, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, err
	}
	return &segmentReader{segment: s, file: f, size: fi.Size(), offset: segmentHeader, next: s.base}, nil
}

func (r *segmentReader) close() { r.file.Close() }

// read returns the next group, or errNoGroup where none is: at the end, or at damage.
func (r *segmentReader) read() (group, error) {
	var header [recordHeader]byte
	if r.offset+recordHeader > r.size {
		return group{}, errNoGroup
	}
	if _, err := r.file.ReadAt(header[:], r.offset); err != nil {
		return group{}, err
	}
	n, err := recordLength(header[:])
	if err != nil || r.offset+int64(n) > r.size {
		return group{}, errNoGroup
	}
	if cap(r.buf) < n {
		r.buf = make([]byte, n)
	}
	b := r.buf[:n]
	if _, err := r.file.ReadAt(b, r.offset); err != nil {
		return group{}, err
	}
	g, _, err := decodeRecord(b, r.salt, uint64(r.offset))
	if err != nil {
		return group{}, err
	}
	if g.first != r.next {
		return group{}, fmt.Errorf("%w: log segment %s continues with revision %d instead of %d", ErrDamaged, r.path, g.first, r.next)
	}
	r.offset += int64(n)
	r.next = g.last() + 1
	return g, nil
}

// checkTail is asked where read found no record in the newest segment: a write that was cut off leaves nothing
// valid behind it. A valid record further on means that an acknowledged one was damaged.
func (r *segmentReader) checkTail() error {
	magic := binary.LittleEndian.AppendUint32(nil, recordMagic)
	chunk := make([]byte, 256<<10)
	for at := r.offset; at < r.size; {
		n, err := r.file.ReadAt(chunk, at)
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		i := bytes.Index(chunk[:n], magic)
		if i < 0 {
			if err != nil {
				return nil
			}
			at += int64(n - len(magic) + 1)
			continue
		}
		later := segmentReader{segment: r.segment, file: r.file, size: r.size, offset: at + int64(i)}
		if _, err := later.read(); !errors.Is(err, errNoGroup) { // valid, only not the revision that it was asked for
			return fmt.Errorf("%w: log segment %s is broken at byte %d (revision %d), but an intact record follows at byte %d; "+
				"restore the file from a copy", ErrDamaged, r.path, r.offset, r.next, at+int64(i))
		}
		at += int64(i) + 1
	}
	return nil
}
