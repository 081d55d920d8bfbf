//go:build linux

package guest

import (
	"errors"
	"os"
	"os/signal"
	"sync"
	"syscall"
)

var errShuttingDown = errors.New("the instance is shutting down")

// processes starts and reaps. PID 1 gets every orphan of the instance as its child and must wait for all of them with
// one call that takes any; nothing else in the program may wait for a child then, which is why os/exec is not used here.
type processes struct {
	// everyone: this is PID 1. Otherwise, in tests, only what was started here is waited for.
	everyone bool

	mu      sync.Mutex
	closed  bool
	running map[int]*process
}

// process is a child that was started here.
type process struct {
	pid int
	// done is closed once the child is reaped; status is valid from then on.
	done   chan struct{}
	status syscall.WaitStatus
}

// launch describes a child.
type launch struct {
	path string
	argv []string
	env  []string
	dir  string
	// files become descriptors 0, 1, 2 and so on. They stay the caller's.
	files []*os.File
	// credential is nil for init's own user.
	credential *syscall.Credential
	// terminal makes descriptor 0 the controlling terminal. Every child leads a session of its own.
	terminal bool
}

func newProcesses(everyone bool) *processes {
	return &processes{everyone: everyone, running: map[int]*process{}}
}

// start answers once the program runs, or says why it cannot.
func (p *processes) start(what launch) (*process, error) {
	// Held until the child is known: it may end before ForkExec returns.
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, errShuttingDown
	}
	attributes := syscall.ProcAttr{Dir: what.dir, Env: what.env, Sys: &syscall.SysProcAttr{
		Credential: what.credential, Setsid: true, Setctty: what.terminal,
	}}
	for _, file := range what.files {
		attributes.Files = append(attributes.Files, file.Fd())
	}
	pid, err := syscall.ForkExec(what.path, what.argv, &attributes)
	if err != nil {
		return nil, &os.PathError{Op: "exec", Path: what.path, Err: err}
	}
	child := &process{pid: pid, done: make(chan struct{})}
	p.running[pid] = child
	if !p.everyone {
		go p.await(pid)
	}
	return child, nil
}

// close refuses new children.
func (p *processes) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
}

// await waits for one child.
func (p *processes) await(pid int) {
	var status syscall.WaitStatus
	for {
		if _, err := syscall.Wait4(pid, &status, 0, nil); !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended(pid, status)
}

func (p *processes) ended(pid int, status syscall.WaitStatus) {
	if child, ok := p.running[pid]; ok {
		child.status = status
		close(child.done)
		delete(p.running, pid)
	}
}

// reapForever is PID 1's duty; it does not return.
func (p *processes) reapForever() {
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGCHLD)
	for {
		p.reap()
		<-ended
	}
}

// reap waits for all that have ended. It answers true when no process is left: as every orphan comes to PID 1, having
// no child means being alone.
func (p *processes) reap() (alone bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, syscall.WNOHANG, nil)
		switch {
		case errors.Is(err, syscall.EINTR):
		case err != nil:
			return true
		case pid == 0:
			return false
		default:
			p.ended(pid, status)
		}
	}
}

// signal sends to the child's process group. A child that is gone is no error.
func (p *processes) signal(child *process, number syscall.Signal) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, ok := p.running[child.pid]; !ok {
		return nil // its number may be another's by now
	}
	return syscall.Kill(-child.pid, number)
}
