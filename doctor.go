package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"miniaws/backend/docker"
)

type doctorCommand struct {
	Listen string `default:"127.0.0.1:4566" help:"Address and port that serve would take."`
	Data   string `default:"~/.mini-aws" help:"Data folder that serve would take."`
}

// finding is the outcome of one check.
type finding struct {
	// level is "ok", "warning" (something will be missing) or "failed" (serve will not work).
	level string
	// found says what is there, advice what to do about it.
	found, advice string
}

func passed(format string, a ...any) finding {
	return finding{level: "ok", found: fmt.Sprintf(format, a...)}
}

func warning(advice, format string, a ...any) finding {
	return finding{level: "warning", advice: advice, found: fmt.Sprintf(format, a...)}
}

func failed(advice, format string, a ...any) finding {
	return finding{level: "failed", advice: advice, found: fmt.Sprintf(format, a...)}
}

// Run prints a line for every check, and fails if serve could not work here.
func (c *doctorCommand) Run(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	checks := []struct {
		name string
		run  func(context.Context) finding
	}{
		{"engine", checkEngine},
		{"kernel", checkKernel},
		{"endpoint", c.checkEndpoint},
		{"data folder", c.checkData},
	}
	broken := 0
	for _, check := range checks {
		f := check.run(ctx)
		fmt.Printf("%-8s %-12s %s\n", f.level, check.name, f.found)
		if f.advice != "" {
			fmt.Printf("%-8s %-12s -> %s\n", "", "", f.advice)
		}
		if f.level == "failed" {
			broken++
		}
	}
	if broken > 0 {
		return fmt.Errorf("%d of %d checks failed", broken, len(checks))
	}
	return nil
}

func checkEngine(ctx context.Context) finding {
	advice := "install or start Docker (on Debian and Ubuntu: scripts/ensure-engine); until then instances are only simulated"
	if host := os.Getenv("DOCKER_HOST"); host != "" {
		advice = "DOCKER_HOST is " + host + ": correct it, or unset it to use the local engine; until then instances are only simulated"
	}
	// Only questions are asked, so the id need not be an installation's.
	engine, err := docker.Open(ctx, strings.Repeat("0", 32))
	if errors.Is(err, os.ErrPermission) {
		advice = "join the group docker and log in again; until then instances are only simulated"
	}
	if err != nil {
		return warning(advice, "%v", err)
	}
	info, err := engine.Info(ctx)
	if err = errors.Join(err, engine.Close()); err != nil {
		return warning(advice, "%v", err)
	}
	return passed("Docker %s, API %s, storage %s, cgroup v%s, %d CPUs, %.1f GiB", info.Version, info.API, info.StorageDriver, info.CgroupVersion, info.CPUs, float64(info.MemoryBytes)/(1<<30))
}

func (c *doctorCommand) checkEndpoint(ctx context.Context) finding {
	listener, err := net.Listen("tcp", c.Listen)
	if errors.Is(err, syscall.EADDRINUSE) && servesAt(ctx, c.Listen) {
		return passed("a mini-aws serves at %s", c.Listen)
	}
	if err != nil {
		return warning(strings.TrimPrefix(listenAdvice(err), "; "), "%v", err)
	}
	if err := listener.Close(); err != nil {
		return warning("", "%v", err)
	}
	return passed("%s is free", c.Listen)
}

// servesAt tells whether what listens there answers as a mini-aws does.
func servesAt(ctx context.Context, address string) bool {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/_mini/health", nil)
	if err != nil {
		return false
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return false
	}
	defer func() { _ = response.Body.Close() }() // read to its end or of no use
	var report healthReport
	return response.StatusCode == http.StatusOK && json.NewDecoder(response.Body).Decode(&report) == nil && report.Status != ""
}

// checkData tries the folder, or the nearest one above it that exists, with a folder that is removed at once: what the
// permissions promise, a full disk or a special file system may not keep.
func (c *doctorCommand) checkData(context.Context) finding {
	const advice = "choose another with --data"
	data, err := dataPath(c.Data)
	if err != nil {
		return failed(advice, "%v", err)
	}
	folder := data
	for {
		info, err := os.Stat(folder)
		if err == nil && !info.IsDir() {
			return failed(advice, "%s is not a folder", folder)
		}
		if err == nil {
			break
		}
		folder = filepath.Dir(folder) // ends at the root, which exists
	}
	probe, err := os.MkdirTemp(folder, ".mini-aws-doctor-*")
	if err != nil {
		return failed(advice+", or make room", "%v", err)
	}
	var disk unix.Statfs_t
	if err := errors.Join(unix.Statfs(probe, &disk), os.Remove(probe)); err != nil {
		return warning("", "%s: %v", folder, err)
	}
	free := float64(disk.Bavail) * float64(disk.Bsize) / (1 << 30)
	if free < 1 {
		return warning("make room: below 1 GiB writes will be refused soon", "%s has %.1f GiB free", data, free)
	}
	return passed("%s, %.0f GiB free", data, free)
}
