package ec2

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"miniaws/backend"
	"miniaws/backend/store"
)

// networkPlan is the network side of a launch: what each of its instances gets.
type networkPlan struct {
	subnet     *subnet // of the primary interface
	interfaces []plannedInterface
}

// plannedInterface is an interface to be made, or an existing one.
type plannedInterface struct {
	spec interfaceSpec
	// existing is the id of an interface that is there already.
	existing string
	index    int32
	// public is AssociatePublicIpAddress; nil leaves it to the subnet.
	public      *bool
	deleteOnEnd bool
}

// planNetwork finds out where instances go.
func (s *Service) planNetwork(t tx, l *launch) (*networkPlan, error) {
	in := l.in
	if len(in.NetworkInterfaces) > 0 {
		switch {
		case in.SubnetId != nil:
			return nil, errInvalidParameterCombination("Network interfaces and an instance-level subnet ID may not be specified on the same request")
		case len(in.SecurityGroupIds) > 0 || len(in.SecurityGroups) > 0:
			return nil, errInvalidParameterCombination("Network interfaces and an instance-level security groups may not be specified on the same request")
		case len(in.Ipv6Addresses) > 0 || in.Ipv6AddressCount != nil:
			return nil, errInvalidParameterCombination("Network interfaces and an instance-level IPv6 addresses may not be specified on the same request")
		case in.PrivateIpAddress != nil:
			return nil, errInvalidParameterCombination("Network interfaces and an instance-level private address may not be specified on the same request")
		}
		return s.planInterfaces(t, l)
	}
	n, err := s.launchSubnet(t, l, aws.ToString(in.SubnetId))
	if err != nil {
		return nil, err
	}
	groups, err := launchGroups(t, n.VPC, in.SecurityGroupIds, in.SecurityGroups)
	if err != nil {
		return nil, err
	}
	addresses, err := wantedAddresses(in.PrivateIpAddress, nil)
	if err != nil {
		return nil, err
	}
	spec := interfaceSpec{subnet: n.ID, groups: groups, addresses: addresses, tags: l.interfaceTags, launched: in.SubnetId != nil, primaryIPv6: aws.ToBool(in.EnablePrimaryIpv6)}
	if err := spec.count(nil, in.Ipv6AddressCount); err != nil {
		return nil, err
	}
	if spec.ipv6, err = wantedIPv6(in.Ipv6Addresses, in.Ipv6AddressCount); err != nil {
		return nil, err
	}
	if len(spec.ipv6) > 0 && l.max > 1 {
		return nil, errInvalidParameterCombination("The parameter Ipv6Addresses cannot be specified when launching more than one instance")
	}
	return &networkPlan{n, []plannedInterface{{spec: spec, deleteOnEnd: true}}}, nil
}

// room is how many of at most that many instances the free addresses of the plan's subnets are enough for. Fewer than the
// least fail as they are made.
// AWS: "RunInstances" in the API reference, MaxCount: the largest possible number above the minimum count.
func (p *networkPlan) room(t tx, least, most int32) (int32, error) {
	each := map[string]int{} // addresses that an instance takes, by subnet
	for _, planned := range p.interfaces {
		if planned.existing == "" {
			each[planned.spec.subnet] += max(len(planned.spec.addresses), 1) + planned.spec.more + planned.spec.prefixes.size()*prefixSize
		}
	}
	for id, takes := range each {
		n, err := subnets.get(t, id)
		if err != nil {
			return 0, err
		}
		free, err := freeAddresses(t, n)
		if err != nil {
			return 0, err
		}
		most = min(most, int32(free/takes))
	}
	return max(least, most), nil
}

