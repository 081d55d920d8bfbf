package ec2

import (
	"hash/fnv"
	"net/netip"
	"strings"

	"miniaws/backend/store"
)

// privateAddress is an address of a subnet that an interface has, or a prefix of one.
type privateAddress struct{ Subnet, Address, Interface string }

// first is the address, or the first one of the prefix.
func (p *privateAddress) first() netip.Addr {
	if prefix, err := netip.ParsePrefix(p.Address); err == nil {
		return prefix.Addr()
	}
	return netip.MustParseAddr(p.Address)
}

// findPrivate answers who has the address of a subnet, by itself or in a prefix; nil for nobody.
func findPrivate(t tx, subnetID string, address netip.Addr) (*privateAddress, error) {
	rows := privateAddresses.In(t, t.scope)
	row, err := rows.Find(subnetID, address.String())
	if row != nil || err != nil {
		return row, err
	}
	return rows.Find(subnetID, blockOf(address).String())
}

var privateAddresses = store.NewTable(store.Spec[privateAddress]{
	Service: "ec2",
	Name:    "private-addresses",
	ID:      func(p *privateAddress) store.ID { return store.ID{p.Subnet, p.Address} },
})

// freeAddresses counts the IPv4 addresses of a subnet that are still to be had.
func freeAddresses(t tx, n *subnet) (int, error) {
	free := int(sizeOf(n.prefix())) - reservedAddresses
	for row, err := range privateAddresses.In(t, t.scope).Scan(store.Query{Parts: store.ID{n.ID}}) {
		if err != nil {
			return 0, err
		}
		switch {
		case row.first().Is6():
		case strings.Contains(row.Address, "/"):
			free -= prefixSize
		default:
			free--
		}
	}
	return free, nil
}

// allocateAddress gives an interface the wanted IPv4 address of a subnet, or a free one for the zero Addr.
func allocateAddress(t tx, n *subnet, owner string, wanted netip.Addr) (netip.Addr, error) {
	rows, prefix := privateAddresses.In(t, t.scope), n.prefix()
	if wanted.IsValid() {
		switch {
		case !wanted.Is4() || !prefix.Contains(wanted):
			return wanted, errAddressNotInSubnet(wanted.String())
		case reserved(prefix, wanted):
			return wanted, errAddressReserved(wanted.String())
		}
		taken, err := findPrivate(t, n.ID, wanted)
		if err != nil {
			return wanted, err
		}
		if taken != nil {
			return wanted, errAddressInUse(wanted.String())
		}
		return wanted, rows.Insert(&privateAddress{n.ID, wanted.String(), owner})
	}
	// Start somewhere that follows from the owner, so that transactions at the same time rarely meet.
	hash := fnv.New32a()
	_, _ = hash.Write([]byte(owner + t.NewID("")))
	usable := sizeOf(prefix) - reservedAddresses
	kept, err := reservedRanges(t, n.ID)
	if err != nil {
		return netip.Addr{}, err
	}
	for i := range usable {
		address := addressAt(prefix, 4+(hash.Sum32()%usable+i)%usable)
		if insideOf(kept, address) {
			continue
		}
		taken, err := findPrivate(t, n.ID, address)
		if err != nil {
			return address, err
		}
		if taken == nil {
			return address, rows.Insert(&privateAddress{n.ID, address.String(), owner})
		}
	}
	return netip.Addr{}, errNoFreeAddresses(n.ID)
}

// allocateIPv6 gives an interface the wanted IPv6 address of a subnet, or a free one.
func allocateIPv6(t tx, n *subnet, owner string, wanted netip.Addr) (netip.Addr, error) {
	if len(n.IPv6) == 0 {
		return wanted, errInvalidParameterValue("The subnet '%s' does not have an IPv6 CIDR block associated with it.", n.ID)
	}
	rows, prefix := privateAddresses.In(t, t.scope), netip.MustParsePrefix(n.IPv6[0].CIDR)
	if !wanted.IsValid() {
		kept, err := reservedRanges(t, n.ID)
		if err != nil {
			return wanted, err
		}
		// A random address is in a part that is kept, or in somebody's prefix, now and then; in a subnet that is kept whole, always.
		const tries = 1000
		free := false
		for range tries {
			raw := prefix.Addr().As16()
			hash := fnv.New64a()
			_, _ = hash.Write([]byte(owner + t.NewID("")))
			copy(raw[8:], hash.Sum(nil))
			if wanted = netip.AddrFrom16(raw); insideOf(kept, wanted) {
				continue
			}
			taken, err := findPrivate(t, n.ID, wanted)
			if err != nil {
				return wanted, err
			}
			if free = taken == nil; free {
				break
			}
		}
		if !free {
			return wanted, errNoFreeAddresses(n.ID)
		}
	}
	if !wanted.Is6() || !prefix.Contains(wanted) {
		return wanted, errAddressNotInSubnet(wanted.String())
	}
	taken, err := findPrivate(t, n.ID, wanted)
	if err != nil {
		return wanted, err
	}
	if taken != nil {
		return wanted, errAddressInUse(wanted.String())
	}
	return wanted, rows.Insert(&privateAddress{n.ID, wanted.String(), owner})
}

// freeAddress gives an address or a prefix back.
func freeAddress(t tx, subnetID, address string) error {
	return privateAddresses.In(t, t.scope).Delete(subnetID, address)
}
