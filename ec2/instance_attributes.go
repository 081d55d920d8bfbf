package ec2

import (
	"cmp"
	"context"
	"encoding/base64"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"miniaws/backend/store"
)

func encodeBase64(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }

func boolAttribute(value bool) *types.AttributeBooleanValue {
	return &types.AttributeBooleanValue{Value: aws.Bool(value)}
}

func textAttribute(value string) *types.AttributeValue {
	return &types.AttributeValue{Value: optional(value)}
}

// DescribeInstanceAttribute answers one attribute.
func (s *Service) DescribeInstanceAttribute(ctx context.Context, in *ec2.DescribeInstanceAttributeInput) (*ec2.DescribeInstanceAttributeOutput, error) {
	out := &ec2.DescribeInstanceAttributeOutput{InstanceId: in.InstanceId}
	return out, s.view(ctx, func(t tx) error {
		i, err := instances.get(t, *in.InstanceId)
		if err != nil {
			return err
		}
		switch in.Attribute {
		case types.InstanceAttributeNameInstanceType:
			out.InstanceType = textAttribute(string(i.Type))
		case types.InstanceAttributeNameKernel:
			out.KernelId = &types.AttributeValue{}
		case types.InstanceAttributeNameRamdisk:
			out.RamdiskId = &types.AttributeValue{}
		case types.InstanceAttributeNameUserData:
			out.UserData = &types.AttributeValue{}
			data, err := userDatas.In(t, t.scope).Find(i.ID)
			if data != nil {
				out.UserData.Value = aws.String(encodeBase64(string(data.Data)))
			}
			return err
		case types.InstanceAttributeNameDisableApiTermination:
			out.DisableApiTermination = boolAttribute(i.KeepFromEnd)
		case types.InstanceAttributeNameDisableApiStop:
			out.DisableApiStop = boolAttribute(i.KeepFromStop)
		case types.InstanceAttributeNameInstanceInitiatedShutdownBehavior:
			out.InstanceInitiatedShutdownBehavior = textAttribute(string(i.Shutdown))
		case types.InstanceAttributeNameRootDeviceName:
			out.RootDeviceName = textAttribute(i.RootDevice)
		case types.InstanceAttributeNameBlockDeviceMapping:
			shown, err := s.instanceToAPI(t, i)
			out.BlockDeviceMappings = shown.BlockDeviceMappings
			return err
		case types.InstanceAttributeNameProductCodes:
			out.ProductCodes = []types.ProductCode{}
		case types.InstanceAttributeNameSourceDestCheck:
			e := primary(t, i)
			out.SourceDestCheck = boolAttribute(e == nil || e.SourceDestCheck)
		case types.InstanceAttributeNameGroupSet:
			shown, err := s.instanceToAPI(t, i)
			out.Groups = shown.SecurityGroups
			return err
		case types.InstanceAttributeNameEbsOptimized:
			out.EbsOptimized = boolAttribute(i.EBSOptimized)
		case types.InstanceAttributeNameSriovNetSupport:
			out.SriovNetSupport = textAttribute("simple")
		case types.InstanceAttributeNameEnaSupport:
			out.EnaSupport = boolAttribute(true)
		case types.InstanceAttributeNameEnclaveOptions:
			out.EnclaveOptions = &types.EnclaveOptions{Enabled: aws.Bool(false)}
		default:
			return errInvalidParameterValue("Value (%s) for parameter attribute is invalid. Unknown attribute.", in.Attribute)
		}
		return nil
	})
}

// attributeChange is one change that a call of ModifyInstanceAttribute asks for, whichever of its two ways it uses.
type attributeChange struct {
	name  types.InstanceAttributeName
	value string
	data  []byte
}

