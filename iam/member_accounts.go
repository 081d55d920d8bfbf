package iam

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/aws/aws-sdk-go-v2/aws"

	"miniaws/backend/store"
)

// administrator is the policy of the role in a member account.
const administrator = "arn:aws:iam::aws:policy/AdministratorAccess"

// CreateMemberAccount makes an account for an organization, with a role that may do everything in it and that principals
// of the management account may assume, as far as their own policies let them. Errors: ErrEmailTaken, and an API error where
// it will never be made: nothing is written for a role that can have no such name. It may be called again after it
// was interrupted.
// AWS: "Accessing member accounts in your organization".
func (s *Service) CreateMemberAccount(ctx context.Context, in AccountInput, roleName, management string) error {
	if err := checkName("roleName", roleName); err != nil {
		return err
	}
	made, err := s.Account(ctx, in.ID)
	switch {
	case errors.Is(err, ErrNoAccount):
		made, _, err = s.CreateAccount(ctx, in)
	case err == nil && made.Email != in.Email:
		err = errEntityAlreadyExists("%s: %s", ErrAccountExists, in.ID)
	}
	if err != nil {
		return err
	}
	trust, err := json.Marshal(map[string]any{"Version": "2012-10-17", "Statement": []any{map[string]any{
		"Effect": "Allow", "Principal": map[string]string{"AWS": arn(management, "root")}, "Action": "sts:AssumeRole",
	}}})
	if err != nil {
		return err
	}
	return s.updateIn(ctx, made.ID, func(tx store.Tx, account string) error {
		if old, err := roleRows(tx, account).Find(folded(roleName)); err != nil || old != nil {
			return err
		}
		base, err := newIdentity(tx, account, prefixRole, "roleName", aws.String(roleName), nil, nil, nil)
		if err != nil {
			return err
		}
		r := &role{identity: base, Trust: document(trust), MaxSession: defaultSession}
		known, err := findPolicy(tx, account, administrator)
		switch {
		case err != nil:
			return err
		case known != nil:
			r.Attached = []string{administrator}
		default:
			r.Inline = map[string]document{"AdministratorAccess": `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`}
		}
		return insertRole(tx, account, r)
	})
}

// NewAccountNumber answers a number that no account has.
func (s *Service) NewAccountNumber(ctx context.Context) (string, error) {
	for {
		number := newAccountID()
		if _, err := s.Account(ctx, number); errors.Is(err, ErrNoAccount) {
			return number, nil
		} else if err != nil {
			return "", err
		}
	}
}

// IsEmailTaken tells the one error of CreateMemberAccount that is the caller's.
func IsEmailTaken(err error) bool { return errors.Is(err, ErrEmailTaken) }
