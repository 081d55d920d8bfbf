package plan

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"miniaws/backend"
)

// story is a trace as one line: the ways, and what blocks.
func story(t Trace) string {
	var words []string
	for _, h := range t.Forward {
		words = append(words, h.ID)
	}
	words = append(words, "|")
	for _, h := range t.Return {
		words = append(words, h.ID)
	}
	for _, b := range t.Blocks {
		text := fmt.Sprintf("!%s@%s", b.Code, b.ID)
		if b.Returning {
			text += "<"
		}
		words = append(words, text)
	}
	return strings.Join(words, " ")
}

func TestTrace(t *testing.T) {
	const web, db = "eni-0000000000000000a", "eni-0000000000000000b" // public subnet with sg-web; private one with sg-db and sg-web
	vpc := twoTiers()
	other := backend.WantedVPC{
		ID: "vpc-0bbb", CIDRs: []netip.Prefix{prefix("10.9.0.0/16")},
		Subnets:        []backend.WantedSubnet{{ID: "subnet-far", CIDR: prefix("10.9.0.0/24"), RouteTable: "rtb-far", NetworkACL: "acl-far"}},
		RouteTables:    []backend.WantedRouteTable{{ID: "rtb-far"}},
		NetworkACLs:    []backend.WantedNetworkACL{{ID: "acl-far", Ingress: []backend.WantedACLEntry{{Number: 100, Allow: true, Protocol: -1, CIDR: prefix("0.0.0.0/0")}}, Egress: []backend.WantedACLEntry{{Number: 100, Allow: true, Protocol: -1, CIDR: prefix("0.0.0.0/0")}}}},
		SecurityGroups: []backend.WantedSecurityGroup{{ID: "sg-far", Ingress: []backend.WantedSecurityRule{{Protocol: 6, FromPort: 80, ToPort: 80, CIDRs: everywhere}}, Egress: []backend.WantedSecurityRule{{Protocol: -1, CIDRs: everywhere}}}},
		ENIs:           []backend.WantedENI{{ID: "eni-far", Subnet: "subnet-far", MAC: "0a:00:00:00:00:0f", Addresses: []netip.Addr{addr("10.9.0.4")}, Groups: []string{"sg-far"}, SourceDestCheck: true}},
		Peerings:       []backend.WantedPeering{{ID: "pcx-0123456789abcdef0", VPC: vpc.ID}},
	}
	plugs := map[string]Plug{web: Running, db: Running, "eni-0000000000000000c": Running, "eni-far": Running}
	ask := func(q Question) string {
		q.Protocol = backend.ProtocolTCP
		return story(NewWorld([]backend.WantedVPC{vpc, other}, nil, plugs).Answer(q))
	}
	for _, c := range []struct {
		name string
		q    Question
		want string
	}{
		{"between subnets: group, ACLs, and the answer's way", Question{FromVPC: vpc.ID, FromENI: web, ToVPC: vpc.ID, ToENI: db, DestPort: 80},
			web + " sg-web acl-open rtb-pub acl-tight sg-web " + db + " | " + db + " acl-tight rtb-prv acl-open " + web},
		{"a port that no group lets in", Question{FromVPC: vpc.ID, FromENI: web, ToVPC: vpc.ID, ToENI: db, DestPort: 81},
			web + " sg-web acl-open rtb-pub acl-tight " + db + " | " + db + " acl-tight rtb-prv acl-open " + web + " !ENI_SG_RULES_MISMATCH@" + db},
		{"an ACL and the groups", Question{FromVPC: vpc.ID, FromENI: web, ToVPC: vpc.ID, ToENI: db, DestPort: 22},
			web + " sg-web acl-open rtb-pub " + db + " | " + db + " acl-tight rtb-prv acl-open " + web + " !SUBNET_ACL_RESTRICTION@acl-tight !ENI_SG_RULES_MISMATCH@" + db},
		{"an answer to a port below those that the ACL lets out", Question{FromVPC: vpc.ID, FromENI: web, ToVPC: vpc.ID, ToENI: db, DestPort: 80, SourcePort: 1000},
			web + " sg-web acl-open rtb-pub acl-tight sg-web " + db + " | " + db + " rtb-prv acl-open " + web + " !SUBNET_ACL_RESTRICTION@acl-tight<"},
		{"any port: one that is open", Question{FromVPC: vpc.ID, FromENI: web, ToVPC: vpc.ID, ToENI: db},
			web + " sg-web acl-open rtb-pub acl-tight sg-web " + db + " | " + db + " acl-tight rtb-prv acl-open " + web},
		{"from the internet to a public address", Question{FromVPC: vpc.ID, ToVPC: vpc.ID, ToENI: web, DestPort: 80},
			"igw-1 acl-open sg-web " + web + " | " + web + " acl-open rtb-pub igw-1"},
		{"from the internet to an interface without one", Question{FromVPC: vpc.ID, ToVPC: vpc.ID, ToENI: db, DestPort: 80},
			"igw-1 acl-tight sg-web " + db + " | !IGW_PRIVATE_IP_ASSOCIATION_FOR_INGRESS@igw-1"},
		{"to the internet by a NAT gateway", Question{FromVPC: vpc.ID, FromENI: db, ToVPC: vpc.ID, DestPort: 8080},
			db + " sg-web acl-tight rtb-prv acl-open nat-1 acl-open igw-1 | igw-1 acl-open nat-1 acl-open acl-tight " + db},
		{"from another VPC's gateway", Question{FromVPC: other.ID, ToVPC: vpc.ID, ToENI: web, DestPort: 80}, "| !NO_POSSIBLE_DESTINATION@"},
		{"to another VPC's gateway", Question{FromVPC: other.ID, FromENI: "eni-far", ToVPC: vpc.ID, DestPort: 80}, "eni-far sg-far acl-far | !NO_ROUTE_TO_DESTINATION@rtb-far"},
		{"to a VPC that is not there", Question{FromVPC: "vpc-none", FromENI: web, ToVPC: vpc.ID, ToENI: db, DestPort: 80}, "| !NO_POSSIBLE_DESTINATION@" + web},
		{"peering without a route back", Question{FromVPC: vpc.ID, FromENI: web, ToVPC: other.ID, ToENI: "eni-far", DestPort: 80},
			web + " sg-web acl-open rtb-pub pcx-0123456789abcdef0 acl-far sg-far eni-far | eni-far acl-far !NO_ROUTE_TO_DESTINATION@rtb-far<"},
		{"a blackhole", Question{FromVPC: vpc.ID, FromENI: db, ToVPC: other.ID, ToENI: "eni-far", Destination: addr("10.8.0.4"), DestPort: 8080},
			db + " sg-web acl-tight | !BAD_STATE_ROUTE@rtb-prv"},
	} {
		if got := strings.TrimSpace(ask(c.q)); !strings.HasPrefix(got, c.want) {
			t.Errorf("%s:\n got %s\nwant %s", c.name, got, c.want)
		}
	}
	vpc.RouteTables = slices.Clone(vpc.RouteTables)
	straight := vpc.RouteTables[0].Routes
	inside := Question{FromVPC: vpc.ID, FromENI: web, ToVPC: vpc.ID, ToENI: db, DestPort: 80}
	for target, want := range map[string]string{
		"eni-0000000000000000c": web + " sg-web acl-open rtb-pub | !NO_POSSIBLE_DESTINATION@eni-0000000000000000c",
		"eni-gone":              web + " sg-web acl-open | !BAD_STATE_ROUTE@rtb-pub",
	} {
		vpc.RouteTables[0].Routes = append(slices.Clone(straight), backend.WantedRoute{Destinations: []netip.Prefix{prefix("10.0.2.0/25")}, Target: target})
		if got := ask(inside); got != want {
			t.Errorf("steered to %s inside:\n got %s\nwant %s", target, got, want)
		}
	}
	vpc.RouteTables[0].Routes = append(slices.Clone(straight), backend.WantedRoute{Destinations: []netip.Prefix{prefix("10.0.2.128/25")}, Target: "eni-0000000000000000c"})
	if got := ask(inside); strings.Contains(got, "!") {
		t.Errorf("beside what is steered: %s", got)
	}
	vpc.RouteTables[0].Routes = straight
	other.RouteTables[0].Routes = []backend.WantedRoute{{Destinations: []netip.Prefix{prefix("10.0.0.0/16")}, Target: "pcx-0123456789abcdef0"}}
	peered := Question{FromVPC: vpc.ID, FromENI: web, ToVPC: other.ID, ToENI: "eni-far", DestPort: 80}
	if got := ask(peered); strings.Contains(got, "!") {
		t.Errorf("with both routes: %s", got)
	}
	delete(plugs, "eni-far")
	if got := ask(peered); strings.Contains(got, "!") {
		t.Errorf("plugged into nothing: %s", got)
	}
	plugs["eni-far"] = Off
	if got := ask(peered); !strings.Contains(got, "!BAD_STATE@eni-far") {
		t.Errorf("in what does not run: %s", got)
	}
	vpc.ENIs[0].Public = nil
	if got := ask(Question{FromVPC: vpc.ID, FromENI: web, ToVPC: vpc.ID, DestPort: 443}); !strings.Contains(got, "!IGW_PUBLIC_IP_ASSOCIATION_FOR_EGRESS@igw-1") {
		t.Errorf("without a public address: %s", got)
	}
	vpc.SecurityGroups = slices.Clone(vpc.SecurityGroups)
	vpc.SecurityGroups[0].Egress = nil
	if got := ask(Question{FromVPC: vpc.ID, FromENI: web, ToVPC: vpc.ID, ToENI: db, DestPort: 80}); !strings.Contains(got, "!ENI_SG_RULES_MISMATCH@"+web) {
		t.Errorf("without egress: %s", got)
	}
}

