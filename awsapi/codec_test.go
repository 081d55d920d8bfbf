package awsapi

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/aws/smithy-go"

	"miniaws/awsapi/meta"
	_ "miniaws/awsapi/meta/unions" // of all services
	"miniaws/awsapi/wire"
)

func TestQueryAnswer(t *testing.T) {
	v := demoOutput(*demoValue())
	v.Names = []string{}
	for p, want := range map[meta.Protocol]string{
		meta.AWSQuery: `<?xml version="1.0" encoding="UTF-8"?>
<DoResponse xmlns="https://demo.example/doc/"><DoResult><Name>a &lt;&amp;&gt; &quot;é&quot;
&#xD;]]&gt;</Name><Count>-7</Count><Plain>1099511627776</Plain><Ratio>0.25</Ratio><Small>1.0E10</Small><On>true</On><Color>red</Color>` +
			`<Colors><member>red</member><member>green</member></Colors><Data>AAH/</Data><At>2024-05-06T07:08:09.25Z</At><Day>2024-05-06T07:08:09Z</Day>` +
			`<Tags><member><Key>k1</Key><Value>v1</Value></member><member><Key>k2</Key></member></Tags><Names></Names><Item>f1</Item><Item>f2</Item>` +
			`<Map><entry><key>a</key><value>1</value></entry><entry><key>b</key><value>&lt;2&gt;</value></entry></Map>` +
			`<FlatMap><key>x</key><value><Key>y</Key></value></FlatMap><Tree><Name>root</Name><Children><member><Name>leaf</Name></member></Children></Tree>` +
			`<Choice><text>t</text></Choice><Matrix><member><member>a</member><member>b</member></member><member><member>c</member></member></Matrix>` +
			`</DoResult><ResponseMetadata><RequestId>rid</RequestId></ResponseMetadata></DoResponse>`,
	} {
		r, err := demoCodec(p).Encode(p, "Do", "rid", &v, nil)
		if err != nil {
			t.Fatal(err)
		}
		if string(r.Body) != want {
			t.Errorf("%v:\n%s\nwant\n%s", p, r.Body, want)
		}
	}
	for p, want := range map[meta.Protocol]string{
		meta.AWSQuery:  xmlDeclaration + `<NothingResponse xmlns="https://demo.example/doc/"><NothingResult></NothingResult><ResponseMetadata><RequestId>rid</RequestId></ResponseMetadata></NothingResponse>`,
		meta.EC2Query:  xmlDeclaration + `<NothingResponse xmlns="https://demo.example/doc/"><requestId>rid</requestId><NothingResult></NothingResult></NothingResponse>`,
		meta.AWSJSON11: `{}`,
		meta.RPCv2CBOR: "\xbf\xff",
	} {
		r, err := demoCodec(p).Encode(p, "Nothing", "rid", &struct{}{}, nil)
		if err != nil || string(r.Body) != want {
			t.Errorf("%v: %q %v", p, r.Body, err)
		}
	}
}

