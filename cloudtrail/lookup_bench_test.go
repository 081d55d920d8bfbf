package cloudtrail

import (
	"fmt"
	"os"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail/types"

	"miniaws/backend/seal"
	"miniaws/backend/store"
)

// benchEvents is how many events there are; the variable makes it fewer for a quick look.
func benchEvents(b *testing.B) int {
	b.Helper()
	if text := os.Getenv("MINI_AWS_BENCH_EVENTS"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			b.Fatal(err)
		}
		return n
	}
	return 1_000_000
}

// fill records events as the pipeline does: a hundred users call, one call in ten writes, and one user called twenty times,
// long ago.
func fill(b *testing.B, s *Service, c *clock, events int) {
	b.Helper()
	for i := range events {
		user := fmt.Sprintf("user-%d", i%100)
		if i%1000 == 7 && i < 20_000 {
			user = "rare"
		}
		o := outcomeOf("ListUsers", user)
		o.ID = fmt.Sprintf("00000000-0000-7000-8000-%012d", i)
		if i%10 == 0 {
			// A call that writes and was refused waits with those that read: a million commits would take the whole day.
			o = outcomeOf("CreateUser", user)
			o.Err, o.Code = errInvalidTimeRange(), "AccessDenied"
		}
		c.step(100 * time.Millisecond)
		if err := s.Record(b.Context(), o); err != nil {
			b.Fatal(err)
		}
	}
	if err := s.Flush(b.Context()); err != nil {
		b.Fatal(err)
	}
}

// processorTime is what this process used: what others on the machine do does not count.
func processorTime(tb testing.TB) time.Duration {
	tb.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// BenchmarkLookupEvents answers pages of 50 out of a million events, on disk.
func BenchmarkLookupEvents(b *testing.B) {
	c := &clock{now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	db, err := store.Open(b.Context(), b.TempDir(), store.DiskOptions{Options: store.Options{Clock: c.read}})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := db.Close(); err != nil {
			b.Error(err)
		}
	})
	if err := store.Migrate(b.Context(), db, Tables()...); err != nil {
		b.Fatal(err)
	}
	s := New(Config{DB: db, Key: seal.NewKey(), Region: "us-east-1", Now: c.read})
	start := c.read()
	events := benchEvents(b)
	fill(b, s, c, events)
	b.Logf("packed: %d bytes an event", packedBytes(b, s)/events)
	ask := asker(s)
	by := func(key types.LookupAttributeKey, value string) []types.LookupAttribute {
		return []types.LookupAttribute{{AttributeKey: key, AttributeValue: aws.String(value)}}
	}
	middle := start.Add(time.Duration(events) * 50 * time.Millisecond)
	for name, in := range map[string]*cloudtrail.LookupEventsInput{
		"newest":        {},
		"in the middle": {EndTime: aws.Time(middle)},
		"user":          {LookupAttributes: by(types.LookupAttributeKeyUsername, "user-42")},
		"rare user":     {LookupAttributes: by(types.LookupAttributeKeyUsername, "rare")},
		"nobody":        {LookupAttributes: by(types.LookupAttributeKeyUsername, "nobody")},
		"event name":    {LookupAttributes: by(types.LookupAttributeKeyEventName, "CreateUser")},
		"writes":        {LookupAttributes: by(types.LookupAttributeKeyReadOnly, "false")},
	} {
		b.Run(name, func(b *testing.B) {
			from := processorTime(b)
			for b.Loop() {
				answer, err := ask(b.Context(), in)
				if err != nil {
					b.Fatal(err)
				}
				found := len(answer.(*cloudtrail.LookupEventsOutput).Events)
				if want := map[string]int{"rare user": 20, "nobody": 0}; name == "rare user" || name == "nobody" {
					if found != want[name] {
						b.Fatalf("%d events", found)
					}
				} else if found != 50 {
					b.Fatalf("%d events", found)
				}
			}
			b.ReportMetric(float64((processorTime(b)-from).Microseconds())/float64(b.N)/1000, "ms-cpu/page")
		})
	}
}

// packedBytes is how much there is of all hours.
func packedBytes(b *testing.B, s *Service) (bytes int) {
	b.Helper()
	err := s.config.DB.View(b.Context(), func(tx store.Tx) error {
		bytes = 0
		for h, err := range hours.In(tx, store.Scope{Account: testAccount, Region: "us-east-1"}).Scan(store.Query{}) {
			if err != nil {
				return err
			}
			bytes += int(h.Bytes)
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	return bytes
}
