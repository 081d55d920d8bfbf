package ec2

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// allowedImages say which images of others an account may see and use in a region.
//
//	disabled (State is empty) <--> audit-mode: images say whether they would be allowed <--> enabled: others are not there
type allowedImages struct {
	State    types.AllowedImagesSettingsEnabledState `json:",omitempty"`
	Criteria []types.ImageCriterion                  `json:",omitempty"`
}

// allows tells whether an image meets one of the criteria. The account's own always do.
// AWS: "Control the discovery and use of AMIs in Amazon EC2 with Allowed AMIs".
func (a *allowedImages) allows(t tx, im *image) bool {
	return im.OwnerID == t.scope.Account || slices.ContainsFunc(a.Criteria, func(c types.ImageCriterion) bool { return meets(t, im, c) })
}

// hides tells whether the account cannot see an image, nor use it.
func (a *allowedImages) hides(t tx, im *image) bool {
	return a.State == types.AllowedImagesSettingsEnabledStateEnabled && !a.allows(t, im)
}

// shown is what images say of it: nothing where the settings are disabled.
func (a *allowedImages) shown(t tx, im *image) *bool {
	if a.State == "" {
		return nil
	}
	return aws.Bool(a.allows(t, im))
}

// meets tells whether an image has all that a criterion names, of each one of the values.
func meets(t tx, im *image, c types.ImageCriterion) bool {
	by := func(provider string) bool {
		return provider == im.OwnerID || provider == im.OwnerAlias && provider != ""
	}
	called := func(name string) bool { return compilePattern(name).matches(im.Name) }
	within := func(since time.Time, days *int32) bool {
		return days == nil || t.Now().Sub(since).Hours() <= 24*float64(*days)
	}
	switch {
	case len(c.ImageProviders) > 0 && !slices.ContainsFunc(c.ImageProviders, by),
		len(c.ImageNames) > 0 && !slices.ContainsFunc(c.ImageNames, called),
		len(c.MarketplaceProductCodes) > 0, // no image here has any
		c.CreationDateCondition != nil && !within(im.Created, c.CreationDateCondition.MaximumDaysSinceCreated):
		return false
	}
	over := !im.Deprecation.IsZero() && im.Deprecation.Before(t.Now())
	return c.DeprecationTimeCondition == nil || !over || within(im.Deprecation, c.DeprecationTimeCondition.MaximumDaysSinceDeprecated)
}

// imageAllowed is the filter image-allowed: without settings all images are.
func imageAllowed(t tx, im *image) []string {
	have, err := settingsOf(t)
	t.fail(err)
	return yesNo(have.Images.State == "" || have.Images.allows(t, im))
}

// GetAllowedImagesSettings answers the account's criteria in the region, and whether they hold.
func (s *Service) GetAllowedImagesSettings(ctx context.Context, _ *ec2.GetAllowedImagesSettingsInput) (*ec2.GetAllowedImagesSettingsOutput, error) {
	have, err := s.readSettings(ctx)
	if err != nil {
		return nil, err
	}
	state := string(have.Images.State)
	if state == "" {
		state = string(types.AllowedImagesSettingsDisabledStateDisabled)
	}
	return &ec2.GetAllowedImagesSettingsOutput{
		State: aws.String(state), ImageCriteria: append([]types.ImageCriterion{}, have.Images.Criteria...), ManagedBy: types.ManagedByAccount,
	}, nil
}

// EnableAllowedImagesSettings lets the criteria hold, or only be shown.
func (s *Service) EnableAllowedImagesSettings(ctx context.Context, in *ec2.EnableAllowedImagesSettingsInput) (*ec2.EnableAllowedImagesSettingsOutput, error) {
	if !slices.Contains(in.AllowedImagesSettingsState.Values(), in.AllowedImagesSettingsState) {
		return nil, errInvalidParameterValue("Value (%s) for parameter allowedImagesSettingsState is invalid.", in.AllowedImagesSettingsState)
	}
	return &ec2.EnableAllowedImagesSettingsOutput{AllowedImagesSettingsState: in.AllowedImagesSettingsState}, s.changeSettings(ctx, func(have *settings) error {
		have.Images.State = in.AllowedImagesSettingsState
		return nil
	})
}

