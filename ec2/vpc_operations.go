package ec2

import (
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"miniaws/awsapi"
	"miniaws/awsapi/meta"
	"miniaws/backend/store"
)

// registerVPC adds the operations on tags, regions and the virtual private cloud. What each needs to be allowed is as in
// AWS's service authorization reference.
func (s *Service) registerVPC(server *awsapi.Server) {
	s.registerAccount(server)
	s.registerVPCs(server)
	s.registerRouting(server)
	s.registerFilters(server)
	s.registerInterfaces(server)
	s.registerConnections(server)
	s.registerFlowLogs(server)
	s.registerInsights(server)
	s.registerTransit(server)
	s.registerTransitPeerings(server)
	s.registerReserved(server)
	s.registerPublicAccess(server)
	s.registerClassic(server)
}

func (s *Service) registerAccount(server *awsapi.Server) {
	server.Register(meta.EC2,
		awsapi.Op(s.DescribeRegions, inRegion[ec2.DescribeRegionsInput]("DescribeRegions")),
		awsapi.Op(s.DescribeAvailabilityZones, inRegion[ec2.DescribeAvailabilityZonesInput]("DescribeAvailabilityZones")),
		awsapi.Op(s.DescribeAccountAttributes, inRegion[ec2.DescribeAccountAttributesInput]("DescribeAccountAttributes")),
		awsapi.Op(s.CreateTags, s.accessOfCreateTags),
		awsapi.Op(s.DeleteTags, s.accessOfDeleteTags),
		awsapi.Op(s.DescribeTags, inRegion[ec2.DescribeTagsInput]("DescribeTags")),
	)
}

func (s *Service) registerVPCs(server *awsapi.Server) {
	server.Register(meta.EC2,
		awsapi.Op(s.CreateVpc, makes[ec2.CreateVpcInput](s, "CreateVpc", types.ResourceTypeVpc, nil)),
		awsapi.Op(s.CreateDefaultVpc, inRegion[ec2.CreateDefaultVpcInput]("CreateDefaultVpc")),
		awsapi.Op(s.DescribeVpcs, inRegion[ec2.DescribeVpcsInput]("DescribeVpcs")),
		awsapi.Op(s.DescribeVpcAttribute, on(s, "DescribeVpcAttribute", func(in *ec2.DescribeVpcAttributeInput) []string { return strs(in.VpcId) })),
		awsapi.Op(s.ModifyVpcAttribute, on(s, "ModifyVpcAttribute", func(in *ec2.ModifyVpcAttributeInput) []string { return strs(in.VpcId) })),
		awsapi.Op(s.ModifyVpcTenancy, on(s, "ModifyVpcTenancy", func(in *ec2.ModifyVpcTenancyInput) []string { return strs(in.VpcId) })),
		awsapi.Op(s.AssociateVpcCidrBlock, on(s, "AssociateVpcCidrBlock", func(in *ec2.AssociateVpcCidrBlockInput) []string { return strs(in.VpcId) })),
		awsapi.Op(s.DisassociateVpcCidrBlock, onAssociated(s, "DisassociateVpcCidrBlock", vpcs, "association", func(in *ec2.DisassociateVpcCidrBlockInput) *string { return in.AssociationId }, nil)),
		awsapi.Op(s.DeleteVpc, on(s, "DeleteVpc", func(in *ec2.DeleteVpcInput) []string { return strs(in.VpcId) })),

		awsapi.Op(s.CreateSubnet, makes(s, "CreateSubnet", types.ResourceTypeSubnet, func(in *ec2.CreateSubnetInput) []string { return strs(in.VpcId) })),
		awsapi.Op(s.CreateDefaultSubnet, inRegion[ec2.CreateDefaultSubnetInput]("CreateDefaultSubnet")),
		awsapi.Op(s.DescribeSubnets, inRegion[ec2.DescribeSubnetsInput]("DescribeSubnets")),
		awsapi.Op(s.ModifySubnetAttribute, on(s, "ModifySubnetAttribute", func(in *ec2.ModifySubnetAttributeInput) []string { return strs(in.SubnetId) })),
		awsapi.Op(s.AssociateSubnetCidrBlock, on(s, "AssociateSubnetCidrBlock", func(in *ec2.AssociateSubnetCidrBlockInput) []string { return strs(in.SubnetId) })),
		awsapi.Op(s.DisassociateSubnetCidrBlock, onAssociated(s, "DisassociateSubnetCidrBlock", subnets, "association", func(in *ec2.DisassociateSubnetCidrBlockInput) *string { return in.AssociationId }, nil)),
		awsapi.Op(s.DeleteSubnet, on(s, "DeleteSubnet", func(in *ec2.DeleteSubnetInput) []string { return strs(in.SubnetId) })),

		awsapi.Op(s.CreateDhcpOptions, makes[ec2.CreateDhcpOptionsInput](s, "CreateDhcpOptions", types.ResourceTypeDhcpOptions, nil)),
		awsapi.Op(s.DescribeDhcpOptions, inRegion[ec2.DescribeDhcpOptionsInput]("DescribeDhcpOptions")),
		awsapi.Op(s.AssociateDhcpOptions, on(s, "AssociateDhcpOptions", func(in *ec2.AssociateDhcpOptionsInput) []string {
			if aws.ToString(in.DhcpOptionsId) == "default" {
				return strs(in.VpcId)
			}
			return strs(in.DhcpOptionsId, in.VpcId)
		})),
		awsapi.Op(s.DeleteDhcpOptions, on(s, "DeleteDhcpOptions", func(in *ec2.DeleteDhcpOptionsInput) []string { return strs(in.DhcpOptionsId) })),
	)
}

