package iam

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base32"
	"image/png"
	"net/url"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/pquerna/otp"
	"github.com/pquerna/otp/hotp"

	"miniaws/awsapi"
	"miniaws/backend/store"
)

// mfaDevice is a virtual device: a seed that an authenticator app knows too. Until it is enabled it is nobody's.
type mfaDevice struct {
	Name, Path string
	Created    time.Time
	// Seed is sealed for this record: 32 random bytes, whose base32 form is what an app takes.
	Seed []byte
	// User is the id of its user, for the root user the account's number, "" while it is not enabled.
	User    string    `json:",omitempty"`
	Enabled time.Time `json:",omitzero"`
	// Last is the number of the half minute of the newest code that was taken: none is taken twice.
	Last int64 `json:",omitempty"`
	// Drift is by how many half minutes the device's clock is ahead, as of its last two codes in a row.
	Drift int64   `json:",omitempty"`
	Tags  tagList `json:",omitempty"`
}

var deviceTable = store.NewTable(store.Spec[mfaDevice]{
	Service: "iam",
	Name:    "mfa-devices",
	ID:      func(d *mfaDevice) store.ID { return store.ID{folded(d.Name)} },
	Indexes: []store.Index[mfaDevice]{{Name: "user", Values: func(d *mfaDevice) []store.ID {
		if d.User == "" {
			return nil
		}
		return []store.ID{{d.User}}
	}}},
})

// AWS: "IAM and STS quotas", and RFC 6238 for the rest.
const (
	maxDevicesPerUser = 8
	codePeriod        = 30
	// codeSlack is how many half minutes a code may be early or late.
	codeSlack = 1
	// driftSlack is the same for two codes in a row, which find out how far a clock is off.
	driftSlack = 20
)

func deviceRows(tx store.Tx, account string) store.Rows[mfaDevice] {
	return deviceTable.In(tx, store.Scope{Account: account})
}

func (d *mfaDevice) serial(account string) string { return arn(account, "mfa"+d.Path+d.Name) }

func errAuthenticationCode() error {
	return awsapi.Errorf("InvalidAuthenticationCode", "Authentication code for device is not valid.")
}

// getDevice answers the device with the serial number, which is its ARN.
func getDevice(tx store.Tx, account, serial string) (*mfaDevice, error) {
	owner, word, rest, ok := arnParts(serial)
	if ok && owner == account && word == "mfa" {
		d, err := deviceRows(tx, account).Find(folded(lastName(rest)))
		if err != nil || d != nil && d.serial(account) == serial {
			return d, err
		}
	}
	return nil, errNoSuchEntity("VirtualMFADevice with serial number %s doesn't exist.", serial)
}

// userDevice answers a device that is the user's.
func userDevice(tx store.Tx, account, userID, serial string) (*mfaDevice, error) {
	d, err := getDevice(tx, account, serial)
	if err != nil {
		return nil, err
	}
	if d.User != userID {
		return nil, errNoSuchEntity("MFA Device with serial number %s cannot be found for the user.", serial)
	}
	return d, nil
}

func devicesOf(tx store.Tx, account, userID string) (list []*mfaDevice, err error) {
	for d, err := range deviceRows(tx, account).Index("user").Scan(store.Query{Parts: store.ID{userID}}) {
		if err != nil {
			return nil, err
		}
		list = append(list, d)
	}
	return list, nil
}

func anyDevice(tx store.Tx, account, userID string) (bool, error) {
	list, err := devicesOf(tx, account, userID)
	return len(list) > 0, err
}

// CreateVirtualMFADevice makes a seed, and is the only one who ever answers it.
func (s *Service) CreateVirtualMFADevice(ctx context.Context, in *iam.CreateVirtualMFADeviceInput) (*iam.CreateVirtualMFADeviceOutput, error) {
	out := &iam.CreateVirtualMFADeviceOutput{}
	var seed [32]byte
	_, _ = rand.Read(seed[:]) // never fails
	err := s.update(ctx, func(tx store.Tx, account string) error {
		base, err := newIdentity(tx, account, "", "virtualMFADeviceName", in.VirtualMFADeviceName, in.Path, nil, in.Tags)
		if err != nil {
			return err
		}
		rows := deviceRows(tx, account)
		if old, err := rows.Find(folded(base.Name)); err != nil {
			return err
		} else if old != nil {
			return errEntityAlreadyExists("MFADevice entity at the same path and name already exists.")
		}
		d := &mfaDevice{Name: base.Name, Path: base.Path, Created: base.Created, Tags: base.Tags}
		d.Seed = s.secrets.Seal(seed[:], d.serial(account))
		text := base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(seed[:])
		image, err := seedImage(text, account, d.Name)
		if err != nil {
			return err
		}
		out.VirtualMFADevice = &types.VirtualMFADevice{
			SerialNumber: aws.String(d.serial(account)), Base32StringSeed: []byte(text), QRCodePNG: image, Tags: d.Tags.toAPI(),
		}
		return rows.Put(d)
	})
	return out, err
}

