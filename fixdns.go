package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// resolving is how this machine finds names, and what the installation's names are.
type resolving struct {
	// root is the folder that stands for "/".
	root string
	// system is what runtime.GOOS says.
	system string
	// run runs a program of the system.
	run func(ctx context.Context, program string, arguments ...string) error
	// domain and region are those that serve would take.
	domain, region string
	// server is the DNS server's ADDRESS:PORT, or "off"; endpoint is the endpoint's address.
	server, endpoint string
}

// The files that doctor --fix-dns writes, and the one in which it has a block. Whoever has the first two at all has the right ones.
const (
	resolvedFile   = "etc/systemd/resolved.conf.d/mini-aws.conf"
	resolverFolder = "etc/resolver" // macOS: a file for each domain
	hostsFile      = "etc/hosts"
)

// The lines around what doctor --fix-dns writes into the hosts file: everything else there stays as it is.
const (
	hostsBegin = "# mini-aws begin: written by mini-aws doctor --fix-dns"
	hostsEnd   = "# mini-aws end"
)

// resolving answers how the machine that this runs on finds names.
func (c *doctorCommand) resolving() *resolving {
	r := &resolving{
		root: "/", system: runtime.GOOS, domain: c.Domain, region: c.Region, server: c.DNS, endpoint: "127.0.0.1",
		run: func(ctx context.Context, program string, arguments ...string) error {
			out, err := exec.CommandContext(ctx, program, arguments...).CombinedOutput()
			if err != nil {
				return fmt.Errorf("%s %s: %w: %s", program, strings.Join(arguments, " "), err, strings.TrimSpace(string(out)))
			}
			return nil
		},
	}
	if host, _, err := net.SplitHostPort(c.Listen); err == nil {
		if address, err := netip.ParseAddr(host); err == nil && !address.IsUnspecified() {
			r.endpoint = address.String()
		}
	}
	return r
}

// fix makes the names known on this machine: all of them where its resolver can ask our server, else the endpoint's in the
// hosts file.
func (r *resolving) fix(ctx context.Context) finding {
	host, port, err := net.SplitHostPort(r.server)
	noServer := err != nil
	switch {
	case noServer:
		return r.fixHosts("no DNS server to point a resolver at (--dns)")
	case r.system == "darwin":
		return r.point(ctx, r.resolverFile(), fmt.Sprintf("nameserver %s\nport %s\n", host, port))
	case r.run(ctx, "systemctl", "is-active", "--quiet", "systemd-resolved") == nil:
		return r.point(ctx, resolvedFile, fmt.Sprintf("# Written by mini-aws doctor --fix-dns.\n[Resolve]\nDNS=%s\nDomains=~%s\n", r.server, r.domain), "systemctl", "restart", "systemd-resolved")
	default:
		return r.fixHosts("no systemd-resolved runs here")
	}
}

func (r *resolving) resolverFile() string { return filepath.Join(resolverFolder, r.domain) }

// point writes a file that sends questions about the domain to our server, and has it read.
func (r *resolving) point(ctx context.Context, name, text string, reread ...string) finding {
	path := filepath.Join(r.root, name)
	_, err := r.write(name, text)
	if err == nil && len(reread) > 0 {
		err = r.run(ctx, reread[0], reread[1:]...)
	}
	if err != nil {
		return failed("run it as root", "%v", err)
	}
	// The resolver asks us now: a block in the hosts file would go on saying what it said when it was written.
	if _, err := r.removeBlock(); err != nil {
		return failed("run it as root", "%v", err)
	}
	return passed("%s sends questions about %s to %s", path, r.domain, r.server)
}

// write writes a file that is ours alone, unless it is right; changed tells whether it was not.
func (r *resolving) write(name, text string) (changed bool, err error) {
	path := filepath.Join(r.root, name)
	if had, err := os.ReadFile(path); err == nil && string(had) == text {
		return false, nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return false, err
	}
	return true, os.WriteFile(path, []byte(text), 0o644)
}