func (s *Service) registerRouting(server *awsapi.Server) {
	server.Register(meta.EC2,
		awsapi.Op(s.CreateRouteTable, makes(s, "CreateRouteTable", types.ResourceTypeRouteTable, func(in *ec2.CreateRouteTableInput) []string { return strs(in.VpcId) })),
		awsapi.Op(s.DescribeRouteTables, inRegion[ec2.DescribeRouteTablesInput]("DescribeRouteTables")),
		awsapi.Op(s.DeleteRouteTable, on(s, "DeleteRouteTable", func(in *ec2.DeleteRouteTableInput) []string { return strs(in.RouteTableId) })),
		awsapi.Op(s.AssociateRouteTable, on(s, "AssociateRouteTable", func(in *ec2.AssociateRouteTableInput) []string {
			return strs(in.RouteTableId, in.SubnetId, in.GatewayId)
		})),
		awsapi.Op(s.DisassociateRouteTable, onAssociated(s, "DisassociateRouteTable", routeTables, "association", func(in *ec2.DisassociateRouteTableInput) *string { return in.AssociationId }, nil)),
		awsapi.Op(s.ReplaceRouteTableAssociation, onAssociated(s, "ReplaceRouteTableAssociation", routeTables, "association", func(in *ec2.ReplaceRouteTableAssociationInput) *string { return in.AssociationId },
			func(in *ec2.ReplaceRouteTableAssociationInput, _ *routeTable) []string { return strs(in.RouteTableId) })),
		awsapi.Op(s.CreateRoute, on(s, "CreateRoute", func(in *ec2.CreateRouteInput) []string { return strs(in.RouteTableId) })),
		awsapi.Op(s.ReplaceRoute, on(s, "ReplaceRoute", func(in *ec2.ReplaceRouteInput) []string { return strs(in.RouteTableId) })),
		awsapi.Op(s.DeleteRoute, on(s, "DeleteRoute", func(in *ec2.DeleteRouteInput) []string { return strs(in.RouteTableId) })),

		awsapi.Op(s.CreateInternetGateway, makes[ec2.CreateInternetGatewayInput](s, "CreateInternetGateway", types.ResourceTypeInternetGateway, nil)),
		awsapi.Op(s.DescribeInternetGateways, inRegion[ec2.DescribeInternetGatewaysInput]("DescribeInternetGateways")),
		awsapi.Op(s.AttachInternetGateway, on(s, "AttachInternetGateway", func(in *ec2.AttachInternetGatewayInput) []string { return strs(in.InternetGatewayId, in.VpcId) })),
		awsapi.Op(s.DetachInternetGateway, on(s, "DetachInternetGateway", func(in *ec2.DetachInternetGatewayInput) []string { return strs(in.InternetGatewayId, in.VpcId) })),
		awsapi.Op(s.DeleteInternetGateway, on(s, "DeleteInternetGateway", func(in *ec2.DeleteInternetGatewayInput) []string { return strs(in.InternetGatewayId) })),
		awsapi.Op(s.CreateEgressOnlyInternetGateway, makes(s, "CreateEgressOnlyInternetGateway", types.ResourceTypeEgressOnlyInternetGateway, func(in *ec2.CreateEgressOnlyInternetGatewayInput) []string { return strs(in.VpcId) })),
		awsapi.Op(s.DescribeEgressOnlyInternetGateways, inRegion[ec2.DescribeEgressOnlyInternetGatewaysInput]("DescribeEgressOnlyInternetGateways")),
		awsapi.Op(s.DeleteEgressOnlyInternetGateway, on(s, "DeleteEgressOnlyInternetGateway", func(in *ec2.DeleteEgressOnlyInternetGatewayInput) []string {
			return strs(in.EgressOnlyInternetGatewayId)
		})),

		awsapi.Op(s.CreateNatGateway, makes(s, "CreateNatGateway", types.ResourceTypeNatgateway, func(in *ec2.CreateNatGatewayInput) []string { return strs(in.SubnetId, in.AllocationId) })),
		awsapi.Op(s.DescribeNatGateways, inRegion[ec2.DescribeNatGatewaysInput]("DescribeNatGateways")),
		awsapi.Op(s.AssociateNatGatewayAddress, on(s, "AssociateNatGatewayAddress", func(in *ec2.AssociateNatGatewayAddressInput) []string {
			return append(strs(in.NatGatewayId), in.AllocationIds...)
		})),
		awsapi.Op(s.DisassociateNatGatewayAddress, s.accessOfDisassociateNAT),
		awsapi.Op(s.AssignPrivateNatGatewayAddress, on(s, "AssignPrivateNatGatewayAddress", func(in *ec2.AssignPrivateNatGatewayAddressInput) []string { return strs(in.NatGatewayId) })),
		awsapi.Op(s.UnassignPrivateNatGatewayAddress, on(s, "UnassignPrivateNatGatewayAddress", func(in *ec2.UnassignPrivateNatGatewayAddressInput) []string { return strs(in.NatGatewayId) })),
		awsapi.Op(s.DeleteNatGateway, on(s, "DeleteNatGateway", func(in *ec2.DeleteNatGatewayInput) []string { return strs(in.NatGatewayId) })),
	)
}

