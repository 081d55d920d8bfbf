package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// supervisor is the small parent of the process that serves. It holds what must outlive a worker (the listener, in whose
// queue clients wait meanwhile, and the data folder's lock) and starts another worker when one dies: a store that meets
// a full disk or a failed sync ends its process, and the next one finds everything that was acknowledged.
type supervisor struct {
	folder   *dataFolder
	listener *net.TCPListener
	// arguments are those of the worker's command line.
	arguments []string
	// keeps tells that a worker that died has lost nothing, so that another one can take its place.
	keeps bool
	// ready is called once, when the first worker serves.
	ready func()
}

// The files that a worker inherits, after the three standard ones.
const (
	workerListener = 3 + iota
	workerLock
	// workerAlive is a pipe that ends when the supervisor does.
	workerAlive
	// workerReady is a pipe into which the worker writes one byte when it serves.
	workerReady
)

const (
	minRestartPause = 100 * time.Millisecond
	maxRestartPause = 10 * time.Second
	// longLife is how long a worker lives that is not part of a row of failures.
	longLife = time.Minute
	// maxFailedStarts is how many workers in a row may die before they serve.
	maxFailedStarts = 8
	// stopPatience is how long a worker may take to stop; its own grace for requests is shorter.
	stopPatience = 30 * time.Second
)

// exitStatus is the outcome of a command that has already said why.
type exitStatus int

func (e exitStatus) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

// run keeps a worker running until the context ends.
func (s *supervisor) run(ctx context.Context) error {
	// A worker dies with the thread that started it, and this one lives as long as the process.
	runtime.LockOSThread()
	pause, failedStarts := time.Duration(0), 0
	for {
		began := time.Now()
		served, err := s.runWorker(ctx)
		var ended *exec.ExitError
		switch {
		case err == nil:
			return nil
		case !errors.As(err, &ended):
			return err // it could not even be started
		case ctx.Err() != nil:
			return exitStatus(max(1, ended.ExitCode()))
		case !served && ended.ExitCode() == 1:
			return exitStatus(1) // refused, and said why
		case !s.keeps:
			return fmt.Errorf("the serving process died (%w), and with it all that this ephemeral cloud knew", err)
		}
		if failedStarts++; served {
			failedStarts = 0
		}
		if failedStarts == maxFailedStarts {
			return fmt.Errorf("the serving process died %d times before it could serve, last with: %w", failedStarts, err)
		}
		if time.Since(began) > longLife {
			pause = 0
		}
		slog.Error("the serving process died; starting another one", "status", err.Error(), "pause", pause)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
		pause = min(max(2*pause, minRestartPause), maxRestartPause)
	}
}

// runWorker starts a worker and waits for its end. It answers whether the worker came to serve.
func (s *supervisor) runWorker(ctx context.Context) (served bool, err error) {
	listener, err := s.listener.File()
	if err != nil {
		return false, err
	}
	defer listener.Close()
	aliveReader, alive, err := os.Pipe()
	if err != nil {
		return false, err
	}
	defer alive.Close()
	ready, readyWriter, err := os.Pipe()
	if err != nil {
		return false, errors.Join(err, aliveReader.Close())
	}
	defer ready.Close()

	program, err := os.Executable()
	if err != nil {
		return false, err
	}
	worker := exec.CommandContext(ctx, program, s.arguments...)
	worker.Stdout, worker.Stderr = os.Stderr, os.Stderr
	worker.ExtraFiles = []*os.File{listener, s.folder.lock, aliveReader, readyWriter}
	worker.SysProcAttr = dieWithParent()
	worker.Cancel = func() error { return worker.Process.Signal(syscall.SIGTERM) }
	worker.WaitDelay = stopPatience
	err = worker.Start()
	// What the worker has is the worker's: pipes end when it does.
	if err = errors.Join(err, aliveReader.Close(), readyWriter.Close()); err != nil {
		return false, err
	}
	if n, _ := ready.Read(make([]byte, 1)); n == 1 { // else it died before
		served = true
		if s.ready != nil {
			s.ready()
			s.ready = nil
		}
	}
	err = worker.Wait()
	if errors.Is(err, context.Canceled) {
		err = nil // asked to stop, and stopped well
	}
	return served, err
}

// workerCommand serves, as the child of a serve that waits for its end.
type workerCommand struct{ serveCommand }

// Run serves on what the supervisor handed over.
func (c *workerCommand) Run(ctx context.Context) error {
	logToStandardError()
	listenerFile, err := inherited(workerListener, "listener")
	if err != nil {
		return fmt.Errorf("only serve starts a worker: %w", err)
	}
	lock, lockErr := inherited(workerLock, "lock")
	alive, aliveErr := inherited(workerAlive, "alive")
	ready, readyErr := inherited(workerReady, "ready")
	if err := errors.Join(lockErr, aliveErr, readyErr); err != nil {
		return fmt.Errorf("only serve starts a worker: %w", err)
	}
	go func() {
		// Nothing is ever written into it. Where the system ends children with their parent, this is never reached.
		_, _ = alive.Read(make([]byte, 1))
		os.Exit(1)
	}()
	listener, err := net.FileListener(listenerFile)
	if err != nil {
		return err
	}
	listenerFile.Close()
	folder, err := c.adoptDataFolder(lock)
	if err != nil {
		return err
	}
	return c.work(ctx, folder, listener, func() {
		_, _ = ready.Write([]byte{1})
		ready.Close()
	})
}

// inherited answers an open file of the supervisor's. What this process starts does not inherit it.
func inherited(descriptor uintptr, name string) (*os.File, error) {
	syscall.CloseOnExec(int(descriptor))
	file := os.NewFile(descriptor, name)
	if _, err := file.Stat(); err != nil {
		return nil, err
	}
	return file, nil
}
