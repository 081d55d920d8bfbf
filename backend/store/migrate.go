package store

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Schema is a Table of any type.
type Schema interface {
	name() string        // service.table
	fingerprint() schema // what the rows in the store must agree with
	base(s Scope, index string) (Key, error)
	renew(tx Tx, s Scope, k Key, value []byte) error
}

// schema is what the rows of a table were made for.
type schema struct {
	Version int      `json:"version"`
	Indexes []string `json:"indexes,omitempty"`
	// Unfinished: a migration to Version was interrupted, and Indexes are those of before and after.
	Unfinished bool `json:"unfinished,omitempty"`
}

func (s schema) equal(other schema) bool {
	return s.Version == other.Version && slices.Equal(s.Indexes, other.Indexes) && s.Unfinished == other.Unfinished
}

// Rows read and rewritten in one transaction, at most.
const (
	migrateBatch = 256 << 10 // bytes
	migrateRows  = 256
)

// Migrate brings the rows of the tables to the schema of this program: it runs migrations in every scope and makes
// new indexes. Call it after open, before anyone uses the tables. If it is interrupted the next call goes on.
func Migrate(ctx context.Context, db DB, tables ...Schema) error {
	var empty []Schema
	for _, t := range tables {
		noRows, err := migrate(ctx, db, t)
		if err != nil {
			return fmt.Errorf("migrate table %s: %w", t.name(), err)
		}
		if noRows {
			empty = append(empty, t)
		}
	}
	if len(empty) == 0 {
		return nil
	}
	// One commit for all of them: a new installation has a hundred, and whoever starts it is waiting.
	return db.Update(ctx, func(tx Tx) error {
		for _, t := range empty {
			if err := putSchema(tx, t, t.fingerprint()); err != nil {
				return err
			}
		}
		return nil
	})
}

// migrate answers true for a table without rows whose schema is still to be written.
func migrate(ctx context.Context, db DB, t Schema) (noRows bool, err error) {
	have, err := schemaOf(ctx, db, t)
	want := t.fingerprint()
	if err != nil || have.equal(want) {
		return false, err
	}
	if have.Version > want.Version {
		return false, fmt.Errorf("%w: it has schema version %d, this one knows %d", ErrNewer, have.Version, want.Version)
	}
	scopes, err := scopesOf(ctx, db, t)
	if err != nil || len(scopes) == 0 {
		return err == nil, err
	}
	both := schema{Version: want.Version, Indexes: slices.Concat(have.Indexes, want.Indexes), Unfinished: true}
	slices.Sort(both.Indexes)
	both.Indexes = slices.Compact(both.Indexes)
	// Whoever comes after an interruption, this program or another, must not take the rows for what they were.
	if err := db.Update(ctx, func(tx Tx) error { return putSchema(tx, t, both) }); err != nil {
		return false, err
	}
	for _, s := range scopes {
		if err := renewScope(ctx, db, t, s, both.Indexes); err != nil {
			return false, err
		}
	}
	return false, db.Update(ctx, func(tx Tx) error { return putSchema(tx, t, want) })
}

// mustMigrate says that the rows of some table cannot be read as they are.
func mustMigrate(ctx context.Context, db DB, tables ...Schema) error {
	for _, t := range tables {
		have, err := schemaOf(ctx, db, t)
		if err != nil {
			return err
		}
		if have.equal(t.fingerprint()) {
			continue
		}
		if scopes, err := scopesOf(ctx, db, t); err != nil || len(scopes) > 0 {
			return errors.Join(err, fmt.Errorf("table %s has to be migrated", t.name()))
		}
	}
	return nil
}

func schemaKey(t Schema) (Key, error) {
	base, err := Scope{}.base("store", "schemas")
	return base + Key(t.name()), err
}

// schemaOf answers version -1 for a table that was never here.
func schemaOf(ctx context.Context, db DB, t Schema) (have schema, err error) {
	at, err := schemaKey(t)
	if err != nil {
		return have, err
	}
	err = db.View(ctx, func(tx Tx) error {
		b, err := tx.Get(at)
		if errors.Is(err, ErrNotFound) {
			have = schema{Version: -1}
			return nil
		}
		if err != nil {
			return err
		}
		return json.Unmarshal(b, &have)
	})
	return have, err
}

func putSchema(tx Tx, t Schema, s schema) error {
	at, err := schemaKey(t)
	if err != nil {
		return err
	}
	b, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return tx.Put(at, b)
}

