package wire

import (
	"fmt"
	"hash/crc32"
)

// Constraint bounds one value. Zero means unconstrained.
type Constraint struct {
	Min, Max       int64 // of the number, or of the length of a string, list or map
	HasMin, HasMax bool
	Pattern        string      // in RE2's dialect, unanchored
	Shown          string      // the pattern as the model words it, where it differs
	Elem           *Constraint // of a list's elements or a map's values
	Key            *Constraint // of a map's keys
}

// MemberRule constrains one member of one request shape.
type MemberRule struct {
	Shape, Member int32
	Constraint    *Constraint
}

// Enum is the value set of one enumeration of the SDK's types package.
type Enum struct {
	Type   string
	Values []string
}

// Rules are the constraints of one service beyond which members are required.
type Rules struct {
	Wire    uint32       // Checksum of the service's blob: the members' indexes mean nothing with another one
	Enums   []Enum       // sorted by Type
	Members []MemberRule // sorted by Shape, Member
}

const rulesVersion = 1

const (
	hasMin = 1 << iota
	hasMax
	hasPattern
	hasShown
	hasElem
	hasKey
)

// maxNesting bounds the depth of constraints: lists of lists of lists.
const maxNesting = 8

func (w *writer) constraint(c *Constraint) {
	head := uint64(0)
	for i, set := range []bool{c.HasMin, c.HasMax, c.Pattern != "", c.Shown != "", c.Elem != nil, c.Key != nil} {
		if set {
			head |= 1 << i
		}
	}
	w.uint(head)
	zigzag := func(v int64) { w.uint(uint64(v)<<1 ^ uint64(v>>63)) }
	if c.HasMin {
		zigzag(c.Min)
	}
	if c.HasMax {
		zigzag(c.Max)
	}
	if c.Pattern != "" {
		w.string(c.Pattern)
	}
	if c.Shown != "" {
		w.string(c.Shown)
	}
	if c.Elem != nil {
		w.constraint(c.Elem)
	}
	if c.Key != nil {
		w.constraint(c.Key)
	}
}

func (r *reader) constraint(depth int) *Constraint {
	head := r.uint()
	if depth > maxNesting || head >= hasKey<<1 {
		r.fail()
		return nil
	}
	zigzag := func() int64 {
		v := r.uint()
		return int64(v>>1) ^ -int64(v&1)
	}
	c := &Constraint{HasMin: head&hasMin != 0, HasMax: head&hasMax != 0}
	if c.HasMin {
		c.Min = zigzag()
	}
	if c.HasMax {
		c.Max = zigzag()
	}
	if head&hasPattern != 0 {
		c.Pattern = r.string()
	}
	if head&hasShown != 0 {
		c.Shown = r.string()
	}
	if head&hasElem != 0 {
		c.Elem = r.constraint(depth + 1)
	}
	if head&hasKey != 0 {
		c.Key = r.constraint(depth + 1)
	}
	return c
}

// Checksum identifies a service's blob.
func Checksum(blob []byte) uint32 { return crc32.ChecksumIEEE(blob) }

// EncodeRules packs the rules.
func EncodeRules(rules *Rules) []byte {
	w := &writer{index: map[string]uint64{}}
	w.uint(uint64(rules.Wire))
	w.uint(uint64(len(rules.Enums)))
	for _, e := range rules.Enums {
		w.string(e.Type)
		w.uint(uint64(len(e.Values)))
		for _, v := range e.Values {
			w.string(v)
		}
	}
	w.uint(uint64(len(rules.Members)))
	for _, m := range rules.Members {
		w.uint(uint64(m.Shape))
		w.uint(uint64(m.Member))
		w.constraint(m.Constraint)
	}
	return w.finish(rulesVersion)
}

// DecodeRules unpacks what EncodeRules made; indexes are checked against the service.
func DecodeRules(blob string, s *Service) (*Rules, error) {
	r := &reader{rest: blob}
	r.start(rulesVersion)
	rules := &Rules{Wire: uint32(r.uint())}
	rules.Enums = make([]Enum, r.count(2))
	for i := range rules.Enums {
		e := &rules.Enums[i]
		e.Type = r.string()
		e.Values = make([]string, r.count(1))
		for j := range e.Values {
			e.Values[j] = r.string()
		}
	}
	rules.Members = make([]MemberRule, r.count(3))
	for i := range rules.Members {
		m := &rules.Members[i]
		m.Shape = r.below(len(s.Requests))
		if r.bad {
			break
		}
		m.Member = r.below(len(s.Requests[m.Shape].Members))
		m.Constraint = r.constraint(0)
	}
	if r.bad || r.rest != "" {
		return nil, fmt.Errorf("%w (%d bytes of rules)", ErrDamaged, len(blob))
	}
	return rules, nil
}
