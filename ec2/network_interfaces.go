package ec2

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"miniaws/backend/store"
)

// networkInterface is an elastic network interface.
//
//	pending ──confirmed──▶ available ──attach──▶ in-use (attachment: attaching ──wired──▶ attached)
//	                           ▲                    │ detach (attachment: detaching)
//	                           └────────────────────┘
type networkInterface struct {
	resource
	VPC, Subnet, Zone string
	Description       string `json:",omitempty"`
	MAC               string
	// Type is interface, nat_gateway, vpc_endpoint and so on.
	Type types.NetworkInterfaceType
	// Pending until the network that holds it was confirmed.
	Pending bool `json:",omitempty"`
	// Addresses are the IPv4 ones, the primary first.
	Addresses []interfaceAddress
	IPv6      []string `json:",omitempty"`
	// PrimaryIPv6 tells that the first IPv6 address is to stay.
	PrimaryIPv6 bool `json:",omitempty"`
	// Prefixes and IPv6Prefixes are parts of the subnet's ranges that are the interface's whole.
	Prefixes        []string `json:",omitempty"`
	IPv6Prefixes    []string `json:",omitempty"`
	Groups          []string `json:",omitempty"`
	SourceDestCheck bool
	Attachment      *attachment `json:",omitempty"`
	// Requester is who manages the interface for the user, such as a NAT gateway; "" for the user.
	Requester string `json:",omitempty"`
}

// interfaceAddress is a private address, and the public one that belongs to it.
type interfaceAddress struct {
	Private string
	// Public is set with an Elastic IP (then Allocation and Association are too) or one assigned at launch.
	Public      string `json:",omitempty"`
	Allocation  string `json:",omitempty"`
	Association string `json:",omitempty"`
}

// attachment ties an interface to an instance, or to what manages it (then Instance is "").
type attachment struct {
	ID                  string
	Instance            string `json:",omitempty"`
	Owner               string // account, or AWS's name of the service
	DeviceIndex         int32
	Status              types.AttachmentStatus
	AttachTime          time.Time
	DeleteOnTermination bool `json:",omitempty"`
	// HopLimit is the instance's for answers with tokens of the metadata service; 0 is 1.
	HopLimit int32 `json:",omitempty"`
	// MetadataIPv6 tells that the instance asks for metadata by IPv6 too.
	MetadataIPv6 bool `json:",omitempty"`
}

func (e *networkInterface) vpc() string { return e.VPC }

// gatewayInterface tells whether interfaces of the type stand for a gateway: no device is theirs alone.
func gatewayInterface(typ types.NetworkInterfaceType) bool {
	return typ == natInterface || typ == transitInterface
}

func (e *networkInterface) ofGateway() bool { return gatewayInterface(e.Type) }

// private is the primary private address.
func (e *networkInterface) private() string { return e.Addresses[0].Private }

func (e *networkInterface) publicAddresses() []string {
	var list []string
	for _, a := range e.Addresses {
		list = append(list, one(a.Public)...)
	}
	return list
}

func (e *networkInterface) status() types.NetworkInterfaceStatus {
	switch {
	case e.Attachment != nil:
		return types.NetworkInterfaceStatusInUse
	case e.Pending:
		return "pending" // AWS answers it, the SDK's list does not have it
	default:
		return types.NetworkInterfaceStatusAvailable
	}
}

func interfaceBase(e *networkInterface) *resource { return &e.resource }

// addressesWith makes a filter's function of one that answers an address's value.
func addressesWith(value func(tx, *networkInterface, int) string) func(tx, *networkInterface) []string {
	return func(t tx, e *networkInterface) []string {
		var values []string
		for i := range e.Addresses {
			values = append(values, one(value(t, e, i))...)
		}
		return values
	}
}

// attachedWith makes a filter's function of one that answers the attachment's value.
func attachedWith(value func(*attachment) string) func(tx, *networkInterface) []string {
	return func(_ tx, e *networkInterface) []string {
		if e.Attachment == nil {
			return nil
		}
		return one(value(e.Attachment))
	}
}

