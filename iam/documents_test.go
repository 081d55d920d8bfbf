package iam

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestDocumentsAtRest(t *testing.T) {
	for name, text := range map[string]string{
		"short":       `{"a": "<&>~"}`,
		"a tilde":     "~x",
		"white space": `{"Statement": []` + strings.Repeat(" \n\t", 40_000) + "}",
		"long":        strings.Repeat(`{"x":"<>&"}`, 900),
	} {
		raw, err := json.Marshal(document(text))
		if err != nil {
			t.Fatal(err)
		}
		var back document
		if err := json.Unmarshal(raw, &back); err != nil || string(back) != text {
			t.Errorf("%s: %v, %d characters became %d", name, err, len(text), len(back))
		}
		if len(raw) > 24<<10 {
			t.Errorf("%s: %d bytes at rest", name, len(raw))
		}
	}
	if n := document(" {\n\"a\": \t1 } ").size(); n != 7 {
		t.Errorf("size %d", n)
	}
	if got := *document(`{"a b": "ä+/"}`).escaped(); got != "%7B%22a%20b%22%3A%20%22%C3%A4%2B%2F%22%7D" {
		t.Error(got)
	}
}
