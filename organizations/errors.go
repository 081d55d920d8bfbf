package organizations

import (
	"github.com/aws/aws-sdk-go-v2/service/organizations/types"

	"miniaws/awsapi"
)

// The errors of the service, by code. AWS: "Errors" of each operation in the Organizations API reference.

func errAccessDenied() error {
	return awsapi.Errorf("AccessDeniedException", "You don't have permissions to access this resource.")
}

func errAccountNotFound() error {
	return awsapi.Errorf("AccountNotFoundException", "You specified an account that doesn't exist.")
}

func errAccountAlreadyClosed() error {
	return awsapi.Errorf("AccountAlreadyClosedException", "You attempted to close an account that is already closed.")
}

func errAlreadyRegistered() error {
	return awsapi.Errorf("AccountAlreadyRegisteredException", "The provided account is already a delegated administrator for your organization.")
}

func errNotRegistered() error {
	return awsapi.Errorf("AccountNotRegisteredException", "The provided account is not a registered delegated administrator for your organization.")
}

func errAlreadyInOrganization() error {
	return awsapi.Errorf("AlreadyInOrganizationException", "The provided account is already a member of an organization.")
}

func errNotInUse() error {
	return awsapi.Errorf("AWSOrganizationsNotInUseException", "Your account is not a member of an organization.")
}

func errChildNotFound() error {
	return awsapi.Errorf("ChildNotFoundException", "You specified a child that doesn't exist.")
}

func errConstraint(reason types.ConstraintViolationExceptionReason, message string) error {
	e := awsapi.Errorf("ConstraintViolationException", "%s", message)
	e.Fields = map[string]string{"Reason": string(reason)}
	return e
}

func errStatusNotFound() error {
	return awsapi.Errorf("CreateAccountStatusNotFoundException", "You specified a create account request that doesn't exist.")
}

func errDestinationNotFound() error {
	return awsapi.Errorf("DestinationParentNotFoundException", "You specified a destination parent that doesn't exist.")
}

func errDuplicateAccount() error {
	return awsapi.Errorf("DuplicateAccountException", "That account is already present in the specified destination.")
}

func errDuplicateUnit() error {
	return awsapi.Errorf("DuplicateOrganizationalUnitException", "An OU with the same name already exists.")
}

func errDuplicateAttachment() error {
	return awsapi.Errorf("DuplicatePolicyAttachmentException", "A policy with the specified name and type already exists.")
}

func errDuplicatePolicy() error {
	return awsapi.Errorf("DuplicatePolicyException", "A policy with the same name already exists.")
}

func errDuplicateHandshake() error {
	return awsapi.Errorf("DuplicateHandshakeException", "A handshake with the same action and target already exists.")
}

func errEffectivePolicyNotFound() error {
	return awsapi.Errorf("EffectivePolicyNotFoundException", "If you ran this action on the management account, this policy type is not enabled. If you ran the action on a member account, the account doesn't have an effective policy of this type. Contact the administrator of your organization about attaching a policy of this type to the account.")
}

func errHandshakeAlreadyIn(state types.HandshakeState) error {
	return awsapi.Errorf("HandshakeAlreadyInStateException", "The specified handshake is already in the %s state.", state)
}

func errHandshakeConstraint(reason types.HandshakeConstraintViolationExceptionReason, message string) error {
	e := awsapi.Errorf("HandshakeConstraintViolationException", "%s", message)
	e.Fields = map[string]string{"Reason": string(reason)}
	return e
}

func errHandshakeNotFound() error {
	return awsapi.Errorf("HandshakeNotFoundException", "You specified a handshake that doesn't exist.")
}

func errHandshakeTransition() error {
	return awsapi.Errorf("InvalidHandshakeTransitionException", "You can't perform the operation on the handshake in its current state.")
}

func errInvalidInput(reason types.InvalidInputExceptionReason, message string) error {
	e := awsapi.Errorf("InvalidInputException", "%s", message)
	e.Fields = map[string]string{"Reason": string(reason)}
	return e
}

func errMalformedPolicy() error {
	return awsapi.Errorf("MalformedPolicyDocumentException", "The provided policy document does not meet the requirements of the specified policy type.")
}

func errMasterCannotLeave() error {
	return awsapi.Errorf("MasterCannotLeaveOrganizationException", "You can't remove a management account from an organization.")
}

func errUnitNotEmpty() error {
	return awsapi.Errorf("OrganizationalUnitNotEmptyException", "The specified OU is not empty. Move all accounts to another root or to other OUs, remove all child OUs, and try the operation again.")
}

func errUnitNotFound() error {
	return awsapi.Errorf("OrganizationalUnitNotFoundException", "You specified an organizational unit that doesn't exist.")
}

func errNotEmpty() error {
	return awsapi.Errorf("OrganizationNotEmptyException", "The organization isn't empty. To delete an organization, you must first remove all accounts except the management account.")
}

func errParentNotFound() error {
	return awsapi.Errorf("ParentNotFoundException", "You specified parent that doesn't exist.")
}

func errPolicyInUse() error {
	return awsapi.Errorf("PolicyInUseException", "The policy is attached to one or more entities. You must detach it from all roots, OUs, and accounts before performing this operation.")
}

func errPolicyNotAttached() error {
	return awsapi.Errorf("PolicyNotAttachedException", "The policy isn't attached to the specified target in the specified root.")
}

func errPolicyNotFound() error {
	return awsapi.Errorf("PolicyNotFoundException", "You specified a policy that doesn't exist.")
}

func errTypeAlreadyEnabled() error {
	return awsapi.Errorf("PolicyTypeAlreadyEnabledException", "The specified policy type is already enabled.")
}

// errTypeNotAvailable: only organizations with all features have policies.
func errTypeNotAvailable() error {
	return awsapi.Errorf("PolicyTypeNotAvailableForOrganizationException", "You can't use the specified policy type with the feature set currently enabled for this organization.")
}

func errTypeNotEnabled() error {
	return awsapi.Errorf("PolicyTypeNotEnabledException", "This operation can be performed only for enabled policy types.")
}

func errResourcePolicyNotFound() error {
	return awsapi.Errorf("ResourcePolicyNotFoundException", "We can't find a resource policy that matches the parameters that you specified.")
}

func errRootNotFound() error {
	return awsapi.Errorf("RootNotFoundException", "You specified a root that doesn't exist.")
}

func errSourceNotFound() error {
	return awsapi.Errorf("SourceParentNotFoundException", "You specified a source parent that doesn't exist.")
}

func errTargetNotFound() error {
	return awsapi.Errorf("TargetNotFoundException", "You specified a target that doesn't exist.")
}
