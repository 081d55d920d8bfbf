package nameserver

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/miekg/dns"
)

const (
	// maxConnections is how many TCP connections are open at once; one more is closed at once.
	maxConnections = 64
	// questionsPerConnection is how many questions a connection may bring.
	questionsPerConnection = 128
	// connectionPatience is how long a connection may take for a question.
	connectionPatience = 2 * time.Second
	// closePatience is how long answers under way may take when the server closes.
	closePatience = 5 * time.Second
)

// Server answers at one address, by UDP and TCP.
type Server struct {
	packets net.PacketConn
	stream  net.Listener
	servers []*dns.Server
	running sync.WaitGroup
}

// Listen takes the address, such as 127.0.0.1:4553. Questions wait until [Server.Serve].
func Listen(address string) (*Server, error) {
	stream, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	packets, err := net.ListenPacket("udp", stream.Addr().String())
	if err != nil {
		return nil, errors.Join(err, stream.Close())
	}
	return &Server{packets: packets, stream: stream}, nil
}

// Address is where it listens.
func (s *Server) Address() netip.AddrPort { return s.stream.Addr().(*net.TCPAddr).AddrPort() }

// Serve begins to answer, and returns. It must be called once at most.
func (s *Server) Serve(zone *Zone) {
	s.servers = []*dns.Server{
		// Without a question nothing wakes it: the timeout of a packet is that of waiting for one.
		{PacketConn: s.packets, Handler: zone, UDPSize: maxMessage, ReadTimeout: 24 * time.Hour},
		{
			Listener: &boundedListener{Listener: s.stream, slots: make(chan struct{}, maxConnections)}, Handler: zone,
			ReadTimeout: connectionPatience, WriteTimeout: connectionPatience, MaxTCPQueries: questionsPerConnection,
			IdleTimeout: func() time.Duration { return connectionPatience },
		},
	}
	for _, server := range s.servers {
		begun := make(chan struct{})
		begin := sync.OnceFunc(func() { close(begun) })
		server.NotifyStartedFunc = begin
		s.running.Go(func() {
			defer begin()
			if err := server.ActivateAndServe(); err != nil {
				slog.Error("the DNS server ended", "address", s.Address().String(), "error", err)
			}
		})
		<-begun
	}
}

// Close ends it, and waits until no goroutine of it is left.
func (s *Server) Close() error {
	ctx, enough := context.WithTimeout(context.Background(), closePatience)
	defer enough()
	var late error
	for _, server := range s.servers {
		if err := server.ShutdownContext(ctx); ctx.Err() != nil {
			late = errors.Join(late, err) // else it had ended, and its error is said
		}
	}
	// Those that serve have closed their sockets.
	_, _ = s.packets.Close(), s.stream.Close()
	if late == nil {
		s.running.Wait()
	}
	return late
}

// boundedListener closes connections that are too many.
type boundedListener struct {
	net.Listener
	slots chan struct{}
}

// Accept is net.Listener's.
func (l *boundedListener) Accept() (net.Conn, error) {
	for {
		connection, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		select {
		case l.slots <- struct{}{}:
			return &boundedConnection{Conn: connection, leave: sync.OnceFunc(func() { <-l.slots })}, nil
		default:
			_ = connection.Close()
		}
	}
}

type boundedConnection struct {
	net.Conn
	leave func()
}

// Close is net.Conn's.
func (c *boundedConnection) Close() error {
	c.leave()
	return c.Conn.Close()
}
