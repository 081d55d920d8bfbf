package iam

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"miniaws/backend/store"
	"miniaws/iam/policy"
)

// managedPolicy is a policy with a name of its own: a customer's record, or an entry of AWS's catalogue. Documents are
// in its versions.
type managedPolicy struct {
	Name, Path, ID   string
	Description      string `json:",omitempty"`
	Created, Updated time.Time
	Tags             tagList `json:",omitempty"`
	// Default is the version that counts; Last is the newest number ever given.
	Default, Last int
	// aws marks an entry of the catalogue.
	aws bool
}

var policyTable = store.NewTable(store.Spec[managedPolicy]{
	Service: "iam",
	Name:    "policies",
	ID:      func(p *managedPolicy) store.ID { return store.ID{folded(p.Name)} },
})

// AWS: "IAM and STS quotas".
const (
	maxPolicySize = 6144
	maxVersions   = 5
)

// ownerAWS is the account in the ARNs of AWS's own policies.
const ownerAWS = "aws"

func policyRows(tx store.Tx, account string) store.Rows[managedPolicy] {
	return policyTable.In(tx, store.Scope{Account: account})
}

func (p *managedPolicy) arn(account string) string {
	if p.aws {
		account = ownerAWS
	}
	return arn(account, "policy"+p.Path+p.Name)
}

// findPolicy answers the policy of that ARN, AWS's or the account's, or nil.
func findPolicy(tx store.Tx, account, policyARN string) (*managedPolicy, error) {
	owner, kind, rest, ok := arnParts(policyARN)
	switch {
	case !ok || kind != "policy":
		return nil, nil
	case owner == ownerAWS:
		return awsPolicy(policyARN), nil
	case owner != account:
		return nil, nil
	}
	p, err := policyRows(tx, account).Find(folded(lastName(rest)))
	if err != nil || p == nil || p.arn(account) != policyARN {
		return nil, err
	}
	return p, nil
}

// getPolicy is findPolicy for operations that name the policy.
func getPolicy(tx store.Tx, account string, policyARN *string) (*managedPolicy, error) {
	if err := checkPolicyARN(aws.ToString(policyARN)); err != nil {
		return nil, err
	}
	p, err := findPolicy(tx, account, aws.ToString(policyARN))
	if err == nil && p == nil {
		err = errPolicyNotFound(aws.ToString(policyARN))
	}
	return p, err
}

// checkPolicyARN refuses what is no ARN at all.
func checkPolicyARN(text string) error {
	if _, kind, _, ok := arnParts(text); !ok || kind != "policy" {
		return errInvalidInput("ARN %s is not valid.", text)
	}
	return nil
}

// alterPolicy changes a customer's policy. AWS's own may not be changed by anybody.
func (s *Service) alterPolicy(ctx context.Context, policyARN *string, fn func(tx store.Tx, account string, p *managedPolicy) error) error {
	return s.update(ctx, func(tx store.Tx, account string) error {
		p, err := getPolicy(tx, account, policyARN)
		if err != nil {
			return err
		}
		if p.aws {
			return errAccessDenied("Cannot perform the operation on the AWS managed policy " + *policyARN + ".")
		}
		return fn(tx, account, p)
	})
}

// CreatePolicy makes a policy whose document is its version v1.
func (s *Service) CreatePolicy(ctx context.Context, in *iam.CreatePolicyInput) (*iam.CreatePolicyOutput, error) {
	out := &iam.CreatePolicyOutput{}
	err := s.update(ctx, func(tx store.Tx, account string) error {
		base, err := newIdentity(tx, account, prefixPolicy, "policyName", in.PolicyName, in.Path, nil, in.Tags)
		if err != nil {
			return err
		}
		text, err := checkManagedDocument(in.PolicyDocument)
		if err != nil {
			return err
		}
		rows := policyRows(tx, account)
		if old, err := rows.Find(folded(base.Name)); err != nil {
			return err
		} else if old != nil {
			return errEntityAlreadyExists("A policy called %s already exists. Duplicate names are not allowed.", base.Name)
		}
		p := &managedPolicy{
			Name: base.Name, Path: base.Path, ID: base.ID, Description: aws.ToString(in.Description),
			Created: base.Created, Updated: base.Created, Tags: base.Tags, Default: 1, Last: 1,
		}
		if err := rows.Put(p); err != nil {
			return err
		}
		if err := putVersion(tx, account, p, 1, text); err != nil {
			return err
		}
		out.Policy = p.listed(account, usage{})
		out.Policy.Tags = p.Tags.toAPI()
		return nil
	})
	return out, err
}

func checkManagedDocument(text *string) (document, error) {
	d := document(aws.ToString(text))
	if d.size() > maxPolicySize {
		return "", errQuota("PolicySize", maxPolicySize)
	}
	return d, checkPolicy(d, policy.Managed)
}

// GetPolicy answers a policy without its document.
func (s *Service) GetPolicy(ctx context.Context, in *iam.GetPolicyInput) (*iam.GetPolicyOutput, error) {
	out := &iam.GetPolicyOutput{}
	err := s.view(ctx, func(tx store.Tx, account string) error {
		p, err := getPolicy(tx, account, in.PolicyArn)
		if err != nil {
			return err
		}
		used, err := usageOf(tx, account, *in.PolicyArn)
		out.Policy = p.listed(account, used)
		out.Policy.Description, out.Policy.Tags = aws.String(p.Description), p.Tags.toAPI()
		return err
	})
	return out, err
}

