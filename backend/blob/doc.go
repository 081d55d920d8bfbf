// Package blob keeps bytes: those of objects, and later those of volumes. What they mean is somebody else's record; a
// record holds a [Ref].
//
// The story of one upload:
//
//  1. [Store.Write] reads the body once. What is small (32 KiB) stays in memory; what is large goes to a file, while MD5,
//     the checksums and the encryption run beside each other. A file is synced, and its name too, before Write returns.
//  2. The caller's transaction writes its record and calls [Store.Keep]: small bytes become a row, a file gets a row that
//     says that it counts. One commit makes both true, or neither.
//  3. [Store.Discard] takes back what no transaction kept. A process that dies in between leaves a file without a row,
//     which the next start's sweep removes.
//  4. [Store.Drop], in the transaction that removes a record, takes a reference back. The last one wants the file removed:
//     that happens after the commit, by the reconcile loop.
//
// # At rest
//
// Every blob has a key of its own, made of the store's key (or of the customer's, for SSE-C) and the blob's random name.
// Bytes are AES-256-GCM in chunks of 64 KiB, each with its number as the nonce, so a range is read without the rest.
//
//	file = chunk 0 (65,536 bytes + tag of 16) | chunk 1 | ... | the last one, shorter
//
// # Tables
//
//	/0/_/_/blob/bytes/<id>    the bytes of a small blob, as they are at rest
//	/0/_/_/blob/files/<id>    a file that counts, and how many records refer to it
//
// # What it does not do
//
// It does not deduplicate, compress or replicate, and knows no names but its own. Files stand behind [Files], which a
// distributed store can implement.
package blob
