package ec2

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/smithy-go"

	"miniaws/backend"
	"miniaws/backend/store"
)

var rewrite = flag.Bool("update", false, "rewrite the golden files")

// must ends the test on an error.
func must[T any](t testing.TB) func(T, error) T {
	return func(value T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

var idText = regexp.MustCompile(`\b([a-z]+)-[0-9a-f]{17}\b`)

// settledText is the wanted network of a VPC as text: ids are counted, what is random is left out.
func settledText(t *testing.T, s *Service, vpcID string) string {
	t.Helper()
	var text string
	err := s.viewIn(context.Background(), store.Scope{Account: testAccount, Region: "us-east-1"}, func(in tx) error {
		v, err := vpcs.get(in, vpcID)
		if err != nil {
			return err
		}
		wanted, err := wantedNetwork(in, v, "mini-aws.internal")
		if err != nil {
			return err
		}
		if err := wanted.Check(); err != nil {
			t.Errorf("the value contradicts itself: %v", err)
		}
		for i := range wanted.ENIs {
			wanted.ENIs[i].MAC = "0a:00:00:00:00:00"
		}
		raw, err := json.MarshalIndent(wanted, "", "  ")
		text = string(raw) + "\n"
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// TestWantedNetwork is the whole of a VPC as the node agent gets it: two subnets, an internet gateway, a NAT gateway,
// filters that name each other, a peering connection and an endpoint.
func TestWantedNetwork(t *testing.T) {
	s, client, _ := newCloud(t)
	ctx := context.Background()
	names := map[string]string{}
	name := func(id *string, as string) *string {
		names[*id] = as
		return id
	}
	vpc := name(must[*ec2.CreateVpcOutput](t)(client.CreateVpc(ctx, &ec2.CreateVpcInput{CidrBlock: aws.String("10.0.0.0/16")})).Vpc.VpcId, "vpc-ours")
	peer := name(must[*ec2.CreateVpcOutput](t)(client.CreateVpc(ctx, &ec2.CreateVpcInput{CidrBlock: aws.String("10.9.0.0/16")})).Vpc.VpcId, "vpc-theirs")
	must[*ec2.ModifyVpcAttributeOutput](t)(client.ModifyVpcAttribute(ctx, &ec2.ModifyVpcAttributeInput{VpcId: vpc, EnableDnsHostnames: &types.AttributeBooleanValue{Value: aws.Bool(true)}}))
	subnet := func(of *string, cidr, as string) *string {
		return name(must[*ec2.CreateSubnetOutput](t)(client.CreateSubnet(ctx, &ec2.CreateSubnetInput{VpcId: of, CidrBlock: aws.String(cidr), AvailabilityZone: aws.String("us-east-1a")})).Subnet.SubnetId, as)
	}
	public, private, far := subnet(vpc, "10.0.1.0/24", "subnet-public"), subnet(vpc, "10.0.2.0/24", "subnet-private"), subnet(peer, "10.9.1.0/24", "subnet-far")
	igw := name(must[*ec2.CreateInternetGatewayOutput](t)(client.CreateInternetGateway(ctx, &ec2.CreateInternetGatewayInput{})).InternetGateway.InternetGatewayId, "igw-ours")
	must[*ec2.AttachInternetGatewayOutput](t)(client.AttachInternetGateway(ctx, &ec2.AttachInternetGatewayInput{InternetGatewayId: igw, VpcId: vpc}))

	tables := must[*ec2.DescribeRouteTablesOutput](t)(client.DescribeRouteTables(ctx, &ec2.DescribeRouteTablesInput{Filters: []types.Filter{{Name: aws.String("vpc-id"), Values: []string{*vpc}}}}))
	main := name(tables.RouteTables[0].RouteTableId, "rtb-main")
	route := func(table *string, destination string, change func(*ec2.CreateRouteInput)) {
		in := &ec2.CreateRouteInput{RouteTableId: table, DestinationCidrBlock: aws.String(destination)}
		change(in)
		must[*ec2.CreateRouteOutput](t)(client.CreateRoute(ctx, in))
	}
	route(main, "0.0.0.0/0", func(in *ec2.CreateRouteInput) { in.GatewayId = igw })
	custom := name(must[*ec2.CreateRouteTableOutput](t)(client.CreateRouteTable(ctx, &ec2.CreateRouteTableInput{VpcId: vpc})).RouteTable.RouteTableId, "rtb-private")
	must[*ec2.AssociateRouteTableOutput](t)(client.AssociateRouteTable(ctx, &ec2.AssociateRouteTableInput{RouteTableId: custom, SubnetId: private}))
	address := must[*ec2.AllocateAddressOutput](t)(client.AllocateAddress(ctx, &ec2.AllocateAddressInput{Address: aws.String("198.18.9.9")}))
	nat := name(must[*ec2.CreateNatGatewayOutput](t)(client.CreateNatGateway(ctx, &ec2.CreateNatGatewayInput{
		SubnetId: public, AllocationId: address.AllocationId, PrivateIpAddress: aws.String("10.0.1.20"),
	})).NatGateway.NatGatewayId, "nat-ours")
	route(custom, "0.0.0.0/0", func(in *ec2.CreateRouteInput) { in.NatGatewayId = nat })

	pcx := name(must[*ec2.CreateVpcPeeringConnectionOutput](t)(client.CreateVpcPeeringConnection(ctx, &ec2.CreateVpcPeeringConnectionInput{VpcId: vpc, PeerVpcId: peer})).VpcPeeringConnection.VpcPeeringConnectionId, "pcx-ours")
	must[*ec2.AcceptVpcPeeringConnectionOutput](t)(client.AcceptVpcPeeringConnection(ctx, &ec2.AcceptVpcPeeringConnectionInput{VpcPeeringConnectionId: pcx}))
	waitFor(t, func() bool {
		list := must[*ec2.DescribeVpcPeeringConnectionsOutput](t)(client.DescribeVpcPeeringConnections(ctx, &ec2.DescribeVpcPeeringConnectionsInput{}))
		return list.VpcPeeringConnections[0].Status.Code == types.VpcPeeringConnectionStateReasonCodeActive
	})
	route(custom, "10.9.0.0/16", func(in *ec2.CreateRouteInput) { in.VpcPeeringConnectionId = pcx })

	group := func(of *string, as string) *string {
		return name(must[*ec2.CreateSecurityGroupOutput](t)(client.CreateSecurityGroup(ctx, &ec2.CreateSecurityGroupInput{VpcId: of, GroupName: aws.String(as[3:]), Description: aws.String("d")})).GroupId, as)
	}
	web, db, theirs := group(vpc, "sg-web"), group(vpc, "sg-db"), group(peer, "sg-theirs")
	allow := func(into *string, permissions ...types.IpPermission) {
		must[*ec2.AuthorizeSecurityGroupIngressOutput](t)(client.AuthorizeSecurityGroupIngress(ctx, &ec2.AuthorizeSecurityGroupIngressInput{GroupId: into, IpPermissions: permissions}))
	}
	allow(web, types.IpPermission{IpProtocol: aws.String("tcp"), FromPort: aws.Int32(80), ToPort: aws.Int32(80), IpRanges: []types.IpRange{{CidrIp: aws.String("0.0.0.0/0")}, {CidrIp: aws.String("192.0.2.0/24")}}})
	allow(db, types.IpPermission{IpProtocol: aws.String("tcp"), FromPort: aws.Int32(5432), ToPort: aws.Int32(5432), UserIdGroupPairs: []types.UserIdGroupPair{{GroupId: web}, {GroupId: theirs}}})
	eni := func(in *string, address, as string, groups ...string) *string {
		return name(must[*ec2.CreateNetworkInterfaceOutput](t)(client.CreateNetworkInterface(ctx, &ec2.CreateNetworkInterfaceInput{SubnetId: in, PrivateIpAddress: aws.String(address), Groups: groups})).NetworkInterface.NetworkInterfaceId, as)
	}
	front := eni(public, "10.0.1.10", "eni-web", *web)
	eni(private, "10.0.2.10", "eni-db", *db)
	eni(far, "10.9.1.10", "eni-far", *theirs)
	second := must[*ec2.AllocateAddressOutput](t)(client.AllocateAddress(ctx, &ec2.AllocateAddressInput{Address: aws.String("198.18.9.10")}))
	must[*ec2.AssociateAddressOutput](t)(client.AssociateAddress(ctx, &ec2.AssociateAddressInput{AllocationId: second.AllocationId, NetworkInterfaceId: front}))
	name(must[*ec2.CreateVpcEndpointOutput](t)(client.CreateVpcEndpoint(ctx, &ec2.CreateVpcEndpointInput{VpcId: vpc, ServiceName: aws.String("com.amazonaws.us-east-1.s3"), RouteTableIds: []string{*custom}})).VpcEndpoint.VpcEndpointId, "vpce-s3")

	text := settledText(t, s, *vpc)
	for id, as := range names {
		text = strings.ReplaceAll(text, id, as)
	}
	text = idText.ReplaceAllStringFunc(text, func(id string) string {
		return id[:strings.Index(id, "-")] + "-default"
	})
	text = sortedBlocks(t, text)
	golden := filepath.Join("testdata", "wanted_network.json")
	if *rewrite {
		if err := os.WriteFile(golden, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want := string(must[[]byte](t)(os.ReadFile(golden)))
	if text != want {
		t.Errorf("the wanted network differs from %s (-update rewrites it):\n%s", golden, text)
	}
}

// sortedBlocks brings the lists, whose order follows random ids, into the order of their names.
func sortedBlocks(t *testing.T, text string) string {
	t.Helper()
	var value map[string]any
	if err := json.Unmarshal([]byte(text), &value); err != nil {
		t.Fatal(err)
	}
	for _, list := range value {
		blocks, ok := list.([]any)
		if !ok {
			continue
		}
		key := func(i int) string {
			if block, is := blocks[i].(map[string]any); is {
				raw, _ := json.Marshal(block)
				id, _ := block["id"].(string)
				return id + string(raw)
			}
			return ""
		}
		for i := range blocks {
			for j := i; j > 0 && key(j) < key(j-1); j-- {
				blocks[j], blocks[j-1] = blocks[j-1], blocks[j]
			}
		}
	}
	raw, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return string(raw) + "\n"
}

func waitFor(t testing.TB, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if holds() {
			return
		}
	}
	t.Fatal("it did not come true in 10 s")
}

// TestNetworksComeAndGo: the network of a VPC is there once the VPC is available, and gone after it was deleted.
func TestNetworksComeAndGo(t *testing.T) {
	_, client, network := newCloud(t)
	ctx := context.Background()
	has := func(id string) bool {
		for _, v := range must[[]backend.ObservedVPC](t)(network.ListVPCs(ctx)) {
			if v.ID == id {
				return true
			}
		}
		return false
	}
	made := must[*ec2.CreateVpcOutput](t)(client.CreateVpc(ctx, &ec2.CreateVpcInput{CidrBlock: aws.String("10.0.0.0/16")})).Vpc
	if made.State != types.VpcStatePending {
		t.Errorf("a new VPC is %s", made.State)
	}
	waitFor(t, func() bool {
		list := must[*ec2.DescribeVpcsOutput](t)(client.DescribeVpcs(ctx, &ec2.DescribeVpcsInput{VpcIds: []string{*made.VpcId}}))
		return list.Vpcs[0].State == types.VpcStateAvailable
	})
	if !has(*made.VpcId) {
		t.Error("the VPC is available and has no network")
	}
	must[*ec2.DeleteVpcOutput](t)(client.DeleteVpc(ctx, &ec2.DeleteVpcInput{VpcId: made.VpcId}))
	waitFor(t, func() bool { return !has(*made.VpcId) })
}

// TestUnknownRegion: nothing is made for a region that AWS does not have.
func TestUnknownRegion(t *testing.T) {
	_, client, network := newCloud(t)
	ctx := context.Background()
	_, err := client.DescribeVpcs(ctx, &ec2.DescribeVpcsInput{}, func(o *ec2.Options) { o.Region = "mars-north-1" })
	var api smithy.APIError
	if !errors.As(err, &api) || api.ErrorCode() != "AuthFailure" {
		t.Errorf("a region that is none: %v", err)
	}
	if list := must[[]backend.ObservedVPC](t)(network.ListVPCs(ctx)); len(list) > 0 {
		t.Errorf("networks of it: %v", list)
	}
}
