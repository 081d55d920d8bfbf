package cloudtrail

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"iter"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail/types"

	"miniaws/awsapi"
	"miniaws/backend/lazyregexp"
	"miniaws/backend/store"
)

func lookupAccess(context.Context, *cloudtrail.LookupEventsInput) ([]awsapi.Access, error) {
	return []awsapi.Access{{Action: "cloudtrail:LookupEvents"}}, nil
}

// lookup is what a call of LookupEvents asks for.
type lookup struct {
	From, Until time.Time
	By          attribute // an empty name takes all
	limit       int
	at          position
}

// position is the place behind an event.
type position struct {
	Batch store.ID `json:"b,omitempty"`
	// Next counts the events of the batch that were answered already.
	Next int `json:"n,omitempty"`
	// Asked is a digest of what was asked: a token goes with the same question only.
	Asked string `json:"q,omitempty"`
}

// maxLookup is the size of a page.
// AWS: "LookupEvents": MaxResults from 1 to 50.
const maxLookup = 50

// LookupEvents answers management events of the caller's account and region, the newest first.
func (s *Service) LookupEvents(ctx context.Context, in *cloudtrail.LookupEventsInput) (*cloudtrail.LookupEventsOutput, error) {
	q, err := lookupOf(in)
	if err != nil {
		return nil, err
	}
	regional, _ := where(ctx)
	out := &cloudtrail.LookupEventsOutput{Events: []types.Event{}}
	if in.EventCategory == types.EventCategoryInsight {
		return out, nil // there are none: see doc.go
	}
	err = s.config.DB.View(ctx, func(tx store.Tx) error {
		out.Events, out.NextToken = out.Events[:0], nil
		var last position
		for e, err := range found(tx, regional, q) {
			if err != nil {
				return err
			}
			if len(out.Events) == q.limit {
				out.NextToken = last.token(q)
				return nil
			}
			out.Events = append(out.Events, e.toAPI())
			last = e.position
		}
		return nil
	})
	return out, err
}

// lookupOf checks the input.
func lookupOf(in *cloudtrail.LookupEventsInput) (lookup, error) {
	q := lookup{limit: maxLookup}
	if in.MaxResults != nil {
		if q.limit = int(*in.MaxResults); q.limit < 1 || q.limit > maxLookup {
			return q, errInvalidMaxResults()
		}
	}
	if in.StartTime != nil {
		q.From = *in.StartTime
	}
	if in.EndTime != nil {
		q.Until = *in.EndTime
	}
	if !q.From.IsZero() && !q.Until.IsZero() && q.Until.Before(q.From) {
		return q, errInvalidTimeRange()
	}
	switch in.EventCategory {
	case "", types.EventCategoryInsight:
	default:
		return q, errInvalidEventCategory()
	}
	if len(in.LookupAttributes) > 1 {
		return q, errInvalidLookupAttributes("You can only specify one lookup attribute.")
	}
	for _, a := range in.LookupAttributes {
		q.By = attribute{string(a.AttributeKey), aws.ToString(a.AttributeValue)}
		if !knownAttribute(a.AttributeKey) || q.By.Value == "" || len(q.By.Value) > 2000 {
			return q, errInvalidLookupAttributes(fmt.Sprintf("The lookup attribute %s is not valid.", a.AttributeKey))
		}
	}
	if in.NextToken != nil {
		raw, err := base64.RawURLEncoding.DecodeString(*in.NextToken)
		if err != nil || json.Unmarshal(raw, &q.at) != nil || len(q.at.Batch) != 2 || q.at.Next < 0 || q.at.Asked != q.digest() {
			return q, errInvalidNextToken()
		}
	}
	return q, nil
}

func knownAttribute(key types.LookupAttributeKey) bool {
	for _, known := range key.Values() {
		if key == known {
			return true
		}
	}
	return false
}

func (q lookup) digest() string {
	sum := sha256.Sum256([]byte(fmt.Sprintf("%d %d %q %q", q.From.UnixNano(), q.Until.UnixNano(), q.By.Name, q.By.Value)))
	return hex.EncodeToString(sum[:8])
}

func (p position) token(q lookup) *string {
	p.Asked = q.digest()
	return aws.String(base64.RawURLEncoding.EncodeToString(encoded(p)))
}

