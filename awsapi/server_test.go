package awsapi_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"

	"miniaws/awsapi"
	"miniaws/awsapi/meta"
)

const (
	keyID  = "AKIAIOSFODNN7EXAMPLE"
	secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
)

// gate is an Identities with one key and an Authorizer that refuses one action.
type gate struct{ refuse string }

func (gate) Find(_ context.Context, id, token string) (string, awsapi.Principal, error) {
	switch {
	case id == "ASIAEXPIRED000000000":
		return "", awsapi.Principal{}, awsapi.ErrExpiredToken
	case id == "AKIABROKEN0000000000":
		return "", awsapi.Principal{}, errors.New("the disk said a secret thing")
	case id != keyID:
		return "", awsapi.Principal{}, awsapi.ErrUnknownAccessKey
	case token != "":
		return "", awsapi.Principal{}, awsapi.ErrInvalidToken
	}
	return secret, awsapi.Principal{Account: "123456789012", ARN: "arn:aws:iam::123456789012:user/alice", ID: "AIDA", AccessKeyID: id}, nil
}

func (g gate) Authorize(_ context.Context, r *awsapi.Request, wanted []awsapi.Access) error {
	for _, access := range wanted {
		if access.Action == g.refuse {
			return &awsapi.Denied{Message: "User: " + r.Principal.ARN + " is not authorized to perform: " + access.Action}
		}
	}
	return nil
}

// world is a server with two operations: one of a query and one of a JSON service.
type world struct {
	*testing.T
	server *awsapi.Server
	seen   *awsapi.Request
	log    bytes.Buffer
}

func newWorld(t *testing.T, refuse string) *world {
	w := &world{T: t}
	w.server = awsapi.NewServer(awsapi.Options{
		Identities: gate{refuse}, Authorizer: gate{refuse}, Region: "us-east-1", BodyPatience: 200 * time.Millisecond,
		Log: slog.New(slog.NewTextHandler(&w.log, nil)),
	})
	w.server.Register(meta.STS, awsapi.Op(
		func(ctx context.Context, in *sts.GetAccessKeyInfoInput) (*sts.GetAccessKeyInfoOutput, error) {
			w.seen = awsapi.FromContext(ctx)
			if aws.ToString(in.AccessKeyId) == "AKIAPANIC00000000000" {
				panic("a secret in a panic")
			}
			return &sts.GetAccessKeyInfoOutput{Account: aws.String(w.seen.Principal.Account)}, nil
		}, awsapi.Action[sts.GetAccessKeyInfoInput]("sts:GetAccessKeyInfo")))
	w.server.Register(meta.STS, awsapi.Op(
		func(ctx context.Context, _ *sts.GetSessionTokenInput) (*sts.GetSessionTokenOutput, error) {
			select { // a handler that takes longer than the body had time
			case <-ctx.Done():
				return nil, ctx.Err()
			case <-time.After(400 * time.Millisecond):
				return &sts.GetSessionTokenOutput{}, nil
			}
		}, awsapi.Action[sts.GetSessionTokenInput]("sts:GetSessionToken"), awsapi.Unsigned()))
	w.server.Register(meta.STS, awsapi.Op(
		func(ctx context.Context, in *sts.AssumeRoleWithWebIdentityInput) (*sts.AssumeRoleWithWebIdentityOutput, error) {
			w.seen = awsapi.FromContext(ctx)
			return &sts.AssumeRoleWithWebIdentityOutput{Provider: in.ProviderId}, nil
		}, awsapi.Action[sts.AssumeRoleWithWebIdentityInput]("sts:AssumeRoleWithWebIdentity"), awsapi.Unsigned()))
	w.server.Register(meta.SSM, awsapi.Op(
		func(ctx context.Context, in *ssm.GetParameterInput) (*ssm.GetParameterOutput, error) {
			w.seen = awsapi.FromContext(ctx)
			return nil, awsapi.Errorf("ParameterNotFound", "no %s", aws.ToString(in.Name))
		}, awsapi.Action[ssm.GetParameterInput]("ssm:GetParameter")))
	return w
}

