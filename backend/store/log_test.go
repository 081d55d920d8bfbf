package store_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"miniaws/backend/store"
	"miniaws/backend/store/storetest"
)

// TestSegmentsAreReused fills many segments, dumps in between, and follows everything with a watcher.
func TestSegmentsAreReused(t *testing.T) {
	dir := t.TempDir()
	o := store.DiskOptions{DumpEvery: 1 << 40, KeepSegments: 1}
	db := open(t, dir, o)
	const writers, each = 4, 120
	var watcher sync.WaitGroup
	watcher.Go(func() {
		next := uint64(1)
		for c, err := range db.Watch(t.Context(), 1) {
			if errors.Is(err, store.ErrCompacted) { // allowed for who is too slow: start again from a snapshot
				return
			}
			if err != nil || c.Revision != next || len(c.Changes) != 1 || len(c.Changes[0].Value) != 50_000 {
				t.Errorf("revision %d instead of %d, %v", c.Revision, next, err)
				return
			}
			if next++; next > writers*each {
				return
			}
		}
	})
	want := map[string]string{}
	var mu sync.Mutex
	for round := range 3 {
		var wg sync.WaitGroup
		for w := range writers {
			wg.Go(func() {
				for i := range each / 3 {
					k, v := fmt.Sprintf("/m/%d/%d", w, i%20), fmt.Sprintf("%050000d", round*1000+i)
					mu.Lock()
					want[k] = v
					mu.Unlock()
					if err := tryPut(t, db, k, v); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		if err := store.Checkpoint(t.Context(), db); err != nil {
			t.Fatal(err)
		}
	}
	watcher.Wait()
	s := db.Stats()
	if s.Segments > 3 || s.Checkpoints != 3 || s.Checkpoint != s.Revision || s.Commits != writers*each || s.Syncs != s.Groups {
		t.Errorf("stats %+v", s)
	}
	for _, err := range db.Watch(t.Context(), 1) {
		if !errors.Is(err, store.ErrCompacted) {
			t.Errorf("watch of an old revision: %v", err)
		}
		break
	}
	files, _ := filepath.Glob(filepath.Join(dir, "log", "*"))
	if len(files) > 8 {
		t.Errorf("%d files in the log folder", len(files))
	}
	storetest.Check(t, db, want)
	if err := store.Trim(db); err != nil {
		t.Error(err)
	}
	storetest.Check(t, db, want)
	db.Close()
	if err := os.RemoveAll(filepath.Join(dir, "index")); err != nil { // reused segments hold old records behind the tail
		t.Fatal(err)
	}
	db = open(t, dir, o)
	storetest.Check(t, db, want)
	put(t, db, "/m/last", "1")
	want["/m/last"] = "1"
	db = reopen(t, db, dir, o)
	defer db.Close()
	storetest.Check(t, db, want)
	for c, err := range db.Watch(t.Context(), writers*each+1) { // the feed survives a restart
		if err != nil || c.Changes[0].Key != "/m/last" {
			t.Errorf("%+v %v", c, err)
		}
		break
	}
}

// TestShortLivesAreDumpedToo: what several processes wrote adds up.
func TestShortLivesAreDumpedToo(t *testing.T) {
	dir := t.TempDir()
	o := store.DiskOptions{DumpEvery: 3 << 20}
	for run := range 4 {
		db := open(t, dir, o)
		for i := range 20 {
			put(t, db, fmt.Sprintf("/m/%d/%d", run, i), strings.Repeat("v", 50_000))
		}
		for run == 3 && db.Stats().Checkpoints == 0 && t.Context().Err() == nil {
			runtime.Gosched()
		}
		db.Close()
	}
}

func TestDamagedDumpIsRefused(t *testing.T) {
	dir := t.TempDir()
	db := open(t, dir, store.DiskOptions{KeepSegments: 1})
	model := map[string]string{}
	storetest.Model(t, db, model, 50)
	if err := store.Checkpoint(t.Context(), db); err != nil {
		t.Fatal(err)
	}
	db.Close()
	found, _ := filepath.Glob(filepath.Join(dir, "checkpoint", "*.dump"))
	if len(found) != 1 {
		t.Fatal(found)
	}
	good, err := os.ReadFile(found[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range []int{0, 20, len(good) / 2, len(good) - 10, len(good) - 1} {
		b := []byte(strings.Clone(string(good)))
		b[at] ^= 4
		os.WriteFile(found[0], b, 0o600)
		os.RemoveAll(filepath.Join(dir, "index"))
		if db, err := store.Open(t.Context(), dir, options(store.DiskOptions{})); !errors.Is(err, store.ErrDamaged) {
			t.Errorf("byte %d: %v", at, err)
			if err == nil {
				db.Close()
			}
		}
	}
	other := filepath.Join(dir, "checkpoint", fmt.Sprintf("%020d.dump", 1))
	if err := errors.Join(os.WriteFile(other, good, 0o600), os.Remove(found[0])); err != nil {
		t.Fatal(err)
	}
	if db, err := store.Open(t.Context(), dir, options(store.DiskOptions{})); !errors.Is(err, store.ErrDamaged) {
		t.Errorf("under the name of another revision: %v", err)
		if err == nil {
			db.Close()
		}
	}
	if err := errors.Join(os.Rename(other, found[0]), os.WriteFile(found[0], good, 0o600)); err != nil {
		t.Fatal(err)
	}
	db = open(t, dir, store.DiskOptions{})
	storetest.Check(t, db, model)
	db.Close()
}

// TestValueLogIsCollected overwrites large values until Badger's value log can shrink, and reads all of it.
func TestValueLogIsCollected(t *testing.T) {
	if testing.Short() {
		t.Skip("writes 150 MB")
	}
	dir := t.TempDir()
	db := open(t, dir, store.DiskOptions{})
	want := map[string]string{}
	for round := range 50 {
		var wg sync.WaitGroup
		for i := range 50 {
			k := fmt.Sprintf("/m/%02d", i)
			v := strings.Repeat(fmt.Sprintf("%05d", round*100+i), 12_000)
			want[k] = v
			wg.Go(func() { put(t, db, k, v) })
		}
		wg.Wait()
		if round%10 == 9 {
			if err := store.Checkpoint(t.Context(), db); err != nil {
				t.Fatal(err)
			}
		}
	}
	storetest.Check(t, db, want)
	db = reopen(t, db, dir, store.DiskOptions{})
	defer db.Close()
	storetest.Check(t, db, want)
	var size int64
	logs, _ := filepath.Glob(filepath.Join(dir, "index", "*.vlog"))
	for _, p := range logs {
		if fi, err := os.Stat(p); err == nil {
			size += fi.Size()
		}
	}
	t.Logf("%d value log files, %d MiB, for 3 MiB of rows", len(logs), size>>20)
}

// TestFirstSegmentIsShort: a new log does not wait for the blocks of a whole segment, is written to its end by the starts
// after the first one, and goes on with whole ones.
func TestFirstSegmentIsShort(t *testing.T) {
	dir := t.TempDir()
	o := store.DiskOptions{SegmentSize: 16 << 20}
	db := open(t, dir, o)
	segments := func() (sizes []int64) {
		t.Helper()
		names, err := filepath.Glob(filepath.Join(dir, "log", "*.log"))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			info, err := os.Stat(name)
			if err != nil {
				t.Fatal(err)
			}
			sizes = append(sizes, info.Size()>>20)
		}
		return sizes
	}
	value := strings.Repeat("v", 60_000)
	for i := range 100 {
		switch i {
		case 1:
			if got := fmt.Sprint(segments()); got != "[4]" {
				t.Errorf("segments of %s MiB at the beginning", got)
			}
		case 30:
			db = reopen(t, db, dir, o)
		case 50:
			if got := fmt.Sprint(segments()); got != "[4]" {
				t.Errorf("segments of %s MiB after the second start", got)
			}
		}
		put(t, db, fmt.Sprint("/k/", i), value)
	}
	if got := fmt.Sprint(segments()); got != "[4 16]" {
		t.Errorf("segments of %s MiB in the end", got)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	// Without its index, everything comes from the segments.
	if err := os.RemoveAll(filepath.Join(dir, "index")); err != nil {
		t.Fatal(err)
	}
	db = open(t, dir, o)
	defer db.Close()
	for i := range 100 {
		wantValue(t, db, fmt.Sprint("/k/", i), value)
	}
}