// DisableAllowedImagesSettings allows all images; the criteria are kept.
func (s *Service) DisableAllowedImagesSettings(ctx context.Context, _ *ec2.DisableAllowedImagesSettingsInput) (*ec2.DisableAllowedImagesSettingsOutput, error) {
	return &ec2.DisableAllowedImagesSettingsOutput{AllowedImagesSettingsState: types.AllowedImagesSettingsDisabledStateDisabled}, s.changeSettings(ctx, func(have *settings) error {
		have.Images.State = ""
		return nil
	})
}

// ReplaceImageCriteriaInAllowedImagesSettings takes over other criteria, in each of the states.
func (s *Service) ReplaceImageCriteriaInAllowedImagesSettings(ctx context.Context, in *ec2.ReplaceImageCriteriaInAllowedImagesSettingsInput) (*ec2.ReplaceImageCriteriaInAllowedImagesSettingsOutput, error) {
	if len(in.ImageCriteria) > 10 {
		return nil, errInvalidParameterValue("The maximum number of image criteria is 10.")
	}
	var criteria []types.ImageCriterion
	providers := 0
	for _, given := range in.ImageCriteria {
		// AWS: "ImageCriterion": "up to a total of 200 values" of providers, over all.
		if providers += len(given.ImageProviders); providers > 200 {
			return nil, errInvalidParameterValue("The maximum number of image providers is 200.")
		}
		if err := checkImageCriterion(given); err != nil {
			return nil, err
		}
		var criterion types.ImageCriterion
		if err := reshape(given, &criterion); err != nil {
			return nil, err
		}
		criteria = append(criteria, criterion)
	}
	return &ec2.ReplaceImageCriteriaInAllowedImagesSettingsOutput{ReturnValue: aws.Bool(true)}, s.changeSettings(ctx, func(have *settings) error {
		have.Images.Criteria = criteria
		return nil
	})
}

// checkImageCriterion checks one. AWS: "ImageCriterionRequest"; its codes are not documented.
func checkImageCriterion(c types.ImageCriterionRequest) error {
	const none = "none"
	if len(c.ImageWatermarks) > 0 || c.ScanResultCondition != nil {
		return errNotImplemented("A criterion of watermarks or of scan results")
	}
	switch {
	case len(c.ImageNames) > 50:
		return errInvalidParameterValue("The maximum number of image names is 50.")
	case len(c.MarketplaceProductCodes) > 50:
		return errInvalidParameterValue("The maximum number of Marketplace product codes is 50.")
	case c.CreationDateCondition != nil && aws.ToInt32(c.CreationDateCondition.MaximumDaysSinceCreated) < 0,
		c.DeprecationTimeCondition != nil && aws.ToInt32(c.DeprecationTimeCondition.MaximumDaysSinceDeprecated) < 0:
		return errInvalidParameterValue("A number of days cannot be negative.")
	case slices.Contains(c.ImageProviders, none) && len(c.ImageProviders) > 1:
		return errInvalidParameterValue("The image provider 'none' cannot be combined with others.")
	}
	for _, p := range c.ImageProviders {
		if !slices.Contains([]string{"amazon", "aws-marketplace", "aws-backup-vault", none}, p) && !accountPattern.MatchString(p) {
			return errInvalidParameterValue("Value (%s) for parameter imageProvider is invalid.", p)
		}
	}
	for _, name := range c.ImageNames {
		if name == "" || len(name) > 128 || strings.Contains(name, "?") && len(name) < 3 || strings.ContainsFunc(name, func(r rune) bool { return oddInImageName(r) && r != '*' && r != '?' }) {
			return errInvalidParameterValue("Value (%s) for parameter imageName is invalid.", name)
		}
	}
	for _, code := range c.MarketplaceProductCodes {
		if code == "" || len(code) > 25 || strings.ContainsFunc(code, func(r rune) bool { return !isLetterOrDigit(r) }) {
			return errInvalidParameterValue("Value (%s) for parameter marketplaceProductCode is invalid.", code)
		}
	}
	return nil
}
