// Package conformance runs the official Go clients against the codecs of package awsapi. Every field of every
// operation's input is filled, the client serialises it, we decode and compare; every field of the output is
// filled, we encode, the client deserialises, and we compare again.
//
// Only this tree imports SDK clients. EC2 has a test package of its own (conformance/ec2): its client takes more
// than a minute and 2.6 GiB to compile with a cold cache.
package conformance
