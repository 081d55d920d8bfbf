//go:build linux

package guest

import (
	"os"
	"os/signal"
	"syscall"
	"time"
)

// The signals by which the tools of several inits ask PID 1; numbers because Go does not name real-time signals, and
// in the C library's count SIGRTMIN is 34.
const (
	signalSystemdHalt     = syscall.Signal(34 + 3)
	signalSystemdPowerOff = syscall.Signal(34 + 4)
	signalSystemdReboot   = syscall.Signal(34 + 5)
)

// shutdownRequests says what PID 1 exits with after each signal. SIGUSR1 and SIGUSR2 are what busybox's halt and
// poweroff send. Its reboot sends SIGTERM, which is the engine's stop too: the commands of power.go come first in PATH.
var shutdownRequests = map[os.Signal]int{
	syscall.SIGTERM:       StatusStopped,
	syscall.SIGINT:        StatusStopped,
	syscall.SIGPWR:        StatusStopped,
	syscall.SIGUSR1:       StatusPoweredOff,
	syscall.SIGUSR2:       StatusPoweredOff,
	signalSystemdHalt:     StatusPoweredOff,
	signalSystemdPowerOff: StatusPoweredOff,
	signalSystemdReboot:   StatusReboot,
}

// listenForShutdown must run before the first child does: PID 1 gets only signals that it has asked for.
func listenForShutdown() <-chan os.Signal {
	requests := make(chan os.Signal, 4)
	for number := range shutdownRequests {
		signal.Notify(requests, number)
	}
	// A terminal's hang-up and a closed pipe must not end the instance. Ignoring them would pass on to every child;
	// what is caught does not, and nobody reads this channel.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP, syscall.SIGPIPE)
	return requests
}

// defaultGrace is below the 10 seconds that engines give by themselves.
const defaultGrace = 8 * time.Second

// shutdown ends everything in order. Its dependencies are fields so that a test can watch the order.
type shutdown struct {
	grace time.Duration
	// closeLogins ends SSH; the sessions' terminals hang up, which ends shells that ignore TERM.
	closeLogins func()
	// refuse stops new children of init.
	refuse func()
	// signalAll reaches every process but PID 1.
	signalAll func(syscall.Signal)
	// alone reaps and tells whether nobody is left.
	alone func() bool
	logf  func(format string, args ...any)
}

// pollInterval is how often a shutdown looks whether everybody has gone; afterKill bounds the wait for processes that
// not even KILL ends at once.
const pollInterval, afterKill = 5 * time.Millisecond, time.Second

func (s shutdown) run() {
	s.refuse()
	s.closeLogins()
	s.logf("sending TERM to all processes")
	s.signalAll(syscall.SIGTERM)
	s.signalAll(syscall.SIGCONT) // a stopped process cannot end politely
	if s.await(s.grace) {
		s.logf("all processes ended")
		return
	}
	s.logf("sending KILL to what is left after %v", s.grace)
	s.signalAll(syscall.SIGKILL)
	if !s.await(afterKill) {
		s.logf("some processes do not end: leaving them to the kernel")
	}
}

func (s shutdown) await(limit time.Duration) bool {
	deadline := time.Now().Add(limit)
	for !s.alone() {
		if time.Now().After(deadline) {
			return false
		}
		time.Sleep(pollInterval)
	}
	return true
}

// killAll reaches every process of the instance but PID 1.
func killAll(number syscall.Signal) { _ = syscall.Kill(-1, number) }
