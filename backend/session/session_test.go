package session

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/xtaci/smux"
	"golang.org/x/crypto/ssh"
)

// machine is an instance whose shell says back what it reads, in capitals, and whose ports are this machine's.
type machine struct{ t *testing.T }

func (m machine) Open(string) (net.Conn, error) {
	here, there := net.Pipe()
	go m.serve(there)
	return here, nil
}

func (m machine) Login(_ context.Context, instance, user string) (*ssh.Client, error) {
	if instance == "i-gone" {
		return nil, errors.New("the instance is not connected")
	}
	// Both sides of SSH write first: not through a pipe without a buffer.
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	defer listener.Close()
	go func() {
		if there, err := listener.Accept(); err == nil {
			m.serve(there)
		}
	}()
	return ssh.Dial("tcp", listener.Addr().String(), &ssh.ClientConfig{User: user, HostKeyCallback: ssh.InsecureIgnoreHostKey()})
}

func (m machine) serve(connection net.Conn) {
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		m.t.Error(err)
		return
	}
	signer, err := ssh.NewSignerFromKey(key)
	if err != nil {
		m.t.Error(err)
		return
	}
	config := &ssh.ServerConfig{NoClientAuth: true}
	config.AddHostKey(signer)
	peer, channels, requests, err := ssh.NewServerConn(connection, config)
	if err != nil {
		return
	}
	defer peer.Close()
	go ssh.DiscardRequests(requests)
	for offered := range channels {
		if offered.ChannelType() == "direct-tcpip" {
			var to struct {
				Host       string
				Port       uint32
				OriginHost string
				OriginPort uint32
			}
			_ = ssh.Unmarshal(offered.ExtraData(), &to)
			target, err := net.Dial("tcp", net.JoinHostPort(to.Host, fmt.Sprint(to.Port)))
			if err != nil {
				_ = offered.Reject(ssh.ConnectionFailed, err.Error())
				continue
			}
			channel, more, _ := offered.Accept()
			go ssh.DiscardRequests(more)
			go func() { _, _ = io.Copy(target, channel); target.(*net.TCPConn).CloseWrite() }()
			go func() { _, _ = io.Copy(channel, target); _ = channel.Close() }()
			continue
		}
		channel, more, _ := offered.Accept()
		go m.shell(channel, more)
	}
}

func (machine) shell(channel ssh.Channel, requests <-chan *ssh.Request) {
	for request := range requests {
		_ = request.Reply(true, nil)
		switch request.Type {
		case "window-change":
			var to terminalChange
			_ = ssh.Unmarshal(request.Payload, &to)
			fmt.Fprintf(channel, "size %d %d\n", to.Columns, to.Rows)
		case "shell":
			go func() {
				lines := bufio.NewScanner(channel)
				for lines.Scan() && lines.Text() != "exit" {
					fmt.Fprintln(channel, strings.ToUpper(lines.Text()))
				}
				_, _ = channel.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{0}))
				_ = channel.Close()
			}()
		}
	}
}

type terminalChange struct{ Columns, Rows, Width, Height uint32 }

// world is a server of sessions, and what ended in it.
type world struct {
	*Sessions
	url   string
	ended chan string
}

func newWorld(t *testing.T) *world {
	w := &world{Sessions: New(machine{t}), ended: make(chan string, 10)}
	w.OnEnd(func(id, why string) { w.ended <- id + ": " + why })
	server := httptest.NewServer(w)
	t.Cleanup(server.Close)
	w.url = "ws" + strings.TrimPrefix(server.URL, "http") + Path
	return w
}

