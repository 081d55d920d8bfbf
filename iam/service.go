package iam

import (
	"context"
	"fmt"
	"time"

	"miniaws/awsapi"
	"miniaws/awsapi/meta"
	"miniaws/backend/seal"
	"miniaws/backend/store"
)

// Config of the service.
type Config struct {
	DB store.DB
	// Key seals secrets at rest.
	Key seal.Key
	// Account is the twelve digits of the installation's account.
	Account string
	Root    RootKey
	Region  string
	// Now is the clock.
	Now func() time.Time
}

// Tables are those of this package, for [store.Migrate].
func Tables() []store.Schema { return nil }

// Service is IAM and STS.
type Service struct{ config Config }

var (
	_ awsapi.Identities = (*Service)(nil)
	_ awsapi.Authorizer = (*Service)(nil)
)

// New makes the service.
func New(c Config) *Service { return &Service{config: c} }

// Register adds the operations.
func (s *Service) Register(server *awsapi.Server) {
	server.Register(meta.STS,
		awsapi.Op(s.GetCallerIdentity, noPermission),
	)
}

// Find knows the root user's key.
func (s *Service) Find(_ context.Context, accessKeyID, sessionToken string) (string, awsapi.Principal, error) {
	switch {
	case accessKeyID != s.config.Root.AccessKeyID:
		return "", awsapi.Principal{}, awsapi.ErrUnknownAccessKey
	case sessionToken != "":
		// A long-lived key has no token.
		return "", awsapi.Principal{}, awsapi.ErrInvalidToken
	}
	return s.config.Root.SecretAccessKey, awsapi.Principal{
		Account:     s.config.Account,
		ARN:         fmt.Sprintf("arn:aws:iam::%s:root", s.config.Account),
		ID:          s.config.Account,
		AccessKeyID: accessKeyID,
		Root:        true,
	}, nil
}

// Authorize lets the root user do everything, and everybody what needs no permission.
func (s *Service) Authorize(_ context.Context, r *awsapi.Request, wanted []awsapi.Access) error {
	if len(wanted) == 0 || r.Principal.Root {
		return nil
	}
	// AWS: "Troubleshoot access denied error messages" in the IAM user guide.
	return &awsapi.Denied{Message: fmt.Sprintf("User: %s is not authorized to perform: %s because no identity-based policy allows the %[2]s action", r.Principal.ARN, wanted[0].Action)}
}
