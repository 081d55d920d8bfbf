package ec2

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"sync/atomic"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"miniaws/backend"
	"miniaws/backend/store"
)

// elasticIP is a public address that an account keeps until it releases it.
type elasticIP struct {
	resource
	Public string
	// Association is "" while the address belongs to no interface; then the following are too.
	Association string `json:",omitempty"`
	Interface   string `json:",omitempty"`
	Private     string `json:",omitempty"`
	// ServiceManaged is who has it besides the user: "" or nat.
	ServiceManaged string `json:",omitempty"`
	// PTR is the name that its reverse lookup answers, with a dot at the end; "" is the public name that AWS gives it.
	// PTRUpdate is the one that is to come, or ptrReset; "" once the resolver of the VPC in which the address is has it.
	PTR, PTRUpdate string `json:",omitempty"`
	// PTRWas tells that the address has, or had, such a name.
	PTRWas bool `json:",omitempty"`
}

// leave takes the address from where it is. The record is to be written.
func (a *elasticIP) leave(t tx) error {
	a.Association, a.Interface, a.Private, a.ServiceManaged = "", "", "", ""
	if a.PTRUpdate == "" {
		return nil
	}
	return wantSettled(t, a.ID) // no network is waited for any more
}

func elasticIPBase(a *elasticIP) *resource { return &a.resource }

// instanceOf is the instance behind an Elastic IP, or "".
func instanceOf(t tx, a *elasticIP) string {
	e, err := interfaces.find(t, a.Interface)
	if err != nil || e == nil || e.Attachment == nil {
		return ""
	}
	return e.Attachment.Instance
}

var elasticIPs = &kind[elasticIP]{
	prefix: "eipalloc-", typ: types.ResourceTypeElasticIp, base: elasticIPBase, notFound: errAllocationNotFound,
	table: tableOf("addresses", elasticIPBase, map[string]func(*elasticIP) []string{
		"public":      func(a *elasticIP) []string { return one(a.Public) },
		"association": func(a *elasticIP) []string { return one(a.Association) },
		"renaming": func(a *elasticIP) []string {
			if a.PTRUpdate == "" {
				return nil
			}
			return one("yes")
		},
	}),
	narrow: map[string]string{"public-ip": "public", "association-id": "association"},
	filters: filters[elasticIP]{
		"allocation-id":        func(_ tx, a *elasticIP) []string { return one(a.ID) },
		"association-id":       func(_ tx, a *elasticIP) []string { return one(a.Association) },
		"domain":               func(tx, *elasticIP) []string { return one("vpc") },
		"instance-id":          func(t tx, a *elasticIP) []string { return one(instanceOf(t, a)) },
		"network-border-group": func(t tx, _ *elasticIP) []string { return one(t.scope.Region) },
		"network-interface-id": func(_ tx, a *elasticIP) []string { return one(a.Interface) },
		"network-interface-owner-id": func(t tx, a *elasticIP) []string {
			if a.Interface == "" {
				return nil
			}
			return one(t.scope.Account)
		},
		"private-ip-address": func(_ tx, a *elasticIP) []string { return one(a.Private) },
		"public-ip":          func(_ tx, a *elasticIP) []string { return one(a.Public) },
	},
}

// publicAddress is an address of the installation's public range that somebody has. The table is global: there is one
// range for all accounts and regions.
type publicAddress struct {
	Address, Account, Region string
	Owner                    string // eipalloc-... or eni-...
}

var publicAddresses = store.NewTable(store.Spec[publicAddress]{
	Service: "ec2",
	Name:    "public-addresses",
	ID:      func(p *publicAddress) store.ID { return store.ID{p.Address} },
})

// simulatedRange is where public addresses come from if nothing real has them.
// AWS has no such range; RFC 2544 keeps it for tests of networks.
var simulatedRange = netip.MustParsePrefix("198.18.0.0/16")

