// Package meta says which services exist and how each one is addressed: version, signing name, target prefix,
// XML namespace, protocols, operations. The wire names and the constraints are in one blob each (X.wire,
// X.rules), embedded as strings and unpacked when the service gets its first request, so that a server that is
// never asked for EC2 never touches EC2's tables.
//
// The blobs, services.go and the packages below unions are generated: go run ./awsapi/gen. HTTP statuses and codes of errors are in
// the blobs too (wire.Error), as far as a model has them; statuses.go and validation.go say what no model says.
//
// The package imports no types and no client of the SDK: initializing those of all services would cost every start many
// milliseconds. The unions of a service, which reflection cannot list, are in a package of their own, unions/NAME, which the
// package that serves it imports.
package meta
