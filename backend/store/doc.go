// Package store keeps the metadata of the whole cloud: ordered keys, snapshot reads, optimistic transactions,
// typed tables with indexes, and a change feed. What Update has acknowledged survives kill -9.
//
// # Key tree
//
//	/<fork>/<account>/<region>/<service>/<table>/<id>                    one record
//	/<fork>/<account>/<region>/<service>/<table>@<index>/<value><id>     one index row, its value is the id
//	│       │         │
//	│       │         └ "_" in tables that are not regional (IAM users, bucket names)
//	│       └ "_" in tables that no account owns (access key -> account, shared images, the todo index)
//	└ "0", or the name of a whole-cloud checkpoint
//
//	/0/123456789012/us-east-1/ec2/instances/i-0123456789abcdef0
//	/0/123456789012/us-east-1/ec2/instances@vpc/vpc-0a…<sep>i-0123456789abcdef0
//	/0/_/_/s3/buckets/photos
//	/0/_/_/store/schemas/ec2.instances                                   schema version of a table
//
// The five names hold only letters, digits, "_", "-" and "."; an id is a tuple of arbitrary byte strings that
// keeps its order in the tree (see [ID]).
//
// # The story of one commit
//
//  1. Update runs the closure on a snapshot; it notes the keys and ranges that were read and buffers the writes.
//  2. The committer takes all waiting transactions, refuses those whose reads were overwritten (the caller
//     retries on a newer snapshot) and gives each of the rest its revision. While several write at once, a small group
//     waits for more, at most three quarters as long as a sync takes.
//  3. The group becomes one record in the log, made durable by one fdatasync: from here on it is true.
//  4. The applier writes the group to the index (Badger), which nobody syncs: it can be rebuilt.
//  5. The caller is answered; whoever reads from now on sees the commit, and watchers receive it.
//
// # Files
//
//	LOCK FORMAT          one process at a time; version of this layout
//	log/*.log            the truth: pre-written segments of records (length, CRC32C, revision, transactions)
//	log/*.spare          segments ready to be used
//	checkpoint/*.dump    a complete, checksummed dump; log segments are only reused behind one
//	index/               Badger; thrown away and rebuilt from dump + log whenever it is in doubt
//	index.trust          present while the index may be believed; names the boot that wrote it
//
// # What it does not do
//
// It does not replicate, does not encrypt, and has no query language. Keys under one DB belong to one process.
package store
