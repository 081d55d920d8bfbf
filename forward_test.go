package main

import (
	"io"
	"net"
	"testing"
)

func TestParseForwarding(t *testing.T) {
	for text, want := range map[string]forwarding{
		"8080:localhost:80":          {"127.0.0.1:8080", "localhost:80"},
		"0:10.0.0.4:5432":            {"127.0.0.1:0", "10.0.0.4:5432"},
		"0.0.0.0:8080:web:80":        {"0.0.0.0:8080", "web:80"},
		"[::1]:8080:[2001:db8::1]:1": {"[::1]:8080", "[2001:db8::1]:1"},
	} {
		if got, err := parseForwarding(text); err != nil || got != want {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "80", "80:80", "x:localhost:80", "80:localhost:0", "80::80", "65536:a:1", "1:a:65536", "1:2:3:4:5", "-1:a:1", "::1:80:a:1"} {
		if got, err := parseForwarding(text); err == nil {
			t.Errorf("%q is taken for %v", text, got)
		}
	}
}

// TestCouple: the end of what one side says reaches the other, which may still answer.
func TestCouple(t *testing.T) {
	pair := func() (near, far net.Conn) {
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
	client, here := pair()
	there, server := pair()
	done := make(chan struct{})
	go func() { couple(here, there); close(done) }()
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