// publicRange is the installation's range of public addresses, as the network said it last. It is kept for the
// installation's life, and transactions see it as it was learned before them.
type publicRange struct{ atomic.Pointer[netip.Prefix] }

// known answers the range; an invalid one where the network has not said it yet.
func (r *publicRange) known() netip.Prefix {
	if prefix := r.Load(); prefix != nil {
		return *prefix
	}
	return netip.Prefix{}
}

// learnPublicRange asks the network for the range, until it has one of its own. It waits for a network that does not
// answer: never in a transaction. Kinds: KindUnavailable.
func (s *Service) learnPublicRange(ctx context.Context) error {
	if known := s.public.known(); known.IsValid() && known != simulatedRange {
		return nil
	}
	prefix := simulatedRange
	if s.config.Network != nil {
		info, err := s.config.Network.NetworkInfo(ctx)
		if err != nil {
			return err
		}
		if info.Public.IsValid() {
			prefix = info.Public
		}
	}
	s.public.Store(&prefix)
	return nil
}

// takePublic gives an owner a free public address, or the wanted one.
func takePublic(t tx, owner string, wanted netip.Addr) (string, error) {
	prefix := t.public
	if !prefix.IsValid() {
		return "", &backend.Error{Kind: backend.KindUnavailable, Op: "take public address", Object: owner, Err: errors.New("the network has not said its range yet")}
	}
	rows := publicAddresses.In(t, store.Scope{})
	take := func(address netip.Addr) (bool, error) {
		taken, err := rows.Find(address.String())
		if err != nil || taken != nil {
			return false, err
		}
		return true, rows.Insert(&publicAddress{address.String(), t.scope.Account, t.scope.Region, owner})
	}
	if wanted.IsValid() {
		if !prefix.Contains(wanted) {
			return "", errAddressNotFound(wanted.String())
		}
		ok, err := take(wanted)
		if err == nil && !ok {
			err = errAddressNotFound(wanted.String())
		}
		return wanted.String(), err
	}
	size := sizeOf(prefix)
	// The first addresses are the bridge's own; the rest is tried from a place that follows from the owner and from now: who
	// gives an address back does not get the same again.
	const kept = 2
	if size <= kept+1 {
		return "", errInsufficientAddressCapacity()
	}
	usable := size - kept - 1
	start := hashOf(owner+t.Now().String()) % usable
	for i := range usable {
		address := addressAt(prefix, kept+(start+i)%usable)
		ok, err := take(address)
		if ok || err != nil {
			return address.String(), err
		}
	}
	return "", errInsufficientAddressCapacity()
}

func returnPublic(t tx, address string) error {
	return publicAddresses.In(t, store.Scope{}).Delete(address)
}

// assignPublic gives an interface's primary address a public one that it keeps until it stops.
func assignPublic(t tx, e *networkInterface) error {
	if e.Addresses[0].Public != "" {
		return nil
	}
	address, err := takePublic(t, e.ID, netip.Addr{})
	if err != nil {
		return err
	}
	e.Addresses[0].Public = address
	if err := interfaces.put(t, e); err != nil {
		return err
	}
	return wantNetwork(t, e.VPC)
}

// releasePublic takes away a public address that was assigned at launch; an Elastic IP stays.
func releasePublic(t tx, e *networkInterface) error {
	if e.Addresses[0].Public == "" || e.Addresses[0].Allocation != "" {
		return nil
	}
	if err := dropPublic(t, e, 0); err != nil {
		return err
	}
	if err := interfaces.put(t, e); err != nil {
		return err
	}
	return wantNetwork(t, e.VPC)
}

// dropPublic takes the public address from the i-th address of an interface, without writing the interface.
func dropPublic(t tx, e *networkInterface, i int) error {
	a := &e.Addresses[i]
	if a.Public == "" {
		return nil
	}
	if a.Allocation == "" {
		if err := returnPublic(t, a.Public); err != nil {
			return err
		}
	} else {
		eip, err := elasticIPs.find(t, a.Allocation)
		if err != nil {
			return err
		}
		if eip != nil {
			if err := errors.Join(eip.leave(t), elasticIPs.put(t, eip)); err != nil {
				return err
			}
		}
	}
	a.Public, a.Allocation, a.Association = "", "", ""
	return nil
}