// changesIn reads both ways of asking: a parameter of its own for each attribute, or Attribute and Value.
func changesIn(in *ec2.ModifyInstanceAttributeInput) ([]attributeChange, error) {
	var changes []attributeChange
	flag := func(name types.InstanceAttributeName, value *types.AttributeBooleanValue) {
		if value != nil {
			changes = append(changes, attributeChange{name: name, value: yesNo(aws.ToBool(value.Value))[0]})
		}
	}
	text := func(name types.InstanceAttributeName, value *types.AttributeValue) {
		if value != nil {
			changes = append(changes, attributeChange{name: name, value: aws.ToString(value.Value)})
		}
	}
	flag(types.InstanceAttributeNameDisableApiStop, in.DisableApiStop)
	flag(types.InstanceAttributeNameDisableApiTermination, in.DisableApiTermination)
	flag(types.InstanceAttributeNameEbsOptimized, in.EbsOptimized)
	flag(types.InstanceAttributeNameEnaSupport, in.EnaSupport)
	flag(types.InstanceAttributeNameSourceDestCheck, in.SourceDestCheck)
	text(types.InstanceAttributeNameInstanceInitiatedShutdownBehavior, in.InstanceInitiatedShutdownBehavior)
	text(types.InstanceAttributeNameInstanceType, in.InstanceType)
	text(types.InstanceAttributeNameKernel, in.Kernel)
	text(types.InstanceAttributeNameRamdisk, in.Ramdisk)
	text(types.InstanceAttributeNameSriovNetSupport, in.SriovNetSupport)
	if in.UserData != nil {
		changes = append(changes, attributeChange{name: types.InstanceAttributeNameUserData, data: in.UserData.Value})
	}
	if len(in.Groups) > 0 {
		changes = append(changes, attributeChange{name: types.InstanceAttributeNameGroupSet})
	}
	if in.EnclaveOptions != nil && aws.ToBool(in.EnclaveOptions.Enabled) {
		return nil, errUnsupported("The instance does not support Nitro Enclaves.")
	}
	if len(in.BlockDeviceMappings) > 0 {
		return nil, errNotImplemented("ModifyInstanceAttribute of block device mappings")
	}
	if in.Attribute != "" && len(changes) == 0 {
		change := attributeChange{name: in.Attribute, value: aws.ToString(in.Value)}
		if in.Attribute == types.InstanceAttributeNameUserData {
			var err error
			if change.data, err = decodeUserData(change.value); err != nil {
				return nil, err
			}
		}
		changes = append(changes, change)
	}
	switch len(changes) {
	case 0:
		return nil, errNoAttribute()
	case 1:
		return changes, nil
	}
	var names []string
	for _, change := range changes {
		names = append(names, string(change.name))
	}
	return nil, errSeveralAttributes(names)
}

// ModifyInstanceAttribute changes one attribute. Type, user data and a few others change while the instance is stopped.
func (s *Service) ModifyInstanceAttribute(ctx context.Context, in *ec2.ModifyInstanceAttributeInput) (*ec2.ModifyInstanceAttributeOutput, error) {
	changes, err := changesIn(in)
	if err != nil {
		return nil, err
	}
	return &ec2.ModifyInstanceAttributeOutput{}, s.update(ctx, func(t tx) error {
		i, err := instances.get(t, *in.InstanceId)
		if err != nil {
			return err
		}
		if i.State == stateTerminated || i.State == stateShuttingDown {
			return errIncorrectInstanceState(i)
		}
		for _, c := range changes {
			if err := s.changeAttribute(t, i, c, in.Groups); err != nil {
				return err
			}
		}
		return instances.put(t, i)
	})
}

// needStopped are the attributes of stopped instances alone.
var needStopped = []types.InstanceAttributeName{
	types.InstanceAttributeNameInstanceType, types.InstanceAttributeNameUserData, types.InstanceAttributeNameKernel, types.InstanceAttributeNameRamdisk,
	types.InstanceAttributeNameEbsOptimized, types.InstanceAttributeNameEnaSupport, types.InstanceAttributeNameSriovNetSupport,
}

