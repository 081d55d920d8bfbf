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

// Validation says which code and words a service uses for what its model forbids. Taken from AWS's
// documentation and public reports; a code that turns out otherwise is changed here.
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
