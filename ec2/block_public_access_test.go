package ec2

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"miniaws/backend"
)

// TestBlockIsCompleteWhenItIs: the mode and an exclusion are complete once the networks have them, not before.
func TestBlockIsCompleteWhenItIs(t *testing.T) {
	s, client, _ := newCloud(t)
	vpc := must[*ec2.CreateVpcOutput](t)(client.CreateVpc(t.Context(), &ec2.CreateVpcInput{CidrBlock: aws.String("10.1.0.0/16")})).Vpc.VpcId
	subnet := must[*ec2.CreateSubnetOutput](t)(client.CreateSubnet(t.Context(), &ec2.CreateSubnetInput{VpcId: vpc, CidrBlock: aws.String("10.1.1.0/24")})).Subnet.SubnetId
	// In one transaction, so that the loop does not come between.
	err := s.updateIn(t.Context(), testScope, func(x tx) error {
		p := &publicAccess{ID: publicAccessID, Mode: types.InternetGatewayBlockModeBlockBidirectional, Updating: true, Waiting: []string{*vpc}}
		exclusion := &accessExclusion{resource: resource{ID: "vpcbpa-exclude-1"}, Target: *subnet, VPC: *vpc, Mode: types.InternetGatewayExclusionModeAllowEgress, State: types.VpcBlockPublicAccessExclusionStateCreateInProgress}
		if err := publicAccesses.In(x, x.scope).Put(p); err != nil {
			return err
		}
		if err := accessExclusions.put(x, exclusion); err != nil {
			return err
		}
		if err := confirmAccess(x, &backend.WantedVPC{ID: *vpc}); err != nil {
			return err
		}
		if e, err := accessExclusions.get(x, exclusion.ID); err != nil || e.State != types.VpcBlockPublicAccessExclusionStateCreateInProgress {
			t.Errorf("a network without the subnet: exclusion %v, %v", e, err)
		}
		// The mode has nothing to wait for in a network without subnets.
		if err := publicAccesses.In(x, x.scope).Put(p); err != nil {
			return err
		}
		for _, step := range []struct {
			has      backend.InternetAccess
			complete bool
		}{{backend.InternetOpen, false}, {backend.InternetBlocked, false}, {backend.InternetOutward, true}} {
			if err := confirmAccess(x, &backend.WantedVPC{ID: *vpc, Subnets: []backend.WantedSubnet{{ID: *subnet, Internet: step.has}}}); err != nil {
				return err
			}
			p, err := publicAccessOf(x)
			if err != nil {
				return err
			}
			e, err := accessExclusions.get(x, exclusion.ID)
			if err != nil {
				return err
			}
			if p.Updating == step.complete || (e.State == types.VpcBlockPublicAccessExclusionStateCreateComplete) != step.complete {
				t.Errorf("a network that is %v: updating %v, exclusion %s", step.has, p.Updating, e.State)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	must[*ec2.ModifyVpcBlockPublicAccessOptionsOutput](t)(client.ModifyVpcBlockPublicAccessOptions(t.Context(), &ec2.ModifyVpcBlockPublicAccessOptionsInput{InternetGatewayBlockMode: types.InternetGatewayBlockModeBlockIngress}))
	waitFor(t, func() bool {
		shown := must[*ec2.DescribeVpcBlockPublicAccessOptionsOutput](t)(client.DescribeVpcBlockPublicAccessOptions(t.Context(), &ec2.DescribeVpcBlockPublicAccessOptionsInput{}))
		return shown.VpcBlockPublicAccessOptions.State == types.VpcBlockPublicAccessStateUpdateComplete
	})
}

// TestHoursOfEventWindows: a cron expression opens at least two hours at a time.
func TestHoursOfEventWindows(t *testing.T) {
	for text, good := range map[string]bool{
		"* 21-23,0-4 * * SUN,MON": true, "* 0-3 * * *": true, "* 23 * * SAT": false, "* 1,5,9,13 * * SUN": false, "* 1-2,9 * * SUN": false,
	} {
		if _, err := cronHours(text); (err == nil) != good {
			t.Errorf("%s: %v", text, err)
		}
	}
}
