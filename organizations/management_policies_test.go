package organizations

import (
	"fmt"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	"github.com/aws/aws-sdk-go-v2/service/organizations/types"
)

// tag is a tag policy of one key.
func tag(settings string) string { return `{"tags":{"costcenter":{` + settings + `}}}` }

// TestEffective: what the levels say together.
// AWS: "Inheritance examples" in the Organizations user guide.
func TestEffective(t *testing.T) {
	const (
		key    = `"tag_key":{"@@assign":"CostCenter"}`
		two    = `"tag_value":{"@@assign":["Development","Support"]}`
		shown  = `{"tags":{"costcenter":{"tag_key":"CostCenter","tag_value":[%s]}}}`
		locked = `{"tags":{"@@operators_allowed_for_child_policies":["@@none"],"project":{"@@operators_allowed_for_child_policies":["@@none"],` +
			`"tag_key":{"@@operators_allowed_for_child_policies":["@@none"],"@@assign":"PROJECT"},` +
			`"tag_value":{"@@operators_allowed_for_child_policies":["@@append"],"@@assign":["Escalations"]}}}}`
		child = `{"tags":{"project":{"tag_key":{"@@assign":"Project"},"tag_value":{"@@append":["Maintenance"],"@@remove":["Escalations"]}},"other":{"tag_key":{"@@assign":"Other"}}}}`
	)
	for name, c := range map[string]struct {
		levels [][]string
		want   string
	}{
		"one":                {[][]string{{tag(key + "," + two)}}, fmt.Sprintf(shown, `"Development","Support"`)},
		"child assigns":      {[][]string{{tag(key + "," + two)}, {tag(`"tag_value":{"@@assign":["Sandbox"]}`)}}, fmt.Sprintf(shown, `"Sandbox"`)},
		"child appends":      {[][]string{{tag(key + "," + two)}, nil, {tag(`"tag_value":{"@@append":["Marketing","Support"]}`)}}, fmt.Sprintf(shown, `"Development","Support","Marketing"`)},
		"child removes":      {[][]string{{tag(key + "," + two)}, {tag(`"tag_value":{"@@remove":["Development","x"]}`)}}, fmt.Sprintf(shown, `"Support"`)},
		"restricted":         {[][]string{{locked}, {child}}, `{"tags":{"project":{"tag_key":"PROJECT","tag_value":["Escalations","Maintenance"]}}}`},
		"within a level":     {[][]string{{locked, child}}, `{"tags":{"other":{"tag_key":"Other"},"project":{"tag_key":"PROJECT","tag_value":["Maintenance"]}}}`},
		"first of two":       {[][]string{{tag(key), tag(`"tag_key":{"@@assign":"COSTCENTER"}`)}}, `{"tags":{"costcenter":{"tag_key":"CostCenter"}}}`},
		"nothing":            {[][]string{nil, {`{"tags":{}}`}}, ""},
		"removed of nothing": {[][]string{{tag(key + `,"tag_value":{"@@remove":["x"]}`)}}, `{"tags":{"costcenter":{"tag_key":"CostCenter"}}}`},
		"controls intersect": {[][]string{
			{tag(`"tag_value":{"@@assign":["a"],"@@operators_allowed_for_child_policies":["@@append","@@remove"]}`), tag(`"tag_value":{"@@operators_allowed_for_child_policies":["@@remove","@@assign"]}`)},
			{tag(`"tag_value":{"@@append":["b"]}`)}, {tag(`"tag_value":{"@@assign":["c"]}`)},
		}, `{"tags":{"costcenter":{"tag_value":["a"]}}}`},
		"assigned before appended":   {[][]string{{tag(`"tag_value":{"@@append":["x"]}`), tag(`"tag_value":{"@@assign":["y"]}`)}}, `{"tags":{"costcenter":{"tag_value":["y","x"]}}}`},
		"appended before removed":    {[][]string{{tag(`"tag_value":{"@@remove":["a"]}`), tag(`"tag_value":{"@@append":["a","b"]}`)}}, `{"tags":{"costcenter":{"tag_value":["b"]}}}`},
		"no values":                  {[][]string{{tag(`"tag_value":{"@@assign":[]}`)}}, `{"tags":{"costcenter":{"tag_value":[]}}}`},
		"nothing appended":           {[][]string{{tag(`"tag_value":{"@@append":[]}`)}}, `{"tags":{"costcenter":{"tag_value":[]}}}`},
		"other case":                 {[][]string{{`{"tags":{"CostCenter":{` + key + "," + two + `}}}`}, {`{"tags":{"COSTCENTER":{"tag_value":{"@@remove":["Support"]}}}}`}}, fmt.Sprintf(shown, `"Development"`)},
		"numbers":                    {[][]string{{tag(key + `,"tag_value":{"@@assign":[100,12345678901234567890,true]}`)}}, fmt.Sprintf(shown, `"100","12345678901234567890","true"`)},
		"made before it was refused": {[][]string{{tag(`"tag_key":{"@@assign":"x"},"tag_key":{"@@assign":"Other"}`)}}, `{"tags":{"costcenter":{"tag_key":"Other"}}}`},
	} {
		got, err := effective(types.PolicyTypeTagPolicy, c.levels)
		if err != nil || got != c.want {
			t.Errorf("%s: %s, %v, want %s", name, got, err, c.want)
		}
	}
}

