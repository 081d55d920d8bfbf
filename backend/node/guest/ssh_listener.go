package guest

import (
	"errors"
	"net"
	"sync"
)

// listenSSH listens on port 22 of IPv4 and of IPv6, which a container has off until an interface with such an address comes:
// what is asked for both by one name is IPv4's alone then.
func listenSSH() (net.Listener, error) {
	first, err := net.Listen("tcp4", ":22")
	if err != nil {
		return nil, err
	}
	second, err := net.Listen("tcp6", "[::]:22")
	if err != nil {
		return first, nil // a kernel without IPv6
	}
	return join(first, second), nil
}

// joined accepts from two listeners.
type joined struct {
	net.Listener
	accepted chan accepted
	closed   chan struct{}
	close    func() error
}

type accepted struct {
	connection net.Conn
	err        error
}

func join(first, second net.Listener) *joined {
	j := &joined{Listener: first, accepted: make(chan accepted), closed: make(chan struct{})}
	j.close = sync.OnceValue(func() error {
		close(j.closed)
		return errors.Join(first.Close(), second.Close())
	})
	for _, listener := range []net.Listener{first, second} {
		go j.take(listener)
	}
	return j
}

func (j *joined) take(listener net.Listener) {
	for {
		connection, err := listener.Accept()
		select {
		case j.accepted <- accepted{connection, err}:
		case <-j.closed:
			if connection != nil {
				_ = connection.Close()
			}
			return
		}
		if errors.Is(err, net.ErrClosed) {
			return
		}
	}
}

// Accept implements [net.Listener].
func (j *joined) Accept() (net.Conn, error) {
	select {
	case next := <-j.accepted:
		return next.connection, next.err
	case <-j.closed:
		return nil, net.ErrClosed
	}
}

// Close implements [net.Listener].
func (j *joined) Close() error { return j.close() }
