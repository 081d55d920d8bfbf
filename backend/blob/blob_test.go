package blob

import (
	"bytes"
	"context"
	"crypto/md5"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"testing/iotest"
	"time"

	"miniaws/backend/checksum"
	"miniaws/backend/reconcile"
	"miniaws/backend/seal"
	"miniaws/backend/store"
)

var sizes = []int{0, 1, 4096, MaxInline - 1, MaxInline, MaxInline + 1, chunkSize, chunkSize + 1, pieceSize, 3*pieceSize + 17, 5 << 20}

func random(n int) []byte {
	b := make([]byte, n)
	source := rand.NewChaCha8([32]byte{1})
	source.Read(b)
	return b
}

// world is a store of blobs on each kind of files.
func world(t *testing.T, plain bool, files Files) (*Store, store.DB) {
	db := store.OpenMemory(store.Options{})
	t.Cleanup(func() { db.Close() })
	return New(Config{DB: db, Files: files, Key: seal.NewKey(), Plain: plain}), db
}

func kinds(t *testing.T, run func(*testing.T, *Store, store.DB, Files)) {
	for _, plain := range []bool{false, true} {
		for name, files := range map[string]Files{"memory": NewMemory(), "folder": OpenFolder(filepath.Join(t.TempDir(), "blobs"))} {
			t.Run(fmt.Sprintf("%s, plain %v", name, plain), func(t *testing.T) {
				s, db := world(t, plain, files)
				run(t, s, db, files)
			})
		}
	}
}

func keep(t *testing.T, s *Store, db store.DB, w *Written) {
	t.Helper()
	defer s.Discard(w)
	if err := db.Update(t.Context(), func(tx store.Tx) error { return s.Keep(tx, w) }); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, s *Store, db store.DB, ref Ref, customer []byte, offset, length int64) ([]byte, error) {
	t.Helper()
	var b *Body
	err := db.View(t.Context(), func(tx store.Tx) (err error) {
		b, err = s.Open(tx, ref, customer)
		return err
	})
	if err != nil {
		return nil, err
	}
	r := b.Range(offset, length)
	defer r.Close()
	return io.ReadAll(r)
}

func TestRoundTrip(t *testing.T) {
	kinds(t, func(t *testing.T, s *Store, db store.DB, files Files) {
		for _, size := range sizes {
			for _, said := range []int64{int64(size), -1} {
				for _, customer := range [][]byte{nil, bytes.Repeat([]byte{7}, 32)} {
					body := random(size)
					w, err := s.Write(t.Context(), iotest.HalfReader(bytes.NewReader(body)), WriteOptions{Size: said, Sums: []checksum.Algorithm{checksum.CRC32C, checksum.SHA256}, Customer: customer})
					if err != nil {
						t.Fatal(err)
					}
					keep(t, s, db, w)
					if sum := md5.Sum(body); !bytes.Equal(w.Sums[checksum.MD5], sum[:]) || len(w.Sums) != 3 || w.Size != int64(size) || w.File != (size > MaxInline) {
						t.Errorf("%d bytes: %+v", size, w)
					}
					for range 10 {
						offset := rand.Int64N(int64(size) + 1)
						length := rand.Int64N(int64(size) - offset + 1)
						if got, err := read(t, s, db, w.Ref, customer, offset, length); err != nil || !bytes.Equal(got, body[offset:offset+length]) {
							t.Fatalf("%d bytes, %d from %d: %d bytes, %v", size, length, offset, len(got), err)
						}
					}
					var b *Body
					db.View(t.Context(), func(tx store.Tx) (err error) { b, err = s.Open(tx, w.Ref, customer); return err })
					var all bytes.Buffer
					r := b.Range(0, int64(size))
					if n, err := io.Copy(&all, r); err != nil || n != int64(size) || !bytes.Equal(all.Bytes(), body) {
						t.Errorf("copied %d of %d, %v", n, size, err)
					}
					r.Close()
					if customer != nil && size > 0 {
						if _, err := read(t, s, db, w.Ref, bytes.Repeat([]byte{8}, 32), 0, int64(size)); !errors.Is(err, ErrDamaged) {
							t.Errorf("another key: %v", err)
						}
					}
				}
			}
		}
		if orphans, err := s.Check(t.Context(), nil, func(p string) { t.Error(p) }); err != nil || orphans != 0 {
			t.Error(err)
		}
	})
}

func TestAtRestNothingIsReadable(t *testing.T) {
	t.Run("sealed", func(t *testing.T) { nothingIsReadable(t, false, WriteOptions{Size: -1}) })
	t.Run("sealed among plain ones", func(t *testing.T) { nothingIsReadable(t, true, WriteOptions{Size: -1, Sealed: true}) })
}

func nothingIsReadable(t *testing.T, plain bool, o WriteOptions) {
	t.Helper()
	folder := t.TempDir()
	s, db := world(t, plain, OpenFolder(folder))
	text := bytes.Repeat([]byte("a secret that nobody must read. "), 5000)
	w, err := s.Write(t.Context(), bytes.NewReader(text), o)
	if err != nil {
		t.Fatal(err)
	}
	keep(t, s, db, w)
	filepath.WalkDir(folder, func(path string, e fs.DirEntry, _ error) error {
		if content, err := os.ReadFile(path); err == nil && (bytes.Contains(content, text[:16]) || int64(len(content)) != atRest(w.Ref)) {
			t.Errorf("%s holds %d bytes, readable", path, len(content))
		}
		return nil
	})
	path := filepath.Join(folder, w.ID[:2], w.ID)
	content, _ := os.ReadFile(path)
	content[70_000] ^= 1
	os.WriteFile(path, content, 0o600)
	if _, err := read(t, s, db, w.Ref, nil, 0, w.Size); !errors.Is(err, ErrDamaged) {
		t.Errorf("changed: %v", err)
	}
	os.Truncate(path, 1000)
	if _, err := read(t, s, db, w.Ref, nil, 0, w.Size); !errors.Is(err, ErrDamaged) {
		t.Errorf("cut: %v", err)
	}
	problems := 0
	s.Check(t.Context(), nil, func(string) { problems++ })
	if problems != 1 {
		t.Errorf("%d problems found, want 1", problems)
	}
}

