package policy

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// callers of the corpus, by the names that its cases use.
var callers = map[string]Principal{
	"alice": {
		Kind: User, Account: "111122223333", ARN: "arn:aws:iam::111122223333:user/alice", ID: "AIDAALICEEXAMPLE00000",
		CanonicalID: "79a59df900b949e55d96a1e698fbacedfd6e09d98eacf8f8d5218e7cd47ef2be",
	},
	"bob": {Kind: User, Account: "111122223333", ARN: "arn:aws:iam::111122223333:user/bob", ID: "AIDABOBEXAMPLE0000000"},
	"worker": {
		Kind: RoleSession, Account: "111122223333", ARN: "arn:aws:sts::111122223333:assumed-role/worker/job", ID: "AROAWORKEREXAMPLE0000:job",
		Issuer: "arn:aws:iam::111122223333:role/app/worker", IssuerID: "AROAWORKEREXAMPLE0000",
	},
	"guest": {
		Kind: FederatedUser, Account: "111122223333", ARN: "arn:aws:sts::111122223333:federated-user/guest", ID: "111122223333:guest",
		Issuer: "arn:aws:iam::111122223333:user/alice", IssuerID: "AIDAALICEEXAMPLE00000",
	},
	"rootguest": {
		Kind: FederatedUser, Account: "111122223333", ARN: "arn:aws:sts::111122223333:federated-user/guest", ID: "111122223333:guest",
		Issuer: "arn:aws:iam::111122223333:root",
	},
	"root":       {Kind: Root, Account: "111122223333", ARN: "arn:aws:iam::111122223333:root", ID: "111122223333"},
	"anonymous":  {},
	"cloudtrail": {Kind: AWSService, Name: "cloudtrail.amazonaws.com"},
	"ec2":        {Kind: AWSService, Name: "ec2.amazonaws.com"},
	"github":     {Kind: WebIdentity, Name: "arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com"},
	"adfs":       {Kind: SAML, Name: "arn:aws:iam::111122223333:saml-provider/ADFS"},
}

// decisionCase is one case of the corpus.
type decisionCase struct {
	Name, Page, Reason string

	Principal, Action, Resource, ResourceAccount string
	Context                                      map[string][]string

	Identity, Session               []json.RawMessage
	Boundary, Endpoint              json.RawMessage
	ResourcePolicy, Trust           json.RawMessage
	ResourcePolicyRequired          bool
	ServiceControl, ResourceControl [][]json.RawMessage

	Want, Layer string
}

func readCorpus(t testing.TB) map[string][]decisionCase {
	t.Helper()
	files, err := filepath.Glob("testdata/*.json")
	if err != nil {
		t.Fatal(err)
	}
	all, total := map[string][]decisionCase{}, 0
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		decoder := json.NewDecoder(bytes.NewReader(content))
		decoder.DisallowUnknownFields()
		var cases []decisionCase
		if err := decoder.Decode(&cases); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		all[strings.TrimSuffix(filepath.Base(file), ".json")] = cases
		total += len(cases)
	}
	if total < 400 {
		t.Fatalf("the corpus has only %d cases", total)
	}
	return all
}

func mustParse(t testing.TB, kind Kind, text []byte) Policy {
	t.Helper()
	d, err := Parse(kind, string(text))
	if err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return Policy{Name: "policy", Document: d}
}

func parseAll(t testing.TB, kind Kind, texts []json.RawMessage) []Policy {
	all := []Policy{}
	for _, text := range texts {
		all = append(all, mustParse(t, kind, text))
	}
	return all
}

func parseLevels(t testing.TB, kind Kind, levels [][]json.RawMessage) [][]Policy {
	var all [][]Policy
	for _, level := range levels {
		all = append(all, parseAll(t, kind, level))
	}
	return all
}

