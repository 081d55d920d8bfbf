package cloudtrail

import (
	"encoding/binary"
	"errors"
	"time"
)

// event is one recorded call.
type event struct {
	ID, RequestID         string
	Account, Region       string
	Name, Source          string
	Username, AccessKeyID string
	// Time is when the call ended, which CloudTrail's eventTime is too.
	Time     time.Time
	ReadOnly bool
	// Data tells a data event from a management event.
	Data      bool
	Resources []resource
	// Record is the event as CloudTrail writes it: JSON.
	Record []byte
	// Decisions says how the call was decided: JSON, a list of awsapi.Explanation; empty where nothing had to be.
	Decisions []byte
}

// resource is something that an event is about.
type resource struct{ Type, Name string }

// attribute is what an event can be looked up by.
type attribute struct{ Name, Value string }

// attributes are those that have an index: all of CloudTrail's but EventId, which is found by its time, and ReadOnly, of
// which there are two.
func (e *event) attributes() []attribute {
	list := []attribute{{"EventName", e.Name}, {"EventSource", e.Source}}
	if e.Username != "" {
		list = append(list, attribute{"Username", e.Username})
	}
	if e.AccessKeyID != "" {
		list = append(list, attribute{"AccessKeyId", e.AccessKeyID})
	}
	for _, r := range e.Resources {
		list = append(list, attribute{"ResourceType", r.Type}, attribute{"ResourceName", r.Name})
	}
	return list
}

// has tells whether a lookup by the attribute finds the event.
func (e *event) has(a attribute) bool {
	switch a.Name {
	case "EventId":
		return e.ID == a.Value
	case "ReadOnly":
		return readOnlyText(e.ReadOnly) == a.Value
	}
	for _, own := range e.attributes() {
		if own == a {
			return true
		}
	}
	return false
}

func readOnlyText(readOnly bool) string {
	if readOnly {
		return "true"
	}
	return "false"
}

// appendTo writes the event: its strings and lists with their lengths in front.
func (e *event) appendTo(b []byte) []byte {
	for _, s := range []string{e.ID, e.RequestID, e.Name, e.Source, e.Username, e.AccessKeyID} {
		b = appendText(b, s)
	}
	b = binary.AppendVarint(b, e.Time.UnixNano())
	flags := byte(0)
	if e.ReadOnly {
		flags |= 1
	}
	if e.Data {
		flags |= 2
	}
	b = append(b, flags)
	b = binary.AppendUvarint(b, uint64(len(e.Resources)))
	for _, r := range e.Resources {
		b = appendText(appendText(b, r.Type), r.Name)
	}
	return appendText(appendText(b, string(e.Record)), string(e.Decisions))
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

var errPacked = errors.New("cloudtrail: a packed event is damaged")

// packedReader reads what appendTo wrote; the first mistake stays.
type packedReader struct {
	rest []byte
	err  error
}

func (r *packedReader) number() uint64 {
	n, size := binary.Uvarint(r.rest)
	if size <= 0 {
		r.err, r.rest = errPacked, nil
		return 0
	}
	r.rest = r.rest[size:]
	return n
}

// bytes answers a part of what is read, which is nobody's to change.
func (r *packedReader) bytes() []byte {
	n := r.number()
	if n > uint64(len(r.rest)) {
		r.err, r.rest = errPacked, nil
		return nil
	}
	part := r.rest[:n:n]
	r.rest = r.rest[n:]
	return part
}

func (r *packedReader) text() string { return string(r.bytes()) }

func (r *packedReader) event() *event {
	e := &event{}
	for _, field := range []*string{&e.ID, &e.RequestID, &e.Name, &e.Source, &e.Username, &e.AccessKeyID} {
		*field = r.text()
	}
	at, size := binary.Varint(r.rest)
	if size <= 0 || size >= len(r.rest) {
		r.err, r.rest = errPacked, nil
		return e
	}
	e.Time = time.Unix(0, at).UTC()
	flags := r.rest[size]
	r.rest = r.rest[size+1:]
	e.ReadOnly, e.Data = flags&1 != 0, flags&2 != 0
	for n := r.number(); n > 0 && r.err == nil; n-- {
		e.Resources = append(e.Resources, resource{r.text(), r.text()})
	}
	e.Record, e.Decisions = r.bytes(), r.bytes()
	return e
}
