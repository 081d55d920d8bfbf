package awsapi

import (
	"fmt"
	"io"
	"net/textproto"
	"reflect"
	"strings"
	"time"

	"miniaws/awsapi/meta"
	"miniaws/awsapi/wire"
)

// valueKind is what a plan reads or writes.
type valueKind uint8

const (
	kindBad valueKind = iota // no way to write it: skipped
	kindString
	kindBool
	kindInt
	kindFloat
	kindTime
	kindBlob
	kindStream
	kindStruct
	kindList
	kindMap
	kindUnion
)

// plan says how one Go type is written as one shape. Immutable once published.
type plan struct {
	kind       valueKind
	pointer    bool // the Go type is a pointer to typ
	bits       int  // of numbers
	missing    absence
	size       uintptr      // of a list's elements
	typ        reflect.Type // without the pointer
	stamp      wire.Flags   // timestamp format, 0 for the protocol's own
	millis     bool         // a timestamp of S3 has its milliseconds, also where there are none
	name       string       // of list elements or map entries
	key, value string       // names inside a map entry
	elem       *plan        // of list elements or map values
	fields     []planField
	tagged     bool           // a field is an XML attribute
	index      map[string]int // by wire name; body members only
	openElem   string         // XML tags of elements and entries, made once
	closeElem  string
	openKey    string // <key>
	openValue  string // <value>
	closeValue string // </value>
}

// planField is one member of a structure or one variant of a union. What writers look at comes first: it is in one line
// of the processor's cache.
type planField struct {
	offset   uintptr
	plan     *plan
	missing  absence
	location wire.Location
	flat     bool
	attr     bool
	required bool
	open     string // XML start and end tag
	close    string
	jsonKey  string // "name":
	name     string
	path     string       // as Validate's messages name it
	field    int          // index of the Go field
	variant  reflect.Type // union only
	shape    int32        // where the rules are found
	member   int32
}

type planKey struct {
	t       reflect.Type
	shape   int32
	request bool
	dialect dialect
	stamp   wire.Flags
}

var (
	timeType   = reflect.TypeFor[time.Time]()
	readerType = reflect.TypeFor[io.Reader]()
)

func (c *Codec) warn(format string, args ...any) { c.warns[fmt.Sprintf(format, args...)] = true }

// compile runs under c.mu. A recursive type finds itself in c.plans; nobody outside sees the map until the
// outermost call has returned.
func (c *Codec) compile(k planKey) *plan {
	if p := c.plans[k]; p != nil {
		return p
	}
	p := &plan{typ: k.t, stamp: k.stamp, missing: absenceOf(k.t)}
	c.plans[k] = p
	if k.t.Kind() == reflect.Pointer {
		p.pointer = true
		p.typ = k.t.Elem()
	}
	c.describe(p, k)
	if p.kind == kindBad && !p.pointer {
		p.missing = alwaysAbsent
	}
	return p
}

func (c *Codec) describe(p *plan, k planKey) {
	t := p.typ
	var shape *wire.Shape
	if k.shape >= 0 {
		if k.request {
			shape = &c.wire.Requests[k.shape]
		} else {
			shape = &c.wire.Responses[k.shape]
		}
	}
	switch {
	case t == timeType:
		p.kind = kindTime
		p.millis = c.Service == meta.S3
		return
	case t.Kind() == reflect.Interface && t.Implements(readerType):
		p.kind = kindStream
		return
	case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8:
		p.kind = kindBlob
		return
	}
	switch t.Kind() {
	case reflect.String:
		p.kind = kindString
	case reflect.Bool:
		p.kind = kindBool
	case reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		p.kind, p.bits = kindInt, t.Bits()
	case reflect.Float32, reflect.Float64:
		p.kind, p.bits = kindFloat, t.Bits()
	case reflect.Slice:
		c.describeList(p, k, shape)
	case reflect.Map:
		c.describeMap(p, k, shape)
	case reflect.Interface:
		c.describeUnion(p, k, shape)
	case reflect.Struct:
		c.describeStruct(p, k, shape)
	default:
		c.warn("%v: no way to write it", t)
	}
}

func (c *Codec) child(k planKey, t reflect.Type, shape int32, stamp wire.Flags) *plan {
	return c.compile(planKey{t: t, shape: shape, request: k.request, dialect: k.dialect, stamp: stamp})
}

func (c *Codec) describeList(p *plan, k planKey, shape *wire.Shape) {
	p.kind, p.name = kindList, "member"
	target := int32(-1)
	if shape != nil && shape.Kind == wire.List {
		p.name, target = shape.Elem, shape.Target
	}
	p.openElem, p.closeElem = "<"+p.name+">", "</"+p.name+">"
	p.size = p.typ.Elem().Size()
	p.elem = c.child(k, p.typ.Elem(), target, k.stamp)
}

func (c *Codec) describeMap(p *plan, k planKey, shape *wire.Shape) {
	p.kind, p.name, p.key, p.value = kindMap, "entry", "key", "value"
	target := int32(-1)
	if shape != nil && shape.Kind == wire.Map {
		p.name, p.key, p.value, target = shape.Elem, shape.Key, shape.Value, shape.Target
	}
	p.openKey, p.openValue, p.closeValue = "<"+p.key+">", "<"+p.value+">", "</"+p.value+">"
	p.openElem, p.closeElem = "<"+p.name+">", "</"+p.name+">"
	p.elem = c.child(k, p.typ.Elem(), target, k.stamp)
}

