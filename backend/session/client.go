package session

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

// Client is the other side of a data channel: a connection to what the session is for.
type Client struct {
	talk   *conversation
	output *queue
	ready  chan struct{} // closed when the handshake is complete
	opened sync.Once
	resume Resume

	mu    sync.Mutex
	kind  string
	words string
}

// Resume answers address and token with which a channel that broke goes on; an error, or no token, ends it.
type Resume func(context.Context) (url, token string, err error)

// Dial opens the data channel of a session with the token that StartSession answered, and answers once the program runs
// or is about to. A channel that breaks ends, unless resume helps; it may be nil.
func Dial(ctx context.Context, url, token string, resume Resume) (*Client, error) {
	c := &Client{talk: newConversation(typeInput, typeOutput), output: newQueue(), ready: make(chan struct{}), resume: resume}
	c.talk.deliver, c.talk.closedByPeer = c.deliver, c.closedByPeer
	if err := c.connect(ctx, url, token); err != nil {
		return nil, err
	}
	select {
	case <-c.ready:
		return c, nil
	case <-ctx.Done():
		return nil, errors.Join(ctx.Err(), c.Close())
	}
}

func (c *Client) connect(ctx context.Context, url, token string) error {
	dialer := websocket.Dialer{HandshakeTimeout: openingPatience}
	socket, answer, err := dialer.DialContext(ctx, url, nil)
	if answer != nil && answer.Body != nil {
		_ = answer.Body.Close()
	}
	if err != nil {
		return err
	}
	err = socket.WriteJSON(opening{MessageSchemaVersion: "1.0", RequestId: newMessage("", 0, 0, nil).name(), TokenValue: token, ClientId: newMessage("", 0, 0, nil).name(), ClientVersion: "1.2.0.0"})
	if err != nil {
		return errors.Join(err, socket.Close())
	}
	go func() {
		c.talk.talk(socket)
		if c.talk.isClosed() || !c.goOn() {
			c.talk.close(nil)
			c.output.close()
			c.opened.Do(func() { close(c.ready) })
		}
	}()
	return nil
}

// resumePatience is how long a broken channel is tried again.
const resumePatience = 30 * time.Second

// goOn tries to bring a broken channel back; false where it is over.
func (c *Client) goOn() bool {
	if c.resume == nil {
		return false
	}
	ctx, cancel := context.WithTimeout(context.Background(), resumePatience)
	defer cancel()
	for wait := 50 * time.Millisecond; ; wait = min(2*wait, 2*time.Second) {
		url, token, err := c.resume(ctx)
		if err == nil && token == "" {
			return false
		}
		if err == nil && c.connect(ctx, url, token) == nil {
			return true
		}
		select {
		case <-ctx.Done():
			return false
		case <-time.After(wait):
		}
	}
}

func (c *Client) deliver(payloadType uint32, payload []byte) bool {
	switch payloadType {
	case payloadHandshakeRequest:
		var asked struct {
			RequestedClientActions []struct {
				ActionType       string
				ActionParameters sessionType
			}
		}
		if json.Unmarshal(payload, &asked) != nil {
			return true
		}
		answer := handshakeResponse{ClientVersion: "1.2.0.0", Errors: []string{}}
		for _, action := range asked.RequestedClientActions {
			c.mu.Lock()
			c.kind = action.ActionParameters.SessionType
			c.mu.Unlock()
			answer.ProcessedClientActions = append(answer.ProcessedClientActions, processedAction{ActionType: action.ActionType, ActionStatus: 1})
		}
		content, err := json.Marshal(answer)
		if err == nil {
			_ = c.talk.send(payloadHandshakeResponse, content)
		}
	case payloadHandshakeComplete:
		c.opened.Do(func() { close(c.ready) })
	case payloadData, payloadErrors:
		return c.output.put(payload)
	}
	return true
}

func (c *Client) closedByPeer(words string) {
	c.mu.Lock()
	c.words = words
	c.mu.Unlock()
	c.opened.Do(func() { close(c.ready) })
	c.output.close()
	c.talk.close(nil)
}

// Kind is the session type that the other side named.
func (c *Client) Kind() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.kind
}

// Words are what the other side said when it closed the channel; empty for an ordinary end.
func (c *Client) Words() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.words
}

// Read answers what the program prints, to its end.
func (c *Client) Read(p []byte) (int, error) { return c.output.Read(p) }

// Write sends input.
func (c *Client) Write(p []byte) (int, error) { return c.talk.Write(p) }

// Resize tells the terminal's size, in characters.
func (c *Client) Resize(columns, rows int) error {
	content, err := json.Marshal(size{uint32(columns), uint32(rows)})
	if err == nil {
		err = c.talk.send(payloadSize, content)
	}
	return err
}

// Terminate asks for the session's end.
func (c *Client) Terminate() error {
	return c.talk.send(payloadFlag, binary.BigEndian.AppendUint32(nil, flagTerminate))
}

// closePatience is how long Close waits for the other side to say that it knows: a session whose client only went away
// waits there for its return.
const closePatience = 10 * time.Second

// Close ends the session, and lets go of the channel.
func (c *Client) Close() error {
	_ = c.Terminate() // the other side may have ended it
	c.talk.flush(closePatience)
	c.talk.close(nil)
	c.output.close()
	return nil
}

// The rest of net.Conn, for what is built on one. There are no deadlines.

// LocalAddr is net.Conn's.
func (c *Client) LocalAddr() net.Addr { return &net.UnixAddr{Name: "session", Net: "unix"} }

// RemoteAddr is net.Conn's.
func (c *Client) RemoteAddr() net.Addr { return &net.UnixAddr{Name: "session", Net: "unix"} }

// SetDeadline does nothing.
func (c *Client) SetDeadline(time.Time) error { return nil }

// SetReadDeadline does nothing.
func (c *Client) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline does nothing.
func (c *Client) SetWriteDeadline(time.Time) error { return nil }

var _ net.Conn = (*Client)(nil)
