package ec2

import (
	"errors"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"miniaws/awsapi"
)

// The errors of the virtual private cloud, in the order of the codes.
// AWS: "Error codes for the Amazon EC2 API". Where that page has no words they are those that AWS answers with.

func errAuthFailure(message string) error { return awsapi.Errorf("AuthFailure", "%s", message) }

func errCannotDeleteGroup(id, name string) error {
	return awsapi.Errorf("CannotDelete", "the specified group: %q name: %q cannot be deleted by a user", id, name)
}

func errDefaultSubnetExists(zone, id string) error {
	return awsapi.Errorf("DefaultSubnetAlreadyExistsInAvailabilityZone", "A default subnet '%s' already exists in the availability zone '%s'", id, zone)
}

func errDefaultVPCExists(id string) error {
	return awsapi.Errorf("DefaultVpcAlreadyExists", "A Default VPC already exists for this account in this region: %s.", id)
}

func errDefaultVPCDoesNotExist() error {
	return awsapi.Errorf("DefaultVpcDoesNotExist", "There is no default VPC for this account in this region.")
}

func errDuplicateSubnetsInSameZone() error {
	return awsapi.Errorf("DuplicateSubnetsInSameZone", "Found another VPC endpoint subnet in the availability zone.")
}

func errGatewayNotAttached(gateway, vpc string) error {
	return awsapi.Errorf("Gateway.NotAttached", "resource %s is not attached to network %s", gateway, vpc)
}

func errGatewayNotAttachedToNetwork(vpc string) error {
	return awsapi.Errorf("Gateway.NotAttached", "Network %s is not attached to any internet gateway", vpc)
}

func errIncorrectState(format string, args ...any) error {
	return awsapi.Errorf("IncorrectState", format, args...)
}

func errInsufficientAddressCapacity() error {
	return awsapi.Errorf("InsufficientAddressCapacity", "There are not enough available addresses to satisfy the request.")
}

func errNoFreeAddresses(subnet string) error {
	return awsapi.Errorf("InsufficientFreeAddressesInSubnet", "The specified subnet does not have enough free addresses to satisfy the request. Subnet: %s", subnet)
}

func errAddressInUseByResource(address string) error {
	return awsapi.Errorf("InvalidIPAddress.InUse", "Address %s is in use.", address)
}

func errAddressInUse(address string) error {
	return awsapi.Errorf("InvalidIPAddress.InUse", "Address %s is in use.", address)
}

func errAddressNotFound(address string) error {
	return awsapi.Errorf("InvalidAddress.NotFound", "Address '%s' not found.", address)
}

func errAllocationNotFound(id string) error {
	return awsapi.Errorf("InvalidAllocationID.NotFound", "The allocation ID '%s' does not exist", id)
}

func errAssociationNotFound(id string) error {
	return awsapi.Errorf("InvalidAssociationID.NotFound", "The association ID '%s' does not exist", id)
}

func errAttachmentNotFound(id string) error {
	return awsapi.Errorf("InvalidAttachmentID.NotFound", "The network interface attachment '%s' does not exist", id)
}

// AWS: the provider's TestAccVPCDHCPOptionsDataSource_basic asks for "does-not-exist", which is not found; only what begins like
// an id is malformed.
func errDHCPOptionsMalformed(id string) error {
	if !strings.HasPrefix(id, "dopt-") {
		return errDHCPOptionsNotFound(id)
	}
	return awsapi.Errorf("InvalidDhcpOptionsId.Malformed", "Invalid id: %q (expecting \"dopt-...\")", id)
}

func errDHCPOptionsNotFound(id string) error {
	return awsapi.Errorf("InvalidDhcpOptionID.NotFound", "The dhcpOption ID '%s' does not exist", id)
}

func errEgressOnlyGatewayMalformed(id string) error {
	return awsapi.Errorf("InvalidEgressOnlyInternetGatewayId.Malformed", "Invalid id: %q (expecting \"eigw-...\")", id)
}

func errEgressOnlyGatewayNotFound(id string) error {
	return awsapi.Errorf("InvalidEgressOnlyInternetGatewayId.NotFound", "The egress only internet gateway ID '%s' does not exist", id)
}

