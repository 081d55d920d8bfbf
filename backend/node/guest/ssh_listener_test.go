package guest

import (
	"errors"
	"net"
	"testing"
)

func TestJoinedListener(t *testing.T) {
	var ends []net.Listener
	for range 2 {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		ends = append(ends, listener)
	}
	both := join(ends[0], ends[1])
	for _, end := range ends {
		client, err := net.Dial("tcp", end.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		server, err := both.Accept()
		if err != nil || server.RemoteAddr().String() != client.LocalAddr().String() {
			t.Fatal(server, err)
		}
		_, _ = server.Close(), client.Close()
	}
	if err := both.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := both.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
	if err := both.Close(); err != nil {
		t.Error(err)
	}
	for _, end := range ends {
		if c, err := net.Dial("tcp", end.Addr().String()); err == nil {
			_ = c.Close()
			t.Error("still there")
		}
	}
}
