package docker_test

import (
	"context"
	"os"
	"os/exec"
	"testing"

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
			engine, err := docker.Open(t.Context(), owner)
			if err != nil {
				t.Fatal(err)
			}
			return engine
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