// launchSubnet answers the subnet that is named, or a default one in a zone that the call allows and that has the type.
func (s *Service) launchSubnet(t tx, l *launch, id string) (*subnet, error) {
	zoneWanted := ""
	if p := l.in.Placement; p != nil {
		zoneWanted = aws.ToString(p.AvailabilityZone)
		if zoneWanted == "" {
			zoneWanted = aws.ToString(p.AvailabilityZoneId)
		}
	}
	if target := l.capacity.Target; target != "" && zoneWanted == "" && id == "" {
		r, err := capacityReservations.get(t, target)
		if err != nil {
			return nil, err
		}
		zoneWanted = r.Zone // where else could it run
	}
	typ := string(l.typ.InstanceType)
	if id != "" {
		n, err := subnets.get(t, id)
		switch {
		case err != nil:
			return nil, err
		case zoneWanted != "" && zoneWanted != n.Zone && zoneWanted != n.ZoneID:
			return nil, errInvalidParameterValue("The availability zone '%s' of the specified subnet does not match the availability zone '%s' of the placement.", n.Zone, zoneWanted)
		case !instanceTypes().offeredIn(typ, n.Zone):
			return nil, errTypeNotOffered(typ, n.Zone)
		}
		return n, nil
	}
	if zoneWanted != "" {
		z, err := findZone(t.scope.Region, zoneWanted)
		if err != nil {
			return nil, errNoSuchZone(zoneWanted)
		}
		if !instanceTypes().offeredIn(typ, z.name) {
			return nil, errTypeNotOffered(typ, z.name)
		}
		zoneWanted = z.name
	}
	v, err := vpcOrDefault(t, "")
	if err != nil {
		return nil, err
	}
	list, err := subnets.by(t, "vpc", v.ID)
	if err != nil {
		return nil, err
	}
	var best *subnet
	for _, n := range list {
		if n.Default && (zoneWanted == "" || n.Zone == zoneWanted) && instanceTypes().offeredIn(typ, n.Zone) && (best == nil || n.Zone < best.Zone) {
			best = n
		}
	}
	switch {
	case best != nil:
		return best, nil
	case zoneWanted != "":
		return nil, errNoDefaultSubnet(zoneWanted)
	default:
		return nil, errUnsupported("Your requested instance type (%s) is not supported in your requested region (%s).", typ, t.scope.Region)
	}
}

// launchGroups answers the ids of groups that are named either way; none leaves the VPC's default group.
func launchGroups(t tx, vpcID string, ids, names []string) ([]string, error) {
	groups := append([]string{}, ids...)
	for _, name := range names {
		g, err := groupByName(t, vpcID, name)
		if err != nil {
			return nil, err
		}
		groups = append(groups, g.ID)
	}
	return groups, nil
}

// planInterfaces is the plan of a call that describes its interfaces.
func (s *Service) planInterfaces(t tx, l *launch) (*networkPlan, error) {
	plan := &networkPlan{}
	used := map[int32]bool{}
	for _, in := range l.in.NetworkInterfaces {
		if err := unsupported("NetworkInterface", "AssociateCarrierIpAddress", in.AssociateCarrierIpAddress, "NetworkCardIndex", in.NetworkCardIndex,
			"ConnectionTrackingSpecification", in.ConnectionTrackingSpecification,
			"EnaSrdSpecification", in.EnaSrdSpecification, "EnaQueueCount", in.EnaQueueCount); err != nil {
			return nil, err
		}
		if kind := aws.ToString(in.InterfaceType); kind != "" && kind != "interface" {
			return nil, errNotImplemented("A network interface of the type " + kind)
		}
		if in.DeviceIndex == nil {
			return nil, errMissingParameter("NetworkInterface.DeviceIndex")
		}
		p := plannedInterface{index: *in.DeviceIndex, public: in.AssociatePublicIpAddress, existing: aws.ToString(in.NetworkInterfaceId)}
		if used[p.index] {
			return nil, errInvalidParameterValue("Each network interface requires a unique device index.")
		}
		used[p.index] = true
		var n *subnet
		var err error
		if p.existing != "" {
			if l.max > 1 {
				return nil, errInvalidParameterCombination("The parameter NetworkInterfaceId cannot be specified when launching more than one instance")
			}
			e, err := interfaces.get(t, p.existing)
			if err != nil {
				return nil, err
			}
			if e.Attachment != nil {
				return nil, errInterfaceInUse(e.ID)
			}
			if n, err = subnets.get(t, e.Subnet); err != nil {
				return nil, err
			}
			p.deleteOnEnd = aws.ToBool(in.DeleteOnTermination)
		} else {
			if n, err = s.launchSubnet(t, l, aws.ToString(in.SubnetId)); err != nil {
				return nil, err
			}
			p.deleteOnEnd = in.DeleteOnTermination == nil || *in.DeleteOnTermination
			p.spec = interfaceSpec{
				subnet: n.ID, description: aws.ToString(in.Description), groups: in.Groups, tags: l.interfaceTags,
				launched: in.SubnetId != nil, primaryIPv6: aws.ToBool(in.PrimaryIpv6) || aws.ToBool(l.in.EnablePrimaryIpv6),
			}
			if err := p.spec.count(in.SecondaryPrivateIpAddressCount, in.Ipv6AddressCount); err != nil {
				return nil, err
			}
			if p.spec.addresses, err = wantedAddresses(in.PrivateIpAddress, in.PrivateIpAddresses); err != nil {
				return nil, err
			}
			if p.spec.ipv6, err = wantedIPv6(in.Ipv6Addresses, in.Ipv6AddressCount); err != nil {
				return nil, err
			}
			if err := p.spec.delegate(in.Ipv4Prefixes, in.Ipv4PrefixCount, in.Ipv6Prefixes, in.Ipv6PrefixCount); err != nil {
				return nil, err
			}
		}
		if p.index == 0 {
			plan.subnet = n
		}
		plan.interfaces = append(plan.interfaces, p)
	}
	if plan.subnet == nil {
		return nil, errInvalidParameterValue("When specifying network interfaces, you must include a device at index 0.")
	}
	if most := aws.ToInt32(l.typ.NetworkInfo.MaximumNetworkInterfaces); int32(len(plan.interfaces)) > most {
		return nil, errInterfacesOfInstance(len(plan.interfaces), l.typ.InstanceType)
	}
	if len(plan.interfaces) > 1 {
		for _, p := range plan.interfaces {
			if aws.ToBool(p.public) {
				return nil, errInvalidParameterCombination("The associatePublicIPAddress parameter cannot be specified when launching with multiple network interfaces.")
			}
		}
	}
	return plan, nil
}