func TestFailuresLeaveNothing(t *testing.T) {
	kinds(t, func(t *testing.T, s *Store, db store.DB, files Files) {
		broken := errors.New("broken")
		for _, size := range sizes {
			for name, c := range map[string]struct {
				body io.Reader
				o    WriteOptions
				want error
			}{
				"broken body": {io.MultiReader(bytes.NewReader(random(size)), iotest.ErrReader(broken)), WriteOptions{Size: -1}, broken},
				"limit":       {bytes.NewReader(random(size + 1)), WriteOptions{Size: -1, Limit: int64(size)}, ErrTooLarge},
				"limit said":  {bytes.NewReader(random(size + 1)), WriteOptions{Size: int64(size) + 1, Limit: int64(size)}, ErrTooLarge},
			} {
				if size == 0 && c.o.Limit == 0 && name != "broken body" {
					continue
				}
				if w, err := s.Write(t.Context(), c.body, c.o); !errors.Is(err, c.want) {
					t.Errorf("%s, %d bytes: %+v, %v", name, size, w, err)
				}
			}
		}
		w, err := s.Write(t.Context(), bytes.NewReader(random(1<<20)), WriteOptions{Size: -1})
		if err != nil {
			t.Fatal(err)
		}
		s.Discard(w)
		files.List(func(id string, _ int64) bool { t.Errorf("%s is left", id); return true })
	})
}

func TestShareAndDrop(t *testing.T) {
	kinds(t, func(t *testing.T, s *Store, db store.DB, files Files) {
		for n, size := range []int{10, 1 << 20, 10, 1 << 20} {
			var customer []byte
			if n > 1 {
				customer = bytes.Repeat([]byte("k"), 32)
			}
			w, err := s.Write(t.Context(), bytes.NewReader(random(size)), WriteOptions{Size: -1, Customer: customer})
			if err != nil {
				t.Fatal(err)
			}
			keep(t, s, db, w)
			var other Ref
			change := func(f func(tx store.Tx) error) {
				t.Helper()
				if err := db.Update(t.Context(), f); err != nil {
					t.Fatal(err)
				}
			}
			change(func(tx store.Tx) (err error) { other, err = s.Share(tx, w.Ref); return err })
			change(func(tx store.Tx) error { return s.Drop(tx, w.Ref) })
			if !w.File { // a share of a share
				first := other
				change(func(tx store.Tx) (err error) { other, err = s.Share(tx, first); return err })
				change(func(tx store.Tx) error { return s.Drop(tx, first) })
			}
			if got, err := read(t, s, db, other, customer, 0, int64(size)); err != nil || !bytes.Equal(got, random(size)) {
				t.Errorf("%d bytes after the first was dropped: %v", size, err)
			}
			change(func(tx store.Tx) error { return s.Drop(tx, other) })
			ctx, cancel := context.WithCancel(t.Context())
			loop := reconcile.New(db, reconcile.Options{})
			s.Reconcile(loop)
			done := make(chan error)
			go func() { done <- loop.Run(ctx) }()
			for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
				if _, err := read(t, s, db, other, customer, 0, int64(size)); errors.Is(err, ErrGone) {
					break
				}
				if time.Now().After(deadline) {
					t.Fatal("the bytes are still there")
				}
			}
			cancel()
			<-done
		}
	})
}

func TestSweep(t *testing.T) {
	kinds(t, func(t *testing.T, s *Store, db store.DB, files Files) {
		kept, err := s.Write(t.Context(), bytes.NewReader(random(1<<20)), WriteOptions{Size: -1})
		if err != nil {
			t.Fatal(err)
		}
		keep(t, s, db, kept)
		underway, err := s.Write(t.Context(), bytes.NewReader(random(1<<20)), WriteOptions{Size: -1})
		if err != nil {
			t.Fatal(err)
		}
		lost, _ := files.Create(newID(), -1)
		lost.Write([]byte("nobody's"))
		lost.Commit()
		if err := s.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		left := map[string]bool{}
		files.List(func(id string, _ int64) bool { left[id] = true; return true })
		if len(left) != 2 || !left[kept.ID] || !left[underway.ID] {
			t.Errorf("left %v", left)
		}
	})
}

func BenchmarkWrite(b *testing.B) {
	for _, plain := range []bool{false, true} {
		b.Run(fmt.Sprintf("plain=%v", plain), func(b *testing.B) {
			db := store.OpenMemory(store.Options{})
			defer db.Close()
			s := New(Config{DB: db, Files: OpenFolder(b.TempDir()), Key: seal.NewKey(), Plain: plain})
			body := random(64 << 20)
			b.SetBytes(64 << 20)
			for b.Loop() {
				w, err := s.Write(b.Context(), bytes.NewReader(body), WriteOptions{Size: int64(len(body)), Sums: []checksum.Algorithm{checksum.CRC64NVME}})
				if err != nil {
					b.Fatal(err)
				}
				s.Discard(w)
			}
		})
	}
}
