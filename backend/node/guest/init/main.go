// Command init is PID 1 of instances on its own: what "mini-aws init" is, without the rest of mini-aws, so that it is
// small in the memory of every instance. Its whole logic is package guest.
package main

import (
	"fmt"
	"os"

	"miniaws/backend/node/guest"
)

func main() {
	// The program is set-user-ID in its volume, for this name alone.
	if len(os.Args) > 0 && guest.IsSudo(os.Args[0]) {
		os.Exit(guest.Sudo(os.Args[1:]))
	}
	if err := guest.GiveUpRights(); err != nil || len(os.Args) == 0 {
		fmt.Fprintln(os.Stderr, "mini-aws init:", err)
		os.Exit(guest.StatusConfig)
	}
	args := os.Args[1:]
	if len(args) > 0 && args[0] == "init" { // as mini-aws is called
		args = args[1:]
	}
	os.Exit(guest.Run(args))
}
