package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	awsiam "github.com/aws/aws-sdk-go-v2/service/iam"

	"miniaws/awsapi"
	"miniaws/iam/reference"
)

// exampleValues are what access functions look up or take apart, by the member's name; idsOf has those of EC2.
var exampleValues = map[string]string{
	"Bucket": "example-bucket", "AccountId": "000000000000", "PolicyArn": "arn:aws:iam::000000000000:policy/example",
	"RoleArn": "arn:aws:iam::000000000000:role/example", "ExpectedBucketOwner": "",
	"PolicySourceArn": "arn:aws:iam::000000000000:user/example", "Arn": "arn:aws:iam::000000000000:user/example", "TokenCode": "", "CopySource": "example-bucket/example",
	"OpenIDConnectProviderArn": "arn:aws:iam::000000000000:oidc-provider/example.com", "SAMLProviderArn": "arn:aws:iam::000000000000:saml-provider/example",
	"ResourceArn":  "arn:aws:s3:::example-bucket",
	"SerialNumber": "arn:aws:iam::000000000000:mfa/example", "ResourceId": "example", "ResourceIds": "vpc-0123456789abcdef0",
	"Resources": "vpc-0123456789abcdef0", "ResourceIdList": "arn:aws:cloudtrail:us-east-1:000000000000:trail/example", "VersionId": "", "ContinuationToken": "", "Path": "/", "NewPath": "/", "DeletionTaskId": "task/aws-service-role/ec2.amazonaws.com/Example/1",
}

// idPrefixes are what ids in inputs of EC2 and Organizations begin with, by the member's name without "Id", "Ids".
var idPrefixes = map[string]string{
	"Vpc": "vpc-", "Subnet": "subnet-", "Instance": "i-", "Image": "ami-", "Group": "sg-", "SecurityGroup": "sg-", "RouteTable": "rtb-", "InternetGateway": "igw-", "Gateway": "igw-",
	"EgressOnlyInternetGateway": "eigw-", "NatGateway": "nat-", "NetworkAcl": "acl-", "NetworkInterface": "eni-", "Host": "h-", "CapacityReservation": "cr-", "PrefixList": "pl-", "VpcEndpoint": "vpce-",
	"VpcPeeringConnection": "pcx-", "Allocation": "eipalloc-", "Association": "eipassoc-", "DhcpOptions": "dopt-", "LaunchTemplate": "lt-", "Volume": "vol-",
	"SpotInstanceRequest": "sir-", "FlowLog": "fl-", "NetworkInsightsPath": "nip-", "NetworkInsightsAnalysis": "nia-", "SourceImage": "ami-", "PeerVpc": "vpc-", "Snapshot": "snap-",
	"TransitGateway": "tgw-", "InstanceEventWindow": "iew-", "Fleet": "fleet-", "SpotFleetRequest": "sfr-", "Exclusion": "vpcbpa-exclude-", "TransitGatewayAttachment": "tgw-attach-", "TransitGatewayRouteTable": "tgw-rtb-",
	"Root": "r-", "Policy": "p-", "OrganizationalUnit": "ou-", "Parent": "r-", "Target": "ou-", "SourceParent": "r-", "DestinationParent": "ou-", "Child": "ou-",
}

func exampleValue(input, member string) string {
	if input == "AssumeRoleInput" && member == "SerialNumber" {
		return "" // there is no such device
	}
	if text, ok := exampleValues[member]; ok {
		return text
	}
	name := strings.TrimSuffix(strings.TrimSuffix(strings.TrimPrefix(strings.TrimPrefix(member, "Add"), "Remove"), "s"), "Id")
	if prefix, ok := idPrefixes[name]; ok && name != member {
		return prefix + "0123456789abcdef0"
	}
	return "example"
}

// filledLists are lists of structures of which access functions read something.
var filledLists = map[string]bool{"InstanceCreditSpecifications": true, "Items": true, "Tags": true, "TagsList": true}

// fillExample puts something into every string of an input, and one element into every list of strings.
func fillExample(value reflect.Value) {
	for i := range value.NumField() {
		field := value.Type().Field(i)
		if !field.IsExported() {
			continue
		}
		text := exampleValue(value.Type().Name(), field.Name)
		switch target := value.Field(i); {
		case field.Type == reflect.TypeFor[*string]() && text != "":
			target.Set(reflect.ValueOf(aws.String(text)))
		case field.Type == reflect.TypeFor[[]string]():
			target.Set(reflect.ValueOf([]string{text}))
		case filledLists[field.Name]:
			list := reflect.MakeSlice(field.Type, 1, 1)
			fillExample(list.Index(0))
			target.Set(list)
		}
	}
}

// alsoTakes are actions for which the reference lists no such resource although AWS's user guides have it.
var alsoTakes = map[string]bool{
	"s3:GetAccessPoint": true, // "Configuring IAM policies for using access points" names the access point's ARN
	"sts:TagSession":    true, // "Passing session tags in AWS STS": GetFederationToken has tags, too
}

