package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"

	"boot.miniaws"
)

// supervisor is the small parent of the process that serves. It holds what must outlive a worker (the listener, in whose
// queue clients wait meanwhile, and the data folder's lock) and starts another worker when one dies: a store that meets
// a full disk or a failed sync ends its process, and the next one finds everything that was acknowledged.
//
// It knows no flags. The first worker opens the folder and the listener and hands them over.
type supervisor struct {
	stops    <-chan os.Signal
	stopping bool
	// held are the listener and the lock, once a worker has opened them.
	held []*os.File
	// served tells that a worker came to serve, so that the endpoint was announced.
	served bool
	// keeps tells that a worker that died has lost nothing, so that another one can take its place.
	keeps bool
}

// The words between supervisor and worker.
const (
	// toFirst: you are the first.
	toFirst = 'n'
	// toNext comes with the listener and the lock: you come after one that died.
	toNext = 'a'
	// toRetry is the same after one that died before it served: the endpoint is still to be announced.
	toRetry = 'b'
	// holdKept comes with the listener and the lock: keep them.
	holdKept = 'h'
	// holdEphemeral is the same where a death loses everything.
	holdEphemeral = 'e'
	// nowReady: the endpoint answers.
	nowReady = 'r'
)

// heldFiles is how many files come with a word about them.
const heldFiles = 2

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

// supervise keeps a worker running until it is told to stop or a worker refuses to serve. It answers the status for the
// end of this process. It must run on the main thread.
func supervise() int {
	logToStandardError()
	stops := make(chan os.Signal, 1)
	signal.Notify(stops, os.Interrupt, syscall.SIGTERM)
	time.AfterFunc(idlePause, restParent)
	s := &supervisor{stops: stops}
	status, err := s.run()
	if err != nil {
		fmt.Fprintln(os.Stderr, "mini-aws: error:", err)
	}
	return status
}

// run keeps a worker running. It answers this process's exit status, and what to say about it if no worker said it.
func (s *supervisor) run() (status int, err error) {
	pause, failedStarts := time.Duration(0), 0
	start := boot.First
	for {
		began := time.Now()
		worker, link, err := start()
		if err != nil {
			return 1, fmt.Errorf("the serving process cannot be started: %w", err)
		}
		start = boot.Start
		served, ended, err := s.follow(worker, link)
		if err != nil {
			return 1, err
		}
		switch status := ended.ExitCode(); {
		case s.stopping && status < 0:
			return 1, nil // it had to be killed
		case s.stopping, status == 0:
			return status, nil
		case s.held == nil && status > 0, !served && status == 1:
			return status, nil // refused, and said why
		case s.held != nil && !s.keeps:
			return 1, fmt.Errorf("the serving process died (%s), and with it all that this ephemeral cloud knew", ended)
		}
		if failedStarts++; served {
			failedStarts = 0
		}
		if failedStarts == maxFailedStarts {
			return 1, fmt.Errorf("the serving process died %d times before it could serve, last with: %s", failedStarts, ended)
		}
		if time.Since(began) > longLife {
			pause = 0
		}
		slog.Error("the serving process died; starting another one", "status", ended.String(), "pause", pause)
		select {
		case <-s.stops:
			return 0, nil
		case <-time.After(pause):
		}
		pause = min(max(2*pause, minRestartPause), maxRestartPause)
	}
}

// follow waits for the worker's end. It answers whether the worker came to serve, and how it ended.
func (s *supervisor) follow(worker *os.Process, link *boot.Link) (served bool, ended *os.ProcessState, err error) {
	switch {
	case s.held == nil:
		err = link.Send(toFirst)
	case !s.served:
		err = link.Send(toRetry, s.held...)
	default:
		err = link.Send(toNext, s.held...)
	}
	if err != nil {
		// It died already, or it never learns what to do; how it ended is told below.
		_ = worker.Kill()
	}
	heard := make(chan bool, 1)
	go func() { heard <- s.listen(link) }()
	waited := make(chan error, 1)
	go func() {
		var err error
		ended, err = worker.Wait()
		waited <- err
	}()
	err = s.awaitEnd(worker, waited)
	served = <-heard // the link ends with the worker
	s.served = s.served || served
	return served, ended, errors.Join(err, link.Close())
}

// awaitEnd waits for the worker's end and passes the wish to stop on.
func (s *supervisor) awaitEnd(worker *os.Process, waited <-chan error) error {
	var patience <-chan time.Time
	for {
		select {
		case err := <-waited:
			return err
		case <-s.stops:
			s.stopping = true
			// A worker that just ended needs no signal.
			_ = worker.Signal(syscall.SIGTERM)
			if patience == nil {
				patience = time.After(stopPatience)
			}
		case <-patience:
			_ = worker.Kill()
		}
	}
}

// listen hears what the worker says until it ends, and answers whether it came to serve.
func (s *supervisor) listen(worker *boot.Link) (served bool) {
	for {
		word, files, err := worker.Receive()
		switch {
		case err != nil:
			return served
		case word == nowReady:
			served = true
		case (word == holdKept || word == holdEphemeral) && len(files) == heldFiles:
			s.held, s.keeps = files, word == holdKept
		}
	}
}

// workerCommand serves, as the child of a serve that waits for its end.
type workerCommand struct{ serveCommand }

// Run serves until the context ends. The one line on standard output says that the endpoint answers.
func (c *workerCommand) Run(ctx context.Context) (err error) {
	logToStandardError()
	parent, err := boot.Join()
	if err != nil {
		return err
	}
	word, held, err := parent.Receive()
	if err != nil || word != toFirst && (word != toNext && word != toRetry || len(held) != heldFiles) {
		return errors.Join(errors.New("only serve starts a worker"), err)
	}
	go func() {
		// The parent says nothing more: this is its end. Where the system ends children with their parent, it is never
		// reached.
		_, _, _ = parent.Receive()
		os.Exit(1)
	}()
	if err := c.check(); err != nil {
		return err
	}
	folder, listener, err := c.holdings(parent, held)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, folder.close()) }()
	return c.work(ctx, folder, listener, func() {
		if word != toNext {
			fmt.Printf("mini-aws ready %s://%s\n", c.scheme(), listener.Addr())
		}
		if err := parent.Send(nowReady); err != nil {
			slog.Warn("the parent cannot be told that the endpoint answers", "error", err)
		}
	})
}

// holdings answers the data folder and the listener: those that an earlier worker opened and the parent kept, or new ones,
// which the parent will keep.
func (c *workerCommand) holdings(parent *boot.Link, held []*os.File) (*dataFolder, net.Listener, error) {
	if len(held) == heldFiles {
		listener, err := net.FileListener(held[0])
		if err != nil {
			return nil, nil, err
		}
		held[0].Close()
		folder, err := c.adoptDataFolder(held[1])
		return folder, listener, err
	}
	folder, listener, err := c.take()
	if err != nil {
		return nil, nil, err
	}
	file, err := listener.File()
	if err != nil {
		return nil, nil, err
	}
	defer file.Close()
	word := byte(holdKept)
	if c.Ephemeral {
		word = holdEphemeral
	}
	return folder, listener, parent.Send(word, file, folder.lock)
}
