package awsapi

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"miniaws/awsapi/meta"
	"miniaws/awsapi/wire"
)

// A made-up service with every kind of value, so that the codecs' own tests need no SDK package.

type color string

type demoTag struct {
	Key   *string
	Value *string
}

type demoTree struct {
	Name     *string
	Children []demoTree
}

type choice interface{ isChoice() }

type choiceText struct{ Value string }

type choiceTree struct{ Value demoTree }

func (*choiceText) isChoice() {}
func (*choiceTree) isChoice() {}

type demoInput struct {
	Name    *string
	Count   *int32
	Plain   int64
	Ratio   *float64
	Small   *float32
	On      *bool
	Color   color
	Colors  []color
	Data    []byte
	At      *time.Time
	Day     *time.Time
	Tags    []demoTag
	Names   []string
	Flat    []string
	Map     map[string]string
	FlatMap map[string]demoTag
	Tree    *demoTree
	Choice  choice
	Matrix  [][]string
	Choices []choice
}

type demoOutput demoInput

type demoObjectInput struct {
	Bucket   *string
	Key      *string
	Part     *int32
	Ids      []string
	Modified *time.Time
	Length   *int64
	Colors   []color
	Metadata map[string]string
	Body     io.Reader
}

type demoObjectOutput struct {
	ETag     *string
	Modified *time.Time
	Names    []string
	Metadata map[string]string
	Status   int32
	Result   *demoTag
}

type demoGone struct {
	Message *string
	Which   *string
	Tags    []demoTag
}

func (e *demoGone) Error() string                 { return e.ErrorCode() + ": " + e.ErrorMessage() }
func (e *demoGone) ErrorCode() string             { return "Demo.Gone" }
func (e *demoGone) ErrorMessage() string          { return *e.Message }
func (e *demoGone) ErrorFault() smithy.ErrorFault { return smithy.FaultClient }

func demoMembers() []wire.Member {
	m := func(field string, target int32, flags wire.Flags) wire.Member {
		return wire.Member{Field: field, Name: field, Target: target, Flags: flags}
	}
	flat := m("Flat", 1, wire.Flat)
	flat.Alt = "Item"
	return []wire.Member{
		m("Name", -1, wire.Required), m("Count", -1, 0), m("Plain", -1, 0), m("Ratio", -1, 0), m("Small", -1, 0), m("On", -1, 0), m("Color", -1, 0),
		m("Colors", 1, 0), m("Data", -1, 0), m("At", -1, 0), m("Day", -1, wire.DateTime), m("Tags", 2, 0), m("Names", 1, 0), flat, m("Map", 4, 0), m("FlatMap", 5, wire.Flat),
		m("Tree", 6, 0), m("Choice", 8, 0), m("Matrix", 9, 0), m("Choices", 13, 0),
	}
}

