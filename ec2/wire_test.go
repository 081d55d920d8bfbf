package ec2

import (
	"context"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"miniaws/awsapi"
	"miniaws/backend/reconcile"
	"miniaws/backend/sim"
	"miniaws/backend/store"
)

const testAccount = "123456789012"

// root knows one key and allows everything.
type root struct{}

func (root) Find(context.Context, string, string) (string, awsapi.Principal, error) {
	return "secret", awsapi.Principal{Account: testAccount, ARN: "arn:aws:iam::" + testAccount + ":root", ID: testAccount, Root: true}, nil
}

func (root) Authorize(context.Context, *awsapi.Request, []awsapi.Access) error { return nil }

func newCloud(t testing.TB) (*Service, *ec2.Client, *sim.Network) {
	t.Helper()
	db := store.OpenMemory(store.Options{})
	network := sim.OpenNetwork(time.Now)
	s := New(Config{DB: db, Network: network, Simulated: true, Domain: "mini-aws.internal"})
	server := awsapi.NewServer(awsapi.Options{Identities: root{}, Authorizer: root{}, Region: "us-east-1"})
	s.Register(server)
	loop := reconcile.New(db, reconcile.Options{})
	s.Reconcile(loop)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- loop.Run(ctx) }()
	endpoint := httptest.NewServer(server)
	t.Cleanup(func() {
		endpoint.Close()
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		db.Close()
	})
	client := ec2.New(ec2.Options{
		Region: "us-east-1", BaseEndpoint: aws.String(endpoint.URL), Credentials: credentials.NewStaticCredentialsProvider("AKIAIOSFODNN7EXAMPLE", "secret", ""),
		RetryMaxAttempts: 1,
	})
	return s, client, network
}
