package ec2

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"miniaws/backend/store"
)

// peering is a VPC peering connection. Where two accounts or regions have a part in it each keeps a record of its own.
//
//	initiating-request ─▶ pending-acceptance ──accept──▶ provisioning ──confirmed──▶ active ──delete──▶ deleted
//	                        ├──reject──▶ rejected
//	                        └──7 days──▶ expired
type peering struct {
	resource
	Status  types.VpcPeeringConnectionStateReasonCode
	Message string
	// Requester asked, Accepter is asked.
	Requester, Accepter peeringSide
	Expires             time.Time
}

type peeringSide struct {
	Account, Region, VPC string
	CIDRs, IPv6          []string `json:",omitempty"`
	// RemoteDNS lets the other side resolve public names to private addresses.
	RemoteDNS bool `json:",omitempty"`
}

func (x peeringSide) scope() store.Scope { return store.Scope{Account: x.Account, Region: x.Region} }

func (p *peering) active() bool { return p.Status == types.VpcPeeringConnectionStateReasonCodeActive }

// usesVPC tells whether the connection keeps its VPCs from being deleted.
func (p *peering) usesVPC() bool {
	return p.active() || p.Status == types.VpcPeeringConnectionStateReasonCodeProvisioning
}

// alive tells whether there may not be another connection of the same VPCs.
func (p *peering) alive() bool {
	return p.usesVPC() || p.Status == types.VpcPeeringConnectionStateReasonCodePendingAcceptance || p.Status == types.VpcPeeringConnectionStateReasonCodeInitiatingRequest
}

func peeringBase(p *peering) *resource { return &p.resource }

var peerings = &kind[peering]{
	prefix: "pcx-", typ: types.ResourceTypeVpcPeeringConnection, base: peeringBase, notFound: errPeeringNotFound, malformed: errPeeringMalformed,
	table: tableOf("peerings", peeringBase, map[string]func(*peering) []string{
		"vpc": func(p *peering) []string { return []string{p.Requester.VPC, p.Accepter.VPC} },
	}),
	narrow: map[string]string{"requester-vpc-info.vpc-id": "vpc", "accepter-vpc-info.vpc-id": "vpc"},
	filters: filters[peering]{
		"accepter-vpc-info.cidr-block":  func(_ tx, p *peering) []string { return p.Accepter.CIDRs },
		"accepter-vpc-info.owner-id":    func(_ tx, p *peering) []string { return one(p.Accepter.Account) },
		"accepter-vpc-info.vpc-id":      func(_ tx, p *peering) []string { return one(p.Accepter.VPC) },
		"requester-vpc-info.cidr-block": func(_ tx, p *peering) []string { return p.Requester.CIDRs },
		"requester-vpc-info.owner-id":   func(_ tx, p *peering) []string { return one(p.Requester.Account) },
		"requester-vpc-info.vpc-id":     func(_ tx, p *peering) []string { return one(p.Requester.VPC) },
		"status-code":                   func(_ tx, p *peering) []string { return one(string(p.Status)) },
		"status-message":                func(_ tx, p *peering) []string { return one(p.Message) },
		"vpc-peering-connection-id":     func(_ tx, p *peering) []string { return one(p.ID) },
		"expiration-time":               func(_ tx, p *peering) []string { return one(p.Expires.Format("2006-01-02T15:04:05.000Z")) },
	},
}

// requestLifetime is how long the other side has time to accept.
// AWS: "VPC peering connection lifecycle".
const requestLifetime = 7 * 24 * time.Hour

// bothSides writes a connection where each side sees it; tags belong to the side that is t's.
func bothSides(t tx, p *peering) error {
	if err := peerings.put(t, p); err != nil {
		return err
	}
	for _, side := range []peeringSide{p.Requester, p.Accepter} {
		there := t
		there.scope = side.scope()
		if there.scope != t.scope {
			theirs := *p
			theirs.Tags = nil
			old, err := peerings.find(there, p.ID)
			if err != nil {
				return err
			}
			if old != nil {
				theirs.Tags = old.Tags
			}
			if err := peerings.put(there, &theirs); err != nil {
				return err
			}
		}
		if err := wantNetwork(there, side.VPC); err != nil {
			return err
		}
	}
	return nil
}

