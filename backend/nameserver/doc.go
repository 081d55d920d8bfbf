// Package nameserver is the installation's DNS server on the host: the authority for the names under its domain, and for the
// public names and addresses of its instances.
//
// A question's way: [Server] reads it from UDP or TCP, [Zone] decides what its name is (the endpoint's, an instance's,
// unknown below the domain, or somebody else's) and answers with addresses, NXDOMAIN, no data, or REFUSED.
//
// The names below the domain are the same inside VPCs, whose resolvers are the node agent's and ask [Zone.Records].
//
// It is no resolver: it asks nobody else, and knows nothing about other names inside VPCs. It keeps nothing; what it asks is what
// [Zone.Instance] and [Zone.Pointer] read.
package nameserver
