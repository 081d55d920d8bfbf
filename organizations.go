package main

import (
	"cmp"
	"context"
	"sync"

	"github.com/aws/aws-sdk-go-v2/service/organizations/types"

	"miniaws/iam"
	"miniaws/iam/policy"
	"miniaws/organizations"
)

// accountMaker is the identities as organizations see them.
type accountMaker struct {
	identities *iam.Service
	domain     string
}

func (a accountMaker) NewNumber(ctx context.Context) (string, error) {
	return a.identities.NewAccountNumber(ctx)
}

func (a accountMaker) CreateAccount(ctx context.Context, id, name, email, roleName, management string) error {
	err := a.identities.CreateMemberAccount(ctx, iam.AccountInput{ID: id, Name: name, Email: email}, roleName, management)
	if iam.IsEmailTaken(err) {
		err = organizations.ErrEmailTaken{}
	}
	return err
}

// Account answers an account's name and address. One that nobody gave an address has one of its own, as each has at AWS.
func (a accountMaker) Account(ctx context.Context, id string) (name, email string, err error) {
	found, err := a.identities.Account(ctx, id)
	return found.Name, cmp.Or(found.Email, "root@"+id+"."+a.domain), err
}

// checkGuardrail checks a policy of an organization by its grammar.
func checkGuardrail(kind types.PolicyType, document string) error {
	grammar := policy.ServiceControl
	if kind == types.PolicyTypeResourceControlPolicy {
		grammar = policy.ResourceControl
	}
	_, err := policy.Parse(grammar, document)
	return err
}

// guardrails are the organizations as the authorizer sees them. The same membership stays the same pointer.
type guardrails struct {
	organizations *organizations.Service

	mu    sync.Mutex
	known map[*organizations.Membership]*iam.Membership
}

func (g *guardrails) Membership(ctx context.Context, account string) (*iam.Membership, error) {
	m, err := g.organizations.Membership(ctx, account)
	if m == nil || err != nil {
		return nil, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if made := g.known[m]; made != nil {
		return made, nil
	}
	if g.known == nil || len(g.known) > 10_000 {
		g.known = map[*organizations.Membership]*iam.Membership{}
	}
	made := &iam.Membership{
		Organization: m.Organization, Path: m.Path, Management: m.Management,
		ServiceControl: guardrailLevels(m.ServiceControl), ResourceControl: guardrailLevels(m.ResourceControl),
	}
	g.known[m] = made
	return made, nil
}

func guardrailLevels(levels [][]organizations.Guardrail) [][]iam.GuardrailPolicy {
	if levels == nil {
		return nil
	}
	made := make([][]iam.GuardrailPolicy, len(levels))
	for i, level := range levels {
		for _, p := range level {
			made[i] = append(made[i], iam.GuardrailPolicy(p))
		}
	}
	return made
}
