package iam

import (
	"github.com/aws/aws-sdk-go-v2/service/iam"

	"miniaws/awsapi"
)

// operations are those of IAM, by the noun that they are about.
func (s *Service) operations() []awsapi.Operation {
	return []awsapi.Operation{
		// users
		awsapi.Op(s.CreateUser, on[iam.CreateUserInput](s, onUser)),
		awsapi.Op(s.GetUser, on[iam.GetUserInput](s, onOwnUser)),
		awsapi.Op(s.ListUsers, on[iam.ListUsersInput](s)),
		awsapi.Op(s.UpdateUser, on[iam.UpdateUserInput](s, onRenamedUser)),
		awsapi.Op(s.DeleteUser, on[iam.DeleteUserInput](s, onUser)),
		awsapi.Op(s.TagUser, on[iam.TagUserInput](s, onUser)),
		awsapi.Op(s.UntagUser, on[iam.UntagUserInput](s, onUser)),
		awsapi.Op(s.ListUserTags, on[iam.ListUserTagsInput](s, onUser)),
		awsapi.Op(s.PutUserPermissionsBoundary, on[iam.PutUserPermissionsBoundaryInput](s, onUser)),
		awsapi.Op(s.DeleteUserPermissionsBoundary, on[iam.DeleteUserPermissionsBoundaryInput](s, onUser)),
		awsapi.Op(s.ListGroupsForUser, on[iam.ListGroupsForUserInput](s, onUser)),
		awsapi.Op(s.AttachUserPolicy, on[iam.AttachUserPolicyInput](s, onUser)),
		awsapi.Op(s.DetachUserPolicy, on[iam.DetachUserPolicyInput](s, onUser)),
		awsapi.Op(s.ListAttachedUserPolicies, on[iam.ListAttachedUserPoliciesInput](s, onUser)),
		awsapi.Op(s.PutUserPolicy, on[iam.PutUserPolicyInput](s, onUser)),
		awsapi.Op(s.GetUserPolicy, on[iam.GetUserPolicyInput](s, onUser)),
		awsapi.Op(s.DeleteUserPolicy, on[iam.DeleteUserPolicyInput](s, onUser)),
		awsapi.Op(s.ListUserPolicies, on[iam.ListUserPoliciesInput](s, onUser)),

		// access keys
		awsapi.Op(s.CreateAccessKey, on[iam.CreateAccessKeyInput](s, onOwnUser)),
		awsapi.Op(s.ListAccessKeys, on[iam.ListAccessKeysInput](s, onOwnUser)),
		awsapi.Op(s.GetAccessKeyLastUsed, on[iam.GetAccessKeyLastUsedInput](s, onKeyOwner)),
		awsapi.Op(s.UpdateAccessKey, on[iam.UpdateAccessKeyInput](s, onOwnUser)),
		awsapi.Op(s.DeleteAccessKey, on[iam.DeleteAccessKeyInput](s, onOwnUser)),

		// groups
		awsapi.Op(s.CreateGroup, on[iam.CreateGroupInput](s, onGroup)),
		awsapi.Op(s.GetGroup, on[iam.GetGroupInput](s, onGroup)),
		awsapi.Op(s.ListGroups, on[iam.ListGroupsInput](s)),
		awsapi.Op(s.UpdateGroup, on[iam.UpdateGroupInput](s, onRenamed)),
		awsapi.Op(s.DeleteGroup, on[iam.DeleteGroupInput](s, onGroup)),
		awsapi.Op(s.AddUserToGroup, on[iam.AddUserToGroupInput](s, onGroup)),
		awsapi.Op(s.RemoveUserFromGroup, on[iam.RemoveUserFromGroupInput](s, onGroup)),
		awsapi.Op(s.AttachGroupPolicy, on[iam.AttachGroupPolicyInput](s, onGroup)),
		awsapi.Op(s.DetachGroupPolicy, on[iam.DetachGroupPolicyInput](s, onGroup)),
		awsapi.Op(s.ListAttachedGroupPolicies, on[iam.ListAttachedGroupPoliciesInput](s, onGroup)),
		awsapi.Op(s.PutGroupPolicy, on[iam.PutGroupPolicyInput](s, onGroup)),
		awsapi.Op(s.GetGroupPolicy, on[iam.GetGroupPolicyInput](s, onGroup)),
		awsapi.Op(s.DeleteGroupPolicy, on[iam.DeleteGroupPolicyInput](s, onGroup)),
		awsapi.Op(s.ListGroupPolicies, on[iam.ListGroupPoliciesInput](s, onGroup)),

		// roles
		awsapi.Op(s.CreateRole, on[iam.CreateRoleInput](s, onRole)),
		awsapi.Op(s.GetRole, on[iam.GetRoleInput](s, onRole)),
		awsapi.Op(s.ListRoles, on[iam.ListRolesInput](s)),
		awsapi.Op(s.UpdateRole, on[iam.UpdateRoleInput](s, onRole)),
		awsapi.Op(s.UpdateRoleDescription, on[iam.UpdateRoleDescriptionInput](s, onRole)),
		awsapi.Op(s.UpdateAssumeRolePolicy, on[iam.UpdateAssumeRolePolicyInput](s, onRole)),
		awsapi.Op(s.DeleteRole, on[iam.DeleteRoleInput](s, onRole)),
		awsapi.Op(s.TagRole, on[iam.TagRoleInput](s, onRole)),
		awsapi.Op(s.UntagRole, on[iam.UntagRoleInput](s, onRole)),
		awsapi.Op(s.ListRoleTags, on[iam.ListRoleTagsInput](s, onRole)),
		awsapi.Op(s.PutRolePermissionsBoundary, on[iam.PutRolePermissionsBoundaryInput](s, onRole)),
		awsapi.Op(s.DeleteRolePermissionsBoundary, on[iam.DeleteRolePermissionsBoundaryInput](s, onRole)),
		awsapi.Op(s.AttachRolePolicy, on[iam.AttachRolePolicyInput](s, onRole)),
		awsapi.Op(s.DetachRolePolicy, on[iam.DetachRolePolicyInput](s, onRole)),
		awsapi.Op(s.ListAttachedRolePolicies, on[iam.ListAttachedRolePoliciesInput](s, onRole)),
		awsapi.Op(s.PutRolePolicy, on[iam.PutRolePolicyInput](s, onRole)),
		awsapi.Op(s.GetRolePolicy, on[iam.GetRolePolicyInput](s, onRole)),
		awsapi.Op(s.DeleteRolePolicy, on[iam.DeleteRolePolicyInput](s, onRole)),
		awsapi.Op(s.ListRolePolicies, on[iam.ListRolePoliciesInput](s, onRole)),

		// instance profiles
		awsapi.Op(s.CreateInstanceProfile, on[iam.CreateInstanceProfileInput](s, onProfile)),
		awsapi.Op(s.GetInstanceProfile, on[iam.GetInstanceProfileInput](s, onProfile)),
		awsapi.Op(s.ListInstanceProfiles, on[iam.ListInstanceProfilesInput](s)),
		awsapi.Op(s.ListInstanceProfilesForRole, on[iam.ListInstanceProfilesForRoleInput](s, onRole)),
		awsapi.Op(s.AddRoleToInstanceProfile, passing(s, on[iam.AddRoleToInstanceProfileInput](s, onProfile))),
		awsapi.Op(s.RemoveRoleFromInstanceProfile, on[iam.RemoveRoleFromInstanceProfileInput](s, onProfile)),
		awsapi.Op(s.DeleteInstanceProfile, on[iam.DeleteInstanceProfileInput](s, onProfile)),
		awsapi.Op(s.TagInstanceProfile, on[iam.TagInstanceProfileInput](s, onProfile)),
		awsapi.Op(s.UntagInstanceProfile, on[iam.UntagInstanceProfileInput](s, onProfile)),
		awsapi.Op(s.ListInstanceProfileTags, on[iam.ListInstanceProfileTagsInput](s, onProfile)),

		// simulation
		awsapi.Op(s.SimulateCustomPolicy, on[iam.SimulateCustomPolicyInput](s)),
		awsapi.Op(s.SimulatePrincipalPolicy, on[iam.SimulatePrincipalPolicyInput](s, onSource)),
		awsapi.Op(s.GetContextKeysForCustomPolicy, on[iam.GetContextKeysForCustomPolicyInput](s)),
		awsapi.Op(s.GetContextKeysForPrincipalPolicy, on[iam.GetContextKeysForPrincipalPolicyInput](s, onSource)),

		// managed policies
		awsapi.Op(s.CreatePolicy, on[iam.CreatePolicyInput](s, newPolicy)),
		awsapi.Op(s.GetPolicy, on[iam.GetPolicyInput](s, onPolicy)),
		awsapi.Op(s.ListPolicies, on[iam.ListPoliciesInput](s)),
		awsapi.Op(s.DeletePolicy, on[iam.DeletePolicyInput](s, onPolicy)),
		awsapi.Op(s.TagPolicy, on[iam.TagPolicyInput](s, onPolicy)),
		awsapi.Op(s.UntagPolicy, on[iam.UntagPolicyInput](s, onPolicy)),
		awsapi.Op(s.ListPolicyTags, on[iam.ListPolicyTagsInput](s, onPolicy)),
		awsapi.Op(s.ListEntitiesForPolicy, on[iam.ListEntitiesForPolicyInput](s, onPolicy)),
		awsapi.Op(s.CreatePolicyVersion, on[iam.CreatePolicyVersionInput](s, onPolicy)),
		awsapi.Op(s.GetPolicyVersion, on[iam.GetPolicyVersionInput](s, onPolicy)),
		awsapi.Op(s.ListPolicyVersions, on[iam.ListPolicyVersionsInput](s, onPolicy)),
		awsapi.Op(s.SetDefaultPolicyVersion, on[iam.SetDefaultPolicyVersionInput](s, onPolicy)),
		awsapi.Op(s.DeletePolicyVersion, on[iam.DeletePolicyVersionInput](s, onPolicy)),

		// MFA devices
		awsapi.Op(s.CreateVirtualMFADevice, on[iam.CreateVirtualMFADeviceInput](s, newDevice)),
		awsapi.Op(s.EnableMFADevice, on[iam.EnableMFADeviceInput](s, onUser)),
		awsapi.Op(s.ResyncMFADevice, on[iam.ResyncMFADeviceInput](s, onUser)),
		awsapi.Op(s.DeactivateMFADevice, on[iam.DeactivateMFADeviceInput](s, onOwnUser)),
		awsapi.Op(s.DeleteVirtualMFADevice, on[iam.DeleteVirtualMFADeviceInput](s, onDevice)),
		awsapi.Op(s.GetMFADevice, on[iam.GetMFADeviceInput](s, onOwnUser)),
		awsapi.Op(s.ListMFADevices, on[iam.ListMFADevicesInput](s, onOwnUser)),
		awsapi.Op(s.ListVirtualMFADevices, on[iam.ListVirtualMFADevicesInput](s)),
		awsapi.Op(s.TagMFADevice, on[iam.TagMFADeviceInput](s, onDevice)),
		awsapi.Op(s.UntagMFADevice, on[iam.UntagMFADeviceInput](s, onDevice)),
		awsapi.Op(s.ListMFADeviceTags, on[iam.ListMFADeviceTagsInput](s, onDevice)),

		// OpenID Connect and SAML providers
		awsapi.Op(s.CreateOpenIDConnectProvider, on[iam.CreateOpenIDConnectProviderInput](s, newOIDC)),
		awsapi.Op(s.GetOpenIDConnectProvider, on[iam.GetOpenIDConnectProviderInput](s, onOIDC)),
		awsapi.Op(s.ListOpenIDConnectProviders, on[iam.ListOpenIDConnectProvidersInput](s)),
		awsapi.Op(s.AddClientIDToOpenIDConnectProvider, on[iam.AddClientIDToOpenIDConnectProviderInput](s, onOIDC)),
		awsapi.Op(s.RemoveClientIDFromOpenIDConnectProvider, on[iam.RemoveClientIDFromOpenIDConnectProviderInput](s, onOIDC)),
		awsapi.Op(s.UpdateOpenIDConnectProviderThumbprint, on[iam.UpdateOpenIDConnectProviderThumbprintInput](s, onOIDC)),
		awsapi.Op(s.DeleteOpenIDConnectProvider, on[iam.DeleteOpenIDConnectProviderInput](s, onOIDC)),
		awsapi.Op(s.TagOpenIDConnectProvider, on[iam.TagOpenIDConnectProviderInput](s, onOIDC)),
		awsapi.Op(s.UntagOpenIDConnectProvider, on[iam.UntagOpenIDConnectProviderInput](s, onOIDC)),
		awsapi.Op(s.ListOpenIDConnectProviderTags, on[iam.ListOpenIDConnectProviderTagsInput](s, onOIDC)),
		awsapi.Op(s.CreateSAMLProvider, on[iam.CreateSAMLProviderInput](s, newSAML)),
		awsapi.Op(s.GetSAMLProvider, on[iam.GetSAMLProviderInput](s, onSAML)),
		awsapi.Op(s.ListSAMLProviders, on[iam.ListSAMLProvidersInput](s)),
		awsapi.Op(s.UpdateSAMLProvider, on[iam.UpdateSAMLProviderInput](s, onSAML)),
		awsapi.Op(s.DeleteSAMLProvider, on[iam.DeleteSAMLProviderInput](s, onSAML)),
		awsapi.Op(s.TagSAMLProvider, on[iam.TagSAMLProviderInput](s, onSAML)),
		awsapi.Op(s.UntagSAMLProvider, on[iam.UntagSAMLProviderInput](s, onSAML)),
		awsapi.Op(s.ListSAMLProviderTags, on[iam.ListSAMLProviderTagsInput](s, onSAML)),

		// passwords
		awsapi.Op(s.CreateLoginProfile, on[iam.CreateLoginProfileInput](s, onOwnUser)),
		awsapi.Op(s.GetLoginProfile, on[iam.GetLoginProfileInput](s, onOwnUser)),
		awsapi.Op(s.UpdateLoginProfile, on[iam.UpdateLoginProfileInput](s, onUser)),
		awsapi.Op(s.DeleteLoginProfile, on[iam.DeleteLoginProfileInput](s, onOwnUser)),
		awsapi.Op(s.ChangePassword, s.changePasswordAccess),
		awsapi.Op(s.UpdateAccountPasswordPolicy, on[iam.UpdateAccountPasswordPolicyInput](s)),
		awsapi.Op(s.GetAccountPasswordPolicy, on[iam.GetAccountPasswordPolicyInput](s)),
		awsapi.Op(s.DeleteAccountPasswordPolicy, on[iam.DeleteAccountPasswordPolicyInput](s)),

		// other credentials of users
		awsapi.Op(s.UploadSSHPublicKey, on[iam.UploadSSHPublicKeyInput](s, onUser)),
		awsapi.Op(s.GetSSHPublicKey, on[iam.GetSSHPublicKeyInput](s, onUser)),
		awsapi.Op(s.ListSSHPublicKeys, on[iam.ListSSHPublicKeysInput](s, onOwnUser)),
		awsapi.Op(s.UpdateSSHPublicKey, on[iam.UpdateSSHPublicKeyInput](s, onUser)),
		awsapi.Op(s.DeleteSSHPublicKey, on[iam.DeleteSSHPublicKeyInput](s, onUser)),
		awsapi.Op(s.UploadSigningCertificate, on[iam.UploadSigningCertificateInput](s, onOwnUser)),
		awsapi.Op(s.ListSigningCertificates, on[iam.ListSigningCertificatesInput](s, onOwnUser)),
		awsapi.Op(s.UpdateSigningCertificate, on[iam.UpdateSigningCertificateInput](s, onOwnUser)),
		awsapi.Op(s.DeleteSigningCertificate, on[iam.DeleteSigningCertificateInput](s, onOwnUser)),
		awsapi.Op(s.CreateServiceSpecificCredential, onSpecific[iam.CreateServiceSpecificCredentialInput](s)),
		awsapi.Op(s.ListServiceSpecificCredentials, on[iam.ListServiceSpecificCredentialsInput](s, onOwnUser)),
		awsapi.Op(s.ResetServiceSpecificCredential, onSpecific[iam.ResetServiceSpecificCredentialInput](s)),
		awsapi.Op(s.UpdateServiceSpecificCredential, onSpecific[iam.UpdateServiceSpecificCredentialInput](s)),
		awsapi.Op(s.DeleteServiceSpecificCredential, onSpecific[iam.DeleteServiceSpecificCredentialInput](s)),

		// server certificates
		awsapi.Op(s.UploadServerCertificate, on[iam.UploadServerCertificateInput](s, onCertificate)),
		awsapi.Op(s.GetServerCertificate, on[iam.GetServerCertificateInput](s, onCertificate)),
		awsapi.Op(s.ListServerCertificates, on[iam.ListServerCertificatesInput](s)),
		awsapi.Op(s.UpdateServerCertificate, on[iam.UpdateServerCertificateInput](s, onRenewed)),
		awsapi.Op(s.DeleteServerCertificate, on[iam.DeleteServerCertificateInput](s, onCertificate)),
		awsapi.Op(s.TagServerCertificate, on[iam.TagServerCertificateInput](s, onCertificate)),
		awsapi.Op(s.UntagServerCertificate, on[iam.UntagServerCertificateInput](s, onCertificate)),
		awsapi.Op(s.ListServerCertificateTags, on[iam.ListServerCertificateTagsInput](s, onCertificate)),

		// service-linked roles
		awsapi.Op(s.CreateServiceLinkedRole, on[iam.CreateServiceLinkedRoleInput](s, newLinkedRole)),
		awsapi.Op(s.DeleteServiceLinkedRole, on[iam.DeleteServiceLinkedRoleInput](s, onRole)),
		awsapi.Op(s.GetServiceLinkedRoleDeletionStatus, on[iam.GetServiceLinkedRoleDeletionStatusInput](s, onDeletedRole)),

		// the account
		awsapi.Op(s.CreateAccountAlias, on[iam.CreateAccountAliasInput](s)),
		awsapi.Op(s.ListAccountAliases, on[iam.ListAccountAliasesInput](s)),
		awsapi.Op(s.DeleteAccountAlias, on[iam.DeleteAccountAliasInput](s)),
		awsapi.Op(s.SetSecurityTokenServicePreferences, on[iam.SetSecurityTokenServicePreferencesInput](s)),
		awsapi.Op(s.GetAccountSummary, on[iam.GetAccountSummaryInput](s)),
		awsapi.Op(s.GetAccountAuthorizationDetails, on[iam.GetAccountAuthorizationDetailsInput](s)),
		awsapi.Op(s.GenerateCredentialReport, on[iam.GenerateCredentialReportInput](s)),
		awsapi.Op(s.GetCredentialReport, on[iam.GetCredentialReportInput](s)),

		// what is used
		awsapi.Op(s.GenerateServiceLastAccessedDetails, on[iam.GenerateServiceLastAccessedDetailsInput](s, onEntity)),
		awsapi.Op(s.GetServiceLastAccessedDetails, on[iam.GetServiceLastAccessedDetailsInput](s)),
		awsapi.Op(s.GetServiceLastAccessedDetailsWithEntities, on[iam.GetServiceLastAccessedDetailsWithEntitiesInput](s)),
		awsapi.Op(s.ListPoliciesGrantingServiceAccess, on[iam.ListPoliciesGrantingServiceAccessInput](s, onEntity)),
	}
}
