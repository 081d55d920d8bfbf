package blob

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"miniaws/backend/durably"
)

// reserve is room on the disk that files leave alone, because the store needs it to go on.
const reserve = 512 << 20

// Folder keeps blobs as files of a folder: 256 folders below it, by the first two digits of their names.
type Folder struct {
	path string

	mu   sync.Mutex
	made map[string]bool
}

// OpenFolder uses the folder at path, which is made when it is needed.
func OpenFolder(path string) *Folder { return &Folder{path: path, made: map[string]bool{}} }

func (f *Folder) place(id string) string { return filepath.Join(f.path, id[:2], id) }

// shelf makes sure that the folder of an id is there, durably.
func (f *Folder) shelf(id string) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	folder := filepath.Join(f.path, id[:2])
	if f.made[id[:2]] {
		return folder, nil
	}
	err := durably.MakeFolder(folder)
	f.made[id[:2]] = err == nil
	return folder, full(err)
}

// full turns the kernel's errors of a disk without room into ours.
func full(err error) error {
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
		return fmt.Errorf("%w: %w", ErrFull, err)
	}
	return err
}

// Create reserves the blocks of a file whose size is known, so that a disk that is too small refuses at once.
func (f *Folder) Create(id string, size int64) (Sink, error) {
	shelf, err := f.shelf(id)
	if err != nil {
		return nil, err
	}
	if err := hasRoom(shelf, max(size, 0)); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(f.place(id), os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return nil, full(err)
	}
	sink := &fileSink{File: file, folder: shelf}
	if size > 0 {
		if err := allocate(file, size); errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
			sink.Abort()
			return nil, full(err)
		}
	}
	return sink, nil
}

func hasRoom(path string, size int64) error {
	var stat unix.Statfs_t
	if err := unix.Statfs(path, &stat); err != nil {
		return nil //nolint:nilerr // a file system that does not tell; the write will
	}
	if free := int64(stat.Bavail) * stat.Bsize; free-size < reserve {
		return fmt.Errorf("%w: %d MiB are free", ErrFull, free>>20)
	}
	return nil
}

// Open opens a file for reading.
func (f *Folder) Open(id string) (Source, error) { return os.Open(f.place(id)) }

// Remove removes a file. It is not made durable: a file that comes back is an orphan, which the sweep removes.
func (f *Folder) Remove(id string) error {
	err := os.Remove(f.place(id))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// List walks the folders.
func (f *Folder) List(visit func(id string, size int64) bool) error {
	err := filepath.WalkDir(f.path, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil // removed meanwhile, or nothing was ever written
		case err != nil:
			return err
		case entry.IsDir():
			return nil
		}
		info, err := entry.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		id := entry.Name()
		if len(id) != 32 || strings.Trim(id, "0123456789abcdef") != "" {
			return nil // not ours
		}
		if !visit(id, info.Size()) {
			return fs.SkipAll
		}
		return nil
	})
	return err
}

// flushEvery is how much is written before the kernel is asked to begin with it, so that the sync at the end is short.
const flushEvery = 8 << 20

type fileSink struct {
	*os.File
	folder           string
	written, flushed int64
}

func (s *fileSink) Write(p []byte) (int, error) {
	n, err := s.File.Write(p)
	s.written += int64(n)
	if s.written-s.flushed >= flushEvery {
		flush(s.File, s.flushed, s.written-s.flushed)
		s.flushed = s.written
	}
	return n, full(err)
}

func (s *fileSink) Commit() error {
	err := s.Truncate(s.written) // blocks that were reserved and not used
	err = errors.Join(err, s.Sync(), s.Close())
	if err == nil {
		err = durably.SyncFolder(s.folder)
	}
	return full(err)
}

func (s *fileSink) Abort() {
	_ = s.Close()
	_ = os.Remove(s.Name()) // or the sweep
}
