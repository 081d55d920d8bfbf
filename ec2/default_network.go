package ec2

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"miniaws/backend/store"
)

// network remembers that an account's default network in a region was made, and which VPC is its default one.
type network struct {
	ID string
	// VPC is "" after the user deleted it.
	VPC string `json:",omitempty"`
}

// networkID is the one row's id.
const networkID = "default"

var networks = store.NewTable(store.Spec[network]{
	Service: "ec2",
	Name:    "networks",
	ID:      func(n *network) store.ID { return store.ID{n.ID} },
})

// defaultRange is that of default VPCs. AWS: "Default VPCs".
var defaultRange = netip.MustParsePrefix("172.31.0.0/16")

// ensureNetwork makes, in an account's first transaction in a region, what AWS gives every account: DHCP options, AWS's
// prefix lists, and the default VPC.
func ensureNetwork(t tx) error {
	rows := networks.In(t, t.scope)
	made, err := rows.Find(networkID)
	if err != nil || made != nil {
		return err
	}
	if _, err := zonesOf(t.scope.Region); err != nil {
		return err
	}
	if err := createServiceLists(t); err != nil {
		return err
	}
	if err := rows.Put(&network{ID: networkID}); err != nil {
		return err
	}
	_, err = createDefaultVPC(t)
	return err
}

// defaultVPC answers the account's default VPC, or nil.
func defaultVPC(t tx) (*vpc, error) {
	n, err := networks.In(t, t.scope).Get(networkID)
	if err != nil || n.VPC == "" {
		return nil, err
	}
	return vpcs.find(t, n.VPC)
}

// createDefaultVPC makes a default VPC: with a subnet in each zone, and an internet gateway to which the main route
// table leads.
func createDefaultVPC(t tx) (*vpc, error) {
	v := &vpc{Tenancy: types.TenancyDefault, Default: true, DNSSupport: true, DNSNames: true}
	if err := createVPC(t, v, defaultRange); err != nil {
		return nil, err
	}
	g := &internetGateway{resource: resource{ID: t.NewID("igw-")}, VPC: v.ID}
	if err := internetGateways.insert(t, g); err != nil {
		return nil, err
	}
	main, err := mainRouteTable(t, v.ID)
	if err != nil {
		return nil, err
	}
	main.Routes = []route{{"0.0.0.0/0", g.ID, types.RouteOriginCreateRoute}}
	if err := routeTables.put(t, main); err != nil {
		return nil, err
	}
	zones, err := zonesOf(t.scope.Region)
	if err != nil {
		return nil, err
	}
	for _, z := range zones {
		if _, err := createDefaultSubnet(t, v, z); err != nil {
			return nil, err
		}
	}
	return v, networks.In(t, t.scope).Put(&network{ID: networkID, VPC: v.ID})
}

// createDefaultSubnet makes the default subnet of a zone, in the first free /20 of the default VPC.
func createDefaultSubnet(t tx, v *vpc, z zone) (*subnet, error) {
	list, err := subnets.by(t, "vpc", v.ID)
	if err != nil {
		return nil, err
	}
	for i := range uint32(16) {
		prefix := netip.PrefixFrom(addressAt(defaultRange, i<<12), 20)
		free := true
		for _, other := range list {
			free = free && !other.prefix().Overlaps(prefix)
		}
		if free {
			n := &subnet{VPC: v.ID, Zone: z.name, ZoneID: z.id, Default: true, MapPublic: true}
			return n, createSubnet(t, v, n, prefix, prefix.String())
		}
	}
	return nil, errInvalidSubnetRange(fmt.Sprint(defaultRange))
}

// CreateDefaultVpc makes the default VPC again that the user deleted.
func (s *Service) CreateDefaultVpc(ctx context.Context, _ *ec2.CreateDefaultVpcInput) (*ec2.CreateDefaultVpcOutput, error) {
	out := &ec2.CreateDefaultVpcOutput{}
	return out, s.update(ctx, func(t tx) error {
		old, err := defaultVPC(t)
		if err != nil {
			return err
		}
		if old != nil {
			return errDefaultVPCExists(old.ID)
		}
		v, err := createDefaultVPC(t)
		if err != nil {
			return err
		}
		shown, err := vpcToAPI(t, v)
		out.Vpc = &shown
		return err
	})
}

// CreateDefaultSubnet makes the default subnet of a zone again.
func (s *Service) CreateDefaultSubnet(ctx context.Context, in *ec2.CreateDefaultSubnetInput) (*ec2.CreateDefaultSubnetOutput, error) {
	if err := unsupported("CreateDefaultSubnet", "Ipv6Native", in.Ipv6Native); err != nil {
		return nil, err
	}
	name := aws.ToString(in.AvailabilityZone) + aws.ToString(in.AvailabilityZoneId)
	if name == "" {
		return nil, errMissingParameter("availabilityZone")
	}
	out := &ec2.CreateDefaultSubnetOutput{}
	return out, s.update(ctx, func(t tx) error {
		z, err := findZone(t.scope.Region, name)
		if err != nil {
			return err
		}
		v, err := defaultVPC(t)
		if err != nil {
			return err
		}
		if v == nil {
			return errDefaultVPCDoesNotExist()
		}
		list, err := subnets.by(t, "vpc", v.ID)
		if err != nil {
			return err
		}
		for _, n := range list {
			if n.Default && n.Zone == z.name {
				return errDefaultSubnetExists(z.name, n.ID)
			}
		}
		n, err := createDefaultSubnet(t, v, z)
		if err != nil {
			return err
		}
		shown, err := subnetToAPI(t, n)
		out.Subnet = &shown
		return err
	})
}

// accountAttributes are what DescribeAccountAttributes answers. Quotas that are not enforced here are AWS's defaults.
// AWS: "DescribeAccountAttributes" in the API reference.
func (s *Service) accountAttribute(t tx, name types.AccountAttributeName) (string, error) {
	switch name {
	case types.AccountAttributeNameDefaultVpc:
		v, err := defaultVPC(t)
		if v == nil || err != nil {
			return "none", err
		}
		return v.ID, nil
	case types.AccountAttributeNameSupportedPlatforms:
		return "VPC", nil
	case "max-instances":
		return "20", nil
	case "max-elastic-ips", "vpc-max-elastic-ips":
		return "5", nil
	case "vpc-max-security-groups-per-interface":
		return fmt.Sprint(maxGroupsPerInterface), nil
	default:
		return "", errInvalidParameterValue("Value (%s) for parameter attributeName is invalid. Unknown account attribute.", name)
	}
}

// DescribeAccountAttributes answers the default VPC and the account's quotas.
func (s *Service) DescribeAccountAttributes(ctx context.Context, in *ec2.DescribeAccountAttributesInput) (*ec2.DescribeAccountAttributesOutput, error) {
	names := in.AttributeNames
	if len(names) == 0 {
		names = []types.AccountAttributeName{
			types.AccountAttributeNameSupportedPlatforms, "vpc-max-security-groups-per-interface", "max-elastic-ips", "max-instances", "vpc-max-elastic-ips", types.AccountAttributeNameDefaultVpc,
		}
	}
	out := &ec2.DescribeAccountAttributesOutput{}
	return out, s.view(ctx, func(t tx) error {
		out.AccountAttributes = nil
		for _, name := range names {
			value, err := s.accountAttribute(t, name)
			if err != nil {
				return err
			}
			out.AccountAttributes = append(out.AccountAttributes, types.AccountAttribute{
				AttributeName: aws.String(string(name)), AttributeValues: []types.AccountAttributeValue{{AttributeValue: aws.String(value)}},
			})
		}
		return nil
	})
}
