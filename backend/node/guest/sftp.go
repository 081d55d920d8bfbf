//go:build linux

package guest

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/pkg/sftp"
)

// standardStreams are the connection of the sftp process: a pipe in, a pipe out.
type standardStreams struct{}

func (standardStreams) Read(p []byte) (int, error)  { return os.Stdin.Read(p) }
func (standardStreams) Write(p []byte) (int, error) { return os.Stdout.Write(p) }
func (standardStreams) Close() error                { return errors.Join(os.Stdin.Close(), os.Stdout.Close()) }

// serveSFTP is the sftp subsystem. It runs as a process of the user who logged in, so the kernel checks every access.
func serveSFTP() int {
	home, err := os.Getwd()
	if err != nil {
		home = "/"
	}
	server, err := sftp.NewServer(standardStreams{}, sftp.WithServerWorkingDirectory(home))
	if err == nil {
		err = server.Serve()
	}
	if err != nil && !errors.Is(err, io.EOF) {
		_, _ = fmt.Fprintf(os.Stderr, "sftp: %v\n", err)
		return 1
	}
	return 0
}
