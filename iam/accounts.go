package iam

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math/big"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"miniaws/backend/store"
)

// Account is one of the installation's accounts.
type Account struct {
	ID          string
	Name, Email string
	Created     time.Time
	// Alias is the account's name in addresses, "" for none.
	Alias string `json:",omitempty"`
	// Passwords is nil where the default policy holds.
	Passwords *passwordPolicy `json:",omitempty"`
	// TokensEverywhere is the preference of SetSecurityTokenServicePreferences: tokens of the global endpoint are good in
	// all regions. It changes nothing here but the account's summary.
	TokensEverywhere bool `json:",omitempty"`
	// Revoked ends the root user's sessions that began before it.
	Revoked time.Time `json:",omitzero"`
}

// accountTable is global.
var accountTable = store.NewTable(store.Spec[Account]{
	Service: "iam",
	Name:    "accounts",
	ID:      func(a *Account) store.ID { return store.ID{a.ID} },
	Indexes: []store.Index[Account]{
		// AWS: "CreateAccountAlias": an alias is unique among all accounts.
		{Name: "alias", Unique: true, Values: func(a *Account) []store.ID {
			if a.Alias == "" {
				return nil
			}
			return []store.ID{{a.Alias}}
		}},
		{Name: "email", Unique: true, Values: func(a *Account) []store.ID {
			if a.Email == "" {
				return nil
			}
			return []store.ID{{folded(a.Email)}}
		}},
	},
})

// ErrEmailTaken: another account has the address.
var ErrEmailTaken = errors.New("an account with this email address exists")

// ErrNoAccount: the installation has no such account.
var ErrNoAccount = errors.New("no such account")

// ErrAccountExists: an account has the wanted number.
var ErrAccountExists = errors.New("an account with this number exists")

// AccountInput describes a new account.
type AccountInput struct {
	// ID is twelve digits, or empty for one that nobody has.
	ID   string
	Name string
	// Email is the root user's and not used twice; empty for none.
	Email string
}

// CreateAccount makes an account with a root user's key. Errors: ErrEmailTaken, ErrAccountExists.
func (s *Service) CreateAccount(ctx context.Context, in AccountInput) (Account, RootKey, error) {
	var made Account
	key := NewRootKey()
	err := s.config.DB.Update(ctx, func(tx store.Tx) error {
		rows := accountTable.In(tx, store.Scope{})
		if in.Email != "" {
			if other, err := rows.Index("email").Find(folded(in.Email)); err != nil {
				return err
			} else if other != nil {
				return ErrEmailTaken
			}
		}
		if in.ID == s.config.Account {
			return ErrAccountExists
		}
		made = Account{ID: cmp.Or(in.ID, newAccountID()), Name: in.Name, Email: in.Email, Created: tx.Now().UTC().Truncate(time.Second)}
		if err := rows.Insert(&made); errors.Is(err, store.ErrExists) {
			return ErrAccountExists
		} else if err != nil {
			return err
		}
		return s.putAccessKey(tx, &accessKey{ID: key.AccessKeyID, Account: made.ID, Created: made.Created}, key.SecretAccessKey)
	})
	return made, key, err
}

// newAccountID answers twelve digits. The first is not 0, so that no tool that takes them for a number loses it.
func newAccountID() string {
	n, err := rand.Int(rand.Reader, big.NewInt(9e11))
	if err != nil {
		panic(err) // the system's randomness never fails
	}
	return fmt.Sprint(n.Int64() + 1e11)
}

// Account answers an account, or ErrNoAccount.
func (s *Service) Account(ctx context.Context, id string) (Account, error) {
	var found Account
	err := s.config.DB.View(ctx, func(tx store.Tx) error {
		a, err := s.account(tx, id)
		if err == nil {
			found = *a
		}
		return err
	})
	return found, err
}

// account also answers the installation's own account before its record is made.
func (s *Service) account(tx store.Tx, id string) (*Account, error) {
	a, err := accountTable.In(tx, store.Scope{}).Find(id)
	switch {
	case err != nil || a != nil:
		return a, err
	case id == s.config.Account:
		return &Account{ID: id, Name: "mini-aws", Created: tx.Now().UTC().Truncate(time.Second)}, nil
	}
	return nil, ErrNoAccount
}

// Accounts lists all accounts in the order of their numbers.
func (s *Service) Accounts(ctx context.Context) ([]Account, error) {
	var list []Account
	err := s.config.DB.View(ctx, func(tx store.Tx) error {
		list = nil
		for a, err := range accountTable.In(tx, store.Scope{}).Scan(store.Query{}) {
			if err != nil {
				return err
			}
			list = append(list, *a)
		}
		return nil
	})
	return list, err
}

// ensureOwnAccount makes the record of the installation's account at first start.
func (s *Service) ensureOwnAccount(ctx context.Context) error {
	return s.config.DB.Update(ctx, func(tx store.Tx) error {
		rows := accountTable.In(tx, store.Scope{})
		if a, err := rows.Find(s.config.Account); err != nil || a != nil {
			return err
		}
		a, err := s.account(tx, s.config.Account)
		if err != nil {
			return err
		}
		return rows.Put(a)
	})
}

// AccountRootKey answers the oldest root key of an account, for those who own the installation. Errors: ErrNoAccount.
func (s *Service) AccountRootKey(ctx context.Context, account string) (RootKey, error) {
	if account == s.config.Account {
		return s.config.Root, nil
	}
	key := RootKey{}
	err := s.config.DB.View(ctx, func(tx store.Tx) error {
		keys, err := accessKeysOf(tx, account, "")
		if err != nil {
			return err
		}
		if len(keys) == 0 {
			return ErrNoAccount
		}
		secret, err := s.openSecret(keys[0])
		key = RootKey{AccessKeyID: keys[0].ID, SecretAccessKey: secret}
		return err
	})
	return key, err
}

// ForgetAccount removes what the account has outside of its own part of the tree: its alias, and the keys of its users. The
// account stays, with its root user's keys. It is for those who then remove that part.
func (s *Service) ForgetAccount(ctx context.Context, account string) error {
	err := s.config.DB.Update(ctx, func(tx store.Tx) error {
		keys := accessKeyTable.In(tx, store.Scope{})
		for key, err := range keys.Index("owner").Scan(store.Query{Parts: store.ID{account}}) {
			if err != nil {
				return err
			}
			if key.User == "" {
				continue
			}
			if err := keys.Delete(key.ID); err != nil {
				return err
			}
		}
		if err := putStamp(tx, account); err != nil {
			return err
		}
		a, err := s.account(tx, account)
		if err != nil {
			return err
		}
		return accountTable.In(tx, store.Scope{}).Put(&Account{ID: a.ID, Name: a.Name, Email: a.Email, Created: a.Created})
	})
	s.known.forget()
	return err
}

// alterAccount changes the record of the caller's account.
func (s *Service) alterAccount(ctx context.Context, fn func(tx store.Tx, a *Account) error) error {
	return s.update(ctx, func(tx store.Tx, account string) error {
		a, err := s.account(tx, account)
		if err != nil {
			return err
		}
		if err := fn(tx, a); err != nil {
			return err
		}
		return accountTable.In(tx, store.Scope{}).Put(a)
	})
}

// rootToAPI is what GetUser answers the root user about itself.
func (a *Account) rootToAPI() *types.User {
	return &types.User{Arn: aws.String(arn(a.ID, "root")), UserId: aws.String(a.ID), CreateDate: aws.Time(a.Created)}
}
