package s3

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"miniaws/awsapi"
	"miniaws/awsapi/meta"
	"miniaws/backend/store"
)

func (s *Service) registerObjectACLs(server *awsapi.Server) {
	server.Register(meta.S3,
		awsapi.Op(s.PutObjectAcl, tagged(s, onObject(s, "s3:PutObjectAcl", "s3:PutObjectVersionAcl", func(in *s3.PutObjectAclInput, keys conditions) {
			keys.acl(string(in.ACL), in.GrantFullControl, in.GrantRead, in.GrantReadACP, in.GrantWrite, in.GrantWriteACP)
		})), awsapi.Unsigned()),
		awsapi.Op(s.GetObjectAcl, tagged(s, onObject[s3.GetObjectAclInput](s, "s3:GetObjectAcl", "s3:GetObjectVersionAcl")), awsapi.Unsigned()),
	)
}

// PutObjectAcl replaces the ACL of a version.
func (s *Service) PutObjectAcl(ctx context.Context, in *s3.PutObjectAclInput) (*s3.PutObjectAclOutput, error) {
	wish := aclWish{
		canned: string(in.ACL), full: in.GrantFullControl, read: in.GrantRead, readACP: in.GrantReadACP,
		write: in.GrantWrite, writeACP: in.GrantWriteACP, body: in.AccessControlPolicy,
	}
	return &s3.PutObjectAclOutput{}, s.changeMetadata(ctx, in.Bucket, in.ExpectedBucketOwner, in.Key, in.VersionId, changedACL, func(tx store.Tx, b *bucket, o *object) error {
		if err := wish.check(forObject); err != nil {
			return err
		}
		if !b.acls() {
			return errACLNotSupported()
		}
		acl, err := s.aclOf(ctx, wish, o.Owner, b.Account, forObject)
		if err != nil {
			return err
		}
		if acl == nil {
			return errMissingHeader("x-amz-acl")
		}
		if err := checkObjectACL(tx, b, acl); err != nil {
			return err
		}
		o.ACL = acl
		return nil
	})
}

// GetObjectAcl answers the ACL; where ACLs do not count the bucket's owner has full control and nobody else anything.
func (s *Service) GetObjectAcl(ctx context.Context, in *s3.GetObjectAclInput) (out *s3.GetObjectAclOutput, err error) {
	err = s.viewObject(ctx, in.Bucket, in.ExpectedBucketOwner, in.Key, in.VersionId, func(b *bucket, o *object) error {
		acl, owner := o.ACL, o.Owner
		if !b.acls() {
			acl, owner = nil, b.Account
		}
		out = &s3.GetObjectAclOutput{Owner: ownerOf(owner), Grants: shownACL(acl, owner)}
		return nil
	})
	return out, err
}
