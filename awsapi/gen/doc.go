// Command gen derives the wire metadata of every service from the Go source of the pinned SDK modules and
// writes it to awsapi/meta:
//
//	go run ./awsapi/gen            all services
//	go run ./awsapi/gen sqs ssm    only these (the Go tables are left alone)
//
// One service's way: source (parse the module) -> a front end (documents: serializers.go and deserializers.go;
// schemas: schemas/schemas.go) -> wire.Service -> pairing (walk the Go types against the shapes: every field
// must have a name, or it is listed in unmapped.golden) -> overlay (botocore's JSON, when it is installed, for
// HTTP statuses and constraints; otherwise what was committed before is kept) -> output.
//
// The output is deterministic and committed; nobody needs this command, or botocore, to build. The SDK's source
// is read, never copied. It is a build tool and no part of the server.
package main
