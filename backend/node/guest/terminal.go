//go:build linux

package guest

import (
	"errors"
	"os"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"
)

// openTerminal answers both ends of a new terminal. The library leaves the master blocking, and closing a blocking file
// does not end a read of it: the master answered is a copy that waits in Go's poller.
func openTerminal(size terminalSize) (master, terminal *os.File, err error) {
	blocking, terminal, err := pty.Open()
	if err != nil {
		return nil, nil, err
	}
	copied, err := unix.FcntlInt(blocking.Fd(), unix.F_DUPFD_CLOEXEC, 3)
	if err = errors.Join(err, blocking.Close()); err != nil {
		return nil, nil, errors.Join(err, terminal.Close())
	}
	if err := unix.SetNonblock(copied, true); err != nil {
		return nil, nil, errors.Join(err, unix.Close(copied), terminal.Close())
	}
	master = os.NewFile(uintptr(copied), "/dev/ptmx")
	if err := size.apply(master); err != nil {
		return nil, nil, errors.Join(err, master.Close(), terminal.Close())
	}
	return master, terminal, nil
}

// terminalSize is in the order of the protocol's messages.
type terminalSize struct{ Columns, Rows, Width, Height uint32 }

func (s terminalSize) apply(master *os.File) error {
	raw, err := master.SyscallConn()
	if err != nil {
		return err
	}
	var failure error
	err = raw.Control(func(descriptor uintptr) {
		failure = unix.IoctlSetWinsize(int(descriptor), unix.TIOCSWINSZ, &unix.Winsize{
			Col: uint16(s.Columns), Row: uint16(s.Rows), Xpixel: uint16(s.Width), Ypixel: uint16(s.Height),
		})
	})
	return errors.Join(err, failure)
}
