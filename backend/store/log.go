package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"miniaws/backend/durably"
)

const maxSpares = 4

// firstSegment is how long a new log's first segment is: whoever starts waits until all its blocks are on the disk.
const firstSegment = 2 * minSegment

// commitLog is the truth. append is called by the committer only; the rest may be called by anyone.
type commitLog struct {
	dir  string
	size int64

	mu       sync.Mutex
	segments []segment // oldest first; the last one is written
	spares   []string
	noSpare  error      // why there is none
	changed  *sync.Cond // spares or noSpare
	want     chan struct{}

	file   *os.File
	offset int64
	room   int64 // of the newest segment: how long its file is
	newest int64 // where the last record begins, after replay
	buf    []byte
	syncs  uint64
	bytes  uint64
}

// openLog lists what there is. It neither reads records nor writes; see replay.
func openLog(dir string, size int64) (*commitLog, error) {
	l := &commitLog{dir: dir, size: max(size, minSegment), want: make(chan struct{}, 1)}
	l.changed = sync.NewCond(&l.mu)
	if err := durably.MakeFolder(dir); err != nil {
		return nil, err
	}
	names, err := filesIn(dir, "")
	if err != nil {
		return nil, err
	}
	for _, p := range names {
		switch filepath.Ext(p) {
		case ".log":
			s, err := readSegment(p)
			if err != nil {
				return nil, err
			}
			if n := len(l.segments); n > 0 && l.segments[n-1].number+1 != s.number {
				return nil, fmt.Errorf("%w: log segment %d is missing before %s", ErrDamaged, l.segments[n-1].number+1, p)
			}
			l.segments = append(l.segments, s)
		case ".spare":
			if fi, err := os.Stat(p); err == nil && fi.Size() == l.size && len(l.spares) < maxSpares {
				l.spares = append(l.spares, p)
			} else if err := os.Remove(p); err != nil {
				return nil, err
			}
		case ".tmp":
			if err := os.Remove(p); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return nil, err
			}
		}
	}
	return l, nil
}

// oldest is the first revision that the log still holds.
func (l *commitLog) oldest() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.segments) == 0 {
		return 1
	}
	return l.segments[0].base
}

// hasRecords says whether anything was ever committed.
func (l *commitLog) hasRecords() bool {
	if len(l.segments) != 1 {
		return len(l.segments) > 1
	}
	r, err := openSegment(l.segments[0])
	if err != nil {
		return true
	}
	defer r.close()
	_, err = r.read()
	return err == nil
}

// replay calls fn with every group that has a revision above after, and sets the place where append goes on. It
// answers the last revision of the log. A group that was cut off at the end is forgotten: nobody was told of it.
func (l *commitLog) replay(after uint64, fn func(group) error) (last uint64, err error) {
	start := 0
	for i, s := range l.segments {
		if s.base <= after+1 {
			start = i
		}
	}
	if len(l.segments) > 0 {
		last = l.segments[start].base - 1
	}
	for i, s := range l.segments[start:] {
		if s.base != last+1 {
			return 0, fmt.Errorf("%w: log segment %s begins with revision %d, but the one before ends with %d", ErrDamaged, s.path, s.base, last)
		}
		newest := start+i == len(l.segments)-1
		if last, err = l.replaySegment(s, newest, after, fn); err != nil {
			return 0, err
		}
	}
	return last, nil
}

func (l *commitLog) replaySegment(s segment, newest bool, after uint64, fn func(group) error) (last uint64, err error) {
	r, err := openSegment(s)
	if err != nil {
		return 0, err
	}
	defer r.close()
	at := r.offset
	for {
		begin := r.offset
		g, err := r.read()
		if errors.Is(err, errNoGroup) {
			break
		}
		if err != nil {
			return 0, err
		}
		at = begin
		if g.last() > after {
			if err := fn(g); err != nil {
				return 0, err
			}
		}
	}
	if newest {
		if err := r.checkTail(); err != nil {
			return 0, err
		}
		l.offset, l.newest = r.offset, at
	}
	return r.next - 1, nil
}

