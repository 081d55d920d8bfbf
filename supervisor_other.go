//go:build !linux

package main

import "syscall"

// dieWithParent leaves it to the pipe that ends with the parent.
func dieWithParent() *syscall.SysProcAttr { return nil }
