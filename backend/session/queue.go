package session

import (
	"io"
	"sync"
)

// maxQueued is how much input waits for a program that does not read, in bytes.
const maxQueued = 1 << 20

// queue holds bytes between somebody who must not wait and a reader who may.
type queue struct {
	mu      sync.Mutex
	changed *sync.Cond
	waiting []byte
	closed  bool
}

func newQueue() *queue {
	q := &queue{}
	q.changed = sync.NewCond(&q.mu)
	return q
}

// put adds bytes; false where there is no room. After close it takes everything and keeps nothing.
func (q *queue) put(p []byte) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return true
	}
	if len(q.waiting)+len(p) > maxQueued {
		return false
	}
	q.waiting = append(q.waiting, p...)
	q.changed.Broadcast()
	return true
}

// Read waits for bytes, and answers the end once they are read after close.
func (q *queue) Read(p []byte) (int, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.waiting) == 0 {
		if q.closed {
			return 0, io.EOF
		}
		q.changed.Wait()
	}
	n := copy(p, q.waiting)
	q.waiting = q.waiting[n:]
	if len(q.waiting) == 0 {
		q.waiting = nil
	}
	return n, nil
}

func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.changed.Broadcast()
}
