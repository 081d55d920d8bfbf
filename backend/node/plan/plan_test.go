package plan

import (
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"miniaws/backend"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func prefix(text string) netip.Prefix { return netip.MustParsePrefix(text) }
func addr(text string) netip.Addr     { return netip.MustParseAddr(text) }

var everywhere = []netip.Prefix{prefix("0.0.0.0/0"), prefix("::/0")}

// twoTiers is a public and a private subnet, an instance in each, one that routes, and everything that a VPC can have.
func twoTiers() backend.WantedVPC {
	allowAll := []backend.WantedACLEntry{{Number: 100, Allow: true, Protocol: -1, CIDR: prefix("0.0.0.0/0")}}
	return backend.WantedVPC{
		ID: "vpc-0aaaaaaaaaaaaaaa1", CIDRs: []netip.Prefix{prefix("10.0.0.0/16"), prefix("10.1.0.0/24")},
		Subnets: []backend.WantedSubnet{
			{ID: "subnet-0000000000000pub1", CIDR: prefix("10.0.1.0/24"), RouteTable: "rtb-pub", NetworkACL: "acl-open"},
			{ID: "subnet-0000000000000prv1", CIDR: prefix("10.0.2.0/24"), RouteTable: "rtb-prv", NetworkACL: "acl-tight"},
		},
		RouteTables: []backend.WantedRouteTable{
			{ID: "rtb-pub", Routes: []backend.WantedRoute{
				{Destinations: []netip.Prefix{prefix("0.0.0.0/0")}, Target: "igw-1"},
				{Destinations: []netip.Prefix{prefix("10.9.0.0/16")}, Target: "pcx-0123456789abcdef0"},
			}},
			{ID: "rtb-prv", Routes: []backend.WantedRoute{
				{Destinations: []netip.Prefix{prefix("0.0.0.0/0")}, Target: "nat-1"},
				{Destinations: []netip.Prefix{prefix("172.16.0.0/12")}, Target: "eni-0000000000000000c"},
				{Destinations: []netip.Prefix{prefix("192.168.0.0/16")}, Target: "eni-0000000000000000b"},
				{Destinations: []netip.Prefix{prefix("10.8.0.0/16")}, Target: "pcx-gone"},
			}},
		},
		SecurityGroups: []backend.WantedSecurityGroup{
			{ID: "sg-web",
				Ingress: []backend.WantedSecurityRule{
					{Protocol: 6, FromPort: 80, ToPort: 80, CIDRs: everywhere},
					{Protocol: 1, FromPort: 8, ToPort: -1, CIDRs: []netip.Prefix{prefix("10.0.0.0/8")}},
				},
				Egress: []backend.WantedSecurityRule{{Protocol: -1, CIDRs: everywhere}}},
			{ID: "sg-db",
				Ingress: []backend.WantedSecurityRule{{Protocol: 6, FromPort: 5432, ToPort: 5432, Groups: []string{"sg-web", "sg-far"}}},
				Egress:  []backend.WantedSecurityRule{{Protocol: 17, FromPort: 0, ToPort: 65535, CIDRs: []netip.Prefix{prefix("10.0.0.0/16")}}}},
			{ID: "sg-idle", Ingress: []backend.WantedSecurityRule{{Protocol: -1, Groups: []string{"sg-idle"}}}},
		},
		ForeignGroups: map[string][]netip.Addr{"sg-far": {addr("10.9.0.4")}},
		NetworkACLs: []backend.WantedNetworkACL{
			{ID: "acl-open", Ingress: allowAll, Egress: allowAll},
			{ID: "acl-tight",
				Ingress: []backend.WantedACLEntry{
					{Number: 200, Allow: true, Protocol: -1, CIDR: prefix("0.0.0.0/0")},
					{Number: 100, Allow: false, Protocol: 6, FromPort: 22, ToPort: 22, CIDR: prefix("10.0.1.0/24")},
				},
				Egress: []backend.WantedACLEntry{{Number: 100, Allow: true, Protocol: 6, FromPort: 1024, ToPort: 65535, CIDR: prefix("0.0.0.0/0")}}},
		},
		ENIs: []backend.WantedENI{
			{ID: "eni-0000000000000000a", Subnet: "subnet-0000000000000pub1", MAC: "0a:00:00:00:00:01", Addresses: []netip.Addr{addr("10.0.1.4"), addr("10.0.1.5")},
				Public: []backend.WantedPublicAddress{{Private: addr("10.0.1.4"), Public: addr("198.18.8.1")}}, Groups: []string{"sg-web"}, SourceDestCheck: true},
			{ID: "eni-0000000000000000b", Subnet: "subnet-0000000000000prv1", MAC: "0a:00:00:00:00:02", Addresses: []netip.Addr{addr("10.0.2.4")},
				Groups: []string{"sg-db", "sg-web"}, SourceDestCheck: true},
			{ID: "eni-0000000000000000c", Subnet: "subnet-0000000000000prv1", MAC: "0a:00:00:00:00:03", Addresses: []netip.Addr{addr("10.0.2.5")},
				Groups: []string{"sg-db"}},
		},
		InternetGateway: "igw-1",
		NATGateways:     []backend.WantedNATGateway{{ID: "nat-1", Subnet: "subnet-0000000000000pub1", Private: addr("10.0.1.9"), Public: addr("198.18.8.2")}},
		Peerings:        []backend.WantedPeering{{ID: "pcx-0123456789abcdef0", VPC: "vpc-0bbb"}},
		DNS:             backend.WantedDNS{Enabled: true},
		FlowLogs:        []backend.WantedFlowLog{{ID: "fl-1", Resource: "vpc-0aaaaaaaaaaaaaaa1", Rejected: true}},
	}
}

func TestPlan(t *testing.T) {
	full := twoTiers()
	if err := full.Check(); err != nil {
		t.Fatal(err)
	}
	isolated := backend.WantedVPC{
		ID: "vpc-1", CIDRs: []netip.Prefix{prefix("10.0.0.0/24")},
		Subnets:     []backend.WantedSubnet{{ID: "subnet-1", CIDR: prefix("10.0.0.0/24"), RouteTable: "rtb-1", NetworkACL: "acl-1"}},
		RouteTables: []backend.WantedRouteTable{{ID: "rtb-1", Routes: []backend.WantedRoute{{Destinations: everywhere, Target: "igw-1"}}}},
		NetworkACLs: []backend.WantedNetworkACL{{ID: "acl-1"}},
		ENIs:        []backend.WantedENI{{ID: "eni-1", Subnet: "subnet-1", MAC: "0a:00:00:00:00:01", Addresses: []netip.Addr{addr("10.0.0.4")}, SourceDestCheck: true}},
	}
	attached := twoTiers()
	attached.TransitAttachments = []backend.WantedTransitAttachment{
		{ID: "tgw-attach-0123456789abcdef0", Gateway: "tgw-1", Subnets: []string{"subnet-0000000000000prv1"}, Ways: map[string]string{"subnet-0000000000000prv1": "subnet-0000000000000prv1"}},
		{ID: "tgw-attach-gone", Gateway: "tgw-2", Subnets: []string{"subnet-0000000000000pub1"}},
	}
	attached.RouteTables[0].Routes = append(attached.RouteTables[0].Routes, backend.WantedRoute{Destinations: []netip.Prefix{prefix("10.128.0.0/9")}, Target: "tgw-1"})
	attached.RouteTables[1].Routes = append(attached.RouteTables[1].Routes, backend.WantedRoute{Destinations: []netip.Prefix{prefix("10.128.0.0/9")}, Target: "tgw-1"},
		backend.WantedRoute{Destinations: []netip.Prefix{prefix("10.64.0.0/10")}, Target: "tgw-2"})
	dual := twoTiers()
	dual.CIDRs = append(dual.CIDRs, prefix("2001:db8:1::/56"))
	dual.EgressGateways = []string{"eigw-1"}
	for i, v6 := range []string{"2001:db8:1:0::/64", "2001:db8:1:1::/64"} {
		dual.Subnets[i].IPv6 = prefix(v6)
	}
	dual.ENIs[0].Addresses, dual.ENIs[1].Addresses = append(dual.ENIs[0].Addresses, addr("2001:db8:1::4")), append(dual.ENIs[1].Addresses, addr("2001:db8:1:1::4"))
	dual.RouteTables[0].Routes = append(dual.RouteTables[0].Routes, backend.WantedRoute{Destinations: everywhere[1:], Target: "igw-1"},
		backend.WantedRoute{Destinations: []netip.Prefix{prefix("2001:db8:9::/56")}, Target: "pcx-0123456789abcdef0"})
	dual.RouteTables[1].Routes = append(dual.RouteTables[1].Routes, backend.WantedRoute{Destinations: everywhere[1:], Target: "eigw-1"},
		backend.WantedRoute{Destinations: []netip.Prefix{prefix("2001:db8:2::/56")}, Target: "pcx-gone"})
	dual.NetworkACLs[1].Ingress = append(dual.NetworkACLs[1].Ingress, backend.WantedACLEntry{Number: 300, Allow: true, Protocol: 58, FromPort: 128, ToPort: -1, CIDR: prefix("::/0")})
	// The public subnet reaches the private one by an instance, and the private one all of the VPC by another, which is gone.
	steered := twoTiers()
	steered.RouteTables[0].Routes = append(steered.RouteTables[0].Routes, backend.WantedRoute{Destinations: []netip.Prefix{prefix("10.0.2.0/24")}, Target: "eni-0000000000000000c"},
		backend.WantedRoute{Destinations: []netip.Prefix{prefix("10.0.1.128/25")}, Target: "eni-0000000000000000c"})
	steered.RouteTables[1].Routes = append(steered.RouteTables[1].Routes, backend.WantedRoute{Destinations: []netip.Prefix{prefix("10.0.0.0/16")}, Target: "eni-0000000000000gone"})
	// The NAT gateway's subnet lets in HTTPS, and answers.
	guarded := twoTiers()
	guarded.NetworkACLs[0].Ingress = []backend.WantedACLEntry{
		{Number: 1, Allow: true, Protocol: 6, FromPort: 443, ToPort: 443, CIDR: prefix("10.0.2.0/24")}, {Number: 2, Allow: true, Protocol: 6, FromPort: 1024, ToPort: 65535, CIDR: prefix("0.0.0.0/0")},
	}
	// What the internet gateway brings for the private subnet goes to an instance, and what is for the public one to one that
	// takes nothing from outside.
	edged := twoTiers()
	edged.InternetTable = "rtb-edge"
	edged.ENIs[2].Public = []backend.WantedPublicAddress{{Private: addr("10.0.2.5"), Public: addr("198.18.8.3")}}
	edged.ENIs = append(edged.ENIs, backend.WantedENI{ID: "eni-0000000000000000d", Subnet: "subnet-0000000000000prv1", MAC: "0a:00:00:00:00:04", Addresses: []netip.Addr{addr("10.0.2.6")}})
	edged.RouteTables = append(edged.RouteTables, backend.WantedRouteTable{ID: "rtb-edge", Routes: []backend.WantedRoute{
		{Destinations: []netip.Prefix{prefix("10.0.2.0/24")}, Target: "eni-0000000000000000c"}, {Destinations: []netip.Prefix{prefix("10.0.1.0/24")}, Target: "eni-0000000000000000d"},
	}})
	// Public access is blocked for both subnets, and flow logs want to know of it.
	barred := dual
	barred.Subnets = slices.Clone(dual.Subnets)
	barred.Subnets[0].Internet, barred.Subnets[1].Internet = backend.InternetOutward, backend.InternetBlocked
	// A private NAT gateway sends on by a peering connection and by a transit gateway, and its subnet lets in HTTPS alone.
	relayed := attached
	relayed.NATGateways = []backend.WantedNATGateway{{ID: "nat-1", Subnet: "subnet-0000000000000pub1", Private: addr("10.0.1.9"), More: []netip.Addr{addr("10.0.1.10")}}}
	relayed.NetworkACLs = slices.Clone(attached.NetworkACLs)
	relayed.NetworkACLs[0].Ingress = []backend.WantedACLEntry{{Number: 1, Allow: true, Protocol: 6, FromPort: 443, ToPort: 443, CIDR: prefix("10.0.2.0/24")}}
	relayed.RouteTables = slices.Clone(attached.RouteTables)
	relayed.RouteTables[0].Routes = append(slices.Clone(attached.RouteTables[0].Routes), backend.WantedRoute{Destinations: []netip.Prefix{prefix("10.32.0.0/16")}, Target: "tgw-1"})
	relayed.TransitAttachments = slices.Clone(attached.TransitAttachments)
	relayed.TransitAttachments[0].Ways = map[string]string{"subnet-0000000000000prv1": "subnet-0000000000000prv1", "subnet-0000000000000pub1": "subnet-0000000000000prv1"}
	// Interfaces have prefixes: one with the check of its source, one without, and one with IPv6; rules refer to their groups.
	delegated := dual
	delegated.ENIs = slices.Clone(dual.ENIs)
	delegated.ENIs[0].Prefixes = []netip.Prefix{prefix("10.0.1.16/28"), prefix("2001:db8:1:0:5::/80")}
	delegated.ENIs[1].Prefixes = []netip.Prefix{prefix("10.0.2.32/28")}
	delegated.ENIs[2].Prefixes = []netip.Prefix{prefix("10.0.2.48/28"), prefix("2001:db8:1:1:5::/80")}
	for _, wanted := range []backend.WantedVPC{attached, dual, steered, guarded, edged, barred, relayed, delegated} {
		if err := wanted.Check(); err != nil {
			t.Fatal(err)
		}
	}
	place := Place{Gateway: addr("198.18.0.1"), Own: addr("198.18.0.17"), Host: []netip.Addr{addr("198.18.0.1"), addr("192.0.2.9")},
		Attached: map[string]bool{"eni-0000000000000000a": true, "eni-0000000000000000b": true, "eni-0000000000000000c": true},
		Peers:    map[string]bool{"vpc-0bbb": true}, Transits: map[string]bool{"tgw-1": true},
		Gateway6: addr("fe80::42"), World: []Reach{{Range: prefix("2001:db8:2::/56"), Via: addr("fe80::2")}, {Range: prefix("2001:db8:3::/56"), Via: addr("fe80::3")}}}
	for name, wanted := range map[string]backend.WantedVPC{"full": full, "isolated": isolated, "attached": attached, "dual": dual, "steered": steered, "guarded": guarded, "edged": edged, "barred": barred, "relayed": relayed, "delegated": delegated} {
		t.Run(name, func(t *testing.T) {
			place.Subnets = Number(nil, wanted)
			compare(t, name, Of(wanted, place))
		})
	}
}

// TestZonesStay: connections do not change zones because an instance that forwards stops or starts, and VPCs without such
// routes have no zones.
func TestZonesStay(t *testing.T) {
	wanted := twoTiers()
	place := Place{Gateway: addr("198.18.0.1"), Own: addr("198.18.0.17"), Subnets: Number(nil, wanted)}
	for name, c := range map[string]struct {
		target, destination string
		attached, zoned     bool
	}{
		"runs":           {"eni-0000000000000000c", "0.0.0.0/0", true, true},
		"stopped":        {"eni-0000000000000000c", "0.0.0.0/0", false, true},
		"inside the VPC": {"eni-0000000000000000c", "10.0.1.0/24", true, false},
		"no instance":    {"igw-1", "0.0.0.0/0", true, false},
	} {
		t.Run(name, func(t *testing.T) {
			wanted.RouteTables[1].Routes = []backend.WantedRoute{{Destinations: []netip.Prefix{prefix(c.destination)}, Target: c.target}}
			wanted.RouteTables[0].Routes = []backend.WantedRoute{{Destinations: everywhere, Target: "igw-1"}}
			place.Attached = map[string]bool{"eni-0000000000000000a": true, "eni-0000000000000000b": true, "eni-0000000000000000c": c.attached}
			if zoned := strings.Contains(Of(wanted, place).String(), "chain zones "); zoned != c.zoned {
				t.Errorf("zones: %v", zoned)
			}
		})
	}
}

// TestTablesOfManySubnets: no subnet's table is one of the kernel's own, which decide about everybody's packets.
func TestTablesOfManySubnets(t *testing.T) {
	wanted := backend.WantedVPC{ID: "vpc-1", CIDRs: []netip.Prefix{prefix("10.0.0.0/16")}, RouteTables: []backend.WantedRouteTable{{ID: "rtb-1"}}, NetworkACLs: []backend.WantedNetworkACL{{ID: "acl-1"}}}
	for i := range 200 {
		wanted.Subnets = append(wanted.Subnets, backend.WantedSubnet{ID: fmt.Sprintf("subnet-%03d", i), CIDR: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, byte(i), 0}), 24), RouteTable: "rtb-1", NetworkACL: "acl-1"})
	}
	tables := map[int]bool{}
	for _, rule := range Of(wanted, Place{Subnets: Number(nil, wanted)}).Rules {
		if rule.Table >= 253 && rule.Table <= 255 || tables[rule.Table] {
			t.Errorf("%s", rule)
		}
		tables[rule.Table] = true
	}
	if len(tables) != 201 {
		t.Errorf("%d tables", len(tables))
	}
}

