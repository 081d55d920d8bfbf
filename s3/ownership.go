package s3

import (
	"context"
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"miniaws/backend/store"
)

// PutBucketOwnershipControls says who owns what others write, and whether ACLs count.
//
// AWS: "Controlling ownership of objects and disabling ACLs": ACLs are disabled only when the bucket's own gives nothing
// to others.
func (s *Service) PutBucketOwnershipControls(ctx context.Context, in *s3.PutBucketOwnershipControlsInput) (*s3.PutBucketOwnershipControlsOutput, error) {
	if in.OwnershipControls == nil || len(in.OwnershipControls.Rules) != 1 {
		return nil, errMalformedXML()
	}
	wanted := in.OwnershipControls.Rules[0].ObjectOwnership
	if !slices.Contains(wanted.Values(), wanted) {
		return nil, errMalformedXML()
	}
	return &s3.PutBucketOwnershipControlsOutput{}, s.updateBucket(ctx, in.Bucket, in.ExpectedBucketOwner, func(_ store.Tx, b *bucket) error {
		if wanted == types.ObjectOwnershipBucketOwnerEnforced && !onlyOwner(b.ACL, b.Account) {
			return errInvalidBucketAclWithObjectOwnership()
		}
		b.Ownership = wanted
		return nil
	})
}

// GetBucketOwnershipControls answers what was set, at creation or later.
func (s *Service) GetBucketOwnershipControls(ctx context.Context, in *s3.GetBucketOwnershipControlsInput) (out *s3.GetBucketOwnershipControlsOutput, err error) {
	err = s.viewBucket(ctx, in.Bucket, in.ExpectedBucketOwner, func(_ store.Tx, b *bucket) error {
		if b.Ownership == "" {
			return errNotSet("OwnershipControlsNotFoundError", "The bucket ownership controls were not found", b.Name)
		}
		out = &s3.GetBucketOwnershipControlsOutput{OwnershipControls: &types.OwnershipControls{Rules: []types.OwnershipControlsRule{{ObjectOwnership: b.Ownership}}}}
		return nil
	})
	return out, err
}

// DeleteBucketOwnershipControls makes ACLs count again: without controls the writer owns.
func (s *Service) DeleteBucketOwnershipControls(ctx context.Context, in *s3.DeleteBucketOwnershipControlsInput) (*s3.DeleteBucketOwnershipControlsOutput, error) {
	return &s3.DeleteBucketOwnershipControlsOutput{}, s.updateBucket(ctx, in.Bucket, in.ExpectedBucketOwner, func(_ store.Tx, b *bucket) error {
		b.Ownership = ""
		return nil
	})
}