func (s *Service) changeAttribute(t tx, i *instance, c attributeChange, groups []string) error {
	if slices.Contains(needStopped, c.name) && i.State != stateStopped {
		return errNotStopped(i)
	}
	yes := c.value == "true"
	switch c.name {
	case types.InstanceAttributeNameDisableApiStop:
		i.KeepFromStop = yes
	case types.InstanceAttributeNameDisableApiTermination:
		i.KeepFromEnd = yes
	case types.InstanceAttributeNameEbsOptimized:
		i.EBSOptimized = yes
	case types.InstanceAttributeNameEnaSupport, types.InstanceAttributeNameSriovNetSupport:
		if c.value == "false" {
			return errInvalidParameterCombination("Enhanced networking cannot be switched off.")
		}
	case types.InstanceAttributeNameSourceDestCheck:
		e := primary(t, i)
		if e == nil {
			return errIncorrectInstanceState(i)
		}
		e.SourceDestCheck = yes
		if err := interfaces.put(t, e); err != nil {
			return err
		}
		return wantNetwork(t, e.VPC)
	case types.InstanceAttributeNameGroupSet:
		e := primary(t, i)
		if e == nil {
			return errIncorrectInstanceState(i)
		}
		if err := checkGroups(t, e.VPC, groups); err != nil {
			return err
		}
		e.Groups = slices.Clone(groups)
		if err := interfaces.put(t, e); err != nil {
			return err
		}
		return wantNetwork(t, e.VPC)
	case types.InstanceAttributeNameInstanceInitiatedShutdownBehavior:
		behavior := types.ShutdownBehavior(c.value)
		if behavior != types.ShutdownBehaviorStop && behavior != types.ShutdownBehaviorTerminate {
			return errInvalidParameterValue("Value (%s) for parameter instanceInitiatedShutdownBehavior is invalid.", c.value)
		}
		i.Shutdown = behavior
	case types.InstanceAttributeNameInstanceType:
		return changeType(t, i, c.value)
	case types.InstanceAttributeNameUserData:
		if len(c.data) > maxUserData {
			return errInvalidParameterValue("User data is limited to %d bytes", maxUserData)
		}
		rows := userDatas.In(t, t.scope)
		if len(c.data) == 0 {
			return rows.Delete(i.ID)
		}
		return rows.Put(&userData{i.ID, c.data})
	case types.InstanceAttributeNameKernel, types.InstanceAttributeNameRamdisk:
		return errNotImplemented("A kernel or RAM disk of one's own")
	default:
		return errInvalidParameterValue("Value (%s) for parameter attribute is invalid. Unknown attribute.", c.name)
	}
	return nil
}

// changeType gives a stopped instance another type; its limits change when it starts.
func changeType(t tx, i *instance, name string) error {
	typ, ok := instanceTypes().findCached(name)
	if !ok {
		return errInvalidParameterValue("Invalid value '%s' for InstanceType.", name)
	}
	if !slices.Contains(typ.ProcessorInfo.SupportedArchitectures, types.ArchitectureType(i.Architecture)) {
		return errArchitecture(string(typ.ProcessorInfo.SupportedArchitectures[0]), i.Architecture)
	}
	if !instanceTypes().offeredIn(name, i.Zone) {
		return errTypeNotOffered(name, i.Zone)
	}
	wired, err := interfacesOf(t, i.ID)
	if err != nil {
		return err
	}
	if len(wired) > int(aws.ToInt32(typ.NetworkInfo.MaximumNetworkInterfaces)) {
		return errInterfacesOfInstance(len(wired), typ.InstanceType)
	}
	for _, e := range wired {
		if err := e.fits(typ); err != nil {
			return err
		}
	}
	have, err := settingsOf(t)
	if err != nil {
		return err
	}
	i.Type, i.CPUs, i.MemoryBytes, i.Clamped, i.Cores, i.Threads = typ.InstanceType, 0, 0, "", 0, 0
	// From one burstable type to another the choice of the credit option stays.
	if credit := have.creditOf(typ); credit == "" || i.Credit == "" {
		i.Credit = credit
	}
	return followMetadata(t, i)
}

