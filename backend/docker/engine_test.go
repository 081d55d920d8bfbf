package docker_test

import (
	"context"
	"crypto/rand"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"miniaws/backend"
	"miniaws/backend/docker"
	"miniaws/backend/enginetest"
)

// needEngine skips unless the run was promised an engine: "make test" makes sure of one and says so.
func needEngine(t *testing.T) {
	t.Helper()
	if os.Getenv("MINI_AWS_TEST_ENGINE") != "docker" {
		t.Skip("needs a Docker engine: run by make test, which sets MINI_AWS_TEST_ENGINE=docker")
	}
}

func TestEngine(t *testing.T) {
	needEngine(t)
	enginetest.Run(t, enginetest.Setup{
		Image: "debian:12",
		Real:  true,
		Open: func(t *testing.T, owner string) backend.Engine {
			return open(t, owner)
		},
		RemoveByHand: func(t *testing.T, engineID string) {
			if out, err := exec.CommandContext(t.Context(), "docker", "rm", "-f", engineID).CombinedOutput(); err != nil {
				t.Fatalf("docker rm: %v: %s", err, out)
			}
		},
	})
}

func TestOpenWithoutEngine(t *testing.T) {
	t.Setenv("DOCKER_HOST", "unix://"+t.TempDir()+"/no.sock")
	_, err := docker.Open(context.Background(), "0123456789abcdef")
	if backend.KindOf(err) != backend.KindUnavailable {
		t.Errorf("error %v: kind %v, want unavailable", err, backend.KindOf(err))
	}
}

func TestOpenRefusesShortOwner(t *testing.T) {
	_, err := docker.Open(context.Background(), "short")
	if backend.KindOf(err) != backend.KindPermanent {
		t.Errorf("error %v: kind %v, want permanent", err, backend.KindOf(err))
	}
}

// TestNeighborsOfOneName: the names of two installations differ by the first characters of their ids alone. Where these
// are the same neither gets, changes or removes what is the other's.
func TestNeighborsOfOneName(t *testing.T) {
	needEngine(t)
	shared := rand.Text()[:12]
	first, second := open(t, strings.ToLower(shared)+"first"), open(t, strings.ToLower(shared)+"second")
	content := fstest.MapFS{"a": {Data: []byte("a"), Mode: 0o644}}
	network := backend.NetworkSpec{ID: "net-1"}
	spec := backend.Spec{ID: "i-1", Image: "debian:12"}
	t.Cleanup(func() {
		ctx := context.Background()
		for _, err := range []error{first.Remove(ctx, "i-1"), first.RemoveNetwork(ctx, "net-1"), first.RemoveFiles(ctx, "files-1"), first.Close(), second.Close()} {
			if err != nil {
				t.Error(err)
			}
		}
	})
	_, err := first.EnsureNetwork(t.Context(), network)
	_, ensureErr := first.Ensure(t.Context(), spec)
	if err := errors.Join(err, ensureErr, first.EnsureFiles(t.Context(), "files-1", content)); err != nil {
		t.Fatal(err)
	}
	_, err = second.EnsureNetwork(t.Context(), network)
	_, ensureErr = second.Ensure(t.Context(), spec)
	for what, err := range map[string]error{"network": err, "container": ensureErr, "files": second.EnsureFiles(t.Context(), "files-1", content)} {
		if backend.KindOf(err) != backend.KindInUse {
			t.Errorf("%s: %v: kind %v, want in use", what, err, backend.KindOf(err))
		}
	}
	if err := errors.Join(second.Remove(t.Context(), "i-1"), second.RemoveNetwork(t.Context(), "net-1"), second.RemoveFiles(t.Context(), "files-1")); err != nil {
		t.Error(err)
	}
	_, err = first.Inspect(t.Context(), "i-1")
	networks, networksErr := first.ListNetworks(t.Context())
	files, filesErr := first.ListFiles(t.Context())
	if err := errors.Join(err, networksErr, filesErr); err != nil || len(networks) != 1 || len(files) != 1 {
		t.Errorf("the first has %v and %v left: %v", networks, files, err)
	}
}

// TestGivenUp: who gives up while the engine makes a network leaves nothing that a look after it does not find.
func TestGivenUp(t *testing.T) {
	needEngine(t)
	for _, patience := range []time.Duration{5, 15, 30, 50, 80, 120} {
		engine := open(t, strings.ToLower(rand.Text()))
		ctx, cancel := context.WithTimeout(t.Context(), patience*time.Millisecond)
		if _, err := engine.EnsurePublicBridge(ctx); err != nil && backend.KindOf(err) != backend.KindUnavailable {
			t.Error(err)
		}
		cancel()
		err := engine.RemoveEverything(t.Context(), func(backend.Object) {})
		time.Sleep(500 * time.Millisecond)
		left, lookErr := engine.Everything(t.Context())
		if err := errors.Join(err, lookErr, engine.RemoveEverything(t.Context(), func(backend.Object) {}), engine.Close()); err != nil || len(left) > 0 {
			t.Errorf("after %d ms: %v left, %v", patience, left, err)
		}
	}
}

func open(t *testing.T, owner string) *docker.Engine {
	t.Helper()
	engine, err := docker.Open(t.Context(), owner)
	if err != nil {
		t.Fatal(err)
	}
	return engine
}
