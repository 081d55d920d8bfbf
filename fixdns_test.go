package main

import (
	"os"
	"path/filepath"
	"testing"
)

func TestFixDNS(t *testing.T) {
	const begin, end = hostsBegin + "\n", hostsEnd + "\n"
	for _, c := range []struct{ name, had, want string }{
		{"no file", "", begin + "127.0.0.1 api.x.internal s3.x.internal s3.us-east-1.x.internal\n" + end},
		{"behind what is there", "127.0.0.1 localhost", "127.0.0.1 localhost\n" + begin + "127.0.0.1 api.x.internal s3.x.internal s3.us-east-1.x.internal\n" + end},
		{"instead of what an earlier call wrote", "127.0.0.1 localhost\n" + begin + "127.0.0.1 api.old\n" + end + "192.0.2.1 other\n",
			"127.0.0.1 localhost\n" + begin + "127.0.0.1 api.x.internal s3.x.internal s3.us-east-1.x.internal\n" + end + "192.0.2.1 other\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "hosts")
			if c.had != "" {
				if err := os.WriteFile(path, []byte(c.had), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			for range 2 {
				if f := fixDNS(path, "x.internal", "us-east-1"); f.level != "ok" {
					t.Fatalf("%+v", f)
				}
				got, err := os.ReadFile(path)
				if err != nil || string(got) != c.want {
					t.Errorf("%v:\n got %q\nwant %q", err, got, c.want)
				}
			}
		})
	}
	if f := fixDNS(t.TempDir(), "x.internal", "us-east-1"); f.level != "failed" {
		t.Errorf("a folder: %+v", f)
	}
}
