package store

import (
	"context"
	"sync"
	"time"
)

// hold is a snapshot that the Views of one context share.
type hold struct {
	mu    sync.Mutex // of one View at a time: a transaction is not for concurrent use
	ctx   context.Context
	of    *engine
	tx    *transaction // nil until somebody looks
	taken time.Time
	over  bool
}

type holdKey struct{}

// maxHeld is how old a snapshot may be for another View to take it. No transaction lives longer than MaxDuration.
const maxHeld = MaxDuration / 4

// Hold answers a context whose Views of one database look at one snapshot, taken by the first of them, until release or an
// Update with the context: so what a request was allowed to do and what it then reads fit together, and what several of its
// steps look up is read once. A View inside another, or beside one, has a snapshot of its own.
func Hold(ctx context.Context) (held context.Context, release func()) {
	h := &hold{ctx: ctx}
	return context.WithValue(ctx, holdKey{}, h), h.release
}

// Fresh answers a context whose Views share nothing: for what is remembered beyond the call, which must not be older than it is.
func Fresh(ctx context.Context) context.Context {
	return context.WithValue(ctx, holdKey{}, (*hold)(nil))
}

func (h *hold) release() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.end()
}

// end is release for who has the lock.
func (h *hold) end() {
	h.over = true
	if h.tx != nil {
		h.tx.end()
		h.of.running.Done()
		h.tx = nil
	}
}

// heldBy answers the hold whose snapshot a View of e with ctx shares, locked, or nil.
func (e *engine) heldBy(ctx context.Context) *hold {
	h, _ := ctx.Value(holdKey{}).(*hold)
	if h == nil || !h.mu.TryLock() {
		return nil
	}
	switch {
	case h.over:
	case h.tx == nil && e.enter() == nil:
		h.of, h.tx, h.taken = e, e.begin(h.ctx, false), time.Now()
		return h
	case h.tx != nil && h.of == e && time.Since(h.taken) < maxHeld:
		return h
	}
	h.mu.Unlock()
	return nil
}

// letGo ends the hold of a context that updates: who looks next wants to see what was written. A View that is under way
// keeps its snapshot.
func letGo(ctx context.Context) {
	if h, _ := ctx.Value(holdKey{}).(*hold); h != nil && h.mu.TryLock() {
		h.end()
		h.mu.Unlock()
	}
}
