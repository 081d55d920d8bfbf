package store

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"iter"
	mathrand "math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// index answers reads. apply is called by one goroutine, in order of revisions, and must not fail halfway: an
// error stops the store.
type index interface {
	// snapshot shows everything up to the returned revision, until it is released.
	snapshot() (snapshot, uint64)
	apply(g group) error
	rows() int64
}

// journal makes groups durable and remembers them for watchers.
type journal interface {
	// reserve says whether a group of any size can be appended now; ErrFull if not.
	reserve() error

	// append returns when g is durable. After an error nobody knows whether it is: the store stops.
	append(g group) error

	// feed reads groups that were applied.
	feed() feed
}

type feed interface {
	// read returns the group that holds revision, or ErrCompacted.
	read(revision uint64) (group, error)
	close()
}

// Options that every implementation has; the zero value is usable.
type Options struct {
	Clock  func() time.Time // of transactions; time.Now if nil
	Random io.Reader        // of ids; crypto/rand if nil. Calls are serialized.

	// OnFatal is called once, when the store cannot go on (a failed fdatasync, an index in doubt). Every later call
	// answers ErrClosed. If nil the process ends with status 70, so that whoever watches it starts it again.
	OnFatal func(error)
}

func (o Options) fatal(err error) {
	if o.OnFatal != nil {
		o.OnFatal(err)
		return
	}
	fmt.Fprintln(os.Stderr, "store: cannot go on:", err)
	os.Exit(70)
}

const (
	recentKeys    = 1 << 15
	maxAttempts   = 64
	polite        = 4 // attempts before a transaction asks the other losers to wait
	appliesQueued = 4
)

type request struct {
	snapshot uint64
	reads    readSet
	writes   []write
	size     int
	answer   chan outcome
}

type outcome struct {
	err      error
	conflict uint64 // wait for this revision, then run again
}

// engine is the part that all implementations share: transactions, committer, applier, feed.
type engine struct {
	options Options
	random  io.Reader
	journal journal
	index   atomic.Pointer[index] // replaced when an emergency index gives way to the real one

	requests chan *request
	applies  chan appliedGroup
	loops    sync.WaitGroup
	losers   chan struct{} // held by one transaction that lost often
	decoded  decoded
	kept     kept
	hot      hot

	mu       sync.Mutex
	closed   bool
	failed   error
	applied  uint64
	advanced chan struct{} // closed and replaced when applied moves
	running  sync.WaitGroup
	closing  chan struct{}

	forget    atomic.Bool // committer: drop what you remember of old commits
	commits   atomic.Uint64
	groups    atomic.Uint64
	conflicts atomic.Uint64
	refused   atomic.Uint64
}

type appliedGroup struct {
	group
	requests []*request
}

type lockedReader struct {
	mu sync.Mutex
	r  io.Reader
}

func (l *lockedReader) Read(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.r.Read(b)
}

// start begins to serve from the state of ix.
func (e *engine) start(o Options, ix index, j journal) {
	if o.Clock == nil {
		o.Clock = time.Now
	}
	e.random = rand.Reader
	if o.Random != nil {
		e.random = &lockedReader{r: o.Random}
	}
	snap, revision := ix.snapshot()
	snap.release()
	e.options, e.journal, e.applied = o, j, revision
	e.index.Store(&ix)
	e.requests = make(chan *request, 1024)
	e.applies = make(chan appliedGroup, appliesQueued)
	e.losers = make(chan struct{}, 1)
	e.advanced = make(chan struct{})
	e.closing = make(chan struct{})
	e.loops.Add(2)
	go e.commitLoop(revision)
	go e.applyLoop()
}

// enter registers a caller that Close must wait for.
func (e *engine) enter() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.failed != nil {
		return fmt.Errorf("%w: %w", ErrClosed, e.failed)
	}
	if e.closed {
		return ErrClosed
	}
	e.running.Add(1)
	return nil
}

