package ec2

import (
	"hash/fnv"
	"net/netip"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"miniaws/awsapi"
	"miniaws/backend/store"
)

// Parts of a subnet's ranges that an interface has whole, for what runs behind it: /28 of IPv4 and /80 of IPv6. What is for one of
// their addresses goes to the interface. Each counts as one address of the interface, and sixteen of the subnet.
// AWS: "Prefix delegation for Amazon EC2 network interfaces".

// prefixBits is how long such a part is.
func prefixBits(six bool) int {
	if six {
		return 80
	}
	return 28
}

// prefixSize is how many addresses of IPv4 one has.
const prefixSize = 16

// delegation is what a call wants of them, of one family.
type delegation struct {
	six   bool
	named []netip.Prefix
	// count are further free ones.
	count int
	// none is what is answered where there is no room for one.
	none error
}

func (d delegation) size() int { return len(d.named) + d.count }

// wantedPrefixes reads what a call wants; name is ipv4Prefix or ipv6Prefix.
func wantedPrefixes(name string, texts []string, count *int32) (delegation, error) {
	d := delegation{six: name == "ipv6Prefix", none: errNoFreePrefixes()}
	if len(texts) > 0 && aws.ToInt32(count) > 0 {
		return d, errParametersExclude(name+"es", name+"Count")
	}
	for _, text := range texts {
		prefix, ok := parseCIDR(text)
		if !ok || prefix.String() != text || prefix.Addr().Is6() != d.six || prefix.Bits() != prefixBits(d.six) {
			return d, errInvalidCIDR(text, name)
		}
		d.named = append(d.named, prefix)
	}
	var err error
	d.count, err = addressCount(name+"Count", count)
	return d, err
}

// prefixTexts are the prefixes of requests.
func prefixTexts[T any](list []T, text func(T) *string) []string {
	var all []string
	for _, x := range list {
		all = append(all, aws.ToString(text(x)))
	}
	return all
}

func ipv4Prefix(r types.Ipv4PrefixSpecificationRequest) *string { return r.Ipv4Prefix }
func ipv6Prefix(r types.Ipv6PrefixSpecificationRequest) *string { return r.Ipv6Prefix }

// AWS: amazon-vpc-cni-k8s, pull request 1585, shows the answer to AssignPrivateIpAddresses.
func errNoFreePrefixes() error {
	return awsapi.Errorf("InsufficientCidrBlocks", "The specified subnet does not have enough free cidr blocks to satisfy the request.")
}

// AWS: amazon-vpc-cni-k8s, issue 3105, shows the answer to CreateNetworkInterface.
func errNoFreePrefixesToCreate(six bool) error {
	if six {
		return errInvalidParameterValue("There aren't sufficient free Ipv6 addresses or prefixes")
	}
	return errInvalidParameterValue("There aren't sufficient free Ipv4 addresses or prefixes")
}

// delegate gives the interface prefixes and answers them; the caller writes it.
func (e *networkInterface) delegate(t tx, n *subnet, wanted delegation) ([]string, error) {
	own := &e.Prefixes
	if wanted.six {
		own = &e.IPv6Prefixes
	}
	var given []string
	for _, prefix := range append(slices.Clone(wanted.named), make([]netip.Prefix, wanted.count)...) {
		if prefix.IsValid() && slices.Contains(*own, prefix.String()) {
			continue
		}
		made, err := allocatePrefix(t, n, e.ID, prefix, wanted)
		if err != nil {
			return nil, err
		}
		*own, given = append(*own, made.String()), append(given, made.String())
	}
	return given, nil
}

// giveBack takes prefixes away from the interface; the caller writes it.
func (e *networkInterface) giveBack(t tx, own *[]string, gone []string) error {
	for _, text := range gone {
		i := slices.Index(*own, text)
		if i < 0 {
			return errInvalidParameterValue("Some of %v are not assigned to interface %s", gone, e.ID)
		}
		*own = slices.Delete(*own, i, i+1)
		if err := freeAddress(t, e.Subnet, text); err != nil {
			return err
		}
	}
	return nil
}

func ipv4PrefixesToAPI(t tx, list []string) (shown []types.Ipv4PrefixSpecification) {
	for _, prefix := range list {
		shown = append(shown, types.Ipv4PrefixSpecification{Ipv4Prefix: t.text(prefix)})
	}
	return shown
}

