package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"slices"
	"sync"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"
)

// badgerIndex keeps the rows in Badger, whose versions are our revisions. Nothing is synced: the log is the truth.
type badgerIndex struct {
	db *badger.DB

	mu      sync.Mutex
	applied uint64
	count   int64
	readers map[uint64]int // open snapshots by revision
}

// metaKey holds the applied revision and the number of rows, written with every group. It sorts outside our tree.
var metaKey = []byte("!mini-aws")

// doubtLogger hears Badger's errors. Some of them mean that rows are being lost (a compaction that could not write
// its output deletes its inputs all the same), so every one of them puts the whole index in doubt.
type doubtLogger struct{ doubt func(error) }

func (l doubtLogger) Errorf(f string, v ...any)   { l.doubt(fmt.Errorf("badger: "+f, v...)) }
func (l doubtLogger) Warningf(f string, v ...any) {}
func (l doubtLogger) Infof(f string, v ...any)    {}
func (l doubtLogger) Debugf(f string, v ...any)   {}

func openBadger(dir string, doubt func(error)) (*badgerIndex, error) {
	o := badger.DefaultOptions(dir)
	o.MemTableSize = 8 << 20 // a transaction may use 15 % of it
	o.NumMemtables = 2
	o.NumCompactors = 2
	o.NumLevelZeroTables = 4
	o.NumLevelZeroTablesStall = 12
	o.Compression = options.None
	o.BlockCacheSize = 0
	o.IndexCacheSize = 0
	o.ValueThreshold = 1 << 10
	o.ValueLogFileSize = 32 << 20
	o.DetectConflicts = false
	o.MetricsEnabled = false
	o.SyncWrites = false
	o.Logger = doubtLogger{doubt}
	// A file of no length is a memtable that was just being made; Badger refuses to open with it.
	mems, err := filesIn(dir, ".mem")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, m := range mems {
		if fi, err := os.Stat(m); err == nil && fi.Size() == 0 {
			if err := os.Remove(m); err != nil {
				return nil, err
			}
		}
	}
	db, err := badger.OpenManaged(o)
	if err != nil {
		return nil, err
	}
	x := &badgerIndex{db: db, readers: map[uint64]int{}}
	if err := x.readMeta(); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return x, nil
}

func (x *badgerIndex) readMeta() error {
	tx := x.db.NewTransactionAt(math.MaxUint64, false)
	defer tx.Discard()
	item, err := tx.Get(metaKey)
	if errors.Is(err, badger.ErrKeyNotFound) {
		if v := x.db.MaxVersion(); v > 0 {
			return fmt.Errorf("it holds revision %d but no counters", v)
		}
		return nil
	}
	if err != nil {
		return err
	}
	return item.Value(func(b []byte) error {
		if len(b) != 16 {
			return errors.New("its counters are damaged")
		}
		x.applied = binary.LittleEndian.Uint64(b)
		x.count = int64(binary.LittleEndian.Uint64(b[8:]))
		return nil
	})
}

func metaValue(revision uint64, rows int64) []byte {
	b := binary.LittleEndian.AppendUint64(nil, revision)
	return binary.LittleEndian.AppendUint64(b, uint64(rows))
}

// apply may be repeated with the same group after a crash.
func (x *badgerIndex) apply(g group) error {
	final := map[Key]write{}
	for _, ws := range g.transactions {
		for _, w := range ws {
			final[w.key] = w
		}
	}
	before := x.db.NewTransactionAt(g.first-1, false)
	defer before.Discard()
	tx := x.db.NewTransactionAt(math.MaxUint64, true)
	defer tx.Discard()
	count := x.rows()
	for k, w := range final {
		_, err := before.Get([]byte(k))
		existed := err == nil
		if err != nil && !errors.Is(err, badger.ErrKeyNotFound) {
			return err
		}
		switch {
		case w.deleted && existed:
			count--
			err = tx.Delete([]byte(k))
		case w.deleted:
			err = nil
		default:
			if !existed {
				count++
			}
			err = tx.SetEntry(badger.NewEntry([]byte(k), w.value))
		}
		if err != nil {
			return err
		}
	}
	if err := tx.SetEntry(badger.NewEntry(metaKey, metaValue(g.last(), count))); err != nil {
		return err
	}
	if err := tx.CommitAt(g.last(), nil); err != nil {
		return err
	}
	x.mu.Lock()
	x.applied, x.count = g.last(), count
	oldest := x.applied
	for r := range x.readers {
		oldest = min(oldest, r)
	}
	x.mu.Unlock()
	x.db.SetDiscardTs(oldest)
	return nil
}

