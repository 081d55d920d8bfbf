package ssm_test

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	api "github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/aws/smithy-go"

	"miniaws/awsapi"
	"miniaws/awsapi/sdktest"
	"miniaws/backend/seal"
	"miniaws/backend/store"
	"miniaws/ssm"
)

// everybody has the secret "secret", belongs to the account 111122223333, and may do everything.
type everybody struct {
	wanted []awsapi.Access
	// account is another one that it belongs to, "" for none.
	account string
}

func (e *everybody) Find(context.Context, string, string) (string, awsapi.Principal, error) {
	account := cmp.Or(e.account, "111122223333")
	return "secret", awsapi.Principal{Account: account, ARN: "arn:aws:iam::" + account + ":user/ann", ID: "AIDAANN", AccessKeyID: "AKIDEXAMPLE"}, nil
}

func (e *everybody) Authorize(_ context.Context, _ *awsapi.Request, wanted []awsapi.Access) error {
	e.wanted = wanted
	return nil
}

type world struct {
	*api.Client
	gate    *everybody
	db      store.DB
	service *ssm.Service
	ahead   atomic.Int64 // how far the store's clock is ahead, in nanoseconds
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{gate: &everybody{}}
	w.db = store.OpenMemory(store.Options{Clock: func() time.Time { return time.Now().Add(time.Duration(w.ahead.Load())) }})
	t.Cleanup(func() {
		if err := w.db.Close(); err != nil {
			t.Error(err)
		}
	})
	w.service = ssm.New(ssm.Config{
		DB: w.db, Seal: seal.NewKey().Sealer("ssm"),
		Public: func(region string) []ssm.PublicParameter {
			return []ssm.PublicParameter{
				{Name: "/aws/service/debian/release/12/latest/amd64", Value: "ami-12" + region, DataType: "aws:ec2:image", Version: 7, Modified: time.Unix(1000, 0)},
				{Name: "/aws/service/debian/release/12/latest/arm64", Value: "ami-34" + region, DataType: "aws:ec2:image", Version: 7, Modified: time.Unix(1000, 0)},
			}
		},
		Machine: func(_ context.Context, _, _, id string) (ssm.Machine, bool, error) {
			return ssm.Machine{ID: id}, id == "i-0123456789abcdef0", nil
		},
		HasImage: func(_ context.Context, _, _, id string) (bool, error) { return id == "ami-0123456789abcdef0", nil },
	})
	server := awsapi.NewServer(awsapi.Options{Identities: w.gate, Authorizer: w.gate, Region: "us-east-1"})
	w.service.Register(server)
	endpoint := httptest.NewServer(server)
	t.Cleanup(endpoint.Close)
	w.Client = api.New(api.Options{
		Region: "us-east-1", BaseEndpoint: &endpoint.URL, RetryMaxAttempts: 1, HTTPClient: sdktest.HTTPClient(),
		Credentials: credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "secret", ""),
	})
	return w
}

