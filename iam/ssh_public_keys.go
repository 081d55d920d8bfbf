package iam

import (
	"context"
	"crypto/md5" // #nosec: fingerprints are MD5 by AWS's definition
	"crypto/rsa"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
	"golang.org/x/crypto/ssh"

	"miniaws/awsapi"
	"miniaws/backend/store"
)

// sshKey is a user's public key for services that speak SSH.
type sshKey struct {
	User, ID string
	// Body is in OpenSSH's format.
	Body     string
	Uploaded time.Time
	Inactive bool `json:",omitempty"`
}

var sshKeyTable = store.NewTable(store.Spec[sshKey]{
	Service: "iam",
	Name:    "ssh-public-keys",
	ID:      func(k *sshKey) store.ID { return store.ID{k.User, k.ID} },
})

// AWS: "IAM and STS quotas"; "Setup steps for SSH connections": RSA of at least 2048 bits.
const (
	maxSSHKeys = 5
	minSSHBits = 2048
)

func sshKeyRows(tx store.Tx, account string) store.Rows[sshKey] {
	return sshKeyTable.In(tx, store.Scope{Account: account})
}

// userRecords answers the records of a table whose ids begin with the user's.
func userRecords[T any](rows store.Rows[T], userID string) ([]*T, error) {
	list, _, err := rows.List(store.Query{Parts: store.ID{userID}})
	return list, err
}

func anyUserRecord[T any](table *store.Table[T]) func(tx store.Tx, account, userID string) (bool, error) {
	return func(tx store.Tx, account, userID string) (bool, error) {
		list, _, err := table.In(tx, store.Scope{Account: account}).List(store.Query{Parts: store.ID{userID}, Limit: 1})
		return len(list) > 0, err
	}
}

func errSSHEncoding() error {
	return awsapi.Errorf("UnrecognizedPublicKeyEncoding", "The public key encoding format is unsupported or unrecognized.")
}

// parseSSHKey reads an RSA key in OpenSSH's format or in PEM.
func parseSSHKey(text string) (ssh.PublicKey, error) {
	var key ssh.PublicKey
	if block, _ := pem.Decode([]byte(text)); block != nil {
		parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
		if err != nil {
			return nil, errSSHEncoding()
		}
		if key, err = ssh.NewPublicKey(parsed); err != nil {
			return nil, errSSHEncoding()
		}
	} else if parsed, _, _, _, err := ssh.ParseAuthorizedKey([]byte(text)); err == nil {
		key = parsed
	} else {
		return nil, errSSHEncoding()
	}
	held, ok := key.(ssh.CryptoPublicKey)
	if !ok {
		return nil, errInvalidPublicKey()
	}
	if bits, ok := held.CryptoPublicKey().(*rsa.PublicKey); !ok || bits.N.BitLen() < minSSHBits {
		return nil, errInvalidPublicKey()
	}
	return key, nil
}

func errInvalidPublicKey() error {
	return awsapi.Errorf("InvalidPublicKey", "The public key is malformed or otherwise invalid. It must be RSA with at least %d bits.", minSSHBits)
}

func (k *sshKey) fingerprint() string {
	key, err := parseSSHKey(k.Body)
	if err != nil {
		return ""
	}
	hash := md5.Sum(key.Marshal()) // #nosec: see above
	var parts []string
	for _, b := range hash {
		parts = append(parts, hex.EncodeToString([]byte{b}))
	}
	return strings.Join(parts, ":")
}

// UploadSSHPublicKey gives a user a key.
func (s *Service) UploadSSHPublicKey(ctx context.Context, in *iam.UploadSSHPublicKeyInput) (*iam.UploadSSHPublicKeyOutput, error) {
	out := &iam.UploadSSHPublicKeyOutput{}
	return out, s.update(ctx, func(tx store.Tx, account string) error {
		u, err := users.get(tx, account, aws.ToString(in.UserName))
		if err != nil {
			return err
		}
		key, err := parseSSHKey(aws.ToString(in.SSHPublicKeyBody))
		if err != nil {
			return err
		}
		body := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key)))
		held, err := userRecords(sshKeyRows(tx, account), u.ID)
		if err != nil {
			return err
		}
		for _, k := range held {
			if k.Body == body {
				return awsapi.Errorf("DuplicateSSHPublicKey", "The SSH public key is already associated with the specified IAM user.")
			}
		}
		if len(held) >= maxSSHKeys {
			return errQuota("SSHPublicKeysPerUser", maxSSHKeys)
		}
		k := &sshKey{User: u.ID, ID: newAccessKeyID(prefixSSHKey), Body: body, Uploaded: tx.Now().UTC().Truncate(time.Second)}
		out.SSHPublicKey = k.toAPI(u.Name)
		return sshKeyRows(tx, account).Put(k)
	})
}

