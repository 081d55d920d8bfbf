package cloudtrail

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"time"

	"miniaws/awsapi"
	"miniaws/backend/lazyregexp"
	"miniaws/backend/store"
)

// ErrNoCall: no recorded call has this request id.
var ErrNoCall = errors.New("no recorded call has this request id")

// Call is a recorded call, with how it was decided.
type Call struct {
	// Record is the event as CloudTrail writes it.
	Record json.RawMessage `json:"record"`
	// Decisions are in the order in which they were taken; none where nothing had to be decided, as for a root user.
	Decisions []awsapi.Explanation `json:"decisions"`
}

// callPatience is how long after its arrival a call may end to be found by its request id.
const callPatience = 10 * time.Minute

var (
	requestPattern   = lazyregexp.New(`^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	s3RequestPattern = lazyregexp.New(`^[0-9A-F]{16}$`)
)

// requestTime is when a request came, by its id.
func requestTime(id string) (time.Time, bool) {
	switch {
	case requestPattern.MatchString(id):
		return timeOf(id), true
	case s3RequestPattern.MatchString(id):
		ms, err := strconv.ParseInt(id[:11], 16, 64)
		return time.UnixMilli(ms), err == nil
	}
	return time.Time{}, false
}

// Find answers the call of a request id, in whatever account and region. Errors: ErrNoCall.
func (s *Service) Find(ctx context.Context, requestID string) (*Call, error) {
	came, ok := requestTime(requestID)
	if !ok {
		return nil, ErrNoCall
	}
	if err := s.Flush(ctx); err != nil {
		return nil, err
	}
	var call *Call
	err := s.everyPlace(ctx, func(p place) error {
		if call != nil {
			return nil
		}
		var err error
		call, err = s.findIn(ctx, store.Scope{Account: p.Account, Region: p.Region}, requestID, came)
		return err
	})
	if err == nil && call == nil {
		err = ErrNoCall
	}
	return call, err
}

func (s *Service) findIn(ctx context.Context, scope store.Scope, requestID string, came time.Time) (call *Call, err error) {
	query := store.Query{After: before(inverted(came.Add(callPatience)))}
	err = s.config.DB.View(ctx, func(tx store.Tx) error {
		for _, table := range []*store.Table[batch]{events, dataEvents} {
			for b, err := range table.In(tx, scope).Scan(query) {
				if err != nil {
					return err
				}
				if b.Newest.Before(came.Add(-time.Second)) {
					break
				}
				list, err := b.unpack(scope.Account, scope.Region)
				if err != nil {
					return err
				}
				for _, e := range list {
					if e.RequestID != requestID {
						continue
					}
					call = &Call{Record: e.Record}
					if len(e.Decisions) > 0 {
						return json.Unmarshal(e.Decisions, &call.Decisions)
					}
					return nil
				}
			}
		}
		return nil
	})
	return call, err
}
