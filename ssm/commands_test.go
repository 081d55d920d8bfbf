package ssm

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"miniaws/backend/guestlink"
	"miniaws/backend/store"
)

// TestKeptFitsItsRecord: whatever a command prints, its invocation can be written down.
func TestKeptFitsItsRecord(t *testing.T) {
	for name, output := range map[string]string{
		"text":       strings.Repeat("a line of it\n", 4000),
		"lines":      strings.Repeat("\n", 50_000),
		"controls":   strings.Repeat("\x01", 50_000),
		"not UTF-8":  strings.Repeat("\xff ", 25_000),
		"markup":     strings.Repeat("<&>", 20_000),
		"separators": strings.Repeat("\u2028", 20_000),
		"wide":       "x" + strings.Repeat("é", 30_000),
	} {
		var one stepResult
		one.take(guestlink.Result{Output: []byte(output), Errors: []byte(output)}, recordRoom)
		record, err := json.Marshal(invocation{Steps: []stepResult{one}})
		if err != nil || len(record) > store.MaxValue-2000 {
			t.Errorf("%s: the record has %d bytes: %v", name, len(record), err)
		}
		if !utf8.ValidString(one.Output) || len(one.Output) > maxCommandOutput || len(one.Output) < 4000 {
			t.Errorf("%s: %d bytes are kept", name, len(one.Output))
		}
	}
	if text, _ := kept([]byte("short <b>"), recordRoom); text != "short <b>" {
		t.Errorf("%q", text)
	}
	if text, _ := kept([]byte(strings.Repeat("y\n", 20_000)), recordRoom); len(text) != maxCommandOutput {
		t.Errorf("%d bytes are kept of short lines, want %d", len(text), maxCommandOutput)
	}
}
