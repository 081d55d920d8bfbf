package ec2

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"miniaws/awsapi/conformance"
	"miniaws/awsapi/meta"
)

var suite = &conformance.Suite{
	Service: meta.EC2,
	New:     func(c aws.Config) any { return ec2.NewFromConfig(c) },
	Exceptions: []conformance.Exception{
		{Op: "CopySnapshot", Skip: []string{"PresignedUrl"}, Why: "the client signs the URL itself"},
	},
}

func TestOperations(t *testing.T) {
	conformance.Selected(t, suite.Service)
	suite.Run(t)
}

func TestErrors(t *testing.T) {
	conformance.Selected(t, suite.Service)
	suite.RunErrors(t)
}