// message is a request before it is signed.
type message struct {
	method, target, body string
	header               map[string]string
	service              string // signing name; empty for an unsigned request
	id, secret           string // other than the good ones
	at                   time.Time
}

func (w *world) send(m message) *httptest.ResponseRecorder {
	w.Helper()
	if m.method == "" {
		m.method = http.MethodPost
	}
	r := httptest.NewRequest(m.method, "http://127.0.0.1:4566"+m.target, strings.NewReader(m.body))
	for name, value := range m.header {
		r.Header.Set(name, value)
	}
	if m.service != "" {
		sum := sha256.Sum256([]byte(m.body))
		hash := hex.EncodeToString(sum[:])
		if m.service == "s3" {
			r.Header.Set("X-Amz-Content-Sha256", hash)
		}
		credentials := aws.Credentials{AccessKeyID: orElse(m.id, keyID), SecretAccessKey: orElse(m.secret, secret)}
		if m.at.IsZero() {
			m.at = time.Now()
		}
		err := v4.NewSigner().SignHTTP(w.Context(), credentials, r, hash, m.service, "eu-west-1", m.at)
		if err != nil {
			w.Fatal(err)
		}
	}
	recorder := httptest.NewRecorder()
	w.server.ServeHTTP(recorder, r)
	return recorder
}

func orElse(value, fallback string) string {
	if value == "" {
		return fallback
	}
	return value
}

