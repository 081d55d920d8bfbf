package iam

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"

	"miniaws/awsapi"
	"miniaws/backend/store"
)

// AWS: "Using IAM roles": a role that was assumed with another role's session lasts one hour at most.
const maxChained = 3600

// assumeRoleAccess is what the role's trust policy and the caller's policies are asked.
// AWS: "Actions, resources, and condition keys for AWS Security Token Service".
func (s *Service) assumeRoleAccess(ctx context.Context, in *sts.AssumeRoleInput) ([]awsapi.Access, error) {
	if awsapi.FromContext(ctx).Principal.Root {
		return nil, errAccessDenied("Roles may not be assumed by root accounts.")
	}
	roleARN := aws.ToString(in.RoleArn)
	conditions := map[string][]string{}
	set := func(key string, value *string) {
		if value != nil {
			conditions[key] = []string{*value}
		}
	}
	set("sts:ExternalId", in.ExternalId)
	set("sts:RoleSessionName", in.RoleSessionName)
	set("sts:SourceIdentity", in.SourceIdentity)
	tagConditions(conditions, in.Tags, in.TransitiveTagKeys)
	if in.SerialNumber != nil || in.TokenCode != nil {
		// The code is used up here: a trust policy may ask for it.
		if err := s.checkMFA(ctx, awsapi.FromContext(ctx).Principal, in.SerialNumber, in.TokenCode); err != nil {
			return nil, err
		}
		conditions["aws:MultiFactorAuthPresent"] = []string{"true"}
		conditions["aws:MultiFactorAuthAge"] = []string{"0"}
	}
	wanted := []awsapi.Access{{Action: "sts:AssumeRole", Resources: []string{roleARN}, Conditions: conditions}}
	from := awsapi.FromContext(ctx).Principal.Session
	if len(in.Tags) > 0 || from != nil && len(from.TransitiveTags) > 0 {
		wanted = append(wanted, awsapi.Access{Action: "sts:TagSession", Resources: []string{roleARN}, Conditions: conditions})
	}
	if in.SourceIdentity != nil {
		wanted = append(wanted, awsapi.Access{Action: "sts:SetSourceIdentity", Resources: []string{roleARN}, Conditions: conditions})
	}
	return wanted, nil
}

func tagConditions(conditions map[string][]string, tags []types.Tag, transitive []string) {
	for _, t := range tags {
		key := aws.ToString(t.Key)
		conditions["aws:RequestTag/"+key] = []string{aws.ToString(t.Value)}
		conditions["aws:TagKeys"] = append(conditions["aws:TagKeys"], key)
	}
	if len(transitive) > 0 {
		conditions["sts:TransitiveTagKeys"] = transitive
	}
}

// AssumeRole begins a session of a role. That the caller may do so has been decided when it is called.
func (s *Service) AssumeRole(ctx context.Context, in *sts.AssumeRoleInput) (*sts.AssumeRoleOutput, error) {
	caller := awsapi.FromContext(ctx).Principal
	if len(in.ProvidedContexts) > 0 {
		return nil, awsapi.NotImplemented(awsapi.FromContext(ctx).Service, "AssumeRole with ProvidedContexts")
	}
	begun := beginning{roleARN: aws.ToString(in.RoleArn), name: aws.ToString(in.RoleSessionName), seconds: in.DurationSeconds, policy: in.Policy, policyARNs: in.PolicyArns}
	begun.Session = awsapi.Session{SourceIdentity: aws.ToString(in.SourceIdentity)}
	if err := begun.tag(in.Tags, in.TransitiveTagKeys, caller.Session); err != nil {
		return nil, err
	}
	if in.SerialNumber != nil {
		begun.MFA = awsapi.FromContext(ctx).Time
	}
	if from := caller.Session; from != nil {
		begun.Chained = caller.Type == awsapi.AssumedRole
		switch {
		case from.SourceIdentity == "":
		case begun.SourceIdentity == "":
			begun.SourceIdentity = from.SourceIdentity
		case begun.SourceIdentity != from.SourceIdentity:
			return nil, errAccessDenied("The source identity of a session cannot be changed.")
		}
	}
	if begun.SourceIdentity != "" {
		if err := checkSessionName("sourceIdentity", begun.SourceIdentity); err != nil {
			return nil, err
		}
	}
	credentials, who, packed, err := s.beginRoleSession(ctx, begun)
	if err != nil {
		return nil, err
	}
	out := &sts.AssumeRoleOutput{Credentials: credentials, AssumedRoleUser: who, PackedPolicySize: packed} //nolint:staticcheck // SDKs and boto3 of today read it
	if begun.SourceIdentity != "" {
		out.SourceIdentity = aws.String(begun.SourceIdentity)
	}
	return out, nil
}

