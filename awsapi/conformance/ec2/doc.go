// Package ec2 runs EC2's official client against the codecs; see package conformance. It is alone because the
// client takes more than a minute and 2.6 GiB to compile with a cold cache.
package ec2
