package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"miniaws/backend/store"
)

// Open returns a new, empty store. The suite closes it.
type Open func(t *testing.T, o store.Options) store.DB

// Run runs the whole suite.
func Run(t *testing.T, open Open) {
	tests := []struct {
		name string
		run  func(*testing.T, store.DB)
	}{
		{"GetPutDelete", getPutDelete},
		{"ScanOrderAndOwnWrites", scanOrder},
		{"ScanJumps", scanJumps},
		{"ErrorOfClosureWritesNothing", errorOfClosure},
		{"ViewIsReadOnly", viewIsReadOnly},
		{"SnapshotDoesNotMove", snapshotDoesNotMove},
		{"ConflictRunsAgain", conflictRunsAgain},
		{"AbsenceIsARead", absenceIsARead},
		{"Phantom", phantom},
		{"WalkedRangeOnly", walkedRangeOnly},
		{"EndlessConflict", endlessConflict},
		{"Counter", counter},
		{"Limits", limits},
		{"Watch", watch},
		{"WatchWaits", watchWaits},
		{"Cancelled", cancelled},
		{"Closed", closed},
		{"Tables", tables},
		{"TableOrder", tableOrder},
		{"UniqueIndex", uniqueIndex},
		{"Pages", pages},
		{"Migrations", migrations},
		{"KeptIsExact", keptIsExact},
		{"KeptKeepsUp", keptKeepsUp},
		{"HotIsExact", hotIsExact},
		{"HotKeepsUp", hotKeepsUp},
		{"Model", model},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			db := open(t, store.Options{})
			defer db.Close()
			test.run(t, db)
		})
	}
	t.Run("ClockAndIDs", func(t *testing.T) { clockAndIDs(t, open) })
}

func update(t *testing.T, db store.DB, fn func(store.Tx) error) {
	t.Helper()
	if err := db.Update(t.Context(), fn); err != nil {
		t.Fatal(err)
	}
}

func view(t *testing.T, db store.DB, fn func(store.Tx) error) {
	t.Helper()
	if err := db.View(t.Context(), fn); err != nil {
		t.Fatal(err)
	}
}

func put(t *testing.T, db store.DB, pairs ...string) {
	t.Helper()
	update(t, db, func(tx store.Tx) error {
		for i := 0; i < len(pairs); i += 2 {
			if err := tx.Put(store.Key(pairs[i]), []byte(pairs[i+1])); err != nil {
				return err
			}
		}
		return nil
	})
}

func get(tx store.Tx, key string) string {
	b, err := tx.Get(store.Key(key))
	if err != nil {
		return err.Error()
	}
	return string(b)
}

func keys(tx store.Tx, r store.Range) string {
	var ks []string
	for row, err := range tx.Scan(r) {
		if err != nil {
			return err.Error()
		}
		ks = append(ks, string(row.Key)+"="+string(row.Value))
	}
	return strings.Join(ks, " ")
}

func want(t *testing.T, what string, got, want any) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Fatalf("%s (-want +got):\n%s", what, d)
	}
}

func wantErr(t *testing.T, err, kind error) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Fatalf("error %v, want %v", err, kind)
	}
}

func getPutDelete(t *testing.T, db store.DB) {
	big := strings.Repeat("0123456789abcdef", store.MaxValue/16)
	put(t, db, "/a", "1", "/empty", "", "/big", big)
	view(t, db, func(tx store.Tx) error {
		want(t, "a", get(tx, "/a"), "1")
		want(t, "empty", get(tx, "/empty"), "")
		want(t, "big", get(tx, "/big") == big, true)
		_, err := tx.Get("/b")
		wantErr(t, err, store.ErrNotFound)
		_, err = tx.Get("no slash")
		wantErr(t, err, store.ErrInvalidKey)
		return nil
	})
	update(t, db, func(tx store.Tx) error {
		return errors.Join(tx.Delete("/a"), tx.Delete("/never"), tx.Put("/b", []byte("2")))
	})
	view(t, db, func(tx store.Tx) error {
		want(t, "deleted", get(tx, "/a"), store.ErrNotFound.Error())
		want(t, "rows", keys(tx, store.Range{Start: "/a", End: "/bb"}), "/b=2")
		return nil
	})
	want(t, "row count", db.Stats().Rows, int64(3))
	want(t, "revision", db.Stats().Revision, uint64(2))
	update(t, db, func(tx store.Tx) error {
		b, err := tx.Get("/b")
		b[0] = 'x' // the caller's own copy
		return err
	})
	view(t, db, func(tx store.Tx) error { want(t, "b", get(tx, "/b"), "2"); return nil })
}

