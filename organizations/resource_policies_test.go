package organizations

import (
	"errors"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	"github.com/aws/aws-sdk-go-v2/service/organizations/types"

	"miniaws/awsapi"
	"miniaws/backend/store"
)

const anybodyLists = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":"*","Action":"organizations:ListAccounts","Resource":"*"}}`

// TestResourcePolicyTags: the tags that a resource policy is made with are listed, and changed as any other resource's.
func TestResourcePolicyTags(t *testing.T) {
	f := newFixture(t)
	f.organize()
	tag := func(key string) types.Tag { return types.Tag{Key: &key, Value: aws.String("v")} }
	made := ask[organizations.PutResourcePolicyOutput](f, &organizations.PutResourcePolicyInput{Content: aws.String(anybodyLists), Tags: []types.Tag{tag("a")}}).ResourcePolicy
	id := made.ResourcePolicySummary.Id
	ask[organizations.TagResourceOutput](f, &organizations.TagResourceInput{ResourceId: id, Tags: []types.Tag{tag("b"), tag("c")}})
	ask[organizations.UntagResourceOutput](f, &organizations.UntagResourceInput{ResourceId: id, TagKeys: []string{"b"}})
	tags := ask[organizations.ListTagsForResourceOutput](f, &organizations.ListTagsForResourceInput{ResourceId: id}).Tags
	if len(tags) != 2 || *tags[0].Key != "a" || *tags[1].Key != "c" {
		t.Errorf("%+v", tags)
	}
	err := f.db.View(t.Context(), func(tx store.Tx) error {
		o, err := organizationOf(tx, management)
		if err == nil && o.arnOf(*id) != *made.ResourcePolicySummary.Arn {
			t.Errorf("%s is not %s", o.arnOf(*id), *made.ResourcePolicySummary.Arn)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	f.refused("TargetNotFoundException", &organizations.ListTagsForResourceInput{ResourceId: aws.String("rp-another0")})
}

// TestDelegationNamesItsActions: what names only what it does not let do would let do what is never a member's.
func TestDelegationNamesItsActions(t *testing.T) {
	f := newFixture(t)
	f.organize()
	text := strings.Replace(anybodyLists, `"Action"`, `"NotAction"`, 1)
	_, err := f.by(management, &organizations.PutResourcePolicyInput{Content: &text})
	var known *awsapi.Error
	if !errors.As(err, &known) || known.Fields["Reason"] != string(types.InvalidInputExceptionReasonUnsupportedActionInResourcePolicy) {
		t.Errorf("%v", err)
	}
}

// TestWhoseHandshake: a handshake is its parties', and nothing else is because a caller's id looks like one.
func TestWhoseHandshake(t *testing.T) {
	f := newFixture(t)
	f.organize()
	member := f.account("member")
	ask[organizations.PutResourcePolicyOutput](f, &organizations.PutResourcePolicyInput{Content: aws.String(anybodyLists)})
	ctx := awsapi.InContext(t.Context(), &awsapi.Request{Operation: "DescribeAccount", Principal: awsapi.Principal{Account: member}})
	for arn, want := range map[string]string{
		"arn:aws:organizations::" + management + ":handshake/o-abc/invite/h-abc":        member,
		"arn:aws:organizations::" + management + ":account/o-abc/x:handshake/o-abc/h-a": management,
	} {
		if _, owner, err := f.service.ResourcePolicy(ctx, arn); owner != want || err != nil {
			t.Errorf("%s: %s, %v", arn, owner, err)
		}
	}
}
