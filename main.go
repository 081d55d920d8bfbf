// Command mini-aws is a whole cloud on one machine: one endpoint that speaks AWS's wire protocols and turns every call
// into something real. See README.md for its use and docs/ for how it works.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/spf13/cobra"
)

func main() {
	line := newCommandLine
	if len(os.Args) > 1 && os.Args[1] == "worker" {
		line = func() *cobra.Command { return newWorkerCommandLine(os.Args[2:]) }
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := line().ExecuteContext(ctx)
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "mini-aws: error: %v\n", err)
		os.Exit(1)
	}
}

// versionCommand prints the version on standard output.
func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version.", Args: showing(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Printf("mini-aws %s\n", version())
			return err
		},
	}
}

// version is the module's version where the build knows one, else the commit, else "devel".
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "devel"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	for _, setting := range info.Settings {
		if setting.Key == "vcs.revision" && len(setting.Value) >= 12 {
			return "devel-" + setting.Value[:12]
		}
	}
	return "devel"
}
