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

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"miniaws/backend/docker"
	"miniaws/backend/store"
	"miniaws/s3"
)

type doctorCommand struct {
	Listen string
	// TLSCert makes it ask over TLS.
	TLSCert         string
	FixDNS, UndoDNS bool
	DNS             string
	Domain, Region  string
	Data            bool
	Folder          string
}

func (c *doctorCommand) command() *cobra.Command {
	command := &cobra.Command{
		Use: "doctor [FOLDER]", Short: "Check this machine, and say what to do about what is missing.",
		Long: "Check this machine, and say what to do about what is missing. FOLDER is the data folder that serve would take\n" +
			"(MINI_AWS_DATA, else " + defaultData + ").",
		Args: showing(cobra.MaximumNArgs(1)),
		RunE: func(command *cobra.Command, arguments []string) error {
			c.Folder = defaultData
			if named, found := os.LookupEnv("MINI_AWS_DATA"); found {
				c.Folder = named
			}
			if len(arguments) > 0 {
				c.Folder = arguments[0]
			}
			return c.Run(command.Context())
		},
	}
	flags := command.Flags()
	flags.StringVar(&c.Listen, "listen", defaultListen, "Address and port that serve would take.")
	flags.StringVar(&c.TLSCert, "tls-cert", "", "Certificate that the server has, where it serves TLS.")
	flags.BoolVar(&c.FixDNS, "fix-dns", false, "Have this machine's resolver ask serve's DNS server about names under the domain (systemd-resolved, macOS), or else make the endpoint's names known in /etc/hosts.")
	flags.BoolVar(&c.UndoDNS, "undo-dns", false, "Remove what --fix-dns wrote.")
	flags.StringVar(&c.DNS, "dns", defaultDNS, "Address and port of the DNS server that serve would take, or off.")
	flags.StringVar(&c.Domain, "domain", defaultDomain, "Domain that serve would take.")
	flags.StringVar(&c.Region, "region", defaultRegion, "Region that serve would take.")
	flags.BoolVar(&c.Data, "data", false, "Read all of the store, and compare its index with its log. Nothing may serve meanwhile.")
	for _, action := range []string{"fix-dns", "undo-dns", "data"} {
		setTwins(flags, action)
	}
	command.MarkFlagsMutuallyExclusive("fix-dns", "undo-dns")
	return command
}

// finding is the outcome of one check.
type finding struct {
	// level is "ok", "warning" (something will be missing) or "failed" (serve will not work).
	level string
	// found says what is there, advice what to do about it.
	found, advice string
}

// check is one question.
type check struct {
	name string
	run  func(context.Context) finding
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
	checks := []check{
		{"engine", checkEngine},
		{"kernel", checkKernel},
		{"endpoint", c.checkEndpoint},
		{"data folder", c.checkData},
	}
	names := c.resolving()
	switch {
	case c.FixDNS:
		checks = append(checks, check{"names", names.fix})
	case c.UndoDNS:
		checks = append(checks, check{"names", names.undo})
	default:
		checks = append(checks, check{"names", func(ctx context.Context) finding { return names.check(ctx, net.DefaultResolver.LookupHost) }})
	}
	if c.Data {
		checks = append(checks, check{"records", c.checkRecords})
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
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
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
	if errors.Is(err, syscall.EADDRINUSE) && c.serves(ctx) {
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

// serves tells whether what listens there answers as a mini-aws does.
func (c *doctorCommand) serves(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	server := administratorFlags{Listen: c.Listen, TLSCert: c.TLSCert}
	client, err := server.client()
	if err != nil {
		return false
	}
	defer client.CloseIdleConnections()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, server.endpoint()+"/_mini/health", nil)
	if err != nil {
		return false
	}
	response, err := client.Do(request)
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
	data, err := dataPath(c.Folder)
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

// checkRecords reads dump and log and compares the index with them, row by row.
func (c *doctorCommand) checkRecords(ctx context.Context) finding {
	path, err := dataPath(c.Folder)
	if err != nil {
		return failed("", "%v", err)
	}
	if _, err := os.Stat(filepath.Join(path, "store")); err != nil {
		return warning("serve makes it", "there is no store yet: %v", err)
	}
	folder, err := openDataFolder(path)
	if err != nil {
		return warning("", "%v", err)
	}
	defer func() { _ = folder.close() }() // the process ends
	db, err := openStore(ctx, filepath.Join(path, "store"), nil)
	if err != nil {
		return failed("restore a copy of the folder; what is damaged cannot be read any more", "%v", err)
	}
	rebuilt := db.Stats().Rebuilt
	compared, err := store.Compare(ctx, db)
	var problems []string
	orphans := 0
	if err == nil {
		blobs := newBlobs(cloudConfig{DB: db, Data: path})
		orphans, err = s3.Check(ctx, db, blobs, func(problem string) { problems = append(problems, problem) })
	}
	if err := errors.Join(err, db.Close()); err != nil {
		return failed("", "%v", err)
	}
	if len(compared.Differences) > 0 {
		return failed("remove the folder "+filepath.Join(path, "store", "index")+": it is made again from the log", "the index is not a copy of the log:\n  %s", strings.Join(compared.Differences, "\n  "))
	}
	if len(problems) > 0 {
		return failed("restore a copy of the folder; bytes that are missing cannot be made again", "records and bytes of objects do not fit:\n  %s", strings.Join(problems[:min(len(problems), 20)], "\n  "))
	}
	if orphans > 0 {
		return warning("the next start removes them", "%d rows, all as the log has them; %d files belong to uploads that never ended", compared.Rows, orphans)
	}
	if rebuilt != "" {
		return passed("%d rows, all as the log has them; the index was just made again: %s", compared.Rows, rebuilt)
	}
	return passed("%d rows, all as the log has them", compared.Rows)
}
