package awsapi

import (
	"bytes"
	"encoding/base64"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// jsonReader reads JSON straight into Go values, without a tree in between.
type jsonReader struct {
	b      []byte
	i      int
	depth  int
	budget *budget
}

// AWS: the code is SerializationException, see serialization; the words are our own.
func errSerialization() error {
	return &Error{Code: "SerializationException", Message: "The request body is not valid JSON for this operation.", Status: 400}
}

func decodeJSON(p *plan, body []byte, v reflect.Value) error {
	r := &jsonReader{b: body, budget: newBudget()}
	if r.space() == 0 && r.i == len(body) {
		return nil
	}
	if err := r.value(p, v); err != nil {
		return serialization(err)
	}
	if r.space(); r.i != len(body) {
		return errSerialization()
	}
	return nil
}

// space skips white space and returns the next byte, 0 at the end.
func (r *jsonReader) space() byte {
	for r.i < len(r.b) {
		switch c := r.b[r.i]; c {
		case ' ', '\t', '\n', '\r':
			r.i++
		default:
			return c
		}
	}
	return 0
}

func (r *jsonReader) word(w string) bool {
	if r.space(); r.i+len(w) <= len(r.b) && string(r.b[r.i:r.i+len(w)]) == w {
		r.i += len(w)
		return true
	}
	return false
}

func (r *jsonReader) string() (string, error) {
	if r.space() != '"' {
		return "", errSerialization()
	}
	r.i++
	start := r.i
	for r.i < len(r.b) {
		switch c := r.b[r.i]; {
		case c == '"':
			s := string(r.b[start:r.i])
			r.i++
			if !utf8.ValidString(s) {
				return "", errSerialization()
			}
			return s, nil
		case c == '\\':
			return r.escaped(start)
		case c < 0x20:
			return "", errSerialization()
		default:
			r.i++
		}
	}
	return "", errSerialization()
}

var jsonEscapes = map[byte]byte{'n': '\n', 't': '\t', 'r': '\r', 'b': '\b', 'f': '\f', '"': '"', '\\': '\\', '/': '/'}

func (r *jsonReader) escaped(start int) (string, error) {
	out := append([]byte(nil), r.b[start:r.i]...)
	for r.i < len(r.b) {
		c := r.b[r.i]
		switch {
		case c == '"':
			r.i++
			if !utf8.Valid(out) {
				return "", errSerialization()
			}
			return string(out), nil
		case c < 0x20:
			return "", errSerialization()
		case c != '\\':
			out = append(out, c)
			r.i++
			continue
		}
		if r.i+1 >= len(r.b) {
			break
		}
		r.i += 2
		if e := r.b[r.i-1]; e == 'u' {
			u, err := r.rune()
			if err != nil {
				return "", err
			}
			out = utf8.AppendRune(out, u)
		} else if plain, ok := jsonEscapes[e]; ok {
			out = append(out, plain)
		} else {
			return "", errSerialization()
		}
	}
	return "", errSerialization()
}

// rune reads the digits of \u, and a second escape for the other half of a surrogate pair.
func (r *jsonReader) rune() (rune, error) {
	u, err := r.hex()
	if err != nil || !utf16.IsSurrogate(u) {
		return u, err
	}
	if !bytes.HasPrefix(r.b[r.i:], []byte(`\u`)) {
		return utf8.RuneError, nil
	}
	mark := r.i
	r.i += 2
	low, err := r.hex()
	if err != nil {
		return 0, err
	}
	if both := utf16.DecodeRune(u, low); both != utf8.RuneError {
		return both, nil
	}
	r.i = mark
	return utf8.RuneError, nil
}

func (r *jsonReader) hex() (rune, error) {
	if r.i+4 > len(r.b) {
		return 0, errSerialization()
	}
	v, err := strconv.ParseUint(string(r.b[r.i:r.i+4]), 16, 32)
	if err != nil {
		return 0, errSerialization()
	}
	r.i += 4
	return rune(v), nil
}

// number returns the text of a number in JSON's grammar (RFC 8259, 6), which is narrower than strconv's.
func (r *jsonReader) number() (string, error) {
	r.space()
	start := r.i
	r.oneOf("-")
	ok := r.oneOf("0") || r.digits()
	if r.oneOf(".") {
		ok = r.digits() && ok
	}
	if r.oneOf("eE") {
		r.oneOf("+-")
		ok = r.digits() && ok
	}
	if !ok || r.i-start > 400 {
		return "", errSerialization()
	}
	return string(r.b[start:r.i]), nil
}

// oneOf takes the next byte if it is one of set.
func (r *jsonReader) oneOf(set string) bool {
	if r.i == len(r.b) || strings.IndexByte(set, r.b[r.i]) < 0 {
		return false
	}
	r.i++
	return true
}

// digits takes all digits that come next, and tells whether there were any.
func (r *jsonReader) digits() bool {
	start := r.i
	for r.oneOf("0123456789") {
	}
	return r.i > start
}

func (r *jsonReader) skip() error {
	switch c := r.space(); c {
	case '"':
		_, err := r.string()
		return err
	case '{', '[':
		return r.each(c == '{', func(string) error { return r.skip() })
	case 't', 'f', 'n':
		if r.word("true") || r.word("false") || r.word("null") {
			return nil
		}
		return errSerialization()
	}
	_, err := r.number()
	return err
}

// each calls fn for every member or element; fn consumes the value.
func (r *jsonReader) each(object bool, fn func(key string) error) error {
	open, end := byte('['), byte(']')
	if object {
		open, end = '{', '}'
	}
	if r.space() != open {
		return errSerialization()
	}
	if r.depth++; r.depth > maxDepth {
		return errSerialization()
	}
	defer func() { r.depth-- }()
	r.i++
	if r.space() == end {
		r.i++
		return nil
	}
	for {
		key := ""
		if object {
			var err error
			if key, err = r.string(); err != nil {
				return err
			}
			if r.space() != ':' {
				return errSerialization()
			}
			r.i++
		}
		if err := fn(key); err != nil {
			return err
		}
		switch r.space() {
		case end:
			r.i++
			return nil
		case ',':
			r.i++
		default:
			return errSerialization()
		}
	}
}

func (r *jsonReader) value(p *plan, v reflect.Value) error {
	if r.word("null") {
		return nil
	}
	switch p.kind {
	case kindStruct:
		v = p.target(v)
		return r.each(true, func(key string) error {
			f, ok := p.lookup(key)
			if !ok {
				return r.skip()
			}
			return at(key, r.value(f.plan, v.Field(f.field)))
		})
	case kindList:
		emptyList(p, v, 0)
		return r.each(false, func(string) error {
			elem, err := appendElement(v, r.budget)
			if err != nil {
				return err
			}
			return r.value(p.elem, elem)
		})
	case kindMap:
		m := reflect.MakeMap(p.typ)
		v.Set(m)
		return r.each(true, func(key string) error {
			if err := r.budget.take(); err != nil {
				return err
			}
			e := reflect.New(p.typ.Elem()).Elem()
			if err := r.value(p.elem, e); err != nil {
				return err
			}
			m.SetMapIndex(reflect.ValueOf(key).Convert(p.typ.Key()), e)
			return nil
		})
	case kindUnion:
		return r.each(true, func(key string) error {
			f, ok := p.lookup(key)
			if !ok {
				return r.skip()
			}
			if r.word("null") {
				return nil
			}
			u, err := p.choose(f, v)
			if err != nil {
				return err
			}
			return at(key, r.value(f.plan, u))
		})
	case kindBad, kindStream:
		return r.skip()
	}
	return r.scalar(p, p.target(v))
}

func (r *jsonReader) scalar(p *plan, v reflect.Value) error {
	switch p.kind {
	case kindString:
		s, err := r.string()
		if err != nil {
			return err
		}
		v.SetString(s)
	case kindBool:
		switch {
		case r.word("true"):
			v.SetBool(true)
		case r.word("false"):
			v.SetBool(false)
		default:
			return errSerialization()
		}
	case kindBlob:
		s, err := r.string()
		if err != nil {
			return err
		}
		b, err := base64.StdEncoding.DecodeString(s)
		if err != nil {
			return errSerialization()
		}
		v.SetBytes(b)
	case kindInt:
		s, err := r.number()
		if err != nil {
			return err
		}
		if i, err := strconv.ParseInt(s, 10, p.bits); err == nil {
			v.SetInt(i)
			return nil
		}
		// 1E3 and 5.0 are integers too; anything after the point is not.
		f, err := strconv.ParseFloat(s, 64)
		if err != nil || f != float64(int64(f)) || v.OverflowInt(int64(f)) || f >= 1<<63 || f < -1<<63 {
			return errSerialization()
		}
		v.SetInt(int64(f))
	default:
		return r.textOrNumber(p, v)
	}
	return nil
}

// textOrNumber reads timestamps and floats, which may come as strings ("NaN", RFC 3339).
func (r *jsonReader) textOrNumber(p *plan, v reflect.Value) error {
	var s string
	var err error
	if r.space() == '"' {
		s, err = r.string()
	} else {
		s, err = r.number()
	}
	if err != nil {
		return err
	}
	return parseScalar(p, s, v)
}