// ResetInstanceAttribute sets back what an image or AWS decides.
func (s *Service) ResetInstanceAttribute(ctx context.Context, in *ec2.ResetInstanceAttributeInput) (*ec2.ResetInstanceAttributeOutput, error) {
	return &ec2.ResetInstanceAttributeOutput{}, s.update(ctx, func(t tx) error {
		i, err := instances.get(t, *in.InstanceId)
		if err != nil {
			return err
		}
		switch in.Attribute {
		case types.InstanceAttributeNameSourceDestCheck:
			return s.changeAttribute(t, i, attributeChange{name: in.Attribute, value: "true"}, nil)
		case types.InstanceAttributeNameKernel, types.InstanceAttributeNameRamdisk:
			if i.State != stateStopped {
				return errNotStopped(i)
			}
			return nil // there is none to go back from
		}
		return errInvalidParameterValue("Value (%s) for parameter attribute is invalid. The attribute cannot be reset.", in.Attribute)
	})
}

// mergeMetadata is what options leave of those that were.
// AWS: "Configure the instance metadata options".
func mergeMetadata(had metadataOptions, in *types.InstanceMetadataOptionsRequest) (metadataOptions, error) {
	if in == nil {
		return had, nil
	}
	set := func(field *string, value string) {
		if value != "" {
			*field = value
		}
	}
	set(&had.Tokens, string(in.HttpTokens))
	set(&had.Endpoint, string(in.HttpEndpoint))
	set(&had.Tags, string(in.InstanceMetadataTags))
	set(&had.IPv6, string(in.HttpProtocolIpv6))
	if in.HttpPutResponseHopLimit != nil {
		if had.HopLimit = *in.HttpPutResponseHopLimit; had.HopLimit < 1 || had.HopLimit > 64 {
			return had, errInvalidParameterValue("Value (%d) for parameter HttpPutResponseHopLimit is invalid. Valid values are from 1 to 64.", had.HopLimit)
		}
	}
	return had, nil
}

// over takes from the account's defaults what is left out.
func (m metadataOptions) over(account metadataOptions) metadataOptions {
	m.Tokens, m.Endpoint = cmp.Or(m.Tokens, account.Tokens), cmp.Or(m.Endpoint, account.Endpoint)
	m.Tags, m.HopLimit = cmp.Or(m.Tags, account.Tags), cmp.Or(m.HopLimit, account.HopLimit)
	return m
}

// orDefaults fills in what a launch leaves out: images that say so demand tokens.
// AWS: "Use IMDSv2": the order of precedence for instance metadata options.
func (m metadataOptions) orDefaults(im *image) metadataOptions {
	set := func(field *string, value string) {
		if *field == "" {
			*field = value
		}
	}
	modern := im.IMDSSupport == "v2.0"
	set(&m.Tokens, named(modern, "required", "optional")[0])
	set(&m.Endpoint, "enabled")
	set(&m.Tags, "disabled")
	set(&m.IPv6, "disabled")
	if m.HopLimit == 0 {
		m.HopLimit = 1
		if modern {
			m.HopLimit = 2
		}
	}
	return m
}

func (m metadataOptions) toAPI(state instanceState) *types.InstanceMetadataOptionsResponse {
	applied := types.InstanceMetadataOptionsStateApplied
	if state == statePending {
		applied = types.InstanceMetadataOptionsStatePending
	}
	return &types.InstanceMetadataOptionsResponse{
		State: applied, HttpTokens: types.HttpTokensState(m.Tokens), HttpPutResponseHopLimit: aws.Int32(m.HopLimit),
		HttpEndpoint: types.InstanceMetadataEndpointState(m.Endpoint), HttpProtocolIpv6: types.InstanceMetadataProtocolState(m.IPv6),
		InstanceMetadataTags: types.InstanceMetadataTagsState(m.Tags),
	}
}

