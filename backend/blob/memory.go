package blob

import (
	"bytes"
	"io"
	"io/fs"
	"sync"
)

// Memory keeps files in memory, for tests and for clouds that keep nothing.
type Memory struct {
	mu    sync.Mutex
	files map[string][]byte
}

// NewMemory is empty.
func NewMemory() *Memory { return &Memory{files: map[string][]byte{}} }

// Create makes a file that shows once it is committed.
func (m *Memory) Create(id string, _ int64) (Sink, error) { return &memorySink{memory: m, id: id}, nil }

// Open reads what was committed.
func (m *Memory) Open(id string) (Source, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	content, ok := m.files[id]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return memorySource{bytes.NewReader(content)}, nil
}

// Remove forgets a file.
func (m *Memory) Remove(id string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.files, id)
	return nil
}

// List shows what was committed.
func (m *Memory) List(visit func(id string, size int64) bool) error {
	m.mu.Lock()
	sizes := map[string]int64{}
	for id, content := range m.files {
		sizes[id] = int64(len(content))
	}
	m.mu.Unlock()
	for id, size := range sizes {
		if !visit(id, size) {
			break
		}
	}
	return nil
}

type memorySink struct {
	bytes.Buffer
	memory *Memory
	id     string
}

func (s *memorySink) Commit() error {
	s.memory.mu.Lock()
	defer s.memory.mu.Unlock()
	s.memory.files[s.id] = s.Bytes()
	return nil
}

func (s *memorySink) Abort() {}

type memorySource struct{ io.ReaderAt }

func (memorySource) Close() error { return nil }
