package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"miniaws/awsapi/wire"
)

const metaDir = "../meta"

// The committed output must be what the generator makes of the pinned modules. Statuses that only botocore
// knows are taken from the committed blobs, so the test does not depend on the machine.
func TestOutputIsCurrent(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: parsing the source of all SDK modules takes seconds; make test-fast does it")
	}
	var all []*generated
	for _, e := range catalog {
		g, err := generate(e, "", metaDir)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, g)
		committed, err := os.ReadFile(filepath.Join(metaDir, e.module+".wire"))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(committed, wire.Encode(g.service)) {
			t.Errorf("%s.wire differs: run go run ./awsapi/gen", e.module)
		}
		rules, err := os.ReadFile(filepath.Join(metaDir, e.module+".rules"))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(rules, wire.EncodeRules(g.rules)) {
			t.Errorf("%s.rules differs: run go run ./awsapi/gen", e.module)
		}
		if len(g.service.Ops) == 0 {
			t.Errorf("%s: no operations", e.module)
		}
	}
	dir := t.TempDir()
	if err := goFile(filepath.Join(dir, "services.go"), serviceTable(all)); err != nil {
		t.Fatal(err)
	}
	same(t, "services.go", filepath.Join(dir, "services.go"))
	for _, g := range all {
		if len(g.src.unions) == 0 {
			continue
		}
		if err := writeUnions(dir, g); err != nil {
			t.Fatal(err)
		}
		name := filepath.Join("unions", g.entry.module, "unions.go")
		same(t, name, filepath.Join(dir, name))
	}
	if err := writeAllUnions(dir, all); err != nil {
		t.Fatal(err)
	}
	same(t, "unions/unions.go", filepath.Join(dir, "unions", "unions.go"))
	golden := filepath.Join(dir, "unmapped.golden")
	if err := os.WriteFile(golden, unmappedList(all), 0o600); err != nil {
		t.Fatal(err)
	}
	same(t, "unmapped.golden", golden)
}

func same(t *testing.T, name, fresh string) {
	t.Helper()
	a, err := os.ReadFile(filepath.Join(metaDir, name))
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(fresh)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(a, b) {
		t.Errorf("%s differs: run go run ./awsapi/gen", name)
	}
}

// Every field without a name on the wire has a reason.
func TestUnmappedFieldsAreExplained(t *testing.T) {
	b, err := os.ReadFile(filepath.Join(metaDir, "unmapped.golden"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if strings.Contains(line, "UNKNOWN") {
			t.Error(strings.TrimSpace(line))
		}
	}
}

func TestPattern(t *testing.T) {
	for _, c := range []struct{ java, re2, shown string }{
		{`[\w+=,.@-]+`, `[\w+=,.@-]+`, ""},
		{`[\u0009\u000A]+`, `[\x{0009}\x{000A}]+`, `[\u0009\u000A]+`},
		{`(?!x)y`, "", ""},
		{`.*`, "", ""},
	} {
		if re2, shown := pattern(c.java); re2 != c.re2 || shown != c.shown {
			t.Errorf("pattern(%q) = %q, %q", c.java, re2, shown)
		}
	}
}
