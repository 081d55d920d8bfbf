// Package sha is the only place that imports a SHA-256 implementation other
// than the standard library's.
//
// It exists so that the choice is one line: everything that hashes bytes of
// callers (signatures, object bodies, snapshot blocks) imports this package,
// and a repository test can forbid the library everywhere else.
//
// It does no HMAC, no other hash, and keeps no state.
package sha
