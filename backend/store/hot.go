package store

import (
	"sync"
	"sync/atomic"
	"time"
)

// hot remembers rows that were read one by one, so that reading one again asks no table of the index. It is exact, as kept
// is: the applier takes out what a group writes before anybody can have a snapshot that shows it, and a row that was read
// from a snapshot is only remembered if nothing wrote it since.
type hot struct {
	mu      sync.RWMutex
	rows    map[Key]hotRow
	size    int
	written *recent // what the last groups wrote; nil while nothing is remembered
	// revision is the last that was looked through.
	revision uint64
	asked    atomic.Bool // since the last look of the timer
}

// hotRow is true for every snapshot from version on, until it is taken out.
type hotRow struct {
	value   []byte // nil where only the version is known: the reader had the record
	version uint64
}

// maxHot bounds the bytes of the rows that are remembered, with their keys; beyond it any of them are forgotten.
const maxHot = 16 << 20

// maxHotRow is the longest value that is remembered: that of a small object.
const maxHotRow = 8 << 10

// hotWrites is how many written keys are known at least: a reader that is slower than so many writes is not believed.
const hotWrites = 4096

// hotIdle is how long nobody has to ask until all is let go.
const hotIdle = 5 * time.Second

// get answers the row as a snapshot of the revision shows it; ok is false where that is not known. The value is shared.
func (h *hot) get(key Key, revision uint64) (row hotRow, ok bool) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	row, ok = h.rows[key]
	if ok && !h.asked.Load() {
		h.asked.Store(true)
	}
	return row, ok && row.version <= revision
}

// put remembers what a snapshot of the revision showed. The value is not the caller's any more.
func (h *hot) put(key Key, row hotRow, revision uint64) {
	if len(row.value) > maxHotRow {
		return
	}
	hash := keyHash(key)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.written == nil {
		h.written = newRecent(h.revision, hotWrites)
		h.forgetLater()
	}
	if h.written.conflict(revision, readSet{points: []uint64{hash}}) > 0 {
		return
	}
	if h.rows == nil {
		h.rows = map[Key]hotRow{}
	}
	h.takeOut(key)
	h.rows[key] = row
	h.size += len(key) + len(row.value)
	for other := range h.rows { // begins anywhere
		if h.size <= maxHot {
			break
		}
		h.takeOut(other)
	}
}

// takeOut forgets a row, if it is known. h.mu is held.
func (h *hot) takeOut(key Key) {
	if row, known := h.rows[key]; known {
		h.size -= len(key) + len(row.value)
		delete(h.rows, key)
	}
}

// apply takes out what a group writes, before the index shows it.
func (h *hot) apply(g group) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.revision = g.last()
	if h.written == nil {
		return
	}
	for i, writes := range g.transactions {
		for _, w := range writes {
			h.takeOut(w.key)
		}
		h.written.add(g.first+uint64(i), writes)
	}
	h.written.age(g.last())
}

// forgetLater lets everything go once nobody asked for a while. h.mu is held.
func (h *hot) forgetLater() {
	time.AfterFunc(hotIdle, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.asked.Swap(false) {
			h.forgetLater()
			return
		}
		h.rows, h.size, h.written = nil, 0, nil
	})
}
