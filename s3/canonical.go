package s3

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/hex"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// AWS: "Finding an AWS account identifier": the canonical user id is an obfuscated form of the account id, 64
// hexadecimal digits. Ours are a permutation of the account number under a constant key, so that an ACL's grantee can
// be turned back into an account without a table. It hides nothing: account numbers are no secrets.

var canonicalBlock = func() cipher.Block {
	block, err := aes.NewCipher([]byte("mini-aws canonical user ids: 32b"))
	if err != nil {
		panic(err) // the key has 32 bytes
	}
	return block
}()

// canonicalID answers the canonical user id of an account of twelve digits.
func canonicalID(account string) string {
	var raw [32]byte
	copy(raw[:12], account)
	canonicalBlock.Encrypt(raw[:16], raw[:16])
	copy(raw[16:], raw[:16])
	raw[16] ^= 1
	canonicalBlock.Encrypt(raw[16:], raw[16:])
	return hex.EncodeToString(raw[:])
}

// accountOf answers the account of a canonical user id; false if the id is none.
func accountOf(id string) (string, bool) {
	raw, err := hex.DecodeString(id)
	if err != nil || len(raw) != 32 {
		return "", false
	}
	var first [16]byte
	canonicalBlock.Decrypt(first[:], raw[:16])
	account := string(first[:12])
	if strings.Trim(account, "0123456789") != "" || canonicalID(account) != strings.ToLower(id) {
		return "", false
	}
	return account, true
}

// ownerOf is an account as the owner of a bucket or an object.
func ownerOf(account string) *types.Owner {
	return &types.Owner{ID: aws.String(canonicalID(account)), DisplayName: aws.String(account)}
}
