// Package hostports opens ports of the gateway's machine that lead to public addresses of VPCs, where processes there do not
// reach those addresses themselves.
//
// The story of one port:
//
//  1. The gateway applies a VPC; the value names its public addresses, and the groups that say which ports are of use.
//  2. For each of those ports a listener opens on 127.0.0.1, whose number is made of the address and the port.
//  3. Somebody connects. The node agent connects from its engine's host to the public address itself.
//  4. That packet comes by the public bridge and the internet gateway, as from everywhere: network ACLs and groups decide.
//
// Nothing is stored: a start applies every VPC again. It carries TCP alone, and does not ask whether an address answers.
package hostports