// openTail makes append possible after replay.
func (l *commitLog) openTail(next uint64) error {
	if len(l.segments) == 0 {
		if err := l.makeSpareOf(firstSegment); err != nil {
			return err
		}
		return l.roll(next)
	}
	tail := l.segments[len(l.segments)-1]
	f, err := os.OpenFile(tail.path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	if err := l.settle(f); err != nil {
		f.Close()
		return fmt.Errorf("sync the log: %w", err)
	}
	fi, err := f.Stat()
	if err != nil {
		f.Close()
		return err
	}
	l.file, l.room = f, fi.Size()
	return nil
}

// settle makes durable what replay has read: the process before may have died ahead of its sync, or because of it, and
// then the last record and the name of the newest segment are perhaps only in memory. After a sync that failed the
// kernel takes the pages for clean, so the record is written again.
func (l *commitLog) settle(f *os.File) error {
	record := make([]byte, l.offset-l.newest)
	if _, err := f.ReadAt(record, l.newest); err != nil {
		return err
	}
	if _, err := f.WriteAt(record, l.newest); err != nil {
		return err
	}
	return errors.Join(f.Sync(), durably.SyncFolder(l.dir))
}

func (l *commitLog) reserve() error {
	if l.offset+maxRecord <= l.room {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.spares) == 0 {
		if l.noSpare != nil {
			return l.noSpare
		}
		l.changed.Wait()
	}
	return nil
}

func (l *commitLog) append(g group) error {
	if l.offset+recordHeader+int64(groupSize(g)) > l.room {
		if err := l.roll(g.first); err != nil {
			return err
		}
	}
	l.buf = appendRecord(l.buf[:0], l.segments[len(l.segments)-1].salt, uint64(l.offset), g)
	if _, err := l.file.WriteAt(l.buf, l.offset); err != nil {
		return fmt.Errorf("write to the log: %w", err)
	}
	if err := syncData(l.file); err != nil {
		return fmt.Errorf("sync the log: %w", err)
	}
	l.offset += int64(len(l.buf))
	l.mu.Lock()
	l.syncs++
	l.bytes += uint64(len(l.buf))
	l.mu.Unlock()
	return nil
}

// roll turns a spare into the newest segment, with a first record of revision base.
func (l *commitLog) roll(base uint64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := segment{number: 1, salt: newSalt(), base: base}
	if n := len(l.segments); n > 0 {
		s.number = l.segments[n-1].number + 1
	}
	s.path = filepath.Join(l.dir, fmt.Sprintf("%012d.log", s.number))
	spare := l.spares[0]
	f, err := os.OpenFile(spare, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	fi, err := f.Stat()
	if err != nil {
		f.Close()
		return err
	}
	if _, err = f.WriteAt(s.header(), 0); err == nil {
		if err = f.Sync(); err == nil {
			if err = os.Rename(spare, s.path); err == nil {
				err = durably.SyncFolder(l.dir)
			}
		}
	}
	if err != nil {
		f.Close()
		return fmt.Errorf("new log segment: %w", err)
	}
	if l.file != nil {
		l.file.Close()
	}
	l.spares = l.spares[1:]
	l.segments = append(l.segments, s)
	l.file, l.offset, l.room = f, segmentHeader, fi.Size()
	select {
	case l.want <- struct{}{}:
	default:
	}
	return nil
}

// makeSpare makes one spare if there is none.
func (l *commitLog) makeSpare() error { return l.makeSpareOf(l.size) }

func (l *commitLog) makeSpareOf(size int64) error {
	l.mu.Lock()
	have := len(l.spares)
	l.mu.Unlock()
	if have > 0 {
		return nil
	}
	path := filepath.Join(l.dir, fmt.Sprintf("%016x.spare", newSalt()))
	err := writeSpare(path, min(size, l.size))
	if err != nil {
		err = fmt.Errorf("%w: no room for a log segment: %w", ErrFull, err)
	}
	l.mu.Lock()
	if l.noSpare = err; err == nil {
		l.spares = append(l.spares, path)
	}
	l.changed.Broadcast()
	l.mu.Unlock()
	return err
}

func writeSpare(path string, size int64) (err error) {
	tmp := strings.TrimSuffix(path, ".spare") + ".tmp"
	f, err := os.OpenFile(tmp, os.O_CREATE|os.O_RDWR|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if f.Close(); err != nil {
			_ = os.Remove(tmp) // made anew next time
		}
	}()
	zero := make([]byte, 256<<10)
	for at := int64(0); at < size; at += int64(len(zero)) {
		if _, err := f.WriteAt(zero[:min(int64(len(zero)), size-at)], at); err != nil {
			return err
		}
	}
	if err := f.Sync(); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}

// retire gives up segments that hold only revisions up to dumped, except the newest keep of them.
func (l *commitLog) retire(dumped uint64, keep int) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	var spares []string
	for len(l.segments) > keep+1 && l.segments[1].base <= dumped+1 {
		old := l.segments[0]
		fi, err := os.Stat(old.path)
		if err != nil {
			return err
		}
		if len(l.spares)+len(spares) < maxSpares && fi.Size() == l.size {
			spare := strings.TrimSuffix(old.path, ".log") + ".spare"
			if err := os.Rename(old.path, spare); err != nil {
				return err
			}
			spares = append(spares, spare)
		} else if err := os.Remove(old.path); err != nil {
			return err
		}
		l.segments = slices.Clone(l.segments[1:])
	}
	if len(spares) == 0 {
		return nil
	}
	if err := durably.SyncFolder(l.dir); err != nil { // before one of them gets a new header: it must not be found under its old name
		return err
	}
	l.spares, l.noSpare = append(l.spares, spares...), nil
	l.changed.Broadcast()
	return nil
}

// behind is about how many bytes of log a rebuild would read after a dump of this revision. Before start only.
func (l *commitLog) behind(dumped uint64) int64 {
	var n int64
	for i := range l.segments {
		switch {
		case i == len(l.segments)-1:
			n += l.offset - segmentHeader
		case l.segments[i+1].base > dumped+1:
			n += l.size
		}
	}
	return n
}

// refuse ends waiting in reserve, until there is a spare.
func (l *commitLog) refuse(why error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.spares) == 0 && l.noSpare == nil {
		l.noSpare = why
		l.changed.Broadcast()
	}
}

