package ec2

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"miniaws/backend"
)

// TestNameIsThereWhenItIs: an address has its new name once the resolver of its VPC has it, not before.
func TestNameIsThereWhenItIs(t *testing.T) {
	s, client, _ := newCloud(t)
	vpc := must[*ec2.CreateVpcOutput](t)(client.CreateVpc(t.Context(), &ec2.CreateVpcInput{CidrBlock: aws.String("10.1.0.0/16")})).Vpc.VpcId
	subnet := must[*ec2.CreateSubnetOutput](t)(client.CreateSubnet(t.Context(), &ec2.CreateSubnetInput{VpcId: vpc, CidrBlock: aws.String("10.1.1.0/24")})).Subnet.SubnetId
	gateway := must[*ec2.CreateInternetGatewayOutput](t)(client.CreateInternetGateway(t.Context(), &ec2.CreateInternetGatewayInput{})).InternetGateway.InternetGatewayId
	must[*ec2.AttachInternetGatewayOutput](t)(client.AttachInternetGateway(t.Context(), &ec2.AttachInternetGatewayInput{InternetGatewayId: gateway, VpcId: vpc}))
	eni := must[*ec2.CreateNetworkInterfaceOutput](t)(client.CreateNetworkInterface(t.Context(), &ec2.CreateNetworkInterfaceInput{SubnetId: subnet})).NetworkInterface.NetworkInterfaceId
	address := must[*ec2.AllocateAddressOutput](t)(client.AllocateAddress(t.Context(), &ec2.AllocateAddressInput{Domain: types.DomainTypeVpc}))
	tie := must[*ec2.AssociateAddressOutput](t)(client.AssociateAddress(t.Context(), &ec2.AssociateAddressInput{AllocationId: address.AllocationId, NetworkInterfaceId: eni}))
	name := func(x tx) string {
		a, err := elasticIPs.get(x, *address.AllocationId)
		if err != nil {
			t.Fatal(err)
		}
		return a.PTR
	}
	// In one transaction, so that the loop does not come between.
	err := s.updateIn(t.Context(), testScope, func(x tx) error {
		had := backend.WantedVPC{ID: *vpc, DNS: backend.WantedDNS{Zones: []backend.WantedZone{reverseZone(x.scope.Region, *address.PublicIp, nil)}}}
		err := elasticIPs.edit(x, *address.AllocationId, func(a *elasticIP) error {
			a.PTRUpdate = "mail.example.com."
			return settlePTR(x, a)
		})
		if err != nil {
			return err
		}
		v, err := vpcs.get(x, *vpc)
		if err != nil {
			return err
		}
		has, err := wantedNetwork(x, v, "")
		if err != nil {
			return err
		}
		for _, step := range []struct {
			applied *backend.WantedVPC
			want    string
		}{{&backend.WantedVPC{ID: "vpc-other", DNS: has.DNS}, ""}, {&had, ""}, {has, "mail.example.com."}} {
			if err := confirmPTRs(x, step.applied); err != nil {
				return err
			}
			if got := name(x); got != step.want {
				t.Errorf("a resolver of %s that has %v: %q, not %q", step.applied.ID, step.applied.DNS.Zones, got, step.want)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	// Through the loop, and for an address that leaves while its name changes.
	shown := func() types.AddressAttribute {
		return must[*ec2.DescribeAddressesAttributeOutput](t)(client.DescribeAddressesAttribute(t.Context(), &ec2.DescribeAddressesAttributeInput{AllocationIds: []string{*address.AllocationId}})).Addresses[0]
	}
	change := func(to string) {
		must[*ec2.ModifyAddressAttributeOutput](t)(client.ModifyAddressAttribute(t.Context(), &ec2.ModifyAddressAttributeInput{AllocationId: address.AllocationId, DomainName: aws.String(to)}))
	}
	change("one.example.com")
	waitFor(t, func() bool {
		return aws.ToString(shown().PtrRecord) == "one.example.com." && shown().PtrRecordUpdate == nil
	})
	change("two.example.com")
	must[*ec2.DisassociateAddressOutput](t)(client.DisassociateAddress(t.Context(), &ec2.DisassociateAddressInput{AssociationId: tie.AssociationId}))
	waitFor(t, func() bool {
		return aws.ToString(shown().PtrRecord) == "two.example.com." && shown().PtrRecordUpdate == nil
	})
	// No resolver answers for a gateway's address, so none is waited for.
	must[*ec2.CreateNatGatewayOutput](t)(client.CreateNatGateway(t.Context(), &ec2.CreateNatGatewayInput{SubnetId: subnet, AllocationId: address.AllocationId}))
	change("three.example.com")
	waitFor(t, func() bool {
		return aws.ToString(shown().PtrRecord) == "three.example.com." && shown().PtrRecordUpdate == nil
	})
}

// TestReferenceIsAvailableWhenItIs: a transit gateway's reference to a prefix list is available once the gateway has its
// routes, and gone once it has not.
func TestReferenceIsAvailableWhenItIs(t *testing.T) {
	s, client, _ := newCloud(t)
	gateway := must[*ec2.CreateTransitGatewayOutput](t)(client.CreateTransitGateway(t.Context(), &ec2.CreateTransitGatewayInput{})).TransitGateway.TransitGatewayId
	list := must[*ec2.CreateManagedPrefixListOutput](t)(client.CreateManagedPrefixList(t.Context(), &ec2.CreateManagedPrefixListInput{
		PrefixListName: aws.String("offices"), AddressFamily: aws.String("IPv4"), MaxEntries: aws.Int32(5), Entries: []types.AddPrefixListEntry{{Cidr: aws.String("10.20.0.0/16")}},
	})).PrefixList.PrefixListId
	var table *string
	waitFor(t, func() bool {
		g := must[*ec2.DescribeTransitGatewaysOutput](t)(client.DescribeTransitGateways(t.Context(), &ec2.DescribeTransitGatewaysInput{TransitGatewayIds: []string{*gateway}})).TransitGateways[0]
		table = g.Options.AssociationDefaultRouteTableId
		return g.State == types.TransitGatewayStateAvailable
	})
	err := s.updateIn(t.Context(), testScope, func(x tx) error {
		rows := transitListReferences.In(x, x.scope)
		confirm := func(applied *backend.WantedTransitGateway, want types.TransitGatewayPrefixListReferenceState) error {
			if _, err := confirmTransit(x, applied, nil); err != nil {
				return err
			}
			found, err := rows.Find(*table, *list)
			if err != nil {
				return err
			}
			var got types.TransitGatewayPrefixListReferenceState
			if found != nil {
				got = found.state()
			}
			if got != want {
				t.Errorf("with %v: %q, not %q", applied.RouteTables, got, want)
			}
			return nil
		}
		without, err := wantedTransit(x, *gateway)
		if err != nil {
			return err
		}
		if err := rows.Put(&transitListReference{Table: *table, List: *list, State: types.TransitGatewayPrefixListReferenceStatePending}); err != nil {
			return err
		}
		with, err := wantedTransit(x, *gateway)
		if err != nil {
			return err
		}
		for _, step := range []struct {
			applied *backend.WantedTransitGateway
			want    types.TransitGatewayPrefixListReferenceState
		}{{without, types.TransitGatewayPrefixListReferenceStatePending}, {with, types.TransitGatewayPrefixListReferenceStateAvailable}} {
			if err := confirm(step.applied, step.want); err != nil {
				return err
			}
		}
		if err := rows.Put(&transitListReference{Table: *table, List: *list, State: types.TransitGatewayPrefixListReferenceStateDeleting}); err != nil {
			return err
		}
		if err := confirm(with, types.TransitGatewayPrefixListReferenceStateDeleting); err != nil {
			return err
		}
		return confirm(without, "")
	})
	if err != nil {
		t.Fatal(err)
	}
}
