package iam

import (
	"bytes"
	"compress/flate"
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"miniaws/awsapi"
	"miniaws/iam/policy"
)

// explained is a decision that the audit can ask how it came about.
type explained struct {
	in    *policy.Input
	out   *policy.Decision
	known *callContext
}

// Explain answers the story of the decision.
func (e *explained) Explain() awsapi.Explanation {
	x := awsapi.Explanation{Action: e.in.Action, Resource: e.in.Resource, Allowed: e.out.Allowed, Explicit: e.out.Explicit, Reason: e.out.Reason()}
	for l, outcome := range e.out.Layers {
		if outcome != policy.NotApplied {
			if x.Layers == nil {
				x.Layers = map[string]string{}
			}
			x.Layers[policy.Layer(l).String()] = outcome.String()
		}
	}
	e.in.Each(func(l policy.Layer, p *policy.Policy) {
		x.Policies = append(x.Policies, awsapi.ConsideredPolicy{Layer: l.String(), Name: p.Name})
	})
	for _, m := range slices.Concat(e.out.Denies, e.out.Allows) {
		x.Statements = append(x.Statements, awsapi.MatchedStatement{
			Layer: m.Layer.String(), Policy: m.Policy.Name, Index: m.Index, Sid: m.Statement.Sid,
			Effect: m.Statement.Effect.String(), Line: m.Statement.Start.Line, Column: m.Statement.Start.Column,
		})
	}
	for _, l := range e.known.looked {
		if len(l.values) == 0 {
			x.Missing = append(x.Missing, l.key)
			continue
		}
		if x.Context == nil {
			x.Context = map[string][]string{}
		}
		x.Context[l.key] = l.values
	}
	return x
}

// denial is what a decoded message says.
// AWS: "DecodeAuthorizationMessage" in the STS API reference.
type denial struct {
	Allowed           bool            `json:"allowed"`
	ExplicitDeny      bool            `json:"explicitDeny"`
	MatchedStatements items[matched]  `json:"matchedStatements"`
	Failures          items[struct{}] `json:"failures"`
	Context           deniedRequest   `json:"context"`
}

type items[T any] struct {
	Items []T `json:"items"`
}

type value struct {
	Value string `json:"value"`
}

type matched struct {
	StatementID string       `json:"statementId"`
	Effect      string       `json:"effect"`
	Source      string       `json:"source"`
	Actions     items[value] `json:"actions"`
}

type deniedRequest struct {
	Principal  deniedPrincipal `json:"principal"`
	Action     string          `json:"action"`
	Resource   string          `json:"resource"`
	Conditions items[keyed]    `json:"conditions"`
}

type deniedPrincipal struct {
	ID   string `json:"id"`
	Name string `json:"name,omitempty"`
	ARN  string `json:"arn"`
}

type keyed struct {
	Key    string       `json:"key"`
	Values items[value] `json:"values"`
}

func valuesOf(texts []string) items[value] {
	list := items[value]{Items: []value{}}
	for _, text := range texts {
		list.Items = append(list.Items, value{text})
	}
	return list
}

// encode answers the denial as it goes into a message: only principals of the caller's account can have it decoded.
func (e *explained) encode() (string, error) {
	caller := e.known.request.Principal
	x := denial{ExplicitDeny: e.out.Explicit, MatchedStatements: items[matched]{[]matched{}}, Failures: items[struct{}]{[]struct{}{}}}
	x.Context = deniedRequest{
		Principal: deniedPrincipal{ID: caller.ID, Name: caller.UserName, ARN: caller.ARN},
		Action:    e.in.Action, Resource: e.in.Resource, Conditions: items[keyed]{[]keyed{}},
	}
	for _, m := range e.out.Denies {
		x.MatchedStatements.Items = append(x.MatchedStatements.Items, matched{
			StatementID: m.Statement.Sid, Effect: "DENY", Source: m.Policy.Name, Actions: valuesOf(m.Statement.ActionTexts()),
		})
	}
	conditions := maps.Clone(e.known.wanted.Conditions)
	for _, l := range e.known.looked {
		if conditions == nil {
			conditions = map[string][]string{}
		}
		if len(l.values) > 0 && !hasFolded(e.known.wanted.Conditions, l.key) {
			conditions[l.key] = l.values
		}
	}
	for _, key := range slices.Sorted(maps.Keys(conditions)) {
		x.Context.Conditions.Items = append(x.Context.Conditions.Items, keyed{key, valuesOf(conditions[key])})
	}
	plain, err := json.Marshal(x)
	if err != nil {
		return "", err
	}
	var packed bytes.Buffer
	w, err := flate.NewWriter(&packed, flate.BestSpeed)
	if err != nil {
		return "", err
	}
	if _, err := w.Write(plain); err != nil {
		return "", err
	}
	if err := w.Close(); err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(e.known.service.denials.Seal(packed.Bytes(), caller.Account)), nil
}

func hasFolded(conditions map[string][]string, key string) bool {
	for name := range conditions {
		if strings.EqualFold(name, key) {
			return true
		}
	}
	return false
}

// maxDenial bounds a decoded message.
const maxDenial = 1 << 20

// DecodeAuthorizationMessage answers what a denial that came in an encoded form was about.
func (s *Service) DecodeAuthorizationMessage(ctx context.Context, in *sts.DecodeAuthorizationMessageInput) (*sts.DecodeAuthorizationMessageOutput, error) {
	box, err := base64.RawURLEncoding.DecodeString(aws.ToString(in.EncodedMessage))
	if err != nil {
		return nil, errInvalidAuthorizationMessage()
	}
	packed, err := s.denials.Open(box, awsapi.FromContext(ctx).Principal.Account)
	if err != nil {
		return nil, errInvalidAuthorizationMessage()
	}
	plain, err := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(packed)), maxDenial))
	if err != nil {
		return nil, errInvalidAuthorizationMessage()
	}
	return &sts.DecodeAuthorizationMessageOutput{DecodedMessage: aws.String(string(plain))}, nil
}

// AWS: "DecodeAuthorizationMessage" in the STS API reference, Errors.
func errInvalidAuthorizationMessage() error {
	return awsapi.Errorf("InvalidAuthorizationMessageException", "Message is not valid")
}
