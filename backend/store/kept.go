package store

import (
	"errors"
	"sync"
)

// kept remembers the newest values of a few small rows that are read far more often than they are written, so that
// reading one touches no table of the index, however much else there is. It is exact: the applier puts a group's values
// here before anybody can have a snapshot that shows them, and a row that is newer than a reader's snapshot is not used.
type kept struct {
	mu       sync.RWMutex
	rows     map[Key]keptRow
	revision uint64 // of the last group that was looked through
}

// keptRow is what is true from version on.
type keptRow struct {
	value   []byte
	absent  bool
	version uint64
}

// maxKept bounds the rows; beyond it everything is forgotten and read again.
const maxKept = 1 << 16

// get answers the row as a snapshot of the revision shows it; ok is false where that is not known.
func (k *kept) get(key Key, revision uint64) (row keptRow, ok bool) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	row, ok = k.rows[key]
	return row, ok && row.version <= revision
}

// put remembers what a snapshot of the row's version showed, unless something was committed since, perhaps to this very row.
func (k *kept) put(key Key, row keptRow) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.revision > row.version {
		return
	}
	if k.rows == nil || len(k.rows) >= maxKept {
		k.rows = map[Key]keptRow{}
	}
	k.rows[key] = row
}

// apply takes over what a group writes, before the index does.
func (k *kept) apply(g group) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.revision = g.last()
	if len(k.rows) == 0 {
		return
	}
	for _, writes := range g.transactions {
		for _, w := range writes {
			if _, known := k.rows[w.key]; known {
				k.rows[w.key] = keptRow{w.value, w.deleted, g.last()}
			}
		}
	}
}

// GetKept is Get for a small row that is read by nearly every request and seldom written: its value stays in memory. The
// value is shared and must not be changed.
func GetKept(tx Tx, key Key) ([]byte, error) {
	t, ok := tx.(*transaction)
	if !ok || t.kept == nil {
		return tx.Get(key)
	}
	if err := t.check(); err != nil {
		return nil, err
	}
	if _, own := t.writes[key]; own {
		return t.Get(key)
	}
	row, known := t.kept.get(key, t.revision)
	switch {
	case !known:
		value, err := t.Get(key)
		if err != nil && !errors.Is(err, ErrNotFound) {
			return nil, err
		}
		row = keptRow{value, err != nil, t.revision}
		t.kept.put(key, row)
	case t.writable:
		t.reads.points = append(t.reads.points, keyHash(key))
	}
	if row.absent {
		return nil, ErrNotFound
	}
	return row.value, nil
}
