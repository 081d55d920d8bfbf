package organizations

import (
	"errors"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	"github.com/aws/aws-sdk-go-v2/service/organizations/types"

	"miniaws/awsapi"
)

// TestAccountsThatCannotBe: what no account can be made of is refused at once, and leaves no request.
func TestAccountsThatCannotBe(t *testing.T) {
	f := newFixture(t)
	f.organize()
	for _, c := range []struct {
		name, email, role string
		reason            types.InvalidInputExceptionReason
	}{
		{"x", "x@example.com", "not a name", types.InvalidInputExceptionReasonInvalidRoleName},
		{"x", "x@example.com", strings.Repeat("r", 65), types.InvalidInputExceptionReasonInvalidRoleName},
		{"", "x@example.com", "", types.InvalidInputExceptionReasonMinLengthExceeded},
		{strings.Repeat("x", 51), "x@example.com", "", types.InvalidInputExceptionReasonMaxLengthExceeded},
		{"x\n", "x@example.com", "", types.InvalidInputExceptionReasonInvalidPattern},
		{"x", "x@y.z", "", types.InvalidInputExceptionReasonMinLengthExceeded},
		{"x", strings.Repeat("x", 60) + "@example.com", "", types.InvalidInputExceptionReasonMaxLengthExceeded},
		{"x", "nobody at all", "", types.InvalidInputExceptionReasonInvalidPattern},
	} {
		_, err := f.by(management, &organizations.CreateAccountInput{AccountName: &c.name, Email: &c.email, RoleName: &c.role})
		var known *awsapi.Error
		if !errors.As(err, &known) || known.Code != "InvalidInputException" || known.Fields["Reason"] != string(c.reason) {
			t.Errorf("%+v: %v", c, err)
		}
	}
	if all := ask[organizations.ListCreateAccountStatusOutput](f, &organizations.ListCreateAccountStatusInput{}).CreateAccountStatuses; len(all) != 0 {
		t.Errorf("%+v", all)
	}
}

// TestRefusedAccount: an account that is refused when it is made has failed, and is not tried for ever.
func TestRefusedAccount(t *testing.T) {
	f := newFixture(t)
	f.organize()
	status := f.ready(&organizations.CreateAccountInput{AccountName: aws.String("x"), Email: aws.String("refused@example.com")})
	if status.State != types.CreateAccountStateFailed || status.FailureReason != types.CreateAccountFailureReasonInternalFailure || status.AccountId != nil {
		t.Errorf("%+v", status)
	}
}
