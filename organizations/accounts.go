package organizations

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	"github.com/aws/aws-sdk-go-v2/service/organizations/types"

	"miniaws/awsapi"
	"miniaws/backend/store"
)

// accessRole is the name of the role in a new account unless another is asked for.
// AWS: "CreateAccount" in the Organizations API reference, RoleName.
const accessRole = "OrganizationAccountAccessRole"

// request is what became of a CreateAccount.
type request struct {
	Name, Account string
	Requested     time.Time
	Failure       types.CreateAccountFailureReason `json:",omitempty"`
}

func (r *request) toAPI(id string) types.CreateAccountStatus {
	status := types.CreateAccountStatus{
		Id: aws.String(id), AccountName: aws.String(r.Name), RequestedTimestamp: aws.Time(r.Requested), CompletedTimestamp: aws.Time(r.Requested),
		State: types.CreateAccountStateFailed, FailureReason: r.Failure,
	}
	if r.Failure == "" {
		status.State, status.AccountId = types.CreateAccountStateSucceeded, aws.String(r.Account)
	}
	return status
}

// CreateAccount makes a real account, at once, with a role that the management account may assume.
func (s *Service) CreateAccount(ctx context.Context, in *organizations.CreateAccountInput) (*organizations.CreateAccountOutput, error) {
	err := s.look(ctx, func(_ store.Tx, o *organization) error {
		if o.count(types.TargetTypeAccount) >= maxAccounts {
			return errConstraint("You have exceeded the allowed number of AWS accounts.")
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	tags, err := tagsOf(in.Tags)
	if err != nil {
		return nil, err
	}
	roleName, email := accessRole, aws.ToString(in.Email)
	if aws.ToString(in.RoleName) != "" {
		roleName = *in.RoleName
	}
	made := &request{Name: aws.ToString(in.AccountName), Requested: now(ctx)}
	made.Account, err = s.config.Accounts.CreateAccount(ctx, made.Name, email, roleName, awsapi.FromContext(ctx).Principal.Account)
	switch {
	case errors.As(err, &ErrEmailTaken{}):
		made.Failure = types.CreateAccountFailureReasonEmailAlreadyExists
	case err != nil:
		return nil, err
	}
	id := "car-" + strings.ToLower(random(32))
	err = s.alter(ctx, func(_ store.Tx, o *organization) error {
		if o.Requests == nil {
			o.Requests = map[string]*request{}
		}
		o.Requests[id] = made
		if made.Failure == "" {
			o.Nodes[made.Account] = &node{
				Parent: o.Root, Name: made.Name, Email: email, Kind: types.TargetTypeAccount, Joined: made.Requested,
				Method: types.AccountJoinedMethodCreated, Tags: tags, Attached: o.defaults(),
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	status := made.toAPI(id)
	return &organizations.CreateAccountOutput{CreateAccountStatus: &status}, nil
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

func (o *organization) accountToAPI(id string) types.Account {
	n := o.Nodes[id]
	a := types.Account{
		Id: aws.String(id), Arn: aws.String(o.arn("account", id)), Name: aws.String(n.Name), JoinedMethod: n.Method, JoinedTimestamp: aws.Time(n.Joined),
		Status: types.AccountStatusActive, State: types.AccountStateActive,
	}
	if n.Email != "" {
		a.Email = aws.String(n.Email)
	}
	if n.Closed {
		a.Status, a.State = types.AccountStatusSuspended, types.AccountStateSuspended
	}
	return a
}

// account answers a member's node.
func (o *organization) account(id string) (*node, error) {
	if n := o.Nodes[id]; n != nil && n.Kind == types.TargetTypeAccount {
		return n, nil
	}
	return nil, errAccountNotFound()
}

// DescribeAccount answers one account.
func (s *Service) DescribeAccount(ctx context.Context, in *organizations.DescribeAccountInput) (*organizations.DescribeAccountOutput, error) {
	out := &organizations.DescribeAccountOutput{}
	return out, s.look(ctx, func(_ store.Tx, o *organization) error {
		id := aws.ToString(in.AccountId)
		if _, err := o.account(id); err != nil {
			return err
		}
		a := o.accountToAPI(id)
		out.Account = &a
		return nil
	})
}

// accounts lists those below a parent, or all, in the order of their numbers.
func (o *organization) accounts(parent string) []types.Account {
	all := []types.Account{}
	for _, id := range sortedKeys(o.Nodes) {
		if n := o.Nodes[id]; n.Kind == types.TargetTypeAccount && (parent == "" || n.Parent == parent) {
			all = append(all, o.accountToAPI(id))
		}
	}
	return all
}

// ListAccounts lists all accounts.
func (s *Service) ListAccounts(ctx context.Context, in *organizations.ListAccountsInput) (*organizations.ListAccountsOutput, error) {
	out := &organizations.ListAccountsOutput{}
	return out, s.look(ctx, func(_ store.Tx, o *organization) (err error) {
		out.Accounts, out.NextToken, err = cut(o.accounts(""), in.MaxResults, in.NextToken)
		return err
	})
}

// ListAccountsForParent lists the accounts right below a root or unit.
func (s *Service) ListAccountsForParent(ctx context.Context, in *organizations.ListAccountsForParentInput) (*organizations.ListAccountsForParentOutput, error) {
	out := &organizations.ListAccountsForParentOutput{}
	return out, s.look(ctx, func(_ store.Tx, o *organization) (err error) {
		if err := o.checkParent(in.ParentId); err != nil {
			return err
		}
		out.Accounts, out.NextToken, err = cut(o.accounts(*in.ParentId), in.MaxResults, in.NextToken)
		return err
	})
}

// MoveAccount puts an account below another parent.
func (s *Service) MoveAccount(ctx context.Context, in *organizations.MoveAccountInput) (*organizations.MoveAccountOutput, error) {
	return &organizations.MoveAccountOutput{}, s.alter(ctx, func(_ store.Tx, o *organization) error {
		n, err := o.account(aws.ToString(in.AccountId))
		if err != nil {
			return err
		}
		if err := o.checkParent(in.SourceParentId); err != nil || n.Parent != *in.SourceParentId {
			return errSourceNotFound()
		}
		if err := o.checkParent(in.DestinationParentId); err != nil {
			return errDestinationNotFound()
		}
		if n.Parent == *in.DestinationParentId {
			return errDuplicateAccount()
		}
		n.Parent = *in.DestinationParentId
		return nil
	})
}

// CloseAccount suspends an account: from the next call on nobody in it may do anything.
func (s *Service) CloseAccount(ctx context.Context, in *organizations.CloseAccountInput) (*organizations.CloseAccountOutput, error) {
	return &organizations.CloseAccountOutput{}, s.alter(ctx, func(_ store.Tx, o *organization) error {
		n, err := o.account(aws.ToString(in.AccountId))
		switch {
		case err != nil:
			return err
		case *in.AccountId == o.Management:
			return errConstraint("You can't close the management account.")
		case n.Closed:
			return errAccountAlreadyClosed()
		}
		n.Closed = true
		return nil
	})
}

// RemoveAccountFromOrganization makes an account stand alone again.
func (s *Service) RemoveAccountFromOrganization(ctx context.Context, in *organizations.RemoveAccountFromOrganizationInput) (*organizations.RemoveAccountFromOrganizationOutput, error) {
	return &organizations.RemoveAccountFromOrganizationOutput{}, s.alter(ctx, func(_ store.Tx, o *organization) error {
		n, err := o.account(aws.ToString(in.AccountId))
		switch {
		case err != nil:
			return err
		case *in.AccountId == o.Management:
			return errMasterCannotLeave()
		case n.Closed:
			return errConstraint("You can't remove an account that is closed.")
		}
		delete(o.Nodes, *in.AccountId)
		return nil
	})
}
