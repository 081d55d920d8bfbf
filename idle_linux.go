package main

import (
	"bufio"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// releaseProgram lets go of the pages of the program file that this process has mapped: a start touches most of them
// (initialization, tables of functions), a process that waits few. What is wanted again is mapped again from the page
// cache. Mappings that may be written, or that hold pages of this process's own, stay.
func releaseProgram() error {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	file, err := os.Open("/proc/self/smaps")
	if err != nil {
		return err
	}
	defer file.Close()
	var from, to uintptr
	candidate := false
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		line := lines.Text()
		var permissions string
		switch {
		case strings.Contains(line, "-") && !strings.Contains(strings.SplitN(line, " ", 2)[0], ":"):
			if _, err := fmt.Sscanf(line, "%x-%x %s", &from, &to, &permissions); err != nil {
				return fmt.Errorf("/proc/self/smaps: %q: %w", line, err)
			}
			candidate = strings.HasSuffix(line, " "+program) && !strings.Contains(permissions, "w") && strings.HasSuffix(permissions, "p")
		case candidate && strings.HasPrefix(line, "Anonymous:"):
			var own int
			if _, err := fmt.Sscanf(line, "Anonymous: %d", &own); err != nil {
				return fmt.Errorf("/proc/self/smaps: %q: %w", line, err)
			}
			if own > 0 {
				continue
			}
			if _, _, errno := unix.Syscall(unix.SYS_MADVISE, from, to-from, unix.MADV_DONTNEED); errno != 0 {
				return os.NewSyscallError("madvise", errno)
			}
		}
	}
	return lines.Err()
}