// demoCodec is the codec of the made-up service, speaking one protocol first.
func demoCodec(p meta.Protocol) *Codec {
	m := func(field, name string, loc wire.Location, flags wire.Flags, target int32) wire.Member {
		return wire.Member{Field: field, Name: name, Location: loc, Flags: flags, Target: target}
	}
	shapes := []wire.Shape{
		{Members: demoMembers()},
		{Kind: wire.List, Elem: "member", Target: -1},
		{Kind: wire.List, Elem: "member", Target: 3},
		{Members: []wire.Member{m("Key", "Key", 0, wire.Required, -1), m("Value", "Value", 0, 0, -1)}},
		{Kind: wire.Map, Elem: "entry", Key: "key", Value: "value", Target: -1},
		{Kind: wire.Map, Elem: "entry", Key: "key", Value: "value", Target: 3},
		{Members: []wire.Member{m("Name", "Name", 0, 0, -1), m("Children", "Children", 0, 0, 7)}},
		{Kind: wire.List, Elem: "member", Target: 6},
		{Kind: wire.Union, Members: []wire.Member{m("choiceText", "text", 0, 0, -1), m("choiceTree", "tree", 0, 0, 6)}},
		{Kind: wire.List, Elem: "member", Target: 1},
		{Members: []wire.Member{ // 10: object input
			m("Bucket", "Bucket", wire.Path, 0, -1), m("Key", "Key", wire.Path, 0, -1), m("Part", "partNumber", wire.Query, 0, -1), m("Ids", "id", wire.Query, 0, -1),
			m("Modified", "If-Modified-Since", wire.Header, wire.HTTPDate, -1), m("Length", "X-Amz-Length", wire.Header, 0, -1), m("Colors", "X-Amz-Colors", wire.Header, 0, -1),
			m("Metadata", "X-Amz-Meta-", wire.PrefixHeaders, 0, -1), m("Body", "Body", wire.Payload, 0, -1),
		}},
		{Members: []wire.Member{ // 11: object output
			m("ETag", "ETag", wire.Header, 0, -1), m("Modified", "Last-Modified", wire.Header, wire.HTTPDate, -1), m("Names", "X-Amz-Names", wire.Header, 0, -1),
			m("Metadata", "x-amz-meta-", wire.PrefixHeaders, 0, -1), m("Status", "Status", wire.StatusCode, 0, -1), m("Result", "Result", wire.Payload, 0, 3),
		}},
		{Members: []wire.Member{m("Message", "message", 0, 0, -1), m("Which", "Which", 0, 0, -1), m("Tags", "Tags", 0, 0, 2)}},
		{Kind: wire.List, Elem: "member", Target: 8}, // 13
	}
	w := &wire.Service{
		Name: "demo", Requests: shapes, Responses: shapes,
		Ops: []wire.Op{
			{Name: "Do", In: 0, Out: 0, Wrapper: "DoResult", Method: "POST", URI: "/do"},
			{Name: "Nothing", In: -1, Out: -1, Wrapper: "NothingResult"},
			{Name: "PutObject", In: 10, Out: 11, Wrapper: "TagResult", Method: "PUT", URI: "/{Bucket}/{Key+}?x-id=PutObject"},
		},
		Errors: []wire.Error{{Type: "demoGone", Code: "Demo.Gone", QueryCode: "Old.Gone", Shape: 12, Status: 410}},
	}
	c := NewCodec(&meta.Service{Name: "demo", Version: "2020-01-01", Namespace: "https://demo.example/doc/", Protocols: []meta.Protocol{p}, SigningName: "demo"})
	c.once.Do(func() {
		c.wire, c.ops, c.plans, c.warns = w, map[string]*opPlans{}, map[planKey]*plan{}, map[string]bool{}
		for i := range w.Ops {
			c.ops[w.Ops[i].Name] = &opPlans{op: &w.Ops[i]}
		}
		c.unions = map[reflect.Type][]reflect.Type{reflect.TypeFor[choice](): {reflect.TypeFor[choiceText](), reflect.TypeFor[choiceTree]()}}
	})
	c.rulesOnce.Do(func() {
		c.rules = &ruleTables{enums: map[string][]string{"color": {"red", "green"}}, members: map[[2]int32]*rule{
			{0, 0}:  newRule(&wire.Constraint{Min: 2, HasMin: true, Max: 5, HasMax: true, Pattern: `[a-z]+`}),
			{0, 14}: newRule(&wire.Constraint{Key: &wire.Constraint{Max: 3, HasMax: true, Pattern: `[a-z]+`}}),
			{0, 1}:  newRule(&wire.Constraint{Min: 10, HasMin: true}),
		}}
	})
	return c
}

func ptr[T any](v T) *T { return &v }

func at2024(ms int) time.Time { return time.Date(2024, 5, 6, 7, 8, 9, ms*1e6, time.UTC) }

func demoValue() *demoInput {
	return &demoInput{
		Name: ptr("a <&> \"é\"\n\r]]>"), Count: ptr[int32](-7), Plain: 1 << 40, Ratio: ptr(0.25), Small: ptr[float32](1e10), On: ptr(true), Color: "red",
		Colors: []color{"red", "green"}, Data: []byte{0, 1, 255}, At: ptr(at2024(250)), Day: ptr(at2024(0)),
		Tags: []demoTag{{Key: ptr("k1"), Value: ptr("v1")}, {Key: ptr("k2")}}, Names: []string{"n1", "n2"}, Flat: []string{"f1", "f2"},
		Map: map[string]string{"a": "1", "b": "<2>"}, FlatMap: map[string]demoTag{"x": {Key: ptr("y")}},
		Tree:   &demoTree{Name: ptr("root"), Children: []demoTree{{Name: ptr("leaf")}}},
		Choice: &choiceText{Value: "t"}, Matrix: [][]string{{"a", "b"}, {"c"}},
	}
}

func diff(want, got any) string {
	return cmp.Diff(want, got, cmpopts.EquateEmpty(), cmp.AllowUnexported(demoInput{}))
}

