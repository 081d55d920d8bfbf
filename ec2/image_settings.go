package ec2

import (
	"context"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// GetImageBlockPublicAccessState answers whether images of the account may be made public in this region. An account that never
// said so lets them; AWS's own accounts of after October 2023 begin with the block.
func (s *Service) GetImageBlockPublicAccessState(ctx context.Context, _ *ec2.GetImageBlockPublicAccessStateInput) (*ec2.GetImageBlockPublicAccessStateOutput, error) {
	have, err := s.readSettings(ctx)
	if err != nil {
		return nil, err
	}
	state := string(types.ImageBlockPublicAccessDisabledStateUnblocked)
	if have.ImagesBlocked {
		state = string(types.ImageBlockPublicAccessEnabledStateBlockNewSharing)
	}
	return &ec2.GetImageBlockPublicAccessStateOutput{ImageBlockPublicAccessState: aws.String(state), ManagedBy: types.ManagedByAccount}, nil
}

// EnableImageBlockPublicAccess refuses from now on to make images public. Those that are stay so.
func (s *Service) EnableImageBlockPublicAccess(ctx context.Context, in *ec2.EnableImageBlockPublicAccessInput) (*ec2.EnableImageBlockPublicAccessOutput, error) {
	if !slices.Contains(in.ImageBlockPublicAccessState.Values(), in.ImageBlockPublicAccessState) {
		return nil, errInvalidParameterValue("Value (%s) for parameter imageBlockPublicAccessState is invalid.", in.ImageBlockPublicAccessState)
	}
	return &ec2.EnableImageBlockPublicAccessOutput{ImageBlockPublicAccessState: in.ImageBlockPublicAccessState}, s.changeSettings(ctx, func(have *settings) error {
		have.ImagesBlocked = true
		return nil
	})
}

// DisableImageBlockPublicAccess lets images be made public.
func (s *Service) DisableImageBlockPublicAccess(ctx context.Context, _ *ec2.DisableImageBlockPublicAccessInput) (*ec2.DisableImageBlockPublicAccessOutput, error) {
	return &ec2.DisableImageBlockPublicAccessOutput{ImageBlockPublicAccessState: types.ImageBlockPublicAccessDisabledStateUnblocked}, s.changeSettings(ctx, func(have *settings) error {
		have.ImagesBlocked = false
		return nil
	})
}

// mayBePublic refuses an image that is to be made public while the account blocks that.
func mayBePublic(t tx, im *image, public bool) error {
	if !public || im.Public {
		return nil
	}
	have, err := settingsOf(t)
	if err == nil && have.ImagesBlocked {
		// AWS: "Block public access to your AMIs".
		err = errOperationNotPermitted("You can't publicly share this image because block public access for AMIs is enabled for this account. To publicly share the image, you must call the DisableImageBlockPublicAccess API.")
	}
	return err
}

// CancelImageLaunchPermission gives up what another account shared with the caller's.
func (s *Service) CancelImageLaunchPermission(ctx context.Context, in *ec2.CancelImageLaunchPermissionInput) (*ec2.CancelImageLaunchPermissionOutput, error) {
	return &ec2.CancelImageLaunchPermissionOutput{Return: aws.Bool(true)}, s.update(ctx, func(t tx) error {
		if !images.wellFormed(*in.ImageId) {
			return errImageMalformed(*in.ImageId)
		}
		row, err := sharedIn(t).Find(t.scope.Account, *in.ImageId)
		if err != nil {
			return err
		}
		if row == nil {
			return errImageNotFound(*in.ImageId)
		}
		theirs := t.owned(row.Owner)
		im, err := images.get(theirs, row.ID)
		if err != nil {
			return err
		}
		left := slices.DeleteFunc(slices.Clone(im.SharedWith), func(a string) bool { return a == t.scope.Account })
		if err := share(theirs, im, left, im.Public); err != nil {
			return err
		}
		return images.put(theirs, im)
	})
}

// imageOf answers the image of an instance as its owner may still see it; nil where it is gone.
func imageOf(t tx, i *instance) *image {
	im, err := findImage(t, i.ImageID)
	t.fail(err)
	return im
}

// imageMetadataFilters are those of DescribeInstanceImageMetadata.
var imageMetadataFilters = filters[instance]{
	"availability-zone": instanceFilters["availability-zone"],
	"image-allowed": func(t tx, i *instance) []string {
		if im := imageOf(t, i); im != nil {
			return imageAllowed(t, im)
		}
		return yesNo(true)
	},
	"instance-id":         instanceFilters["instance-id"],
	"instance-state-name": instanceFilters["instance-state-name"],
	"instance-type":       instanceFilters["instance-type"],
	"launch-time":         instanceFilters["launch-time"],
	"owner-alias": func(t tx, i *instance) []string {
		if im := imageOf(t, i); im != nil {
			return one(im.OwnerAlias)
		}
		return nil
	},
	"owner-id": func(t tx, _ *instance) []string { return one(t.scope.Account) },
	"zone-id":  func(_ tx, i *instance) []string { return one(i.ZoneID) },
}

// DescribeInstanceImageMetadata lists instances with the images that they were launched from.
func (s *Service) DescribeInstanceImageMetadata(ctx context.Context, in *ec2.DescribeInstanceImageMetadataInput) (*ec2.DescribeInstanceImageMetadataOutput, error) {
	match, err := imageMetadataFilters.compile(instanceBase, in.Filters)
	if err != nil {
		return nil, err
	}
	out := &ec2.DescribeInstanceImageMetadataOutput{}
	return out, s.view(ctx, func(t tx) error {
		out.InstanceImageMetadata = []types.InstanceImageMetadata{}
		list, _, err := s.selectInstances(t, query{ids: in.InstanceIds})
		if err != nil {
			return err
		}
		list = slices.DeleteFunc(slices.Clone(list), func(i *instance) bool { return !match.matches(t, i) })
		slices.SortFunc(list, func(a, b *instance) int { return strings.Compare(a.ID, b.ID) })
		page, next, err := cut(list, func(i *instance) string { return i.ID }, "instance-image-metadata", pageBounds{5, 1000},
			query{ids: in.InstanceIds, idsName: "instanceIds", max: in.MaxResults, token: in.NextToken})
		out.NextToken = next
		have, failure := settingsOf(t)
		if failure != nil {
			return failure
		}
		for _, i := range page {
			shown := &types.ImageMetadata{ImageId: aws.String(i.ImageID), ImageAllowed: aws.Bool(true)}
			if im := imageOf(t, i); im != nil {
				shown.ImageAllowed = aws.Bool(have.Images.State == "" || have.Images.allows(t, im))
				shown.Name, shown.OwnerId, shown.ImageOwnerAlias = aws.String(im.Name), aws.String(im.OwnerID), optional(im.OwnerAlias)
				shown.CreationDate, shown.IsPublic, shown.State = aws.String(imageTime(im.Created)), aws.Bool(im.Public), types.ImageState(im.State)
				if !im.Deprecation.IsZero() {
					shown.DeprecationTime = aws.String(imageTime(im.Deprecation))
				}
			}
			out.InstanceImageMetadata = append(out.InstanceImageMetadata, types.InstanceImageMetadata{
				InstanceId: aws.String(i.ID), InstanceType: i.Type, LaunchTime: aws.Time(i.Launched), AvailabilityZone: aws.String(i.Zone), ZoneId: aws.String(i.ZoneID),
				State: stateToAPI(i.State), OwnerId: aws.String(t.scope.Account), Tags: s.shownInstanceTags(t, i), ImageMetadata: shown,
			})
		}
		return err
	})
}
