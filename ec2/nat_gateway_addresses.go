package ec2

import (
	"cmp"
	"context"
	"errors"
	"net/netip"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"miniaws/backend"
)

// natAddress is a further address of a NAT gateway.
//
//	associating, assigning ──applied──▶ succeeded ──▶ disassociating, unassigning ──applied──▶ gone
type natAddress struct {
	Private     string
	Public      string `json:",omitempty"`
	Allocation  string `json:",omitempty"`
	Association string `json:",omitempty"`
	Status      types.NatGatewayAddressStatus
}

// leaving tells that the address is on its way out.
func (a natAddress) leaving() bool {
	return a.Status == types.NatGatewayAddressStatusDisassociating || a.Status == types.NatGatewayAddressStatusUnassigning
}

// maxNATAddresses is how many addresses a gateway may have.
// AWS: "NAT gateway basics" in the VPC user guide: up to eight private IPv4 addresses.
const maxNATAddresses = 8

// addNATAddress gives the gateway's interface one more private address, the wanted one or a free one, and to that the Elastic
// IP if there is one.
func addNATAddress(t tx, g *natGateway, wanted string, eip *elasticIP) error {
	if len(g.More)+2 > maxNATAddresses {
		return errAddressesPerNATGateway(g.ID)
	}
	var address netip.Addr
	if wanted != "" {
		var err error
		if address, err = parseAddress(wanted); err != nil {
			return err
		}
	}
	e, err := interfaces.get(t, g.Interface)
	if err != nil {
		return err
	}
	n, err := subnets.get(t, g.Subnet)
	if err != nil {
		return err
	}
	if err := e.addAddress(t, n, address); err != nil {
		return err
	}
	i := len(e.Addresses) - 1
	made := natAddress{Private: e.Addresses[i].Private, Status: types.NatGatewayAddressStatusAssigning}
	if eip == nil {
		if err := interfaces.put(t, e); err != nil {
			return err
		}
	} else {
		if eip.Association != "" {
			return errResourceAlreadyAssociated("Elastic IP address [%s] is already associated", eip.ID)
		}
		eip.ServiceManaged = "nat"
		if err := giveElastic(t, eip, e, i); err != nil {
			return err
		}
		made.Public, made.Allocation, made.Association, made.Status = eip.Public, eip.ID, eip.Association, types.NatGatewayAddressStatusAssociating
	}
	g.More = append(g.More, made)
	return nil
}

// AssociateNatGatewayAddress gives a public gateway further Elastic IPs.
func (s *Service) AssociateNatGatewayAddress(ctx context.Context, in *ec2.AssociateNatGatewayAddressInput) (*ec2.AssociateNatGatewayAddressOutput, error) {
	if err := unsupported("AssociateNatGatewayAddress", "AvailabilityZone", in.AvailabilityZone, "AvailabilityZoneId", in.AvailabilityZoneId); err != nil {
		return nil, err
	}
	if len(in.PrivateIpAddresses) > 0 && len(in.PrivateIpAddresses) != len(in.AllocationIds) {
		return nil, errInvalidParameterValue("The number of private IP addresses must match the number of allocation IDs.")
	}
	shown, err := s.changeNATAddresses(ctx, in.NatGatewayId, false, func(t tx, g *natGateway) error {
		for i, allocation := range in.AllocationIds {
			eip, err := elasticIPs.get(t, allocation)
			if err != nil {
				return err
			}
			wanted := ""
			if len(in.PrivateIpAddresses) > 0 {
				wanted = in.PrivateIpAddresses[i]
			}
			if err := addNATAddress(t, g, wanted, eip); err != nil {
				return err
			}
		}
		return nil
	})
	return &ec2.AssociateNatGatewayAddressOutput{NatGatewayId: in.NatGatewayId, NatGatewayAddresses: shown}, err
}

// DisassociateNatGatewayAddress takes Elastic IPs away, save the first one. No new connection gets them from now on.
func (s *Service) DisassociateNatGatewayAddress(ctx context.Context, in *ec2.DisassociateNatGatewayAddressInput) (*ec2.DisassociateNatGatewayAddressOutput, error) {
	if err := checkDrain(in.MaxDrainDurationSeconds); err != nil {
		return nil, err
	}
	shown, err := s.changeNATAddresses(ctx, in.NatGatewayId, false, func(_ tx, g *natGateway) error {
		for _, id := range in.AssociationIds {
			i := slices.IndexFunc(g.More, func(a natAddress) bool { return a.Association == id && id != "" })
			switch {
			case id == g.Association:
				return errInvalidParameterValue("The primary address of the NAT gateway %s cannot be disassociated.", g.ID)
			case i < 0:
				return errAssociationNotFound(id)
			}
			g.More[i].Status = types.NatGatewayAddressStatusDisassociating
		}
		return nil
	})
	return &ec2.DisassociateNatGatewayAddressOutput{NatGatewayId: in.NatGatewayId, NatGatewayAddresses: shown}, err
}

