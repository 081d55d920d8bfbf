package awsapi

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/textproto"
	"net/url"
	"reflect"
	"strings"
	"unicode/utf8"

	"miniaws/awsapi/meta"
	"miniaws/awsapi/wire"
)

// decodeREST reads path labels, query, headers and body.
func decodeREST(proto meta.Protocol, p *plan, m *Message, v reflect.Value) error {
	body := false
	for i := range p.fields {
		f := &p.fields[i]
		fv := v.Field(f.field)
		var err error
		switch f.location {
		case wire.Body:
			body = true
		case wire.Path:
			if s, ok := m.Labels[f.name]; ok {
				err = parseScalar(f.plan, s, f.plan.target(fv))
			}
		case wire.Query:
			err = bindQuery(f.plan, m.Query[f.name], fv)
		case wire.Header:
			err = bindHeader(f.plan, m.Header[f.name], fv)
			if err != nil && f.plan.kind == kindTime && f.plan.stamp&wire.HTTPDate != 0 {
				err = nil // RFC 9110, 13.1.3: a date that cannot be read is not there
			}
		case wire.PrefixHeaders:
			bindPrefix(f.plan, f.name, m.Header, fv)
		case wire.Payload:
			err = bindPayload(proto, f.plan, m, fv)
		}
		if err != nil {
			return at(f.name, err)
		}
	}
	if !body {
		return nil
	}
	if proto == meta.RESTXML {
		return decodeXML(p, m.Body, v)
	}
	return decodeJSON(p, m.Body, v)
}

// bindList fills a list from separate texts.
func bindList(p *plan, values []string, v reflect.Value) error {
	b := newBudget()
	emptyList(p, v, min(len(values), maxElements))
	for _, text := range values {
		elem, err := appendElement(v, b)
		if err != nil {
			return err
		}
		if err := parseScalar(p.elem, text, p.elem.target(elem)); err != nil {
			return err
		}
	}
	return nil
}

func bindQuery(p *plan, values []string, v reflect.Value) error {
	if len(values) == 0 {
		return nil
	}
	if p.kind == kindList {
		return bindList(p, values, v)
	}
	return parseScalar(p, values[0], p.target(v))
}

func bindHeader(p *plan, values []string, v reflect.Value) error {
	if len(values) == 0 {
		return nil
	}
	if p.kind != kindList {
		return parseScalar(p, strings.TrimSpace(values[0]), p.target(v))
	}
	var all []string
	for _, line := range values {
		parts := splitHeader(line)
		if p.elem.kind == kindTime && p.stamp&(wire.DateTime|wire.Epoch) == 0 {
			parts = joinDates(parts)
		}
		all = append(all, parts...)
	}
	return bindList(p, all, v)
}

// joinDates puts HTTP dates together again, which have a comma of their own.
func joinDates(parts []string) []string {
	var dates []string
	for i := 0; i+1 < len(parts); i += 2 {
		dates = append(dates, parts[i]+", "+parts[i+1])
	}
	return dates
}

// splitHeader splits a header's list at commas outside of quotes.
func splitHeader(line string) []string {
	var parts []string
	for line = strings.TrimLeft(line, " \t"); line != ""; line = strings.TrimLeft(line, " \t") {
		if line[0] != '"' {
			var part string
			part, line, _ = strings.Cut(line, ",")
			parts = append(parts, strings.TrimSpace(part))
			continue
		}
		var b strings.Builder
		i := 1
		for ; i < len(line) && line[i] != '"'; i++ {
			if line[i] == '\\' && i+1 < len(line) {
				i++
			}
			b.WriteByte(line[i])
		}
		parts = append(parts, b.String())
		_, line, _ = strings.Cut(line[min(i+1, len(line)):], ",")
	}
	return parts
}

// bindPrefix collects headers such as x-amz-meta-*; names become lower case, as S3 stores them.
func bindPrefix(p *plan, prefix string, h http.Header, v reflect.Value) {
	prefix = textproto.CanonicalMIMEHeaderKey(prefix)
	var m reflect.Value
	for name, values := range h {
		if len(name) <= len(prefix) || !strings.HasPrefix(name, prefix) {
			continue
		}
		if !m.IsValid() {
			m = reflect.MakeMap(p.typ)
		}
		m.SetMapIndex(reflect.ValueOf(strings.ToLower(name[len(prefix):])), reflect.ValueOf(decodeWords(strings.Join(values, ","))))
	}
	if m.IsValid() {
		v.Set(m)
	}
}