// compare compares the plan with a golden file.
func compare(t *testing.T, name string, p Plan) {
	t.Helper()
	got, golden := p.String(), filepath.Join("testdata", name+".txt")
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if difference := cmp.Diff(string(want), got); difference != "" {
		t.Errorf("go test -update rewrites it, if this is meant:\n%s", difference)
	}
}

func TestTransitPlan(t *testing.T) {
	wanted := backend.WantedTransitGateway{
		ID:          "tgw-1",
		Attachments: []backend.WantedTransitLink{{ID: "tgw-attach-a", VPC: "vpc-a", RouteTable: "tgw-rtb-1"}, {ID: "tgw-attach-b", VPC: "vpc-b", RouteTable: "tgw-rtb-2"}, {ID: "tgw-attach-c", VPC: "vpc-c"}, {ID: "tgw-attach-away", VPC: "vpc-d", RouteTable: "tgw-rtb-1"}},
		RouteTables: []backend.WantedTransitRouteTable{
			{ID: "tgw-rtb-1", Routes: []backend.WantedTransitRoute{
				{Destination: prefix("10.0.0.0/16"), Attachment: "tgw-attach-a"}, {Destination: prefix("10.1.0.0/16"), Attachment: "tgw-attach-b"},
				{Destination: prefix("10.3.0.0/16"), Attachment: "tgw-attach-away"}, {Destination: prefix("10.1.9.0/24")},
			}},
			{ID: "tgw-rtb-2", Routes: []backend.WantedTransitRoute{{Destination: everywhere[0], Attachment: "tgw-attach-a"}}},
		},
	}
	if err := wanted.Check(); err != nil {
		t.Fatal(err)
	}
	place := TransitPlace{Tables: NumberTransit(nil, wanted), Joined: map[string]bool{"tgw-attach-a": true, "tgw-attach-b": true, "tgw-attach-c": true}}
	compare(t, "transit_gateway", OfTransit(wanted, place))
	for _, broken := range []backend.WantedTransitGateway{
		{}, {ID: "tgw-1", Attachments: []backend.WantedTransitLink{{ID: "a", VPC: "v"}, {ID: "b", VPC: "v"}}},
		{ID: "tgw-1", Attachments: []backend.WantedTransitLink{{ID: "a", VPC: "v", RouteTable: "none"}}},
		{ID: "tgw-1", RouteTables: []backend.WantedTransitRouteTable{{ID: "r", Routes: []backend.WantedTransitRoute{{Destination: prefix("10.0.0.0/8"), Attachment: "none"}}}}},
		{ID: "tgw-1", RouteTables: []backend.WantedTransitRouteTable{{ID: "r", Routes: []backend.WantedTransitRoute{{Destination: netip.PrefixFrom(addr("10.0.0.1"), 8)}}}}},
	} {
		if broken.Check() == nil {
			t.Errorf("%+v is sound", broken)
		}
	}
}

