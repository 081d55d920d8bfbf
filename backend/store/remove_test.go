package store_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"miniaws/backend/store"
)

type note struct{ ID, Text string }

var notes = store.NewTable(store.Spec[note]{
	Service: "test", Name: "notes",
	ID:      func(n *note) store.ID { return store.ID{n.ID} },
	Indexes: []store.Index[note]{{Name: "text", Values: func(n *note) []store.ID { return []store.ID{{n.Text}} }}},
})

// TestRemoveScope: all rows of the account go, more than one transaction takes, and nobody else's.
func TestRemoveScope(t *testing.T) {
	db := store.OpenMemory(store.Options{})
	t.Cleanup(func() { db.Close() })
	const mine, other = "111111111111", "222222222222"
	put := func(scope store.Scope, from, to int) {
		t.Helper()
		err := db.Update(t.Context(), func(tx store.Tx) error {
			for i := from; i < to; i++ {
				if err := notes.In(tx, scope).Put(&note{ID: fmt.Sprint(i), Text: "text"}); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	regional := store.Scope{Account: mine, Region: "us-east-1"}
	put(regional, 0, 1000)
	put(regional, 1000, 2000)
	put(store.Scope{Account: mine}, 0, 1)
	put(store.Scope{Account: other, Region: "us-east-1"}, 0, 1)
	put(store.Scope{Account: mine + "0"}, 0, 1)
	put(store.Scope{}, 0, 1)
	before := db.Stats().Rows
	if err := store.RemoveScope(t.Context(), db, store.Scope{Account: mine}); err != nil {
		t.Fatal(err)
	}
	if left, want := db.Stats().Rows, before-2*2001; left != want {
		t.Errorf("%d rows left of %d, want %d", left, before, want)
	}
	err := db.View(t.Context(), func(tx store.Tx) error {
		_, err := notes.In(tx, store.Scope{Account: other, Region: "us-east-1"}).Get("0")
		return err
	})
	if err != nil {
		t.Errorf("another account's row: %v", err)
	}
	if err := store.RemoveScope(context.Background(), db, store.Scope{}); !errors.Is(err, store.ErrInvalidKey) {
		t.Errorf("the global tables: %v", err)
	}
}
