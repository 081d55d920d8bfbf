package organizations

import (
	"context"
	"errors"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	"github.com/aws/aws-sdk-go-v2/service/organizations/types"

	"miniaws/awsapi"
	"miniaws/backend/lazyregexp"
	"miniaws/backend/reconcile"
	"miniaws/backend/store"
)

// accessRole is the name of the role in a new account unless another is asked for.
// AWS: "CreateAccount" in the Organizations API reference, RoleName.
const accessRole = "OrganizationAccountAccessRole"

var (
	roleName    = lazyregexp.New(`^[\w+=,.@-]{1,64}$`)
	accountName = lazyregexp.New(`^[ -~]+$`)
)

// request is a CreateAccount, and what became of it.
type request struct {
	Name, Account string
	Requested     time.Time
	Failure       types.CreateAccountFailureReason `json:",omitempty"`
	// Open is how the account is to be made; nil once it is, or cannot be.
	Open *wantedAccount `json:",omitempty"`
	// Completed is zero in rows of before, whose accounts were made at once.
	Completed time.Time `json:",omitzero"`
}

type wantedAccount struct {
	Email, RoleName string
	Tags            map[string]string `json:",omitempty"`
}

const accountKind = "organizations.account"

func (r *request) toAPI(id string) types.CreateAccountStatus {
	status := types.CreateAccountStatus{
		Id: aws.String(id), AccountName: aws.String(r.Name), RequestedTimestamp: aws.Time(r.Requested),
		State: types.CreateAccountStateInProgress,
	}
	if r.Failure == "" {
		status.AccountId = aws.String(r.Account)
	}
	if r.Open != nil {
		return status
	}
	status.State, status.CompletedTimestamp = types.CreateAccountStateSucceeded, aws.Time(r.Completed)
	if r.Completed.IsZero() {
		status.CompletedTimestamp = aws.Time(r.Requested)
	}
	if r.Failure != "" {
		status.State, status.FailureReason = types.CreateAccountStateFailed, r.Failure
	}
	return status
}

// room tells that there may be another account.
func (o *organization) room() error {
	count := o.count(types.TargetTypeAccount)
	for _, r := range o.Requests {
		if r.Open != nil {
			count++
		}
	}
	if count >= maxAccounts {
		return errConstraint(types.ConstraintViolationExceptionReasonAccountNumberLimitExceeded, "You have exceeded the allowed number of AWS accounts.")
	}
	return nil
}

// checkRequest refuses what no account can be made of.
// AWS: "CreateAccount" in the API reference has the patterns and lengths; InvalidInputException there has the words, but those
// of a pattern are as clients report them (openshift/osdctl issue 204).
func checkRequest(in *organizations.CreateAccountInput) error {
	if role := aws.ToString(in.RoleName); role != "" && !roleName.MatchString(role) {
		return errInvalidInput(types.InvalidInputExceptionReasonInvalidRoleName, "You provided a role name that isn't valid. A role name can't exceed 64 characters and can include only alphanumeric characters and the following symbols: + = , . @ -")
	}
	for _, text := range []struct {
		value    *string
		min, max int
		pattern  *lazyregexp.Regexp
	}{{in.AccountName, 1, 50, accountName}, {in.Email, 6, 64, emailAddress}} {
		switch length := utf8.RuneCountInString(aws.ToString(text.value)); {
		case length < text.min:
			return errInvalidInput(types.InvalidInputExceptionReasonMinLengthExceeded, "You provided a string parameter that is shorter than allowed.")
		case length > text.max:
			return errInvalidInput(types.InvalidInputExceptionReasonMaxLengthExceeded, "You provided a string parameter that is longer than allowed.")
		case !text.pattern.MatchString(*text.value):
			return errInvalidInput(types.InvalidInputExceptionReasonInvalidPattern, "You provided a value that does not match the required pattern.")
		}
	}
	return nil
}

