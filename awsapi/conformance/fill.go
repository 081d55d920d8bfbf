package conformance

import (
	"bytes"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"time"

	"miniaws/awsapi/meta"
)

var (
	timeType   = reflect.TypeFor[time.Time]()
	readerType = reflect.TypeFor[io.Reader]()
)

// stream is a body that clients can rewind, to hash it before they send it.
type stream struct{ *bytes.Reader }

// Close does nothing.
func (stream) Close() error { return nil }

// filler gives every field a value that no other field has.
type filler struct {
	unions map[reflect.Type][]reflect.Type
	plain  bool // texts that survive headers and paths, timestamps in whole seconds
	fixed  map[string]string
	count  int
	inside map[reflect.Type]int
}

func newFiller(s *meta.Service, fixed map[string]string) *filler {
	f := &filler{unions: map[reflect.Type][]reflect.Type{}, inside: map[reflect.Type]int{}, fixed: fixed}
	for _, u := range s.Unions() {
		f.unions[u.Type] = u.Variants
	}
	f.plain = s.Speaks(meta.RESTXML) || s.Speaks(meta.RESTJSON)
	return f
}

// fill returns false when nothing could be filled in: the depth of a recursion is reached, or a type is empty.
func (f *filler) fill(v reflect.Value, name string) bool {
	f.count++
	t := v.Type()
	if t == timeType {
		at := time.Date(2024, 5, 6, 7, 8, f.count%60, 0, time.UTC)
		if !f.plain {
			at = at.Add(time.Duration(f.count%1000) * time.Millisecond)
		}
		v.Set(reflect.ValueOf(at))
		return true
	}
	switch t.Kind() {
	case reflect.Pointer:
		p := reflect.New(t.Elem())
		if !f.fill(p.Elem(), name) {
			return false
		}
		v.Set(p)
	case reflect.String:
		v.SetString(f.text(name))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(int64(f.count%90 + 1))
	case reflect.Float32, reflect.Float64:
		v.SetFloat(float64(f.count) + 0.25)
	case reflect.Slice:
		return f.slice(v, name)
	case reflect.Map:
		m := reflect.MakeMap(t)
		for range 2 {
			k, e := reflect.New(t.Key()).Elem(), reflect.New(t.Elem()).Elem()
			f.count++
			k.SetString(fmt.Sprintf("k%d", f.count))
			if !f.fill(e, name) {
				return false
			}
			m.SetMapIndex(k, e)
		}
		v.Set(m)
	case reflect.Struct:
		return f.structure(v)
	case reflect.Interface:
		return f.iface(v, name)
	default:
		return false
	}
	return true
}

func (f *filler) text(name string) string {
	switch {
	case f.fixed[name] != "":
		return f.fixed[name]
	case f.plain:
		return fmt.Sprintf("v-%d", f.count)
	}
	return fmt.Sprintf("s%d <&>\"é+=%%/\n.", f.count)
}

func (f *filler) slice(v reflect.Value, name string) bool {
	t := v.Type()
	if t.Elem().Kind() == reflect.Uint8 {
		v.SetBytes([]byte(fmt.Sprintf("b\x00%d\xff", f.count)))
		return true
	}
	s := reflect.MakeSlice(t, 2, 2)
	for i := range 2 {
		if !f.fill(s.Index(i), name) {
			return false
		}
	}
	v.Set(s)
	return true
}

func (f *filler) structure(v reflect.Value) bool {
	t := v.Type()
	if f.inside[t] >= 2 {
		return false
	}
	f.inside[t]++
	defer func() { f.inside[t]-- }()
	filled := false
	for i := range t.NumField() {
		sf := t.Field(i)
		if !sf.IsExported() || sf.Name == "ResultMetadata" || sf.Name == "ErrorCodeOverride" {
			continue
		}
		if f.fill(v.Field(i), sf.Name) {
			filled = true
		}
	}
	return filled
}

