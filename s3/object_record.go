package s3

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"miniaws/backend/blob"
)

// UnmarshalJSON reads a record as it was written. Listings read a thousand of them at a time, so what nearly every record
// has is taken as it stands; a record with anything else is left to encoding/json.
func (o *object) UnmarshalJSON(text []byte) error {
	r := recordReader{rest: string(text)} // once, and all texts are parts of it
	if r.object(o) && r.rest == "" {
		return nil
	}
	*o = object{}
	type plain object
	return json.Unmarshal(text, (*plain)(o))
}

// recordReader reads JSON that encoding/json wrote, and gives up where there is more to it than its methods know.
type recordReader struct{ rest string }

func (r *recordReader) sign(c byte) bool {
	if r.rest == "" || r.rest[0] != c {
		return false
	}
	r.rest = r.rest[1:]
	return true
}

// text is a string without escapes.
func (r *recordReader) text(to *string) bool {
	if !r.sign('"') {
		return false
	}
	end := strings.IndexByte(r.rest, '"')
	if end < 0 {
		return false
	}
	*to = r.rest[:end]
	r.rest = r.rest[end+1:]
	ascii := true
	for i := range len(*to) {
		c := (*to)[i]
		if c == '\\' || c < ' ' {
			return false
		}
		ascii = ascii && c < utf8.RuneSelf
	}
	return ascii || utf8.ValidString(*to)
}

func (r *recordReader) flag(to *bool) bool {
	for _, word := range []string{"true", "false"} {
		if rest, ok := strings.CutPrefix(r.rest, word); ok {
			r.rest, *to = rest, word == "true"
			return true
		}
	}
	return false
}

func (r *recordReader) number(bits int) (int64, bool) {
	end := 0
	for end < len(r.rest) && (r.rest[end] == '-' || '0' <= r.rest[end] && r.rest[end] <= '9') {
		end++
	}
	n, err := strconv.ParseInt(r.rest[:end], 10, bits)
	r.rest = r.rest[end:]
	return n, err == nil
}

// members reads an object: field is called behind each name and reads the value.
func (r *recordReader) members(field func(name string) bool) bool {
	if !r.sign('{') {
		return false
	}
	if r.sign('}') {
		return true
	}
	for {
		var name string
		if !r.text(&name) || !r.sign(':') || !field(name) {
			return false
		}
		if r.sign('}') {
			return true
		}
		if !r.sign(',') {
			return false
		}
	}
}

// moment is a time in UTC, in whole seconds.
func (r *recordReader) moment(to *time.Time) bool {
	var text string
	if !r.text(&text) || len(text) != len("2006-01-02T15:04:05Z") {
		return false
	}
	at, err := time.Parse(time.RFC3339, text)
	*to = at
	return err == nil
}

func (r *recordReader) texts(to *map[string]string) bool {
	*to = map[string]string{}
	return r.members(func(name string) bool {
		var value string
		ok := r.text(&value)
		(*to)[name] = value
		return ok
	})
}

func (r *recordReader) object(o *object) bool {
	return r.members(func(name string) (ok bool) {
		switch name {
		case "b":
			return r.text(&o.Bucket)
		case "k":
			return r.text(&o.Key)
		case "o":
			return r.text(&o.Order)
		case "n":
			return r.flag(&o.Null)
		case "m":
			return r.flag(&o.Marker)
		case "t":
			return r.moment(&o.Modified)
		case "w":
			return r.text(&o.Owner)
		case "s":
			o.Size, ok = r.number(64)
			return ok
		case "e":
			return r.text(&o.ETag)
		case "r":
			return r.ref(&o.Blob)
		case "p":
			o.Parts = &manifest{}
			return r.manifest(o.Parts)
		case "c":
			return r.sum(&o.Sum)
		case "ct":
			return r.text(&o.Type)
		case "h":
			return r.texts(&o.Headers)
		case "u":
			return r.texts(&o.Meta)
		case "sc":
			return r.text(&o.Class)
		case "no":
			return r.text(&o.NullOrder)
		}
		return false
	})
}

func (r *recordReader) ref(to *blob.Ref) bool {
	return r.members(func(name string) (ok bool) {
		switch name {
		case "i":
			return r.text(&to.ID)
		case "s":
			to.Size, ok = r.number(64)
			return ok
		case "f":
			return r.flag(&to.File)
		case "p":
			return r.flag(&to.Plain)
		case "d":
			return r.text(&to.Sealed)
		}
		return false
	})
}

func (r *recordReader) manifest(to *manifest) bool {
	return r.members(func(name string) (ok bool) {
		switch name {
		case "i":
			return r.text(&to.ID)
		case "n":
			var n int64
			n, ok = r.number(32)
			to.Count = int32(n)
			return ok
		}
		return false
	})
}

func (r *recordReader) sum(to *sum) bool {
	return r.members(func(name string) bool {
		switch name {
		case "a":
			return r.text((*string)(&to.Algorithm))
		case "v":
			return r.text(&to.Value)
		case "c":
			return r.flag(&to.Composite)
		}
		return false
	})
}
