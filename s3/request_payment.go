package s3

import (
	"context"
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"miniaws/backend/store"
)

// PutBucketRequestPayment says who pays; it is kept and checked, and nobody pays here.
func (s *Service) PutBucketRequestPayment(ctx context.Context, in *s3.PutBucketRequestPaymentInput) (*s3.PutBucketRequestPaymentOutput, error) {
	if in.RequestPaymentConfiguration == nil || !slices.Contains(in.RequestPaymentConfiguration.Payer.Values(), in.RequestPaymentConfiguration.Payer) {
		return nil, errMalformedXML()
	}
	return &s3.PutBucketRequestPaymentOutput{}, s.updateBucket(ctx, in.Bucket, in.ExpectedBucketOwner, func(_ store.Tx, b *bucket) error {
		b.RequesterPays = in.RequestPaymentConfiguration.Payer == types.PayerRequester
		return nil
	})
}

// GetBucketRequestPayment answers BucketOwner unless something else was set.
func (s *Service) GetBucketRequestPayment(ctx context.Context, in *s3.GetBucketRequestPaymentInput) (out *s3.GetBucketRequestPaymentOutput, err error) {
	err = s.viewBucket(ctx, in.Bucket, in.ExpectedBucketOwner, func(_ store.Tx, b *bucket) error {
		out = &s3.GetBucketRequestPaymentOutput{Payer: types.PayerBucketOwner}
		if b.RequesterPays {
			out.Payer = types.PayerRequester
		}
		return nil
	})
	return out, err
}