var interfaces = &kind[networkInterface]{
	prefix: "eni-", typ: types.ResourceTypeNetworkInterface, base: interfaceBase,
	notFound: errInterfaceNotFound, malformed: errInterfaceMalformed,
	table: tableOf("network-interfaces", interfaceBase, map[string]func(*networkInterface) []string{
		"vpc":    func(e *networkInterface) []string { return one(e.VPC) },
		"subnet": func(e *networkInterface) []string { return one(e.Subnet) },
		"group":  func(e *networkInterface) []string { return e.Groups },
		"instance": func(e *networkInterface) []string {
			if e.Attachment == nil {
				return nil
			}
			return one(e.Attachment.Instance)
		},
		"attachment": func(e *networkInterface) []string {
			if e.Attachment == nil {
				return nil
			}
			return one(e.Attachment.ID)
		},
		"private": func(e *networkInterface) []string {
			return addressesWith(func(_ tx, e *networkInterface, i int) string { return e.Addresses[i].Private })(tx{}, e)
		},
		"public": func(e *networkInterface) []string { return e.publicAddresses() },
	}),
	narrow: map[string]string{
		"vpc-id": "vpc", "subnet-id": "subnet", "group-id": "group", "attachment.instance-id": "instance", "attachment.attachment-id": "attachment",
		"private-ip-address": "private", "addresses.private-ip-address": "private", "association.public-ip": "public", "addresses.association.public-ip": "public",
	},
	filters: filters[networkInterface]{
		"addresses.association.owner-id":   addressesWith(func(t tx, e *networkInterface, i int) string { return e.Addresses[i].owner(t) }),
		"addresses.association.public-ip":  addressesWith(func(_ tx, e *networkInterface, i int) string { return e.Addresses[i].Public }),
		"addresses.primary":                addressesWith(func(_ tx, _ *networkInterface, i int) string { return strconv.FormatBool(i == 0) }),
		"addresses.private-ip-address":     addressesWith(func(_ tx, e *networkInterface, i int) string { return e.Addresses[i].Private }),
		"association.allocation-id":        addressesWith(func(_ tx, e *networkInterface, i int) string { return e.Addresses[i].Allocation }),
		"association.association-id":       addressesWith(func(_ tx, e *networkInterface, i int) string { return e.Addresses[i].Association }),
		"association.ip-owner-id":          addressesWith(func(t tx, e *networkInterface, i int) string { return e.Addresses[i].owner(t) }),
		"association.public-ip":            addressesWith(func(_ tx, e *networkInterface, i int) string { return e.Addresses[i].Public }),
		"association.public-dns-name":      addressesWith(func(t tx, e *networkInterface, i int) string { return publicName(t, e.VPC, e.Addresses[i].Public) }),
		"attachment.attach-time":           attachedWith(func(a *attachment) string { return a.AttachTime.UTC().Format("2006-01-02T15:04:05.000Z") }),
		"attachment.attachment-id":         attachedWith(func(a *attachment) string { return a.ID }),
		"attachment.delete-on-termination": attachedWith(func(a *attachment) string { return strconv.FormatBool(a.DeleteOnTermination) }),
		"attachment.device-index":          attachedWith(func(a *attachment) string { return strconv.Itoa(int(a.DeviceIndex)) }),
		"attachment.instance-id":           attachedWith(func(a *attachment) string { return a.Instance }),
		"attachment.instance-owner-id":     attachedWith(func(a *attachment) string { return a.Owner }),
		"attachment.status":                attachedWith(func(a *attachment) string { return string(a.Status) }),
		"availability-zone":                func(_ tx, e *networkInterface) []string { return one(e.Zone) },
		"availability-zone-id":             func(t tx, e *networkInterface) []string { return one(zoneID(t, e.Zone)) },
		"operator.managed":                 func(tx, *networkInterface) []string { return yesNo(false) },
		"operator.principal":               func(tx, *networkInterface) []string { return nil },
		"description":                      func(_ tx, e *networkInterface) []string { return one(e.Description) },
		"group-id":                         func(_ tx, e *networkInterface) []string { return e.Groups },
		"group-name": func(t tx, e *networkInterface) []string {
			var names []string
			for _, id := range e.Groups {
				g, err := securityGroups.find(t, id)
				if t.fail(err); g != nil {
					names = append(names, g.Name)
				}
			}
			return names
		},
		"interface-type":              func(_ tx, e *networkInterface) []string { return one(string(e.Type)) },
		"ipv6-addresses.ipv6-address": func(_ tx, e *networkInterface) []string { return e.IPv6 },
		"mac-address":                 func(_ tx, e *networkInterface) []string { return one(e.MAC) },
		"network-interface-id":        func(_ tx, e *networkInterface) []string { return one(e.ID) },
		"owner-id":                    func(t tx, _ *networkInterface) []string { return one(t.scope.Account) },
		"private-dns-name":            func(t tx, e *networkInterface) []string { return one(privateName(t, e.private())) },
		"private-ip-address":          addressesWith(func(_ tx, e *networkInterface, i int) string { return e.Addresses[i].Private }),
		"requester-id":                func(_ tx, e *networkInterface) []string { return one(e.Requester) },
		"requester-managed":           func(_ tx, e *networkInterface) []string { return yesNo(e.Requester != "") },
		"source-dest-check":           func(_ tx, e *networkInterface) []string { return yesNo(e.SourceDestCheck) },
		"status":                      func(_ tx, e *networkInterface) []string { return one(string(e.status())) },
		"subnet-id":                   func(_ tx, e *networkInterface) []string { return one(e.Subnet) },
		"vpc-id":                      func(_ tx, e *networkInterface) []string { return one(e.VPC) },
	},
}

