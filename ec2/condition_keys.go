package ec2

import (
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"miniaws/awsapi"
	"miniaws/backend/store"
)

// conditions are the condition keys of one access. Records say all that they know; what AWS does not have for the action
// and the type of resource is left out.
//
// AWS: "Actions, resources, and condition keys for Amazon EC2" in the service authorization reference.
type conditions struct {
	scope  store.Scope
	action string // without "ec2:"
	typ    types.ResourceType
	keys   map[string][]string
}

// conditionsOf begins the conditions of an access to a resource of a type.
func conditionsOf(access *awsapi.Access, scope store.Scope, typ types.ResourceType) conditions {
	if access.Conditions == nil {
		access.Conditions = map[string][]string{}
	}
	access.Conditions["ec2:Region"] = []string{scope.Region}
	return conditions{scope, strings.TrimPrefix(access.Action, "ec2:"), typ, access.Conditions}
}

// withheld are the actions that do not have a key that others have for the same type of resource. DeleteTags has none.
var withheld = map[string][]string{
	"image ec2:ImageType":               {"CopyImage", "CreateImage", "RegisterImage"},
	"image ec2:Public":                  {"CopyImage", "CreateImage", "RegisterImage"},
	"image ec2:RootDeviceType":          {"CopyImage", "CreateImage", "RegisterImage"},
	"instance ec2:InstanceAutoRecovery": {"StartInstances"},
	"instance ec2:InstanceMetadataTags": {"StartInstances"},
	"instance ec2:PlacementGroup":       {"ResetInstanceAttribute"},
	"key-pair ec2:KeyPairName":          {"CreateKeyPair", "ImportKeyPair"},
	"key-pair ec2:KeyPairType":          {"ImportKeyPair"},
	"elastic-ip ec2:AllocationId":       {"AllocateAddress"},
	"network-acl ec2:Vpc":               {"CreateNetworkAcl"},
	"route-table ec2:Vpc":               {"CreateRouteTable", "CreateVpcEndpoint", "ModifyVpcEndpoint"},
	"security-group ec2:Vpc":            {"CreateSecurityGroup", "CreateVpcEndpoint"},
	"subnet ec2:AvailabilityZone":       {"CreateVpcEndpoint"},
	"subnet ec2:AvailabilityZoneId":     {"CreateVpcEndpoint", "CreateFlowLogs"},
	"subnet ec2:SubnetID":               {"ModifyNetworkInterfaceAttribute"},
	"subnet ec2:Vpc":                    {"CreateVpcEndpoint"},
	"vpc ec2:Tenancy":                   {"CreateVpc", "CreateVpcEndpoint"},
	"network-interface ec2:Vpc":         {"CreateNetworkInterface"},
	"network-interface ec2:Subnet":      {"CreateNetworkInterface"},
}

// given are the only actions that have a key, where most do not.
var given = map[string][]string{
	"natgateway ec2:Vpc":                 {"CreateFlowLogs"},
	"vpc-endpoint ec2:VpceServiceName":   {"CreateVpcEndpoint", "DeleteVpcEndpoints"},
	"vpc-endpoint ec2:VpceServiceOwner":  {"CreateVpcEndpoint"},
	"vpc-endpoint ec2:VpceServiceRegion": {"CreateVpcEndpoint", "DeleteVpcEndpoints", "ModifyVpcEndpoint"},
	"vpc-endpoint ec2:VpceMultiRegion":   {"CreateVpcEndpoint", "DeleteVpcEndpoints", "ModifyVpcEndpoint"},
}

// set gives a key its values, unless there are none, or AWS does not have it there.
func (c conditions) set(key string, values ...string) {
	if key == "" || len(values) == 0 || values[0] == "" || c.action == "DeleteTags" {
		return
	}
	place := string(c.typ) + " " + key
	if only, ok := given[place]; ok && !slices.Contains(only, c.action) || slices.Contains(withheld[place], c.action) {
		return
	}
	c.keys[key] = values
}

// setARN is set with the ARN of another resource of the same account and region.
func (c conditions) setARN(key string, typ types.ResourceType, id string) {
	if id != "" {
		c.set(key, arn(c.scope, typ, id))
	}
}

