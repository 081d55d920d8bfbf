package session

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strconv"
	"sync"

	"github.com/xtaci/smux"
	"golang.org/x/crypto/ssh"

	"miniaws/backend/relay"
)

// run runs what the session is for, to its end.
func (r *running) run() {
	var err error
	switch r.Kind {
	case Shell, Command:
		err = r.terminal()
	case Port:
		err = r.port()
	case SSH:
		err = r.stream()
	}
	why := ""
	if err != nil && r.ctx.Err() == nil {
		why = err.Error()
	}
	r.end(why)
}

// login logs in as the user. The client closes with the session, if nobody closes it before.
func (r *running) login(user string) (*ssh.Client, error) {
	client, err := r.sessions.machines.Login(r.ctx, r.Instance, user)
	if err == nil {
		context.AfterFunc(r.ctx, func() { _ = client.Close() })
	}
	return client, err
}

// terminal runs a shell or a command in a terminal.
func (r *running) terminal() error {
	client, err := r.login(r.User)
	if err != nil {
		return err
	}
	defer func() { _ = client.Close() }()
	program, err := client.NewSession()
	if err != nil {
		return err
	}
	if err := program.RequestPty("xterm-256color", 24, 80, ssh.TerminalModes{}); err != nil {
		return err
	}
	program.Stdin, program.Stdout, program.Stderr = r.input, r.talk, r.talk
	r.mu.Lock()
	r.resize = func(wanted size) { _ = program.WindowChange(int(wanted.Rows), int(wanted.Columns)) }
	r.mu.Unlock()
	if r.Kind == Shell {
		err = program.Shell()
	} else {
		err = program.Start(r.Line)
	}
	if err != nil {
		return err
	}
	err = program.Wait()
	var exit *ssh.ExitError
	if errors.As(err, &exit) {
		return nil // how a shell ends is its user's business
	}
	return err
}

// stream connects the client with the SSH server of the instance's init.
func (r *running) stream() error {
	connection, err := r.sessions.machines.Open(r.Instance)
	if err != nil {
		return err
	}
	r.splice(connection)
	return nil
}

// splice copies both ways until the other side, or the session, ends.
func (r *running) splice(connection net.Conn) {
	defer func() { _ = connection.Close() }()
	context.AfterFunc(r.ctx, func() { _ = connection.Close() })
	go func() { _, _ = io.Copy(connection, r.input) }() // ends with the connection
	_, _ = io.Copy(r.talk, connection)
}

// port connects to a port, as the instance sees it.
func (r *running) port() error {
	client, err := r.login("root")
	if err != nil {
		return err
	}
	defer func() { _ = client.Close() }()
	host := r.Host
	if host == "" {
		host = "localhost"
	}
	address := net.JoinHostPort(host, strconv.Itoa(r.Port))
	if r.Properties["type"] == "LocalPortForwarding" {
		return r.multiplex(client, address)
	}
	connection, err := client.Dial("tcp", address)
	if err != nil {
		return errors.Join(err, r.talk.send(payloadFlag, binary.BigEndian.AppendUint32(nil, flagConnectError)))
	}
	r.mu.Lock()
	r.hangUp = func() { _ = connection.Close() }
	r.mu.Unlock()
	r.splice(connection)
	return nil
}

// multiplex serves as many connections as the client opens.
func (r *running) multiplex(client *ssh.Client, address string) error {
	config := smux.DefaultConfig()
	config.KeepAliveDisabled = true
	streams, err := smux.Server(channelBytes{r.input, r.talk}, config)
	if err != nil {
		return err
	}
	defer func() { _ = streams.Close() }()
	context.AfterFunc(r.ctx, func() { _ = streams.Close() })
	var all sync.WaitGroup
	defer all.Wait()
	for {
		stream, err := streams.AcceptStream()
		if err != nil {
			return nil // the client has gone
		}
		all.Go(func() {
			defer func() { _ = stream.Close() }()
			connection, err := client.Dial("tcp", address)
			if err != nil {
				_ = r.talk.send(payloadFlag, binary.BigEndian.AppendUint32(nil, flagConnectError))
				return
			}
			relay.Both(connection, stream)
		})
	}
}

// channelBytes is the channel as a stream of bytes.
type channelBytes struct {
	*queue
	out io.Writer
}

func (c channelBytes) Write(p []byte) (int, error) { return c.out.Write(p) }
func (c channelBytes) Close() error                { c.close(); return nil }
