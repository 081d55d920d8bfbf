package main

import (
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"
)

// TestQuoted asks a real shell.
func TestQuoted(t *testing.T) {
	for _, text := range []string{"plain", "a+/=b", "", "a'b", `a"b`, "$HOME", "`id`", "a;id", `back\\slash`, "''", "~", "a*b", "#x", "!x", "a&b|c>d<e(f)g"} {
		out, err := exec.CommandContext(t.Context(), "sh", "-c", "x="+quoted(text)+`; printf %s "$x"`).CombinedOutput()
		if err != nil || string(out) != text {
			t.Errorf("%q became %q, %v", text, out, err)
		}
	}
}

// TestForeign asks servers that know the key, that know no such account, that belong to another folder, and none at all.
func TestForeign(t *testing.T) {
	for name, want := range map[string]struct {
		status  int
		foreign bool
	}{"knows the key": {200, false}, "has no such account": {404, false}, "serves another folder": {403, true}, "is gone": {0, false}} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
				if !strings.Contains(r.Header.Get("Authorization"), "AKIAIOSFODNN7EXAMPLE") {
					t.Error("the question is not signed")
				}
				out.WriteHeader(want.status)
				_, _ = out.Write([]byte("{}"))
			}))
			defer server.Close()
			if want.status == 0 {
				server.Close()
			}
			f := administratorFlags{Listen: server.Listener.Addr().String(), Data: t.TempDir(), rootKeyFlags: rootKeyFlags{
				RootAccessKeyID: "AKIAIOSFODNN7EXAMPLE", RootSecretAccessKey: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
			}}
			if got := f.foreign(t.Context()); got != want.foreign {
				t.Errorf("foreign: %v", got)
			}
		})
	}
}