// giveElastic ties an Elastic IP to the i-th address of an interface, and writes both.
func giveElastic(t tx, eip *elasticIP, e *networkInterface, i int) error {
	if err := dropPublic(t, e, i); err != nil {
		return err
	}
	eip.Association, eip.Interface, eip.Private = t.NewID("eipassoc-"), e.ID, e.Addresses[i].Private
	e.Addresses[i].Public, e.Addresses[i].Allocation, e.Addresses[i].Association = eip.Public, eip.ID, eip.Association
	if err := elasticIPs.put(t, eip); err != nil {
		return err
	}
	if err := interfaces.put(t, e); err != nil {
		return err
	}
	return wantNetwork(t, e.VPC)
}

// takeElastic takes an Elastic IP from the interface that has it.
func takeElastic(t tx, eip *elasticIP) error {
	if eip.Interface == "" {
		return nil
	}
	e, err := interfaces.get(t, eip.Interface)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(e.Addresses, func(a interfaceAddress) bool { return a.Allocation == eip.ID })
	if i < 0 {
		return errors.New("interface " + e.ID + " does not have the address of " + eip.ID)
	}
	if err := dropPublic(t, e, i); err != nil {
		return err
	}
	if err := errors.Join(eip.leave(t), interfaces.put(t, e)); err != nil {
		return err
	}
	return wantNetwork(t, e.VPC)
}

// AllocateAddress gives the account a public address, which is for VPCs whatever Domain says: since EC2-Classic has gone AWS
// takes any value, and older clients (Ansible) still say "standard".
func (s *Service) AllocateAddress(ctx context.Context, in *ec2.AllocateAddressInput) (*ec2.AllocateAddressOutput, error) {
	if err := unsupported("AllocateAddress", "CustomerOwnedIpv4Pool", in.CustomerOwnedIpv4Pool, "IpamPoolId", in.IpamPoolId); err != nil {
		return nil, err
	}
	if pool := aws.ToString(in.PublicIpv4Pool); pool != "" && pool != "amazon" {
		return nil, errNotImplemented("A public IPv4 pool of one's own")
	}
	if group := aws.ToString(in.NetworkBorderGroup); group != "" && group != scopeOf(ctx).Region {
		return nil, errInvalidParameterValue("Invalid network border group: %s", group)
	}
	tags, err := tagsOnCreate(in.TagSpecifications, types.ResourceTypeElasticIp)
	if err != nil {
		return nil, err
	}
	var wanted netip.Addr
	if aws.ToString(in.Address) != "" {
		if wanted, err = parseAddress(*in.Address); err != nil {
			return nil, err
		}
	}
	if err := s.learnPublicRange(ctx); err != nil {
		return nil, err
	}
	out := &ec2.AllocateAddressOutput{Domain: types.DomainTypeVpc, PublicIpv4Pool: aws.String("amazon"), NetworkBorderGroup: aws.String(scopeOf(ctx).Region)}
	return out, s.update(ctx, func(t tx) error {
		eip := &elasticIP{resource: resource{ID: t.NewID("eipalloc-"), Tags: tags}}
		var err error
		if eip.Public, err = takePublic(t, eip.ID, wanted); err != nil {
			return err
		}
		out.AllocationId, out.PublicIp = aws.String(eip.ID), aws.String(eip.Public)
		return elasticIPs.insert(t, eip)
	})
}

// findElastic answers the address with an allocation id or a public address.
func findElastic(t tx, allocation, public *string) (*elasticIP, error) {
	switch {
	case aws.ToString(allocation) != "":
		return elasticIPs.get(t, *allocation)
	case aws.ToString(public) != "":
		return elasticByPublic(t, *public)
	default:
		return nil, errMissingParameter("allocationId")
	}
}

