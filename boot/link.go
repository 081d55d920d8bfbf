package boot

import (
	"errors"
	"io"
	"os"
	"runtime"
	"syscall"
)

// linkFile is the worker's end of the link.
const linkFile = 3

// maxFiles is how many files one word may bring.
const maxFiles = 2

// Link is one end of the socket between parent and worker: it carries words of one byte, and open files with them.
type Link struct {
	file *os.File
}

// newLink answers both ends; neither passes on to processes that are started later.
func newLink() (ours, theirs *Link, err error) {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	ends := [2]*Link{}
	for i, descriptor := range pair {
		syscall.CloseOnExec(descriptor)
		ends[i] = &Link{file: os.NewFile(uintptr(descriptor), "link")}
	}
	return ends[0], ends[1], nil
}

// Send writes one word, with files for the other side.
func (l *Link) Send(word byte, files ...*os.File) error {
	var descriptors []int
	for _, file := range files {
		// Not Fd, which makes the file blocking for everybody who has it: an accept that blocks is never interrupted.
		connection, err := file.SyscallConn()
		if err != nil {
			return err
		}
		if err := connection.Control(func(descriptor uintptr) { descriptors = append(descriptors, int(descriptor)) }); err != nil {
			return err
		}
	}
	defer runtime.KeepAlive(files)
	var rights []byte
	if len(descriptors) > 0 {
		rights = syscall.UnixRights(descriptors...)
	}
	for {
		err := syscall.Sendmsg(int(l.file.Fd()), []byte{word}, rights, nil, 0)
		if !errors.Is(err, syscall.EINTR) {
			return os.NewSyscallError("sendmsg", err)
		}
	}
}

// Receive waits for one word and the files that came with it. It answers io.EOF where the other side is gone.
func (l *Link) Receive() (word byte, files []*os.File, err error) {
	buffer, control := make([]byte, 1), make([]byte, syscall.CmsgSpace(maxFiles*4))
	var n, controlLength int
	for {
		n, controlLength, _, _, err = syscall.Recvmsg(int(l.file.Fd()), buffer, control, 0)
		if !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	if err != nil || n == 0 {
		return 0, nil, io.EOF // a reset says the same: nobody is there
	}
	messages, err := syscall.ParseSocketControlMessage(control[:controlLength])
	if err != nil {
		return 0, nil, errors.Join(errors.New("files from the other process"), err)
	}
	for _, message := range messages {
		descriptors, err := syscall.ParseUnixRights(&message)
		if err != nil {
			return 0, nil, errors.Join(errors.New("files from the other process"), err)
		}
		for _, descriptor := range descriptors {
			syscall.CloseOnExec(descriptor)
			files = append(files, os.NewFile(uintptr(descriptor), "held"))
		}
	}
	return buffer[0], files, nil
}

// Close ends the link: the other side's Receive answers io.EOF.
func (l *Link) Close() error { return l.file.Close() }

// Join answers the worker's end, in a process that a parent started.
func Join() (*Link, error) {
	var status syscall.Stat_t
	if err := syscall.Fstat(linkFile, &status); err != nil || status.Mode&syscall.S_IFMT != syscall.S_IFSOCK {
		return nil, errors.New("only serve starts a worker")
	}
	syscall.CloseOnExec(linkFile)
	return &Link{file: os.NewFile(linkFile, "link")}, nil
}
