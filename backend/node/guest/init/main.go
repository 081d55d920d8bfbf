// Command init is PID 1 of instances on its own: what "mini-aws init" is, without the rest of mini-aws, so that it is
// small in the memory of every instance. Its whole logic is package guest.
package main

import (
	"os"

	"miniaws/backend/node/guest"
)

func main() {
	args := os.Args[1:]
	if len(args) > 0 && args[0] == "init" { // as mini-aws is called
		args = args[1:]
	}
	os.Exit(guest.Run(args))
}
