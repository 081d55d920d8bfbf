package organizations

import (
	"context"
	"crypto/rand"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	"github.com/aws/aws-sdk-go-v2/service/organizations/types"

	"miniaws/awsapi"
	"miniaws/backend/store"
)

// organization is the whole tree, without the documents of its policies. Nodes, Policies and Requests are rows of their own:
// see records.go.
type organization struct {
	ID, Management string
	Features       types.OrganizationFeatureSet
	Root           string
	Enabled        []types.PolicyType `json:",omitempty"`
	// Nodes are the root, the units and the accounts by their ids.
	Nodes    map[string]*node       `json:",omitempty"`
	Policies map[string]*policyInfo `json:",omitempty"`
	Requests map[string]*request    `json:",omitempty"`
	Services map[string]time.Time   `json:",omitempty"`
	// Delegation is the policy that lets members manage policies of the organization; nil where there is none.
	Delegation *delegation `json:",omitempty"`

	stored stored
}

// node is the root, a unit or an account.
type node struct {
	Parent, Name string
	Kind         types.TargetType
	// Attached are ids of policies, in the order in which they came.
	Attached []string          `json:",omitempty"`
	Tags     map[string]string `json:",omitempty"`
	// Joined, Email, Method and Closed are accounts'.
	Joined time.Time                 `json:",omitzero"`
	Email  string                    `json:",omitempty"`
	Method types.AccountJoinedMethod `json:",omitempty"`
	Closed bool                      `json:",omitempty"`
	// Delegated are the services that an account is a delegated administrator of, and since when.
	Delegated map[string]time.Time `json:",omitempty"`
	// Changed is when what is attached here of a type of management policies became what it is; of an account also when it
	// came here.
	Changed map[types.PolicyType]time.Time `json:",omitempty"`
}

// policyInfo is a policy without its document.
type policyInfo struct {
	Name, Description string
	Type              types.PolicyType
	Tags              map[string]string `json:",omitempty"`
	// Changed is when the document became what it is.
	Changed time.Time `json:",omitzero"`
}

var organizationTable = store.NewTable(store.Spec[organization]{
	Service: "organizations",
	Name:    "organizations",
	ID:      func(o *organization) store.ID { return store.ID{o.ID} },
	// Rows of today have no nodes in them; this finds those of before.
	Indexes: []store.Index[organization]{{Name: "account", Unique: true, Values: func(o *organization) []store.ID {
		var ids []store.ID
		for id, n := range o.Nodes {
			if n.Kind == types.TargetTypeAccount {
				ids = append(ids, store.ID{id})
			}
		}
		return ids
	}}},
})

// policyText is one document.
type policyText struct{ Organization, ID, Text string }

var policyTable = store.NewTable(store.Spec[policyText]{
	Service: "organizations",
	Name:    "policies",
	ID:      func(p *policyText) store.ID { return store.ID{p.Organization, p.ID} },
})

// find answers the caller's organization, or nil.
func (s *Service) find(ctx context.Context) (o *organization, err error) {
	err = s.config.DB.View(ctx, func(tx store.Tx) error {
		o, err = seenOrganizationOf(tx, awsapi.FromContext(ctx).Principal.Account)
		return err
	})
	return o, err
}

// look reads the caller's organization. Only the management account may, unless anybody of it may.
func (s *Service) look(ctx context.Context, fn func(tx store.Tx, o *organization) error) error {
	return s.config.DB.View(ctx, func(tx store.Tx) error {
		o, err := seenOrganizationOf(tx, awsapi.FromContext(ctx).Principal.Account)
		switch {
		case err != nil:
			return err
		case o == nil:
			return errNotInUse()
		case !o.openTo(awsapi.FromContext(ctx)):
			return errAccessDenied()
		}
		return fn(tx, o)
	})
}

// alter changes it. What the authorizer knows of memberships is looked up anew from then on.
func (s *Service) alter(ctx context.Context, fn func(tx store.Tx, o *organization) error) error {
	return s.alterAny(ctx, func(tx store.Tx, o *organization) error {
		if !o.openTo(awsapi.FromContext(ctx)) {
			return errAccessDenied()
		}
		return fn(tx, o)
	})
}

// alterAny is alter for every member.
func (s *Service) alterAny(ctx context.Context, fn func(tx store.Tx, o *organization) error) error {
	return s.config.DB.Update(ctx, func(tx store.Tx) error {
		o, err := ownOrganization(ctx, tx)
		if err != nil {
			return err
		}
		if err := fn(tx, o); err != nil {
			return err
		}
		if err := o.save(tx); err != nil {
			return err
		}
		return putStamp(tx)
	})
}

