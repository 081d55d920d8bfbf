package ec2

import (
	"context"
	"errors"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"miniaws/awsapi"
)

// launchAccess is what a launch needs to be allowed: on everything that it makes, and on everything that it uses.
//
// AWS: "Example policies to control access the Amazon EC2 API", "Launch instances (RunInstances)": the image, the instance,
// its volume and network interfaces, their subnet and security groups, and, where they are named, the key pair, the
// placement group and the launch template.
type launchAccess struct {
	service  *Service
	t        tx
	asked    *ec2.RunInstancesInput // without the template
	in       *ec2.RunInstancesInput
	template string
	all      []awsapi.Access
}

// runAccess is what RunInstances needs.
func (s *Service) runAccess(ctx context.Context, in *ec2.RunInstancesInput) ([]awsapi.Access, error) {
	merged, template, _, err := s.fromTemplate(ctx, in)
	if err != nil {
		return nil, err
	}
	passed := parameterAccess(scopeOf(ctx), merged.ImageId)
	resolved, err := s.withImage(ctx, scopeOf(ctx), merged)
	if err = unlessRefused(err); err != nil {
		return nil, err
	}
	merged = resolved
	l := launchAccess{service: s, asked: in, in: merged, template: template}
	profile := ""
	if found, err := s.findProfile(ctx, merged.IamInstanceProfile); err == nil && found != nil {
		profile = found.ARN
		role, err := s.passRole(ctx, merged.IamInstanceProfile, "*")
		if err != nil {
			return nil, err
		}
		passed = append(passed, role...)
	}
	err = s.view(ctx, func(t tx) error {
		l.t, l.all = t, nil
		return l.of(profile)
	})
	if err != nil {
		return nil, err
	}
	return append(append(l.all, tagOnCreate(ctx, "RunInstances", merged.TagSpecifications)...), passed...), nil
}

// plan is where instances would go; nil where the launch is to fail anyway, and then what the call names is asked for.
func (l *launchAccess) plan() *networkPlan {
	checked, err := checkLaunch(l.in)
	if err != nil {
		return nil
	}
	plan, err := l.service.planNetwork(l.t, checked)
	if err != nil {
		return nil
	}
	return plan
}

func (l *launchAccess) of(profile string) error {
	plan := l.plan()
	subnetIDs, groups, existing := l.named()
	var at *subnet
	if plan != nil {
		at = plan.subnet
		for _, p := range plan.interfaces {
			if p.existing == "" {
				subnetIDs, groups = append(subnetIDs, p.spec.subnet), append(groups, p.spec.groups...)
			}
		}
	}
	if at != nil && len(groups) == 0 && len(existing) == 0 {
		group, err := groupByName(l.t, at.VPC, "default")
		if err != nil {
			return err
		}
		groups = append(groups, group.ID)
	}
	im, err := l.image()
	if err != nil {
		return err
	}
	l.instance(at, profile)
	l.volume(at, im)
	l.interfaces(at, plan)
	if err := l.namedResources(); err != nil {
		return err
	}
	for _, ids := range [][]string{subnetIDs, groups, existing} {
		slices.Sort(ids)
		for _, id := range slices.Compact(ids) {
			if err := l.uses(id); err != nil {
				return err
			}
		}
	}
	if l.template != "" {
		return l.uses(l.template)
	}
	return nil
}

// named are the ids of the network's resources in the call.
func (l *launchAccess) named() (subnetIDs, groups, existing []string) {
	subnetIDs, groups = strs(l.in.SubnetId), slices.Clone(l.in.SecurityGroupIds)
	for _, n := range l.in.NetworkInterfaces {
		subnetIDs, groups, existing = append(subnetIDs, strs(n.SubnetId)...), append(groups, n.Groups...), append(existing, strs(n.NetworkInterfaceId)...)
	}
	return subnetIDs, groups, existing
}

