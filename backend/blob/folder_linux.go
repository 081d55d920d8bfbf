package blob

import (
	"os"

	"golang.org/x/sys/unix"
)

// allocate reserves blocks without changing the length.
func allocate(f *os.File, size int64) error {
	return unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_KEEP_SIZE, 0, size)
}

// flush starts to write a range back; nobody waits for it, and an error shows at the sync.
func flush(f *os.File, offset, length int64) {
	_ = unix.SyncFileRange(int(f.Fd()), offset, length, unix.SYNC_FILE_RANGE_WRITE)
}
