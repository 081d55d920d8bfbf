package conformance

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"miniaws/awsapi"
	"miniaws/awsapi/meta"
)

// The generated rules fit the generated shapes: real inputs give AWS's words.
func TestValidation(t *testing.T) {
	long := strings.Repeat("x", 70) + "!"
	for _, c := range []struct {
		service *meta.Service
		op      string
		in      any
		checks  awsapi.Checks
		want    string
	}{
		{meta.IAM, "CreateRole", &iam.CreateRoleInput{RoleName: aws.String("ok"), AssumeRolePolicyDocument: aws.String("{}")}, awsapi.CheckAll, ""},
		{meta.IAM, "CreateRole", &iam.CreateRoleInput{RoleName: aws.String(long)}, awsapi.CheckAll, "ValidationError: 3 validation errors detected: " +
			"Value null at 'assumeRolePolicyDocument' failed to satisfy constraint: Member must not be null; " +
			"Value '" + long + "' at 'roleName' failed to satisfy constraint: Member must have length less than or equal to 64; " +
			"Value '" + long + "' at 'roleName' failed to satisfy constraint: Member must satisfy regular expression pattern: [\\w+=,.@-]+"},
		{meta.IAM, "CreateRole", &iam.CreateRoleInput{RoleName: aws.String("ok"), AssumeRolePolicyDocument: aws.String("{}"), MaxSessionDuration: aws.Int32(5), Tags: []iamtypes.Tag{{Value: aws.String("v")}}}, awsapi.CheckAll,
			"ValidationError: 2 validation errors detected: Value '5' at 'maxSessionDuration' failed to satisfy constraint: Member must have value greater than or equal to 3600; " +
				"Value null at 'tags.1.member.key' failed to satisfy constraint: Member must not be null"},
		{meta.SSM, "PutParameter", &ssm.PutParameterInput{Name: aws.String("/x"), Value: aws.String("v"), Type: "Strung"}, awsapi.CheckDefault,
			"ValidationException: 1 validation error detected: Value 'Strung' at 'type' failed to satisfy constraint: Member must satisfy enum value set: [String, StringList, SecureString]"},
		{meta.RDS, "DeleteDBInstance", &rds.DeleteDBInstanceInput{}, awsapi.CheckDefault, "MissingParameter: The parameter DBInstanceIdentifier must be provided and must not be blank."},
		{meta.SQS, "SendMessage", &sqs.SendMessageInput{QueueUrl: aws.String("u")}, awsapi.CheckDefault, "MissingParameter: The request must contain the parameter MessageBody"},
	} {
		got := ""
		if err := awsapi.NewCodec(c.service).Validate(c.service.Protocols[0], c.op, c.in, c.checks); err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%s\nwant\n%s", got, c.want)
		}
	}
}