func bindPayload(proto meta.Protocol, p *plan, m *Message, v reflect.Value) error {
	switch p.kind {
	case kindStream:
		r := m.Stream
		if r == nil {
			r = io.NopCloser(bytes.NewReader(m.Body))
		}
		rv := reflect.ValueOf(r)
		if rv.Type().AssignableTo(v.Type()) {
			v.Set(rv)
		}
		return nil
	case kindBlob:
		if len(m.Body) > 0 {
			v.SetBytes(m.Body)
		}
		return nil
	case kindString:
		if len(m.Body) > 0 {
			p.target(v).SetString(string(m.Body))
		}
		return nil
	}
	if len(bytes.TrimSpace(m.Body)) == 0 {
		return nil
	}
	if proto == meta.RESTXML {
		return decodeXML(p, m.Body, v)
	}
	return decodeJSON(p, m.Body, v)
}

// encodeREST writes headers, status and body.
func encodeREST(r *Reply, b []byte, proto meta.Protocol, op *wire.Op, s *meta.Service, p *plan, at place) error {
	if op.Status != 0 {
		r.Status = int(op.Status)
	}
	contentType := "application/json"
	if proto == meta.RESTXML {
		contentType = "text/xml"
		if s3Family(s) {
			contentType = "application/xml"
		}
	}
	body := p == nil && proto == meta.RESTJSON
	for i := 0; p != nil && i < len(p.fields); i++ {
		f := &p.fields[i]
		if f.location == wire.Body {
			body = true
			continue
		}
		value := f.in(at)
		if f.absent(value) {
			continue
		}
		if f.location == wire.Payload {
			if err := writePayload(r, b, proto, op, s, f, value, contentType); err != nil {
				return err
			}
			continue
		}
		if err := writeBinding(r, f, value); err != nil {
			return err
		}
	}
	if !body {
		return nil
	}
	r.Header["Content-Type"] = []string{contentType}
	var err error
	if proto == meta.RESTJSON {
		r.Body, err = encodeJSON(b, p, at)
		return err
	}
	b = xmlStart(append(b, xmlDeclaration...), p, rootTag(op.Wrapper, s.Namespace), at)
	if f := only(p, op.Wrapper); f == nil {
		b, err = xmlMembers(b, p, at)
	} else { // S3's GetBucketLocation: the only member is the root
		b = appendXMLText(b, stringAt(f.in(at)))
	}
	r.Body = append(append(append(b, "</"...), op.Wrapper...), '>')
	return err
}

// only finds the single body member that has the root's own name.
func only(p *plan, root string) *planField {
	var found *planField
	for i := range p.fields {
		if f := &p.fields[i]; f.location == wire.Body {
			if found != nil || f.name != root || f.plan.kind != kindString || f.plan.pointer {
				return nil
			}
			found = f
		}
	}
	return found
}

func rootTag(name, namespace string) string {
	if namespace == "" {
		return "<" + name + ">"
	}
	return "<" + name + ` xmlns="` + namespace + `">`
}

func writePayload(r *Reply, b []byte, proto meta.Protocol, op *wire.Op, s *meta.Service, f *planField, at place, contentType string) error {
	switch f.plan.kind {
	case kindStream:
		body := f.plan.reflected(at).Interface()
		stream, ok := body.(io.ReadCloser)
		if !ok {
			stream = io.NopCloser(body.(io.Reader))
		}
		r.Stream = stream
		return nil
	case kindBlob:
		r.Body = bytesAt(at)
		return nil
	case kindString: // the document of a bucket policy is the only one
		r.Header["Content-Type"] = []string{"application/json"}
		if f.plan.pointer {
			at = pointerAt(at)
		}
		r.Body = append(b, stringAt(at)...)
		return nil
	}
	r.Header["Content-Type"] = []string{contentType}
	var err error
	if proto == meta.RESTJSON {
		r.Body, err = jsonValue(b, f.plan, at)
		return err
	}
	r.Body, err = xmlElement(append(b, xmlDeclaration...), f.plan, rootTag(op.Wrapper, s.Namespace), "</"+op.Wrapper+">", false, at)
	return err
}