func (e *engine) begin(ctx context.Context, writable bool) *transaction {
	snap, revision := (*e.index.Load()).snapshot()
	return &transaction{
		ctx: ctx, snap: snap, revision: revision, writable: writable,
		now: e.options.Clock().UTC(), random: e.random, decoded: &e.decoded, kept: &e.kept, hot: &e.hot, deadline: time.Now().Add(MaxDuration),
	}
}

func (e *engine) View(ctx context.Context, fn func(Tx) error) error {
	if err := e.enter(); err != nil {
		return err
	}
	defer e.running.Done()
	if err := ctx.Err(); err != nil {
		return err
	}
	if h := e.heldBy(ctx); h != nil {
		defer h.mu.Unlock()
		return fn(h.tx)
	}
	tx := e.begin(ctx, false)
	defer tx.end()
	return fn(tx)
}

func (e *engine) Update(ctx context.Context, fn func(Tx) error) error {
	if err := e.enter(); err != nil {
		return err
	}
	defer e.running.Done()
	letGo(ctx)
	for attempt := 1; ; attempt++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		if attempt == polite {
			// From here on only one loser at a time competes with newcomers.
			select {
			case e.losers <- struct{}{}:
				defer func() { <-e.losers }()
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		out := e.attempt(ctx, fn)
		if out.conflict == 0 {
			return out.err
		}
		e.conflicts.Add(1)
		if attempt == maxAttempts {
			return ErrConflict
		}
		if err := e.waitApplied(ctx, out.conflict); err != nil {
			return err
		}
		if attempt > polite {
			time.Sleep(mathrand.N(time.Millisecond))
		}
	}
}

func (e *engine) attempt(ctx context.Context, fn func(Tx) error) outcome {
	tx := e.begin(ctx, true)
	defer tx.end()
	if err := fn(tx); err != nil {
		return outcome{err: err}
	}
	if tx.broken != nil {
		return outcome{err: tx.broken}
	}
	if err := tx.check(); err != nil {
		return outcome{err: err}
	}
	if len(tx.writes) == 0 {
		return outcome{}
	}
	r := &request{
		snapshot: tx.revision, reads: tx.reads, writes: tx.sorted(), size: tx.size, answer: make(chan outcome, 1),
	}
	e.requests <- r
	return <-r.answer // always comes, and is always true; so ctx is not asked any more
}

// waitApplied returns when readers see revision.
func (e *engine) waitApplied(ctx context.Context, revision uint64) error {
	for {
		e.mu.Lock()
		applied, advanced, failed := e.applied, e.advanced, e.failed
		e.mu.Unlock()
		if applied >= revision {
			return nil
		}
		if failed != nil {
			return fmt.Errorf("%w: %w", ErrClosed, failed)
		}
		select {
		case <-advanced:
		case <-ctx.Done():
			return ctx.Err()
		case <-e.closing:
			return ErrClosed
		}
	}
}

// commitLoop is the only one that gives out revisions.
func (e *engine) commitLoop(revision uint64) {
	defer e.loops.Done()
	defer close(e.applies)
	seen := newRecent(revision, recentKeys)
	var next *request // did not fit into the last group
	var gathering gathering
	for {
		r := next
		next = nil
		if r == nil {
			var ok bool
			if r, ok = <-e.requests; !ok {
				return
			}
		}
		if e.forget.Swap(false) {
			seen.forget(revision)
		}
		if err := e.admit(); err != nil {
			r.answer <- outcome{err: err}
			continue
		}
		g := appliedGroup{group: group{first: revision + 1}}
		gathering.begin()
		size, count := 0, 0
		for r != nil {
			if size+r.size > maxGroup || count+len(r.writes) > maxGroupWrites {
				next = r
				break
			}
			if c := seen.conflict(r.snapshot, r.reads); c > 0 {
				r.answer <- outcome{conflict: c}
			} else {
				size, count = size+r.size, count+len(r.writes)
				g.transactions = append(g.transactions, r.writes)
				g.requests = append(g.requests, r)
				seen.add(g.last(), r.writes)
			}
			r = gathering.next(e.requests, len(g.requests)) // nil when closed too; the outer loop ends then
		}
		if len(g.requests) == 0 {
			continue
		}
		began := time.Now()
		if err := e.journal.append(g.group); err != nil {
			e.fail(err)
			for _, r := range g.requests {
				r.answer <- outcome{err: fmt.Errorf("%w: %w", ErrClosed, err)}
			}
			continue
		}
		gathering.done(len(g.requests), time.Since(began))
		revision = g.last()
		seen.age(revision)
		e.groups.Add(1)
		e.commits.Add(uint64(len(g.requests)))
		e.applies <- g
	}
}

// admit says whether a group may be written at all.
func (e *engine) admit() error {
	e.mu.Lock()
	failed := e.failed
	e.mu.Unlock()
	if failed != nil {
		return fmt.Errorf("%w: %w", ErrClosed, failed)
	}
	err := e.journal.reserve()
	if errors.Is(err, ErrFull) {
		e.refused.Add(1)
	}
	return err
}

func (e *engine) applyLoop() {
	defer e.loops.Done()
	for g := range e.applies {
		err := e.failure()
		if err == nil {
			e.kept.apply(g.group) // first: whoever has a snapshot of the group finds its values
			e.hot.apply(g.group)
			if err = (*e.index.Load()).apply(g.group); err != nil {
				e.fail(fmt.Errorf("index: %w", err))
			}
		}
		if err != nil {
			// It is in the log, so it survives; but nobody can read it before the next open.
			for _, r := range g.requests {
				r.answer <- outcome{err: fmt.Errorf("%w: %w", ErrClosed, err)}
			}
			continue
		}
		e.mu.Lock()
		e.applied = g.last()
		close(e.advanced)
		e.advanced = make(chan struct{})
		e.mu.Unlock()
		for _, r := range g.requests {
			r.answer <- outcome{}
		}
	}
}

func (e *engine) failure() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.failed
}

