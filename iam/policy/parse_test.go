package policy

import (
	"errors"
	"strings"
	"testing"
)

// statement is a document of one statement with the given elements.
func statement(elements string) string {
	return `{"Version":"2012-10-17","Statement":{` + elements + `}}`
}

func TestParseAnswersInAWSWords(t *testing.T) {
	const syntax, legacy = "Syntax errors in policy.", "The policy failed legacy parsing"
	const iamPath = `IAM resource path must either be "*", root, or start with user/, federated-user/, role/, group/, instance-profile/, mfa/, server-certificate/, policy/, sms-mfa/, saml-provider/, oidc-provider/, report/, access-report/.`
	const sid = "Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the regular expression [0-9A-Za-z]*"
	for _, c := range []struct {
		name string
		kind Kind
		text string
		want string // empty: accepted
	}{
		{"empty", Managed, ``, syntax},
		{"no JSON", Managed, `Allow everything`, syntax},
		{"cut off", Managed, `{"Version":"2012-10-17","Statement":[`, syntax},
		{"something behind it", Managed, statement(`"Effect":"Allow","Action":"*","Resource":"*"`) + `x`, syntax},
		{"a second object behind it", Managed, statement(`"Effect":"Allow","Action":"*","Resource":"*"`) + `{}`, syntax},
		// One was refused so in 2018 (dan-v/awslambdaproxy pull request 3); scripts of today send it.
		{"white space around it", Managed, "\n " + statement(`"Effect":"Allow","Action":"*","Resource":"*"`) + "\n", ""},
		{"one statement before the version", Managed, `{"Statement":{"Effect":"Allow","Action":"*","Resource":"*"},"Version":"2012-10-17"}`, legacy},
		{"statements before the version", Managed, `{"Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}],"Version":"2012-10-17"}`, ""},
		{"a list", Managed, `[]`, syntax},
		{"null", Managed, `null`, syntax},
		{"trailing comma", Managed, statement(`"Effect":"Allow","Action":"*","Resource":"*",`), syntax},
		{"deep", Managed, strings.Repeat(`{"Statement":`, 5000) + strings.Repeat(`}`, 5000), syntax},
		{"too long to be read", Managed, statement(`"Effect":"Allow","Action":"*","Resource":"*"`) + strings.Repeat(" ", maxText), syntax},
		{"unknown element", Managed, `{"Version":"2012-10-17","Statements":[]}`, syntax},
		{"case of an element", Managed, `{"version":"2012-10-17","Statement":[]}`, syntax},
		{"element twice", Managed, statement(`"Effect":"Deny","Effect":"Allow","Action":"*","Resource":"*"`), syntax},
		{"no version, managed", Managed, `{"Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}`, "Policy document must be version 2012-10-17 or greater."},
		{"old version, managed", Managed, `{"Version":"2008-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}`, "Policy document must be version 2012-10-17 or greater."},
		{"no version, inline", Identity, `{"Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}`, ""},
		{"old version, inline", Identity, `{"Version":"2008-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}`, ""},
		{"invented version", Identity, `{"Version":"2012-10-18","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}`, syntax},
		{"version a number", Identity, `{"Version":2012,"Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}`, syntax},
		{"id", Managed, `{"Version":"2012-10-17","Id":"cd3ad3d9","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}`, ""},
		{"id not a string", Managed, `{"Version":"2012-10-17","Id":7,"Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}`, syntax},
		{"no statement", Managed, `{"Version":"2012-10-17"}`, syntax},
		{"no statements", Managed, `{"Version":"2012-10-17","Statement":[]}`, syntax},
		{"statement a string", Managed, `{"Version":"2012-10-17","Statement":"test"}`, syntax},
		{"statement a list of strings", Managed, `{"Version":"2012-10-17","Statement":["test"]}`, syntax},
		{"unknown element of a statement", Managed, statement(`"Effect":"Allow","Actions":"*","Resource":"*"`), syntax},
		{"sid not a string", Managed, statement(`"Sid":1,"Effect":"Allow","Action":"*","Resource":"*"`), syntax},
		{"sid with a space", Managed, statement(`"Sid":"sdf asdf","Effect":"Allow","Action":"*","Resource":"*"`), sid},
		{"sid with a space, of a bucket", Resource, statement(`"Sid":"sdf asdf","Effect":"Allow","Principal":"*","Action":"*","Resource":"*"`), ""},
		{"sid empty", Managed, statement(`"Sid":"","Effect":"Allow","Action":"*","Resource":"*"`), ""},
		{"sid twice", Managed, `{"Version":"2012-10-17","Statement":[{"Sid":"a","Effect":"Allow","Action":"*","Resource":"*"},{"Sid":"a","Effect":"Deny","Action":"*","Resource":"*"}]}`, "Statement IDs (SID) in a single policy must be unique."},
		{"no effect", Managed, statement(`"Action":"*","Resource":"*"`), syntax},
		{"effect of another kind", Managed, statement(`"Effect":"Permit","Action":"*","Resource":"*"`), syntax},
		{"case of an effect", Managed, statement(`"Effect":"allow","Action":"*","Resource":"*"`), legacy},
		{"principal", Managed, statement(`"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"`), "Policy document should not specify a principal."},
		{"not principal", Identity, statement(`"Effect":"Allow","NotPrincipal":{"AWS":"*"},"Action":"*","Resource":"*"`), "Policy document should not specify a principal."},
		{"no action", Managed, statement(`"Effect":"Allow","Resource":"*"`), "Policy statement must contain actions."},
		{"no actions", Managed, statement(`"Effect":"Allow","Action":[],"Resource":"*"`), "Policy statement must contain actions."},
		{"action and not action", Managed, statement(`"Effect":"Allow","Action":"s3:*","NotAction":"s3:*","Resource":"*"`), syntax},
		{"action an object", Managed, statement(`"Effect":"Allow","Action":{},"Resource":"*"`), syntax},
		{"action a number", Managed, statement(`"Effect":"Allow","Action":[1],"Resource":"*"`), syntax},
		{"action without a service", Managed, statement(`"Effect":"Allow","Action":"invalid","Resource":"*"`), "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc."},
		{"action with two colons", Managed, statement(`"Effect":"Allow","Action":"s3:s3:ListBucket","Resource":"*"`), "Actions/Condition can contain only one colon."},
		{"action of an impossible service", Managed, statement(`"Effect":"Allow","Action":"a a:ListBucket","Resource":"*"`), "Vendor a a is not valid"},
		{"action with a wildcard for the service", Managed, statement(`"Effect":"Allow","Action":"s*:ListBucket","Resource":"*"`), "Action vendors (e.g., aws, ec2, etc.) must not contain wildcards."},
		{"every action of every service", Managed, statement(`"Effect":"Allow","Action":"*:*","Resource":"*"`), ""},
		{"action with a control character", Managed, statement(`"Effect":"Allow","Action":"s3:\u0000","Resource":"*"`), syntax},
		{"no resource", Managed, statement(`"Effect":"Allow","Action":"*"`), "Policy statement must contain resources."},
		{"no resources", Managed, statement(`"Effect":"Allow","Action":"*","Resource":[]`), "Policy statement must contain resources."},
		{"resource and not resource", Managed, statement(`"Effect":"Allow","Action":"*","Resource":"*","NotResource":"*"`), syntax},
		{"resource an object", Managed, statement(`"Effect":"Allow","Action":"*","Resource":{"a":"b"}`), syntax},
		{"resource no ARN", Managed, statement(`"Effect":"Allow","Action":"*","Resource":"invalid resource"`), `Resource invalid resource must be in ARN format or "*".`},
		{"resource of no partition", Managed, statement(`"Effect":"Allow","Action":"*","Resource":"arn:error:s3:::x"`), `Partition "error" is not valid for resource "arn:error:s3:::x".`},
		{"resource of no partition, short", Managed, statement(`"Effect":"Allow","Action":"*","Resource":"arn:error"`), `Partition "error" is not valid for resource "arn:error:*:*:*:*".`},
		{"resource of any service", Managed, statement(`"Effect":"Allow","Action":"*","Resource":"arn:aws:*:::x"`), "Resource vendor must be fully qualified and cannot contain regexes."},
		{"resource short", Managed, statement(`"Effect":"Allow","Action":"*","Resource":"arn:aws:sqs"`), ""},
		{"resource with an odd account", Managed, statement(`"Effect":"Allow","Action":"*","Resource":"arn:aws:s3::bucket"`), legacy},
		{"bucket with a region", Managed, statement(`"Effect":"Allow","Action":"*","Resource":"arn:aws:s3:us-east-1::bucket"`), "Resource arn:aws:s3:us-east-1::bucket can not contain region information."},
		{"role with a region", Managed, statement(`"Effect":"Allow","Action":"*","Resource":"arn:aws:iam:us-east-1::role/x"`), "IAM resource arn:aws:iam:us-east-1::role/x cannot contain region information."},
		{"iam path", Managed, statement(`"Effect":"Allow","Action":"*","Resource":"arn:aws:iam::123456789012:foo/x"`), `IAM resource path must either be "*", root, or start with user/, federated-user/, role/, group/, instance-profile/, mfa/, server-certificate/, policy/, sms-mfa/, saml-provider/, oidc-provider/, report/, access-report/.`},
		{"iam path with a wildcard", Managed, statement(`"Effect":"Allow","Action":"*","Resource":["arn:aws:iam::*:*","arn:aws:iam::123456789012:user/*","arn:aws:iam::123456789012:root","arn:aws:iam::123456789012:${a:b}"]`), ""},
		{"iam path with a wildcard for its beginning", Managed, statement(`"Effect":"Allow","Action":"*","Resource":"arn:aws:iam::123456789012:*/x"`), iamPath},
		{"iam path with a wildcard in its beginning", Managed, statement(`"Effect":"Allow","Action":"*","Resource":"arn:aws:iam::123456789012:us*"`), iamPath},
		{"partition a variable", Managed, statement(`"Effect":"Allow","Action":"*","Resource":"arn:${ARN_PARTITION}:s3:::x"`), `Partition "${ARN_PARTITION}" is not valid for resource "arn:${ARN_PARTITION}:s3:::x".`},
		{"another partition", Managed, statement(`"Effect":"Allow","Action":"*","Resource":"arn:aws-cn:s3:::x"`), `Partition "aws-cn" is not valid for resource "arn:aws-cn:s3:::x".`},
		{"every partition", Managed, statement(`"Effect":"Allow","Action":"*","Resource":"arn:*:s3:::x"`), ""},
		{"bucket with an account", Managed, statement(`"Effect":"Allow","Action":"*","Resource":"arn:aws:s3::123456789012:bucket"`), "Resource arn:aws:s3::123456789012:bucket cannot contain an account id."},
		{"hosted zone with a region", Managed, statement(`"Effect":"Allow","Action":"*","Resource":"arn:aws:route53:eu-west-1:123456789012:hostedzone/*"`), "Resource arn:aws:route53:eu-west-1:123456789012:hostedzone/* can not contain region information."},
		{"hosted zone with an account", Managed, statement(`"Effect":"Allow","Action":"*","Resource":"arn:aws:route53::123456789012:hostedzone/*"`), "Resource arn:aws:route53::123456789012:hostedzone/* cannot contain an account id."},
		{"an ARN without a resource", Identity, statement(`"Effect":"Allow","Action":"iam:PassRole","Resource":"arn:aws:iam:123456789012:user/x"`), legacy},
		{"impossible number", Managed, statement(`"Effect":"Allow","Action":"*","Resource":"*","Condition":{"NumericEquals":{"s3:max-keys":"ten"}}`), legacy},
		{"variable for a number", Managed, statement(`"Effect":"Allow","Action":"*","Resource":"*","Condition":{"NumericEquals":{"s3:max-keys":"${a:b}"}}`), legacy},
		{"impossible address", Managed, statement(`"Effect":"Allow","Action":"*","Resource":"*","Condition":{"IpAddress":{"aws:SourceIp":"10.0.0.0/33"}}`), legacy},
		{"impossible bytes", Managed, statement(`"Effect":"Allow","Action":"*","Resource":"*","Condition":{"BinaryEquals":{"a:b":"***"}}`), syntax},
		{"unknown operator", Managed, statement(`"Effect":"Allow","Action":"*","Resource":"*","Condition":{"StringSame":{"aws:username":"x"}}`), syntax},
		{"unknown set operator", Managed, statement(`"Effect":"Allow","Action":"*","Resource":"*","Condition":{"ForSome:StringLike":{"aws:username":"x"}}`), syntax},
		{"null if exists", Managed, statement(`"Effect":"Allow","Action":"*","Resource":"*","Condition":{"NullIfExists":{"aws:username":"true"}}`), syntax},
		{"condition a list", Managed, statement(`"Effect":"Allow","Action":"*","Resource":"*","Condition":[]`), syntax},
		{"condition block a string", Managed, statement(`"Effect":"Allow","Action":"*","Resource":"*","Condition":{"StringLike":"x"}`), syntax},
		{"condition value an object", Managed, statement(`"Effect":"Allow","Action":"*","Resource":"*","Condition":{"StringLike":{"aws:username":{}}}`), syntax},
		{"condition value a boolean", Managed, statement(`"Effect":"Allow","Action":"*","Resource":"*","Condition":{"Bool":{"aws:SecureTransport":true}}`), ""},
		{"condition value a number", Managed, statement(`"Effect":"Allow","Action":"*","Resource":"*","Condition":{"NumericLessThan":{"s3:max-keys":10}}`), ""},
		{"condition empty", Managed, statement(`"Effect":"Allow","Action":"*","Resource":"*","Condition":{}`), ""},
		{"condition key twice in two cases", Managed, statement(`"Effect":"Allow","Action":"*","Resource":"*","Condition":{"Bool":{"aws:SecureTransport":true,"aws:securetransport":false}}`), syntax},
		{"impossible date", Managed, statement(`"Effect":"Allow","Action":"*","Resource":"*","Condition":{"DateGreaterThan":{"aws:CurrentTime":"01T"}}`), legacy},

		{"trust", Trust, statement(`"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"`), ""},
		{"trust, several", Trust, statement(`"Effect":"Allow","Principal":{"AWS":["123456789012","arn:aws:iam::123456789012:root","arn:aws:iam::123456789012:user/div/x"],"Federated":"accounts.google.com"},"Action":["sts:AssumeRole*","sts:TagSession"]`), ""},
		{"trust with a resource", Trust, statement(`"Effect":"Allow","Principal":{"AWS":"*"},"Action":"sts:AssumeRole","Resource":"*"`), "Has prohibited field Resource"},
		{"trust without resources", Trust, statement(`"Effect":"Allow","Principal":{"AWS":"*"},"Action":"sts:AssumeRole","NotResource":"*"`), "AssumeRole policy must not contain resources."},
		{"trust, a string for everybody", Trust, statement(`"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole"`), `AssumeRolepolicy contained an invalid principal: "STAR":"*".`},
		{"trust, no JSON", Trust, "trust.json", "This policy contains invalid Json"},
		{"trust, nothing", Trust, "", "This policy contains invalid Json"},
		{"trust of a wrong version", Trust, `{"Version":"2015-10-17","Statement":[]}`, "The policy must contain a valid version string"},
		{"trust without statements", Trust, `{"Version":"2012-10-17","Statement":[]}`, "Could not parse the policy: Statement is empty!"},
		{"trust with another element", Trust, statement(`"Comment":"x","Effect":"Allow","Principal":{"AWS":"*"},"Action":"sts:AssumeRole"`), "Unknown field Comment"},
		{"trust without effect", Trust, statement(`"Principal":{"AWS":"*"},"Action":"sts:AssumeRole"`), "Missing required field Effect"},
		{"trust with another effect", Trust, statement(`"Effect":"allow","Principal":{"AWS":"*"},"Action":"sts:AssumeRole"`), "Invalid effect: allow"},
		{"trust without action", Trust, statement(`"Effect":"Allow","Principal":{"AWS":"*"}`), "Missing required field Action"},
		{"trust with an id twice", Trust, `{"Version":"2012-10-17","Statement":[{"Sid":"a","Effect":"Allow","Principal":{"AWS":"*"},"Action":"sts:AssumeRole"},{"Sid":"a","Effect":"Allow","Principal":{"AWS":"*"},"Action":"sts:AssumeRole"}]}`, "The Statement Ids in the policy are not unique"},
		{"trust of not somebody", Trust, statement(`"Effect":"Deny","NotPrincipal":{"AWS":"123456789012"},"Action":"sts:AssumeRole"`), "AssumeRole policy must not contain NotPrincipal field."},
		{"trust of all but somebody", Trust, statement(`"Effect":"Allow","NotPrincipal":{"AWS":"123456789012"},"Action":"sts:AssumeRole"`), "Allow with NotPrincipal is not allowed."},
		{"trust of every identity pool", Trust, statement(`"Effect":"Allow","Principal":{"Federated":"cognito-identity.amazonaws.com"},"Action":"sts:AssumeRoleWithWebIdentity"`), "A condition block must be present for the Cognito provider"},
		{"trust for every action of STS", Trust, statement(`"Effect":"Allow","Principal":{"AWS":"*"},"Action":"sts:*"`), "AssumeRole policy may only specify STS AssumeRole actions."},
		{"trust of nobody", Trust, statement(`"Effect":"Allow","Action":"sts:AssumeRole"`), "Missing required field Principal"},
		{"trust for another service", Trust, statement(`"Effect":"Allow","Principal":{"AWS":"*"},"Action":"s3:GetObject"`), "AssumeRole policy may only specify STS AssumeRole actions."},
		{"trust for another action", Trust, statement(`"Effect":"Allow","Principal":{"AWS":"*"},"Action":"sts:GetCallerIdentity"`), "AssumeRole policy may only specify STS AssumeRole actions."},
		{"trust for everything", Trust, statement(`"Effect":"Allow","Principal":{"AWS":"*"},"Action":"*"`), "AssumeRole policy may only specify STS AssumeRole actions."},
		{"principal with a wildcard", Trust, statement(`"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::123456789012:user/*"},"Action":"sts:AssumeRole"`), `Invalid principal in policy: "AWS":"arn:aws:iam::123456789012:user/*"`},
		{"principal a group", Trust, statement(`"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::123456789012:group/x"},"Action":"sts:AssumeRole"`), `Invalid principal in policy: "AWS":"arn:aws:iam::123456789012:group/x"`},
		{"principal no service", Trust, statement(`"Effect":"Allow","Principal":{"Service":"ec2"},"Action":"sts:AssumeRole"`), `Invalid principal in policy: "SERVICE":"ec2"`},
		{"principal of no class", Trust, statement(`"Effect":"Allow","Principal":{"Aws":"*"},"Action":"sts:AssumeRole"`), `Invalid principal in policy: "Aws":"*"`},
		{"principal a string", Trust, statement(`"Effect":"Allow","Principal":"123456789012","Action":"sts:AssumeRole"`), `Invalid principal in policy: "STATIC":"123456789012"`},
		{"principal empty", Trust, statement(`"Effect":"Allow","Principal":{},"Action":"sts:AssumeRole"`), syntax},

		{"bucket", Resource, statement(`"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/*"`), ""},
		{"bucket without principal", Resource, statement(`"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/*"`), "Missing required field Principal"},
		{"bucket without resource", Resource, statement(`"Effect":"Allow","Principal":"*","Action":"s3:GetObject"`), "Missing required field Resource"},

		{"scp", ServiceControl, statement(`"Effect":"Deny","Action":"s3:*","Resource":"*"`), ""},
		{"scp with a principal", ServiceControl, statement(`"Effect":"Deny","Principal":"*","Action":"s3:*","Resource":"*"`), syntax},
		{"rcp", ResourceControl, statement(`"Effect":"Deny","Principal":"*","Action":"s3:*","Resource":"*"`), ""},
		{"rcp that allows", ResourceControl, statement(`"Effect":"Allow","Principal":"*","Action":"s3:*","Resource":"*"`), syntax},
		{"rcp for everything", ResourceControl, statement(`"Effect":"Deny","Principal":"*","Action":"*","Resource":"*"`), syntax},
		{"rcp for one principal", ResourceControl, statement(`"Effect":"Deny","Principal":{"AWS":"*"},"Action":"s3:*","Resource":"*"`), syntax},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Parse(c.kind, c.text)
			got := ""
			if m := (*Malformed)(nil); errors.As(err, &m) {
				got = m.Message
			} else if err != nil {
				t.Fatalf("%T: %v", err, err)
			}
			if got != c.want {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
		})
	}
}

