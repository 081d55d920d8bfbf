package ec2

import (
	"context"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"miniaws/backend/store"
)

// transitPeer is the other end of an attachment between two transit gateways. Each side has a record of its own, with the same
// id where it is another account or region. Routes over it are static.
//
//	initiatingRequest ─▶ pendingAcceptance ──accept──▶ pending ──joined──▶ available ──delete──▶ deleting ──▶ deleted
//	                        └──reject──▶ rejected                              (all three are shown for an hour)
//
// AWS: "Transit gateway peering attachments".
type transitPeer struct {
	Gateway, Account, Region, Attachment string
	// Requester tells that this side asked.
	Requester bool `json:",omitempty"`
	// Pair names the way on both sides: it is the requester's attachment.
	Pair          string
	Code, Message string `json:",omitempty"`
}

// accepted tells whether the way is to be there in a state.
func (*transitPeer) accepted(state types.TransitGatewayAttachmentState) bool {
	return state == types.TransitGatewayAttachmentStatePending || state == types.TransitGatewayAttachmentStateAvailable
}

func (p *transitPeer) scope() store.Scope { return store.Scope{Account: p.Account, Region: p.Region} }

// bothEnds changes an attachment between gateways on both of its sides.
func bothEnds(t tx, a *transitAttachment, change func(tx, *transitAttachment) error) error {
	if err := change(t, a); err != nil {
		return err
	}
	if err := a.changed(t); err != nil {
		return err
	}
	there := t
	there.scope = a.Peer.scope()
	other, err := transitAttachments.find(there, a.Peer.Attachment)
	if err != nil || other == nil {
		return err
	}
	if err := change(there, other); err != nil {
		return err
	}
	return other.changed(there)
}

// CreateTransitGatewayPeeringAttachment asks another transit gateway's owner for a way between the two.
func (s *Service) CreateTransitGatewayPeeringAttachment(ctx context.Context, in *ec2.CreateTransitGatewayPeeringAttachmentInput) (*ec2.CreateTransitGatewayPeeringAttachmentOutput, error) {
	tags, err := tagsOnCreate(in.TagSpecifications, types.ResourceTypeTransitGatewayAttachment)
	if err != nil {
		return nil, err
	}
	if in.Options != nil && in.Options.DynamicRouting == types.DynamicRoutingValueEnable {
		return nil, errNotImplemented("Dynamic routing of a transit gateway peering attachment")
	}
	out := &ec2.CreateTransitGatewayPeeringAttachmentOutput{}
	return out, s.update(ctx, func(t tx) error {
		g, err := transitGateways.live(t, aws.ToString(in.TransitGatewayId))
		switch {
		case err != nil:
			return err
		case g.State != types.TransitGatewayStateAvailable:
			return errIncorrectState("%s is in invalid state", g.ID)
		case g.ID == aws.ToString(in.PeerTransitGatewayId):
			return errInvalidParameterValue("The transit gateway %s cannot be peered with itself.", g.ID)
		case !transitGateways.wellFormed(aws.ToString(in.PeerTransitGatewayId)):
			return errTransitGatewayMalformed(aws.ToString(in.PeerTransitGatewayId))
		}
		others, err := transitAttachments.by(t, "gateway", g.ID)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(others, func(o *transitAttachment) bool {
			return o.Peer != nil && o.Peer.Gateway == *in.PeerTransitGatewayId && !o.ended()
		}) {
			return errTransitPeeringDuplicate(g.ID)
		}
		a := &transitAttachment{
			resource: resource{ID: t.NewID("tgw-attach-"), Tags: tags}, Gateway: g.ID, State: types.TransitGatewayAttachmentStateInitiatingRequest,
			Created: t.Now().UTC().Truncate(time.Second),
			Peer:    &transitPeer{Gateway: *in.PeerTransitGatewayId, Account: aws.ToString(in.PeerAccountId), Region: aws.ToString(in.PeerRegion), Requester: true},
		}
		a.Peer.Pair, a.Peer.Attachment = a.ID, a.ID
		there := t
		there.scope = a.Peer.scope()
		if there.scope == t.scope {
			a.Peer.Attachment = t.NewID("tgw-attach-")
		}
		var theirs *transitGateway
		if accountID.MatchString(there.scope.Account) && findRegion(there.scope.Region) != nil {
			if theirs, err = transitGateways.find(there, a.Peer.Gateway); err != nil {
				return err
			}
		}
		if theirs == nil || theirs.gone() {
			shown, err := transitPeeringToAPI(t, a)
			if err != nil {
				return err
			}
			out.TransitGatewayPeeringAttachment = &shown
			a.State, a.Peer.Code, a.Peer.Message = types.TransitGatewayAttachmentStateFailed, "failed", "The transit gateway "+a.Peer.Gateway+" does not exist."
			if err := wantGone(t, a.ID); err != nil {
				return err
			}
			return transitAttachments.insert(t, a)
		}
		if g.Associates {
			a.Association = &transitAssociation{g.AssociationTable, types.TransitGatewayAssociationStateAssociating}
		}
		shown, err := transitPeeringToAPI(t, a)
		if err != nil {
			return err
		}
		out.TransitGatewayPeeringAttachment = &shown
		mirror := &transitAttachment{
			resource: resource{ID: a.Peer.Attachment}, Gateway: theirs.ID, State: a.State, Created: a.Created,
			Peer: &transitPeer{Gateway: g.ID, Account: t.scope.Account, Region: t.scope.Region, Attachment: a.ID, Pair: a.ID},
		}
		if theirs.Associates {
			mirror.Association = &transitAssociation{theirs.AssociationTable, types.TransitGatewayAssociationStateAssociating}
		}
		if err := transitAttachments.insert(there, mirror); err != nil {
			return err
		}
		if err := transitAttachments.insert(t, a); err != nil {
			return err
		}
		return wantSettled(t, a.ID)
	})
}

