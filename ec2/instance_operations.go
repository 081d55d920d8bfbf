package ec2

import (
	"context"
	"io"
	"io/fs"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"miniaws/awsapi"
	"miniaws/awsapi/meta"
	"miniaws/backend"
	"miniaws/backend/store"
)

// Profile is what EC2 knows of an instance profile.
type Profile struct {
	// ARN is empty where there is no such profile.
	ARN, ID string
	// RoleARN is that of its role, "" for none.
	RoleARN string
}

// InitBinary is the program that is PID 1 of instances.
type InitBinary struct {
	// ID says what Files hold, by their digest. Name is the program's, Args what it is called with.
	ID    string
	Files fs.FS
	Name  string
	Args  []string
}

// Compute is what instances need of an engine.
type Compute interface {
	backend.Compute
	backend.Images
	EnsureNetwork(ctx context.Context, spec backend.NetworkSpec) (backend.Network, error)
	EnsureFiles(ctx context.Context, id string, files fs.FS) error
	Info(ctx context.Context) (backend.Info, error)
}

// engineState notes since when the engine does not answer.
type engineState struct {
	sync.Mutex
	since time.Time
}

// onEngine is for showing tags of what stands on the engine, which may be real where the network is simulated.
func (s *Service) onEngine() tx { return tx{simulated: s.config.EngineSimulated} }

// readConsole copies the end of what an instance printed.
func (s *Service) readConsole(ctx context.Context, id string, out io.Writer) error {
	if s.config.Engine == nil {
		return nil
	}
	err := s.config.Engine.Logs(ctx, id, out, consoleLimit)
	switch backend.KindOf(err) {
	case backend.KindNotFound, backend.KindUnsupported:
		return nil // not made yet, gone, or simulated: it printed nothing
	}
	return err
}

func instanceTables() []store.Schema {
	return []store.Schema{
		keyPairs.table, images.table, sharedImages, imageLayers, instances.table, userDatas, homes, volumes.table, identitySigners, connectKeys,
		placementGroups.table, spotRequests.table, launchTemplates.table, templateVersions,
	}
}

func instanceKinds() []taggable {
	return []taggable{keyPairs, images, instances, volumes, placementGroups, spotRequests, launchTemplates}
}

