package ec2

import (
	"context"
	"errors"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"miniaws/awsapi"
	"miniaws/backend/store"
)

// settings are what an account has set for its instances in a region.
type settings struct {
	ID string
	// SerialConsole says that serial consoles may be opened. Here there is none to open.
	SerialConsole bool
	// Metadata has what launches get that do not say otherwise; an empty field is no preference.
	Metadata metadataOptions
	// TokensEnforced is "enabled" where instances have to demand tokens of those that ask for metadata.
	TokensEnforced string `json:",omitempty"`
	// Credits are the default credit options of families, by family.
	Credits map[string]string `json:",omitempty"`
	// ImagesBlocked refuses to make images public.
	ImagesBlocked bool `json:",omitempty"`
	// Images are those of others that may be seen and used.
	Images allowedImages `json:",omitzero"`
}

// The two rows of an account: the second one has the criteria of Allowed AMIs for which the first has no room.
const settingsID, moreCriteriaID = "instances", "more-criteria"

// criteriaInSettings is how many criteria the first row has: ten of the largest are more than a row may hold.
const criteriaInSettings = 5

var accountSettings = store.NewTable(store.Spec[settings]{
	Service: "ec2", Name: "account-settings", ID: func(s *settings) store.ID { return store.ID{s.ID} },
})

func settingsOf(t tx) (*settings, error) {
	found, err := accountSettings.In(t, t.scope).Find(settingsID)
	if found == nil || err != nil {
		return &settings{ID: settingsID}, err
	}
	if len(found.Images.Criteria) == criteriaInSettings {
		more, err := accountSettings.In(t, t.scope).Find(moreCriteriaID)
		if more == nil || err != nil {
			return found, err
		}
		found.Images.Criteria = slices.Concat(found.Images.Criteria, more.Images.Criteria)
	}
	return found, nil
}

// putSettings writes the settings in as many rows as they need.
func putSettings(t tx, have *settings) error {
	rows, first := accountSettings.In(t, t.scope), *have
	if all := have.Images.Criteria; len(all) > criteriaInSettings {
		first.Images.Criteria = all[:criteriaInSettings]
		more := settings{ID: moreCriteriaID, Images: allowedImages{Criteria: all[criteriaInSettings:]}}
		return errors.Join(rows.Put(&first), rows.Put(&more))
	}
	return errors.Join(rows.Put(&first), rows.Delete(moreCriteriaID))
}

func (s *Service) changeSettings(ctx context.Context, change func(*settings) error) error {
	return s.update(ctx, func(t tx) error {
		have, err := settingsOf(t)
		if err != nil {
			return err
		}
		if err := change(have); err != nil {
			return err
		}
		return putSettings(t, have)
	})
}

func (s *Service) readSettings(ctx context.Context) (have *settings, err error) {
	err = s.view(ctx, func(t tx) (err error) {
		have, err = settingsOf(t)
		return err
	})
	return have, err
}

// GetSerialConsoleAccessStatus answers whether the account lets its users open serial consoles.
func (s *Service) GetSerialConsoleAccessStatus(ctx context.Context, _ *ec2.GetSerialConsoleAccessStatusInput) (*ec2.GetSerialConsoleAccessStatusOutput, error) {
	have, err := s.readSettings(ctx)
	if err != nil {
		return nil, err
	}
	return &ec2.GetSerialConsoleAccessStatusOutput{SerialConsoleAccessEnabled: aws.Bool(have.SerialConsole), ManagedBy: types.ManagedByAccount}, nil
}

// EnableSerialConsoleAccess lets them.
func (s *Service) EnableSerialConsoleAccess(ctx context.Context, _ *ec2.EnableSerialConsoleAccessInput) (*ec2.EnableSerialConsoleAccessOutput, error) {
	return &ec2.EnableSerialConsoleAccessOutput{SerialConsoleAccessEnabled: aws.Bool(true)}, s.changeSettings(ctx, func(have *settings) error {
		have.SerialConsole = true
		return nil
	})
}

// DisableSerialConsoleAccess does not.
func (s *Service) DisableSerialConsoleAccess(ctx context.Context, _ *ec2.DisableSerialConsoleAccessInput) (*ec2.DisableSerialConsoleAccessOutput, error) {
	return &ec2.DisableSerialConsoleAccessOutput{SerialConsoleAccessEnabled: aws.Bool(false)}, s.changeSettings(ctx, func(have *settings) error {
		have.SerialConsole = false
		return nil
	})
}

// noPreference takes a default back. AWS: "ModifyInstanceMetadataDefaults"; of the hop limit it is -1.
const noPreference = "no-preference"

// GetInstanceMetadataDefaults answers what launches get that say nothing of the metadata service.
func (s *Service) GetInstanceMetadataDefaults(ctx context.Context, _ *ec2.GetInstanceMetadataDefaultsInput) (*ec2.GetInstanceMetadataDefaultsOutput, error) {
	have, err := s.readSettings(ctx)
	if err != nil {
		return nil, err
	}
	level := &types.InstanceMetadataDefaultsResponse{
		HttpTokens: types.HttpTokensState(have.Metadata.Tokens), HttpEndpoint: types.InstanceMetadataEndpointState(have.Metadata.Endpoint),
		InstanceMetadataTags: types.InstanceMetadataTagsState(have.Metadata.Tags), ManagedBy: types.ManagedByAccount,
		HttpTokensEnforced: types.HttpTokensEnforcedState(have.TokensEnforced),
	}
	if have.Metadata.HopLimit != 0 {
		level.HttpPutResponseHopLimit = aws.Int32(have.Metadata.HopLimit)
	}
	return &ec2.GetInstanceMetadataDefaultsOutput{AccountLevel: level}, nil
}

