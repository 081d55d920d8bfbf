package ec2

import (
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"miniaws/awsapi"
)

// The errors of instances, images, key pairs and launch templates, in the order of the codes.
// AWS: "Error codes for the Amazon EC2 API". Where that page has no words they are those that AWS answers with.

func errNotImageOwner(id string) error {
	return awsapi.Errorf("AuthFailure", "Not authorized for image:%s", id)
}

func errTokenOfTerminated() error {
	return awsapi.Errorf("IdempotentInstanceTerminated", "The client token you have provided is associated with a terminated instance. Please use a different client token.")
}

func errIncorrectInstanceState(i *instance) error {
	return awsapi.Errorf("IncorrectInstanceState", "The instance '%s' is not in a valid state for this operation: it is %s.", i.ID, i.State)
}

func errNotStopped(i *instance) error {
	return awsapi.Errorf("IncorrectInstanceState", "The instance '%s' is not in the 'stopped' state.", i.ID)
}

func errNeverRan(i *instance) error {
	return awsapi.Errorf("IncorrectInstanceState", "Instance '%s' cannot be stopped as it has never reached the 'running' state.", i.ID)
}

func errNotFromThisState(i *instance, what string) error {
	return awsapi.Errorf("IncorrectInstanceState", "The instance '%s' is not in a state from which it can be %s.", i.ID, what)
}

func errInstanceLimit(wanted, most int32) error {
	return awsapi.Errorf("InstanceLimitExceeded", "You have requested more instances (%d) than your current instance limit of %d allows for the specified instance type.", wanted, most)
}

func errHostFull() error {
	return awsapi.Errorf("InsufficientCapacityOnHost", "There is not enough capacity on the Dedicated Host to launch or start the instance.")
}

// AWS: not among "Error codes for the Amazon EC2 API"; the code is the one that Terraform's provider for AWS waits for.
func errFleetNotFound(id string) error {
	return awsapi.Errorf("InvalidFleetId.NotFound", "The fleet ID '%s' does not exist", id)
}

func errSpotFleetNotFound(id string) error {
	return awsapi.Errorf("InvalidSpotFleetRequestId.NotFound", "The spot fleet request ID '%s' does not exist", id)
}

func errSpotFleetMalformed(id string) error {
	return awsapi.Errorf("InvalidSpotFleetRequestId.Malformed", "The spot fleet request ID '%s' is malformed", id)
}

func errSpotFleetConfig(format string, args ...any) error {
	return awsapi.Errorf("InvalidSpotFleetRequestConfig", format, args...)
}

// errSpotFleetParameter names the parameter as EC2 does: "Parameter: SpotFleetRequestConfig.IamFleetRole is invalid."
func errSpotFleetParameter(name string) error {
	return errSpotFleetConfig("Parameter: SpotFleetRequestConfig.%s is invalid.", name)
}

// AWS: 500 for the lack of capacity; a placement group's own limit is the client's.
func errInsufficientCapacity(message string) error {
	return awsapi.Errorf("InsufficientInstanceCapacity", "%s", message)
}

func errImageMalformed(id string) error {
	return awsapi.Errorf("InvalidAMIID.Malformed", `Invalid id: "%s" (expecting "ami-...")`, id)
}

func errImageNotFound(id string) error {
	return awsapi.Errorf("InvalidAMIID.NotFound", "The image id '[%s]' does not exist", id)
}

func errImageUnavailable(id string) error {
	return awsapi.Errorf("InvalidAMIID.Unavailable", "The image ID '%s' is not available", id)
}

func errImageNameDuplicate(name, id string) error {
	return awsapi.Errorf("InvalidAMIName.Duplicate", "AMI name %s is already in use by AMI %s", name, id)
}

func errImageNameMalformed() error {
	return awsapi.Errorf("InvalidAMIName.Malformed", "AMI names must be between 3 and 128 characters long, and may contain letters, numbers, '(', ')', '.', '-', '/', '_', ''', '@', '[', ']' and spaces")
}

func errBlockDevice(format string, args ...any) error {
	return awsapi.Errorf("InvalidBlockDeviceMapping", format, args...)
}

func errHostMalformed(id string) error {
	return awsapi.Errorf("InvalidHostID.Malformed", "The specified Dedicated Host ID '%s' is not formed correctly (expecting \"h-...\")", id)
}

