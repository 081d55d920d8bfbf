package awsapi

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/netip"
	"runtime/debug"
	"strings"
	"time"

	"github.com/aws/smithy-go"
	"golang.org/x/sync/semaphore"

	"miniaws/awsapi/meta"
	"miniaws/awsapi/sigv4"
)

// MaxBody bounds a request's body that is held in memory, as sent and inflated. The largest that AWS takes on these
// protocols is a little over 1 MiB (CloudWatch Logs' PutLogEvents).
const MaxBody = 4 << 20

// maxUnsigned bounds a body that nobody claims to have signed: web identity and SAML tokens, escaped.
const maxUnsigned = 256 << 10

// maxBodies bounds all bodies that are in memory at one time, so that many clients together are bounded too.
const maxBodies = 128 << 20

// Options of a server.
type Options struct {
	Identities Identities
	Authorizer Authorizer
	// Endpoints may be nil: then no call comes from inside a VPC.
	Endpoints Endpoints
	// Region is where unsigned requests go.
	Region string
	// Domain is the end of the host names that name buckets.
	Domain string
	// BodyPatience is how long a body that is held in memory may take to arrive; 0 is a minute.
	BodyPatience time.Duration
	// Hold, if there is one, makes what a call's steps read one snapshot, from the question whether it is allowed until release.
	Hold func(context.Context) (held context.Context, release func())
	// AtOnce, if there is one, is told of a request whose answer is small and complete: it can leave as one piece.
	AtOnce func(context.Context)
	// Recorders are told of every call, in this order.
	Recorders []Recorder
	// Unavailable tells a handler's errors that are over as soon as the machine recovers, such as a full disk: they are
	// answered with a 503, which clients try again. Nil knows none.
	Unavailable func(error) bool
	// Now is the clock; nil is time.Now.
	Now func() time.Time
	// Log is where internal failures go; nil is slog.Default.
	Log *slog.Logger
}

// Server is the endpoint: an http.Handler that takes a request's way through the pipeline. Register services first.
type Server struct {
	options  Options
	services map[*meta.Service]*service
	keys     sigv4.KeyCache
	bodies   *semaphore.Weighted // bytes of maxBodies
	browsers Browsers            // nil: no bucket has CORS
}

// NewServer makes a server that knows every service and implements none.
func NewServer(o Options) *Server {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.BodyPatience == 0 {
		o.BodyPatience = time.Minute
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	s := &Server{options: o, services: map[*meta.Service]*service{}, bodies: semaphore.NewWeighted(maxBodies)}
	for _, m := range meta.All {
		s.services[m] = &service{meta: m, codec: NewCodec(m), operations: map[string]*Operation{}, checks: CheckDefault}
	}
	return s
}

// call is one request on its way.
type call struct {
	server    *Server
	http      *http.Request
	control   *http.ResponseController
	request   *Request
	body      []byte // as sent: what the signature covers
	plain     []byte // inflated
	streamed  bool   // the body is not read before the caller is known
	upload    *upload
	form      *postForm
	room      int64 // taken of the server's bodies
	signature *sigv4.Signature
	unsigned  error // why there is no signature: the client's error unless the operation takes unsigned requests
	route     route
	operation *Operation
	input     any
	output    any
	accesses  []Access
	failure   error           // what the answer says
	reply     *Reply          // made by a step that ends the way early
	held      context.Context // nil unless steps read together
	release   func()
}

// pipeline is a request's way, in order. The first step that fails ends it; the answer is encoded after it.
var pipeline = []func(*call, context.Context) error{
	(*call).read,
	(*call).findRoute,
	(*call).preflight,
	(*call).authenticate,
	(*call).receive,
	(*call).decode,
	(*call).hold,
	(*call).authorize,
	(*call).decided,
	(*call).validate,
	(*call).dryRun,
	(*call).handle,
}

// ServeHTTP takes one request through the pipeline.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Expect") != "" && r.ContentLength == 0 {
		// net/http does not say it for an empty body, and botocore waits a minute for it before its next request.
		w.WriteHeader(http.StatusContinue)
	}
	now := s.options.Now()
	c := &call{server: s, http: r, control: http.NewResponseController(w), request: &Request{
		ID:        newRequestID(now),
		Time:      now,
		Region:    s.options.Region,
		SourceIP:  sourceIP(r),
		Secure:    r.TLS != nil,
		UserAgent: r.UserAgent(),
		HTTP:      r,
	}}
	// Until the route is known errors are worded as S3 does, which takes all that nobody else takes.
	c.route = route{service: s.services[meta.S3], protocol: meta.RESTXML}
	ctx := context.WithValue(r.Context(), requestKey{}, c.request)
	defer c.letGo()
	reply := c.answer(ctx)
	reply = c.record(c.reading(ctx), reply)
	c.letGo() // a client may take its time
	// net/http reads the rest of a body that nobody wanted before it answers: no longer than it may take.
	c.limitBody()
	c.write(w, reply)
}

