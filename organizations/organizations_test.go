package organizations

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	"github.com/aws/aws-sdk-go-v2/service/organizations/types"
	"github.com/aws/smithy-go"

	"miniaws/awsapi"
	"miniaws/backend/reconcile"
	"miniaws/backend/store"
)

const management = "111122223333"

// maker makes accounts that are only numbers.
type maker struct{ made, failures int }

func (m *maker) NewNumber(context.Context) (string, error) {
	m.made++
	return fmt.Sprintf("%012d", 200000000000+m.made), nil
}

func (m *maker) CreateAccount(_ context.Context, _, _, email, _, _ string) error {
	if m.failures++; m.failures%2 == 1 {
		return errors.New("interrupted")
	}
	if email == "taken@example.com" {
		return ErrEmailTaken{}
	}
	if email == "refused@example.com" {
		return awsapi.Errorf("ValidationError", "no such account can be made")
	}
	return nil
}

func (m *maker) Account(_ context.Context, id string) (name, email string, err error) {
	return "account " + id, "root@example.com", nil
}

type everybodyMay struct{}

func (everybodyMay) Authorize(context.Context, *awsapi.Request, []awsapi.Access) error { return nil }

// fixture is the service with a caller.
type fixture struct {
	*testing.T
	service *Service
	server  *awsapi.Server
	db      store.DB
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	db := store.OpenMemory(store.Options{})
	t.Cleanup(func() {
		if changed, err := store.ChangedShared(context.Background(), db); err != nil || len(changed) > 0 {
			t.Errorf("a reader changed what is shared: %v, %v", changed, err)
		}
		_ = db.Close()
	})
	if err := store.Migrate(t.Context(), db, Tables()...); err != nil {
		t.Fatal(err)
	}
	f := &fixture{T: t, db: db, server: awsapi.NewServer(awsapi.Options{Authorizer: everybodyMay{}})}
	f.service = New(Config{DB: db, Accounts: &maker{}, CheckPolicy: func(_ types.PolicyType, text string) error {
		if !json.Valid([]byte(text)) {
			return errors.New("no JSON")
		}
		return nil
	}, CheckDelegation: func(string) error { return nil }})
	f.service.Register(f.server)
	loop := reconcile.New(db, reconcile.Options{MinBackoff: time.Millisecond, MaxBackoff: time.Millisecond, Log: slog.New(slog.DiscardHandler)})
	f.service.Reconcile(loop)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- loop.Run(ctx) }()
	t.Cleanup(func() {
		if stop(); <-ended != nil {
			t.Error("the loop failed")
		}
	})
	return f
}

func (f *fixture) by(account string, in any) (any, error) {
	f.Helper()
	caller := awsapi.Principal{Type: awsapi.RootUser, Account: account, Root: true, ARN: "arn:aws:iam::" + account + ":root"}
	return f.server.Invoke(f.Context(), awsapi.Caller{Principal: caller, Region: "us-east-1"}, in)
}

// ask calls as the management account; it must succeed.
func ask[Out any](f *fixture, in any) *Out {
	f.Helper()
	out, err := f.by(management, in)
	if err != nil {
		f.Fatalf("%T: %v", in, err)
	}
	return out.(*Out)
}

// refused calls as the management account and wants this code.
func (f *fixture) refused(code string, in any) {
	f.Helper()
	_, err := f.by(management, in)
	var known smithy.APIError
	if !errors.As(err, &known) || known.ErrorCode() != code {
		f.Errorf("%T %+v: %v, not %s", in, in, err, code)
	}
}

func (f *fixture) organize() (root string) {
	f.Helper()
	ask[organizations.CreateOrganizationOutput](f, &organizations.CreateOrganizationInput{})
	return *ask[organizations.ListRootsOutput](f, &organizations.ListRootsInput{}).Roots[0].Id
}

func (f *fixture) unit(parent, name string) string {
	f.Helper()
	return *ask[organizations.CreateOrganizationalUnitOutput](f, &organizations.CreateOrganizationalUnitInput{ParentId: &parent, Name: &name}).OrganizationalUnit.Id
}

func (f *fixture) account(name string) string {
	f.Helper()
	in := &organizations.CreateAccountInput{AccountName: &name, Email: aws.String(name + "@example.com")}
	status := f.ready(in)
	if status.State != types.CreateAccountStateSucceeded {
		f.Fatalf("%+v", status)
	}
	return *status.AccountId
}

