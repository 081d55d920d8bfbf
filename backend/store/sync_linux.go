package store

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// syncData makes written data durable; the length of the file did not change.
func syncData(f *os.File) error {
	for {
		if err := unix.Fdatasync(int(f.Fd())); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}