// add asks for a resource, and answers its conditions.
func (l *launchAccess) add(typ types.ResourceType, id string) conditions {
	access := awsapi.Access{Action: "ec2:RunInstances", Resources: []string{arn(l.t.scope, typ, id)}}
	c := conditionsOf(&access, l.t.scope, typ)
	if l.template != "" {
		c.setARN("ec2:LaunchTemplate", types.ResourceTypeLaunchTemplate, l.template)
		c.set("ec2:IsLaunchTemplateResource", yesNo(!l.overridden(typ))...)
	}
	l.all = append(l.all, access)
	return c
}

// overridden tells whether the call itself says something of what the launch template could have said.
// AWS: "Example policies to control access the Amazon EC2 API", "Work with launch templates".
func (l *launchAccess) overridden(typ types.ResourceType) bool {
	in := l.asked
	switch typ {
	case types.ResourceTypeImage:
		return in.ImageId != nil
	case types.ResourceTypeKeyPair:
		return in.KeyName != nil
	case types.ResourceTypeCapacityReservation:
		return in.CapacityReservationSpecification != nil
	case types.ResourceTypePlacementGroup:
		return in.Placement != nil
	case types.ResourceTypeVolume:
		return len(in.BlockDeviceMappings) > 0
	case types.ResourceTypeSubnet:
		return in.SubnetId != nil || len(in.NetworkInterfaces) > 0
	case types.ResourceTypeSecurityGroup:
		return len(in.SecurityGroupIds) > 0 || len(in.SecurityGroups) > 0 || len(in.NetworkInterfaces) > 0
	case types.ResourceTypeNetworkInterface:
		return len(in.NetworkInterfaces) > 0 || in.PrivateIpAddress != nil
	case types.ResourceTypeInstance:
		return in.InstanceType != "" || in.IamInstanceProfile != nil || in.EbsOptimized != nil || in.MetadataOptions != nil || in.Placement != nil ||
			in.MaintenanceOptions != nil || in.InstanceMarketOptions != nil || in.UserData != nil || in.CpuOptions != nil || in.CreditSpecification != nil
	}
	return false
}

// makes asks for a resource that the launch makes.
func (l *launchAccess) makes(typ types.ResourceType) conditions {
	c := l.add(typ, "*")
	c.set(idKeys[typ], "*")
	for _, spec := range l.in.TagSpecifications {
		if spec.ResourceType == typ {
			for key, values := range requestTags([]types.TagSpecification{spec}) {
				c.keys[key] = values
			}
		}
	}
	return c
}

// uses asks for an existing resource.
func (l *launchAccess) uses(id string) error {
	k := l.service.kindOf(id)
	if k == nil {
		return nil
	}
	return l.add(k.resourceType(), id).ofResource(l.t, k, id)
}

func (l *launchAccess) instance(at *subnet, profile string) {
	made := &instance{Type: l.in.InstanceType, Tenancy: "default", EBSOptimized: aws.ToBool(l.in.EbsOptimized)}
	if made.Type == "" {
		made.Type = "m1.small"
	}
	if p := l.in.Placement; p != nil {
		made.Zone, made.ZoneID = aws.ToString(p.AvailabilityZone), aws.ToString(p.AvailabilityZoneId)
		made.Tenancy = string(p.Tenancy)
	}
	if at != nil {
		made.Zone, made.ZoneID = at.Zone, at.ZoneID
	}
	if made.Tenancy == "" {
		made.Tenancy = "default"
	}
	if m := l.in.InstanceMarketOptions; m != nil {
		made.Lifecycle = string(m.MarketType)
	}
	if m := l.in.MaintenanceOptions; m != nil {
		made.NoAutoRecovery = m.AutoRecovery == types.InstanceAutoRecoveryStateDisabled
	}
	if o, err := mergeMetadata(metadataOptions{}, l.in.MetadataOptions); err == nil {
		made.Metadata = o
	}
	if profile != "" {
		made.Profile = &profileAssociation{ARN: profile}
	}
	c := l.makes(types.ResourceTypeInstance)
	made.conditions(l.t, c)
	if p := l.in.Placement; p != nil {
		c.setARN("ec2:PlacementGroup", types.ResourceTypePlacementGroup, aws.ToString(p.GroupName))
	}
}

