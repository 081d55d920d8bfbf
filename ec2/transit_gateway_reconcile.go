package ec2

import (
	"context"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"miniaws/awsapi"
	"miniaws/awsapi/meta"
	"miniaws/backend"
	"miniaws/backend/reconcile"
	"miniaws/backend/store"
)

// transitKind is a transit gateway to make true, by its id.
const transitKind = "ec2.transit-gateway"

func (s *Service) registerTransit(server *awsapi.Server) {
	table := func(id *string) []string { return strs(id) }
	server.Register(meta.EC2,
		awsapi.Op(s.CreateTransitGateway, makes[ec2.CreateTransitGatewayInput](s, "CreateTransitGateway", types.ResourceTypeTransitGateway, nil)),
		awsapi.Op(s.DescribeTransitGateways, inRegion[ec2.DescribeTransitGatewaysInput]("DescribeTransitGateways")),
		awsapi.Op(s.ModifyTransitGateway, on(s, "ModifyTransitGateway", func(in *ec2.ModifyTransitGatewayInput) []string {
			ids := strs(in.TransitGatewayId)
			if in.Options != nil {
				ids = append(ids, strs(in.Options.AssociationDefaultRouteTableId, in.Options.PropagationDefaultRouteTableId)...)
			}
			return ids
		})),
		awsapi.Op(s.DeleteTransitGateway, on(s, "DeleteTransitGateway", func(in *ec2.DeleteTransitGatewayInput) []string { return strs(in.TransitGatewayId) })),

		awsapi.Op(s.CreateTransitGatewayVpcAttachment, makes(s, "CreateTransitGatewayVpcAttachment", types.ResourceTypeTransitGatewayAttachment, func(in *ec2.CreateTransitGatewayVpcAttachmentInput) []string {
			return append(strs(in.TransitGatewayId, in.VpcId), in.SubnetIds...)
		})),
		awsapi.Op(s.DescribeTransitGatewayVpcAttachments, inRegion[ec2.DescribeTransitGatewayVpcAttachmentsInput]("DescribeTransitGatewayVpcAttachments")),
		awsapi.Op(s.DescribeTransitGatewayAttachments, inRegion[ec2.DescribeTransitGatewayAttachmentsInput]("DescribeTransitGatewayAttachments")),
		awsapi.Op(s.ModifyTransitGatewayVpcAttachment, on(s, "ModifyTransitGatewayVpcAttachment", func(in *ec2.ModifyTransitGatewayVpcAttachmentInput) []string {
			return append(append(strs(in.TransitGatewayAttachmentId), in.AddSubnetIds...), in.RemoveSubnetIds...)
		})),
		awsapi.Op(s.DeleteTransitGatewayVpcAttachment, on(s, "DeleteTransitGatewayVpcAttachment", func(in *ec2.DeleteTransitGatewayVpcAttachmentInput) []string {
			return strs(in.TransitGatewayAttachmentId)
		})),

		awsapi.Op(s.CreateTransitGatewayRouteTable, makes(s, "CreateTransitGatewayRouteTable", types.ResourceTypeTransitGatewayRouteTable, func(in *ec2.CreateTransitGatewayRouteTableInput) []string {
			return strs(in.TransitGatewayId)
		})),
		awsapi.Op(s.DescribeTransitGatewayRouteTables, inRegion[ec2.DescribeTransitGatewayRouteTablesInput]("DescribeTransitGatewayRouteTables")),
		awsapi.Op(s.DeleteTransitGatewayRouteTable, on(s, "DeleteTransitGatewayRouteTable", func(in *ec2.DeleteTransitGatewayRouteTableInput) []string {
			return table(in.TransitGatewayRouteTableId)
		})),
		awsapi.Op(s.AssociateTransitGatewayRouteTable, on(s, "AssociateTransitGatewayRouteTable", func(in *ec2.AssociateTransitGatewayRouteTableInput) []string {
			return strs(in.TransitGatewayRouteTableId, in.TransitGatewayAttachmentId)
		})),
		awsapi.Op(s.DisassociateTransitGatewayRouteTable, on(s, "DisassociateTransitGatewayRouteTable", func(in *ec2.DisassociateTransitGatewayRouteTableInput) []string {
			return strs(in.TransitGatewayRouteTableId, in.TransitGatewayAttachmentId)
		})),
		awsapi.Op(s.EnableTransitGatewayRouteTablePropagation, on(s, "EnableTransitGatewayRouteTablePropagation", func(in *ec2.EnableTransitGatewayRouteTablePropagationInput) []string {
			return strs(in.TransitGatewayRouteTableId, in.TransitGatewayAttachmentId)
		})),
		awsapi.Op(s.DisableTransitGatewayRouteTablePropagation, on(s, "DisableTransitGatewayRouteTablePropagation", func(in *ec2.DisableTransitGatewayRouteTablePropagationInput) []string {
			return strs(in.TransitGatewayRouteTableId, in.TransitGatewayAttachmentId)
		})),
		awsapi.Op(s.GetTransitGatewayRouteTableAssociations, inRegion[ec2.GetTransitGatewayRouteTableAssociationsInput]("GetTransitGatewayRouteTableAssociations")),
		awsapi.Op(s.GetTransitGatewayRouteTablePropagations, inRegion[ec2.GetTransitGatewayRouteTablePropagationsInput]("GetTransitGatewayRouteTablePropagations")),
		awsapi.Op(s.GetTransitGatewayAttachmentPropagations, inRegion[ec2.GetTransitGatewayAttachmentPropagationsInput]("GetTransitGatewayAttachmentPropagations")),

		awsapi.Op(s.CreateTransitGatewayRoute, on(s, "CreateTransitGatewayRoute", func(in *ec2.CreateTransitGatewayRouteInput) []string {
			return strs(in.TransitGatewayRouteTableId, in.TransitGatewayAttachmentId)
		})),
		awsapi.Op(s.ReplaceTransitGatewayRoute, on(s, "ReplaceTransitGatewayRoute", func(in *ec2.ReplaceTransitGatewayRouteInput) []string {
			return strs(in.TransitGatewayRouteTableId, in.TransitGatewayAttachmentId)
		})),
		awsapi.Op(s.DeleteTransitGatewayRoute, on(s, "DeleteTransitGatewayRoute", func(in *ec2.DeleteTransitGatewayRouteInput) []string {
			return table(in.TransitGatewayRouteTableId)
		})),
		awsapi.Op(s.SearchTransitGatewayRoutes, on(s, "SearchTransitGatewayRoutes", func(in *ec2.SearchTransitGatewayRoutesInput) []string {
			return table(in.TransitGatewayRouteTableId)
		})),
	)
}

