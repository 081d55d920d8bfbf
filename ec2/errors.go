package ec2

import (
	"net/http"

	"github.com/aws/smithy-go"

	"miniaws/awsapi"
)

// One constructor for each of AWS's codes, in the order of the codes.
// AWS: "Error codes for the Amazon EC2 API". Where that page has no words they are those that AWS answers with.

func errAuthFailureRegion(region string) error {
	return awsapi.Errorf("AuthFailure", "Credential should be scoped to a valid region, not '%s'.", region)
}

func errDependencyViolation(format string, args ...any) error {
	return awsapi.Errorf("DependencyViolation", format, args...)
}

func errFilterLimitExceeded() error {
	return awsapi.Errorf("FilterLimitExceeded", "The maximum number of filter values specified on a single call is %d", maxFilterValues)
}

func errIdempotentParameterMismatch() error {
	return awsapi.Errorf("IdempotentParameterMismatch", "Arguments on this idempotent request are inconsistent with arguments used in previous request(s).")
}

func errInvalidClientToken() error {
	return awsapi.Errorf("InvalidClientToken", "The client token must be at most 64 ASCII characters.")
}

func errInvalidFilter(name string) error {
	return errInvalidParameterValue("The filter '%s' is invalid", name)
}

// errInvalidTaggedID is for the operations on tags, which take ids of any kind.
func errInvalidTaggedID(id string) error {
	return awsapi.Errorf("InvalidID", "The ID '%s' is not valid", id)
}

func errInvalidNextToken() error {
	return awsapi.Errorf("InvalidNextToken", "The token is invalid.")
}

func errParametersExclude(one, other string) error {
	return errInvalidParameterCombination("The parameter %s cannot be used with the parameter %s", one, other)
}

func errInvalidParameterCombination(format string, args ...any) error {
	return awsapi.Errorf("InvalidParameterCombination", format, args...)
}

func errInvalidParameterValue(format string, args ...any) error {
	return awsapi.Errorf("InvalidParameterValue", format, args...)
}

func errMaxResultsTooSmall(value, least int32) error {
	return errInvalidParameterValue("Value ( %d ) for parameter maxResults is invalid. Expecting a value greater than or equal to %d.", value, least)
}

func errMaxResultsTooLarge(value, most int32) error {
	return errInvalidParameterValue("Value ( %d ) for parameter maxResults is invalid. Expecting a value less than or equal to %d.", value, most)
}

func errReservedTagKey() error {
	return errInvalidParameterValue("Tag keys starting with 'aws:' are reserved for internal use")
}

func errMissingParameter(name string) error {
	return awsapi.Errorf("MissingParameter", "The request must contain the parameter %s", name)
}

// errNotImplemented refuses a parameter or a value that AWS has and this installation does not do.
func errNotImplemented(what string) error {
	return &awsapi.Error{Code: "NotImplemented", Message: what + " is not implemented by Mini AWS.", Status: http.StatusNotImplemented, Fault: smithy.FaultServer}
}

func errTagLimitExceeded() error {
	return awsapi.Errorf("TagLimitExceeded", "The maximum number of Tags for a resource has been reached.")
}

func errInvalidZone(name string, known []zone) error {
	return errInvalidParameterValue("Value (%s) for parameter availabilityZone is invalid. Subnets can currently only be created in the following availability zones: %s.", name, zoneNames(known))
}
