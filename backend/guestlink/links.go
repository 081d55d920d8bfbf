package guestlink

import (
	"bufio"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/yamux"
	"golang.org/x/crypto/ssh"

	"miniaws/backend"
	"miniaws/backend/node/guest"
)

// Links are the links of all instances. The zero value is not usable; see [New]. It is safe for concurrent use.
type Links struct {
	key []byte

	mu  sync.Mutex
	all map[string]*link

	// linked is told of every new link.
	linked func(instance string)
}

// OnLink has fn called with the instance of every new link. It is set once, before there are any.
func (l *Links) OnLink(fn func(instance string)) { l.linked = fn }

// link is an instance's; session is nil once it broke. since is when it was made, or broke.
type link struct {
	session *yamux.Session
	since   time.Time
}

// brokenLinks is how long a link that broke is remembered.
const brokenLinks = 24 * time.Hour

// New answers links whose tokens are made with the key: 32 secret bytes.
func New(key []byte) *Links { return &Links{key: key, all: map[string]*link{}} }

// Token is what the init of an instance shows. It is worth nothing in another one.
func (l *Links) Token(instance string) string {
	sum := hmac.New(sha256.New, l.key)
	_, _ = io.WriteString(sum, instance) // never fails
	return hex.EncodeToString(sum.Sum(nil))
}

// Take upgrades the request of an instance's init to its link, in the place of an earlier one. The caller knows which
// instance asks; only its init has the token, so that no other program inside can take its sessions.
func (l *Links) Take(w http.ResponseWriter, r *http.Request, instance string) {
	shown := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !hmac.Equal([]byte(shown), []byte(l.Token(instance))) {
		http.Error(w, "not the token of this instance's init", http.StatusForbidden)
		return
	}
	hijacker, ok := w.(http.Hijacker)
	if !ok || r.Header.Get("Upgrade") != guest.LinkProtocol {
		http.Error(w, "upgrade to "+guest.LinkProtocol, http.StatusUpgradeRequired)
		return
	}
	connection, buffered, err := hijacker.Hijack()
	if err != nil {
		slog.Warn("a link of an instance", "instance", instance, "error", err)
		return
	}
	_, err = fmt.Fprintf(buffered, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: %s\r\n\r\n", guest.LinkProtocol)
	config := yamux.DefaultConfig()
	config.LogOutput = io.Discard
	config.StreamOpenTimeout = openPatience
	var session *yamux.Session
	if err = errors.Join(err, buffered.Flush(), connection.SetDeadline(time.Time{})); err == nil {
		session, err = yamux.Client(bufferedConnection{connection, buffered.Reader}, config)
	}
	if err != nil {
		slog.Warn("a link of an instance", "instance", instance, "error", errors.Join(err, connection.Close()))
		return
	}
	l.mu.Lock()
	old := l.all[instance]
	l.all[instance] = &link{session, time.Now()}
	l.mu.Unlock()
	if old != nil && old.session != nil {
		_ = old.session.Close()
	}
	go l.await(instance, session)
	if l.linked != nil {
		l.linked(instance)
	}
}

// await notes that the link broke, once it did: by its other end, or by silence.
func (l *Links) await(instance string, session *yamux.Session) {
	<-session.CloseChan()
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if have := l.all[instance]; have != nil && have.session == session {
		l.all[instance] = &link{nil, now}
	}
	maps.DeleteFunc(l.all, func(_ string, one *link) bool { return one.session == nil && now.Sub(one.since) > brokenLinks })
}

// bufferedConnection reads first what came with the request.
type bufferedConnection struct {
	net.Conn
	reader *bufio.Reader
}

func (c bufferedConnection) Read(p []byte) (int, error) { return c.reader.Read(p) }

// openPatience bounds opening a stream and its handshake.
const openPatience = 10 * time.Second

// Linked answers since when the instance's link stands; ok is false where there is none.
func (l *Links) Linked(instance string) (since time.Time, ok bool) {
	ok, since = l.Reachable(instance)
	if !ok {
		return time.Time{}, false
	}
	return since, true
}

// Reachable answers whether the instance's init answers on its link, and since when that is so: zero where it had none.
func (l *Links) Reachable(instance string) (answers bool, since time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	found := l.all[instance]
	if found == nil {
		return false, time.Time{}
	}
	if found.session != nil && found.session.IsClosed() {
		found = &link{nil, time.Now()}
		l.all[instance] = found
	}
	return found.session != nil, found.since
}

// Open opens a bare stream to the SSH server of the instance's init, which lets in any user that is named.
// Kinds: KindUnavailable (there is no link, or it broke).
func (l *Links) Open(instance string) (net.Conn, error) {
	l.mu.Lock()
	found := l.all[instance]
	l.mu.Unlock()
	fail := func(err error) (net.Conn, error) {
		return nil, &backend.Error{Kind: backend.KindUnavailable, Op: "session", Object: instance, Err: err}
	}
	if found == nil || found.session == nil {
		return fail(errors.New("the instance is not connected"))
	}
	stream, err := found.session.OpenStream()
	if err != nil {
		return fail(err)
	}
	return stream, nil
}

// Login logs in as the user. The caller closes the client. Kinds: KindUnavailable (there is no link, it broke, or the
// instance has no such user).
func (l *Links) Login(ctx context.Context, instance, user string) (*ssh.Client, error) {
	stream, err := l.Open(instance)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = stream.Close() })
	defer stop()
	// Who is at the other end was proven when the link was made: its host key says nothing more.
	config := &ssh.ClientConfig{User: user, HostKeyCallback: ssh.InsecureIgnoreHostKey(), Timeout: openPatience} //nolint:gosec // see above
	err = stream.SetDeadline(time.Now().Add(openPatience))
	var connection ssh.Conn
	var channels <-chan ssh.NewChannel
	var requests <-chan *ssh.Request
	if err == nil {
		connection, channels, requests, err = ssh.NewClientConn(stream, instance, config)
	}
	if err != nil {
		return nil, &backend.Error{Kind: backend.KindUnavailable, Op: "session", Object: instance, Err: errors.Join(err, stream.Close())}
	}
	if err := stream.SetDeadline(time.Time{}); err != nil {
		return nil, errors.Join(err, connection.Close())
	}
	return ssh.NewClient(connection, channels, requests), nil
}
