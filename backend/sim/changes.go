package sim

import (
	"context"
	"iter"

	"miniaws/backend"
)

// Resize notes nothing: a record uses nothing.
func (e *Engine) Resize(ctx context.Context, id string, _ float64, _ int64) error {
	_, err := e.Inspect(ctx, id)
	return err
}

// Changes yields what the other methods change.
func (e *Engine) Changes(ctx context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		if err := e.begin(ctx, "changes", "containers"); err != nil {
			yield("", err)
			return
		}
		feed := make(chan string, feedLength)
		e.feeds[feed] = true
		e.mu.Unlock()
		defer func() {
			e.mu.Lock()
			defer e.mu.Unlock()
			delete(e.feeds, feed)
		}()
		if !yield("", nil) {
			return
		}
		for {
			select {
			case <-ctx.Done():
				return
			case id, ok := <-feed:
				if !ok {
					yield("", &backend.Error{Kind: backend.KindUnavailable, Op: "changes", Object: "containers"})
					return
				}
				if !yield(id, nil) {
					return
				}
			}
		}
	}
}

// feedLength is how far a reader of changes may be behind.
const feedLength = 4096

// tell passes a change on; the caller holds the lock. A reader that is too far behind is cut off, and asks anew.
func (e *Engine) tell(id string) {
	for feed := range e.feeds {
		select {
		case feed <- id:
		default:
			close(feed)
			delete(e.feeds, feed)
		}
	}
}
