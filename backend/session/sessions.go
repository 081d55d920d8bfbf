package session

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/binary"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/websocket"
	"golang.org/x/crypto/ssh"
)

// Path is where clients open data channels: the session's id follows.
// AWS: "StartSession", StreamUrl.
const Path = "/v1/data-channel/"

// agentVersion is what clients are told: from 3.1.1511 on port sessions are multiplexed without keep-alives.
const agentVersion = "3.3.0.0"

const (
	// tokenLifetime is how long a new session waits for its client.
	tokenLifetime = time.Minute
	// DefaultIdle is how long a session may be silent. AWS: "Specify an idle session timeout value": 20 minutes.
	DefaultIdle = 20 * time.Minute
)

// Machines runs things in instances; *guestlink.Links is one.
type Machines interface {
	Login(ctx context.Context, instance, user string) (*ssh.Client, error)
	Open(instance string) (net.Conn, error)
}

// Kind is what a session is for.
type Kind string

// The kinds.
const (
	// Shell is a login shell in a terminal, Command one program in a terminal.
	Shell   Kind = "Standard_Stream"
	Command Kind = "InteractiveCommands"
	// Port forwards connections: many at a time with the property type=LocalPortForwarding, else one.
	Port Kind = "Port"
	// SSH is the bare stream to the SSH server of the instance's init.
	SSH Kind = "SSH"
)

// Spec is a session that somebody may have.
type Spec struct {
	ID, Instance, User string
	Kind               Kind
	// Line is run by a Command session; Host and Port are where a Port session connects, as seen from the instance.
	Line, Host string
	Port       int
	// Properties are told the client.
	Properties map[string]string
	// Idle ends a session that is silent; 0 is DefaultIdle.
	Idle time.Duration
}

// Sessions are all sessions of this process. It is safe for concurrent use.
type Sessions struct {
	machines Machines

	mu    sync.Mutex
	ended func(id, why string)
	all   map[string]*running
}

// New answers no sessions yet.
func New(machines Machines) *Sessions {
	return &Sessions{machines: machines, all: map[string]*running{}}
}

// OnEnd says who is told of every end, on a goroutine of its own. It is called before the first session.
func (s *Sessions) OnEnd(ended func(id, why string)) { s.ended = ended }

// running is one session.
type running struct {
	Spec
	sessions *Sessions
	talk     *conversation
	input    *queue
	begun    time.Time

	// ctx lasts until the session ends.
	ctx    context.Context
	cancel context.CancelFunc

	mu      sync.Mutex
	token   string
	expires time.Time
	greeted bool
	started bool
	resize  func(size)
	hangUp  func()
}

// Begin makes a session and answers the token with which its client opens the channel, once, within a minute.
func (s *Sessions) Begin(spec Spec) (token string) {
	r := &running{Spec: spec, sessions: s, talk: newConversation(typeOutput, typeInput), input: newQueue(), begun: time.Now()}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	if r.Idle == 0 {
		r.Idle = DefaultIdle
	}
	r.talk.deliver = r.deliver
	s.mu.Lock()
	s.all[spec.ID] = r
	s.mu.Unlock()
	token = r.newToken()
	go r.watch()
	return token
}

// Resume answers a new token of a session whose channel broke; ok is false where the session has ended.
func (s *Sessions) Resume(id string) (token string, ok bool) {
	r := s.find(id)
	if r == nil {
		return "", false
	}
	return r.newToken(), true
}

// End ends a session, if it is there.
func (s *Sessions) End(id, why string) {
	if r := s.find(id); r != nil {
		r.end(why)
	}
}

// Running tells whether the session is there.
func (s *Sessions) Running(id string) bool { return s.find(id) != nil }

func (s *Sessions) find(id string) *running {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all[id]
}

func (r *running) newToken() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.token, r.expires = rand.Text()+rand.Text(), time.Now().Add(tokenLifetime)
	return r.token
}

// admit uses the token up.
func (r *running) admit(token string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	ok := r.token != "" && subtle.ConstantTimeCompare([]byte(token), []byte(r.token)) == 1 && time.Now().Before(r.expires)
	if ok {
		r.token = ""
	}
	return ok
}

// watch ends a session that is silent for too long, or whose client never came.
func (r *running) watch() {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-r.ctx.Done():
			return
		case now := <-ticker.C:
			r.mu.Lock()
			waiting := !r.greeted && now.After(r.expires)
			r.mu.Unlock()
			switch {
			case waiting:
				r.end("no client came")
			case now.Sub(r.talk.lastActive()) > r.Idle:
				r.end("idle for too long")
			}
		}
	}
}

