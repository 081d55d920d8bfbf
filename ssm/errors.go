package ssm

import (
	"net/http"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"miniaws/awsapi"
)

// The errors of the service, by code. The words are those that the service's clients see; the codes are in the API
// reference of each operation.

// AWS: "AddTagsToResource", Errors.
func errInvalidResourceID() error {
	return awsapi.Errorf("InvalidResourceId", "The resource ID isn't valid. Verify that you entered the correct ID and try again.")
}

func errReservedName(name string) error {
	return awsapi.Errorf("AccessDeniedException", "No access to reserved parameter name: %s.", name)
}

// AWS: "PutParameter", Errors: "A hierarchy can have a maximum of 15 levels."
func errHierarchyLevels() error {
	return awsapi.Errorf("HierarchyLevelLimitExceededException", "A hierarchy can have a maximum of 15 levels. For more information, see Requirements and constraints for parameter names in the AWS Systems Manager User Guide.")
}

func errAllowedPattern(pattern string) error {
	return awsapi.Errorf("InvalidAllowedPatternException", "The request does not meet the regular expression requirement: %s", pattern)
}

// The words of these four are what the service answers; its reference has the codes ("DescribeParameters", Errors).

func errInvalidFilterKey(key string, allowed []string) error {
	return awsapi.Errorf("InvalidFilterKey", "The following filter key is not valid: %s. Valid filter keys include: [%s].", key, strings.TrimSuffix(strings.Join(allowed, ", "), ", tag:"))
}

func errRepeatedFilter(key string) error {
	return awsapi.Errorf("InvalidFilterKey", "The following filter is duplicated in the request: %s. A request can contain only one occurrence of a specific filter.", key)
}

func errInvalidFilterOption(option string, allowed ...string) error {
	return awsapi.Errorf("InvalidFilterOption", "The following filter option is not valid: %s. Valid options include: [%s].", option, strings.Join(allowed, ", "))
}

func errUnknownFilterValue(value string, allowed []string) error {
	return awsapi.Errorf("InvalidFilterOption", "The following filter value is not valid: %s. Valid values include: [%s].", value, strings.Join(allowed, ", "))
}

func errInvalidFilterValue(message string) error {
	return awsapi.Errorf("InvalidFilterValue", "%s", message)
}

// errInvalidKeyID: there is no KMS yet, so the account's default key is the only one.
func errInvalidKeyID(id string) error {
	return awsapi.Errorf("InvalidKeyId", "Invalid keyId '%s'", id)
}

func errInvalidNextToken() error {
	return awsapi.Errorf("InvalidNextToken", "The specified token isn't valid.")
}

func errParameterAlreadyExists() error {
	return awsapi.Errorf("ParameterAlreadyExists", "The parameter already exists. To overwrite this value, set the overwrite option in the request to true.")
}

func errMaxVersions(name string, version int64) error {
	return awsapi.Errorf("ParameterMaxVersionLimitExceeded", "You attempted to create a new version of %s by calling the PutParameter API with the overwrite flag. Version %d, the oldest version, can't be deleted because it has a label associated with it. Move the label to another version of the parameter, and try again.", name, version)
}

// AWS answers GetParameter with the code and no words.
func errParameterNotFound(message string) error {
	return awsapi.Errorf("ParameterNotFound", "%s", message)
}

func errPatternMismatch(pattern string) error {
	return awsapi.Errorf("ParameterPatternMismatchException", "Parameter value, cannot be validated against allowedPattern: %s", pattern)
}

// AWS: "LabelParameterVersion": "A parameter version can have a maximum of ten labels."
func errTooManyLabels() error {
	return awsapi.Errorf("ParameterVersionLabelLimitExceeded", "A parameter version can have a maximum of ten labels.")
}

func errVersionNotFound(name, version string) error {
	return awsapi.Errorf("ParameterVersionNotFound", "Systems Manager could not find version %s of %s. Verify the version and try again.", version, name)
}

// AWS: "AddTagsToResource": TooManyTagsError.
func errTooManyTags() error {
	return awsapi.Errorf("TooManyTagsError", "The Targets parameter includes too many tags. Remove one or more tags and try the command again.")
}

func errTypeChange() error {
	return awsapi.Errorf("HierarchyTypeMismatchException", "Parameter Store does not support changing a parameter type in a hierarchy. For example, you can't change a parameter from a String type to a SecureString type. You must create a new, unique parameter.")
}

// errValidation is the service's catch-all for values that it does not take.
func errValidation(message string) error {
	return &awsapi.Error{Code: "ValidationException", Message: message, Status: http.StatusBadRequest}
}

// AWS: "PutParameter", Errors, are those of policies.
func errTooManyPolicies() error {
	return awsapi.Errorf("PoliciesLimitExceededException", "You specified more than the maximum number of allowed policies for the parameter. The maximum is 10.")
}

