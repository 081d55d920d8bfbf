package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// decoded remembers records as they were decoded, for readers who share them: a listing of ten thousand records, most of
// which a filter leaves out, would spend its time on reading JSON that did not change. A record is known by its key and
// by the revision that wrote it, so nothing has to be made invalid. What nobody asks for is let go.
type decoded struct {
	mu    sync.RWMutex
	all   map[Key]decodedRecord
	size  int
	asked bool // since the last look of the timer
}

type decodedRecord struct {
	version uint64
	record  any
}

// maxDecoded bounds the JSON, in bytes, of the records that are remembered: they take two to three times that.
const maxDecoded = 32 << 20

// decodedIdle is how long nobody has to ask until all is let go.
const decodedIdle = time.Minute

// find answers the record, or nil.
func (d *decoded) find(k Key, version uint64) any {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if known, ok := d.all[k]; ok && known.version == version {
		return known.record
	}
	return nil
}

// keep remembers a record that was written at the version; size is that of its JSON.
func (d *decoded) keep(k Key, version uint64, record any, size int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	known, had := d.all[k]
	if had && known.version > version {
		return // a newer one: this reader's snapshot is older
	}
	if d.all == nil {
		d.all = map[Key]decodedRecord{}
		d.asked = false
		d.forgetLater()
	}
	if d.size += len(k) + size; d.size > maxDecoded {
		d.all, d.size = map[Key]decodedRecord{}, len(k)+size // its timer goes on
	}
	d.all[k] = decodedRecord{version, record}
}

// use notes that somebody asks.
func (d *decoded) use() {
	d.mu.RLock()
	asked := d.asked
	d.mu.RUnlock()
	if !asked {
		d.mu.Lock()
		d.asked = true
		d.mu.Unlock()
	}
}

// forgetLater lets everything go once nobody asked for a while. d.mu is held.
func (d *decoded) forgetLater() {
	time.AfterFunc(decodedIdle, func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.asked {
			d.asked = false
			d.forgetLater()
			return
		}
		d.all, d.size = nil, 0
	})
}

// versioned is a transaction that knows the revisions of rows, and remembers records.
type versioned interface {
	decodedRecords() *decoded
	// near are the records that this transaction has read one by one, nil for one that writes.
	near() map[Key]any
	getVersioned(key Key, known func(Key, uint64) bool) (value []byte, version uint64, err error)
}

func decodedOf(tx Tx) (versioned, *decoded) {
	if v, ok := tx.(versioned); ok {
		d := v.decodedRecords()
		d.use()
		return v, d
	}
	return nil, nil
}

// Shared is Scan for those who only read: the records are shared with other readers and must not be changed, nor anything
// in them.
func (r Rows[T]) Shared(q Query) iter.Seq2[*T, error] {
	_, remembered := decodedOf(r.tx)
	if remembered == nil {
		return r.Scan(q)
	}
	return func(yield func(*T, error) bool) {
		if r.err != nil {
			yield(nil, r.err)
			return
		}
		var known *T
		bounds := q.bounds(r.base)
		bounds.Known = func(k Key, version uint64) bool {
			known, _ = remembered.find(k, version).(*T)
			return known != nil
		}
		for row, err := range r.tx.Scan(bounds) {
			rec := known
			if err == nil && row.Value != nil {
				rec, err = r.decodeShared(remembered, row.Key, row.Version, row.Value)
			}
			if !yield(rec, err) || err != nil {
				return
			}
		}
	}
}

// decodeShared decodes a row, and remembers it unless it is the transaction's own.
func (r Rows[T]) decodeShared(remembered *decoded, k Key, version uint64, value []byte) (*T, error) {
	rec, err := r.t.decode(k, value)
	if err == nil && version > 0 {
		remembered.keep(k, version, rec, len(value))
	}
	return rec, err
}

// GetShared is Get for those who only read, as Shared is Scan.
func (r Rows[T]) GetShared(id ...string) (*T, error) {
	k, err := r.keyToRead(id)
	if err != nil {
		return nil, err
	}
	return r.shared(k)
}

func (r Rows[T]) shared(k Key) (*T, error) {
	tx, remembered := decodedOf(r.tx)
	if tx == nil {
		b, err := r.tx.Get(k)
		if err != nil {
			return nil, err
		}
		return r.t.decode(k, b)
	}
	near := tx.near()
	if rec, ok := near[k].(*T); ok {
		return rec, nil
	}
	rec, err := r.lookUp(tx, remembered, k)
	if near != nil && err == nil {
		near[k] = rec
	}
	return rec, err
}

func (r Rows[T]) lookUp(tx versioned, remembered *decoded, k Key) (*T, error) {
	var known *T
	value, version, err := tx.getVersioned(k, func(k Key, version uint64) bool {
		known, _ = remembered.find(k, version).(*T)
		return known != nil
	})
	if err != nil || value == nil {
		return known, err
	}
	return r.decodeShared(remembered, k, version, value)
}

// Shared is Scan for those who only read, as that of [Rows] is.
func (x IndexRows[T]) Shared(q Query) iter.Seq2[*T, error] {
	return func(yield func(*T, error) bool) {
		if x.err != nil {
			yield(nil, x.err)
			return
		}
		for row, err := range x.rows.tx.Scan(q.bounds(x.base)) {
			var rec *T
			if err == nil {
				rec, err = x.rows.shared(x.rows.base + Key(row.Value))
				if errors.Is(err, ErrNotFound) {
					if _, gone := x.rows.tx.Get(row.Key); errors.Is(gone, ErrNotFound) {
						continue // this transaction has deleted the record since
					}
					err = fmt.Errorf("%w: index row %q has no record", ErrDamaged, strings.TrimPrefix(string(row.Key), string(x.base)))
				}
			}
			if !yield(rec, err) || err != nil {
				return
			}
		}
	}
}

// ChangedShared answers the keys of records that are shared with readers and are not what is stored: somebody who was to read
// only has changed one. It is what the tests of services end with.
func ChangedShared(ctx context.Context, db DB) (changed []Key, err error) {
	err = db.View(ctx, func(tx Tx) error {
		changed = nil
		rows, remembered := decodedOf(tx)
		if remembered == nil {
			return nil
		}
		remembered.mu.RLock()
		all := maps.Clone(remembered.all)
		remembered.mu.RUnlock()
		for k, known := range all {
			value, version, err := rows.getVersioned(k, nil)
			switch {
			case errors.Is(err, ErrNotFound), err == nil && version != known.version:
				continue // written since
			case err != nil:
				return err
			}
			_, stored, err := splitVersioned(value)
			if err != nil {
				return err
			}
			now, err := json.Marshal(known.record)
			if err != nil {
				return err
			}
			if string(now) != string(stored) {
				changed = append(changed, k)
			}
		}
		slices.Sort(changed)
		return nil
	})
	return changed, err
}
