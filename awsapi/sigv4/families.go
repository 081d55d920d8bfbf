package sigv4

// Family is a group of services that word authentication errors alike.
type Family uint8

// The families. REST-XML services other than S3 (Route 53) answer like Query;
// CBOR services answer like JSON.
const (
	Query Family = iota
	EC2
	JSON
	RESTJSON
	S3
	families // count
)

// row is an answer before its placeholders are filled in.
type row struct {
	code    string
	status  int
	message string
}

const (
	msgMismatch  = "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details."
	msgToken     = "The security token included in the request is invalid."
	msgExpired   = "The security token included in the request is expired"
	msgMissing   = "Request is missing Authentication Token"
	msgAlgorithm = "Unsupported AWS 'algorithm': '{got}' (only AWS4-HMAC-SHA256 for now)."
	msgElements  = "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got '{got}'"
	msgScopeDate = "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '{got}' != '{want}'."
	msgRegion    = "Credential should be scoped to a valid region, not '{got}'. "
	msgService   = "Credential should be scoped to correct service: '{want}'. "
	msgTerm      = "Credential should be scoped with a valid terminator: 'aws4_request', not '{got}'. "
	msgNoDate    = "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header."
	msgBadDate   = "Date must be in ISO-8601 'basic format'. Got '{got}'. See http://en.wikipedia.org/wiki/ISO_8601"
	msgHost      = "'{got}' must be a 'SignedHeader' in the AWS Authorization."
	msgSkew      = "Signature {detail}"
)

// alike are kinds that only S3 has words of its own for: in the other families they answer like another kind.
var alike = map[Kind]Kind{
	MissingPayloadHash:   SignatureMismatch,
	InvalidPayloadHash:   SignatureMismatch,
	PayloadMismatch:      SignatureMismatch,
	MissingDecodedLength: SignatureMismatch,
	IncompleteBody:       SignatureMismatch,
	MalformedChunk:       SignatureMismatch,
	ChunkTooSmall:        SignatureMismatch,
	MalformedTrailer:     SignatureMismatch,

	MultipleAuth:          MalformedComponent,
	TooLarge:              MalformedComponent,
	MissingComponents:     MalformedComponent,
	MalformedExpires:      MalformedComponent,
	NegativeExpires:       MalformedComponent,
	ExpiresTooLong:        MalformedComponent,
	MalformedV2:           MalformedComponent,
	FormTooLarge:          MalformedComponent,
	InvalidPolicy:         MalformedComponent,
	PolicyConditionFailed: MalformedComponent,
	ExtraFormField:        MalformedComponent,
	EntityTooSmall:        MalformedComponent,
	EntityTooLarge:        MalformedComponent,

	PolicyExpired: Expired,
}

// AWS: "Common Errors" of the IAM, RDS and Auto Scaling API references (codes and statuses);
// "Troubleshoot signed requests for AWS APIs" in the IAM user guide (wording of scope and date errors);
// the wording of the rest as clients report it in their issue trackers.
var queryAnswers = map[Kind]row{
	MissingAuth:          {"MissingAuthenticationToken", 403, msgMissing},
	UnsupportedScheme:    {"IncompleteSignature", 400, msgAlgorithm},
	UnsupportedAlgorithm: {"IncompleteSignature", 400, msgAlgorithm},
	MalformedComponent:   {"IncompleteSignature", 400, "{detail}"},
	MalformedCredential:  {"IncompleteSignature", 400, msgElements},
	MalformedScopeDate:   {"SignatureDoesNotMatch", 403, msgScopeDate},
	WrongScopeDate:       {"SignatureDoesNotMatch", 403, msgScopeDate},
	WrongRegion:          {"SignatureDoesNotMatch", 403, msgRegion},
	WrongService:         {"SignatureDoesNotMatch", 403, msgService},
	WrongTerminator:      {"SignatureDoesNotMatch", 403, msgTerm},
	MissingDate:          {"IncompleteSignature", 400, msgNoDate},
	MalformedDate:        {"IncompleteSignature", 400, msgBadDate},
	UnknownAccessKey:     {"InvalidClientTokenId", 403, msgToken},
	InvalidToken:         {"InvalidClientTokenId", 403, msgToken},
	ExpiredToken:         {"ExpiredToken", 403, msgExpired},
	// AWS: clock skew of a header signature is SignatureDoesNotMatch in STS, not RequestExpired (aws-cli issue 6676).
	Skewed:            {"SignatureDoesNotMatch", 403, msgSkew},
	NotYetValid:       {"SignatureDoesNotMatch", 403, msgSkew},
	Expired:           {"RequestExpired", 400, "Request has expired."},
	UnsignedHeaders:   {"SignatureDoesNotMatch", 403, msgHost},
	SignatureMismatch: {"SignatureDoesNotMatch", 403, msgMismatch},
}

