package session

import (
	"encoding/json"
	"errors"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

const (
	// window is how many messages may be under way; what is sent beyond it waits for an acknowledgement.
	window = 128
	// chunk is how much one message carries, in bytes.
	chunk = 4 << 10
	// again is how long an acknowledgement is waited for before the message is sent once more.
	again = 500 * time.Millisecond
	// maxHeld bounds messages that came before their turn.
	maxHeld = 1000
	// writePatience bounds one write to the WebSocket.
	writePatience = 10 * time.Second
)

// conversation is one side of a data channel: messages are numbered, arrive in order, and outlive the WebSocket.
type conversation struct {
	// out and in are the types of stream messages that go out and come in.
	out, in string
	// deliver takes a payload in its turn; false leaves it unacknowledged, and the other side sends it again.
	deliver func(payloadType uint32, payload []byte) bool
	// closedByPeer is called when the other side closes the channel; nil where it does not.
	closedByPeer func(output string)

	mu       sync.Mutex
	changed  *sync.Cond // with mu
	socket   *websocket.Conn
	closed   bool
	next     int64 // the number of the next message that goes out
	underWay []sent
	expected int64
	held     map[int64]message
	active   time.Time

	writing sync.Mutex
}

type sent struct {
	message
	at time.Time
}

func newConversation(out, in string) *conversation {
	c := &conversation{out: out, in: in, held: map[int64]message{}, active: time.Now()}
	c.changed = sync.NewCond(&c.mu)
	return c
}

// errClosed tells that the channel has ended.
var errClosed = errors.New("the data channel is closed")

// send sends one payload, and waits while too many are under way.
func (c *conversation) send(payloadType uint32, payload []byte) error {
	c.mu.Lock()
	for len(c.underWay) >= window && !c.closed {
		c.changed.Wait()
	}
	if c.closed {
		c.mu.Unlock()
		return errClosed
	}
	m := newMessage(c.out, c.next, payloadType, append([]byte(nil), payload...))
	if m.sequence == 0 {
		m.flags = 1 // AWS: the first of the stream
	}
	c.next++
	c.underWay = append(c.underWay, sent{m, time.Now()})
	c.active = time.Now()
	socket := c.socket
	c.mu.Unlock()
	c.write(socket, m)
	return nil
}

// write sends on a WebSocket; what does not arrive is sent again.
func (c *conversation) write(socket *websocket.Conn, m message) {
	if socket == nil {
		return
	}
	c.writing.Lock()
	defer c.writing.Unlock()
	if socket.SetWriteDeadline(time.Now().Add(writePatience)) != nil || socket.WriteMessage(websocket.BinaryMessage, m.encode(time.Now())) != nil {
		_ = socket.Close() // its reader notices
	}
}

// Write sends data in pieces.
func (c *conversation) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		n := min(chunk, len(rest))
		if err := c.send(payloadData, rest[:n]); err != nil {
			return len(p) - len(rest), err
		}
		rest = rest[n:]
	}
	return len(p), nil
}

