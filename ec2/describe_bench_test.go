package ec2

import (
	"context"
	"fmt"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"miniaws/backend/store"
)

// stocked is a service with 10,000 security groups and 10,000 interfaces, in ten VPCs.
func stocked(b *testing.B) (*ec2.Client, []string) {
	s, client, _ := newCloud(b)
	ctx := context.Background()
	var ids []string
	for i := range 10 {
		made, err := client.CreateVpc(ctx, &ec2.CreateVpcInput{CidrBlock: aws.String(fmt.Sprintf("10.%d.0.0/16", i))})
		if err != nil {
			b.Fatal(err)
		}
		ids = append(ids, *made.Vpc.VpcId)
	}
	scope := store.Scope{Account: testAccount, Region: "us-east-1"}
	for i := range 10000 {
		err := s.updateIn(ctx, scope, func(t tx) error {
			vpc := ids[i%10]
			g := &securityGroup{resource: resource{ID: t.NewID("sg-"), Tags: map[string]string{"Name": fmt.Sprint("group", i)}}, VPC: vpc, Name: fmt.Sprint("group", i), Description: "one of many"}
			for p := range int32(4) {
				g.Rules = append(g.Rules, securityRule{ID: t.NewID("sgr-"), Protocol: "tcp", From: p, To: p, CIDR: "10.0.0.0/8"})
			}
			if err := securityGroups.insert(t, g); err != nil {
				return err
			}
			return interfaces.insert(t, &networkInterface{
				resource: resource{ID: t.NewID("eni-"), Tags: map[string]string{"Name": fmt.Sprint("eni", i)}}, VPC: vpc, Subnet: "subnet-" + vpc[4:], Zone: "us-east-1a", MAC: newMAC(),
				Type: types.NetworkInterfaceTypeInterface, Groups: []string{g.ID}, SourceDestCheck: true,
				Addresses: []interfaceAddress{{Private: fmt.Sprintf("10.%d.%d.%d", i%10, i/250, i%250)}},
			})
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	b.ResetTimer()
	return client, ids
}

func benchmarkGroups(b *testing.B, want int, filters ...types.Filter) {
	client, _ := stocked(b)
	for b.Loop() {
		list, err := client.DescribeSecurityGroups(context.Background(), &ec2.DescribeSecurityGroupsInput{Filters: filters})
		if err != nil || len(list.SecurityGroups) != want {
			b.Fatal(len(list.SecurityGroups), err)
		}
	}
}

func BenchmarkDescribeSecurityGroupsByName(b *testing.B) {
	benchmarkGroups(b, 1, types.Filter{Name: aws.String("group-name"), Values: []string{"group77"}})
}

func BenchmarkDescribeSecurityGroupsByTag(b *testing.B) {
	benchmarkGroups(b, 1, types.Filter{Name: aws.String("tag:Name"), Values: []string{"group77"}})
}

func benchmarkInterfaces(b *testing.B, want int, filters ...types.Filter) {
	client, _ := stocked(b)
	for b.Loop() {
		list, err := client.DescribeNetworkInterfaces(context.Background(), &ec2.DescribeNetworkInterfacesInput{Filters: filters})
		if err != nil || len(list.NetworkInterfaces) != want {
			b.Fatal(len(list.NetworkInterfaces), err)
		}
	}
}

func BenchmarkDescribeInterfacesByAddress(b *testing.B) {
	benchmarkInterfaces(b, 1, types.Filter{Name: aws.String("private-ip-address"), Values: []string{"10.7.0.77"}})
}

func BenchmarkDescribeInterfacesByTag(b *testing.B) {
	benchmarkInterfaces(b, 1, types.Filter{Name: aws.String("tag:Name"), Values: []string{"eni77"}})
}

// What no index answers: all records are looked at.
func BenchmarkDescribeSecurityGroupsByWildcard(b *testing.B) {
	benchmarkGroups(b, 1, types.Filter{Name: aws.String("group-name"), Values: []string{"group77?7"}}, types.Filter{Name: aws.String("description"), Values: []string{"one of many"}}, types.Filter{Name: aws.String("tag-value"), Values: []string{"group7777"}})
}

func BenchmarkDescribeInterfacesByMACAndStatus(b *testing.B) {
	benchmarkInterfaces(b, 1, types.Filter{Name: aws.String("status"), Values: []string{"available"}}, types.Filter{Name: aws.String("tag:Name"), Values: []string{"eni777?", "none"}}, types.Filter{Name: aws.String("tag-value"), Values: []string{"eni7777"}})
}

// launched is a service with 10,000 instances of three subnets, a hundred to a reservation.
func launched(b *testing.B) *ec2.Client {
	_, client, _ := newCloud(b)
	ctx := context.Background()
	images, err := client.DescribeImages(ctx, &ec2.DescribeImagesInput{Filters: []types.Filter{{Name: aws.String("name"), Values: []string{"debian-12-amd64-*"}}}})
	if err != nil || len(images.Images) == 0 {
		b.Fatal(images, err)
	}
	subnets, err := client.DescribeSubnets(ctx, &ec2.DescribeSubnetsInput{Filters: []types.Filter{{Name: aws.String("availability-zone"), Values: []string{"us-east-1a", "us-east-1b", "us-east-1c"}}}})
	if err != nil || len(subnets.Subnets) < 3 {
		b.Fatal(subnets, err)
	}
	for i := range 100 {
		typ := types.InstanceTypeT3Micro
		if i == 77 {
			typ = types.InstanceTypeM5Large
		}
		_, err := client.RunInstances(ctx, &ec2.RunInstancesInput{
			ImageId: images.Images[0].ImageId, InstanceType: typ, MinCount: aws.Int32(100), MaxCount: aws.Int32(100), SubnetId: subnets.Subnets[i%3].SubnetId,
			TagSpecifications: []types.TagSpecification{{ResourceType: types.ResourceTypeInstance, Tags: []types.Tag{{Key: aws.String("Name"), Value: aws.String(fmt.Sprint("fleet", i))}}}},
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	b.ResetTimer()
	return client
}

func benchmarkInstances(b *testing.B, want int, filters ...types.Filter) {
	client := launched(b)
	for b.Loop() {
		list, err := client.DescribeInstances(context.Background(), &ec2.DescribeInstancesInput{Filters: filters})
		if err != nil {
			b.Fatal(err)
		}
		found := 0
		for _, r := range list.Reservations {
			found += len(r.Instances)
		}
		if found != want {
			b.Fatal(found)
		}
	}
}

func BenchmarkDescribeInstancesByTag(b *testing.B) {
	benchmarkInstances(b, 100, types.Filter{Name: aws.String("tag:Name"), Values: []string{"fleet77"}})
}

func BenchmarkDescribeInstancesByAddress(b *testing.B) {
	benchmarkInstances(b, 0, types.Filter{Name: aws.String("private-ip-address"), Values: []string{"10.9.9.9"}})
}

func BenchmarkDescribeInstancesByType(b *testing.B) {
	benchmarkInstances(b, 100, types.Filter{Name: aws.String("instance-type"), Values: []string{"m5.large"}})
}

func BenchmarkDescribeInstancesByStateAndWildcard(b *testing.B) {
	benchmarkInstances(b, 100, types.Filter{Name: aws.String("instance-state-name"), Values: []string{"pending", "running"}}, types.Filter{Name: aws.String("tag:Name"), Values: []string{"fleet7?", "none"}}, types.Filter{Name: aws.String("tag-value"), Values: []string{"fleet77"}})
}

func BenchmarkDescribeInstancesByGroupName(b *testing.B) {
	benchmarkInstances(b, 100, types.Filter{Name: aws.String("instance-type"), Values: []string{"m5.*"}}, types.Filter{Name: aws.String("instance.group-name"), Values: []string{"default"}})
}
