package ec2

import (
	"context"
	"net/netip"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// AttachNetworkInterface plugs an interface into an instance of the same zone.
func (s *Service) AttachNetworkInterface(ctx context.Context, in *ec2.AttachNetworkInterfaceInput) (*ec2.AttachNetworkInterfaceOutput, error) {
	if err := unsupported("AttachNetworkInterface", "EnaSrdSpecification", in.EnaSrdSpecification, "EnaQueueCount", in.EnaQueueCount, "NetworkCardIndex", aws.ToInt32(in.NetworkCardIndex)); err != nil {
		return nil, err
	}
	out := &ec2.AttachNetworkInterfaceOutput{NetworkCardIndex: aws.Int32(0)}
	return out, s.update(ctx, func(t tx) error {
		e, err := interfaces.get(t, aws.ToString(in.NetworkInterfaceId))
		if err != nil {
			return err
		}
		instance := aws.ToString(in.InstanceId)
		i, err := liveInstance(t, instance)
		if err != nil {
			return err
		}
		if i.Zone != e.Zone {
			return errInvalidParameterValue("You may not attach a network interface to an instance if they are not in the same availability zone")
		}
		if aws.ToInt32(in.DeviceIndex) < 1 {
			return errInvalidParameterValue("Instance '%s' already has an interface attached at device index '%d'.", instance, aws.ToInt32(in.DeviceIndex))
		}
		if err := attachInterface(t, e, i, *in.DeviceIndex, false); err != nil {
			return err
		}
		out.AttachmentId = aws.String(e.Attachment.ID)
		return nil
	})
}

// DetachNetworkInterface unplugs an interface that is not an instance's first.
func (s *Service) DetachNetworkInterface(ctx context.Context, in *ec2.DetachNetworkInterfaceInput) (*ec2.DetachNetworkInterfaceOutput, error) {
	id := aws.ToString(in.AttachmentId)
	return &ec2.DetachNetworkInterfaceOutput{}, s.update(ctx, func(t tx) error {
		e, err := interfaces.in(t).Index("attachment").Find(id)
		switch {
		case err != nil:
			return err
		case e == nil:
			return errAttachmentNotFound(id)
		case e.Requester != "":
			return errOperationNotPermitted("You are not allowed to manage '%s' attachments.", e.Type)
		case e.Attachment.DeviceIndex == 0:
			return errOperationNotPermitted("The network interface at device index 0 cannot be detached.")
		}
		e.Attachment.Status = types.AttachmentStatusDetaching
		if err := interfaces.put(t, e); err != nil {
			return err
		}
		return wantNetwork(t, e.VPC)
	})
}

// ModifyNetworkInterfaceAttribute changes one attribute.
func (s *Service) ModifyNetworkInterfaceAttribute(ctx context.Context, in *ec2.ModifyNetworkInterfaceAttributeInput) (*ec2.ModifyNetworkInterfaceAttributeOutput, error) {
	if err := unsupported("ModifyNetworkInterfaceAttribute", "AssociatePublicIpAddress", in.AssociatePublicIpAddress, "AssociatedSubnetIds", in.AssociatedSubnetIds,
		"ConnectionTrackingSpecification", in.ConnectionTrackingSpecification, "EnaSrdSpecification", in.EnaSrdSpecification); err != nil {
		return nil, err
	}
	err := oneAttribute(map[string]bool{
		"description": in.Description != nil, "sourceDestCheck": in.SourceDestCheck != nil, "groupSet": len(in.Groups) > 0, "attachment": in.Attachment != nil,
		"enablePrimaryIpv6": in.EnablePrimaryIpv6 != nil,
	})
	if err != nil {
		return nil, err
	}
	return &ec2.ModifyNetworkInterfaceAttributeOutput{}, s.update(ctx, func(t tx) error {
		return interfaces.changeNetwork(t, aws.ToString(in.NetworkInterfaceId), func(e *networkInterface) error {
			switch {
			case in.Description != nil:
				e.Description = aws.ToString(in.Description.Value)
			case in.SourceDestCheck != nil:
				e.SourceDestCheck = aws.ToBool(in.SourceDestCheck.Value)
			case len(in.Groups) > 0:
				if err := checkGroups(t, e.VPC, in.Groups); err != nil {
					return err
				}
				e.Groups = slices.Clone(in.Groups)
			case in.EnablePrimaryIpv6 != nil:
				return e.enablePrimaryIPv6(*in.EnablePrimaryIpv6)
			default:
				if e.Attachment == nil || e.Attachment.ID != aws.ToString(in.Attachment.AttachmentId) {
					return errAttachmentNotFound(aws.ToString(in.Attachment.AttachmentId))
				}
				if in.Attachment.EnaQueueCount != nil || in.Attachment.DefaultEnaQueueCount != nil {
					return errNotImplemented("The number of queues of an interface")
				}
				if in.Attachment.DeleteOnTermination != nil {
					e.Attachment.DeleteOnTermination = *in.Attachment.DeleteOnTermination
				}
			}
			return nil
		})
	})
}

// ResetNetworkInterfaceAttribute switches the check of source and destination on again, the one attribute that it knows.
func (s *Service) ResetNetworkInterfaceAttribute(ctx context.Context, in *ec2.ResetNetworkInterfaceAttributeInput) (*ec2.ResetNetworkInterfaceAttributeOutput, error) {
	return &ec2.ResetNetworkInterfaceAttributeOutput{}, s.update(ctx, func(t tx) error {
		return interfaces.changeNetwork(t, aws.ToString(in.NetworkInterfaceId), func(e *networkInterface) error {
			e.SourceDestCheck = true
			return nil
		})
	})
}

// DescribeNetworkInterfaceAttribute answers one attribute.
func (s *Service) DescribeNetworkInterfaceAttribute(ctx context.Context, in *ec2.DescribeNetworkInterfaceAttributeInput) (*ec2.DescribeNetworkInterfaceAttributeOutput, error) {
	out := &ec2.DescribeNetworkInterfaceAttributeOutput{NetworkInterfaceId: in.NetworkInterfaceId}
	return out, s.view(ctx, func(t tx) error {
		e, err := interfaces.get(t, aws.ToString(in.NetworkInterfaceId))
		if err != nil {
			return err
		}
		shown, err := interfaceToAPI(t, e)
		if err != nil {
			return err
		}
		switch in.Attribute {
		case types.NetworkInterfaceAttributeDescription:
			out.Description = &types.AttributeValue{Value: aws.String(e.Description)}
		case types.NetworkInterfaceAttributeGroupSet:
			out.Groups = shown.Groups
		case types.NetworkInterfaceAttributeSourceDestCheck:
			out.SourceDestCheck = &types.AttributeBooleanValue{Value: aws.Bool(e.SourceDestCheck)}
		case types.NetworkInterfaceAttributeAttachment:
			out.Attachment = shown.Attachment
		case "":
			return errMissingParameter("attribute")
		default:
			return errNotImplemented("The attribute " + string(in.Attribute))
		}
		return nil
	})
}

// maxAddressesPerInterface is the most of any instance type, of IPv4 and of IPv6.
// AWS: "DescribeInstanceTypes", networkInfo.
const maxAddressesPerInterface = 64

// fits tells whether instances of the type may have an interface with the addresses that this one has.
func (e *networkInterface) fits(typ *types.InstanceTypeInfo) error {
	if len(e.Addresses)+len(e.Prefixes) > int(aws.ToInt32(typ.NetworkInfo.Ipv4AddressesPerInterface)) || len(e.IPv6)+len(e.IPv6Prefixes) > int(aws.ToInt32(typ.NetworkInfo.Ipv6AddressesPerInterface)) {
		return errAddressesPerInterfaceLimitExceeded()
	}
	return nil
}

// mostAddresses is how many addresses the interface may have: as many as its instance's type lets it.
func (e *networkInterface) mostAddresses(t tx, six bool) (int, error) {
	if e.Attachment == nil || e.Attachment.Instance == "" {
		return maxAddressesPerInterface, nil
	}
	i, err := instances.see(t, e.Attachment.Instance)
	if err != nil || i == nil {
		return maxAddressesPerInterface, err
	}
	typ, ok := instanceTypes().findCached(string(i.Type))
	switch {
	case !ok:
		return maxAddressesPerInterface, nil
	case six:
		return int(aws.ToInt32(typ.NetworkInfo.Ipv6AddressesPerInterface)), nil
	}
	return int(aws.ToInt32(typ.NetworkInfo.Ipv4AddressesPerInterface)), nil
}

// addressCount reads how many addresses a call wants for an interface. Nobody gets more than an interface can have, and
// nothing is reserved for more.
func addressCount(name string, wanted *int32) (int, error) {
	switch count := aws.ToInt32(wanted); {
	case count < 0:
		return 0, errInvalidParameterValue("Value (%d) for parameter %s is invalid.", count, name)
	case count > maxAddressesPerInterface:
		return 0, errAddressesPerInterfaceLimitExceeded()
	default:
		return int(count), nil
	}
}

// ways counts how many of the numbers are above zero.
func ways(numbers ...int) (n int) {
	for _, number := range numbers {
		n += min(number, 1)
	}
	return n
}

// AssignPrivateIpAddresses adds secondary IPv4 addresses, or prefixes.
func (s *Service) AssignPrivateIpAddresses(ctx context.Context, in *ec2.AssignPrivateIpAddressesInput) (*ec2.AssignPrivateIpAddressesOutput, error) {
	prefixes, err := wantedPrefixes("ipv4Prefix", in.Ipv4Prefixes, in.Ipv4PrefixCount)
	if err != nil {
		return nil, err
	}
	count, err := addressCount("secondaryPrivateIpAddressCount", in.SecondaryPrivateIpAddressCount)
	if err != nil {
		return nil, err
	}
	if ways(len(in.PrivateIpAddresses), count, prefixes.size()) != 1 {
		return nil, errInvalidParameterCombination("Exactly one of privateIpAddresses, secondaryPrivateIpAddressCount, ipv4Prefixes and ipv4PrefixCount must be specified.")
	}
	wanted := make([]netip.Addr, count)
	for _, text := range in.PrivateIpAddresses {
		address, err := parseAddress(text)
		if err != nil {
			return nil, err
		}
		wanted = append(wanted, address)
	}
	out := &ec2.AssignPrivateIpAddressesOutput{NetworkInterfaceId: in.NetworkInterfaceId}
	return out, s.update(ctx, func(t tx) error {
		out.AssignedPrivateIpAddresses = nil
		return interfaces.changeNetwork(t, aws.ToString(in.NetworkInterfaceId), func(e *networkInterface) error {
			n, err := subnets.get(t, e.Subnet)
			if err != nil {
				return err
			}
			most, err := e.mostAddresses(t, false)
			if err != nil {
				return err
			}
			if len(e.Addresses)+len(e.Prefixes)+len(wanted)+prefixes.size() > most {
				return errAddressesPerInterfaceLimitExceeded()
			}
			given, err := e.delegate(t, n, prefixes)
			if err != nil {
				return err
			}
			out.AssignedIpv4Prefixes = ipv4PrefixesToAPI(t, given)
			for _, address := range wanted {
				if aws.ToBool(in.AllowReassignment) && address.IsValid() {
					if err := takeAway(t, e, n, address); err != nil {
						return err
					}
				}
				if address.IsValid() && e.find(address.String()) >= 0 {
					continue
				}
				if err := e.addAddress(t, n, address); err != nil {
					return err
				}
				given := e.Addresses[len(e.Addresses)-1].Private
				out.AssignedPrivateIpAddresses = append(out.AssignedPrivateIpAddresses, types.AssignedPrivateIpAddress{PrivateIpAddress: aws.String(given)})
			}
			return nil
		})
	})
}

// find is where an interface has a private address, or -1.
func (e *networkInterface) find(private string) int {
	return slices.IndexFunc(e.Addresses, func(a interfaceAddress) bool { return a.Private == private })
}

// takeAway frees a secondary address that another interface has.
func takeAway(t tx, to *networkInterface, n *subnet, address netip.Addr) error {
	row, err := privateAddresses.In(t, t.scope).Find(n.ID, address.String())
	if err != nil || row == nil || row.Interface == to.ID {
		return err
	}
	return interfaces.edit(t, row.Interface, func(e *networkInterface) error {
		i := e.find(row.Address)
		if i == 0 {
			return errInvalidParameterValue("Some of %v are assigned as a primary address and cannot be reassigned.", []string{row.Address})
		}
		return e.removeAddress(t, i)
	})
}

func (e *networkInterface) removeAddress(t tx, i int) error {
	if err := dropPublic(t, e, i); err != nil {
		return err
	}
	private := e.Addresses[i].Private
	e.Addresses = slices.Delete(e.Addresses, i, i+1)
	return freeAddress(t, e.Subnet, private)
}

// UnassignPrivateIpAddresses removes secondary IPv4 addresses, and prefixes.
func (s *Service) UnassignPrivateIpAddresses(ctx context.Context, in *ec2.UnassignPrivateIpAddressesInput) (*ec2.UnassignPrivateIpAddressesOutput, error) {
	if len(in.PrivateIpAddresses)+len(in.Ipv4Prefixes) == 0 {
		return nil, errMissingParameter("privateIpAddress")
	}
	return &ec2.UnassignPrivateIpAddressesOutput{}, s.update(ctx, func(t tx) error {
		return interfaces.changeNetwork(t, aws.ToString(in.NetworkInterfaceId), func(e *networkInterface) error {
			for _, text := range in.PrivateIpAddresses {
				i := e.find(text)
				if i <= 0 {
					return errInvalidParameterValue("Some of %v are not assigned to interface %s", in.PrivateIpAddresses, e.ID)
				}
				if err := e.removeAddress(t, i); err != nil {
					return err
				}
			}
			return e.giveBack(t, &e.Prefixes, in.Ipv4Prefixes)
		})
	})
}

// AssignIpv6Addresses adds IPv6 addresses, or prefixes.
func (s *Service) AssignIpv6Addresses(ctx context.Context, in *ec2.AssignIpv6AddressesInput) (*ec2.AssignIpv6AddressesOutput, error) {
	prefixes, err := wantedPrefixes("ipv6Prefix", in.Ipv6Prefixes, in.Ipv6PrefixCount)
	if err != nil {
		return nil, err
	}
	count, err := addressCount("ipv6AddressCount", in.Ipv6AddressCount)
	if err != nil {
		return nil, err
	}
	if ways(len(in.Ipv6Addresses), count, prefixes.size()) != 1 {
		return nil, errInvalidParameterCombination("Exactly one of ipv6Addresses, ipv6AddressCount, ipv6Prefixes and ipv6PrefixCount must be specified.")
	}
	wanted := make([]netip.Addr, count)
	for _, text := range in.Ipv6Addresses {
		address, err := parseAddress(text)
		if err != nil {
			return nil, err
		}
		wanted = append(wanted, address)
	}
	out := &ec2.AssignIpv6AddressesOutput{NetworkInterfaceId: in.NetworkInterfaceId}
	return out, s.update(ctx, func(t tx) error {
		out.AssignedIpv6Addresses = nil
		return interfaces.changeNetwork(t, aws.ToString(in.NetworkInterfaceId), func(e *networkInterface) error {
			n, err := subnets.get(t, e.Subnet)
			if err != nil {
				return err
			}
			most, err := e.mostAddresses(t, true)
			if err != nil {
				return err
			}
			if len(e.IPv6)+len(e.IPv6Prefixes)+len(wanted)+prefixes.size() > most {
				return errAddressesPerInterfaceLimitExceeded()
			}
			if out.AssignedIpv6Prefixes, err = e.delegate(t, n, prefixes); err != nil {
				return err
			}
			for _, address := range wanted {
				given, err := allocateIPv6(t, n, e.ID, address)
				if err != nil {
					return err
				}
				e.IPv6 = append(e.IPv6, given.String())
				out.AssignedIpv6Addresses = append(out.AssignedIpv6Addresses, given.String())
			}
			return nil
		})
	})
}

// UnassignIpv6Addresses removes IPv6 addresses and prefixes.
func (s *Service) UnassignIpv6Addresses(ctx context.Context, in *ec2.UnassignIpv6AddressesInput) (*ec2.UnassignIpv6AddressesOutput, error) {
	out := &ec2.UnassignIpv6AddressesOutput{NetworkInterfaceId: in.NetworkInterfaceId}
	return out, s.update(ctx, func(t tx) error {
		out.UnassignedIpv6Addresses = nil
		return interfaces.changeNetwork(t, aws.ToString(in.NetworkInterfaceId), func(e *networkInterface) error {
			for _, text := range in.Ipv6Addresses {
				address, err := parseAddress(text)
				if err != nil {
					return err
				}
				i := slices.Index(e.IPv6, address.String())
				if i < 0 {
					return errInvalidParameterValue("Some of %v are not assigned to interface %s", in.Ipv6Addresses, e.ID)
				}
				if i == 0 && e.PrimaryIPv6 {
					return errInvalidParameterValue("The primary IPv6 address %s of interface %s cannot be unassigned.", text, e.ID)
				}
				e.IPv6 = slices.Delete(e.IPv6, i, i+1)
				if err := freeAddress(t, e.Subnet, address.String()); err != nil {
					return err
				}
				out.UnassignedIpv6Addresses = append(out.UnassignedIpv6Addresses, address.String())
			}
			out.UnassignedIpv6Prefixes = in.Ipv6Prefixes
			return e.giveBack(t, &e.IPv6Prefixes, in.Ipv6Prefixes)
		})
	})
}

// privateName is an address's name inside the VPC.
// AWS: "Amazon EC2 instance hostname types", IP name.
func privateName(t tx, private string) string {
	return "ip-" + strings.ReplaceAll(private, ".", "-") + "." + internalDomain(t.scope.Region)
}

// resourceName is an instance's name that is made of its id. AWS: "Amazon EC2 instance hostname types".
func resourceName(t tx, id string) string { return id + "." + internalDomain(t.scope.Region) }

// publicName is a public address's name; "" where the VPC has no public names.
// AWS: "DNS attributes for your VPC".
func publicName(t tx, vpcID, public string) string {
	if public == "" {
		return ""
	}
	v, err := vpcs.see(t, vpcID)
	if err != nil || v == nil || !v.DNSNames || !v.DNSSupport {
		return ""
	}
	return publicNameOf(t.scope.Region, public)
}

func publicNameOf(region, public string) string {
	domain := region + ".compute.amazonaws.com"
	if region == "us-east-1" {
		domain = "compute-1.amazonaws.com"
	}
	return "ec2-" + strings.ReplaceAll(public, ".", "-") + "." + domain
}

// owner is who owns the public address: the account for an Elastic IP, else Amazon.
func (a interfaceAddress) owner(t tx) string {
	switch {
	case a.Public == "":
		return ""
	case a.Allocation != "":
		return t.scope.Account
	default:
		return "amazon"
	}
}

func groupsToAPI(t tx, ids []string) ([]types.GroupIdentifier, error) {
	list := make([]types.GroupIdentifier, 0, len(ids))
	for _, id := range ids {
		g, err := securityGroups.see(t, id)
		if err != nil {
			return nil, err
		}
		shown := types.GroupIdentifier{GroupId: t.text(id)}
		if g != nil {
			shown.GroupName = t.text(g.Name)
		}
		list = append(list, shown)
	}
	return list, nil
}

func (a interfaceAddress) associationToAPI(t tx, vpcID string) *types.NetworkInterfaceAssociation {
	if a.Public == "" {
		return nil
	}
	return &types.NetworkInterfaceAssociation{
		PublicIp: t.text(a.Public), PublicDnsName: t.text(publicName(t, vpcID, a.Public)), IpOwnerId: t.text(a.owner(t)),
		AllocationId: t.optional(a.Allocation), AssociationId: t.optional(a.Association),
	}
}

func interfaceToAPI(t tx, e *networkInterface) (types.NetworkInterface, error) {
	groups, err := groupsToAPI(t, e.Groups)
	shown := types.NetworkInterface{
		NetworkInterfaceId: t.text(e.ID), VpcId: t.text(e.VPC), SubnetId: t.text(e.Subnet), AvailabilityZone: t.text(e.Zone),
		Description: t.text(e.Description), MacAddress: t.text(e.MAC), InterfaceType: e.Type, OwnerId: t.text(t.scope.Account),
		Status: e.status(), SourceDestCheck: t.flag(e.SourceDestCheck), Groups: groups, TagSet: tagSet(t, e.Tags),
		PrivateIpAddress: t.text(e.private()), PrivateDnsName: t.text(privateName(t, e.private())),
		RequesterId: t.optional(e.Requester), RequesterManaged: t.flag(e.Requester != ""),
		Ipv6Addresses: []types.NetworkInterfaceIpv6Address{}, AvailabilityZoneId: t.optional(zoneID(t, e.Zone)),
		Operator: &types.OperatorResponse{Managed: t.flag(false)},
	}
	shown.PrivateIpAddresses = make([]types.NetworkInterfacePrivateIpAddress, 0, len(e.Addresses))
	for i, a := range e.Addresses {
		association, name := a.associationToAPI(t, e.VPC), shown.PrivateDnsName
		if i == 0 {
			shown.Association = association
		} else {
			name = t.text(privateName(t, a.Private))
		}
		shown.PrivateIpAddresses = append(shown.PrivateIpAddresses, types.NetworkInterfacePrivateIpAddress{
			PrivateIpAddress: t.text(a.Private), PrivateDnsName: name, Primary: t.flag(i == 0), Association: association,
		})
	}
	for i, address := range e.IPv6 {
		if i == 0 {
			shown.Ipv6Address = t.text(address)
		}
		shown.Ipv6Addresses = append(shown.Ipv6Addresses, types.NetworkInterfaceIpv6Address{Ipv6Address: t.text(address), IsPrimaryIpv6: t.flag(i == 0 && e.PrimaryIPv6)})
	}
	shown.Ipv4Prefixes, shown.Ipv6Prefixes = ipv4PrefixesToAPI(t, e.Prefixes), ipv6PrefixesToAPI(t, e.IPv6Prefixes)
	if a := e.Attachment; a != nil {
		shown.Attachment = &types.NetworkInterfaceAttachment{
			AttachmentId: t.text(a.ID), InstanceId: t.optional(a.Instance), InstanceOwnerId: t.text(a.Owner), DeviceIndex: t.number(a.DeviceIndex),
			Status: a.Status, AttachTime: t.time(a.AttachTime), DeleteOnTermination: t.flag(a.DeleteOnTermination), NetworkCardIndex: t.number(0),
		}
	}
	return shown, err
}
