//go:build linux

package guest

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"
)

// sshdPaths is where images have their SSH server.
var sshdPaths = []string{"/usr/sbin/sshd", "/usr/local/sbin/sshd", "/usr/bin/sshd", "/sbin/sshd"}

// The waits between the starts of a service that keeps ending.
const (
	firstBackOff = 500 * time.Millisecond
	longBackOff  = 30 * time.Second
	// steadyRun is how long a service must have run for its next end to count as its first.
	steadyRun = time.Minute
)

// backOff answers how long to wait before the next start.
func backOff(previous, ran time.Duration) time.Duration {
	if previous == 0 || ran >= steadyRun {
		return firstBackOff
	}
	return min(2*previous, longBackOff)
}

// service is a program that has to run as long as the instance does.
type service struct {
	name      string
	what      launch
	processes *processes
	logf      func(format string, args ...any)
}

// run starts the program again whenever it ends, until the instance shuts down or stop is closed.
func (s service) run(stop <-chan struct{}) {
	var wait time.Duration
	for {
		started := time.Now()
		child, err := s.processes.start(s.what)
		if err != nil {
			s.logf("%s: %v", s.name, err)
		} else {
			select {
			case <-child.done:
				s.logf("%s ended: %s", s.name, describe(child.status))
			case <-stop:
				return
			}
		}
		wait = backOff(wait, time.Since(started))
		select {
		case <-stop:
			return
		case <-time.After(wait):
		}
	}
}

// sshdService is the image's own server. It logs to the console, as nobody collects logs yet.
func (r rootFolder) sshdService(path string, output *os.File) (launch, error) {
	// Privilege separation needs the folder, which boot scripts make elsewhere.
	if err := os.MkdirAll(r.path("run/sshd"), 0o755); err != nil {
		return launch{}, err
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return launch{}, err
	}
	argv := []string{path, "-D", "-e"}
	// The keys of Instance Connect: sshd asks init for them, as somebody who may do nothing.
	if binary, err := os.Readlink(self); err == nil && !strings.Contains(binary, " ") {
		asker := "root"
		if accounts, err := r.readAccounts(); err == nil {
			if _, ok := accounts.find("nobody"); ok {
				asker = "nobody"
			}
		}
		argv = append(argv, "-o", "AuthorizedKeysCommand="+binary+" init "+stageKeys+" %u", "-o", "AuthorizedKeysCommandUser="+asker)
	}
	return launch{
		path: path, argv: argv, dir: "/",
		env:   lastOfEach(append([]string{"PATH=" + defaultPath}, r.readEnvironment()...)),
		files: []*os.File{null, output, output},
	}, nil
}

func describe(status syscall.WaitStatus) string {
	if status.Signaled() {
		return status.Signal().String()
	}
	return fmt.Sprintf("exit status %d", status.ExitStatus())
}
