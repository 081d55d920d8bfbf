package ec2

import (
	"net/netip"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// AWS: "Amazon VPC quotas": security groups per network interface.
const maxGroupsPerInterface = 5

// interfaceSpec is a wanted interface.
type interfaceSpec struct {
	subnet      string
	description string
	// groups are ids; none is the VPC's default group.
	groups []string
	// addresses are the wanted IPv4 ones, the primary first; none is one free address. more are further free ones.
	addresses []netip.Addr
	more      int
	// ipv6 are wanted IPv6 addresses, moreIPv6 further free ones.
	ipv6     []netip.Addr
	moreIPv6 int
	// primaryIPv6 makes the first of them the one that stays.
	primaryIPv6 bool
	// prefixes and prefixes6 are parts of the subnet's ranges.
	prefixes, prefixes6 delegation
	typ                 types.NetworkInterfaceType // "" is interface
	// requester is the service that manages it, or "".
	requester string
	tags      map[string]string
	// launched tells that an instance is launched with it, into a subnet that was named.
	launched bool
}

// createInterface makes an interface with its addresses, and wants the network to have it.
func createInterface(t tx, spec interfaceSpec) (*networkInterface, error) {
	n, err := subnets.get(t, spec.subnet)
	if err != nil {
		return nil, err
	}
	groups := slices.Compact(slices.Clone(spec.groups))
	if len(groups) == 0 && !gatewayInterface(spec.typ) {
		g, err := defaultSecurityGroup(t, n.VPC)
		if err != nil {
			return nil, err
		}
		groups = []string{g.ID}
	}
	stranger, err := groupElsewhere(t, n.VPC, groups)
	switch {
	case err != nil:
		return nil, err
	case stranger != "" && spec.launched:
		return nil, errGroupNotOfSubnet(stranger, n.ID)
	case stranger != "":
		return nil, errGroupOfOtherNetwork()
	}
	e := &networkInterface{
		resource: resource{ID: t.NewID("eni-"), Tags: spec.tags}, VPC: n.VPC, Subnet: n.ID, Zone: n.Zone, Description: spec.description, MAC: newMAC(),
		Type: spec.typ, Pending: true, Groups: groups, SourceDestCheck: !gatewayInterface(spec.typ), Requester: spec.requester,
	}
	if e.Type == "" {
		e.Type = types.NetworkInterfaceTypeInterface
	}
	if err := e.fill(t, n, spec); err != nil {
		return nil, err
	}
	if err := interfaces.insert(t, e); err != nil {
		return nil, err
	}
	return e, wantNetwork(t, e.VPC)
}

// fill gives a new interface its addresses and prefixes. Prefixes that are named come first, so that no address is chosen in one;
// those that are not come last, so that none is chosen around an address that is named.
func (e *networkInterface) fill(t tx, n *subnet, spec interfaceSpec) error {
	wanted := spec.addresses
	if len(wanted) == 0 {
		wanted = []netip.Addr{{}}
	}
	if max(len(wanted)+spec.more+spec.prefixes.size(), len(spec.ipv6)+spec.moreIPv6+spec.prefixes6.size()) > maxAddressesPerInterface {
		return errAddressesPerInterfaceLimitExceeded()
	}
	for _, d := range []delegation{spec.prefixes, spec.prefixes6} {
		d.count = 0
		if _, err := e.delegate(t, n, d); err != nil {
			return err
		}
	}
	for _, address := range append(slices.Clone(wanted), make([]netip.Addr, spec.more)...) {
		if err := e.addAddress(t, n, address); err != nil {
			return err
		}
	}
	automatic := n.AssignIPv6 && spec.requester == "" && spec.prefixes6.size() == 0
	if (automatic || spec.primaryIPv6) && len(spec.ipv6) == 0 && spec.moreIPv6 == 0 {
		spec.moreIPv6 = 1
	}
	for _, address := range append(slices.Clone(spec.ipv6), make([]netip.Addr, spec.moreIPv6)...) {
		given, err := allocateIPv6(t, n, e.ID, address)
		if err != nil {
			return err
		}
		e.IPv6 = append(e.IPv6, given.String())
	}
	e.PrimaryIPv6 = spec.primaryIPv6
	for _, d := range []delegation{spec.prefixes, spec.prefixes6} {
		d.named = nil
		if _, err := e.delegate(t, n, d); err != nil {
			return err
		}
	}
	return nil
}

func (e *networkInterface) addAddress(t tx, n *subnet, wanted netip.Addr) error {
	given, err := allocateAddress(t, n, e.ID, wanted)
	if err != nil {
		return err
	}
	e.Addresses = append(e.Addresses, interfaceAddress{Private: given.String()})
	return nil
}

// checkGroups tells whether an interface of a VPC may have the groups.
func checkGroups(t tx, vpcID string, groups []string) error {
	stranger, err := groupElsewhere(t, vpcID, groups)
	if stranger != "" {
		return errGroupOfOtherNetwork()
	}
	return err
}

// groupElsewhere answers the first of the groups that an interface of the VPC may not have; "" for none.
func groupElsewhere(t tx, vpcID string, groups []string) (string, error) {
	if len(groups) > maxGroupsPerInterface {
		return "", errGroupsPerInterfaceLimitExceeded()
	}
	for _, id := range groups {
		g, err := securityGroups.get(t, id)
		if err != nil {
			return "", err
		}
		if g.VPC == vpcID {
			continue
		}
		association, err := groupAssociations.In(t, t.scope).Find(g.ID, vpcID)
		if err != nil {
			return "", err
		}
		if !association.works() {
			return g.ID, nil
		}
	}
	return "", nil
}

// count takes over how many addresses are wanted besides the named ones.
func (s *interfaceSpec) count(secondary, ipv6 *int32) (err error) {
	if s.more, err = addressCount("secondaryPrivateIpAddressCount", secondary); err != nil {
		return err
	}
	s.moreIPv6, err = addressCount("ipv6AddressCount", ipv6)
	return err
}

// wantedIPv6 are the IPv6 addresses that a call names; a number of them is another way to say it.
func wantedIPv6(list []types.InstanceIpv6Address, count *int32) (wanted []netip.Addr, err error) {
	if len(list) > 0 && aws.ToInt32(count) > 0 {
		return nil, errParametersExclude("ipv6Addresses", "ipv6AddressCount")
	}
	for _, x := range list {
		address, err := parseAddress(aws.ToString(x.Ipv6Address))
		if err != nil {
			return nil, err
		}
		wanted = append(wanted, address)
	}
	return wanted, nil
}

// wantedAddresses puts the ways together in which calls name private addresses: the primary first.
func wantedAddresses(primary *string, list []types.PrivateIpAddressSpecification) ([]netip.Addr, error) {
	var first netip.Addr
	var rest []netip.Addr
	primaries := 0
	if aws.ToString(primary) != "" {
		address, err := parseAddress(*primary)
		if err != nil {
			return nil, err
		}
		first, primaries = address, 1
	}
	for _, x := range list {
		address, err := parseAddress(aws.ToString(x.PrivateIpAddress))
		if err != nil {
			return nil, err
		}
		if aws.ToBool(x.Primary) {
			first = address
			primaries++
		} else {
			rest = append(rest, address)
		}
	}
	switch {
	case primaries > 1:
		return nil, errInvalidParameterCombination("Only one primary private IP address can be specified.")
	case primaries == 0 && len(rest) == 0:
		return nil, nil
	}
	return append([]netip.Addr{first}, rest...), nil
}

// enablePrimaryIPv6 makes the first IPv6 address the one that stays, until the interface is detached. It cannot be taken back.
// AWS: "ModifyNetworkInterfaceAttribute", EnablePrimaryIpv6; the words of the refusals are ours.
func (e *networkInterface) enablePrimaryIPv6(on bool) error {
	switch {
	case on && len(e.IPv6) == 0:
		return errInvalidParameterValue("The network interface %s has no IPv6 address that could be its primary one.", e.ID)
	case !on && e.PrimaryIPv6:
		return errInvalidParameterValue("The primary IPv6 address of the network interface %s cannot be disabled.", e.ID)
	}
	e.PrimaryIPv6 = on
	return nil
}

// delegate takes over which prefixes are wanted. Addresses of the same family, but for the primary one, are another way.
// AWS: "CreateNetworkInterface", Ipv4Prefixes and Ipv6Prefixes.
func (s *interfaceSpec) delegate(named []types.Ipv4PrefixSpecificationRequest, count *int32, named6 []types.Ipv6PrefixSpecificationRequest, count6 *int32) (err error) {
	if s.prefixes, err = wantedPrefixes("ipv4Prefix", prefixTexts(named, ipv4Prefix), count); err != nil {
		return err
	}
	if s.prefixes6, err = wantedPrefixes("ipv6Prefix", prefixTexts(named6, ipv6Prefix), count6); err != nil {
		return err
	}
	s.prefixes.none, s.prefixes6.none = errNoFreePrefixesToCreate(false), errNoFreePrefixesToCreate(true)
	switch {
	case s.prefixes.size() > 0 && (len(s.addresses) > 1 || s.more > 0):
		return errParametersExclude("ipv4Prefixes", "privateIpAddresses")
	case s.prefixes6.size() > 0 && len(s.ipv6)+s.moreIPv6 > 0:
		return errParametersExclude("ipv6Prefixes", "ipv6Addresses")
	}
	return nil
}