func errFlowLogNotFound(id string) error {
	return awsapi.Errorf("InvalidFlowLogId.NotFound", "The flow log ID '%s' does not exist", id)
}

// AWS: DescribeFlowLogs and DeleteFlowLogs word it differently.
func errFlowLogsNotFound(ids []string) error {
	return awsapi.Errorf("InvalidFlowLogId.NotFound", "These flow log ids in the input list are not found: [TotalCount: %d] %s", len(ids), strings.Join(ids, " "))
}

func errFlowLogAlreadyExists() error {
	return awsapi.Errorf("FlowLogAlreadyExists", "Error. There is an existing Flow Log with the same configuration and log destination.")
}

func errGatewayNotFound(id string) error {
	return awsapi.Errorf("InvalidGatewayID.NotFound", "The gateway ID '%s' does not exist", id)
}

func errGroupDuplicate(name, vpc string) error {
	return awsapi.Errorf("InvalidGroup.Duplicate", "The security group '%s' already exists for VPC '%s'", name, vpc)
}

func errGroupNotFound(id string) error {
	return awsapi.Errorf("InvalidGroup.NotFound", "The security group '%s' does not exist", id)
}

// AWS: not on the page of error codes; the words that EC2 answers with where a group is of another VPC.
func errGroupOfOtherNetwork() error {
	return awsapi.Errorf("InvalidGroup.NotFound", "You have specified two resources that belong to different networks.")
}

// AWS: RunInstances words it so, where the launch names its subnet.
func errGroupNotOfSubnet(group, subnet string) error {
	return awsapi.Errorf("InvalidParameter", "Security group %s and subnet %s belong to different networks.", group, subnet)
}

func errGroupNotFoundInVPC(name, vpc string) error {
	return awsapi.Errorf("InvalidGroup.NotFound", "The security group '%s' does not exist in VPC '%s'", name, vpc)
}

func errGroupMalformed(id string) error {
	return awsapi.Errorf("InvalidGroupId.Malformed", "Invalid id: %q (expecting \"sg-...\")", id)
}

func errInvalidInstanceID(format string, args ...any) error {
	return awsapi.Errorf("InvalidInstanceID", format, args...)
}

func errInstanceNotFound(id string) error {
	return awsapi.Errorf("InvalidInstanceID.NotFound", "The instance ID '%s' does not exist", id)
}

func errInstanceNotLinkable(id string) error {
	return awsapi.Errorf("InvalidInstanceID.NotLinkable", "The instance '%s' is not an EC2-Classic instance and cannot be linked to a VPC.", id)
}

func errInternetGatewayMalformed(id string) error {
	return awsapi.Errorf("InvalidInternetGatewayId.Malformed", "Invalid id: %q (expecting \"igw-...\")", id)
}

func errInternetGatewayNotFound(id string) error {
	return awsapi.Errorf("InvalidInternetGatewayID.NotFound", "The internetGateway ID '%s' does not exist", id)
}

func errNetworkACLNotFound(id string) error {
	return awsapi.Errorf("InvalidNetworkAclID.NotFound", "The networkAcl ID '%s' does not exist", id)
}

func errNetworkACLEntryNotFound(egress bool, number int32, id string) error {
	return awsapi.Errorf("InvalidNetworkAclEntry.NotFound", "The %s entry with rule number %d does not exist in the network acl %s", direction(egress), number, id)
}

func direction(egress bool) string {
	if egress {
		return "egress"
	}
	return "ingress"
}

func errInterfaceInUse(id string) error {
	return awsapi.Errorf("InvalidNetworkInterface.InUse", "Interface: [%s] in use.", id)
}

func errInterfaceMalformed(id string) error {
	return awsapi.Errorf("InvalidNetworkInterfaceId.Malformed", "Invalid id: %q (expecting \"eni-...\")", id)
}

func errInterfaceNotFound(id string) error {
	return awsapi.Errorf("InvalidNetworkInterfaceID.NotFound", "The networkInterface ID '%s' does not exist", id)
}

func errAddressNotInSubnet(address string) error {
	return errInvalidParameterValue("Address %s does not fall within the subnet's address range", address)
}

// AWS: "Subnet CIDR blocks" in the VPC user guide has the five; the words are those that EC2 answers with.
func errAddressReserved(address string) error {
	return errInvalidParameterValue("Address %s is in subnet's reserved address range", address)
}

