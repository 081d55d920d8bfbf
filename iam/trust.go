package iam

import (
	"context"

	"miniaws/awsapi"
	"miniaws/iam/policy"
)

// trusts answers whether a role's trust policy lets a service in.
func (s *Service) trusts(r *role, account, service string) (bool, error) {
	document, err := s.document(policy.Trust, string(r.Trust))
	if err != nil {
		return false, err
	}
	name := roles.arn(account, r)
	decided := policy.Evaluate(&policy.Input{
		Action: "sts:AssumeRole", Resource: name, ResourceAccount: account, ResourcePolicyRequired: true,
		Principal:        policy.Principal{Kind: policy.AWSService, Name: service, ARN: service},
		ResourcePolicies: []policy.Policy{{Name: "policy of " + name, Document: document}},
	})
	return decided.Allowed, nil
}

// trustsCaller answers whether a role lets in who called without an AWS identity: a user of an identity provider.
// Everything that limits other calls limits this one, and the decision is kept for the audit.
func (s *Service) trustsCaller(ctx context.Context, roleARN string, who policy.Principal, action string, conditions map[string][]string) (bool, error) {
	a, err := s.asking(ctx, awsapi.FromContext(ctx), &who)
	if err != nil {
		return false, err
	}
	denied, err := a.access(&awsapi.Access{Action: action, Resources: []string{roleARN}, Conditions: conditions})
	return denied == nil, err
}

// trustsService refuses a service that the role was not made for.
func (s *Service) trustsService(r *role, account, service string) error {
	ok, err := s.trusts(r, account, service)
	if err == nil && !ok {
		err = errAccessDenied(service + " is not authorized to perform: sts:AssumeRole on resource: " + roles.arn(account, r))
	}
	return err
}
