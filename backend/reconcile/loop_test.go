package reconcile

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"miniaws/backend/store"
)

// scene is a loop over an in-memory store inside a bubble of its own time.
type scene struct {
	*testing.T
	db   store.DB
	loop *Loop
	stop func()
}

// play runs a test in a bubble: time stands still while anybody works, and jumps when everybody waits.
func play(t *testing.T, options Options, act func(s *scene)) {
	synctest.Test(t, func(t *testing.T) {
		s := &scene{T: t, db: store.OpenMemory(store.Options{})}
		s.load(options)
		act(s)
		if s.stop != nil {
			s.stop()
		}
		if err := s.db.Close(); err != nil {
			t.Error(err)
		}
	})
}

// load makes a new loop on the same store, as a restart does.
func (s *scene) load(options Options) {
	if s.stop != nil {
		s.stop()
		s.stop = nil
	}
	options.Log = slog.New(slog.DiscardHandler)
	s.loop = New(s.db, options)
}

func (s *scene) run() {
	ctx, cancel := context.WithCancel(s.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.loop.Run(ctx) }()
	s.stop = func() {
		cancel()
		if err := <-ended; err != nil {
			s.Errorf("Run: %v", err)
		}
	}
}

func (s *scene) want(items ...Item) {
	s.Helper()
	err := s.db.Update(s.Context(), func(tx store.Tx) error {
		for _, item := range items {
			if err := Want(tx, item); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		s.Fatal(err)
	}
}

func (s *scene) waiting() (rows []*todo) {
	s.Helper()
	err := s.db.View(s.Context(), func(tx store.Tx) (err error) {
		rows, _, err = todos.In(tx, store.Scope{}).List(store.Query{})
		return err
	})
	if err != nil {
		s.Fatal(err)
	}
	return rows
}

func (s *scene) failure(item Item) (text string) {
	s.Helper()
	err := s.db.View(s.Context(), func(tx store.Tx) (err error) {
		text, err = Failure(tx, item)
		return err
	})
	if err != nil {
		s.Fatal(err)
	}
	return text
}

var one = Item{Kind: "test.thing", Account: "000000000000", Region: "us-east-1", ID: "thing-1"}

// calls counts a handler's calls and keeps when they were.
type calls struct {
	mu sync.Mutex
	at []time.Time
}

func (c *calls) note() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = append(c.at, time.Now())
	return len(c.at)
}

// failUntil is a handler whose calls fail before the one of this number; 1 is a handler that never fails.
func (c *calls) failUntil(number int) Handler {
	return func(context.Context, Item) (time.Duration, error) {
		if c.note() < number {
			return 0, errors.New("the engine is gone")
		}
		return 0, nil
	}
}

func (c *calls) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.at)
}

func TestWantedIsLookedAtOnceAndAtOnce(t *testing.T) {
	play(t, Options{}, func(s *scene) {
		var made calls
		s.loop.Handle("test.thing", func(_ context.Context, item Item) (time.Duration, error) {
			if item != one {
				t.Errorf("called for %v", item)
			}
			made.note()
			return 0, nil
		})
		s.run()
		time.Sleep(time.Second)
		before := time.Now()
		s.want(one)
		synctest.Wait()
		if made.count() != 1 || !made.at[0].Equal(before) {
			t.Errorf("calls at %v, wanted one at %v", made.at, before)
		}
		time.Sleep(time.Hour)
		if made.count() != 1 || len(s.waiting()) != 0 {
			t.Errorf("%d calls, still waiting: %v", made.count(), s.waiting())
		}
	})
}

func TestFailureIsPutOffLongerEachTime(t *testing.T) {
	play(t, Options{MinBackoff: time.Second, MaxBackoff: 10 * time.Second}, func(s *scene) {
		var made calls
		s.loop.Handle("test.thing", made.failUntil(8))
		s.run()
		s.want(one)
		synctest.Wait()
		if got := s.failure(one); got != "the engine is gone" {
			t.Errorf("failure on record is %q", got)
		}
		time.Sleep(time.Hour)
		if made.count() != 8 || len(s.waiting()) != 0 || s.failure(one) != "" {
			t.Fatalf("%d calls, waiting %v", made.count(), s.waiting())
		}
		for i, whole := range []time.Duration{1, 2, 4, 8, 10, 10, 10} {
			whole *= time.Second
			if gap := made.at[i+1].Sub(made.at[i]); gap < whole/2 || gap > whole {
				t.Errorf("pause %d was %v, want %v to %v", i+1, gap, whole/2, whole)
			}
		}
	})
}

