package iam

import (
	"context"
	"strings"

	"miniaws/iam/policy"
)

// trusts answers whether a role's trust policy lets somebody in who has no AWS identity: a service, or a user of an
// identity provider. Conditions are the context keys of the request, by their names in lower case.
func (s *Service) trusts(_ context.Context, r *role, account string, who policy.Principal, action string, conditions map[string][]string) (bool, error) {
	document, err := policy.Parse(policy.Trust, string(r.Trust))
	if err != nil {
		return false, err
	}
	lower := make(map[string][]string, len(conditions))
	for key, values := range conditions {
		lower[strings.ToLower(key)] = values
	}
	decided := policy.Evaluate(&policy.Input{
		Action: action, Resource: roles.arn(account, r), Principal: who, ResourceAccount: account, ResourcePolicyRequired: true,
		ResourcePolicies: []policy.Policy{{Name: "trust policy of " + roles.arn(account, r), Document: document}},
		Context:          func(key string) []string { return lower[key] },
	})
	return decided.Allowed, nil
}

// trustsService refuses a service that the role was not made for.
func (s *Service) trustsService(ctx context.Context, r *role, account, service string) error {
	ok, err := s.trusts(ctx, r, account, policy.Principal{Kind: policy.AWSService, Name: service, ARN: service}, "sts:AssumeRole", nil)
	if err == nil && !ok {
		err = errAccessDenied(service + " is not authorized to perform: sts:AssumeRole on resource: " + roles.arn(account, r))
	}
	return err
}