// idKeys are the condition keys with a resource's own id.
var idKeys = map[types.ResourceType]string{
	types.ResourceTypeVpc: "ec2:VpcID", types.ResourceTypeSubnet: "ec2:SubnetID", types.ResourceTypeSecurityGroup: "ec2:SecurityGroupID",
	types.ResourceTypeRouteTable: "ec2:RouteTableID", types.ResourceTypeInternetGateway: "ec2:InternetGatewayID", types.ResourceTypeNetworkAcl: "ec2:NetworkAclID",
	types.ResourceTypeNetworkInterface: "ec2:NetworkInterfaceID", types.ResourceTypeImage: "ec2:ImageID", types.ResourceTypeVolume: "ec2:VolumeID",
	types.ResourceTypeInstance: "ec2:InstanceID", types.ResourceTypeDhcpOptions: "ec2:DhcpOptionsID", types.ResourceTypeElasticIp: "ec2:AllocationId",
	types.ResourceTypeVpcPeeringConnection: "ec2:VpcPeeringConnectionID", types.ResourceTypeSnapshot: "ec2:SnapshotID",
	types.ResourceTypeTransitGateway: "ec2:transitGatewayId", types.ResourceTypeTransitGatewayAttachment: "ec2:transitGatewayAttachmentId",
	types.ResourceTypeTransitGatewayRouteTable: "ec2:transitGatewayRouteTableId",
}

// conditioned is a record that policies can know more of than its id.
type conditioned interface{ conditions(t tx, c conditions) }

// ofResource sets what EC2 knows of an existing resource.
func (c conditions) ofResource(t tx, k taggable, id string) error {
	c.set(idKeys[k.resourceType()], id)
	rec, err := k.record(t, id)
	if k == taggable(images) {
		im, findErr := findImage(t, id)
		if err = findErr; im != nil {
			rec = im
		}
	}
	if known, ok := rec.(conditioned); ok && err == nil {
		known.conditions(t, c)
	}
	return err
}

// ofNew sets what policies can know of a resource that is not there yet: its id is "*".
// AWS: "Identity-based policies for Amazon EC2", "ec2:ResourceID condition keys".
func (c conditions) ofNew(t tx, in any) {
	c.set(idKeys[c.typ], "*")
	switch in := in.(type) {
	case *ec2.CreateImageInput, *ec2.CopyImageInput, *ec2.RegisterImageInput:
		if c.typ == types.ResourceTypeImage {
			c.set("ec2:Owner", c.scope.Account)
		}
	case *ec2.AllocateHostsInput:
		c.set("ec2:AutoPlacement", string(in.AutoPlacement))
		c.set("ec2:AvailabilityZone", aws.ToString(in.AvailabilityZone))
		c.set("ec2:HostRecovery", string(in.HostRecovery))
		c.set("ec2:InstanceType", aws.ToString(in.InstanceType))
		if in.Quantity != nil {
			c.set("ec2:Quantity", number(*in.Quantity)...)
		}
	case *ec2.CreateCapacityReservationInput:
		c.set("ec2:AvailabilityZone", aws.ToString(in.AvailabilityZone))
		c.set("ec2:AvailabilityZoneId", aws.ToString(in.AvailabilityZoneId))
		c.set("ec2:EndDateType", string(in.EndDateType))
		c.set("ec2:InstanceMatchCriteria", string(in.InstanceMatchCriteria))
		c.set("ec2:InstancePlatform", string(in.InstancePlatform))
		c.set("ec2:InstanceType", aws.ToString(in.InstanceType))
		c.set("ec2:PlacementGroup", aws.ToString(in.PlacementGroupArn))
		c.set("ec2:Tenancy", string(in.Tenancy))
		c.set("ec2:EbsOptimized", yesNo(aws.ToBool(in.EbsOptimized))...)
		c.set("ec2:EphemeralStorage", yesNo(aws.ToBool(in.EphemeralStorage))...)
		if in.InstanceCount != nil {
			c.set("ec2:InstanceCount", number(*in.InstanceCount)...)
		}
		if in.EndDate != nil {
			c.set("ec2:EndDate", filterTime(*in.EndDate))
		}
	case *ec2.AcceptAddressTransferInput:
		(&elasticIP{Public: aws.ToString(in.Address)}).conditions(t, c)
	case *ec2.CreateVpcEndpointInput:
		(&endpoint{Service: aws.ToString(in.ServiceName)}).conditions(t, c)
	case *ec2.CreateVpcPeeringConnectionInput:
		accepter := peeringSide{Account: aws.ToString(in.PeerOwnerId), Region: aws.ToString(in.PeerRegion), VPC: aws.ToString(in.PeerVpcId)}
		if accepter.Account == "" {
			accepter.Account = c.scope.Account
		}
		if accepter.Region == "" {
			accepter.Region = c.scope.Region
		}
		(&peering{Requester: peeringSide{Account: c.scope.Account, Region: c.scope.Region, VPC: aws.ToString(in.VpcId)}, Accepter: accepter}).conditions(t, c)
	}
}

