package cloudtrail

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"miniaws/awsapi"
	"miniaws/awsapi/meta"
	"miniaws/backend/seal"
	"miniaws/backend/store"
)

const testAccount = "111122223333"

// clock is stepped by tests.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) read() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(time.Millisecond)
	return c.now
}

func (c *clock) step(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func newService(t testing.TB, wrap func(store.DB) store.DB) (*Service, *clock) {
	t.Helper()
	c := &clock{now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	db := store.OpenMemory(store.Options{Clock: c.read})
	t.Cleanup(func() { db.Close() })
	if err := store.Migrate(t.Context(), db, Tables()...); err != nil {
		t.Fatal(err)
	}
	if wrap != nil {
		db = wrap(db)
	}
	return New(Config{DB: db, Key: seal.NewKey(), Region: "us-east-1", Now: c.read}), c
}

func outcomeOf(operation, user string) *awsapi.Outcome {
	return &awsapi.Outcome{
		Request: &awsapi.Request{
			ID: "r-" + operation, Service: meta.IAM, Operation: operation, Region: "us-east-1",
			Principal: awsapi.Principal{Type: awsapi.User, Account: testAccount, UserName: user, ARN: "arn:aws:iam::" + testAccount + ":user/" + user, AccessKeyID: "AKIAIOSFODNN7EXAMPLE"},
		},
		Input: &iam.CreateUserInput{UserName: aws.String(user)},
	}
}

type everybodyMay struct{}

func (everybodyMay) Authorize(context.Context, *awsapi.Request, []awsapi.Access) error { return nil }

// asker calls operations as the root user does, without recording that.
func asker(s *Service) func(context.Context, any) (any, error) {
	server := awsapi.NewServer(awsapi.Options{Authorizer: everybodyMay{}})
	s.Register(server)
	by := awsapi.Caller{Principal: awsapi.Principal{Account: testAccount, Root: true}, Region: "us-east-1"}
	return func(ctx context.Context, in any) (any, error) { return server.Invoke(ctx, by, in) }
}

// lookupAll goes through the pages as a client does.
func lookupAll(t testing.TB, s *Service, in *cloudtrail.LookupEventsInput) (all []types.Event) {
	t.Helper()
	ask := asker(s)
	for {
		answer, err := ask(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		out := answer.(*cloudtrail.LookupEventsOutput)
		all = append(all, out.Events...)
		if in.NextToken = out.NextToken; in.NextToken == nil {
			return all
		}
	}
}

func TestPackingKeepsEvents(t *testing.T) {
	var list []*event
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for i := range 500 {
		at = at.Add(time.Duration(i) * time.Millisecond)
		list = append(list, &event{
			ID: newEventID(at), RequestID: fmt.Sprint(i), Name: "DoIt", Source: "iam.amazonaws.com", Username: "u\x00\xff", Time: at,
			ReadOnly: i%2 == 0, Data: i%3 == 0, Resources: []resource{{"type", fmt.Sprint("name", i%7)}},
			Record: []byte(strings.Repeat(fmt.Sprint(i), 300)), Decisions: []byte("[]"),
		})
	}
	var got []*event
	for _, b := range pack(list) {
		if len(b.Packed) > maxPacked || b.Newest.Sub(b.Oldest) > maxSpan {
			t.Errorf("a batch of %d bytes, %v", len(b.Packed), b.Newest.Sub(b.Oldest))
		}
		part, err := b.unpack("", "")
		if err != nil || len(part) != b.Events {
			t.Fatalf("%d of %d events: %v", len(part), b.Events, err)
		}
		for i := len(part) - 1; i >= 0; i-- {
			got = append(got, part[i])
		}
	}
	if !reflect.DeepEqual(got, list) {
		t.Errorf("%d events came back otherwise", len(got))
	}
	whole := pack(list)[0]
	for cut := range 20 {
		if _, err := (&batch{Packed: whole.Packed[:len(whole.Packed)-1-cut]}).unpack("", ""); err == nil {
			t.Errorf("a batch without its last %d bytes was read", cut+1)
		}
	}
}

func TestParametersHoldNoSecrets(t *testing.T) {
	for _, c := range []struct {
		in   any
		want string
	}{
		{nil, `null`},
		{&iam.ListUsersInput{}, `null`},
		{&iam.CreateUserInput{UserName: aws.String("a<b"), Tags: []iamtypes.Tag{{Key: aws.String("k"), Value: aws.String("v")}}},
			`{"tags":[{"key":"k","value":"v"}],"userName":"a\u003cb"}`},
		{&iam.CreateLoginProfileInput{Password: aws.String("secret"), PasswordResetRequired: true, UserName: aws.String("u")},
			`{"password":"` + hidden + `","passwordResetRequired":true,"userName":"u"}`},
		{&iam.CreateAccessKeyOutput{AccessKey: &iamtypes.AccessKey{AccessKeyId: aws.String("AKIA"), SecretAccessKey: aws.String("secret")}},
			`{"accessKey":{"accessKeyId":"AKIA","secretAccessKey":"` + hidden + `"}}`},
		{&ssm.PutParameterInput{Name: aws.String("n"), Value: aws.String("secret")}, `{"name":"n","value":"` + hidden + `"}`},
		{&iam.CreateVirtualMFADeviceOutput{VirtualMFADevice: &iamtypes.VirtualMFADevice{Base32StringSeed: []byte("secret"), SerialNumber: aws.String("s")}},
			`{"virtualMFADevice":{"base32StringSeed":"` + hidden + `","serialNumber":"s"}}`},
	} {
		got := string(parametersOf(c.in))
		var a, b any
		if err := errors.Join(json.Unmarshal([]byte(got), &a), json.Unmarshal([]byte(c.want), &b)); err != nil || !reflect.DeepEqual(a, b) {
			t.Errorf("%T: %s, want %s (%v)", c.in, got, c.want, err)
		}
	}
}

// failing refuses writes while it is told to.
type failing struct {
	store.DB
	mu  sync.Mutex
	err error
}

func (f *failing) fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
}

func (f *failing) Update(ctx context.Context, fn func(store.Tx) error) error {
	f.mu.Lock()
	err := f.err
	f.mu.Unlock()
	if err != nil {
		return err
	}
	return f.DB.Update(ctx, fn)
}

// TestWritesAreRecordedOrNotAcknowledged: a write whose event is not durable is not answered with success, and no event is
// lost or doubled when the store takes writes again.
func TestWritesAreRecordedOrNotAcknowledged(t *testing.T) {
	var db *failing
	s, _ := newService(t, func(inner store.DB) store.DB {
		db = &failing{DB: inner}
		return db
	})
	if err := s.Record(t.Context(), outcomeOf("CreateUser", "first")); err != nil {
		t.Fatal(err)
	}
	if got := lookupAll(t, s, &cloudtrail.LookupEventsInput{}); len(got) != 1 {
		t.Errorf("%d events right after a write", len(got))
	}
	if err := s.Record(t.Context(), outcomeOf("GetUser", "second")); err != nil {
		t.Fatal(err)
	}
	if got := lookupAll(t, s, &cloudtrail.LookupEventsInput{}); len(got) != 1 {
		t.Errorf("a read cost a commit: %d events", len(got))
	}
	db.fail(store.ErrFull)
	if err := s.Record(t.Context(), outcomeOf("CreateUser", "third")); err == nil {
		t.Error("a write was acknowledged without its event")
	}
	if err := s.Record(t.Context(), outcomeOf("GetUser", "fourth")); err != nil {
		t.Errorf("a read was refused: %v", err)
	}
	db.fail(nil)
	if err := s.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range lookupAll(t, s, &cloudtrail.LookupEventsInput{}) {
		names = append(names, *e.Username)
	}
	if got := strings.Join(names, " "); got != "fourth third second first" {
		t.Errorf("recorded: %s", got)
	}
}

// stalled lets a write wait until it is told to go on.
type stalled struct {
	store.DB
	begun, goOn chan struct{}
}

func (d *stalled) Update(ctx context.Context, fn func(store.Tx) error) error {
	d.begun <- struct{}{}
	<-d.goOn
	return d.DB.Update(ctx, fn)
}

// TestFlushWaitsForWhatIsBeingWritten: who looks for a call while another one writes its event finds it.
func TestFlushWaitsForWhatIsBeingWritten(t *testing.T) {
	d := &stalled{begun: make(chan struct{}, 8), goOn: make(chan struct{})}
	s, _ := newService(t, func(inner store.DB) store.DB {
		d.DB = inner
		return d
	})
	if err := s.Record(t.Context(), outcomeOf("GetUser", "reader")); err != nil {
		t.Fatal(err)
	}
	first, second := make(chan error, 1), make(chan error, 1)
	go func() { first <- s.Flush(t.Context()) }()
	<-d.begun
	go func() { second <- s.Flush(t.Context()) }()
	select {
	case err := <-second:
		t.Fatalf("a flush ended before the event was there: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	close(d.goOn)
	if err := errors.Join(<-first, <-second); err != nil {
		t.Fatal(err)
	}
	if got := lookupAll(t, s, &cloudtrail.LookupEventsInput{}); len(got) != 1 {
		t.Errorf("%d events", len(got))
	}
}

// TestConcurrentWritesShareCommits: everybody's event is there once, in an order that the pages keep.
func TestConcurrentWritesShareCommits(t *testing.T) {
	s, _ := newService(t, nil)
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for j := range 50 {
				if err := s.Record(t.Context(), outcomeOf("CreateUser", fmt.Sprintf("u-%d-%d", i, j))); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	seen := map[string]bool{}
	last := ""
	for _, e := range lookupAll(t, s, &cloudtrail.LookupEventsInput{MaxResults: aws.Int32(7)}) {
		if last != "" && *e.EventId > last && (*e.EventId)[:13] > last[:13] {
			t.Errorf("%s comes after %s", *e.EventId, last)
		}
		last = *e.EventId
		seen[*e.Username] = true
	}
	if len(seen) != 400 {
		t.Errorf("%d users in the audit", len(seen))
	}
	one := lookupAll(t, s, &cloudtrail.LookupEventsInput{LookupAttributes: []types.LookupAttribute{{AttributeKey: "Username", AttributeValue: aws.String("u-3-33")}}})
	if len(one) != 1 {
		t.Errorf("%d events of one user", len(one))
	}
}

// TestRetention removes by age and by size, the oldest first.
func TestRetention(t *testing.T) {
	s, clock := newService(t, nil)
	record := func(name string) {
		t.Helper()
		if err := s.Record(t.Context(), outcomeOf("CreateUser", name)); err != nil {
			t.Fatal(err)
		}
	}
	left := func() string {
		t.Helper()
		if err := s.removeOld(t.Context()); err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, e := range lookupAll(t, s, &cloudtrail.LookupEventsInput{}) {
			names = append(names, *e.Username)
		}
		return strings.Join(names, " ")
	}
	record("first")
	clock.step(50 * 24 * time.Hour)
	record("second")
	if got := left(); got != "second first" {
		t.Errorf("after 50 days: %s", got)
	}
	clock.step(50 * 24 * time.Hour)
	record("third")
	if got := left(); got != "third second" {
		t.Errorf("after 100 days: %s", got)
	}
	s.config.MaxBytes = 1
	clock.step(2 * time.Hour)
	if got := left(); got != "" {
		t.Errorf("with no room: %s", got)
	}
	if rows := s.config.DB.Stats().Rows; rows > int64(len(Tables()))+1 {
		t.Errorf("%d rows are left", rows)
	}
}

// BenchmarkRecord is what the audit adds to a read.
func BenchmarkRecord(b *testing.B) {
	s, _ := newService(b, nil)
	o := outcomeOf("GetUser", "somebody")
	b.ReportAllocs()
	for b.Loop() {
		if err := s.Record(b.Context(), o); err != nil {
			b.Fatal(err)
		}
	}
}
