package ec2

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"miniaws/backend/reconcile"
	"miniaws/backend/store"
)

// transitGateway is a router between VPCs.
//
//	pending ──confirmed──▶ available ──delete──▶ deleting ──removed──▶ deleted (shown for an hour)
type transitGateway struct {
	resource
	State            types.TransitGatewayState
	Description      string `json:",omitempty"`
	Created, Deleted time.Time
	ASN              int64
	CIDRs            []string `json:",omitempty"`
	// What new attachments get, with the tables that are meant.
	Associates, Propagates             bool   `json:",omitempty"`
	AssociationTable, PropagationTable string `json:",omitempty"`
	// Kept for those who ask: there are no shared gateways, VPNs or names across VPCs.
	AutoAccept, DNS, ECMP bool `json:",omitempty"`
}

func (g *transitGateway) gone() bool {
	return g.State == types.TransitGatewayStateDeleting || g.State == types.TransitGatewayStateDeleted
}

func transitGatewayBase(g *transitGateway) *resource { return &g.resource }

var transitGateways = &kind[transitGateway]{
	prefix: "tgw-", typ: types.ResourceTypeTransitGateway, base: transitGatewayBase, notFound: errTransitGatewayNotFound, malformed: errTransitGatewayMalformed,
	table: tableOf("transit-gateways", transitGatewayBase, nil),
	filters: filters[transitGateway]{
		"options.amazon-side-asn":                    func(_ tx, g *transitGateway) []string { return number(g.ASN) },
		"options.association-default-route-table-id": func(_ tx, g *transitGateway) []string { return one(g.AssociationTable) },
		"options.auto-accept-shared-attachments":     func(_ tx, g *transitGateway) []string { return one(enableText(g.AutoAccept)) },
		"options.default-route-table-association":    func(_ tx, g *transitGateway) []string { return one(enableText(g.Associates)) },
		"options.default-route-table-propagation":    func(_ tx, g *transitGateway) []string { return one(enableText(g.Propagates)) },
		"options.dns-support":                        func(_ tx, g *transitGateway) []string { return one(enableText(g.DNS)) },
		"options.propagation-default-route-table-id": func(_ tx, g *transitGateway) []string { return one(g.PropagationTable) },
		"options.vpn-ecmp-support":                   func(_ tx, g *transitGateway) []string { return one(enableText(g.ECMP)) },
		"owner-id":                                   func(t tx, _ *transitGateway) []string { return one(t.scope.Account) },
		"state":                                      func(_ tx, g *transitGateway) []string { return one(string(g.State)) },
		"transit-gateway-id":                         func(_ tx, g *transitGateway) []string { return one(g.ID) },
	},
}

func enableText(on bool) string {
	if on {
		return "enable"
	}
	return "disable"
}

// chosen is what a request says about an option, or what there was.
func chosen[V ~string](had bool, wanted V) bool {
	if wanted == "" {
		return had
	}
	return wanted == "enable"
}

// wantTransit asks for a look at a transit gateway, in the transaction that changed what it should be.
func wantTransit(t tx, id string) error {
	return reconcile.Want(t, reconcile.Item{Kind: transitKind, Account: t.scope.Account, Region: t.scope.Region, ID: id})
}

// Limits of transit gateways.
// AWS: "Quotas for your transit gateways". Those of route tables and attachments have no code in AWS's list of errors.
const (
	maxTransitGateways = 5
	defaultASN         = 64512
	maxTransitCIDRs    = 5
)

// validASN tells whether it is one of the private numbers.
// AWS: "TransitGatewayRequestOptions", AmazonSideAsn.
func validASN(n int64) bool {
	return 64512 <= n && n <= 65534 || 4200000000 <= n && n <= 4294967294
}