// plugIn makes and attaches an instance's interfaces.
func (s *Service) plugIn(t tx, inst *instance, plan *networkPlan) error {
	inst.VPC, inst.Subnet, inst.Zone, inst.ZoneID = plan.subnet.VPC, plan.subnet.ID, plan.subnet.Zone, plan.subnet.ZoneID
	for _, p := range plan.interfaces {
		var e *networkInterface
		var err error
		if p.existing != "" {
			e, err = interfaces.get(t, p.existing)
		} else {
			spec := p.spec
			spec.tags = maps.Clone(spec.tags)
			e, err = createInterface(t, spec)
		}
		if err != nil {
			return err
		}
		if p.index == 0 {
			inst.PrivateIP = e.private()
		}
		if err := attachInterface(t, e, inst, p.index, p.deleteOnEnd); err != nil {
			return err
		}
		n, err := subnets.get(t, e.Subnet)
		if err != nil {
			return err
		}
		if public := p.public; public != nil && *public || public == nil && n.MapPublic && len(plan.interfaces) == 1 {
			inst.PublicIndex = p.index + 1
		}
	}
	return assignPublicOf(t, inst)
}

// releasePublicOf takes the public address away that an instance got when it was launched or started; the caller writes
// the instance.
//
// AWS: "Amazon EC2 instance IP addressing": the address is released when the instance stops, and a new one is assigned
// when it starts.
func releasePublicOf(t tx, i *instance) error {
	list, err := interfacesOf(t, i.ID)
	if err != nil {
		return err
	}
	for _, e := range list {
		if e.Addresses[0].Public == "" || e.Addresses[0].Allocation != "" {
			continue
		}
		i.PublicIndex = e.Attachment.DeviceIndex + 1
		if err := releasePublic(t, e); err != nil {
			return err
		}
	}
	return nil
}

// assignPublicOf gives an instance that comes up its public address, if it is to have one; the caller writes the instance.
// While the range of addresses is not known it is left to the boot, which says what it waits for.
func assignPublicOf(t tx, i *instance) error {
	if i.PublicIndex == 0 || !t.public.IsValid() {
		return nil
	}
	list, err := interfacesOf(t, i.ID)
	if err != nil {
		return err
	}
	for _, e := range list {
		if e.Attachment.DeviceIndex == i.PublicIndex-1 {
			err = assignPublic(t, e)
		}
	}
	i.PublicIndex = 0
	return err
}

// interfaceValues are what a filter of interfaces says of an instance's.
func interfaceValues(t tx, i *instance, values func(tx, *networkInterface) []string) []string {
	list, err := seenInterfacesOf(t, i.ID)
	t.fail(err)
	var all []string
	for _, e := range list {
		all = append(all, values(t, e)...)
	}
	return all
}

// primary answers the interface at index 0, nil where there is none.
func primary(t tx, i *instance) *networkInterface { return firstOf(interfacesOf(t, i.ID)) }

func firstOf(list []*networkInterface, err error) *networkInterface {
	if err != nil || len(list) == 0 || list[0].Attachment.DeviceIndex != 0 {
		return nil
	}
	return list[0]
}

func instancePublicAddress(t tx, i *instance) string {
	if e := firstOf(seenInterfacesOf(t, i.ID)); e != nil {
		return e.Addresses[0].Public
	}
	return ""
}

func instancePublicName(t tx, i *instance) string {
	if address := instancePublicAddress(t, i); address != "" {
		return publicName(t, i.VPC, address)
	}
	return ""
}