func TestJSONThereAndBack(t *testing.T) { thereAndBack(t, meta.AWSJSON11) }
func TestCBORThereAndBack(t *testing.T) { thereAndBack(t, meta.RPCv2CBOR) }
func TestRESTXMLThereAndBack(t *testing.T) {
	thereAndBack(t, meta.RESTXML)
}
func TestRESTJSONThereAndBack(t *testing.T) { thereAndBack(t, meta.RESTJSON) }

// thereAndBack encodes an answer and reads it as a request: the two have the same shape here.
func thereAndBack(t *testing.T, p meta.Protocol) {
	t.Helper()
	c := demoCodec(p)
	for _, v := range []*demoInput{demoValue(), {}, {Choice: &choiceTree{Value: demoTree{Name: ptr("n")}}, Tags: []demoTag{}, Data: []byte{}}} {
		out := demoOutput(*v)
		r, err := c.Encode(p, "Do", "rid", &out, nil)
		if err != nil {
			t.Fatal(err)
		}
		in := &demoInput{}
		if _, err := c.Decode(p, "Do", &Message{Body: r.Body}, in); err != nil {
			t.Fatalf("%v\n%s", err, r.Body)
		}
		if d := diff(v, in); d != "" {
			t.Errorf("%s\n%s", d, r.Body)
		}
		if r.Header.Get("X-Amzn-Requestid") != "rid" {
			t.Error("no request id")
		}
	}
}

// A list of unions may hold a null from the wire, which neither the encoders nor Validate may trip over.
func TestNullUnions(t *testing.T) {
	for p, body := range map[meta.Protocol]string{
		meta.AWSJSON11: `{"Name":"abc","Choices":[null,{"text":"t"}]}`, meta.RPCv2CBOR: "\xa2dNamecabcgChoices\x82\xf6\xa1dtextat",
		meta.RESTXML: `<a><Name>abc</Name><Choices><member/><member><text>t</text></member></Choices></a>`,
	} {
		c, in := demoCodec(p), &demoInput{}
		if _, err := c.Decode(p, "Do", &Message{Body: []byte(body)}, in); err != nil {
			t.Fatalf("%v: %v", p, err)
		}
		if d := diff([]choice{nil, &choiceText{Value: "t"}}, in.Choices); d != "" {
			t.Errorf("%v: %s", p, d)
		}
		if err := c.Validate(p, "Do", in, CheckAll); err != nil {
			t.Errorf("%v: %v", p, err)
		}
		out := demoOutput(*in)
		r, err := c.Encode(p, "Do", "rid", &out, nil)
		if err != nil {
			t.Fatalf("%v: %v", p, err)
		}
		again := &demoInput{}
		if _, err := c.Decode(p, "Do", &Message{Body: r.Body}, again); err != nil || len(again.Choices) != 2 {
			t.Errorf("%v: %v %q", p, err, r.Body)
		}
	}
}

// A union with two members is refused, whatever order a map is read in.
func TestUnionsHaveOneMember(t *testing.T) {
	for p, body := range map[meta.Protocol]string{
		meta.AWSQuery: "Choice.text=t&Choice.tree.Name=n", meta.AWSJSON11: `{"Choice":{"text":"t","tree":{}}}`,
		meta.RPCv2CBOR: "\xa1fChoice\xa2dtextatdtree\xa0", meta.RESTXML: `<a><Choice><text>t</text><tree/></Choice></a>`,
	} {
		_, err := demoCodec(p).Decode(p, "Do", &Message{Body: []byte(body)}, &demoInput{})
		var e *Error
		if !errors.As(err, &e) || e.Status != 400 {
			t.Errorf("%v: %v", p, err)
		}
	}
}

const demoForm = "Action=Do&Version=2020-01-01&Name=a+%3C%26%3E&Count=-7&Plain=5&Ratio=0.25&On=true&Color=red&Colors.member.1=red&Colors.member.2=green" +
	"&Data=AAH%2F&At=2024-05-06T07%3A08%3A09.25Z&Tags.member.2.Key=k2&Tags.member.1.Key=k1&Tags.member.1.Value=v1&Names=" +
	"&Item.9=f2&Item.3=f1&Map.entry.1.key=a&Map.entry.1.value=1&FlatMap.1.key=x&FlatMap.1.value.Key=y&Tree.Name=root&Tree.Children.member.1.Name=leaf" +
	"&Choice.text=t&Matrix.member.1.member.1=a&Bogus.X=1&Tree.Bad=2"

