//go:build linux

package guest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/crypto/ssh"
)

// Bounds of what a client may set.
const (
	maxVariables = 64
	maxValue     = 4096
)

// drainTime is how long a terminal must be silent after its shell has ended, where a process in the background keeps it
// open; maxLastWords is what the kernel holds of a terminal's output, at most.
const drainTime, maxLastWords = 200 * time.Millisecond, 64 << 10

// defaultPath is what a login has unless /etc/environment sets another.
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// session is one session channel: a shell, a command or sftp, once.
type session struct {
	server     *sshServer
	channel    ssh.Channel
	connection net.Conn
	who        login

	env []string
	// term is the client's terminal type, empty without one; size is valid with it.
	term string
	size terminalSize
	// master is the instance's end of the terminal, nil without one.
	master *os.File
	// begun: the one program of the channel was asked for. child is nil if it could not be started.
	begun bool
	child *process
	// signals: the client chose the program and may send it signals. They are sent as root, so a program that a forced
	// command runs, perhaps with more rights than its user has, gets none.
	signals bool
}

func (s *sshServer) session(ctx context.Context, offered ssh.NewChannel, connection net.Conn, who login) {
	channel, requests, err := offered.Accept()
	if err != nil {
		return
	}
	running := session{server: s, channel: channel, connection: connection, who: who}
	var finished sync.WaitGroup
	defer finished.Wait()
	defer func() { _ = channel.Close() }()
	// A client that closes the channel hangs up on this program alone; the connection may go on with others.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for {
		select {
		case <-ctx.Done():
			return
		case request, ok := <-requests:
			if !ok {
				return
			}
			running.serve(ctx, request, &finished)
		}
	}
}

// serve answers one request of the channel.
func (s *session) serve(ctx context.Context, request *ssh.Request, finished *sync.WaitGroup) {
	ok := false
	var run func()
	switch request.Type {
	case "pty-req":
		ok = s.wantTerminal(request.Payload)
	case "env":
		ok = s.setVariable(request.Payload)
	case "window-change":
		var change terminalSize
		if ssh.Unmarshal(request.Payload, &change) == nil && s.term != "" {
			s.size = change
			ok = s.master == nil || s.size.apply(s.master) == nil
		}
	case "signal":
		var wanted struct{ Name string }
		if ssh.Unmarshal(request.Payload, &wanted) == nil && s.child != nil && s.signals {
			if number, known := signalNumbers[wanted.Name]; known {
				ok = s.server.processes.signal(s.child, number) == nil
			}
		}
	case "shell", "exec", "subsystem":
		run, ok = s.start(ctx, request)
	}
	if request.WantReply {
		_ = request.Reply(ok, nil)
	}
	if run != nil {
		finished.Go(run)
	}
}

func (s *session) wantTerminal(payload []byte) bool {
	var wanted struct {
		Term                         string
		Columns, Rows, Width, Height uint32
		Modes                        string
	}
	if ssh.Unmarshal(payload, &wanted) != nil || s.who.key.noPTY || s.begun || strings.ContainsAny(wanted.Term, "\x00/") || len(wanted.Term) > 64 {
		return false
	}
	s.term = wanted.Term
	if s.term == "" {
		s.term = "dumb"
	}
	s.size = terminalSize{wanted.Columns, wanted.Rows, wanted.Width, wanted.Height}
	return true
}

// setVariable takes the language settings: others, such as LD_PRELOAD, could lead a forced command astray.
func (s *session) setVariable(payload []byte) bool {
	var wanted struct{ Name, Value string }
	if ssh.Unmarshal(payload, &wanted) != nil || len(s.env) >= maxVariables || len(wanted.Value) > maxValue || strings.Contains(wanted.Value, "\x00") {
		return false
	}
	if wanted.Name != "LANG" && (!strings.HasPrefix(wanted.Name, "LC_") || !variables.MatchString(wanted.Name)) {
		return false
	}
	s.env = append(s.env, wanted.Name+"="+wanted.Value)
	return true
}

