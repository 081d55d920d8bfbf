package store

import (
	"fmt"
	"strings"
)

// Key is a place in the tree; see the package comment. Keys are compared byte by byte.
type Key string

// Global is the account of tables that no account owns, and the region of tables that no region owns.
const Global = "_"

// MainFork is where the cloud lives; other forks are copies of it.
const MainFork = "0"

// Scope is the first three levels of the tree. Empty levels mean MainFork and Global.
type Scope struct {
	Fork, Account, Region string
}

func (s Scope) withDefaults() Scope {
	if s.Fork == "" {
		s.Fork = MainFork
	}
	if s.Account == "" {
		s.Account = Global
	}
	if s.Region == "" {
		s.Region = Global
	}
	return s
}

// base is the key below which the rows of a table (or index) lie.
func (s Scope) base(service, table string) (Key, error) {
	s = s.withDefaults()
	for _, name := range []string{s.Fork, s.Account, s.Region, service, table} {
		if !validName(name) {
			return "", fmt.Errorf("%w: name %q", ErrInvalidKey, name)
		}
	}
	return Key("/" + s.Fork + "/" + s.Account + "/" + s.Region + "/" + service + "/" + table + "/"), nil
}

// validName also allows the "@" between table and index; NewTable does not.
func validName(s string) bool {
	if s == "" || len(s) > 128 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '_', c == '-', c == '.', c == '@':
		default:
			return false
		}
	}
	return true
}

// ID names a record within its table: a tuple of byte strings with any content. In the tree ids are ordered part
// by part and byte by byte, a shorter tuple before its extensions:
//
//	{"a"} < {"a", "x"} < {"a", "x", "y"} < {"a", "x\x00"} < {"a\x00"} < {"ab"}
//
// Written form: parts joined by 00 01, a NUL inside a part is 00 FF. So no part can imitate a separator.
type ID []string

const (
	partSeparator = "\x00\x01"
	partsEnd      = "\x00\x02" // after every extension of a tuple, before every longer last part
	escapedNUL    = "\x00\xff"
)

func (id ID) encode() string {
	var b strings.Builder
	for i, part := range id {
		if i > 0 {
			b.WriteString(partSeparator)
		}
		b.WriteString(escapePart(part))
	}
	return b.String()
}

func escapePart(s string) string {
	if strings.IndexByte(s, 0) < 0 {
		return s
	}
	return strings.ReplaceAll(s, "\x00", escapedNUL)
}

// prefixEnd is the first key after all keys that begin with p.
func prefixEnd(p Key) Key {
	for i := len(p) - 1; i >= 0; i-- {
		if p[i] != 0xff {
			return p[:i] + Key([]byte{p[i] + 1})
		}
	}
	return "\xff\xff\xff\xff" // nothing in the tree is above: every key begins with "/"
}

// PrefixRange holds all keys that begin with p.
func PrefixRange(p Key) Range { return Range{Start: p, End: prefixEnd(p)} }

// tree is everything.
var tree = PrefixRange("/")

func checkKey(k Key) error {
	if k == "" || k[0] != '/' {
		return fmt.Errorf("%w: %q does not begin with a slash", ErrInvalidKey, k)
	}
	if len(k) > MaxKey {
		return fmt.Errorf("%w: key of %d bytes, at most %d are allowed", ErrTooLarge, len(k), MaxKey)
	}
	return nil
}

func unescapePart(s string) string { return strings.ReplaceAll(s, escapedNUL, "\x00") }
