//go:build linux

package guest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/crypto/ssh"
)

// Limits of the built-in SSH server.
const (
	maxAuthTries      = 6
	maxConnections    = 256
	maxStrangers      = 64 // connections that have not logged in
	maxSessions       = 10 // in one connection
	maxForwards       = 128
	defaultLoginGrace = 2 * time.Minute
)

// sshServer is the SSH server of images that have none: public keys only, sessions, sftp and local forwarding.
type sshServer struct {
	root      rootFolder
	processes *processes
	hostKeys  []ssh.Signer
	// configured are the configuration's keys, by user.
	configured map[string][]string
	// connect answers keys that are good for a moment; nil for none.
	connect func(user string) ([]string, error)
	// asSelf runs everything as init's own user, in tests that are not root.
	asSelf bool
	// linked: connections come over the link, whose other side has decided who may come.
	linked     bool
	loginGrace time.Duration
	// rest is told of the end of each connection; nil for nobody.
	rest *rest
	logf func(format string, args ...any)

	// accounts is held while a user is made.
	accounts sync.Mutex

	mu       sync.Mutex
	closed   bool
	open     map[io.Closer]struct{}
	handlers sync.WaitGroup
	sessions slots
	unknown  slots
}

// slots counts what is limited.
type slots struct {
	mu         sync.Mutex
	used, most int
}

func (s *slots) take() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.used >= s.most {
		return false
	}
	s.used++
	return true
}

func (s *slots) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used--
}

// login is who a connection is, known once its key is accepted.
type login struct {
	account account
	key     authorizedKey
}

type loginKey struct{}

// serve accepts until the listener closes, which close does. It may be called once.
func (s *sshServer) serve(listener net.Listener) error {
	s.sessions.most, s.unknown.most = maxConnections, maxStrangers
	if s.loginGrace == 0 {
		s.loginGrace = defaultLoginGrace
	}
	if !s.track(listener) {
		return listener.Close()
	}
	defer s.forget(listener)
	for {
		connection, err := listener.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			return nil
		case err != nil:
			s.logf("ssh: accept: %v", err)
			time.Sleep(50 * time.Millisecond) // out of descriptors: accepting again at once would only burn CPU
			continue
		}
		if !s.unknown.take() {
			_ = connection.Close() // full: the client tries again
			continue
		}
		if !s.track(connection) {
			return connection.Close()
		}
		s.handlers.Go(func() {
			defer s.rest.after()
			defer s.forget(connection)
			s.handle(connection)
		})
	}
}

// track remembers what close must close; false once it has.
func (s *sshServer) track(what io.Closer) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	if s.open == nil {
		s.open = map[io.Closer]struct{}{}
	}
	s.open[what] = struct{}{}
	return true
}

func (s *sshServer) forget(what io.Closer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, what)
	_ = what.Close()
}

// close ends all connections. Processes that ignore the hang-up go on.
func (s *sshServer) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for what := range s.open {
		_ = what.Close()
	}
}

// wait answers when close has had its effect on every connection.
func (s *sshServer) wait() { s.handlers.Wait() }

