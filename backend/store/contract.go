package store

import (
	"context"
	"iter"
	"time"
)

// Limits of the contract, small enough for a distributed store to keep them too.
const (
	MaxKey         = 4 << 10
	MaxValue       = 64 << 10
	MaxTransaction = 1 << 20 // keys and values written, with writeOverhead for each
	MaxWrites      = 4096
	MaxDuration    = 10 * time.Second

	writeOverhead = 32
)

// DB is an ordered key-value store with serializable transactions.
type DB interface {
	// View runs fn on a snapshot. Writes answer ErrReadOnly.
	View(ctx context.Context, fn func(Tx) error) error

	// Update runs fn on a snapshot and commits what it wrote, unless something it read (a key, found or not, or a
	// scanned range) was changed meanwhile: then fn runs again on a newer snapshot. So fn has no side effects.
	// fn must not call Update itself. An error of fn is returned as it is and nothing is written. After nil the writes are durable and visible.
	Update(ctx context.Context, fn func(Tx) error) error

	// Watch yields the transactions with a revision of at least from, in order, and waits for more. It ends with
	// the error of ctx, ErrCompacted or ErrClosed. Only revisions that View can already see are yielded.
	Watch(ctx context.Context, from uint64) iter.Seq2[Commit, error]

	Stats() Stats

	// Close waits for running transactions.
	Close() error
}

// Tx is one attempt of one transaction. It is not safe for concurrent use and is of no use after the closure ended.
type Tx interface {
	// Get returns a copy that the caller owns, or ErrNotFound.
	Get(key Key) ([]byte, error)

	// Scan yields the rows of r in key order, with this transaction's own earlier writes. In an Update the part of
	// the range that was really walked is protected against inserts by others. Writes made while it runs do not show.
	Scan(r Range) iter.Seq2[Row, error]

	// Put keeps value; the caller must not change it afterwards.
	Put(key Key, value []byte) error

	// Delete of an absent key is not an error.
	Delete(key Key) error

	// Now is the same throughout one attempt.
	Now() time.Time

	// NewID returns an identifier as AWS makes them: prefix and 17 hex digits, as in i-0123456789abcdef0.
	NewID(prefix string) string

	// Revision is that of the snapshot: Watch from Revision()+1 continues where this transaction looked.
	Revision() uint64
}

// Range holds Start <= key < End.
type Range struct {
	Start, End Key
	KeysOnly   bool // Row.Value stays nil
	// Known, if there is one, is asked of each row of the snapshot: the value of one for which it answers true stays nil.
	Known func(key Key, version uint64) bool
	// Jump, if there is one, is asked after each row where to go on: rows before that key are left out, but for those that
	// the transaction itself wrote. Empty is the next row.
	Jump func() Key
}

// after is where a scan jumps to behind a row, or empty.
func (r Range) after(row Key) Key {
	if r.Jump != nil {
		if to := r.Jump(); to > row {
			return to
		}
	}
	return ""
}

// Row is owned by whoever receives it.
type Row struct {
	Key   Key
	Value []byte
	// Version is the revision that wrote the row; 0 for the transaction's own writes. Key and version name the value for
	// good.
	Version uint64
}

// Commit is one transaction of the change feed.
type Commit struct {
	Revision uint64
	Changes  []Change // in the order of their keys
}

// Change of one key; the new value, or Deleted.
type Change struct {
	Key     Key
	Value   []byte
	Deleted bool
}

// Stats are counters since open, and a few gauges.
type Stats struct {
	Revision  uint64 // last one that readers see
	Commits   uint64 // transactions written
	Groups    uint64 // log records, each with one or more transactions
	Syncs     uint64 // fdatasync calls for them
	Conflicts uint64 // attempts that had to run again
	Refused   uint64 // transactions refused because the disk is full

	Rows        int64
	LogBytes    uint64 // written to the log
	Segments    int    // kept, without spares
	Checkpoints uint64
	Checkpoint  uint64 // revision of the newest dump
	Replayed    uint64 // groups applied from the log at open
	Rebuilt     string // why the index was rebuilt at open; empty if it was not
	Refusing    string // why writes are refused at this moment; empty if they are not

	CheckpointError string // why the last attempt to write a dump failed; empty if it did not
}
