package plan

import (
	"net/netip"

	"miniaws/backend"
)

// Sample is a plan whose tables have every kind of term that a plan may have: a kernel that takes it takes all plans.
func Sample(ipv6 bool) Plan {
	open := netip.MustParsePrefix("0.0.0.0/0")
	wanted := backend.WantedVPC{
		ID: "vpc-1", CIDRs: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")},
		Subnets: []backend.WantedSubnet{{ID: "subnet-1", CIDR: netip.MustParsePrefix("192.0.2.0/24"), RouteTable: "rtb-1", NetworkACL: "acl-1"}},
		RouteTables: []backend.WantedRouteTable{{ID: "rtb-1", Routes: []backend.WantedRoute{
			{Destinations: []netip.Prefix{open}, Target: "igw-1"},
			{Destinations: []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")}, Target: "nat-1"},
		}}},
		NetworkACLs: []backend.WantedNetworkACL{{ID: "acl-1", Ingress: []backend.WantedACLEntry{{Number: 1, Protocol: backend.ProtocolICMP, FromPort: 8, ToPort: 0, CIDR: open}}}},
		SecurityGroups: []backend.WantedSecurityGroup{{ID: "sg-1", Ingress: []backend.WantedSecurityRule{
			{Protocol: backend.ProtocolTCP, FromPort: 80, ToPort: 81, Groups: []string{"sg-1"}, CIDRs: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/25")}},
		}}},
		ENIs: []backend.WantedENI{
			{ID: "eni-1", Subnet: "subnet-1", MAC: "0a:00:00:00:00:01", Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.4")}, Groups: []string{"sg-1"}, SourceDestCheck: true,
				Public: []backend.WantedPublicAddress{{Private: netip.MustParseAddr("192.0.2.4"), Public: netip.MustParseAddr("198.18.8.1")}}},
			{ID: "eni-2", Subnet: "subnet-1", MAC: "0a:00:00:00:00:02", Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.5")}},
		},
		InternetGateway: "igw-1",
		NATGateways:     []backend.WantedNATGateway{{ID: "nat-1", Subnet: "subnet-1", Private: netip.MustParseAddr("192.0.2.6"), Public: netip.MustParseAddr("198.18.8.2"), More: []netip.Addr{netip.MustParseAddr("198.18.8.3")}}},
		Peerings:        []backend.WantedPeering{{ID: "pcx-1", VPC: "vpc-2"}},
		TransitAttachments: []backend.WantedTransitAttachment{{
			ID: "tgw-attach-1", Gateway: "tgw-1", Subnets: []string{"subnet-1"}, Ways: map[string]string{"subnet-1": "subnet-1"},
		}},
		DNS:      backend.WantedDNS{Enabled: true},
		FlowLogs: []backend.WantedFlowLog{{ID: "fl-1", Resource: "vpc-1", Rejected: true}},
	}
	place := Place{Gateway: netip.MustParseAddr("198.18.0.1"), Own: netip.MustParseAddr("198.18.0.17"), Host: []netip.Addr{netip.MustParseAddr("198.18.0.1")}, Subnets: Number(nil, wanted), Transits: map[string]bool{"tgw-1": true}}
	if ipv6 {
		wanted.CIDRs = append(wanted.CIDRs, netip.MustParsePrefix("2001:db8::/56"))
	}
	return Of(wanted, place)
}