// scopesOf finds the scopes in which the table has rows, by skipping from region to region.
func scopesOf(ctx context.Context, db DB, t Schema) (scopes []Scope, err error) {
	err = db.View(ctx, func(tx Tx) error {
		scopes = nil
		for at := tree.Start; ; {
			var first Key
			for row, err := range tx.Scan(Range{Start: at, End: tree.End, KeysOnly: true}) {
				if err != nil {
					return err
				}
				first = row.Key
				break
			}
			if first == "" {
				return nil
			}
			names := strings.SplitN(string(first), "/", 5)
			if len(names) < 5 {
				at = first + "\x00" // not a row of a table
				continue
			}
			s := Scope{names[1], names[2], names[3]}
			at = prefixEnd(Key(strings.Join(names[:4], "/") + "/"))
			base, err := t.base(s, "")
			if err != nil {
				continue
			}
			for _, err := range tx.Scan(Range{Start: base, End: prefixEnd(base), KeysOnly: true}) {
				if err != nil {
					return err
				}
				scopes = append(scopes, s)
				break
			}
		}
	})
	return scopes, err
}

// renewScope rewrites the rows of one scope and makes their index rows again, in several transactions.
func renewScope(ctx context.Context, db DB, t Schema, s Scope, indexes []string) error {
	for _, spec := range indexes {
		name, _, _ := strings.Cut(spec, ":")
		base, err := t.base(s, name)
		if err != nil {
			return err
		}
		err = inBatches(ctx, db, base, func(tx Tx, row Row) error { return tx.Delete(row.Key) })
		if err != nil {
			return err
		}
	}
	base, err := t.base(s, "")
	if err != nil {
		return err
	}
	return inBatches(ctx, db, base, func(tx Tx, row Row) error { return t.renew(tx, s, row.Key, row.Value) })
}

// inBatches calls fn with every row below base. A batch whose writes are too large is tried again as smaller ones.
func inBatches(ctx context.Context, db DB, base Key, fn func(Tx, Row) error) error {
	start, most := base, migrateRows
	for done := false; !done; {
		var next Key
		err := db.Update(ctx, func(tx Tx) error {
			var rows []Row
			size := 0
			done, next = true, start
			for row, err := range tx.Scan(Range{Start: start, End: prefixEnd(base)}) {
				if err != nil {
					return err
				}
				if size += len(row.Key) + len(row.Value); len(rows) > 0 && (size > migrateBatch || len(rows) >= most) {
					done = false
					break
				}
				rows = append(rows, row)
				next = row.Key + "\x00"
			}
			for _, row := range rows {
				if err := fn(tx, row); err != nil {
					return err
				}
			}
			return nil
		})
		switch {
		case errors.Is(err, ErrTooLarge) && most > 1:
			most, done = most/2, false
		case err != nil:
			return err
		default:
			start = next
		}
	}
	return nil
}

func (t *Table[T]) name() string { return t.spec.Service + "." + t.spec.Name }

func (t *Table[T]) fingerprint() schema {
	s := schema{Version: len(t.spec.Migrations)}
	for _, ix := range t.spec.Indexes {
		if ix.Unique {
			s.Indexes = append(s.Indexes, ix.Name+":unique")
		} else {
			s.Indexes = append(s.Indexes, ix.Name)
		}
	}
	slices.Sort(s.Indexes)
	return s
}

func (t *Table[T]) base(s Scope, index string) (Key, error) {
	table := t.spec.Name
	if index != "" {
		table += "@" + index
	}
	return s.base(t.spec.Service, table)
}

func (t *Table[T]) renew(tx Tx, s Scope, k Key, value []byte) error {
	version, body, err := splitVersioned(value)
	if err != nil {
		return fmt.Errorf("%w: record %q: %w", ErrDamaged, k, err)
	}
	if version > len(t.spec.Migrations) {
		return fmt.Errorf("%w: record %q has schema version %d", ErrNewer, k, version)
	}
	for ; version < len(t.spec.Migrations); version++ {
		if body, err = t.spec.Migrations[version](body); err != nil {
			return fmt.Errorf("record %q from schema version %d: %w", k, version, err)
		}
		if body == nil {
			return tx.Delete(k)
		}
	}
	rec, err := t.decode(k, appendVersioned(version, body))
	if err != nil {
		return err
	}
	rows := t.In(tx, s)
	if at, err := rows.key(t.spec.ID(rec)); err != nil {
		return err
	} else if at != k { // the migration changed the id
		switch _, err := tx.Get(at); {
		case err == nil:
			return fmt.Errorf("%w: record %q would replace %q", ErrExists, k, at)
		case !errors.Is(err, ErrNotFound):
			return err
		}
		if err := tx.Delete(k); err != nil {
			return err
		}
	}
	return rows.put(nil, rec)
}

func appendVersioned(version int, body []byte) []byte {
	return append(binary.AppendUvarint(nil, uint64(version)), body...)
}

func splitVersioned(b []byte) (version int, body []byte, err error) {
	v, n := binary.Uvarint(b)
	if n <= 0 || v > 1<<20 {
		return 0, nil, errors.New("no schema version in front")
	}
	return int(v), b[n:], nil
}
