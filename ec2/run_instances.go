package ec2

import (
	"context"
	"encoding/base64"
	"maps"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"miniaws/backend/reconcile"
	"miniaws/backend/store"
)

const (
	// maxUserData is what is left after base64 is undone. AWS: "Run commands at launch": 16 KB.
	maxUserData = 16 << 10
	// maxLaunch is how many instances one call launches at most.
	maxLaunch = 100
)

// The tags of instances that were launched from a launch template.
const (
	templateTag        = "aws:ec2launchtemplate:id"
	templateVersionTag = "aws:ec2launchtemplate:version"
)

// launch is what RunInstances asks for, checked as far as that needs no record.
type launch struct {
	in       *ec2.RunInstancesInput
	min, max int32
	typ      *types.InstanceTypeInfo
	userData []byte
	// tags of instances, volumes, network interfaces and spot requests.
	tags, volumeTags, interfaceTags, spotTags map[string]string
	profile                                   *profileAssociation
	metadata                                  metadataOptions
	cores, threads                            int32 // of CpuOptions, 0 for the type's
	template                                  string
	templateNumber                            int64
	// fleet is the one that launches, request the Spot request that launches again; "" for none.
	fleet, request string
	// byRequest tells that RequestSpotInstances asks, and not RunInstances.
	byRequest bool
	capacity  capacityOptions
}

// spot tells whether the instances come from a market, and not On-Demand.
func (l *launch) spot() bool {
	market := l.in.InstanceMarketOptions
	return market != nil && market.MarketType != ""
}

func (l *launch) tenancy() types.Tenancy {
	p := l.in.Placement
	switch {
	case p != nil && (p.Tenancy == types.TenancyHost || p.HostId != nil):
		return types.TenancyHost
	case p != nil && p.Tenancy == types.TenancyDedicated:
		return types.TenancyDedicated
	}
	return types.TenancyDefault
}

// RunInstances launches instances: all of at least MinCount, or none. It answers at once; they are pending until the
// engine confirms that they run.
func (s *Service) RunInstances(ctx context.Context, in *ec2.RunInstancesInput) (*ec2.RunInstancesOutput, error) {
	return s.run(ctx, in, false)
}

// run is RunInstances; byRequest tells that RequestSpotInstances asks.
func (s *Service) run(ctx context.Context, in *ec2.RunInstancesInput, byRequest bool) (*ec2.RunInstancesOutput, error) {
	asked := in
	merged, template, number, err := s.fromTemplate(ctx, in)
	if err != nil {
		return nil, err
	}
	if merged, err = s.withImage(ctx, scopeOf(ctx), merged); err != nil {
		return nil, err
	}
	l, err := checkLaunch(merged)
	if err != nil {
		return nil, err
	}
	l.template, l.templateNumber, l.byRequest = template, number, byRequest
	if l.profile, err = s.findProfile(ctx, merged.IamInstanceProfile); err != nil {
		return nil, err
	}
	out := &ec2.RunInstancesOutput{Groups: []types.GroupIdentifier{}}
	return out, s.update(ctx, func(t tx) error {
		reservation, err := once(t, "RunInstances", asked.ClientToken, asked, func() (string, error) { return s.launch(t, l) })
		if err != nil {
			return err
		}
		made, err := instances.by(t, "reservation", reservation)
		if err != nil {
			return err
		}
		// AWS: "Ensuring idempotency in Amazon EC2 API requests"; one that is no longer shown was terminated, too.
		if !slices.ContainsFunc(made, func(i *instance) bool { return i.State != stateTerminated }) {
			return errTokenOfTerminated()
		}
		slices.SortFunc(made, positions)
		out.ReservationId, out.OwnerId = aws.String(reservation), aws.String(t.scope.Account)
		out.Instances = make([]types.Instance, 0, len(made))
		for _, inst := range made {
			shown, err := s.instanceToAPI(t, inst)
			if err != nil {
				return err
			}
			out.Instances = append(out.Instances, shown)
		}
		return nil
	})
}

