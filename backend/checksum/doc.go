// Package checksum has the checksums that S3 verifies, keeps and returns: how they are called, computed, and put
// together from those of an object's parts.
//
// It does not decide which one an object gets, and compares nothing in constant time: a checksum is no secret.
package checksum