// undo removes what fix wrote, on this machine or on one that found names in another way.
func (r *resolving) undo(ctx context.Context) finding {
	var removed []string
	fail := func(err error) finding { return failed("run it as root", "%v", err) }
	for _, name := range []string{resolvedFile, r.resolverFile()} {
		path := filepath.Join(r.root, name)
		switch err := os.Remove(path); {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err != nil:
			return fail(err)
		}
		removed = append(removed, path)
		if name == resolvedFile {
			if err := r.run(ctx, "systemctl", "try-restart", "systemd-resolved"); err != nil {
				return fail(err)
			}
		}
	}
	had, err := r.removeBlock()
	if err != nil {
		return fail(err)
	}
	if had {
		removed = append(removed, "the block in "+filepath.Join(r.root, hostsFile))
	}
	if len(removed) == 0 {
		return passed("nothing was written by --fix-dns")
	}
	return passed("removed %s", strings.Join(removed, ", "))
}

// endpointNames are the names under the domain at which the gateway itself answers. A file of hosts has no wildcards, so names
// with a bucket's or an account's in front are not among them.
func (r *resolving) endpointNames() []string {
	return []string{"api." + r.domain, "s3." + r.domain, "s3." + r.region + "." + r.domain}
}

// withBlock answers a hosts file's text with the block in the place of an earlier one; an empty block removes that. Of one
// whose end somebody took away only the first line is known to be ours.
func withBlock(text, block string) string {
	before, rest, found := strings.Cut(text, hostsBegin+"\n")
	after := ""
	if found {
		if _, after, found = strings.Cut(rest, hostsEnd+"\n"); !found {
			after = rest
		}
	} else if block != "" && before != "" && !strings.HasSuffix(before, "\n") {
		before += "\n"
	}
	return before + block + after
}

// fixHosts makes the endpoint's names known in the hosts file; why says what is better and was not to be had.
func (r *resolving) fixHosts(why string) finding {
	names := strings.Join(r.endpointNames(), " ")
	path, changed, err := r.editHosts(hostsBegin + "\n" + r.endpoint + " " + names + "\n" + hostsEnd + "\n")
	if err != nil {
		return failed(fmt.Sprintf("run it as root, or add to %s: %s %s", path, r.endpoint, names), "%v", err)
	}
	now := ""
	if changed {
		now = "now "
	}
	return passed("%s %sknows %s, and no names of buckets or instances: %s", path, now, strings.ReplaceAll(names, " ", ", "), why)
}

func (r *resolving) removeBlock() (had bool, err error) {
	_, had, err = r.editHosts("")
	return had, err
}

func (r *resolving) editHosts(block string) (path string, changed bool, err error) {
	path = filepath.Join(r.root, hostsFile)
	had, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return path, false, err
	}
	text := withBlock(string(had), block)
	if text == string(had) {
		return path, false, nil
	}
	// Written in place: in a container the file is a mount, which cannot be replaced by another.
	return path, true, os.WriteFile(path, []byte(text), 0o644)
}

// lookPatience is how long the machine's resolver gets for a name.
const lookPatience = time.Second

// check looks the endpoint's name and a bucket's up as every program here does.
func (r *resolving) check(ctx context.Context, look func(context.Context, string) ([]string, error)) finding {
	ctx, enough := context.WithTimeout(ctx, lookPatience)
	defer enough()
	const advice = "doctor --fix-dns, as root, makes them known; clients that have AWS_ENDPOINT_URL and path-style buckets need no names"
	api, bucket := "api."+r.domain, "bucket.s3."+r.domain
	found, err := look(ctx, api)
	if err != nil || len(found) == 0 {
		return warning(advice, "%s is not known on this machine", api)
	}
	buckets, err := look(ctx, bucket)
	switch {
	case !slices.Contains(found, r.endpoint):
		return warning(advice, "%s leads to %s, and the endpoint is at %s", api, strings.Join(found, ", "), r.endpoint)
	case err != nil || !slices.Contains(buckets, r.endpoint):
		return passed("%s leads to the endpoint; names of buckets (%s) are not known, so take path-style addresses", api, bucket)
	default:
		return passed("%s and names of buckets lead to the endpoint", api)
	}
}