func errMissingRange() error {
	return awsapi.Errorf("MissingParameter", "Either 'cidrBlock' or 'ipv4IpamPoolId' should be provided.")
}

func errMissingAddress() error {
	return awsapi.Errorf("MissingParameter", "Either public IP or allocation id must be specified")
}

func errMissingAddressTarget() error {
	return awsapi.Errorf("MissingParameter", "Either instance ID or network interface id must be specified")
}

func errNoAttribute() error { return errInvalidParameterCombination("No attributes specified.") }

func errSeveralAttributes(names []string) error {
	return errInvalidParameterCombination("Fields for multiple attribute types specified: %s", strings.Join(names, ", "))
}

func errInterfacesOfInstance(count int, typ types.InstanceType) error {
	return awsapi.Errorf("AttachmentLimitExceeded", "Interface count %d exceeds the limit for %s", count, typ)
}

func errInvalidCIDR(text, parameter string) error {
	return errInvalidParameterValue("Value (%s) for parameter %s is invalid. This is not a valid CIDR block.", text, parameter)
}

func errPermissionDuplicate(rule string) error {
	return awsapi.Errorf("InvalidPermission.Duplicate", "the specified rule \"%s\" already exists", rule)
}

func errPermissionNotFound() error {
	return awsapi.Errorf("InvalidPermission.NotFound", "The specified rule does not exist in this security group.")
}

func errInvalidPolicyDocument(why string) error {
	return awsapi.Errorf("InvalidPolicyDocument", "%s", why)
}

func errPrefixListMalformed(id string) error {
	return awsapi.Errorf("InvalidPrefixListId.Malformed", "Invalid id: %q (expecting \"pl-...\")", id)
}

func errPrefixListNotFound(id string) error {
	return awsapi.Errorf("InvalidPrefixListID.NotFound", "The prefix list ID '%s' does not exist", id)
}

// AWS: terraform-provider-aws issue 29204 shows the answer to an entry that is there already.
func errPrefixListEntryExists(cidr, description string) error {
	return awsapi.Errorf("InvalidPrefixListModification", "An entry with the CIDR (%s) and description (%s) already exists.", cidr, description)
}

// AWS: terraform-provider-aws, vpc_managed_prefix_list_entry.go, knows the code and the words' end.
func errNoPrefixListEntry(cidr string) error {
	return awsapi.Errorf("InvalidPrefixListModification", "An entry with the CIDR (%s) does not exist.", cidr)
}

func errPrefixListVersionNotFound(version int64) error {
	return awsapi.Errorf("InvalidPrefixListVersion.NotFound", "The prefix list version '%d' does not exist", version)
}

func errInvalidRouteNotFound(format string, args ...any) error {
	return awsapi.Errorf("InvalidRoute.NotFound", format, args...)
}

// AWS: the provider's TestAccVPCDefaultRouteTable_basic asks for a VPC's id, which is not found; only what begins like an id is
// malformed.
func errRouteTableMalformed(id string) error {
	if !strings.HasPrefix(id, "rtb-") {
		return errRouteTableNotFound(id)
	}
	return awsapi.Errorf("InvalidRouteTableId.Malformed", "Invalid id: %q (expecting \"rtb-...\")", id)
}

func errRouteTableNotFound(id string) error {
	return awsapi.Errorf("InvalidRouteTableID.NotFound", "The routeTable ID '%s' does not exist", id)
}

func errSecurityGroupRuleMalformed(id string) error {
	return awsapi.Errorf("InvalidSecurityGroupRuleId.Malformed", "Invalid id: %q (expecting \"sgr-...\")", id)
}

func errSecurityGroupRuleNotFound(id string) error {
	return awsapi.Errorf("InvalidSecurityGroupRuleId.NotFound", "The security group rule ID '%s' does not exist", id)
}

func errInvalidServiceName(name string) error {
	return awsapi.Errorf("InvalidServiceName", "The Vpc Endpoint Service '%s' does not exist", name)
}

func errInvalidState(format string, args ...any) error {
	return awsapi.Errorf("InvalidStateTransition", format, args...)
}

func errSubnetConflict(cidr string) error {
	return awsapi.Errorf("InvalidSubnet.Conflict", "The CIDR '%s' conflicts with another subnet", cidr)
}

