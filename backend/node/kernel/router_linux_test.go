package kernel

import (
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// TestPlanned: what an agent of before left in the kernel's own tables goes away, what the kernel put there stays.
func TestPlanned(t *testing.T) {
	for _, c := range []struct {
		name  string
		route netlink.Route
		want  bool
	}{
		{"a subnet's", netlink.Route{Table: 1001, Protocol: unix.RTPROT_STATIC}, true},
		{"a subnet's of an agent of before", netlink.Route{Table: 101, Protocol: unix.RTPROT_STATIC}, true},
		{"that of subnet 155 then, in the table of local addresses", netlink.Route{Table: unix.RT_TABLE_LOCAL, Protocol: unix.RTPROT_STATIC}, true},
		{"of a local address", netlink.Route{Table: unix.RT_TABLE_LOCAL, Protocol: unix.RTPROT_KERNEL}, false},
		{"of multicast", netlink.Route{Table: unix.RT_TABLE_LOCAL, Protocol: unix.RTPROT_BOOT}, false},
		{"of a link", netlink.Route{Table: unix.RT_TABLE_MAIN, Protocol: unix.RTPROT_KERNEL}, false},
	} {
		if got := planned(c.route); got != c.want {
			t.Errorf("%s: %t", c.name, got)
		}
	}
}
