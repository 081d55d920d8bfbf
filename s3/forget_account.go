package s3

import (
	"context"

	"miniaws/backend/store"
)

// forgottenTogether is how many objects are removed in one commit.
const forgottenTogether = 100

// ForgetAccount removes all buckets of an account with what is in them, and its access points: their names are everybody's,
// so they do not lie in the account's own part of the tree. Locks do not keep anything.
func (s *Service) ForgetAccount(ctx context.Context, account string) error {
	for {
		var b *bucket
		err := s.db.View(ctx, func(tx store.Tx) (err error) {
			b, err = buckets.In(tx, global).Index("owner").Find(account)
			return err
		})
		if err != nil {
			return err
		}
		if b == nil {
			break
		}
		if err := s.forgetBucket(ctx, b); err != nil {
			return err
		}
	}
	return s.db.Update(ctx, func(tx store.Tx) error {
		return forgetPoints(tx, accessPoints.In(tx, global).Scan(store.Query{Parts: store.ID{account}}))
	})
}

func forgetPoints(tx store.Tx, found func(func(*accessPoint, error) bool)) error {
	var all []*accessPoint
	for p, err := range found {
		if err != nil {
			return err
		}
		all = append(all, p)
	}
	for _, p := range all {
		if err := accessPoints.In(tx, global).Delete(p.Account, p.Region, p.Name); err != nil {
			return err
		}
	}
	return nil
}

// forgetBucket removes a bucket, part by part, so that no transaction becomes large.
func (s *Service) forgetBucket(ctx context.Context, b *bucket) error {
	for _, table := range []*store.Table[object]{versions, objects} {
		for more := true; more; {
			err := s.db.Update(ctx, func(tx store.Tx) error {
				list, next, err := table.In(tx, global).List(store.Query{Parts: store.ID{b.ID}, Limit: forgottenTogether})
				if err != nil {
					return err
				}
				more = next != ""
				for _, o := range list {
					if !o.Marker {
						if err := s.dropBytes(tx, o); err != nil {
							return err
						}
					}
					id := []string{o.Bucket, o.Key}
					if table == versions {
						id = append(id, o.Order)
					}
					if err := table.In(tx, global).Delete(id...); err != nil {
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
	return s.db.Update(ctx, func(tx store.Tx) error {
		if err := endUploads(tx, b); err != nil {
			return err
		}
		if err := forgetPoints(tx, accessPoints.In(tx, global).Index("bucket").Scan(store.Query{Parts: store.ID{b.Name}})); err != nil {
			return err
		}
		if err := deleteSettings(tx, store.ID{b.Name}); err != nil {
			return err
		}
		return buckets.In(tx, global).Delete(b.Name)
	})
}
