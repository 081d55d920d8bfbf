package initbinary

import (
	"bytes"
	"debug/elf"
	"io/fs"
	"testing"
	"testing/fstest"
)

// TestLoad looks at the volume as an engine does: one program, and one that this machine can run.
func TestLoad(t *testing.T) {
	binary, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	if err := fstest.TestFS(binary.Files, binary.Name); err != nil {
		t.Error(err)
	}
	content, err := fs.ReadFile(binary.Files, binary.Name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := elf.NewFile(bytes.NewReader(content)); err != nil {
		t.Errorf("the init is no program: %v", err)
	}
	if !binary.Small {
		t.Skip("this is not the instances' own init: make init builds it")
	}
	if size := len(content); size > 8<<20 {
		t.Errorf("the init has %d bytes, as if all of mini-aws were in it", size)
	}
}