func form(body string) message {
	return message{target: "/", body: body, service: "sts", header: map[string]string{"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}}
}

func jsonCall(target, body string) message {
	return message{target: "/", body: body, service: "ssm", header: map[string]string{"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": target}}
}

const keyInfo = "Action=GetAccessKeyInfo&Version=2011-06-15&AccessKeyId=" + keyID

func TestAWholeCall(t *testing.T) {
	w := newWorld(t, "")
	answer := w.send(form(keyInfo))
	if answer.Code != 200 || !strings.Contains(answer.Body.String(), "<Account>123456789012</Account>") {
		t.Fatalf("%d %s", answer.Code, answer.Body)
	}
	if id := answer.Header().Get("X-Amzn-Requestid"); id != w.seen.ID || !strings.Contains(answer.Body.String(), id) {
		t.Errorf("request id %q, handler saw %q: %s", id, w.seen.ID, answer.Body)
	}
	if w.seen.Region != "eu-west-1" || w.seen.Operation != "GetAccessKeyInfo" || w.seen.Service != meta.STS || !w.seen.SourceIP.IsValid() {
		t.Errorf("handler saw %+v", w.seen)
	}
	if got := answer.Header().Get("Content-Length"); got != fmt.Sprint(answer.Body.Len()) {
		t.Errorf("Content-Length %s of %d", got, answer.Body.Len())
	}
}

func TestGetIsAQueryCallToo(t *testing.T) {
	w := newWorld(t, "")
	answer := w.send(message{method: http.MethodGet, target: "/?" + keyInfo, service: "sts"})
	if answer.Code != 200 || !strings.Contains(answer.Body.String(), "<Account>123456789012</Account>") {
		t.Fatalf("%d %s", answer.Code, answer.Body)
	}
}

// TestPostWithParametersInTheURL: presigned calls have nothing in the body; botocore presigns STS for POST.
func TestPostWithParametersInTheURL(t *testing.T) {
	w := newWorld(t, "")
	answer := w.send(message{target: "/?" + keyInfo, service: "sts"})
	if answer.Code != 200 || !strings.Contains(answer.Body.String(), "<Account>123456789012</Account>") {
		t.Fatalf("%d %s", answer.Code, answer.Body)
	}
}

// TestEmptyBodyThatWaitsToBeAsked: botocore waits for the interim answer even if it has nothing to send.
func TestEmptyBodyThatWaitsToBeAsked(t *testing.T) {
	server := httptest.NewServer(newWorld(t, "").server)
	defer server.Close()
	connection, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	_, err = io.WriteString(connection, "PUT /bucket/key HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n")
	if err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(connection)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.HasPrefix(answer, []byte("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 403 Forbidden\r\n")) {
		t.Errorf("answered %q", answer)
	}
}

// TestSlowBody: a client that does not send what it announced is not waited for; a slow handler is.
func TestSlowBody(t *testing.T) {
	server := httptest.NewServer(newWorld(t, "").server)
	defer server.Close()
	connection, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	_, err = io.WriteString(connection, "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nAction=")
	if err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(connection) // ends when the server hangs up
	if err != nil || !bytes.HasPrefix(answer, []byte("HTTP/1.1 400 ")) {
		t.Errorf("answered %q, %v", answer, err)
	}

	response, err := http.PostForm(server.URL, map[string][]string{"Action": {"GetSessionToken"}, "Version": {"2011-06-15"}})
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(response.Body)
		t.Errorf("a handler that takes longer than the body may: %d %s", response.StatusCode, body)
	}
}

// TestPanicWhileEncoding: what goes wrong after the handler is an internal failure like any other.
func TestPanicWhileEncoding(t *testing.T) {
	w := newWorld(t, "")
	w.server.Register(meta.STS, awsapi.Op(
		func(context.Context, *sts.GetCallerIdentityInput) (*sts.GetCallerIdentityOutput, error) {
			return nil, explosive{}
		}, awsapi.Action[sts.GetCallerIdentityInput]("sts:GetCallerIdentity")))
	answer := w.send(form("Action=GetCallerIdentity&Version=2011-06-15"))
	if answer.Code != 500 || !strings.Contains(answer.Body.String(), "InternalFailure") {
		t.Errorf("%d %s", answer.Code, answer.Body)
	}
}

// explosive is an API error that panics when it is looked at.
type explosive struct{ smithy.APIError }

func (explosive) Error() string { return "explosive" }

// TestRefusals: what stops where, in the words of the service's family.
func TestRefusals(t *testing.T) {
	changed := func(m message, change func(*message)) message { change(&m); return m }
	big := strings.Repeat("x", awsapi.MaxBody+1)
	cases := map[string]struct {
		message message
		refuse  string
		status  int
		want    string
	}{
		"query, unsigned":        {changed(form(keyInfo), func(m *message) { m.service = "" }), "", 403, "<Code>MissingAuthenticationToken</Code>"},
		"query, wrong secret":    {changed(form(keyInfo), func(m *message) { m.secret = "wrong" }), "", 403, "<Code>SignatureDoesNotMatch</Code>"},
		"query, unknown key":     {changed(form(keyInfo), func(m *message) { m.id = "AKIAUNKNOWN000000000" }), "", 403, "<Code>InvalidClientTokenId</Code>"},
		"query, expired session": {changed(form(keyInfo), func(m *message) { m.id = "ASIAEXPIRED000000000" }), "", 403, "<Code>ExpiredToken</Code>"},
		"query, old signature":   {changed(form(keyInfo), func(m *message) { m.at = time.Now().Add(-16 * time.Minute) }), "", 403, "<Code>SignatureDoesNotMatch</Code>"},
		"query, other service":   {changed(form(keyInfo), func(m *message) { m.service = "iam" }), "", 403, "<Code>SignatureDoesNotMatch</Code>"},
		"query, denied":          {form(keyInfo), "sts:GetAccessKeyInfo", 403, "<Code>AccessDenied</Code><Message>User: arn:aws:iam::123456789012:user/alice is not"},
		"query, missing member":  {form("Action=GetAccessKeyInfo&Version=2011-06-15"), "", 400, "<Code>ValidationError</Code>"},
		"query, no such action":  {form("Action=Frobnicate&Version=2011-06-15"), "", 400, "<Code>InvalidAction</Code>"},
		"query, wrong version":   {form("Action=GetAccessKeyInfo&Version=1999-01-01"), "", 400, "<Code>InvalidAction</Code>"},
		"query, not implemented": {form("Action=GetFederationToken&Version=2011-06-15"), "", 501, "sts:GetFederationToken is not implemented"},
		"query, identities fail": {changed(form(keyInfo), func(m *message) { m.id = "AKIABROKEN0000000000" }), "", 500, "<Code>InternalFailure</Code>"},
		"query, panic":           {form(strings.ReplaceAll(keyInfo, keyID, "AKIAPANIC00000000000")), "", 500, "<Code>InternalFailure</Code>"},
		"query, too long":        {form(keyInfo + "&X=" + big), "", 413, "MaxMessageLengthExceeded"},
		"query, bad escape":      {form(keyInfo + "&AccessKeyId=%zz"), "", 400, "<Code>MalformedQueryString</Code>"},
		"ec2, unsigned":          {message{target: "/", body: "Action=DescribeRegions&Version=2016-11-15"}, "", 403, "<Response><Errors><Error><Code>MissingAuthenticationToken</Code>"},
		"ec2, not implemented":   {message{target: "/", body: "Action=DescribeRegions&Version=2016-11-15", service: "ec2"}, "", 501, "ec2:DescribeRegions is not implemented"},
		"json, unsigned":         {changed(jsonCall("AmazonSSM.GetParameter", "{}"), func(m *message) { m.service = "" }), "", 400, `"__type":"MissingAuthenticationTokenException"`},
		"json, denied":           {jsonCall("AmazonSSM.GetParameter", `{"Name":"a"}`), "ssm:GetParameter", 400, `"__type":"AccessDeniedException"`},
		"json, handler's error":  {jsonCall("AmazonSSM.GetParameter", `{"Name":"a"}`), "", 400, `"__type":"ParameterNotFound"`},
		"json, malformed":        {jsonCall("AmazonSSM.GetParameter", `{"Name":`), "", 400, `"__type":"SerializationException"`},
		"json, no such target":   {jsonCall("AmazonXYZ.GetParameter", `{}`), "", 501, "The service AmazonXYZ is not part of Mini AWS"},
		"json, wrong secret":     {changed(jsonCall("AmazonXYZ.GetParameter", `{}`), func(m *message) { m.secret = "wrong" }), "", 400, `"__type":"InvalidSignatureException"`},
		"json, too long":         {jsonCall("AmazonSSM.GetParameter", big), "", 413, `"__type":"MaxMessageLengthExceeded"`},
		"query, no action":       {form("Version=2011-06-15"), "", 400, "<Code>MissingAction</Code>"},
		"query, other media":     {changed(form(keyInfo), func(m *message) { m.header = map[string]string{"Content-Type": "application/json"} }), "", 400, "<Code>MissingAction</Code>"},
		"query, unsigned, long":  {changed(form(keyInfo+"&X="+big[:300_000]), func(m *message) { m.service = "" }), "", 413, "MaxMessageLengthExceeded"},
		"foreign rest service":   {message{method: "GET", target: "/2015-03-31/functions", service: "lambda"}, "", 501, "The service lambda is not part of Mini AWS"},
		"foreign, wrong secret":  {message{method: "GET", target: "/2015-03-31/functions", service: "lambda", secret: "wrong"}, "", 403, "InvalidSignatureException"},
		"foreign, unsigned":      {message{target: "/", body: "{}", header: map[string]string{"X-Amz-Target": "DynamoDB_20120810.ListTables"}}, "", 400, `"__type":"MissingAuthenticationTokenException"`},
		"json, no such action":   {jsonCall("AmazonSSM.Frobnicate", `{}`), "", 400, `"__type":"UnknownOperationException"`},
		"json, target of dots":   {jsonCall("....", `{}`), "", 501, "The service ... is not part of Mini AWS"},
		"s3, unsigned":           {message{method: "GET", target: "/bucket/key"}, "", 403, "<Code>AccessDenied</Code>"},
		"s3, unknown key":        {message{method: "GET", target: "/bucket/key", service: "s3", id: "AKIAUNKNOWN000000000"}, "", 403, "<Code>InvalidAccessKeyId</Code>"},
		"s3, not implemented":    {message{method: "PUT", target: "/bucket/a/../b//c", service: "s3", body: "x"}, "", 501, "s3:PutObject is not implemented"},
		"s3, no such method":     {message{method: "PATCH", target: "/bucket/key", service: "s3"}, "", 405, "<Code>MethodNotAllowed</Code>"},
		"s3, form upload":        {message{target: "/bucket", header: map[string]string{"Content-Type": "multipart/form-data; boundary=x"}}, "", 403, "<Code>AccessDenied</Code>"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, c.refuse)
			answer := w.send(c.message)
			if answer.Code != c.status || !strings.Contains(answer.Body.String(), c.want) {
				t.Errorf("%d %s\nwant %d with %s", answer.Code, answer.Body, c.status, c.want)
			}
			if strings.Contains(answer.Body.String(), "secret thing") || strings.Contains(answer.Body.String(), "in a panic") {
				t.Errorf("an internal text got out: %s", answer.Body)
			}
			if answer.Code == 500 && !strings.Contains(w.log.String(), "secret") {
				t.Errorf("an internal failure is not in the log: %s", &w.log)
			}
			if answer.Code < 500 && w.log.Len() > 0 {
				t.Errorf("logged: %s", &w.log)
			}
		})
	}
}