// limitBody gives the body, from now on, the time that one may take. A writer that has no deadlines is a test's.
func (c *call) limitBody() {
	_ = c.control.SetReadDeadline(time.Now().Add(c.server.options.BodyPatience))
}

// answer takes the request through the pipeline and encodes the outcome. A panic on the way is an internal failure of
// this call, not of the server.
func (c *call) answer(ctx context.Context) (reply *Reply) {
	defer func() { c.server.bodies.Release(c.room) }()
	defer func() {
		if p := recover(); p != nil {
			reply = c.encode(fmt.Errorf("panic: %v\n%s", p, debug.Stack()))
		}
	}()
	return c.encode(c.run(ctx))
}

// run takes the steps.
func (c *call) run(ctx context.Context) error {
	for _, step := range pipeline {
		if err := step(c, c.reading(ctx)); err != nil || c.reply != nil {
			return err
		}
	}
	return nil
}

// reading is the context with what is read together, where something is.
func (c *call) reading(ctx context.Context) context.Context {
	if c.held != nil {
		return c.held
	}
	return ctx
}

// hold begins what is read together.
func (c *call) hold(ctx context.Context) error {
	if c.server.options.Hold != nil {
		c.held, c.release = c.server.options.Hold(ctx)
	}
	return nil
}

// decided ends it once the call is allowed, unless all that the operation does is to read: of an object and of its bucket,
// the answer is as the decision found them, and so is what is noted of the call.
func (c *call) decided(context.Context) error {
	if !s3Family(c.route.service.meta) || (c.http.Method != http.MethodGet && c.http.Method != http.MethodHead) {
		c.letGo()
	}
	return nil
}

func (c *call) letGo() {
	if c.held != nil {
		c.release()
		c.held = nil
	}
}

// read takes what the request claims about its signer, and the whole body, within bounds, unless it may be an object's.
func (c *call) read(ctx context.Context) error {
	// An unreadable signature is worded by the service's family, so its error waits until the route is known.
	c.signature, c.unsigned = sigv4.Parse(c.http)
	if c.streamed = c.forS3(); c.streamed {
		return nil
	}
	// What goes wrong with the body is worded by the service that the rest of the request names.
	c.route = c.server.route(c.http, nil, c.signingName())
	limit := int64(MaxBody)
	if c.signature == nil {
		limit = maxUnsigned
	}
	if c.http.ContentLength > limit {
		return tooLarge()
	}
	if err := c.takeRoom(ctx, MaxBody); err != nil {
		return err
	}
	c.limitBody()
	var err error
	if c.body, err = readAll(c.http.Body, limit); err != nil {
		return err
	}
	// While the handler runs net/http takes a deadline that passes for a client that hung up.
	_ = c.control.SetReadDeadline(time.Time{})
	c.plain = c.body
	if strings.EqualFold(c.http.Header.Get("Content-Encoding"), "gzip") {
		inflated, err := gzip.NewReader(bytes.NewReader(c.body))
		if err != nil {
			return malformed("the body is not gzip: %v", err)
		}
		if c.plain, err = readAll(inflated, limit); err != nil {
			return err
		}
	}
	return nil
}

// takeRoom waits until there is room in memory for the body, at most limit; it is given back when the call ends.
func (c *call) takeRoom(ctx context.Context, limit int64) error {
	c.room = limit
	if c.http.ContentLength >= 0 && c.http.Header.Get("Content-Encoding") == "" {
		c.room = min(limit, c.http.ContentLength)
	}
	if c.server.bodies.TryAcquire(c.room) {
		return nil
	}
	patience, cancel := context.WithTimeout(ctx, c.server.options.BodyPatience)
	defer cancel()
	if err := c.server.bodies.Acquire(patience, c.room); err != nil {
		c.room = 0
		return c.unavailable(err)
	}
	return nil
}

