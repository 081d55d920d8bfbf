package iam

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"miniaws/backend/store"
)

// passwordPolicy is what an account asks of its users' passwords.
type passwordPolicy struct {
	MinLength                              int32
	Uppercase, Lowercase, Numbers, Symbols bool
	UsersMayChange                         bool
	// MaxAge is in days, 0 for passwords that do not expire. HardExpiry locks out whose password has.
	MaxAge     int32 `json:",omitempty"`
	HardExpiry bool  `json:",omitempty"`
	// Reuse is how many earlier passwords cannot be chosen again.
	Reuse int32 `json:",omitempty"`
}

// AWS: "UpdateAccountPasswordPolicy" in the IAM API reference: the default where the parameter is absent.
const defaultMinLength = 6

func errNoPasswordPolicy(account string) error {
	return errNoSuchEntity("The Password Policy with domain name %s cannot be found.", account)
}

// UpdateAccountPasswordPolicy replaces the policy: what is absent has its default, not its old value.
func (s *Service) UpdateAccountPasswordPolicy(ctx context.Context, in *iam.UpdateAccountPasswordPolicyInput) (*iam.UpdateAccountPasswordPolicyOutput, error) {
	return &iam.UpdateAccountPasswordPolicyOutput{}, s.alterAccount(ctx, func(_ store.Tx, a *Account) error {
		a.Passwords = &passwordPolicy{
			MinLength: defaultMinLength,
			Uppercase: in.RequireUppercaseCharacters, Lowercase: in.RequireLowercaseCharacters, Numbers: in.RequireNumbers, Symbols: in.RequireSymbols,
			UsersMayChange: in.AllowUsersToChangePassword,
			MaxAge:         aws.ToInt32(in.MaxPasswordAge), HardExpiry: aws.ToBool(in.HardExpiry), Reuse: aws.ToInt32(in.PasswordReusePrevention),
		}
		if in.MinimumPasswordLength != nil {
			a.Passwords.MinLength = *in.MinimumPasswordLength
		}
		return nil
	})
}

// GetAccountPasswordPolicy answers the policy; the default one is none.
func (s *Service) GetAccountPasswordPolicy(ctx context.Context, _ *iam.GetAccountPasswordPolicyInput) (*iam.GetAccountPasswordPolicyOutput, error) {
	out := &iam.GetAccountPasswordPolicyOutput{}
	return out, s.view(ctx, func(tx store.Tx, account string) error {
		p, err := s.passwordsOf(tx, account)
		if err != nil {
			return err
		}
		if p == nil {
			return errNoPasswordPolicy(account)
		}
		out.PasswordPolicy = &types.PasswordPolicy{
			MinimumPasswordLength:      aws.Int32(p.MinLength),
			RequireUppercaseCharacters: p.Uppercase, RequireLowercaseCharacters: p.Lowercase, RequireNumbers: p.Numbers, RequireSymbols: p.Symbols,
			AllowUsersToChangePassword: p.UsersMayChange,
			ExpirePasswords:            p.MaxAge > 0,
		}
		if p.MaxAge > 0 {
			out.PasswordPolicy.MaxPasswordAge, out.PasswordPolicy.HardExpiry = aws.Int32(p.MaxAge), aws.Bool(p.HardExpiry)
		}
		if p.Reuse > 0 {
			out.PasswordPolicy.PasswordReusePrevention = aws.Int32(p.Reuse)
		}
		return nil
	})
}

// DeleteAccountPasswordPolicy goes back to the default policy.
func (s *Service) DeleteAccountPasswordPolicy(ctx context.Context, _ *iam.DeleteAccountPasswordPolicyInput) (*iam.DeleteAccountPasswordPolicyOutput, error) {
	return &iam.DeleteAccountPasswordPolicyOutput{}, s.alterAccount(ctx, func(_ store.Tx, a *Account) error {
		if a.Passwords == nil {
			return errNoPasswordPolicy(a.ID)
		}
		a.Passwords = nil
		return nil
	})
}
