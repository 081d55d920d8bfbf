package policy

import (
	"strings"
	"unicode/utf8"
)

// Wildcards inside compiled patterns. A literal "*" (from "${*}" or from the value of a variable) stays what it is.
const (
	many = '\x00' // any number of characters
	one  = '\x01' // exactly one

	marks = "\x00\x01"
)

// wild turns the wildcards of a text into marks.
var wild = strings.NewReplacer("*", string(rune(many)), "?", string(rune(one)))

// matchGlob tells whether text is of the pattern's form. It takes time in the product of the lengths at worst.
func matchGlob[P string | []byte](pattern P, text string) bool {
	p, t := 0, 0
	star, retry := -1, 0
	for t < len(text) {
		if p < len(pattern) {
			switch pattern[p] {
			case many:
				if p++; p == len(pattern) {
					return true
				}
				star, retry = p, t
				continue
			case one:
				_, size := utf8.DecodeRuneInString(text[t:])
				p, t = p+1, t+size
				continue
			case text[t]:
				p, t = p+1, t+1
				continue
			}
		}
		if star < 0 {
			return false
		}
		_, size := utf8.DecodeRuneInString(text[retry:])
		retry += size
		p, t = star, retry
	}
	for p < len(pattern) && pattern[p] == many {
		p++
	}
	return p == len(pattern)
}

// template is a text of a policy with its variables. It is complete where it has none.
type template struct {
	// text is the compiled pattern if parts is nil.
	text  string
	parts []part
	// head is the literal beginning, before the first wildcard or variable: most texts differ there already.
	head string
	// exact tells that the head is all.
	exact bool
}

func (t template) withHead() template {
	first := t.text
	if t.parts != nil {
		first = t.parts[0].text
		if t.parts[0].key != "" {
			return t
		}
	}
	if i := strings.IndexAny(first, marks); i >= 0 {
		t.head = first[:i]
	} else {
		t.head, t.exact = first, t.parts == nil
	}
	return t
}

// part is a literal (compiled) or a variable.
type part struct {
	text string
	// key is a variable's, in lower case; text is its default then.
	key        string
	hasDefault bool
}

// compile takes a text of a policy apart. Wildcards are compiled where wildcards count; variables are such from version
// 2012-10-17 on.
// AWS: "IAM policy elements: Variables and tags".
func compile(text string, version Version, wildcards bool) template {
	return compileParts(text, version, wildcards).withHead()
}

func compileParts(text string, version Version, wildcards bool) template {
	literal := func(s string) string {
		if wildcards {
			return wild.Replace(s)
		}
		return s
	}
	if version < Version2012 || !strings.Contains(text, "${") {
		return template{text: literal(text)}
	}
	var parts []part
	var plain strings.Builder
	for text != "" {
		before, after, found := strings.Cut(text, "${")
		plain.WriteString(literal(before))
		inside, rest, closed := strings.Cut(after, "}")
		switch {
		case !found:
		case !closed: // nothing ends it: it is what it is
			plain.WriteString(literal("${" + after))
			rest = ""
		case inside == "*" || inside == "?" || inside == "$":
			plain.WriteString(inside)
		default:
			if plain.Len() > 0 {
				parts = append(parts, part{text: plain.String()})
				plain.Reset()
			}
			parts = append(parts, variable(inside))
		}
		text = rest
	}
	if parts == nil {
		return template{text: plain.String()}
	}
	if plain.Len() > 0 {
		parts = append(parts, part{text: plain.String()})
	}
	return template{parts: parts}
}

// variable reads the inside of "${key, 'default'}".
func variable(inside string) part {
	name, rest, hasDefault := strings.Cut(inside, ",")
	p := part{key: strings.ToLower(strings.TrimSpace(name))}
	rest = strings.TrimSpace(rest)
	if hasDefault && len(rest) >= 2 && rest[0] == '\'' && rest[len(rest)-1] == '\'' {
		p.text, p.hasDefault = rest[1:len(rest)-1], true
	}
	return p
}

// expand fills in the variables. False where one has no value and no default: then the text is like nothing at all.
func (t *template) expand(context Lookup) (string, bool) {
	if t.parts == nil {
		return t.text, true
	}
	out, ok := t.appendTo(nil, context)
	return string(out), ok
}

