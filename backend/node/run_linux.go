package node

import (
	"context"

	"miniaws/backend/node/agent"
)

// RunAgent is the agent's side: the supervisor, or the agent itself until the context ends.
func RunAgent(ctx context.Context, options AgentOptions) error {
	if options.Supervise {
		options.Supervise = false
		return agent.Supervise(options.arguments())
	}
	return agent.Run(ctx, agent.Options{
		Owner: options.Owner, Folder: options.Folder, UID: options.UID, GID: options.GID,
		Bridge: options.Bridge, Range: options.Range, Gateway: options.Gateway,
	})
}
