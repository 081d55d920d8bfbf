package ssm

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"miniaws/awsapi"
)

func associationARN(r *awsapi.Request, id string) string {
	return "arn:aws:ssm:" + r.Region + ":" + r.Principal.Account + ":association/" + id
}

// applies is what whoever has a document applied to instances needs for both. Those that tags name are any: instances that come
// later are among them.
func applies(r *awsapi.Request, action string, document, instance *string, targets []types.Target) ([]awsapi.Access, error) {
	var wanted []awsapi.Access
	if aws.ToString(document) != "" {
		arn, err := documentARN(r, *document)
		if err != nil {
			return nil, err
		}
		wanted = append(wanted, awsapi.Access{Action: action, Resources: []string{arn}})
	}
	ids := []string{}
	if aws.ToString(instance) != "" {
		ids = append(ids, *instance)
	}
	for _, t := range targets {
		if aws.ToString(t.Key) == "InstanceIds" {
			ids = append(ids, t.Values...)
		} else {
			ids = append(ids, "*")
		}
	}
	for _, id := range ids {
		wanted = append(wanted, awsapi.Access{Action: action, Resources: []string{instanceARN(r, id)}})
	}
	return wanted, nil
}

// createAssociationAccess asks for the association that is to be and its tags, for the document, and for the instances.
func createAssociationAccess(ctx context.Context, in *api.CreateAssociationInput) ([]awsapi.Access, error) {
	const action = "ssm:CreateAssociation"
	r := awsapi.FromContext(ctx)
	made := []string{associationARN(r, "*")}
	conditions := map[string][]string{}
	tagConditions(conditions, in.Tags)
	wanted := []awsapi.Access{{Action: action, Resources: made, Conditions: conditions}}
	if len(in.Tags) > 0 {
		tagging := map[string][]string{}
		tagConditions(tagging, in.Tags)
		wanted = append(wanted, awsapi.Access{Action: "ssm:AddTagsToResource", Resources: made, Conditions: tagging})
	}
	more, err := applies(r, action, in.Name, in.InstanceId, in.Targets)
	return append(wanted, more...), err
}

// updateAssociationAccess asks for the association, also to see it, and for what it is to be applied to.
// AWS: "UpdateAssociation": ssm:DescribeAssociation is needed, too.
func updateAssociationAccess(ctx context.Context, in *api.UpdateAssociationInput) ([]awsapi.Access, error) {
	const action = "ssm:UpdateAssociation"
	r := awsapi.FromContext(ctx)
	own := []string{associationARN(r, aws.ToString(in.AssociationId))}
	more, err := applies(r, action, in.Name, nil, in.Targets)
	return append([]awsapi.Access{{Action: action, Resources: own}, {Action: "ssm:DescribeAssociation", Resources: own}}, more...), err
}

// onAssociation asks for an association, or for the document and the instance that name one.
func onAssociation[In any](action string, names func(*In) (id, document, instance *string)) func(context.Context, *In) ([]awsapi.Access, error) {
	return func(ctx context.Context, in *In) ([]awsapi.Access, error) {
		r := awsapi.FromContext(ctx)
		id, document, instance := names(in)
		if aws.ToString(id) != "" || aws.ToString(document) == "" || aws.ToString(instance) == "" {
			return []awsapi.Access{{Action: action, Resources: []string{associationARN(r, aws.ToString(id))}}}, nil
		}
		return applies(r, action, document, instance, nil)
	}
}

func startAssociationsAccess(ctx context.Context, in *api.StartAssociationsOnceInput) ([]awsapi.Access, error) {
	access := awsapi.Access{Action: "ssm:StartAssociationsOnce"}
	for _, id := range in.AssociationIds {
		access.Resources = append(access.Resources, associationARN(awsapi.FromContext(ctx), id))
	}
	return []awsapi.Access{access}, nil
}

// onManaged asks for an instance.
func onManaged[In any](action string, id func(*In) *string) func(context.Context, *In) ([]awsapi.Access, error) {
	return func(ctx context.Context, in *In) ([]awsapi.Access, error) {
		return []awsapi.Access{{Action: action, Resources: []string{instanceARN(awsapi.FromContext(ctx), aws.ToString(id(in)))}}}, nil
	}
}
