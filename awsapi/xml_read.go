package awsapi

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"reflect"
	"strings"
)

// xmlReader reads restXml documents. encoding/xml knows no external entities and expands no own ones.
type xmlReader struct {
	dec    *xml.Decoder
	budget *budget
	depth  int
}

// decodeXML reads a document whose root holds the members of p. The root's name does not matter, as in AWS.
func decodeXML(p *plan, body []byte, v reflect.Value) error {
	if len(bytes.TrimSpace(body)) == 0 {
		return nil
	}
	r := &xmlReader{dec: xml.NewDecoder(bytes.NewReader(body)), budget: newBudget()}
	for {
		t, err := r.dec.Token()
		if err != nil {
			return malformedXML(err)
		}
		if start, ok := t.(xml.StartElement); ok {
			if err := r.value(p, start, v); err != nil {
				return malformedXML(err)
			}
			break
		}
	}
	for {
		switch t, err := r.dec.Token(); t.(type) {
		case xml.StartElement:
			return malformedXML(errors.New("a second root element"))
		case nil:
			if errors.Is(err, io.EOF) {
				return nil
			}
			return malformedXML(err)
		}
	}
}

// malformedXML keeps errors that already have their code.
//
// AWS: "List of error codes" of S3, MalformedXML: a document that is not well-formed or has values that do not fit.
func malformedXML(err error) error {
	var known *Error
	if errors.As(err, &known) && known.Code != "MalformedInput" {
		return err
	}
	return &Error{Code: "MalformedXML", Message: "The XML you provided was not well-formed or did not validate against our published schema", Status: 400, cause: err}
}

// children calls fn for every child element; fn consumes the child.
func (r *xmlReader) children(fn func(xml.StartElement) error) error {
	if r.depth++; r.depth > maxDepth {
		return malformed("the document is nested more than %d levels deep", maxDepth)
	}
	defer func() { r.depth-- }()
	for {
		t, err := r.dec.Token()
		if err != nil {
			return malformedXML(err)
		}
		switch t := t.(type) {
		case xml.StartElement:
			if err := fn(t); err != nil {
				return err
			}
		case xml.EndElement:
			return nil
		}
	}
}

func (r *xmlReader) skip(xml.StartElement) error { return r.children(r.skip) }

// text reads the element's character data; elements inside are dropped.
func (r *xmlReader) text() (string, error) {
	var b strings.Builder
	for {
		t, err := r.dec.Token()
		if err != nil {
			return "", malformedXML(err)
		}
		switch t := t.(type) {
		case xml.CharData:
			b.Write(t)
		case xml.StartElement:
			if err := r.skip(t); err != nil {
				return "", err
			}
		case xml.EndElement:
			return b.String(), nil
		}
	}
}

func (r *xmlReader) value(p *plan, start xml.StartElement, v reflect.Value) error {
	switch p.kind {
	case kindStruct:
		return r.structure(p, start, p.target(v))
	case kindList:
		emptyList(p, v, 0)
		return r.children(func(e xml.StartElement) error {
			if e.Name.Local != p.name {
				return r.skip(e)
			}
			return r.element(p, v, e)
		})
	case kindMap:
		m := reflect.MakeMap(p.typ)
		v.Set(m)
		return r.children(func(e xml.StartElement) error {
			if e.Name.Local != p.name {
				return r.skip(e)
			}
			return r.entry(p, m)
		})
	case kindUnion:
		return r.children(func(e xml.StartElement) error {
			f, ok := p.lookup(e.Name.Local)
			if !ok {
				return r.skip(e)
			}
			u, err := p.choose(f, v)
			if err != nil {
				return err
			}
			return r.field(f, e, u)
		})
	case kindBad, kindStream:
		return r.skip(start)
	}
	s, err := r.text()
	if err != nil {
		return err
	}
	if p.kind != kindString && strings.TrimSpace(s) == "" {
		return nil
	}
	if err := parseScalar(p, s, p.target(v)); err != nil {
		return at(start.Name.Local, err)
	}
	return nil
}

func (r *xmlReader) structure(p *plan, start xml.StartElement, v reflect.Value) error {
	for i := range p.fields {
		f := &p.fields[i]
		if !f.attr {
			continue
		}
		local := f.name[strings.IndexByte(f.name, ':')+1:]
		for _, a := range start.Attr {
			if a.Name.Local == local && a.Name.Space != "xmlns" {
				if err := parseScalar(f.plan, a.Value, f.plan.target(v.Field(f.field))); err != nil {
					return err
				}
			}
		}
	}
	return r.children(func(e xml.StartElement) error {
		f, ok := p.lookup(e.Name.Local)
		if !ok {
			return r.skip(e)
		}
		return r.field(f, e, v.Field(f.field))
	})
}

// field reads a member; flattened lists and maps grow by one element each time the name comes up.
func (r *xmlReader) field(f *planField, e xml.StartElement, v reflect.Value) error {
	switch {
	case f.flat && f.plan.kind == kindList:
		return r.element(f.plan, v, e)
	case f.flat && f.plan.kind == kindMap:
		if v.IsNil() {
			v.Set(reflect.MakeMap(f.plan.typ))
		}
		return r.entry(f.plan, v)
	}
	return r.value(f.plan, e, v)
}

func (r *xmlReader) element(p *plan, list reflect.Value, e xml.StartElement) error {
	elem, err := appendElement(list, r.budget)
	if err != nil {
		return err
	}
	return r.value(p.elem, e, elem)
}

func (r *xmlReader) entry(p *plan, m reflect.Value) error {
	if err := r.budget.take(); err != nil {
		return err
	}
	key, val := "", reflect.New(p.typ.Elem()).Elem()
	err := r.children(func(e xml.StartElement) error {
		switch e.Name.Local {
		case p.key:
			var err error
			key, err = r.text()
			return err
		case p.value:
			return r.value(p.elem, e, val)
		}
		return r.skip(e)
	})
	if err == nil {
		m.SetMapIndex(reflect.ValueOf(key).Convert(p.typ.Key()), val)
	}
	return err
}
