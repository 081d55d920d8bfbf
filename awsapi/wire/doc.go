// Package wire is the compact description of one service's wire format: which Go field travels under which
// name, in which list, header or query parameter. It is made by awsapi/gen from the SDK's own source, packed
// into one blob a service (package meta embeds it) and unpacked when the service gets its first request.
//
//	awsapi/gen -> Encode -> awsapi/meta/X.wire -> Decode (first request) -> awsapi's reflection plans
//
// Requests and responses have tables of their own: the same Go type has other names each way in the query
// protocols. Services of the JSON and CBOR family share one table.
//
// The package knows no protocol rules and no Go types; it only carries names.
package wire
