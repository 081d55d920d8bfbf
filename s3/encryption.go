package s3

import (
	"context"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"miniaws/backend/store"
)

// encryption is a bucket's default for new objects.
type encryption struct {
	Algorithm types.ServerSideEncryption
	// KeyID is the KMS key as the user wrote it; empty for the account's aws/s3 key.
	KeyID     string `json:",omitempty"`
	BucketKey bool   `json:",omitempty"`
	// Blocked are the kinds of encryption that writes must not ask for.
	Blocked []types.EncryptionType `json:",omitempty"`
}

// defaultEncryption is that of a bucket whose owner set none.
// AWS: "Setting default server-side encryption behavior": SSE-S3 for every bucket since January 2023.
func (b *bucket) defaultEncryption() encryption {
	if b.Encryption == nil {
		return encryption{Algorithm: types.ServerSideEncryptionAes256}
	}
	return *b.Encryption
}

// PutBucketEncryption sets the default. A key that does not exist shows when an object is written, as in AWS.
func (s *Service) PutBucketEncryption(ctx context.Context, in *s3.PutBucketEncryptionInput) (*s3.PutBucketEncryptionOutput, error) {
	c := in.ServerSideEncryptionConfiguration
	if c == nil || len(c.Rules) != 1 {
		return nil, errMalformedXML()
	}
	rule := c.Rules[0]
	e := encryption{Algorithm: types.ServerSideEncryptionAes256, BucketKey: aws.ToBool(rule.BucketKeyEnabled)}
	if rule.BlockedEncryptionTypes != nil {
		e.Blocked = rule.BlockedEncryptionTypes.EncryptionType
	}
	if by := rule.ApplyServerSideEncryptionByDefault; by != nil {
		e.Algorithm, e.KeyID = by.SSEAlgorithm, aws.ToString(by.KMSMasterKeyID)
	} else if rule.BlockedEncryptionTypes == nil {
		return nil, errMalformedXML()
	}
	switch {
	case !slices.Contains(e.Algorithm.Values(), e.Algorithm) || e.Algorithm == types.ServerSideEncryptionAwsFsx:
		return nil, errMalformedXML()
	case e.KeyID != "" && !strings.HasPrefix(string(e.Algorithm), "aws:kms"):
		return nil, errInvalidArgument("a KMSMasterKeyID is not applicable if the default sse algorithm is not aws:kms or aws:kms:dsse", "ApplyServerSideEncryptionByDefault", "")
	}
	return &s3.PutBucketEncryptionOutput{}, s.updateBucket(ctx, in.Bucket, in.ExpectedBucketOwner, func(_ store.Tx, b *bucket) error {
		b.Encryption = &e
		return nil
	})
}

// GetBucketEncryption always answers: every bucket encrypts.
func (s *Service) GetBucketEncryption(ctx context.Context, in *s3.GetBucketEncryptionInput) (out *s3.GetBucketEncryptionOutput, err error) {
	err = s.viewBucket(ctx, in.Bucket, in.ExpectedBucketOwner, func(_ store.Tx, b *bucket) error {
		e := b.defaultEncryption()
		rule := types.ServerSideEncryptionRule{
			ApplyServerSideEncryptionByDefault: &types.ServerSideEncryptionByDefault{SSEAlgorithm: e.Algorithm},
			BucketKeyEnabled:                   &e.BucketKey,
		}
		if e.KeyID != "" {
			rule.ApplyServerSideEncryptionByDefault.KMSMasterKeyID = &e.KeyID
		}
		if len(e.Blocked) > 0 {
			rule.BlockedEncryptionTypes = &types.BlockedEncryptionTypes{EncryptionType: e.Blocked}
		}
		out = &s3.GetBucketEncryptionOutput{ServerSideEncryptionConfiguration: &types.ServerSideEncryptionConfiguration{Rules: []types.ServerSideEncryptionRule{rule}}}
		return nil
	})
	return out, err
}

// DeleteBucketEncryption goes back to SSE-S3.
func (s *Service) DeleteBucketEncryption(ctx context.Context, in *s3.DeleteBucketEncryptionInput) (*s3.DeleteBucketEncryptionOutput, error) {
	return &s3.DeleteBucketEncryptionOutput{}, s.updateBucket(ctx, in.Bucket, in.ExpectedBucketOwner, func(_ store.Tx, b *bucket) error {
		b.Encryption = nil
		return nil
	})
}
