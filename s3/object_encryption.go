package s3

import (
	"bytes"
	"crypto/hmac"
	"crypto/md5" //nolint:gosec // the customer's checksum of a key
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"miniaws/awsapi"
	"miniaws/backend/blob"
)

// sealing is how an object is encrypted, other than by SSE-S3.
type sealing struct {
	// Algorithm is aws:kms or aws:kms:dsse; empty for a customer's key.
	Algorithm types.ServerSideEncryption `json:"a,omitempty"`
	KeyID     string                     `json:"k,omitempty"` // ARN
	BucketKey bool                       `json:"b,omitempty"`
	Context   string                     `json:"c,omitempty"`
	// Salt and Proof recognize a customer's key without telling it.
	Salt  string `json:"s,omitempty"`
	Proof []byte `json:"p,omitempty"`
}

// customerKey is a key of SSE-C as a request states it.
type customerKey struct {
	algorithm, key, md5 *string
}

// customer reads the headers: nil if there are none.
// AWS: "Using server-side encryption with customer-provided keys (SSE-C)"; the words as S3 answers them.
func (c customerKey) customer() ([]byte, error) {
	const words = "Requests specifying Server Side Encryption with Customer provided keys must provide "
	switch {
	case c.algorithm == nil && c.key == nil && c.md5 == nil:
		return nil, nil
	case c.algorithm == nil:
		return nil, errInvalidArgument(words+"a valid encryption algorithm.", "x-amz-server-side-encryption", "null")
	case *c.algorithm != "AES256":
		return nil, refusal(400, "InvalidEncryptionAlgorithmError", "The Encryption request you specified is not valid. Supported value: AES256.", "ArgumentName", "x-amz-server-side-encryption", "ArgumentValue", *c.algorithm)
	case c.key == nil:
		return nil, errInvalidArgument(words+"an appropriate secret key.", "x-amz-server-side-encryption", "null")
	case c.md5 == nil:
		return nil, errInvalidArgument(words+"the client calculated MD5 of the secret key.", "x-amz-server-side-encryption", "null")
	}
	key, err := base64.StdEncoding.DecodeString(*c.key)
	if err != nil || len(key) != 32 {
		return nil, errInvalidArgument("The secret key was invalid for the specified algorithm.", "x-amz-server-side-encryption", "null")
	}
	claimed, err := base64.StdEncoding.DecodeString(*c.md5)
	if sum := md5.Sum(key); err != nil || !bytes.Equal(claimed, sum[:]) {
		return nil, errInvalidArgument("The calculated MD5 hash of the key did not match the hash that was provided.", "x-amz-server-side-encryption", "null")
	}
	return key, nil
}

func proof(key []byte, salt string) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte("mini-aws customer key " + salt))
	return mac.Sum(nil)
}

// unlock answers the customer's key that the bytes of the object need, nil if they need none.
// AWS: "Using server-side encryption with customer-provided keys": 400 without a key, 403 with a wrong one.
func (x *sealing) unlock(c customerKey) ([]byte, error) {
	key, err := c.customer()
	if err != nil {
		return nil, err
	}
	sealed := x != nil && x.Proof != nil
	switch {
	case sealed && key == nil:
		return nil, errInvalidRequest("The object was stored using a form of Server Side Encryption. The correct parameters must be provided to retrieve the object.")
	case !sealed && key != nil:
		return nil, errInvalidRequest("The encryption parameters are not applicable to this object.")
	case sealed && !hmac.Equal(proof(key, x.Salt), x.Proof):
		return nil, errAccessDenied()
	}
	return key, nil
}

// encryptionWish is what a write asks for.
type encryptionWish struct {
	customerKey
	algorithm      types.ServerSideEncryption
	keyID, context *string
	bucketKey      *bool
}