// checkLaunch checks what can be checked without records.
func checkLaunch(in *ec2.RunInstancesInput) (*launch, error) {
	l := &launch{in: in, min: aws.ToInt32(in.MinCount), max: aws.ToInt32(in.MaxCount)}
	switch {
	case l.min < 1:
		return nil, errInvalidParameterValue("Value (%d) for parameter minCount is invalid. minCount must be greater than 0.", l.min)
	case l.max < l.min:
		return nil, errInvalidParameterValue("Value (%d) for parameter maxCount is invalid. maxCount must be equal to or greater than minCount.", l.max)
	case l.min > maxLaunch:
		return nil, errInstanceLimit(l.min, maxLaunch)
	case aws.ToString(in.ImageId) == "":
		return nil, errMissingParameter("ImageId")
	case in.PrivateIpAddress != nil && l.max > 1:
		return nil, errInvalidParameterCombination("The parameter PrivateIpAddress cannot be specified when launching more than one instance")
	}
	l.max = min(l.max, maxLaunch)
	if err := refuseLaunch(in); err != nil {
		return nil, err
	}
	name := string(in.InstanceType)
	if name == "" {
		name = "m1.small" // AWS: "RunInstances", InstanceType: the default
	}
	var known bool
	if l.typ, known = instanceTypes().find(name); !known {
		return nil, errInvalidParameterValue("Invalid value '%s' for InstanceType.", name)
	}
	var err error
	if l.capacity, err = capacityOptionsOf(in.CapacityReservationSpecification); err != nil {
		return nil, err
	}
	if l.spot() {
		if err := l.capacity.forSpot(); err != nil {
			return nil, err
		}
	}
	if l.cores, l.threads, err = checkCPUOptions(l.typ, in.CpuOptions); err != nil {
		return nil, err
	}
	if l.userData, err = decodeUserData(aws.ToString(in.UserData)); err != nil {
		return nil, err
	}
	if l.metadata, err = mergeMetadata(metadataOptions{}, in.MetadataOptions); err != nil {
		return nil, err
	}
	kinds := []types.ResourceType{types.ResourceTypeInstance, types.ResourceTypeVolume, types.ResourceTypeNetworkInterface, types.ResourceTypeSpotInstancesRequest}
	for i, into := range []*map[string]string{&l.tags, &l.volumeTags, &l.interfaceTags, &l.spotTags} {
		if *into, err = tagsOnCreate(in.TagSpecifications, kinds[i], kinds...); err != nil {
			return nil, err
		}
	}
	switch in.InstanceInitiatedShutdownBehavior {
	case "", types.ShutdownBehaviorStop, types.ShutdownBehaviorTerminate:
	default:
		return nil, errInvalidParameterValue("Value (%s) for parameter instanceInitiatedShutdownBehavior is invalid.", in.InstanceInitiatedShutdownBehavior)
	}
	return l, checkCredit(l.typ, in.CreditSpecification)
}

// refuseLaunch refuses what AWS has and we do not do.
func refuseLaunch(in *ec2.RunInstancesInput) error {
	if len(in.ElasticGpuSpecification) > 0 || len(in.ElasticInferenceAccelerators) > 0 { //nolint:staticcheck // refused
		// AWS: "RunInstances": Elastic Graphics and Elastic Inference have ended.
		return errUnsupported("Elastic Graphics and Elastic Inference are no longer available.")
	}
	if in.HibernationOptions != nil && aws.ToBool(in.HibernationOptions.Configured) {
		return errUnsupported("The image does not support hibernation.")
	}
	if in.EnclaveOptions != nil && aws.ToBool(in.EnclaveOptions.Enabled) {
		return errUnsupported("The instance does not support Nitro Enclaves.")
	}
	if p := in.Placement; p != nil {
		onHost := p.Tenancy == types.TenancyHost || p.HostId != nil
		switch affinity := aws.ToString(p.Affinity); {
		case !slices.Contains(append(p.Tenancy.Values(), ""), p.Tenancy):
			return errInvalidParameterValue("Value (%s) for parameter tenancy is invalid.", p.Tenancy)
		case p.HostResourceGroupArn != nil || p.SpreadDomain != nil:
			return errNotImplemented("The parameters HostResourceGroupArn and SpreadDomain of Placement")
		case p.HostId != nil && p.Tenancy != "" && p.Tenancy != types.TenancyHost:
			// AWS: "Placement", HostId: not with a tenancy other than host.
			return errInvalidParameterCombination("The parameter HostId requires the tenancy host.")
		case affinity != "" && (affinity != "default" && affinity != "host" || !onHost):
			return errInvalidParameterValue("Value (%s) for parameter affinity is invalid.", affinity)
		}
	}
	if p := in.NetworkPerformanceOptions; p != nil && p.BandwidthWeighting != "" && p.BandwidthWeighting != types.InstanceBandwidthWeightingDefault {
		return errNotImplemented("A bandwidth weighting of RunInstances")
	}
	if p := in.PrivateDnsNameOptions; p != nil && p.HostnameType != "" && !slices.Contains(p.HostnameType.Values(), p.HostnameType) {
		return errInvalidParameterValue("Value (%s) for parameter hostnameType is invalid.", p.HostnameType)
	}
	return unsupported("RunInstances", "AdditionalInfo", in.AdditionalInfo, "KernelId", in.KernelId, "RamdiskId", in.RamdiskId,
		"LicenseSpecifications", in.LicenseSpecifications, "Operator", in.Operator, "SecondaryInterfaces", in.SecondaryInterfaces)
}

