package main

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// writePatience is how long a client may take none of an answer's bytes.
const writePatience = time.Minute

// patientListener makes connections that end when the other side stops reading.
type patientListener struct{ net.Listener }

// Accept is net.Listener's.
func (l patientListener) Accept() (net.Conn, error) {
	connection, err := l.Listener.Accept()
	if tcp, ok := connection.(*net.TCPConn); ok {
		return &patientConnection{TCPConn: tcp}, err
	}
	return connection, err
}

// patientConnection gives every write its own deadline, however long the whole answer is.
type patientConnection struct {
	*net.TCPConn
	mu sync.Mutex // a server that ends closes connections that are being served
	// sending is held while what was gathered is sent.
	sending sync.Mutex
	// gathered is where writes wait for the end of an answer; nil while they are sent at once.
	gathered *[]byte
}

// maxPatientWrite is written with one deadline at most.
const maxPatientWrite = 4 << 20

// maxGathered is how much waits for the end of an answer at most.
const maxGathered = 32 << 10

// gatherings are the places where answers wait.
var gatherings = sync.Pool{New: func() any { return new([]byte) }}

// gather has the answer that is about to be written leave as one, if it is small: net/http's buffer is smaller than an
// object of four kilobytes with its header, which would wake up both sides twice.
func (c *patientConnection) gather() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.gathered == nil {
		c.gathered = gatherings.Get().(*[]byte)
	}
}

// keep gathers b, if that is what the connection does and there is room.
func (c *patientConnection) keep(b []byte) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.gathered == nil || len(*c.gathered)+len(b) > maxGathered {
		return false
	}
	*c.gathered = append(*c.gathered, b...)
	return true
}

// flush sends what was gathered. Later writes are sent at once.
func (c *patientConnection) flush() (err error) {
	c.sending.Lock()
	defer c.sending.Unlock()
	c.mu.Lock()
	waiting := c.gathered
	c.gathered = nil
	c.mu.Unlock()
	if waiting == nil {
		return nil
	}
	if len(*waiting) > 0 {
		_, err = c.send(*waiting)
	}
	*waiting = (*waiting)[:0]
	gatherings.Put(waiting)
	return err
}

// quiet tells whether nothing of an answer waits or is on its way.
func (c *patientConnection) quiet() bool {
	if !c.sending.TryLock() {
		return false
	}
	defer c.sending.Unlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.gathered == nil
}

// closePatience is how long a connection that is closed waits for its last small answer. It is short: net/http closes the
// connections of a server that ends one after the other.
const closePatience = time.Second

// Close is net.Conn's. Whoever closes may not be who serves: net/http calls a connection idle before its ConnState is told.
func (c *patientConnection) Close() error {
	if c.quiet() {
		return c.TCPConn.Close()
	}
	flushed := make(chan error, 1)
	go func() { flushed <- c.flush() }()
	var err error
	select {
	case err = <-flushed:
	case <-time.After(closePatience):
	}
	return errors.Join(err, c.TCPConn.Close())
}

// CloseWrite says that the last answer is complete.
func (c *patientConnection) CloseWrite() error { return errors.Join(c.flush(), c.TCPConn.CloseWrite()) }

// Write is net.Conn's.
func (c *patientConnection) Write(b []byte) (written int, err error) {
	if c.keep(b) {
		return len(b), nil
	}
	if err := c.flush(); err != nil {
		return 0, err
	}
	return c.send(b)
}

// send writes in parts, each with its own time.
func (c *patientConnection) send(b []byte) (written int, err error) {
	for {
		part := b[written:min(len(b), written+maxPatientWrite)]
		if err := c.SetWriteDeadline(time.Now().Add(writePatience)); err != nil {
			return written, err
		}
		n, err := c.TCPConn.Write(part)
		if written += n; err != nil || written == len(b) {
			return written, err
		}
	}
}

// ReadFrom is io.ReaderFrom's: the kernel copies a file to the socket by itself.
func (c *patientConnection) ReadFrom(from io.Reader) (written int64, err error) {
	if err := c.flush(); err != nil {
		return 0, err
	}
	limited, bounded := from.(*io.LimitedReader)
	if !bounded {
		limited = &io.LimitedReader{R: from, N: 1<<63 - 1}
	}
	for limited.N > 0 {
		if err := c.SetWriteDeadline(time.Now().Add(writePatience)); err != nil {
			return written, err
		}
		part := &io.LimitedReader{R: limited.R, N: min(limited.N, maxPatientWrite)}
		wanted := part.N
		n, err := c.TCPConn.ReadFrom(part)
		written, limited.N = written+n, limited.N-n
		if err != nil || n < wanted {
			return written, err
		}
	}
	return written, nil
}

// connectionKey is where a request's context has its connection.
type connectionKey struct{}

// withConnection is http.Server's ConnContext.
func withConnection(ctx context.Context, connection net.Conn) context.Context {
	if patient, ok := connection.(*patientConnection); ok {
		return context.WithValue(ctx, connectionKey{}, patient)
	}
	return ctx
}

// connectionState is http.Server's ConnState: an answer is complete where its connection waits for the next request.
func connectionState(connection net.Conn, state http.ConnState) {
	if patient, ok := connection.(*patientConnection); ok && state == http.StateIdle {
		_ = patient.flush() // a client that is gone is seen by who reads from it next
	}
}

// answersAtOnce has the answer to a request leave as one, if that is possible.
func answersAtOnce(ctx context.Context) {
	if patient, ok := ctx.Value(connectionKey{}).(*patientConnection); ok {
		patient.gather()
	}
}