// registerTransitPeerings adds the ways between transit gateways, and routes by prefix lists.
func (s *Service) registerTransitPeerings(server *awsapi.Server) {
	server.Register(meta.EC2,
		awsapi.Op(s.CreateTransitGatewayPeeringAttachment, makes(s, "CreateTransitGatewayPeeringAttachment", types.ResourceTypeTransitGatewayAttachment,
			func(in *ec2.CreateTransitGatewayPeeringAttachmentInput) []string { return strs(in.TransitGatewayId) })),
		awsapi.Op(s.AcceptTransitGatewayPeeringAttachment, on(s, "AcceptTransitGatewayPeeringAttachment", func(in *ec2.AcceptTransitGatewayPeeringAttachmentInput) []string {
			return strs(in.TransitGatewayAttachmentId)
		})),
		awsapi.Op(s.RejectTransitGatewayPeeringAttachment, on(s, "RejectTransitGatewayPeeringAttachment", func(in *ec2.RejectTransitGatewayPeeringAttachmentInput) []string {
			return strs(in.TransitGatewayAttachmentId)
		})),
		awsapi.Op(s.DeleteTransitGatewayPeeringAttachment, on(s, "DeleteTransitGatewayPeeringAttachment", func(in *ec2.DeleteTransitGatewayPeeringAttachmentInput) []string {
			return strs(in.TransitGatewayAttachmentId)
		})),
		awsapi.Op(s.CreateTransitGatewayPrefixListReference, on(s, "CreateTransitGatewayPrefixListReference", func(in *ec2.CreateTransitGatewayPrefixListReferenceInput) []string {
			return strs(in.TransitGatewayRouteTableId, in.PrefixListId, in.TransitGatewayAttachmentId)
		})),
		awsapi.Op(s.ModifyTransitGatewayPrefixListReference, on(s, "ModifyTransitGatewayPrefixListReference", func(in *ec2.ModifyTransitGatewayPrefixListReferenceInput) []string {
			return strs(in.TransitGatewayRouteTableId, in.PrefixListId, in.TransitGatewayAttachmentId)
		})),
		awsapi.Op(s.DeleteTransitGatewayPrefixListReference, on(s, "DeleteTransitGatewayPrefixListReference", func(in *ec2.DeleteTransitGatewayPrefixListReferenceInput) []string {
			return strs(in.TransitGatewayRouteTableId, in.PrefixListId)
		})),
		awsapi.Op(s.GetTransitGatewayPrefixListReferences, inRegion[ec2.GetTransitGatewayPrefixListReferencesInput]("GetTransitGatewayPrefixListReferences")),
		awsapi.Op(s.DescribeTransitGatewayPeeringAttachments, inRegion[ec2.DescribeTransitGatewayPeeringAttachmentsInput]("DescribeTransitGatewayPeeringAttachments")),
	)
}

