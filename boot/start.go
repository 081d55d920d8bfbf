package boot

import (
	"os"
	"runtime"
)

// first is the worker that init started.
var first struct {
	tried  bool
	worker *os.Process
	link   *Link
	err    error
}

func init() {
	if len(os.Args) > 1 && os.Args[1] == "serve" && !asksForHelp(os.Args[2:]) {
		// A worker dies with the thread that started it. The main goroutine stays on this one.
		runtime.LockOSThread()
		first.tried = true
		first.worker, first.link, first.err = Start()
	}
}

func asksForHelp(arguments []string) bool {
	for _, argument := range arguments {
		if argument == "--help" || argument == "-h" {
			return true
		}
	}
	return false
}

// IsParent tells whether this process was started to serve, so that its first worker runs already.
func IsParent() bool { return first.tried }

// First answers the worker that runs already.
func First() (*os.Process, *Link, error) { return first.worker, first.link, first.err }

// Start starts a worker with this process's arguments and its three standard files. It must be called on the thread that
// lives as long as this process.
func Start() (*os.Process, *Link, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, nil, err
	}
	ours, theirs, err := newLink()
	if err != nil {
		return nil, nil, err
	}
	worker, err := os.StartProcess(program, append([]string{program, "worker"}, os.Args[2:]...), &os.ProcAttr{
		Files: []*os.File{os.Stdin, os.Stdout, os.Stderr, theirs.file},
		Sys:   dieWithParent(),
	})
	// The worker has its own copy. Closing cannot fail in a way that matters here.
	_ = theirs.Close()
	if err != nil {
		_ = ours.Close()
		return nil, nil, err
	}
	return worker, ours, nil
}
