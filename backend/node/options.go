package node

import (
	"net/netip"
	"strconv"
)

// AgentOptions are what the gateway tells the agent on its command line.
type AgentOptions struct {
	Owner    string
	Folder   string
	UID, GID int
	Bridge   string
	Range    netip.Prefix
	Gateway  netip.Addr
	// Supervise makes the process PID 1 of the container instead of the agent.
	Supervise bool
}

// arguments are the command line that says these options.
func (o AgentOptions) arguments() []string {
	all := []string{"agent", "--owner", o.Owner, "--folder", o.Folder, "--uid", strconv.Itoa(o.UID), "--gid", strconv.Itoa(o.GID)}
	if o.Bridge != "" {
		all = append(all, "--bridge", o.Bridge, "--range", o.Range.String(), "--gateway", o.Gateway.String())
	}
	if o.Supervise {
		all = append(all, "--supervise")
	}
	return all
}