// TestTraceBlockedPublicAccess: where public access is blocked, that is what is named, and not the route.
func TestTraceBlockedPublicAccess(t *testing.T) {
	const web, db = "eni-0000000000000000a", "eni-0000000000000000b"
	vpc := twoTiers()
	for _, c := range []struct {
		access           backend.InternetAccess
		from, to, blocks string
	}{
		{backend.InternetOpen, "", web, ""},
		{backend.InternetOutward, "", web, "igw-1 | !VPC_BLOCK_PUBLIC_ACCESS_ENABLED@igw-1"},
		{backend.InternetBlocked, "", web, "igw-1 | !VPC_BLOCK_PUBLIC_ACCESS_ENABLED@igw-1"},
		{backend.InternetOutward, web, "", web + " sg-web acl-open rtb-pub | !VPC_BLOCK_PUBLIC_ACCESS_ENABLED@igw-1"},
		{backend.InternetOutward, db, "", ""},
		{backend.InternetBlocked, db, "", db + " sg-web acl-tight rtb-prv | !VPC_BLOCK_PUBLIC_ACCESS_ENABLED@igw-1"},
	} {
		for i := range vpc.Subnets {
			vpc.Subnets[i].Internet = c.access
		}
		q := Question{FromVPC: vpc.ID, FromENI: c.from, ToVPC: vpc.ID, ToENI: c.to, Protocol: backend.ProtocolTCP, DestPort: 80}
		if c.from == db {
			q.DestPort = 8080
		}
		got := story(NewWorld([]backend.WantedVPC{vpc}, nil, nil).Answer(q))
		if c.blocks == "" && strings.Contains(got, "!") || c.blocks != "" && got != c.blocks {
			t.Errorf("%q, from %q to %q:\n got %s\nwant %s", c.access, c.from, c.to, got, c.blocks)
		}
	}
}