func errSubnetReservationNotFound(id string) error {
	return awsapi.Errorf("InvalidSubnetCidrReservationID.NotFound", "The subnet CIDR reservation ID '%s' does not exist", id)
}

func errInvalidSubnetRange(cidr string) error {
	return awsapi.Errorf("InvalidSubnet.Range", "The CIDR '%s' is invalid.", cidr)
}

func errSubnetNotFound(id string) error {
	return awsapi.Errorf("InvalidSubnetID.NotFound", "The subnet ID '%s' does not exist", id)
}

func errSubnetRangeAssociationNotFound(id string) error {
	return awsapi.Errorf("InvalidSubnetCidrBlockAssociationID.NotFound", "The subnet CIDR block with association ID %s does not exist", id)
}

func errSubnetRangeLimitExceeded(id string) error {
	return awsapi.Errorf("SubnetCidrBlockLimitExceeded", "The subnet '%s' has the maximum number of IPv6 CIDR blocks.", id)
}

// AWS: "Transfer Elastic IP addresses" in the VPC user guide has both.
func errTransferAddressAssociated(public string) error {
	return awsapi.Errorf("InvalidTransfer.AddressAssociated", "The address %s is associated with a resource. Disassociate it before the transfer is accepted.", public)
}

func errTransferCustomPTR(public string) error {
	return awsapi.Errorf("InvalidTransfer.AddressCustomPtrSet", "The address %s has a reverse DNS record. Remove it before the transfer is accepted.", public)
}

func errInvalidVPCRange(cidr string) error {
	return awsapi.Errorf("InvalidVpc.Range", "The CIDR '%s' is invalid.", cidr)
}

func errVPCRangeConflict(cidr string) error {
	return awsapi.Errorf("InvalidVpc.Range", "The CIDR '%s' overlaps with another CIDR block of the VPC.", cidr)
}

func errVPCRangeRestricted(cidr string) error {
	return awsapi.Errorf("InvalidVpc.Range", "The CIDR '%s' is restricted. Use a CIDR from the same private address range as the current VPC CIDR, or use a publicly-routable CIDR. For additional restrictions, see https://docs.aws.amazon.com/vpc/latest/userguide/VPC_Subnets.html", cidr)
}

func errVPCRangeAssociationNotFound(id string) error {
	return awsapi.Errorf("InvalidVpcCidrBlockAssociationID.NotFound", "The vpc CIDR block with association ID %s does not exist", id)
}

func errVPCRangeLimitExceeded(id string) error {
	return awsapi.Errorf("VpcCidrBlockLimitExceeded", "The VPC '%s' has the maximum number of CIDR blocks.", id)
}

func errEndpointMalformed(id string) error {
	return awsapi.Errorf("InvalidVpcEndpointId.Malformed", "Invalid Id: '%s' (expecting 'vpce-...')", id)
}

func errEndpointNotFound(id string) error {
	return awsapi.Errorf("InvalidVpcEndpointId.NotFound", "The Vpc Endpoint Id '%s' does not exist", id)
}

// AWS: not among "Error codes for the Amazon EC2 API"; the code is the one that Terraform's provider for AWS waits for.
func errAccessExclusionNotFound(id string) error {
	return awsapi.Errorf("InvalidVpcBlockPublicAccessExclusionId.NotFound", "The VPC Block Public Access exclusion ID '%s' does not exist.", id)
}

func errVPCNotFound(id string) error {
	return awsapi.Errorf("InvalidVpcID.NotFound", "The vpc ID '%s' does not exist", id)
}

func errPeeringMalformed(id string) error {
	return awsapi.Errorf("InvalidVpcPeeringConnectionId.Malformed", "Invalid id: %q (expecting \"pcx-...\")", id)
}

func errPeeringNotFound(id string) error {
	return awsapi.Errorf("InvalidVpcPeeringConnectionID.NotFound", "The vpcPeeringConnection ID '%s' does not exist", id)
}

// errGroupNotNamed is for calls that name a group neither by id nor by name.
func errGroupNotNamed() error {
	return awsapi.Errorf("MissingParameter", "The request must contain the parameter GroupName or GroupId")
}

