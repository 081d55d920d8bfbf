package organizations

import (
	"context"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	"github.com/aws/aws-sdk-go-v2/service/organizations/types"

	"miniaws/backend/store"
)

// A delegated administrator is a member account that a service's settings for the whole organization are made in. It may
// read what the management account may read of the organization.

// RegisterDelegatedAdministrator makes a member one for a service that works with the organization.
func (s *Service) RegisterDelegatedAdministrator(ctx context.Context, in *organizations.RegisterDelegatedAdministratorInput) (*organizations.RegisterDelegatedAdministratorOutput, error) {
	name := aws.ToString(in.ServicePrincipal)
	return &organizations.RegisterDelegatedAdministratorOutput{}, s.alter(ctx, func(_ store.Tx, o *organization) error {
		if !strings.HasSuffix(name, ".amazonaws.com") {
			return errInvalidInput(types.InvalidInputExceptionReasonUnrecognizedServicePrincipal, "You specified an unrecognized service principal.")
		}
		n, err := o.account(aws.ToString(in.AccountId))
		if err != nil {
			return err
		}
		switch _, enabled := o.Services[name]; {
		case *in.AccountId == o.Management:
			return errConstraint(types.ConstraintViolationExceptionReasonCannotRegisterMasterAsDelegatedAdministrator, "You cannot register master account/yourself as delegated administrator for your organization.")
		case n.Closed:
			return errConstraint(types.ConstraintViolationExceptionReasonCannotRegisterSuspendedAccountAsDelegatedAdministrator, "You cannot register a suspended account as a delegated administrator.")
		case !n.Delegated[name].IsZero():
			return errAlreadyRegistered()
		case !enabled:
			return errConstraint(types.ConstraintViolationExceptionReasonServiceAccessNotEnabled, "You attempted to register a delegated administrator before you enabled service access. Call the EnableAWSServiceAccess API first.")
		}
		if n.Delegated == nil {
			n.Delegated = map[string]time.Time{}
		}
		n.Delegated[name] = now(ctx)
		return nil
	})
}

// DeregisterDelegatedAdministrator is its opposite.
func (s *Service) DeregisterDelegatedAdministrator(ctx context.Context, in *organizations.DeregisterDelegatedAdministratorInput) (*organizations.DeregisterDelegatedAdministratorOutput, error) {
	name := aws.ToString(in.ServicePrincipal)
	return &organizations.DeregisterDelegatedAdministratorOutput{}, s.alter(ctx, func(_ store.Tx, o *organization) error {
		n, err := o.account(aws.ToString(in.AccountId))
		switch {
		case err != nil:
			return err
		case n.Delegated[name].IsZero():
			return errNotRegistered()
		}
		delete(n.Delegated, name)
		return nil
	})
}

// ListDelegatedAdministrators lists them, of all services or of one.
func (s *Service) ListDelegatedAdministrators(ctx context.Context, in *organizations.ListDelegatedAdministratorsInput) (*organizations.ListDelegatedAdministratorsOutput, error) {
	out := &organizations.ListDelegatedAdministratorsOutput{}
	return out, s.look(ctx, func(_ store.Tx, o *organization) (err error) {
		all := []types.DelegatedAdministrator{}
		for _, id := range sortedKeys(o.Nodes) {
			var since time.Time
			for name, at := range o.Nodes[id].Delegated {
				if (in.ServicePrincipal == nil || *in.ServicePrincipal == name) && (since.IsZero() || at.Before(since)) {
					since = at
				}
			}
			if since.IsZero() {
				continue
			}
			a := o.accountToAPI(id)
			all = append(all, types.DelegatedAdministrator{
				Arn: a.Arn, DelegationEnabledDate: aws.Time(since), Email: a.Email, Id: a.Id, JoinedMethod: a.JoinedMethod,
				JoinedTimestamp: a.JoinedTimestamp, Name: a.Name, State: a.State, Status: a.Status,
			})
		}
		out.DelegatedAdministrators, out.NextToken, err = cut(all, in.MaxResults, in.NextToken)
		return err
	})
}

// ListDelegatedServicesForAccount lists the services that an account is one for.
func (s *Service) ListDelegatedServicesForAccount(ctx context.Context, in *organizations.ListDelegatedServicesForAccountInput) (*organizations.ListDelegatedServicesForAccountOutput, error) {
	out := &organizations.ListDelegatedServicesForAccountOutput{}
	return out, s.look(ctx, func(_ store.Tx, o *organization) error {
		n, err := o.account(aws.ToString(in.AccountId))
		if err != nil {
			return err
		}
		if len(n.Delegated) == 0 {
			return errNotRegistered()
		}
		var names []string
		names, out.NextToken, err = cut(sortedKeys(n.Delegated), in.MaxResults, in.NextToken)
		for _, name := range names {
			out.DelegatedServices = append(out.DelegatedServices, types.DelegatedService{ServicePrincipal: aws.String(name), DelegationEnabledDate: aws.Time(n.Delegated[name])})
		}
		return err
	})
}
