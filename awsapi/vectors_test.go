package awsapi

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"maps"
	"math"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"miniaws/awsapi/meta"
	"miniaws/awsapi/wire"
)

// The protocol vectors (AWS's own, in botocore's form) bring models of their own. For each case a wire.Service
// and Go types are made from the model: requests are decoded and compared with the parameters, answers are
// encoded and compared with the expected body as a tree.

func vectorFolder(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("MINI_AWS_VECTORS")
	if dir == "" {
		dir = filepath.Join("..", "..", "shared", "data", "vectors")
	}
	dir = filepath.Join(dir, "protocols")
	if _, err := os.Stat(dir); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("no protocol vectors: %v", err)
		}
		t.Skipf("no protocol vectors at %s: set MINI_AWS_VECTORS", dir)
	}
	return dir
}

type vectorSuite struct {
	Description string
	Metadata    struct{ Protocol, JSONVersion string }
	Shapes      map[string]*vectorShape
	Cases       []vectorCase
}

type vectorRef struct {
	Shape, Location, LocationName, QueryName, TimestampFormat string
	Flattened, XMLAttribute, JSONValue                        bool
}

type vectorShape struct {
	Type, LocationName, TimestampFormat, Payload string
	Members                                      map[string]vectorRef
	Member, Key, Value                           vectorRef
	Union, Document, Exception, Flattened        bool
}

type vectorCase struct {
	ID    string
	Given struct {
		Name          string
		HTTP          struct{ Method, RequestURI string }
		Input, Output *vectorRef
	}
	Params, Result map[string]any
	ErrorCode      string
	Serialized     struct {
		URI, Body string
		Headers   map[string]string
	}
	Response struct {
		StatusCode int `json:"status_code"`
		Headers    map[string]string
		Body       string
	}
}

var vectorProtocols = map[string]meta.Protocol{
	"ec2": meta.EC2Query, "query": meta.AWSQuery, "json": meta.AWSJSON11, "json_1_0": meta.AWSJSON10, "rest-xml": meta.RESTXML, "smithy-rpc-v2-cbor": meta.RPCv2CBOR,
}

// vectorModel turns a suite's shapes into a table and Go types.
type vectorModel struct {
	suite  *vectorSuite
	p      meta.Protocol
	input  bool
	table  []wire.Shape
	index  map[string]int32
	inside []string
	// lacking is set when a case uses a member that has no Go type.
	lacking bool
}

var (
	errUnsupported = errors.New("unsupported")
	errTooDeep     = errors.New("too deep") // recursive types are unrolled three times
)

