package boot

import (
	"os"
	"strconv"
	"strings"
	"syscall"
)

// ReleaseProgram lets go of the pages of the program file that this process has mapped: a start touches most of them
// (initialization, tables of functions), a process that waits few. What is wanted again is mapped again from the page
// cache. Mappings that may be written, or that hold pages of this process's own, stay.
func ReleaseProgram() error {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	maps, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		return err
	}
	var from, to uint64
	candidate := false
	for line := range strings.Lines(string(maps)) {
		fields := strings.Fields(line)
		switch {
		case len(fields) == 3 && fields[0] == "Anonymous:":
			if !candidate || fields[1] != "0" {
				continue
			}
			if _, _, errno := syscall.Syscall(syscall.SYS_MADVISE, uintptr(from), uintptr(to-from), syscall.MADV_DONTNEED); errno != 0 {
				return os.NewSyscallError("madvise", errno)
			}
		case len(fields) > 1 && !strings.HasSuffix(fields[0], ":"): // 00400000-02a4b000 r-xp 00000000 fe:00 1234 /usr/bin/mini-aws
			first, last, _ := strings.Cut(fields[0], "-")
			if from, err = strconv.ParseUint(first, 16, 64); err != nil {
				return err
			}
			if to, err = strconv.ParseUint(last, 16, 64); err != nil {
				return err
			}
			candidate = strings.HasSuffix(strings.TrimSpace(line), " "+program) && strings.HasPrefix(fields[1], "r-") && strings.HasSuffix(fields[1], "p")
		}
	}
	return nil
}