// CreateTransitGateway makes a gateway, with a default route table unless both defaults are off.
func (s *Service) CreateTransitGateway(ctx context.Context, in *ec2.CreateTransitGatewayInput) (*ec2.CreateTransitGatewayOutput, error) {
	tags, err := tagsOnCreate(in.TagSpecifications, types.ResourceTypeTransitGateway)
	if err != nil {
		return nil, err
	}
	options := in.Options
	if options == nil {
		options = &types.TransitGatewayRequestOptions{}
	}
	switch {
	case options.MulticastSupport == types.MulticastSupportValueEnable:
		return nil, errNotImplemented("Multicast of a transit gateway")
	case options.SecurityGroupReferencingSupport == types.SecurityGroupReferencingSupportValueEnable:
		return nil, errNotImplemented("Security group referencing of a transit gateway")
	}
	asn := int64(defaultASN)
	if options.AmazonSideAsn != nil {
		asn = *options.AmazonSideAsn
	}
	if !validASN(asn) {
		return nil, errInvalidParameterValue("Invalid value '%d' for AmazonSideAsn. Expecting a private ASN.", asn)
	}
	cidrs, err := transitCIDRs(nil, options.TransitGatewayCidrBlocks, nil)
	if err != nil {
		return nil, err
	}
	out := &ec2.CreateTransitGatewayOutput{}
	return out, s.update(ctx, func(t tx) error {
		others, err := transitGateways.all(t)
		if err != nil {
			return err
		}
		if len(slices.DeleteFunc(others, (*transitGateway).gone)) >= maxTransitGateways {
			return errTransitGatewayLimitExceeded()
		}
		g := &transitGateway{
			resource: resource{ID: t.NewID("tgw-"), Tags: tags}, State: types.TransitGatewayStatePending, Description: aws.ToString(in.Description),
			Created: t.Now().UTC().Truncate(time.Second), ASN: asn, CIDRs: cidrs,
			Associates: chosen(true, options.DefaultRouteTableAssociation), Propagates: chosen(true, options.DefaultRouteTablePropagation),
			AutoAccept: chosen(false, options.AutoAcceptSharedAttachments), DNS: chosen(true, options.DnsSupport), ECMP: chosen(true, options.VpnEcmpSupport),
		}
		if err := g.ensureDefaultTable(t); err != nil {
			return err
		}
		if err := knownNetworks.In(t, store.Scope{}).Put(&knownNetwork{g.ID, t.scope.Account, t.scope.Region}); err != nil {
			return err
		}
		out.TransitGateway, err = changeTransitGateway(t, g)
		return err
	})
}

// changeTransitGateway writes the gateway, asks for it to be made so, and answers it as operations show it.
func changeTransitGateway(t tx, g *transitGateway) (*types.TransitGateway, error) {
	shown, err := transitGatewayToAPI(t, g)
	if err != nil {
		return nil, err
	}
	if err := transitGateways.put(t, g); err != nil {
		return nil, err
	}
	return &shown, wantTransit(t, g.ID)
}

// ensureDefaultTable makes a table for those defaults that are on and have none.
func (g *transitGateway) ensureDefaultTable(t tx) error {
	if (!g.Associates || g.AssociationTable != "") && (!g.Propagates || g.PropagationTable != "") {
		return nil
	}
	id := g.AssociationTable + g.PropagationTable
	if id == "" {
		r := &transitTable{resource: resource{ID: t.NewID("tgw-rtb-")}, Gateway: g.ID, State: types.TransitGatewayRouteTableStatePending, Created: t.Now().UTC().Truncate(time.Second)}
		if err := transitTables.insert(t, r); err != nil {
			return err
		}
		id = r.ID
	}
	if g.Associates && g.AssociationTable == "" {
		g.AssociationTable = id
	}
	if g.Propagates && g.PropagationTable == "" {
		g.PropagationTable = id
	}
	return nil
}

// transitCIDRs checks ranges of the gateway itself, which only Connect attachments use.
func transitCIDRs(had, add, remove []string) ([]string, error) {
	kept := slices.DeleteFunc(slices.Clone(had), func(c string) bool { return slices.Contains(remove, c) })
	for _, text := range add {
		prefix, ok := parseCIDR(text)
		// AWS: "TransitGatewayRequestOptions": a size /24 or larger of IPv4, /64 or larger of IPv6.
		if !ok || prefix.Addr().Is4() && prefix.Bits() > 24 || prefix.Addr().Is6() && prefix.Bits() > 64 || prefix.Overlaps(linkLocalRange) {
			return nil, errInvalidCIDR(text, "transitGatewayCidrBlocks")
		}
		if !slices.Contains(kept, prefix.String()) {
			kept = append(kept, prefix.String())
		}
	}
	if len(kept) > maxTransitCIDRs {
		return nil, errInvalidParameterValue("A transit gateway can have at most %d CIDR blocks.", maxTransitCIDRs)
	}
	return kept, nil
}

var linkLocalRange = netip.MustParsePrefix("169.254.0.0/16")

// DescribeTransitGateways lists gateways, for about an hour also those that are gone.
func (s *Service) DescribeTransitGateways(ctx context.Context, in *ec2.DescribeTransitGatewaysInput) (*ec2.DescribeTransitGatewaysOutput, error) {
	list, next, err := describe(ctx, s, transitGateways, query{in.TransitGatewayIds, "transitGatewayIds", in.Filters, in.MaxResults, in.NextToken}, transitGatewayToAPI)
	return &ec2.DescribeTransitGatewaysOutput{TransitGateways: list, NextToken: next}, err
}

