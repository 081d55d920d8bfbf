package store

import (
	"context"
)

// RemoveScope removes every row of an account's part of the tree (of one region, where the scope names one), in several
// transactions. What other parts of the tree say about the account is not its business. It can be called again after an
// error.
func RemoveScope(ctx context.Context, db DB, s Scope) error {
	s = s.withDefaults()
	if s.Account == Global {
		return ErrInvalidKey
	}
	base := Key("/" + s.Fork + "/" + s.Account + "/")
	if s.Region != Global {
		base += Key(s.Region + "/")
	}
	if !validName(s.Fork) || !validName(s.Account) || !validName(s.Region) {
		return ErrInvalidKey
	}
	return inBatches(ctx, db, base, func(tx Tx, row Row) error { return tx.Delete(row.Key) })
}
