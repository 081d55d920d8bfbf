package awsapi

import (
	"encoding/binary"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"
	"unsafe"

	"miniaws/awsapi/wire"
)

const xmlDeclaration = `<?xml version="1.0" encoding="UTF-8"?>` + "\n"

// encodeQuery writes the answer of an awsQuery or ec2Query operation.
func encodeQuery(b []byte, ec2 bool, op *wire.Op, namespace, requestID string, p *plan, at place) ([]byte, error) {
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
		if b, err = xmlMembers(b, p, at); err != nil {
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
func xmlMembers(b []byte, p *plan, at place) ([]byte, error) {
	var err error
	for i := range p.fields {
		f := &p.fields[i]
		if f.location != wire.Body || f.attr {
			continue
		}
		value := f.in(at)
		if f.absent(value) {
			continue
		}
		if b, err = xmlElement(b, f.plan, f.open, f.close, f.flat, value); err != nil {
			return nil, fmt.Errorf("%s: %w", f.name, err)
		}
	}
	return b, nil
}

// xmlElement writes one member with its tags. Flattened lists and maps repeat the tags.
func xmlElement(b []byte, p *plan, open, closing string, flat bool, at place) ([]byte, error) {
	if flat && p.kind == kindList {
		return xmlList(b, p, open, closing, at)
	}
	if flat && p.kind == kindMap {
		return xmlEntries(b, p, open, closing, at)
	}
	if p.pointer {
		if at = pointerAt(at); at == nil {
			return append(append(b, open...), closing...), nil
		}
	}
	if p.tagged {
		b = xmlStart(b, p, open, at)
	} else {
		b = append(b, open...)
	}
	var err error
	switch p.kind {
	case kindString:
		b = appendXMLText(b, stringAt(at))
	case kindStruct:
		b, err = xmlMembers(b, p, at)
	case kindList:
		b, err = xmlList(b, p, p.openElem, p.closeElem, at)
	case kindMap:
		b, err = xmlEntries(b, p, p.openElem, p.closeElem, at)
	case kindUnion:
		v := p.reflected(at)
		if v.IsNil() {
			break
		}
		var f *planField
		var chosen reflect.Value
		if f, chosen, err = p.variantOf(v); err == nil {
			b, err = xmlElement(b, f.plan, f.open, f.close, f.flat, placeOf(chosen))
		}
	default:
		var ok bool
		if b, ok = appendScalar(b, p, at, wire.DateTime); !ok {
			err = fmt.Errorf("awsapi: no XML for %v", p.typ)
		}
	}
	if err != nil {
		return nil, err
	}
	return append(b, closing...), nil
}

// xmlStart writes the start tag with the structure's attributes.
func xmlStart(b []byte, p *plan, open string, at place) []byte {
	if !p.tagged {
		return append(b, open...)
	}
	tagged := false
	for i := range p.fields {
		f := &p.fields[i]
		if !f.attr || f.absent(f.in(at)) {
			continue
		}
		if !tagged {
			tagged = true
			b = append(b, open[:len(open)-1]...)
			if strings.HasPrefix(f.name, "xsi:") {
				b = append(b, ` xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"`...)
			}
		}
		value := f.in(at)
		if f.plan.pointer {
			value = pointerAt(value)
		}
		text, _ := appendScalar(nil, f.plan, value, wire.DateTime)
		b = append(append(append(b, ' '), f.name...), `="`...)
		b = append(appendXMLText(b, string(text)), '"')
	}
	if tagged {
		return append(b, '>')
	}
	return append(b, open...)
}

func xmlList(b []byte, p *plan, open, closing string, at place) ([]byte, error) {
	var err error
	first, n := elements(at)
	for i := range n {
		if b, err = xmlElement(b, p.elem, open, closing, false, p.at(first, i)); err != nil {
			return nil, err
		}
	}
	return b, nil
}

func xmlEntries(b []byte, p *plan, open, closing string, at place) ([]byte, error) {
	var err error
	v := p.reflected(at)
	for _, k := range sortedMapKeys(v) {
		b = append(append(b, open...), p.openKey...)
		b = appendXMLText(b, k.String())
		b = append(b, "</"...)
		b = append(append(b, p.key...), '>')
		if b, err = xmlElement(b, p.elem, p.openValue, p.closeValue, false, placeOf(v.MapIndex(k))); err != nil {
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

// plainPrefix is how many bytes of s at least stand for themselves.
func plainPrefix(s string) int {
	raw := unsafe.Slice(unsafe.StringData(s), len(s)) // read, and never kept
	i := 0
	for ; i+8 <= len(raw); i += 8 {
		if !plainEight(binary.LittleEndian.Uint64(raw[i:])) {
			break
		}
	}
	if len(raw)-i < 8 && len(raw) >= 8 && plainEight(binary.LittleEndian.Uint64(raw[len(raw)-8:])) {
		return len(raw) // some of them were looked at twice
	}
	for i < len(raw) && plainXML[raw[i]] {
		i++
	}
	return i
}

// plainEight looks at eight bytes at once: of each, in a place of its own, whether it has the highest bit, is below a
// space, or is one of & < > and the quotation mark.
func plainEight(x uint64) bool {
	const each, high = 0x0101010101010101, 0x8080808080808080
	angle := (x | each*('<'^'>')) ^ each*'>' // 0 where it is either
	other := (x | each*('"'^'&')) ^ each*'&'
	return (x|(x-each*' ')&^x|(angle-each)&^angle|(other-each)&^other)&high == 0
}

// appendXMLText escapes text and attribute values. What XML cannot carry becomes U+FFFD.
func appendXMLText(b []byte, s string) []byte {
	last := 0
	for i := plainPrefix(s); i < len(s); {
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