func (w *world) dial(t *testing.T, spec Spec, resume Resume) *Client {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	c, err := Dial(ctx, w.url+spec.ID, w.Begin(spec), resume)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (w *world) end(t *testing.T, want string) {
	t.Helper()
	select {
	case got := <-w.ended:
		if got != want {
			t.Errorf("ended with %q, not %q", got, want)
		}
	case <-time.After(time.Minute):
		t.Errorf("no end: %q expected", want)
	}
}

func TestShell(t *testing.T) {
	w := newWorld(t)
	c := w.dial(t, Spec{ID: "ann-1", Instance: "i-1", User: "ssm-user", Kind: Shell}, nil)
	if c.Kind() != string(Shell) {
		t.Errorf("kind %q", c.Kind())
	}
	lines := bufio.NewReader(c)
	say := func(text, want string) {
		t.Helper()
		fmt.Fprintln(c, text)
		if got, err := lines.ReadString('\n'); err != nil || got != want+"\n" {
			t.Fatalf("%q, %v; not %q", got, err, want)
		}
	}
	say("hello", "HELLO")
	if err := c.Resize(111, 33); err != nil {
		t.Fatal(err)
	}
	if got, err := lines.ReadString('\n'); err != nil || got != "size 111 33\n" {
		t.Fatalf("%q %v", got, err)
	}
	fmt.Fprintln(c, "exit")
	if rest, err := io.ReadAll(lines); err != nil || len(rest) > 0 {
		t.Errorf("%q %v", rest, err)
	}
	w.end(t, "ann-1: ")
	if _, ok := w.Resume("ann-1"); ok {
		t.Error("a session that ended goes on")
	}
}

func TestManyBytesOverABadNetwork(t *testing.T) {
	w := newWorld(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(connection, connection); connection.(*net.TCPConn).CloseWrite() }()
		}
	}()
	spec := Spec{ID: "ann-2", Instance: "i-1", Kind: Port, Port: listener.Addr().(*net.TCPAddr).Port, Host: "127.0.0.1"}
	c := w.dial(t, spec, func(context.Context) (string, string, error) {
		token, ok := w.Resume("ann-2")
		if !ok {
			return "", "", errors.New("over")
		}
		return w.url + "ann-2", token, nil
	})
	payload := bytes.Repeat([]byte("0123456789abcdef"), 1<<17) // 2 MiB
	go func() { _, _ = c.Write(payload) }()
	got := make([]byte, len(payload))
	for at := 0; at < len(got); {
		if at > 0 {
			c.breakSocket() // again and again, in the middle
		}
		part := min(len(got)/5+1, len(got)-at)
		n, err := io.ReadFull(c, got[at:at+part])
		if err != nil {
			t.Fatalf("after %d bytes: %v", at+n, err)
		}
		at += n
	}
	if !bytes.Equal(got, payload) {
		t.Error("other bytes came back")
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	w.end(t, "ann-2: ")
}

// breakSocket cuts the WebSocket, as a bad network does.
func (c *Client) breakSocket() {
	c.talk.mu.Lock()
	defer c.talk.mu.Unlock()
	if c.talk.socket != nil {
		_ = c.talk.socket.Close()
	}
}

func TestManyConnectionsInOneSession(t *testing.T) {
	w := newWorld(t)
	web := httptest.NewServer(nil)
	t.Cleanup(web.Close)
	port := web.Listener.Addr().(*net.TCPAddr).Port
	c := w.dial(t, Spec{ID: "ann-3", Instance: "i-1", Kind: Port, Host: "127.0.0.1", Port: port, Properties: map[string]string{"type": "LocalPortForwarding"}}, nil)
	config := smux.DefaultConfig()
	config.KeepAliveDisabled = true
	streams, err := smux.Client(c, config)
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			stream, err := streams.OpenStream()
			if err != nil {
				t.Error(err)
				return
			}
			defer stream.Close()
			fmt.Fprint(stream, "GET / HTTP/1.0\r\n\r\n")
			if answer, err := io.ReadAll(stream); err != nil || !strings.HasPrefix(string(answer), "HTTP/1.0 404") {
				t.Errorf("%q %v", answer, err)
			}
		})
	}
	all.Wait()
	_ = streams.Close()
	w.end(t, "ann-3: ")
}

func TestTokens(t *testing.T) {
	w := newWorld(t)
	spec := Spec{ID: "ann-4", Instance: "i-1", Kind: Shell}
	token := w.Begin(spec)
	refused := func(name, token string) {
		t.Helper()
		socket, answer, err := websocket.DefaultDialer.Dial(w.url+"ann-4", nil)
		if answer != nil {
			answer.Body.Close()
		}
		if err != nil {
			t.Fatal(err)
		}
		defer socket.Close()
		_ = socket.WriteJSON(opening{TokenValue: token})
		if _, _, err := socket.ReadMessage(); !websocket.IsCloseError(err, websocket.ClosePolicyViolation) {
			t.Errorf("%s: %v", name, err)
		}
	}
	refused("another token", "x")
	refused("none", "")
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	c, err := Dial(ctx, w.url+"ann-4", token, nil)
	if err != nil {
		t.Fatal(err)
	}
	refused("a token that was used", token)
	if _, err := Dial(ctx, w.url+"ann-none", token, nil); err == nil {
		t.Error("a session that is none")
	}
	_ = c.Close()
	w.end(t, "ann-4: ")
}

func TestAnInstanceThatIsGone(t *testing.T) {
	w := newWorld(t)
	c := w.dial(t, Spec{ID: "ann-5", Instance: "i-gone", Kind: Shell}, nil)
	_, _ = io.ReadAll(c)
	if c.Words() != "the instance is not connected" {
		t.Errorf("words %q", c.Words())
	}
	w.end(t, "ann-5: the instance is not connected")
}

func TestIdleSessionsEnd(t *testing.T) {
	w := newWorld(t)
	c := w.dial(t, Spec{ID: "ann-6", Instance: "i-1", Kind: Shell, Idle: time.Second}, nil)
	_, _ = io.ReadAll(c)
	w.end(t, "ann-6: idle for too long")
	w.Begin(Spec{ID: "ann-7", Instance: "i-1", Kind: Shell})
	w.End("ann-7", "terminated")
	w.end(t, "ann-7: terminated")
}