// registerInstances adds the operations on instances, images, key pairs and launch templates.
func (s *Service) registerInstances(server *awsapi.Server) {
	server.Register(meta.EC2,
		awsapi.Op(s.CreateKeyPair, onKeyPair(s, "CreateKeyPair", func(in *ec2.CreateKeyPairInput) *string { return in.KeyName })),
		awsapi.Op(s.ImportKeyPair, onKeyPair(s, "ImportKeyPair", func(in *ec2.ImportKeyPairInput) *string { return in.KeyName })),
		awsapi.Op(s.DescribeKeyPairs, awsapi.Action[ec2.DescribeKeyPairsInput]("ec2:DescribeKeyPairs")),
		awsapi.Op(s.DeleteKeyPair, onKeyPair(s, "DeleteKeyPair", func(in *ec2.DeleteKeyPairInput) *string { return in.KeyName })),

		awsapi.Op(s.DescribeInstanceTypes, awsapi.Action[ec2.DescribeInstanceTypesInput]("ec2:DescribeInstanceTypes")),
		awsapi.Op(s.DescribeInstanceTypeOfferings, awsapi.Action[ec2.DescribeInstanceTypeOfferingsInput]("ec2:DescribeInstanceTypeOfferings")),

		awsapi.Op(s.RegisterImage, makes(s, "RegisterImage", types.ResourceTypeImage, func(*ec2.RegisterImageInput) []string { return nil })),
		awsapi.Op(s.DescribeImages, awsapi.Action[ec2.DescribeImagesInput]("ec2:DescribeImages")),
		awsapi.Op(s.DeregisterImage, on(s, "DeregisterImage", func(in *ec2.DeregisterImageInput) []string { return strs(in.ImageId) })),
		awsapi.Op(s.CreateImage, makes(s, "CreateImage", types.ResourceTypeImage, func(in *ec2.CreateImageInput) []string { return strs(in.InstanceId) })),
		awsapi.Op(s.CopyImage, makes(s, "CopyImage", types.ResourceTypeImage, func(in *ec2.CopyImageInput) []string { return strs(in.SourceImageId) })),
		awsapi.Op(s.DescribeImageAttribute, on(s, "DescribeImageAttribute", func(in *ec2.DescribeImageAttributeInput) []string { return strs(in.ImageId) })),
		awsapi.Op(s.ModifyImageAttribute, on(s, "ModifyImageAttribute", func(in *ec2.ModifyImageAttributeInput) []string { return strs(in.ImageId) })),
		awsapi.Op(s.ResetImageAttribute, on(s, "ResetImageAttribute", func(in *ec2.ResetImageAttributeInput) []string { return strs(in.ImageId) })),
		awsapi.Op(s.EnableImage, on(s, "EnableImage", func(in *ec2.EnableImageInput) []string { return strs(in.ImageId) })),
		awsapi.Op(s.DisableImage, on(s, "DisableImage", func(in *ec2.DisableImageInput) []string { return strs(in.ImageId) })),
		awsapi.Op(s.EnableImageDeprecation, on(s, "EnableImageDeprecation", func(in *ec2.EnableImageDeprecationInput) []string { return strs(in.ImageId) })),
		awsapi.Op(s.DisableImageDeprecation, on(s, "DisableImageDeprecation", func(in *ec2.DisableImageDeprecationInput) []string { return strs(in.ImageId) })),
		awsapi.Op(s.EnableImageDeregistrationProtection, on(s, "EnableImageDeregistrationProtection", func(in *ec2.EnableImageDeregistrationProtectionInput) []string { return strs(in.ImageId) })),
		awsapi.Op(s.DisableImageDeregistrationProtection, on(s, "DisableImageDeregistrationProtection", func(in *ec2.DisableImageDeregistrationProtectionInput) []string { return strs(in.ImageId) })),

		awsapi.Op(s.RunInstances, s.runAccess),
		awsapi.Op(s.DescribeInstances, awsapi.Action[ec2.DescribeInstancesInput]("ec2:DescribeInstances")),
		awsapi.Op(s.DescribeInstanceStatus, awsapi.Action[ec2.DescribeInstanceStatusInput]("ec2:DescribeInstanceStatus")),
		awsapi.Op(s.StartInstances, onInstances(s, "StartInstances", func(in *ec2.StartInstancesInput) []string { return in.InstanceIds })),
		awsapi.Op(s.StopInstances, onInstances(s, "StopInstances", func(in *ec2.StopInstancesInput) []string { return in.InstanceIds })),
		awsapi.Op(s.RebootInstances, onInstances(s, "RebootInstances", func(in *ec2.RebootInstancesInput) []string { return in.InstanceIds })),
		awsapi.Op(s.TerminateInstances, onInstances(s, "TerminateInstances", func(in *ec2.TerminateInstancesInput) []string { return in.InstanceIds })),
		awsapi.Op(s.GetConsoleOutput, onInstances(s, "GetConsoleOutput", func(in *ec2.GetConsoleOutputInput) []string { return strs(in.InstanceId) })),
		awsapi.Op(s.GetConsoleScreenshot, onInstances(s, "GetConsoleScreenshot", func(in *ec2.GetConsoleScreenshotInput) []string { return strs(in.InstanceId) })),
		awsapi.Op(s.DescribeInstanceAttribute, onInstances(s, "DescribeInstanceAttribute", func(in *ec2.DescribeInstanceAttributeInput) []string { return strs(in.InstanceId) })),
		awsapi.Op(s.ModifyInstanceAttribute, onInstances(s, "ModifyInstanceAttribute", func(in *ec2.ModifyInstanceAttributeInput) []string { return strs(in.InstanceId) })),
		awsapi.Op(s.ResetInstanceAttribute, onInstances(s, "ResetInstanceAttribute", func(in *ec2.ResetInstanceAttributeInput) []string { return strs(in.InstanceId) })),
		awsapi.Op(s.ModifyInstanceMetadataOptions, onInstances(s, "ModifyInstanceMetadataOptions", func(in *ec2.ModifyInstanceMetadataOptionsInput) []string { return strs(in.InstanceId) })),
		awsapi.Op(s.ModifyInstanceMaintenanceOptions, onInstances(s, "ModifyInstanceMaintenanceOptions", func(in *ec2.ModifyInstanceMaintenanceOptionsInput) []string { return strs(in.InstanceId) })),
		awsapi.Op(s.ModifyInstanceEventStartTime, onInstances(s, "ModifyInstanceEventStartTime", func(in *ec2.ModifyInstanceEventStartTimeInput) []string { return strs(in.InstanceId) })),
		awsapi.Op(s.MonitorInstances, onInstances(s, "MonitorInstances", func(in *ec2.MonitorInstancesInput) []string { return in.InstanceIds })),
		awsapi.Op(s.UnmonitorInstances, onInstances(s, "UnmonitorInstances", func(in *ec2.UnmonitorInstancesInput) []string { return in.InstanceIds })),
		awsapi.Op(s.DescribeInstanceCreditSpecifications, awsapi.Action[ec2.DescribeInstanceCreditSpecificationsInput]("ec2:DescribeInstanceCreditSpecifications")),
		awsapi.Op(s.ModifyInstanceCreditSpecification, onInstances(s, "ModifyInstanceCreditSpecification", creditedInstances)),

		awsapi.Op(s.AssociateIamInstanceProfile, s.associateAccess),
		awsapi.Op(s.DisassociateIamInstanceProfile, s.disassociateAccess),
		awsapi.Op(s.ReplaceIamInstanceProfileAssociation, s.replaceAccess),
		awsapi.Op(s.DescribeIamInstanceProfileAssociations, awsapi.Action[ec2.DescribeIamInstanceProfileAssociationsInput]("ec2:DescribeIamInstanceProfileAssociations")),

		awsapi.Op(s.DescribeVolumes, awsapi.Action[ec2.DescribeVolumesInput]("ec2:DescribeVolumes")),

		awsapi.Op(s.CreatePlacementGroup, onPlacementGroup(s, "CreatePlacementGroup", func(in *ec2.CreatePlacementGroupInput) *string { return in.GroupName })),
		awsapi.Op(s.DescribePlacementGroups, awsapi.Action[ec2.DescribePlacementGroupsInput]("ec2:DescribePlacementGroups")),
		awsapi.Op(s.DeletePlacementGroup, onPlacementGroup(s, "DeletePlacementGroup", func(in *ec2.DeletePlacementGroupInput) *string { return in.GroupName })),

		awsapi.Op(s.RequestSpotInstances, s.spotAccess),
		awsapi.Op(s.DescribeSpotInstanceRequests, awsapi.Action[ec2.DescribeSpotInstanceRequestsInput]("ec2:DescribeSpotInstanceRequests")),
		awsapi.Op(s.CancelSpotInstanceRequests, on(s, "CancelSpotInstanceRequests", func(in *ec2.CancelSpotInstanceRequestsInput) []string { return in.SpotInstanceRequestIds })),

		awsapi.Op(s.CreateLaunchTemplate, makes(s, "CreateLaunchTemplate", types.ResourceTypeLaunchTemplate, func(*ec2.CreateLaunchTemplateInput) []string { return nil })),
		awsapi.Op(s.CreateLaunchTemplateVersion, onTemplate(s, "CreateLaunchTemplateVersion", func(in *ec2.CreateLaunchTemplateVersionInput) (*string, *string) {
			return in.LaunchTemplateId, in.LaunchTemplateName
		})),
		awsapi.Op(s.DescribeLaunchTemplates, awsapi.Action[ec2.DescribeLaunchTemplatesInput]("ec2:DescribeLaunchTemplates")),
		awsapi.Op(s.DescribeLaunchTemplateVersions, awsapi.Action[ec2.DescribeLaunchTemplateVersionsInput]("ec2:DescribeLaunchTemplateVersions")),
		awsapi.Op(s.ModifyLaunchTemplate, onTemplate(s, "ModifyLaunchTemplate", func(in *ec2.ModifyLaunchTemplateInput) (*string, *string) {
			return in.LaunchTemplateId, in.LaunchTemplateName
		})),
		awsapi.Op(s.DeleteLaunchTemplate, onTemplate(s, "DeleteLaunchTemplate", func(in *ec2.DeleteLaunchTemplateInput) (*string, *string) {
			return in.LaunchTemplateId, in.LaunchTemplateName
		})),
		awsapi.Op(s.DeleteLaunchTemplateVersions, onTemplate(s, "DeleteLaunchTemplateVersions", func(in *ec2.DeleteLaunchTemplateVersionsInput) (*string, *string) {
			return in.LaunchTemplateId, in.LaunchTemplateName
		})),
	)
}

