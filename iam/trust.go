package iam

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"miniaws/awsapi"
	"miniaws/backend/store"
	"miniaws/iam/policy"
)

// setTrust checks a trust policy and notes whom it means. Who it names must be there; of accounts that are not of this
// installation nothing is known.
//
// AWS: "AWS JSON policy elements: Principal": the ARN of a user or role in a trust policy becomes its unique id when the
// policy is saved, so that nobody is trusted who is made later under the same name.
func (s *Service) setTrust(tx store.Tx, r *role, text string) error {
	trust := document(text)
	if trust.size() > maxTrust {
		return errQuota("ACLSizePerRole", maxTrust)
	}
	parsed, err := policy.Parse(policy.Trust, text)
	if err != nil {
		return malformedPolicy(err)
	}
	trusted, err := s.namedIn(tx, parsed, func(named string) error { return malformedPolicy(policy.InvalidPrincipal("AWS", named)) })
	if err != nil {
		return err
	}
	r.Trust, r.Trusted = trust, trusted
	return nil
}

// namedIn answers the unique ids of the users and roles that a policy names, by their ARNs; missing is the error for one
// that is not there. Those of accounts of other installations are left out.
func (s *Service) namedIn(tx store.Tx, parsed *policy.Document, missing func(named string) error) (map[string]string, error) {
	ids := map[string]string{}
	for _, named := range parsed.PrincipalARNs() {
		account, _, _, _ := arnParts(named)
		if _, err := s.account(tx, account); errors.Is(err, ErrNoAccount) {
			continue
		} else if err != nil {
			return nil, err
		}
		id, err := s.idOf(tx, named)
		if err != nil {
			return nil, err
		}
		if id == "" {
			return nil, missing(named)
		}
		ids[named] = id
	}
	return ids, nil
}

// CheckResourcePolicy answers, in AWS's words, why a document cannot be the policy of a resource: by its grammar, or
// because a user or role that it names is not there.
func (s *Service) CheckResourcePolicy(ctx context.Context, text string) error {
	parsed, err := policy.Parse(policy.Resource, text)
	if err != nil {
		return err
	}
	return s.config.DB.View(ctx, func(tx store.Tx) error {
		_, err := s.namedIn(tx, parsed, func(string) error { return &policy.Malformed{Message: "Invalid principal in policy"} })
		return err
	})
}

// idOf answers the unique id of the user or role that has the ARN now; empty for none.
func (s *Service) idOf(tx store.Tx, named string) (string, error) {
	account, kind, rest, _ := arnParts(named)
	name := folded(lastName(rest))
	switch kind {
	case users.word:
		u, err := s.userRows(tx, account).Find(name)
		if err != nil || u == nil || users.arn(account, u) != named {
			return "", err
		}
		return u.ID, nil
	case roles.word:
		r, err := roleRows(tx, account).Find(name)
		if err != nil || r == nil || roles.arn(account, r) != named {
			return "", err
		}
		return r.ID, nil
	}
	return "", nil
}

// trustText is the trust policy as it is now: who has another name or is gone stands there by the unique id.
func (s *Service) trustText(tx store.Tx, r *role) (document, error) {
	text := string(r.Trust)
	for named, id := range r.Trusted {
		now, err := s.idOf(tx, named)
		if err != nil {
			return "", err
		}
		if now != id {
			text = strings.ReplaceAll(text, strconv.Quote(named), strconv.Quote(id))
		}
	}
	return document(text), nil
}

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
