package main

import (
	"context"
	"net/netip"

	"miniaws/backend/node"
)

// agentCommand is what runs on the engine's side, in a container of its own: nobody types it.
type agentCommand struct {
	Owner     string       `required:"" help:"Installation id."`
	Folder    string       `required:"" help:"Folder of the socket."`
	UID       int          `name:"uid" help:"Owner of the socket."`
	GID       int          `name:"gid" help:"Group of the socket."`
	Bridge    string       `help:"Name of the public bridge."`
	Range     netip.Prefix `help:"Addresses of the public bridge."`
	Gateway   netip.Addr   `help:"The public bridge's own address."`
	Supervise bool         `help:"Be PID 1, and start the agent again whenever it ends."`
}

// Run ends with the context, or with an error that the supervisor answers by starting it again.
func (c *agentCommand) Run(ctx context.Context) error {
	return node.RunAgent(ctx, node.AgentOptions{
		Owner: c.Owner, Folder: c.Folder, UID: c.UID, GID: c.GID, Bridge: c.Bridge, Range: c.Range, Gateway: c.Gateway, Supervise: c.Supervise,
	})
}