func (t *template) appendTo(out []byte, context Lookup) ([]byte, bool) {
	for i := range t.parts {
		p := &t.parts[i]
		if p.key == "" {
			out = append(out, p.text...)
			continue
		}
		values := context(p.key)
		switch {
		// AWS: only keys with a single value can be variables.
		case len(values) == 1 && strings.IndexByte(values[0], many) < 0 && strings.IndexByte(values[0], one) < 0:
			out = append(out, values[0]...)
		case p.hasDefault:
			out = append(out, p.text...)
		default:
			return nil, false
		}
	}
	return out, true
}

// matchWild tells whether a text is like the expanded template. It allocates nothing for usual lengths, and looks up no
// key where the literal beginning already differs.
func (t *template) matchWild(text string, context Lookup) bool {
	if t.exact {
		return t.head == text
	}
	if !strings.HasPrefix(text, t.head) {
		return false
	}
	if t.parts == nil {
		return matchGlob(t.text[len(t.head):], text[len(t.head):])
	}
	var room [128]byte
	pattern, ok := t.appendTo(room[:0], context)
	return ok && matchGlob(pattern, text)
}

// keys adds the context keys that the variables need.
func (t *template) keys(add func(string)) {
	for _, p := range t.parts {
		if p.key != "" {
			add(p.key)
		}
	}
}

// arnPattern matches ARNs field by field: a wildcard does not reach over a colon into the next field. The sixth field
// is the rest, whatever it holds.
// AWS: "IAM JSON policy elements: Resource", "Amazon Resource Names (ARNs)".
type arnPattern struct {
	// every is "*", which is also the resource of actions that know none.
	every  bool
	fields [6]template
	count  int // fields as written; the missing ones match everything
	text   string
}

func compileARN(text string, version Version) arnPattern {
	if text == "*" {
		return arnPattern{every: true, text: text}
	}
	p := arnPattern{text: text}
	for field := range splitFields(text, version) {
		p.fields[p.count] = compile(field, version, true)
		p.count++
	}
	return p
}

// splitFields yields at most six fields; colons inside of "${...}" do not count.
func splitFields(text string, version Version) func(func(string) bool) {
	return func(yield func(string) bool) {
		start, fields := 0, 1
		for i := 0; i < len(text) && fields < 6; i++ {
			if version >= Version2012 && strings.HasPrefix(text[i:], "${") {
				if end := strings.IndexByte(text[i:], '}'); end > 0 {
					i += end
					continue
				}
			}
			if text[i] == ':' {
				if !yield(text[start:i]) {
					return
				}
				start = i + 1
				fields++
			}
		}
		yield(text[start:])
	}
}

// arn is an ARN's six fields; a text that is none has fewer.
type arn struct {
	fields [6]string
	count  int
}

func splitARN(text string) arn {
	var a arn
	for a.count < 5 {
		before, after, found := strings.Cut(text, ":")
		if !found {
			break
		}
		a.fields[a.count] = before
		a.count++
		text = after
	}
	a.fields[a.count] = text
	a.count++
	return a
}

func (p *arnPattern) match(a *arn, context Lookup) bool {
	if p.every {
		return true
	}
	if a.count < 6 {
		return false
	}
	for i := p.count - 1; i >= 0; i-- { // the last field differs most often
		if !p.fields[i].matchWild(a.fields[i], context) {
			return false
		}
	}
	return true
}

func (p *arnPattern) keys(add func(string)) {
	for i := range p.fields {
		p.fields[i].keys(add)
	}
}

// actionPattern matches actions; case does not matter. AWS: "IAM JSON policy elements: Action".
type actionPattern struct {
	// text is in lower case, with marks.
	text string
	// plain is how much of it is before the first wildcard, and exact that there is none.
	plain int
	exact bool
}

func compileAction(text string) actionPattern {
	p := actionPattern{text: wild.Replace(strings.ToLower(text))}
	p.plain = strings.IndexAny(p.text, marks)
	if p.exact = p.plain < 0; p.exact {
		p.plain = len(p.text)
	}
	return p
}

// match takes the action in lower case.
func (p *actionPattern) match(action string) bool {
	if p.exact {
		return p.text == action
	}
	return strings.HasPrefix(action, p.text[:p.plain]) && matchGlob(p.text[p.plain:], action[p.plain:])
}