func (w *world) put(t *testing.T, in api.PutParameterInput) *api.PutParameterOutput {
	t.Helper()
	if in.Type == "" {
		in.Type = types.ParameterTypeString
	}
	out, err := w.PutParameter(t.Context(), &in)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func wantCode(t *testing.T, err error, code string) {
	t.Helper()
	var known smithy.APIError
	if !errors.As(err, &known) || known.ErrorCode() != code {
		t.Errorf("got %v, want the code %s", err, code)
	}
}

// A version may be secret where the one before was not, and the other way round.
func TestTypeChanges(t *testing.T) {
	w, ctx := newWorld(t), t.Context()
	for i, kind := range []types.ParameterType{types.ParameterTypeString, types.ParameterTypeSecureString, types.ParameterTypeString} {
		w.put(t, api.PutParameterInput{Name: aws.String("p"), Value: aws.String(fmt.Sprint("value ", i)), Type: kind, Overwrite: aws.Bool(true)})
	}
	for version, want := range map[string]string{"p:1": "value 0", "p:2": "value 1", "p": "value 2"} {
		got, err := w.GetParameter(ctx, &api.GetParameterInput{Name: aws.String(version), WithDecryption: aws.Bool(true)})
		if err != nil || *got.Parameter.Value != want || (got.Parameter.Type == types.ParameterTypeSecureString) != (version == "p:2") {
			t.Errorf("%s: %v, %v", version, got, err)
		}
	}
}

func TestVersionsAndLabels(t *testing.T) {
	w, ctx := newWorld(t), t.Context()
	w.put(t, api.PutParameterInput{Name: aws.String("/app/url"), Value: aws.String("one"), Description: aws.String("where")})
	_, err := w.PutParameter(ctx, &api.PutParameterInput{Name: aws.String("/app/url"), Value: aws.String("two"), Type: types.ParameterTypeString})
	wantCode(t, err, "ParameterAlreadyExists")
	if out := w.put(t, api.PutParameterInput{Name: aws.String("/app/url"), Value: aws.String("two"), Overwrite: aws.Bool(true)}); out.Version != 2 {
		t.Errorf("version %d", out.Version)
	}
	_, err = w.PutParameter(ctx, &api.PutParameterInput{Name: aws.String("/app/url"), Value: aws.String("x"), Type: types.ParameterTypeStringList, Overwrite: aws.Bool(true)})
	wantCode(t, err, "HierarchyTypeMismatchException")

	labeled, err := w.LabelParameterVersion(ctx, &api.LabelParameterVersionInput{Name: aws.String("/app/url"), ParameterVersion: aws.Int64(1), Labels: []string{"prod", "1st", "aws-x"}})
	if err != nil || fmt.Sprint(labeled.InvalidLabels) != "[1st aws-x]" {
		t.Errorf("labels: %v, %v", labeled, err)
	}
	for selector, want := range map[string]string{"": "two", ":1": "one", ":2": "two", ":prod": "one"} {
		got, err := w.GetParameter(ctx, &api.GetParameterInput{Name: aws.String("/app/url" + selector)})
		if err != nil || *got.Parameter.Value != want || aws.ToString(got.Parameter.Selector) != selector {
			t.Errorf("selector %q: %v, %v", selector, got, err)
		}
	}
	_, err = w.GetParameter(ctx, &api.GetParameterInput{Name: aws.String("/app/url:9")})
	wantCode(t, err, "ParameterVersionNotFound")
	_, err = w.GetParameter(ctx, &api.GetParameterInput{Name: aws.String("/app/nothing")})
	wantCode(t, err, "ParameterNotFound")

	history, err := w.GetParameterHistory(ctx, &api.GetParameterHistoryInput{Name: aws.String("/app/url"), MaxResults: aws.Int32(1)})
	if err != nil || len(history.Parameters) != 1 || *history.Parameters[0].Value != "one" || history.Parameters[0].Labels[0] != "prod" || history.NextToken == nil {
		t.Fatalf("history: %v, %v", history, err)
	}
	history, err = w.GetParameterHistory(ctx, &api.GetParameterHistoryInput{Name: aws.String("/app/url"), NextToken: history.NextToken})
	if err != nil || len(history.Parameters) != 1 || *history.Parameters[0].Value != "two" || history.NextToken != nil {
		t.Errorf("history: %v, %v", history, err)
	}
	if got := aws.ToString(history.Parameters[0].Description); got != "where" {
		t.Errorf("a description that a call leaves out became %q", got)
	}
	removed, err := w.UnlabelParameterVersion(ctx, &api.UnlabelParameterVersionInput{Name: aws.String("/app/url"), ParameterVersion: aws.Int64(1), Labels: []string{"prod", "gone"}})
	if err != nil || fmt.Sprint(removed.RemovedLabels, removed.InvalidLabels) != "[prod] [gone]" {
		t.Errorf("%v, %v", removed, err)
	}
}

func TestOldestVersionGoesUnlessLabeled(t *testing.T) {
	w, ctx := newWorld(t), t.Context()
	for i := range 101 {
		w.put(t, api.PutParameterInput{Name: aws.String("n"), Value: aws.String(fmt.Sprint(i + 1)), Overwrite: aws.Bool(true)})
	}
	_, err := w.GetParameter(ctx, &api.GetParameterInput{Name: aws.String("n:1")})
	wantCode(t, err, "ParameterVersionNotFound")
	if got, err := w.GetParameter(ctx, &api.GetParameterInput{Name: aws.String("n:2")}); err != nil || *got.Parameter.Value != "2" {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := w.LabelParameterVersion(ctx, &api.LabelParameterVersionInput{Name: aws.String("n"), ParameterVersion: aws.Int64(2), Labels: []string{"keep"}}); err != nil {
		t.Fatal(err)
	}
	_, err = w.PutParameter(ctx, &api.PutParameterInput{Name: aws.String("n"), Value: aws.String("x"), Overwrite: aws.Bool(true)})
	wantCode(t, err, "ParameterMaxVersionLimitExceeded")
}

func TestSecureStringsAreSealed(t *testing.T) {
	w, ctx := newWorld(t), t.Context()
	w.put(t, api.PutParameterInput{Name: aws.String("/db/password"), Value: aws.String("swordfish"), Type: types.ParameterTypeSecureString})
	got, err := w.GetParameter(ctx, &api.GetParameterInput{Name: aws.String("/db/password")})
	if err != nil {
		t.Fatal(err)
	}
	if box, err := base64.StdEncoding.DecodeString(*got.Parameter.Value); err != nil || strings.Contains(string(box), "swordfish") {
		t.Errorf("without decryption: %q, %v", *got.Parameter.Value, err)
	}
	got, err = w.GetParameter(ctx, &api.GetParameterInput{Name: aws.String("/db/password"), WithDecryption: aws.Bool(true)})
	if err != nil || *got.Parameter.Value != "swordfish" {
		t.Errorf("%v, %v", got, err)
	}
	err = w.db.View(ctx, func(tx store.Tx) error {
		for row, err := range tx.Scan(store.PrefixRange("/")) {
			if err != nil {
				return err
			}
			if strings.Contains(string(row.Value), "swordfish") || strings.Contains(string(row.Value), base64.StdEncoding.EncodeToString([]byte("swordfish"))) {
				t.Errorf("the secret is in the store: %s", row.Key)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.PutParameter(ctx, &api.PutParameterInput{Name: aws.String("k"), Value: aws.String("v"), Type: types.ParameterTypeSecureString, KeyId: aws.String("alias/mine")})
	wantCode(t, err, "InvalidKeyId")
}

func TestPaths(t *testing.T) {
	w, ctx := newWorld(t), t.Context()
	for _, name := range []string{"/a/b/c", "/a/b/d", "/a/e", "/a/f", "/ab"} {
		w.put(t, api.PutParameterInput{Name: aws.String(name), Value: aws.String(name)})
	}
	names := func(in api.GetParametersByPathInput) string {
		var all []string
		pages := api.NewGetParametersByPathPaginator(w, &in)
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range page.Parameters {
				all = append(all, *p.Name)
			}
		}
		return strings.Join(all, " ")
	}
	if got := names(api.GetParametersByPathInput{Path: aws.String("/a")}); got != "/a/e /a/f" {
		t.Error(got)
	}
	if got := names(api.GetParametersByPathInput{Path: aws.String("/a/"), Recursive: aws.Bool(true), MaxResults: aws.Int32(1)}); got != "/a/b/c /a/b/d /a/e /a/f" {
		t.Error(got)
	}
	if got := names(api.GetParametersByPathInput{Path: aws.String("/"), Recursive: aws.Bool(true)}); got != "/a/b/c /a/b/d /a/e /a/f /ab" {
		t.Error(got)
	}
	if got := names(api.GetParametersByPathInput{Path: aws.String("/aws/service/debian"), Recursive: aws.Bool(true), MaxResults: aws.Int32(1)}); got != "/aws/service/debian/release/12/latest/amd64 /aws/service/debian/release/12/latest/arm64" {
		t.Error(got)
	}
	if _, err := w.GetParametersByPath(ctx, &api.GetParametersByPathInput{Path: aws.String("a")}); err == nil {
		t.Error("a path without a slash was taken")
	}
	described, err := w.DescribeParameters(ctx, &api.DescribeParametersInput{ParameterFilters: []types.ParameterStringFilter{{Key: aws.String("Path"), Option: aws.String("OneLevel"), Values: []string{"/a/b"}}}})
	if err != nil || len(described.Parameters) != 2 {
		t.Errorf("%v, %v", described, err)
	}
	filter := func(key, option string, values ...string) types.ParameterStringFilter {
		return types.ParameterStringFilter{Key: &key, Option: &option, Values: values}
	}
	for _, c := range []struct {
		code    string
		filters []types.ParameterStringFilter
	}{
		{"ValidationException", []types.ParameterStringFilter{filter("Color", "Equals", "x")}},
		{"InvalidFilterKey", []types.ParameterStringFilter{filter("Label", "Equals", "x")}},
		{"InvalidFilterKey", []types.ParameterStringFilter{filter("Name", "Equals", "x"), filter("Name", "Equals", "y")}},
		{"InvalidFilterOption", []types.ParameterStringFilter{filter("Name", "Near", "x")}},
		{"InvalidFilterOption", []types.ParameterStringFilter{filter("Path", "Equals", "/x")}},
		{"InvalidFilterOption", []types.ParameterStringFilter{filter("Type", "Equals", "Number")}},
		{"InvalidFilterValue", []types.ParameterStringFilter{filter("Name", "Equals")}},
	} {
		_, err = w.DescribeParameters(ctx, &api.DescribeParametersInput{ParameterFilters: c.filters})
		wantCode(t, err, c.code)
	}
}

func TestPublicParameters(t *testing.T) {
	w, ctx := newWorld(t), t.Context()
	got, err := w.GetParameters(ctx, &api.GetParametersInput{Names: []string{"/aws/service/debian/release/12/latest/amd64", "/aws/service/none"}})
	if err != nil || len(got.Parameters) != 1 || *got.Parameters[0].Value != "ami-12us-east-1" || fmt.Sprint(got.InvalidParameters) != "[/aws/service/none]" {
		t.Fatalf("%v, %v", got, err)
	}
	if arn := *got.Parameters[0].ARN; arn != "arn:aws:ssm:us-east-1::parameter/aws/service/debian/release/12/latest/amd64" {
		t.Error(arn)
	}
	_, err = w.PutParameter(ctx, &api.PutParameterInput{Name: aws.String("/aws/service/mine"), Value: aws.String("v"), Type: types.ParameterTypeString})
	wantCode(t, err, "AccessDeniedException")
}

func TestRefusedNamesAndValues(t *testing.T) {
	w, ctx := newWorld(t), t.Context()
	text := func(n int) *string { return aws.String(strings.Repeat("x", n)) }
	for code, inputs := range map[string][]api.PutParameterInput{
		"ValidationException": {
			{Name: aws.String("awsome"), Value: aws.String("v")}, {Name: aws.String("SSMthing"), Value: aws.String("v")},
			{Name: aws.String("/a//b"), Value: aws.String("v")}, {Name: aws.String("a/b"), Value: aws.String("v")},
			{Name: aws.String("big"), Value: text(4097)},
			{Name: aws.String("bigger"), Value: text(8193), Tier: types.ParameterTierAdvanced},
			{Name: aws.String("key"), Value: aws.String("v"), KeyId: aws.String("alias/aws/ssm")},
			{Name: aws.String("ami"), Value: aws.String("ami-1"), DataType: aws.String("aws:ec2:image")},
			{Name: aws.String("odd"), Value: aws.String("v"), DataType: aws.String("color")},
		},
		"HierarchyLevelLimitExceededException": {{Name: aws.String(strings.Repeat("/a", 16)), Value: aws.String("v")}},
		"ParameterPatternMismatchException":    {{Name: aws.String("p"), Value: aws.String("abc"), AllowedPattern: aws.String("[0-9]+")}},
		"InvalidAllowedPatternException":       {{Name: aws.String("p"), Value: aws.String("abc"), AllowedPattern: aws.String("[")}},
	} {
		for _, in := range inputs {
			in.Type = types.ParameterTypeString
			_, err := w.PutParameter(ctx, &in)
			wantCode(t, err, code)
		}
	}
	if out := w.put(t, api.PutParameterInput{Name: aws.String("large"), Value: text(5000), Tier: types.ParameterTierIntelligentTiering}); out.Tier != types.ParameterTierAdvanced {
		t.Errorf("tier %s", out.Tier)
	}
	w.put(t, api.PutParameterInput{Name: aws.String("ami"), Value: aws.String("ami-0123456789abcdef0"), DataType: aws.String("aws:ec2:image")})
}

func TestTagsAndWhatIsAsked(t *testing.T) {
	w, ctx := newWorld(t), t.Context()
	w.put(t, api.PutParameterInput{Name: aws.String("/t/one"), Value: aws.String("v"), Tags: []types.Tag{{Key: aws.String("team"), Value: aws.String("blue")}}})
	if len(w.gate.wanted) != 2 || w.gate.wanted[0].Resources[0] != "arn:aws:ssm:us-east-1:111122223333:parameter/t/one" ||
		w.gate.wanted[1].Action != "ssm:AddTagsToResource" || w.gate.wanted[0].Conditions["aws:RequestTag/team"][0] != "blue" {
		t.Errorf("wanted %+v", w.gate.wanted)
	}
	id := aws.String("/t/one")
	if _, err := w.AddTagsToResource(ctx, &api.AddTagsToResourceInput{ResourceType: types.ResourceTypeForTaggingParameter, ResourceId: id, Tags: []types.Tag{{Key: aws.String("k"), Value: aws.String("v")}}}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.RemoveTagsFromResource(ctx, &api.RemoveTagsFromResourceInput{ResourceType: types.ResourceTypeForTaggingParameter, ResourceId: id, TagKeys: []string{"k", "none"}}); err != nil {
		t.Fatal(err)
	}
	list, err := w.ListTagsForResource(ctx, &api.ListTagsForResourceInput{ResourceType: types.ResourceTypeForTaggingParameter, ResourceId: id})
	if err != nil || len(list.TagList) != 1 || *list.TagList[0].Key != "team" {
		t.Errorf("%v, %v", list, err)
	}
	tags, err := w.service.ResourceTags(ctx, "arn:aws:ssm:us-east-1:111122223333:parameter/t/one")
	if err != nil || tags["team"] != "blue" {
		t.Errorf("%v, %v", tags, err)
	}
	_, err = w.ListTagsForResource(ctx, &api.ListTagsForResourceInput{ResourceType: types.ResourceTypeForTaggingParameter, ResourceId: aws.String("none")})
	wantCode(t, err, "InvalidResourceId")

	deleted, err := w.DeleteParameters(ctx, &api.DeleteParametersInput{Names: []string{"/t/one", "/t/two"}})
	if err != nil || fmt.Sprint(deleted.DeletedParameters, deleted.InvalidParameters) != "[/t/one] [/t/two]" {
		t.Errorf("%v, %v", deleted, err)
	}
	_, err = w.DeleteParameter(ctx, &api.DeleteParameterInput{Name: id})
	wantCode(t, err, "ParameterNotFound")
}
