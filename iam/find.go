package iam

import (
	"context"
	"errors"
	"sync"

	"miniaws/awsapi"
	"miniaws/backend/store"
)

// credential is what a client claims to hold.
type credential struct{ key, token string }

// knownCredential is what a credential was found to mean when its account had that stamp.
type knownCredential struct {
	stamp  string
	secret string
	owner  awsapi.Principal
}

// maxKnown bounds what is remembered; beyond it everything is forgotten and found again.
const maxKnown = 10_000

// knownCredentials saves looking up and opening what did not change.
type knownCredentials struct {
	mu  sync.RWMutex
	all map[credential]*knownCredential
}

func (k *knownCredentials) get(c credential) *knownCredential {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.all[c]
}

func (k *knownCredentials) put(c credential, known *knownCredential) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.all == nil || len(k.all) >= maxKnown {
		k.all = map[credential]*knownCredential{}
	}
	k.all[c] = known
}

func (k *knownCredentials) forget() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.all = nil
}

// Find answers whose a key is: a root user's, a user's, or a session's. It is asked before the signature is verified, so
// it must not tell an inactive key from one that never was.
func (s *Service) Find(ctx context.Context, accessKeyID, sessionToken string) (string, awsapi.Principal, error) {
	if root := s.config.Root; accessKeyID == root.AccessKeyID {
		if sessionToken != "" {
			return "", awsapi.Principal{}, awsapi.ErrInvalidToken // a long-lived key has no token
		}
		return root.SecretAccessKey, rootPrincipal(s.config.Account, accessKeyID), nil
	}
	c := credential{accessKeyID, sessionToken}
	found := s.known.get(c)
	err := s.config.DB.View(ctx, func(tx store.Tx) error {
		if found != nil {
			now, err := stamp(tx, found.owner.Account)
			if err != nil || now == found.stamp {
				return err
			}
		}
		var err error
		if sessionToken != "" {
			found, err = s.findSession(tx, c)
		} else {
			found, err = s.findKey(tx, accessKeyID)
		}
		if err != nil {
			return err
		}
		if found.stamp, err = stamp(tx, found.owner.Account); err == nil {
			s.known.put(c, found)
		}
		return err
	})
	switch {
	case err != nil:
		return "", awsapi.Principal{}, err
	case found.owner.Session != nil && !s.config.Now().Before(found.owner.Session.Expires):
		return "", awsapi.Principal{}, awsapi.ErrExpiredToken
	}
	if session := found.owner.Session; session != nil && s.holders[session.Service] != nil {
		held, err := s.holders[session.Service](ctx, found.owner.Account, session.Name, found.owner.RoleARN)
		if err == nil && !held {
			err = awsapi.ErrInvalidToken
		}
		if err != nil {
			return "", awsapi.Principal{}, err
		}
	}
	return found.secret, found.owner, nil
}

func rootPrincipal(account, accessKeyID string) awsapi.Principal {
	return awsapi.Principal{Type: awsapi.RootUser, Account: account, ARN: arn(account, "root"), ID: account, AccessKeyID: accessKeyID, Root: true}
}

func userPrincipal(account, accessKeyID string, u *user) awsapi.Principal {
	return awsapi.Principal{
		Type: awsapi.User, Account: account, ARN: users.arn(account, u), ID: u.ID, AccessKeyID: accessKeyID,
		UserName: u.Name, UserID: u.ID,
	}
}

func (s *Service) findKey(tx store.Tx, accessKeyID string) (*knownCredential, error) {
	key, err := accessKeyTable.In(tx, store.Scope{}).Find(accessKeyID)
	if err != nil {
		return nil, err
	}
	if key == nil || key.Inactive {
		return nil, awsapi.ErrUnknownAccessKey
	}
	found := &knownCredential{}
	if found.secret, err = s.openSecret(key); err != nil {
		return nil, err
	}
	found.owner = rootPrincipal(key.Account, key.ID)
	if key.User != "" {
		u, err := s.userRows(tx, key.Account).Index("id").Get(key.User)
		if err != nil {
			return nil, err
		}
		found.owner = userPrincipal(key.Account, key.ID, u)
	}
	return found, nil
}

// findSession answers who holds a session. One whose role, user or key is gone is not valid any more.
func (s *Service) findSession(tx store.Tx, c credential) (*knownCredential, error) {
	opened, err := s.openSession(c.key, c.token)
	if err != nil {
		// AWS: a token with a long-lived key is as wrong as a token that was changed.
		return nil, err
	}
	found := &knownCredential{secret: opened.Secret}
	account := opened.Account
	if opened.Key != "" && opened.Key != s.config.Root.AccessKeyID {
		key, err := accessKeyTable.In(tx, store.Scope{}).Find(opened.Key)
		if err != nil {
			return nil, err
		}
		if key == nil || key.Inactive {
			return nil, awsapi.ErrInvalidToken
		}
	}
	switch {
	case opened.Type == awsapi.AssumedRole:
		r, err := roleRows(tx, account).Index("id").Find(opened.Owner)
		if err != nil {
			return nil, err
		}
		if r == nil || opened.Begun.Before(r.Revoked) {
			return nil, awsapi.ErrInvalidToken
		}
		found.owner = awsapi.Principal{
			Type: awsapi.AssumedRole, Account: account, AccessKeyID: c.key,
			ARN: sessionARN(account, r, opened.Name), ID: r.ID + ":" + opened.Name,
			RoleARN: roles.arn(account, r), RoleID: r.ID,
		}
	case opened.Owner == "":
		a, err := s.account(tx, account)
		if errors.Is(err, ErrNoAccount) || err == nil && opened.Begun.Before(a.Revoked) {
			return nil, awsapi.ErrInvalidToken
		}
		if err != nil {
			return nil, err
		}
		found.owner = rootPrincipal(account, c.key)
	default:
		u, err := s.userRows(tx, account).Index("id").Find(opened.Owner)
		if err != nil {
			return nil, err
		}
		if u == nil || opened.Begun.Before(u.Revoked) {
			return nil, awsapi.ErrInvalidToken
		}
		found.owner = userPrincipal(account, c.key, u)
	}
	if opened.Type == awsapi.FederatedUser {
		// AWS: "IAM identifiers": the federated user's id is account:name.
		found.owner.Type, found.owner.Root = awsapi.FederatedUser, false
		found.owner.ARN, found.owner.ID = federatedARN(account, opened.Name), account+":"+opened.Name
	}
	found.owner.Session = &opened.Session
	return found, nil
}

func sessionARN(account string, r *role, name string) string {
	return "arn:aws:sts::" + account + ":assumed-role/" + r.Name + "/" + name
}

func federatedARN(account, name string) string {
	return "arn:aws:sts::" + account + ":federated-user/" + name
}