func elasticByPublic(t tx, public string) (*elasticIP, error) {
	eip, err := elasticIPs.in(t).Index("public").Find(public)
	if err == nil && eip == nil {
		err = errAddressNotFound(public)
	}
	return eip, err
}

// AssociateAddress ties an address to an interface's private address, or to an instance's primary one. The address moves
// from where it is, if that is allowed.
func (s *Service) AssociateAddress(ctx context.Context, in *ec2.AssociateAddressInput) (*ec2.AssociateAddressOutput, error) {
	out := &ec2.AssociateAddressOutput{}
	switch {
	case aws.ToString(in.AllocationId) == "" && aws.ToString(in.PublicIp) == "":
		return nil, errMissingAddress()
	case aws.ToString(in.AllocationId) != "" && aws.ToString(in.PublicIp) != "":
		return nil, errInvalidParameterCombination("You may specify public IP or allocation id, but not both in the same call")
	case aws.ToString(in.InstanceId) == "" && aws.ToString(in.NetworkInterfaceId) == "":
		return nil, errMissingAddressTarget()
	}
	return out, s.update(ctx, func(t tx) error {
		eip, err := findElastic(t, in.AllocationId, in.PublicIp)
		if err != nil {
			return err
		}
		e, err := addressTarget(t, in)
		if err != nil {
			return err
		}
		i := 0
		if private := aws.ToString(in.PrivateIpAddress); private != "" {
			if i = e.find(private); i < 0 {
				return errInvalidParameterValue("The private IP address %s is not assigned to network interface %s.", private, e.ID)
			}
		}
		gateway, err := internetGateways.any(t, "vpc", e.VPC)
		if err != nil {
			return err
		}
		if !gateway {
			return errGatewayNotAttachedToNetwork(e.VPC)
		}
		// AWS: "AssociateAddress" in the API reference: reassociation is automatic, false lets it fail.
		may := in.AllowReassociation == nil || *in.AllowReassociation
		same := eip.Interface == e.ID && eip.Private == e.Addresses[i].Private
		if same {
			out.AssociationId = aws.String(eip.Association)
			return nil
		}
		if eip.ServiceManaged != "" {
			return errAuthFailure("You do not have permission to access the specified resource.")
		}
		if eip.Association != "" && !may {
			return errResourceAlreadyAssociated("resource %s is already associated with associate-id %s", eip.ID, eip.Association)
		}
		if other := e.Addresses[i].Allocation; other != "" && !may {
			return errResourceAlreadyAssociated("resource %s is already associated with associate-id %s", e.ID, e.Addresses[i].Association)
		}
		if err := takeElastic(t, eip); err != nil {
			return err
		}
		if e, err = interfaces.get(t, e.ID); err != nil { // it may have been the one that had it
			return err
		}
		if err := giveElastic(t, eip, e, i); err != nil {
			return err
		}
		out.AssociationId = aws.String(eip.Association)
		return nil
	})
}

// addressTarget finds the interface that a call means. Both an interface and an instance are no error: the interface says
// which one of the instance's is meant, and one of somebody else's says nothing.
// AWS: "AssociateAddress" wants one of the two; Terraform's provider, under aws_eip: AWS does not refuse both. Its tests
// TestAccEC2EIP_association and TestAccEC2EIP_Instance_associatedUserPrivateIP name an instance beside the interface of another.
func addressTarget(t tx, in *ec2.AssociateAddressInput) (*networkInterface, error) {
	id := aws.ToString(in.NetworkInterfaceId)
	if aws.ToString(in.InstanceId) == "" {
		return interfaces.get(t, id)
	}
	if _, err := liveInstance(t, *in.InstanceId); err != nil {
		return nil, err
	}
	list, err := interfacesOf(t, *in.InstanceId)
	named := slices.IndexFunc(list, func(e *networkInterface) bool { return e.ID == id })
	switch {
	case err != nil:
		return nil, err
	case named >= 0:
		return list[named], nil
	case len(list) == 0:
		return nil, errInvalidInstanceID("Instance '%s' has no network interface.", *in.InstanceId)
	case len(list) > 1:
		return nil, errInvalidInstanceID("There are multiple interfaces attached to instance '%s'. Please specify an interface ID for the operation instead.", *in.InstanceId)
	}
	return list[0], nil
}