var upgrader = websocket.Upgrader{ReadBufferSize: 8 << 10, WriteBufferSize: 8 << 10, CheckOrigin: func(*http.Request) bool { return true }}

// openingPatience is how long a client may take to show its token.
const openingPatience = 10 * time.Second

// ServeHTTP takes a client's channel. Who it is, is shown by the token alone; a page of another origin has none.
func (s *Sessions) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id := strings.TrimPrefix(r.URL.Path, Path)
	found := s.find(id)
	if found == nil {
		http.NotFound(w, r)
		return
	}
	socket, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return // it answered
	}
	defer func() { _ = socket.Close() }()
	socket.SetReadLimit(64 << 10)
	_ = socket.SetReadDeadline(time.Now().Add(openingPatience))
	_, content, err := socket.ReadMessage()
	var first opening
	if err != nil || json.Unmarshal(content, &first) != nil || !found.admit(first.TokenValue) {
		_ = socket.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.ClosePolicyViolation, "the token is not this session's"), time.Now().Add(time.Second))
		return
	}
	_ = socket.SetReadDeadline(time.Time{})
	found.greet()
	found.talk.talk(socket)
}

// greet begins the handshake, once.
func (r *running) greet() {
	r.mu.Lock()
	again := r.greeted
	r.greeted = true
	r.mu.Unlock()
	if again {
		return
	}
	kind := r.Kind
	if kind == SSH {
		kind = Port
	}
	properties := r.Properties
	if properties == nil {
		properties = map[string]string{}
	}
	r.say(payloadHandshakeRequest, handshakeRequest{agentVersion, []requestedAction{{"SessionType", sessionType{string(kind), properties}}}})
}

func (r *running) say(payloadType uint32, value any) {
	payload, err := json.Marshal(value)
	if err == nil {
		err = r.talk.send(payloadType, payload)
	}
	if err != nil && !errors.Is(err, errClosed) {
		slog.Error("a data channel", "session", r.ID, "error", err)
	}
}

// deliver takes what the client sends.
func (r *running) deliver(payloadType uint32, payload []byte) bool {
	switch payloadType {
	case payloadHandshakeResponse:
		var answer handshakeResponse
		if json.Unmarshal(payload, &answer) != nil {
			return true
		}
		r.mu.Lock()
		again := r.started
		r.started = true
		r.mu.Unlock()
		if again {
			return true
		}
		if len(answer.Errors) > 0 {
			go r.end("the client refuses: " + strings.Join(answer.Errors, "; "))
			return true
		}
		r.say(payloadHandshakeComplete, handshakeComplete{HandshakeTimeToComplete: time.Since(r.begun)})
		go r.run()
	case payloadData:
		return r.input.put(payload)
	case payloadSize:
		var wanted size
		if json.Unmarshal(payload, &wanted) == nil && wanted.Columns > 0 && wanted.Rows > 0 {
			r.mu.Lock()
			resize := r.resize
			r.mu.Unlock()
			if resize == nil {
				return r.ctx.Err() != nil // sent again when the terminal is there
			}
			resize(wanted)
		}
	case payloadFlag:
		if len(payload) == 4 {
			r.flag(binary.BigEndian.Uint32(payload))
		}
	}
	return true
}

func (r *running) flag(flag uint32) {
	switch flag {
	case flagTerminate:
		go r.end("")
	case flagDisconnect:
		r.mu.Lock()
		hangUp := r.hangUp
		r.mu.Unlock()
		if hangUp != nil {
			hangUp()
		}
	}
}

// lastWords is how long the client may take to get what was printed last.
const lastWords = 3 * time.Second

// end ends the session, once; why is told the client.
func (r *running) end(why string) {
	r.sessions.mu.Lock()
	mine := r.sessions.all[r.ID] == r
	if mine {
		delete(r.sessions.all, r.ID)
	}
	ended := r.sessions.ended
	r.sessions.mu.Unlock()
	if !mine {
		return
	}
	r.cancel()
	r.input.close()
	r.talk.flush(lastWords)
	m := newMessage(typeClosed, 0, 0, nil)
	m.payload, _ = json.Marshal(closed{ // strings
		MessageId: m.name(), CreatedDate: strconv.FormatInt(time.Now().UnixMilli(), 10), DestinationId: r.Instance, SessionId: r.ID,
		MessageType: typeClosed, SchemaVersion: 1, Output: why,
	})
	r.talk.close(&m)
	if ended != nil {
		ended(r.ID, why)
	}
}
