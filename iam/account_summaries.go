package iam

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/service/iam"

	"miniaws/backend/store"
)

// AWS: "IAM and STS quotas": those that are not next to what they bound.
const (
	quotaGroups           = 300
	quotaRoles            = 1000
	quotaInstanceProfiles = 1000
	quotaPolicies         = 1500
	quotaVersionsInUse    = 10000
)

// GetAccountSummary counts the account's records, and names the quotas.
func (s *Service) GetAccountSummary(ctx context.Context, _ *iam.GetAccountSummaryInput) (*iam.GetAccountSummaryOutput, error) {
	out := &iam.GetAccountSummaryOutput{}
	return out, s.view(ctx, func(tx store.Tx, account string) error {
		scope := store.Scope{Account: account}
		root, err := s.account(tx, account)
		if err != nil {
			return err
		}
		rootKeys, err := accessKeysOf(tx, account, "")
		if err != nil {
			return err
		}
		keys := int32(min(len(rootKeys), 1))
		if account == s.config.Account {
			keys = 1
		}
		device, err := anyDevice(tx, account, account)
		if err != nil {
			return err
		}
		rootDevices := int32(0)
		if device {
			rootDevices = 1
		}
		tokens := int32(1)
		if root.TokensEverywhere {
			tokens = 2
		}
		out.SummaryMap = map[string]int32{
			"AccountAccessKeysPresent": keys, "AccountMFAEnabled": rootDevices, "AccountPasswordPresent": 0, "AccountSigningCertificatesPresent": 0,
			"AccessKeysPerUserQuota": maxAccessKeys, "AssumeRolePolicySizeQuota": maxTrust,
			"AttachedPoliciesPerGroupQuota": int32(groups.maxAttached), "AttachedPoliciesPerRoleQuota": int32(roles.maxAttached), "AttachedPoliciesPerUserQuota": int32(users.maxAttached),
			"GlobalEndpointTokenVersion": tokens, "GroupPolicySizeQuota": int32(groups.maxInline), "GroupsPerUserQuota": maxGroupsPerUser, "GroupsQuota": quotaGroups,
			"InstanceProfilesQuota": quotaInstanceProfiles, "PoliciesQuota": quotaPolicies, "PolicySizeQuota": maxPolicySize,
			"PolicyVersionsInUseQuota": quotaVersionsInUse, "RolePolicySizeQuota": int32(roles.maxInline), "RolesQuota": quotaRoles,
			"ServerCertificatesQuota": maxServerCertificates, "SigningCertificatesPerUserQuota": maxSigningCertificates,
			"UserPolicySizeQuota": int32(users.maxInline), "UsersQuota": maxUsers, "VersionsPerPolicyQuota": maxVersions,
			"MFADevicesInUse": 0,
		}
		devices, _, err := deviceRows(tx, account).List(store.Query{})
		if err != nil {
			return err
		}
		for _, d := range devices {
			if d.User != "" {
				out.SummaryMap["MFADevicesInUse"]++
			}
		}
		oidc, err := count(oidcTable.In(tx, scope))
		if err != nil {
			return err
		}
		for name, counted := range map[string]func() (int32, error){
			"Users":               func() (int32, error) { return count(userTable.In(tx, scope)) },
			"Groups":              func() (int32, error) { return count(groupTable.In(tx, scope)) },
			"Roles":               func() (int32, error) { return count(roleTable.In(tx, scope)) },
			"InstanceProfiles":    func() (int32, error) { return count(profileTable.In(tx, scope)) },
			"Policies":            func() (int32, error) { return count(policyTable.In(tx, scope)) },
			"PolicyVersionsInUse": func() (int32, error) { return count(versionTable.In(tx, scope)) },
			"MFADevices":          func() (int32, error) { return count(deviceTable.In(tx, scope)) },
			"ServerCertificates":  func() (int32, error) { return count(certificateTable.In(tx, scope)) },
			"Providers": func() (int32, error) {
				saml, err := count(samlTable.In(tx, scope))
				return saml + oidc, err
			},
		} {
			if out.SummaryMap[name], err = counted(); err != nil {
				return err
			}
		}
		return nil
	})
}

func count[T any](rows store.Rows[T]) (n int32, err error) {
	for _, err := range rows.Scan(store.Query{}) {
		if err != nil {
			return 0, err
		}
		n++
	}
	return n, nil
}
