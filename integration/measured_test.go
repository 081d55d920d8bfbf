package integration

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"miniaws/backend/store"
)

// rounds is how often each measurement is repeated, alternating with the baseline's; the median counts.
const rounds = 5

// measured is a server whose costs are measured.
type measured struct {
	b       *testing.B
	address string
	command *exec.Cmd
	signed  bool
	client  *http.Client
}

// baselineBinary builds the baseline once.
var baselineBinary = sync.OnceValues(func() (string, error) {
	target := filepath.Join(filepath.Dir(binary), "baseline")
	command := exec.CommandContext(context.Background(), "go", "build", "-ldflags=-s -w", "-o", target, "miniaws/integration/baseline")
	command.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := command.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return target, nil
})

// measureOurs starts mini-aws on a folder, measureBare the baseline. Both return when they answer.
func measureOurs(b *testing.B, data string, arguments ...string) *measured {
	b.Helper()
	address, err := quietPort()
	if err != nil {
		b.Fatal(err)
	}
	return startMeasured(b, address, true, exec.CommandContext(b.Context(), binary, append([]string{"serve", "--listen", address, "--data", data, "--engine", "sim",
		"--root-access-key-id", benchKeyID, "--root-secret-access-key", benchSecret}, arguments...)...))
}

func measureBare(b *testing.B, folder string) *measured {
	b.Helper()
	program, err := baselineBinary()
	if err != nil {
		b.Fatal(err)
	}
	address, err := quietPort()
	if err != nil {
		b.Fatal(err)
	}
	return startMeasured(b, address, false, exec.CommandContext(b.Context(), program, address, folder))
}

func startMeasured(b *testing.B, address string, signed bool, command *exec.Cmd) *measured {
	b.Helper()
	m := &measured{b: b, address: address, command: command, signed: signed, client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true}}}
	out, err := command.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := command.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { command.Process.Kill(); command.Wait() })
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		b.Fatal("the server did not say that it is ready: ", err)
	}
	return m
}

// stop ends it; a baseline ends by the signal.
func (m *measured) stop() {
	m.client.CloseIdleConnections()
	m.command.Process.Signal(syscall.SIGTERM)
	m.command.Wait()
}

// processes are the server and its child, if it has one.
func (m *measured) processes() []int {
	all := []int{m.command.Process.Pid}
	s := &serving{command: m.command}
	if child, err := s.child(); err == nil {
		all = append(all, child)
	}
	return all
}

// cpu is what the server's processes have used.
func (m *measured) cpu() time.Duration {
	var ticks int
	for _, pid := range m.processes() {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			m.b.Fatal(err)
		}
		fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
		for _, field := range fields[11:13] { // user and system
			n, err := strconv.Atoi(field)
			if err != nil {
				m.b.Fatal(err)
			}
			ticks += n
		}
	}
	return time.Duration(ticks) * time.Second / 100 // as Linux says it to programs, whatever it counts in
}

// calm waits until the server is done with what a start and a filled store leave for later, such as to count a large index
// and to merge its tables: that is not what the calls cost.
func (m *measured) calm() {
	m.b.Helper()
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); {
		before := m.cpu()
		time.Sleep(time.Second)
		if m.cpu()-before <= 20*time.Millisecond {
			return
		}
	}
	m.b.Fatal("the server does not come to rest")
}

// resident is the processes' own memory and the files that they have in it: RssAnon and RssFile, in MiB.
func (m *measured) resident() (each []float64) {
	for _, pid := range m.processes() {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if err != nil {
			m.b.Fatal(err)
		}
		sum := 0.0
		for line := range strings.Lines(string(status)) {
			if name, rest, _ := strings.Cut(line, ":"); name == "RssAnon" || name == "RssFile" {
				kb, err := strconv.Atoi(strings.Fields(rest)[0])
				if err != nil {
					m.b.Fatal(err)
				}
				sum += float64(kb) / 1024
			}
		}
		each = append(each, sum)
	}
	return each
}

