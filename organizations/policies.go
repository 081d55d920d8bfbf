package organizations

import (
	"context"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	"github.com/aws/aws-sdk-go-v2/service/organizations/types"

	"miniaws/awsapi"
	"miniaws/backend/store"
)

// The policies that AWS attaches everywhere when their type is enabled. They have no document in the table.
const (
	fullAccessID         = "p-FullAWSAccess"
	resourceFullAccessID = "p-RCPFullAWSAccess"
)

type ownPolicy struct {
	name, description, text string
	kind                    types.PolicyType
}

var ownPolicies = map[string]ownPolicy{
	fullAccessID: {
		name: "FullAWSAccess", description: "Allows access to every operation", kind: types.PolicyTypeServiceControlPolicy,
		text: `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`,
	},
	resourceFullAccessID: {
		name: "RCPFullAWSAccess", description: "Allow all access to every resource", kind: types.PolicyTypeResourceControlPolicy,
		text: `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}]}`,
	},
}

// defaultOf is what AWS attaches when a type is enabled, "" for nothing.
func defaultOf(kind types.PolicyType) string {
	for id, own := range ownPolicies {
		if own.kind == kind {
			return id
		}
	}
	return ""
}

// AWS: "Quotas for AWS Organizations": policies of one type.
const maxPolicies = 1000

// quota is how large a policy of a type may be, in characters, and how many may be attached to one target.
type quota struct{ size, attached int }

// quotas are those of the types that are served.
var quotas = map[types.PolicyType]quota{
	types.PolicyTypeServiceControlPolicy:   {10_240, maxAttached},
	types.PolicyTypeResourceControlPolicy:  {5_120, maxAttached},
	types.PolicyTypeTagPolicy:              {10_000, 10},
	types.PolicyTypeBackupPolicy:           {10_000, 10},
	types.PolicyTypeAiservicesOptOutPolicy: {2_500, maxAttached},
	types.PolicyTypeChatbotPolicy:          {10_000, maxAttached},
}

const maxAttached = 5

// policiesOf counts the policies of a type that are not AWS's.
func (o *organization) policiesOf(kind types.PolicyType) (count int) {
	for _, p := range o.Policies {
		if p.Type == kind {
			count++
		}
	}
	return count
}

// defaults are what is attached to a new node.
func (o *organization) defaults() []string {
	var ids []string
	for _, kind := range o.Enabled {
		if id := defaultOf(kind); id != "" {
			ids = append(ids, id)
		}
	}
	return ids
}

func (o *organization) typeOf(id string) types.PolicyType {
	if own, ok := ownPolicies[id]; ok {
		return own.kind
	}
	if p := o.Policies[id]; p != nil {
		return p.Type
	}
	return ""
}

func (o *organization) policyARN(id string) string {
	kind := strings.ToLower(string(o.typeOf(id)))
	if _, ok := ownPolicies[id]; ok {
		return "arn:aws:organizations::aws:policy/" + kind + "/" + id
	}
	return o.arn("policy", kind+"/"+id)
}

func (o *organization) summary(id string) *types.PolicySummary {
	made := &types.PolicySummary{Id: aws.String(id), Arn: aws.String(o.policyARN(id)), Type: o.typeOf(id)}
	if own, ok := ownPolicies[id]; ok {
		made.AwsManaged, made.Name, made.Description = true, aws.String(own.name), aws.String(own.description)
		return made
	}
	made.Name, made.Description = aws.String(o.Policies[id].Name), aws.String(o.Policies[id].Description)
	return made
}

// supported refuses types that nothing here would follow.
func supported(ctx context.Context, kind types.PolicyType) error {
	if _, ok := quotas[kind]; !ok {
		return notDone(ctx, "with the type "+string(kind))
	}
	return nil
}

func notDone(ctx context.Context, what string) error {
	r := awsapi.FromContext(ctx)
	return awsapi.NotImplemented(r.Service, r.Operation+" "+what)
}

