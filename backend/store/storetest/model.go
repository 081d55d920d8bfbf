package storetest

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"miniaws/backend/store"
)

func model(t *testing.T, db store.DB) { Model(t, db, map[string]string{}, 300) }

// Model runs random transactions on db and on want, which holds what db holds, and compares. It prints its seed.
func Model(t *testing.T, db store.DB, want map[string]string, transactions int) {
	t.Helper()
	seed := rand.Uint64()
	defer func() {
		if t.Failed() {
			t.Logf("seed %d", seed)
		}
	}()
	r := rand.New(rand.NewPCG(seed, 0))
	key := func() string { return fmt.Sprintf("/m/%c/%c", 'a'+rune(r.IntN(8)), 'a'+rune(r.IntN(26))) }
	Check(t, db, want)
	abandon := errors.New("abandon")
	for range transactions {
		next := maps.Clone(want)
		give := r.IntN(8) == 0
		err := db.Update(t.Context(), func(tx store.Tx) error {
			for range 1 + r.IntN(6) {
				k := key()
				switch r.IntN(5) {
				case 0:
					delete(next, k)
					if err := tx.Delete(store.Key(k)); err != nil {
						return err
					}
				case 1, 2:
					v := strings.Repeat(fmt.Sprintf("%08x", r.Uint32()), r.IntN(400)) // both sides of the value log's 1 KiB
					next[k] = v
					if err := tx.Put(store.Key(k), []byte(v)); err != nil {
						return err
					}
				case 3:
					v, err := tx.Get(store.Key(k))
					if wantV, ok := next[k]; ok != (err == nil) || string(v) != wantV {
						t.Errorf("get %s: %q %v, want %q", k, v, err, wantV)
					}
				case 4:
					a, b := key(), key()
					compare(t, tx, store.Range{Start: store.Key(min(a, b)), End: store.Key(max(a, b))}, next)
				}
			}
			if give {
				return abandon
			}
			return nil
		})
		switch {
		case give && errors.Is(err, abandon):
		case err != nil:
			t.Fatal(err)
		default:
			clear(want)
			maps.Copy(want, next)
		}
		if t.Failed() {
			return
		}
	}
	Check(t, db, want)
}

// Check compares everything below /m/ with want.
func Check(t *testing.T, db store.DB, want map[string]string) {
	t.Helper()
	err := db.View(t.Context(), func(tx store.Tx) error {
		compare(t, tx, store.PrefixRange("/m/"), want)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func compare(t *testing.T, tx store.Tx, r store.Range, want map[string]string) {
	t.Helper()
	ks := slices.Sorted(maps.Keys(want))
	ks = slices.DeleteFunc(ks, func(k string) bool { return k < string(r.Start) || k >= string(r.End) })
	i := 0
	for row, err := range tx.Scan(r) {
		if err != nil {
			t.Fatal(err)
		}
		if i >= len(ks) || string(row.Key) != ks[i] || string(row.Value) != want[ks[i]] {
			t.Fatalf("row %d of %v is %q", i, r, row.Key)
		}
		i++
	}
	if i < len(ks) {
		t.Fatalf("%v ends at row %d of %d", r, i, len(ks))
	}
}
