package awsapi

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"reflect"
	"runtime/debug"
)

// Caller is on whose behalf a call is made that does not come over the wire.
type Caller struct {
	Principal Principal
	Region    string
	// SourceIP and UserAgent are those of the call behind this one; the zero Addr and a service's name where there is none.
	SourceIP  netip.Addr
	UserAgent string
}

// Invoke is the second entrance: it takes an input through the same steps as a request over the wire, from authorization
// on, for services that act for a user or for themselves. Nobody gets around authorization or the audit. The output is of
// the operation's own type; errors are those that a client would get.
func (s *Server) Invoke(ctx context.Context, by Caller, input any) (output any, err error) {
	target, operation := s.operationOf(reflect.TypeOf(input))
	if operation == nil {
		return nil, fmt.Errorf("awsapi: no operation takes a %T", input)
	}
	now := s.options.Now()
	c := &call{server: s, request: &Request{
		ID: newRequestID(now), Time: now, Service: target.meta, Operation: operation.name, Protocol: target.meta.Protocols[0],
		Region: by.Region, Principal: by.Principal, SourceIP: by.SourceIP, UserAgent: by.UserAgent, Secure: true, Header: http.Header{},
	}}
	c.route = route{service: target, operation: operation.name, protocol: target.meta.Protocols[0]}
	c.operation, c.input = operation, input
	ctx = context.WithValue(ctx, requestKey{}, c.request)
	c.failure = c.invoke(ctx)
	status := http.StatusOK
	if c.failure != nil {
		status = http.StatusBadRequest
	}
	o := &Outcome{
		Request: c.request, Input: c.input, Output: c.output, Accesses: c.accesses,
		Err: c.failure, Code: codeOf(c.failure), Status: status, Took: s.options.Now().Sub(now),
	}
	for _, r := range s.options.Recorders {
		if err := r.Record(ctx, o); err != nil {
			return nil, err
		}
	}
	return c.output, c.failure
}

// invoke takes the steps. A panic on the way is an internal failure of this call.
func (c *call) invoke(ctx context.Context) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
			c.server.options.Log.Log(ctx, slog.LevelError, "internal failure", "request", c.request.ID, "operation", c.operation.name, "error", err)
		}
	}()
	for _, step := range []func(*call, context.Context) error{(*call).authorize, (*call).validate, (*call).dryRun, (*call).handle} {
		if err := step(c, ctx); err != nil {
			return err
		}
	}
	return nil
}

// operationOf finds the operation that takes a pointer to this type of input.
func (s *Server) operationOf(input reflect.Type) (*service, *Operation) {
	if input == nil || input.Kind() != reflect.Pointer {
		return nil, nil
	}
	for _, target := range s.services {
		for _, operation := range target.operations {
			if operation.in == input.Elem() {
				return target, operation
			}
		}
	}
	return nil, nil
}