// forS3 tells whether the request can be S3's alone: signed for it, or unsigned and of no other protocol's form.
func (c *call) forS3() bool {
	if c.signature != nil {
		return c.signature.Service == "s3"
	}
	return c.http.Method != http.MethodPost || mediaType(c.http) == "multipart/form-data"
}

func readAll(from io.Reader, limit int64) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(from, limit+1))
	if err != nil {
		return nil, malformed("the body ended early: %v", err)
	}
	if int64(len(body)) > limit {
		return nil, tooLarge()
	}
	return body, nil
}

// tooLarge is the answer to a body beyond our bounds.
// AWS: the front ends answer 413 with a body that clients cannot parse (aws/aws-cli issue 2378). Ours can be parsed, with
// the code that "Error responses" of the S3 API reference has for it.
func tooLarge() error {
	return &Error{Code: "MaxMessageLengthExceeded", Message: "Your request was too large.", Status: http.StatusRequestEntityTooLarge}
}

// signingName is the service that the signature claims to be for, or empty.
func (c *call) signingName() string {
	if c.signature == nil {
		return ""
	}
	return c.signature.Service
}

// findRoute finds service and operation.
func (c *call) findRoute(context.Context) error {
	if c.signature != nil && c.signature.Region != "" {
		c.request.Region = c.signature.Region
	}
	c.route = c.server.route(c.http, c.plain, c.signingName())
	c.request.Service, c.request.Operation, c.request.Protocol = c.route.service.meta, c.route.operation, c.route.protocol
	c.operation = c.route.service.operations[c.route.operation]
	if s3Family(c.route.service.meta) {
		c.request.ID = newS3RequestID(c.request.Time)
	}
	return nil
}

// authenticate verifies the signature and finds whose it is. An operation that does not exist or is not implemented
// says so only to those who are known.
func (c *call) authenticate(ctx context.Context) error {
	if c.route.isForm && c.signature == nil && sigv4.KindOf(c.unsigned) == sigv4.MissingAuth {
		return c.authenticateForm(ctx)
	}
	if c.unsigned != nil {
		if sigv4.KindOf(c.unsigned) == sigv4.MissingAuth && c.operation != nil && c.operation.unsigned {
			return nil
		}
		return c.refusal(c.unsigned)
	}
	secret, owner, err := c.owner(ctx, c.signature)
	if err != nil {
		return err
	}
	signingName := c.route.service.meta.SigningName
	if c.route.foreign != "" {
		signingName = c.signature.Service // whatever it is, it is not served
	}
	err = c.signature.Verify(c.http, secret, sigv4.Options{
		Now:           c.request.Time,
		Service:       signingName,
		Streamed:      c.streamed,
		Body:          c.body,
		VirtualBucket: c.route.virtual,
		Keys:          &c.server.keys,
	})
	if err != nil {
		return c.refusal(err)
	}
	c.request.Principal = owner
	return nil
}

// owner finds whose key a signature was made with.
func (c *call) owner(ctx context.Context, signature *sigv4.Signature) (secret string, owner Principal, err error) {
	secret, owner, err = c.server.options.Identities.Find(ctx, signature.AccessKeyID, signature.SessionToken)
	switch {
	case errors.Is(err, ErrUnknownAccessKey):
		err = c.refusal(signature.NewError(sigv4.UnknownAccessKey))
	case errors.Is(err, ErrInvalidToken):
		err = c.refusal(signature.NewError(sigv4.InvalidToken))
	case errors.Is(err, ErrExpiredToken):
		err = c.refusal(signature.NewError(sigv4.ExpiredToken))
	}
	return secret, owner, err
}

// refusal words an error of the signature as the service's family does.
func (c *call) refusal(err error) error {
	var refused *sigv4.Error
	if !errors.As(err, &refused) {
		return err
	}
	answer := refused.Answer(c.route.family())
	e := &Error{Code: answer.Code, Message: answer.Message, Status: answer.Status, cause: err}
	for _, field := range answer.Fields {
		if e.Fields == nil {
			e.Fields = map[string]string{}
		}
		e.Fields[field.Name] = field.Value
	}
	return e
}

