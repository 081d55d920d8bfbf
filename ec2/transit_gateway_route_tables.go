package ec2

import (
	"context"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// transitTable is one route table of a transit gateway.
//
//	pending ──confirmed──▶ available ──delete──▶ deleted (shown for an hour)
type transitTable struct {
	resource
	Gateway string
	State   types.TransitGatewayRouteTableState
	Created time.Time
}

func (r *transitTable) gone() bool { return r.State == types.TransitGatewayRouteTableStateDeleted }

func transitTableBase(r *transitTable) *resource { return &r.resource }

// defaultOf makes a filter's function of whether the gateway means this table by one of its defaults.
func defaultOf(table func(*transitGateway) string) func(tx, *transitTable) []string {
	return func(t tx, r *transitTable) []string {
		g, err := transitGateways.find(t, r.Gateway)
		t.fail(err)
		return yesNo(g != nil && table(g) == r.ID)
	}
}

var transitTables = &kind[transitTable]{
	prefix: "tgw-rtb-", typ: types.ResourceTypeTransitGatewayRouteTable, base: transitTableBase, notFound: errTransitTableNotFound, malformed: errTransitTableMalformed,
	table: tableOf("transit-gateway-route-tables", transitTableBase, map[string]func(*transitTable) []string{
		"gateway": func(r *transitTable) []string { return one(r.Gateway) },
	}),
	narrow: map[string]string{"transit-gateway-id": "gateway"},
	filters: filters[transitTable]{
		"default-association-route-table": defaultOf(func(g *transitGateway) string { return g.AssociationTable }),
		"default-propagation-route-table": defaultOf(func(g *transitGateway) string { return g.PropagationTable }),
		"state":                           func(_ tx, r *transitTable) []string { return one(string(r.State)) },
		"transit-gateway-id":              func(_ tx, r *transitTable) []string { return one(r.Gateway) },
		"transit-gateway-route-table-id":  func(_ tx, r *transitTable) []string { return one(r.ID) },
	},
}

// transitTableOf is live of one gateway.
func transitTableOf(t tx, id, gateway string) (*transitTable, error) {
	r, err := transitTables.live(t, id)
	if err == nil && r.Gateway != gateway {
		return nil, errInvalidParameterValue("Transit Gateway Route Table %s does not belong to %s.", id, gateway)
	}
	return r, err
}

// CreateTransitGatewayRouteTable makes a table without routes.
func (s *Service) CreateTransitGatewayRouteTable(ctx context.Context, in *ec2.CreateTransitGatewayRouteTableInput) (*ec2.CreateTransitGatewayRouteTableOutput, error) {
	tags, err := tagsOnCreate(in.TagSpecifications, types.ResourceTypeTransitGatewayRouteTable)
	if err != nil {
		return nil, err
	}
	out := &ec2.CreateTransitGatewayRouteTableOutput{}
	return out, s.update(ctx, func(t tx) error {
		g, err := transitGateways.live(t, aws.ToString(in.TransitGatewayId))
		if err != nil {
			return err
		}
		if g.State != types.TransitGatewayStateAvailable {
			return errIncorrectState("%s is in invalid state", g.ID)
		}
		r := &transitTable{
			resource: resource{ID: t.NewID("tgw-rtb-"), Tags: tags}, Gateway: g.ID, State: types.TransitGatewayRouteTableStatePending, Created: t.Now().UTC().Truncate(time.Second),
		}
		if err := transitTables.insert(t, r); err != nil {
			return err
		}
		shown, err := transitTableToAPI(t, r)
		out.TransitGatewayRouteTable = &shown
		if err != nil {
			return err
		}
		return wantTransit(t, g.ID)
	})
}

// DescribeTransitGatewayRouteTables lists tables.
func (s *Service) DescribeTransitGatewayRouteTables(ctx context.Context, in *ec2.DescribeTransitGatewayRouteTablesInput) (*ec2.DescribeTransitGatewayRouteTablesOutput, error) {
	list, next, err := describe(ctx, s, transitTables, query{in.TransitGatewayRouteTableIds, "transitGatewayRouteTableIds", in.Filters, in.MaxResults, in.NextToken}, transitTableToAPI)
	return &ec2.DescribeTransitGatewayRouteTablesOutput{TransitGatewayRouteTables: list, NextToken: next}, err
}

// DeleteTransitGatewayRouteTable removes a table with its routes. No attachment may be associated with it, and it may not
// be one of the gateway's defaults.
func (s *Service) DeleteTransitGatewayRouteTable(ctx context.Context, in *ec2.DeleteTransitGatewayRouteTableInput) (*ec2.DeleteTransitGatewayRouteTableOutput, error) {
	out := &ec2.DeleteTransitGatewayRouteTableOutput{}
	return out, s.update(ctx, func(t tx) error {
		r, err := transitTables.live(t, aws.ToString(in.TransitGatewayRouteTableId))
		if err != nil {
			return err
		}
		g, err := transitGateways.get(t, r.Gateway)
		if err != nil {
			return err
		}
		if g.AssociationTable == r.ID || g.PropagationTable == r.ID {
			return errIncorrectState("Cannot delete default Transit Gateway Route Table %s", r.ID)
		}
		attachments, err := transitAttachments.by(t, "gateway", r.Gateway)
		if err != nil {
			return err
		}
		for _, a := range attachments {
			if a.table() == r.ID {
				return errIncorrectState("Transit Gateway Route Table %s has associations: %s", r.ID, a.ID)
			}
		}
		for _, a := range attachments {
			if i := a.propagation(r.ID); i >= 0 {
				a.Propagations = slices.Delete(a.Propagations, i, i+1)
				if err := transitAttachments.put(t, a); err != nil {
					return err
				}
			}
		}
		if err := r.remove(t); err != nil {
			return err
		}
		shown, err := transitTableToAPI(t, r)
		shown.State = types.TransitGatewayRouteTableStateDeleting
		out.TransitGatewayRouteTable = &shown
		if err != nil {
			return err
		}
		return wantTransit(t, r.Gateway)
	})
}

// remove ends the table with its routes.
func (r *transitTable) remove(t tx) error {
	routes, err := transitRoutesOf(t, r.ID)
	if err != nil {
		return err
	}
	for _, x := range routes {
		if err := transitRoutes.In(t, t.scope).Delete(x.Table, x.Destination); err != nil {
			return err
		}
	}
	references, err := transitReferencesOf(t, r.ID)
	if err != nil {
		return err
	}
	for _, x := range references {
		if err := transitListReferences.In(t, t.scope).Delete(x.Table, x.List); err != nil {
			return err
		}
	}
	r.State = types.TransitGatewayRouteTableStateDeleted
	if err := wantGone(t, r.ID); err != nil {
		return err
	}
	return transitTables.put(t, r)
}

func transitTableToAPI(t tx, r *transitTable) (types.TransitGatewayRouteTable, error) {
	shown := types.TransitGatewayRouteTable{
		TransitGatewayRouteTableId: aws.String(r.ID), TransitGatewayId: aws.String(r.Gateway), State: r.State, CreationTime: aws.Time(r.Created),
		DefaultAssociationRouteTable: aws.Bool(false), DefaultPropagationRouteTable: aws.Bool(false), Tags: tagsToAPI(t, r.Tags),
	}
	g, err := transitGateways.find(t, r.Gateway)
	if g != nil {
		shown.DefaultAssociationRouteTable, shown.DefaultPropagationRouteTable = aws.Bool(g.AssociationTable == r.ID), aws.Bool(g.PropagationTable == r.ID)
	}
	return shown, err
}

// pairOf answers a table and an attachment of the same gateway.
func pairOf(t tx, table, attachment *string) (*transitTable, *transitAttachment, error) {
	r, err := transitTables.live(t, aws.ToString(table))
	if err != nil {
		return nil, nil, err
	}
	a, err := transitAttachments.live(t, aws.ToString(attachment))
	if err != nil {
		return nil, nil, err
	}
	if a.Gateway != r.Gateway {
		return nil, nil, errInvalidParameterValue("Transit Gateway Route Table %s and Transit Gateway Attachment %s do not belong to the same Transit Gateway.", r.ID, a.ID)
	}
	return r, a, nil
}

// AssociateTransitGatewayRouteTable makes packets from an attachment ask a table.
func (s *Service) AssociateTransitGatewayRouteTable(ctx context.Context, in *ec2.AssociateTransitGatewayRouteTableInput) (*ec2.AssociateTransitGatewayRouteTableOutput, error) {
	out := &ec2.AssociateTransitGatewayRouteTableOutput{}
	return out, s.update(ctx, func(t tx) error {
		r, a, err := pairOf(t, in.TransitGatewayRouteTableId, in.TransitGatewayAttachmentId)
		switch {
		case err != nil:
			return err
		case a.Association != nil:
			return errResourceAlreadyAssociated("Transit Gateway Attachment %s is already associated to a route table.", a.ID)
		case !a.works():
			return errIncorrectState("%s is in invalid state", a.ID)
		}
		a.Association = &transitAssociation{r.ID, types.TransitGatewayAssociationStateAssociating}
		out.Association = a.association()
		if err := transitAttachments.put(t, a); err != nil {
			return err
		}
		return wantTransit(t, a.Gateway)
	})
}

func (a *transitAttachment) association() *types.TransitGatewayAssociation {
	return &types.TransitGatewayAssociation{
		TransitGatewayRouteTableId: aws.String(a.Association.Table), TransitGatewayAttachmentId: aws.String(a.ID), ResourceId: aws.String(a.targetID()),
		ResourceType: a.targetType(), State: a.Association.State,
	}
}

// DisassociateTransitGatewayRouteTable ends that: packets from the attachment are dropped then.
func (s *Service) DisassociateTransitGatewayRouteTable(ctx context.Context, in *ec2.DisassociateTransitGatewayRouteTableInput) (*ec2.DisassociateTransitGatewayRouteTableOutput, error) {
	out := &ec2.DisassociateTransitGatewayRouteTableOutput{}
	return out, s.update(ctx, func(t tx) error {
		r, a, err := pairOf(t, in.TransitGatewayRouteTableId, in.TransitGatewayAttachmentId)
		if err != nil {
			return err
		}
		if a.table() != r.ID || a.Association.State == types.TransitGatewayAssociationStateDisassociating {
			return errAssociationNotFound(a.ID)
		}
		a.Association.State = types.TransitGatewayAssociationStateDisassociating
		out.Association = a.association()
		if err := transitAttachments.put(t, a); err != nil {
			return err
		}
		return wantTransit(t, a.Gateway)
	})
}

// EnableTransitGatewayRouteTablePropagation puts the ranges of an attachment's VPC into a table.
func (s *Service) EnableTransitGatewayRouteTablePropagation(ctx context.Context, in *ec2.EnableTransitGatewayRouteTablePropagationInput) (*ec2.EnableTransitGatewayRouteTablePropagationOutput, error) {
	if err := unsupported("EnableTransitGatewayRouteTablePropagation", "TransitGatewayRouteTableAnnouncementId", in.TransitGatewayRouteTableAnnouncementId); err != nil {
		return nil, err
	}
	out := &ec2.EnableTransitGatewayRouteTablePropagationOutput{}
	return out, s.update(ctx, func(t tx) error {
		r, a, err := pairOf(t, in.TransitGatewayRouteTableId, in.TransitGatewayAttachmentId)
		switch {
		case err != nil:
			return err
		case a.Peer != nil:
			return errInvalidParameterValue("Transit Gateway Attachment %s leads to a transit gateway, whose routes are not propagated.", a.ID)
		case a.propagation(r.ID) >= 0:
			return errTransitPropagationDuplicate(a.ID, r.ID)
		case !a.works():
			return errIncorrectState("%s is in invalid state", a.ID)
		}
		a.Propagations = append(a.Propagations, transitPropagation{r.ID, types.TransitGatewayPropagationStateEnabling})
		out.Propagation = a.propagationToAPI(len(a.Propagations) - 1)
		if err := transitAttachments.put(t, a); err != nil {
			return err
		}
		return wantTransit(t, a.Gateway)
	})
}

func (a *transitAttachment) propagationToAPI(i int) *types.TransitGatewayPropagation {
	return &types.TransitGatewayPropagation{
		TransitGatewayRouteTableId: aws.String(a.Propagations[i].Table), TransitGatewayAttachmentId: aws.String(a.ID), ResourceId: aws.String(a.VPC),
		ResourceType: types.TransitGatewayAttachmentResourceTypeVpc, State: a.Propagations[i].State,
	}
}

// DisableTransitGatewayRouteTablePropagation takes them out again.
func (s *Service) DisableTransitGatewayRouteTablePropagation(ctx context.Context, in *ec2.DisableTransitGatewayRouteTablePropagationInput) (*ec2.DisableTransitGatewayRouteTablePropagationOutput, error) {
	if err := unsupported("DisableTransitGatewayRouteTablePropagation", "TransitGatewayRouteTableAnnouncementId", in.TransitGatewayRouteTableAnnouncementId); err != nil {
		return nil, err
	}
	out := &ec2.DisableTransitGatewayRouteTablePropagationOutput{}
	return out, s.update(ctx, func(t tx) error {
		r, a, err := pairOf(t, in.TransitGatewayRouteTableId, in.TransitGatewayAttachmentId)
		if err != nil {
			return err
		}
		i := a.propagation(r.ID)
		if i < 0 || a.Propagations[i].State == types.TransitGatewayPropagationStateDisabling {
			return errTransitPropagationNotFound(a.ID, r.ID)
		}
		a.Propagations[i].State = types.TransitGatewayPropagationStateDisabling
		out.Propagation = a.propagationToAPI(i)
		if err := transitAttachments.put(t, a); err != nil {
			return err
		}
		return wantTransit(t, a.Gateway)
	})
}

// transitFilters are those of the lists of a table's attachments.
var transitFilters = filters[transitAttachment]{
	"resource-id":                   func(_ tx, a *transitAttachment) []string { return one(a.targetID()) },
	"resource-type":                 func(_ tx, a *transitAttachment) []string { return one(string(a.targetType())) },
	"transit-gateway-attachment-id": func(_ tx, a *transitAttachment) []string { return one(a.ID) },
}

// attachmentsOfTable answers a page of the attachments that have something to do with a table.
func (s *Service) attachmentsOfTable(ctx context.Context, table *string, q query, belongs func(*transitAttachment, string) bool) (list []*transitAttachment, next *string, err error) {
	err = s.view(ctx, func(t tx) error {
		r, err := transitTables.live(t, aws.ToString(table))
		if err != nil {
			return err
		}
		match, err := transitFilters.compile(transitAttachmentBase, q.filters)
		if err != nil {
			return err
		}
		list, err = transitAttachments.by(t, "gateway", r.Gateway)
		if err != nil {
			return err
		}
		list = slices.DeleteFunc(list, func(a *transitAttachment) bool { return !belongs(a, r.ID) || !match.matches(t, a) })
		list, next, err = cut(list, func(a *transitAttachment) string { return a.ID }, string(transitAttachments.typ), transitAttachments.pages, q)
		return err
	})
	return list, next, err
}

// GetTransitGatewayRouteTableAssociations lists the attachments whose packets ask a table.
func (s *Service) GetTransitGatewayRouteTableAssociations(ctx context.Context, in *ec2.GetTransitGatewayRouteTableAssociationsInput) (*ec2.GetTransitGatewayRouteTableAssociationsOutput, error) {
	list, next, err := s.attachmentsOfTable(ctx, in.TransitGatewayRouteTableId, query{filters: in.Filters, max: in.MaxResults, token: in.NextToken},
		func(a *transitAttachment, table string) bool { return a.table() == table })
	out := &ec2.GetTransitGatewayRouteTableAssociationsOutput{NextToken: next, Associations: []types.TransitGatewayRouteTableAssociation{}}
	for _, a := range list {
		x := a.association()
		out.Associations = append(out.Associations, types.TransitGatewayRouteTableAssociation{
			TransitGatewayAttachmentId: x.TransitGatewayAttachmentId, ResourceId: x.ResourceId, ResourceType: x.ResourceType, State: x.State,
		})
	}
	return out, err
}

// GetTransitGatewayRouteTablePropagations lists the attachments whose ranges are in a table.
func (s *Service) GetTransitGatewayRouteTablePropagations(ctx context.Context, in *ec2.GetTransitGatewayRouteTablePropagationsInput) (*ec2.GetTransitGatewayRouteTablePropagationsOutput, error) {
	list, next, err := s.attachmentsOfTable(ctx, in.TransitGatewayRouteTableId, query{filters: in.Filters, max: in.MaxResults, token: in.NextToken},
		func(a *transitAttachment, table string) bool { return a.propagation(table) >= 0 })
	out := &ec2.GetTransitGatewayRouteTablePropagationsOutput{NextToken: next, TransitGatewayRouteTablePropagations: []types.TransitGatewayRouteTablePropagation{}}
	for _, a := range list {
		x := a.propagationToAPI(a.propagation(aws.ToString(in.TransitGatewayRouteTableId)))
		out.TransitGatewayRouteTablePropagations = append(out.TransitGatewayRouteTablePropagations, types.TransitGatewayRouteTablePropagation{
			TransitGatewayAttachmentId: x.TransitGatewayAttachmentId, ResourceId: x.ResourceId, ResourceType: x.ResourceType, State: x.State,
		})
	}
	return out, err
}

// propagationFilters are those of the list of an attachment's propagations.
var propagationFilters = filters[transitTable]{
	"transit-gateway-route-table-id": func(_ tx, r *transitTable) []string { return one(r.ID) },
}

// GetTransitGatewayAttachmentPropagations lists the tables that have the ranges of an attachment.
func (s *Service) GetTransitGatewayAttachmentPropagations(ctx context.Context, in *ec2.GetTransitGatewayAttachmentPropagationsInput) (*ec2.GetTransitGatewayAttachmentPropagationsOutput, error) {
	out := &ec2.GetTransitGatewayAttachmentPropagationsOutput{}
	return out, s.view(ctx, func(t tx) error {
		a, err := transitAttachments.live(t, aws.ToString(in.TransitGatewayAttachmentId))
		if err != nil {
			return err
		}
		match, err := propagationFilters.compile(transitTableBase, in.Filters)
		if err != nil {
			return err
		}
		list := slices.DeleteFunc(slices.Clone(a.Propagations), func(p transitPropagation) bool {
			return !match.matches(t, &transitTable{resource: resource{ID: p.Table}})
		})
		slices.SortFunc(list, func(x, y transitPropagation) int {
			if x.Table < y.Table {
				return -1
			}
			return 1
		})
		list, next, err := cut(list, func(p transitPropagation) string { return p.Table }, string(transitTables.typ), transitTables.pages, query{max: in.MaxResults, token: in.NextToken})
		out.NextToken, out.TransitGatewayAttachmentPropagations = next, []types.TransitGatewayAttachmentPropagation{}
		for _, p := range list {
			out.TransitGatewayAttachmentPropagations = append(out.TransitGatewayAttachmentPropagations, types.TransitGatewayAttachmentPropagation{
				TransitGatewayRouteTableId: aws.String(p.Table), State: p.State,
			})
		}
		return err
	})
}