func (s *Service) check(ctx context.Context, kind types.PolicyType, text string) error {
	if utf8.RuneCountInString(text) > quotas[kind].size {
		return errConstraint(types.ConstraintViolationExceptionReasonPolicyContentLimitExceeded, "You have exceeded the allowed policy content size.")
	}
	if managementShapes[kind] == nil {
		if s.config.CheckPolicy(kind, text) != nil {
			return errMalformedPolicy()
		}
		return nil
	}
	document, err := checkManagement(kind, text)
	if err != nil {
		return errMalformedPolicy()
	}
	if kind == types.PolicyTypeTagPolicy && enforces(document) {
		return notDone(ctx, "with a tag policy that is enforced (enforced_for)")
	}
	return nil
}

// EnablePolicyType makes policies of a type count, and attaches the one that allows everything everywhere.
func (s *Service) EnablePolicyType(ctx context.Context, in *organizations.EnablePolicyTypeInput) (*organizations.EnablePolicyTypeOutput, error) {
	out := &organizations.EnablePolicyTypeOutput{}
	if err := supported(ctx, in.PolicyType); err != nil {
		return nil, err
	}
	return out, s.alter(ctx, func(_ store.Tx, o *organization) error {
		switch {
		case aws.ToString(in.RootId) != o.Root:
			return errRootNotFound()
		case o.Features != types.OrganizationFeatureSetAll:
			return errTypeNotAvailable()
		case contains(o.Enabled, in.PolicyType):
			return errTypeAlreadyEnabled()
		}
		o.Enabled = append(o.Enabled, in.PolicyType)
		for _, n := range o.Nodes {
			n.change(in.PolicyType, now(ctx))
			if id := defaultOf(in.PolicyType); id != "" {
				n.Attached = append(n.Attached, id)
			}
		}
		out.Root = o.rootToAPI()
		return nil
	})
}

// DisablePolicyType detaches all policies of a type.
func (s *Service) DisablePolicyType(ctx context.Context, in *organizations.DisablePolicyTypeInput) (*organizations.DisablePolicyTypeOutput, error) {
	out := &organizations.DisablePolicyTypeOutput{}
	return out, s.alter(ctx, func(_ store.Tx, o *organization) error {
		switch {
		case aws.ToString(in.RootId) != o.Root:
			return errRootNotFound()
		case !contains(o.Enabled, in.PolicyType):
			return errTypeNotEnabled()
		}
		o.Enabled = slices.DeleteFunc(o.Enabled, func(kind types.PolicyType) bool { return kind == in.PolicyType })
		for _, n := range o.Nodes {
			n.Attached = slices.DeleteFunc(n.Attached, func(id string) bool { return o.typeOf(id) == in.PolicyType })
		}
		out.Root = o.rootToAPI()
		return nil
	})
}

func (o *organization) policyNameTaken(kind types.PolicyType, name, except string) bool {
	for _, id := range slices.Concat(sortedKeys(o.Policies), sortedKeys(ownPolicies)) {
		if id != except && o.typeOf(id) == kind && aws.ToString(o.summary(id).Name) == name {
			return true
		}
	}
	return false
}

// CreatePolicy makes a policy that is attached to nothing.
func (s *Service) CreatePolicy(ctx context.Context, in *organizations.CreatePolicyInput) (*organizations.CreatePolicyOutput, error) {
	out := &organizations.CreatePolicyOutput{}
	if err := supported(ctx, in.Type); err != nil {
		return nil, err
	}
	tags, err := tagsOf(in.Tags)
	if err != nil {
		return nil, err
	}
	text := aws.ToString(in.Content)
	return out, s.alter(ctx, func(tx store.Tx, o *organization) error {
		if o.Features != types.OrganizationFeatureSetAll {
			return errTypeNotAvailable()
		}
		if err := s.check(ctx, in.Type, text); err != nil {
			return err
		}
		if o.policiesOf(in.Type) >= maxPolicies {
			return errConstraint(types.ConstraintViolationExceptionReasonPolicyNumberLimitExceeded, "You have exceeded the maximum number of policies of this type.")
		}
		if o.policyNameTaken(in.Type, aws.ToString(in.Name), "") {
			return errDuplicatePolicy()
		}
		id := "p-" + random(8)
		o.Policies[id] = &policyInfo{Name: aws.ToString(in.Name), Description: aws.ToString(in.Description), Type: in.Type, Tags: tags, Changed: now(ctx)}
		out.Policy = &types.Policy{Content: aws.String(text), PolicySummary: o.summary(id)}
		return policyTable.In(tx, store.Scope{}).Put(&policyText{Organization: o.ID, ID: id, Text: text})
	})
}

