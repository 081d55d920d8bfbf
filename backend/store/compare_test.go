package store

import (
	"fmt"
	"strings"
	"testing"
)

// TestCompare: an index that is a copy of dump and log, and one that is not.
func TestCompare(t *testing.T) {
	db, err := Open(t.Context(), t.TempDir(), DiskOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	put := func(from, to int) {
		t.Helper()
		err := db.Update(t.Context(), func(tx Tx) error {
			for i := from; i < to; i++ {
				if err := tx.Put(Key(fmt.Sprintf("/0/_/_/test/rows/%06d", i)), []byte("value")); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	put(0, 1000)
	if err := Checkpoint(t.Context(), db); err != nil {
		t.Fatal(err)
	}
	put(500, 1500)
	same, err := Compare(t.Context(), db)
	if err != nil || same.Rows != 1500 || len(same.Differences) > 0 {
		t.Fatalf("%+v, %v", same, err)
	}

	// Behind the log's back: one row less, one more, one other.
	d := db.(*durable)
	damage := group{first: d.badger.applied + 1, transactions: [][]write{{
		{key: "/0/_/_/test/rows/000001", deleted: true},
		{key: "/0/_/_/test/rows/000002", value: []byte("other")},
		{key: "/0/_/_/test/rows/9", value: []byte("more")},
	}}}
	if err := d.badger.apply(damage); err != nil {
		t.Fatal(err)
	}
	got, err := Compare(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"/0/_/_/test/rows/000001: the index lacks it",
		"/0/_/_/test/rows/000002: the index has another value",
		"/0/_/_/test/rows/9: the index has it, dump and log do not",
	}
	if strings.Join(got.Differences, "\n") != strings.Join(want, "\n") {
		t.Errorf("found %q", got.Differences)
	}
}

// TestRecords finds by the whole id and by its end, and no index rows.
func TestRecords(t *testing.T) {
	type thing struct{ Owner, ID string }
	things := NewTable(Spec[thing]{
		Service: "test", Name: "things",
		ID:      func(x *thing) ID { return ID{x.Owner, x.ID} },
		Indexes: []Index[thing]{{Name: "id", Values: func(x *thing) []ID { return []ID{{x.ID}} }}},
	})
	db := OpenMemory(Options{})
	t.Cleanup(func() { db.Close() })
	err := db.Update(t.Context(), func(tx Tx) error {
		for _, x := range []thing{{"a", "i-1"}, {"a", "i-11"}, {"i-1", "b"}} {
			if err := things.In(tx, Scope{Account: "111111111111", Region: "us-east-1"}).Put(&x); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	found, err := Records(t.Context(), db, "i-1")
	if err != nil || len(found) != 1 || found[0].Place != "/0/111111111111/us-east-1/test/things/a,i-1" || string(found[0].JSON) != `{"Owner":"a","ID":"i-1"}` {
		t.Errorf("%q, %v", found, err)
	}
}
