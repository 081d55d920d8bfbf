package reconcile

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"miniaws/backend/store"
)

// Handler brings one resource a step nearer to what is wanted. It is called for one item by one caller at a time, and
// may be called when there is nothing to do. It answers after how long it wants to be called again, 0 for not at all.
// On an error it is called again, later each time.
type Handler func(ctx context.Context, item Item) (again time.Duration, err error)

// Options of a loop; the zero value of each field takes its default.
type Options struct {
	// Workers is how many handlers run at once (8).
	Workers int
	// Patience is how long one call of a handler may take before its context ends (5 minutes).
	Patience time.Duration
	// Interval is how long the loop sleeps at most (30 s): the price of a wake-up that got lost, or of a clock that was
	// set.
	Interval time.Duration
	// MinBackoff and MaxBackoff bound the pause after a failure (200 ms, 1 minute). It doubles with each failure, and
	// half of it is random, so that what failed together does not come back together.
	MinBackoff, MaxBackoff time.Duration
	Log                    *slog.Logger
}

func (o Options) withDefaults() Options {
	orDuration := func(value *time.Duration, fallback time.Duration) {
		if *value == 0 {
			*value = fallback
		}
	}
	if o.Workers == 0 {
		o.Workers = 8
	}
	orDuration(&o.Patience, 5*time.Minute)
	orDuration(&o.Interval, 30*time.Second)
	orDuration(&o.MinBackoff, 200*time.Millisecond)
	orDuration(&o.MaxBackoff, time.Minute)
	if o.Log == nil {
		o.Log = slog.Default()
	}
	return o
}

// Loop calls handlers for what is due. Make it with [New], register, then [Loop.Run].
type Loop struct {
	db       store.DB
	options  Options
	handlers map[string]Handler
	sweeps   []sweep

	wake chan struct{}
	// busy holds the items whose handler runs; only Run's own goroutine touches it.
	busy map[Item]bool
	done chan Item
}

type sweep struct {
	name  string
	every time.Duration
	run   func(context.Context) error
	// follows: run does not end by itself.
	follows bool
}

// New makes a loop over the todo table of the store.
func New(db store.DB, options Options) *Loop {
	return &Loop{
		db:       db,
		options:  options.withDefaults(),
		handlers: map[string]Handler{},
		wake:     make(chan struct{}, 1),
		busy:     map[Item]bool{},
		done:     make(chan Item),
	}
}

// Handle registers the handler of a kind, before Run. A kind has one handler: two are a mistake of the program.
func (l *Loop) Handle(kind string, handler Handler) {
	if l.handlers[kind] != nil {
		panic("reconcile: two handlers of " + kind)
	}
	l.handlers[kind] = handler
}

// Sweep registers a function to be called when Run starts and then at intervals, before Run. An error is logged and
// the function is called again at its next time.
func (l *Loop) Sweep(name string, every time.Duration, run func(context.Context) error) {
	l.sweeps = append(l.sweeps, sweep{name: name, every: every, run: run})
}

// Follow registers a function that goes on until its context ends, such as one that follows an engine's events, before
// Run. When it ends earlier it is called again after the pause.
func (l *Loop) Follow(name string, pause time.Duration, run func(context.Context) error) {
	l.sweeps = append(l.sweeps, sweep{name: name, every: pause, run: run, follows: true})
}

// clipped is as much of a text as a record keeps: an error may name every one of ten thousand interfaces.
func clipped(text string) string {
	const most = 4 << 10
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "..."
}

// Run works until the context ends, and returns when every handler and sweep has. It answers nil then, or the store's
// error when the todo table cannot be read.
func (l *Loop) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	var helpers sync.WaitGroup
	defer helpers.Wait()
	defer cancel()
	helpers.Go(func() { l.watch(ctx) })
	for _, s := range l.sweeps {
		helpers.Go(func() { l.sweep(ctx, s) })
	}
	defer func() {
		cancel()
		for len(l.busy) > 0 {
			delete(l.busy, <-l.done)
		}
	}()

	for {
		next, err := l.startDue(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("the todo table: %w", err)
		}
		timer := time.NewTimer(next)
		select {
		case <-ctx.Done():
		case <-l.wake:
		case <-timer.C:
		case item := <-l.done:
			delete(l.busy, item)
		}
		timer.Stop()
	}
}

