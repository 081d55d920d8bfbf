package ec2

import (
	"context"
	"net/netip"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// subnetReservation keeps a part of a subnet's range for those who ask for its addresses by name (explicit), or for prefixes
// of interfaces (prefix): no address of it is given to anybody who asks for any.
type subnetReservation struct {
	resource
	VPC, Subnet, CIDR string
	Type              types.SubnetCidrReservationType
	Description       string `json:",omitempty"`
}

func (r *subnetReservation) vpc() string { return r.VPC }

func subnetReservationBase(r *subnetReservation) *resource { return &r.resource }

var subnetReservations = &kind[subnetReservation]{
	prefix: "scr-", typ: types.ResourceTypeSubnetCidrReservation, base: subnetReservationBase, notFound: errSubnetReservationNotFound,
	table: tableOf("subnet-cidr-reservations", subnetReservationBase, map[string]func(*subnetReservation) []string{
		"subnet": func(r *subnetReservation) []string { return one(r.Subnet) },
	}),
	filters: filters[subnetReservation]{
		"reservationType": func(_ tx, r *subnetReservation) []string { return one(string(r.Type)) },
		"subnet-id":       func(_ tx, r *subnetReservation) []string { return one(r.Subnet) },
	},
}

// reservedRanges are the ranges of a subnet from which nothing is given out unasked.
func reservedRanges(t tx, subnetID string) ([]netip.Prefix, error) {
	list, err := subnetReservations.seen(t, "subnet", subnetID)
	var ranges []netip.Prefix
	for _, r := range list {
		ranges = append(ranges, netip.MustParsePrefix(r.CIDR))
	}
	return ranges, err
}

func insideOf(ranges []netip.Prefix, address netip.Addr) bool {
	return slices.ContainsFunc(ranges, func(r netip.Prefix) bool { return r.Contains(address) })
}

// CreateSubnetCidrReservation keeps a part of a subnet's range.
func (s *Service) CreateSubnetCidrReservation(ctx context.Context, in *ec2.CreateSubnetCidrReservationInput) (*ec2.CreateSubnetCidrReservationOutput, error) {
	tags, err := tagsOnCreate(in.TagSpecifications, types.ResourceTypeSubnetCidrReservation)
	if err != nil {
		return nil, err
	}
	text := aws.ToString(in.Cidr)
	prefix, ok := parseCIDR(text)
	if !ok {
		return nil, errInvalidCIDR(text, "cidr")
	}
	out := &ec2.CreateSubnetCidrReservationOutput{}
	return out, s.update(ctx, func(t tx) error {
		n, err := subnets.get(t, aws.ToString(in.SubnetId))
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(append(prefixesOf(n.IPv6), n.prefix()), func(own netip.Prefix) bool { return covers(own, prefix) }) {
			return errInvalidParameterValue("The CIDR '%s' is not within the CIDR blocks of the subnet %s.", text, n.ID)
		}
		others, err := reservedRanges(t, n.ID)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(others, prefix.Overlaps) {
			return errInvalidParameterValue("The CIDR '%s' overlaps with another CIDR reservation of the subnet %s.", text, n.ID)
		}
		r := &subnetReservation{
			resource: resource{ID: t.NewID("scr-"), Tags: tags}, VPC: n.VPC, Subnet: n.ID, CIDR: prefix.String(), Type: in.ReservationType, Description: aws.ToString(in.Description),
		}
		shown := subnetReservationToAPI(t, r)
		out.SubnetCidrReservation = &shown
		return subnetReservations.insert(t, r)
	})
}

// DeleteSubnetCidrReservation ends one. Addresses of it that somebody has stay.
func (s *Service) DeleteSubnetCidrReservation(ctx context.Context, in *ec2.DeleteSubnetCidrReservationInput) (*ec2.DeleteSubnetCidrReservationOutput, error) {
	out := &ec2.DeleteSubnetCidrReservationOutput{}
	return out, s.update(ctx, func(t tx) error {
		r, err := subnetReservations.get(t, aws.ToString(in.SubnetCidrReservationId))
		if err != nil {
			return err
		}
		shown := subnetReservationToAPI(t, r)
		out.DeletedSubnetCidrReservation = &shown
		return subnetReservations.delete(t, r.ID)
	})
}

// GetSubnetCidrReservations lists those of a subnet.
func (s *Service) GetSubnetCidrReservations(ctx context.Context, in *ec2.GetSubnetCidrReservationsInput) (*ec2.GetSubnetCidrReservationsOutput, error) {
	out := &ec2.GetSubnetCidrReservationsOutput{}
	return out, s.view(ctx, func(t tx) error {
		n, err := subnets.read(t, aws.ToString(in.SubnetId))
		if err != nil {
			return err
		}
		match, err := subnetReservations.filters.compile(subnetReservationBase, in.Filters)
		if err != nil {
			return err
		}
		all, err := subnetReservations.seen(t, "subnet", n.ID)
		if err != nil {
			return err
		}
		all = slices.DeleteFunc(all, func(r *subnetReservation) bool { return !match.matches(t, r) })
		list, next, err := cut(all, func(r *subnetReservation) string { return r.ID }, "subnet-cidr-reservations", pageBounds{}, query{max: in.MaxResults, token: in.NextToken})
		if err != nil {
			return err
		}
		out.NextToken = next
		out.SubnetIpv4CidrReservations, out.SubnetIpv6CidrReservations = []types.SubnetCidrReservation{}, []types.SubnetCidrReservation{}
		for _, r := range list {
			shown := subnetReservationToAPI(t, r)
			if netip.MustParsePrefix(r.CIDR).Addr().Is4() {
				out.SubnetIpv4CidrReservations = append(out.SubnetIpv4CidrReservations, shown)
			} else {
				out.SubnetIpv6CidrReservations = append(out.SubnetIpv6CidrReservations, shown)
			}
		}
		return nil
	})
}

func subnetReservationToAPI(t tx, r *subnetReservation) types.SubnetCidrReservation {
	return types.SubnetCidrReservation{
		SubnetCidrReservationId: aws.String(r.ID), SubnetId: aws.String(r.Subnet), Cidr: aws.String(r.CIDR), ReservationType: r.Type,
		OwnerId: aws.String(t.scope.Account), Description: optional(r.Description), Tags: tagsToAPI(t, r.Tags),
	}
}
