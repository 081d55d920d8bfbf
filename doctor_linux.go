package main

import (
	"context"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// checkKernel looks at the host's kernel, which is the engine's too where the engine is on this machine.
func checkKernel(context.Context) finding {
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return warning("", "uname: %v", err)
	}
	release := unix.ByteSliceToString(name.Release[:])
	var missing []string
	if socket, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_NETFILTER); err != nil {
		missing = append(missing, "netfilter (security groups)")
	} else {
		_ = unix.Close(socket)
	}
	if _, err := os.Stat("/proc/self/ns/net"); err != nil {
		missing = append(missing, "network namespaces (VPCs)")
	}
	if _, err := os.Stat("/dev/loop-control"); err != nil {
		missing = append(missing, "loop devices (EBS volumes)")
	}
	if len(missing) > 0 {
		return warning("load the modules, or use a kernel that has them", "Linux %s lacks %s", release, strings.Join(missing, ", "))
	}
	return passed("Linux %s with netfilter, network namespaces and loop devices", release)
}
