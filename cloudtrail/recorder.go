package cloudtrail

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"miniaws/awsapi"
	"miniaws/backend/store"
)

// queue holds events that are not durable yet. Whoever waits for his own and finds nobody writing writes for all.
type queue struct {
	mu      sync.Mutex
	pending []*event
	// next is the round that will write what is pending; current the one that writes now, nil if none does.
	next, current *round
	dropped       int
}

// round is one commit of all that was pending.
type round struct {
	done chan struct{}
	err  error // once done is closed
}

func newRound() *round { return &round{done: make(chan struct{})} }

// maxPending bounds what waits in memory while the store takes no writes. Beyond it the oldest events of reads and
// refusals are lost, and a log line says how many; those of acknowledged writes never wait here.
const maxPending = 20_000

// add queues an event and answers the round that will write it. It stamps the event, so that the order of the queue is
// that of times.
func (q *queue) add(e *event, now func() time.Time, render func(*event)) (r *round, waiting int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	e.Time = now().UTC()
	if n := len(q.pending); n > 0 && !e.Time.After(q.pending[n-1].Time) {
		e.Time = q.pending[n-1].Time.Add(time.Nanosecond)
	}
	render(e)
	if q.next == nil {
		q.next = newRound()
	}
	if len(q.pending) >= maxPending {
		q.pending = q.pending[1:]
		q.dropped++
	}
	q.pending = append(q.pending, e)
	return q.next, len(q.pending)
}

// flushAt is how many events of reads wait for the sweep before a caller writes them.
const flushAt = 1000

// Record makes an event of the call. It answers an error where the event must be durable and cannot be made so.
func (s *Service) Record(ctx context.Context, o *awsapi.Outcome) error {
	if o.Service == nil || o.Operation == "" || o.Principal.Account == "" {
		return nil // nobody who is known asked, or nothing that there is
	}
	data := isDataEvent(o)
	if data && o.Code != accessDenied && !s.feed.watched() && !s.selectsData(ctx, o) {
		return nil
	}
	e := s.newEvent(o, data)
	r, waiting := s.queue.add(e, s.config.Now, func(e *event) { s.render(e, o) })
	s.feed.publish(e)
	mustLast := !e.ReadOnly && o.Err == nil
	if !mustLast && waiting < flushAt {
		return nil
	}
	err := s.flush(ctx, r)
	if err == nil || !mustLast {
		return nil // the error was logged, and the event waits
	}
	// AWS: "Common Errors": clients try again.
	return &awsapi.Error{Code: "ServiceUnavailable", Message: "The request has failed due to a temporary failure of the server.", Status: http.StatusServiceUnavailable}
}

// Flush writes what is pending, and waits for what is being written: before the store is closed, before somebody looks a
// call up, and each second.
func (s *Service) Flush(ctx context.Context) error {
	s.queue.mu.Lock()
	r := s.queue.next
	if len(s.queue.pending) == 0 {
		r = s.queue.current // what somebody else writes just now is not there yet either
	}
	s.queue.mu.Unlock()
	if r == nil {
		return nil
	}
	return s.flush(ctx, r)
}

// flush answers when the round is over. It becomes the writer if nobody writes.
func (s *Service) flush(ctx context.Context, wanted *round) error {
	q := &s.queue
	for {
		q.mu.Lock()
		select {
		case <-wanted.done:
			q.mu.Unlock()
			return wanted.err
		default:
		}
		if running := q.current; running != nil {
			q.mu.Unlock()
			<-running.done
			continue
		}
		mine, list := q.next, q.pending
		q.current, q.next, q.pending = mine, nil, nil
		dropped := q.dropped
		q.dropped = 0
		q.mu.Unlock()

		if dropped > 0 {
			slog.Error("audit: events were lost while the store took no writes", "events", dropped)
		}
		// Others wait for this round too, whatever becomes of this caller.
		left, err := s.write(context.WithoutCancel(ctx), list)
		q.mu.Lock()
		if err != nil {
			slog.Error("audit: events are not written yet", "events", len(left), "error", err)
			q.pending = append(left, q.pending...)
			if over := len(q.pending) - maxPending; over > 0 {
				q.pending = q.pending[over:]
				q.dropped += over
			}
			if q.next == nil {
				q.next = newRound()
			}
		}
		mine.err, q.current = err, nil
		close(mine.done)
		q.mu.Unlock()
	}
}

// writtenAtOnce bounds the batches of one transaction.
const writtenAtOnce = 8

// write makes the events durable, and answers those that it could not. A panic on the way must not leave others waiting
// for ever.
func (s *Service) write(ctx context.Context, list []*event) (left []*event, err error) {
	defer func() {
		if p := recover(); p != nil {
			slog.Error("audit: panic", "panic", p)
			left, err = list, errors.New("audit: panic")
		}
	}()
	type shelf struct {
		place
		data bool
	}
	sorted := map[shelf][]*event{}
	for _, e := range list {
		at := shelf{place{e.Account, e.Region}, e.Data}
		sorted[at] = append(sorted[at], e)
	}
	type job struct {
		shelf
		*batch
	}
	var jobs []job
	for at, own := range sorted {
		for _, b := range pack(own) {
			jobs = append(jobs, job{at, b})
		}
	}
	for len(jobs) > 0 {
		now := jobs[:min(len(jobs), writtenAtOnce)]
		err := s.config.DB.Update(ctx, func(tx store.Tx) error {
			for _, j := range now {
				if err := s.putBatch(tx, j.place, j.data, j.batch); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			for _, j := range jobs {
				left = append(left, j.list...)
			}
			slices.SortFunc(left, func(a, b *event) int { return a.Time.Compare(b.Time) })
			return left, err
		}
		for _, j := range now {
			s.known.Store(j.place, true)
		}
		jobs = jobs[len(now):]
	}
	return nil, nil
}

func (s *Service) putBatch(tx store.Tx, at place, data bool, b *batch) error {
	scope := store.Scope{Account: at.Account, Region: at.Region}
	table := events
	if data {
		table = dataEvents
		b.Attributes = nil
	}
	if err := table.In(tx, scope).Put(b); err != nil {
		return err
	}
	counted := &hour{Start: b.Newest.Truncate(time.Hour)}
	if before, err := hours.In(tx, scope).Find(inverted(counted.Start)); err != nil {
		return err
	} else if before != nil {
		counted = before
	}
	counted.Events += b.Events
	counted.Bytes += int64(len(b.Packed))
	if err := hours.In(tx, scope).Put(counted); err != nil {
		return err
	}
	if _, known := s.known.Load(at); known {
		return nil
	}
	return places.In(tx, store.Scope{}).Put(&at)
}
