//go:build linux

package guest

import (
	"bufio"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// restAfter is how long nothing has to happen before init gives its memory back.
const restAfter = 2 * time.Second

// rest gives back what init holds once it is idle, as it is for most of an instance's life, in every instance.
type rest struct{ heap, program *time.Timer }

// newRest waits for the first call.
func newRest() *rest {
	r := &rest{time.AfterFunc(restAfter, giveBackHeap), time.AfterFunc(restAfter, giveBackProgram)}
	r.heap.Stop()
	r.program.Stop()
	return r
}

// after is called when work ended: a moment later memory is given back, unless other work ends meanwhile. A nil rest
// gives nothing back.
func (r *rest) after() {
	if r != nil {
		r.heap.Reset(restAfter)
	}
}

// afterLittle is after for work that leaves no garbage worth a collection.
func (r *rest) afterLittle() {
	if r != nil {
		r.program.Reset(restAfter)
	}
}

func giveBackHeap() {
	debug.FreeOSMemory()
	giveBackProgram()
}

// giveBackProgram returns the pages of the program file: boot and logins run code that is not needed again for long, and
// around each page that is touched the kernel maps fifteen more. It has the file in its cache, so what runs again is there
// at once.
func giveBackProgram() {
	maps, err := os.Open("/proc/self/maps")
	if err != nil {
		return
	}
	defer func() { _ = maps.Close() }()
	lines := bufio.NewScanner(maps)
	for lines.Scan() {
		if start, size, ok := unwritableOfFile(lines.Text()); ok {
			// A mapping that could not be given back only costs what it did before.
			_, _, _ = syscall.Syscall(unix.SYS_MADVISE, start, size, unix.MADV_DONTNEED)
		}
	}
}

// unwritableOfFile answers the range of a line of /proc/PID/maps if it shows a file's content that nobody can have changed
// in memory: whatever is let go of it is read again from the file.
//
//	00400000-005e1000 r-xp 00000000 00:3f 1234   /mini-aws/init
func unwritableOfFile(line string) (start, size uintptr, ok bool) {
	fields := strings.Fields(line)
	if len(fields) < 6 || !strings.HasPrefix(fields[5], "/") || !strings.HasPrefix(fields[1], "r-") || fields[1][3] != 'p' {
		return 0, 0, false
	}
	from, to, _ := strings.Cut(fields[0], "-")
	first, err := strconv.ParseUint(from, 16, 64)
	if err != nil {
		return 0, 0, false
	}
	last, err := strconv.ParseUint(to, 16, 64)
	if err != nil || last <= first {
		return 0, 0, false
	}
	return uintptr(first), uintptr(last - first), true
}