func TestNewWishEndsTheBackoff(t *testing.T) {
	play(t, Options{MinBackoff: time.Hour, MaxBackoff: time.Hour}, func(s *scene) {
		var made calls
		s.loop.Handle("test.thing", made.failUntil(2))
		s.run()
		s.want(one)
		synctest.Wait()
		s.want(one)
		synctest.Wait()
		if made.count() != 2 || len(s.waiting()) != 0 {
			t.Errorf("%d calls, waiting %v", made.count(), s.waiting())
		}
	})
}

func TestWantedDuringALookIsLookedAtAgain(t *testing.T) {
	play(t, Options{}, func(s *scene) {
		var made calls
		s.loop.Handle("test.thing", func(context.Context, Item) (time.Duration, error) {
			made.note()
			time.Sleep(time.Minute)
			return 0, nil
		})
		s.run()
		s.want(one)
		time.Sleep(30 * time.Second)
		s.want(one)
		synctest.Wait()
		if made.count() != 1 {
			t.Fatalf("%d calls while the first one runs", made.count())
		}
		time.Sleep(time.Hour)
		if made.count() != 2 || len(s.waiting()) != 0 {
			t.Errorf("%d calls, waiting %v", made.count(), s.waiting())
		}
	})
}

func TestHandlerAsksToBeCalledAgain(t *testing.T) {
	play(t, Options{}, func(s *scene) {
		var made calls
		s.loop.Handle("test.thing", func(context.Context, Item) (time.Duration, error) {
			if made.note() < 3 {
				return 5 * time.Second, nil
			}
			return 0, nil
		})
		s.run()
		s.want(one)
		time.Sleep(time.Hour)
		if made.count() != 3 || made.at[2].Sub(made.at[0]) != 10*time.Second {
			t.Errorf("calls at %v", made.at)
		}
	})
}

func TestWantAfter(t *testing.T) {
	play(t, Options{Interval: 7 * time.Second}, func(s *scene) {
		var made calls
		s.loop.Handle("test.thing", made.failUntil(1))
		s.run()
		start := time.Now()
		err := s.db.Update(s.Context(), func(tx store.Tx) error { return WantAfter(tx, one, time.Minute) })
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		if made.count() != 1 || made.at[0].Sub(start) != time.Minute {
			t.Errorf("calls at %v, wished at %v", made.at, start)
		}
	})
}

// TestWantAfterDoesNotPutOffARetry: what failed comes back when it was going to, not when the later look is due.
func TestWantAfterDoesNotPutOffARetry(t *testing.T) {
	play(t, Options{MinBackoff: time.Second, MaxBackoff: time.Second}, func(s *scene) {
		var made calls
		s.loop.Handle("test.thing", made.failUntil(2))
		s.run()
		s.want(one)
		synctest.Wait()
		err := s.db.Update(s.Context(), func(tx store.Tx) error { return WantAfter(tx, one, time.Hour) })
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		if made.count() != 2 {
			t.Errorf("%d calls two seconds after the failure", made.count())
		}
	})
}

func TestBackoffIsBounded(t *testing.T) {
	loop := New(nil, Options{MinBackoff: time.Minute, MaxBackoff: time.Hour})
	for attempts := 1; attempts < 100; attempts++ {
		if pause := loop.backoff(attempts); pause < 30*time.Second || pause > time.Hour {
			t.Fatalf("pause of %v after %d failures", pause, attempts)
		}
	}
}

func TestRestartContinues(t *testing.T) {
	play(t, Options{}, func(s *scene) {
		started := make(chan struct{})
		s.loop.Handle("test.thing", func(ctx context.Context, _ Item) (time.Duration, error) {
			close(started)
			<-ctx.Done()
			return 0, ctx.Err()
		})
		s.run()
		two := Item{Kind: "test.other", ID: "other-1"}
		s.want(one, two)
		<-started
		s.load(Options{}) // ends the first loop in the middle of the look

		var made calls
		s.loop.Handle("test.thing", made.failUntil(1))
		s.loop.Handle("test.other", made.failUntil(1)) // a kind that nobody knew before
		s.run()
		synctest.Wait()
		if made.count() != 2 || len(s.waiting()) != 0 {
			t.Errorf("%d calls, waiting %v", made.count(), s.waiting())
		}
	})
}

