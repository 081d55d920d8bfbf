package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	awsiam "github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"miniaws/awsapi"
	"miniaws/awsapi/meta"
	"miniaws/backend/seal"
	"miniaws/backend/store"
	"miniaws/iam"
)

// benchAccount is the account of testCloud.
const benchAccount = "000000000000"

// answering is an operation that does nothing, so that what is measured is the way to it.
func answering(ctx context.Context, in *ssm.GetParameterInput) (*ssm.GetParameterOutput, error) {
	return &ssm.GetParameterOutput{Parameter: &types.Parameter{Name: in.Name, Value: aws.String("value"), Version: 1}}, nil
}

func answeringAccess(_ context.Context, in *ssm.GetParameterInput) ([]awsapi.Access, error) {
	return []awsapi.Access{{Action: "ssm:GetParameter", Resources: []string{"arn:aws:ssm:us-east-1:" + benchAccount + ":parameter" + aws.ToString(in.Name)}}}, nil
}

// invoke calls an operation as the account's root user.
func invoke[Out any](tb testing.TB, made *cloud, in any) *Out {
	tb.Helper()
	by := awsapi.Caller{Principal: awsapi.Principal{Type: awsapi.RootUser, Account: benchAccount, Root: true, ARN: "arn:aws:iam::" + benchAccount + ":root"}, Region: "us-east-1"}
	out, err := made.api.Invoke(tb.Context(), by, in)
	if err != nil {
		tb.Fatal(err)
	}
	return out.(*Out)
}

// largeUser makes a user with 20 policies of 10 statements, of which the last one allows the call; it answers its key.
func largeUser(tb testing.TB, made *cloud) aws.Credentials {
	tb.Helper()
	invoke[awsiam.CreateUserOutput](tb, made, &awsiam.CreateUserInput{UserName: aws.String("large")})
	for i := range 2 {
		group := aws.String(fmt.Sprintf("group-%d", i))
		invoke[awsiam.CreateGroupOutput](tb, made, &awsiam.CreateGroupInput{GroupName: group})
		invoke[awsiam.AddUserToGroupOutput](tb, made, &awsiam.AddUserToGroupInput{GroupName: group, UserName: aws.String("large")})
		for j := range 10 {
			var statements []map[string]any
			for k := range 10 {
				statements = append(statements, map[string]any{
					"Sid": fmt.Sprintf("S%d", k), "Effect": "Allow", "Action": []string{"ssm:Get*", "s3:PutObject", "ec2:Describe*", "dynamodb:Query"},
					"Resource":  fmt.Sprintf("arn:aws:ssm:*:*:parameter/app-%d-%d-%d/*", i, j, k),
					"Condition": map[string]any{"StringEquals": map[string]string{"aws:RequestedRegion": "us-east-1"}, "IpAddress": map[string]string{"aws:SourceIp": "192.0.2.0/24"}},
				})
			}
			text, err := json.Marshal(map[string]any{"Version": "2012-10-17", "Statement": statements})
			if err != nil {
				tb.Fatal(err)
			}
			p := invoke[awsiam.CreatePolicyOutput](tb, made, &awsiam.CreatePolicyInput{PolicyName: aws.String(fmt.Sprintf("policy-%d-%d", i, j)), PolicyDocument: aws.String(string(text))})
			invoke[awsiam.AttachGroupPolicyOutput](tb, made, &awsiam.AttachGroupPolicyInput{GroupName: group, PolicyArn: p.Policy.Arn})
		}
	}
	key := invoke[awsiam.CreateAccessKeyOutput](tb, made, &awsiam.CreateAccessKeyInput{UserName: aws.String("large")}).AccessKey
	return aws.Credentials{AccessKeyID: *key.AccessKeyId, SecretAccessKey: *key.SecretAccessKey}
}

// parameterRequest makes requests of one call; the same signature is good for all of them.
func parameterRequest(tb testing.TB, credentials aws.Credentials) func() *http.Request {
	tb.Helper()
	const body = `{"Name":"/app-1-9-9/color"}`
	template := httptest.NewRequestWithContext(tb.Context(), http.MethodPost, "http://127.0.0.1:4566/", nil)
	template.RemoteAddr = "192.0.2.1:1234"
	template.Header.Set("Content-Type", "application/x-amz-json-1.1")
	template.Header.Set("X-Amz-Target", "AmazonSSM.GetParameter")
	template.ContentLength = int64(len(body))
	if credentials.AccessKeyID != "" {
		sum := sha256.Sum256([]byte(body))
		if err := v4.NewSigner().SignHTTP(tb.Context(), credentials, template, hex.EncodeToString(sum[:]), "ssm", "us-east-1", time.Now()); err != nil {
			tb.Fatal(err)
		}
	}
	return func() *http.Request {
		r := *template
		r.Body = struct {
			*strings.Reader
			nothing
		}{strings.NewReader(body), nothing{}}
		return &r
	}
}

type nothing struct{}

func (nothing) Close() error { return nil }

// everybody lets everybody in, and knows nobody.
type everybody struct{}

func (everybody) Find(context.Context, string, string) (string, awsapi.Principal, error) {
	return "", awsapi.Principal{}, awsapi.ErrUnknownAccessKey
}

func (everybody) Authorize(context.Context, *awsapi.Request, []awsapi.Access) error { return nil }

