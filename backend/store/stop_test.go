package store

import (
	"errors"
	"os"
	"testing"
	"time"

	"github.com/dgraph-io/badger/v4"
)

// brokenJournal fails like a disk whose fdatasync failed.
type brokenJournal struct {
	memoryJournal
	broken bool
}

func (j *brokenJournal) append(g group) error {
	if j.broken {
		return errors.New("input/output error")
	}
	return j.memoryJournal.append(g)
}

func TestFailedSyncStopsTheStore(t *testing.T) {
	var fatal []error
	j := &brokenJournal{memoryJournal: memoryJournal{limit: 1 << 20}}
	var e engine
	e.start(Options{OnFatal: func(err error) { fatal = append(fatal, err) }}, newMemoryIndex(), j)
	put := func(tx Tx) error { return tx.Put("/a", []byte("1")) }
	if err := e.Update(t.Context(), put); err != nil {
		t.Fatal(err)
	}
	j.broken = true
	for range 3 {
		if err := e.Update(t.Context(), put); !errors.Is(err, ErrClosed) {
			t.Errorf("update: %v", err)
		}
	}
	if err := e.View(t.Context(), func(Tx) error { return nil }); !errors.Is(err, ErrClosed) {
		t.Errorf("view: %v", err)
	}
	for _, err := range e.Watch(t.Context(), 2) {
		if !errors.Is(err, ErrClosed) {
			t.Errorf("watch: %v", err)
		}
	}
	if len(fatal) != 1 {
		t.Errorf("OnFatal was called with %v", fatal)
	}
	e.stop()
}

func openForDoubt(t *testing.T, dir string, fatal *[]error) *durable {
	t.Helper()
	db, err := Open(t.Context(), dir, DiskOptions{
		SegmentSize: minSegment, Reserve: 1 << 20,
		Options: Options{OnFatal: func(err error) { *fatal = append(*fatal, err) }},
	})
	if err != nil {
		t.Fatal(err)
	}
	return db.(*durable)
}

// TestLostRow takes a row out of Badger behind the store's back, as its compaction can do.
func TestLostRow(t *testing.T) {
	for _, when := range []string{"open", "dump"} {
		t.Run(when, func(t *testing.T) {
			dir := t.TempDir()
			var fatal []error
			d := openForDoubt(t, dir, &fatal)
			for _, k := range []Key{"/a", "/b", "/c"} {
				if err := d.Update(t.Context(), func(tx Tx) error { return tx.Put(k, []byte(k)) }); err != nil {
					t.Fatal(err)
				}
			}
			tx := d.badger.db.NewTransactionAt(d.badger.applied, true)
			if err := errors.Join(tx.SetEntry(&badger.Entry{Key: []byte("/d")}), tx.Delete([]byte("/b")), tx.Delete([]byte("/d")), tx.CommitAt(d.badger.applied, nil)); err != nil {
				t.Fatal(err)
			}
			if when == "dump" {
				if err := Checkpoint(t.Context(), d); !errors.Is(err, errDoubt) {
					t.Errorf("dump of a damaged index: %v", err)
				}
			}
			d.Close()
			if n := len(fatal); (n == 1) != (when == "dump") {
				t.Errorf("OnFatal was called with %v", fatal)
			}
			fatal = nil
			d = openForDoubt(t, dir, &fatal)
			defer d.Close()
			if d.Stats().Rebuilt == "" || d.Stats().Rows != 3 {
				t.Errorf("stats %+v", d.Stats())
			}
			err := d.View(t.Context(), func(tx Tx) error { _, err := tx.Get("/b"); return err })
			if err != nil || len(fatal) > 0 {
				t.Error(err, fatal)
			}
		})
	}
}

// TestBadgerError: whatever Badger logs as an error makes the next open build the index anew.
func TestBadgerError(t *testing.T) {
	dir := t.TempDir()
	var fatal []error
	d := openForDoubt(t, dir, &fatal)
	if err := d.Update(t.Context(), func(tx Tx) error { return tx.Put("/a", nil) }); err != nil {
		t.Fatal(err)
	}
	doubtLogger{d.doubt}.Errorf("compaction failed: %d", 1)
	if err := d.View(t.Context(), func(Tx) error { return nil }); !errors.Is(err, ErrClosed) {
		t.Errorf("view: %v", err)
	}
	d.Close()
	if _, err := os.Stat(d.path("index.trust")); err == nil || len(fatal) != 1 {
		t.Errorf("still trusted, or OnFatal was called with %v", fatal)
	}
	d = openForDoubt(t, dir, &fatal)
	defer d.Close()
	if s := d.Stats(); s.Rebuilt == "" || s.Rows != 1 {
		t.Errorf("stats %+v", s)
	}
}

// TestNoDumpOfADoubtedIndex: lost versions bring back older values, which the number of rows does not show.
func TestNoDumpOfADoubtedIndex(t *testing.T) {
	var fatal []error
	d := openForDoubt(t, t.TempDir(), &fatal)
	defer d.Close()
	if err := d.Update(t.Context(), func(tx Tx) error { return tx.Put("/a", nil) }); err != nil {
		t.Fatal(err)
	}
	d.doubt(errors.New("compaction failed"))
	if err := d.dump(); !errors.Is(err, errDoubt) {
		t.Errorf("dump: %v", err)
	}
	if found, _ := os.ReadDir(d.path("checkpoint")); len(found) > 0 {
		t.Errorf("dump written: %v", found)
	}
}

func TestDoubtWhileCatchingUp(t *testing.T) {
	dir := t.TempDir()
	var fatal []error
	d := openForDoubt(t, dir, &fatal)
	if err := d.Update(t.Context(), func(tx Tx) error { return tx.Put("/a", nil) }); err != nil {
		t.Fatal(err)
	}
	d.Close()
	half := &durable{o: d.o, dir: dir}
	var err error
	if half.log, err = openLog(half.path("log"), minSegment); err != nil {
		t.Fatal(err)
	}
	defer half.log.close()
	x, why := half.openTrusted()
	if x == nil {
		t.Fatal(why)
	}
	defer x.close()
	half.doubt(errors.New("compaction failed"))
	if err := half.catchUp(x); !errors.Is(err, errDoubt) {
		t.Errorf("error %v", err)
	}
	if _, err := os.Stat(half.path("index.trust")); err == nil {
		t.Error("trusted all the same")
	}
}

// TestRefusedWhileWaitingForASpare: the room went after the committer had asked for it.
func TestRefusedWhileWaitingForASpare(t *testing.T) {
	var fatal []error
	d := openForDoubt(t, t.TempDir(), &fatal)
	defer d.Close()
	d.mu.Lock()
	d.o.Reserve = 1 << 62
	d.mu.Unlock()
	for d.room() == nil {
		time.Sleep(time.Millisecond)
	}
	d.log.mu.Lock()
	d.log.spares = nil
	d.log.mu.Unlock()
	d.log.offset = d.log.size
	answer := make(chan error, 1)
	go func() { answer <- d.log.reserve() }()
	select {
	case err := <-answer:
		if !errors.Is(err, ErrFull) {
			t.Error(err)
		}
	case <-time.After(3 * time.Second):
		t.Error("it waits for a spare that nobody makes")
	}
}
