package iam

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
	"golang.org/x/crypto/argon2"

	"miniaws/awsapi"
	"miniaws/backend/store"
)

// loginProfile is a user's password for the console.
type loginProfile struct {
	Created, Changed time.Time
	// Hash is made by hashPassword; Earlier are older ones, newest first, for the policy's reuse prevention.
	Hash    string
	Earlier []string `json:",omitempty"`
	// Reset tells that the user has to choose a new one at the next sign-in.
	Reset bool `json:",omitempty"`
}

// Argon2id's cost: what OWASP's password storage cheat sheet asks for.
const (
	argonMemory = 19 << 10 // KiB
	argonTime   = 2
	argonSalt   = 16
	argonKey    = 32
)

// hashPassword answers salt and hash as text.
func hashPassword(password string) string {
	var salt [argonSalt]byte
	_, _ = rand.Read(salt[:]) // never fails
	hash := argon2.IDKey([]byte(password), salt[:], argonTime, argonMemory, 1, argonKey)
	return fmt.Sprintf("argon2id$%s$%s", base64.RawStdEncoding.EncodeToString(salt[:]), base64.RawStdEncoding.EncodeToString(hash))
}

// samePassword compares in a time that does not tell where they differ.
func samePassword(hash, password string) bool {
	parts := strings.Split(hash, "$")
	if len(parts) != 3 {
		return false
	}
	salt, err := base64.RawStdEncoding.DecodeString(parts[1])
	if err != nil {
		return false
	}
	again := argon2.IDKey([]byte(password), salt, argonTime, argonMemory, 1, argonKey)
	return sameText(base64.RawStdEncoding.EncodeToString(again), parts[2])
}

// maxReuse is the most passwords that a policy remembers.
const maxReuse = 24

func errPasswordPolicy(message string) error {
	return awsapi.Errorf("PasswordPolicyViolation", "%s", message)
}

func errNoLogin(name string) error {
	return errNoSuchEntity("Login Profile for User %s cannot be found.", name)
}

// passwordSymbols are those that AWS counts.
// AWS: "Set an account password policy for IAM users".
const passwordSymbols = "!@#$%^&*()_+-=[]{}|'"

// checkPassword holds a new password against the account's policy, or the default one.
func (p *passwordPolicy) check(password string) error {
	var upper, lower, digit, symbol bool
	for _, r := range password {
		upper = upper || unicode.IsUpper(r)
		lower = lower || unicode.IsLower(r)
		digit = digit || unicode.IsDigit(r)
		symbol = symbol || strings.ContainsRune(passwordSymbols, r)
	}
	if p == nil {
		sorts := 0
		for _, has := range []bool{upper, lower, digit, symbol} {
			if has {
				sorts++
			}
		}
		switch {
		case len(password) < 8:
			return errPasswordPolicy("Password should have a minimum length of 8")
		case sorts < 3:
			return errPasswordPolicy("Password should have at least three of: uppercase letters, lowercase letters, numbers, symbols")
		}
		return nil
	}
	switch {
	case len(password) < int(p.MinLength):
		return errPasswordPolicy(fmt.Sprintf("Password should have a minimum length of %d", p.MinLength))
	case p.Uppercase && !upper:
		return errPasswordPolicy("Password should have at least one uppercase letter")
	case p.Lowercase && !lower:
		return errPasswordPolicy("Password should have at least one lowercase letter")
	case p.Numbers && !digit:
		return errPasswordPolicy("Password should have at least one number")
	case p.Symbols && !symbol:
		return errPasswordPolicy("Password should have at least one of the following symbols: ! @ # $ % ^ & * ( ) _ + - = [ ] { } | '")
	}
	return nil
}

// checkReuse refuses a password that the policy remembers.
func (p *passwordPolicy) checkReuse(l *loginProfile, password string) error {
	if p == nil || p.Reuse == 0 {
		return nil
	}
	for i, hash := range append([]string{l.Hash}, l.Earlier...) {
		if i < int(p.Reuse) && samePassword(hash, password) {
			return errPasswordPolicy("Password cannot be reused")
		}
	}
	return nil
}

func (l *loginProfile) change(hash string, now time.Time) {
	l.Earlier = append([]string{l.Hash}, l.Earlier...)
	l.Earlier = l.Earlier[:min(len(l.Earlier), maxReuse-1)]
	l.Hash, l.Changed = hash, now.UTC().Truncate(time.Second)
}

// passwordsOf answers the policy of the caller's account, nil for the default one.
func (s *Service) passwordsOf(tx store.Tx, account string) (*passwordPolicy, error) {
	a, err := s.account(tx, account)
	if err != nil {
		return nil, err
	}
	return a.Passwords, nil
}

