package sim_test

import (
	"net/netip"
	"testing"
	"time"

	"miniaws/backend"
	"miniaws/backend/enginetest"
	"miniaws/backend/sim"
)

func smallVPC() backend.WantedVPC {
	return backend.WantedVPC{
		ID: "vpc-1", CIDRs: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/16")},
		Subnets:     []backend.WantedSubnet{{ID: "subnet-1", CIDR: netip.MustParsePrefix("10.0.1.0/24"), RouteTable: "rtb-1", NetworkACL: "acl-1"}},
		RouteTables: []backend.WantedRouteTable{{ID: "rtb-1"}},
		NetworkACLs: []backend.WantedNetworkACL{{ID: "acl-1"}},
		ENIs:        []backend.WantedENI{{ID: "eni-1", Subnet: "subnet-1", MAC: "0a:00:00:00:00:01", Addresses: []netip.Addr{netip.MustParseAddr("10.0.1.4")}}},
	}
}

func TestVPCs(t *testing.T) {
	network := sim.OpenNetwork(time.Now)
	attachment := backend.Attachment{VPC: "vpc-1", ENI: "eni-1", Container: "i-1", PID: 1}
	if _, err := network.AttachENI(t.Context(), attachment); backend.KindOf(err) != backend.KindNotFound {
		t.Errorf("attach to nothing: %v", err)
	}
	for range 2 {
		if observed, err := network.ApplyVPC(t.Context(), smallVPC()); err != nil || !observed.Simulated {
			t.Fatalf("%+v, %v", observed, err)
		}
	}
	if observed, err := network.AttachENI(t.Context(), attachment); err != nil || !observed.Simulated {
		t.Errorf("%+v, %v", observed, err)
	}
	if all, err := network.ListVPCs(t.Context()); err != nil || len(all) != 1 || len(all[0].ENIs) != 1 {
		t.Errorf("%+v, %v", all, err)
	}
	without := smallVPC()
	without.ENIs = nil
	if observed, err := network.ApplyVPC(t.Context(), without); err != nil || len(observed.ENIs) != 0 {
		t.Errorf("an interface that is gone is still attached: %+v, %v", observed, err)
	}
	if err := network.RemoveVPC(t.Context(), "vpc-1"); err != nil {
		t.Error(err)
	}
	if all, err := network.ListVPCs(t.Context()); err != nil || len(all) != 0 {
		t.Errorf("%+v, %v", all, err)
	}
}

func TestVPCThatContradictsItself(t *testing.T) {
	for name, spoil := range map[string]func(*backend.WantedVPC){
		"no range":           func(w *backend.WantedVPC) { w.CIDRs = nil },
		"subnet outside":     func(w *backend.WantedVPC) { w.Subnets[0].CIDR = netip.MustParsePrefix("10.1.0.0/24") },
		"no route table":     func(w *backend.WantedVPC) { w.RouteTables = nil },
		"address outside":    func(w *backend.WantedVPC) { w.ENIs[0].Addresses[0] = netip.MustParseAddr("10.0.2.4") },
		"unknown group":      func(w *backend.WantedVPC) { w.ENIs[0].Groups = []string{"sg-1"} },
		"MAC":                func(w *backend.WantedVPC) { w.ENIs[0].MAC = "x" },
		"same address twice": func(w *backend.WantedVPC) { w.ENIs = append(w.ENIs, w.ENIs[0]); w.ENIs[1].ID = "eni-2" },
		"same id twice":      func(w *backend.WantedVPC) { w.RouteTables = append(w.RouteTables, w.RouteTables[0]) },
	} {
		wanted := smallVPC()
		spoil(&wanted)
		if _, err := sim.OpenNetwork(time.Now).ApplyVPC(t.Context(), wanted); backend.KindOf(err) != backend.KindPermanent {
			t.Errorf("%s: %v: kind %v, want permanent", name, err, backend.KindOf(err))
		}
	}
}

func TestNetworkConforms(t *testing.T) {
	enginetest.RunNetwork(t, enginetest.NetworkSetup{
		Network:   sim.OpenNetwork(time.Now),
		Container: func(*testing.T) (string, int) { return "i-1", 4711 },
		Restart:   func(*testing.T, string) int { return 4712 },
	})
}
