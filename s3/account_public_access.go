package s3

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3control"
	"github.com/aws/aws-sdk-go-v2/service/s3control/types"

	"miniaws/awsapi"
	"miniaws/awsapi/meta"
	"miniaws/backend/store"
)

// Register adds S3 Control's operations to the endpoint.
func (c *Control) Register(server *awsapi.Server) {
	server.Register(meta.S3Control,
		awsapi.Op(c.PutPublicAccessBlock, ofAccount("s3:PutAccountPublicAccessBlock", func(in *s3control.PutPublicAccessBlockInput) *string { return in.AccountId })),
		awsapi.Op(c.GetPublicAccessBlock, ofAccount("s3:GetAccountPublicAccessBlock", func(in *s3control.GetPublicAccessBlockInput) *string { return in.AccountId })),
		awsapi.Op(c.DeletePublicAccessBlock, ofAccount("s3:PutAccountPublicAccessBlock", func(in *s3control.DeletePublicAccessBlockInput) *string { return in.AccountId })),

		awsapi.Op(c.CreateAccessPoint, c.newPointAccess),
		awsapi.Op(c.GetAccessPoint, point(c, "s3:GetAccessPoint", func(in *s3control.GetAccessPointInput) (*string, *string) { return in.AccountId, in.Name })),
		awsapi.Op(c.DeleteAccessPoint, point(c, "s3:DeleteAccessPoint", func(in *s3control.DeleteAccessPointInput) (*string, *string) { return in.AccountId, in.Name })),
		awsapi.Op(c.ListAccessPoints, ofAccount("s3:ListAccessPoints", func(in *s3control.ListAccessPointsInput) *string { return in.AccountId })),
		awsapi.Op(c.PutAccessPointPolicy, point(c, "s3:PutAccessPointPolicy", func(in *s3control.PutAccessPointPolicyInput) (*string, *string) { return in.AccountId, in.Name })),
		awsapi.Op(c.GetAccessPointPolicy, point(c, "s3:GetAccessPointPolicy", func(in *s3control.GetAccessPointPolicyInput) (*string, *string) { return in.AccountId, in.Name })),
		awsapi.Op(c.DeleteAccessPointPolicy, point(c, "s3:DeleteAccessPointPolicy", func(in *s3control.DeleteAccessPointPolicyInput) (*string, *string) { return in.AccountId, in.Name })),
		awsapi.Op(c.GetAccessPointPolicyStatus, point(c, "s3:GetAccessPointPolicyStatus", func(in *s3control.GetAccessPointPolicyStatusInput) (*string, *string) { return in.AccountId, in.Name })),

		awsapi.Op(c.TagResource, onTagged(c, "s3:TagResource", func(in *s3control.TagResourceInput) (*string, *string) { return in.AccountId, in.ResourceArn })),
		awsapi.Op(c.UntagResource, onTagged(c, "s3:UntagResource", func(in *s3control.UntagResourceInput) (*string, *string) { return in.AccountId, in.ResourceArn })),
		awsapi.Op(c.ListTagsForResource, onTagged(c, "s3:ListTagsForResource", func(in *s3control.ListTagsForResourceInput) (*string, *string) { return in.AccountId, in.ResourceArn })),
	)
}

// ofAccount makes the access function of an operation on the caller's account as a whole.
func ofAccount[In any](action string, account func(*In) *string) func(context.Context, *In) ([]awsapi.Access, error) {
	return func(ctx context.Context, in *In) ([]awsapi.Access, error) {
		if aws.ToString(account(in)) != awsapi.FromContext(ctx).Principal.Account {
			return nil, errAccessDenied()
		}
		r := awsapi.FromContext(ctx)
		return []awsapi.Access{{Action: action, Conditions: keysOf(r, r.Principal.Account)}}, nil
	}
}

// PutPublicAccessBlock blocks public access to all buckets of the account, beside what each of them blocks.
func (c *Control) PutPublicAccessBlock(ctx context.Context, in *s3control.PutPublicAccessBlockInput) (*s3control.PutPublicAccessBlockOutput, error) {
	p := in.PublicAccessBlockConfiguration
	if p == nil {
		return nil, errMalformedXML()
	}
	block := &accountBlock{publicAccess{aws.ToBool(p.BlockPublicAcls), aws.ToBool(p.IgnorePublicAcls), aws.ToBool(p.BlockPublicPolicy), aws.ToBool(p.RestrictPublicBuckets)}}
	return &s3control.PutPublicAccessBlockOutput{}, c.service.db.Update(ctx, func(tx store.Tx) error {
		return accountBlocks.In(tx, store.Scope{Account: *in.AccountId}).Put(block)
	})
}

// GetPublicAccessBlock answers NoSuchPublicAccessBlockConfiguration where nothing is set.
func (c *Control) GetPublicAccessBlock(ctx context.Context, in *s3control.GetPublicAccessBlockInput) (*s3control.GetPublicAccessBlockOutput, error) {
	var block *accountBlock
	err := c.service.db.View(ctx, func(tx store.Tx) (err error) {
		block, err = accountBlocks.In(tx, store.Scope{Account: *in.AccountId}).Find("block")
		return err
	})
	if err != nil {
		return nil, err
	}
	if block == nil {
		return nil, refusal(404, "NoSuchPublicAccessBlockConfiguration", "The public access block configuration was not found", "AccountId", *in.AccountId)
	}
	return &s3control.GetPublicAccessBlockOutput{PublicAccessBlockConfiguration: &types.PublicAccessBlockConfiguration{
		BlockPublicAcls: &block.BlockACLs, IgnorePublicAcls: &block.IgnoreACLs, BlockPublicPolicy: &block.BlockPolicy, RestrictPublicBuckets: &block.Restrict,
	}}, nil
}

// DeletePublicAccessBlock succeeds when nothing is set.
func (c *Control) DeletePublicAccessBlock(ctx context.Context, in *s3control.DeletePublicAccessBlockInput) (*s3control.DeletePublicAccessBlockOutput, error) {
	return &s3control.DeletePublicAccessBlockOutput{}, c.service.db.Update(ctx, func(tx store.Tx) error {
		return accountBlocks.In(tx, store.Scope{Account: *in.AccountId}).Delete("block")
	})
}