func (l *launchAccess) volume(at *subnet, im *image) {
	c := l.makes(types.ResourceTypeVolume)
	if at != nil {
		c.set("ec2:AvailabilityZone", at.Zone)
		c.set("ec2:AvailabilityZoneId", at.ZoneID)
	}
	if im == nil {
		return
	}
	if root, err := rootVolumeOf(im, l.in.BlockDeviceMappings); err == nil {
		ofVolume(c, root.GiB, root.Type, root.IOPS, root.Throughput)
	}
}

// interfaces asks for each network interface that is made; for one where that cannot be told.
func (l *launchAccess) interfaces(at *subnet, plan *networkPlan) {
	if plan == nil {
		l.makes(types.ResourceTypeNetworkInterface)
		return
	}
	for _, p := range plan.interfaces {
		if p.existing != "" {
			continue
		}
		c := l.makes(types.ResourceTypeNetworkInterface)
		if p.public != nil {
			c.set("ec2:AssociatePublicIpAddress", yesNo(*p.public)...)
		}
		made := &networkInterface{Subnet: p.spec.subnet}
		if n, err := subnets.find(l.t, p.spec.subnet); err == nil && n != nil {
			made.VPC, made.Zone = n.VPC, n.Zone
		} else if at != nil {
			made.VPC, made.Zone = at.VPC, at.Zone
		}
		made.conditions(l.t, c)
	}
}

func (l *launchAccess) image() (*image, error) {
	id := aws.ToString(l.in.ImageId)
	if !images.wellFormed(id) {
		return nil, nil
	}
	im, err := findImage(l.t, id)
	if err == nil {
		err = l.uses(id)
	}
	return im, err
}

func (l *launchAccess) namedResources() error {
	add := func(typ types.ResourceType, name *string) error {
		if aws.ToString(name) == "" {
			return nil
		}
		found, err := l.service.accessToExisting(l.t, "RunInstances", typ, *name)
		c := l.add(typ, *name)
		for key, values := range found.Conditions {
			c.keys[key] = values
		}
		return err
	}
	err := add(types.ResourceTypeKeyPair, l.in.KeyName)
	for _, id := range targetOf(l.in.CapacityReservationSpecification) {
		err = errors.Join(err, l.uses(id))
	}
	if p := l.in.Placement; p != nil && err == nil {
		err = add(types.ResourceTypePlacementGroup, p.GroupName)
	}
	return err
}

// passRole is what giving an instance a role needs; one that is not there yet is "*".
// AWS: "Grant permissions to pass an IAM role to an instance", and "Grant a user permissions to pass a role to an AWS service"
// of the IAM user guide: iam:AssociatedResourceArn.
func (s *Service) passRole(ctx context.Context, in *types.IamInstanceProfileSpecification, instance string) ([]awsapi.Access, error) {
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
	access := awsapi.PassRole(found.RoleARN, "ec2.amazonaws.com")
	access.Conditions["iam:AssociatedResourceArn"] = []string{arn(scopeOf(ctx), types.ResourceTypeInstance, instance)}
	return []awsapi.Access{access}, nil
}

// spotAccess is what RequestSpotInstances needs: a launch, and the request.
func (s *Service) spotAccess(ctx context.Context, in *ec2.RequestSpotInstancesInput) ([]awsapi.Access, error) {
	run := &ec2.RunInstancesInput{TagSpecifications: in.TagSpecifications, InstanceMarketOptions: &types.InstanceMarketOptionsRequest{MarketType: types.MarketTypeSpot}}
	if in.LaunchSpecification != nil {
		if err := reshape(in.LaunchSpecification, run); err != nil {
			return nil, err
		}
	}
	run.MinCount, run.MaxCount = aws.Int32(1), aws.Int32(1)
	wanted, err := s.runAccess(ctx, run)
	return append(wanted, awsapi.Access{
		Action: "ec2:RequestSpotInstances", Resources: []string{arn(scopeOf(ctx), types.ResourceTypeSpotInstancesRequest, "*")},
		Conditions: map[string][]string{"ec2:Region": {scopeOf(ctx).Region}},
	}), err
}
