package ec2

import (
	"context"
	"net/http/httptest"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"miniaws/awsapi"
	"miniaws/awsapi/sdktest"
	"miniaws/backend"
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
	network := sim.OpenNetwork(time.Now)
	s, client := newCloudOn(t, network)
	return s, client, network
}

func newCloudOn(t testing.TB, network Network) (*Service, *ec2.Client) {
	t.Helper()
	return serveCloud(t, Config{DB: store.OpenMemory(store.Options{}), Network: network, Simulated: true, Domain: "mini-aws.internal"}, reconcile.Options{})
}

// serveCloud serves the service until the test ends, with a loop; the store is closed then.
func serveCloud(t testing.TB, c Config, o reconcile.Options) (*Service, *ec2.Client) {
	t.Helper()
	s := New(c)
	server := awsapi.NewServer(awsapi.Options{Identities: root{}, Authorizer: root{}, Region: "us-east-1"})
	s.Register(server)
	loop := reconcile.New(c.DB, o)
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
		if changed, err := store.ChangedShared(context.Background(), c.DB); err != nil || len(changed) > 0 {
			t.Errorf("a reader changed what is shared: %v, %v", changed, err)
		}
		c.DB.Close()
	})
	client := ec2.New(ec2.Options{
		Region: "us-east-1", BaseEndpoint: aws.String(endpoint.URL), Credentials: credentials.NewStaticCredentialsProvider("AKIAIOSFODNN7EXAMPLE", "secret", ""),
		RetryMaxAttempts: 1, HTTPClient: sdktest.HTTPClient(),
	})
	return s, client
}

// lateNetwork does not say what it is before it is there, and counts how often it is asked.
type lateNetwork struct {
	*sim.Network
	there chan struct{}
	asked atomic.Int32
}

func (n *lateNetwork) NetworkInfo(ctx context.Context) (backend.NetworkInfo, error) {
	n.asked.Add(1)
	select {
	case <-n.there:
		return n.Network.NetworkInfo(ctx)
	default:
		return backend.NetworkInfo{}, &backend.Error{Kind: backend.KindUnavailable, Op: "network info", Object: "node"}
	}
}

func TestPublicRangeIsLearnedOutsideTransactions(t *testing.T) {
	network := &lateNetwork{Network: sim.OpenNetwork(time.Now), there: make(chan struct{})}
	s, client := newCloudOn(t, network)
	if _, err := client.AllocateAddress(t.Context(), &ec2.AllocateAddressInput{}); err == nil {
		t.Error("an address of a range that nobody knows")
	}
	asked := network.asked.Load()
	err := s.updateIn(t.Context(), store.Scope{Account: testAccount, Region: "us-east-1"}, func(x tx) error {
		_, err := takePublic(x, "eipalloc-1", netip.Addr{})
		return err
	})
	if backend.KindOf(err) != backend.KindUnavailable || network.asked.Load() != asked {
		t.Errorf("in a transaction: %v, asked %d times", err, network.asked.Load()-asked)
	}
	close(network.there)
	made, err := client.AllocateAddress(t.Context(), &ec2.AllocateAddressInput{})
	if err != nil {
		t.Fatal(err)
	}
	info, err := network.Network.NetworkInfo(t.Context())
	if err != nil || !info.Public.Contains(netip.MustParseAddr(*made.PublicIp)) {
		t.Errorf("%s is not of %v: %v", *made.PublicIp, info.Public, err)
	}
}