// ModifyInstanceMetadataOptions changes who gets answers from the metadata service; at once.
func (s *Service) ModifyInstanceMetadataOptions(ctx context.Context, in *ec2.ModifyInstanceMetadataOptionsInput) (*ec2.ModifyInstanceMetadataOptionsOutput, error) {
	out := &ec2.ModifyInstanceMetadataOptionsOutput{InstanceId: in.InstanceId}
	return out, s.editInstance(ctx, *in.InstanceId, func(t tx, i *instance) (err error) {
		i.Metadata, err = mergeMetadata(i.Metadata, &types.InstanceMetadataOptionsRequest{
			HttpEndpoint: in.HttpEndpoint, HttpProtocolIpv6: in.HttpProtocolIpv6, HttpPutResponseHopLimit: in.HttpPutResponseHopLimit,
			HttpTokens: in.HttpTokens, InstanceMetadataTags: in.InstanceMetadataTags,
		})
		if err != nil {
			return err
		}
		have, err := settingsOf(t)
		if err != nil {
			return err
		}
		if in.HttpTokens != "" {
			if err := have.checkTokens(i.Metadata, "modify"); err != nil {
				return err
			}
		}
		out.InstanceMetadataOptions = i.Metadata.toAPI(i.State)
		return followMetadata(t, i)
	})
}

// editInstance changes an instance that did not end.
func (s *Service) editInstance(ctx context.Context, id string, change func(tx, *instance) error) error {
	return s.update(ctx, func(t tx) error {
		i, err := instances.get(t, id)
		if err != nil {
			return err
		}
		if i.State == stateTerminated || i.State == stateShuttingDown {
			return errIncorrectInstanceState(i)
		}
		if err := change(t, i); err != nil {
			return err
		}
		return instances.put(t, i)
	})
}

// ModifyInstanceMaintenanceOptions writes down whether the instance is to be recovered: here none needs to be.
func (s *Service) ModifyInstanceMaintenanceOptions(ctx context.Context, in *ec2.ModifyInstanceMaintenanceOptionsInput) (*ec2.ModifyInstanceMaintenanceOptionsOutput, error) {
	if in.RebootMigration != "" && in.RebootMigration != types.InstanceRebootMigrationStateDefault {
		return nil, errNotImplemented("RebootMigration of ModifyInstanceMaintenanceOptions")
	}
	out := &ec2.ModifyInstanceMaintenanceOptionsOutput{InstanceId: in.InstanceId}
	return out, s.editInstance(ctx, *in.InstanceId, func(_ tx, i *instance) error {
		if in.AutoRecovery != "" {
			i.NoAutoRecovery = in.AutoRecovery == types.InstanceAutoRecoveryStateDisabled
		}
		out.AutoRecovery = types.InstanceAutoRecoveryState(named(i.NoAutoRecovery, "disabled", "default")[0])
		return nil
	})
}

// MonitorInstances switches detailed monitoring on.
func (s *Service) MonitorInstances(ctx context.Context, in *ec2.MonitorInstancesInput) (*ec2.MonitorInstancesOutput, error) {
	list, err := s.monitor(ctx, in.InstanceIds, true)
	return &ec2.MonitorInstancesOutput{InstanceMonitorings: list}, err
}

// UnmonitorInstances switches it off.
func (s *Service) UnmonitorInstances(ctx context.Context, in *ec2.UnmonitorInstancesInput) (*ec2.UnmonitorInstancesOutput, error) {
	list, err := s.monitor(ctx, in.InstanceIds, false)
	return &ec2.UnmonitorInstancesOutput{InstanceMonitorings: list}, err
}

func (s *Service) monitor(ctx context.Context, ids []string, on bool) (list []types.InstanceMonitoring, err error) {
	err = s.update(ctx, func(t tx) error {
		list = nil
		found, err := namedInstances(t, ids)
		if err != nil {
			return err
		}
		for _, i := range found {
			i.Monitoring = on
			if err := instances.put(t, i); err != nil {
				return err
			}
			list = append(list, types.InstanceMonitoring{
				InstanceId: aws.String(i.ID), Monitoring: &types.Monitoring{State: types.MonitoringState(named(on, "enabled", "disabled")[0])},
			})
		}
		return nil
	})
	return list, err
}

