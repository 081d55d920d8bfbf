package ec2

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"miniaws/awsapi"
	"miniaws/backend/store"
)

// arn names a resource: typ is as in AWS's service authorization reference, such as "vpc"; id may be "*".
func arn(scope store.Scope, typ types.ResourceType, id string) string {
	if typ == types.ResourceTypeImage || typ == types.ResourceTypeSnapshot {
		scope.Account = "" // AWS: images are found by everybody who may use them
	}
	return fmt.Sprintf("arn:aws:ec2:%s:%s:%s/%s", scope.Region, scope.Account, typ, id)
}

// arnOf is arn for an id that tells its kind by its prefix. What no kind knows is "*".
func (s *Service) arnOf(scope store.Scope, id string) string {
	if k := s.kindOf(id); k != nil {
		return arn(scope, k.resourceType(), id)
	}
	return "*"
}

// accessTo is what an action needs for each of the resources, with the condition keys that EC2 knows of them.
// AWS: "Actions, resources, and condition keys for Amazon EC2" in the service authorization reference.
func (s *Service) accessTo(ctx context.Context, action string, ids []string) ([]awsapi.Access, error) {
	scope := scopeOf(ctx)
	all := make([]awsapi.Access, 0, len(ids))
	err := s.view(ctx, func(t tx) error {
		all = all[:0]
		for _, id := range ids {
			if id == "" {
				continue
			}
			access, err := s.accessToOne(t, action, id)
			if err != nil {
				return err
			}
			all = append(all, access)
		}
		return nil
	})
	if len(all) == 0 {
		all = append(all, awsapi.Access{Action: action, Conditions: map[string][]string{"ec2:Region": {scope.Region}}})
	}
	return all, err
}

// accessToOne is accessTo within a transaction.
func (s *Service) accessToOne(t tx, action, id string) (awsapi.Access, error) {
	access := awsapi.Access{Action: action, Resources: []string{s.arnOf(t.scope, id)}}
	k := s.kindOf(id)
	if k == nil {
		conditionsOf(&access, t.scope, "")
		return access, nil
	}
	return access, conditionsOf(&access, t.scope, k.resourceType()).ofResource(t, k, id)
}

// inRegion is the access function of an operation that is on no resource.
func inRegion[In any](action string) func(context.Context, *In) ([]awsapi.Access, error) {
	return func(ctx context.Context, _ *In) ([]awsapi.Access, error) {
		return []awsapi.Access{{Action: "ec2:" + action, Conditions: map[string][]string{"ec2:Region": {scopeOf(ctx).Region}}}}, nil
	}
}

// on is the access function of an operation on existing resources: action is without "ec2:".
func on[In any](s *Service, action string, ids func(*In) []string) func(context.Context, *In) ([]awsapi.Access, error) {
	return func(ctx context.Context, in *In) ([]awsapi.Access, error) {
		all, err := s.accessTo(ctx, "ec2:"+action, ids(in))
		withAttributes(action, in, all)
		return all, err
	}
}

// makes is the access function of an operation that creates a resource of a type, with tags if the input has
// TagSpecifications, near existing resources.
func makes[In any](s *Service, action string, typ types.ResourceType, near func(*In) []string) func(context.Context, *In) ([]awsapi.Access, error) {
	return func(ctx context.Context, in *In) ([]awsapi.Access, error) {
		scope := scopeOf(ctx)
		tags := requestTags(tagSpecificationsOf(in))
		made := awsapi.Access{Action: "ec2:" + action, Resources: []string{arn(scope, typ, "*")}, Conditions: tags}
		conditionsOf(&made, scope, typ).ofNew(tx{scope: scope}, in)
		all := append([]awsapi.Access{made}, madeBesides(scope, action)...)
		if near != nil {
			around, err := s.accessTo(ctx, "ec2:"+action, near(in))
			if err != nil {
				return nil, err
			}
			if around[0].Resources != nil {
				all = append(all, around...)
			}
		}
		return append(all, tagOnCreate(ctx, action, tagSpecificationsOf(in))...), nil
	}
}

// madeBesides is access to what an operation makes along with what it is named after.
func madeBesides(scope store.Scope, action string) []awsapi.Access {
	if action != "CreateImage" && action != "CopyImage" {
		return nil
	}
	snapshot := awsapi.Access{Action: "ec2:" + action, Resources: []string{arn(scope, types.ResourceTypeSnapshot, "*")}}
	c := conditionsOf(&snapshot, scope, types.ResourceTypeSnapshot)
	if action == "CreateImage" {
		c.ofNew(tx{scope: scope}, nil)
	}
	return []awsapi.Access{snapshot}
}

