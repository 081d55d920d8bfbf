package integration

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// tortured is a client that writes, and that knows what must be there because its write was acknowledged. Its resources
// are its own, so it knows all of them.
type tortured interface {
	// act does one call. It answers whether it can go on: a call that got no answer ends the round.
	act(ctx context.Context) bool
	// settle finds out what became of the call without an answer: it was done or not, and nothing between. After an error it
	// can be asked again.
	settle(ctx context.Context) error
	// check compares everything with what was acknowledged.
	check(ctx context.Context) error
}

// torment is what the clients share.
type torment struct {
	t       *testing.T
	config  aws.Config
	acked   atomic.Int64
	refused atomic.Int64
	open    atomic.Int64
	reads   atomic.Int64
	// full says that the disk is, so that a write may be answered with 503; unavailable counts those.
	full        atomic.Bool
	unavailable atomic.Int64
}

// newTorment answers clients' settings: no attempt is repeated, so that each is known to be answered or not.
func newTorment(t *testing.T, address string) *torment {
	return &torment{t: t, config: aws.Config{
		Region:       "us-east-1",
		BaseEndpoint: aws.String("http://" + address),
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: benchKeyID, SecretAccessKey: benchSecret}, nil
		}),
		Retryer:    func() aws.Retryer { return aws.NopRetryer{} },
		HTTPClient: &http.Client{Transport: wholeBodies{&http.Transport{MaxIdleConnsPerHost: 64}}},
	}}
}

// wholeBodies hands small bodies to the transport in one piece. The SDK's own (smithy-go 1.28.8) makes it write headers and
// body one after the other, and closes the body when the answer comes: where that is before the transport has looked for
// the body's end, as on loopback, the transport takes the closed body for a failure (its WriteTo answers io.EOF) and hangs
// up in the middle of the answer.
type wholeBodies struct{ http.RoundTripper }

func (w wholeBodies) RoundTrip(request *http.Request) (*http.Response, error) {
	if request.Body != nil && request.ContentLength > 0 && request.ContentLength < 1<<20 {
		body, err := io.ReadAll(request.Body)
		if err != nil {
			return nil, err
		}
		request = request.Clone(request.Context())
		request.Body = io.NopCloser(bytes.NewReader(body))
	}
	return w.RoundTripper.RoundTrip(request)
}

// outcome sorts an answer: done (acknowledged), refused by an error of AWS's that is among the allowed, or neither. What must
// not happen at all, an internal error or one that nobody expects, fails the test.
func (m *torment) outcome(what string, err error, allowed ...string) (done, refused bool) {
	if err == nil {
		m.acked.Add(1)
		return true, false
	}
	var said smithy.APIError
	var response *smithyhttp.ResponseError
	if !errors.As(err, &response) || response.HTTPStatusCode() == 0 {
		m.open.Add(1)
		return false, false
	}
	code := ""
	if errors.As(err, &said) {
		code = said.ErrorCode()
	}
	if m.full.Load() && response.HTTPStatusCode() == http.StatusServiceUnavailable && code == "ServiceUnavailable" {
		// Nothing was acknowledged; whether it was done is as open as without an answer (only its audit may have failed).
		m.unavailable.Add(1)
		time.Sleep(20 * time.Millisecond) // as a client's pause before it tries again
		return false, false
	}
	for _, ok := range allowed {
		if code == ok {
			m.refused.Add(1)
			return false, true
		}
	}
	m.t.Errorf("%s: %v", what, err)
	return false, true
}

// isCode tells whether an error is one of these of AWS's.
func isCode(err error, codes ...string) bool {
	var said smithy.APIError
	if !errors.As(err, &said) {
		return false
	}
	for _, code := range codes {
		if said.ErrorCode() == code {
			return true
		}
	}
	return false
}

// tormented is one writing client's call that got no answer.
type tormented struct {
	*torment
	// unsettled finds out what became of it; nil if there is none.
	unsettled func(ctx context.Context) error
}

// leave notes what must be found out later.
func (c *tormented) leave(find func(ctx context.Context) error) bool {
	c.unsettled = find
	return false
}

func (c *tormented) settle(ctx context.Context) error {
	if c.unsettled == nil {
		return nil
	}
	if err := c.unsettled(ctx); err != nil {
		return err
	}
	c.unsettled = nil
	return nil
}

// quietPort answers a free port below those that the kernel gives to clients: a client that calls a port on which nobody
// listens can be given that very port, and then talks to itself.
func quietPort() (string, error) {
	for range 100 {
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(20_000+rand.IntN(10_000)))
		if listener, err := net.Listen("tcp", address); err == nil {
			return address, listener.Close()
		}
	}
	return "", errors.New("no free port")
}

