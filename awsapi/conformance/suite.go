package conformance

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"

	"miniaws/awsapi"
	"miniaws/awsapi/meta"
	_ "miniaws/awsapi/meta/unions" // of all services
	"miniaws/awsapi/wire"
)

// Exception is an operation that cannot make the whole way, and why.
type Exception struct {
	Op   string
	Skip []string // fields of the input that the client changes
	In   bool     // the input is not compared
	Out  bool     // the output is not compared
	Why  string
}

// Suite is one service's client and what must be known about it.
type Suite struct {
	Service    *meta.Service
	New        func(aws.Config) any // X.NewFromConfig
	Fixed      map[string]string    // texts for fields that the client itself looks at
	Skip       []string             // fields of inputs that the client changes
	SkipOut    []string             // fields of outputs that the client makes from others
	Exceptions []Exception
}

// wireClient is the client's HTTP side: it decodes the request and answers with what the test wants.
type wireClient struct {
	codec *awsapi.Codec
	op    string
	in    any   // to decode into
	out   any   // to answer with
	fail  error // to answer with instead
	err   error // what went wrong on our side
}

// Do implements the SDK's HTTPClient.
func (w *wireClient) Do(q *http.Request) (*http.Response, error) {
	w.err = nil
	p, m, err := message(w.codec, w.op, q)
	if err == nil && w.in != nil {
		var unknown []string
		if unknown, err = w.codec.Decode(p, w.op, m, w.in); err == nil && len(unknown) > 0 {
			err = errors.New("unknown parameters " + strings.Join(unknown, ", "))
		}
	}
	var r *awsapi.Reply
	if w.fail != nil {
		r = w.codec.EncodeError(p, "request-1", w.fail)
	} else {
		var encodeErr error
		if r, encodeErr = w.codec.Encode(p, w.op, "request-1", w.out, nil); encodeErr != nil {
			w.err = encodeErr
			return nil, encodeErr
		}
	}
	w.err = err
	body := io.NopCloser(bytes.NewReader(r.Body))
	length := int64(len(r.Body))
	if r.Stream != nil {
		body, length = r.Stream, -1
	}
	return &http.Response{StatusCode: r.Status, Header: r.Header, Body: body, ContentLength: length, Request: q}, nil
}

// message turns an HTTP request into a codec's message, as the server's pipeline will.
func message(c *awsapi.Codec, op string, q *http.Request) (meta.Protocol, *awsapi.Message, error) {
	m := &awsapi.Message{Query: q.URL.Query(), Header: q.Header}
	if q.Body != nil {
		body, err := io.ReadAll(q.Body)
		if err != nil {
			return 0, nil, err
		}
		if q.Header.Get("Content-Encoding") == "gzip" {
			z, err := gzip.NewReader(bytes.NewReader(body))
			if err != nil {
				return 0, nil, err
			}
			if body, err = io.ReadAll(z); err != nil {
				return 0, nil, err
			}
		}
		m.Body = body
	}
	p := c.Service.Protocols[0]
	if p == meta.RESTXML || p == meta.RESTJSON {
		o, _ := c.Op(op)
		labels, ok := awsapi.MatchURI(o.URI, q.URL.EscapedPath())
		if !ok {
			return p, m, errors.New(q.URL.EscapedPath() + " does not match " + o.URI)
		}
		if q.Method != o.Method {
			return p, m, errors.New(q.Method + " is not " + o.Method)
		}
		m.Labels = labels
	}
	return p, m, nil
}

// withoutChecks removes the client's own validation, which keeps it from sending everything. Operations without
// required members have none.
func withoutChecks(s *middleware.Stack) error {
	_, _ = s.Initialize.Remove("OperationInputValidation")
	return nil
}

func (s *Suite) client(w *wireClient) reflect.Value {
	return reflect.ValueOf(s.New(aws.Config{
		Region: "us-east-1", BaseEndpoint: aws.String("http://localhost:4566"), HTTPClient: w,
		Credentials:                credentials.NewStaticCredentialsProvider("AKID", "SECRET", ""),
		Retryer:                    func() aws.Retryer { return aws.NopRetryer{} },
		APIOptions:                 []func(*middleware.Stack) error{withoutChecks},
		RequestChecksumCalculation: aws.RequestChecksumCalculationWhenRequired, ResponseChecksumValidation: aws.ResponseChecksumValidationWhenRequired,
	}))
}

