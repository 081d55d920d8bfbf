package iam

import (
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sts"

	"miniaws/awsapi"
	"miniaws/awsapi/meta"
	_ "miniaws/awsapi/meta/unions/iam" // its unions
	"miniaws/backend/reconcile"
	"miniaws/backend/seal"
	"miniaws/backend/store"
)

// Config of the service.
type Config struct {
	DB store.DB
	// Key seals secrets at rest and session tokens.
	Key seal.Key
	// Account is the twelve digits of the installation's account.
	Account string
	Root    RootKey
	Region  string
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// Tables are those of this package, for [store.Migrate].
func Tables() []store.Schema {
	return []store.Schema{
		accountTable, accessKeyTable, userTable, groupTable, roleTable, profileTable, policyTable, versionTable, accessTable, actionAccessTable,
		deviceTable, oidcTable, samlTable, sshKeyTable, signingTable, certificateTable, specificTable,
		deletionTable, reportTable, accessJobTable,
	}
}

// Service is IAM and STS.
type Service struct {
	config Config
	// secrets seals what is at rest, tokens what clients keep.
	secrets, tokens *seal.Sealer
	known           knownCredentials
	grants          knownGrants
	issuers         issuers
	uses            *lastUses
	holders         map[string]Holder
	authorizer
}

var (
	_ awsapi.Identities = (*Service)(nil)
	_ awsapi.Authorizer = (*Service)(nil)
)

// New makes the service.
func New(c Config) *Service {
	if c.Now == nil {
		c.Now = time.Now
	}
	s := &Service{config: c, secrets: c.Key.Sealer("iam/secrets"), tokens: c.Key.Sealer("iam/session-tokens"), uses: newLastUses()}
	s.authorizer = newAuthorizer(c.Key)
	s.KnowResources("iam", s)
	return s
}

// Reconcile keeps what is written now and then.
func (s *Service) Reconcile(loop *reconcile.Loop) {
	loop.Sweep("the installation's account", 24*time.Hour, s.ensureOwnAccount)
	loop.Sweep("last uses of keys and roles", time.Minute, s.writeUses)
}

// Register adds the operations.
func (s *Service) Register(server *awsapi.Server) {
	server.Check(meta.IAM, awsapi.CheckDefault|awsapi.CheckRanges)
	server.Check(meta.STS, awsapi.CheckDefault|awsapi.CheckRanges)
	server.Register(meta.IAM, s.operations()...)
	server.Register(meta.STS,
		awsapi.Op(s.GetCallerIdentity, noPermission),
		awsapi.Op(s.GetAccessKeyInfo, awsapi.Action[sts.GetAccessKeyInfoInput]("sts:GetAccessKeyInfo")),
		awsapi.Op(s.AssumeRole, s.assumeRoleAccess),
		awsapi.Op(s.AssumeRoleWithWebIdentity, unasked[sts.AssumeRoleWithWebIdentityInput], awsapi.Unsigned()),
		awsapi.Op(s.AssumeRoleWithSAML, unasked[sts.AssumeRoleWithSAMLInput], awsapi.Unsigned()),
		awsapi.Op(s.GetSessionToken, sessionTokenAccess),
		awsapi.Op(s.GetFederationToken, s.federationTokenAccess),
		awsapi.Op(s.DecodeAuthorizationMessage, awsapi.Action[sts.DecodeAuthorizationMessageInput]("sts:DecodeAuthorizationMessage")),
	)
}