// seedImage is the QR code that an authenticator app reads.
// AWS: "VirtualMFADevice" in the IAM API reference: otpauth://totp/$virtualMFADeviceName@$AccountName?secret=...
func seedImage(seed, account, name string) ([]byte, error) {
	address := url.URL{Scheme: "otpauth", Host: "totp", Path: "/Amazon Web Services:" + name + "@" + account, RawQuery: url.Values{"secret": {seed}, "issuer": {"Amazon Web Services"}}.Encode()}
	key, err := otp.NewKeyFromURL(address.String())
	if err != nil {
		return nil, err
	}
	image, err := key.Image(300, 300)
	if err != nil {
		return nil, err
	}
	var encoded bytes.Buffer
	err = png.Encode(&encoded, image)
	return encoded.Bytes(), err
}

// code is what the device shows in a half minute.
func (s *Service) code(d *mfaDevice, account string, counter int64) (string, error) {
	seed, err := s.secrets.Open(d.Seed, d.serial(account))
	if err != nil {
		return "", err
	}
	return hotp.GenerateCode(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(seed), uint64(counter))
}

// matchCode answers the half minute, of those within slack around the device's now and not before after, whose code it
// is; ok is false where there is none.
func (s *Service) matchCode(d *mfaDevice, account, code string, now time.Time, slack int64) (counter int64, ok bool, err error) {
	middle := now.Unix()/codePeriod + d.Drift
	for counter := middle - slack; counter <= middle+slack; counter++ {
		if counter <= d.Last {
			continue
		}
		right, err := s.code(d, account, counter)
		if err != nil {
			return 0, false, err
		}
		if sameText(right, code) {
			return counter, true, nil
		}
	}
	return 0, false, nil
}

// takeCodes takes two codes in a row, and learns from them how far the device's clock is off.
func (s *Service) takeCodes(d *mfaDevice, account string, now time.Time, first, second *string) error {
	counter, ok, err := s.matchCode(d, account, aws.ToString(first), now, driftSlack)
	if err != nil {
		return err
	}
	if !ok {
		return errAuthenticationCode()
	}
	next, err := s.code(d, account, counter+1)
	if err != nil {
		return err
	}
	if !sameText(next, aws.ToString(second)) {
		return errAuthenticationCode()
	}
	// The second code may just have begun, or be about to end.
	d.Drift, d.Last = counter+1-now.Unix()/codePeriod, counter+1
	if d.Drift >= -codeSlack && d.Drift <= codeSlack {
		d.Drift = 0
	}
	return nil
}

// checkMFA takes the code of one of the user's devices, in its own transaction; the code is then used up.
func (s *Service) checkMFA(ctx context.Context, caller awsapi.Principal, serial, code *string) error {
	if serial == nil && code == nil {
		return nil
	}
	// AWS: the words of AccessDenied for GetSessionToken and AssumeRole, as clients report them.
	if serial == nil || code == nil {
		return errAccessDenied("MultiFactorAuthentication failed, must provide both MFA serial number and one time pass code.")
	}
	return s.updateIn(ctx, caller.Account, func(tx store.Tx, account string) error {
		d, err := getDevice(tx, account, *serial)
		if isCode(err, "NoSuchEntity") || d != nil && (d.User != deviceOwner(caller) || d.User == "") {
			return errAccessDenied("MultiFactorAuthentication failed, unable to validate MFA code.  Please verify your MFA serial number is valid and associated with this user.")
		}
		if err != nil {
			return err
		}
		counter, ok, err := s.matchCode(d, account, *code, tx.Now(), codeSlack)
		if err != nil {
			return err
		}
		if !ok {
			return errAccessDenied("MultiFactorAuthentication failed with invalid MFA one time pass code. ")
		}
		d.Last = counter
		return deviceRows(tx, account).Put(d)
	})
}

