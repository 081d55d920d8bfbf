package conformance

import (
	"errors"
	"reflect"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	cloudtrail "github.com/aws/aws-sdk-go-v2/service/cloudtrail/types"
	cloudwatch "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	dlm "github.com/aws/aws-sdk-go-v2/service/dlm/types"
	ebs "github.com/aws/aws-sdk-go-v2/service/ebs/types"
	iam "github.com/aws/aws-sdk-go-v2/service/iam/types"
	rds "github.com/aws/aws-sdk-go-v2/service/rds/types"
	route53 "github.com/aws/aws-sdk-go-v2/service/route53/types"
	s3 "github.com/aws/aws-sdk-go-v2/service/s3/types"
	sqs "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	ssm "github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/aws/smithy-go"

	"miniaws/awsapi"
	"miniaws/awsapi/meta"
)

// Typed errors of the SDK are encoded with all their members; the client makes the same value of them.
func TestTypedErrors(t *testing.T) {
	gone := aws.String(`gone <&> "é"`)
	for _, c := range []struct {
		service *meta.Service
		op      string
		err     smithy.APIError
		code    string
	}{
		{meta.CloudTrail, "GetTrail", &cloudtrail.TrailNotFoundException{Message: gone}, "TrailNotFoundException"},
		{meta.CloudWatch, "ListTagsForResource", &cloudwatch.ResourceNotFoundException{Message: gone, ResourceId: aws.String("r"), ResourceType: aws.String("t")}, "ResourceNotFoundException"},
		{meta.CloudWatch, "PutDashboard", &cloudwatch.DashboardInvalidInputError{Message: gone, DashboardValidationMessages: []cloudwatch.DashboardValidationMessage{{DataPath: aws.String("p")}}}, "InvalidParameterInput"},
		{meta.DLM, "GetLifecyclePolicy", &dlm.ResourceNotFoundException{Message: gone, Code: aws.String("c"), ResourceIds: []string{"a", "b"}}, "ResourceNotFoundException"},
		{meta.EBS, "ListSnapshotBlocks", &ebs.ValidationException{Message: gone, Reason: "INVALID_PAGE_TOKEN"}, "ValidationException"},
		{meta.IAM, "GetRole", &iam.NoSuchEntityException{Message: gone}, "NoSuchEntity"},
		{meta.RDS, "DescribeDBInstances", &rds.DBInstanceNotFoundFault{Message: gone}, "DBInstanceNotFound"},
		{meta.Route53, "ChangeResourceRecordSets", &route53.InvalidChangeBatch{Messages: []string{"one", "two"}}, "InvalidChangeBatch"},
		{meta.Route53, "GetHostedZone", &route53.NoSuchHostedZone{Message: gone}, "NoSuchHostedZone"},
		{meta.S3, "GetObject", &s3.InvalidObjectState{Message: gone, StorageClass: "GLACIER", AccessTier: "ARCHIVE_ACCESS"}, "InvalidObjectState"},
		{meta.SQS, "DeleteQueue", &sqs.QueueDoesNotExist{Message: gone}, "AWS.SimpleQueueService.NonExistentQueue"},
		{meta.SSM, "GetParameter", &ssm.ParameterNotFound{Message: gone}, "ParameterNotFound"},
		{meta.SSM, "PutParameter", &ssm.HierarchyLevelLimitExceededException{Message: gone}, "HierarchyLevelLimitExceededException"},
	} {
		err := answer(c.service, c.op, c.err)
		var got smithy.APIError
		if !errors.As(err, &got) {
			t.Errorf("%s: %v", c.code, err)
			continue
		}
		if reflect.TypeOf(got) != reflect.TypeOf(c.err) {
			t.Errorf("%s: %T, want %T", c.code, got, c.err)
			continue
		}
		if got.ErrorCode() != c.code {
			t.Errorf("code %s, want %s", got.ErrorCode(), c.code)
		}
		var skip []string
		if c.code == "InvalidChangeBatch" {
			skip = []string{"Message"} // the client sets it, this error has none of its own
		}
		if d := difference(c.code, reflect.ValueOf(c.err), reflect.ValueOf(got), skip); d != "" {
			t.Error(d)
		}
	}
}

// answer calls an operation and lets it fail.
func answer(service *meta.Service, op string, fail error) error {
	for _, s := range suites {
		if s.Service != service {
			continue
		}
		client := s.client(&wireClient{codec: awsapi.NewCodec(service), op: op, fail: fail})
		in := reflect.New(client.MethodByName(op).Type().In(1).Elem())
		newFiller(service, s.Fixed).fill(in.Elem(), "")
		_, err := call(client, op, in)
		return err
	}
	return nil
}
