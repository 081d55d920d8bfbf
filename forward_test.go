package main

import "testing"

func TestParseForwarding(t *testing.T) {
	for text, want := range map[string]forwarding{
		"8080:localhost:80":          {"127.0.0.1:8080", "localhost:80"},
		"0:10.0.0.4:5432":            {"127.0.0.1:0", "10.0.0.4:5432"},
		"0.0.0.0:8080:web:80":        {"0.0.0.0:8080", "web:80"},
		"[::1]:8080:[2001:db8::1]:1": {"[::1]:8080", "[2001:db8::1]:1"},
	} {
		if got, err := parseForwarding(text); err != nil || got != want {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "80", "80:80", "x:localhost:80", "80:localhost:0", "80::80", "65536:a:1", "1:a:65536", "1:2:3:4:5", "-1:a:1", "::1:80:a:1"} {
		if got, err := parseForwarding(text); err == nil {
			t.Errorf("%q is taken for %v", text, got)
		}
	}
}
