package iam

import (
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"miniaws/backend/lazyregexp"
	"miniaws/backend/store"
)

// policyVersion is one text of a customer's managed policy. It never changes.
type policyVersion struct {
	// Policy is the id of the policy; another one of the same name has another id.
	Policy  string
	Number  int
	Created time.Time
	Text    document
}

func (v *policyVersion) rowID() store.ID { return versionRow(v.Policy, v.Number) }

// versionRow keeps the order of numbers in the tree.
func versionRow(policy string, number int) store.ID {
	return store.ID{policy, strconv.FormatInt(int64(1e9)+int64(number), 10)}
}

var versionTable = store.NewTable(store.Spec[policyVersion]{
	Service: "iam",
	Name:    "policy-versions",
	ID:      (*policyVersion).rowID,
})

func versionRows(tx store.Tx, account string) store.Rows[policyVersion] {
	return versionTable.In(tx, store.Scope{Account: account})
}

func versionID(number int) string { return "v" + strconv.Itoa(number) }

func putVersion(tx store.Tx, account string, p *managedPolicy, number int, text document) error {
	return versionRows(tx, account).Put(&policyVersion{Policy: p.ID, Number: number, Created: tx.Now().UTC().Truncate(time.Second), Text: text})
}

// versionsOf answers the kept versions of a policy, oldest first.
func versionsOf(tx store.Tx, account string, p *managedPolicy) ([]*policyVersion, error) {
	if p.aws {
		text, err := awsPolicyText(p)
		return []*policyVersion{{Policy: p.ID, Number: p.Default, Created: p.Updated, Text: text}}, err
	}
	var list []*policyVersion
	for v, err := range versionRows(tx, account).Scan(store.Query{Parts: store.ID{p.ID}}) {
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	return list, nil
}

// AWS: "GetPolicyVersion" in the IAM API reference, VersionId.
var policyVersionID = lazyregexp.New(`^v[1-9][0-9]*(\.[A-Za-z0-9-]*)?$`)

// getVersion answers one version, or AWS's refusal.
func getVersion(tx store.Tx, account string, p *managedPolicy, id *string) (*policyVersion, error) {
	if !policyVersionID.MatchString(aws.ToString(id)) {
		return nil, errValidation(`1 validation error detected: Value '%s' at 'versionId' failed to satisfy constraint: Member must satisfy regular expression pattern: v[1-9][0-9]*(\.[A-Za-z0-9-]*)?`, aws.ToString(id))
	}
	versions, err := versionsOf(tx, account, p)
	if err != nil {
		return nil, err
	}
	for _, v := range versions {
		if versionID(v.Number) == aws.ToString(id) {
			return v, nil
		}
	}
	return nil, errNoSuchEntity("Policy %s version %s does not exist or is not attachable.", p.arn(account), aws.ToString(id))
}

// defaultText is the document that counts.
func defaultText(tx store.Tx, account string, p *managedPolicy) (document, error) {
	if p.aws {
		return awsPolicyText(p)
	}
	v, err := versionRows(tx, account).Get(versionRow(p.ID, p.Default)...)
	if err != nil {
		return "", err
	}
	return v.Text, nil
}

// CreatePolicyVersion adds a text; numbers are never given twice.
func (s *Service) CreatePolicyVersion(ctx context.Context, in *iam.CreatePolicyVersionInput) (*iam.CreatePolicyVersionOutput, error) {
	out := &iam.CreatePolicyVersionOutput{}
	err := s.alterPolicy(ctx, in.PolicyArn, func(tx store.Tx, account string, p *managedPolicy) error {
		text, err := checkManagedDocument(in.PolicyDocument)
		if err != nil {
			return err
		}
		versions, err := versionsOf(tx, account, p)
		if err != nil {
			return err
		}
		if len(versions) >= maxVersions {
			return errLimitExceeded("A managed policy can have up to %d versions. Before you create a new version, you must delete an existing version.", maxVersions)
		}
		p.Last++
		if in.SetAsDefault {
			p.Default = p.Last
		}
		p.Updated = tx.Now().UTC().Truncate(time.Second)
		if err := putVersion(tx, account, p, p.Last, text); err != nil {
			return err
		}
		out.PolicyVersion = &types.PolicyVersion{VersionId: aws.String(versionID(p.Last)), IsDefaultVersion: in.SetAsDefault, CreateDate: aws.Time(p.Updated)}
		return policyRows(tx, account).Put(p)
	})
	return out, err
}

// GetPolicyVersion answers a text.
func (s *Service) GetPolicyVersion(ctx context.Context, in *iam.GetPolicyVersionInput) (*iam.GetPolicyVersionOutput, error) {
	out := &iam.GetPolicyVersionOutput{}
	err := s.view(ctx, func(tx store.Tx, account string) error {
		p, err := getPolicy(tx, account, in.PolicyArn)
		if err != nil {
			return err
		}
		v, err := getVersion(tx, account, p, in.VersionId)
		if err != nil {
			return err
		}
		listed := v.toAPI(p)
		listed.Document = v.Text.escaped()
		out.PolicyVersion = &listed
		return nil
	})
	return out, err
}

// ListPolicyVersions answers versions without their texts, newest first.
func (s *Service) ListPolicyVersions(ctx context.Context, in *iam.ListPolicyVersionsInput) (*iam.ListPolicyVersionsOutput, error) {
	out := &iam.ListPolicyVersionsOutput{Versions: []types.PolicyVersion{}}
	err := s.view(ctx, func(tx store.Tx, account string) error {
		policy, err := getPolicy(tx, account, in.PolicyArn)
		if err != nil {
			return err
		}
		versions, err := versionsOf(tx, account, policy)
		if err != nil {
			return err
		}
		slices.Reverse(versions)
		p, err := pageOfList(versions, func(v *policyVersion) string { return versionID(v.Number) }, in.Marker, in.MaxItems)
		for _, v := range p.list {
			out.Versions = append(out.Versions, v.toAPI(policy))
		}
		out.IsTruncated, out.Marker = p.truncated(), p.marker
		return err
	})
	return out, err
}

// SetDefaultPolicyVersion makes another text count.
func (s *Service) SetDefaultPolicyVersion(ctx context.Context, in *iam.SetDefaultPolicyVersionInput) (*iam.SetDefaultPolicyVersionOutput, error) {
	return &iam.SetDefaultPolicyVersionOutput{}, s.alterPolicy(ctx, in.PolicyArn, func(tx store.Tx, account string, p *managedPolicy) error {
		v, err := getVersion(tx, account, p, in.VersionId)
		if err != nil {
			return err
		}
		p.Default, p.Updated = v.Number, tx.Now().UTC().Truncate(time.Second)
		return policyRows(tx, account).Put(p)
	})
}

// DeletePolicyVersion removes a text that is not the default.
func (s *Service) DeletePolicyVersion(ctx context.Context, in *iam.DeletePolicyVersionInput) (*iam.DeletePolicyVersionOutput, error) {
	return &iam.DeletePolicyVersionOutput{}, s.alterPolicy(ctx, in.PolicyArn, func(tx store.Tx, account string, p *managedPolicy) error {
		v, err := getVersion(tx, account, p, in.VersionId)
		if err != nil {
			return err
		}
		if v.Number == p.Default {
			return errDeleteConflict("Cannot delete the default version of a policy.")
		}
		return versionRows(tx, account).Delete(v.rowID()...)
	})
}

func (v *policyVersion) toAPI(p *managedPolicy) types.PolicyVersion {
	return types.PolicyVersion{VersionId: aws.String(versionID(v.Number)), IsDefaultVersion: v.Number == p.Default, CreateDate: aws.Time(v.Created)}
}
