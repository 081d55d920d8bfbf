package s3

import (
	"io"
	"sync"
)

// readers counts who reads the parts of an object at this moment, so that they stay while they are read. It is lost
// with the process, and so are its readers.
type readers struct {
	mu    sync.Mutex
	count map[string]int
}

func newReaders() *readers { return &readers{count: map[string]int{}} }

func (r *readers) enter(id string) {
	r.mu.Lock()
	r.count[id]++
	r.mu.Unlock()
}

func (r *readers) leave(id string) {
	r.mu.Lock()
	if r.count[id]--; r.count[id] <= 0 {
		delete(r.count, id)
	}
	r.mu.Unlock()
}

func (r *readers) busy(id string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.count[id] > 0
}

// pinned is content whose end is told.
type pinned struct {
	content
	leave func()
	once  sync.Once
}

func (p *pinned) Range(offset, length int64) io.ReadCloser {
	return &pinnedRange{p.content.Range(offset, length), p}
}

func (p *pinned) Close() error {
	p.once.Do(p.leave)
	return p.content.Close()
}

type pinnedRange struct {
	io.ReadCloser
	of *pinned
}

func (r *pinnedRange) WriteTo(w io.Writer) (int64, error) {
	if self, ok := r.ReadCloser.(io.WriterTo); ok {
		return self.WriteTo(w)
	}
	return io.Copy(w, r.ReadCloser)
}

func (r *pinnedRange) Close() error {
	err := r.ReadCloser.Close()
	_ = r.of.Close()
	return err
}
