package relay

import (
	"io"
	"net"
	"testing"
)

func pair(t *testing.T) (near, far net.Conn) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	if near, err = net.Dial("tcp", listener.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if far, err = listener.Accept(); err != nil {
		t.Fatal(err)
	}
	return near, far
}

// TestHalfClosed: the end of what one side says reaches the other, which may still answer.
func TestHalfClosed(t *testing.T) {
	client, here := pair(t)
	there, server := pair(t)
	done := make(chan struct{})
	go func() { Both(here, there); close(done) }()
	if _, err := client.Write([]byte("question")); err != nil {
		t.Fatal(err)
	}
	if err := client.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if asked, err := io.ReadAll(server); err != nil || string(asked) != "question" {
		t.Fatalf("%q, %v", asked, err)
	}
	if _, err := server.Write([]byte("answer")); err != nil {
		t.Fatal(err)
	}
	_ = server.Close()
	if answer, err := io.ReadAll(client); err != nil || string(answer) != "answer" {
		t.Fatalf("%q, %v", answer, err)
	}
	<-done
	_ = client.Close()
}

// TestWhole: a side that knows no half of an end is closed at that of the other.
func TestWhole(t *testing.T) {
	client, here := pair(t)
	there, server := net.Pipe()
	done := make(chan struct{})
	go func() { Both(here, there); close(done) }()
	_ = client.Close()
	if said, err := io.ReadAll(server); err != nil || len(said) > 0 {
		t.Fatalf("%q, %v", said, err)
	}
	<-done
	if _, err := there.Write(nil); err == nil {
		t.Error("it is open")
	}
}
