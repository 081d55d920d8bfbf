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
// of the management account may assume, as far as their own policies let them. Errors: ErrEmailTaken.
// AWS: "Accessing member accounts in your organization".
func (s *Service) CreateMemberAccount(ctx context.Context, in AccountInput, roleName, management string) (string, error) {
	made, _, err := s.CreateAccount(ctx, in)
	if err != nil {
		return "", err
	}
	trust, err := json.Marshal(map[string]any{"Version": "2012-10-17", "Statement": []any{map[string]any{
		"Effect": "Allow", "Principal": map[string]string{"AWS": arn(management, "root")}, "Action": "sts:AssumeRole",
	}}})
	if err != nil {
		return "", err
	}
	return made.ID, s.updateIn(ctx, made.ID, func(tx store.Tx, account string) error {
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

// IsEmailTaken tells the one error of CreateMemberAccount that is the caller's.
func IsEmailTaken(err error) bool { return errors.Is(err, ErrEmailTaken) }
