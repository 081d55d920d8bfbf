//go:build linux

package guest

import (
	"context"
	"net"
	"strconv"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"miniaws/backend/relay"
)

const forwardDialTime = 15 * time.Second

// forward serves one connection of "ssh -L": the instance dials, the bytes go both ways.
func (s *sshServer) forward(ctx context.Context, offered ssh.NewChannel, who login) {
	var target struct {
		Host       string
		Port       uint32
		OriginHost string
		OriginPort uint32
	}
	if err := ssh.Unmarshal(offered.ExtraData(), &target); err != nil || target.Port > 65535 {
		_ = offered.Reject(ssh.ConnectionFailed, "malformed request")
		return
	}
	if !who.key.maySend(target.Host, target.Port) {
		_ = offered.Reject(ssh.Prohibited, "this key may not forward there")
		return
	}
	dialer := net.Dialer{Timeout: forwardDialTime}
	connection, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort(target.Host, strconv.Itoa(int(target.Port))))
	if err != nil {
		_ = offered.Reject(ssh.ConnectionFailed, err.Error())
		return
	}
	defer func() { _ = connection.Close() }()
	defer context.AfterFunc(ctx, func() { _ = connection.Close() })()
	channel, requests, err := offered.Accept()
	if err != nil {
		return
	}
	defer func() { _ = channel.Close() }()
	var copies sync.WaitGroup
	copies.Go(func() {
		ssh.DiscardRequests(requests)
		_ = connection.Close() // the client has closed the channel, or the connection has ended
	})
	relay.Both(channel, connection)
	copies.Wait()
}