func TestJSONAnswer(t *testing.T) {
	v := demoOutput{Name: ptr("\x00\u2028é\"\\"), Ratio: ptr(math.Inf(1)), Small: ptr[float32](0.1), At: ptr(at2024(5)), Day: ptr(at2024(5)), Data: []byte{1}, Map: map[string]string{}}
	r, err := demoCodec(meta.AWSJSON11).Encode(meta.AWSJSON11, "Do", "rid", &v, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"Name":"\u0000` + "\u2028" + `é\"\\","Plain":0,"Ratio":"Infinity","Small":0.1,"Data":"AQ==","At":1714979289.005,"Day":"2024-05-06T07:08:09.005Z","Map":{}}`
	if string(r.Body) != want {
		t.Errorf("%s\nwant\n%s", r.Body, want)
	}
}

func TestJSONRequests(t *testing.T) {
	c := demoCodec(meta.AWSJSON10)
	in := &demoInput{}
	body := ` {"Name":"\ud83d\ude00\ud800x\u0041","Unknown":{"a":[1,{"b":null}],"c":-1.5e3,"e":1E400,"z":-0,"d":true},"Count":1e1,"Tags":[{"Key":null}],"Tree":null,"At":"2024-05-06T07:08:09.25Z","Choice":{"__type":"x","tree":{"Name":"n"}}} `
	if _, err := c.Decode(meta.AWSJSON10, "Do", &Message{Body: []byte(body)}, in); err != nil {
		t.Fatal(err)
	}
	want := &demoInput{Name: ptr("😀\uFFFDxA"), Count: ptr[int32](10), Tags: []demoTag{{}}, At: ptr(at2024(250)), Choice: &choiceTree{Value: demoTree{Name: ptr("n")}}}
	if d := diff(want, in); d != "" {
		t.Error(d)
	}
	for _, bad := range []string{`{`, `[]`, `{"Name":1}`, `{"Count":1.5}`, `{"Count":99999999999}`, `{"Name":"a"}x`, `{"Name":"\x"}`, "{\"Name\":\"\n\"}", `{"Name":"` + "\xff" + `"}`,
		`{"a":` + strings.Repeat("[", 100000) + `}`, `{"Tags":[{},]}`, `{"On":"true"}`, `{,}`, `{"Data":"%"}`, `nul`, `{"Count":+5}`, `{"Count":007}`, `{"Count":-}`, `{"Ratio":.5}`, `{"Ratio":5.}`, `{"Ratio":1e}`, `{"x":00}`, `{"x":1-2}`, `{"At":1e300}`} {
		_, err := c.Decode(meta.AWSJSON10, "Do", &Message{Body: []byte(bad)}, &demoInput{})
		var e *Error
		if !errors.As(err, &e) || e.Code != "SerializationException" || e.Status != 400 {
			t.Errorf("%.60s: %v", bad, err)
		}
	}
	many := `{"Tags":[` + strings.Repeat("{},", maxElements) + `{}]}`
	if _, err := c.Decode(meta.AWSJSON10, "Do", &Message{Body: []byte(many)}, &demoInput{}); err == nil {
		t.Error("too many elements accepted")
	}
}

func TestXMLRequests(t *testing.T) {
	c := demoCodec(meta.RESTXML)
	for _, bad := range []string{"<a>", "<a></b>", "text", "<a/><b/>", "<!DOCTYPE a [<!ENTITY x 'y'>]><a><Name>&x;</Name></a>", "<a>" + strings.Repeat("<b>", 200) + strings.Repeat("</b>", 200) + "</a>", "<a><Count>x</Count></a>"} {
		_, err := c.Decode(meta.RESTXML, "Do", &Message{Body: []byte(bad)}, &demoInput{})
		var e *Error
		if !errors.As(err, &e) || e.Status != 400 || e.Code != "MalformedXML" {
			t.Errorf("%.60s: %v", bad, err)
		}
	}
	in := &demoInput{}
	if _, err := c.Decode(meta.RESTXML, "Do", &Message{Body: []byte(`<Any xmlns="x"><Flat>1</Flat><Odd><z/></Odd><Flat>2</Flat><Name><![CDATA[<x>]]></Name></Any>`)}, in); err != nil {
		t.Fatal(err)
	}
	if d := diff(&demoInput{Name: ptr("<x>"), Flat: []string{"1", "2"}}, in); d != "" {
		t.Error(d)
	}
}

func TestBindings(t *testing.T) {
	c := demoCodec(meta.RESTXML)
	op, _ := c.Op("PutObject")
	labels, ok := MatchURI(op.URI, "/b%20b/a//../k%2Fé%2B")
	if !ok {
		t.Fatal("no match")
	}
	m := &Message{
		Labels: labels, Query: url.Values{"partNumber": {"3"}, "id": {"1", "2"}}, Body: []byte("content"),
		Header: http.Header{"If-Modified-Since": {"Mon, 06 May 2024 07:08:09 GMT"}, "X-Amz-Length": {" 5 "}, "X-Amz-Colors": {`red, "gr,een"`, "blue"}, "X-Amz-Meta-Some-Key": {"v"}, "X-Amz-Meta-": {"no"}},
	}
	in := &demoObjectInput{}
	if _, err := c.Decode(meta.RESTXML, "PutObject", m, in); err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(in.Body); err != nil || string(b) != "content" {
		t.Errorf("body %q %v", b, err)
	}
	in.Body = nil
	want := &demoObjectInput{Bucket: ptr("b b"), Key: ptr("a//../k/é+"), Part: ptr[int32](3), Ids: []string{"1", "2"}, Modified: ptr(at2024(0)), Length: ptr[int64](5),
		Colors: []color{"red", "gr,een", "blue"}, Metadata: map[string]string{"some-key": "v"}}
	if d := diff(want, in); d != "" {
		t.Error(d)
	}
	for p, want := range map[meta.Protocol]string{meta.RESTXML: "MalformedInput", meta.RESTJSON: "SerializationException"} {
		_, err := demoCodec(p).Decode(p, "PutObject", &Message{Query: url.Values{"partNumber": {"x"}}}, &demoObjectInput{})
		var e *Error
		if !errors.As(err, &e) || e.Code != want {
			t.Errorf("%v: %v", p, err)
		}
	}
	c.Service.SigningName = "s3"
	_, err := c.Decode(meta.RESTXML, "PutObject", &Message{Query: url.Values{"partNumber": {"x"}}}, &demoObjectInput{})
	if err == nil || err.Error() != "InvalidArgument: partNumber: 'x' is not an integer of 32 bits" {
		t.Error(err)
	}
	c.Service.SigningName = "demo"
	if r, err := c.Encode(meta.RESTXML, "PutObject", "rid", &demoObjectOutput{}, nil); err != nil || r.Status != 200 {
		t.Error(r, err)
	}
	out := &demoObjectOutput{ETag: ptr(`"x"`), Modified: ptr(at2024(0)), Names: []string{"a", "b,c"}, Metadata: map[string]string{"k": "v\r\nX-Evil: 1"}, Status: 206, Result: &demoTag{Key: ptr("k")}}
	r, err := c.Encode(meta.RESTXML, "PutObject", "rid", out, nil)
	if err != nil {
		t.Fatal(err)
	}
	if r.Status != 206 || r.Header.Get("Etag") != `"x"` || r.Header.Get("Last-Modified") != "Mon, 06 May 2024 07:08:09 GMT" || r.Header.Get("X-Amz-Names") != `a, "b,c"` {
		t.Error(r)
	}
	if v := r.Header.Get("X-Amz-Meta-K"); strings.ContainsAny(v, "\r\n") {
		t.Errorf("header splits: %q", v)
	}
	if want := xmlDeclaration + `<TagResult xmlns="https://demo.example/doc/"><Key>k</Key></TagResult>`; string(r.Body) != want {
		t.Errorf("%s", r.Body)
	}
}

func TestMatchURI(t *testing.T) {
	for _, c := range []struct {
		template, path string
		want           string
	}{
		{"/", "/", "map[]"},
		{"/{Bucket}?list-type=2", "/b", "map[Bucket:b]"},
		{"/{Bucket}", "/b/", "map[Bucket:b]"},
		{"/{Bucket}", "/", ""},
		{"/{Bucket}", "/b/k", ""},
		{"/{Bucket}/{Key+}", "/b//k/", "map[Bucket:b Key:/k/]"},
		{"/{Bucket}/{Key+}", "/b", ""},
		{"/i/{Name+}/policy", "/i/a/b/policy", "map[Name:a/b]"},
		{"/i/{Name+}/policy", "/i/a/b", ""},
		{"/2013-04-01/hostedzone/{Id}/rrset", "/2013-04-01/hostedzone/Z1/rrset", "map[Id:Z1]"},
		{"/{A}", "/%zz", ""},
	} {
		got, ok := MatchURI(c.template, c.path)
		if text := fmt.Sprint(got); ok != (c.want != "") || (ok && text != c.want) {
			t.Errorf("MatchURI(%q, %q) = %v, %v", c.template, c.path, got, ok)
		}
	}
}

func TestErrors(t *testing.T) {
	typed := &demoGone{Message: ptr("it <went>"), Which: ptr("w"), Tags: []demoTag{{Key: ptr("k")}}}
	free := &Error{Code: "Bad.Thing", Message: "no <good>", Status: 409, Fields: map[string]string{"Key": "k&"}}
	d := xmlDeclaration
	for _, c := range []struct {
		p      meta.Protocol
		err    error
		status int
		body   string
	}{
		{meta.EC2Query, free, 409, d + `<Response><Errors><Error><Code>Bad.Thing</Code><Message>no &lt;good&gt;</Message></Error></Errors><RequestID>rid</RequestID></Response>`},
		{meta.AWSQuery, free, 409, d + `<ErrorResponse xmlns="https://demo.example/doc/"><Error><Type>Sender</Type><Code>Bad.Thing</Code><Message>no &lt;good&gt;</Message><Key>k&amp;</Key></Error><RequestId>rid</RequestId></ErrorResponse>`},
		{meta.AWSJSON11, free, 409, `{"__type":"Bad.Thing","message":"no <good>","Message":"no <good>","Key":"k&"}`},
		{meta.AWSJSON11, typed, 410, `{"__type":"Demo.Gone","message":"it <went>","Which":"w","Tags":[{"Key":"k"}]}`},
		{meta.AWSQuery, fmt.Errorf("wrapped: %w", typed), 410, d + `<ErrorResponse xmlns="https://demo.example/doc/"><Error><Type>Sender</Type><Code>Old.Gone</Code><Message>it &lt;went&gt;</Message><Which>w</Which><Tags><member><Key>k</Key></member></Tags></Error><RequestId>rid</RequestId></ErrorResponse>`},
		{meta.AWSJSON11, io.ErrUnexpectedEOF, 500, `{"__type":"InternalFailure","message":"We encountered an internal error. Please try again.","Message":"We encountered an internal error. Please try again."}`},
		{meta.RESTJSON, &Error{Code: "Demo.Gone", Message: "m"}, 410, `{"__type":"Demo.Gone","message":"m","Message":"m"}`},
		{meta.AWSJSON11, &smithy.GenericAPIError{Code: "X", Message: "m", Fault: smithy.FaultServer}, 500, `{"__type":"X","message":"m","Message":"m"}`},
	} {
		r := demoCodec(c.p).EncodeError(c.p, "rid", c.err)
		if r.Status != c.status || string(r.Body) != c.body {
			t.Errorf("%v: %d %s\nwant %d %s", c.p, r.Status, r.Body, c.status, c.body)
		}
	}
	// A service that moved from awsQuery tells the old code, too.
	c := demoCodec(meta.RPCv2CBOR)
	c.Service.Protocols = append(c.Service.Protocols, meta.AWSQuery)
	r := c.EncodeError(meta.RPCv2CBOR, "rid", typed)
	if got := r.Header.Get("X-Amzn-Query-Error"); got != "Old.Gone;Sender" {
		t.Errorf("x-amzn-query-error: %q", got)
	}
	if !bytes.Contains(r.Body, []byte("Demo.Gone")) || r.Header.Get("Smithy-Protocol") != "rpc-v2-cbor" {
		t.Errorf("%q", r.Body)
	}
}

func TestS3Errors(t *testing.T) {
	c := NewCodec(meta.S3)
	r := c.EncodeError(meta.RESTXML, "rid", &Error{Code: "NoSuchKey", Message: "The specified key does not exist.", Fields: map[string]string{"Key": "k"}})
	want := xmlDeclaration + `<Error><Code>NoSuchKey</Code><Message>The specified key does not exist.</Message><Key>k</Key><RequestId>rid</RequestId><HostId>` + hostID("rid") + `</HostId></Error>`
	if string(r.Body) != want || r.Status != 404 || r.Header.Get("X-Amz-Request-Id") != "rid" {
		t.Errorf("%d %s %v", r.Status, r.Body, r.Header)
	}
}

func TestFloats(t *testing.T) {
	for f, want := range map[float64]string{0: "0.0", 1: "1.0", -2.5: "-2.5", 0.001: "0.001", 9999999: "9999999.0", 1e7: "1.0E7", 1.5e-10: "1.5E-10", 0.0001: "1.0E-4", math.Inf(-1): "-Infinity", 1e300: "1.0E300"} {
		if got := string(appendFloat(nil, f, 64)); got != want {
			t.Errorf("%v: %s, want %s", f, got, want)
		}
	}
}

func TestTimes(t *testing.T) {
	want := at2024(0)
	for _, s := range []string{"2024-05-06T07:08:09Z", "2024-05-06T09:08:09+02:00", "Mon, 06 May 2024 07:08:09 GMT", "1714979289", "20240506T070809Z", "2024-05-06T07:08:09"} {
		if got, err := parseTime(s); err != nil || !got.Equal(want) {
			t.Errorf("%s: %v %v", s, got, err)
		}
	}
	for _, s := range []string{"9999-12-31T23:59:59-01:00", "0000-01-01T00:00:00+01:00", "253402300800", "-62167219201", "1e300", "NaN", "Infinity"} {
		if got, err := parseTime(s); err == nil {
			t.Errorf("%s: %v", s, got)
		}
	}
	c := demoCodec(meta.RPCv2CBOR)
	for seconds, ok := range map[float64]bool{1714979289.25: true, -62135596799: true, 253402300799: true, 253402300800: false, -62167219201: false, 1e18: false, math.NaN(): false, math.Inf(1): false} {
		body := cborFloat(append(cborString([]byte{cborOpen}, "At"), cborEpoch), seconds)
		if _, err := c.Decode(meta.RPCv2CBOR, "Do", &Message{Body: append(body, cborBreak)}, &demoInput{}); (err == nil) != ok {
			t.Errorf("tag 1, %v: %v", seconds, err)
		}
	}
	if got := string(appendTime(nil, at2024(5), wire.HTTPDate)); got != "Mon, 06 May 2024 07:08:09 GMT" {
		t.Error(got)
	}
}

// Plans are compiled once, whoever comes first; the race detector looks at this one.
func TestConcurrentFirstUse(t *testing.T) {
	c := demoCodec(meta.AWSJSON11)
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			v := demoOutput(*demoValue())
			r, err := c.Encode(meta.AWSJSON11, "Do", "rid", &v, nil)
			if err != nil {
				t.Error(err)
				return
			}
			if _, err := c.Decode(meta.AWSJSON11, "Do", &Message{Body: r.Body}, &demoInput{}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

func TestFormValues(t *testing.T) {
	v, err := FormValues("X=1&Action=Do%54&Version=2020&Y=%zz", "Action", "Version")
	if err != nil || v["Action"] != "DoT" || v["Version"] != "2020" {
		t.Error(v, err)
	}
}

// InstanceType is an enumeration whose lists EC2, and nobody else, checks itself.
type InstanceType string

// TestInstanceTypes: a list of them is EC2's own to refuse; in another service it is a list like every other.
func TestInstanceTypes(t *testing.T) {
	list := &plan{kind: kindList, typ: reflect.TypeFor[[]InstanceType](), elem: &plan{kind: kindString, typ: reflect.TypeFor[InstanceType]()}}
	for _, c := range []struct {
		ec2  bool
		want int
	}{{true, 0}, {false, 1}} {
		w := &validation{rules: &ruleTables{enums: map[string][]string{"InstanceType": {"t3.micro"}}}, checks: CheckDefault, ec2: c.ec2}
		w.elements(list, nil, reflect.ValueOf([]InstanceType{"t3.micro", "t3.tiny"}), nil)
		if len(w.failures) != c.want {
			t.Errorf("of EC2 %v: %v", c.ec2, w.failures)
		}
	}
}

func TestValidate(t *testing.T) {
	for _, c := range []struct {
		in     *demoInput
		checks Checks
		want   string
	}{
		{&demoInput{Name: ptr("abc"), Color: "red"}, CheckAll, ""},
		{&demoInput{}, CheckDefault, "ValidationException: 1 validation error detected: Value null at 'name' failed to satisfy constraint: Member must not be null"},
		{&demoInput{Name: ptr("abcdefgh!"), Count: ptr[int32](5)}, CheckDefault, ""},
		{&demoInput{Name: ptr("abcdefgh"), Count: ptr[int32](5)}, CheckAll, "ValidationException: 2 validation errors detected: Value 'abcdefgh' at 'name' failed to satisfy constraint: Member must have length less than or equal to 5; Value '5' at 'count' failed to satisfy constraint: Member must have value greater than or equal to 10"},
		{&demoInput{Name: ptr("a!c")}, CheckAll, "ValidationException: 1 validation error detected: Value 'a!c' at 'name' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-z]+"},
		{&demoInput{Name: ptr("abc"), Color: "blue"}, CheckDefault, "ValidationException: 1 validation error detected: Value 'blue' at 'color' failed to satisfy constraint: Member must satisfy enum value set: [red, green]"},
		{&demoInput{Name: ptr("abc"), Colors: []color{"red", "blue"}}, CheckDefault, "ValidationException: 1 validation error detected: Value '[red, blue]' at 'colors' failed to satisfy constraint: Member must satisfy constraint: [Member must satisfy enum value set: [red, green]]"},
		{&demoInput{Name: ptr("abc"), Tags: []demoTag{{Value: ptr("v")}}}, CheckDefault, "ValidationException: 1 validation error detected: Value null at 'tags.1.member.key' failed to satisfy constraint: Member must not be null"},
		{&demoInput{Name: ptr("abc"), FlatMap: map[string]demoTag{"x": {}}}, CheckDefault, "ValidationException: 1 validation error detected: Value null at 'flatMap.x.member.key' failed to satisfy constraint: Member must not be null"},
		{&demoInput{Name: ptr("abc"), Map: map[string]string{"k": "v"}}, CheckAll, ""},
		{&demoInput{Name: ptr("abc"), Map: map[string]string{"k": "v", "long!": "w"}}, CheckAll, "ValidationException: 1 validation error detected: Value '{k=v, long!=w}' at 'map' failed to satisfy constraint: Map keys must satisfy constraint: [Member must have length less than or equal to 3, Member must satisfy regular expression pattern: [a-z]+]"},
	} {
		err := demoCodec(meta.AWSJSON11).Validate(meta.AWSJSON11, "Do", c.in, c.checks)
		got := ""
		if err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%s\nwant\n%s", got, c.want)
		}
	}
}

func TestUnknownOperations(t *testing.T) {
	for p, want := range map[meta.Protocol]string{
		meta.AWSQuery: "400 InvalidAction", meta.EC2Query: "400 InvalidAction", meta.AWSJSON11: "400 UnknownOperationException",
		meta.RPCv2CBOR: "404 UnknownOperationException", meta.RESTXML: "405 MethodNotAllowed",
	} {
		e := UnknownOperation(p, "X")
		if got := fmt.Sprint(e.Status, " ", e.Code); got != want {
			t.Errorf("%v: %s, want %s", p, got, want)
		}
	}
	r := NewCodec(meta.SSM).EncodeError(meta.AWSJSON11, "rid", NotImplemented(meta.SSM, "PutInventory"))
	if r.Status != 501 || !strings.Contains(string(r.Body), `"ssm:PutInventory is not implemented`) {
		t.Errorf("%d %s", r.Status, r.Body)
	}
}

