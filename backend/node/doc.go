// Package node is the gateway's side of the node agent: it brings the agent's container up on an engine, keeps it there
// and at this program's version, and speaks for it as a [backend.VPCNetwork].
//
//	gateway                               engine
//	node.Network --HTTP over a socket-->  agent (backend/node/agent) --netlink--> kernel (backend/node/kernel)
//	             <--streams-------------  metadata, API and names asked for inside VPCs
//
// Calls wait a while for an agent that is being replaced. What was applied is remembered, so that a container that
// somebody removed is filled again at once; after a restart of the gateway the reconcilers say everything anew.
//
// It needs an engine on this machine: the socket is in a folder that both sides see.
package node