func TestUnsignedOperation(t *testing.T) {
	w := newWorld(t, "")
	unsigned := form("Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=arn:aws:iam::123456789012:role/r&RoleSessionName=name&WebIdentityToken=token&ProviderId=me")
	unsigned.service = ""
	answer := w.send(unsigned)
	if answer.Code != 200 || !w.seen.Principal.Anonymous() || w.seen.Region != "us-east-1" {
		t.Fatalf("%d %s, handler saw %+v", answer.Code, answer.Body, w.seen)
	}
	// A signature that is there counts.
	unsigned.service, unsigned.secret = "sts", "wrong"
	if answer := w.send(unsigned); answer.Code != 403 {
		t.Errorf("with a wrong signature: %d %s", answer.Code, answer.Body)
	}
}

func TestGzipIsInflatedWithinBounds(t *testing.T) {
	zip := func(text string) string {
		var out bytes.Buffer
		writer := gzip.NewWriter(&out)
		_, err := io.WriteString(writer, text)
		if err := errors.Join(err, writer.Close()); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	w := newWorld(t, "")
	call := jsonCall("AmazonSSM.GetParameter", zip(`{"Name":"zipped"}`))
	call.header["Content-Encoding"] = "gzip"
	if answer := w.send(call); !strings.Contains(answer.Body.String(), "no zipped") {
		t.Errorf("%d %s", answer.Code, answer.Body)
	}
	call.body = zip(strings.Repeat(" ", awsapi.MaxBody+1))
	if answer := w.send(call); answer.Code != 413 {
		t.Errorf("bomb: %d %s", answer.Code, answer.Body)
	}
	call.body = "not gzip"
	if answer := w.send(call); answer.Code != 400 {
		t.Errorf("not gzip: %d %s", answer.Code, answer.Body)
	}
}

// TestRoutes: every REST operation's own template leads to that operation when it carries the SDK's x-id.
func TestRoutes(t *testing.T) {
	cases := map[string]struct {
		message message
		want    string
	}{
		"cbor":              {message{target: "/service/GraniteServiceVersion20100801/operation/PutMetricData", service: "monitoring", header: map[string]string{"Smithy-Protocol": "rpc-v2-cbor"}}, "cloudwatch:PutMetricData"},
		"json of a query":   {message{target: "/", service: "monitoring", body: "{}", header: map[string]string{"X-Amz-Target": "GraniteServiceVersion20100801.ListMetrics", "Content-Type": "application/x-amz-json-1.0"}}, "cloudwatch:ListMetrics"},
		"dotted target":     {message{target: "/", service: "cloudtrail", body: "{}", header: map[string]string{"X-Amz-Target": "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.LookupEvents", "Content-Type": "application/x-amz-json-1.1"}}, "cloudtrail:LookupEvents"},
		"elb by version":    {message{target: "/", service: "elasticloadbalancing", body: "Action=DescribeTags&Version=2012-06-01"}, "elasticloadbalancing:DescribeTags"},
		"elbv2 by version":  {message{target: "/", service: "elasticloadbalancing", body: "Action=DescribeTags&Version=2015-12-01"}, "elasticloadbalancingv2:DescribeTags"},
		"queue url":         {message{target: "/123456789012/queue", service: "sqs", body: "Action=SendMessage&Version=2012-11-05"}, "sqs:SendMessage"},
		"list buckets":      {message{method: "GET", target: "/", service: "s3"}, "s3:ListBuckets"},
		"list objects":      {message{method: "GET", target: "/bucket", service: "s3"}, "s3:ListObjects"},
		"list objects 2":    {message{method: "GET", target: "/bucket?list-type=2&prefix=a", service: "s3"}, "s3:ListObjectsV2"},
		"get object":        {message{method: "GET", target: "/bucket/a/b", service: "s3"}, "s3:GetObject"},
		"get acl":           {message{method: "GET", target: "/bucket/a/b?acl", service: "s3"}, "s3:GetObjectAcl"},
		"bucket policy":     {message{method: "GET", target: "/bucket?policy", service: "s3"}, "s3:GetBucketPolicy"},
		"put object":        {message{method: "PUT", target: "/bucket/key", service: "s3"}, "s3:PutObject"},
		"copy object":       {message{method: "PUT", target: "/bucket/key", service: "s3", header: map[string]string{"X-Amz-Copy-Source": "b/k"}}, "s3:CopyObject"},
		"upload part":       {message{method: "PUT", target: "/bucket/key?partNumber=1&uploadId=u", service: "s3"}, "s3:UploadPart"},
		"upload part copy":  {message{method: "PUT", target: "/bucket/key?partNumber=1&uploadId=u", service: "s3", header: map[string]string{"X-Amz-Copy-Source": "b/k"}}, "s3:UploadPartCopy"},
		"list parts":        {message{method: "GET", target: "/bucket/key?uploadId=u", service: "s3"}, "s3:ListParts"},
		"delete many":       {message{method: "POST", target: "/bucket?delete", service: "s3"}, "s3:DeleteObjects"},
		"complete upload":   {message{method: "POST", target: "/bucket/key?uploadId=u", service: "s3"}, "s3:CompleteMultipartUpload"},
		"s3 control":        {message{method: "GET", target: "/v20180820/configuration/publicAccessBlock", service: "s3", header: map[string]string{"X-Amz-Account-Id": "123456789012"}}, "s3control:GetPublicAccessBlock"},
		"route 53":          {message{method: "GET", target: "/2013-04-01/hostedzone/Z1", service: "route53"}, "route53:GetHostedZone"},
		"route 53 counting": {message{method: "GET", target: "/2013-04-01/hostedzonecount", service: "route53"}, "route53:GetHostedZoneCount"},
		"ebs":               {message{method: "POST", target: "/snapshots", service: "ebs", body: "{}"}, "ebs:StartSnapshot"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			answer := newWorld(t, "").send(c.message)
			if !strings.Contains(answer.Body.String(), c.want+" is not implemented") && !strings.Contains(answer.Header().Get("X-Amzn-Errormessage"), c.want) {
				t.Errorf("%d %s, want %s", answer.Code, answer.Body, c.want)
			}
		})
	}
}