func (s *Service) registerFilters(server *awsapi.Server) {
	server.Register(meta.EC2,
		awsapi.Op(s.CreateSecurityGroup, makes(s, "CreateSecurityGroup", types.ResourceTypeSecurityGroup, func(in *ec2.CreateSecurityGroupInput) []string { return strs(in.VpcId) })),
		awsapi.Op(s.DescribeSecurityGroups, inRegion[ec2.DescribeSecurityGroupsInput]("DescribeSecurityGroups")),
		awsapi.Op(s.DeleteSecurityGroup, on(s, "DeleteSecurityGroup", func(in *ec2.DeleteSecurityGroupInput) []string { return strs(in.GroupId) })),
		awsapi.Op(s.AuthorizeSecurityGroupIngress, onTagged(s, "AuthorizeSecurityGroupIngress", func(in *ec2.AuthorizeSecurityGroupIngressInput) []string { return strs(in.GroupId) })),
		awsapi.Op(s.AuthorizeSecurityGroupEgress, onTagged(s, "AuthorizeSecurityGroupEgress", func(in *ec2.AuthorizeSecurityGroupEgressInput) []string { return strs(in.GroupId) })),
		awsapi.Op(s.RevokeSecurityGroupIngress, on(s, "RevokeSecurityGroupIngress", func(in *ec2.RevokeSecurityGroupIngressInput) []string { return strs(in.GroupId) })),
		awsapi.Op(s.RevokeSecurityGroupEgress, on(s, "RevokeSecurityGroupEgress", func(in *ec2.RevokeSecurityGroupEgressInput) []string { return strs(in.GroupId) })),
		awsapi.Op(s.ModifySecurityGroupRules, on(s, "ModifySecurityGroupRules", func(in *ec2.ModifySecurityGroupRulesInput) []string { return strs(in.GroupId) })),
		awsapi.Op(s.DescribeSecurityGroupRules, inRegion[ec2.DescribeSecurityGroupRulesInput]("DescribeSecurityGroupRules")),
		awsapi.Op(s.UpdateSecurityGroupRuleDescriptionsIngress, on(s, "UpdateSecurityGroupRuleDescriptionsIngress", func(in *ec2.UpdateSecurityGroupRuleDescriptionsIngressInput) []string { return strs(in.GroupId) })),
		awsapi.Op(s.UpdateSecurityGroupRuleDescriptionsEgress, on(s, "UpdateSecurityGroupRuleDescriptionsEgress", func(in *ec2.UpdateSecurityGroupRuleDescriptionsEgressInput) []string { return strs(in.GroupId) })),
		awsapi.Op(s.DescribeSecurityGroupReferences, on(s, "DescribeSecurityGroupReferences", func(in *ec2.DescribeSecurityGroupReferencesInput) []string { return in.GroupId })),
		awsapi.Op(s.AssociateSecurityGroupVpc, on(s, "AssociateSecurityGroupVpc", func(in *ec2.AssociateSecurityGroupVpcInput) []string { return strs(in.GroupId, in.VpcId) })),
		awsapi.Op(s.DisassociateSecurityGroupVpc, on(s, "DisassociateSecurityGroupVpc", func(in *ec2.DisassociateSecurityGroupVpcInput) []string { return strs(in.GroupId, in.VpcId) })),
		awsapi.Op(s.DescribeSecurityGroupVpcAssociations, inRegion[ec2.DescribeSecurityGroupVpcAssociationsInput]("DescribeSecurityGroupVpcAssociations")),
		awsapi.Op(s.GetSecurityGroupsForVpc, on(s, "GetSecurityGroupsForVpc", func(in *ec2.GetSecurityGroupsForVpcInput) []string { return strs(in.VpcId) })),
		awsapi.Op(s.DescribeStaleSecurityGroups, inRegion[ec2.DescribeStaleSecurityGroupsInput]("DescribeStaleSecurityGroups")),

		awsapi.Op(s.CreateNetworkAcl, makes(s, "CreateNetworkAcl", types.ResourceTypeNetworkAcl, func(in *ec2.CreateNetworkAclInput) []string { return strs(in.VpcId) })),
		awsapi.Op(s.DescribeNetworkAcls, inRegion[ec2.DescribeNetworkAclsInput]("DescribeNetworkAcls")),
		awsapi.Op(s.DeleteNetworkAcl, on(s, "DeleteNetworkAcl", func(in *ec2.DeleteNetworkAclInput) []string { return strs(in.NetworkAclId) })),
		awsapi.Op(s.CreateNetworkAclEntry, on(s, "CreateNetworkAclEntry", func(in *ec2.CreateNetworkAclEntryInput) []string { return strs(in.NetworkAclId) })),
		awsapi.Op(s.ReplaceNetworkAclEntry, on(s, "ReplaceNetworkAclEntry", func(in *ec2.ReplaceNetworkAclEntryInput) []string { return strs(in.NetworkAclId) })),
		awsapi.Op(s.DeleteNetworkAclEntry, on(s, "DeleteNetworkAclEntry", func(in *ec2.DeleteNetworkAclEntryInput) []string { return strs(in.NetworkAclId) })),
		awsapi.Op(s.ReplaceNetworkAclAssociation, onAssociated(s, "ReplaceNetworkAclAssociation", networkACLs, "association", func(in *ec2.ReplaceNetworkAclAssociationInput) *string { return in.AssociationId },
			func(in *ec2.ReplaceNetworkAclAssociationInput, _ *networkACL) []string { return strs(in.NetworkAclId) })),

		awsapi.Op(s.CreateManagedPrefixList, makes[ec2.CreateManagedPrefixListInput](s, "CreateManagedPrefixList", types.ResourceTypePrefixList, nil)),
		awsapi.Op(s.DescribeManagedPrefixLists, inRegion[ec2.DescribeManagedPrefixListsInput]("DescribeManagedPrefixLists")),
		awsapi.Op(s.DescribePrefixLists, inRegion[ec2.DescribePrefixListsInput]("DescribePrefixLists")),
		awsapi.Op(s.GetManagedPrefixListEntries, on(s, "GetManagedPrefixListEntries", func(in *ec2.GetManagedPrefixListEntriesInput) []string { return strs(in.PrefixListId) })),
		awsapi.Op(s.GetManagedPrefixListAssociations, on(s, "GetManagedPrefixListAssociations", func(in *ec2.GetManagedPrefixListAssociationsInput) []string { return strs(in.PrefixListId) })),
		awsapi.Op(s.ModifyManagedPrefixList, on(s, "ModifyManagedPrefixList", func(in *ec2.ModifyManagedPrefixListInput) []string { return strs(in.PrefixListId) })),
		awsapi.Op(s.RestoreManagedPrefixListVersion, on(s, "RestoreManagedPrefixListVersion", func(in *ec2.RestoreManagedPrefixListVersionInput) []string { return strs(in.PrefixListId) })),
		awsapi.Op(s.DeleteManagedPrefixList, on(s, "DeleteManagedPrefixList", func(in *ec2.DeleteManagedPrefixListInput) []string { return strs(in.PrefixListId) })),
	)
}