func TestNumbersStay(t *testing.T) {
	wanted := backend.WantedVPC{Subnets: []backend.WantedSubnet{{ID: "subnet-b"}, {ID: "subnet-c"}}}
	first := Number(nil, wanted)
	wanted.Subnets = []backend.WantedSubnet{{ID: "subnet-a"}, {ID: "subnet-c"}}
	if got, want := Number(first, wanted), (map[string]int{"subnet-a": 1, "subnet-c": 2}); !cmp.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestDeviceNames(t *testing.T) {
	for id, want := range map[string]string{"eni-1": "eni1", "eni-0123456789abcdef0": "eni56789abcdef0", "pcx-0123456789abcdef0": "pcx56789abcdef0"} {
		if got := DeviceName(id); got != want || len(got) > 15 {
			t.Errorf("%s: %s, want %s", id, got, want)
		}
	}
}

func TestOrigins(t *testing.T) {
	wanted := twoTiers()
	wanted.Endpoints = []backend.WantedVPCEndpoint{{ID: "vpce-1", RouteTables: []string{"rtb-prv"}}}
	if err := wanted.Check(); err != nil {
		t.Fatal(err)
	}
	place := Place{Gateway: addr("198.18.0.1"), Subnets: Number(nil, wanted)}
	for source, want := range map[string]struct {
		public    string
		endpoints int
		ok        bool
	}{
		"10.0.1.4":   {public: "198.18.8.1", ok: true},
		"10.0.1.5":   {},
		"10.0.2.4":   {public: "198.18.8.2", endpoints: 1, ok: true},
		"10.0.2.250": {},
	} {
		origin, ok := OriginOf(wanted, place, addr(source), backend.APIAddress)
		public := ""
		if origin.Public.IsValid() {
			public = origin.Public.String()
		}
		if ok != want.ok || public != want.public || len(origin.Endpoints) != want.endpoints {
			t.Errorf("%s: %+v, %v", source, origin, ok)
		}
	}
}

func TestAddressedEndpoint(t *testing.T) {
	wanted := twoTiers()
	wanted.SecurityGroups = append(wanted.SecurityGroups, backend.WantedSecurityGroup{ID: "sg-endpoint", Ingress: []backend.WantedSecurityRule{
		{Protocol: backend.ProtocolTCP, FromPort: 443, ToPort: 443, CIDRs: []netip.Prefix{prefix("10.0.2.4/32")}},
	}})
	wanted.ENIs = append(wanted.ENIs, backend.WantedENI{ID: "eni-e", Subnet: "subnet-0000000000000prv1", MAC: "0a:00:00:00:00:09", Addresses: []netip.Addr{addr("10.0.2.99")}, Groups: []string{"sg-endpoint"}, SourceDestCheck: true})
	wanted.Endpoints = []backend.WantedVPCEndpoint{{ID: "vpce-i", ENIs: []string{"eni-e"}}}
	if err := wanted.Check(); err != nil {
		t.Fatal(err)
	}
	place := Place{Gateway: addr("198.18.0.1"), Subnets: Number(nil, wanted)}
	for source, want := range map[string]bool{"10.0.2.4": true, "10.0.2.5": false, "10.0.1.4": false} {
		origin, ok := OriginOf(wanted, place, addr(source), addr("10.0.2.99"))
		if ok != want || origin.Addressed != "vpce-i" {
			t.Errorf("%s: %+v, %v", source, origin, ok)
		}
	}
	if all := Of(wanted, place).Router; !slices.Contains(all, addr("10.0.2.99")) {
		t.Errorf("the router is not where the endpoint is: %v", all)
	}
}

// TestInternetAccess: what an account's owner blocks is no way, whatever routes say.
func TestInternetAccess(t *testing.T) {
	wanted := twoTiers()
	place := Place{Gateway: addr("198.18.0.1"), Own: addr("198.18.0.17"), Subnets: Number(nil, wanted), Attached: map[string]bool{}}
	for access, want := range map[backend.InternetAccess][2]way{
		backend.InternetOpen: {internet, translate}, backend.InternetOutward: {barred, translate}, backend.InternetBlocked: {barred, barred},
	} {
		for i := range wanted.Subnets {
			wanted.Subnets[i].Internet = access
		}
		m := newModel(wanted, place)
		for i, subnet := range wanted.Subnets[:2] {
			steps := m.steps(subnet.ID)
			if got := steps[len(steps)-1].way; got != want[i] {
				t.Errorf("%q in %s: %s, want %s", access, subnet.ID, got, want[i])
			}
		}
		silent := wanted
		silent.FlowLogs = nil
		for i, subnet := range wanted.Subnets[:2] {
			steps := newModel(silent, place).steps(subnet.ID)
			if got := steps[len(steps)-1].way; got != want[i] && (want[i] != barred || got != blackhole) {
				t.Errorf("%q in %s without flow logs: %s", access, subnet.ID, got)
			}
		}
		public := slices.IndexFunc(m.filter(false).Sets, func(s Set) bool { return s.Name == mapPublicIn && len(s.Elements) > 0 }) >= 0
		if public != (access == backend.InternetOpen) {
			t.Errorf("%q: public addresses lead in: %v", access, public)
		}
	}
}

// TestThroughNAT: a NAT gateway sends on by its own subnet's table, as far as the sender's has nothing longer.
func TestThroughNAT(t *testing.T) {
	const pcx = "pcx-0123456789abcdef0"
	route := func(target string, ranges ...string) backend.WantedRoute {
		r := backend.WantedRoute{Target: target}
		for _, text := range ranges {
			r.Destinations = append(r.Destinations, prefix(text))
		}
		return r
	}
	for _, c := range []struct {
		name     string
		own, nat []backend.WantedRoute
		private  bool
		want     string
	}{
		{"out and inside", []backend.WantedRoute{route("nat-1", "0.0.0.0/0")}, []backend.WantedRoute{route("igw-1", "0.0.0.0/0"), route(pcx, "10.9.0.0/16")}, false, "10.9.0.0/16 relay, 0.0.0.0/0 nat"},
		{"a private one does not get out", []backend.WantedRoute{route("nat-1", "0.0.0.0/0")}, []backend.WantedRoute{route("igw-1", "0.0.0.0/0"), route(pcx, "10.9.0.0/16")}, true, "10.9.0.0/16 relay, 0.0.0.0/0 blackhole"},
		{"the gateway's range holds all of the sender's", []backend.WantedRoute{route("nat-1", "10.9.1.0/24")}, []backend.WantedRoute{route("igw-1", "0.0.0.0/0"), route(pcx, "10.9.0.0/16")}, true, "10.9.1.0/24 relay"},
		{"the sender has a longer one", []backend.WantedRoute{route("nat-1", "0.0.0.0/0"), route("igw-1", "10.9.0.0/16")}, []backend.WantedRoute{route(pcx, "10.9.1.0/24", "10.8.0.0/16")}, true, "10.8.0.0/16 relay, 10.9.0.0/16 internet, 0.0.0.0/0 blackhole"},
		{"the sender has a longer one within", []backend.WantedRoute{route("nat-1", "0.0.0.0/0"), route("igw-1", "10.9.1.0/24")}, []backend.WantedRoute{route(pcx, "10.9.0.0/16")}, true, "10.9.1.0/24 internet, 10.9.0.0/16 relay, 0.0.0.0/0 blackhole"},
		{"to itself", []backend.WantedRoute{route("nat-1", "0.0.0.0/0")}, []backend.WantedRoute{route("nat-1", "0.0.0.0/0")}, false, "0.0.0.0/0 blackhole"},
	} {
		wanted := twoTiers()
		wanted.Peerings = []backend.WantedPeering{{ID: pcx, VPC: "vpc-0bbb"}}
		wanted.RouteTables = []backend.WantedRouteTable{{ID: wanted.Subnets[0].RouteTable, Routes: c.nat}, {ID: wanted.Subnets[1].RouteTable, Routes: c.own}}
		if c.private {
			wanted.NATGateways[0].Public = netip.Addr{}
		}
		m := newModel(wanted, Place{Gateway: addr("198.18.0.1"), Subnets: Number(nil, wanted), Peers: map[string]bool{"vpc-0bbb": true}})
		var got []string
		for _, s := range m.steps(wanted.Subnets[1].ID) {
			got = append(got, fmt.Sprintf("%s %s", s.destination, s.way))
		}
		if text := strings.Join(got, ", "); text != c.want {
			t.Errorf("%s: %s, want %s", c.name, text, c.want)
		}
	}
}

// TestShare: each of a NAT gateway's addresses gets its part of the connections.
func TestShare(t *testing.T) {
	wanted := twoTiers()
	wanted.NATGateways[0].More = []netip.Addr{addr("198.18.0.40"), addr("198.18.0.41")}
	text := Of(wanted, Place{Gateway: addr("198.18.0.1"), Own: addr("198.18.0.17"), Subnets: Number(nil, wanted)}).String()
	at := 0
	for _, part := range []string{"numgen random mod 3 0 snat to 198.18.0.40", "numgen random mod 2 0 snat to 198.18.0.41", "snat to " + wanted.NATGateways[0].Public.String()} {
		i := strings.Index(text[at:], part)
		if i < 0 {
			t.Fatalf("%q does not follow in\n%s", part, text)
		}
		at += i + len(part)
	}
}
