package s3

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"miniaws/backend/store"
)

// publicAccess is a public access block, of a bucket or of an account.
// AWS: "Blocking public access to your Amazon S3 storage".
type publicAccess struct {
	// BlockACLs refuses new public ACLs, IgnoreACLs gives those that are there no effect.
	BlockACLs, IgnoreACLs bool
	// BlockPolicy refuses new public policies, Restrict limits a public policy to the owner's account.
	BlockPolicy, Restrict bool
}

// and is what two blocks, the bucket's and the account's, do together.
func (p publicAccess) and(other publicAccess) publicAccess {
	return publicAccess{p.BlockACLs || other.BlockACLs, p.IgnoreACLs || other.IgnoreACLs, p.BlockPolicy || other.BlockPolicy, p.Restrict || other.Restrict}
}

// accountBlock is the public access block of an account.
type accountBlock struct{ publicAccess }

// accountBlocks has at most one record an account.
var accountBlocks = store.NewTable(store.Spec[accountBlock]{
	Service: "s3",
	Name:    "account-public-access-blocks",
	ID:      func(*accountBlock) store.ID { return store.ID{"block"} },
})

// blockOf is what counts for a bucket: its own block and its owner's.
func blockOf(tx store.Tx, b *bucket) (publicAccess, error) {
	var block publicAccess
	if b.PublicAccess != nil {
		block = *b.PublicAccess
	}
	account, err := accountBlocks.In(tx, store.Scope{Account: b.Account}).Find("block")
	if account == nil {
		return block, err
	}
	return block.and(account.publicAccess), nil
}

// PutPublicAccessBlock sets the bucket's block; members that are absent are false.
func (s *Service) PutPublicAccessBlock(ctx context.Context, in *s3.PutPublicAccessBlockInput) (*s3.PutPublicAccessBlockOutput, error) {
	c := in.PublicAccessBlockConfiguration
	if c == nil {
		return nil, errMalformedXML()
	}
	return &s3.PutPublicAccessBlockOutput{}, s.updateBucket(ctx, in.Bucket, in.ExpectedBucketOwner, func(_ store.Tx, b *bucket) error {
		b.PublicAccess = &publicAccess{aws.ToBool(c.BlockPublicAcls), aws.ToBool(c.IgnorePublicAcls), aws.ToBool(c.BlockPublicPolicy), aws.ToBool(c.RestrictPublicBuckets)}
		return nil
	})
}

// GetPublicAccessBlock answers the bucket's own block, not what its account adds.
func (s *Service) GetPublicAccessBlock(ctx context.Context, in *s3.GetPublicAccessBlockInput) (out *s3.GetPublicAccessBlockOutput, err error) {
	err = s.viewBucket(ctx, in.Bucket, in.ExpectedBucketOwner, func(_ store.Tx, b *bucket) error {
		p := b.PublicAccess
		if p == nil {
			return errNotSet("NoSuchPublicAccessBlockConfiguration", "The public access block configuration was not found", b.Name)
		}
		out = &s3.GetPublicAccessBlockOutput{PublicAccessBlockConfiguration: &types.PublicAccessBlockConfiguration{
			BlockPublicAcls: &p.BlockACLs, IgnorePublicAcls: &p.IgnoreACLs, BlockPublicPolicy: &p.BlockPolicy, RestrictPublicBuckets: &p.Restrict,
		}}
		return nil
	})
	return out, err
}

// DeletePublicAccessBlock succeeds when there is none.
func (s *Service) DeletePublicAccessBlock(ctx context.Context, in *s3.DeletePublicAccessBlockInput) (*s3.DeletePublicAccessBlockOutput, error) {
	return &s3.DeletePublicAccessBlockOutput{}, s.updateBucket(ctx, in.Bucket, in.ExpectedBucketOwner, func(_ store.Tx, b *bucket) error {
		b.PublicAccess = nil
		return nil
	})
}
