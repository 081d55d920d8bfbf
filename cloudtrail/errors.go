package cloudtrail

import (
	"miniaws/awsapi"
	"miniaws/awsapi/meta"
)

// AWS: the operations' pages of the CloudTrail API reference have the codes. All answer 400.

func errInsufficientS3BucketPolicy(bucket string) error {
	return awsapi.Errorf("InsufficientS3BucketPolicyException", "Incorrect S3 bucket policy is detected for bucket: %s", bucket)
}

func errInvalidEventCategory() error {
	return awsapi.Errorf("InvalidEventCategoryException", "The event category is not valid.")
}

func errInvalidEventSelectors(why string) error {
	return awsapi.Errorf("InvalidEventSelectorsException", "%s", why)
}

func errInvalidHomeRegion(region string) error {
	return awsapi.Errorf("InvalidHomeRegionException", "The home region of the trail is %s; the trail can only be changed there.", region)
}

func errInvalidLookupAttributes(why string) error {
	return awsapi.Errorf("InvalidLookupAttributesException", "%s", why)
}

func errInvalidMaxResults() error {
	return awsapi.Errorf("InvalidMaxResultsException", "MaxResults must be between 1 and 50.")
}

func errInvalidNextToken() error {
	return awsapi.Errorf("InvalidNextTokenException", "Invalid NextToken.")
}

func errInvalidParameterCombination(why string) error {
	return awsapi.Errorf("InvalidParameterCombinationException", "%s", why)
}

func errInvalidS3BucketName(why string) error {
	return awsapi.Errorf("InvalidS3BucketNameException", "%s", why)
}

func errInvalidS3Prefix(why string) error {
	return awsapi.Errorf("InvalidS3PrefixException", "%s", why)
}

func errInvalidTagParameter(why string) error {
	return awsapi.Errorf("InvalidTagParameterException", "%s", why)
}

func errInvalidTimeRange() error {
	return awsapi.Errorf("InvalidTimeRangeException", "The start time is after the end time.")
}

func errInvalidTrailName(why string) error {
	return awsapi.Errorf("InvalidTrailNameException", "%s", why)
}

func errMaximumNumberOfTrails(region string) error {
	return awsapi.Errorf("MaximumNumberOfTrailsExceededException", "You already have 5 trails in %s.", region)
}

func errResourceNotFound(arn string) error {
	return awsapi.Errorf("ResourceNotFoundException", "The specified resource %s was not found.", arn)
}

func errS3BucketDoesNotExist(bucket string) error {
	return awsapi.Errorf("S3BucketDoesNotExistException", "S3 bucket %s does not exist!", bucket)
}

func errTagsLimitExceeded(arn string) error {
	return awsapi.Errorf("TagsLimitExceededException", "The number of tags of %s would exceed the limit of 50.", arn)
}

func errTrailAlreadyExists(name, account string) error {
	return awsapi.Errorf("TrailAlreadyExistsException", "Trail %s already exists for customer: %s", name, account)
}

func errTrailNotFound(arn, account string) error {
	return awsapi.Errorf("TrailNotFoundException", "Unknown trail: %s for the user: %s", arn, account)
}

// errNotDone refuses what AWS has and this package has not.
func errNotDone(what string) error { return awsapi.NotImplemented(meta.CloudTrail, what) }
