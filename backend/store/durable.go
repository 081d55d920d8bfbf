package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"miniaws/backend/durably"
)

// DiskOptions of the durable store; the zero value is usable.
type DiskOptions struct {
	Options

	SegmentSize  int64 // of the log; 16 MiB
	KeepSegments int   // behind the newest dump, for watchers; 4

	// DumpEvery is how much log may be needed for a rebuild, as long as a dump is not larger itself; 64 MiB.
	DumpEvery int64

	// Reserve of free disk space. Below it writes answer ErrFull, and an open is read-only until there is twice as
	// much; 256 MiB.
	Reserve int64

	// Schemas are migrated before Open returns. If rows have to be and the disk is full, Open answers ErrFull: half of
	// a table, or an index that was not made yet, would be read as if it were all there is.
	Schemas []Schema
}

const (
	roomEvery    = 20 * time.Millisecond // the disk is looked at this often while writers come
	verifyInside = 200_000               // rows that open counts itself; more are counted in the background
)

// errDoubt: the index is not what the log says. The store stops, and the next open builds the index again.
var errDoubt = errors.New("index in doubt")

// durable is the log with Badger as its index.
type durable struct {
	engine
	o    DiskOptions
	dir  string
	lock *os.File
	log  *commitLog

	keepers sync.WaitGroup
	quit    chan struct{}
	dumpNow chan chan error

	mu       sync.Mutex
	badger   *badgerIndex // nil in an emergency
	refusing error
	looked   time.Time
	stat     Stats
	dumped   uint64 // revision of the newest dump
	dumpSize int64
	logDebt  int64 // bytes of log that earlier processes left behind the newest dump
	doubted  atomic.Bool
	trust    sync.Mutex // of the file that says whether the index may be believed
	started  atomic.Bool
	shutOnce sync.Once
}

// Open opens or makes the store in dir. It may take long after a power failure or with a damaged index, which are
// healed. Data that was acknowledged and cannot be read any more is ErrDamaged.
func Open(ctx context.Context, dir string, o DiskOptions) (DB, error) {
	o.SegmentSize = cmp.Or(o.SegmentSize, 16<<20)
	o.KeepSegments = cmp.Or(o.KeepSegments, 4)
	o.DumpEvery = cmp.Or(o.DumpEvery, 64<<20)
	o.Reserve = cmp.Or(o.Reserve, 256<<20)
	d := &durable{o: o, dir: dir, quit: make(chan struct{}), dumpNow: make(chan chan error)}
	if err := durably.MakeFolder(dir); err != nil {
		return nil, err
	}
	lock, err := durably.Lock(d.path("LOCK"))
	if errors.Is(err, durably.ErrLocked) {
		return nil, fmt.Errorf("%w: %s", ErrLocked, dir)
	}
	if err != nil {
		return nil, err
	}
	d.lock = lock
	if err := d.open(ctx); err != nil {
		if d.log != nil {
			d.log.close()
		}
		lock.Close()
		return nil, fmt.Errorf("open store: %w", err)
	}
	return d, nil
}

func (d *durable) path(name string) string { return filepath.Join(d.dir, name) }

