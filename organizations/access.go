package organizations

import (
	"context"
	"reflect"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	"github.com/aws/aws-sdk-go-v2/service/organizations/types"

	"miniaws/awsapi"
	"miniaws/backend/store"
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
				if member == "HandshakeId" {
					if access.Resources, err = s.handshakeARN(ctx, aws.ToString(id)); err != nil {
						return nil, err
					}
					continue
				}
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
		if len(access.Resources) == 0 {
			o, err := s.find(ctx)
			if err != nil {
				return nil, err
			}
			if o != nil {
				access.Resources = o.without(awsapi.FromContext(ctx), in)
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

// without are the resources of operations that name none by its id.
func (o *organization) without(r *awsapi.Request, in any) []string {
	switch in := in.(type) {
	case *organizations.CreatePolicyInput:
		return []string{o.arn("policy", strings.ToLower(string(in.Type))+"/p-*")}
	case *organizations.PutResourcePolicyInput:
		if o.Delegation != nil {
			return []string{o.delegationARN()}
		}
		return []string{o.arn("resourcepolicy", "rp-*")}
	case *organizations.InviteAccountToOrganizationInput:
		if in.Target != nil && in.Target.Type == types.HandshakePartyTypeAccount {
			return []string{o.arn("account", aws.ToString(in.Target.Id))}
		}
		return []string{o.arn("account", "*")}
	}
	if o.Delegation != nil && r.Principal.Account != o.Management && delegable(r.Operation) && r.Operation != "DescribeOrganization" && !o.delegates(r) {
		// The organization's policy has to let the member do it.
		return []string{o.organizationARN()}
	}
	return nil
}

// handshakeARN is that of a handshake, or of none.
func (s *Service) handshakeARN(ctx context.Context, id string) ([]string, error) {
	resource := "arn:aws:organizations::" + awsapi.FromContext(ctx).Principal.Account + ":handshake/o-none/invite/h-none"
	err := s.config.DB.View(ctx, func(tx store.Tx) error {
		if id == "" {
			return nil
		}
		h, err := handshakeTable.In(tx, store.Scope{}).Find(id)
		if h != nil {
			resource = h.arn()
		}
		return err
	})
	return []string{resource}, err
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
	case "organizations:InviteAccountToOrganization", "organizations:PutResourcePolicy":
		tagging.Resources = made.Resources
	case "organizations:CreateOrganizationalUnit":
		tagging.Resources = []string{o.arn("ou", "ou-*")}
	case "organizations:CreatePolicy":
		tagging.Resources = made.Resources
		tagging.Conditions = map[string][]string{"organizations:PolicyType": made.Conditions["organizations:PolicyType"]}
	}
	return tagging, nil
}
