package ec2

import "reflect"

// overlay copies the fields that are set in from over those of into: both are pointers to the same struct type.
func overlay[T any](into, from *T) {
	target, source := reflect.ValueOf(into).Elem(), reflect.ValueOf(from).Elem()
	for i := range target.NumField() {
		if target.Type().Field(i).IsExported() && !source.Field(i).IsZero() {
			target.Field(i).Set(source.Field(i))
		}
	}
}
