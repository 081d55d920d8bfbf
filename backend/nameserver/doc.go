// Package nameserver is the installation's DNS server on the host: the authority for the names under its domain, and for the
// public names of its instances.
//
// A question's way: [Server] reads it from UDP or TCP, [Zone] decides what its name is (the endpoint's, an instance's,
// unknown below the domain, or somebody else's) and answers with addresses, NXDOMAIN, no data, or REFUSED.
//
// It is no resolver: it asks nobody else, and knows nothing about names inside VPCs, whose resolvers are the node agent's. It
// keeps nothing; what it asks is what [Zone.Instance] reads.
package nameserver
