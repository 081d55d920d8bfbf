//go:build linux

package guest

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// Run is "mini-aws init" with its arguments; it answers the exit status. Without arguments it is PID 1 of an instance.
// Init calls itself with the others, and the power commands that it installs call it with their own path.
func Run(args []string) int {
	if len(args) == 0 {
		return fail(enter())
	}
	if name, ok := powerName(args[0]); ok {
		return power(name, args[1:])
	}
	switch {
	case args[0] == stageBoot && len(args) == 2:
		config, err := takeConfig(args[1])
		if err != nil {
			return fail(err)
		}
		return boot(config)
	case args[0] == stageKeys && len(args) == 2:
		return printConnectKeys(args[1])
	case args[0] == stageSFTP && len(args) == 1:
		return serveSFTP()
	}
	return fail(fmt.Errorf("unknown arguments %q", args))
}

// The arguments with which init calls itself.
const (
	stageBoot = "boot"
	stageSFTP = "sftp"
)

// self is this program, whatever the root file system holds by now.
const self = "/proc/self/exe"

func fail(err error) int {
	_, _ = fmt.Fprintf(os.Stderr, "mini-aws init: %v\n", err)
	return StatusConfig
}

// enter is stage 1. It reads nothing of the root file system, which the guest wrote: this is the place of the guards
// that must stand before. It returns only if it failed.
func enter() error {
	if os.Getpid() != 1 {
		return errors.New("this is PID 1 of an instance's container, started by mini-aws serve")
	}
	runtime.LockOSThread() // what the guards set belongs to a thread; exec ends all the others
	document, ok := os.LookupEnv(ConfigVariable)
	if !ok {
		return errors.New(ConfigVariable + " is not set")
	}
	memory, err := unix.MemfdCreate("mini-aws-config", unix.MFD_ALLOW_SEALING)
	if err != nil {
		return fmt.Errorf("memory file: %w", err)
	}
	for rest := []byte(document); len(rest) > 0; {
		n, err := unix.Write(memory, rest)
		if err != nil {
			return fmt.Errorf("memory file: %w", err)
		}
		rest = rest[n:]
	}
	if _, err := unix.FcntlInt(uintptr(memory), unix.F_ADD_SEALS, unix.F_SEAL_WRITE|unix.F_SEAL_GROW|unix.F_SEAL_SHRINK); err != nil {
		return fmt.Errorf("memory file: %w", err)
	}
	// The empty environment is what /proc/1/environ shows from now on.
	return syscall.Exec(self, []string{"mini-aws", "init", stageBoot, strconv.Itoa(memory)}, nil)
}

// takeConfig reads the memory file of stage 1 and closes it.
func takeConfig(descriptor string) (Config, error) {
	number, err := strconv.ParseUint(descriptor, 10, 16)
	if err != nil || number < 3 {
		return Config{}, fmt.Errorf("descriptor %q", descriptor)
	}
	memory := os.NewFile(uintptr(number), "mini-aws-config")
	document, err := io.ReadAll(io.NewSectionReader(memory, 0, int64(maxConfig)+1))
	if err := errors.Join(err, memory.Close()); err != nil {
		return Config{}, err
	}
	return parseConfig(document)
}
