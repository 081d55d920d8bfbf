package store

import (
	"context"
	"errors"
	"slices"
)

// Written answers for keys, as people write them, in which revision of the kept log each was written last, and from which
// revision on the log is kept: what is not in the answer was written earlier. It reads that part of the log.
func Written(ctx context.Context, db DB, places []string) (revisions map[string]uint64, from uint64, err error) {
	stats := db.Stats()
	revisions = map[string]uint64{}
	from = stats.Checkpoint + 1
	if len(places) == 0 || from > stats.Revision {
		return revisions, from, nil
	}
	for commit, err := range db.Watch(ctx, from) {
		if errors.Is(err, ErrCompacted) { // a checkpoint was made meanwhile
			return map[string]uint64{}, stats.Revision, nil
		}
		if err != nil {
			return nil, 0, err
		}
		for _, change := range commit.Changes {
			if place := readable(change.Key); slices.Contains(places, place) {
				revisions[place] = commit.Revision
			}
		}
		if commit.Revision >= stats.Revision {
			break
		}
	}
	return revisions, from, nil
}
