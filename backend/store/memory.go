package store

import (
	"slices"
	"sort"
	"sync"

	"github.com/tidwall/btree"
)

// OpenMemory returns a store that keeps nothing: for tests and throw-away clouds.
func OpenMemory(o Options) DB {
	m := &memory{}
	m.start(o, newMemoryIndex(), &memoryJournal{limit: 16 << 20})
	return m
}

type memory struct{ engine }

func (m *memory) Stats() Stats { return m.stats() }

func (m *memory) Close() error {
	if !m.stop() {
		return ErrClosed
	}
	return nil
}

// memoryIndex is an ordered tree whose copies share what did not change.
type memoryIndex struct {
	mu       sync.Mutex
	tree     *btree.Map[Key, memoryRow] // only the applier changes it
	shown    *btree.Map[Key, memoryRow] // a copy that nobody changes
	revision uint64
}

// memoryRow is a value with the revision that wrote it.
type memoryRow struct {
	value   []byte
	version uint64
}

func newMemoryIndex() *memoryIndex {
	m := &memoryIndex{tree: &btree.Map[Key, memoryRow]{}}
	m.show(0)
	return m
}

// show makes the tree visible as revision.
func (m *memoryIndex) show(revision uint64) {
	shown := m.tree.Copy()
	m.mu.Lock()
	m.shown, m.revision = shown, revision
	m.mu.Unlock()
}

func (m *memoryIndex) apply(g group) error {
	for _, ws := range g.transactions {
		for _, w := range ws {
			if w.deleted {
				m.tree.Delete(w.key)
			} else {
				m.tree.Set(w.key, memoryRow{w.value, g.last()})
			}
		}
	}
	m.show(g.last())
	return nil
}

func (m *memoryIndex) snapshot() (snapshot, uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return memorySnapshot{m.shown}, m.revision
}

func (m *memoryIndex) rows() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return int64(m.shown.Len())
}

type memorySnapshot struct{ tree *btree.Map[Key, memoryRow] }

func (s memorySnapshot) get(k Key, known func(Key, uint64) bool) ([]byte, uint64, bool, error) {
	row, ok := s.tree.Get(k)
	if ok && known != nil && known(k, row.version) {
		return nil, row.version, true, nil
	}
	return slices.Clone(row.value), row.version, ok, nil
}

func (s memorySnapshot) scan(r Range, yield func(Row) bool) error {
	for start := r.Start; start != ""; {
		from := start
		start = ""
		s.tree.Ascend(from, func(k Key, v memoryRow) bool {
			if k >= r.End {
				return false
			}
			row := Row{Key: k, Version: v.version}
			if !r.KeysOnly && (r.Known == nil || !r.Known(k, v.version)) {
				row.Value = slices.Clone(v.value)
			}
			if !yield(row) {
				return false
			}
			start = r.after(k)
			return start == ""
		})
	}
	return nil
}

func (s memorySnapshot) release() {}

// memoryJournal keeps the last groups for watchers.
type memoryJournal struct {
	mu     sync.Mutex
	groups []group
	size   int
	limit  int
}

func (j *memoryJournal) reserve() error { return nil }

func (j *memoryJournal) append(g group) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.groups = append(j.groups, g)
	for j.size += groupSize(g); j.size > j.limit && len(j.groups) > 1; j.groups = j.groups[1:] {
		j.size -= groupSize(j.groups[0])
	}
	return nil
}

func groupSize(g group) int {
	n := 0
	for _, ws := range g.transactions {
		for _, w := range ws {
			n += len(w.key) + len(w.value) + writeOverhead
		}
	}
	return n
}

func (j *memoryJournal) feed() feed { return j }
func (j *memoryJournal) close()     {}

func (j *memoryJournal) read(revision uint64) (group, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	i := sort.Search(len(j.groups), func(i int) bool { return j.groups[i].last() >= revision })
	if i == len(j.groups) || revision < j.groups[i].first {
		return group{}, ErrCompacted
	}
	return j.groups[i], nil
}