// fail stops the store for good.
func (e *engine) fail(err error) {
	e.mu.Lock()
	first := e.failed == nil
	if first {
		e.failed = err
		close(e.advanced)
		e.advanced = make(chan struct{})
	}
	e.mu.Unlock()
	if first {
		e.options.fatal(err)
	}
}

func (e *engine) Watch(ctx context.Context, from uint64) iter.Seq2[Commit, error] {
	return func(yield func(Commit, error) bool) {
		if err := e.enter(); err != nil {
			yield(Commit{}, err)
			return
		}
		f := e.journal.feed()
		e.running.Done()
		defer f.close()
		for next := max(from, 1); ; {
			err := e.waitApplied(ctx, next)
			if err == nil {
				err = ctx.Err()
			}
			select {
			case <-e.closing:
				err = ErrClosed
			default:
			}
			var g group
			if err == nil {
				g, err = f.read(next)
			}
			if err != nil {
				yield(Commit{}, err)
				return
			}
			for ; next <= g.last(); next++ {
				if !yield(commitOf(next, g.transactions[next-g.first]), nil) {
					return
				}
			}
		}
	}
}

func commitOf(revision uint64, ws []write) Commit {
	c := Commit{Revision: revision, Changes: make([]Change, len(ws))}
	for i, w := range ws {
		c.Changes[i] = Change{Key: w.key, Deleted: w.deleted}
		if !w.deleted {
			c.Changes[i].Value = append([]byte{}, w.value...)
		}
	}
	return c
}

// stop lets running transactions finish and ends the loops. It answers false if that was done before.
func (e *engine) stop() bool {
	e.mu.Lock()
	if e.closed {
		e.mu.Unlock()
		return false
	}
	e.closed = true
	e.mu.Unlock()
	close(e.closing)
	e.running.Wait()
	close(e.requests)
	e.loops.Wait()
	return true
}

func (e *engine) stats() Stats {
	e.mu.Lock()
	applied := e.applied
	e.mu.Unlock()
	return Stats{
		Revision: applied, Commits: e.commits.Load(), Groups: e.groups.Load(), Conflicts: e.conflicts.Load(),
		Refused: e.refused.Load(), Rows: (*e.index.Load()).rows(),
	}
}
