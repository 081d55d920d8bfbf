package ec2

import (
	"context"
	"net/netip"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// route is one row of a route table besides the local ones.
type route struct {
	// Destination is an IPv4 or IPv6 range, or the id of a prefix list.
	Destination string
	// Target is an id that says by its prefix what it is: igw-, eigw-, nat-, eni-, pcx-, tgw-, vpce-; "local" where a local
	// route is named again.
	Target string
	Origin types.RouteOrigin
}

// routeTarget is what CreateRoute and ReplaceRoute have in common.
type routeTarget struct {
	gateway, egressOnly, nat, networkInterface, instance, peering, endpoint, transit *string
}

// moreSpecific moves the id of a NAT gateway or of an egress-only internet gateway that is given as GatewayId to where it
// belongs: AWS takes it there and shows it here.
//
// AWS: as the Terraform provider's page of aws_route says ("very forgiving"); nothing of it is in the API reference.
func (w routeTarget) moreSpecific() routeTarget {
	id := aws.ToString(w.gateway)
	switch {
	case strings.HasPrefix(id, "nat-") && w.nat == nil:
		w.gateway, w.nat = nil, w.gateway
	case strings.HasPrefix(id, "eigw-") && w.egressOnly == nil:
		w.gateway, w.egressOnly = nil, w.gateway
	}
	return w
}

// CreateRoute adds a route.
func (s *Service) CreateRoute(ctx context.Context, in *ec2.CreateRouteInput) (*ec2.CreateRouteOutput, error) {
	if err := unsupported("CreateRoute", "CarrierGatewayId", in.CarrierGatewayId, "CoreNetworkArn", in.CoreNetworkArn, "LocalGatewayId", in.LocalGatewayId,
		"OdbNetworkArn", in.OdbNetworkArn); err != nil {
		return nil, err
	}
	destination, err := routeDestination(in.DestinationCidrBlock, in.DestinationIpv6CidrBlock, in.DestinationPrefixListId)
	if err != nil {
		return nil, err
	}
	return &ec2.CreateRouteOutput{Return: aws.Bool(true)}, s.update(ctx, func(t tx) error {
		return routeTables.changeNetwork(t, aws.ToString(in.RouteTableId), func(r *routeTable) error {
			local, err := isLocal(t, r, destination)
			switch {
			case err != nil:
				return err
			case aws.ToString(in.GatewayId) == localTarget:
				// AWS: the provider looks for these words (vpc_route.go), and its TestAccVPCRoute_localRouteCreateError for what it makes of them.
				return errGatewayNotFound(localTarget)
			case local:
				return errRouteAlreadyExists(destination)
			}
			target, err := resolveTarget(t, r, destination, routeTarget{in.GatewayId, in.EgressOnlyInternetGatewayId, in.NatGatewayId, in.NetworkInterfaceId, in.InstanceId, in.VpcPeeringConnectionId, in.VpcEndpointId, in.TransitGatewayId})
			if err != nil {
				return err
			}
			if len(r.gateways()) > 0 {
				if err := checkEdgeRoute(t, r, destination, target); err != nil {
					return err
				}
			}
			if i := r.find(destination); i >= 0 {
				if r.Routes[i].Target == target {
					return nil // the very same once more is no error
				}
				return errRouteAlreadyExists(destination)
			}
			r.Routes = append(r.Routes, route{destination, target, types.RouteOriginCreateRoute})
			return nil
		})
	})
}

// ReplaceRoute gives an existing route another target.
func (s *Service) ReplaceRoute(ctx context.Context, in *ec2.ReplaceRouteInput) (*ec2.ReplaceRouteOutput, error) {
	if err := unsupported("ReplaceRoute", "CarrierGatewayId", in.CarrierGatewayId, "CoreNetworkArn", in.CoreNetworkArn, "LocalGatewayId", in.LocalGatewayId,
		"OdbNetworkArn", in.OdbNetworkArn); err != nil {
		return nil, err
	}
	destination, err := routeDestination(in.DestinationCidrBlock, in.DestinationIpv6CidrBlock, in.DestinationPrefixListId)
	if err != nil {
		return nil, err
	}
	return &ec2.ReplaceRouteOutput{}, s.update(ctx, func(t tx) error {
		return routeTables.changeNetwork(t, aws.ToString(in.RouteTableId), func(r *routeTable) error {
			to := routeTarget{in.GatewayId, in.EgressOnlyInternetGatewayId, in.NatGatewayId, in.NetworkInterfaceId, in.InstanceId, in.VpcPeeringConnectionId, in.VpcEndpointId, in.TransitGatewayId}
			local, err := isLocal(t, r, destination)
			if err != nil {
				return err
			}
			i := r.find(destination)
			if aws.ToBool(in.LocalTarget) || aws.ToString(in.GatewayId) == localTarget {
				return r.replaceLocal(to, local, destination)
			}
			target, err := resolveTarget(t, r, destination, to)
			if err == nil && len(r.gateways()) > 0 {
				err = checkEdgeRoute(t, r, destination, target)
			}
			switch {
			case err != nil:
				return err
			case local && i < 0:
				r.Routes = append(r.Routes, route{destination, target, types.RouteOriginCreateRouteTable})
				return nil
			case i < 0:
				return errInvalidRouteNotFound("There is no route defined for '%s' in the route table. Use CreateRoute instead.", destination)
			}
			r.Routes[i].Target = target
			return nil
		})
	})
}

// localTarget is the target of a VPC's own ranges.
const localTarget = "local"

// replaceLocal makes a local route that led to an interface local again.
func (r *routeTable) replaceLocal(to routeTarget, local bool, destination string) error {
	others := strs(to.egressOnly, to.nat, to.networkInterface, to.instance, to.peering, to.endpoint, to.transit)
	if id := aws.ToString(to.gateway); id != "" && id != localTarget {
		others = append(others, id)
	}
	switch {
	case len(others) > 0:
		return errInvalidParameterCombination("Only one of the route targets can be specified.")
	case !local:
		return errInvalidParameterValue("The local target cannot be used for the destination %s: it is no CIDR block of the VPC.", destination)
	}
	r.Routes = slices.DeleteFunc(r.Routes, func(x route) bool { return x.Destination == destination })
	return nil
}

// DeleteRoute removes a route.
func (s *Service) DeleteRoute(ctx context.Context, in *ec2.DeleteRouteInput) (*ec2.DeleteRouteOutput, error) {
	destination, err := routeDestination(in.DestinationCidrBlock, in.DestinationIpv6CidrBlock, in.DestinationPrefixListId)
	if err != nil {
		return nil, err
	}
	return &ec2.DeleteRouteOutput{}, s.update(ctx, func(t tx) error {
		return routeTables.changeNetwork(t, aws.ToString(in.RouteTableId), func(r *routeTable) error {
			local, err := isLocal(t, r, destination)
			if err != nil {
				return err
			}
			i := r.find(destination)
			switch {
			case local:
				return errInvalidParameterValue("cannot remove local route %s in route table %s", destination, r.ID)
			case i < 0:
				return errInvalidRouteNotFound("no route with destination-cidr-block %s in route table %s", destination, r.ID)
			case strings.HasPrefix(r.Routes[i].Target, "vpce-"):
				return errInvalidParameterValue("cannot remove VPC endpoint route %s in route table %s", destination, r.ID)
			}
			r.Routes = slices.Delete(r.Routes, i, i+1)
			return nil
		})
	})
}

// routeDestination answers the one destination that a call names, in its canonical form.
func routeDestination(cidr, ipv6, list *string) (string, error) {
	given := strs(cidr, ipv6, list)
	switch {
	case len(given) == 0:
		return "", errMissingParameter("destinationCidrBlock")
	case len(given) > 1:
		return "", errInvalidParameterCombination("The parameters destinationCidrBlock, destinationIpv6CidrBlock and destinationPrefixListId cannot be used together.")
	}
	switch text := given[0]; {
	case aws.ToString(cidr) != "":
		prefix, ok := parseIPv4CIDR(text)
		if !ok {
			return "", errInvalidCIDR(text, "destinationCidrBlock")
		}
		return prefix.String(), nil
	case aws.ToString(ipv6) != "":
		prefix, ok := parseIPv6CIDR(text)
		if !ok {
			return "", errInvalidCIDR(text, "destinationIpv6CidrBlock")
		}
		return prefix.String(), nil
	case !strings.HasPrefix(text, "pl-"):
		return "", errPrefixListMalformed(text)
	default:
		return text, nil
	}
}

// isLocal tells whether a destination is one of the VPC's own ranges.
func isLocal(t tx, r *routeTable, destination string) (bool, error) {
	v, err := vpcs.get(t, r.VPC)
	if err != nil {
		return false, err
	}
	return slices.Contains(append(cidrsOf(v.CIDRs), cidrsOf(v.IPv6)...), destination), nil
}

// resolveTarget checks the target of a route and answers its id. An instance is its only interface.
func resolveTarget(t tx, r *routeTable, destination string, wanted routeTarget) (string, error) {
	wanted = wanted.moreSpecific()
	given := strs(wanted.gateway, wanted.egressOnly, wanted.nat, wanted.networkInterface, wanted.instance, wanted.peering, wanted.endpoint, wanted.transit)
	switch {
	case len(given) == 0:
		return "", errMissingParameter("gatewayId")
	case len(given) > 1:
		return "", errInvalidParameterCombination("Only one of the route targets can be specified.")
	}
	if strings.HasPrefix(destination, "pl-") {
		if _, err := prefixLists.get(t, destination); err != nil {
			return "", err
		}
	} else if err := checkSpecific(t, r, netip.MustParsePrefix(destination), aws.ToString(wanted.networkInterface)+aws.ToString(wanted.instance)); err != nil {
		return "", err
	}
	id := given[0]
	differ := func(what, theirs string) error {
		if theirs == r.VPC {
			return nil
		}
		return errInvalidParameterValue("route table %s and %s %s belong to different networks", r.ID, what, id)
	}
	switch {
	case wanted.gateway != nil && strings.HasPrefix(id, "igw-"):
		g, err := internetGateways.find(t, id)
		if err != nil {
			return "", err
		}
		if g == nil {
			return "", errGatewayNotFound(id)
		}
		return id, differ("network gateway", g.VPC)
	case wanted.gateway != nil:
		return "", errGatewayNotFound(id)
	case wanted.egressOnly != nil && strings.Contains(destination, "."):
		// AWS: "Egress-only internet gateways" are for IPv6 only.
		return "", errInvalidParameterValue("The destination CIDR block %s is not an IPv6 CIDR block. An egress-only internet gateway can be the target of IPv6 routes only.", destination)
	case wanted.egressOnly != nil:
		g, err := egressOnlyGateways.get(t, id)
		if err != nil {
			return "", err
		}
		return id, differ("egress only internet gateway", g.VPC)
	case wanted.nat != nil:
		g, err := natGateways.live(t, id)
		if err != nil {
			return "", err
		}
		return id, differ("NAT gateway", g.VPC)
	case wanted.networkInterface != nil:
		e, err := interfaces.get(t, id)
		if err != nil {
			return "", err
		}
		return id, differ("interface", e.VPC)
	case wanted.instance != nil:
		if !strings.HasPrefix(id, "i-") {
			return "", errInstanceMalformed(id)
		}
		list, err := interfaces.by(t, "instance", id)
		if err != nil {
			return "", err
		}
		switch len(list) {
		case 0:
			return "", errInstanceNotFound(id)
		case 1:
			return list[0].ID, differ("interface", list[0].VPC)
		default:
			return "", errInvalidInstanceID("There are multiple interfaces attached to instance '%s'. Please specify an interface ID for the operation instead.", id)
		}
	case wanted.peering != nil:
		p, err := peerings.get(t, id)
		if err != nil {
			return "", err
		}
		if p.Requester.VPC != r.VPC && p.Accepter.VPC != r.VPC {
			return "", differ("VPC peering connection", "")
		}
		return id, nil
	case wanted.transit != nil:
		works, err := targetWorks(t, r.VPC, id)
		if err != nil {
			return "", err
		}
		if !works {
			return "", errTransitGatewayNotReached(id)
		}
		return id, nil
	default:
		return "", errNotImplemented("A route to a VPC endpoint")
	}
}

// checkSpecific refuses routes into the VPC's own ranges, and to all of one, unless they steer to an interface.
// AWS: "Configure route tables", more specific routes than the local one.
func checkSpecific(t tx, r *routeTable, destination netip.Prefix, toInterface string) error {
	v, err := vpcs.get(t, r.VPC)
	if err != nil {
		return err
	}
	for _, own := range append(v.ranges(), v.ipv6Ranges()...) {
		if covers(own, destination) && toInterface == "" {
			return errInvalidParameterValue("The destination CIDR block %s is equal to or more specific than one of this VPC's CIDR blocks. This route can target only an interface or an instance.", destination)
		}
	}
	return nil
}

// routesToAPI are a table's routes, the local ones first. A route whose target is gone is a blackhole.
func routesToAPI(t tx, r *routeTable) ([]types.Route, error) {
	v, err := vpcs.get(t, r.VPC)
	if err != nil {
		return nil, err
	}
	var list []types.Route
	for _, own := range v.CIDRs {
		if r.find(own.CIDR) >= 0 {
			continue // it leads to an interface
		}
		list = append(list, types.Route{
			DestinationCidrBlock: aws.String(own.CIDR), GatewayId: aws.String("local"), Origin: types.RouteOriginCreateRouteTable, State: types.RouteStateActive,
		})
	}
	for _, own := range v.IPv6 {
		if r.find(own.CIDR) >= 0 {
			continue
		}
		list = append(list, types.Route{
			DestinationIpv6CidrBlock: aws.String(own.CIDR), GatewayId: aws.String("local"), Origin: types.RouteOriginCreateRouteTable, State: types.RouteStateActive,
		})
	}
	for _, x := range r.Routes {
		shown := types.Route{Origin: x.Origin, State: types.RouteStateActive}
		switch {
		case strings.HasPrefix(x.Destination, "pl-"):
			shown.DestinationPrefixListId = aws.String(x.Destination)
		case strings.Contains(x.Destination, ":"):
			shown.DestinationIpv6CidrBlock = aws.String(x.Destination)
		default:
			shown.DestinationCidrBlock = aws.String(x.Destination)
		}
		target := aws.String(x.Target)
		switch prefix, _, _ := strings.Cut(x.Target, "-"); prefix {
		case "eigw":
			shown.EgressOnlyInternetGatewayId = target
		case "nat":
			shown.NatGatewayId = target
		case "pcx":
			shown.VpcPeeringConnectionId = target
		case "tgw":
			shown.TransitGatewayId = target
		case "eni":
			shown.NetworkInterfaceId = target
			e, err := interfaces.find(t, x.Target)
			if err != nil {
				return nil, err
			}
			if e != nil && e.Attachment != nil && e.Attachment.Instance != "" {
				shown.InstanceId, shown.InstanceOwnerId = aws.String(e.Attachment.Instance), aws.String(t.scope.Account)
			}
		default:
			shown.GatewayId = target
		}
		works, err := targetWorks(t, r.VPC, x.Target)
		if err != nil {
			return nil, err
		}
		if !works {
			shown.State = types.RouteStateBlackhole
		}
		list = append(list, shown)
	}
	return list, nil
}

// targetWorks tells whether packets that are sent to a target of a VPC's routes get anywhere.
func targetWorks(t tx, vpcID, target string) (bool, error) {
	switch prefix, _, _ := strings.Cut(target, "-"); prefix {
	case "igw":
		g, err := internetGateways.find(t, target)
		return g != nil && g.VPC == vpcID, err
	case "eigw":
		g, err := egressOnlyGateways.find(t, target)
		return g != nil, err
	case "nat":
		g, err := natGateways.find(t, target)
		return g != nil && !g.gone(), err
	case "pcx":
		p, err := peerings.find(t, target)
		return p != nil && p.active(), err
	case "tgw":
		list, err := transitAttachments.by(t, "vpc", vpcID)
		return slices.ContainsFunc(list, func(a *transitAttachment) bool { return a.Gateway == target && a.works() }), err
	case "vpce":
		e, err := endpoints.find(t, target)
		return e != nil, err
	case "eni":
		e, err := interfaces.find(t, target)
		return e != nil && e.Attachment != nil, err
	default:
		return false, nil
	}
}
