package ec2

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"miniaws/backend/store"
)

// imageState is where an image is in its life:
//
//	RegisterImage, CopyImage ------------------> available <--> disabled
//	CreateImage -> pending --(commit)--> available
//	                      \--(failed)--> failed            DeregisterImage: gone from each of them
type imageState string

const (
	imagePending   imageState = "pending"
	imageAvailable imageState = "available"
	imageFailed    imageState = "failed"
	imageDisabled  imageState = "disabled"
)

// image is an AMI: a public one of the catalogue, or one that an account registered.
type image struct {
	resource
	Name, Description   string
	OwnerID, OwnerAlias string `json:",omitempty"`
	Location            string
	// Architecture is "x86_64" or "arm64".
	Architecture string
	Created      time.Time
	RootDevice   string
	VolumeGiB    int32
	// Login is the user that the AMI's people log in as.
	Login string
	// References are container images: the first that the engine holds is booted, else the last that can be had.
	References  []string
	IMDSSupport string `json:",omitempty"`
	Public      bool   `json:",omitempty"`
	SriovNet    bool   `json:",omitempty"`
	State       imageState
	StateReason string `json:",omitempty"`
	// SharedWith are accounts that may launch it.
	SharedWith []string `json:",omitempty"`
	// SourceInstance, SourceImage and SourceRegion say what it was made of.
	SourceInstance string    `json:",omitempty"`
	SourceImage    string    `json:",omitempty"`
	SourceRegion   string    `json:",omitempty"`
	Deprecation    time.Time `json:",omitzero"`
	Protected      bool      `json:",omitempty"` // against DeregisterImage
	// Cooldown keeps that up for a day after Unprotected, when it was taken away.
	Cooldown      bool      `json:",omitempty"`
	Unprotected   time.Time `json:",omitzero"`
	LastLaunched  time.Time `json:",omitzero"`
	Mappings      []types.BlockDeviceMapping
	NoReboot      bool `json:",omitempty"`
	CreatedLayers bool `json:",omitempty"` // References[0] was made by CreateImage
}

var images = &kind[image]{
	prefix: "ami-", typ: types.ResourceTypeImage,
	table: tableOf("images", func(i *image) *resource { return &i.resource }, map[string]func(*image) []string{
		"name": func(i *image) []string { return []string{i.Name} },
	}),
	base:      func(i *image) *resource { return &i.resource },
	notFound:  errImageNotFound,
	malformed: errImageMalformed,
	filters: filters[image]{
		"architecture": func(_ tx, i *image) []string { return one(i.Architecture) },
		"block-device-mapping.delete-on-termination": func(tx, *image) []string { return yesNo(true) },
		"block-device-mapping.device-name":           func(_ tx, i *image) []string { return one(i.RootDevice) },
		"block-device-mapping.snapshot-id":           func(tx, *image) []string { return nil },
		"block-device-mapping.volume-size":           func(_ tx, i *image) []string { return number(i.VolumeGiB) },
		"block-device-mapping.volume-type":           func(tx, *image) []string { return one("gp3") },
		"block-device-mapping.encrypted":             func(tx, *image) []string { return yesNo(false) },
		"creation-date":                              func(_ tx, i *image) []string { return one(imageTime(i.Created)) },
		"free-tier-eligible":                         func(tx, *image) []string { return nil }, // nothing here has a price
		"description":                                func(_ tx, i *image) []string { return one(i.Description) },
		"ena-support":                                func(tx, *image) []string { return yesNo(true) },
		"hypervisor":                                 func(tx, *image) []string { return one("xen") },
		"image-allowed":                              imageAllowed,
		"image-id":                                   func(_ tx, i *image) []string { return one(i.ID) },
		"image-type":                                 func(tx, *image) []string { return one("machine") },
		"is-public":                                  func(_ tx, i *image) []string { return yesNo(i.Public) },
		"kernel-id":                                  func(tx, *image) []string { return nil },
		"manifest-location":                          func(_ tx, i *image) []string { return one(i.Location) },
		"name":                                       func(_ tx, i *image) []string { return one(i.Name) },
		"owner-alias":                                func(_ tx, i *image) []string { return one(i.OwnerAlias) },
		"owner-id":                                   func(_ tx, i *image) []string { return one(i.OwnerID) },
		"platform":                                   func(tx, *image) []string { return nil },
		"product-code":                               func(tx, *image) []string { return nil },
		"product-code.type":                          func(tx, *image) []string { return nil },
		"ramdisk-id":                                 func(tx, *image) []string { return nil },
		"root-device-name":                           func(_ tx, i *image) []string { return one(i.RootDevice) },
		"root-device-type":                           func(tx, *image) []string { return one("ebs") },
		"source-image-id":                            func(_ tx, i *image) []string { return one(i.SourceImage) },
		"source-image-region":                        func(_ tx, i *image) []string { return one(i.SourceRegion) },
		"source-instance-id":                         func(_ tx, i *image) []string { return one(i.SourceInstance) },
		"sriov-net-support":                          func(_ tx, i *image) []string { return one(map[bool]string{true: "simple"}[i.SriovNet]) },
		"state":                                      func(_ tx, i *image) []string { return one(string(i.State)) },
		"state-reason-code": func(_ tx, i *image) []string {
			return one(map[bool]string{true: "Server.InternalError"}[i.StateReason != ""])
		},
		"state-reason-message": func(_ tx, i *image) []string { return one(i.StateReason) },
		"virtualization-type":  func(tx, *image) []string { return one("hvm") },
	},
	pages: pageBounds{1, 1000},
}

