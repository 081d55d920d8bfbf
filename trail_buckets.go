package main

import (
	"bytes"
	"context"
	"errors"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"miniaws/awsapi"
	"miniaws/cloudtrail"
)

// trailBuckets writes what trails deliver, as the service cloudtrail.amazonaws.com: the bucket's policy has to allow it.
type trailBuckets struct{ cloud *cloud }

// PutLog puts one object.
func (t trailBuckets) PutLog(ctx context.Context, log cloudtrail.Log) error {
	in := &s3.PutObjectInput{
		Bucket: aws.String(log.Bucket), Key: aws.String(log.Key), Body: bytes.NewReader(log.Body), ContentLength: aws.Int64(int64(len(log.Body))),
		Metadata: log.Metadata,
		ACL:      types.ObjectCannedACLBucketOwnerFullControl, // what AWS's policy of such a bucket asks for
	}
	if log.ContentType != "" {
		in.ContentType = aws.String(log.ContentType)
	}
	err := t.put(ctx, log, in)
	// A trail delivers the events of all regions into one bucket, whose region S3 tells.
	var known *awsapi.Error
	if errors.As(err, &known) && known.Code == "AuthorizationHeaderMalformed" && known.Fields["Region"] != "" {
		log.Region, in.Body = known.Fields["Region"], bytes.NewReader(log.Body)
		err = t.put(ctx, log, in)
	}
	return err
}

func (t trailBuckets) put(ctx context.Context, log cloudtrail.Log, in *s3.PutObjectInput) error {
	_, err := t.cloud.api.Invoke(ctx, awsapi.Caller{
		Principal: awsapi.Principal{
			Type: awsapi.ServicePrincipal, Account: log.Account, ARN: "cloudtrail.amazonaws.com", ID: "cloudtrail.amazonaws.com",
			// What policies of buckets ask about, against a confused deputy.
			Session: &awsapi.Session{Claims: map[string][]string{
				"aws:SourceArn": {log.Source}, "aws:SourceAccount": {log.Account},
			}},
		},
		Region: log.Region, UserAgent: "cloudtrail.amazonaws.com",
	}, in)
	return err
}
