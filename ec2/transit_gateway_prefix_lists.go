package ec2

import (
	"cmp"
	"context"
	"net/netip"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"miniaws/backend"
	"miniaws/backend/store"
)

// transitListReference makes every range of a prefix list a static route of a transit gateway's table. It follows the list:
// what is added to that is a route, too.
type transitListReference struct {
	Table, List string
	// Attachment is "" for blackholes.
	Attachment string `json:",omitempty"`
	// State is pending or modifying until the gateway has the routes, and deleting until it has not; "" is available.
	State types.TransitGatewayPrefixListReferenceState `json:",omitempty"`
}

func (x *transitListReference) gone() bool {
	return x.State == types.TransitGatewayPrefixListReferenceStateDeleting
}

func (x *transitListReference) state() types.TransitGatewayPrefixListReferenceState {
	return cmp.Or(x.State, types.TransitGatewayPrefixListReferenceStateAvailable)
}

var transitListReferences = store.NewTable(store.Spec[transitListReference]{
	Service: "ec2", Name: "transit-gateway-prefix-list-references", ID: func(x *transitListReference) store.ID { return store.ID{x.Table, x.List} },
	Indexes: []store.Index[transitListReference]{{Name: "list", Values: func(x *transitListReference) []store.ID { return []store.ID{{x.List}} }}},
})

// transitReferencesOf are those of a table.
func transitReferencesOf(t tx, table string) ([]*transitListReference, error) {
	list, _, err := transitListReferences.In(t, t.scope).List(store.Query{Parts: store.ID{table}})
	return list, err
}

// transitReferencesTo are those to a prefix list.
func transitReferencesTo(t tx, list string) ([]*transitListReference, error) {
	found, _, err := transitListReferences.In(t, t.scope).Index("list").List(store.Query{Parts: store.ID{list}})
	return found, err
}

// CreateTransitGatewayPrefixListReference makes the ranges of a list routes.
func (s *Service) CreateTransitGatewayPrefixListReference(ctx context.Context, in *ec2.CreateTransitGatewayPrefixListReferenceInput) (*ec2.CreateTransitGatewayPrefixListReferenceOutput, error) {
	shown, err := s.putTransitReference(ctx, in.TransitGatewayRouteTableId, in.PrefixListId, in.TransitGatewayAttachmentId, in.Blackhole, types.TransitGatewayPrefixListReferenceStatePending,
		func(had *transitListReference, table, list string) error {
			if had != nil {
				return errTransitRouteExists(list, table)
			}
			return nil
		})
	return &ec2.CreateTransitGatewayPrefixListReferenceOutput{TransitGatewayPrefixListReference: shown}, err
}

// ModifyTransitGatewayPrefixListReference gives those routes another target.
func (s *Service) ModifyTransitGatewayPrefixListReference(ctx context.Context, in *ec2.ModifyTransitGatewayPrefixListReferenceInput) (*ec2.ModifyTransitGatewayPrefixListReferenceOutput, error) {
	shown, err := s.putTransitReference(ctx, in.TransitGatewayRouteTableId, in.PrefixListId, in.TransitGatewayAttachmentId, in.Blackhole, types.TransitGatewayPrefixListReferenceStateModifying,
		func(had *transitListReference, table, list string) error {
			if had == nil {
				return errTransitRouteNotFound(list, table)
			}
			return nil
		})
	return &ec2.ModifyTransitGatewayPrefixListReferenceOutput{TransitGatewayPrefixListReference: shown}, err
}

func (s *Service) putTransitReference(ctx context.Context, table, list, attachment *string, blackhole *bool, state types.TransitGatewayPrefixListReferenceState, may func(had *transitListReference, table, list string) error) (*types.TransitGatewayPrefixListReference, error) {
	var shown types.TransitGatewayPrefixListReference
	return &shown, s.update(ctx, func(t tx) error {
		r, err := transitTables.live(t, aws.ToString(table))
		if err != nil {
			return err
		}
		p, err := prefixLists.get(t, aws.ToString(list))
		if err != nil {
			return err
		}
		had, err := transitListReferences.In(t, t.scope).Find(r.ID, p.ID)
		if err != nil {
			return err
		}
		if had != nil && had.gone() {
			had = nil
		}
		if err := may(had, r.ID, p.ID); err != nil {
			return err
		}
		target, err := transitTarget(t, r, attachment, blackhole)
		if err != nil {
			return err
		}
		x := &transitListReference{r.ID, p.ID, target, state}
		if shown, err = transitReferenceToAPI(t, x); err != nil {
			return err
		}
		if err := transitListReferences.In(t, t.scope).Put(x); err != nil {
			return err
		}
		return wantTransit(t, r.Gateway)
	})
}

// DeleteTransitGatewayPrefixListReference takes those routes away.
func (s *Service) DeleteTransitGatewayPrefixListReference(ctx context.Context, in *ec2.DeleteTransitGatewayPrefixListReferenceInput) (*ec2.DeleteTransitGatewayPrefixListReferenceOutput, error) {
	out := &ec2.DeleteTransitGatewayPrefixListReferenceOutput{}
	return out, s.update(ctx, func(t tx) error {
		r, err := transitTables.live(t, aws.ToString(in.TransitGatewayRouteTableId))
		if err != nil {
			return err
		}
		list := aws.ToString(in.PrefixListId)
		if !prefixLists.wellFormed(list) {
			return errPrefixListMalformed(list)
		}
		x, err := transitListReferences.In(t, t.scope).Find(r.ID, list)
		if err != nil {
			return err
		}
		if x == nil || x.gone() {
			return errTransitRouteNotFound(list, r.ID)
		}
		x.State = types.TransitGatewayPrefixListReferenceStateDeleting
		shown, err := transitReferenceToAPI(t, x)
		out.TransitGatewayPrefixListReference = &shown
		if err != nil {
			return err
		}
		if err := transitListReferences.In(t, t.scope).Put(x); err != nil {
			return err
		}
		return wantTransit(t, r.Gateway)
	})
}

