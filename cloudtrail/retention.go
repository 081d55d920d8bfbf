package cloudtrail

import (
	"context"
	"time"

	"miniaws/backend/store"
)

// removedAtOnce bounds the rows of one transaction.
const removedAtOnce = 50

// everyPlace calls fn with every account and region that has events.
func (s *Service) everyPlace(ctx context.Context, fn func(place) error) error {
	var all []place
	err := s.config.DB.View(ctx, func(tx store.Tx) error {
		all = nil
		for p, err := range places.In(tx, store.Scope{}).Scan(store.Query{}) {
			if err != nil {
				return err
			}
			all = append(all, *p)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, p := range all {
		if err := fn(p); err != nil {
			return err
		}
	}
	return nil
}

// removeOld removes the hours that are too old, and the oldest of those that are too large together.
func (s *Service) removeOld(ctx context.Context) error {
	oldest := s.config.Now().Add(-s.config.Retention)
	return s.everyPlace(ctx, func(p place) error {
		scope := store.Scope{Account: p.Account, Region: p.Region}
		var until time.Time
		err := s.config.DB.View(ctx, func(tx store.Tx) error {
			var bytes int64
			until = time.Time{}
			for h, err := range hours.In(tx, scope).Scan(store.Query{}) {
				if err != nil {
					return err
				}
				end := h.Start.Add(time.Hour)
				if bytes += h.Bytes; bytes > s.config.MaxBytes || end.Before(oldest) {
					until = end
					return nil
				}
			}
			return nil
		})
		if err != nil || until.IsZero() {
			return err
		}
		return s.removeUntil(ctx, scope, until)
	})
}

// removeUntil removes everything that ended before.
func (s *Service) removeUntil(ctx context.Context, scope store.Scope, until time.Time) error {
	behind := store.Query{After: store.After(inverted(until)), Limit: removedAtOnce}
	for _, table := range []*store.Table[batch]{events, dataEvents} {
		for more := true; more; {
			err := s.config.DB.Update(ctx, func(tx store.Tx) error {
				rows := table.In(tx, scope)
				list, next, err := rows.List(behind)
				if err != nil {
					return err
				}
				more = next != ""
				for _, b := range list {
					if err := rows.Delete(b.id()...); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				return err
			}
		}
	}
	return s.config.DB.Update(ctx, func(tx store.Tx) error {
		rows := hours.In(tx, scope)
		list, _, err := rows.List(store.Query{After: store.After(inverted(until))})
		if err != nil {
			return err
		}
		for _, h := range list {
			if err := rows.Delete(inverted(h.Start)); err != nil {
				return err
			}
		}
		return nil
	})
}