func (l *commitLog) close() {
	if l.file != nil {
		l.file.Close()
	}
}

// logFeed reads groups for one watcher. The caller asks only for revisions that are in the log.
type logFeed struct {
	log *commitLog
	at  *segmentReader
}

func (l *commitLog) feed() feed { return &logFeed{log: l} }

func (f *logFeed) close() {
	if f.at != nil {
		f.at.close()
		f.at = nil
	}
}

func (f *logFeed) read(revision uint64) (group, error) {
	for fresh := false; ; {
		if f.at == nil {
			if err := f.locate(revision); err != nil {
				return group{}, err
			}
			fresh = true
		}
		g, err := f.at.read()
		switch {
		case err == nil && g.last() >= revision:
			return g, nil
		case err == nil:
			continue
		case fresh && !errors.Is(err, errNoGroup):
			return group{}, err
		}
		// The segment ended, or was reused while we read it.
		if fresh && f.log.oldest() <= f.at.base {
			return group{}, fmt.Errorf("%w: revision %d is not in log segment %s", ErrDamaged, revision, f.at.path)
		}
		f.close()
	}
}

func (f *logFeed) locate(revision uint64) error {
	f.log.mu.Lock()
	defer f.log.mu.Unlock() // held while opening, so that the file is not reused under its name
	for i := len(f.log.segments) - 1; i >= 0; i-- {
		if s := f.log.segments[i]; s.base <= revision {
			var err error
			f.at, err = openSegment(s)
			return err
		}
	}
	return ErrCompacted
}
