package store

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"miniaws/backend/durably"
)

// A dump holds every row at one revision, in key order:
//
//	"MAWSDMP1" | u64 revision | rows: uvarint length of key, key, uvarint length of value, value | 0 | u64 rows | u32 CRC32C
const dumpMagic = "MAWSDMP1"

func dumpPath(dir string, revision uint64) string {
	return filepath.Join(dir, fmt.Sprintf("%020d.dump", revision))
}

// newestDump returns the revision of the newest dump, 0 if there is none.
func newestDump(dir string) (uint64, error) {
	paths, err := filesIn(dir, ".dump")
	if err != nil || len(paths) == 0 {
		return 0, err
	}
	name := strings.TrimSuffix(filepath.Base(paths[len(paths)-1]), ".dump")
	revision, err := strconv.ParseUint(name, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%w: file name %s", ErrDamaged, paths[len(paths)-1])
	}
	return revision, nil
}

// writeDump makes a dump of s durable under its final name. It fails, and nothing changes, unless exactly rows
// rows are found, and unless allowed answers nil to the end: a damaged index must not become the truth.
func writeDump(dir string, revision uint64, s snapshot, rows int64, allowed func() error) (size int64, err error) {
	path := dumpPath(dir, revision)
	f, err := os.OpenFile(path+".tmp", os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return 0, err
	}
	defer func() {
		if f.Close(); err != nil {
			_ = os.Remove(path + ".tmp") // the next dump makes it anew
		}
	}()
	sum := crc32.New(castagnoli)
	w := bufio.NewWriterSize(io.MultiWriter(f, sum), 64<<10)
	head := append([]byte(dumpMagic), binary.LittleEndian.AppendUint64(nil, revision)...)
	_, err = w.Write(head)
	if err != nil {
		return 0, err
	}
	var n int64
	var buf []byte
	var failed error
	err = s.scan(tree, func(row Row) bool {
		buf = binary.AppendUvarint(buf[:0], uint64(len(row.Key)))
		buf = append(buf, row.Key...)
		buf = binary.AppendUvarint(buf, uint64(len(row.Value)))
		buf = append(buf, row.Value...)
		_, failed = w.Write(buf)
		n++
		if failed == nil && n%1024 == 0 {
			failed = allowed()
		}
		return failed == nil
	})
	if err = errors.Join(err, failed); err != nil {
		return 0, err
	}
	if n != rows {
		return 0, fmt.Errorf("%w: the index has %d rows instead of %d", errDoubt, n, rows)
	}
	// Flush answers the first error of these.
	_ = w.WriteByte(0)
	_, _ = w.Write(binary.LittleEndian.AppendUint64(nil, uint64(n)))
	if err := w.Flush(); err != nil {
		return 0, err
	}
	if _, err := f.Write(binary.LittleEndian.AppendUint32(nil, sum.Sum32())); err != nil {
		return 0, err
	}
	if size, err = f.Seek(0, io.SeekCurrent); err != nil {
		return 0, err
	}
	if err := errors.Join(f.Sync(), allowed()); err != nil {
		return 0, err
	}
	if err := os.Rename(path+".tmp", path); err != nil {
		return 0, err
	}
	return size, durably.SyncFolder(dir)
}

// removeDumpsBefore leaves the dump of revision alone.
func removeDumpsBefore(dir string, revision uint64) error {
	paths, err := filesIn(dir, "")
	for _, p := range paths {
		if filepath.Ext(p) == ".dump" && p < dumpPath(dir, revision) || strings.HasSuffix(p, ".dump.tmp") {
			err = errors.Join(err, os.Remove(p))
		}
	}
	return err
}

// readDump calls add with every row. Only after nil may the rows be believed.
func readDump(dir string, revision uint64, add func(Row) error) (rows int64, err error) {
	path := dumpPath(dir, revision)
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	damaged := func(why string) error { return fmt.Errorf("%w: dump %s: %s", ErrDamaged, path, why) }
	r := &summedReader{r: bufio.NewReaderSize(f, 64<<10), sum: crc32.New(castagnoli)}
	head := make([]byte, len(dumpMagic)+8)
	if _, err := io.ReadFull(r, head); err != nil || string(head[:len(dumpMagic)]) != dumpMagic {
		return 0, damaged("no valid header")
	}
	if was := binary.LittleEndian.Uint64(head[len(dumpMagic):]); was != revision {
		return 0, damaged(fmt.Sprintf("it is of revision %d: someone has renamed it", was))
	}
	var row Row
	for {
		n, err := binary.ReadUvarint(r)
		if err != nil || n > MaxKey {
			return 0, damaged("a key is broken")
		}
		if n == 0 {
			break
		}
		key := make([]byte, n)
		if _, err := io.ReadFull(r, key); err != nil {
			return 0, damaged("ends in a key")
		}
		if n, err = binary.ReadUvarint(r); err != nil || n > MaxValue {
			return 0, damaged("a value is broken")
		}
		row.Key, row.Value = Key(key), make([]byte, n)
		if _, err := io.ReadFull(r, row.Value); err != nil {
			return 0, damaged("ends in a value")
		}
		if err := add(row); err != nil {
			return 0, err
		}
		rows++
	}
	var foot [8]byte
	if _, err := io.ReadFull(r, foot[:]); err != nil || binary.LittleEndian.Uint64(foot[:]) != uint64(rows) {
		return 0, damaged("the number of rows is wrong")
	}
	want := r.sum.Sum32()
	if _, err := io.ReadFull(r.r, foot[:4]); err != nil || binary.LittleEndian.Uint32(foot[:]) != want {
		return 0, damaged("the checksum is wrong")
	}
	return rows, nil
}

type summedReader struct {
	r   *bufio.Reader
	sum hash.Hash32
	one [1]byte
}

func (s *summedReader) Read(b []byte) (int, error) {
	n, err := s.r.Read(b)
	s.sum.Write(b[:n])
	return n, err
}

func (s *summedReader) ReadByte() (byte, error) {
	c, err := s.r.ReadByte()
	if err == nil {
		s.one[0] = c
		s.sum.Write(s.one[:])
	}
	return c, err
}
