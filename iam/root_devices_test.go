package iam

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"miniaws/awsapi"
	"miniaws/backend/store"
)

// TestRolesOwnNothingOfRoots: who names no user means itself. A role's session is no user, and least of all the root user:
// it neither sees nor takes the root user's devices and keys.
func TestRolesOwnNothingOfRoots(t *testing.T) {
	s, _ := cloud(t)
	made, key, err := s.CreateAccount(t.Context(), AccountInput{Name: "other"})
	if err != nil {
		t.Fatal(err)
	}
	device := &mfaDevice{Name: "first", Path: "/", User: made.ID}
	err = s.updateIn(t.Context(), made.ID, func(tx store.Tx, account string) error { return deviceRows(tx, account).Put(device) })
	if err != nil {
		t.Fatal(err)
	}
	root := awsapi.InContext(t.Context(), &awsapi.Request{Principal: awsapi.Principal{Type: awsapi.RootUser, Account: made.ID, Root: true}})
	role := awsapi.InContext(t.Context(), &awsapi.Request{Principal: awsapi.Principal{Type: awsapi.AssumedRole, Account: made.ID, ID: "AROAWORK:i-1"}})
	serial, rootKey := aws.String(device.serial(made.ID)), aws.String(key.AccessKeyID)
	for name, call := range map[string]func() error{
		"ListMFADevices": func() error { _, err := s.ListMFADevices(role, &iam.ListMFADevicesInput{}); return err },
		"DeactivateMFADevice": func() error {
			_, err := s.DeactivateMFADevice(role, &iam.DeactivateMFADeviceInput{SerialNumber: serial})
			return err
		},
		"ListAccessKeys":  func() error { _, err := s.ListAccessKeys(role, &iam.ListAccessKeysInput{}); return err },
		"CreateAccessKey": func() error { _, err := s.CreateAccessKey(role, &iam.CreateAccessKeyInput{}); return err },
		"UpdateAccessKey": func() error {
			_, err := s.UpdateAccessKey(role, &iam.UpdateAccessKeyInput{AccessKeyId: rootKey, Status: types.StatusTypeInactive})
			return err
		},
		"DeleteAccessKey": func() error {
			_, err := s.DeleteAccessKey(role, &iam.DeleteAccessKeyInput{AccessKeyId: rootKey})
			return err
		},
		"ListSigningCertificates": func() error {
			_, err := s.ListSigningCertificates(role, &iam.ListSigningCertificatesInput{})
			return err
		},
	} {
		if err := call(); !isCode(err, "ValidationError") {
			t.Errorf("%s of a role: %v", name, err)
		}
	}
	keys, err := s.ListAccessKeys(root, &iam.ListAccessKeysInput{})
	if err != nil || len(keys.AccessKeyMetadata) != 1 || keys.AccessKeyMetadata[0].Status != types.StatusTypeActive {
		t.Errorf("the root user's keys: %+v, %v", keys, err)
	}
	devices, err := s.ListMFADevices(root, &iam.ListMFADevicesInput{})
	if err != nil || len(devices.MFADevices) != 1 {
		t.Errorf("the root user's devices: %+v, %v", devices, err)
	}
	if _, err := s.DeactivateMFADevice(root, &iam.DeactivateMFADeviceInput{SerialNumber: serial}); err != nil {
		t.Errorf("the root user's own device: %v", err)
	}
}