// fill loads rows of a dump of this revision into an empty index; done is called at the end with their number.
func (x *badgerIndex) fill(revision uint64) (add func(Row) error, done func(rows int64) error) {
	tx := x.db.NewTransactionAt(math.MaxUint64, true)
	size := 0
	flush := func() error {
		size = 0
		old := tx
		tx = x.db.NewTransactionAt(math.MaxUint64, true)
		return old.CommitAt(revision, nil)
	}
	add = func(row Row) error {
		if size += len(row.Key) + len(row.Value) + writeOverhead + 128; size > MaxTransaction {
			if err := flush(); err != nil {
				return err
			}
			size = len(row.Key) + len(row.Value) + writeOverhead + 128
		}
		return tx.SetEntry(badger.NewEntry([]byte(row.Key), slices.Clone(row.Value)))
	}
	done = func(rows int64) error {
		if err := tx.SetEntry(badger.NewEntry(metaKey, metaValue(revision, rows))); err != nil {
			return err
		}
		if err := flush(); err != nil {
			return err
		}
		tx.Discard()
		x.applied, x.count = revision, rows
		return nil
	}
	return add, done
}

func (x *badgerIndex) rows() int64 {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.count
}

func (x *badgerIndex) snapshot() (snapshot, uint64) {
	s, _ := x.counted()
	return s, s.revision
}

// counted also answers how many rows the snapshot must have.
func (x *badgerIndex) counted() (*badgerSnapshot, int64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.readers[x.applied]++
	return &badgerSnapshot{index: x, revision: x.applied}, x.count
}

// verify counts the rows.
func (x *badgerIndex) verify(stop func() bool) error {
	s, want := x.counted()
	defer s.release()
	var got int64
	r := tree
	r.KeysOnly = true
	err := s.scan(r, func(Row) bool { got++; return got%4096 != 0 || !stop() })
	if err == nil && got != want && !stop() {
		err = fmt.Errorf("it has %d rows instead of %d", got, want)
	}
	return err
}

// collect gives back room in the value log.
func (x *badgerIndex) collect() error {
	for {
		err := x.db.RunValueLogGC(0.5)
		if errors.Is(err, badger.ErrNoRewrite) || errors.Is(err, badger.ErrRejected) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (x *badgerIndex) close() error { return x.db.Close() }

type badgerSnapshot struct {
	index    *badgerIndex
	revision uint64
	begun    *badger.Txn // nil until something is read; what the revision shows is not discarded before either
}

func (s *badgerSnapshot) tx() *badger.Txn {
	if s.begun == nil {
		s.begun = s.index.db.NewTransactionAt(s.revision, false)
	}
	return s.begun
}

func (s *badgerSnapshot) get(k Key, known func(Key, uint64) bool) ([]byte, uint64, bool, error) {
	item, err := s.tx().Get([]byte(k))
	if errors.Is(err, badger.ErrKeyNotFound) {
		return nil, 0, false, nil
	}
	if err != nil {
		return nil, 0, false, err
	}
	if known != nil && known(k, item.Version()) {
		return nil, item.Version(), true, nil
	}
	v, err := item.ValueCopy(nil)
	return v, item.Version(), err == nil, err
}

func (s *badgerSnapshot) scan(r Range, yield func(Row) bool) error {
	o := badger.DefaultIteratorOptions
	o.PrefetchValues = false
	o.Prefix = []byte(commonPrefix(r.Start, r.End))
	it := s.tx().NewIterator(o)
	defer it.Close()
	for it.Seek([]byte(r.Start)); it.Valid(); {
		item := it.Item()
		row := Row{Key: Key(item.Key()), Version: item.Version()}
		if row.Key >= r.End {
			return nil
		}
		if !r.KeysOnly && (r.Known == nil || !r.Known(row.Key, row.Version)) {
			var err error
			if row.Value, err = item.ValueCopy(nil); err != nil {
				return err
			}
		}
		if !yield(row) {
			return nil
		}
		if to := r.after(row.Key); to != "" {
			it.Seek([]byte(to))
		} else {
			it.Next()
		}
	}
	return nil
}

func commonPrefix(a, b Key) Key {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return a[:n]
}

func (s *badgerSnapshot) release() {
	if s.begun != nil {
		s.begun.Discard()
	}
	s.index.mu.Lock()
	defer s.index.mu.Unlock()
	if s.index.readers[s.revision]--; s.index.readers[s.revision] <= 0 {
		delete(s.index.readers, s.revision)
	}
}
