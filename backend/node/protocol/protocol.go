// Package protocol is what the gateway and the node agent say to each other: HTTP over a Unix socket, with JSON bodies.
//
//	GET    /info                    backend.NetworkInfo
//	GET    /vpcs                    []backend.ObservedVPC
//	PUT    /vpcs/VPC                backend.WantedVPC -> backend.ObservedVPC
//	DELETE /vpcs/VPC
//	GET    /transit-gateways        []backend.ObservedTransitGateway
//	PUT    /transit-gateways/TGW    backend.WantedTransitGateway -> backend.ObservedTransitGateway
//	DELETE /transit-gateways/TGW
//	GET    /vpcs/VPC/look?id=ID     []backend.Fact, what the kernel holds for the VPC or for one thing in it, or for a
//	                                transit gateway in the place of the VPC
//	PUT    /enis                    backend.Attachment -> backend.ObservedENI
//	DELETE /vpcs/VPC/enis/ENI
//	GET    /flows                   []backend.FlowRecord since the last time
//	GET    /version                 Version
//	POST   /upgrade?digest=SHA256   a new binary; the agent ends and its supervisor starts that
//	POST   /dial?vpc=&network=&address=   becomes the connection
//	POST   /dial-public?address=    becomes the connection, from the engine's host to a public address
//	POST   /back                    becomes a yamux session on which the agent opens streams
//
// Each stream of the session begins with one line, a [Stream]; what follows depends on its kind. It holds no logic but Digest.
package protocol

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"

	"miniaws/backend"
)

// Socket is the socket's file name in the folder that both sides see.
const Socket = "node.sock"

// UpgradeProtocol is the value of the Upgrade header for requests that become a connection.
const UpgradeProtocol = "mini-aws-node"

// Failure is the body of every answer that is no success.
type Failure struct {
	Kind    backend.Kind `json:"kind"`
	Op      string       `json:"op"`
	Object  string       `json:"object"`
	Message string       `json:"message"`
}

// FailureOf describes the error; one that is no engine's is KindUnavailable.
func FailureOf(op, object string, err error) Failure {
	failure := Failure{Kind: backend.KindUnavailable, Op: op, Object: object, Message: err.Error()}
	var engineError *backend.Error
	if errors.As(err, &engineError) {
		failure.Kind, failure.Op, failure.Object, failure.Message = engineError.Kind, engineError.Op, engineError.Object, ""
		if engineError.Err != nil {
			failure.Message = engineError.Err.Error()
		}
	}
	return failure
}

// Err is the error that the failure describes.
func (f Failure) Err() error {
	failure := &backend.Error{Kind: f.Kind, Op: f.Op, Object: f.Object}
	if f.Message != "" {
		failure.Err = errors.New(f.Message)
	}
	return failure
}

// Version is what the agent is.
type Version struct {
	// Digest is the SHA-256 of the agent's binary, in hexadecimal.
	Digest string `json:"digest"`
	PID    int    `json:"pid"`
}

// Kinds of streams.
const (
	// StreamMetadata and StreamAPI are followed by the bytes of a connection from inside a VPC.
	StreamMetadata = "metadata"
	StreamAPI      = "api"
	// StreamResolve is answered with one line, a [Resolved].
	StreamResolve = "resolve"
)

// Stream is the first line of a stream.
type Stream struct {
	Kind   string         `json:"kind"`
	Origin backend.Origin `json:"origin,omitzero"`
	// VPC, Name and Type are the question of a StreamResolve.
	VPC  string `json:"vpc,omitempty"`
	Name string `json:"name,omitempty"`
	Type string `json:"type,omitempty"`
}

// Resolved is the answer to a StreamResolve.
type Resolved struct {
	Records []string `json:"records,omitempty"`
	Exists  bool     `json:"exists"`
	Failed  bool     `json:"failed,omitempty"`
}

// Digest is by what both sides tell one binary from another: SHA-256 of the file, in hexadecimal digits.
func Digest(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, file); err != nil {
		return "", err
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}
