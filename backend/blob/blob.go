package blob

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io"
	"sync"

	"miniaws/backend/checksum"
	"miniaws/backend/reconcile"
	"miniaws/backend/seal"
	"miniaws/backend/sha"
	"miniaws/backend/store"
)

// MaxInline is how many bytes are kept in the store, beside the record that they belong to.
const MaxInline = 32 << 10

// Errors of this package.
var (
	// ErrTooLarge: the body is longer than the limit.
	ErrTooLarge = errors.New("body is too large")
	// ErrFull: no room on the disk. Nothing was written.
	ErrFull = store.ErrFull
	// ErrGone: the blob was removed since the record was read; read the record again.
	ErrGone = errors.New("blob is gone")
	// ErrDamaged: the bytes are not those that were written, or the key is not theirs.
	ErrDamaged = errors.New("blob is damaged")
)

// Ref is what a record keeps of its bytes. The zero Ref is of no bytes at all.
type Ref struct {
	ID   string `json:"i,omitempty"`
	Size int64  `json:"s"` // as the user sees it
	File bool   `json:"f,omitempty"`
	// Plain tells that the bytes at rest are the user's.
	Plain bool `json:"p,omitempty"`
	// Foreign tells that they are encrypted with a key that is not ours.
	Foreign bool `json:"x,omitempty"`
	// Sealed is the name that the key of the bytes derives from, where it is not ID: of small bytes that were shared.
	Sealed string `json:"d,omitempty"`
}

// sealed is the name that the key of the bytes derives from.
func (r Ref) sealed() string { return cmp.Or(r.Sealed, r.ID) }

// Files is where large blobs lie.
type Files interface {
	// Create makes a file; size is how long it will be, -1 if that is not known.
	// Errors: ErrFull.
	Create(id string, size int64) (Sink, error)
	// Open answers fs.ErrNotExist if there is no such file.
	Open(id string) (Source, error)
	// Remove succeeds when there is no such file.
	Remove(id string) error
	// List calls f for every file, also for those that are being written, until f answers false.
	List(f func(id string, size int64) bool) error
}

// Sink is a file that is being written. Exactly one of Commit and Abort ends it.
type Sink interface {
	io.Writer
	// Commit makes bytes and name durable.
	Commit() error
	// Abort leaves no trace.
	Abort()
}

// Source is a file that is read.
type Source interface {
	io.ReaderAt
	io.Closer
}

// Config is what a store of blobs stands on.
type Config struct {
	DB    store.DB
	Files Files
	// Key encrypts what is at rest.
	Key seal.Key
	// Plain turns encryption off, except with a customer's key and where a write asks for it.
	Plain bool
}

// Store keeps blobs. It is safe for concurrent use.
type Store struct {
	db    store.DB
	files Files
	key   []byte
	plain bool

	mu      sync.Mutex
	writing map[string]bool // files that have no row yet, and may get one
}

var (
	bytesTable = store.NewRaw("blob", "bytes")
	filesTable = store.NewTable(store.Spec[file]{
		Service: "blob", Name: "files",
		ID: func(f *file) store.ID { return store.ID{f.ID} },
	})
)

// file is a file that counts.
type file struct {
	ID   string
	Refs int64
	// Size at rest.
	Size int64
}

// Tables are the tables of this package.
func Tables() []store.Schema { return []store.Schema{bytesTable, filesTable} }

// New makes the store; it starts nothing.
func New(c Config) *Store {
	return &Store{db: c.DB, files: c.Files, key: c.Key.Bytes("blob"), plain: c.Plain, writing: map[string]bool{}}
}

// Encrypts tells whether bytes are encrypted at rest by default.
func (s *Store) Encrypts() bool { return !s.plain }

// Written is what Write made of a body.
type Written struct {
	Ref
	// Sums are the checksums that were asked for.
	Sums map[checksum.Algorithm][]byte

	inline []byte // at rest
	atRest int64
}

func newID() string {
	var raw [16]byte
	_, _ = rand.Read(raw[:]) // never fails
	return hex.EncodeToString(raw[:])
}

// keyOf derives the key of one blob.
func (s *Store) keyOf(id string, customer []byte) []byte {
	master := s.key
	if customer != nil {
		master = customer
	}
	mac := hmac.New(sha.New, master)
	mac.Write([]byte("mini-aws blob " + id))
	return mac.Sum(nil)
}

var global = store.Scope{}

// Keep makes what was written count, in the transaction that writes the record which refers to it.
func (s *Store) Keep(tx store.Tx, w *Written) error {
	switch {
	case w.ID == "":
		return nil
	case w.File:
		return filesTable.In(tx, global).Put(&file{w.ID, 1, w.atRest})
	}
	return bytesTable.In(tx, global).Put(w.inline, w.ID)
}

// Discard must be called when no transaction will keep w any more: it removes the file unless one did.
func (s *Store) Discard(w *Written) {
	if w == nil || !w.File {
		return
	}
	kept := true // if it cannot be found out; the sweep will
	err := s.db.View(context.Background(), func(tx store.Tx) error {
		row, err := filesTable.In(tx, global).Find(w.ID)
		kept = row != nil
		return err
	})
	if err == nil && !kept {
		_ = s.files.Remove(w.ID) // or the sweep
	}
	s.settled(w.ID)
}

func (s *Store) settled(id string) {
	s.mu.Lock()
	delete(s.writing, id)
	s.mu.Unlock()
}

// Share answers a reference to the same bytes for another record.
func (s *Store) Share(tx store.Tx, ref Ref) (Ref, error) {
	switch {
	case ref.ID == "":
		return ref, nil
	case ref.File:
		rows := filesTable.In(tx, global)
		f, err := rows.Find(ref.ID)
		if err != nil {
			return ref, err
		}
		if f == nil {
			return ref, ErrGone
		}
		f.Refs++
		return ref, rows.Put(f)
	}
	rows := bytesTable.In(tx, global)
	rest, err := rows.Get(ref.ID)
	if errors.Is(err, store.ErrNotFound) {
		return ref, ErrGone
	}
	if err != nil {
		return ref, err
	}
	// The bytes stay as they are, so that a customer's key is not needed.
	shared := ref
	shared.ID, shared.Sealed = newID(), ref.sealed()
	return shared, rows.Put(rest, shared.ID)
}

// todoKind is the reconcile loop's name for a file that is to be removed.
const todoKind = "blob.file"

// Drop takes a record's reference back.
func (s *Store) Drop(tx store.Tx, ref Ref) error {
	switch {
	case ref.ID == "":
		return nil
	case !ref.File:
		return bytesTable.In(tx, global).Delete(ref.ID)
	}
	rows := filesTable.In(tx, global)
	f, err := rows.Find(ref.ID)
	if err != nil || f == nil {
		return err
	}
	if f.Refs--; f.Refs > 0 {
		return rows.Put(f)
	}
	if err := rows.Delete(f.ID); err != nil {
		return err
	}
	return reconcile.Want(tx, reconcile.Item{Kind: todoKind, ID: f.ID})
}
