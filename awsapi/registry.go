package awsapi

import (
	"context"
	"fmt"
	"reflect"
	"strings"
	"sync"

	"miniaws/awsapi/meta"
)

// Operation is one registered operation of a service. Make it with [Op].
type Operation struct {
	name     string
	in, out  reflect.Type
	newInput func() any
	call     func(ctx context.Context, in any) (any, error)
	access   func(ctx context.Context, in any) ([]Access, error)
	// dryRun is the index of the input's field DryRun, nil where it has none.
	dryRun []int
	// unsigned operations take requests without a signature; one that is there is still verified.
	unsigned bool
	// checksummed operations insist on a checksum of their document.
	checksummed bool
	// status is the one of a success, 0 for the one that the model has.
	status int
	// event is the type of the events that follow the answer, nil where none do.
	event reflect.Type
	// streams tells that the handler reads the body, which was not read before.
	streams bool
}

// Access is one thing that a call needs to be allowed: an IAM action on resources, with the condition keys that the
// service knows. All of a call's accesses must be allowed.
type Access struct {
	// Action is the full name, such as "ec2:RunInstances".
	Action string
	// Resources are ARNs; none means "*": the action does not take resources.
	Resources []string
	// Conditions are the service's own context keys; the pipeline adds the global ones.
	Conditions map[string][]string
}

// OpOption refines an operation.
type OpOption func(*Operation)

// Unsigned lets requests without a signature through, as an anonymous principal.
func Unsigned() OpOption { return func(o *Operation) { o.unsigned = true } }

// Checksummed refuses documents of S3 that come without a checksum.
//
// AWS: "Checking object integrity for data uploads in Amazon S3": DeleteObjects and most that put a configuration.
func Checksummed() OpOption { return func(o *Operation) { o.checksummed = true } }

// Answers gives a success another status than the model has.
func Answers(status int) OpOption { return func(o *Operation) { o.status = status } }

// Op registers a handler: a function on the SDK's own types. The operation's name is that of the input type without
// "Input". The access function says what must be allowed. It sees the decoded and not yet validated input, so it takes
// absent members for what they are, and must not change it; it may read the store, for example to learn which subnet a
// call means that names none, and [FromContext] answers the request. Its error ends the call.
//
// An input with an io.Reader takes the body of a request to S3 as it comes: nothing was read of it when the handler starts,
// and its errors are AWS's own. An output with an io.ReadCloser is sent and closed after the handler returned; one that is
// an io.WriterTo as well writes itself.
//
// In and Out are the pointer types: code that is generic over pointers exists once, over structures once for each.
func Op[In, Out any](handler func(context.Context, In) (Out, error), access func(context.Context, In) ([]Access, error), options ...OpOption) Operation {
	return newOperation(reflect.TypeFor[In]().Elem(), reflect.TypeFor[Out]().Elem(),
		func(ctx context.Context, input any) (any, error) {
			out, err := handler(ctx, input.(In))
			if err != nil {
				return nil, err // not out: a nil pointer in an interface is not nil
			}
			return out, nil
		},
		func(ctx context.Context, input any) ([]Access, error) { return access(ctx, input.(In)) }, options)
}

func newOperation(in, out reflect.Type, call func(context.Context, any) (any, error), access func(context.Context, any) ([]Access, error), options []OpOption) Operation {
	o := Operation{
		name: strings.TrimSuffix(in.Name(), "Input"), in: in, out: out, call: call, access: access, streams: streams(in),
		newInput: func() any { return reflect.New(in).Interface() },
	}
	if field, ok := in.FieldByName("DryRun"); ok && field.Type == reflect.TypeFor[*bool]() {
		o.dryRun = field.Index
	}
	for _, option := range options {
		option(&o)
	}
	return o
}

// asksDryRun tells whether an input only asks if the call would be allowed.
func (o *Operation) asksDryRun(in any) bool {
	if o.dryRun == nil {
		return false
	}
	wanted, _ := reflect.ValueOf(in).Elem().FieldByIndex(o.dryRun).Interface().(*bool)
	return wanted != nil && *wanted
}

// Action is the usual access function: one action on no particular resource.
func Action[In any](action string) func(context.Context, *In) ([]Access, error) {
	return func(context.Context, *In) ([]Access, error) { return []Access{{Action: action}}, nil }
}

// service is a registered service.
type service struct {
	meta       *meta.Service
	codec      *Codec
	operations map[string]*Operation
	checks     Checks
	restOnce   sync.Once
	rest       restRouter
	s3         *s3Router // instead of rest
}

// Register adds operations of a service, before the first request. An operation that the metadata does not know, or
// that is registered twice, is a mistake of the program and panics.
func (s *Server) Register(m *meta.Service, operations ...Operation) {
	target := s.services[m]
	if target == nil {
		panic("awsapi: unknown service " + m.Name)
	}
	for i := range operations {
		o := &operations[i]
		if !m.HasOperation(o.name) || target.operations[o.name] != nil {
			panic(fmt.Sprintf("awsapi: %s has no operation %s, or it is registered twice", m.Name, o.name))
		}
		target.operations[o.name] = o
	}
}

// Check chooses what is validated of a service's inputs, before the first request; see [Checks].
func (s *Server) Check(m *meta.Service, checks Checks) { s.services[m].checks = checks }

// AlsoTakes adds values to those that an enumeration of a service's inputs has in its model, before the first request: some
// services take, and answer, other words than they document.
func (s *Server) AlsoTakes(m *meta.Service, enum string, values ...string) {
	c := s.services[m].codec
	if c.also == nil {
		c.also = map[string][]string{}
	}
	c.also[enum] = append(c.also[enum], values...)
}

// Coverage says of every operation of every service whether it is implemented.
type Coverage struct {
	Service     string   `json:"service"`
	Implemented []string `json:"implemented"`
	NotYet      []string `json:"notImplemented"`
	Total       int      `json:"total"`
	Protocols   []string `json:"protocols"`
	SigningName string   `json:"signingName"`
}

// Coverage lists the services in the order of their names; it follows from what is registered and nothing else.
func (s *Server) Coverage() []Coverage {
	all := make([]Coverage, 0, len(meta.All))
	for _, m := range meta.All {
		c := Coverage{Service: m.Name, Implemented: []string{}, NotYet: []string{}, Total: len(m.Operations), SigningName: m.SigningName}
		for _, p := range m.Protocols {
			c.Protocols = append(c.Protocols, p.String())
		}
		for _, name := range m.Operations {
			if s.services[m].operations[name] != nil {
				c.Implemented = append(c.Implemented, name)
			} else {
				c.NotYet = append(c.NotYet, name)
			}
		}
		all = append(all, c)
	}
	return all
}