func getSSHKey(tx store.Tx, account string, userName, id *string) (*user, *sshKey, error) {
	u, err := users.get(tx, account, aws.ToString(userName))
	if err != nil {
		return nil, nil, err
	}
	k, err := sshKeyRows(tx, account).Find(u.ID, aws.ToString(id))
	if err == nil && k == nil {
		err = errNoSuchEntity("The Public Key with id %s cannot be found.", aws.ToString(id))
	}
	return u, k, err
}

// GetSSHPublicKey answers a key in either encoding.
func (s *Service) GetSSHPublicKey(ctx context.Context, in *iam.GetSSHPublicKeyInput) (*iam.GetSSHPublicKeyOutput, error) {
	out := &iam.GetSSHPublicKeyOutput{}
	return out, s.view(ctx, func(tx store.Tx, account string) error {
		u, k, err := getSSHKey(tx, account, in.UserName, in.SSHPublicKeyId)
		if err != nil {
			return err
		}
		out.SSHPublicKey = k.toAPI(u.Name)
		if in.Encoding != types.EncodingTypePem {
			return nil
		}
		key, err := parseSSHKey(k.Body)
		if err != nil {
			return err
		}
		der, err := x509.MarshalPKIXPublicKey(key.(ssh.CryptoPublicKey).CryptoPublicKey())
		out.SSHPublicKey.SSHPublicKeyBody = aws.String(string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})))
		return err
	})
}

// ListSSHPublicKeys answers keys without their bodies.
func (s *Service) ListSSHPublicKeys(ctx context.Context, in *iam.ListSSHPublicKeysInput) (*iam.ListSSHPublicKeysOutput, error) {
	out := &iam.ListSSHPublicKeysOutput{SSHPublicKeys: []types.SSHPublicKeyMetadata{}}
	return out, s.view(ctx, func(tx store.Tx, account string) error {
		owner, name, err := keyOwner(ctx, tx, account, in.UserName)
		if err != nil {
			return err
		}
		list, err := userRecords(sshKeyRows(tx, account), owner)
		if err != nil {
			return err
		}
		p, err := pageOfList(list, func(k *sshKey) string { return k.ID }, in.Marker, in.MaxItems)
		for _, k := range p.list {
			out.SSHPublicKeys = append(out.SSHPublicKeys, types.SSHPublicKeyMetadata{
				SSHPublicKeyId: aws.String(k.ID), Status: statusOf(k.Inactive), UploadDate: aws.Time(k.Uploaded), UserName: aws.String(name),
			})
		}
		out.IsTruncated, out.Marker = p.truncated(), p.marker
		return err
	})
}

// UpdateSSHPublicKey makes a key active or inactive.
func (s *Service) UpdateSSHPublicKey(ctx context.Context, in *iam.UpdateSSHPublicKeyInput) (*iam.UpdateSSHPublicKeyOutput, error) {
	return &iam.UpdateSSHPublicKeyOutput{}, s.update(ctx, func(tx store.Tx, account string) error {
		_, k, err := getSSHKey(tx, account, in.UserName, in.SSHPublicKeyId)
		if err != nil {
			return err
		}
		k.Inactive = in.Status != types.StatusTypeActive
		return sshKeyRows(tx, account).Put(k)
	})
}

// DeleteSSHPublicKey removes a key.
func (s *Service) DeleteSSHPublicKey(ctx context.Context, in *iam.DeleteSSHPublicKeyInput) (*iam.DeleteSSHPublicKeyOutput, error) {
	return &iam.DeleteSSHPublicKeyOutput{}, s.update(ctx, func(tx store.Tx, account string) error {
		u, k, err := getSSHKey(tx, account, in.UserName, in.SSHPublicKeyId)
		if err != nil {
			return err
		}
		return sshKeyRows(tx, account).Delete(u.ID, k.ID)
	})
}

func (k *sshKey) toAPI(userName string) *types.SSHPublicKey {
	return &types.SSHPublicKey{
		SSHPublicKeyId: aws.String(k.ID), Fingerprint: aws.String(k.fingerprint()), SSHPublicKeyBody: aws.String(k.Body),
		Status: statusOf(k.Inactive), UploadDate: aws.Time(k.Uploaded), UserName: aws.String(userName),
	}
}