// CreateLoginProfile gives a user a password.
func (s *Service) CreateLoginProfile(ctx context.Context, in *iam.CreateLoginProfileInput) (*iam.CreateLoginProfileOutput, error) {
	out := &iam.CreateLoginProfileOutput{}
	hash := hashPassword(aws.ToString(in.Password))
	name := ownName(ctx, in.UserName)
	return out, alter(ctx, s, users, &name, func(tx store.Tx, account string, u *user) error {
		if u.Login != nil {
			return errEntityAlreadyExists("Login Profile for user %s already exists.", u.Name)
		}
		if in.Password == nil {
			return errValidation("1 validation error detected: Value null at 'password' failed to satisfy constraint: Member must not be null")
		}
		passwords, err := s.passwordsOf(tx, account)
		if err != nil {
			return err
		}
		if err := passwords.check(*in.Password); err != nil {
			return err
		}
		now := tx.Now().UTC().Truncate(time.Second)
		u.Login = &loginProfile{Created: now, Changed: now, Hash: hash, Reset: in.PasswordResetRequired}
		out.LoginProfile = u.loginToAPI()
		return nil
	})
}

// GetLoginProfile answers whether a user has a password, and since when.
func (s *Service) GetLoginProfile(ctx context.Context, in *iam.GetLoginProfileInput) (*iam.GetLoginProfileOutput, error) {
	out := &iam.GetLoginProfileOutput{}
	name := ownName(ctx, in.UserName)
	return out, look(ctx, s, users, &name, func(_ store.Tx, _ string, u *user) error {
		if u.Login == nil {
			return errNoLogin(u.Name)
		}
		out.LoginProfile = u.loginToAPI()
		return nil
	})
}

// UpdateLoginProfile changes a user's password, or whether it has to be changed.
func (s *Service) UpdateLoginProfile(ctx context.Context, in *iam.UpdateLoginProfileInput) (*iam.UpdateLoginProfileOutput, error) {
	hash := ""
	if in.Password != nil {
		hash = hashPassword(*in.Password)
	}
	return &iam.UpdateLoginProfileOutput{}, alter(ctx, s, users, in.UserName, func(tx store.Tx, account string, u *user) error {
		if u.Login == nil {
			return errNoLogin(u.Name)
		}
		if in.PasswordResetRequired != nil {
			u.Login.Reset = *in.PasswordResetRequired
		}
		if in.Password == nil {
			return nil
		}
		passwords, err := s.passwordsOf(tx, account)
		if err != nil {
			return err
		}
		if err := errFirst(passwords.check(*in.Password), passwords.checkReuse(u.Login, *in.Password)); err != nil {
			return err
		}
		u.Login.change(hash, tx.Now())
		return nil
	})
}

// DeleteLoginProfile takes a user's password away.
func (s *Service) DeleteLoginProfile(ctx context.Context, in *iam.DeleteLoginProfileInput) (*iam.DeleteLoginProfileOutput, error) {
	name := ownName(ctx, in.UserName)
	return &iam.DeleteLoginProfileOutput{}, alter(ctx, s, users, &name, func(_ store.Tx, _ string, u *user) error {
		if u.Login == nil {
			return errNoLogin(u.Name)
		}
		u.Login = nil
		return nil
	})
}

// changePasswordAccess asks nothing of policies where the account's password policy lets users change their own.
func (s *Service) changePasswordAccess(ctx context.Context, in *iam.ChangePasswordInput) ([]awsapi.Access, error) {
	caller := awsapi.FromContext(ctx).Principal
	allowed := false
	err := s.view(ctx, func(tx store.Tx, account string) error {
		passwords, err := s.passwordsOf(tx, account)
		allowed = passwords != nil && passwords.UsersMayChange
		return err
	})
	if err != nil || allowed {
		return nil, err
	}
	return []awsapi.Access{{Action: "iam:ChangePassword", Resources: []string{caller.ARN}}}, nil
}

// ChangePassword changes the caller's own password, who knows the old one.
func (s *Service) ChangePassword(ctx context.Context, in *iam.ChangePasswordInput) (*iam.ChangePasswordOutput, error) {
	caller := awsapi.FromContext(ctx).Principal
	if caller.UserName == "" {
		return nil, awsapi.Errorf("InvalidUserType", "Only IAM Users can change their own password.")
	}
	hash := hashPassword(aws.ToString(in.NewPassword))
	return &iam.ChangePasswordOutput{}, alter(ctx, s, users, &caller.UserName, func(tx store.Tx, account string, u *user) error {
		if u.Login == nil {
			return errNoLogin(u.Name)
		}
		if !samePassword(u.Login.Hash, aws.ToString(in.OldPassword)) {
			return errAccessDenied("The old password was incorrect.")
		}
		passwords, err := s.passwordsOf(tx, account)
		if err != nil {
			return err
		}
		if err := errFirst(passwords.check(aws.ToString(in.NewPassword)), passwords.checkReuse(u.Login, aws.ToString(in.NewPassword))); err != nil {
			return err
		}
		u.Login.change(hash, tx.Now())
		u.Login.Reset = false
		return nil
	})
}

func (u *user) loginToAPI() *types.LoginProfile {
	return &types.LoginProfile{UserName: aws.String(u.Name), CreateDate: aws.Time(u.Login.Created), PasswordResetRequired: u.Login.Reset}
}
