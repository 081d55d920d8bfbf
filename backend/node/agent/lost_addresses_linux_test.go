package agent

import (
	"net/netip"
	"slices"
	"testing"

	"miniaws/backend"
)

// TestAddressesOfNATGatewaysAreLost: connections end with each address of a gateway that goes, or that another one gets.
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
	lost := lostAddresses(before, after)
	slices.SortFunc(lost, netip.Addr.Compare)
	want := []netip.Addr{address("10.0.0.3"), address("10.0.0.4"), address("10.0.0.9"), address("198.18.0.9"), address("198.18.0.10")}
	if !slices.Equal(lost, want) {
		t.Errorf("lost %v, not %v", lost, want)
	}
	if lost := lostAddresses(before, before); len(lost) > 0 {
		t.Errorf("lost %v without a change", lost)
	}
}