// newMAC is a random local unicast address, with the first byte that AWS's have.
func newMAC() string {
	var b [5]byte
	_, _ = rand.Read(b[:]) // never fails
	return fmt.Sprintf("0a:%02x:%02x:%02x:%02x:%02x", b[0], b[1], b[2], b[3], b[4])
}

// removeInterface gives everything back that an interface has and deletes it.
func removeInterface(t tx, e *networkInterface) error {
	for i := range e.Addresses {
		if err := dropPublic(t, e, i); err != nil {
			return err
		}
		if err := freeAddress(t, e.Subnet, e.Addresses[i].Private); err != nil {
			return err
		}
	}
	for _, own := range slices.Concat(e.IPv6, e.Prefixes, e.IPv6Prefixes) {
		if err := freeAddress(t, e.Subnet, own); err != nil {
			return err
		}
	}
	if err := removeFlowLogsOf(t, e.ID); err != nil {
		return err
	}
	if err := interfaces.delete(t, e.ID); err != nil {
		return err
	}
	return wantNetwork(t, e.VPC)
}

// attachInterface ties a free interface to an instance. The reconciler wires it and says when it is attached.
func attachInterface(t tx, e *networkInterface, to *instance, index int32, deleteOnTermination bool) error {
	instance := to.ID
	if e.Attachment != nil {
		return errInterfaceInUse(e.ID)
	}
	others, err := interfaces.by(t, "instance", instance)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(others, func(o *networkInterface) bool { return o.Attachment.DeviceIndex == index }) {
		return errInvalidParameterValue("Instance '%s' already has an interface attached at device index '%d'.", instance, index)
	}
	if typ, ok := instanceTypes().findCached(string(to.Type)); ok {
		if len(others) >= int(aws.ToInt32(typ.NetworkInfo.MaximumNetworkInterfaces)) {
			return errInterfacesOfInstance(len(others)+1, to.Type)
		}
		if err := e.fits(typ); err != nil {
			return err
		}
	}
	e.Attachment = &attachment{
		ID: t.NewID("eni-attach-"), Instance: instance, Owner: t.scope.Account, DeviceIndex: index,
		HopLimit: to.Metadata.HopLimit, MetadataIPv6: to.metadataByIPv6(), Status: types.AttachmentStatusAttaching, AttachTime: t.Now().UTC().Truncate(time.Second), DeleteOnTermination: deleteOnTermination,
	}
	if err := interfaces.put(t, e); err != nil {
		return err
	}
	return wantNetwork(t, e.VPC)
}

// interfacesOf answers an instance's interfaces, in the order of their device indexes.
func interfacesOf(t tx, instance string) ([]*networkInterface, error) {
	list, err := interfaces.by(t, "instance", instance)
	slices.SortFunc(list, byDevice)
	return list, err
}

// seenInterfacesOf is interfacesOf for those who only read.
func seenInterfacesOf(t tx, instance string) ([]*networkInterface, error) {
	list, err := interfaces.seen(t, "instance", instance)
	slices.SortFunc(list, byDevice)
	return list, err
}

// seenInterfacesOfAll answers those of every instance of the list, by its id. Of many they are read in one go.
func seenInterfacesOfAll(t tx, list []*instance) (map[string][]*networkInterface, error) {
	wired := make(map[string][]*networkInterface, len(list))
	const few = 20
	if len(list) <= few {
		for _, i := range list {
			var err error
			if wired[i.ID], err = seenInterfacesOf(t, i.ID); err != nil {
				return nil, err
			}
		}
		return wired, nil
	}
	for e, err := range interfaces.in(t).Shared(store.Query{}) {
		if err != nil {
			return nil, err
		}
		if e.Attachment != nil && e.Attachment.Instance != "" {
			wired[e.Attachment.Instance] = append(wired[e.Attachment.Instance], e)
		}
	}
	for _, all := range wired {
		slices.SortFunc(all, byDevice)
	}
	return wired, nil
}

