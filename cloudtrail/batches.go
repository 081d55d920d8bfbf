package cloudtrail

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/klauspost/compress/s2"

	"miniaws/backend/store"
)

// batch is a row of events that were written together.
type batch struct {
	// Newest and Oldest are the times of its last and first event.
	Newest, Oldest time.Time
	// Suffix keeps apart what was written in the same nanosecond.
	Suffix     string
	Events     int
	Attributes []attribute `json:",omitempty"`
	// Packed holds the events, the oldest first.
	Packed []byte

	list []*event // what was packed; nil for a batch that was read
}

const (
	// maxBatch bounds the events of a batch before they are packed, so that reading one is quick: a page may need one
	// event of each of 50 batches. A packed batch that would be larger than a value of the store may be is split.
	maxBatch = 32 << 10
	// maxPacked is what a value of the store holds, as base64 within JSON and with the attributes beside it.
	maxPacked = 36 << 10
	// maxSpan bounds the time between the first and the last event of a batch.
	maxSpan = time.Minute
)

// inverted is a time as text that is the smaller the later it is: tables are walked from the newest on.
func inverted(t time.Time) string { return fmt.Sprintf("%016x", uint64(math.MaxInt64-t.UnixNano())) }

func (b *batch) id() store.ID { return store.ID{inverted(b.Newest), b.Suffix} }

// events are management events; they alone are looked up.
var events = store.NewTable(store.Spec[batch]{
	Service: "cloudtrail", Name: "events",
	ID: (*batch).id,
	Indexes: []store.Index[batch]{{Name: "attribute", Values: func(b *batch) []store.ID {
		var values []store.ID
		for _, a := range b.Attributes {
			values = append(values, store.ID{a.Name, a.Value})
		}
		return values
	}}},
})

// dataEvents have no index: they are read once, for the trails.
var dataEvents = store.NewTable(store.Spec[batch]{Service: "cloudtrail", Name: "data-events", ID: (*batch).id})

// hour is how much there is of one hour.
type hour struct {
	Start  time.Time
	Events int
	Bytes  int64
}

var hours = store.NewTable(store.Spec[hour]{
	Service: "cloudtrail", Name: "hours",
	ID: func(h *hour) store.ID { return store.ID{inverted(h.Start)} },
})

// place is where there are events.
type place struct{ Account, Region string }

var places = store.NewTable(store.Spec[place]{
	Service: "cloudtrail", Name: "places",
	ID: func(p *place) store.ID { return store.ID{p.Account, p.Region} },
})

// pack makes batches of events, which are in the order of their times.
func pack(list []*event) []*batch {
	var all []*batch
	var raw []byte
	start := 0
	flush := func(end int) {
		if end > start {
			all = append(all, packed(list[start:end], raw)...)
			start, raw = end, nil
		}
	}
	for i, e := range list {
		if i > start && (len(raw) > maxBatch || e.Time.Sub(list[start].Time) > maxSpan) {
			flush(i)
		}
		raw = e.appendTo(raw)
	}
	flush(len(list))
	return all
}

// packed makes one batch, or two where one does not fit.
func packed(list []*event, raw []byte) []*batch {
	content := s2.Encode(nil, raw)
	if len(content) > maxPacked && len(list) > 1 {
		half := len(list) / 2
		var first, second []byte
		for i, e := range list {
			if i < half {
				first = e.appendTo(first)
			} else {
				second = e.appendTo(second)
			}
		}
		return append(packed(list[:half], first), packed(list[half:], second)...)
	}
	b := &batch{
		Newest: list[len(list)-1].Time, Oldest: list[0].Time,
		Suffix: list[len(list)-1].ID[:8], Events: len(list), Packed: content, list: list,
	}
	seen := map[attribute]bool{}
	for _, e := range list {
		for _, a := range e.attributes() {
			if !seen[a] {
				seen[a] = true
				b.Attributes = append(b.Attributes, a)
			}
		}
	}
	return []*batch{b}
}

// unpack answers the events of a batch, the newest first.
func (b *batch) unpack(account, region string) ([]*event, error) {
	raw, err := s2.Decode(nil, b.Packed)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errPacked, err)
	}
	list := make([]*event, 0, b.Events)
	for r := (&packedReader{rest: raw}); len(r.rest) > 0; {
		e := r.event()
		if r.err != nil {
			return nil, r.err
		}
		e.Account, e.Region = account, region
		list = append(list, e)
	}
	slices.Reverse(list)
	return list, nil
}
