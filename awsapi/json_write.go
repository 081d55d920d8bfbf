package awsapi

import (
	"encoding/base64"
	"fmt"
	"math"
	"strconv"
	"unicode/utf8"

	"miniaws/awsapi/wire"
)

func encodeJSON(b []byte, p *plan, at place) ([]byte, error) {
	if p == nil {
		return append(b, "{}"...), nil
	}
	return jsonValue(b, p, at)
}

func jsonValue(b []byte, p *plan, at place) ([]byte, error) {
	if p.pointer {
		if at = pointerAt(at); at == nil {
			return append(b, "null"...), nil
		}
	}
	var err error
	switch p.kind {
	case kindStruct:
		return jsonMembers(b, p, at)
	case kindList:
		b = append(b, '[')
		first, n := elements(at)
		for i := range n {
			if i > 0 {
				b = append(b, ',')
			}
			if b, err = jsonValue(b, p.elem, p.at(first, i)); err != nil {
				return nil, err
			}
		}
		return append(b, ']'), nil
	case kindMap:
		b = append(b, '{')
		v := p.reflected(at)
		for i, k := range sortedMapKeys(v) {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(appendJSONString(b, k.String()), ':')
			if b, err = jsonValue(b, p.elem, placeOf(v.MapIndex(k))); err != nil {
				return nil, err
			}
		}
		return append(b, '}'), nil
	case kindUnion:
		v := p.reflected(at)
		if v.IsNil() {
			return append(b, "null"...), nil
		}
		f, chosen, err := p.variantOf(v)
		if err != nil {
			return nil, err
		}
		b = append(append(b, '{'), f.jsonKey...)
		if b, err = jsonValue(b, f.plan, placeOf(chosen)); err != nil {
			return nil, err
		}
		return append(b, '}'), nil
	case kindString:
		return appendJSONString(b, stringAt(at)), nil
	case kindBool:
		return strconv.AppendBool(b, boolAt(at)), nil
	case kindInt:
		return strconv.AppendInt(b, p.intAt(at), 10), nil
	case kindFloat:
		if f := p.floatAt(at); math.IsNaN(f) || math.IsInf(f, 0) {
			return append(appendFloat(append(b, '"'), f, p.bits), '"'), nil
		}
		return appendFloat(b, p.floatAt(at), p.bits), nil
	case kindTime:
		if p.stamp&(wire.DateTime|wire.HTTPDate) != 0 {
			return append(appendTime(append(b, '"'), timeAt(at), p.stamp), '"'), nil
		}
		return appendTime(b, timeAt(at), wire.Epoch), nil
	case kindBlob:
		return append(base64.StdEncoding.AppendEncode(append(b, '"'), bytesAt(at)), '"'), nil
	}
	return nil, fmt.Errorf("awsapi: no JSON for %v", p.typ)
}

func jsonMembers(b []byte, p *plan, at place) ([]byte, error) {
	b = append(b, '{')
	var err error
	empty := true
	for i := range p.fields {
		f := &p.fields[i]
		if f.location != wire.Body {
			continue
		}
		value := f.in(at)
		if f.absent(value) {
			continue
		}
		if !empty {
			b = append(b, ',')
		}
		empty = false
		b = append(b, f.jsonKey...)
		if b, err = jsonValue(b, f.plan, value); err != nil {
			return nil, fmt.Errorf("%s: %w", f.name, err)
		}
	}
	return append(b, '}'), nil
}

const hexDigits = "0123456789abcdef"

func appendJSONString(b []byte, s string) []byte {
	b = append(b, '"')
	last := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			r, width := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && width == 1 {
				b = append(append(b, s[last:i]...), "\uFFFD"...)
				last = i + 1
			}
			i += width
			continue
		}
		if c >= 0x20 && c != '"' && c != '\\' {
			i++
			continue
		}
		b = append(b, s[last:i]...)
		switch c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\n':
			b = append(b, '\\', 'n')
		case '\t':
			b = append(b, '\\', 't')
		case '\r':
			b = append(b, '\\', 'r')
		default:
			b = append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
		i++
		last = i
	}
	return append(append(b, s[last:]...), '"')
}
