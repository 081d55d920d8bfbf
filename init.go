package main

import (
	"os"

	"github.com/spf13/cobra"

	"miniaws/backend/node/guest"
)

// initCommand is PID 1 of an instance. It does not return: the exit status tells why the instance ended.
func initCommand() *cobra.Command {
	return &cobra.Command{
		Use: "init", Short: "Be PID 1 of an instance.", Hidden: true, DisableFlagParsing: true,
		Run: func(_ *cobra.Command, arguments []string) { os.Exit(guest.Run(arguments)) },
	}
}
