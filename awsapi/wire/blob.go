package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// A blob is: number of strings, the strings (length, bytes), then the service as varints in which every string
// is an index into that table. The first number is the format's version.
const version = 1

// ErrDamaged is what Decode reports for anything that Encode cannot have made.
var ErrDamaged = errors.New("wire: damaged blob")

type writer struct {
	body  []byte
	index map[string]uint64
	table []string
}

func (w *writer) uint(v uint64) { w.body = binary.AppendUvarint(w.body, v) }
func (w *writer) ref(i int32)   { w.uint(uint64(i + 1)) }
func (w *writer) bool(b bool) {
	if b {
		w.uint(1)
	} else {
		w.uint(0)
	}
}

func (w *writer) string(s string) {
	i, ok := w.index[s]
	if !ok {
		i = uint64(len(w.table))
		w.index[s] = i
		w.table = append(w.table, s)
	}
	w.uint(i)
}

func (w *writer) finish(version uint64) []byte {
	out := binary.AppendUvarint(nil, version)
	out = binary.AppendUvarint(out, uint64(len(w.table)))
	for _, s := range w.table {
		out = binary.AppendUvarint(out, uint64(len(s)))
		out = append(out, s...)
	}
	return append(out, w.body...)
}

// Bits of a member's head: which optional parts follow.
const (
	hasName = 1 << iota
	hasAlt
	hasLocation
	hasTarget
	memberBits = 4
)

func (w *writer) shapes(shapes []Shape) {
	w.uint(uint64(len(shapes)))
	for _, s := range shapes {
		w.uint(uint64(s.Kind))
		switch s.Kind {
		case List:
			w.string(s.Elem)
			w.ref(s.Target)
		case Map:
			w.string(s.Elem)
			w.string(s.Key)
			w.string(s.Value)
			w.ref(s.Target)
		default:
			w.uint(uint64(len(s.Members)))
			for _, m := range s.Members {
				w.member(m)
			}
		}
	}
}

func (w *writer) member(m Member) {
	head := uint64(m.Flags) << memberBits
	if m.Name != m.Field {
		head |= hasName
	}
	if m.Alt != "" {
		head |= hasAlt
	}
	if m.Location != Body {
		head |= hasLocation
	}
	if m.Target >= 0 {
		head |= hasTarget
	}
	w.string(m.Field)
	w.uint(head)
	if head&hasName != 0 {
		w.string(m.Name)
	}
	if head&hasAlt != 0 {
		w.string(m.Alt)
	}
	if head&hasLocation != 0 {
		w.uint(uint64(m.Location))
	}
	if head&hasTarget != 0 {
		w.uint(uint64(m.Target))
	}
}

// Encode packs the service. Equal services give equal bytes.
func Encode(s *Service) []byte {
	w := &writer{index: map[string]uint64{}}
	w.string(s.Name)
	w.shapes(s.Requests)
	shared := len(s.Requests) == len(s.Responses) && (len(s.Requests) == 0 || &s.Requests[0] == &s.Responses[0])
	w.bool(!shared)
	if !shared {
		w.shapes(s.Responses)
	}
	w.uint(uint64(len(s.Errors)))
	for _, e := range s.Errors {
		w.string(e.Type)
		w.string(e.Code)
		w.string(e.QueryCode)
		w.ref(e.Shape)
		w.uint(uint64(e.Status))
		w.bool(e.Server)
	}
	w.uint(uint64(len(s.Ops)))
	for _, o := range s.Ops {
		w.string(o.Name)
		w.ref(o.In)
		w.ref(o.Out)
		w.string(o.Wrapper)
		w.string(o.Method)
		w.string(o.URI)
		w.uint(uint64(o.Status))
		w.uint(uint64(len(o.Errors)))
		for _, e := range o.Errors {
			w.uint(uint64(e))
		}
	}
	return w.finish(version)
}

// reader never allocates more than a constant factor of the blob's length: a count is checked against the
// bytes that are left, of which every element needs at least one.
type reader struct {
	rest  string
	table []string
	bad   bool
}