func TestPositions(t *testing.T) {
	d, err := Parse(Managed, "{\n  \"Version\": \"2012-10-17\",\n  \"Statement\": [\n    {\"Effect\":\"Allow\",\n \"Action\":\"*\",\"Resource\":\"*\"}\n  ]\n}")
	if err != nil {
		t.Fatal(err)
	}
	s := d.Statements()[0]
	if want := (Position{4, 6}); s.Start != want {
		t.Errorf("start %v, want %v", s.Start, want)
	}
	if want := (Position{5, 30}); s.End != want {
		t.Errorf("end %v, want %v", s.End, want)
	}
}

func TestKeys(t *testing.T) {
	d, err := Parse(Managed, statement(`"Effect":"Allow","Action":"*","Resource":"arn:aws:s3:::b/${aws:UserName}/*","Condition":{"StringLike":{"AWS:ResourceTag/Team":"${aws:PrincipalTag/Team, 'none'}"}}`))
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(d.Keys(), " "); got != "aws:principaltag/team aws:resourcetag/team aws:username" {
		t.Errorf("keys %s", got)
	}
}

func TestSizeCountsNoWhiteSpace(t *testing.T) {
	if got := Size("{ \"Sid\" :\t\"é\"}\r\n"); got != 11 {
		t.Errorf("%d characters, want 11", got)
	}
}

