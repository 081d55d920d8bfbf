package main

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"testing"
	"time"

	"miniaws/backend/docker"
)

// TestWarmthDoesNotWaitForAHangingEngine: a server that stops does so although the engine takes calls and answers none.
func TestWarmthDoesNotWaitForAHangingEngine(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "docker.sock")
	silent, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	t.Setenv("DOCKER_HOST", "unix://"+socket)
	engine, err := docker.Connect("0123456789abcdef")
	if err != nil {
		t.Fatal(err)
	}
	defer engine.Close()
	ended := make(chan error, 1)
	w := &warmth{engine: engine, patience: 100 * time.Millisecond, forget: func() error { return nil }}
	go func() { ended <- w.remove(context.Background()) }()
	select {
	case err := <-ended:
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("it ended with %v", err)
		}
	case <-time.After(20 * time.Second):
		t.Error("it waits for ever")
	}
}
