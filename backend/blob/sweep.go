package blob

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"miniaws/backend/reconcile"
	"miniaws/backend/store"
)

// Reconcile registers the removal of files that nothing refers to any more.
func (s *Store) Reconcile(loop *reconcile.Loop) {
	loop.Handle(todoKind, func(_ context.Context, item reconcile.Item) (time.Duration, error) {
		return 0, s.files.Remove(item.ID)
	})
	loop.Sweep("blob orphans", 6*time.Hour, s.Sweep)
}

// Sweep removes files that no record refers to: a process died between the file and the commit.
func (s *Store) Sweep(ctx context.Context) error {
	orphans, err := s.orphans(ctx)
	if err != nil {
		return err
	}
	for _, id := range orphans {
		slog.Info("removing the bytes of an upload that never ended", "blob", id)
		if err := s.files.Remove(id); err != nil {
			return err
		}
	}
	return nil
}

// orphans finds files without a row that nobody is writing.
func (s *Store) orphans(ctx context.Context) (orphans []string, err error) {
	var broke error
	err = s.files.List(func(id string, _ int64) bool {
		s.mu.Lock()
		busy := s.writing[id]
		s.mu.Unlock()
		if busy {
			return true
		}
		// Whoever wrote it has settled it, so a row would be there by now.
		broke = s.db.View(ctx, func(tx store.Tx) error {
			row, err := filesTable.In(tx, global).Find(id)
			if err == nil && row == nil {
				orphans = append(orphans, id)
			}
			return err
		})
		return broke == nil
	})
	if broke != nil {
		err = broke
	}
	return orphans, err
}

// Check walks rows and files, and says what does not fit together: files that are missing or of a wrong length, and
// files that nothing refers to. It is for a store that nobody writes to.
func (s *Store) Check(ctx context.Context, report func(problem string)) error {
	sizes := map[string]int64{}
	if err := s.files.List(func(id string, size int64) bool { sizes[id] = size; return true }); err != nil {
		return err
	}
	err := s.db.View(ctx, func(tx store.Tx) error {
		for row, err := range filesTable.In(tx, global).Scan(store.Query{}) {
			if err != nil {
				return err
			}
			switch size, ok := sizes[row.ID]; {
			case !ok:
				report(fmt.Sprintf("the file of blob %s is missing", row.ID))
			case size != row.Size:
				report(fmt.Sprintf("the file of blob %s has %d bytes instead of %d", row.ID, size, row.Size))
			}
			delete(sizes, row.ID)
		}
		return nil
	})
	for id := range sizes {
		report(fmt.Sprintf("the file of blob %s belongs to nothing; the next start removes it", id))
	}
	return err
}
