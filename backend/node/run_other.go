//go:build !linux

package node

import (
	"context"
	"errors"
)

// RunAgent fails: networks are the kernel's, and this is not Linux.
func RunAgent(context.Context, AgentOptions) error {
	return errors.New("the node agent runs on Linux")
}
