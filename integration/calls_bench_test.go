package integration

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// bareServer is set in the child that serves as the baseline: a Go handler that reads the body and answers as many
// bytes as GetCallerIdentity does.
const bareServer = "MINI_AWS_BARE_SERVER"

func serveBare(address string) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	fmt.Println("ready")
	answer := strings.Repeat("x", 380)
	server := http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err == nil {
			_, _ = io.WriteString(w, answer)
		}
	})}
	return server.Serve(listener)
}

const (
	benchKeyID  = "AKIAIOSFODNN7EXAMPLE"
	benchSecret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
)

// BenchmarkGetCallerIdentity reports the server's CPU for a signed call over keep-alive connections, and its ratio to a
// bare handler's; the two alternate, and the median of five rounds counts.
func BenchmarkGetCallerIdentity(b *testing.B) {
	for _, connections := range []int{1, 8} {
		b.Run(fmt.Sprintf("connections=%d", connections), func(b *testing.B) {
			const calls = 10_000
			var bare, ours []time.Duration
			for b.Loop() { // once with -benchtime 1x; a round is long enough by itself
				for range 5 {
					bare = append(bare, serverTime(b, calls, connections, func(address string) *exec.Cmd {
						command := exec.CommandContext(b.Context(), os.Args[0])
						command.Env = append(os.Environ(), bareServer+"="+address)
						return command
					}))
					ours = append(ours, serverTime(b, calls, connections, func(address string) *exec.Cmd {
						return exec.CommandContext(b.Context(), binary, "serve", "--listen", address, "--data", b.TempDir(), "--engine", "sim",
							"--root-access-key-id", benchKeyID, "--root-secret-access-key", benchSecret)
					}))
				}
			}
			slices.Sort(bare)
			slices.Sort(ours)
			bareCall, ourCall := perCall(bare, calls), perCall(ours, calls)
			b.ReportMetric(ourCall, "us-cpu/call")
			b.ReportMetric(bareCall, "us-cpu/bare-call")
			b.ReportMetric(ourCall/bareCall, "x-bare")
			b.ReportMetric(0, "ns/op")
		})
	}
}

func perCall(sorted []time.Duration, calls int) float64 {
	return float64(sorted[len(sorted)/2].Microseconds()) / float64(calls)
}

// serverTime starts a server, calls it, ends it, and answers the CPU time that the calls took of it: what the whole
// process used, less what another one used that was not called.
func serverTime(b *testing.B, calls, connections int, start func(address string) *exec.Cmd) time.Duration {
	b.Helper()
	idle := processTime(b, start, func(string) {})
	return processTime(b, start, func(address string) {
		var all sync.WaitGroup
		for range connections {
			all.Go(func() { callMany(b, "http://"+address+"/", calls/connections) })
		}
		all.Wait()
	}) - idle
}

func processTime(b *testing.B, start func(address string) *exec.Cmd, work func(address string)) time.Duration {
	b.Helper()
	address, err := freePort()
	if err != nil {
		b.Fatal(err)
	}
	command := start(address)
	out, err := command.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := command.Start(); err != nil {
		b.Fatal(err)
	}
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		b.Fatal("the server did not say that it is ready: ", err)
	}
	work(address)
	// Stopped, not killed: then the time of the child that serves is part of its parent's.
	if err := command.Process.Signal(syscall.SIGTERM); err != nil {
		b.Fatal(err)
	}
	_ = command.Wait() // the bare server ends by the signal
	return command.ProcessState.UserTime() + command.ProcessState.SystemTime()
}

func callMany(b *testing.B, url string, calls int) {
	const body = "Action=GetCallerIdentity&Version=2011-06-15"
	sum := sha256.Sum256([]byte(body))
	request, err := http.NewRequestWithContext(b.Context(), http.MethodPost, url, nil)
	if err != nil {
		b.Error(err)
		return
	}
	request.ContentLength = int64(len(body))
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	credentials := aws.Credentials{AccessKeyID: benchKeyID, SecretAccessKey: benchSecret}
	if err := v4.NewSigner().SignHTTP(b.Context(), credentials, request, hex.EncodeToString(sum[:]), "sts", "us-east-1", time.Now()); err != nil {
		b.Error(err)
		return
	}
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	for range calls {
		request.Body = io.NopCloser(strings.NewReader(body))
		response, err := transport.RoundTrip(request)
		if err != nil {
			b.Error(err)
			return
		}
		_, err = io.Copy(io.Discard, response.Body)
		_ = response.Body.Close()
		if err != nil || response.StatusCode != http.StatusOK {
			b.Errorf("%d, %v", response.StatusCode, err)
			return
		}
	}
}