// TestHostileTexts: nothing of this is a policy, whatever its kind, and all of it is refused in time.
func TestHostileTexts(t *testing.T) {
	whole := statement(`"Effect":"Allow","Action":"s3:GetObject","Resource":"*"`)
	for name, text := range map[string]string{
		"byte order mark":            "\uFEFF" + whole,
		"UTF-16":                     "{\x00\"\x00V\x00",
		"zero byte before":           "\x00" + whole,
		"zero byte in a name":        strings.Replace(whole, "Effect", "Effect\x00", 1),
		"escaped zero in an action":  strings.Replace(whole, "s3:GetObject", `s3:\u0000GetObject`, 1),
		"delete character":           strings.Replace(whole, "s3:GetObject", "s3:\x01", 1),
		"Cyrillic letter in Effect":  strings.Replace(whole, "Effect", "\u0415ffect", 1),
		"Cyrillic letter in Allow":   strings.Replace(whole, "Allow", "\u0410llow", 1),
		"full width Deny":            strings.Replace(whole, "Allow", "\uFF24eny", 1),
		"zero width in Statement":    strings.Replace(whole, "Statement", "State\u200Bment", 1),
		"right to left override":     strings.Replace(whole, `"Version"`, "\u202E\"Version\"", 1),
		"long s in Statement":        strings.Replace(whole, "Statement", "\u017Ftatement", 1),
		"escaped key twice":          strings.Replace(whole, `"Effect":"Allow"`, `"Effect":"Deny","\u0045ffect":"Allow"`, 1),
		"Statement twice":            strings.Replace(whole, `"Statement"`, `"Statement":[],"Statement"`, 1),
		"condition key twice":        strings.Replace(whole, `"Resource"`, `"Condition":{"Bool":{"a:b":"true","A:B":"false"}},"Resource"`, 1),
		"operator twice":             strings.Replace(whole, `"Resource"`, `"Condition":{"Bool":{"a:b":"true"},"bool":{"a:b":"false"}},"Resource"`, 1),
		"deep lists":                 strings.Replace(whole, `"s3:GetObject"`, strings.Repeat("[", 90_000)+strings.Repeat("]", 90_000), 1),
		"deep objects":               strings.Repeat(`{"Statement":`, 10_000),
		"number for an action":       strings.Replace(whole, `"s3:GetObject"`, "7", 1),
		"endless number":             strings.Replace(whole, `"s3:GetObject"`, "1e999999999", 1),
		"null for an effect":         strings.Replace(whole, `"Allow"`, "null", 1),
		"null for a statement":       `{"Version":"2012-10-17","Statement":null}`,
		"null in a list":             strings.Replace(whole, `"s3:GetObject"`, `["s3:GetObject",null]`, 1),
		"null for a condition":       strings.Replace(whole, `"Resource"`, `"Condition":null,"Resource"`, 1),
		"null for a condition value": strings.Replace(whole, `"Resource"`, `"Condition":{"Bool":{"a:b":null}},"Resource"`, 1),
		"empty name of a key":        strings.Replace(whole, `"Resource"`, `"Condition":{"Bool":{"":"true"}},"Resource"`, 1),
		"empty element":              strings.Replace(whole, `"Effect"`, `"":"","Effect"`, 1),
		"comment":                    strings.Replace(whole, `"Effect"`, `/* x */"Effect"`, 1),
		"single quotes":              strings.ReplaceAll(whole, `"`, `'`),
		"trailing comma":             strings.Replace(whole, "}}", ",}}", 1),
		"percent encoded":            "%7B%22Version%22%3A%222012-10-17%22%7D",
		"a string of a policy":       `"` + strings.ReplaceAll(whole, `"`, `\"`) + `"`,
		"a list of a policy":         "[" + whole + "]",
		"longer than any":            whole + strings.Repeat(" ", maxText),
	} {
		for kind := Identity; kind <= ResourceControl; kind++ {
			d, err := Parse(kind, text)
			if malformed := (*Malformed)(nil); d != nil || !errors.As(err, &malformed) {
				t.Errorf("%s, kind %d: %v", name, kind, err)
			}
		}
	}
	// What is not ASCII is allowed where any text is.
	if _, err := Parse(Managed, statement(`"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/\u00e9\ud83d\ude00/*","Condition":{"StringEquals":{"aws:PrincipalTag/caf\u00e9":"\u65e5\u672c"}}`)); err != nil {
		t.Error(err)
	}
}

