package organizations

import (
	"context"
	"encoding/json"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	"github.com/aws/aws-sdk-go-v2/service/organizations/types"

	"miniaws/awsapi"
	"miniaws/backend/store"
)

// delegation is the organization's own resource policy: it lets member accounts do what else the management account does.
// The authorizer weighs it as any other resource's policy.
type delegation struct {
	ID, Text string
	Tags     map[string]string `json:",omitempty"`
}

// maxDelegation: AWS: "Quotas for AWS Organizations": resource-based policy document size.
const maxDelegation = 40_000

// delegable are the operations that a resource policy may name.
// AWS: "Resource-based policy examples for AWS Organizations": reading, and managing policies.
func delegable(operation string) bool {
	switch operation {
	case "CreatePolicy", "UpdatePolicy", "DeletePolicy", "AttachPolicy", "DetachPolicy", "EnablePolicyType", "DisablePolicyType", "TagResource", "UntagResource":
		return true
	case "DescribeHandshake", "ListHandshakesForAccount", "ListHandshakesForOrganization":
		return false
	}
	return reads(operation)
}

// delegated are the statements as far as they are checked here.
type delegated struct {
	Statement json.RawMessage
}

func listed[T any](raw json.RawMessage) (list []T) {
	if json.Unmarshal(raw, &list) != nil {
		var one T
		if json.Unmarshal(raw, &one) == nil {
			list = []T{one}
		}
	}
	return list
}

// checkDelegation refuses what no member can be let do.
func (s *Service) checkDelegation(text string) error {
	if len(text) > maxDelegation {
		return errInvalidInput(types.InvalidInputExceptionReasonMaxLengthExceeded, "You provided a string parameter that is longer than allowed.")
	}
	var document delegated
	if s.config.CheckDelegation(text) != nil || json.Unmarshal([]byte(text), &document) != nil {
		return errInvalidInput(types.InvalidInputExceptionReasonInvalidResourcePolicyJson, "The provided resource policy document is not valid.")
	}
	unsupported := errInvalidInput(types.InvalidInputExceptionReasonUnsupportedActionInResourcePolicy, "The provided resource policy contains an unsupported action.")
	for _, statement := range listed[map[string]json.RawMessage](document.Statement) {
		if statement["NotAction"] != nil { // all but a few are more than can be delegated
			return unsupported
		}
		for _, action := range listed[string](statement["Action"]) {
			name, ours := strings.CutPrefix(action, "organizations:")
			if !ours || !delegable(name) && !strings.Contains(name, "*") || name == "*" {
				return unsupported
			}
		}
	}
	return nil
}

func (o *organization) delegationARN() string { return o.arnOf(o.Delegation.ID) }

func (o *organization) delegationToAPI() *types.ResourcePolicy {
	return &types.ResourcePolicy{
		Content:               aws.String(o.Delegation.Text),
		ResourcePolicySummary: &types.ResourcePolicySummary{Arn: aws.String(o.delegationARN()), Id: aws.String(o.Delegation.ID)},
	}
}

// PutResourcePolicy makes or replaces the organization's resource policy. Tags are only those of a new one.
func (s *Service) PutResourcePolicy(ctx context.Context, in *organizations.PutResourcePolicyInput) (*organizations.PutResourcePolicyOutput, error) {
	out := &organizations.PutResourcePolicyOutput{}
	tags, err := tagsOf(in.Tags)
	if err != nil {
		return nil, err
	}
	return out, s.alter(ctx, func(_ store.Tx, o *organization) error {
		if err := s.checkDelegation(aws.ToString(in.Content)); err != nil {
			return err
		}
		if o.Delegation == nil {
			o.Delegation = &delegation{ID: "rp-" + random(8), Tags: tags}
		}
		o.Delegation.Text = *in.Content
		out.ResourcePolicy = o.delegationToAPI()
		return nil
	})
}

// DescribeResourcePolicy answers it.
func (s *Service) DescribeResourcePolicy(ctx context.Context, _ *organizations.DescribeResourcePolicyInput) (*organizations.DescribeResourcePolicyOutput, error) {
	out := &organizations.DescribeResourcePolicyOutput{}
	return out, s.look(ctx, func(_ store.Tx, o *organization) error {
		if o.Delegation == nil {
			return errResourcePolicyNotFound()
		}
		out.ResourcePolicy = o.delegationToAPI()
		return nil
	})
}

// DeleteResourcePolicy removes it.
func (s *Service) DeleteResourcePolicy(ctx context.Context, _ *organizations.DeleteResourcePolicyInput) (*organizations.DeleteResourcePolicyOutput, error) {
	return &organizations.DeleteResourcePolicyOutput{}, s.alter(ctx, func(_ store.Tx, o *organization) error {
		if o.Delegation == nil {
			return errResourcePolicyNotFound()
		}
		o.Delegation = nil
		return nil
	})
}

// isHandshake looks at the sort of the resource alone: what follows may be what a caller wrote.
func isHandshake(resourceARN string) bool {
	parts := strings.SplitN(resourceARN, ":", 6)
	return len(parts) == 6 && strings.HasPrefix(parts[5], "handshake/")
}

// ResourcePolicy answers the policy that decides together with the caller's own on what belongs to an organization, and
// whose it is: a handshake belongs to each of its parties, and what a delegated administrator reads is as its own.
func (s *Service) ResourcePolicy(ctx context.Context, resourceARN string) (text, owner string, err error) {
	r := awsapi.FromContext(ctx)
	o, err := s.find(ctx)
	switch {
	case err != nil:
		return "", "", err
	case isHandshake(resourceARN):
		return "", r.Principal.Account, nil
	case o == nil:
		return "", "", nil
	case o.delegates(r):
		return "", r.Principal.Account, nil
	case o.Delegation != nil:
		return o.Delegation.Text, o.Management, nil
	}
	return "", "", nil
}
