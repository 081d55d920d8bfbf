package awsapi

import (
	"encoding/binary"
	"fmt"
	"math"
	"reflect"
	"time"

	"github.com/fxamacker/cbor/v2"
)

// cborMode decodes into plain Go values within our limits; the library allocates by what is there, not by what
// a head claims.
var cborMode = mustCBOR(cbor.DecOptions{
	MaxNestedLevels:  maxDepth,
	MaxArrayElements: maxElements,
	MaxMapPairs:      maxElements,
	DefaultMapType:   reflect.TypeFor[map[string]any](),
	TimeTagToAny:     cbor.TimeTagToTime,
})

func mustCBOR(o cbor.DecOptions) cbor.DecMode {
	m, err := o.DecMode()
	if err != nil {
		panic(err)
	}
	return m
}

func decodeCBOR(p *plan, body []byte, v reflect.Value) error {
	if len(body) == 0 {
		return nil
	}
	var tree any
	if err := cborMode.Unmarshal(body, &tree); err != nil {
		return &Error{Code: "SerializationException", Message: "The request body is not valid CBOR.", Status: 400, cause: err}
	}
	r := &cborReader{budget: newBudget()}
	if err := r.value(p, tree, v); err != nil {
		return serialization(err)
	}
	return nil
}

type cborReader struct{ budget *budget }

func (r *cborReader) value(p *plan, in any, v reflect.Value) error {
	if in == nil {
		return nil
	}
	switch p.kind {
	case kindStruct, kindUnion, kindMap:
		m, ok := in.(map[string]any)
		if !ok {
			return wrongType(p, in)
		}
		switch p.kind {
		case kindStruct:
			return r.structure(p, m, p.target(v))
		case kindUnion:
			return r.union(p, m, v)
		}
		return r.mapValue(p, m, v)
	case kindList:
		l, ok := in.([]any)
		if !ok {
			return wrongType(p, in)
		}
		emptyList(p, v, min(len(l), maxElements))
		for _, e := range l {
			elem, err := appendElement(v, r.budget)
			if err != nil {
				return err
			}
			if err := r.value(p.elem, e, elem); err != nil {
				return err
			}
		}
		return nil
	case kindBad, kindStream:
		return nil
	}
	return cborScalar(p, in, p.target(v))
}

func (r *cborReader) structure(p *plan, m map[string]any, v reflect.Value) error {
	for key, e := range m {
		if f, ok := p.lookup(key); ok {
			if err := r.value(f.plan, e, v.Field(f.field)); err != nil {
				return at(key, err)
			}
		}
	}
	return nil
}

func (r *cborReader) union(p *plan, m map[string]any, v reflect.Value) error {
	for key, e := range m {
		f, ok := p.lookup(key)
		if !ok || e == nil {
			continue
		}
		u, err := p.choose(f, v)
		if err == nil {
			err = r.value(f.plan, e, u)
		}
		if err != nil {
			return at(key, err)
		}
	}
	return nil
}

func (r *cborReader) mapValue(p *plan, m map[string]any, v reflect.Value) error {
	out := reflect.MakeMap(p.typ)
	for key, e := range m {
		if err := r.budget.take(); err != nil {
			return err
		}
		x := reflect.New(p.typ.Elem()).Elem()
		if err := r.value(p.elem, e, x); err != nil {
			return err
		}
		out.SetMapIndex(reflect.ValueOf(key).Convert(p.typ.Key()), x)
	}
	v.Set(out)
	return nil
}

func wrongType(p *plan, in any) error {
	return malformed("%T stands where %v is expected", in, p.typ)
}

func cborScalar(p *plan, in any, v reflect.Value) error {
	switch p.kind {
	case kindString:
		if s, ok := in.(string); ok {
			v.SetString(s)
			return nil
		}
	case kindBool:
		if b, ok := in.(bool); ok {
			v.SetBool(b)
			return nil
		}
	case kindBlob:
		if b, ok := in.([]byte); ok {
			v.SetBytes(b)
			return nil
		}
	case kindInt:
		i, ok := cborInt(in)
		if ok && !v.OverflowInt(i) {
			v.SetInt(i)
			return nil
		}
	case kindFloat:
		if f, ok := in.(float64); ok {
			v.SetFloat(f)
			return nil
		}
		if i, ok := cborInt(in); ok {
			v.SetFloat(float64(i))
			return nil
		}
	case kindTime:
		at, err := cborTime(p, in)
		if err == nil {
			setTime(v, at)
		}
		return err
	}
	return wrongType(p, in)
}

