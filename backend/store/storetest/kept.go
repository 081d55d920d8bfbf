package storetest

import (
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"

	"miniaws/backend/store"
)

func getKept(tx store.Tx, key string) string {
	switch value, err := store.GetKept(tx, store.Key(key)); {
	case errors.Is(err, store.ErrNotFound):
		return "-"
	case err != nil:
		return err.Error()
	default:
		return string(value)
	}
}

// keptIsExact: what is kept in memory is what each snapshot shows, absent, empty, written or deleted.
func keptIsExact(t *testing.T, db store.DB) {
	view(t, db, func(tx store.Tx) error {
		want(t, "absent", getKept(tx, "/a"), "-")
		want(t, "absent again", getKept(tx, "/a"), "-")
		put(t, db, "/a", "1", "/b", "x")
		want(t, "older than what is kept", getKept(tx, "/a"), "-")
		want(t, "read too late to be kept", getKept(tx, "/b"), "-")
		return nil
	})
	for _, value := range []string{"1", "2", ""} {
		put(t, db, "/a", value)
		view(t, db, func(tx store.Tx) error {
			want(t, "written", getKept(tx, "/a"), value)
			want(t, "kept", getKept(tx, "/a"), value)
			want(t, "another", getKept(tx, "/b"), "x")
			return nil
		})
	}
	ownWritesCount(t, db, getKept)
}

// ownWritesCount: what is remembered of "/a" and "/b" is neither what a transaction writes itself, nor what it deleted, nor a
// way around the check of what it read.
func ownWritesCount(t *testing.T, db store.DB, read func(store.Tx, string) string) {
	update(t, db, func(tx store.Tx) error {
		want(t, "before an own write", read(tx, "/a") != "own", true)
		if err := tx.Put("/a", []byte("own")); err != nil {
			return err
		}
		want(t, "own write", read(tx, "/a"), "own")
		return tx.Delete("/b")
	})
	view(t, db, func(tx store.Tx) error {
		want(t, "committed", read(tx, "/a"), "own")
		want(t, "deleted", read(tx, "/b"), "-")
		return nil
	})
	attempts := interfere(t, db, func(tx store.Tx) { read(tx, "/a") }, func() { put(t, db, "/a", "3") })
	want(t, "attempts of one whose read was overtaken", attempts, 2)
}

// keptKeepsUp: whoever begins to look after a write was acknowledged sees it, and sees the same in both ways.
func keptKeepsUp(t *testing.T, db store.DB) {
	const rows, writes, readers = 4, 200, 3
	var all, writers sync.WaitGroup
	done := make(chan struct{})
	for i := range rows {
		writers.Go(func() {
			key := fmt.Sprintf("/stamp-%d", i)
			for n := range writes {
				put(t, db, key, strconv.Itoa(n))
				view(t, db, func(tx store.Tx) error {
					want(t, "own acknowledged write", getKept(tx, key), strconv.Itoa(n))
					return nil
				})
			}
		})
	}
	for range readers {
		all.Go(func() {
			for looks := 0; ; looks++ {
				select {
				case <-done:
					return
				default:
				}
				view(t, db, func(tx store.Tx) error {
					key := fmt.Sprintf("/stamp-%d", looks%rows)
					first := getKept(tx, key)
					value, err := tx.Get(store.Key(key))
					if errors.Is(err, store.ErrNotFound) {
						value = []byte("-")
					}
					want(t, "kept and read", first, string(value))
					want(t, "and kept again", getKept(tx, key), first)
					return nil
				})
			}
		})
	}
	writers.Wait()
	close(done)
	all.Wait()
}
