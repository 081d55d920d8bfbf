package iam

import (
	"context"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"

	"miniaws/backend/lazyregexp"
	"miniaws/backend/store"
)

// AWS: "CreateAccountAlias" in the IAM API reference: 3 to 63 characters, no two hyphens in a row.
var aliasPattern = lazyregexp.New(`^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$`)

// CreateAccountAlias gives the account its name, in place of an earlier one.
func (s *Service) CreateAccountAlias(ctx context.Context, in *iam.CreateAccountAliasInput) (*iam.CreateAccountAliasOutput, error) {
	alias := aws.ToString(in.AccountAlias)
	if !aliasPattern.MatchString(alias) || strings.Contains(alias, "--") {
		return nil, errValidation(`1 validation error detected: Value '%s' at 'accountAlias' failed to satisfy constraint: Member must satisfy regular expression pattern: ^[a-z0-9]([a-z0-9]|-(?!-)){1,61}[a-z0-9]$`, alias)
	}
	return &iam.CreateAccountAliasOutput{}, s.alterAccount(ctx, func(tx store.Tx, a *Account) error {
		other, err := accountTable.In(tx, store.Scope{}).Index("alias").Find(alias)
		if err != nil {
			return err
		}
		if other != nil {
			return errEntityAlreadyExists("The account alias %s already exists.", alias)
		}
		a.Alias = alias
		return nil
	})
}

// ListAccountAliases answers the alias, if there is one.
func (s *Service) ListAccountAliases(ctx context.Context, _ *iam.ListAccountAliasesInput) (*iam.ListAccountAliasesOutput, error) {
	out := &iam.ListAccountAliasesOutput{AccountAliases: []string{}}
	return out, s.view(ctx, func(tx store.Tx, account string) error {
		a, err := s.account(tx, account)
		if err == nil && a.Alias != "" {
			out.AccountAliases = append(out.AccountAliases, a.Alias)
		}
		return err
	})
}

// DeleteAccountAlias takes the alias away.
func (s *Service) DeleteAccountAlias(ctx context.Context, in *iam.DeleteAccountAliasInput) (*iam.DeleteAccountAliasOutput, error) {
	return &iam.DeleteAccountAliasOutput{}, s.alterAccount(ctx, func(_ store.Tx, a *Account) error {
		if a.Alias == "" || a.Alias != aws.ToString(in.AccountAlias) {
			return errNotFound("Account Alias", aws.ToString(in.AccountAlias))
		}
		a.Alias = ""
		return nil
	})
}

// SetSecurityTokenServicePreferences keeps which tokens the global endpoint gives. Here every token is good in every
// region.
func (s *Service) SetSecurityTokenServicePreferences(ctx context.Context, in *iam.SetSecurityTokenServicePreferencesInput) (*iam.SetSecurityTokenServicePreferencesOutput, error) {
	return &iam.SetSecurityTokenServicePreferencesOutput{}, s.alterAccount(ctx, func(_ store.Tx, a *Account) error {
		a.TokensEverywhere = in.GlobalEndpointTokenVersion == "v2Token"
		return nil
	})
}
