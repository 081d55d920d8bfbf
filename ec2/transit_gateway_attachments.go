package ec2

import (
	"context"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// transitAttachment ties a VPC to a transit gateway, by an interface in one subnet of each zone.
//
//	pending ──joined──▶ available ◀──▶ modifying
//	                        └──delete──▶ deleting ──cut──▶ deleted (shown for an hour)
type transitAttachment struct {
	resource
	Gateway, VPC     string
	State            types.TransitGatewayAttachmentState
	Created, Deleted time.Time
	// Entries are the subnets in the order in which they were given.
	Entries []transitEntry
	// Association is with the table that packets from the VPC ask; nil for none.
	Association *transitAssociation `json:",omitempty"`
	// Propagations are the tables in which the VPC's ranges are.
	Propagations []transitPropagation `json:",omitempty"`
	// Peer is set where the attachment leads to another transit gateway; then VPC is "".
	Peer *transitPeer `json:",omitempty"`
	// Options; DNS and NoGroupReferences are kept for those who ask: transit gateways let no rule refer to groups across them.
	DNS, IPv6, Appliance, NoGroupReferences bool `json:",omitempty"`
}

type transitEntry struct{ Subnet, Zone, Interface string }

type transitAssociation struct {
	Table string
	State types.TransitGatewayAssociationState
}

type transitPropagation struct {
	Table string
	State types.TransitGatewayPropagationState
}

// works tells whether packets may go by it, once the network has it.
func (a *transitAttachment) works() bool {
	return a.State == types.TransitGatewayAttachmentStateAvailable || a.State == types.TransitGatewayAttachmentStateModifying
}

func (a *transitAttachment) gone() bool {
	return a.State == types.TransitGatewayAttachmentStateDeleting || a.ended()
}

// ended tells that nothing keeps the gateway from being deleted, and that the record is forgotten after a while.
func (a *transitAttachment) ended() bool {
	switch a.State {
	case types.TransitGatewayAttachmentStateDeleted, types.TransitGatewayAttachmentStateRejected, types.TransitGatewayAttachmentStateFailed:
		return true
	}
	return false
}

// target is what the attachment leads to: its id, type and owner.
func (a *transitAttachment) target(account string) (id string, typ types.TransitGatewayAttachmentResourceType, owner string) {
	if a.Peer != nil {
		return a.Peer.Gateway, types.TransitGatewayAttachmentResourceTypePeering, a.Peer.Account
	}
	return a.VPC, types.TransitGatewayAttachmentResourceTypeVpc, account
}

// targetID is target's id.
func (a *transitAttachment) targetID() string {
	id, _, _ := a.target("")
	return id
}

func (a *transitAttachment) targetType() types.TransitGatewayAttachmentResourceType {
	_, typ, _ := a.target("")
	return typ
}

func (a *transitAttachment) subnets() []string {
	var ids []string
	for _, e := range a.Entries {
		ids = append(ids, e.Subnet)
	}
	return ids
}

// table is the associated one, or "".
func (a *transitAttachment) table() string {
	if a.Association == nil {
		return ""
	}
	return a.Association.Table
}

// propagation is the index of the one to a table, or -1.
func (a *transitAttachment) propagation(table string) int {
	return slices.IndexFunc(a.Propagations, func(p transitPropagation) bool { return p.Table == table })
}

func (a *transitAttachment) associationState() []string {
	if a.Association == nil {
		return nil
	}
	return one(string(a.Association.State))
}

func transitAttachmentBase(a *transitAttachment) *resource { return &a.resource }

var transitAttachments = &kind[transitAttachment]{
	prefix: "tgw-attach-", typ: types.ResourceTypeTransitGatewayAttachment, base: transitAttachmentBase,
	notFound: errTransitAttachmentNotFound, malformed: errTransitAttachmentMalformed,
	table: tableOf("transit-gateway-attachments", transitAttachmentBase, map[string]func(*transitAttachment) []string{
		"gateway": func(a *transitAttachment) []string { return one(a.Gateway) },
		"vpc":     func(a *transitAttachment) []string { return one(a.VPC) },
	}),
	narrow: map[string]string{"transit-gateway-id": "gateway", "vpc-id": "vpc"},
	filters: filters[transitAttachment]{
		"association.state":                          func(_ tx, a *transitAttachment) []string { return a.associationState() },
		"association.transit-gateway-route-table-id": func(_ tx, a *transitAttachment) []string { return one(a.table()) },
		"resource-id":                                func(_ tx, a *transitAttachment) []string { return one(a.targetID()) },
		"resource-owner-id": func(t tx, a *transitAttachment) []string {
			_, _, owner := a.target(t.scope.Account)
			return one(owner)
		},
		"local-owner-id": func(t tx, a *transitAttachment) []string {
			if a.Peer == nil {
				return nil
			}
			return one(t.scope.Account)
		},
		"remote-owner-id": func(_ tx, a *transitAttachment) []string {
			if a.Peer == nil {
				return nil
			}
			return one(a.Peer.Account)
		},
		"resource-type":                 func(_ tx, a *transitAttachment) []string { return one(string(a.targetType())) },
		"state":                         func(_ tx, a *transitAttachment) []string { return one(string(a.State)) },
		"transit-gateway-attachment-id": func(_ tx, a *transitAttachment) []string { return one(a.ID) },
		"transit-gateway-id":            func(_ tx, a *transitAttachment) []string { return one(a.Gateway) },
		"transit-gateway-owner-id":      func(t tx, _ *transitAttachment) []string { return one(t.scope.Account) },
		"vpc-id":                        func(_ tx, a *transitAttachment) []string { return one(a.VPC) },
	},
}

// transitInterface is the type of an attachment's interfaces.
const transitInterface = types.NetworkInterfaceTypeTransitGateway

// enter adds subnets to the attachment, with an interface in each.
func (a *transitAttachment) enter(t tx, ids []string) error {
	for _, id := range ids {
		n, err := subnets.get(t, id)
		switch {
		case err != nil:
			return err
		case n.VPC != a.VPC:
			return errInvalidParameterValue("Subnet %s does not belong to VPC %s.", id, a.VPC)
		case slices.ContainsFunc(a.Entries, func(e transitEntry) bool { return e.Zone == n.Zone }):
			return errDuplicateTransitSubnets()
		}
		e, err := createInterface(t, interfaceSpec{
			subnet: id, description: "Network Interface for Transit Gateway Attachment " + a.ID, typ: transitInterface, requester: "amazon-transitgateway",
		})
		if err != nil {
			return err
		}
		e.Attachment = &attachment{
			ID: t.NewID("ela-attach-"), Owner: "amazon-aws", DeviceIndex: 1, Status: types.AttachmentStatusAttached, AttachTime: t.Now().UTC().Truncate(time.Second),
		}
		if err := interfaces.put(t, e); err != nil {
			return err
		}
		a.Entries = append(a.Entries, transitEntry{Subnet: id, Zone: n.Zone, Interface: e.ID})
	}
	return nil
}

// leave takes entries out that match, with their interfaces.
func (a *transitAttachment) leave(t tx, matches func(transitEntry) bool) error {
	for _, entry := range a.Entries {
		if !matches(entry) {
			continue
		}
		e, err := interfaces.find(t, entry.Interface)
		if err != nil {
			return err
		}
		if e != nil {
			if err := removeInterface(t, e); err != nil {
				return err
			}
		}
	}
	a.Entries = slices.DeleteFunc(a.Entries, matches)
	return nil
}

// changed writes the attachment, and asks for a look at both of its sides.
func (a *transitAttachment) changed(t tx) error {
	if err := transitAttachments.put(t, a); err != nil {
		return err
	}
	if err := wantTransit(t, a.Gateway); err != nil {
		return err
	}
	if a.Peer != nil {
		return nil
	}
	return wantNetwork(t, a.VPC)
}

// CreateTransitGatewayVpcAttachment attaches a VPC.
func (s *Service) CreateTransitGatewayVpcAttachment(ctx context.Context, in *ec2.CreateTransitGatewayVpcAttachmentInput) (*ec2.CreateTransitGatewayVpcAttachmentOutput, error) {
	tags, err := tagsOnCreate(in.TagSpecifications, types.ResourceTypeTransitGatewayAttachment)
	if err != nil {
		return nil, err
	}
	options := in.Options
	if options == nil {
		options = &types.CreateTransitGatewayVpcAttachmentRequestOptions{}
	}
	if len(in.SubnetIds) == 0 {
		return nil, errMissingParameter("SubnetIds")
	}
	out := &ec2.CreateTransitGatewayVpcAttachmentOutput{}
	return out, s.update(ctx, func(t tx) error {
		g, err := transitGateways.live(t, aws.ToString(in.TransitGatewayId))
		if err != nil {
			return err
		}
		if g.State != types.TransitGatewayStateAvailable {
			return errIncorrectState("%s is in invalid state", g.ID)
		}
		v, err := vpcs.get(t, aws.ToString(in.VpcId))
		if err != nil {
			return err
		}
		others, err := transitAttachments.by(t, "gateway", g.ID)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(others, func(o *transitAttachment) bool {
			return o.Peer == nil && o.VPC == v.ID && o.State != types.TransitGatewayAttachmentStateDeleted
		}) {
			return errTransitAttachmentDuplicate(g.ID)
		}
		a := &transitAttachment{
			resource: resource{ID: t.NewID("tgw-attach-"), Tags: tags}, Gateway: g.ID, VPC: v.ID, State: types.TransitGatewayAttachmentStatePending,
			Created: t.Now().UTC().Truncate(time.Second),
			DNS:     chosen(true, options.DnsSupport), IPv6: chosen(false, options.Ipv6Support), Appliance: chosen(false, options.ApplianceModeSupport),
			// AWS: "CreateTransitGatewayVpcAttachmentRequestOptions": enabled by default, where the gateway's own is not.
			NoGroupReferences: !chosen(true, options.SecurityGroupReferencingSupport),
		}
		if err := a.enter(t, in.SubnetIds); err != nil {
			return err
		}
		if g.Associates {
			a.Association = &transitAssociation{g.AssociationTable, types.TransitGatewayAssociationStateAssociating}
		}
		if g.Propagates {
			a.Propagations = []transitPropagation{{g.PropagationTable, types.TransitGatewayPropagationStateEnabling}}
		}
		shown, err := transitVPCAttachmentToAPI(t, a)
		if err != nil {
			return err
		}
		out.TransitGatewayVpcAttachment = &shown
		return a.changed(t)
	})
}

// ofVPCs and ofPeers select attachments by what they lead to.
var (
	ofVPCs  = types.Filter{Name: aws.String("resource-type"), Values: []string{string(types.TransitGatewayAttachmentResourceTypeVpc)}}
	ofPeers = types.Filter{Name: aws.String("resource-type"), Values: []string{string(types.TransitGatewayAttachmentResourceTypePeering)}}
)

// vpcAttachment is the live attachment of a VPC with the id.
func vpcAttachment(t tx, id *string) (*transitAttachment, error) {
	a, err := transitAttachments.live(t, aws.ToString(id))
	if err == nil && a.Peer != nil {
		err = errTransitAttachmentNotFound(a.ID)
	}
	return a, err
}

// DescribeTransitGatewayVpcAttachments lists attachments, for about an hour also those that are gone.
func (s *Service) DescribeTransitGatewayVpcAttachments(ctx context.Context, in *ec2.DescribeTransitGatewayVpcAttachmentsInput) (*ec2.DescribeTransitGatewayVpcAttachmentsOutput, error) {
	list, next, err := describe(ctx, s, transitAttachments, query{in.TransitGatewayAttachmentIds, "transitGatewayAttachmentIds", append(slices.Clone(in.Filters), ofVPCs), in.MaxResults, in.NextToken}, transitVPCAttachmentToAPI)
	return &ec2.DescribeTransitGatewayVpcAttachmentsOutput{TransitGatewayVpcAttachments: list, NextToken: next}, err
}

// DescribeTransitGatewayAttachments lists attachments of all types: those of VPCs and of other transit gateways.
func (s *Service) DescribeTransitGatewayAttachments(ctx context.Context, in *ec2.DescribeTransitGatewayAttachmentsInput) (*ec2.DescribeTransitGatewayAttachmentsOutput, error) {
	list, next, err := describe(ctx, s, transitAttachments, query{in.TransitGatewayAttachmentIds, "transitGatewayAttachmentIds", in.Filters, in.MaxResults, in.NextToken}, transitAttachmentToAPI)
	return &ec2.DescribeTransitGatewayAttachmentsOutput{TransitGatewayAttachments: list, NextToken: next}, err
}

// ModifyTransitGatewayVpcAttachment changes the subnets by which the VPC is attached, and options.
func (s *Service) ModifyTransitGatewayVpcAttachment(ctx context.Context, in *ec2.ModifyTransitGatewayVpcAttachmentInput) (*ec2.ModifyTransitGatewayVpcAttachmentOutput, error) {
	options := in.Options
	if options == nil {
		options = &types.ModifyTransitGatewayVpcAttachmentRequestOptions{}
	}
	out := &ec2.ModifyTransitGatewayVpcAttachmentOutput{}
	return out, s.update(ctx, func(t tx) error {
		a, err := vpcAttachment(t, in.TransitGatewayAttachmentId)
		if err != nil {
			return err
		}
		if a.State != types.TransitGatewayAttachmentStateAvailable {
			return errIncorrectState("%s is in invalid state", a.ID)
		}
		for _, id := range in.RemoveSubnetIds {
			if !slices.Contains(a.subnets(), id) {
				return errInvalidParameterValue("Subnet %s is not part of %s.", id, a.ID)
			}
		}
		if err := a.leave(t, func(e transitEntry) bool { return slices.Contains(in.RemoveSubnetIds, e.Subnet) }); err != nil {
			return err
		}
		if err := a.enter(t, in.AddSubnetIds); err != nil {
			return err
		}
		if len(a.Entries) == 0 {
			return errInvalidParameterValue("The attachment %s needs at least one subnet.", a.ID)
		}
		a.DNS, a.IPv6, a.Appliance = chosen(a.DNS, options.DnsSupport), chosen(a.IPv6, options.Ipv6Support), chosen(a.Appliance, options.ApplianceModeSupport)
		a.NoGroupReferences = !chosen(!a.NoGroupReferences, options.SecurityGroupReferencingSupport)
		a.State = types.TransitGatewayAttachmentStateModifying
		shown, err := transitVPCAttachmentToAPI(t, a)
		if err != nil {
			return err
		}
		out.TransitGatewayVpcAttachment = &shown
		return a.changed(t)
	})
}

// DeleteTransitGatewayVpcAttachment begins to detach the VPC. Routes to the attachment become blackholes.
func (s *Service) DeleteTransitGatewayVpcAttachment(ctx context.Context, in *ec2.DeleteTransitGatewayVpcAttachmentInput) (*ec2.DeleteTransitGatewayVpcAttachmentOutput, error) {
	out := &ec2.DeleteTransitGatewayVpcAttachmentOutput{}
	return out, s.update(ctx, func(t tx) error {
		a, err := vpcAttachment(t, in.TransitGatewayAttachmentId)
		if err != nil {
			return err
		}
		a.State = types.TransitGatewayAttachmentStateDeleting
		shown, err := transitVPCAttachmentToAPI(t, a)
		if err != nil {
			return err
		}
		out.TransitGatewayVpcAttachment = &shown
		return a.changed(t)
	})
}

// finish ends an attachment that is being deleted, once no packets go by it.
func (a *transitAttachment) finish(t tx) error {
	if err := a.leave(t, func(transitEntry) bool { return true }); err != nil {
		return err
	}
	a.State, a.Deleted = types.TransitGatewayAttachmentStateDeleted, t.Now().UTC().Truncate(time.Second)
	a.Association, a.Propagations = nil, nil
	if err := wantGone(t, a.ID); err != nil {
		return err
	}
	return transitAttachments.put(t, a)
}

func transitVPCAttachmentToAPI(t tx, a *transitAttachment) (types.TransitGatewayVpcAttachment, error) {
	return types.TransitGatewayVpcAttachment{
		TransitGatewayAttachmentId: aws.String(a.ID), TransitGatewayId: aws.String(a.Gateway), VpcId: aws.String(a.VPC), VpcOwnerId: aws.String(t.scope.Account),
		State: a.State, SubnetIds: a.subnets(), CreationTime: aws.Time(a.Created), Tags: tagsToAPI(t, a.Tags),
		Options: &types.TransitGatewayVpcAttachmentOptions{
			DnsSupport: types.DnsSupportValue(enableText(a.DNS)), Ipv6Support: types.Ipv6SupportValue(enableText(a.IPv6)),
			ApplianceModeSupport:            types.ApplianceModeSupportValue(enableText(a.Appliance)),
			SecurityGroupReferencingSupport: types.SecurityGroupReferencingSupportValue(enableText(!a.NoGroupReferences)),
		},
	}, nil
}

func transitAttachmentToAPI(t tx, a *transitAttachment) (types.TransitGatewayAttachment, error) {
	id, typ, owner := a.target(t.scope.Account)
	shown := types.TransitGatewayAttachment{
		TransitGatewayAttachmentId: aws.String(a.ID), TransitGatewayId: aws.String(a.Gateway), TransitGatewayOwnerId: aws.String(t.scope.Account),
		ResourceOwnerId: aws.String(owner), ResourceType: typ, ResourceId: aws.String(id),
		State: a.State, CreationTime: aws.Time(a.Created), Tags: tagsToAPI(t, a.Tags),
	}
	if a.Association != nil {
		shown.Association = &types.TransitGatewayAttachmentAssociation{TransitGatewayRouteTableId: aws.String(a.Association.Table), State: a.Association.State}
	}
	return shown, nil
}