// sharedImage lets other accounts find an image: one row for each account that may launch it, "all" for everybody.
type sharedImage struct{ With, ID, Owner string }

var sharedImages = store.NewTable(store.Spec[sharedImage]{
	Service: "ec2", Name: "shared-images", ID: func(i *sharedImage) store.ID { return store.ID{i.With, i.ID} },
})

// everyAccount stands for all accounts, as the group of launch permissions does.
const everyAccount = "all"

func sharedIn(t tx) store.Rows[sharedImage] {
	return sharedImages.In(t, store.Scope{Region: t.scope.Region})
}

// owned puts the transaction in the place of another account's records.
func (t tx) owned(account string) tx {
	t.scope.Account = account
	return t
}

// findImage answers an image that the account can use: a public one, its own, or one that is shared with it. nil where
// there is none.
func findImage(t tx, id string) (*image, error) {
	if public, ok := publicImagesIn(t.scope.Region).byID[id]; ok {
		return public, nil
	}
	if own, err := images.find(t, id); own != nil || err != nil {
		return own, err
	}
	for _, with := range []string{everyAccount, t.scope.Account} {
		shared, err := sharedIn(t).Find(with, id)
		if err != nil {
			return nil, err
		}
		if shared != nil {
			return images.find(t.owned(shared.Owner), id)
		}
	}
	return nil, nil
}

// getImage is findImage with AWS's errors. One that the account's settings do not allow is not there.
func getImage(t tx, id string) (*image, error) {
	if !images.wellFormed(id) {
		return nil, errImageMalformed(id)
	}
	found, err := findImage(t, id)
	if err != nil {
		return nil, err
	}
	have, err := settingsOf(t)
	if err == nil && (found == nil || have.Images.hides(t, found)) {
		err = errImageNotFound(id)
	}
	return found, err
}

// HasImage tells whether an account can use an AMI.
func (s *Service) HasImage(ctx context.Context, account, region, id string) (bool, error) {
	found := false
	err := s.viewIn(ctx, store.Scope{Account: account, Region: region}, func(t tx) error {
		if !images.wellFormed(id) {
			return nil
		}
		im, err := findImage(t, id)
		found = im != nil
		return err
	})
	return found, err
}