func TestCoverageFollowsRegistration(t *testing.T) {
	w := newWorld(t, "")
	for _, c := range w.server.Coverage() {
		if len(c.Implemented)+len(c.NotYet) != c.Total || c.Total == 0 {
			t.Errorf("%s: %d + %d of %d", c.Service, len(c.Implemented), len(c.NotYet), c.Total)
		}
		if c.Service == "sts" && len(c.Implemented) != 3 {
			t.Errorf("sts implements %v", c.Implemented)
		}
		if _, err := json.Marshal(c); err != nil {
			t.Error(err)
		}
	}
}

func TestRegisteringTwiceOrWhatIsNotThere(t *testing.T) {
	handler := func(context.Context, *ssm.GetParameterInput) (*ssm.GetParameterOutput, error) { return nil, nil }
	operation := awsapi.Op(handler, awsapi.Action[ssm.GetParameterInput]("ssm:GetParameter"))
	for name, m := range map[string]*meta.Service{"twice": meta.SSM, "another service's": meta.STS} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			newWorld(t, "").server.Register(m, operation)
		})
	}
}

// BenchmarkCall is one signed call through the whole pipeline, without the network and the client.
func BenchmarkCall(b *testing.B) {
	w := newWorld(new(testing.T), "")
	sum := sha256.Sum256([]byte(keyInfo))
	signed := httptest.NewRequest(http.MethodPost, "http://127.0.0.1:4566/", nil)
	signed.ContentLength = int64(len(keyInfo))
	signed.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	credentials := aws.Credentials{AccessKeyID: keyID, SecretAccessKey: secret}
	if err := v4.NewSigner().SignHTTP(b.Context(), credentials, signed, hex.EncodeToString(sum[:]), "sts", "us-east-1", time.Now()); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		signed.Body = io.NopCloser(strings.NewReader(keyInfo))
		recorder := httptest.NewRecorder()
		w.server.ServeHTTP(recorder, signed)
		if recorder.Code != http.StatusOK {
			b.Fatal(recorder.Code, recorder.Body)
		}
	}
}