// beginning describes a session of a role that is to be begun.
type beginning struct {
	session
	roleARN, name string
	// seconds is nil for the default.
	seconds    *int32
	policy     *string
	policyARNs []types.PolicyDescriptorType
}

// beginRoleSession makes the credentials of a session that was allowed.
func (s *Service) beginRoleSession(ctx context.Context, b beginning) (*types.Credentials, *types.AssumedRoleUser, *int32, error) {
	if err := checkSessionName("roleSessionName", b.name); err != nil {
		return nil, nil, nil, err
	}
	r, account, err := s.roleByARN(ctx, b.roleARN)
	if err != nil {
		return nil, nil, nil, err
	}
	if r == nil {
		// It was deleted since it was decided that it may be assumed.
		return nil, nil, nil, errAccessDenied("Not authorized to perform sts:AssumeRole")
	}
	seconds := int32(defaultSession)
	if b.seconds != nil {
		seconds = *b.seconds
	}
	switch {
	case b.Chained && seconds > maxChained:
		return nil, nil, nil, errValidation("The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining.")
	case seconds > r.MaxSession:
		return nil, nil, nil, errValidation("The requested DurationSeconds exceeds the MaxSessionDuration set for this role.")
	}
	made := b.session
	made.Type, made.Account, made.Owner, made.Name = awsapi.AssumedRole, account, r.ID, b.name
	made.lasting(s.config.Now(), seconds)
	err = s.config.DB.View(ctx, func(tx store.Tx) error { return made.limits(tx, b.policy, b.policyARNs) })
	if err != nil {
		return nil, nil, nil, err
	}
	packed, err := made.packed()
	if err != nil {
		return nil, nil, nil, err
	}
	credentials, err := s.sealSession(made)
	who := &types.AssumedRoleUser{Arn: aws.String(sessionARN(account, r, b.name)), AssumedRoleId: aws.String(r.ID + ":" + b.name)}
	return credentials, who, packed, err
}

// ServiceSession is a session of a role for a service that the role's owner handed it to.
type ServiceSession struct {
	// Service is its principal, such as ec2.amazonaws.com; Name is the session's.
	Service, RoleARN, Name string
	// Claims are context keys that every call of the session has, such as ec2:SourceInstanceARN.
	Claims map[string][]string
}

// BeginServiceSession begins a session, as AssumeRole by the service's principal, whom the trust policy must allow. It
// lasts six hours, whatever the role's longest session is.
//
// AWS: "IAM roles for Amazon EC2".
func (s *Service) BeginServiceSession(ctx context.Context, wanted ServiceSession) (*types.Credentials, error) {
	r, account, err := s.roleByARN(ctx, wanted.RoleARN)
	if err != nil {
		return nil, err
	}
	if r == nil {
		return nil, errNotFound(roles.word, wanted.RoleARN)
	}
	if err := s.trustsService(r, account, wanted.Service); err != nil {
		return nil, err
	}
	made := session{Type: awsapi.AssumedRole, Account: account, Owner: r.ID}
	made.Session = awsapi.Session{Name: wanted.Name, Service: wanted.Service, Claims: wanted.Claims}
	made.lasting(s.config.Now(), 6*3600)
	return s.sealSession(made)
}

// Holder tells whether whoever a service handed a session to still holds it: an instance that ended does not.
type Holder func(ctx context.Context, account, name, roleARN string) (bool, error)

// KnowHolder says who is asked about the sessions of a service, at every call with one. It is called before the first
// request.
func (s *Service) KnowHolder(service string, holder Holder) {
	if s.holders == nil {
		s.holders = map[string]Holder{}
	}
	s.holders[service] = holder
}
