package plan

import (
	"net/netip"
	"slices"

	"miniaws/backend"
)

// Why a packet does not get on at a transit gateway: AWS's codes.
// AWS: "Reachability Analyzer explanation codes".
const (
	CodeTransitZone      = "TGW_ROUTE_AZ_RESTRICTION"
	CodeTransitNoTable   = "TGW_ATTACH_MISSING_TGW_RTB_ASSOCIATION"
	CodeTransitNoRoute   = "TGW_RTB_NO_ROUTE_TO_TGW_ATTACHMENT"
	CodeTransitBlackhole = "TGW_RTB_BAD_STATE_ROUTE"
)

// bestTransitRoute is the route of the longest range that holds the address; nil for none.
func bestTransitRoute(table backend.WantedTransitRouteTable, address netip.Addr) *backend.WantedTransitRoute {
	var best *backend.WantedTransitRoute
	for i, route := range table.Routes {
		if route.Destination.Contains(address) && (best == nil || route.Destination.Bits() > best.Destination.Bits()) {
			best = &table.Routes[i]
		}
	}
	return best
}

// maxTransits is how many gateways a packet may pass: one that goes round and round is not followed for ever.
const maxTransits = 8

// byTransit sends a packet on by the transit gateway that a route of the sender's subnet names.
func (t *tracer) byTransit(m *model, subnet, target, toVPC, toENI string, p Packet) (Packet, bool) {
	attachment, gateway := m.transits[target], t.transits[target]
	t.acl(m, attachment.Ways[subnet], p, false)
	at := Hop{ID: attachment.ID, VPC: m.ID, Packet: p}
	t.hop(at)
	for ; t.passed < maxTransits; t.passed++ {
		link, ok := t.throughTransit(gateway, at)
		if !ok {
			return p, false
		}
		at = Hop{ID: link.ID, VPC: link.VPC, Packet: p}
		t.hop(at)
		if link.Peer == "" {
			return t.fromTransit(gateway.ID, link, toVPC, toENI, p)
		}
		gateway = t.transits[link.Peer]
		i := slices.IndexFunc(gateway.Attachments, func(l backend.WantedTransitLink) bool { return l.Pair == link.Pair })
		if i < 0 {
			break
		}
		if at.ID != gateway.Attachments[i].ID {
			at.ID = gateway.Attachments[i].ID
			t.hop(at)
		}
	}
	t.block(CodeNowhere, at)
	return p, false
}

// throughTransit asks the table of the attachment by which the packet came, and answers by which it leaves.
func (t *tracer) throughTransit(gateway backend.WantedTransitGateway, came Hop) (leaves backend.WantedTransitLink, ok bool) {
	links := byID(gateway.Attachments, func(l backend.WantedTransitLink) string { return l.ID })
	tableID := links[came.ID].RouteTable
	if tableID == "" {
		t.block(CodeTransitNoTable, came)
		return leaves, false
	}
	t.hop(Hop{ID: gateway.ID, Packet: came.Packet})
	i := slices.IndexFunc(gateway.RouteTables, func(r backend.WantedTransitRouteTable) bool { return r.ID == tableID })
	at := Hop{ID: tableID, Packet: came.Packet, Transit: bestTransitRoute(gateway.RouteTables[i], came.Packet.Destination)}
	switch {
	case at.Transit == nil:
		t.block(CodeTransitNoRoute, at)
		return leaves, false
	case at.Transit.Attachment == "":
		t.block(CodeTransitBlackhole, at)
		return leaves, false
	}
	t.hop(at)
	return links[at.Transit.Attachment], true
}

// fromTransit brings a packet into the VPC of an attachment. What is not for the VPC itself the entry's subnet sends on, to a NAT
// gateway that serves many VPCs, for one.
func (t *tracer) fromTransit(gateway string, link backend.WantedTransitLink, toVPC, toENI string, p Packet) (Packet, bool) {
	other := t.world[link.VPC]
	at := Hop{ID: link.ID, VPC: link.VPC, Packet: p}
	if other == nil || other.inside(p.Destination) && (toENI == "" || other.ID != toVPC) {
		t.block(CodeNowhere, at)
		return p, false
	}
	entry := other.transits[gateway].Subnets[0]
	if other.inside(p.Destination) {
		if t.detour(other, entry, p) {
			return p, false
		}
		return t.deliver(other, entry, toENI, p)
	}
	t.passed++
	return t.route(other, backend.WantedENI{Subnet: entry}, toVPC, toENI, p)
}
