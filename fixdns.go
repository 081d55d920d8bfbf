package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
)

// hostsFile is where names of this machine's own are.
const hostsFile = "/etc/hosts"

// The lines around what doctor --fix-dns writes: everything else in the file stays as it is.
const (
	hostsBegin = "# mini-aws begin: written by mini-aws doctor --fix-dns"
	hostsEnd   = "# mini-aws end"
)

// endpointNames are the names under the domain at which the gateway itself answers. A file of hosts has no wildcards, so names
// with a bucket's or an account's in front are not among them.
func endpointNames(domain, region string) []string {
	return []string{"api." + domain, "s3." + domain, "s3." + region + "." + domain}
}

// withEndpoint answers a hosts file's text in which the names lead to the address; what an earlier call wrote is replaced.
func withEndpoint(text, address string, names []string) string {
	before, rest, found := strings.Cut(text, hostsBegin+"\n")
	after := ""
	if found {
		_, after, _ = strings.Cut(rest, hostsEnd+"\n")
	} else if before != "" && !strings.HasSuffix(before, "\n") {
		before += "\n"
	}
	return before + hostsBegin + "\n" + address + " " + strings.Join(names, " ") + "\n" + hostsEnd + "\n" + after
}

// fixDNS makes the endpoint's names known on this machine.
func fixDNS(path, domain, region string) finding {
	had, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return failed("", "%v", err)
	}
	names := endpointNames(domain, region)
	text := withEndpoint(string(had), "127.0.0.1", names)
	if text == string(had) {
		return passed("%s knows %s", path, strings.Join(names, ", "))
	}
	// Written in place: in a container the file is a mount, which cannot be replaced by another.
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		return failed(fmt.Sprintf("run it as root, or add to %s: 127.0.0.1 %s", path, strings.Join(names, " ")), "%v", err)
	}
	return passed("%s now knows %s", path, strings.Join(names, ", "))
}
