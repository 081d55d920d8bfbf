package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// testResolving is a machine whose root is an empty folder; resolved tells whether systemd-resolved runs there. The answered list is
// of the programs that were run.
func testResolving(t *testing.T, system string, resolved bool) (*resolving, *[]string) {
	t.Helper()
	var ran []string
	r := &resolving{root: t.TempDir(), system: system, domain: "x.internal", region: "us-east-1", server: "127.0.0.1:4553", endpoint: "127.0.0.1"}
	r.run = func(_ context.Context, program string, arguments ...string) error {
		ran = append(ran, strings.Join(append([]string{program}, arguments...), " "))
		if !resolved {
			return errors.New("no such unit")
		}
		return nil
	}
	if err := os.Mkdir(filepath.Join(r.root, "etc"), 0o755); err != nil {
		t.Fatal(err)
	}
	return r, &ran
}

// files answers the texts of a machine's files by their names.
func files(t *testing.T, root string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(root, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		name, _ := filepath.Rel(root, path)
		all[filepath.ToSlash(name)] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestFixDNS(t *testing.T) {
	const block = hostsBegin + "\n127.0.0.1 api.x.internal s3.x.internal s3.us-east-1.x.internal\n" + hostsEnd + "\n"
	const old = hostsBegin + "\n127.0.0.1 api.old\n" + hostsEnd + "\n"
	for _, c := range []struct {
		name, system, server string
		resolved             bool
		had, file, want      string
		// left is the hosts file afterwards, undone after undo.
		left, undone string
	}{
		{name: "no hosts file", system: "linux", left: block},
		{name: "behind what is there", system: "linux", had: "127.0.0.1 localhost", left: "127.0.0.1 localhost\n" + block, undone: "127.0.0.1 localhost\n"},
		{name: "instead of what an earlier call wrote", system: "linux", had: "127.0.0.1 localhost\n" + old + "192.0.2.1 other\n",
			left: "127.0.0.1 localhost\n" + block + "192.0.2.1 other\n", undone: "127.0.0.1 localhost\n192.0.2.1 other\n"},
		{name: "no server", system: "linux", resolved: true, server: "off", left: block},
		{name: "systemd-resolved", system: "linux", resolved: true, had: "127.0.0.1 localhost\n" + old,
			file: "etc/systemd/resolved.conf.d/mini-aws.conf", want: "# Written by mini-aws doctor --fix-dns.\n[Resolve]\nDNS=127.0.0.1:4553\nDomains=~x.internal\n",
			left: "127.0.0.1 localhost\n", undone: "127.0.0.1 localhost\n"},
		{name: "macOS", system: "darwin", server: "[::1]:4553", file: "etc/resolver/x.internal", want: "nameserver ::1\nport 4553\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, ran := testResolving(t, c.system, c.resolved)
			if c.server != "" {
				r.server = c.server
			}
			if c.had != "" {
				if err := os.WriteFile(filepath.Join(r.root, hostsFile), []byte(c.had), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			for range 2 {
				if f := r.fix(t.Context()); f.level != "ok" {
					t.Fatalf("%+v", f)
				}
				now := files(t, r.root)
				if c.file != "" && now[c.file] != c.want {
					t.Errorf("%s:\n got %q\nwant %q", c.file, now[c.file], c.want)
				}
				if now[hostsFile] != c.left {
					t.Errorf("hosts:\n got %q\nwant %q", now[hostsFile], c.left)
				}
			}
			if restarted := slices.Contains(*ran, "systemctl restart systemd-resolved"); restarted != (c.file == resolvedFile) {
				t.Errorf("ran %q", *ran)
			}
			for range 2 {
				if f := r.undo(t.Context()); f.level != "ok" {
					t.Fatalf("%+v", f)
				}
				now := files(t, r.root)
				if text := now[hostsFile]; text != c.undone {
					t.Errorf("hosts after undo:\n got %q\nwant %q", text, c.undone)
				}
				delete(now, hostsFile)
				if len(now) > 0 {
					t.Errorf("left: %q", now)
				}
			}
		})
	}
}

func TestFixDNSFails(t *testing.T) {
	for _, system := range []string{"linux", "darwin"} {
		r, _ := testResolving(t, system, false)
		// Neither a file nor a folder can be made here.
		for _, name := range []string{hostsFile, resolverFolder} {
			if err := os.RemoveAll(filepath.Join(r.root, name)); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Mkdir(filepath.Join(r.root, hostsFile), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(r.root, resolverFolder), nil, 0o644); err != nil {
			t.Fatal(err)
		}
		if f := r.fix(t.Context()); f.level != "failed" || f.advice == "" {
			t.Errorf("%s: %+v", system, f)
		}
	}
}

func TestCheckNames(t *testing.T) {
	r, _ := testResolving(t, "linux", false)
	for _, c := range []struct {
		api, bucket string
		want        string
	}{
		{"127.0.0.1", "127.0.0.1", "ok"},
		{"127.0.0.1", "", "ok"},
		{"192.0.2.1", "192.0.2.1", "warning"},
		{"", "", "warning"},
	} {
		f := r.check(t.Context(), func(_ context.Context, name string) ([]string, error) {
			address := c.bucket
			if name == "api.x.internal" {
				address = c.api
			}
			if address == "" {
				return nil, errors.New("no such host")
			}
			return []string{address}, nil
		})
		if f.level != c.want || c.bucket == "" && c.api != "" && !strings.Contains(f.found, "path-style") {
			t.Errorf("%+v: %+v", c, f)
		}
	}
}

// TestBlockWithoutEnd: what others wrote below a block whose end is gone stays.
func TestBlockWithoutEnd(t *testing.T) {
	const block = hostsBegin + "\n127.0.0.1 api.example\n" + hostsEnd + "\n"
	for before, want := range map[string]string{
		"a\n" + block + "b\n": "a\n" + block + "b\n",
		"a\n" + hostsBegin + "\n127.0.0.1 old\n10.0.0.1 db\n": "a\n" + block + "127.0.0.1 old\n10.0.0.1 db\n",
		"a": "a\n" + block,
		"":  block,
	} {
		if got := withBlock(before, block); got != want {
			t.Errorf("%q becomes %q, not %q", before, got, want)
		}
	}
}
