package conformance

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
	"github.com/aws/smithy-go"

	"miniaws/awsapi"
	"miniaws/awsapi/meta"
)

// anybody is let in and may do everything.
type anybody struct{}

func (anybody) Find(context.Context, string, string) (string, awsapi.Principal, error) {
	return "secret", awsapi.Principal{Account: "123456789012"}, nil
}

func (anybody) Authorize(context.Context, *awsapi.Request, []awsapi.Access) error { return nil }

type tail = func(context.Context, func(types.StartLiveTailResponseStream) error) error

// tailing is the SDK's client of a server whose live tail is the function.
func tailing(t *testing.T, start func(*cloudwatchlogs.StartLiveTailInput) (tail, error)) *cloudwatchlogs.Client {
	server := awsapi.NewServer(awsapi.Options{Identities: anybody{}, Authorizer: anybody{}, Region: "us-east-1"})
	server.Register(meta.CloudWatchLogs, awsapi.Events(
		func(_ context.Context, in *cloudwatchlogs.StartLiveTailInput) (tail, error) { return start(in) },
		awsapi.Action[cloudwatchlogs.StartLiveTailInput]("logs:StartLiveTail"),
	))
	site := httptest.NewServer(server)
	t.Cleanup(site.Close)
	return cloudwatchlogs.New(cloudwatchlogs.Options{
		Region: "us-east-1", BaseEndpoint: aws.String("http://logs.test"), RetryMaxAttempts: 1,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "AKIAIOSFODNN7EXAMPLE", SecretAccessKey: "secret"}, nil
		}),
		// The SDK puts "streaming-" before the host: every name is that of the server.
		HTTPClient: &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, site.Listener.Addr().String())
		}}},
	})
}

func ask(t *testing.T, client *cloudwatchlogs.Client) (*cloudwatchlogs.StartLiveTailEventStream, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	out, err := client.StartLiveTail(ctx, &cloudwatchlogs.StartLiveTailInput{LogGroupIdentifiers: []string{"arn:aws:logs:us-east-1:123456789012:log-group:g"}})
	if err != nil {
		return nil, err
	}
	return out.GetStream(), nil
}

func TestEvents(t *testing.T) {
	next := make(chan string)
	client := tailing(t, func(in *cloudwatchlogs.StartLiveTailInput) (tail, error) {
		return func(ctx context.Context, send func(types.StartLiveTailResponseStream) error) error {
			err := send(&types.StartLiveTailResponseStreamMemberSessionStart{Value: types.LiveTailSessionStart{SessionId: aws.String("s"), LogGroupIdentifiers: in.LogGroupIdentifiers}})
			for err == nil {
				message, more := <-next
				if !more {
					return nil
				}
				err = send(&types.StartLiveTailResponseStreamMemberSessionUpdate{Value: types.LiveTailSessionUpdate{
					SessionMetadata: &types.LiveTailSessionMetadata{Sampled: true}, SessionResults: []types.LiveTailSessionLogEvent{{Message: aws.String(message), Timestamp: aws.Int64(1_700_000_000_123)}},
				}})
			}
			return err
		}, nil
	})
	stream, err := ask(t, client)
	if err != nil {
		t.Fatal(err)
	}
	if start, ok := (<-stream.Events()).(*types.StartLiveTailResponseStreamMemberSessionStart); !ok || len(start.Value.LogGroupIdentifiers) != 1 || *start.Value.SessionId != "s" {
		t.Fatalf("the first event is %+v, %v", start, stream.Err())
	}
	for _, message := range []string{"one", "zwei \"quoted\" \n ☃"} {
		next <- message
		// It is there before the next one is sent: nothing waits in a buffer.
		update, ok := (<-stream.Events()).(*types.StartLiveTailResponseStreamMemberSessionUpdate)
		if !ok || len(update.Value.SessionResults) != 1 || *update.Value.SessionResults[0].Message != message || *update.Value.SessionResults[0].Timestamp != 1_700_000_000_123 || !update.Value.SessionMetadata.Sampled {
			t.Fatalf("an event is %+v, %v", update, stream.Err())
		}
	}
	close(next)
	if event, more := <-stream.Events(); more || stream.Err() != nil {
		t.Errorf("after the end: %+v, %v", event, stream.Err())
	}
}

// TestEventsFail: an error before the stream is an answer; one within it is its last message.
func TestEventsFail(t *testing.T) {
	timeout, missing := (*types.SessionTimeoutException)(nil), (*types.ResourceNotFoundException)(nil)
	for name, c := range map[string]struct {
		before, within error
		is             func(error) bool
	}{
		"before":    {&types.ResourceNotFoundException{Message: aws.String("no group")}, nil, func(err error) bool { return errors.As(err, &missing) && *missing.Message == "no group" }},
		"modelled":  {nil, &types.SessionTimeoutException{Message: aws.String("3 hours")}, func(err error) bool { return errors.As(err, &timeout) && *timeout.Message == "3 hours" }},
		"by code":   {nil, &awsapi.Error{Code: "SessionTimeoutException", Message: "3 h"}, func(err error) bool { return errors.As(err, &timeout) && *timeout.Message == "3 h" }},
		"not of it": {nil, &awsapi.Error{Code: "ThrottlingException", Message: "slowly"}, func(err error) bool { return codeOf(err) == "ThrottlingException" }},
		"internal": {nil, errors.New("a secret"), func(err error) bool {
			return codeOf(err) == "InternalFailure" && !strings.Contains(err.Error(), "secret")
		}},
	} {
		t.Run(name, func(t *testing.T) {
			client := tailing(t, func(*cloudwatchlogs.StartLiveTailInput) (tail, error) {
				return func(context.Context, func(types.StartLiveTailResponseStream) error) error { return c.within }, c.before
			})
			stream, err := ask(t, client)
			if err == nil {
				if event, more := <-stream.Events(); more {
					t.Errorf("an event: %+v", event)
				}
				err = stream.Err()
			}
			if err == nil || !c.is(err) {
				t.Errorf("%T: %v", err, err)
			}
		})
	}
}

func codeOf(err error) string {
	if known := (smithy.APIError)(nil); errors.As(err, &known) {
		return known.ErrorCode()
	}
	return ""
}

// TestEventsEnd: who sends learns that nobody listens any more.
func TestEventsEnd(t *testing.T) {
	ended := make(chan error, 1)
	client := tailing(t, func(*cloudwatchlogs.StartLiveTailInput) (tail, error) {
		return func(ctx context.Context, send func(types.StartLiveTailResponseStream) error) error {
			err := send(&types.StartLiveTailResponseStreamMemberSessionStart{})
			<-ctx.Done()
			ended <- errors.Join(err, send(&types.StartLiveTailResponseStreamMemberSessionStart{}))
			return nil
		}, nil
	})
	stream, err := ask(t, client)
	if err != nil {
		t.Fatal(err)
	}
	<-stream.Events()
	if err := stream.Close(); err != nil {
		t.Error(err)
	}
	select {
	case err := <-ended:
		if err == nil {
			t.Error("an event was sent to nobody")
		}
	case <-time.After(10 * time.Second):
		t.Error("the handler goes on")
	}
}
