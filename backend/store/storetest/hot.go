package storetest

import (
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"

	"miniaws/backend/store"
)

// readAt answers what a transaction reads, and how often it was asked is of no matter.
func readAt(tx store.Tx, key string) string {
	value, err := tx.Get(store.Key(key))
	switch {
	case errors.Is(err, store.ErrNotFound):
		return "-"
	case err != nil:
		return err.Error()
	}
	defer func() { clear(value) }() // it is the reader's: nobody else may see this
	return string(value)
}

// hotIsExact: a row that was read before is what each snapshot shows.
func hotIsExact(t *testing.T, db store.DB) {
	put(t, db, "/a", "0", "/b", "0")
	view(t, db, func(old store.Tx) error {
		want(t, "at first", readAt(old, "/a"), "0")
		put(t, db, "/a", "1", "/b", "1", "/c", "1")
		view(t, db, func(tx store.Tx) error {
			for range 2 {
				want(t, "written since", readAt(tx, "/a")+readAt(tx, "/b")+readAt(tx, "/c"), "111")
			}
			return nil
		})
		for range 2 {
			want(t, "in the older snapshot", readAt(old, "/a")+readAt(old, "/b")+readAt(old, "/c"), "00-")
		}
		return nil
	})
	view(t, db, func(tx store.Tx) error {
		want(t, "what an older snapshot read is not remembered", readAt(tx, "/a")+readAt(tx, "/b")+readAt(tx, "/c"), "111")
		return nil
	})
	ownWritesCount(t, db, readAt)
}

// hotKeepsUp: beside writers of many rows, whoever begins to read after a write was acknowledged reads it, and a
// transaction reads the same each time.
func hotKeepsUp(t *testing.T, db store.DB) {
	const rows, writes, readers = 4, 300, 3
	var all, writers sync.WaitGroup
	done := make(chan struct{})
	for i := range rows {
		writers.Go(func() {
			key := fmt.Sprintf("/hot-%d", i)
			for n := range writes {
				put(t, db, key, strconv.Itoa(n), fmt.Sprintf("/other-%d-%d", i, n), "x")
				view(t, db, func(tx store.Tx) error {
					want(t, key+" after its write", readAt(tx, key), strconv.Itoa(n))
					return nil
				})
			}
		})
	}
	for range readers {
		all.Go(func() {
			last := [rows]int{}
			for {
				select {
				case <-done:
					return
				default:
				}
				view(t, db, func(tx store.Tx) error {
					for i := range rows {
						key := fmt.Sprintf("/hot-%d", i)
						first := readAt(tx, key)
						want(t, key+" again", readAt(tx, key), first)
						if n, err := strconv.Atoi(first); err == nil && n < last[i] {
							t.Errorf("%s went back from %d to %d", key, last[i], n)
						} else if err == nil {
							last[i] = n
						}
					}
					return nil
				})
			}
		})
	}
	writers.Wait()
	close(done)
	all.Wait()
}