func TestTraceTransit(t *testing.T) {
	const one, two = "eni-one", "eni-two"
	side := func(id, cidr, address string) backend.WantedVPC {
		v := backend.WantedVPC{
			ID: "vpc-" + id, CIDRs: []netip.Prefix{prefix(cidr)},
			Subnets:        []backend.WantedSubnet{{ID: "subnet-" + id, CIDR: prefix(cidr), RouteTable: "rtb-" + id, NetworkACL: "acl-" + id}},
			RouteTables:    []backend.WantedRouteTable{{ID: "rtb-" + id, Routes: []backend.WantedRoute{{Destinations: []netip.Prefix{prefix("10.0.0.0/8")}, Target: "tgw-1"}}}},
			NetworkACLs:    []backend.WantedNetworkACL{{ID: "acl-" + id, Ingress: []backend.WantedACLEntry{{Number: 100, Allow: true, Protocol: -1, CIDR: everywhere[0]}}, Egress: []backend.WantedACLEntry{{Number: 100, Allow: true, Protocol: -1, CIDR: everywhere[0]}}}},
			SecurityGroups: []backend.WantedSecurityGroup{{ID: "sg-" + id, Ingress: []backend.WantedSecurityRule{{Protocol: -1, CIDRs: everywhere}}, Egress: []backend.WantedSecurityRule{{Protocol: -1, CIDRs: everywhere}}}},
			ENIs:           []backend.WantedENI{{ID: "eni-" + id, Subnet: "subnet-" + id, MAC: "0a:00:00:00:00:01", Addresses: []netip.Addr{addr(address)}, Groups: []string{"sg-" + id}, SourceDestCheck: true}},
			TransitAttachments: []backend.WantedTransitAttachment{{
				ID: "tgw-attach-" + id, Gateway: "tgw-1", Subnets: []string{"subnet-" + id}, Ways: map[string]string{"subnet-" + id: "subnet-" + id},
			}},
		}
		return v
	}
	first, second := side("one", "10.1.0.0/16", "10.1.0.4"), side("two", "10.2.0.0/16", "10.2.0.4")
	gateway := backend.WantedTransitGateway{
		ID:          "tgw-1",
		Attachments: []backend.WantedTransitLink{{ID: "tgw-attach-one", VPC: "vpc-one", RouteTable: "tgw-rtb-1"}, {ID: "tgw-attach-two", VPC: "vpc-two", RouteTable: "tgw-rtb-1"}},
		RouteTables: []backend.WantedTransitRouteTable{{ID: "tgw-rtb-1", Routes: []backend.WantedTransitRoute{
			{Destination: prefix("10.1.0.0/16"), Attachment: "tgw-attach-one"}, {Destination: prefix("10.2.0.0/16"), Attachment: "tgw-attach-two"},
		}}},
	}
	ask := func() string {
		return story(NewWorld([]backend.WantedVPC{first, second}, []backend.WantedTransitGateway{gateway}, nil).Answer(
			Question{FromVPC: first.ID, FromENI: one, ToVPC: second.ID, ToENI: two, Protocol: backend.ProtocolTCP, DestPort: 80, SourcePort: 50000}))
	}
	const there = "eni-one sg-one acl-one rtb-one acl-one tgw-attach-one tgw-1 tgw-rtb-1 tgw-attach-two sg-two eni-two"
	const back = "eni-two acl-two rtb-two acl-two tgw-attach-two tgw-1 tgw-rtb-1 tgw-attach-one eni-one"
	check := func(name, want string) {
		t.Helper()
		if got := ask(); got != want {
			t.Errorf("%s:\n got %s\nwant %s", name, got, want)
		}
	}
	check("there and back", there+" | "+back)
	routes := gateway.RouteTables[0].Routes
	gateway.RouteTables[0].Routes = routes[:1]
	check("no route", "eni-one sg-one acl-one rtb-one acl-one tgw-attach-one tgw-1 | !TGW_RTB_NO_ROUTE_TO_TGW_ATTACHMENT@tgw-rtb-1")
	gateway.RouteTables[0].Routes = append(slices.Clone(routes), backend.WantedTransitRoute{Destination: prefix("10.2.0.0/24")})
	check("blackhole", "eni-one sg-one acl-one rtb-one acl-one tgw-attach-one tgw-1 | !TGW_RTB_BAD_STATE_ROUTE@tgw-rtb-1")
	gateway.RouteTables[0].Routes = routes
	gateway.Attachments[1].RouteTable = ""
	check("no table for the answer", there+" | eni-two acl-two rtb-two acl-two tgw-attach-two !TGW_ATTACH_MISSING_TGW_RTB_ASSOCIATION@tgw-attach-two<")
	gateway.Attachments[1].RouteTable = "tgw-rtb-1"
	first.TransitAttachments[0].Ways = nil
	ways := map[string]string{"subnet-one": "subnet-one"}
	check("another zone", "eni-one sg-one acl-one | !TGW_ROUTE_AZ_RESTRICTION@rtb-one")
	first.TransitAttachments[0].Ways = ways

	// Two gateways with a way between them, each with routes over it.
	near, far := gateway, backend.WantedTransitGateway{ID: "tgw-2"}
	near.Attachments = []backend.WantedTransitLink{gateway.Attachments[0], {ID: "tgw-attach-pair", Pair: "tgw-attach-pair", Peer: "tgw-2", RouteTable: "tgw-rtb-1"}}
	far.Attachments = []backend.WantedTransitLink{{ID: "tgw-attach-two", VPC: "vpc-two", RouteTable: "tgw-rtb-2"}, {ID: "tgw-attach-pair", Pair: "tgw-attach-pair", Peer: "tgw-1", RouteTable: "tgw-rtb-2"}}
	near.RouteTables = []backend.WantedTransitRouteTable{{ID: "tgw-rtb-1", Routes: []backend.WantedTransitRoute{routes[0], {Destination: prefix("10.2.0.0/16"), Attachment: "tgw-attach-pair"}}}}
	far.RouteTables = []backend.WantedTransitRouteTable{{ID: "tgw-rtb-2", Routes: []backend.WantedTransitRoute{routes[1], {Destination: prefix("10.1.0.0/16"), Attachment: "tgw-attach-pair"}}}}
	beyond := second
	beyond.TransitAttachments = []backend.WantedTransitAttachment{second.TransitAttachments[0]}
	beyond.TransitAttachments[0].Gateway = "tgw-2"
	beyond.RouteTables = []backend.WantedRouteTable{{ID: "rtb-two", Routes: []backend.WantedRoute{{Destinations: []netip.Prefix{prefix("10.0.0.0/8")}, Target: "tgw-2"}}}}
	world := func() World {
		return NewWorld([]backend.WantedVPC{first, beyond}, []backend.WantedTransitGateway{near, far}, nil)
	}
	over := Question{FromVPC: first.ID, FromENI: one, ToVPC: second.ID, ToENI: two, Protocol: backend.ProtocolTCP, DestPort: 80, SourcePort: 50000}
	const by = "eni-one sg-one acl-one rtb-one acl-one tgw-attach-one tgw-1 tgw-rtb-1 tgw-attach-pair tgw-2 tgw-rtb-2 tgw-attach-two sg-two eni-two"
	if got, want := story(world().Answer(over)), by+" | eni-two acl-two rtb-two acl-two tgw-attach-two tgw-2 tgw-rtb-2 tgw-attach-pair tgw-1 tgw-rtb-1 tgw-attach-one eni-one"; got != want {
		t.Errorf("over two gateways:\n got %s\nwant %s", got, want)
	}
	// Round and round: each sends to the other.
	far.RouteTables[0].Routes[0].Attachment = "tgw-attach-pair"
	if got := story(world().Answer(over)); !strings.HasSuffix(got, "!NO_POSSIBLE_DESTINATION@tgw-attach-pair") {
		t.Errorf("round and round: %s", got)
	}

	// One VPC's NAT gateway serves another one: there by the first gateway, and back by the routes of the NAT gateway's subnet.
	beyond = side("two", "10.2.0.0/16", "10.2.0.4")
	beyond.InternetGateway, beyond.NATGateways = "igw-two", []backend.WantedNATGateway{{ID: "nat-two", Subnet: "subnet-out", Private: addr("10.2.9.9"), Public: addr("198.18.8.2")}}
	beyond.Subnets[0].CIDR = prefix("10.2.0.0/24")
	beyond.Subnets = append(beyond.Subnets, backend.WantedSubnet{ID: "subnet-out", CIDR: prefix("10.2.9.0/24"), RouteTable: "rtb-out", NetworkACL: "acl-two"})
	beyond.RouteTables[0].Routes = append(beyond.RouteTables[0].Routes, backend.WantedRoute{Destinations: everywhere[:1], Target: "nat-two"})
	beyond.RouteTables = append(beyond.RouteTables, backend.WantedRouteTable{ID: "rtb-out", Routes: []backend.WantedRoute{
		{Destinations: everywhere[:1], Target: "igw-two"}, {Destinations: []netip.Prefix{prefix("10.1.0.0/16")}, Target: "tgw-1"}}})
	beyond.TransitAttachments[0].Ways["subnet-out"] = "subnet-two"
	first.RouteTables[0].Routes = []backend.WantedRoute{{Destinations: everywhere[:1], Target: "tgw-1"}}
	near = gateway
	near.RouteTables = []backend.WantedTransitRouteTable{{ID: "tgw-rtb-1", Routes: append(slices.Clone(routes), backend.WantedTransitRoute{Destination: everywhere[0], Attachment: "tgw-attach-two"})}}
	out := Question{FromVPC: first.ID, FromENI: one, ToVPC: beyond.ID, Protocol: backend.ProtocolTCP, Destination: addr("203.0.113.9"), DestPort: 443, SourcePort: 50000}
	const leaves = "eni-one sg-one acl-one rtb-one acl-one tgw-attach-one tgw-1 tgw-rtb-1 tgw-attach-two acl-two rtb-two acl-two nat-two acl-two igw-two"
	if got := story(world().Answer(out)); !strings.HasPrefix(got, leaves+" | igw-two acl-two nat-two acl-two rtb-out") || strings.Contains(got, "!") {
		t.Errorf("by another VPC's NAT gateway: %s", got)
	}
	beyond.RouteTables[1].Routes = beyond.RouteTables[1].Routes[:1]
	if got := story(world().Answer(out)); !strings.Contains(got, leaves) || !strings.Contains(got, "!") {
		t.Errorf("without a way back: %s", got)
	}
	// What the gateway has brought goes on to the internet alone.
	beyond.RouteTables[1].Routes = append(beyond.RouteTables[1].Routes, backend.WantedRoute{Destinations: []netip.Prefix{prefix("172.16.0.0/16")}, Target: "tgw-1"})
	out.Destination = addr("172.16.0.5")
	if got := story(world().Answer(out)); !strings.HasSuffix(got, "rtb-two | !NO_POSSIBLE_DESTINATION@nat-two") {
		t.Errorf("from one gateway to another by a NAT gateway: %s", got)
	}
}
