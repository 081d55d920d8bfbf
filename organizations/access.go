package organizations

import (
	"context"
	"reflect"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/organizations/types"

	"miniaws/awsapi"
)

// inputOf answers nil of a handler's input type, to name it once.
func inputOf[In, Out any](func(context.Context, *In) (*Out, error)) *In { return nil }

// on is the access function of an operation: its own action on the resources whose ids are in these members.
// AWS: "Actions, resources, and condition keys for AWS Organizations" in the service authorization reference.
func on[In any](s *Service, _ *In, members ...string) func(context.Context, *In) ([]awsapi.Access, error) {
	action := "organizations:" + strings.TrimSuffix(reflect.TypeFor[In]().Name(), "Input")
	return func(ctx context.Context, in *In) ([]awsapi.Access, error) {
		access := awsapi.Access{Action: action, Conditions: map[string][]string{}}
		v := reflect.ValueOf(in).Elem()
		if len(members) > 0 {
			o, err := s.find(ctx)
			if err != nil {
				return nil, err
			}
			for _, member := range members {
				id, _ := v.FieldByName(member).Interface().(*string)
				if id != nil && o != nil {
					access.Resources = append(access.Resources, o.arnOf(*id))
				}
				if id != nil && o != nil && o.Policies[*id] != nil {
					access.Conditions["organizations:PolicyType"] = []string{string(o.Policies[*id].Type)}
				}
			}
		}
		for _, member := range []string{"PolicyType", "Type", "Filter"} {
			if field := v.FieldByName(member); field.IsValid() && field.Kind() == reflect.String && field.String() != "" {
				access.Conditions["organizations:PolicyType"] = []string{field.String()}
			}
		}
		if field := v.FieldByName("ServicePrincipal"); field.IsValid() {
			if name, _ := field.Interface().(*string); name != nil {
				access.Conditions["organizations:ServicePrincipal"] = []string{*name}
			}
		}
		if action == "organizations:CreatePolicy" {
			if o, err := s.find(ctx); err != nil {
				return nil, err
			} else if o != nil {
				access.Resources = []string{o.arn("policy", strings.ToLower(v.FieldByName("Type").String())+"/p-*")}
			}
		}
		if field := v.FieldByName("Tags"); field.IsValid() {
			if tags, ok := field.Interface().([]types.Tag); ok && len(tags) > 0 {
				given := map[string]string{}
				for _, t := range tags {
					given[aws.ToString(t.Key)] = aws.ToString(t.Value)
				}
				access = access.WithTags(given)
				if action != "organizations:TagResource" {
					tagging, err := s.tagOnCreate(ctx, access)
					return []awsapi.Access{access, tagging.WithTags(given)}, err
				}
			}
		}
		if field := v.FieldByName("TagKeys"); field.IsValid() {
			access = access.WithTagKeys(field.Interface().([]string)...)
		}
		return []awsapi.Access{access}, nil
	}
}

// tagOnCreate is what the tags of something that is to be made need besides.
// AWS: "CreateAccount", "CreateOrganizationalUnit", "CreatePolicy" in the API reference: tags take organizations:TagResource.
func (s *Service) tagOnCreate(ctx context.Context, made awsapi.Access) (awsapi.Access, error) {
	tagging := awsapi.Access{Action: "organizations:TagResource"}
	o, err := s.find(ctx)
	if err != nil || o == nil {
		return tagging, err
	}
	switch made.Action {
	case "organizations:CreateAccount":
		tagging.Resources = []string{o.arn("account", "*")}
	case "organizations:CreateOrganizationalUnit":
		tagging.Resources = []string{o.arn("ou", "ou-*")}
	case "organizations:CreatePolicy":
		tagging.Resources = made.Resources
		tagging.Conditions = map[string][]string{"organizations:PolicyType": made.Conditions["organizations:PolicyType"]}
	}
	return tagging, nil
}