// wantedTransit turns a gateway's records into the one value that says how it should be; nil for none.
func wantedTransit(t tx, id string) (*backend.WantedTransitGateway, error) {
	g, err := transitGateways.find(t, id)
	if err != nil || g == nil || g.gone() {
		return nil, err
	}
	wanted := &backend.WantedTransitGateway{ID: g.ID, Account: t.scope.Account, Region: t.scope.Region}
	attachments, err := transitAttachments.by(t, "gateway", g.ID)
	if err != nil {
		return nil, err
	}
	tables, err := transitTables.by(t, "gateway", g.ID)
	if err != nil {
		return nil, err
	}
	for _, a := range attachments {
		if a.gone() {
			continue
		}
		link := backend.WantedTransitLink{ID: a.ID, VPC: a.VPC}
		if a.Peer != nil {
			if !a.Peer.accepted(a.State) {
				continue
			}
			link.Peer, link.Pair = a.Peer.Gateway, a.Peer.Pair
		}
		if a.Association != nil && a.Association.State != types.TransitGatewayAssociationStateDisassociating {
			link.RouteTable = a.Association.Table
		}
		wanted.Attachments = append(wanted.Attachments, link)
	}
	for _, r := range tables {
		if r.gone() {
			continue
		}
		routes, err := madeRoutes(t, r.ID, attachments)
		if err != nil {
			return nil, err
		}
		wanted.RouteTables = append(wanted.RouteTables, backend.WantedTransitRouteTable{ID: r.ID, Routes: wantedRoutes(routes)})
	}
	return wanted, nil
}

// transits are the VPC's sides of attachments.
func (b *networkBuilder) transits() error {
	list, err := transitAttachments.by(b.t, "vpc", b.vpc.ID)
	if err != nil {
		return err
	}
	all, err := subnets.by(b.t, "vpc", b.vpc.ID)
	if err != nil {
		return err
	}
	for _, a := range list {
		if a.gone() || len(a.Entries) == 0 {
			continue
		}
		w := backend.WantedTransitAttachment{ID: a.ID, Gateway: a.Gateway, Subnets: a.subnets(), Ways: map[string]string{}}
		for _, n := range all {
			for _, entry := range a.Entries {
				if entry.Zone == n.Zone {
					w.Ways[n.ID] = entry.Subnet
				}
			}
		}
		b.wanted.TransitAttachments = append(b.wanted.TransitAttachments, w)
	}
	return nil
}

// joinPause is how soon to look again whether the other side of an attachment is there.
const joinPause = 100 * time.Millisecond

// reconcileTransit makes one transit gateway as its records want it, and confirms what that made true.
func (s *Service) reconcileTransit(ctx context.Context, item reconcile.Item) (time.Duration, error) {
	scope := scopeOfItem(item)
	var wanted *backend.WantedTransitGateway
	err := s.viewIn(ctx, scope, func(t tx) (err error) {
		wanted, err = wantedTransit(t, item.ID)
		return err
	})
	if err != nil {
		return 0, err
	}
	if wanted == nil {
		if s.config.Network != nil {
			if err := s.config.Network.RemoveTransitGateway(ctx, item.ID); err != nil {
				return 0, err
			}
		}
		return 0, s.updateIn(ctx, scope, func(t tx) error { return finishTransit(t, item.ID) })
	}
	var joined []string
	for _, link := range wanted.Attachments {
		joined = append(joined, link.ID)
	}
	if s.config.Network != nil {
		observed, err := s.config.Network.ApplyTransitGateway(ctx, *wanted)
		if err != nil {
			return 0, err
		}
		joined = observed.Joined
	}
	var waits bool
	err = s.updateIn(ctx, scope, func(t tx) (err error) {
		waits, err = confirmTransit(t, wanted, joined)
		return err
	})
	if waits {
		return joinPause, err
	}
	return 0, err
}

// finishTransit ends a gateway that is being deleted, and the bookkeeping of its network.
func finishTransit(t tx, id string) error {
	if err := knownNetworks.In(t, store.Scope{}).Delete(id); err != nil {
		return err
	}
	g, err := transitGateways.find(t, id)
	if err != nil || g == nil || g.State != types.TransitGatewayStateDeleting {
		return err
	}
	g.State, g.Deleted = types.TransitGatewayStateDeleted, t.Now().UTC().Truncate(time.Second)
	if err := wantGone(t, g.ID); err != nil {
		return err
	}
	return transitGateways.put(t, g)
}

