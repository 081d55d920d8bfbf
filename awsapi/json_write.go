package awsapi

import (
	"encoding/base64"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"unicode/utf8"

	"miniaws/awsapi/wire"
)

func encodeJSON(b []byte, p *plan, v reflect.Value) ([]byte, error) {
	if p == nil {
		return append(b, "{}"...), nil
	}
	return jsonValue(b, p, v)
}

func jsonValue(b []byte, p *plan, v reflect.Value) ([]byte, error) {
	if p.pointer {
		if v.IsNil() {
			return append(b, "null"...), nil
		}
		v = v.Elem()
	}
	var err error
	switch p.kind {
	case kindStruct:
		return jsonMembers(b, p, v)
	case kindList:
		b = append(b, '[')
		for i := range v.Len() {
			if i > 0 {
				b = append(b, ',')
			}
			if b, err = jsonValue(b, p.elem, v.Index(i)); err != nil {
				return nil, err
			}
		}
		return append(b, ']'), nil
	case kindMap:
		b = append(b, '{')
		for i, k := range sortedMapKeys(v) {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(appendJSONString(b, k.String()), ':')
			if b, err = jsonValue(b, p.elem, v.MapIndex(k)); err != nil {
				return nil, err
			}
		}
		return append(b, '}'), nil
	case kindUnion:
		if v.IsNil() {
			return append(b, "null"...), nil
		}
		f, uv, err := p.variantOf(v)
		if err != nil {
			return nil, err
		}
		b = append(append(b, '{'), f.jsonKey...)
		if b, err = jsonValue(b, f.plan, uv); err != nil {
			return nil, err
		}
		return append(b, '}'), nil
	case kindString:
		return appendJSONString(b, v.String()), nil
	case kindBool:
		return strconv.AppendBool(b, v.Bool()), nil
	case kindInt:
		return strconv.AppendInt(b, v.Int(), 10), nil
	case kindFloat:
		if f := v.Float(); math.IsNaN(f) || math.IsInf(f, 0) {
			return append(appendFloat(append(b, '"'), f, p.bits), '"'), nil
		}
		return appendFloat(b, v.Float(), p.bits), nil
	case kindTime:
		if p.stamp&(wire.DateTime|wire.HTTPDate) != 0 {
			return append(appendTime(append(b, '"'), timeOf(v), p.stamp), '"'), nil
		}
		return appendTime(b, timeOf(v), wire.Epoch), nil
	case kindBlob:
		return append(base64.StdEncoding.AppendEncode(append(b, '"'), v.Bytes()), '"'), nil
	}
	return nil, fmt.Errorf("awsapi: no JSON for %v", p.typ)
}

func jsonMembers(b []byte, p *plan, v reflect.Value) ([]byte, error) {
	b = append(b, '{')
	var err error
	empty := true
	for i := range p.fields {
		f := &p.fields[i]
		if f.location != wire.Body {
			continue
		}
		fv := v.Field(f.field)
		if f.plan.unset(fv) {
			continue
		}
		if !empty {
			b = append(b, ',')
		}
		empty = false
		b = append(b, f.jsonKey...)
		if b, err = jsonValue(b, f.plan, fv); err != nil {
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
