package agent

import (
	"net/netip"
	"slices"
	"testing"

	"miniaws/backend"
)

// TestAddressesOfNATGatewaysAreLost: connections end with each address of a gateway that goes, or that another one gets, and with
// prefixes of interfaces.
func TestAddressesOfNATGatewaysAreLost(t *testing.T) {
	address := netip.MustParseAddr
	private := func(id, own string, more ...netip.Addr) backend.WantedNATGateway {
		return backend.WantedNATGateway{ID: id, Private: address(own), More: more}
	}
	public := backend.WantedNATGateway{ID: "nat-public", Private: address("10.0.0.9"), Public: address("198.18.0.9"), More: []netip.Addr{address("198.18.0.10")}}
	before := backend.WantedVPC{NATGateways: []backend.WantedNATGateway{
		private("nat-a", "10.0.0.1", address("10.0.0.2"), address("10.0.0.3")), private("nat-b", "10.0.0.4"), private("nat-c", "10.0.0.5"), public,
	}}
	after := backend.WantedVPC{NATGateways: []backend.WantedNATGateway{
		private("nat-a", "10.0.0.1", address("10.0.0.2")), private("nat-new", "10.0.0.4"), private("nat-c", "10.0.0.5"),
	}}
	before.ENIs = []backend.WantedENI{{ID: "eni-a", Addresses: []netip.Addr{address("10.0.1.4")}, Prefixes: []netip.Prefix{netip.MustParsePrefix("10.0.1.16/28"), netip.MustParsePrefix("10.0.1.32/28")}}}
	after.ENIs = []backend.WantedENI{{ID: "eni-a", Addresses: []netip.Addr{address("10.0.1.4")}, Prefixes: []netip.Prefix{netip.MustParsePrefix("10.0.1.32/28")}}}
	var lost []string
	for _, gone := range lostRanges(before, after) {
		lost = append(lost, gone.String())
	}
	slices.Sort(lost)
	want := []string{"10.0.0.3/32", "10.0.0.4/32", "10.0.0.9/32", "10.0.1.16/28", "198.18.0.10/32", "198.18.0.9/32"}
	if !slices.Equal(lost, want) {
		t.Errorf("lost %v, not %v", lost, want)
	}
	if lost := lostRanges(before, before); len(lost) > 0 {
		t.Errorf("lost %v without a change", lost)
	}
}
