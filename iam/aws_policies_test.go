package iam

import (
	"testing"

	"miniaws/iam/policy"
)

// TestAWSPolicies reads the whole catalogue: every text is a policy by the engine's grammar.
func TestAWSPolicies(t *testing.T) {
	all := awsPolicies()
	if len(all) < 1000 {
		t.Fatalf("only %d policies", len(all))
	}
	ids := map[string]bool{}
	for _, p := range all {
		text, err := awsPolicyText(p)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := policy.Parse(policy.Managed, string(text)); err != nil {
			t.Errorf("%s: %v", p.Name, err)
		}
		if ids[p.ID] || awsPolicy(p.arn("")) != p || p.Created.Year() < 2006 {
			t.Errorf("%s: %+v", p.Name, p)
		}
		ids[p.ID] = true
	}
	if awsPolicy("arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole") == nil || awsPolicy("arn:aws:iam::aws:policy/None") != nil {
		t.Error("the wrong policies are found")
	}
}

func TestLinkedServices(t *testing.T) {
	for service, linked := range linkedServices {
		if awsPolicy(arn(ownerAWS, "policy/"+linked.policy)) == nil {
			t.Errorf("%s: the catalogue has no %s", service, linked.policy)
		}
	}
}