func errNoDefaultSubnet(zone string) error {
	if zone == "" {
		return awsapi.Errorf("MissingInput", "No subnets found for the default VPC. Please specify a subnet.")
	}
	return awsapi.Errorf("MissingInput", "No default subnet for availability zone: '%s'.", zone)
}

func errNATGatewayMalformed(id string) error {
	return awsapi.Errorf("NatGatewayMalformed", "The ID '%s' is malformed", id)
}

func errNATGatewayNotFound(id string) error {
	return awsapi.Errorf("NatGatewayNotFound", "NAT gateway %s was not found", id)
}

func errNetworkACLEntryExists(number int32) error {
	return awsapi.Errorf("NetworkAclEntryAlreadyExists", "The network acl entry identified by %d already exists.", number)
}

func errNetworkACLEntryLimitExceeded() error {
	return awsapi.Errorf("NetworkAclEntryLimitExceeded", "The maximum number of network acl entries has been reached.")
}

func errOperationNotPermitted(format string, args ...any) error {
	return awsapi.Errorf("OperationNotPermitted", format, args...)
}

// errGroupAssociationNotFound is for a group that is not associated with the VPC.
func errGroupAssociationNotFound(group, vpc string) error {
	return errInvalidParameterValue("The security group %s is not associated with the VPC %s.", group, vpc)
}

// errAddressesPerNATGateway is for more addresses than a NAT gateway may have.
func errAddressesPerNATGateway(id string) error {
	return awsapi.Errorf("PrivateIpAddressLimitExceeded", "Number of private addresses will exceed limit of %d for NAT gateway %s.", maxNATAddresses, id)
}

func errPrefixListMaxEntriesExceeded(most int32) error {
	return awsapi.Errorf("PrefixListMaxEntriesExceeded", "You've reached the maximum number of entries for the prefix list: %d.", most)
}

func errPrefixListVersionMismatch(current int64) error {
	return awsapi.Errorf("PrefixListVersionMismatch", "The prefix list has the incorrect version number. Current version: %d.", current)
}

// AWS: "Error codes for the Amazon EC2 API"; the words as users of amazon-vpc-cni-k8s (issue 989) and cilium (36428) saw them.
func errAddressesPerInterfaceLimitExceeded() error {
	return awsapi.Errorf("PrivateIpAddressLimitExceeded", "Number of private addresses will exceed limit.")
}

func errResourceAlreadyAssociated(format string, args ...any) error {
	return awsapi.Errorf("Resource.AlreadyAssociated", format, args...)
}

func errRouteAlreadyExists(destination string) error {
	return awsapi.Errorf("RouteAlreadyExists", "The route identified by %s already exists.", destination)
}

func errRouteAlreadyExistsPrefixList(table, list string) error {
	return awsapi.Errorf("RouteAlreadyExists", "route table %s already has a route with destination-prefix-list-id %s", table, list)
}

func errRulesPerGroupLimitExceeded() error {
	return awsapi.Errorf("RulesPerSecurityGroupLimitExceeded", "The maximum number of rules per security group has been reached.")
}

func errGroupsPerInterfaceLimitExceeded() error {
	return awsapi.Errorf("SecurityGroupsPerInterfaceLimitExceeded", "The maximum number of security groups per interface has been reached.")
}

// errNoClassic is for what moves between VPCs and EC2-Classic.
func errNoClassic() error {
	return awsapi.Errorf("UnsupportedOperation", "The operation is not supported. EC2-Classic has been retired.")
}

func errVPCIDNotSpecified() error {
	return awsapi.Errorf("VPCIdNotSpecified", "No default VPC for this user")
}

func errPeeringAlreadyExists(one, other, id string) error {
	return awsapi.Errorf("VpcPeeringConnectionAlreadyExists", "A VPC peering connection between VPC %s and VPC %s already exists: %s", one, other, id)
}

// unsuccessful is how operations on many resources answer the error of one; ok is false for nil and for failures that
// are nobody's to see.
func unsuccessful(id string, err error) (item types.UnsuccessfulItem, ok bool) {
	var known *awsapi.Error
	if !errors.As(err, &known) {
		return item, false
	}
	return types.UnsuccessfulItem{ResourceId: aws.String(id), Error: &types.UnsuccessfulItemError{Code: aws.String(known.Code), Message: aws.String(known.Message)}}, true
}
