package ec2

import (
	"context"
	"net/netip"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// natGateway translates the addresses of connections that leave private subnets.
//
//	pending ──confirmed──▶ available ──delete──▶ deleting ──removed──▶ deleted (shown for an hour)
//	   └── its subnet has no way to the internet ──▶ failed (shown for an hour)
type natGateway struct {
	resource
	VPC, Subnet string
	State       types.NatGatewayState
	Private     bool   `json:",omitempty"` // connectivity type
	Interface   string `json:",omitempty"` // "" once it is gone
	PrivateIP   string
	Public      string `json:",omitempty"`
	Allocation  string `json:",omitempty"`
	Association string `json:",omitempty"`
	Created     time.Time
	Deleted     time.Time `json:",omitzero"`
	FailureCode string    `json:",omitempty"`
	FailureText string    `json:",omitempty"`
	// More are the addresses besides the first one.
	More []natAddress `json:",omitempty"`
}

func (g *natGateway) vpc() string { return g.VPC }

// gone tells whether routes to it lead nowhere.
func (g *natGateway) gone() bool {
	return g.State == types.NatGatewayStateDeleted || g.State == types.NatGatewayStateDeleting || g.State == types.NatGatewayStateFailed
}

func natGatewayBase(g *natGateway) *resource { return &g.resource }

var natGateways = &kind[natGateway]{
	prefix: "nat-", typ: types.ResourceTypeNatgateway, base: natGatewayBase, notFound: errNATGatewayNotFound, malformed: errNATGatewayMalformed,
	table: tableOf("nat-gateways", natGatewayBase, map[string]func(*natGateway) []string{
		"vpc": func(g *natGateway) []string { return one(g.VPC) },
	}),
	narrow: map[string]string{"vpc-id": "vpc"},
	filters: filters[natGateway]{
		"nat-gateway-id": func(_ tx, g *natGateway) []string { return one(g.ID) },
		"state":          func(_ tx, g *natGateway) []string { return one(string(g.State)) },
		"subnet-id":      func(_ tx, g *natGateway) []string { return one(g.Subnet) },
		"vpc-id":         func(_ tx, g *natGateway) []string { return one(g.VPC) },
	},
}

// goneLifetime is how long a deleted or failed gateway is still shown.
// AWS: "Work with NAT gateways": about an hour.
const goneLifetime = time.Hour

// CreateNatGateway makes a gateway in a subnet, a public one with an Elastic IP.
func (s *Service) CreateNatGateway(ctx context.Context, in *ec2.CreateNatGatewayInput) (*ec2.CreateNatGatewayOutput, error) {
	if err := unsupported("CreateNatGateway", "AvailabilityZoneAddresses", in.AvailabilityZoneAddresses, "VpcId", in.VpcId); err != nil {
		return nil, err
	}
	if in.AvailabilityMode == types.AvailabilityModeRegional {
		return nil, errNotImplemented("A regional NAT gateway")
	}
	tags, err := tagsOnCreate(in.TagSpecifications, types.ResourceTypeNatgateway)
	if err != nil {
		return nil, err
	}
	private := in.ConnectivityType == types.ConnectivityTypePrivate
	switch {
	case private && in.AllocationId != nil:
		return nil, errInvalidParameterCombination("AllocationId cannot be specified for a private NAT gateway.")
	case !private && in.AllocationId == nil:
		return nil, errMissingParameter("AllocationId")
	case in.SubnetId == nil:
		return nil, errMissingParameter("SubnetId")
	case private && len(in.SecondaryAllocationIds) > 0:
		return nil, errInvalidParameterCombination("SecondaryAllocationIds cannot be specified for a private NAT gateway.")
	case len(in.SecondaryPrivateIpAddresses) > 0 && in.SecondaryPrivateIpAddressCount != nil:
		return nil, errParametersExclude("SecondaryPrivateIpAddresses", "SecondaryPrivateIpAddressCount")
	case !private && in.SecondaryPrivateIpAddressCount != nil:
		return nil, errInvalidParameterCombination("SecondaryPrivateIpAddressCount can only be specified for a private NAT gateway.")
	case aws.ToInt32(in.SecondaryPrivateIpAddressCount) < 0 || aws.ToInt32(in.SecondaryPrivateIpAddressCount) >= maxNATAddresses:
		return nil, errInvalidParameterValue("Value (%d) for parameter SecondaryPrivateIpAddressCount is invalid.", *in.SecondaryPrivateIpAddressCount)
	case !private && len(in.SecondaryPrivateIpAddresses) > 0 && len(in.SecondaryPrivateIpAddresses) != len(in.SecondaryAllocationIds):
		return nil, errInvalidParameterValue("The number of private IP addresses must match the number of allocation IDs.")
	}
	out := &ec2.CreateNatGatewayOutput{ClientToken: in.ClientToken}
	return out, s.update(ctx, func(t tx) error {
		g, err := natGateways.makeOnce(t, "CreateNatGateway", in.ClientToken, in, func() (string, error) {
			g := &natGateway{resource: resource{ID: t.NewID("nat-"), Tags: tags}, Private: private, State: types.NatGatewayStatePending, Created: t.Now().UTC().Truncate(time.Second)}
			return g.ID, createNATGateway(t, g, in)
		})
		if err != nil {
			return err
		}
		shown, err := natGatewayToAPI(t, g)
		out.NatGateway = &shown
		return err
	})
}

func createNATGateway(t tx, g *natGateway, in *ec2.CreateNatGatewayInput) error {
	n, err := subnets.get(t, *in.SubnetId)
	if err != nil {
		return err
	}
	g.VPC, g.Subnet = n.VPC, n.ID
	spec := interfaceSpec{subnet: n.ID, description: "Interface for NAT Gateway " + g.ID, typ: natInterface, requester: "amazon-natgateway"}
	if aws.ToString(in.PrivateIpAddress) != "" {
		address, err := parseAddress(*in.PrivateIpAddress)
		if err != nil {
			return err
		}
		spec.addresses = []netip.Addr{address}
	}
	var eip *elasticIP
	if !g.Private {
		if eip, err = elasticIPs.get(t, *in.AllocationId); err != nil {
			return err
		}
		if eip.Association != "" {
			return errResourceAlreadyAssociated("Elastic IP address [%s] is already associated", eip.ID)
		}
		gateway, err := internetGateways.any(t, "vpc", n.VPC)
		if err != nil {
			return err
		}
		if !gateway {
			// AWS: "Troubleshoot NAT gateways": Gateway.NotAttached is the failure code, given some time later.
			g.State, g.FailureCode = types.NatGatewayStateFailed, "Gateway.NotAttached"
			g.FailureText = "Network " + n.VPC + " has no Internet gateway attached"
			g.Deleted = g.Created
			if err := wantGone(t, g.ID); err != nil {
				return err
			}
			return natGateways.insert(t, g)
		}
	}
	e, err := createInterface(t, spec)
	if err != nil {
		return err
	}
	e.Attachment = &attachment{
		ID: t.NewID("ela-attach-"), Owner: "amazon-aws", DeviceIndex: 1, Status: types.AttachmentStatusAttached, AttachTime: g.Created,
	}
	g.Interface, g.PrivateIP = e.ID, e.private()
	if eip == nil {
		if err := interfaces.put(t, e); err != nil {
			return err
		}
	} else {
		eip.ServiceManaged = "nat"
		if err := giveElastic(t, eip, e, 0); err != nil {
			return err
		}
		g.Public, g.Allocation, g.Association = eip.Public, eip.ID, eip.Association
	}
	if err := createNATAddresses(t, g, in); err != nil {
		return err
	}
	return natGateways.insert(t, g)
}

// createNATAddresses gives a new gateway its further addresses.
func createNATAddresses(t tx, g *natGateway, in *ec2.CreateNatGatewayInput) error {
	wanted := in.SecondaryPrivateIpAddresses
	if len(wanted) == 0 {
		wanted = make([]string, len(in.SecondaryAllocationIds)+int(aws.ToInt32(in.SecondaryPrivateIpAddressCount)))
	}
	for i, address := range wanted {
		var eip *elasticIP
		if !g.Private {
			var err error
			if eip, err = elasticIPs.get(t, in.SecondaryAllocationIds[i]); err != nil {
				return err
			}
		}
		if err := addNATAddress(t, g, address, eip); err != nil {
			return err
		}
	}
	return nil
}

// DescribeNatGateways lists gateways, for about an hour also those that are gone.
func (s *Service) DescribeNatGateways(ctx context.Context, in *ec2.DescribeNatGatewaysInput) (*ec2.DescribeNatGatewaysOutput, error) {
	list, next, err := describe(ctx, s, natGateways, query{in.NatGatewayIds, "natGatewayIds", in.Filter, in.MaxResults, in.NextToken}, natGatewayToAPI)
	return &ec2.DescribeNatGatewaysOutput{NatGateways: list, NextToken: next}, err
}

// DeleteNatGateway begins to delete a gateway. Its Elastic IP stays the account's.
func (s *Service) DeleteNatGateway(ctx context.Context, in *ec2.DeleteNatGatewayInput) (*ec2.DeleteNatGatewayOutput, error) {
	out := &ec2.DeleteNatGatewayOutput{NatGatewayId: in.NatGatewayId}
	return out, s.update(ctx, func(t tx) error {
		return natGateways.changeNetwork(t, aws.ToString(in.NatGatewayId), func(g *natGateway) error {
			if !g.gone() {
				g.State = types.NatGatewayStateDeleting
			}
			return nil
		})
	})
}

// finishNATGateway ends a gateway that is being deleted, once its network is without it.
func finishNATGateway(t tx, g *natGateway) error {
	e, err := interfaces.find(t, g.Interface)
	if err != nil {
		return err
	}
	if e != nil {
		if err := removeInterface(t, e); err != nil {
			return err
		}
	}
	g.More = nil
	g.State, g.Deleted = types.NatGatewayStateDeleted, t.Now().UTC().Truncate(time.Second)
	if err := wantGone(t, g.ID); err != nil {
		return err
	}
	return natGateways.put(t, g)
}

func natGatewayToAPI(t tx, g *natGateway) (types.NatGateway, error) {
	shown := types.NatGateway{
		NatGatewayId: aws.String(g.ID), VpcId: aws.String(g.VPC), SubnetId: aws.String(g.Subnet), State: g.State, ConnectivityType: types.ConnectivityTypePublic,
		CreateTime: aws.Time(g.Created), Tags: tagsToAPI(t, g.Tags), FailureCode: optional(g.FailureCode), FailureMessage: optional(g.FailureText),
		AvailabilityMode: types.AvailabilityModeZonal,
	}
	if g.Private {
		shown.ConnectivityType = types.ConnectivityTypePrivate
	}
	if !g.Deleted.IsZero() {
		shown.DeleteTime = aws.Time(g.Deleted)
	}
	address := types.NatGatewayAddress{IsPrimary: aws.Bool(true), Status: types.NatGatewayAddressStatusSucceeded}
	if g.Interface != "" {
		address.NetworkInterfaceId, address.PrivateIp = aws.String(g.Interface), aws.String(g.PrivateIP)
		address.PublicIp, address.AllocationId, address.AssociationId = optional(g.Public), optional(g.Allocation), optional(g.Association)
	} else {
		address.Status = types.NatGatewayAddressStatusFailed
	}
	shown.NatGatewayAddresses = []types.NatGatewayAddress{address}
	for _, a := range g.More {
		shown.NatGatewayAddresses = append(shown.NatGatewayAddresses, g.addressToAPI(a))
	}
	return shown, nil
}

// natInterface is the type of a NAT gateway's interface.
// AWS: "DescribeNetworkInterfaces" in the API reference, filter interface-type: so it answers; the SDK's list has it as
// natGateway.
const natInterface types.NetworkInterfaceType = "nat_gateway"
