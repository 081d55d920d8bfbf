//go:build linux

package guest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pkg/sftp"
	"go.uber.org/goleak"
	"golang.org/x/crypto/ssh"
)

// TestMain lets the test's own binary stand for "mini-aws init sftp": the server starts itself.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "init" {
		os.Exit(Run(os.Args[2:]))
	}
	status := m.Run()
	removeEngineThings()
	if err := goleak.Find(); err != nil && status == 0 {
		fmt.Fprintln(os.Stderr, err)
		status = 1
	}
	os.Exit(status)
}

// testServer serves one user, "admin", who is the one that runs the test; lines are the user's authorized_keys.
func testServer(t *testing.T, lines ...string) (address string, root rootFolder) {
	t.Helper()
	root = rootFolder(t.TempDir())
	for _, folder := range []string{"etc", "home/admin/.ssh"} {
		if err := os.MkdirAll(root.path(folder), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	passwd := fmt.Sprintf("admin:x:%d:%d::/home/admin:/bin/sh\n", os.Getuid(), os.Getgid())
	for name, text := range map[string]string{"etc/passwd": passwd, "home/admin/.ssh/authorized_keys": strings.Join(lines, "\n")} {
		if err := os.WriteFile(root.path(name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &sshServer{
		root: root, processes: newProcesses(false), hostKeys: []ssh.Signer{testSigner(t, "host")}, asSelf: true, logf: t.Logf,
		configured: map[string][]string{"admin": {testKeyLine(t, "configured")}},
	}
	served := make(chan error, 1)
	go func() { served <- server.serve(listener) }()
	t.Cleanup(func() {
		server.close()
		server.wait()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return listener.Addr().String(), root
}

func dial(t *testing.T, address, user, key string) (*ssh.Client, error) {
	t.Helper()
	client, err := ssh.Dial("tcp", address, &ssh.ClientConfig{
		User: user, Auth: []ssh.AuthMethod{ssh.PublicKeys(testSigner(t, key))},
		HostKeyCallback: ssh.FixedHostKey(testSigner(t, "host").PublicKey()),
	})
	if err == nil {
		t.Cleanup(func() { _ = client.Close() })
	}
	return client, err
}

func newSession(t *testing.T, address, key string) *ssh.Session {
	t.Helper()
	client, err := dial(t, address, "admin", key)
	if err != nil {
		t.Fatal(err)
	}
	session, err := client.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	return session
}

func TestLogins(t *testing.T) {
	address, root := testServer(t, testKeyLine(t, "own"), `from="192.0.2.1" `+testKeyLine(t, "elsewhere"))
	for _, test := range []struct {
		user, key string
		admitted  bool
	}{
		{"admin", "configured", true}, {"admin", "own", true}, {"admin", "elsewhere", false}, {"admin", "wrong", false},
		{"root", "configured", false}, {"", "own", false},
	} {
		if _, err := dial(t, address, test.user, test.key); (err == nil) != test.admitted {
			t.Errorf("%s with key %s: %v", test.user, test.key, err)
		}
	}
	// A file that others may write admits nobody; the configuration's keys still do.
	if err := os.Chmod(root.path("home/admin/.ssh/authorized_keys"), 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := dial(t, address, "admin", "own"); err == nil {
		t.Error("a key in a file that others may write was accepted")
	}
	if _, err := dial(t, address, "admin", "configured"); err != nil {
		t.Error(err)
	}
}

func TestPasswordsAreRefused(t *testing.T) {
	address, _ := testServer(t)
	for _, method := range []ssh.AuthMethod{ssh.Password(""), ssh.Password("admin")} {
		client, err := ssh.Dial("tcp", address, &ssh.ClientConfig{User: "admin", Auth: []ssh.AuthMethod{method}, HostKeyCallback: ssh.FixedHostKey(testSigner(t, "host").PublicKey())})
		if err == nil {
			t.Error("logged in with a password", client.Close())
		}
	}
}

func TestExec(t *testing.T) {
	address, _ := testServer(t)
	session := newSession(t, address, "configured")
	for name, set := range map[string]bool{"LC_ALL": true, "LD_PRELOAD": false, "PATH": false} {
		if err := session.Setenv(name, "C"); (err == nil) != set {
			t.Errorf("variable %s: %v", name, err)
		}
	}
	var out, problems bytes.Buffer
	session.Stdin, session.Stdout, session.Stderr = strings.NewReader("input"), &out, &problems
	err := session.Run(`cat; echo " $USER $HOME $LC_ALL"; echo bad >&2; exit 3`)
	var exit *ssh.ExitError
	if !errors.As(err, &exit) || exit.ExitStatus() != 3 {
		t.Errorf("exit: %v", err)
	}
	if out.String() != "input admin /home/admin C\n" || problems.String() != "bad\n" {
		t.Errorf("out %q, err %q", out.String(), problems.String())
	}
}

func TestExitSignal(t *testing.T) {
	address, _ := testServer(t)
	session := newSession(t, address, "configured")
	out, err := session.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := session.Start("echo ready; exec sleep 60"); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(out, make([]byte, 6)); err != nil {
		t.Fatal(err)
	}
	if err := session.Signal(ssh.SIGTERM); err != nil {
		t.Fatal(err)
	}
	var exit *ssh.ExitError
	if err := session.Wait(); !errors.As(err, &exit) || exit.Signal() != "TERM" {
		t.Errorf("ended: %v", err)
	}
}

func TestTerminal(t *testing.T) {
	address, _ := testServer(t)
	session := newSession(t, address, "configured")
	if err := session.RequestPty("xterm", 33, 77, ssh.TerminalModes{}); err != nil {
		t.Fatal(err)
	}
	out, err := session.Output("stty size; echo $TERM; test -t 0")
	if err != nil || string(out) != "33 77\r\nxterm\r\n" {
		t.Errorf("%q: %v", out, err)
	}
}

// TestShellEndsWithItsConnection: an interactive shell ignores TERM, so the hang-up has to end it.
func TestShellEndsWithItsConnection(t *testing.T) {
	address, _ := testServer(t)
	client, err := dial(t, address, "admin", "configured")
	if err != nil {
		t.Fatal(err)
	}
	session, err := client.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	if err := session.RequestPty("xterm", 24, 80, ssh.TerminalModes{ssh.ECHO: 0}); err != nil {
		t.Fatal(err)
	}
	in, err := session.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := session.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := session.Shell(); err != nil {
		t.Fatal(err)
	}
	if err := session.WindowChange(11, 22); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(in, "stty size\n"); err != nil {
		t.Fatal(err)
	}
	seen := make([]byte, 0, 4096)
	for !bytes.Contains(seen, []byte("11 22")) {
		n, err := out.Read(seen[len(seen):cap(seen)])
		if err != nil {
			t.Fatalf("%q: %v", seen, err)
		}
		seen = seen[:len(seen)+n]
	}
	if err := client.Close(); err != nil {
		t.Error(err)
	}
	// The server's close in the cleanup, and goleak, find what would stay.
}

func TestForcedCommandAndRestrictions(t *testing.T) {
	address, _ := testServer(t, `restrict,command="echo forced $SSH_ORIGINAL_COMMAND" `+testKeyLine(t, "limited"))
	session := newSession(t, address, "limited")
	if err := session.RequestPty("xterm", 24, 80, ssh.TerminalModes{}); err == nil {
		t.Error("a terminal in spite of restrict")
	}
	if out, err := session.Output("rm -rf /"); err != nil || string(out) != "forced rm -rf /\n" {
		t.Errorf("%q: %v", out, err)
	}
	client, err := dial(t, address, "admin", "limited")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Dial("tcp", address); err == nil {
		t.Error("forwarding in spite of restrict")
	}
}

func TestSFTP(t *testing.T) {
	address, root := testServer(t)
	client, err := dial(t, address, "admin", "configured")
	if err != nil {
		t.Fatal(err)
	}
	files, err := sftp.NewClient(client)
	if err != nil {
		t.Fatal(err)
	}
	content := bytes.Repeat([]byte("0123456789abcdef"), 64<<10)
	file, err := files.Create("upload") // relative: below the home folder
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.ReadFrom(bytes.NewReader(content)); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	if stored, err := os.ReadFile(root.path("home/admin/upload")); err != nil || !bytes.Equal(stored, content) {
		t.Errorf("stored %d bytes: %v", len(stored), err)
	}
	back, err := files.Open("upload")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(back); err != nil || !bytes.Equal(got, content) {
		t.Errorf("read %d bytes: %v", len(got), err)
	}
	if err := errors.Join(back.Close(), files.Close()); err != nil {
		t.Error(err)
	}
}

func TestForwarding(t *testing.T) {
	address, _ := testServer(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	echoed := make(chan error, 1)
	go func() {
		connection, err := listener.Accept()
		if err == nil {
			_, err = io.Copy(connection, connection)
			err = errors.Join(err, connection.Close())
		}
		echoed <- errors.Join(err, listener.Close())
	}()
	client, err := dial(t, address, "admin", "configured")
	if err != nil {
		t.Fatal(err)
	}
	connection, err := client.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := connection.Write([]byte("there and back")); err != nil {
		t.Fatal(err)
	}
	if err := connection.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(connection); err != nil || string(got) != "there and back" {
		t.Errorf("%q: %v", got, err)
	}
	if err := <-echoed; err != nil {
		t.Error(err)
	}
}

// TestKeysOutsideTheHomeAdmitNobody: init reads as root, so a link must not lead it to what the user could not read.
func TestKeysOutsideTheHomeAdmitNobody(t *testing.T) {
	address, root := testServer(t, testKeyLine(t, "own"))
	outside := t.TempDir()
	if err := os.WriteFile(outside+"/authorized_keys", []byte(testKeyLine(t, "own")), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, target := range map[string]string{"authorized_keys": outside + "/authorized_keys", "": outside} {
		link := root.path("home/admin/.ssh/" + name)
		if err := errors.Join(os.RemoveAll(link), os.Symlink(target, link)); err != nil {
			t.Fatal(err)
		}
		if _, err := dial(t, address, "admin", "own"); err == nil {
			t.Errorf("a link from %s to %s was followed", link, target)
		}
		if err := errors.Join(os.RemoveAll(root.path("home/admin/.ssh")), os.Mkdir(root.path("home/admin/.ssh"), 0o700)); err != nil {
			t.Fatal(err)
		}
	}
}

// TestClosedSessionsHangUp: the programs of channels that the client has closed end, while the connection goes on.
func TestClosedSessionsHangUp(t *testing.T) {
	// Where the tests run under nohup, programs would ignore the hang-up, as this process does; init does not.
	hungUp := make(chan os.Signal, 1)
	signal.Notify(hungUp, syscall.SIGHUP)
	t.Cleanup(func() { signal.Stop(hungUp) })
	address, _ := testServer(t)
	client, err := dial(t, address, "admin", "configured")
	if err != nil {
		t.Fatal(err)
	}
	for name, terminal := range map[string]bool{"with a terminal": true, "with pipes": false} {
		session, err := client.NewSession()
		if err != nil {
			t.Fatal(err)
		}
		if terminal {
			if err := session.RequestPty("xterm", 24, 80, ssh.TerminalModes{}); err != nil {
				t.Fatal(err)
			}
		}
		out, err := session.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := session.Start("echo $$; while :; do echo more; sleep 0.01; done"); err != nil {
			t.Fatal(err)
		}
		var pid int
		if _, err := fmt.Fscan(out, &pid); err != nil {
			t.Fatal(err)
		}
		if err := session.Close(); err != nil {
			t.Fatal(err)
		}
		for deadline := time.Now().Add(10 * time.Second); syscall.Kill(pid, 0) == nil; time.Sleep(5 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Errorf("%s: the program goes on", name)
				_ = syscall.Kill(-pid, syscall.SIGKILL)
				break
			}
		}
	}
}

func TestForcedCommandGetsNoSignals(t *testing.T) {
	address, _ := testServer(t, `command="echo ready; read line; echo $line" `+testKeyLine(t, "limited"))
	session := newSession(t, address, "limited")
	in, err := session.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := session.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := session.Shell(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(out, make([]byte, 6)); err != nil {
		t.Fatal(err)
	}
	if err := session.Signal(ssh.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(in, "alive\n"); err != nil {
		t.Error(err)
	}
	if said, err := io.ReadAll(out); err != nil || string(said) != "alive\n" {
		t.Errorf("%q: %v", said, err)
	}
	if err := session.Wait(); err != nil {
		t.Errorf("ended: %v", err)
	}
}

// TestClosedForwardingHangsUp: a target that says nothing does not keep a forwarding that the client has closed.
func TestClosedForwardingHangsUp(t *testing.T) {
	address, _ := testServer(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0") // the kernel accepts, and nobody answers
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	client, err := dial(t, address, "admin", "configured")
	if err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(10 * time.Second)
	for done := 0; done <= maxForwards; {
		connection, err := client.Dial("tcp", listener.Addr().String())
		switch {
		case err == nil:
			done++
			if err := connection.Close(); err != nil {
				t.Fatal(err)
			}
		case time.Now().After(deadline):
			t.Fatalf("after %d closed forwardings: %v", done, err)
		}
	}
}

// TestSlowClientGetsEverything: what a program printed last waits in the kernel for a client that is slow to take it.
func TestSlowClientGetsEverything(t *testing.T) {
	address, _ := testServer(t)
	session := newSession(t, address, "configured")
	if err := session.RequestPty("xterm", 24, 80, ssh.TerminalModes{}); err != nil {
		t.Fatal(err)
	}
	out, err := session.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	// More than the client's window and one read of the server, by less than the kernel takes.
	const size = 64<<15 + 8<<10
	if err := session.Start(fmt.Sprintf("echo $$; head -c %d /dev/zero | tr '\\0' x", size)); err != nil {
		t.Fatal(err)
	}
	first := make([]byte, 16)
	if _, err := io.ReadFull(out, first); err != nil {
		t.Fatal(err)
	}
	pid, rest, ok := strings.Cut(string(first), "\r\n")
	var shell int
	if _, err := fmt.Sscan(pid, &shell); err != nil || !ok {
		t.Fatalf("%q: %v", first, err)
	}
	ended := time.Time{}
	for deadline := time.Now().Add(20 * time.Second); ended.IsZero() || time.Since(ended) < 3*drainTime; time.Sleep(5 * time.Millisecond) {
		if ended.IsZero() && syscall.Kill(shell, 0) != nil {
			ended = time.Now()
		}
		if time.Now().After(deadline) {
			t.Fatal("the program does not end")
		}
	}
	if said, err := io.ReadAll(out); err != nil || len(said)+len(rest) != size {
		t.Errorf("%d bytes of %d: %v", len(said)+len(rest), size, err)
	}
}

// TestBackgroundHoldsNoTerminal: a session with a terminal ends with its shell, whoever else has the terminal.
func TestBackgroundHoldsNoTerminal(t *testing.T) {
	address, _ := testServer(t)
	for _, background := range []string{"sleep 30", "yes"} {
		session := newSession(t, address, "configured")
		if err := session.RequestPty("xterm", 24, 80, ssh.TerminalModes{}); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- session.Run("trap '' HUP; " + background + " & exit 5") }()
		select {
		case err := <-ended:
			var exit *ssh.ExitError
			if !errors.As(err, &exit) || exit.ExitStatus() != 5 {
				t.Errorf("%s: exit: %v", background, err)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("%s holds the session", background)
		}
	}
}

func TestSFTPNeedsALogin(t *testing.T) {
	address, root := testServer(t)
	passwd := fmt.Sprintf("admin:x:%d:%d::/home/admin:/usr/sbin/nologin\n", os.Getuid(), os.Getgid())
	if err := os.WriteFile(root.path("etc/passwd"), []byte(passwd), 0o600); err != nil {
		t.Fatal(err)
	}
	client, err := dial(t, address, "admin", "configured")
	if err != nil {
		t.Fatal(err)
	}
	if files, err := sftp.NewClient(client); err == nil {
		t.Error("sftp for an account without logins", files.Close())
	}
}
