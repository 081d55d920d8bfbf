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

// byTransit sends a packet on by the transit gateway that a route of the sender's subnet names.
func (t *tracer) byTransit(m *model, subnet, target, toVPC, toENI string, p Packet) (Packet, bool) {
	attachment, gateway := m.transits[target], t.transits[target]
	t.acl(m, attachment.Ways[subnet], p, false)
	at := Hop{ID: attachment.ID, VPC: m.ID, Packet: p}
	t.hop(at)
	var tableID string
	for _, link := range gateway.Attachments {
		if link.ID == attachment.ID {
			tableID = link.RouteTable
		}
	}
	if tableID == "" {
		t.block(CodeTransitNoTable, at)
		return p, false
	}
	t.hop(Hop{ID: gateway.ID, Packet: p})
	i := slices.IndexFunc(gateway.RouteTables, func(r backend.WantedTransitRouteTable) bool { return r.ID == tableID })
	at = Hop{ID: tableID, Packet: p, Transit: bestTransitRoute(gateway.RouteTables[i], p.Destination)}
	switch {
	case at.Transit == nil:
		t.block(CodeTransitNoRoute, at)
		return p, false
	case at.Transit.Attachment == "":
		t.block(CodeTransitBlackhole, at)
		return p, false
	}
	t.hop(at)
	i = slices.IndexFunc(gateway.Attachments, func(l backend.WantedTransitLink) bool { return l.ID == at.Transit.Attachment })
	other := t.world[gateway.Attachments[i].VPC]
	at = Hop{ID: at.Transit.Attachment, VPC: gateway.Attachments[i].VPC, Packet: p}
	t.hop(at)
	// What the other VPC's entry sends on, to a NAT gateway or to an appliance, is not followed.
	if other == nil || toENI == "" || other.ID != toVPC || !other.inside(p.Destination) {
		t.block(CodeNowhere, at)
		return p, false
	}
	return t.deliver(other, other.transits[gateway.ID].Subnets[0], toENI, p)
}
