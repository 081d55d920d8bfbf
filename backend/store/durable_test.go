package store_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"miniaws/backend/store"
	"miniaws/backend/store/storetest"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv("STORE_TEST_CHILD"); dir != "" {
		child(dir)
	}
	// Badger leaves these two behind when it refuses to open a damaged index; a store that was not closed would
	// leave others too.
	goleak.VerifyTestMain(m,
		goleak.IgnoreTopFunction("github.com/dgraph-io/badger/v4.(*DB).monitorCache"),
		goleak.IgnoreTopFunction("github.com/dgraph-io/ristretto/v2/z.(*AllocatorPool).freeupAllocators"))
}

const small = 2 << 20 // segments in tests

func options(o store.DiskOptions) store.DiskOptions {
	if o.SegmentSize == 0 {
		o.SegmentSize = small
	}
	if o.Reserve == 0 {
		o.Reserve = 1 << 20
	}
	return o
}

func open(t *testing.T, dir string, o store.DiskOptions) store.DB {
	t.Helper()
	if o.OnFatal == nil {
		o.OnFatal = func(err error) { t.Errorf("the store stopped: %v", err) }
	}
	db, err := store.Open(t.Context(), dir, options(o))
	if err != nil {
		t.Fatal(err)
	}
	return db
}

func reopen(t *testing.T, db store.DB, dir string, o store.DiskOptions) store.DB {
	t.Helper()
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return open(t, dir, o)
}

func put(t *testing.T, db store.DB, key, value string) {
	t.Helper()
	if err := tryPut(t, db, key, value); err != nil {
		t.Fatal(err)
	}
}

func tryPut(t *testing.T, db store.DB, key, value string) error {
	return db.Update(t.Context(), func(tx store.Tx) error { return tx.Put(store.Key(key), []byte(value)) })
}

func wantValue(t *testing.T, db store.DB, key, want string) {
	t.Helper()
	err := db.View(t.Context(), func(tx store.Tx) error {
		got, err := tx.Get(store.Key(key))
		if err == nil && string(got) != want {
			err = fmt.Errorf("it is %q", got)
		}
		return err
	})
	if err != nil {
		t.Fatalf("%s: %v", key, err)
	}
}

func TestDurable(t *testing.T) {
	storetest.Run(t, func(t *testing.T, o store.Options) store.DB {
		return open(t, t.TempDir(), store.DiskOptions{Options: o})
	})
}

func TestModelWithReopen(t *testing.T) {
	dir := t.TempDir()
	db := open(t, dir, store.DiskOptions{})
	model := map[string]string{}
	for round := range 8 {
		storetest.Model(t, db, model, 150)
		if round%2 == 1 {
			if err := store.Checkpoint(t.Context(), db); err != nil {
				t.Fatal(err)
			}
		}
		db = reopen(t, db, dir, store.DiskOptions{})
		if s := db.Stats(); s.Rebuilt != "" || s.Replayed != 0 {
			t.Fatalf("after a clean close: %+v", s)
		}
		if round%3 == 2 {
			db.Close()
			if err := os.RemoveAll(filepath.Join(dir, "index")); err != nil {
				t.Fatal(err)
			}
			db = open(t, dir, store.DiskOptions{})
			if s := db.Stats(); s.Rebuilt == "" {
				t.Fatalf("index was not rebuilt: %+v", s)
			}
		}
	}
	storetest.Check(t, db, model)
	db.Close()
}

func TestIndexInDoubt(t *testing.T) {
	glob := func(t *testing.T, pattern string) string {
		found, _ := filepath.Glob(pattern)
		if len(found) == 0 {
			t.Fatalf("no file %s", pattern)
		}
		return found[0]
	}
	tests := map[string]func(t *testing.T, dir string) error{
		"folder deleted": func(t *testing.T, dir string) error { return os.RemoveAll(filepath.Join(dir, "index")) },
		"trust deleted":  func(t *testing.T, dir string) error { return os.Remove(filepath.Join(dir, "index.trust")) },
		"table deleted":  func(t *testing.T, dir string) error { return os.Remove(glob(t, filepath.Join(dir, "index", "*.sst"))) },
		"table damaged": func(t *testing.T, dir string) error {
			return os.Truncate(glob(t, filepath.Join(dir, "index", "*.sst")), 100)
		},
		"manifest damaged": func(t *testing.T, dir string) error {
			return os.WriteFile(filepath.Join(dir, "index", "MANIFEST"), []byte("rubbish, rubbish, rubbish"), 0o600)
		},
		"emptied": func(t *testing.T, dir string) error {
			err := os.RemoveAll(filepath.Join(dir, "index"))
			return errors.Join(err, os.Mkdir(filepath.Join(dir, "index"), 0o700))
		},
		"machine started again": func(t *testing.T, dir string) error {
			return os.WriteFile(filepath.Join(dir, "index.trust"), []byte(`{"Boot":"another"}`), 0o600)
		},
	}
	for name, damage := range tests {
		for _, dumped := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/dump=%v", name, dumped), func(t *testing.T) {
				dir := t.TempDir()
				db := open(t, dir, store.DiskOptions{})
				model := map[string]string{}
				storetest.Model(t, db, model, 100)
				if dumped {
					if err := store.Checkpoint(t.Context(), db); err != nil {
						t.Fatal(err)
					}
					storetest.Model(t, db, model, 50)
				}
				rows := db.Stats().Rows
				db.Close()
				if err := damage(t, dir); err != nil {
					t.Fatal(err)
				}
				if name == "table damaged" { // Badger panics in a goroutine of its own: once, and not for ever
					if killedAfter(t, dir, 0, map[string]bool{}, time.Minute) {
						t.Fatal("the damage was not noticed")
					}
				}
				db = open(t, dir, store.DiskOptions{})
				defer db.Close()
				s := db.Stats()
				if s.Rebuilt == "" || s.Rows != rows || s.Revision == 0 {
					t.Errorf("stats %+v, want %d rows", s, rows)
				}
				storetest.Check(t, db, model)
				storetest.Model(t, db, model, 20)
			})
		}
	}
}