func (c *decisionCase) input(t testing.TB) *Input {
	t.Helper()
	who, ok := callers[c.Principal]
	if !ok {
		t.Fatalf("no caller %q", c.Principal)
	}
	context := map[string][]string{}
	for key, values := range c.Context {
		context[strings.ToLower(key)] = values
	}
	in := &Input{
		Action: c.Action, Resource: c.Resource, Principal: who, ResourceAccount: c.ResourceAccount,
		Context:                func(key string) []string { return context[key] },
		Identity:               parseAll(t, Identity, c.Identity),
		ResourcePolicyRequired: c.ResourcePolicyRequired,
		ServiceControl:         parseLevels(t, ServiceControl, c.ServiceControl),
		ResourceControl:        parseLevels(t, Resource, c.ResourceControl),
	}
	if c.Session != nil {
		in.InSession, in.Session = true, parseAll(t, Identity, c.Session)
	}
	if c.Boundary != nil {
		in.Boundary = []Policy{mustParse(t, Managed, c.Boundary)}
	}
	if c.Endpoint != nil {
		in.Endpoint = []Policy{mustParse(t, Resource, c.Endpoint)}
	}
	if c.ResourcePolicy != nil {
		in.ResourcePolicies = []Policy{mustParse(t, Resource, c.ResourcePolicy)}
	}
	if c.Trust != nil {
		in.ResourcePolicies, in.ResourcePolicyRequired = []Policy{mustParse(t, Trust, c.Trust)}, true
	}
	return in
}

func outcomeOf(d *Decision) string {
	switch {
	case d.Allowed:
		return "allow"
	case d.Explicit:
		return "explicitDeny"
	}
	return "implicitDeny"
}

func TestCorpus(t *testing.T) {
	for file, cases := range readCorpus(t) {
		t.Run(file, func(t *testing.T) {
			for _, c := range cases {
				t.Run(c.Name, func(t *testing.T) {
					if c.Page == "" || c.Reason == "" {
						t.Fatal("a case says why, and which page says so")
					}
					d := Evaluate(c.input(t))
					if got := outcomeOf(d); got != c.Want || d.Layer.String() != c.Layer {
						t.Errorf("got %s %s, want %s %s: %s (%s)", got, d.Layer, c.Want, c.Layer, c.Reason, c.Page)
					}
					if d.Allowed != (d.Message() == "") || d.Explicit != (len(d.Denies) > 0) {
						t.Errorf("the decision contradicts itself: %+v", d)
					}
				})
			}
		})
	}
}

// without answers the policies without one of their statements.
func without(policies []Policy, victim int, effect Effect) ([]Policy, bool) {
	var left []Policy
	found := false
	for _, p := range policies {
		d := Document{kind: p.Document.kind, version: p.Document.version, keys: p.Document.keys}
		for _, s := range p.Document.statements {
			if s.Effect == effect {
				if victim == 0 {
					victim, found = -1, true
					continue
				}
				victim--
			}
			d.statements = append(d.statements, s)
		}
		left = append(left, Policy{Name: p.Name, Document: &d})
	}
	return left, found
}

// TestAddingADenyNeverAllowsMore and removing an Allow neither: for every case and every list of policies in it.
func TestAddingADenyNeverAllowsMore(t *testing.T) {
	denies := []Policy{
		mustParse(t, Identity, []byte(`{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"*","Resource":"*"}}`)),
		mustParse(t, Identity, []byte(`{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"s3:*","Resource":"arn:aws:s3:::photos/*"}}`)),
		mustParse(t, Identity, []byte(`{"Version":"2012-10-17","Statement":{"Effect":"Deny","NotAction":"sts:*","Resource":"*","Condition":{"StringNotEquals":{"aws:username":"bob"}}}}`)),
	}
	resourceDeny := mustParse(t, Resource, []byte(`{"Version":"2012-10-17","Statement":{"Effect":"Deny","Principal":"*","Action":"*","Resource":"*"}}`))
	for _, cases := range readCorpus(t) {
		for _, c := range cases {
			before := Evaluate(c.input(t))
			for _, more := range denies {
				for _, list := range []func(*Input) *[]Policy{
					func(in *Input) *[]Policy { return &in.Identity }, func(in *Input) *[]Policy { return &in.Session },
					func(in *Input) *[]Policy { return &in.Boundary },
				} {
					in := c.input(t)
					target := list(in)
					if target == &in.Session && !in.InSession || target == &in.Boundary && in.Boundary == nil {
						continue
					}
					*target = append(*target, more)
					if after := Evaluate(in); after.Allowed && !before.Allowed {
						t.Errorf("%s: a Deny made it allowed", c.Name)
					}
				}
			}
			in := c.input(t)
			in.ResourcePolicies = append(in.ResourcePolicies, resourceDeny)
			if Evaluate(in).Allowed {
				t.Errorf("%s: allowed though the resource denies everything to everybody", c.Name)
			}
		}
	}
}