// ModifyInstanceMetadataDefaults changes them for launches to come.
func (s *Service) ModifyInstanceMetadataDefaults(ctx context.Context, in *ec2.ModifyInstanceMetadataDefaultsInput) (*ec2.ModifyInstanceMetadataDefaultsOutput, error) {
	for _, given := range []struct {
		name, value string
		valid       []string
	}{
		{"httpTokens", string(in.HttpTokens), []string{"optional", "required"}},
		{"httpEndpoint", string(in.HttpEndpoint), []string{"enabled", "disabled"}},
		{"httpTokensEnforced", string(in.HttpTokensEnforced), []string{"enabled", "disabled"}},
		{"instanceMetadataTags", string(in.InstanceMetadataTags), []string{"enabled", "disabled"}},
	} {
		if given.value != "" && given.value != noPreference && !slices.Contains(given.valid, given.value) {
			return nil, errInvalidParameterValue("Value (%s) for parameter %s is invalid.", given.value, given.name)
		}
	}
	if n := in.HttpPutResponseHopLimit; n != nil && *n != -1 && (*n < 1 || *n > 64) {
		return nil, errInvalidParameterValue("Value (%d) for parameter HttpPutResponseHopLimit is invalid. Valid values are from 1 to 64, and -1.", *n)
	}
	return &ec2.ModifyInstanceMetadataDefaultsOutput{Return: aws.Bool(true)}, s.changeSettings(ctx, func(have *settings) error {
		set := func(field *string, value string) {
			switch value {
			case "":
			case noPreference:
				*field = ""
			default:
				*field = value
			}
		}
		set(&have.Metadata.Tokens, string(in.HttpTokens))
		set(&have.Metadata.Endpoint, string(in.HttpEndpoint))
		set(&have.Metadata.Tags, string(in.InstanceMetadataTags))
		set(&have.TokensEnforced, string(in.HttpTokensEnforced))
		if n := in.HttpPutResponseHopLimit; n != nil {
			have.Metadata.HopLimit = max(0, *n)
		}
		return nil
	})
}

// checkTokens refuses an instance that answers without a token where the account does not want that; what is "launch" or "modify".
// AWS: "Enforce IMDSv2 at the account level"; code and words are from memory.
func (s *settings) checkTokens(options metadataOptions, what string) error {
	if s.TokensEnforced != "enabled" || options.Tokens == "required" {
		return nil
	}
	return errUnsupportedOperation("You can't %s instances with IMDSv1 because httpTokensEnforced is enabled for this account. Either %s the instance with httpTokens=required or contact your account owner to disable httpTokensEnforced using the ModifyInstanceMetadataDefaults API or the account settings in the EC2 console.", what, what)
}

// metadataDefaultsAccess is of no resource; policies can ask what is set.
func metadataDefaultsAccess(ctx context.Context, in *ec2.ModifyInstanceMetadataDefaultsInput) ([]awsapi.Access, error) {
	access := awsapi.Access{Action: "ec2:ModifyInstanceMetadataDefaults", Conditions: map[string][]string{"ec2:Region": {scopeOf(ctx).Region}}}
	for name, value := range attributesOf(in) {
		if value != "" {
			access.Conditions["ec2:Attribute/"+name] = []string{value}
		}
	}
	return []awsapi.Access{access}, nil
}

// creditFamily checks the family of a burstable type. AWS: "ModifyDefaultCreditSpecification".
func creditFamily(family types.UnlimitedSupportedInstanceFamily) error {
	if !slices.Contains(family.Values(), family) {
		return errInvalidParameterValue("Value (%s) for parameter instanceFamily is invalid.", family)
	}
	return nil
}

func (s *settings) credit(family string) string {
	if set := s.Credits[family]; set != "" {
		return set
	}
	if family == "t2" {
		return "standard"
	}
	return "unlimited"
}

// GetDefaultCreditSpecification answers the credit option that a family's instances get.
func (s *Service) GetDefaultCreditSpecification(ctx context.Context, in *ec2.GetDefaultCreditSpecificationInput) (*ec2.GetDefaultCreditSpecificationOutput, error) {
	if err := creditFamily(in.InstanceFamily); err != nil {
		return nil, err
	}
	have, err := s.readSettings(ctx)
	if err != nil {
		return nil, err
	}
	return &ec2.GetDefaultCreditSpecificationOutput{InstanceFamilyCreditSpecification: &types.InstanceFamilyCreditSpecification{
		InstanceFamily: in.InstanceFamily, CpuCredits: aws.String(have.credit(string(in.InstanceFamily))),
	}}, nil
}

// ModifyDefaultCreditSpecification changes it for launches to come.
func (s *Service) ModifyDefaultCreditSpecification(ctx context.Context, in *ec2.ModifyDefaultCreditSpecificationInput) (*ec2.ModifyDefaultCreditSpecificationOutput, error) {
	if err := creditFamily(in.InstanceFamily); err != nil {
		return nil, err
	}
	credits := aws.ToString(in.CpuCredits)
	if credits != "standard" && credits != "unlimited" {
		return nil, errInvalidParameterValue("The value (%s) for parameter CpuCredits is invalid. Valid values are 'standard' and 'unlimited'.", credits)
	}
	return &ec2.ModifyDefaultCreditSpecificationOutput{InstanceFamilyCreditSpecification: &types.InstanceFamilyCreditSpecification{
			InstanceFamily: in.InstanceFamily, CpuCredits: in.CpuCredits,
		}}, s.changeSettings(ctx, func(have *settings) error {
			if have.Credits == nil {
				have.Credits = map[string]string{}
			}
			have.Credits[string(in.InstanceFamily)] = credits
			return nil
		})
}
