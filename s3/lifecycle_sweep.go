package s3

import (
	"miniaws/backend/reconcile"
	"miniaws/backend/store"
)

// kindSweep is the reconcile loop's kind of a bucket whose lifecycle is due.
const kindSweep = "s3.lifecycle"

// wantSweep asks for a look at the bucket's lifecycle.
func wantSweep(tx store.Tx, b *bucket) error {
	return reconcile.Want(tx, reconcile.Item{Kind: kindSweep, Account: b.Account, Region: b.Region, ID: b.Name})
}