func TestRemovingAnAllowNeverAllowsMore(t *testing.T) {
	lists := []func(*Input) *[]Policy{
		func(in *Input) *[]Policy { return &in.Identity }, func(in *Input) *[]Policy { return &in.Session },
		func(in *Input) *[]Policy { return &in.Boundary }, func(in *Input) *[]Policy { return &in.ResourcePolicies },
		func(in *Input) *[]Policy { return &in.Endpoint },
	}
	removed := 0
	for _, cases := range readCorpus(t) {
		for _, c := range cases {
			before := Evaluate(c.input(t))
			for _, list := range lists {
				for victim := 0; ; victim++ {
					in := c.input(t)
					left, found := without(*list(in), victim, Allow)
					if !found {
						break
					}
					*list(in) = left
					removed++
					if Evaluate(in).Allowed && !before.Allowed {
						t.Errorf("%s: without an Allow it is allowed", c.Name)
					}
				}
			}
		}
	}
	if removed < 400 {
		t.Errorf("only %d statements were removed", removed)
	}
}

// TestMixedPolicies puts policies of different cases together: whatever the mix, the two properties hold, and the order
// of policies does not matter.
func TestMixedPolicies(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var all []decisionCase
	for _, cases := range readCorpus(t) {
		all = append(all, cases...)
	}
	for range 20_000 {
		c := all[random.IntN(len(all))]
		in := c.input(t)
		for range 3 {
			other := all[random.IntN(len(all))].input(t)
			in.Identity = append(in.Identity, other.Identity...)
		}
		before := Evaluate(in)
		random.Shuffle(len(in.Identity), func(i, j int) { in.Identity[i], in.Identity[j] = in.Identity[j], in.Identity[i] })
		if Evaluate(in).Allowed != before.Allowed {
			t.Fatalf("%s: the order of policies matters", c.Name)
		}
		if len(in.Identity) == 0 {
			continue
		}
		in.Identity, _ = without(in.Identity, random.IntN(4), Allow)
		if Evaluate(in).Allowed && !before.Allowed {
			t.Fatalf("%s: without an Allow it is allowed", c.Name)
		}
	}
}

