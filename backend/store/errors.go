package store

import "errors"

var (
	// ErrNotFound: the key or record does not exist.
	ErrNotFound = errors.New("not found")
	// ErrConflict: other writers were faster every time until the retries were used up. Nothing was written.
	ErrConflict = errors.New("conflict: too many concurrent changes to the same records")
	// ErrReadOnly: a write inside View, or a store that was opened while the disk was full. See also ErrFull.
	ErrReadOnly = errors.New("read-only")
	// ErrFull: no room on the disk. Nothing was written; the same call works once space has returned.
	ErrFull = errors.New("disk is full")
	// ErrTooLarge: key, value or transaction beyond the limits of the contract.
	ErrTooLarge = errors.New("too large")
	// ErrTooLong: the closure ran longer than MaxDuration.
	ErrTooLong = errors.New("transaction took too long")
	// ErrClosed: the store is closed or has stopped after a failure. After a failure it is not known whether a
	// transaction in flight survives; the next open decides.
	ErrClosed = errors.New("store is closed")
	// ErrCompacted: the wanted revision is older than the kept log. Read a snapshot and watch from there.
	ErrCompacted = errors.New("revision is no longer kept")
	// ErrExists: another record holds this value of a unique index, or Insert met its own id.
	ErrExists = errors.New("already exists")
	// ErrInvalidKey: a key outside the tree, or a name with characters that names must not have.
	ErrInvalidKey = errors.New("invalid key")
	// ErrDamaged: data that was acknowledged cannot be read back. The store refuses to open rather than to lose it.
	ErrDamaged = errors.New("store is damaged")
	// ErrLocked: another process uses the folder.
	ErrLocked = errors.New("store is in use by another process")
	// ErrNewer: the data was written by a newer version of this program.
	ErrNewer = errors.New("written by a newer version")
)
