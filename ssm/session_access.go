package ssm

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/ssm"

	"miniaws/awsapi"
	"miniaws/backend/store"
)

// instanceARN is that of an EC2 instance.
func instanceARN(r *awsapi.Request, id string) string {
	return "arn:aws:ec2:" + r.Region + ":" + r.Principal.Account + ":instance/" + id
}

// startSessionAccess asks for the instance, and for the document where the caller names one.
// AWS: "Enforce a session document permission check for the AWS CLI".
func startSessionAccess(ctx context.Context, in *api.StartSessionInput) ([]awsapi.Access, error) {
	r := awsapi.FromContext(ctx)
	conditions := map[string][]string{"ssm:SessionDocumentAccessCheck": {"true"}}
	wanted := []awsapi.Access{{Action: "ssm:StartSession", Resources: []string{instanceARN(r, aws.ToString(in.Target))}, Conditions: conditions}}
	if name := aws.ToString(in.DocumentName); name != "" {
		arn, err := documentARN(r, name)
		if err != nil {
			return nil, err
		}
		wanted = append(wanted, awsapi.Access{Action: "ssm:StartSession", Resources: []string{arn}, Conditions: conditions})
	}
	return wanted, nil
}

// connectionStatusAccess asks for the instance.
func connectionStatusAccess(ctx context.Context, in *api.GetConnectionStatusInput) ([]awsapi.Access, error) {
	return []awsapi.Access{{Action: "ssm:GetConnectionStatus", Resources: []string{instanceARN(awsapi.FromContext(ctx), aws.ToString(in.Target))}}}, nil
}

// onSession asks for a session, whose tag has the id of who began it.
// AWS: "Additional sample IAM policies for Session Manager".
func onSession[In any](s *Service, action string, id func(*In) *string) func(context.Context, *In) ([]awsapi.Access, error) {
	return func(ctx context.Context, in *In) ([]awsapi.Access, error) {
		r, name := awsapi.FromContext(ctx), aws.ToString(id(in))
		access := awsapi.Access{Action: action, Resources: []string{"arn:aws:ssm:" + r.Region + ":" + r.Principal.Account + ":session/" + name}, Conditions: map[string][]string{}}
		return []awsapi.Access{access}, s.config.DB.View(ctx, func(t store.Tx) error {
			record, err := sessionRecords.In(t, callOf(ctx).scope).Find(name)
			if record != nil {
				access.Conditions["ssm:resourceTag/aws:ssmmessages:session-id"] = []string{record.OwnerID}
				access.Conditions["ssm:resourceTag/aws:ssmmessages:target-id"] = []string{record.Target}
			}
			return err
		})
	}
}

// sendCommandAccess asks for the document and for every instance that is named.
func (s *Service) sendCommandAccess(ctx context.Context, in *api.SendCommandInput) ([]awsapi.Access, error) {
	r := awsapi.FromContext(ctx)
	arn, err := documentARN(r, aws.ToString(in.DocumentName))
	if err != nil {
		return nil, err
	}
	wanted := []awsapi.Access{{Action: "ssm:SendCommand", Resources: []string{arn}}}
	ids := in.InstanceIds
	if len(in.Targets) > 0 {
		// Whom tags name is known only here; what is not there is refused by the handler.
		found, err := s.targets(ctx, callOf(ctx), in.InstanceIds, in.Targets)
		if err != nil {
			return nil, err
		}
		for _, m := range found {
			ids = append(ids, m.ID)
		}
	}
	for _, id := range ids {
		wanted = append(wanted, awsapi.Access{Action: "ssm:SendCommand", Resources: []string{instanceARN(r, id)}})
	}
	return wanted, nil
}
