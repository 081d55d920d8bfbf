package policy

import (
	"fmt"
	"strings"
	"testing"
)

// large is a principal with 20 policies of 10 statements of two resources each, as issue writers and auditors imagine them.
func large(tb testing.TB) *Input {
	tb.Helper()
	var policies []Policy
	for i := range 20 {
		var statements []string
		for j := range 10 {
			statements = append(statements, fmt.Sprintf(`{"Sid":"S%d","Effect":"Allow","Action":["s3:Get*","s3:PutObject","ec2:Describe*","dynamodb:Query"],
				"Resource":["arn:aws:s3:::bucket-%d-%d/*","arn:aws:s3:::${aws:username}-%[2]d-%[3]d/home/*"],
				"Condition":{"StringEquals":{"aws:RequestedRegion":"eu-west-1"},"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}}}`, j, i, j))
		}
		d, err := Parse(Managed, `{"Version":"2012-10-17","Statement":[`+strings.Join(statements, ",")+`]}`)
		if err != nil {
			tb.Fatal(err)
		}
		policies = append(policies, Policy{Name: fmt.Sprint(i), Document: d})
	}
	context := map[string][]string{"aws:requestedregion": {"eu-west-1"}, "aws:sourceip": {"10.1.2.3"}, "aws:username": {"alice"}}
	return &Input{Action: "s3:GetObject", Resource: "arn:aws:s3:::bucket-19-9/photo.jpg", Identity: policies,
		Principal: Principal{Kind: User, Account: "111122223333", ARN: "arn:aws:iam::111122223333:user/alice"},
		Context:   func(key string) []string { return context[key] }}
}

func BenchmarkEvaluate(b *testing.B) {
	in := large(b)
	b.ReportAllocs()
	for b.Loop() {
		if !Evaluate(in).Allowed {
			b.Fatal("denied")
		}
	}
}

func BenchmarkParse(b *testing.B) {
	text := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:Get*","s3:List*"],"Resource":"arn:aws:s3:::photos/${aws:username}/*","Condition":{"Bool":{"aws:SecureTransport":"true"}}}]}`
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse(Managed, text); err != nil {
			b.Fatal(err)
		}
	}
}
