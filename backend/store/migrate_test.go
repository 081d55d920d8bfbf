package store

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
)

type tagged struct {
	Name string
	Tags []string
}

func taggedSpec(indexes ...string) Spec[tagged] {
	s := Spec[tagged]{Service: "test", Name: "tagged", ID: func(r *tagged) ID { return ID{r.Name} }}
	for _, n := range indexes {
		s.Indexes = append(s.Indexes, Index[tagged]{Name: n, Values: func(r *tagged) (ids []ID) {
			for _, v := range r.Tags {
				ids = append(ids, ID{v})
			}
			return ids
		}})
	}
	return s
}

// TestMigrateManyIndexRows: 256 records, the usual batch, write more rows than one transaction may.
func TestMigrateManyIndexRows(t *testing.T) {
	db := OpenMemory(Options{})
	defer db.Close()
	old, newer := NewTable(taggedSpec()), NewTable(taggedSpec("tag"))
	for i := range 300 {
		r := &tagged{Name: fmt.Sprint(i)}
		for j := range 50 {
			r.Tags = append(r.Tags, fmt.Sprint(j))
		}
		if err := db.Update(t.Context(), func(tx Tx) error { return old.In(tx, Scope{}).Put(r) }); err != nil {
			t.Fatal(err)
		}
	}
	if err := Migrate(t.Context(), db, newer); err != nil {
		t.Fatal(err)
	}
	if rows := db.Stats().Rows; rows != 300*51+1 {
		t.Errorf("%d rows", rows)
	}
}

func TestInterruptedMigrationIsSeenByOthers(t *testing.T) {
	db := OpenMemory(Options{})
	defer db.Close()
	spec := taggedSpec("tag")
	one := NewTable(spec)
	if err := Migrate(t.Context(), db, one); err != nil {
		t.Fatal(err)
	}
	for i := range 300 {
		r := &tagged{Name: fmt.Sprintf("%03d", i), Tags: []string{"x"}}
		if err := db.Update(t.Context(), func(tx Tx) error { return one.In(tx, Scope{}).Put(r) }); err != nil {
			t.Fatal(err)
		}
	}
	bad := taggedSpec("tag", "other")
	values := bad.Indexes[1].Values
	bad.Indexes[1].Values = func(r *tagged) []ID {
		if r.Name == "290" {
			panic("power cut")
		}
		return values(r)
	}
	func() {
		defer func() { _ = recover() }()
		_ = Migrate(t.Context(), db, NewTable(bad))
		t.Error("not interrupted")
	}()
	// Whoever comes next, such as the former version of the program, finishes it for its own indexes.
	if err := Migrate(t.Context(), db, one); err != nil {
		t.Fatal(err)
	}
	err := db.View(t.Context(), func(tx Tx) error {
		list, _, err := one.In(tx, Scope{}).Index("tag").List(Query{})
		if len(list) != 300 {
			t.Errorf("%d of 300 in the index", len(list))
		}
		for row, err := range tx.Scan(tree) {
			if err != nil {
				return err
			}
			if strings.Contains(string(row.Key), "@other") {
				t.Errorf("left over: %q", row.Key)
				break
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestDeleteWhileWalkingAnIndex deletes a record that the index holds twice.
func TestDeleteWhileWalkingAnIndex(t *testing.T) {
	db := OpenMemory(Options{})
	defer db.Close()
	table := NewTable(taggedSpec("tag"))
	err := db.Update(t.Context(), func(tx Tx) error {
		return table.In(tx, Scope{}).Put(&tagged{Name: "a", Tags: []string{"x", "y"}})
	})
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(t.Context(), func(tx Tx) error {
		rows := table.In(tx, Scope{})
		for r, err := range rows.Index("tag").Scan(Query{}) {
			if err != nil {
				return err
			}
			if err := rows.Delete(r.Name); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestMigrateNeedsRoom: a full disk does not make a table look empty through an index that was never made.
func TestMigrateNeedsRoom(t *testing.T) {
	dir := t.TempDir()
	o := DiskOptions{SegmentSize: minSegment, Reserve: 1 << 20, Schemas: []Schema{NewTable(taggedSpec())}}
	db, err := Open(t.Context(), dir, o)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(t.Context(), func(tx Tx) error {
		return NewTable(taggedSpec()).In(tx, Scope{}).Put(&tagged{Name: "a", Tags: []string{"x"}})
	})
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	full := o
	full.Reserve = 1 << 62
	if db, err = Open(t.Context(), dir, full); err != nil {
		t.Fatal(err)
	}
	db.Close()
	full.Schemas = []Schema{NewTable(taggedSpec("tag"))}
	if db, err = Open(t.Context(), dir, full); !errors.Is(err, ErrFull) {
		t.Errorf("error %v", err)
		if err == nil {
			db.Close()
		}
	}
	o.Schemas = full.Schemas
	if db, err = Open(t.Context(), dir, o); err != nil {
		t.Fatal(err)
	}
	db.Close()
}

// TestMigrationReplacesNoRecord: one that gives two records the same id is refused.
func TestMigrationReplacesNoRecord(t *testing.T) {
	db := OpenMemory(Options{})
	defer db.Close()
	old := NewTable(taggedSpec())
	err := db.Update(t.Context(), func(tx Tx) error {
		rows := old.In(tx, Scope{})
		return errors.Join(rows.Put(&tagged{Name: "A"}), rows.Put(&tagged{Name: "a"}))
	})
	if err != nil {
		t.Fatal(err)
	}
	spec := taggedSpec()
	spec.Migrations = []func([]byte) ([]byte, error){func(b []byte) ([]byte, error) {
		return bytes.Replace(b, []byte(`"A"`), []byte(`"a"`), 1), nil
	}}
	if err := Migrate(t.Context(), db, NewTable(spec)); !errors.Is(err, ErrExists) {
		t.Errorf("error %v", err)
	}
}