func (s *Service) registerInterfaces(server *awsapi.Server) {
	server.Register(meta.EC2,
		awsapi.Op(s.CreateNetworkInterface, makes(s, "CreateNetworkInterface", types.ResourceTypeNetworkInterface, func(in *ec2.CreateNetworkInterfaceInput) []string { return append(strs(in.SubnetId), in.Groups...) })),
		awsapi.Op(s.DescribeNetworkInterfaces, inRegion[ec2.DescribeNetworkInterfacesInput]("DescribeNetworkInterfaces")),
		awsapi.Op(s.DescribeNetworkInterfaceAttribute, inRegion[ec2.DescribeNetworkInterfaceAttributeInput]("DescribeNetworkInterfaceAttribute")),
		awsapi.Op(s.ModifyNetworkInterfaceAttribute, on(s, "ModifyNetworkInterfaceAttribute", func(in *ec2.ModifyNetworkInterfaceAttributeInput) []string {
			return append(strs(in.NetworkInterfaceId), in.Groups...)
		})),
		awsapi.Op(s.ResetNetworkInterfaceAttribute, on(s, "ResetNetworkInterfaceAttribute", func(in *ec2.ResetNetworkInterfaceAttributeInput) []string { return strs(in.NetworkInterfaceId) })),
		awsapi.Op(s.AttachNetworkInterface, on(s, "AttachNetworkInterface", func(in *ec2.AttachNetworkInterfaceInput) []string { return strs(in.NetworkInterfaceId, in.InstanceId) })),
		awsapi.Op(s.DetachNetworkInterface, onAssociated(s, "DetachNetworkInterface", interfaces, "attachment", func(in *ec2.DetachNetworkInterfaceInput) *string { return in.AttachmentId }, detachedInstance)),
		awsapi.Op(s.DeleteNetworkInterface, on(s, "DeleteNetworkInterface", func(in *ec2.DeleteNetworkInterfaceInput) []string { return strs(in.NetworkInterfaceId) })),
		awsapi.Op(s.AssignPrivateIpAddresses, on(s, "AssignPrivateIpAddresses", func(in *ec2.AssignPrivateIpAddressesInput) []string { return strs(in.NetworkInterfaceId) })),
		awsapi.Op(s.UnassignPrivateIpAddresses, on(s, "UnassignPrivateIpAddresses", func(in *ec2.UnassignPrivateIpAddressesInput) []string { return strs(in.NetworkInterfaceId) })),
		awsapi.Op(s.AssignIpv6Addresses, on(s, "AssignIpv6Addresses", func(in *ec2.AssignIpv6AddressesInput) []string { return strs(in.NetworkInterfaceId) })),
		awsapi.Op(s.UnassignIpv6Addresses, on(s, "UnassignIpv6Addresses", func(in *ec2.UnassignIpv6AddressesInput) []string { return strs(in.NetworkInterfaceId) })),

		awsapi.Op(s.AllocateAddress, makes[ec2.AllocateAddressInput](s, "AllocateAddress", types.ResourceTypeElasticIp, nil)),
		awsapi.Op(s.DescribeAddresses, inRegion[ec2.DescribeAddressesInput]("DescribeAddresses")),
		awsapi.Op(s.DescribeAddressesAttribute, inRegion[ec2.DescribeAddressesAttributeInput]("DescribeAddressesAttribute")),
		awsapi.Op(s.ModifyAddressAttribute, on(s, "ModifyAddressAttribute", func(in *ec2.ModifyAddressAttributeInput) []string { return strs(in.AllocationId) })),
		awsapi.Op(s.ResetAddressAttribute, on(s, "ResetAddressAttribute", func(in *ec2.ResetAddressAttributeInput) []string { return strs(in.AllocationId) })),
		awsapi.Op(s.EnableAddressTransfer, on(s, "EnableAddressTransfer", func(in *ec2.EnableAddressTransferInput) []string { return strs(in.AllocationId) })),
		awsapi.Op(s.DisableAddressTransfer, on(s, "DisableAddressTransfer", func(in *ec2.DisableAddressTransferInput) []string { return strs(in.AllocationId) })),
		awsapi.Op(s.AcceptAddressTransfer, makes[ec2.AcceptAddressTransferInput](s, "AcceptAddressTransfer", types.ResourceTypeElasticIp, nil)),
		awsapi.Op(s.DescribeAddressTransfers, inRegion[ec2.DescribeAddressTransfersInput]("DescribeAddressTransfers")),
		awsapi.Op(s.AssociateAddress, onAddress(s, "AssociateAddress", func(in *ec2.AssociateAddressInput) (allocation, association, public *string) {
			return in.AllocationId, nil, in.PublicIp
		}, func(in *ec2.AssociateAddressInput) []string {
			return strs(in.NetworkInterfaceId, in.InstanceId)
		})),
		awsapi.Op(s.DisassociateAddress, onAddress(s, "DisassociateAddress", func(in *ec2.DisassociateAddressInput) (allocation, association, public *string) {
			return nil, in.AssociationId, in.PublicIp
		}, nil)),
		awsapi.Op(s.ReleaseAddress, onAddress(s, "ReleaseAddress", func(in *ec2.ReleaseAddressInput) (allocation, association, public *string) {
			return in.AllocationId, nil, in.PublicIp
		}, nil)),
	)
}