// oneContext are actions of one call that is evaluated for several: they have the keys of the call.
var oneContext = map[string]bool{"sts:TagSession": true, "sts:SetSourceIdentity": true}

// asksNothing are the operations for which nothing is asked before they run, and why.
var asksNothing = map[string]string{
	"sts:GetCallerIdentity":         "AWS: no permissions are required",
	"sts:GetSessionToken":           "AWS: no permissions are required",
	"sts:AssumeRoleWithSAML":        "the trust policy is asked when the assertion is verified",
	"sts:AssumeRoleWithWebIdentity": "the trust policy is asked when the token is verified",
	"s3:DeleteObjects":              "each key is asked for by itself, in the answer",
}

// byAssociation are operations that name their resource by something that the example does not have: an association or an
// attachment. The stories least_privilege_ec2 and vpc drive them.
var byAssociation = map[string]bool{
	"ec2:DetachNetworkInterface": true, "ec2:DisassociateAddress": true, "ec2:DisassociateIamInstanceProfile": true,
	"ec2:ReplaceIamInstanceProfileAssociation": true, "ec2:DisassociateRouteTable": true, "ec2:DisassociateSubnetCidrBlock": true,
	"ec2:DisassociateVpcCidrBlock": true,
}

// TestEveryOperationDeclaresRealActions: what an operation asks for is in AWS's service authorization reference, names
// the resources that the action there takes, with those that it cannot be without, and has condition keys of that action.
func TestEveryOperationDeclaresRealActions(t *testing.T) {
	made := testCloud(t)
	createExamples(t, made)
	rest := maps.Clone(asksNothing)
	for _, service := range made.api.Coverage() {
		m := awsapi.ServiceNamed(service.Service)
		for _, name := range service.Implemented {
			operation := service.Service + ":" + name
			r := &awsapi.Request{
				Time: time.Now(), Service: m, Operation: name, Region: "us-east-1", Header: http.Header{},
				Principal: awsapi.Principal{Type: awsapi.User, Account: "000000000000", ARN: "arn:aws:iam::000000000000:user/example", ID: "AIDAEXAMPLE", UserName: "example"},
			}
			wanted, err := made.api.Declared(t.Context(), r, func(in any) { fillExample(reflect.ValueOf(in).Elem()) })
			reason, nothing := asksNothing[operation]
			switch {
			case err != nil:
				t.Errorf("%s declares nothing for the example: %v", operation, err)
			case nothing && len(wanted) > 0:
				t.Errorf("%s asks for something although %s", operation, reason)
			case !nothing && len(wanted) == 0:
				t.Errorf("%s asks for nothing", operation)
			}
			delete(rest, operation)
			for _, access := range wanted {
				for _, problem := range problemsOf(access) {
					if !byAssociation[operation] || !strings.Contains(problem, "on no resource") {
						t.Errorf("%s %s", operation, problem)
					}
				}
			}
		}
	}
	for operation := range rest {
		t.Errorf("%s is not there to ask for nothing", operation)
	}
}

// TestWhoHasNoPolicyMayDoNothing: of all operations, a user without policies may call those that take no permission, and the
// same operations are allowed to the account's root user.
func TestWhoHasNoPolicyMayDoNothing(t *testing.T) {
	made := testCloud(t)
	createExamples(t, made)
	invoke[awsiam.CreateUserOutput](t, made, &awsiam.CreateUserInput{UserName: aws.String("nobody")})
	key := invoke[awsiam.CreateAccessKeyOutput](t, made, &awsiam.CreateAccessKeyInput{UserName: aws.String("nobody")}).AccessKey
	_, nobody, err := made.identities.Find(t.Context(), *key.AccessKeyId, "")
	if err != nil {
		t.Fatal(err)
	}
	root := awsapi.Principal{Type: awsapi.RootUser, Account: benchAccount, Root: true, ARN: "arn:aws:iam::" + benchAccount + ":root", ID: benchAccount}
	denials := 0
	for _, service := range made.api.Coverage() {
		for _, name := range service.Implemented {
			operation := service.Service + ":" + name
			if asksNothing[operation] != "" || operation == "sts:AssumeRole" { // which nobody may without a trust policy
				continue
			}
			for _, who := range []awsapi.Principal{nobody, root} {
				r := &awsapi.Request{Time: time.Now(), Service: awsapi.ServiceNamed(service.Service), Operation: name, Region: "us-east-1", Header: http.Header{}, Principal: who}
				ctx := awsapi.InContext(t.Context(), r)
				wanted, err := made.api.Declared(ctx, r, func(in any) { fillExample(reflect.ValueOf(in).Elem()) })
				if err != nil {
					t.Fatal(operation, err)
				}
				err = made.identities.Authorize(ctx, r, wanted)
				var denied *awsapi.Denied
				switch {
				case who.Root && err != nil:
					t.Errorf("%s: the root user: %v", operation, err)
				case !who.Root && !errors.As(err, &denied):
					t.Errorf("%s: a user without policies: %v", operation, err)
				case !who.Root:
					denials++
				}
			}
		}
	}
	if denials < 300 {
		t.Errorf("only %d operations were denied", denials)
	}
}

