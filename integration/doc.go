// Package integration drives the built mini-aws from outside, as its users do. Stories are testscript files under
// testdata: each gets an empty folder, its own port and its own data folder, and only what a user has.
package integration
