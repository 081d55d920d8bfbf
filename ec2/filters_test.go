package ec2

import (
	"net/netip"
	"testing"
)

func TestPatterns(t *testing.T) {
	for _, c := range []struct {
		pattern, value string
		want           bool
	}{
		{"web", "web", true},
		{"web", "Web", false},
		{"web", "webs", false},
		{"w*", "web", true},
		{"*", "", true},
		{"w?b", "web", true},
		{"w?b", "wb", false},
		{"*b*b", "abcb", true},
		{"*b*b", "abc", false},
		{"a*b*c", "a-x-b-y-c", true},
		{`a\*c`, "a*c", true},
		{`a\*c`, "abc", false},
		{`a\\c`, `a\c`, true},
		{"ü?", "üß", true},
		{"", "", true},
		{"?", "", false},
	} {
		if got := compilePattern(c.pattern).matches(c.value); got != c.want {
			t.Errorf("%q matches %q: %v", c.pattern, c.value, got)
		}
	}
}

func TestReservedAddresses(t *testing.T) {
	subnet := netip.MustParsePrefix("10.0.1.0/24")
	free := 0
	for i := range sizeOf(subnet) {
		if !reserved(subnet, addressAt(subnet, i)) {
			free++
		}
	}
	if free != 251 {
		t.Errorf("%d addresses are free, want 251", free)
	}
	for _, address := range []string{"10.0.1.0", "10.0.1.1", "10.0.1.2", "10.0.1.3", "10.0.1.255"} {
		if !reserved(subnet, netip.MustParseAddr(address)) {
			t.Errorf("%s is not reserved", address)
		}
	}
}

func TestPrivateRanges(t *testing.T) {
	for text, want := range map[string]int{"10.1.0.0/16": 0, "172.31.0.0/16": 1, "192.168.4.0/24": 2, "100.64.0.0/16": -1, "172.32.0.0/16": -1} {
		if got := privateRange(netip.MustParsePrefix(text)); got != want {
			t.Errorf("%s is in %d, want %d", text, got, want)
		}
	}
}

func TestRulesAsAWSWordsThem(t *testing.T) {
	for want, r := range map[string]securityRule{
		"peer: 0.0.0.0/0, TCP, from port: 22, to port: 22, ALLOW": {Protocol: "tcp", From: 22, To: 22, CIDR: "0.0.0.0/0"},
		"peer: sg-1, ALL, ALLOW":                                  {Protocol: "-1", From: -1, To: -1, Group: "sg-1"},
		"peer: ::/0, ICMPV6, type: 128, code: ALL, ALLOW":         {Protocol: "icmpv6", From: 128, To: -1, CIDR: "::/0"},
	} {
		if got := r.String(); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

func TestZonesHaveOneNameAndOneID(t *testing.T) {
	names, ids := map[string]bool{}, map[string]bool{}
	for _, r := range regions {
		list, err := zonesOf(r.name)
		if err != nil || len(list) < 2 {
			t.Errorf("%s: %v, %v", r.name, list, err)
		}
		for _, z := range list {
			if names[z.name] || ids[z.id] {
				t.Errorf("%s %s is there twice", z.name, z.id)
			}
			names[z.name], ids[z.id] = true, true
		}
	}
}