func errHostNotFound(id string) error {
	return awsapi.Errorf("InvalidHostID.NotFound", "The specified Dedicated Host ID '%s' does not exist", id)
}

func errHostState(id string) error {
	return awsapi.Errorf("InvalidHostState", "The specified Dedicated Host '%s' is not in a valid state to complete the request.", id)
}

func errHostOccupied(id string) error {
	return awsapi.Errorf("InvalidHostState", "The Dedicated Host '%s' has running instances. Stop or terminate all instances on the host before you release it.", id)
}

// AWS: not among "Error codes for the Amazon EC2 API"; Terraform's provider for AWS asks for this code after deletions.
func errEventWindowNotFound(id string) error {
	return awsapi.Errorf("InvalidInstanceEventWindowID.NotFound", "The instance event window ID '%s' does not exist", id)
}

// AWS: "ModifyInstanceCpuOptions" has no errors; code and words as Terraform's provider for AWS quotes them.
func errNotAllowedState(i *instance) error {
	return awsapi.Errorf("InvalidState", "The instance '%s' is not in an allowed state: stopped", i.ID)
}

func errInstanceMalformed(id string) error {
	return awsapi.Errorf("InvalidInstanceID.Malformed", `Invalid id: "%s" (expecting "i-...")`, id)
}

func errInstancesNotFound(ids []string) error {
	if len(ids) == 1 {
		return errInstanceNotFound(ids[0])
	}
	return awsapi.Errorf("InvalidInstanceID.NotFound", "The instance IDs '%s' do not exist", strings.Join(ids, ", "))
}

func errInvalidInstanceType(names []string) error {
	return awsapi.Errorf("InvalidInstanceType", "The following supplied instance types do not exist: [%s]", strings.Join(names, ", "))
}

func errKeyFormat(message string) error { return awsapi.Errorf("InvalidKey.Format", "%s", message) }

func errKeyPairDuplicate(name string) error {
	return awsapi.Errorf("InvalidKeyPair.Duplicate", "The key pair '%s' already exists.", name)
}

func errKeyPairNotFound(name string) error {
	return awsapi.Errorf("InvalidKeyPair.NotFound", "The key pair '%s' does not exist", name)
}

func errKeyPairIDNotFound(id string) error {
	return awsapi.Errorf("InvalidKeyPair.NotFound", "The key pair ID '%s' does not exist", id)
}

func errTemplateMalformed(id string) error {
	return awsapi.Errorf("InvalidLaunchTemplateId.Malformed", "The launch template ID '%s' is malformed.", id)
}

func errTemplateNotFound(id string) error {
	return awsapi.Errorf("InvalidLaunchTemplateId.NotFound", "The specified launch template, with template ID %s, does not exist.", id)
}

func errTemplateVersionNotFound(number int64, id string) error {
	return awsapi.Errorf("InvalidLaunchTemplateId.VersionNotFound", "Could not find launch template version %d with launch template ID %s.", number, id)
}

func errTemplateNameTaken() error {
	return awsapi.Errorf("InvalidLaunchTemplateName.AlreadyExistsException", "Launch template name already in use.")
}

func errTemplateNameMalformed() error {
	return awsapi.Errorf("InvalidLaunchTemplateName.MalformedException", "A launch template name must be between 3 and 128 characters, and may contain letters, numbers, and the following characters: - ( ) . / _.")
}

func errTemplateNameNotFound() error {
	return awsapi.Errorf("InvalidLaunchTemplateName.NotFoundException", "At least one of the launch templates specified in the request does not exist.")
}

// errArchitecture: the type's processor cannot run the image.
func errArchitecture(ofType, ofImage string) error {
	return errInvalidParameterValue("The architecture '%s' of the specified instance type does not match the architecture '%s' of the specified AMI. Specify an instance type and an AMI that have matching architectures, and try again. You can use 'describe-instance-types' or 'describe-images' to discover the architecture of the instance type or AMI.", ofType, ofImage)
}

func errProfileUnknown(in *types.IamInstanceProfileSpecification) error {
	if arn := aws.ToString(in.Arn); arn != "" {
		return errInvalidParameterValue("Value (%s) for parameter iamInstanceProfile.arn is invalid. Invalid IAM Instance Profile ARN", arn)
	}
	return errInvalidParameterValue("Value (%s) for parameter iamInstanceProfile.name is invalid. Invalid IAM Instance Profile name", aws.ToString(in.Name))
}