func (o *organization) policyText(tx store.Tx, id string) (string, error) {
	if own, ok := ownPolicies[id]; ok {
		return own.text, nil
	}
	p, err := policyTable.In(tx, store.Scope{}).Get(o.ID, id)
	if err != nil {
		return "", err
	}
	return p.Text, nil
}

// DescribePolicy answers a policy with its document.
func (s *Service) DescribePolicy(ctx context.Context, in *organizations.DescribePolicyInput) (*organizations.DescribePolicyOutput, error) {
	out := &organizations.DescribePolicyOutput{}
	return out, s.look(ctx, func(tx store.Tx, o *organization) error {
		id := aws.ToString(in.PolicyId)
		if o.typeOf(id) == "" {
			return errPolicyNotFound()
		}
		text, err := o.policyText(tx, id)
		out.Policy = &types.Policy{Content: aws.String(text), PolicySummary: o.summary(id)}
		return err
	})
}

// UpdatePolicy changes what is given.
func (s *Service) UpdatePolicy(ctx context.Context, in *organizations.UpdatePolicyInput) (*organizations.UpdatePolicyOutput, error) {
	out := &organizations.UpdatePolicyOutput{}
	return out, s.alter(ctx, func(tx store.Tx, o *organization) error {
		id := aws.ToString(in.PolicyId)
		p := o.Policies[id]
		if p == nil {
			return errPolicyNotFound()
		}
		if in.Name != nil {
			if o.policyNameTaken(p.Type, *in.Name, id) {
				return errDuplicatePolicy()
			}
			p.Name = *in.Name
		}
		if in.Description != nil {
			p.Description = *in.Description
		}
		if in.Content != nil {
			p.Changed = now(ctx)
			if err := s.check(ctx, p.Type, *in.Content); err != nil {
				return err
			}
			if err := policyTable.In(tx, store.Scope{}).Put(&policyText{Organization: o.ID, ID: id, Text: *in.Content}); err != nil {
				return err
			}
		}
		text, err := o.policyText(tx, id)
		out.Policy = &types.Policy{Content: aws.String(text), PolicySummary: o.summary(id)}
		return err
	})
}

// DeletePolicy removes a policy that is attached to nothing.
func (s *Service) DeletePolicy(ctx context.Context, in *organizations.DeletePolicyInput) (*organizations.DeletePolicyOutput, error) {
	return &organizations.DeletePolicyOutput{}, s.alter(ctx, func(tx store.Tx, o *organization) error {
		id := aws.ToString(in.PolicyId)
		if o.Policies[id] == nil {
			return errPolicyNotFound()
		}
		for _, n := range o.Nodes {
			if contains(n.Attached, id) {
				return errPolicyInUse()
			}
		}
		delete(o.Policies, id)
		return policyTable.In(tx, store.Scope{}).Delete(o.ID, id)
	})
}

// ListPolicies lists the policies of a type, AWS's first.
func (s *Service) ListPolicies(ctx context.Context, in *organizations.ListPoliciesInput) (*organizations.ListPoliciesOutput, error) {
	out := &organizations.ListPoliciesOutput{}
	return out, s.look(ctx, func(_ store.Tx, o *organization) (err error) {
		all := []types.PolicySummary{}
		for _, id := range slices.Concat(sortedKeys(ownPolicies), sortedKeys(o.Policies)) {
			if o.typeOf(id) == in.Filter {
				all = append(all, *o.summary(id))
			}
		}
		out.Policies, out.NextToken, err = cut(all, in.MaxResults, in.NextToken)
		return err
	})
}

// attachment answers the target of an attachment.
func (o *organization) attachment(policyID, targetID *string) (*node, error) {
	kind := o.typeOf(aws.ToString(policyID))
	if kind == "" {
		return nil, errPolicyNotFound()
	}
	n := o.Nodes[aws.ToString(targetID)]
	if n == nil {
		return nil, errTargetNotFound()
	}
	if !contains(o.Enabled, kind) {
		return nil, errTypeNotEnabled()
	}
	return n, nil
}

// ofType counts a node's policies of a type.
func (o *organization) ofType(n *node, kind types.PolicyType) (count int) {
	for _, id := range n.Attached {
		if o.typeOf(id) == kind {
			count++
		}
	}
	return count
}

