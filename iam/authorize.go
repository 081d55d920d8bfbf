package iam

import (
	"context"
	"strings"

	"miniaws/awsapi"
	"miniaws/iam/policy"
)

// Authorize decides on everything that a call needs; the first denial ends it.
func (s *Service) Authorize(ctx context.Context, r *awsapi.Request, wanted []awsapi.Access) error {
	if !r.Principal.Anonymous() {
		s.uses.note(r, wanted)
	}
	if err := barred(r); err != nil {
		return err
	}
	if len(wanted) == 0 {
		return nil // no permission is needed, and so none can be taken away
	}
	a, err := s.asking(ctx, r, nil)
	if err != nil {
		return err
	}
	for i := range wanted {
		denied, err := a.access(&wanted[i])
		if err != nil {
			return err
		}
		if denied != nil {
			return denied.refusal()
		}
	}
	return nil
}

// Allows answers whether the caller of the request in ctx may do something more than the call needs. It is for answers
// that depend on it, such as S3's 404 or 403 for an object that is not there.
func (s *Service) Allows(ctx context.Context, wanted ...awsapi.Access) (bool, error) {
	a, err := s.asking(ctx, awsapi.FromContext(ctx), nil)
	if err != nil {
		return false, err
	}
	for i := range wanted {
		denied, err := a.access(&wanted[i])
		if err != nil || denied != nil {
			return false, err
		}
	}
	return true, nil
}

// Unlimited tells whether only policies of resources may deny anything to the caller of the request in ctx: to a root user
// whose account no organization limits and who did not come through a VPC endpoint, which has a policy.
func (s *Service) Unlimited(ctx context.Context) (bool, error) {
	r := awsapi.FromContext(ctx)
	if !r.Principal.Root || r.Endpoint != nil {
		return false, nil
	}
	m, err := s.membership(ctx, r.Principal.Account)
	return err == nil && (m == nil || m.serviceControl == nil && m.resourceControl == nil), err
}

// asking is one caller whose permissions are asked for, possibly several times.
type asking struct {
	service *Service
	ctx     context.Context
	request *awsapi.Request
	as      policy.Principal
	grants  *compiledGrants
	// member is the caller's place in an organization, nil if it has none.
	member *membership
}

// asking begins. as is a caller who has no AWS identity yet, a user of an identity provider who asks for a role; nil is
// the request's own principal.
func (s *Service) asking(ctx context.Context, r *awsapi.Request, as *policy.Principal) (*asking, error) {
	a := &asking{service: s, ctx: ctx, request: r, grants: noGrants}
	var err error
	if as != nil {
		a.as = *as
	} else {
		a.as = callerOf(r.Principal)
		if !r.Principal.Anonymous() && r.Principal.Type != awsapi.ServicePrincipal {
			if a.grants, err = s.compiledGrants(ctx, r.Principal); err != nil {
				return nil, err
			}
		}
	}
	if a.member, err = s.membership(ctx, a.as.Account); err != nil {
		return nil, err
	}
	return a, nil
}

// callerOf is a principal as the engine knows it.
func callerOf(p awsapi.Principal) policy.Principal {
	c := policy.Principal{Account: p.Account, ARN: p.ARN, ID: p.ID}
	switch p.Type {
	case awsapi.RootUser:
		c.Kind = policy.Root
	case awsapi.User:
		c.Kind = policy.User
	case awsapi.AssumedRole:
		c.Kind, c.Issuer, c.IssuerID = policy.RoleSession, p.RoleARN, p.RoleID
	case awsapi.FederatedUser:
		c.Kind, c.Issuer, c.IssuerID = policy.FederatedUser, arn(p.Account, "root"), p.UserID
		if p.UserName != "" {
			c.Issuer = arn(p.Account, "user/"+p.UserName)
		}
	case awsapi.ServicePrincipal:
		c = policy.Principal{Kind: policy.AWSService, Name: p.ARN, ARN: p.ARN}
	}
	return c
}

// access decides on one action for all its resources. It answers the first denial, or nil.
func (a *asking) access(wanted *awsapi.Access) (*explained, error) {
	resources := wanted.Resources
	if len(resources) == 0 {
		resources = []string{"*"}
	}
	for _, resource := range resources {
		in, known, err := a.input(wanted, resource)
		if err != nil {
			return nil, err
		}
		decided := &explained{in, policy.Evaluate(in), known}
		if known.err != nil {
			return nil, known.err
		}
		a.request.Decided(decided)
		if !decided.out.Allowed {
			return decided, nil
		}
	}
	return nil, nil
}

