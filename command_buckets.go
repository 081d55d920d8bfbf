package main

import (
	"bytes"
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"miniaws/awsapi"
	"miniaws/ssm"
)

// commandBuckets writes what commands of Systems Manager print, as the role of the instance in which they ran: as AWS's agent
// does, which is a program inside.
type commandBuckets struct{ cloud *cloud }

// PutOutput puts one object, in whatever region the bucket is.
func (b commandBuckets) PutOutput(ctx context.Context, o ssm.Output) error {
	credentials, ok, err := b.cloud.machines.SessionOf(ctx, o.Account, o.Instance)
	if err != nil {
		return err
	}
	if !ok {
		return fmt.Errorf("the instance %s has no role", o.Instance)
	}
	_, who, err := b.cloud.identities.Find(ctx, credentials.AccessKeyID, credentials.Token)
	if err != nil {
		return err
	}
	_, err = b.cloud.invokeAt(ctx, awsapi.Caller{Principal: who, Region: o.Region, UserAgent: "amazon-ssm-agent"}, func() any {
		return &s3.PutObjectInput{Bucket: aws.String(o.Bucket), Key: aws.String(o.Key), Body: bytes.NewReader(o.Body), ContentLength: aws.Int64(int64(len(o.Body)))}
	})
	return err
}