// ready asks for an account and waits for what becomes of it.
func (f *fixture) ready(in *organizations.CreateAccountInput) *types.CreateAccountStatus {
	f.Helper()
	status := ask[organizations.CreateAccountOutput](f, in).CreateAccountStatus
	if status.State != types.CreateAccountStateInProgress || status.CompletedTimestamp != nil {
		f.Errorf("at first: %+v", status)
	}
	for ; status.State == types.CreateAccountStateInProgress; time.Sleep(time.Millisecond) {
		status = ask[organizations.DescribeCreateAccountStatusOutput](f, &organizations.DescribeCreateAccountStatusInput{CreateAccountRequestId: status.Id}).CreateAccountStatus
	}
	return status
}

func (f *fixture) policy(kind types.PolicyType, name string) string {
	f.Helper()
	in := &organizations.CreatePolicyInput{Name: &name, Description: aws.String(""), Type: kind, Content: aws.String("{}")}
	return *ask[organizations.CreatePolicyOutput](f, in).Policy.PolicySummary.Id
}

// TestLargeOrganization: an organization is as large as its quotas, however many tags its accounts have, and pages show all
// of it once.
func TestLargeOrganization(t *testing.T) {
	f := newFixture(t)
	root := f.organize()
	tags := make([]types.Tag, maxTags)
	for i := range tags {
		tags[i] = types.Tag{Key: aws.String(fmt.Sprintf("%03d%s", i, strings.Repeat("k", 125))), Value: aws.String(strings.Repeat("v", 256))}
	}
	want := map[string]bool{management: true}
	for i := range 200 {
		id := f.account(fmt.Sprintf("account-%d", i))
		want[id] = true
		if i < 20 {
			ask[organizations.TagResourceOutput](f, &organizations.TagResourceInput{ResourceId: &id, Tags: tags})
		}
	}
	in := &organizations.ListAccountsInput{MaxResults: aws.Int32(7)}
	for pages := 0; ; pages++ {
		out := ask[organizations.ListAccountsOutput](f, in)
		for _, a := range out.Accounts {
			if !want[*a.Id] {
				t.Errorf("%s is there twice, or should not be", *a.Id)
			}
			delete(want, *a.Id)
		}
		if in.NextToken = out.NextToken; in.NextToken == nil {
			if pages != 201/7 {
				t.Errorf("%d pages", pages+1)
			}
			break
		}
	}
	if len(want) > 0 {
		t.Errorf("not listed: %v", want)
	}
	f.refused("InvalidInputException", &organizations.ListAccountsInput{NextToken: aws.String("x")})
	// A policy type is enabled for all of them at once.
	ask[organizations.EnablePolicyTypeOutput](f, &organizations.EnablePolicyTypeInput{RootId: &root, PolicyType: types.PolicyTypeServiceControlPolicy})
	m, err := f.service.Membership(t.Context(), "200000000007")
	if err != nil || len(m.ServiceControl) != 2 || len(m.ServiceControl[1]) != 1 {
		t.Errorf("%+v, %v", m, err)
	}
	f.refused("OrganizationNotEmptyException", &organizations.DeleteOrganizationInput{})
}

func TestUnits(t *testing.T) {
	f := newFixture(t)
	at := f.organize()
	root := at
	for i := range maxDepth {
		at = f.unit(at, fmt.Sprint("level-", i))
	}
	f.refused("ConstraintViolationException", &organizations.CreateOrganizationalUnitInput{ParentId: &at, Name: aws.String("too deep")})
	f.refused("DuplicateOrganizationalUnitException", &organizations.CreateOrganizationalUnitInput{ParentId: &root, Name: aws.String("level-0")})
	f.refused("ParentNotFoundException", &organizations.CreateOrganizationalUnitInput{ParentId: aws.String("r-none"), Name: aws.String("x")})
	member := f.account("member")
	f.refused("SourceParentNotFoundException", &organizations.MoveAccountInput{AccountId: &member, SourceParentId: &at, DestinationParentId: &root})
	f.refused("DestinationParentNotFoundException", &organizations.MoveAccountInput{AccountId: &member, SourceParentId: &root, DestinationParentId: aws.String("ou-none-12345678")})
	f.refused("DuplicateAccountException", &organizations.MoveAccountInput{AccountId: &member, SourceParentId: &root, DestinationParentId: &root})
	ask[organizations.MoveAccountOutput](f, &organizations.MoveAccountInput{AccountId: &member, SourceParentId: &root, DestinationParentId: &at})
	f.refused("OrganizationalUnitNotEmptyException", &organizations.DeleteOrganizationalUnitInput{OrganizationalUnitId: &at})
	m, err := f.service.Membership(t.Context(), member)
	if err != nil || strings.Count(m.Path, "/ou-") != maxDepth || !strings.HasSuffix(m.Path, at+"/") {
		t.Errorf("%+v, %v", m, err)
	}
	status := f.ready(&organizations.CreateAccountInput{AccountName: aws.String("x"), Email: aws.String("taken@example.com")})
	if status.State != types.CreateAccountStateFailed || status.FailureReason != types.CreateAccountFailureReasonEmailAlreadyExists {
		t.Errorf("%+v", status)
	}
}