func (v *vpc) conditions(_ tx, c conditions) { c.set("ec2:Tenancy", string(v.Tenancy)) }

func (n *subnet) conditions(_ tx, c conditions) {
	c.setARN("ec2:Vpc", types.ResourceTypeVpc, n.VPC)
	c.set("ec2:AvailabilityZone", n.Zone)
	c.set("ec2:AvailabilityZoneId", n.ZoneID)
}

func (r *routeTable) conditions(_ tx, c conditions) {
	c.setARN("ec2:Vpc", types.ResourceTypeVpc, r.VPC)
}
func (g *securityGroup) conditions(_ tx, c conditions) {
	c.setARN("ec2:Vpc", types.ResourceTypeVpc, g.VPC)
}
func (a *networkACL) conditions(_ tx, c conditions) {
	c.setARN("ec2:Vpc", types.ResourceTypeVpc, a.VPC)
}
func (g *natGateway) conditions(_ tx, c conditions) {
	c.setARN("ec2:Vpc", types.ResourceTypeVpc, g.VPC)
}

func (e *networkInterface) conditions(_ tx, c conditions) {
	c.setARN("ec2:Vpc", types.ResourceTypeVpc, e.VPC)
	c.setARN("ec2:Subnet", types.ResourceTypeSubnet, e.Subnet)
	c.set("ec2:AvailabilityZone", e.Zone)
}

func (a *elasticIP) conditions(_ tx, c conditions) {
	c.set("ec2:Domain", "vpc")
	c.set("ec2:PublicIpAddress", a.Public)
}

func (p *peering) conditions(_ tx, c conditions) {
	for key, side := range map[string]peeringSide{"ec2:RequesterVpc": p.Requester, "ec2:AccepterVpc": p.Accepter} {
		if side.VPC != "" {
			c.set(key, arn(side.scope(), types.ResourceTypeVpc, side.VPC))
		}
	}
}

// All services with endpoints are AWS's own, of the same region.
func (e *endpoint) conditions(_ tx, c conditions) {
	c.set("ec2:VpceServiceName", e.Service)
	c.set("ec2:VpceServiceOwner", "amazon")
	c.set("ec2:VpceServiceRegion", c.scope.Region)
	c.set("ec2:VpceMultiRegion", "false")
}

func (im *image) conditions(_ tx, c conditions) {
	owner := im.OwnerID
	if im.OwnerAlias != "" {
		owner = im.OwnerAlias
	}
	c.set("ec2:Owner", owner)
	c.set("ec2:Public", yesNo(im.Public)...)
	c.set("ec2:ImageType", "machine")
	c.set("ec2:RootDeviceType", "ebs")
}

func (k *keyPair) conditions(_ tx, c conditions) {
	c.set("ec2:KeyPairName", k.Name)
	c.set("ec2:KeyPairType", string(k.Type))
}

func (g *placementGroup) conditions(_ tx, c conditions) {
	c.set("ec2:PlacementGroupName", g.Name)
	c.set("ec2:PlacementGroupStrategy", string(g.Strategy))
}

func (v *volume) conditions(_ tx, c conditions) {
	c.set("ec2:AvailabilityZone", v.Zone)
	c.set("ec2:AvailabilityZoneId", v.ZoneID)
	ofVolume(c, v.GiB, v.Type, v.IOPS, v.Throughput)
}

