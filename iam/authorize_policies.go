package iam

import (
	"context"
	"fmt"
	"sync"

	"miniaws/awsapi"
	"miniaws/backend/seal"
	"miniaws/iam/policy"
)

// TaggedResources is a service that knows its resources' tags.
type TaggedResources interface {
	// ResourceTags answers nil where there is no such resource.
	ResourceTags(ctx context.Context, arn string) (map[string]string, error)
}

// PolicedResources is a service whose resources have policies.
type PolicedResources interface {
	// ResourcePolicy answers the document ("" for none) and the account that owns the resource, which it answers also
	// where there is no policy: an ARN of S3 does not say it.
	ResourcePolicy(ctx context.Context, arn string) (document, owner string, err error)
}

// KnowResources tells the authorizer who knows the resources whose ARNs have this service: anything that is
// [TaggedResources] or [PolicedResources] or both. Call it before the first request.
func (s *Service) KnowResources(service string, source any) {
	if tagged, ok := source.(TaggedResources); ok {
		s.tagged[service] = tagged
	}
	if policed, ok := source.(PolicedResources); ok {
		s.policies[service] = policed
	}
}

// Membership is an account's place in an organization. It is shared and must not be changed.
type Membership struct {
	// Organization is its id, o-...; Path is aws:PrincipalOrgPaths' value for the account.
	Organization, Path string
	// Management is the account that none of the organization's policies limits.
	Management bool
	// ServiceControl and ResourceControl are the policies on the way from the root to the account, one list a level; nil
	// where the type is not enabled.
	ServiceControl, ResourceControl [][]GuardrailPolicy
}

// GuardrailPolicy is one document of an organization.
type GuardrailPolicy struct{ ARN, Text string }

// Organizations knows which accounts belong together.
type Organizations interface {
	// Membership answers nil for an account of no organization, and the same pointer for as long as nothing changed.
	Membership(ctx context.Context, account string) (*Membership, error)
}

// KnowOrganizations tells the authorizer who knows the organizations. Call it before the first request.
func (s *Service) KnowOrganizations(o Organizations) { s.organizations = o }

// compiledGrants are the policies of a caller, ready to be evaluated.
type compiledGrants struct {
	identity, session []policy.Policy
	boundary          []policy.Policy
	limited           bool
	tags              map[string]string
}

var noGrants = &compiledGrants{}

// membership is [Membership], ready to be evaluated.
type membership struct {
	*Membership
	serviceControl, resourceControl [][]policy.Policy
}

// authorizer is what the authorizer knows besides the records.
type authorizer struct {
	tagged        map[string]TaggedResources
	policies      map[string]PolicedResources
	organizations Organizations
	// denials seals what only DecodeAuthorizationMessage reads again.
	denials *seal.Sealer

	documents kept[documentKey, *policy.Document]
	callers   kept[*Grants, *compiledGrants]
	members   kept[*Membership, *membership]
}

func newAuthorizer(key seal.Key) authorizer {
	return authorizer{tagged: map[string]TaggedResources{}, policies: map[string]PolicedResources{}, denials: key.Sealer("iam/denials")}
}

// kept remembers what was worked out of something that never changes, for at most maxKnown of them.
type kept[K comparable, V any] struct {
	mu  sync.RWMutex
	all map[K]V
}

func (k *kept[K, V]) get(key K, work func() (V, error)) (V, error) {
	k.mu.RLock()
	value, ok := k.all[key]
	k.mu.RUnlock()
	if ok {
		return value, nil
	}
	value, err := work()
	if err != nil {
		return value, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.all == nil || len(k.all) >= maxKnown {
		k.all = map[K]V{}
	}
	k.all[key] = value
	return value, nil
}

type documentKey struct {
	kind policy.Kind
	text string
}

// document compiles a text that was checked when it was stored. One that cannot be read is a failure of ours and not a
// policy that says nothing: it might deny.
func (s *Service) document(kind policy.Kind, text string) (*policy.Document, error) {
	return s.documents.get(documentKey{kind, text}, func() (*policy.Document, error) {
		d, err := policy.Compile(kind, text)
		if err != nil {
			return nil, fmt.Errorf("a stored policy cannot be read: %w: %s", err, text)
		}
		return d, nil
	})
}

func (s *Service) compiledGrants(ctx context.Context, p awsapi.Principal) (*compiledGrants, error) {
	grants, err := s.Grants(ctx, p)
	if err != nil {
		return nil, err
	}
	return s.callers.get(grants, func() (*compiledGrants, error) { return s.compileGrants(grants) })
}

func (s *Service) compileGrants(grants *Grants) (_ *compiledGrants, err error) {
	c := &compiledGrants{limited: grants.Limited, tags: grants.Tags}
	if c.identity, err = s.compilePolicies(grants.Identity); err != nil {
		return nil, err
	}
	if c.session, err = s.compilePolicies(grants.Session); err != nil {
		return nil, err
	}
	if grants.Boundary == nil {
		return c, nil
	}
	if c.boundary, err = s.compilePolicies([]GrantedPolicy{*grants.Boundary}); err != nil {
		// A boundary that is gone still bounds, and a boundary allows nothing that it does not allow.
		c.boundary, err = []policy.Policy{{Name: grants.Boundary.ARN, Document: policy.Empty(policy.Managed)}}, nil
	}
	return c, err
}

func (s *Service) compilePolicies(granted []GrantedPolicy) ([]policy.Policy, error) {
	var all []policy.Policy
	for _, g := range granted {
		d, err := s.document(policy.Identity, g.Text)
		if err != nil {
			return nil, err
		}
		name := g.ARN
		if name == "" {
			name = g.Name + " of " + g.Holder
		}
		all = append(all, policy.Policy{Name: name, Document: d})
	}
	return all, nil
}

// membership answers nil for an account of no organization.
func (s *Service) membership(ctx context.Context, account string) (*membership, error) {
	if s.organizations == nil || account == "" {
		return nil, nil
	}
	m, err := s.organizations.Membership(ctx, account)
	if m == nil || err != nil {
		return nil, err
	}
	return s.members.get(m, func() (_ *membership, err error) {
		c := &membership{Membership: m}
		if m.Management {
			return c, nil
		}
		if c.serviceControl, err = s.compileLevels(policy.ServiceControl, m.ServiceControl); err != nil {
			return nil, err
		}
		// The one that AWS itself attaches allows, which the grammar of RCPs does not: Resource has both.
		c.resourceControl, err = s.compileLevels(policy.Resource, m.ResourceControl)
		return c, err
	})
}

func (s *Service) compileLevels(kind policy.Kind, levels [][]GuardrailPolicy) ([][]policy.Policy, error) {
	if levels == nil {
		return nil, nil
	}
	compiled := make([][]policy.Policy, len(levels))
	for i, level := range levels {
		for _, p := range level {
			d, err := s.document(kind, p.Text)
			if err != nil {
				return nil, err
			}
			compiled[i] = append(compiled[i], policy.Policy{Name: p.ARN, Document: d})
		}
	}
	return compiled, nil
}