// EnableMFADevice gives a device to a user, who proves with two codes in a row to have it.
func (s *Service) EnableMFADevice(ctx context.Context, in *iam.EnableMFADeviceInput) (*iam.EnableMFADeviceOutput, error) {
	return &iam.EnableMFADeviceOutput{}, s.update(ctx, func(tx store.Tx, account string) error {
		u, err := users.get(tx, account, aws.ToString(in.UserName))
		if err != nil {
			return err
		}
		return s.enableDevice(tx, account, u.ID, in.SerialNumber, in.AuthenticationCode1, in.AuthenticationCode2)
	})
}

func (s *Service) enableDevice(tx store.Tx, account, owner string, serial, first, second *string) error {
	d, err := getDevice(tx, account, aws.ToString(serial))
	if err != nil {
		return err
	}
	if d.User != "" {
		return errEntityAlreadyExists("MFA Device is already in use.")
	}
	held, err := devicesOf(tx, account, owner)
	if err != nil {
		return err
	}
	if len(held) >= maxDevicesPerUser {
		return errQuota("MFADevicesPerUser", maxDevicesPerUser)
	}
	if err := s.takeCodes(d, account, tx.Now(), first, second); err != nil {
		return err
	}
	d.User, d.Enabled = owner, tx.Now().UTC().Truncate(time.Second)
	return deviceRows(tx, account).Put(d)
}

// ResyncMFADevice learns from two codes in a row how far a device's clock is off.
func (s *Service) ResyncMFADevice(ctx context.Context, in *iam.ResyncMFADeviceInput) (*iam.ResyncMFADeviceOutput, error) {
	return &iam.ResyncMFADeviceOutput{}, s.update(ctx, func(tx store.Tx, account string) error {
		u, err := users.get(tx, account, aws.ToString(in.UserName))
		if err != nil {
			return err
		}
		d, err := userDevice(tx, account, u.ID, aws.ToString(in.SerialNumber))
		if err != nil {
			return err
		}
		if err := s.takeCodes(d, account, tx.Now(), in.AuthenticationCode1, in.AuthenticationCode2); err != nil {
			return err
		}
		return deviceRows(tx, account).Put(d)
	})
}

// DeactivateMFADevice takes a device from its user. A virtual one can be enabled again.
func (s *Service) DeactivateMFADevice(ctx context.Context, in *iam.DeactivateMFADeviceInput) (*iam.DeactivateMFADeviceOutput, error) {
	return &iam.DeactivateMFADeviceOutput{}, s.update(ctx, func(tx store.Tx, account string) error {
		owner, _, err := keyOwner(ctx, tx, account, in.UserName)
		if err != nil {
			return err
		}
		d, err := userDevice(tx, account, rootsOwn(owner, account), aws.ToString(in.SerialNumber))
		if err != nil {
			return err
		}
		d.User, d.Enabled = "", time.Time{}
		return deviceRows(tx, account).Put(d)
	})
}

// DeleteVirtualMFADevice removes a device that nobody has.
func (s *Service) DeleteVirtualMFADevice(ctx context.Context, in *iam.DeleteVirtualMFADeviceInput) (*iam.DeleteVirtualMFADeviceOutput, error) {
	return &iam.DeleteVirtualMFADeviceOutput{}, s.update(ctx, func(tx store.Tx, account string) error {
		d, err := getDevice(tx, account, aws.ToString(in.SerialNumber))
		if err != nil {
			return err
		}
		if d.User != "" {
			return errDeleteConflict("Cannot delete entity, must deactivate MFA device first.")
		}
		return deviceRows(tx, account).Delete(folded(d.Name))
	})
}

// GetMFADevice answers whose a device is and since when.
func (s *Service) GetMFADevice(ctx context.Context, in *iam.GetMFADeviceInput) (*iam.GetMFADeviceOutput, error) {
	out := &iam.GetMFADeviceOutput{}
	err := s.view(ctx, func(tx store.Tx, account string) error {
		d, err := getDevice(tx, account, aws.ToString(in.SerialNumber))
		if err != nil {
			return err
		}
		if in.UserName != nil {
			u, err := users.get(tx, account, *in.UserName)
			if err != nil {
				return err
			}
			if d, err = userDevice(tx, account, u.ID, *in.SerialNumber); err != nil {
				return err
			}
		}
		out.SerialNumber = in.SerialNumber
		switch d.User {
		case "":
		case account:
			out.EnableDate = aws.Time(d.Enabled)
		default:
			u, err := s.userRows(tx, account).Index("id").Get(d.User)
			if err != nil {
				return err
			}
			out.UserName, out.EnableDate = aws.String(u.Name), aws.Time(d.Enabled)
		}
		return nil
	})
	return out, err
}