func ofVolume(c conditions, gib int32, typ types.VolumeType, iops, throughput int32) {
	c.set("ec2:Encrypted", "false")
	c.set("ec2:VolumeSize", number(gib)...)
	c.set("ec2:VolumeType", string(typ))
	if iops, throughput := performance(typ, gib, iops, throughput); iops > 0 {
		c.set("ec2:VolumeIops", number(iops)...)
		if throughput > 0 {
			c.set("ec2:VolumeThroughput", number(throughput)...)
		}
	}
}

func (i *instance) conditions(t tx, c conditions) {
	c.set("ec2:InstanceType", string(i.Type))
	c.set("ec2:AvailabilityZone", i.Zone)
	c.set("ec2:AvailabilityZoneId", i.ZoneID)
	c.set("ec2:RootDeviceType", "ebs")
	c.set("ec2:Tenancy", i.Tenancy)
	c.set("ec2:EbsOptimized", yesNo(i.EBSOptimized)...)
	c.set("ec2:InstanceMarketType", named(i.Lifecycle == "spot", "spot", "on-demand")...)
	c.set("ec2:InstanceAutoRecovery", named(i.NoAutoRecovery, "disabled", "default")...)
	i.Metadata.conditions(c)
	if i.Profile != nil {
		c.set("ec2:InstanceProfile", i.Profile.ARN)
	}
	if group, err := placementGroups.find(t, i.PlacementGroup); err == nil && group != nil {
		c.setARN("ec2:PlacementGroup", types.ResourceTypePlacementGroup, group.Name)
	}
}

// conditions are the context keys of metadata options, as far as they are set.
func (m metadataOptions) conditions(c conditions) {
	c.set("ec2:MetadataHttpTokens", m.Tokens)
	c.set("ec2:MetadataHttpEndpoint", m.Endpoint)
	c.set("ec2:InstanceMetadataTags", m.Tags)
	if m.HopLimit != 0 {
		c.set("ec2:MetadataHttpPutResponseHopLimit", number(m.HopLimit)...)
	}
}

// attributed are the actions that have ec2:Attribute and ec2:Attribute/NAME, and the type of resource that has them.
var attributed = map[string]types.ResourceType{
	"ModifyImageAttribute": types.ResourceTypeImage, "ResetImageAttribute": types.ResourceTypeImage,
	"ModifyInstanceAttribute": types.ResourceTypeInstance, "ModifyInstanceCreditSpecification": types.ResourceTypeInstance,
	"ModifyInstanceMaintenanceOptions": types.ResourceTypeInstance, "ModifyInstanceMetadataOptions": types.ResourceTypeInstance,
	"ModifyInstanceEventStartTime": types.ResourceTypeInstance, "ModifyLaunchTemplate": types.ResourceTypeLaunchTemplate,
	"ModifyNetworkInterfaceAttribute": types.ResourceTypeNetworkInterface, "ModifyManagedPrefixList": types.ResourceTypePrefixList,
	"ModifyHosts": types.ResourceTypeDedicatedHost, "ModifySubnetAttribute": types.ResourceTypeSubnet, "ModifyVpcAttribute": types.ResourceTypeVpc, "ModifyVpcTenancy": types.ResourceTypeVpc,
	"ModifyVpcEndpoint": types.ResourceTypeVpcEndpoint, "ModifyVpcPeeringConnectionOptions": types.ResourceTypeVpcPeeringConnection,
	"ModifyTransitGateway": types.ResourceTypeTransitGateway, "ModifyInstancePlacement": types.ResourceTypeInstance, "ModifyInstanceCpuOptions": types.ResourceTypeInstance, "ModifyFleet": types.ResourceTypeFleet, "ModifySpotFleetRequest": types.ResourceTypeSpotFleetRequest, "ModifyCapacityReservation": types.ResourceTypeCapacityReservation, "ModifyInstanceEventWindow": types.ResourceTypeInstanceEventWindow,
	"ModifyPrivateDnsNameOptions": types.ResourceTypeInstance,
	"ModifyAddressAttribute":      types.ResourceTypeElasticIp, "ResetAddressAttribute": types.ResourceTypeElasticIp,
	"ModifyVpcBlockPublicAccessExclusion": types.ResourceTypeVpcBlockPublicAccessExclusion, "ModifyTransitGatewayPrefixListReference": types.ResourceTypePrefixList,
}

