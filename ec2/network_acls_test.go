package ec2

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// TestActionsOfEntriesInCapitals: what an entry does may be written in any case, and is shown in small letters.
func TestActionsOfEntriesInCapitals(t *testing.T) {
	_, client, _ := newCloud(t)
	vpc := must[*ec2.CreateVpcOutput](t)(client.CreateVpc(t.Context(), &ec2.CreateVpcInput{CidrBlock: aws.String("10.0.0.0/16")})).Vpc.VpcId
	acl := must[*ec2.CreateNetworkAclOutput](t)(client.CreateNetworkAcl(t.Context(), &ec2.CreateNetworkAclInput{VpcId: vpc})).NetworkAcl.NetworkAclId
	entry := func(number int32, action types.RuleAction) error {
		_, err := client.CreateNetworkAclEntry(t.Context(), &ec2.CreateNetworkAclEntryInput{
			NetworkAclId: acl, RuleNumber: aws.Int32(number), Egress: aws.Bool(false), Protocol: aws.String("-1"), RuleAction: action, CidrBlock: aws.String("10.0.0.0/8"),
		})
		return err
	}
	for number, action := range map[int32]types.RuleAction{1: "Allow", 2: "DENY", 3: "allow"} {
		if err := entry(number, action); err != nil {
			t.Error(err)
		}
	}
	wantCode(t, entry(4, "allowed"), "InvalidParameterValue")
	shown := must[*ec2.DescribeNetworkAclsOutput](t)(client.DescribeNetworkAcls(t.Context(), &ec2.DescribeNetworkAclsInput{NetworkAclIds: []string{*acl}})).NetworkAcls[0]
	for _, e := range shown.Entries {
		want := map[int32]types.RuleAction{1: types.RuleActionAllow, 2: types.RuleActionDeny, 3: types.RuleActionAllow}[*e.RuleNumber]
		if want != "" && e.RuleAction != want {
			t.Errorf("%d: %s", *e.RuleNumber, e.RuleAction)
		}
	}
}

// TestDetachFromWhatWasIsTold: a gateway that is attached to nothing is not attached to a VPC that is gone either.
func TestDetachFromWhatWasIsTold(t *testing.T) {
	_, client, _ := newCloud(t)
	gateway := must[*ec2.CreateInternetGatewayOutput](t)(client.CreateInternetGateway(t.Context(), &ec2.CreateInternetGatewayInput{})).InternetGateway.InternetGatewayId
	for id, code := range map[string]string{"vpc-0123456789abcdef0": "Gateway.NotAttached", "odd": "InvalidVpcID.NotFound"} {
		_, err := client.DetachInternetGateway(t.Context(), &ec2.DetachInternetGatewayInput{InternetGatewayId: gateway, VpcId: aws.String(id)})
		wantCode(t, err, code)
	}
	_, err := client.DescribeRouteTables(t.Context(), &ec2.DescribeRouteTablesInput{RouteTableIds: []string{"vpc-00000000"}})
	wantCode(t, err, "InvalidRouteTableID.NotFound")
}