// ListPolicies answers AWS's policies, the account's, or both.
func (s *Service) ListPolicies(ctx context.Context, in *iam.ListPoliciesInput) (*iam.ListPoliciesOutput, error) {
	out := &iam.ListPoliciesOutput{Policies: []types.Policy{}}
	err := s.view(ctx, func(tx store.Tx, account string) error {
		var all []*managedPolicy
		if in.Scope != types.PolicyScopeTypeAws {
			for p, err := range policyRows(tx, account).Scan(store.Query{}) {
				if err != nil {
					return err
				}
				all = append(all, p)
			}
		}
		if in.Scope != types.PolicyScopeTypeLocal {
			all = append(all, awsPolicies()...)
		}
		uses, err := usages(tx, account)
		if err != nil {
			return err
		}
		all = slices.DeleteFunc(all, func(p *managedPolicy) bool {
			used := uses[p.arn(account)]
			return !strings.HasPrefix(p.Path, aws.ToString(in.PathPrefix)) ||
				in.OnlyAttached && used.attached+used.boundary == 0 ||
				in.PolicyUsageFilter == types.PolicyUsageTypePermissionsPolicy && used.attached == 0 ||
				in.PolicyUsageFilter == types.PolicyUsageTypePermissionsBoundary && used.boundary == 0
		})
		p, err := pageOfList(all, func(p *managedPolicy) string { return p.ID }, in.Marker, in.MaxItems)
		for _, policy := range p.list {
			out.Policies = append(out.Policies, *policy.listed(account, uses[policy.arn(account)]))
		}
		out.IsTruncated, out.Marker = p.truncated(), p.marker
		return err
	})
	return out, err
}

// DeletePolicy removes a policy that nothing uses and that has one version.
func (s *Service) DeletePolicy(ctx context.Context, in *iam.DeletePolicyInput) (*iam.DeletePolicyOutput, error) {
	return &iam.DeletePolicyOutput{}, s.alterPolicy(ctx, in.PolicyArn, func(tx store.Tx, account string, p *managedPolicy) error {
		used, err := usageOf(tx, account, *in.PolicyArn)
		if err != nil {
			return err
		}
		versions, err := versionsOf(tx, account, p)
		switch {
		case err != nil:
			return err
		case used.attached+used.boundary > 0:
			return errDeleteConflict("Cannot delete a policy attached to entities.")
		case len(versions) > 1:
			return errDeleteConflict("This policy has more than one version. Before you delete a policy, you must delete the policy's versions. The default version is deleted with the policy.")
		}
		if err := versionRows(tx, account).Delete(versions[0].rowID()...); err != nil {
			return err
		}
		return policyRows(tx, account).Delete(folded(p.Name))
	})
}

// TagPolicy adds or replaces tags.
func (s *Service) TagPolicy(ctx context.Context, in *iam.TagPolicyInput) (*iam.TagPolicyOutput, error) {
	return &iam.TagPolicyOutput{}, s.alterPolicy(ctx, in.PolicyArn, func(tx store.Tx, account string, p *managedPolicy) (err error) {
		if p.Tags, err = p.Tags.with(in.Tags); err != nil {
			return err
		}
		return policyRows(tx, account).Put(p)
	})
}

// UntagPolicy removes tags; absent ones are no error.
func (s *Service) UntagPolicy(ctx context.Context, in *iam.UntagPolicyInput) (*iam.UntagPolicyOutput, error) {
	return &iam.UntagPolicyOutput{}, s.alterPolicy(ctx, in.PolicyArn, func(tx store.Tx, account string, p *managedPolicy) (err error) {
		if p.Tags, err = p.Tags.without(in.TagKeys); err != nil {
			return err
		}
		return policyRows(tx, account).Put(p)
	})
}

// ListPolicyTags answers a policy's tags.
func (s *Service) ListPolicyTags(ctx context.Context, in *iam.ListPolicyTagsInput) (*iam.ListPolicyTagsOutput, error) {
	out := &iam.ListPolicyTagsOutput{}
	err := s.view(ctx, func(tx store.Tx, account string) error {
		policy, err := getPolicy(tx, account, in.PolicyArn)
		if err != nil {
			return err
		}
		p, err := pageOfTags(policy.Tags, in.Marker, in.MaxItems)
		out.Tags, out.IsTruncated, out.Marker = p.list, p.truncated(), p.marker
		return err
	})
	return out, err
}

// listed is the form without description and tags.
func (p *managedPolicy) listed(account string, used usage) *types.Policy {
	return &types.Policy{
		Arn:                           aws.String(p.arn(account)),
		AttachmentCount:               aws.Int32(used.attached),
		CreateDate:                    aws.Time(p.Created),
		DefaultVersionId:              aws.String(versionID(p.Default)),
		IsAttachable:                  true,
		Path:                          aws.String(p.Path),
		PermissionsBoundaryUsageCount: aws.Int32(used.boundary),
		PolicyId:                      aws.String(p.ID),
		PolicyName:                    aws.String(p.Name),
		UpdateDate:                    aws.Time(p.Updated),
	}
}