func TestStatuses(t *testing.T) {
	for _, c := range []struct {
		s    *meta.Service
		p    meta.Protocol
		code string
		want int
	}{
		{meta.EC2, meta.EC2Query, "InvalidInstanceID.NotFound", 400},
		{meta.EC2, meta.EC2Query, "UnauthorizedOperation", 403},
		{meta.EC2, meta.EC2Query, "RequestLimitExceeded", 503},
		{meta.IAM, meta.AWSQuery, "NoSuchEntity", 404},
		{meta.IAM, meta.AWSQuery, "EntityAlreadyExists", 409},
		{meta.IAM, meta.AWSQuery, "AccessDenied", 403},
		{meta.RDS, meta.AWSQuery, "DBInstanceNotFound", 404},
		{meta.S3, meta.RESTXML, "NoSuchBucket", 404},
		{meta.S3, meta.RESTXML, "PreconditionFailed", 412},
		{meta.SSM, meta.AWSJSON11, "ParameterNotFound", 400},
		{meta.SQS, meta.AWSJSON10, "QueueDoesNotExist", 400},
	} {
		r := NewCodec(c.s).EncodeError(c.p, "rid", &Error{Code: c.code})
		if r.Status != c.want {
			t.Errorf("%s %s: %d, want %d", c.s.Name, c.code, r.Status, c.want)
		}
	}
}
