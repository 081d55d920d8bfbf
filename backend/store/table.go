package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"strings"
)

// Spec describes a table of records of type T. T is kept as JSON; see docs/decisions/0003-records-are-json.md.
type Spec[T any] struct {
	Service, Name string
	ID            func(*T) ID
	Indexes       []Index[T]

	// Migrations[i] turns a record of schema version i into one of version i+1; a new table has none and is at
	// version 0. They stay here forever, each with a test. Answering nil removes the record.
	Migrations []func(old []byte) ([]byte, error)
}

// Index finds records by something other than their id. Rows of it are written together with the record.
// Changing Values or Unique needs a migration (or another name) so that existing rows are made again.
type Index[T any] struct {
	Name   string
	Unique bool // Put answers ErrExists if another record has the value
	Values func(*T) []ID
}

// Table is declared once, as a package variable; In ties it to a transaction and a place.
type Table[T any] struct{ spec Spec[T] }

// NewTable panics if the spec is not usable: that is a mistake of the program.
func NewTable[T any](s Spec[T]) *Table[T] {
	names := []string{s.Service, s.Name}
	seen := map[string]bool{}
	for _, ix := range s.Indexes {
		if seen[ix.Name] || ix.Values == nil {
			panic(fmt.Sprintf("store: table %s/%s: index %q is twice here or has no values", s.Service, s.Name, ix.Name))
		}
		seen[ix.Name] = true
		names = append(names, ix.Name)
	}
	for _, n := range names {
		if !validName(n) || strings.Contains(n, "@") {
			panic(fmt.Sprintf("store: table %s/%s: invalid name %q", s.Service, s.Name, n))
		}
	}
	if s.ID == nil {
		panic(fmt.Sprintf("store: table %s/%s has no id", s.Service, s.Name))
	}
	return &Table[T]{spec: s}
}

// Rows is a table in one scope, seen by one transaction.
type Rows[T any] struct {
	t     *Table[T]
	tx    Tx
	scope Scope
	base  Key
	err   error // of the scope; every call answers it
}

// In returns the rows of one scope.
func (t *Table[T]) In(tx Tx, scope Scope) Rows[T] {
	base, err := scope.base(t.spec.Service, t.spec.Name)
	return Rows[T]{t: t, tx: tx, scope: scope, base: base, err: err}
}

func (r Rows[T]) key(id ID) (Key, error) {
	if r.err != nil {
		return "", r.err
	}
	e := id.encode()
	if e == "" {
		return "", fmt.Errorf("%w: empty id in %s", ErrInvalidKey, r.base)
	}
	return r.base + Key(e), nil
}

// keyToRead is key for those who look for a record: an id that no record can have is not found.
func (r Rows[T]) keyToRead(id ID) (Key, error) {
	k, err := r.key(id)
	if r.err == nil && (err != nil || len(k) > MaxKey) {
		return "", fmt.Errorf("%w: no record in %s can have that id", ErrNotFound, r.base)
	}
	return k, err
}

// Get answers ErrNotFound if there is no such record.
func (r Rows[T]) Get(id ...string) (*T, error) {
	k, err := r.keyToRead(id)
	if err != nil {
		return nil, err
	}
	b, err := r.tx.Get(k)
	if err != nil {
		return nil, err
	}
	return r.t.decode(k, b)
}

// Find is Get for callers to whom absence is no error: it answers nil.
func (r Rows[T]) Find(id ...string) (*T, error) {
	rec, err := r.Get(id...)
	if errors.Is(err, ErrNotFound) {
		return nil, nil
	}
	return rec, err
}

// Insert is Put for a record that must not exist yet; else ErrExists.
func (r Rows[T]) Insert(rec *T) error {
	old, err := r.Find(r.t.spec.ID(rec)...)
	if err != nil {
		return err
	}
	if old != nil {
		return fmt.Errorf("%w: %v", ErrExists, r.t.spec.ID(rec))
	}
	return r.put(nil, rec)
}

// Put inserts or replaces.
func (r Rows[T]) Put(rec *T) error {
	old, err := r.Find(r.t.spec.ID(rec)...)
	if err != nil {
		return err
	}
	return r.put(old, rec)
}

// Delete succeeds when the record is absent.
func (r Rows[T]) Delete(id ...string) error {
	old, err := r.Find(id...)
	if err != nil || old == nil {
		return err
	}
	gone, err := r.indexRows(old)
	if err != nil {
		return err
	}
	for k := range gone {
		if err := r.tx.Delete(k); err != nil {
			return err
		}
	}
	k, err := r.key(id)
	if err != nil {
		return err
	}
	return r.tx.Delete(k)
}

