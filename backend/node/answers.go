package node

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/hashicorp/yamux"

	"miniaws/backend"
	"miniaws/backend/node/protocol"
)

// answers serve what the agent asks for.
type answers struct {
	mu      sync.Mutex
	current backend.Answers

	metadata, api *streams
}

func (a *answers) init() {
	a.metadata = a.serveHTTP(func(c backend.Answers) http.Handler { return c.Metadata })
	a.api = a.serveHTTP(func(c backend.Answers) http.Handler { return c.API })
}

func (a *answers) get() backend.Answers {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.current
}

// Answer says who answers from now on.
func (n *Network) Answer(current backend.Answers) {
	n.answers.mu.Lock()
	defer n.answers.mu.Unlock()
	n.answers.current = current
}

// serveHTTP serves HTTP on streams, with the handler that is the right one when a request begins.
func (a *answers) serveHTTP(handler func(backend.Answers) http.Handler) *streams {
	listener := &streams{arrived: make(chan net.Conn), closed: make(chan struct{})}
	server := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if current := handler(a.get()); current != nil {
				current.ServeHTTP(w, r)
				return
			}
			http.Error(w, "nobody answers yet", http.StatusServiceUnavailable)
		}),
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       60 * time.Second,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(slog.Default().Handler(), slog.LevelWarn),
		ConnContext: func(ctx context.Context, connection net.Conn) context.Context {
			if stream, ok := connection.(*stream); ok {
				return backend.WithOrigin(ctx, stream.origin)
			}
			return ctx
		},
	}
	go func() { _ = server.Serve(listener) }() // ends with the listener
	return listener
}

// streams is a listener whose connections come from the agent.
type streams struct {
	arrived chan net.Conn
	closed  chan struct{}
	once    sync.Once
}

// Accept implements net.Listener.
func (s *streams) Accept() (net.Conn, error) {
	select {
	case connection := <-s.arrived:
		return connection, nil
	case <-s.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (s *streams) Close() error {
	s.once.Do(func() { close(s.closed) })
	return nil
}

// Addr implements net.Listener.
func (s *streams) Addr() net.Addr { return &net.UnixAddr{Name: "node", Net: "unix"} }

// stream is one connection from inside a VPC.
type stream struct {
	net.Conn
	reader *bufio.Reader
	origin backend.Origin
}

func (s *stream) Read(p []byte) (int, error) { return s.reader.Read(p) }

// RemoteAddr answers the address that the other side of the API would see: the public one where there is one.
func (s *stream) RemoteAddr() net.Addr {
	address := s.origin.Source
	if s.origin.Public.IsValid() {
		address = s.origin.Public
	}
	return net.TCPAddrFromAddrPort(netip.AddrPortFrom(address, 0))
}

// serve takes streams from the session until it or the context ends.
func (a *answers) serve(ctx context.Context, connection net.Conn) {
	config := yamux.DefaultConfig()
	config.LogOutput = io.Discard
	session, err := yamux.Server(connection, config)
	if err != nil {
		slog.Error("the session with the node agent", "error", errors.Join(err, connection.Close()))
		return
	}
	defer func() { _ = session.Close() }()
	defer context.AfterFunc(ctx, func() { _ = session.Close() })()
	for {
		opened, err := session.AcceptStream()
		if err != nil {
			return
		}
		go a.take(ctx, opened)
	}
}

// headerPatience is how long a stream may take to say what it is.
const headerPatience = 10 * time.Second

func (a *answers) take(ctx context.Context, opened net.Conn) {
	reader := bufio.NewReader(opened)
	header, err := readHeader(opened, reader)
	if err != nil {
		slog.Warn("a stream of the node agent", "error", errors.Join(err, opened.Close()))
		return
	}
	connection := &stream{Conn: opened, reader: reader, origin: header.Origin}
	var listener *streams
	switch header.Kind {
	case protocol.StreamMetadata:
		listener = a.metadata
	case protocol.StreamAPI:
		listener = a.api
	case protocol.StreamResolve:
		a.resolve(ctx, opened, header)
		return
	default:
		_ = opened.Close()
		return
	}
	select {
	case listener.arrived <- connection:
	case <-listener.closed:
		_ = opened.Close()
	case <-ctx.Done():
		_ = opened.Close()
	}
}

func readHeader(connection net.Conn, reader *bufio.Reader) (protocol.Stream, error) {
	var header protocol.Stream
	if err := connection.SetReadDeadline(time.Now().Add(headerPatience)); err != nil {
		return header, err
	}
	line, err := reader.ReadBytes('\n')
	if err != nil {
		return header, err
	}
	if err := json.Unmarshal(line, &header); err != nil {
		return header, err
	}
	return header, connection.SetReadDeadline(time.Time{})
}

func (a *answers) resolve(ctx context.Context, connection net.Conn, question protocol.Stream) {
	var answer protocol.Resolved
	if resolve := a.get().Resolve; resolve != nil {
		records, exists, err := resolve(ctx, question.VPC, question.Name, question.Type)
		answer = protocol.Resolved{Records: records, Exists: exists, Failed: err != nil}
		if err != nil {
			slog.Warn("a name that an instance asked for", "name", question.Name, "error", err)
		}
	}
	_ = json.NewEncoder(connection).Encode(answer)
	_ = connection.Close()
}

func failureIn(answer *http.Response) error {
	var failure protocol.Failure
	if err := json.NewDecoder(answer.Body).Decode(&failure); err != nil {
		return errors.New(answer.Status)
	}
	return failure.Err()
}
