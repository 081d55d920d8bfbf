// Package guestlink holds the links that instances' inits keep to the gateway, and runs things in instances by them.
//
// An instance dials out to the metadata service's address and asks for an upgrade; from then on the gateway opens
// streams, and each is an SSH connection whose server is init's own. So nothing listens inside for it, no security group
// needs a rule, and an instance without an sshd has sessions, too. Whoever opens a stream has decided before that somebody
// may: there is no further check behind it.
//
// It knows no AWS API and keeps no records: a link that broke is offered again by the instance.
package guestlink