// ownImage answers an image of the caller's own; a public one is not theirs to change.
func ownImage(t tx, id string) (*image, error) {
	if !images.wellFormed(id) {
		return nil, errImageMalformed(id)
	}
	own, err := images.find(t, id)
	if own != nil || err != nil {
		return own, err
	}
	found, err := findImage(t, id)
	switch {
	case err != nil:
		return nil, err
	case found != nil:
		return nil, errNotImageOwner(id)
	default:
		return nil, errImageNotFound(id)
	}
}

// checkImageName tells whether an AMI may be called so.
// AWS: "RegisterImage", Name: 3-128 alphanumeric characters, parentheses, square brackets, spaces, periods, slashes,
// dashes, single quotes, at-signs, or underscores.
func checkImageName(t tx, name string) error {
	if len(name) < 3 || len(name) > 128 || strings.ContainsFunc(name, oddInImageName) {
		return errImageNameMalformed()
	}
	taken, err := images.in(t).Index("name").Find(name)
	if err != nil {
		return err
	}
	if taken != nil {
		return errImageNameDuplicate(name, taken.ID)
	}
	return nil
}

func isLetterOrDigit(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
}

func oddInImageName(r rune) bool {
	return !isLetterOrDigit(r) && !strings.ContainsRune("()[] ./-'@_", r)
}

// containerScheme marks an ImageLocation that names a container image.
const containerScheme = "docker://"

// loginUsers are the users that images of well-known distributions have; any other AMI's is ec2-user.
var loginUsers = []struct{ part, login string }{{"debian", "admin"}, {"ubuntu", "ubuntu"}, {"amazonlinux", "ec2-user"}}

// RegisterImage makes an AMI of a container image: ImageLocation is docker://REFERENCE. An AMI of snapshots comes with
// EBS, one of a manifest in S3 does not come.
func (s *Service) RegisterImage(ctx context.Context, in *ec2.RegisterImageInput) (*ec2.RegisterImageOutput, error) {
	reference, ok := strings.CutPrefix(aws.ToString(in.ImageLocation), containerScheme)
	if !ok || reference == "" {
		return nil, errNotImplemented("RegisterImage without an ImageLocation of the form docker://REFERENCE")
	}
	if len(reference) > 512 || strings.ContainsFunc(reference, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, errInvalidParameterValue("Value (%s) for parameter imageLocation is invalid.", *in.ImageLocation)
	}
	tags, err := tagsOnCreate(in.TagSpecifications, types.ResourceTypeImage, types.ResourceTypeSnapshot)
	if err != nil {
		return nil, err
	}
	out := &ec2.RegisterImageOutput{}
	return out, s.update(ctx, func(t tx) error {
		if err := checkImageName(t, *in.Name); err != nil {
			return err
		}
		im := &image{
			resource: resource{ID: t.NewID("ami-"), Tags: maps.Clone(tags)},
			Name:     *in.Name, Description: aws.ToString(in.Description), OwnerID: t.scope.Account,
			Location: t.scope.Account + "/" + *in.Name, Architecture: string(in.Architecture), Created: t.Now(),
			RootDevice: aws.ToString(in.RootDeviceName), VolumeGiB: 8, Login: "ec2-user", References: []string{reference},
			IMDSSupport: string(in.ImdsSupport), State: imageAvailable,
		}
		if im.Architecture == "" {
			im.Architecture = s.architecture()
		}
		if im.RootDevice == "" {
			im.RootDevice = "/dev/xvda"
		}
		for _, known := range loginUsers {
			if strings.Contains(reference, known.part) {
				im.Login = known.login
				break
			}
		}
		out.ImageId = aws.String(im.ID)
		return images.insert(t, im)
	})
}

