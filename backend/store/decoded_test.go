package store

import (
	"slices"
	"testing"
)

// TestChangedShared: a reader who changes a record that is shared is found, and one who wrote it is not.
func TestChangedShared(t *testing.T) {
	type noted struct {
		ID   string
		Text string            `json:",omitempty"`
		More map[string]string `json:",omitempty"`
	}
	table := NewTable(Spec[noted]{Service: "test", Name: "noted", ID: func(n *noted) ID { return ID{n.ID} }})
	db := OpenMemory(Options{})
	t.Cleanup(func() { db.Close() })
	in := Scope{Account: "111111111111", Region: "us-east-1"}
	put := func(n *noted) {
		t.Helper()
		if err := db.Update(t.Context(), func(tx Tx) error { return table.In(tx, in).Put(n) }); err != nil {
			t.Fatal(err)
		}
	}
	// read shares the records, and does something to each.
	read := func(to func(*noted)) {
		t.Helper()
		err := db.View(t.Context(), func(tx Tx) error {
			for n, err := range table.In(tx, in).Shared(Query{}) {
				if err != nil {
					return err
				}
				to(n)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	changed := func() int {
		t.Helper()
		list, err := ChangedShared(t.Context(), db)
		if err != nil || !slices.IsSorted(list) {
			t.Fatal(list, err)
		}
		return len(list)
	}
	put(&noted{ID: "a", More: map[string]string{"k": "v"}})
	put(&noted{ID: "b"})
	read(func(*noted) {})
	if n := changed(); n != 0 {
		t.Errorf("%d after reading", n)
	}
	put(&noted{ID: "b", Text: "other"})
	if n := changed(); n != 0 {
		t.Errorf("%d after writing", n)
	}
	read(func(n *noted) {
		if n.More != nil {
			n.More["k"] = "else"
		}
	})
	if n := changed(); n != 1 {
		t.Errorf("%d after a reader's change", n)
	}
}