func (f *filler) iface(v reflect.Value, name string) bool {
	if v.Type().Implements(readerType) {
		v.Set(reflect.ValueOf(stream{bytes.NewReader([]byte(f.text(name)))}))
		return true
	}
	variants := f.unions[v.Type()]
	if len(variants) == 0 {
		return false
	}
	u := reflect.New(variants[f.count%len(variants)])
	if !f.fill(u.Elem().Field(0), name) {
		return false
	}
	v.Set(u)
	return true
}

// difference describes the first field in which a and b differ, or is empty. Fields named in skip are not
// compared: the client changes them.
func difference(path string, a, b reflect.Value, skip []string) string {
	if a.Type() == timeType {
		if x, y := a.Interface().(time.Time), b.Interface().(time.Time); !x.Equal(y) {
			return fmt.Sprintf("%s: %v, want %v", path, y, x)
		}
		return ""
	}
	switch a.Kind() {
	case reflect.Pointer, reflect.Interface:
		if a.IsNil() || b.IsNil() {
			if a.IsNil() != b.IsNil() {
				return fmt.Sprintf("%s: nil is %v, want %v (%v)", path, b.IsNil(), a.IsNil(), a.Type())
			}
			return ""
		}
		if a.Type().Implements(readerType) {
			return sameStream(path, a.Interface().(io.Reader), b.Interface().(io.Reader))
		}
		if a.Elem().Type() != b.Elem().Type() {
			return fmt.Sprintf("%s: %v, want %v", path, b.Elem().Type(), a.Elem().Type())
		}
		return difference(path, a.Elem(), b.Elem(), skip)
	case reflect.Struct:
		for i := range a.NumField() {
			f := a.Type().Field(i)
			if !f.IsExported() || f.Name == "ResultMetadata" || f.Name == "ErrorCodeOverride" || slices.Contains(skip, f.Name) {
				continue
			}
			if d := difference(path+"."+f.Name, a.Field(i), b.Field(i), skip); d != "" {
				return d
			}
		}
		return ""
	case reflect.Slice:
		if a.Len() != b.Len() {
			return fmt.Sprintf("%s: %d elements, want %d (%v)", path, b.Len(), a.Len(), a.Type())
		}
		for i := range a.Len() {
			if d := difference(fmt.Sprintf("%s[%d]", path, i), a.Index(i), b.Index(i), skip); d != "" {
				return d
			}
		}
		return ""
	case reflect.Map:
		if a.Len() != b.Len() {
			return fmt.Sprintf("%s: %d entries, want %d", path, b.Len(), a.Len())
		}
		for _, k := range a.MapKeys() {
			e := b.MapIndex(k)
			if !e.IsValid() {
				return fmt.Sprintf("%s: no entry %v", path, k)
			}
			if d := difference(fmt.Sprintf("%s[%v]", path, k), a.MapIndex(k), e, skip); d != "" {
				return d
			}
		}
		return ""
	}
	if !reflect.DeepEqual(a.Interface(), b.Interface()) {
		return fmt.Sprintf("%s: %v, want %v", path, b, a)
	}
	return ""
}

// sameStream compares texts; the sent stream was read by the client, so it is filled with its field's name.
func sameStream(path string, a, b io.Reader) string {
	if s, ok := a.(io.Seeker); ok {
		if _, err := s.Seek(0, io.SeekStart); err != nil {
			return path + ": " + err.Error()
		}
	}
	x, err := io.ReadAll(a)
	if err != nil {
		return path + ": " + err.Error()
	}
	y, err := io.ReadAll(b)
	if err != nil {
		return path + ": " + err.Error()
	}
	if len(x) > 0 && !bytes.Equal(x, y) || len(y) == 0 || !strings.HasPrefix(string(y), "v-") {
		return fmt.Sprintf("%s: %q, want %q", path, y, x)
	}
	return ""
}
