package ec2

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// filters says for the name of a filter which values a record has. A record passes a filter when one of its values
// matches one of the filter's.
type filters[T any] map[string]func(tx, *T) []string

// maxFilterValues bounds the values of one request.
// AWS: "Filter your resources" in the EC2 user guide: up to 50 filters and 200 filter values in a request.
const (
	maxFilters      = 50
	maxFilterValues = 200
)

// matcher is a request's filters, ready to be asked.
type matcher[T any] struct {
	tests []func(tx, *T) bool
}

// compile checks the names. Beside the kind's own every kind has tag:KEY, tag-key and tag-value.
func (f filters[T]) compile(base func(*T) *resource, wanted []types.Filter) (*matcher[T], error) {
	if len(wanted) > maxFilters {
		return nil, errFilterLimitExceeded()
	}
	m := &matcher[T]{}
	total := 0
	for _, w := range wanted {
		name := aws.ToString(w.Name)
		if total += len(w.Values); total > maxFilterValues {
			return nil, errFilterLimitExceeded()
		}
		patterns := make([]pattern, len(w.Values))
		for i, value := range w.Values {
			patterns[i] = compilePattern(value)
		}
		values := f[name]
		if key, ok := strings.CutPrefix(name, "tag:"); ok {
			values = func(_ tx, rec *T) []string {
				if value, has := base(rec).Tags[key]; has {
					return []string{value}
				}
				return nil
			}
		} else if values == nil {
			switch name {
			case "tag-key":
				values = func(_ tx, rec *T) []string { return slices.Collect(maps.Keys(base(rec).Tags)) }
			case "tag-value":
				values = func(_ tx, rec *T) []string { return slices.Collect(maps.Values(base(rec).Tags)) }
			default:
				return nil, errInvalidFilter(name)
			}
		}
		m.tests = append(m.tests, func(t tx, rec *T) bool {
			for _, value := range values(t, rec) {
				for _, p := range patterns {
					if p.matches(value) {
						return true
					}
				}
			}
			return false
		})
	}
	return m, nil
}

func (m *matcher[T]) matches(t tx, rec *T) bool {
	for _, test := range m.tests {
		if !test(t, rec) {
			return false
		}
	}
	return true
}

// pattern is a filter's value: * stands for any text, ? for any one character, \ takes the next one as it is.
type pattern struct {
	text     string // of a pattern without wildcards
	elements []rune // wildcards are negative
}

const (
	anyText rune = -1 - iota
	anyOne
)

func compilePattern(value string) pattern {
	if !strings.ContainsAny(value, `*?\`) {
		return pattern{text: value}
	}
	var p pattern
	escaped := false
	for _, r := range value {
		switch {
		case escaped:
			p.elements, escaped = append(p.elements, r), false
		case r == '\\':
			escaped = true
		case r == '*':
			p.elements = append(p.elements, anyText)
		case r == '?':
			p.elements = append(p.elements, anyOne)
		default:
			p.elements = append(p.elements, r)
		}
	}
	if escaped {
		p.elements = append(p.elements, '\\')
	}
	return p
}

// exact tells whether only one value matches.
func (p pattern) exact() bool { return p.elements == nil }

func (p pattern) matches(value string) bool {
	if p.exact() {
		return value == p.text
	}
	// The last * takes more and more until the rest fits. i and mark are where runes begin in the value.
	star, mark := -1, 0
	i, j := 0, 0
	for i < len(value) {
		r, size := utf8.DecodeRuneInString(value[i:])
		switch {
		case j < len(p.elements) && p.elements[j] == anyText:
			star, mark = j, i
			j++
		case j < len(p.elements) && (p.elements[j] == anyOne || p.elements[j] == r):
			i += size
			j++
		case star >= 0:
			_, skipped := utf8.DecodeRuneInString(value[mark:])
			mark += skipped
			i, j = mark, star+1
		default:
			return false
		}
	}
	for j < len(p.elements) && p.elements[j] == anyText {
		j++
	}
	return j == len(p.elements)
}

// one is a filter function's answer for a single value; "" is none.
func one(value string) []string {
	if value == "" {
		return nil
	}
	return []string{value}
}

func yesNo(value bool) []string { return []string{strconv.FormatBool(value)} }

func number[N int | int32 | int64](value N) []string {
	return []string{strconv.FormatInt(int64(value), 10)}
}
