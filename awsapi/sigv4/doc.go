// Package sigv4 verifies the signatures that AWS clients put on their requests.
//
// The story of one request:
//
//  1. Parse reads what the request claims: which key signed it, for which day,
//     region and service, over which headers and which kind of body.
//  2. The caller finds the secret of that access key (and checks the session
//     token); this package knows nothing about accounts or stores.
//  3. Verify rebuilds the canonical request from the bytes that arrived, signs
//     it with the secret and compares in constant time; it also checks the
//     clock, the scope, and that nothing that matters was left unsigned.
//  4. Body wraps a streamed body so that a wrong byte is refused before the
//     last one is handed out; a signed chunk before its first one is.
//  5. Every refusal is an *Error; Error.Answer says it in the words of the
//     service family (query, EC2, JSON, S3) that the client talks to.
//
// Understood: Signature Version 4 in the Authorization header, in the query
// (presigned URLs) and in S3 POST forms; S3's chunked bodies, signed and
// unsigned, with and without trailers; Signature Version 2 in S3 query strings
// and POST forms, because boto3 still presigns with it.
//
//	request ──Parse──▶ Signature ──Verify(secret)──▶ ok ──Body──▶ verified bytes
//	                       │              │                   │
//	                       └──────────────┴───── *Error ◀─────┘ ──Answer(family)──▶ code, status, message
//
// Not done here: Signature Version 4A (refused with the family's own error),
// Version 2 in the Authorization header (refused like S3's newer regions do),
// event stream signatures, the comparison of session tokens, checksums of
// trailers (the caller hashes the object anyway), and any authorization.
package sigv4
