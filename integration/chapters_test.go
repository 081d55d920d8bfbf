package integration

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// shown begins a line of a chapter that says what the commands before it print.
const shown = "#> "

// step is a few lines of a chapter, and what they print: each line is somewhere in the output, in this order; "…" in it
// stands for anything. A step that shows nothing must succeed; one that shows something may fail, as errors are shown too.
type step struct{ commands, shows []string }

// stepsOf takes a chapter apart: its commands are the lines that are indented by four spaces, outside of fences.
func stepsOf(text string) []step {
	var steps []step
	var now step
	end := func() {
		if len(now.commands) > 0 {
			steps = append(steps, now)
		}
		now = step{}
	}
	fenced := false
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if strings.HasPrefix(line, "```") {
			fenced = !fenced
		}
		command, ok := strings.CutPrefix(line, "    ")
		if fenced || !ok {
			end()
			continue
		}
		if output, ok := strings.CutPrefix(command, shown); ok {
			now.shows = append(now.shows, output)
			continue
		}
		if len(now.shows) > 0 {
			end()
		}
		now.commands = append(now.commands, command)
	}
	end()
	return steps
}

// chapter runs the commands of a chapter of the textbook in one shell, and compares what they print with what the chapter
// says that they print: "chapter NAME".
func chapter(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: chapter NAME")
	}
	text, err := os.ReadFile(filepath.Join("..", "docs", args[0]+".md"))
	ts.Check(err)
	steps := stepsOf(string(text))
	if len(steps) == 0 {
		ts.Fatalf("%s has no commands", args[0])
	}
	var script bytes.Buffer
	for n, s := range steps {
		fmt.Fprintf(&script, "{\n%s\n} > printed.%d 2>&1 || ", strings.Join(s.commands, "\n"), n)
		if len(s.shows) > 0 {
			script.WriteString("true\n")
		} else {
			fmt.Fprintf(&script, "{ cat printed.%d; exit 1; }\n", n)
		}
	}
	ts.Check(os.WriteFile(ts.MkAbs("chapter.sh"), script.Bytes(), 0o600))
	ts.Check(ts.Exec("sh", "chapter.sh"))
	for n, s := range steps {
		printed, err := os.ReadFile(ts.MkAbs(fmt.Sprintf("printed.%d", n)))
		ts.Check(err)
		rest := string(printed)
		for _, line := range s.shows {
			found := regexp.MustCompile(strings.ReplaceAll(regexp.QuoteMeta(line), "…", ".*")).FindStringIndex(rest)
			if found == nil {
				ts.Fatalf("%s\nprinted\n%s\nwhich does not have, in its place,\n%s", strings.Join(s.commands, "\n"), printed, line)
			}
			rest = rest[found[1]:]
		}
	}
}
