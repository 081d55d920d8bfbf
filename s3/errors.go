package s3

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/aws/smithy-go"

	"miniaws/awsapi"
)

// AWS: "Error responses" of the S3 API reference has the codes and statuses; the words are what the service answers,
// where that page has others.

// refusal makes an error of the client. Fields are names and values in turn.
func refusal(status int, code, message string, fields ...string) error {
	e := &awsapi.Error{Code: code, Message: message, Status: status, Fault: smithy.FaultClient}
	for i := 0; i+1 < len(fields); i += 2 {
		if e.Fields == nil {
			e.Fields = map[string]string{}
		}
		e.Fields[fields[i]] = fields[i+1]
	}
	return e
}

// errAccessDenied is for what no policy decides: an owner that is not the expected one, a retention that stands.
func errAccessDenied() error {
	return refusal(http.StatusForbidden, "AccessDenied", "Access Denied")
}

// errPublicPolicy is the answer to a public policy where "Block public access" keeps the bucket private.
//
// AWS: "Troubleshoot access denied (403 Forbidden) errors in Amazon S3": such a denial names caller, action, resource and
// the setting; the last words are as users report them.
func errPublicPolicy(ctx context.Context, bucket string) error {
	return refusal(http.StatusForbidden, "AccessDenied", fmt.Sprintf("User: %s is not authorized to perform: s3:PutBucketPolicy on resource: %q because public policies are prevented by the BlockPublicPolicy setting in S3 Block Public Access.",
		awsapi.FromContext(ctx).Principal.ARN, bucket))
}

// AWS: "Bucket owner condition": a mismatch answers 403 AccessDenied.
func errWrongOwner() error { return errAccessDenied() }

// errWrongRegion tells the client where the bucket is; SDKs sign again for that region.
// AWS: "Error responses", AuthorizationHeaderMalformed. The endpoint is the same for all regions, so it is never the
// endpoint that is wrong (PermanentRedirect), only the signature.
func errWrongRegion(r *awsapi.Request, actual string) error {
	code, where := "AuthorizationHeaderMalformed", "The authorization header is malformed; "
	if r.HTTP != nil && strings.Contains(r.HTTP.URL.RawQuery, "X-Amz-Signature=") {
		code, where = "AuthorizationQueryParametersError", "Error parsing the X-Amz-Credential parameter; "
	}
	return refusal(http.StatusBadRequest, code, fmt.Sprintf("%sthe region '%s' is wrong; expecting '%s'", where, r.Region, actual), "Region", actual)
}

func errBucketAlreadyExists(name string) error {
	return refusal(http.StatusConflict, "BucketAlreadyExists", "The requested bucket name is not available. The bucket namespace is shared by all users of the system. Please select a different name and try again.", "BucketName", name)
}

func errBucketAlreadyOwnedByYou(name string) error {
	return refusal(http.StatusConflict, "BucketAlreadyOwnedByYou", "Your previous request to create the named bucket succeeded and you already own it.", "BucketName", name)
}

func errBucketNotEmpty(name string, versioned bool) error {
	message := "The bucket you tried to delete is not empty"
	if versioned {
		message = "The bucket you tried to delete is not empty. You must delete all versions in the bucket."
	}
	return refusal(http.StatusConflict, "BucketNotEmpty", message, "BucketName", name)
}

func errIllegalLocationConstraint(constraint string) error {
	if constraint == "" {
		constraint = "unspecified"
	}
	return refusal(http.StatusBadRequest, "IllegalLocationConstraintException",
		"The "+constraint+" location constraint is incompatible for the region specific endpoint this request was sent to.")
}

// errInvalidArgument says which argument it is about, and its value if there is one.
func errInvalidArgument(message, name, value string) error {
	if value == "" {
		return refusal(http.StatusBadRequest, "InvalidArgument", message, "ArgumentName", name)
	}
	return refusal(http.StatusBadRequest, "InvalidArgument", message, "ArgumentName", name, "ArgumentValue", value)
}

func errInvalidBucketName(name string) error {
	return refusal(http.StatusBadRequest, "InvalidBucketName", "The specified bucket is not valid.", "BucketName", name)
}

func errInvalidBucketAclWithObjectOwnership() error {
	return refusal(http.StatusBadRequest, "InvalidBucketAclWithObjectOwnership", "Bucket cannot have ACLs set with ObjectOwnership's BucketOwnerEnforced setting")
}

func errInvalidBucketState(message string) error {
	return refusal(http.StatusConflict, "InvalidBucketState", message)
}

func errInvalidLocationConstraint(constraint string) error {
	return refusal(http.StatusBadRequest, "InvalidLocationConstraint", "The specified location-constraint is not valid", "LocationConstraint", constraint)
}

func errInvalidRequest(message string) error {
	return refusal(http.StatusBadRequest, "InvalidRequest", message)
}

func errMalformedXML() error {
	return refusal(http.StatusBadRequest, "MalformedXML", "The XML you provided was not well-formed or did not validate against our published schema")
}

func errNoSuchBucket(name string) error {
	return refusal(http.StatusNotFound, "NoSuchBucket", "The specified bucket does not exist", "BucketName", name)
}

// errNotImplementedHere is S3's own answer to a header that asks for what it does not do; the status is 501. Why is S3's
// additional message, or none.
func errNotImplementedHere(header, why string) error {
	e := &awsapi.Error{Code: "NotImplemented", Message: "A header you provided implies functionality that is not implemented", Status: http.StatusNotImplemented, Fault: smithy.FaultServer, Fields: map[string]string{"Header": header}}
	if why != "" {
		e.Fields["additionalMessage"] = why
	}
	return e
}

// AWS: "Controlling ownership of objects and disabling ACLs".
func errACLNotSupported() error {
	return refusal(http.StatusBadRequest, "AccessControlListNotSupported", "The bucket does not allow ACLs")
}

func errMethodNotAllowed() error {
	return refusal(http.StatusMethodNotAllowed, "MethodNotAllowed", "The specified method is not allowed against this resource.")
}

func errMalformedACL() error {
	return refusal(http.StatusBadRequest, "MalformedACLError", "The XML you provided was not well-formed or did not validate against our published schema")
}

func errUnexpectedContent() error {
	return refusal(http.StatusBadRequest, "UnexpectedContent", "This request does not support content")
}

func errInvalidTag(message, key string) error {
	return refusal(http.StatusBadRequest, "InvalidTag", message, "TagKey", key)
}

func errTooManyTags(message string) error {
	return refusal(http.StatusBadRequest, "BadRequest", message)
}

// errNotSet is the answer to a sub-resource that the bucket does not have.
func errNotSet(code, message, bucket string) error {
	return refusal(http.StatusNotFound, code, message, "BucketName", bucket)
}

// errMFARequired: AWS: "Configuring MFA delete"; the words are those that clients report.
func errMFARequired() error {
	return refusal(http.StatusForbidden, "AccessDenied", "Mfa Authentication must be used for this request")
}

func errIllegalVersioning(message string) error {
	return refusal(http.StatusBadRequest, "IllegalVersioningConfigurationException", message)
}

func errMissingHeader(name string) error {
	return refusal(http.StatusBadRequest, "MissingSecurityHeader", "Your request was missing a required header", "MissingHeaderName", name)
}

// errNoAccountNumber is of x-amz-expected-bucket-owner.
// AWS: "Error responses", InvalidBucketOwnerAWSAccountID.
func errNoAccountNumber() error {
	return refusal(http.StatusBadRequest, "InvalidBucketOwnerAWSAccountID", "The value of the expected bucket owner parameter must be an AWS account ID.")
}
