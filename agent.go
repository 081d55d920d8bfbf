package main

import (
	"context"
	"net/netip"

	"github.com/spf13/cobra"

	"miniaws/backend/node"
)

// agentCommand is what runs on the engine's side, in a container of its own: nobody types it.
type agentCommand struct {
	Owner, Folder string
	UID, GID      int
	Bridge        string
	Range         netip.Prefix
	Gateway       netip.Addr
	Supervise     bool
}

func (c *agentCommand) command() *cobra.Command {
	command := &cobra.Command{
		Use: "agent", Short: "Hold the networks of VPCs, on the engine's side.", Hidden: true, Args: showing(cobra.NoArgs),
		RunE: func(command *cobra.Command, _ []string) error { return c.Run(command.Context()) },
	}
	flags := command.Flags()
	flags.StringVar(&c.Owner, "owner", "", "Installation id.")
	flags.StringVar(&c.Folder, "folder", "", "Folder of the socket.")
	flags.IntVar(&c.UID, "uid", 0, "Owner of the socket.")
	flags.IntVar(&c.GID, "gid", 0, "Group of the socket.")
	flags.StringVar(&c.Bridge, "bridge", "", "Name of the public bridge.")
	flags.TextVar(&c.Range, "range", netip.Prefix{}, "Addresses of the public bridge.")
	flags.TextVar(&c.Gateway, "gateway", netip.Addr{}, "The public bridge's own address.")
	flags.BoolVar(&c.Supervise, "supervise", false, "Be PID 1, and start the agent again whenever it ends.")
	for _, name := range []string{"owner", "folder"} {
		if err := command.MarkFlagRequired(name); err != nil {
			panic(err) // it is defined above
		}
	}
	return command
}

// Run ends with the context, or with an error that the supervisor answers by starting it again.
func (c *agentCommand) Run(ctx context.Context) error {
	return node.RunAgent(ctx, node.AgentOptions{
		Owner: c.Owner, Folder: c.Folder, UID: c.UID, GID: c.GID, Bridge: c.Bridge, Range: c.Range, Gateway: c.Gateway, Supervise: c.Supervise,
	})
}