func TestPolicies(t *testing.T) {
	f := newFixture(t)
	root := f.organize()
	scp := types.PolicyTypeServiceControlPolicy
	unit := f.unit(root, "unit")
	first := f.policy(scp, "first")
	f.refused("PolicyTypeNotEnabledException", &organizations.AttachPolicyInput{PolicyId: &first, TargetId: &unit})
	f.refused("PolicyTypeNotEnabledException", &organizations.DisablePolicyTypeInput{RootId: &root, PolicyType: scp})
	f.refused("RootNotFoundException", &organizations.EnablePolicyTypeInput{RootId: aws.String("r-none"), PolicyType: scp})
	f.refused("NotImplemented", &organizations.EnablePolicyTypeInput{RootId: &root, PolicyType: types.PolicyTypeDeclarativePolicyEc2})
	ask[organizations.EnablePolicyTypeOutput](f, &organizations.EnablePolicyTypeInput{RootId: &root, PolicyType: scp})
	f.refused("PolicyTypeAlreadyEnabledException", &organizations.EnablePolicyTypeInput{RootId: &root, PolicyType: scp})
	f.refused("DuplicatePolicyException", &organizations.CreatePolicyInput{Name: aws.String("first"), Description: aws.String(""), Type: scp, Content: aws.String("{}")})
	f.refused("MalformedPolicyDocumentException", &organizations.CreatePolicyInput{Name: aws.String("bad"), Description: aws.String(""), Type: scp, Content: aws.String("{")})
	long := `{"a":"` + strings.Repeat("x", quotas[types.PolicyTypeServiceControlPolicy].size) + `"}`
	f.refused("ConstraintViolationException", &organizations.CreatePolicyInput{Name: aws.String("long"), Description: aws.String(""), Type: scp, Content: &long})
	// Five of a type at most, with AWS's own; one at least.
	ids := []string{first}
	for i := range maxAttached - 1 {
		ids = append(ids, f.policy(scp, fmt.Sprint("policy-", i)))
	}
	for _, id := range ids[:maxAttached-1] {
		ask[organizations.AttachPolicyOutput](f, &organizations.AttachPolicyInput{PolicyId: &id, TargetId: &unit})
	}
	f.refused("ConstraintViolationException", &organizations.AttachPolicyInput{PolicyId: &ids[maxAttached-1], TargetId: &unit})
	f.refused("DuplicatePolicyAttachmentException", &organizations.AttachPolicyInput{PolicyId: &first, TargetId: &unit})
	f.refused("PolicyInUseException", &organizations.DeletePolicyInput{PolicyId: &first})
	f.refused("TargetNotFoundException", &organizations.AttachPolicyInput{PolicyId: &first, TargetId: aws.String("ou-none-12345678")})
	f.refused("PolicyNotAttachedException", &organizations.DetachPolicyInput{PolicyId: &ids[maxAttached-1], TargetId: &unit})
	for _, id := range append(ids[:maxAttached-1:maxAttached-1], fullAccessID)[:maxAttached-1] {
		ask[organizations.DetachPolicyOutput](f, &organizations.DetachPolicyInput{PolicyId: &id, TargetId: &unit})
	}
	f.refused("ConstraintViolationException", &organizations.DetachPolicyInput{PolicyId: aws.String(fullAccessID), TargetId: &unit})
	ask[organizations.DeletePolicyOutput](f, &organizations.DeletePolicyInput{PolicyId: &first})
	f.refused("PolicyNotFoundException", &organizations.DescribePolicyInput{PolicyId: &first})
	if n := len(ask[organizations.ListPoliciesOutput](f, &organizations.ListPoliciesInput{Filter: scp, MaxResults: aws.Int32(20)}).Policies); n != maxAttached {
		t.Errorf("%d policies", n) // four of ours, and AWS's
	}
}

// TestBillingOnly: an organization without all features has no policies.
func TestBillingOnly(t *testing.T) {
	f := newFixture(t)
	ask[organizations.CreateOrganizationOutput](f, &organizations.CreateOrganizationInput{FeatureSet: types.OrganizationFeatureSetConsolidatedBilling})
	root := ask[organizations.ListRootsOutput](f, &organizations.ListRootsInput{}).Roots[0].Id
	for _, kind := range []types.PolicyType{types.PolicyTypeServiceControlPolicy, types.PolicyTypeResourceControlPolicy} {
		f.refused("PolicyTypeNotAvailableForOrganizationException", &organizations.EnablePolicyTypeInput{RootId: root, PolicyType: kind})
		f.refused("PolicyTypeNotAvailableForOrganizationException", &organizations.CreatePolicyInput{Name: aws.String("x"), Description: aws.String(""), Type: kind, Content: aws.String("{}")})
	}
}

