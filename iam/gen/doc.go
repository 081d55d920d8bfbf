// Command gen packs the catalogue of AWS's managed policies into iam/aws_policies.bin. It reads, on standard input, JSON
// of this form (facts that AWS publishes; the moto package has them):
//
//	{"NAME": {"Path": "/", "CreateDate": "…", "UpdateDate": "…", "DefaultVersionId": "v1", "Document": {…}}, …}
//
//	python3 -c 'from moto.iam.aws_managed_policies import aws_managed_policies_data as d; print(d)' | go run ./iam/gen
//
// The file holds an index, compressed as a whole, and the documents, compressed in blocks of a few, so that reading one
// policy unpacks little:
//
//	length of the index (4 bytes, big endian) | index: deflated JSON | blocks: each deflated JSON, an array of texts
//
// It is a build tool: nothing of it is in the binary.
package main
