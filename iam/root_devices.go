package iam

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"

	"miniaws/awsapi"
	"miniaws/backend/store"
)

// The root user's devices are virtual ones as users have, whose user is the account's number. AWS gives them to it in its
// console alone; here who owns the installation does.

// rootsOwn is under which id the devices of what keyOwner answers are kept: the account's number is the root user's id.
func rootsOwn(owner, account string) string {
	if owner == "" {
		return account
	}
	return owner
}

// deviceOwner is the id under which a caller's devices are kept.
func deviceOwner(caller awsapi.Principal) string {
	if caller.UserID == "" && caller.Root {
		return caller.Account
	}
	return caller.UserID
}

// EnableRootDevice gives a virtual device to the root user of its account, who proves with two codes in a row to have it.
// Errors are those of EnableMFADevice.
func (s *Service) EnableRootDevice(ctx context.Context, serial, first, second string) error {
	account, _, _, ok := arnParts(serial)
	if !ok {
		return errNoSuchEntity("VirtualMFADevice with serial number %s doesn't exist.", serial)
	}
	return s.updateIn(ctx, account, func(tx store.Tx, account string) error {
		return s.enableDevice(tx, account, account, &serial, &first, &second)
	})
}

// TakeRootCode tells whether the code is one that the root user's device shows now, and uses it up.
func (s *Service) TakeRootCode(ctx context.Context, account, serial, code string) (bool, error) {
	err := s.checkMFA(ctx, awsapi.Principal{Type: awsapi.RootUser, Account: account, Root: true}, aws.String(serial), aws.String(code))
	if isCode(err, "AccessDenied") {
		return false, nil
	}
	return err == nil, err
}