// foundEvent is an event with the place behind it.
type foundEvent struct {
	*event
	position position
}

// uuidPattern is what ids of events look like.
var uuidPattern = lazyregexp.New(`^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$`)

// found yields the events that a lookup finds, the newest first. It walks through the index of the attribute, or through
// all batches where there is none.
func found(tx store.Tx, scope store.Scope, q lookup) iter.Seq2[foundEvent, error] {
	return func(yield func(foundEvent, error) bool) {
		from, until := q.From, q.Until
		if q.By.Name == "EventId" {
			if !uuidPattern.MatchString(q.By.Value) {
				return
			}
			at := timeOf(q.By.Value)
			from, until = later(from, at.Add(-time.Second)), earlier(until, at.Add(time.Second))
		}
		for b, err := range candidates(tx, scope, q, until) {
			if err != nil {
				yield(foundEvent{}, err)
				return
			}
			if !from.IsZero() && b.Newest.Before(from.Add(-maxSpan)) {
				return
			}
			list, err := b.unpack(scope.Account, scope.Region)
			if err != nil {
				yield(foundEvent{}, err)
				return
			}
			skip := 0
			if id := b.id(); len(q.at.Batch) == 2 && id[0] == q.at.Batch[0] && id[1] == q.at.Batch[1] {
				skip = q.at.Next
			}
			for i, e := range list {
				// AWS: times of a lookup are whole seconds.
				if i < skip || !from.IsZero() && e.Time.Before(from) || !until.IsZero() && e.Time.Truncate(time.Second).After(until) {
					continue
				}
				if q.By.Name != "" && !e.has(q.By) {
					continue
				}
				if !yield(foundEvent{e, position{Batch: b.id(), Next: i + 1}}, nil) {
					return
				}
			}
		}
	}
}

// candidates are the batches that may hold what is looked for.
func candidates(tx store.Tx, scope store.Scope, q lookup, until time.Time) iter.Seq2[*batch, error] {
	// The first batch may have events from before its own time.
	start := ""
	if !until.IsZero() {
		start = inverted(until.Add(maxSpan + time.Second))
	}
	if len(q.at.Batch) == 2 && q.at.Batch[0] > start {
		// The place in the batch itself: what is behind its whole id would miss the rest of it.
		start = q.at.Batch[0]
	}
	rows := events.In(tx, scope)
	switch q.By.Name {
	case "", "EventId", "ReadOnly":
		query := store.Query{}
		if start != "" {
			query.After = before(start)
		}
		return rows.Scan(query)
	}
	query := store.Query{Parts: store.ID{q.By.Name, q.By.Value}}
	if start != "" {
		query.After = before(q.By.Name, q.By.Value, start)
	}
	return rows.Index("attribute").Scan(query)
}

// before is the place in front of every id that begins with these parts.
func before(id ...string) store.Cursor {
	place := string(store.After(id...))
	return store.Cursor(place[:len(place)-1])
}

// timeOf is the time in an id of version 7.
func timeOf(uuid string) time.Time {
	var ms int64
	if _, err := fmt.Sscanf(uuid[:8]+uuid[9:13], "%x", &ms); err != nil {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// earlier takes a zero time for none.
func earlier(a, b time.Time) time.Time {
	if !a.IsZero() && a.Before(b) {
		return a
	}
	return b
}

func (e *event) toAPI() types.Event {
	out := types.Event{
		EventId: aws.String(e.ID), EventName: aws.String(e.Name), EventSource: aws.String(e.Source),
		EventTime: aws.Time(e.Time.Truncate(time.Second)), ReadOnly: aws.String(readOnlyText(e.ReadOnly)),
		CloudTrailEvent: aws.String(string(e.Record)), Resources: []types.Resource{},
	}
	if e.Username != "" {
		out.Username = aws.String(e.Username)
	}
	if e.AccessKeyID != "" {
		out.AccessKeyId = aws.String(e.AccessKeyID)
	}
	for _, r := range e.Resources {
		out.Resources = append(out.Resources, types.Resource{ResourceType: aws.String(r.Type), ResourceName: aws.String(r.Name)})
	}
	return out
}
