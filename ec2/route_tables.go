package ec2

import (
	"context"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// routeTable says where packets that leave a subnet go. The local routes are not stored: they follow from the VPC.
type routeTable struct {
	resource
	VPC          string
	Routes       []route                 `json:",omitempty"`
	Associations []routeTableAssociation `json:",omitempty"`
}

// routeTableAssociation ties a table to a subnet, or to the VPC as its main one.
type routeTableAssociation struct {
	ID     string
	Subnet string `json:",omitempty"`
	// Gateway is an internet gateway, whose packets into the VPC the table steers.
	Gateway string `json:",omitempty"`
	Main    bool   `json:",omitempty"`
}

func (r *routeTable) vpc() string { return r.VPC }

// main tells whether the subnets without a table of their own use this one.
func (r *routeTable) main() bool {
	return slices.ContainsFunc(r.Associations, func(a routeTableAssociation) bool { return a.Main })
}

func (r *routeTable) find(destination string) int {
	return slices.IndexFunc(r.Routes, func(x route) bool { return x.Destination == destination })
}

func routeTableBase(r *routeTable) *resource { return &r.resource }

func routeTableSubnets(r *routeTable) []string {
	var ids []string
	for _, a := range r.Associations {
		if a.Subnet != "" {
			ids = append(ids, a.Subnet)
		}
	}
	return ids
}

func routeTableAssociations(r *routeTable) []string {
	var ids []string
	for _, a := range r.Associations {
		ids = append(ids, a.ID)
	}
	return ids
}

// routesOf makes a filter's function of one that answers a route's value.
func routesOf(value func(types.Route) string) func(tx, *routeTable) []string {
	return func(t tx, r *routeTable) []string {
		shown, err := routesToAPI(t, r)
		t.fail(err)
		var values []string
		for _, x := range shown {
			values = append(values, one(value(x))...)
		}
		return values
	}
}

var routeTables = &kind[routeTable]{
	prefix: "rtb-", typ: types.ResourceTypeRouteTable, base: routeTableBase,
	notFound: errRouteTableNotFound, malformed: errRouteTableMalformed,
	table: tableOf("route-tables", routeTableBase, map[string]func(*routeTable) []string{
		"vpc":         func(r *routeTable) []string { return one(r.VPC) },
		"subnet":      routeTableSubnets,
		"association": routeTableAssociations,
		"gateway":     func(r *routeTable) []string { return r.gateways() },
	}),
	narrow: map[string]string{"vpc-id": "vpc", "association.subnet-id": "subnet", "association.gateway-id": "gateway", "association.route-table-association-id": "association"},
	pages:  pageBounds{5, 100},
	filters: filters[routeTable]{
		"association.gateway-id":                 func(_ tx, r *routeTable) []string { return r.gateways() },
		"association.route-table-association-id": func(_ tx, r *routeTable) []string { return routeTableAssociations(r) },
		"association.route-table-id": func(_ tx, r *routeTable) []string {
			if len(r.Associations) == 0 {
				return nil
			}
			return one(r.ID)
		},
		"association.subnet-id": func(_ tx, r *routeTable) []string { return routeTableSubnets(r) },
		"association.main": func(_ tx, r *routeTable) []string {
			var values []string
			for _, a := range r.Associations {
				values = append(values, yesNo(a.Main)...)
			}
			return append(values, yesNo(r.main())...)
		},
		"owner-id":                              func(t tx, _ *routeTable) []string { return one(t.scope.Account) },
		"route-table-id":                        func(_ tx, r *routeTable) []string { return one(r.ID) },
		"vpc-id":                                func(_ tx, r *routeTable) []string { return one(r.VPC) },
		"route.destination-cidr-block":          routesOf(func(x types.Route) string { return aws.ToString(x.DestinationCidrBlock) }),
		"route.destination-ipv6-cidr-block":     routesOf(func(x types.Route) string { return aws.ToString(x.DestinationIpv6CidrBlock) }),
		"route.destination-prefix-list-id":      routesOf(func(x types.Route) string { return aws.ToString(x.DestinationPrefixListId) }),
		"route.egress-only-internet-gateway-id": routesOf(func(x types.Route) string { return aws.ToString(x.EgressOnlyInternetGatewayId) }),
		"route.gateway-id":                      routesOf(func(x types.Route) string { return aws.ToString(x.GatewayId) }),
		"route.instance-id":                     routesOf(func(x types.Route) string { return aws.ToString(x.InstanceId) }),
		"route.nat-gateway-id":                  routesOf(func(x types.Route) string { return aws.ToString(x.NatGatewayId) }),
		"route.transit-gateway-id":              routesOf(func(x types.Route) string { return aws.ToString(x.TransitGatewayId) }),
		"route.vpc-peering-connection-id":       routesOf(func(x types.Route) string { return aws.ToString(x.VpcPeeringConnectionId) }),
		"route.origin":                          routesOf(func(x types.Route) string { return string(x.Origin) }),
		"route.state":                           routesOf(func(x types.Route) string { return string(x.State) }),
	},
}

func createMainRouteTable(t tx, vpcID string) error {
	return routeTables.insert(t, &routeTable{
		resource: resource{ID: t.NewID("rtb-")}, VPC: vpcID,
		Associations: []routeTableAssociation{{ID: t.NewID("rtbassoc-"), Main: true}},
	})
}

// mainRouteTable answers a VPC's main table.
func mainRouteTable(t tx, vpcID string) (*routeTable, error) {
	list, err := routeTables.by(t, "vpc", vpcID)
	if err != nil {
		return nil, err
	}
	for _, r := range list {
		if r.main() {
			return r, nil
		}
	}
	return nil, errVPCNotFound(vpcID)
}

// CreateRouteTable makes a table with nothing but the local routes.
func (s *Service) CreateRouteTable(ctx context.Context, in *ec2.CreateRouteTableInput) (*ec2.CreateRouteTableOutput, error) {
	tags, err := tagsOnCreate(in.TagSpecifications, types.ResourceTypeRouteTable)
	if err != nil {
		return nil, err
	}
	out := &ec2.CreateRouteTableOutput{ClientToken: in.ClientToken}
	return out, s.update(ctx, func(t tx) error {
		r, err := routeTables.makeOnce(t, "CreateRouteTable", in.ClientToken, in, func() (string, error) {
			v, err := vpcs.get(t, aws.ToString(in.VpcId))
			if err != nil {
				return "", err
			}
			r := &routeTable{resource: resource{ID: t.NewID("rtb-"), Tags: tags}, VPC: v.ID}
			return r.ID, routeTables.insert(t, r)
		})
		if err != nil {
			return err
		}
		shown, err := routeTableToAPI(t, r)
		out.RouteTable = &shown
		return err
	})
}

// DescribeRouteTables lists route tables.
func (s *Service) DescribeRouteTables(ctx context.Context, in *ec2.DescribeRouteTablesInput) (*ec2.DescribeRouteTablesOutput, error) {
	list, next, err := describe(ctx, s, routeTables, query{in.RouteTableIds, "routeTableIds", in.Filters, in.MaxResults, in.NextToken}, routeTableToAPI)
	return &ec2.DescribeRouteTablesOutput{RouteTables: list, NextToken: next}, err
}

// DeleteRouteTable removes a table that no subnet uses and that is not the main one.
func (s *Service) DeleteRouteTable(ctx context.Context, in *ec2.DeleteRouteTableInput) (*ec2.DeleteRouteTableOutput, error) {
	id := aws.ToString(in.RouteTableId)
	return &ec2.DeleteRouteTableOutput{}, s.update(ctx, func(t tx) error {
		r, err := routeTables.get(t, id)
		if err != nil {
			return err
		}
		if len(r.Associations) > 0 {
			return errDependencyViolation("The routeTable '%s' has dependencies and cannot be deleted.", id)
		}
		if err := leaveEndpoints(t, r); err != nil {
			return err
		}
		if err := routeTables.delete(t, id); err != nil {
			return err
		}
		return wantNetwork(t, r.VPC)
	})
}

// AssociateRouteTable makes a subnet use a table, or an internet gateway for what it brings into the VPC. One that uses a table
// already refuses another.
func (s *Service) AssociateRouteTable(ctx context.Context, in *ec2.AssociateRouteTableInput) (*ec2.AssociateRouteTableOutput, error) {
	if err := unsupported("AssociateRouteTable", "PublicIpv4Pool", in.PublicIpv4Pool); err != nil {
		return nil, err
	}
	switch {
	case in.SubnetId == nil && in.GatewayId == nil:
		return nil, errMissingParameter("subnetId")
	case in.SubnetId != nil && in.GatewayId != nil:
		return nil, errInvalidParameterCombination("The parameters subnetId and gatewayId cannot be used together.")
	}
	out := &ec2.AssociateRouteTableOutput{AssociationState: associated()}
	return out, s.update(ctx, func(t tx) error {
		return routeTables.changeNetwork(t, aws.ToString(in.RouteTableId), func(r *routeTable) error {
			made, index, err := newAssociation(t, r, in)
			if err != nil {
				return err
			}
			for _, a := range r.Associations {
				if a.Subnet == made.Subnet && a.Gateway == made.Gateway && !a.Main {
					out.AssociationId = aws.String(a.ID)
					return nil
				}
			}
			taken, err := routeTables.any(t, index, made.Subnet+made.Gateway)
			if err != nil {
				return err
			}
			if taken {
				return errResourceAlreadyAssociated("the specified association for route table %s conflicts with an existing association", r.ID)
			}
			made.ID = t.NewID("rtbassoc-")
			r.Associations = append(r.Associations, made)
			out.AssociationId = aws.String(made.ID)
			return nil
		})
	})
}

// newAssociation is what an association is to be, and the index that knows others of the same kind.
func newAssociation(t tx, r *routeTable, in *ec2.AssociateRouteTableInput) (made routeTableAssociation, index string, err error) {
	if in.GatewayId != nil {
		made.Gateway = *in.GatewayId
		return made, "gateway", checkEdge(t, r, made.Gateway)
	}
	n, err := subnets.get(t, *in.SubnetId)
	if err != nil {
		return made, "", err
	}
	if n.VPC != r.VPC {
		return made, "", errInvalidParameterValue("Route table %s and subnet %s belong to different networks", r.ID, n.ID)
	}
	made.Subnet = n.ID
	return made, "subnet", nil
}

func associated() *types.RouteTableAssociationState {
	return &types.RouteTableAssociationState{State: types.RouteTableAssociationStateCodeAssociated}
}

// byAssociation answers the table with an association, and where in it that is.
func byAssociation(t tx, id string) (*routeTable, int, error) {
	r, err := routeTables.in(t).Index("association").Find(id)
	if err != nil {
		return nil, 0, err
	}
	if r == nil {
		return nil, 0, errAssociationNotFound(id)
	}
	return r, slices.IndexFunc(r.Associations, func(a routeTableAssociation) bool { return a.ID == id }), nil
}

// DisassociateRouteTable makes a subnet use the main table again.
func (s *Service) DisassociateRouteTable(ctx context.Context, in *ec2.DisassociateRouteTableInput) (*ec2.DisassociateRouteTableOutput, error) {
	id := aws.ToString(in.AssociationId)
	return &ec2.DisassociateRouteTableOutput{}, s.update(ctx, func(t tx) error {
		r, i, err := byAssociation(t, id)
		if err != nil {
			return err
		}
		if r.Associations[i].Main {
			return errInvalidParameterValue("cannot disassociate the main route table association %s", id)
		}
		r.Associations = slices.Delete(r.Associations, i, i+1)
		if err := routeTables.put(t, r); err != nil {
			return err
		}
		return wantNetwork(t, r.VPC)
	})
}

// ReplaceRouteTableAssociation moves a subnet to another table, or makes another table the main one.
func (s *Service) ReplaceRouteTableAssociation(ctx context.Context, in *ec2.ReplaceRouteTableAssociationInput) (*ec2.ReplaceRouteTableAssociationOutput, error) {
	out := &ec2.ReplaceRouteTableAssociationOutput{AssociationState: associated()}
	return out, s.update(ctx, func(t tx) error {
		old, i, err := byAssociation(t, aws.ToString(in.AssociationId))
		if err != nil {
			return err
		}
		r, err := routeTables.get(t, aws.ToString(in.RouteTableId))
		if err != nil {
			return err
		}
		if r.VPC != old.VPC {
			return errInvalidParameterValue("Route table %s and route table %s belong to different networks", r.ID, old.ID)
		}
		if r.ID == old.ID {
			out.NewAssociationId = in.AssociationId
			return nil
		}
		moved := old.Associations[i]
		if moved.Gateway != "" {
			if err := checkEdge(t, r, moved.Gateway); err != nil {
				return err
			}
		} else if moved.Main && len(r.gateways()) > 0 {
			return errMainForGateway(r.ID)
		}
		moved.ID = t.NewID("rtbassoc-")
		old.Associations = slices.Delete(old.Associations, i, i+1)
		r.Associations = append(r.Associations, moved)
		out.NewAssociationId = aws.String(moved.ID)
		if err := routeTables.put(t, old); err != nil {
			return err
		}
		if err := routeTables.put(t, r); err != nil {
			return err
		}
		return wantNetwork(t, r.VPC)
	})
}

// leaveRouteTables ends a subnet's association, when the subnet is deleted.
func leaveRouteTables(t tx, subnetID string) error {
	list, err := routeTables.by(t, "subnet", subnetID)
	if err != nil {
		return err
	}
	for _, r := range list {
		r.Associations = slices.DeleteFunc(r.Associations, func(a routeTableAssociation) bool { return a.Subnet == subnetID })
		if err := routeTables.put(t, r); err != nil {
			return err
		}
	}
	return nil
}

func routeTableToAPI(t tx, r *routeTable) (types.RouteTable, error) {
	routes, err := routesToAPI(t, r)
	shown := types.RouteTable{
		RouteTableId: aws.String(r.ID), VpcId: aws.String(r.VPC), OwnerId: aws.String(t.scope.Account), Tags: tagSet(t, r.Tags), Routes: routes,
		Associations: []types.RouteTableAssociation{}, PropagatingVgws: []types.PropagatingVgw{},
	}
	for _, a := range r.Associations {
		association := types.RouteTableAssociation{
			RouteTableAssociationId: aws.String(a.ID), RouteTableId: aws.String(r.ID), Main: aws.Bool(a.Main), AssociationState: associated(),
		}
		association.SubnetId, association.GatewayId = optional(a.Subnet), optional(a.Gateway)
		shown.Associations = append(shown.Associations, association)
	}
	return shown, err
}
