package session

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Types of messages.
const (
	typeInput       = "input_stream_data"
	typeOutput      = "output_stream_data"
	typeAcknowledge = "acknowledge"
	typeClosed      = "channel_closed"
)

// Types of payloads.
const (
	payloadData              = 1
	payloadSize              = 3
	payloadHandshakeRequest  = 5
	payloadHandshakeResponse = 6
	payloadHandshakeComplete = 7
	payloadFlag              = 10
	payloadErrors            = 11
	payloadExitCode          = 12
)

// Flags, as payloads of payloadFlag.
const (
	flagDisconnect   = 1
	flagTerminate    = 2
	flagConnectError = 3
)

// header is what every message begins with. All numbers are big-endian; the second half of the id comes first.
//
//	0 length of the header, less the last field | 4 type, filled with spaces | 36 version | 40 created, in milliseconds
//	48 sequence number | 56 flags | 64 id | 80 SHA-256 of the payload | 112 type of the payload | 116 its length
const (
	headerLength = 116
	headerSize   = headerLength + 4
	maxPayload   = 256 << 10
)

// message is one message of the channel.
type message struct {
	kind        string
	sequence    int64
	flags       uint64
	id          [16]byte
	payloadType uint32
	payload     []byte
}

func newMessage(kind string, sequence int64, payloadType uint32, payload []byte) message {
	m := message{kind: kind, sequence: sequence, payloadType: payloadType, payload: payload}
	_, _ = rand.Read(m.id[:]) // never fails
	m.id[6], m.id[8] = m.id[6]&0x0f|0x40, m.id[8]&0x3f|0x80
	return m
}

// name is the id as text.
func (m message) name() string {
	return fmt.Sprintf("%x-%x-%x-%x-%x", m.id[:4], m.id[4:6], m.id[6:8], m.id[8:10], m.id[10:])
}

func (m message) encode(now time.Time) []byte {
	out := make([]byte, headerSize, headerSize+len(m.payload))
	binary.BigEndian.PutUint32(out, headerLength)
	copy(out[4:36], m.kind+strings.Repeat(" ", 32-len(m.kind)))
	binary.BigEndian.PutUint32(out[36:], 1)
	binary.BigEndian.PutUint64(out[40:], uint64(now.UnixMilli()))
	binary.BigEndian.PutUint64(out[48:], uint64(m.sequence))
	binary.BigEndian.PutUint64(out[56:], m.flags)
	copy(out[64:72], m.id[8:])
	copy(out[72:80], m.id[:8])
	sum := sha256.Sum256(m.payload)
	copy(out[80:112], sum[:])
	binary.BigEndian.PutUint32(out[112:], m.payloadType)
	binary.BigEndian.PutUint32(out[116:], uint32(len(m.payload)))
	return append(out, m.payload...)
}

var errMessage = errors.New("a malformed message of a data channel")

// decode reads a message; payload is a part of content.
func decode(content []byte) (message, error) {
	if len(content) < headerSize {
		return message{}, errMessage
	}
	length := binary.BigEndian.Uint32(content)
	size := uint64(binary.BigEndian.Uint32(content[116:]))
	if length != headerLength || uint64(len(content)) != headerSize+size {
		return message{}, errMessage
	}
	m := message{
		kind: strings.TrimRight(string(content[4:36]), " \x00"), sequence: int64(binary.BigEndian.Uint64(content[48:])),
		flags: binary.BigEndian.Uint64(content[56:]), payloadType: binary.BigEndian.Uint32(content[112:]), payload: content[headerSize:],
	}
	copy(m.id[8:], content[64:72])
	copy(m.id[:8], content[72:80])
	if sum := sha256.Sum256(m.payload); m.kind == typeInput || m.kind == typeOutput {
		if !bytes.Equal(sum[:], content[80:112]) {
			return message{}, errMessage
		}
	}
	return m, nil
}

// acknowledged is the payload of an acknowledgement.
type acknowledged struct {
	Type       string `json:"AcknowledgedMessageType"`
	ID         string `json:"AcknowledgedMessageId"`
	Sequence   int64  `json:"AcknowledgedMessageSequenceNumber"`
	Sequential bool   `json:"IsSequentialMessage"`
}

// opening is the first message of a client, as text.
type opening struct {
	MessageSchemaVersion string
	RequestId            string
	TokenValue           string
	ClientId             string
	ClientVersion        string
}

// handshakeRequest is what the agent's side says first.
type handshakeRequest struct {
	AgentVersion           string
	RequestedClientActions []requestedAction
}

type requestedAction struct {
	ActionType       string
	ActionParameters any
}

type sessionType struct {
	SessionType string
	Properties  any
}

type handshakeResponse struct {
	ClientVersion          string
	ProcessedClientActions []processedAction
	Errors                 []string
}

type processedAction struct {
	ActionType   string
	ActionStatus int
	ActionResult any
	Error        string
}

type handshakeComplete struct {
	HandshakeTimeToComplete time.Duration
	CustomerMessage         string
}

// closed is the payload of the message that ends a channel.
type closed struct {
	MessageId, CreatedDate, DestinationId, SessionId, MessageType string
	SchemaVersion                                                 int
	Output                                                        string
}

// size of a terminal.
type size struct {
	Columns uint32 `json:"cols"`
	Rows    uint32 `json:"rows"`
}
