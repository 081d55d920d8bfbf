package ec2

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/smithy-go"
)

// TestImpossibleCountsOfAddresses: a count that no interface can have is refused, and nothing is reserved for it: one call
// with the largest number that the wire takes used to end the process.
func TestImpossibleCountsOfAddresses(t *testing.T) {
	_, client, _ := newCloud(t)
	ctx := t.Context()
	vpc := must[*ec2.CreateVpcOutput](t)(client.CreateVpc(ctx, &ec2.CreateVpcInput{CidrBlock: aws.String("10.1.0.0/16")})).Vpc.VpcId
	subnet := must[*ec2.CreateSubnetOutput](t)(client.CreateSubnet(ctx, &ec2.CreateSubnetInput{VpcId: vpc, CidrBlock: aws.String("10.1.1.0/24")})).Subnet.SubnetId
	eni := must[*ec2.CreateNetworkInterfaceOutput](t)(client.CreateNetworkInterface(ctx, &ec2.CreateNetworkInterfaceInput{SubnetId: subnet})).NetworkInterface.NetworkInterfaceId
	for _, one := range []struct {
		count int32
		code  string
	}{{-1, "InvalidParameterValue"}, {math.MinInt32, "InvalidParameterValue"}, {65, "PrivateIpAddressLimitExceeded"}, {math.MaxInt32, "PrivateIpAddressLimitExceeded"}} {
		count := aws.Int32(one.count)
		for name, call := range map[string]func() error{
			"CreateNetworkInterface, IPv4": func() error {
				_, err := client.CreateNetworkInterface(ctx, &ec2.CreateNetworkInterfaceInput{SubnetId: subnet, SecondaryPrivateIpAddressCount: count})
				return err
			},
			"CreateNetworkInterface, IPv6": func() error {
				_, err := client.CreateNetworkInterface(ctx, &ec2.CreateNetworkInterfaceInput{SubnetId: subnet, Ipv6AddressCount: count})
				return err
			},
			"AssignPrivateIpAddresses": func() error {
				_, err := client.AssignPrivateIpAddresses(ctx, &ec2.AssignPrivateIpAddressesInput{NetworkInterfaceId: eni, SecondaryPrivateIpAddressCount: count})
				return err
			},
			"AssignIpv6Addresses": func() error {
				_, err := client.AssignIpv6Addresses(ctx, &ec2.AssignIpv6AddressesInput{NetworkInterfaceId: eni, Ipv6AddressCount: count})
				return err
			},
		} {
			if said := smithy.APIError(nil); !errors.As(call(), &said) || said.ErrorCode() != one.code {
				t.Errorf("%s of %d: %v, not %s", name, one.count, said, one.code)
			}
		}
		_, err := client.CreateNatGateway(ctx, &ec2.CreateNatGatewayInput{SubnetId: subnet, ConnectivityType: types.ConnectivityTypePrivate, SecondaryPrivateIpAddressCount: count})
		if said := smithy.APIError(nil); !errors.As(err, &said) || said.ErrorCode() != "InvalidParameterValue" {
			t.Errorf("CreateNatGateway of %d: %v", one.count, err)
		}
	}
}

