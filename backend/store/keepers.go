package store

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// room says whether the disk has room for the index behind the log. The committer asks before every group.
func (d *durable) room() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.badger == nil || time.Since(d.looked) < roomEvery {
		return d.refusing
	}
	d.look()
	return d.refusing
}

// look needs d.mu. While the disk is full the index is not to be trusted: Badger may die in the middle of anything.
func (d *durable) look() {
	before := d.refusing
	d.looked = time.Now()
	free, err := freeSpace(d.dir)
	switch {
	case err != nil:
		d.refusing = fmt.Errorf("%w: %w", ErrFull, err)
	case free < d.o.Reserve:
		d.refusing = fmt.Errorf("%w: %d MiB are free, %d are kept in reserve", ErrFull, free>>20, d.o.Reserve>>20)
	default:
		d.refusing = nil
	}
	if before == nil && d.refusing != nil {
		if err := d.distrust(); err != nil {
			d.refusing = errors.Join(d.refusing, err)
		}
	}
	if before != nil && d.refusing == nil {
		if err := d.entrust(trust{Boot: bootID()}); err != nil {
			d.refusing = fmt.Errorf("%w: %w", ErrFull, err)
		}
	}
}

// keepRoom makes spare segments, and makes the store writable when space has returned.
func (d *durable) keepRoom() {
	defer d.keepers.Done()
	retry := time.NewTicker(100 * time.Millisecond)
	defer retry.Stop()
	for {
		if err := d.recoverFromFull(); err != nil {
			d.fail(err)
			return
		}
		if d.hasIndex() {
			if err := d.room(); err != nil {
				d.log.refuse(err) // else who has just passed room waits for a spare until there is room again
			} else {
				_ = d.log.makeSpare() // an error refuses writers and is tried again
			}
		}
		select {
		case <-d.quit:
			return
		case <-d.log.want:
		case <-retry.C:
		}
	}
}

func (d *durable) hasIndex() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.badger != nil
}

// recoverFromFull ends an emergency. No commit can come in between: the journal refuses until the end.
func (d *durable) recoverFromFull() error {
	if d.hasIndex() {
		return nil
	}
	free, err := freeSpace(d.dir)
	if err != nil || free < 2*d.o.Reserve {
		return nil
	}
	x, err := d.openIndex()
	if err != nil {
		return err
	}
	var ix index = x
	d.mu.Lock() // writers come in when all of it is there
	d.index.Store(&ix)
	d.badger, d.refusing = x, nil
	d.mu.Unlock()
	return nil
}

// keepDumps writes a dump whenever the log behind the last one has become long.
func (d *durable) keepDumps() {
	defer d.keepers.Done()
	d.verifyLate()
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	var since uint64 // log bytes at the last dump
	for {
		var asked chan error
		select {
		case <-d.quit:
			return
		case asked = <-d.dumpNow:
		case <-tick.C:
		}
		written := d.Stats().LogBytes
		d.mu.Lock()
		debt := int64(written-since) + d.logDebt
		due := debt >= max(d.o.DumpEvery, d.dumpSize)
		d.mu.Unlock()
		if asked == nil && !due {
			continue
		}
		err := d.dump()
		if err == nil {
			since = written
		}
		d.mu.Lock()
		if d.stat.CheckpointError = ""; err != nil {
			d.stat.CheckpointError = err.Error()
		} else {
			d.logDebt = 0
		}
		d.mu.Unlock()
		doubt := errors.Is(err, errDoubt)
		if doubt {
			d.doubt(err)
		}
		if asked != nil {
			asked <- err
		}
		if doubt {
			return
		}
	}
}

func (d *durable) stopping() bool {
	select {
	case <-d.quit:
		return true
	default:
		return false
	}
}

// dumpable says whether a dump that is being written may still become the truth.
func (d *durable) dumpable() error {
	switch {
	case d.stopping():
		return ErrClosed
	case d.doubted.Load(): // the number of its rows does not show that an older value has come back
		return errDoubt
	}
	return nil
}

// verifyLate counts the rows of a large index, which open did not wait for.
func (d *durable) verifyLate() {
	d.mu.Lock()
	x := d.badger
	d.mu.Unlock()
	if x == nil || x.rows() <= verifyInside {
		return
	}
	if err := x.verify(d.stopping); err != nil {
		d.doubt(err)
	}
	_ = d.unmapPages() // all of them were just read; failing is only a waste of memory
}

// dump writes a dump, gives up the log behind it, and tidies the value log.
func (d *durable) dump() error {
	d.mu.Lock()
	x, dumped, size := d.badger, d.dumped, d.dumpSize
	refusing := d.refusing
	d.mu.Unlock()
	if x == nil || refusing != nil {
		return refusing
	}
	if free, err := freeSpace(d.dir); err != nil || free < d.o.Reserve+2*size {
		return errors.Join(err, fmt.Errorf("%w: no room for a dump", ErrFull))
	}
	s, rows := x.counted()
	defer s.release()
	if s.revision == dumped {
		return nil
	}
	size, err := writeDump(d.path("checkpoint"), s.revision, s, rows, d.dumpable)
	if err != nil {
		return err
	}
	d.mu.Lock()
	d.dumped, d.dumpSize = s.revision, size
	d.stat.Checkpoints++
	d.mu.Unlock()
	if err := removeDumpsBefore(d.path("checkpoint"), s.revision); err != nil {
		return err
	}
	if err := d.log.retire(s.revision, d.o.KeepSegments); err != nil {
		return err
	}
	return errors.Join(x.collect(), d.unmapPages())
}

// Checkpoint writes a dump now. For doctor, tests, and before a copy of the folder is made.
func Checkpoint(ctx context.Context, db DB) error {
	d, ok := db.(*durable)
	if !ok {
		return nil
	}
	answer := make(chan error, 1)
	select {
	case d.dumpNow <- answer:
	case <-d.quit:
		return ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-answer:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}