// CreateAccount asks for an account, which is made a moment later, with a role that the management account may assume.
func (s *Service) CreateAccount(ctx context.Context, in *organizations.CreateAccountInput) (*organizations.CreateAccountOutput, error) {
	if err := checkRequest(in); err != nil {
		return nil, err
	}
	tags, err := tagsOf(in.Tags)
	if err != nil {
		return nil, err
	}
	made := &request{Name: aws.ToString(in.AccountName), Requested: now(ctx), Open: &wantedAccount{Email: aws.ToString(in.Email), RoleName: accessRole, Tags: tags}}
	if aws.ToString(in.RoleName) != "" {
		made.Open.RoleName = *in.RoleName
	}
	if made.Account, err = s.config.Accounts.NewNumber(ctx); err != nil {
		return nil, err
	}
	id := "car-" + strings.ToLower(random(32))
	err = s.alter(ctx, func(tx store.Tx, o *organization) error {
		if err := o.room(); err != nil {
			return err
		}
		if o.Requests == nil {
			o.Requests = map[string]*request{}
		}
		o.Requests[id] = made
		return reconcile.Want(tx, reconcile.Item{Kind: accountKind, Account: o.Management, ID: id})
	})
	if err != nil {
		return nil, err
	}
	status := made.toAPI(id)
	return &organizations.CreateAccountOutput{CreateAccountStatus: &status}, nil
}

// Reconcile makes the accounts that were asked for.
func (s *Service) Reconcile(loop *reconcile.Loop) {
	loop.Handle(accountKind, func(ctx context.Context, item reconcile.Item) (time.Duration, error) {
		return 0, s.makeAccount(ctx, item.Account, item.ID)
	})
}

// makeAccount may be called again after it was interrupted anywhere.
func (s *Service) makeAccount(ctx context.Context, management, id string) error {
	var wanted *request
	err := s.config.DB.View(ctx, func(tx store.Tx) error {
		o, err := seenOrganizationOf(tx, management)
		if o != nil {
			wanted = o.Requests[id]
		}
		return err
	})
	if err != nil || wanted == nil || wanted.Open == nil {
		return err
	}
	err = s.config.Accounts.CreateAccount(ctx, wanted.Account, wanted.Name, wanted.Open.Email, wanted.Open.RoleName, management)
	var failure types.CreateAccountFailureReason
	switch refusal := (*awsapi.Error)(nil); {
	case err == nil:
	case errors.As(err, &ErrEmailTaken{}):
		failure = types.CreateAccountFailureReasonEmailAlreadyExists
	case errors.As(err, &refusal): // it would be refused again, however often
		failure = types.CreateAccountFailureReasonInternalFailure
	default:
		return err
	}
	return s.config.DB.Update(ctx, func(tx store.Tx) error {
		o, err := organizationOf(tx, management)
		if err != nil || o == nil || o.Requests[id] == nil || o.Requests[id].Open == nil {
			return err
		}
		r := o.Requests[id]
		r.Completed = tx.Now().UTC().Truncate(time.Second)
		if r.Failure = failure; failure == "" {
			o.Nodes[r.Account] = &node{
				Parent: o.Root, Name: r.Name, Email: r.Open.Email, Kind: types.TargetTypeAccount, Joined: r.Completed,
				Method: types.AccountJoinedMethodCreated, Tags: r.Open.Tags, Attached: o.defaults(),
			}
		}
		r.Open = nil
		if err := o.save(tx); err != nil {
			return err
		}
		return putStamp(tx)
	})
}

// DescribeCreateAccountStatus answers what became of a CreateAccount.
func (s *Service) DescribeCreateAccountStatus(ctx context.Context, in *organizations.DescribeCreateAccountStatusInput) (*organizations.DescribeCreateAccountStatusOutput, error) {
	out := &organizations.DescribeCreateAccountStatusOutput{}
	return out, s.look(ctx, func(_ store.Tx, o *organization) error {
		id := aws.ToString(in.CreateAccountRequestId)
		found := o.Requests[id]
		if found == nil {
			return errStatusNotFound()
		}
		status := found.toAPI(id)
		out.CreateAccountStatus = &status
		return nil
	})
}

// ListCreateAccountStatus lists them, of the states that are asked for.
func (s *Service) ListCreateAccountStatus(ctx context.Context, in *organizations.ListCreateAccountStatusInput) (*organizations.ListCreateAccountStatusOutput, error) {
	out := &organizations.ListCreateAccountStatusOutput{}
	return out, s.look(ctx, func(_ store.Tx, o *organization) (err error) {
		var all []types.CreateAccountStatus
		for _, id := range sortedKeys(o.Requests) {
			status := o.Requests[id].toAPI(id)
			if len(in.States) == 0 || contains(in.States, status.State) {
				all = append(all, status)
			}
		}
		out.CreateAccountStatuses, out.NextToken, err = cut(all, in.MaxResults, in.NextToken)
		return err
	})
}
