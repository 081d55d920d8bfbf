package policy

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// FuzzParse: whatever the text, there is a document or a *Malformed, and a document can be evaluated.
func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("testdata/*.json")
	if err != nil {
		f.Fatal(err)
	}
	for _, cases := range readCorpus(f) {
		for i, c := range cases {
			if i%10 == 0 && len(c.Identity) > 0 {
				f.Add(uint8(i), string(c.Identity[0]))
			}
			if c.ResourcePolicy != nil {
				f.Add(uint8(Resource), string(c.ResourcePolicy))
			}
		}
	}
	for _, file := range files[:1] {
		if content, err := os.ReadFile(file); err == nil {
			f.Add(uint8(0), string(content))
		}
	}
	f.Fuzz(func(t *testing.T, kind uint8, text string) {
		d, err := Parse(Kind(kind%6), text)
		if m := (*Malformed)(nil); err != nil {
			if !errors.As(err, &m) || d != nil {
				t.Fatalf("%T %v", err, err)
			}
			return
		}
		for _, who := range callers {
			p := []Policy{{Document: d}}
			Evaluate(&Input{Action: "s3:GetObject", Resource: "arn:aws:s3:::b/k", Principal: who, Identity: p, ResourcePolicies: p,
				Context: func(key string) []string { return []string{key, "1"} }})
		}
	})
}

// FuzzGlob compares the matcher with a plain recursive one.
func FuzzGlob(f *testing.F) {
	f.Add("a*b?c", "axxbyc")
	f.Add("**?*", "é")
	f.Fuzz(func(t *testing.T, pattern, text string) {
		if len(pattern) > 12 || len(text) > 12 {
			return
		}
		compiled := wild.Replace(pattern)
		if got, want := matchGlob(compiled, text), slowGlob(compiled, text); got != want {
			t.Errorf("%q %q: %v, want %v", pattern, text, got, want)
		}
	})
}

func slowGlob(pattern, text string) bool {
	if pattern == "" {
		return text == ""
	}
	first := 0
	for i := range text {
		if i > 0 {
			first = i
			break
		}
	}
	if first == 0 {
		first = len(text)
	}
	switch pattern[0] {
	case many:
		return slowGlob(pattern[1:], text) || text != "" && slowGlob(pattern, text[first:])
	case one:
		return text != "" && slowGlob(pattern[1:], text[first:])
	}
	return text != "" && text[0] == pattern[0] && slowGlob(pattern[1:], text[1:])
}