// AssignPrivateNatGatewayAddress gives a private gateway further private addresses.
func (s *Service) AssignPrivateNatGatewayAddress(ctx context.Context, in *ec2.AssignPrivateNatGatewayAddressInput) (*ec2.AssignPrivateNatGatewayAddressOutput, error) {
	count := int(aws.ToInt32(in.PrivateIpAddressCount))
	switch {
	case len(in.PrivateIpAddresses) > 0 && in.PrivateIpAddressCount != nil:
		return nil, errParametersExclude("PrivateIpAddresses", "PrivateIpAddressCount")
	case in.PrivateIpAddressCount != nil && (count < 1 || count >= maxNATAddresses):
		return nil, errInvalidParameterValue("Value (%d) for parameter PrivateIpAddressCount is invalid.", count)
	case len(in.PrivateIpAddresses) == 0 && count == 0:
		return nil, errMissingParameter("PrivateIpAddressCount")
	}
	wanted := append(slices.Clone(in.PrivateIpAddresses), make([]string, count)...)
	shown, err := s.changeNATAddresses(ctx, in.NatGatewayId, true, func(t tx, g *natGateway) error {
		for _, address := range wanted {
			if err := addNATAddress(t, g, address, nil); err != nil {
				return err
			}
		}
		return nil
	})
	return &ec2.AssignPrivateNatGatewayAddressOutput{NatGatewayId: in.NatGatewayId, NatGatewayAddresses: shown}, err
}

// UnassignPrivateNatGatewayAddress takes private addresses away, save the first one.
func (s *Service) UnassignPrivateNatGatewayAddress(ctx context.Context, in *ec2.UnassignPrivateNatGatewayAddressInput) (*ec2.UnassignPrivateNatGatewayAddressOutput, error) {
	if err := checkDrain(in.MaxDrainDurationSeconds); err != nil {
		return nil, err
	}
	shown, err := s.changeNATAddresses(ctx, in.NatGatewayId, true, func(_ tx, g *natGateway) error {
		for _, address := range in.PrivateIpAddresses {
			i := slices.IndexFunc(g.More, func(a natAddress) bool { return a.Private == address })
			switch {
			case address == g.PrivateIP:
				return errInvalidParameterValue("The primary address of the NAT gateway %s cannot be unassigned.", g.ID)
			case i < 0:
				return errInvalidParameterValue("The private IP address %s is not assigned to the NAT gateway %s.", address, g.ID)
			}
			g.More[i].Status = types.NatGatewayAddressStatusUnassigning
		}
		return nil
	})
	return &ec2.UnassignPrivateNatGatewayAddressOutput{NatGatewayId: in.NatGatewayId, NatGatewayAddresses: shown}, err
}

// checkDrain checks how long connections may go on. AWS: "DisassociateNatGatewayAddress" in the API reference: 1 to 4000.
func checkDrain(seconds *int32) error {
	if seconds != nil && (*seconds < 1 || *seconds > 4000) {
		return errInvalidParameterValue("Value (%d) for parameter MaxDrainDurationSeconds is invalid.", *seconds)
	}
	return nil
}

// changeNATAddresses changes a gateway that is available, and answers the addresses that it changed.
func (s *Service) changeNATAddresses(ctx context.Context, id *string, private bool, change func(tx, *natGateway) error) (shown []types.NatGatewayAddress, err error) {
	err = s.update(ctx, func(t tx) error {
		return natGateways.changeNetwork(t, aws.ToString(id), func(g *natGateway) error {
			switch {
			case g.State == types.NatGatewayStateDeleted || g.State == types.NatGatewayStateFailed:
				return errNATGatewayNotFound(g.ID)
			case g.State != types.NatGatewayStateAvailable:
				return errIncorrectState("NAT gateway %s is not in the available state.", g.ID)
			case private && !g.Private:
				return errInvalidParameterValue("The NAT gateway %s is not a private NAT gateway.", g.ID)
			case !private && g.Private:
				return errInvalidParameterValue("The NAT gateway %s is not a public NAT gateway.", g.ID)
			}
			before := slices.Clone(g.More)
			if err := change(t, g); err != nil {
				return err
			}
			shown = nil
			for i, a := range g.More {
				if i >= len(before) || before[i] != a {
					shown = append(shown, g.addressToAPI(a))
				}
			}
			return nil
		})
	})
	return shown, err
}

func (g *natGateway) addressToAPI(a natAddress) types.NatGatewayAddress {
	return types.NatGatewayAddress{
		AllocationId: optional(a.Allocation), AssociationId: optional(a.Association), IsPrimary: aws.Bool(false), NetworkInterfaceId: aws.String(g.Interface),
		PrivateIp: aws.String(a.Private), PublicIp: optional(a.Public), Status: a.Status,
	}
}

// seen is the address that the other end of a connection sees: the Elastic IP, or that of a private gateway.
func (a natAddress) seen() netip.Addr { return netip.MustParseAddr(cmp.Or(a.Public, a.Private)) }

// more are the further addresses that connections may get.
func (g *natGateway) more() []netip.Addr {
	var list []netip.Addr
	for _, a := range g.More {
		if !a.leaving() {
			list = append(list, a.seen())
		}
	}
	return list
}

// confirmNATAddresses moves addresses on that the applied network has, or has no more; changed tells whether it did.
func (g *natGateway) confirmNATAddresses(t tx, applied backend.WantedNATGateway) (changed bool, err error) {
	for i := len(g.More) - 1; i >= 0; i-- {
		a := &g.More[i]
		has := slices.Contains(applied.More, a.seen())
		switch {
		case !a.leaving() && has && a.Status != types.NatGatewayAddressStatusSucceeded:
			a.Status, changed = types.NatGatewayAddressStatusSucceeded, true
		case a.leaving() && !has:
			if err := g.dropNATAddress(t, *a); err != nil {
				return false, err
			}
			g.More, changed = slices.Delete(g.More, i, i+1), true
		}
	}
	return changed, nil
}

func (g *natGateway) dropNATAddress(t tx, gone natAddress) error {
	e, err := interfaces.find(t, g.Interface)
	if err != nil || e == nil {
		return err
	}
	i := e.find(gone.Private)
	if i < 0 {
		return nil
	}
	return errors.Join(e.removeAddress(t, i), interfaces.put(t, e))
}