// DescribeInstanceCreditSpecifications says of burstable instances whether they may go beyond their baseline.
func (s *Service) DescribeInstanceCreditSpecifications(ctx context.Context, in *ec2.DescribeInstanceCreditSpecificationsInput) (*ec2.DescribeInstanceCreditSpecificationsOutput, error) {
	match, err := filters[instance]{"instance-id": instanceFilters["instance-id"]}.compile(instanceBase, in.Filters)
	if err != nil {
		return nil, err
	}
	out := &ec2.DescribeInstanceCreditSpecificationsOutput{}
	return out, s.view(ctx, func(t tx) error {
		out.InstanceCreditSpecifications = []types.InstanceCreditSpecification{}
		list, _, err := s.selectInstances(t, query{ids: in.InstanceIds})
		if err != nil {
			return err
		}
		list = slices.DeleteFunc(slices.Clone(list), func(i *instance) bool {
			return i.Credit == "" || i.State == stateTerminated || len(in.InstanceIds) == 0 && i.Credit != "unlimited" || !match.matches(t, i)
		})
		q := query{ids: in.InstanceIds, idsName: "instanceIds", max: in.MaxResults, token: in.NextToken}
		page, next, err := cut(list, func(i *instance) string { return i.ID }, "credits", pageBounds{5, 1000}, q)
		for _, i := range page {
			out.InstanceCreditSpecifications = append(out.InstanceCreditSpecifications, types.InstanceCreditSpecification{InstanceId: aws.String(i.ID), CpuCredits: aws.String(i.Credit)})
		}
		out.NextToken = next
		return err
	})
}

// ModifyInstanceCreditSpecification changes it; what cannot be changed is said, one by one.
func (s *Service) ModifyInstanceCreditSpecification(ctx context.Context, in *ec2.ModifyInstanceCreditSpecificationInput) (*ec2.ModifyInstanceCreditSpecificationOutput, error) {
	var out *ec2.ModifyInstanceCreditSpecificationOutput
	err := s.update(ctx, func(t tx) error {
		out = &ec2.ModifyInstanceCreditSpecificationOutput{}
		for _, wanted := range in.InstanceCreditSpecifications {
			fail := func(code types.UnsuccessfulInstanceCreditSpecificationErrorCode, message string) {
				out.UnsuccessfulInstanceCreditSpecifications = append(out.UnsuccessfulInstanceCreditSpecifications, types.UnsuccessfulInstanceCreditSpecificationItem{
					InstanceId: wanted.InstanceId, Error: &types.UnsuccessfulInstanceCreditSpecificationItemError{Code: code, Message: aws.String(message)},
				})
			}
			id, credits := aws.ToString(wanted.InstanceId), aws.ToString(wanted.CpuCredits)
			if credits != "standard" && credits != "unlimited" {
				return errInvalidParameterValue("The value (%s) for parameter CpuCredits is invalid. Valid values are 'standard' and 'unlimited'.", credits)
			}
			i, err := instances.find(t, id)
			switch {
			case err != nil:
				return err
			case !instances.wellFormed(id):
				fail(types.UnsuccessfulInstanceCreditSpecificationErrorCodeInvalidInstanceId, "The instance ID '"+id+"' is malformed")
			case i == nil:
				fail(types.UnsuccessfulInstanceCreditSpecificationErrorCodeInstanceNotFound, "The instance ID '"+id+"' does not exist")
			case i.Credit == "":
				fail(types.UnsuccessfulInstanceCreditSpecificationErrorCodeInstanceCreditSpecificationNotSupported, "The instance type does not support credit specification.")
			case i.State != stateRunning && i.State != stateStopped:
				fail(types.UnsuccessfulInstanceCreditSpecificationErrorCodeIncorrectInstanceState, "The instance is not in a valid state.")
			default:
				i.Credit = credits
				if err := instances.put(t, i); err != nil {
					return err
				}
				out.SuccessfulInstanceCreditSpecifications = append(out.SuccessfulInstanceCreditSpecifications, types.SuccessfulInstanceCreditSpecificationItem{InstanceId: wanted.InstanceId})
			}
		}
		return nil
	})
	return out, err
}

// homeOf answers where an instance is, for those who know only its id.
func (s *Service) homeOf(ctx context.Context, id string) (*home, error) {
	var h *home
	err := s.config.DB.View(ctx, func(t store.Tx) (err error) {
		h, err = homes.In(t, store.Scope{}).Find(id)
		return err
	})
	return h, err
}