// DisassociateAddress takes an address from the interface that has it. The account keeps it.
func (s *Service) DisassociateAddress(ctx context.Context, in *ec2.DisassociateAddressInput) (*ec2.DisassociateAddressOutput, error) {
	return &ec2.DisassociateAddressOutput{}, s.update(ctx, func(t tx) error {
		var eip *elasticIP
		var err error
		switch id := aws.ToString(in.AssociationId); {
		case id != "":
			if eip, err = elasticIPs.in(t).Index("association").Find(id); err == nil && eip == nil {
				return errAssociationNotFound(id)
			}
		case aws.ToString(in.PublicIp) != "":
			eip, err = elasticByPublic(t, *in.PublicIp)
		default:
			return errMissingParameter("associationId")
		}
		if err != nil {
			return err
		}
		if eip.ServiceManaged != "" {
			return errAuthFailure("You do not have permission to access the specified resource.")
		}
		if err := takeElastic(t, eip); err != nil {
			return err
		}
		return elasticIPs.put(t, eip)
	})
}

// ReleaseAddress gives an address back. It must not be in use.
func (s *Service) ReleaseAddress(ctx context.Context, in *ec2.ReleaseAddressInput) (*ec2.ReleaseAddressOutput, error) {
	return &ec2.ReleaseAddressOutput{}, s.update(ctx, func(t tx) error {
		eip, err := findElastic(t, in.AllocationId, in.PublicIp)
		if err != nil {
			return err
		}
		if eip.Association != "" {
			return errAddressInUseByResource(eip.Public)
		}
		if err := returnPublic(t, eip.Public); err != nil {
			return err
		}
		if err := addressTransfers.In(t, t.scope).Delete(eip.ID); err != nil {
			return err
		}
		return elasticIPs.delete(t, eip.ID)
	})
}

// DescribeAddresses lists the account's addresses. It has no pages.
func (s *Service) DescribeAddresses(ctx context.Context, in *ec2.DescribeAddressesInput) (*ec2.DescribeAddressesOutput, error) {
	ids := slices.Clone(in.AllocationIds)
	if len(in.PublicIps) > 0 {
		err := s.view(ctx, func(t tx) error {
			ids = slices.Clone(in.AllocationIds)
			for _, public := range in.PublicIps {
				eip, err := elasticByPublic(t, public)
				if err != nil {
					return err
				}
				ids = append(ids, eip.ID)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	list, _, err := describe(ctx, s, elasticIPs, query{ids: ids, filters: in.Filters}, elasticIPToAPI)
	return &ec2.DescribeAddressesOutput{Addresses: list}, err
}

func elasticIPToAPI(t tx, a *elasticIP) (types.Address, error) {
	shown := types.Address{
		AllocationId: aws.String(a.ID), PublicIp: aws.String(a.Public), Domain: types.DomainTypeVpc, PublicIpv4Pool: aws.String("amazon"),
		NetworkBorderGroup: aws.String(t.scope.Region), Tags: withHostEndpoints(t, tagsToAPI(t, a.Tags), a.Public), AssociationId: optional(a.Association),
		NetworkInterfaceId: optional(a.Interface), PrivateIpAddress: optional(a.Private), InstanceId: optional(instanceOf(t, a)),
	}
	if a.Interface != "" {
		shown.NetworkInterfaceOwnerId = aws.String(t.scope.Account)
	}
	return shown, nil
}
