package awsapi

import (
	"context"
	"errors"
	"time"

	"github.com/aws/smithy-go"
)

// Outcome is what became of a call, for those who count and record calls. It must not be changed.
type Outcome struct {
	// Request has no service and no operation where the call did not come that far.
	*Request
	// Input is nil unless it was decoded, Output unless the handler succeeded. A stream in them is not theirs any more.
	Input, Output any
	// Accesses are what the call needed to be allowed; nil unless it was asked.
	Accesses []Access
	// Err is why the call failed, nil if it did not; Code is AWS's code of it.
	Err    error
	Code   string
	Status int
	// Took is the time until the answer was made; a body that streams is not part of it.
	Took time.Duration
}

// Recorder is told of every call before it is answered. An error replaces the answer: what must be recorded and cannot be
// is not acknowledged.
type Recorder interface {
	Record(ctx context.Context, o *Outcome) error
}

// record tells the recorders, and answers the reply that the client gets.
func (c *call) record(ctx context.Context, reply *Reply) *Reply {
	if len(c.server.options.Recorders) == 0 {
		return reply
	}
	o := &Outcome{
		Request: c.request, Input: c.input, Output: c.output, Accesses: c.accesses,
		Err: c.failure, Code: codeOf(c.failure), Status: reply.Status,
		Took: c.server.options.Now().Sub(c.request.Time),
	}
	for _, r := range c.server.options.Recorders {
		if err := r.Record(ctx, o); err != nil {
			if reply.Stream != nil {
				_ = reply.Stream.Close() // nobody reads it
			}
			return c.encode(err)
		}
	}
	return reply
}

// codeOf is the code that the client sees.
func codeOf(err error) string {
	var known smithy.APIError
	switch {
	case err == nil:
		return ""
	case errors.As(err, &known):
		return known.ErrorCode()
	default:
		return "InternalFailure"
	}
}
