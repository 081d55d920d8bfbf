package ec2

import (
	"reflect"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// unsupported refuses parameters of an operation that are not done here, if the call sets one: pairs of name and value.
func unsupported(operation string, pairs ...any) error {
	for i := 0; i+1 < len(pairs); i += 2 {
		value := reflect.ValueOf(pairs[i+1])
		switch {
		case !value.IsValid(), value.IsZero(), value.Kind() == reflect.Slice && value.Len() == 0:
		case asksNothing(pairs[i+1]):
		default:
			return errNotImplemented("The parameter " + pairs[i].(string) + " of " + operation)
		}
	}
	return nil
}

// asksNothing is for values that say what holds anyway: switches that are off, counts and indexes of zero.
func asksNothing(value any) bool {
	switch v := value.(type) {
	case *bool:
		return !aws.ToBool(v)
	case *int32:
		return aws.ToInt32(v) == 0
	}
	return false
}
