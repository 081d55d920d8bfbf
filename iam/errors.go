package iam

import (
	"errors"
	"strings"

	"miniaws/awsapi"
)

// Every error of IAM, by code.
//
// AWS: "Common Errors" and each operation's "Errors" in the IAM API reference have the codes. The words are as clients
// report them; no page has them.

func errAccessDenied(message string) error {
	return &awsapi.Error{Code: "AccessDenied", Message: message, Status: 403}
}

func errDeleteConflict(message string) error { return awsapi.Errorf("DeleteConflict", "%s", message) }

func errEntityAlreadyExists(format string, args ...any) error {
	return awsapi.Errorf("EntityAlreadyExists", format, args...)
}

func errInvalidInput(format string, args ...any) error {
	return awsapi.Errorf("InvalidInput", format, args...)
}

func errLimitExceeded(format string, args ...any) error {
	return awsapi.Errorf("LimitExceeded", format, args...)
}

// errQuota is the usual refusal of a number too many.
func errQuota(quota string, limit int) error {
	return errLimitExceeded("Cannot exceed quota for %s: %d", quota, limit)
}

func errMalformedPolicyDocument(message string) error {
	return awsapi.Errorf("MalformedPolicyDocument", "%s", message)
}

func errNoSuchEntity(format string, args ...any) error {
	return awsapi.Errorf("NoSuchEntity", format, args...)
}

// errNotFound is for what has a name: "The user with name X cannot be found."
func errNotFound(what, name string) error {
	return errNoSuchEntity("The %s with name %s cannot be found.", what, name)
}

func errPolicyNotFound(arn string) error { return errNoSuchEntity("Policy %s was not found.", arn) }

func errPolicyNotAttachable(arn string) error {
	return errNoSuchEntity("Policy %s does not exist or is not attachable.", arn)
}

func errUnmodifiable(role string) error {
	return awsapi.Errorf("UnmodifiableEntity", "Cannot perform the operation on the protected role '%s' - this role is only modifiable by AWS", role)
}

func errValidation(format string, args ...any) error {
	return awsapi.Errorf("ValidationError", format, args...)
}

// errNoOwnName is for sessions of roles: they have no user name to fall back on.
func errNoOwnName() error {
	return errValidation("Must specify userName when calling with non-User credentials")
}

// errInvalidName is the refusal of a name with other characters.
func errInvalidName(member string) error {
	return errValidation("The specified value for %s is invalid. It must contain only alphanumeric characters and/or the following: +=,.@_-", member)
}

// article is for messages that begin with a kind's name.
func capital(word string) string { return strings.ToUpper(word[:1]) + word[1:] }

// isCode tells whether an error is AWS's of that code.
func isCode(err error, code string) bool {
	var known *awsapi.Error
	return errors.As(err, &known) && known.Code == code
}
