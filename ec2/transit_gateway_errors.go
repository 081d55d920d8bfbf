package ec2

import "miniaws/awsapi"

// The errors of transit gateways, in the order of the codes.
// AWS: "Error codes for the Amazon EC2 API". That page has no words for them: they are those that AWS answers with.

func errDuplicateTransitSubnets() error {
	return awsapi.Errorf("DuplicateSubnetsInSameZone", "Duplicate Subnets for same AZ")
}

func errTransitAttachmentDuplicate(gateway string) error {
	return awsapi.Errorf("DuplicateTransitGatewayAttachment", "%s has non-deleted Transit Gateway Attachments with same VPC ID.", gateway)
}

func errTransitPeeringDuplicate(gateway string) error {
	return awsapi.Errorf("DuplicateTransitGatewayAttachment", "%s has non-deleted Transit Gateway Attachments with same peer Transit Gateway ID.", gateway)
}

func errTransitRouteNotFound(destination, table string) error {
	return awsapi.Errorf("InvalidRoute.NotFound", "Route %s does not exist in Transit Gateway Route Table %s.", destination, table)
}

func errTransitTableMalformed(id string) error {
	return awsapi.Errorf("InvalidRouteTableId.Malformed", "Invalid id: %q (expecting \"tgw-rtb-...\")", id)
}

func errTransitTableNotFound(id string) error {
	return awsapi.Errorf("InvalidRouteTableID.NotFound", "Transit Gateway Route Table %s was deleted or does not exist.", id)
}

func errTransitAttachmentMalformed(id string) error {
	return awsapi.Errorf("InvalidTransitGatewayAttachmentID.Malformed", "Invalid id: %q (expecting \"tgw-attach-...\")", id)
}

func errTransitAttachmentNotFound(id string) error {
	return awsapi.Errorf("InvalidTransitGatewayAttachmentID.NotFound", "Transit Gateway Attachment %s was deleted or does not exist.", id)
}

func errTransitGatewayMalformed(id string) error {
	return awsapi.Errorf("InvalidTransitGatewayID.Malformed", "Invalid id: %q (expecting \"tgw-...\")", id)
}

func errTransitGatewayNotFound(id string) error {
	return awsapi.Errorf("InvalidTransitGatewayID.NotFound", "Transit Gateway %s was deleted or does not exist.", id)
}

// errTransitGatewayNotReached is for routes of a VPC that is not attached to the gateway.
func errTransitGatewayNotReached(id string) error {
	return awsapi.Errorf("InvalidTransitGatewayID.NotFound", "The transitGateway ID '%s' does not exist.", id)
}

func errTransitRouteExists(destination, table string) error {
	return awsapi.Errorf("RouteAlreadyExists", "Route %s already exists in Transit Gateway Route Table %s.", destination, table)
}

func errRouteLimitExceeded() error {
	return awsapi.Errorf("RouteLimitExceeded", "You've reached the maximum number of routes of a transit gateway.")
}

func errTransitGatewayLimitExceeded() error {
	return awsapi.Errorf("TransitGatewayLimitExceeded", "You've reached the maximum number of transit gateways for this account.")
}

func errTransitPropagationDuplicate(attachment, table string) error {
	return awsapi.Errorf("TransitGatewayRouteTablePropagation.Duplicate", "Propagation %s already exists in Transit Gateway Route Table %s", attachment, table)
}

func errTransitPropagationNotFound(attachment, table string) error {
	return awsapi.Errorf("TransitGatewayRouteTablePropagation.NotFound", "Propagation %s does not exist in Transit Gateway Route Table %s", attachment, table)
}