func TestMessages(t *testing.T) {
	alice, worker := callers["alice"], callers["worker"]
	deny := func(kind Kind, more string) []Policy {
		return []Policy{mustParse(t, kind, []byte(`{"Version":"2012-10-17","Statement":{"Effect":"Deny",`+more+`}}`))}
	}
	all := `"Action":"*","Resource":"*"`
	allow := []Policy{mustParse(t, Identity, []byte(`{"Version":"2012-10-17","Statement":{"Effect":"Allow",`+all+`}}`))}
	none := []Policy{}
	for want, in := range map[string]*Input{
		"User: arn:aws:iam::111122223333:user/alice is not authorized to perform: codecommit:ListRepositories because no identity-based policy allows the codecommit:ListRepositories action":                                                                         {Action: "codecommit:ListRepositories", Resource: "*", Principal: alice},
		"User: arn:aws:iam::111122223333:user/alice is not authorized to perform: codecommit:ListRepositories with an explicit deny in an identity-based policy":                                                                                                      {Action: "codecommit:ListRepositories", Resource: "*", Principal: alice, Identity: deny(Identity, all)},
		"User: arn:aws:iam::111122223333:user/alice is not authorized to perform: ssm:GetParameter on resource: arn:aws:ssm:us-east-1:111122223333:parameter/x because no service control policy allows the ssm:GetParameter action":                                  {Action: "ssm:GetParameter", Resource: "arn:aws:ssm:us-east-1:111122223333:parameter/x", Principal: alice, Identity: allow, ServiceControl: [][]Policy{none}},
		"User: arn:aws:iam::111122223333:user/alice is not authorized to perform: ssm:GetParameter with an explicit deny in a service control policy":                                                                                                                 {Action: "ssm:GetParameter", Resource: "*", Principal: alice, Identity: allow, ServiceControl: [][]Policy{deny(ServiceControl, all)}},
		"User: arn:aws:iam::111122223333:user/alice is not authorized to perform: ssm:GetParameter because no resource control policy allows the ssm:GetParameter action":                                                                                             {Action: "ssm:GetParameter", Resource: "*", Principal: alice, Identity: allow, ResourceControl: [][]Policy{none}},
		"User: arn:aws:iam::111122223333:user/alice is not authorized to perform: ssm:GetParameter with an explicit deny in a resource control policy":                                                                                                                {Action: "ssm:GetParameter", Resource: "*", Principal: alice, Identity: allow, ResourceControl: [][]Policy{deny(Resource, `"Principal":"*",`+all)}},
		"User: arn:aws:iam::111122223333:user/alice is not authorized to perform: sqs:SendMessage because no VPC endpoint policy allows the sqs:SendMessage action":                                                                                                   {Action: "sqs:SendMessage", Resource: "*", Principal: alice, Identity: allow, Endpoint: none},
		"User: arn:aws:iam::111122223333:user/alice is not authorized to perform: sqs:SendMessage because no permissions boundary allows the sqs:SendMessage action":                                                                                                  {Action: "sqs:SendMessage", Resource: "*", Principal: alice, Identity: allow, Boundary: none},
		"User: arn:aws:iam::111122223333:user/alice is not authorized to perform: sqs:SendMessage with an explicit deny in a permissions boundary":                                                                                                                    {Action: "sqs:SendMessage", Resource: "*", Principal: alice, Identity: allow, Boundary: deny(Identity, all)},
		"User: arn:aws:sts::111122223333:assumed-role/worker/job is not authorized to perform: sqs:SendMessage because no session policy allows the sqs:SendMessage action":                                                                                           {Action: "sqs:SendMessage", Resource: "*", Principal: worker, Identity: allow, InSession: true},
		"User: arn:aws:sts::111122223333:assumed-role/worker/job is not authorized to perform: sqs:SendMessage with an explicit deny in a session policy":                                                                                                             {Action: "sqs:SendMessage", Resource: "*", Principal: worker, Identity: allow, InSession: true, Session: deny(Identity, all)},
		"User: arn:aws:iam::111122223333:user/alice is not authorized to perform: sts:AssumeRole on resource: arn:aws:iam::111122223333:role/r with an explicit deny in the role trust policy":                                                                        {Action: "sts:AssumeRole", Resource: "arn:aws:iam::111122223333:role/r", Principal: alice, Identity: allow, ResourcePolicies: deny(Trust, `"Principal":{"AWS":"*"},"Action":"sts:AssumeRole"`)},
		"User: arn:aws:iam::111122223333:user/alice is not authorized to perform: sts:AssumeRole on resource: arn:aws:iam::111122223333:role/r because no role trust policy allows the sts:AssumeRole action":                                                         {Action: "sts:AssumeRole", Resource: "arn:aws:iam::111122223333:role/r", Principal: alice, Identity: allow, ResourcePolicyRequired: true, ResourcePolicies: []Policy{mustParse(t, Trust, []byte(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}}`))}},
		"User: arn:aws:iam::111122223333:user/alice is not authorized to perform: secretsmanager:GetSecretValue on resource: arn:aws:secretsmanager:us-east-1:444455556666:secret:x because no resource-based policy allows the secretsmanager:GetSecretValue action": {Action: "secretsmanager:GetSecretValue", Resource: "arn:aws:secretsmanager:us-east-1:444455556666:secret:x", ResourceAccount: "444455556666", Principal: alice, Identity: allow},
		`User: arn:aws:iam::111122223333:user/alice is not authorized to perform: s3:GetObject on resource: "arn:aws:s3:::b/k" with an explicit deny in a resource-based policy`:                                                                                      {Action: "s3:GetObject", Resource: "arn:aws:s3:::b/k", Principal: alice, Identity: allow, ResourcePolicies: deny(Resource, `"Principal":"*",`+all)},
	} {
		if got := Evaluate(in).Message(); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

func TestExpensiveKeysAreOnlyLookedUpWhereNeeded(t *testing.T) {
	asked := map[string]int{}
	in := &Input{Action: "s3:GetObject", Resource: "arn:aws:s3:::b/k", Principal: callers["alice"],
		Context: func(key string) []string { asked[key]++; return nil },
		Identity: []Policy{mustParse(t, Identity, []byte(`{"Version":"2012-10-17","Statement":[
			{"Effect":"Allow","Action":"s3:*","Resource":"*"},
			{"Effect":"Deny","Action":"ec2:*","Resource":"*","Condition":{"StringEquals":{"aws:ResourceTag/x":"y"}}}]}`))}}
	if !Evaluate(in).Allowed || len(asked) > 0 {
		t.Errorf("asked for %v", asked)
	}
	in.Action = "ec2:StopInstances"
	Evaluate(in)
	if asked["aws:resourcetag/x"] != 1 {
		t.Errorf("asked for %v", asked)
	}
}