// decode reads the input, if there is somebody to take it.
func (c *call) decode(context.Context) error {
	switch {
	case c.route.foreign != "":
		return foreignService(c.route.foreign)
	case c.route.operation == "" && c.route.asked == "" && queryProtocol(c.route.service.meta) == c.route.protocol:
		// AWS: "Common Errors" of the IAM API reference.
		return Errorf("MissingAction", "The request is missing an action or a required parameter.")
	case c.route.operation == "" && c.route.service.meta == meta.S3:
		return c.stray()
	case c.route.operation == "":
		return UnknownOperation(c.route.protocol, c.route.asked)
	case c.operation == nil:
		return NotImplemented(c.route.service.meta, c.route.operation)
	}
	if err := c.misplaced(); err != nil {
		return err
	}
	message := &Message{Labels: c.route.labels, Query: c.route.query, Header: c.request.Header, Body: c.plain}
	if message.Query == nil {
		message.Query = c.http.URL.Query()
	}
	if c.upload != nil && c.operation.streams {
		message.Stream = c.upload
	}
	if c.route.protocol == meta.AWSQuery || c.route.protocol == meta.EC2Query {
		message.Body = []byte(c.route.form)
	}
	c.input = c.operation.newInput()
	unknown, err := c.route.service.codec.Decode(c.route.protocol, c.operation.name, message, c.input)
	if err != nil {
		return c.worded(message, err)
	}
	return c.checkUnknown(unknown)
}

// checkUnknown refuses parameters that EC2 does not know; the other services ignore them.
// AWS: "Error codes for the Amazon EC2 API", UnknownParameter.
func (c *call) checkUnknown(unknown []string) error {
	if c.route.protocol != meta.EC2Query {
		return nil
	}
	for _, name := range unknown {
		// What the query protocol itself and its signatures bring along.
		switch {
		case name == "Action", name == "Version", strings.HasPrefix(name, "X-Amz-"):
		default:
			return Errorf("UnknownParameter", "The parameter %s is not recognized", name)
		}
	}
	return nil
}

// authorize asks whether the caller may do everything that the call needs.
func (c *call) authorize(ctx context.Context) error {
	if err := c.findEndpoint(ctx); err != nil {
		return err
	}
	wanted, err := c.operation.access(ctx, c.input)
	if err != nil {
		return err
	}
	c.accesses = wanted
	err = c.server.options.Authorizer.Authorize(ctx, c.request, wanted)
	var denied *Denied
	if errors.As(err, &denied) {
		return c.denial(denied)
	}
	return err
}

// findEndpoint notes the VPC endpoint that the call came through.
func (c *call) findEndpoint(ctx context.Context) error {
	if c.server.options.Endpoints == nil || c.http == nil {
		return nil
	}
	through, err := c.server.options.Endpoints.Through(ctx, c.request)
	if denied := (*Denied)(nil); errors.As(err, &denied) {
		return c.denial(denied)
	}
	if through != nil {
		c.request.Endpoint, c.request.SourceIP = through, through.Source
	}
	return err
}

// denial gives a refusal the code of the service's family.
// AWS: "Common Errors" of the API references: AccessDenied 403 (query), AccessDeniedException 400 (JSON);
// "Error codes for the Amazon EC2 API": UnauthorizedOperation 403; "Error responses" of S3: AccessDenied 403.
func (c *call) denial(d *Denied) error {
	e := &Error{Code: "AccessDenied", Message: d.Message, Status: http.StatusForbidden, cause: d}
	switch c.route.family() {
	case sigv4.EC2:
		e.Code = "UnauthorizedOperation"
	case sigv4.JSON:
		e.Code, e.Status = "AccessDeniedException", http.StatusBadRequest
	case sigv4.RESTJSON:
		e.Code = "AccessDeniedException"
	}
	return e
}

func (c *call) validate(context.Context) error {
	return c.route.service.codec.Validate(c.route.protocol, c.operation.name, c.input, c.route.service.checks)
}