func instancePrivateName(t tx, i *instance) string {
	if i.PrivateIP == "" {
		return ""
	}
	if i.Names.Type == types.HostnameTypeResourceName {
		return resourceName(t, i.ID)
	}
	return privateName(t, i.PrivateIP)
}

// placeOnNetwork says where a container that is to be made sits. Where a node agent wires interfaces it has none of the
// engine's networks; else all instances sit on one of the installation's.
func (s *Service) placeOnNetwork(ctx context.Context, scope store.Scope, inst *instance, spec *backend.Spec) error {
	if s.wired() {
		return s.viewIn(ctx, scope, func(t tx) error {
			v, err := vpcs.find(t, inst.VPC)
			if v == nil || err != nil {
				return err
			}
			spec.DNS, spec.Search, err = v.resolvers(t)
			return err
		})
	}
	network, err := s.config.Engine.EnsureNetwork(ctx, backend.NetworkSpec{ID: instancesNetwork})
	if err != nil {
		return err
	}
	spec.Network = network.ID
	if address, err := netip.ParseAddr(inst.PrivateIP); err == nil && network.Range.Contains(address) {
		spec.Address = address
	}
	return nil
}

// wired tells whether a node agent wires interfaces into containers.
func (s *Service) wired() bool { return s.config.Network != nil && !s.config.Simulated }

// plug wires the interfaces of an instance into its container, which has just started with none.
func (s *Service) plug(ctx context.Context, scope store.Scope, inst *instance, observed backend.Observed) error {
	if !s.wired() {
		return nil
	}
	var list []*networkInterface
	err := s.viewIn(ctx, scope, func(t tx) (err error) {
		list, err = interfacesOf(t, inst.ID)
		return err
	})
	if err != nil {
		return err
	}
	for _, e := range list {
		_, err := s.config.Network.AttachENI(ctx, backend.Attachment{
			VPC: e.VPC, ENI: e.ID, Container: inst.ID, PID: observed.PID, Index: int(e.Attachment.DeviceIndex),
		})
		if backend.KindOf(err) == backend.KindNotFound {
			return fmt.Errorf("%w: %w", errNotYetWanted, err)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// confirmAddress writes down the address that a container has, where the engine's network gave it another one than the
// subnet: without a node agent it has a range of its own. What a simulated engine says of addresses is true of nothing.
func (s *Service) confirmAddress(_ tx, i *instance, observed backend.Observed) error {
	if observed.Address.IsValid() && !s.config.EngineSimulated {
		i.PrivateIP = observed.Address.String()
	}
	return nil
}

// liveInstance answers an instance that did not end.
func liveInstance(t tx, id string) (*instance, error) {
	i, err := instances.get(t, id)
	if err == nil && (i.State == stateTerminated || i.State == stateShuttingDown) {
		err = errIncorrectInstanceState(i)
	}
	return i, err
}

// metadataByIPv6 tells whether the instance's metadata is asked for by IPv6 too.
// AWS: "Configure the instance metadata options": the IPv6 endpoint is there for instances on Nitro alone.
func (i *instance) metadataByIPv6() bool {
	if i.Metadata.IPv6 != string(types.InstanceMetadataProtocolStateEnabled) {
		return false
	}
	typ, ok := instanceTypes().findCached(string(i.Type))
	return ok && typ.Hypervisor == types.InstanceTypeHypervisorNitro
}

// followMetadata makes the interfaces of an instance as its metadata options say.
func followMetadata(t tx, i *instance) error {
	list, err := interfacesOf(t, i.ID)
	if err != nil {
		return err
	}
	for _, e := range list {
		if e.Attachment.HopLimit == i.Metadata.HopLimit && e.Attachment.MetadataIPv6 == i.metadataByIPv6() {
			continue
		}
		e.Attachment.HopLimit, e.Attachment.MetadataIPv6 = i.Metadata.HopLimit, i.metadataByIPv6()
		if err := errors.Join(interfaces.put(t, e), wantNetwork(t, e.VPC)); err != nil {
			return err
		}
	}
	return nil
}

// instanceProcess answers the first process of an instance as the engine's host counts, 0 while it does not run;
// stopped tells that it is not going to.
func (s *Service) instanceProcess(ctx context.Context, scope store.Scope, id string) (pid int, stopped bool, err error) {
	err = s.viewIn(ctx, scope, func(t tx) error {
		i, err := instances.find(t, id)
		stopped = i == nil || i.State != statePending && i.State != stateRunning
		return err
	})
	if stopped || err != nil || s.config.Engine == nil {
		return 0, stopped, err
	}
	observed, err := s.config.Engine.Inspect(ctx, id)
	if backend.KindOf(err) == backend.KindNotFound {
		return 0, false, nil
	}
	return observed.PID, false, err
}