func (s *Service) registerConnections(server *awsapi.Server) {
	server.Register(meta.EC2,
		awsapi.Op(s.CreateVpcPeeringConnection, makes(s, "CreateVpcPeeringConnection", types.ResourceTypeVpcPeeringConnection, func(in *ec2.CreateVpcPeeringConnectionInput) []string { return strs(in.VpcId) })),
		awsapi.Op(s.AcceptVpcPeeringConnection, on(s, "AcceptVpcPeeringConnection", func(in *ec2.AcceptVpcPeeringConnectionInput) []string { return strs(in.VpcPeeringConnectionId) })),
		awsapi.Op(s.RejectVpcPeeringConnection, on(s, "RejectVpcPeeringConnection", func(in *ec2.RejectVpcPeeringConnectionInput) []string { return strs(in.VpcPeeringConnectionId) })),
		awsapi.Op(s.DeleteVpcPeeringConnection, on(s, "DeleteVpcPeeringConnection", func(in *ec2.DeleteVpcPeeringConnectionInput) []string { return strs(in.VpcPeeringConnectionId) })),
		awsapi.Op(s.ModifyVpcPeeringConnectionOptions, on(s, "ModifyVpcPeeringConnectionOptions", func(in *ec2.ModifyVpcPeeringConnectionOptionsInput) []string { return strs(in.VpcPeeringConnectionId) })),
		awsapi.Op(s.DescribeVpcPeeringConnections, inRegion[ec2.DescribeVpcPeeringConnectionsInput]("DescribeVpcPeeringConnections")),

		awsapi.Op(s.CreateVpcEndpoint, makes(s, "CreateVpcEndpoint", types.ResourceTypeVpcEndpoint, func(in *ec2.CreateVpcEndpointInput) []string {
			return append(append(append(strs(in.VpcId), in.RouteTableIds...), in.SubnetIds...), in.SecurityGroupIds...)
		})),
		awsapi.Op(s.ModifyVpcEndpoint, on(s, "ModifyVpcEndpoint", func(in *ec2.ModifyVpcEndpointInput) []string {
			return append(append(append(strs(in.VpcEndpointId), in.AddRouteTableIds...), in.AddSubnetIds...), in.AddSecurityGroupIds...)
		})),
		awsapi.Op(s.DeleteVpcEndpoints, on(s, "DeleteVpcEndpoints", func(in *ec2.DeleteVpcEndpointsInput) []string { return in.VpcEndpointIds })),
		awsapi.Op(s.DescribeVpcEndpoints, inRegion[ec2.DescribeVpcEndpointsInput]("DescribeVpcEndpoints")),
		awsapi.Op(s.DescribeVpcEndpointServices, inRegion[ec2.DescribeVpcEndpointServicesInput]("DescribeVpcEndpointServices")),
	)
}

