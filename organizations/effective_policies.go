package organizations

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	"github.com/aws/aws-sdk-go-v2/service/organizations/types"

	"miniaws/awsapi"
	"miniaws/backend/store"
)

// effectiveAccess: what an account's own effective policy says every account may be let read by its own policies.
// AWS: "DescribeEffectivePolicy": it can be called from any account of an organization.
func (s *Service) effectiveAccess(ctx context.Context, in *organizations.DescribeEffectivePolicyInput) ([]awsapi.Access, error) {
	access := awsapi.Access{Action: "organizations:DescribeEffectivePolicy", Conditions: map[string][]string{"organizations:PolicyType": {string(in.PolicyType)}}}
	o, err := s.find(ctx)
	if o != nil && in.TargetId != nil && *in.TargetId != awsapi.FromContext(ctx).Principal.Account {
		access.Resources = []string{o.arn("account", *in.TargetId)}
	}
	return []awsapi.Access{access}, err
}

// DescribeEffectivePolicy answers what all policies of a type say together for an account.
func (s *Service) DescribeEffectivePolicy(ctx context.Context, in *organizations.DescribeEffectivePolicyInput) (*organizations.DescribeEffectivePolicyOutput, error) {
	r := awsapi.FromContext(ctx)
	out, kind := &organizations.DescribeEffectivePolicyOutput{}, types.PolicyType(in.PolicyType)
	if err := supported(ctx, kind); err != nil {
		return nil, err
	}
	return out, s.config.DB.View(ctx, func(tx store.Tx) error {
		o, err := seenOrganizationOf(tx, r.Principal.Account)
		if err == nil && o == nil {
			err = errNotInUse()
		}
		if err != nil {
			return err
		}
		target := r.Principal.Account
		if in.TargetId != nil {
			target = *in.TargetId
		}
		n := o.Nodes[target]
		switch {
		case target != r.Principal.Account && !o.openTo(r):
			return errAccessDenied()
		case n == nil:
			return errTargetNotFound()
		case n.Kind != types.TargetTypeAccount:
			return errInvalidInput(types.InvalidInputExceptionReasonTargetNotSupported, "You can't perform the specified operation on that target entity.")
		case !contains(o.Enabled, kind):
			return errEffectivePolicyNotFound()
		}
		var levels [][]string
		updated := n.Joined
		for _, id := range o.way(target) {
			var level []string
			at := o.Nodes[id]
			if changed := at.Changed[kind]; changed.After(updated) {
				updated = changed
			}
			for _, policy := range at.Attached {
				if o.typeOf(policy) != kind {
					continue
				}
				text, err := o.policyText(tx, policy)
				if err != nil {
					return err
				}
				if changed := o.Policies[policy].Changed; changed.After(updated) {
					updated = changed
				}
				level = append(level, text)
			}
			levels = append(levels, level)
		}
		text, err := effective(kind, levels)
		if err != nil {
			return err
		}
		if text == "" {
			return errEffectivePolicyNotFound()
		}
		out.EffectivePolicy = &types.EffectivePolicy{
			PolicyContent: aws.String(text), PolicyType: in.PolicyType, TargetId: aws.String(target), LastUpdatedTimestamp: aws.Time(updated),
		}
		return nil
	})
}

// change notes that what a node's policies of a type say is other from now on.
func (n *node) change(kind types.PolicyType, now time.Time) {
	if managementShapes[kind] == nil {
		return
	}
	if n.Changed == nil {
		n.Changed = map[types.PolicyType]time.Time{}
	}
	n.Changed[kind] = now
}
