package ec2

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
)

// TestUnknownValues: who gives a value that an enumeration does not have is told that, and not a thousand others.
func TestUnknownValues(t *testing.T) {
	_, client, _ := newCloud(t)
	_, launch := client.RunInstances(t.Context(), &ec2.RunInstancesInput{ImageId: aws.String("ami-0123456789abcdef0"), MinCount: aws.Int32(1), MaxCount: aws.Int32(1), InstanceType: "t9.huge"})
	_, vpc := client.CreateVpc(t.Context(), &ec2.CreateVpcInput{CidrBlock: aws.String("10.0.0.0/16"), InstanceTenancy: "odd"})
	for want, err := range map[string]error{
		"api error InvalidParameterValue: Invalid value 't9.huge' for InstanceType.":             launch,
		"api error InvalidParameterValue: Value (odd) for parameter InstanceTenancy is invalid.": vpc,
	} {
		if err == nil || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
