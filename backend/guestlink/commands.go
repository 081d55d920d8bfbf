package guestlink

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

// Command is one to run in an instance.
type Command struct {
	// Instance and User say where and as whom.
	Instance, User string
	// Line is run by the user's shell, Input is what it reads.
	Line  string
	Input []byte
	// Timeout ends it; MaxOutput bounds what is kept of each output, in bytes.
	Timeout   time.Duration
	MaxOutput int
}

// Result is what became of a command.
type Result struct {
	// Err tells that it did not run to its end; TimedOut and Cancelled why.
	Err                 error
	TimedOut, Cancelled bool
	ExitCode            int
	Output, Errors      []byte
	Started, Ended      time.Time
}

// Runs are the commands that run now, by a name of the caller's. The zero value is ready.
type Runs struct {
	mu  sync.Mutex
	all map[string]context.CancelFunc
}

// Start runs the command and calls done with its result, on another goroutine. It answers false where one of that name
// runs already, and does nothing then.
func (r *Runs) Start(links *Links, name string, command Command, done func(Result)) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.all == nil {
		r.all = map[string]context.CancelFunc{}
	}
	if r.all[name] != nil {
		return false
	}
	ctx, cancel := context.WithCancel(context.Background())
	r.all[name] = cancel
	go func() {
		result := links.run(ctx, command)
		result.Cancelled = ctx.Err() != nil
		cancel()
		done(result)
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.all, name)
	}()
	return true
}

// Running tells whether a command of that name runs.
func (r *Runs) Running(name string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.all[name] != nil
}

// Cancel ends a command, if it runs.
func (r *Runs) Cancel(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if cancel := r.all[name]; cancel != nil {
		cancel()
	}
}

// run runs a command to its end.
func (l *Links) run(ctx context.Context, command Command) (result Result) {
	result.Started = time.Now()
	defer func() { result.Ended = time.Now() }()
	limited, cancel := context.WithTimeout(ctx, command.Timeout)
	defer cancel()
	client, err := l.Login(limited, command.Instance, command.User)
	if err != nil {
		result.Err = err
		return result
	}
	defer func() { _ = client.Close() }()
	session, err := client.NewSession()
	if err != nil {
		result.Err = err
		return result
	}
	output, failures := &head{most: command.MaxOutput}, &head{most: command.MaxOutput}
	session.Stdin, session.Stdout, session.Stderr = bytes.NewReader(command.Input), output, failures
	// The end of the connection hangs up on the command.
	defer context.AfterFunc(limited, func() {
		_ = session.Signal(ssh.SIGKILL)
		_ = client.Close()
	})()
	err = session.Run(command.Line)
	result.Output, result.Errors = output.bytes(), failures.bytes()
	var exit *ssh.ExitError
	switch {
	case limited.Err() != nil:
		result.Err, result.TimedOut = limited.Err(), ctx.Err() == nil
	case errors.As(err, &exit):
		result.ExitCode = exit.ExitStatus()
		if exit.Signal() != "" {
			result.ExitCode = 128 + int(signals[exit.Signal()])
		}
	default:
		result.Err = err
	}
	return result
}

// signals are the numbers of those that end programs.
var signals = map[string]byte{"HUP": 1, "INT": 2, "QUIT": 3, "ILL": 4, "ABRT": 6, "FPE": 8, "KILL": 9, "SEGV": 11, "PIPE": 13, "ALRM": 14, "TERM": 15}

// head keeps the first bytes that are written to it.
type head struct {
	mu   sync.Mutex
	most int
	kept []byte
}

func (h *head) Write(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.kept = append(h.kept, p[:min(len(p), h.most-len(h.kept))]...)
	return len(p), nil
}

func (h *head) bytes() []byte {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.kept
}

var _ io.Writer = (*head)(nil)
