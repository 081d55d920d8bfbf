package ec2

import (
	"errors"
	"math"
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
	}{{-1, "InvalidParameterValue"}, {math.MinInt32, "InvalidParameterValue"}, {51, "PrivateIpAddressLimitExceeded"}, {math.MaxInt32, "PrivateIpAddressLimitExceeded"}} {
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
