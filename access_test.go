package main

import (
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"miniaws/awsapi"
	"miniaws/iam/reference"
)

const emptyHash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// exampleValues are what access functions look up or take apart, by the member's name.
var exampleValues = map[string]string{
	"Bucket": "example-bucket", "AccountId": "000000000000", "PolicyArn": "arn:aws:iam::000000000000:policy/example",
	"RoleArn": "arn:aws:iam::000000000000:role/example", "ExpectedBucketOwner": "",
	"PolicySourceArn": "arn:aws:iam::000000000000:user/example", "Arn": "arn:aws:iam::000000000000:user/example", "TokenCode": "", "SerialNumber": "", "CopySource": "example-bucket/example",
	"OpenIDConnectProviderArn": "arn:aws:iam::000000000000:oidc-provider/example.com", "SAMLProviderArn": "arn:aws:iam::000000000000:saml-provider/example",
	"ResourceId": "example", "VersionId": "", "ContinuationToken": "", "Path": "/", "NewPath": "/",
}

// fillExample puts something into every string of an input, and one element into every list of strings.
func fillExample(value reflect.Value) {
	for i := range value.NumField() {
		field := value.Type().Field(i)
		if !field.IsExported() {
			continue
		}
		text, ok := exampleValues[field.Name]
		if !ok {
			text = "example"
		}
		switch target := value.Field(i); {
		case field.Type == reflect.TypeFor[*string]() && text != "":
			target.Set(reflect.ValueOf(aws.String(text)))
		case field.Type == reflect.TypeFor[[]string]():
			target.Set(reflect.ValueOf([]string{text}))
		}
	}
}

// alsoTakes are actions for which the reference lists no resource although they have keys of one (aws:ResourceTag).
var alsoTakes = map[string]bool{
	"s3:GetAccessPoint": true, // "Configuring IAM policies for using access points" names the access point's ARN
}

// TestEveryOperationDeclaresRealActions: what an operation asks for is in AWS's service authorization reference, and is
// about a resource that the action there takes.
func TestEveryOperationDeclaresRealActions(t *testing.T) {
	made := testCloud(t)
	createExampleBucket(t, made)
	checked := 0
	for _, service := range made.api.Coverage() {
		m := awsapi.ServiceNamed(service.Service)
		for _, name := range service.Implemented {
			r := &awsapi.Request{
				Time: time.Now(), Service: m, Operation: name, Region: "us-east-1", Header: http.Header{},
				Principal: awsapi.Principal{Type: awsapi.User, Account: "000000000000", ARN: "arn:aws:iam::000000000000:user/example", ID: "AIDAEXAMPLE", UserName: "example"},
			}
			wanted, err := made.api.Declared(t.Context(), r, func(in any) { fillExample(reflect.ValueOf(in).Elem()) })
			if err != nil {
				if !strings.Contains(err.Error(), "NoSuch") && !strings.Contains(err.Error(), "NotFound") {
					t.Logf("%s:%s asks for nothing here: %v", service.Service, name, err)
				}
				continue
			}
			for _, access := range wanted {
				checked++
				checkAccess(t, service.Service+":"+name, access)
			}
		}
	}
	if checked < 150 {
		t.Errorf("only %d accesses were checked", checked)
	}
}

func checkAccess(t *testing.T, operation string, access awsapi.Access) {
	t.Helper()
	action, ok := reference.Find(access.Action)
	if !ok {
		t.Errorf("%s asks for %s, which is no action of AWS's", operation, access.Action)
		return
	}
	if action.Name != access.Action {
		t.Errorf("%s asks for %s: it is written %s", operation, access.Action, action.Name)
	}
	for _, resource := range access.Resources {
		if !alsoTakes[access.Action] && !action.Takes(resource) {
			t.Errorf("%s asks for %s on %s, which the action does not take", operation, access.Action, resource)
		}
	}
}

// createExampleBucket makes the bucket that the operations of S3 are about.
func createExampleBucket(t *testing.T, made *cloud) {
	t.Helper()
	server := httptest.NewServer(made.api)
	defer server.Close()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPut, server.URL+"/example-bucket", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("X-Amz-Content-Sha256", emptyHash)
	key, err := made.identities.AccountRootKey(t.Context(), "000000000000")
	if err != nil {
		t.Fatal(err)
	}
	credentials := aws.Credentials{AccessKeyID: key.AccessKeyID, SecretAccessKey: key.SecretAccessKey}
	err = v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true }).SignHTTP(t.Context(), credentials, request, emptyHash, "s3", "us-east-1", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		t.Fatalf("CreateBucket: %s", response.Status)
	}
}
