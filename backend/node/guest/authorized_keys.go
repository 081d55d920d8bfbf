package guest

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"path"
	"strconv"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
)

// authorizedKey is a key that may log in, and what it may do.
type authorizedKey struct {
	key ssh.PublicKey
	// command replaces whatever the client asks to run; empty forces nothing.
	command string
	// from holds address patterns; empty admits every address.
	from              []string
	noPTY, noForwards bool
	// permitOpen limits where forwarding may go; empty leaves it open.
	permitOpen []string
	// expires is the moment from which the key is not good any more; zero for never.
	expires time.Time
}

// errOption refuses a key: an option that is not understood may be the one that limits it.
var errOption = errors.New("option not supported")

// parseAuthorizedKey reads one line. Options that limit what is not offered anyway (agent, X11, remote forwarding, rc
// files) pass; those that limit more than is understood refuse the key.
func parseAuthorizedKey(line string) (authorizedKey, error) {
	key, _, options, rest, err := ssh.ParseAuthorizedKey([]byte(line))
	if err != nil {
		return authorizedKey{}, err
	}
	if len(bytes.TrimSpace(rest)) > 0 {
		return authorizedKey{}, errors.New("more than one line")
	}
	if _, isCertificate := key.(*ssh.Certificate); isCertificate {
		return authorizedKey{}, fmt.Errorf("certificate: %w", errOption)
	}
	parsed := authorizedKey{key: key}
	for _, option := range options {
		if err := parsed.apply(option); err != nil {
			return authorizedKey{}, err
		}
	}
	return parsed, nil
}

func (k *authorizedKey) apply(option string) error {
	name, quoted, hasValue := strings.Cut(option, "=")
	value := quoted
	if hasValue {
		if len(quoted) < 2 || quoted[0] != '"' || quoted[len(quoted)-1] != '"' {
			return fmt.Errorf("option %q without quotes", name)
		}
		value = strings.ReplaceAll(quoted[1:len(quoted)-1], `\"`, `"`)
		if value == "" {
			return fmt.Errorf("option %q is empty", name)
		}
	}
	name = strings.ToLower(name)
	switch name {
	case "command", "from", "permitopen", "expiry-time":
		if !hasValue {
			return fmt.Errorf("option %q without a value", name)
		}
	}
	switch name {
	case "command":
		if k.command != "" {
			return errors.New("two forced commands")
		}
		k.command = value
	case "from":
		if len(k.from) > 0 {
			return errors.New("two lists of addresses") // one may limit the other
		}
		k.from = strings.Split(value, ",")
	case "permitopen":
		k.permitOpen = append(k.permitOpen, value)
	case "expiry-time":
		return k.expireAt(value)
	case "restrict":
		k.noPTY, k.noForwards = true, true
	case "no-pty":
		k.noPTY = true
	case "pty":
		k.noPTY = false
	case "no-port-forwarding":
		k.noForwards = true
	case "port-forwarding":
		k.noForwards = false
	case "no-agent-forwarding", "agent-forwarding", "no-x11-forwarding", "x11-forwarding", "no-user-rc", "user-rc",
		"permitlisten", "environment":
	default:
		return fmt.Errorf("%q: %w", name, errOption)
	}
	return nil
}

func (k *authorizedKey) expireAt(value string) error {
	zone := time.Local
	if utc, ok := strings.CutSuffix(value, "Z"); ok {
		value, zone = utc, time.UTC
	}
	for _, layout := range []string{"20060102", "200601021504", "20060102150405"} {
		if len(layout) == len(value) {
			at, err := time.ParseInLocation(layout, value, zone)
			if err == nil && (k.expires.IsZero() || at.Before(k.expires)) {
				k.expires = at
			}
			return err
		}
	}
	return fmt.Errorf("expiry-time %q", value)
}

// admits tells whether the key is good for a client at this address, now.
func (k authorizedKey) admits(remote netip.Addr, now time.Time) bool {
	if !k.expires.IsZero() && !now.Before(k.expires) {
		return false
	}
	return len(k.from) == 0 || matchAddress(k.from, remote)
}

// matchAddress: one pattern must match and none that begins with "!" may. Patterns are addresses, with * and ?, or
// prefixes in CIDR notation; host names are not looked up and never match.
func matchAddress(patterns []string, remote netip.Addr) bool {
	remote = remote.Unmap().WithZone("")
	admitted := false
	for _, pattern := range patterns {
		pattern, negated := strings.CutPrefix(strings.TrimSpace(pattern), "!")
		matched := false
		if strings.Contains(pattern, "/") {
			prefix, err := netip.ParsePrefix(pattern)
			if err != nil && negated {
				return false // it excludes somebody, and nobody can tell whom
			}
			matched = err == nil && prefix.Contains(remote)
		} else if ok, err := path.Match(pattern, remote.String()); err == nil {
			matched = ok
		} else if negated {
			return false
		}
		if matched && negated {
			return false
		}
		admitted = admitted || matched
	}
	return admitted
}

// maySend tells whether a forwarding to this target is open to the key.
func (k authorizedKey) maySend(host string, port uint32) bool {
	if k.noForwards {
		return false
	}
	for _, target := range k.permitOpen {
		wantHost, wantPort, err := net.SplitHostPort(target)
		if err == nil && (wantHost == "*" || strings.EqualFold(wantHost, host)) && (wantPort == "*" || wantPort == strconv.Itoa(int(port))) {
			return true
		}
	}
	return len(k.permitOpen) == 0
}

// findAuthorizedKey looks a key up in the text of an authorized_keys file. Lines that cannot be read, or that limit in
// ways not known here, admit nobody.
func findAuthorizedKey(text string, wanted ssh.PublicKey, remote netip.Addr, now time.Time) (authorizedKey, bool) {
	marshaled := wanted.Marshal()
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		parsed, err := parseAuthorizedKey(line)
		if err == nil && bytes.Equal(parsed.key.Marshal(), marshaled) && parsed.admits(remote, now) {
			return parsed, true
		}
	}
	return authorizedKey{}, false
}

// mergeAuthorizedKeys adds the lines whose key the text does not name yet, with whatever options.
func mergeAuthorizedKeys(text string, lines []string) string {
	known := map[string]bool{}
	for line := range strings.Lines(text) {
		if key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(line)); err == nil {
			known[string(key.Marshal())] = true
		}
	}
	for _, line := range lines {
		key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(line))
		if err != nil || known[string(key.Marshal())] {
			continue
		}
		known[string(key.Marshal())] = true
		text = withLine(text, strings.TrimSpace(line))
	}
	return text
}