// cborTime takes seconds as well when they lack their tag. The library makes the zero time of NaN and infinity.
func cborTime(p *plan, in any) (time.Time, error) {
	switch t := in.(type) {
	case time.Time:
		if t.IsZero() {
			return t, malformed("timestamp out of range")
		}
		return writable(t.UTC().Round(time.Millisecond))
	case float64:
		return epoch(t)
	}
	if i, ok := cborInt(in); ok {
		return epoch(float64(i))
	}
	return time.Time{}, wrongType(p, in)
}

func cborInt(in any) (int64, bool) {
	switch i := in.(type) {
	case uint64:
		return int64(i), i <= math.MaxInt64
	case int64:
		return i, true
	}
	return 0, false
}

// CBOR's major types and the values that are used of type 7.
const (
	cborUint   = 0
	cborNint   = 1
	cborBytes  = 2
	cborText   = 3
	cborArray  = 4
	cborMap    = 5
	cborFalse  = 0xf4
	cborTrue   = 0xf5
	cborNull   = 0xf6
	cborDouble = 0xfb
	cborOpen   = 0xbf // map of unknown length
	cborBreak  = 0xff
	cborEpoch  = 0xc1 // tag 1
)

func encodeCBOR(b []byte, p *plan, at place) ([]byte, error) {
	if p == nil {
		return append(b, cborOpen, cborBreak), nil
	}
	return cborValue(b, p, at)
}

func cborHead(b []byte, major byte, n uint64) []byte {
	major <<= 5
	switch {
	case n < 24:
		return append(b, major|byte(n))
	case n < 1<<8:
		return append(b, major|24, byte(n))
	case n < 1<<16:
		return binary.BigEndian.AppendUint16(append(b, major|25), uint16(n))
	case n < 1<<32:
		return binary.BigEndian.AppendUint32(append(b, major|26), uint32(n))
	}
	return binary.BigEndian.AppendUint64(append(b, major|27), n)
}

func cborString(b []byte, s string) []byte {
	return append(cborHead(b, cborText, uint64(len(s))), s...)
}

func cborFloat(b []byte, f float64) []byte {
	return binary.BigEndian.AppendUint64(append(b, cborDouble), math.Float64bits(f))
}

func cborValue(b []byte, p *plan, at place) ([]byte, error) {
	if p.pointer {
		if at = pointerAt(at); at == nil {
			return append(b, cborNull), nil
		}
	}
	var err error
	switch p.kind {
	case kindStruct:
		b = append(b, cborOpen)
		for i := range p.fields {
			f := &p.fields[i]
			value := f.in(at)
			if f.absent(value) {
				continue
			}
			if b, err = cborValue(cborString(b, f.name), f.plan, value); err != nil {
				return nil, fmt.Errorf("%s: %w", f.name, err)
			}
		}
		return append(b, cborBreak), nil
	case kindUnion:
		v := p.reflected(at)
		if v.IsNil() {
			return append(b, cborNull), nil
		}
		f, chosen, err := p.variantOf(v)
		if err != nil {
			return nil, err
		}
		return cborValue(cborString(cborHead(b, cborMap, 1), f.name), f.plan, placeOf(chosen))
	case kindList:
		first, n := elements(at)
		b = cborHead(b, cborArray, uint64(n))
		for i := range n {
			if b, err = cborValue(b, p.elem, p.at(first, i)); err != nil {
				return nil, err
			}
		}
		return b, nil
	case kindMap:
		v := p.reflected(at)
		b = cborHead(b, cborMap, uint64(v.Len()))
		for _, k := range sortedMapKeys(v) {
			if b, err = cborValue(cborString(b, k.String()), p.elem, placeOf(v.MapIndex(k))); err != nil {
				return nil, err
			}
		}
		return b, nil
	case kindString:
		return cborString(b, stringAt(at)), nil
	case kindBool:
		if boolAt(at) {
			return append(b, cborTrue), nil
		}
		return append(b, cborFalse), nil
	case kindInt:
		i := p.intAt(at)
		if i < 0 {
			return cborHead(b, cborNint, uint64(-1-i)), nil
		}
		return cborHead(b, cborUint, uint64(i)), nil
	case kindFloat:
		return cborFloat(b, p.floatAt(at)), nil
	case kindTime:
		return cborFloat(append(b, cborEpoch), float64(timeAt(at).UnixMilli())/1000), nil
	case kindBlob:
		return append(cborHead(b, cborBytes, uint64(len(bytesAt(at)))), bytesAt(at)...), nil
	}
	return nil, fmt.Errorf("awsapi: no CBOR for %v", p.typ)
}
