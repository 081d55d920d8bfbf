package boot

import (
	"errors"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"
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
	// ToFirst: you are the first.
	ToFirst = 'n'
	// ToNext comes with the listener and the lock: you come after one that died.
	ToNext = 'a'
	// ToRetry is the same after one that died before it served: the endpoint is still to be announced.
	ToRetry = 'b'
	// HoldKept comes with the listener and the lock: keep them.
	HoldKept = 'h'
	// HoldEphemeral is the same where a death loses everything.
	HoldEphemeral = 'e'
	// NowReady: the endpoint answers.
	NowReady = 'r'
)

// HeldFiles is how many files come with a word about them.
const HeldFiles = 2

const (
	// rest is how long after the start this process gives back the pages of its program.
	rest            = 10 * time.Second
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
	stops := make(chan os.Signal, 1)
	signal.Notify(stops, os.Interrupt, syscall.SIGTERM)
	time.AfterFunc(rest, func() {
		if err := ReleaseProgram(); err != nil {
			report("memory cannot be given back", "error", err.Error())
		}
	})
	s := &supervisor{stops: stops}
	status, err := s.run()
	if err != nil {
		complain(err)
	}
	return status
}

// run keeps a worker running. It answers this process's exit status, and what to say about it if no worker said it.
func (s *supervisor) run() (status int, err error) {
	pause, failedStarts := time.Duration(0), 0
	for {
		began := time.Now()
		worker, link, err := start()
		if err != nil {
			return 1, errors.New("the serving process cannot be started: " + err.Error())
		}
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
			return 1, errors.New("the serving process died (" + ended.String() + "), and with it all that this ephemeral cloud knew")
		}
		if failedStarts++; served {
			failedStarts = 0
		}
		if failedStarts == maxFailedStarts {
			return 1, errors.New("the serving process died " + strconv.Itoa(failedStarts) + " times before it could serve, last with: " + ended.String())
		}
		if time.Since(began) > longLife {
			pause = 0
		}
		report("the serving process died; starting another one", "status", ended.String(), "pause", pause.String())
		select {
		case <-s.stops:
			return 0, nil
		case <-time.After(pause):
		}
		pause = min(max(2*pause, minRestartPause), maxRestartPause)
	}
}

// follow waits for the worker's end. It answers whether the worker came to serve, and how it ended.
func (s *supervisor) follow(worker *os.Process, link *Link) (served bool, ended *os.ProcessState, err error) {
	switch {
	case s.held == nil:
		err = link.Send(ToFirst)
	case !s.served:
		err = link.Send(ToRetry, s.held...)
	default:
		err = link.Send(ToNext, s.held...)
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
func (s *supervisor) listen(worker *Link) (served bool) {
	for {
		word, files, err := worker.Receive()
		switch {
		case err != nil:
			return served
		case word == NowReady:
			served = true
		case (word == HoldKept || word == HoldEphemeral) && len(files) == HeldFiles:
			s.held, s.keeps = files, word == HoldKept
		}
	}
}