// unnamedAttributes has ec2:Attribute/NAME alone.
const unnamedAttributes = "ModifyInstanceEventStartTime"

// withAttributes adds what the input sets on the resource. Only what is a single value has a key.
// AWS: "Identity-based policies for Amazon EC2", "ec2:Attribute condition key".
func withAttributes(action string, in any, all []awsapi.Access) {
	typ, ok := attributed[action]
	if !ok {
		return
	}
	values := attributesOf(in)
	if reset, ok := in.(*ec2.ResetAddressAttributeInput); ok {
		values = map[string]string{"DomainName": string(reset.Attribute)} // the only one
	}
	for _, access := range all {
		// A reference to a prefix list is the list's and the table's.
		if len(access.Resources) == 0 || !strings.Contains(access.Resources[0], ":"+string(typ)+"/") &&
			(typ != types.ResourceTypePrefixList || !strings.Contains(access.Resources[0], ":"+string(types.ResourceTypeTransitGatewayRouteTable)+"/")) {
			continue
		}
		for name, value := range values {
			if action != unnamedAttributes {
				access.Conditions["ec2:Attribute"] = append(access.Conditions["ec2:Attribute"], name)
			}
			if value != "" {
				access.Conditions["ec2:Attribute/"+name] = []string{value}
			}
		}
		slices.Sort(access.Conditions["ec2:Attribute"])
	}
}

// notAttributes are members of inputs that say which resource is meant, or how the call is made.
var notAttributes = []string{
	"DryRun", "ClientToken", "Attribute", "Value", "InstanceId", "ImageId", "VpcId", "SubnetId", "NetworkInterfaceId", "LaunchTemplateId", "LaunchTemplateName",
	"PrefixListId", "VpcEndpointId", "VpcPeeringConnectionId", "InstanceEventId", "InstanceEventWindowId", "FleetId", "SpotFleetRequestId", "CapacityReservationId", "TransitGatewayId", "AllocationId", "ExclusionId", "TransitGatewayRouteTableId",
}

// attributesOf answers the attributes that an input sets, by name, with their values. The older way to name one, by the
// members Attribute and Value, has lower case names: the attribute then has both forms, as policies do.
func attributesOf(in any) map[string]string {
	found := map[string]string{}
	input := reflect.ValueOf(in).Elem()
	for i := range input.NumField() {
		name := input.Type().Field(i).Name
		if !input.Type().Field(i).IsExported() || slices.Contains(notAttributes, name) {
			continue
		}
		if value, ok := singleValue(input.Field(i)); ok {
			found[name] = value
		}
	}
	member := func(name string) string {
		field := input.FieldByName(name)
		if !field.IsValid() {
			return ""
		}
		value, _ := singleValue(field)
		return value
	}
	if name := member("Attribute"); name != "" {
		found[name] = member("Value")
		found[strings.ToUpper(name[:1])+name[1:]] = member("Value")
	}
	return found
}

// singleValue is the text of a member that is set: a primitive, an enumeration, or a structure with nothing but a Value.
// Bytes are set, and have no text.
func singleValue(field reflect.Value) (string, bool) {
	if field.Kind() == reflect.Pointer {
		if field.IsNil() {
			return "", false
		}
		field = field.Elem()
	}
	switch field.Kind() {
	case reflect.String:
		return field.String(), field.Len() > 0
	case reflect.Bool:
		return strconv.FormatBool(field.Bool()), true
	case reflect.Int32, reflect.Int64:
		return strconv.FormatInt(field.Int(), 10), true
	case reflect.Struct:
		switch at := field.Interface().(type) {
		case types.AttributeValue:
			return aws.ToString(at.Value), at.Value != nil
		case types.AttributeBooleanValue:
			return strconv.FormatBool(aws.ToBool(at.Value)), at.Value != nil
		case types.SecureBlobAttributeValue:
			return "", at.Value != nil
		case time.Time:
			return at.UTC().Format(time.RFC3339), true
		}
	}
	return "", false
}
