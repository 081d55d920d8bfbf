package main

import (
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// TestEveryFlagHasATwin: each flag of serve can be given as MINI_AWS_<FLAG>.
func TestEveryFlagHasATwin(t *testing.T) {
	parser, err := kong.New(&commands{}, kong.DefaultEnvars("MINI_AWS"))
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, command := range parser.Model.Children {
		if command.Name != "serve" {
			continue
		}
		for _, flag := range command.Flags {
			want := "MINI_AWS_" + strings.ToUpper(strings.ReplaceAll(flag.Name, "-", "_"))
			if seen++; len(flag.Envs) != 1 || flag.Envs[0] != want {
				t.Errorf("--%s is read from %v, not from %s", flag.Name, flag.Envs, want)
			}
		}
	}
	if seen < 10 {
		t.Errorf("serve has %d flags", seen)
	}
}
