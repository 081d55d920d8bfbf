package ec2

import (
	"context"
	"net/netip"
	"strings"

	"miniaws/backend/store"
)

// parsePublicName answers the address and the region that a public DNS name is made of; ok is false for other names.
func parsePublicName(name string) (address netip.Addr, region string, ok bool) {
	host, domain, _ := strings.Cut(name, ".")
	written, ok := strings.CutPrefix(host, "ec2-")
	if !ok {
		return netip.Addr{}, "", false
	}
	address, err := netip.ParseAddr(strings.ReplaceAll(written, "-", "."))
	if err != nil || !address.Is4() {
		return netip.Addr{}, "", false
	}
	region = "us-east-1"
	if domain != "compute-1.amazonaws.com" {
		region, _ = strings.CutSuffix(domain, ".compute.amazonaws.com")
	}
	return address, region, findRegion(region) != nil && publicNameOf(region, address.String()) == name
}

// PublicName answers the address to which a public DNS name leads, as Describe calls show it, for those who ask from outside of
// VPCs; an invalid one where nothing has the name now, or its VPC has no names. Of such a name ours tells whether it could
// only be this installation's: others may be instances in AWS. It reads the store alone.
func (s *Service) PublicName(ctx context.Context, name string) (leads netip.Addr, ours bool, err error) {
	address, region, ok := parsePublicName(name)
	if !ok {
		return netip.Addr{}, false, nil
	}
	known := s.public.known()
	ours = known.IsValid() && known.Contains(address) || simulatedRange.Contains(address)
	err = s.config.DB.View(ctx, func(in store.Tx) error {
		row, err := publicAddresses.In(in, store.Scope{}).Find(address.String())
		if err != nil || row == nil {
			return err
		}
		ours = true
		t := s.tx(in, store.Scope{Account: row.Account, Region: region})
		list, err := interfaces.seen(t, "public", row.Address)
		for _, e := range list {
			if publicName(t, e.VPC, row.Address) == name {
				leads = address
			}
		}
		return err
	})
	return leads, ours, err
}

// NameOfPublic answers the name of a public address for those who ask from outside of VPCs: the one that its Elastic IP was
// given, else its public DNS name; "" for one that nobody has. ours tells whether the address could only be this
// installation's. It reads the store alone.
// AWS: "Use reverse DNS for email applications".
func (s *Service) NameOfPublic(ctx context.Context, address netip.Addr) (name string, ours bool, err error) {
	known := s.public.known()
	ours = known.IsValid() && known.Contains(address) || simulatedRange.Contains(address)
	err = s.config.DB.View(ctx, func(in store.Tx) error {
		row, err := publicAddresses.In(in, store.Scope{}).Find(address.String())
		if err != nil || row == nil {
			return err
		}
		ours = true
		name = publicNameOf(row.Region, row.Address)
		eip, err := elasticIPs.find(s.tx(in, store.Scope{Account: row.Account, Region: row.Region}), row.Owner)
		if eip != nil && eip.PTR != "" {
			name = strings.TrimSuffix(eip.PTR, ".")
		}
		return err
	})
	return name, ours, err
}
