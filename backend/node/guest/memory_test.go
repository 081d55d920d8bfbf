//go:build linux

package guest

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

func TestUnwritableOfFile(t *testing.T) {
	for line, want := range map[string][2]uintptr{
		"00400000-00698000 r-xp 00000000 fe:00 786639                             /mini-aws/mini-aws": {0x400000, 0x298000},
		"00698000-00956000 r--p 00298000 fe:00 786639                             /mini-aws/mini-aws": {0x698000, 0x2be000},
		"00956000-00994000 rw-p 00556000 fe:00 786639                             /mini-aws/mini-aws": {},
		"00698000-00956000 r--s 00298000 fe:00 786639                             /dev/shm/x":         {},
		"7f724e1f1000-7f724e1f3000 r-xp 00000000 00:00 0                          [vdso]":             {},
		"38fe44800000-38fe44c00000 rw-p 00000000 00:00 0 ":                                            {},
		"38fe44c00000-38fe48000000 ---p 00000000 00:00 0 ":                                            {},
		"": {},
	} {
		start, size, ok := unwritableOfFile(line)
		if start != want[0] || size != want[1] || ok != (size > 0) {
			t.Errorf("%q: %x, %x, %v", line, start, size, ok)
		}
	}
}

// Less of the program is in memory after it was given back, and it runs on.
func TestGiveBackHeap(t *testing.T) {
	before := programInMemory(t)
	giveBackHeap()
	if after := programInMemory(t); after >= before {
		t.Errorf("%d KiB of files are in memory, %d before", after, before)
	}
	newRest().after()
	(*rest)(nil).after()
	(*rest)(nil).afterLittle()
}

func programInMemory(t *testing.T) (kib int) {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "RssFile:")
	if _, err := fmt.Sscan(rest, &kib); err != nil {
		t.Fatal(err)
	}
	return kib
}
