package store

import "sort"

// recent remembers which keys the last commits wrote, to find transactions whose reads are out of date. It holds
// two generations; a transaction whose snapshot is older than both is refused, which costs a retry.
// Only the committer uses it.
type recent struct {
	young, old generation
	limit      int // keys a generation
}

type generation struct {
	since uint64            // all writes of revisions above this one (until the next generation) are here
	last  map[uint64]uint64 // hash of key -> newest revision that wrote it
	keys  []writtenKey      // by revision
}

type writtenKey struct {
	revision uint64
	key      Key
}

func newRecent(revision uint64, limit int) *recent {
	g := generation{since: revision, last: map[uint64]uint64{}}
	return &recent{young: g, old: g, limit: limit}
}

// add notes a commit. Revisions only grow.
func (r *recent) add(revision uint64, writes []write) {
	for _, w := range writes {
		r.young.last[keyHash(w.key)] = revision
		r.young.keys = append(r.young.keys, writtenKey{revision, w.key})
	}
}

// age starts a new generation if the young one is full. revision is the last one added.
func (r *recent) age(revision uint64) {
	if len(r.young.keys) >= r.limit {
		r.old = r.young
		r.young = generation{since: revision, last: map[uint64]uint64{}}
	}
}

// forget drops everything: transactions that read before revision run again.
func (r *recent) forget(revision uint64) { *r = *newRecent(revision, r.limit) }

// conflict returns the revision that made the reads at snapshot out of date, or 0.
func (r *recent) conflict(snapshot uint64, reads readSet) uint64 {
	if len(reads.points) == 0 && len(reads.spans) == 0 {
		return 0
	}
	if snapshot < r.old.since {
		return r.old.since
	}
	for _, p := range reads.points {
		if rev := r.young.last[p]; rev > snapshot {
			return rev
		}
		if rev := r.old.last[p]; rev > snapshot {
			return rev
		}
	}
	if len(reads.spans) == 0 {
		return 0
	}
	if rev := r.young.within(snapshot, reads.spans); rev > 0 {
		return rev
	}
	return r.old.within(snapshot, reads.spans)
}

func (g *generation) within(snapshot uint64, spans []span) uint64 {
	i := sort.Search(len(g.keys), func(i int) bool { return g.keys[i].revision > snapshot })
	for _, w := range g.keys[i:] {
		for _, s := range spans {
			if w.key >= s.start && w.key < s.end {
				return w.revision
			}
		}
	}
	return 0
}