func (s *Service) registerFlowLogs(server *awsapi.Server) {
	server.Register(meta.EC2,
		awsapi.Op(s.CreateFlowLogs, makes(s, "CreateFlowLogs", types.ResourceTypeVpcFlowLog, func(in *ec2.CreateFlowLogsInput) []string { return in.ResourceIds })),
		awsapi.Op(s.DescribeFlowLogs, inRegion[ec2.DescribeFlowLogsInput]("DescribeFlowLogs")),
		awsapi.Op(s.DeleteFlowLogs, on(s, "DeleteFlowLogs", func(in *ec2.DeleteFlowLogsInput) []string { return in.FlowLogIds })),
	)
}

// registerReserved adds what keeps parts of subnets.
func (s *Service) registerReserved(server *awsapi.Server) {
	server.Register(meta.EC2,
		awsapi.Op(s.CreateSubnetCidrReservation, onTagged(s, "CreateSubnetCidrReservation", func(in *ec2.CreateSubnetCidrReservationInput) []string { return strs(in.SubnetId) })),
		awsapi.Op(s.DeleteSubnetCidrReservation, inRegion[ec2.DeleteSubnetCidrReservationInput]("DeleteSubnetCidrReservation")),
		awsapi.Op(s.GetSubnetCidrReservations, inRegion[ec2.GetSubnetCidrReservationsInput]("GetSubnetCidrReservations")),
	)
}

