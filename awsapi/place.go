package awsapi

import (
	"reflect"
	"time"
	"unsafe"
)

// place is where a value lies in memory; the plan at hand knows its type. Writers go from place to place by the offsets
// that a plan has of its type, which costs less than half of what reflect's checks do. What keeps this safe: plans are
// made of types by reflect, the first place is that of a value whose type is the plan's ([Codec.output]), and nothing
// is written through a place.
type place = unsafe.Pointer

// placeOf is where a value lies, or a copy of one that has no place of its own, as a map's elements.
func placeOf(v reflect.Value) place {
	if v.CanAddr() {
		return v.Addr().UnsafePointer()
	}
	copied := reflect.New(v.Type())
	copied.Elem().Set(v)
	return copied.UnsafePointer()
}

// in is the field's place in a structure that lies there.
func (f *planField) in(at place) place { return unsafe.Add(at, f.offset) }

// reflected is what lies there, past the pointer, for maps and unions.
func (p *plan) reflected(at place) reflect.Value { return reflect.NewAt(p.typ, at).Elem() }

// absence is how one sees that a member is left out.
type absence uint8

const (
	neverAbsent  absence = iota // a plain number, boolean or structure is always written
	absentNil                   // pointers, slices, maps and interfaces begin with a pointer, which is nil in those that are
	absentEmpty                 // a plain string, which is an enumeration
	alwaysAbsent                // there is no way to write it
)

func absenceOf(t reflect.Type) absence {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map, reflect.Interface:
		return absentNil
	case reflect.String:
		return absentEmpty
	}
	return neverAbsent
}

// absent tells whether the field that lies there is left out.
func (f *planField) absent(at place) bool {
	switch f.missing {
	case absentNil:
		return pointerAt(at) == nil
	case absentEmpty:
		return len(stringAt(at)) == 0
	}
	return f.missing == alwaysAbsent
}

func pointerAt(at place) place  { return *(*place)(at) }
func stringAt(at place) string  { return *(*string)(at) }
func boolAt(at place) bool      { return *(*bool)(at) }
func timeAt(at place) time.Time { return *(*time.Time)(at) }
func bytesAt(at place) []byte   { return *(*[]byte)(at) }

func (p *plan) intAt(at place) int64 {
	switch p.bits {
	case 8:
		return int64(*(*int8)(at))
	case 16:
		return int64(*(*int16)(at))
	case 32:
		return int64(*(*int32)(at))
	}
	return *(*int64)(at)
}

func (p *plan) floatAt(at place) float64 {
	if p.bits == 32 {
		return float64(*(*float32)(at))
	}
	return *(*float64)(at)
}

// elements is where a list's first element lies, and how many there are.
func elements(at place) (first place, n int) {
	list := bytesAt(at) // of whatever: all slices look the same from outside
	return place(unsafe.SliceData(list)), len(list)
}

// at is where the list's element lies.
func (p *plan) at(first place, i int) place { return unsafe.Add(first, uintptr(i)*p.size) }