func (r Rows[T]) put(old, rec *T) error {
	id := r.t.spec.ID(rec)
	k, err := r.key(id)
	if err != nil {
		return err
	}
	want, err := r.indexRows(rec)
	if err != nil {
		return err
	}
	had := map[Key]indexRow{}
	if old != nil {
		if had, err = r.indexRows(old); err != nil {
			return err
		}
	}
	for ik := range had {
		if _, keep := want[ik]; !keep {
			if err := r.tx.Delete(ik); err != nil {
				return err
			}
		}
	}
	for ik, row := range want {
		if _, same := had[ik]; same {
			continue
		}
		if row.unique {
			switch holder, err := r.tx.Get(ik); {
			case err == nil && string(holder) != id.encode():
				return fmt.Errorf("%w: %s of %s belongs to another record", ErrExists, row.index, r.base)
			case err != nil && !errors.Is(err, ErrNotFound):
				return err
			}
		}
		if err := r.tx.Put(ik, []byte(id.encode())); err != nil {
			return err
		}
	}
	b, err := r.t.encode(rec)
	if err != nil {
		return err
	}
	return r.tx.Put(k, b)
}

type indexRow struct {
	index  string
	unique bool
}

func (r Rows[T]) indexRows(rec *T) (map[Key]indexRow, error) {
	rows := map[Key]indexRow{}
	for _, ix := range r.t.spec.Indexes {
		base, err := r.scope.base(r.t.spec.Service, r.t.spec.Name+"@"+ix.Name)
		if err != nil {
			return nil, err
		}
		for _, v := range ix.Values(rec) {
			if !ix.Unique {
				v = append(append(ID{}, v...), r.t.spec.ID(rec)...)
			}
			rows[base+Key(v.encode())] = indexRow{ix.Name, ix.Unique}
		}
	}
	return rows, nil
}

// Cursor is a place between two rows; keep it opaque. The empty cursor is the beginning.
type Cursor string

// After is the place behind id.
func After(id ...string) Cursor { return Cursor(ID(id).encode() + "\x00") }

// AfterPrefix is the place behind every id whose first parts are those of id and whose next part begins with the
// last one: how a listing with a delimiter skips a folder.
func AfterPrefix(id ...string) Cursor { return Cursor(prefixEnd(Key(ID(id).encode()))) }

// Query selects rows by the beginning of their id (or index value), in order.
type Query struct {
	Parts  ID     // these parts are equal
	Prefix string // the part after them begins so
	After  Cursor // start behind this place
	Limit  int    // of List; 0 is no limit
	// Jump, if there is one, lets the loop over a Scan leave records out: it goes on at the place that is put here, which
	// costs less than to begin anew. Records that the transaction itself wrote may be among those before it.
	Jump *Cursor
}

func (q Query) bounds(base Key) Range {
	r := PrefixRange(base)
	parts := Key(q.Parts.encode())
	switch {
	case q.Prefix != "":
		if len(q.Parts) > 0 {
			parts += partSeparator
		}
		r = PrefixRange(base + parts + Key(escapePart(q.Prefix)))
	case len(q.Parts) > 0:
		r = Range{Start: base + parts, End: base + parts + partsEnd}
	}
	r.Start = max(r.Start, base+Key(q.After))
	if q.Jump != nil {
		r.Jump = func() (to Key) {
			if *q.Jump != "" {
				to, *q.Jump = base+Key(*q.Jump), ""
			}
			return to
		}
	}
	return r
}

// Scan yields records in the order of their ids. Limit is not used: stop the loop.
func (r Rows[T]) Scan(q Query) iter.Seq2[*T, error] {
	return func(yield func(*T, error) bool) {
		if r.err != nil {
			yield(nil, r.err)
			return
		}
		for row, err := range r.tx.Scan(q.bounds(r.base)) {
			var rec *T
			if err == nil {
				rec, err = r.t.decode(row.Key, row.Value)
			}
			if !yield(rec, err) || err != nil {
				return
			}
		}
	}
}

// List returns at most Limit records, and where to continue: an empty cursor if there are no more.
func (r Rows[T]) List(q Query) ([]*T, Cursor, error) {
	return page(r.Scan(q), q.Limit, func(rec *T) Cursor { return After(r.t.spec.ID(rec)...) })
}