// ListMFADevices answers a user's devices.
func (s *Service) ListMFADevices(ctx context.Context, in *iam.ListMFADevicesInput) (*iam.ListMFADevicesOutput, error) {
	out := &iam.ListMFADevicesOutput{MFADevices: []types.MFADevice{}}
	err := s.view(ctx, func(tx store.Tx, account string) error {
		owner, name, err := keyOwner(ctx, tx, account, in.UserName)
		if err != nil {
			return err
		}
		list, err := devicesOf(tx, account, rootsOwn(owner, account))
		if err != nil {
			return err
		}
		p, err := pageOfList(list, func(d *mfaDevice) string { return d.Name }, in.Marker, in.MaxItems)
		for _, d := range p.list {
			out.MFADevices = append(out.MFADevices, types.MFADevice{SerialNumber: aws.String(d.serial(account)), UserName: aws.String(name), EnableDate: aws.Time(d.Enabled)})
		}
		out.IsTruncated, out.Marker = p.truncated(), p.marker
		return err
	})
	return out, err
}

// ListVirtualMFADevices answers the account's devices without their seeds.
func (s *Service) ListVirtualMFADevices(ctx context.Context, in *iam.ListVirtualMFADevicesInput) (*iam.ListVirtualMFADevicesOutput, error) {
	out := &iam.ListVirtualMFADevicesOutput{VirtualMFADevices: []types.VirtualMFADevice{}}
	err := s.view(ctx, func(tx store.Tx, account string) error {
		keep := func(d *mfaDevice) bool {
			return in.AssignmentStatus != types.AssignmentStatusTypeAssigned && in.AssignmentStatus != types.AssignmentStatusTypeUnassigned ||
				(in.AssignmentStatus == types.AssignmentStatusTypeAssigned) == (d.User != "")
		}
		p, err := pageOf(deviceRows(tx, account).Scan, store.Query{}, in.Marker, in.MaxItems, keep, func(d *mfaDevice) store.ID { return store.ID{folded(d.Name)} })
		if err != nil {
			return err
		}
		for _, d := range p.list {
			listed := types.VirtualMFADevice{SerialNumber: aws.String(d.serial(account))}
			switch d.User {
			case "":
			case account:
				a, err := s.account(tx, account)
				if err != nil {
					return err
				}
				listed.User, listed.EnableDate = a.rootToAPI(), aws.Time(d.Enabled)
			default:
				u, err := s.userRows(tx, account).Index("id").Get(d.User)
				if err != nil {
					return err
				}
				listed.User, listed.EnableDate = u.toAPI(account), aws.Time(d.Enabled)
			}
			out.VirtualMFADevices = append(out.VirtualMFADevices, listed)
		}
		out.IsTruncated, out.Marker = p.truncated(), p.marker
		return nil
	})
	return out, err
}

// TagMFADevice adds or replaces tags.
func (s *Service) TagMFADevice(ctx context.Context, in *iam.TagMFADeviceInput) (*iam.TagMFADeviceOutput, error) {
	return &iam.TagMFADeviceOutput{}, namedDevices.tag(ctx, s, in.SerialNumber, in.Tags)
}

// UntagMFADevice removes tags; absent ones are no error.
func (s *Service) UntagMFADevice(ctx context.Context, in *iam.UntagMFADeviceInput) (*iam.UntagMFADeviceOutput, error) {
	return &iam.UntagMFADeviceOutput{}, namedDevices.untag(ctx, s, in.SerialNumber, in.TagKeys)
}

// ListMFADeviceTags answers a device's tags.
func (s *Service) ListMFADeviceTags(ctx context.Context, in *iam.ListMFADeviceTagsInput) (*iam.ListMFADeviceTagsOutput, error) {
	p, err := namedDevices.listTags(ctx, s, in.SerialNumber, in.Marker, in.MaxItems)
	return &iam.ListMFADeviceTagsOutput{Tags: p.list, IsTruncated: p.truncated(), Marker: p.marker}, err
}