func creditedInstances(in *ec2.ModifyInstanceCreditSpecificationInput) []string {
	var ids []string
	for _, wanted := range in.InstanceCreditSpecifications {
		ids = append(ids, strs(wanted.InstanceId)...)
	}
	return ids
}

// The ARNs of key pairs and placement groups have names in them.
// AWS: "Actions, resources, and condition keys for Amazon EC2" in the service authorization reference.

func onKeyPair[In any](_ *Service, action string, name func(*In) *string) func(context.Context, *In) ([]awsapi.Access, error) {
	return onNamed(action, types.ResourceTypeKeyPair, name)
}

func onPlacementGroup[In any](_ *Service, action string, name func(*In) *string) func(context.Context, *In) ([]awsapi.Access, error) {
	return onNamed(action, types.ResourceTypePlacementGroup, name)
}

func onNamed[In any](action string, typ types.ResourceType, name func(*In) *string) func(context.Context, *In) ([]awsapi.Access, error) {
	return func(ctx context.Context, in *In) ([]awsapi.Access, error) {
		scope := scopeOf(ctx)
		id := aws.ToString(name(in))
		if id == "" {
			id = "*"
		}
		specs := tagSpecificationsOf(in)
		conditions := requestTags(specs)
		conditions["ec2:Region"] = []string{scope.Region}
		wanted := []awsapi.Access{{Action: "ec2:" + action, Resources: []string{arn(scope, typ, id)}, Conditions: conditions}}
		return append(wanted, tagOnCreate(ctx, action, specs)...), nil
	}
}

