// Package s3 is Amazon S3: buckets and their settings, objects and their versions, on the store and the blobs.
//
// The story of one request, GET /photos/cat.jpg?versionId=…:
//
//  1. awsapi verifies the signature and decodes it into an *s3.GetObjectInput.
//  2. The operation's access function (access.go) finds the bucket, which may refuse at once (NoSuchBucket, another
//     region, another owner than expected), and answers s3:GetObjectVersion on arn:aws:s3:::photos/cat.jpg with the
//     condition keys that S3 knows.
//  3. The authorizer asks [Service.ResourcePolicy] for what the bucket says: its policy and, as statements of the same
//     language, its ACL and the object's, as far as ownership controls and the public access blocks let them count.
//  4. The handler reads the records in one transaction and answers.
//
// # Tables
//
//	/0/_/_/s3/buckets/NAME                        the hot record of a bucket: owner, region, versioning, flags
//	/0/_/_/s3/buckets@owner/ACCOUNT,NAME          ListBuckets
//	/0/_/_/s3/settings/NAME,KIND,ID,PART          sub-resources: policy, CORS, lifecycle, website, inventory, ...
//
// Bucket names are one name space for all accounts, so the tables have no account and region in their place; the
// record says whose a bucket is and where.
//
// A sub-resource is stored as the SDK's own type, as JSON, in parts of at most 48 KiB; the bucket's record holds only
// what most requests need, so that reading it costs little.
//
// # What is not done
//
// docs/s3-compatibility.md lists it with reasons.
package s3