// TestTorture kills the serving process 5 times (TORTURE_KILLS), now and then its parent too, while clients of S3 and EC2
// write: what was acknowledged is there afterwards, and nothing is there by half.
func TestTorture(t *testing.T) {
	kills, err := strconv.Atoi(cmp.Or(os.Getenv("TORTURE_KILLS"), "5"))
	if err != nil {
		t.Fatal(err)
	}
	address, err := quietPort()
	if err != nil {
		t.Fatal(err)
	}
	data := t.TempDir()
	serve := func() *serving {
		s := startServing(t, data, "--listen", address, "--root-access-key-id", benchKeyID, "--root-secret-access-key", benchSecret)
		s.address = address
		return s
	}
	s := serve()
	began := time.Now()
	m := newTorment(t, address)
	clients, reader := tortureClients(t, m)

	var parents, early int
	for kill := 1; kill <= kills; kill++ {
		running, stop := context.WithCancel(t.Context())
		before := m.acked.Load()
		var acting sync.WaitGroup
		for _, c := range clients {
			acting.Go(func() {
				for running.Err() == nil && c.act(t.Context()) {
				}
			})
		}
		acting.Go(func() {
			for running.Err() == nil && reader.act(t.Context()) {
			}
		})
		for deadline := time.Now().Add(20 * time.Second); m.acked.Load() < before+60 && time.Now().Before(deadline); {
			time.Sleep(5 * time.Millisecond)
		}
		time.Sleep(time.Duration(rand.IntN(500)) * time.Millisecond)

		worker := s.worker()
		// A worker that dies often waits ever longer for the next one; a new parent begins anew.
		if kill%5 == 0 {
			parents++
			if err := s.command.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			s.command.Wait()
			eventually(t, "the worker ends", func() bool { return ended(worker) })
			stop()
			s = serve()
		} else {
			if err := syscall.Kill(worker, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			stop()
			if kill%7 == 0 && kill < kills { // the next one dies while it starts
				if next, ok := s.nextWorker(worker); ok {
					time.Sleep(time.Duration(rand.IntN(150)) * time.Millisecond)
					if syscall.Kill(next, syscall.SIGKILL) == nil {
						kill++
						early++
					}
				}
			}
		}
		acting.Wait()
		eventually(t, "it serves again", s.healthy)

		var settling sync.WaitGroup
		for i, c := range clients {
			settling.Go(func() {
				if err := c.settle(t.Context()); err != nil {
					t.Errorf("after kill %d, client %d: %v", kill, i, err)
				}
				err := c.check(t.Context())
				if err != nil {
					t.Errorf("after kill %d, client %d: %v", kill, i, err)
				}
			})
		}
		settling.Wait()
		if t.Failed() {
			t.Fatalf("after kill %d; the server said: %s", kill, lastLines(s.said.String(), 40))
		}
		if kill%20 == 0 {
			t.Logf("%d kills after %s: %d acknowledged", kill, time.Since(began).Round(time.Second), m.acked.Load())
		}
	}
	for i, c := range clients {
		if e, ok := c.(*tortureMachines); ok {
			if err := e.comeUp(t.Context()); err != nil {
				t.Errorf("client %d: %v", i, err)
			}
		}
	}
	s.endsWhole(t, data)
	t.Logf("%d kills in %s, %d of them of the parent, %d of a process that was still starting: %d writes acknowledged, lost=0; %d without an answer, %d refused as they should be, %d whole objects read meanwhile",
		kills, time.Since(began).Round(time.Second), parents, early, m.acked.Load(), m.open.Load(), m.refused.Load(), m.reads.Load())
}

// endsWhole ends the server: it says nothing against that, and everything in its folder fits.
func (s *serving) endsWhole(t *testing.T, data string) {
	t.Helper()
	s.command.Process.Signal(syscall.SIGTERM)
	if err := s.command.Wait(); err != nil {
		t.Errorf("it ends with %v: %s", err, lastLines(s.said.String(), 40))
	}
	out, err := exec.CommandContext(t.Context(), binary, "doctor", "--data", data).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "all as the log has them") {
		t.Errorf("doctor: %v: %s", err, out)
	}
}

// nextWorker waits for the process that takes the place of one that died.
func (s *serving) nextWorker(before int) (int, bool) {
	for deadline := time.Now().Add(12 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if pid, err := s.child(); err == nil && pid != before {
			return pid, true
		}
	}
	return 0, false
}

func lastLines(text string, most int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-most):], "\n")
}

// tortureClients makes what the clients need, and the clients.
func tortureClients(t *testing.T, m *torment) ([]tortured, *tortureReader) {
	t.Helper()
	var clients []tortured
	objects := newTortureBuckets(t, m)
	for i := range 4 {
		clients = append(clients, objects.client(fmt.Sprintf("client-%d", i)))
	}
	shared := &tortureJournal{s3: objects.s3, bucket: tortureBucket}
	for i := range 2 {
		clients = append(clients, &tortureWriter{tormented: tormented{torment: m}, journal: shared, name: fmt.Sprintf("writer-%d", i)})
	}
	for i := range 3 {
		machines, err := newTortureMachines(t.Context(), m, fmt.Sprintf("machines-%d", i))
		if err != nil {
			t.Fatal(err)
		}
		clients = append(clients, machines)
	}
	return clients, &tortureReader{torment: m, s3: objects.s3}
}

// aim lets a client call another server, which has what it knows.
func aim(c tortured, m *torment) {
	switch c := c.(type) {
	case *tortureObjects:
		c.torment, c.s3 = m, newS3(m)
	case *tortureWriter:
		c.torment, c.journal.s3 = m, newS3(m)
	case *tortureMachines:
		c.torment, c.ec2 = m, ec2.NewFromConfig(m.config)
	}
}