// TestStoredDocumentsAreRead: what was stored before a check was made is compiled all the same.
func TestStoredDocumentsAreRead(t *testing.T) {
	for _, text := range []string{
		" " + statement(`"Effect":"Deny","Principal":"*","Action":"sts:AssumeRole"`),
		`{"Statement":{"Effect":"Deny","Principal":"*","Action":"sts:*"},"Version":"2012-10-17"}`,
	} {
		if _, err := Parse(Trust, text); err == nil {
			t.Errorf("%s is not refused", text)
		}
		if _, err := Compile(Trust, text); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
	for _, elements := range []string{
		`"Effect":"Deny","Action":"s*:x","Resource":"*"`, `"Effect":"Deny","Action":"*","Resource":"arn:aws-cn:iam:x:1:*/y"`, `"Effect":"Deny","Action":"*","Resource":"x"`,
		`"Effect":"Deny","Action":"*","Resource":"*","Condition":{"NumericEquals":{"a:b":"ten"}}`,
	} {
		if _, err := Compile(Identity, statement(elements)); err != nil {
			t.Errorf("%s: %v", elements, err)
		}
	}
	if _, err := Compile(Identity, `{"Version":"2012-10-17","Statement":[]`); err == nil {
		t.Error("what is cut off is read")
	}
}

// TestThoroughEvaluationAsksForEveryKey: simulations name all that they miss.
func TestThoroughEvaluationAsksForEveryKey(t *testing.T) {
	d, err := Parse(Identity, statement(`"Effect":"Allow","Action":"s3:*","Resource":"*","Condition":{"StringEquals":{"aws:RequestedRegion":"eu-west-1","s3:prefix":"x"},"Bool":{"aws:SecureTransport":"true"}}`))
	if err != nil {
		t.Fatal(err)
	}
	for thorough, want := range map[bool]int{false: 1, true: 3} {
		asked := map[string]bool{}
		Evaluate(&Input{Action: "s3:ListBucket", Resource: "*", Principal: callers["alice"], Identity: []Policy{{Document: d}}, Thorough: thorough,
			Context: func(key string) []string { asked[key] = true; return nil }})
		if len(asked) != want {
			t.Errorf("thorough %v: asked for %v", thorough, asked)
		}
	}
}