// settleTransitPeering brings a request to the other side; known tells whether the id was an attachment's.
func settleTransitPeering(t tx, id string) (known bool, err error) {
	a, err := transitAttachments.find(t, id)
	if err != nil || a == nil || a.Peer == nil || a.State != types.TransitGatewayAttachmentStateInitiatingRequest {
		return a != nil, err
	}
	return true, bothEnds(t, a, func(_ tx, end *transitAttachment) error {
		end.State = types.TransitGatewayAttachmentStatePendingAcceptance
		return nil
	})
}

// peeringAsked is the request with the id, as the side that was asked sees it. The requester's own id of a request within
// one account and region means it too.
func peeringAsked(t tx, id *string) (*transitAttachment, error) {
	a, err := transitAttachments.live(t, aws.ToString(id))
	if err != nil {
		return nil, err
	}
	if a.Peer != nil && a.Peer.Requester && a.Peer.scope() == t.scope {
		if a, err = transitAttachments.live(t, a.Peer.Attachment); err != nil {
			return nil, err
		}
	}
	switch {
	case a.Peer == nil:
		return nil, errTransitAttachmentNotFound(a.ID)
	case a.Peer.Requester:
		return nil, errOperationNotPermitted("User %s cannot accept or reject the transit gateway peering attachment %s, which is its own.", t.scope.Account, a.ID)
	case a.State != types.TransitGatewayAttachmentStatePendingAcceptance && a.State != types.TransitGatewayAttachmentStateInitiatingRequest:
		return nil, errIncorrectState("%s is in invalid state", a.ID)
	}
	return a, nil
}

// AcceptTransitGatewayPeeringAttachment accepts a request, as the owner of the gateway that was asked.
func (s *Service) AcceptTransitGatewayPeeringAttachment(ctx context.Context, in *ec2.AcceptTransitGatewayPeeringAttachmentInput) (*ec2.AcceptTransitGatewayPeeringAttachmentOutput, error) {
	shown, err := s.changeTransitPeering(ctx, in.TransitGatewayAttachmentId, peeringAsked, types.TransitGatewayAttachmentStatePending)
	return &ec2.AcceptTransitGatewayPeeringAttachmentOutput{TransitGatewayPeeringAttachment: shown}, err
}