// confirmTransit moves records out of their transitional states, as far as the applied gateway had them. waits tells that
// an attachment is not joined yet.
func confirmTransit(t tx, applied *backend.WantedTransitGateway, joined []string) (waits bool, err error) {
	g, err := transitGateways.find(t, applied.ID)
	if err != nil || g == nil {
		return false, err
	}
	if g.State == types.TransitGatewayStatePending {
		g.State = types.TransitGatewayStateAvailable
		if err := transitGateways.put(t, g); err != nil {
			return false, err
		}
	}
	tables, err := transitTables.by(t, "gateway", g.ID)
	if err != nil {
		return false, err
	}
	hasTable := func(id string) bool {
		return slices.ContainsFunc(applied.RouteTables, func(r backend.WantedTransitRouteTable) bool { return r.ID == id })
	}
	for _, r := range tables {
		if r.State == types.TransitGatewayRouteTableStatePending && hasTable(r.ID) {
			r.State = types.TransitGatewayRouteTableStateAvailable
			if err := transitTables.put(t, r); err != nil {
				return false, err
			}
		}
	}
	attachments, err := transitAttachments.by(t, "gateway", g.ID)
	if err != nil {
		return false, err
	}
	for _, r := range applied.RouteTables {
		if err := confirmTransitReferences(t, r, attachments); err != nil {
			return false, err
		}
	}
	for _, a := range attachments {
		i := slices.IndexFunc(applied.Attachments, func(l backend.WantedTransitLink) bool { return l.ID == a.ID })
		if a.State == types.TransitGatewayAttachmentStateDeleting && i < 0 {
			if err := a.finish(t); err != nil {
				return false, err
			}
			continue
		}
		if i < 0 {
			continue
		}
		if !slices.Contains(joined, a.ID) {
			waits = true
			continue
		}
		if a.confirm(applied.Attachments[i], hasTable) {
			if err := transitAttachments.put(t, a); err != nil {
				return false, err
			}
		}
	}
	return waits, nil
}

// confirm moves the attachment's states on; changed tells whether it did.
func (a *transitAttachment) confirm(applied backend.WantedTransitLink, hasTable func(string) bool) (changed bool) {
	if a.State == types.TransitGatewayAttachmentStatePending || a.State == types.TransitGatewayAttachmentStateModifying {
		a.State, changed = types.TransitGatewayAttachmentStateAvailable, true
	}
	if x := a.Association; x != nil {
		switch {
		case x.State == types.TransitGatewayAssociationStateAssociating && applied.RouteTable == x.Table:
			x.State, changed = types.TransitGatewayAssociationStateAssociated, true
		case x.State == types.TransitGatewayAssociationStateDisassociating && applied.RouteTable == "":
			a.Association, changed = nil, true
		}
	}
	for i := len(a.Propagations) - 1; i >= 0; i-- {
		switch p := &a.Propagations[i]; {
		case p.State == types.TransitGatewayPropagationStateEnabling && hasTable(p.Table):
			p.State, changed = types.TransitGatewayPropagationStateEnabled, true
		case p.State == types.TransitGatewayPropagationStateDisabling:
			a.Propagations, changed = slices.Delete(a.Propagations, i, i+1), true
		}
	}
	return changed
}

// forgetTransit removes the record of a gateway, an attachment or a table that ended a while ago; known tells whether the
// id was one of theirs.
func forgetTransit(t tx, id string) (known bool, err error) {
	if a, err := transitAttachments.find(t, id); a != nil || err != nil {
		if err == nil && a.ended() {
			err = transitAttachments.delete(t, id)
		}
		return true, err
	}
	if r, err := transitTables.find(t, id); r != nil || err != nil {
		if err == nil && r.gone() {
			err = transitTables.delete(t, id)
		}
		return true, err
	}
	g, err := transitGateways.find(t, id)
	if g != nil && err == nil && g.State == types.TransitGatewayStateDeleted {
		err = transitGateways.delete(t, id)
	}
	return g != nil, err
}

// wantTransitsOf asks for a look at the gateways to which a VPC is attached: its ranges are in their tables.
func wantTransitsOf(t tx, vpcID string) error {
	list, err := transitAttachments.by(t, "vpc", vpcID)
	if err != nil {
		return err
	}
	for _, a := range list {
		if !a.gone() {
			if err := wantTransit(t, a.Gateway); err != nil {
				return err
			}
		}
	}
	return nil
}