// peeringBetween answers the active connection of two VPCs, or nil.
func peeringBetween(t tx, one, other string) (*peering, error) {
	list, err := peerings.by(t, "vpc", one)
	if err != nil {
		return nil, err
	}
	for _, p := range list {
		if p.active() && (p.Requester.VPC == other || p.Accepter.VPC == other) {
			return p, nil
		}
	}
	return nil, nil
}

// CreateVpcPeeringConnection asks another VPC's owner for a connection.
func (s *Service) CreateVpcPeeringConnection(ctx context.Context, in *ec2.CreateVpcPeeringConnectionInput) (*ec2.CreateVpcPeeringConnectionOutput, error) {
	tags, err := tagsOnCreate(in.TagSpecifications, types.ResourceTypeVpcPeeringConnection)
	if err != nil {
		return nil, err
	}
	if in.VpcId == nil || in.PeerVpcId == nil {
		return nil, errMissingParameter("peerVpcId")
	}
	out := &ec2.CreateVpcPeeringConnectionOutput{}
	return out, s.update(ctx, func(t tx) error {
		ours, err := vpcs.get(t, *in.VpcId)
		if err != nil {
			return err
		}
		there := t
		if aws.ToString(in.PeerOwnerId) != "" {
			there.scope.Account = *in.PeerOwnerId
		}
		if aws.ToString(in.PeerRegion) != "" {
			there.scope.Region = *in.PeerRegion
		}
		if ours.ID == *in.PeerVpcId {
			return errInvalidParameterValue("The VPC %s cannot be peered with itself.", ours.ID)
		}
		p := &peering{
			resource: resource{ID: t.NewID("pcx-"), Tags: tags}, Expires: t.Now().UTC().Truncate(time.Second).Add(requestLifetime),
			Status: types.VpcPeeringConnectionStateReasonCodeInitiatingRequest, Message: "Initiating Request to " + there.scope.Account,
			Requester: sideOf(t, ours), Accepter: peeringSide{Account: there.scope.Account, Region: there.scope.Region, VPC: *in.PeerVpcId},
		}
		shown, err := peeringToAPI(t, p)
		if err != nil {
			return err
		}
		out.VpcPeeringConnection = &shown
		var theirs *vpc
		if accountID.MatchString(there.scope.Account) && findRegion(there.scope.Region) != nil {
			if theirs, err = vpcs.find(there, *in.PeerVpcId); err != nil {
				return err
			}
		}
		others, err := peerings.by(t, "vpc", ours.ID)
		if err != nil {
			return err
		}
		for _, other := range others {
			if theirs != nil && other.alive() && (other.Accepter.VPC == theirs.ID || other.Requester.VPC == theirs.ID) {
				return errPeeringAlreadyExists(ours.ID, theirs.ID, other.ID)
			}
		}
		switch {
		case theirs == nil:
			// AWS: "VPC peering connection lifecycle": a request to what does not exist fails some time later.
			p.Status, p.Message = types.VpcPeeringConnectionStateReasonCodeFailed, "Failed due to incorrect VPC-ID, Account ID, or overlapping CIDR range"
			if err := wantGone(t, p.ID); err != nil {
				return err
			}
			return peerings.put(t, p)
		case overlap(ours, theirs):
			p.Accepter = sideOf(there, theirs)
			p.Status, p.Message = types.VpcPeeringConnectionStateReasonCodeFailed, "Failed due to incorrect VPC-ID, Account ID, or overlapping CIDR range"
			if err := wantGone(t, p.ID); err != nil {
				return err
			}
			return peerings.put(t, p)
		}
		p.Accepter = sideOf(there, theirs)
		p.Accepter.CIDRs, p.Accepter.IPv6 = nil, nil // the requester does not see them before acceptance
		if err := wantSettled(t, p.ID); err != nil {
			return err
		}
		return bothSides(t, p)
	})
}

func overlap(a, b *vpc) bool {
	for _, x := range a.ranges() {
		for _, y := range b.ranges() {
			if x.Overlaps(y) {
				return true
			}
		}
	}
	return false
}

func sideOf(t tx, v *vpc) peeringSide {
	return peeringSide{Account: t.scope.Account, Region: t.scope.Region, VPC: v.ID, CIDRs: cidrsOf(v.CIDRs), IPv6: cidrsOf(v.IPv6)}
}

