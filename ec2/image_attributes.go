package ec2

import (
	"context"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"miniaws/backend/lazyregexp"
)

// DescribeImageAttribute answers one attribute. Launch permissions are for the owner's eyes.
func (s *Service) DescribeImageAttribute(ctx context.Context, in *ec2.DescribeImageAttributeInput) (*ec2.DescribeImageAttributeOutput, error) {
	out := &ec2.DescribeImageAttributeOutput{ImageId: in.ImageId}
	return out, s.view(ctx, func(t tx) error {
		im, err := getImage(t, *in.ImageId)
		if err != nil {
			return err
		}
		switch in.Attribute {
		case types.ImageAttributeNameDescription:
			out.Description = &types.AttributeValue{Value: optional(im.Description)}
		case types.ImageAttributeNameLaunchPermission:
			if im.OwnerID != t.scope.Account {
				return errNotImageOwner(im.ID)
			}
			out.LaunchPermissions = []types.LaunchPermission{}
			if im.Public {
				out.LaunchPermissions = append(out.LaunchPermissions, types.LaunchPermission{Group: types.PermissionGroupAll})
			}
			for _, account := range im.SharedWith {
				out.LaunchPermissions = append(out.LaunchPermissions, types.LaunchPermission{UserId: aws.String(account)})
			}
		case types.ImageAttributeNameBlockDeviceMapping:
			out.BlockDeviceMappings = im.mappings()
		case types.ImageAttributeNameSriovNetSupport:
			out.SriovNetSupport = &types.AttributeValue{}
			if im.SriovNet {
				out.SriovNetSupport.Value = aws.String("simple")
			}
		case types.ImageAttributeNameImdsSupport:
			out.ImdsSupport = &types.AttributeValue{Value: optional(im.IMDSSupport)}
		case types.ImageAttributeNameLastLaunchedTime:
			out.LastLaunchedTime = &types.AttributeValue{}
			if !im.LastLaunched.IsZero() {
				out.LastLaunchedTime.Value = aws.String(imageTime(im.LastLaunched))
			}
		case types.ImageAttributeNameDeregistrationProtection:
			out.DeregistrationProtection = &types.AttributeValue{Value: aws.String(im.protection())}
		case types.ImageAttributeNameKernel:
			out.KernelId = &types.AttributeValue{}
		case types.ImageAttributeNameRamdisk:
			out.RamdiskId = &types.AttributeValue{}
		case types.ImageAttributeNameProductCodes:
			out.ProductCodes = []types.ProductCode{}
		default:
			return errNotImplemented("DescribeImageAttribute of " + string(in.Attribute))
		}
		return nil
	})
}

var accountPattern = lazyregexp.New(`^[0-9]{12}$`)

// ModifyImageAttribute changes the description, the launch permissions or whether metadata version 2 is demanded.
func (s *Service) ModifyImageAttribute(ctx context.Context, in *ec2.ModifyImageAttributeInput) (*ec2.ModifyImageAttributeOutput, error) {
	if len(in.OrganizationArns) > 0 || len(in.OrganizationalUnitArns) > 0 || len(in.ProductCodes) > 0 {
		return nil, errNotImplemented("ModifyImageAttribute for organizations or product codes")
	}
	return &ec2.ModifyImageAttributeOutput{}, s.update(ctx, func(t tx) error {
		im, err := ownImage(t, *in.ImageId)
		if err != nil {
			return err
		}
		attribute := aws.ToString(in.Attribute)
		switch {
		case in.Description != nil:
			im.Description = aws.ToString(in.Description.Value)
		case attribute == "description":
			im.Description = aws.ToString(in.Value)
		case in.ImdsSupport != nil || attribute == "imdsSupport":
			value := aws.ToString(in.Value)
			if in.ImdsSupport != nil {
				value = aws.ToString(in.ImdsSupport.Value)
			}
			if value != "v2.0" {
				return errInvalidParameterValue("Value (%s) for parameter imdsSupport is invalid. Valid values are [v2.0].", value)
			}
			im.IMDSSupport = value
		case in.LaunchPermission != nil || attribute == "launchPermission" || len(in.UserIds) > 0 || len(in.UserGroups) > 0:
			return s.changePermissions(t, im, in)
		default:
			return errMissingParameter("Attribute")
		}
		return images.put(t, im)
	})
}

func (s *Service) changePermissions(t tx, im *image, in *ec2.ModifyImageAttributeInput) error {
	change := in.LaunchPermission
	if change == nil {
		change = &types.LaunchPermissionModifications{}
		list := make([]types.LaunchPermission, 0, len(in.UserIds)+len(in.UserGroups))
		for _, account := range in.UserIds {
			list = append(list, types.LaunchPermission{UserId: aws.String(account)})
		}
		for _, group := range in.UserGroups {
			list = append(list, types.LaunchPermission{Group: types.PermissionGroup(group)})
		}
		switch in.OperationType {
		case types.OperationTypeAdd:
			change.Add = list
		case types.OperationTypeRemove:
			change.Remove = list
		default:
			return errMissingParameter("OperationType")
		}
	}
	accounts, public := slices.Clone(im.SharedWith), im.Public
	for _, p := range slices.Concat(change.Add, change.Remove) {
		switch {
		case p.OrganizationArn != nil || p.OrganizationalUnitArn != nil:
			return errNotImplemented("a launch permission for an organization")
		case p.Group != "" && p.Group != types.PermissionGroupAll:
			return errInvalidParameterValue("Invalid group %s", p.Group)
		case p.Group == "" && !accountPattern.MatchString(aws.ToString(p.UserId)):
			return errInvalidUserIDMalformed(aws.ToString(p.UserId))
		}
	}
	for _, p := range change.Add {
		if p.Group != "" {
			public = true
		} else if !slices.Contains(accounts, *p.UserId) {
			accounts = append(accounts, *p.UserId)
		}
	}
	for _, p := range change.Remove {
		if p.Group != "" {
			public = false
		} else {
			accounts = slices.DeleteFunc(accounts, func(a string) bool { return a == *p.UserId })
		}
	}
	if err := mayBePublic(t, im, public); err != nil {
		return err
	}
	if err := share(t, im, accounts, public); err != nil {
		return err
	}
	return images.put(t, im)
}