// FuzzServe: whatever comes, the server answers, and never by recovering from a panic. The request is signed, so that
// it gets as far as it can.
func FuzzServe(f *testing.F) {
	f.Add("POST", "/", "sts", "", "application/x-www-form-urlencoded", keyInfo)
	f.Add("POST", "/", "ssm", "AmazonSSM.GetParameter", "application/x-amz-json-1.1", `{"Name":"a"}`)
	f.Add("PUT", "/bucket/a%2Fb?uploadId=x&partNumber=1", "s3", "", "", "body")
	f.Add("GET", "/2013-04-01/hostedzone/Z1", "route53", "", "", "")
	f.Add("POST", "/service/X/operation/Y", "monitoring", "", "application/cbor", "\xbf\xff")
	f.Fuzz(func(t *testing.T, method, target, service, amzTarget, contentType, body string) {
		r, err := http.NewRequest(method, "http://127.0.0.1:4566"+target, strings.NewReader(body))
		if err != nil {
			t.Skip("no HTTP client can send it")
		}
		w := newWorld(t, "")
		r.RequestURI = r.URL.RequestURI()
		r.Header.Set("X-Amz-Target", amzTarget)
		r.Header.Set("Content-Type", contentType)
		sum := sha256.Sum256([]byte(body))
		credentials := aws.Credentials{AccessKeyID: keyID, SecretAccessKey: secret}
		if err := v4.NewSigner().SignHTTP(t.Context(), credentials, r, hex.EncodeToString(sum[:]), service, "us-east-1", time.Now()); err != nil {
			t.Skip("no HTTP client can send it")
		}
		answer := httptest.NewRecorder()
		w.server.ServeHTTP(answer, r)
		if answer.Code < 200 || answer.Code > 599 {
			t.Errorf("status %d", answer.Code)
		}
		if strings.Contains(w.log.String(), "panic") {
			t.Error(w.log.String())
		}
	})
}

// TestClientLeft: a call that ends because nobody waits for it is no failure of the server.
func TestClientLeft(t *testing.T) {
	w := newWorld(t, "")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, "http://127.0.0.1:4566/", strings.NewReader("Action=GetSessionToken&Version=2011-06-15"))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w.server.ServeHTTP(httptest.NewRecorder(), r)
	if said := w.log.String(); !strings.Contains(said, "the client left") || strings.Contains(said, "level=ERROR") {
		t.Errorf("logged: %s", said)
	}
}
