package integration

import (
	"bufio"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// serving is a mini-aws that a test started.
type serving struct {
	t       *testing.T
	address string
	command *exec.Cmd
	// said is all of its standard error, complete once it ended.
	said *transcript
}

// transcript is text that is read while it is written.
type transcript struct {
	mu   sync.Mutex
	text strings.Builder
}

func (t *transcript) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.text.Write(p)
}

func (t *transcript) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.text.String()
}

// startServing serves on a simulated engine, and returns when it answers.
func startServing(t *testing.T, data string, arguments ...string) *serving {
	t.Helper()
	address, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	s := &serving{t: t, address: address, said: &transcript{}}
	s.command = exec.CommandContext(t.Context(), binary, append([]string{"serve", "--listen", address, "--data", data, "--engine", "sim"}, arguments...)...)
	s.command.Stderr = s.said
	out, err := s.command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.command.Process.Kill() })
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		s.command.Wait()
		t.Fatalf("it does not serve: %v: %s", err, s.said)
	}
	return s
}

// worker is the process that serves: the only child of the one that was started.
func (s *serving) worker() int {
	s.t.Helper()
	if _, err := os.Stat(fmt.Sprintf("/proc/%d/task/%[1]d/children", s.command.Process.Pid)); err != nil {
		s.t.Skip("needs /proc with children: ", err)
	}
	worker, err := s.child()
	for deadline := time.Now().Add(20 * time.Second); err != nil && time.Now().Before(deadline); worker, err = s.child() {
		time.Sleep(time.Millisecond)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return worker
}

// child answers the process that serves at this moment, if there is one.
func (s *serving) child() (int, error) {
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", s.command.Process.Pid))
	for _, task := range tasks {
		if children, err := os.ReadFile(task); err == nil && len(children) > 0 {
			return strconv.Atoi(strings.TrimSpace(string(children)))
		}
	}
	return 0, errors.New("no worker")
}

func (s *serving) healthy() bool {
	response, err := http.Get("http://" + s.address + "/_mini/health")
	if err != nil {
		return false
	}
	response.Body.Close()
	return response.StatusCode == http.StatusOK
}

// eventually waits for what must come true.
func eventually(t *testing.T, what string, true func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !true(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("does not come true: ", what)
		}
	}
}

func ended(pid int) bool { return syscall.Kill(pid, 0) == syscall.ESRCH }

// TestWorkerIsStartedAgain: whatever ends the process that serves, another one takes its place, and who called in
// between waits a little.
func TestWorkerIsStartedAgain(t *testing.T) {
	s := startServing(t, t.TempDir())
	before := s.worker()
	for _, signal := range []syscall.Signal{syscall.SIGKILL, syscall.SIGBUS, syscall.SIGSEGV} {
		if err := syscall.Kill(before, signal); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the worker ends", func() bool { return ended(before) })
		if !s.healthy() {
			t.Errorf("after %v: a call does not wait for the next worker", signal)
		}
		after := s.worker()
		if after == before {
			t.Error("the same worker answers")
		}
		before = after
	}
	s.command.Process.Signal(os.Interrupt)
	if err := s.command.Wait(); err != nil {
		t.Errorf("an interrupt ends it with %v: %s", err, s.said)
	}
	if !strings.Contains(s.said.String(), "signal: killed") || !strings.Contains(s.said.String(), "starting another one") {
		t.Errorf("it did not say what happened: %s", s.said)
	}
}

// TestWorkerDoesNotOutliveItsParent: nobody holds the folder or the port after a kill -9 of the process that was started.
func TestWorkerDoesNotOutliveItsParent(t *testing.T) {
	data := t.TempDir()
	s := startServing(t, data)
	worker := s.worker()
	if err := s.command.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	s.command.Wait()
	eventually(t, "the worker ends", func() bool { return ended(worker) })
	again := startServing(t, data, "--listen", s.address)
	again.command.Process.Signal(syscall.SIGTERM)
	if err := again.command.Wait(); err != nil {
		t.Errorf("the next one ends with %v: %s", err, again.said)
	}
}

// TestOnlyServeStartsAWorker: the hidden command is of no use by itself.
func TestOnlyServeStartsAWorker(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), binary, "worker", "--data", t.TempDir()).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "only serve starts a worker") {
		t.Errorf("%v: %s", err, out)
	}
}