// call sends a request and reads the answer, whose length it tells.
func (m *measured) call(method, target, service string, body []byte, hash string) (int64, error) {
	request, err := http.NewRequestWithContext(m.b.Context(), method, "http://"+m.address+target, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	if m.signed {
		if service != "s3" {
			request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		} else {
			request.Header.Set("X-Amz-Content-Sha256", hash)
		}
		who := aws.Credentials{AccessKeyID: benchKeyID, SecretAccessKey: benchSecret}
		if err := signer.SignHTTP(m.b.Context(), who, request, hash, service, "us-east-1", time.Now()); err != nil {
			return 0, err
		}
	}
	response, err := m.client.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	if response.StatusCode/100 != 2 {
		said, _ := io.ReadAll(response.Body)
		return 0, fmt.Errorf("%s %s: %s: %.300s", method, target, response.Status, said)
	}
	return io.Copy(io.Discard, response.Body)
}

var signer = v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })

func hashOf(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}

// load is what one measurement found.
type load struct {
	calls  int
	took   time.Duration
	cpu    time.Duration
	bytes  int64
	median time.Duration // of one call
}

func (l load) perCall() float64 { return float64(l.cpu.Microseconds()) / float64(l.calls) }
func (l load) rate() float64    { return float64(l.calls) / l.took.Seconds() }

// run calls from several connections for a while. each gets numbers from 0.
func (m *measured) run(connections int, long time.Duration, each func(n int) (int64, error)) load {
	var next, bytes atomic.Int64
	took := make([][]time.Duration, connections)
	before, began := m.cpu(), time.Now()
	var all sync.WaitGroup
	for c := range connections {
		all.Go(func() {
			for time.Since(began) < long {
				start := time.Now()
				n, err := each(int(next.Add(1) - 1))
				if err != nil {
					m.b.Error(err)
					return
				}
				bytes.Add(n)
				took[c] = append(took[c], time.Since(start))
			}
		})
	}
	all.Wait()
	l := load{took: time.Since(began), cpu: m.cpu() - before, bytes: bytes.Load()}
	every := slices.Concat(took...)
	slices.Sort(every)
	if l.calls = len(every); l.calls == 0 {
		m.b.Fatal("no call succeeded")
	}
	l.median = every[len(every)/2]
	return l
}

// metric reads one of the server's own counters.
func (m *measured) metric(name string) float64 {
	response, err := m.client.Get("http://" + m.address + "/_mini/metrics")
	if err != nil {
		m.b.Fatal(err)
	}
	defer response.Body.Close()
	for lines := bufio.NewScanner(response.Body); lines.Scan(); {
		if rest, ok := strings.CutPrefix(lines.Text(), name+" "); ok {
			value, err := strconv.ParseFloat(rest, 64)
			if err != nil {
				m.b.Fatal(err)
			}
			return value
		}
	}
	m.b.Fatal("no metric ", name)
	return 0
}

// middle is the median.
func middle[T int64 | float64 | time.Duration](all []T) T {
	sorted := slices.Sorted(slices.Values(all))
	return sorted[len(sorted)/2]
}

// filledFolder makes a data folder whose bucket "many" has n objects, "pNNN/obj-NNNNNNNN" in 1,000 folders. One is written
// through the server, the others are copies of its row.
func filledFolder(b *testing.B, n int) string {
	b.Helper()
	data := b.TempDir()
	m := measureOurs(b, data)
	const sample = "p000/obj-00000000"
	for _, target := range []string{"/many", "/many/" + sample} {
		if _, err := m.call(http.MethodPut, target, "s3", nil, hashOf(nil)); err != nil {
			b.Fatal(err)
		}
	}
	m.stop()
	db, err := store.Open(b.Context(), filepath.Join(data, "store"), store.DiskOptions{})
	if err != nil {
		b.Fatal(err)
	}
	var row store.Row
	err = db.View(b.Context(), func(tx store.Tx) error {
		for r, err := range tx.Scan(store.PrefixRange("/0/_/_/s3/objects/")) {
			if err != nil {
				return err
			}
			row = r
		}
		return nil
	})
	if err != nil || !strings.Contains(string(row.Key), "obj-00000000") || bytes.Count(row.Value, []byte(sample)) != 1 {
		b.Fatalf("the object's row: %v, %q", err, row.Key)
	}
	for i := 1; i < n; {
		from := i
		err := db.Update(b.Context(), func(tx store.Tx) error {
			for i = from; i < min(n, from+1000); i++ {
				name := fmt.Sprintf("p%03d/obj-%08d", i%1000, i)
				key := store.Key(strings.Replace(strings.Replace(string(row.Key), "p000", name[:4], 1), "obj-00000000", name[5:], 1))
				if err := tx.Put(key, bytes.Replace(row.Value, []byte(sample), []byte(name), 1)); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		b.Fatal(err)
	}
	return data
}
