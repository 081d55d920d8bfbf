package awsapi

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"

	"miniaws/awsapi/wire"
)

const xmlDeclaration = `<?xml version="1.0" encoding="UTF-8"?>` + "\n"

// encodeQuery writes the answer of an awsQuery or ec2Query operation.
func encodeQuery(b []byte, ec2 bool, op *wire.Op, namespace, requestID string, p *plan, v reflect.Value) ([]byte, error) {
	b = append(b, xmlDeclaration...)
	b = append(b, '<')
	b = append(b, op.Name...)
	b = append(b, `Response xmlns="`...)
	b = appendXMLText(b, namespace)
	b = append(b, `">`...)
	if ec2 {
		b = append(b, "<requestId>"...)
		b = appendXMLText(b, requestID)
		b = append(b, "</requestId>"...)
	}
	wrapper := op.Wrapper
	if wrapper != "" {
		b = append(append(append(b, '<'), wrapper...), '>')
	}
	if p != nil {
		var err error
		if b, err = xmlMembers(b, p, v); err != nil {
			return nil, err
		}
	}
	if wrapper != "" {
		b = append(append(append(b, "</"...), wrapper...), '>')
	}
	if !ec2 {
		b = append(b, "<ResponseMetadata><RequestId>"...)
		b = appendXMLText(b, requestID)
		b = append(b, "</RequestId></ResponseMetadata>"...)
	}
	b = append(append(b, "</"...), op.Name...)
	return append(b, "Response>"...), nil
}

// xmlMembers writes a structure's body members without an element around them.
func xmlMembers(b []byte, p *plan, v reflect.Value) ([]byte, error) {
	var err error
	for i := range p.fields {
		f := &p.fields[i]
		if f.location != wire.Body || f.attr {
			continue
		}
		fv := v.Field(f.field)
		if f.plan.unset(fv) {
			continue
		}
		if b, err = xmlElement(b, f.plan, f.open, f.close, f.flat, fv); err != nil {
			return nil, fmt.Errorf("%s: %w", f.name, err)
		}
	}
	return b, nil
}

// xmlElement writes one member with its tags. Flattened lists and maps repeat the tags.
func xmlElement(b []byte, p *plan, open, closing string, flat bool, v reflect.Value) ([]byte, error) {
	if flat && p.kind == kindList {
		return xmlList(b, p.elem, open, closing, v)
	}
	if flat && p.kind == kindMap {
		return xmlEntries(b, p, open, closing, v)
	}
	if p.pointer {
		if v.IsNil() {
			return append(append(b, open...), closing...), nil
		}
		v = v.Elem()
	}
	var err error
	b = xmlStart(b, p, open, v)
	switch p.kind {
	case kindStruct:
		b, err = xmlMembers(b, p, v)
	case kindList:
		b, err = xmlList(b, p.elem, p.openElem, p.closeElem, v)
	case kindMap:
		b, err = xmlEntries(b, p, p.openElem, p.closeElem, v)
	case kindUnion:
		if v.IsNil() {
			break
		}
		var f *planField
		var uv reflect.Value
		if f, uv, err = p.variantOf(v); err == nil {
			b, err = xmlElement(b, f.plan, f.open, f.close, f.flat, uv)
		}
	case kindString:
		b = appendXMLText(b, v.String())
	default:
		var ok bool
		if b, ok = appendScalar(b, p, v, wire.DateTime); !ok {
			err = fmt.Errorf("awsapi: no XML for %v", p.typ)
		}
	}
	if err != nil {
		return nil, err
	}
	return append(b, closing...), nil
}

// xmlStart writes the start tag with the structure's attributes.
func xmlStart(b []byte, p *plan, open string, v reflect.Value) []byte {
	if !p.tagged {
		return append(b, open...)
	}
	tagged := false
	for i := range p.fields {
		f := &p.fields[i]
		if !f.attr || f.plan.unset(v.Field(f.field)) {
			continue
		}
		if !tagged {
			tagged = true
			b = append(b, open[:len(open)-1]...)
			if strings.HasPrefix(f.name, "xsi:") {
				b = append(b, ` xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"`...)
			}
		}
		fv := v.Field(f.field)
		if f.plan.pointer {
			fv = fv.Elem()
		}
		text, _ := appendScalar(nil, f.plan, fv, wire.DateTime)
		b = append(append(append(b, ' '), f.name...), `="`...)
		b = append(appendXMLText(b, string(text)), '"')
	}
	if tagged {
		return append(b, '>')
	}
	return append(b, open...)
}

func xmlList(b []byte, elem *plan, open, closing string, v reflect.Value) ([]byte, error) {
	var err error
	for i := range v.Len() {
		if b, err = xmlElement(b, elem, open, closing, false, v.Index(i)); err != nil {
			return nil, err
		}
	}
	return b, nil
}

func xmlEntries(b []byte, p *plan, open, closing string, v reflect.Value) ([]byte, error) {
	var err error
	for _, k := range sortedMapKeys(v) {
		b = append(append(b, open...), p.openKey...)
		b = appendXMLText(b, k.String())
		b = append(b, "</"...)
		b = append(append(b, p.key...), '>')
		if b, err = xmlElement(b, p.elem, p.openValue, p.closeValue, false, v.MapIndex(k)); err != nil {
			return nil, err
		}
		b = append(b, closing...)
	}
	return b, nil
}

// sortedMapKeys makes answers independent of Go's map order.
func sortedMapKeys(v reflect.Value) []reflect.Value {
	keys := v.MapKeys()
	slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
	return keys
}

// plainXML are the bytes that stand for themselves in a text and in an attribute's value.
var plainXML = func() (plain [256]bool) {
	for c := byte(' '); c < utf8.RuneSelf; c++ {
		plain[c] = !strings.ContainsRune(`&<>"`, rune(c))
	}
	plain['\n'], plain['\t'] = true, true
	return plain
}()

// appendXMLText escapes text and attribute values. What XML cannot carry becomes U+FFFD.
func appendXMLText(b []byte, s string) []byte {
	last := 0
	for i := 0; i < len(s); {
		c := s[i]
		if plainXML[c] {
			i++
			continue
		}
		escaped, width := "", 1
		switch {
		case c == '&':
			escaped = "&amp;"
		case c == '<':
			escaped = "&lt;"
		case c == '>':
			escaped = "&gt;"
		case c == '"':
			escaped = "&quot;"
		case c == '\r':
			escaped = "&#xD;"
		case c < ' ':
			escaped = "\uFFFD"
		case c >= utf8.RuneSelf:
			var r rune
			r, width = utf8.DecodeRuneInString(s[i:])
			if (r == utf8.RuneError && width == 1) || r == 0xFFFE || r == 0xFFFF {
				escaped = "\uFFFD"
			}
		}
		if escaped != "" {
			b = append(append(b, s[last:i]...), escaped...)
			last = i + width
		}
		i += width
	}
	return append(b, s[last:]...)
}
