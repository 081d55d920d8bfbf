// Package plan turns a wanted VPC into what the kernel is to hold: addresses, routing rules, routes and one table of
// netfilter rules. It is pure: the same value makes the same plan, and [Plan.String] prints it as ip and nft would, which
// is what its golden tests compare.
//
// A packet's way through the namespace of a VPC:
//
//	eni device --> arrive: is the source the interface's own? mark = its subnet
//	           --> route: VPC's own interfaces (table 50), else the subnet's table (100 + n)
//	           --> pass:  network ACL out, network ACL in, established?, sender's groups (out_ok when allowed),
//	                      internet gateway's or NAT gateway's rules, receiver's groups
//	           --> source or destination translation at igw0
//	           --> eni device, igw0 (the public bridge), or pcx device (another VPC)
//
// It does not know how the kernel is told: that is backend/node/kernel.
package plan
