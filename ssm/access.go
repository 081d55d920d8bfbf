package ssm

import (
	"context"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/arn"
	api "github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"miniaws/awsapi"
	"miniaws/backend/store"
)

// AWS: "Actions, resources, and condition keys for AWS Systems Manager" in the service authorization reference.

// parameterARN is the ARN of a parameter: a leading slash of the name is the one of the ARN. Public ones have no account.
func parameterARN(region, account, name string) string {
	if strings.HasPrefix(name, publicPrefix) {
		account = ""
	}
	return "arn:aws:ssm:" + region + ":" + account + ":parameter/" + strings.TrimPrefix(name, "/")
}

// plainName is the name in what a caller may say instead of a name: an ARN, and a selector of a version or label.
func plainName(name string) string {
	name, _ = splitSelector(name)
	return name
}

// splitSelector splits "name:3" or "name:label"; an ARN is taken for the name in it.
func splitSelector(name string) (plain, selector string) {
	if strings.HasPrefix(name, "arn:") {
		parts := strings.SplitN(name, ":", 6)
		if len(parts) == 6 {
			rest, ok := strings.CutPrefix(parts[5], "parameter/")
			if ok {
				plain, selector, _ = strings.Cut(rest, ":")
				if strings.Contains(plain, "/") {
					plain = "/" + plain // only a path has further slashes
				}
				return plain, selector
			}
		}
	}
	plain, selector, _ = strings.Cut(name, ":")
	return plain, selector
}

// namesOwn tells whether a name is not the ARN of something in another account or region: parameters are shared with nobody.
// Public parameters belong to no account.
func namesOwn(scope store.Scope, name string) bool {
	if !strings.HasPrefix(name, "arn:") {
		return true
	}
	a, err := arn.Parse(name)
	return err == nil && a.Service == "ssm" && a.Region == scope.Region && (a.AccountID == scope.Account || a.AccountID == "")
}

func on(ctx context.Context, action string, conditions map[string][]string, names ...string) ([]awsapi.Access, error) {
	r := awsapi.FromContext(ctx)
	access := awsapi.Access{Action: action, Conditions: conditions}
	for _, name := range names {
		access.Resources = append(access.Resources, parameterARN(r.Region, r.Principal.Account, plainName(name)))
	}
	return []awsapi.Access{access}, nil
}

func putAccess(ctx context.Context, in *api.PutParameterInput) ([]awsapi.Access, error) {
	conditions := map[string][]string{"ssm:Overwrite": {strconv.FormatBool(aws.ToBool(in.Overwrite))}}
	if in.Policies != nil {
		conditions["ssm:Policies"] = []string{*in.Policies}
	}
	tagConditions(conditions, in.Tags)
	wanted, err := on(ctx, "ssm:PutParameter", conditions, aws.ToString(in.Name))
	if len(in.Tags) > 0 {
		tagging := map[string][]string{}
		tagConditions(tagging, in.Tags)
		wanted = append(wanted, awsapi.Access{Action: "ssm:AddTagsToResource", Resources: wanted[0].Resources, Conditions: tagging})
	}
	return wanted, err
}

func tagConditions(conditions map[string][]string, tags []types.Tag) {
	for _, tag := range tags {
		conditions["aws:RequestTag/"+aws.ToString(tag.Key)] = []string{aws.ToString(tag.Value)}
		conditions["aws:TagKeys"] = append(conditions["aws:TagKeys"], aws.ToString(tag.Key))
	}
}

func getAccess(ctx context.Context, in *api.GetParameterInput) ([]awsapi.Access, error) {
	return on(ctx, "ssm:GetParameter", nil, aws.ToString(in.Name))
}

func getManyAccess(ctx context.Context, in *api.GetParametersInput) ([]awsapi.Access, error) {
	return on(ctx, "ssm:GetParameters", nil, in.Names...)
}

func byPathAccess(ctx context.Context, in *api.GetParametersByPathInput) ([]awsapi.Access, error) {
	conditions := map[string][]string{"ssm:Recursive": {strconv.FormatBool(aws.ToBool(in.Recursive))}}
	return on(ctx, "ssm:GetParametersByPath", conditions, aws.ToString(in.Path))
}

func historyAccess(ctx context.Context, in *api.GetParameterHistoryInput) ([]awsapi.Access, error) {
	return on(ctx, "ssm:GetParameterHistory", nil, aws.ToString(in.Name))
}

func describeAccess(context.Context, *api.DescribeParametersInput) ([]awsapi.Access, error) {
	return []awsapi.Access{{Action: "ssm:DescribeParameters"}}, nil
}

func labelAccess(ctx context.Context, in *api.LabelParameterVersionInput) ([]awsapi.Access, error) {
	return on(ctx, "ssm:LabelParameterVersion", nil, aws.ToString(in.Name))
}

func unlabelAccess(ctx context.Context, in *api.UnlabelParameterVersionInput) ([]awsapi.Access, error) {
	return on(ctx, "ssm:UnlabelParameterVersion", nil, aws.ToString(in.Name))
}

func deleteAccess(ctx context.Context, in *api.DeleteParameterInput) ([]awsapi.Access, error) {
	return on(ctx, "ssm:DeleteParameter", nil, aws.ToString(in.Name))
}

func deleteManyAccess(ctx context.Context, in *api.DeleteParametersInput) ([]awsapi.Access, error) {
	return on(ctx, "ssm:DeleteParameters", nil, in.Names...)
}

// onTagged asks for a parameter, document or association.
func onTagged(ctx context.Context, action string, conditions map[string][]string, kind types.ResourceTypeForTagging, id *string) ([]awsapi.Access, error) {
	if kind == types.ResourceTypeForTaggingDocument {
		arn, err := documentARN(awsapi.FromContext(ctx), aws.ToString(id))
		if err != nil {
			return nil, errInvalidResourceID()
		}
		return []awsapi.Access{{Action: action, Resources: []string{arn}, Conditions: conditions}}, nil
	}
	if kind == types.ResourceTypeForTaggingAssociation {
		return []awsapi.Access{{Action: action, Resources: []string{associationARN(awsapi.FromContext(ctx), aws.ToString(id))}, Conditions: conditions}}, nil
	}
	return on(ctx, action, conditions, aws.ToString(id))
}

func addTagsAccess(ctx context.Context, in *api.AddTagsToResourceInput) ([]awsapi.Access, error) {
	conditions := map[string][]string{}
	tagConditions(conditions, in.Tags)
	return onTagged(ctx, "ssm:AddTagsToResource", conditions, in.ResourceType, in.ResourceId)
}

func removeTagsAccess(ctx context.Context, in *api.RemoveTagsFromResourceInput) ([]awsapi.Access, error) {
	return onTagged(ctx, "ssm:RemoveTagsFromResource", map[string][]string{"aws:TagKeys": in.TagKeys}, in.ResourceType, in.ResourceId)
}

func listTagsAccess(ctx context.Context, in *api.ListTagsForResourceInput) ([]awsapi.Access, error) {
	return onTagged(ctx, "ssm:ListTagsForResource", nil, in.ResourceType, in.ResourceId)
}
