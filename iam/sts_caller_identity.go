package iam

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"miniaws/awsapi"
)

// noPermission declares an operation that every known caller may use, whatever any policy says.
// AWS: "GetCallerIdentity" in the STS API reference: "No permissions are required to perform this operation."
func noPermission(context.Context, *sts.GetCallerIdentityInput) ([]awsapi.Access, error) {
	return nil, nil
}

// GetCallerIdentity answers who signed the call.
func (s *Service) GetCallerIdentity(ctx context.Context, _ *sts.GetCallerIdentityInput) (*sts.GetCallerIdentityOutput, error) {
	caller := awsapi.FromContext(ctx).Principal
	return &sts.GetCallerIdentityOutput{
		Account: aws.String(caller.Account),
		Arn:     aws.String(caller.ARN),
		UserId:  aws.String(caller.ID),
	}, nil
}
