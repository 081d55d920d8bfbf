//go:build !linux

package boot

import "syscall"

// dieWithParent leaves it to the link, whose end the worker sees.
func dieWithParent() *syscall.SysProcAttr { return nil }
