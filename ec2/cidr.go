package ec2

import (
	"encoding/binary"
	"net/netip"
	"slices"
)

// parseCIDR answers the IPv4 or IPv6 range with its host bits cleared, as AWS does.
func parseCIDR(text string) (netip.Prefix, bool) {
	prefix, err := netip.ParsePrefix(text)
	if err != nil {
		return netip.Prefix{}, false
	}
	return prefix.Masked(), true
}

// parseIPv4CIDR is parseCIDR for IPv4 alone.
func parseIPv4CIDR(text string) (netip.Prefix, bool) {
	prefix, ok := parseCIDR(text)
	return prefix, ok && prefix.Addr().Is4()
}

func parseIPv6CIDR(text string) (netip.Prefix, bool) {
	prefix, ok := parseCIDR(text)
	return prefix, ok && prefix.Addr().Is6()
}

// covers tells whether outer holds all of inner.
func covers(outer, inner netip.Prefix) bool {
	return outer.Bits() <= inner.Bits() && outer.Contains(inner.Addr())
}

// addressAt is the n-th address of an IPv4 range, from 0.
func addressAt(prefix netip.Prefix, n uint32) netip.Addr {
	base := prefix.Masked().Addr().As4()
	var raw [4]byte
	binary.BigEndian.PutUint32(raw[:], binary.BigEndian.Uint32(base[:])+n)
	return netip.AddrFrom4(raw)
}

// sizeOf is how many addresses an IPv4 range has.
func sizeOf(prefix netip.Prefix) uint32 { return uint32(1) << (32 - prefix.Bits()) }

// reservedAddresses are those of a subnet that AWS keeps: network, router, resolver, one more, broadcast.
// AWS: "Subnet CIDR blocks": the first four addresses and the last one.
const reservedAddresses = 5

// reserved tells whether an address of a subnet is not to be given out.
func reserved(subnet netip.Prefix, address netip.Addr) bool {
	base, raw := subnet.Masked().Addr().As4(), address.As4()
	n := binary.BigEndian.Uint32(raw[:]) - binary.BigEndian.Uint32(base[:])
	return n < 4 || n == sizeOf(subnet)-1
}

// privateRanges are those of RFC 1918; ranges of one VPC must not come from two of them.
var privateRanges = []netip.Prefix{
	netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("172.16.0.0/12"), netip.MustParsePrefix("192.168.0.0/16"),
}

// privateRange is the index of the private range that holds the prefix, or -1.
func privateRange(prefix netip.Prefix) int {
	return slices.IndexFunc(privateRanges, func(outer netip.Prefix) bool { return covers(outer, prefix) })
}