func (s *Suite) exception(op string) Exception {
	if i := slices.IndexFunc(s.Exceptions, func(e Exception) bool { return e.Op == op }); i >= 0 {
		return s.Exceptions[i]
	}
	return Exception{}
}

// call invokes an operation of the client by name.
func call(client reflect.Value, op string, in reflect.Value) (out any, err error) {
	m := client.MethodByName(op)
	ret := m.CallSlice([]reflect.Value{reflect.ValueOf(context.Background()), in, reflect.Zero(m.Type().In(2))})
	if e, ok := ret[1].Interface().(error); ok {
		err = e
	}
	return ret[0].Interface(), err
}

// Run makes every operation's way in both directions.
func (s *Suite) Run(t *testing.T) {
	codec := awsapi.NewCodec(s.Service)
	w := &wireClient{codec: codec}
	client := s.client(w)
	ins, outs := 0, 0
	for _, op := range s.Service.Operations {
		m := client.MethodByName(op)
		if !m.IsValid() {
			t.Errorf("%s: the client has no such operation", op)
			continue
		}
		inType, outType := m.Type().In(1).Elem(), m.Type().Out(0).Elem()
		for _, p := range s.Service.Protocols {
			warns, err := codec.Warm(p, op, inType, outType)
			if err != nil {
				t.Errorf("%s: %v", op, err)
			}
			for _, text := range warns {
				if !s.explained(text) {
					t.Errorf("%s: %v: %s", op, p, text)
				}
			}
		}
		ex := s.exception(op)
		in, out := reflect.New(inType), reflect.New(outType)
		newFiller(s.Service, s.Fixed).fill(in.Elem(), "")
		newFiller(s.Service, s.Fixed).fill(out.Elem(), "")
		for _, v := range []reflect.Value{in.Elem(), out.Elem()} {
			if name := empty(v); name != "" {
				t.Errorf("%s: %v.%s is empty: nothing would be compared", op, v.Type(), name)
			}
		}
		setStatus(out.Elem())
		w.op, w.in, w.out = op, reflect.New(inType).Interface(), out.Interface()
		got, err := call(client, op, in)
		if w.err != nil && !ex.In {
			t.Errorf("%s: %v", op, w.err)
			continue
		}
		switch d := difference("in", in, reflect.ValueOf(w.in), append(ex.Skip, s.Skip...)); {
		case ex.In:
		case d != "":
			t.Errorf("%s: %s", op, d)
		default:
			ins++
		}
		if ex.Out {
			continue
		}
		if err != nil {
			t.Errorf("%s: client: %v", op, err)
			continue
		}
		again := reflect.New(outType)
		newFiller(s.Service, s.Fixed).fill(again.Elem(), "") // streams of the first one are read
		setStatus(again.Elem())
		if d := difference("out", again, reflect.ValueOf(got), s.SkipOut); d != "" {
			t.Errorf("%s: %s", op, d)
			continue
		}
		outs++
	}
	t.Logf("%s: %d operations, %d inputs, %d outputs the same after the round trip", s.Service.Name, len(s.Service.Operations), ins, outs)
}

// empty finds a field that the filler left alone, although its type has something to fill in.
func empty(v reflect.Value) string {
	for _, f := range reflect.VisibleFields(v.Type()) {
		if f.IsExported() && f.Name != "ResultMetadata" && v.FieldByIndex(f.Index).IsZero() && !hollow(f.Type) {
			return f.Name
		}
	}
	return ""
}

// hollow tells structures without members.
func hollow(t reflect.Type) bool {
	return t.Kind() == reflect.Pointer && t.Elem().Kind() == reflect.Struct &&
		!slices.ContainsFunc(reflect.VisibleFields(t.Elem()), func(f reflect.StructField) bool { return f.IsExported() })
}

// explained tells warnings about fields that unmapped.golden lists with a reason.
func (s *Suite) explained(warning string) bool {
	field, ok := strings.CutSuffix(warning, " has no name on the wire")
	return ok && slices.Contains(s.Skip, field[strings.LastIndexByte(field, '.')+1:])
}

