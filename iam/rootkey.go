package iam

import (
	"crypto/rand"
	"encoding/base32"
	"encoding/base64"
	"fmt"

	"miniaws/backend/lazyregexp"
)

// RootKey is the access key of an account's root user.
type RootKey struct {
	AccessKeyID     string
	SecretAccessKey string
}

// AWS: "AccessKey" in the IAM API reference: 16 to 128 word characters. Secrets have no documented form; these bounds
// keep out what cannot be meant.
var (
	accessKeyPattern = lazyregexp.New(`^\w{16,128}$`)
	secretPattern    = lazyregexp.New(`^[!-~]{8,256}$`)
)

// Check answers what is wrong with a key that somebody chose.
func (k RootKey) Check() error {
	if !accessKeyPattern.MatchString(k.AccessKeyID) {
		return fmt.Errorf("the root access key id must have 16 to 128 letters, digits or underscores")
	}
	if !secretPattern.MatchString(k.SecretAccessKey) {
		return fmt.Errorf("the root secret access key must have 8 to 256 printable characters without spaces")
	}
	return nil
}

// NewRootKey makes a random key in the form that AWS gives them.
// AWS: "IAM identifiers" in the user guide: the prefix AKIA marks an access key.
func NewRootKey() RootKey {
	var id [10]byte
	var secret [30]byte
	_, _ = rand.Read(id[:]) // never fails
	_, _ = rand.Read(secret[:])
	return RootKey{
		AccessKeyID:     "AKIA" + base32.StdEncoding.EncodeToString(id[:]),
		SecretAccessKey: base64.StdEncoding.EncodeToString(secret[:]),
	}
}