// sealingOf decides how an object is encrypted: as the request says, or as the bucket does. The key is the customer's.
func (s *Service) sealingOf(r *awsapi.Request, b *bucket, w encryptionWish) (x *sealing, customer []byte, err error) {
	customer, err = w.customer()
	if err != nil {
		return nil, nil, err
	}
	fallback := b.defaultEncryption()
	if customer != nil {
		if w.algorithm != "" {
			return nil, nil, errInvalidArgument("Server Side Encryption with Customer provided key is incompatible with the encryption method specified", "x-amz-server-side-encryption", string(w.algorithm))
		}
		if slices.Contains(fallback.Blocked, types.EncryptionTypeSseC) {
			return nil, nil, refusal(403, "AccessDenied", "Access Denied because uploads with server-side encryption with customer-provided keys (SSE-C) are blocked for this bucket.")
		}
		salt := newOrder(r.Time, "")
		return &sealing{Salt: salt, Proof: proof(customer, salt)}, customer, nil
	}
	algorithm, keyID, bucketKey := w.algorithm, aws.ToString(w.keyID), fallback.BucketKey
	if algorithm == "" {
		if keyID != "" {
			return nil, nil, errInvalidArgument("Server Side Encryption with AWS KMS managed key requires HTTP header x-amz-server-side-encryption : aws:kms", "x-amz-server-side-encryption", "null")
		}
		algorithm, keyID = fallback.Algorithm, fallback.KeyID
	}
	if w.bucketKey != nil {
		bucketKey = *w.bucketKey
	}
	switch algorithm {
	case types.ServerSideEncryptionAes256:
		if keyID != "" {
			return nil, nil, errInvalidArgument("Server Side Encryption with AWS KMS managed key requires HTTP header x-amz-server-side-encryption : aws:kms", "x-amz-server-side-encryption", string(algorithm))
		}
		return nil, nil, nil
	case types.ServerSideEncryptionAwsKms, types.ServerSideEncryptionAwsKmsDsse:
	default:
		return nil, nil, errInvalidArgument("The encryption method specified is not supported", "x-amz-server-side-encryption", string(algorithm))
	}
	account := r.Principal.Account
	if account == "" {
		account = b.Account
	}
	managed := managedKey(account, b.Region)
	if keyID != "" && keyID != "alias/aws/s3" && keyID != "arn:aws:kms:"+b.Region+":"+account+":alias/aws/s3" && keyID != managed && keyID != managed[strings.LastIndexByte(managed, '/')+1:] {
		return nil, nil, errKMSNotFound(account, b.Region, keyID)
	}
	return &sealing{Algorithm: algorithm, KeyID: managed, BucketKey: bucketKey && algorithm == types.ServerSideEncryptionAwsKms, Context: aws.ToString(w.context)}, nil, nil
}

// managedKey is the ARN of the account's aws/s3 key: there is one for each account and region, and its id follows from
// them, until KMS is here.
func managedKey(account, region string) string {
	sum := sha256.Sum256([]byte("aws/s3 " + account + " " + region))
	id := hex.EncodeToString(sum[:16])
	return "arn:aws:kms:" + region + ":" + account + ":key/" + id[:8] + "-" + id[8:12] + "-4" + id[13:16] + "-8" + id[17:20] + "-" + id[20:]
}

// encrypted is what answers say about an object's encryption.
type encrypted struct {
	algorithm                      types.ServerSideEncryption
	keyID, context                 *string
	bucketKey                      *bool
	customerAlgorithm, customerMD5 *string
}

// shown says how bytes are encrypted; plain ones say nothing.
func (x *sealing) shown(plain bool, c customerKey) (e encrypted) {
	switch {
	case x != nil && x.Proof != nil:
		e.customerAlgorithm, e.customerMD5 = aws.String("AES256"), c.md5
	case x != nil:
		e.algorithm, e.keyID = x.Algorithm, &x.KeyID
		if x.BucketKey {
			e.bucketKey = aws.Bool(true)
		}
		if x.Context != "" {
			e.context = &x.Context
		}
	case !plain:
		e.algorithm = types.ServerSideEncryptionAes256
	}
	return e
}

// plain tells whether an object's bytes lie on the disk as they are.
func (s *Service) plain(ref blob.Ref) bool { return ref.Plain || ref.ID == "" && !s.blobs.Encrypts() }
