package iam

import (
	"errors"

	"miniaws/backend/store"
)

// A stamp changes whenever something of an account's identities does, so that what was worked out from them can be kept
// until then. It is written without being read: transactions do not conflict over it.

func stampKey(account string) store.Key {
	return store.Key("/" + store.MainFork + "/" + account + "/" + store.Global + "/iam/stamp/now")
}

func putStamp(tx store.Tx, account string) error {
	return tx.Put(stampKey(account), []byte(randomBase32(20)))
}

// stamp answers "" where nothing was ever written.
func stamp(tx store.Tx, account string) (string, error) {
	value, err := store.GetKept(tx, stampKey(account))
	if errors.Is(err, store.ErrNotFound) {
		return "", nil
	}
	return string(value), err
}