func errPolicyType(name string) error {
	return awsapi.Errorf("InvalidPolicyTypeException", "The policy type %s isn't supported. Parameter Store supports the following policy types: Expiration, ExpirationNotification, and NoChangeNotification.", name)
}

func errPolicyAttribute(message string) error {
	return awsapi.Errorf("InvalidPolicyAttributeException", "A policy attribute or its value is invalid. %s", message)
}

func errPolicyConflict() error {
	return awsapi.Errorf("IncompatiblePolicyException", "There is a conflict in the policies specified for this parameter. You can't, for example, specify two Expiration policies for a parameter. Review your policies, and try again.")
}

func errNotificationsNotServed(name string) error {
	return &awsapi.Error{Code: "NotImplemented", Message: "Mini AWS does not implement the parameter policy " + name + ": there is no EventBridge that it could notify.", Status: http.StatusNotImplemented}
}

// AWS: "StartSession", Errors.
func errTargetNotConnected(target string) error {
	return awsapi.Errorf("TargetNotConnected", "%s is not connected.", target)
}

func errInvalidDocument(name string) error {
	return awsapi.Errorf("InvalidDocument", "Document with name %s does not exist.", name)
}

// AWS answers StartSession with a wrong parameter of the document as an invalid document.
func errInvalidSessionParameter(name string) error {
	return awsapi.Errorf("InvalidParameters", "The parameter %s of the session document is not valid.", name)
}

func errNoSession(id string) error {
	return awsapi.Errorf("DoesNotExistException", "Session with ID %s does not exist.", id)
}

// errListFilterKey is for lists of sessions, commands and documents.
func errListFilterKey(key string) error {
	return awsapi.Errorf("InvalidFilterKey", "The specified filter key %s isn't valid.", key)
}

func errInvalidInstanceFilter(key string) error {
	return awsapi.Errorf("InvalidInstanceInformationFilterValue", "The specified filter key %s isn't valid.", key)
}

// AWS: "SendCommand", Errors.
func errInvalidInstance(id, account string) error {
	return awsapi.Errorf("InvalidInstanceId", "Instances [[%s]] not in a valid state for account %s", id, account)
}

func errInvalidTarget(key string) error {
	return awsapi.Errorf("InvalidTarget", "The target %s isn't valid.", key)
}

func errInvalidParameters(why string) error {
	return awsapi.Errorf("InvalidParameters", "Parameters provided in the request aren't valid: %s.", why)
}

func errMaxDocumentSize() error {
	return awsapi.Errorf("MaxDocumentSizeExceeded", "The size limit of a document is 64 KB.")
}

func errInvalidCommandID() error {
	return awsapi.Errorf("InvalidCommandId", "The specified command ID isn't valid. Verify the ID and try again.")
}

// AWS: "GetCommandInvocation", Errors.
func errNoInvocation() error {
	return awsapi.Errorf("InvocationDoesNotExist", "The command ID and managed node ID you specified did not match any invocations. Verify the command ID and the managed node ID and try again.")
}

func errInvalidPluginName() error {
	return awsapi.Errorf("InvalidPluginName", "The plugin name isn't valid.")
}

func errNotImplemented(what string) error {
	return &awsapi.Error{Code: "NotImplemented", Message: "Mini AWS does not implement " + what + ".", Status: http.StatusNotImplemented}
}

// AWS: "CreateDocument", "UpdateDocument", "DeleteDocument" and "ModifyDocumentPermission", Errors.
func errDocumentExists() error {
	return awsapi.Errorf("DocumentAlreadyExists", "The specified document already exists.")
}

func errTooManyDocuments() error {
	return awsapi.Errorf("DocumentLimitExceeded", "You can have at most 500 active Systems Manager documents.")
}

func errTooManyDocumentVersions() error {
	return awsapi.Errorf("DocumentVersionLimitExceeded", "The document has too many versions. Delete one or more document versions and try again.")
}

func errTooManySharers() error {
	return awsapi.Errorf("DocumentPermissionLimit", "The document can't be shared with more Amazon Web Services accounts. You can specify a maximum of 20 accounts per API operation to share a private document.")
}

func errDuplicateContent() error {
	return awsapi.Errorf("DuplicateDocumentContent", "The content of the association document matches another document. Change the content of the document and try again.")
}

func errDuplicateVersionName() error {
	return awsapi.Errorf("DuplicateDocumentVersionName", "The version name has already been used in this document. Specify a different version name, and then try again.")
}

func errInvalidDocumentContent(why string) error {
	return awsapi.Errorf("InvalidDocumentContent", "%s", why)
}

func errDocumentShared() error {
	return awsapi.Errorf("InvalidDocumentOperation", "Must unshare document first before deleting.")
}