func ownOrganization(ctx context.Context, tx store.Tx) (*organization, error) {
	o, err := organizationOf(tx, awsapi.FromContext(ctx).Principal.Account)
	if err == nil && o == nil {
		err = errNotInUse()
	}
	return o, err
}

func managed(ctx context.Context, tx store.Tx) (*organization, error) {
	o, err := ownOrganization(ctx, tx)
	if err == nil && !o.openTo(awsapi.FromContext(ctx)) {
		err = errAccessDenied()
	}
	return o, err
}

// openTo tells that the caller of the request may ask at all: the management account, a delegated administrator that only
// reads, or a member that the authorizer let in by the policy of the organization.
func (o *organization) openTo(r *awsapi.Request) bool {
	switch {
	case r.Principal.Account == o.Management:
		return true
	case o.delegates(r):
		return true
	}
	return o.Delegation != nil && delegable(r.Operation)
}

// delegates tells that a delegated administrator reads.
func (o *organization) delegates(r *awsapi.Request) bool {
	n := o.Nodes[r.Principal.Account]
	return n != nil && len(n.Delegated) > 0 && reads(r.Operation)
}

func reads(operation string) bool {
	return strings.HasPrefix(operation, "Describe") || strings.HasPrefix(operation, "List")
}

// random answers n characters as they are in ids.
func random(n int) string {
	const letters = "abcdefghijklmnopqrstuvwxyz0123456789"
	raw := make([]byte, n)
	_, _ = rand.Read(raw) // never fails
	for i := range raw {
		raw[i] = letters[int(raw[i])%len(letters)]
	}
	return string(raw)
}

func (o *organization) arn(kind, id string) string {
	return "arn:aws:organizations::" + o.Management + ":" + kind + "/" + o.ID + "/" + id
}

func (o *organization) organizationARN() string {
	return "arn:aws:organizations::" + o.Management + ":organization/" + o.ID
}

// arnOf is the ARN of whatever has the id.
func (o *organization) arnOf(id string) string {
	switch {
	case strings.HasPrefix(id, "r-"):
		return o.arn("root", id)
	case strings.HasPrefix(id, "ou-"):
		return o.arn("ou", id)
	case strings.HasPrefix(id, "p-"):
		return o.policyARN(id)
	case strings.HasPrefix(id, "rp-"):
		return o.arn("resourcepolicy", id)
	}
	return o.arn("account", id)
}

// CreateOrganization makes one whose management account is the caller's.
func (s *Service) CreateOrganization(ctx context.Context, in *organizations.CreateOrganizationInput) (*organizations.CreateOrganizationOutput, error) {
	account := awsapi.FromContext(ctx).Principal.Account
	name, email, err := s.config.Accounts.Account(ctx, account)
	if err != nil {
		return nil, err
	}
	o := &organization{ID: "o-" + random(10), Management: account, Features: in.FeatureSet, Root: "r-" + random(4), Policies: map[string]*policyInfo{}}
	if o.Features == "" {
		o.Features = types.OrganizationFeatureSetAll
	}
	o.Nodes = map[string]*node{
		o.Root:  {Name: "Root", Kind: types.TargetTypeRoot},
		account: {Parent: o.Root, Name: name, Email: email, Kind: types.TargetTypeAccount, Joined: now(ctx), Method: types.AccountJoinedMethodInvited},
	}
	err = s.config.DB.Update(ctx, func(tx store.Tx) error {
		if old, err := organizationOf(tx, account); err != nil || old != nil {
			return errors.Join(err, alreadyIn(old))
		}
		if err := o.save(tx); err != nil {
			return err
		}
		return putStamp(tx)
	})
	if err != nil {
		return nil, err
	}
	return &organizations.CreateOrganizationOutput{Organization: o.toAPI()}, nil
}

func alreadyIn(o *organization) error {
	if o == nil {
		return nil
	}
	return errAlreadyInOrganization()
}

func (o *organization) toAPI() *types.Organization {
	return &types.Organization{
		Id: aws.String(o.ID), Arn: aws.String(o.organizationARN()), FeatureSet: o.Features,
		MasterAccountId: aws.String(o.Management), MasterAccountArn: aws.String(o.arn("account", o.Management)), MasterAccountEmail: aws.String(o.Nodes[o.Management].Email),
		// AWS: the member says only this, whatever is enabled; ListRoots has the truth.
		AvailablePolicyTypes: []types.PolicyTypeSummary{{Type: types.PolicyTypeServiceControlPolicy, Status: types.PolicyTypeStatusEnabled}},
	}
}

