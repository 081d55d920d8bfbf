package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"miniaws/backend/durably"
)

// format is the version of the folder's layout.
const format = "mini-aws store 1\n"

// checkFormat answers whether the folder was made before.
func checkFormat(dir string) (made bool, err error) {
	b, err := os.ReadFile(filepath.Join(dir, "FORMAT"))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err == nil && string(b) != format {
		err = fmt.Errorf("%w: %s has the format %q, this program knows %q", ErrNewer, dir, strings.TrimSpace(string(b)), strings.TrimSpace(format))
	}
	return true, err
}

// trust says until when the unsynced index may be believed.
type trust struct {
	Boot  string // it was open in this boot: the page cache has survived whatever killed the process
	Clean bool   // it was closed and synced
}

func readTrust(path string) (t trust, why string) {
	b, err := os.ReadFile(path)
	if err != nil || json.Unmarshal(b, &t) != nil {
		return t, "it is not known to be good"
	}
	if !t.Clean && (t.Boot == "" || t.Boot != bootID()) {
		return t, "the machine was started again while it was open"
	}
	return t, ""
}

func writeTrust(path string, t trust) error {
	b, err := json.Marshal(t)
	if err != nil {
		return err
	}
	return durably.WriteFile(path, b)
}

// bootID is empty where the system has none; then only a clean close is believed.
func bootID() string {
	b, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(b))
}

// filesIn lists the paths in dir whose names end so, in order. The name of dir is no pattern, as it would be for Glob.
func filesIn(dir, suffix string) (paths []string, err error) {
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), suffix) {
			paths = append(paths, filepath.Join(dir, e.Name()))
		}
	}
	return paths, err
}

// syncTree syncs every file of a folder.
func syncTree(dir string) error {
	return filepath.WalkDir(dir, func(p string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		f, err := os.Open(p)
		if err != nil {
			return err
		}
		return errors.Join(f.Sync(), f.Close())
	})
}

// freeSpace in bytes, for users without privileges.
func freeSpace(dir string) (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, err
	}
	return int64(st.Bavail) * int64(st.Bsize), nil //nolint:unconvert // not an int64 on other systems
}