// talk uses the WebSocket, in the place of an earlier one, until it breaks or the channel is closed.
func (c *conversation) talk(socket *websocket.Conn) {
	socket.SetReadLimit(headerSize + maxPayload)
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return
	}
	if c.socket != nil {
		_ = c.socket.Close()
	}
	c.socket = socket
	lost := append([]sent(nil), c.underWay...)
	c.mu.Unlock()
	for _, s := range lost {
		c.write(socket, s.message)
	}
	stop := make(chan struct{})
	defer close(stop)
	go c.repeat(socket, stop)
	for {
		kind, content, err := socket.ReadMessage()
		if err != nil {
			break
		}
		if kind != websocket.BinaryMessage {
			continue
		}
		if m, err := decode(content); err == nil {
			c.take(socket, m)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.socket == socket {
		c.socket = nil
	}
}

// repeat sends again what is not acknowledged.
func (c *conversation) repeat(socket *websocket.Conn, stop <-chan struct{}) {
	ticker := time.NewTicker(again / 4)
	defer ticker.Stop()
	for {
		select {
		case <-stop:
			return
		case <-ticker.C:
		}
		c.mu.Lock()
		var late []message
		for i := range c.underWay {
			if now := time.Now(); now.Sub(c.underWay[i].at) > again {
				c.underWay[i].at = now
				late = append(late, c.underWay[i].message)
			}
		}
		c.mu.Unlock()
		for _, m := range late {
			c.write(socket, m)
		}
	}
}

// take handles one message. Only the reader calls it.
func (c *conversation) take(socket *websocket.Conn, m message) {
	switch m.kind {
	case typeAcknowledge:
		var a acknowledged
		if json.Unmarshal(m.payload, &a) == nil {
			c.forget(a.Sequence)
		}
	case typeClosed:
		var end closed
		_ = json.Unmarshal(m.payload, &end)
		if c.closedByPeer != nil {
			c.closedByPeer(end.Output)
		}
	case c.in:
		c.mu.Lock()
		expected := c.expected
		early := m.sequence > expected
		if early && len(c.held) < maxHeld {
			c.held[m.sequence] = m
			early = false
		}
		c.mu.Unlock()
		switch {
		case m.sequence < expected:
			c.acknowledge(socket, m) // the acknowledgement was lost
		case m.sequence > expected:
			if !early {
				c.acknowledge(socket, m)
			}
		case c.deliver(m.payloadType, m.payload):
			c.acknowledge(socket, m)
			c.catchUp()
		}
	}
}

// catchUp delivers what came before its turn; it was acknowledged then.
func (c *conversation) catchUp() {
	for {
		c.mu.Lock()
		c.expected++
		c.active = time.Now()
		m, ok := c.held[c.expected]
		delete(c.held, c.expected)
		c.mu.Unlock()
		if !ok {
			return
		}
		for !c.deliver(m.payloadType, m.payload) {
			if c.isClosed() {
				return
			}
			time.Sleep(10 * time.Millisecond) // it was acknowledged: nobody sends it again
		}
	}
}

func (c *conversation) acknowledge(socket *websocket.Conn, m message) {
	payload, err := json.Marshal(acknowledged{m.kind, m.name(), m.sequence, true})
	if err != nil {
		return // not of strings and numbers
	}
	a := newMessage(typeAcknowledge, 0, 0, payload)
	a.flags = 3
	c.write(socket, a)
}

func (c *conversation) forget(sequence int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, s := range c.underWay {
		if s.sequence == sequence {
			c.underWay = append(c.underWay[:i], c.underWay[i+1:]...)
			c.changed.Broadcast()
			return
		}
	}
}

// flush waits until everything is acknowledged, at most for the patience.
func (c *conversation) flush(patience time.Duration) {
	deadline := time.Now().Add(patience)
	timer := time.AfterFunc(patience, func() {
		c.mu.Lock() // nobody is between his look at the clock and his sleep
		defer c.mu.Unlock()
		c.changed.Broadcast()
	})
	defer timer.Stop()
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.underWay) > 0 && !c.closed && time.Now().Before(deadline) {
		c.changed.Wait()
	}
}

func (c *conversation) isClosed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed
}

func (c *conversation) lastActive() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.active
}

// close ends the conversation; last is sent before, if it is not nil.
func (c *conversation) close(last *message) {
	c.mu.Lock()
	socket := c.socket
	already := c.closed
	c.closed = true
	c.changed.Broadcast()
	c.mu.Unlock()
	if already || socket == nil {
		return
	}
	if last != nil {
		c.write(socket, *last)
		c.writing.Lock()
		_ = socket.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseNormalClosure, ""), time.Now().Add(time.Second))
		c.writing.Unlock()
	}
	_ = socket.Close()
}
