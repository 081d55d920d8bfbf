package awsapi

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"reflect"
	"sync"
	"sync/atomic"

	"miniaws/awsapi/meta"
	"miniaws/awsapi/wire"
)

// Message is the part of a request that carries members.
type Message struct {
	Labels map[string]string // REST: values of the URI template, unescaped (MatchURI)
	Query  url.Values        // REST
	Header http.Header       // REST; net/http takes Content-Length out, the caller puts it back
	Body   []byte            // the form, document or payload, inflated; unused if Stream is set
	Stream io.ReadCloser     // REST: body of operations with a streaming payload; the handler closes it
}

// Reply is an encoded answer. Exactly one of Body and Stream may be set.
type Reply struct {
	Status int
	Header http.Header
	Body   []byte
	Stream io.ReadCloser // the caller closes it
}

// Codec decodes and encodes the messages of one service. It is safe for concurrent use.
type Codec struct {
	Service *meta.Service

	once   sync.Once
	wire   *wire.Service
	ops    map[string]*opPlans
	unions map[reflect.Type][]reflect.Type

	mu    sync.Mutex // serialises compilation only
	plans map[planKey]*plan
	warns map[string]bool

	// also are values that enumerations take besides those of the model, by type.
	also      map[string][]string
	rulesOnce sync.Once
	rules     *ruleTables
}

// dialect chooses the names: query services that moved to another protocol have two sets.
type dialect uint8

const (
	native dialect = iota
	query
	dialects
)

func dialectOf(p meta.Protocol) dialect {
	if p == meta.AWSQuery || p == meta.EC2Query {
		return query
	}
	return native
}

// hostSecret makes this process's part of x-amz-id-2, which tells nothing.
var hostSecret = func() (b [48]byte) {
	_, _ = rand.Read(b[:]) // never fails
	return b
}()

// hostID is S3's second request id: opaque, as long as AWS's.
func hostID(requestID string) string {
	b := append(hostSecret[:len(hostSecret):len(hostSecret)], requestID[:min(8, len(requestID))]...)
	return base64.StdEncoding.EncodeToString(b)
}

type opPlans struct {
	op     *wire.Op
	in     [dialects]atomic.Pointer[plan]
	out    [dialects]atomic.Pointer[plan]
	events atomic.Pointer[plan]

	expected atomic.Int64 // bytes of the next answer
}

// NewCodec makes the codec of a service. Nothing is unpacked until the first message.
func NewCodec(s *meta.Service) *Codec { return &Codec{Service: s} }

func (c *Codec) load() {
	c.wire = c.Service.Wire()
	c.ops = make(map[string]*opPlans, len(c.wire.Ops))
	for i := range c.wire.Ops {
		c.ops[c.wire.Ops[i].Name] = &opPlans{op: &c.wire.Ops[i]}
	}
	c.unions = map[reflect.Type][]reflect.Type{}
	for _, u := range c.Service.Unions() {
		c.unions[u.Type] = u.Variants
	}
	c.plans = map[planKey]*plan{}
	c.warns = map[string]bool{}
}

func (c *Codec) op(name string) (*opPlans, error) {
	c.once.Do(c.load)
	if o := c.ops[name]; o != nil {
		return o, nil
	}
	return nil, malformed("unknown operation %s", name)
}

// Op finds the metadata of an operation: URI template, method, modelled errors.
func (c *Codec) Op(name string) (*wire.Op, bool) {
	c.once.Do(c.load)
	if o := c.ops[name]; o != nil {
		return o.op, true
	}
	return nil, false
}

// input gives the plan of an operation's input, or nil when it has no members.
func (c *Codec) input(o *opPlans, d dialect, t reflect.Type) *plan {
	return c.planOf(&o.in[d], t, o.op.In, true, d)
}

func (c *Codec) output(o *opPlans, d dialect, t reflect.Type) *plan {
	return c.planOf(&o.out[d], t, o.op.Out, false, d)
}