// AWS: "Error codes for the Amazon EC2 API"; AuthFailure comes with status 401. What is not here is
// in the list of common errors and answers like Query.
var ec2Answers = map[Kind]row{
	UnknownAccessKey:   {"AuthFailure", 401, msgAuthFailure},
	InvalidToken:       {"AuthFailure", 401, msgAuthFailure},
	ExpiredToken:       {"RequestExpired", 400, "Request has expired."},
	MalformedScopeDate: {"AuthFailure", 401, msgAuthFailure},
	WrongScopeDate:     {"AuthFailure", 401, msgAuthFailure},
	WrongRegion:        {"AuthFailure", 401, msgRegion},
	WrongService:       {"AuthFailure", 401, msgService},
	WrongTerminator:    {"AuthFailure", 401, msgTerm},
	Skewed:             {"RequestExpired", 400, "Request has expired."},
	NotYetValid:        {"RequestExpired", 400, "Request has expired."},
	UnsignedHeaders:    {"AuthFailure", 401, msgAuthFailure},
	SignatureMismatch:  {"AuthFailure", 401, msgAuthFailure},
}

const msgAuthFailure = "AWS was not able to validate the provided access credentials"

// AWS: "Common Errors" of JSON services (SSM, KMS, DynamoDB), whose protocol answers 400 for every
// error of the caller.
var jsonAnswers = jsonRows(400)

// AWS: REST-JSON services (EBS direct APIs, Lambda) use the same codes with 403 for a refused caller.
var restJSONAnswers = jsonRows(403)

// jsonRows lists the codes of JSON services; refused is the status of a caller that is not let in.
func jsonRows(refused int) map[Kind]row {
	return map[Kind]row{
		MissingAuth:          {"MissingAuthenticationTokenException", refused, msgMissing},
		UnsupportedScheme:    {"IncompleteSignatureException", 400, msgAlgorithm},
		UnsupportedAlgorithm: {"IncompleteSignatureException", 400, msgAlgorithm},
		MalformedComponent:   {"IncompleteSignatureException", 400, "{detail}"},
		MalformedCredential:  {"IncompleteSignatureException", 400, msgElements},
		MalformedScopeDate:   {"InvalidSignatureException", refused, msgScopeDate},
		WrongScopeDate:       {"InvalidSignatureException", refused, msgScopeDate},
		WrongRegion:          {"InvalidSignatureException", refused, msgRegion},
		WrongService:         {"InvalidSignatureException", refused, msgService},
		WrongTerminator:      {"InvalidSignatureException", refused, msgTerm},
		MissingDate:          {"IncompleteSignatureException", 400, msgNoDate},
		MalformedDate:        {"IncompleteSignatureException", 400, msgBadDate},
		UnknownAccessKey:     {"UnrecognizedClientException", refused, msgToken},
		InvalidToken:         {"UnrecognizedClientException", refused, msgToken},
		ExpiredToken:         {"ExpiredTokenException", refused, msgExpired},
		Skewed:               {"InvalidSignatureException", refused, msgSkew},
		NotYetValid:          {"InvalidSignatureException", refused, msgSkew},
		Expired:              {"InvalidSignatureException", refused, msgSkew},
		UnsignedHeaders:      {"InvalidSignatureException", refused, msgHost},
		SignatureMismatch:    {"InvalidSignatureException", refused, msgMismatch},
	}
}