// start runs what the request asks for; the function that it answers serves it until it ends.
func (s *session) start(ctx context.Context, request *ssh.Request) (func(), bool) {
	if s.begun {
		return nil, false
	}
	var wanted struct{ Text string }
	if request.Type != "shell" && ssh.Unmarshal(request.Payload, &wanted) != nil {
		return nil, false
	}
	if request.Type == "subsystem" && (wanted.Text != "sftp" || noLogins[filepath.Base(s.who.account.shell)]) || strings.Contains(wanted.Text, "\x00") {
		return nil, false
	}
	s.begun = true
	s.signals = request.Type != "subsystem" && s.who.key.command == ""
	what := s.launch(request.Type, wanted.Text)
	var err error
	var run func()
	if s.term != "" && request.Type != "subsystem" {
		run, err = s.startInTerminal(ctx, what)
	} else {
		run, err = s.startWithPipes(ctx, what)
	}
	if err != nil {
		s.server.logf("ssh: session of %s: %v", s.who.account.name, err)
		return func() {
			_, _ = fmt.Fprintf(s.channel.Stderr(), "mini-aws: %v\r\n", err)
			s.sendExit(syscall.WaitStatus(127 << 8))
		}, true
	}
	return run, true
}

// noLogins are the shells of accounts that nobody logs in to. They refuse a command themselves, but sftp runs without a
// shell, as images may have none.
var noLogins = map[string]bool{"nologin": true, "false": true}

func (s *session) launch(kind, text string) launch {
	user := s.who.account
	what := launch{path: user.shell, dir: user.home, env: s.environment()}
	if info, err := os.Stat(s.server.root.path(user.home)); err != nil || !info.IsDir() {
		what.dir = "/"
	} else {
		what.dir = s.server.root.path(user.home)
	}
	if !s.server.asSelf {
		what.credential = &syscall.Credential{Uid: uint32(user.uid), Gid: uint32(user.gid), Groups: user.groups}
	}
	if forced := s.who.key.command; forced != "" {
		if kind != "shell" {
			what.env = append(what.env, "SSH_ORIGINAL_COMMAND="+text)
		}
		kind, text = "exec", forced
	}
	switch kind {
	case "shell":
		what.argv = []string{"-" + filepath.Base(user.shell)}
	case "exec":
		what.argv = []string{filepath.Base(user.shell), "-c", text}
	case "subsystem":
		what.path, what.argv = self, []string{"mini-aws", "init", stageSFTP}
	}
	return what
}

// environment of a login: nothing of init's own.
func (s *session) environment() []string {
	user := s.who.account
	client, server := address(s.connection.RemoteAddr()), address(s.connection.LocalAddr())
	all := []string{"PATH=" + defaultPath}
	all = append(all, s.server.root.readEnvironment()...)
	all = append(all, s.env...)
	all = append(all, "HOME="+user.home, "USER="+user.name, "LOGNAME="+user.name, "SHELL="+user.shell,
		"SSH_CLIENT="+client.host+" "+client.port+" "+server.port,
		"SSH_CONNECTION="+client.host+" "+client.port+" "+server.host+" "+server.port)
	if s.term != "" {
		all = append(all, "TERM="+s.term)
	}
	return lastOfEach(all)
}

// lastOfEach keeps the last value of every variable: what a program does with two is its own choice.
func lastOfEach(all []string) []string {
	seen := map[string]bool{}
	var kept []string
	for _, variable := range slices.Backward(all) {
		name, _, _ := strings.Cut(variable, "=")
		if !seen[name] {
			seen[name] = true
			kept = append(kept, variable)
		}
	}
	slices.Reverse(kept)
	return kept
}

type hostPort struct{ host, port string }

func address(from net.Addr) hostPort {
	host, port, err := net.SplitHostPort(from.String())
	if err != nil {
		return hostPort{from.String(), "0"}
	}
	return hostPort{host, port}
}

// startInTerminal runs the program in a terminal of its own.
func (s *session) startInTerminal(ctx context.Context, what launch) (func(), error) {
	master, terminal, err := openTerminal(s.size)
	if err != nil {
		return nil, err
	}
	defer func() { _ = terminal.Close() }()
	if !s.server.asSelf {
		err = errors.Join(terminal.Chown(s.who.account.uid, s.terminalGroup()), terminal.Chmod(0o620))
	}
	if err == nil {
		what.files = []*os.File{terminal, terminal, terminal}
		what.terminal = true
		what.env = append(what.env, "SSH_TTY="+terminal.Name())
		s.child, err = s.server.processes.start(what)
	}
	if err != nil {
		return nil, errors.Join(err, master.Close())
	}
	s.master = master
	return func() {
		// Closing the master hangs the terminal up.
		hangUp := sync.OnceFunc(func() { _ = master.Close() })
		defer hangUp()
		defer context.AfterFunc(ctx, hangUp)()
		go func() { _, _ = io.Copy(master, s.channel) }() // ends with the channel
		drained := make(chan struct{})
		go func() {
			defer close(drained)
			_, _ = io.Copy(s.channel, &lastWords{master: master, ended: s.child.done, left: maxLastWords})
		}()
		ended := s.ended(ctx)
		if ended {
			_ = master.SetReadDeadline(time.Now().Add(drainTime)) // of a read that waits already
		}
		<-drained // at the latest when the client hangs up
		if ended {
			s.sendExit(s.child.status)
		}
	}, nil
}