// checkCPUOptions answers the cores and threads of options, 0 and 0 for the type's.
// AWS: "CPU options for EC2 instances".
func checkCPUOptions(typ *types.InstanceTypeInfo, in *types.CpuOptionsRequest) (cores, threads int32, err error) {
	if in == nil {
		return 0, 0, nil
	}
	if in.AmdSevSnp == types.AmdSevSnpSpecificationEnabled {
		return 0, 0, errUnsupported("AMD SEV-SNP is not supported.")
	}
	if in.CoreCount == nil && in.ThreadsPerCore == nil {
		return 0, 0, nil
	}
	cores, threads = aws.ToInt32(typ.VCpuInfo.DefaultCores), aws.ToInt32(typ.VCpuInfo.DefaultThreadsPerCore)
	if in.CoreCount != nil {
		cores = *in.CoreCount
	}
	if in.ThreadsPerCore != nil {
		threads = *in.ThreadsPerCore
	}
	if !slices.Contains(typ.VCpuInfo.ValidCores, cores) {
		return 0, 0, errInvalidParameterValue("CpuCoreCount %d is not valid for the instance type %s.", cores, typ.InstanceType)
	}
	if !slices.Contains(typ.VCpuInfo.ValidThreadsPerCore, threads) {
		return 0, 0, errInvalidParameterValue("ThreadsPerCore %d is not valid for the instance type %s.", threads, typ.InstanceType)
	}
	return cores, threads, nil
}

func decodeUserData(encoded string) ([]byte, error) {
	data, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return nil, errUserDataMalformed()
	}
	if len(data) > maxUserData {
		return nil, errInvalidParameterValue("User data is limited to %d bytes", maxUserData)
	}
	return data, nil
}

// checkCredit checks CreditSpecification. AWS: "Burstable performance instances".
func checkCredit(typ *types.InstanceTypeInfo, in *types.CreditSpecificationRequest) error {
	if in == nil || in.CpuCredits == nil {
		return nil
	}
	if !aws.ToBool(typ.BurstablePerformanceSupported) {
		return errInvalidParameterCombination("You cannot specify credit specification for instance type '%s'. Only burstable performance instances support it.", typ.InstanceType)
	}
	if *in.CpuCredits != "standard" && *in.CpuCredits != "unlimited" {
		return errInvalidParameterValue("The value (%s) for parameter CpuCredits is invalid. Valid values are 'standard' and 'unlimited'.", *in.CpuCredits)
	}
	return nil
}

// creditOf is the default of a type's family. AWS: "Unlimited mode for burstable performance instances".
func (s *settings) creditOf(typ *types.InstanceTypeInfo) string {
	if !aws.ToBool(typ.BurstablePerformanceSupported) {
		return ""
	}
	return s.credit(familyOf(string(typ.InstanceType)))
}