func (c *Codec) planOf(slot *atomic.Pointer[plan], t reflect.Type, shape int32, request bool, d dialect) *plan {
	if p := slot.Load(); p != nil {
		return p
	}
	if shape < 0 {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.compile(planKey{t: t, shape: shape, request: request, dialect: d})
	slot.Store(p)
	return p
}

// Decode reads a request into in, a pointer to the operation's input structure. Query parameters that the
// operation does not have are returned, at most 20 of them.
func (c *Codec) Decode(p meta.Protocol, op string, m *Message, in any) (unknown []string, err error) {
	o, err := c.op(op)
	if err != nil {
		return nil, err
	}
	v := reflect.ValueOf(in).Elem()
	pl := c.input(o, dialectOf(p), v.Type())
	if pl == nil && p != meta.AWSQuery && p != meta.EC2Query {
		return nil, nil
	}
	switch p {
	case meta.AWSQuery, meta.EC2Query:
		return decodeForm(pl, string(m.Body), v)
	case meta.AWSJSON10, meta.AWSJSON11:
		return nil, decodeJSON(pl, m.Body, v)
	case meta.RPCv2CBOR:
		return nil, decodeCBOR(pl, m.Body, v)
	case meta.RESTJSON:
		return nil, serialization(decodeREST(p, pl, m, v))
	case meta.RESTXML:
		err := decodeREST(p, pl, m, v)
		if s3Family(c.Service) {
			// AWS: "List of error codes" of S3; "Provided max-uploads not an integer …" has this one (versitygw issue 1794).
			err = recoded("InvalidArgument", err)
		}
		return nil, err
	}
	return nil, malformed("protocol %v has no decoder", p)
}

// Encode writes out, a pointer to the operation's output structure, as an answer with status 200 or what the
// operation says. The buffer is reused for the body when it is large enough.
func (c *Codec) Encode(p meta.Protocol, op, requestID string, out any, buf []byte) (*Reply, error) {
	o, err := c.op(op)
	if err != nil {
		return nil, err
	}
	var v reflect.Value
	if rv := reflect.ValueOf(out); rv.Kind() == reflect.Pointer && !rv.IsNil() {
		v = rv.Elem()
	}
	var pl *plan
	var at place
	if v.IsValid() {
		if pl = c.output(o, dialectOf(p), v.Type()); pl != nil && pl.typ != v.Type() {
			return nil, fmt.Errorf("awsapi: %s answers a %v, and not a %v", op, pl.typ, v.Type())
		}
		at = placeOf(v)
	}
	r := &Reply{Status: http.StatusOK, Header: make(http.Header, 16)} // as many as an object has
	if expected := int(o.expected.Load()); cap(buf) < expected {
		buf = make([]byte, 0, expected)
	}
	switch p {
	case meta.AWSQuery, meta.EC2Query:
		r.Header["Content-Type"] = []string{"text/xml;charset=UTF-8"}
		r.Body, err = encodeQuery(buf[:0], p == meta.EC2Query, o.op, c.Service.Namespace, requestID, pl, at)
	case meta.AWSJSON10, meta.AWSJSON11:
		r.Header["Content-Type"] = []string{jsonType(p)}
		r.Body, err = encodeJSON(buf[:0], pl, at)
	case meta.RPCv2CBOR:
		r.Header["Content-Type"] = []string{"application/cbor"}
		r.Header["Smithy-Protocol"] = []string{"rpc-v2-cbor"}
		r.Body, err = encodeCBOR(buf[:0], pl, at)
	case meta.RESTXML, meta.RESTJSON:
		err = encodeREST(r, buf[:0], p, o.op, c.Service, pl, at)
		if r.Header["Content-Range"] != nil { // no output of S3 has a member for it
			r.Status = http.StatusPartialContent
		}
	default:
		err = malformed("protocol %v has no encoder", p)
	}
	if err != nil {
		return nil, err
	}
	o.expect(len(r.Body))
	setRequestID(r.Header, c.Service, requestID)
	return r, nil
}

// expect notes how large an answer is, in bytes: the next one begins with as much room, since a body of megabytes that
// grows by doubling costs more to move than to write. Half as much is expected after every smaller one.
func (o *opPlans) expect(size int) {
	if size += size / 16; size < 4<<10 {
		size = 0
	}
	if was := o.expected.Load(); was != 0 || size != 0 {
		o.expected.Store(max(int64(size), was/2))
	}
}

func jsonType(p meta.Protocol) string {
	if p == meta.AWSJSON10 {
		return "application/x-amz-json-1.0"
	}
	return "application/x-amz-json-1.1"
}

// s3Family answers with the headers of S3 instead of x-amzn-RequestId.
func s3Family(s *meta.Service) bool { return s.SigningName == "s3" }

func setRequestID(h http.Header, s *meta.Service, id string) {
	if s3Family(s) {
		h["X-Amz-Request-Id"] = []string{id}
		h["X-Amz-Id-2"] = []string{hostID(id)}
		h["Server"] = []string{"AmazonS3"}
		return
	}
	h["X-Amzn-Requestid"] = []string{id}
}

// Warm compiles an operation's plans and returns what does not fit: fields without a wire name, members without
// a field. The build's tests expect nothing.
func (c *Codec) Warm(p meta.Protocol, op string, in, out reflect.Type) ([]string, error) {
	o, err := c.op(op)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	clear(c.warns)
	c.mu.Unlock()
	c.input(o, dialectOf(p), in)
	c.output(o, dialectOf(p), out)
	c.mu.Lock()
	defer c.mu.Unlock()
	var warns []string
	for w := range c.warns {
		warns = append(warns, w)
	}
	return warns, nil
}