func (d *durable) open(ctx context.Context) error {
	made, err := checkFormat(d.dir)
	if err != nil {
		return err
	}
	if d.log, err = openLog(d.path("log"), d.o.SegmentSize); err != nil {
		return err
	}
	if err := durably.MakeFolder(d.path("checkpoint")); err != nil {
		return err
	}
	if d.dumped, err = newestDump(d.path("checkpoint")); err != nil {
		return err
	}
	if fi, err := os.Stat(dumpPath(d.path("checkpoint"), d.dumped)); err == nil {
		d.dumpSize = fi.Size()
	}
	switch found := len(d.log.segments) > 0; {
	case made && !found:
		return fmt.Errorf("%w: the log in %s is gone", ErrDamaged, d.log.dir)
	case !made && (d.log.oldest() > 1 || d.dumped > 0):
		return fmt.Errorf("%w: %s has data but no FORMAT file", ErrDamaged, d.dir)
	}
	if d.log.oldest() > d.dumped+1 {
		return fmt.Errorf("%w: the log begins with revision %d, but the newest dump is of revision %d", ErrDamaged, d.log.oldest(), d.dumped)
	}
	free, err := freeSpace(d.dir)
	if err != nil {
		return err
	}
	var ix index
	if free < d.o.Reserve {
		if !made {
			return fmt.Errorf("%w: %d MiB are free, a new store needs %d", ErrFull, free>>20, d.o.Reserve>>20)
		}
		d.refusing = fmt.Errorf("%w: opened %w with %d MiB free", ErrFull, ErrReadOnly, free>>20)
		if ix, err = d.openEmergency(); err != nil {
			return err
		}
	} else {
		x, err := d.openIndex()
		if err != nil {
			return err
		}
		ix, d.badger = x, x
		if !made {
			if err := durably.WriteFile(d.path("FORMAT"), []byte(format)); err != nil {
				return errors.Join(err, d.closeIndex())
			}
		}
	}
	d.start(d.o.Options, ix, d)
	d.started.Store(true)
	if d.doubted.Load() { // since the index was opened
		d.fail(errDoubt)
	}
	d.keepers.Add(2)
	go d.keepRoom()
	go d.keepDumps()
	if d.hasIndex() {
		err = Migrate(ctx, d, d.o.Schemas...)
	} else if err = mustMigrate(ctx, d, d.o.Schemas...); err != nil {
		err = fmt.Errorf("%w: %w, which needs room", ErrFull, err)
	}
	if err != nil {
		return errors.Join(err, d.Close())
	}
	return nil
}

// openEmergency reads dump and log into memory: nothing is written while the disk is full.
func (d *durable) openEmergency() (index, error) {
	m := newMemoryIndex()
	if d.dumped > 0 {
		_, err := readDump(d.path("checkpoint"), d.dumped, func(row Row) error { m.tree.Set(row.Key, memoryRow{row.Value, d.dumped}); return nil })
		if err != nil {
			return nil, err
		}
		m.show(d.dumped)
	}
	last, err := d.log.replay(d.dumped, func(g group) error {
		for _, ws := range g.transactions {
			for i := range ws {
				ws[i].value = slices.Clone(ws[i].value) // it belongs to the reader of the log
			}
		}
		return m.apply(g)
	})
	if err == nil {
		err = complete(last, d.dumped)
	}
	return m, err
}

// openIndex opens Badger, builds it anew if it is in doubt, and applies what is missing from the log.
func (d *durable) openIndex() (*badgerIndex, error) {
	x, why := d.openTrusted()
	if x == nil {
		if d.log.oldest() > 1 || d.dumped > 0 || d.log.hasRecords() {
			d.mu.Lock()
			d.stat.Rebuilt = why
			d.mu.Unlock()
		}
		var err error
		if x, err = d.rebuild(); err != nil {
			return nil, err
		}
	}
	if err := d.catchUp(x); err != nil {
		return nil, errors.Join(err, x.close())
	}
	return x, nil
}

// complete: what was in index or dump was in the log before.
func complete(last, acknowledged uint64) error {
	if last < acknowledged {
		return fmt.Errorf("%w: the log ends with revision %d, but revision %d was acknowledged", ErrDamaged, last, acknowledged)
	}
	return nil
}

func (d *durable) catchUp(x *badgerIndex) error {
	var groups uint64
	last, err := d.log.replay(x.applied, func(g group) error {
		groups++
		return x.apply(g)
	})
	if err != nil {
		return err
	}
	if err := complete(last, max(x.applied, d.dumped)); err != nil {
		return err
	}
	d.mu.Lock()
	d.stat.Replayed, d.logDebt = groups, d.log.behind(d.dumped)
	d.mu.Unlock()
	if err := d.log.openTail(last + 1); err != nil {
		return err
	}
	return d.entrust(trust{Boot: bootID()})
}