// processorTime is what this process used: what others on the machine do does not count.
func processorTime(tb testing.TB) time.Duration {
	tb.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// serveOne serves one request, which must succeed.
func serveOne(tb testing.TB, s *awsapi.Server, r *http.Request) {
	w := httptest.NewRecorder()
	if s.ServeHTTP(w, r); w.Code != http.StatusOK {
		tb.Fatalf("%d: %s", w.Code, w.Body)
	}
}

// BenchmarkSecurity is what it costs a call that its signature is verified, its caller found and its 20 policies of 10
// statements are asked: the whole call, less the same one to a server that lets everybody in. "audited" records it, too.
func BenchmarkSecurity(b *testing.B) {
	made := testCloud(b)
	credentials := largeUser(b, made)
	serverOf := func(o awsapi.Options, options ...awsapi.OpOption) *awsapi.Server {
		o.Region = "us-east-1"
		s := awsapi.NewServer(o)
		s.Register(meta.SSM, awsapi.Op(answering, answeringAccess, options...))
		return s
	}
	bare, unsigned := serverOf(awsapi.Options{Identities: everybody{}, Authorizer: everybody{}}, awsapi.Unsigned()), parameterRequest(b, aws.Credentials{})
	for name, s := range map[string]*awsapi.Server{
		"authorized": serverOf(awsapi.Options{Identities: made.identities, Authorizer: made.identities}),
		"audited":    serverOf(awsapi.Options{Identities: made.identities, Authorizer: made.identities, Recorders: []awsapi.Recorder{made.audit}}),
	} {
		b.Run(name, func(b *testing.B) {
			signed := parameterRequest(b, credentials)
			b.ReportAllocs()
			from := processorTime(b)
			for b.Loop() {
				serveOne(b, s, signed())
			}
			whole := processorTime(b) - from
			b.StopTimer()
			from = processorTime(b)
			for range b.N {
				serveOne(b, bare, unsigned())
			}
			plain := processorTime(b) - from
			b.ReportMetric(float64((whole-plain).Nanoseconds())/float64(b.N)/1000, "us-cpu-overhead/call")
			b.ReportMetric(float64(plain.Nanoseconds())/float64(b.N)/1000, "us-cpu-plain/call")
		})
	}
}

// BenchmarkDecisionAmongUsers is finding a caller and deciding, in accounts of different sizes: it must stay the same.
func BenchmarkDecisionAmongUsers(b *testing.B) {
	for _, users := range []int{10, 1000, 5000} {
		b.Run(fmt.Sprintf("users=%d", users), func(b *testing.B) {
			made, _ := diskCloud(b)
			credentials := largeUser(b, made)
			for i := range min(users, 4998) { // AWS: an account has at most 5000
				name := aws.String(fmt.Sprintf("user-%d", i))
				invoke[awsiam.CreateUserOutput](b, made, &awsiam.CreateUserInput{UserName: name})
				invoke[awsiam.CreateAccessKeyOutput](b, made, &awsiam.CreateAccessKeyInput{UserName: name})
				invoke[awsiam.PutUserPolicyOutput](b, made, &awsiam.PutUserPolicyInput{UserName: name, PolicyName: aws.String("p"), PolicyDocument: aws.String(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"ssm:*","Resource":"*"}}`)})
			}
			wanted, err := answeringAccess(b.Context(), &ssm.GetParameterInput{Name: aws.String("/app-1-9-9/color")})
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			from := processorTime(b)
			for b.Loop() {
				_, who, err := made.identities.Find(b.Context(), credentials.AccessKeyID, "")
				if err != nil {
					b.Fatal(err)
				}
				r := &awsapi.Request{Time: time.Now(), Service: meta.SSM, Operation: "GetParameter", Region: "us-east-1", Principal: who, Header: http.Header{}}
				r.SourceIP = netip.MustParseAddr("192.0.2.1")
				if err := made.identities.Authorize(b.Context(), r, wanted); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64((processorTime(b)-from).Nanoseconds())/float64(b.N)/1000, "us-cpu/decision")
		})
	}
}

// diskCloud is testCloud on a disk, as a server is.
func diskCloud(tb testing.TB) (*cloud, store.DB) {
	tb.Helper()
	db, err := store.Open(tb.Context(), tb.TempDir(), store.DiskOptions{})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := db.Close(); err != nil {
			tb.Error(err)
		}
	})
	if err := store.Migrate(tb.Context(), db, tables()...); err != nil {
		tb.Fatal(err)
	}
	return newCloud(cloudConfig{
		DB: db, Key: seal.NewKey(), Engine: openSimulated(), Installation: strings.Repeat("0", 32), Data: tb.TempDir(),
		Account: benchAccount, Region: "us-east-1", Root: iam.NewRootKey(),
	}), db
}

// TestAuditAddsNoSync: a call that reads costs the store no sync, and one that writes at most one more than its own.
func TestAuditAddsNoSync(t *testing.T) {
	made, db := diskCloud(t)
	invoke[awsiam.CreateUserOutput](t, made, &awsiam.CreateUserInput{UserName: aws.String("first")})
	before := db.Stats().Syncs
	for range 450 {
		invoke[awsiam.GetUserOutput](t, made, &awsiam.GetUserInput{UserName: aws.String("first")})
		invoke[awsiam.ListUsersOutput](t, made, &awsiam.ListUsersInput{})
	}
	if n := db.Stats().Syncs - before; n > 0 { // the sweep, which does not run here, writes their events together
		t.Errorf("900 calls that read cost %d syncs", n)
	}
	before = db.Stats().Syncs
	for i := range 50 {
		invoke[awsiam.CreateUserOutput](t, made, &awsiam.CreateUserInput{UserName: aws.String(fmt.Sprint("user-", i))})
	}
	if n := db.Stats().Syncs - before; n < 50 || n > 105 { // some are the log's own, for a new segment
		t.Errorf("50 calls that write cost %d syncs", n)
	}
}