// TestEffectiveFree: places in backup policies that hold a text or a list.
func TestEffectiveFree(t *testing.T) {
	plan := func(name, rule string) string {
		return `{"plans":{"` + name + `":{"rules":{"Hourly":{` + rule + `}}}}}`
	}
	levels := [][]string{
		{plan("PII_Plan", `"enable_continuous_backup":{"@@assign":true},"target":{"@@assign":"Vault"},"window":{"@@assign":60}`)},
		{plan("pii_plan", `"target":{"@@append":["x"]},"window":{"@@remove":["60"]}`)},
	}
	want := `{"plans":{"pii_plan":{"rules":{"Hourly":{"enable_continuous_backup":"true","target":"Vault","window":"60"}}}}}`
	if got, err := effective(types.PolicyTypeBackupPolicy, levels); err != nil || got != want {
		t.Errorf("%s, %v, want %s", got, err, want)
	}
}

// TestManagementSyntax: what each type may say.
func TestManagementSyntax(t *testing.T) {
	const (
		tags, ai, backup, chat = types.PolicyTypeTagPolicy, types.PolicyTypeAiservicesOptOutPolicy, types.PolicyTypeBackupPolicy, types.PolicyTypeChatbotPolicy
	)
	for _, c := range []struct {
		kind types.PolicyType
		text string
		ok   bool
	}{
		{tags, tag(`"tag_key":{"@@assign":"CostCenter"},"tag_value":{"@@assign":["100","200*"]},"enforced_for":{"@@assign":["secretsmanager:*"]}`), true},
		{tags, `{"tags":{}}`, true},
		{tags, ``, false},
		{tags, `{}`, false},
		{tags, `{"tags":{}}}`, false},
		{tags, `{"services":{}}`, false},
		{tags, `{"tags":{"a":{"tag_color":{"@@assign":"red"}}}}`, false},
		{tags, tag(`"tag_key":"CostCenter"`), false},
		{tags, tag(`"tag_key":{"@@assign":["CostCenter"]}`), false},
		{tags, tag(`"tag_key":{"@@append":"CostCenter"}`), false},
		{tags, tag(`"tag_value":{"@@assign":"one"}`), false},
		{tags, tag(`"tag_value":{"@@assign":[1,true]}`), true},
		{tags, tag(`"tag_value":{"@@assign":[null]}`), false},
		{tags, tag(`"tag_value":{"@@assign":[["one"]]}`), false},
		{tags, tag(`"tag_value":{"@@assign":1}`), false},
		{tags, tag(`"tag_key":{"@@assign":"COSTCENTER"}`), true},
		{tags, tag(`"tag_key":{"@@assign":"CostCentre"}`), false},
		{tags, tag(`"tag_key":{"@@assign":"CostCenter"},"tag_key":{"@@assign":"CostCenter"}`), false},
		{tags, `{"tags":{"100":{"tag_key":{"@@assign":100}}}}`, true},
		{tags, tag(`"tag_value":{"@@replace":["one"]}`), false},
		{tags, tag(`"tag_value":{"@@operators_allowed_for_child_policies":["@@none","@@assign"]}`), false},
		{tags, tag(`"tag_value":{"@@operators_allowed_for_child_policies":[]}`), false},
		{tags, `{"tags":{"a":{"@@assign":["b"]}}}`, false},
		{tags, `{"Version":"2012-10-17","Statement":[]}`, false},
		{ai, `{"services":{"default":{"opt_out_policy":{"@@assign":"optOut"}},"rekognition":{"opt_out_policy":{"@@assign":"optIn"}}}}`, true},
		{ai, `{"services":{"@@operators_allowed_for_child_policies":["@@none"],"default":{"@@operators_allowed_for_child_policies":["@@none"],"opt_out_policy":{"@@operators_allowed_for_child_policies":["@@none"],"@@assign":"optOut"}}}}`, true},
		{ai, `{"services":{"default":{"opt_out_policy":{"@@assign":"maybe"}}}}`, false},
		{ai, `{"services":{"default":{"opt_out_policy":{"@@assign":true}}}}`, false},
		{backup, `{"plans":{"daily":{"regions":{"@@assign":["us-east-1"]},"rules":{"hourly":{"schedule_expression":{"@@assign":"cron(0 5 ? * * *)"},"target_backup_vault_name":{"@@assign":"v"}}},` +
			`"selections":{"tags":{"datatype":{"iam_role_arn":{"@@assign":"arn:aws:iam::$account:role/r"},"tag_key":{"@@assign":"d"},"tag_value":{"@@assign":["PII"]}}}}}}}`, true},
		{backup, `{"plans":{"daily":{"rules":{"hourly":{"enable_continuous_backup":{"@@assign":true}}}}}}`, true},
		{backup, `{"plans":{"daily":{"rules":{"hourly":{"enable_continuous_backup":{"@@assign":null}}}}}}`, false},
		{backup, `{"plans":{"daily":{"regions":["us-east-1"]}}}`, false},
		{chat, `{"chatbot":{"platforms":{"slack":{"client":{"@@assign":"enabled"},"workspaces":{"@@assign":["T1"]}}}}}`, true},
		{chat, `{"chat":{}}`, false},
	} {
		if _, err := checkManagement(c.kind, c.text); (err == nil) != c.ok {
			t.Errorf("%s %s: %v", c.kind, c.text, err)
		}
	}
}