func (r *reader) uint() uint64 {
	var v uint64
	for i := 0; i < len(r.rest) && i < binary.MaxVarintLen64; i++ {
		c := r.rest[i]
		v |= uint64(c&0x7f) << (7 * i)
		if c < 0x80 {
			r.rest = r.rest[i+1:]
			return v
		}
	}
	r.fail()
	return 0
}

func (r *reader) fail() {
	r.bad = true
	r.rest = ""
}

func (r *reader) count(size int) int {
	n := r.uint()
	if n > uint64(len(r.rest)/size) {
		r.fail()
		return 0
	}
	return int(n)
}

func (r *reader) below(limit int) int32 {
	n := r.uint()
	if n >= uint64(limit) {
		r.fail()
		return 0
	}
	return int32(n)
}

func (r *reader) ref(limit int) int32 { return r.below(limit+1) - 1 }
func (r *reader) bool() bool          { return r.below(2) == 1 }

func (r *reader) string() string {
	i := r.uint()
	if i >= uint64(len(r.table)) {
		r.fail()
		return ""
	}
	return r.table[i]
}

func (r *reader) start(version uint64) {
	if r.uint() != version {
		r.fail()
	}
	r.table = make([]string, r.count(1))
	for i := range r.table {
		n := r.count(1)
		r.table[i], r.rest = r.rest[:n], r.rest[n:]
	}
}

func (r *reader) shapes() []Shape {
	shapes := make([]Shape, r.count(2))
	for i := range shapes {
		s := &shapes[i]
		s.Kind = Kind(r.below(int(kindEnd)))
		s.Target = -1
		switch s.Kind {
		case List:
			s.Elem = r.string()
			s.Target = r.ref(len(shapes))
		case Map:
			s.Elem, s.Key, s.Value = r.string(), r.string(), r.string()
			s.Target = r.ref(len(shapes))
		default:
			s.Members = make([]Member, r.count(2))
			for j := range s.Members {
				r.member(&s.Members[j], len(shapes))
			}
		}
	}
	return shapes
}

func (r *reader) member(m *Member, shapes int) {
	m.Field = r.string()
	head := r.uint()
	if head>>memberBits > 0xff {
		r.fail()
	}
	m.Flags = Flags(head >> memberBits)
	m.Name = m.Field
	m.Target = -1
	if head&hasName != 0 {
		m.Name = r.string()
	}
	if head&hasAlt != 0 {
		m.Alt = r.string()
	}
	if head&hasLocation != 0 {
		m.Location = Location(r.below(int(locationEnd)))
	}
	if head&hasTarget != 0 {
		m.Target = r.below(shapes)
	}
}

// Decode unpacks what Encode made. Strings share the blob's memory. A damaged blob is an error, never a panic,
// and every index in the result is valid.
func Decode(blob string) (*Service, error) {
	r := &reader{rest: blob}
	r.start(version)
	s := &Service{Name: r.string()}
	s.Requests = r.shapes()
	s.Responses = s.Requests
	if r.bool() {
		s.Responses = r.shapes()
	}
	s.Errors = make([]Error, r.count(6))
	for i := range s.Errors {
		e := &s.Errors[i]
		e.Type, e.Code, e.QueryCode = r.string(), r.string(), r.string()
		e.Shape = r.ref(len(s.Responses))
		e.Status = uint16(r.below(1 << 16))
		e.Server = r.bool()
	}
	s.Ops = make([]Op, r.count(8))
	for i := range s.Ops {
		o := &s.Ops[i]
		o.Name = r.string()
		o.In = r.ref(len(s.Requests))
		o.Out = r.ref(len(s.Responses))
		o.Wrapper, o.Method, o.URI = r.string(), r.string(), r.string()
		o.Status = uint16(r.below(1 << 16))
		if n := r.count(1); n > 0 {
			o.Errors = make([]int32, n)
			for j := range o.Errors {
				o.Errors[j] = r.below(len(s.Errors))
			}
		}
	}
	if r.bad || r.rest != "" {
		return nil, fmt.Errorf("%w (%d bytes)", ErrDamaged, len(blob))
	}
	return s, nil
}
