package main

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"testing"
)

// TestSmallAnswersLeaveAsOne: an answer that is larger than net/http's buffer comes whole, whether the connection goes on or
// ends with it, and so do those before and after it that are not gathered.
func TestSmallAnswersLeaveAsOne(t *testing.T) {
	body := bytes.Repeat([]byte("x"), 4096)
	server := &http.Server{ConnContext: withConnection, ConnState: connectionState, ReadHeaderTimeout: writePatience}
	server.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if waiting := r.Context().Value(connectionKey{}).(*patientConnection).gathered; waiting != nil {
			t.Errorf("%s: an answer before it still waits", r.URL.Path)
		}
		if r.URL.Path == "/gathered" {
			answersAtOnce(r.Context())
		}
		if r.URL.Path == "/endless" {
			answersAtOnce(r.Context())
			for range 100 {
				if _, err := w.Write(body); err != nil {
					t.Error(err)
				}
			}
			return
		}
		if _, err := w.Write(body); err != nil {
			t.Error(err)
		}
		// What net/http's own buffer has no room for has left it, and waits here.
		connection := r.Context().Value(connectionKey{}).(*patientConnection)
		if waits := connection.gathered != nil && len(*connection.gathered) > 0; waits != (r.URL.Path == "/gathered") {
			t.Errorf("%s: what was written waits: %v", r.URL.Path, waits)
		}
	})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(patientListener{listener}) }()
	connection, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return connection, nil }, MaxConnsPerHost: 1}}
	get := func(path string, last bool, want int) {
		t.Helper()
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+listener.Addr().String()+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Close = last
		answer, err := client.Do(request)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		got, err := io.ReadAll(answer.Body)
		if err != nil || len(got) != want {
			t.Fatalf("%s: %d bytes, %v", path, len(got), err)
		}
		if err := answer.Body.Close(); err != nil {
			t.Error(err)
		}
	}
	for range 3 {
		get("/plain", false, len(body))
		get("/gathered", false, len(body))
		get("/endless", false, 100*len(body))
	}
	get("/gathered", true, len(body))
	if err := server.Close(); err != nil {
		t.Error(err)
	}
	if err := <-ended; err != http.ErrServerClosed {
		t.Error(err)
	}
}