// errNoSuchZone is how launches word it.
func errNoSuchZone(name string) error {
	return errInvalidParameterValue("Invalid availability zone: [%s]", name)
}

func errPlacementGroupDuplicate(name string) error {
	return awsapi.Errorf("InvalidPlacementGroup.Duplicate", "The Placement Group '%s' already exists.", name)
}

func errPlacementGroupInUse(name string) error {
	return awsapi.Errorf("InvalidPlacementGroup.InUse", "The placement group '%s' is in use and may not be deleted.", name)
}

// AWS: "Error codes for the Amazon EC2 API", from memory: the form pg-xxxxxxxxxxxxxxxxx.
func errPlacementGroupMalformed(id string) error {
	return awsapi.Errorf("InvalidPlacementGroupId.Malformed", "The placement group ID '%s' is malformed.", id)
}

func errPlacementGroupUnknown(name string) error {
	return awsapi.Errorf("InvalidPlacementGroup.Unknown", "The Placement Group '%s' is unknown.", name)
}

func errSpotRequestNotFound(id string) error {
	return awsapi.Errorf("InvalidSpotInstanceRequestID.NotFound", "The spot instance request ID '%s' does not exist", id)
}

func errSpotRequestMalformed(id string) error {
	return awsapi.Errorf("InvalidSpotInstanceRequestID.Malformed", "The spot instance request ID '%s' is malformed", id)
}

func errUserDataMalformed() error {
	return awsapi.Errorf("InvalidUserData.Malformed", "Invalid BASE64 encoding of user data.")
}

func errInvalidUserIDMalformed(id string) error {
	return awsapi.Errorf("InvalidUserID.Malformed", "Invalid user id: \"%s\"", id)
}

func errVolumeMalformed(id string) error {
	return errInvalidParameterValue("Value (%s) for parameter volumeId is invalid. Expected: 'vol-...'.", id)
}

func errVolumeNotFound(id string) error {
	return awsapi.Errorf("InvalidVolume.NotFound", "The volume '%s' does not exist.", id)
}

// errUnsupported is for configurations that AWS itself refuses with this code.
func errUnsupported(format string, args ...any) error {
	return awsapi.Errorf("Unsupported", format, args...)
}

func errTypeNotOffered(typ, zone string) error {
	return errUnsupported("Your requested instance type (%s) is not supported in your requested Availability Zone (%s).", typ, zone)
}

func errHostConfiguration() error {
	return awsapi.Errorf("UnsupportedHostConfiguration", "The specified Dedicated Host configuration is unsupported.")
}

func errTypeOnHost(typ, host string) error {
	return awsapi.Errorf("UnsupportedInstanceTypeOnHost", "The instance type %s is not supported on the Dedicated Host %s.", typ, host)
}

func errUnsupportedHibernation(ids []string) error {
	return awsapi.Errorf("UnsupportedHibernationConfiguration", "Unsupported hibernation configuration: %s", fmt.Sprint(ids))
}

// AWS: "Error codes for the Amazon EC2 API".
func errReservationNotFound(id string) error {
	return awsapi.Errorf("InvalidCapacityReservationId.NotFound", "The Capacity Reservation ID '%s' does not exist", id)
}

// AWS: "Error codes for the Amazon EC2 API": the form cr-xxxxxxxxxxxxxxxxx.
func errReservationMalformed(id string) error {
	return awsapi.Errorf("InvalidCapacityReservationId.Malformed", "The Capacity Reservation ID '%s' is malformed", id)
}

// AWS: "Error codes for the Amazon EC2 API".
const reservationFull = "ReservationCapacityExceeded"

func errReservationFull() error {
	return awsapi.Errorf(reservationFull, "The requested reservation does not have sufficient compatible and available capacity for this request.")
}

func errUnsupportedOperation(format string, args ...any) error {
	return awsapi.Errorf("UnsupportedOperation", format, args...)
}

// AWS: "SendSSHPublicKey", Errors.
func errConnectArgs(why string) error {
	return awsapi.Errorf("InvalidArgsException", "%s", why)
}

func errConnectNotFound() error {
	return awsapi.Errorf("EC2InstanceNotFoundException", "Instance not found")
}

func errConnectState() error {
	return awsapi.Errorf("EC2InstanceStateInvalidException", "Instance is not in a valid state to connect")
}