// onTagged is on for operations on existing resources that make something with tags on it.
func onTagged[In any](s *Service, action string, ids func(*In) []string) func(context.Context, *In) ([]awsapi.Access, error) {
	return func(ctx context.Context, in *In) ([]awsapi.Access, error) {
		all, err := s.accessTo(ctx, "ec2:"+action, ids(in))
		return append(all, tagOnCreate(ctx, action, tagSpecificationsOf(in))...), err
	}
}

// accessOfCreateTags is on with the tags that are to be.
func (s *Service) accessOfCreateTags(ctx context.Context, in *ec2.CreateTagsInput) ([]awsapi.Access, error) {
	all, err := s.accessTo(ctx, "ec2:CreateTags", in.Resources)
	for _, access := range all {
		for key, values := range requestTags([]types.TagSpecification{{Tags: in.Tags}}) {
			access.Conditions[key] = values
		}
	}
	return all, err
}

// accessOfDeleteTags is on with the keys of the tags that are to go, and the values that they must have to go.
func (s *Service) accessOfDeleteTags(ctx context.Context, in *ec2.DeleteTagsInput) ([]awsapi.Access, error) {
	all, err := s.accessTo(ctx, "ec2:DeleteTags", in.Resources)
	for _, access := range all {
		for _, tag := range in.Tags {
			key := aws.ToString(tag.Key)
			access.Conditions["aws:TagKeys"] = append(access.Conditions["aws:TagKeys"], key)
			if tag.Value != nil {
				access.Conditions["aws:RequestTag/"+key] = []string{*tag.Value}
			}
		}
	}
	return all, err
}

// tagOnCreate is what tagging in a create operation needs: ec2:CreateTags on the resources to be.
// AWS: "Grant permission to tag Amazon EC2 resources during creation".
func tagOnCreate(ctx context.Context, action string, specs []types.TagSpecification) []awsapi.Access {
	scope := scopeOf(ctx)
	var all []awsapi.Access
	for _, spec := range specs {
		if len(spec.Tags) == 0 {
			continue
		}
		conditions := requestTags([]types.TagSpecification{spec})
		conditions["ec2:CreateAction"] = []string{action}
		conditions["ec2:Region"] = []string{scope.Region}
		all = append(all, awsapi.Access{Action: "ec2:CreateTags", Resources: []string{arn(scope, spec.ResourceType, "*")}, Conditions: conditions})
	}
	return all
}

// requestTags are the condition keys of tags in a request.
func requestTags(specs []types.TagSpecification) map[string][]string {
	conditions := map[string][]string{}
	for _, spec := range specs {
		for _, tag := range spec.Tags {
			key := aws.ToString(tag.Key)
			conditions["aws:RequestTag/"+key] = []string{aws.ToString(tag.Value)}
			conditions["aws:TagKeys"] = append(conditions["aws:TagKeys"], key)
		}
	}
	return conditions
}

func tagSpecificationsOf(in any) []types.TagSpecification {
	field := reflect.ValueOf(in).Elem().FieldByName("TagSpecifications")
	if !field.IsValid() {
		return nil
	}
	specs, _ := field.Interface().([]types.TagSpecification)
	return specs
}

// strs collects what an access function names: absent pointers are left out.
func strs(values ...*string) []string {
	var list []string
	for _, value := range values {
		if aws.ToString(value) != "" {
			list = append(list, *value)
		}
	}
	return list
}

// ResourceTags answers the tags of the resource with this ARN, for aws:ResourceTag and ec2:ResourceTag; nil where there
// is no such resource, or none of this package.
func (s *Service) ResourceTags(ctx context.Context, resourceARN string) (tags map[string]string, err error) {
	parts := strings.SplitN(resourceARN, ":", 6)
	if len(parts) != 6 || parts[2] != "ec2" {
		return nil, nil
	}
	_, id, _ := strings.Cut(parts[5], "/")
	k := s.kindOf(id)
	if k == nil || parts[3] == "" || parts[4] == "" {
		return nil, nil
	}
	err = s.viewIn(ctx, store.Scope{Account: parts[4], Region: parts[3]}, func(t tx) error {
		rec, _, err := k.load(t, id)
		var known *awsapi.Error
		if errors.As(err, &known) {
			return nil
		}
		if err == nil {
			tags = rec.Tags
		}
		return err
	})
	return tags, err
}