// input gathers what a decision depends on.
func (a *asking) input(wanted *awsapi.Access, resource string) (*policy.Input, *callContext, error) {
	in := &policy.Input{
		Action: wanted.Action, Resource: resource, Principal: a.as,
		Identity: a.grants.identity, Boundary: a.grants.boundary, InSession: a.grants.limited, Session: a.grants.session,
	}
	if err := a.resourceSide(in, wanted); err != nil {
		return nil, nil, err
	}
	known := &callContext{asking: a, wanted: wanted, resource: resource, owner: in.ResourceAccount}
	in.Context = known.lookup
	if a.member != nil && !a.serviceLinked() {
		in.ServiceControl = a.member.serviceControl
	}
	if through := a.request.Endpoint; through != nil {
		document, err := a.service.document(policy.Resource, through.Policy)
		if err != nil {
			return nil, nil, err
		}
		in.Endpoint = []policy.Policy{{Name: "policy of " + through.ID, Document: document}}
	}
	owner := a.member
	if in.ResourceAccount != a.as.Account {
		var err error
		if owner, err = a.service.membership(a.ctx, in.ResourceAccount); err != nil {
			return nil, nil, err
		}
	}
	known.ownerMember = owner
	if owner != nil && !a.serviceLinked() {
		in.ResourceControl = owner.resourceControl
	}
	return in, known, nil
}

// serviceLinked tells that an organization's policies do not apply.
// AWS: "SCPs do not affect any service-linked role", and the same of RCPs.
func (a *asking) serviceLinked() bool {
	return a.as.Kind == policy.RoleSession && strings.Contains(a.as.Issuer, ":role"+serviceRolePath)
}

// trustActions are evaluated against a role's trust policy; every other action on a role is not.
// AWS: "Actions defined by AWS Security Token Service".
func trustAction(action string) bool {
	switch action {
	case "sts:AssumeRole", "sts:AssumeRoleWithSAML", "sts:AssumeRoleWithWebIdentity", "sts:TagSession", "sts:SetSourceIdentity":
		return true
	}
	return false
}

// alwaysRoots are what an account's root user may do with its own buckets whatever their policies say.
// AWS: "PutBucketPolicy", "DeleteBucketPolicy", "GetBucketPolicy" in the S3 API reference.
func alwaysRoots(action string) bool {
	switch action {
	case "s3:GetBucketPolicy", "s3:PutBucketPolicy", "s3:DeleteBucketPolicy":
		return true
	}
	return false
}

// fieldsOf are the six fields of an ARN; false for what is none.
func fieldsOf(text string) (fields [6]string, ok bool) {
	for i := range 5 {
		if fields[i], text, ok = strings.Cut(text, ":"); !ok {
			return fields, false
		}
	}
	fields[5] = text
	return fields, true
}

// resourceSide finds the resource's owner and its policy.
func (a *asking) resourceSide(in *policy.Input, wanted *awsapi.Access) error {
	parts, isARN := fieldsOf(in.Resource)
	if !isARN {
		in.ResourceAccount = a.as.Account
		return nil
	}
	kind := policy.Resource
	in.ResourceAccount = parts[4]
	if in.ResourceAccount == ownerAWS {
		// AWS's managed policies are everybody's: what the caller's own policies say counts.
		in.ResourceAccount = a.as.Account
	}
	switch parts[2] {
	case "iam":
		if !trustAction(in.Action) {
			return nil
		}
		kind, in.ResourcePolicyRequired = policy.Trust, true
	case "kms":
		in.ResourcePolicyRequired = strings.HasPrefix(parts[5], "key/")
	}
	if source := a.service.policies[parts[2]]; source != nil {
		text, owner, err := source.ResourcePolicy(a.ctx, in.Resource)
		if err != nil {
			return err
		}
		if owner != "" {
			in.ResourceAccount = owner
		}
		if kind == policy.Trust && text == "" {
			// A role that does not exist refuses in the words of one that trusts nobody.
			in.ResourcePolicies = []policy.Policy{{Name: "no role", Document: policy.Empty(kind)}}
		}
		if text != "" && (a.as.Kind != policy.Root || in.ResourceAccount != a.as.Account || !alwaysRoots(in.Action)) {
			document, err := a.service.document(kind, text)
			if err != nil {
				return err
			}
			in.ResourcePolicies = []policy.Policy{{Name: "policy of " + in.Resource, Document: document}}
		}
	}
	if in.ResourceAccount == "" {
		// What S3 says of a bucket's owner where there is no bucket yet.
		if in.ResourceAccount = a.as.Account; len(wanted.Conditions["s3:ResourceAccount"]) == 1 {
			in.ResourceAccount = wanted.Conditions["s3:ResourceAccount"][0]
		}
	}
	return nil
}

// refusal is what the caller is told.
func (e *explained) refusal() error {
	r, d := e.known.request, e.out
	message := d.Message()
	switch r.Service.SigningName {
	case "s3":
		// AWS: "Troubleshoot access denied (403 Forbidden) errors in Amazon S3": details only within the account.
		if d.CrossAccount || r.Principal.Anonymous() {
			message = "Access Denied"
		}
	case "iam":
		message = d.MessageAbout(shownResource(r.Operation, e.in.Action, e.in.Resource, r.Principal.Account))
	case "ec2":
		message = "You are not authorized to perform this operation. " + message
		// AWS: operations that only read have no encoded part.
		if !strings.HasPrefix(r.Operation, "Describe") {
			encoded, err := e.encode()
			if err != nil {
				return err
			}
			message += ". Encoded authorization failure message: " + encoded
		}
	}
	return &awsapi.Denied{Message: message}
}
