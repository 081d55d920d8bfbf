package organizations

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/organizations/types"

	"miniaws/awsapi"
	"miniaws/awsapi/meta"
	"miniaws/backend/store"
)

// ErrEmailTaken is what Accounts answers for an address that another account has.
type ErrEmailTaken struct{}

func (ErrEmailTaken) Error() string { return "an account with this email address exists" }

// Accounts makes accounts and knows them.
type Accounts interface {
	// NewNumber answers a number that no account has.
	NewNumber(ctx context.Context) (id string, err error)
	// CreateAccount makes an account with a role that the management account's principals may assume. It succeeds again after
	// it did, wholly or in part. Errors: ErrEmailTaken, and an *awsapi.Error for what will never be.
	CreateAccount(ctx context.Context, id, name, email, roleName, management string) error
	// Account answers the name and address of an account.
	Account(ctx context.Context, id string) (name, email string, err error)
}

// Config of the service.
type Config struct {
	DB       store.DB
	Accounts Accounts
	// CheckPolicy answers why a document is no policy of the type.
	CheckPolicy func(kind types.PolicyType, document string) error
	// CheckDelegation answers why a document is no resource policy.
	CheckDelegation func(document string) error
}

// Service is Organizations.
type Service struct {
	config Config
	places places
}

// New makes the service.
func New(c Config) *Service { return &Service{config: c} }

// Tables are the tables of this package, for [store.Migrate].
func Tables() []store.Schema {
	return []store.Schema{organizationTable, policyTable, nodeTable, infoTable, requestTable, handshakeTable}
}