func onTemplate[In any](s *Service, action string, names func(*In) (id, name *string)) func(context.Context, *In) ([]awsapi.Access, error) {
	return func(ctx context.Context, in *In) ([]awsapi.Access, error) {
		id, name := names(in)
		if aws.ToString(id) == "" && aws.ToString(name) != "" {
			err := s.view(ctx, func(t tx) error {
				l, err := launchTemplates.in(t).Index("name").Find(*name)
				if l != nil {
					id = &l.ID
				}
				return err
			})
			if err != nil {
				return nil, err
			}
		}
		return s.accessTo(ctx, "ec2:"+action, strs(id))
	}
}

// onInstances is on, with what EC2 knows of instances.
func onInstances[In any](s *Service, action string, ids func(*In) []string) func(context.Context, *In) ([]awsapi.Access, error) {
	return func(ctx context.Context, in *In) ([]awsapi.Access, error) {
		return s.instanceAccess(ctx, action, ids(in))
	}
}

func (s *Service) instanceAccess(ctx context.Context, action string, ids []string) ([]awsapi.Access, error) {
	wanted, err := s.accessTo(ctx, "ec2:"+action, ids)
	if err != nil {
		return nil, err
	}
	return wanted, s.view(ctx, func(t tx) error {
		for n := range wanted {
			if len(wanted[n].Resources) == 0 {
				continue
			}
			_, id, _ := strings.Cut(wanted[n].Resources[0], "/")
			if !instances.wellFormed(id) {
				continue
			}
			i, err := instances.find(t, id)
			if err != nil {
				return err
			}
			if i == nil {
				continue
			}
			c := wanted[n].Conditions
			c["ec2:InstanceID"] = []string{i.ID}
			c["ec2:InstanceType"] = []string{string(i.Type)}
			c["ec2:AvailabilityZone"] = []string{i.Zone}
			c["ec2:RootDeviceType"] = []string{"ebs"}
			c["ec2:Tenancy"] = []string{i.Tenancy}
			c["ec2:EbsOptimized"] = yesNo(i.EBSOptimized)
			i.Metadata.conditions(c)
			if i.Profile != nil {
				c["ec2:InstanceProfile"] = []string{i.Profile.ARN}
			}
			if group, err := placementGroups.find(t, i.PlacementGroup); err == nil && group != nil {
				c["ec2:PlacementGroup"] = []string{arn(t.scope, types.ResourceTypePlacementGroup, group.Name)}
			}
		}
		return nil
	})
}

