package awsapi

import (
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"slices"

	"github.com/aws/smithy-go"

	"miniaws/awsapi/meta"
	"miniaws/awsapi/wire"
)

// Error is an error as AWS words it. Services make them in their errors.go; the SDK's typed errors
// (&types.NoSuchEntityException{…}) are accepted everywhere as well.
type Error struct {
	Code    string
	Message string
	Status  int               // 0: what the model says for the code, else 400 or 500 by Fault
	Fault   smithy.ErrorFault // FaultUnknown counts as the client's
	Fields  map[string]string // further members beside code and message: S3's Key, BucketName
	Header  http.Header       // further headers of the answer, in canonical form: S3's ETag of a 304

	cause error
	// member is the input's member in which a decoder found it.
	member string
}

// Errorf makes an error of the client with a formatted message.
func Errorf(code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...), Fault: smithy.FaultClient}
}

func (e *Error) Error() string { return e.Code + ": " + e.Message }

// Unwrap gives the parser's error behind a malformed request.
func (e *Error) Unwrap() error { return e.cause }

// ErrorCode makes Error, with ErrorMessage and ErrorFault, a smithy.APIError like the SDK's typed errors.
func (e *Error) ErrorCode() string { return e.Code }

// ErrorMessage is the text that users see.
func (e *Error) ErrorMessage() string { return e.Message }

// ErrorFault says whose fault it is.
func (e *Error) ErrorFault() smithy.ErrorFault { return e.Fault }

// malformed is the decoders' error. Its code is the query protocols'; those of the others replace it (recoded).
//
// AWS: no page has the code; SNS and CloudFormation answer with it (brendanhay/amazonka issues 209 and 12). The
// words of all decoders are our own: AWS's are not documented.
func malformed(format string, args ...any) error {
	return &Error{Code: "MalformedInput", Message: fmt.Sprintf(format, args...), Status: http.StatusBadRequest, Fault: smithy.FaultClient}
}

// recoded gives a decoder's error another code.
func recoded(code string, err error) error {
	var e *Error
	if errors.As(err, &e) && e.Code == "MalformedInput" {
		return &Error{Code: code, Message: e.Message, Status: http.StatusBadRequest, Fault: smithy.FaultClient, cause: err, member: e.member}
	}
	return err
}

// serialization is the code of the JSON and CBOR protocols.
//
// AWS: Smithy 2.0, protocol tests of malformed requests: 400 SerializationException.
func serialization(err error) error { return recoded("SerializationException", err) }

// at names the member in which an error was found.
func at(member string, err error) error {
	if err == nil {
		return nil
	}
	var e *Error
	if !errors.As(err, &e) || e.Code != "MalformedInput" {
		return err
	}
	return &Error{Code: e.Code, Message: member + ": " + e.Message, Status: e.Status, Fault: e.Fault, cause: err, member: member}
}

// described is everything the writers need to know about an error.
type described struct {
	code, message string
	queryCode     string // for x-amzn-query-error
	status        int
	server        bool
	fields        map[string]string
	header        http.Header
	shape         string // Go type when the error is modelled
	plan          *plan  // of a typed error's members, nil otherwise
	value         reflect.Value
}

func (d *described) sender() string {
	if d.server {
		return "Receiver"
	}
	return "Sender"
}

// describeError never fails: what is no API error becomes an internal failure that tells nothing.
//
// AWS: "Common Error Types", InternalFailure; S3's "List of error codes", InternalError. The words are S3's for all:
// no page has the other services'.
func (c *Codec) describeError(err error, dialect dialect) *described {
	c.once.Do(c.load)
	d := &described{code: "InternalFailure", message: "We encountered an internal error. Please try again.", server: true}
	if c.Service.Name == "s3" || c.Service.Name == "s3control" {
		d.code = "InternalError"
	}
	var api smithy.APIError
	if !errors.As(err, &api) {
		d.status = http.StatusInternalServerError
		return d
	}
	d.code, d.message, d.server = api.ErrorCode(), api.ErrorMessage(), api.ErrorFault() == smithy.FaultServer
	var own *Error
	typeName := ""
	if errors.As(err, &own) {
		d.status, d.fields, d.header = own.Status, own.Fields, own.Header
		d.server = d.server || own.Status >= 500
	} else if t := reflect.TypeOf(api); t.Kind() == reflect.Pointer && t.Elem().Kind() == reflect.Struct {
		typeName = t.Elem().Name()
	}
	c.modelled(d, api, typeName, dialect)
	if d.queryCode == "" {
		d.queryCode = d.code
	}
	if d.status == 0 {
		d.status = c.Service.Status(d.code)
		d.server = d.server || d.status >= http.StatusInternalServerError
	}
	if d.status == 0 {
		d.status = http.StatusBadRequest
		if d.server {
			d.status = http.StatusInternalServerError
		}
	}
	return d
}