// TestWrongDeclarationsAreFound: what the test above looks for, it finds.
func TestWrongDeclarationsAreFound(t *testing.T) {
	user, bucket := "arn:aws:iam::000000000000:user/example", "arn:aws:s3:::example-bucket"
	for want, access := range map[string]awsapi.Access{
		"no action of AWS's":  {Action: "iam:GetPerson", Resources: []string{user}},
		"it is written":       {Action: "iam:getUser", Resources: []string{user}},
		"does not take":       {Action: "iam:GetUser", Resources: []string{bucket}},
		"on no resource":      {Action: "iam:GetUser"},
		"no resource: it":     {Action: "s3:GetBucketTagging", Resources: []string{"*"}},
		"which it does not":   {Action: "iam:GetUser", Resources: []string{user}, Conditions: map[string][]string{"iam:PolicyARN": {"x"}}},
		"s3:RequestObjectTag": {Action: "s3:PutObjectAcl", Resources: []string{bucket + "/key"}, Conditions: map[string][]string{"s3:RequestObjectTag/a": {"x"}}},
	} {
		if found := strings.Join(problemsOf(access), "; "); !strings.Contains(found, want) {
			t.Errorf("%+v: found %q, not %q", access, found, want)
		}
	}
	for _, access := range []awsapi.Access{
		{Action: "iam:GetUser", Resources: []string{user}},
		{Action: "ec2:DescribeVpcs", Conditions: map[string][]string{"ec2:Region": {"us-east-1"}}},
		{Action: "s3:PutObject", Resources: []string{bucket + "/key"}, Conditions: map[string][]string{"s3:RequestObjectTag/a": {"x"}}},
	} {
		if found := problemsOf(access); len(found) > 0 {
			t.Errorf("%+v: %q", access, found)
		}
	}
}

// problemsOf says what of an access is not as AWS's reference has it.
func problemsOf(access awsapi.Access) (problems []string) {
	problem := func(format string, a ...any) { problems = append(problems, fmt.Sprintf(format, a...)) }
	action, ok := reference.Find(access.Action)
	if !ok {
		problem("asks for %s, which is no action of AWS's", access.Action)
		return problems
	}
	if action.Name != access.Action {
		problem("asks for %s: it is written %s", access.Action, action.Name)
	}
	for _, resource := range access.Resources {
		if !alsoTakes[access.Action] && !action.Takes(resource) {
			problem("asks for %s on %s, which the action does not take", access.Action, resource)
		}
	}
	if len(access.Resources) == 0 || slices.Contains(access.Resources, "*") {
		if len(action.Resources) > 0 {
			problem("asks for %s on no resource: it takes a %s", access.Action, action.Resources[0].Type)
		}
	}
	for key := range access.Conditions {
		has := action.HasKey(key)
		for _, resource := range access.Resources { // what AWS's reference does not have the type of has all keys
			has = has && (resource == "*" || !action.Takes(resource) || action.HasKeyOn(resource, key) || access.Conditions["ec2:CreateAction"] != nil)
		}
		if !oneContext[access.Action] && !has {
			problem("gives %s the condition key %s, which it does not have", access.Action, key)
		}
	}
	return problems
}

// createExamples makes the bucket and the organization that operations are about.
func createExamples(t *testing.T, made *cloud) {
	t.Helper()
	server := httptest.NewServer(made.api)
	defer server.Close()
	key, err := made.identities.AccountRootKey(t.Context(), "000000000000")
	if err != nil {
		t.Fatal(err)
	}
	credentials := aws.Credentials{AccessKeyID: key.AccessKeyID, SecretAccessKey: key.SecretAccessKey}
	send := func(service, method, path, target, body string) {
		t.Helper()
		request, err := http.NewRequestWithContext(t.Context(), method, server.URL+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256([]byte(body))
		hash := hex.EncodeToString(sum[:])
		request.Header.Set("X-Amz-Content-Sha256", hash)
		if target != "" {
			request.Header.Set("X-Amz-Target", target)
			request.Header.Set("Content-Type", "application/x-amz-json-1.1")
		}
		err = v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true }).SignHTTP(t.Context(), credentials, request, hash, service, "us-east-1", time.Now())
		if err != nil {
			t.Fatal(err)
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		if response.StatusCode != http.StatusOK {
			t.Fatalf("%s %s %s: %s", service, path, target, response.Status)
		}
	}
	send("s3", http.MethodPut, "/example-bucket", "", "")
	send("organizations", http.MethodPost, "/", "AWSOrganizationsV20161128.CreateOrganization", "{}")
}
