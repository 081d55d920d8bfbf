package conformance

import (
	"encoding/json"
	"encoding/xml"
	"reflect"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"miniaws/awsapi"
	"miniaws/awsapi/meta"
)

// SQS and CloudWatch still answer awsQuery. The Go SDK has no such client any more, so requests and answers are
// taken from AWS's documentation of the query interface.

func TestSQSOverQuery(t *testing.T) {
	c := awsapi.NewCodec(meta.SQS)
	for _, tc := range []struct {
		op, form string
		want     any
	}{
		{"CreateQueue", "Action=CreateQueue&QueueName=q&Attribute.1.Name=VisibilityTimeout&Attribute.1.Value=40&Tag.1.Key=k&Tag.1.Value=v&Version=2012-11-05",
			&sqs.CreateQueueInput{QueueName: aws.String("q"), Attributes: map[string]string{"VisibilityTimeout": "40"}, Tags: map[string]string{"k": "v"}}},
		{"ReceiveMessage", "Action=ReceiveMessage&QueueUrl=u&MaxNumberOfMessages=5&AttributeName.1=SenderId&MessageAttributeName.1=a&MessageAttributeName.2=b",
			&sqs.ReceiveMessageInput{QueueUrl: aws.String("u"), MaxNumberOfMessages: 5, MessageAttributeNames: []string{"a", "b"}, AttributeNames: []types.QueueAttributeName{"SenderId"}}}, //nolint:staticcheck // old clients of the query protocol send the deprecated name
		{"SendMessage", "Action=SendMessage&QueueUrl=u&MessageBody=b&MessageAttribute.1.Name=n&MessageAttribute.1.Value.DataType=String&MessageAttribute.1.Value.StringValue=s",
			&sqs.SendMessageInput{QueueUrl: aws.String("u"), MessageBody: aws.String("b"), MessageAttributes: map[string]types.MessageAttributeValue{"n": {DataType: aws.String("String"), StringValue: aws.String("s")}}}},
		{"DeleteMessageBatch", "QueueUrl=u&DeleteMessageBatchRequestEntry.1.Id=a&DeleteMessageBatchRequestEntry.1.ReceiptHandle=r&DeleteMessageBatchRequestEntry.2.Id=b",
			&sqs.DeleteMessageBatchInput{QueueUrl: aws.String("u"), Entries: []types.DeleteMessageBatchRequestEntry{{Id: aws.String("a"), ReceiptHandle: aws.String("r")}, {Id: aws.String("b")}}}},
		{"AddPermission", "QueueUrl=u&Label=l&AWSAccountId.1=1&AWSAccountId.2=2&ActionName.1=SendMessage",
			&sqs.AddPermissionInput{QueueUrl: aws.String("u"), Label: aws.String("l"), AWSAccountIds: []string{"1", "2"}, Actions: []string{"SendMessage"}}},
	} {
		in := reflect.New(reflect.TypeOf(tc.want).Elem())
		unknown, err := c.Decode(meta.AWSQuery, tc.op, &awsapi.Message{Body: []byte(tc.form)}, in.Interface())
		if err != nil || len(unknown) > 0 {
			t.Errorf("%s: %v, unknown %v", tc.op, err, unknown)
		}
		if d := difference("in", reflect.ValueOf(tc.want), in, nil); d != "" {
			t.Errorf("%s: %s", tc.op, d)
		}
	}
	out := &sqs.ReceiveMessageOutput{Messages: []types.Message{{MessageId: aws.String("m"), Body: aws.String("b"), Attributes: map[string]string{"SenderId": "s"}}}}
	r, err := c.Encode(meta.AWSQuery, "ReceiveMessage", "rid", out, nil)
	if err != nil {
		t.Fatal(err)
	}
	if want := `<ReceiveMessageResult><Message><MessageId>m</MessageId><Body>b</Body><Attribute><Name>SenderId</Name><Value>s</Value></Attribute></Message></ReceiveMessageResult>`; !strings.Contains(string(r.Body), want) {
		t.Errorf("%s", r.Body)
	}
	r = c.EncodeError(meta.AWSQuery, "rid", &types.QueueDoesNotExist{Message: aws.String("gone")})
	if want := "<Type>Sender</Type><Code>AWS.SimpleQueueService.NonExistentQueue</Code><Message>gone</Message>"; !strings.Contains(string(r.Body), want) || r.Status != 400 {
		t.Errorf("%d %s", r.Status, r.Body)
	}
}

func TestCloudWatchOverQuery(t *testing.T) {
	c := awsapi.NewCodec(meta.CloudWatch)
	in := &cloudwatch.PutMetricDataInput{}
	form := "Action=PutMetricData&Version=2010-08-01&Namespace=N&MetricData.member.1.MetricName=m&MetricData.member.1.Value=1.5&MetricData.member.1.Dimensions.member.1.Name=d&MetricData.member.1.Dimensions.member.1.Value=v"
	if unknown, err := c.Decode(meta.AWSQuery, "PutMetricData", &awsapi.Message{Body: []byte(form)}, in); err != nil || len(unknown) > 0 {
		t.Fatal(unknown, err)
	}
	if len(in.MetricData) != 1 || aws.ToFloat64(in.MetricData[0].Value) != 1.5 || aws.ToString(in.MetricData[0].Dimensions[0].Value) != "v" {
		t.Errorf("%+v", in)
	}
}

// Every output in every protocol beside the client's own is at least well-formed.
func TestSecondProtocolsAreWellFormed(t *testing.T) {
	for _, s := range suites {
		codec := awsapi.NewCodec(s.Service)
		client := s.client(&wireClient{codec: codec})
		for _, op := range s.Service.Operations {
			out := reflect.New(client.MethodByName(op).Type().Out(0).Elem())
			newFiller(s.Service, nil).fill(out.Elem(), "")
			for _, p := range s.Service.Protocols[1:] {
				r, err := codec.Encode(p, op, "rid", out.Interface(), nil)
				if err != nil {
					t.Errorf("%s: %v: %v", op, p, err)
					continue
				}
				var document struct{}
				if p == meta.AWSQuery {
					err = xml.Unmarshal(r.Body, &document)
				} else {
					err = json.Unmarshal(r.Body, &document)
				}
				if err != nil {
					t.Errorf("%s: %v: %v", op, p, err)
				}
			}
		}
	}
}