func errDeleteDefaultVersion() error {
	return awsapi.Errorf("InvalidDocumentOperation", "Default version of the document can't be deleted.")
}

func errDocumentOfAmazon() error {
	return awsapi.Errorf("InvalidDocumentOperation", "Documents that are owned by Amazon can't be changed.")
}

func errDocumentSchema() error {
	return awsapi.Errorf("InvalidDocumentSchemaVersion", "The version of the document schema isn't supported.")
}

// AWS: "SendCommand", Errors.
func errInvalidDocumentType(typ types.DocumentType) error {
	return awsapi.Errorf("InvalidDocument", "Document type %s is not supported by Run Command.", typ)
}

func errInvalidDocumentVersion() error {
	return awsapi.Errorf("InvalidDocumentVersion", "The document version isn't valid or doesn't exist.")
}

func errInvalidPermissionType() error {
	return awsapi.Errorf("InvalidPermissionType", "The permission type isn't supported. Share is the only supported permission type.")
}

// AWS: "PutInventory", "GetInventory", "ListInventoryEntries" and "DeleteInventory", Errors.
func errTooManyCustomTypes() error {
	return awsapi.Errorf("CustomSchemaCountLimitExceededException", "You have exceeded the limit for custom schemas. Delete one or more custom schemas and try again.")
}

func errInvalidDeletionID() error {
	return awsapi.Errorf("InvalidDeletionIdException", "The ID specified for the delete operation doesn't exist or isn't valid. Verify the ID and try again.")
}

func errInvalidInventoryFilter() error {
	return awsapi.Errorf("InvalidFilter", "The filter name isn't valid. Verify that you entered the correct name and try again.")
}

// AWS: "DescribeInstanceProperties", Errors.
func errInvalidPropertyFilter() error {
	return awsapi.Errorf("InvalidInstancePropertyFilterValue", "The specified filter value isn't valid.")
}

func errItemContent() error {
	return awsapi.Errorf("InvalidItemContentException", "One or more content items isn't valid.")
}

func errInvalidDeleteOption() error {
	return awsapi.Errorf("InvalidOptionException", "The delete inventory option specified isn't valid. Verify the option and try again.")
}

func errInvalidResultAttribute() error {
	return awsapi.Errorf("InvalidResultAttributeException", "The specified inventory item result attribute isn't valid.")
}

func errInvalidTypeName() error {
	return awsapi.Errorf("InvalidTypeNameException", "The parameter type name isn't valid.")
}

func errItemMismatch() error {
	return awsapi.Errorf("ItemContentMismatchException", "The inventory item has invalid content.")
}

func errItemSize() error {
	return awsapi.Errorf("ItemSizeLimitExceededException", "The inventory item size has exceeded the size limit.")
}

func errUnsupportedInventoryVersion() error {
	return awsapi.Errorf("UnsupportedInventorySchemaVersionException", "Inventory item type schema version has to match supported versions in the service. Check output of GetInventorySchema to see the available schema version for each type.")
}

// AWS: "CreateAssociation", "UpdateAssociation", "DescribeAssociation" and "DescribeAssociationExecutionTargets", Errors.
func errAssociationExists() error {
	return awsapi.Errorf("AssociationAlreadyExists", "The specified association already exists.")
}

// AWS: "UpdateAssociation", Errors, which has no AssociationAlreadyExists. That this is what AWS answers where a document and an
// instance would name two associations rests on no page.
func errInvalidUpdate() error {
	return awsapi.Errorf("InvalidUpdate", "The update isn't valid.")
}

func errNoAssociation() error {
	return awsapi.Errorf("AssociationDoesNotExist", "The specified association doesn't exist.")
}

func errNoAssociationExecution() error {
	return awsapi.Errorf("AssociationExecutionDoesNotExist", "The specified execution ID doesn't exist. Verify the ID number and try again.")
}

func errTooManyAssociations() error {
	return awsapi.Errorf("AssociationLimitExceeded", "You can have at most 2,000 active associations.")
}

func errTooManyAssociationVersions() error {
	return awsapi.Errorf("AssociationVersionLimitExceeded", "You have reached the maximum number versions allowed for an association. Each association has a limit of 1,000 versions.")
}

// AWS: "StartAssociationsOnce", Errors.
func errInvalidAssociation() error {
	return awsapi.Errorf("InvalidAssociation", "The association isn't valid or doesn't exist.")
}

func errAssociationVersion() error {
	return awsapi.Errorf("InvalidAssociationVersion", "The version you specified isn't valid. Use ListAssociationVersions to view all versions of an association according to the association ID. Or, use the $LATEST parameter to view the latest version of the association.")
}

func errInvalidSchedule() error {
	return awsapi.Errorf("InvalidSchedule", "The schedule is invalid. Verify your cron or rate expression and try again.")
}