// AttachPolicy makes a policy count for a root, unit or account and all below it.
func (s *Service) AttachPolicy(ctx context.Context, in *organizations.AttachPolicyInput) (*organizations.AttachPolicyOutput, error) {
	return &organizations.AttachPolicyOutput{}, s.alter(ctx, func(_ store.Tx, o *organization) error {
		n, err := o.attachment(in.PolicyId, in.TargetId)
		switch {
		case err != nil:
			return err
		case contains(n.Attached, *in.PolicyId):
			return errDuplicateAttachment()
		case o.ofType(n, o.typeOf(*in.PolicyId)) >= quotas[o.typeOf(*in.PolicyId)].attached:
			return errConstraint(types.ConstraintViolationExceptionReasonMaxPolicyTypeAttachmentLimitExceeded, "You have attached the maximum number of policies to the specified target.")
		}
		n.Attached = append(n.Attached, *in.PolicyId)
		n.change(o.typeOf(*in.PolicyId), now(ctx))
		return nil
	})
}

// DetachPolicy is its opposite. One policy of a type that limits must stay: without any nothing would be allowed.
func (s *Service) DetachPolicy(ctx context.Context, in *organizations.DetachPolicyInput) (*organizations.DetachPolicyOutput, error) {
	return &organizations.DetachPolicyOutput{}, s.alter(ctx, func(_ store.Tx, o *organization) error {
		n, err := o.attachment(in.PolicyId, in.TargetId)
		switch {
		case err != nil:
			return err
		case !contains(n.Attached, *in.PolicyId):
			return errPolicyNotAttached()
		case *in.PolicyId == resourceFullAccessID:
			return errInvalidInput(types.InvalidInputExceptionReasonNonDetachablePolicy, "You can't detach this Amazon Web Services managed policy.")
		case defaultOf(o.typeOf(*in.PolicyId)) != "" && o.ofType(n, o.typeOf(*in.PolicyId)) == 1:
			return errConstraint(types.ConstraintViolationExceptionReasonMinPolicyTypeAttachmentLimitExceeded, "You can't detach the last policy of its type from the specified target.")
		}
		n.Attached = slices.DeleteFunc(n.Attached, func(id string) bool { return id == *in.PolicyId })
		n.change(o.typeOf(*in.PolicyId), now(ctx))
		return nil
	})
}

// ListPoliciesForTarget lists what is attached to a root, unit or account itself.
func (s *Service) ListPoliciesForTarget(ctx context.Context, in *organizations.ListPoliciesForTargetInput) (*organizations.ListPoliciesForTargetOutput, error) {
	out := &organizations.ListPoliciesForTargetOutput{}
	return out, s.look(ctx, func(_ store.Tx, o *organization) (err error) {
		n := o.Nodes[aws.ToString(in.TargetId)]
		if n == nil {
			return errTargetNotFound()
		}
		all := []types.PolicySummary{}
		for _, id := range n.Attached {
			if o.typeOf(id) == in.Filter {
				all = append(all, *o.summary(id))
			}
		}
		out.Policies, out.NextToken, err = cut(all, in.MaxResults, in.NextToken)
		return err
	})
}

// ListTargetsForPolicy lists what a policy is attached to.
func (s *Service) ListTargetsForPolicy(ctx context.Context, in *organizations.ListTargetsForPolicyInput) (*organizations.ListTargetsForPolicyOutput, error) {
	out := &organizations.ListTargetsForPolicyOutput{}
	return out, s.look(ctx, func(_ store.Tx, o *organization) (err error) {
		if o.typeOf(aws.ToString(in.PolicyId)) == "" {
			return errPolicyNotFound()
		}
		all := []types.PolicyTargetSummary{}
		for _, id := range sortedKeys(o.Nodes) {
			if n := o.Nodes[id]; contains(n.Attached, *in.PolicyId) {
				all = append(all, types.PolicyTargetSummary{TargetId: aws.String(id), Arn: aws.String(o.arnOf(id)), Name: aws.String(n.Name), Type: n.Kind})
			}
		}
		out.Targets, out.NextToken, err = cut(all, in.MaxResults, in.NextToken)
		return err
	})
}