// openTrusted answers nil and the reason if the index has to be built anew.
func (d *durable) openTrusted() (*badgerIndex, string) {
	if _, why := readTrust(d.path("index.trust")); why != "" {
		return nil, why
	}
	// Until it has proved itself: Badger may end the process on damage, and must not do so for ever.
	if err := errors.Join(os.Remove(d.path("index.trust")), durably.SyncFolder(d.dir)); err != nil {
		return nil, err.Error()
	}
	x, err := openBadger(d.path("index"), d.doubt)
	if err != nil {
		return nil, err.Error()
	}
	why := ""
	switch {
	case x.applied+1 < d.log.oldest():
		why = fmt.Sprintf("it ends with revision %d, before the log begins", x.applied)
	case x.applied == 0 && d.log.hasRecords():
		why = "it is empty"
	case x.count <= verifyInside:
		if err := x.verify(func() bool { return false }); err != nil {
			why = err.Error()
		}
	}
	if why == "" && d.doubted.Load() {
		why = "badger reported an error"
	}
	if why != "" {
		_ = x.close() // it is thrown away
		return nil, why
	}
	return x, ""
}

// rebuild makes the index from the newest dump; the log is applied by the caller.
func (d *durable) rebuild() (*badgerIndex, error) {
	d.doubted.Store(false) // that was the old one
	if err := os.RemoveAll(d.path("index")); err != nil {
		return nil, err
	}
	x, err := openBadger(d.path("index"), d.doubt)
	if err != nil {
		return nil, err
	}
	if d.dumped == 0 {
		return x, nil
	}
	add, done := x.fill(d.dumped)
	rows, err := readDump(d.path("checkpoint"), d.dumped, add)
	if err == nil {
		err = done(rows)
	}
	if err != nil {
		return nil, errors.Join(err, x.close())
	}
	return x, nil
}

// entrust says that the index may be believed, unless it is in doubt.
func (d *durable) entrust(t trust) error {
	d.trust.Lock()
	defer d.trust.Unlock()
	if d.doubted.Load() {
		return errDoubt
	}
	return writeTrust(d.path("index.trust"), t)
}

// distrust takes that back.
func (d *durable) distrust() error {
	d.trust.Lock()
	defer d.trust.Unlock()
	err := os.Remove(d.path("index.trust"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// doubt takes the trust away and stops the store: whoever starts it again gets a new index.
func (d *durable) doubt(err error) {
	d.doubted.Store(true) // first: nobody entrusts the index any more, and no dump of it is kept
	err = errors.Join(err, d.distrust())
	if d.started.Load() && !d.stopping() { // else open is still looking, or close is about to
		d.fail(fmt.Errorf("%w: %w", errDoubt, err))
	}
}

// reserve, append and feed make durable the journal of its engine.
func (d *durable) reserve() error {
	if err := d.room(); err != nil {
		return err
	}
	return d.log.reserve()
}

func (d *durable) append(g group) error { return d.log.append(g) }
func (d *durable) feed() feed           { return d.log.feed() }

func (d *durable) Stats() Stats {
	s := d.stats()
	d.mu.Lock()
	defer d.mu.Unlock()
	s.Rebuilt, s.Replayed = d.stat.Rebuilt, d.stat.Replayed
	s.Checkpoints, s.Checkpoint, s.CheckpointError = d.stat.Checkpoints, d.dumped, d.stat.CheckpointError
	if d.refusing != nil {
		s.Refusing = d.refusing.Error()
	}
	d.log.mu.Lock()
	defer d.log.mu.Unlock()
	s.Syncs, s.LogBytes, s.Segments = d.log.syncs, d.log.bytes, len(d.log.segments)
	if s.Refusing == "" && d.log.noSpare != nil {
		s.Refusing = d.log.noSpare.Error()
	}
	return s
}

func (d *durable) Close() error {
	err := ErrClosed
	d.shutOnce.Do(func() {
		close(d.quit)
		d.keepers.Wait()
		d.log.refuse(ErrClosed)
		d.stop()
		err = errors.Join(d.closeIndex(), d.lock.Close())
	})
	return err
}

// closeIndex makes the index believable without the log's help.
func (d *durable) closeIndex() error {
	defer d.log.close()
	if d.badger == nil {
		return nil
	}
	if err := d.badger.close(); err != nil {
		return errors.Join(err, d.distrust())
	}
	if d.failure() != nil || d.doubted.Load() || d.refusing != nil {
		return nil // the next open decides
	}
	if err := syncTree(d.path("index")); err != nil {
		return errors.Join(err, d.distrust())
	}
	return d.entrust(trust{Clean: true})
}