// RejectTransitGatewayPeeringAttachment turns a request down.
func (s *Service) RejectTransitGatewayPeeringAttachment(ctx context.Context, in *ec2.RejectTransitGatewayPeeringAttachmentInput) (*ec2.RejectTransitGatewayPeeringAttachmentOutput, error) {
	shown, err := s.changeTransitPeering(ctx, in.TransitGatewayAttachmentId, peeringAsked, types.TransitGatewayAttachmentStateRejected)
	return &ec2.RejectTransitGatewayPeeringAttachmentOutput{TransitGatewayPeeringAttachment: shown}, err
}

// DeleteTransitGatewayPeeringAttachment ends a way, from either side, or takes a request back.
func (s *Service) DeleteTransitGatewayPeeringAttachment(ctx context.Context, in *ec2.DeleteTransitGatewayPeeringAttachmentInput) (*ec2.DeleteTransitGatewayPeeringAttachmentOutput, error) {
	shown, err := s.changeTransitPeering(ctx, in.TransitGatewayAttachmentId, func(t tx, id *string) (*transitAttachment, error) {
		a, err := transitAttachments.live(t, aws.ToString(id))
		if err == nil && a.Peer == nil {
			err = errTransitAttachmentNotFound(a.ID)
		}
		return a, err
	}, types.TransitGatewayAttachmentStateDeleting)
	return &ec2.DeleteTransitGatewayPeeringAttachmentOutput{TransitGatewayPeeringAttachment: shown}, err
}

func (s *Service) changeTransitPeering(ctx context.Context, id *string, find func(tx, *string) (*transitAttachment, error), state types.TransitGatewayAttachmentState) (*types.TransitGatewayPeeringAttachment, error) {
	var shown types.TransitGatewayPeeringAttachment
	return &shown, s.update(ctx, func(t tx) error {
		a, err := find(t, id)
		if err != nil {
			return err
		}
		err = bothEnds(t, a, func(there tx, end *transitAttachment) error {
			end.State = state
			if !end.ended() {
				return nil
			}
			end.Association, end.Deleted = nil, t.Now().UTC().Truncate(time.Second)
			return wantGone(there, end.ID)
		})
		if err != nil {
			return err
		}
		shown, err = transitPeeringToAPI(t, a)
		return err
	})
}

// DescribeTransitGatewayPeeringAttachments lists ways to other gateways, for about an hour also those that are gone.
func (s *Service) DescribeTransitGatewayPeeringAttachments(ctx context.Context, in *ec2.DescribeTransitGatewayPeeringAttachmentsInput) (*ec2.DescribeTransitGatewayPeeringAttachmentsOutput, error) {
	list, next, err := describe(ctx, s, transitAttachments, query{in.TransitGatewayAttachmentIds, "transitGatewayAttachmentIds", append(slices.Clone(in.Filters), ofPeers), in.MaxResults, in.NextToken}, transitPeeringToAPI)
	return &ec2.DescribeTransitGatewayPeeringAttachmentsOutput{TransitGatewayPeeringAttachments: list, NextToken: next}, err
}

func transitPeeringToAPI(t tx, a *transitAttachment) (types.TransitGatewayPeeringAttachment, error) {
	ours := &types.PeeringTgwInfo{TransitGatewayId: aws.String(a.Gateway), OwnerId: aws.String(t.scope.Account), Region: aws.String(t.scope.Region)}
	theirs := &types.PeeringTgwInfo{TransitGatewayId: aws.String(a.Peer.Gateway), OwnerId: aws.String(a.Peer.Account), Region: aws.String(a.Peer.Region)}
	shown := types.TransitGatewayPeeringAttachment{
		TransitGatewayAttachmentId: aws.String(a.ID), State: a.State, CreationTime: aws.Time(a.Created), Tags: tagsToAPI(t, a.Tags),
		RequesterTgwInfo: ours, AccepterTgwInfo: theirs, AccepterTransitGatewayAttachmentId: aws.String(a.Peer.Attachment),
	}
	if !a.Peer.Requester {
		shown.RequesterTgwInfo, shown.AccepterTgwInfo, shown.AccepterTransitGatewayAttachmentId = theirs, ours, aws.String(a.ID)
	}
	if a.Peer.Code != "" {
		shown.Status = &types.PeeringAttachmentStatus{Code: aws.String(a.Peer.Code), Message: aws.String(a.Peer.Message)}
	}
	return shown, nil
}
