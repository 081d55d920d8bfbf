package cloudtrail

import "sync"

// feed hands new events to those who watch.
type feed struct {
	mu       sync.Mutex
	watchers map[*Watch]bool
}

// Watch is somebody who sees events as they come. Close it.
type Watch struct {
	feed *feed
	// Events has the records of CloudTrail, as JSON, and ends after Close. One who reads too slowly misses some, and then
	// Missed says how many.
	Events chan []byte
	missed int
}

// watchBuffer is how many events wait for a watcher.
const watchBuffer = 256

// Watch begins to hand out events of all accounts.
func (s *Service) Watch() *Watch {
	w := &Watch{feed: &s.feed, Events: make(chan []byte, watchBuffer)}
	s.feed.mu.Lock()
	defer s.feed.mu.Unlock()
	if s.feed.watchers == nil {
		s.feed.watchers = map[*Watch]bool{}
	}
	s.feed.watchers[w] = true
	return w
}

// Close ends it.
func (w *Watch) Close() {
	w.feed.mu.Lock()
	defer w.feed.mu.Unlock()
	if w.feed.watchers[w] {
		delete(w.feed.watchers, w)
		close(w.Events)
	}
}

// Missed answers how many events were missed since the last question.
func (w *Watch) Missed() int {
	w.feed.mu.Lock()
	defer w.feed.mu.Unlock()
	missed := w.missed
	w.missed = 0
	return missed
}

func (f *feed) watched() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.watchers) > 0
}

func (f *feed) publish(e *event) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for w := range f.watchers {
		select {
		case w.Events <- e.Record:
		default:
			w.missed++
		}
	}
}
