package store

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"iter"
	"slices"
	"strings"
	"time"
)

// snapshot is an index at one revision.
type snapshot interface {
	// get answers the value and the revision that wrote it; the value is nil where known answers true.
	get(k Key, known func(Key, uint64) bool) (value []byte, version uint64, found bool, err error)

	// scan calls yield in key order until it answers false. The value is the caller's.
	scan(r Range, yield func(Row) bool) error

	release()
}

// write is a put, or a delete if deleted.
type write struct {
	key     Key
	value   []byte
	deleted bool
}

// span is a scanned piece of the key space, start <= key < end.
type span struct{ start, end Key }

// readSet is what a transaction looked at; the committer compares it with recent commits.
type readSet struct {
	points []uint64 // hashes: a collision costs a retry, never correctness
	spans  []span
}

var keySeed = maphash.MakeSeed()

func keyHash(k Key) uint64 { return maphash.String(keySeed, string(k)) }

var errOver = errors.New("transaction used after its closure ended")

type transaction struct {
	ctx      context.Context
	snap     snapshot
	revision uint64
	writable bool
	now      time.Time
	random   io.Reader
	decoded  *decoded
	kept     *kept
	hot      *hot
	read     map[Key]any // records, by those who share them; kept by transactions that only read
	deadline time.Time
	over     bool

	reads  readSet
	writes map[Key]*write
	size   int
	broken error // the first limit that was passed: commit must not succeed even if fn ignored it
}

func (t *transaction) check() error {
	switch {
	case t.over:
		return errOver
	case time.Now().After(t.deadline):
		return t.breakWith(fmt.Errorf("%w: more than %v", ErrTooLong, MaxDuration))
	}
	return t.ctx.Err()
}

func (t *transaction) breakWith(err error) error {
	if t.broken == nil {
		t.broken = err
	}
	return err
}

func (t *transaction) Now() time.Time   { return t.now }
func (t *transaction) Revision() uint64 { return t.revision }

func (t *transaction) NewID(prefix string) string {
	var b [9]byte
	if _, err := io.ReadFull(t.random, b[:]); err != nil {
		panic("store: source of ids: " + err.Error()) // crypto/rand never fails; a test's source must not either
	}
	return prefix + hex.EncodeToString(b[:])[:17]
}

func (t *transaction) Get(key Key) ([]byte, error) {
	value, _, err := t.getVersioned(key, nil)
	return value, err
}

func (t *transaction) decodedRecords() *decoded { return t.decoded }

func (t *transaction) near() map[Key]any {
	if t.read == nil && !t.writable && !t.over {
		t.read = map[Key]any{}
	}
	return t.read
}

// getVersioned is Get that answers the revision too, 0 for an own write. The value of a row that is known stays nil.
func (t *transaction) getVersioned(key Key, known func(Key, uint64) bool) ([]byte, uint64, error) {
	if err := t.check(); err != nil {
		return nil, 0, err
	}
	if err := checkKey(key); err != nil {
		return nil, 0, err
	}
	if w, ok := t.writes[key]; ok {
		if w.deleted {
			return nil, 0, ErrNotFound
		}
		return slices.Clone(w.value), 0, nil
	}
	if t.writable {
		t.reads.points = append(t.reads.points, keyHash(key))
	}
	row, remembered := t.hot.get(key, t.revision)
	if remembered && known != nil && known(key, row.version) {
		return nil, row.version, nil
	}
	if remembered && row.value != nil {
		return slices.Clone(row.value), row.version, nil
	}
	v, version, found, err := t.snap.get(key, known)
	if err != nil {
		return nil, 0, err
	}
	if !found {
		return nil, 0, ErrNotFound
	}
	t.hot.put(key, hotRow{slices.Clone(v), version}, t.revision)
	return v, version, nil
}

func (t *transaction) Scan(r Range) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		if err := t.check(); err != nil {
			yield(Row{}, err)
			return
		}
		r.Start, r.End = max(r.Start, tree.Start), min(r.End, tree.End)
		if r.Start >= r.End {
			return
		}
		own := t.writesIn(r)
		walked := r.End
		stopped := false
		emit := func(row Row) bool {
			if !yield(row, nil) {
				walked, stopped = row.Key+"\x00", true
				return false
			}
			return true
		}
		// emitOwn yields our puts below limit.
		emitOwn := func(limit Key) bool {
			for len(own) > 0 && own[0].key < limit {
				w := own[0]
				own = own[1:]
				if w.deleted {
					continue
				}
				row := Row{Key: w.key}
				if !r.KeysOnly {
					row.Value = slices.Clone(w.value)
				}
				if !emit(row) {
					return false
				}
			}
			return true
		}
		var broke error
		rows := 0
		err := t.snap.scan(r, func(row Row) bool {
			if rows++; rows%256 == 0 {
				if broke = t.check(); broke != nil {
					return false
				}
			}
			if !emitOwn(row.Key) {
				return false
			}
			if len(own) > 0 && own[0].key == row.Key {
				return emitOwn(row.Key + "\x00")
			}
			return emit(row)
		})
		if err = errors.Join(err, broke); err == nil && !stopped {
			emitOwn(r.End)
		}
		if t.writable && err == nil {
			t.reads.spans = append(t.reads.spans, span{r.Start, walked})
		}
		if err != nil {
			_ = t.breakWith(err) // nobody may commit on half a scan
			yield(Row{}, err)
		}
	}
}

// writesIn returns our own writes in r by key.
func (t *transaction) writesIn(r Range) []*write {
	var own []*write
	for k, w := range t.writes {
		if k >= r.Start && k < r.End {
			copied := *w // later writes of this transaction must not show
			own = append(own, &copied)
		}
	}
	slices.SortFunc(own, func(a, b *write) int { return strings.Compare(string(a.key), string(b.key)) })
	return own
}

func (t *transaction) Put(key Key, value []byte) error {
	if len(value) > MaxValue {
		return t.breakWith(fmt.Errorf("%w: value of %d bytes, at most %d are allowed", ErrTooLarge, len(value), MaxValue))
	}
	return t.write(write{key: key, value: value})
}

func (t *transaction) Delete(key Key) error { return t.write(write{key: key, deleted: true}) }

func (t *transaction) write(w write) error {
	if err := t.check(); err != nil {
		return err
	}
	if !t.writable {
		return fmt.Errorf("%w: write inside View", ErrReadOnly)
	}
	if err := checkKey(w.key); err != nil {
		return t.breakWith(err)
	}
	if old, ok := t.writes[w.key]; ok {
		t.size += len(w.value) - len(old.value)
		*old = w
	} else {
		if t.writes == nil {
			t.writes = map[Key]*write{}
		}
		t.size += len(w.key) + len(w.value) + writeOverhead
		t.writes[w.key] = &w
	}
	if t.size > MaxTransaction || len(t.writes) > MaxWrites {
		return t.breakWith(fmt.Errorf("%w: transaction of more than %d bytes or %d writes", ErrTooLarge, MaxTransaction, MaxWrites))
	}
	return nil
}

// sorted returns the writes in key order.
func (t *transaction) sorted() []write {
	ws := make([]write, 0, len(t.writes))
	for _, w := range t.writes {
		ws = append(ws, *w)
	}
	slices.SortFunc(ws, func(a, b write) int { return strings.Compare(string(a.key), string(b.key)) })
	return ws
}

// end makes further use an error and gives the snapshot back.
func (t *transaction) end() {
	t.over = true
	t.snap.release()
}
