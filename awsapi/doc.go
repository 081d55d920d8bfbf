// Package awsapi turns AWS's wire protocols into calls on the SDK's own Go types and back. It knows protocols
// and no services: what a service's fields are called comes from package meta.
//
// A request's way through the codecs:
//
//	Message -> Codec.Decode -> *ec2.RunInstancesInput -> Codec.Validate -> handler
//	handler -> *ec2.RunInstancesOutput -> Codec.Encode -> Reply
//	handler -> error -> Codec.EncodeError -> Reply
//
// A plan pairs one Go type with one shape of the metadata by reflection. It is compiled when an operation is
// first used in one direction and dialect, published by an atomic pointer when it is complete, and never changed.
//
// What is decoded comes from strangers: form, JSON, CBOR and XML readers bound depth and the number of elements,
// and nothing is allocated by an index or a length that the sender merely claims (limits.go).
//
// Unknown JSON, CBOR and XML members are ignored, as AWS does; unknown query parameters are reported to the
// caller, because EC2 rejects them and the other services do not.
package awsapi
