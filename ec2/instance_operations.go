package ec2

import (
	"cmp"
	"context"
	"errors"
	"io"
	"io/fs"
	"strings"

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
		placementGroups.table, dedicatedHosts.table, capacityReservations.table, eventWindows.table, accountSettings, spotRequests.table, spotLaunches, fleets.table, spotFleets.table, fleetEvents, fleetMembers, launchTemplates.table, templateVersions,
	}
}

func instanceKinds() []taggable {
	return []taggable{keyPairs, images, instances, volumes, placementGroups, dedicatedHosts, capacityReservations, eventWindows, fleets, spotFleets, spotRequests, launchTemplates}
}

// registerInstances adds the operations on instances, images, key pairs and launch templates.
func (s *Service) registerInstances(server *awsapi.Server) {
	server.Register(meta.EC2,
		awsapi.Op(s.CreateKeyPair, onKeyPair(s, "CreateKeyPair", func(in *ec2.CreateKeyPairInput) *string { return in.KeyName })),
		awsapi.Op(s.ImportKeyPair, onKeyPair(s, "ImportKeyPair", func(in *ec2.ImportKeyPairInput) *string { return in.KeyName })),
		awsapi.Op(s.DescribeKeyPairs, inRegion[ec2.DescribeKeyPairsInput]("DescribeKeyPairs")),
		awsapi.Op(s.DeleteKeyPair, onKeyPair(s, "DeleteKeyPair", func(in *ec2.DeleteKeyPairInput) *string { return in.KeyName })),

		awsapi.Op(s.DescribeInstanceTypes, inRegion[ec2.DescribeInstanceTypesInput]("DescribeInstanceTypes")),
		awsapi.Op(s.DescribeInstanceTypeOfferings, inRegion[ec2.DescribeInstanceTypeOfferingsInput]("DescribeInstanceTypeOfferings")),

		awsapi.Op(s.RegisterImage, makes(s, "RegisterImage", types.ResourceTypeImage, func(*ec2.RegisterImageInput) []string { return nil })),
		awsapi.Op(s.DescribeImages, inRegion[ec2.DescribeImagesInput]("DescribeImages")),
		awsapi.Op(s.DeregisterImage, on(s, "DeregisterImage", func(in *ec2.DeregisterImageInput) []string { return strs(in.ImageId) })),
		awsapi.Op(s.CreateImage, makes(s, "CreateImage", types.ResourceTypeImage, func(in *ec2.CreateImageInput) []string { return strs(in.InstanceId) })),
		awsapi.Op(s.CopyImage, makes(s, "CopyImage", types.ResourceTypeImage, func(in *ec2.CopyImageInput) []string { return strs(in.SourceImageId) })),
		awsapi.Op(s.GetImageAncestry, on(s, "GetImageAncestry", func(in *ec2.GetImageAncestryInput) []string { return strs(in.ImageId) })),
		awsapi.Op(s.DescribeImageAttribute, on(s, "DescribeImageAttribute", func(in *ec2.DescribeImageAttributeInput) []string { return strs(in.ImageId) })),
		awsapi.Op(s.ModifyImageAttribute, on(s, "ModifyImageAttribute", func(in *ec2.ModifyImageAttributeInput) []string { return strs(in.ImageId) })),
		awsapi.Op(s.ResetImageAttribute, on(s, "ResetImageAttribute", func(in *ec2.ResetImageAttributeInput) []string { return strs(in.ImageId) })),
		awsapi.Op(s.GetImageBlockPublicAccessState, inRegion[ec2.GetImageBlockPublicAccessStateInput]("GetImageBlockPublicAccessState")),
		awsapi.Op(s.EnableImageBlockPublicAccess, inRegion[ec2.EnableImageBlockPublicAccessInput]("EnableImageBlockPublicAccess")),
		awsapi.Op(s.DisableImageBlockPublicAccess, inRegion[ec2.DisableImageBlockPublicAccessInput]("DisableImageBlockPublicAccess")),
		awsapi.Op(s.GetAllowedImagesSettings, inRegion[ec2.GetAllowedImagesSettingsInput]("GetAllowedImagesSettings")),
		awsapi.Op(s.EnableAllowedImagesSettings, inRegion[ec2.EnableAllowedImagesSettingsInput]("EnableAllowedImagesSettings")),
		awsapi.Op(s.DisableAllowedImagesSettings, inRegion[ec2.DisableAllowedImagesSettingsInput]("DisableAllowedImagesSettings")),
		awsapi.Op(s.ReplaceImageCriteriaInAllowedImagesSettings, inRegion[ec2.ReplaceImageCriteriaInAllowedImagesSettingsInput]("ReplaceImageCriteriaInAllowedImagesSettings")),
		awsapi.Op(s.CancelImageLaunchPermission, on(s, "CancelImageLaunchPermission", func(in *ec2.CancelImageLaunchPermissionInput) []string { return strs(in.ImageId) })),
		awsapi.Op(s.EnableImage, on(s, "EnableImage", func(in *ec2.EnableImageInput) []string { return strs(in.ImageId) })),
		awsapi.Op(s.DisableImage, on(s, "DisableImage", func(in *ec2.DisableImageInput) []string { return strs(in.ImageId) })),
		awsapi.Op(s.EnableImageDeprecation, on(s, "EnableImageDeprecation", func(in *ec2.EnableImageDeprecationInput) []string { return strs(in.ImageId) })),
		awsapi.Op(s.DisableImageDeprecation, on(s, "DisableImageDeprecation", func(in *ec2.DisableImageDeprecationInput) []string { return strs(in.ImageId) })),
		awsapi.Op(s.EnableImageDeregistrationProtection, on(s, "EnableImageDeregistrationProtection", func(in *ec2.EnableImageDeregistrationProtectionInput) []string { return strs(in.ImageId) })),
		awsapi.Op(s.DisableImageDeregistrationProtection, on(s, "DisableImageDeregistrationProtection", func(in *ec2.DisableImageDeregistrationProtectionInput) []string { return strs(in.ImageId) })),

		awsapi.Op(s.RunInstances, s.runAccess),
		awsapi.Op(s.DescribeInstances, inRegion[ec2.DescribeInstancesInput]("DescribeInstances")),
		awsapi.Op(s.DescribeInstanceImageMetadata, inRegion[ec2.DescribeInstanceImageMetadataInput]("DescribeInstanceImageMetadata")),
		awsapi.Op(s.DescribeInstanceStatus, inRegion[ec2.DescribeInstanceStatusInput]("DescribeInstanceStatus")),
		awsapi.Op(s.StartInstances, on(s, "StartInstances", func(in *ec2.StartInstancesInput) []string { return in.InstanceIds })),
		awsapi.Op(s.StopInstances, on(s, "StopInstances", func(in *ec2.StopInstancesInput) []string { return in.InstanceIds })),
		awsapi.Op(s.RebootInstances, on(s, "RebootInstances", func(in *ec2.RebootInstancesInput) []string { return in.InstanceIds })),
		awsapi.Op(s.TerminateInstances, on(s, "TerminateInstances", func(in *ec2.TerminateInstancesInput) []string { return in.InstanceIds })),
		awsapi.Op(s.GetConsoleOutput, on(s, "GetConsoleOutput", func(in *ec2.GetConsoleOutputInput) []string { return strs(in.InstanceId) })),
		awsapi.Op(s.GetConsoleScreenshot, on(s, "GetConsoleScreenshot", func(in *ec2.GetConsoleScreenshotInput) []string { return strs(in.InstanceId) })),
		awsapi.Op(s.DescribeInstanceAttribute, on(s, "DescribeInstanceAttribute", func(in *ec2.DescribeInstanceAttributeInput) []string { return strs(in.InstanceId) })),
		awsapi.Op(s.ModifyInstanceAttribute, on(s, "ModifyInstanceAttribute", func(in *ec2.ModifyInstanceAttributeInput) []string { return strs(in.InstanceId) })),
		awsapi.Op(s.ResetInstanceAttribute, on(s, "ResetInstanceAttribute", func(in *ec2.ResetInstanceAttributeInput) []string { return strs(in.InstanceId) })),
		awsapi.Op(s.ModifyInstanceMetadataOptions, on(s, "ModifyInstanceMetadataOptions", func(in *ec2.ModifyInstanceMetadataOptionsInput) []string { return strs(in.InstanceId) })),
		awsapi.Op(s.ModifyInstanceMaintenanceOptions, on(s, "ModifyInstanceMaintenanceOptions", func(in *ec2.ModifyInstanceMaintenanceOptionsInput) []string { return strs(in.InstanceId) })),
		awsapi.Op(s.ModifyInstanceEventStartTime, on(s, "ModifyInstanceEventStartTime", func(in *ec2.ModifyInstanceEventStartTimeInput) []string { return strs(in.InstanceId) })),
		awsapi.Op(s.ModifyInstancePlacement, s.placementAccess),
		awsapi.Op(s.ModifyInstanceCpuOptions, on(s, "ModifyInstanceCpuOptions", func(in *ec2.ModifyInstanceCpuOptionsInput) []string { return strs(in.InstanceId) })),
		awsapi.Op(s.ModifyPrivateDnsNameOptions, on(s, "ModifyPrivateDnsNameOptions", func(in *ec2.ModifyPrivateDnsNameOptionsInput) []string { return strs(in.InstanceId) })),
		awsapi.Op(s.GetPasswordData, on(s, "GetPasswordData", func(in *ec2.GetPasswordDataInput) []string { return strs(in.InstanceId) })),
		awsapi.Op(s.ReportInstanceStatus, on(s, "ReportInstanceStatus", func(in *ec2.ReportInstanceStatusInput) []string { return in.Instances })),
		awsapi.Op(s.DescribeInstanceTopology, inRegion[ec2.DescribeInstanceTopologyInput]("DescribeInstanceTopology")),
		awsapi.Op(s.GetInstanceTypesFromInstanceRequirements, inRegion[ec2.GetInstanceTypesFromInstanceRequirementsInput]("GetInstanceTypesFromInstanceRequirements")),
		awsapi.Op(s.GetLaunchTemplateData, on(s, "GetLaunchTemplateData", func(in *ec2.GetLaunchTemplateDataInput) []string { return strs(in.InstanceId) })),
		awsapi.Op(s.MonitorInstances, on(s, "MonitorInstances", func(in *ec2.MonitorInstancesInput) []string { return in.InstanceIds })),
		awsapi.Op(s.UnmonitorInstances, on(s, "UnmonitorInstances", func(in *ec2.UnmonitorInstancesInput) []string { return in.InstanceIds })),
		awsapi.Op(s.DescribeInstanceCreditSpecifications, inRegion[ec2.DescribeInstanceCreditSpecificationsInput]("DescribeInstanceCreditSpecifications")),
		awsapi.Op(s.ModifyInstanceCreditSpecification, on(s, "ModifyInstanceCreditSpecification", creditedInstances)),

		awsapi.Op(s.AssociateIamInstanceProfile, s.associateAccess),
		awsapi.Op(s.DisassociateIamInstanceProfile, s.disassociateAccess),
		awsapi.Op(s.ReplaceIamInstanceProfileAssociation, s.replaceAccess),
		awsapi.Op(s.DescribeIamInstanceProfileAssociations, inRegion[ec2.DescribeIamInstanceProfileAssociationsInput]("DescribeIamInstanceProfileAssociations")),

		awsapi.Op(s.DescribeVolumes, inRegion[ec2.DescribeVolumesInput]("DescribeVolumes")),

		awsapi.Op(s.CreatePlacementGroup, onPlacementGroup(s, "CreatePlacementGroup", func(in *ec2.CreatePlacementGroupInput) *string { return in.GroupName })),
		awsapi.Op(s.DescribePlacementGroups, inRegion[ec2.DescribePlacementGroupsInput]("DescribePlacementGroups")),
		awsapi.Op(s.DeletePlacementGroup, onPlacementGroup(s, "DeletePlacementGroup", func(in *ec2.DeletePlacementGroupInput) *string { return in.GroupName })),

		awsapi.Op(s.AllocateHosts, makes(s, "AllocateHosts", types.ResourceTypeDedicatedHost, func(*ec2.AllocateHostsInput) []string { return nil })),
		awsapi.Op(s.DescribeHosts, inRegion[ec2.DescribeHostsInput]("DescribeHosts")),
		awsapi.Op(s.ModifyHosts, on(s, "ModifyHosts", func(in *ec2.ModifyHostsInput) []string { return in.HostIds })),
		awsapi.Op(s.ReleaseHosts, on(s, "ReleaseHosts", func(in *ec2.ReleaseHostsInput) []string { return in.HostIds })),

		awsapi.Op(s.GetSerialConsoleAccessStatus, inRegion[ec2.GetSerialConsoleAccessStatusInput]("GetSerialConsoleAccessStatus")),
		awsapi.Op(s.EnableSerialConsoleAccess, inRegion[ec2.EnableSerialConsoleAccessInput]("EnableSerialConsoleAccess")),
		awsapi.Op(s.DisableSerialConsoleAccess, inRegion[ec2.DisableSerialConsoleAccessInput]("DisableSerialConsoleAccess")),
		awsapi.Op(s.GetInstanceMetadataDefaults, inRegion[ec2.GetInstanceMetadataDefaultsInput]("GetInstanceMetadataDefaults")),
		awsapi.Op(s.ModifyInstanceMetadataDefaults, metadataDefaultsAccess),
		awsapi.Op(s.GetDefaultCreditSpecification, inRegion[ec2.GetDefaultCreditSpecificationInput]("GetDefaultCreditSpecification")),
		awsapi.Op(s.ModifyDefaultCreditSpecification, inRegion[ec2.ModifyDefaultCreditSpecificationInput]("ModifyDefaultCreditSpecification")),

		awsapi.Op(s.RequestSpotInstances, s.spotAccess),
		awsapi.Op(s.DescribeSpotInstanceRequests, inRegion[ec2.DescribeSpotInstanceRequestsInput]("DescribeSpotInstanceRequests")),
		awsapi.Op(s.CancelSpotInstanceRequests, on(s, "CancelSpotInstanceRequests", func(in *ec2.CancelSpotInstanceRequestsInput) []string { return in.SpotInstanceRequestIds })),

		awsapi.Op(s.CreateLaunchTemplate, readsImage(makes(s, "CreateLaunchTemplate", types.ResourceTypeLaunchTemplate, func(*ec2.CreateLaunchTemplateInput) []string { return nil }),
			func(in *ec2.CreateLaunchTemplateInput) *types.RequestLaunchTemplateData { return in.LaunchTemplateData })),
		awsapi.Op(s.CreateLaunchTemplateVersion, readsImage(onTemplate(s, "CreateLaunchTemplateVersion", func(in *ec2.CreateLaunchTemplateVersionInput) (*string, *string) {
			return in.LaunchTemplateId, in.LaunchTemplateName
		}), func(in *ec2.CreateLaunchTemplateVersionInput) *types.RequestLaunchTemplateData {
			return in.LaunchTemplateData
		})),
		awsapi.Op(s.DescribeLaunchTemplates, inRegion[ec2.DescribeLaunchTemplatesInput]("DescribeLaunchTemplates")),
		awsapi.Op(s.DescribeLaunchTemplateVersions, s.versionsAccess),
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

// placementAccess is what ModifyInstancePlacement needs: on the instance, and on where it is to go.
func (s *Service) placementAccess(ctx context.Context, in *ec2.ModifyInstancePlacementInput) ([]awsapi.Access, error) {
	wanted, err := on(s, "ModifyInstancePlacement", func(in *ec2.ModifyInstancePlacementInput) []string { return strs(in.InstanceId, in.HostId) })(ctx, in)
	if name := aws.ToString(in.GroupName); name != "" && err == nil {
		err = s.view(ctx, func(t tx) error {
			group, err := s.accessToExisting(t, "ModifyInstancePlacement", types.ResourceTypePlacementGroup, name)
			wanted = append(wanted, group)
			return err
		})
	}
	return wanted, err
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

func onKeyPair[In any](s *Service, action string, name func(*In) *string) func(context.Context, *In) ([]awsapi.Access, error) {
	return onNamed(s, action, types.ResourceTypeKeyPair, name)
}

func onPlacementGroup[In any](s *Service, action string, name func(*In) *string) func(context.Context, *In) ([]awsapi.Access, error) {
	return onNamed(s, action, types.ResourceTypePlacementGroup, name)
}

func onNamed[In any](s *Service, action string, typ types.ResourceType, name func(*In) *string) func(context.Context, *In) ([]awsapi.Access, error) {
	return func(ctx context.Context, in *In) ([]awsapi.Access, error) {
		specs := tagSpecificationsOf(in)
		var wanted awsapi.Access
		err := s.view(ctx, func(t tx) (err error) {
			switch made := any(in).(type) {
			case *ec2.CreateKeyPairInput:
				wanted = accessToNamed(t, action, typ, aws.ToString(made.KeyName), &keyPair{Type: cmp.Or(made.KeyType, types.KeyTypeRsa)})
			case *ec2.CreatePlacementGroupInput:
				wanted = accessToNamed(t, action, typ, aws.ToString(made.GroupName), &placementGroup{Name: "*", Strategy: cmp.Or(made.Strategy, types.PlacementStrategyCluster)})
			default:
				wanted, err = s.accessToExisting(t, action, typ, aws.ToString(name(in)))
			}
			return err
		})
		if err != nil {
			return nil, err
		}
		for key, values := range requestTags(specs) {
			wanted.Conditions[key] = values
		}
		return append([]awsapi.Access{wanted}, tagOnCreate(ctx, action, specs)...), nil
	}
}

// accessToExisting is access to a key pair or placement group by its name.
func (s *Service) accessToExisting(t tx, action string, typ types.ResourceType, name string) (awsapi.Access, error) {
	var known conditioned
	if typ == types.ResourceTypeKeyPair {
		key, err := keyPairs.in(t).Index("name").Find(name)
		if err != nil {
			return awsapi.Access{}, err
		}
		if key != nil {
			known = key
		}
	} else {
		group, err := placementGroups.in(t).Index("name").Find(name)
		if err != nil {
			return awsapi.Access{}, err
		}
		if group != nil {
			known = group
		}
	}
	return accessToNamed(t, action, typ, name, known), nil
}

func accessToNamed(t tx, action string, typ types.ResourceType, name string, known conditioned) awsapi.Access {
	if name == "" {
		name = "*"
	}
	access := awsapi.Access{Action: "ec2:" + action, Resources: []string{arn(t.scope, typ, name)}}
	c := conditionsOf(&access, t.scope, typ)
	if known != nil {
		known.conditions(t, c)
	}
	return access
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
		all, err := s.accessTo(ctx, "ec2:"+action, strs(id))
		withAttributes(action, in, all)
		return all, err
	}
}

func (s *Service) associateAccess(ctx context.Context, in *ec2.AssociateIamInstanceProfileInput) ([]awsapi.Access, error) {
	wanted, err := s.accessTo(ctx, "ec2:AssociateIamInstanceProfile", strs(in.InstanceId))
	if err == nil {
		err = s.withNewProfile(ctx, wanted, in.IamInstanceProfile)
	}
	if err != nil {
		return nil, err
	}
	passed, err := s.passRole(ctx, in.IamInstanceProfile, aws.ToString(in.InstanceId))
	return append(wanted, passed...), err
}

// withNewProfile adds the key of the profile that an instance is to get.
func (s *Service) withNewProfile(ctx context.Context, wanted []awsapi.Access, in *types.IamInstanceProfileSpecification) error {
	profile, err := s.findProfile(ctx, in)
	var unknown *awsapi.Error
	switch {
	case errors.As(err, &unknown): // which is said to those who may
		return nil
	case err != nil || profile == nil:
		return err
	}
	for _, access := range wanted {
		access.Conditions["ec2:NewInstanceProfile"] = []string{profile.ARN}
	}
	return nil
}

func (s *Service) disassociateAccess(ctx context.Context, in *ec2.DisassociateIamInstanceProfileInput) ([]awsapi.Access, error) {
	return s.associationAccess(ctx, "DisassociateIamInstanceProfile", in.AssociationId)
}

func (s *Service) replaceAccess(ctx context.Context, in *ec2.ReplaceIamInstanceProfileAssociationInput) ([]awsapi.Access, error) {
	wanted, err := s.associationAccess(ctx, "ReplaceIamInstanceProfileAssociation", in.AssociationId)
	if err == nil {
		err = s.withNewProfile(ctx, wanted, in.IamInstanceProfile)
	}
	if err != nil {
		return nil, err
	}
	instance := "*"
	if len(wanted[0].Resources) > 0 {
		_, instance, _ = strings.Cut(wanted[0].Resources[0], "/")
	}
	passed, err := s.passRole(ctx, in.IamInstanceProfile, instance)
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
	return s.accessTo(ctx, "ec2:"+action, ids)
}
