package ssm

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"miniaws/backend/reconcile"
	"miniaws/backend/store"
)

// parameterPolicy is one policy of a version. Only an Expiration can be: the notifications are events, and nothing here takes
// events.
type parameterPolicy struct {
	Type, Text string
	// Expires is when the parameter is deleted.
	Expires time.Time
}

// givenPolicy is a policy as callers write it.
type givenPolicy struct {
	Type       string
	Version    string
	Attributes map[string]string
}

// The limits of policies. AWS: "PutParameter", Policies: 4096 characters; PoliciesLimitExceededException: ten.
const (
	maxPolicies     = 10
	maxPoliciesText = 4096
)

const expirationPolicy = "Expiration"

// parameterKind is the kind of work of the reconcile loop that deletes what expired; its id is the parameter's name.
const parameterKind = "ssm.parameter"

func parameterItem(scope store.Scope, name string) reconcile.Item {
	return reconcile.Item{Kind: parameterKind, Account: scope.Account, Region: scope.Region, ID: name}
}

// policiesOf reads the policies of a call. keep tells that it says nothing of them, so that they stay as they were.
// AWS: "Assigning parameter policies in Parameter Store".
func policiesOf(text *string, now time.Time) (list []parameterPolicy, keep bool, err error) {
	if text == nil {
		return nil, true, nil
	}
	if len(*text) > maxPoliciesText {
		return nil, false, errValidation("1 validation error detected: Value at 'policies' failed to satisfy constraint: Member must have length less than or equal to 4096")
	}
	if strings.TrimSpace(*text) == "" {
		return nil, false, nil
	}
	var documents []json.RawMessage
	if json.Unmarshal([]byte(*text), &documents) != nil {
		return nil, false, errPolicyAttribute("The policies are not a JSON array of policies.")
	}
	if len(documents) > maxPolicies {
		return nil, false, errTooManyPolicies()
	}
	for _, document := range documents {
		var given givenPolicy
		if json.Unmarshal(document, &given) != nil {
			return nil, false, errPolicyAttribute("The policy " + string(document) + " is malformed.")
		}
		if given.Type == "" && given.Version == "" && given.Attributes == nil {
			continue // an empty policy takes those away that were
		}
		one, err := checkPolicy(given, now)
		if err != nil {
			return nil, false, err
		}
		one.Text = string(document)
		list = append(list, one)
	}
	if len(list) > 1 {
		return nil, false, errPolicyConflict()
	}
	return list, false, nil
}

func checkPolicy(given givenPolicy, now time.Time) (parameterPolicy, error) {
	switch given.Type {
	case expirationPolicy:
	case "ExpirationNotification", "NoChangeNotification":
		return parameterPolicy{}, errNotificationsNotServed(given.Type)
	default:
		return parameterPolicy{}, errPolicyType(given.Type)
	}
	if given.Version != "1.0" {
		return parameterPolicy{}, errPolicyAttribute("The version " + given.Version + " of the policy " + given.Type + " is not supported.")
	}
	expires, err := time.Parse(time.RFC3339, given.Attributes["Timestamp"])
	if err != nil || len(given.Attributes) != 1 {
		return parameterPolicy{}, errPolicyAttribute("The policy Expiration takes the attribute Timestamp, in the ISO 8601 format.")
	}
	if !expires.After(now) {
		return parameterPolicy{}, errPolicyAttribute("The Timestamp of the policy Expiration has to be in the future.")
	}
	return parameterPolicy{Type: given.Type, Expires: expires}, nil
}

// policiesToAPI are the policies as answers show them.
func (v *version) policiesToAPI() []types.ParameterInlinePolicy {
	list := []types.ParameterInlinePolicy{}
	for _, p := range v.Policies {
		// What has been applied is not there any more to be shown.
		list = append(list, types.ParameterInlinePolicy{PolicyText: aws.String(p.Text), PolicyType: aws.String(p.Type), PolicyStatus: aws.String("Pending")})
	}
	return list
}

// expires is when the version's parameter is deleted; zero for never.
func (v *version) expires() time.Time {
	for _, p := range v.Policies {
		return p.Expires
	}
	return time.Time{}
}

// expireParameter deletes a parameter whose time is over. The policy of the newest version counts.
func (s *Service) expireParameter(ctx context.Context, item reconcile.Item) (again time.Duration, err error) {
	scope := store.Scope{Account: item.Account, Region: item.Region}
	err = s.config.DB.Update(ctx, func(tx store.Tx) error {
		again = 0
		p, err := parameters.In(tx, scope).Find(item.ID)
		if p == nil || err != nil {
			return err
		}
		v, err := versions.In(tx, scope).Get(p.Name, ordinal(p.Latest))
		if err != nil || v.expires().IsZero() {
			return err
		}
		if again = v.expires().Sub(tx.Now()); again > 0 {
			return nil
		}
		again = 0
		return removeParameter(tx, scope, p)
	})
	return again, err
}
