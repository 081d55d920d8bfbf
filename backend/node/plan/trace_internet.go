package plan

import (
	"slices"

	"miniaws/backend"
)

// toInternet takes a packet out by the internet gateway, a NAT gateway or an egress-only one, with the source that is seen outside.
func (t *tracer) toInternet(m *model, sender backend.WantedENI, s step, target, toVPC, toENI string, p Packet) (Packet, bool) {
	gateway := Hop{ID: m.InternetGateway, VPC: m.ID, Packet: p}
	switch {
	case s.way == translate:
		private := p
		p.Source = s.nat
		t.passNAT(m, m.nats[target], private, p)
	case s.way == egress:
		gateway.ID = target
	case p.Source.Is4():
		i := slices.IndexFunc(sender.Public, func(pair backend.WantedPublicAddress) bool { return pair.Private == p.Source })
		if i < 0 {
			t.block(CodeNoPublicEgress, gateway)
			return p, false
		}
		p.Source = sender.Public[i].Public
	}
	gateway.Packet = p
	t.hop(gateway)
	if toENI != "" || m.ID != toVPC {
		t.block(CodeNowhere, gateway)
		return p, false
	}
	return p, true
}

// fromInternet brings a packet in by the internet gateway. An answer to what a NAT gateway sent out is let in to whom it
// was for: the translation is known.
func (t *tracer) fromInternet(m *model, toVPC, toENI string, p Packet) (Packet, bool) {
	at := Hop{ID: m.InternetGateway, VPC: m.ID, Packet: p}
	if !m.hasInternet() {
		t.block(CodeNowhere, at)
		return p, false
	}
	receiver, known := m.enis[toENI]
	if !known {
		return t.throughNAT(m, toVPC, toENI, p)
	}
	if !t.returning && m.subnets[receiver.Subnet].Internet != backend.InternetOpen {
		t.hop(at)
		at.Subnet = receiver.Subnet
		t.block(CodePublicAccess, at)
		return p, false
	}
	private := receiver.Addresses[0]
	nat := slices.IndexFunc(m.NATGateways, func(n backend.WantedNATGateway) bool {
		return t.returning && slices.Contains(publicOf(n), p.Destination)
	})
	if t.returning {
		// Whoever answers has the address that the packet left with.
		if i := slices.IndexFunc(receiver.Public, func(pair backend.WantedPublicAddress) bool { return pair.Public == p.Destination }); i >= 0 {
			private = receiver.Public[i].Private
		}
	} else {
		i := slices.IndexFunc(receiver.Public, func(pair backend.WantedPublicAddress) bool {
			return !p.Destination.IsValid() || pair.Private == p.Destination || pair.Public == p.Destination
		})
		if i < 0 {
			t.hop(at)
			t.block(CodeNoPublicIngress, at)
			// What else is in the way is asked as if it had one.
		} else {
			private = receiver.Public[i].Private
		}
	}
	public := p
	p.Destination = private
	at.Packet = p
	if unreachable := len(t.blocks) > 0; unreachable {
		_, _ = t.deliver(m, "", toENI, p)
		return p, false
	}
	t.hop(at)
	if nat >= 0 {
		t.passNAT(m, m.NATGateways[nat], public, p)
	} else if t.edge(m, p) {
		return p, false
	}
	return t.deliver(m, "", toENI, p)
}

// passNAT brings a packet through a NAT gateway, whose subnet's network ACL is asked when it comes in and when it goes out.
func (t *tracer) passNAT(m *model, nat backend.WantedNATGateway, before, after Packet) {
	t.acl(m, nat.Subnet, before, false)
	t.hop(Hop{ID: nat.ID, VPC: m.ID, Subnet: nat.Subnet, Packet: after})
	t.acl(m, nat.Subnet, after, true)
}

// throughNAT brings an answer to a NAT gateway on to whom it is for in another VPC, by the routes of the gateway's subnet.
func (t *tracer) throughNAT(m *model, toVPC, toENI string, p Packet) (Packet, bool) {
	at := Hop{ID: m.InternetGateway, VPC: m.ID, Packet: p}
	i := slices.IndexFunc(m.NATGateways, func(n backend.WantedNATGateway) bool { return slices.Contains(publicOf(n), p.Destination) })
	other := t.world[toVPC]
	if !t.returning || i < 0 || other == nil || len(other.enis[toENI].Addresses) == 0 {
		t.block(CodeNowhere, at)
		return p, false
	}
	nat, public := m.NATGateways[i], p
	p.Destination = other.enis[toENI].Addresses[0]
	at.Packet = p
	t.hop(at)
	t.passNAT(m, nat, public, p)
	return t.follow(m, backend.WantedENI{Subnet: nat.Subnet}, toVPC, toENI, p)
}
