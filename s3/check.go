package s3

import (
	"context"
	"fmt"

	"miniaws/backend/blob"
	"miniaws/backend/store"
)

// Check walks the records of objects, versions and parts, and says what does not fit together: bytes that are missing,
// references that nobody counts, parts that are not all there, buckets that are gone. It answers how many files belong to
// nothing, which the next start removes. It is for a store that nobody writes to.
func Check(ctx context.Context, db store.DB, blobs *blob.Store, report func(problem string)) (orphans int, err error) {
	references := map[string]int64{}
	err = db.View(ctx, func(tx store.Tx) error {
		known := map[string]bool{}
		for b, err := range buckets.In(tx, global).Scan(store.Query{}) {
			if err != nil {
				return err
			}
			known[b.ID] = true
		}
		see := func(what string, ref blob.Ref) error {
			references[ref.ID]++
			if err := blobs.Verify(tx, ref); err != nil {
				report(fmt.Sprintf("%s: %v", what, err))
			}
			return ctx.Err()
		}
		used := map[string]int64{}
		for _, table := range []*store.Table[object]{objects, versions} {
			for o, err := range table.In(tx, global).Scan(store.Query{}) {
				if err != nil {
					return err
				}
				what := fmt.Sprintf("version %s of %q in bucket %s", o.Order, o.Key, o.Bucket)
				if !known[o.Bucket] {
					report(what + ": the bucket is gone")
				}
				if o.Parts == nil {
					if err := see(what, o.Blob); err != nil {
						return err
					}
					continue
				}
				used[o.Parts.ID]++
				var size int64
				var count int32
				for p, err := range partsOf(tx, o.Parts.ID) {
					if err != nil {
						return err
					}
					size, count = size+p.Size, count+1
				}
				if size != o.Size || count != o.Parts.Count {
					report(fmt.Sprintf("%s: %d parts of %d bytes instead of %d of %d", what, count, size, o.Parts.Count, o.Size))
				}
			}
		}
		for p, err := range parts.In(tx, global).Scan(store.Query{}) {
			if err != nil {
				return err
			}
			if err := see(fmt.Sprintf("part %d of upload %s", p.Number, p.Upload), p.Blob); err != nil {
				return err
			}
		}
		for m, err := range manifests.In(tx, global).Scan(store.Query{}) {
			if err != nil {
				return err
			}
			if m.Objects != used[m.ID] {
				report(fmt.Sprintf("the parts of %s are counted for %d objects instead of %d", m.ID, m.Objects, used[m.ID]))
			}
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	return blobs.Check(ctx, references, report)
}
