package store

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"strings"

	"golang.org/x/sys/unix"
)

// Trim gives memory back to the system when nothing is going on: pages of Badger's file mappings, which the kernel
// reads again when they are wanted, and what the committer remembers of old commits. It costs milliseconds.
func Trim(db DB) error {
	d, ok := db.(*durable)
	if !ok {
		return nil
	}
	d.forget.Store(true)
	debug.FreeOSMemory()
	return d.unmapPages()
}

// unmapPages is the part of Trim that makes nobody run again; what is wanted next is read from the disk.
func (d *durable) unmapPages() error {
	f, err := os.Open("/proc/self/maps")
	if err != nil {
		return err
	}
	defer f.Close()
	inside := d.path("index") + "/"
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		at := strings.Index(lines.Text(), inside)
		var from, to uintptr
		if at < 0 {
			continue
		}
		if _, err := fmt.Sscanf(lines.Text(), "%x-%x", &from, &to); err != nil {
			return err
		}
		// Badger may have unmapped it meanwhile (EINVAL, ENOMEM), and the Go runtime may have something of its own there
		// now: MADV_PAGEOUT loses nothing of that, where MADV_DONTNEED would. Before Linux 5.4 it is EINVAL too.
		err := madvise(from, to-from)
		if err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOMEM) {
			return err
		}
	}
	return lines.Err()
}

func madvise(from, length uintptr) error {
	_, _, errno := unix.Syscall(unix.SYS_MADVISE, from, length, unix.MADV_PAGEOUT)
	if errno != 0 {
		return errno
	}
	return nil
}