func (s *sshServer) handle(connection net.Conn) {
	config := ssh.ServerConfig{
		MaxAuthTries:      maxAuthTries,
		ServerVersion:     "SSH-2.0-MiniAWS",
		PublicKeyCallback: s.authenticate,
	}
	if s.linked {
		config.NoClientAuth, config.NoClientAuthCallback = true, s.linkedLogin
	}
	for _, key := range s.hostKeys {
		config.AddHostKey(key)
	}
	err := connection.SetDeadline(time.Now().Add(s.loginGrace))
	var peer *ssh.ServerConn
	var channels <-chan ssh.NewChannel
	var requests <-chan *ssh.Request
	if err == nil {
		peer, channels, requests, err = ssh.NewServerConn(connection, &config)
	}
	s.unknown.release()
	if err != nil {
		return // port scans and failed logins are not worth a line of the console each
	}
	defer func() { _ = peer.Close() }()
	who, ok := peer.Permissions.ExtraData[loginKey{}].(login)
	if !ok || !s.sessions.take() {
		return
	}
	defer s.sessions.release()
	if err := connection.SetDeadline(time.Time{}); err != nil {
		return
	}
	if s.linked {
		s.logf("session: %s", who.account.name)
	} else {
		s.logf("ssh: %s logged in from %v, key %s", who.account.name, connection.RemoteAddr(), ssh.FingerprintSHA256(who.key.key))
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	running.Go(func() { ssh.DiscardRequests(requests) })
	defer func() { _ = peer.Close() }()
	sessions, forwards := slots{most: maxSessions}, slots{most: maxForwards}
	for channel := range channels {
		switch channel.ChannelType() {
		case "session":
			if !sessions.take() {
				_ = channel.Reject(ssh.ResourceShortage, "too many sessions")
				continue
			}
			running.Go(func() {
				defer sessions.release()
				s.session(ctx, channel, connection, who)
			})
		case "direct-tcpip":
			if !forwards.take() {
				_ = channel.Reject(ssh.ResourceShortage, "too many forwardings")
				continue
			}
			running.Go(func() {
				defer forwards.release()
				s.forward(ctx, channel, who)
			})
		default:
			_ = channel.Reject(ssh.UnknownChannelType, "not supported")
		}
	}
}

var errRefused = errors.New("public key refused")

// authenticate decides on one key of one user; the client proves afterwards that it has the private half.
func (s *sshServer) authenticate(meta ssh.ConnMetadata, offered ssh.PublicKey) (*ssh.Permissions, error) {
	accounts, err := s.root.readAccounts()
	if err != nil {
		return nil, err
	}
	user, ok := accounts.find(meta.User())
	if !ok {
		return nil, errRefused
	}
	remote, err := netip.ParseAddrPort(meta.RemoteAddr().String())
	if err != nil {
		return nil, err
	}
	accept := func(key authorizedKey) (*ssh.Permissions, error) {
		return &ssh.Permissions{ExtraData: map[any]any{loginKey{}: login{account: user, key: key}}}, nil
	}
	for _, line := range s.configured[user.name] {
		if key, ok := findAuthorizedKey(line, offered, remote.Addr(), time.Now()); ok {
			return accept(key)
		}
	}
	text, err := s.readUserKeys(user)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			s.logf("ssh: keys of %s are not used: %v", user.name, err)
		}
		text = ""
	}
	if key, ok := findAuthorizedKey(text, offered, remote.Addr(), time.Now()); ok {
		return accept(key)
	}
	if s.connect != nil {
		lines, err := s.connect(user.name)
		if err != nil {
			return nil, errRefused // an instance without a metadata service has no such keys
		}
		if key, ok := findAuthorizedKey(strings.Join(lines, "\n"), offered, remote.Addr(), time.Now()); ok {
			return accept(key)
		}
	}
	return nil, errRefused
}

// readUserKeys reads the user's authorized_keys, if nobody else could have written it: file, folder and home belong to
// the user or root, and only they may write. The folder belongs to the user, and init is root: so every step stays below
// the home folder, whatever links the user put there.
func (s *sshServer) readUserKeys(user account) (text string, err error) {
	home, err := os.OpenRoot(s.root.path(user.home))
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, home.Close()) }()
	for _, name := range []string{".", ".ssh"} {
		info, err := home.Stat(name)
		if err != nil {
			return "", err
		}
		if err := strictMode(name, info, user); err != nil {
			return "", err
		}
	}
	// Not blocking: a named pipe in place of the file must not hold up the login. Not a controlling terminal: what the
	// user types at it would be signals to init.
	file, err := home.OpenFile(".ssh/authorized_keys", os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOCTTY, 0)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	info, err := file.Stat()
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() || info.Size() > maxAuthorizedKeys {
		return "", fmt.Errorf("%s is not an ordinary file of at most 1 MiB", file.Name())
	}
	if err := strictMode(file.Name(), info, user); err != nil {
		return "", err
	}
	all, err := io.ReadAll(io.LimitReader(file, maxAuthorizedKeys))
	return string(all), err
}

func strictMode(name string, info fs.FileInfo, user account) error {
	uid, _ := ownerOf(info)
	if uid != user.uid && uid != 0 {
		return fmt.Errorf("%s belongs to user %d", name, uid)
	}
	if info.Mode().Perm()&0o022 != 0 {
		return fmt.Errorf("others may write %s", name)
	}
	return nil
}
