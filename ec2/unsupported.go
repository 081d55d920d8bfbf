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
		case isFalse(pairs[i+1]):
		default:
			return errNotImplemented("The parameter " + pairs[i].(string) + " of " + operation)
		}
	}
	return nil
}

func isFalse(value any) bool {
	b, ok := value.(*bool)
	return ok && !aws.ToBool(b)
}