func upper(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

// shape numbers an aggregate; -1 for scalars.
func (m *vectorModel) shape(name string) int32 {
	if i, ok := m.index[name]; ok {
		return i
	}
	s := m.suite.Shapes[name]
	switch s.Type {
	case "structure", "list", "map":
	default:
		return -1
	}
	i := int32(len(m.table))
	m.index[name] = i
	m.table = append(m.table, wire.Shape{Target: -1})
	sh := wire.Shape{Target: -1}
	switch s.Type {
	case "list":
		sh.Kind, sh.Elem, sh.Target = wire.List, or(s.Member.LocationName, "member"), m.shape(s.Member.Shape)
	case "map":
		sh.Kind, sh.Elem, sh.Key, sh.Value, sh.Target = wire.Map, "entry", or(s.Key.LocationName, "key"), or(s.Value.LocationName, "value"), m.shape(s.Value.Shape)
	default:
		for _, n := range slices.Sorted(maps.Keys(s.Members)) {
			sh.Members = append(sh.Members, m.member(s, n))
		}
	}
	m.table[i] = sh
	return i
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

func (m *vectorModel) member(owner *vectorShape, name string) wire.Member {
	ref := owner.Members[name]
	target := m.suite.Shapes[ref.Shape]
	w := wire.Member{Field: upper(name), Name: or(ref.LocationName, name), Target: m.shape(ref.Shape)}
	if m.p == meta.EC2Query && m.input {
		w.Name = or(ref.QueryName, upper(or(ref.LocationName, name)))
	}
	flat := ref.Flattened || target.Flattened
	if m.p == meta.EC2Query && m.input && target.Type == "list" {
		flat = true
	}
	if flat {
		w.Flags |= wire.Flat
		if target.Type == "list" && m.p == meta.AWSQuery && m.input && target.Member.LocationName != "" && ref.LocationName == "" {
			w.Name = target.Member.LocationName // older models put the name there
		}
	}
	if ref.XMLAttribute {
		w.Flags |= wire.Attribute
	}
	switch or(ref.TimestampFormat, target.TimestampFormat) {
	case "iso8601":
		w.Flags |= wire.DateTime
	case "rfc822":
		w.Flags |= wire.HTTPDate
	case "unixTimestamp":
		w.Flags |= wire.Epoch
	}
	switch ref.Location {
	case "uri":
		if m.input {
			w.Location = wire.Path
		}
	case "querystring":
		if m.input {
			w.Location = wire.Query
		}
	case "header":
		w.Location = wire.Header
	case "headers":
		w.Location = wire.PrefixHeaders
	case "statusCode":
		w.Location = wire.StatusCode
	}
	if owner.Payload == name {
		w.Location = wire.Payload
		if n := target.LocationName; n != "" {
			w.Name = n
		}
	}
	return w
}

// goType makes the Go type; unions and documents have none.
func (m *vectorModel) goType(name string) (reflect.Type, error) {
	s := m.suite.Shapes[name]
	if s.Union || s.Document {
		return nil, errUnsupported
	}
	if level := strings.Count(strings.Join(m.inside, " ")+" ", name+" "); level > 2 {
		return nil, errTooDeep
	}
	m.inside = append(m.inside, name)
	defer func() { m.inside = m.inside[:len(m.inside)-1] }()
	switch s.Type {
	case "structure":
		var fields []reflect.StructField
		for _, n := range slices.Sorted(maps.Keys(s.Members)) {
			t, err := m.goType(s.Members[n].Shape)
			if err != nil || s.Members[n].JSONValue {
				continue // cases that use it are not run, see set
			}
			if k := t.Kind(); k != reflect.Slice && k != reflect.Map {
				t = reflect.PointerTo(t)
			}
			fields = append(fields, reflect.StructField{Name: upper(n), Type: t})
		}
		return reflect.StructOf(fields), nil
	case "list":
		t, err := m.goType(s.Member.Shape)
		if err != nil {
			return nil, err
		}
		return reflect.SliceOf(t), nil
	case "map":
		t, err := m.goType(s.Value.Shape)
		if err != nil {
			return nil, err
		}
		return reflect.MapOf(reflect.TypeFor[string](), t), nil
	case "string", "character":
		return reflect.TypeFor[string](), nil
	case "boolean":
		return reflect.TypeFor[bool](), nil
	case "integer", "long", "short", "byte":
		return reflect.TypeFor[int64](), nil
	case "float":
		return reflect.TypeFor[float32](), nil
	case "double":
		return reflect.TypeFor[float64](), nil
	case "blob":
		return reflect.TypeFor[[]byte](), nil
	case "timestamp":
		return timeType, nil
	}
	return nil, errUnsupported
}

// set fills v with a case's parameters.
func (m *vectorModel) set(v reflect.Value, name string, x any) {
	s := m.suite.Shapes[name]
	if x == nil {
		return
	}
	if v.Kind() == reflect.Pointer {
		v.Set(reflect.New(v.Type().Elem()))
		v = v.Elem()
	}
	switch s.Type {
	case "structure":
		for n, e := range x.(map[string]any) {
			f := v.FieldByName(upper(n))
			if !f.IsValid() {
				m.lacking = true
				continue
			}
			m.set(f, s.Members[n].Shape, e)
		}
	case "list":
		l := x.([]any)
		v.Set(reflect.MakeSlice(v.Type(), len(l), len(l)))
		for i, e := range l {
			m.set(v.Index(i), s.Member.Shape, e)
		}
	case "map":
		v.Set(reflect.MakeMap(v.Type()))
		for k, e := range x.(map[string]any) {
			elem := reflect.New(v.Type().Elem()).Elem()
			m.set(elem, s.Value.Shape, e)
			v.SetMapIndex(reflect.ValueOf(k), elem)
		}
	case "boolean":
		v.SetBool(x.(bool))
	case "integer", "long", "short", "byte":
		v.SetInt(int64(x.(float64)))
	case "float", "double":
		if text, ok := x.(string); ok {
			x = map[string]float64{"NaN": math.NaN(), "Infinity": math.Inf(1), "-Infinity": math.Inf(-1)}[text]
		}
		v.SetFloat(x.(float64))
	case "blob":
		v.SetBytes([]byte(x.(string)))
	case "timestamp":
		if text, ok := x.(string); ok {
			t, _ := parseTime(text)
			v.Set(reflect.ValueOf(t))
			return
		}
		ms := int64(math.Round(x.(float64) * 1000))
		v.Set(reflect.ValueOf(time.UnixMilli(ms).UTC()))
	default:
		v.SetString(x.(string))
	}
}

func (m *vectorModel) codec(op wire.Op) *Codec {
	c := NewCodec(&meta.Service{Name: "vectors", Protocols: []meta.Protocol{m.p}, Namespace: ""})
	c.once.Do(func() {
		c.wire = &wire.Service{Requests: m.table, Responses: m.table, Ops: []wire.Op{op}}
		c.ops, c.plans, c.warns = map[string]*opPlans{op.Name: {op: &c.wire.Ops[0]}}, map[planKey]*plan{}, map[string]bool{}
	})
	return c
}

func vectors(t *testing.T, way string, run func(*testing.T, *vectorModel, vectorCase) error) {
	dir := vectorFolder(t)
	files, err := filepath.Glob(filepath.Join(dir, way, "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatal("no files", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".json"), func(t *testing.T) {
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var suites []vectorSuite
			if err := json.Unmarshal(b, &suites); err != nil {
				t.Fatal(err)
			}
			ran, skipped := 0, map[string]int{}
			for i := range suites {
				for _, c := range suites[i].Cases {
					if why := vectorException(way, c.ID); why != "" {
						skipped[why]++
						continue
					}
					m := &vectorModel{suite: &suites[i], p: vectorProtocols[suites[i].Metadata.Protocol], input: way == "input", index: map[string]int32{}}
					switch err := run(t, m, c); {
					case errors.Is(err, errUnsupported):
						skipped["union or document: reflection cannot make the Go type"]++
					case err != nil:
						t.Errorf("%s: %v", c.ID, err)
					default:
						ran++
					}
				}
			}
			t.Logf("%d ran; not run: %v", ran, skipped)
		})
	}
}

var nanEqual = cmp.Comparer(func(a, b float64) bool { return a == b || (math.IsNaN(a) && math.IsNaN(b)) })

func TestRequestVectors(t *testing.T) {
	vectors(t, "input", func(_ *testing.T, m *vectorModel, c vectorCase) error {
		if c.Given.Input == nil {
			return nil
		}
		name := c.Given.Input.Shape
		typ, err := m.goType(name)
		if err != nil {
			return err
		}
		want, got := reflect.New(typ), reflect.New(typ)
		m.set(want.Elem(), name, c.Params)
		if m.lacking {
			return errUnsupported
		}
		codec := m.codec(wire.Op{Name: "Op", In: m.shape(name), Out: -1})
		msg, err := vectorMessage(m.p, c)
		if err != nil {
			return err
		}
		if _, err := codec.Decode(m.p, "Op", msg, got.Interface()); err != nil {
			return err
		}
		if d := cmp.Diff(want.Interface(), got.Interface(), nanEqual, cmpopts.EquateEmpty(), cmp.Comparer(func(a, b float32) bool { return a == b || a != a && b != b })); d != "" {
			return errors.New(d)
		}
		return nil
	})
}

func vectorMessage(p meta.Protocol, c vectorCase) (*Message, error) {
	m := &Message{Header: http.Header{}, Body: []byte(c.Serialized.Body)}
	for k, v := range c.Serialized.Headers {
		m.Header.Set(k, v)
	}
	u, err := url.Parse(c.Serialized.URI)
	if err != nil {
		return nil, err
	}
	m.Query = u.Query()
	switch p {
	case meta.RPCv2CBOR:
		m.Body, err = base64.StdEncoding.DecodeString(c.Serialized.Body)
	case meta.RESTXML:
		m.Labels, _ = MatchURI(c.Given.HTTP.RequestURI, u.EscapedPath())
	}
	return m, err
}

func TestAnswerVectors(t *testing.T) {
	vectors(t, "output", func(t *testing.T, m *vectorModel, c vectorCase) error {
		if c.Given.Output == nil || c.ErrorCode != "" {
			return nil
		}
		name := c.Given.Output.Shape
		typ, err := m.goType(name)
		if err != nil {
			return err
		}
		out := reflect.New(typ)
		m.set(out.Elem(), name, c.Result)
		if m.lacking {
			return errUnsupported
		}
		op := wire.Op{Name: c.Given.Name, In: -1, Out: m.shape(name), Wrapper: or(m.suite.Shapes[name].LocationName, c.Given.Name+"Response")}
		switch m.p {
		case meta.AWSQuery:
			op.Wrapper = c.Given.Name + "Result"
		case meta.EC2Query:
			op.Wrapper = ""
		case meta.RESTXML:
			for _, w := range m.table[op.Out].Members {
				if w.Location == wire.Payload {
					op.Wrapper = w.Name
				}
			}
		}
		codec := m.codec(op)
		r, err := codec.Encode(m.p, op.Name, "requestid", out.Interface(), nil)
		if err != nil {
			return err
		}
		for k, v := range c.Response.Headers {
			if strings.HasPrefix(k, "Content-") || strings.EqualFold(k, "x-amzn-RequestId") || strings.EqualFold(k, "smithy-protocol") {
				continue
			}
			if got := r.Header.Get(k) + strings.Join(r.Header[strings.ToLower(k)], ","); got != v {
				return errors.New("header " + k + ": " + got + ", want " + v)
			}
		}
		return sameBody(m.p, c.Response.Body, r.Body)
	})
}

func sameBody(p meta.Protocol, want string, got []byte) error {
	var a, b any
	switch p {
	case meta.RPCv2CBOR:
		raw, err := base64.StdEncoding.DecodeString(want)
		if err != nil {
			return err
		}
		if err := errors.Join(cborMode.Unmarshal(raw, &a), cborMode.Unmarshal(got, &b)); err != nil {
			return err
		}
	case meta.AWSJSON10, meta.AWSJSON11:
		if err := json.Unmarshal([]byte(want), &a); want != "" && err != nil {
			return err
		}
		if err := json.Unmarshal(got, &b); err != nil {
			return err
		}
	default:
		if bytes.HasPrefix(bytes.TrimSpace([]byte(want)), []byte("<")) {
			a, b = xmlTree([]byte(want)), xmlTree(got)
		} else {
			a, b = want, string(got)
		}
	}
	if d := cmp.Diff(a, b, nanEqual); d != "" {
		return errors.New(d + string(got))
	}
	return nil
}

type xmlNode struct {
	Name     string
	Text     string
	Children []xmlNode
}

// xmlTree drops white space between elements, namespaces, the request id, and the order of different children.
func xmlTree(b []byte) xmlNode {
	dec := xml.NewDecoder(bytes.NewReader(b))
	var read func(string) xmlNode
	read = func(name string) xmlNode {
		n := xmlNode{Name: name}
		for {
			t, err := dec.Token()
			if err != nil {
				return n
			}
			switch t := t.(type) {
			case xml.StartElement:
				c := read(t.Name.Local)
				for _, a := range t.Attr {
					if a.Name.Space != "xmlns" && a.Name.Local != "xmlns" {
						c.Children = append(c.Children, xmlNode{Name: "@" + a.Name.Local, Text: a.Value})
					}
				}
				if c.Name != "ResponseMetadata" && !strings.EqualFold(c.Name, "RequestId") {
					n.Children = append(n.Children, c)
				}
			case xml.CharData:
				n.Text += string(t)
			case xml.EndElement:
				if len(n.Children) > 0 || strings.TrimSpace(n.Text) == "" {
					n.Text = ""
				}
				slices.SortStableFunc(n.Children, func(a, b xmlNode) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
				return n
			}
		}
	}
	root := read("")
	if len(root.Children) != 1 {
		return root
	}
	root = root.Children[0]
	root.Name = "" // no client looks at it
	return root
}

// vectorException gives the reason why a case is not run: it tests a client's business, or differs on purpose.
func vectorException(way, id string) string {
	for _, e := range []struct{ way, part, why string }{
		{"input", "SDKAppli", "compression is undone before the codec"},
		{"input", "SDKAppend", "compression is undone before the codec"},
		{"input", "IdempotencyTokenAutoFill", "the client makes the token"},
		{"input", "RestXmlQuery", "no service of ours binds all query parameters to a map"},
		{"output", "TiveOffset", "the client must read offsets; we write UTC"},
		{"output", "DontDeserializeNull", "the client must skip null; we write none"},
		{"output", "DoesntDeserializeNull", "the client must skip null; we write none"},
		{"output", "SkipsNull", "the client must skip null; we write none"},
		{"output", "PayloadWithUnsetUnion", "the client must skip unknown members; we write none"},
		{"output", "ExtraFieldsInTheBody", "the client must skip unknown members; we write none"},
		{"output", "WhiteSpace", "the client must trim; we write no white space"},
		{"output", "XMLPreamble", "the client must skip a comment; we write none"},
		{"output", "empty_output_no_body", "the client must take no body for an empty one"},
		{"output", "QueryEmptyInputAndEmptyOutput", "the client must take no body; we write the empty document"},
		{"output", "QueryNoInputAndOutput", "the client must take no body; we write the empty document"},
		{"output", "IntEnums", "the vector lists a request's header"},
	} {
		if e.way == way && strings.Contains(strings.ToLower(id), strings.ToLower(e.part)) {
			return e.why
		}
	}
	return ""
}
