package ec2

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// internetGateway connects a VPC's public addresses with the outside. VPC is "" while it is detached.
type internetGateway struct {
	resource
	VPC string `json:",omitempty"`
}

func (g *internetGateway) vpc() string { return g.VPC }

func internetGatewayBase(g *internetGateway) *resource { return &g.resource }

var internetGateways = &kind[internetGateway]{
	prefix: "igw-", typ: types.ResourceTypeInternetGateway, base: internetGatewayBase,
	notFound: errInternetGatewayNotFound, malformed: errInternetGatewayMalformed,
	table: tableOf("internet-gateways", internetGatewayBase, map[string]func(*internetGateway) []string{
		"vpc": func(g *internetGateway) []string { return one(g.VPC) },
	}),
	narrow: map[string]string{"attachment.vpc-id": "vpc"},
	filters: filters[internetGateway]{
		"attachment.state": func(_ tx, g *internetGateway) []string {
			if g.VPC == "" {
				return nil
			}
			return one("available")
		},
		"attachment.vpc-id":   func(_ tx, g *internetGateway) []string { return one(g.VPC) },
		"internet-gateway-id": func(_ tx, g *internetGateway) []string { return one(g.ID) },
		"owner-id":            func(t tx, _ *internetGateway) []string { return one(t.scope.Account) },
	},
}

// CreateInternetGateway makes a detached gateway.
func (s *Service) CreateInternetGateway(ctx context.Context, in *ec2.CreateInternetGatewayInput) (*ec2.CreateInternetGatewayOutput, error) {
	tags, err := tagsOnCreate(in.TagSpecifications, types.ResourceTypeInternetGateway)
	if err != nil {
		return nil, err
	}
	out := &ec2.CreateInternetGatewayOutput{}
	return out, s.update(ctx, func(t tx) error {
		g := &internetGateway{resource: resource{ID: t.NewID("igw-"), Tags: tags}}
		shown, err := internetGatewayToAPI(t, g)
		if err != nil {
			return err
		}
		out.InternetGateway = &shown
		return internetGateways.insert(t, g)
	})
}

// DescribeInternetGateways lists gateways.
func (s *Service) DescribeInternetGateways(ctx context.Context, in *ec2.DescribeInternetGatewaysInput) (*ec2.DescribeInternetGatewaysOutput, error) {
	list, next, err := describe(ctx, s, internetGateways, query{in.InternetGatewayIds, "internetGatewayIds", in.Filters, in.MaxResults, in.NextToken}, internetGatewayToAPI)
	return &ec2.DescribeInternetGatewaysOutput{InternetGateways: list, NextToken: next}, err
}

// AttachInternetGateway gives a VPC the gateway; it has at most one.
func (s *Service) AttachInternetGateway(ctx context.Context, in *ec2.AttachInternetGatewayInput) (*ec2.AttachInternetGatewayOutput, error) {
	return &ec2.AttachInternetGatewayOutput{}, s.update(ctx, func(t tx) error {
		return internetGateways.changeNetwork(t, aws.ToString(in.InternetGatewayId), func(g *internetGateway) error {
			v, err := vpcs.get(t, aws.ToString(in.VpcId))
			if err != nil {
				return err
			}
			if g.VPC != "" {
				return errResourceAlreadyAssociated("resource %s is already attached to network %s", g.ID, g.VPC)
			}
			taken, err := internetGateways.any(t, "vpc", v.ID)
			if err != nil {
				return err
			}
			if taken {
				return errInvalidParameterValue("Network %s already has an internet gateway attached", v.ID)
			}
			g.VPC = v.ID
			return nil
		})
	})
}

// DetachInternetGateway takes the gateway away from a VPC in which no public address is left.
func (s *Service) DetachInternetGateway(ctx context.Context, in *ec2.DetachInternetGatewayInput) (*ec2.DetachInternetGatewayOutput, error) {
	return &ec2.DetachInternetGatewayOutput{}, s.update(ctx, func(t tx) error {
		g, err := internetGateways.get(t, aws.ToString(in.InternetGatewayId))
		if err != nil {
			return err
		}
		// AWS: "Error codes for the Amazon EC2 API", Gateway.NotAttached. Terraform, which detaches a gateway from what its VPC was,
		// expects it for one that is gone, too (TestAccVPCInternetGatewayAttachment_Disappears_internetGateway).
		if id := aws.ToString(in.VpcId); vpcs.wellFormed(id) && g.VPC != id {
			return errGatewayNotAttached(g.ID, id)
		}
		v, err := vpcs.get(t, aws.ToString(in.VpcId))
		if err != nil {
			return err
		}
		public, err := anyRecord(t, interfaces, v.ID, func(e *networkInterface) bool { return len(e.publicAddresses()) > 0 })
		if err != nil {
			return err
		}
		if public {
			return errDependencyViolation("Network %s has some mapped public address(es). Please unmap those public address(es) before detaching the gateway.", v.ID)
		}
		if err := leaveEdge(t, g.ID); err != nil {
			return err
		}
		g.VPC = ""
		if err := internetGateways.put(t, g); err != nil {
			return err
		}
		return wantNetwork(t, v.ID)
	})
}