func ipv6PrefixesToAPI(t tx, list []string) (shown []types.Ipv6PrefixSpecification) {
	for _, prefix := range list {
		shown = append(shown, types.Ipv6PrefixSpecification{Ipv6Prefix: t.text(prefix)})
	}
	return shown
}

// allocatePrefix gives an owner the wanted part of a subnet, or a free one for the zero Prefix as the delegation says: of what is reserved for prefixes as
// long as there is some, else of what nothing is reserved of.
func allocatePrefix(t tx, n *subnet, owner string, wanted netip.Prefix, d delegation) (netip.Prefix, error) {
	whole, six := n.prefix(), d.six
	if six {
		if len(n.IPv6) == 0 {
			return wanted, errInvalidParameterValue("The subnet '%s' does not have an IPv6 CIDR block associated with it.", n.ID)
		}
		whole = netip.MustParsePrefix(n.IPv6[0].CIDR)
	}
	used, err := blocksInUse(t, n.ID, six)
	if err != nil {
		return wanted, err
	}
	rows := privateAddresses.In(t, t.scope)
	take := func(p netip.Prefix) (netip.Prefix, error) {
		return p, rows.Insert(&privateAddress{n.ID, p.String(), owner})
	}
	keepsOut := func(p netip.Prefix) bool {
		return !six && (reserved(whole, p.Addr()) || reserved(whole, addressAt(p, prefixSize-1)))
	}
	if wanted.IsValid() {
		switch {
		case !covers(whole, wanted):
			return wanted, errAddressNotInSubnet(wanted.String())
		case keepsOut(wanted):
			return wanted, errAddressReserved(wanted.String())
		case used[wanted]:
			return wanted, errAddressInUse(wanted.String())
		}
		return take(wanted)
	}
	reservations, err := subnetReservations.seen(t, "subnet", n.ID)
	if err != nil {
		return wanted, err
	}
	var from, kept []netip.Prefix
	for _, r := range reservations {
		prefix := netip.MustParsePrefix(r.CIDR)
		kept = append(kept, prefix)
		if r.Type == types.SubnetCidrReservationTypePrefix && prefix.Addr().Is6() == six && prefix.Bits() <= prefixBits(six) {
			from = append(from, prefix)
		}
	}
	for i, room := range append(from, whole) {
		found, ok := freeBlock(room, owner+t.NewID(""), six, func(p netip.Prefix) bool {
			return used[p] || keepsOut(p) || i == len(from) && slices.ContainsFunc(kept, p.Overlaps)
		})
		if ok {
			return take(found)
		}
	}
	return wanted, d.none
}

// freeBlock answers a part of a range that is not taken; it looks from a place on that follows from the seed, so that
// transactions at the same time rarely meet. Of IPv6 it looks at some thousand places.
func freeBlock(room netip.Prefix, seed string, six bool, taken func(netip.Prefix) bool) (netip.Prefix, bool) {
	const most = 4096
	if room.Bits() > prefixBits(six) {
		return netip.Prefix{}, false
	}
	blocks := uint64(1) << (prefixBits(six) - room.Bits())
	hash := fnv.New64a()
	_, _ = hash.Write([]byte(seed))
	start := hash.Sum64()
	for i := range min(blocks, most) {
		p := blockAt(room, (start+i)%blocks, six)
		if !taken(p) {
			return p, true
		}
	}
	return netip.Prefix{}, false
}

// blockAt is the n-th part of a range. An IPv6 one has at most 2^16 of them.
func blockAt(room netip.Prefix, n uint64, six bool) netip.Prefix {
	if !six {
		return netip.PrefixFrom(addressAt(room, uint32(n)*prefixSize), prefixBits(false))
	}
	raw := room.Addr().As16()
	raw[8], raw[9] = raw[8]|byte(n>>8), raw[9]|byte(n)
	return netip.PrefixFrom(netip.AddrFrom16(raw), prefixBits(true))
}

// blocksInUse are the parts of a subnet that somebody has, or an address of.
func blocksInUse(t tx, subnetID string, six bool) (map[netip.Prefix]bool, error) {
	used := map[netip.Prefix]bool{}
	for row, err := range privateAddresses.In(t, t.scope).Scan(store.Query{Parts: store.ID{subnetID}}) {
		if err != nil {
			return nil, err
		}
		if address := row.first(); address.Is6() == six {
			used[blockOf(address)] = true
		}
	}
	return used, nil
}

// blockOf is the part in which an address is.
func blockOf(address netip.Addr) netip.Prefix {
	return netip.PrefixFrom(address, prefixBits(address.Is6())).Masked()
}
