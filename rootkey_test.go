package main

import (
	"os/exec"
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
