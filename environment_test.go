package main

import (
	"io"
	"os"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

// TestEveryFlagHasATwin: each flag of serve can be given as MINI_AWS_<FLAG>, and counts unless the command line has it.
func TestEveryFlagHasATwin(t *testing.T) {
	flags := (&serveCommand{}).command(nil).Flags()
	seen := 0
	flags.VisitAll(func(flag *pflag.Flag) {
		seen++
		value := map[string]string{"string": "x", "bool": "true", "duration": "7s", "ADDRESS:PORT": "x"}[flag.Value.Type()]
		if value == "" { // one of some words
			words := strings.Split(flag.Value.Type(), "|")
			value = words[len(words)-1]
		}
		variable := "MINI_AWS_" + strings.ToUpper(strings.ReplaceAll(flag.Name, "-", "_"))
		t.Setenv(variable, value)
		again := (&serveCommand{}).command(nil).Flags()
		if err := fromEnvironment(again); err != nil {
			t.Errorf("%s: %v", variable, err)
		}
		if got := again.Lookup(flag.Name).Value.String(); got != value {
			t.Errorf("--%s is %q where %s is %q", flag.Name, got, variable, value)
		}
		if err := os.Unsetenv(variable); err != nil { // Setenv puts back what was
			t.Error(err)
		}
	})
	if seen < 10 {
		t.Errorf("serve has %d flags", seen)
	}
}

// TestCommandLines reads what is right, and refuses what is not before anything is done.
func TestCommandLines(t *testing.T) {
	t.Setenv("MINI_AWS_AT_REST", "plain")
	t.Setenv("MINI_AWS_DOMAIN", "from.environment")
	serve := &serveCommand{}
	flags := serve.command(nil).Flags()
	if err := flags.Parse([]string{"--domain", "from.flag", "--dns=off"}); err != nil {
		t.Fatal(err)
	}
	if err := fromEnvironment(flags); err != nil {
		t.Fatal(err)
	}
	if serve.Domain != "from.flag" || serve.AtRest != "plain" || serve.DNS == nil || *serve.DNS != "off" || serve.Engine != "auto" {
		t.Errorf("read as %+v", serve)
	}
	for _, c := range []struct{ line, want string }{
		{"notice i-1", "accepts 2 arg(s), received 1"},
		{"notice i-1 earthquake", `KIND must be one of spot-interruption, rebalance, event, cancel, not "earthquake"`},
		{"serve --engine podman", `must be one of auto, docker, sim, not "podman"`},
		{"look i-1 --nothing", "unknown flag: --nothing"},
		{"doctor --fix-dns --undo-dns", "[fix-dns undo-dns]"},
		{"agent --owner me", `required flag(s) "folder" not set`},
		{"sevre", `unknown command "sevre" for "mini-aws"`},
	} {
		root := newCommandLine()
		root.SetArgs(strings.Fields(c.line))
		root.SetOut(io.Discard)
		root.SetErr(io.Discard)
		if err := root.ExecuteContext(t.Context()); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, not %s", c.line, err, c.want)
		}
	}
	t.Setenv("MINI_AWS_S3_LOGS_EVERY", "soon")
	if err := fromEnvironment((&serveCommand{}).command(nil).Flags()); err == nil || !strings.Contains(err.Error(), "MINI_AWS_S3_LOGS_EVERY") {
		t.Errorf("a wrong variable is taken, or not named: %v", err)
	}
}
