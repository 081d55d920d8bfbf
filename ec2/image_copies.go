package ec2

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"miniaws/backend/reconcile"
	"miniaws/backend/store"
)

// layers remembers which images stand on a container image that CreateImage made, so that it goes with the last.
type layers struct {
	Reference string
	Users     []string // account/region/id
}

var imageLayers = store.NewTable(store.Spec[layers]{
	Service: "ec2", Name: "image-layers", ID: func(l *layers) store.ID { return store.ID{l.Reference} },
})

func (t tx) user(id string) string {
	return strings.Join([]string{t.scope.Account, t.scope.Region, id}, "/")
}

func holdLayers(t tx, im *image) error {
	rows := imageLayers.In(t, store.Scope{})
	l, err := rows.Find(im.References[0])
	if err != nil {
		return err
	}
	if l == nil {
		l = &layers{Reference: im.References[0]}
	}
	l.Users = append(l.Users, t.user(im.ID))
	return rows.Put(l)
}

func releaseLayers(t tx, im *image) error {
	rows := imageLayers.In(t, store.Scope{})
	l, err := rows.Find(im.References[0])
	if l == nil || err != nil {
		return err
	}
	l.Users = slices.DeleteFunc(l.Users, func(user string) bool { return user == t.user(im.ID) })
	return errors.Join(rows.Put(l), reconcile.Want(t, reconcile.Item{Kind: layersKind, ID: l.Reference}))
}

// CreateImage makes an image of an instance's root file system as it is.
func (s *Service) CreateImage(ctx context.Context, in *ec2.CreateImageInput) (*ec2.CreateImageOutput, error) {
	if len(in.BlockDeviceMappings) > 0 {
		return nil, errNotImplemented("CreateImage with BlockDeviceMappings")
	}
	tags, err := tagsOnCreate(in.TagSpecifications, types.ResourceTypeImage, types.ResourceTypeSnapshot)
	if err != nil {
		return nil, err
	}
	out := &ec2.CreateImageOutput{}
	return out, s.update(ctx, func(t tx) error {
		inst, err := instances.get(t, *in.InstanceId)
		if err != nil {
			return err
		}
		switch inst.State {
		case statePending, stateShuttingDown, stateTerminated:
			return errIncorrectInstanceState(inst)
		}
		if err := checkImageName(t, *in.Name); err != nil {
			return err
		}
		from, err := findImage(t, inst.ImageID)
		if err != nil {
			return err
		}
		im := &image{
			resource: resource{ID: t.NewID("ami-"), Tags: maps.Clone(tags)},
			Name:     *in.Name, Description: aws.ToString(in.Description), OwnerID: t.scope.Account,
			Location: t.scope.Account + "/" + *in.Name, Architecture: inst.Architecture, Created: t.Now(), RootDevice: inst.RootDevice,
			VolumeGiB: inst.RootVolume.GiB, Login: inst.Login, State: imagePending, SourceInstance: inst.ID,
			NoReboot: aws.ToBool(in.NoReboot), CreatedLayers: true,
		}
		im.References = []string{fmt.Sprintf("mini-aws/ami:%s", im.ID)}
		im.SourceImage, im.SourceRegion = inst.ImageID, t.scope.Region
		if from != nil {
			im.IMDSSupport = from.IMDSSupport
		}
		out.ImageId = aws.String(im.ID)
		return errors.Join(images.insert(t, im), holdLayers(t, im), reconcile.Want(t, t.item(imageKind, im.ID)))
	})
}

// CopyImage copies an image within a region or into another one: the bytes are shared, they are one engine's.
func (s *Service) CopyImage(ctx context.Context, in *ec2.CopyImageInput) (*ec2.CopyImageOutput, error) {
	if aws.ToBool(in.Encrypted) || in.DestinationOutpostArn != nil {
		return nil, errNotImplemented("CopyImage with Encrypted or DestinationOutpostArn")
	}
	tags, err := tagsOnCreate(in.TagSpecifications, types.ResourceTypeImage, types.ResourceTypeSnapshot)
	if err != nil {
		return nil, err
	}
	if findRegion(*in.SourceRegion) == nil {
		return nil, errInvalidParameterValue("Invalid region: %s", *in.SourceRegion)
	}
	out := &ec2.CopyImageOutput{}
	return out, s.update(ctx, func(t tx) error {
		id, err := once(t, "CopyImage", in.ClientToken, in, func() (string, error) {
			there := t
			there.scope.Region = *in.SourceRegion
			from, err := getImage(there, *in.SourceImageId)
			if err != nil {
				return "", err
			}
			if from.State != imageAvailable {
				return "", errImageUnavailable(from.ID)
			}
			if err := checkImageName(t, *in.Name); err != nil {
				return "", err
			}
			im := *from
			im.resource = resource{ID: t.NewID("ami-"), Tags: maps.Clone(tags)}
			if aws.ToBool(in.CopyImageTags) && from.OwnerID == t.scope.Account {
				merged := map[string]string{}
				maps.Copy(merged, from.Tags)
				maps.Copy(merged, tags)
				im.Tags = merged
			}
			im.Name, im.OwnerID, im.OwnerAlias, im.Public, im.SharedWith = *in.Name, t.scope.Account, "", false, nil
			im.Location, im.Created, im.SourceImage, im.SourceRegion = t.scope.Account+"/"+im.Name, t.Now(), from.ID, *in.SourceRegion
			im.Description = aws.ToString(in.Description)
			if in.Description == nil {
				im.Description = fmt.Sprintf("[Copied %s from %s] %s", from.ID, *in.SourceRegion, from.Name)
			}
			im.SourceInstance, im.Protected, im.Cooldown, im.Deprecation, im.LastLaunched = "", false, false, time.Time{}, time.Time{}
			im.Unprotected = time.Time{}
			if im.CreatedLayers {
				if err := holdLayers(t, &im); err != nil {
					return "", err
				}
			}
			return im.ID, images.insert(t, &im)
		})
		out.ImageId = aws.String(id)
		return err
	})
}

// GetImageAncestry answers an image and those that it was made of, back to the first: the last one's source is not there, or
// not for the caller to see.
func (s *Service) GetImageAncestry(ctx context.Context, in *ec2.GetImageAncestryInput) (*ec2.GetImageAncestryOutput, error) {
	out := &ec2.GetImageAncestryOutput{}
	return out, s.view(ctx, func(t tx) error {
		out.ImageAncestryEntries = nil
		im, err := getImage(t, *in.ImageId)
		for im != nil && err == nil {
			out.ImageAncestryEntries = append(out.ImageAncestryEntries, types.ImageAncestryEntry{
				ImageId: aws.String(im.ID), CreationDate: aws.Time(im.Created), ImageOwnerAlias: optional(im.OwnerAlias),
				SourceImageId: optional(im.SourceImage), SourceImageRegion: optional(im.SourceRegion),
			})
			if im.SourceImage == "" {
				break
			}
			there := t
			there.scope.Region = im.SourceRegion
			im, err = findImage(there, im.SourceImage)
		}
		return err
	})
}