// AcceptVpcPeeringConnection accepts a request, as the owner of the VPC that was asked.
func (s *Service) AcceptVpcPeeringConnection(ctx context.Context, in *ec2.AcceptVpcPeeringConnectionInput) (*ec2.AcceptVpcPeeringConnectionOutput, error) {
	out := &ec2.AcceptVpcPeeringConnectionOutput{}
	return out, s.update(ctx, func(t tx) error {
		p, err := peerings.get(t, aws.ToString(in.VpcPeeringConnectionId))
		switch {
		case err != nil:
			return err
		case p.Accepter.scope() != t.scope:
			return errOperationNotPermitted("User %s cannot accept peering %s", t.scope.Account, p.ID)
		case p.Status != types.VpcPeeringConnectionStateReasonCodePendingAcceptance && p.Status != types.VpcPeeringConnectionStateReasonCodeInitiatingRequest:
			return errInvalidState("Invalid state transition for %s, attempted to transition from %s to %s", p.ID, p.Status, types.VpcPeeringConnectionStateReasonCodeProvisioning)
		}
		v, err := vpcs.get(t, p.Accepter.VPC)
		if err != nil {
			return err
		}
		p.Accepter = sideOf(t, v)
		p.Status, p.Message = types.VpcPeeringConnectionStateReasonCodeProvisioning, "Provisioning"
		shown, err := peeringToAPI(t, p)
		if err != nil {
			return err
		}
		out.VpcPeeringConnection = &shown
		return bothSides(t, p)
	})
}

// RejectVpcPeeringConnection turns a request down.
func (s *Service) RejectVpcPeeringConnection(ctx context.Context, in *ec2.RejectVpcPeeringConnectionInput) (*ec2.RejectVpcPeeringConnectionOutput, error) {
	return &ec2.RejectVpcPeeringConnectionOutput{Return: aws.Bool(true)}, s.endPeering(ctx, in.VpcPeeringConnectionId, types.VpcPeeringConnectionStateReasonCodeRejected)
}

// DeleteVpcPeeringConnection ends a connection, from either side, or takes a request back.
func (s *Service) DeleteVpcPeeringConnection(ctx context.Context, in *ec2.DeleteVpcPeeringConnectionInput) (*ec2.DeleteVpcPeeringConnectionOutput, error) {
	return &ec2.DeleteVpcPeeringConnectionOutput{Return: aws.Bool(true)}, s.endPeering(ctx, in.VpcPeeringConnectionId, types.VpcPeeringConnectionStateReasonCodeDeleted)
}

func (s *Service) endPeering(ctx context.Context, id *string, end types.VpcPeeringConnectionStateReasonCode) error {
	return s.update(ctx, func(t tx) error {
		p, err := peerings.get(t, aws.ToString(id))
		if err != nil {
			return err
		}
		open := p.Status == types.VpcPeeringConnectionStateReasonCodePendingAcceptance || p.Status == types.VpcPeeringConnectionStateReasonCodeInitiatingRequest
		if end == types.VpcPeeringConnectionStateReasonCodeRejected && !open || !p.alive() {
			return errInvalidState("Invalid state transition for %s, attempted to transition from %s to %s", p.ID, p.Status, end)
		}
		verb := "Deleted by "
		if end == types.VpcPeeringConnectionStateReasonCodeRejected {
			verb = "Rejected by "
		}
		p.Status, p.Message = end, verb+t.scope.Account
		for _, side := range []peeringSide{p.Requester, p.Accepter} {
			there := t
			there.scope = side.scope()
			if err := wantGone(there, p.ID); err != nil {
				return err
			}
		}
		return bothSides(t, p)
	})
}