// ModifyTransitGateway changes what the gateway does for new attachments.
func (s *Service) ModifyTransitGateway(ctx context.Context, in *ec2.ModifyTransitGatewayInput) (*ec2.ModifyTransitGatewayOutput, error) {
	options := in.Options
	if options == nil {
		options = &types.ModifyTransitGatewayOptions{}
	}
	switch {
	case options.SecurityGroupReferencingSupport == types.SecurityGroupReferencingSupportValueEnable:
		return nil, errNotImplemented("Security group referencing of a transit gateway")
	case options.EncryptionSupport == types.EncryptionSupportOptionValueEnable:
		return nil, errNotImplemented("Encryption support of a transit gateway")
	case options.AmazonSideAsn != nil && !validASN(*options.AmazonSideAsn):
		return nil, errInvalidParameterValue("Invalid value '%d' for AmazonSideAsn. Expecting a private ASN.", *options.AmazonSideAsn)
	}
	out := &ec2.ModifyTransitGatewayOutput{}
	return out, s.update(ctx, func(t tx) error {
		g, err := transitGateways.live(t, aws.ToString(in.TransitGatewayId))
		if err != nil {
			return err
		}
		if g.CIDRs, err = transitCIDRs(g.CIDRs, options.AddTransitGatewayCidrBlocks, options.RemoveTransitGatewayCidrBlocks); err != nil {
			return err
		}
		if in.Description != nil {
			g.Description = *in.Description
		}
		if options.AmazonSideAsn != nil {
			g.ASN = *options.AmazonSideAsn
		}
		g.AutoAccept, g.DNS, g.ECMP = chosen(g.AutoAccept, options.AutoAcceptSharedAttachments), chosen(g.DNS, options.DnsSupport), chosen(g.ECMP, options.VpnEcmpSupport)
		for _, table := range []struct {
			on    *bool
			id    *string
			given *string
			value string
		}{
			{&g.Associates, &g.AssociationTable, options.AssociationDefaultRouteTableId, string(options.DefaultRouteTableAssociation)},
			{&g.Propagates, &g.PropagationTable, options.PropagationDefaultRouteTableId, string(options.DefaultRouteTablePropagation)},
		} {
			*table.on = chosen(*table.on, table.value)
			if given := aws.ToString(table.given); given != "" {
				if _, err := transitTableOf(t, given, g.ID); err != nil {
					return err
				}
				*table.id = given
			}
			if !*table.on {
				*table.id = ""
			}
		}
		if err := g.ensureDefaultTable(t); err != nil {
			return err
		}
		out.TransitGateway, err = changeTransitGateway(t, g)
		return err
	})
}

// DeleteTransitGateway begins to delete a gateway to which no VPC is attached any more. Its route tables go with it.
func (s *Service) DeleteTransitGateway(ctx context.Context, in *ec2.DeleteTransitGatewayInput) (*ec2.DeleteTransitGatewayOutput, error) {
	out := &ec2.DeleteTransitGatewayOutput{}
	return out, s.update(ctx, func(t tx) error {
		g, err := transitGateways.live(t, aws.ToString(in.TransitGatewayId))
		if err != nil {
			return err
		}
		attachments, err := transitAttachments.by(t, "gateway", g.ID)
		if err != nil {
			return err
		}
		for _, a := range attachments {
			if !a.ended() {
				if a.Peer != nil {
					return errIncorrectState("%s has non-deleted Peering Attachments: %s", g.ID, a.ID)
				}
				return errIncorrectState("%s has non-deleted VPC Attachments: %s", g.ID, a.ID)
			}
		}
		g.State = types.TransitGatewayStateDeleting
		tables, err := transitTables.by(t, "gateway", g.ID)
		if err != nil {
			return err
		}
		for _, r := range tables {
			if !r.gone() {
				if err := r.remove(t); err != nil {
					return err
				}
			}
		}
		out.TransitGateway, err = changeTransitGateway(t, g)
		return err
	})
}

func transitGatewayToAPI(t tx, g *transitGateway) (types.TransitGateway, error) {
	return types.TransitGateway{
		TransitGatewayId: aws.String(g.ID), TransitGatewayArn: aws.String(arn(t.scope, types.ResourceTypeTransitGateway, g.ID)), State: g.State,
		OwnerId: aws.String(t.scope.Account), Description: aws.String(g.Description), CreationTime: aws.Time(g.Created), Tags: tagsToAPI(t, g.Tags),
		Options: &types.TransitGatewayOptions{
			AmazonSideAsn: aws.Int64(g.ASN), TransitGatewayCidrBlocks: g.CIDRs,
			AssociationDefaultRouteTableId: optional(g.AssociationTable), PropagationDefaultRouteTableId: optional(g.PropagationTable),
			AutoAcceptSharedAttachments:     types.AutoAcceptSharedAttachmentsValue(enableText(g.AutoAccept)),
			DefaultRouteTableAssociation:    types.DefaultRouteTableAssociationValue(enableText(g.Associates)),
			DefaultRouteTablePropagation:    types.DefaultRouteTablePropagationValue(enableText(g.Propagates)),
			DnsSupport:                      types.DnsSupportValue(enableText(g.DNS)),
			VpnEcmpSupport:                  types.VpnEcmpSupportValue(enableText(g.ECMP)),
			MulticastSupport:                types.MulticastSupportValueDisable,
			SecurityGroupReferencingSupport: types.SecurityGroupReferencingSupportValueDisable,
		},
	}, nil
}