const (
	s3Malformed = "The authorization header is malformed; "
	s3Parsing   = "Error parsing the X-Amz-Credential parameter; "

	s3Mechanism  = "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string parameter or the Authorization header should be specified"
	s3Algorithm  = "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256."
	s3Five       = `the Credential is mal-formed; expecting "<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request".`
	s3DateFormat = `incorrect date format "{got}". This date in the credential must be in the format "yyyyMMdd".`
	s3OtherDate  = `Invalid credential date "{got}". This date is not the same as X-Amz-Date: "{want}".`
	s3Region     = "the region '{got}' is wrong; expecting '{want}'"
	s3Service    = `incorrect service "{got}". This endpoint belongs to "{want}".`
	s3Terminator = `incorrect terminal "{got}". This endpoint uses "aws4_request".`
	s3NoDate     = "AWS authentication requires a valid Date or x-amz-date header"
	s3Required   = "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters."
	s3Hash       = "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-TRAILER, STREAMING-AWS4-HMAC-SHA256-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER, STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD, STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER or a valid sha256 value."
)

// AWS: "Error responses" in the S3 API reference (codes and statuses); the wording as S3 sends it,
// collected from the issue trackers of its clients.
var s3Answers = map[Kind]row{
	MissingAuth:          {"AccessDenied", 403, "Access Denied"},
	MultipleAuth:         {"InvalidArgument", 400, s3Mechanism},
	UnsupportedScheme:    {"InvalidArgument", 400, "{detail}"},
	UnsupportedAlgorithm: {"InvalidRequest", 400, s3Algorithm},
	TooLarge:             {"RequestHeaderSectionTooLarge", 400, "Your request header and query parameters used to make the request exceed the maximum allowed size."},
	MissingComponents:    {"AuthorizationHeaderMalformed", 400, s3Malformed + "{detail}"},
	MalformedComponent:   {"AuthorizationHeaderMalformed", 400, s3Malformed + "{detail}"},
	MalformedCredential:  {"AuthorizationHeaderMalformed", 400, s3Malformed + s3Five},
	MalformedScopeDate:   {"AuthorizationHeaderMalformed", 400, s3Malformed + s3DateFormat},
	WrongScopeDate:       {"AuthorizationHeaderMalformed", 400, s3Malformed + s3OtherDate},
	WrongRegion:          {"AuthorizationHeaderMalformed", 400, s3Malformed + s3Region},
	WrongService:         {"AuthorizationHeaderMalformed", 400, s3Malformed + s3Service},
	WrongTerminator:      {"AuthorizationHeaderMalformed", 400, s3Malformed + s3Terminator},
	MissingDate:          {"AccessDenied", 403, s3NoDate},
	MalformedDate:        {"AccessDenied", 403, s3NoDate},
	MalformedExpires:     {"AuthorizationQueryParametersError", 400, "X-Amz-Expires should be a number"},
	NegativeExpires:      {"AuthorizationQueryParametersError", 400, "X-Amz-Expires must be non-negative"},
	ExpiresTooLong:       {"AuthorizationQueryParametersError", 400, "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than 604800 seconds"},
	MalformedV2:          {"AccessDenied", 403, "{detail}"},
	MissingPayloadHash:   {"InvalidRequest", 400, "Missing required header for this request: x-amz-content-sha256"},
	InvalidPayloadHash:   {"InvalidArgument", 400, s3Hash},
	UnknownAccessKey:     {"InvalidAccessKeyId", 403, "The AWS Access Key Id you provided does not exist in our records."},
	InvalidToken:         {"InvalidToken", 400, "The provided token is malformed or otherwise invalid."},
	ExpiredToken:         {"ExpiredToken", 400, "The provided token has expired."},
	Skewed:               {"RequestTimeTooSkewed", 403, "The difference between the request time and the current time is too large."},
	NotYetValid:          {"AccessDenied", 403, "Request is not yet valid"},
	Expired:              {"AccessDenied", 403, "Request has expired"},
	UnsignedHeaders:      {"AccessDenied", 403, "There were headers present in the request which were not signed"},
	SignatureMismatch:    {"SignatureDoesNotMatch", 403, "The request signature we calculated does not match the signature you provided. Check your key and signing method."},

	PayloadMismatch:      {"XAmzContentSHA256Mismatch", 400, "The provided 'x-amz-content-sha256' header does not match what was computed."},
	MissingDecodedLength: {"MissingContentLength", 411, "You must provide the Content-Length HTTP header."},
	IncompleteBody:       {"IncompleteBody", 400, "The request body terminated unexpectedly"},
	MalformedChunk:       {"IncompleteBody", 400, "The request body terminated unexpectedly"},
	ChunkTooSmall:        {"InvalidChunkSizeError", 400, "Only the last chunk is allowed to have a size less than 8192 bytes"},
	MalformedTrailer:     {"MalformedTrailerError", 400, "The request contained trailing data that was not well-formed or did not conform to our published schema."},

	FormTooLarge:          {"MaxPostPreDataLengthExceeded", 400, "Your POST request fields preceding the upload file were too large."},
	InvalidPolicy:         {"InvalidPolicyDocument", 400, "Invalid Policy: {detail}"},
	PolicyExpired:         {"AccessDenied", 403, "Invalid according to Policy: Policy expired."},
	PolicyConditionFailed: {"AccessDenied", 403, "Invalid according to Policy: Policy Condition failed: {detail}"},
	ExtraFormField:        {"AccessDenied", 403, "Invalid according to Policy: Extra input fields: {detail}"},
	EntityTooSmall:        {"EntityTooSmall", 400, "Your proposed upload is smaller than the minimum allowed size"},
	EntityTooLarge:        {"EntityTooLarge", 400, "Your proposed upload exceeds the maximum allowed size"},
}

