package enginetest

import (
	"net/netip"
	"slices"
	"testing"

	"miniaws/backend"
)

// NetworkSetup is what [RunNetwork] needs.
type NetworkSetup struct {
	Network backend.VPCNetwork
	// Container answers a running container without a network of its own, and Restart makes it a new process of the same
	// name. Simulated networks take any number.
	Container func(t *testing.T) (name string, pid int)
	Restart   func(t *testing.T, name string) (pid int)
}

// conformingVPC is a VPC of one subnet with two interfaces.
func conformingVPC(id string) backend.WantedVPC {
	everywhere := netip.MustParsePrefix("0.0.0.0/0")
	rules := []backend.WantedSecurityRule{{Protocol: backend.ProtocolAll, CIDRs: []netip.Prefix{everywhere}}}
	entries := []backend.WantedACLEntry{{Number: 100, Allow: true, Protocol: backend.ProtocolAll, CIDR: everywhere}}
	v := backend.WantedVPC{
		ID: id, Account: "000000000000", Region: "us-east-1", CIDRs: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/16")},
		Subnets:        []backend.WantedSubnet{{ID: "subnet-1", CIDR: netip.MustParsePrefix("10.0.1.0/24"), RouteTable: "rtb-1", NetworkACL: "acl-1"}},
		RouteTables:    []backend.WantedRouteTable{{ID: "rtb-1"}},
		NetworkACLs:    []backend.WantedNetworkACL{{ID: "acl-1", Ingress: entries, Egress: entries}},
		SecurityGroups: []backend.WantedSecurityGroup{{ID: "sg-1", Ingress: rules, Egress: rules}},
	}
	for i, eni := range []string{"eni-1", "eni-2"} {
		v.ENIs = append(v.ENIs, backend.WantedENI{
			ID: eni, Subnet: "subnet-1", MAC: "0a:00:00:00:00:0" + string(rune('1'+i)), Addresses: []netip.Addr{netip.AddrFrom4([4]byte{10, 0, 1, byte(4 + i)})},
			Groups: []string{"sg-1"}, SourceDestCheck: true,
		})
	}
	return v
}

// RunNetwork checks what [backend.VPCNetwork] promises of every network, real or simulated. The network is empty before
// and after.
func RunNetwork(t *testing.T, setup NetworkSetup) {
	ctx, n := t.Context(), setup.Network
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	wantKind := func(err error, want backend.Kind) {
		t.Helper()
		if backend.KindOf(err) != want {
			t.Errorf("%v is of kind %v, want %v", err, backend.KindOf(err), want)
		}
	}
	list := func() []backend.ObservedVPC {
		t.Helper()
		all, err := n.ListVPCs(ctx)
		must(err)
		return all
	}
	if all := list(); len(all) != 0 {
		t.Fatalf("not empty: %+v", all)
	}
	info, err := n.NetworkInfo(ctx)
	must(err)
	if !info.Usable || info.Name == "" || !info.Public.IsValid() {
		t.Errorf("%+v", info)
	}

	t.Log("a VPC is applied as often as one likes, and listed in the order of ids")
	second, first := conformingVPC("vpc-2"), conformingVPC("vpc-1")
	for _, v := range []backend.WantedVPC{second, first, first} {
		observed, err := n.ApplyVPC(ctx, v)
		must(err)
		if observed.ID != v.ID || len(observed.Problems) > 0 || len(observed.ENIs) > 0 || observed.Simulated != info.Simulated {
			t.Errorf("%+v", observed)
		}
	}
	if all := list(); len(all) != 2 || all[0].ID != "vpc-1" || all[1].ID != "vpc-2" {
		t.Errorf("%+v", all)
	}

	t.Log("a value that contradicts itself is refused for good, and changes nothing")
	broken := conformingVPC("vpc-1")
	broken.ENIs[0].Subnet = "subnet-9"
	_, err = n.ApplyVPC(ctx, broken)
	wantKind(err, backend.KindPermanent)

	t.Log("interfaces are wired, again too, move with their container's new process, and are taken out")
	name, pid := setup.Container(t)
	attachment := backend.Attachment{VPC: "vpc-1", ENI: "eni-1", Container: name, PID: pid}
	for range 2 {
		observed, err := n.AttachENI(ctx, attachment)
		must(err)
		if observed.ID != "eni-1" || observed.VPC != "vpc-1" || observed.Container != name || observed.PID != pid {
			t.Errorf("%+v", observed)
		}
	}
	attached := func() []backend.ObservedENI { t.Helper(); return list()[0].ENIs }
	if enis := attached(); len(enis) != 1 || enis[0].ID != "eni-1" || enis[0].PID != pid {
		t.Errorf("%+v", enis)
	}
	unknown := attachment
	unknown.ENI = "eni-9"
	_, err = n.AttachENI(ctx, unknown)
	wantKind(err, backend.KindNotFound)
	attachment.PID = setup.Restart(t, name)
	_, err = n.AttachENI(ctx, attachment)
	must(err)
	further := attachment
	further.ENI, further.Index = "eni-2", 1
	_, err = n.AttachENI(ctx, further)
	must(err)
	if enis := attached(); len(enis) != 2 || enis[0].PID != attachment.PID || enis[1].Index != 1 {
		t.Errorf("%+v", enis)
	}
	for range 2 {
		must(n.DetachENI(ctx, "vpc-1", "eni-2"))
	}
	if enis := attached(); len(enis) != 1 {
		t.Errorf("%+v", enis)
	}

	t.Log("an interface that is not wanted any more is taken out with its VPC's next state")
	smaller := conformingVPC("vpc-1")
	smaller.ENIs = smaller.ENIs[1:]
	_, err = n.ApplyVPC(ctx, smaller)
	must(err)
	if enis := attached(); len(enis) != 0 {
		t.Errorf("%+v", enis)
	}

	t.Log("flows are of what is recorded alone: here nothing is")
	flows, err := n.Flows(ctx)
	must(err)
	if slices.ContainsFunc(flows, func(r backend.FlowRecord) bool { return true }) {
		t.Errorf("%+v", flows)
	}

	t.Log("what is not there cannot be reached, and is removed without an error")
	_, err = n.DialVPC(ctx, "vpc-9", "tcp", netip.MustParseAddrPort("10.0.1.4:80"))
	if err == nil {
		t.Error("connected into a VPC that there is not")
	}
	for range 2 {
		must(n.RemoveVPC(ctx, "vpc-2"))
		must(n.RemoveVPC(ctx, "vpc-1"))
	}
	if all := list(); len(all) != 0 {
		t.Errorf("%+v", all)
	}
}
