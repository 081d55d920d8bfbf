package iam

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"

	"miniaws/awsapi"
	"miniaws/backend/store"
)

// AWS: "GetSessionToken" and "GetFederationToken" in the STS API reference, in seconds.
const (
	defaultToken = 12 * 3600
	maxRootToken = 3600
)

// tokenSeconds answers how long a user's session lasts; a root user's ends after an hour.
func tokenSeconds(caller awsapi.Principal, asked *int32) int32 {
	seconds := int32(defaultToken)
	if asked != nil {
		seconds = *asked
	}
	if caller.Root {
		seconds = min(seconds, maxRootToken)
	}
	return seconds
}

// sessionTokenAccess asks nothing of policies, and keeps sessions from making sessions.
// AWS: "GetSessionToken": "No permissions are required for users to perform this operation."
func sessionTokenAccess(ctx context.Context, _ *sts.GetSessionTokenInput) ([]awsapi.Access, error) {
	if awsapi.FromContext(ctx).Principal.Session != nil {
		return nil, errAccessDenied("Cannot call GetSessionToken with session credentials")
	}
	return nil, nil
}

// GetSessionToken begins a session of the caller's own, which proves the use of an MFA device if a code is given.
func (s *Service) GetSessionToken(ctx context.Context, in *sts.GetSessionTokenInput) (*sts.GetSessionTokenOutput, error) {
	r := awsapi.FromContext(ctx)
	caller := r.Principal
	if err := s.checkMFA(ctx, caller, in.SerialNumber, in.TokenCode); err != nil {
		return nil, err
	}
	made := session{Type: caller.Type, Account: caller.Account, Owner: caller.UserID, Key: caller.AccessKeyID}
	if in.SerialNumber != nil {
		made.MFA = r.Time
	}
	made.lasting(s.config.Now(), tokenSeconds(caller, in.DurationSeconds))
	credentials, err := s.sealSession(made)
	return &sts.GetSessionTokenOutput{Credentials: credentials}, err
}

func (s *Service) federationTokenAccess(ctx context.Context, in *sts.GetFederationTokenInput) ([]awsapi.Access, error) {
	caller := awsapi.FromContext(ctx).Principal
	if caller.Session != nil {
		return nil, errAccessDenied("Cannot call GetFederationToken with session credentials")
	}
	conditions := map[string][]string{}
	tagConditions(conditions, in.Tags, nil)
	resource := []string{federatedARN(caller.Account, aws.ToString(in.Name))}
	wanted := []awsapi.Access{{Action: "sts:GetFederationToken", Resources: resource, Conditions: conditions}}
	if len(in.Tags) > 0 {
		wanted = append(wanted, awsapi.Access{Action: "sts:TagSession", Resources: resource, Conditions: conditions})
	}
	return wanted, nil
}

// GetFederationToken begins a session for somebody whom the caller knows: with what the caller and the session's
// policies both allow.
func (s *Service) GetFederationToken(ctx context.Context, in *sts.GetFederationTokenInput) (*sts.GetFederationTokenOutput, error) {
	caller, name := awsapi.FromContext(ctx).Principal, aws.ToString(in.Name)
	if err := checkSessionName("name", name); err != nil {
		return nil, err
	}
	made := session{Type: awsapi.FederatedUser, Account: caller.Account, Owner: caller.UserID, Key: caller.AccessKeyID, Session: awsapi.Session{Name: name}}
	if err := made.tag(in.Tags, nil, nil); err != nil {
		return nil, err
	}
	err := s.config.DB.View(ctx, func(tx store.Tx) error { return made.limits(tx, in.Policy, in.PolicyArns) })
	if err != nil {
		return nil, err
	}
	packed, err := made.packed()
	if err != nil {
		return nil, err
	}
	made.lasting(s.config.Now(), tokenSeconds(caller, in.DurationSeconds))
	credentials, err := s.sealSession(made)
	return &sts.GetFederationTokenOutput{
		Credentials:      credentials,
		PackedPolicySize: packed, //nolint:staticcheck // SDKs and boto3 of today read it
		FederatedUser:    &types.FederatedUser{Arn: aws.String(federatedARN(caller.Account, name)), FederatedUserId: aws.String(caller.Account + ":" + name)},
	}, err
}

// GetAccessKeyInfo answers the account of a key; of one that is not there it tells no more than that.
func (s *Service) GetAccessKeyInfo(ctx context.Context, in *sts.GetAccessKeyInfoInput) (*sts.GetAccessKeyInfoOutput, error) {
	id := aws.ToString(in.AccessKeyId)
	out := &sts.GetAccessKeyInfoOutput{}
	if id == s.config.Root.AccessKeyID {
		out.Account = aws.String(s.config.Account)
		return out, nil
	}
	caller := awsapi.FromContext(ctx).Principal
	if id == caller.AccessKeyID {
		out.Account = aws.String(caller.Account)
		return out, nil
	}
	err := s.config.DB.View(ctx, func(tx store.Tx) error {
		key, err := accessKeyTable.In(tx, store.Scope{}).Find(id)
		if err != nil {
			return err
		}
		if key == nil {
			return errValidation("The access key %s was not found.", id)
		}
		out.Account = aws.String(key.Account)
		return nil
	})
	return out, err
}