func page[T any](rows iter.Seq2[T, error], limit int, after func(T) Cursor) ([]T, Cursor, error) {
	var list []T
	var next Cursor
	for rec, err := range rows {
		if err != nil {
			return nil, "", err
		}
		if limit > 0 && len(list) == limit {
			return list, next, nil
		}
		list = append(list, rec)
		next = after(rec)
	}
	return list, "", nil
}

// IndexRows is an index in one scope, seen by one transaction.
type IndexRows[T any] struct {
	rows Rows[T]
	base Key
	err  error
}

// Index panics if the table has no such index.
func (r Rows[T]) Index(name string) IndexRows[T] {
	for _, ix := range r.t.spec.Indexes {
		if ix.Name == name {
			base, err := r.scope.base(r.t.spec.Service, r.t.spec.Name+"@"+name)
			return IndexRows[T]{rows: r, base: base, err: errors.Join(r.err, err)}
		}
	}
	panic(fmt.Sprintf("store: table %s/%s has no index %q", r.t.spec.Service, r.t.spec.Name, name))
}

// Get returns the first record with this value, or ErrNotFound.
func (x IndexRows[T]) Get(value ...string) (*T, error) {
	for rec, err := range x.Scan(Query{Parts: value}) {
		return rec, err
	}
	return nil, ErrNotFound
}

// Find is Get that answers nil for absence.
func (x IndexRows[T]) Find(value ...string) (*T, error) {
	rec, err := x.Get(value...)
	if errors.Is(err, ErrNotFound) {
		return nil, nil
	}
	return rec, err
}

// Scan yields records in the order of the index: by value, then by id.
func (x IndexRows[T]) Scan(q Query) iter.Seq2[*T, error] {
	return func(yield func(*T, error) bool) {
		for row, err := range x.scan(q) {
			if !yield(row.rec, err) {
				return
			}
		}
	}
}

type indexed[T any] struct {
	rec *T
	at  Cursor
}

func (x IndexRows[T]) scan(q Query) iter.Seq2[indexed[T], error] {
	return func(yield func(indexed[T], error) bool) {
		if x.err != nil {
			yield(indexed[T]{}, x.err)
			return
		}
		for row, err := range x.rows.tx.Scan(q.bounds(x.base)) {
			out := indexed[T]{at: Cursor(strings.TrimPrefix(string(row.Key), string(x.base))) + "\x00"}
			if err == nil {
				k := x.rows.base + Key(row.Value)
				var b []byte
				if b, err = x.rows.tx.Get(k); err == nil {
					out.rec, err = x.rows.t.decode(k, b)
				} else if errors.Is(err, ErrNotFound) {
					if _, gone := x.rows.tx.Get(row.Key); errors.Is(gone, ErrNotFound) {
						continue // this transaction has deleted the record since
					}
					// Rows of an index live and die with their record.
					err = fmt.Errorf("%w: index row %q has no record", ErrDamaged, row.Key)
				}
			}
			if !yield(out, err) || err != nil {
				return
			}
		}
	}
}

// List is [Rows.List] in the order of the index.
func (x IndexRows[T]) List(q Query) ([]*T, Cursor, error) {
	rows, next, err := page(x.scan(q), q.Limit, func(row indexed[T]) Cursor { return row.at })
	var list []*T
	for _, row := range rows {
		list = append(list, row.rec)
	}
	return list, next, err
}

// encode writes the schema version in front, so that a migration that was interrupted can go on.
func (t *Table[T]) encode(rec *T) ([]byte, error) {
	b, err := json.Marshal(rec)
	if err != nil {
		return nil, fmt.Errorf("encode %s/%s: %w", t.spec.Service, t.spec.Name, err)
	}
	return appendVersioned(len(t.spec.Migrations), b), nil
}

func (t *Table[T]) decode(k Key, b []byte) (*T, error) {
	version, body, err := splitVersioned(b)
	if err == nil && version != len(t.spec.Migrations) {
		err = fmt.Errorf("schema version %d, want %d: run Migrate", version, len(t.spec.Migrations))
	}
	rec := new(T)
	if own, ok := any(rec).(json.Unmarshaler); ok && err == nil {
		err = own.UnmarshalJSON(body) // nobody has to look for its end first: it is all there is
	} else if err == nil {
		err = json.Unmarshal(body, rec)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: record %q: %w", ErrDamaged, k, err)
	}
	return rec, nil
}
