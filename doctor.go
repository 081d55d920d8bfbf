package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"miniaws/backend/docker"
)

type doctorCommand struct {
	Listen string `default:"127.0.0.1:4566" help:"Address and port that serve would take."`
	Data   string `default:"~/.mini-aws" type:"path" help:"Data folder that serve would take."`
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
	const advice = "install or start Docker (on Debian and Ubuntu: scripts/ensure-engine); until then instances are only simulated"
	// Only questions are asked, so the id need not be an installation's.
	engine, err := docker.Open(ctx, strings.Repeat("0", 32))
	if err != nil {
		return warning(advice, "%v", err)
	}
	info, err := engine.Info(ctx)
	if err = errors.Join(err, engine.Close()); err != nil {
		return warning(advice, "%v", err)
	}
	return passed("Docker %s, API %s, storage %s, cgroup v%s, %d CPUs, %.1f GiB", info.Version, info.API, info.StorageDriver, info.CgroupVersion, info.CPUs, float64(info.MemoryBytes)/(1<<30))
}

func (c *doctorCommand) checkEndpoint(context.Context) finding {
	listener, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return warning("is a mini-aws serving already? otherwise stop what holds the port, or choose another with --listen", "%v", err)
	}
	if err := listener.Close(); err != nil {
		return warning("", "%v", err)
	}
	return passed("%s is free", c.Listen)
}

// checkData looks without changing anything: the folder may belong to a serving mini-aws, or not exist yet.
func (c *doctorCommand) checkData(context.Context) finding {
	folder := c.Data
	for {
		if _, err := os.Stat(folder); err == nil {
			break
		}
		parent := filepath.Dir(folder)
		if parent == folder {
			return failed("choose another with --data", "%s: no folder above it exists", c.Data)
		}
		folder = parent
	}
	if err := unix.Access(folder, unix.W_OK|unix.X_OK); err != nil {
		return failed("choose another with --data", "%s cannot be written: %v", folder, err)
	}
	var disk unix.Statfs_t
	if err := unix.Statfs(folder, &disk); err != nil {
		return warning("", "%s: %v", folder, err)
	}
	free := float64(disk.Bavail) * float64(disk.Bsize) / (1 << 30)
	if free < 1 {
		return warning("make room: below 1 GiB writes will be refused soon", "%s has %.1f GiB free", c.Data, free)
	}
	return passed("%s, %.0f GiB free", c.Data, free)
}