// modelled adds what the metadata knows about an error's type or code.
func (c *Codec) modelled(d *described, api smithy.APIError, typeName string, dialect dialect) {
	e := c.findError(typeName, d.code)
	if e == nil {
		return
	}
	d.shape, d.queryCode, d.server = e.Type, e.QueryCode, d.server || e.Server
	if c.Service.QueryCompatible() && dialect == native {
		d.code = e.Code
	} else if dialect == query && e.QueryCode != "" {
		d.code = e.QueryCode
	}
	if d.status == 0 {
		d.status = int(e.Status)
	}
	if typeName != "" && e.Shape >= 0 {
		d.value = reflect.ValueOf(api).Elem()
		c.mu.Lock()
		d.plan = c.compile(planKey{t: d.value.Type(), shape: e.Shape, dialect: dialect})
		c.mu.Unlock()
	}
}

// findError finds an error by its Go type, or by its code: the wire's own before the query protocol's.
func (c *Codec) findError(typeName, code string) *wire.Error {
	for _, match := range []func(e wire.Error) bool{
		func(e wire.Error) bool { return typeName == "" && e.Code == code },
		func(e wire.Error) bool { return e.Type == typeName || (typeName == "" && e.Type == code) },
		func(e wire.Error) bool { return typeName == "" && e.QueryCode == code },
	} {
		if i := slices.IndexFunc(c.wire.Errors, match); i >= 0 {
			return &c.wire.Errors[i]
		}
	}
	return nil
}

// UnknownOperation is the answer to an operation that AWS does not have either.
//
// AWS: "Common Error Types" has InvalidAction and UnknownOperationException, S3's "List of error codes" has
// MethodNotAllowed with these words. No page has InvalidAction's words, and the JSON protocols' are our own.
func UnknownOperation(p meta.Protocol, op string) *Error {
	op = shorten(op)
	switch p {
	case meta.AWSQuery, meta.EC2Query:
		return &Error{Code: "InvalidAction", Message: "The action " + op + " is not valid for this web service.", Status: http.StatusBadRequest}
	case meta.RESTXML:
		return &Error{Code: "MethodNotAllowed", Message: "The specified method is not allowed against this resource.", Status: http.StatusMethodNotAllowed}
	case meta.RPCv2CBOR, meta.RESTJSON:
		return &Error{Code: "UnknownOperationException", Message: "Unknown operation " + op, Status: http.StatusNotFound}
	}
	return &Error{Code: "UnknownOperationException", Message: "Unknown operation " + op, Status: http.StatusBadRequest}
}

// NotImplemented is the answer to an operation that AWS has and this server has not. Its status is 501, the one
// of the 500s that no SDK retries.
func NotImplemented(s *meta.Service, op string) *Error {
	return &Error{
		Code: "NotImplemented", Status: http.StatusNotImplemented, Fault: smithy.FaultServer,
		Message: fmt.Sprintf("%s:%s is not implemented by Mini AWS; GET /_mini/coverage lists what is.", s.Name, op),
	}
}

// foreignService is the answer to a call of a service that this server does not have at all.
func foreignService(name string) *Error {
	return &Error{
		Code: "NotImplemented", Status: http.StatusNotImplemented, Fault: smithy.FaultServer,
		Message: fmt.Sprintf("The service %s is not part of Mini AWS; GET /_mini/coverage lists what is.", shorten(name)),
	}
}