// lastWords reads a terminal to its end: that of the shell, and then of what the shell left in the kernel's buffer, however
// slowly the client takes it. A process in the background keeps the terminal open, and may go on printing.
type lastWords struct {
	master *os.File
	ended  <-chan struct{}
	left   int
}

func (l *lastWords) Read(p []byte) (int, error) {
	select {
	case <-l.ended:
	default:
		return l.master.Read(p)
	}
	if l.left <= 0 {
		return 0, io.EOF
	}
	if err := l.master.SetReadDeadline(time.Now().Add(drainTime)); err != nil {
		return 0, err
	}
	n, err := l.master.Read(p[:min(len(p), l.left)])
	l.left -= n
	return n, err
}

// terminalGroup is the group "tty", which write(1) needs, else the user's.
func (s *session) terminalGroup() int {
	accounts, err := s.server.root.readAccounts()
	if err == nil {
		if gid, ok := accounts.groupID("tty"); ok {
			return gid
		}
	}
	return s.who.account.gid
}

// startWithPipes runs the program without a terminal.
func (s *session) startWithPipes(ctx context.Context, what launch) (func(), error) {
	var ours, theirs [3]*os.File
	closeAll := func(files []*os.File) {
		for _, file := range files {
			if file != nil {
				_ = file.Close()
			}
		}
	}
	defer func() { closeAll(theirs[:]) }()
	for i := range ours {
		reader, writer, err := os.Pipe()
		if err != nil {
			closeAll(ours[:])
			return nil, err
		}
		ours[i], theirs[i] = reader, writer
		if i == 0 {
			ours[i], theirs[i] = writer, reader
		}
	}
	what.files = theirs[:]
	child, err := s.server.processes.start(what)
	if err != nil {
		closeAll(ours[:])
		return nil, err
	}
	s.child = child
	return func() {
		defer context.AfterFunc(ctx, func() { closeAll(ours[:]) })()
		defer closeAll(ours[:])
		go func() { // ends with the channel, or with the program's end of the pipe
			_, _ = io.Copy(ours[0], s.channel)
			_ = ours[0].Close()
		}()
		var output sync.WaitGroup
		output.Go(func() { _, _ = io.Copy(s.channel, ours[1]) })
		output.Go(func() { _, _ = io.Copy(s.channel.Stderr(), ours[2]) })
		ended := s.ended(ctx)
		output.Wait() // as other servers do: a background process that keeps the pipe keeps the session
		if ended {
			s.sendExit(s.child.status)
		}
	}, nil
}

// ended waits for the program; false if the client hung up first.
func (s *session) ended(ctx context.Context) bool {
	select {
	case <-s.child.done:
		return true
	case <-ctx.Done():
		return false
	}
}

// sendExit tells the client how the program ended, and closes the channel.
func (s *session) sendExit(status syscall.WaitStatus) {
	if status.Signaled() {
		name := "KILL"
		for known, number := range signalNumbers {
			if number == status.Signal() {
				name = known
			}
		}
		_, _ = s.channel.SendRequest("exit-signal", false, ssh.Marshal(struct {
			Name              string
			Core              bool
			Message, Language string
		}{name, status.CoreDump(), "", ""}))
	} else {
		_, _ = s.channel.SendRequest("exit-status", false, ssh.Marshal(struct{ Code uint32 }{uint32(status.ExitStatus())}))
	}
	_ = s.channel.Close()
}

// signalNumbers are the signals that the protocol names.
var signalNumbers = map[string]syscall.Signal{
	"ABRT": syscall.SIGABRT, "ALRM": syscall.SIGALRM, "FPE": syscall.SIGFPE, "HUP": syscall.SIGHUP, "ILL": syscall.SIGILL,
	"INT": syscall.SIGINT, "KILL": syscall.SIGKILL, "PIPE": syscall.SIGPIPE, "QUIT": syscall.SIGQUIT, "SEGV": syscall.SIGSEGV,
	"TERM": syscall.SIGTERM, "USR1": syscall.SIGUSR1, "USR2": syscall.SIGUSR2,
}
