package store_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"miniaws/backend/store"
	"miniaws/backend/store/storetest"
)

// smallDisk mounts a file system of its own, or skips.
func smallDisk(t *testing.T, size int64) string {
	if os.Geteuid() != 0 {
		t.Skip("a small file system can only be mounted by root")
	}
	image, dir := filepath.Join(t.TempDir(), "image"), t.TempDir()
	f, err := os.Create(image)
	if err != nil {
		t.Fatal(err)
	}
	err = errors.Join(f.Truncate(size), f.Close())
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mkfs.ext4", "-q", "-F", "-m", "0", image).CombinedOutput(); err != nil {
		t.Skipf("mkfs.ext4: %v %s", err, out)
	}
	if out, err := exec.Command("mount", "-o", "loop", image, dir).CombinedOutput(); err != nil {
		if err := unix.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d", size)); err != nil {
			t.Skipf("neither a loop mount (%s) nor tmpfs (%v) is possible here", strings.TrimSpace(string(out)), err)
		}
		t.Log("on tmpfs")
	} else {
		t.Log("on ext4")
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Error(err)
			unix.Unmount(dir, unix.MNT_DETACH)
		}
	})
	return dir
}

// fill leaves about left bytes free and returns what frees the rest again.
func fill(t *testing.T, disk string, left int64) func() {
	t.Helper()
	path := filepath.Join(disk, "ballast")
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var st unix.Statfs_t
	if err := unix.Statfs(disk, &st); err != nil {
		t.Fatal(err)
	}
	n := int64(st.Bavail)*st.Bsize - left
	if _, err := io.CopyN(f, zeros{}, n); err != nil && left > 0 {
		t.Fatal(err)
	}
	for chunk := int64(64 << 10); left == 0 && chunk > 0; chunk /= 2 {
		for {
			if _, err := io.CopyN(f, zeros{}, chunk); err != nil {
				break
			}
		}
	}
	return func() { os.Remove(path) }
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

func eventually(t *testing.T, what string, fn func() error) {
	t.Helper()
	var err error
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if err = fn(); err == nil {
			return
		}
	}
	t.Fatalf("%s: %v", what, err)
}

func TestFullDisk(t *testing.T) {
	disk := smallDisk(t, 256<<20)
	dir := filepath.Join(disk, "store")
	o := store.DiskOptions{Reserve: 32 << 20}
	db := open(t, dir, o)
	model := map[string]string{}
	storetest.Model(t, db, model, 100)

	// Below the reserve: refused, readable, and writable again when there is room.
	free := fill(t, disk, 16<<20)
	eventually(t, "refuses", func() error {
		if err := tryPut(t, db, "/x", "1"); !errors.Is(err, store.ErrFull) {
			return fmt.Errorf("error %w", err)
		}
		return nil
	})
	if s := db.Stats(); s.Refusing == "" || s.Refused == 0 {
		t.Errorf("stats %+v", s)
	}
	storetest.Check(t, db, model)
	free()
	eventually(t, "writes again", func() error { return tryPut(t, db, "/x", "1") })
	storetest.Model(t, db, model, 50)
	db.Close()

	// Full to the last block at open: read-only from dump and log, then writable without another open.
	free = fill(t, disk, 0)
	db = open(t, dir, o)
	storetest.Check(t, db, model)
	if err := tryPut(t, db, "/x", "2"); !errors.Is(err, store.ErrFull) || !errors.Is(err, store.ErrReadOnly) {
		t.Errorf("error %v", err)
	}
	db = reopen(t, db, dir, o)
	free()
	eventually(t, "writes again", func() error { return tryPut(t, db, "/x", "2") })
	storetest.Model(t, db, model, 50)
	db = reopen(t, db, dir, o)
	storetest.Check(t, db, model)
	wantValue(t, db, "/x", "2")
	db.Close()

	free = fill(t, disk, 0)
	if _, err := store.Open(t.Context(), filepath.Join(disk, "another"), o); !errors.Is(err, store.ErrFull) && !errors.Is(err, unix.ENOSPC) {
		t.Errorf("new store on a full disk: %v", err)
	}
	free()
}

// TestFullDiskUnderLoad lets a writing process run into a disk that another one fills. It may die (Badger's memory
// maps): what it acknowledged must be there afterwards.
func TestFullDiskUnderLoad(t *testing.T) {
	disk := smallDisk(t, 256<<20)
	dir := filepath.Join(disk, "store")
	acked := map[string]bool{}
	deaths := 0
	open(t, dir, store.DiskOptions{}).Close() // a slow child must not meet the full disk before it has made the store
	for run := range 4 {
		filled := make(chan struct{})
		time.AfterFunc(30*time.Millisecond, func() {
			defer close(filled)
			exec.Command("dd", "if=/dev/zero", "of="+filepath.Join(disk, "ballast"), "bs=256k").Run()
		})
		if !killed(t, dir, run, acked) {
			deaths++
		}
		<-filled
		db := open(t, dir, store.DiskOptions{Reserve: 24 << 20}) // as the next worker would, on the full disk
		checkKilled(t, db, acked)
		if s := db.Stats(); s.Refusing == "" {
			t.Errorf("not read-only: %+v", s)
		}
		db.Close()
		if err := os.Remove(filepath.Join(disk, "ballast")); err != nil {
			t.Fatal(err)
		}
		db = open(t, dir, store.DiskOptions{})
		checkKilled(t, db, acked)
		db.Close()
	}
	t.Logf("%d acknowledged, none lost; %d of 4 processes died by themselves", len(acked), deaths)
}