// launch writes the records and answers the reservation's id.
func (s *Service) launch(t tx, l *launch) (string, error) {
	in := l.in
	im, err := getImage(t, *in.ImageId)
	if err != nil {
		return "", err
	}
	if im.State != imageAvailable {
		return "", errImageUnavailable(im.ID)
	}
	if im.OwnerID == t.scope.Account && !im.Public {
		touched := *im
		touched.LastLaunched = t.Now()
		if err := images.put(t, &touched); err != nil {
			return "", err
		}
	}
	if !slices.Contains(l.typ.ProcessorInfo.SupportedArchitectures, types.ArchitectureType(im.Architecture)) {
		return "", errArchitecture(string(l.typ.ProcessorInfo.SupportedArchitectures[0]), im.Architecture)
	}
	var key *keyPair
	if name := aws.ToString(in.KeyName); name != "" {
		if key, err = keyPairNamed(t, name); err != nil {
			return "", err
		}
		if key == nil {
			return "", errKeyPairNotFound(name)
		}
	}
	root, err := rootVolumeOf(im, in.BlockDeviceMappings)
	if err != nil {
		return "", err
	}
	group, partition, err := placementOf(t, in.Placement, l.max)
	if err != nil {
		return "", err
	}
	net, err := s.planNetwork(t, l)
	if err != nil {
		return "", err
	}
	have, err := settingsOf(t)
	if err != nil {
		return "", err
	}
	metadata := l.metadata.over(have.Metadata).orDefaults(im)
	if err := have.checkTokens(metadata, "launch"); err != nil {
		return "", err
	}
	count, err := net.room(t, l.min, l.max)
	if err != nil {
		return "", err
	}
	reservation := t.NewID("r-")
	for i := range count {
		inst := &instance{
			resource: resource{ID: t.NewID("i-"), Tags: maps.Clone(l.tags)}, Reservation: reservation, Index: i,
			ImageID: im.ID, References: im.References, Login: im.Login, Architecture: im.Architecture, RootDevice: im.RootDevice,
			Type: l.typ.InstanceType, KeyName: aws.ToString(in.KeyName),
			State: statePending, ReasonCode: "pending", Reason: "pending", Launched: t.Now(),
			Token: aws.ToString(in.ClientToken), Profile: l.profile.copyFor(t), Metadata: metadata,
			Monitoring: in.Monitoring != nil && aws.ToBool(in.Monitoring.Enabled), Tenancy: string(l.tenancy()), Zone: net.subnet.Zone, CapacityOptions: l.capacity,
			PlacementGroup: group, Partition: partition, Shutdown: in.InstanceInitiatedShutdownBehavior,
			KeepFromStop: aws.ToBool(in.DisableApiStop), KeepFromEnd: aws.ToBool(in.DisableApiTermination),
			EBSOptimized: aws.ToBool(in.EbsOptimized), Cores: l.cores, Threads: l.threads, Names: namesOf(in.PrivateDnsNameOptions, net.subnet), Credit: have.creditOf(l.typ),
			Template: l.template, TemplateNumber: l.templateNumber, RootVolume: root,
		}
		if key != nil {
			inst.PublicKey = key.PublicKey + " " + key.Name
		}
		if inst.Tags == nil && (l.template != "" || l.fleet != "") {
			inst.Tags = map[string]string{}
		}
		if l.template != "" {
			// AWS: "Launch an instance from a launch template": instances carry tags of their template.
			inst.Tags[templateTag], inst.Tags[templateVersionTag] = l.template, l.versionText()
		}
		if l.fleet != "" {
			inst.Tags[fleetTag(l.fleet)], inst.Fleet = l.fleet, l.fleet
		}
		if inst.Shutdown == "" {
			inst.Shutdown = types.ShutdownBehaviorStop
		}
		if c := in.CreditSpecification; c != nil && c.CpuCredits != nil {
			inst.Credit = *c.CpuCredits
		}
		if m := in.MaintenanceOptions; m != nil {
			inst.NoAutoRecovery = m.AutoRecovery == types.InstanceAutoRecoveryStateDisabled
		}
		if !l.spot() {
			if err := reserve(t, inst); err != nil {
				if i >= l.min && noRoom(err) {
					break
				}
				return "", err
			}
		}
		inst.RootVolume.ID, inst.RootVolume.At = t.NewID("vol-"), t.Now()
		if err := s.insertInstance(t, inst, l, net); err != nil {
			return "", err
		}
	}
	return reservation, nil
}

// insertInstance writes an instance and all that is made for it.
func (s *Service) insertInstance(t tx, inst *instance, l *launch, net *networkPlan) error {
	if err := s.plugIn(t, inst, net); err != nil {
		return err
	}
	inst.Hostname = hostName(inst.PrivateIP)
	if inst.PrivateIP == "" || inst.Names.Type == types.HostnameTypeResourceName {
		inst.Hostname = inst.ID
	}
	if p := l.in.Placement; inst.Tenancy == string(types.TenancyHost) {
		if err := placeOnHost(t, inst, aws.ToString(p.HostId)); err != nil {
			return err
		}
		// AWS: "RunInstances", Affinity: an instance that is launched onto a named host is bound to it.
		if affinity := aws.ToString(p.Affinity); affinity == "host" || affinity == "" && p.HostId != nil {
			inst.Bound = inst.Host
		}
	}
	if err := insertRootVolume(t, inst, l.volumeTags); err != nil {
		return err
	}
	if err := s.requestSpot(t, inst, l); err != nil {
		return err
	}
	if len(l.userData) > 0 {
		if err := userDatas.In(t, t.scope).Insert(&userData{inst.ID, l.userData}); err != nil {
			return err
		}
	}
	if err := homes.In(t, store.Scope{}).Insert(&home{inst.ID, t.scope.Account, t.scope.Region}); err != nil {
		return err
	}
	if err := instances.insert(t, inst); err != nil {
		return err
	}
	return reconcile.Want(t, t.item(instanceKind, inst.ID))
}
