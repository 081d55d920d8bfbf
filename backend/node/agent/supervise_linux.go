package agent

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// currentBinary is the agent's, once it was upgraded; before, it is the supervisor's own.
const currentBinary = "/var/lib/mini-aws-node/agent"

// Supervise is PID 1 of the node container: it starts the agent again whenever it ends, until a signal ends both. Its
// mount namespace holds the network namespaces, so they live as long as it does.
func Supervise(arguments []string) error {
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	ended := make(chan struct{}, 1)
	child := make(chan int, 1)
	go func() {
		for {
			pid, err := startAgent(arguments)
			if err != nil {
				slog.Error("the agent does not start", "error", err)
			} else {
				child <- pid
				reapUntil(pid)
				<-child
			}
			select {
			case <-ended:
				return
			case <-time.After(restartPause):
			}
		}
	}()
	<-signals
	ended <- struct{}{}
	select {
	case pid := <-child:
		child <- pid
		// What is there goes with the container: there is nothing for the agent to do first.
		return errors.Join(unix.Kill(pid, unix.SIGTERM))
	default:
		return nil
	}
}

// restartPause keeps an agent that ends at once from taking a whole processor.
const restartPause = 50 * time.Millisecond

func startAgent(arguments []string) (int, error) {
	binary, err := os.Executable()
	if err != nil {
		return 0, err
	}
	if _, err := os.Stat(currentBinary); err == nil {
		binary = currentBinary
	}
	return syscall.ForkExec(binary, append([]string{filepath.Base(binary)}, arguments...), &syscall.ProcAttr{
		Env: os.Environ(), Files: []uintptr{0, 1, 2},
	})
}

// reapUntil waits for the child, and takes the exit status of whatever else becomes PID 1's.
func reapUntil(pid int) {
	for {
		var status syscall.WaitStatus
		switch ended, err := syscall.Wait4(-1, &status, 0, nil); {
		case errors.Is(err, syscall.EINTR):
		case err != nil:
			return
		case ended == pid:
			slog.Warn("the agent ended", "status", status.ExitStatus(), "signal", status.Signal())
			return
		}
	}
}

// Run is the agent, until the context ends.
func Run(ctx context.Context, options Options) error {
	slog.SetDefault(slog.New(slog.NewTextHandler(os.Stderr, nil)))
	a, err := newAgent(options)
	if err != nil {
		return err
	}
	a.cleanNamespaces()
	go a.resync(ctx)
	return a.listen(ctx)
}
