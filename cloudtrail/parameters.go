package cloudtrail

import (
	"encoding/json"
	"io"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"miniaws/backend/lazyregexp"
)

// hidden stands for what an event must not hold.
// AWS: events of CloudTrail have these words in such places.
const hidden = "HIDDEN_DUE_TO_SECURITY_REASONS"

// secretName matches members whose values are secrets, or bytes that belong to the user. An event says only that there
// was one.
var secretName = lazyregexp.New(`(?i)(password|passphrase|secret|token$|tokencode|authenticationcode|private_?key|keymaterial|` +
	`userdata|plaintext|ciphertext|customerkey$|samlassertion|base32stringseed|qrcode|authorizationcode|credentialsjson|` +
	`encodedmessage|decodedmessage|securestring|connectionstring|headervalue)`)

// plainName matches members that look like secrets and are none: names, numbers and places of them, and tokens of pages.
var plainName = lazyregexp.New(`(?i)(nexttoken|continuationtoken|clienttoken|paginationtoken|requesttoken|idempotencytoken|` +
	`secretid$|secretarn|secretname|passwordlastused|passwordlastchanged|passwordpolicy|passwordresetrequired|requirepassword|` +
	`allowuserstochangepassword|passwordreuse|maxpasswordage|minimumpasswordlength|hardexpiry|expirepasswords|keymd5)`)

// parametersOf is the input or output of an operation as JSON: names begin in lower case, what is absent is left out,
// secrets are hidden, streams and bytes are not shown.
func parametersOf(v any) json.RawMessage {
	if v == nil {
		return json.RawMessage("null")
	}
	w := &parameterWriter{}
	w.value(reflect.ValueOf(v), false, 0)
	switch {
	case len(w.b) > maxParameters:
		return omitted
	case string(w.b) == "{}":
		return json.RawMessage("null")
	}
	return w.b
}

type parameterWriter struct{ b []byte }

const maxParameterDepth = 16

func isSecret(name string) bool { return secretName.MatchString(name) && !plainName.MatchString(name) }

// value writes one value; secret tells that the member that holds it is one.
func (w *parameterWriter) value(v reflect.Value, secret bool, depth int) {
	for v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface {
		if v.IsNil() {
			w.b = append(w.b, "null"...)
			return
		}
		v = v.Elem()
	}
	switch {
	case depth > maxParameterDepth || len(w.b) > 2*maxParameters:
		w.b = append(w.b, "null"...)
		return
	case secret && v.Kind() != reflect.Struct && v.Kind() != reflect.Bool:
		w.text(hidden)
		return
	}
	if t, ok := v.Interface().(time.Time); ok {
		w.text(t.UTC().Format(stampFormat))
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		w.structure(v, depth)
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			w.text("(" + strconv.Itoa(v.Len()) + " bytes)")
			return
		}
		w.b = append(w.b, '[')
		for i := range v.Len() {
			if i > 0 {
				w.b = append(w.b, ',')
			}
			w.value(v.Index(i), secret, depth+1)
		}
		w.b = append(w.b, ']')
	case reflect.Map:
		w.b = append(w.b, '{')
		for i, key := range sortedKeys(v) {
			if i > 0 {
				w.b = append(w.b, ',')
			}
			w.text(key.String())
			w.b = append(w.b, ':')
			w.value(v.MapIndex(key), isSecret(key.String()), depth+1)
		}
		w.b = append(w.b, '}')
	case reflect.String:
		w.text(clipped(v.String(), 4<<10))
	case reflect.Bool:
		w.b = strconv.AppendBool(w.b, v.Bool())
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		w.b = strconv.AppendInt(w.b, v.Int(), 10)
	case reflect.Float32, reflect.Float64:
		b, err := json.Marshal(v.Float())
		if err != nil {
			b = []byte("null") // not a number
		}
		w.b = append(w.b, b...)
	default:
		w.b = append(w.b, "null"...)
	}
}

func sortedKeys(v reflect.Value) []reflect.Value {
	keys := v.MapKeys()
	for i := 1; i < len(keys); i++ {
		for j := i; j > 0 && keys[j].String() < keys[j-1].String(); j-- {
			keys[j], keys[j-1] = keys[j-1], keys[j]
		}
	}
	return keys
}

// member is what is known of a field of a structure.
type member struct {
	index int
	// label is the member's name in JSON, with its colon.
	label string
	// secret tells that its value is never shown; always that it is hidden whatever its kind is.
	secret, always bool
}

// members has the members of each type that was seen: []member by reflect.Type.
var members sync.Map

func membersOf(t reflect.Type) []member {
	if known, ok := members.Load(t); ok {
		return known.([]member)
	}
	// AWS: "PutParameter" of Systems Manager: no event holds a parameter's value.
	secretValue := strings.HasPrefix(t.Name(), "PutParameter") || t.Name() == "Parameter"
	var all []member
	for i := range t.NumField() {
		field := t.Field(i)
		if !field.IsExported() || field.Name == "ResultMetadata" {
			continue
		}
		all = append(all, member{
			index: i, label: strconv.Quote(lowerCamel(field.Name)) + ":",
			secret: isSecret(field.Name), always: secretValue && field.Name == "Value",
		})
	}
	members.Store(t, all)
	return all
}

// structure writes the members that are there.
func (w *parameterWriter) structure(v reflect.Value, depth int) {
	w.b = append(w.b, '{')
	first := true
	for _, m := range membersOf(v.Type()) {
		field := v.Field(m.index)
		if absent(field) {
			continue
		}
		if !first {
			w.b = append(w.b, ',')
		}
		first = false
		w.b = append(w.b, m.label...)
		if m.always {
			w.text(hidden)
			continue
		}
		w.value(field, m.secret, depth+1)
	}
	w.b = append(w.b, '}')
}

var readerType = reflect.TypeFor[io.Reader]()

// absent tells that a member was not given, or is a stream.
func absent(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface, reflect.Map, reflect.Slice:
		return v.IsNil() || v.Type().Implements(readerType)
	case reflect.String:
		return v.Len() == 0
	case reflect.Func, reflect.Chan:
		return true
	}
	return false
}

// lowerCamel is a member's name as events have it: InstanceId is instanceId, and an initialism in front, such as DBName,
// goes to lower case as a whole.
func lowerCamel(name string) string {
	runes := []rune(name)
	for i := range runes {
		if i > 0 && (!unicode.IsUpper(runes[i]) || i+1 < len(runes) && unicode.IsLower(runes[i+1])) {
			break
		}
		runes[i] = unicode.ToLower(runes[i])
	}
	return string(runes)
}

func (w *parameterWriter) text(s string) {
	if isPlain(s) {
		w.b = append(append(append(w.b, '"'), s...), '"')
		return
	}
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, "\uFFFD")
	}
	b, err := json.Marshal(s)
	if err != nil {
		b = []byte(`""`) // not with valid text
	}
	w.b = append(w.b, b...)
}

// isPlain tells that JSON holds the text as it is.
func isPlain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			return false
		}
	}
	return true
}