// DeleteInternetGateway removes a detached gateway.
func (s *Service) DeleteInternetGateway(ctx context.Context, in *ec2.DeleteInternetGatewayInput) (*ec2.DeleteInternetGatewayOutput, error) {
	return &ec2.DeleteInternetGatewayOutput{}, s.update(ctx, func(t tx) error {
		g, err := internetGateways.get(t, aws.ToString(in.InternetGatewayId))
		if err != nil {
			return err
		}
		if g.VPC != "" {
			return errDependencyViolation("The internetGateway '%s' has dependencies and cannot be deleted.", g.ID)
		}
		return internetGateways.delete(t, g.ID)
	})
}

func internetGatewayToAPI(t tx, g *internetGateway) (types.InternetGateway, error) {
	shown := types.InternetGateway{
		InternetGatewayId: aws.String(g.ID), OwnerId: aws.String(t.scope.Account), Tags: tagSet(t, g.Tags), Attachments: []types.InternetGatewayAttachment{},
	}
	if g.VPC != "" {
		// AWS: "InternetGatewayAttachment": for an internet gateway the state is available.
		shown.Attachments = append(shown.Attachments, types.InternetGatewayAttachment{VpcId: aws.String(g.VPC), State: "available"})
	}
	return shown, nil
}

// egressOnlyGateway lets IPv6 connections out and none in.
type egressOnlyGateway struct {
	resource
	VPC string
}

func (g *egressOnlyGateway) vpc() string { return g.VPC }

func egressOnlyGatewayBase(g *egressOnlyGateway) *resource { return &g.resource }

var egressOnlyGateways = &kind[egressOnlyGateway]{
	prefix: "eigw-", typ: types.ResourceTypeEgressOnlyInternetGateway, base: egressOnlyGatewayBase,
	notFound: errEgressOnlyGatewayNotFound, malformed: errEgressOnlyGatewayMalformed,
	table: tableOf("egress-only-gateways", egressOnlyGatewayBase, map[string]func(*egressOnlyGateway) []string{
		"vpc": func(g *egressOnlyGateway) []string { return one(g.VPC) },
	}),
	pages: pageBounds{5, 255},
}

// CreateEgressOnlyInternetGateway makes one for a VPC.
func (s *Service) CreateEgressOnlyInternetGateway(ctx context.Context, in *ec2.CreateEgressOnlyInternetGatewayInput) (*ec2.CreateEgressOnlyInternetGatewayOutput, error) {
	tags, err := tagsOnCreate(in.TagSpecifications, types.ResourceTypeEgressOnlyInternetGateway)
	if err != nil {
		return nil, err
	}
	out := &ec2.CreateEgressOnlyInternetGatewayOutput{ClientToken: in.ClientToken}
	return out, s.update(ctx, func(t tx) error {
		g, err := egressOnlyGateways.makeOnce(t, "CreateEgressOnlyInternetGateway", in.ClientToken, in, func() (string, error) {
			v, err := vpcs.get(t, aws.ToString(in.VpcId))
			if err != nil {
				return "", err
			}
			g := &egressOnlyGateway{resource: resource{ID: t.NewID("eigw-"), Tags: tags}, VPC: v.ID}
			if err := egressOnlyGateways.insert(t, g); err != nil {
				return "", err
			}
			return g.ID, wantNetwork(t, v.ID)
		})
		if err != nil {
			return err
		}
		shown, err := egressOnlyGatewayToAPI(t, g)
		out.EgressOnlyInternetGateway = &shown
		return err
	})
}

// DescribeEgressOnlyInternetGateways lists them.
func (s *Service) DescribeEgressOnlyInternetGateways(ctx context.Context, in *ec2.DescribeEgressOnlyInternetGatewaysInput) (*ec2.DescribeEgressOnlyInternetGatewaysOutput, error) {
	list, next, err := describe(ctx, s, egressOnlyGateways,
		query{in.EgressOnlyInternetGatewayIds, "egressOnlyInternetGatewayIds", in.Filters, in.MaxResults, in.NextToken}, egressOnlyGatewayToAPI)
	return &ec2.DescribeEgressOnlyInternetGatewaysOutput{EgressOnlyInternetGateways: list, NextToken: next}, err
}

// DeleteEgressOnlyInternetGateway removes one; routes to it become blackholes.
func (s *Service) DeleteEgressOnlyInternetGateway(ctx context.Context, in *ec2.DeleteEgressOnlyInternetGatewayInput) (*ec2.DeleteEgressOnlyInternetGatewayOutput, error) {
	return &ec2.DeleteEgressOnlyInternetGatewayOutput{ReturnCode: aws.Bool(true)}, s.update(ctx, func(t tx) error {
		g, err := egressOnlyGateways.get(t, aws.ToString(in.EgressOnlyInternetGatewayId))
		if err != nil {
			return err
		}
		if err := egressOnlyGateways.delete(t, g.ID); err != nil {
			return err
		}
		return wantNetwork(t, g.VPC)
	})
}

func egressOnlyGatewayToAPI(t tx, g *egressOnlyGateway) (types.EgressOnlyInternetGateway, error) {
	return types.EgressOnlyInternetGateway{
		EgressOnlyInternetGatewayId: aws.String(g.ID), Tags: tagsToAPI(t, g.Tags),
		Attachments: []types.InternetGatewayAttachment{{VpcId: aws.String(g.VPC), State: types.AttachmentStatusAttached}},
	}, nil
}