// s3QueryAnswers are the rows in which S3 words presigned URLs differently from header signatures.
var s3QueryAnswers = map[Kind]row{
	MissingComponents:   {"AuthorizationQueryParametersError", 400, s3Required},
	MalformedComponent:  {"AuthorizationQueryParametersError", 400, "{detail}"},
	MalformedCredential: {"AuthorizationQueryParametersError", 400, s3Parsing + s3Five},
	MalformedScopeDate:  {"AuthorizationQueryParametersError", 400, s3Parsing + s3DateFormat},
	WrongScopeDate:      {"AuthorizationQueryParametersError", 400, s3OtherDate},
	WrongRegion:         {"AuthorizationQueryParametersError", 400, s3Parsing + s3Region},
	WrongService:        {"AuthorizationQueryParametersError", 400, s3Parsing + s3Service},
	WrongTerminator:     {"AuthorizationQueryParametersError", 400, s3Parsing + s3Terminator},
	MissingDate:         {"AuthorizationQueryParametersError", 400, s3Required},
	MalformedDate:       {"AuthorizationQueryParametersError", 400, `X-Amz-Date must be in the ISO8601 Long Format "yyyyMMdd'T'HHmmss'Z'"`},
}

// s3FormAnswers are the rows in which S3 words the signatures of POST forms differently from those of headers.
//
// AWS: "Error responses", InvalidArgument; which code, and the words, as versitygw's tests found them at S3 (PostObject).
var s3FormAnswers = map[Kind]row{
	UnsupportedAlgorithm: {"InvalidArgument", 400, "Only AWS4-HMAC-SHA256 is supported"},
	MissingComponents:    {"InvalidArgument", 400, "{detail}"},
	MalformedComponent:   {"InvalidArgument", 400, "{detail}"},
	MalformedCredential:  {"InvalidArgument", 400, s3Five},
	MalformedScopeDate:   {"InvalidArgument", 400, s3DateFormat},
	WrongScopeDate:       {"InvalidArgument", 400, s3OtherDate},
	WrongRegion:          {"InvalidArgument", 400, s3Region},
	WrongService:         {"InvalidArgument", 400, s3Service},
	WrongTerminator:      {"InvalidArgument", 400, s3Terminator},
	MissingDate:          {"InvalidArgument", 400, "{detail}"},
	MalformedDate:        {"InvalidArgument", 400, "X-Amz-Date must be formated via ISO8601 Long format"},
}

// s3Carried is what S3 words by where the signature is.
var s3Carried = map[Carrier]map[Kind]row{InQuery: s3QueryAnswers, InForm: s3FormAnswers}

// answers is (family, Kind) -> code, status, message; kinds that EC2 does not name answer like Query.
var answers = [families]map[Kind]row{Query: queryAnswers, EC2: ec2Answers, JSON: jsonAnswers, RESTJSON: restJSONAnswers, S3: s3Answers}