func TestForm(t *testing.T) {
	c := demoCodec(meta.AWSQuery)
	in := &demoInput{}
	unknown, err := c.Decode(meta.AWSQuery, "Do", &Message{Body: []byte(demoForm)}, in)
	if err != nil {
		t.Fatal(err)
	}
	want := &demoInput{
		Name: ptr("a <&>"), Count: ptr[int32](-7), Plain: 5, Ratio: ptr(0.25), On: ptr(true), Color: "red", Colors: []color{"red", "green"}, Data: []byte{0, 1, 255},
		At: ptr(at2024(250)), Tags: []demoTag{{Key: ptr("k1"), Value: ptr("v1")}, {Key: ptr("k2")}}, Flat: []string{"f1", "f2"},
		Map: map[string]string{"a": "1"}, FlatMap: map[string]demoTag{"x": {Key: ptr("y")}}, Tree: &demoTree{Name: ptr("root"), Children: []demoTree{{Name: ptr("leaf")}}},
		Choice: &choiceText{Value: "t"}, Matrix: [][]string{{"a"}},
	}
	if d := diff(want, in); d != "" {
		t.Error(d)
	}
	if in.Names == nil {
		t.Error("Names= is an empty list, not an absent one")
	}
	if got := strings.Join(unknown, " "); got != "Tree.Bad Bogus" {
		t.Errorf("unknown parameters: %s", got)
	}
}

func TestFormErrors(t *testing.T) {
	c := demoCodec(meta.AWSQuery)
	for body, want := range map[string]string{
		"Count=x":                        "MalformedInput: Count: 'x' is not an integer of 32 bits",
		"Count=99999999999":              "MalformedInput: Count: '99999999999' is not an integer of 32 bits",
		"Tree.Children.member.1.Name=%z": "MalformedQueryString: The query string contains a syntax error.",
		"On=maybe":                       "MalformedInput: On: 'maybe' is not a boolean",
		"At=soon":                        "MalformedInput: At: 'soon' is not a timestamp",
		"Map.entry.1.value=1":            "MalformedInput: Map.1 has no key",
		"Choice.nothing=1":               "MalformedInput: Choice has no member nothing",
		"Data=%25":                       "MalformedInput: Data: the value is not base64",
	} {
		_, err := c.Decode(meta.AWSQuery, "Do", &Message{Body: []byte(body)}, &demoInput{})
		if err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", body, err, want)
		}
	}
}

func manyParameters(n int) []byte {
	var b bytes.Buffer
	for i := range n {
		fmt.Fprintf(&b, "Item.%d=x&", i)
	}
	return b.Bytes()
}

// BenchmarkManyParameters: each parameter costs the same, however many there are.
func BenchmarkManyParameters(b *testing.B) {
	c := demoCodec(meta.AWSQuery)
	for _, n := range []int{maxParameters / 10, maxParameters} {
		body := manyParameters(n)
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				if _, err := c.Decode(meta.AWSQuery, "Do", &Message{Body: body}, &demoInput{}); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/parameter")
		})
	}
}

// A hostile index costs no memory; what a hostile number of parameters costs is in BenchmarkManyParameters.
func TestFormLimits(t *testing.T) {
	c := demoCodec(meta.AWSQuery)
	in := &demoInput{}
	if _, err := c.Decode(meta.AWSQuery, "Do", &Message{Body: []byte("Flat.1=no&Item.9223372036854775807=z&Item.2147483648=a&Item.-1=n&Item.x=n")}, in); err != nil {
		t.Fatal(err)
	}
	if d := diff([]string{"a", "z"}, in.Flat); d != "" {
		t.Error(d)
	}
	if _, err := c.Decode(meta.AWSQuery, "Do", &Message{Body: []byte("Tree" + strings.Repeat(".Children.member.1", 40) + ".Name=x")}, in); err == nil {
		t.Error("120 levels accepted")
	}
	if _, err := c.Decode(meta.AWSQuery, "Do", &Message{Body: manyParameters(maxParameters)}, in); err != nil || len(in.Flat) != maxParameters {
		t.Error(len(in.Flat), err)
	}
	if _, err := c.Decode(meta.AWSQuery, "Do", &Message{Body: append(manyParameters(maxParameters), "Name=x"...)}, in); err == nil {
		t.Error("too many parameters accepted")
	}
}