// ResetImageAttribute takes all launch permissions away.
func (s *Service) ResetImageAttribute(ctx context.Context, in *ec2.ResetImageAttributeInput) (*ec2.ResetImageAttributeOutput, error) {
	return &ec2.ResetImageAttributeOutput{}, s.update(ctx, func(t tx) error {
		im, err := ownImage(t, *in.ImageId)
		if err != nil {
			return err
		}
		if err := share(t, im, nil, false); err != nil {
			return err
		}
		return images.put(t, im)
	})
}

// EnableImageDeprecation sets the time from which others do not see the image in lists any more.
func (s *Service) EnableImageDeprecation(ctx context.Context, in *ec2.EnableImageDeprecationInput) (*ec2.EnableImageDeprecationOutput, error) {
	return &ec2.EnableImageDeprecationOutput{Return: aws.Bool(true)}, s.changeImage(ctx, *in.ImageId, func(t tx, im *image) error {
		at := aws.ToTime(in.DeprecateAt).UTC().Truncate(time.Minute)
		if !at.After(t.Now()) {
			return errInvalidParameterValue("The specified deprecation date must be in the future.")
		}
		im.Deprecation = at
		return nil
	})
}

// DisableImageDeprecation takes that time away.
func (s *Service) DisableImageDeprecation(ctx context.Context, in *ec2.DisableImageDeprecationInput) (*ec2.DisableImageDeprecationOutput, error) {
	return &ec2.DisableImageDeprecationOutput{Return: aws.Bool(true)}, s.changeImage(ctx, *in.ImageId, func(_ tx, im *image) error {
		im.Deprecation = time.Time{}
		return nil
	})
}

// EnableImage makes a disabled image available again.
func (s *Service) EnableImage(ctx context.Context, in *ec2.EnableImageInput) (*ec2.EnableImageOutput, error) {
	return &ec2.EnableImageOutput{Return: aws.Bool(true)}, s.changeImage(ctx, *in.ImageId, func(_ tx, im *image) error {
		if im.State == imageDisabled {
			im.State = imageAvailable
		}
		return nil
	})
}

// DisableImage refuses launches of the image; nobody else may use it any more.
func (s *Service) DisableImage(ctx context.Context, in *ec2.DisableImageInput) (*ec2.DisableImageOutput, error) {
	return &ec2.DisableImageOutput{Return: aws.Bool(true)}, s.changeImage(ctx, *in.ImageId, func(t tx, im *image) error {
		if im.State != imageAvailable {
			return errImageUnavailable(im.ID)
		}
		im.State = imageDisabled
		return share(t, im, nil, false)
	})
}

// protectionCooldown is how long an image stays protected after that was taken away, if it was asked for.
// AWS: "Protect an Amazon EC2 AMI from deregistration".
const protectionCooldown = 24 * time.Hour

// cooling tells whether the protection was taken away so short a time ago that it still holds.
func (i *image) cooling(now time.Time) bool {
	return i.Cooldown && !i.Unprotected.IsZero() && now.Before(i.Unprotected.Add(protectionCooldown))
}

// protection is how images show it. AWS documents no value for the time of the cooldown.
func (i *image) protection() string {
	switch {
	case i.Protected && i.Cooldown:
		return "enabled-with-cooldown"
	case i.Protected:
		return "enabled-without-cooldown"
	}
	return "disabled"
}

// EnableImageDeregistrationProtection refuses DeregisterImage.
func (s *Service) EnableImageDeregistrationProtection(ctx context.Context, in *ec2.EnableImageDeregistrationProtectionInput) (*ec2.EnableImageDeregistrationProtectionOutput, error) {
	out := &ec2.EnableImageDeregistrationProtectionOutput{}
	return out, s.changeImage(ctx, *in.ImageId, func(_ tx, im *image) error {
		im.Protected, im.Cooldown, im.Unprotected = true, aws.ToBool(in.WithCooldown), time.Time{}
		out.Return = aws.String(im.protection())
		return nil
	})
}

// DisableImageDeregistrationProtection allows it again, after the cooldown if there is one.
func (s *Service) DisableImageDeregistrationProtection(ctx context.Context, in *ec2.DisableImageDeregistrationProtectionInput) (*ec2.DisableImageDeregistrationProtectionOutput, error) {
	out := &ec2.DisableImageDeregistrationProtectionOutput{}
	return out, s.changeImage(ctx, *in.ImageId, func(t tx, im *image) error {
		if im.Protected {
			im.Protected, im.Unprotected = false, t.Now()
		}
		out.Return = aws.String(im.protection())
		return nil
	})
}

func (s *Service) changeImage(ctx context.Context, id string, change func(tx, *image) error) error {
	return s.update(ctx, func(t tx) error {
		im, err := ownImage(t, id)
		if err != nil {
			return err
		}
		if err := change(t, im); err != nil {
			return err
		}
		return images.put(t, im)
	})
}
