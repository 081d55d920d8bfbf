package ec2

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/smallstep/pkcs7"

	"miniaws/awsapi"
	"miniaws/backend"
)

// guestCall asks the metadata service as an instance does.
type guestCall struct {
	service *Service
	origin  backend.Origin
}

func (g guestCall) do(method, path string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "http://169.254.169.254"+path, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	g.service.Metadata().ServeHTTP(w, r.WithContext(backend.WithOrigin(context.Background(), g.origin)))
	return w
}

func (g guestCall) token(t testing.TB) string {
	t.Helper()
	w := g.do("PUT", "/latest/api/token", lifetimeHeader, "60")
	if w.Code != 200 || w.Header().Get(lifetimeHeader) != "60" {
		t.Fatalf("a token: %d %s", w.Code, w.Body)
	}
	return w.Body.String()
}

// launchGuest launches one instance and answers how it asks.
func launchGuest(t testing.TB, s *Service, client *ec2.Client, in *ec2.RunInstancesInput) (types.Instance, guestCall) {
	t.Helper()
	images := publicImagesIn("us-east-1").sorted
	in.ImageId, in.MinCount, in.MaxCount = aws.String(images[0].ID), aws.Int32(1), aws.Int32(1)
	if in.InstanceType == "" {
		in.InstanceType = types.InstanceTypeT3Nano
	}
	if images[0].Architecture == "arm64" {
		in.InstanceType = types.InstanceTypeT4gNano
	}
	made, err := client.RunInstances(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	one := made.Instances[0]
	return one, guestCall{s, backend.Origin{VPC: *one.VpcId, ENI: *one.NetworkInterfaces[0].NetworkInterfaceId}}
}

func TestMetadataTokens(t *testing.T) {
	s, client, _ := newCloud(t)
	one, asks := launchGuest(t, s, client, &ec2.RunInstancesInput{MetadataOptions: &types.InstanceMetadataOptionsRequest{HttpTokens: types.HttpTokensStateRequired}})
	_, other := launchGuest(t, s, client, &ec2.RunInstancesInput{MetadataOptions: &types.InstanceMetadataOptionsRequest{HttpTokens: types.HttpTokensStateOptional}})
	token := asks.token(t)
	const id = "/latest/meta-data/instance-id"
	for _, c := range []struct {
		name   string
		from   guestCall
		method string
		path   string
		header []string
		status int
		body   string
	}{
		{"the second version", asks, "GET", id, []string{tokenHeader, token}, 200, *one.InstanceId},
		{"HEAD", asks, "HEAD", id, []string{tokenHeader, token}, 200, ""},
		{"no token where one is required", asks, "GET", id, nil, 401, ""},
		{"a changed token", asks, "GET", id, []string{tokenHeader, strings.Replace("AB", token[:1], "", 1)[:1] + token[1:]}, 401, ""},
		{"no base64", asks, "GET", id, []string{tokenHeader, "?"}, 401, ""},
		{"the token of another instance", other, "GET", id, []string{tokenHeader, token}, 401, ""},
		{"the first version", other, "GET", "/latest/meta-data/ami-launch-index", nil, 200, "0"},
		{"an empty token where none is required", other, "GET", id, []string{tokenHeader, ""}, 401, ""},
		{"no lifetime", asks, "PUT", "/latest/api/token", nil, 400, ""},
		{"no time", asks, "PUT", "/latest/api/token", []string{lifetimeHeader, "0"}, 400, ""},
		{"too long", asks, "PUT", "/latest/api/token", []string{lifetimeHeader, "21601"}, 400, ""},
		{"the longest", asks, "PUT", "/latest/api/token", []string{lifetimeHeader, "21600"}, 200, ""},
		{"through a proxy", asks, "PUT", "/latest/api/token", []string{lifetimeHeader, "60", "X-Forwarded-For", "10.0.0.1"}, 403, ""},
		{"a token of another path", asks, "PUT", "/latest/meta-data", []string{lifetimeHeader, "60"}, 405, ""},
		{"POST", other, "POST", id, nil, 405, ""},
		{"an interface that is none", guestCall{s, backend.Origin{VPC: *one.VpcId, ENI: "eni-0123456789abcdef0"}}, "GET", id, nil, 404, ""},
		{"a VPC that is none", guestCall{s, backend.Origin{VPC: "vpc-0123456789abcdef0", ENI: asks.origin.ENI}}, "GET", id, nil, 404, ""},
	} {
		w := c.from.do(c.method, c.path, c.header...)
		if w.Code != c.status || c.body != "" && w.Body.String() != c.body {
			t.Errorf("%s: %d %q, not %d %q", c.name, w.Code, w.Body, c.status, c.body)
		}
	}
	w := httptest.NewRecorder()
	s.Metadata().ServeHTTP(w, httptest.NewRequest("GET", "/latest/meta-data/", nil))
	if w.Code != http.StatusNotFound {
		t.Errorf("without an origin: %d", w.Code)
	}
	// Changes act at once.
	change := func(in ec2.ModifyInstanceMetadataOptionsInput) {
		in.InstanceId = one.InstanceId
		if _, err := client.ModifyInstanceMetadataOptions(t.Context(), &in); err != nil {
			t.Fatal(err)
		}
	}
	change(ec2.ModifyInstanceMetadataOptionsInput{HttpTokens: types.HttpTokensStateOptional})
	if w := asks.do("GET", id); w.Code != 200 {
		t.Errorf("tokens are optional: %d", w.Code)
	}
	change(ec2.ModifyInstanceMetadataOptionsInput{HttpEndpoint: types.InstanceMetadataEndpointStateDisabled})
	if w := asks.do("GET", id, tokenHeader, token); w.Code != 403 {
		t.Errorf("switched off: %d", w.Code)
	}
	if w := asks.do("PUT", "/latest/api/token", lifetimeHeader, "60"); w.Code != 403 {
		t.Errorf("a token while switched off: %d", w.Code)
	}
}

func TestMetadataTree(t *testing.T) {
	s, client, _ := newCloud(t)
	key, err := client.CreateKeyPair(t.Context(), &ec2.CreateKeyPairInput{KeyName: aws.String("mine"), KeyType: types.KeyTypeEd25519})
	if err != nil {
		t.Fatal(err)
	}
	one, asks := launchGuest(t, s, client, &ec2.RunInstancesInput{
		KeyName: key.KeyName, UserData: aws.String(base64.StdEncoding.EncodeToString([]byte{0, 1, 255})),
		MetadataOptions:   &types.InstanceMetadataOptionsRequest{InstanceMetadataTags: types.InstanceMetadataTagsStateEnabled},
		TagSpecifications: []types.TagSpecification{{ResourceType: types.ResourceTypeInstance, Tags: []types.Tag{{Key: aws.String("Name"), Value: aws.String("web")}}}},
	})
	token := asks.token(t)
	get := func(path string) string {
		w := asks.do("GET", path, tokenHeader, token)
		if w.Code != 200 {
			t.Errorf("%s: %d", path, w.Code)
		}
		return w.Body.String()
	}
	eth0 := one.NetworkInterfaces[0]
	mac := "/latest/meta-data/network/interfaces/macs/" + *eth0.MacAddress
	want := map[string]string{
		"/latest":                                        "dynamic\nmeta-data\nuser-data",
		"/latest/":                                       "dynamic\nmeta-data\nuser-data",
		"/latest/user-data":                              "\x00\x01\xff",
		"/2021-07-15/meta-data/instance-id":              *one.InstanceId,
		"/latest/meta-data/instance-id/":                 *one.InstanceId,
		"/latest/meta-data/ami-id":                       *one.ImageId,
		"/latest/meta-data/instance-type":                string(one.InstanceType),
		"/latest/meta-data/local-ipv4":                   *one.PrivateIpAddress,
		"/latest/meta-data/mac":                          *eth0.MacAddress,
		"/latest/meta-data/public-keys/":                 "0=mine",
		"/latest/meta-data/public-keys/0/":               "openssh-key",
		"/latest/meta-data/placement/region":             "us-east-1",
		"/latest/meta-data/placement":                    "availability-zone\navailability-zone-id\nregion",
		"/latest/meta-data/tags/instance":                "Name",
		"/latest/meta-data/tags/instance/Name":           "web",
		"/latest/meta-data/security-groups":              "default",
		"/latest/meta-data/network/interfaces/":          "macs/",
		"/latest/meta-data/network/interfaces/macs":      *eth0.MacAddress + "/",
		mac + "/interface-id":                            *eth0.NetworkInterfaceId,
		mac + "/subnet-id":                               *one.SubnetId,
		mac + "/vpc-ipv4-cidr-block":                     "172.31.0.0/16",
		mac + "/device-number":                           "0",
		"/latest/meta-data/events/maintenance/scheduled": "[]",
		"/latest/dynamic/":                               "fws/\ninstance-identity/",
		"/latest/dynamic/instance-identity":              "document\npkcs7\nrsa2048\nsignature",
	}
	for path, expected := range want {
		if got := get(path); got != expected {
			t.Errorf("%s: %q, not %q", path, got, expected)
		}
	}
	if first := strings.Split(get("/"), "\n"); first[0] != "1.0" || first[len(first)-1] != "latest" {
		t.Errorf("versions: %v", first)
	}
	for _, path := range []string{"/none", "/latest/meta-data/none", "/latest/meta-data/ami-id/none", "/latest/meta-data/spot/instance-action", "/latest/meta-data/iam/info", "/2000-01-01/meta-data/"} {
		if w := asks.do("GET", path, tokenHeader, token); w.Code != 404 {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
	// Every listed entry answers: no folder lists what is not there.
	var walk func(string)
	walk = func(folder string) {
		for _, name := range strings.Split(get(folder), "\n") {
			if id, _, labelled := strings.Cut(name, "="); labelled {
				name = id + "/"
			}
			if strings.HasSuffix(name, "/") {
				walk(folder + name)
			} else if get(folder+name) == "" && name != "" {
				t.Errorf("%s%s is empty", folder, name)
			}
		}
	}
	walk("/latest/meta-data/")
}

func TestIdentityDocument(t *testing.T) {
	s, client, _ := newCloud(t)
	one, asks := launchGuest(t, s, client, &ec2.RunInstancesInput{})
	token := asks.token(t)
	get := func(name string) string {
		return asks.do("GET", "/latest/dynamic/instance-identity/"+name, tokenHeader, token).Body.String()
	}
	var said identityDocument
	text := get("document")
	if err := json.Unmarshal([]byte(text), &said); err != nil || said.InstanceID != *one.InstanceId || said.AccountID != testAccount {
		t.Fatalf("%v: %s", err, text)
	}
	encoded, err := s.IdentityCertificate(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(encoded)
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	signature, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(get("signature"), "\n", ""))
	if err != nil {
		t.Fatal(err)
	}
	if err := certificate.CheckSignature(x509.SHA256WithRSA, []byte(text), signature); err != nil {
		t.Error(err)
	}
	if certificate.CheckSignature(x509.SHA256WithRSA, []byte(strings.Replace(text, "t3", "x1", 1)+" "), signature) == nil {
		t.Error("a changed document has the same signature")
	}
	for _, name := range []string{"pkcs7", "rsa2048"} {
		der, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(get(name), "\n", ""))
		if err != nil {
			t.Fatal(err)
		}
		signed, err := pkcs7.Parse(der)
		if err != nil {
			t.Fatal(err)
		}
		if err := signed.Verify(); err != nil || string(signed.Content) != text || !signed.Certificates[0].Equal(certificate) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRoleCredentials(t *testing.T) {
	s, client, _ := newCloud(t)
	profile := Profile{ARN: "arn:aws:iam::" + testAccount + ":instance-profile/web", ID: "AIPA1", RoleARN: "arn:aws:iam::" + testAccount + ":role/path/web"}
	s.config.FindProfile = func(_ context.Context, _, name string) (Profile, error) {
		if name != "web" {
			return Profile{}, nil
		}
		return profile, nil
	}
	made, lifetime, refuse := 0, 6*time.Hour, false
	s.config.RoleSession = func(_ context.Context, roleARN string, who RoleHolder) (RoleCredentials, error) {
		if refuse {
			return RoleCredentials{}, awsapi.Errorf("AccessDenied", "no")
		}
		made++
		return RoleCredentials{AccessKeyID: "ASIA" + strconv.Itoa(made) + roleARN[len(roleARN)-3:], Expires: time.Now().Add(lifetime)}, nil
	}
	one, asks := launchGuest(t, s, client, &ec2.RunInstancesInput{IamInstanceProfile: &types.IamInstanceProfileSpecification{Name: aws.String("web")}})
	token := asks.token(t)
	get := func(path string) map[string]string {
		t.Helper()
		w := asks.do("GET", "/latest/meta-data/iam/"+path, tokenHeader, token)
		var said map[string]string
		if err := json.Unmarshal(w.Body.Bytes(), &said); err != nil {
			t.Fatalf("%s: %d %s", path, w.Code, w.Body)
		}
		return said
	}
	if names := asks.do("GET", "/latest/meta-data/iam/security-credentials/", tokenHeader, token).Body.String(); names != "web" {
		t.Errorf("roles: %q", names)
	}
	if info := get("info"); info["Code"] != "Success" || info["InstanceProfileArn"] != profile.ARN {
		t.Errorf("info: %v", info)
	}
	first := get("security-credentials/web")
	if first["Code"] != "Success" || first["Type"] != "AWS-HMAC" || first["AccessKeyId"] != "ASIA1web" {
		t.Errorf("credentials: %v", first)
	}
	if again := get("security-credentials/web"); again["AccessKeyId"] != first["AccessKeyId"] {
		t.Errorf("other credentials at once: %v", again)
	}
	held := func(role string) bool {
		t.Helper()
		ok, err := s.HoldsRole(t.Context(), testAccount, *one.InstanceId, role)
		if err != nil {
			t.Fatal(err)
		}
		return ok
	}
	if !held(profile.RoleARN) || held("arn:aws:iam::"+testAccount+":role/other") {
		t.Error("who holds the role")
	}
	// A profile with another role has other credentials at once, and the earlier ones are worth nothing.
	earlier := profile.RoleARN
	profile.RoleARN = "arn:aws:iam::" + testAccount + ":role/new"
	if now := get("security-credentials/new"); now["AccessKeyId"] != "ASIA2new" || held(earlier) {
		t.Errorf("another role: %v", now)
	}
	// Credentials that end soon are made anew.
	profile.RoleARN, lifetime = earlier, renewBefore-time.Second
	s.remembered.forget(*one.InstanceId)
	if a, b := get("security-credentials/web"), get("security-credentials/web"); a["AccessKeyId"] == b["AccessKeyId"] {
		t.Errorf("not renewed: %v", b)
	}
	refuse = true
	if said := get("security-credentials/web"); said["Code"] != "AssumeRoleUnauthorizedAccess" {
		t.Errorf("a role that does not trust EC2: %v", said)
	}
	profile.ID = "AIPA2"
	if said := get("info"); said["Code"] != "InstanceProfileNotFound" || held(profile.RoleARN) {
		t.Errorf("a profile that was made anew: %v", said)
	}
	profile.ID = "AIPA1"
	if _, err := client.TerminateInstances(t.Context(), &ec2.TerminateInstancesInput{InstanceIds: []string{*one.InstanceId}}); err != nil {
		t.Fatal(err)
	}
	if held(profile.RoleARN) {
		t.Error("an instance that ends holds its role")
	}
}

func BenchmarkMetadata(b *testing.B) {
	s, client, _ := newCloud(b)
	_, asks := launchGuest(b, s, client, &ec2.RunInstancesInput{})
	token := asks.token(b)
	for b.Loop() {
		if w := asks.do("GET", "/latest/meta-data/placement/availability-zone", tokenHeader, token); w.Code != 200 {
			b.Fatal(w.Code)
		}
	}
}