// registerPublicAccess adds what blocks internet gateways.
func (s *Service) registerPublicAccess(server *awsapi.Server) {
	server.Register(meta.EC2,
		awsapi.Op(s.ModifyVpcBlockPublicAccessOptions, inRegion[ec2.ModifyVpcBlockPublicAccessOptionsInput]("ModifyVpcBlockPublicAccessOptions")),
		awsapi.Op(s.DescribeVpcBlockPublicAccessOptions, inRegion[ec2.DescribeVpcBlockPublicAccessOptionsInput]("DescribeVpcBlockPublicAccessOptions")),
		awsapi.Op(s.CreateVpcBlockPublicAccessExclusion, makes(s, "CreateVpcBlockPublicAccessExclusion", types.ResourceTypeVpcBlockPublicAccessExclusion,
			func(in *ec2.CreateVpcBlockPublicAccessExclusionInput) []string { return strs(in.VpcId, in.SubnetId) })),
		awsapi.Op(s.ModifyVpcBlockPublicAccessExclusion, on(s, "ModifyVpcBlockPublicAccessExclusion", func(in *ec2.ModifyVpcBlockPublicAccessExclusionInput) []string { return strs(in.ExclusionId) })),
		awsapi.Op(s.DeleteVpcBlockPublicAccessExclusion, on(s, "DeleteVpcBlockPublicAccessExclusion", func(in *ec2.DeleteVpcBlockPublicAccessExclusionInput) []string { return strs(in.ExclusionId) })),
		awsapi.Op(s.DescribeVpcBlockPublicAccessExclusions, inRegion[ec2.DescribeVpcBlockPublicAccessExclusionsInput]("DescribeVpcBlockPublicAccessExclusions")),
	)
}

