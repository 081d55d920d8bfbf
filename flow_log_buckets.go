package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"miniaws/awsapi"
	"miniaws/ec2"
)

// logDelivery is the service that writes VPC flow logs.
const logDelivery = "delivery.logs.amazonaws.com"

// flowLogBuckets writes what flow logs deliver, as the service delivery.logs.amazonaws.com: the bucket's policy has to
// allow it.
type flowLogBuckets struct{ cloud *cloud }

// deliverer is the service, working for an account's flow logs.
func deliverer(account, region string) awsapi.Caller {
	return awsapi.Caller{
		Principal: awsapi.Principal{
			Type: awsapi.ServicePrincipal, Account: account, ARN: logDelivery, ID: logDelivery,
			// What policies of buckets ask about, against a confused deputy.
			Session: &awsapi.Session{Claims: map[string][]string{
				"aws:SourceArn": {fmt.Sprintf("arn:aws:logs:%s:%s:*", region, account)}, "aws:SourceAccount": {account},
			}},
		},
		Region: region, UserAgent: logDelivery,
	}
}

// invokeAt invokes, and once more in the region of the bucket where that is another one. again makes the input anew.
func (c *cloud) invokeAt(ctx context.Context, by awsapi.Caller, input func() any) (any, error) {
	out, err := c.api.Invoke(ctx, by, input())
	var known *awsapi.Error
	if errors.As(err, &known) && known.Code == "AuthorizationHeaderMalformed" && known.Fields["Region"] != "" {
		by.Region = known.Fields["Region"]
		out, err = c.api.Invoke(ctx, by, input())
	}
	return out, err
}

// PrepareFlowLogs lets the service deliver, by the policy that AWS puts there: if the caller may change the bucket's
// policy, else if it allows the service already.
// AWS: "Publish flow logs to Amazon S3", "Amazon S3 bucket permissions for flow logs".
func (b flowLogBuckets) PrepareFlowLogs(ctx context.Context, bucket, prefix string) error {
	r := awsapi.FromContext(ctx)
	by := awsapi.Caller{Principal: r.Principal, Region: r.Region, SourceIP: r.SourceIP, UserAgent: r.UserAgent}
	err := b.allowDelivery(ctx, by, bucket, prefix)
	var known *awsapi.Error
	if !errors.As(err, &known) || known.Code != "AccessDenied" {
		return err
	}
	_, err = b.cloud.invokeAt(ctx, deliverer(r.Principal.Account, r.Region), func() any { return &s3.GetBucketAclInput{Bucket: aws.String(bucket)} })
	return err
}

// allowDelivery adds the statements to the bucket's policy unless they are there.
func (b flowLogBuckets) allowDelivery(ctx context.Context, by awsapi.Caller, bucket, prefix string) error {
	document := map[string]any{"Version": "2012-10-17", "Id": "AWSLogDeliveryWrite20150319"}
	out, err := b.cloud.invokeAt(ctx, by, func() any { return &s3.GetBucketPolicyInput{Bucket: aws.String(bucket)} })
	var known *awsapi.Error
	switch {
	case errors.As(err, &known) && known.Code == "NoSuchBucketPolicy":
	case err != nil:
		return err
	default:
		if err := json.Unmarshal([]byte(aws.ToString(out.(*s3.GetBucketPolicyOutput).Policy)), &document); err != nil {
			return err
		}
	}
	statements, isList := document["Statement"].([]any)
	if one, ok := document["Statement"].(map[string]any); ok && !isList {
		statements = []any{one}
	}
	changed := false
	for _, wanted := range deliveryStatements(by, bucket, prefix) {
		text, err := json.Marshal(wanted["Resource"])
		if err != nil {
			return err
		}
		same := func(had any) bool {
			s, _ := had.(map[string]any)
			resource, err := json.Marshal(s["Resource"])
			return err == nil && s["Sid"] == wanted["Sid"] && bytes.Equal(resource, text)
		}
		if !slices.ContainsFunc(statements, same) {
			statements, changed = append(statements, wanted), true
		}
	}
	if !changed {
		return nil
	}
	document["Statement"] = statements
	text, err := json.Marshal(document)
	if err != nil {
		return err
	}
	_, err = b.cloud.invokeAt(ctx, by, func() any {
		return &s3.PutBucketPolicyInput{Bucket: aws.String(bucket), Policy: aws.String(string(text))}
	})
	return err
}

func deliveryStatements(by awsapi.Caller, bucket, prefix string) []map[string]any {
	account := by.Principal.Account
	source := map[string]any{"aws:SourceArn": fmt.Sprintf("arn:aws:logs:%s:%s:*", by.Region, account)}
	return []map[string]any{
		{
			"Sid": "AWSLogDeliveryWrite1", "Effect": "Allow", "Principal": map[string]any{"Service": logDelivery}, "Action": "s3:PutObject",
			"Resource":  fmt.Sprintf("arn:aws:s3:::%s/%sAWSLogs/%s/*", bucket, prefix, account),
			"Condition": map[string]any{"StringEquals": map[string]any{"aws:SourceAccount": account, "s3:x-amz-acl": "bucket-owner-full-control"}, "ArnLike": source},
		},
		{
			"Sid": "AWSLogDeliveryWrite2", "Effect": "Allow", "Principal": map[string]any{"Service": logDelivery}, "Action": "s3:PutObject",
			"Resource":  fmt.Sprintf("arn:aws:s3:::%s/%sAWSLogs/aws-account-id=%s/*", bucket, prefix, account),
			"Condition": map[string]any{"StringEquals": map[string]any{"aws:SourceAccount": account, "s3:x-amz-acl": "bucket-owner-full-control"}, "ArnLike": source},
		},
		{
			"Sid": "AWSLogDeliveryAclCheck1", "Effect": "Allow", "Principal": map[string]any{"Service": logDelivery}, "Action": "s3:GetBucketAcl",
			"Resource":  "arn:aws:s3:::" + bucket,
			"Condition": map[string]any{"StringEquals": map[string]any{"aws:SourceAccount": account}, "ArnLike": source},
		},
	}
}

// PutFlowLog puts one object.
func (b flowLogBuckets) PutFlowLog(ctx context.Context, object ec2.FlowLogObject) error {
	_, err := b.cloud.invokeAt(ctx, deliverer(object.Account, object.Region), func() any {
		return &s3.PutObjectInput{
			Bucket: aws.String(object.Bucket), Key: aws.String(object.Key), ContentType: aws.String("application/octet-stream"), ContentEncoding: aws.String("gzip"),
			ACL: types.ObjectCannedACLBucketOwnerFullControl, Body: io.Reader(bytes.NewReader(object.Body)), ContentLength: aws.Int64(int64(len(object.Body))),
		}
	})
	return err
}