func TestWorkersAreBoundedAndItemsAlone(t *testing.T) {
	play(t, Options{Workers: 3}, func(s *scene) {
		var mu sync.Mutex
		running, most, looks := map[Item]int{}, 0, 0
		s.loop.Handle("test.thing", func(_ context.Context, item Item) (time.Duration, error) {
			mu.Lock()
			running[item]++
			if running[item] > 1 {
				t.Errorf("%v is looked at twice at once", item)
			}
			looks++
			most = max(most, len(running))
			mu.Unlock()
			time.Sleep(time.Second)
			mu.Lock()
			delete(running, item)
			mu.Unlock()
			return 0, nil
		})
		s.run()
		var items []Item
		for i := range 20 {
			item := one
			item.ID = string(rune('a' + i))
			items = append(items, item)
		}
		s.want(items...)
		time.Sleep(500 * time.Millisecond)
		s.want(items...)
		time.Sleep(time.Hour)
		mu.Lock()
		defer mu.Unlock()
		// The three that ran at the second wish are looked at again.
		if most != 3 || looks != 23 || len(s.waiting()) != 0 {
			t.Errorf("at most %d at once, %d looks, waiting %v", most, looks, s.waiting())
		}
	})
}

func TestPanicIsAFailure(t *testing.T) {
	play(t, Options{}, func(s *scene) {
		var made calls
		s.loop.Handle("test.thing", func(context.Context, Item) (time.Duration, error) {
			if made.note() == 1 {
				panic("nil map")
			}
			return 0, nil
		})
		s.run()
		s.want(one)
		synctest.Wait()
		if got := s.failure(one); got != "internal failure: nil map" {
			t.Errorf("failure on record is %q", got)
		}
		time.Sleep(time.Minute)
		if made.count() != 2 {
			t.Errorf("%d calls", made.count())
		}
	})
}

func TestPatienceEnds(t *testing.T) {
	play(t, Options{Patience: time.Minute, MinBackoff: 2 * time.Hour, MaxBackoff: 2 * time.Hour}, func(s *scene) {
		s.loop.Handle("test.thing", func(ctx context.Context, _ Item) (time.Duration, error) {
			<-ctx.Done()
			return 0, ctx.Err()
		})
		s.run()
		s.want(one)
		time.Sleep(time.Minute + time.Second)
		if got := s.failure(one); got != context.DeadlineExceeded.Error() {
			t.Errorf("failure on record is %q", got)
		}
	})
}

func TestLongFailureIsKeptInPart(t *testing.T) {
	play(t, Options{MinBackoff: 2 * time.Hour, MaxBackoff: 2 * time.Hour}, func(s *scene) {
		s.loop.Handle("test.thing", func(context.Context, Item) (time.Duration, error) {
			return 0, errors.New(strings.Repeat("no such interface, ", 10_000))
		})
		s.run()
		s.want(one)
		time.Sleep(time.Second)
		if got := s.failure(one); !strings.HasPrefix(got, "no such interface") || len(got) > 5<<10 {
			t.Errorf("failure on record has %d bytes", len(got))
		}
	})
}

func TestSweepsRunAtStartAndAtIntervals(t *testing.T) {
	play(t, Options{}, func(s *scene) {
		var made calls
		s.loop.Sweep("things", 10*time.Minute, func(context.Context) error {
			made.note()
			return errors.New("some things stayed")
		})
		s.run()
		synctest.Wait()
		if made.count() != 1 {
			t.Fatalf("%d sweeps at start", made.count())
		}
		time.Sleep(25 * time.Minute)
		if made.count() != 3 {
			t.Errorf("%d sweeps after 25 minutes", made.count())
		}
	})
}

func TestPanicOfASweepStopsNobody(t *testing.T) {
	play(t, Options{}, func(s *scene) {
		var swept, made calls
		s.loop.Sweep("things", time.Minute, func(context.Context) error { swept.note(); panic("nil map") })
		s.loop.Handle("test.thing", made.failUntil(1))
		s.run()
		s.want(one)
		time.Sleep(90 * time.Second)
		if swept.count() != 2 || made.count() != 1 {
			t.Errorf("%d sweeps, %d calls", swept.count(), made.count())
		}
	})
}

func TestTwoHandlersOfAKindPanic(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	loop := New(nil, Options{})
	handler := func(context.Context, Item) (time.Duration, error) { return 0, nil }
	loop.Handle("test.thing", handler)
	loop.Handle("test.thing", handler)
}