// registerClassic adds what is left of EC2-Classic.
func (s *Service) registerClassic(server *awsapi.Server) {
	server.Register(meta.EC2,
		awsapi.Op(s.DescribeVpcClassicLink, inRegion[ec2.DescribeVpcClassicLinkInput]("DescribeVpcClassicLink")),
		awsapi.Op(s.EnableVpcClassicLink, on(s, "EnableVpcClassicLink", func(in *ec2.EnableVpcClassicLinkInput) []string { return strs(in.VpcId) })),
		awsapi.Op(s.DisableVpcClassicLink, on(s, "DisableVpcClassicLink", func(in *ec2.DisableVpcClassicLinkInput) []string { return strs(in.VpcId) })),
		awsapi.Op(s.DescribeVpcClassicLinkDnsSupport, inRegion[ec2.DescribeVpcClassicLinkDnsSupportInput]("DescribeVpcClassicLinkDnsSupport")),
		awsapi.Op(s.EnableVpcClassicLinkDnsSupport, on(s, "EnableVpcClassicLinkDnsSupport", func(in *ec2.EnableVpcClassicLinkDnsSupportInput) []string { return strs(in.VpcId) })),
		awsapi.Op(s.DisableVpcClassicLinkDnsSupport, on(s, "DisableVpcClassicLinkDnsSupport", func(in *ec2.DisableVpcClassicLinkDnsSupportInput) []string { return strs(in.VpcId) })),
		awsapi.Op(s.DescribeClassicLinkInstances, inRegion[ec2.DescribeClassicLinkInstancesInput]("DescribeClassicLinkInstances")),
		awsapi.Op(s.AttachClassicLinkVpc, on(s, "AttachClassicLinkVpc", func(in *ec2.AttachClassicLinkVpcInput) []string {
			return append(strs(in.InstanceId, in.VpcId), in.Groups...)
		})),
		awsapi.Op(s.DetachClassicLinkVpc, on(s, "DetachClassicLinkVpc", func(in *ec2.DetachClassicLinkVpcInput) []string { return strs(in.InstanceId, in.VpcId) })),
		awsapi.Op(s.DescribeMovingAddresses, inRegion[ec2.DescribeMovingAddressesInput]("DescribeMovingAddresses")),
		awsapi.Op(s.MoveAddressToVpc, inRegion[ec2.MoveAddressToVpcInput]("MoveAddressToVpc")),
		awsapi.Op(s.RestoreAddressToClassic, inRegion[ec2.RestoreAddressToClassicInput]("RestoreAddressToClassic")),
	)
}

func vpcTables() []store.Schema {
	return []store.Schema{
		networks, knownNetworks, clientTokens, privateAddresses, publicAddresses, vpcs.table, subnets.table, dhcpOptionSets.table, routeTables.table,
		internetGateways.table, egressOnlyGateways.table, natGateways.table, elasticIPs.table, securityGroups.table, networkACLs.table, interfaces.table,
		prefixLists.table, peerings.table, endpoints.table, flowLogs.table, knownFlowLogs, insightsPaths.table, insightsAnalyses.table,
		transitGateways.table, transitAttachments.table, transitTables.table, transitRoutes,
		addressTransfers, subnetReservations.table, groupAssociations, publicAccesses, transitListReferences, accessExclusions.table,
	}
}

func vpcKinds() []taggable {
	return []taggable{
		vpcs, subnets, dhcpOptionSets, routeTables, internetGateways, egressOnlyGateways, natGateways, elasticIPs, securityGroups, securityGroupRules,
		networkACLs, interfaces, prefixLists, peerings, endpoints, flowLogs, insightsPaths, insightsAnalyses, transitGateways, transitAttachments, transitTables,
		subnetReservations, accessExclusions,
	}
}
