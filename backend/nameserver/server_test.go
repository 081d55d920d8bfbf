package nameserver

import (
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

func TestServer(t *testing.T) {
	before := runtime.NumGoroutine()
	server, err := Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := server.Address().String()
	if _, err := Listen(address); err == nil {
		t.Fatal("the address was had twice")
	}
	server.Serve(testZone(gateway))
	for _, network := range []string{"udp", "tcp"} {
		client := &dns.Client{Net: network}
		reply, _, err := client.Exchange(ask("bucket.s3.x.internal", dns.TypeA), address)
		if err != nil || len(reply.Answer) != 1 || !reply.Authoritative {
			t.Errorf("%s: %v, %v", network, err, reply)
		}
	}
	// Garbage is answered with an error or not at all, and what comes after it is answered.
	for _, garbage := range []string{"", "x", strings.Repeat("\xff", 600), "\x00\x01\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\xc0\x0c\x00\x01\x00\x01"} {
		connection, err := net.Dial("udp", address)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := connection.Write([]byte(garbage)); err != nil {
			t.Error(err)
		}
		if err := connection.Close(); err != nil {
			t.Error(err)
		}
	}
	// Connections that say nothing do not keep others out, nor the server from closing.
	var idle []net.Conn
	for range maxConnections + 8 {
		connection, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		idle = append(idle, connection)
	}
	if reply, err := dns.Exchange(ask("api.x.internal", dns.TypeA), address); err != nil || len(reply.Answer) != 1 {
		t.Errorf("%v, %v", err, reply)
	}
	began := time.Now()
	if err := server.Close(); err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took >= connectionPatience {
		t.Errorf("to close took %s", took)
	}
	for _, connection := range idle {
		_ = connection.Close()
	}
	if left := runtime.NumGoroutine(); left > before {
		t.Errorf("%d goroutines are left", left-before)
	}
	// The address is free again, and one that never served closes too.
	again, err := Listen(address)
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Close(); err != nil {
		t.Error(err)
	}
}
