package boot

import (
	"os"
	"runtime"
)

func init() {
	if len(os.Args) > 1 && os.Args[1] == "serve" && !asksForHelp(os.Args[2:]) {
		// A worker dies with the thread that started it, so all are started on this one.
		runtime.LockOSThread()
		os.Exit(supervise())
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

// start starts a worker with this process's arguments and its three standard files. It must be called on the thread that
// lives as long as this process.
func start() (*os.Process, *Link, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, nil, err
	}
	ours, theirs, err := newLink()
	if err != nil {
		return nil, nil, err
	}
	worker, err := os.StartProcess(program, append([]string{program, "worker"}, os.Args[2:]...), &os.ProcAttr{
		Env:   startEnvironment(),
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
