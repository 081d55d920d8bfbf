package kernel

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// inNamespace runs f on a thread inside the namespace.
func inNamespace(namespace netns.NsHandle, f func() error) error {
	result := make(chan error, 1)
	go func() {
		// A thread that cannot be brought back is never unlocked, and ends with its goroutine.
		runtime.LockOSThread()
		home, err := netns.Get()
		if err != nil {
			result <- err
			return
		}
		defer func() { _ = home.Close() }()
		if err := netns.Set(namespace); err != nil {
			result <- err
			return
		}
		err = f()
		if netns.Set(home) == nil {
			runtime.UnlockOSThread()
		}
		result <- err
	}()
	return <-result
}

// openNamespace answers the namespace that is mounted at the path, making it unless it is there. made tells which.
func openNamespace(path string) (namespace netns.NsHandle, made bool, err error) {
	if isNamespace(path) {
		namespace, err = netns.GetFromPath(path)
		return namespace, false, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return netns.None(), false, err
	}
	if err := os.WriteFile(path, nil, 0o444); err != nil && !errors.Is(err, os.ErrPermission) {
		return netns.None(), false, err
	}
	result := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		result <- func() error {
			if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
				return fmt.Errorf("a new network namespace: %w", err)
			}
			for _, setting := range settings {
				if err := sysctl(setting.name, setting.value); err != nil && !setting.optional {
					return err
				}
			}
			return unix.Mount(fmt.Sprintf("/proc/self/task/%d/ns/net", unix.Gettid()), path, "", unix.MS_BIND, "")
		}()
	}()
	if err := <-result; err != nil {
		return netns.None(), false, err
	}
	namespace, err = netns.GetFromPath(path)
	return namespace, true, err
}

// isNamespace tells whether a namespace is mounted at the path, and not just a file for one.
func isNamespace(path string) bool {
	var found unix.Statfs_t
	return unix.Statfs(path, &found) == nil && found.Type == unix.NSFS_MAGIC
}

// settings are those of every VPC's namespace.
var settings = []struct {
	name, value string
	optional    bool
}{
	{"net/ipv4/ip_forward", "1", false},
	// The filter at arrival knows each interface's own addresses; these know routes alone.
	{"net/ipv4/conf/all/rp_filter", "0", false},
	{"net/ipv4/conf/default/rp_filter", "0", false},
	{"net/ipv4/conf/all/send_redirects", "0", false},
	{"net/ipv4/conf/default/send_redirects", "0", false},
	{"net/ipv4/conf/all/accept_redirects", "0", false},
	{"net/ipv4/conf/default/accept_redirects", "0", false},
	{"net/ipv6/conf/all/disable_ipv6", "1", true},
	{"net/ipv6/conf/default/disable_ipv6", "1", true},
	// Flow logs count by connection.
	{"net/netfilter/nf_conntrack_acct", "1", true},
	{"net/netfilter/nf_conntrack_timestamp", "1", true},
}

// sysctl sets one of the calling thread's namespace.
func sysctl(name, value string) error {
	if err := os.WriteFile("/proc/sys/"+name, []byte(value), 0o644); err != nil {
		return fmt.Errorf("%s = %s: %w", name, value, err)
	}
	return nil
}

// removeNamespace lets go of the namespace at the path; absent is no error. It ends when its last user has.
func removeNamespace(path string) error {
	if isNamespace(path) {
		if err := unix.Unmount(path, unix.MNT_DETACH); err != nil {
			return fmt.Errorf("unmount %s: %w", path, err)
		}
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}