// DescribeImages lists the images that the caller can use.
func (s *Service) DescribeImages(ctx context.Context, in *ec2.DescribeImagesInput) (*ec2.DescribeImagesOutput, error) {
	match, err := images.filters.compile(images.base, in.Filters)
	if err != nil {
		return nil, err
	}
	out := &ec2.DescribeImagesOutput{}
	return out, s.view(ctx, func(t tx) error {
		out.Images = []types.Image{}
		found, err := s.imagesFor(t, in)
		if err != nil {
			return err
		}
		found = slices.DeleteFunc(found, func(i *image) bool { return !match.matches(t, i) })
		q := query{ids: in.ImageIds, idsName: "imageIds", max: in.MaxResults, token: in.NextToken}
		page, next, err := cut(found, func(i *image) string { return i.ID }, "images", images.pages, q)
		if err != nil {
			return err
		}
		have, err := settingsOf(t)
		if err != nil {
			return err
		}
		for _, i := range page {
			shown := s.imageToAPI(t, i)
			shown.ImageAllowed = have.Images.shown(t, i)
			out.Images = append(out.Images, shown)
		}
		out.NextToken = next
		return nil
	})
}

// imagesFor answers the images that a request is about, before its filters, in the order of their ids.
func (s *Service) imagesFor(t tx, in *ec2.DescribeImagesInput) ([]*image, error) {
	var found []*image
	if len(in.ImageIds) > 0 {
		for _, id := range in.ImageIds {
			im, err := getImage(t, id)
			if err != nil {
				return nil, err
			}
			found = append(found, im)
		}
	} else {
		own, err := images.all(t)
		if err != nil {
			return nil, err
		}
		found = append(slices.Clone(publicImagesIn(t.scope.Region).sorted), own...)
		for _, with := range []string{everyAccount, t.scope.Account} {
			for row, err := range sharedIn(t).Scan(store.Query{Parts: store.ID{with}}) {
				if err != nil {
					return nil, err
				}
				if row.Owner == t.scope.Account {
					continue
				}
				im, err := images.find(t.owned(row.Owner), row.ID)
				if err != nil {
					return nil, err
				}
				if im != nil {
					found = append(found, im)
				}
			}
		}
	}
	have, err := settingsOf(t)
	if err != nil {
		return nil, err
	}
	found = slices.DeleteFunc(found, func(i *image) bool { return !visible(t, i, in) || have.Images.hides(t, i) })
	slices.SortFunc(found, func(a, b *image) int { return strings.Compare(a.ID, b.ID) })
	return slices.CompactFunc(found, func(a, b *image) bool { return a.ID == b.ID }), nil
}

// visible tells whether an image is one that Owners, ExecutableUsers and the switches of a request select.
func visible(t tx, i *image, in *ec2.DescribeImagesInput) bool {
	mine := i.OwnerID == t.scope.Account
	switch {
	case i.State == imageDisabled && !aws.ToBool(in.IncludeDisabled) && !slices.Contains(in.ImageIds, i.ID):
		return false
	case !i.Deprecation.IsZero() && i.Deprecation.Before(t.Now()) && !mine && !aws.ToBool(in.IncludeDeprecated):
		return false
	case len(in.Owners) > 0 && !slices.ContainsFunc(in.Owners, func(owner string) bool {
		return owner == i.OwnerID || owner == "self" && mine || owner == i.OwnerAlias && owner != ""
	}):
		return false
	}
	return len(in.ExecutableUsers) == 0 || slices.ContainsFunc(in.ExecutableUsers, func(user string) bool {
		switch user {
		case "all":
			return i.Public
		case "self":
			return !i.Public && (mine || slices.Contains(i.SharedWith, t.scope.Account))
		default:
			return slices.Contains(i.SharedWith, user)
		}
	})
}

// imageTime is how images show times.
func imageTime(at time.Time) string { return at.UTC().Format("2006-01-02T15:04:05.000Z") }

