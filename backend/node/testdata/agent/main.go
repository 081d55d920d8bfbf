// Command agent is "mini-aws agent" alone: what tests need of it, and built in a moment.
package main

import (
	"context"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"os/signal"
	"syscall"

	"miniaws/backend/node"
)

func main() {
	var options node.AgentOptions
	flags := flag.NewFlagSet("agent", flag.ExitOnError)
	flags.StringVar(&options.Owner, "owner", "", "")
	flags.StringVar(&options.Folder, "folder", "", "")
	flags.IntVar(&options.UID, "uid", 0, "")
	flags.IntVar(&options.GID, "gid", 0, "")
	flags.StringVar(&options.Bridge, "bridge", "", "")
	flags.TextVar(&options.Range, "range", netip.Prefix{}, "")
	flags.TextVar(&options.Gateway, "gateway", netip.Addr{}, "")
	flags.BoolVar(&options.Supervise, "supervise", false, "")
	_ = flags.Parse(os.Args[2:]) // after "agent"
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := node.RunAgent(ctx, options); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
