//go:build unix

package guest

import (
	"io/fs"
	"syscall"
)

// ownerOf answers user and group of a file.
func ownerOf(info fs.FileInfo) (uid, gid int) {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(stat.Uid), int(stat.Gid)
	}
	return 0, 0
}
