package s3

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"miniaws/backend/store"
)

// PutBucketAcl replaces the bucket's ACL.
func (s *Service) PutBucketAcl(ctx context.Context, in *s3.PutBucketAclInput) (*s3.PutBucketAclOutput, error) {
	wish := aclWish{
		canned: string(in.ACL), full: in.GrantFullControl, read: in.GrantRead, readACP: in.GrantReadACP,
		write: in.GrantWrite, writeACP: in.GrantWriteACP, body: in.AccessControlPolicy,
	}
	return &s3.PutBucketAclOutput{}, s.updateBucket(ctx, in.Bucket, in.ExpectedBucketOwner, func(tx store.Tx, b *bucket) error {
		acl, err := s.aclOf(ctx, wish, b.Account, b.Account, forBucket)
		if err != nil {
			return err
		}
		if acl == nil {
			return errMissingHeader("x-amz-acl")
		}
		block, err := blockOf(tx, b)
		if err != nil {
			return err
		}
		if !b.acls() {
			return errACLNotSupported()
		}
		if err := checkACL(b, block, acl); err != nil {
			return err
		}
		b.ACL = acl
		return nil
	})
}

// GetBucketAcl answers the ACL, also where it does not count: then the owner has full control and nobody else anything.
func (s *Service) GetBucketAcl(ctx context.Context, in *s3.GetBucketAclInput) (out *s3.GetBucketAclOutput, err error) {
	err = s.viewBucket(ctx, in.Bucket, in.ExpectedBucketOwner, func(_ store.Tx, b *bucket) error {
		acl := b.ACL
		if !b.acls() {
			acl = nil
		}
		out = &s3.GetBucketAclOutput{Owner: ownerOf(b.Account), Grants: shownACL(acl, b.Account)}
		return nil
	})
	return out, err
}
