package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"miniaws/awsapi/sdktest"
	"miniaws/backend"
)

// insideVPC are an account's root user's clients whose requests come from where origin says, as the node agent says it.
type insideVPC struct {
	ec2    *ec2.Client
	s3     *s3.Client
	sts    *sts.Client
	origin *backend.Origin
}

func clientsInside(t *testing.T, made *cloud) *insideVPC {
	t.Helper()
	all := &insideVPC{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx := r.Context()
		if all.origin != nil {
			ctx = backend.WithOrigin(ctx, *all.origin)
			address := all.origin.Source
			if all.origin.Public.IsValid() {
				address = all.origin.Public
			}
			r.RemoteAddr = netip.AddrPortFrom(address, 40000).String()
		}
		made.api.ServeHTTP(w, r.WithContext(ctx))
	}))
	t.Cleanup(server.Close)
	key, err := made.identities.AccountRootKey(t.Context(), "000000000000")
	if err != nil {
		t.Fatal(err)
	}
	config := aws.Config{Region: "us-east-1", BaseEndpoint: aws.String(server.URL), RetryMaxAttempts: 1, HTTPClient: sdktest.HTTPClient(),
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: key.AccessKeyID, SecretAccessKey: key.SecretAccessKey}, nil
		})}
	all.ec2, all.sts = ec2.NewFromConfig(config), sts.NewFromConfig(config)
	all.s3 = s3.NewFromConfig(config, func(o *s3.Options) { o.UsePathStyle = true })
	return all
}