// Register adds the operations.
func (s *Service) Register(server *awsapi.Server) {
	server.Register(meta.Organizations,
		awsapi.Op(s.CreateOrganization, on(s, inputOf(s.CreateOrganization))),
		awsapi.Op(s.DescribeOrganization, on(s, inputOf(s.DescribeOrganization))),
		awsapi.Op(s.DeleteOrganization, on(s, inputOf(s.DeleteOrganization))),
		awsapi.Op(s.EnableAWSServiceAccess, on(s, inputOf(s.EnableAWSServiceAccess))),
		awsapi.Op(s.DisableAWSServiceAccess, on(s, inputOf(s.DisableAWSServiceAccess))),
		awsapi.Op(s.ListAWSServiceAccessForOrganization, on(s, inputOf(s.ListAWSServiceAccessForOrganization))),

		awsapi.Op(s.CreateAccount, on(s, inputOf(s.CreateAccount))),
		awsapi.Op(s.DescribeCreateAccountStatus, on(s, inputOf(s.DescribeCreateAccountStatus))),
		awsapi.Op(s.ListCreateAccountStatus, on(s, inputOf(s.ListCreateAccountStatus))),
		awsapi.Op(s.DescribeAccount, on(s, inputOf(s.DescribeAccount), "AccountId")),
		awsapi.Op(s.ListAccounts, on(s, inputOf(s.ListAccounts))),
		awsapi.Op(s.ListAccountsForParent, on(s, inputOf(s.ListAccountsForParent), "ParentId")),
		awsapi.Op(s.MoveAccount, on(s, inputOf(s.MoveAccount), "AccountId", "SourceParentId", "DestinationParentId")),
		awsapi.Op(s.CloseAccount, on(s, inputOf(s.CloseAccount), "AccountId")),
		awsapi.Op(s.RemoveAccountFromOrganization, on(s, inputOf(s.RemoveAccountFromOrganization), "AccountId")),

		awsapi.Op(s.LeaveOrganization, on(s, inputOf(s.LeaveOrganization))),

		awsapi.Op(s.InviteAccountToOrganization, on(s, inputOf(s.InviteAccountToOrganization))),
		awsapi.Op(s.EnableAllFeatures, on(s, inputOf(s.EnableAllFeatures))),
		awsapi.Op(s.AcceptHandshake, on(s, inputOf(s.AcceptHandshake), "HandshakeId")),
		awsapi.Op(s.DeclineHandshake, on(s, inputOf(s.DeclineHandshake), "HandshakeId")),
		awsapi.Op(s.CancelHandshake, on(s, inputOf(s.CancelHandshake), "HandshakeId")),
		awsapi.Op(s.DescribeHandshake, on(s, inputOf(s.DescribeHandshake), "HandshakeId")),
		awsapi.Op(s.ListHandshakesForAccount, on(s, inputOf(s.ListHandshakesForAccount))),
		awsapi.Op(s.ListHandshakesForOrganization, on(s, inputOf(s.ListHandshakesForOrganization))),

		awsapi.Op(s.RegisterDelegatedAdministrator, on(s, inputOf(s.RegisterDelegatedAdministrator), "AccountId")),
		awsapi.Op(s.DeregisterDelegatedAdministrator, on(s, inputOf(s.DeregisterDelegatedAdministrator), "AccountId")),
		awsapi.Op(s.ListDelegatedAdministrators, on(s, inputOf(s.ListDelegatedAdministrators))),
		awsapi.Op(s.ListDelegatedServicesForAccount, on(s, inputOf(s.ListDelegatedServicesForAccount), "AccountId")),

		awsapi.Op(s.PutResourcePolicy, on(s, inputOf(s.PutResourcePolicy))),
		awsapi.Op(s.DescribeResourcePolicy, on(s, inputOf(s.DescribeResourcePolicy))),
		awsapi.Op(s.DeleteResourcePolicy, on(s, inputOf(s.DeleteResourcePolicy))),

		awsapi.Op(s.ListRoots, on(s, inputOf(s.ListRoots))),
		awsapi.Op(s.CreateOrganizationalUnit, on(s, inputOf(s.CreateOrganizationalUnit), "ParentId")),
		awsapi.Op(s.DescribeOrganizationalUnit, on(s, inputOf(s.DescribeOrganizationalUnit), "OrganizationalUnitId")),
		awsapi.Op(s.UpdateOrganizationalUnit, on(s, inputOf(s.UpdateOrganizationalUnit), "OrganizationalUnitId")),
		awsapi.Op(s.DeleteOrganizationalUnit, on(s, inputOf(s.DeleteOrganizationalUnit), "OrganizationalUnitId")),
		awsapi.Op(s.ListOrganizationalUnitsForParent, on(s, inputOf(s.ListOrganizationalUnitsForParent), "ParentId")),
		awsapi.Op(s.ListParents, on(s, inputOf(s.ListParents), "ChildId")),
		awsapi.Op(s.ListChildren, on(s, inputOf(s.ListChildren), "ParentId")),

		awsapi.Op(s.EnablePolicyType, on(s, inputOf(s.EnablePolicyType), "RootId")),
		awsapi.Op(s.DisablePolicyType, on(s, inputOf(s.DisablePolicyType), "RootId")),
		awsapi.Op(s.CreatePolicy, on(s, inputOf(s.CreatePolicy))),
		awsapi.Op(s.DescribePolicy, on(s, inputOf(s.DescribePolicy), "PolicyId")),
		awsapi.Op(s.UpdatePolicy, on(s, inputOf(s.UpdatePolicy), "PolicyId")),
		awsapi.Op(s.DeletePolicy, on(s, inputOf(s.DeletePolicy), "PolicyId")),
		awsapi.Op(s.ListPolicies, on(s, inputOf(s.ListPolicies))),
		awsapi.Op(s.AttachPolicy, on(s, inputOf(s.AttachPolicy), "PolicyId", "TargetId")),
		awsapi.Op(s.DetachPolicy, on(s, inputOf(s.DetachPolicy), "PolicyId", "TargetId")),
		awsapi.Op(s.ListPoliciesForTarget, on(s, inputOf(s.ListPoliciesForTarget), "TargetId")),
		awsapi.Op(s.DescribeEffectivePolicy, s.effectiveAccess),
		awsapi.Op(s.ListTargetsForPolicy, on(s, inputOf(s.ListTargetsForPolicy), "PolicyId")),

		awsapi.Op(s.TagResource, on(s, inputOf(s.TagResource), "ResourceId")),
		awsapi.Op(s.UntagResource, on(s, inputOf(s.UntagResource), "ResourceId")),
		awsapi.Op(s.ListTagsForResource, on(s, inputOf(s.ListTagsForResource), "ResourceId")),
	)
}

// now is when a call came.
func now(ctx context.Context) time.Time {
	return awsapi.FromContext(ctx).Time.UTC().Truncate(time.Second)
}
