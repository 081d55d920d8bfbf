package meta

// Status gives the HTTP status of codes that no model lists: those that every service shares, and most of
// S3's and EC2's. 0 when the code is unknown.
func (s *Service) Status(code string) int {
	if s == S3 || s == S3Control {
		if n := s3Statuses[code]; n != 0 {
			return n
		}
	}
	return commonStatuses[code]
}

// AWS: "Common Error Types" of the query services' and the JSON services' API references, EC2's "Error codes".
var commonStatuses = map[string]int{
	"AccessDenied":                         403,
	"AccessDeniedException":                400,
	"AuthFailure":                          401,
	"Blocked":                              403,
	"ExpiredToken":                         403,
	"ExpiredTokenException":                403,
	"IncompleteSignature":                  400,
	"InternalError":                        500,
	"InternalFailure":                      500,
	"InternalServerError":                  500,
	"InvalidClientTokenId":                 403,
	"InvalidSignatureException":            403,
	"MissingAuthenticationToken":           403,
	"NotAuthorized":                        400,
	"NotImplemented":                       501,
	"OptInRequired":                        403,
	"PendingVerification":                  401,
	"RequestExpired":                       400,
	"RequestLimitExceeded":                 503,
	"ServiceUnavailable":                   503,
	"SignatureDoesNotMatch":                403,
	"UnauthorizedOperation":                403,
	"Unavailable":                          503,
	"UnrecognizedClientException":          403,
	"InsufficientAddressCapacity":          500,
	"InsufficientCapacity":                 500,
	"InsufficientHostCapacity":             500,
	"InsufficientInstanceCapacity":         500,
	"InsufficientReservedInstanceCapacity": 500,
	"InsufficientVolumeCapacity":           500,
}

// AWS: Amazon S3 API Reference, "Error responses", "List of error codes". What is not here is 400.
var s3Statuses = map[string]int{
	"AccessControlListNotSupported":                  400,
	"AccessDenied":                                   403,
	"AccountProblem":                                 403,
	"AllAccessDisabled":                              403,
	"BucketAlreadyExists":                            409,
	"BucketAlreadyOwnedByYou":                        409,
	"BucketNotEmpty":                                 409,
	"ConditionalRequestConflict":                     409,
	"CrossLocationLoggingProhibited":                 403,
	"ExpiredToken":                                   400,
	"InternalError":                                  500,
	"InvalidAccessKeyId":                             403,
	"InvalidBucketState":                             409,
	"InvalidObjectState":                             403,
	"InvalidPayer":                                   403,
	"InvalidRange":                                   416,
	"InvalidSecurity":                                403,
	"InvalidTag":                                     400,
	"MethodNotAllowed":                               405,
	"MissingContentLength":                           411,
	"NoSuchBucket":                                   404,
	"NoSuchBucketPolicy":                             404,
	"NoSuchConfiguration":                            404,
	"NoSuchCORSConfiguration":                        404,
	"NoSuchKey":                                      404,
	"NoSuchLifecycleConfiguration":                   404,
	"NoSuchObjectLockConfiguration":                  404,
	"NoSuchPublicAccessBlockConfiguration":           404,
	"NoSuchTagSet":                                   404,
	"NoSuchUpload":                                   404,
	"NoSuchVersion":                                  404,
	"NoSuchWebsiteConfiguration":                     404,
	"NotModified":                                    304,
	"NotSignedUp":                                    403,
	"ObjectLockConfigurationNotFoundError":           404,
	"OperationAborted":                               409,
	"OwnershipControlsNotFoundError":                 404,
	"PreconditionFailed":                             412,
	"ReplicationConfigurationNotFoundError":          404,
	"RequestTimeTooSkewed":                           403,
	"RestoreAlreadyInProgress":                       409,
	"ServerSideEncryptionConfigurationNotFoundError": 404,
	"ServiceUnavailable":                             503,
	"SlowDown":                                       503,
	"UnauthorizedAccess":                             403,
}
