package meta

// Style is how a service words that a parameter is missing or wrong.
type Style uint8

// The styles.
const (
	Coral     Style = iota // "1 validation error detected: Value null at 'x' failed to satisfy constraint: …"
	EC2Style               // "The request must contain the parameter X"
	RDSStyle               // "The parameter X must be provided and must not be blank."
	Unchecked              // the service checks by hand: S3, Route 53
)

// Validation says which code and words a service uses for what its model forbids.
//
// AWS: the services' pages of common errors have ValidationError and ValidationException, no page has the words or
// says when a code is used. Coral's words and codes are as clients report them (boto3 issue 2601). EC2 has
// MissingParameter and InvalidParameterValue on "Error codes for the Amazon EC2 API". SQS's MissingParameter is
// reported with these words (php-enqueue/sqs issue 2). Known to be otherwise in reports, and not followed yet:
// RDS answers InvalidParameterValue when a parameter is absent ("must be provided and must not be empty", boto issue
// 403), SNS "Invalid parameter: X Reason: no value for required parameter" (sul-dlss/dlme issue 432). Without any
// source: what RDS and ElastiCache say of a bad value, and Organizations' and CloudWatch's words.
type Validation struct {
	Style   Style
	Missing string // code when a required member is absent
	Invalid string // code when a value is outside its set or range
}

// Validation looks up the service's way.
func (s *Service) Validation() Validation {
	switch s {
	case IAM, STS, CloudFormation, AutoScaling, ELB, ELBv2:
		return Validation{Coral, "ValidationError", "ValidationError"}
	case EC2:
		return Validation{EC2Style, "MissingParameter", "InvalidParameterValue"}
	case RDS, ElastiCache:
		return Validation{RDSStyle, "MissingParameter", "InvalidParameterValue"}
	case CloudWatchLogs:
		return Validation{Coral, "InvalidParameterException", "InvalidParameterException"}
	case CloudWatch:
		return Validation{Coral, "ValidationError", "ValidationError"}
	case SNS:
		return Validation{Coral, "InvalidParameter", "InvalidParameter"}
	case SQS:
		return Validation{EC2Style, "MissingParameter", "InvalidParameterValue"}
	case Organizations:
		return Validation{Coral, "InvalidInputException", "InvalidInputException"}
	case S3, S3Control, Route53:
		return Validation{Style: Unchecked}
	}
	return Validation{Coral, "ValidationException", "ValidationException"}
}
