package blob

import (
	"context"
	"errors"
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

// Verify tells what is wrong with the bytes that a record refers to, short of reading them; nil if nothing is.
func (s *Store) Verify(tx store.Tx, ref Ref) error {
	switch {
	case ref.ID == "" && ref.Size > 0:
		return fmt.Errorf("%w: it has no bytes instead of %d", ErrDamaged, ref.Size)
	case ref.ID == "":
		return nil
	case ref.File:
		f, err := filesTable.In(tx, global).Find(ref.ID)
		if err == nil && (f == nil || f.Size != atRest(ref)) {
			err = fmt.Errorf("%w: blob %s has no row, or one of another length", ErrDamaged, ref.ID)
		}
		return err
	}
	rest, err := bytesTable.In(tx, global).Get(ref.ID)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return fmt.Errorf("%w: blob %s is missing", ErrDamaged, ref.ID)
	case err == nil && int64(len(rest)) != atRest(ref):
		return fmt.Errorf("%w: blob %s has %d bytes instead of %d", ErrDamaged, ref.ID, len(rest), atRest(ref))
	}
	return err
}

// Check walks rows and files, and says what does not fit together: files that are missing or of a wrong length, and rows
// that are not as often referred to as they say. It answers how many files nothing refers to: those are no problem, the
// next start removes them. References are counted by the caller; nil leaves that out. It is for a store that nobody
// writes to.
func (s *Store) Check(ctx context.Context, references map[string]int64, report func(problem string)) (orphans int, err error) {
	sizes := map[string]int64{}
	if err := s.files.List(func(id string, size int64) bool { sizes[id] = size; return true }); err != nil {
		return 0, err
	}
	err = s.db.View(ctx, func(tx store.Tx) error {
		for row, err := range filesTable.In(tx, global).Scan(store.Query{}) {
			if err != nil {
				return err
			}
			if references != nil && references[row.ID] != row.Refs {
				report(fmt.Sprintf("blob %s counts %d references instead of %d", row.ID, row.Refs, references[row.ID]))
			}
			switch size, ok := sizes[row.ID]; {
			case !ok:
				report(fmt.Sprintf("the file of blob %s is missing", row.ID))
			case size != row.Size:
				report(fmt.Sprintf("the file of blob %s has %d bytes instead of %d", row.ID, size, row.Size))
			}
			delete(sizes, row.ID)
		}
		if references == nil {
			return nil
		}
		for id, err := range bytesTable.In(tx, global).IDs("") {
			if err != nil {
				return err
			}
			if references[id] != 1 {
				report(fmt.Sprintf("small blob %s has %d references instead of 1", id, references[id]))
			}
		}
		return nil
	})
	return len(sizes), err
}
