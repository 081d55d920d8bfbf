package store

import "iter"

// Raw is a table whose records are plain bytes, for what is no structure: small objects. It has no indexes and no
// migrations.
type Raw struct{ service, table string }

// NewRaw is declared once, as a package variable.
func NewRaw(service, table string) *Raw {
	if !validName(service) || !validName(table) {
		panic("store: invalid name of a table " + service + "/" + table)
	}
	return &Raw{service, table}
}

func (t *Raw) name() string                        { return t.service + "." + t.table }
func (t *Raw) fingerprint() schema                 { return schema{} }
func (t *Raw) base(s Scope, _ string) (Key, error) { return s.base(t.service, t.table) }
func (t *Raw) renew(Tx, Scope, Key, []byte) error  { return nil }

// RawRows is a raw table in one scope, seen by one transaction.
type RawRows struct {
	tx   Tx
	base Key
	err  error
}

// In returns the rows of one scope.
func (t *Raw) In(tx Tx, s Scope) RawRows {
	base, err := s.base(t.service, t.table)
	return RawRows{tx, base, err}
}

func (r RawRows) key(id ID) (Key, error) { return r.base + Key(id.encode()), r.err }

// Get answers ErrNotFound if there is no such row.
func (r RawRows) Get(id ...string) ([]byte, error) {
	k, err := r.key(id)
	if err != nil {
		return nil, err
	}
	return r.tx.Get(k)
}

// Put keeps value, which the caller must not change afterwards.
func (r RawRows) Put(value []byte, id ...string) error {
	k, err := r.key(id)
	if err != nil {
		return err
	}
	return r.tx.Put(k, value)
}

// Delete succeeds when the row is absent.
func (r RawRows) Delete(id ...string) error {
	k, err := r.key(id)
	if err != nil {
		return err
	}
	return r.tx.Delete(k)
}

// IDs yields the ids of rows, which have one part, in order.
func (r RawRows) IDs(after string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		if r.err != nil {
			yield("", r.err)
			return
		}
		all := PrefixRange(r.base)
		if after != "" {
			all.Start = r.base + Key(After(after))
		}
		all.KeysOnly = true
		for row, err := range r.tx.Scan(all) {
			if err != nil {
				yield("", err)
				return
			}
			if !yield(unescapePart(string(row.Key[len(r.base):])), nil) {
				return
			}
		}
	}
}