// scanJumps: a scan goes on where its reader says, and never back; what the transaction wrote itself may show up before that.
func scanJumps(t *testing.T, db store.DB) {
	put(t, db, "/k/a", "1", "/k/b", "1", "/k/c", "1", "/k/d", "1", "/k/e", "1")
	jumps := func(tx store.Tx, places ...store.Key) string {
		r := store.PrefixRange("/k/")
		r.Jump = func() (to store.Key) {
			if len(places) > 0 {
				to, places = places[0], places[1:]
			}
			return to
		}
		return keys(tx, r)
	}
	err := db.View(t.Context(), func(tx store.Tx) error {
		want(t, "behind a, then on", jumps(tx, "/k/d"), "/k/a=1 /k/d=1 /k/e=1")
		want(t, "between two, back, on, and over the end", jumps(tx, "/k/bb", "/k/a", "", "/z"), "/k/a=1 /k/c=1 /k/d=1 /k/e=1")
		want(t, "out of the range", jumps(tx, "/l"), "/k/a=1")
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	update(t, db, func(tx store.Tx) error {
		if err := errors.Join(tx.Put("/k/f", []byte("2")), tx.Delete("/k/e")); err != nil {
			return err
		}
		want(t, "with own writes", jumps(tx, "/k/d"), "/k/a=1 /k/d=1 /k/f=2")
		return nil
	})
}

func scanOrder(t *testing.T, db store.DB) {
	put(t, db, "/k/b", "1", "/k/a", "1", "/k/d", "1", "/k/\xff", "1", "/k/\x00", "1", "/j", "0", "/l", "0")
	update(t, db, func(tx store.Tx) error {
		if err := errors.Join(tx.Put("/k/c", []byte("2")), tx.Delete("/k/b"), tx.Put("/k/d", []byte("2")), tx.Put("/k/e", []byte("2"))); err != nil {
			return err
		}
		want(t, "own", keys(tx, store.PrefixRange("/k/")), "/k/\x00=1 /k/a=1 /k/c=2 /k/d=2 /k/e=2 /k/\xff=1")
		want(t, "keys only", keys(tx, store.Range{Start: "/k/b", End: "/k/d", KeysOnly: true}), "/k/c=")
		want(t, "empty range", keys(tx, store.Range{Start: "/z", End: "/a"}), "")
		for row, err := range tx.Scan(store.PrefixRange("/k/")) { // nested, with writes inside
			if err != nil {
				return err
			}
			if err := tx.Put(row.Key+"/sub", row.Value); err != nil {
				return err
			}
			want(t, "nested", get(tx, string(row.Key)), string(row.Value))
		}
		want(t, "stop early", firstKey(tx, store.PrefixRange("/k/")), "/k/\x00")
		return nil
	})
	view(t, db, func(tx store.Tx) error {
		want(t, "all", keys(tx, store.Range{Start: "/k/c", End: "/k/e"}), "/k/c=2 /k/c/sub=2 /k/d=2 /k/d/sub=2")
		return nil
	})
}

func firstKey(tx store.Tx, r store.Range) string {
	for row, err := range tx.Scan(r) {
		if err != nil {
			return err.Error()
		}
		return string(row.Key)
	}
	return ""
}

func errorOfClosure(t *testing.T, db store.DB) {
	mine := errors.New("mine")
	wantErr(t, db.Update(t.Context(), func(tx store.Tx) error { return errors.Join(tx.Put("/a", nil), mine) }), mine)
	wantErr(t, db.View(t.Context(), func(tx store.Tx) error { return mine }), mine)
	view(t, db, func(tx store.Tx) error { want(t, "a", get(tx, "/a"), store.ErrNotFound.Error()); return nil })
	want(t, "revision", db.Stats().Revision, uint64(0))
}

func viewIsReadOnly(t *testing.T, db store.DB) {
	view(t, db, func(tx store.Tx) error {
		wantErr(t, tx.Put("/a", nil), store.ErrReadOnly)
		wantErr(t, tx.Delete("/a"), store.ErrReadOnly)
		return nil
	})
}

func snapshotDoesNotMove(t *testing.T, db store.DB) {
	put(t, db, "/a", "1")
	view(t, db, func(tx store.Tx) error {
		put(t, db, "/a", "2", "/b", "2")
		want(t, "a", get(tx, "/a"), "1")
		want(t, "scan", keys(tx, store.PrefixRange("/")), "/a=1")
		want(t, "revision", tx.Revision(), uint64(1))
		return nil
	})
}

// interfere runs a transaction whose first attempt is overtaken by other, and returns the number of attempts.
func interfere(t *testing.T, db store.DB, read func(store.Tx), other func()) int {
	t.Helper()
	attempts := 0
	update(t, db, func(tx store.Tx) error {
		attempts++
		read(tx)
		if attempts == 1 {
			other()
		}
		return tx.Put("/result", fmt.Append(nil, attempts))
	})
	return attempts
}

func conflictRunsAgain(t *testing.T, db store.DB) {
	put(t, db, "/a", "1")
	n := interfere(t, db, func(tx store.Tx) { get(tx, "/a") }, func() { put(t, db, "/a", "2") })
	want(t, "attempts", n, 2)
	n = interfere(t, db, func(tx store.Tx) { get(tx, "/a") }, func() { put(t, db, "/b", "2") })
	want(t, "attempts when another key changed", n, 1)
	n = interfere(t, db, func(tx store.Tx) {}, func() { put(t, db, "/result", "2") })
	want(t, "attempts of a blind write", n, 1)
	want(t, "conflicts", db.Stats().Conflicts, uint64(1))
}

func absenceIsARead(t *testing.T, db store.DB) {
	n := interfere(t, db, func(tx store.Tx) { get(tx, "/new") }, func() { put(t, db, "/new", "1") })
	want(t, "attempts", n, 2)
}

func phantom(t *testing.T, db store.DB) {
	put(t, db, "/t/a", "1", "/t/c", "1")
	scan := func(tx store.Tx) { keys(tx, store.PrefixRange("/t/")) }
	want(t, "insert", interfere(t, db, scan, func() { put(t, db, "/t/b", "1") }), 2)
	want(t, "insert at the end", interfere(t, db, scan, func() { put(t, db, "/t/z", "1") }), 2)
	want(t, "delete", interfere(t, db, scan, func() {
		update(t, db, func(tx store.Tx) error { return tx.Delete("/t/a") })
	}), 2)
	want(t, "outside", interfere(t, db, scan, func() { put(t, db, "/u/b", "1") }), 1)
	want(t, "empty range", interfere(t, db, func(tx store.Tx) { keys(tx, store.PrefixRange("/v/")) }, func() { put(t, db, "/v/b", "1") }), 2)
}

func walkedRangeOnly(t *testing.T, db store.DB) {
	put(t, db, "/t/b", "1", "/t/d", "1")
	first := func(tx store.Tx) { firstKey(tx, store.PrefixRange("/t/")) }
	want(t, "behind what was walked", interfere(t, db, first, func() { put(t, db, "/t/c", "1") }), 1)
	want(t, "before the first", interfere(t, db, first, func() { put(t, db, "/t/a", "1") }), 2)
	want(t, "the first itself", interfere(t, db, first, func() { put(t, db, "/t/a", "2") }), 2)
}

func endlessConflict(t *testing.T, db store.DB) {
	err := db.Update(t.Context(), func(tx store.Tx) error {
		get(tx, "/a")
		put(t, db, "/a", "x")
		return tx.Put("/b", nil)
	})
	wantErr(t, err, store.ErrConflict)
}

func counter(t *testing.T, db store.DB) {
	const writers, each = 8, 25
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for range each {
				err := db.Update(t.Context(), func(tx store.Tx) error {
					var n int
					if b, err := tx.Get("/n"); err == nil {
						fmt.Sscan(string(b), &n)
					}
					return tx.Put("/n", fmt.Append(nil, n+1))
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	view(t, db, func(tx store.Tx) error { want(t, "n", get(tx, "/n"), fmt.Sprint(writers*each)); return nil })
}

func limits(t *testing.T, db store.DB) {
	try := func(fn func(tx store.Tx) error) error {
		return db.Update(t.Context(), func(tx store.Tx) error { fn(tx); return nil }) // ignores the error: commit must not
	}
	wantErr(t, try(func(tx store.Tx) error { return tx.Put("/a", make([]byte, store.MaxValue+1)) }), store.ErrTooLarge)
	wantErr(t, try(func(tx store.Tx) error {
		return tx.Put(store.Key("/"+strings.Repeat("k", store.MaxKey)), nil)
	}), store.ErrTooLarge)
	wantErr(t, try(func(tx store.Tx) error { return tx.Put("", nil) }), store.ErrInvalidKey)
	wantErr(t, try(func(tx store.Tx) error {
		for i := range 17 {
			tx.Put(store.Key(fmt.Sprintf("/%d", i)), make([]byte, store.MaxValue))
		}
		return nil
	}), store.ErrTooLarge)
	wantErr(t, try(func(tx store.Tx) error {
		for i := range store.MaxWrites + 1 {
			tx.Put(store.Key(fmt.Sprintf("/%d", i)), nil)
		}
		return nil
	}), store.ErrTooLarge)
	want(t, "revision", db.Stats().Revision, uint64(0))
	update(t, db, func(tx store.Tx) error { // as large as allowed
		for i := range 15 {
			if err := tx.Put(store.Key(fmt.Sprintf("/big/%d", i)), bytes.Repeat([]byte{byte(i)}, store.MaxValue)); err != nil {
				return err
			}
		}
		return nil
	})
	update(t, db, func(tx store.Tx) error {
		for i := range store.MaxWrites {
			if err := tx.Put(store.Key(fmt.Sprintf("/many/%d", i)), []byte("x")); err != nil {
				return err
			}
		}
		return nil
	})
	want(t, "rows", db.Stats().Rows, int64(15+store.MaxWrites))
}

func watch(t *testing.T, db store.DB) {
	put(t, db, "/a", "1")
	put(t, db, "/c", "2", "/b", "2")
	update(t, db, func(tx store.Tx) error { return tx.Delete("/a") })
	var got []store.Commit
	for c, err := range db.Watch(t.Context(), 2) {
		if err != nil {
			t.Fatal(err)
		}
		if got = append(got, c); len(got) == 2 {
			break
		}
	}
	want(t, "feed", got, []store.Commit{
		{Revision: 2, Changes: []store.Change{{Key: "/b", Value: []byte("2")}, {Key: "/c", Value: []byte("2")}}},
		{Revision: 3, Changes: []store.Change{{Key: "/a", Deleted: true}}},
	})
}

func watchWaits(t *testing.T, db store.DB) {
	const n = 200
	done := make(chan error, 1)
	go func() {
		next := uint64(1)
		for c, err := range db.Watch(t.Context(), 0) {
			if err != nil {
				done <- err
				return
			}
			if c.Revision != next || len(c.Changes) != 1 {
				done <- fmt.Errorf("got %v, want revision %d", c, next)
				return
			}
			if next++; next > n {
				done <- nil
				return
			}
		}
	}()
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := range n / 4 {
				put(t, db, fmt.Sprintf("/%d/%d", w, i), "x")
			}
		})
	}
	wg.Wait()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(time.Millisecond, cancel)
	for _, err := range db.Watch(ctx, n+1) {
		wantErr(t, err, context.Canceled)
	}
}

func cancelled(t *testing.T, db store.DB) {
	ctx, cancel := context.WithCancel(t.Context())
	err := db.Update(ctx, func(tx store.Tx) error { cancel(); return nil })
	wantErr(t, err, context.Canceled)
	wantErr(t, db.Update(ctx, func(tx store.Tx) error { return nil }), context.Canceled)
	wantErr(t, db.View(ctx, func(tx store.Tx) error { return nil }), context.Canceled)
}

func closed(t *testing.T, db store.DB) {
	var leaked store.Tx
	view(t, db, func(tx store.Tx) error { leaked = tx; return nil })
	if _, err := leaked.Get("/a"); err == nil {
		t.Error("a transaction works after its end")
	}
	ended := make(chan error, 1)
	go func() {
		for _, err := range db.Watch(context.Background(), 1) {
			ended <- err
		}
	}()
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	wantErr(t, <-ended, store.ErrClosed)
	wantErr(t, db.View(t.Context(), func(store.Tx) error { return nil }), store.ErrClosed)
	wantErr(t, db.Update(t.Context(), func(store.Tx) error { return nil }), store.ErrClosed)
	wantErr(t, db.Close(), store.ErrClosed)
}

func clockAndIDs(t *testing.T, open Open) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
	db := open(t, store.Options{Clock: func() time.Time { return now }, Random: bytes.NewReader([]byte("\x01\x23\x45\x67\x89\xab\xcd\xef\x01"))})
	defer db.Close()
	view(t, db, func(tx store.Tx) error {
		want(t, "now", tx.Now(), now)
		want(t, "id", tx.NewID("i-"), "i-0123456789abcdef0")
		return nil
	})
	db2 := open(t, store.Options{})
	defer db2.Close()
	view(t, db2, func(tx store.Tx) error {
		if a, b := tx.NewID("vpc-"), tx.NewID("vpc-"); a == b || len(a) != 21 {
			t.Errorf("ids %s %s", a, b)
		}
		return nil
	})
}