// TestEndpointPolicies: who comes through a VPC endpoint is bound by its policy, and policies see which it is.
func TestEndpointPolicies(t *testing.T) {
	made := testCloud(t)
	looping, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- made.loop.Run(looping) }()
	defer func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	ctx, c := t.Context(), clientsInside(t, made)
	check := func(what string, err error, want string) {
		t.Helper()
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", what, err, want)
		}
	}
	network, err := c.ec2.CreateVpc(ctx, &ec2.CreateVpcInput{CidrBlock: aws.String("10.0.0.0/16")})
	if err != nil {
		t.Fatal(err)
	}
	vpc := network.Vpc.VpcId
	for _, bucket := range []string{"open-bucket", "vpc-only"} {
		if _, err := c.s3.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: aws.String(bucket)}); err != nil {
			t.Fatal(err)
		}
	}
	endpoint, err := c.ec2.CreateVpcEndpoint(ctx, &ec2.CreateVpcEndpointInput{
		VpcId: vpc, ServiceName: aws.String("com.amazonaws.us-east-1.s3"),
		PolicyDocument: aws.String(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":"*","Action":["s3:List*","s3:*BucketPolicy"],"Resource":"*"}}`),
	})
	if err != nil {
		t.Fatal(err)
	}
	id := *endpoint.VpcEndpoint.VpcEndpointId
	for deadline := time.Now().Add(10 * time.Second); ; {
		shown, err := c.ec2.DescribeVpcEndpoints(ctx, &ec2.DescribeVpcEndpointsInput{VpcEndpointIds: []string{id}})
		if err != nil || time.Now().After(deadline) {
			t.Fatalf("the endpoint does not become available: %v", err)
		}
		if shown.VpcEndpoints[0].State == ec2types.State("available") {
			break
		}
	}
	for bucket, key := range map[string]string{"vpc-only": "aws:SourceVpce\":\"" + id} {
		_, err = c.s3.PutBucketPolicy(ctx, &s3.PutBucketPolicyInput{Bucket: aws.String(bucket), Policy: aws.String(
			`{"Version":"2012-10-17","Statement":{"Effect":"Deny","Principal":"*","Action":"s3:ListBucket","Resource":"arn:aws:s3:::` + bucket + `","Condition":{"StringNotEquals":{"` + key + `"}}}}`)})
		check("policy of "+bucket, err, "")
	}
	list := func(bucket string) error {
		_, err := c.s3.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: aws.String(bucket)})
		return err
	}
	put := func() error {
		_, err := c.s3.PutObject(ctx, &s3.PutObjectInput{Bucket: aws.String("open-bucket"), Key: aws.String("k"), Body: strings.NewReader("x")})
		return err
	}
	who := func() error {
		_, err := c.sts.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
		return err
	}

	// From outside of every VPC no endpoint's policy counts, and none is named.
	check("outside: put", put(), "")
	check("outside: list", list("vpc-only"), "explicit deny in a resource-based policy")

	// By the internet gateway, from a subnet without the endpoint: neither.
	c.origin = &backend.Origin{VPC: *vpc, ENI: "eni-1", Source: netip.MustParseAddr("10.0.0.4"), Public: netip.MustParseAddr("198.18.8.1")}
	check("internet: put", put(), "")
	check("internet: list", list("vpc-only"), "explicit deny in a resource-based policy")
	check("internet: sts", who(), "")

	// Through the endpoint, whose policy lists and does not put, not even for the account's root user.
	c.origin.Endpoints = []string{id}
	check("endpoint: put", put(), "because no VPC endpoint policy allows the s3:PutObject action")
	check("endpoint: list", list("vpc-only"), "")
	check("endpoint of another service: sts goes by the internet", who(), "")

	// Without a way to the internet only the endpoint's own service is there.
	c.origin.Public = netip.Addr{}
	check("endpoint alone: list", list("vpc-only"), "")
	check("endpoint alone: sts", who(), "no endpoint of it, and no way to the internet")

	// The keys about the network, each in a policy of its own.
	for key, want := range map[string]string{
		`"StringEquals":{"aws:SourceVpc":"` + *vpc + `"}`:        "explicit deny",
		`"StringEquals":{"aws:SourceVpc":"vpc-0"}`:               "",
		`"StringEquals":{"aws:VpceAccount":"000000000000"}`:      "explicit deny",
		`"IpAddress":{"aws:VpcSourceIp":"10.0.0.0/16"}`:          "explicit deny",
		`"IpAddress":{"aws:VpcSourceIp":"10.1.0.0/16"}`:          "",
		`"IpAddress":{"aws:SourceIp":"0.0.0.0/0"}`:               "", // is not there through an endpoint
		`"Null":{"aws:SourceIp":"true"}`:                         "explicit deny",
		`"StringNotEquals":{"aws:SourceVpce":"` + id + `"}`:      "",
		`"StringEqualsIfExists":{"aws:SourceVpce":"` + id + `"}`: "explicit deny",
	} {
		_, err = c.s3.PutBucketPolicy(ctx, &s3.PutBucketPolicyInput{Bucket: aws.String("open-bucket"), Policy: aws.String(
			`{"Version":"2012-10-17","Statement":{"Effect":"Deny","Principal":"*","Action":"s3:ListBucket","Resource":"arn:aws:s3:::open-bucket","Condition":{` + key + `}}}`)})
		check(key, err, "")
		check(key, list("open-bucket"), want)
	}

	// A document that is JSON and no policy is refused: it would be in every call's way.
	c.origin = nil
	_, err = c.ec2.ModifyVpcEndpoint(ctx, &ec2.ModifyVpcEndpointInput{VpcEndpointId: aws.String(id), PolicyDocument: aws.String(`{"Statement":[]}`)})
	check("no policy", err, "InvalidPolicyDocument")

	// A changed policy counts at once.
	c.origin = nil
	_, err = c.ec2.ModifyVpcEndpoint(ctx, &ec2.ModifyVpcEndpointInput{VpcEndpointId: aws.String(id), ResetPolicy: aws.Bool(true)})
	check("reset", err, "")
	c.origin = &backend.Origin{VPC: *vpc, ENI: "eni-1", Source: netip.MustParseAddr("10.0.0.4"), Endpoints: []string{id}}
	check("reset: put", put(), "")
}