// conditions are the context keys of metadata options, as far as they are set.
func (m metadataOptions) conditions(c map[string][]string) {
	if m.Tokens != "" {
		c["ec2:MetadataHttpTokens"] = []string{m.Tokens}
	}
	if m.Endpoint != "" {
		c["ec2:MetadataHttpEndpoint"] = []string{m.Endpoint}
	}
	if m.HopLimit != 0 {
		c["ec2:MetadataHttpPutResponseHopLimit"] = number(m.HopLimit)
	}
}

// runAccess is what RunInstances needs: on everything that it makes, and on everything that it uses.
func (s *Service) runAccess(ctx context.Context, in *ec2.RunInstancesInput) ([]awsapi.Access, error) {
	merged, template, _, err := s.fromTemplate(ctx, in)
	if err != nil {
		return nil, err
	}
	scope := scopeOf(ctx)
	action := "ec2:RunInstances"
	made := func(typ types.ResourceType, extra map[string][]string) awsapi.Access {
		access := awsapi.Access{Action: action, Resources: []string{arn(scope, typ, "*")}, Conditions: map[string][]string{"ec2:Region": {scope.Region}}}
		for _, spec := range merged.TagSpecifications {
			if spec.ResourceType == typ {
				for key, values := range requestTags([]types.TagSpecification{spec}) {
					access.Conditions[key] = values
				}
			}
		}
		for key, values := range extra {
			access.Conditions[key] = values
		}
		if template != "" {
			access.Conditions["ec2:LaunchTemplate"] = []string{arn(scope, types.ResourceTypeLaunchTemplate, template)}
			access.Conditions["ec2:IsLaunchTemplateResource"] = []string{"true"}
		}
		return access
	}
	ofInstance := map[string][]string{
		"ec2:InstanceType": {string(merged.InstanceType)}, "ec2:EbsOptimized": yesNo(aws.ToBool(merged.EbsOptimized)), "ec2:Tenancy": {"default"}, "ec2:RootDeviceType": {"ebs"},
	}
	if o, err := mergeMetadata(metadataOptions{}, merged.MetadataOptions); err == nil {
		o.conditions(ofInstance)
	}
	if p := merged.Placement; p != nil && p.AvailabilityZone != nil {
		ofInstance["ec2:AvailabilityZone"] = []string{*p.AvailabilityZone}
	}
	var passed []awsapi.Access
	if profile, err := s.findProfile(ctx, merged.IamInstanceProfile); err == nil && profile != nil {
		ofInstance["ec2:InstanceProfile"] = []string{profile.ARN}
		if passed, err = s.passRole(ctx, merged.IamInstanceProfile); err != nil {
			return nil, err
		}
	}
	wanted := []awsapi.Access{
		made(types.ResourceTypeInstance, ofInstance), made(types.ResourceTypeVolume, nil), made(types.ResourceTypeNetworkInterface, nil),
	}
	used, err := s.usedByLaunch(ctx, merged, template)
	if err != nil {
		return nil, err
	}
	wanted = append(wanted, used...)
	wanted = append(wanted, tagOnCreate(ctx, "RunInstances", merged.TagSpecifications)...)
	return append(wanted, passed...), nil
}