// TestAddressesOfTypes: no instance has an interface with more addresses than its type has on one, however it came by it.
func TestAddressesOfTypes(t *testing.T) {
	s, client, _ := newCloud(t)
	ctx := t.Context()
	tiny, _ := launchGuest(t, s, client, &ec2.RunInstancesInput{}) // two interfaces, two addresses on each
	eni := func(more int32) *string {
		return must[*ec2.CreateNetworkInterfaceOutput](t)(client.CreateNetworkInterface(ctx, &ec2.CreateNetworkInterfaceInput{SubnetId: tiny.SubnetId, SecondaryPrivateIpAddressCount: aws.Int32(more)})).NetworkInterface.NetworkInterfaceId
	}
	attach := func(eni, instance *string, index int32) error {
		_, err := client.AttachNetworkInterface(ctx, &ec2.AttachNetworkInterfaceInput{NetworkInterfaceId: eni, InstanceId: instance, DeviceIndex: aws.Int32(index)})
		return err
	}
	const tooMany = "PrivateIpAddressLimitExceeded"
	wide := eni(2)
	wantCode(t, attach(wide, tiny.InstanceId, 1), tooMany)
	launch := func(typ types.InstanceType, more int32) (*string, error) {
		made, err := client.RunInstances(ctx, &ec2.RunInstancesInput{
			ImageId: tiny.ImageId, InstanceType: typ, MinCount: aws.Int32(1), MaxCount: aws.Int32(1),
			NetworkInterfaces: []types.InstanceNetworkInterfaceSpecification{{DeviceIndex: aws.Int32(0), SubnetId: tiny.SubnetId, SecondaryPrivateIpAddressCount: aws.Int32(more)}},
		})
		if err != nil {
			return nil, err
		}
		return made.Instances[0].InstanceId, nil
	}
	_, err := launch(tiny.InstanceType, 2)
	wantCode(t, err, tooMany)
	_, err = client.CreateNetworkInterface(ctx, &ec2.CreateNetworkInterfaceInput{SubnetId: tiny.SubnetId, SecondaryPrivateIpAddressCount: aws.Int32(maxAddressesPerInterface)})
	wantCode(t, err, tooMany)
	// A stopped instance does not become one of a type that cannot have what it has.
	large := types.InstanceType(strings.Replace(nanoType(), "nano", "small", 1))
	resize := func(id *string, typ types.InstanceType) error {
		become(t, s, id, stateStopped)
		_, err := client.ModifyInstanceAttribute(ctx, &ec2.ModifyInstanceAttributeInput{InstanceId: id, InstanceType: &types.AttributeValue{Value: aws.String(string(typ))}})
		return err
	}
	addressed := must[*string](t)(launch(large, 2))
	wantCode(t, resize(addressed, tiny.InstanceType), tooMany)
	wired := must[*string](t)(launch(large, 1))
	for index := range int32(2) {
		if err := attach(eni(0), wired, index+1); err != nil {
			t.Fatal(err)
		}
	}
	wantCode(t, resize(wired, tiny.InstanceType), "AttachmentLimitExceeded")
	if err := resize(tiny.InstanceId, large); err != nil {
		t.Error(err)
	}
	if err := attach(wide, tiny.InstanceId, 1); err != nil {
		t.Error(err)
	}
}

// TestNamesThatNameNothing: what cannot name a thing is refused or not found, and never reaches what reads such names.
func TestNamesThatNameNothing(t *testing.T) {
	_, client, _ := newCloud(t)
	ctx := t.Context()
	vpc := must[*ec2.CreateVpcOutput](t)(client.CreateVpc(ctx, &ec2.CreateVpcInput{CidrBlock: aws.String("10.1.0.0/16")})).Vpc.VpcId
	table := must[*ec2.CreateRouteTableOutput](t)(client.CreateRouteTable(ctx, &ec2.CreateRouteTableInput{VpcId: vpc})).RouteTable.RouteTableId
	gateway := must[*ec2.CreateInternetGatewayOutput](t)(client.CreateInternetGateway(ctx, &ec2.CreateInternetGatewayInput{})).InternetGateway.InternetGatewayId
	_, err := client.ReplaceRoute(ctx, &ec2.ReplaceRouteInput{RouteTableId: table, DestinationPrefixListId: aws.String("us-east-1a"), GatewayId: gateway})
	if said := smithy.APIError(nil); !errors.As(err, &said) || said.ErrorCode() != "InvalidPrefixListId.Malformed" {
		t.Errorf("a route to a list that is none: %v", err)
	}
	for _, owner := range []string{"{}", "a/b", "12"} {
		made := must[*ec2.CreateVpcPeeringConnectionOutput](t)(client.CreateVpcPeeringConnection(ctx, &ec2.CreateVpcPeeringConnectionInput{VpcId: vpc, PeerVpcId: aws.String("vpc-0123456789abcdef0"), PeerOwnerId: aws.String(owner), PeerRegion: aws.String("us-east-1")}))
		waitFor(t, func() bool {
			shown := must[*ec2.DescribeVpcPeeringConnectionsOutput](t)(client.DescribeVpcPeeringConnections(ctx, &ec2.DescribeVpcPeeringConnectionsInput{VpcPeeringConnectionIds: []string{*made.VpcPeeringConnection.VpcPeeringConnectionId}}))
			return shown.VpcPeeringConnections[0].Status.Code == types.VpcPeeringConnectionStateReasonCodeFailed
		})
	}
}
