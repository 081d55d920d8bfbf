package ec2

import (
	"net/netip"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"miniaws/backend/node/plan"
)

// insightsShown words traces as the Reachability Analyzer does.
type insightsShown struct{ t tx }

// component names a resource; nil for none.
func (s insightsShown) component(id string) *types.AnalysisComponent {
	typ, known := componentType(id)
	if !known {
		return nil
	}
	return &types.AnalysisComponent{Id: aws.String(id), Arn: aws.String(arn(s.t.scope, typ, id))}
}

func (s insightsShown) components(ids []string) []types.AnalysisComponent {
	var all []types.AnalysisComponent
	for _, id := range ids {
		if c := s.component(id); c != nil {
			all = append(all, *c)
		}
	}
	return all
}

func header(p plan.Packet) *types.AnalysisPacketHeader {
	address := func(a netip.Addr) []string {
		if !a.IsValid() {
			return nil
		}
		return []string{netip.PrefixFrom(a, a.BitLen()).String()}
	}
	return &types.AnalysisPacketHeader{
		SourceAddresses: address(p.Source), DestinationAddresses: address(p.Destination), Protocol: aws.String(protocolText(p.Protocol)),
		SourcePortRanges: []types.PortRange{*portText(p.SourcePort, p.SourcePort)}, DestinationPortRanges: []types.PortRange{*portText(p.DestPort, p.DestPort)},
	}
}

// way is a path, from an instance or from nothing of the kind to another.
func (s insightsShown) way(hops []plan.Hop, from, to string) []types.PathComponent {
	var all []types.PathComponent
	add := func(c types.PathComponent) {
		c.SequenceNumber = aws.Int32(int32(len(all) + 1))
		all = append(all, c)
	}
	for i, h := range hops {
		ofInterface := strings.HasPrefix(h.ID, "eni-")
		if ofInterface && i == 0 && from != "" {
			add(types.PathComponent{Component: s.component(from), OutboundHeader: header(h.Packet), Vpc: s.component(h.VPC), Subnet: s.component(h.Subnet)})
		}
		add(s.hop(h, i))
		if ofInterface && i > 0 && i == len(hops)-1 && to != "" {
			add(types.PathComponent{Component: s.component(to), InboundHeader: header(h.Packet), Vpc: s.component(h.VPC), Subnet: s.component(h.Subnet)})
		}
	}
	return all
}

func (s insightsShown) hop(h plan.Hop, at int) types.PathComponent {
	c := types.PathComponent{Component: s.component(h.ID), SecurityGroupRule: groupRule(h), AclRule: aclRule(h), RouteTableRoute: s.route(h), Vpc: s.component(h.VPC)}
	switch prefix, _, _ := strings.Cut(h.ID, "-"); prefix {
	case "eni":
		c.Subnet = s.component(h.Subnet)
		if at == 0 {
			c.OutboundHeader = header(h.Packet)
		} else {
			c.InboundHeader = header(h.Packet)
		}
	case "igw", "nat", "pcx":
		c.OutboundHeader = header(h.Packet)
	case "tgw":
		c.OutboundHeader, c.TransitGatewayRouteTableRoute = header(h.Packet), s.transitRoute(h)
		if h.Transit == nil && typeOf(h.ID) == types.ResourceTypeTransitGateway {
			c.TransitGateway = s.component(h.ID)
		}
	}
	return c
}

func groupRule(h plan.Hop) *types.AnalysisSecurityGroupRule {
	if h.Rule == nil {
		return nil
	}
	far := h.Packet.Source
	if h.Egress {
		far = h.Packet.Destination
	}
	shown := &types.AnalysisSecurityGroupRule{Direction: aws.String(direction(h.Egress)), Protocol: aws.String(protocolText(h.Rule.Protocol))}
	if h.Rule.Protocol == 6 || h.Rule.Protocol == 17 {
		shown.PortRange = portText(h.Rule.FromPort, h.Rule.ToPort)
	}
	for _, cidr := range h.Rule.CIDRs {
		if cidr.Contains(far) {
			shown.Cidr = aws.String(cidr.String())
			return shown
		}
	}
	if len(h.Rule.Groups) > 0 {
		shown.SecurityGroupId = aws.String(h.Rule.Groups[0])
	}
	return shown
}

func aclRule(h plan.Hop) *types.AnalysisAclRule {
	if h.Entry == nil {
		return nil
	}
	shown := &types.AnalysisAclRule{
		Cidr: aws.String(h.Entry.CIDR.String()), Egress: aws.Bool(h.Egress), Protocol: aws.String(protocolText(h.Entry.Protocol)),
		RuleAction: aws.String("deny"), RuleNumber: aws.Int32(int32(h.Entry.Number)),
	}
	if h.Entry.Allow {
		shown.RuleAction = aws.String("allow")
	}
	if h.Entry.Protocol == 6 || h.Entry.Protocol == 17 {
		shown.PortRange = portText(h.Entry.FromPort, h.Entry.ToPort)
	}
	return shown
}