// dryRun ends a call of EC2 that only asks whether it would be allowed.
// AWS: "Error codes for the Amazon EC2 API", DryRunOperation; the status is what EC2 answers with.
func (c *call) dryRun(context.Context) error {
	if c.route.family() == sigv4.EC2 && c.operation.asksDryRun(c.input) {
		return &Error{Code: "DryRunOperation", Message: "Request would have succeeded, but DryRun flag is set.", Status: http.StatusPreconditionFailed}
	}
	return nil
}

func (c *call) handle(ctx context.Context) (err error) {
	c.output, err = c.operation.call(ctx, c.input)
	return err
}

// encode makes the answer. It is complete before its first byte is sent, so an output that cannot be encoded becomes
// an internal failure too.
func (c *call) encode(err error) *Reply {
	codec, protocol := c.route.service.codec, c.route.protocol
	if err == nil && c.reply != nil {
		return c.reply
	}
	if follows, ok := c.output.(eventSource); ok && err == nil {
		var reply *Reply
		if reply, err = c.eventReply(follows); err == nil {
			return reply
		}
	} else if err == nil {
		var reply *Reply
		if reply, err = codec.Encode(protocol, c.operation.name, c.request.ID, c.output, nil); err == nil {
			if c.operation != nil && c.operation.status != 0 {
				reply.Status = c.operation.status
			}
			if c.request.Status != 0 {
				reply.Status = c.request.Status
			}
			if c.form != nil {
				reply = c.formReply(reply)
			}
			return reply
		}
	}
	if passes := c.server.options.Unavailable; passes != nil && passes(err) && !isAPIError(err) {
		err = c.unavailable(err)
	}
	c.failure = err
	level, what := slog.LevelError, "internal failure"
	switch known := (smithy.APIError)(nil); {
	case errors.As(err, &known) && known.ErrorCode() == "NotImplemented":
		level, what = slog.LevelInfo, "not implemented"
	case known != nil && known.ErrorCode() == "ServiceUnavailable":
		level, what = slog.LevelWarn, "unavailable"
	case known != nil && known.ErrorFault() != smithy.FaultServer:
		level, what = slog.LevelDebug, "refused"
	case known == nil && c.http.Context().Err() != nil && errors.Is(err, context.Canceled):
		level, what = slog.LevelInfo, "the client left"
	}
	told := []any{"request", c.request.ID, "service", c.route.service.meta.Name, "operation", c.route.operation, "error", err}
	if cause := errors.Unwrap(err); cause != nil { // the answer does not tell it; the log has to
		told = append(told, "cause", cause)
	}
	c.server.options.Log.Log(c.http.Context(), level, what, told...)
	reply := codec.EncodeError(protocol, c.request.ID, err)
	maps.Copy(reply.Header, c.request.Refusal)
	return reply
}

func isAPIError(err error) bool {
	var known smithy.APIError
	return errors.As(err, &known)
}

// unavailable is the answer to a call that would succeed at another time.
//
// AWS: "Common Errors" of the API references and "Error codes for the Amazon EC2 API": 503, which clients try again; S3's
// "List of error codes" has the same code with words of its own.
func (c *call) unavailable(cause error) error {
	message := "The request has failed due to a temporary failure of the server."
	if s3Family(c.route.service.meta) {
		message = "Service is unable to handle request."
	}
	return &Error{Code: "ServiceUnavailable", Message: message, Status: http.StatusServiceUnavailable, Fault: smithy.FaultServer, cause: cause}
}

func sourceIP(r *http.Request) netip.Addr {
	address, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return address.Addr().Unmap()
}

// newRequestID answers a UUID, as most services show. It is of version 7, whose first 48 bits are the time in
// milliseconds, so that a call is found by its id in the audit, which is ordered by time.
func newRequestID(at time.Time) string {
	var raw [16]byte
	_, _ = rand.Read(raw[6:]) // never fails
	for i, ms := 0, uint64(at.UnixMilli()); i < 6; i++ {
		raw[i] = byte(ms >> (40 - 8*i))
	}
	raw[6], raw[8] = raw[6]&0x0f|0x70, raw[8]&0x3f|0x80
	text := hex.EncodeToString(raw[:])
	return strings.Join([]string{text[:8], text[8:12], text[12:16], text[16:20], text[20:]}, "-")
}
