package conformance

import (
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/acm"
	"github.com/aws/aws-sdk-go-v2/service/applicationautoscaling"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/dlm"
	"github.com/aws/aws-sdk-go-v2/service/ebs"
	"github.com/aws/aws-sdk-go-v2/service/ec2instanceconnect"
	"github.com/aws/aws-sdk-go-v2/service/elasticache"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancing"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	"github.com/aws/aws-sdk-go-v2/service/rbin"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/resourcegroupstaggingapi"
	"github.com/aws/aws-sdk-go-v2/service/route53"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3control"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"miniaws/awsapi/meta"
)

var suites = []*Suite{
	{Service: meta.ACM, New: func(c aws.Config) any { return acm.NewFromConfig(c) }},
	{Service: meta.ApplicationAutoScaling, New: func(c aws.Config) any { return applicationautoscaling.NewFromConfig(c) }},
	{Service: meta.AutoScaling, New: func(c aws.Config) any { return autoscaling.NewFromConfig(c) }},
	{Service: meta.CloudFormation, New: func(c aws.Config) any { return cloudformation.NewFromConfig(c) }},
	{Service: meta.CloudTrail, New: func(c aws.Config) any { return cloudtrail.NewFromConfig(c) }},
	{Service: meta.CloudWatch, New: func(c aws.Config) any { return cloudwatch.NewFromConfig(c) }},
	{
		Service: meta.CloudWatchLogs, New: func(c aws.Config) any { return cloudwatchlogs.NewFromConfig(c) },
		Exceptions: []Exception{
			{Op: "GetLogObject", Out: true, Why: "answers with an event stream"},
			{Op: "StartLiveTail", Out: true, Why: "answers with an event stream"},
		},
	},
	{Service: meta.DLM, New: func(c aws.Config) any { return dlm.NewFromConfig(c) }},
	{Service: meta.EBS, New: func(c aws.Config) any { return ebs.NewFromConfig(c) }},
	{Service: meta.EC2InstanceConnect, New: func(c aws.Config) any { return ec2instanceconnect.NewFromConfig(c) }},
	{Service: meta.ElastiCache, New: func(c aws.Config) any { return elasticache.NewFromConfig(c) }},
	{Service: meta.ELB, New: func(c aws.Config) any { return elasticloadbalancing.NewFromConfig(c) }},
	{Service: meta.ELBv2, New: func(c aws.Config) any { return elasticloadbalancingv2.NewFromConfig(c) }},
	{Service: meta.EventBridge, New: func(c aws.Config) any { return eventbridge.NewFromConfig(c) }, Fixed: map[string]string{"EndpointId": "abc.def"}},
	{Service: meta.IAM, New: func(c aws.Config) any { return iam.NewFromConfig(c) }},
	{Service: meta.KMS, New: func(c aws.Config) any { return kms.NewFromConfig(c) }},
	{Service: meta.Organizations, New: func(c aws.Config) any { return organizations.NewFromConfig(c) }},
	{Service: meta.RBin, New: func(c aws.Config) any { return rbin.NewFromConfig(c) }},
	{Service: meta.RDS, New: func(c aws.Config) any { return rds.NewFromConfig(c) }, Skip: []string{"SourceRegion"}},
	{Service: meta.Tagging, New: func(c aws.Config) any { return resourcegroupstaggingapi.NewFromConfig(c) }},
	{Service: meta.Route53, New: func(c aws.Config) any { return route53.NewFromConfig(c) }},
	{
		Service: meta.S3, New: func(c aws.Config) any { return s3.NewFromConfig(c, func(o *s3.Options) { o.UsePathStyle = true }) },
		Fixed:   map[string]string{"ChecksumAlgorithm": "CRC32", "Key": "a/b c+é", "Bucket": "bucket-1"},
		Skip:    []string{"ContentLength"}, // net/http keeps it outside of the headers
		SkipOut: []string{"Expires"},       // made from ExpiresString, which has the same header
		Exceptions: []Exception{
			{Op: "ListDirectoryBuckets", In: true, Out: true, Why: "the client wants S3 Express credentials first"},
			{Op: "SelectObjectContent", Out: true, Why: "answers with an event stream"},
		},
	},
	{Service: meta.S3Control, New: func(c aws.Config) any { return s3control.NewFromConfig(c) }},
	{Service: meta.SecretsManager, New: func(c aws.Config) any { return secretsmanager.NewFromConfig(c) }},
	{Service: meta.SNS, New: func(c aws.Config) any { return sns.NewFromConfig(c) }},
	{
		Service: meta.SQS, New: func(c aws.Config) any { return sqs.NewFromConfig(c) },
		Exceptions: []Exception{
			{Op: "SendMessage", Out: true, Why: "the client checks the MD5 of what it sent"},
			{Op: "ReceiveMessage", Out: true, Why: "the client checks the MD5 of the messages"},
		},
	},
	{Service: meta.SSM, New: func(c aws.Config) any { return ssm.NewFromConfig(c) }},
	{Service: meta.STS, New: func(c aws.Config) any { return sts.NewFromConfig(c) }},
}

// A service that is added to the metadata is compared, too.
func TestEveryServiceHasASuite(t *testing.T) {
	for _, service := range meta.All {
		if service != meta.EC2 && !slices.ContainsFunc(suites, func(s *Suite) bool { return s.Service == service }) {
			t.Errorf("%s has no suite", service.Name)
		}
	}
}

func TestOperations(t *testing.T) {
	for _, s := range suites {
		t.Run(s.Service.Name, func(t *testing.T) {
			Selected(t, s.Service)
			s.Run(t)
		})
	}
}

func TestErrors(t *testing.T) {
	for _, s := range suites {
		t.Run(s.Service.Name, func(t *testing.T) {
			Selected(t, s.Service)
			s.RunErrors(t)
		})
	}
}