func (s insightsShown) route(h plan.Hop) *types.AnalysisRouteTableRoute {
	if h.Local {
		shown := &types.AnalysisRouteTableRoute{GatewayId: aws.String("local"), Origin: aws.String("createroutetable"), State: aws.String("active")}
		if v, err := vpcs.find(s.t, h.VPC); err == nil && v != nil {
			for _, cidr := range v.ranges() {
				if cidr.Contains(h.Packet.Destination) {
					shown.DestinationCidr = aws.String(cidr.String())
				}
			}
		}
		return shown
	}
	if h.Route == nil {
		return nil
	}
	shown := &types.AnalysisRouteTableRoute{Origin: aws.String("createroute"), State: aws.String("active")}
	for _, destination := range h.Route.Destinations {
		if destination.Contains(h.Packet.Destination) {
			shown.DestinationCidr = aws.String(destination.String())
		}
	}
	switch prefix, _, _ := strings.Cut(h.Route.Target, "-"); prefix {
	case "nat":
		shown.NatGatewayId = aws.String(h.Route.Target)
	case "pcx":
		shown.VpcPeeringConnectionId = aws.String(h.Route.Target)
	case "eni":
		shown.NetworkInterfaceId = aws.String(h.Route.Target)
	case "tgw":
		shown.TransitGatewayId = aws.String(h.Route.Target)
	default:
		shown.GatewayId = aws.String(h.Route.Target)
	}
	return shown
}

func typeOf(id string) types.ResourceType {
	typ, _ := componentType(id)
	return typ
}

func (s insightsShown) transitRoute(h plan.Hop) *types.TransitGatewayRouteTableRoute {
	if h.Transit == nil {
		return nil
	}
	shown := &types.TransitGatewayRouteTableRoute{
		DestinationCidr: aws.String(h.Transit.Destination.String()), State: aws.String("active"), AttachmentId: optional(h.Transit.Attachment), RouteOrigin: aws.String("propagated"),
	}
	if x, err := transitRoutes.In(s.t, s.t.scope).Find(h.ID, h.Transit.Destination.String()); err == nil && x != nil {
		shown.RouteOrigin = aws.String("static")
	}
	if h.Transit.Attachment == "" {
		shown.State = aws.String("blackhole")
	} else if a, err := transitAttachments.find(s.t, h.Transit.Attachment); err == nil && a != nil {
		shown.ResourceId, shown.ResourceType = aws.String(a.targetID()), aws.String(string(a.targetType()))
	}
	return shown
}

// explanation words what is in the way.
// AWS: "Reachability Analyzer explanation codes".
func (s insightsShown) explanation(b plan.Block) types.Explanation {
	e := types.Explanation{ExplanationCode: aws.String(b.Code), Vpc: s.component(b.VPC)}
	switch b.Code {
	case plan.CodeGroups:
		e.NetworkInterface, e.SecurityGroups, e.Direction, e.Subnet = s.component(b.ID), s.components(b.Groups), aws.String(direction(b.Egress)), s.component(b.Subnet)
	case plan.CodeACL:
		e.Acl, e.AclRule, e.Direction, e.Subnet = s.component(b.ID), aclRule(b.Hop), aws.String(direction(b.Egress)), s.component(b.Subnet)
	case plan.CodeNoRoute, plan.CodeBlackhole:
		e.RouteTable, e.RouteTableRoute, e.Destination = s.component(b.ID), s.route(b.Hop), nil
		if e.RouteTableRoute != nil {
			e.RouteTableRoute.State = aws.String("blackhole")
		}
		if a := b.Packet.Destination; a.IsValid() {
			e.Address = aws.String(a.String())
		}
	case plan.CodeNoPublicEgress, plan.CodeNoPublicIngress:
		e.InternetGateway = s.component(b.ID)
	case plan.CodePublicAccess:
		e.InternetGateway, e.Subnet = s.component(b.ID), s.component(b.Subnet)
	case plan.CodeTransitZone:
		e.RouteTable, e.RouteTableRoute, e.Subnet = s.component(b.ID), s.route(b.Hop), s.component(b.Subnet)
	case plan.CodeTransitNoRoute, plan.CodeTransitBlackhole:
		e.TransitGatewayRouteTable, e.TransitGatewayRouteTableRoute = s.component(b.ID), s.transitRoute(b.Hop)
		e.Address = aws.String(b.Packet.Destination.String())
	case plan.CodeTransitNoTable:
		e.TransitGatewayAttachment = s.component(b.ID)
	case plan.CodeSourceCheck:
		e.NetworkInterface = s.component(b.ID)
	default:
		e.Component = s.component(b.ID)
	}
	return e
}