// TestDescribeEffectivePolicy: everybody sees what is so for its own account.
func TestDescribeEffectivePolicy(t *testing.T) {
	f := newFixture(t)
	root := f.organize()
	member := f.account("member")
	const tags, effectiveTags = types.PolicyTypeTagPolicy, types.EffectivePolicyTypeTagPolicy
	f.refused("EffectivePolicyNotFoundException", &organizations.DescribeEffectivePolicyInput{PolicyType: effectiveTags})
	f.refused("NotImplemented", &organizations.EnablePolicyTypeInput{RootId: &root, PolicyType: types.PolicyTypeDeclarativePolicyEc2})
	ask[organizations.EnablePolicyTypeOutput](f, &organizations.EnablePolicyTypeInput{RootId: &root, PolicyType: tags})
	f.refused("EffectivePolicyNotFoundException", &organizations.DescribeEffectivePolicyInput{PolicyType: effectiveTags, TargetId: &member})
	made := func(name, text string) *string {
		in := &organizations.CreatePolicyInput{Name: &name, Description: aws.String(""), Type: tags, Content: &text}
		return ask[organizations.CreatePolicyOutput](f, in).Policy.PolicySummary.Id
	}
	f.refused("MalformedPolicyDocumentException", &organizations.CreatePolicyInput{Name: aws.String("x"), Description: aws.String(""), Type: tags, Content: aws.String(`{"tags":1}`)})
	f.refused("NotImplemented", &organizations.CreatePolicyInput{Name: aws.String("x"), Description: aws.String(""), Type: tags, Content: aws.String(tag(`"enforced_for":{"@@assign":["ec2:instance"]}`))})
	whole, own := made("whole", tag(`"tag_key":{"@@assign":"CostCenter"},"tag_value":{"@@assign":["a"]}`)), made("own", tag(`"tag_value":{"@@append":["b"]}`))
	ask[organizations.AttachPolicyOutput](f, &organizations.AttachPolicyInput{PolicyId: whole, TargetId: &root})
	ask[organizations.AttachPolicyOutput](f, &organizations.AttachPolicyInput{PolicyId: own, TargetId: &member})
	want := `{"tags":{"costcenter":{"tag_key":"CostCenter","tag_value":["a","b"]}}}`
	got := ask[organizations.DescribeEffectivePolicyOutput](f, &organizations.DescribeEffectivePolicyInput{PolicyType: effectiveTags, TargetId: &member}).EffectivePolicy
	if *got.PolicyContent != want || *got.TargetId != member || got.PolicyType != effectiveTags || got.LastUpdatedTimestamp == nil {
		t.Errorf("%s for %s", *got.PolicyContent, *got.TargetId)
	}
	out, err := f.by(member, &organizations.DescribeEffectivePolicyInput{PolicyType: effectiveTags})
	if err != nil || *out.(*organizations.DescribeEffectivePolicyOutput).EffectivePolicy.PolicyContent != want {
		t.Errorf("%v, %v", out, err)
	}
	if _, err := f.by(member, &organizations.DescribeEffectivePolicyInput{PolicyType: effectiveTags, TargetId: aws.String(management)}); err == nil {
		t.Error("a member reads the management account's")
	}
	f.refused("InvalidInputException", &organizations.DescribeEffectivePolicyInput{PolicyType: effectiveTags, TargetId: &root})
	f.refused("TargetNotFoundException", &organizations.DescribeEffectivePolicyInput{PolicyType: effectiveTags, TargetId: aws.String("999999999999")})
	// The last one of its type can be taken away.
	ask[organizations.DetachPolicyOutput](f, &organizations.DetachPolicyInput{PolicyId: own, TargetId: &member})
	// A new unit has what AWS attaches, which is nothing.
	unit := ask[organizations.CreateOrganizationalUnitOutput](f, &organizations.CreateOrganizationalUnitInput{ParentId: &root, Name: aws.String("u")}).OrganizationalUnit.Id
	if list := ask[organizations.ListPoliciesForTargetOutput](f, &organizations.ListPoliciesForTargetInput{TargetId: unit, Filter: tags}).Policies; len(list) != 0 {
		t.Errorf("%v", list)
	}
}
