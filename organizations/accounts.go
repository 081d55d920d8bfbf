package organizations

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	"github.com/aws/aws-sdk-go-v2/service/organizations/types"

	"miniaws/awsapi"
	"miniaws/backend/store"
)

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
		for _, kind := range o.Enabled {
			n.change(kind, now(ctx))
		}
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
			return errConstraint(types.ConstraintViolationExceptionReasonCannotCloseManagementAccount, "You can't close the management account.")
		case n.Closed:
			return errAccountAlreadyClosed()
		}
		n.Closed = true
		return nil
	})
}

// RemoveAccountFromOrganization makes an account stand alone again.
func (s *Service) RemoveAccountFromOrganization(ctx context.Context, in *organizations.RemoveAccountFromOrganizationInput) (*organizations.RemoveAccountFromOrganizationOutput, error) {
	return &organizations.RemoveAccountFromOrganizationOutput{}, s.alter(ctx, func(tx store.Tx, o *organization) error {
		if _, err := o.account(aws.ToString(in.AccountId)); err != nil {
			return err
		}
		if *in.AccountId == o.Management {
			return errMasterCannotLeave()
		}
		return o.letGo(ctx, tx, *in.AccountId)
	})
}

// letGo takes an account out; it is no longer asked for its approval.
func (o *organization) letGo(ctx context.Context, tx store.Tx, account string) error {
	switch n := o.Nodes[account]; {
	case n.Closed:
		return errConstraint(types.ConstraintViolationExceptionReasonAccountCannotLeaveOrganization, "You can't remove an account that is closed.")
	case len(n.Delegated) > 0:
		return errConstraint(types.ConstraintViolationExceptionReasonCannotRemoveDelegatedAdministratorFromOrg, "You can't remove an account that is registered as a delegated administrator for a service integrated with your organization.")
	}
	delete(o.Nodes, account)
	return o.withdraw(ctx, tx, account)
}

// LeaveOrganization makes the caller's account stand alone again.
func (s *Service) LeaveOrganization(ctx context.Context, _ *organizations.LeaveOrganizationInput) (*organizations.LeaveOrganizationOutput, error) {
	account := awsapi.FromContext(ctx).Principal.Account
	return &organizations.LeaveOrganizationOutput{}, s.alterAny(ctx, func(tx store.Tx, o *organization) error {
		if account == o.Management {
			return errMasterCannotLeave()
		}
		return o.letGo(ctx, tx, account)
	})
}