// setStatus gives members that are bound to the HTTP status one that clients take for success.
func setStatus(v reflect.Value) {
	for _, name := range []string{"StatusCode", "Status"} {
		if f := v.FieldByName(name); f.IsValid() && f.Kind() == reflect.Pointer && f.Type().Elem().Kind() == reflect.Int32 {
			f.Elem().SetInt(200)
		}
	}
}

// gone is a message that needs escaping in every protocol.
const gone = `gone <&> "é"`

// RunErrors sends every modelled error by its code and expects the client to make its Go type of it, and one error
// that no model has: EC2 has no others.
func (s *Suite) RunErrors(t *testing.T) {
	codec := awsapi.NewCodec(s.Service)
	w := &wireClient{codec: codec}
	client := s.client(w)
	fail := func(op string, with *awsapi.Error) error {
		w.op, w.fail = op, with
		in := reflect.New(client.MethodByName(op).Type().In(1).Elem())
		newFiller(s.Service, s.Fixed).fill(in.Elem(), "")
		_, err := call(client, op, in)
		return err
	}
	sent := map[int32]bool{}
	for n, op := range s.Service.Operations {
		o, _ := codec.Op(op)
		list := o.Errors
		if n == 0 && s.Service.Wire().OpenErrors() {
			// Clients on schemas know all errors of the service in every operation.
			for i := range s.Service.Wire().Errors {
				list = append(list, int32(i))
			}
		}
		for _, i := range list {
			if sent[i] {
				continue
			}
			sent[i] = true
			e := s.Service.Wire().Errors[i]
			err := fail(op, &awsapi.Error{Code: e.Code, Message: gone})
			code := e.Code
			if s.Service.QueryCompatible() && e.QueryCode != "" {
				code = e.QueryCode // what tools of the old protocol compare
			}
			message := gone
			if e.Shape >= 0 && !slices.ContainsFunc(s.Service.Wire().Responses[e.Shape].Members, func(m wire.Member) bool { return strings.EqualFold(m.Name, "message") }) {
				message = "" // the model has no member for it
			}
			s.expect(t, op, err, expected{e.Type, code, message, int(e.Status)})
		}
	}
	op := s.Service.Operations[0]
	err := fail(op, &awsapi.Error{Code: "Nobody.ModelledThis", Message: gone, Status: 418})
	s.expect(t, op, err, expected{"GenericAPIError", "Nobody.ModelledThis", gone, 418})
	t.Logf("%s: %d of %d modelled errors belong to an operation and made the round trip", s.Service.Name, len(sent), len(s.Service.Wire().Errors))
}

// expected is what a client should make of an error; status 0 is not compared.
type expected struct {
	goType, code, message string
	status                int
}

func (s *Suite) expect(t *testing.T, op string, err error, want expected) {
	t.Helper()
	var api smithy.APIError
	if !errors.As(err, &api) {
		t.Errorf("%s %s: no API error: %v", op, want.code, err)
		return
	}
	if got := reflect.Indirect(reflect.ValueOf(api)).Type().Name(); got != want.goType {
		t.Errorf("%s %s: type %s, want %s", op, want.code, got, want.goType)
	}
	if api.ErrorCode() != want.code {
		t.Errorf("%s: code %s, want %s", op, api.ErrorCode(), want.code)
	}
	if api.ErrorMessage() != want.message {
		t.Errorf("%s %s: message %q", op, want.code, api.ErrorMessage())
	}
	var response *awshttp.ResponseError
	if !errors.As(err, &response) {
		t.Errorf("%s %s: no response error", op, want.code)
		return
	}
	if response.ServiceRequestID() != "request-1" {
		t.Errorf("%s %s: request id %q", op, want.code, response.ServiceRequestID())
	}
	if want.status != 0 && response.HTTPStatusCode() != want.status {
		t.Errorf("%s %s: status %d, want %d", op, want.code, response.HTTPStatusCode(), want.status)
	}
}

// Selected skips services that MINI_AWS_SERVICE does not name, for work on one of them.
func Selected(t *testing.T, s *meta.Service) {
	t.Helper()
	if only := os.Getenv("MINI_AWS_SERVICE"); only != "" && only != s.Name {
		t.Skip("MINI_AWS_SERVICE names another service; unset, all are run")
	}
}
