package s3

import (
	"context"
	"net/http"
	"slices"
	"strings"

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
		q := c.QueueConfigurations[0]
		return nil, destination{"Queue", "sqs", "queue", aws.ToString(q.QueueArn), q.Events, q.Filter}.refuse()
	case len(c.TopicConfigurations) > 0:
		t := c.TopicConfigurations[0]
		return nil, destination{"Topic", "sns", "topic", aws.ToString(t.TopicArn), t.Events, t.Filter}.refuse()
	case len(c.LambdaFunctionConfigurations) > 0:
		f := c.LambdaFunctionConfigurations[0]
		return nil, destination{"CloudFunction", "lambda", "Lambda", aws.ToString(f.LambdaFunctionArn), f.Events, f.Filter}.refuse()
	}
	if c.EventBridgeConfiguration == nil {
		return &s3.PutBucketNotificationConfigurationOutput{}, s.dropConfig(ctx, in.Bucket, in.ExpectedBucketOwner, kindNotifications)
	}
	return &s3.PutBucketNotificationConfigurationOutput{}, s.putConfig(ctx, in.Bucket, in.ExpectedBucketOwner, kindNotifications, c, nil)
}

// destination is one of another service. Element is its name in the document, service that in its ARN.
type destination struct {
	element, service, kind, arn string
	events                      []types.Event
	filter                      *types.NotificationConfigurationFilter
}

// refuse answers what is wrong with it: at the latest that it is not there.
// AWS: "Amazon S3 Event Notifications", and the words that S3 sends.
func (d destination) refuse() error {
	if len(d.events) == 0 {
		return errMalformedXML()
	}
	for _, event := range d.events {
		if !slices.Contains(event.Values(), event) {
			return errInvalidArgument("The event is not supported for notifications", "Event", string(event))
		}
	}
	if !strings.HasPrefix(d.arn, "arn:aws:"+d.service+":") || strings.Count(d.arn, ":") < 5 {
		return errInvalidArgument("The ARN is not well formed", d.element, d.arn)
	}
	if d.filter != nil && d.filter.Key != nil {
		for _, rule := range d.filter.Key.FilterRules {
			if name := strings.ToLower(string(rule.Name)); name != "prefix" && name != "suffix" {
				return errInvalidArgument("filter rule name must be either prefix or suffix", "FilterRule.Name", string(rule.Name))
			}
		}
	}
	return refusal(http.StatusBadRequest, "InvalidArgument", "Unable to validate the following destination configurations",
		"ArgumentName1", d.arn, "ArgumentValue1", "The destination "+d.kind+" does not exist")
}

// GetBucketNotificationConfiguration answers an empty configuration where there is none.
func (s *Service) GetBucketNotificationConfiguration(ctx context.Context, in *s3.GetBucketNotificationConfigurationInput) (*s3.GetBucketNotificationConfigurationOutput, error) {
	c, _, err := getConfig[types.NotificationConfiguration](ctx, s, in.Bucket, in.ExpectedBucketOwner, kindNotifications)
	if err != nil || c == nil {
		return &s3.GetBucketNotificationConfigurationOutput{}, err
	}
	return &s3.GetBucketNotificationConfigurationOutput{EventBridgeConfiguration: c.EventBridgeConfiguration}, nil
}