// TestFolderWithCharactersOfPatterns: what Glob would take for a pattern is a name like any other.
func TestFolderWithCharactersOfPatterns(t *testing.T) {
	dir := filepath.Join(t.TempDir(), `a[b]*c`)
	for range 3 {
		db := open(t, dir, store.DiskOptions{})
		put(t, db, "/m/a", "1")
		wantValue(t, db, "/m/a", "1")
		if err := errors.Join(store.Checkpoint(t.Context(), db), db.Close()); err != nil {
			t.Fatal(err)
		}
	}
	if dumps, err := os.ReadDir(filepath.Join(dir, "checkpoint")); len(dumps) != 1 {
		t.Errorf("dumps %v, %v", dumps, err)
	}
}

// newestSegment returns the path, the content, and where its records end.
func newestSegment(t *testing.T, dir string) (string, []byte, int) {
	t.Helper()
	found, _ := filepath.Glob(filepath.Join(dir, "log", "*.log"))
	path := found[len(found)-1]
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return path, b, len(bytes.TrimRight(b, "\x00"))
}

func TestTornTail(t *testing.T) {
	dir := t.TempDir()
	db := open(t, dir, store.DiskOptions{})
	put(t, db, "/m/a", "1")
	put(t, db, "/m/b", "2")
	db.Close()
	path, b, end := newestSegment(t, dir)
	// The next record was being written: its header and a part of its body came to the disk.
	torn := append(bytes.Clone(b[64:64+24]), []byte("half of a body")...)
	torn[16] = 3
	copy(b[end:], torn)
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	db = open(t, dir, store.DiskOptions{})
	put(t, db, "/m/c", "3")
	db = reopen(t, db, dir, store.DiskOptions{})
	defer db.Close()
	storetest.Check(t, db, map[string]string{"/m/a": "1", "/m/b": "2", "/m/c": "3"})
}

func TestDamagedLogIsRefused(t *testing.T) {
	tests := map[string]func(t *testing.T, dir string) error{
		"record in the middle": func(t *testing.T, dir string) error {
			path, b, _ := newestSegment(t, dir)
			b[64+30] ^= 1
			return os.WriteFile(path, b, 0o600)
		},
		"last record": func(t *testing.T, dir string) error { // the index knows that it was acknowledged
			path, b, end := newestSegment(t, dir)
			b[end-1] ^= 1
			return os.WriteFile(path, b, 0o600)
		},
		"header": func(t *testing.T, dir string) error {
			path, b, _ := newestSegment(t, dir)
			b[20] ^= 1
			return os.WriteFile(path, b, 0o600)
		},
		"all segments gone": func(t *testing.T, dir string) error { return os.RemoveAll(filepath.Join(dir, "log")) },
		"first segment gone": func(t *testing.T, dir string) error {
			return os.Remove(filepath.Join(dir, "log", "000000000001.log"))
		},
		"middle segment gone": func(t *testing.T, dir string) error {
			return os.Remove(filepath.Join(dir, "log", "000000000002.log"))
		},
		"format gone, dump damaged": func(t *testing.T, dir string) error {
			return os.WriteFile(filepath.Join(dir, "checkpoint", "00000000000000000007.dump"), nil, 0o600)
		},
	}
	for name, damage := range tests {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			db := open(t, dir, store.DiskOptions{DumpEvery: 1 << 40})
			for i := range 80 { // three segments
				put(t, db, fmt.Sprintf("/m/%d", i), strings.Repeat("v", 60_000))
			}
			db.Close()
			if err := damage(t, dir); err != nil {
				t.Fatal(err)
			}
			if strings.Contains(name, "dump") {
				os.Remove(filepath.Join(dir, "index.trust"))
			}
			db, err := store.Open(t.Context(), dir, options(store.DiskOptions{}))
			if err == nil {
				db.Close()
			}
			if !errors.Is(err, store.ErrDamaged) {
				t.Fatalf("error %v", err)
			}
			t.Log(err)
		})
	}
}

func TestFolder(t *testing.T) {
	dir := t.TempDir()
	db := open(t, dir, store.DiskOptions{})
	if _, err := store.Open(t.Context(), dir, store.DiskOptions{}); !errors.Is(err, store.ErrLocked) {
		t.Errorf("second open: %v", err)
	}
	put(t, db, "/m/a", "1")
	db.Close()
	if err := os.WriteFile(filepath.Join(dir, "FORMAT"), []byte("mini-aws store 99\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Open(t.Context(), dir, store.DiskOptions{}); !errors.Is(err, store.ErrNewer) {
		t.Errorf("newer format: %v", err)
	}
	os.Remove(filepath.Join(dir, "FORMAT"))
	db, err := store.Open(t.Context(), dir, options(store.DiskOptions{}))
	if err != nil { // made again: nothing says that it was ever different
		t.Fatal(err)
	}
	wantValue(t, db, "/m/a", "1")
	db.Close()
}