func (c *Codec) describeUnion(p *plan, k planKey, shape *wire.Shape) {
	variants := c.unions[p.typ]
	if variants == nil || shape == nil {
		c.warn("%v: interface without variants", p.typ)
		return
	}
	p.kind, p.index = kindUnion, make(map[string]int, len(shape.Members))
	for i, m := range shape.Members {
		var variant reflect.Type
		for _, v := range variants {
			if v.Name() == m.Field {
				variant = v
			}
		}
		if variant == nil {
			continue // an event stream's exception, for example
		}
		c.add(p, k, m, int32(i), variant.Field(0), variant)
	}
}

func (c *Codec) describeStruct(p *plan, k planKey, shape *wire.Shape) {
	p.kind, p.index = kindStruct, map[string]int{}
	named := map[string]bool{}
	if shape != nil {
		for i, m := range shape.Members {
			if m.Location == wire.Events {
				continue
			}
			f, ok := p.typ.FieldByName(m.Field)
			if !ok || len(f.Index) > 1 || named[m.Field] {
				if !named[m.Field] {
					c.warn("%v has no field %s", p.typ, m.Field)
				}
				continue
			}
			named[m.Field] = true
			c.add(p, k, m, int32(i), f, nil)
		}
	}
	for i := range p.typ.NumField() {
		f := p.typ.Field(i)
		if f.IsExported() && !named[f.Name] && f.Name != "ResultMetadata" && f.Name != "ErrorCodeOverride" {
			c.warn("%v.%s has no name on the wire", p.typ, f.Name)
		}
	}
}

func (c *Codec) add(p *plan, k planKey, m wire.Member, member int32, field reflect.StructField, variant reflect.Type) {
	name := m.Name
	if k.dialect == query && m.Alt != "" {
		name = m.Alt
	}
	if m.Location == wire.Header {
		name = textproto.CanonicalMIMEHeaderKey(name) // as net/http keeps it, so that reading is one look-up
	}
	path := m.Field
	if variant != nil {
		path = m.Name
	}
	f := planField{
		plan: c.child(k, field.Type, m.Target, m.Flags&wire.Timestamp), offset: field.Offset, field: field.Index[0],
		name: name, path: strings.ToLower(path[:1]) + path[1:], open: "<" + name + ">", close: "</" + name + ">",
		jsonKey: string(appendJSONString(nil, name)) + ":", flat: m.Flags&wire.Flat != 0, attr: m.Flags&wire.Attribute != 0,
		required: m.Flags&wire.Required != 0, location: m.Location, variant: variant, shape: k.shape, member: member,
	}
	f.missing = f.plan.missing
	if m.Location == wire.Body && !f.attr {
		if _, taken := p.index[name]; !taken {
			p.index[name] = len(p.fields)
		}
	}
	p.tagged = p.tagged || f.attr
	p.fields = append(p.fields, f)
}

// lookup finds a body member by its wire name.
func (p *plan) lookup(name string) (*planField, bool) {
	i, ok := p.index[name]
	if !ok {
		return nil, false
	}
	return &p.fields[i], true
}

// target makes sure that v can be written through: pointers are allocated.
func (p *plan) target(v reflect.Value) reflect.Value {
	if !p.pointer {
		return v
	}
	if v.IsNil() {
		v.Set(reflect.New(p.typ))
	}
	return v.Elem()
}

// unset tells members that are left out: nil pointers, slices, maps and unions, and empty enumerations.
// A plain number or boolean is always written.
func (p *plan) unset(v reflect.Value) bool {
	if p.pointer {
		return v.IsNil()
	}
	switch p.kind {
	case kindList, kindMap, kindBlob, kindUnion, kindStream:
		return v.IsNil()
	case kindString:
		return v.Len() == 0
	case kindBad:
		return true
	}
	return false
}

// variantOf finds the variant that a union value holds; it holds none as an element that was null.
func (p *plan) variantOf(v reflect.Value) (*planField, reflect.Value, error) {
	u := reflect.Indirect(v.Elem())
	if u.IsValid() {
		for i := range p.fields {
			if p.fields[i].variant == u.Type() {
				return &p.fields[i], u.Field(0), nil
			}
		}
	}
	return nil, v, fmt.Errorf("awsapi: %v has no variant for %v", p.typ, v)
}

// choose makes v the variant f and returns where its value goes. A union has exactly one member.
//
// AWS: Smithy 2.0, "The union type"; its protocol test RestJsonMalformedUnionMultipleFieldsSet refuses two.
func (p *plan) choose(f *planField, v reflect.Value) (reflect.Value, error) {
	if !v.IsNil() {
		return v, malformed("%v takes one member only", p.typ.Name())
	}
	u := reflect.New(f.variant)
	v.Set(u)
	return u.Elem().Field(0), nil
}

func setTime(v reflect.Value, t time.Time) {
	if v.CanAddr() {
		*(v.Addr().Interface().(*time.Time)) = t
		return
	}
	v.Set(reflect.ValueOf(t))
}

// emptyList makes v an empty, non-nil list.
func emptyList(p *plan, v reflect.Value, capacity int) { v.Set(reflect.MakeSlice(p.typ, 0, capacity)) }

// appendElement grows the list v in place by one element within the budget and returns the element.
func appendElement(v reflect.Value, b *budget) (reflect.Value, error) {
	if err := b.take(); err != nil {
		return v, err
	}
	n := v.Len()
	v.Grow(1)
	v.SetLen(n + 1)
	return v.Index(n), nil
}
