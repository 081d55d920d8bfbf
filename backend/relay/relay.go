// Package relay carries bytes between two connections: of tunnels into VPCs, sessions and forwarded ports.
package relay

import (
	"io"
	"sync"
)

// Both copies both ways until each side has said all, and closes both. The end of what one side says is told to the other,
// which may go on; one that cannot be told so alone is closed. It returns when nothing is copied any more.
func Both(a, b io.ReadWriteCloser) {
	var both sync.WaitGroup
	both.Go(func() { carry(a, b) })
	carry(b, a)
	both.Wait()
	_, _ = a.Close(), b.Close() // both are at their ends, or broken
}

func carry(to, from io.ReadWriteCloser) {
	_, _ = io.Copy(to, from) // whatever ends it is the end
	if half, ok := to.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
		return
	}
	_ = to.Close()
}
