package iam

import (
	"context"
	"errors"
	"strings"
	"time"

	"miniaws/backend/store"
)

// ErrNoSessions is the answer to an ARN whose sessions cannot be revoked: it is no role's, user's or root user's.
var ErrNoSessions = errors.New("this is not the ARN of a role, a user or a root user of this installation")

// RevokeSessions ends all sessions of a role, of a user (with those that it began for federated users) or, by
// arn:aws:iam::ACCOUNT:root, of a root user, that began until now. Those that begin from now on are good. It answers the
// moment. Errors: ErrNoSessions.
//
// AWS has no such operation: its console writes an inline policy AWSRevokeOlderSessions with aws:TokenIssueTime, which works
// here as well and leaves sessions able to ask who they are. This is for those who own the installation.
func (s *Service) RevokeSessions(ctx context.Context, principalARN string) (time.Time, error) {
	now := s.config.Now().UTC()
	account, word, _, ok := arnParts(principalARN)
	if root := strings.TrimSuffix(principalARN, ":root"); root != principalARN {
		account, word, ok = strings.TrimPrefix(root, "arn:aws:iam::"), "root", true
	}
	if !ok || account == "" {
		return now, ErrNoSessions
	}
	return now, s.updateIn(ctx, account, func(tx store.Tx, account string) error {
		switch word {
		case roles.word:
			return revoke(tx, account, roles, principalARN, now)
		case users.word:
			return revoke(tx, account, users, principalARN, now)
		case "root":
			a, err := s.account(tx, account)
			if errors.Is(err, ErrNoAccount) {
				return ErrNoSessions
			}
			if err != nil {
				return err
			}
			a.Revoked = now
			return accountTable.In(tx, store.Scope{}).Put(a)
		}
		return ErrNoSessions
	})
}

// revoke ends the sessions of one user or role.
func revoke[T any](tx store.Tx, account string, k *kind[T], principalARN string, now time.Time) error {
	record, err := k.table.In(tx, store.Scope{Account: account}).Find(folded(lastName(principalARN)))
	if err != nil {
		return err
	}
	if record == nil || k.arn(account, record) != principalARN {
		return ErrNoSessions
	}
	k.of(record).Revoked = now
	return k.put(tx, account, record)
}
