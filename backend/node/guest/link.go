//go:build linux

package guest

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/hashicorp/yamux"
	"golang.org/x/crypto/ssh"
)

// The link is a connection that init keeps to the gateway, by way of the metadata service's address: there the node agent
// says which interface it comes from. On it the gateway opens streams, and each is an SSH connection: sessions, commands
// and port forwardings that the API has authorized. Nothing listens inside for it, and no port needs to be open.
const linkAddress = "169.254.169.254:80"

// The waits between the attempts to reach the gateway.
const (
	firstLinkWait = 100 * time.Millisecond
	longLinkWait  = 5 * time.Second
	linkPatience  = 5 * time.Second
	// linkKeepAlive is how often init asks whether the gateway is there, which asks more often by itself.
	linkKeepAlive = 2 * time.Minute
)

// keepLink offers the gateway connections, until stop is closed.
func (i *instance) keepLink(hostKeys []ssh.Signer, stop <-chan struct{}) {
	wait := firstLinkWait
	for {
		started := time.Now()
		if session, err := dialLink(linkAddress, i.config.LinkToken, i.rest); err == nil {
			server := &sshServer{root: i.root, processes: i.processes, hostKeys: hostKeys, linked: true, rest: i.rest, logf: i.console.logf}
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				_ = server.serve(session)
				server.close()
			}()
			select {
			case <-ended:
			case <-stop:
				server.close()
				return
			}
		}
		if time.Since(started) > longLinkWait {
			wait = firstLinkWait
		}
		select {
		case <-stop:
			return
		case <-time.After(wait):
		}
		wait = min(2*wait, longLinkWait)
	}
}

// dialLink answers a session on which the gateway opens streams. The few lines of HTTP are written by hand: the standard
// library's client would cost every instance more memory than the rest of init.
func dialLink(address, token string, rest *rest) (net.Listener, error) {
	connection, err := net.DialTimeout("tcp", address, linkPatience)
	if err != nil {
		return nil, err
	}
	fail := func(err error) (net.Listener, error) { return nil, errors.Join(err, connection.Close()) }
	if err := connection.SetDeadline(time.Now().Add(linkPatience)); err != nil {
		return fail(err)
	}
	_, err = fmt.Fprintf(connection, "GET %s HTTP/1.1\r\nHost: 169.254.169.254\r\nConnection: Upgrade\r\nUpgrade: %s\r\nAuthorization: Bearer %s\r\n\r\n", LinkPath, LinkProtocol, token)
	if err != nil {
		return fail(err)
	}
	reader := bufio.NewReader(connection)
	for first := true; ; first = false {
		line, err := reader.ReadString('\n')
		switch line = strings.TrimSpace(line); {
		case err != nil:
			return fail(err)
		case first && !strings.HasPrefix(line, "HTTP/1.1 101 "):
			return fail(fmt.Errorf("the gateway answers %q", line))
		}
		if line == "" {
			break
		}
	}
	if err := connection.SetDeadline(time.Time{}); err != nil {
		return fail(err)
	}
	config := yamux.DefaultConfig()
	config.LogOutput = io.Discard
	config.KeepAliveInterval = linkKeepAlive
	session, err := yamux.Server(linkConnection{connection, reader, rest}, config)
	if err != nil {
		return fail(err)
	}
	return linkListener{session}, nil
}

// linkConnection reads first what came with the answer.
type linkConnection struct {
	net.Conn
	reader *bufio.Reader
	rest   *rest
}

func (c linkConnection) Read(p []byte) (int, error) {
	n, err := c.reader.Read(p)
	c.rest.afterLittle() // what keeps the link alive is all that happens for hours
	return n, err
}

// linkListener ends as a listener does when the link breaks.
type linkListener struct{ *yamux.Session }

func (l linkListener) Accept() (net.Conn, error) {
	stream, err := l.Session.Accept()
	if err != nil {
		return nil, net.ErrClosed
	}
	return stream, nil
}

// linkedLogin lets in whom the gateway names: that they may come has been decided there, and only this instance's init
// has the token with which the link was made.
func (s *sshServer) linkedLogin(meta ssh.ConnMetadata) (*ssh.Permissions, error) {
	if meta.User() == LinkUser {
		s.accounts.Lock()
		defer s.accounts.Unlock()
		if err := s.root.ensureUser(User{Name: LinkUser, Sudo: true}); err != nil {
			return nil, err
		}
	}
	accounts, err := s.root.readAccounts()
	if err != nil {
		return nil, err
	}
	user, ok := accounts.find(meta.User())
	if !ok {
		return nil, errRefused
	}
	return &ssh.Permissions{ExtraData: map[any]any{loginKey{}: login{account: user}}}, nil
}