// ModifyVpcPeeringConnectionOptions changes what a side lets the other one do: resolve its public names to private
// addresses.
func (s *Service) ModifyVpcPeeringConnectionOptions(ctx context.Context, in *ec2.ModifyVpcPeeringConnectionOptionsInput) (*ec2.ModifyVpcPeeringConnectionOptionsOutput, error) {
	for _, o := range []*types.PeeringConnectionOptionsRequest{in.AccepterPeeringConnectionOptions, in.RequesterPeeringConnectionOptions} {
		if o != nil && (aws.ToBool(o.AllowEgressFromLocalClassicLinkToRemoteVpc) || aws.ToBool(o.AllowEgressFromLocalVpcToRemoteClassicLink)) {
			return nil, errInvalidParameterValue("ClassicLink is not supported. EC2-Classic has been retired.")
		}
	}
	out := &ec2.ModifyVpcPeeringConnectionOptionsOutput{}
	return out, s.update(ctx, func(t tx) error {
		p, err := peerings.get(t, aws.ToString(in.VpcPeeringConnectionId))
		if err != nil {
			return err
		}
		if !p.active() {
			return errOperationNotPermitted("Peering pcx options can be added only to active peerings.")
		}
		set := func(side *peeringSide, o *types.PeeringConnectionOptionsRequest) (*types.PeeringConnectionOptions, error) {
			if o == nil {
				return nil, nil
			}
			if side.scope() != t.scope {
				return nil, errOperationNotPermitted("User %s cannot modify the options of VPC %s.", t.scope.Account, side.VPC)
			}
			if o.AllowDnsResolutionFromRemoteVpc != nil {
				side.RemoteDNS = *o.AllowDnsResolutionFromRemoteVpc
			}
			return &types.PeeringConnectionOptions{
				AllowDnsResolutionFromRemoteVpc: aws.Bool(side.RemoteDNS), AllowEgressFromLocalClassicLinkToRemoteVpc: aws.Bool(false), AllowEgressFromLocalVpcToRemoteClassicLink: aws.Bool(false),
			}, nil
		}
		if out.RequesterPeeringConnectionOptions, err = set(&p.Requester, in.RequesterPeeringConnectionOptions); err != nil {
			return err
		}
		if out.AccepterPeeringConnectionOptions, err = set(&p.Accepter, in.AccepterPeeringConnectionOptions); err != nil {
			return err
		}
		return bothSides(t, p)
	})
}

// DescribeVpcPeeringConnections lists connections, for a while also those that ended.
func (s *Service) DescribeVpcPeeringConnections(ctx context.Context, in *ec2.DescribeVpcPeeringConnectionsInput) (*ec2.DescribeVpcPeeringConnectionsOutput, error) {
	list, next, err := describe(ctx, s, peerings, query{in.VpcPeeringConnectionIds, "vpcPeeringConnectionIds", in.Filters, in.MaxResults, in.NextToken}, peeringToAPI)
	return &ec2.DescribeVpcPeeringConnectionsOutput{VpcPeeringConnections: list, NextToken: next}, err
}

func (x peeringSide) toAPI(active bool) *types.VpcPeeringConnectionVpcInfo {
	shown := &types.VpcPeeringConnectionVpcInfo{OwnerId: aws.String(x.Account), Region: aws.String(x.Region), VpcId: aws.String(x.VPC)}
	for i, cidr := range x.CIDRs {
		if i == 0 {
			shown.CidrBlock = aws.String(cidr)
		}
		shown.CidrBlockSet = append(shown.CidrBlockSet, types.CidrBlock{CidrBlock: aws.String(cidr)})
	}
	for _, cidr := range x.IPv6 {
		shown.Ipv6CidrBlockSet = append(shown.Ipv6CidrBlockSet, types.Ipv6CidrBlock{Ipv6CidrBlock: aws.String(cidr)})
	}
	if active {
		shown.PeeringOptions = &types.VpcPeeringConnectionOptionsDescription{
			AllowDnsResolutionFromRemoteVpc: aws.Bool(x.RemoteDNS), AllowEgressFromLocalClassicLinkToRemoteVpc: aws.Bool(false), AllowEgressFromLocalVpcToRemoteClassicLink: aws.Bool(false),
		}
	}
	return shown
}

func peeringToAPI(t tx, p *peering) (types.VpcPeeringConnection, error) {
	shown := types.VpcPeeringConnection{
		VpcPeeringConnectionId: aws.String(p.ID), RequesterVpcInfo: p.Requester.toAPI(p.active()), AccepterVpcInfo: p.Accepter.toAPI(p.active()),
		Status: &types.VpcPeeringConnectionStateReason{Code: p.Status, Message: aws.String(p.Message)}, Tags: tagSet(t, p.Tags),
	}
	if p.Status == types.VpcPeeringConnectionStateReasonCodePendingAcceptance || p.Status == types.VpcPeeringConnectionStateReasonCodeInitiatingRequest {
		shown.ExpirationTime = aws.Time(p.Expires)
	}
	return shown, nil
}