// TestOnlyTheManagementAccount: members see which organization it is, and nothing else; strangers see none.
func TestOnlyTheManagementAccount(t *testing.T) {
	f := newFixture(t)
	f.organize()
	member := f.account("member")
	for account, code := range map[string]string{member: "AccessDeniedException", "999999999999": "AWSOrganizationsNotInUseException"} {
		for _, in := range []any{&organizations.ListAccountsInput{}, &organizations.ListRootsInput{}, &organizations.CreateAccountInput{AccountName: aws.String("x"), Email: aws.String("x@example.com")}} {
			var known smithy.APIError
			if _, err := f.by(account, in); !errors.As(err, &known) || known.ErrorCode() != code {
				t.Errorf("%s: %T: %v", account, in, err)
			}
		}
	}
	if _, err := f.by(member, &organizations.DescribeOrganizationInput{}); err != nil {
		t.Error(err)
	}
	f.refused("AlreadyInOrganizationException", &organizations.CreateOrganizationInput{})
}

// TestOneRecordOfBefore: an organization that is still one record is read, and split when it is changed.
func TestOneRecordOfBefore(t *testing.T) {
	f := newFixture(t)
	old := &organization{
		ID: "o-before", Management: management, Features: types.OrganizationFeatureSetAll, Root: "r-befo",
		Enabled: []types.PolicyType{types.PolicyTypeServiceControlPolicy},
		Nodes: map[string]*node{
			"r-befo": {Name: "Root", Kind: types.TargetTypeRoot, Attached: []string{fullAccessID}}, management: {Parent: "r-befo", Name: "m", Kind: types.TargetTypeAccount},
			"222233334444": {Parent: "r-befo", Name: "member", Kind: types.TargetTypeAccount, Attached: []string{"p-before00"}},
		},
		Policies: map[string]*policyInfo{"p-before00": {Name: "kept", Type: types.PolicyTypeServiceControlPolicy}},
		Requests: map[string]*request{"car-1": {Name: "member", Account: "222233334444"}},
	}
	err := f.db.Update(t.Context(), func(tx store.Tx) error {
		if err := policyTable.In(tx, store.Scope{}).Put(&policyText{old.ID, "p-before00", "{}"}); err != nil {
			return err
		}
		if err := putStamp(tx); err != nil {
			return err
		}
		return organizationTable.In(tx, store.Scope{}).Insert(old)
	})
	if err != nil {
		t.Fatal(err)
	}
	look := func() (all []any) {
		all = append(all, ask[organizations.ListAccountsOutput](f, &organizations.ListAccountsInput{}).Accounts)
		all = append(all, ask[organizations.ListPoliciesForTargetOutput](f, &organizations.ListPoliciesForTargetInput{TargetId: aws.String("222233334444"), Filter: types.PolicyTypeServiceControlPolicy}).Policies)
		all = append(all, ask[organizations.ListCreateAccountStatusOutput](f, &organizations.ListCreateAccountStatusInput{}).CreateAccountStatuses)
		return all
	}
	before := look()
	unit := f.unit("r-befo", "new")
	if after := look(); !reflect.DeepEqual(before, after) {
		t.Errorf("before %+v\nafter %+v", before, after)
	}
	m, err := f.service.Membership(t.Context(), "222233334444")
	if err != nil || len(m.ServiceControl) != 2 || m.ServiceControl[1][0].Text != "{}" {
		t.Errorf("%+v, %v", m, err)
	}
	ask[organizations.DeleteOrganizationalUnitOutput](f, &organizations.DeleteOrganizationalUnitInput{OrganizationalUnitId: &unit})
	ask[organizations.RemoveAccountFromOrganizationOutput](f, &organizations.RemoveAccountFromOrganizationInput{AccountId: aws.String("222233334444")})
	if m, err := f.service.Membership(t.Context(), "222233334444"); m != nil || err != nil {
		t.Errorf("an account that left: %+v, %v", m, err)
	}
	ask[organizations.DeleteOrganizationOutput](f, &organizations.DeleteOrganizationInput{})
	seen := 0
	err = f.db.View(t.Context(), func(tx store.Tx) error {
		for row, err := range tx.Scan(store.PrefixRange("/" + store.MainFork + "/" + store.Global + "/" + store.Global + "/organizations/")) {
			if err != nil {
				return err
			}
			if row.Key != stampKey {
				t.Errorf("left: %s", row.Key)
			}
			seen++
		}
		return nil
	})
	if err != nil || seen != 1 {
		t.Errorf("%d rows seen, %v", seen, err)
	}
}