// startDue starts handlers for due rows as far as there are workers, and answers how long to sleep after that.
func (l *Loop) startDue(ctx context.Context) (time.Duration, error) {
	sleep := l.options.Interval
	var due []*todo
	err := l.db.View(ctx, func(tx store.Tx) error {
		now := tx.Now()
		for row, err := range todos.In(tx, store.Scope{}).Index("due").Scan(store.Query{}) {
			if err != nil {
				return err
			}
			if l.busy[row.Item] || l.handlers[row.Kind] == nil {
				continue
			}
			if wait := row.Due.Sub(now); wait > 0 {
				sleep = min(sleep, wait)
				break
			}
			if len(l.busy)+len(due) == l.options.Workers {
				break // the next one that ends leads here again
			}
			due = append(due, row)
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	for _, row := range due {
		l.busy[row.Item] = true
		go func() {
			l.look(ctx, row)
			l.done <- row.Item
		}()
	}
	return sleep, nil
}

// look calls the handler and writes down the outcome.
func (l *Loop) look(ctx context.Context, row *todo) {
	again, failure := l.call(ctx, row.Item)
	if ctx.Err() != nil {
		return // stopped in the middle: the row stays due for the next start
	}
	if failure != nil {
		l.options.Log.Warn("reconcile: will try again", "item", row.String(), "attempt", row.Attempts+1, "error", failure)
	}
	err := l.db.Update(ctx, func(tx store.Tx) error {
		rows := todos.In(tx, store.Scope{})
		now, err := rows.Find(row.key()...)
		if err != nil || now == nil || now.Wanted != row.Wanted {
			return err // wanted again meanwhile: the row stays due as it is
		}
		switch {
		case failure != nil:
			now.Attempts++
			now.Failure = clipped(failure.Error())
			now.Due = tx.Now().Add(l.backoff(now.Attempts))
		case again > 0:
			now.Attempts, now.Failure = 0, ""
			now.Due = tx.Now().Add(again)
		default:
			return rows.Delete(row.key()...)
		}
		return rows.Put(now)
	})
	if err != nil && ctx.Err() == nil {
		// The store takes no writes, perhaps for want of room. The item stays due; it must not come back at once.
		l.options.Log.Error("reconcile: outcome not written", "item", row.String(), "error", err)
		pause(ctx, l.options.MaxBackoff)
	}
}

// call calls the handler with a time limit, and turns a panic into an error: one resource must not stop the others.
func (l *Loop) call(ctx context.Context, item Item) (again time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, l.options.Patience)
	defer cancel()
	defer l.recovered(item.String(), &err)
	return l.handlers[item.Kind](ctx, item)
}

// recovered, when deferred, turns a panic of what into its error.
func (l *Loop) recovered(what string, err *error) {
	if p := recover(); p != nil {
		l.options.Log.Error("reconcile: panic", "in", what, "panic", p, "stack", string(debug.Stack()))
		*err = fmt.Errorf("internal failure: %v", p)
	}
}

// backoff answers the pause after so many failures in a row.
func (l *Loop) backoff(attempts int) time.Duration {
	pause := l.options.MinBackoff
	for ; attempts > 1 && pause < l.options.MaxBackoff; attempts-- {
		pause *= 2
	}
	pause = min(pause, l.options.MaxBackoff)
	return pause/2 + rand.N(pause/2+1)
}

// SweepNow runs every sweep once, beside those that Run may be running, and answers their errors.
func (l *Loop) SweepNow(ctx context.Context) error {
	var all error
	for _, s := range l.sweeps {
		if s.follows {
			continue
		}
		if err := l.sweepOnce(ctx, s); err != nil {
			all = errors.Join(all, fmt.Errorf("sweep %s: %w", s.name, err))
		}
	}
	return all
}

func (l *Loop) sweepOnce(ctx context.Context, s sweep) (err error) {
	defer l.recovered("sweep "+s.name, &err)
	return s.run(ctx)
}

func (l *Loop) sweep(ctx context.Context, s sweep) {
	for ctx.Err() == nil {
		if err := l.sweepOnce(ctx, s); err != nil && ctx.Err() == nil {
			l.options.Log.Warn("reconcile: sweep failed", "sweep", s.name, "error", err)
		}
		pause(ctx, s.every)
	}
}

// watch wakes the loop at every commit that touches the todo table. When the feed breaks off the loop's own interval
// does the work until it is there again.
func (l *Loop) watch(ctx context.Context) {
	for ctx.Err() == nil {
		var from uint64
		err := l.db.View(ctx, func(tx store.Tx) error {
			from = tx.Revision() + 1
			return nil
		})
		l.poke() // the loop may have looked before that revision
		for commit, watchErr := range l.db.Watch(ctx, from) {
			if watchErr != nil {
				err = watchErr
				break
			}
			if touchesTodo(commit) {
				l.poke()
			}
		}
		if errors.Is(err, store.ErrClosed) {
			return
		}
		pause(ctx, l.options.MinBackoff)
	}
}

func touchesTodo(commit store.Commit) bool {
	for _, change := range commit.Changes {
		if !change.Deleted && strings.Contains(string(change.Key), "/reconcile/todo/") {
			return true
		}
	}
	return false
}

// poke wakes the loop without waiting for it.
func (l *Loop) poke() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
