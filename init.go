package main

import (
	"os"

	"miniaws/backend/node/guest"
)

// initCommand is what runs inside an instance, never on the machine that serves.
type initCommand struct {
	Args []string `arg:"" optional:"" passthrough:""`
}

// Run does not return: the exit status tells why the instance ended.
func (c *initCommand) Run() error {
	os.Exit(guest.Run(c.Args))
	return nil
}
