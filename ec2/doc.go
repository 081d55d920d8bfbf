// Package ec2 is Amazon EC2: instances and the virtual private cloud around them.
//
// The story of one CreateSubnet:
//
//  1. awsapi decodes the call and asks this package's access function which resources it is about (access.go).
//  2. The handler opens one transaction. The first transaction of an account in a region makes its default network.
//  3. It checks the range against the VPC's others, writes the subnet, and wants the VPC to be looked at.
//  4. The reconcile loop turns the VPC's records into one wanted-network value (network_reconcile.go) and hands it to
//     the node agent, which programs the kernel.
//  5. What the agent confirms moves the records out of their transitional states.
//
// A record lives in a table of its kind (kinds.go): its id, its tags and what the user asked for. Describe operations
// differ only in their kind's filters and in toAPI.
//
// Tables, all of service "ec2", one row a record unless said otherwise: vpcs, subnets, route-tables, internet-gateways,
// egress-only-gateways, nat-gateways, addresses, security-groups, network-acls, network-interfaces, private-addresses
// (one row an address in use), dhcp-options, prefix-lists, peerings, endpoints, flow-logs, insights-paths,
// insights-analyses, networks (one row: the default network was made), client-tokens.
//
// Where the engine is simulated nothing real stands behind a record, and each says so with the tag
// aws:mini-aws:simulated.
package ec2