func byDevice(a, b *networkInterface) int {
	return int(a.Attachment.DeviceIndex - b.Attachment.DeviceIndex)
}

// releaseInterfaces ends what an instance that is gone has: interfaces die with it or become available.
func releaseInterfaces(t tx, instance string) error {
	list, err := interfacesOf(t, instance)
	if err != nil {
		return err
	}
	for _, e := range list {
		if e.Attachment.DeleteOnTermination {
			if err := removeInterface(t, e); err != nil {
				return err
			}
			continue
		}
		for i, a := range e.Addresses {
			if a.Allocation == "" {
				if err := dropPublic(t, e, i); err != nil {
					return err
				}
			}
		}
		e.Attachment, e.PrimaryIPv6 = nil, false
		if err := interfaces.put(t, e); err != nil {
			return err
		}
		if err := wantNetwork(t, e.VPC); err != nil {
			return err
		}
	}
	return nil
}

// CreateNetworkInterface makes an interface in a subnet.
func (s *Service) CreateNetworkInterface(ctx context.Context, in *ec2.CreateNetworkInterfaceInput) (*ec2.CreateNetworkInterfaceOutput, error) {
	if err := unsupported("CreateNetworkInterface", "ConnectionTrackingSpecification", in.ConnectionTrackingSpecification,
		"InterfaceType", strings.TrimPrefix(string(in.InterfaceType), "interface"), "Operator", in.Operator); err != nil {
		return nil, err
	}
	tags, err := tagsOnCreate(in.TagSpecifications, types.ResourceTypeNetworkInterface)
	if err != nil {
		return nil, err
	}
	spec := interfaceSpec{
		subnet: aws.ToString(in.SubnetId), description: aws.ToString(in.Description), groups: in.Groups, tags: tags, primaryIPv6: aws.ToBool(in.EnablePrimaryIpv6),
	}
	if err := spec.count(in.SecondaryPrivateIpAddressCount, in.Ipv6AddressCount); err != nil {
		return nil, err
	}
	if spec.addresses, err = wantedAddresses(in.PrivateIpAddress, in.PrivateIpAddresses); err != nil {
		return nil, err
	}
	if spec.ipv6, err = wantedIPv6(in.Ipv6Addresses, in.Ipv6AddressCount); err != nil {
		return nil, err
	}
	if err := spec.delegate(in.Ipv4Prefixes, in.Ipv4PrefixCount, in.Ipv6Prefixes, in.Ipv6PrefixCount); err != nil {
		return nil, err
	}
	out := &ec2.CreateNetworkInterfaceOutput{ClientToken: in.ClientToken}
	return out, s.update(ctx, func(t tx) error {
		e, err := interfaces.makeOnce(t, "CreateNetworkInterface", in.ClientToken, in, func() (string, error) {
			e, err := createInterface(t, spec)
			if err != nil {
				return "", err
			}
			return e.ID, nil
		})
		if err != nil {
			return err
		}
		shown, err := interfaceToAPI(t, e)
		out.NetworkInterface = &shown
		return err
	})
}

func parseAddress(text string) (netip.Addr, error) {
	address, err := netip.ParseAddr(text)
	if err != nil {
		return address, errInvalidParameterValue("Value (%s) for parameter address is invalid. Invalid IP address.", text)
	}
	return address, nil
}

// DescribeNetworkInterfaces lists interfaces.
func (s *Service) DescribeNetworkInterfaces(ctx context.Context, in *ec2.DescribeNetworkInterfacesInput) (*ec2.DescribeNetworkInterfacesOutput, error) {
	list, next, err := describe(ctx, s, interfaces, query{in.NetworkInterfaceIds, "networkInterfaceIds", in.Filters, in.MaxResults, in.NextToken}, interfaceToAPI)
	return &ec2.DescribeNetworkInterfacesOutput{NetworkInterfaces: list, NextToken: next}, err
}

// DeleteNetworkInterface removes an interface that is not attached.
func (s *Service) DeleteNetworkInterface(ctx context.Context, in *ec2.DeleteNetworkInterfaceInput) (*ec2.DeleteNetworkInterfaceOutput, error) {
	return &ec2.DeleteNetworkInterfaceOutput{}, s.update(ctx, func(t tx) error {
		e, err := interfaces.get(t, aws.ToString(in.NetworkInterfaceId))
		if err != nil {
			return err
		}
		if e.Attachment != nil {
			return errInvalidParameterValue("Network interface '%s' is currently in use.", e.ID)
		}
		return removeInterface(t, e)
	})
}
