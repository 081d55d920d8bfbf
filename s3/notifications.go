package s3

import (
	"context"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// PutBucketNotificationConfiguration replaces the configuration; an empty one turns notifications off.
//
// Queues, topics and functions do not exist here, so none can be validated, and AWS's own answer to that is given.
// EventBridge gets every event, by the installation's webhook.
func (s *Service) PutBucketNotificationConfiguration(ctx context.Context, in *s3.PutBucketNotificationConfigurationInput) (*s3.PutBucketNotificationConfigurationOutput, error) {
	c := in.NotificationConfiguration
	if c == nil {
		return nil, errMalformedXML()
	}
	switch {
	case len(c.QueueConfigurations) > 0:
		return nil, errUnreachableDestination("queue", aws.ToString(c.QueueConfigurations[0].QueueArn))
	case len(c.TopicConfigurations) > 0:
		return nil, errUnreachableDestination("topic", aws.ToString(c.TopicConfigurations[0].TopicArn))
	case len(c.LambdaFunctionConfigurations) > 0:
		return nil, errUnreachableDestination("Lambda", aws.ToString(c.LambdaFunctionConfigurations[0].LambdaFunctionArn))
	}
	if c.EventBridgeConfiguration == nil {
		return &s3.PutBucketNotificationConfigurationOutput{}, s.dropConfig(ctx, in.Bucket, in.ExpectedBucketOwner, kindNotifications)
	}
	return &s3.PutBucketNotificationConfigurationOutput{}, s.putConfig(ctx, in.Bucket, in.ExpectedBucketOwner, kindNotifications, c, nil)
}

func errUnreachableDestination(kind, arn string) error {
	return refusal(http.StatusBadRequest, "InvalidArgument", "Unable to validate the following destination configurations",
		"ArgumentName1", arn, "ArgumentValue1", "The destination "+kind+" does not exist")
}

// GetBucketNotificationConfiguration answers an empty configuration where there is none.
func (s *Service) GetBucketNotificationConfiguration(ctx context.Context, in *s3.GetBucketNotificationConfigurationInput) (*s3.GetBucketNotificationConfigurationOutput, error) {
	c, _, err := getConfig[types.NotificationConfiguration](ctx, s, in.Bucket, in.ExpectedBucketOwner, kindNotifications)
	if err != nil || c == nil {
		return &s3.GetBucketNotificationConfigurationOutput{}, err
	}
	return &s3.GetBucketNotificationConfigurationOutput{EventBridgeConfiguration: c.EventBridgeConfiguration}, nil
}
