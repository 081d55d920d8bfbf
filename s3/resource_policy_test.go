package s3

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

func TestACLsAsStatements(t *testing.T) {
	acl := []grant{
		{"111111111111", types.PermissionFullControl}, // the owner
		{"222222222222", types.PermissionRead},
		{everybody, types.PermissionWrite},
		{authenticated, types.PermissionReadAcp},
		{logDelivery, types.PermissionWrite},
	}
	got, err := json.Marshal(statementsOf(acl, "111111111111", "arn:aws:s3:::b", bucketPermissions, false))
	want := `[{"Effect":"Allow","Principal":{"AWS":"222222222222"},"Action":["s3:ListBucket","s3:ListBucketVersions","s3:ListBucketMultipartUploads"],"Resource":"arn:aws:s3:::b"},` +
		`{"Effect":"Allow","Principal":"*","Action":["s3:GetBucketAcl"],"Resource":"arn:aws:s3:::b","Condition":{"Null":{"aws:PrincipalAccount":"false"}}}]`
	if err != nil || string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	inside := statementsOf(acl, "111111111111", "arn:aws:s3:::b/*", inBucketPermissions, true)
	if len(inside) != 0 {
		t.Errorf("ignored public ACLs give %v", inside)
	}
}

func TestWithStatements(t *testing.T) {
	extra := []statement{{Effect: "Deny", Principal: "*", Action: []string{"s3:*"}, Resource: "*"}}
	added := `{"Effect":"Deny","Principal":"*","Action":["s3:*"],"Resource":"*"}`
	for document, want := range map[string]string{
		"":                                 `{"Statement":[` + added + `],"Version":"2012-10-17"}`,
		`{"Statement":{"Effect":"Allow"}}`: `{"Statement":[{"Effect":"Allow"},` + added + `]}`,
		`{"Version":"x","Statement":[{"Sid":"1"}, {}]}`: `{"Statement":[{"Sid":"1"},{},` + added + `],"Version":"x"}`,
	} {
		got, err := withStatements(document, extra)
		if err != nil || got != want {
			t.Errorf("%s: got %s, %v", document, got, err)
		}
	}
}

func TestPublicPolicies(t *testing.T) {
	for conditionAndPrincipal, want := range map[string]bool{
		`"Principal":"*"`:                           true,
		`"Principal":{"AWS":"*"}`:                   true,
		`"Principal":{"AWS":["1","*"]}`:             true,
		`"NotPrincipal":{"AWS":"111111111111"}`:     true,
		`"Principal":{"AWS":"111111111111"}`:        false,
		`"Principal":{"CanonicalUser":"abc"}`:       false,
		`"Principal":{"Service":"s.amazonaws.com"}`: false,
		`"Principal":"*","Condition":{"IpAddress":{"aws:SourceIp":["10.0.0.0/8","2001:db8::/32"]}}`:      false,
		`"Principal":"*","Condition":{"IpAddress":{"aws:SourceIp":"0.0.0.0/1"}}`:                         true,
		`"Principal":"*","Condition":{"NotIpAddress":{"aws:SourceIp":"10.0.0.0/8"}}`:                     true,
		`"Principal":"*","Condition":{"StringEquals":{"aws:SourceVpc":"vpc-91237329"}}`:                  false,
		`"Principal":"*","Condition":{"StringLike":{"aws:SourceVpc":"vpc-*"}}`:                           true,
		`"Principal":"*","Condition":{"StringEqualsIfExists":{"aws:PrincipalOrgID":"o-1"}}`:              true,
		`"Principal":"*","Condition":{"StringEquals":{"s3:prefix":"x"}}`:                                 true,
		`"Principal":"*","Condition":{"Bool":{"aws:SecureTransport":true}}`:                              true,
		`"Principal":"*","Condition":{"ArnLike":{"s3:DataAccessPointArn":"arn:aws:s3:us-east-1:1:a/*"}}`: false,
	} {
		document := `{"Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/*",` + conditionAndPrincipal + `}]}`
		if got := isPublicPolicy(document); got != want {
			t.Errorf("%s: public %v", conditionAndPrincipal, got)
		}
		if isPublicPolicy(strings.Replace(document, "Allow", "Deny", 1)) {
			t.Errorf("%s: a Deny is public", conditionAndPrincipal)
		}
	}
}

func TestPolicyResources(t *testing.T) {
	s := &Service{}
	for resourceAndAction, words := range map[string]string{
		`"Resource":"arn:aws:s3:::b/*","Action":"s3:GetObject"`:                   "",
		`"Resource":["arn:aws:s3:::b","arn:aws:s3:::b/x"],"Action":"s3:*"`:        "",
		`"Resource":"arn:aws:s3:::b*","Action":"s3:GetObject"`:                    "",
		`"Resource":"*","Action":"s3:ListBucket"`:                                 "",
		`"Resource":"arn:aws:s3:::b","Action":"s3:ListBucket"`:                    "",
		`"NotResource":"arn:aws:s3:::b/x","Action":"s3:ListBucket"`:               "",
		`"Resource":"arn:aws:s3:::bb","Action":"s3:ListBucket"`:                   "Policy has invalid resource",
		`"Resource":"arn:aws:s3:::other/*","Action":"s3:GetObject"`:               "Policy has invalid resource",
		`"Resource":"b","Action":"s3:ListBucket"`:                                 "Policy has invalid resource",
		`"Resource":"arn:aws:s3:::b","Action":"s3:GetObject"`:                     "Action does not apply to any resource(s) in statement",
		`"Resource":"arn:aws:s3:::b/*","Action":["s3:GetObject","s3:ListBucket"]`: "Action does not apply to any resource(s) in statement",
		`"Resource":"arn:aws:s3:::b/*","Action":"s3:ListObjects"`:                 "Policy has invalid action",
		`"Resource":"arn:aws:s3:::b/*","Action":"iam:GetUser"`:                    "Policy has invalid action",
		`"Resource":"arn:aws:s3:::b/*","Action":"s3:PutObjectAnnotation"`:         "",
		`"Resource":"arn:aws:s3:::b","Action":"s3:ListObjectAnnotations"`:         "Action does not apply to any resource(s) in statement",
		`"Resource":"arn:aws:s3:::b/*"`:                                           "Missing required field Action",
		`"Action":"s3:GetObject"`:                                                 "Missing required field Resource",
	} {
		_, err := s.checkPolicy(t.Context(), `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*",`+resourceAndAction+`}]}`, "arn:aws:s3:::b")
		if got := ""; err != nil {
			got = err.Error()
			if words == "" || !strings.HasSuffix(got, words) {
				t.Errorf("%s: %v", resourceAndAction, err)
			}
		} else if words != "" {
			t.Errorf("%s: was taken", resourceAndAction)
		}
	}
}