// DescribeOrganization answers every member account.
func (s *Service) DescribeOrganization(ctx context.Context, _ *organizations.DescribeOrganizationInput) (*organizations.DescribeOrganizationOutput, error) {
	o, err := s.find(ctx)
	if err != nil {
		return nil, err
	}
	if o == nil {
		return nil, errNotInUse()
	}
	return &organizations.DescribeOrganizationOutput{Organization: o.toAPI()}, nil
}

// DeleteOrganization needs an organization that only the management account is left of.
func (s *Service) DeleteOrganization(ctx context.Context, _ *organizations.DeleteOrganizationInput) (*organizations.DeleteOrganizationOutput, error) {
	return &organizations.DeleteOrganizationOutput{}, s.config.DB.Update(ctx, func(tx store.Tx) error {
		o, err := managed(ctx, tx)
		if err != nil {
			return err
		}
		for id, n := range o.Nodes {
			if id != o.Root && id != o.Management && n != nil {
				return errNotEmpty()
			}
		}
		for _, r := range o.Requests {
			if r.Open != nil {
				return errNotEmpty()
			}
		}
		for id := range o.Policies {
			if err := policyTable.In(tx, store.Scope{}).Delete(o.ID, id); err != nil {
				return err
			}
		}
		if err := o.forgetHandshakes(tx); err != nil {
			return err
		}
		if err := o.remove(tx); err != nil {
			return err
		}
		return putStamp(tx)
	})
}

// EnableAWSServiceAccess notes that a service may work with the organization.
func (s *Service) EnableAWSServiceAccess(ctx context.Context, in *organizations.EnableAWSServiceAccessInput) (*organizations.EnableAWSServiceAccessOutput, error) {
	name := aws.ToString(in.ServicePrincipal)
	if !strings.HasSuffix(name, ".amazonaws.com") {
		return nil, errInvalidInput(types.InvalidInputExceptionReasonUnrecognizedServicePrincipal, "You specified an unrecognized service principal.")
	}
	return &organizations.EnableAWSServiceAccessOutput{}, s.alter(ctx, func(_ store.Tx, o *organization) error {
		if o.Services == nil {
			o.Services = map[string]time.Time{}
		}
		if _, ok := o.Services[name]; !ok {
			o.Services[name] = now(ctx)
		}
		return nil
	})
}

// DisableAWSServiceAccess is its opposite.
func (s *Service) DisableAWSServiceAccess(ctx context.Context, in *organizations.DisableAWSServiceAccessInput) (*organizations.DisableAWSServiceAccessOutput, error) {
	return &organizations.DisableAWSServiceAccessOutput{}, s.alter(ctx, func(_ store.Tx, o *organization) error {
		delete(o.Services, aws.ToString(in.ServicePrincipal))
		return nil
	})
}

// ListAWSServiceAccessForOrganization lists the services in the order of their names.
func (s *Service) ListAWSServiceAccessForOrganization(ctx context.Context, in *organizations.ListAWSServiceAccessForOrganizationInput) (*organizations.ListAWSServiceAccessForOrganizationOutput, error) {
	out := &organizations.ListAWSServiceAccessForOrganizationOutput{EnabledServicePrincipals: []types.EnabledServicePrincipal{}}
	return out, s.look(ctx, func(_ store.Tx, o *organization) (err error) {
		var names []string
		names, out.NextToken, err = cut(slices.Sorted(maps.Keys(o.Services)), in.MaxResults, in.NextToken)
		for _, name := range names {
			out.EnabledServicePrincipals = append(out.EnabledServicePrincipals, types.EnabledServicePrincipal{ServicePrincipal: aws.String(name), DateEnabled: aws.Time(o.Services[name])})
		}
		return err
	})
}

// cut answers a page of a list, which is never nil: at most 20 elements, or what is asked for.
func cut[T any](list []T, maxResults *int32, token *string) ([]T, *string, error) {
	start := 0
	if token != nil {
		var err error
		if start, err = strconv.Atoi(*token); err != nil || start < 0 || start > len(list) {
			return nil, nil, errInvalidInput(types.InvalidInputExceptionReasonInvalidPaginationToken, "You provided an invalid pagination token.")
		}
	}
	size := 20
	if maxResults != nil && *maxResults > 0 {
		size = min(size, int(*maxResults))
	}
	if len(list) <= start+size {
		return append([]T{}, list[start:]...), nil, nil
	}
	return list[start : start+size], aws.String(strconv.Itoa(start + size)), nil
}
