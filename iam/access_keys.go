package iam

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"miniaws/awsapi"
	"miniaws/backend/store"
)

// accessKey is a long-lived key of a user or of an account's root user.
type accessKey struct {
	ID      string
	Account string
	// User is the user's id, "" for the root user.
	User     string `json:",omitempty"`
	Inactive bool   `json:",omitempty"`
	Created  time.Time
	// Secret is sealed for this record.
	Secret []byte
	Used   use `json:",omitzero"`
}

// accessKeyTable is global: a signature names a key and nothing else.
var accessKeyTable = store.NewTable(store.Spec[accessKey]{
	Service: "iam",
	Name:    "access-keys",
	ID:      func(k *accessKey) store.ID { return store.ID{k.ID} },
	Indexes: []store.Index[accessKey]{
		{Name: "owner", Values: func(k *accessKey) []store.ID { return []store.ID{{k.Account, k.User}} }},
	},
})

// AWS: "IAM and STS quotas".
const maxAccessKeys = 2

func newAccessKeyID(prefix string) string { return prefix + randomBase32(16) }

// newSecret answers 40 characters, as AWS makes them.
func newSecret() string {
	var raw [30]byte
	_, _ = rand.Read(raw[:]) // never fails
	return base64.StdEncoding.EncodeToString(raw[:])
}

func (s *Service) putAccessKey(tx store.Tx, key *accessKey, secret string) error {
	key.Secret = s.secrets.Seal([]byte(secret), key.ID)
	return accessKeyTable.In(tx, store.Scope{}).Put(key)
}

func (s *Service) openSecret(key *accessKey) (string, error) {
	secret, err := s.secrets.Open(key.Secret, key.ID)
	return string(secret), err
}

// accessKeysOf answers the keys of a user, oldest first.
func accessKeysOf(tx store.Tx, account, userID string) (list []*accessKey, err error) {
	for key, err := range accessKeyTable.In(tx, store.Scope{}).Index("owner").Scan(store.Query{Parts: store.ID{account, userID}}) {
		if err != nil {
			return nil, err
		}
		list = append(list, key)
	}
	slices.SortStableFunc(list, func(a, b *accessKey) int { return a.Created.Compare(b.Created) })
	return list, nil
}

func anyAccessKey(tx store.Tx, account, userID string) (bool, error) {
	keys, err := accessKeysOf(tx, account, userID)
	return len(keys) > 0, err
}

// keyOwner answers id and name of the user that an operation means; both are empty for the root user, which is meant by
// nobody but itself.
func keyOwner(ctx context.Context, tx store.Tx, account string, name *string) (id, exact string, err error) {
	own := ownName(ctx, name)
	switch {
	case own == "" && awsapi.FromContext(ctx).Principal.Root:
		return "", "", nil
	case own == "":
		return "", "", errNoOwnName()
	}
	u, err := users.get(tx, account, own)
	if err != nil {
		return "", "", err
	}
	return u.ID, u.Name, nil
}

// ownAccessKey answers a key of the user that an operation means.
func ownAccessKey(ctx context.Context, tx store.Tx, account string, name, keyID *string) (*accessKey, error) {
	owner, _, err := keyOwner(ctx, tx, account, name)
	if err != nil {
		return nil, err
	}
	key, err := accessKeyTable.In(tx, store.Scope{}).Find(aws.ToString(keyID))
	if err != nil {
		return nil, err
	}
	if key == nil || key.Account != account || key.User != owner {
		return nil, errNotFoundKey(aws.ToString(keyID))
	}
	return key, nil
}

func errNotFoundKey(id string) error {
	return errNoSuchEntity("The Access Key with id %s cannot be found.", id)
}

// CreateAccessKey makes a key, and is the only one who ever answers its secret.
func (s *Service) CreateAccessKey(ctx context.Context, in *iam.CreateAccessKeyInput) (*iam.CreateAccessKeyOutput, error) {
	out := &iam.CreateAccessKeyOutput{}
	err := s.update(ctx, func(tx store.Tx, account string) error {
		owner, name, err := keyOwner(ctx, tx, account, in.UserName)
		if err != nil {
			return err
		}
		keys, err := accessKeysOf(tx, account, owner)
		if err != nil {
			return err
		}
		if len(keys) >= maxAccessKeys {
			return errQuota("AccessKeysPerUser", maxAccessKeys)
		}
		key, secret := &accessKey{ID: newAccessKeyID("AKIA"), Account: account, User: owner, Created: tx.Now().UTC().Truncate(time.Second)}, newSecret()
		out.AccessKey = &types.AccessKey{
			AccessKeyId: aws.String(key.ID), SecretAccessKey: aws.String(secret), Status: key.status(),
			UserName: aws.String(name), CreateDate: aws.Time(key.Created),
		}
		return s.putAccessKey(tx, key, secret)
	})
	return out, err
}

