package ec2

import (
	"net/netip"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// TestPrefixesOfInterfaces: parts of a subnet are given out whole, from what is reserved for them first, never with an address that
// somebody has, and nobody gets an address of them.
func TestPrefixesOfInterfaces(t *testing.T) {
	_, client, _ := newCloud(t)
	ctx := t.Context()
	vpc := must[*ec2.CreateVpcOutput](t)(client.CreateVpc(ctx, &ec2.CreateVpcInput{CidrBlock: aws.String("10.1.0.0/16"), AmazonProvidedIpv6CidrBlock: aws.Bool(true)})).Vpc.VpcId
	range6 := *must[*ec2.DescribeVpcsOutput](t)(client.DescribeVpcs(ctx, &ec2.DescribeVpcsInput{VpcIds: []string{*vpc}})).Vpcs[0].Ipv6CidrBlockAssociationSet[0].Ipv6CidrBlock
	six := netip.PrefixFrom(netip.MustParsePrefix(range6).Addr(), 64).String()
	subnet := must[*ec2.CreateSubnetOutput](t)(client.CreateSubnet(ctx, &ec2.CreateSubnetInput{VpcId: vpc, CidrBlock: aws.String("10.1.1.0/25"), Ipv6CidrBlock: aws.String(six)})).Subnet.SubnetId
	free := func() int32 {
		return *must[*ec2.DescribeSubnetsOutput](t)(client.DescribeSubnets(ctx, &ec2.DescribeSubnetsInput{SubnetIds: []string{*subnet}})).Subnets[0].AvailableIpAddressCount
	}
	create := func(in ec2.CreateNetworkInterfaceInput) (*types.NetworkInterface, error) {
		in.SubnetId = subnet
		out, err := client.CreateNetworkInterface(ctx, &in)
		if err != nil {
			return nil, err
		}
		return out.NetworkInterface, nil
	}
	made := must[*types.NetworkInterface](t)
	must[*ec2.CreateSubnetCidrReservationOutput](t)(client.CreateSubnetCidrReservation(ctx, &ec2.CreateSubnetCidrReservationInput{SubnetId: subnet, Cidr: aws.String("10.1.1.64/28"), ReservationType: types.SubnetCidrReservationTypePrefix}))
	must[*ec2.CreateSubnetCidrReservationOutput](t)(client.CreateSubnetCidrReservation(ctx, &ec2.CreateSubnetCidrReservationInput{SubnetId: subnet, Cidr: aws.String("10.1.1.80/28"), ReservationType: types.SubnetCidrReservationTypeExplicit}))
	one := made(create(ec2.CreateNetworkInterfaceInput{PrivateIpAddress: aws.String("10.1.1.20"), Ipv4PrefixCount: aws.Int32(1)}))
	if got := *one.Ipv4Prefixes[0].Ipv4Prefix; len(one.Ipv4Prefixes) != 1 || got != "10.1.1.64/28" {
		t.Errorf("the reservation is not what is given first: %s", got)
	}
	if got := free(); got != 128-5-16-1 {
		t.Errorf("%d addresses are free", got)
	}
	// Left are 32, 48, 96: 0 and 112 have reserved addresses, 16 an address that somebody has, 80 is for those who name it.
	more := must[*ec2.AssignPrivateIpAddressesOutput](t)(client.AssignPrivateIpAddresses(ctx, &ec2.AssignPrivateIpAddressesInput{NetworkInterfaceId: one.NetworkInterfaceId, Ipv4PrefixCount: aws.Int32(3)}))
	if len(more.AssignedIpv4Prefixes) != 3 {
		t.Errorf("assigned %v", more.AssignedIpv4Prefixes)
	}
	_, err := client.AssignPrivateIpAddresses(ctx, &ec2.AssignPrivateIpAddressesInput{NetworkInterfaceId: one.NetworkInterfaceId, Ipv4PrefixCount: aws.Int32(1)})
	wantCode(t, err, "InsufficientCidrBlocks")
	_, err = create(ec2.CreateNetworkInterfaceInput{Ipv4PrefixCount: aws.Int32(1)})
	wantCode(t, err, "InvalidParameterValue")
	for text, code := range map[string]string{
		"10.1.1.16/28": "InvalidIPAddress.InUse", "10.1.1.32/28": "InvalidIPAddress.InUse", "10.1.1.0/28": "InvalidParameterValue", "10.1.1.112/28": "InvalidParameterValue",
		"10.1.2.16/28": "InvalidParameterValue", "10.1.1.20/28": "InvalidParameterValue", "10.1.1.80/29": "InvalidParameterValue", "x": "InvalidParameterValue",
	} {
		_, err := create(ec2.CreateNetworkInterfaceInput{Ipv4Prefixes: []types.Ipv4PrefixSpecificationRequest{{Ipv4Prefix: aws.String(text)}}})
		wantCode(t, err, code)
	}
	_, err = create(ec2.CreateNetworkInterfaceInput{PrivateIpAddress: aws.String("10.1.1.40")})
	wantCode(t, err, "InvalidIPAddress.InUse")
	for range 20 { // none of those that are given out
		got := made(create(ec2.CreateNetworkInterfaceInput{}))
		if address := netip.MustParseAddr(*got.PrivateIpAddress); netip.MustParsePrefix("10.1.1.32/27").Contains(address) || netip.MustParsePrefix("10.1.1.64/27").Contains(address) || netip.MustParsePrefix("10.1.1.96/28").Contains(address) {
			t.Fatalf("%s is in a prefix", address)
		}
	}
	two := made(create(ec2.CreateNetworkInterfaceInput{Ipv4Prefixes: []types.Ipv4PrefixSpecificationRequest{{Ipv4Prefix: aws.String("10.1.1.80/28")}}}))
	must[*ec2.UnassignPrivateIpAddressesOutput](t)(client.UnassignPrivateIpAddresses(ctx, &ec2.UnassignPrivateIpAddressesInput{NetworkInterfaceId: two.NetworkInterfaceId, Ipv4Prefixes: []string{"10.1.1.80/28"}}))
	_, err = client.UnassignPrivateIpAddresses(ctx, &ec2.UnassignPrivateIpAddressesInput{NetworkInterfaceId: two.NetworkInterfaceId, Ipv4Prefixes: []string{"10.1.1.80/28"}})
	wantCode(t, err, "InvalidParameterValue")
	_, err = client.AssignPrivateIpAddresses(ctx, &ec2.AssignPrivateIpAddressesInput{NetworkInterfaceId: two.NetworkInterfaceId, Ipv4PrefixCount: aws.Int32(1), SecondaryPrivateIpAddressCount: aws.Int32(1)})
	wantCode(t, err, "InvalidParameterCombination")

	// An interface's own address is never chosen in the prefix that it asks for.
	small := must[*ec2.CreateSubnetOutput](t)(client.CreateSubnet(ctx, &ec2.CreateSubnetInput{VpcId: vpc, CidrBlock: aws.String("10.1.3.0/26")})).Subnet.SubnetId
	for range 30 {
		got := must[*ec2.CreateNetworkInterfaceOutput](t)(client.CreateNetworkInterface(ctx, &ec2.CreateNetworkInterfaceInput{SubnetId: small, Ipv4Prefixes: []types.Ipv4PrefixSpecificationRequest{{Ipv4Prefix: aws.String("10.1.3.16/28")}}}))
		must[*ec2.DeleteNetworkInterfaceOutput](t)(client.DeleteNetworkInterface(ctx, &ec2.DeleteNetworkInterfaceInput{NetworkInterfaceId: got.NetworkInterface.NetworkInterfaceId}))
	}

	// IPv6, with an address that stays.
	three := made(create(ec2.CreateNetworkInterfaceInput{PrivateIpAddress: aws.String("10.1.1.81"), Ipv6PrefixCount: aws.Int32(2)}))
	if len(three.Ipv6Prefixes) != 2 || netip.MustParsePrefix(*three.Ipv6Prefixes[0].Ipv6Prefix).Bits() != 80 || len(three.Ipv6Addresses) != 0 {
		t.Errorf("IPv6 prefixes %v, addresses %v", three.Ipv6Prefixes, three.Ipv6Addresses)
	}
	of := must[*ec2.DescribeSubnetsOutput](t)(client.DescribeSubnets(ctx, &ec2.DescribeSubnetsInput{SubnetIds: []string{*three.SubnetId}})).Subnets[0]
	_, err = client.DisassociateSubnetCidrBlock(ctx, &ec2.DisassociateSubnetCidrBlockInput{AssociationId: of.Ipv6CidrBlockAssociationSet[0].AssociationId})
	wantCode(t, err, "DependencyViolation")
	_, err = client.ModifyNetworkInterfaceAttribute(ctx, &ec2.ModifyNetworkInterfaceAttributeInput{NetworkInterfaceId: three.NetworkInterfaceId, EnablePrimaryIpv6: aws.Bool(true)})
	wantCode(t, err, "InvalidParameterValue")
	given := must[*ec2.AssignIpv6AddressesOutput](t)(client.AssignIpv6Addresses(ctx, &ec2.AssignIpv6AddressesInput{NetworkInterfaceId: three.NetworkInterfaceId, Ipv6AddressCount: aws.Int32(2)})).AssignedIpv6Addresses
	must[*ec2.ModifyNetworkInterfaceAttributeOutput](t)(client.ModifyNetworkInterfaceAttribute(ctx, &ec2.ModifyNetworkInterfaceAttributeInput{NetworkInterfaceId: three.NetworkInterfaceId, EnablePrimaryIpv6: aws.Bool(true)}))
	_, err = client.ModifyNetworkInterfaceAttribute(ctx, &ec2.ModifyNetworkInterfaceAttributeInput{NetworkInterfaceId: three.NetworkInterfaceId, EnablePrimaryIpv6: aws.Bool(false)})
	wantCode(t, err, "InvalidParameterValue")
	shown := must[*ec2.DescribeNetworkInterfacesOutput](t)(client.DescribeNetworkInterfaces(ctx, &ec2.DescribeNetworkInterfacesInput{NetworkInterfaceIds: []string{*three.NetworkInterfaceId}})).NetworkInterfaces[0].Ipv6Addresses
	if len(shown) != 2 || *shown[0].Ipv6Address != given[0] || !*shown[0].IsPrimaryIpv6 || *shown[1].IsPrimaryIpv6 {
		t.Errorf("addresses %+v", shown)
	}
	_, err = client.UnassignIpv6Addresses(ctx, &ec2.UnassignIpv6AddressesInput{NetworkInterfaceId: three.NetworkInterfaceId, Ipv6Addresses: given[:1]})
	wantCode(t, err, "InvalidParameterValue")
	gone := must[*ec2.UnassignIpv6AddressesOutput](t)(client.UnassignIpv6Addresses(ctx, &ec2.UnassignIpv6AddressesInput{NetworkInterfaceId: three.NetworkInterfaceId, Ipv6Addresses: given[1:], Ipv6Prefixes: []string{*three.Ipv6Prefixes[0].Ipv6Prefix}}))
	if len(gone.UnassignedIpv6Prefixes) != 1 {
		t.Errorf("unassigned %v", gone.UnassignedIpv6Prefixes)
	}
	primary := made(create(ec2.CreateNetworkInterfaceInput{EnablePrimaryIpv6: aws.Bool(true)}))
	if len(primary.Ipv6Addresses) != 1 || !*primary.Ipv6Addresses[0].IsPrimaryIpv6 {
		t.Errorf("addresses %+v", primary.Ipv6Addresses)
	}
}