func writeBinding(r *Reply, f *planField, at place) error {
	p := f.plan
	if p.pointer {
		at = pointerAt(at)
	}
	switch {
	case f.location == wire.StatusCode:
		if n := int(p.intAt(at)); n != 0 { // a plain number that the handler left alone
			r.Status = n
		}
	case f.location == wire.PrefixHeaders:
		v := p.reflected(at)
		for _, k := range sortedMapKeys(v) {
			// In lower case as S3 sends them: botocore shows users what is behind the prefix as it came.
			r.Header[strings.ToLower(f.name+k.String())] = []string{encodeWords(v.MapIndex(k).String())}
		}
	case f.location == wire.Header && p.kind == kindList:
		first, n := elements(at)
		parts := make([]string, 0, n)
		for i := range n {
			text, ok := appendScalar(nil, p.elem, p.at(first, i), wire.HTTPDate)
			if !ok {
				return fmt.Errorf("awsapi: no header for %v", p.typ)
			}
			s := string(text)
			if strings.ContainsAny(s, `",`) && p.elem.kind != kindTime {
				s = `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
			}
			parts = append(parts, s)
		}
		r.Header[f.name] = []string{headerValue(strings.Join(parts, ", "))} // the name is canonical
	case f.location == wire.Header:
		text, ok := appendScalar(nil, p, at, wire.HTTPDate)
		if !ok {
			return fmt.Errorf("awsapi: no header for %v", p.typ)
		}
		r.Header[f.name] = []string{headerValue(string(text))}
	}
	return nil
}

// headerValue keeps a value from ending its header: metadata comes from users.
func headerValue(s string) string {
	for i := range len(s) {
		if c := s[i]; (c < 0x20 && c != '\t') || c == 0x7f {
			return "=?UTF-8?B?" + base64.StdEncoding.EncodeToString([]byte(s)) + "?="
		}
	}
	return s
}

// decodeWords reads metadata that is not ASCII: as encoded words, or as bytes that are UTF-8 already.
//
// AWS: "Working with object metadata": values are decoded as per RFC 2047 before storing, and encoded before returning.
func decodeWords(s string) string {
	if !utf8.ValidString(s) { // HTTP's old alphabet
		letters := make([]rune, len(s))
		for i := range len(s) {
			letters[i] = rune(s[i])
		}
		return string(letters)
	}
	if !strings.Contains(s, "=?") {
		return s
	}
	decoded, err := new(mime.WordDecoder).DecodeHeader(s)
	if err != nil {
		return s
	}
	return decoded
}

// encodeWords is the other way round.
func encodeWords(s string) string {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return mime.BEncoding.Encode("UTF-8", s)
		}
	}
	return headerValue(s)
}

// MatchURI matches an escaped path with an operation's URI template and returns the labels, unescaped. The
// template's constant query is not looked at. {Key+} takes as much of the path as it can, slashes included: neither
// empty nor dot segments are cleaned.
func MatchURI(template, path string) (map[string]string, bool) {
	template, _, _ = strings.Cut(template, "?")
	template, path = strings.TrimPrefix(template, "/"), strings.TrimPrefix(path, "/")
	labels := map[string]string{}
	for {
		var segment string
		segment, template, _ = strings.Cut(template, "/")
		if strings.HasPrefix(segment, "{") && strings.HasSuffix(segment, "+}") {
			rest, ok := path, true
			if template != "" {
				rest, ok = strings.CutSuffix(path, "/"+template)
			}
			value, err := url.PathUnescape(rest)
			if !ok || err != nil || value == "" {
				return nil, false
			}
			labels[segment[1:len(segment)-2]] = value
			return labels, true
		}
		var part string
		part, path, _ = strings.Cut(path, "/")
		if strings.HasPrefix(segment, "{") {
			value, err := url.PathUnescape(part)
			if err != nil || value == "" {
				return nil, false
			}
			labels[strings.Trim(segment, "{}")] = value
		} else if segment != part {
			return nil, false
		}
		if template == "" {
			return labels, path == ""
		}
	}
}