// ListAccessKeys answers keys without their secrets.
func (s *Service) ListAccessKeys(ctx context.Context, in *iam.ListAccessKeysInput) (*iam.ListAccessKeysOutput, error) {
	out := &iam.ListAccessKeysOutput{AccessKeyMetadata: []types.AccessKeyMetadata{}}
	err := s.view(ctx, func(tx store.Tx, account string) error {
		owner, name, err := keyOwner(ctx, tx, account, in.UserName)
		if err != nil {
			return err
		}
		keys, err := accessKeysOf(tx, account, owner)
		if err != nil {
			return err
		}
		p, err := pageOfList(keys, func(k *accessKey) string { return k.ID }, in.Marker, in.MaxItems)
		for _, key := range p.list {
			out.AccessKeyMetadata = append(out.AccessKeyMetadata, types.AccessKeyMetadata{
				AccessKeyId: aws.String(key.ID), Status: key.status(), UserName: aws.String(name), CreateDate: aws.Time(key.Created),
			})
		}
		out.IsTruncated, out.Marker = p.truncated(), p.marker
		return err
	})
	return out, err
}

// GetAccessKeyLastUsed answers when, where and for what a key was used last.
func (s *Service) GetAccessKeyLastUsed(ctx context.Context, in *iam.GetAccessKeyLastUsedInput) (*iam.GetAccessKeyLastUsedOutput, error) {
	out := &iam.GetAccessKeyLastUsedOutput{AccessKeyLastUsed: &types.AccessKeyLastUsed{}}
	err := s.view(ctx, func(tx store.Tx, account string) error {
		key, err := accessKeyTable.In(tx, store.Scope{}).Find(aws.ToString(in.AccessKeyId))
		if err != nil {
			return err
		}
		if key == nil || key.Account != account {
			// AWS: the same answer for a key of somebody else and for none.
			return errAccessDenied("User is not authorized to perform: iam:GetAccessKeyLastUsed on resource: access key " + aws.ToString(in.AccessKeyId))
		}
		if key.User != "" {
			u, err := s.userRows(tx, account).Index("id").Get(key.User)
			if err != nil {
				return err
			}
			out.UserName = aws.String(u.Name)
		}
		// AWS: "N/A" where the key was never used.
		used := s.uses.key(key)
		out.AccessKeyLastUsed.Region, out.AccessKeyLastUsed.ServiceName = aws.String("N/A"), aws.String("N/A")
		if !used.At.IsZero() {
			out.AccessKeyLastUsed = &types.AccessKeyLastUsed{
				LastUsedDate: aws.Time(used.At), Region: aws.String(used.Region), ServiceName: aws.String(used.Service),
			}
		}
		return nil
	})
	return out, err
}

// UpdateAccessKey makes a key active or inactive. An inactive one and its sessions are as good as unknown.
func (s *Service) UpdateAccessKey(ctx context.Context, in *iam.UpdateAccessKeyInput) (*iam.UpdateAccessKeyOutput, error) {
	return &iam.UpdateAccessKeyOutput{}, s.update(ctx, func(tx store.Tx, account string) error {
		key, err := ownAccessKey(ctx, tx, account, in.UserName, in.AccessKeyId)
		if err != nil {
			return err
		}
		key.Inactive = in.Status != types.StatusTypeActive
		return accessKeyTable.In(tx, store.Scope{}).Put(key)
	})
}

// DeleteAccessKey removes a key for good.
func (s *Service) DeleteAccessKey(ctx context.Context, in *iam.DeleteAccessKeyInput) (*iam.DeleteAccessKeyOutput, error) {
	return &iam.DeleteAccessKeyOutput{}, s.update(ctx, func(tx store.Tx, account string) error {
		key, err := ownAccessKey(ctx, tx, account, in.UserName, in.AccessKeyId)
		if err != nil {
			return err
		}
		return accessKeyTable.In(tx, store.Scope{}).Delete(key.ID)
	})
}

func (k *accessKey) status() types.StatusType { return statusOf(k.Inactive) }

func statusOf(inactive bool) types.StatusType {
	if inactive {
		return types.StatusTypeInactive
	}
	return types.StatusTypeActive
}
