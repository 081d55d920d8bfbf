package ec2

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// TestAddressTargets: an instance counts more than the interface of another one, and one of its own interfaces says which.
func TestAddressTargets(t *testing.T) {
	s, client, _ := newCloud(t)
	first, _ := launchGuest(t, s, client, &ec2.RunInstancesInput{})
	second, _ := launchGuest(t, s, client, &ec2.RunInstancesInput{})
	eip := must[*ec2.AllocateAddressOutput](t)(client.AllocateAddress(t.Context(), &ec2.AllocateAddressInput{}))
	for _, c := range []struct{ instance, other types.Instance }{{first, second}, {second, first}, {second, second}} {
		must[*ec2.AssociateAddressOutput](t)(client.AssociateAddress(t.Context(), &ec2.AssociateAddressInput{
			AllocationId: eip.AllocationId, InstanceId: c.instance.InstanceId, NetworkInterfaceId: c.other.NetworkInterfaces[0].NetworkInterfaceId,
		}))
		shown := must[*ec2.DescribeAddressesOutput](t)(client.DescribeAddresses(t.Context(), &ec2.DescribeAddressesInput{AllocationIds: []string{*eip.AllocationId}})).Addresses[0]
		if *shown.InstanceId != *c.instance.InstanceId {
			t.Errorf("%s has it, not %s", *shown.InstanceId, *c.instance.InstanceId)
		}
	}
}
