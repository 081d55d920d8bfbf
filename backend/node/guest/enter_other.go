//go:build !linux

package guest

import (
	"fmt"
	"os"
)

// Run says that instances are Linux: elsewhere the engine runs them in a virtual machine, with the Linux binary.
func Run([]string) int {
	_, _ = fmt.Fprintln(os.Stderr, "mini-aws init: runs on Linux only")
	return StatusConfig
}
