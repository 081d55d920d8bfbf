package iam

import (
	"bytes"
	"compress/flate"
	"context"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"

	"miniaws/awsapi"
	"miniaws/backend/lazyregexp"
	"miniaws/backend/store"
	"miniaws/iam/policy"
)

// AWS: "IAM and STS quotas".
const (
	maxSessionPolicy   = 2048
	maxSessionPolicies = 10
	maxSessionTags     = 50
	// maxPacked is our own bound: AWS does not say how it packs.
	maxPacked = 2048
)

// limits puts session policies into a session, for a role or user of an account.
func (made *session) limits(tx store.Tx, text *string, arns []types.PolicyDescriptorType) error {
	if text != nil {
		d := document(*text)
		if len(d) > maxSessionPolicy {
			return errValidation("1 validation error detected: Value at 'policy' failed to satisfy constraint: Member must have length less than or equal to %d", maxSessionPolicy)
		}
		if err := checkPolicy(d, policy.Identity); err != nil {
			return err
		}
		made.Policy = *text
	}
	if len(arns) > maxSessionPolicies {
		return errValidation("1 validation error detected: Value at 'policyArns' failed to satisfy constraint: Member must have length less than or equal to %d", maxSessionPolicies)
	}
	for _, d := range arns {
		policyARN := aws.ToString(d.Arn)
		p, err := findPolicy(tx, made.Account, policyARN)
		if err != nil {
			return err
		}
		if p == nil {
			return errMalformedPolicyDocument("Policy " + policyARN + " does not exist or is not attachable.")
		}
		made.PolicyARNs = append(made.PolicyARNs, policyARN)
	}
	return nil
}

// tag puts session tags into a session, over those that an earlier session passes on.
func (made *session) tag(tags []types.Tag, transitive []string, from *awsapi.Session) error {
	made.Tags = map[string]string{}
	if from != nil {
		for key, value := range from.Tags {
			if containsFold(from.TransitiveTags, key) {
				made.Tags[key] = value
				made.TransitiveTags = append(made.TransitiveTags, key)
			}
		}
	}
	if err := checkTagTexts(tags, func(t types.Tag) (string, string) { return aws.ToString(t.Key), aws.ToString(t.Value) }); err != nil {
		return err
	}
	var given []string
	for _, t := range tags {
		key, value := aws.ToString(t.Key), aws.ToString(t.Value)
		switch {
		case containsFold(given, key):
			return errInvalidParameter("Duplicate tag keys found. Please note that Tag keys are case insensitive.")
		case containsFold(made.TransitiveTags, key):
			return errInvalidParameter("One of the specified transitive tag keys can't be set because it conflicts with a transitive tag key from the calling session.")
		case strings.HasPrefix(folded(key), "aws:"):
			return errInvalidParameter("Tag keys must not begin with aws:.")
		}
		given = append(given, key)
		made.Tags[key] = value
	}
	if len(made.Tags) > maxSessionTags {
		return errValidation("1 validation error detected: Value at 'tags' failed to satisfy constraint: Member must have length less than or equal to %d", maxSessionTags)
	}
	for _, key := range transitive {
		if !containsFold(given, key) {
			return errInvalidParameter("The specified transitive tag key must be included in the requested tags.")
		}
		made.TransitiveTags = append(made.TransitiveTags, key)
	}
	slices.Sort(made.TransitiveTags)
	return nil
}

// packed answers how much of the room for policies and tags is taken, in percent, and refuses more than there is.
func (made *session) packed() (*int32, error) {
	if made.Policy == "" && len(made.PolicyARNs) == 0 && len(made.Tags) == 0 {
		return nil, nil
	}
	var packed bytes.Buffer
	w, err := flate.NewWriter(&packed, flate.BestCompression)
	if err != nil {
		return nil, err
	}
	parts := append([]string{made.Policy}, made.PolicyARNs...)
	for key, value := range made.Tags {
		parts = append(parts, key, value)
	}
	slices.Sort(parts[1:])
	for _, part := range parts {
		if _, err := w.Write(append([]byte(part), 0)); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	percent := int32((packed.Len()*100 + maxPacked - 1) / maxPacked)
	if percent > 100 {
		what := "policies"
		if len(made.Tags) > 0 {
			what = "session tags"
		}
		// AWS: PackedPolicyTooLarge of AssumeRole, as clients report it.
		return nil, awsapi.Errorf("PackedPolicyTooLarge", "Packed size of %s consumes %d%% of allotted space.", what, percent)
	}
	return aws.Int32(percent), nil
}

func errInvalidParameter(message string) error {
	return awsapi.Errorf("InvalidParameterValue", "%s", message)
}

// sessionNamePattern is that of role sessions, federated users and source identities.
var sessionNamePattern = lazyregexp.New(`^[\w+=,.@-]{2,64}$`)

func checkSessionName(member, name string) error {
	if !sessionNamePattern.MatchString(name) {
		return errValidation(`1 validation error detected: Value '%s' at '%s' failed to satisfy constraint: Member must satisfy regular expression pattern: [\w+=,.@-]*`, name, member)
	}
	return nil
}

// barred answers why a session must not call an operation at all, whatever its policies say.
//
// AWS: "Comparing AWS STS credentials" in the IAM user guide: sessions of GetSessionToken without MFA, and of
// GetFederationToken, cannot call IAM; of STS they can call AssumeRole and GetCallerIdentity, or the latter alone.
func barred(r *awsapi.Request) error {
	p := r.Principal
	if p.Session == nil || p.Type == awsapi.AssumedRole {
		return nil
	}
	federated := p.Type == awsapi.FederatedUser
	switch r.Service.SigningName {
	case "iam":
		if federated || p.Session.MFA.IsZero() {
			return &awsapi.Error{Code: "InvalidClientTokenId", Message: "The security token included in the request is invalid", Status: 403}
		}
	case "sts":
		switch r.Operation {
		case "GetCallerIdentity":
		case "AssumeRole":
			if federated {
				return errAccessDenied("Cannot call AssumeRole with federation token credentials")
			}
		default:
			return errAccessDenied("Cannot call " + r.Operation + " with session credentials")
		}
	}
	return nil
}

// roleByARN answers a role of any account, and nil where there is none.
func (s *Service) roleByARN(ctx context.Context, roleARN string) (found *role, account string, err error) {
	account, kind, rest, ok := arnParts(roleARN)
	if !ok || kind != roles.word || account == "" {
		return nil, "", errValidation("%s is invalid", roleARN)
	}
	err = s.config.DB.View(ctx, func(tx store.Tx) error {
		r, err := roleRows(tx, account).Find(folded(lastName(rest)))
		if r != nil && roles.arn(account, r) == roleARN {
			found = r
		}
		return err
	})
	return found, account, err
}
