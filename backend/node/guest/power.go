//go:build linux

package guest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// powerCommands are the commands by which people end a machine from inside, and the signal that each sends to PID 1.
var powerCommands = map[string]syscall.Signal{
	"halt":     signalSystemdHalt,
	"poweroff": signalSystemdPowerOff,
	"shutdown": signalSystemdPowerOff,
	"reboot":   signalSystemdReboot,
}

// powerFolder comes first in every usual PATH, before the image's own commands, which talk to an init that is not
// there; nothing of the image is written over.
const powerFolder = "usr/local/sbin"

// powerMark tells init's own files from the image's.
const powerMark = "# Mini AWS: asks PID 1"

// installPowerCommands writes the commands as files of two lines, which name this binary as their interpreter: that
// works in images without a shell, too.
func (r rootFolder) installPowerCommands(binary string) error {
	if len(binary) > 100 || strings.ContainsAny(binary, " \t\n") {
		return fmt.Errorf("%q cannot be an interpreter", binary)
	}
	if err := os.MkdirAll(r.path(powerFolder), 0o755); err != nil {
		return err
	}
	content := "#!" + binary + " init\n" + powerMark + "\n"
	var all []error
	for name := range powerCommands {
		file := powerFolder + "/" + name
		if known, err := r.read(file); err != nil || known == content || known != "" && !strings.Contains(known, powerMark) {
			all = append(all, err)
			continue
		}
		all = append(all, r.replace(file, []byte(content), fileMode{mode: 0o755}))
	}
	return errors.Join(all...)
}

// powerSignal answers what a command line asks of PID 1.
func powerSignal(name string, args []string) (syscall.Signal, error) {
	wanted := powerCommands[name]
	if name != "shutdown" {
		return wanted, nil
	}
	when := ""
	for _, arg := range args {
		switch arg {
		case "-r", "--reboot":
			wanted = signalSystemdReboot
		case "-h", "-P", "-H", "--halt", "--poweroff":
		case "-c":
			return 0, errors.New("no shutdown is planned")
		default:
			if strings.HasPrefix(arg, "-") {
				return 0, fmt.Errorf("option %s is not known", arg)
			}
			if when == "" {
				when = arg
			}
		}
	}
	if !slices.Contains([]string{"", "now", "+0"}, when) {
		return 0, fmt.Errorf("a shutdown at %q is not supported, only now", when)
	}
	return wanted, nil
}

// power is one of the power commands, called by somebody inside.
func power(name string, args []string) int {
	wanted, err := powerSignal(name, args)
	if err == nil {
		err = syscall.Kill(1, wanted)
	}
	if err != nil {
		_, _ = fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		return 1
	}
	return 0
}

// powerName answers the command that a path stands for.
func powerName(path string) (string, bool) {
	name := filepath.Base(path)
	_, ok := powerCommands[name]
	return name, ok
}
