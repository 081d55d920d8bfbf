package awsapi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"reflect"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws/protocol/eventstream"
	"github.com/aws/aws-sdk-go-v2/aws/protocol/eventstream/eventstreamapi"
	"github.com/aws/smithy-go"

	"miniaws/awsapi/meta"
	"miniaws/awsapi/wire"
)

// eventsType is the media type of an answer that is a stream of events.
const eventsType = "application/vnd.amazon.eventstream"

// eventSource sends the events of one call until it is done or ctx, which ends with the client, is over.
type eventSource func(ctx context.Context, send func(event any) error) error

// Events registers a handler whose answer is a stream of events, of the SDK's union type Event. The handler decides whether
// there will be one, so its error is an answer like any other. The function that it returns sends the events: each leaves at
// once. It ends when it wants to or when its context does, because the client is gone; send fails then too. An error of it
// goes to the client as the stream's last message, as an exception of the model where its code is one. The input and the
// access function are as in [Op].
func Events[In, Event any](handler func(context.Context, *In) (func(ctx context.Context, send func(Event) error) error, error), access func(context.Context, *In) ([]Access, error), options ...OpOption) Operation {
	start := func(ctx context.Context, in *In) (*eventSource, error) {
		run, err := handler(ctx, in)
		if err != nil {
			return nil, err
		}
		source := eventSource(func(ctx context.Context, send func(any) error) error {
			return run(ctx, func(e Event) error { return send(e) })
		})
		return &source, nil
	}
	o := Op(start, access, options...)
	call := o.call
	o.event = reflect.TypeFor[Event]()
	o.call = func(ctx context.Context, in any) (any, error) {
		out, err := call(ctx, in)
		if err != nil {
			return nil, err
		}
		return *out.(*eventSource), nil
	}
	return o
}

// eventReply is the answer that the events of source follow.
func (c *call) eventReply(source eventSource) (*Reply, error) {
	codec := c.route.service.codec
	if p := c.route.protocol; p != meta.AWSJSON10 && p != meta.AWSJSON11 {
		return nil, fmt.Errorf("awsapi: no events in %v", p)
	}
	union, plan, err := codec.events(c.operation.name, c.operation.event)
	if err != nil {
		return nil, err
	}
	reply := &Reply{Status: http.StatusOK, Header: http.Header{"Content-Type": {eventsType}}}
	setRequestID(reply.Header, codec.Service, c.request.ID)
	reply.Stream = &eventStream{call: c, union: union, plan: plan, source: source, media: jsonType(c.route.protocol)}
	return reply, nil
}

// events answers the events that follow the operation's answer, and the plan of their type.
func (c *Codec) events(op string, event reflect.Type) (*wire.Shape, *plan, error) {
	o, err := c.op(op)
	if err != nil {
		return nil, nil, err
	}
	if o.op.Out >= 0 {
		for _, m := range c.wire.Responses[o.op.Out].Members {
			if m.Location == wire.Events {
				return &c.wire.Responses[m.Target], c.planOf(&o.events, event, m.Target, false, native), nil
			}
		}
	}
	return nil, nil, fmt.Errorf("awsapi: no events follow %s", op)
}

// eventStream writes events as they come.
//
// AWS: Smithy, "Amazon Event Stream specification": messages with the headers :message-type, :event-type and :content-type;
// protocols without HTTP bindings begin with the event "initial-response".
type eventStream struct {
	call   *call
	union  *wire.Shape
	plan   *plan
	source eventSource
	media  string
	to     io.Writer
	encode *eventstream.Encoder
}

func (s *eventStream) Read([]byte) (int, error) {
	return 0, errors.New("awsapi: events are only written")
}
func (s *eventStream) Close() error { return nil }

// WriteTo sends everything. Its error is the connection's, or that of the source when the client could not be told.
func (s *eventStream) WriteTo(w io.Writer) (int64, error) {
	s.to, s.encode = w, eventstream.NewEncoder()
	if err := s.message(eventstreamapi.EventMessageType, eventstreamapi.EventTypeHeader, "initial-response", []byte("{}")); err != nil {
		return 0, err
	}
	ctx, cancel := context.WithCancel(s.call.http.Context())
	defer cancel()
	err := s.source(ctx, func(event any) error {
		if err := s.event(event); err != nil {
			cancel()
			return err
		}
		return ctx.Err()
	})
	if err == nil || ctx.Err() != nil {
		return 0, err
	}
	return 0, s.failure(err)
}

func (s *eventStream) event(event any) error {
	f, value, err := s.plan.variantOf(reflect.ValueOf(&event).Elem())
	if err != nil {
		return err
	}
	body, err := encodeJSON(nil, f.plan, placeOf(value))
	if err != nil {
		return err
	}
	return s.message(eventstreamapi.EventMessageType, eventstreamapi.EventTypeHeader, f.name, body)
}

// failure ends the stream with what went wrong: an exception that the model has, or an error, which says nothing of what
// happened inside.
func (s *eventStream) failure(cause error) error {
	code, message := "InternalFailure", "The request processing has failed because of an unknown error, exception or failure."
	var known smithy.APIError
	if errors.As(cause, &known) {
		code, message = known.ErrorCode(), known.ErrorMessage()
	} else {
		s.call.server.options.Log.Log(s.call.http.Context(), slog.LevelError, "internal failure in a stream of events", "request", s.call.request.ID,
			"operation", s.call.operation.name, "error", cause)
	}
	if slices.ContainsFunc(s.union.Members, func(m wire.Member) bool { return m.Name == code }) {
		body := append(appendJSONString([]byte(`{"message":`), message), '}')
		return s.message(eventstreamapi.ExceptionMessageType, eventstreamapi.ExceptionTypeHeader, code, body)
	}
	return s.send(eventstream.Message{Headers: eventstream.Headers{
		header(eventstreamapi.MessageTypeHeader, eventstreamapi.ErrorMessageType),
		header(eventstreamapi.ErrorCodeHeader, code), header(eventstreamapi.ErrorMessageHeader, message),
	}})
}

func (s *eventStream) message(kind, typeHeader, name string, body []byte) error {
	return s.send(eventstream.Message{
		Headers: eventstream.Headers{header(eventstreamapi.MessageTypeHeader, kind), header(typeHeader, name), header(eventstreamapi.ContentTypeHeader, s.media)},
		Payload: body,
	})
}

func header(name, value string) eventstream.Header {
	return eventstream.Header{Name: name, Value: eventstream.StringValue(value)}
}

// send writes one message and makes it leave.
func (s *eventStream) send(m eventstream.Message) error {
	if err := s.encode.Encode(s.to, m); err != nil {
		return err
	}
	return s.call.control.Flush()
}
