package integration

import (
	"debug/elf"
	"errors"
	"testing"
)

// largestProgram is what the program may have, in bytes, without its symbols.
const largestProgram = 60_000_000

// TestProgramIsSmall adds up what of the program stays when symbols are stripped. One package that calls methods by names
// which the linker cannot know, as text/template does, makes it keep every method of every type: eleven million bytes.
func TestProgramIsSmall(t *testing.T) {
	program, err := elf.Open(binary)
	if wrong := (*elf.FormatError)(nil); errors.As(err, &wrong) {
		t.Skip("not an ELF file: the size is that of Linux")
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = program.Close() }()
	var size uint64
	for _, section := range program.Sections {
		if section.Type != elf.SHT_NOBITS && section.Flags&elf.SHF_ALLOC != 0 {
			size += section.FileSize
		}
	}
	if size > largestProgram || size < largestProgram/10 {
		t.Errorf("the program has %d bytes, not up to %d", size, largestProgram)
	}
	t.Logf("%d bytes", size)
}