// usedByLaunch are the existing resources that a launch uses.
func (s *Service) usedByLaunch(ctx context.Context, in *ec2.RunInstancesInput, template string) ([]awsapi.Access, error) {
	scope := scopeOf(ctx)
	var all []awsapi.Access
	err := s.view(ctx, func(t tx) error {
		all = nil
		if id := aws.ToString(in.ImageId); images.wellFormed(id) {
			access := awsapi.Access{Action: "ec2:RunInstances", Resources: []string{"arn:aws:ec2:" + scope.Region + "::image/" + id}, Conditions: map[string][]string{"ec2:Region": {scope.Region}}}
			im, err := findImage(t, id)
			if err != nil {
				return err
			}
			if im != nil {
				owner := im.OwnerID
				if im.OwnerAlias != "" {
					owner = im.OwnerAlias
				}
				access.Conditions["ec2:Owner"], access.Conditions["ec2:Public"] = []string{owner}, yesNo(im.Public)
				access.Conditions["ec2:ImageType"], access.Conditions["ec2:RootDeviceType"] = []string{"machine"}, []string{"ebs"}
			}
			all = append(all, access)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if name := aws.ToString(in.KeyName); name != "" {
		all = append(all, awsapi.Access{Action: "ec2:RunInstances", Resources: []string{arn(scope, types.ResourceTypeKeyPair, name)}, Conditions: map[string][]string{"ec2:Region": {scope.Region}}})
	}
	if p := in.Placement; p != nil && aws.ToString(p.GroupName) != "" {
		all = append(all, awsapi.Access{Action: "ec2:RunInstances", Resources: []string{arn(scope, types.ResourceTypePlacementGroup, *p.GroupName)}, Conditions: map[string][]string{"ec2:Region": {scope.Region}}})
	}
	ids := append(strs(in.SubnetId), in.SecurityGroupIds...)
	for _, n := range in.NetworkInterfaces {
		ids = append(ids, strs(n.SubnetId, n.NetworkInterfaceId)...)
		ids = append(ids, n.Groups...)
	}
	if template != "" {
		ids = append(ids, template)
	}
	if len(ids) == 0 {
		return all, nil
	}
	more, err := s.accessTo(ctx, "ec2:RunInstances", ids)
	return append(all, more...), err
}

// passRole is what giving an instance a role needs.
// AWS: "Grant permissions to pass an IAM role to an instance".
func (s *Service) passRole(ctx context.Context, in *types.IamInstanceProfileSpecification) ([]awsapi.Access, error) {
	if in == nil || s.config.FindProfile == nil {
		return nil, nil
	}
	name := aws.ToString(in.Name)
	if name == "" {
		name = profileName(aws.ToString(in.Arn))
	}
	found, err := s.config.FindProfile(ctx, scopeOf(ctx).Account, name)
	if err != nil || found.RoleARN == "" {
		return nil, err
	}
	return []awsapi.Access{{
		Action: "iam:PassRole", Resources: []string{found.RoleARN}, Conditions: map[string][]string{"iam:PassedToService": {"ec2.amazonaws.com"}},
	}}, nil
}

func (s *Service) associateAccess(ctx context.Context, in *ec2.AssociateIamInstanceProfileInput) ([]awsapi.Access, error) {
	wanted, err := s.instanceAccess(ctx, "AssociateIamInstanceProfile", strs(in.InstanceId))
	if err != nil {
		return nil, err
	}
	passed, err := s.passRole(ctx, in.IamInstanceProfile)
	return append(wanted, passed...), err
}

func (s *Service) disassociateAccess(ctx context.Context, in *ec2.DisassociateIamInstanceProfileInput) ([]awsapi.Access, error) {
	return s.associationAccess(ctx, "DisassociateIamInstanceProfile", in.AssociationId)
}

func (s *Service) replaceAccess(ctx context.Context, in *ec2.ReplaceIamInstanceProfileAssociationInput) ([]awsapi.Access, error) {
	wanted, err := s.associationAccess(ctx, "ReplaceIamInstanceProfileAssociation", in.AssociationId)
	if err != nil {
		return nil, err
	}
	passed, err := s.passRole(ctx, in.IamInstanceProfile)
	return append(wanted, passed...), err
}

func (s *Service) associationAccess(ctx context.Context, action string, association *string) ([]awsapi.Access, error) {
	var ids []string
	err := s.view(ctx, func(t tx) error {
		list, err := instances.by(t, "association", aws.ToString(association))
		ids = nil
		for _, i := range list {
			ids = append(ids, i.ID)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return s.instanceAccess(ctx, action, ids)
}

func (s *Service) spotAccess(ctx context.Context, in *ec2.RequestSpotInstancesInput) ([]awsapi.Access, error) {
	run := &ec2.RunInstancesInput{TagSpecifications: in.TagSpecifications}
	if in.LaunchSpecification != nil {
		if err := reshape(in.LaunchSpecification, run); err != nil {
			return nil, err
		}
	}
	wanted, err := s.runAccess(ctx, run)
	return append(wanted, awsapi.Access{
		Action: "ec2:RequestSpotInstances", Resources: []string{arn(scopeOf(ctx), types.ResourceTypeSpotInstancesRequest, "*")},
		Conditions: map[string][]string{"ec2:Region": {scopeOf(ctx).Region}},
	}), err
}