func (s *Service) imageToAPI(t tx, i *image) types.Image {
	out := types.Image{
		ImageId: aws.String(i.ID), Name: aws.String(i.Name), OwnerId: aws.String(i.OwnerID), ImageLocation: aws.String(i.Location),
		Architecture: types.ArchitectureValues(i.Architecture), CreationDate: aws.String(imageTime(i.Created)), Public: aws.Bool(i.Public),
		RootDeviceName: aws.String(i.RootDevice), RootDeviceType: types.DeviceTypeEbs, State: types.ImageState(i.State),
		VirtualizationType: types.VirtualizationTypeHvm, Hypervisor: types.HypervisorTypeXen, ImageType: types.ImageTypeValuesMachine,
		EnaSupport: aws.Bool(true), PlatformDetails: aws.String("Linux/UNIX"), UsageOperation: aws.String("RunInstances"),
		Description: optional(i.Description), ImageOwnerAlias: optional(i.OwnerAlias), ImdsSupport: types.ImdsSupportValues(i.IMDSSupport),
		SourceInstanceId: optional(i.SourceInstance), SourceImageId: optional(i.SourceImage), SourceImageRegion: optional(i.SourceRegion),
		BlockDeviceMappings: i.mappings(), DeregistrationProtection: aws.String(i.protection()),
	}
	if !i.Public || i.OwnerID == t.scope.Account {
		out.Tags = tagsToAPI(tx{}, i.Tags)
	}
	if i.SriovNet {
		out.SriovNetSupport = aws.String("simple")
	}
	if !i.Deprecation.IsZero() {
		out.DeprecationTime = aws.String(imageTime(i.Deprecation))
	}
	if i.OwnerID == t.scope.Account && !i.LastLaunched.IsZero() {
		out.LastLaunchedTime = aws.String(imageTime(i.LastLaunched))
	}
	if i.StateReason != "" {
		out.StateReason = &types.StateReason{Code: aws.String("Server.InternalError"), Message: aws.String(i.StateReason)}
	}
	return out
}

// mappings are the image's block devices: the root volume. Its snapshot comes with EBS.
func (i *image) mappings() []types.BlockDeviceMapping {
	return []types.BlockDeviceMapping{{DeviceName: aws.String(i.RootDevice), Ebs: &types.EbsBlockDevice{
		DeleteOnTermination: aws.Bool(true), VolumeSize: aws.Int32(i.VolumeGiB), VolumeType: types.VolumeTypeGp3, Encrypted: aws.Bool(false),
	}}}
}

// DeregisterImage takes an image away. Instances of it run on. Its bytes go when no copy needs them.
func (s *Service) DeregisterImage(ctx context.Context, in *ec2.DeregisterImageInput) (*ec2.DeregisterImageOutput, error) {
	out := &ec2.DeregisterImageOutput{Return: aws.Bool(true)}
	return out, s.update(ctx, func(t tx) error {
		im, err := ownImage(t, *in.ImageId)
		if err != nil {
			return err
		}
		switch {
		case im.Protected:
			return errOperationNotPermitted("The image '%s' cannot be deregistered because deregistration protection is enabled.", im.ID)
		case im.cooling(t.Now()):
			return errOperationNotPermitted("The image '%s' cannot be deregistered before the cooldown period of its deregistration protection ends.", im.ID)
		}
		if err := share(t, im, nil, false); err != nil {
			return err
		}
		if im.CreatedLayers {
			if err := releaseLayers(t, im); err != nil {
				return err
			}
		}
		return images.delete(t, im.ID)
	})
}

// share writes who may launch an image.
func share(t tx, im *image, accounts []string, public bool) error {
	row := func(with string) error { return sharedIn(t).Delete(with, im.ID) }
	for _, with := range append(slices.Clone(im.SharedWith), everyAccount) {
		if err := row(with); err != nil {
			return err
		}
	}
	im.SharedWith, im.Public = accounts, public
	with := slices.Clone(accounts)
	if public {
		with = append(with, everyAccount)
	}
	for _, w := range with {
		if err := sharedIn(t).Put(&sharedImage{With: w, ID: im.ID, Owner: t.scope.Account}); err != nil {
			return err
		}
	}
	return nil
}
