package ec2

import (
	"net/netip"
	"strings"
)

// A gateway's route table says where that which the gateway brings goes inside the VPC.
// AWS: "Gateway route tables", rules and considerations. The page has the rules; the words of the refusals are ours.

// gateways are the gateways that use the table.
func (r *routeTable) gateways() []string {
	var ids []string
	for _, a := range r.Associations {
		if a.Gateway != "" {
			ids = append(ids, a.Gateway)
		}
	}
	return ids
}

// checkEdge refuses a gateway that a table cannot be associated with.
func checkEdge(t tx, r *routeTable, id string) error {
	if !strings.HasPrefix(id, internetGateways.prefix) {
		return errGatewayNotFound(id) // of virtual private gateways nobody has any
	}
	g, err := internetGateways.find(t, id)
	switch {
	case err != nil:
		return err
	case g == nil:
		return errGatewayNotFound(id)
	case g.VPC != r.VPC:
		return errInvalidParameterValue("Route table %s and network gateway %s belong to different networks", r.ID, id)
	case r.main():
		return errMainForGateway(r.ID)
	}
	for _, x := range r.Routes {
		if err := checkEdgeRoute(t, r, x.Destination, x.Target); err != nil {
			return err
		}
	}
	return nil
}

// AWS: "Subnet route tables", main route table: a gateway's table cannot be the main one. Subnets may use it: the provider's
// TestAccVPCRouteTableDataSource_basic associates one table with both.
func errMainForGateway(id string) error {
	return errInvalidParameterValue("Route table %s cannot be the main route table and be associated with a gateway.", id)
}

// checkEdgeRoute refuses what no route of a gateway's table may be.
func checkEdgeRoute(t tx, r *routeTable, destination, target string) error {
	if !strings.HasPrefix(target, interfaces.prefix) {
		return errInvalidParameterValue("Route target is not supported. This route only supports interface and instance targets.")
	}
	whole, err := isLocal(t, r, destination)
	if whole || err != nil {
		return err
	}
	prefix, err := netip.ParsePrefix(destination)
	if err != nil { // a prefix list
		return errInvalidParameterValue("The destination %s is not supported in a route table that is associated with a gateway.", destination)
	}
	list, err := subnets.by(t, "vpc", r.VPC)
	if err != nil {
		return err
	}
	for _, n := range list {
		for _, own := range append(cidrsOf(n.IPv6), n.CIDR) {
			if own == prefix.String() {
				return nil
			}
		}
	}
	return errInvalidParameterValue("The destination CIDR block %s is neither a CIDR block of the VPC nor that of a subnet, and the route table is associated with a gateway.", destination)
}

// leaveEdge ends the association of a gateway that leaves its VPC.
func leaveEdge(t tx, gateway string) error {
	list, err := routeTables.by(t, "gateway", gateway)
	if err != nil {
		return err
	}
	for _, r := range list {
		kept := r.Associations[:0]
		for _, a := range r.Associations {
			if a.Gateway != gateway {
				kept = append(kept, a)
			}
		}
		r.Associations = kept
		if err := routeTables.put(t, r); err != nil {
			return err
		}
	}
	return nil
}