// confirmTransitReferences moves the references of a table on, if the applied routes are those that are wanted by now.
func confirmTransitReferences(t tx, applied backend.WantedTransitRouteTable, attachments []*transitAttachment) error {
	references, err := transitReferencesOf(t, applied.ID)
	if err != nil || !slices.ContainsFunc(references, func(x *transitListReference) bool { return x.State != "" }) {
		return err
	}
	routes, err := madeRoutes(t, applied.ID, attachments)
	if err != nil || !slices.Equal(applied.Routes, wantedRoutes(routes)) {
		return err
	}
	rows := transitListReferences.In(t, t.scope)
	for _, x := range references {
		switch {
		case x.gone():
			err = rows.Delete(x.Table, x.List)
		case x.State != "":
			x.State = ""
			err = rows.Put(x)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// transitReferenceFilters are those of GetTransitGatewayPrefixListReferences.
var transitReferenceFilters = filters[transitListReference]{
	"attachment.resource-id": func(t tx, x *transitListReference) []string {
		a, err := transitAttachments.see(t, x.Attachment)
		if t.fail(err); a == nil {
			return nil
		}
		return one(a.targetID())
	},
	"attachment.resource-type": func(t tx, x *transitListReference) []string {
		a, err := transitAttachments.see(t, x.Attachment)
		if t.fail(err); a == nil {
			return nil
		}
		return one(string(a.targetType()))
	},
	"attachment.transit-gateway-attachment-id": func(_ tx, x *transitListReference) []string { return one(x.Attachment) },
	"is-blackhole":   func(_ tx, x *transitListReference) []string { return yesNo(x.Attachment == "") },
	"prefix-list-id": func(_ tx, x *transitListReference) []string { return one(x.List) },
	"prefix-list-owner-id": func(t tx, x *transitListReference) []string {
		p, err := prefixLists.see(t, x.List)
		if t.fail(err); p == nil {
			return nil
		}
		return one(p.owner(t))
	},
	"state": func(_ tx, x *transitListReference) []string { return one(string(x.state())) },
}

// GetTransitGatewayPrefixListReferences lists those of a table.
func (s *Service) GetTransitGatewayPrefixListReferences(ctx context.Context, in *ec2.GetTransitGatewayPrefixListReferencesInput) (*ec2.GetTransitGatewayPrefixListReferencesOutput, error) {
	match, err := transitReferenceFilters.compile(func(*transitListReference) *resource { return &resource{} }, in.Filters)
	if err != nil {
		return nil, err
	}
	out := &ec2.GetTransitGatewayPrefixListReferencesOutput{}
	return out, s.view(ctx, func(t tx) error {
		r, err := transitTables.live(t, aws.ToString(in.TransitGatewayRouteTableId))
		if err != nil {
			return err
		}
		all, err := transitReferencesOf(t, r.ID)
		if err != nil {
			return err
		}
		all = slices.DeleteFunc(all, func(x *transitListReference) bool { return !match.matches(t, x) })
		list, next, err := cut(all, func(x *transitListReference) string { return x.List }, "transit-gateway-prefix-list-references", pageBounds{}, query{max: in.MaxResults, token: in.NextToken})
		if err != nil {
			return err
		}
		out.NextToken, out.TransitGatewayPrefixListReferences = next, []types.TransitGatewayPrefixListReference{}
		for _, x := range list {
			shown, err := transitReferenceToAPI(t, x)
			if err != nil {
				return err
			}
			out.TransitGatewayPrefixListReferences = append(out.TransitGatewayPrefixListReferences, shown)
		}
		return nil
	})
}

func transitReferenceToAPI(t tx, x *transitListReference) (types.TransitGatewayPrefixListReference, error) {
	shown := types.TransitGatewayPrefixListReference{
		TransitGatewayRouteTableId: aws.String(x.Table), PrefixListId: aws.String(x.List), State: x.state(),
		Blackhole: aws.Bool(x.Attachment == ""),
	}
	p, err := prefixLists.see(t, x.List)
	if err != nil {
		return shown, err
	}
	if p != nil {
		shown.PrefixListOwnerId = aws.String(p.owner(t))
	}
	a, err := transitAttachments.see(t, x.Attachment)
	if a != nil {
		shown.TransitGatewayAttachment = &types.TransitGatewayPrefixListAttachment{
			TransitGatewayAttachmentId: aws.String(a.ID), ResourceId: aws.String(a.targetID()), ResourceType: a.targetType(),
		}
	}
	return shown, err
}

// referredRoutes are the routes that a table has by its references.
func referredRoutes(t tx, table string, attachments []*transitAttachment) ([]madeRoute, error) {
	references, err := transitReferencesOf(t, table)
	if err != nil {
		return nil, err
	}
	var made []madeRoute
	for _, x := range references {
		p, err := prefixLists.see(t, x.List)
		if err != nil {
			return nil, err
		}
		if p == nil || x.gone() {
			continue
		}
		for _, e := range p.current().Entries {
			made = append(made, madeRoute{destination: netip.MustParsePrefix(e.CIDR), static: true, attachment: attachmentIn(attachments, x.Attachment), list: x.List})
		}
	}
	return made, nil
}
