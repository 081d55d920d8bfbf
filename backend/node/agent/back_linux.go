package agent

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/hashicorp/yamux"

	"miniaws/backend/node/protocol"
)

// back is the way from the agent to the gateway: the session that the gateway offered last.
type back struct {
	mu      sync.Mutex
	session *yamux.Session
}

// errNoGateway tells that nobody offered a session, or that it ended.
var errNoGateway = errors.New("no gateway is connected")

// sessionConfig is both sides' of the session.
func sessionConfig() *yamux.Config {
	config := yamux.DefaultConfig()
	config.LogOutput = io.Discard // what fails is reported by whoever uses the session
	config.StreamOpenTimeout = 10 * time.Second
	return config
}

// accept takes the gateway's offer in the place of an earlier one.
func (b *back) accept(w http.ResponseWriter, _ *http.Request) {
	connection, err := hijack(w)
	if err != nil {
		slog.Warn("the gateway's offer", "error", err)
		return
	}
	session, err := yamux.Client(connection, sessionConfig())
	if err != nil {
		slog.Warn("the gateway's offer", "error", errors.Join(err, connection.Close()))
		return
	}
	b.mu.Lock()
	old := b.session
	b.session = session
	b.mu.Unlock()
	if old != nil {
		_ = old.Close()
	}
}

// open begins a stream.
func (b *back) open(header protocol.Stream) (net.Conn, error) {
	b.mu.Lock()
	session := b.session
	b.mu.Unlock()
	if session == nil || session.IsClosed() {
		return nil, errNoGateway
	}
	stream, err := session.OpenStream()
	if err != nil {
		return nil, errors.Join(errNoGateway, err)
	}
	if err := json.NewEncoder(stream).Encode(header); err != nil {
		return nil, errors.Join(errNoGateway, err, stream.Close())
	}
	return stream, nil
}

// resolvePatience is how long a DNS question waits for the gateway.
const resolvePatience = 3 * time.Second

// resolve asks the gateway for a name.
func (b *back) resolve(vpc, name, kind string) (protocol.Resolved, error) {
	stream, err := b.open(protocol.Stream{Kind: protocol.StreamResolve, VPC: vpc, Name: name, Type: kind})
	if err != nil {
		return protocol.Resolved{}, err
	}
	defer func() { _ = stream.Close() }()
	var resolved protocol.Resolved
	err = stream.SetDeadline(time.Now().Add(resolvePatience))
	if err == nil {
		err = json.NewDecoder(bufio.NewReader(stream)).Decode(&resolved)
	}
	return resolved, err
}
